//! The fast path: a call without handles to a receiver that waits on this CPU, and its answer; and yielding.
//!
//! A call made here is *open* until the next entry into this CPU's kernel. If that entry is the answer, as it nearly always is, the two
//! threads have done nothing but change places: there was no time for a deadline to pass, for another thread to look at a queue, or for a
//! handle to be closed. So an open call is only noted ([`OpenCall`]); the Reply, the deadline, the states and the queues are as they were
//! before it. Every other entry begins with [`Kernel::settle`], which writes all that down as the long way would have.
//!
//! Nothing is decided here that the long way would decide otherwise: whatever is out of the ordinary, the long way gets, before anything was
//! changed. `docs/kernel/fast-path.md` walks through the instructions; the benchmark `call_registers` counts them.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use abi::layout::NEVER;
use abi::message::{MAX_MESSAGE_BYTES, REGISTER_BYTES};
use abi::records::ThreadState;
use abi::{Handle, Operation, Outcome, Rights};

use crate::kernel::Kernel;
use crate::machine::{FastResume, Machine};
use crate::mem::frame::Frame;
use crate::object::call::{CallState, Caller};
use crate::object::connection::Connection;
use crate::object::endpoint::Endpoint;
use crate::object::header::Kind;
use crate::object::name::Name;
use crate::object::process::Process;
use crate::object::thread::Thread;
use crate::sched::ready::End;

/// Length, handles and leases in a message's shape. Handles and leases lie above the length, so one compare tells whether a message has
/// any, or is too long. What a receiver gets has nothing else: `Outcome::Ok` and `WakeKind::Call` are zero.
const SHAPE_BITS: u64 = 0x07ff_ff00;
/// The shape of the longest message without handles and leases, and of the longest that is in registers alone.
const LONGEST_SHAPE: u64 = (MAX_MESSAGE_BYTES as u64) << 8;
const SHORT_SHAPE: u64 = (REGISTER_BYTES as u64) << 8;

const _: () = assert!(Outcome::Ok as u8 == 0 && abi::WakeKind::Call as u8 == 0);

/// A call that the fast path has made since the last other entry. Its receiver is the current thread; it is still in its endpoint's queue of
/// receivers.
pub(crate) struct OpenCall {
    /// Whose call it is; none if there is no open call.
    caller: Cell<Name<Thread>>,
    endpoint: Cell<Name<Endpoint>>,
    badge: Cell<u64>,
    /// The two handles of the `ReplyReceive` that answers it: the endpoint's, by which the receiver waits, and the Reply's.
    answer: Cell<u64>,
}

impl OpenCall {
    pub(crate) const fn new() -> Self {
        Self {
            caller: Cell::new(Name::NONE),
            endpoint: Cell::new(Name::NONE),
            badge: Cell::new(0),
            answer: Cell::new(0),
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// Performs the current thread's system call if it is a short one.
    #[inline]
    pub fn try_fast(&self) -> Option<FastResume<'_>> {
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
        } else if operation == Operation::Yield as u8 {
            self.fast_yield(name, thread)
        } else if operation == Operation::Null as u8 {
            let context = &thread.context;
            context.info.set(Outcome::Ok as u64);
            Some(FastResume { context, words: context })
        } else {
            None
        }
    }

