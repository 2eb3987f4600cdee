//! What machine a guest is: the options of `cargo xtask qemu` and the QEMU arguments that they mean.

use crate::arguments::{Argument, Arguments};
use crate::doctor::has_kvm;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;

/// A service of the guest that the host can reach, by a port of its own choice on the loopback interface.
pub const FORWARDED: &[(&str, u16)] = &[("agentd", 7000)];

/// How instructions are carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Accelerator {
    /// By hardware if there is any, else by translation.
    Best,
    /// What the user said, in QEMU's words.
    Named(String),
}

/// The network card.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nic {
    /// A virtio card on QEMU's user network.
    VirtioNet,
    /// None.
    None,
}

/// How the guest's clock runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// With the host's.
    Host,
    /// One virtual nanosecond an instruction, the same in every run.
    Instructions,
}

/// A machine to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Processors.
    pub cpus: u32,
    /// Memory in mebibytes.
    pub memory_mib: u32,
    /// How instructions are carried out.
    pub accelerator: Accelerator,
    /// How the clock runs.
    pub clock: Clock,
    /// The network card.
    pub nic: Nic,
    /// Whether to wait for a debugger.
    pub wait_for_debugger: bool,
    /// The guest's name; the first free one if none is given.
    pub name: Option<String>,
    /// The kernel's command line.
    pub command_line: String,
    /// Scopes that agentd gives to connections without a login: development only.
    pub agentd_open: Option<String>,
    /// Further arguments for QEMU.
    pub extra: Vec<OsString>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cpus: 2,
            memory_mib: 512,
            accelerator: Accelerator::Best,
            clock: Clock::Host,
            nic: Nic::VirtioNet,
            wait_for_debugger: false,
            name: None,
            command_line: String::new(),
            agentd_open: None,
            extra: Vec::new(),
        }
    }
}

/// Whether an argument was an option of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// It was, and its value has been taken.
    Yes,
    /// It is somebody else's.
    No,
}

impl Options {
    /// Takes `argument`, and its value from `arguments`, if it is one of ours.
    pub fn take(&mut self, argument: &Argument, arguments: &mut Arguments) -> Result<Taken> {
        let Argument::Option(name) = argument else {
            return Ok(Taken::No);
        };
        match name.as_str() {
            "smp" => self.cpus = arguments.parsed()?,
            "memory" => self.memory_mib = parse_memory(&arguments.value()?)?,
            "nic" => self.nic = parse_nic(&arguments.value()?)?,
            "accel" => self.accelerator = Accelerator::Named(arguments.value()?),
            "icount" => self.clock = Clock::Instructions,
            "gdb" => self.wait_for_debugger = true,
            "name" => self.name = Some(checked_name(arguments.value()?)?),
            "append" => self.command_line = arguments.value()?,
            "agentd-open" => self.agentd_open = Some(arguments.value()?),
            _ => return Ok(Taken::No),
        }
        Ok(Taken::Yes)
    }

    /// The QEMU arguments for the machine itself; its files and sockets come from who starts it.
    pub fn machine_arguments(&self) -> Vec<OsString> {
        let mut words: Vec<String> = [
            "-M",
            "q35",
            "-cpu",
            "max",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ]
        .map(String::from)
        .into();
        let mut add = |option: &str, value: String| words.extend([option.to_string(), value]);
        add("-smp", self.cpus.to_string());
        add("-m", format!("{}M", self.memory_mib));
        add("-accel", self.accelerator_argument());
        add("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04".into());
        if self.clock == Clock::Instructions {
            add("-icount", "shift=0,sleep=off".into());
            add("-seed", "1".into());
            add("-rtc", "base=2026-01-01,clock=vm".into());
        }
        if self.nic == Nic::VirtioNet {
            let forwards: String = FORWARDED
                .iter()
                .map(|(_, port)| format!(",hostfwd=tcp:127.0.0.1:0-:{port}"))
                .collect();
            add("-netdev", format!("user,id=net0{forwards}"));
            add(
                "-device",
                "virtio-net-pci,netdev=net0,disable-legacy=on,romfile=".into(),
            );
        }
        if !self.command_line.is_empty() {
            add("-append", self.command_line.clone());
        }
        if let Some(scopes) = &self.agentd_open {
            add(
                "-fw_cfg",
                format!(
                    "name=opt/org.pebbleos/agentd-open,string={}",
                    scopes.replace(',', ",,")
                ),
            );
        }
        words
            .into_iter()
            .map(OsString::from)
            .chain(self.extra.iter().cloned())
            .collect()
    }

    fn accelerator_argument(&self) -> String {
        let name = match &self.accelerator {
            Accelerator::Named(name) => name.as_str(),
            Accelerator::Best if self.clock == Clock::Host && has_kvm() => "kvm",
            Accelerator::Best => "tcg",
        };
        // Counting instructions and running processors side by side exclude each other.
        let threads = if name == "tcg" && self.clock == Clock::Host {
            ",thread=multi"
        } else {
            ""
        };
        format!("{name}{threads}")
    }
}

fn parse_nic(text: &str) -> Result<Nic> {
    match text {
        "virtio-net" => Ok(Nic::VirtioNet),
        "none" => Ok(Nic::None),
        _ => bail!("--nic {text:?}: choose virtio-net or none"),
    }
}

fn parse_memory(text: &str) -> Result<u32> {
    let (digits, scale) = match text.strip_suffix(['G', 'g']) {
        Some(digits) => (digits, 1024),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
    };
    let size = digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(scale))
        .filter(|&size| size > 0);
    size.with_context(|| format!("--memory {text:?}: say 512M or 1G"))
}

/// A name that is safe as the name of a folder.
pub fn checked_name(name: String) -> Result<String> {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if name.is_empty() || name.len() > 40 || !is_plain {
        bail!("the name {name:?}: use 1 to 40 letters, digits, - and _");
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &Options) -> String {
        options
            .machine_arguments()
            .iter()
            .map(|word| word.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn every_forwarded_port_is_on_the_loopback_interface_and_chosen_by_qemu() {
        let line = line(&Options::default());
        assert_eq!(line.matches("hostfwd=").count(), FORWARDED.len());
        assert_eq!(
            line.matches("hostfwd=tcp:127.0.0.1:0-:").count(),
            FORWARDED.len()
        );
    }

    #[test]
    fn counting_instructions_means_one_thread_and_a_fixed_seed() {
        let line = line(&Options {
            clock: Clock::Instructions,
            ..Options::default()
        });
        assert!(line.contains("-accel tcg -"), "{line}");
        assert!(line.contains("-icount shift=0,sleep=off -seed 1"), "{line}");
    }

    #[test]
    fn memory_is_in_mebibytes_or_gibibytes() {
        assert_eq!(parse_memory("512M").expect("fine"), 512);
        assert_eq!(parse_memory("2g").expect("fine"), 2048);
        assert_eq!(parse_memory("64").expect("fine"), 64);
        for wrong in ["", "0", "M", "-1", "9999999G"] {
            assert!(parse_memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_never_a_path() {
        for wrong in ["", "..", "a/b", "a b"] {
            assert!(checked_name(wrong.into()).is_err(), "{wrong}");
        }
    }
}
