//! What clients ask: names through `directory`, contents through `file`.

use alloc::vec;

use libipc::capsule::{Part, Replies};
use libipc::prelude::*;
use libipc::{Badge, Journal, Minter, RequestNumber, fault};
use protocols::directory::{
    Access, Create, Directory, Entry, Error, FileType, Listing, Metadata, Mount, OpenOptions, names,
};
use protocols::file::{File, MAX_CHUNK_BYTES};
use ramfs::record::{Node, ROOT};
use ramfs::{Kind, NodeId, Store, store};

use crate::opens::{Open, Opens};
use crate::{CapsuleRegion, Clock, DIRECTORY, FILE};

/// Bytes of entries in one listing, so that it fits a message.
const LISTING_BYTES: usize = 3000;
/// Bytes of an entry besides its name, at most.
const ENTRY_BYTES: usize = 80;
/// Bytes in one bulk transfer, at most.
const MAX_BULK_BYTES: u32 = 256 * 1024;

/// The server.
pub struct Server {
    store: Store<CapsuleRegion>,
    opens: Opens,
    answers: Replies<Part>,
    minter: Minter,
    clock: Clock,
}

/// Where a path leads: the directory, and the last name in it; none for the root of the view.
struct Place<'p> {
    directory: NodeId,
    name: Option<&'p str>,
}

impl Server {
    /// Puts the parts together.
    pub fn new(
        store: Store<CapsuleRegion>,
        opens: Opens,
        answers: Replies<Part>,
        minter: Minter,
        clock: Clock,
    ) -> Self {
        Self {
            store,
            opens,
            answers,
            minter,
            clock,
        }
    }

    /// A Connection's last copy is gone.
    pub fn forget(&mut self, badge: Badge) {
        self.answers.forget(badge);
        if badge.is_own() {
            self.opens.remove(badge.number() as usize);
        }
    }

    /// What a caller sees as its root, and what it may do there. init's Connections see everything.
    fn view_of(&self, badge: Badge) -> Result<(NodeId, Access), Error> {
        if !badge.is_own() {
            return Ok((
                ROOT,
                Access {
                    read: true,
                    write: true,
                },
            ));
        }
        let open = self.open_of(badge)?;
        Ok((open.node(), open.access()))
    }

    fn open_of(&self, badge: Badge) -> Result<Open, Error> {
        let open = self
            .opens
            .get(badge.number() as usize)
            .ok_or(Error::NotPermitted)?;
        let is_same = self
            .store
            .node(open.node())
            .is_some_and(|node| node.birth == open.birth);
        if is_same {
            Ok(open)
        } else {
            Err(Error::NotFound)
        }
    }

    fn readable(&self, badge: Badge, path: &str) -> Result<NodeId, Error> {
        let (root, access) = self.view_of(badge)?;
        if !access.read {
            return Err(Error::NotPermitted);
        }
        self.store.walk(root, names(path)?).map_err(translate)
    }

