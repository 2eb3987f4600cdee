//! What all programs of one command share: the sandbox, the process table, the terminal.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pebble_rt::engine::InterruptHandle;
use pebble_rt::modules::errno;
use pebble_rt::system::{Data, SystemError};

use super::Event;
use super::launch::Launch;
use super::operations::wall_clock_ms;
use super::sandbox::Sandbox;
use super::streams::Output;
use super::terminal::Mode;

/// Processes at a time; a program that starts itself for ever meets this.
const MAX_PROCESSES: usize = 128;

/// Signal events kept for `drain_signals`.
const MAX_SIGNALS: usize = 1024;

/// How a command sets its machine up.
#[derive(Clone, Debug)]
pub struct MachineOptions {
    /// The folder that is `/`.
    pub root: PathBuf,
    /// Whether programs may change what is under `/system`.
    pub may_write_system: bool,
    /// The environment of programs.
    pub environment: Vec<(String, String)>,
}

impl MachineOptions {
    /// The usual ones for a folder.
    pub fn for_root(root: impl Into<PathBuf>) -> Self {
        let may_write_system =
            std::env::var("PEBBLE_ALLOW_SYSTEM_WRITES").is_ok_and(|value| value == "1");
        let color = if io::IsTerminal::is_terminal(&io::stdout()) {
            "1"
        } else {
            "0"
        };
        let mut environment = vec![
            (
                "PATH".to_string(),
                "/system/bin:/system/sbin:/bin".to_string(),
            ),
            ("PEBBLE_COLOR".to_string(), color.to_string()),
            ("HOME".to_string(), "/".to_string()),
            ("USER".to_string(), "root".to_string()),
            ("SHELL".to_string(), "/system/bin/sh.peb".to_string()),
        ];
        // The chat program is told its service by these, as on the original system.
        environment.extend(std::env::vars().filter(|(name, _)| name.starts_with("OPENAI_")));
        Self {
            root: root.into(),
            may_write_system,
            environment,
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// `done`, `error`, `interrupted` or `terminated`.
    pub state: &'static str,
    /// 0, what the program gave, 1, 130 or 143.
    pub status: i64,
    /// The message of an uncaught error.
    pub error: String,
}

/// A process of the table.
#[derive(Debug)]
pub struct Process {
    /// Who started it; 0 for the command itself.
    pub ppid: i64,
    /// Its group.
    pub pgid: i64,
    /// Storage name of the program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Where it works.
    pub working_directory: String,
    /// How it ended, if it has.
    pub ending: Option<Ending>,
    /// Whether it was started to run behind others.
    pub is_background: bool,
    /// What a background job has printed.
    pub collected: Option<Output>,
    /// 0 while nobody asked it to end; else the signal.
    pub stop_signal: i64,
    /// Whether Ctrl-C is only an error in the program, which may go on after it.
    pub catches_interrupts: bool,
    interrupt: Option<InterruptHandle>,
    waker: Option<Sender<Event>>,
}

/// What a process is to be started with.
#[derive(Clone, Debug)]
pub struct ProcessSpec {
    /// Who starts it.
    pub ppid: i64,
    /// Storage name of the program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// Where it works.
    pub working_directory: String,
    /// Whether it runs behind others.
    pub is_background: bool,
    /// Where a background job's output is kept.
    pub collected: Option<Output>,
}

#[derive(Debug, Default)]
struct Table {
    processes: BTreeMap<i64, Process>,
    last_id: i64,
    foreground: Vec<i64>,
    signals: Vec<Data>,
}

/// What all programs of one command share.
#[derive(Debug)]
pub struct Machine {
    sandbox: Sandbox,
    started: Instant,
    environment: Vec<(String, String)>,
    table: Mutex<Table>,
    ended: Condvar,
    mode: Mutex<Mode>,
    launch: Launch,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine {
    /// Sets the machine up. `launch` runs a program to its end.
    pub fn new(options: MachineOptions, launch: Launch) -> io::Result<Arc<Self>> {
        let sandbox = Sandbox::open(&options.root, options.may_write_system, wall_clock_ms())?;
        let machine = Arc::new(Self {
            sandbox,
            started: Instant::now(),
            environment: options.environment,
            table: Mutex::default(),
            ended: Condvar::new(),
            mode: Mutex::default(),
            launch,
        });
        machine.listen_for_interrupts()?;
        Ok(machine)
    }

    /// Ctrl-C ends the program in front, not the command.
    fn listen_for_interrupts(self: &Arc<Self>) -> io::Result<()> {
        let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGINT])?;
        let machine = Arc::downgrade(self);
        std::thread::Builder::new()
            .name("pebble-signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    let Some(machine) = machine.upgrade() else {
                        return;
                    };
                    machine.interrupt_foreground();
                }
            })?;
        Ok(())
    }

    /// Files.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// How programs are run.
    pub fn launch(&self) -> Launch {
        self.launch
    }

    /// The environment of a first program.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Since the command began.
    pub fn milliseconds_since_start(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Enters a process into the table. It comes to the front unless it is a background one.
    pub fn add_process(&self, spec: ProcessSpec) -> Result<i64, SystemError> {
        let mut table = lock(&self.table);
        let alive = table
            .processes
            .values()
            .filter(|process| process.ending.is_none())
            .count();
        if alive >= MAX_PROCESSES {
            return Err(SystemError::new(errno::AGAIN, "too many processes"));
        }
        table.last_id += 1;
        let pid = table.last_id;
        let is_background = spec.is_background;
        table.processes.insert(
            pid,
            Process {
                ppid: spec.ppid,
                pgid: pid,
                program: spec.program,
                arguments: spec.arguments,
                environment: spec.environment,
                working_directory: spec.working_directory,
                ending: None,
                is_background,
                collected: spec.collected,
                stop_signal: 0,
                catches_interrupts: false,
                interrupt: None,
                waker: None,
            },
        );
        if !is_background {
            table.foreground.push(pid);
        }
        Ok(pid)
    }

    /// Lets `look` see a process.
    pub fn with_process<T>(&self, pid: i64, look: impl FnOnce(&mut Process) -> T) -> Option<T> {
        lock(&self.table).processes.get_mut(&pid).map(look)
    }

    /// The processes, one after the other.
    pub fn for_each_process(&self, mut look: impl FnMut(i64, &Process)) {
        for (pid, process) in &lock(&self.table).processes {
            look(*pid, process);
        }
    }

    pub(super) fn set_waker(&self, pid: i64, waker: Sender<Event>) {
        self.with_process(pid, |process| process.waker = Some(waker));
    }

    /// Who can be interrupted through this handle.
    pub fn set_interrupt(&self, pid: i64, handle: InterruptHandle) {
        self.with_process(pid, |process| {
            if process.stop_signal != 0 {
                handle.interrupt();
            }
            process.interrupt = Some(handle);
        });
    }

    /// Where a process works.
    pub fn working_directory_of(&self, pid: i64) -> String {
        self.with_process(pid, |process| process.working_directory.clone())
            .unwrap_or_else(|| "/".into())
    }

    /// Moves a process to another folder.
    pub fn set_working_directory(&self, pid: i64, folder: &str) {
        self.with_process(pid, |process| {
            process.working_directory = folder.to_string()
        });
    }

    /// The signal that asked a process to end; 0 when none did.
    pub fn stop_signal(&self, pid: i64) -> i64 {
        self.with_process(pid, |process| process.stop_signal)
            .unwrap_or(0)
    }

    /// Notes how a process ended, and wakes who waits for it.
    pub fn end_process(&self, pid: i64, ending: Ending) {
        let mut table = lock(&self.table);
        table.foreground.retain(|front| *front != pid);
        table.signal("SIGCHLD", pid, ending.state);
        if let Some(process) = table.processes.get_mut(&pid) {
            process.ending = Some(ending);
            process.waker = None;
            process.interrupt = None;
        }
        drop(table);
        self.ended.notify_all();
    }

    /// Waits until a process of the kind asked for has ended, and takes it out of the table. `None` when there is none
    /// to wait for.
    pub fn wait_for(&self, wanted: impl Fn(i64, &Process) -> bool) -> Option<(i64, Process)> {
        let mut table = lock(&self.table);
        loop {
            let mut candidates = table
                .processes
                .iter()
                .filter(|(pid, process)| wanted(**pid, process))
                .peekable();
            candidates.peek()?;
            let ended = candidates
                .find(|(_, process)| process.ending.is_some())
                .map(|(pid, _)| *pid);
            if let Some(pid) = ended {
                return table.processes.remove(&pid).map(|process| (pid, process));
            }
            table = self
                .ended
                .wait(table)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`wait_for`](Self::wait_for) for one process, without waiting.
    pub fn take_ended(&self, pid: i64) -> Option<Process> {
        let mut table = lock(&self.table);
        let has_ended = table.processes.get(&pid)?.ending.is_some();
        if has_ended {
            table.processes.remove(&pid)
        } else {
            None
        }
    }

    /// Waits a while for all processes to end.
    pub fn settle(&self, patience: Duration) {
        let table = lock(&self.table);
        let busy = |table: &mut Table| {
            table
                .processes
                .values()
                .any(|process| process.ending.is_none())
        };
        drop(self.ended.wait_timeout_while(table, patience, busy));
    }

    /// Asks a process to end. `false` when there is none of that number.
    pub fn signal(&self, pid: i64, signal: i64) -> bool {
        let mut table = lock(&self.table);
        if !table.processes.contains_key(&pid) {
            return false;
        }
        table.signal(
            if signal == 2 { "SIGINT" } else { "SIGTERM" },
            pid,
            "running",
        );
        if let Some(process) = table.processes.get_mut(&pid) {
            if signal != 2 || !process.catches_interrupts {
                process.stop_signal = signal;
            }
            if let Some(handle) = &process.interrupt {
                handle.interrupt();
            }
            if let Some(waker) = &process.waker {
                let _ = waker.send(Event::Wake);
            }
        }
        true
    }

    fn interrupt_foreground(&self) {
        self.signal(self.foreground(), 2);
    }

    /// The process in front.
    pub fn foreground(&self) -> i64 {
        lock(&self.table).foreground.last().copied().unwrap_or(0)
    }

    /// Whether the terminal listens to this process.
    pub fn is_foreground(&self, pid: i64) -> bool {
        self.foreground() == pid
    }

    /// Brings a process to the front.
    pub fn bring_forward(&self, pid: i64) {
        let mut table = lock(&self.table);
        table.foreground.retain(|front| *front != pid);
        table.foreground.push(pid);
    }

    /// The signal events so far; `drain` takes them away.
    pub fn signals(&self, drain: bool) -> Vec<Data> {
        let mut table = lock(&self.table);
        if drain {
            std::mem::take(&mut table.signals)
        } else {
            table.signals.clone()
        }
    }

    /// Keys one by one from now on.
    pub fn enter_raw_mode(&self, pid: i64) -> Result<(), SystemError> {
        lock(&self.mode).enter_raw(pid)
    }

    /// Lines again.
    pub fn leave_raw_mode(&self, pid: i64) {
        lock(&self.mode).leave_raw(pid);
    }

    /// Whether keys come one by one.
    pub fn is_raw(&self) -> bool {
        lock(&self.mode).is_raw()
    }
}

impl Table {
    fn signal(&mut self, name: &str, pid: i64, state: &str) {
        if self.signals.len() >= MAX_SIGNALS {
            self.signals.remove(0);
        }
        let pgid = self.processes.get(&pid).map_or(pid, |process| process.pgid);
        self.signals.push(Data::Record(vec![
            ("signal".into(), Data::Text(name.into())),
            ("pid".into(), Data::Number(pid)),
            ("pgid".into(), Data::Number(pgid)),
            ("kind".into(), Data::Text("vm".into())),
            ("state".into(), Data::Text(state.into())),
        ]));
    }
}
