//! Doorbells and notifications: news without a message.

use abi::{Outcome, Rights, layout::NEVER, outcome::NotDelivered, records::ThreadState};

use crate::object::{Caller, Connection, Name, Notification, Thread, pending};
use crate::sched::inbox::reason;
use crate::syscall::{Next, Stop};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `ring(connection)`: the receiver gets `Rung(badge)`, once for any number of rings since it last did.
    pub fn ring(&self, thread: &Thread) -> Result<Next, Stop> {
        let process = self.at(thread.process.get());
        let handle = abi::Handle(thread.context.handles.get() as u32);
        let name: Name<Connection> = self.look_up(process, handle, Rights::RING)?;
        let connection = self.at(name);
        let endpoint_name = connection.endpoint.get();
        let endpoint = self.at(endpoint_name);
        let refused = if connection.header.is_dead() {
            Some(NotDelivered::Revoked)
        } else if endpoint.header.is_dead() {
            Some(NotDelivered::Closed)
        } else {
            None
        };
        let info = match refused {
            Some(why) => Outcome::NotDelivered as u64 | (why as u64) << 32,
            None => {
                self.at_endpoint_home(name.cast(), endpoint_name, reason::RING);
                Outcome::Ok as u64
            }
        };
        thread.context.info.set(info);
        Ok(Next::Written)
    }

    /// A post about a Connection: it was rung, or its last counted copy has gone.
    pub fn serve_connection(&self, name: Name<Connection>, reasons: u32) {
        let connection = self.at(name);
        let endpoint_name = connection.endpoint.get();
        let endpoint = self.at(endpoint_name);
        let home = endpoint.header.home();
        if home != self.cpu() {
            return self.post(name.cast(), reasons, home);
        }
        if connection.header.is_dead() || endpoint.header.is_dead() {
            return;
        }
        if reasons & reason::RING != 0 && !connection.rung.is_linked() {
            self.pin(name);
            self.push_back(&endpoint.rung, name);
            endpoint.raise(pending::RUNG);
        }
        if reasons & reason::CLOSE != 0 && !connection.closed.is_linked() {
            self.pin(name);
            self.push_back(&endpoint.closed, name);
            endpoint.raise(pending::CLOSED);
        }
        self.serve_receiver(endpoint_name);
    }

    /// Takes a Connection out of the queues of its endpoint.
    pub fn unqueue_connection(&self, name: Name<Connection>) {
        let connection = self.at(name);
        let endpoint = self.at(connection.endpoint.get());
        if connection.rung.is_linked() {
            self.unlink(&endpoint.rung, name);
            if endpoint.rung.is_empty() {
                endpoint.lower(pending::RUNG);
            }
            self.unpin(name);
        }
        if connection.closed.is_linked() {
            self.unlink(&endpoint.closed, name);
            if endpoint.closed.is_empty() {
                endpoint.lower(pending::CLOSED);
            }
            self.unpin(name);
        }
    }

    /// Sets bits of a notification, from any CPU.
    pub fn signal(&self, name: Name<Notification>, bits: u64) {
        if self.at(name).set(bits) {
            self.kick_notification(name);
        }
    }

    /// Bits were set, or the last owner has gone: whoever waits learns of it. Goes to the CPU that knows who waits.
    pub fn kick_notification(&self, name: Name<Notification>) {
        let notification = self.at(name);
        let bound = notification.bound();
        let home = if bound.is_some() { self.at(bound).header.home() } else { notification.header.home() };
        if home != self.cpu() {
            return self.post(name.cast(), reason::SIGNAL, home);
        }
        let is_dead = notification.header.is_dead();
        if bound.is_some() {
            let endpoint = self.at(bound);
            let is_queued = notification.pending.is_linked();
            if is_dead {
                if is_queued {
                    self.unlink(&endpoint.notified, name);
                }
            } else if !is_queued && !endpoint.header.is_dead() && notification.peek(u64::MAX) != 0 {
                self.push_back(&endpoint.notified, name);
                endpoint.raise(pending::NOTIFIED);
                self.serve_receiver(bound);
            }
            return;
        }
        let mut next = notification.waiters.first();
        while let Some(waiter) = next {
            next = self.next_in(&notification.waiters, waiter);
            let mask = self.at(waiter.cast::<Thread>()).progress.get();
            let bits = if is_dead { 0 } else { notification.take(mask) };
            if is_dead || bits != 0 {
                let outcome = if is_dead { Outcome::NotFound } else { Outcome::Ok };
                self.unlink(&notification.waiters, waiter);
                self.end_wait(waiter, outcome, bits);
            }
        }
    }

    /// Has `thread` wait for bits of `mask` at the notification's home, which is this CPU. It is blocked already if it lives here.
    pub fn wait_for_bits(
        &self,
        name: Name<Thread>,
        notification_name: Name<Notification>,
        mask: u64,
        deadline: u64,
    ) -> Result<Option<u64>, Outcome> {
        let notification = self.at(notification_name);
        let bits = notification.take(mask);
        if bits != 0 {
            return Ok(Some(bits));
        }
        if notification.bound().is_some() {
            return Err(Outcome::InvalidState);
        }
        if deadline != NEVER && deadline <= self.machine().now() {
            return Err(Outcome::DeadlinePassed);
        }
        let thread = self.at(name);
        thread.progress.set(mask);
        thread.waits_on.set(notification_name.bits());
        thread.set_state(ThreadState::Waiting);
        thread.call.deadline.set(deadline);
        self.push_back(&notification.waiters, name.cast());
        self.add_timer(name.cast());
        Ok(None)
    }

    /// Ends a wait that is not a call: the thread is a receiver or waits for bits, and is kept by this CPU.
    pub fn cancel_wait(&self, name: Name<Thread>, outcome: Outcome) {
        let thread = self.at(name);
        let caller: Name<Caller> = name.cast();
        match thread.state() {
            ThreadState::Receiving => {
                let endpoint = self.at(Name::<crate::object::endpoint::Endpoint>::from_bits(thread.waits_on.get()));
                self.unlink_if_linked(&endpoint.receivers, caller);
                self.end_wait(caller, outcome, 0);
            }
            ThreadState::Waiting => {
                let notification = self.at(Name::<Notification>::from_bits(thread.waits_on.get()));
                self.unlink_if_linked(&notification.waiters, caller);
                self.end_wait(caller, outcome, 0);
            }
            _ => {}
        }
    }

    /// A wait is over and its thread in no queue: it goes home with the outcome.
    fn end_wait(&self, waiter: Name<Caller>, outcome: Outcome, bits: u64) {
        self.remove_timer(waiter);
        let name: Name<Thread> = waiter.cast();
        let thread = self.at(name);
        thread.context.info.set(outcome as u64);
        thread.context.handles.set(0);
        thread.context.argument.set(bits);
        thread.set_state(ThreadState::Created);
        if thread.is_away.get() != 0 {
            self.send_home(name);
        } else if self.at(thread.process.get()).is_alive() {
            self.make_ready(name);
        }
    }
}