    fn writable<'p>(&self, badge: Badge, path: &'p str) -> Result<Place<'p>, Error> {
        let (root, access) = self.view_of(badge)?;
        if !access.write {
            return Err(Error::ReadOnly);
        }
        let names = names(path)?;
        match names.split_last() {
            None => Ok(Place {
                directory: root,
                name: None,
            }),
            Some((name, folders)) => {
                let directory = self
                    .store
                    .walk(root, folders.iter().copied())
                    .map_err(translate)?;
                Ok(Place {
                    directory,
                    name: Some(name),
                })
            }
        }
    }

    fn metadata(&self, id: NodeId) -> Result<Metadata, Error> {
        self.store
            .node(id)
            .map(|node| describe(id, node))
            .ok_or(Error::NotFound)
    }

    fn make_parents(&mut self, badge: Badge, path: &str) -> Result<(), Error> {
        let (mut directory, access) = self.view_of(badge)?;
        if !access.write {
            return Err(Error::ReadOnly);
        }
        let names = names(path)?;
        for name in names.split_last().map_or(&[][..], |(_, folders)| folders) {
            directory = match self.store.child(directory, name) {
                Ok(found) => found,
                Err(store::Error::NotFound) => self
                    .store
                    .create(directory, name, Kind::Directory, 0o755, self.clock.now())
                    .map_err(translate)?,
                Err(error) => return Err(translate(error)),
            };
        }
        Ok(())
    }

    fn remove_tree(&mut self, id: NodeId) -> Result<(), Error> {
        // Depth first with a list of its own: a tree may be deeper than a stack.
        let mut left = vec![id];
        while let Some(&node) = left.last() {
            let children: Vec<NodeId> = match self.store.list(node, "") {
                Ok(entries) => entries.map(|(_, child)| child).collect(),
                Err(_) => Vec::new(),
            };
            if children.is_empty() {
                self.store.remove(node).map_err(translate)?;
                left.pop();
            } else {
                left.extend(children);
            }
        }
        Ok(())
    }

    fn mint(
        &mut self,
        protocol: u8,
        node: NodeId,
        access: Access,
    ) -> Result<Handle<Connection>, Error> {
        let birth = self.store.node(node).ok_or(Error::NotFound)?.birth;
        let index = self
            .opens
            .add(Open::new(node, birth, access))
            .ok_or(Error::LimitReached)?;
        match self.minter.mint(Badge::own(protocol, index as u64)) {
            Ok(minted) => Ok(minted.client),
            Err(error) => {
                self.opens.remove(index);
                libipc::warn!("no further Connection: {error}");
                Err(Error::LimitReached)
            }
        }
    }

    fn file_to_read(&self, caller: Caller) -> Result<NodeId, Error> {
        let open = self.open_of(caller.badge)?;
        if open.read {
            Ok(open.node())
        } else {
            Err(Error::NotPermitted)
        }
    }

    fn file_to_write(&self, caller: Caller) -> Result<NodeId, Error> {
        let open = self.open_of(caller.badge)?;
        if open.write {
            Ok(open.node())
        } else {
            Err(Error::ReadOnly)
        }
    }
}

fn describe(id: NodeId, node: &Node) -> Metadata {
    Metadata {
        file_type: if node.kind == Kind::File {
            FileType::File
        } else {
            FileType::Directory
        },
        size: node.size,
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        modified_ns: node.modified_ns,
        changed_ns: node.changed_ns,
        links: 1,
        version: node.version,
        inode: u64::from(id.0),
    }
}

fn translate(error: store::Error) -> Error {
    match error {
        store::Error::NotFound => Error::NotFound,
        store::Error::AlreadyExists => Error::AlreadyExists,
        store::Error::NotADirectory => Error::NotADirectory,
        store::Error::IsADirectory => Error::IsADirectory,
        store::Error::NotEmpty => Error::NotEmpty,
        store::Error::InvalidName => Error::InvalidName,
        store::Error::IntoItself => Error::NotPermitted,
        store::Error::TooLarge => Error::TooLarge {
            limit: ramfs::blocks::MAX_FILE_BYTES,
        },
        store::Error::NoSpace => Error::NoSpace,
    }
}

impl Journal for Server {
    fn recall(&mut self, client: Badge, request: RequestNumber) -> Option<&[u8]> {
        self.answers.recall(client, request)
    }

    fn remember(&mut self, client: Badge, request: RequestNumber, answer: &[u8]) {
        self.answers.remember(client, request, answer);
    }
}

impl Directory for Server {
    fn open(
        &mut self,
        caller: Caller,
        path: String,
        options: OpenOptions,
    ) -> Result<(Handle<Connection>, Metadata), Error> {
        let creates = options.create != Create::Never;
        let node = if options.write || creates || options.truncate {
            if options.create == Create::WithParents {
                self.make_parents(caller.badge, &path)?;
            }
            let place = self.writable(caller.badge, &path)?;
            let name = place.name.ok_or(Error::IsADirectory)?;
            match self.store.child(place.directory, name) {
                Ok(_) if options.create == Create::New => return Err(Error::AlreadyExists),
                Ok(found) => found,
                Err(store::Error::NotFound) if creates => self
                    .store
                    .create(place.directory, name, Kind::File, 0o644, self.clock.now())
                    .map_err(translate)?,
                Err(error) => return Err(translate(error)),
            }
        } else {
            self.readable(caller.badge, &path)?
        };
        if self.metadata(node)?.file_type == FileType::Directory {
            return Err(Error::IsADirectory);
        }
        if options.truncate {
            self.store
                .truncate(node, 0, self.clock.now())
                .map_err(translate)?;
        }
        let connection = self.mint(
            FILE,
            node,
            Access {
                read: options.read,
                write: options.write,
            },
        )?;
        Ok((connection, self.metadata(node)?))
    }

