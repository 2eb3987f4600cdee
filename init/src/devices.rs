//! PCI functions and the services that drive them: what is on the bus, who is it for, and the way of a function from enabled to reset and back.
//!
//! init holds the IoSpace, so the memory that a device may still write to outlives its driver: it is freed when the bus's driver says that the function was reset.

use alloc::string::String;
use alloc::vec::Vec;

use init::supervisor::{Event, ServiceId, State};
use init::windows;
use libipc::object::{LineMode, MessageInterrupt};
use libipc::{Deadline, Failure, Handle, Interrupt, IoSpace, MemoryObject, Pending, SysError};
use protocols::pci::{self, Function, MAX_DRIVER_INTERRUPTS};

use crate::calls::Purpose;
use crate::launch::memory;
use crate::state::{Init, now, text_of};

/// How long the bus's driver may take for one thing; it may have to start first.
const PATIENCE_MS: u64 = 30_000;
/// When a thing that failed is tried again.
const RETRY_NS: u64 = 500_000_000;

/// What is known of the bus.
#[derive(Default)]
pub struct Devices {
    functions: Vec<Function>,
    claimed: Vec<Device>,
    /// When the list is asked for again; 0: not at all.
    list_again: u64,
}

/// A function that has a driver.
pub struct Device {
    /// The function.
    pub function: Function,
    /// Its driver's service.
    service: ServiceId,
    /// The windows that the driver gets.
    pub bars: Vec<(u8, Handle<MemoryObject>)>,
    /// The pages of the MSI-X table, for the bus's driver; any memory if there is none.
    table: Handle<MemoryObject>,
    messages: Vec<MessageInterrupt>,
    line: Option<Handle<Interrupt>>,
    /// What it may reach.
    pub space: Handle<IoSpace>,
    phase: Phase,
    /// Counts the steps, so that the end of one that was given up is not taken for another's.
    step: u64,
    retry_at: u64,
}

/// What is being done to a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It is switched on.
    Enabling,
    /// This vector is routed.
    Routing(u16),
    /// It is ready for its driver.
    Ready,
    /// It is reset after its driver's death.
    Resetting,
}

impl Devices {
    /// A service's device.
    pub fn of(&self, id: ServiceId) -> Option<&Device> {
        self.claimed.iter().find(|device| device.service == id)
    }

    /// When something is tried again.
    pub fn next_deadline(&self) -> u64 {
        let retries = self.claimed.iter().map(|device| device.retry_at);
        retries
            .chain([self.list_again])
            .filter(|at| *at != 0)
            .min()
            .unwrap_or(u64::MAX)
    }
}

impl Device {
    /// The interrupts in the order of their vectors.
    pub fn interrupts(&self) -> impl Iterator<Item = &Handle<Interrupt>> {
        let messages = self.messages.iter().map(|message| &message.interrupt);
        messages.chain(&self.line)
    }

    /// How many there are.
    pub fn interrupt_count(&self) -> u16 {
        (self.messages.len() + usize::from(self.line.is_some())) as u16
    }
}

impl Init {
    /// Asks for what is on the bus, from where the list ends.
    pub(crate) fn list_devices(&mut self) {
        let Some(pci) = &self.pci else {
            return;
        };
        let from = self.devices.functions.len() as u32;
        let deadline = Deadline::after_ms(PATIENCE_MS);
        let started = pci.client.start_functions(&self.calls, deadline, from);
        match started {
            Ok(pending) => {
                self.pending
                    .insert(pending.id(), Purpose::Functions(pending));
            }
            Err(failure) => self.warn(format_args!("the bus can't be asked: {failure}")),
        }
    }

    /// A part of the list.
    pub(crate) fn on_functions(&mut self, functions: Result<Vec<Function>, String>) {
        match functions {
            Ok(functions) if functions.is_empty() => self.match_devices(),
            Ok(functions) => {
                self.devices.functions.extend(functions);
                self.list_devices();
            }
            Err(reason) => {
                self.warn(format_args!("what is on the bus is not known: {reason}"));
                self.devices.list_again = now() + RETRY_NS;
            }
        }
    }

    /// Finds a function for every driver that has none.
    fn match_devices(&mut self) {
        for id in self.supervisor.ids() {
            let manifest = &self.services[id.0].manifest;
            if !manifest.is_pci_driver() || self.devices.of(id).is_some() {
                continue;
            }
            let wanted = &manifest.hardware.pci;
            let is_free = |function: &&Function| {
                let claimed = &self.devices.claimed;
                !claimed
                    .iter()
                    .any(|device| device.function.address == function.address)
            };
            let function = self
                .devices
                .functions
                .iter()
                .filter(is_free)
                .find(|function| {
                    let class = (function.class.0, function.class.1);
                    wanted
                        .iter()
                        .any(|wanted| wanted.matches(function.vendor, function.device, class))
                });
            match function.cloned() {
                Some(function) => self.claim(id, function),
                None => {
                    let name = manifest.name.clone();
                    self.say(format_args!("there is no device for {name}"));
                }
            }
        }
    }

    fn claim(&mut self, id: ServiceId, function: Function) {
        let name = self.services[id.0].manifest.name.clone();
        let pci::Address {
            bus,
            device,
            function: number,
        } = function.address;
        match self.make_device(id, function) {
            Ok(made) => {
                self.say(format_args!(
                    "{name} drives the device at {bus:02x}:{device:02x}.{number}"
                ));
                self.devices.claimed.push(made);
                self.advance(self.devices.claimed.len() - 1, Phase::Enabling);
            }
            Err(error) => self.warn(format_args!(
                "the device at {bus:02x}:{device:02x}.{number} can't be given to {name}: {error}"
            )),
        }
    }

