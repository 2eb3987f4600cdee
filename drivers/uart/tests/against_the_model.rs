//! The driver against the model of the device.

use std::collections::VecDeque;

use driver_models::uart::Uart as Device;
use proptest::prelude::*;
use uart::{Input, Output, StartError, Uart};

#[derive(Default)]
struct Ring(VecDeque<u8>);

impl Output for Ring {
    fn peek(&mut self) -> Option<u8> {
        self.0.front().copied()
    }
    fn consume(&mut self) {
        self.0.pop_front();
    }
}

struct Bounded(Vec<u8>, usize);

impl Input for Bounded {
    fn push(&mut self, byte: u8) -> bool {
        let has_room = self.0.len() < self.1;
        if has_room {
            self.0.push(byte);
        }
        has_room
    }
}

fn started(device: &Device) -> Uart<Device> {
    Uart::start(device.clone(), 115_200).expect("the model answers")
}

#[test]
fn an_empty_bus_is_reported() {
    assert_eq!(
        Uart::start(Device::absent(), 115_200).err(),
        Some(StartError::Absent)
    );
}

#[test]
fn a_rate_that_the_clock_cannot_make_is_refused() {
    assert_eq!(
        Uart::start(Device::new(), 110_000).err(),
        Some(StartError::UnsupportedBaud(110_000))
    );
    assert_eq!(
        Uart::start(Device::new(), 0).err(),
        Some(StartError::UnsupportedBaud(0))
    );
}

#[test]
fn the_divisor_follows_the_rate() {
    let device = Device::new();
    let _uart = Uart::start(device.clone(), 9_600);
    assert_eq!(device.divisor(), 12);
}

#[test]
fn all_output_is_sent_by_interrupts_alone() {
    let device = Device::new();
    let mut uart = started(&device);
    let text: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
    let mut output = Ring(text.iter().copied().collect());
    let mut input = Bounded(Vec::new(), 0);
    uart.serve(&mut output, &mut input);
    while device.interrupts() || !output.0.is_empty() {
        device.transmit(16);
        assert!(
            output.0.is_empty() || device.interrupts(),
            "the device asks for more"
        );
        uart.serve(&mut output, &mut input);
    }
    device.transmit(16);
    assert_eq!(device.sent(), text);
    assert!(!device.interrupts(), "nothing to do, no interrupt");
}

#[test]
fn a_new_incarnation_sends_what_the_old_one_left_in_the_transmitter() {
    let device = Device::new();
    let mut output = Ring(b"0123456789".iter().copied().collect());
    let mut input = Bounded(Vec::new(), 0);
    started(&device).serve(&mut output, &mut input);
    device.transmit(3);
    let _second = started(&device);
    device.transmit(16);
    assert_eq!(device.sent(), b"0123456789");
    assert_eq!(device.cleared_bytes(), 0);
}

#[test]
fn input_without_room_is_counted_and_dropped() {
    let device = Device::new();
    let mut uart = started(&device);
    device.type_bytes(b"abcdef");
    let mut input = Bounded(Vec::new(), 4);
    let served = uart.serve(&mut Ring::default(), &mut input);
    assert_eq!((served.received, served.dropped), (4, 2));
    assert_eq!(input.0, b"abcd");
}

proptest! {
    #[test]
    fn kills_at_any_moment_lose_nothing(text in proptest::collection::vec(any::<u8>(), 0..300), kills in proptest::collection::vec(any::<bool>(), 1..200)) {
        let device = Device::new();
        let mut output = Ring(text.iter().copied().collect());
        let mut input = Bounded(Vec::new(), 0);
        let mut uart = started(&device);
        for (step, kill) in kills.iter().cycle().take(400).enumerate() {
            if *kill {
                uart = started(&device);
            }
            uart.serve(&mut output, &mut input);
            device.transmit(step % 17);
        }
        device.transmit(16);
        uart.serve(&mut output, &mut input);
        while !output.0.is_empty() { device.transmit(16); uart.serve(&mut output, &mut input); }
        device.transmit(16);
        prop_assert_eq!(device.sent(), text);
    }
}
