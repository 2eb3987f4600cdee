//! Leases: what a server may copy while its caller waits, and what it may not.

mod model;

use abi::layout::NEVER;
use abi::syscall::protection::{READ, WRITE};
use abi::{Handle, Operation, Outcome, Rights, WakeKind};
use kernel_core::FastPath;
use kernel_core::machine::Access;
use model::{Client, Place, Request, Server, World};

const AT: u64 = 0x5000_0000;
const PAGE: u64 = 0x1000;
const LATER: u64 = 1 << 46;
const FROM_LEASE: u64 = 0;
const TO_LEASE: u64 = 1;

/// A client with 20 pages of memory whose words are their own offsets, and a server.
struct Pair {
    world: World,
    server: Server,
    client: Client,
    connection: Handle,
    /// The client's handle of its memory.
    memory: Handle,
    /// A third process, which has it too.
    trouble: model::Actor,
    for_trouble: Handle,
}

fn in_every_arrangement(test: impl Fn(&mut Pair)) {
    for fast in [FastPath::On, FastPath::Off] {
        for cpus in [[0, 0], [0, 1], [1, 0], [1, 2]] {
            test(&mut Pair::new(cpus, fast));
        }
    }
}

impl Pair {
    fn new([server_cpu, client_cpu]: [u64; 2], fast: FastPath) -> Self {
        let mut world = World::new(3, fast, 5);
        let server = world.make_server(Place { cpu: server_cpu, priority: 10 });
        let client = world.make_process(Place { cpu: client_cpu, priority: 10 }, Handle::NONE);
        let (connection, _) = world.connect(&client, server.endpoint, 7);
        let object = world.must(World::INIT, Request::new(Operation::MemoryCreate).words(&[20 * PAGE, 0])).result();
        let memory = world.grant(client.process, object, Rights::all());
        for word in (0..20 * PAGE).step_by(PAGE as usize) {
            let write = Request::new(Operation::ProcessWrite).a(client.process).words(&[AT + word, PAGE]);
            if word == 0 {
                let map = Request::new(Operation::ProcessMap).a(client.process).b(object).argument(READ | WRITE);
                world.must(World::INIT, map.words(&[AT, 0, 20 * PAGE]));
            }
            world.must(World::INIT, write.message(4096, 0).filling(word / PAGE));
        }
        let trouble = world.make_process(Place { cpu: 2, priority: 10 }, Handle::NONE);
        let for_trouble = world.grant(trouble.process, object, Rights::all());
        // init waits out of the way.
        let idle = world.must(World::INIT, Request::new(Operation::NotificationCreate)).result();
        world.order(World::INIT, Request::new(Operation::NotificationWait).a(idle).argument(NEVER).words(&[1]));
        world.settle();
        Self { world, server, client, connection, memory, trouble: trouble.actor, for_trouble }
    }

    fn call(&mut self, deadline: u64, rights: Rights, offset: u64, length: u64) -> model::Reply {
        self.world
            .order(self.server.actor, Request::new(Operation::Receive).a(self.server.own_endpoint).argument(NEVER));
        let call = Request::new(Operation::Call).a(self.connection).argument(deadline).words(&[1]).message(8, 0);
        self.world.order(self.client.actor, call.with_lease(self.memory, rights, offset, length));
        self.world.settle();
        let received = self.world.answer(self.server.actor).expect("the call arrives");
        assert_eq!((received.wake(), received.info.leases()), (WakeKind::Call, 1));
        assert_eq!(received.leases[0], [u64::from(rights.bits()) << 32, 0, length]);
        received
    }

    fn copy(&mut self, reply: Handle, memory: Handle, lease: u64, words: [u64; 4]) -> model::Reply {
        let request = Request::new(Operation::LeaseCopy).a(memory).b(reply).argument(lease).words(&words);
        self.world.order(self.server.actor, request.message(4096, 0).filling(0x77));
        self.world.settle();
        self.world.answer(self.server.actor).expect("it is done")
    }

    fn answer(&mut self, reply: Handle) {
        let request = Request::new(Operation::Reply).b(reply);
        self.world.must(self.server.actor, request);
        self.world.settle();
        assert_eq!(self.world.answer(self.client.actor).expect("the reply arrives").outcome(), Outcome::Ok);
    }

    /// A word of the client's memory.
    fn word(&mut self, at: u64) -> u64 {
        self.world.touch(self.client.actor, AT + at, Access::Read);
        let entry = self.world.translate(self.client.actor, AT + at).expect("it is mapped");
        let frame = kernel_core::machine::Frame::containing(entry);
        self.world.bus.words(frame)[(at % PAGE / 8) as usize].get()
    }
}

#[test]
fn a_server_reads_a_window_page_by_page_and_no_byte_beyond_it() {
    in_every_arrangement(|pair| {
        let reply = pair.call(LATER, Rights::READ, 3 * PAGE + 8, 2 * PAGE).reply_handle();
        let copied = pair.copy(reply, Handle::NONE, 0, [FROM_LEASE, PAGE - 16, 0, 32]);
        assert_eq!((copied.outcome(), copied.handles), (Outcome::Ok, 32));
        assert_eq!(copied.ends[0], 3, "the last word of the page");
        for (words, outcome) in [
            ([FROM_LEASE, 2 * PAGE - 8, 0, 16], Outcome::BadArgument),
            ([FROM_LEASE, u64::MAX, 0, 16], Outcome::BadArgument),
            ([FROM_LEASE, 0, PAGE - 8, 16], Outcome::BadArgument),
            ([TO_LEASE, 0, 0, 8], Outcome::NoRights),
            ([2, 0, 0, 8], Outcome::BadArgument),
            ([FROM_LEASE, 2 * PAGE, 0, 0], Outcome::Ok),
        ] {
            assert_eq!(pair.copy(reply, Handle::NONE, 0, words).outcome(), outcome, "{words:?}");
        }
        assert_eq!(pair.copy(reply, Handle::NONE, 1, [FROM_LEASE, 0, 0, 8]).outcome(), Outcome::NotFound);
        pair.answer(reply);
    });
}

