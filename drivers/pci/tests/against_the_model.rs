//! Enumeration, routing and reset against a bus that behaves, and one that does not.

use driver_models::Memory;
use driver_models::pci::{Bus, Function as Model};
use driver_models::virtio::Device;
use pci::capability::{self, Capability};
use pci::config::{Address, Command, ConfigSpace};
use pci::msix::{self, BadVector, Message, Table};
use pci::reset::{Method, Stuck, reset};
use pci::{Bar, enumerate};
use proptest::prelude::*;

struct Space(Bus);

impl ConfigSpace for Space {
    fn read(&self, at: Address, offset: u16) -> u32 {
        self.0.read((at.bus, at.device, at.function), offset)
    }
    fn write(&mut self, at: Address, offset: u16, value: u32) {
        self.0
            .write((at.bus, at.device, at.function), offset, value);
    }
}

const CARD: (u8, u8, u8) = (0, 3, 0);
const CARD_ADDRESS: Address = Address {
    bus: 0,
    device: 3,
    function: 0,
};

/// A network card as QEMU makes it: MSI-X in window 1, registers in the wide window 4.
fn card() -> Model {
    let mut model = Model::new(0x1af4, 0x1041)
        .window(1, 0xfebd_1000, 0x1000, 0)
        .window(4, 0xfe00_0000, 0x4000, 0b1100)
        .capability(0x40, capability::MSIX, &[3, 0, 1, 0, 0, 0, 0, 8, 0, 0])
        .capability(
            0x50,
            capability::VENDOR_SPECIFIC,
            &[20, 2, 4, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0],
        )
        .capability(0x70, capability::EXPRESS, &[2, 0, 0, 0, 0, 0x10]);
    model.window_masks[5] = u32::MAX;
    model.bytes[0x3c] = 11;
    model.bytes[0x3d] = 1;
    model.bytes[4] = 7;
    model.reset_control = Some(0x78);
    model
}

fn bus_with(model: Model) -> Space {
    let bus = Bus::new();
    bus.plug(CARD, model);
    Space(bus)
}

#[test]
fn a_card_is_found_with_its_windows_and_left_as_it_was() {
    let mut space = bus_with(card());
    let before = space.0.function(CARD).bytes;
    let found = enumerate(&mut space, 0, 1);
    assert_eq!(found.len(), 1);
    let function = &found[0];
    assert_eq!(
        (function.vendor, function.device, function.line),
        (0x1af4, 0x1041, Some(11))
    );
    let window = |index, base, length, is_prefetchable| Bar {
        index,
        base,
        length,
        is_port: false,
        is_prefetchable,
    };
    assert_eq!(
        function.bars,
        [
            window(1, 0xfebd_1000, 0x1000, false),
            window(4, 0xfe00_0000, 0x4000, true)
        ]
    );
    assert_eq!(
        function.msix,
        Some(Table {
            bar: 1,
            offset: 0,
            vectors: 4
        })
    );
    assert_eq!(function.virtio.len(), 1);
    assert_eq!(
        (
            function.virtio[0].kind,
            function.virtio[0].offset,
            function.virtio[0].notify_multiplier
        ),
        (2, 0x3000, 4)
    );
    assert_eq!(
        space.0.function(CARD).bytes,
        before,
        "sizing restores what it wrote"
    );
}

#[test]
fn a_circular_list_of_capabilities_ends() {
    let mut model = Model::new(1, 2)
        .capability(0x40, 9, &[])
        .capability(0x50, 9, &[]);
    model.bytes[0x41] = 0x50;
    let space = bus_with(model);
    let expected = [
        Capability {
            id: 9,
            offset: 0x50,
        },
        Capability {
            id: 9,
            offset: 0x40,
        },
    ];
    assert_eq!(capability::list(&space, CARD_ADDRESS), expected);
}

#[test]
fn a_table_outside_its_window_does_not_exist() {
    let model = Model::new(1, 2)
        .window(1, 0xfebd_1000, 0x1000, 0)
        .capability(0x40, capability::MSIX, &[0xff, 7, 1, 0, 0, 0]);
    assert_eq!(enumerate(&mut bus_with(model), 0, 0)[0].msix, None);
}

#[test]
fn a_vector_beyond_the_table_is_refused() {
    let table = Table {
        bar: 1,
        offset: 0,
        vectors: 2,
    };
    let mut registers = Device::new(0, 0, 0, Vec::<Memory>::new());
    let message = Message {
        address: 0xfee0_0000,
        data: 0x41,
    };
    assert_eq!(
        msix::route(table, &mut registers, 2, message),
        Err(BadVector)
    );
    assert_eq!(msix::route(table, &mut registers, 1, message), Ok(()));
}

#[test]
fn a_reset_cuts_bus_mastering_and_puts_the_windows_back() {
    let mut space = bus_with(card());
    let bars = enumerate(&mut space, 0, 0)[0].bars.clone();
    assert_eq!(
        reset(&mut space, CARD_ADDRESS, |_| {}),
        Ok(Method::FunctionLevel)
    );
    let after = space.0.function(CARD);
    assert_eq!(after.resets, 1);
    assert_eq!(
        Command::from_bits_retain(space.read_u16(CARD_ADDRESS, 4)) & Command::BUS_MASTER,
        Command::empty()
    );
    assert_eq!(enumerate(&mut space, 0, 0)[0].bars, bars);
    assert_eq!(space.read_u8(CARD_ADDRESS, 0x3c), 11);
}

#[test]
fn a_function_that_never_answers_again_is_reported() {
    let mut model = card();
    model.dies_in_reset = true;
    let mut waited = 0;
    assert_eq!(
        reset(&mut bus_with(model), CARD_ADDRESS, |ms| waited += ms),
        Err(Stuck)
    );
    assert!(
        (900..2000).contains(&waited),
        "about a second, then no more"
    );
}

#[test]
fn a_function_without_a_reset_at_least_loses_bus_mastering() {
    let mut model = Model::new(1, 2);
    model.bytes[4] = 7;
    let mut space = bus_with(model);
    assert_eq!(
        reset(&mut space, CARD_ADDRESS, |_| {}),
        Ok(Method::BusMasterOnly)
    );
    assert_eq!(space.read_u16(CARD_ADDRESS, 4) & 4, 0);
}

proptest! {
    #[test]
    fn random_configuration_space_never_panics(bytes in proptest::collection::vec(any::<u8>(), 256), masks in any::<[u32; 6]>()) {
        let mut model = Model::new(1, 2);
        model.bytes.copy_from_slice(&bytes);
        model.bytes[0] = 1;
        model.window_masks = masks;
        let mut space = bus_with(model);
        for function in enumerate(&mut space, 0, 0) {
            for bar in function.bars {
                prop_assert!(bar.length.is_power_of_two() && bar.base.checked_add(bar.length).is_some());
            }
        }
        let _ = reset(&mut space, CARD_ADDRESS, |_| {});
    }
}
