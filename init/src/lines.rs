//! Where an ISA interrupt line arrives: the same number on the I/O APIC, edge-triggered and active high, unless the firmware's tables say otherwise
//! (ACPI 6.5 §5.2.12.5).

use abi::boot::InterruptOverride;

/// A line of the I/O APICs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its global number.
    pub gsi: u32,
    /// Level-triggered, else edge.
    pub is_level: bool,
    /// Active low, else high.
    pub is_active_low: bool,
}

const POLARITY_MASK: u32 = 0b11;
const POLARITY_LOW: u32 = 0b11;
const TRIGGER_MASK: u32 = 0b1100;
const TRIGGER_LEVEL: u32 = 0b1100;

/// The line that an ISA device's interrupt arrives on.
pub fn of_isa(line: u8, overrides: &[InterruptOverride]) -> Line {
    match overrides
        .iter()
        .find(|entry| entry.source == u32::from(line))
    {
        None => Line {
            gsi: u32::from(line),
            is_level: false,
            is_active_low: false,
        },
        // "Conforms to the bus" is edge and high for ISA.
        Some(entry) => Line {
            gsi: entry.gsi,
            is_level: entry.flags & TRIGGER_MASK == TRIGGER_LEVEL,
            is_active_low: entry.flags & POLARITY_MASK == POLARITY_LOW,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_redirect_and_change_the_mode() {
        let moved = InterruptOverride {
            source: 9,
            gsi: 20,
            flags: 0b1111,
            reserved: 0,
        };
        let conforming = InterruptOverride {
            source: 0,
            gsi: 2,
            flags: 0,
            reserved: 0,
        };
        let line = |gsi, is_level, is_active_low| Line {
            gsi,
            is_level,
            is_active_low,
        };
        let overrides = [conforming, moved];
        assert_eq!(of_isa(9, &overrides), line(20, true, true));
        assert_eq!(of_isa(0, &overrides), line(2, false, false));
        assert_eq!(of_isa(4, &overrides), line(4, false, false));
    }
}
