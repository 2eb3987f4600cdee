//! Interfaces of other servers, as the servers themselves describe them: asked for once, then known.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::schema::{DESCRIBE, Description, MAX_DESCRIPTION_BYTES, parse_description};
use libipc::{Connection, Deadline, Failure, Handle, Replay};

use crate::rpc::RpcError;
use crate::system::{Answer, System, failed, later};

/// Interfaces that are known at once, at most. One more, and all are asked for anew.
const MAX_KNOWN: usize = 128;

/// A protocol of a service, and the way to it.
#[derive(Debug)]
pub struct Interface {
    /// The service.
    pub service: String,
    /// The protocol, as init calls it.
    pub protocol: String,
    /// Leads there, with what the daemon's manifest grants.
    pub connection: Handle<Connection>,
    /// What it says of itself.
    pub description: Description,
}

/// The interfaces that are known.
#[derive(Debug, Default)]
pub struct Catalogue(BTreeMap<(String, String), Rc<Interface>>);

impl Catalogue {
    fn get(&self, service: &str, protocol: &str) -> Option<Rc<Interface>> {
        let key = (service.to_string(), protocol.to_string());
        self.0.get(&key).cloned()
    }

    fn add(&mut self, interface: Rc<Interface>) {
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        let key = (interface.service.clone(), interface.protocol.clone());
        self.0.insert(key, interface);
    }

    /// Forgets an interface: its connection leads nowhere any more.
    pub fn forget(&mut self, interface: &Interface) {
        let key = (interface.service.clone(), interface.protocol.clone());
        self.0.remove(&key);
    }
}

/// What goes on when it is known what a server says.
type Then<T> = Box<dyn FnOnce(Result<T, RpcError>, &mut System) -> Answer>;

/// A description that is being read, page by page.
struct Reading {
    service: String,
    protocol: String,
    connection: Handle<Connection>,
    bytes: Vec<u8>,
    deadline: Deadline,
    then: Then<Rc<Interface>>,
}

/// Finds an interface, asking its server if it is not known yet.
pub fn find(
    system: &mut System,
    service: &str,
    protocol: &str,
    deadline: Deadline,
    then: impl FnOnce(Result<Rc<Interface>, RpcError>, &mut System) -> Answer + 'static,
) -> Answer {
    let known = system.catalogue.borrow().get(service, protocol);
    if let Some(interface) = known {
        return then(Ok(interface), system);
    }
    let connected = system
        .services
        .connect(System::soon(), service, protocol)
        .map_err(crate::system::error("init", crate::methods::of_services));
    match connected {
        Ok(connection) => read(
            Reading {
                service: service.to_string(),
                protocol: protocol.to_string(),
                connection,
                bytes: Vec::new(),
                deadline,
                then: Box::new(then),
            },
            system,
        ),
        Err(error) => then(Err(error), system),
    }
}

fn read(mut reading: Reading, system: &mut System) -> Answer {
    let offset = reading.bytes.len() as u32;
    let started = system.calls.start::<_, Vec<u8>, ()>(
        &reading.connection,
        DESCRIBE,
        Replay::Idempotent,
        reading.deadline.into(),
        &(offset,),
        libipc::calls::decode_answer,
    );
    let pending = match started {
        Ok(pending) => pending,
        Err(failure) => return refuse(reading, failure, system),
    };
    later(Ok(pending), "", move |page, system| match page {
        Ok(page) if page.is_empty() => parsed(reading, system),
        Ok(page) if reading.bytes.len() + page.len() <= MAX_DESCRIPTION_BYTES => {
            reading.bytes.extend_from_slice(&page);
            read(reading, system)
        }
        Ok(_) => refuse(reading, Failure::BadReply, system),
        Err(error) => {
            let failure = error.failure().unwrap_or(Failure::BadReply);
            refuse(reading, failure, system)
        }
    })
}

fn parsed(reading: Reading, system: &mut System) -> Answer {
    let Some(description) = parse_description(&reading.bytes) else {
        return refuse(reading, Failure::BadReply, system);
    };
    let interface = Rc::new(Interface {
        service: reading.service,
        protocol: reading.protocol,
        connection: reading.connection,
        description,
    });
    system.catalogue.borrow_mut().add(interface.clone());
    (reading.then)(Ok(interface), system)
}

fn refuse(reading: Reading, failure: Failure, system: &mut System) -> Answer {
    let error = failed(&reading.service, failure);
    (reading.then)(Err(error), system)
}

/// Finds several protocols of a service, one after the other.
pub fn find_all(
    system: &mut System,
    service: String,
    protocols: Vec<String>,
    deadline: Deadline,
    then: impl FnOnce(Result<Vec<Rc<Interface>>, RpcError>, &mut System) -> Answer + 'static,
) -> Answer {
    let then = Box::new(then);
    gather(
        system,
        service,
        protocols.into_iter(),
        deadline,
        Vec::new(),
        then,
    )
}

fn gather(
    system: &mut System,
    service: String,
    mut protocols: alloc::vec::IntoIter<String>,
    deadline: Deadline,
    mut found: Vec<Rc<Interface>>,
    then: Then<Vec<Rc<Interface>>>,
) -> Answer {
    let Some(protocol) = protocols.next() else {
        return then(Ok(found), system);
    };
    let name = service.clone();
    find(
        system,
        &name,
        &protocol,
        deadline,
        move |interface, system| match interface {
            Ok(interface) => {
                found.push(interface);
                gather(system, service, protocols, deadline, found, then)
            }
            Err(error) => then(Err(error), system),
        },
    )
}
