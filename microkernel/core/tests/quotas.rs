//! Nobody gets more than their quota, everybody learns what is short, and all of it comes back.

mod model;

use abi::layout::NEVER;
use abi::{Handle, Operation, Outcome, Rights, boot};
use kernel_core::FastPath;
use kernel_core::machine::Access;
use model::{Place, Request, World};

fn split(world: &mut World, amounts: [u64; 3]) -> Handle {
    world.must(World::INIT, Request::new(Operation::QuotaSplit).a(boot::ROOT_QUOTA).words(&amounts)).result()
}

fn limits(world: &mut World, quota: Handle) -> [u64; 6] {
    let reply = world.must(World::INIT, Request::new(Operation::QuotaRead).a(quota));
    reply.words[..6].try_into().expect("six figures")
}

/// What a process may try until it is refused, with the refusal.
fn bombs() -> Vec<(Request, &'static [Outcome])> {
    const FRAMES_OR_HANDLES: &[Outcome] = &[Outcome::QuotaFrames, Outcome::QuotaHandles];
    vec![
        (Request::new(Operation::EndpointCreate), FRAMES_OR_HANDLES),
        (Request::new(Operation::NotificationCreate), FRAMES_OR_HANDLES),
        (Request::new(Operation::MemoryCreate).words(&[0x1000, 0]), FRAMES_OR_HANDLES),
        (Request::new(Operation::MemoryCreate).words(&[0x4000, 1]), FRAMES_OR_HANDLES),
        (Request::new(Operation::CapsuleCreate).words(&[0x1000, 3]), FRAMES_OR_HANDLES),
    ]
}

#[test]
fn a_process_that_makes_things_until_it_is_refused_learns_why_and_gives_all_back() {
    for (number, (request, refusals)) in bombs().into_iter().enumerate() {
        let mut world = World::new(1, FastPath::On, number as u64);
        world.checks = false;
        let objects = world.objects();
        let before = limits(&mut world, boot::ROOT_QUOTA);
        let quota = split(&mut world, [120, 200, 4]);
        let bomber = world.make_process_under(quota, Place { cpu: 0, priority: 63 }, Handle::NONE);
        let mut made = 0;
        let refusal = loop {
            let reply = world.call(bomber.actor, request);
            if reply.outcome() != Outcome::Ok {
                break reply.outcome();
            }
            made += 1;
        };
        assert!(refusals.contains(&refusal), "{request:?}: {refusal:?}");
        assert!(made > 10, "{request:?}: {made}");
        world.check();
        let used = limits(&mut world, quota);
        assert!(used[3] <= used[0] && used[4] <= used[1] && used[5] <= used[2]);

        world.must(World::INIT, Request::new(Operation::QuotaClose).a(quota));
        for handle in [bomber.process, bomber.thread, quota] {
            world.must(World::INIT, Request::new(Operation::HandleClose).a(handle));
        }
        world.settle();
        world.check();
        assert_eq!(world.objects(), objects, "{request:?}");
        let after = limits(&mut world, boot::ROOT_QUOTA);
        assert_eq!(after[..3], before[..3], "limits came back");
        // init's own table may have grown by a batch of slots and its frame.
        assert!(after[3] - before[3] <= 2, "frames came back");
    }
}

#[test]
fn threads_and_processes_are_counted() {
    let mut world = World::new(1, FastPath::On, 1);
    let quota = split(&mut world, [100, 200, 2]);
    let process = world.must(World::INIT, Request::new(Operation::ProcessCreate).a(quota).words(&[10])).result();
    let thread = |number: u64, priority: u64| {
        Request::new(Operation::ThreadCreate).a(process).words(&[
            0x40_0000,
            0x2000_0000,
            0,
            0,
            0x1000_0000 + number * 0x2000,
            priority,
            0,
        ])
    };
    world.must(World::INIT, thread(0, 10));
    assert_eq!(
        world.call(World::INIT, thread(1, 11)).outcome(),
        Outcome::BadArgument,
        "above the process's highest priority"
    );
    assert_eq!(world.call(World::INIT, thread(0, 10)).outcome(), Outcome::AlreadyMapped);
    world.must(World::INIT, thread(1, 10));
    assert_eq!(world.call(World::INIT, thread(2, 10)).outcome(), Outcome::QuotaThreads);
}

#[test]
fn a_split_moves_the_limit_and_closing_brings_it_back() {
    let mut world = World::new(2, FastPath::On, 1);
    let before = limits(&mut world, boot::ROOT_QUOTA);
    let too_much =
        world.call(World::INIT, Request::new(Operation::QuotaSplit).a(boot::ROOT_QUOTA).words(&[before[0] + 1, 0, 0]));
    assert_eq!(too_much.outcome(), Outcome::QuotaFrames);
    let child = split(&mut world, [300, 300, 5]);
    let grandchild =
        world.must(World::INIT, Request::new(Operation::QuotaSplit).a(child).words(&[150, 150, 2])).result();
    let client = world.make_process_under(grandchild, Place { cpu: 1, priority: 10 }, Handle::NONE);
    assert_eq!(limits(&mut world, boot::ROOT_QUOTA)[0], before[0] - 300);
    assert_eq!(limits(&mut world, child)[0], 150);
    world.must(World::INIT, Request::new(Operation::QuotaClose).a(child));
    world.settle();
    let info = world.must(World::INIT, Request::new(Operation::ProcessInfo).a(client.process));
    assert_eq!(info.handles & 0xffff, 2 | 3 << 8, "dead, by its quota");
    for handle in [client.process, client.thread, grandchild, child] {
        world.must(World::INIT, Request::new(Operation::HandleClose).a(handle));
    }
    world.settle();
    assert_eq!(limits(&mut world, boot::ROOT_QUOTA)[..3], before[..3]);
}

