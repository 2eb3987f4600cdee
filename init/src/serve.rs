//! What init answers about the services, and does for those who may ask.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use init::supervisor::{Cause as Ended, Event, Record, ServiceId, State as Doing};
use init_manifest::{graph, render};
use libipc::control::Order;
use libipc::prelude::*;
use protocols::client::{Client, Grants, INIT_PID};
use protocols::services::{Cause, Cpu, Error, Hang, Machine, Services, State, Status, When};

use crate::faults::describe;
use crate::service::{Goal, Service, Waiting};
use crate::state::{Changes, Init};

/// Bytes of names that one answer of `list` holds, at most, well below a message.
const LIST_BYTES: usize = 3_000;
/// Changes of state that are remembered for `watch`.
const REMEMBERED_CHANGES: usize = 64;

/// Whether the caller's manifest allows it.
fn check(caller: Caller, grant: Grants) -> Result<(), Error> {
    match Client::of(caller.badge) {
        Some(client) if client.grants.has(grant) => Ok(()),
        _ => Err(Error::NotPermitted),
    }
}

impl Services for Init {
    fn list(&mut self, _caller: Caller, from: u32) -> Result<Vec<String>, Error> {
        let services = self.services.iter();
        let names = services.map(|service| service.manifest.name.as_str());
        let mut bytes = 0;
        let names = [graph::INIT]
            .into_iter()
            .chain(names)
            .skip(from as usize)
            .take_while(|name| {
                bytes += name.len() + 2;
                bytes <= LIST_BYTES
            });
        Ok(names.map(ToString::to_string).collect())
    }

    fn status(&mut self, _caller: Caller, name: String) -> Result<Status, Error> {
        if name == graph::INIT {
            return Ok(self.own_status());
        }
        self.find(&name)
            .map(|id| self.status_of(id))
            .ok_or(Error::UnknownService)
    }

    fn watch(&mut self, _caller: Caller, seen: u64, reply: Reply<(u64, String), Error>) {
        match self.changes.after(seen) {
            Some(change) => reply.ok(change),
            None => self.changes.watchers.push((seen, reply)),
        }
    }

    fn start(&mut self, caller: Caller, name: String, reply: Reply<Status, Error>) {
        self.steer(caller, &name, Goal::Running, Event::StartRequested, reply);
    }

    fn stop(&mut self, caller: Caller, name: String, reply: Reply<Status, Error>) {
        self.steer(caller, &name, Goal::Stopped, Event::StopRequested, reply);
    }

    fn restart(&mut self, caller: Caller, name: String, reply: Reply<Status, Error>) {
        self.steer(caller, &name, Goal::Running, Event::RestartRequested, reply);
    }

    fn connect(
        &mut self,
        caller: Caller,
        name: String,
        protocol: String,
    ) -> Result<Handle<Connection>, Error> {
        check(caller, Grants::BROKER)?;
        let client = Client::of(caller.badge).ok_or(Error::NotPermitted)?;
        let minted = if name == graph::INIT {
            if !graph::INIT_PROVIDES.contains(&protocol.as_str()) {
                return Err(Error::UnknownProtocol);
            }
            self.minter.mint(client.badge(0))
        } else {
            let id = self.find(&name).ok_or(Error::UnknownService)?;
            let service = &self.services[id.0];
            let index = service.protocol(&protocol).ok_or(Error::UnknownProtocol)?;
            service.endpoint.mint(client.badge(index))
        };
        minted
            .map(|minted| minted.client)
            .map_err(|error| Error::StartFailed {
                reason: error.to_string(),
            })
    }

    fn kill(&mut self, caller: Caller, name: String, when: When, reply: Reply<(), Error>) {
        let id = match self.may_steer(caller, &name) {
            Ok(id) => id,
            Err(error) => return reply.err(error),
        };
        if self.services[id.0].process.is_none() {
            let state = self.status_of(id).state;
            return reply.err(Error::InvalidState { state });
        }
        let order = match when {
            When::Now => {
                self.happened(Event::RestartRequested(id));
                self.act();
                return reply.ok(());
            }
            When::Method { method, n, after } => Order::KillAtMethod {
                method,
                n,
                is_after: after,
            },
            When::Point { point, n } => Order::KillAtPoint { point, n },
        };
        self.order(id, &order, reply);
    }

