//! Interrupts, DMA and ports; and init, which has the authority over them and can die.

mod model;

use abi::layout::NEVER;
use abi::{Handle, Operation, Outcome, Rights, boot};
use kernel_core::FastPath;
use kernel_core::machine::PortRange;
use model::{Place, Request, World};

fn notification(world: &mut World) -> Handle {
    world.must(World::INIT, Request::new(Operation::NotificationCreate)).result()
}

fn poll(world: &mut World, notification: Handle) -> u64 {
    world.must(World::INIT, Request::new(Operation::NotificationPoll).a(notification).words(&[u64::MAX])).argument
}

#[test]
fn a_level_triggered_line_is_masked_until_it_is_acknowledged() {
    let mut world = World::new(1, FastPath::On, 1);
    let bits = notification(&mut world);
    let none = world.call(World::INIT, Request::new(Operation::HardwareInterrupt).a(boot::HARDWARE).words(&[0, 99, 1]));
    assert_eq!(none.outcome(), Outcome::Unsupported, "no such line");
    let interrupt = world
        .must(World::INIT, Request::new(Operation::HardwareInterrupt).a(boot::HARDWARE).words(&[0, 4, 1]))
        .result();
    let acknowledge = Request::new(Operation::InterruptAcknowledge).a(interrupt);
    assert_eq!(world.call(World::INIT, acknowledge).outcome(), Outcome::InvalidState, "not bound yet");
    world.must(World::INIT, Request::new(Operation::InterruptBind).a(interrupt).b(bits).words(&[7]));
    assert_eq!(*world.bus.unmasked.borrow(), [4]);
    world.device_interrupt(0, 0x30);
    assert!(world.bus.unmasked.borrow().is_empty());
    assert_eq!(poll(&mut world, bits), 1 << 7);
    world.must(World::INIT, acknowledge);
    assert_eq!(*world.bus.unmasked.borrow(), [4]);
    world.must(World::INIT, Request::new(Operation::HandleClose).a(interrupt));
    assert!(world.bus.unmasked.borrow().is_empty());
    world.device_interrupt(0, 0x30);
    assert_eq!(poll(&mut world, bits), 0, "the vector is nobody's");
}

#[test]
fn a_message_interrupt_wakes_a_driver_on_another_cpu() {
    let mut world = World::new(2, FastPath::On, 1);
    let bits = notification(&mut world);
    let reply = world.must(World::INIT, Request::new(Operation::HardwareInterrupt).a(boot::HARDWARE).words(&[1, 0, 0]));
    let vector = reply.words[1] as u8;
    world.must(World::INIT, Request::new(Operation::InterruptBind).a(reply.result()).b(bits).words(&[0]));
    let driver = world.make_process(Place { cpu: 1, priority: 30 }, Handle::NONE);
    let own = world.grant(driver.process, bits, Rights::all());
    world.order(driver.actor, Request::new(Operation::NotificationWait).a(own).argument(NEVER).words(&[1]));
    world.settle();
    world.device_interrupt(0, vector);
    world.settle();
    let woken = world.answer(driver.actor).expect("it wakes");
    assert_eq!((woken.outcome(), woken.argument), (Outcome::Ok, 1));
}

#[test]
fn memory_that_a_device_may_write_is_withheld_until_the_device_was_stopped() {
    let mut world = World::new(1, FastPath::On, 1);
    let objects = world.objects();
    let space =
        world.must(World::INIT, Request::new(Operation::HardwareIoSpace).a(boot::HARDWARE).words(&[0x18])).result();
    let memory = world.must(World::INIT, Request::new(Operation::MemoryCreate).words(&[0x4000, 1])).result();
    let address = world
        .must(World::INIT, Request::new(Operation::IoSpaceMap).a(space).b(memory).argument(3).words(&[0x1000, 0x2000]))
        .handles;
    world.must(World::INIT, Request::new(Operation::IoSpaceUnmap).a(space).words(&[address, 0x2000]));
    world.must(World::INIT, Request::new(Operation::HandleClose).a(memory));
    world.settle();
    assert_eq!(world.objects(), objects + 2, "the frames are withheld");
    world.must(World::INIT, Request::new(Operation::IoSpaceRelease).a(space));
    world.must(World::INIT, Request::new(Operation::HandleClose).a(space));
    world.settle();
    assert_eq!(world.objects(), objects);
}

#[test]
fn ports_are_a_processs_own_and_ram_is_no_device() {
    let mut world = World::new(1, FastPath::On, 1);
    let ports =
        world.must(World::INIT, Request::new(Operation::HardwarePorts).a(boot::HARDWARE).words(&[0x3f8, 8])).result();
    world.must(World::INIT, Request::new(Operation::IoPortsEnable).a(ports));
    assert_eq!(*world.bus.ports.borrow(), [PortRange { first: 0x3f8, count: 8 }]);
    let other = world.make_process(Place { cpu: 0, priority: 63 }, Handle::NONE);
    let idle = notification(&mut world);
    world.park_init(idle);
    while !world.runs(other.actor) {
        assert!(world.go());
    }
    assert!(world.bus.ports.borrow().is_empty());
    world.wake_init();
    assert_eq!(world.bus.ports.borrow().len(), 1);
    let ram = world
        .call(World::INIT, Request::new(Operation::HardwareMemory).a(boot::HARDWARE).words(&[0x10_0000, 0x1000, 0]));
    assert_eq!(ram.outcome(), Outcome::BadAddress);
    let device = world
        .must(World::INIT, Request::new(Operation::HardwareMemory).a(boot::HARDWARE).words(&[0xfebf_0000, 0x1000, 0]));
    assert_ne!(device.result(), Handle::NONE);
}

#[test]
fn init_comes_back_with_what_it_kept_and_others_go_on() {
    let mut world = World::new(2, FastPath::On, 1);
    let server = world.make_server(Place { cpu: 1, priority: 10 });
    let client = world.make_process(Place { cpu: 1, priority: 10 }, Handle::NONE);
    let (connection, _) = world.connect(&client, server.endpoint, 9);
    world.must(World::INIT, Request::new(Operation::CapsuleKeep).a(boot::CAPSULE).b(server.endpoint).words(&[3]));
    let charged = world.kernels[0].audit_frames_charged();
    for incarnation in 2..6u64 {
        world.order(World::INIT, Request::new(Operation::ProcessExit).words(&[1]));
        world.settle();
        world.advance(1_000_000);
        world.settle();
        assert_eq!(world.boot_info_word(1), incarnation, "the kernel counts how often it started init");
        let endpoint =
            world.must(World::INIT, Request::new(Operation::CapsuleTake).a(boot::CAPSULE).words(&[3])).result();
        world.order(server.actor, Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER));
        world.order(client.actor, Request::new(Operation::Call).a(connection).argument(1 << 50).words(&[incarnation]));
        world.settle();
        let call = world.answer(server.actor).expect("the call arrives");
        assert_eq!(call.words[0], incarnation);
        world.must(server.actor, Request::new(Operation::Reply).b(call.reply_handle()));
        world.settle();
        let answer = world.answer(client.actor).expect("the answer arrives");
        assert_eq!(answer.outcome(), Outcome::Ok);
        let info = world.must(World::INIT, Request::new(Operation::EndpointInfo).a(endpoint));
        assert_eq!(info.argument, 1, "its server was never replaced");
    }
    let now = world.kernels[0].audit_frames_charged();
    assert!(now <= charged, "{now} frames instead of {charged}");
}
