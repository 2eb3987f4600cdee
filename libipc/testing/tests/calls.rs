//! Clients and servers as `#[protocol]` makes them, over the kernel in memory.
#![allow(missing_docs, reason = "a test has no reader but this file")]

mod support;

use libipc::object::Notification;
use libipc::outcome::NotDelivered;
use libipc::prelude::*;
use libipc::{Badge, Deadline, Endpoint, Refusal, Wake};
use libipc_testing::{Death, HostilePeer, Mischief};
use support::{Error, Point, Setup, Shape, sample};

fn soon() -> Deadline {
    Deadline::after_ms(500)
}

#[test]
fn a_call_in_registers_and_one_in_the_page_come_back() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        assert_eq!(client.add(soon(), 3, 4), Ok(7));
        assert_eq!(
            client.add(soon(), u64::MAX, 1),
            Err(CallError::Method(Error::TooMuch { limit: u32::MAX }))
        );
        let points: Vec<Point> = (0..300).map(|x| Point { x, y: 1 }).collect();
        let mirrored = client.mirror(soon(), Shape::Lines(points.clone())).unwrap();
        let expected = points
            .iter()
            .map(|point| Point {
                x: -point.x,
                ..*point
            })
            .collect();
        assert_eq!(mirrored, Shape::Lines(expected));
        let picture = Shape::Picture {
            bytes: vec![7; 2000],
            name: Some("seven".into()),
        };
        assert_eq!(client.mirror(soon(), &picture), Ok(picture));
    });
    assert_eq!(server.join(), Ok(()));
    assert_eq!(setup.kept.lock().unwrap().closed, [Badge::for_client(0, 7)]);
}

#[test]
fn bytes_travel_in_one_piece() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let (bytes, point) = client.read(soon(), 3000).unwrap();
        assert_eq!(
            (bytes.len(), bytes[2999], point),
            (3000, 2999u32 as u8, Point { x: 1, y: 2 })
        );
        assert_eq!(client.measure(soon(), "name", &[1; 3000]), Ok((4, 3000)));
        assert_eq!(client.measure(soon(), "", &[]), Ok((0, 0)));
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        assert_eq!(
            client.measure(soon(), "", &[0; 4096]),
            Err(Failure::TooLarge.into())
        );
        assert_eq!(
            client.read(soon(), 5000),
            Err(Failure::Refused(Refusal::ReplyTooLarge).into())
        );
        assert_eq!(client.add(soon(), 1, 1), Ok(2), "nothing is left behind");
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn handles_travel_beside_the_bytes_and_none_is_lost() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let memory = Handle::<MemoryObject>::create(4096).unwrap();
        let (_, identity) = memory.identify().unwrap();
        let before = setup.machine.handle_count(&setup.client);
        let ends = client.trade(soon(), &memory, "hello").unwrap();
        assert_eq!(ends.memory.identify().unwrap().1, identity);
        let mut text = [0; 5];
        assert!(
            ends.memory
                .map(0, 4096, libipc::Protection::Read)
                .unwrap()
                .read(0, &mut text)
        );
        assert_eq!(&text, b"hello");
        ends.doorbell.as_ref().unwrap().signal(1).unwrap();
        assert_eq!(setup.machine.handle_count(&setup.client), before + 2);
        drop(ends);
        assert_eq!(setup.machine.handle_count(&setup.client), before);
        assert_eq!(
            client.trade(soon(), memory, "").map(drop),
            Ok(()),
            "by value too"
        );
        assert_eq!(setup.machine.handle_count(&setup.client), before - 1);
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn another_schema_is_refused_at_the_greeting() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        assert_eq!(
            libipc::client::hello(client.connection(), sample::HASH, soon()),
            Ok(())
        );
        let refused = Failure::Refused(Refusal::WrongSchema {
            expected: sample::HASH,
        });
        assert_eq!(
            libipc::client::hello(client.connection(), sample::HASH ^ 1, soon()),
            Err(refused)
        );
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn a_deadline_passes_when_nobody_serves() {
    let setup = Setup::new();
    setup.as_client(|client| {
        assert_eq!(
            client.add(soon(), 1, 2),
            Err(Failure::DeadlinePassed { delivered: false }.into())
        );
    });
    assert_eq!(setup.machine.now_ns(), 500_000_000);
}

