//! Budgets: nobody runs longer than his share, and what a server does for somebody is on that one's account.

mod model;

use abi::layout::NEVER;
use abi::outcome::NotDelivered;
use abi::{Handle, Operation, Outcome, Rights};
use kernel_core::FastPath;
use model::{Actor, Client, Place, Request, World};

const MILLISECOND: u64 = 1_000_000;
const BUDGET: u64 = MILLISECOND;
const PERIOD: u64 = 10 * MILLISECOND;
const LATER: u64 = 1 << 46;

fn limit(process: Handle, budget: u64, period: u64) -> Request {
    Request::new(Operation::ProcessBudget).a(process).words(&[budget, period])
}

/// init waits out of the way.
fn leave_the_rest_alone(world: &mut World) {
    let idle = world.must(World::INIT, Request::new(Operation::NotificationCreate)).result();
    world.order(World::INIT, Request::new(Operation::NotificationWait).a(idle).argument(NEVER).words(&[1]));
    world.settle();
}

/// How long, in steps of 50 microseconds, an actor was what ran, in so many periods.
fn share(world: &mut World, actors: &[Actor], periods: u64) -> u64 {
    let mut ran = 0;
    for _ in 0..periods * PERIOD / 50_000 {
        ran += u64::from(actors.iter().any(|&actor| world.runs(actor)));
        world.advance(50_000);
        while world.step() {}
    }
    ran * 50_000
}

#[test]
fn a_process_that_never_rests_gets_its_budget_in_each_period() {
    for fast in [FastPath::On, FastPath::Off] {
        let mut world = World::new(1, fast, 1);
        let hog = world.make_process(Place { cpu: 0, priority: 30 }, Handle::NONE);
        let (second, _) = world.make_thread(hog.process, 0x1100_0000, 30);
        let other = world.make_process(Place { cpu: 0, priority: 10 }, Handle::NONE);
        world.must(World::INIT, limit(hog.process, BUDGET, PERIOD));
        leave_the_rest_alone(&mut world);
        let hogs = share(&mut world, &[hog.actor, second], 20);
        assert!((15 * BUDGET..=21 * BUDGET).contains(&hogs), "{hogs}");
        let others = share(&mut world, &[other.actor], 20);
        assert!(others >= 20 * (PERIOD - BUDGET) - BUDGET, "{others}");
        for actor in [hog.actor, second] {
            assert!(share(&mut world, &[actor], 20) >= 8 * BUDGET, "its threads take turns");
        }
    }
}

#[test]
fn without_a_limit_the_higher_priority_has_it_all() {
    let mut world = World::new(1, FastPath::On, 1);
    let hog = world.make_process(Place { cpu: 0, priority: 30 }, Handle::NONE);
    world.must(World::INIT, limit(hog.process, BUDGET, PERIOD));
    world.must(World::INIT, limit(hog.process, 0, 0));
    leave_the_rest_alone(&mut world);
    assert_eq!(share(&mut world, &[hog.actor], 3), 3 * PERIOD);
}

#[test]
fn what_a_limited_process_makes_is_on_its_budget() {
    let mut world = World::new(1, FastPath::On, 1);
    let parent = world.make_process(Place { cpu: 0, priority: 30 }, Handle::NONE);
    let quota = world.grant(parent.process, abi::boot::ROOT_QUOTA, Rights::all());
    world.must(World::INIT, limit(parent.process, BUDGET, PERIOD));
    world.make_process(Place { cpu: 0, priority: 10 }, Handle::NONE);
    leave_the_rest_alone(&mut world);
    let create = Request::new(Operation::ProcessCreate).a(quota).words(&[30]);
    let child = world.must(parent.actor, create).result();
    for request in [limit(child, 0, 0), limit(parent.own_process, 0, 0), limit(child, BUDGET, PERIOD)] {
        assert_eq!(world.call(parent.actor, request).outcome(), Outcome::NoRights);
    }
    let (actor, entry) = world.new_actor();
    let create = Request::new(Operation::ThreadCreate).a(child).words(&[entry, 0x2000_0000, 0, 0, 0x1000_0000, 30, 0]);
    let thread = world.must(parent.actor, create).result();
    world.must(parent.actor, Request::new(Operation::ThreadStart).a(thread));
    let (mut parents, mut children) = (0, 0);
    for _ in 0..2000 {
        parents += u64::from(world.runs(parent.actor));
        children += u64::from(world.runs(actor));
        world.advance(50_000);
        while world.step() {}
    }
    let both = (parents + children) * 50_000;
    assert!(both <= 11 * BUDGET && children > 0, "{parents} {children}");
}

