//! The operations that do not wait.

use crate::kernel::Kernel;
use crate::memory::{Block, CallPage};
use crate::objects::{
    Call, CallState, Capsule, Connection, Endpoint, Notification, Object, ProcessId, Source,
};
use crate::table::Entry;
use abi::{Operation, Outcome, Rights};
use libipc::sys::Registers;
use libipc::sys::host::MessagePage;

/// Arguments by the names of `abi::syscall`.
struct Arguments {
    a: u32,
    b: u32,
    c: u32,
    s: u64,
    w: [u64; 8],
}

/// Results by the same names.
#[derive(Default)]
struct Results {
    r0: u64,
    r1: u64,
    w: [u64; 8],
}

impl Kernel {
    /// Runs an operation.
    pub fn operate(
        &mut self,
        process: ProcessId,
        operation: Operation,
        registers: &mut Registers,
        send: &MessagePage,
    ) -> Result<(), Outcome> {
        let arguments = Arguments {
            a: registers.rdi as u32,
            b: (registers.rdi >> 32) as u32,
            c: registers.upper(),
            s: registers.rsi,
            w: registers.words.to_words(),
        };
        match operation {
            Operation::Reply => return self.reply(process, registers, send),
            Operation::CallStart => return self.start_call(process, &arguments, registers),
            Operation::CallFinish => {
                let (object, _) = self.call_object(process, arguments.c)?;
                let taken = self.take_completed(process, object, registers);
                if taken.is_ok() {
                    self.objects.iter_mut().for_each(|other| {
                        if let Object::Endpoint(endpoint) = other {
                            endpoint.completed.retain(|completed| *completed != object);
                        }
                    });
                }
                return taken;
            }
            _ => {}
        }
        let results = self.simple(process, operation, &arguments)?;
        registers.rax = 0;
        registers.rdi = results.r0;
        registers.rsi = results.r1;
        registers.words = libipc::Words::from_words(results.w);
        Ok(())
    }

    fn start_call(
        &mut self,
        process: ProcessId,
        arguments: &Arguments,
        registers: &mut Registers,
    ) -> Result<(), Outcome> {
        let (object, call) = self.call_object(process, arguments.c)?;
        if !matches!(call.state, CallState::Idle) {
            return Err(Outcome::Busy);
        }
        let page = call.page.read();
        let request = self.submit(process, Source::Call(object), registers, &page)?;
        // It may have ended at once, and then says so itself.
        if let Object::Call(call) = &mut self.objects[object]
            && matches!(call.state, CallState::Idle)
        {
            call.state = CallState::UnderWay(request);
        }
        registers.rax = 0;
        Ok(())
    }

    fn simple(
        &mut self,
        process: ProcessId,
        operation: Operation,
        arguments: &Arguments,
    ) -> Result<Results, Outcome> {
        let Arguments { a, b, c, s, w } = *arguments;
        let one = |r0| {
            Ok(Results {
                r0,
                ..Results::default()
            })
        };
        match operation {
            Operation::Null | Operation::Yield => Ok(Results::default()),
            Operation::CallCancel => {
                let (_, call) = self.call_object(process, c)?;
                if let CallState::UnderWay(request) = call.state {
                    self.cancel(request);
                }
                Ok(Results::default())
            }
            Operation::Ring => self.ring(process, a),
            Operation::HandleClose => {
                let entry = self.processes[process].table.remove(a)?;
                self.release(entry);
                Ok(Results::default())
            }
            Operation::HandleDuplicate => {
                let entry = self.processes[process].table.get(a)?;
                if !entry.rights.contains(Rights::DUPLICATE) {
                    return Err(Outcome::NoRights);
                }
                let rights = entry.rights & Rights::from_bits_truncate(w[0] as u16);
                one(u64::from(
                    self.insert(process, Entry { rights, ..entry })?.0,
                ))
            }
            Operation::HandleInfo => {
                let entry = self.processes[process].table.get(a)?;
                let kind = self.objects[entry.object].kind() as u64;
                Ok(Results {
                    r0: kind,
                    r1: u64::from(entry.rights.bits()),
                    w: first(entry.object as u64),
                })
            }
            Operation::EndpointCreate => one(self.make(
                process,
                Object::Endpoint(Endpoint::default()),
                Rights::all(),
            )?),
            Operation::EndpointMint => self.mint(process, a, w[0]),
            Operation::ConnectionRevoke => self.revoke(process, a),
            Operation::EndpointInfo => {
                let (_, endpoint) = self.endpoint(process, a, Rights::INSPECT)?;
                Ok(Results {
                    r0: endpoint.calls.len() as u64,
                    r1: endpoint.incarnation,
                    ..Results::default()
                })
            }
            Operation::CallCreate => {
                let (endpoint, _) = self.endpoint(process, a, Rights::RECEIVE)?;
                let call = Call {
                    endpoint,
                    cookie: w[0],
                    page: CallPage::from_address(w[1]),
                    state: CallState::Idle,
                };
                one(self.make(process, Object::Call(call), Rights::all())?)
            }
            Operation::NotificationCreate => one(self.make(
                process,
                Object::Notification(Notification::default()),
                Rights::all(),
            )?),
            Operation::NotificationSignal => {
                self.notification(process, a, Rights::SIGNAL)?.bits |= w[0];
                self.changed();
                Ok(Results::default())
            }
            Operation::NotificationPoll => {
                let taken = self.poll(process, a, w[0])?;
                Ok(Results {
                    r1: taken,
                    ..Results::default()
                })
            }
            Operation::NotificationBind => {
                self.notification(process, a, Rights::WAIT)?;
                let notification = self.get(process, a, Rights::WAIT)?;
                let (_, endpoint) = self.endpoint(process, b, Rights::RECEIVE)?;
                if endpoint
                    .notifications
                    .iter()
                    .any(|(bound, _)| *bound == notification)
                {
                    return Err(Outcome::Busy);
                }
                endpoint.notifications.push((notification, w[0]));
                Ok(Results::default())
            }
            Operation::MemoryCreate => {
                let length = usize::try_from(w[0])
                    .ok()
                    .filter(|length| length.is_multiple_of(4096))
                    .ok_or(Outcome::BadArgument)?;
                let block = Block::new(length).ok_or(Outcome::BadArgument)?;
                one(self.make(process, Object::Memory(block), Rights::all())?)
            }
            Operation::MemoryInfo => {
                let length = self.memory(process, a, Rights::INSPECT)?.length() as u64;
                Ok(Results {
                    w: [length, length / 4096, 0, 0, 0, 0, 0, 0],
                    ..Results::default()
                })
            }
            Operation::CapsuleCreate
            | Operation::CapsuleMemory
            | Operation::CapsuleKeep
            | Operation::CapsuleTake
            | Operation::CapsuleClear => self.capsule(process, operation, arguments).and_then(one),
            Operation::QuotaSplit => one(self.make(process, Object::Quota, Rights::all())?),
            Operation::ProcessCreate
            | Operation::ProcessMap
            | Operation::ProcessGrant
            | Operation::ProcessKill
            | Operation::ProcessMove
            | Operation::ThreadCreate
            | Operation::ThreadStart => self
                .process_operation(process, operation, arguments, s)
                .and_then(one),
            _ => Err(Outcome::BadOperation),
        }
    }

