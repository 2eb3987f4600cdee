//! The card: start, both queues, and what comes back from them.
//!
//! Invariant: `cookies[head]` is what the client called the buffer of the chain that starts at `head`, valid while the device has that chain.

use driver_lib::virtio::{FEATURE_ACCESS_PLATFORM, FEATURE_VERSION_1, Status, Transport};
use driver_lib::virtqueue::{
    ChainId, Direction, Interrupts, MAX_SIZE, QueueFull, Segment, Virtqueue,
};
use driver_lib::{DmaAddr, DmaMemory, Mmio, Register};

use crate::error::{DeviceFault, StartError};
use crate::spec;

/// Vector of the receive queue, in the card's own table.
pub const RECEIVE_VECTOR: u16 = 0;
/// Vector of the transmit queue.
pub const TRANSMIT_VECTOR: u16 = 1;
/// Vectors that the driver uses.
pub const VECTORS: u16 = 2;

/// Bytes from one header to the next in the header memory.
const HEADER_STRIDE: usize = 16;

/// The card's registers.
#[derive(Debug)]
pub struct CardRegisters<M> {
    /// Common configuration.
    pub common: M,
    /// Configuration of the network device.
    pub device: M,
    /// Doorbells.
    pub notify: M,
    /// Bytes between doorbells, from the capability.
    pub notify_multiplier: u32,
}

/// Memory that driver and card share.
#[derive(Debug)]
pub struct CardMemory<D> {
    /// For the receive queue: [`Virtqueue::memory_bytes`].
    pub receive: D,
    /// For the transmit queue.
    pub transmit: D,
    /// For headers: [`HEADER_MEMORY_BYTES`].
    pub headers: D,
}

/// Bytes of header memory: a header of zeroes for sending, and a place for the headers of received frames.
pub const HEADER_MEMORY_BYTES: usize = 2 * HEADER_STRIDE;

/// A frame that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// What the client called the buffer.
    pub cookie: u64,
    /// Bytes of the frame.
    pub length: u32,
}

#[derive(Debug)]
struct Queue<D> {
    queue: Virtqueue<D>,
    doorbell: Register<u16>,
    number: u16,
    cookies: [u64; MAX_SIZE],
    lengths: [u32; MAX_SIZE],
}

/// A running card.
#[derive(Debug)]
pub struct Card<M, D> {
    transport: Transport<M>,
    device: M,
    notify: M,
    receive: Queue<D>,
    transmit: Queue<D>,
    headers: D,
    features: u64,
}

impl<M: Mmio, D: DmaMemory> Card<M, D> {
    /// Resets the card and starts it with queues of `depth` chains each (two descriptors a chain).
    pub fn start(
        registers: CardRegisters<M>,
        memory: CardMemory<D>,
        depth: u16,
    ) -> Result<Self, StartError> {
        let mut transport = Transport::new(registers.common);
        transport.reset()?;
        let wanted =
            spec::FEATURE_MAC | spec::FEATURE_STATUS | spec::FEATURE_MTU | FEATURE_ACCESS_PLATFORM;
        let features = transport.negotiate(wanted, FEATURE_VERSION_1)?;
        let mut start = |number, vector, memory| {
            let queue = Virtqueue::new(memory, 2 * depth);
            let offset = transport.start_queue(number, 2 * depth, vector, queue.areas())?;
            let at = usize::from(offset) * registers.notify_multiplier as usize;
            let doorbell = if at.is_multiple_of(2) {
                Register::at(at)
            } else {
                return Err(StartError::QueueUnavailable(number));
            };
            Ok(Queue {
                queue,
                doorbell,
                number,
                cookies: [0; MAX_SIZE],
                lengths: [0; MAX_SIZE],
            })
        };
        let receive = start(spec::RECEIVE_QUEUE, RECEIVE_VECTOR, memory.receive)?;
        let transmit = start(spec::TRANSMIT_QUEUE, TRANSMIT_VECTOR, memory.transmit)?;
        transport.start();
        Ok(Self {
            transport,
            device: registers.device,
            notify: registers.notify,
            receive,
            transmit,
            headers: memory.headers,
            features,
        })
    }

    /// The card's Ethernet address; a locally administered one if it has none.
    pub fn mac(&self) -> [u8; 6] {
        if self.features & spec::FEATURE_MAC == 0 {
            return [0x02, b'p', b'e', b'b', b'b', b'l'];
        }
        core::array::from_fn(|index| self.device.read(spec::CONFIG_MAC.nth(index, 1)))
    }

