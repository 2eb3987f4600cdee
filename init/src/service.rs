//! What init holds of one service: its parts that outlive every incarnation, and the incarnation that runs.

use alloc::string::String;
use alloc::vec::Vec;

use init::supervisor::ServiceId;
use init::watchdog::Asked;
use init_manifest::Manifest;
use libipc::object::{Capsule, Endpoint};
use libipc::{
    Badge, CallId, Connection, Handle, Interrupt, IoPorts, MemoryObject, Process, Quota, RawReply,
    Reply, SysError, Thread,
};
use protocols::client::{Client, Grants};
use protocols::services::{Error, Status};

use crate::console::LogRing;

/// Process number of the first service; init is 1.
pub const FIRST_PID: u32 = 2;
/// In badges on init's own endpoint: these are fault Connections.
const FAULTS: u8 = 1;
/// Where the incarnation stands in the number of a fault badge.
const GENERATION_SHIFT: u32 = 32;
/// So much of it fits there.
const GENERATION_MASK: u64 = 0xff_ffff;

/// One service.
pub struct Service {
    /// What it is.
    pub manifest: Manifest,
    /// Its process number.
    pub pid: u32,
    /// Where it is called.
    pub endpoint: Handle<Endpoint>,
    /// init's own Connection to it.
    pub supervisor: Handle<Connection>,
    /// Its log ring.
    pub ring: LogRing,
    /// What else outlives it, made before its first start.
    pub estate: Option<Estate>,
    /// The CPU it starts on.
    pub cpu: u8,
    /// Its process.
    pub process: Option<Incarnation>,
    /// What its last fault was.
    pub last_fault: Option<Fault>,
    /// Who waits until it runs, or stops.
    pub waiting: Vec<Waiting>,
}

/// What a service keeps for ever.
pub struct Estate {
    /// What it lives on.
    pub quota: Handle<Quota>,
    /// What it makes processes under.
    pub spawn: Option<Handle<Quota>>,
    /// What outlives it.
    pub capsule: Option<Handle<Capsule>>,
    /// Its ports, as in the manifest.
    pub ports: Vec<Handle<IoPorts>>,
    /// Its ISA lines.
    pub lines: Vec<(u8, Handle<Interrupt>)>,
    /// Windows of configuration space.
    pub windows: Vec<Handle<MemoryObject>>,
}

/// A process of a service.
pub struct Incarnation {
    /// The process.
    pub process: Handle<Process>,
    /// Its first thread.
    pub thread: Handle<Thread>,
    /// The heartbeat under way.
    pub heartbeat: Option<(CallId, Asked)>,
    /// It faulted: dropping this lets its thread end.
    pub frozen: Option<RawReply>,
    /// Somebody ordered it to die at some point.
    pub is_doomed: bool,
    /// The address of its image, to name places in it.
    pub base: u64,
}

/// A fault, for whoever asks later.
#[derive(Clone)]
pub struct Fault {
    /// Its kind.
    pub kind: String,
    /// The address that was touched.
    pub address: u64,
    /// Where.
    pub instruction_pointer: u64,
    /// The text of the panic.
    pub panic: Option<String>,
}

/// Somebody who waits for a service.
pub struct Waiting {
    /// Until what.
    pub goal: Goal,
    /// The right to answer.
    pub reply: Reply<Status, Error>,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Goal {
    /// It runs.
    Running,
    /// It is stopped.
    Stopped,
}

impl Service {
    /// A service that was never started.
    pub fn new(id: ServiceId, manifest: Manifest, cpu: u8) -> Result<Self, SysError> {
        let endpoint = Handle::<Endpoint>::create()?;
        let supervisor = endpoint.mint(Badge::SUPERVISOR)?.client;
        Ok(Self {
            manifest,
            pid: FIRST_PID + id.0 as u32,
            endpoint,
            supervisor,
            ring: LogRing::create()?,
            estate: None,
            cpu,
            process: None,
            last_fault: None,
            waiting: Vec::new(),
        })
    }

    /// How it appears to those it calls.
    pub fn client(&self) -> Client {
        let grants = self.manifest.grants.iter().copied().map(grants);
        Client {
            pid: self.pid,
            grants: grants.fold(Grants::NONE, Grants::and),
        }
    }

    /// The index of a protocol that it provides.
    pub fn protocol(&self, name: &str) -> Option<u8> {
        let index = self
            .manifest
            .provides
            .iter()
            .position(|provided| provided == name)?;
        u8::try_from(index).ok()
    }
}

/// A manifest's grant as servers see it. Those that are handles are not seen.
const fn grants(grant: init_manifest::Grant) -> Grants {
    use init_manifest::Grant;
    match grant {
        Grant::Broker => Grants::BROKER,
        Grant::ServiceControl => Grants::SERVICE_CONTROL,
        Grant::LogSources => Grants::LOG_SOURCES,
        Grant::Machine => Grants::MACHINE,
        Grant::Sessions => Grants::SESSIONS,
        Grant::BootImage | Grant::Spawn => Grants::NONE,
    }
}

/// The badge of an incarnation's fault Connection.
pub fn fault_badge(id: ServiceId, generation: u64) -> Badge {
    let number = id.0 as u64 | ((generation & GENERATION_MASK) << GENERATION_SHIFT);
    Badge::own(FAULTS, number)
}

/// Whose fault Connection it is. An incarnation that is not the present one is no longer of interest.
pub fn of_fault_badge(
    badge: Badge,
    generation_of: impl Fn(ServiceId) -> Option<u64>,
) -> Option<ServiceId> {
    let number = badge.number();
    let id = ServiceId((number & u64::from(u32::MAX)) as usize);
    let is_present = generation_of(id)? & GENERATION_MASK == number >> GENERATION_SHIFT;
    (badge.protocol() == FAULTS && is_present).then_some(id)
}