/// A limited client has called a server, which has received the call.
fn in_a_call(cpus: [u64; 2], fast: FastPath) -> (World, model::Server, Client, Handle) {
    let mut world = World::new(2, fast, 5);
    let server = world.make_server(Place { cpu: cpus[0], priority: 20 });
    let client = world.make_process(Place { cpu: cpus[1], priority: 10 }, Handle::NONE);
    let (connection, _) = world.connect(&client, server.endpoint, 7);
    world.must(World::INIT, limit(client.process, BUDGET, PERIOD));
    leave_the_rest_alone(&mut world);
    world.order(server.actor, Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER));
    let call = Request::new(Operation::Call).a(connection).argument(LATER).words(&[1]).message(8, 0);
    world.order(client.actor, call);
    world.settle();
    let reply = world.answer(server.actor).expect("the call arrives").reply_handle();
    (world, server, client, reply)
}

#[test]
fn a_server_finishes_and_its_client_pays() {
    for fast in [FastPath::On, FastPath::Off] {
        for cpus in [[0, 0], [0, 1], [1, 0]] {
            let (mut world, server, client, reply) = in_a_call(cpus, fast);
            for _ in 0..10 {
                world.advance(MILLISECOND / 2);
                while world.step() {}
                assert!(world.runs(server.actor), "nobody stops a server half-way");
            }
            let answer = Request::new(Operation::ReplyReceive).a(server.own_endpoint).b(reply).argument(NEVER);
            world.order(server.actor, answer);
            while world.step() {}
            assert!(world.answer(client.actor).is_none() && !world.runs(client.actor), "the client owes four periods");
            world.advance(3 * PERIOD);
            while world.step() {}
            assert!(!world.runs(client.actor));
            world.advance(2 * PERIOD);
            while world.step() {}
            assert_eq!(world.answer(client.actor).expect("it has paid").outcome(), Outcome::Ok);
        }
    }
}

#[test]
fn a_server_of_its_own_is_not_charged_for_its_clients() {
    for fast in [FastPath::On, FastPath::Off] {
        let mut world = World::new(1, fast, 5);
        let server = world.make_server(Place { cpu: 0, priority: 20 });
        let client = world.make_process(Place { cpu: 0, priority: 10 }, Handle::NONE);
        let (connection, _) = world.connect(&client, server.endpoint, 7);
        world.must(World::INIT, limit(server.process, BUDGET, PERIOD));
        leave_the_rest_alone(&mut world);
        world.order(server.actor, Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER));
        let call = Request::new(Operation::Call).a(connection).argument(LATER).words(&[1]).message(8, 0);
        world.order(client.actor, call);
        world.settle();
        world.answer(server.actor).expect("the call arrives");
        world.advance(5 * MILLISECOND);
        while world.step() {}
        assert!(world.runs(server.actor), "its client is not limited");
    }
}

#[test]
fn a_call_of_somebody_without_budget_is_refused() {
    for cpus in [[0, 0], [0, 1], [1, 0]] {
        let mut world = World::new(2, FastPath::On, 5);
        let server = world.make_server(Place { cpu: cpus[0], priority: 20 });
        let client = world.make_process(Place { cpu: cpus[1], priority: 10 }, Handle::NONE);
        // It uses up the budget while the other thread waits for its answer.
        world.make_thread(client.process, 0x1100_0000, 9);
        let (connection, _) = world.connect(&client, server.endpoint, 7);
        world.must(World::INIT, limit(client.process, BUDGET, PERIOD));
        leave_the_rest_alone(&mut world);
        let call = Request::new(Operation::Call).a(connection).argument(LATER).words(&[1]).message(8, 0);
        world.order(client.actor, call);
        // The server makes room by waiting for a while.
        world.order(server.actor, Request::new(Operation::NotificationCreate));
        while world.step() {}
        let bits = world.answer(server.actor).expect("it runs").result();
        let until = world.bus.now.get() + 3 * MILLISECOND;
        world.order(server.actor, Request::new(Operation::NotificationWait).a(bits).argument(until).words(&[1]));
        for _ in 0..62 {
            while world.step() {}
            world.advance(50_000);
        }
        while world.step() {}
        world.order(server.actor, Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER));
        while world.step() {}
        assert!(world.answer(server.actor).is_none(), "the server never has it");
        world.advance(PERIOD);
        while world.step() {}
        while world.yield_for_others() {
            while world.step() {}
        }
        let reply = world.answer(client.actor).expect("it learns of it");
        assert_eq!((reply.outcome(), reply.upper), (Outcome::NotDelivered, NotDelivered::Refused as u32));
    }
}

