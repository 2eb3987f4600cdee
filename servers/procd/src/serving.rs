//! What clients ask, and what becomes of processes.

use alloc::collections::BTreeMap;

use abi::FaultMessage;
use libipc::prelude::*;
use libipc::{Badge, Cancelled, Completed, IncomingCall, Instant};
use procd::table::{AddError, Exit, INIT, Limits, Record, Table};
use protocols::process::{
    self, Error, Info, Pid, Process, Signal, SpawnRequest, State, Streams, Usage,
};
use protocols::terminal;

use crate::children::{Children, SpawnExtra};
use crate::pipes::Pipes;
use crate::saved::SavedTable;
use crate::session::{self, SHELL, Session, Wish};
use crate::{FAULT, STREAM};

/// Bytes of a list in one answer, at most.
const LIST_BYTES: usize = 3000;
/// How often limits of time are looked at.
const CHECK_NS: u64 = 50_000_000;

type ExitReply = Reply<process::Exit, Error>;
type AnyExitReply = Reply<(u64, Pid, process::Exit), Error>;
type SignalReply = Reply<(u64, Signal), Error>;

/// The server.
pub struct Server {
    table: Table,
    saved: SavedTable,
    children: Children,
    /// The pipes.
    pub pipes: Pipes,
    session: Session,
    environments: BTreeMap<u32, Vec<(String, String)>>,
    waiting: Vec<(u32, ExitReply)>,
    waiting_any: Vec<(u32, u64, AnyExitReply)>,
    waiting_signal: Vec<(u32, u64, SignalReply)>,
    next_check: u64,
}

impl Server {
    /// Puts the parts together.
    pub fn new(
        table: Table,
        saved: SavedTable,
        children: Children,
        pipes: Pipes,
        session: Session,
    ) -> Self {
        Self {
            table,
            saved,
            children,
            pipes,
            session,
            environments: BTreeMap::new(),
            waiting: Vec::new(),
            waiting_any: Vec::new(),
            waiting_signal: Vec::new(),
            next_check: 0,
        }
    }

    /// Takes up the processes of the last incarnation. Those that ended meanwhile are reported now.
    pub fn adopt(&mut self) {
        let alive: Vec<Record> = self.table.alive().cloned().collect();
        for record in alive {
            if !self.children.adopt(&record) {
                libipc::warn!(
                    "process {} has no handles and is taken to be gone",
                    record.pid
                );
                self.bury(record.pid, Exit::Signal(9));
                continue;
            }
            if record.program == SHELL && record.parent == INIT {
                self.session.continue_with(record.pid);
            }
            match self.children.figures(record.pid) {
                Some(figures) if figures.is_dead => self.gone(record.pid),
                // Its fault was reported to the incarnation that died of something else.
                Some(figures) if figures.is_faulted => {
                    self.end(record.pid, Exit::Fault("unknown".into(), 0))
                }
                _ => {}
            }
        }
    }

    /// What there is to do after each wake.
    pub fn tend(&mut self) {
        self.session.tend();
    }

    /// When to wake without being called.
    pub fn next_deadline(&self) -> Option<Instant> {
        let has_limits = self
            .table
            .alive()
            .any(|record| record.limits.cpu_ms.is_some() || record.limits.wall_ms.is_some());
        let check = if has_limits {
            self.next_check
        } else {
            u64::MAX
        };
        let at = check.min(self.session.deadline());
        (at != u64::MAX).then(|| Instant::from_ns(at))
    }

    /// Ends processes that passed a limit of time.
    pub fn check_limits(&mut self, now: u64) {
        self.next_check = now + CHECK_NS;
        let mut passed = Vec::new();
        for record in self.table.alive().filter(|record| record.ending.is_none()) {
            let wall_ms = now.saturating_sub(record.start_ns) / 1_000_000;
            let cpu_ms = || {
                self.children
                    .figures(record.pid)
                    .map_or(0, |figures| figures.cpu_ns / 1_000_000)
            };
            if record.limits.wall_ms.is_some_and(|limit| wall_ms >= limit) {
                passed.push((record.pid, "wall_ms"));
            } else if record.limits.cpu_ms.is_some_and(|limit| cpu_ms() >= limit) {
                passed.push((record.pid, "cpu_ms"));
            }
        }
        for (pid, limit) in passed {
            libipc::info!("process {pid} passed its limit of {limit}");
            self.end(pid, Exit::Limit(limit.into()));
        }
    }

