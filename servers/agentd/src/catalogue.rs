//! Interfaces of other servers, as the servers themselves describe them: asked for once, then known.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::schema::{DESCRIBE, Description, MAX_DESCRIPTION_BYTES, parse_description};
use libipc::untyped::AnyHandle;
use libipc::{Connection, Deadline, Failure, Handle, Object, Replay};

use crate::rpc::{Code, RpcError};
use crate::system::{Answer, System, failed, later};

/// Interfaces that are known at once, at most. One more, and all are asked for anew.
const MAX_KNOWN: usize = 128;

/// A protocol of a server, and the way to it.
#[derive(Debug)]
pub struct Interface {
    /// The service, or the name of the handle that leads there.
    pub service: String,
    /// The protocol, as init calls it; empty behind a handle.
    pub protocol: String,
    /// Leads there.
    pub way: Way,
    /// What it says of itself.
    pub description: Description,
}

/// A Connection to a server.
#[derive(Debug)]
pub enum Way {
    /// The broker's, with what the daemon's manifest grants.
    Broker(Handle<Connection>),
    /// One that a session holds.
    Held(Rc<AnyHandle>),
}

impl Way {
    /// A way through a handle of a session. `None`: it is no Connection.
    pub fn held(handle: Rc<AnyHandle>) -> Option<Self> {
        let is_one = handle.is(<Connection as Object>::TYPE);
        is_one.then_some(Self::Held(handle))
    }

    /// Lends the Connection.
    ///
    /// # Errors
    /// Those of `job`.
    pub fn with<T>(
        &self,
        job: impl FnOnce(&Handle<Connection>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self {
            Self::Broker(connection) => job(connection),
            Self::Held(handle) => handle.with(job).unwrap_or(Err(Failure::BadReply)),
        }
    }
}

/// The interfaces that are known.
#[derive(Debug, Default)]
pub struct Catalogue(BTreeMap<(String, String), Rc<Interface>>);

impl Catalogue {
    /// An interface, if it is known.
    pub fn get(&self, service: &str, protocol: &str) -> Option<Rc<Interface>> {
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
    way: Way,
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
                way: Way::Broker(connection),
                bytes: Vec::new(),
                deadline,
                then: Box::new(move |found, system| {
                    if let Ok(interface) = &found {
                        system.catalogue.borrow_mut().add(interface.clone());
                    }
                    then(found, system)
                }),
            },
            system,
        ),
        Err(error) => then(Err(error), system),
    }
}

/// Finds what is at the other end of a Connection that a session holds under this name.
pub fn find_held(
    system: &mut System,
    session: u64,
    name: &str,
    deadline: Deadline,
    then: impl FnOnce(Result<Rc<Interface>, RpcError>, &mut System) -> Answer + 'static,
) -> Answer {
    let found = system.handles.borrow().connection(session, name);
    let way = match found {
        None => return then(Err(no_handle()), system),
        Some((_, Some(interface))) => return then(Ok(interface), system),
        Some((way, None)) => way,
    };
    let name = name.to_string();
    let reading = Reading {
        service: name.clone(),
        protocol: String::new(),
        way,
        bytes: Vec::new(),
        deadline,
        then: Box::new(move |found, system| {
            if let Ok(interface) = &found {
                let mut tables = system.handles.borrow_mut();
                tables.describe(session, &name, interface);
            }
            then(found, system)
        }),
    };
    read(reading, system)
}

/// The refusal of a handle that the session does not hold.
pub fn no_handle() -> RpcError {
    RpcError::new(Code::Forbidden, "no such handle of yours").with("required", "handle")
}

fn read(mut reading: Reading, system: &mut System) -> Answer {
    let offset = reading.bytes.len() as u32;
    let started = reading.way.with(|connection| {
        system.calls.start::<_, Vec<u8>, ()>(
            connection,
            DESCRIBE,
            Replay::Idempotent,
            reading.deadline.into(),
            &(offset,),
            libipc::calls::decode_answer,
        )
    });
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
        way: reading.way,
        description,
    });
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
