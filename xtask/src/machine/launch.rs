//! Starting a guest and waiting until it is ready.

use super::monitor::{Monitor, forwarded_port};
use super::options::{FORWARDED, Nic, Options};
use super::record::Record;
use super::serial::{PROMPTS, Serial, position, tail};
use super::token::{FW_CFG_NAME, Token};
use super::{Agent, ansi, http};
use crate::command::display;
use crate::deadline::Deadline;
use crate::doctor::{self, Need};
use crate::guest_image::BootFiles;
use crate::workspace::run_folder;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// The name of a guest whose name does not matter.
const DEFAULT_NAME: &str = "pebble";
/// The longest path that a socket's address has room for (108 bytes with the final zero), less a file name.
const MAX_SOCKET_FOLDER: usize = 108 - 1 - "/monitor.sock".len();
/// How long QEMU itself may take to start.
const START_SECONDS: u64 = 20;
/// How long one look at agentd may take while it is not there yet.
const LOOK_SECONDS: u64 = 5;
/// How long QEMU may take to end once it has been told to.
const STOP_SECONDS: u64 = 5;

/// A guest that this process started. It ends with this value unless it is [released](Machine::release).
pub struct Machine {
    child: Option<Child>,
    folder: PathBuf,
    record: Record,
    nic: Nic,
}

impl Machine {
    /// Starts QEMU with the processors halted, so that whoever wants to see the first byte can connect. [`resume`](Self::resume)
    /// lets them run.
    pub fn start(options: &Options, files: &BootFiles) -> Result<Self> {
        doctor::ensure(&[Need::Qemu])?;
        let name = choose_name(options.name.as_deref())?;
        let folder = make_folder(&name)?;
        let sockets = socket_folder(&folder)?;
        let token = Token::generate()?;
        let mut record = Record {
            name,
            pid: 0,
            serial: sockets.join("serial.sock"),
            monitor: sockets.join("monitor.sock"),
            ports: BTreeMap::new(),
            token_file: folder.join("agentd.token"),
        };
        token.write(&record.token_file)?;

        let mut command = Command::new("qemu-system-x86_64");
        command.args(options.machine_arguments());
        command
            .arg("-kernel")
            .arg(&files.kernel)
            .arg("-initrd")
            .arg(&files.image);
        command.arg("-chardev").arg(socket(
            "serial",
            &record.serial,
            &format!(",logfile={}", escaped(&folder.join("serial.log"))),
        ));
        command.args(["-serial", "chardev:serial"]);
        command
            .arg("-chardev")
            .arg(socket("monitor", &record.monitor, ""));
        command.args(["-mon", "chardev=monitor,mode=control", "-S"]);
        command.args([
            "-fw_cfg",
            &format!("name={FW_CFG_NAME},string={}", token.hash()),
        ]);
        if options.wait_for_debugger {
            command
                .arg("-chardev")
                .arg(socket("gdb", &sockets.join("gdb.sock"), ""))
                .args(["-gdb", "chardev:gdb"]);
        }
        let child = spawn(&mut command, &folder)?;
        record.pid = child.id();
        let mut machine = Self {
            child: Some(child),
            folder,
            record,
            nic: options.nic,
        };
        machine.connect_monitor()?;
        machine.record.write(&machine.folder)?;
        Ok(machine)
    }

    /// Starts a guest and lets it run.
    pub fn boot(options: &Options, files: &BootFiles) -> Result<(Self, Serial)> {
        let mut machine = Self::start(options, files)?;
        let serial = Serial::connect(&machine.record.serial)?;
        machine.resume()?;
        Ok((machine, serial))
    }

    /// Waits for QEMU's monitor and asks it which ports it chose.
    fn connect_monitor(&mut self) -> Result<()> {
        let deadline = Deadline::after_seconds(START_SECONDS);
        let path = self.record.monitor.clone();
        deadline.poll(|| (path.exists() || self.exit_status().is_some()).then_some(()));
        if let Some(status) = self.exit_status() {
            bail!("QEMU does not start ({status}): {}", self.log("qemu.log"));
        }
        let mut monitor = Monitor::connect(&path, deadline)?;
        if self.nic == Nic::None {
            return Ok(());
        }
        let usernet = monitor.console("info usernet")?;
        for (service, guest_port) in FORWARDED {
            let port = forwarded_port(&usernet, *guest_port);
            let port = port
                .with_context(|| format!("QEMU does not forward port {guest_port}: {usernet}"))?;
            self.record.ports.insert((*service).into(), port);
        }
        Ok(())
    }

    /// Lets the processors run.
    pub fn resume(&mut self) -> Result<()> {
        self.monitor()?.execute("cont", json!({}))?;
        Ok(())
    }

    /// Waits until the shell has printed its prompt and, with a network card, agentd has answered.
    pub fn wait_until_ready(&mut self, deadline: Deadline) -> Result<()> {
        self.wait_for_prompt(deadline)?;
        if self.nic == Nic::VirtioNet {
            self.wait_for_agentd(deadline)
        } else {
            Ok(())
        }
    }

    fn wait_for_prompt(&mut self, deadline: Deadline) -> Result<()> {
        let is_prompted = |log: &[u8]| {
            PROMPTS
                .iter()
                .any(|prompt| position(log, prompt.as_bytes()).is_some())
        };
        let ended = deadline.poll(|| {
            let log =
                ansi::Plain::of(&fs::read(self.folder.join("serial.log")).unwrap_or_default());
            if is_prompted(&log) {
                Some(None)
            } else {
                self.exit_status().map(Some)
            }
        });
        match ended {
            Some(None) => Ok(()),
            Some(Some(status)) => {
                Err(self.failure(&format!("the guest ended ({status}) before its prompt")))
            }
            None => Err(self.failure("no prompt in time")),
        }
    }

