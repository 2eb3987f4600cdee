//! Making the process of a service: exactly what the manifest says, and nothing else.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use init::lines;
use init::mode::Mode;
use init::supervisor::{Event, ServiceId};
use init_manifest::{Grant, Manifest, Need, graph};
use libipc::bootstrap::Bootstrap;
use libipc::log::ring;
use libipc::object::{Caching, Capsule, Hardware, LineMode};
use libipc::{Connection, Handle, MemoryObject, Quota, Rights, SysError};
use loader::{LogMemory, Spawn};
use protocols::pci::{ConfigWindow, DeviceConfig, HostConfig};

use crate::console::RING_BYTES;
use crate::service::{Estate, Incarnation, fault_badge};
use crate::state::{Init, text_of};

/// Bytes of a frame in KiB.
const FRAME_KIB: u64 = 4;
/// Bytes of configuration space of one bus (PCI Express 5.0 §7.2.2).
const BUS_BYTES: u64 = 1 << 20;

const SERVICE_RIGHTS: Rights = Rights::RECEIVE
    .union(Rights::MINT)
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE);
const CAPSULE_RIGHTS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::INSPECT);
const INTERRUPT_RIGHTS: Rights = Rights::MANAGE.union(Rights::SIGNAL);
const DEVICE_MEMORY_RIGHTS: Rights = Rights::READ
    .union(Rights::WRITE)
    .union(Rights::MAP)
    .union(Rights::INSPECT);
const IMAGE_RIGHTS: Rights = Rights::READ
    .union(Rights::EXECUTE)
    .union(Rights::MAP)
    .union(Rights::INSPECT)
    .union(Rights::DUPLICATE)
    .union(Rights::TRANSFER);
const QUOTA_RIGHTS: Rights = Rights::MANAGE.union(Rights::INSPECT);

impl Init {
    /// Makes a service's process, and reports how that went.
    pub(crate) fn spawn(&mut self, id: ServiceId) {
        match self.launch(id) {
            Ok(incarnation) => {
                self.services[id.0].process = Some(incarnation);
                if self.supervisor.record(id).generation == 1 {
                    self.register_log(Some(id));
                }
                self.happened(Event::Spawned(id));
            }
            Err(reason) => {
                let name = self.services[id.0].manifest.name.clone();
                self.warn(format_args!("{name} can't be started: {reason}"));
                self.happened(Event::SpawnFailed(id, reason));
            }
        }
    }

    fn launch(&mut self, id: ServiceId) -> Result<Incarnation, String> {
        self.furnish(id)?;
        let connections = self.connections(id)?;
        let generation = self.supervisor.record(id).generation;
        let bootstrap = self.bootstrap(id, generation)?;
        let devices = &self.devices;
        let service = &self.services[id.0];
        let manifest = &service.manifest;
        let estate = service.estate.as_ref().ok_or("it has nothing to live on")?;
        let faults = self.minter.mint(fault_badge(id, generation));
        let faults = faults.map_err(text_of)?.client;
        ring::clear_last_words(&service.ring.mapping);

        let image_memory = self.image.memory.duplicate().map_err(text_of)?;
        let image = self.image.program(manifest.program())?;
        let mut spawn = Spawn {
            faults: Some(&faults),
            log: Some(LogMemory {
                memory: &service.ring.memory,
                length: RING_BYTES,
            }),
            bootstrap,
            priority: manifest.priority,
            cpu: Some(service.cpu),
            ..Spawn::new(image, &estate.quota)
        };
        spawn.grant("service", &service.endpoint, SERVICE_RIGHTS);
        for (name, connection) in &connections {
            spawn.grant(name, connection, Rights::CLIENT);
        }
        estate.grant_to(&mut spawn);
        if manifest.grants.contains(&Grant::BootImage) {
            spawn.grant("boot-image", &image_memory, IMAGE_RIGHTS);
        }
        if manifest.is_pci_driver() {
            let device = devices.of(id).ok_or("its device is not there")?;
            device.grant_to(&mut spawn);
        }
        let base = image.base();
        let spawned = spawn.start().map_err(text_of)?;
        Ok(Incarnation {
            process: spawned.process,
            thread: spawned.thread,
            heartbeat: None,
            frozen: None,
            is_doomed: false,
            base,
        })
    }

