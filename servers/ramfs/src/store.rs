//! The tree of files and directories in a region.
//!
//! Invariants between calls: `children` has exactly the names of `nodes`; every node's parent is a directory; a block is used if and only if a file's tree reaches it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::blocks::{BLOCK_BYTES, Block, Blocks, MAX_FILE_BYTES, NoSpace, Tree};
use crate::record::{self, Kind, MAX_NAME_BYTES, Node, NodeId, ROOT, SLOT_BYTES, Slot};
use crate::region::Region;

/// What a store starts with.
const MAGIC: [u8; 8] = *b"PblRamF2";
const HEADER_BYTES: usize = BLOCK_BYTES;

/// A file that is empty, or a directory.
const NO_CONTENTS: Tree = Tree {
    root: Block(0),
    height: 0,
};

/// Why something can't be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No such name.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// It is no directory.
    NotADirectory,
    /// It is a directory.
    IsADirectory,
    /// The directory has entries.
    NotEmpty,
    /// The name is empty, `.`, `..`, too long, or has a slash or a NUL.
    InvalidName,
    /// A directory can't be moved into itself.
    IntoItself,
    /// The file would be longer than files can be.
    TooLarge,
    /// No block or no node is free.
    NoSpace,
}

impl From<NoSpace> for Error {
    fn from(_: NoSpace) -> Self {
        Self::NoSpace
    }
}

/// What was found and dropped when a store was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Repairs {
    /// Records whose checksum was wrong.
    pub damaged_records: usize,
    /// Nodes without a directory to be in, or whose name a later one took.
    pub orphans: usize,
    /// Pointers to blocks that don't exist or are another file's.
    pub damaged_pointers: usize,
}

/// The store.
#[derive(Debug)]
pub struct Store<R> {
    region: R,
    slots: usize,
    blocks: Blocks,
    nodes: BTreeMap<NodeId, Node>,
    children: BTreeMap<(NodeId, String), NodeId>,
    sequence: u64,
}

impl<R: Region> Store<R> {
    /// Opens the store in `region`, or makes an empty one if there is none. `now` is the time of the root's making.
    ///
    /// # Panics
    /// If the region is smaller than a few blocks.
    pub fn open(region: R, now: i64) -> (Self, Repairs) {
        let total = region.len() / BLOCK_BYTES;
        assert!(
            total >= 8,
            "a region of a store has room for records and blocks"
        );
        // One node for every four blocks: files of 16 KiB on average, and an eighth of the memory for records.
        let slots = (total * BLOCK_BYTES / (8 * SLOT_BYTES)).max(8);
        let blocks_start = (HEADER_BYTES + slots * SLOT_BYTES).next_multiple_of(BLOCK_BYTES);
        let blocks = Blocks::new(blocks_start, total - blocks_start / BLOCK_BYTES);
        let mut store = Self {
            region,
            slots,
            blocks,
            nodes: BTreeMap::new(),
            children: BTreeMap::new(),
            sequence: 0,
        };
        let mut magic = [0; 8];
        store.region.read(0, &mut magic);
        if magic == MAGIC {
            let repairs = store.load(now);
            return (store, repairs);
        }
        store.region.clear(0, blocks_start);
        store.ensure_root(now);
        store.region.write(0, &MAGIC);
        (store, Repairs::default())
    }

    fn load(&mut self, now: i64) -> Repairs {
        let mut repairs = Repairs::default();
        for number in 0..self.slots {
            match record::read(&self.region, slot_place(number)) {
                Slot::Free(sequence) => self.sequence = self.sequence.max(sequence),
                Slot::Damaged => repairs.damaged_records += 1,
                Slot::Node(node) => {
                    self.sequence = self.sequence.max(node.sequence);
                    self.nodes.insert(NodeId(number as u32), node);
                }
            }
        }
        self.ensure_root(now);
        self.settle_names(&mut repairs);
        self.settle_blocks(&mut repairs);
        repairs
    }

