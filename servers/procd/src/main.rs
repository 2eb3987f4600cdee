//! The process manager's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod children;
mod pipes;
mod saved;
mod serving;
mod session;

use core::convert::Infallible;

use libipc::capsule::Part;
use libipc::{Boot, Instant, Protection, StartError, Wake};
use protocols::{process, stream};

use children::Children;
use pipes::Pipes;
use saved::SavedTable;
use serving::Server;
use session::Session;

/// Index of each protocol in the manifest's `provides`.
const PROCESS: u8 = 0;
const STREAM: u8 = 1;
/// Badges of fault connections, which speak no protocol of ours.
const FAULT: u8 = 2;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let capsule = boot.capsule()?;
    let memory = capsule.memory()?;
    let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
    let too_small = || StartError::Other("the capsule is too small".into());
    let (saved, rest) = Part::whole(mapping)
        .split(SavedTable::storage_bytes())
        .ok_or_else(too_small)?;
    let (saved, table) = SavedTable::open(saved).ok_or_else(too_small)?;
    let pipes = Pipes::open(rest, endpoint.minter()?).ok_or_else(too_small)?;
    let session = Session::new(&mut boot, endpoint.calls());
    let children = Children::new(&mut boot, capsule, endpoint.minter()?)?;
    let mut server = Server::new(table, saved, children, pipes, session);
    server.adopt();
    server.tend();

    loop {
        match endpoint.receive(server.next_deadline()) {
            Wake::Call(call) => match call.badge().protocol() {
                PROCESS => process::dispatch(&mut server, call),
                STREAM => stream::dispatch(&mut server.pipes, call),
                FAULT => server.faulted(call),
                _ => call.refuse(libipc::Refusal::WrongProtocol),
            },
            Wake::Closed(badge) => server.closed(badge),
            Wake::Completed(completed) => server.completed(completed),
            Wake::Cancelled(cancelled) => server.cancelled(&cancelled),
            Wake::Deadline(_) => server.check_limits(Instant::now().as_ns()),
            Wake::Failed(error) => return Err(error.into()),
            Wake::Notified(_) | Wake::Rung(_) => {}
        }
        server.tend();
    }
}
