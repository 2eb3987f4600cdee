//! Moving a process to another CPU, with its threads, its endpoints and what is queued there, the calls that it has received, and their
//! deadlines.
//!
//! The old home lets go of everything, makes the new home the home of every object concerned, and posts the process there; the new
//! home takes it up. In between nothing of the process runs. Calls that the process has made stay where they wait: their ends find the
//! new home by themselves. The work is bounded by the process's threads, handles and queued calls.

use core::sync::atomic::Ordering;

use abi::records::ThreadState;

use crate::handle::meta;
use crate::object::{Call, CallState, Caller, Endpoint, Kind, Name, Process, Thread};
use crate::sched::inbox::reason;
use crate::sched::ready::End;
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// Sends a process away that lives here and is alive.
    pub fn move_process(&self, name: Name<Process>, cpu: usize) {
        let process = self.at(name);
        let current = self.current();
        if current.is_some() && self.at(current).process.get() == name {
            self.stop_current();
        }
        self.for_each_thread(process, |thread| self.send_thread_off(thread, cpu));
        self.for_each_endpoint(process, |endpoint| {
            self.release_calls(self.at(endpoint), cpu);
            self.at(endpoint).header.home.store(cpu as u32, Ordering::Release);
        });
        self.for_each_reply_and_call(process, |caller, is_own| {
            if is_own {
                self.send_record_off(caller, cpu);
            } else {
                self.remove_timer(caller);
                self.at(caller).call.set_custody(cpu);
            }
        });
        self.deactivate(name);
        process.header.home.store(cpu as u32, Ordering::Release);
        self.post(name.cast(), reason::MOVE, cpu);
    }

    fn send_thread_off(&self, name: Name<Thread>, cpu: usize) {
        let thread = self.at(name);
        self.withdraw(name);
        match thread.state() {
            ThreadState::Receiving => self.remove_timer(name.cast()),
            // Its wait stays in the keeping of this CPU, which sends it home at its end.
            ThreadState::Waiting => {
                thread.is_away.set(1);
                thread.header.home.store(cpu as u32, Ordering::Release);
                return;
            }
            _ => {}
        }
        self.send_record_off(name.cast(), cpu);
    }

    /// What a process keeps of its own calls goes with it; what another custodian keeps stays there.
    fn send_record_off(&self, name: Name<Caller>, cpu: usize) {
        let caller = self.at(name);
        caller.header.home.store(cpu as u32, Ordering::Release);
        let is_kept_here = caller.call.custody() == self.cpu()
            && !matches!(caller.call.state(), CallState::Queued | CallState::Received | CallState::InTransit);
        if is_kept_here {
            caller.call.set_custody(cpu);
        }
    }

    /// Takes up a process that has moved here.
    pub fn take_up_process(&self, name: Name<Process>) {
        let process = self.at(name);
        self.for_each_thread(process, |name| {
            let thread = self.at(name);
            if thread.is_away.get() != 0 {
                return;
            }
            match thread.state() {
                // It may have been woken here before this was heard of, and even run.
                ThreadState::Ready
                    if !thread.run_is_linked() && thread.is_throttled.get() == 0 && name != self.current() =>
                {
                    self.enqueue(name, End::Back);
                }
                ThreadState::Receiving => self.add_timer(name.cast()),
                _ => {}
            }
        });
        self.for_each_endpoint(process, |endpoint| {
            self.adopt_calls(self.at(endpoint));
            self.serve_receiver(endpoint);
        });
        self.for_each_reply_and_call(process, |caller, is_own| {
            if !is_own && self.at(caller).call.timer_cpu.get() == 0 {
                self.add_timer(caller);
            }
        });
    }

    /// Does something with each thread of a process.
    pub fn for_each_thread(&self, process: &Process, mut each: impl FnMut(Name<Thread>)) {
        let mut next = process.threads.first();
        while let Some(thread) = next {
            next = self.next_in(&process.threads, thread);
            each(thread);
        }
    }

    /// Does something with each endpoint that a process receives on.
    pub fn for_each_endpoint(&self, process: &Process, mut each: impl FnMut(Name<Endpoint>)) {
        let mut next = process.endpoints.first();
        while let Some(endpoint) = next {
            next = self.next_in(&process.endpoints, endpoint);
            each(endpoint);
        }
    }

    /// Callers that the process owes an answer (false) and Calls of its own (true).
    fn for_each_reply_and_call(&self, process: &Process, mut each: impl FnMut(Name<Caller>, bool)) {
        for index in 1..process.slots_made.get() {
            let slot = self.slot(process, index as usize);
            let object = slot.object.get();
            let kind = meta::kind(slot.meta.get());
            if object == 0 {
                continue;
            }
            if kind == Kind::Reply as u8 {
                each(Name::from_bits(object), false);
            } else if kind == Kind::Call as u8 {
                each(Name::<Call>::from_bits(object).cast(), true);
            }
        }
    }
}

impl Thread {
    /// Whether it is in a run queue.
    pub fn run_is_linked(&self) -> bool {
        self.run.is_linked()
    }
}
