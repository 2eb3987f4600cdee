//! Calls of a protocol that the caller knows only from its description, over the kernel in memory.
#![allow(missing_docs, reason = "a test has no reader but this file")]

mod support;

use libipc::object::kind_named;
use libipc::prelude::*;
use libipc::untyped::{Answer, AnyHandle, Arguments, decode_answer};
use libipc::{Deadline, Endpoint, Refusal, Replay, Wake};
use support::{Setup, sample};

/// Starts a call, waits for its end where a server does, and reads the answer.
fn call(
    client: &sample::Client,
    method: &str,
    bytes: &[u8],
    handles: &[&AnyHandle],
) -> Result<Answer, Failure> {
    let mut endpoint = Endpoint::create().unwrap();
    let method = sample::PROTOCOL.method(method).unwrap();
    let pending = endpoint.calls().start(
        client.connection(),
        method.number,
        method.replay,
        Deadline::after_ms(500).into(),
        &Arguments { bytes, handles },
        decode_answer,
    )?;
    let Wake::Completed(completed) = endpoint.receive(None) else {
        panic!("no call has ended")
    };
    pending.finish(completed).map_err(|error| match error {
        CallError::Failed(failure) => failure,
        CallError::Method(never) => match never {},
    })
}

#[test]
fn results_and_errors_come_back_as_bytes() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let sum = call(&client, "add", &[3, 4], &[]).unwrap();
        assert_eq!((sum.is_error, &sum.bytes[..]), (false, &[7][..]));
        let most = postcard_bytes(&(u64::MAX, 1_u64));
        let error = call(&client, "add", &most, &[]).unwrap();
        assert!(error.is_error);
        assert_eq!(
            error.bytes,
            postcard_bytes(&support::Error::TooMuch { limit: u32::MAX })
        );
        let long = call(&client, "read", &postcard_bytes(&3000_u32), &[]).unwrap();
        assert_eq!(long.bytes.len(), 2 + 3000 + 2);
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn what_is_malformed_or_too_long_is_refused() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let malformed = Failure::Refused(Refusal::Malformed);
        assert_eq!(call(&client, "add", &[3], &[]), Err(malformed));
        assert_eq!(
            call(&client, "add", &[0; 5000], &[]),
            Err(Failure::TooLarge)
        );
        assert!(
            call(&client, "add", &[1, 1], &[]).is_ok(),
            "nothing is left behind"
        );
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn handles_pass_with_their_kinds_and_none_is_lost() {
    let mut setup = Setup::new();
    let server = setup.start();
    setup.as_client(|client| {
        let memory = AnyHandle::from(Handle::<MemoryObject>::create(4096).unwrap());
        let doorbell = AnyHandle::from(Handle::<Notification>::create().unwrap());
        let before = setup.machine.handle_count(&setup.client);
        // The place of the handle, and a name of two letters.
        let traded = call(&client, "trade", &[0, 2, b'h', b'i'], &[&memory]).unwrap();
        assert_eq!(traded.bytes, [0, 1, 1]);
        let kinds = ["MemoryObject", "Notification"].map(|name| kind_named(name).unwrap());
        assert!(
            traded
                .handles
                .iter()
                .zip(kinds)
                .all(|(handle, kind)| handle.is(kind))
        );
        let identity =
            |handle: &AnyHandle| handle.with(|it: &Handle<MemoryObject>| it.identify().unwrap().1);
        assert_eq!(identity(&traded.handles[0]), identity(&memory));
        assert_eq!(identity(&traded.handles[1]), None);
        drop(traded);
        let refused = call(&client, "trade", &[0, 0], &[&doorbell]);
        assert_eq!(refused, Err(Failure::Refused(Refusal::Malformed)));
        let many = [&memory; 5];
        assert_eq!(call(&client, "add", &[1, 1], &many), Err(Failure::TooLarge));
        assert_eq!(setup.machine.handle_count(&setup.client), before);
    });
    assert_eq!(server.join(), Ok(()));
}

#[test]
fn a_method_that_may_be_repeated_is() {
    let mut setup = Setup::new();
    let lives = setup.start_lives(2);
    setup.as_client(|client| {
        let answer = call(&client, "die", &[1], &[]).unwrap();
        assert_eq!(answer.bytes, [2], "the second life answered");
        assert_eq!(
            sample::PROTOCOL.method("die").unwrap().replay,
            Replay::Idempotent
        );
    });
    lives.join().unwrap();
}

fn postcard_bytes<T: serde::Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}