    /// What a service keeps over its incarnations, made once.
    fn furnish(&mut self, id: ServiceId) -> Result<(), String> {
        if self.services[id.0].estate.is_none() {
            let manifest = &self.services[id.0].manifest;
            self.services[id.0].estate = Some(self.estate(manifest)?);
        }
        Ok(())
    }

    fn estate(&self, manifest: &Manifest) -> Result<Estate, String> {
        let quota = &manifest.quota;
        let frames = quota.memory_kib.div_ceil(FRAME_KIB);
        let handles = u64::from(quota.handles);
        let quota = self.root.split(frames, handles, u64::from(quota.threads));
        let quota = quota.map_err(|error| format!("no quota: {error}"))?;
        let spawn = manifest
            .grants
            .contains(&Grant::Spawn)
            .then(|| self.share());
        let spawn = spawn
            .transpose()
            .map_err(|error| format!("no quota for its processes: {error}"))?;
        let parts = || -> Result<_, SysError> {
            let ports = manifest.hardware.ports.iter();
            let ports = ports.map(|range| self.hardware.io_ports(range.first, range.count));
            let lines = manifest.hardware.isa_lines.iter();
            let lines = lines.map(|line| Ok((*line, self.line(*line)?)));
            Ok((
                ports.collect::<Result<_, _>>()?,
                lines.collect::<Result<_, _>>()?,
                self.windows(manifest)?,
                capsule(manifest)?,
            ))
        };
        let (ports, lines, windows, capsule) = parts().map_err(text_of)?;
        Ok(Estate {
            quota,
            spawn,
            capsule,
            ports,
            lines,
            windows,
        })
    }

    /// Half of what is left, for a service that makes processes of its own.
    fn share(&self) -> Result<Handle<Quota>, SysError> {
        let figures = self.root.figures()?;
        let half = |limit: u64, used: u64| limit.saturating_sub(used) / 2;
        self.root.split(
            half(figures.frames, figures.frames_used),
            half(figures.handles, figures.handles_used),
            half(figures.threads, figures.threads_used),
        )
    }

    fn line(&self, isa: u8) -> Result<Handle<libipc::Interrupt>, SysError> {
        let count = (self.info.override_count as usize).min(self.info.overrides.len());
        let line = lines::of_isa(isa, &self.info.overrides[..count]);
        self.hardware.line_interrupt(
            line.gsi,
            LineMode {
                is_level: line.is_level,
                is_active_low: line.is_active_low,
            },
        )
    }

    fn windows(&self, manifest: &Manifest) -> Result<Vec<Handle<MemoryObject>>, SysError> {
        if !manifest.hardware.pci_configuration {
            return Ok(Vec::new());
        }
        config_windows(self.info)
            .map(|window| {
                let buses = u64::from(window.last_bus.saturating_sub(window.first_bus)) + 1;
                let first = window.base + u64::from(window.first_bus) * BUS_BYTES;
                memory(&self.hardware, first, buses * BUS_BYTES)
            })
            .collect()
    }

    /// A fresh Connection for each need that somebody meets.
    fn connections(&self, id: ServiceId) -> Result<Vec<(String, Handle<Connection>)>, String> {
        let service = &self.services[id.0];
        let mut connections = Vec::new();
        for need in &service.manifest.needs {
            match self.connection_for(id, need) {
                Some(minted) => {
                    connections.push((need.name().to_string(), minted.map_err(text_of)?));
                }
                None if need.optional => {}
                None => {
                    return Err(format!(
                        "nobody in this image provides {}, which it needs",
                        need.protocol
                    ));
                }
            }
        }
        Ok(connections)
    }

    fn connection_for(
        &self,
        id: ServiceId,
        need: &Need,
    ) -> Option<Result<Handle<Connection>, SysError>> {
        let client = self.services[id.0].client();
        let provider = self
            .services
            .iter()
            .find(|service| need.is_met_by(&service.manifest));
        let minted = match provider {
            Some(provider) => {
                let protocol = provider.protocol(&need.protocol)?;
                provider.endpoint.mint(client.badge(protocol))
            }
            None => {
                let is_own = graph::INIT_PROVIDES.contains(&need.protocol.as_str())
                    && (need.service.is_empty() || need.service == graph::INIT);
                if !is_own {
                    return None;
                }
                self.minter.mint(client.badge(0))
            }
        };
        Some(minted.map(|minted| minted.client))
    }

