//! Contents of files: blocks of 4 KiB, found through an index of two levels.
//!
//! A file's index block has 1,024 numbers of leaf blocks, each with 1,024 numbers of blocks of contents; 0 is a hole. Which blocks are free is
//! not written down: at the start every block that no file reaches is free.

use alloc::vec;
use alloc::vec::Vec;

use crate::region::Region;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 4096;
const POINTERS: usize = BLOCK_BYTES / 4;
/// Bytes of a file, at most.
pub const MAX_FILE_BYTES: u64 = (POINTERS * POINTERS * BLOCK_BYTES) as u64;

/// Number of a block; 0 is never used for contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block(pub u32);

/// No block is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSpace;

/// The blocks of a region, from `start` on.
#[derive(Debug)]
pub struct Blocks {
    start: usize,
    used: Vec<bool>,
    free: usize,
    next: usize,
}

impl Blocks {
    /// All free but block 0, which stands for a hole.
    pub fn new(start: usize, count: usize) -> Self {
        let mut used = vec![false; count];
        if let Some(first) = used.first_mut() {
            *first = true;
        }
        Self {
            start,
            used,
            free: count.saturating_sub(1),
            next: 1,
        }
    }

    /// Blocks that are free.
    pub fn free(&self) -> usize {
        self.free
    }

    /// Blocks there are.
    pub fn count(&self) -> usize {
        self.used.len()
    }

    fn place(&self, block: Block) -> usize {
        self.start + block.0 as usize * BLOCK_BYTES
    }

    /// Takes a block and makes it zero.
    fn allocate(&mut self, region: &mut impl Region) -> Result<Block, NoSpace> {
        if self.free == 0 {
            return Err(NoSpace);
        }
        let count = self.used.len();
        let found = (0..count)
            .map(|step| (self.next + step) % count)
            .find(|&index| !self.used[index])
            .ok_or(NoSpace)?;
        self.used[found] = true;
        self.free -= 1;
        self.next = found + 1;
        let block = Block(found as u32);
        region.clear(self.place(block), BLOCK_BYTES);
        Ok(block)
    }

    fn release(&mut self, block: Block) {
        if let Some(used) = self
            .used
            .get_mut(block.0 as usize)
            .filter(|used| **used && block.0 != 0)
        {
            *used = false;
            self.free += 1;
        }
    }

    /// Takes note at the start that a file uses a block; false if it does not exist or another file has it.
    fn claim(&mut self, block: Block) -> bool {
        match self.used.get_mut(block.0 as usize) {
            Some(used) if !*used => {
                *used = true;
                self.free -= 1;
                true
            }
            _ => false,
        }
    }

    fn pointer(&self, region: &impl Region, table: Block, index: usize) -> Block {
        let mut bytes = [0; 4];
        region.read(self.place(table) + 4 * index, &mut bytes);
        Block(u32::from_le_bytes(bytes))
    }

    fn set_pointer(&self, region: &mut impl Region, table: Block, index: usize, to: Block) {
        region.write(self.place(table) + 4 * index, &to.0.to_le_bytes());
    }

    /// Takes note of all blocks below a file's index. Pointers that make no sense become holes; says how many there were.
    pub fn claim_tree(&mut self, region: &mut impl Region, index: Block) -> Result<usize, NoSpace> {
        if !self.claim(index) {
            return Err(NoSpace);
        }
        let mut damaged = 0;
        for first in 0..POINTERS {
            let leaf = self.pointer(region, index, first);
            if leaf.0 == 0 {
                continue;
            }
            if !self.claim(leaf) {
                self.set_pointer(region, index, first, Block(0));
                damaged += 1;
                continue;
            }
            for second in 0..POINTERS {
                let block = self.pointer(region, leaf, second);
                if block.0 != 0 && !self.claim(block) {
                    self.set_pointer(region, leaf, second, Block(0));
                    damaged += 1;
                }
            }
        }
        Ok(damaged)
    }