    /// A call without handles, on nobody's behalf, to a thread that waits for it here.
    #[inline]
    fn fast_call<'k>(&'k self, name: Name<Thread>, thread: &'k Thread, info: u64) -> Option<FastResume<'k>> {
        let handles = thread.context.handles.get();
        let shape = info & SHAPE_BITS;
        // A deadline before what the timer is armed for needs it armed anew, or has passed; one that never comes (the sum is 0) is refused.
        let after_deadline = thread.context.argument.get().wrapping_add(1);
        if shape > LONGEST_SHAPE || handles >> 32 != 0 || after_deadline <= self.armed_until.get() {
            return None;
        }
        self.settle();
        let process = self.at(thread.process.get());
        let slot = self.find_slot(process, Handle(handles as u32), Kind::Connection, Rights::CALL)?;
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
        let reply = server.next_handle.get();
        if thread.payer.get().bits() | receiver.payer.get().bits() != 0
            || receiver.is_suspended.get() != 0
            || receiver.endpoints_closed.get() != server.endpoints_closed.get()
            || receiver.call.timer_cpu.get() != 0
            || !server.is_alive()
            || reply == 0
        {
            return None;
        }

        if shape > SHORT_SHAPE {
            self.copy_page(thread, receiver, shape);
        }
        let badge = connection.badge.get();
        let priority = thread.priority.get();
        let context = &receiver.context;
        let waits_by = context.handles.get() as u32;
        let open = &self.open;
        open.caller.set(name);
        open.endpoint.set(endpoint_name);
        open.badge.set(badge);
        open.answer.set(u64::from(waits_by) | u64::from(reply) << 32);
        context.info.set(shape);
        context.handles.set(badge);
        context.argument.set(u64::from(reply) | u64::from(priority) << 32);
        receiver.priority.set(receiver.base_priority.get().max(priority));
        Some(self.fast_switch(thread, process, receiver_name, server_name))
    }

    /// An answer without handles by a thread that then waits for ever for the next call.
    #[inline]
    fn fast_reply_receive<'k>(&'k self, name: Name<Thread>, thread: &'k Thread, info: u64) -> Option<FastResume<'k>> {
        let shape = info & SHAPE_BITS;
        if shape > LONGEST_SHAPE || thread.context.argument.get() != NEVER {
            return None;
        }
        let open = &self.open;
        let caller = open.caller.get();
        if caller.is_none() || thread.context.handles.get() != open.answer.get() {
            return self.answer_settled(name, thread, shape);
        }
        // Nothing was checked or changed since the call but what the call checked itself.
        open.caller.set(Name::NONE);
        let process = self.at(thread.process.get());
        self.skip_handle(process);
        thread.priority.set(thread.base_priority.get());
        let client = self.at(caller);
        if shape > SHORT_SHAPE {
            self.copy_page(thread, client, shape);
        }
        set_answer(client, shape);
        Some(self.fast_switch(thread, process, caller, client.process.get()))
    }

    /// The same for a call that is not open any more, to a thread that lives here.
    #[inline(never)]
    fn answer_settled<'k>(&'k self, name: Name<Thread>, thread: &'k Thread, shape: u64) -> Option<FastResume<'k>> {
        self.settle();
        let handles = thread.context.handles.get();
        let process_name = thread.process.get();
        let process = self.at(process_name);
        let slot = self.find_slot(process, Handle(handles as u32), Kind::Endpoint, Rights::RECEIVE)?;
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
            || record.lease_count.get() != 0
            || !record.dependents.is_empty()
        {
            return None;
        }
        let client_name: Name<Thread> = caller_name.cast();
        let client = self.at(client_name);
        let client_process = client.process.get();
        if thread.payer.get().bits() | client.payer.get().bits() != 0
            || !client.is(ThreadState::Calling)
            || client.is_suspended.get() != 0
            || !self.at(client_process).is_alive()
            || self.ready.has_above(client.priority.get())
        {
            return None;
        }

        if shape > SHORT_SHAPE {
            self.copy_page(thread, client, shape);
        }
        self.free_slot(process, reply.slot() as u32, reply_slot);
        self.remove_timer(caller_name);
        record.set_state(CallState::Idle);
        endpoint.outstanding.set(endpoint.outstanding.get() - 1);
        set_answer(client, shape);
        client.set_state(ThreadState::Ready);
        client.waits_on.set(0);

        thread.priority.set(thread.base_priority.get());
        thread.set_state(ThreadState::Receiving);
        thread.waits_on.set(endpoint_name.bits());
        thread.endpoints_closed.set(process.endpoints_closed.get());
        thread.call.deadline.set(NEVER);
        self.push_back(&endpoint.receivers, name.cast());
        let resume = self.fast_switch(thread, process, client_name, client_process);
        thread.since.set(self.accounted_until.get());
        client.since.set(self.accounted_until.get());
        Some(resume)
    }

    /// Copies a message that does not fit into registers.
    #[inline(never)]
    fn copy_page(&self, from: &Thread, to: &Thread, shape: u64) {
        let (source, target) = (from.call.send_page.get(), to.call.receive_page.get());
        self.machine().copy(Frame::new(source), Frame::new(target), (shape >> 8) as usize);
    }