#[test]
fn a_caller_that_gives_up_is_forgotten_by_the_server() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        assert_eq!(
            client.wait(soon(), 0),
            Err(Failure::DeadlinePassed { delivered: true }.into())
        );
        assert_eq!(client.release(soon(), "now"), Ok(0));
    });
    assert_eq!(server.join(), Ok(()));
    assert_eq!(setup.kept.lock().unwrap().cancelled, 1);
}

#[test]
fn an_idempotent_call_is_made_again_once() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(2);
    setup.as_client(|client| assert_eq!(client.die(soon(), 1), Ok(2)));
    lives.join().unwrap();

    let mut setup = Setup::new();
    let lives = setup.start_lives(3);
    setup.as_client(|client| {
        assert!(matches!(
            client.die(soon(), 9),
            Err(CallError::Failed(Failure::Interrupted { .. }))
        ));
    });
    lives.join().unwrap();
    assert_eq!(
        setup.kept.lock().unwrap().deaths,
        2,
        "a request that two incarnations died on is not tried on a third"
    );
}

#[test]
fn a_call_that_cannot_be_repeated_reports_the_interruption() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(2);
    setup.as_client(|client| {
        assert!(matches!(
            client.die_once(soon()),
            Err(CallError::Failed(Failure::Interrupted { .. }))
        ));
        assert_eq!(
            client.add(soon(), 1, 1),
            Ok(2),
            "the Connection goes on with the next incarnation"
        );
    });
    lives.join().unwrap();
    assert_eq!(setup.kept.lock().unwrap().deaths, 1);
}

#[test]
fn a_journaled_call_has_its_effect_once() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(2);
    let order = libipc::control::Order::KillAtMethod {
        method: "deposit".into(),
        n: 2,
        is_after: false,
    };
    assert_eq!(order.clone(), order);
    setup.as_client(|client| {
        assert_eq!(client.deposit(soon(), 5), Ok(5));
        assert_eq!(
            client.deposit(soon(), 5),
            Ok(10),
            "another request is another deposit"
        );
    });
    lives.join().unwrap();
    let kept = setup.kept.lock().unwrap();
    assert_eq!((kept.sum, kept.answers.len()), (10, 2));
}

#[test]
fn calls_that_do_not_block_complete_where_the_client_waits() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let mut endpoint = Endpoint::create().unwrap();
        let calls = endpoint.calls();
        let waiting = client.start_wait(&calls, soon(), 0).unwrap();
        let sum = client.start_add(&calls, soon(), 20, 22).unwrap();
        let Wake::Completed(done) = endpoint.receive(None) else {
            panic!("the sum comes first")
        };
        assert_eq!(done.id(), sum.id());
        assert_eq!(sum.finish(done), Ok(42));
        let release = client.start_release(&calls, soon(), "go").unwrap();
        assert_eq!(calls.under_way(), 2);
        let mut word = None;
        let mut waiting = Some(waiting);
        while calls.under_way() > 0 {
            match endpoint.receive(None) {
                Wake::Completed(done) if done.id() == release.id() => {
                    assert_eq!(done.failure(), None)
                }
                Wake::Completed(done) => word = waiting.take().map(|waiting| waiting.finish(done)),
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!(word, Some(Ok("go".into())));
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn a_started_call_is_made_again_too_with_its_handles() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(2);
    setup.as_client(|client| {
        let mut endpoint = Endpoint::create().unwrap();
        let memory = Handle::<MemoryObject>::create(4096).unwrap();
        let (_, identity) = memory.identify().unwrap();
        let before = setup.machine.handle_count(&setup.client);
        let pending = client
            .start_trade(&endpoint.calls(), soon(), memory, "die once")
            .unwrap();
        let Wake::Completed(done) = endpoint.receive(None) else {
            panic!("it completes")
        };
        let ends = pending.finish(done).unwrap();
        assert_eq!(ends.memory.identify().unwrap().1, identity);
        drop(ends);
        let calls = 1;
        assert_eq!(
            setup.machine.handle_count(&setup.client),
            before - 1 + calls,
            "no copy is left"
        );
    });
    lives.join().unwrap();
}

#[test]
fn a_blocking_call_is_made_again_with_its_handles() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(2);
    setup.as_client(|client| {
        let memory = Handle::<MemoryObject>::create(4096).unwrap();
        assert!(client.trade(soon(), &memory, "die once").is_ok());
    });
    lives.join().unwrap();
    assert_eq!(setup.kept.lock().unwrap().deaths, 1);
}

