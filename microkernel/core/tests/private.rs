//! Private mappings: what is written through one is its own, and nobody else sees it.

mod model;

use abi::syscall::protection::{EXECUTE, PRIVATE, READ, WRITE};
use abi::{Handle, Operation, Outcome, Rights, boot};
use kernel_core::FastPath;
use kernel_core::machine::{Access, Frame};
use model::{Actor, Place, Request, World};

const AT: u64 = 0x5000_0000;
const PAGE: u64 = 0x1000;
const PAGES: u64 = 4;
/// The bits of a page-table entry of the model that say that the page may be written, or run.
const WRITABLE: u64 = 2;

/// Memory whose pages begin with 100, 101 …, a process that shares it and one that has it privately, on the CPUs given.
struct Pair {
    world: World,
    object: Handle,
    sharer: (Actor, Handle),
    keeper: (Actor, Handle),
}

impl Pair {
    fn new(cpus: usize, bits: u64) -> Self {
        let mut world = World::new(cpus, FastPath::On, 3);
        let sharer = (World::INIT, boot::SELF_PROCESS);
        let object = world.must(World::INIT, Request::new(Operation::MemoryCreate).words(&[PAGES * PAGE, 0])).result();
        let rights = u64::from((Rights::READ | Rights::EXECUTE | Rights::MAP).bits());
        let readable =
            world.must(World::INIT, Request::new(Operation::HandleDuplicate).a(object).words(&[rights])).result();
        let keeper = if cpus == 1 {
            (World::INIT, boot::SELF_PROCESS)
        } else {
            let client = world.make_process(Place { cpu: 1, priority: 10 }, Handle::NONE);
            world.settle();
            (client.actor, client.process)
        };
        let mut pair = Self { world, object, sharer, keeper };
        assert_eq!(pair.map(sharer.1, object, READ | WRITE, AT + 0x10_0000), Outcome::Ok);
        for page in 0..PAGES {
            let at = AT + 0x10_0000 + page * PAGE;
            assert!(pair.world.touch(sharer.0, at, Access::Write));
            pair.store(sharer.0, at, 100 + page);
        }
        assert_eq!(pair.map(keeper.1, readable, bits | PRIVATE, AT), Outcome::Ok);
        pair
    }

    fn map(&mut self, process: Handle, memory: Handle, bits: u64, at: u64) -> Outcome {
        let request = Request::new(Operation::ProcessMap).a(process).b(memory).argument(bits);
        self.world.call(World::INIT, request.words(&[at, 0, PAGES * PAGE])).outcome()
    }

    /// The entry that the keeper has for a page, after touching it to read.
    fn looks(&mut self, page: u64) -> u64 {
        assert!(self.world.touch(self.keeper.0, AT + page * PAGE, Access::Read));
        self.world.translate(self.keeper.0, AT + page * PAGE).expect("it is there")
    }

    fn writes(&mut self, page: u64, value: u64) {
        self.world.fault(self.keeper.0, AT + page * PAGE);
        let entry = self.world.translate(self.keeper.0, AT + page * PAGE).expect("it is there");
        assert_ne!(entry & WRITABLE, 0, "a page that was written may be written");
        self.store(self.keeper.0, AT + page * PAGE, value);
    }

    fn store(&mut self, actor: Actor, at: u64, value: u64) {
        let entry = self.world.translate(actor, at).expect("it is there");
        self.world.bus.words(Frame::containing(entry))[0].set(value);
    }

    fn value(&mut self, entry: u64) -> u64 {
        self.world.bus.words(Frame::containing(entry))[0].get()
    }

    fn shared(&mut self, page: u64) -> u64 {
        self.world.translate(self.sharer.0, AT + 0x10_0000 + page * PAGE).expect("it is there")
    }

    fn keeper_calls(&mut self, operation: Operation, bits: u64, first: u64, pages: u64) -> Outcome {
        let request = Request::new(operation).a(self.keeper.1).argument(bits);
        self.world.call(World::INIT, request.words(&[AT + first * PAGE, pages * PAGE])).outcome()
    }
}

fn on_one_and_two_cpus(bits: u64, test: impl Fn(Pair)) {
    test(Pair::new(1, bits));
    test(Pair::new(2, bits));
}

#[test]
fn a_page_is_shared_until_it_is_written_and_then_its_own() {
    on_one_and_two_cpus(READ | WRITE, |mut pair| {
        let entry = pair.looks(1);
        assert_eq!(Frame::containing(entry), Frame::containing(pair.shared(1)));
        assert_eq!(entry & WRITABLE, 0, "a shared page may not be written");
        let before = pair.world.kernels[0].audit_frames_charged();
        pair.writes(1, 7);
        // The page and its index.
        assert_eq!(pair.world.kernels[0].audit_frames_charged() - before, 2);
        let (mine, theirs) = (pair.looks(1), pair.shared(1));
        assert_eq!((pair.value(mine), pair.value(theirs)), (7, 101));
        pair.store(pair.sharer.0, AT + 0x10_0000 + 2 * PAGE, 55);
        let other = pair.looks(2);
        assert_eq!(pair.value(other), 55, "what nobody copied is still the memory's");
    });
}

