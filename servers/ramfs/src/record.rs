//! Records of files and directories, written so that a kill at any moment leaves the old or the new one.
//!
//! Each node has two places; a write goes to the one with the older record. A record counts if its checksum is right; of two that count, the one with the higher
//! sequence number does. The sequence is one for the whole store, so it also says which of two nodes with the same name came later: that is how a rename over an
//! existing name is one write.

use alloc::string::String;

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::blocks::{Block, MAX_HEIGHT, Tree};
use crate::region::Region;

/// Bytes of a name, at most.
pub const MAX_NAME_BYTES: usize = 255;
/// Bytes of a record.
pub const RECORD_BYTES: usize = size_of::<Record>();
/// Bytes of a node's place: two records.
pub const SLOT_BYTES: usize = 2 * RECORD_BYTES;

/// Number of a node. The root is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct NodeId(pub u32);

/// The root directory.
pub const ROOT: NodeId = NodeId(0);

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

const FREE: u8 = 0;
const FILE: u8 = 1;
const DIRECTORY: u8 = 2;

/// A record as it lies in memory.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    crc: U32,
    kind: u8,
    name_length: u8,
    mode: U16,
    sequence: U64,
    parent: U32,
    uid: U32,
    gid: U32,
    root: U32,
    size: U64,
    modified_ns: I64,
    changed_ns: I64,
    version: U64,
    birth: U64,
    height: u8,
    reserved: [u8; 182],
    name: [u8; MAX_NAME_BYTES],
    padding: [u8; 2],
}

const _: () = assert!(RECORD_BYTES == 512);

/// A node as the server knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// File or directory.
    pub kind: Kind,
    /// The directory it is in.
    pub parent: NodeId,
    /// Its name there.
    pub name: String,
    /// Permissions.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Where its contents are.
    pub contents: Tree,
    /// When its contents changed, nanoseconds since 1970.
    pub modified_ns: i64,
    /// When anything of it changed.
    pub changed_ns: i64,
    /// Grows with each change.
    pub version: u64,
    /// Which write of the store this was.
    pub sequence: u64,
    /// Which write of the store made the node: two nodes with one number are told apart by this.
    pub birth: u64,
}

/// What lies in a node's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Nothing; the highest sequence number seen there.
    Free(u64),
    /// A node.
    Node(Node),
    /// Bytes that make no valid record, though something was written.
    Damaged,
}

/// Reads a node's place.
pub fn read(region: &impl Region, at: usize) -> Slot {
    let both = [load(region, at), load(region, at + RECORD_BYTES)];
    let newest = both
        .iter()
        .filter_map(|found| found.as_ref().ok())
        .max_by_key(|record| record.sequence.get());
    match newest {
        Some(record) => decode(record),
        // One place never written: the other is the first write of this node, cut short before anybody heard of it.
        None if both
            .iter()
            .any(|found| matches!(found, Err(Unreadable::Blank))) =>
        {
            Slot::Free(0)
        }
        None => Slot::Damaged,
    }
}

/// Writes a node into its place, leaving the newest record there until this one is complete.
pub fn write(region: &mut impl Region, at: usize, node: &Node) {
    let mut name = [0; MAX_NAME_BYTES];
    name[..node.name.len()].copy_from_slice(node.name.as_bytes());
    store(
        region,
        at,
        Record {
            crc: U32::ZERO,
            kind: if node.kind == Kind::File {
                FILE
            } else {
                DIRECTORY
            },
            name_length: node.name.len() as u8,
            mode: U16::new(node.mode),
            sequence: U64::new(node.sequence),
            parent: U32::new(node.parent.0),
            uid: U32::new(node.uid),
            gid: U32::new(node.gid),
            root: U32::new(node.contents.root.0),
            size: U64::new(node.size),
            modified_ns: I64::new(node.modified_ns),
            changed_ns: I64::new(node.changed_ns),
            version: U64::new(node.version),
            birth: U64::new(node.birth),
            height: node.contents.height,
            reserved: [0; 182],
            name,
            padding: [0; 2],
        },
    );
}

/// Says that a place is free from this write on.
pub fn free(region: &mut impl Region, at: usize, sequence: u64) {
    let mut record = Record::new_zeroed();
    record.sequence = U64::new(sequence);
    store(region, at, record);
}

enum Unreadable {
    Blank,
    Wrong,
}

fn load(region: &impl Region, at: usize) -> Result<Record, Unreadable> {
    let mut record = Record::new_zeroed();
    region.read(at, record.as_mut_bytes());
    let crc = record.crc.get();
    record.crc = U32::ZERO;
    if crc == 0 && record.as_bytes().iter().all(|&byte| byte == 0) {
        return Err(Unreadable::Blank);
    }
    if crc != crc32fast::hash(record.as_bytes()) {
        Err(Unreadable::Wrong)
    } else {
        Ok(record)
    }
}

fn decode(record: &Record) -> Slot {
    let kind = match record.kind {
        FREE => return Slot::Free(record.sequence.get()),
        FILE => Kind::File,
        DIRECTORY => Kind::Directory,
        _ => return Slot::Damaged,
    };
    if record.height > MAX_HEIGHT {
        return Slot::Damaged;
    }
    let Ok(name) = core::str::from_utf8(&record.name[..usize::from(record.name_length)]) else {
        return Slot::Damaged;
    };
    Slot::Node(Node {
        kind,
        parent: NodeId(record.parent.get()),
        name: name.into(),
        mode: record.mode.get(),
        uid: record.uid.get(),
        gid: record.gid.get(),
        size: record.size.get(),
        contents: Tree {
            root: Block(record.root.get()),
            height: record.height,
        },
        modified_ns: record.modified_ns.get(),
        changed_ns: record.changed_ns.get(),
        version: record.version.get(),
        sequence: record.sequence.get(),
        birth: record.birth.get(),
    })
}

fn store(region: &mut impl Region, at: usize, mut record: Record) {
    record.crc = U32::new(crc32fast::hash(record.as_bytes()));
    let sequence_at =
        |region: &_, place| load(region, place).map_or(0, |record| record.sequence.get() + 1);
    let first_is_older = sequence_at(region, at) <= sequence_at(region, at + RECORD_BYTES);
    let place = if first_is_older {
        at
    } else {
        at + RECORD_BYTES
    };
    // The checksum goes last: until it is there, the old record is the one that counts.
    region.clear(place, 4);
    region.write(place + 4, &record.as_bytes()[4..]);
    region.write(place, &record.as_bytes()[..4]);
}
