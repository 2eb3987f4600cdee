//! The serial port's process: glue between the device, its interrupt and the rings of its client.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use core::convert::Infallible;

use driver_lib::granted;
use driver_lib::real::RealPorts;
use libipc::byte_ring::{Broken, Consumer, Producer};
use libipc::prelude::*;
use libipc::{Badge, Boot, Protection, StartError, Wake, fault};
use protocols::serial::{self, Error, Info, Serial};
use uart::{FIFO_BYTES, Input, Output, Uart};

const FIRST_PORT: u16 = 0x3f8;
const PORT_COUNT: u16 = 8;
const BAUD: u32 = 115_200;

/// Capsule slots: what it takes to go on for the same client after a restart.
const MEMORY_SLOT: u16 = 0;
const DOORBELL_SLOT: u16 = 1;

/// Bits of the client's doorbell.
const INPUT_CAME: u64 = 1;
const ROOM_CAME: u64 = 2;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let ports = granted::ports(boot.handle("ports0")?, FIRST_PORT, PORT_COUNT)?;
    let interrupt: Handle<Interrupt> = boot.handle("line4")?;
    let signal = Handle::<Notification>::create()?;
    interrupt.bind(&signal, 0)?;
    endpoint.bind(&signal, 0)?;
    let uart = Uart::start(ports, BAUD)
        .map_err(|error| StartError::Other(format!("no serial port: {error:?}")))?;
    let mut line = Line {
        uart,
        capsule: boot.capsule()?,
        client: None,
    };
    line.adopt_client();
    line.serve();
    interrupt.acknowledge()?;

    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => serial::dispatch(&mut line, call),
            Wake::Notified(_) => {
                line.serve();
                interrupt.acknowledge()?;
            }
            Wake::Rung(_) => line.serve(),
            Wake::Failed(error) => return Err(error.into()),
            Wake::Closed(_) | Wake::Completed(_) | Wake::Cancelled(_) | Wake::Deadline(_) => {}
        }
    }
}

struct Line {
    uart: Uart<RealPorts>,
    capsule: Handle<Capsule>,
    client: Option<Client>,
}

struct Client {
    badge: Option<Badge>,
    output: OutputRing,
    input: InputRing,
    doorbell: Handle<Notification>,
}

impl Client {
    fn open(
        badge: Option<Badge>,
        memory: &Handle<MemoryObject>,
        doorbell: Handle<Notification>,
    ) -> Result<Self, Error> {
        let length = memory.figures().map_err(|_| Error::BadRing)?.length as usize;
        let mapping = memory
            .map(0, length, Protection::ReadWrite)
            .map_err(|_| Error::BadRing)?;
        let (mapping, half) = (Arc::new(mapping), length / 2);
        let output = Consumer::open(mapping.clone(), 0, half).map_err(|Broken| Error::BadRing)?;
        let input = Producer::open(mapping, half, half).map_err(|Broken| Error::BadRing)?;
        Ok(Self {
            badge,
            output: OutputRing::new(output),
            input: InputRing(input),
            doorbell,
        })
    }
}

impl Line {
    /// Goes on for the client of an earlier incarnation. One whose memory is of no use any more has to attach again.
    fn adopt_client(&mut self) {
        let memory = self
            .capsule
            .take::<libipc::object::MemoryObject>(MEMORY_SLOT);
        let doorbell = self
            .capsule
            .take::<libipc::object::Notification>(DOORBELL_SLOT);
        if let (Ok(memory), Ok(doorbell)) = (memory, doorbell) {
            match Client::open(None, &memory, doorbell) {
                Ok(client) => {
                    // The last incarnation may have died between moving bytes and saying so.
                    if let Err(error) = client.doorbell.signal(INPUT_CAME | ROOM_CAME) {
                        libipc::warn!("the client can't be woken: {error}");
                    }
                    self.client = Some(client);
                }
                Err(error) => {
                    libipc::warn!("dropped the client of the last incarnation: {error:?}")
                }
            }
        }
    }

