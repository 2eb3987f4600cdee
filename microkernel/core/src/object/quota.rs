//! Quota: how much of everything its processes may have.
//!
//! Prepaid: a split moves the limit to the child, so a charge touches one counter. Counters are atomic, because processes of one
//! quota may live on several CPUs. Invariants: `used <= limit` for each; the limits of all quotas add up to the machine's.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Outcome;
use zerocopy::FromBytes;

use super::{Head, Header, KIND_COUNT, Link, Name, Process, lists};
use crate::sync::{Lock, Order};
use crate::{Kernel, Machine};

/// What a quota counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Resource {
    /// Frames of memory, for whatever purpose.
    Frames = 0,
    /// Handles in tables and capsules.
    Handles = 1,
    /// Threads.
    Threads = 2,
}

/// How many resources there are.
pub const RESOURCES: usize = 3;

/// How deep quotas may be nested. Settling one can settle those above it, each step inside the last.
const MAX_DEPTH: u32 = 12;

impl Resource {
    /// All of them.
    pub const ALL: [Self; RESOURCES] = [Self::Frames, Self::Handles, Self::Threads];

    /// What somebody learns who has none left.
    pub const fn refusal(self) -> Outcome {
        match self {
            Self::Frames => Outcome::QuotaFrames,
            Self::Handles => Outcome::QuotaHandles,
            Self::Threads => Outcome::QuotaThreads,
        }
    }
}

/// The object.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Quota {
    /// The header. `is_dead` says that it was closed.
    pub header: Header,
    limits: [AtomicU64; RESOURCES],
    used: [AtomicU64; RESOURCES],
    /// 1 once its limits went back to its parent.
    is_settled: AtomicU32,
    /// Guards `partial` and the headers of the frames in those lists.
    pub pool_lock: Lock,
    /// For each kind the first frame of objects with room, by number.
    pub partial: [Cell<u64>; KIND_COUNT],
    /// Quotas above it.
    pub depth: Cell<u32>,
    /// Whence its limits came. It and all below are guarded by the tree's lock.
    pub parent: Cell<Name<Quota>>,
    /// Quotas split from this one.
    pub children: Head<Children>,
    siblings: Link,
    /// Processes that live under it.
    pub processes: Head<Processes>,
}

lists! {
    /// Quotas with the same parent.
    Children of Quota by siblings;
    /// Processes under one quota.
    Processes of Process by under_quota;
}

impl Quota {
    /// The limit of a resource.
    pub fn limit(&self, resource: Resource) -> u64 {
        self.limits[resource as usize].load(Ordering::Relaxed)
    }

    /// How much of it is used.
    pub fn used(&self, resource: Resource) -> u64 {
        self.used[resource as usize].load(Ordering::Relaxed)
    }

    /// Sets the limit, at its making.
    pub fn set_limit(&self, resource: Resource, amount: u64) {
        self.limits[resource as usize].store(amount, Ordering::Relaxed);
    }

    /// Takes `amount`, or nothing and says what is short.
    pub fn charge(&self, resource: Resource, amount: u64) -> Result<(), Outcome> {
        let index = resource as usize;
        self.used[index]
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
                used.checked_add(amount).filter(|&sum| sum <= self.limits[index].load(Ordering::Relaxed))
            })
            .map(|_| ())
            .map_err(|_| resource.refusal())
    }

    /// Gives back what was charged. Use [`Kernel::uncharge`], which also notices that a closed quota has become free.
    pub(super) fn give_back(&self, resource: Resource, amount: u64) {
        self.used[resource as usize].fetch_sub(amount, Ordering::AcqRel);
    }

    /// Whether it is the machine's.
    pub fn parent_is_none(&self) -> bool {
        self.parent.get().is_none()
    }

    fn is_unused(&self) -> bool {
        self.used.iter().all(|used| used.load(Ordering::Acquire) == 0)
    }
}

impl<M: Machine> Kernel<M> {
    /// Gives back what was charged to `quota`.
    pub fn uncharge(&self, quota: Name<Quota>, resource: Resource, amount: u64) {
        let object = self.at(quota);
        object.give_back(resource, amount);
        if object.header.is_dead() {
            self.settle_quota(quota);
        }
    }

