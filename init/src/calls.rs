//! Calls that init has started, and what their ends mean: heartbeats, orders, log rings.

use alloc::string::ToString;

use init::supervisor::{Event, ServiceId, State};
use init::watchdog::{self, Asked, Diagnosis, Seen};
use libipc::control::{self, Health, Order, OrderError};
use libipc::{CallError, Completed, Deadline, Failure, Instant, Pending, Reply, Rights};
use protocols::client::INIT_PID;
use protocols::pci::{self, Function};
use protocols::{log, services};

use crate::state::{Init, now, text_of};

/// How long the log may take to accept a ring; it may have to start first.
const LOG_PATIENCE_MS: u64 = 30_000;
/// How long an order may wait for the service's attention.
const ORDER_PATIENCE_MS: u64 = 5_000;

/// What a log ring may be used for by whoever drains it, also in a later incarnation.
const RING_RIGHTS: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::MAP)
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);

/// Why a call was started.
pub enum Purpose {
    /// Is the service alive?
    Heartbeat(ServiceId, Pending<Health, OrderError>),
    /// Somebody wants a service to die at some point.
    Order(
        ServiceId,
        Pending<Health, OrderError>,
        Reply<(), services::Error>,
    ),
    /// The log gets a ring.
    Ring(Pending<(), log::Error>),
    /// What is on the bus, from this index on?
    Functions(Pending<alloc::vec::Vec<Function>, pci::Error>),
    /// Something is done to a device: its index, and the number of the step.
    Device(usize, u64, Pending<(), pci::Error>),
}

impl Init {
    /// A call has ended.
    pub fn on_completed(&mut self, completed: Completed) {
        let Some(purpose) = self.pending.remove(&completed.id()) else {
            return;
        };
        match purpose {
            Purpose::Heartbeat(id, pending) => self.on_heartbeat(id, pending, completed),
            Purpose::Order(id, pending, reply) => self.on_order(id, pending, reply, completed),
            Purpose::Ring(pending) => {
                if let Err(error) = pending.finish(completed) {
                    self.warn(format_args!("the log did not take a ring: {error}"));
                }
            }
            Purpose::Functions(pending) => {
                let functions = pending.finish(completed).map_err(text_of);
                self.on_functions(functions);
            }
            Purpose::Device(index, step, pending) => {
                let result = pending.finish(completed).map_err(text_of);
                self.on_device(index, step, result);
            }
        }
    }

    /// Asks a service for a sign of life.
    pub(crate) fn ask(&mut self, id: ServiceId) {
        let is_up = self.is_running(id);
        let Some(incarnation) = &self.services[id.0].process else {
            return;
        };
        let figures = incarnation.process.figures();
        let asked = Asked {
            at: now(),
            cpu_ns: figures.map_or(0, |figures| figures.cpu_ns),
            is_up,
        };
        self.start_heartbeat(id, asked);
    }

    fn start_heartbeat(&mut self, id: ServiceId, asked: Asked) {
        let service = &mut self.services[id.0];
        let Some(incarnation) = &mut service.process else {
            return;
        };
        let deadline = Deadline::at(Instant::from_ns(now() + watchdog::LOOK_NS));
        match control::start_order(
            &self.calls,
            &service.supervisor,
            &Order::Heartbeat,
            deadline,
        ) {
            Ok(pending) => {
                incarnation.heartbeat = Some((pending.id(), asked));
                self.pending
                    .insert(pending.id(), Purpose::Heartbeat(id, pending));
            }
            Err(failure) => {
                let name = service.manifest.name.clone();
                self.warn(format_args!("{name} can't be asked for life: {failure}"));
            }
        }
    }

    fn on_heartbeat(
        &mut self,
        id: ServiceId,
        pending: Pending<Health, OrderError>,
        completed: Completed,
    ) {
        let call = completed.id();
        let incarnation = self.services[id.0].process.as_mut();
        let heartbeat = incarnation.and_then(|incarnation| {
            incarnation
                .heartbeat
                .take_if(|(pending, _)| *pending == call)
        });
        // Of an incarnation that is no more.
        let Some((_, asked)) = heartbeat else {
            return;
        };
        match pending.finish(completed) {
            // Who refuses is alive.
            Ok(_) | Err(CallError::Method(_) | CallError::Failed(Failure::Refused(_))) => {
                self.happened(Event::Alive(id))
            }
            // It died; its end arrives by itself.
            Err(CallError::Failed(Failure::Interrupted { .. } | Failure::NotDelivered(_))) => {}
            Err(_) => self.on_silence(id, asked),
        }
    }

