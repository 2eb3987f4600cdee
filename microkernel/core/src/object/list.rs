//! Doubly linked rings of objects, linked by name through cells of the objects themselves.
//!
//! A list is a [`Head`] that names its first member; the first one's `previous` names the last. A member's link is zero when it
//! is in no list of that kind, so membership costs one load. Every operation is a few stores, whatever the length.

use core::cell::Cell;
use core::marker::PhantomData;

use zerocopy::FromBytes;

use super::{Name, Object};
use crate::{Kernel, Machine};

/// One kind of list: what its members are, and through which of their cells they are linked.
pub trait ListKind {
    /// The members.
    type Member: FromBytes;
    /// The link that this kind of list uses.
    fn link(member: &Self::Member) -> &Link;
}

/// Declares kinds of list: what each is for, its members, and their link.
macro_rules! lists {
    ($($(#[$doc:meta])* $list:ident of $member:ident by $($link:ident).+;)*) => {$(
        $(#[$doc])*
        pub struct $list;
        impl $crate::object::ListKind for $list {
            type Member = $member;
            fn link(member: &$member) -> &$crate::object::Link {
                &member.$($link).+
            }
        }
    )*};
}
pub(super) use lists;

/// A member's neighbours; both zero outside of a list.
#[derive(FromBytes)]
#[repr(C)]
pub struct Link {
    next: Cell<u64>,
    previous: Cell<u64>,
}

impl Link {
    /// Whether the object is in a list of this kind.
    pub fn is_linked(&self) -> bool {
        self.next.get() != 0
    }
}

/// Where a list begins.
#[derive(FromBytes)]
#[repr(transparent)]
pub struct Head<K>(Cell<u64>, PhantomData<fn() -> K>);

impl<K: ListKind> Head<K> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Cell::new(0), PhantomData)
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.0.get() == 0
    }

    /// The first member.
    pub fn first(&self) -> Option<Name<K::Member>> {
        match self.0.get() {
            0 => None,
            bits => Some(Name::from_bits(bits)),
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// Appends `member`, which is in no list of this kind.
    #[inline(always)]
    pub fn push_back<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) {
        let link = K::link(self.at(member));
        let first = head.0.get();
        if first == 0 {
            link.next.set(member.bits());
            link.previous.set(member.bits());
            head.0.set(member.bits());
        } else {
            let first_link = K::link(self.at(Name::<K::Member>::from_bits(first)));
            let last = first_link.previous.get();
            link.next.set(first);
            link.previous.set(last);
            K::link(self.at(Name::<K::Member>::from_bits(last))).next.set(member.bits());
            first_link.previous.set(member.bits());
        }
    }

    /// Prepends `member`, which is in no list of this kind.
    pub fn push_front<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) {
        self.push_back(head, member);
        head.0.set(member.bits());
    }

    /// Takes `member` out of the list, which it is in.
    #[inline(always)]
    pub fn unlink<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) {
        let link = K::link(self.at(member));
        let (next, previous) = (link.next.get(), link.previous.get());
        if next == member.bits() {
            head.0.set(0);
        } else {
            K::link(self.at(Name::<K::Member>::from_bits(next))).previous.set(previous);
            K::link(self.at(Name::<K::Member>::from_bits(previous))).next.set(next);
            if head.0.get() == member.bits() {
                head.0.set(next);
            }
        }
        link.next.set(0);
        link.previous.set(0);
    }

    /// [`Kernel::push_back`] where the list is almost always empty.
    #[inline]
    pub fn push_only<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) {
        if head.0.get() == 0 {
            let link = K::link(self.at(member));
            link.next.set(member.bits());
            link.previous.set(member.bits());
            head.0.set(member.bits());
        } else {
            self.push_one(head, member);
        }
    }

    #[cold]
    #[inline(never)]
    fn push_one<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) {
        self.push_back(head, member);
    }

    /// Takes `member` out if it is in the list.
    pub fn unlink_if_linked<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) {
        if K::link(self.at(member)).is_linked() {
            self.unlink(head, member);
        }
    }

    /// Takes the first member out.
    #[inline]
    pub fn pop_front<K: ListKind>(&self, head: &Head<K>) -> Option<Name<K::Member>> {
        let first = head.first()?;
        self.unlink(head, first);
        Some(first)
    }

    /// Makes the second member the first and the first the last.
    pub fn rotate<K: ListKind>(&self, head: &Head<K>) {
        if let Some(first) = head.first() {
            head.0.set(K::link(self.at(first)).next.get());
        }
    }

    /// The member after `member`; `None` after the last.
    pub fn next_in<K: ListKind>(&self, head: &Head<K>, member: Name<K::Member>) -> Option<Name<K::Member>> {
        match K::link(self.at(member)).next.get() {
            next if next == head.0.get() => None,
            next => Some(Name::from_bits(next)),
        }
    }

    /// The object that a live link names. Links are taken out before an object goes, so it is there.
    #[inline]
    pub fn at<T: FromBytes>(&self, name: Name<T>) -> &T {
        self.machine().object(name.location())
    }

    /// The object with this name, if it still lives.
    #[inline]
    pub fn get<T: Object>(&self, name: Name<T>) -> Option<&T> {
        if name.is_none() {
            return None;
        }
        let object = self.at(name);
        (object.header().name.get() == name.bits()).then_some(object)
    }
}
