//! Stopping a function for good: afterwards it writes to no memory and raises no interrupt.
//!
//! Bus mastering is cut first, which already keeps it from memory; the reset then makes it forget the addresses that it was given, so that
//! the next driver may switch bus mastering on again before it has set the device up.

use crate::capability;
use crate::config::{self, Address, Command, ConfigSpace, change_command};
use crate::msix;

const EXPRESS_CAPABILITIES: u16 = 4;
const EXPRESS_CONTROL: u16 = 8;
const FUNCTION_LEVEL_RESET: u32 = 1 << 28;
const INITIATE_RESET: u16 = 1 << 15;
const POWER_CONTROL: u16 = 4;
const POWER_STATE: u16 = 0b11;
const POWER_D3: u16 = 0b11;
const POWER_NO_SOFT_RESET: u16 = 1 << 3;

/// How a function was reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Function level reset (PCI Express Base 5.0 §6.6.2).
    FunctionLevel,
    /// To D3hot and back (PCI Power Management 1.2 §5.4).
    Power,
    /// It can't be reset from here; bus mastering is cut, and its driver resets it by its own registers.
    BusMasterOnly,
}

/// The function did not answer again in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck;

/// Stops and resets a function. `pause` waits the milliseconds that it is given.
pub fn reset(
    space: &mut impl ConfigSpace,
    address: Address,
    mut pause: impl FnMut(u32),
) -> Result<Method, Stuck> {
    change_command(space, address, Command::NO_LINE, Command::BUS_MASTER);
    msix::silence(space, address);
    let saved = Saved::take(space, address);
    let method = start(space, address, &mut pause);
    if method != Method::BusMasterOnly {
        wait_for_answer(space, address, &mut pause)?;
        saved.restore(space, address);
    }
    Ok(method)
}

fn start(space: &mut impl ConfigSpace, address: Address, pause: &mut impl FnMut(u32)) -> Method {
    if let Some(at) = capability::find(space, address, capability::EXPRESS).filter(|&at| at <= 0xf4)
        && space.read(address, at + EXPRESS_CAPABILITIES) & FUNCTION_LEVEL_RESET != 0
    {
        let control = space.read_u16(address, at + EXPRESS_CONTROL);
        space.write(
            address,
            at + EXPRESS_CONTROL,
            u32::from(control | INITIATE_RESET),
        );
        pause(1);
        return Method::FunctionLevel;
    }
    if let Some(at) =
        capability::find(space, address, capability::POWER_MANAGEMENT).filter(|&at| at <= 0xf8)
    {
        let control = space.read_u16(address, at + POWER_CONTROL);
        if control & POWER_NO_SOFT_RESET == 0 {
            space.write_u16(
                address,
                at + POWER_CONTROL,
                control & !POWER_STATE | POWER_D3,
            );
            pause(10);
            space.write_u16(address, at + POWER_CONTROL, control & !POWER_STATE);
            pause(10);
            return Method::Power;
        }
    }
    Method::BusMasterOnly
}

/// A function may take up to a second (PCI Express Base 5.0 §2.3.1: completions with retry status read as ones).
fn wait_for_answer(
    space: &impl ConfigSpace,
    address: Address,
    pause: &mut impl FnMut(u32),
) -> Result<(), Stuck> {
    for _ in 0..100 {
        if !matches!(space.read_u16(address, config::VENDOR), 0xffff | 1) {
            return Ok(());
        }
        pause(10);
    }
    Err(Stuck)
}

/// What a reset clears and the function needs again.
struct Saved {
    bars: [u32; 6],
    line: u32,
    command: Command,
}

impl Saved {
    fn take(space: &impl ConfigSpace, address: Address) -> Self {
        Self {
            bars: core::array::from_fn(|index| {
                space.read(address, config::BAR0 + 4 * index as u16)
            }),
            line: space.read(address, config::INTERRUPT_LINE),
            command: Command::from_bits_retain(space.read_u16(address, config::COMMAND)),
        }
    }

    fn restore(&self, space: &mut impl ConfigSpace, address: Address) {
        for (index, &bar) in self.bars.iter().enumerate() {
            space.write(address, config::BAR0 + 4 * index as u16, bar);
        }
        space.write(address, config::INTERRUPT_LINE, self.line);
        change_command(
            space,
            address,
            self.command - Command::BUS_MASTER,
            Command::BUS_MASTER,
        );
    }
}
