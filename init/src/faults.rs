//! A service faulted: who, what, where, and what it said about it.

use alloc::format;
use alloc::string::{String, ToString};

use abi::fault::{FaultKind, FaultMessage};
use abi::records::ThreadRegisters;
use init::supervisor::{Cause, Event, ServiceId};
use libipc::IncomingCall;
use libipc::log::{self, Level, ring};

use crate::service::{Fault, Incarnation};
use crate::state::Init;

/// Words of the stack that are logged.
const STACK_WORDS: usize = 8;

impl Init {
    /// A thread can't go on; it stays frozen until its process is gone.
    pub fn on_fault(&mut self, call: IncomingCall<'_>) {
        let id = self.of_fault_badge(call.badge());
        let message = FaultMessage::from_words(call.words());
        let reply = call.into_reply();
        let Some(id) = id else {
            return;
        };
        let text = self.report(id, message);
        let name = self.services[id.0].manifest.name.clone();
        self.console
            .say(Level::Error, format_args!("{name} faulted: {text}"));
        self.log_registers(id, &name, message);
        let mut is_doomed = false;
        if let Some(incarnation) = &mut self.services[id.0].process {
            incarnation.frozen = Some(reply);
            is_doomed = incarnation.is_doomed;
        }
        self.happened(if is_doomed {
            Event::DiedAsOrdered(id, text)
        } else {
            Event::Faulted(id, text)
        });
    }

    /// What happened, for people; and a note of it for whoever asks later.
    fn report(&mut self, id: ServiceId, message: Option<FaultMessage>) -> String {
        let service = &mut self.services[id.0];
        let panic = ring::last_words(&service.ring.mapping);
        let Some(message) = message else {
            return panic.unwrap_or_else(|| "the kernel does not say of what".to_string());
        };
        let kind = format!("{:?}", message.kind);
        service.last_fault = Some(Fault {
            kind: kind.clone(),
            address: message.address,
            instruction_pointer: message.instruction_pointer,
            panic: panic.clone(),
        });
        let place = place(service.process.as_ref(), message.instruction_pointer);
        match (panic, message.kind) {
            (Some(panic), _) => format!("{panic} (at {place})"),
            (None, FaultKind::PageFault) => {
                format!("{kind} at {place}, touching {:#x}", message.address)
            }
            (None, _) => format!("{kind} at {place}"),
        }
    }

    fn log_registers(&self, id: ServiceId, name: &str, message: Option<FaultMessage>) {
        let Some((incarnation, message)) = self.services[id.0].process.as_ref().zip(message) else {
            return;
        };
        let thread = incarnation.process.thread(message.thread);
        let Ok(registers) = thread.and_then(|thread| thread.registers()) else {
            return;
        };
        let stack = stack_words(incarnation, message.stack_pointer);
        log::record(
            Level::Info,
            format_args!("registers of {name}"),
            &[
                ("registers", &general(&registers)),
                ("rip", &Hex(registers.rip)),
                ("rsp", &Hex(registers.rsp)),
                ("error_code", &Hex(message.error_code)),
                ("stack", &stack),
            ],
        );
    }
}

/// Why a service ended, for people.
pub(crate) fn describe(cause: Option<&Cause>) -> String {
    match cause {
        None => "nobody knows why".to_string(),
        Some(Cause::Exit(status)) => format!("it left with status {status}"),
        Some(Cause::Fault(text)) => text.clone(),
        Some(Cause::Watchdog) => "it did not answer".to_string(),
        Some(Cause::Request) => "it was asked to".to_string(),
        Some(Cause::StartFailed(reason)) => format!("it could not be started: {reason}"),
    }
}

/// An address as a place in the program, if it is one.
fn place(incarnation: Option<&Incarnation>, address: u64) -> String {
    match incarnation.and_then(|incarnation| address.checked_sub(incarnation.base)) {
        Some(offset) => format!("{address:#x} (program + {offset:#x})"),
        None => format!("{address:#x}"),
    }
}

fn stack_words(incarnation: &Incarnation, stack_pointer: u64) -> String {
    let mut bytes = [0; STACK_WORDS * 8];
    let count = incarnation
        .process
        .read(stack_pointer, &mut bytes)
        .unwrap_or(0);
    let words = bytes[..count].as_chunks::<8>().0;
    words
        .iter()
        .map(|word| format!("{:x} ", u64::from_le_bytes(*word)))
        .collect()
}

fn general(registers: &ThreadRegisters) -> String {
    let ThreadRegisters {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        ..
    } = registers;
    format!(
        "rax {rax:x} rbx {rbx:x} rcx {rcx:x} rdx {rdx:x} rsi {rsi:x} rdi {rdi:x} rbp {rbp:x} \
         r8 {r8:x} r9 {r9:x} r10 {r10:x} r11 {r11:x} r12 {r12:x} r13 {r13:x} r14 {r14:x} r15 {r15:x}"
    )
}

/// A number as addresses are written.
struct Hex(u64);

impl core::fmt::Display for Hex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
