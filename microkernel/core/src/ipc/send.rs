//! The way of a call from its caller to the endpoint's queue.

use abi::{Handle, MessageInfo, Outcome, Rights, layout::NEVER, outcome::NotDelivered, records::ThreadState};

use super::transfer::Parcel;
use crate::object::{Call, CallRecord, CallState, Caller, Connection, Endpoint, Kind, Name, Process, Thread, pending};
use crate::sched::inbox::reason;
use crate::sched::ready::End;
use crate::syscall::{Next, Stop};
use crate::{Kernel, Machine};

/// Threads that one call lends its priority to, at most.
const MAX_LENDERS: usize = 8;

/// A call whose arguments have all been checked.
pub struct CheckedCall {
    connection: Name<Connection>,
    behalf: Behalf,
    deadline: u64,
    info: MessageInfo,
    parcel: Parcel,
}

/// On whose behalf a call is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behalf {
    /// The caller's own.
    Own,
    /// That of a call that the caller has received.
    Of(Name<Caller>),
    /// That of a call that has ended meanwhile.
    Gone,
}

impl<M: Machine> Kernel<M> {
    /// `call(connection, on behalf of, deadline, message)` of the current thread.
    ///
    /// Checks, in order: the Connection (`CALL`); the Reply, if one is named; the deadline (not `NEVER`); the shape of the message; each handle in it.
    pub fn call(&self, name: Name<Thread>) -> Result<Next, Stop> {
        let thread = self.at(name);
        let process = self.at(thread.process.get());
        let handles = thread.context.handles.get();
        let checked = self.check_call(
            process,
            Handle(handles as u32),
            Handle((handles >> 32) as u32),
            thread.context.argument.get(),
            MessageInfo(thread.context.info.get() as u32),
            &thread.call,
        )?;
        let endpoint = self.at(checked.connection).endpoint.get();
        self.block_current(ThreadState::Calling, endpoint.bits());
        self.launch(name.cast(), process, &checked, thread);
        Ok(Next::Blocked)
    }

    /// `call_start(Call, connection, on behalf of, deadline, message)`.
    ///
    /// Checks, in order: the Call; it is idle; those of [`Kernel::call`].
    pub fn call_start(&self, name: Name<Thread>) -> Result<Next, Stop> {
        let thread = self.at(name);
        let process = self.at(thread.process.get());
        let (info, handles) = (thread.context.info.get(), thread.context.handles.get());
        let call_name: Name<Call> = self.look_up(process, Handle((info >> 32) as u32), Rights::empty())?;
        let call = self.at(call_name);
        if call.call.state() != CallState::Idle {
            return Err(Outcome::Busy.into());
        }
        let checked = self.check_call(
            process,
            Handle(handles as u32),
            Handle((handles >> 32) as u32),
            thread.context.argument.get(),
            MessageInfo(info as u32),
            &call.call,
        )?;
        for (to, from) in call.words.iter().zip(&thread.context.words) {
            to.set(from.get());
        }
        self.pin(call_name);
        self.launch(call_name.cast(), process, &checked, thread);
        Ok(Next::Done)
    }

    fn check_call(
        &self,
        process: &Process,
        connection: Handle,
        behalf: Handle,
        deadline: u64,
        info: MessageInfo,
        record: &CallRecord,
    ) -> Result<CheckedCall, Outcome> {
        let connection = self.look_up(process, connection, Rights::CALL)?;
        let behalf = self.check_behalf(process, behalf)?;
        if deadline == NEVER {
            return Err(Outcome::BadArgument);
        }
        let parcel = self.check_message(process, info, record.send_page.get())?;
        self.check_leases(process, info, record)?;
        Ok(CheckedCall { connection, behalf, deadline, info, parcel })
    }

    fn check_behalf(&self, process: &Process, handle: Handle) -> Result<Behalf, Outcome> {
        if handle.is_none() {
            return Ok(Behalf::Own);
        }
        let parent = self.look_up_held(process, handle, Some(Kind::Reply), Rights::empty())?.name;
        Ok(if parent.is_none() { Behalf::Gone } else { Behalf::Of(parent.cast()) })
    }

    /// Sends a checked call on its way. Its record is idle; what sends it, if it is a thread, is blocked already.
    fn launch(&self, name: Name<Caller>, process: &Process, call: &CheckedCall, thread: &Thread) {
        let record = &self.at(name).call;
        self.take_parcel(process, &call.parcel, &record.transfers);
        self.take_leases(record, call.info.leases());
        record.info.set(call.info.0);
        record.priority.set(thread.priority.get());
        record.deadline.set(call.deadline);
        self.set_payer(&record.payer, thread.payer.get());
        match call.behalf {
            Behalf::Own => {}
            Behalf::Of(parent) => self.depend(name, parent),
            Behalf::Gone => {
                return self.end_call(name, Outcome::NotDelivered, NotDelivered::Refused as u32);
            }
        }
        self.dispatch_call(name, call.connection);
    }

