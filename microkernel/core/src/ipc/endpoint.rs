//! Who receives on an endpoint, and its end.

use core::sync::atomic::Ordering;

use abi::{Handle, Outcome, Rights, outcome::NotDelivered, records::ThreadState};

use crate::object::{Caller, Connection, Endpoint, Name, Process, Thread};
use crate::sched::inbox::reason;
use crate::sched::work::Progress;
use crate::syscall::Stop;
use crate::{Kernel, Machine};

/// Things that are ended in one slice.
const SLICE: usize = 32;

impl<M: Machine> Kernel<M> {
    /// Makes the process of `thread` the receiver of an endpoint.
    ///
    /// Checks, in order: the handle (`RECEIVE`); the endpoint lives; no other process receives on it.
    pub fn bind_endpoint(&self, thread: &Thread, handle: Handle) -> Result<Name<Endpoint>, Stop> {
        let process_name = thread.process.get();
        let process = self.at(process_name);
        let name: Name<Endpoint> = self.look_up(process, handle, Rights::RECEIVE)?;
        // Whether it is free is for its home to say.
        let endpoint = self.at_home(name)?;
        if endpoint.header.is_dead() {
            return Err(Outcome::InvalidState.into());
        }
        if endpoint.process.get() == process_name {
            return Ok(name);
        }
        if endpoint.process.get().is_some() {
            return Err(Outcome::Busy.into());
        }
        endpoint.process.set(process_name);
        endpoint.incarnation.set(endpoint.incarnation.get() + 1);
        self.push_back(&process.endpoints, name);
        if endpoint.is_kept.replace(1) == 0 {
            self.pin(name);
        }
        self.adopt_calls(endpoint);
        Ok(name)
    }

    /// Gives an endpoint that nobody receives on to another CPU, queued calls included.
    ///
    /// Checks, in order: the endpoint lives; nobody receives on it.
    pub fn hand_over_endpoint(&self, name: Name<Endpoint>, cpu: usize) -> Result<(), Outcome> {
        let endpoint = self.at(name);
        if endpoint.header.is_dead() {
            return Err(Outcome::InvalidState);
        }
        if endpoint.process.get().is_some() {
            return Err(Outcome::Busy);
        }
        self.release_calls(endpoint, cpu);
        endpoint.header.home.store(cpu as u32, Ordering::Release);
        // The deadlines of what is queued must be kept even if the thread that wanted the endpoint is dead by now.
        self.post(name.cast(), reason::ADOPT, cpu);
        Ok(())
    }

    /// A post about an endpoint.
    pub fn serve_endpoint(&self, name: Name<Endpoint>, reasons: u32) {
        let endpoint = self.at(name);
        let home = endpoint.header.home();
        if home != self.cpu() {
            return self.post(name.cast(), reasons, home);
        }
        if reasons & reason::ADOPT != 0 {
            self.adopt_calls(endpoint);
            self.serve_receiver(name);
        }
        if reasons & reason::CLOSE != 0 {
            self.close_endpoint(name);
        }
    }

    /// This CPU keeps the deadlines of an endpoint's queued calls from now on.
    pub fn adopt_calls(&self, endpoint: &Endpoint) {
        self.for_each_call(endpoint, |call| {
            let record = &self.at(call).call;
            record.set_custody(self.cpu());
            if record.timer_cpu.get() == 0 {
                self.add_timer(call);
            }
        });
    }

    /// This CPU keeps them no more; `cpu` will.
    pub fn release_calls(&self, endpoint: &Endpoint, cpu: usize) {
        self.for_each_call(endpoint, |call| {
            self.remove_timer(call);
            self.at(call).call.set_custody(cpu);
        });
    }

    fn for_each_call(&self, endpoint: &Endpoint, mut each: impl FnMut(Name<Caller>)) {
        let mut priorities = endpoint.call_priorities.get();
        while let Some(priority) = priorities.checked_ilog2() {
            priorities &= !(1 << priority);
            let list = &endpoint.calls[priority as usize];
            let mut next = list.first();
            while let Some(call) = next {
                next = self.next_in(list, call);
                each(call);
            }
        }
    }

