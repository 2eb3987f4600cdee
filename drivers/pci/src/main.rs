//! The PCI bus's process: configuration space on one side, `protocols/pci` on the other.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::collections::BTreeMap;
use core::convert::Infallible;
use core::time::Duration;

use driver_lib::granted;
use driver_lib::real::MappedRegisters;
use driver_lib::{Mmio, Register};
use libipc::prelude::*;
use libipc::{Boot, Deadline, StartError, Wake};
use pci::config::{Command, ConfigSpace, change_command};
use pci::msix::{self, Message};
use pci::reset::{self, Stuck};
use pci::{Address, Function, enumerate};
use protocols::client::Client;
use protocols::pci as protocol;
use protocols::pci::{Error, HostConfig, Pci};

/// Bytes of functions in one answer, at most.
const LIST_BYTES: usize = 2800;
/// Configuration space that `read_config` gives at once.
const MAX_CONFIG_BYTES: u16 = 256;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let host: HostConfig = boot.config()?;
    let mut space = Space {
        windows: Vec::new(),
    };
    for (index, window) in host.windows.iter().enumerate() {
        let registers = granted::registers(&boot.memory(&format!("config{index}"))?)?;
        space
            .windows
            .push((window.first_bus, window.last_bus, registers));
    }
    let buses: Vec<(u8, u8)> = space
        .windows
        .iter()
        .map(|(first, last, _)| (*first, *last))
        .collect();
    let functions: Vec<Function> = buses
        .into_iter()
        .flat_map(|(first, last)| enumerate(&mut space, first, last))
        .collect();
    libipc::info!("{} functions on the bus", functions.len());
    let mut bus = Bus {
        space,
        functions,
        tables: BTreeMap::new(),
        overrides: host.overrides,
    };

    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => protocol::dispatch(&mut bus, call),
            Wake::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
}

/// Memory-mapped configuration space.
struct Space {
    windows: Vec<(u8, u8, MappedRegisters)>,
}

impl Space {
    fn place(&self, address: Address, offset: u16) -> Option<(usize, Register<u32>)> {
        let index = self
            .windows
            .iter()
            .position(|(first, last, _)| (*first..=*last).contains(&address.bus))?;
        let base = address.window_offset(self.windows[index].0)?;
        Some((index, Register::at(base + usize::from(offset & 0xffc))))
    }
}

impl ConfigSpace for Space {
    fn read(&self, address: Address, offset: u16) -> u32 {
        self.place(address, offset)
            .map_or(u32::MAX, |(index, register)| {
                self.windows[index].2.read(register)
            })
    }

    fn write(&mut self, address: Address, offset: u16, value: u32) {
        if let Some((index, register)) = self.place(address, offset) {
            self.windows[index].2.write(register, value);
        }
    }
}

struct Bus {
    space: Space,
    functions: Vec<Function>,
    tables: BTreeMap<Address, MappedRegisters>,
    overrides: Vec<(u32, u32)>,
}

impl Bus {
    fn find(&self, address: protocol::Address) -> Result<Function, Error> {
        let wanted = Address {
            bus: address.bus,
            device: address.device,
            function: address.function,
        };
        self.functions
            .iter()
            .find(|function| function.address == wanted)
            .cloned()
            .ok_or(Error::NotFound)
    }

    fn describe(&self, function: &Function) -> protocol::Function {
        let line = function.line.map(|line| {
            let found = self
                .overrides
                .iter()
                .find(|(source, _)| *source == u32::from(line));
            found.map_or(u32::from(line), |(_, gsi)| *gsi)
        });
        protocol::Function {
            address: protocol::Address {
                bus: function.address.bus,
                device: function.address.device,
                function: function.address.function,
            },
            vendor: function.vendor,
            device: function.device,
            subsystem: function.subsystem,
            class: function.class,
            bars: function.bars.iter().map(describe_bar).collect(),
            msix: function.msix.map(|table| protocol::MsixTable {
                bar: table.bar,
                offset: table.offset,
                vectors: table.vectors,
            }),
            has_msi: function.has_msi,
            line,
            virtio: function.virtio.iter().map(describe_region).collect(),
        }
    }
}

fn describe_bar(bar: &pci::Bar) -> protocol::Bar {
    protocol::Bar {
        index: bar.index,
        base: bar.base,
        length: bar.length,
        is_port: bar.is_port,
        is_prefetchable: bar.is_prefetchable,
    }
}