#[test]
fn a_started_call_can_be_cancelled() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let mut endpoint = Endpoint::create().unwrap();
        let pending = client.start_wait(&endpoint.calls(), soon(), 0).unwrap();
        client.add(soon(), 1, 1).unwrap();
        endpoint.calls().cancel(pending.id());
        let Wake::Completed(done) = endpoint.receive(None) else {
            panic!("it ends")
        };
        assert_eq!(
            pending.finish(done),
            Err(Failure::Cancelled { delivered: true }.into())
        );
    });
    assert_eq!(server.join(), Ok(()));
    assert_eq!(setup.kept.lock().unwrap().cancelled, 1);
}

#[test]
fn a_peer_that_misbehaves_is_refused_and_harms_nobody() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(50);
    setup.as_client(|client| {
        let before = setup.machine.handle_count(&setup.client);
        let connection = client.connection().duplicate().unwrap();
        let mut peer = HostilePeer::new(connection, 0x5eed);
        for mischief in [Mischief::Empty, Mischief::UnknownMethod, Mischief::Longest] {
            for answer in peer.commit(mischief) {
                assert!(HostilePeer::is_healthy(&answer), "{mischief:?}: {answer:?}");
            }
        }
        drop(peer);
        assert_eq!(client.add(soon(), 1, 1), Ok(2));
        assert_eq!(setup.machine.handle_count(&setup.client), before);
    });
    lives.join().unwrap();
}

#[test]
fn unwanted_handles_do_not_stay_with_the_server() {
    let machine = libipc_testing::Machine::new();
    let (server, client) = (machine.process(), machine.process());
    let (endpoint, connection) = server.serve(Badge::for_client(0, 1), &client);
    server.limit_handles(12);
    let kept = Default::default();
    let running = server.start(move || support::serve(endpoint, &kept));
    client.run(|| {
        let connection = Handle::<Connection>::from_raw(connection);
        let client = sample::Client::adopt(connection);
        for _ in 0..40 {
            let handles: Vec<_> = (0..4)
                .map(|_| Handle::<Notification>::create().unwrap())
                .collect();
            let raw: Vec<_> = handles.iter().map(Handle::raw).collect();
            let answer = libipc::client::call_bytes(client.connection(), &[1, 1, 2], &raw, soon());
            assert_eq!(answer, Ok(vec![libipc::client::ANSWER_OK, 3]));
            let answer = libipc::client::call_bytes(client.connection(), &[8, 9], &raw, soon());
            assert_eq!(answer, Err(Failure::Refused(Refusal::Malformed)));
        }
        assert_eq!(client.add(soon(), 1, 1), Ok(2));
    });
    assert_eq!(running.join(), Ok(()));
}

#[test]
fn a_revoked_connection_is_not_delivered() {
    let machine = libipc_testing::Machine::new();
    let (server, client) = (machine.process(), machine.process());
    let (connection, ours) = server.run(|| {
        let endpoint = Endpoint::create().unwrap();
        let minted = endpoint.mint(Badge::own(0, 1)).unwrap();
        std::mem::forget(endpoint);
        (minted.client.into_raw(), minted.ours.into_raw())
    });
    let there = server.pass(connection, &client);
    server.run(|| Handle::<Connection>::from_raw(ours).revoke().unwrap());
    client.run(|| {
        let client = sample::Client::adopt(Handle::from_raw(there));
        assert_eq!(
            client.add(soon(), 1, 1),
            Err(Failure::NotDelivered(NotDelivered::Revoked).into())
        );
        assert!(client.ring().is_err());
    });
}

