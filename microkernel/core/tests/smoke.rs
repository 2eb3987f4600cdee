//! The shortest way through the kernel: init starts, makes things, and two processes call each other.

mod model;

use abi::layout::NEVER;
use abi::{Handle, Operation, Outcome, WakeKind};
use kernel_core::FastPath;
use model::{Place, Request, World};

const LATER: u64 = 1_000_000_000;

#[test]
fn init_starts_and_a_stale_handle_is_refused() {
    let mut world = World::new(1, FastPath::On, 1);
    world.must(World::INIT, Request::new(Operation::Null));
    let reply = world.call(World::INIT, Request::new(Operation::HandleClose).a(Handle(0x8001)));
    assert_eq!(reply.outcome(), Outcome::BadHandle);
}

fn call_and_reply(cpus: usize, server_cpu: u64, client_cpu: u64, fast: FastPath) {
    let mut world = World::new(cpus, fast, 7);
    let server = world.make_server(Place { cpu: server_cpu, priority: 20 });
    let client = world.make_process(Place { cpu: client_cpu, priority: 10 }, Handle::NONE);
    let (connection, _) = world.connect(&client, server.endpoint, 77);
    // init waits out of the way, so that the others run.
    let idle = world.must(World::INIT, Request::new(Operation::NotificationCreate)).result();
    world.order(World::INIT, Request::new(Operation::NotificationWait).a(idle).argument(NEVER).words(&[1]));
    world.settle();
    world.order(server.actor, Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER));
    for round in 0..3u64 {
        world.order(
            client.actor,
            Request::new(Operation::Call)
                .a(connection)
                .argument(LATER)
                .words(&[1 + round, 2, 3, 4, 5, 6, 7, 8])
                .message(64, 0),
        );
        world.settle();
        let received = world.answer(server.actor).expect("the call arrives");
        assert_eq!(received.wake(), WakeKind::Call);
        assert_eq!(received.handles, 77);
        assert_eq!(received.words, [1 + round, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(received.info.length(), 64);
        assert_eq!(received.argument >> 32, 10, "the caller's priority");
        world.order(
            server.actor,
            Request::new(Operation::ReplyReceive)
                .a(server.own_endpoint)
                .b(received.reply_handle())
                .argument(NEVER)
                .words(&[8, 7, 6, 5, 4, 3, 2, 1])
                .message(40, 0),
        );
        world.settle();
        let answer = world.answer(client.actor).expect("the reply arrives");
        assert_eq!(answer.outcome(), Outcome::Ok);
        assert_eq!(answer.words, [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(answer.info.length(), 40);
    }
}

#[test]
fn a_call_is_answered_on_one_cpu() {
    call_and_reply(1, 0, 0, FastPath::On);
    call_and_reply(1, 0, 0, FastPath::Off);
}

#[test]
fn a_call_is_answered_across_cpus() {
    call_and_reply(2, 0, 1, FastPath::On);
    call_and_reply(2, 1, 0, FastPath::On);
    call_and_reply(3, 1, 2, FastPath::Off);
}

#[test]
fn a_receiver_that_is_rung_all_the_time_still_gets_its_calls() {
    let mut world = World::new(3, FastPath::On, 11);
    let server = world.make_server(Place { cpu: 0, priority: 10 });
    let [caller, ringer] = [1, 2].map(|cpu| {
        let client = world.make_process(Place { cpu, priority: 10 }, Handle::NONE);
        let (connection, _) = world.connect(&client, server.endpoint, cpu);
        (client, connection)
    });
    let idle = world.must(World::INIT, Request::new(Operation::NotificationCreate)).result();
    world.order(World::INIT, Request::new(Operation::NotificationWait).a(idle).argument(NEVER).words(&[1]));
    world.order(caller.0.actor, Request::new(Operation::Call).a(caller.1).argument(LATER).message(8, 0));
    world.settle();
    let mut wakes = Vec::new();
    for _ in 0..4 {
        world.order(ringer.0.actor, Request::new(Operation::Ring).a(ringer.1));
        world.settle();
        world.answer(ringer.0.actor).expect("ringing is no wait");
        world.order(server.actor, Request::new(Operation::Receive).a(server.own_endpoint).argument(NEVER));
        world.settle();
        let reply = world.answer(server.actor).expect("something is there");
        wakes.push(reply.wake());
    }
    assert_eq!(wakes[..2], [WakeKind::Rung, WakeKind::Call]);
    assert_eq!(wakes[2..], [WakeKind::Rung, WakeKind::Rung], "the call is under way");
}

#[test]
fn a_process_gives_everything_back_when_it_is_killed() {
    let mut world = World::new(2, FastPath::On, 3);
    let mut counts = Vec::new();
    for round in 0..4u64 {
        let client = world.make_process(Place { cpu: round % 2, priority: 10 }, Handle::NONE);
        world.settle();
        world.must(World::INIT, Request::new(Operation::ProcessKill).a(client.process));
        world.settle();
        for handle in [client.process, client.thread] {
            world.must(World::INIT, Request::new(Operation::HandleClose).a(handle));
        }
        world.settle();
        counts.push((world.objects(), world.kernels[0].audit_frames_charged()));
    }
    assert_eq!(counts[1], counts[3]);
    assert_eq!(counts[0], counts[2]);
}