    fn on_silence(&mut self, id: ServiceId, asked: Asked) {
        match self.diagnose(id, asked) {
            Some(Diagnosis::Patience) => self.start_heartbeat(id, asked),
            None => {}
            Some(diagnosis) => {
                let name = self.services[id.0].manifest.name.clone();
                self.warn(format_args!("{name} does not answer: {diagnosis:?}"));
                self.happened(Event::Silent(id));
            }
        }
    }

    fn diagnose(&self, id: ServiceId, asked: Asked) -> Option<Diagnosis> {
        if !matches!(
            self.supervisor.record(id).state,
            State::Starting | State::Running
        ) {
            return None;
        }
        let incarnation = self.services[id.0].process.as_ref()?;
        let process = incarnation.process.figures().ok()?;
        let thread = incarnation.thread.figures().ok()?;
        let seen = Seen {
            at: now(),
            cpu_ns: process.cpu_ns,
            state: thread.state,
            since: thread.since_ns,
        };
        Some(watchdog::judge(asked, seen))
    }

    /// Gives a service an order; the answer goes to whoever asked for it.
    pub(crate) fn order(
        &mut self,
        id: ServiceId,
        order: &Order,
        reply: Reply<(), services::Error>,
    ) {
        let deadline = Deadline::after_ms(ORDER_PATIENCE_MS);
        let supervisor = &self.services[id.0].supervisor;
        match control::start_order(&self.calls, supervisor, order, deadline) {
            Ok(pending) => {
                // It may be dead before its answer is heard.
                if matches!(
                    order,
                    Order::KillAtMethod { .. } | Order::KillAtPoint { .. }
                ) {
                    self.set_doomed(id, true);
                }
                self.pending
                    .insert(pending.id(), Purpose::Order(id, pending, reply));
            }
            Err(failure) => reply.err(order_error(CallError::Failed(failure))),
        }
    }

    fn on_order(
        &mut self,
        id: ServiceId,
        pending: Pending<Health, OrderError>,
        reply: Reply<(), services::Error>,
        completed: Completed,
    ) {
        let result = pending.finish(completed);
        if result.is_err() {
            self.set_doomed(id, false);
        }
        reply.send(result.map(drop).map_err(order_error));
    }

    fn set_doomed(&mut self, id: ServiceId, is_doomed: bool) {
        if let Some(incarnation) = &mut self.services[id.0].process {
            incarnation.is_doomed = is_doomed;
        }
    }

    /// Gives the log the ring of a service, or init's own.
    pub(crate) fn register_log(&mut self, id: Option<ServiceId>) {
        let Some(log) = &self.log else {
            return;
        };
        let (name, pid, ring) = match id {
            Some(id) => {
                let service = &self.services[id.0];
                (service.manifest.name.as_str(), service.pid, &service.ring)
            }
            None => ("init", INIT_PID, &self.console.ring),
        };
        let started = ring
            .memory
            .restricted(RING_RIGHTS)
            .map_err(Failure::System)
            .and_then(|memory| {
                let deadline = Deadline::after_ms(LOG_PATIENCE_MS);
                log.client
                    .start_add_source(&self.calls, deadline, name, pid, memory)
            });
        match started {
            Ok(pending) => {
                self.pending.insert(pending.id(), Purpose::Ring(pending));
            }
            Err(failure) => self.warn(format_args!("the log can't be given a ring: {failure}")),
        }
    }

    /// The log was started again: it gets every ring once more, in case it lost one.
    pub(crate) fn register_all_logs(&mut self) {
        self.register_log(None);
        for id in self.supervisor.ids() {
            if self.supervisor.record(id).generation > 0 {
                self.register_log(Some(id));
            }
        }
    }
}

fn order_error(error: CallError<OrderError>) -> services::Error {
    match error {
        CallError::Method(OrderError::NameTooLong) => services::Error::UnknownPoint,
        CallError::Failed(failure) => services::Error::StartFailed {
            reason: failure.to_string(),
        },
    }
}
