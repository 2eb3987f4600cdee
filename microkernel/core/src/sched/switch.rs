//! Which thread runs next, and the switch to it.

use abi::records::ThreadState;

use super::ready::End;
use crate::kernel::Figure;
use crate::machine::Resume;
use crate::mem::frame::Frame;
use crate::object::{Name, Process, Thread};
use crate::{Kernel, Machine};

/// How long a thread runs before others of its priority get their turn.
pub const TURN_NANOSECONDS: u64 = 5_000_000;

impl<M: Machine> Kernel<M> {
    /// The thread that runs, if one does.
    #[inline]
    pub fn current(&self) -> Name<Thread> {
        self.current.get()
    }

    /// Makes a thread ready that waited, or was never started.
    pub fn make_ready(&self, name: Name<Thread>) {
        let thread = self.at(name);
        thread.waits_on.set(0);
        thread.since.set(self.machine().ticks());
        if !self.at(thread.process.get()).is_alive() {
            // It is ended with its process.
            thread.set_state(ThreadState::Created);
            return;
        }
        if thread.is_suspended.get() != 0 {
            thread.set_state(ThreadState::Suspended);
            return;
        }
        thread.set_state(ThreadState::Ready);
        self.enqueue(name, End::Back);
    }

    /// The current thread can't go on: it waits in `state` for `what`.
    pub fn block_current(&self, state: ThreadState, what: u64) {
        let thread = self.at(self.current());
        thread.set_state(state);
        thread.waits_on.set(what);
        thread.since.set(self.machine().ticks());
        self.stop_current();
    }

    /// No thread is current any more.
    pub fn stop_current(&self) {
        self.account();
        self.current.set(Name::NONE);
    }

    /// Puts the time since the last switch on the current thread's account.
    #[inline]
    pub fn account(&self) {
        let now = self.machine().ticks();
        let used = now.wrapping_sub(self.accounted_until.get());
        self.accounted_until.set(now);
        let current = self.current.get();
        if current.is_some() {
            let thread = self.at(current);
            thread.ticks.set(thread.ticks.get().wrapping_add(used));
            let process = self.at(thread.process.get());
            process.ticks.set(process.ticks.get().wrapping_add(used));
            if thread.payer.get().is_some() {
                self.charge_time(thread.payer.get(), used);
            }
        } else {
            self.count(Figure::IdleTicks, used);
        }
    }

    /// Makes `name` the current thread, whose state is ready and which is in no queue.
    #[inline]
    pub fn switch_to(&self, name: Name<Thread>) {
        self.account();
        self.current.set(name);
        let process = self.at(name).process.get();
        if process != self.active_process.get() {
            self.activate(process);
        }
    }

    /// Makes a process's address space the active one.
    #[inline]
    pub fn activate(&self, name: Name<Process>) {
        let process = self.at(name);
        self.active_process.set(name);
        process.switches.set(process.switches.get() + 1);
        self.count(Figure::Switches, 1);
        if process.port_count.get() | self.ports_active.get() != 0 {
            self.activate_ports(process);
        }
        self.machine().activate(process.root_frame());
    }

    /// Makes the kernel's own, empty address space the active one, if `process` is active: its tables are about to go.
    pub fn deactivate(&self, process: Name<Process>) {
        if self.active_process.get() == process {
            self.active_process.set(Name::NONE);
            self.machine().activate(Frame::new(self.shared().kernel_root()));
        }
    }

    /// What happens at the end of every entry but those of the fast path.
    pub fn leave(&self) -> Resume<'_> {
        if !self.shared().cpu(self.cpu()).inbox.is_empty() {
            self.serve_inbox();
        }
        loop {
            self.work_a_slice();
            self.choose();
            let current = self.current();
            if current.is_none() {
                if self.has_work() || !self.shared().cpu(self.cpu()).inbox.is_empty() {
                    return Resume::Poll;
                }
                self.tell_idle();
                if self.ready.highest().is_some() {
                    continue;
                }
                return Resume::Idle;
            }
            if self.busy_since.get() == 0 {
                self.busy_since.set(self.machine().now());
            }
            let thread = self.at(current);
            if thread.must_continue.get() != 0 {
                thread.must_continue.set(0);
                self.continue_call(current);
                if self.current() == current && thread.must_continue.get() != 0 {
                    // Another step is needed; whatever is urgent comes first.
                    return Resume::Poll;
                }
                continue;
            }
            self.watch_turn(thread);
            if thread.payer.get().is_some() {
                self.watch_budget(thread.payer.get());
            }
            return Resume::User(&thread.context);
        }
    }

    /// Keeps the current thread or replaces it by a ready one of a higher priority.
    fn choose(&self) {
        let current = self.current();
        if current.is_some() && self.at(current).payer.get().is_some() {
            self.stop_if_out_of_budget(current);
        }
        let current = self.current();
        if current.is_some() {
            if !self.ready.has_above(self.at(current).priority.get()) {
                return;
            }
            self.stop_current();
            self.enqueue(current, End::Front);
        }
        while let Some(next) = self.dequeue_next() {
            // A thread of a process that has been condemned runs no more; it is ended with the process.
            let thread = self.at(next);
            if !self.at(thread.process.get()).is_alive() {
                continue;
            }
            if self.is_out_of_budget(thread) {
                self.throttle(next, 0);
                continue;
            }
            self.switch_to(next);
            return;
        }
    }

    /// The current thread lets others of its priority run.
    pub fn yield_current(&self) {
        let current = self.current();
        if current.is_some() && self.ready.has_at(self.at(current).priority.get()) {
            self.stop_current();
            self.enqueue(current, End::Back);
        }
    }

    /// Makes sure that the timer ends the thread's turn if another one waits for it.
    fn watch_turn(&self, thread: &Thread) {
        if self.turn_end.get() == abi::layout::NEVER && self.ready.has_at(thread.priority.get()) {
            let end = self.machine().now() + TURN_NANOSECONDS;
            self.turn_end.set(end);
            if end < self.armed_until.get() {
                self.arm(end);
            }
        }
    }

    /// The timer expired: ends what is due.
    pub fn serve_timer(&self) {
        let now = self.machine().now();
        self.armed_until.set(abi::layout::NEVER);
        while let Some((name, deadline)) = self.earliest_deadline() {
            if deadline > now {
                break;
            }
            self.remove_timer(name);
            self.deadline_passed(name);
        }
        if self.turn_end.get() <= now {
            self.turn_end.set(abi::layout::NEVER);
            self.yield_current();
        }
        let next =
            self.earliest_deadline().map_or(abi::layout::NEVER, |(_, deadline)| deadline).min(self.turn_end.get());
        if next != abi::layout::NEVER {
            self.arm(next);
        }
    }
}