#[test]
fn a_server_writes_where_it_may() {
    in_every_arrangement(|pair| {
        let reply = pair.call(LATER, Rights::WRITE, PAGE, PAGE).reply_handle();
        assert_eq!(pair.copy(reply, Handle::NONE, 0, [FROM_LEASE, 0, 0, 8]).outcome(), Outcome::NoRights);
        assert_eq!(pair.copy(reply, Handle::NONE, 0, [TO_LEASE, 16, 0, 8]).outcome(), Outcome::Ok);
        pair.answer(reply);
        assert_eq!([8, 16, 24].map(|at| pair.word(PAGE + at)), [1, 0x77, 1]);
    });
}

#[test]
fn much_is_copied_between_memories_in_slices() {
    in_every_arrangement(|pair| {
        let reply = pair.call(LATER, Rights::READ, PAGE, 18 * PAGE).reply_handle();
        let server = pair.server.actor;
        let own = pair.world.must(server, Request::new(Operation::MemoryCreate).words(&[20 * PAGE, 0])).result();
        let map = Request::new(Operation::ProcessMap).a(pair.server.own_process).b(own).argument(READ);
        pair.world.must(server, map.words(&[AT, 0, 20 * PAGE]));
        let copied = pair.copy(reply, own, 0, [FROM_LEASE, 0, 8, 18 * PAGE]);
        assert_eq!((copied.outcome(), copied.handles), (Outcome::Ok, 18 * PAGE));
        for page in 0..18 {
            let at = AT + page * PAGE + 8;
            pair.world.touch(server, at, Access::Read);
            let entry = pair.world.translate(server, at).expect("it is there");
            let words = pair.world.bus.words(kernel_core::machine::Frame::containing(entry));
            assert_eq!(words[1].get(), page + 1);
        }
        assert_eq!(pair.copy(reply, own, 0, [FROM_LEASE, 0, 2 * PAGE, 19 * PAGE]).outcome(), Outcome::BadArgument);
        pair.answer(reply);
    });
}

#[test]
fn a_lease_is_gone_with_its_caller_and_its_deadline() {
    in_every_arrangement(|pair| {
        let deadline = pair.world.bus.now.get() + 1000;
        let reply = pair.call(deadline, Rights::READ, 0, PAGE).reply_handle();
        pair.world.advance(2000);
        pair.world.settle();
        assert_eq!(pair.world.answer(pair.client.actor).expect("it is over").outcome(), Outcome::DeadlinePassed);
        assert_eq!(pair.copy(reply, Handle::NONE, 0, [FROM_LEASE, 0, 0, 8]).outcome(), Outcome::InvalidState);
        let info = Request::new(Operation::MemoryInfo).a(pair.memory);
        assert_eq!(pair.world.must(pair.client.actor, info).words[3], 1);
    });
}

#[test]
fn what_was_cut_off_meanwhile_is_refused() {
    in_every_arrangement(|pair| {
        let reply = pair.call(LATER, Rights::READ, 0, 20 * PAGE).reply_handle();
        let resize = Request::new(Operation::MemoryResize).a(pair.for_trouble).words(&[PAGE]);
        pair.world.must(pair.trouble, resize);
        assert_eq!(pair.copy(reply, Handle::NONE, 0, [FROM_LEASE, PAGE, 0, 8]).outcome(), Outcome::BadArgument);
        assert_eq!(pair.copy(reply, Handle::NONE, 0, [FROM_LEASE, PAGE - 8, 0, 8]).outcome(), Outcome::Ok);
    });
}

#[test]
fn nobody_lends_what_he_has_not() {
    in_every_arrangement(|pair| {
        let client = pair.client.actor;
        let rights = u64::from((Rights::READ | Rights::MAP).bits());
        let request = Request::new(Operation::HandleDuplicate).a(pair.memory).words(&[rights]);
        let readable = pair.world.must(client, request).result();
        let call = |memory, rights, offset, length| {
            Request::new(Operation::Call).a(pair.connection).argument(LATER).with_lease(memory, rights, offset, length)
        };
        for (request, outcome) in [
            (call(readable, Rights::WRITE, 0, 8), Outcome::NoRights),
            (call(readable, Rights::empty(), 0, 8), Outcome::BadArgument),
            (call(readable, Rights::READ | Rights::EXECUTE, 0, 8), Outcome::BadArgument),
            (call(readable, Rights::READ, 20 * PAGE, 1), Outcome::BadArgument),
            (call(readable, Rights::READ, u64::MAX, 2), Outcome::BadArgument),
            (call(readable, Rights::READ, 0, 0), Outcome::BadArgument),
            (call(pair.connection, Rights::READ, 0, 8), Outcome::WrongType),
            (call(Handle(0x7777), Rights::READ, 0, 8), Outcome::BadHandle),
        ] {
            assert_eq!(pair.world.call(client, request).outcome(), outcome);
        }
    });
}

#[test]
fn an_answer_lends_nothing() {
    in_every_arrangement(|pair| {
        let reply = pair.call(LATER, Rights::READ, 0, PAGE).reply_handle();
        let request = Request::new(Operation::Reply).b(reply).with_lease(pair.memory, Rights::READ, 0, 8);
        assert_eq!(pair.world.call(pair.server.actor, request).outcome(), Outcome::BadArgument);
        pair.answer(reply);
    });
}
