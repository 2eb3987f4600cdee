//! The process that knows where files are.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod serving;
mod views;

use core::convert::Infallible;

use libipc::capsule::{Part, Replies};
use libipc::{Boot, Deadline, Protection, StartError, Wake};
use protocols::directory::{self, Access};
use vfs::Mounts;

use serving::Server;
use views::Views;

/// Answers of journaled methods that are kept, and bytes of each.
const ANSWERS: usize = 64;
const ANSWER_BYTES: usize = 256;
/// What the filesystem may take for its first answers: it fills itself from the boot image.
const PATIENCE_MS: u64 = 20_000;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let memory = boot.capsule()?.memory()?;
    let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
    let too_small = || StartError::Other("the capsule is too small".into());
    let (views, rest) = Part::whole(mapping)
        .split(Views::storage_bytes())
        .ok_or_else(too_small)?;
    let (answers, _) = Replies::open(rest, ANSWERS, ANSWER_BYTES).ok_or_else(too_small)?;
    let views = Views::open(views).ok_or_else(too_small)?;
    let root =
        directory::Client::connect_by(boot.service("directory")?, Deadline::after_ms(PATIENCE_MS))?;
    let mut server = Server::new(mount(root)?, views, answers, endpoint.minter()?);

    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => directory::dispatch(&mut server, call),
            Wake::Closed(badge) => server.forget(badge),
            Wake::Failed(error) => return Err(error.into()),
            Wake::Notified(_)
            | Wake::Completed(_)
            | Wake::Rung(_)
            | Wake::Cancelled(_)
            | Wake::Deadline(_) => {}
        }
    }
}

/// The tree as it is at boot: files in memory, and the shipped system, which nobody changes.
fn mount(root: directory::Client) -> Result<Mounts<directory::Client>, StartError> {
    let access = Access {
        read: true,
        write: false,
    };
    let failed = |error| {
        StartError::Other(alloc::format!(
            "the shipped system can't be mounted: {error:?}"
        ))
    };
    let system = root
        .view(Deadline::after_ms(PATIENCE_MS), "/system", access)
        .map_err(failed)?;
    let mut mounts = Mounts::default();
    let mut add = |names: &[&str], filesystem, writable| {
        mounts
            .add(names, "ramfs", filesystem, writable)
            .map_err(|_| StartError::Other("two mounts in one place".into()))
    };
    add(&[], root, true)?;
    add(&["system"], directory::Client::adopt(system), false)?;
    Ok(mounts)
}