#[test]
fn two_thousand_processes_leave_nothing() {
    let mut world = World::new(2, FastPath::On, 1);
    world.checks = false;
    let mut figures = Vec::new();
    for round in 0..2_000u64 {
        let client = world.make_process(Place { cpu: round % 2, priority: 10 }, Handle::NONE);
        world.must(World::INIT, Request::new(Operation::ProcessKill).a(client.process));
        for handle in [client.process, client.thread] {
            world.must(World::INIT, Request::new(Operation::HandleClose).a(handle));
        }
        if round == 999 || round == 1_999 {
            world.settle();
            world.check();
            figures.push((world.objects(), world.kernels[0].audit_frames_charged()));
        }
    }
    assert_eq!(figures[0], figures[1]);
}

/// A client lends part of its quota to a server for a session: what the server keeps for it is charged there, and it all comes back when the client
/// closes it, or dies, and the server has let go.
#[test]
fn a_session_is_on_its_clients_account() {
    for (cpus, dies) in [([0, 0], false), ([0, 1], true), ([1, 0], false), ([1, 2], true), ([0, 0], true)] {
        let mut world = World::new(3, FastPath::On, 11);
        let server = world.make_server(Place { cpu: cpus[0], priority: 10 });
        let client = world.make_process(Place { cpu: cpus[1], priority: 10 }, Handle::NONE);
        let watcher = world.make_process(Place { cpu: 2, priority: 10 }, Handle::NONE);
        let root = world.grant(watcher.process, boot::ROOT_QUOTA, Rights::INSPECT);
        let victim = world.grant(watcher.process, client.process, Rights::MANAGE);
        let before = limits(&mut world, boot::ROOT_QUOTA);
        let quota = split(&mut world, [20, 20, 0]);
        let lent = world.grant(server.process, quota, Rights::MANAGE | Rights::INSPECT);
        let hand_on = Request::new(Operation::ProcessGrant).a(client.process).b(quota).argument(1);
        let own = world.must(World::INIT, hand_on.words(&[u64::from(Rights::all().bits())])).result();
        let idle = world.must(World::INIT, Request::new(Operation::NotificationCreate)).result();
        world.order(World::INIT, Request::new(Operation::NotificationWait).a(idle).argument(NEVER).words(&[1]));
        world.settle();

        let memory = Request::new(Operation::MemoryCreate).a(lent).words(&[0x40_0000, 0]);
        let memory = world.must(server.actor, memory).result();
        let endpoint = world.must(server.actor, Request::new(Operation::EndpointCreate).a(lent)).result();
        let mint = Request::new(Operation::EndpointMint).a(endpoint).b(lent).words(&[1]);
        let minted = world.must(server.actor, mint);
        let map = Request::new(Operation::ProcessMap).a(server.own_process).b(memory).argument(3);
        world.must(server.actor, map.words(&[0x5000_0000, 0, 0x40_0000]));
        let pages = (0..20).take_while(|page| world.fills(server.actor, 0x5000_0000 + page * 0x1000, Access::Write));
        let pages = pages.count();
        assert!((10..20).contains(&pages), "{pages}: no more than was lent");
        let used = world.must(server.actor, Request::new(Operation::QuotaRead).a(lent));
        assert_eq!(used.words[0], used.words[3], "it is all used");

        if dies {
            world.must(watcher.actor, Request::new(Operation::ProcessKill).a(victim));
        } else {
            world.must(client.actor, Request::new(Operation::QuotaClose).a(own));
        }
        world.settle();
        let late = Request::new(Operation::NotificationCreate).a(lent);
        assert_eq!(world.call(server.actor, late).outcome(), Outcome::InvalidState);
        let figures = world.must(watcher.actor, Request::new(Operation::QuotaRead).a(root));
        assert_eq!(figures.words[0], before[0] - 20, "the server still has it");
        let unmap = Request::new(Operation::ProcessUnmap).a(server.own_process).words(&[0x5000_0000, 0x40_0000]);
        world.must(server.actor, unmap);
        for handle in [memory, endpoint, minted.result(), minted.second()] {
            world.must(server.actor, Request::new(Operation::HandleClose).a(handle));
        }
        world.settle();
        let figures = world.must(watcher.actor, Request::new(Operation::QuotaRead).a(root));
        assert_eq!(figures.words[..3], before[..3], "limits came back");
    }
}
