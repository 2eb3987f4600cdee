//! System calls: what each needs, and the way through the kernel.
//!
//! A call's handles are resolved on its caller's CPU as its [`Signature`] says. If what they name is at home on another CPU, the thread
//! travels there with them, its call is performed there, and it comes home with the result; so every cell is touched by its home only,
//! and nothing is needed in the way of messages but the thread itself.

mod capsule;
mod endpoint;
mod handle;
mod hardware;
mod interrupt;
mod io;
mod memory;
mod notification;
mod process;
mod quota;
mod table;
mod thread;

pub use process::fault_handle;
pub use thread::ThreadStart;

use abi::{Handle, Operation, Outcome, Rights, records::ThreadState};

use self::table::Parameter;

use crate::handle::Held;
use crate::kernel::Figure;
use crate::object::{Kind, Name, Object, Process, Quota, Thread};
use crate::sched::inbox::reason;
use crate::{Kernel, Machine};

/// What a system call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It is done; its results are in the registers.
    Done,
    /// It is done, and the outcome is in the registers too.
    Written,
    /// The thread waits, or is no more.
    Blocked,
    /// It needs another step.
    Again,
}

/// Why a system call did not get that far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It was refused, without effect.
    Refused(Outcome),
    /// It concerns objects of another CPU.
    Elsewhere(usize),
}

impl From<Outcome> for Stop {
    fn from(outcome: Outcome) -> Self {
        Self::Refused(outcome)
    }
}

/// What a system call is about: its caller and the objects that it names.
pub struct Operands<'k> {
    /// The caller.
    pub name: Name<Thread>,
    /// The caller.
    pub thread: &'k Thread,
    a: Option<Held>,
    b: Option<Held>,
}

