//! Rings of descriptors in shared memory, one producer and one consumer each (block, network, audio). Streams of bytes have [`byte_ring`](crate::byte_ring).
//!
//! Neither end believes the other. What is read from the memory is a claim until it was checked; a claim that can't be true is a [`RingFault`], which
//! ends the use of that ring, never the process. A doorbell is due only when the other end sleeps: [`Doorbell::Due`].
//!
//! | offset | what | written by |
//! |---|---|---|
//! | 0 | magic (u32), version (u32), capacity (u32), zero (u32), incarnation (u64) | whoever owns the memory, before it is shared |
//! | 64 | head: things ever put in (u32); 68: the producer sleeps (u32) | the producer (both ends clear the flag) |
//! | 128 | tail: things ever taken out (u32); 132: the consumer sleeps (u32) | the consumer (both ends clear the flag) |
//! | 192 | descriptors of 16 bytes: `capacity` of them, a power of two | the producer |
//!
//! Indices run freely and wrap at 2³²; `head − tail` is what is in the ring. An end that is restarted goes on where its own index stands.

mod descriptor;
mod end;
mod memory;
#[cfg(test)]
mod tests;

pub use descriptor::{Consumer, Descriptor, Producer};
pub use end::{Doorbell, RingFault};
pub use memory::{RingMemory, RingPart};

/// Bytes in front of the descriptors or bytes.
pub const HEADER_BYTES: usize = 192;
/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: usize = 16;

/// Bytes of a descriptor ring of `depth` entries: what to add to get from one ring to the next in the same memory.
pub const fn ring_bytes(depth: u16) -> usize {
    (HEADER_BYTES + depth as usize * DESCRIPTOR_BYTES).next_multiple_of(64)
}

/// Makes a descriptor ring. Only its owner does, before anybody else uses it.
///
/// # Errors
/// `BadHeader` if `depth` is no power of two or the memory is too small.
pub fn format_descriptors<M: RingMemory>(
    memory: &M,
    depth: u16,
    incarnation: u64,
) -> Result<(), RingFault> {
    end::format(memory, u32::from(depth), incarnation)
}
