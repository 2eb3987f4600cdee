//! Ready-made processes for tests.

use abi::{Handle, Operation, Rights, boot};

use super::world::{Actor, Request, World};

/// Where a new process is put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub cpu: u64,
    pub priority: u64,
}

/// A process with one thread that receives on an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    pub actor: Actor,
    /// init's handles.
    pub process: Handle,
    pub thread: Handle,
    pub endpoint: Handle,
    /// The server's own.
    pub own_endpoint: Handle,
    pub own_process: Handle,
}

/// A process with one thread that calls.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub actor: Actor,
    pub process: Handle,
    pub thread: Handle,
    pub own_process: Handle,
}

const PAGES: u64 = 0x1000_0000;

impl World {
    /// A process with one started thread, and init's handles of both.
    pub fn make_process(&mut self, place: Place, faults: Handle) -> Client {
        self.make_process_under(boot::ROOT_QUOTA, place, faults)
    }

    /// The same, paid for by another quota.
    pub fn make_process_under(&mut self, quota: Handle, place: Place, faults: Handle) -> Client {
        let init = Self::INIT;
        let process = self.must(init, Request::new(Operation::ProcessCreate).a(quota).b(faults).words(&[63])).result();
        if place.cpu != 0 {
            self.must(init, Request::new(Operation::ProcessMove).a(process).words(&[place.cpu]));
        }
        let own_process = self.grant(process, process, Rights::all());
        let (actor, thread) = self.make_thread(process, PAGES, place.priority);
        Client { actor, process, thread, own_process }
    }

    pub fn make_thread(&mut self, process: Handle, pages: u64, priority: u64) -> (Actor, Handle) {
        let (actor, entry) = self.new_actor();
        let thread = self
            .must(
                Self::INIT,
                Request::new(Operation::ThreadCreate).a(process).words(&[entry, 0x2000_0000, 0, 0, pages, priority, 0]),
            )
            .result();
        self.must(Self::INIT, Request::new(Operation::ThreadStart).a(thread));
        (actor, thread)
    }

    /// Copies a handle of init's into a process.
    pub fn grant(&mut self, process: Handle, handle: Handle, rights: Rights) -> Handle {
        self.must(
            Self::INIT,
            Request::new(Operation::ProcessGrant).a(process).b(handle).words(&[u64::from(rights.bits())]),
        )
        .result()
    }

    /// An endpoint and a process for it.
    pub fn make_server(&mut self, place: Place) -> Server {
        let endpoint = self.must(Self::INIT, Request::new(Operation::EndpointCreate)).result();
        let process = self.make_process(place, Handle::NONE);
        let own_endpoint = self.grant(process.process, endpoint, Rights::RECEIVE);
        Server {
            actor: process.actor,
            process: process.process,
            thread: process.thread,
            endpoint,
            own_endpoint,
            own_process: process.own_process,
        }
    }

    /// A Connection to an endpoint of init's: init's keeper and client handles.
    pub fn mint(&mut self, endpoint: Handle, badge: u64) -> (Handle, Handle) {
        let reply = self.must(Self::INIT, Request::new(Operation::EndpointMint).a(endpoint).words(&[badge]));
        (reply.result(), reply.second())
    }

    /// Gives a client the only counted copy of a new Connection; returns the client's handle and init's keeper.
    pub fn connect(&mut self, client: &Client, endpoint: Handle, badge: u64) -> (Handle, Handle) {
        let (keeper, connection) = self.mint(endpoint, badge);
        let own = self
            .must(
                Self::INIT,
                Request::new(Operation::ProcessGrant)
                    .a(client.process)
                    .b(connection)
                    .argument(1)
                    .words(&[u64::from(Rights::all().bits())]),
            )
            .result();
        (own, keeper)
    }
}
