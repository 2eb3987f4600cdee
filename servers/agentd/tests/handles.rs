//! Handles by their names, over the kernel in memory.
#![allow(missing_docs, reason = "a test has no reader but this file")]

use agentd::dynamic::Handles;
use agentd::handles::{MAX_HANDLES, Tables};
use libipc::object::{MemoryObject, Notification};
use libipc::untyped::AnyHandle;
use libipc::{Badge, Endpoint, Handle};
use libipc_testing::Machine;

fn memory() -> AnyHandle {
    Handle::<MemoryObject>::create(4096).unwrap().into()
}

/// Gives a session a piece of memory, and says what it is called.
fn give(tables: &mut Tables, session: u64) -> String {
    let mut answer = tables.answer(session, vec![memory()]);
    let name = answer.name(0, "MemoryObject").unwrap();
    tables.keep(session, answer);
    name
}

#[test]
fn a_name_is_good_in_its_session_and_for_its_type() {
    Machine::new().process().run(|| {
        let mut tables = Tables::default();
        let name = give(&mut tables, 1);
        assert_eq!(name, "h1");
        for (session, name, object) in [
            (2, "h1", "MemoryObject"),
            (1, "h1", "Notification"),
            (1, "h2", "MemoryObject"),
            (1, "h01", "MemoryObject"),
            (1, "h+1", "MemoryObject"),
            (1, "1", "MemoryObject"),
        ] {
            assert_eq!(tables.request(session).place(name, object), None, "{name}");
        }
        let mut request = tables.request(1);
        assert_eq!(request.place("h1", "MemoryObject"), Some(0));
        assert_eq!(request.place("h1", "MemoryObject"), Some(1));
        assert_eq!(request.into_handles().len(), 2);
    });
}

#[test]
fn what_an_answer_claims_must_be_what_the_kernel_says() {
    Machine::new().process().run(|| {
        let tables = Tables::default();
        let doorbell: AnyHandle = Handle::<Notification>::create().unwrap().into();
        let mut answer = tables.answer(1, vec![memory(), doorbell]);
        assert_eq!(answer.name(0, "Notification"), None);
        assert_eq!(answer.name(0, "Unheard"), None);
        assert_eq!(answer.name(2, "MemoryObject"), None);
        assert_eq!(answer.name(1, "Notification").as_deref(), Some("h1"));
        assert_eq!(answer.name(1, "Notification"), None, "each is taken once");
    });
}

#[test]
fn names_are_never_given_twice_and_nothing_is_left_behind() {
    let machine = Machine::new();
    let process = machine.process();
    let before = machine.handle_count(&process);
    process.run(|| {
        let mut tables = Tables::default();
        for number in 1..=MAX_HANDLES {
            assert_eq!(give(&mut tables, 1), format!("h{number}"));
        }
        assert_eq!((tables.room(1), tables.room(2)), (0, MAX_HANDLES));
        assert!(tables.close(1, "h64") && !tables.close(1, "h64") && !tables.close(2, "h1"));
        assert_eq!(give(&mut tables, 1), "h65");
        // An answer that turns out to be none is dropped, and what it brought is closed.
        let mut answer = tables.answer(1, vec![memory()]);
        assert!(answer.name(0, "MemoryObject").is_some());
        drop(answer);
        assert_eq!(machine.handle_count(&process), before + MAX_HANDLES);
        tables.forget(1);
        assert_eq!(machine.handle_count(&process), before);
    });
}

#[test]
fn only_a_connection_leads_somewhere() {
    let machine = Machine::new();
    let process = machine.process();
    process.run(|| {
        let mut tables = Tables::default();
        let endpoint = Endpoint::create().unwrap();
        let connection = endpoint.mint(Badge::own(0, 1)).unwrap().client;
        let mut answer = tables.answer(1, vec![memory(), connection.into()]);
        let memory = answer.name(0, "MemoryObject").unwrap();
        let connection = answer.name(1, "Connection").unwrap();
        tables.keep(1, answer);
        assert!(tables.connection(1, &memory).is_none());
        assert!(tables.connection(2, &connection).is_none());
        let (way, interface) = tables.connection(1, &connection).unwrap();
        assert!(interface.is_none(), "nobody has asked yet");
        // It is held as long as somebody is on the way, and closed then.
        assert!(tables.close(1, &connection));
        let before = machine.handle_count(&process);
        assert!(
            way.with(|connection| connection.identify().map_err(libipc::Failure::System))
                .is_ok()
        );
        drop(way);
        assert_eq!(machine.handle_count(&process), before - 1);
    });
}
