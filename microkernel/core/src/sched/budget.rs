//! Budgets: how much of a CPU's time a process, and all that it makes, may use in each period.
//!
//! A thread runs on somebody's budget, its *payer*'s: that of its process, or while it answers a call that of the call. What is not limited has
//! no payer, and costs nothing to account for. A budget may run into debt, because a server is never stopped in the middle of a call by what its client
//! may spend: the debt is paid from the client's next periods, in which the client waits.

use core::cell::Cell;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use abi::{Outcome, layout::NEVER, records::ThreadState};
use zerocopy::FromBytes;

use super::ready::End;
use crate::object::{Name, Process, Thread};
use crate::syscall::{Next, Operands, Stop};
use crate::{Kernel, Machine};

/// The shortest budget: below it, switching would cost more than what runs.
const LEAST_NANOSECONDS: u64 = 50_000;
/// The longest period.
const LONGEST_PERIOD_NANOSECONDS: u64 = 10_000_000_000;

/// What a process may use. Atomic, because threads on other CPUs may run on it.
#[derive(FromBytes)]
#[repr(C)]
pub struct Budget {
    /// Nanoseconds in each period; 0 if there is no limit.
    amount: AtomicU64,
    period: AtomicU64,
    /// What is left of it; below zero, what is owed.
    left: AtomicI64,
    /// When the next period begins.
    refill_at: AtomicU64,
}

impl<M: Machine> Kernel<M> {
    /// `process_budget(process, nanoseconds, period)`, at the process's home; two zeros take the limit away.
    ///
    /// Checks, in order: the process (`OWN`); the caller is not limited itself; the amounts; the process lives.
    pub fn process_budget(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        if self.at(operands.thread.process.get()).payer.get().is_some() {
            return Err(Outcome::NoRights.into());
        }
        let (amount, period) = (operands.word(0), operands.word(1));
        let is_limit = amount >= LEAST_NANOSECONDS && amount <= period && period <= LONGEST_PERIOD_NANOSECONDS;
        if !is_limit && (amount, period) != (0, 0) {
            return Err(Outcome::BadArgument.into());
        }
        let (name, process) = self.living_process(operands)?;
        let budget = &process.budget;
        budget.amount.store(amount, Ordering::Relaxed);
        budget.period.store(period, Ordering::Relaxed);
        budget.left.store(amount as i64, Ordering::Relaxed);
        budget.refill_at.store(self.machine().now().saturating_add(period), Ordering::Relaxed);
        let (old, new) = (process.payer.get(), if is_limit { name } else { Name::NONE });
        self.set_payer(&process.payer, new);
        self.for_each_thread(process, |thread| {
            // One that answers a call goes on on the call's budget.
            if self.at(thread).payer.get() == old {
                self.set_payer(&self.at(thread).payer, new);
                self.end_throttling(thread);
            }
        });
        Ok(Next::Done)
    }

    /// Changes who pays. A payer is kept as long as somebody runs on it.
    pub fn set_payer(&self, place: &Cell<Name<Process>>, payer: Name<Process>) {
        let old = place.get();
        if old == payer {
            return;
        }
        if payer.is_some() {
            self.pin(payer);
        }
        place.set(payer);
        if old.is_some() {
            self.unpin(old);
        }
    }

    /// A thread runs on this budget from now on; what it has used so far is the last one's.
    pub fn run_on(&self, thread: &Thread, payer: Name<Process>) {
        if thread.payer.get() != payer {
            self.account();
            self.set_payer(&thread.payer, payer);
        }
    }

    /// Takes what a thread has used from its payer.
    pub fn charge_time(&self, payer: Name<Process>, ticks: u64) {
        let used = self.machine().ticks_to_nanoseconds(ticks);
        self.at(payer).budget.left.fetch_sub(used as i64, Ordering::Relaxed);
    }

    /// What is left to a payer, after the periods that have begun were added.
    pub fn budget_left(&self, payer: Name<Process>) -> i64 {
        let budget = &self.at(payer).budget;
        let (amount, period) = (budget.amount.load(Ordering::Relaxed), budget.period.load(Ordering::Relaxed));
        let (now, due) = (self.machine().now(), budget.refill_at.load(Ordering::Relaxed));
        if amount == 0 {
            return i64::MAX;
        }
        let periods = if now < due { 0 } else { 1 + (now - due) / period };
        let next = due + periods * period;
        // Whoever moves the moment adds what belongs to it.
        if periods != 0 && budget.refill_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let gain = i64::try_from(periods.saturating_mul(amount)).unwrap_or(i64::MAX);
            let add = |left: i64| Some(left.saturating_add(gain).min(amount as i64));
            let _ = budget.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
        budget.left.load(Ordering::Relaxed)
    }

    /// Whether a thread must wait for its next period: its process has used up what it may. A thread that answers somebody else's call goes on.
    #[inline]
    pub fn is_out_of_budget(&self, thread: &Thread) -> bool {
        let payer = thread.payer.get();
        payer.is_some() && payer == self.at(thread.process.get()).payer.get() && self.budget_left(payer) <= 0
    }

    /// Puts a thread aside, which is ready and in no queue, until its payer's next period. One that has just run goes on after those that have not: its
    /// deadline is `later` by an instant.
    pub fn throttle(&self, name: Name<Thread>, later: u64) {
        let thread = self.at(name);
        thread.is_throttled.set(1);
        thread.call.deadline.set(self.at(thread.payer.get()).budget.refill_at.load(Ordering::Relaxed) + later);
        self.add_timer(name.cast());
    }

    /// A thread that was put aside goes on.
    pub fn end_throttling(&self, name: Name<Thread>) {
        if self.at(name).is_throttled.replace(0) != 0 {
            self.remove_timer(name.cast());
            self.enqueue(name, End::Back);
        }
    }

    /// Takes a ready thread out of its run queue, or from where it waits for its budget.
    pub fn withdraw(&self, name: Name<Thread>) {
        let thread = self.at(name);
        if thread.is_throttled.replace(0) != 0 {
            self.remove_timer(name.cast());
        } else if thread.run.is_linked() {
            self.dequeue(name);
        }
    }

    /// The current thread's budget ends no later than the timer comes.
    #[cold]
    pub fn watch_budget(&self, payer: Name<Process>) {
        let left = self.budget_left(payer);
        let end = self.machine().now().saturating_add(left.max(0) as u64);
        if left > 0 && end < self.armed_until.get() && end != NEVER {
            self.arm(end);
        }
    }

    /// If the current thread, which is limited, has used up its budget, others run.
    #[cold]
    pub fn stop_if_out_of_budget(&self, current: Name<Thread>) {
        self.account();
        let thread = self.at(current);
        if thread.must_continue.get() == 0 && thread.is(ThreadState::Ready) && self.is_out_of_budget(thread) {
            self.stop_current();
            self.throttle(current, 1);
        }
    }
}