fn describe_region(region: &pci::capability::VirtioRegion) -> protocol::VirtioRegion {
    protocol::VirtioRegion {
        kind: region.kind,
        bar: region.bar,
        offset: region.offset,
        length: region.length,
        notify_multiplier: region.notify_multiplier,
    }
}

/// What a function's description takes in an answer, roughly from above.
fn bytes_of(function: &Function) -> usize {
    40 + 24 * function.bars.len() + 16 * function.virtio.len()
}

/// Waits; the bus is slow, and a reset has to be given its time.
fn pause(milliseconds: u32) {
    if let Ok(nothing) = Handle::<Notification>::create() {
        // Nobody signals it: this ends by its deadline.
        let _ = nothing.wait(
            1,
            Deadline::after(Duration::from_millis(u64::from(milliseconds))),
        );
    }
}

/// Whether init calls. A message address can be any place in memory, and a device can write to all of it: so who routes and enables must own the machine.
fn check(caller: Caller) -> Result<(), Error> {
    match Client::of(caller.badge) {
        Some(Client::INIT) => Ok(()),
        _ => Err(Error::NotPermitted),
    }
}

impl Pci for Bus {
    fn functions(&mut self, _caller: Caller, from: u32) -> Result<Vec<protocol::Function>, Error> {
        let mut bytes = 0;
        let rest = self
            .functions
            .iter()
            .skip(from as usize)
            .take_while(|function| {
                bytes += bytes_of(function);
                bytes <= LIST_BYTES
            });
        Ok(rest.map(|function| self.describe(function)).collect())
    }

    fn enable(
        &mut self,
        caller: Caller,
        address: protocol::Address,
        table: Handle<MemoryObject>,
    ) -> Result<(), Error> {
        check(caller)?;
        let function = self.find(address)?;
        change_command(
            &mut self.space,
            function.address,
            Command::MEMORY | Command::BUS_MASTER,
            Command::empty(),
        );
        let Some(place) = function.msix else {
            return Ok(());
        };
        let within = place.offset as usize % 4096;
        let registers = granted::registers(&table).map_err(|error| {
            libipc::warn!(
                "the table of {:?} can't be mapped: {error}",
                function.address
            );
            Error::BadVector
        })?;
        let bytes = usize::from(place.vectors) * msix::ENTRY_BYTES as usize;
        let mut registers = registers.part(within, bytes).ok_or(Error::BadVector)?;
        msix::enable(&mut self.space, function.address, place, &mut registers)
            .map_err(|_| Error::BadVector)?;
        self.tables.insert(function.address, registers);
        Ok(())
    }

    fn route(
        &mut self,
        caller: Caller,
        address: protocol::Address,
        vector: u16,
        message_address: u64,
        message_data: u32,
    ) -> Result<(), Error> {
        check(caller)?;
        let function = self.find(address)?;
        let message = Message {
            address: message_address,
            data: message_data,
        };
        let routed = match (function.msix, self.tables.get_mut(&function.address)) {
            (Some(table), Some(registers)) => msix::route(table, registers, vector, message),
            (None, _) if vector == 0 => msix::route_msi(&mut self.space, function.address, message),
            _ => return Err(Error::BadVector),
        };
        routed.map_err(|_| Error::BadVector)
    }

    fn reset(&mut self, caller: Caller, address: protocol::Address) -> Result<(), Error> {
        check(caller)?;
        let function = self.find(address)?;
        match reset::reset(&mut self.space, function.address, pause) {
            Ok(method) => {
                libipc::info!(
                    "reset {:02x}:{:02x}.{} by {method:?}",
                    address.bus,
                    address.device,
                    address.function
                );
                Ok(())
            }
            Err(Stuck) => Err(Error::Stuck),
        }
    }

    fn read_config(
        &mut self,
        _caller: Caller,
        address: protocol::Address,
        offset: u16,
        length: u16,
    ) -> Result<Vec<u8>, Error> {
        let function = self.find(address)?;
        let length = length.min(MAX_CONFIG_BYTES);
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= 4096)
            .ok_or(Error::NotFound)?;
        Ok((offset..end)
            .map(|at| self.space.read_u8(function.address, at))
            .collect())
    }
}
