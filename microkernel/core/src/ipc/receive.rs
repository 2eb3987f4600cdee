//! The one wait point of a server: what `receive` gives, and in which order.

use abi::{MessageInfo, Outcome, Rights, WakeKind, layout::NEVER, outcome::NotDelivered, records::ThreadState};

use crate::object::{CallState, Caller, Endpoint, Kind, Name, Thread, pending};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// `receive(endpoint, deadline)` of the current thread. The endpoint is bound to its process.
    pub fn receive(&self, name: Name<Thread>, endpoint_name: Name<Endpoint>) -> Result<(), Outcome> {
        let thread = self.at(name);
        let endpoint = self.at(endpoint_name);
        thread.priority.set(thread.base_priority.get());
        self.run_on(thread, self.at(thread.process.get()).payer.get());
        // What is pending may turn out to be nothing: a cancelled call whose Reply was closed, bits that were polled.
        while endpoint.pending.get() != 0 {
            if self.next_wake(endpoint, name)? {
                return Ok(());
            }
        }
        let deadline = thread.context.argument.get();
        if deadline != NEVER && deadline <= self.machine().now() {
            return Err(Outcome::DeadlinePassed);
        }
        self.block_current(ThreadState::Receiving, endpoint_name.bits());
        let process = self.at(thread.process.get());
        thread.endpoints_closed.set(process.endpoints_closed.get());
        thread.call.deadline.set(deadline);
        self.push_back(&endpoint.receivers, name.cast());
        self.add_timer(name.cast());
        Ok(())
    }

    /// Something was queued: a waiting receiver gets it.
    pub fn serve_receiver(&self, endpoint_name: Name<Endpoint>) {
        let endpoint = self.at(endpoint_name);
        while endpoint.pending.get() != 0 {
            let Some(first) = endpoint.receivers.first() else {
                return;
            };
            let name: Name<Thread> = first.cast();
            if !self.at(self.at(name).process.get()).is_alive() {
                // What is queued waits for the next receiver.
                return;
            }
            match self.next_wake(endpoint, name) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(outcome) => self.at(name).context.info.set(outcome as u64),
            }
            self.unlink(&endpoint.receivers, first);
            self.remove_timer(first);
            self.make_ready(name);
        }
    }

    /// Writes the next thing that happened into a receiver's registers. False if what was pending turned out to be nothing.
    fn next_wake(&self, endpoint: &Endpoint, name: Name<Thread>) -> Result<bool, Outcome> {
        let thread = self.at(name);
        match endpoint.take_turn() {
            pending::NOTIFIED => Ok(self.wake_notified(endpoint, thread)),
            pending::COMPLETED => {
                let Some(call) = endpoint.completed.first() else {
                    endpoint.lower(pending::COMPLETED);
                    return Ok(false);
                };
                let (info, end) = self.take_end(call.cast(), thread);
                let info = info.with_code(Outcome::Ok as u8).with_flags(WakeKind::Completed as u8);
                thread.context.info.set(u64::from(info.0) | u64::from(end) << 32);
                Ok(true)
            }
            pending::CANCELLED => {
                let Some((handle, badge)) = self.pop_cancelled(endpoint) else {
                    return Ok(false);
                };
                self.set_wake(thread, WakeKind::Cancelled, badge, u64::from(handle.0));
                Ok(true)
            }
            pending::CLOSED => {
                let connection = self.pop_front(&endpoint.closed);
                if endpoint.closed.is_empty() {
                    endpoint.lower(pending::CLOSED);
                }
                Ok(connection.is_some_and(|connection| {
                    let badge = self.at(connection).badge.get();
                    self.set_wake(thread, WakeKind::Closed, badge, 0);
                    // A ring that was not taken before is no news any more.
                    self.unqueue_connection(connection);
                    self.unpin(connection);
                    true
                }))
            }
            pending::RUNG => {
                let connection = self.pop_front(&endpoint.rung);
                if endpoint.rung.is_empty() {
                    endpoint.lower(pending::RUNG);
                }
                Ok(connection.is_some_and(|connection| {
                    let badge = self.at(connection).badge.get();
                    self.set_wake(thread, WakeKind::Rung, badge, 0);
                    self.unpin(connection);
                    true
                }))
            }
            _ => self.wake_called(endpoint, name),
        }
    }

    fn wake_notified(&self, endpoint: &Endpoint, thread: &Thread) -> bool {
        let Some(name) = self.pop_front(&endpoint.notified) else {
            endpoint.lower(pending::NOTIFIED);
            return false;
        };
        if endpoint.notified.is_empty() {
            endpoint.lower(pending::NOTIFIED);
        }
        let notification = self.at(name);
        let bits = notification.take(u64::MAX);
        if bits == 0 {
            return false;
        }
        self.set_wake(thread, WakeKind::Notified, notification.cookie.get(), bits);
        true
    }

    /// Gives the most urgent call to a receiver.
    fn wake_called(&self, endpoint: &Endpoint, receiver: Name<Thread>) -> Result<bool, Outcome> {
        let Some(priority) = endpoint.call_priorities.get().checked_ilog2() else {
            endpoint.lower(pending::CALLED);
            return Ok(false);
        };
        let Some(name) = endpoint.calls[priority as usize].first() else {
            return Ok(false);
        };
        let payer = self.at(name).call.payer.get();
        if payer.is_some() && self.budget_left(payer) <= 0 {
            self.unqueue(name);
            self.end_call(name, Outcome::NotDelivered, NotDelivered::Refused as u32);
            return Ok(false);
        }
        self.deliver(endpoint, name, receiver)?;
        Ok(true)
    }

    /// Delivers a queued call to a receiver whose process has room for its handles.
    fn deliver(&self, endpoint: &Endpoint, name: Name<Caller>, receiver_name: Name<Thread>) -> Result<(), Outcome> {
        let record = &self.at(name).call;
        let receiver = self.at(receiver_name);
        let process = self.at(receiver.process.get());
        let info = MessageInfo(record.info.get());
        self.reserve_slots(process, 1 + info.handles() as u32)?;
        let (handle, slot) =
            self.take_slot(process, name.bits(), Kind::Reply, Rights::empty()).ok_or(Outcome::QuotaHandles)?;
        slot.badge.set(record.badge.get());

        self.unqueue(name);
        record.set_state(CallState::Received);
        record.receiver.set(receiver.process.get());
        record.reply_slot.set(handle.slot() as u32);
        endpoint.outstanding.set(endpoint.outstanding.get() + 1);
        endpoint.server.set(receiver_name);

        let page = receiver.call.receive_page.get();
        self.copy_bytes(info, record.send_page.get(), page);
        let arrived = self.deliver_handles(process, &record.transfers, page);
        self.show_leases(record, page);
        for (to, from) in receiver.context.words.iter().zip(self.words_of(name)) {
            to.set(from.get());
        }
        let info = info.with_code(Outcome::Ok as u8).with_handles(arrived).with_flags(WakeKind::Call as u8);
        receiver.context.info.set(u64::from(info.0));
        receiver.context.handles.set(record.badge.get());
        let priority = record.priority.get();
        receiver.context.argument.set(u64::from(handle.0) | u64::from(priority) << 32);
        receiver.priority.set(receiver.base_priority.get().max(priority));
        self.run_on(receiver, record.payer.get());
        Ok(())
    }

    /// The words of a call's message.
    pub fn words_of(&self, name: Name<Caller>) -> &[core::cell::Cell<u64>; 8] {
        if self.at(name).header.kind.get() == Kind::Call as u32 {
            return &self.at(name.cast::<crate::object::call::Call>()).words;
        }
        let thread = self.at(name.cast::<Thread>());
        if thread.is(ThreadState::Faulted) { &thread.fault_words } else { &thread.context.words }
    }

    fn set_wake(&self, thread: &Thread, kind: WakeKind, badge: u64, argument: u64) {
        let info = MessageInfo::new(Outcome::Ok as u8, 0).with_flags(kind as u8);
        thread.context.info.set(u64::from(info.0));
        thread.context.handles.set(badge);
        thread.context.argument.set(argument);
        thread.context.words.iter().for_each(|word| word.set(0));
    }
}