    /// The receiver has died: queued calls wait for the next one.
    pub fn unbind_endpoint(&self, process: &Process, name: Name<Endpoint>) {
        let endpoint = self.at(name);
        self.unlink_if_linked(&process.endpoints, name);
        endpoint.process.set(Name::NONE);
        endpoint.server.set(Name::NONE);
        endpoint.cancelled_first.set(0);
        endpoint.cancelled_last.set(0);
        endpoint.lower(crate::object::endpoint::pending::CANCELLED);
        self.settle_endpoint(name);
    }

    /// Lets go of the reference that a receiver, or a call that it has, keeps on its endpoint, once there is neither.
    pub fn settle_endpoint(&self, name: Name<Endpoint>) {
        let endpoint = self.at(name);
        if endpoint.is_kept.get() != 0 && endpoint.outstanding.get() == 0 && endpoint.process.get().is_none() {
            endpoint.is_kept.set(0);
            self.unpin(name);
        }
    }

    /// The last owner of an endpoint that is at home here has gone.
    fn close_endpoint(&self, name: Name<Endpoint>) {
        let endpoint = self.at(name);
        if endpoint.header.is_dead.swap(1, Ordering::AcqRel) != 0 {
            return;
        }
        let process = endpoint.process.get();
        if process.is_some() {
            let owner = self.at(process);
            while endpoint.cancelled_first.get() != 0 {
                let _ = self.pop_cancelled(endpoint);
            }
            self.unlink_if_linked(&owner.endpoints, name);
            endpoint.process.set(Name::NONE);
            endpoint.server.set(Name::NONE);
        }
        // What is queued ends in slices.
        self.pin(name);
        self.settle_endpoint(name);
        self.add_work(name.cast());
    }

    /// Ends some of what is queued at a dead endpoint.
    pub fn take_apart_endpoint(&self, name: Name<Endpoint>) -> Progress {
        let endpoint = self.at(name);
        for _ in 0..SLICE {
            if !self.end_something(endpoint) {
                self.unpin(name);
                return Progress::Done;
            }
        }
        Progress::More
    }

    fn end_something(&self, endpoint: &Endpoint) -> bool {
        if let Some(priority) = endpoint.call_priorities.get().checked_ilog2() {
            if let Some(call) = endpoint.calls[priority as usize].first() {
                self.unqueue(call);
                self.end_call(call, Outcome::NotDelivered, NotDelivered::Closed as u32);
            }
            return true;
        }
        if let Some(receiver) = endpoint.receivers.first() {
            self.cancel_wait(receiver.cast(), Outcome::InvalidState);
            return true;
        }
        if let Some(connection) = endpoint.closed.first().or(endpoint.rung.first()) {
            self.unqueue_connection(connection);
            return true;
        }
        self.pop_front(&endpoint.notified).is_some() || self.pop_front(&endpoint.completed).is_some()
    }

    /// Revokes a Connection, at its endpoint's home; false if there is more to end.
    pub fn revoke_connection(&self, name: Name<Connection>) -> bool {
        let connection = self.at(name);
        connection.header.is_dead.store(1, Ordering::Release);
        self.unqueue_connection(name);
        for _ in 0..SLICE {
            let Some(call) = connection.calls.first() else {
                return true;
            };
            self.unqueue(call);
            self.end_call(call, Outcome::NotDelivered, NotDelivered::Revoked as u32);
        }
        connection.calls.is_empty()
    }

    /// Whether a thread waits in `receive`.
    pub fn has_receiver(&self, endpoint: &Endpoint) -> bool {
        endpoint.receivers.first().is_some_and(|receiver| self.at(receiver.cast::<Thread>()).is(ThreadState::Receiving))
    }
}
