//! Switching the machine off and resetting it.
//!
//! On the Q35 board of QEMU the power management registers that firmware places at 0x600 have their control register at offset 4 (ACPI 6.5 §4.8.3.2.1); sleep type 0 with the
//! enable bit is soft off there. The reset control register of the chip set is port 0xcf9.

use driver_lib::{Port, Ports};

/// Offset of the power management control register.
pub const CONTROL: Port = Port(4);
/// `SLP_EN`, with sleep type 0.
pub const SLEEP_ENABLE: u16 = 1 << 13;
/// Full reset with the processor: system reset and reset CPU bits.
pub const RESET: u8 = 0x06;

/// Asks the board to switch off.
pub fn off(power_management: &mut impl Ports) {
    power_management.write_u16(CONTROL, SLEEP_ENABLE);
}

/// Asks the chip set to reset.
pub fn reset(control: &mut impl Ports) {
    control.write(Port(0), RESET & !0x04);
    control.write(Port(0), RESET);
}
