//! The board's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use core::convert::Infallible;

use driver_lib::granted;
use driver_lib::real::RealPorts;
use libipc::prelude::*;
use libipc::{Boot, Instant, StartError, Wake};
use platform::{cmos, firmware, power};
use protocols::client::{Client, Grants};
use protocols::platform::{self as protocol, Error, Platform};

/// Bytes of a firmware file in one answer, at most.
const MAX_FILE_BYTES: u32 = 2048;
/// Bytes of names in one answer, at most.
const NAME_BYTES: usize = 3000;

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
    let mut board = Board {
        clock: ports(0, CLOCK)?,
        firmware: ports(1, FIRMWARE)?,
        power_management: ports(2, POWER_MANAGEMENT)?,
        reset_control: ports(3, RESET_CONTROL)?,
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

struct Board {
    clock: RealPorts,
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
        let moment = cmos::read(&mut self.clock).ok_or(Error::Unavailable)?;
        Ok((moment.to_unix(), Instant::now().as_ns()))
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
