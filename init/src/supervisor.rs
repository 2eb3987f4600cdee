//! The life of every service, as a machine of states without side effects.
//!
//! Whoever drives it reports [`Event`]s with the time they happened, and carries out the [`Action`]s that come back, in order. Invariants: a service has a process exactly in the
//! states `Starting`, `Running` and `Ending`; a process is replaced only after its remains were returned (`Event::Gone`) and, for a PCI driver, its function was reset.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use init_manifest::{Manifest, Restart, Start};

use crate::backoff::{Backoff, Verdict};

/// A service leaves its heartbeat unanswered for so long of wall time before it counts as hung.
pub const HEARTBEAT_PATIENCE_NS: u64 = 2_000_000_000;
/// How often a running service is asked.
pub const HEARTBEAT_INTERVAL_NS: u64 = 1_000_000_000;

/// Number of a service: its place in the list of manifests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ServiceId(pub usize);

/// What a service is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Not started yet: waits for its first call, or its device.
    Idle,
    /// It waits for its next start, at this time.
    Waiting(u64),
    /// Its process exists but has not answered yet.
    Starting,
    /// It answers.
    Running,
    /// It is being taken apart.
    Ending,
    /// Its device is being reset after its end.
    Resetting,
    /// Somebody stopped it.
    Stopped,
    /// It died too often.
    Failed,
}

/// Why an incarnation ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// By itself, with this status.
    Exit(u64),
    /// By a fault; the text says which and where.
    Fault(String),
    /// It left its heartbeat unanswered.
    Watchdog,
    /// Somebody asked for it.
    Request,
    /// Its process could not be made; why.
    StartFailed(String),
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The system is up: start what starts at boot.
    Boot,
    /// A call waits for a lazy service, or its device was found.
    Wanted(ServiceId),
    /// Its process was made and runs.
    Spawned(ServiceId),
    /// Its process could not be made.
    SpawnFailed(ServiceId, String),
    /// It answered a heartbeat.
    Alive(ServiceId),
    /// A heartbeat ran into its deadline.
    Silent(ServiceId),
    /// It faulted and is frozen.
    Faulted(ServiceId, String),
    /// As somebody ordered, it died at a point in its code and is frozen. Like every death that was asked for it says nothing about the service's health.
    DiedAsOrdered(ServiceId, String),
    /// All of its process is returned; its exit status, if it left by itself.
    Gone(ServiceId, Option<u64>),
    /// Its device was reset.
    DeviceReset(ServiceId),
    /// Somebody asked for a start.
    StartRequested(ServiceId),
    /// Somebody asked for a stop.
    StopRequested(ServiceId),
    /// Somebody asked for a restart, or for its death.
    RestartRequested(ServiceId),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Make its process.
    Spawn(ServiceId),
    /// Kill its process.
    Kill(ServiceId),
    /// Reset its device.
    ResetDevice(ServiceId),
    /// Ask it for a sign of life.
    Heartbeat(ServiceId),
    /// It came into another state.
    Changed(ServiceId),
}

/// One service's record.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: u64,
    /// Which incarnation this is, from 1; 0: none yet.
    pub generation: u64,
    /// How often it was started again after a death.
    pub restarts: u32,
    /// Why the last incarnation ended.
    pub cause: Option<Cause>,
    /// From the death or request to the first answer, of the last start.
    pub took: u64,
    /// Whether the last heartbeat was answered.
    pub healthy: bool,
    restart: Restart,
    has_device: bool,
    backoff: Backoff,
    running_since: Option<u64>,
    down_since: u64,
    next_heartbeat: u64,
    heartbeat_pending: bool,
    after_end: AfterEnd,
}

/// What follows when a service's end is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum AfterEnd {
    Judge,
    StayStopped,
    StartAtOnce,
}

/// All services.
#[derive(Debug)]
pub struct Supervisor {
    records: Vec<Record>,
    boot: Vec<bool>,
    actions: VecDeque<Action>,
}

