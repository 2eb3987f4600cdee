//! Everything that init knows, and what it does when something happens.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::boot::BootInfo;
use init::mode::Mode;
use init::placement;
use init::supervisor::{Action, Event, ServiceId, State, Supervisor};
use libipc::log::Level;
use libipc::object::Hardware;
use libipc::{
    Badge, CallId, Calls, Cancelled, Connection, Endpoint, Handle, Instant, Minter, Quota, Reply,
    SysError,
};
use protocols::client::{Client, FIRST_USER_PID};
use protocols::services::Error;
use protocols::{log, pci};

use crate::calls::Purpose;
use crate::console::{Console, hardware};
use crate::devices::Devices;
use crate::image::BootImage;
use crate::service::{FIRST_PID, Service, of_fault_badge};

/// How often the endpoints of services that start when they are called are looked at.
const LAZY_LOOK_NS: u64 = 20_000_000;
/// Services, at most: users' processes have the numbers behind theirs.
const MAX_SERVICES: usize = (FIRST_USER_PID - FIRST_PID) as usize;
/// The services that init itself calls.
const LOG_SERVICE: &str = "logd";
const PCI_SERVICE: &str = "pci";

/// init.
pub struct Init {
    pub(crate) console: Console,
    pub(crate) hardware: Handle<Hardware>,
    pub(crate) root: Handle<Quota>,
    pub(crate) info: &'static BootInfo,
    pub(crate) image: BootImage,
    pub(crate) mode: Mode,
    pub(crate) supervisor: Supervisor,
    pub(crate) services: Vec<Service>,
    pub(crate) calls: Calls,
    pub(crate) minter: Minter,
    pub(crate) pending: BTreeMap<CallId, Purpose>,
    pub(crate) devices: Devices,
    pub(crate) log: Option<Provider<log::Client>>,
    pub(crate) pci: Option<Provider<pci::Client>>,
    pub(crate) changes: Changes,
    /// When lazy services are looked at next.
    lazy_look: u64,
}

/// A service that init calls itself.
pub(crate) struct Provider<C> {
    pub id: ServiceId,
    pub client: C,
}

/// What changed, numbered.
#[derive(Default)]
pub(crate) struct Changes {
    /// The number of the last one.
    pub count: u64,
    /// The newest, the last at the end.
    pub names: VecDeque<String>,
    /// Who waits for the next one.
    pub watchers: Vec<Watcher>,
}

/// The number that somebody has seen, and the right to tell it the next.
type Watcher = (u64, Reply<(u64, String), Error>);

