//! The network card's process: the card on one side, the client's rings on the other.
//!
//! The client owns the rings and the frames. After a restart the new driver knows nothing of what the old one had taken, so it asks the client (whose doorbell is in the
//! capsule) to attach again; the client then submits everything outstanding.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use core::convert::Infallible;

use driver_lib::real::{MappedDma, MappedRegisters};
use driver_lib::virtqueue::{Interrupts, Virtqueue};
use driver_lib::{DmaAddr, granted};
use libipc::prelude::*;
use libipc::ring::{Consumer, Descriptor, Doorbell, Producer, RingPart, ring_bytes};
use libipc::{Boot, Protection, StartError, Wake, fault};
use protocols::nic::{self, BUFFER_BYTES, Error, Info, Nic, Stats};
use protocols::pci::{DeviceConfig, VirtioRegion};
use virtio_net::{Card, CardMemory, CardRegisters, DeviceFault, HEADER_MEMORY_BYTES};

/// Chains of each queue.
const DEPTH: u16 = 64;
/// Kinds of regions (virtio 1.2 §4.1.4).
const COMMON: u8 = 1;
const NOTIFY: u8 = 2;
const DEVICE: u8 = 4;
/// Capsule slot of the client's doorbell.
const DOORBELL_SLOT: u16 = 0;
/// Bits of the client's doorbell.
const WORK_CAME: u64 = 1;
const ATTACH_AGAIN: u64 = 2;
/// Descriptors taken from one ring before the others are looked at.
const BATCH: usize = 64;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let config: DeviceConfig = boot.config()?;
    let io_space: Handle<IoSpace> = boot.handle("iospace")?;
    let signal = Handle::<Notification>::create()?;
    let mut interrupts: Vec<Handle<Interrupt>> = Vec::new();
    for index in 0..config.interrupts.min(virtio_net::card::VECTORS) {
        let interrupt: Handle<Interrupt> = boot.handle(&format!("interrupt{index}"))?;
        interrupt.bind(&signal, index as u8)?;
        interrupts.push(interrupt);
    }
    endpoint.bind(&signal, 0)?;
    let card = start(&mut boot, &config, &io_space)?;
    libipc::info!(
        "card {:02x?}, link {}",
        card.mac(),
        if card.is_link_up() { "up" } else { "down" }
    );
    let mut driver = Driver {
        card,
        io_space,
        capsule: boot.capsule()?,
        client: None,
        stats: Stats {
            received: 0,
            sent: 0,
            dropped: 0,
            interrupts: 0,
        },
    };
    driver.announce();

    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => nic::dispatch(&mut driver, call),
            Wake::Notified(_) => driver.interrupted(),
            Wake::Rung(_) => {}
            Wake::Failed(error) => return Err(error.into()),
            Wake::Closed(_) | Wake::Completed(_) | Wake::Cancelled(_) | Wake::Deadline(_) => {}
        }
        if let Err(fault) = driver.move_frames() {
            // The card can't be trusted any more; the next incarnation resets it.
            return Err(StartError::Other(format!("the card faulted: {fault:?}")));
        }
    }
}

/// Maps the card and starts it.
fn start(
    boot: &mut Boot,
    config: &DeviceConfig,
    io_space: &Handle<IoSpace>,
) -> Result<Card<MappedRegisters, MappedDma>, StartError> {
    let other = |text: String| StartError::Other(text);
    let region = |kind: u8| {
        let found = config
            .function
            .virtio
            .iter()
            .find(|region| region.kind == kind);
        found.ok_or_else(|| other(format!("the card has no region of kind {kind}")))
    };
    let (common, notify, device) = (region(COMMON)?, region(NOTIFY)?, region(DEVICE)?);
    let mut windows: Vec<(u8, MappedRegisters)> = Vec::new();
    let mut part = |region: &VirtioRegion| {
        if windows.iter().all(|(bar, _)| *bar != region.bar) {
            let memory = boot.memory(&format!("bar{}", region.bar))?;
            windows.push((region.bar, granted::registers(&memory)?));
        }
        let window = windows.iter().find(|(bar, _)| *bar == region.bar);
        let part = window.and_then(|(_, registers)| {
            registers.part(region.offset as usize, region.length as usize)
        });
        part.ok_or_else(|| other(format!("region {} lies outside of its window", region.kind)))
    };
    let registers = CardRegisters {
        common: part(common)?,
        device: part(device)?,
        notify: part(notify)?,
        notify_multiplier: notify.notify_multiplier,
    };
    let queue = Virtqueue::<MappedDma>::memory_bytes(2 * DEPTH);
    let memory = granted::dma(io_space, 2 * queue + HEADER_MEMORY_BYTES)?;
    let (receive, rest) = memory.split(queue);
    let (transmit, headers) = rest.split(queue);
    Card::start(
        registers,
        CardMemory {
            receive,
            transmit,
            headers,
        },
        DEPTH,
    )
    .map_err(|error| other(format!("the card does not start: {error:?}")))
}

