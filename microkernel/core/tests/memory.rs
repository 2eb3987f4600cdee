//! Mappings, faults, protection and shrinking, as the page tables show them.

mod model;

use abi::syscall::protection::{EXECUTE, READ, WRITE};
use abi::{Handle, Operation, Outcome, Rights, boot};
use kernel_core::FastPath;
use kernel_core::machine::Access;
use model::{Place, Request, World};

const AT: u64 = 0x5000_0000;
const PAGE: u64 = 0x1000;

fn memory(world: &mut World, pages: u64) -> Handle {
    world.must(World::INIT, Request::new(Operation::MemoryCreate).words(&[pages * PAGE, 0])).result()
}

fn map(world: &mut World, process: Handle, memory: Handle, bits: u64, pages: u64) -> Outcome {
    world
        .call(
            World::INIT,
            Request::new(Operation::ProcessMap).a(process).b(memory).argument(bits).words(&[AT, 0, pages * PAGE]),
        )
        .outcome()
}

fn range(operation: Operation, process: Handle, bits: u64, first: u64, pages: u64) -> Request {
    Request::new(operation).a(process).argument(bits).words(&[AT + first * PAGE, pages * PAGE])
}

/// init on one CPU, with a page of its own memory at each address that it touches.
#[test]
fn anonymous_pages_appear_when_they_are_touched_and_are_charged_then() {
    let mut world = World::new(1, FastPath::On, 1);
    let object = memory(&mut world, 8);
    assert_eq!(map(&mut world, boot::SELF_PROCESS, object, READ | WRITE, 8), Outcome::Ok);
    assert_eq!(world.translate(World::INIT, AT), None);
    let before = world.kernels[0].audit_frames_charged();
    assert!(world.touch(World::INIT, AT + 5, Access::Write));
    let first = world.translate(World::INIT, AT).expect("it is there");
    assert!(world.touch(World::INIT, AT + PAGE, Access::Read));
    let second = world.translate(World::INIT, AT + PAGE).expect("it is there");
    assert_ne!(first, second);
    assert!(!world.fills(World::INIT, AT, Access::Write), "a fault on a page that is there is not about the page");
    // Two pages, the index, and the tables that were missing.
    let after = world.kernels[0].audit_frames_charged();
    assert!((3..=6).contains(&(after - before)), "{}", after - before);
    let info = world.must(World::INIT, Request::new(Operation::MemoryInfo).a(object));
    assert_eq!(info.words[..4], [8 * PAGE, 2, 0, 1]);
}

#[test]
fn nothing_is_writable_and_executable() {
    let mut world = World::new(1, FastPath::On, 1);
    let object = memory(&mut world, 2);
    for bits in [WRITE, EXECUTE, WRITE | EXECUTE, READ | WRITE | EXECUTE] {
        assert_eq!(map(&mut world, boot::SELF_PROCESS, object, bits, 2), Outcome::BadArgument);
    }
    assert_eq!(map(&mut world, boot::SELF_PROCESS, object, READ, 3), Outcome::BadArgument, "longer than the memory");
    assert_eq!(map(&mut world, boot::SELF_PROCESS, object, READ, 2), Outcome::Ok);
    assert_eq!(map(&mut world, boot::SELF_PROCESS, object, READ, 1), Outcome::AlreadyMapped);
}

#[test]
fn protection_is_never_more_than_the_handle_allowed() {
    let mut world = World::new(1, FastPath::On, 1);
    let object = memory(&mut world, 4);
    let read_only = world
        .must(
            World::INIT,
            Request::new(Operation::HandleDuplicate).a(object).words(&[u64::from((Rights::READ | Rights::MAP).bits())]),
        )
        .result();
    assert_eq!(map(&mut world, boot::SELF_PROCESS, read_only, READ | WRITE, 4), Outcome::NoRights);
    assert_eq!(map(&mut world, boot::SELF_PROCESS, read_only, READ, 4), Outcome::Ok);
    let refused = world.call(World::INIT, range(Operation::ProcessProtect, boot::SELF_PROCESS, READ | WRITE, 1, 1));
    assert_eq!(refused.outcome(), Outcome::NoRights);
}

