//! How objects are kept, and what happens when nobody keeps them any more.
//!
//! `references` keeps an object's memory: handles, links that outlive a kernel entry, posts. `owners` counts the handles that keep the
//! object *alive* ([`owner_rights`](super::header::owner_rights)). When the last owner goes the object ends, by its home; when the last
//! reference goes its memory is freed, by whoever let go.

use core::sync::atomic::Ordering;

use super::{
    Any, Call, Capsule, Connection, Endpoint, Hardware, Interrupt, IoPorts, IoSpace, Kind, MAX_SLOTS, Name,
    Notification, Object, Process, Quota, Thread, counts_as_owner,
};
use crate::handle::{Held, Reference};
use crate::mem::frame::{Frame, Location};
use crate::sched::inbox::reason;
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// Counts a reference.
    pub fn pin<T: zerocopy::FromBytes>(&self, name: Name<T>) {
        self.at(name.cast::<Any>()).header.references.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets a reference go; with the last one the memory is freed.
    pub fn unpin<T: Object>(&self, name: Name<T>) {
        self.unpin_any(T::KIND, name.cast());
    }

    /// The same for an object whose kind is known only now.
    pub fn unpin_any(&self, kind: Kind, name: Name<Any>) {
        let header = &self.at(name).header;
        if header.references.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.reap(kind, name);
        }
    }

    /// Counts a reference with these rights.
    pub fn acquire(&self, held: Held) {
        let header = &self.at(held.name).header;
        header.references.fetch_add(1, Ordering::Relaxed);
        if counts_as_owner(held.kind, held.rights) {
            header.owners.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets go of a reference with these rights; with the last owner the object ends.
    pub fn release(&self, held: Held) {
        if counts_as_owner(held.kind, held.rights)
            && self.at(held.name).header.owners.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.end_object(held.kind, held.name);
        }
        self.unpin_any(held.kind, held.name);
    }

    /// The last owner has gone. The caller still has a reference.
    fn end_object(&self, kind: Kind, name: Name<Any>) {
        match kind {
            Kind::Endpoint => self.at_endpoint_home(name, name.cast(), reason::CLOSE),
            Kind::Connection => {
                let endpoint = self.at(name.cast::<Connection>()).endpoint.get();
                self.at_endpoint_home(name, endpoint, reason::CLOSE);
            }
            Kind::Notification => {
                self.at(name).header.is_dead.store(1, Ordering::Release);
                self.kick_notification(name.cast());
            }
            Kind::Call => self.abandon_call(name.cast()),
            Kind::Interrupt => {
                self.serve_at(name, self.at(name).header.home(), reason::CLOSE);
            }
            Kind::Quota => {
                self.at(name).header.is_dead.store(1, Ordering::Release);
                self.settle_quota(name.cast());
            }
            _ => {}
        }
    }

    /// Does what `why` says here, or has the endpoint's home do it.
    pub fn at_endpoint_home(&self, object: Name<Any>, endpoint: Name<Endpoint>, why: u32) {
        self.serve_at(object, self.at(endpoint).header.home(), why);
    }

    /// The last reference has gone.
    fn reap(&self, kind: Kind, name: Name<Any>) {
        match kind {
            Kind::Process => self.free::<Process>(name.cast()),
            Kind::Thread => {
                let process = self.at(name.cast::<Thread>()).process.get();
                self.free::<Thread>(name.cast());
                self.unpin(process);
            }
            Kind::Endpoint => self.free::<Endpoint>(name.cast()),
            Kind::Connection => {
                let endpoint = self.at(name.cast::<Connection>()).endpoint.get();
                self.free::<Connection>(name.cast());
                self.unpin(endpoint);
            }
            Kind::Call => {
                let call = self.at(name.cast::<Call>());
                let (report, page) = (call.report.get(), call.page.get());
                self.free::<Call>(name.cast());
                self.unpin(report);
                self.unpin(page);
            }
            Kind::Notification => {
                let bound = self.at(name.cast::<Notification>()).bound();
                self.free::<Notification>(name.cast());
                if bound.is_some() {
                    self.unpin(bound);
                }
            }
            Kind::Memory => self.add_work(name),
            Kind::Capsule => self.reap_capsule(name.cast()),
            Kind::Interrupt => {
                let notification = Name::<Notification>::from_bits(
                    self.at(name.cast::<Interrupt>()).notification.load(Ordering::Acquire),
                );
                self.free::<Interrupt>(name.cast());
                if notification.is_some() {
                    self.unpin(notification);
                }
            }
            Kind::IoSpace => self.reap_io_space(name.cast::<IoSpace>()),
            Kind::IoPorts => self.free::<IoPorts>(name.cast()),
            Kind::Hardware => self.free::<Hardware>(name.cast()),
            Kind::Quota => self.free::<Quota>(name.cast()),
            Kind::Reply | Kind::Mapping => {}
        }
    }

    fn reap_capsule(&self, name: Name<Capsule>) {
        let capsule = self.at(name);
        let (quota, slots, memory) = (capsule.header.quota.get(), capsule.slots.get(), capsule.memory.get());
        for index in 0..u64::from(capsule.slot_count.get()) {
            if let Some(held) = self.capsule_slot(slots, index).and_then(Reference::take) {
                self.release(held);
            }
        }
        let slot_count = u64::from(capsule.slot_count.get());
        self.free(name);
        if slots != 0 {
            self.uncharge(quota, super::quota::Resource::Handles, slot_count);
            self.give_charged_frame(quota, Frame::new(slots));
        }
        if memory.is_some() {
            self.unpin(memory);
        }
    }

    /// The place for a handle in a capsule's frame of slots.
    pub fn capsule_slot(&self, frame: u64, index: u64) -> Option<&Reference> {
        (frame != 0 && index < MAX_SLOTS).then(|| {
            let places: &CapsuleSlots =
                self.machine().object::<CapsuleSlots>(Location::from_address(Frame::new(frame).address()));
            &places.0[index as usize]
        })
    }
}

/// A frame of references.
#[derive(zerocopy::FromBytes)]
#[repr(C)]
struct CapsuleSlots([Reference; MAX_SLOTS as usize]);
