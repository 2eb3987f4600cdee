//! What clients ask, passed on to the filesystem that the path leads to.

use libipc::capsule::{Part, Replies};
use libipc::outcome::NotDelivered;
use libipc::prelude::*;
use libipc::{Badge, Deadline, Failure, Journal, Minter, RequestNumber, Terms};
use protocols::directory::{
    Access, Client, Create, Directory, Error, Listing, Metadata, Mount, OpenOptions, names,
};
use vfs::Mounts;
use vfs::mounts::Mount as Mounted;

use crate::views::{View, Views};

/// What a filesystem may take for an answer. The caller's own deadline ends it earlier.
const PATIENCE_MS: u64 = 10_000;

/// The server.
pub struct Server {
    mounts: Mounts<Client>,
    views: Views,
    answers: Replies<Part>,
    minter: Minter,
}

/// Whether a path is to be looked at or changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Look,
    Change,
}

impl Server {
    /// Puts the parts together.
    pub fn new(
        mounts: Mounts<Client>,
        views: Views,
        answers: Replies<Part>,
        minter: Minter,
    ) -> Self {
        Self {
            mounts,
            views,
            answers,
            minter,
        }
    }

    /// A Connection's last copy is gone.
    pub fn forget(&mut self, badge: Badge) {
        self.answers.forget(badge);
        if badge.is_own() {
            self.views.remove(badge.number() as usize);
        }
    }

    /// What a caller sees as its root. init's Connections see everything.
    fn view_of(&self, badge: Badge) -> Result<View, Error> {
        if !badge.is_own() {
            return Ok(View {
                root: Vec::new(),
                access: Access {
                    read: true,
                    write: true,
                },
            });
        }
        self.views
            .get(badge.number() as usize)
            .cloned()
            .ok_or(Error::NotPermitted)
    }

    fn resolve(
        &self,
        caller: Caller,
        path: &str,
        purpose: Purpose,
    ) -> Result<(&Mounted<Client>, String), Error> {
        let view = self.view_of(caller.badge)?;
        let given = names(path)?;
        let all = view
            .root
            .iter()
            .map(String::as_str)
            .chain(given.iter().copied());
        let resolved = self.mounts.resolve(all).ok_or(Error::NotFound)?;
        let mount = self.mounts.get(resolved.mount).ok_or(Error::NotFound)?;
        match purpose {
            Purpose::Look if !view.access.read => Err(Error::NotPermitted),
            Purpose::Change if !view.access.write || !mount.writable => Err(Error::ReadOnly),
            _ => Ok((mount, resolved.path)),
        }
    }
}

fn terms(caller: Caller) -> Terms {
    Deadline::after_ms(PATIENCE_MS).on_behalf_of(&caller)
}

fn passed<T>(result: Result<T, CallError<Error>>) -> Result<T, Error> {
    result.map_err(|error| match error {
        CallError::Method(error) => error,
        // The call was made on behalf of somebody who is gone: nobody hears the answer.
        CallError::Failed(
            Failure::NotDelivered(NotDelivered::Refused) | Failure::Cancelled { .. },
        ) => Error::Io,
        CallError::Failed(failure) => {
            libipc::warn!("a filesystem did not answer: {failure}");
            Error::Io
        }
    })
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
        let changes = options.write || options.truncate || options.create != Create::Never;
        let purpose = if changes {
            Purpose::Change
        } else {
            Purpose::Look
        };
        let (mount, path) = self.resolve(caller, &path, purpose)?;
        passed(mount.filesystem.open(terms(caller), path, options))
    }

    fn stat(&mut self, caller: Caller, path: String) -> Result<Metadata, Error> {
        let (mount, path) = self.resolve(caller, &path, Purpose::Look)?;
        passed(mount.filesystem.stat(terms(caller), path))
    }

    fn list(&mut self, caller: Caller, path: String, after: String) -> Result<Listing, Error> {
        let (mount, path) = self.resolve(caller, &path, Purpose::Look)?;
        passed(mount.filesystem.list(terms(caller), path, after))
    }

    fn read(
        &mut self,
        caller: Caller,
        path: String,
        offset: u64,
        length: u32,
    ) -> Result<(Vec<u8>, Metadata), Error> {
        let (mount, path) = self.resolve(caller, &path, Purpose::Look)?;
        passed(mount.filesystem.read(terms(caller), path, offset, length))
    }

    fn make_directory(
        &mut self,
        caller: Caller,
        path: String,
        parents: bool,
    ) -> Result<Metadata, Error> {
        let (mount, path) = self.resolve(caller, &path, Purpose::Change)?;
        passed(
            mount
                .filesystem
                .make_directory(terms(caller), path, parents),
        )
    }

    fn remove(&mut self, caller: Caller, path: String, recursive: bool) -> Result<(), Error> {
        let (mount, path) = self.resolve(caller, &path, Purpose::Change)?;
        passed(mount.filesystem.remove(terms(caller), path, recursive))
    }

    fn rename(&mut self, caller: Caller, from: String, to: String) -> Result<Metadata, Error> {
        let (source, from) = self.resolve(caller, &from, Purpose::Change)?;
        let (target, to) = self.resolve(caller, &to, Purpose::Change)?;
        if !core::ptr::eq(source, target) {
            return Err(Error::CrossDevice);
        }
        passed(source.filesystem.rename(terms(caller), from, to))
    }

    fn set_attributes(
        &mut self,
        caller: Caller,
        path: String,
        mode: Option<u16>,
        owner: Option<(u32, u32)>,
        modified_ns: Option<i64>,
    ) -> Result<Metadata, Error> {
        let (mount, path) = self.resolve(caller, &path, Purpose::Change)?;
        passed(
            mount
                .filesystem
                .set_attributes(terms(caller), path, mode, owner, modified_ns),
        )
    }

    fn view(
        &mut self,
        caller: Caller,
        root: String,
        access: Access,
    ) -> Result<Handle<Connection>, Error> {
        let from = self.view_of(caller.badge)?;
        let given = names(&root)?;
        let access = Access {
            read: access.read && from.access.read,
            write: access.write && from.access.write,
        };
        let root = from
            .root
            .into_iter()
            .chain(given.into_iter().map(String::from))
            .collect();
        let index = self
            .views
            .add(View { root, access })
            .ok_or(Error::LimitReached)?;
        match self.minter.mint(Badge::own(0, index as u64)) {
            Ok(minted) => Ok(minted.client),
            Err(error) => {
                self.views.remove(index);
                libipc::warn!("no further Connection: {error}");
                Err(Error::LimitReached)
            }
        }
    }

    fn mounts(&mut self, caller: Caller) -> Result<Vec<Mount>, Error> {
        let view = self.view_of(caller.badge)?;
        let mut found = Vec::new();
        for mount in self.mounts.below(&view.root) {
            let inner = passed(mount.filesystem.mounts(terms(caller)))?;
            let (total_bytes, used_bytes) = inner
                .first()
                .map_or((0, 0), |inner| (inner.total_bytes, inner.used_bytes));
            let writable = mount.writable && view.access.write;
            found.push(Mount {
                path: mount.path(),
                service: mount.service.clone(),
                writable,
                total_bytes,
                used_bytes,
            });
        }
        Ok(found)
    }

    fn sync(&mut self, caller: Caller) -> Result<u64, Error> {
        let view = self.view_of(caller.badge)?;
        let mut generation = 0;
        for mount in self.mounts.below(&view.root) {
            generation += passed(mount.filesystem.sync(terms(caller)))?;
        }
        Ok(generation)
    }
}