#[test]
fn a_server_describes_itself_page_by_page() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let description = libipc::client::describe(client.connection(), soon()).unwrap();
        assert_eq!(description, sample::PROTOCOL.describe());
        assert_eq!(
            (description.name.as_str(), description.version),
            ("sample", 3)
        );
        let trade = description
            .methods
            .iter()
            .find(|method| method.name == "trade")
            .unwrap();
        assert_eq!(trade.handles_in, ["MemoryObject"]);
        assert_eq!(trade.handles_out, ["MemoryObject", "Notification"]);
        assert_eq!(trade.doc, "Trades handles.");
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn the_death_of_a_process_says_why() {
    let machine = libipc_testing::Machine::new();
    let process = machine.process();
    assert_eq!(
        process.start(|| -> () { panic!("because") }).join(),
        Err(Death::Panicked("because".into()))
    );
}

#[test]
fn a_task_makes_one_call_after_the_other_and_its_server_never_waits() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let mut endpoint = Endpoint::create().unwrap();
        let mut executor = libipc::executor::Executor::new();
        let results = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        for start in [1u64, 100] {
            let (calls, waiting) = (endpoint.calls(), executor.waiting());
            let connection = client.connection().duplicate().unwrap();
            let results = results.clone();
            let task = async move {
                let client = sample::Client::adopt(connection);
                let mut sum = start;
                for _ in 0..3 {
                    let started = client.start_add(&calls, soon(), sum, 1u64).unwrap();
                    sum = waiting.on(started).await.unwrap();
                }
                results.borrow_mut().push(sum);
            };
            executor.spawn(task).unwrap();
        }
        let other = client.start_add(&endpoint.calls(), soon(), 5, 5).unwrap();
        let mut unclaimed = Vec::new();
        while !executor.is_empty() || unclaimed.is_empty() {
            let Wake::Completed(done) = endpoint.receive(None) else {
                panic!("only calls are awaited")
            };
            unclaimed.extend(executor.completed(done));
        }
        assert_eq!(*results.borrow(), [4, 103]);
        assert_eq!(unclaimed.pop().map(|done| other.finish(done)), Some(Ok(10)));
        assert_eq!(endpoint.calls().under_way(), 0);
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn a_cancelled_task_gives_back_what_it_held_and_its_call_comes_to_nobody() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let mut endpoint = Endpoint::create().unwrap();
        let mut executor = libipc::executor::Executor::new();
        let held = std::rc::Rc::new(());
        let (calls, waiting) = (endpoint.calls(), executor.waiting());
        let connection = client.connection().duplicate().unwrap();
        let kept = held.clone();
        let task = executor
            .spawn(async move {
                let client = sample::Client::adopt(connection);
                let started = client.start_add(&calls, soon(), 1u64, 1u64).unwrap();
                waiting.on(started).await.unwrap();
                drop(kept);
                panic!("it was cancelled before its call ended");
            })
            .unwrap();
        assert!(executor.cancel(task));
        assert!(!executor.cancel(task), "it is gone");
        assert_eq!(std::rc::Rc::strong_count(&held), 1);
        let Wake::Completed(done) = endpoint.receive(None) else {
            panic!("the call ends all the same")
        };
        assert!(executor.completed(done).is_some(), "nobody waits for it");
        assert_eq!(endpoint.calls().under_way(), 0);
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn a_task_goes_on_when_something_else_wakes_it() {
    let mut executor = libipc::executor::Executor::new();
    let wakers = std::rc::Rc::new(std::cell::RefCell::new(Vec::<std::task::Waker>::new()));
    let (seen, is_over) = (
        wakers.clone(),
        std::rc::Rc::new(std::cell::Cell::new(false)),
    );
    let over = is_over.clone();
    executor
        .spawn(std::future::poll_fn(move |context| {
            if over.get() {
                return std::task::Poll::Ready(());
            }
            seen.borrow_mut().push(context.waker().clone());
            std::task::Poll::Pending
        }))
        .unwrap();
    executor.run();
    assert_eq!(wakers.borrow().len(), 1, "nothing woke it");
    is_over.set(true);
    wakers.borrow()[0].wake_by_ref();
    executor.run();
    assert!(executor.is_empty());
}
