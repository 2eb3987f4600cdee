//! The network card as smoltcp sees it: frames in memory of ours, moved by the driver.
//!
//! The rings and frames are ours and outlive the driver. A new driver asks us to attach again: the rings are made anew and everything outstanding is submitted once more. A frame that
//! the old driver had sent already goes out twice then, which every protocol above takes.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use libipc::ring::{self, Consumer, Descriptor, Doorbell, Producer, RingPart, ring_bytes};
use libipc::{
    CallError, Calls, Completed, Deadline, Handle, Instant, Mapping, MemoryObject, Notification,
    Pending, Protection, StartError,
};
use netd::watch::{Watch, Way};
use protocols::nic::{self, BUFFER_BYTES, Info};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

/// Entries of each ring.
const DEPTH: u16 = 128;
/// Buffers for received frames, and as many for frames to send.
const BUFFERS: usize = 96;
/// Bits of the doorbell.
const WORK_CAME: u64 = 1;
const ATTACH_AGAIN: u64 = 2;
/// What the driver may take for an answer; while it is being restarted the call waits.
const PATIENCE_MS: u64 = 30_000;
/// How long after a refusal the driver is asked again.
const PAUSE_NS: u64 = 200_000_000;

struct Rings {
    requests: Producer<RingPart>,
    sent: Consumer<RingPart>,
    buffers: Producer<RingPart>,
    received: Consumer<RingPart>,
}

/// The card.
pub struct Card {
    client: nic::Client,
    calls: Calls,
    rings_memory: Handle<MemoryObject>,
    rings_mapping: Arc<Mapping>,
    pool_memory: Handle<MemoryObject>,
    pool: Mapping,
    doorbell: Handle<Notification>,
    rings: Option<Rings>,
    incarnation: u64,
    free: Vec<usize>,
    /// Length of the frame in each sending buffer that the driver has.
    outstanding: Vec<Option<u32>>,
    inbox: VecDeque<Vec<u8>>,
    info: Option<Info>,
    asked: Option<Pending<Info, nic::Error>>,
    attaching: Option<Pending<(), nic::Error>>,
    /// A driver announced itself while an attachment was under way: it may be the one that has it, or the next.
    is_in_doubt: bool,
    try_at: Option<u64>,
    is_attached: bool,
    has_news: bool,
    /// What passes.
    watch: Watch,
    counts: Counts,
}

/// Frames that passed, and drivers.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Frames that came.
    pub received: u64,
    /// Frames that went out.
    pub sent: u64,
    /// Frames for which there was no room.
    pub dropped: u64,
    /// Frames that a dead driver had and the next one got.
    pub resubmitted: u64,
    /// Drivers that took over.
    pub drivers_replaced: u64,
}

impl Card {
    /// Makes the memory. The driver need not be there yet.
    ///
    /// # Errors
    /// The quota's.
    pub fn new(client: nic::Client, calls: Calls) -> Result<Self, StartError> {
        let rings_bytes = 4 * ring_bytes(DEPTH);
        let pool_bytes = 2 * BUFFERS * BUFFER_BYTES;
        let rings_memory = Handle::<libipc::object::MemoryObject>::create(rings_bytes as u64)?;
        let pool_memory =
            Handle::<libipc::object::MemoryObject>::create_contiguous(pool_bytes as u64)?;
        Ok(Self {
            client,
            calls,
            rings_mapping: Arc::new(rings_memory.map(0, rings_bytes, Protection::ReadWrite)?),
            rings_memory,
            pool: pool_memory.map(0, pool_bytes, Protection::ReadWrite)?,
            pool_memory,
            doorbell: Handle::<libipc::object::Notification>::create()?,
            rings: None,
            incarnation: 0,
            free: (BUFFERS..2 * BUFFERS).collect(),
            outstanding: vec![None; 2 * BUFFERS],
            inbox: VecDeque::new(),
            info: None,
            asked: None,
            attaching: None,
            is_in_doubt: false,
            try_at: None,
            is_attached: false,
            has_news: false,
            watch: Watch::default(),
            counts: Counts::default(),
        })
    }

    /// What the driver signals.
    pub fn doorbell(&self) -> &Handle<Notification> {
        &self.doorbell
    }

    /// The card's address, once the driver has told it.
    pub fn mac(&self) -> Option<[u8; 6]> {
        self.info.as_ref().map(|info| info.mac)
    }

    /// The card, for inspection.
    pub fn info(&self) -> Option<&Info> {
        self.info.as_ref()
    }

    /// What passed.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What passed told of TCP.
    pub fn segments(&self) -> netd::watch::Counts {
        self.watch.counts()
    }

