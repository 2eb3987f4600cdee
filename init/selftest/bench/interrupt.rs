//! From an interrupt to its driver.

use abi::layout::PAGE_SIZE;
use core::sync::atomic::Ordering;

use driver_lib::granted;
use driver_lib::ports::{Port, Ports};
use libipc::object::{Endpoint, Interrupt, Notification};
use libipc::{Boot, Handle, Mapping, MemoryObject, Protection, StartError, raw};

use crate::Bench;
use crate::measure::{Cost, ROUNDS, WARM_UP, switches_to};
use crate::peers::Role;

/// The peer that writes down the counter again and again.
pub const WATCH: &str = "watch";
/// Less urgent than the driver.
const WATCH_PRIORITY: u8 = 1;

/// The interval timer's ports (Intel 8254): counter 0 and the control word.
const FIRST_PORT: u16 = 0x40;
const PORT_COUNT: u16 = 4;
const COUNTER: Port = Port(0);
const CONTROL: Port = Port(3);
/// Counter 0, low byte then high byte, mode 0: interrupt when it has counted down.
const ONE_SHOT: u8 = 0x30;
/// The shortest time that it counts.
const TICKS: u16 = 2_000;

/// The hardware.
pub struct Timer {
    ports: driver_lib::real::RealPorts,
    interrupt: Handle<Interrupt>,
}

impl Timer {
    /// Takes what the manifest grants.
    pub fn new(boot: &mut Boot) -> Result<Self, StartError> {
        Ok(Self {
            ports: granted::ports(boot.handle("ports0")?, FIRST_PORT, PORT_COUNT)?,
            interrupt: boot.handle("line0")?,
        })
    }

    /// Interrupts after so many of its ticks.
    fn start(&mut self, ticks: u16) {
        let [low, high] = ticks.to_le_bytes();
        self.ports.write(CONTROL, ONE_SHOT);
        self.ports.write(COUNTER, low);
        self.ports.write(COUNTER, high);
    }
}

/// Measures it: from the last instruction of another process, which the interrupt came upon, to the driver's first after `receive`.
pub fn measure(bench: &mut Bench, mut timer: Timer) -> Result<(), StartError> {
    let endpoint = Handle::<Endpoint>::create()?;
    let signal = Handle::<Notification>::create()?;
    timer.interrupt.bind(&signal, 0)?;
    signal.bind(&endpoint, 0)?;
    let memory = Handle::<MemoryObject>::create(PAGE_SIZE as u64)?;
    let seen = memory.map(0, PAGE_SIZE, Protection::ReadWrite)?;
    let watch = bench.peers.start(Role {
        priority: WATCH_PRIORITY,
        memory: Some(&memory),
        ..Role::new(WATCH)
    })?;
    let mut cost = Cost::MOST;
    let mut words = [0; 8];
    for round in 0..(WARM_UP + ROUNDS) as u16 {
        let processes = [&bench.own, &watch.process];
        let switches = switches_to(&processes);
        timer.start(TICKS + round);
        raw::receive(&endpoint, &mut words);
        let arrived = raw::counter();
        let switches = switches_to(&processes) - switches;
        timer.interrupt.acknowledge()?;
        if usize::from(round) >= WARM_UP {
            let instructions = arrived.saturating_sub(last_seen(&seen)?);
            // One of the switches was to the other process, before the interrupt.
            let switches = switches.saturating_sub(1);
            cost = cost.or(Cost {
                instructions,
                switches,
            });
        }
    }
    bench.report("interrupt_to_driver", cost);
    Ok(())
}

fn last_seen(memory: &Mapping) -> Result<u64, StartError> {
    memory
        .word(0)
        .map(|word| word.load(Ordering::Relaxed))
        .ok_or_else(|| StartError::Other("the shared page has no word".into()))
}

/// Writes down the counter, again and again.
pub fn watch(memory: &Handle<MemoryObject>) -> Result<core::convert::Infallible, StartError> {
    let page = memory.map(0, PAGE_SIZE, Protection::ReadWrite)?;
    let word = page
        .word(0)
        .ok_or_else(|| StartError::Other("the shared page has no word".into()))?;
    loop {
        word.store(raw::counter(), Ordering::Relaxed);
    }
}