    fn stat(&mut self, caller: Caller, path: String) -> Result<Metadata, Error> {
        let node = self.readable(caller.badge, &path)?;
        self.metadata(node)
    }

    fn list(&mut self, caller: Caller, path: String, after: String) -> Result<Listing, Error> {
        let directory = self.readable(caller.badge, &path)?;
        let (mut entries, mut bytes, mut next) = (Vec::new(), 0, None);
        for (name, id) in self.store.list(directory, &after).map_err(translate)? {
            bytes += name.len() + ENTRY_BYTES;
            if bytes > LISTING_BYTES {
                next = entries.last().map(|entry: &Entry| entry.name.clone());
                break;
            }
            entries.push(Entry {
                name: name.into(),
                metadata: self.metadata(id)?,
            });
        }
        Ok(Listing { entries, next })
    }

    fn read(
        &mut self,
        caller: Caller,
        path: String,
        offset: u64,
        length: u32,
    ) -> Result<(Vec<u8>, Metadata), Error> {
        let node = self.readable(caller.badge, &path)?;
        let length = checked_length(length)?;
        let data = self.store.read(node, offset, length).map_err(translate)?;
        Ok((data, self.metadata(node)?))
    }

    fn make_directory(
        &mut self,
        caller: Caller,
        path: String,
        parents: bool,
    ) -> Result<Metadata, Error> {
        if parents {
            self.make_parents(caller.badge, &path)?;
        }
        let place = self.writable(caller.badge, &path)?;
        let name = place.name.ok_or(Error::AlreadyExists)?;
        let made = self.store.create(
            place.directory,
            name,
            Kind::Directory,
            0o755,
            self.clock.now(),
        );
        match (made, parents) {
            (Ok(id), _) => self.metadata(id),
            (Err(store::Error::AlreadyExists), true) => {
                let metadata =
                    self.metadata(self.store.child(place.directory, name).map_err(translate)?)?;
                if metadata.file_type == FileType::Directory {
                    Ok(metadata)
                } else {
                    Err(Error::AlreadyExists)
                }
            }
            (Err(error), _) => Err(translate(error)),
        }
    }

    fn remove(&mut self, caller: Caller, path: String, recursive: bool) -> Result<(), Error> {
        let place = self.writable(caller.badge, &path)?;
        let name = place.name.ok_or(Error::NotPermitted)?;
        let node = self.store.child(place.directory, name).map_err(translate)?;
        if recursive {
            self.remove_tree(node)
        } else {
            self.store.remove(node).map_err(translate)
        }
    }

    fn rename(&mut self, caller: Caller, from: String, to: String) -> Result<Metadata, Error> {
        let source = self.writable(caller.badge, &from)?;
        let target = self.writable(caller.badge, &to)?;
        let (Some(source_name), Some(target_name)) = (source.name, target.name) else {
            return Err(Error::NotPermitted);
        };
        let node = self
            .store
            .child(source.directory, source_name)
            .map_err(translate)?;
        self.store
            .rename(node, target.directory, target_name, self.clock.now())
            .map_err(translate)?;
        self.metadata(node)
    }

    fn set_attributes(
        &mut self,
        caller: Caller,
        path: String,
        mode: Option<u16>,
        owner: Option<(u32, u32)>,
        modified_ns: Option<i64>,
    ) -> Result<Metadata, Error> {
        let place = self.writable(caller.badge, &path)?;
        let node = match place.name {
            Some(name) => self.store.child(place.directory, name).map_err(translate)?,
            None => place.directory,
        };
        self.store
            .set_attributes(node, mode, owner, modified_ns, self.clock.now())
            .map_err(translate)?;
        self.metadata(node)
    }

    fn view(
        &mut self,
        caller: Caller,
        root: String,
        access: Access,
    ) -> Result<Handle<Connection>, Error> {
        let (from, allowed) = self.view_of(caller.badge)?;
        let node = self.store.walk(from, names(&root)?).map_err(translate)?;
        if self.metadata(node)?.file_type != FileType::Directory {
            return Err(Error::NotADirectory);
        }
        let access = Access {
            read: access.read && allowed.read,
            write: access.write && allowed.write,
        };
        self.mint(DIRECTORY, node, access)
    }