    /// A process faulted: its thread stands still until it is killed.
    pub fn faulted(&mut self, call: IncomingCall<'_>) {
        let pid = call.badge().number() as u32;
        let name = self
            .table
            .get(pid)
            .map_or("?", |record| record.program.as_str());
        let exit = match FaultMessage::from_words(call.words()) {
            Some(fault) => {
                libipc::warn!(
                    "process {pid} ({name}): {:?} at address {:#x}, instruction {:#x}, stack {:#x}",
                    fault.kind,
                    fault.address,
                    fault.instruction_pointer,
                    fault.stack_pointer
                );
                match fault.kind {
                    abi::FaultKind::OutOfMemory => Exit::Limit("memory_kib".into()),
                    kind => Exit::Fault(format!("{kind:?}"), fault.address),
                }
            }
            None => Exit::Fault("unknown".into(), 0),
        };
        self.end(pid, exit);
        drop(call.into_reply());
    }

    /// A Connection's last copy is gone.
    pub fn closed(&mut self, badge: Badge) {
        match badge.protocol() {
            STREAM => self.pipes.closed(badge),
            FAULT => self.gone(badge.number() as u32),
            _ => {}
        }
    }

    /// A call of ours has ended.
    pub fn completed(&mut self, completed: Completed) {
        match self.session.completed(completed) {
            None => {}
            Some(Wish::Signal(group, signal)) => {
                let signal = match signal {
                    terminal::Signal::Interrupt => Signal::Interrupt,
                    terminal::Signal::Suspend => Signal::Stop,
                    terminal::Signal::HangUp => Signal::HangUp,
                };
                self.signal_group(group, signal);
            }
            Some(Wish::StartShell(opened)) => self.start_shell(opened),
        }
    }

    /// A caller is gone.
    pub fn cancelled(&mut self, cancelled: &Cancelled) {
        self.pipes.cancelled(cancelled);
        self.waiting
            .retain(|(_, reply)| !reply.is_cancelled_by(cancelled));
        self.waiting_any
            .retain(|(_, _, reply)| !reply.is_cancelled_by(cancelled));
        self.waiting_signal
            .retain(|(_, _, reply)| !reply.is_cancelled_by(cancelled));
    }

    fn start_shell(&mut self, opened: terminal::Opened) {
        let input = match opened.output.duplicate() {
            Ok(input) => input,
            Err(error) => {
                libipc::error!("no shell: {error}");
                return self.session.leader_ended();
            }
        };
        let streams = Streams {
            input,
            output: opened.output,
            error: opened.error,
            terminal: Some(opened.terminal),
            report: None,
        };
        let request = SpawnRequest {
            program: SHELL.into(),
            arguments: Vec::new(),
            environment: session::environment(),
            cwd: "/".into(),
            limits: process::Limits::default(),
            group: None,
            source: None,
            modules: None,
        };
        match self.start(INIT, request, &streams) {
            Ok(pid) => self.session.leader = Some(pid),
            Err(error) => {
                libipc::error!("no shell: {error:?}");
                self.session.leader_ended();
            }
        }
    }

    fn start(
        &mut self,
        parent: u32,
        request: SpawnRequest,
        streams: &Streams,
    ) -> Result<Pid, Error> {
        self.table.check_room(parent).map_err(|error| match error {
            AddError::TooMany => Error::LimitReached("processes".into()),
            AddError::TooManyChildren => Error::LimitReached("children".into()),
        })?;
        let place = self
            .table
            .free_place()
            .ok_or(Error::LimitReached("processes".into()))?;
        let parents = self.table.get(parent);
        let inherited = parents.map_or(Children::defaults(), |record| record.limits);
        let (group, session) = parents.map_or((None, None), |record| {
            (Some(record.group), Some(record.session))
        });
        let uid = parents.map_or(0, |record| record.uid);
        let pid = self.table.reserve();
        let config = postcard_config(&request)?;
        let record = Record {
            pid,
            parent,
            group: request.group.or(group).unwrap_or(pid),
            session: session.unwrap_or(pid),
            uid,
            program: request.program,
            arguments: request.arguments,
            cwd: request.cwd,
            start_ns: Instant::now().as_ns(),
            limits: inherited.tightened(limits_from(&request.limits)),
            place: Some(place),
            ending: None,
            stopped: false,
            ended: None,
            report: 0,
        };
        self.saved
            .store(&record)
            .map_err(|_| Error::TooLarge { limit: 3500 })?;
        let extra = SpawnExtra {
            config,
            modules: request.modules,
        };
        match self
            .children
            .spawn(&record, &request.environment, streams, extra)
        {
            Ok(()) => {
                self.environments.insert(pid, request.environment);
                self.table.add(record);
                Ok(pid)
            }
            Err(reason) => {
                self.saved.forget(place);
                Err(Error::LoadFailed(reason))
            }
        }
    }

