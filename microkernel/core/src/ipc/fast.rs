//! The fast path: a short call to a receiver that waits on this CPU, and its answer.
//!
//! Nothing is decided here that the long way would decide otherwise: whatever is out of the ordinary, the long way gets, before anything was
//! changed. The budget is 150 instructions in each direction (`docs/kernel/fast-path.md` walks through them); the benchmark
//! `call_registers` holds it there.

use core::sync::atomic::Ordering;

use abi::layout::NEVER;
use abi::records::ThreadState;
use abi::{Handle, MessageInfo, Operation, Outcome, Rights};

use crate::kernel::Kernel;
use crate::machine::{Machine, Resume};
use crate::object::call::{CallState, Caller};
use crate::object::connection::Connection;
use crate::object::endpoint::Endpoint;
use crate::object::header::Kind;
use crate::object::name::Name;
use crate::object::process::Process;
use crate::object::thread::Thread;

/// The length in a message's shape. What a receiver gets has nothing else: `Outcome::Ok` and `WakeKind::Call` are zero.
const LENGTH_BITS: u64 = 0x1fff << 8;

const _: () = assert!(Outcome::Ok as u8 == 0 && abi::WakeKind::Call as u8 == 0);

impl<M: Machine> Kernel<M> {
    /// Performs the current thread's system call if it is a short one.
    #[inline]
    pub fn try_fast(&self) -> Option<Resume<'_>> {
        let name = self.current();
        if self.fast_path.get() == 0 || name.is_none() {
            return None;
        }
        let thread = self.at(name);
        let info = thread.context.info.get();
        let operation = info as u8;
        if operation == Operation::Call as u8 {
            self.fast_call(name, thread, info)
        } else if operation == Operation::ReplyReceive as u8 {
            self.fast_reply_receive(name, thread, info)
        } else if operation == Operation::Null as u8 {
            thread.context.info.set(Outcome::Ok as u64);
            Some(Resume::User(&thread.context))
        } else {
            None
        }
    }

    /// A call in registers, on nobody's behalf, to a thread that waits for it here.
    #[inline]
    fn fast_call<'k>(
        &'k self,
        name: Name<Thread>,
        thread: &'k Thread,
        info: u64,
    ) -> Option<Resume<'k>> {
        let handles = thread.context.handles.get();
        let deadline = thread.context.argument.get();
        // A deadline before what the timer is armed for needs it armed anew, or has passed; one that never comes is refused.
        if !MessageInfo(info as u32).is_registers_only()
            || handles >> 32 != 0
            || deadline < self.armed_until.get()
            || deadline == NEVER
        {
            return None;
        }
        let process_name = thread.process.get();
        let process = self.at(process_name);
        let slot = self.find_slot(
            process,
            Handle(handles as u32),
            Kind::Connection,
            Rights::CALL,
        )?;
        let connection = self.at(Name::<Connection>::from_bits(slot.object.get()));
        let endpoint_name = connection.endpoint.get();
        let endpoint = self.at(endpoint_name);
        let receiver_name: Name<Thread> = endpoint.receivers.first()?.cast();
        if connection.header.is_dead.load(Ordering::Relaxed)
            | endpoint.header.is_dead.load(Ordering::Relaxed)
            | (endpoint.header.home.load(Ordering::Relaxed) ^ self.cpu() as u32)
            != 0
        {
            return None;
        }
        let receiver = self.at(receiver_name);
        let server_name = receiver.process.get();
        let server = self.at(server_name);
        if receiver.is_suspended.get() != 0 || !server.is_alive() {
            return None;
        }
        let (reply, reply_slot) =
            self.take_slot(server, name.bits(), Kind::Reply, Rights::empty())?;

        let badge = connection.badge.get();
        let priority = thread.priority.get();
        reply_slot.badge.set(badge);
        let record = &thread.call;
        record.endpoint.set(endpoint_name);
        record.badge.set(badge);
        record.receiver.set(server_name);
        record.reply_slot.set(reply.slot() as u32);
        record.priority.set(priority);
        record.deadline.set(deadline);
        record.set_state(CallState::Received);
        endpoint.outstanding.set(endpoint.outstanding.get() + 1);
        self.add_late_timer(name.cast(), record);
        self.unlink(&endpoint.receivers, receiver_name.cast());
        self.remove_timer(receiver_name.cast());

        let context = &receiver.context;
        context.info.set(info & LENGTH_BITS);
        context.handles.set(badge);
        context
            .argument
            .set(u64::from(reply.0) | u64::from(priority) << 32);
        move_words(thread, receiver);
        receiver
            .priority
            .set(receiver.base_priority.get().max(priority));
        thread.set_state(ThreadState::Calling);
        thread.waits_on.set(endpoint_name.bits());
        Some(self.fast_switch(thread, process, receiver_name, server_name))
    }

    /// An answer in registers to a thread that lives here, by one that then waits for ever for the next call.
    #[inline]
    fn fast_reply_receive<'k>(
        &'k self,
        name: Name<Thread>,
        thread: &'k Thread,
        info: u64,
    ) -> Option<Resume<'k>> {
        let handles = thread.context.handles.get();
        if !MessageInfo(info as u32).is_registers_only() || thread.context.argument.get() != NEVER {
            return None;
        }
        let process_name = thread.process.get();
        let process = self.at(process_name);
        let slot = self.find_slot(
            process,
            Handle(handles as u32),
            Kind::Endpoint,
            Rights::RECEIVE,
        )?;
        let endpoint_name = Name::<Endpoint>::from_bits(slot.object.get());
        let endpoint = self.at(endpoint_name);
        if endpoint.process.get() != process_name || endpoint.pending.get() != 0 {
            return None;
        }
        let reply = Handle((handles >> 32) as u32);
        let reply_slot = self.find_slot(process, reply, Kind::Reply, Rights::empty())?;
        let caller_name = Name::<Caller>::from_bits(reply_slot.object.get());
        if caller_name.is_none() {
            return None;
        }
        let caller = self.at(caller_name);
        let record = &caller.call;
        if caller.header.kind.get() != Kind::Thread as u32
            || caller.header.home.load(Ordering::Relaxed) != self.cpu() as u32
            || record.endpoint.get() != endpoint_name
            || record.behalf.get().is_some()
            || !record.dependents.is_empty()
        {
            return None;
        }
        let client_name: Name<Thread> = caller_name.cast();
        let client = self.at(client_name);
        let client_process = client.process.get();
        if !client.is(ThreadState::Calling)
            || client.is_suspended.get() != 0
            || !self.at(client_process).is_alive()
            || self.ready.has_above(client.priority.get())
        {
            return None;
        }

        self.free_slot(process, reply.slot() as u32, reply_slot);
        self.remove_timer(caller_name);
        record.set_state(CallState::Idle);
        endpoint.outstanding.set(endpoint.outstanding.get() - 1);
        let context = &client.context;
        context.info.set(info & LENGTH_BITS);
        context.handles.set(0);
        context.argument.set(0);
        move_words(thread, client);

        thread.priority.set(thread.base_priority.get());
        thread.set_state(ThreadState::Receiving);
        thread.waits_on.set(endpoint_name.bits());
        thread.call.deadline.set(NEVER);
        self.push_back(&endpoint.receivers, name.cast());
        Some(self.fast_switch(thread, process, client_name, client_process))
    }

    /// Goes from one thread straight to another, which was waiting.
    #[inline]
    fn fast_switch<'k>(
        &'k self,
        from: &Thread,
        from_process: &Process,
        to_name: Name<Thread>,
        to_process: Name<Process>,
    ) -> Resume<'k> {
        let to = self.at(to_name);
        let now = self.machine().ticks();
        let used = now.wrapping_sub(self.accounted_until.get());
        self.accounted_until.set(now);
        from.ticks.set(from.ticks.get().wrapping_add(used));
        from_process
            .ticks
            .set(from_process.ticks.get().wrapping_add(used));
        from.since.set(now);
        to.since.set(now);
        to.set_state(ThreadState::Ready);
        to.waits_on.set(0);
        self.current.set(to_name);
        if to_process != self.active_process.get() {
            self.activate(to_process);
        }
        Resume::User(&to.context)
    }
}

/// Moves the words of a message: once, from registers saved to registers to be loaded.
#[inline]
fn move_words(from: &Thread, to: &Thread) {
    for (target, source) in to.context.words.iter().zip(&from.context.words) {
        target.set(source.get());
    }
}