    fn mounts(&mut self, caller: Caller) -> Result<Vec<Mount>, Error> {
        let (_, access) = self.view_of(caller.badge)?;
        let (total_bytes, used_bytes) = self.store.usage();
        Ok(vec![Mount {
            path: "/".into(),
            service: "ramfs".into(),
            writable: access.write,
            total_bytes,
            used_bytes,
        }])
    }

    fn sync(&mut self, _caller: Caller) -> Result<u64, Error> {
        Ok(1)
    }
}

fn checked_length(length: u32) -> Result<usize, Error> {
    let limit = MAX_CHUNK_BYTES;
    if length as usize > limit {
        Err(Error::TooLarge {
            limit: limit as u64,
        })
    } else {
        Ok(length as usize)
    }
}

impl File for Server {
    fn read(&mut self, caller: Caller, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let node = self.file_to_read(caller)?;
        self.store
            .read(node, offset, checked_length(length)?)
            .map_err(translate)
    }

    fn write(&mut self, caller: Caller, offset: u64, data: Vec<u8>) -> Result<u64, Error> {
        let node = self.file_to_write(caller)?;
        checked_length(data.len() as u32)?;
        let size = self
            .store
            .write(node, offset, &data, self.clock.now())
            .map_err(translate)?;
        fault::point("ramfs.written");
        Ok(size)
    }

    fn append(&mut self, caller: Caller, data: Vec<u8>) -> Result<u64, Error> {
        let node = self.file_to_write(caller)?;
        checked_length(data.len() as u32)?;
        let at = self.metadata(node)?.size;
        self.store
            .write(node, at, &data, self.clock.now())
            .map_err(translate)?;
        Ok(at)
    }

    fn truncate(&mut self, caller: Caller, size: u64) -> Result<Metadata, Error> {
        let node = self.file_to_write(caller)?;
        self.store
            .truncate(node, size, self.clock.now())
            .map_err(translate)?;
        self.metadata(node)
    }

    fn stat(&mut self, caller: Caller) -> Result<Metadata, Error> {
        let open = self.open_of(caller.badge)?;
        self.metadata(open.node())
    }

    fn attach(&mut self, caller: Caller, buffer: Handle<MemoryObject>) -> Result<(), Error> {
        self.open_of(caller.badge)?;
        self.opens
            .attach(caller.badge.number() as usize, &buffer)
            .map_err(|error| {
                libipc::warn!("memory can't be attached: {error}");
                Error::LimitReached
            })
    }

    fn read_bulk(
        &mut self,
        caller: Caller,
        offset: u64,
        length: u32,
        at: u32,
    ) -> Result<u32, Error> {
        let node = self.file_to_read(caller)?;
        if length > MAX_BULK_BYTES {
            return Err(Error::TooLarge {
                limit: u64::from(MAX_BULK_BYTES),
            });
        }
        let data = self
            .store
            .read(node, offset, length as usize)
            .map_err(translate)?;
        let memory = self
            .opens
            .attached(caller.badge.number() as usize)
            .ok_or(Error::NotPermitted)?;
        if memory.write(at as usize, &data) {
            Ok(data.len() as u32)
        } else {
            Err(Error::TooLarge {
                limit: memory.len() as u64,
            })
        }
    }

    fn write_bulk(
        &mut self,
        caller: Caller,
        offset: u64,
        length: u32,
        at: u32,
    ) -> Result<u64, Error> {
        let node = self.file_to_write(caller)?;
        if length > MAX_BULK_BYTES {
            return Err(Error::TooLarge {
                limit: u64::from(MAX_BULK_BYTES),
            });
        }
        let mut data = vec![0; length as usize];
        let memory = self
            .opens
            .attached(caller.badge.number() as usize)
            .ok_or(Error::NotPermitted)?;
        if !memory.read(at as usize, &mut data) {
            return Err(Error::TooLarge {
                limit: memory.len() as u64,
            });
        }
        self.store
            .write(node, offset, &data, self.clock.now())
            .map_err(translate)
    }

    fn sync(&mut self, _caller: Caller) -> Result<(), Error> {
        Ok(())
    }
}