    /// Has a process end, for this reason.
    fn end(&mut self, pid: u32, reason: Exit) {
        if let Some(record) = self
            .table
            .get_mut(pid)
            .filter(|record| record.ended.is_none())
        {
            record.ending.get_or_insert(reason);
            let record = record.clone();
            if let Err(error) = self.saved.store(&record) {
                libipc::warn!("the end of process {pid} can't be noted: {error}");
            }
            self.children.kill(pid);
        }
    }

    /// All of a process is returned.
    fn gone(&mut self, pid: u32) {
        let Some(record) = self.table.get(pid).filter(|record| record.ended.is_none()) else {
            return;
        };
        let status = self
            .children
            .figures(pid)
            .and_then(|figures| figures.exited);
        let exit = record
            .ending
            .clone()
            .or_else(|| status.map(|status| Exit::Code(status as u8)))
            .unwrap_or(Exit::Signal(9));
        self.bury(pid, exit);
    }

    fn bury(&mut self, pid: u32, exit: Exit) {
        let place = self.table.get(pid).and_then(|record| record.place);
        self.table.end(pid, exit, Instant::now().as_ns());
        if let Some(record) = self.table.get(pid) {
            self.saved.end(record, place);
        }
        libipc::fault::point("procd.child_ended");
        self.children.bury(pid, place);
        self.environments.remove(&pid);
        self.answer_waiting();
        if self.session.leader == Some(pid) {
            self.session.leader_ended();
        }
    }

    fn answer_waiting(&mut self) {
        for (pid, reply) in core::mem::take(&mut self.waiting) {
            match self.table.get(pid).map(|record| record.ended.clone()) {
                Some(Some((exit, _))) => reply.ok(exit_to(exit)),
                Some(None) => self.waiting.push((pid, reply)),
                None => reply.err(Error::NotFound),
            }
        }
        for (parent, after, reply) in core::mem::take(&mut self.waiting_any) {
            match self.table.child_end(parent, after) {
                Some((report, pid, exit)) => reply.ok((report, pid, exit_to(exit))),
                None => self.waiting_any.push((parent, after, reply)),
            }
        }
    }

    /// Delivers a signal to one process; false if it has ended.
    fn deliver(&mut self, pid: u32, signal: Signal) -> bool {
        let Some(record) = self
            .table
            .get_mut(pid)
            .filter(|record| record.ended.is_none())
        else {
            return false;
        };
        match signal {
            Signal::Stop | Signal::Continue => {
                record.stopped = signal == Signal::Stop;
                let stopped = record.stopped;
                self.children.set_stopped(pid, stopped);
            }
            Signal::Interrupt | Signal::Terminate | Signal::HangUp => {
                match self
                    .waiting_signal
                    .iter()
                    .position(|(waiter, ..)| *waiter == pid)
                {
                    Some(place) => {
                        let (_, after, reply) = self.waiting_signal.swap_remove(place);
                        reply.ok((after + 1, signal));
                    }
                    None => self.end(pid, Exit::Signal(number_of(signal))),
                }
            }
            Signal::Kill => self.end(pid, Exit::Signal(9)),
        }
        true
    }

    fn signal_group(&mut self, group: u32, signal: Signal) -> u32 {
        let members: Vec<u32> = self
            .table
            .alive()
            .filter(|record| record.group == group)
            .map(|record| record.pid)
            .collect();
        members
            .into_iter()
            .filter(|pid| self.deliver(*pid, signal))
            .count() as u32
    }

    /// The process that calls; init for whoever is not one of ours.
    fn caller_pid(&self, caller: Caller) -> u32 {
        if caller.badge.is_own() {
            caller.badge.number() as u32
        } else {
            INIT
        }
    }

