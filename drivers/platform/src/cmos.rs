//! The clock in CMOS memory (Motorola MC146818A).
//!
//! Registers are read twice until both readings agree with no update under way, because the clock goes on meanwhile.

use driver_lib::{Port, Ports};

const INDEX: Port = Port(0);
const DATA: Port = Port(1);
/// Keeps the non-maskable interrupt as it is: its bit shares the index port and stays off.
const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 0x80;
const BINARY: u8 = 0x04;
const FULL_DAY: u8 = 0x02;
const AFTERNOON: u8 = 0x80;
/// Readings before a clock counts as broken: an update takes two milliseconds at most.
const READINGS: usize = 20_000;

/// A moment as the clock has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTime {
    /// Year.
    pub year: u16,
    /// Month, 1–12.
    pub month: u8,
    /// Day, 1–31.
    pub day: u8,
    /// Hour, 0–23.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
}

impl DateTime {
    /// Seconds since 1970-01-01 00:00 UTC, in the Gregorian calendar.
    pub fn to_unix(self) -> i64 {
        // Days from civil date: years begin in March, so that the leap day is the last one.
        let month = i64::from(self.month);
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(self.day) - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        ((days * 24 + i64::from(self.hour)) * 60 + i64::from(self.minute)) * 60
            + i64::from(self.second)
    }

    fn is_possible(&self) -> bool {
        (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 61
    }
}

/// Reads the clock; `None` if it is not there or shows nonsense.
pub fn read(ports: &mut impl Ports) -> Option<DateTime> {
    let mut last = None;
    for _ in 0..READINGS {
        if register(ports, STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            last = None;
            core::hint::spin_loop();
            continue;
        }
        let raw = [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR].map(|index| register(ports, index));
        if last == Some(raw) {
            let moment = decode(raw, register(ports, STATUS_B));
            return moment.is_possible().then_some(moment);
        }
        last = Some(raw);
    }
    None
}

fn register(ports: &mut impl Ports, index: u8) -> u8 {
    ports.write(INDEX, index);
    ports.read(DATA)
}

fn decode([second, minute, hour, day, month, year]: [u8; 6], format: u8) -> DateTime {
    let number = |value: u8| {
        if format & BINARY != 0 {
            value
        } else {
            (value >> 4).wrapping_mul(10).wrapping_add(value & 0x0f)
        }
    };
    let mut hours = number(hour & !AFTERNOON);
    if format & FULL_DAY == 0 {
        hours = hours % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 };
    }
    let year = u16::from(number(year));
    DateTime {
        // The century register is not everywhere; two digits are of this century, or of the last from 80 on.
        year: if year >= 80 { 1900 + year } else { 2000 + year },
        month: number(month),
        day: number(day),
        hour: hours,
        minute: number(minute),
        second: number(second),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Clock {
        registers: [u8; 128],
        index: u8,
        busy: u32,
    }

    impl Ports for Clock {
        fn read(&mut self, port: Port) -> u8 {
            if port == INDEX {
                return 0xff;
            }
            if self.index == STATUS_A && self.busy > 0 {
                self.busy -= 1;
                return UPDATE_IN_PROGRESS;
            }
            self.registers[usize::from(self.index)]
        }
        fn write(&mut self, port: Port, value: u8) {
            if port == INDEX {
                self.index = value & 0x7f;
            }
        }
    }

    fn clock(raw: [u8; 6], format: u8) -> Clock {
        let mut registers = [0; 128];
        for (index, value) in [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR]
            .into_iter()
            .zip(raw)
        {
            registers[usize::from(index)] = value;
        }
        registers[usize::from(STATUS_B)] = format;
        Clock {
            registers,
            index: 0,
            busy: 3,
        }
    }

    const NOON: DateTime = DateTime {
        year: 2026,
        month: 11,
        day: 22,
        hour: 12,
        minute: 34,
        second: 56,
    };

    #[test]
    fn every_format_reads_the_same() {
        for (raw, format) in [
            ([0x56, 0x34, 0x12, 0x22, 0x11, 0x26], FULL_DAY),
            ([56, 34, 12, 22, 11, 26], FULL_DAY | BINARY),
            ([0x56, 0x34, 0x92, 0x22, 0x11, 0x26], 0),
            ([56, 34, 12 | AFTERNOON, 22, 11, 26], BINARY),
        ] {
            assert_eq!(read(&mut clock(raw, format)), Some(NOON), "{format:#x}");
        }
        assert_eq!(
            read(&mut clock([0, 0, 0x12, 1, 1, 0], 0)).map(|moment| moment.hour),
            Some(0),
            "midnight is twelve"
        );
    }

    #[test]
    fn nonsense_and_nothing_are_told() {
        assert_eq!(read(&mut clock([0, 0, 0, 0, 0x13, 0], FULL_DAY)), None);
        assert_eq!(read(&mut clock([0xff; 6], 0xff)), None);
        let mut stuck = clock([0; 6], 0);
        stuck.busy = u32::MAX;
        assert_eq!(read(&mut stuck), None);
    }

    #[test]
    fn known_moments_have_their_seconds() {
        let at = |year, month, day| {
            DateTime {
                year,
                month,
                day,
                hour: 0,
                minute: 0,
                second: 0,
            }
            .to_unix()
        };
        assert_eq!(at(1970, 1, 1), 0);
        assert_eq!(at(2000, 2, 29), 951_782_400);
        assert_eq!(at(2000, 3, 1), 951_868_800);
        assert_eq!(NOON.to_unix(), 1_795_350_896);
    }

    proptest! {
        #[test]
        fn later_days_have_more_seconds(year in 1980u16..2079, month in 1u8..=12, day in 1u8..28) {
            let at = |day| DateTime { year, month, day, hour: 0, minute: 0, second: 0 }.to_unix();
            prop_assert_eq!(at(day + 1) - at(day), 86_400);
        }
    }
}
