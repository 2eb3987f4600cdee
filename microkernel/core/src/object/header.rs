//! What every object begins with.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::{ObjectType, Rights};
use zerocopy::FromBytes;

use super::{Name, Quota};

/// The first 64 bytes of every object.
#[derive(FromBytes)]
#[repr(C)]
pub struct Header {
    /// The object's own name while it lives, 0 before and after.
    pub name: Cell<u64>,
    /// Everything that keeps its memory: handles, links that outlive a kernel entry, posts under way.
    pub references: AtomicU32,
    /// Handles that count for its life (which do is [`owner_rights`]'s matter), wherever they are: in tables, capsules, messages.
    pub owners: AtomicU32,
    /// Link of the inbox that it is in.
    pub post_link: AtomicU64,
    /// Why it was posted; zero while it is in no inbox.
    pub post_reasons: AtomicU32,
    /// The CPU whose kernel alone touches its cells (kinds that have a home).
    pub home: AtomicU32,
    /// Who pays for it.
    pub quota: Cell<Name<Quota>>,
    /// Number of the [`Kind`].
    pub kind: Cell<u32>,
    /// 1 once it has ended and only its memory is left.
    pub is_dead: AtomicU32,
    /// Link of the list of things that its CPU takes apart in slices.
    pub work_link: Cell<u64>,
}

/// A header alone: any object.
#[derive(FromBytes)]
#[repr(C)]
pub struct Any {
    /// The header.
    pub header: Header,
}

/// Objects that live in frames. `KIND` decides the size of the slots.
pub trait Object: FromBytes {
    /// What it is.
    const KIND: Kind;
    /// Its header.
    fn header(&self) -> &Header;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// The kinds of object. The first fourteen are those that handles name, with the same numbers.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)*
        }
        impl Kind {
            /// The kind with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// See `process.rs`.
    Process = 1,
    /// See `thread.rs`.
    Thread = 2,
    /// See `endpoint.rs`.
    Endpoint = 3,
    /// See `connection.rs`.
    Connection = 4,
    /// See `call.rs`.
    Call = 5,
    /// Not an object of its own: a handle whose slot names a call.
    Reply = 6,
    /// See `notification.rs`.
    Notification = 7,
    /// See `memory.rs`.
    Memory = 8,
    /// See `capsule.rs`.
    Capsule = 9,
    /// See `interrupt.rs`.
    Interrupt = 10,
    /// See `io_space.rs`.
    IoSpace = 11,
    /// See `io_ports.rs`.
    IoPorts = 12,
    /// See `quota.rs`.
    Quota = 13,
    /// See `hardware.rs`.
    Hardware = 14,
    /// See `mapping.rs`; no handle names it.
    Mapping = 15,
}

/// How many kinds there are, with room for number 0.
pub const KIND_COUNT: usize = 16;

/// The kinds that lie in frames, each a structure of its name.
macro_rules! objects {
    ($($name:ident)*) => {$(
        impl Object for super::$name {
            const KIND: Kind = Kind::$name;
            fn header(&self) -> &Header {
                &self.header
            }
        }
    )*};
}
objects! { Process Thread Endpoint Connection Call Notification Memory Capsule Interrupt IoSpace IoPorts Quota Hardware Mapping }

impl Header {
    /// Whether it has ended.
    #[inline]
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Acquire) != 0
    }

    /// The CPU that it lives on.
    #[inline]
    pub fn home(&self) -> usize {
        self.home.load(Ordering::Acquire) as usize
    }
}

impl Kind {
    /// The type of handle that names it, for kinds that have one.
    pub const fn object_type(self) -> Option<ObjectType> {
        ObjectType::from_number(self as u8)
    }
}

/// Which handles count as owners: one that has any of these rights. Empty means every handle.
pub const fn owner_rights(kind: Kind) -> Rights {
    match kind {
        Kind::Endpoint => Rights::RECEIVE.union(Rights::OWN),
        Kind::Connection => Rights::CALL.union(Rights::RING),
        Kind::Quota => Rights::OWN,
        _ => Rights::empty(),
    }
}

/// Whether a handle with these rights counts as an owner.
pub const fn counts_as_owner(kind: Kind, rights: Rights) -> bool {
    let needed = owner_rights(kind);
    needed.is_empty() || needed.intersects(rights)
}