/// The client's side: four rings, and frames at device addresses.
struct Client {
    requests: Consumer<RingPart>,
    sent: Producer<RingPart>,
    buffers: Consumer<RingPart>,
    received: Producer<RingPart>,
    pool: DmaAddr,
    pool_bytes: u64,
    doorbell: Handle<Notification>,
}

struct Driver {
    card: Card<MappedRegisters, MappedDma>,
    io_space: Handle<IoSpace>,
    capsule: Handle<Capsule>,
    client: Option<Client>,
    stats: Stats,
}

impl Driver {
    /// Tells the client of the last incarnation that it has to attach again.
    fn announce(&mut self) {
        if let Ok(doorbell) = self
            .capsule
            .take::<libipc::object::Notification>(DOORBELL_SLOT)
            && let Err(error) = doorbell.signal(ATTACH_AGAIN)
        {
            libipc::warn!("the last client can't be told: {error}");
        }
    }

    fn interrupted(&mut self) {
        self.stats.interrupts += 1;
    }

    /// Moves what can be moved in all four directions, until there is nothing left; then asks to be woken.
    fn move_frames(&mut self) -> Result<(), DeviceFault> {
        self.card.check_status()?;
        loop {
            self.card
                .set_interrupts(Interrupts::Unwanted, Interrupts::Unwanted);
            while self.move_once()? {}
            self.card
                .set_interrupts(Interrupts::Wanted, Interrupts::Wanted);
            let is_asleep = match &self.client {
                // Nothing to lose: without a client the card has no buffers.
                None => true,
                // What the card has no room for waits until it is done with something, which interrupts us.
                Some(client) => {
                    let requests =
                        client.requests.sleep() == Ok(true) || self.card.transmit_room() == 0;
                    let buffers =
                        client.buffers.sleep() == Ok(true) || self.card.receive_room() == 0;
                    requests && buffers
                }
            };
            if is_asleep && !self.move_once()? {
                return Ok(());
            }
        }
    }

    /// One round through the rings; false if there was nothing to do.
    fn move_once(&mut self) -> Result<bool, DeviceFault> {
        let Some(client) = &mut self.client else {
            return Ok(false);
        };
        let mut moved = false;
        let fine = take_requests(&mut self.card, client, &mut moved)
            && take_buffers(&mut self.card, client, &mut moved);
        let came = give_received(&mut self.card, client, &mut self.stats)?;
        let went = give_sent(&mut self.card, client, &mut self.stats)?;
        if (came || went) && client.doorbell.signal(WORK_CAME).is_err() || !fine {
            libipc::warn!("the client broke its rings; it is dropped");
            self.client = None;
            return Ok(false);
        }
        Ok(moved || came || went)
    }
}

/// The device address of a descriptor's buffer; `None` if it is not inside of the pool.
fn address_of(client: &Client, descriptor: &Descriptor) -> Option<DmaAddr> {
    let end = u64::from(descriptor.offset) + u64::from(descriptor.length);
    (end <= client.pool_bytes && descriptor.length as usize <= BUFFER_BYTES)
        .then(|| client.pool.plus(u64::from(descriptor.offset)))
}

