//! Services: what init supervises, for whoever may look and steer.
//!
//! Served by init.

use libipc::prelude::*;

/// What a service is doing.
#[message]
#[derive(Copy, Eq)]
pub enum State {
    /// Not started yet: it starts when first called.
    Lazy,
    /// Its process is being made, or has not answered the first heartbeat.
    Starting,
    /// It answers.
    Running,
    /// It died and waits for its next start.
    Restarting,
    /// Somebody stopped it.
    Stopped,
    /// It died too often; init waits for a `start`.
    Failed,
}

/// Why the last incarnation ended.
#[message]
pub enum Cause {
    /// It has not ended.
    None,
    /// It left by itself.
    Exit {
        /// Its exit status.
        code: u64,
    },
    /// It faulted.
    Fault {
        /// The kind, as `FaultKind` prints it.
        kind: String,
        /// The address.
        address: u64,
        /// Where.
        instruction_pointer: u64,
        /// The panic's text, if there was one.
        panic: Option<String>,
    },
    /// It left a heartbeat unanswered.
    Watchdog,
    /// Somebody asked for it (stop, restart, `kill`).
    Request,
}

/// One service.
#[message]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: State,
    /// Its process, if it has one.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
    /// Why the last incarnation ended.
    pub last_exit: Cause,
    /// The protocols it serves.
    pub provides: Vec<String>,
    /// The services it needs.
    pub needs: Vec<String>,
    /// Whether the last heartbeat was answered.
    pub healthy: bool,
    /// When it came into this state, in nanoseconds since boot.
    pub since_ns: u64,
    /// What the last start took from the death (or request) to the first heartbeat, in nanoseconds.
    pub took_ns: u64,
    /// Which incarnation this is, from 1.
    pub generation: u64,
    /// Bytes charged to it.
    pub memory_bytes: u64,
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Handles it holds.
    pub handles: u64,
    /// The CPU it runs on.
    pub cpu: u8,
}

/// How a service stops answering.
#[message]
#[derive(Copy, Eq)]
pub enum Hang {
    /// It loops.
    Loops,
    /// It waits for what nobody brings.
    Waits,
}

/// When a fault is to happen.
#[message]
pub enum When {
    /// At once.
    Now,
    /// At the n-th call of a method from now.
    Method {
        /// The method's name.
        method: String,
        /// Which call, from 1.
        n: u32,
        /// Before the handler runs, or after it ran and before the reply.
        after: bool,
    },
    /// At the n-th passing of a named point in the service's code.
    Point {
        /// The point's name.
        point: String,
        /// Which passing, from 1.
        n: u32,
    },
}

/// Errors of the supervisor.
#[message]
pub enum Error {
    /// No such service.
    UnknownService,
    /// No such protocol there.
    UnknownProtocol,
    /// The caller's Connection does not allow this.
    NotPermitted,
    /// It is in a state that does not allow this.
    InvalidState {
        /// The state.
        state: State,
    },
    /// It could not be started.
    StartFailed {
        /// Why.
        reason: String,
    },
    /// The service does not know that method or point.
    UnknownPoint,
}

/// See the module.
#[protocol(name = "services", version = 1)]
pub trait Services {
    /// Names of all services, from index `from`, as many as fit; empty at the end.
    #[idempotent]
    fn list(&mut self, from: u32) -> Result<Vec<String>, Error>;

    /// Everything about one service.
    #[idempotent]
    fn status(&mut self, name: String) -> Result<Status, Error>;

    /// Waits until the state of any service differs from what it was at `seen`; answers the new number and the name.
    #[idempotent]
    #[deferred]
    fn watch(&mut self, seen: u64) -> Result<(u64, String), Error>;

    /// Starts a service that is stopped, failed or lazy; answers when it runs.
    #[deferred]
    fn start(&mut self, name: String) -> Result<Status, Error>;

    /// Stops a service; it is not started again by itself.
    #[deferred]
    fn stop(&mut self, name: String) -> Result<Status, Error>;

    /// Stops and starts a service.
    #[deferred]
    fn restart(&mut self, name: String) -> Result<Status, Error>;

    /// Mints a Connection to a protocol of a service for the caller, whose Connection must allow that.
    #[idempotent]
    fn connect(&mut self, name: String, protocol: String) -> Result<Handle<Connection>, Error>;

    /// Kills a service now or at a point; it is restarted as after any death. Answers when the order is placed.
    #[deferred]
    fn kill(&mut self, name: String, when: When) -> Result<(), Error>;

    /// Has a service stop answering as soon as it has acknowledged the order, for `ms` milliseconds or for ever: what the watchdog is there to notice.
    #[deferred]
    fn hang(&mut self, name: String, how: Hang, ms: Option<u32>) -> Result<(), Error>;

    /// The manifest as text.
    #[idempotent]
    fn manifest(&mut self, name: String) -> Result<String, Error>;

    /// Figures of the machine: for each CPU idle ns and address-space switches; memory total and free in bytes; objects alive.
    #[idempotent]
    fn machine(&mut self) -> Result<Machine, Error>;
}

/// One CPU's figures.
#[message]
pub struct Cpu {
    /// Nanoseconds it was idle.
    pub idle_ns: u64,
    /// Address-space switches.
    pub switches: u64,
    /// System calls.
    pub system_calls: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Longest stay in the kernel, in nanoseconds.
    pub longest_stay_ns: u64,
}

/// The machine's figures.
#[message]
pub struct Machine {
    /// Each CPU.
    pub cpus: Vec<Cpu>,
    /// Bytes of usable memory.
    pub memory_total: u64,
    /// Bytes free.
    pub memory_free: u64,
    /// Kernel objects alive.
    pub objects: u64,
    /// Whether DMA is held in check.
    pub has_iommu: bool,
}
