//! Processes and threads: what init, procd and debuggers do to them.

use super::{Connection, MemoryObject, Process, Protection, Quota, Thread};
use crate::endpoint::flush;
use crate::error::SysError;
use crate::handle::{Handle, Object};
use crate::sys::{self, Arguments, operate};
use abi::message::{MAX_MESSAGE_BYTES, TransferMode};
use abi::records::{DeathCause, ProcessState, ThreadRegisters, ThreadState};
use abi::{Operation, Outcome, Rights};
use core::time::Duration;

/// Figures of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessFigures {
    /// What it is doing.
    pub state: ProcessState,
    /// Why it ended.
    pub cause: DeathCause,
    /// The CPU it lives on.
    pub cpu: u8,
    /// Exit status, or what `cause` says.
    pub code: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Frames charged.
    pub frames: u64,
    /// Handles.
    pub handles: u64,
    /// Threads.
    pub threads: u64,
    /// Page faults.
    pub page_faults: u64,
    /// Switches to its address space.
    pub switches: u64,
    /// Bytes mapped.
    pub mapped_bytes: u64,
    /// The same for all handles of this process.
    pub identity: u64,
}

/// How a thread begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadStart {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
    /// `rdi` and `rsi`.
    pub arguments: [u64; 2],
    /// Where its send page and, after it, its receive page appear.
    pub pages: u64,
    /// Priority.
    pub priority: u8,
    /// Fs base.
    pub fs_base: u64,
}

/// Figures of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadFigures {
    /// What it is doing.
    pub state: ThreadState,
    /// Priority.
    pub priority: u8,
    /// Since when, in nanoseconds since boot.
    pub since_ns: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Names the object it waits on; 0 if none.
    pub waits_on: u64,
    /// Its number in the process.
    pub number: u64,
}

