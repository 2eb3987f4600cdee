//! Contents of files: blocks of 4 KiB, found through a tree of tables.
//!
//! A table has 1,024 numbers of blocks, of tables or of contents; 0 is a hole. The tree is as high as the file needs: up to 4 KiB it is the one block of contents, so that
//! small files, which most are, take no more than that. Which blocks are free is not written down: at the start every block that no file reaches is free.
//!
//! What lies behind the end of a file in its blocks is of no meaning: whoever makes the file longer clears it first.

use alloc::vec;
use alloc::vec::Vec;

use crate::region::Region;

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 4096;
const POINTERS: usize = BLOCK_BYTES / 4;
/// Tables between a file's record and its contents, at most.
pub const MAX_HEIGHT: u8 = 2;
/// Bytes of a file, at most.
pub const MAX_FILE_BYTES: u64 = (POINTERS * POINTERS * BLOCK_BYTES) as u64;

/// Number of a block; 0 is never used for contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block(pub u32);

/// Where a file's contents are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tree {
    /// The topmost block; 0: there are no contents.
    pub root: Block,
    /// Tables on the way from it, itself included, to contents.
    pub height: u8,
}

impl Tree {
    /// Blocks of contents that it has places for.
    fn places(&self) -> usize {
        below(self.height)
    }
}

/// Blocks of contents below a block of this height.
const fn below(height: u8) -> usize {
    POINTERS.pow(height as u32)
}

/// The height that a file of so many bytes needs.
fn height_for(bytes: u64) -> u8 {
    (0..MAX_HEIGHT)
        .find(|height| bytes <= (below(*height) * BLOCK_BYTES) as u64)
        .unwrap_or(MAX_HEIGHT)
}

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

    /// Takes note of all blocks of a file. Numbers that make no sense become holes; says how many there were.
    pub fn claim_tree(&mut self, region: &mut impl Region, tree: Tree) -> Result<usize, NoSpace> {
        if self.claim(tree.root) {
            Ok(self.claim_below(region, tree.root, tree.height))
        } else {
            Err(NoSpace)
        }
    }

    /// As deep as the tree is high: twice at most.
    fn claim_below(&mut self, region: &mut impl Region, table: Block, height: u8) -> usize {
        if height == 0 {
            return 0;
        }
        let mut damaged = 0;
        for index in 0..POINTERS {
            let block = self.pointer(region, table, index);
            if block.0 == 0 {
                continue;
            }
            if self.claim(block) {
                damaged += self.claim_below(region, block, height - 1);
            } else {
                self.set_pointer(region, table, index, Block(0));
                damaged += 1;
            }
        }
        damaged
    }

    /// The tree for a file that is to have so many bytes: the same, or one with a higher root. It is the file's once its record says so.
    pub fn grown(
        &mut self,
        region: &mut impl Region,
        tree: Tree,
        bytes: u64,
    ) -> Result<Tree, NoSpace> {
        let wanted = height_for(bytes);
        if tree.root.0 == 0 {
            let root = self.allocate(region)?;
            return Ok(Tree {
                root,
                height: wanted,
            });
        }
        let mut tree = tree;
        while tree.height < wanted {
            let root = self.allocate(region)?;
            self.set_pointer(region, root, 0, tree.root);
            tree = Tree {
                root,
                height: tree.height + 1,
            };
        }
        Ok(tree)
    }

    /// The block of contents with this number in a file; 0 for a hole.
    fn find(&self, region: &impl Region, tree: Tree, number: usize) -> Block {
        if tree.root.0 == 0 || number >= tree.places() {
            return Block(0);
        }
        let mut block = tree.root;
        for height in (0..tree.height).rev() {
            if block.0 == 0 {
                break;
            }
            block = self.pointer(region, block, number / below(height) % POINTERS);
        }
        block
    }

    /// Reads contents; holes read as zeroes.
    pub fn read(&self, region: &impl Region, tree: Tree, offset: u64, into: &mut [u8]) {
        for (number, within, range) in pieces(offset, into.len() as u64) {
            let block = self.find(region, tree, number);
            if block.0 == 0 {
                into[range].fill(0);
            } else {
                region.read(self.place(block) + within, &mut into[range]);
            }
        }
    }

    /// Writes contents, filling holes, in a tree that is high enough. If there is no space, what was written before stays.
    pub fn write(
        &mut self,
        region: &mut impl Region,
        tree: Tree,
        offset: u64,
        from: &[u8],
    ) -> Result<(), NoSpace> {
        for (number, within, range) in pieces(offset, from.len() as u64) {
            let mut block = tree.root;
            for height in (0..tree.height).rev() {
                block = self.child(region, block, number / below(height) % POINTERS)?;
            }
            region.write(self.place(block) + within, &from[range]);
        }
        Ok(())
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

    /// Makes what lies between two positions zero, where there are blocks. [`truncate`](Self::truncate) left none but the first of them.
    pub fn clear(&self, region: &mut impl Region, tree: Tree, from: u64, to: u64) {
        let end = to.min((from / BLOCK_BYTES as u64 + 1) * BLOCK_BYTES as u64);
        for (number, within, range) in pieces(from, end.saturating_sub(from)) {
            let block = self.find(region, tree, number);
            if block.0 != 0 {
                region.clear(self.place(block) + within, range.len());
            }
        }
    }

    /// Frees what lies behind the block in which `size` ends.
    pub fn truncate(&mut self, region: &mut impl Region, tree: Tree, size: u64) {
        let kept = size.div_ceil(BLOCK_BYTES as u64) as usize;
        if tree.root.0 != 0 {
            self.cut(region, tree.root, tree.height, kept);
        }
    }

    /// Frees what a table has behind its first `kept` blocks of contents. As deep as the tree is high.
    fn cut(&mut self, region: &mut impl Region, table: Block, height: u8, kept: usize) {
        if height == 0 {
            return;
        }
        let each = below(height - 1);
        for index in kept / each..POINTERS {
            let block = self.pointer(region, table, index);
            if block.0 == 0 {
                continue;
            }
            let kept = kept.saturating_sub(index * each);
            self.cut(region, block, height - 1, kept);
            if kept == 0 {
                self.set_pointer(region, table, index, Block(0));
                self.release(block);
            }
        }
    }

    /// Frees a file's blocks. The record must be gone already.
    pub fn release_tree(&mut self, region: &mut impl Region, tree: Tree) {
        self.truncate(region, tree, 0);
        self.release(tree.root);
    }
}

/// Cuts a range of a file at block borders: block number, offset in the block, range in the buffer.
fn pieces(
    offset: u64,
    length: u64,
) -> impl Iterator<Item = (usize, usize, core::ops::Range<usize>)> {
    let mut done = 0;
    core::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let at = offset + done;
        let within = at % BLOCK_BYTES as u64;
        let count = (BLOCK_BYTES as u64 - within).min(length - done);
        let range = done as usize..(done + count) as usize;
        done += count;
        Some(((at / BLOCK_BYTES as u64) as usize, within as usize, range))
    })
}