    /// A process may be steered by itself, by those above it, and by those that are no processes of ours.
    fn check_may_steer(&self, caller: Caller, pid: u32) -> Result<(), Error> {
        let own = self.caller_pid(caller);
        let uid = self.table.get(own).map_or(0, |record| record.uid);
        let target = self.table.get(pid).ok_or(Error::NotFound)?;
        if own == INIT || uid == 0 || uid == target.uid {
            Ok(())
        } else {
            Err(Error::NotPermitted)
        }
    }
}

/// What the interpreter is told beyond arguments and environment: the working directory, and the program text if it is not in a file.
fn postcard_config(request: &SpawnRequest) -> Result<Vec<u8>, Error> {
    let config = process::GuestConfig {
        cwd: request.cwd.clone(),
        source: request.source.clone(),
        modules: request.modules.clone(),
    };
    postcard::to_allocvec(&config).map_err(|_| Error::TooLarge { limit: 3500 })
}

fn limits_from(limits: &process::Limits) -> Limits {
    Limits {
        memory_kib: limits.memory_kib,
        cpu_ms: limits.cpu_ms,
        wall_ms: limits.wall_ms,
        handles: limits.handles,
        threads: limits.threads,
        children: limits.children,
    }
}

fn exit_to(exit: Exit) -> process::Exit {
    match exit {
        Exit::Code(code) => process::Exit::Code(code),
        Exit::Signal(number) => process::Exit::Signal(signal_of(number)),
        Exit::Fault(kind, address) => process::Exit::Fault { kind, address },
        Exit::Limit(limit) => process::Exit::Limit(limit),
    }
}

const SIGNALS: [(u8, Signal); 6] = [
    (1, Signal::HangUp),
    (2, Signal::Interrupt),
    (9, Signal::Kill),
    (15, Signal::Terminate),
    (18, Signal::Continue),
    (20, Signal::Stop),
];

fn signal_of(number: u8) -> Signal {
    SIGNALS
        .iter()
        .find(|(found, _)| *found == number)
        .map_or(Signal::Kill, |(_, signal)| *signal)
}

fn number_of(signal: Signal) -> u8 {
    SIGNALS
        .iter()
        .find(|(_, found)| *found == signal)
        .map_or(9, |(number, _)| *number)
}

impl Process for Server {
    fn spawn(
        &mut self,
        caller: Caller,
        request: SpawnRequest,
        streams: Streams,
    ) -> Result<Pid, Error> {
        self.start(self.caller_pid(caller), request, &streams)
    }

    fn new_group(&mut self, _caller: Caller) -> Result<Pid, Error> {
        Ok(self.table.reserve())
    }

    fn wait(&mut self, caller: Caller, pid: Pid, reply: ExitReply) {
        let own = self.caller_pid(caller);
        match self.table.get(pid) {
            None => reply.err(Error::NotFound),
            Some(record) if own != INIT && record.parent != own && record.ended.is_none() => {
                reply.err(Error::NotAChild)
            }
            Some(_) => {
                self.waiting.push((pid, reply));
                self.answer_waiting();
            }
        }
    }

    fn wait_any(
        &mut self,
        caller: Caller,
        after: u64,
        reply: Reply<(u64, Pid, process::Exit), Error>,
    ) {
        let own = self.caller_pid(caller);
        if self.table.child_end(own, after).is_none() && !self.table.has_child(own) {
            return reply.err(Error::NotAChild);
        }
        self.waiting_any.push((own, after, reply));
        self.answer_waiting();
    }

    fn signal(
        &mut self,
        caller: Caller,
        pid: Pid,
        signal: Signal,
        group: bool,
    ) -> Result<u32, Error> {
        if group {
            let member = self
                .table
                .alive()
                .find(|record| record.group == pid)
                .map(|record| record.pid)
                .ok_or(Error::NotFound)?;
            self.check_may_steer(caller, member)?;
            return Ok(self.signal_group(pid, signal));
        }
        self.check_may_steer(caller, pid)?;
        Ok(u32::from(self.deliver(pid, signal)))
    }

    fn list(&mut self, _caller: Caller, after: Pid) -> Result<Vec<Pid>, Error> {
        Ok(self
            .table
            .after(after)
            .filter(|record| record.ended.is_none())
            .map(|record| record.pid)
            .take(LIST_BYTES / 5)
            .collect())
    }

