//! The memory filesystem's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod filling;
mod opens;
mod serving;

use core::convert::Infallible;

use libipc::capsule::{Part, Replies};
use libipc::{Boot, Deadline, Instant, Protection, StartError, Wake};
use protocols::{directory, file, platform};
use ramfs::{Region, Store};

use opens::Opens;
use serving::Server;

/// Index of each protocol in the manifest's `provides`.
const DIRECTORY: u8 = 0;
const FILE: u8 = 1;

/// Answers of journaled methods that are kept, and bytes of each.
const ANSWERS: usize = 64;
const ANSWER_BYTES: usize = 256;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let capsule = boot.capsule()?;
    let memory = capsule.memory()?;
    let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
    let too_small = || StartError::Other("the capsule is too small".into());
    let (opens, rest) = Part::whole(mapping)
        .split(Opens::storage_bytes())
        .ok_or_else(too_small)?;
    let (answers, rest) = rest
        .split(Replies::<Part>::storage_bytes(ANSWERS, ANSWER_BYTES))
        .ok_or_else(too_small)?;
    let (answers, _) = Replies::open(answers, ANSWERS, ANSWER_BYTES).ok_or_else(too_small)?;
    let clock = Clock::read(&mut boot);
    let (mut store, repairs) = Store::open(CapsuleRegion(rest), clock.now());
    if repairs != ramfs::store::Repairs::default() {
        libipc::warn!("dropped what was damaged: {repairs:?}");
    }
    if boot.incarnation() == 1 || store.child(ramfs::record::ROOT, "system").is_err() {
        filling::fill(&mut store, &boot.memory("boot-image")?)?;
    }
    let opens = Opens::open(opens, capsule).ok_or_else(too_small)?;
    let mut server = Server::new(store, opens, answers, endpoint.minter()?, clock);

    loop {
        match endpoint.receive(None) {
            Wake::Call(call) if call.badge().protocol() == DIRECTORY => {
                directory::dispatch(&mut server, call)
            }
            Wake::Call(call) if call.badge().protocol() == FILE => {
                file::dispatch(&mut server, call)
            }
            Wake::Call(call) => call.refuse(libipc::Refusal::WrongProtocol),
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

/// The wall clock: what the board said once, and the time since.
#[derive(Clone, Copy)]
pub struct Clock {
    epoch_at_boot_ns: i64,
}

impl Clock {
    /// Asks the board; without an answer, time starts in 1970.
    fn read(boot: &mut Boot) -> Self {
        let connection = boot.optional_handle::<libipc::object::Connection>("platform");
        let answer = connection.and_then(|connection| {
            let patience = Deadline::after_ms(3_000);
            platform::Client::connect_by(connection, patience)
                .ok()?
                .wall_clock(patience)
                .ok()
        });
        let (seconds, at_ns) = answer.unwrap_or_default();
        Self {
            epoch_at_boot_ns: seconds
                .saturating_mul(1_000_000_000)
                .saturating_sub(at_ns as i64),
        }
    }

    /// Nanoseconds since 1970.
    pub fn now(&self) -> i64 {
        self.epoch_at_boot_ns
            .saturating_add(Instant::now().as_ns() as i64)
    }
}

/// The part of the capsule that holds the files.
#[derive(Debug)]
pub struct CapsuleRegion(Part);

const INSIDE: &str = "the store stays inside its region";

impl Region for CapsuleRegion {
    fn len(&self) -> usize {
        libipc::capsule::Storage::length(&self.0)
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        assert!(
            libipc::capsule::Storage::read(&self.0, at, into),
            "{INSIDE}"
        );
    }

    fn write(&mut self, at: usize, from: &[u8]) {
        assert!(
            libipc::capsule::Storage::write(&mut self.0, at, from),
            "{INSIDE}"
        );
    }

    fn clear(&mut self, at: usize, length: usize) {
        const ZEROES: [u8; 4096] = [0; 4096];
        for done in (0..length).step_by(ZEROES.len()) {
            self.write(at + done, &ZEROES[..ZEROES.len().min(length - done)]);
        }
    }
}