impl Handle<Process> {
    /// Makes an empty process under a quota. `faults`: where its faults are reported; `highest` priority of its threads.
    ///
    /// # Errors
    /// The quota's.
    pub fn create(
        quota: &Handle<Quota>,
        faults: Option<&Handle<Connection>>,
        highest: u8,
    ) -> Result<Self, SysError> {
        let arguments = Arguments {
            b: faults.map_or(0, |faults| faults.raw().0),
            ..quota.arguments_with(&[u64::from(highest)])
        };
        let made = operate(Operation::ProcessCreate, arguments)?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Maps memory at an address.
    ///
    /// # Errors
    /// `BadAddress`, `AlreadyMapped`, `NoRights`, the quota's.
    pub fn map(
        &self,
        memory: &Handle<MemoryObject>,
        address: u64,
        offset: u64,
        length: u64,
        protection: Protection,
    ) -> Result<(), SysError> {
        let arguments = Arguments {
            b: memory.raw().0,
            s: protection.bits(),
            ..self.arguments_with(&[address, offset, length])
        };
        operate(Operation::ProcessMap, arguments).map(drop)
    }

    /// Unmaps a range.
    ///
    /// # Errors
    /// `BadAddress`.
    pub fn unmap(&self, address: u64, length: u64) -> Result<(), SysError> {
        operate(
            Operation::ProcessUnmap,
            self.arguments_with(&[address, length]),
        )
        .map(drop)
    }

    /// Changes the protection of a mapped range.
    ///
    /// # Errors
    /// `NotMapped`, `NoRights`.
    pub fn protect(
        &self,
        address: u64,
        length: u64,
        protection: Protection,
    ) -> Result<(), SysError> {
        let arguments = Arguments {
            s: protection.bits(),
            ..self.arguments_with(&[address, length])
        };
        operate(Operation::ProcessProtect, arguments).map(drop)
    }

    /// Puts a copy of a handle, with at most these rights, into its table; returns the number there.
    ///
    /// # Errors
    /// `NoRights`, `QuotaHandles`.
    pub fn grant<T: Object>(
        &self,
        handle: &Handle<T>,
        rights: Rights,
    ) -> Result<abi::Handle, SysError> {
        self.grant_raw(handle.raw(), TransferMode::Copy, rights)
    }

    /// Moves a handle into its table; returns the number there.
    ///
    /// # Errors
    /// `NoRights`, `QuotaHandles`.
    pub fn give<T: Object>(&self, handle: Handle<T>) -> Result<abi::Handle, SysError> {
        let there = self.grant_raw(handle.raw(), TransferMode::Move, Rights::all())?;
        let _moved = handle.into_raw();
        Ok(there)
    }

    /// As [`grant`](Self::grant), for a handle of any type.
    ///
    /// # Errors
    /// `NoRights`, `QuotaHandles`.
    pub fn grant_raw(
        &self,
        handle: abi::Handle,
        mode: TransferMode,
        rights: Rights,
    ) -> Result<abi::Handle, SysError> {
        let arguments = Arguments {
            b: handle.0,
            s: mode as u64,
            ..self.arguments_with(&[u64::from(rights.bits())])
        };
        operate(Operation::ProcessGrant, arguments).map(|made| abi::Handle(made.rdi as u32))
    }

    /// Ends it. Returns at once; the fault Connection closes when everything is returned.
    ///
    /// # Errors
    /// `NoRights` without `MANAGE`.
    pub fn kill(&self, code: u64) -> Result<(), SysError> {
        operate(Operation::ProcessKill, self.arguments_with(&[code])).map(drop)
    }

    /// Limits its CPU time, and that of all it makes, to so much in each period; servers that answer it are on its account. No time at all in no period takes the limit
    /// away.
    ///
    /// # Errors
    /// `NoRights` without `OWN`, or if this process is limited itself; `BadArgument` for less than 50 µs, or a period that is shorter or longer than ten
    /// seconds.
    pub fn limit_cpu(&self, time: Duration, period: Duration) -> Result<(), SysError> {
        let nanoseconds =
            [time, period].map(|length| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
        operate(Operation::ProcessBudget, self.arguments_with(&nanoseconds)).map(drop)
    }

    /// Moves it to another CPU.
    ///
    /// # Errors
    /// `NotFound` if there is no such CPU.
    pub fn move_to(&self, cpu: u8) -> Result<(), SysError> {
        operate(
            Operation::ProcessMove,
            self.arguments_with(&[u64::from(cpu)]),
        )
        .map(drop)
    }

    /// Reads figures.
    ///
    /// # Errors
    /// `NoRights` without `INSPECT`.
    pub fn figures(&self) -> Result<ProcessFigures, SysError> {
        let answer = operate(Operation::ProcessInfo, self.arguments())?;
        let [
            cpu_ns,
            frames,
            handles,
            threads,
            page_faults,
            switches,
            mapped_bytes,
            identity,
        ] = answer.words.to_words();
        let state = match answer.rdi as u8 {
            0 => ProcessState::Alive,
            1 => ProcessState::Dying,
            _ => ProcessState::Dead,
        };
        let cause = match (answer.rdi >> 8) as u8 {
            1 => DeathCause::Exited,
            2 => DeathCause::Killed,
            3 => DeathCause::QuotaClosed,
            4 => DeathCause::Faulted,
            _ => DeathCause::None,
        };
        Ok(ProcessFigures {
            state,
            cause,
            cpu: (answer.rdi >> 16) as u8,
            code: answer.rsi,
            cpu_ns,
            frames,
            handles,
            threads,
            page_faults,
            switches,
            mapped_bytes,
            identity,
        })
    }

    /// Opens a thread by number.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn thread(&self, number: u64) -> Result<Handle<Thread>, SysError> {
        let made = operate(Operation::ProcessThread, self.arguments_with(&[number]))?;
        Ok(Handle::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Makes a thread; returns it and its number.
    ///
    /// # Errors
    /// `AlreadyMapped` if its message pages have no room there; the quota's.
    pub fn create_thread(&self, start: &ThreadStart) -> Result<(Handle<Thread>, u64), SysError> {
        let words = [
            start.entry,
            start.stack,
            start.arguments[0],
            start.arguments[1],
            start.pages,
            u64::from(start.priority),
            start.fs_base,
        ];
        let made = operate(Operation::ThreadCreate, self.arguments_with(&words))?;
        Ok((Handle::from_raw(abi::Handle(made.rdi as u32)), made.rsi))
    }

    /// Reads its memory into `into`; returns how much there was up to the first page that is not present.
    ///
    /// # Errors
    /// `NoRights` without `READ`, `BadAddress`.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<usize, SysError> {
        let mut done = 0;
        for chunk in into.chunks_mut(MAX_MESSAGE_BYTES) {
            let from = address
                .checked_add(done as u64)
                .ok_or(SysError(Outcome::BadAddress))?;
            sys::block().before_receiving();
            let answer = operate(
                Operation::ProcessRead,
                self.arguments_with(&[from, chunk.len() as u64]),
            )?;
            let count = usize::try_from(answer.rdi).unwrap_or(0).min(chunk.len());
            sys::block().with_received(count, |bytes| chunk[..count].copy_from_slice(bytes));
            done += count;
            if count < chunk.len() {
                break;
            }
        }
        Ok(done)
    }

    /// Writes into its memory; returns how much could be written.
    ///
    /// # Errors
    /// `NoRights` without `WRITE`, `BadAddress`.
    pub fn write(&self, address: u64, from: &[u8]) -> Result<usize, SysError> {
        flush();
        let mut done = 0;
        for chunk in from.chunks(MAX_MESSAGE_BYTES) {
            let to = address
                .checked_add(done as u64)
                .ok_or(SysError(Outcome::BadAddress))?;
            sys::block().with_send_page(|page| page[..chunk.len()].copy_from_slice(chunk));
            let answer = operate(
                Operation::ProcessWrite,
                self.arguments_with(&[to, chunk.len() as u64]),
            )?;
            let count = usize::try_from(answer.rdi).unwrap_or(0).min(chunk.len());
            done += count;
            if count < chunk.len() {
                break;
            }
        }
        Ok(done)
    }
}

impl Handle<Thread> {
    /// Starts it.
    ///
    /// # Errors
    /// `InvalidState` if it was started.
    pub fn start(&self) -> Result<(), SysError> {
        operate(Operation::ThreadStart, self.arguments()).map(drop)
    }

    /// Stops it before its next instruction.
    ///
    /// # Errors
    /// `InvalidState` if it is dead.
    pub fn suspend(&self) -> Result<(), SysError> {
        operate(Operation::ThreadSuspend, self.arguments()).map(drop)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// `InvalidState` if it was not suspended.
    pub fn resume(&self) -> Result<(), SysError> {
        operate(Operation::ThreadResume, self.arguments()).map(drop)
    }

    /// Sets its priority.
    ///
    /// # Errors
    /// `BadArgument` above the process's highest.
    pub fn set_priority(&self, priority: u8) -> Result<(), SysError> {
        operate(
            Operation::ThreadPriority,
            self.arguments_with(&[u64::from(priority)]),
        )
        .map(drop)
    }

    /// Its registers. It must not be running.
    ///
    /// # Errors
    /// `InvalidState` while it runs.
    pub fn registers(&self) -> Result<ThreadRegisters, SysError> {
        sys::block().before_receiving();
        operate(Operation::ThreadRegisters, self.arguments())?;
        let mut words = [0u64; 19];
        sys::block().with_received(words.len() * 8, |bytes| {
            for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*chunk);
            }
        });
        let [
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            rsp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rip,
            rflags,
            fs_base,
        ] = words;
        Ok(ThreadRegisters {
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            rsp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rip,
            rflags,
            fs_base,
        })
    }

    /// Reads figures.
    ///
    /// # Errors
    /// `NoRights` without `INSPECT`.
    pub fn figures(&self) -> Result<ThreadFigures, SysError> {
        let answer = operate(Operation::ThreadInfo, self.arguments())?;
        let words = answer.words.to_words();
        let state = match answer.rdi as u8 {
            0 => ThreadState::Created,
            1 => ThreadState::Ready,
            2 => ThreadState::Calling,
            3 => ThreadState::Receiving,
            4 => ThreadState::Waiting,
            5 => ThreadState::Faulted,
            6 => ThreadState::Suspended,
            _ => ThreadState::Dead,
        };
        Ok(ThreadFigures {
            state,
            priority: (answer.rdi >> 8) as u8,
            since_ns: answer.rsi,
            cpu_ns: words[0],
            waits_on: words[1],
            number: words[2],
        })
    }
}

/// Lets others of the same priority run.
pub fn yield_now() {
    flush();
    // Yielding can't be refused in a way that would matter.
    let _ = operate(Operation::Yield, Arguments::default());
}
