//! The kernel's side of processes: making them, killing them, asking after them.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::image::EntryKind;
use image_builder::directory;
use libipc::bootstrap::Bootstrap;
use libipc::{
    Badge, Boot, Capsule, Connection, Handle, MemoryObject, Minter, Process, Protection, Quota,
    Rights, StartError, SysError,
};
use loader::{Image, MappedFile, Spawn};
use procd::table::{Limits, Record};
use protocols::process::Streams;

use crate::{FAULT, PROCESS};

/// The program that runs Pebble programs.
const INTERPRETER: &str = "pebble-guest";
/// Memory that a process may use if nobody says otherwise, in KiB.
const DEFAULT_MEMORY_KIB: u64 = 32 * 1024;
/// Handles that a process may hold if nobody says otherwise.
const DEFAULT_HANDLES: u32 = 256;
/// Threads of a process if nobody says otherwise.
const DEFAULT_THREADS: u32 = 4;
const PRIORITY: u8 = 16;
/// The services whose Connections programs get, under these names.
const SERVICES: &[&str] = &["directory", "log", "services", "socket", "platform"];

/// What it takes to make processes.
pub struct Children {
    image: Image,
    quota: Handle<Quota>,
    capsule: Handle<Capsule>,
    minter: Minter,
    services: Vec<(&'static str, Handle<Connection>)>,
    living: BTreeMap<u32, Child>,
}

/// A process that lives.
struct Child {
    process: Handle<Process>,
    quota: Handle<Quota>,
}

/// Figures of a process that lives.
pub struct Figures {
    /// CPU time in nanoseconds.
    pub cpu_ns: u64,
    /// Bytes of its own.
    pub private_bytes: u64,
    /// Bytes mapped.
    pub mapped_bytes: u64,
    /// Handles.
    pub handles: u32,
    /// Threads.
    pub threads: u32,
    /// Its CPU.
    pub cpu: u8,
    /// Whether it left by itself, and with which status.
    pub exited: Option<u64>,
    /// Whether all of it is gone.
    pub is_dead: bool,
    /// Whether its first thread waits for something.
    pub is_waiting: bool,
    /// Whether its first thread is frozen by a fault.
    pub is_faulted: bool,
}

impl Children {
    /// Takes the grants and loads the interpreter.
    ///
    /// # Errors
    /// What is missing, or what the kernel says.
    pub fn new(
        boot: &mut Boot,
        capsule: Handle<Capsule>,
        minter: Minter,
    ) -> Result<Self, StartError> {
        let image = load(boot.memory("boot-image")?)?;
        let services = SERVICES
            .iter()
            .filter_map(|name| {
                Some((
                    *name,
                    boot.optional_handle::<libipc::object::Connection>(name)?,
                ))
            })
            .collect();
        Ok(Self {
            image,
            quota: boot.handle("quota")?,
            capsule,
            minter,
            services,
            living: BTreeMap::new(),
        })
    }

    /// Takes up a process of the last incarnation; false if its handles are gone.
    pub fn adopt(&mut self, record: &Record) -> bool {
        let Some(place) = record.place else {
            return false;
        };
        match (
            self.capsule.take(2 * place),
            self.capsule.take(2 * place + 1),
        ) {
            (Ok(process), Ok(quota)) => {
                self.living.insert(record.pid, Child { process, quota });
                true
            }
            _ => false,
        }
    }

    /// Makes and starts a process. Its handles are in the capsule before it runs.
    ///
    /// # Errors
    /// What it lacks.
    pub fn spawn(
        &mut self,
        record: &Record,
        environment: &[(String, String)],
        streams: &Streams,
        request: SpawnExtra,
    ) -> Result<(), String> {
        let limits = record.limits;
        let frames = limits.memory_kib.unwrap_or(DEFAULT_MEMORY_KIB) / 4;
        let handles = u64::from(limits.handles.unwrap_or(DEFAULT_HANDLES));
        let threads = u64::from(limits.threads.unwrap_or(DEFAULT_THREADS));
        let refused = |error: SysError| error.to_string();
        let quota = self
            .quota
            .split(frames, handles, threads)
            .map_err(refused)?;
        let result = self.spawn_under(&quota, record, environment, streams, request);
        if result.is_err() {
            // What was made under it goes with it.
            let _ = quota.close();
            self.clear_place(record.place);
        }
        let process = result?;
        self.living.insert(record.pid, Child { process, quota });
        Ok(())
    }