#[test]
fn amounts_are_checked() {
    let mut world = World::new(1, FastPath::On, 1);
    let process = world.make_process(Place { cpu: 0, priority: 10 }, Handle::NONE).process;
    for (budget, period) in [(1, PERIOD), (PERIOD + 1, PERIOD), (0, PERIOD), (BUDGET, 0), (BUDGET, NEVER)] {
        let refused = world.call(World::INIT, limit(process, budget, period));
        assert_eq!(refused.outcome(), Outcome::BadArgument, "{budget} {period}");
    }
    let rights = u64::from((Rights::MANAGE | Rights::MAP).bits());
    let lesser = world.must(World::INIT, Request::new(Operation::HandleDuplicate).a(process).words(&[rights])).result();
    assert_eq!(world.call(World::INIT, limit(lesser, BUDGET, PERIOD)).outcome(), Outcome::NoRights);
}

#[test]
fn one_that_waits_for_its_budget_can_be_suspended_moved_and_killed() {
    for last in 0..3 {
        let mut world = World::new(2, FastPath::On, 1);
        let objects = world.objects();
        let hog = world.make_process(Place { cpu: 1, priority: 30 }, Handle::NONE);
        world.must(World::INIT, limit(hog.process, BUDGET, PERIOD));
        world.settle();
        world.advance(BUDGET + 1000);
        while world.step() {}
        assert!(!world.runs(hog.actor));
        if last == 0 {
            world.must(World::INIT, Request::new(Operation::ThreadSuspend).a(hog.thread));
            world.must(World::INIT, Request::new(Operation::ThreadResume).a(hog.thread));
        }
        if last == 1 {
            world.must(World::INIT, Request::new(Operation::ProcessMove).a(hog.process).words(&[0]));
            world.must(World::INIT, Request::new(Operation::ProcessMove).a(hog.process).words(&[1]));
        }
        world.settle();
        assert!(!world.runs(hog.actor), "that gives no new budget");
        if last != 2 {
            world.advance(PERIOD);
            while world.step() {}
            assert!(world.runs(hog.actor));
        }
        world.must(World::INIT, Request::new(Operation::ProcessKill).a(hog.process));
        for handle in [hog.process, hog.thread] {
            world.must(World::INIT, Request::new(Operation::HandleClose).a(handle));
        }
        world.settle();
        assert_eq!(world.objects(), objects);
    }
}

/// A server of low priority works for a client of low priority, a spinner of middling priority keeps it from that, and an urgent client waits for the server.
fn inversion(nested: bool, fast: FastPath) {
    let mut world = World::new(1, fast, 9);
    let place = |priority| Place { cpu: 0, priority };
    let back = world.make_server(place(5));
    let front = world.make_server(place(5));
    let low = world.make_process(place(6), Handle::NONE);
    let urgent = world.make_process(place(30), Handle::NONE);
    let (onward, entry) = (world.mint(back.endpoint, 3).1, front.endpoint);
    let onward = world.grant(front.process, onward, Rights::all());
    let (from_low, _) = world.connect(&low, entry, 1);
    let (from_urgent, _) = world.connect(&urgent, entry, 2);
    let spinner = world.make_process(place(20), Handle::NONE);
    leave_the_rest_alone(&mut world);
    // Everybody above waits until the two servers and the humble client have come as far as they should.
    let wait = |world: &mut World, actor, until| {
        world.order(actor, Request::new(Operation::NotificationCreate));
        while world.step() {}
        let bits = world.answer(actor).expect("it runs").result();
        world.order(actor, Request::new(Operation::NotificationWait).a(bits).argument(until).words(&[1]));
        while world.step() {}
    };
    let start = world.bus.now.get();
    wait(&mut world, urgent.actor, start + 2_000_000);
    wait(&mut world, spinner.actor, start + 1_000_000);
    let receive = |server: &model::Server| Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER);
    let call = |connection| Request::new(Operation::Call).a(connection).argument(LATER).words(&[1]).message(8, 0);
    world.order(low.actor, call(from_low));
    world.order(front.actor, receive(&front));
    world.order(back.actor, receive(&back));
    world.settle();
    world.answer(front.actor).expect("the humble call arrives");
    if nested {
        world.order(front.actor, call(onward));
        world.settle();
        world.answer(back.actor).expect("and is handed on");
    }
    world.advance(start + 1_000_000 - world.bus.now.get());
    while world.step() {}
    assert!(world.runs(spinner.actor), "it keeps the servers from their work");
    world.advance(start + 2_000_000 - world.bus.now.get());
    while world.step() {}
    assert!(world.runs(urgent.actor));
    world.order(urgent.actor, call(from_urgent));
    while world.step() {}
    let worker = if nested { back.actor } else { front.actor };
    assert!(world.runs(worker), "whom the urgent call waits for runs before the spinner");
}

#[test]
fn a_waiting_call_lends_its_priority_to_whoever_it_waits_for() {
    for fast in [FastPath::On, FastPath::Off] {
        inversion(false, fast);
        inversion(true, fast);
    }
}