    fn ring(&mut self, process: ProcessId, handle: u32) -> Result<Results, Outcome> {
        let object = self.get(process, handle, Rights::RING)?;
        let Object::Connection(connection) = &self.objects[object] else {
            return Err(Outcome::WrongType);
        };
        if connection.is_revoked {
            return Err(Outcome::InvalidState);
        }
        let endpoint = connection.endpoint;
        if let Some(endpoint) = self.endpoint_of(endpoint)
            && !endpoint.rung.contains(&object)
        {
            endpoint.rung.push_back(object);
        }
        self.changed();
        Ok(Results::default())
    }

    fn mint(&mut self, process: ProcessId, handle: u32, badge: u64) -> Result<Results, Outcome> {
        let (endpoint, _) = self.endpoint(process, handle, Rights::MINT)?;
        let object = self.add_object(Object::Connection(Connection {
            endpoint,
            badge,
            is_revoked: false,
            counted: 0,
        }));
        let ours = Rights::REVOKE | Rights::DUPLICATE | Rights::TRANSFER | Rights::INSPECT;
        let r0 = self.insert(
            process,
            Entry {
                object,
                rights: ours,
            },
        )?;
        let r1 = self.insert(
            process,
            Entry {
                object,
                rights: Rights::CLIENT,
            },
        )?;
        Ok(Results {
            r0: u64::from(r0.0),
            r1: u64::from(r1.0),
            ..Results::default()
        })
    }

    fn revoke(&mut self, process: ProcessId, handle: u32) -> Result<Results, Outcome> {
        let object = self.get(process, handle, Rights::REVOKE)?;
        let Object::Connection(connection) = &mut self.objects[object] else {
            return Err(Outcome::WrongType);
        };
        connection.is_revoked = true;
        let endpoint = connection.endpoint;
        let queued: Vec<_> = self
            .endpoint_of(endpoint)
            .map(|endpoint| endpoint.calls.iter().copied().collect())
            .unwrap_or_default();
        for request in queued {
            if self.requests[request].connection == object {
                if let Some(endpoint) = self.endpoint_of(endpoint) {
                    endpoint.calls.retain(|queued| *queued != request);
                }
                self.end(
                    request,
                    Outcome::NotDelivered,
                    1,
                    crate::objects::Message::default(),
                );
            }
        }
        self.changed();
        Ok(Results::default())
    }

    pub fn notification(
        &mut self,
        process: ProcessId,
        handle: u32,
        rights: Rights,
    ) -> Result<&mut Notification, Outcome> {
        let object = self.get(process, handle, rights)?;
        match &mut self.objects[object] {
            Object::Notification(notification) => Ok(notification),
            _ => Err(Outcome::WrongType),
        }
    }

