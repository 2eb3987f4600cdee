//! The heap: grows by MemoryObjects until the quota or the process's own limit says no. Then allocation fails, and who used `try_reserve` gets an
//! error; who did not, panics.

use crate::sync::Lock;
use crate::sys;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use talc::base::Talc;
use talc::base::binning::DefaultBinning;
use talc::source::Manual;

/// The heap grows by at least this much, so that it rarely has to.
const STEP_BYTES: usize = 256 * 1024;
const PAGE: usize = abi::layout::PAGE_SIZE;

static LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);
static SIZE: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static HEAP: Heap = Heap(Lock::new(Arena {
    talc: Talc::new(Manual),
    end: None,
}));

struct Heap(Lock<Arena>);

struct Arena {
    talc: Talc<Manual, DefaultBinning>,
    /// The end of the newest part.
    end: Option<NonNull<u8>>,
}

// SAFETY: the arena's pointers lead to memory that belongs to the process; the lock lets one thread at a time follow them.
unsafe impl Send for Arena {}

/// Sets how far the heap may grow.
pub(crate) fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// Bytes that the heap has taken from the quota.
pub fn size_bytes() -> u64 {
    SIZE.load(Ordering::Relaxed)
}

impl Arena {
    fn grow(&mut self, layout: Layout) -> Option<()> {
        let wanted = layout
            .size()
            .checked_add(layout.align())?
            .checked_add(2 * PAGE)?;
        // The step grows with the heap, so that a big heap needs few parts; frames only count once they are touched.
        let step = STEP_BYTES.max((size_bytes() / 4) as usize);
        let length = wanted.max(step).checked_next_multiple_of(PAGE)?;
        let length = if self.fits(length) {
            length
        } else {
            wanted
                .checked_next_multiple_of(PAGE)
                .filter(|length| self.fits(*length))?
        };
        let base = sys::grow(length as u64).ok()?;
        SIZE.fetch_add(length as u64, Ordering::Relaxed);
        // SAFETY: the range was mapped just now, readable and writable, and belongs to nobody else.
        self.end = unsafe { self.talc.claim(base, length) };
        self.end.map(drop)
    }

    fn fits(&self, length: usize) -> bool {
        size_bytes().saturating_add(length as u64) <= LIMIT.load(Ordering::Relaxed)
    }
}

// SAFETY: Talc hands out disjoint ranges of the memory that it was given, with the alignment asked for; the lock keeps threads apart.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut arena = self.0.lock();
        loop {
            // SAFETY: the caller guarantees that the size is not zero.
            if let Some(place) = unsafe { arena.talc.try_allocate(layout) } {
                return place.as_ptr();
            }
            if arena.grow(layout).is_none() {
                return core::ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller guarantees that `place` came from here, with this layout.
        unsafe { self.0.lock().talc.deallocate(place, layout) };
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        {
            let mut arena = self.0.lock();
            // SAFETY: the caller guarantees that `place` came from here, with this layout, and that the new size is valid.
            if unsafe { arena.talc.try_realloc_in_place(place, layout, new_size) } {
                return place;
            }
        }
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return core::ptr::null_mut();
        };
        // SAFETY: the new size is not zero (the caller's guarantee), and both ranges hold the bytes that are copied and do not overlap.
        unsafe {
            let new = self.alloc(new_layout);
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(place, new, layout.size().min(new_size));
                self.dealloc(place, layout);
            }
            new
        }
    }
}