    fn spawn_under(
        &mut self,
        quota: &Handle<Quota>,
        record: &Record,
        environment: &[(String, String)],
        streams: &Streams,
        request: SpawnExtra,
    ) -> Result<Handle<Process>, String> {
        let refused = |error: SysError| error.to_string();
        let faults = self
            .minter
            .mint(Badge::own(FAULT, u64::from(record.pid)))
            .map_err(refused)?;
        let own = self
            .minter
            .mint(Badge::own(PROCESS, u64::from(record.pid)))
            .map_err(refused)?;
        let mut spawn = Spawn::new(&self.image, quota);
        spawn.faults = Some(&faults.client);
        spawn.priority = PRIORITY;
        spawn.bootstrap = Bootstrap {
            name: record.program.clone(),
            pid: record.pid,
            incarnation: 1,
            arguments: record.arguments.clone(),
            environment: environment.to_vec(),
            config: request.config.clone(),
            ..Bootstrap::default()
        };
        let all = Rights::all();
        spawn.grant("process", &own.client, all);
        spawn.grant("stdin", &streams.input, all);
        spawn.grant("stdout", &streams.output, all);
        spawn.grant("stderr", &streams.error, all);
        if let Some(terminal) = &streams.terminal {
            spawn.grant("terminal", terminal, all);
        }
        if let Some(report) = &streams.report {
            spawn.grant("report", report, all);
        }
        for (name, service) in self
            .services
            .iter()
            .filter(|(name, _)| request.allows(name))
        {
            spawn.grant(name, service, all);
        }
        let spawned = spawn.start().map_err(|error| error.to_string())?;
        if let Some(place) = record.place {
            self.clear_place(Some(place));
            self.capsule
                .keep(2 * place, &spawned.process)
                .map_err(refused)?;
            self.capsule.keep(2 * place + 1, quota).map_err(refused)?;
        }
        Ok(spawned.process)
    }

    /// Kills a process.
    pub fn kill(&self, pid: u32) {
        if let Some(child) = self.living.get(&pid)
            && let Err(error) = child.process.kill(0)
        {
            libipc::warn!("process {pid} can't be killed: {error}");
        }
    }

    /// Stops the process's first thread, or lets it go on.
    pub fn set_stopped(&self, pid: u32, stopped: bool) {
        let Some(thread) = self
            .living
            .get(&pid)
            .and_then(|child| child.process.thread(1).ok())
        else {
            return;
        };
        // A thread that is gone needs neither.
        let _ = if stopped {
            thread.suspend()
        } else {
            thread.resume()
        };
    }

    /// Nothing is left of a process: gives back its quota and its place.
    pub fn bury(&mut self, pid: u32, place: Option<u16>) {
        if let Some(child) = self.living.remove(&pid) {
            // The kernel returns the limits when all is freed.
            if let Err(error) = child.quota.close() {
                libipc::warn!("the quota of process {pid} can't be closed: {error}");
            }
        }
        self.clear_place(place);
    }

    fn clear_place(&self, place: Option<u16>) {
        if let Some(place) = place {
            // An empty slot can be cleared as well.
            let _ = self.capsule.clear(2 * place);
            let _ = self.capsule.clear(2 * place + 1);
        }
    }

    /// Asks after a process.
    pub fn figures(&self, pid: u32) -> Option<Figures> {
        let child = self.living.get(&pid)?;
        let figures = child.process.figures().ok()?;
        let thread = child
            .process
            .thread(1)
            .and_then(|thread| thread.figures())
            .ok();
        let state = thread.map(|thread| thread.state);
        let exited = (figures.cause == abi::records::DeathCause::Exited).then_some(figures.code);
        Some(Figures {
            cpu_ns: figures.cpu_ns,
            private_bytes: figures.frames * 4096,
            mapped_bytes: figures.mapped_bytes,
            handles: figures.handles as u32,
            threads: figures.threads as u32,
            cpu: figures.cpu,
            exited,
            is_dead: figures.state == abi::records::ProcessState::Dead,
            is_waiting: !matches!(state, None | Some(abi::records::ThreadState::Ready)),
            is_faulted: state == Some(abi::records::ThreadState::Faulted),
        })
    }

    /// The limits that hold when a process names none.
    pub fn defaults() -> Limits {
        Limits {
            memory_kib: Some(DEFAULT_MEMORY_KIB),
            handles: Some(DEFAULT_HANDLES),
            threads: Some(DEFAULT_THREADS),
            ..Limits::default()
        }
    }
}

/// What a request says beyond the record.
pub struct SpawnExtra {
    /// The interpreter's configuration.
    pub config: Vec<u8>,
    /// The families of modules that it gets; `None`: all.
    pub modules: Option<Vec<String>>,
}

impl SpawnExtra {
    fn allows(&self, service: &str) -> bool {
        let family = match service {
            "directory" => "fs",
            "socket" => "net",
            "platform" => "clock",
            _ => "service",
        };
        self.modules
            .as_ref()
            .is_none_or(|modules| modules.iter().any(|module| module == family))
    }
}

fn load(image: Handle<MemoryObject>) -> Result<Image, StartError> {
    let length = image.figures()?.length;
    let mapping = Arc::new(image.map(0, length as usize, Protection::Read)?);
    let other = |text: String| StartError::Other(text);
    let listed = directory::read(length, |offset, into| mapping.read(offset as usize, into))
        .map_err(|error| other(alloc::format!("the boot image is damaged: {error:?}")))?;
    let program = listed
        .iter()
        .find(|listed| listed.kind == EntryKind::Program && listed.name == INTERPRETER)
        .ok_or_else(|| other(alloc::format!("the boot image has no {INTERPRETER}")))?;
    let file = MappedFile::new(
        mapping,
        program.raw.offset as usize,
        program.raw.length as usize,
    )
    .ok_or_else(|| other("the boot image is too short".into()))?;
    Image::load(&file, image, program.raw.offset)
        .map_err(|error| other(alloc::format!("{INTERPRETER} can't be loaded: {error}")))
}