    /// Makes a call depend on the one on whose behalf it is made.
    fn depend(&self, name: Name<Caller>, parent: Name<Caller>) {
        let record = &self.at(name).call;
        let above = &self.at(parent).call;
        record.behalf.set(parent);
        self.push_back(&above.dependents, name);
        record.deadline.set(record.deadline.get().min(above.deadline.get()));
        record.priority.set(record.priority.get().max(above.priority.get()));
        self.set_payer(&record.payer, above.payer.get());
    }

    /// Brings a call to its endpoint, here or on another CPU.
    pub fn dispatch_call(&self, name: Name<Caller>, connection: Name<Connection>) {
        let record = &self.at(name).call;
        let through = self.at(connection);
        record.endpoint.set(through.endpoint.get());
        record.connection.set(connection);
        record.badge.set(through.badge.get());
        record.set_state(CallState::InTransit);
        self.pin(connection);
        self.route_call(name);
    }

    /// Has the call arrive at its endpoint's home, wherever that is now.
    pub fn route_call(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        let home = self.at(record.endpoint.get()).header.home();
        record.set_custody(home);
        if home == self.cpu() {
            self.arrive(name);
        } else {
            self.post(name.cast(), reason::ARRIVE, home);
        }
    }

    /// The call is at its endpoint's home.
    fn arrive(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        let endpoint_name = record.endpoint.get();
        let endpoint = self.at(endpoint_name);
        let refused = if endpoint.header.is_dead() {
            Some((Outcome::NotDelivered, NotDelivered::Closed as u32))
        } else if self.at(record.connection.get()).header.is_dead() {
            Some((Outcome::NotDelivered, NotDelivered::Revoked as u32))
        } else if record.deadline.get() <= self.machine().now() {
            Some((Outcome::DeadlinePassed, 0))
        } else {
            None
        };
        if let Some((outcome, detail)) = refused {
            self.leave_connection(name);
            return self.end_call(name, outcome, detail);
        }

        record.set_state(CallState::Queued);
        record.queued_at.set(self.machine().ticks());
        self.join_queue(name, endpoint);
        let connection = self.at(record.connection.get());
        self.push_back(&connection.calls, name);
        endpoint.queued.set(endpoint.queued.get() + 1);
        self.add_timer(name);
        self.serve_receiver(endpoint_name);
        if record.state() == CallState::Queued {
            self.lend_priority(endpoint, record.priority.get());
        }
    }

    /// Lets whoever stands between a waiting call and its answer run at that call's priority: the thread that receives there, and if that waits for an answer
    /// itself, the one that is to give it.
    fn lend_priority(&self, first: &Endpoint, priority: u32) {
        let mut endpoint = first;
        for _ in 0..MAX_LENDERS {
            let name = endpoint.server.get();
            if name.is_none() || self.at(name).priority.get() >= priority {
                return;
            }
            let thread = self.at(name);
            let is_queued = thread.run.is_linked();
            if is_queued {
                self.dequeue(name);
            }
            thread.priority.set(priority);
            if is_queued {
                self.enqueue(name, End::Back);
            }
            let record = &thread.call;
            if record.custody() != self.cpu() || !matches!(record.state(), CallState::Queued | CallState::Received) {
                return;
            }
            endpoint = self.at(record.endpoint.get());
            if record.state() == CallState::Queued {
                self.leave_queue(name.cast(), endpoint);
                record.priority.set(priority);
                self.join_queue(name.cast(), endpoint);
            }
        }
    }

    /// Puts a call into the queue of its priority.
    fn join_queue(&self, name: Name<Caller>, endpoint: &Endpoint) {
        let priority = self.at(name).call.priority.get();
        self.push_back(&endpoint.calls[priority as usize % endpoint.calls.len()], name);
        endpoint.call_priorities.set(endpoint.call_priorities.get() | 1 << (priority & 63));
        endpoint.raise(pending::CALLED);
    }

    /// Takes it out again.
    fn leave_queue(&self, name: Name<Caller>, endpoint: &Endpoint) {
        let priority = self.at(name).call.priority.get();
        let list = &endpoint.calls[priority as usize % endpoint.calls.len()];
        self.unlink(list, name);
        if list.is_empty() {
            let left = endpoint.call_priorities.get() & !(1 << (priority & 63));
            endpoint.call_priorities.set(left);
            if left == 0 {
                endpoint.lower(pending::CALLED);
            }
        }
    }

    /// Takes a queued call out of its endpoint's queue.
    pub fn unqueue(&self, name: Name<Caller>) {
        let endpoint = self.at(self.at(name).call.endpoint.get());
        self.leave_queue(name, endpoint);
        endpoint.queued.set(endpoint.queued.get() - 1);
        self.leave_connection(name);
    }

    /// The call needs its Connection no more.
    fn leave_connection(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        let connection = record.connection.replace(Name::NONE);
        if connection.is_some() {
            self.unlink_if_linked(&self.at(connection).calls, name);
            self.unpin(connection);
        }
    }
}
