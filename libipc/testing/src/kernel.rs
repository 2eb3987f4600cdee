//! The state of the machine, and what happens to objects when handles go.

use crate::objects::{Call, CallState, Endpoint, Object, ProcessId, Request, RequestId};
use crate::table::{Entry, ObjectId, Table};
use abi::{Outcome, Rights};
use std::collections::BTreeMap;

/// Everything.
#[derive(Debug, Default)]
pub struct Kernel {
    pub now: u64,
    pub objects: Vec<Object>,
    pub requests: Vec<Request>,
    pub processes: Vec<Process>,
    /// Grows with every change that somebody could wait for.
    pub version: u64,
    /// Threads that are in no wait.
    pub running: usize,
    /// Threads that wait: which version they have seen, and until when they wait.
    pub waiting: BTreeMap<u64, (u64, u64)>,
    pub next_ticket: u64,
}

/// A process of a test.
#[derive(Debug)]
pub struct Process {
    pub table: Table,
    pub is_dead: bool,
    /// Where memory was mapped into it: address, memory, offset, length, protection.
    pub mappings: Vec<[u64; 5]>,
}

impl Kernel {
    pub fn add_process(&mut self) -> ProcessId {
        self.processes.push(Process {
            table: Table::new(),
            is_dead: false,
            mappings: Vec::new(),
        });
        self.processes.len() - 1
    }

    pub fn changed(&mut self) {
        self.version += 1;
    }

    pub fn add_object(&mut self, object: Object) -> ObjectId {
        self.objects.push(object);
        self.objects.len() - 1
    }

    /// Makes an object and a handle to it.
    pub fn make(
        &mut self,
        process: ProcessId,
        object: Object,
        rights: Rights,
    ) -> Result<u64, Outcome> {
        let object = self.add_object(object);
        self.insert(process, Entry { object, rights })
            .map(|handle| u64::from(handle.0))
    }

    /// Puts a handle into a table, and counts it if it counts.
    pub fn insert(&mut self, process: ProcessId, entry: Entry) -> Result<abi::Handle, Outcome> {
        let handle = self.processes[process].table.insert(entry)?;
        self.count(entry);
        Ok(handle)
    }

    /// Counts a copy of a Connection that keeps it open.
    pub fn count(&mut self, entry: Entry) {
        if entry.rights.intersects(Rights::CALL | Rights::RING)
            && let Object::Connection(connection) = &mut self.objects[entry.object]
        {
            connection.counted += 1;
        }
    }

    /// Undoes [`count`](Self::count), and does what follows from the end of a handle.
    pub fn release(&mut self, entry: Entry) {
        match &mut self.objects[entry.object] {
            Object::Connection(connection)
                if entry.rights.intersects(Rights::CALL | Rights::RING) =>
            {
                connection.counted -= 1;
                if connection.counted == 0 && !connection.is_revoked {
                    let (endpoint, badge) = (connection.endpoint, connection.badge);
                    if let Object::Endpoint(endpoint) = &mut self.objects[endpoint] {
                        endpoint.closed.push_back(badge);
                    }
                }
            }
            Object::Reply(request) => {
                let request = *request;
                self.interrupt(request);
            }
            Object::Call(_) => self.cancel_call(entry.object),
            _ => {}
        }
        self.changed();
    }

    pub fn get(
        &self,
        process: ProcessId,
        handle: u32,
        rights: Rights,
    ) -> Result<ObjectId, Outcome> {
        let entry = self.processes[process].table.get(handle)?;
        if entry.rights.contains(rights) {
            Ok(entry.object)
        } else {
            Err(Outcome::NoRights)
        }
    }

    pub fn endpoint(
        &mut self,
        process: ProcessId,
        handle: u32,
        rights: Rights,
    ) -> Result<(ObjectId, &mut Endpoint), Outcome> {
        let object = self.get(process, handle, rights)?;
        match &mut self.objects[object] {
            Object::Endpoint(endpoint) => Ok((object, endpoint)),
            _ => Err(Outcome::WrongType),
        }
    }

    pub fn call_object(
        &mut self,
        process: ProcessId,
        handle: u32,
    ) -> Result<(ObjectId, &mut Call), Outcome> {
        let object = self.get(process, handle, Rights::empty())?;
        match &mut self.objects[object] {
            Object::Call(call) => Ok((object, call)),
            _ => Err(Outcome::WrongType),
        }
    }

    pub fn endpoint_of(&mut self, object: ObjectId) -> Option<&mut Endpoint> {
        match &mut self.objects[object] {
            Object::Endpoint(endpoint) => Some(endpoint),
            _ => None,
        }
    }

    /// Ends a process: everything it held goes.
    pub fn kill(&mut self, process: ProcessId) {
        if std::mem::replace(&mut self.processes[process].is_dead, true) {
            return;
        }
        for object in &mut self.objects {
            if let Object::Endpoint(endpoint) = object
                && endpoint.receiver == Some(process)
            {
                endpoint.receiver = None;
                endpoint.incarnation += 1;
                endpoint.cancelled.clear();
                endpoint.completed.clear();
            }
        }
        for entry in self.processes[process].table.drain() {
            self.release(entry);
        }
        self.changed();
    }

    /// The request that a Reply in a table answers.
    pub fn request_of(&self, process: ProcessId, reply: u32) -> Result<RequestId, Outcome> {
        let object = self.get(process, reply, Rights::empty())?;
        match &self.objects[object] {
            Object::Reply(request) => Ok(*request),
            _ => Err(Outcome::WrongType),
        }
    }

    fn cancel_call(&mut self, object: ObjectId) {
        if let Object::Call(call) = &self.objects[object]
            && let CallState::UnderWay(request) = call.state
        {
            self.cancel(request);
        }
    }
}