    /// When the driver is asked again.
    pub fn next_try(&self) -> Option<u64> {
        self.try_at
    }

    /// Makes the rings anew, submits everything outstanding, and has the driver attach them.
    pub fn attach(&mut self) {
        // What the last driver gave back before it died came all right.
        self.take();
        self.try_at = None;
        self.is_attached = false;
        self.is_in_doubt = false;
        self.incarnation += 1;
        self.rings = self.make_rings();
        let Some(rings) = &mut self.rings else {
            libipc::error!("the rings can't be made");
            return;
        };
        for buffer in 0..BUFFERS {
            submit(&mut rings.buffers, buffer, BUFFER_BYTES as u32);
        }
        for (buffer, length) in self.outstanding.iter().enumerate() {
            if let Some(length) = length {
                submit(&mut rings.requests, buffer, *length);
                self.counts.resubmitted += 1;
            }
        }
        // Nobody sleeps on rings that nobody has attached.
        let _ = rings.buffers.publish();
        let _ = rings.requests.publish();
        let patience = Deadline::after_ms(PATIENCE_MS);
        if self.info.is_none() {
            self.ask();
        }
        match self.client.start_attach(
            &self.calls,
            patience,
            &self.rings_memory,
            DEPTH,
            &self.pool_memory,
            &self.doorbell,
        ) {
            Ok(pending) => self.attaching = Some(pending),
            Err(error) => {
                libipc::warn!("the card's driver can't be asked: {error}");
                self.try_at = Some(Instant::now().as_ns() + PAUSE_NS);
            }
        }
    }

    /// Asks the driver who it is and what it has.
    fn ask(&mut self) {
        if self.asked.is_none() {
            let patience = Deadline::after_ms(PATIENCE_MS);
            self.asked = self.client.start_info(&self.calls, patience).ok();
        }
    }

    fn make_rings(&self) -> Option<Rings> {
        let part = |index: usize| {
            let part = RingPart::new(
                self.rings_mapping.clone(),
                index * ring_bytes(DEPTH),
                ring_bytes(DEPTH),
            )?;
            ring::format_descriptors(&part, DEPTH, self.incarnation).ok()?;
            Some(part)
        };
        Some(Rings {
            requests: Producer::attach(part(0)?).ok()?,
            sent: Consumer::attach(part(1)?).ok()?,
            buffers: Producer::attach(part(2)?).ok()?,
            received: Consumer::attach(part(3)?).ok()?,
        })
    }

    /// A call of ours has ended.
    pub fn completed(&mut self, completed: Completed) {
        let id = completed.id();
        if let Some(pending) = self.asked.take_if(|pending| pending.id() == id) {
            match pending.finish(completed) {
                Ok(info) => self.told(info),
                Err(error) => {
                    libipc::warn!("the card's driver does not say who it is: {error}");
                    self.try_at = Some(Instant::now().as_ns() + PAUSE_NS);
                }
            }
        } else if let Some(pending) = self.attaching.take_if(|pending| pending.id() == id) {
            match pending.finish(completed) {
                Ok(()) => self.attached(),
                Err(error) => {
                    if !matches!(error, CallError::Failed(_)) {
                        libipc::warn!("the card's driver does not take the rings: {error}");
                    }
                    self.try_at = Some(Instant::now().as_ns() + PAUSE_NS);
                }
            }
        }
    }

    fn told(&mut self, info: Info) {
        let is_lost = self.is_attached && info.attached != self.incarnation;
        self.info = Some(info);
        if is_lost && self.attaching.is_none() {
            self.counts.drivers_replaced += 1;
            self.attach();
        }
    }

    fn attached(&mut self) {
        self.is_attached = true;
        // Whatever was published meanwhile has rung nobody.
        if self.client.ring().is_err() {
            libipc::error!("the card's driver is gone for good");
        }
        if self.is_in_doubt {
            self.is_in_doubt = false;
            self.ask();
        }
    }

    /// The driver signalled.
    pub fn notified(&mut self, bits: u64) {
        // `WORK_CAME` needs nothing here: the rings are looked at after every wake.
        if bits & ATTACH_AGAIN == 0 {
            return;
        }
        if self.attaching.is_some() {
            self.is_in_doubt = true;
        } else {
            libipc::info!("the card's driver is new: attaching again");
            self.counts.drivers_replaced += 1;
            self.attach();
        }
    }

    /// Takes what the driver gave, and has it attach again if it is time.
    pub fn tend(&mut self) {
        if self.try_at.is_some_and(|at| at <= Instant::now().as_ns()) && self.attaching.is_none() {
            self.attach();
        }
        self.take();
    }