impl Supervisor {
    /// Takes the services in the order of their manifests.
    pub fn new(manifests: &[Manifest]) -> Self {
        let records = manifests
            .iter()
            .map(|manifest| Record {
                state: State::Idle,
                since: 0,
                generation: 0,
                restarts: 0,
                cause: None,
                took: 0,
                healthy: false,
                restart: manifest.restart,
                has_device: manifest.is_pci_driver(),
                backoff: Backoff::default(),
                running_since: None,
                down_since: 0,
                next_heartbeat: u64::MAX,
                heartbeat_pending: false,
                after_end: AfterEnd::Judge,
            })
            .collect();
        let boot = manifests
            .iter()
            .map(|manifest| manifest.start == Start::Boot)
            .collect();
        Self {
            records,
            boot,
            actions: VecDeque::new(),
        }
    }

    /// A service's record.
    ///
    /// # Panics
    /// If there is no such service.
    pub fn record(&self, id: ServiceId) -> &Record {
        &self.records[id.0]
    }

    /// The services.
    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..self.records.len()).map(ServiceId)
    }

    /// When [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> u64 {
        let due = |record: &Record| match record.state {
            State::Waiting(at) => at,
            State::Running if !record.heartbeat_pending => record.next_heartbeat,
            _ => u64::MAX,
        };
        self.records.iter().map(due).min().unwrap_or(u64::MAX)
    }

    /// Takes the next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Takes note of what happened at `now`.
    pub fn on(&mut self, now: u64, event: Event) {
        match event {
            Event::Boot => self.boot(now),
            Event::Tick => self.tick(now),
            Event::Wanted(id) => self.wanted(now, id),
            Event::Spawned(id) => self.spawned(now, id),
            Event::SpawnFailed(id, reason) => self.spawn_failed(now, id, reason),
            Event::Alive(id) => self.alive(now, id),
            Event::Silent(id) => self.end(now, id, Cause::Watchdog, AfterEnd::Judge),
            Event::Faulted(id, text) => self.end(now, id, Cause::Fault(text), AfterEnd::Judge),
            Event::DiedAsOrdered(id, text) => {
                self.end(now, id, Cause::Fault(text), AfterEnd::StartAtOnce)
            }
            Event::Gone(id, status) => self.gone(now, id, status),
            Event::DeviceReset(id) => self.device_reset(now, id),
            Event::StartRequested(id) => self.start_requested(now, id),
            Event::StopRequested(id) => self.stop_requested(now, id),
            Event::RestartRequested(id) => self.restart_requested(now, id),
        }
    }

    fn boot(&mut self, now: u64) {
        for id in self.ids() {
            if self.boot[id.0] {
                self.wanted(now, id);
            }
        }
    }

    fn wanted(&mut self, now: u64, id: ServiceId) {
        if self.records[id.0].state == State::Idle {
            self.records[id.0].down_since = now;
            self.spawn(now, id);
        }
    }

    fn spawn(&mut self, now: u64, id: ServiceId) {
        self.enter(now, id, State::Starting);
        let record = &mut self.records[id.0];
        record.generation += 1;
        record.after_end = AfterEnd::Judge;
        self.actions.push_back(Action::Spawn(id));
    }

    fn spawned(&mut self, now: u64, id: ServiceId) {
        if self.records[id.0].state == State::Starting {
            self.ask(now, id);
        }
    }

    fn spawn_failed(&mut self, now: u64, id: ServiceId, reason: String) {
        if self.records[id.0].state == State::Starting {
            self.records[id.0].cause = Some(Cause::StartFailed(reason));
            self.judge(now, id);
        }
    }

    fn alive(&mut self, now: u64, id: ServiceId) {
        let record = &mut self.records[id.0];
        record.heartbeat_pending = false;
        record.next_heartbeat = now + HEARTBEAT_INTERVAL_NS;
        record.healthy = true;
        if record.state == State::Starting {
            record.took = now.saturating_sub(record.down_since);
            record.running_since = Some(now);
            self.enter(now, id, State::Running);
        }
    }

    fn ask(&mut self, now: u64, id: ServiceId) {
        let record = &mut self.records[id.0];
        record.heartbeat_pending = true;
        record.next_heartbeat = now + HEARTBEAT_INTERVAL_NS;
        self.actions.push_back(Action::Heartbeat(id));
    }

    fn tick(&mut self, now: u64) {
        for id in self.ids() {
            let record = &self.records[id.0];
            match record.state {
                State::Waiting(at) if at <= now => self.spawn(now, id),
                State::Running if !record.heartbeat_pending && record.next_heartbeat <= now => {
                    self.ask(now, id)
                }
                _ => {}
            }
        }
    }

    /// Ends a service that has a process; others are not concerned.
    fn end(&mut self, now: u64, id: ServiceId, cause: Cause, after: AfterEnd) {
        let record = &mut self.records[id.0];
        if !matches!(record.state, State::Starting | State::Running) {
            return;
        }
        record.cause = Some(cause);
        record.after_end = after;
        record.down_since = now;
        self.enter(now, id, State::Ending);
        self.actions.push_back(Action::Kill(id));
    }

    fn gone(&mut self, now: u64, id: ServiceId, status: Option<u64>) {
        let record = &mut self.records[id.0];
        match record.state {
            State::Ending => {}
            State::Starting | State::Running => {
                record.cause = Some(status.map_or(Cause::Request, Cause::Exit));
                record.down_since = now;
            }
            _ => return,
        }
        if record.has_device {
            self.enter(now, id, State::Resetting);
            self.actions.push_back(Action::ResetDevice(id));
        } else {
            self.ended(now, id);
        }
    }

    fn device_reset(&mut self, now: u64, id: ServiceId) {
        if self.records[id.0].state == State::Resetting {
            self.ended(now, id);
        }
    }

    fn ended(&mut self, now: u64, id: ServiceId) {
        match self.records[id.0].after_end {
            AfterEnd::StayStopped => self.enter(now, id, State::Stopped),
            AfterEnd::StartAtOnce => {
                self.records[id.0].restarts += 1;
                self.spawn(now, id);
            }
            AfterEnd::Judge => self.judge(now, id),
        }
    }

    /// Decides by policy and back-off what follows a death.
    fn judge(&mut self, now: u64, id: ServiceId) {
        let record = &mut self.records[id.0];
        let stays_down = match record.restart {
            Restart::Always => false,
            Restart::OnFailure => record.cause == Some(Cause::Exit(0)),
            Restart::Never => true,
        };
        if stays_down {
            return self.enter(now, id, State::Stopped);
        }
        match record.backoff.on_death(now, record.running_since.take()) {
            Verdict::GiveUp => self.enter(now, id, State::Failed),
            Verdict::StartAt(at) => {
                record.restarts += 1;
                if at <= now {
                    self.spawn(now, id)
                } else {
                    self.enter(now, id, State::Waiting(at))
                }
            }
        }
    }

    fn start_requested(&mut self, now: u64, id: ServiceId) {
        let record = &mut self.records[id.0];
        match record.state {
            State::Idle | State::Stopped | State::Failed | State::Waiting(_) => {
                record.backoff.reset();
                record.down_since = now;
                self.spawn(now, id);
            }
            State::Ending | State::Resetting => record.after_end = AfterEnd::StartAtOnce,
            State::Starting | State::Running => {}
        }
    }

    fn stop_requested(&mut self, now: u64, id: ServiceId) {
        match self.records[id.0].state {
            State::Starting | State::Running => {
                self.end(now, id, Cause::Request, AfterEnd::StayStopped)
            }
            State::Ending | State::Resetting => {
                self.records[id.0].after_end = AfterEnd::StayStopped
            }
            _ => self.enter(now, id, State::Stopped),
        }
    }

    fn restart_requested(&mut self, now: u64, id: ServiceId) {
        match self.records[id.0].state {
            State::Starting | State::Running => {
                self.end(now, id, Cause::Request, AfterEnd::StartAtOnce)
            }
            _ => self.start_requested(now, id),
        }
    }

    fn enter(&mut self, now: u64, id: ServiceId, state: State) {
        let record = &mut self.records[id.0];
        if record.state == state {
            return;
        }
        record.state = state;
        record.since = now;
        record.healthy &= state == State::Running;
        record.heartbeat_pending = false;
        self.actions.push_back(Action::Changed(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use init_manifest::{Capsule, Hardware, Layer, PciMatch, Quota};
    use proptest::prelude::*;

    const IT: ServiceId = ServiceId(0);

    fn manifest(start: Start, restart: Restart, has_device: bool) -> Manifest {
        Manifest {
            name: "it".to_string(),
            program: String::new(),
            only_in: String::new(),
            layer: Layer::Driver,
            start,
            restart,
            priority: 1,
            provides: Vec::new(),
            needs: Vec::new(),
            quota: Quota {
                memory_kib: 64,
                handles: 64,
                threads: 1,
            },
            capsule: Capsule::default(),
            hardware: Hardware {
                pci: if has_device {
                    [PciMatch::default()].to_vec()
                } else {
                    Vec::new()
                },
                ..Hardware::default()
            },
            grants: Vec::new(),
            arguments: Vec::new(),
            cpu: None,
        }
    }

    fn actions(supervisor: &mut Supervisor) -> Vec<Action> {
        core::iter::from_fn(|| supervisor.next_action())
            .filter(|action| !matches!(action, Action::Changed(_)))
            .collect()
    }

    fn running(has_device: bool) -> Supervisor {
        let mut supervisor = Supervisor::new(&[manifest(Start::Boot, Restart::Always, has_device)]);
        supervisor.on(0, Event::Boot);
        supervisor.on(10, Event::Spawned(IT));
        supervisor.on(20, Event::Alive(IT));
        assert_eq!(
            actions(&mut supervisor),
            [Action::Spawn(IT), Action::Heartbeat(IT)]
        );
        assert_eq!(supervisor.record(IT).state, State::Running);
        supervisor
    }

    #[test]
    fn a_fault_is_followed_by_a_new_incarnation_once_all_is_returned() {
        let mut supervisor = running(false);
        supervisor.on(100, Event::Faulted(IT, "page fault".to_string()));
        assert_eq!(actions(&mut supervisor), [Action::Kill(IT)]);
        supervisor.on(110, Event::Gone(IT, None));
        assert_eq!(actions(&mut supervisor), [Action::Spawn(IT)]);
        supervisor.on(120, Event::Spawned(IT));
        supervisor.on(150, Event::Alive(IT));
        let record = supervisor.record(IT);
        assert_eq!(
            (record.generation, record.restarts, record.took),
            (2, 1, 50)
        );
        assert_eq!(record.cause, Some(Cause::Fault("page fault".to_string())));
    }

    #[test]
    fn a_driver_starts_again_only_after_its_device_was_reset() {
        let mut supervisor = running(true);
        supervisor.on(100, Event::Faulted(IT, String::new()));
        supervisor.on(110, Event::Gone(IT, None));
        assert_eq!(
            actions(&mut supervisor),
            [Action::Kill(IT), Action::ResetDevice(IT)]
        );
        supervisor.on(120, Event::DeviceReset(IT));
        assert_eq!(actions(&mut supervisor), [Action::Spawn(IT)]);
    }

    #[test]
    fn a_crash_loop_ends_and_a_request_starts_it_again() {
        let mut supervisor = running(false);
        let mut now = 100;
        for _ in 0..4 {
            supervisor.on(now, Event::Gone(IT, Some(1)));
            now = match supervisor.record(IT).state {
                State::Waiting(at) => at,
                _ => now,
            };
            supervisor.on(now, Event::Tick);
            supervisor.on(now, Event::Spawned(IT));
            supervisor.on(now, Event::Alive(IT));
            assert_eq!(supervisor.record(IT).state, State::Running);
        }
        supervisor.on(now, Event::Gone(IT, Some(1)));
        assert_eq!(supervisor.record(IT).state, State::Failed);
        supervisor.on(now, Event::StartRequested(IT));
        assert_eq!(supervisor.record(IT).state, State::Starting);
    }

    #[test]
    fn a_silent_service_is_killed() {
        let mut supervisor = running(false);
        supervisor.on(supervisor.next_deadline(), Event::Tick);
        assert_eq!(actions(&mut supervisor), [Action::Heartbeat(IT)]);
        supervisor.on(5_000_000_000, Event::Silent(IT));
        assert_eq!(actions(&mut supervisor), [Action::Kill(IT)]);
        assert_eq!(supervisor.record(IT).cause, Some(Cause::Watchdog));
    }

    #[test]
    fn what_was_stopped_stays_down() {
        let mut supervisor = running(false);
        supervisor.on(100, Event::StopRequested(IT));
        supervisor.on(110, Event::Gone(IT, None));
        supervisor.on(u64::MAX, Event::Tick);
        assert_eq!(supervisor.record(IT).state, State::Stopped);
    }

    #[test]
    fn policies_differ_about_a_clean_exit() {
        for (restart, state) in [
            (Restart::Always, State::Starting),
            (Restart::OnFailure, State::Stopped),
            (Restart::Never, State::Stopped),
        ] {
            let mut supervisor = Supervisor::new(&[manifest(Start::Boot, restart, false)]);
            supervisor.on(0, Event::Boot);
            supervisor.on(0, Event::Gone(IT, Some(0)));
            assert_eq!(supervisor.record(IT).state, state, "{restart:?}");
        }
    }

    #[test]
    fn deaths_that_were_ordered_are_no_crash_loop() {
        let mut supervisor = running(false);
        for death in 1..20 {
            supervisor.on(death, Event::DiedAsOrdered(IT, "ordered".to_string()));
            supervisor.on(death, Event::Gone(IT, None));
            assert_eq!(
                supervisor.record(IT).state,
                State::Starting,
                "after {death} deaths"
            );
            supervisor.on(death, Event::Alive(IT));
        }
        let record = supervisor.record(IT);
        assert_eq!(record.restarts, 19);
        assert_eq!(record.cause, Some(Cause::Fault("ordered".to_string())));
    }

    #[test]
    fn a_lazy_service_waits_to_be_wanted() {
        let mut supervisor = Supervisor::new(&[manifest(Start::Lazy, Restart::Always, false)]);
        supervisor.on(0, Event::Boot);
        assert_eq!(actions(&mut supervisor), []);
        supervisor.on(5, Event::Wanted(IT));
        assert_eq!(actions(&mut supervisor), [Action::Spawn(IT)]);
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Boot),
            Just(Event::Tick),
            Just(Event::Wanted(IT)),
            Just(Event::Spawned(IT)),
            Just(Event::SpawnFailed(IT, String::new())),
            Just(Event::Alive(IT)),
            Just(Event::Silent(IT)),
            Just(Event::Faulted(IT, String::new())),
            Just(Event::DiedAsOrdered(IT, String::new())),
            any::<Option<u64>>().prop_map(|status| Event::Gone(IT, status)),
            Just(Event::DeviceReset(IT)),
            Just(Event::StartRequested(IT)),
            Just(Event::StopRequested(IT)),
            Just(Event::RestartRequested(IT)),
        ]
    }

    proptest! {
        /// Whatever is reported in whatever order, a process is never made while the last one may still exist, and never killed when there is none.
        #[test]
        fn there_is_at_most_one_process(has_device: bool, events in proptest::collection::vec(event(), 0..200)) {
            let mut supervisor = Supervisor::new(&[manifest(Start::Boot, Restart::Always, has_device)]);
            let (mut has_process, mut is_dying, mut is_made) = (false, false, false);
            for (now, event) in events.into_iter().enumerate() {
                // The driver of the machine reports only what can happen.
                match &event {
                    Event::Gone(..) | Event::Faulted(..) | Event::DiedAsOrdered(..) | Event::Silent(_) | Event::Alive(_) | Event::Spawned(_) if !has_process => continue,
                    Event::SpawnFailed(..) if !has_process || is_dying || is_made => continue,
                    Event::Spawned(_) | Event::Alive(_) => is_made = true,
                    Event::Gone(..) | Event::SpawnFailed(..) => (has_process, is_dying) = (false, false),
                    _ => {}
                }
                supervisor.on(now as u64 * 100_000_000, event);
                for action in actions(&mut supervisor) {
                    match action {
                        Action::Spawn(_) => {
                            prop_assert!(!has_process, "a second process");
                            has_process = true;
                            is_made = false;
                        }
                        Action::Kill(_) => {
                            prop_assert!(has_process && !is_dying, "killed what is not there");
                            is_dying = true;
                        }
                        Action::Heartbeat(_) => prop_assert!(has_process, "asked nobody"),
                        Action::ResetDevice(_) => prop_assert!(!has_process, "reset under a living driver"),
                        Action::Changed(_) => {}
                    }
                }
            }
        }
    }
}