    /// Payload of a frame, at most.
    pub fn mtu(&self) -> u16 {
        if self.features & spec::FEATURE_MTU == 0 {
            1500
        } else {
            self.device.read(spec::CONFIG_MTU).clamp(68, 1500)
        }
    }

    /// Whether the link is up; a card that can't tell is taken to be connected.
    pub fn is_link_up(&self) -> bool {
        self.features & spec::FEATURE_STATUS == 0
            || self.device.read(spec::CONFIG_STATUS) & spec::STATUS_LINK_UP != 0
    }

    /// Whether the card asks for a reset.
    pub fn check_status(&self) -> Result<(), DeviceFault> {
        if self.transport.status().contains(Status::NEEDS_RESET) {
            Err(DeviceFault::NeedsReset)
        } else {
            Ok(())
        }
    }

    /// Chains that can still be placed for receiving.
    pub fn receive_room(&self) -> usize {
        self.receive.queue.free_descriptors() / 2
    }

    /// Chains that can still be placed for sending.
    pub fn transmit_room(&self) -> usize {
        self.transmit.queue.free_descriptors() / 2
    }

    /// Places a buffer to receive into.
    pub fn push_receive(
        &mut self,
        buffer: DmaAddr,
        length: u32,
        cookie: u64,
    ) -> Result<(), QueueFull> {
        // We read no received header (no offloads are agreed on), so all chains share one place for it.
        let header = self.headers.device_address().plus(HEADER_STRIDE as u64);
        self.receive
            .push(header, buffer, length, Direction::FromDevice, cookie)
    }

    /// Places a frame to send.
    pub fn push_transmit(
        &mut self,
        frame: DmaAddr,
        length: u32,
        cookie: u64,
    ) -> Result<(), QueueFull> {
        let header = self.headers.device_address();
        self.transmit
            .push(header, frame, length, Direction::ToDevice, cookie)
    }

    /// Shows the card the buffers placed since the last time; true if its doorbell is to be rung.
    pub fn publish_receive(&mut self) -> bool {
        self.receive.queue.publish()
    }

    /// Shows the card the frames placed since the last time; true if its doorbell is to be rung.
    pub fn publish_transmit(&mut self) -> bool {
        self.transmit.queue.publish()
    }

    /// Rings the doorbell of the receive queue.
    pub fn ring_receive(&mut self) {
        self.notify
            .write(self.receive.doorbell, self.receive.number);
    }

    /// Rings the doorbell of the transmit queue.
    pub fn ring_transmit(&mut self) {
        self.notify
            .write(self.transmit.doorbell, self.transmit.number);
    }

    /// Takes the next frame that came.
    pub fn pop_received(&mut self) -> Result<Option<Received>, DeviceFault> {
        let Some(used) = self.receive.queue.pop()? else {
            return Ok(None);
        };
        let (cookie, room) = self.receive.of(used.chain);
        match used.written.checked_sub(spec::HEADER_BYTES) {
            Some(length) if length <= room => Ok(Some(Received { cookie, length })),
            _ => Err(DeviceFault::ReceivedLength(used.written)),
        }
    }

    /// Takes the cookie of the next frame that was sent.
    pub fn pop_transmitted(&mut self) -> Result<Option<u64>, DeviceFault> {
        let Some(used) = self.transmit.queue.pop()? else {
            return Ok(None);
        };
        Ok(Some(self.transmit.of(used.chain).0))
    }

    /// Asks for interrupts of both queues, or for none. After asking, look into both once more before waiting.
    pub fn set_interrupts(&mut self, receive: Interrupts, transmit: Interrupts) {
        self.receive.queue.set_interrupts(receive);
        self.transmit.queue.set_interrupts(transmit);
    }
}

impl<D: DmaMemory> Queue<D> {
    fn push(
        &mut self,
        header: DmaAddr,
        data: DmaAddr,
        length: u32,
        direction: Direction,
        cookie: u64,
    ) -> Result<(), QueueFull> {
        let ChainId(head) = self.queue.push(&[
            Segment {
                address: header,
                length: spec::HEADER_BYTES,
                direction,
            },
            Segment {
                address: data,
                length,
                direction,
            },
        ])?;
        self.cookies[usize::from(head)] = cookie;
        self.lengths[usize::from(head)] = length;
        Ok(())
    }

    fn of(&self, ChainId(head): ChainId) -> (u64, u32) {
        (
            self.cookies[usize::from(head)],
            self.lengths[usize::from(head)],
        )
    }
}