    fn info(&mut self, _caller: Caller, pid: Pid) -> Result<Info, Error> {
        let record = self.table.get(pid).ok_or(Error::NotFound)?;
        let figures = self
            .children
            .figures(pid)
            .filter(|_| record.ended.is_none());
        let state = match &figures {
            None => State::Ended,
            Some(_) if record.stopped => State::Stopped,
            Some(figures) if figures.is_waiting => State::Sleeping,
            Some(_) => State::Running,
        };
        let name = record.program.rsplit('/').next().unwrap_or_default();
        let mut argv: Vec<String> = vec![record.program.clone()];
        argv.extend(record.arguments.iter().cloned());
        Ok(Info {
            pid,
            parent: record.parent,
            group: record.group,
            session: record.session,
            uid: record.uid,
            name: name.strip_suffix(".peb").unwrap_or(name).into(),
            state,
            argv,
            cwd: record.cwd.clone(),
            threads: figures.as_ref().map_or(0, |figures| figures.threads),
            cpu_ns: figures.as_ref().map_or(0, |figures| figures.cpu_ns),
            private_bytes: figures.as_ref().map_or(0, |figures| figures.private_bytes),
            mapped_bytes: figures.as_ref().map_or(0, |figures| figures.mapped_bytes),
            handles: figures.as_ref().map_or(0, |figures| figures.handles),
            start_ns: record.start_ns,
            cpu: figures.as_ref().map_or(0, |figures| figures.cpu),
            service: false,
        })
    }

    fn environment(
        &mut self,
        caller: Caller,
        pid: Pid,
        from: u32,
    ) -> Result<Vec<(String, String)>, Error> {
        self.check_may_steer(caller, pid)?;
        let all = self
            .environments
            .get(&pid)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut bytes = 0;
        let fits = |pair: &&(String, String)| {
            bytes += pair.0.len() + pair.1.len() + 6;
            bytes <= LIST_BYTES
        };
        Ok(all
            .iter()
            .skip(from as usize)
            .take_while(fits)
            .cloned()
            .collect())
    }

    fn limits(
        &mut self,
        caller: Caller,
        pid: Pid,
        set: process::Limits,
    ) -> Result<Vec<Usage>, Error> {
        self.check_may_steer(caller, pid)?;
        let figures = self.children.figures(pid);
        let now = Instant::now().as_ns();
        let children = self
            .table
            .alive()
            .filter(|record| record.parent == pid)
            .count() as u64;
        let record = self.table.get_mut(pid).ok_or(Error::NotFound)?;
        record.limits = record.limits.tightened(limits_from(&set));
        let record = record.clone();
        self.saved
            .store(&record)
            .map_err(|_| Error::TooLarge { limit: 3500 })?;
        let limits = record.limits;
        let of = |get: fn(&crate::children::Figures) -> u64| figures.as_ref().map_or(0, get);
        let usage = |name: &str, used, cap| Usage {
            name: name.into(),
            used,
            cap,
        };
        Ok(vec![
            usage(
                "memory_kib",
                of(|figures| figures.private_bytes / 1024),
                limits.memory_kib,
            ),
            usage(
                "cpu_ms",
                of(|figures| figures.cpu_ns / 1_000_000),
                limits.cpu_ms,
            ),
            usage(
                "wall_ms",
                now.saturating_sub(record.start_ns) / 1_000_000,
                limits.wall_ms,
            ),
            usage(
                "handles",
                of(|figures| u64::from(figures.handles)),
                limits.handles.map(u64::from),
            ),
            usage(
                "threads",
                of(|figures| u64::from(figures.threads)),
                limits.threads.map(u64::from),
            ),
            usage("children", children, limits.children.map(u64::from)),
        ])
    }

    fn set_cwd(&mut self, caller: Caller, cwd: String) -> Result<(), Error> {
        let pid = self.caller_pid(caller);
        let record = self.table.get_mut(pid).ok_or(Error::NotFound)?;
        record.cwd = cwd;
        let record = record.clone();
        self.saved
            .store(&record)
            .map_err(|_| Error::TooLarge { limit: 3500 })
    }

    fn pipe(
        &mut self,
        _caller: Caller,
        capacity: u32,
        capture: bool,
    ) -> Result<(Handle<Connection>, Handle<Connection>), Error> {
        self.pipes
            .make(capacity, capture)
            .ok_or(Error::LimitReached("pipes".into()))
    }

    fn next_signal(&mut self, caller: Caller, after: u64, reply: Reply<(u64, Signal), Error>) {
        match self.table.get(self.caller_pid(caller)) {
            Some(record) => self.waiting_signal.push((record.pid, after, reply)),
            None => reply.err(Error::NotFound),
        }
    }
}
