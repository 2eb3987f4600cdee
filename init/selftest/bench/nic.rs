//! A network card without hardware: a driver that speaks `protocols/nic` and has the other host in its own process.

use alloc::sync::Arc;
use alloc::vec;
use core::convert::Infallible;

use libipc::prelude::*;
use libipc::ring::{Consumer, Descriptor, Doorbell, Producer, RingFault, RingPart, ring_bytes};
use libipc::{Boot, Instant, Mapping, Protection, StartError, Wake};
use protocols::nic::{self, BUFFER_BYTES, Error, Info, Nic, Stats};

use crate::host::{Host, Wire};

/// The role.
pub const ROLE: &str = "nic";
/// Capsule slot of the client's doorbell.
const DOORBELL_SLOT: u16 = 0;
/// Bits of the client's doorbell.
const WORK_CAME: u64 = 1;
const ATTACH_AGAIN: u64 = 2;
/// The card's own address.
const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const MTU: u16 = 1500;

/// The client's side.
struct Client {
    requests: Consumer<RingPart>,
    sent: Producer<RingPart>,
    buffers: Consumer<RingPart>,
    received: Producer<RingPart>,
    pool: Mapping,
    doorbell: Handle<Notification>,
}

struct Driver {
    wire: Wire,
    capsule: Handle<Capsule>,
    client: Option<Client>,
    stats: Stats,
}

/// Drives the card.
pub fn drive(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let mut driver = Driver {
        wire: Wire::default(),
        capsule: boot.capsule()?,
        client: None,
        stats: Stats {
            received: 0,
            sent: 0,
            dropped: 0,
            interrupts: 0,
        },
    };
    let seed = boot.incarnation();
    let mut host = Host::new(&mut driver.wire, seed, Instant::now().as_ns());
    if let Ok(doorbell) = driver
        .capsule
        .take::<libipc::object::Notification>(DOORBELL_SLOT)
    {
        doorbell.signal(ATTACH_AGAIN)?;
    }
    let mut next = None;
    loop {
        match endpoint.receive(next.map(Instant::from_ns)) {
            Wake::Call(call) => nic::dispatch(&mut driver, call),
            Wake::Failed(error) => return Err(error.into()),
            _ => {}
        }
        loop {
            let was_broken = driver.take_frames().is_err();
            next = host.poll(&mut driver.wire, Instant::now().as_ns());
            let has_more = driver.give_frames();
            match (was_broken, has_more) {
                (false, Ok(true)) => {}
                (false, Ok(false)) => break,
                _ => {
                    libipc::warn!("the client broke its rings; it is dropped");
                    driver.client = None;
                    break;
                }
            }
        }
    }
}

impl Driver {
    /// Puts the client's frames on the wire.
    fn take_frames(&mut self) -> Result<(), RingFault> {
        let Some(client) = &mut self.client else {
            return Ok(());
        };
        while let Some(descriptor) = client.requests.read()? {
            let length = (descriptor.length as usize).min(BUFFER_BYTES);
            let mut frame = vec![0; length];
            if client.pool.read(descriptor.offset as usize, &mut frame) {
                self.wire.inward.push_back(frame);
                self.stats.sent += 1;
            }
            client.sent.push(Descriptor {
                cookie: descriptor.cookie,
                ..Descriptor::default()
            })?;
        }
        // The client waits for the completions, not for room among its requests.
        let _ = client.requests.release();
        Ok(())
    }

    /// Gives the client what is on the wire for it, and goes to sleep; true if there is more to do.
    fn give_frames(&mut self) -> Result<bool, RingFault> {
        let Some(client) = &mut self.client else {
            self.wire.outward.clear();
            return Ok(false);
        };
        while !self.wire.outward.is_empty() && client.received.room()? > 0 {
            let Some(buffer) = client.buffers.read()? else {
                break;
            };
            let Some(frame) = self.wire.outward.pop_front() else {
                break;
            };
            if client.pool.write(buffer.offset as usize, &frame) {
                client.received.push(Descriptor {
                    length: frame.len() as u32,
                    cookie: buffer.cookie,
                    ..Descriptor::default()
                })?;
                self.stats.received += 1;
            }
        }
        let _ = client.buffers.release();
        let wakes = [client.received.publish(), client.sent.publish()].contains(&Doorbell::Due);
        if wakes && client.doorbell.signal(WORK_CAME).is_err() {
            self.client = None;
            return Ok(false);
        }
        let asleep = (client.requests.sleep()?, client.buffers.sleep()?);
        // A ring that is not empty keeps nobody awake if there is nothing to put into its buffers.
        Ok(!asleep.0 || !asleep.1 && !self.wire.outward.is_empty())
    }
}

impl Nic for Driver {
    fn info(&mut self, _caller: Caller) -> Result<Info, Error> {
        Ok(Info {
            mac: MAC,
            mtu: MTU,
            link_up: true,
            driver: "bench-nic".into(),
            attached: self
                .client
                .as_ref()
                .map_or(0, |client| client.requests.incarnation()),
        })
    }

    fn stats(&mut self, _caller: Caller) -> Result<Stats, Error> {
        Ok(self.stats.clone())
    }

    fn attach(
        &mut self,
        _caller: Caller,
        rings: Handle<MemoryObject>,
        depth: u16,
        pool: Handle<MemoryObject>,
        doorbell: Handle<Notification>,
    ) -> Result<(), Error> {
        let refused = |_| Error::BadRing;
        let length = rings.figures().map_err(refused)?.length as usize;
        let mapping = rings.map(0, length, Protection::ReadWrite);
        let mapping = Arc::new(mapping.map_err(refused)?);
        let part = |index: usize| {
            RingPart::new(
                mapping.clone(),
                index * ring_bytes(depth),
                ring_bytes(depth),
            )
            .ok_or(Error::BadRing)
        };
        let pool_bytes = pool.figures().map_err(refused)?.length as usize;
        let pool = pool
            .map(0, pool_bytes, Protection::ReadWrite)
            .map_err(refused)?;
        // An empty slot can be cleared as well.
        let _ = self.capsule.clear(DOORBELL_SLOT);
        self.capsule
            .keep(DOORBELL_SLOT, &doorbell)
            .map_err(refused)?;
        self.client = Some(Client {
            requests: Consumer::attach(part(0)?).map_err(|_| Error::BadRing)?,
            sent: Producer::attach(part(1)?).map_err(|_| Error::BadRing)?,
            buffers: Consumer::attach(part(2)?).map_err(|_| Error::BadRing)?,
            received: Producer::attach(part(3)?).map_err(|_| Error::BadRing)?,
            pool,
            doorbell,
        });
        Ok(())
    }
}