#[test]
fn a_copy_starts_with_what_the_page_held() {
    on_one_and_two_cpus(READ | WRITE, |mut pair| {
        let theirs = pair.shared(3);
        pair.world.bus.words(Frame::containing(theirs))[511].set(99);
        pair.writes(3, 7);
        let mine = pair.looks(3);
        assert_eq!(pair.world.bus.words(Frame::containing(mine))[511].get(), 99);
    });
}

#[test]
fn where_the_memory_has_no_page_the_mapping_gets_one_of_its_own() {
    let mut world = World::new(1, FastPath::On, 3);
    let object = world.must(World::INIT, Request::new(Operation::MemoryCreate).words(&[PAGE, 0])).result();
    let request = Request::new(Operation::ProcessMap).a(boot::SELF_PROCESS).b(object).argument(READ | WRITE | PRIVATE);
    world.must(World::INIT, request.words(&[AT, 0, PAGE]));
    assert!(world.touch(World::INIT, AT, Access::Read));
    assert_ne!(world.translate(World::INIT, AT).expect("it is there") & WRITABLE, 0);
    let info = world.must(World::INIT, Request::new(Operation::MemoryInfo).a(object));
    assert_eq!(info.words[1], 0, "nobody else pays for it");
}

#[test]
fn making_a_private_mapping_writable_does_not_open_the_memory() {
    on_one_and_two_cpus(READ, |mut pair| {
        pair.looks(0);
        assert_eq!(pair.keeper_calls(Operation::ProcessProtect, READ | WRITE, 0, 4), Outcome::Ok);
        let entry = pair.looks(0);
        assert_eq!(entry & WRITABLE, 0);
        pair.writes(0, 8);
        let theirs = pair.shared(0);
        assert_eq!(pair.value(theirs), 100);
        assert_eq!(pair.keeper_calls(Operation::ProcessProtect, READ | EXECUTE, 0, 4), Outcome::Ok);
        let mine = pair.looks(0);
        assert_eq!((pair.value(mine), mine & WRITABLE), (8, 0));
    });
}

#[test]
fn a_debugger_writes_into_private_text_only() {
    on_one_and_two_cpus(READ | EXECUTE, |mut pair| {
        pair.looks(2);
        let request = Request::new(Operation::ProcessWrite).a(pair.keeper.1).words(&[AT + 2 * PAGE, 8]);
        let written = pair.world.must(World::INIT, request.message(4096, 0).filling(0xcc));
        assert_eq!(written.handles, 8);
        let (mine, theirs) = (pair.looks(2), pair.shared(2));
        assert_eq!((pair.value(mine), pair.value(theirs)), (0xcc, 102));
    });
}

#[test]
fn a_part_that_is_unmapped_leaves_the_rest_with_its_pages() {
    on_one_and_two_cpus(READ | WRITE, |mut pair| {
        (0..4).for_each(|page| pair.writes(page, 10 + page));
        assert_eq!(pair.keeper_calls(Operation::ProcessUnmap, 0, 1, 2), Outcome::Ok);
        let (first, last) = (pair.looks(0), pair.looks(3));
        assert_eq!((pair.value(first), pair.value(last)), (10, 13));
        assert!(!pair.world.fills(pair.keeper.0, AT + PAGE, Access::Read));
    });
}

#[test]
fn shrinking_takes_the_shared_pages_and_leaves_the_copies() {
    on_one_and_two_cpus(READ | WRITE, |mut pair| {
        pair.looks(2);
        pair.writes(3, 7);
        pair.world.must(World::INIT, Request::new(Operation::MemoryResize).a(pair.object).words(&[PAGE]));
        assert!(!pair.world.fills(pair.keeper.0, AT + 2 * PAGE, Access::Read));
        let mine = pair.looks(3);
        assert_eq!(pair.value(mine), 7);
    });
}

#[test]
fn everything_is_given_back_with_the_mapping() {
    on_one_and_two_cpus(READ | WRITE, |mut pair| {
        let before = pair.world.objects();
        (0..4).for_each(|page| pair.writes(page, 1));
        assert_eq!(pair.keeper_calls(Operation::ProcessUnmap, 0, 0, 4), Outcome::Ok);
        pair.world.settle();
        assert_eq!(pair.world.objects(), before - 2, "the mapping and the memory of its own");
        let info = pair.world.must(World::INIT, Request::new(Operation::MemoryInfo).a(pair.object));
        assert_eq!(info.words[3], 1, "the sharer's mapping is left");
    });
}

#[test]
fn reading_is_all_that_a_private_mapping_needs_and_it_needs_that() {
    let mut pair = Pair::new(1, READ);
    let rights = u64::from((Rights::WRITE | Rights::MAP).bits());
    let request = Request::new(Operation::HandleDuplicate).a(pair.object).words(&[rights]);
    let writable = pair.world.must(World::INIT, request).result();
    assert_eq!(pair.map(boot::SELF_PROCESS, writable, READ | PRIVATE, AT + 0x20_0000), Outcome::NoRights);
    assert_eq!(pair.map(boot::SELF_PROCESS, pair.object, READ | WRITE | EXECUTE | PRIVATE, AT), Outcome::BadArgument);
    assert_eq!(pair.keeper_calls(Operation::ProcessProtect, READ | PRIVATE, 0, 4), Outcome::BadArgument);
}
