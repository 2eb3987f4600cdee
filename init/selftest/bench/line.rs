//! The far end of a serial line: the benchmarks type on it and read what a terminal writes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use libipc::byte_ring::{Broken, Consumer, Producer};
use libipc::prelude::*;
use libipc::{Endpoint, Instant, Protection, StartError, Wake};
use protocols::serial::{self, Error, Info, Serial};

/// What is on the other side is dead if it is silent for so long.
const PATIENCE_NS: u64 = 60_000_000_000;
/// The bit of the terminal's doorbell that says that something was typed.
const INPUT_CAME: u64 = 1;

/// The line.
pub struct Line {
    endpoint: Endpoint,
    socket: Socket,
    /// What was written since it was last waited for.
    unread: Vec<u8>,
}

/// Where a terminal attaches.
#[derive(Default)]
struct Socket {
    rings: Option<Rings>,
}

struct Rings {
    output: Consumer,
    input: Producer,
    doorbell: Handle<Notification>,
}

impl Line {
    /// Waits until a terminal has attached.
    pub fn open(endpoint: Endpoint) -> Result<Self, StartError> {
        let mut line = Self {
            endpoint,
            socket: Socket::default(),
            unread: Vec::new(),
        };
        while line.socket.rings.is_none() {
            line.wait()?;
        }
        Ok(line)
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) -> Result<(), StartError> {
        let rings = self.socket.rings()?;
        let written = rings.input.write(text.as_bytes()).map_err(broken)?;
        if written != text.len() {
            return Err(StartError::Other("nobody reads what is typed".into()));
        }
        if rings.input.must_wake() {
            rings.doorbell.signal(INPUT_CAME)?;
        }
        Ok(())
    }

    /// Waits until `text` was written.
    pub fn wait_for(&mut self, text: &str) -> Result<(), StartError> {
        loop {
            let mut piece = [0; 256];
            let rings = self.socket.rings()?;
            let count = rings.output.read(&mut piece).map_err(broken)?;
            self.unread.extend_from_slice(&piece[..count]);
            let mut places = self.unread.windows(text.len());
            if let Some(place) = places.position(|found| found == text.as_bytes()) {
                self.unread.drain(..place + text.len());
                return Ok(());
            }
            if count == 0 {
                rings.output.sleep();
                if rings.output.available().map_err(broken)? == 0 {
                    self.wait()?;
                }
            }
        }
    }

    /// Waits for the next thing, and serves it if it is a call.
    fn wait(&mut self) -> Result<(), StartError> {
        let until = Instant::from_ns(Instant::now().as_ns() + PATIENCE_NS);
        match self.endpoint.receive(until) {
            Wake::Call(call) => serial::dispatch(&mut self.socket, call),
            Wake::Deadline(_) => return Err(StartError::Other("the terminal is silent".into())),
            Wake::Failed(error) => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }
}

fn broken(_: Broken) -> StartError {
    StartError::Other("the terminal broke its rings".into())
}

impl Socket {
    fn rings(&mut self) -> Result<&mut Rings, StartError> {
        self.rings
            .as_mut()
            .ok_or_else(|| StartError::Other("no terminal is attached".into()))
    }
}

impl Serial for Socket {
    fn info(&mut self, _caller: Caller) -> Result<Info, Error> {
        Ok(Info {
            baud: 0,
            fifo_bytes: 0,
        })
    }

    fn attach(
        &mut self,
        _caller: Caller,
        memory: Handle<MemoryObject>,
        doorbell: Handle<Notification>,
    ) -> Result<(), Error> {
        let length = memory.figures().map_err(|_| Error::BadRing)?.length as usize;
        let mapping = memory
            .map(0, length, Protection::ReadWrite)
            .map_err(|_| Error::BadRing)?;
        let (mapping, half) = (Arc::new(mapping), length / 2);
        let output = Consumer::open(mapping.clone(), 0, half).map_err(|Broken| Error::BadRing)?;
        let input = Producer::open(mapping, half, half).map_err(|Broken| Error::BadRing)?;
        self.rings = Some(Rings {
            output,
            input,
            doorbell,
        });
        Ok(())
    }
}
