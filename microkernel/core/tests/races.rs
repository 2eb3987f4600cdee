//! What happens when two things happen at once: each scenario on one CPU and across two or three, with the fast path on and off, in as many
//! orders as there are seeds. After every step the books must balance; at the end of each scenario stands what its parties may have seen.
//!
//! `RACE_SEEDS` is the number of seeds for each of the six arrangements of each scenario; the default keeps `cargo test` short, and
//! 1,050 make more than 100,000 interleavings in all (a minute). A failure names its seed, which `RACE_FIRST=n RACE_SEEDS=1` repeats.

mod model;

use abi::layout::NEVER;
use abi::outcome::NotDelivered;
use abi::{Handle, Operation, Outcome, Rights, WakeKind, boot};
use kernel_core::FastPath;
use model::{Actor, Client, Place, Reply, Request, Server, World, sent};

/// Long enough for anything.
const LATER: u64 = 1 << 46;

/// A server, its client, and a third process that makes trouble for them.
struct Stage {
    world: World,
    parking: Handle,
    server: Server,
    client: Client,
    trouble: Client,
    /// The client's Connection, and the troublemaker's handles.
    connection: Handle,
    keeper: Handle,
    server_process: Handle,
    client_process: Handle,
    notification: Handle,
    /// The client's and the server's handles of the notification.
    client_notification: Handle,
    server_notification: Handle,
    /// init's.
    mine: Vec<Handle>,
    objects_before: u64,
    calls_seen: u64,
    /// The Reply of the call whose lease the server copies from.
    copying: Option<Handle>,
    rung: u64,
    closed: u64,
    cancelled: u64,
    bits: u64,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Plays a scenario in every arrangement with every seed.
fn play(scenario: impl Fn(&mut Stage) + std::panic::RefUnwindSafe) {
    let first = number("RACE_FIRST", 0);
    let seeds = first..first + number("RACE_SEEDS", 300);
    let arrangements = [[0, 0, 0], [0, 1, 0], [1, 2, 0]];
    for (index, cpus) in arrangements.into_iter().enumerate() {
        for fast in [FastPath::On, FastPath::Off] {
            for seed in seeds.clone() {
                let result = std::panic::catch_unwind(|| {
                    let mut stage = Stage::new(cpus, fast, seed * 7 + index as u64 + 1);
                    scenario(&mut stage);
                    stage.strike();
                });
                if let Err(panic) = result {
                    eprintln!("arrangement {cpus:?}, fast path {fast:?}, seed {seed}");
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

impl Stage {
    fn new([server_cpu, client_cpu, trouble_cpu]: [u64; 3], fast: FastPath, seed: u64) -> Self {
        let cpus = server_cpu.max(client_cpu).max(trouble_cpu) + 1;
        let mut world = World::new(cpus as usize, fast, seed);
        world.checks = false;
        let init = World::INIT;
        let parking = world.must(init, Request::new(Operation::NotificationCreate)).result();
        let objects_before = world.objects();
        let notification = world.must(init, Request::new(Operation::NotificationCreate)).result();
        let place = |cpu| Place { cpu, priority: 10 };
        let server = world.make_server(place(server_cpu));
        let client = world.make_process(place(client_cpu), Handle::NONE);
        let trouble = world.make_process(place(trouble_cpu), Handle::NONE);
        let (connection, kept) = world.connect(&client, server.endpoint, 5);
        let keeper = world.grant(trouble.process, kept, Rights::all());
        let server_process = world.grant(trouble.process, server.process, Rights::all());
        let client_process = world.grant(trouble.process, client.process, Rights::all());
        let for_trouble = world.grant(trouble.process, notification, Rights::all());
        let client_notification = world.grant(client.process, notification, Rights::all());
        let server_notification = world.grant(server.process, notification, Rights::all());
        let mine = vec![
            notification,
            server.endpoint,
            server.process,
            server.thread,
            client.process,
            client.thread,
            trouble.process,
            trouble.thread,
            kept,
        ];
        world.park_init(parking);
        world.checks = true;
        Self {
            world,
            parking,
            server,
            client,
            trouble,
            connection,
            keeper,
            server_process,
            client_process,
            notification: for_trouble,
            client_notification,
            server_notification,
            mine,
            objects_before,
            calls_seen: 0,
            copying: None,
            rung: 0,
            closed: 0,
            cancelled: 0,
            bits: 0,
        }
    }

    /// Does one thing that could happen now: mostly a step of some CPU, sometimes the server's next system call, sometimes time.
    fn tick(&mut self) -> bool {
        match self.world.roll(6) {
            0 => {
                self.serve();
                true
            }
            1 => {
                let time = self.world.roll(12);
                self.world.advance(time);
                true
            }
            _ => self.world.go(),
        }
    }

    /// If the server rests, it does what a server does next.
    fn serve(&mut self) {
        let actor = self.server.actor;
        if !self.world.is_resting(actor) {
            return;
        }
        let receive = Request::new(Operation::Receive).a(self.server.own_endpoint).argument(NEVER);
        let Some(reply) = self.world.answer(actor) else {
            return self.world.order(actor, receive);
        };
        if let Some(handle) = self.copying.take() {
            assert!(matches!(reply.outcome(), Outcome::Ok | Outcome::InvalidState | Outcome::BadArgument));
            let words = [u64::from(reply.outcome() == Outcome::Ok)];
            let answer = Request::new(Operation::ReplyReceive).a(self.server.own_endpoint).b(handle).argument(NEVER);
            return self.world.order(actor, answer.words(&words).message(8, 0));
        }
        if reply.outcome() != Outcome::Ok || reply.info.flags() == 0 && reply.argument == 0 {
            return self.world.order(actor, receive);
        }
        let next = match reply.wake() {
            WakeKind::Call if reply.info.leases() != 0 => {
                self.copying = Some(reply.reply_handle());
                Request::new(Operation::LeaseCopy).b(reply.reply_handle()).words(&[self.calls_seen % 2, 0, 0, 4096])
            }
            WakeKind::Call => {
                self.calls_seen += 1;
                Request::new(Operation::ReplyReceive)
                    .a(self.server.own_endpoint)
                    .b(reply.reply_handle())
                    .argument(NEVER)
                    .words(&[reply.words[0] + 1])
                    .message(8, 0)
            }
            WakeKind::Cancelled => {
                self.cancelled += 1;
                Request::new(Operation::HandleClose).a(reply.reply_handle())
            }
            WakeKind::Rung => {
                self.rung += 1;
                receive
            }
            WakeKind::Closed => {
                self.closed += 1;
                receive
            }
            WakeKind::Notified => {
                self.bits |= reply.argument;
                receive
            }
            WakeKind::Completed => receive,
        };
        self.world.order(actor, next);
    }

    fn order(&mut self, actor: Actor, request: Request) {
        self.world.order(actor, request);
    }

    /// Goes on until `actor` has its answer.
    fn wait_for(&mut self, actor: Actor) -> Reply {
        for round in 0..4_000 {
            if let Some(reply) = self.world.answer(actor) {
                return reply;
            }
            if !self.tick() && round % 16 == 15 {
                // Only the clock is left: slices of work, then deadlines.
                self.world.advance(100_001);
            }
        }
        panic!("{actor:?} waits for ever");
    }

    /// Goes on until something holds, or for long.
    fn go_on_until(&mut self, holds: impl Fn(&Self) -> bool) {
        for round in 0..4_000 {
            if holds(self) {
                return;
            }
            if !self.tick() && round % 16 == 15 {
                self.world.advance(100_001);
            }
        }
    }

    fn some_ticks(&mut self, most: u64) {
        for _ in 0..self.world.roll(most) {
            self.tick();
        }
    }

    /// A call of the client's.
    fn call(&mut self, deadline: u64, word: u64) {
        let request = Request::new(Operation::Call).a(self.connection).argument(deadline).words(&[word]).message(8, 0);
        self.order(self.client.actor, request);
    }

    fn now(&self) -> u64 {
        self.world.bus.now.get()
    }

    /// The troublemaker does `request` at some time.
    fn trouble(&mut self, request: Request) {
        let actor = self.trouble.actor;
        self.order(actor, request);
    }

    /// Ends everybody; nothing may be left.
    fn strike(&mut self) {
        self.world.wake_init();
        let init = World::INIT;
        for handle in [self.server.process, self.client.process, self.trouble.process] {
            self.world.must(init, Request::new(Operation::ProcessKill).a(handle));
        }
        for handle in std::mem::take(&mut self.mine) {
            self.world.must(init, Request::new(Operation::HandleClose).a(handle));
        }
        self.world.settle();
        self.world.check();
        assert_eq!(self.world.objects(), self.objects_before, "objects were left behind");
        let _ = self.parking;
    }
}

fn assert_detail(reply: &Reply, allowed: &[u32]) {
    assert!(allowed.contains(&reply.upper), "detail {} of {:?}", reply.upper, reply.outcome());
}

#[test]
fn a_reply_races_a_deadline() {
    play(|stage| {
        for round in 0..3 {
            let deadline = stage.now() + stage.world.roll(60);
            stage.call(deadline, round);
            let reply = stage.wait_for(stage.client.actor);
            match reply.outcome() {
                Outcome::Ok => assert_eq!(reply.words[0], round + 1),
                Outcome::DeadlinePassed => assert_detail(&reply, &[0, 1]),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn a_reply_races_a_cancellation() {
    play(|stage| {
        // The client makes an endpoint of its own, on which the ends of its Call are reported.
        let client = stage.client.actor;
        stage.order(client, Request::new(Operation::EndpointCreate));
        let endpoint = stage.wait_for(client).result();
        stage.order(client, Request::new(Operation::CallCreate).a(endpoint).words(&[99, 0x4000_0000]));
        let call = stage.wait_for(client).result();
        for round in 0..2 {
            stage.order(
                client,
                Request::new(Operation::CallStart)
                    .a(stage.connection)
                    .c(call)
                    .argument(LATER * 2)
                    .words(&[round])
                    .message(8, 0),
            );
            assert_eq!(stage.wait_for(client).outcome(), Outcome::Ok);
            stage.some_ticks(30);
            stage.order(client, Request::new(Operation::CallCancel).c(call));
            assert_eq!(stage.wait_for(client).outcome(), Outcome::Ok);
            stage.order(client, Request::new(Operation::Receive).a(endpoint).argument(NEVER));
            let reply = stage.wait_for(client);
            assert_eq!(reply.wake(), WakeKind::Completed);
            assert_eq!(reply.handles, 99);
            let end = abi::CallOutcome::from_bits(reply.upper).expect("a known end");
            match end.outcome {
                Outcome::Ok => assert_eq!(reply.words[0], round + 1),
                Outcome::Cancelled => assert!(end.detail <= 1),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn the_death_of_a_server_races_a_deadline_and_a_reply() {
    play(|stage| {
        let deadline = stage.now() + 10 + stage.world.roll(400);
        stage.call(deadline, 1);
        stage.some_ticks(20);
        stage.trouble(Request::new(Operation::ProcessKill).a(stage.server_process));
        let reply = stage.wait_for(stage.client.actor);
        match reply.outcome() {
            Outcome::Ok => assert_eq!(reply.words[0], 2),
            Outcome::Interrupted => assert_eq!(reply.words[0], 1, "the first incarnation had it"),
            Outcome::DeadlinePassed => assert_detail(&reply, &[0, 1]),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_lease_ends_with_its_call() {
    play(|stage| {
        let client = stage.client.actor;
        stage.order(client, Request::new(Operation::MemoryCreate).words(&[0x3000, 0]));
        let memory = stage.wait_for(client).result();
        for round in 0..3 {
            stage.calls_seen = round;
            let deadline = stage.now() + stage.world.roll(60);
            let call = Request::new(Operation::Call).a(stage.connection).argument(deadline);
            stage.order(client, call.with_lease(memory, Rights::READ | Rights::WRITE, 100, 8000));
            let reply = stage.wait_for(client);
            match reply.outcome() {
                Outcome::Ok => assert_eq!(reply.words[0], 1, "while the caller waits its lease is there"),
                Outcome::DeadlinePassed => assert_detail(&reply, &[0, 1]),
                other => panic!("{other:?}"),
            }
        }
        let call = Request::new(Operation::Call).a(stage.connection).argument(LATER);
        stage.order(client, call.with_lease(memory, Rights::READ | Rights::WRITE, 100, 8000));
        stage.some_ticks(30);
        stage.trouble(Request::new(Operation::ProcessKill).a(stage.client_process));
        stage.wait_for(stage.trouble.actor);
        stage.some_ticks(30);
    });
}

#[test]
fn a_call_waits_for_the_next_incarnation() {
    play(|stage| {
        let client = stage.client.actor;
        stage.trouble(Request::new(Operation::ProcessKill).a(stage.server_process));
        stage.some_ticks(10);
        stage.call(LATER * 3, 1);
        stage.wait_for(stage.trouble.actor);
        stage.some_ticks(60);
        stage.world.wake_init();
        let place = Place { cpu: stage.world.roll(stage.world.kernels.len() as u64), priority: 10 };
        let next = stage.world.make_process(place, Handle::NONE);
        let endpoint = stage.world.grant(next.process, stage.server.endpoint, Rights::RECEIVE);
        stage.mine.extend([next.process, next.thread]);
        stage.server.actor = next.actor;
        stage.server.own_endpoint = endpoint;
        let old = std::mem::replace(&mut stage.server.process, next.process);
        stage.world.must(World::INIT, Request::new(Operation::ProcessKill).a(old));
        stage.world.park_init(stage.parking);
        let reply = stage.wait_for(client);
        match reply.outcome() {
            Outcome::Ok => assert_eq!(reply.words[0], 2),
            Outcome::Interrupted => assert_eq!(reply.words[0], 1),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_death_of_a_client_races_its_reply() {
    play(|stage| {
        stage.call(LATER * 2, 1);
        stage.some_ticks(30);
        stage.trouble(Request::new(Operation::ProcessKill).a(stage.client_process));
        assert_eq!(stage.wait_for(stage.trouble.actor).outcome(), Outcome::Ok);
        for _ in 0..60 {
            stage.tick();
        }
        assert!(stage.cancelled <= stage.calls_seen);
    });
}

#[test]
fn calls_find_a_server_that_moves() {
    play(|stage| {
        let cpus = stage.world.kernels.len() as u64;
        for round in 0..3 {
            stage.call(LATER * 2, round);
            stage.some_ticks(16);
            let who = if stage.world.roll(2) == 0 { stage.server_process } else { stage.client_process };
            let cpu = stage.world.roll(cpus);
            stage.trouble(Request::new(Operation::ProcessMove).a(who).words(&[cpu]));
            assert_eq!(stage.wait_for(stage.trouble.actor).outcome(), Outcome::Ok);
            let reply = stage.wait_for(stage.client.actor);
            assert_eq!(reply.outcome(), Outcome::Ok);
            assert_eq!(reply.words[0], round + 1);
        }
    });
}

#[test]
fn a_deadline_holds_for_a_server_that_moves() {
    play(|stage| {
        let cpus = stage.world.kernels.len() as u64;
        for round in 0..3 {
            let deadline = stage.now() + stage.world.roll(120);
            stage.call(deadline, round);
            let cpu = stage.world.roll(cpus);
            let request = Request::new(Operation::ProcessMove).a(stage.server_process).words(&[cpu]);
            stage.trouble(request);
            stage.wait_for(stage.trouble.actor);
            let reply = stage.wait_for(stage.client.actor);
            assert!(matches!(reply.outcome(), Outcome::Ok | Outcome::DeadlinePassed));
        }
    });
}

#[test]
fn a_revocation_races_calls_and_rings() {
    play(|stage| {
        stage.call(LATER * 2, 4);
        stage.some_ticks(16);
        stage.trouble(Request::new(Operation::ConnectionRevoke).a(stage.keeper));
        let reply = stage.wait_for(stage.client.actor);
        match reply.outcome() {
            Outcome::Ok => assert_eq!(reply.words[0], 5),
            Outcome::NotDelivered => assert_detail(&reply, &[NotDelivered::Revoked as u32]),
            other => panic!("{other:?}"),
        }
        assert_eq!(stage.wait_for(stage.trouble.actor).outcome(), Outcome::Ok);
        stage.call(LATER * 2, 4);
        let reply = stage.wait_for(stage.client.actor);
        assert_eq!(reply.outcome(), Outcome::NotDelivered);
        let request = Request::new(Operation::Ring).a(stage.connection);
        stage.order(stage.client.actor, request);
        assert_eq!(stage.wait_for(stage.client.actor).outcome(), Outcome::NotDelivered);
        assert_eq!(stage.closed, 0, "no `Closed` follows a revocation");
    });
}

#[test]
fn rings_coalesce_and_the_last_copy_closes_once() {
    play(|stage| {
        let client = stage.client.actor;
        let rings = 1 + stage.world.roll(4);
        for _ in 0..rings {
            stage.order(client, Request::new(Operation::Ring).a(stage.connection));
            assert_eq!(stage.wait_for(client).outcome(), Outcome::Ok);
            stage.some_ticks(8);
        }
        if stage.world.roll(2) == 0 {
            stage.go_on_until(|stage| stage.rung != 0);
            assert!(stage.rung != 0, "a ring is never lost");
        }
        stage.order(client, Request::new(Operation::HandleClose).a(stage.connection));
        assert_eq!(stage.wait_for(client).outcome(), Outcome::Ok);
        stage.go_on_until(|stage| stage.closed != 0);
        stage.some_ticks(20);
        assert_eq!(stage.closed, 1);
        assert!(stage.rung <= rings, "{} rings", stage.rung);
    });
}

#[test]
fn signals_from_two_sides_are_never_lost() {
    play(|stage| {
        let (client, trouble) = (stage.client.actor, stage.trouble.actor);
        stage.order(
            stage.server.actor,
            Request::new(Operation::NotificationWait).a(stage.server_notification).argument(NEVER).words(&[0b11]),
        );
        stage.some_ticks(4);
        let signal = |handle, bits| Request::new(Operation::NotificationSignal).a(handle).words(&[bits]);
        stage.order(client, signal(stage.client_notification, 0b101));
        stage.order(trouble, signal(stage.notification, 0b10));
        let server = stage.server.actor;
        let mut taken = 0;
        for _ in 0..400 {
            if let Some(reply) = stage.world.answer(server) {
                assert_eq!(reply.outcome(), Outcome::Ok);
                taken |= reply.argument;
                if taken == 0b11 {
                    break;
                }
                stage.order(
                    server,
                    Request::new(Operation::NotificationWait)
                        .a(stage.server_notification)
                        .argument(NEVER)
                        .words(&[0b11]),
                );
            }
            stage.world.go();
        }
        assert_eq!(taken, 0b11, "bits that nobody asked for stay");
        stage.wait_for(client);
        stage.order(client, Request::new(Operation::NotificationPoll).a(stage.client_notification).words(&[u64::MAX]));
        assert_eq!(stage.wait_for(client).argument, 0b100);
    });
}

#[test]
fn bits_of_a_bound_notification_wake_the_receiver() {
    play(|stage| {
        let server = stage.server.actor;
        stage.order(
            server,
            Request::new(Operation::NotificationBind)
                .a(stage.server_notification)
                .b(stage.server.own_endpoint)
                .words(&[3]),
        );
        stage.order(
            stage.client.actor,
            Request::new(Operation::NotificationSignal).a(stage.client_notification).words(&[0b1]),
        );
        assert_eq!(stage.wait_for(server).outcome(), Outcome::Ok);
        let cpus = stage.world.kernels.len() as u64;
        let cpu = stage.world.roll(cpus);
        let request = Request::new(Operation::ProcessMove).a(stage.server_process).words(&[cpu]);
        stage.trouble(request);
        stage.wait_for(stage.trouble.actor);
        stage.trouble(Request::new(Operation::NotificationSignal).a(stage.notification).words(&[0b10]));
        stage.go_on_until(|stage| stage.bits == 0b11);
        assert_eq!(stage.bits, 0b11);
    });
}

#[test]
fn a_handle_in_a_message_arrives_once_or_is_let_go() {
    play(|stage| {
        let client = stage.client.actor;
        let deadline = stage.now() + stage.world.roll(80);
        stage.order(
            client,
            Request::new(Operation::Call)
                .a(stage.connection)
                .argument(deadline)
                .words(&[1])
                .message(8, 0)
                .with_handles(&[sent(stage.client_notification, Rights::all(), abi::message::TransferMode::Move)]),
        );
        stage.some_ticks(12);
        if stage.world.roll(2) == 0 {
            stage.trouble(Request::new(Operation::ProcessKill).a(stage.server_process));
        }
        let reply = stage.wait_for(client);
        assert!(matches!(reply.outcome(), Outcome::Ok | Outcome::DeadlinePassed | Outcome::Interrupted));
        stage.order(client, Request::new(Operation::HandleClose).a(stage.client_notification));
        assert_eq!(stage.wait_for(client).outcome(), Outcome::BadHandle);
    });
}

#[test]
fn a_long_message_is_copied_whole() {
    play(|stage| {
        let client = stage.client.actor;
        for round in 1..3 {
            stage.order(
                client,
                Request::new(Operation::Call)
                    .a(stage.connection)
                    .argument(LATER * 2)
                    .message(4096, 0)
                    .filling(round * 0x0101),
            );
            let server = stage.server.actor;
            for _ in 0..400 {
                if stage.world.is_resting(server) {
                    match stage.world.answer(server) {
                        Some(reply) => {
                            assert_eq!(reply.info.length(), 4096);
                            assert_eq!(reply.ends, [round * 0x0101; 2]);
                            stage.order(
                                server,
                                Request::new(Operation::Reply).b(reply.reply_handle()).message(1000, 0).filling(round),
                            );
                            break;
                        }
                        None => stage.order(
                            server,
                            Request::new(Operation::Receive).a(stage.server.own_endpoint).argument(NEVER),
                        ),
                    }
                }
                stage.world.go();
            }
            let mut answer = None;
            for _ in 0..400 {
                stage.world.go();
                answer = answer.or(stage.world.answer(client));
            }
            let answer = answer.expect("the reply comes");
            assert_eq!(answer.info.length(), 1000);
            assert_eq!(answer.ends, [round; 2]);
            let _ = stage.world.answer(server);
        }
    });
}

#[test]
fn a_fault_waits_for_its_supervisor_and_ends_with_it() {
    play(|stage| {
        stage.world.wake_init();
        let init = World::INIT;
        let (keeper, faults) = stage.world.mint(stage.server.endpoint, 40);
        let place = Place { cpu: stage.world.roll(stage.world.kernels.len() as u64), priority: 12 };
        let faulty = stage.world.make_process(place, faults);
        stage.world.must(init, Request::new(Operation::HandleClose).a(faults));
        stage.mine.extend([keeper, faulty.process, faulty.thread]);
        stage.world.park_init(stage.parking);
        stage.world.order(faulty.actor, Request::new(Operation::Yield));
        stage.wait_for(faulty.actor);
        while !stage.world.runs(faulty.actor) {
            stage.world.go();
        }
        stage.world.fault(faulty.actor, 0xdead_0000);
        // The answer of the server lets it go on.
        stage.go_on_until(|stage| stage.calls_seen == 1);
        assert_eq!(stage.calls_seen, 1);
        stage.world.order(faulty.actor, Request::new(Operation::Null));
        assert_eq!(stage.wait_for(faulty.actor).outcome(), Outcome::Ok);
        while !stage.world.runs(faulty.actor) {
            stage.world.go();
        }
        stage.world.fault(faulty.actor, 0xdead_0000);
        stage.world.wake_init();
        stage.world.must(init, Request::new(Operation::ProcessKill).a(faulty.process));
        stage.world.park_init(stage.parking);
        stage.go_on_until(|stage| stage.closed != 0);
        assert_eq!(stage.closed, 1, "everything of it was returned");
    });
}

#[test]
fn a_call_on_behalf_of_another_ends_with_it() {
    play(|stage| {
        // The server asks itself to wait: it calls back into a second endpoint that nobody serves, on the client's behalf.
        stage.world.wake_init();
        let init = World::INIT;
        let deaf = stage.world.must(init, Request::new(Operation::EndpointCreate)).result();
        let (keeper, connection) = stage.world.mint(deaf, 1);
        let own = stage.world.grant(stage.server.process, connection, Rights::CLIENT);
        stage.mine.extend([deaf, keeper, connection]);
        stage.world.park_init(stage.parking);
        let (client, server) = (stage.client.actor, stage.server.actor);
        let deadline = stage.now() + 2_000;
        stage.call(deadline, 1);
        stage.order(server, Request::new(Operation::Receive).a(stage.server.own_endpoint).argument(NEVER));
        let mut received = None;
        for _ in 0..400 {
            stage.world.go();
            received = received.or(stage.world.answer(server));
        }
        let received = received.expect("the call arrives");
        stage.order(server, Request::new(Operation::Call).a(own).b(received.reply_handle()).argument(LATER * 4));
        for _ in 0..40 {
            stage.world.go();
        }
        if stage.world.roll(2) == 0 {
            stage.trouble(Request::new(Operation::ProcessKill).a(stage.client_process));
        }
        let mut nested = None;
        for _ in 0..3_000 {
            if !stage.world.go() {
                stage.world.advance(1_000);
            }
            nested = nested.or(stage.world.answer(server));
            if nested.is_some() {
                break;
            }
        }
        let nested = nested.expect("the nested call ends");
        match nested.outcome() {
            Outcome::DeadlinePassed | Outcome::Cancelled => {}
            // The first call was over before the second began.
            Outcome::NotDelivered => assert_detail(&nested, &[NotDelivered::Refused as u32]),
            other => panic!("{other:?}"),
        }
        let _ = client;
    });
}

#[test]
fn a_closed_endpoint_ends_what_was_queued() {
    play(|stage| {
        stage.call(LATER * 2, 1);
        stage.some_ticks(10);
        stage.world.wake_init();
        stage.world.must(World::INIT, Request::new(Operation::HandleClose).a(stage.server.endpoint));
        stage.mine.retain(|&handle| handle != stage.server.endpoint);
        stage.world.park_init(stage.parking);
        // The server has the last owner.
        stage.trouble(Request::new(Operation::ProcessKill).a(stage.server_process));
        let reply = stage.wait_for(stage.client.actor);
        match reply.outcome() {
            Outcome::Ok => assert_eq!(reply.words[0], 2),
            Outcome::NotDelivered => assert_detail(&reply, &[NotDelivered::Closed as u32]),
            Outcome::Interrupted => {}
            other => panic!("{other:?}"),
        }
        let _ = boot::HARDWARE;
    });
}
