//! The machine of a test: its processes, its clock, and the threads that play the processes.

use crate::ipc::Taken;
use crate::kernel::Kernel;
use crate::memory::Block;
use crate::objects::{Object, ProcessId, Source};
use crate::table::Entry;
use abi::layout::NEVER;
use abi::{MessageInfo, Operation, Outcome, Rights};
use libipc::sys::Registers;
use libipc::sys::host::{self, Backend, MessagePage};
use libipc::{Handle, SysError};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A machine with a kernel in memory.
#[derive(Clone, Default)]
pub struct Machine(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kernel: Mutex<Kernel>,
    change: Condvar,
}

/// A process of a test. Any number of threads may play it, one after the other or at once.
#[derive(Clone)]
pub struct TestProcess {
    machine: Machine,
    id: ProcessId,
}

/// A thread that plays a process.
pub struct Running<R> {
    thread: thread::JoinHandle<Result<R, Death>>,
}

/// How a process that did not return ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// It was killed, by [`TestProcess::kill`] or `process_kill`.
    Killed,
    /// It panicked, or an armed fault struck; this is what it said.
    Panicked(String),
}

/// Unwinds the thread of a process that was killed.
struct Killed;

impl Machine {
    /// A machine without processes, at time zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a process.
    pub fn process(&self) -> TestProcess {
        let id = self.kernel().add_process();
        TestProcess {
            machine: self.clone(),
            id,
        }
    }

    /// Nanoseconds since boot.
    pub fn now_ns(&self) -> u64 {
        self.kernel().now
    }

    /// Stops time while the value lives: for a test that does something between two lives of a process.
    pub fn hold_time(&self) -> HeldTime {
        self.kernel().running += 1;
        HeldTime(self.clone())
    }

    /// Handles that a process has. For tests that nothing leaks.
    pub fn handle_count(&self, process: &TestProcess) -> usize {
        self.kernel().processes[process.id].table.count()
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        // A thread that was killed in a system call leaves the state as it is between two operations.
        self.0.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change or a deadline. Lets time pass when nobody else runs.
    fn wait<'a>(
        &'a self,
        mut kernel: MutexGuard<'a, Kernel>,
        deadline: u64,
    ) -> MutexGuard<'a, Kernel> {
        let ticket = kernel.next_ticket;
        kernel.next_ticket += 1;
        let seen = kernel.version;
        kernel.running -= 1;
        kernel.waiting.insert(ticket, (seen, deadline));
        self.0.change.notify_all();
        loop {
            if kernel.version != seen {
                break;
            }
            let everybody_waits =
                kernel.running == 0 && kernel.waiting.values().all(|(version, _)| *version == seen);
            let next = kernel
                .waiting
                .values()
                .map(|(_, deadline)| *deadline)
                .chain(kernel.next_deadline())
                .min();
            if everybody_waits
                && let Some(next) = next
                && next != NEVER
            {
                kernel.now = kernel.now.max(next);
                kernel.expire();
                kernel.changed();
                break;
            }
            kernel = self
                .0
                .change
                .wait(kernel)
                .unwrap_or_else(PoisonError::into_inner);
        }
        kernel.waiting.remove(&ticket);
        kernel.running += 1;
        self.0.change.notify_all();
        kernel
    }
}

/// Time stands still while this lives.
pub struct HeldTime(Machine);

impl Drop for HeldTime {
    fn drop(&mut self) {
        self.0.kernel().running -= 1;
        self.0.0.change.notify_all();
    }
}

impl TestProcess {
    /// Plays the process for a while in this thread.
    pub fn run<R>(&self, job: impl FnOnce() -> R) -> R {
        self.machine.kernel().running += 1;
        let before = host::install(Some(Rc::new(Player(self.clone()))));
        let result = catch_unwind(AssertUnwindSafe(job));
        host::install(before);
        self.machine.kernel().running -= 1;
        self.machine.0.change.notify_all();
        match result {
            Ok(result) => result,
            Err(reason) => resume_unwind(reason),
        }
    }

