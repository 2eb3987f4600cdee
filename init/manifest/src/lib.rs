//! Service manifests: what a service is, what it needs, what it gets.
//!
//! People write one TOML file a service in `init/services`; the build checks them all together ([`graph::check`]) and packs them into the boot image as postcard. A server gets
//! what its manifest says and nothing else, so this is where authority is handed out.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub mod graph;
pub mod render;
#[cfg(any(test, feature = "text"))]
pub mod text;

/// One service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name: lower-case letters, digits and `-`.
    pub name: String,
    /// The program in the boot image; the service's name if left out.
    #[serde(default)]
    pub program: String,
    /// The mode in which there is this service, a word of the kernel's command line; in every mode if left out.
    #[serde(default)]
    pub only_in: String,
    /// Where it stands in the map of the system.
    pub layer: Layer,
    /// When it is started.
    #[serde(default)]
    pub start: Start,
    /// What happens when it ends.
    #[serde(default)]
    pub restart: Restart,
    /// Priority of its threads, 0–62 (63 is init's).
    pub priority: u8,
    /// The protocols that it serves, in the order of their index in badges.
    #[serde(default)]
    pub provides: Vec<String>,
    /// The services that it calls.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What it may use up.
    pub quota: Quota,
    /// What outlives it.
    #[serde(default)]
    pub capsule: Capsule,
    /// The hardware that it gets.
    #[serde(default)]
    pub hardware: Hardware,
    /// Authority beyond Connections, each by name.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Arguments of the program.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The CPU it starts on; init chooses if left out.
    #[serde(default)]
    pub cpu: Option<u8>,
}

/// The layers of the system, from the bottom. A blocking dependency never points up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The supervisor.
    Init,
    /// Drivers.
    Driver,
    /// Servers.
    Server,
    /// What users run.
    Program,
}

/// When a service is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// At boot, in parallel with the others; calls to what is not up yet wait in its endpoint.
    #[default]
    Boot,
    /// When it is first called.
    Lazy,
    /// When its device is found.
    Device,
}

/// What happens when a service ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It is started again, with back-off.
    #[default]
    Always,
    /// It is started again unless it exited with status 0.
    OnFailure,
    /// It is not started again.
    Never,
}

/// A dependency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// The protocol.
    pub protocol: String,
    /// The service; any that provides the protocol if left out.
    #[serde(default)]
    pub service: String,
    /// How it is called.
    pub mode: Mode,
    /// The name under which the program finds the Connection; the protocol's if left out.
    #[serde(default, rename = "as")]
    pub name: String,
    /// Whether the system may do without it.
    #[serde(default)]
    pub optional: bool,
}

/// How a dependency is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The caller waits for the answer.
    Blocking,
    /// The caller starts a Call and goes on.
    Call,
}

/// Limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Memory, page tables and kernel objects, in KiB.
    pub memory_kib: u64,
    /// Handles.
    pub handles: u32,
    /// Threads, with those of processes it makes.
    #[serde(default = "one")]
    pub threads: u32,
}

const fn one() -> u32 {
    1
}

/// The capsule; all zero: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capsule {
    /// Memory in KiB, a multiple of 4.
    #[serde(default)]
    pub memory_kib: u32,
    /// Handle slots.
    #[serde(default)]
    pub slots: u16,
}

/// Hardware.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// Ranges of ports.
    #[serde(default)]
    pub ports: Vec<PortRange>,
    /// ISA interrupt lines.
    #[serde(default)]
    pub isa_lines: Vec<u8>,
    /// PCI functions: the service is started for the first that matches one of these.
    #[serde(default)]
    pub pci: Vec<PciMatch>,
    /// Configuration space of all buses. Only for the PCI driver.
    #[serde(default)]
    pub pci_configuration: bool,
}

/// A range of I/O ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// How many.
    pub count: u16,
}

/// Which PCI functions a driver is for. What is left out matches all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PciMatch {
    /// Vendor.
    #[serde(default)]
    pub vendor: Option<u16>,
    /// Device.
    #[serde(default)]
    pub device: Option<u16>,
    /// Class and subclass.
    #[serde(default)]
    pub class: Option<(u8, u8)>,
}

/// Authority beyond Connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// The boot image, to load programs and files from.
    BootImage,
    /// A quota of its own, to make processes under.
    Spawn,
    /// Every service's Connections, on demand, through init's broker.
    Broker,
    /// Killing and stopping services through init.
    ServiceControl,
    /// Registering log sources.
    LogSources,
    /// Figures of the machine, and its power switch.
    Machine,
    /// Acting for users, without a parent process.
    Sessions,
}

impl Manifest {
    /// The program's name.
    pub fn program(&self) -> &str {
        if self.program.is_empty() {
            &self.name
        } else {
            &self.program
        }
    }

    /// Whether there is this service when the machine was booted for `mode`.
    pub fn is_in(&self, mode: &str) -> bool {
        self.only_in.is_empty() || self.only_in == mode
    }

    /// Whether its process and everything it needs are made for a PCI device.
    pub fn is_pci_driver(&self) -> bool {
        !self.hardware.pci.is_empty()
    }
}

impl Need {
    /// The name under which the program finds the Connection.
    pub fn name(&self) -> &str {
        if self.name.is_empty() {
            &self.protocol
        } else {
            &self.name
        }
    }

    /// Whether `manifest` is what this need is about.
    pub fn is_met_by(&self, manifest: &Manifest) -> bool {
        (self.service.is_empty() || self.service == manifest.name)
            && manifest.provides.contains(&self.protocol)
    }
}

impl PciMatch {
    /// Whether a function with these numbers is meant.
    pub fn matches(&self, vendor: u16, device: u16, class: (u8, u8)) -> bool {
        self.vendor.is_none_or(|wanted| wanted == vendor)
            && self.device.is_none_or(|wanted| wanted == device)
            && self.class.is_none_or(|wanted| wanted == class)
    }
}