impl Operands<'_> {
    /// The first object. Its signature said that there is one; without it the name is none, which no object has.
    pub fn a<T>(&self) -> Name<T> {
        self.a.map_or(Name::NONE, |held| held.name.cast())
    }

    /// The second object, or none.
    pub fn b<T>(&self) -> Name<T> {
        self.b.map_or(Name::NONE, |held| held.name.cast())
    }

    /// The first object with its rights.
    pub fn held_a(&self) -> Result<Held, Outcome> {
        self.a.ok_or(Outcome::BadHandle)
    }

    /// The second object with its rights.
    pub fn held_b(&self) -> Result<Held, Outcome> {
        self.b.ok_or(Outcome::BadHandle)
    }

    /// Argument word.
    pub fn word(&self, index: usize) -> u64 {
        self.thread.context.words[index].get()
    }

    /// The `s` argument.
    pub fn argument(&self) -> u64 {
        self.thread.context.argument.get()
    }

    /// Sets the first result.
    pub fn set_result(&self, value: u64) {
        self.thread.context.handles.set(value);
    }

    /// Sets the second result.
    pub fn set_second_result(&self, value: u64) {
        self.thread.context.argument.set(value);
    }

    /// Sets result words from the first on.
    pub fn set_words(&self, values: &[u64]) {
        for (place, value) in self.thread.context.words.iter().zip(values) {
            place.set(*value);
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// The current thread's system call, the long way.
    pub fn slow_syscall(&self) {
        self.count(Figure::SystemCalls, 1);
        let name = self.current();
        if name.is_none() {
            return;
        }
        let thread = self.at(name);
        thread.progress.set(0);
        self.perform(name, thread);
    }

    /// A system call of the current thread that takes several steps goes on.
    pub fn continue_call(&self, name: Name<Thread>) {
        self.perform(name, self.at(name));
    }

    fn perform(&self, name: Name<Thread>, thread: &Thread) {
        let code = thread.context.info.get() as u8;
        let Some(operation) = Operation::from_number(code) else {
            return self.conclude(name, thread, Err(Stop::Refused(Outcome::BadOperation)));
        };
        let result = match operation {
            Operation::Null => Ok(Next::Done),
            Operation::Call => self.call(name),
            Operation::Reply => self.reply(thread),
            Operation::Receive => self.start_receive(name, thread),
            Operation::ReplyReceive => self.reply_receive(name, thread),
            Operation::CallStart => self.call_start(name),
            Operation::CallFinish => self.call_finish(thread),
            Operation::CallCancel => self.call_cancel(thread),
            Operation::Ring => self.ring(thread),
            Operation::Yield => {
                thread.context.info.set(Outcome::Ok as u64);
                self.yield_current();
                Ok(Next::Written)
            }
            other => self.resolve(name, thread, other).and_then(|operands| self.run(other, &operands)),
        };
        self.conclude(name, thread, result);
    }

    /// Resolves the handles of a call and makes sure that there is room for those that it returns.
    fn resolve<'k>(&self, name: Name<Thread>, thread: &'k Thread, operation: Operation) -> Result<Operands<'k>, Stop> {
        let process = self.at(thread.process.get());
        let signature = table::of(operation);
        let handles = thread.context.handles.get();
        let a = self.resolve_one(process, Handle(handles as u32), signature.a)?;
        let b = self.resolve_one(process, Handle((handles >> 32) as u32), signature.b)?;
        self.reserve_slots(process, signature.results)?;
        Ok(Operands { name, thread, a, b })
    }

    fn resolve_one(&self, process: &Process, handle: Handle, parameter: Parameter) -> Result<Option<Held>, Outcome> {
        match parameter {
            Parameter::Absent => Ok(None),
            Parameter::Optional(..) if handle.is_none() => Ok(None),
            Parameter::Optional(kind, rights) => self.look_up_held(process, handle, Some(kind), rights).map(Some),
            Parameter::Needed(kind, rights) => self.look_up_held(process, handle, kind, rights).map(Some),
        }
    }

    /// What follows from how a call of the current thread went.
    fn conclude(&self, name: Name<Thread>, thread: &Thread, result: Result<Next, Stop>) {
        match result {
            Ok(Next::Done) => self.return_results(thread, Outcome::Ok),
            Ok(Next::Written | Next::Blocked) => {}
            Ok(Next::Again) => thread.must_continue.set(1),
            Err(Stop::Refused(outcome)) => self.return_results(thread, outcome),
            Err(Stop::Elsewhere(cpu)) => self.travel(name, thread, cpu),
        }
    }

    /// Writes the outcome, and puts handles that the call returns into the caller's table.
    fn return_results(&self, thread: &Thread, outcome: Outcome) {
        let process = self.at(thread.process.get());
        let moved = thread.moved.replace(0);
        if moved != 0 {
            // It may have been closed by another thread meanwhile.
            let _ = self.close_handle(process, Handle(moved));
        }
        let mut outcome = outcome;
        for (index, place) in thread.results.iter().enumerate() {
            let Some(held) = place.take() else { continue };
            match self.insert(process, held) {
                Ok(handle) if index == 0 => thread.context.handles.set(u64::from(handle.0)),
                Ok(handle) => thread.context.argument.set(u64::from(handle.0)),
                Err(short) => {
                    self.release(held);
                    outcome = short;
                }
            }
        }
        thread.context.info.set(outcome as u64);
    }

    /// Notes a handle that the call will return; its reference is counted here.
    pub fn return_handle(&self, operands: &Operands<'_>, index: usize, held: Held) {
        self.acquire(held);
        operands.thread.results[index & 1].set(Some(held));
    }

    /// The same for all that most calls return: one object.
    pub fn give<T: Object>(&self, operands: &Operands<'_>, name: Name<T>, rights: Rights) -> Result<Next, Stop> {
        self.return_handle(operands, 0, Held::new(name, rights));
        Ok(Next::Done)
    }

    /// Who pays for what a call makes: the quota that it names, which must be open, or else its caller's own.
    pub fn payer(&self, operands: &Operands<'_>) -> Result<Name<Quota>, Outcome> {
        let named = [operands.a, operands.b].into_iter().flatten().find(|held| held.kind == Kind::Quota);
        let Some(held) = named else {
            return Ok(self.at(operands.thread.process.get()).header.quota.get());
        };
        let is_open = !self.at(held.name).header.is_dead();
        is_open.then_some(held.name.cast()).ok_or(Outcome::InvalidState)
    }

    /// An object that lives here, or where it does.
    pub fn at_home<T: Object>(&self, name: Name<T>) -> Result<&T, Stop> {
        let object = self.at(name);
        match object.header().home() {
            home if home == self.cpu() => Ok(object),
            home => Err(Stop::Elsewhere(home)),
        }
    }

    /// Sends the current thread, whose call concerns another CPU, there.
    fn travel(&self, name: Name<Thread>, thread: &Thread, cpu: usize) {
        let process = self.at(thread.process.get());
        let handles = thread.context.handles.get();
        let halves = [handles as u32, (handles >> 32) as u32];
        for (place, half) in thread.arguments.iter().zip(halves) {
            let held = self.look_up_any(process, Handle(half)).ok();
            if let Some(held) = held.filter(|held| held.name.is_some() && held.kind != Kind::Reply) {
                self.acquire(held);
                place.set(Some(held));
            }
        }
        self.block_current(ThreadState::Ready, 0);
        thread.is_away.set(1);
        thread.call.set_custody(cpu);
        self.post(name.cast(), reason::OPERATE, cpu);
    }

    /// Performs the call of a thread that has travelled here.
    pub fn operate(&self, name: Name<Thread>) {
        let thread = self.at(name);
        let operands = Operands { name, thread, a: thread.arguments[0].get(), b: thread.arguments[1].get() };
        let result = match Operation::from_number(thread.context.info.get() as u8) {
            Some(Operation::Receive | Operation::ReplyReceive) => self.fetch_endpoint(&operands),
            Some(operation) => self.run(operation, &operands),
            None => Err(Stop::Refused(Outcome::BadOperation)),
        };
        let outcome = match result {
            Ok(Next::Blocked) => return,
            Ok(Next::Again) => return self.post(name.cast(), reason::OPERATE, self.cpu()),
            Err(Stop::Elsewhere(cpu)) => {
                thread.call.set_custody(cpu);
                return self.post(name.cast(), reason::OPERATE, cpu);
            }
            Ok(Next::Written) => return self.send_home(name),
            Ok(Next::Done) => Outcome::Ok,
            Err(Stop::Refused(outcome)) => outcome,
        };
        thread.context.info.set(outcome as u64);
        self.send_home(name);
    }

    /// Sends a thread home that has been away.
    pub fn send_home(&self, name: Name<Thread>) {
        let thread = self.at(name);
        let home = thread.header.home();
        thread.call.set_custody(home);
        if home == self.cpu() {
            self.come_home(name);
        } else {
            self.post(name.cast(), reason::HOME, home);
        }
    }

    /// A thread has come home.
    pub fn come_home(&self, name: Name<Thread>) {
        let thread = self.at(name);
        thread.is_away.set(0);
        self.drop_references(&thread.arguments);
        if !self.at(thread.process.get()).is_alive() {
            self.drop_references(&thread.results);
            thread.set_state(ThreadState::Created);
            return self.thread_came_home(name);
        }
        if thread.must_continue.get() == 0 {
            let outcome = Outcome::from_number(thread.context.info.get() as u8).unwrap_or(Outcome::Ok);
            let has_more = thread.results.iter().any(|place| !place.is_empty());
            if has_more || thread.moved.get() != 0 {
                self.return_results(thread, outcome);
            }
        }
        self.make_ready(name);
    }

    fn drop_references(&self, places: &[crate::handle::Reference]) {
        for place in places {
            if let Some(held) = place.take() {
                self.release(held);
            }
        }
    }
}