    /// The current thread lets the next one of its priority run, in a turn that the timer will end.
    #[inline(never)]
    fn fast_yield<'k>(&'k self, name: Name<Thread>, thread: &'k Thread) -> Option<FastResume<'k>> {
        self.settle();
        let priority = thread.priority.get();
        if !self.ready.has_at(priority) {
            let context = &thread.context;
            context.info.set(Outcome::Ok as u64);
            return Some(FastResume { context, words: context });
        }
        let next_name = self.ready.list(priority).first()?;
        let next = self.at(next_name);
        let next_process = next.process.get();
        if thread.payer.get().bits() | next.payer.get().bits() != 0
            || self.turn_end.get() == NEVER
            || next.must_continue.get() != 0
            || !self.at(next_process).is_alive()
        {
            return None;
        }
        thread.context.info.set(Outcome::Ok as u64);
        self.dequeue(next_name);
        self.enqueue(name, End::Back);
        let process = self.at(thread.process.get());
        let resume = self.fast_switch(thread, process, next_name, next_process);
        Some(FastResume { words: resume.context, ..resume })
    }

    /// Goes from one thread straight to another, which was waiting and has its message now.
    #[inline(always)]
    fn fast_switch<'k>(
        &'k self,
        from: &'k Thread,
        from_process: &Process,
        to_name: Name<Thread>,
        to_process: Name<Process>,
    ) -> FastResume<'k> {
        let now = self.machine().ticks();
        let used = now.wrapping_sub(self.accounted_until.get());
        self.accounted_until.set(now);
        from.ticks.set(from.ticks.get().wrapping_add(used));
        from_process.ticks.set(from_process.ticks.get().wrapping_add(used));
        self.current.set(to_name);
        if to_process != self.active_process.get() {
            self.activate(to_process);
        }
        FastResume { context: &self.at(to_name).context, words: &from.context }
    }

    /// Makes an open call one like any other: received by the current thread, with a Reply and a deadline. Every entry begins with this,
    /// but for the answer.
    #[inline]
    pub(crate) fn settle(&self) {
        if self.open.caller.get().is_some() {
            self.settle_open();
        }
    }

    #[cold]
    #[inline(never)]
    fn settle_open(&self) {
        let open = &self.open;
        let caller_name = open.caller.replace(Name::NONE);
        let caller = self.at(caller_name);
        let receiver_name = self.current();
        let receiver = self.at(receiver_name);
        let endpoint_name = open.endpoint.get();
        let endpoint = self.at(endpoint_name);
        // The call was made at the last switch.
        let since = self.accounted_until.get();

        self.unlink(&endpoint.receivers, receiver_name.cast());
        receiver.set_state(ThreadState::Ready);
        receiver.waits_on.set(0);
        receiver.since.set(since);
        caller.set_state(ThreadState::Calling);
        caller.waits_on.set(endpoint_name.bits());
        caller.since.set(since);

        let record = &caller.call;
        let server = self.at(receiver.process.get());
        // The call saw that there is a free slot, and nothing has taken one since.
        if let Some((reply, slot)) = self.take_slot(server, caller_name.bits(), Kind::Reply, Rights::empty()) {
            slot.badge.set(open.badge.get());
            record.reply_slot.set(reply.slot() as u32);
        }
        endpoint.server.set(receiver_name);
        record.info.set(caller.context.info.get() as u32);
        record.priority.set(caller.priority.get());
        record.deadline.set(caller.context.argument.get());
        record.endpoint.set(endpoint_name);
        record.badge.set(open.badge.get());
        record.receiver.set(receiver.process.get());
        record.set_custody(self.cpu());
        record.set_state(CallState::Received);
        endpoint.outstanding.set(endpoint.outstanding.get() + 1);
        self.add_timer(caller_name.cast());
    }
}

/// Sets what an answered caller finds beside the words: the shape of the answer, and nothing else.
#[inline]
fn set_answer(client: &Thread, shape: u64) {
    client.context.info.set(shape);
    client.context.handles.set(0);
    client.context.argument.set(0);
}
