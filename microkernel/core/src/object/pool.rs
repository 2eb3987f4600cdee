//! Frames of objects.
//!
//! A frame holds objects of one kind, paid for by one quota. Its first 64 bytes say which, and which places are taken. Each quota
//! keeps its own list of frames with room, for each kind, guarded by the quota's pool lock.

use core::cell::Cell;
use core::mem::size_of;
use core::sync::atomic::Ordering;

use abi::{Outcome, layout::PAGE_SIZE};
use zerocopy::FromBytes;

use super::{Header, Name, Object, Quota, Resource};
use crate::mem::frame::Frame;
use crate::sync::Order;
use crate::{Kernel, Machine};

/// The head of a frame of objects.
#[derive(FromBytes)]
#[repr(C, align(64))]
struct PoolFrame {
    /// A bit for each place that is taken.
    taken: Cell<u64>,
    /// Neighbours in the quota's list of frames with room, by number.
    next: Cell<u64>,
    previous: Cell<u64>,
}

/// Places for `T` in a frame.
const fn places<T>() -> u32 {
    ((PAGE_SIZE - size_of::<PoolFrame>()) / size_of::<T>()) as u32
}

/// Bits of `taken` when every place is.
const fn full<T>() -> u64 {
    (1 << places::<T>()) - 1
}

impl<M: Machine> Kernel<M> {
    /// A new object of type `T`, all zero but for its header, paid for by `quota`. It has no references yet.
    pub fn allocate<T: Object>(&self, quota: Name<Quota>) -> Result<(Name<T>, &T), Outcome> {
        let payer = self.at(quota);
        let _guard = payer.pool_lock.take(self.machine(), Order::Pool);
        let list = &payer.partial[T::KIND as usize];
        if list.get() == 0 {
            let frame = self.take_charged_frame(payer)?;
            self.push_pool_frame(list, frame);
            payer.header.references.fetch_add(1, Ordering::Relaxed);
        }
        let frame = Frame::new(list.get());
        let pool: &PoolFrame = self.machine().object(frame.at(0));
        let place = pool.taken.get().trailing_ones();
        pool.taken.set(pool.taken.get() | 1 << place);
        if pool.taken.get() == full::<T>() {
            self.remove_pool_frame(list, frame);
        }

        let offset = size_of::<PoolFrame>() + place as usize * size_of::<T>();
        let name = Name::<T>::new(frame.at(offset as u64), self.next_generation());
        self.machine().words(frame)[offset / 8..(offset + size_of::<T>()) / 8].iter().for_each(|word| word.set(0));
        let object = self.at(name);
        let header = object.header();
        header.name.set(name.bits());
        header.kind.set(T::KIND as u32);
        header.quota.set(quota);
        header.home.store(self.cpu() as u32, Ordering::Relaxed);
        self.shared().objects_alive.fetch_add(1, Ordering::Relaxed);
        Ok((name, object))
    }

    /// Ends an object that nothing refers to. Its frame goes back when it was the last in it.
    pub fn free<T: Object>(&self, name: Name<T>) {
        let header: &Header = self.at(name).header();
        let quota = header.quota.get();
        header.name.set(0);
        self.shared().objects_alive.fetch_sub(1, Ordering::Relaxed);

        let frame = name.location().frame();
        let offset = (name.location().address() - frame.address()) as usize;
        let place = (offset - size_of::<PoolFrame>()) / size_of::<T>();
        let payer = self.at(quota);
        let is_empty = {
            let _guard = payer.pool_lock.take(self.machine(), Order::Pool);
            let list = &payer.partial[T::KIND as usize];
            let pool: &PoolFrame = self.machine().object(frame.at(0));
            if pool.taken.get() == full::<T>() {
                self.push_pool_frame(list, frame);
            }
            pool.taken.set(pool.taken.get() & !(1 << place));
            let is_empty = pool.taken.get() == 0;
            if is_empty {
                self.remove_pool_frame(list, frame);
            }
            is_empty
        };
        if is_empty {
            self.give_charged_frame(quota, frame);
            self.unpin(quota);
        }
    }

    /// A cleared frame, charged to `quota`.
    pub fn take_charged_frame(&self, quota: &Quota) -> Result<Frame, Outcome> {
        quota.charge(Resource::Frames, 1)?;
        self.take_frame().ok_or_else(|| {
            // Whoever asks uses the quota, so this can't be what a closed one was waiting for.
            quota.give_back(Resource::Frames, 1);
            Outcome::NoMemory
        })
    }

    /// Gives back a frame that was charged to `quota`.
    pub fn give_charged_frame(&self, quota: Name<Quota>, frame: Frame) {
        self.give_frame(frame);
        self.uncharge(quota, Resource::Frames, 1);
    }

    fn push_pool_frame(&self, list: &Cell<u64>, frame: Frame) {
        let pool: &PoolFrame = self.machine().object(frame.at(0));
        pool.previous.set(0);
        pool.next.set(list.get());
        if list.get() != 0 {
            let first: &PoolFrame = self.machine().object(Frame::new(list.get()).at(0));
            first.previous.set(frame.number());
        }
        list.set(frame.number());
    }

    fn remove_pool_frame(&self, list: &Cell<u64>, frame: Frame) {
        let pool: &PoolFrame = self.machine().object(frame.at(0));
        let (next, previous) = (pool.next.get(), pool.previous.get());
        if previous == 0 {
            list.set(next);
        } else {
            let before: &PoolFrame = self.machine().object(Frame::new(previous).at(0));
            before.next.set(next);
        }
        if next != 0 {
            let after: &PoolFrame = self.machine().object(Frame::new(next).at(0));
            after.previous.set(previous);
        }
    }
}