    /// Splits `amounts` off `parent`.
    pub fn split_quota(&self, parent: Name<Quota>, amounts: [u64; RESOURCES]) -> Result<Name<Quota>, Outcome> {
        let parent_object = self.at(parent);
        if parent_object.header.is_dead() {
            return Err(Outcome::InvalidState);
        }
        let depth = parent_object.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(Outcome::Unsupported);
        }
        let (name, child) = self.allocate::<Quota>(parent)?;
        child.depth.set(depth);
        for (index, resource) in Resource::ALL.into_iter().enumerate() {
            if let Err(short) = self.move_limit(parent_object, resource, amounts[index]) {
                for (earlier, amount) in Resource::ALL.into_iter().zip(amounts).take(index) {
                    parent_object.limits[earlier as usize].fetch_add(amount, Ordering::AcqRel);
                }
                self.free(name);
                return Err(short);
            }
            child.set_limit(resource, amounts[index]);
        }
        let _guard = self.shared().tree.take(self.machine(), Order::Tree);
        child.parent.set(parent);
        parent_object.header.references.fetch_add(1, Ordering::Relaxed);
        // The tree keeps the child until its limits have gone back.
        child.header.references.fetch_add(1, Ordering::Relaxed);
        self.push_back(&parent_object.children, name);
        Ok(name)
    }

    /// Takes `amount` from what `parent` may use: first as a charge, so that two splits can't both have it.
    fn move_limit(&self, parent: &Quota, resource: Resource, amount: u64) -> Result<(), Outcome> {
        parent.charge(resource, amount)?;
        parent.limits[resource as usize].fetch_sub(amount, Ordering::AcqRel);
        parent.give_back(resource, amount);
        Ok(())
    }

    /// Closes a quota and those below it. Their processes are killed by their homes; what is used comes back as it is freed.
    /// Returns one process that is to be killed, until there is none left.
    pub fn close_quota(&self, quota: Name<Quota>) -> Option<Name<Process>> {
        let _guard = self.shared().tree.take(self.machine(), Order::Tree);
        let mut at = quota;
        // Down to the first quota with a process or without children; then on to the next one, never leaving the subtree.
        loop {
            let object = self.at(at);
            object.header.is_dead.store(1, Ordering::Release);
            let mut process = object.processes.first();
            while let Some(name) = process {
                if self.at(name).mark_condemned() {
                    self.at(name).header.references.fetch_add(1, Ordering::Relaxed);
                    return Some(name);
                }
                process = self.next_in(&object.processes, name);
            }
            if let Some(child) = object.children.first() {
                at = child;
                continue;
            }
            loop {
                if at == quota {
                    return None;
                }
                let parent = self.at(at).parent.get();
                if let Some(next) = self.next_in(&self.at(parent).children, at) {
                    at = next;
                    break;
                }
                at = parent;
            }
        }
    }

    /// Returns the limits of a closed quota to its parent if nothing of it is used any more, and so on upwards.
    pub fn settle_quota(&self, quota: Name<Quota>) {
        let mut at = quota;
        loop {
            let object = self.at(at);
            let parent = {
                let _guard = self.shared().tree.take(self.machine(), Order::Tree);
                let parent = object.parent.get();
                if parent.is_none()
                    || !object.header.is_dead()
                    || !object.is_unused()
                    || !object.children.is_empty()
                    || object.is_settled.swap(1, Ordering::AcqRel) != 0
                {
                    return;
                }
                for resource in Resource::ALL {
                    let amount = object.limits[resource as usize].swap(0, Ordering::AcqRel);
                    self.at(parent).limits[resource as usize].fetch_add(amount, Ordering::AcqRel);
                }
                self.unlink(&self.at(parent).children, at);
                object.parent.set(Name::NONE);
                parent
            };
            let parent_is_closed = self.at(parent).header.is_dead();
            // The parent must outlive the child's memory, which is charged to it.
            self.unpin(at);
            if !parent_is_closed {
                self.unpin(parent);
                return;
            }
            self.unpin(parent);
            at = parent;
        }
    }
}
