//! The board's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use core::convert::Infallible;

use driver_lib::granted;
use driver_lib::real::RealPorts;
use libipc::capsule::{Part, Slots};
use libipc::prelude::*;
use libipc::{Boot, Instant, Protection, StartError, Wake};
use platform::anchor::Anchor;
use platform::{cmos, firmware, power};
use protocols::client::{Client, Grants};
use protocols::platform::{self as protocol, Error, Platform};

/// Bytes of a firmware file in one answer, at most.
const MAX_FILE_BYTES: u32 = 2048;
/// Bytes of names in one answer, at most.
const NAME_BYTES: usize = 3000;

/// How long the clock is taken to agree with the time since boot before it is looked at again.
const CLOCK_CHECK_NS: u64 = 10_000_000_000;
/// Bytes of the clock's record, at most.
const CLOCK_BYTES: usize = 32;

/// The ranges of ports, in the manifest's order.
const CLOCK: (u16, u16) = (0x70, 2);
const FIRMWARE: (u16, u16) = (0x510, 12);
const POWER_MANAGEMENT: (u16, u16) = (0x600, 8);
const RESET_CONTROL: (u16, u16) = (0xcf9, 1);

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let mut ports = |index: usize, (first, count): (u16, u16)| -> Result<RealPorts, StartError> {
        Ok(granted::ports(
            boot.handle(&format!("ports{index}"))?,
            first,
            count,
        )?)
    };
    let clock = ports(0, CLOCK)?;
    let (firmware, power_management, reset_control) = (
        ports(1, FIRMWARE)?,
        ports(2, POWER_MANAGEMENT)?,
        ports(3, RESET_CONTROL)?,
    );
    let mut board = Board {
        clock: Clock::open(&mut boot, clock)?,
        firmware,
        power_management,
        reset_control,
        files: Vec::new(),
    };
    board.files = firmware::files(&mut board.firmware);

    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => protocol::dispatch(&mut board, call),
            Wake::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
}

/// The wall clock.
struct Clock {
    ports: RealPorts,
    saved: Slots<Part>,
    anchor: Option<Anchor>,
    check_at: u64,
}

impl Clock {
    /// Goes on from where the last incarnation was.
    fn open(boot: &mut Boot, ports: RealPorts) -> Result<Self, StartError> {
        let memory = boot.capsule()?.memory()?;
        let mapping = memory.map(0, memory.figures()?.length as usize, Protection::ReadWrite)?;
        let (saved, _) = Slots::open(Part::whole(mapping), 1, 1, CLOCK_BYTES)
            .ok_or_else(|| StartError::Other("the capsule is too small".into()))?;
        let anchor = saved.load::<(i64, u64)>(0).ok().flatten();
        Ok(Self {
            ports,
            anchor: anchor.map(|(seconds, at_ns)| Anchor { seconds, at_ns }),
            saved,
            check_at: 0,
        })
    }

    /// What to count from; `None` if the clock shows nonsense.
    fn anchor(&mut self) -> Option<Anchor> {
        let now = Instant::now().as_ns();
        if self.anchor.is_some() && now < self.check_at {
            return self.anchor;
        }
        let reading = Anchor {
            seconds: cmos::read(&mut self.ports)?.to_unix(),
            at_ns: now,
        };
        let anchor = self.anchor.map_or(reading, |anchor| anchor.or(reading));
        if self.anchor != Some(anchor) {
            if let Err(error) = self.saved.store(0, &(anchor.seconds, anchor.at_ns)) {
                libipc::warn!("the clock's record can't be kept: {error}");
            }
            self.anchor = Some(anchor);
        }
        self.check_at = now.saturating_add(CLOCK_CHECK_NS);
        self.anchor
    }
}

struct Board {
    clock: Clock,
    firmware: RealPorts,
    power_management: RealPorts,
    reset_control: RealPorts,
    files: Vec<firmware::File>,
}

fn check_may_end(caller: Caller) -> Result<(), Error> {
    let is_allowed =
        Client::of(caller.badge).is_some_and(|client| client.grants.has(Grants::MACHINE));
    if is_allowed {
        Ok(())
    } else {
        Err(Error::NotPermitted)
    }
}

impl Platform for Board {
    fn wall_clock(&mut self, _caller: Caller) -> Result<(i64, u64), Error> {
        let anchor = self.clock.anchor().ok_or(Error::Unavailable)?;
        Ok((anchor.seconds, anchor.at_ns))
    }

    fn firmware_file(
        &mut self,
        _caller: Caller,
        name: String,
        offset: u32,
    ) -> Result<Vec<u8>, Error> {
        // What is not ours to give (tables, options of the firmware itself) stays where it is.
        let file = self
            .files
            .iter()
            .find(|file| file.name == name && name.starts_with("opt/"))
            .ok_or(Error::NotFound)?;
        Ok(firmware::read(
            &mut self.firmware,
            file,
            offset,
            MAX_FILE_BYTES,
        ))
    }

    fn firmware_files(&mut self, _caller: Caller, from: u32) -> Result<Vec<String>, Error> {
        let mut bytes = 0;
        let fits = |name: &&String| {
            bytes += name.len() + 2;
            bytes <= NAME_BYTES
        };
        Ok(self
            .files
            .iter()
            .map(|file| &file.name)
            .skip(from as usize)
            .take_while(fits)
            .cloned()
            .collect())
    }

    fn power_off(&mut self, caller: Caller) -> Result<(), Error> {
        check_may_end(caller)?;
        power::off(&mut self.power_management);
        Err(Error::Unavailable)
    }

    fn reset(&mut self, caller: Caller) -> Result<(), Error> {
        check_may_end(caller)?;
        power::reset(&mut self.reset_control);
        Err(Error::Unavailable)
    }
}