impl Init {
    /// Reads the image and makes what every service has. Nothing is started.
    pub fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let refused = |error: SysError| format!("init can't set up: {error}");
        let console = Console::new().map_err(refused)?;
        let info = libipc::start::boot_info().ok_or("the kernel gave no BootInfo")?;
        let image = BootImage::open()?;
        let (mut manifests, problems) = image.manifests();
        for problem in problems {
            console.say(Level::Warn, format_args!("{problem}"));
        }
        let mode = Mode::parse(command_line(info));
        manifests.retain(|manifest| manifest.is_in(mode.name()));
        for left_out in manifests.drain(MAX_SERVICES.min(manifests.len())..) {
            let name = left_out.name;
            console.say(Level::Error, format_args!("{name} is one service too many"));
        }
        let places = placement::place(&manifests, info.cpu_count);
        let supervisor = Supervisor::new(&manifests);
        let services = manifests
            .into_iter()
            .zip(places)
            .enumerate()
            .map(|(index, (manifest, cpu))| Service::new(ServiceId(index), manifest, cpu))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
        let log = provider(&services, LOG_SERVICE, log::Client::adopt).map_err(refused)?;
        let pci = provider(&services, PCI_SERVICE, pci::Client::adopt).map_err(refused)?;
        Ok(Self {
            log,
            pci,
            hardware: hardware(),
            root: Handle::from_raw(abi::boot::ROOT_QUOTA),
            calls: endpoint.calls(),
            minter: endpoint.minter().map_err(refused)?,
            pending: BTreeMap::new(),
            devices: Devices::default(),
            changes: Changes::default(),
            lazy_look: 0,
            console,
            info,
            image,
            mode,
            supervisor,
            services,
        })
    }

    /// Starts what starts at boot.
    pub fn boot(&mut self) {
        let (cpus, mebibytes) = (self.info.cpu_count, self.info.memory_bytes >> 20);
        self.say(format_args!(
            "{cpus} CPUs, {mebibytes} MiB, {} services",
            self.services.len()
        ));
        if self.info.has_iommu == 0 {
            self.say(format_args!(
                "no IOMMU: a device can write to all memory that its driver names"
            ));
        }
        self.register_log(None);
        self.happened(Event::Boot);
        if let Mode::Program { name, .. } = &self.mode {
            match self.find(name) {
                Some(id) => self.happened(Event::StartRequested(id)),
                None => {
                    let name = name.clone();
                    self.warn(format_args!(
                        "the command line asks for {name}, which is not in the boot image"
                    ));
                }
            }
        }
        self.list_devices();
        self.act();
    }

    /// When [`on_deadline`](Self::on_deadline) is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let mut due = self
            .supervisor
            .next_deadline()
            .min(self.devices.next_deadline());
        if self.has_lazy() {
            due = due.min(self.lazy_look);
        }
        (due != u64::MAX).then(|| Instant::from_ns(due))
    }

    /// Time has passed.
    pub fn on_deadline(&mut self) {
        self.happened(Event::Tick);
        self.retry_devices();
        if self.has_lazy() && self.lazy_look <= now() {
            self.look_at_lazy();
            self.lazy_look = now() + LAZY_LOOK_NS;
        }
    }

    /// All of an incarnation is returned.
    pub fn on_gone(&mut self, badge: Badge) {
        let Some(id) = self.of_fault_badge(badge) else {
            return;
        };
        let service = &mut self.services[id.0];
        let Some(incarnation) = service.process.take() else {
            return;
        };
        if let Some((call, _)) = incarnation.heartbeat {
            self.calls.cancel(call);
        }
        let status = exit_status(&incarnation);
        self.show_last_records(id);
        self.happened(Event::Gone(id, status));
    }

    /// Somebody no longer waits for an answer.
    pub fn on_cancelled(&mut self, cancelled: &Cancelled) {
        let watchers = &mut self.changes.watchers;
        watchers.retain(|(_, reply)| !reply.is_cancelled_by(cancelled));
        for service in &mut self.services {
            service
                .waiting
                .retain(|waiting| !waiting.reply.is_cancelled_by(cancelled));
        }
    }

    /// Does everything that the supervisor wants done.
    pub fn act(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            match action {
                Action::Spawn(id) => self.spawn(id),
                Action::Kill(id) => self.kill(id),
                Action::ResetDevice(id) => self.reset_device(id),
                Action::Heartbeat(id) => self.ask(id),
                Action::Changed(id) => self.changed(id),
            }
        }
    }

    /// Reports an event to the supervisor.
    pub(crate) fn happened(&mut self, event: Event) {
        self.supervisor.on(now(), event);
    }

    /// The service of this name.
    pub(crate) fn find(&self, name: &str) -> Option<ServiceId> {
        self.services
            .iter()
            .position(|service| service.manifest.name == name)
            .map(ServiceId)
    }

    /// The present incarnation whose fault Connection this is.
    pub(crate) fn of_fault_badge(&self, badge: Badge) -> Option<ServiceId> {
        of_fault_badge(badge, |id| {
            (id.0 < self.services.len()).then(|| self.supervisor.record(id).generation)
        })
    }

    /// Whether a service answers.
    pub(crate) fn is_running(&self, id: ServiceId) -> bool {
        self.supervisor.record(id).state == State::Running
    }

    pub(crate) fn say(&self, text: core::fmt::Arguments<'_>) {
        self.console.say(Level::Info, text);
    }

    pub(crate) fn warn(&self, text: core::fmt::Arguments<'_>) {
        self.console.say(Level::Warn, text);
    }

    fn kill(&mut self, id: ServiceId) {
        let Some(incarnation) = &self.services[id.0].process else {
            return;
        };
        if let Err(error) = incarnation.process.kill(0) {
            let name = self.services[id.0].manifest.name.clone();
            self.warn(format_args!("{name} can't be killed: {error}"));
        }
    }

    /// While the log does not run, nobody else would ever see why a service died.
    fn show_last_records(&self, id: ServiceId) {
        let has_log = self
            .log
            .as_ref()
            .is_some_and(|log| log.id != id && self.is_running(log.id));
        if !has_log {
            let service = &self.services[id.0];
            self.console
                .show_ring(&service.manifest.name, &service.ring);
        }
    }

    /// A service came into another state.
    fn changed(&mut self, id: ServiceId) {
        let name = self.services[id.0].manifest.name.clone();
        let record = self.supervisor.record(id);
        let (state, generation, took, restarts) = (
            record.state,
            record.generation,
            record.took,
            record.restarts,
        );
        match state {
            State::Running if generation > 1 => {
                let (ms, us) = (took / 1_000_000, took / 1_000 % 1_000);
                self.say(format_args!(
                    "{name} is back after {ms}.{us:03} ms, restart {restarts}"
                ));
            }
            State::Running => self.say(format_args!("{name} runs")),
            State::Failed => {
                let cause = crate::faults::describe(record.cause.as_ref());
                self.console.say(
                    Level::Error,
                    format_args!("{name} died too often and stays down until somebody starts it; the last time: {cause}"),
                );
            }
            State::Waiting(_) | State::Stopped => {
                let cause = crate::faults::describe(record.cause.as_ref());
                self.say(format_args!("{name} ended: {cause}"));
            }
            State::Idle | State::Starting | State::Ending | State::Resetting => {}
        }
        if state == State::Running {
            self.on_running(id, generation);
        }
        self.announce(id, name);
    }

    /// What follows when a service that init depends on comes up.
    fn on_running(&mut self, id: ServiceId, generation: u64) {
        if generation > 1 && self.log.as_ref().is_some_and(|log| log.id == id) {
            self.register_all_logs();
        }
        if generation > 1 && self.pci.as_ref().is_some_and(|pci| pci.id == id) {
            self.enable_devices_again();
        }
    }

    fn has_lazy(&self) -> bool {
        self.lazy().next().is_some()
    }

    /// Services that start when they are called, and have not been.
    fn lazy(&self) -> impl Iterator<Item = ServiceId> + '_ {
        self.supervisor.ids().filter(|id| {
            self.supervisor.record(*id).state == State::Idle
                && self.services[id.0].manifest.start == init_manifest::Start::Lazy
                && !self.services[id.0].manifest.provides.is_empty()
        })
    }

    fn look_at_lazy(&mut self) {
        let is_wanted = |id: &ServiceId| {
            let figures = self.services[id.0].endpoint.figures();
            figures.is_ok_and(|figures| figures.queued > 0)
        };
        let wanted: Vec<ServiceId> = self.lazy().filter(is_wanted).collect();
        for id in wanted {
            self.happened(Event::Wanted(id));
        }
    }
}

/// A service that init calls itself, if it is in the image. Its first protocol is the one that is meant.
fn provider<C>(
    services: &[Service],
    name: &str,
    adopt: fn(Handle<Connection>) -> C,
) -> Result<Option<Provider<C>>, SysError> {
    let index = services
        .iter()
        .position(|service| service.manifest.name == name);
    index
        .map(|index| {
            let minted = services[index].endpoint.mint(Client::INIT.badge(0))?;
            Ok(Provider {
                id: ServiceId(index),
                client: adopt(minted.client),
            })
        })
        .transpose()
}

/// Now, in nanoseconds since boot.
pub(crate) fn now() -> u64 {
    Instant::now().as_ns()
}

fn command_line(info: &BootInfo) -> &str {
    let length = (info.command_line_length as usize).min(info.command_line.len());
    core::str::from_utf8(&info.command_line[..length]).unwrap_or_default()
}

/// The status of a process that left by itself.
fn exit_status(incarnation: &crate::service::Incarnation) -> Option<u64> {
    let figures = incarnation.process.figures().ok()?;
    (figures.cause == abi::records::DeathCause::Exited).then_some(figures.code)
}

/// A failed call, for people.
pub(crate) fn text_of(error: impl ToString) -> String {
    error.to_string()
}