    /// Makes an empty index.
    pub fn new_index(&mut self, region: &mut impl Region) -> Result<Block, NoSpace> {
        self.allocate(region)
    }

    /// Reads contents; holes read as zeroes.
    pub fn read(&self, region: &impl Region, index: Block, offset: u64, into: &mut [u8]) {
        for_each_piece(offset, into.len(), |number, within, range| {
            let leaf = if index.0 == 0 {
                Block(0)
            } else {
                self.pointer(region, index, number / POINTERS)
            };
            let block = if leaf.0 == 0 {
                Block(0)
            } else {
                self.pointer(region, leaf, number % POINTERS)
            };
            if block.0 == 0 {
                into[range].fill(0);
            } else {
                region.read(self.place(block) + within, &mut into[range]);
            }
            Ok(())
        })
        .unwrap_or_default();
    }

    /// Writes contents, filling holes. If there is no space, what was written before stays.
    pub fn write(
        &mut self,
        region: &mut impl Region,
        index: Block,
        offset: u64,
        from: &[u8],
    ) -> Result<(), NoSpace> {
        for_each_piece(offset, from.len(), |number, within, range| {
            let leaf = self.child(region, index, number / POINTERS)?;
            let block = self.child(region, leaf, number % POINTERS)?;
            region.write(self.place(block) + within, &from[range]);
            Ok(())
        })
    }

    fn child(
        &mut self,
        region: &mut impl Region,
        table: Block,
        index: usize,
    ) -> Result<Block, NoSpace> {
        let found = self.pointer(region, table, index);
        if found.0 != 0 {
            return Ok(found);
        }
        let block = self.allocate(region)?;
        self.set_pointer(region, table, index, block);
        Ok(block)
    }

    /// Frees what lies beyond `size`, and makes the rest of the last block zero, so that growing again shows zeroes.
    pub fn truncate(&mut self, region: &mut impl Region, index: Block, size: u64) {
        let kept = size.div_ceil(BLOCK_BYTES as u64) as usize;
        for first in kept / POINTERS..POINTERS {
            let leaf = self.pointer(region, index, first);
            if leaf.0 == 0 {
                continue;
            }
            let from = kept.saturating_sub(first * POINTERS);
            for second in from..POINTERS {
                let block = self.pointer(region, leaf, second);
                if block.0 != 0 {
                    self.set_pointer(region, leaf, second, Block(0));
                    self.release(block);
                }
            }
            if from == 0 {
                self.set_pointer(region, index, first, Block(0));
                self.release(leaf);
            }
        }
        let within = (size % BLOCK_BYTES as u64) as usize;
        if within != 0 {
            let leaf = self.pointer(region, index, (kept - 1) / POINTERS);
            let block = if leaf.0 == 0 {
                Block(0)
            } else {
                self.pointer(region, leaf, (kept - 1) % POINTERS)
            };
            if block.0 != 0 {
                region.clear(self.place(block) + within, BLOCK_BYTES - within);
            }
        }
    }

    /// Frees a file's blocks and its index. The record must be gone already.
    pub fn release_tree(&mut self, region: &mut impl Region, index: Block) {
        if index.0 != 0 {
            self.truncate(region, index, 0);
            self.release(index);
        }
    }
}

/// Cuts a range of a file at block borders: block number, offset in the block, range in the buffer.
fn for_each_piece(
    offset: u64,
    length: usize,
    mut piece: impl FnMut(usize, usize, core::ops::Range<usize>) -> Result<(), NoSpace>,
) -> Result<(), NoSpace> {
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let within = (at % BLOCK_BYTES as u64) as usize;
        let count = (BLOCK_BYTES - within).min(length - done);
        piece(
            (at / BLOCK_BYTES as u64) as usize,
            within,
            done..done + count,
        )?;
        done += count;
    }
    Ok(())
}