    /// Of two nodes with one name the later one has it: that is the second half of a rename that was cut short. Nodes without a directory go.
    fn settle_names(&mut self, repairs: &mut Repairs) {
        let mut by_age: Vec<NodeId> = self
            .nodes
            .keys()
            .copied()
            .filter(|&id| id != ROOT)
            .collect();
        by_age.sort_by_key(|id| self.nodes[id].sequence);
        for id in by_age {
            let key = (self.nodes[&id].parent, self.nodes[&id].name.clone());
            if let Some(older) = self.children.insert(key, id) {
                self.forget(older);
                repairs.orphans += 1;
            }
        }
        loop {
            let nodes = &self.nodes;
            let is_directory = |id: &NodeId| {
                nodes
                    .get(id)
                    .is_some_and(|node| node.kind == Kind::Directory)
            };
            let Some((key, &id)) = self
                .children
                .iter()
                .find(|((parent, _), _)| !is_directory(parent))
            else {
                return;
            };
            let key = key.clone();
            self.children.remove(&key);
            self.forget(id);
            repairs.orphans += 1;
        }
    }

    /// Takes note of every file's blocks, and ends truncations that were cut short.
    fn settle_blocks(&mut self, repairs: &mut Repairs) {
        let files: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.contents != NO_CONTENTS)
            .map(|(&id, _)| id)
            .collect();
        for id in files {
            let (tree, size) = (self.nodes[&id].contents, self.nodes[&id].size);
            match self.blocks.claim_tree(&mut self.region, tree) {
                Ok(damaged) => {
                    repairs.damaged_pointers += damaged;
                    self.blocks.truncate(&mut self.region, tree, size);
                }
                Err(NoSpace) => {
                    repairs.damaged_pointers += 1;
                    let mut node = self.nodes[&id].clone();
                    (node.contents, node.size) = (NO_CONTENTS, 0);
                    self.commit(id, node);
                }
            }
        }
    }

    fn ensure_root(&mut self, now: i64) {
        if self
            .nodes
            .get(&ROOT)
            .is_some_and(|root| root.kind == Kind::Directory)
        {
            return;
        }
        let root = Node {
            kind: Kind::Directory,
            parent: ROOT,
            name: String::new(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            contents: NO_CONTENTS,
            modified_ns: now,
            changed_ns: now,
            version: 1,
            sequence: 0,
            birth: 0,
        };
        self.commit(ROOT, root);
    }

    /// A node by number.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// The child of a directory with this name.
    pub fn child(&self, directory: NodeId, name: &str) -> Result<NodeId, Error> {
        self.directory(directory)?;
        self.children
            .get(&(directory, String::from(name)))
            .copied()
            .ok_or(Error::NotFound)
    }

    /// Follows names from a directory. An empty path is the directory itself.
    pub fn walk<'a>(
        &self,
        from: NodeId,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<NodeId, Error> {
        names
            .into_iter()
            .try_fold(from, |directory, name| self.child(directory, name))
    }

    /// Names and numbers in a directory, sorted, those after `after`.
    pub fn list(
        &self,
        directory: NodeId,
        after: &str,
    ) -> Result<impl Iterator<Item = (&str, NodeId)>, Error> {
        self.directory(directory)?;
        let from = (directory, String::from(after));
        let all = self
            .children
            .range(from..)
            .take_while(move |((parent, _), _)| *parent == directory);
        let after = String::from(after);
        Ok(all
            .filter(move |((_, name), _)| *name > after || after.is_empty())
            .map(|((_, name), id)| (name.as_str(), *id)))
    }

    /// Makes a file or directory.
    pub fn create(
        &mut self,
        directory: NodeId,
        name: &str,
        kind: Kind,
        mode: u16,
        now: i64,
    ) -> Result<NodeId, Error> {
        check_name(name)?;
        match self.child(directory, name) {
            Ok(_) => return Err(Error::AlreadyExists),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        let id = (0..self.slots as u32)
            .map(NodeId)
            .find(|id| !self.nodes.contains_key(id))
            .ok_or(Error::NoSpace)?;
        let node = Node {
            kind,
            parent: directory,
            name: String::from(name),
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            contents: NO_CONTENTS,
            modified_ns: now,
            changed_ns: now,
            version: 1,
            sequence: 0,
            birth: 0,
        };
        self.commit(id, node);
        self.children.insert((directory, String::from(name)), id);
        Ok(id)
    }

    /// Removes a file or an empty directory.
    pub fn remove(&mut self, id: NodeId) -> Result<(), Error> {
        let node = self
            .nodes
            .get(&id)
            .filter(|_| id != ROOT)
            .ok_or(Error::NotFound)?;
        if node.kind == Kind::Directory && self.list(id, "")?.next().is_some() {
            return Err(Error::NotEmpty);
        }
        self.children.remove(&(node.parent, node.name.clone()));
        let contents = node.contents;
        self.forget(id);
        self.blocks.release_tree(&mut self.region, contents);
        Ok(())
    }

    /// Gives a node another name and directory. A file (or an empty directory, by a directory) that has the name is replaced, at once.
    pub fn rename(
        &mut self,
        id: NodeId,
        directory: NodeId,
        name: &str,
        now: i64,
    ) -> Result<(), Error> {
        check_name(name)?;
        let node = self
            .nodes
            .get(&id)
            .filter(|_| id != ROOT)
            .ok_or(Error::NotFound)?
            .clone();
        self.directory(directory)?;
        if node.kind == Kind::Directory && self.is_below(directory, id) {
            return Err(Error::IntoItself);
        }
        let victim = self
            .child(directory, name)
            .ok()
            .filter(|&victim| victim != id);
        if let Some(victim) = victim {
            self.check_replaceable(victim, node.kind)?;
        }
        self.children.remove(&(node.parent, node.name.clone()));
        let changed = Node {
            parent: directory,
            name: String::from(name),
            changed_ns: now,
            version: node.version + 1,
            ..node
        };
        self.commit(id, changed);
        self.children.insert((directory, String::from(name)), id);
        if let Some(victim) = victim {
            let contents = self.nodes[&victim].contents;
            self.forget(victim);
            self.blocks.release_tree(&mut self.region, contents);
        }
        Ok(())
    }

    fn check_replaceable(&self, victim: NodeId, by: Kind) -> Result<(), Error> {
        match (self.nodes[&victim].kind, by) {
            (Kind::File, Kind::File) => Ok(()),
            (Kind::Directory, Kind::File) => Err(Error::IsADirectory),
            (Kind::File, Kind::Directory) => Err(Error::NotADirectory),
            (Kind::Directory, Kind::Directory) if self.list(victim, "")?.next().is_some() => {
                Err(Error::NotEmpty)
            }
            (Kind::Directory, Kind::Directory) => Ok(()),
        }
    }

    /// Reads from a file; fewer bytes only at its end.
    pub fn read(&self, id: NodeId, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let node = self.file(id)?;
        let available = node.size.saturating_sub(offset).min(length as u64) as usize;
        let mut data = vec![0; available];
        self.blocks
            .read(&self.region, node.contents, offset, &mut data);
        Ok(data)
    }

    /// Writes to a file, beyond its end too; answers the new size. What is acknowledged is there after a restart.
    pub fn write(&mut self, id: NodeId, offset: u64, data: &[u8], now: i64) -> Result<u64, Error> {
        let mut node = self.file(id)?.clone();
        let end = offset
            .checked_add(data.len() as u64)
            .filter(|&end| end <= MAX_FILE_BYTES)
            .ok_or(Error::TooLarge)?;
        if data.is_empty() {
            return Ok(node.size);
        }
        let contents = self.blocks.grown(&mut self.region, node.contents, end)?;
        if contents != node.contents {
            // From here on the new blocks belong to the file, so that a failure below leaks nothing.
            node.contents = contents;
            self.commit(id, node.clone());
            node = self.nodes[&id].clone();
        }
        self.blocks
            .clear(&mut self.region, contents, node.size, offset);
        if let Err(error) = self.blocks.write(&mut self.region, contents, offset, data) {
            // What was written of it lies behind the end.
            self.blocks.truncate(&mut self.region, contents, node.size);
            return Err(error.into());
        }
        (node.size, node.modified_ns, node.changed_ns) = (node.size.max(end), now, now);
        node.version += 1;
        let size = node.size;
        self.commit(id, node);
        Ok(size)
    }

    /// Sets the size of a file.
    pub fn truncate(&mut self, id: NodeId, size: u64, now: i64) -> Result<(), Error> {
        let mut node = self.file(id)?.clone();
        if size > MAX_FILE_BYTES {
            return Err(Error::TooLarge);
        }
        self.blocks
            .clear(&mut self.region, node.contents, node.size, size);
        (node.size, node.modified_ns, node.changed_ns) = (size, now, now);
        node.version += 1;
        let contents = node.contents;
        self.commit(id, node);
        self.blocks.truncate(&mut self.region, contents, size);
        Ok(())
    }

    /// Changes permissions, owner and times.
    pub fn set_attributes(
        &mut self,
        id: NodeId,
        mode: Option<u16>,
        owner: Option<(u32, u32)>,
        modified_ns: Option<i64>,
        now: i64,
    ) -> Result<(), Error> {
        let mut node = self.nodes.get(&id).ok_or(Error::NotFound)?.clone();
        node.mode = mode.unwrap_or(node.mode) & 0o777;
        (node.uid, node.gid) = owner.unwrap_or((node.uid, node.gid));
        node.modified_ns = modified_ns.unwrap_or(node.modified_ns);
        node.changed_ns = now;
        node.version += 1;
        self.commit(id, node);
        Ok(())
    }

    /// Bytes that contents can take, and bytes that they take.
    pub fn usage(&self) -> (u64, u64) {
        let total = self.blocks.count().saturating_sub(1);
        (
            (total * BLOCK_BYTES) as u64,
            ((total - self.blocks.free()) * BLOCK_BYTES) as u64,
        )
    }

    /// Gives the region back, as a restart would find it.
    pub fn into_region(self) -> R {
        self.region
    }

    fn directory(&self, id: NodeId) -> Result<&Node, Error> {
        let node = self.nodes.get(&id).ok_or(Error::NotFound)?;
        if node.kind == Kind::Directory {
            Ok(node)
        } else {
            Err(Error::NotADirectory)
        }
    }

    fn file(&self, id: NodeId) -> Result<&Node, Error> {
        let node = self.nodes.get(&id).ok_or(Error::NotFound)?;
        if node.kind == Kind::File {
            Ok(node)
        } else {
            Err(Error::IsADirectory)
        }
    }

    fn is_below(&self, mut id: NodeId, above: NodeId) -> bool {
        // Parents of living nodes lead to the root in fewer steps than there are nodes.
        for _ in 0..=self.nodes.len() {
            if id == above {
                return true;
            }
            match self.nodes.get(&id) {
                Some(node) if id != ROOT => id = node.parent,
                _ => return false,
            }
        }
        true
    }

    fn commit(&mut self, id: NodeId, mut node: Node) {
        self.sequence += 1;
        node.sequence = self.sequence;
        if node.birth == 0 {
            node.birth = self.sequence;
        }
        record::write(&mut self.region, slot_place(id.0 as usize), &node);
        self.nodes.insert(id, node);
    }

    fn forget(&mut self, id: NodeId) {
        self.sequence += 1;
        record::free(&mut self.region, slot_place(id.0 as usize), self.sequence);
        self.nodes.remove(&id);
    }
}

const fn slot_place(number: usize) -> usize {
    HEADER_BYTES + number * SLOT_BYTES
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_bad = name.is_empty()
        || name.len() > MAX_NAME_BYTES
        || name == "."
        || name == ".."
        || name.contains(['/', '\0']);
    if is_bad {
        Err(Error::InvalidName)
    } else {
        Ok(())
    }
}