    fn wait_for_agentd(&mut self, deadline: Deadline) -> Result<()> {
        let port = self.agentd_port()?;
        let answer = deadline.poll(|| {
            let look = Deadline::after_seconds(LOOK_SECONDS).min(deadline);
            match http::request(port, "GET", "/healthz", &[], &[], look) {
                Ok(reply) if reply.status == 200 => Some(Ok(())),
                _ => self.exit_status().map(Err),
            }
        });
        match answer {
            Some(Ok(())) => Ok(()),
            Some(Err(status)) => Err(self.failure(&format!(
                "the guest ended ({status}) before agentd answered"
            ))),
            None => Err(self.failure("agentd does not answer in time")),
        }
    }

    /// The guest's port for agentd.
    pub fn agentd_port(&self) -> Result<u16> {
        self.record
            .ports
            .get("agentd")
            .copied()
            .context("this guest has no network card")
    }

    /// A new connection to agentd, logged in.
    pub fn agent(&self, deadline: Deadline) -> Result<Agent> {
        Agent::login(self.agentd_port()?, &self.record.token_file, deadline)
    }

    /// A connection to QEMU. There is one at a time.
    pub fn monitor(&self) -> Result<Monitor> {
        Monitor::connect(&self.record.monitor, Deadline::after_seconds(START_SECONDS))
    }

    /// What others need to find this guest.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The guest's folder: logs, sockets and the token.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How QEMU ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits for QEMU to end by itself.
    pub fn wait_for_exit(&mut self, deadline: Deadline) -> Result<ExitStatus> {
        deadline
            .poll(|| self.exit_status())
            .ok_or_else(|| self.failure("the guest does not end in time"))
    }

    /// An error with the end of the console's log.
    fn failure(&self, what: &str) -> anyhow::Error {
        anyhow!(
            "{what}; the end of {}:\n{}",
            self.folder.join("serial.log").display(),
            self.log("serial.log")
        )
    }

    fn log(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.join(name)).unwrap_or_default();
        tail(&ansi::Plain::of(&bytes))
    }

    /// Lets the guest live on when this process ends.
    pub fn release(mut self) -> Record {
        self.child = None;
        self.record.clone()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ends the guest: QEMU is asked first, and killed if it does not listen.
pub fn stop(record: &Record) -> Result<()> {
    let deadline = Deadline::after_seconds(STOP_SECONDS);
    let asked = Monitor::connect(&record.monitor, deadline)
        .and_then(|mut monitor| monitor.execute("quit", json!({})));
    let gone = |deadline: Deadline| {
        deadline
            .poll(|| (!record.is_running()).then_some(()))
            .is_some()
    };
    if asked.is_ok() && gone(deadline) {
        return Ok(());
    }
    if record.is_running() {
        let pid = i32::try_from(record.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("an impossible process number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    if gone(Deadline::after_seconds(STOP_SECONDS)) {
        Ok(())
    } else {
        bail!("process {} does not end", record.pid)
    }
}

fn choose_name(wanted: Option<&str>) -> Result<String> {
    let running: Vec<String> = Record::running()
        .into_iter()
        .map(|record| record.name)
        .collect();
    let is_free = |name: &String| !running.contains(name);
    match wanted.map(String::from) {
        Some(name) if is_free(&name) => Ok(name),
        Some(name) => {
            bail!("a guest called {name:?} is running; stop it with: cargo xtask stop {name}")
        }
        None => {
            let mut names = std::iter::once(DEFAULT_NAME.to_string())
                .chain((2..).map(|number| format!("{DEFAULT_NAME}-{number}")));
            names.find(is_free).context("every name is taken")
        }
    }
}

/// An empty folder for a guest. What an earlier guest of that name left is gone.
fn make_folder(name: &str) -> Result<PathBuf> {
    let folder = run_folder().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    fs::canonicalize(&folder).with_context(|| folder.display().to_string())
}

/// Where the sockets go: beside the rest, or in a temporary folder if that path is too long for a socket's address.
fn socket_folder(folder: &Path) -> Result<PathBuf> {
    if folder.as_os_str().len() <= MAX_SOCKET_FOLDER {
        return Ok(folder.to_path_buf());
    }
    let name = folder
        .file_name()
        .context("a guest's folder has a name")?
        .to_string_lossy()
        .into_owned();
    let short = std::env::temp_dir().join(format!("pebbleos-{}-{name}", std::process::id()));
    fs::create_dir_all(&short).with_context(|| short.display().to_string())?;
    Ok(short)
}

fn socket(id: &str, path: &Path, more: &str) -> String {
    format!(
        "socket,id={id},path={},server=on,wait=off{more}",
        escaped(path)
    )
}

/// A path in an option of QEMU's, where a comma separates.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// Starts QEMU in a process group of its own, so that Ctrl-C in a terminal is not for it.
fn spawn(command: &mut Command, folder: &Path) -> Result<Child> {
    let log = File::create(folder.join("qemu.log"))?;
    fs::write(folder.join("command"), display(command) + "\n")?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    command.spawn().context("cannot start qemu-system-x86_64")
}
