//! Pages that appear when they are touched.

use abi::layout::PAGE_SIZE;
use core::cell::Cell;
use core::hint::black_box;
use core::sync::atomic::Ordering;

use libipc::{Handle, MemoryObject, Protection, StartError};

use crate::Bench;
use crate::measure::{ROUNDS, WARM_UP, least};

/// What clearing a page counts: one instruction a word.
const CLEARING: u64 = PAGE_SIZE as u64 / 8;

/// Measures a fault in anonymous memory: what the first touch of a page costs more than the next one, without the clearing.
pub fn measure(bench: &mut Bench) -> Result<(), StartError> {
    let length = (ROUNDS + WARM_UP) * PAGE_SIZE;
    let memory = Handle::<MemoryObject>::create(length as u64)?;
    let mapping = memory.map(0, length, Protection::ReadWrite)?;
    let next = Cell::new(0);
    let touch = || {
        let offset = next.get();
        next.set((offset + PAGE_SIZE) % length);
        if let Some(word) = mapping.word(black_box(offset)) {
            word.store(1, Ordering::Relaxed);
        }
    };
    let first = least(&[&bench.own], touch);
    let again = least(&[&bench.own], touch);
    bench.report("page_fault", first.without(again.instructions + CLEARING));
    Ok(())
}