    /// Plays the process in a thread of its own. When it panics, the process is dead: what it held goes.
    pub fn start<R: Send + 'static>(&self, job: impl FnOnce() -> R + Send + 'static) -> Running<R> {
        // Counted from here on, so that time does not pass before the thread has begun.
        self.machine.kernel().running += 1;
        let process = self.clone();
        let thread = thread::spawn(move || {
            host::install(Some(Rc::new(Player(process.clone()))));
            let result = catch_unwind(AssertUnwindSafe(job));
            if result.is_err() {
                process.kill();
            }
            host::install(None);
            process.machine.kernel().running -= 1;
            process.machine.0.change.notify_all();
            result.map_err(|reason| Death::from_panic(&*reason))
        });
        Running { thread }
    }

    /// Ends the process: its handles close, its threads unwind at their next system call.
    pub fn kill(&self) {
        self.machine.kernel().kill(self.id);
        self.machine.0.change.notify_all();
    }

    /// Makes an endpoint in this process and a Connection to it in another: their handles. The test's own process holds the endpoint too, as init
    /// does, so that it outlives this one.
    ///
    /// # Panics
    /// If a process has no room for a handle.
    pub fn serve(&self, badge: libipc::Badge, client: &TestProcess) -> (abi::Handle, abi::Handle) {
        let owner = self.machine.process();
        let (endpoint, connection) = owner.run(|| {
            let endpoint = libipc::Endpoint::create().expect("there is room");
            let minted = endpoint.mint(badge).expect("the endpoint is ours");
            let connection = minted.client.into_raw();
            let raw = endpoint.handle().raw();
            std::mem::forget((endpoint, minted.ours));
            (raw, connection)
        });
        let there = owner.pass(connection, client);
        owner.run(|| drop(Handle::<libipc::Connection>::from_raw(connection)));
        (owner.pass(endpoint, self), there)
    }

    /// Passes a copy of a handle on to another process and gives its number there, as a supervisor would.
    ///
    /// # Panics
    /// If this process has no such handle, or the other has no room.
    pub fn pass(&self, handle: abi::Handle, to: &TestProcess) -> abi::Handle {
        let mut kernel = self.machine.kernel();
        let entry = kernel.processes[self.id]
            .table
            .get(handle.0)
            .expect("the process has the handle");
        kernel
            .insert(to.id, entry)
            .expect("the other process has room for it")
    }

    /// Makes a quota for the process to make others under.
    ///
    /// # Panics
    /// If the process has no room for a handle.
    pub fn quota(&self) -> Handle<libipc::Quota> {
        let mut kernel = self.machine.kernel();
        let object = kernel.add_object(Object::Quota);
        let handle = kernel
            .insert(
                self.id,
                Entry {
                    object,
                    rights: Rights::all(),
                },
            )
            .expect("there is room");
        Handle::from_raw(handle)
    }

    /// Limits the handles that the process may have.
    pub fn limit_handles(&self, limit: usize) {
        self.machine.kernel().processes[self.id].table.limit = limit;
    }

    /// What was mapped into the processes that this one made: for each process address, length and protection of each mapping, and the starts
    /// of its threads (entry, stack, two arguments, message pages, priority).
    pub fn made_processes(&self) -> Vec<MadeProcess> {
        let kernel = self.machine.kernel();
        let mut made = Vec::new();
        for object in &kernel.objects {
            let Object::Process(id) = object else {
                continue;
            };
            let process = &kernel.processes[*id];
            let threads = kernel.objects.iter().filter_map(|object| match object {
                Object::Thread {
                    process,
                    start,
                    is_started: true,
                } if process == id => Some(*start),
                _ => None,
            });
            made.push(MadeProcess {
                mappings: process
                    .mappings
                    .iter()
                    .map(|mapping| (mapping[0], mapping[3], mapping[4]))
                    .collect(),
                threads: threads.collect(),
                is_dead: process.is_dead,
                memory: process
                    .mappings
                    .iter()
                    .map(|mapping| kernel.bytes_of(mapping))
                    .collect(),
            });
        }
        made
    }
}

/// A process that a test's process made.
#[derive(Clone, Debug)]
pub struct MadeProcess {
    /// Address, length and protection bits of each mapping.
    pub mappings: Vec<(u64, u64, u64)>,
    /// The arguments of `thread_create` for each thread that was started.
    pub threads: Vec<[u64; 8]>,
    /// Whether it was killed.
    pub is_dead: bool,
    /// The bytes of each mapping.
    pub memory: Vec<Vec<u8>>,
}

impl Kernel {
    fn bytes_of(&self, mapping: &[u64; 5]) -> Vec<u8> {
        match &self.objects[mapping[1] as usize] {
            Object::Memory(block) => block.copy(mapping[2] as usize, mapping[3] as usize),
            _ => Vec::new(),
        }
    }
}

