//! What travels beside the words of a message: bytes of the page, and handles.

use abi::{
    Handle, MessageInfo, Outcome, Rights, message::MAX_HANDLES, message::TRANSFER_OFFSET, message::TransferArea,
};

use crate::handle::{Held, Reference};
use crate::mem::frame::Frame;
use crate::object::Process;
use crate::{Kernel, Machine};

/// Handles of a message, checked and not yet taken from their owner.
#[derive(Clone, Copy, Default)]
pub struct Parcel {
    items: [Option<Item>; MAX_HANDLES],
}

#[derive(Clone, Copy)]
struct Item {
    handle: Handle,
    held: Held,
    is_moved: bool,
}

/// Word of the transfer area that describes handle `index`.
const fn descriptor(index: usize) -> usize {
    TRANSFER_OFFSET / 8 + index
}

const _: () = assert!(core::mem::offset_of!(TransferArea, handles) == 0);

impl<M: Machine> Kernel<M> {
    /// Checks the shape of a message and every handle in it. Has no effect.
    pub fn check_message(&self, process: &Process, info: MessageInfo, page: u64) -> Result<Parcel, Outcome> {
        if !info.is_valid() {
            return Err(Outcome::BadArgument);
        }
        let mut parcel = Parcel::default();
        for index in 0..info.handles() {
            let word = self.machine().words(Frame::new(page))[descriptor(index)].get();
            let handle = Handle(word as u32);
            let is_moved = match (word >> 48) as u8 {
                0 => false,
                1 => true,
                _ => return Err(Outcome::BadArgument),
            };
            let mut held = self.look_up_any(process, handle)?;
            let needed = if is_moved { Rights::TRANSFER } else { Rights::TRANSFER | Rights::DUPLICATE };
            if !held.rights.contains(needed) {
                return Err(Outcome::NoRights);
            }
            let is_twice = parcel.items[..index]
                .iter()
                .flatten()
                .any(|earlier| earlier.handle == handle && (earlier.is_moved || is_moved));
            if is_twice {
                return Err(Outcome::BadArgument);
            }
            held.rights &= Rights::from_bits_retain((word >> 32) as u16);
            parcel.items[index] = Some(Item { handle, held, is_moved });
        }
        Ok(parcel)
    }

    /// Counts the handles of a checked message into `places`, and closes those that are moved.
    pub fn take_parcel(&self, process: &Process, parcel: &Parcel, places: &[Reference; MAX_HANDLES]) {
        for (item, place) in parcel.items.iter().zip(places) {
            place.set(item.map(|item| item.held));
            if let Some(item) = item {
                self.acquire(item.held);
                if item.is_moved {
                    // It was there a moment ago, and nothing came between.
                    let _ = self.close_handle(process, item.handle);
                }
            }
        }
    }

    /// Puts handles into the receiving process's table and their descriptors into its page. Those that find no slot are let go. Returns how many
    /// arrived.
    pub fn deliver_handles(&self, process: &Process, places: &[Reference; MAX_HANDLES], page: u64) -> usize {
        let mut count = 0;
        for place in places {
            let Some(held) = place.take() else { break };
            let Ok(handle) = self.insert(process, held) else {
                self.release(held);
                continue;
            };
            let word = u64::from(handle.0) | u64::from(held.rights.bits()) << 32 | (held.kind as u64) << 56;
            self.machine().words(Frame::new(page))[descriptor(count)].set(word);
            count += 1;
        }
        count
    }

    /// Lets go of handles that will not arrive.
    pub fn drop_handles(&self, places: &[Reference; MAX_HANDLES]) {
        for place in places {
            if let Some(held) = place.take() {
                self.release(held);
            }
        }
    }

    /// Copies the bytes of a message that do not fit into registers.
    pub fn copy_bytes(&self, info: MessageInfo, from: u64, to: u64) {
        if info.length() > abi::message::REGISTER_BYTES && from != to {
            self.machine().copy(Frame::new(from), Frame::new(to), info.length());
        }
    }
}
