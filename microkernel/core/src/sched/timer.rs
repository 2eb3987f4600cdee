//! Deadlines of one CPU: a pairing heap, linked by name through the records that wait.
//!
//! Adding a deadline and removing one that nothing was compared with cost a few stores, which is what a call that is answered in time
//! does. The hardware timer is armed anew only when a deadline is earlier than what it is armed for; it may thus expire
//! for a deadline that is gone, and is then armed for the next.

use crate::object::{CallRecord, Caller, Name};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    #[inline]
    fn timed(&self, bits: u64) -> &CallRecord {
        &self.at(Name::<Caller>::from_bits(bits)).call
    }

    /// Adds a record with its deadline, unless that is never.
    #[inline]
    pub fn add_timer(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        let deadline = record.deadline.get();
        if deadline == abi::layout::NEVER {
            return;
        }
        record.timer_child.set(0);
        record.timer_next.set(0);
        record.timer_previous.set(0);
        record.timer_cpu.set(self.cpu() as u64 + 1);
        let merged = self.meld(self.timers.get(), name.bits());
        self.timers.set(merged);
        if deadline < self.armed_until.get() {
            self.arm(deadline);
        }
    }

    /// Takes a record out if it is in this CPU's heap.
    #[inline]
    pub fn remove_timer(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        if record.timer_cpu.get() != 0 {
            self.take_timer(name, record);
        }
    }

    #[inline(never)]
    fn take_timer(&self, name: Name<Caller>, record: &CallRecord) {
        record.timer_cpu.set(0);
        let orphans = record.timer_child.get();
        if self.timers.get() == name.bits() {
            let merged = self.meld_siblings(orphans);
            self.timers.set(merged);
            return;
        }
        let (next, previous) = (record.timer_next.get(), record.timer_previous.get());
        let before = self.timed(previous);
        if before.timer_child.get() == name.bits() {
            before.timer_child.set(next);
        } else {
            before.timer_next.set(next);
        }
        if next != 0 {
            self.timed(next).timer_previous.set(previous);
        }
        if orphans != 0 {
            let merged = self.meld_siblings(orphans);
            let root = self.meld(self.timers.get(), merged);
            self.timers.set(root);
        }
    }

    /// The earliest deadline.
    pub fn earliest_deadline(&self) -> Option<(Name<Caller>, u64)> {
        match self.timers.get() {
            0 => None,
            bits => Some((Name::from_bits(bits), self.timed(bits).deadline.get())),
        }
    }

    /// Arms the hardware timer.
    pub fn arm(&self, instant: u64) {
        self.armed_until.set(instant);
        self.machine().arm_timer(instant);
    }

    /// Makes one heap of two; either may be empty.
    #[inline]
    fn meld(&self, left: u64, right: u64) -> u64 {
        if left == 0 || right == 0 {
            return left | right;
        }
        let (upper, lower) = if self.timed(right).deadline.get() < self.timed(left).deadline.get() {
            (right, left)
        } else {
            (left, right)
        };
        let (parent, child) = (self.timed(upper), self.timed(lower));
        let first = parent.timer_child.get();
        child.timer_next.set(first);
        child.timer_previous.set(upper);
        if first != 0 {
            self.timed(first).timer_previous.set(lower);
        }
        parent.timer_child.set(lower);
        upper
    }

    /// Makes one heap of a list of siblings: pairs from the front, then from the back.
    fn meld_siblings(&self, first: u64) -> u64 {
        let mut pairs = 0;
        let mut rest = first;
        while rest != 0 {
            let left = rest;
            let right = self.timed(left).timer_next.get();
            rest = if right == 0 { 0 } else { self.timed(right).timer_next.get() };
            self.detach_timer(left);
            if right != 0 {
                self.detach_timer(right);
            }
            let pair = self.meld(left, right);
            self.timed(pair).timer_next.set(pairs);
            pairs = pair;
        }
        let mut heap = 0;
        while pairs != 0 {
            let next = self.timed(pairs).timer_next.get();
            self.detach_timer(pairs);
            heap = self.meld(heap, pairs);
            pairs = next;
        }
        heap
    }

    fn detach_timer(&self, bits: u64) {
        let record = self.timed(bits);
        record.timer_next.set(0);
        record.timer_previous.set(0);
    }
}
