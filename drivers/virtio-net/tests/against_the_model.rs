//! The driver against the model of the card, which also stalls and lies.

use driver_lib::virtqueue::{Direction, QueueFault, Segment, Virtqueue};
use driver_lib::{DmaAddr, DmaMemory};
use driver_models::Memory;
use driver_models::virtio::{Device, Lie};
use proptest::prelude::*;
use virtio_net::{
    Card, CardMemory, CardRegisters, DeviceFault, HEADER_MEMORY_BYTES, Received, StartError,
};

const DEPTH: u16 = 8;
const BUFFER: u32 = 2048;

struct Bench {
    device: Device,
    pool: Memory,
    memory: Memory,
}

impl Bench {
    fn new() -> Self {
        let memory = Memory::new(16 * 1024, 0x10_0000);
        let pool = Memory::new(32 * BUFFER as usize, 0x80_0000);
        let device = Device::new(2, 256, 0, vec![memory.clone(), pool.clone()]);
        Self {
            device,
            pool,
            memory,
        }
    }

    fn start(&self) -> Result<Card<Device, Memory>, StartError> {
        let bytes = Virtqueue::<Memory>::memory_bytes(2 * DEPTH);
        let registers = CardRegisters {
            common: self.device.clone(),
            device: self.device.clone(),
            notify: Device::new(0, 0, 0, Vec::new()),
            notify_multiplier: 4,
        };
        let memory = CardMemory {
            receive: self.memory.part(0, bytes),
            transmit: self.memory.part(4096, bytes),
            headers: self.memory.part(8192, HEADER_MEMORY_BYTES),
        };
        Card::start(registers, memory, DEPTH)
    }

    fn buffer(&self, index: u64) -> DmaAddr {
        self.pool.device_address().plus(index * u64::from(BUFFER))
    }

    fn fill(&self, card: &mut Card<Device, Memory>) {
        for cookie in 0..u64::from(DEPTH) {
            card.push_receive(self.buffer(cookie), BUFFER, cookie)
                .expect("there is room at the start");
        }
        card.publish_receive();
    }
}

#[test]
fn each_way_to_fail_at_the_start_has_its_error() {
    for (lie, error) in [
        (Lie::StuckInReset, StartError::ResetTimeout),
        (Lie::Legacy, StartError::MissingFeature(1 << 32)),
        (Lie::RefusesFeatures, StartError::FeaturesRefused),
        (Lie::RefusesVectors, StartError::VectorRefused(0)),
    ] {
        let bench = Bench::new();
        bench.device.lie(lie);
        assert_eq!(bench.start().err(), Some(error));
        assert!(!bench.device.is_running());
    }
}

#[test]
fn frames_pass_in_both_directions() {
    let bench = Bench::new();
    let mut card = bench.start().expect("the model is willing");
    bench.fill(&mut card);
    bench.pool.device_write(bench.buffer(20).0, b"to the wire");
    card.push_transmit(bench.buffer(20), 11, 77)
        .expect("there is room");
    assert!(card.publish_transmit(), "the device wants its doorbell");
    bench.device.arrive(b"from the wire");
    bench.device.run_network();

    assert_eq!(bench.device.sent(), [b"to the wire"]);
    assert_eq!(card.pop_transmitted(), Ok(Some(77)));
    assert_eq!(card.pop_transmitted(), Ok(None));
    assert_eq!(
        card.pop_received(),
        Ok(Some(Received {
            cookie: 0,
            length: 13
        }))
    );
    assert_eq!(
        bench.pool.device_read(bench.buffer(0).0, 13).as_deref(),
        Some(&b"from the wire"[..])
    );
}

#[test]
fn a_full_queue_takes_no_more_until_something_came_back() {
    let bench = Bench::new();
    let mut card = bench.start().expect("the model is willing");
    for cookie in 0..u64::from(DEPTH) {
        card.push_transmit(bench.buffer(cookie), 60, cookie)
            .expect("there is room");
    }
    assert!(card.push_transmit(bench.buffer(9), 60, 9).is_err());
    card.publish_transmit();
    bench.device.run_network();
    assert_eq!(card.pop_transmitted(), Ok(Some(0)));
    assert!(card.push_transmit(bench.buffer(9), 60, 9).is_ok());
}

#[test]
fn each_lie_of_the_card_has_its_fault() {
    for (lie, fault) in [
        (
            Lie::UsedIndexAhead(100),
            DeviceFault::Queue(QueueFault::UsedIndex { reported: 101 }),
        ),
        (
            Lie::UnknownChain(3),
            DeviceFault::Queue(QueueFault::UnknownChain { reported: 3 }),
        ),
        (
            Lie::UnknownChain(u32::MAX),
            DeviceFault::Queue(QueueFault::UnknownChain { reported: u32::MAX }),
        ),
        (Lie::WrittenLength(11), DeviceFault::ReceivedLength(11)),
        (
            Lie::WrittenLength(12 + BUFFER + 1),
            DeviceFault::ReceivedLength(12 + BUFFER + 1),
        ),
    ] {
        let bench = Bench::new();
        let mut card = bench.start().expect("the model is willing");
        bench.fill(&mut card);
        bench.device.lie(lie);
        bench.device.arrive(b"x");
        bench.device.run_network();
        assert_eq!(card.pop_received(), Err(fault));
    }
}

#[test]
fn a_card_that_was_reset_starts_again() {
    let bench = Bench::new();
    let mut first = bench.start().expect("the model is willing");
    bench.fill(&mut first);
    bench.memory.device_write(0x10_0000, &[0; 16 * 1024]);
    let mut second = bench.start().expect("the model is willing");
    bench.fill(&mut second);
    bench.device.arrive(b"again");
    bench.device.run_network();
    assert_eq!(
        second.pop_received(),
        Ok(Some(Received {
            cookie: 0,
            length: 5
        }))
    );
}

proptest! {
    #[test]
    fn every_chain_comes_back_once(lengths in proptest::collection::vec(1usize..=4, 1..200), order in any::<u64>()) {
        let memory = Memory::new(8192, 0);
        let mut queue = Virtqueue::new(memory.clone(), 16);
        let used = queue.areas().device.0;
        let mut out: Vec<u16> = Vec::new();
        let mut index = 0u16;
        let mut seed = order;
        for length in lengths {
            let segment = Segment { address: DmaAddr(0), length: 1, direction: Direction::ToDevice };
            if let Ok(chain) = queue.push(&vec![segment; length]) {
                prop_assert!(!out.contains(&chain.0), "a chain that is out is never handed out again");
                out.push(chain.0);
                continue;
            }
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
            let head = out.remove((seed >> 33) as usize % out.len());
            memory.device_write(used + 4 + 8 * u64::from(index % 16), &u32::from(head).to_le_bytes());
            index = index.wrapping_add(1);
            memory.device_write(used + 2, &index.to_le_bytes());
            let back = queue.pop().expect("the device tells the truth").expect("one came back");
            prop_assert_eq!(back.chain.0, head);
        }
        prop_assert_eq!(queue.chains_in_device(), out.len());
    }

    #[test]
    fn random_rings_never_panic(bytes in proptest::collection::vec(any::<u8>(), 256)) {
        let bench = Bench::new();
        let mut card = bench.start().expect("the model is willing");
        bench.fill(&mut card);
        let at = 0x10_0000 + (Virtqueue::<Memory>::memory_bytes(2 * DEPTH) - 136) as u64;
        bench.memory.device_write(at, &bytes[..136]);
        for _ in 0..20 {
            if card.pop_received().is_err() {
                break;
            }
        }
    }
}
