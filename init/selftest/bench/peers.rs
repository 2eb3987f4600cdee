//! Other processes of this program.

use alloc::format;
use alloc::string::{String, ToString};
use core::convert::Infallible;

use abi::image::EntryKind;
use libipc::bootstrap::Bootstrap;
use libipc::object::{Endpoint, MemoryObject, Process, Quota};
use libipc::{Boot, Connection, Handle, Rights, StartError};
use loader::{Image, Spawn};

use crate::{calls, interrupt, nic, postcard, threads};

/// The priority of this program and its peers.
pub const PRIORITY: u8 = 30;
/// The name of this program in the boot image.
const PROGRAM: &str = "bench";
/// The first argument of a peer; the second one is its role.
pub const PEER: &str = "peer";
/// The names of a peer's grants.
const SERVICE: &str = "service";
const MEMORY: &str = "memory";

/// What peers are made from.
pub struct Peers {
    image: Image,
    quota: Handle<Quota>,
}

/// What a peer does, how urgent it is, what it gets.
#[derive(Clone, Copy)]
pub struct Role<'a> {
    /// What it is to do.
    pub name: &'a str,
    /// Its priority.
    pub priority: u8,
    /// The endpoint that it serves.
    pub service: Option<&'a Handle<Endpoint>>,
    /// Memory that it shares with us.
    pub memory: Option<&'a Handle<MemoryObject>>,
}

impl<'a> Role<'a> {
    /// A role at this program's priority, with nothing.
    pub fn new(name: &'a str) -> Self {
        Self {
            name,
            priority: PRIORITY,
            service: None,
            memory: None,
        }
    }

    /// With an endpoint to serve.
    pub fn serving(self, endpoint: &'a Handle<Endpoint>) -> Self {
        Self {
            service: Some(endpoint),
            ..self
        }
    }
}

/// A peer; it ends when the value goes.
pub struct Peer {
    /// Its process.
    pub process: Handle<Process>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // One that has ended already can't be killed, and need not be.
        let _ = self.process.kill(0);
    }
}

impl Peers {
    /// Finds this program in the boot image.
    pub fn new(boot: &mut Boot) -> Result<Self, StartError> {
        let memory: Handle<MemoryObject> = boot.memory("boot-image")?;
        let other = |text: String| StartError::Other(text);
        let files = image_builder::Image::parse(memory.boot_bytes()?)
            .map_err(|error| other(error.to_string()))?;
        let program = files
            .find(EntryKind::Program, PROGRAM)
            .ok_or_else(|| other(format!("the boot image has no program {PROGRAM}")))?;
        let contents = program
            .checked()
            .map_err(|error| other(error.to_string()))?;
        let image = Image::load(contents, memory, program.offset())
            .map_err(|error| other(format!("{PROGRAM} can't be loaded: {error}")))?;
        Ok(Self {
            image,
            quota: boot.handle("quota")?,
        })
    }

    /// What peers live on.
    pub fn quota(&self) -> &Handle<Quota> {
        &self.quota
    }

    /// Starts a peer.
    pub fn start(&self, role: Role<'_>) -> Result<Peer, StartError> {
        let mut spawn = Spawn {
            bootstrap: Bootstrap {
                name: PROGRAM.into(),
                arguments: [PEER.to_string(), role.name.to_string()].into(),
                ..Bootstrap::default()
            },
            priority: role.priority,
            ..Spawn::new(&self.image, &self.quota)
        };
        if let Some(endpoint) = role.service {
            spawn.grant(SERVICE, endpoint, Rights::RECEIVE);
        }
        if let Some(memory) = role.memory {
            spawn.grant(MEMORY, memory, Rights::READ | Rights::WRITE | Rights::MAP);
        }
        let started = spawn.start();
        let process = started
            .map_err(|error| StartError::Other(format!("the peer {}: {error}", role.name)))?
            .process;
        Ok(Peer { process })
    }
}

/// A server and our way to it.
pub struct Served {
    /// Its process.
    pub peer: Peer,
    /// The way to it.
    pub connection: Handle<Connection>,
}

impl Peers {
    /// Starts a peer with an endpoint of its own.
    pub fn serve(&self, name: &str) -> Result<Served, StartError> {
        let endpoint = Handle::<Endpoint>::create()?;
        let connection = endpoint.mint(libipc::Badge::own(0, 1))?.client;
        let peer = self.start(Role::new(name).serving(&endpoint))?;
        Ok(Served { peer, connection })
    }
}

/// Does what a peer is for.
pub fn play(role: &str, mut boot: Boot) -> Result<Infallible, StartError> {
    match role {
        calls::ECHO => calls::echo(&boot.handle(SERVICE)?),
        calls::SPINNER => calls::spin(),
        postcard::SERVER => postcard::serve(boot.endpoint(SERVICE)?),
        nic::ROLE => nic::drive(boot),
        threads::YIELDER => threads::give_turns_away(),
        interrupt::WATCH => interrupt::watch(&boot.memory(MEMORY)?),
        _ => Err(StartError::Other(format!("no peer is called {role}"))),
    }
}
