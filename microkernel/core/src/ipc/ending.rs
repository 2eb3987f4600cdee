//! How calls end: answered, cancelled, too late, or without their server; and how the end comes home.

use core::sync::atomic::Ordering;

use abi::{CallOutcome, Handle, MessageInfo, Outcome, Rights, records::ThreadState};

use crate::handle::meta;
use crate::object::{Any, Call, CallState, Caller, Endpoint, Kind, Name, Thread, pending};
use crate::sched::inbox::reason;
use crate::syscall::{Next, Stop};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// Ends a call that this CPU has custody of and that is in no queue. What it sent and nobody received is let go.
    pub fn end_call(&self, name: Name<Caller>, outcome: Outcome, detail: u32) {
        let caller = self.at(name);
        let record = &caller.call;
        self.remove_timer(name);
        self.end_leases(record);
        self.set_payer(&record.payer, Name::NONE);
        if outcome != Outcome::Ok {
            self.drop_handles(&record.transfers);
            record.info.set(0);
        }
        record.end.set(CallOutcome { outcome, detail }.to_bits());
        record.set_state(CallState::Ending);
        let home = caller.header.home();
        record.set_custody(home);
        if home == self.cpu() {
            self.finish_call(name);
        } else {
            self.post(name.cast(), reason::ENDED, home);
        }
    }

    /// Ends a received call: the Reply's slot was taken back or marked before.
    pub fn end_received(&self, name: Name<Caller>, outcome: Outcome, detail: u32) {
        let record = &self.at(name).call;
        let endpoint_name = record.endpoint.get();
        let endpoint = self.at(endpoint_name);
        endpoint.outstanding.set(endpoint.outstanding.get() - 1);
        self.orphan_dependents(name, outcome);
        self.end_call(name, outcome, detail);
        self.settle_endpoint(endpoint_name);
    }

    /// Calls that were made on behalf of this one go on alone when it was answered; else they are cancelled.
    fn orphan_dependents(&self, name: Name<Caller>, outcome: Outcome) {
        let record = &self.at(name).call;
        while let Some(dependent) = self.pop_front(&record.dependents) {
            self.at(dependent).call.behalf.set(Name::NONE);
            if outcome != Outcome::Ok {
                self.request_cancel(dependent);
            }
        }
    }

    /// Asks whoever has custody to end a call, or another wait of a thread.
    pub fn request_cancel(&self, name: Name<Caller>) {
        let custody = self.at(name).call.custody();
        if custody == self.cpu() {
            self.cancel_here(name);
        } else {
            self.post(name.cast(), reason::CANCEL, custody);
        }
    }

    /// Ends a call or another wait that this CPU keeps.
    pub fn cancel_here(&self, name: Name<Caller>) {
        match self.at(name).call.state() {
            CallState::Queued | CallState::Received => self.cut_call(name, Outcome::Cancelled),
            _ if self.at(name).header.kind.get() == Kind::Thread as u32 => {
                self.cancel_wait(name.cast(), Outcome::Cancelled);
            }
            _ => {}
        }
    }

    /// A deadline passed.
    pub fn deadline_passed(&self, name: Name<Caller>) {
        match self.at(name).call.state() {
            CallState::Queued | CallState::Received => self.cut_call(name, Outcome::DeadlinePassed),
            _ if self.at(name.cast::<Thread>()).is_throttled.get() != 0 => self.end_throttling(name.cast()),
            _ => self.cancel_wait(name.cast(), Outcome::DeadlinePassed),
        }
    }

    /// Ends a call without an answer; whoever received it is told.
    fn cut_call(&self, name: Name<Caller>, outcome: Outcome) {
        if self.at(name).call.state() == CallState::Queued {
            self.unqueue(name);
            self.end_call(name, outcome, 0);
        } else {
            let endpoint = self.at(name).call.endpoint.get();
            self.mark_reply(name);
            self.end_received(name, outcome, 1);
            self.serve_receiver(endpoint);
        }
    }

    /// Marks the Reply of a call that ends early, and queues the news in its slot.
    fn mark_reply(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        let process = self.at(record.receiver.get());
        let index = record.reply_slot.get();
        let slot = self.slot(process, index as usize);
        let endpoint = self.at(record.endpoint.get());
        slot.object.set(0);
        if endpoint.header.is_dead() || !process.is_alive() {
            return;
        }
        slot.meta.set(slot.meta.get() | meta::UNTOLD);
        slot.link.set(0);
        match endpoint.cancelled_last.get() {
            0 => endpoint.cancelled_first.set(index),
            last => self.slot(process, last as usize).link.set(u64::from(index)),
        }
        endpoint.cancelled_last.set(index);
        endpoint.raise(pending::CANCELLED);
    }

    /// Takes the first cancelled Reply off the endpoint's list: its handle and badge, or nothing if it was closed meanwhile.
    pub fn pop_cancelled(&self, endpoint: &Endpoint) -> Option<(Handle, u64)> {
        let index = endpoint.cancelled_first.get();
        if index == 0 {
            return None;
        }
        let process = self.at(endpoint.process.get());
        let slot = self.slot(process, index as usize);
        endpoint.cancelled_first.set(slot.link.get() as u32);
        if endpoint.cancelled_first.get() == 0 {
            endpoint.cancelled_last.set(0);
            endpoint.lower(pending::CANCELLED);
        }
        let bits = slot.meta.get();
        slot.meta.set(bits & !(meta::UNTOLD | meta::CLOSED));
        if bits & meta::CLOSED != 0 {
            self.free_slot(process, index, slot);
            return None;
        }
        let handle = Handle::new(index as usize, meta::generation(bits) as u32);
        Some((handle, slot.badge.get()))
    }

    /// The holder of a Reply closed it, or died. The slot has been freed.
    pub fn drop_reply(&self, name: Name<Caller>) {
        let record = &self.at(name).call;
        let incarnation = self.at(record.endpoint.get()).incarnation.get();
        self.end_received(name, Outcome::Interrupted, incarnation);
    }

    /// The end of a call has come home.
    pub fn finish_call(&self, name: Name<Caller>) {
        let caller = self.at(name);
        let parent = caller.call.behalf.replace(Name::NONE);
        if parent.is_some() {
            self.unlink_if_linked(&self.at(parent).call.dependents, name);
        }
        if caller.header.kind.get() == Kind::Thread as u32 {
            self.finish_thread_call(name.cast());
        } else {
            self.finish_call_object(name.cast());
        }
    }

    fn finish_thread_call(&self, name: Name<Thread>) {
        let thread = self.at(name);
        let record = &thread.call;
        record.set_state(CallState::Idle);
        let process = self.at(thread.process.get());
        if !process.is_alive() {
            self.drop_handles(&record.transfers);
            thread.set_state(ThreadState::Created);
            return self.thread_came_home(name);
        }
        if thread.is(ThreadState::Faulted) {
            self.drop_handles(&record.transfers);
            return self.finish_fault(name);
        }
        let end = record.end.get();
        let (info, detail) = self.finish_reply(process, &caller_of(name, self).call);
        thread.context.info.set(u64::from(info.0) | u64::from(detail) << 32);
        thread.context.handles.set(0);
        thread.context.argument.set(0);
        if end as u8 == Outcome::Interrupted as u8 {
            thread.context.words[0].set(u64::from(detail));
        }
        self.make_ready(name);
    }

    /// Hands out what came with a reply; gives the shape of the message with the outcome as its code, and the detail.
    fn finish_reply(
        &self,
        process: &crate::object::process::Process,
        record: &crate::object::call::CallRecord,
    ) -> (MessageInfo, u32) {
        let end = record.end.get();
        let arrived = self.deliver_handles(process, &record.transfers, record.receive_page.get());
        let info =
            MessageInfo(record.info.get()).with_code(end as u8).with_handles(arrived).with_leases(0).with_flags(0);
        (info, end >> 8)
    }

    fn finish_call_object(&self, name: Name<Call>) {
        let call = self.at(name);
        call.call.set_state(CallState::Ended);
        if call.header.owners.load(Ordering::Acquire) == 0 {
            self.forget_end(name);
            return;
        }
        let report = self.at(call.report.get());
        if !report.header.is_dead() {
            self.push_back(&report.completed, name.cast());
            report.raise(pending::COMPLETED);
            self.serve_receiver(call.report.get());
        }
    }

    /// Takes the end of a Call: words, shape and outcome go to `thread`. The Call is idle afterwards.
    pub fn take_end(&self, name: Name<Call>, thread: &Thread) -> (MessageInfo, u32) {
        let call = self.at(name);
        let record = &call.call;
        self.leave_completed(name);
        let process = self.at(thread.process.get());
        let (info, detail) = self.finish_reply(process, record);
        for (to, from) in thread.context.words.iter().zip(&call.words) {
            to.set(from.get());
        }
        if record.end.get() as u8 == Outcome::Interrupted as u8 {
            thread.context.words[0].set(u64::from(detail));
        }
        thread.context.handles.set(call.cookie.get());
        thread.context.argument.set(0);
        let end = record.end.get();
        record.set_state(CallState::Idle);
        self.unpin(name);
        (info, end)
    }

    fn leave_completed(&self, name: Name<Call>) {
        let report = self.at(self.at(name).report.get());
        self.unlink_if_linked(&report.completed, name.cast());
        if report.completed.is_empty() {
            report.lower(pending::COMPLETED);
        }
    }

    /// Nobody will take the end of this Call.
    fn forget_end(&self, name: Name<Call>) {
        let record = &self.at(name).call;
        self.drop_handles(&record.transfers);
        record.set_state(CallState::Idle);
        self.unpin(name);
    }

    /// The last handle of a Call was closed.
    pub fn abandon_call(&self, name: Name<Call>) {
        match self.at(name).call.state() {
            CallState::Idle => {}
            CallState::Ended => {
                self.leave_completed(name);
                self.forget_end(name);
            }
            _ => self.request_cancel(name.cast()),
        }
    }

    /// `call_finish(Call)`. Checks, in order: the Call; its end is there.
    pub fn call_finish(&self, thread: &Thread) -> Result<Next, Stop> {
        let name = self.call_argument(thread)?;
        if self.at(name).call.state() != CallState::Ended {
            return Err(Outcome::WouldBlock.into());
        }
        let (info, end) = self.take_end(name, thread);
        let info = info.with_code(Outcome::Ok as u8).with_flags(abi::WakeKind::Completed as u8);
        thread.context.info.set(u64::from(info.0) | u64::from(end) << 32);
        Ok(Next::Written)
    }

    /// `call_cancel(Call)`. Checks: the Call.
    pub fn call_cancel(&self, thread: &Thread) -> Result<Next, Stop> {
        let name = self.call_argument(thread)?;
        if !matches!(self.at(name).call.state(), CallState::Idle | CallState::Ended) {
            self.request_cancel(name.cast());
        }
        Ok(Next::Done)
    }

    fn call_argument(&self, thread: &Thread) -> Result<Name<Call>, Outcome> {
        let process = self.at(thread.process.get());
        let handle = Handle((thread.context.info.get() >> 32) as u32);
        self.look_up(process, handle, Rights::empty())
    }

    /// A post about a thread or a Call.
    pub fn serve_caller(&self, name: Name<Caller>, reasons: u32) {
        let is_home = || self.at(name).header.home() == self.cpu();
        let any: Name<Any> = name.cast();
        if reasons & reason::OPERATE != 0 {
            self.operate(name.cast());
        }
        if reasons & reason::ARRIVE != 0 {
            self.route_call(name);
        }
        if reasons & (reason::ENDED | reason::HOME) != 0 {
            if !is_home() {
                let home = self.at(name).header.home();
                self.at(name).call.set_custody(home);
                self.post(any, reasons & !(reason::OPERATE | reason::ARRIVE), home);
                return;
            }
            if reasons & reason::ENDED != 0 {
                self.finish_call(name);
            }
            if reasons & reason::HOME != 0 {
                self.come_home(name.cast());
            }
        }
        if reasons & reason::CANCEL != 0 {
            self.request_cancel(name);
        }
    }
}

fn caller_of<M: Machine>(name: Name<Thread>, kernel: &Kernel<M>) -> &Caller {
    kernel.at(name.cast())
}