    /// Moves what can be moved, and wakes the client if it waits for that.
    fn serve(&mut self) {
        let Some(client) = &mut self.client else {
            self.uart.serve(&mut Nothing, &mut Nothing);
            return;
        };
        loop {
            let served = self.uart.serve(&mut client.output, &mut client.input);
            if served.dropped > 0 {
                libipc::warn!("no room for {} bytes of input", served.dropped);
            }
            if client.output.is_broken {
                libipc::warn!("the client broke its ring");
                self.client = None;
                return;
            }
            fault::point("uart.served");
            let mut bits = 0;
            if served.received > 0 && client.input.0.must_wake() {
                bits |= INPUT_CAME;
            }
            if served.sent > 0 && client.output.ring.must_wake() {
                bits |= ROOM_CAME;
            }
            if bits != 0 && client.doorbell.signal(bits).is_err() {
                self.client = None;
                return;
            }
            // While the transmitter is busy its interrupt brings us back; with nothing to send the client's ring does, so say that we sleep and look once more.
            client.output.ring.sleep();
            if client.output.peek().is_none() || served.sent == 0 {
                return;
            }
        }
    }
}

impl Serial for Line {
    fn info(&mut self, _caller: Caller) -> Result<Info, Error> {
        Ok(Info {
            baud: BAUD,
            fifo_bytes: FIFO_BYTES as u32,
        })
    }

    fn attach(
        &mut self,
        caller: Caller,
        memory: Handle<MemoryObject>,
        doorbell: Handle<Notification>,
    ) -> Result<(), Error> {
        if self
            .client
            .as_ref()
            .and_then(|client| client.badge)
            .is_some_and(|badge| badge != caller.badge)
        {
            return Err(Error::Busy);
        }
        let keep = |slot, result: Result<(), SysError>| {
            result.map_err(|error| {
                libipc::error!("can't keep slot {slot}: {error}");
                Error::BadRing
            })
        };
        // An empty slot can be cleared as well.
        let _ = self.capsule.clear(MEMORY_SLOT);
        let _ = self.capsule.clear(DOORBELL_SLOT);
        keep(MEMORY_SLOT, self.capsule.keep(MEMORY_SLOT, &memory))?;
        keep(DOORBELL_SLOT, self.capsule.keep(DOORBELL_SLOT, &doorbell))?;
        self.client = Some(Client::open(Some(caller.badge), &memory, doorbell)?);
        self.serve();
        Ok(())
    }
}

/// The client's output, looked at in pieces so that a byte costs no atomic access of its own; taken byte by byte, so that a kill repeats one at most.
struct OutputRing {
    ring: Consumer,
    piece: [u8; 64],
    length: usize,
    at: usize,
    is_broken: bool,
}

impl OutputRing {
    fn new(ring: Consumer) -> Self {
        Self {
            ring,
            piece: [0; 64],
            length: 0,
            at: 0,
            is_broken: false,
        }
    }
}

impl Output for OutputRing {
    fn peek(&mut self) -> Option<u8> {
        if self.at == self.length {
            self.at = 0;
            self.length = self.ring.peek(&mut self.piece).unwrap_or_else(|Broken| {
                self.is_broken = true;
                0
            });
        }
        (self.at < self.length).then(|| self.piece[self.at])
    }

    fn consume(&mut self) {
        self.at += 1;
        self.is_broken |= self.ring.consume(1).is_err();
    }
}

/// The client's input.
struct InputRing(Producer);

impl Input for InputRing {
    fn push(&mut self, byte: u8) -> bool {
        self.0.write(&[byte]) == Ok(1)
    }
}

/// Without a client nothing is sent, and what comes is lost.
struct Nothing;

impl Output for Nothing {
    fn peek(&mut self) -> Option<u8> {
        None
    }
    fn consume(&mut self) {}
}

impl Input for Nothing {
    fn push(&mut self, _byte: u8) -> bool {
        false
    }
}
