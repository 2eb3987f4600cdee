//! The account that every object of a program is charged to.
//!
//! Charged before the allocation, credited when the object goes away, so passing the limit is an ordinary error and
//! never an abort. The account also drives the release of nested objects: past a depth the contents wait in a list
//! instead of on the host's stack, so that dropping a list nested a million deep needs no deep stack.

use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::value::Value;

/// The limit on memory was passed. Nothing was allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// What an object costs beside its contents: the counts, and what the allocator adds.
pub const OBJECT_OVERHEAD_BYTES: usize = 48;

/// How deep objects may release each other directly.
const RELEASE_DEPTH: u32 = 64;

/// The reserve in which the error about passing the limit can still be built and handled.
const RESERVE_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct Account {
    used_bytes: Cell<usize>,
    peak_bytes: Cell<usize>,
    limit_bytes: Cell<usize>,
    reserve_open: Cell<bool>,
    release_depth: Cell<u32>,
    deferred: RefCell<Vec<Vec<Value>>>,
    allocations: Cell<u32>,
    called_off: RefCell<Option<Arc<AtomicBool>>>,
}

/// A handle on the account; copies charge the same one.
#[derive(Clone, Debug)]
pub struct Heap(Rc<Account>);

impl Heap {
    /// An account that refuses to hold more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Heap {
        Heap(Rc::new(Account {
            used_bytes: Cell::new(0),
            peak_bytes: Cell::new(0),
            limit_bytes: Cell::new(limit_bytes),
            reserve_open: Cell::new(false),
            release_depth: Cell::new(0),
            deferred: RefCell::new(Vec::new()),
            allocations: Cell::new(0),
            called_off: RefCell::new(None),
        }))
    }

    /// Work that only the heap knows of (texts, large numbers) ends early when `flag` is set.
    pub fn call_off_with(&self, flag: Arc<AtomicBool>) {
        *self.0.called_off.borrow_mut() = Some(flag);
    }

    /// Whether somebody wants the program to stop what it does.
    pub fn is_called_off(&self) -> bool {
        let flag = self.0.called_off.borrow();
        flag.as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Takes `bytes` from the account, or refuses.
    #[inline]
    pub fn charge(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let used = self.0.used_bytes.get().saturating_add(bytes);
        if used > self.0.limit_bytes.get() {
            return self.charge_from_reserve(used);
        }
        self.0.used_bytes.set(used);
        self.0
            .allocations
            .set(self.0.allocations.get().wrapping_add(1));
        Ok(())
    }

    #[cold]
    fn charge_from_reserve(&self, used: usize) -> Result<(), OutOfMemory> {
        let limit = self.0.limit_bytes.get().saturating_add(RESERVE_BYTES);
        if self.0.reserve_open.get() && used <= limit {
            self.0.used_bytes.set(used);
            return Ok(());
        }
        Err(OutOfMemory)
    }

    /// Gives `bytes` back.
    #[inline]
    pub fn credit(&self, bytes: usize) {
        let used = self.0.used_bytes.get();
        if used > self.0.peak_bytes.get() {
            self.0.peak_bytes.set(used);
        }
        self.0.used_bytes.set(used.saturating_sub(bytes));
    }

    /// Runs `build` with the reserve open: for the error that says that memory has run out.
    pub fn with_reserve<T>(&self, build: impl FnOnce() -> T) -> T {
        let before = self.0.reserve_open.replace(true);
        let built = build();
        self.0.reserve_open.set(before);
        built
    }

    /// Bytes charged and not yet credited.
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.get()
    }

    /// The highest that [`used_bytes`](Self::used_bytes) has been.
    pub fn peak_bytes(&self) -> usize {
        self.0.peak_bytes.get().max(self.0.used_bytes.get())
    }

    /// Bytes the program may hold.
    pub fn limit_bytes(&self) -> usize {
        self.0.limit_bytes.get()
    }

    /// How many charges there were, for deciding when to look for cycles. Wraps.
    pub fn allocations(&self) -> u32 {
        self.0.allocations.get()
    }

    /// Drops `contents`, directly or, when already deep inside other releases, from the outermost one.
    #[inline]
    pub fn release(&self, contents: Vec<Value>) {
        if contents.is_empty() {
            return;
        }
        let depth = self.0.release_depth.get();
        if depth >= RELEASE_DEPTH {
            self.0.deferred.borrow_mut().push(contents);
            return;
        }
        self.0.release_depth.set(depth + 1);
        drop(contents);
        if depth == 0 {
            self.release_deferred();
        }
        self.0.release_depth.set(depth);
    }

    fn release_deferred(&self) {
        loop {
            let next = self.0.deferred.borrow_mut().pop();
            match next {
                Some(contents) => drop(contents),
                None => return,
            }
        }
    }
}