    /// Takes those of `bits` that are set.
    pub fn poll(&mut self, process: ProcessId, handle: u32, bits: u64) -> Result<u64, Outcome> {
        let notification = self.notification(process, handle, Rights::WAIT)?;
        let taken = notification.bits & bits;
        notification.bits &= !bits;
        Ok(taken)
    }

    pub fn memory(
        &self,
        process: ProcessId,
        handle: u32,
        rights: Rights,
    ) -> Result<Block, Outcome> {
        let object = self.get(process, handle, rights)?;
        match &self.objects[object] {
            Object::Memory(block) => Ok(*block),
            _ => Err(Outcome::WrongType),
        }
    }

    fn capsule(
        &mut self,
        process: ProcessId,
        operation: Operation,
        arguments: &Arguments,
    ) -> Result<u64, Outcome> {
        let slot = arguments.w[0] as usize;
        if operation == Operation::CapsuleCreate {
            let block = Block::new(slot).ok_or(Outcome::BadArgument)?;
            let memory = self.add_object(Object::Memory(block));
            let slots = vec![None; (arguments.w[1] as usize).min(256)];
            return self.make(
                process,
                Object::Capsule(Capsule { memory, slots }),
                Rights::all(),
            );
        }
        let rights = match operation {
            Operation::CapsuleMemory | Operation::CapsuleTake => Rights::READ,
            _ => Rights::WRITE,
        };
        let object = self.get(process, arguments.a, rights)?;
        let kept = match operation {
            Operation::CapsuleKeep => Some(self.processes[process].table.get(arguments.b)?),
            _ => None,
        };
        let Object::Capsule(capsule) = &mut self.objects[object] else {
            return Err(Outcome::WrongType);
        };
        if operation == Operation::CapsuleMemory {
            let entry = Entry {
                object: capsule.memory,
                rights: Rights::all(),
            };
            return self
                .insert(process, entry)
                .map(|handle| u64::from(handle.0));
        }
        let place = capsule.slots.get_mut(slot).ok_or(Outcome::NotFound)?;
        match (operation, kept) {
            (Operation::CapsuleKeep, Some(_)) if place.is_some() => Err(Outcome::Busy),
            (Operation::CapsuleKeep, Some(entry)) => {
                *place = Some(entry);
                self.count(entry);
                Ok(0)
            }
            (Operation::CapsuleTake, _) => {
                let entry = place.ok_or(Outcome::NotFound)?;
                self.insert(process, entry)
                    .map(|handle| u64::from(handle.0))
            }
            _ => {
                if let Some(entry) = place.take() {
                    self.release(entry);
                }
                Ok(0)
            }
        }
    }

    fn process_operation(
        &mut self,
        process: ProcessId,
        operation: Operation,
        arguments: &Arguments,
        s: u64,
    ) -> Result<u64, Outcome> {
        let Arguments { a, b, w, .. } = *arguments;
        if operation == Operation::ProcessCreate {
            self.get(process, a, Rights::MANAGE)?;
            let made = self.add_process();
            return self.make(process, Object::Process(made), Rights::all());
        }
        let object = self.get(process, a, Rights::empty())?;
        if operation == Operation::ThreadStart {
            let Object::Thread { is_started, .. } = &mut self.objects[object] else {
                return Err(Outcome::WrongType);
            };
            return if std::mem::replace(is_started, true) {
                Err(Outcome::InvalidState)
            } else {
                Ok(0)
            };
        }
        let Object::Process(target) = self.objects[object] else {
            return Err(Outcome::WrongType);
        };
        match operation {
            Operation::ProcessMap => {
                let block = self.memory(process, b, Rights::MAP)?;
                let memory = self.get(process, b, Rights::MAP)?;
                let inside = block.at(w[1] as usize, w[2] as usize).is_some();
                let overlaps =
                    |mapping: &[u64; 5]| w[0] < mapping[0] + mapping[3] && mapping[0] < w[0] + w[2];
                if !inside || w[0] % 4096 != 0 || w[1] % 4096 != 0 || w[2] % 4096 != 0 || w[2] == 0
                {
                    return Err(Outcome::BadAddress);
                }
                let mappings = &mut self.processes[target].mappings;
                if mappings.iter().any(overlaps) {
                    return Err(Outcome::AlreadyMapped);
                }
                mappings.push([w[0], memory as u64, w[1], w[2], s]);
                Ok(0)
            }
            Operation::ProcessGrant => {
                let entry = self.processes[process].table.get(b)?;
                let rights = entry.rights & Rights::from_bits_truncate(w[0] as u16);
                let handle = self.insert(target, Entry { rights, ..entry })?;
                if s == 1 {
                    let entry = self.processes[process].table.remove(b)?;
                    self.release(entry);
                }
                Ok(u64::from(handle.0))
            }
            Operation::ThreadCreate => self.make(
                process,
                Object::Thread {
                    process: target,
                    start: w,
                    is_started: false,
                },
                Rights::all(),
            ),
            Operation::ProcessKill => {
                self.kill(target);
                Ok(0)
            }
            _ => Ok(0),
        }
    }
}

fn first(word: u64) -> [u64; 8] {
    [word, 0, 0, 0, 0, 0, 0, 0]
}