impl<R> Running<R> {
    /// Waits until the thread has ended.
    ///
    /// # Errors
    /// How the process died, if it did not return.
    ///
    /// # Panics
    /// Never: the thread catches its panics.
    pub fn join(self) -> Result<R, Death> {
        self.thread.join().expect("the thread catches its panics")
    }
}

impl Death {
    fn from_panic(reason: &(dyn Any + Send)) -> Self {
        if reason.is::<Killed>() {
            return Self::Killed;
        }
        let text = reason.downcast_ref::<String>().cloned();
        let text = text.or_else(|| reason.downcast_ref::<&str>().map(|text| (*text).into()));
        Self::Panicked(text.unwrap_or_default())
    }
}

/// The kernel as a thread of a process sees it.
struct Player(TestProcess);

impl Player {
    /// Runs an operation to its end.
    fn enter(
        &self,
        registers: &mut Registers,
        send: &mut MessagePage,
        receive: &mut MessagePage,
    ) -> Result<(), Outcome> {
        let machine = &self.0.machine;
        let process = self.0.id;
        let mut kernel = machine.kernel();
        self.check_alive(&kernel)?;
        let operation =
            Operation::from_number(registers.info().code()).ok_or(Outcome::BadOperation)?;
        let result = match operation {
            Operation::Call => {
                let request = kernel.submit(process, Source::Thread, registers, send)?;
                while !kernel.take_end(process, request, registers, receive) {
                    kernel = machine.wait(kernel, NEVER);
                    if kernel.processes[process].is_dead {
                        kernel.cancel(request);
                        return self.check_alive(&kernel);
                    }
                }
                return Ok(());
            }
            Operation::Receive | Operation::ReplyReceive => {
                if operation == Operation::ReplyReceive {
                    kernel.reply(process, registers, send)?;
                }
                let (endpoint, deadline) = (registers.rdi as u32, registers.rsi);
                loop {
                    self.check_alive(&kernel)?;
                    if let Taken::Wake = kernel.take_wake(process, endpoint, registers, receive)? {
                        break Ok(());
                    }
                    if kernel.now >= deadline {
                        break Err(Outcome::DeadlinePassed);
                    }
                    kernel = machine.wait(kernel, deadline);
                }
            }
            Operation::NotificationWait => {
                let (handle, deadline, bits) = (
                    registers.rdi as u32,
                    registers.rsi,
                    registers.words.to_words()[0],
                );
                loop {
                    self.check_alive(&kernel)?;
                    let taken = kernel.poll(process, handle, bits)?;
                    if taken != 0 {
                        registers.rax = 0;
                        registers.rsi = taken;
                        break Ok(());
                    }
                    if kernel.now >= deadline {
                        break Err(Outcome::DeadlinePassed);
                    }
                    kernel = machine.wait(kernel, deadline);
                }
            }
            _ => kernel.operate(process, operation, registers, send),
        };
        drop(kernel);
        machine.0.change.notify_all();
        result
    }

    /// A killed process goes no further; while it unwinds, its system calls are refused.
    fn check_alive(&self, kernel: &Kernel) -> Result<(), Outcome> {
        if !kernel.processes[self.0.id].is_dead {
            Ok(())
        } else if thread::panicking() {
            Err(Outcome::BadHandle)
        } else {
            resume_unwind(Box::new(Killed))
        }
    }
}

impl Backend for Player {
    fn system_call(
        &self,
        registers: &mut Registers,
        send: &mut MessagePage,
        receive: &mut MessagePage,
    ) {
        if let Err(outcome) = self.enter(registers, send, receive) {
            registers.rax = u64::from(MessageInfo::new(outcome as u8, 0).0);
        }
    }

    fn now_ns(&self) -> u64 {
        self.0.machine.now_ns()
    }

    fn map(
        &self,
        memory: abi::Handle,
        offset: u64,
        length: u64,
        _protection: u64,
    ) -> Result<*mut u8, SysError> {
        let kernel = self.0.machine.kernel();
        let block = kernel
            .memory(self.0.id, memory.0, Rights::MAP)
            .map_err(SysError)?;
        block
            .at(offset as usize, length as usize)
            .ok_or(SysError(Outcome::BadArgument))
    }

    fn unmap(&self, _address: *mut u8, _length: u64) {}

    fn allocate_page(&self) -> *mut u8 {
        Block::new(4096)
            .and_then(|block| block.at(0, 4096))
            .unwrap_or(std::ptr::null_mut())
    }
}