/// Frames to send, from the client to the card. False if the client broke its ring.
fn take_requests(
    card: &mut Card<MappedRegisters, MappedDma>,
    client: &mut Client,
    moved: &mut bool,
) -> bool {
    for _ in 0..BATCH.min(card.transmit_room()) {
        let descriptor = match client.requests.read() {
            Ok(Some(descriptor)) => descriptor,
            Ok(None) => break,
            Err(_) => return false,
        };
        let Some(address) = address_of(client, &descriptor) else {
            return false;
        };
        if card
            .push_transmit(address, descriptor.length, descriptor.cookie)
            .is_err()
        {
            break;
        }
        *moved = true;
    }
    if card.publish_transmit() {
        fault::point("available_written");
        card.ring_transmit();
    }
    // The client's completions tell it about room; it does not wait for the requests themselves.
    let _ = client.requests.release();
    true
}

/// Empty buffers, from the client to the card. False if the client broke its ring.
fn take_buffers(
    card: &mut Card<MappedRegisters, MappedDma>,
    client: &mut Client,
    moved: &mut bool,
) -> bool {
    for _ in 0..BATCH.min(card.receive_room()) {
        let descriptor = match client.buffers.read() {
            Ok(Some(descriptor)) => descriptor,
            Ok(None) => break,
            Err(_) => return false,
        };
        let Some(address) = address_of(client, &descriptor) else {
            return false;
        };
        if card
            .push_receive(address, descriptor.length, descriptor.cookie)
            .is_err()
        {
            break;
        }
        *moved = true;
    }
    if card.publish_receive() {
        card.ring_receive();
    }
    let _ = client.buffers.release();
    true
}

/// Frames that came, from the card to the client; true if the client is to be woken.
fn give_received(
    card: &mut Card<MappedRegisters, MappedDma>,
    client: &mut Client,
    stats: &mut Stats,
) -> Result<bool, DeviceFault> {
    let mut any = false;
    while client.received.room().is_ok_and(|room| room > 0) {
        let Some(frame) = card.pop_received()? else {
            break;
        };
        fault::point("used_read");
        let descriptor = Descriptor {
            length: frame.length,
            cookie: frame.cookie,
            ..Descriptor::default()
        };
        any |= client.received.push(descriptor).is_ok();
        stats.received += 1;
    }
    Ok(any && client.received.publish() == Doorbell::Due)
}

/// Frames that were sent, from the card to the client; true if the client is to be woken.
fn give_sent(
    card: &mut Card<MappedRegisters, MappedDma>,
    client: &mut Client,
    stats: &mut Stats,
) -> Result<bool, DeviceFault> {
    let mut any = false;
    while client.sent.room().is_ok_and(|room| room > 0) {
        let Some(cookie) = card.pop_transmitted()? else {
            break;
        };
        any |= client
            .sent
            .push(Descriptor {
                cookie,
                ..Descriptor::default()
            })
            .is_ok();
        stats.sent += 1;
    }
    Ok(any && client.sent.publish() == Doorbell::Due)
}

impl Nic for Driver {
    fn info(&mut self, _caller: Caller) -> Result<Info, Error> {
        Ok(Info {
            mac: self.card.mac(),
            mtu: self.card.mtu(),
            link_up: self.card.is_link_up(),
            driver: "virtio-net".into(),
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
        if self.client.is_some() {
            // Buffers of the earlier attachment are in the card, which forgets them only when it is reset. That is what a new incarnation does first; the call is
            // repeated to it.
            libipc::info!("the client attaches anew: starting over");
            libipc::exit(1);
        }
        let refused = |_| Error::BadRing;
        let length = rings.figures().map_err(refused)?.length as usize;
        let mapping = Arc::new(
            rings
                .map(0, length, Protection::ReadWrite)
                .map_err(refused)?,
        );
        let part = |index: usize| {
            RingPart::new(
                mapping.clone(),
                index * ring_bytes(depth),
                ring_bytes(depth),
            )
            .ok_or(Error::BadRing)
        };
        let pool_bytes = pool.figures().map_err(refused)?.length;
        let pool = self
            .io_space
            .map(&pool, 0, pool_bytes, Protection::ReadWrite)
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
            pool: DmaAddr(pool.0),
            pool_bytes,
            doorbell,
        });
        Ok(())
    }
}
