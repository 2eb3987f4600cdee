//! What a program gets at its start, by name.

use crate::bootstrap::{Bootstrap, NamedHandle};
use crate::endpoint::Endpoint;
use crate::error::{Failure, SysError};
use crate::handle::{Handle, Object};
use crate::object::{self, Capsule, Connection, MemoryObject};
use alloc::string::String;
use core::convert::Infallible;
use core::fmt;
#[cfg(target_os = "none")]
use core::sync::atomic::{AtomicU32, Ordering};
use serde::de::DeserializeOwned;

#[cfg(target_os = "none")]
static OWN_PROCESS: AtomicU32 = AtomicU32::new(0);

#[cfg(target_os = "none")]
/// The handle of our own process, for mapping and threads.
pub(crate) fn own_process() -> abi::Handle {
    abi::Handle(OWN_PROCESS.load(Ordering::Relaxed))
}

#[cfg(target_os = "none")]
/// Remembers it. Called at process start.
pub(crate) fn set_own_process(handle: abi::Handle) {
    OWN_PROCESS.store(handle.0, Ordering::Relaxed);
}

/// What a program was started with. Handles are taken out of it by name and kind; what nobody takes is closed when it goes.
#[derive(Debug)]
pub struct Boot {
    bootstrap: Bootstrap,
}

/// Why a program can't start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The manifest gives no such handle.
    Missing {
        /// The name asked for.
        name: String,
        /// The kind, as in `Handle<MemoryObject>`.
        kind: &'static str,
    },
    /// The configuration does not decode.
    BadConfig,
    /// The kernel refused something.
    System(SysError),
    /// A service that is needed can't be reached.
    Call(Failure),
    /// What it says.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, kind } => write!(f, "no {kind} named {name:?} was granted"),
            Self::BadConfig => f.write_str("the configuration does not decode"),
            Self::System(error) => error.fmt(f),
            Self::Call(failure) => failure.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for StartError {}

impl From<SysError> for StartError {
    fn from(error: SysError) -> Self {
        Self::System(error)
    }
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl Boot {
    /// From what the process was given, or what a test makes up.
    pub fn new(bootstrap: Bootstrap) -> Self {
        Self { bootstrap }
    }

    /// The program's name in the log.
    pub fn name(&self) -> &str {
        &self.bootstrap.name
    }

    /// Its number as users see it.
    pub fn pid(&self) -> u32 {
        self.bootstrap.pid
    }

    /// How often it was started, from 1. Above 1, the capsule has what the last one left.
    pub fn incarnation(&self) -> u64 {
        self.bootstrap.incarnation
    }

    /// The arguments, without the name.
    pub fn arguments(&self) -> &[String] {
        &self.bootstrap.arguments
    }

    /// The environment.
    pub fn environment(&self) -> &[(String, String)] {
        &self.bootstrap.environment
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.bootstrap
            .environment
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The names of granted handles of a kind.
    pub fn names_of<T: Object>(&self) -> impl Iterator<Item = &str> {
        self.bootstrap
            .handles
            .iter()
            .filter(|handle| handle.kind == T::TYPE as u8)
            .map(|handle| handle.name.as_str())
    }

    /// Takes a handle.
    ///
    /// # Errors
    /// `Missing`, also when it was taken before.
    pub fn handle<T: Object>(&mut self, name: &str) -> Result<Handle<T>, StartError> {
        self.optional_handle(name)
            .ok_or_else(|| StartError::Missing {
                name: name.into(),
                kind: T::NAME,
            })
    }

    /// Takes a handle that need not be there.
    pub fn optional_handle<T: Object>(&mut self, name: &str) -> Option<Handle<T>> {
        let handles = &mut self.bootstrap.handles;
        let index = handles
            .iter()
            .position(|handle| handle.kind == T::TYPE as u8 && handle.name == name)?;
        Some(Handle::from_raw(abi::Handle(
            handles.swap_remove(index).handle,
        )))
    }

    /// The endpoint on which it serves. A service that serves several protocols does so on one endpoint; [`Badge::protocol`](crate::Badge::protocol) tells them apart.
    ///
    /// # Errors
    /// `Missing`.
    pub fn endpoint(&mut self, name: &str) -> Result<Endpoint, StartError> {
        self.handle::<object::Endpoint>(name)
            .map(Endpoint::from_handle)
    }

    /// The Connection to a service that its manifest says it needs.
    ///
    /// # Errors
    /// `Missing`.
    pub fn service(&mut self, name: &str) -> Result<Handle<Connection>, StartError> {
        self.handle(name)
    }

    /// Its capsule.
    ///
    /// # Errors
    /// `Missing`.
    pub fn capsule(&mut self) -> Result<Handle<Capsule>, StartError> {
        self.handle("capsule")
    }

    /// Memory that it was granted.
    ///
    /// # Errors
    /// `Missing`.
    pub fn memory(&mut self, name: &str) -> Result<Handle<MemoryObject>, StartError> {
        self.handle(name)
    }

    /// Its configuration.
    ///
    /// # Errors
    /// `BadConfig`.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, StartError> {
        crate::message::decode(&self.bootstrap.config).map_err(|_| StartError::BadConfig)
    }

    /// All of it, for whoever passes it on.
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        for NamedHandle { handle, .. } in self.bootstrap.handles.drain(..) {
            crate::transfer::close(abi::Handle(handle));
        }
    }
}

/// What `main` may return, and what becomes of it.
pub trait Termination {
    /// Logs what is to be said, and gives the exit status.
    fn report(self) -> u64;
}

impl Termination for () {
    fn report(self) -> u64 {
        0
    }
}

impl Termination for Infallible {
    fn report(self) -> u64 {
        match self {}
    }
}

impl<T: Termination, E: fmt::Display> Termination for Result<T, E> {
    fn report(self) -> u64 {
        match self {
            Ok(value) => value.report(),
            Err(error) => {
                crate::error!("cannot go on: {error}");
                1
            }
        }
    }
}