    /// Takes what the driver gave.
    fn take(&mut self) {
        let Some(rings) = &mut self.rings else { return };
        let mut is_broken = false;
        loop {
            match rings.sent.read() {
                Ok(Some(descriptor)) => {
                    let buffer = descriptor.cookie as usize;
                    if self
                        .outstanding
                        .get_mut(buffer)
                        .is_some_and(|length| length.take().is_some())
                    {
                        self.free.push(buffer);
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    is_broken = true;
                    break;
                }
            }
        }
        loop {
            match rings.received.read() {
                Ok(Some(descriptor)) => {
                    let (buffer, length) = (descriptor.cookie as usize, descriptor.length as usize);
                    if buffer >= BUFFERS || length > BUFFER_BYTES {
                        continue;
                    }
                    let mut frame = vec![0; length];
                    if self.pool.read(buffer * BUFFER_BYTES, &mut frame) {
                        self.counts.received += 1;
                        self.watch.see(Way::In, &frame);
                        self.inbox.push_back(frame);
                    }
                    submit(&mut rings.buffers, buffer, BUFFER_BYTES as u32);
                    self.has_news = true;
                }
                Ok(None) => break,
                Err(_) => {
                    is_broken = true;
                    break;
                }
            }
        }
        let _ = rings.sent.release();
        let _ = rings.received.release();
        if is_broken {
            libipc::error!("the card's driver broke the rings");
            self.try_at = Some(Instant::now().as_ns() + PAUSE_NS);
            self.rings = None;
        }
    }

    /// Publishes what there is for the driver, wakes it if it sleeps, and goes to sleep itself.
    pub fn settle(&mut self) {
        let Some(rings) = &mut self.rings else { return };
        if core::mem::take(&mut self.has_news) {
            let wakes =
                [rings.requests.publish(), rings.buffers.publish()].contains(&Doorbell::Due);
            if wakes && self.is_attached && self.client.ring().is_err() {
                libipc::error!("the card's driver is gone for good");
            }
        }
        let asleep = [rings.sent.sleep(), rings.received.sleep()];
        if asleep.contains(&Ok(false)) {
            // Something came just before we said that we sleep: have ourselves woken.
            let _ = self.doorbell.signal(WORK_CAME);
        }
    }

    fn send(&mut self, buffer: usize, frame: &[u8]) {
        let Some(rings) = &mut self.rings else {
            self.counts.dropped += 1;
            self.free.push(buffer);
            return;
        };
        if frame.len() > BUFFER_BYTES || !self.pool.write(buffer * BUFFER_BYTES, frame) {
            self.counts.dropped += 1;
            self.free.push(buffer);
            return;
        }
        self.counts.sent += 1;
        self.watch.see(Way::Out, frame);
        self.outstanding[buffer] = Some(frame.len() as u32);
        submit(&mut rings.requests, buffer, frame.len() as u32);
        self.has_news = true;
    }
}

/// Puts a buffer into a ring, which has room for all of them.
fn submit(ring: &mut Producer<RingPart>, buffer: usize, length: u32) {
    let descriptor = Descriptor {
        offset: (buffer * BUFFER_BYTES) as u32,
        length,
        cookie: buffer as u64,
        ..Descriptor::default()
    };
    if ring.push(descriptor) != Ok(true) {
        libipc::warn!("no room for buffer {buffer} in its ring");
    }
}

/// A frame that came.
pub struct Received(Vec<u8>);

/// A place for a frame to send.
pub struct Place<'c> {
    card: &'c mut Card,
    buffer: usize,
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Place<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.card.send(self.buffer, &frame);
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Place<'a>;

    fn receive(&mut self, timestamp: smoltcp::time::Instant) -> Option<(Received, Place<'_>)> {
        if self.free.is_empty() {
            return None;
        }
        let frame = self.inbox.pop_front()?;
        Some((Received(frame), self.transmit(timestamp)?))
    }

    fn transmit(&mut self, _timestamp: smoltcp::time::Instant) -> Option<Place<'_>> {
        let buffer = self.free.pop()?;
        Some(Place { card: self, buffer })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit =
            usize::from(self.info.as_ref().map_or(1500, |info| info.mtu)) + 14;
        capabilities.max_burst_size = Some(BUFFERS);
        capabilities
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // A place that was not used goes back; one that was used is outstanding.
        let (card, buffer) = (&mut *self.card, self.buffer);
        if card.outstanding[buffer].is_none() && !card.free.contains(&buffer) {
            card.free.push(buffer);
        }
    }
}