    fn hang(
        &mut self,
        caller: Caller,
        name: String,
        how: Hang,
        ms: Option<u32>,
        reply: Reply<(), Error>,
    ) {
        let id = match self.may_steer(caller, &name) {
            Ok(id) => id,
            Err(error) => return reply.err(error),
        };
        if self.services[id.0].process.is_none() {
            let state = self.status_of(id).state;
            return reply.err(Error::InvalidState { state });
        }
        let waits = how == Hang::Waits;
        self.order(id, &Order::Hang { waits, ms }, reply);
    }

    fn manifest(&mut self, _caller: Caller, name: String) -> Result<String, Error> {
        if name == graph::INIT {
            return Ok("# The kernel starts init, which has no manifest.\n".into());
        }
        self.find(&name)
            .map(|id| render::render(&self.services[id.0].manifest))
            .ok_or(Error::UnknownService)
    }

    fn machine(&mut self, caller: Caller) -> Result<Machine, Error> {
        check(caller, Grants::MACHINE)?;
        let mut machine = Machine {
            cpus: Vec::new(),
            memory_total: self.info.memory_bytes,
            memory_free: 0,
            objects: 0,
            has_iommu: self.info.has_iommu != 0,
        };
        for cpu in 0..self.info.cpu_count {
            let Ok(figures) = self.hardware.cpu(cpu) else {
                continue;
            };
            machine.memory_free = figures.free_frames * abi::layout::PAGE_SIZE as u64;
            machine.objects = figures.objects;
            machine.cpus.push(Cpu {
                idle_ns: figures.idle_ns,
                switches: figures.switches,
                system_calls: figures.system_calls,
                interrupts: figures.interrupts,
                longest_stay_ns: figures.longest_stay_ns,
            });
        }
        Ok(machine)
    }
}

impl Init {
    fn may_steer(&self, caller: Caller, name: &str) -> Result<ServiceId, Error> {
        check(caller, Grants::SERVICE_CONTROL)?;
        if name == graph::INIT {
            return Err(Error::NotPermitted);
        }
        self.find(name).ok_or(Error::UnknownService)
    }

    fn steer(
        &mut self,
        caller: Caller,
        name: &str,
        goal: Goal,
        event: fn(ServiceId) -> Event,
        reply: Reply<Status, Error>,
    ) {
        let id = match self.may_steer(caller, name) {
            Ok(id) => id,
            Err(error) => return reply.err(error),
        };
        self.happened(event(id));
        self.act();
        self.services[id.0].waiting.push(Waiting { goal, reply });
        self.answer_waiting(id);
    }

    /// Answers whoever waited for the state that a service has come to.
    fn answer_waiting(&mut self, id: ServiceId) {
        let doing = self.supervisor.record(id).state;
        let status = self.status_of(id);
        let waiting = core::mem::take(&mut self.services[id.0].waiting);
        for Waiting { goal, reply } in waiting {
            match (goal, doing) {
                (Goal::Running, Doing::Running) | (Goal::Stopped, Doing::Stopped) => {
                    reply.ok(status.clone());
                }
                (_, Doing::Failed | Doing::Stopped) => {
                    let reason = describe(self.supervisor.record(id).cause.as_ref());
                    reply.err(Error::StartFailed { reason });
                }
                (Goal::Stopped, Doing::Running) => {
                    reply.err(Error::InvalidState {
                        state: status.state,
                    });
                }
                _ => self.services[id.0].waiting.push(Waiting { goal, reply }),
            }
        }
    }

    /// Tells everybody who asked that a service came into another state.
    pub(crate) fn announce(&mut self, id: ServiceId, name: String) {
        self.changes.add(name);
        self.answer_waiting(id);
    }

