//! Inboxes: how one CPU's kernel asks another's for something.
//!
//! An inbox is a list of objects, linked through their headers; why an object is there is a set of reasons in the object. Posting an
//! object that is already in some inbox only adds a reason, so an inbox needs no memory and can't overflow. Whoever takes the post serves
//! the reasons that are its own and forwards the others: what a reason concerns may have moved meanwhile.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::kernel::Figure;
use crate::object::{Any, Kind, Name};
use crate::{Kernel, Machine};

/// Why an object was posted. The lower ones are served first.
pub mod reason {
    /// Endpoint, Connection, Interrupt: the last owner has gone.
    pub const CLOSE: u32 = 1 << 0;
    /// Connection: it was rung.
    pub const RING: u32 = 1 << 1;
    /// Notification: bits were set, or the last owner has gone.
    pub const SIGNAL: u32 = 1 << 2;
    /// Process: it must die.
    pub const KILL: u32 = 1 << 3;
    /// Endpoint: it has moved here with what is queued at it.
    pub const ADOPT: u32 = 1 << 10;
    /// Process: it has moved here.
    pub const MOVE: u32 = 1 << 9;
    /// Thread: its system call concerns objects of this CPU.
    pub const OPERATE: u32 = 1 << 4;
    /// Thread, Call: a call arrives.
    pub const ARRIVE: u32 = 1 << 5;
    /// Thread, Call: its call has ended.
    pub const ENDED: u32 = 1 << 6;
    /// Thread: its system call is done, or it waits no more.
    pub const HOME: u32 = 1 << 7;
    /// Thread, Call: whoever has custody is to end it.
    pub const CANCEL: u32 = 1 << 8;
}

/// The inbox of one CPU: the name of the newest post.
pub struct Inbox(AtomicU64);

impl Inbox {
    /// An empty inbox.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The newest post.
    #[cfg(feature = "audit")]
    pub fn newest(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl<M: Machine> Kernel<M> {
    /// Posts `object` to `cpu`.
    pub fn post(&self, object: Name<Any>, why: u32, cpu: usize) {
        let header = &self.at(object).header;
        if header.post_reasons.fetch_or(why, Ordering::AcqRel) != 0 {
            return;
        }
        header.references.fetch_add(1, Ordering::Relaxed);
        let inbox = &self.shared().cpu(cpu).inbox.0;
        let mut newest = inbox.load(Ordering::Relaxed);
        loop {
            header.post_link.store(newest, Ordering::Relaxed);
            match inbox.compare_exchange_weak(newest, object.bits(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(changed) => newest = changed,
            }
        }
        self.count(Figure::Posts, 1);
        // One interrupt for all that is posted until the inbox is emptied.
        if newest == 0 {
            if cpu == self.cpu() {
                self.revisit_soon();
            } else {
                self.machine().send_ipi(cpu);
            }
        }
    }

    /// Does what `why` says here if this is `cpu`, or has that one do it.
    pub fn serve_at(&self, object: Name<Any>, cpu: usize, why: u32) {
        if cpu == self.cpu() {
            self.serve_post(object, why);
        } else {
            self.post(object, why, cpu);
        }
    }

    /// Serves everything that was posted here so far, oldest first.
    pub fn serve_inbox(&self) {
        let mut newest = self.shared().cpu(self.cpu()).inbox.0.swap(0, Ordering::AcqRel);
        let mut oldest = 0;
        while newest != 0 {
            let header = &self.at(Name::<Any>::from_bits(newest)).header;
            let next = header.post_link.load(Ordering::Relaxed);
            header.post_link.store(oldest, Ordering::Relaxed);
            oldest = newest;
            newest = next;
        }
        while oldest != 0 {
            let name = Name::<Any>::from_bits(oldest);
            let header = &self.at(name).header;
            oldest = header.post_link.load(Ordering::Relaxed);
            let kind = Kind::from_number(header.kind.get() as u8);
            let reasons = header.post_reasons.swap(0, Ordering::AcqRel);
            self.serve_post(name, reasons);
            if let Some(kind) = kind {
                self.unpin_any(kind, name);
            }
        }
    }

    /// Does what `reasons` say about `object`, as far as it concerns this CPU, and forwards the rest.
    pub fn serve_post(&self, object: Name<Any>, reasons: u32) {
        let kind = Kind::from_number(self.at(object).header.kind.get() as u8);
        match kind {
            Some(Kind::Endpoint) => self.serve_endpoint(object.cast(), reasons),
            Some(Kind::Interrupt) => self.silence_interrupt(self.at(object.cast())),
            Some(Kind::Connection) => self.serve_connection(object.cast(), reasons),
            Some(Kind::Notification) => self.kick_notification(object.cast()),
            Some(Kind::Process) => self.serve_process(object.cast(), reasons),
            Some(Kind::Thread | Kind::Call) => self.serve_caller(object.cast(), reasons),
            _ => {}
        }
    }
}