#[test]
fn a_part_is_unmapped_and_another_protected() {
    let mut world = World::new(1, FastPath::On, 1);
    let object = memory(&mut world, 8);
    assert_eq!(map(&mut world, boot::SELF_PROCESS, object, READ | WRITE, 8), Outcome::Ok);
    for page in 0..8 {
        assert!(world.touch(World::INIT, AT + page * PAGE, Access::Write));
    }
    world.must(World::INIT, range(Operation::ProcessUnmap, boot::SELF_PROCESS, 0, 2, 2));
    for page in 0..8 {
        let is_mapped = world.translate(World::INIT, AT + page * PAGE).is_some();
        assert_eq!(is_mapped, !(2..4).contains(&page), "page {page}");
    }
    assert_eq!(
        world.call(World::INIT, range(Operation::ProcessProtect, boot::SELF_PROCESS, READ, 3, 3),).outcome(),
        Outcome::NotMapped
    );
    world.must(World::INIT, range(Operation::ProcessProtect, boot::SELF_PROCESS, READ, 5, 2));
    let writable = |world: &World, page| world.translate(World::INIT, AT + page * PAGE).expect("it is mapped") & 2 != 0;
    assert!(writable(&world, 4) && !writable(&world, 5));
    assert!(!writable(&world, 6) && writable(&world, 7));
    world.must(World::INIT, range(Operation::ProcessUnmap, boot::SELF_PROCESS, 0, 0, 8));
    let info = world.must(World::INIT, Request::new(Operation::MemoryInfo).a(object));
    assert_eq!(info.words[3], 0, "no mapping is left");
    assert_eq!(info.words[1], 8, "the memory keeps its pages");
}

#[test]
fn shrinking_unmaps_on_every_cpu_and_gives_the_frames_back() {
    let mut world = World::new(3, FastPath::On, 5);
    let object = memory(&mut world, 8);
    let mut actors = vec![(World::INIT, boot::SELF_PROCESS)];
    for cpu in 1..3 {
        let client = world.make_process(Place { cpu, priority: 10 }, Handle::NONE);
        world.settle();
        actors.push((client.actor, client.process));
    }
    for &(_, process) in &actors {
        assert_eq!(map(&mut world, process, object, READ | WRITE, 8), Outcome::Ok);
    }
    for &(actor, _) in &actors {
        for page in 0..8 {
            assert!(world.touch(actor, AT + page * PAGE, Access::Write));
        }
    }
    let frames: Vec<_> = actors.iter().map(|&(actor, _)| world.translate(actor, AT + 7 * PAGE)).collect();
    assert!(frames.iter().all(|&entry| entry == frames[0] && entry.is_some()));
    let before = world.kernels[0].audit_frames_charged();
    world.must(World::INIT, Request::new(Operation::MemoryResize).a(object).words(&[3 * PAGE]));
    for &(actor, _) in &actors {
        for page in 0..8 {
            let is_mapped = world.translate(actor, AT + page * PAGE).is_some();
            assert_eq!(is_mapped, page < 3, "page {page} of {actor:?}");
        }
    }
    assert_eq!(before - world.kernels[0].audit_frames_charged(), 5);
    assert!(!world.fills(World::INIT, AT + 3 * PAGE, Access::Read));
    world.must(World::INIT, Request::new(Operation::MemoryResize).a(object).words(&[4 * PAGE]));
    assert!(world.fills(World::INIT, AT + 3 * PAGE, Access::Read));
}

#[test]
fn memory_of_another_process_is_read_and_written_through_its_handle() {
    let mut world = World::new(2, FastPath::On, 5);
    let client = world.make_process(Place { cpu: 1, priority: 10 }, Handle::NONE);
    let object = memory(&mut world, 2);
    assert_eq!(map(&mut world, client.process, object, READ | WRITE, 2), Outcome::Ok);
    let written = world.must(
        World::INIT,
        Request::new(Operation::ProcessWrite)
            .a(client.process)
            .words(&[AT + PAGE - 3, 4096])
            .message(4096, 0)
            .filling(0x0807_0605_0403_0201),
    );
    assert_eq!(written.handles, 4096);
    let read =
        world.must(World::INIT, Request::new(Operation::ProcessRead).a(client.process).words(&[AT + PAGE - 3, 16]));
    assert_eq!(read.handles, 16);
    assert_eq!(read.ends[0], 0x0807_0605_0403_0201);
    let past =
        world.call(World::INIT, Request::new(Operation::ProcessRead).a(client.process).words(&[AT + 2 * PAGE, 16]));
    assert_eq!(past.outcome(), Outcome::NotMapped);
    let cut =
        world.must(World::INIT, Request::new(Operation::ProcessRead).a(client.process).words(&[AT + 2 * PAGE - 8, 16]));
    assert_eq!(cut.handles, 8);
}
