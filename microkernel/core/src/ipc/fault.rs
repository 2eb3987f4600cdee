//! Faults: a thread that can't go on makes a call to its supervisor, prepared by the kernel, and is frozen until the answer.

use abi::{FaultKind, FaultMessage, MessageInfo, Outcome, layout::NEVER, records::DeathCause, records::ThreadState};

use crate::machine::{Access, Exception};
use crate::mem::fill::Filled;
use crate::object::{Name, Thread};
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// The current thread touched a page that its page tables do not give it.
    pub fn serve_page_fault(&self, address: u64, access: Access, error_code: u64) {
        let current = self.current();
        if current.is_none() {
            return;
        }
        let process = self.at(self.at(current).process.get());
        process.faults.set(process.faults.get() + 1);
        let kind = match self.fill_page(process, address, access) {
            Filled::Present => return,
            Filled::Refused => FaultKind::PageFault,
            Filled::OutOfMemory => FaultKind::OutOfMemory,
        };
        self.report_fault(current, Exception { kind, address, error_code });
    }

    /// The current thread did something that the processor refused.
    pub fn serve_exception(&self, exception: Exception) {
        let current = self.current();
        if current.is_some() {
            self.report_fault(current, exception);
        }
    }

    fn report_fault(&self, name: Name<Thread>, exception: Exception) {
        let thread = self.at(name);
        let process_name = thread.process.get();
        let process = self.at(process_name);
        let connection = process.fault_connection.get();
        if connection.is_none() {
            self.condemn(process_name, DeathCause::Faulted, exception.kind as u64);
            return;
        }
        let message = FaultMessage {
            kind: exception.kind,
            address: exception.address,
            instruction_pointer: thread.context.rip.get(),
            stack_pointer: thread.context.rsp.get(),
            error_code: exception.error_code,
            thread: u64::from(thread.number.get()),
        };
        for (to, word) in thread.fault_words.iter().zip(message.to_words()) {
            to.set(word);
        }
        self.block_current(ThreadState::Faulted, self.at(connection).endpoint.get().bits());
        self.send_fault(name);
    }

    /// Sends the fault call of a frozen thread, whose words are ready.
    fn send_fault(&self, name: Name<Thread>) {
        let thread = self.at(name);
        let process = self.at(thread.process.get());
        let record = &thread.call;
        record.info.set(MessageInfo::new(0, 64).0);
        record.priority.set(thread.priority.get());
        record.deadline.set(NEVER);
        self.dispatch_call(name.cast(), process.fault_connection.get());
    }

    /// The fault call of a thread has ended.
    pub fn finish_fault(&self, name: Name<Thread>) {
        let thread = self.at(name);
        let end = thread.call.end.get() as u8;
        if end == Outcome::Ok as u8 {
            self.make_ready(name);
        } else if end == Outcome::Interrupted as u8 {
            // The supervisor died with it; its next incarnation gets it again.
            thread.since.set(self.machine().ticks());
            self.send_fault(name);
        } else {
            self.condemn(thread.process.get(), DeathCause::Faulted, thread.fault_words[0].get());
        }
    }
}
