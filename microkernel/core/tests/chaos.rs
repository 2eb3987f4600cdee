//! Threads that call anything with anything, on one to three CPUs, in every order that the dice allow.
//!
//! Nothing they do may break the books, and when they are killed everything is as it was before.
//! `CHAOS_SEEDS=first..last` chooses the runs; one failing seed is repeated by `CHAOS_SEEDS=n..n+1`.

mod model;

use abi::layout::NEVER;
use abi::{Handle, Operation, Rights, boot};
use kernel_core::FastPath;
use model::{Actor, Place, Request, World};

const ROUNDS: u32 = 400;

fn seeds() -> std::ops::Range<u64> {
    std::env::var("CHAOS_SEEDS")
        .ok()
        .and_then(|range| {
            let (first, last) = range.split_once("..")?;
            Some(first.parse().ok()?..last.parse().ok()?)
        })
        .unwrap_or(0..3000)
}

fn any_handle(world: &mut World) -> Handle {
    match world.roll(12) {
        0 => Handle::NONE,
        1 => Handle(world.roll(1 << 32) as u32),
        _ => Handle::new(world.roll(24) as usize, 1 + world.roll(3) as u32 / 2),
    }
}

fn any_word(world: &mut World) -> u64 {
    match world.roll(10) {
        0 => world.roll(u64::MAX),
        1 => NEVER,
        2 | 3 => 0x3000_0000 + world.roll(8) * 0x1000,
        4 => 0x1000 * world.roll(6),
        5 => 0x1000_0000,
        _ => world.roll(5),
    }
}

fn any_request(world: &mut World) -> Request {
    // Calls and what belongs to them are likelier than the rest.
    const OFTEN: [Operation; 11] = [
        Operation::ProcessBudget,
        Operation::Call,
        Operation::Receive,
        Operation::ReplyReceive,
        Operation::Reply,
        Operation::CallStart,
        Operation::CallCancel,
        Operation::Ring,
        Operation::NotificationSignal,
        Operation::NotificationWait,
        Operation::ProcessMove,
    ];
    let all = Operation::ALL;
    let operation = if world.roll(3) == 0 {
        all[world.roll(all.len() as u64) as usize]
    } else {
        OFTEN[world.roll(OFTEN.len() as u64) as usize]
    };
    let is_end = matches!(operation, Operation::ProcessExit | Operation::ProcessKill | Operation::ThreadExit);
    let operation = if is_end && world.roll(6) != 0 { Operation::Yield } else { operation };
    let now = world.bus.now.get();
    let argument = match world.roll(6) {
        0 => NEVER,
        1 => now,
        2 => world.roll(8),
        _ => now + world.roll(400),
    };
    let mut request =
        Request::new(operation).a(any_handle(world)).b(any_handle(world)).c(any_handle(world)).argument(argument);
    if world.roll(2) == 0 && matches!(operation, Operation::Call | Operation::CallStart) {
        request.b = Handle::NONE;
    }
    for index in 0..8 {
        request.words[index] = any_word(world);
    }
    if operation == Operation::ProcessBudget {
        request.words[..2].copy_from_slice(&[50_000, 50_000 * (1 + world.roll(3))]);
    }
    request.length = [0, 8, 64, 65, 4000, 4096, 8191][world.roll(7) as usize];
    if world.roll(3) == 0 {
        request.length = 64;
        request.handles = world.roll(4) as usize;
        for index in 0..4 {
            let handle = any_handle(world);
            request.transfers[index] = u64::from(handle.0) | 0xffff << 32 | world.roll(3) << 48;
        }
    }
    for _ in 0..world.roll(6).saturating_sub(3) {
        let rights = [Rights::READ, Rights::WRITE, Rights::READ | Rights::WRITE, Rights::MAP][world.roll(4) as usize];
        request.length = request.length.min(64);
        let (memory, offset, length) = (any_handle(world), world.roll(0x2000), 1 + world.roll(0x2000));
        request = request.with_lease(memory, rights, offset, length);
    }
    request
}

fn run(seed: u64) {
    let cpus = 1 + seed % 3;
    let fast = if seed.is_multiple_of(2) { FastPath::On } else { FastPath::Off };
    let mut world = World::new(cpus as usize, fast, seed + 1);
    let init = World::INIT;
    world.checks = false;
    let parking = world.must(init, Request::new(Operation::NotificationCreate)).result();
    let before = world.objects();

    let quota =
        world.must(init, Request::new(Operation::QuotaSplit).a(boot::ROOT_QUOTA).words(&[600, 600, 20])).result();
    let mut endpoints = Vec::new();
    let mut mine = vec![quota];
    for _ in 0..2 {
        let endpoint = world.must(init, Request::new(Operation::EndpointCreate)).result();
        endpoints.push(endpoint);
        mine.push(endpoint);
    }
    let shared: Vec<Handle> = [
        Request::new(Operation::NotificationCreate),
        Request::new(Operation::MemoryCreate).words(&[0x3000, 0]),
        Request::new(Operation::CapsuleCreate).words(&[0x1000, 4]),
    ]
    .into_iter()
    .map(|request| world.must(init, request).result())
    .collect();
    mine.extend(&shared);
    let mut actors: Vec<Actor> = Vec::new();
    let mut processes = Vec::new();
    for number in 0..4 {
        let place = Place { cpu: world.roll(cpus), priority: 10 + world.roll(2) };
        let client = world.make_process_under(quota, place, Handle::NONE);
        let (extra, extra_thread) = world.make_thread(client.process, 0x1100_0000, 10);
        for (index, &endpoint) in endpoints.iter().enumerate() {
            world.grant(client.process, endpoint, Rights::all());
            let (keeper, connection) = world.mint(endpoint, number * 10 + index as u64);
            world.grant(client.process, connection, Rights::all());
            world.must(init, Request::new(Operation::HandleClose).a(connection));
            world.must(init, Request::new(Operation::HandleClose).a(keeper));
        }
        for &handle in &shared {
            world.grant(client.process, handle, Rights::all());
        }
        for &other in &processes {
            world.grant(client.process, other, Rights::all());
        }
        actors.extend([client.actor, extra]);
        processes.push(client.process);
        mine.extend([client.process, client.thread, extra_thread]);
    }
    world.checks = true;
    world.park_init(parking);
    for _ in 0..ROUNDS {
        match world.roll(8) {
            0 => {
                // Some worlds are slow enough for budgets to matter.
                let pace = if seed % 4 < 2 { 1 } else { 300 };
                let time = 1 + world.roll(200) * pace;
                world.advance(time);
            }
            1..=4 => {
                let actor = actors[world.roll(actors.len() as u64) as usize];
                if world.is_resting(actor) {
                    let request = any_request(&mut world);
                    world.order(actor, request);
                }
            }
            _ => {
                world.step();
            }
        }
    }

    world.wake_init();
    for handle in mine.into_iter().rev() {
        if processes.contains(&handle) {
            world.must(init, Request::new(Operation::ProcessKill).a(handle));
        }
        world.must(init, Request::new(Operation::HandleClose).a(handle));
    }
    world.settle();
    world.check();
    assert_eq!(world.objects(), before, "objects were left behind");
}

#[test]
fn chaos_leaves_the_books_in_order() {
    let range = seeds();
    for seed in range {
        let result = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