    fn make_device(&self, service: ServiceId, function: Function) -> Result<Device, SysError> {
        let bars = windows::of_driver(&function);
        let bars = bars
            .into_iter()
            .map(|(index, pages)| Ok((index, memory(&self.hardware, pages.base, pages.length)?)))
            .collect::<Result<_, SysError>>()?;
        let table = match windows::table(&function) {
            Some(pages) => memory(&self.hardware, pages.base, pages.length)?,
            None => Handle::<MemoryObject>::create(abi::layout::PAGE_SIZE as u64)?,
        };
        let vectors = function.msix.as_ref().map_or(0, |msix| msix.vectors);
        let messages = (0..vectors.min(MAX_DRIVER_INTERRUPTS))
            .map(|_| self.hardware.message_interrupt())
            .collect::<Result<Vec<_>, _>>()?;
        // PCI 3.0 §2.2.6: lines are level-triggered and active low.
        let mode = LineMode {
            is_level: true,
            is_active_low: true,
        };
        let line = match function.line {
            Some(gsi) if messages.is_empty() => Some(self.hardware.line_interrupt(gsi, mode)?),
            _ => None,
        };
        let pci::Address {
            bus,
            device,
            function: number,
        } = function.address;
        let address = u16::from(bus) << 8 | u16::from(device & 31) << 3 | u16::from(number & 7);
        Ok(Device {
            space: self.hardware.io_space(address)?,
            function,
            service,
            bars,
            table,
            messages,
            line,
            phase: Phase::Enabling,
            step: 0,
            retry_at: 0,
        })
    }

    /// A driver's process is gone: its device must not go on by itself.
    pub(crate) fn reset_device(&mut self, id: ServiceId) {
        let devices = &self.devices.claimed;
        match devices.iter().position(|device| device.service == id) {
            Some(index) => self.advance(index, Phase::Resetting),
            // It never had one.
            None => self.happened(Event::DeviceReset(id)),
        }
    }

    /// The bus's driver was started again and knows nothing of what was switched on.
    pub(crate) fn enable_devices_again(&mut self) {
        for index in 0..self.devices.claimed.len() {
            if self.devices.claimed[index].phase == Phase::Ready {
                self.advance(index, Phase::Enabling);
            }
        }
    }

    /// Tries again what failed.
    pub(crate) fn retry_devices(&mut self) {
        let now = now();
        if self.devices.list_again != 0 && self.devices.list_again <= now {
            self.devices.list_again = 0;
            self.list_devices();
        }
        for index in 0..self.devices.claimed.len() {
            let device = &self.devices.claimed[index];
            if device.retry_at != 0 && device.retry_at <= now {
                self.advance(index, device.phase);
            }
        }
    }

    /// A step is done, or failed.
    pub(crate) fn on_device(&mut self, index: usize, step: u64, result: Result<(), String>) {
        let device = &mut self.devices.claimed[index];
        if device.step != step {
            return;
        }
        let (phase, service) = (device.phase, device.service);
        if let Err(reason) = result {
            device.retry_at = now() + RETRY_NS;
            let name = self.services[service.0].manifest.name.clone();
            return self.warn(format_args!("the device of {name}: {phase:?}: {reason}"));
        }
        match phase {
            Phase::Enabling => self.advance(index, Phase::Routing(0)),
            Phase::Routing(vector) => self.advance(index, Phase::Routing(vector + 1)),
            Phase::Resetting => self.on_reset(index),
            Phase::Ready => {}
        }
    }

    fn on_reset(&mut self, index: usize) {
        let device = &self.devices.claimed[index];
        if let Err(error) = device.space.release() {
            self.warn(format_args!("memory of a device stays withheld: {error}"));
        }
        self.advance(index, Phase::Enabling);
    }

    /// Takes the next step. Every step may be taken twice.
    fn advance(&mut self, index: usize, phase: Phase) {
        let device = &mut self.devices.claimed[index];
        device.retry_at = 0;
        device.step += 1;
        let step = device.step;
        device.phase = match phase {
            Phase::Routing(vector) if usize::from(vector) >= device.messages.len() => Phase::Ready,
            phase => phase,
        };
        if device.phase == Phase::Ready {
            return self.on_ready(index);
        }
        match self.start_step(index) {
            Ok(pending) => {
                self.pending
                    .insert(pending.id(), Purpose::Device(index, step, pending));
            }
            Err(failure) => self.on_device(index, step, Err(text_of(failure))),
        }
    }

    fn start_step(&self, index: usize) -> Result<Pending<(), pci::Error>, Failure> {
        let device = &self.devices.claimed[index];
        let pci = &self.pci.as_ref().ok_or(Failure::BadReply)?.client;
        let (calls, deadline) = (&self.calls, Deadline::after_ms(PATIENCE_MS));
        let address = device.function.address;
        match device.phase {
            Phase::Enabling | Phase::Ready => {
                pci.start_enable(calls, deadline, address, &device.table)
            }
            Phase::Resetting => pci.start_reset(calls, deadline, address),
            Phase::Routing(vector) => {
                let message = device
                    .messages
                    .get(usize::from(vector))
                    .ok_or(Failure::BadReply)?;
                let (to, data) = (message.address, message.data);
                pci.start_route(calls, deadline, address, vector, to, data)
            }
        }
    }

    fn on_ready(&mut self, index: usize) {
        let id = self.devices.claimed[index].service;
        match self.supervisor.record(id).state {
            State::Resetting => self.happened(Event::DeviceReset(id)),
            _ => self.happened(Event::Wanted(id)),
        }
    }
}