    fn bootstrap(&self, id: ServiceId, generation: u64) -> Result<Bootstrap, String> {
        let service = &self.services[id.0];
        let mut arguments = service.manifest.arguments.clone();
        if let Mode::Program {
            name,
            arguments: more,
        } = &self.mode
            && *name == service.manifest.name
        {
            arguments.extend(more.iter().cloned());
        }
        Ok(Bootstrap {
            name: service.manifest.name.clone(),
            pid: service.pid,
            incarnation: generation,
            arguments,
            environment: [("mode".to_string(), self.mode.name().to_string())].into(),
            config: self.config(id)?,
            ..Bootstrap::default()
        })
    }

    fn config(&self, id: ServiceId) -> Result<Vec<u8>, String> {
        let manifest = &self.services[id.0].manifest;
        let bytes = if manifest.is_pci_driver() {
            let device = self.devices.of(id).ok_or("its device is not there")?;
            postcard::to_allocvec(&DeviceConfig {
                function: device.function.clone(),
                interrupts: device.interrupt_count(),
            })
        } else if manifest.hardware.pci_configuration {
            let windows = config_windows(self.info).map(|window| ConfigWindow {
                segment: window.segment,
                first_bus: window.first_bus,
                last_bus: window.last_bus,
            });
            let count = (self.info.override_count as usize).min(self.info.overrides.len());
            let overrides = self.info.overrides[..count].iter();
            postcard::to_allocvec(&HostConfig {
                windows: windows.collect(),
                overrides: overrides.map(|entry| (entry.source, entry.gsi)).collect(),
            })
        } else {
            return Ok(Vec::new());
        };
        bytes.map_err(text_of)
    }
}

impl Estate {
    fn grant_to<'a>(&'a self, spawn: &mut Spawn<'a>) {
        if let Some(capsule) = &self.capsule {
            spawn.grant("capsule", capsule, CAPSULE_RIGHTS);
        }
        if let Some(quota) = &self.spawn {
            spawn.grant("quota", quota, QUOTA_RIGHTS);
        }
        for (index, ports) in self.ports.iter().enumerate() {
            spawn.grant(&format!("ports{index}"), ports, Rights::MAP);
        }
        for (line, interrupt) in &self.lines {
            spawn.grant(&format!("line{line}"), interrupt, INTERRUPT_RIGHTS);
        }
        for (index, window) in self.windows.iter().enumerate() {
            spawn.grant(&format!("config{index}"), window, DEVICE_MEMORY_RIGHTS);
        }
    }
}

impl crate::devices::Device {
    fn grant_to<'a>(&'a self, spawn: &mut Spawn<'a>) {
        for (index, bar) in &self.bars {
            spawn.grant(&format!("bar{index}"), bar, DEVICE_MEMORY_RIGHTS);
        }
        for (index, interrupt) in self.interrupts().enumerate() {
            spawn.grant(&format!("interrupt{index}"), interrupt, INTERRUPT_RIGHTS);
        }
        spawn.grant("iospace", &self.space, Rights::MAP);
    }
}

fn capsule(manifest: &Manifest) -> Result<Option<Handle<Capsule>>, SysError> {
    let init_manifest::Capsule { memory_kib, slots } = manifest.capsule;
    if memory_kib == 0 && slots == 0 {
        return Ok(None);
    }
    Handle::<Capsule>::create(u64::from(memory_kib.max(4)) * 1024, slots).map(Some)
}

/// Device memory that is not cached.
pub(crate) fn memory(
    hardware: &Handle<Hardware>,
    base: u64,
    length: u64,
) -> Result<Handle<MemoryObject>, SysError> {
    hardware.device_memory(base, length, Caching::Uncached)
}

fn config_windows(
    info: &abi::boot::BootInfo,
) -> impl Iterator<Item = &abi::boot::ConfigWindow> + '_ {
    let count = (info.config_window_count as usize).min(info.config_windows.len());
    info.config_windows[..count].iter()
}
