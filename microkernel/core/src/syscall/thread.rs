//! System calls on threads, performed at their process's home.

use abi::{Outcome, Rights, layout::PAGE_SIZE, layout::USER_END, records::ThreadState};

use super::{Next, Operands, Stop};
use crate::machine::{CHOOSABLE_FLAGS, INITIAL_FLAGS, UserContext};
use crate::mem::frame::Frame;
use crate::mem::unmap::UserRange;
use crate::object::{Name, Process, Resource, Thread};
use crate::{Kernel, Machine};

/// How a thread begins.
#[derive(Clone, Copy, Debug)]
pub struct ThreadStart {
    /// Where it begins.
    pub entry: u64,
    /// Its stack pointer.
    pub stack: u64,
    /// `rdi` and `rsi`.
    pub arguments: [u64; 2],
    /// Where its message pages go.
    pub pages: UserRange,
    /// Its priority.
    pub priority: u32,
    /// Its fs base.
    pub fs_base: u64,
}

impl<M: Machine> Kernel<M> {
    /// `thread_create(process, entry, stack, rdi, rsi, pages, priority, fs base)`.
    ///
    /// Checks, in order: the process (`MANAGE`); the addresses; the priority; the process lives; the quota; nothing is mapped where the message pages go.
    pub(super) fn thread_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let start = ThreadStart {
            entry: operands.word(0),
            stack: operands.word(1),
            arguments: [operands.word(2), operands.word(3)],
            pages: UserRange::new(operands.word(4), 2 * PAGE_SIZE as u64)?,
            priority: u32::try_from(operands.word(5)).map_err(|_| Outcome::BadArgument)?,
            fs_base: operands.word(6),
        };
        let process = self.at_home(operands.a::<Process>())?;
        if !process.is_alive() {
            return Err(Outcome::InvalidState.into());
        }
        let name = self.make_thread(operands.a(), &start)?;
        operands.set_second_result(u64::from(self.at(name).number.get()));
        self.give(operands, name, Rights::all())
    }

    /// A thread of a process that is alive and lives here, not yet started. The process keeps it.
    pub fn make_thread(&self, process_name: Name<Process>, start: &ThreadStart) -> Result<Name<Thread>, Outcome> {
        let process = self.at(process_name);
        if start.entry >= USER_END || start.stack > USER_END || start.fs_base >= USER_END {
            return Err(Outcome::BadAddress);
        }
        if start.priority > process.highest_priority.get() {
            return Err(Outcome::BadArgument);
        }
        let quota_name = process.header.quota.get();
        self.at(quota_name).charge(Resource::Threads, 1)?;
        let made = self.allocate::<Thread>(quota_name).and_then(|(name, _)| {
            match self.make_message_pages(process_name, start.pages) {
                Ok(pages) => Ok((name, pages)),
                Err(outcome) => {
                    self.free(name);
                    Err(outcome)
                }
            }
        });
        let (name, pages) = match made {
            Ok(made) => made,
            Err(outcome) => {
                self.uncharge(quota_name, Resource::Threads, 1);
                return Err(outcome);
            }
        };
        let thread = self.at(name);
        let memory = self.at(pages);
        let frame = |page| self.page_frame(memory, page).map_or(0, Frame::number);
        thread.pages.set(pages);
        thread.call.send_page.set(frame(0));
        thread.call.receive_page.set(frame(1));
        thread.call.set_custody(self.cpu());
        thread.process.set(process_name);
        self.set_payer(&thread.payer, process.payer.get());
        thread.base_priority.set(start.priority);
        thread.priority.set(start.priority);
        thread.set_state(ThreadState::Created);
        thread.since.set(self.machine().ticks());
        let context = &thread.context;
        context.rip.set(start.entry);
        context.rsp.set(start.stack);
        context.handles.set(start.arguments[0]);
        context.argument.set(start.arguments[1]);
        context.fs_base.set(start.fs_base);
        context.rflags.set(INITIAL_FLAGS);
        context.entered.set(UserContext::BY_INTERRUPT);
        let number = process.next_thread.get();
        thread.number.set(number);
        process.next_thread.set(number.wrapping_add(1));
        process.thread_count.set(process.thread_count.get() + 1);
        self.push_back(&process.threads, name);
        self.pin(name);
        self.pin(process_name);
        Ok(name)
    }

    fn living_thread(&self, operands: &Operands<'_>) -> Result<&Thread, Stop> {
        let thread = self.at_home(operands.a::<Thread>())?;
        if thread.is(ThreadState::Dead) || !self.at(thread.process.get()).is_alive() {
            return Err(Outcome::InvalidState.into());
        }
        Ok(thread)
    }

    /// `thread_start(thread)`. Checks, in order: the thread (`MANAGE`); it was not started.
    pub(super) fn thread_start(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let thread = self.living_thread(operands)?;
        if !thread.is(ThreadState::Created) || thread.is_suspended.get() != 0 {
            return Err(Outcome::InvalidState.into());
        }
        self.make_ready(operands.a());
        Ok(Next::Done)
    }

    /// `thread_suspend(thread)`. Checks, in order: the thread (`MANAGE`); it was started and lives.
    pub(super) fn thread_suspend(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let thread = self.living_thread(operands)?;
        if thread.is(ThreadState::Created) {
            return Err(Outcome::InvalidState.into());
        }
        thread.is_suspended.set(1);
        if thread.is(ThreadState::Ready) && thread.is_away.get() == 0 {
            let name: Name<Thread> = operands.a();
            if self.current() == name {
                // It suspends itself: that has succeeded when it goes on.
                thread.context.info.set(Outcome::Ok as u64);
                self.stop_current();
                thread.set_state(ThreadState::Suspended);
                return Ok(Next::Written);
            }
            self.withdraw(name);
            thread.set_state(ThreadState::Suspended);
        }
        Ok(Next::Done)
    }

    /// `thread_resume(thread)`. Checks, in order: the thread (`MANAGE`); it is suspended.
    pub(super) fn thread_resume(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let thread = self.living_thread(operands)?;
        if thread.is_suspended.replace(0) == 0 {
            return Err(Outcome::InvalidState.into());
        }
        if thread.is(ThreadState::Suspended) {
            self.make_ready(operands.a());
        }
        Ok(Next::Done)
    }

    /// `thread_priority(thread, priority)`. Checks, in order: the thread (`MANAGE`); the priority, at most the process's highest.
    pub(super) fn thread_priority(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let thread = self.living_thread(operands)?;
        let priority = operands.word(0);
        if priority > u64::from(self.at(thread.process.get()).highest_priority.get()) {
            return Err(Outcome::BadArgument.into());
        }
        let name: Name<Thread> = operands.a();
        let is_queued = thread.run_is_linked();
        if is_queued {
            self.dequeue(name);
        }
        thread.base_priority.set(priority as u32);
        thread.priority.set(priority as u32);
        if is_queued {
            self.enqueue(name, crate::sched::ready::End::Back);
        }
        Ok(Next::Done)
    }

    /// A thread whose registers stand still.
    fn still_thread(&self, operands: &Operands<'_>) -> Result<&Thread, Stop> {
        let thread = self.living_thread(operands)?;
        let is_still = matches!(thread.state(), ThreadState::Created | ThreadState::Faulted | ThreadState::Suspended);
        is_still.then_some(thread).ok_or(Outcome::InvalidState.into())
    }

    /// `thread_registers(thread)`. Checks, in order: the thread (`READ`); it stands still.
    pub(super) fn thread_registers(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let context = &self.still_thread(operands)?.context;
        let page = Frame::new(operands.thread.call.receive_page.get());
        for (word, register) in self.machine().words(page).iter().zip(registers(context)) {
            word.set(register.get());
        }
        Ok(Next::Done)
    }

    /// `thread_set_registers(thread)`. Checks, in order: the thread (`WRITE`); it stands still; instruction pointer, stack pointer and fs base are
    /// user space's.
    pub(super) fn thread_set_registers(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let context = &self.still_thread(operands)?.context;
        let page = Frame::new(operands.thread.call.send_page.get());
        let words = self.machine().words(page);
        // The page is user memory: each word is read once.
        let mut values = [0; REGISTERS];
        for (value, word) in values.iter_mut().zip(words) {
            *value = word.get();
        }
        let [stack, instruction, flags, fs_base] = [values[7], values[16], values[17], values[18]];
        if instruction >= USER_END || stack > USER_END || fs_base >= USER_END {
            return Err(Outcome::BadAddress.into());
        }
        values[17] = flags & CHOOSABLE_FLAGS | INITIAL_FLAGS;
        for (register, value) in registers(context).into_iter().zip(values) {
            register.set(value);
        }
        context.entered.set(UserContext::BY_INTERRUPT);
        Ok(Next::Done)
    }

    /// `thread_exit()`.
    pub(super) fn thread_exit(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        self.stop_current();
        self.end_thread(operands.name);
        Ok(Next::Blocked)
    }

    /// `thread_info(thread)`. Checks: the thread (`INSPECT`).
    pub(super) fn thread_info(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let thread = self.at_home(operands.a::<Thread>())?;
        let machine = self.machine();
        let since = machine.ticks().wrapping_sub(thread.since.get());
        operands.set_result(thread.state() as u64 | u64::from(thread.priority.get()) << 8);
        operands.set_second_result(machine.now().saturating_sub(machine.ticks_to_nanoseconds(since)));
        operands.set_words(&[
            machine.ticks_to_nanoseconds(thread.ticks.get()),
            self.public_number(thread.waits_on.get()),
            u64::from(thread.number.get()),
        ]);
        Ok(Next::Done)
    }
}

/// Registers in a record.
const REGISTERS: usize = 19;

/// Registers in the order of [`abi::records::ThreadRegisters`].
fn registers(context: &UserContext) -> [&core::cell::Cell<u64>; REGISTERS] {
    let words = &context.words;
    [
        &context.info,
        &context.rbx,
        &context.rcx,
        &words[0],
        &context.argument,
        &context.handles,
        &context.rbp,
        &context.rsp,
        &words[1],
        &words[2],
        &words[3],
        &context.r11,
        &words[4],
        &words[5],
        &words[6],
        &words[7],
        &context.rip,
        &context.rflags,
        &context.fs_base,
    ]
}