    fn status_of(&self, id: ServiceId) -> Status {
        let service = &self.services[id.0];
        let record = self.supervisor.record(id);
        let process = service.process.as_ref();
        let figures = process.and_then(|incarnation| incarnation.process.figures().ok());
        let needs = service.manifest.needs.iter();
        let mut names: BTreeMap<&str, ()> = BTreeMap::new();
        for need in needs {
            let provider = self
                .services
                .iter()
                .find(|other| need.is_met_by(&other.manifest));
            names.insert(
                provider.map_or(graph::INIT, |other| other.manifest.name.as_str()),
                (),
            );
        }
        Status {
            name: service.manifest.name.clone(),
            state: state(record.state),
            pid: process.map(|_| service.pid),
            restarts: record.restarts,
            last_exit: cause(service, record),
            provides: service.manifest.provides.clone(),
            needs: names.keys().map(ToString::to_string).collect(),
            healthy: record.healthy,
            since_ns: record.since,
            took_ns: record.took,
            generation: record.generation,
            memory_bytes: figures.map_or(0, |it| it.frames * abi::layout::PAGE_SIZE as u64),
            cpu_ns: figures.map_or(0, |it| it.cpu_ns),
            handles: figures.map_or(0, |it| it.handles),
            cpu: figures.map_or(service.cpu, |it| it.cpu),
        }
    }

    fn own_status(&self) -> Status {
        let own = Handle::<libipc::object::Process>::from_raw(abi::boot::SELF_PROCESS);
        let figures = own.figures().ok();
        // The handle is the kernel's gift and stays.
        let _ = own.into_raw();
        Status {
            name: graph::INIT.to_string(),
            state: State::Running,
            pid: Some(INIT_PID),
            restarts: self.info.incarnation.saturating_sub(1) as u32,
            last_exit: Cause::None,
            provides: graph::INIT_PROVIDES
                .iter()
                .map(ToString::to_string)
                .collect(),
            needs: Vec::new(),
            healthy: true,
            since_ns: 0,
            took_ns: 0,
            generation: self.info.incarnation,
            memory_bytes: figures.map_or(0, |it| it.frames * abi::layout::PAGE_SIZE as u64),
            cpu_ns: figures.map_or(0, |it| it.cpu_ns),
            handles: figures.map_or(0, |it| it.handles),
            cpu: figures.map_or(0, |it| it.cpu),
        }
    }
}

impl Changes {
    fn add(&mut self, name: String) {
        self.count += 1;
        self.names.push_back(name);
        if self.names.len() > REMEMBERED_CHANGES {
            self.names.pop_front();
        }
        for (seen, reply) in core::mem::take(&mut self.watchers) {
            match self.after(seen) {
                Some(change) => reply.ok(change),
                None => self.watchers.push((seen, reply)),
            }
        }
    }

    /// The first change after `seen` that is remembered.
    fn after(&self, seen: u64) -> Option<(u64, String)> {
        let oldest = self.count + 1 - self.names.len() as u64;
        let next = seen.checked_add(1)?.max(oldest);
        let index = usize::try_from(next - oldest).ok()?;
        Some((next, self.names.get(index)?.clone()))
    }
}

const fn state(doing: Doing) -> State {
    match doing {
        Doing::Idle => State::Lazy,
        Doing::Starting => State::Starting,
        Doing::Running => State::Running,
        Doing::Waiting(_) | Doing::Ending | Doing::Resetting => State::Restarting,
        Doing::Stopped => State::Stopped,
        Doing::Failed => State::Failed,
    }
}

fn cause(service: &Service, record: &Record) -> Cause {
    match &record.cause {
        None => Cause::None,
        Some(Ended::Exit(code)) => Cause::Exit { code: *code },
        Some(Ended::Fault(text)) => match &service.last_fault {
            Some(fault) => Cause::Fault {
                kind: fault.kind.clone(),
                address: fault.address,
                instruction_pointer: fault.instruction_pointer,
                panic: fault.panic.clone(),
            },
            None => Cause::Fault {
                kind: text.clone(),
                address: 0,
                instruction_pointer: 0,
                panic: None,
            },
        },
        Some(Ended::StartFailed(reason)) => Cause::Fault {
            kind: "StartFailed".to_string(),
            address: 0,
            instruction_pointer: 0,
            panic: Some(reason.clone()),
        },
        Some(Ended::Watchdog) => Cause::Watchdog,
        Some(Ended::Request) => Cause::Request,
    }
}
