//! The store as its server uses it, killed at every point.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use ramfs::record::ROOT;
use ramfs::store::Repairs;
use ramfs::{Error, Kind, NodeId, Region, Store};

const BYTES: usize = 1 << 20;

fn fresh() -> Store<Vec<u8>> {
    Store::open(vec![0; BYTES], 1).0
}

fn file(store: &mut Store<Vec<u8>>, name: &str) -> NodeId {
    store
        .create(ROOT, name, Kind::File, 0o644, 2)
        .expect("there is room")
}

#[test]
fn what_was_written_is_read_after_a_restart() {
    let mut store = fresh();
    let folder = store
        .create(ROOT, "folder", Kind::Directory, 0o755, 2)
        .expect("there is room");
    let id = store
        .create(folder, "file", Kind::File, 0o644, 3)
        .expect("there is room");
    store.write(id, 5_000, b"hello", 4).expect("there is room");
    let (store, repairs) = Store::open(store.into_region(), 9);
    assert_eq!(repairs, Repairs::default());
    let id = store.walk(ROOT, ["folder", "file"]).expect("it is there");
    assert_eq!(store.read(id, 4_998, 100).as_deref(), Ok(&b"\0\0hello"[..]));
    let node = store.node(id).expect("it is there");
    assert_eq!((node.size, node.modified_ns, node.version), (5_005, 4, 2));
}

#[test]
fn a_small_file_takes_one_block_and_a_large_one_its_tables() {
    let mut store = fresh();
    let used = |store: &Store<Vec<u8>>| store.usage().1 / 4096;
    let small = file(&mut store, "small");
    store.write(small, 0, &[1; 4096], 1).expect("there is room");
    assert_eq!(used(&store), 1);
    store
        .write(small, 4096, &[2; 10], 1)
        .expect("there is room");
    assert_eq!(used(&store), 3, "two blocks and a table");
    let large = file(&mut store, "large");
    store.write(large, 10, b"begin", 1).expect("there is room");
    store
        .write(large, 5 << 20, b"end", 1)
        .expect("there is room");
    assert_eq!(used(&store), 3 + 5, "two blocks, and tables over them");
    let (mut store, repairs) = Store::open(store.into_region(), 1);
    assert_eq!((used(&store), repairs), (8, Repairs::default()));
    assert_eq!(store.read(large, 10, 5).as_deref(), Ok(&b"begin"[..]));
    assert_eq!(store.read(large, 5 << 20, 9).as_deref(), Ok(&b"end"[..]));
    assert_eq!(store.read(large, 4 << 20, 9).as_deref(), Ok(&[0; 9][..]));
    store.truncate(large, 12, 1).expect("it is a file");
    assert_eq!(used(&store), 3 + 3);
    store.remove(large).expect("it is there");
    store.remove(small).expect("it is there");
    assert_eq!(used(&store), 0);
}

#[test]
fn a_write_that_found_no_space_leaves_nothing_behind_the_end() {
    let mut store = fresh();
    let id = file(&mut store, "a");
    store.write(id, 0, b"x", 1).expect("there is room");
    let total = store.usage().0;
    let too_much = vec![7; total as usize];
    assert_eq!(store.write(id, 1, &too_much, 1), Err(Error::NoSpace));
    store.truncate(id, total, 1).expect("it is a file");
    let data = store.read(id, 0, total as usize).expect("it is a file");
    assert_eq!(data[0], b'x');
    assert!(data[1..].iter().all(|&byte| byte == 0));
}

#[test]
fn every_refusal_has_its_error_and_changes_nothing() {
    let mut store = fresh();
    let a = file(&mut store, "a");
    let folder = store
        .create(ROOT, "folder", Kind::Directory, 0o755, 1)
        .expect("there is room");
    let inner = store
        .create(folder, "inner", Kind::Directory, 0o755, 1)
        .expect("there is room");
    assert_eq!(
        store.create(ROOT, "a", Kind::File, 0, 1),
        Err(Error::AlreadyExists)
    );
    for name in ["", ".", "..", "a/b", "nul\0", &"x".repeat(256)] {
        assert_eq!(
            store.create(ROOT, name, Kind::File, 0, 1),
            Err(Error::InvalidName),
            "{name:?}"
        );
    }
    assert_eq!(
        store.create(a, "b", Kind::File, 0, 1),
        Err(Error::NotADirectory)
    );
    assert_eq!(store.read(folder, 0, 1), Err(Error::IsADirectory));
    assert_eq!(store.remove(folder), Err(Error::NotEmpty));
    assert_eq!(store.remove(ROOT), Err(Error::NotFound));
    assert_eq!(store.rename(folder, inner, "x", 1), Err(Error::IntoItself));
    assert_eq!(store.rename(a, ROOT, "folder", 1), Err(Error::IsADirectory));
    assert_eq!(
        store.rename(folder, ROOT, "a", 1),
        Err(Error::NotADirectory)
    );
    assert_eq!(
        store.write(a, u64::MAX - 1, b"xyz", 1),
        Err(Error::TooLarge)
    );
    assert_eq!(store.walk(ROOT, ["folder", "inner"]), Ok(inner));
}

#[test]
fn a_full_store_says_so_and_gives_everything_back() {
    let mut store = fresh();
    let (_, before) = store.usage();
    let id = file(&mut store, "big");
    let chunk = [7; 4096];
    let written = (0..)
        .take_while(|&n| store.write(id, n * 4096, &chunk, 1).is_ok())
        .count() as u64;
    assert_eq!(
        store.write(id, written * 4096, &chunk, 1),
        Err(Error::NoSpace)
    );
    assert_eq!(
        store.read(id, (written - 1) * 4096, 4096).as_deref(),
        Ok(&chunk[..])
    );
    store.remove(id).expect("it is there");
    assert_eq!(store.usage().1, before);
}

#[test]
fn a_file_that_shrank_shows_zeroes_when_it_grows() {
    let mut store = fresh();
    let id = file(&mut store, "a");
    store.write(id, 0, &[1; 10_000], 1).expect("there is room");
    store.truncate(id, 4_100, 1).expect("it is a file");
    store.truncate(id, 9_000, 1).expect("it is a file");
    let data = store.read(id, 0, 20_000).expect("it is a file");
    assert_eq!(data.len(), 9_000);
    assert!(
        data[..4_100].iter().all(|&byte| byte == 1) && data[4_100..].iter().all(|&byte| byte == 0)
    );
}

#[test]
fn a_damaged_record_is_dropped_and_reported() {
    let mut store = fresh();
    let id = file(&mut store, "a");
    file(&mut store, "b");
    let mut region = store.into_region();
    let place = 4096 + 1024 * id.0 as usize;
    region[place + 100..place + 140].fill(0xee);
    region[place + 612..place + 652].fill(0xee);
    let (store, repairs) = Store::open(region, 1);
    assert_eq!(repairs.damaged_records, 1);
    assert_eq!(store.child(ROOT, "a"), Err(Error::NotFound));
    assert!(store.child(ROOT, "b").is_ok());
}

/// Memory whose writer is killed after so many bytes: later writes go nowhere.
#[derive(Clone)]
struct Mortal {
    bytes: Rc<std::cell::RefCell<Vec<u8>>>,
    left: Rc<Cell<usize>>,
}

impl Mortal {
    fn allow(&self, wanted: usize) -> usize {
        let allowed = wanted.min(self.left.get());
        self.left.set(self.left.get() - allowed);
        allowed
    }
}

impl Region for Mortal {
    fn len(&self) -> usize {
        self.bytes.borrow().len()
    }
    fn read(&self, at: usize, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes.borrow()[at..at + into.len()]);
    }
    fn write(&mut self, at: usize, from: &[u8]) {
        let allowed = self.allow(from.len());
        self.bytes.borrow_mut()[at..at + allowed].copy_from_slice(&from[..allowed]);
    }
    fn clear(&mut self, at: usize, length: usize) {
        let allowed = self.allow(length);
        self.bytes.borrow_mut()[at..at + allowed].fill(0);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u16, Vec<u8>),
    Remove(u8),
    Rename(u8, u8),
    Truncate(u8, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let data = proptest::collection::vec(any::<u8>(), 1..50);
    prop_oneof![
        (0u8..4, any::<u16>(), data).prop_map(|(name, at, data)| Step::Write(name, at, data)),
        (0u8..4).prop_map(Step::Remove),
        (0u8..4, 0u8..4).prop_map(|(from, to)| Step::Rename(from, to)),
        (0u8..4, any::<u16>()).prop_map(|(name, size)| Step::Truncate(name, size)),
    ]
}

type Model = std::collections::BTreeMap<String, Vec<u8>>;

fn name(number: u8) -> String {
    format!("file{number}")
}

fn play<R: Region>(store: &mut Store<R>, step: &Step) -> Result<(), Error> {
    match step {
        Step::Write(number, at, data) => {
            let id = match store.child(ROOT, &name(*number)) {
                Ok(id) => id,
                Err(_) => store.create(ROOT, &name(*number), Kind::File, 0o644, 1)?,
            };
            store.write(id, u64::from(*at), data, 1).map(|_| ())
        }
        Step::Remove(number) => store.remove(store.child(ROOT, &name(*number))?),
        Step::Rename(from, to) => {
            let id = store.child(ROOT, &name(*from))?;
            store.rename(id, ROOT, &name(*to), 1)
        }
        Step::Truncate(number, size) => {
            let id = store.child(ROOT, &name(*number))?;
            store.truncate(id, u64::from(*size), 1)
        }
    }
}

fn contents<R: Region>(store: &Store<R>) -> Model {
    let entries = store.list(ROOT, "").expect("the root is a directory");
    entries
        .map(|(name, id)| {
            (
                name.to_string(),
                store.read(id, 0, 1 << 20).expect("a file"),
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// After a kill in the middle of any step the store opens without damage, and what is in it is what was acknowledged,
    /// but for the one file that the step was about.
    #[test]
    fn a_kill_loses_nothing_that_was_acknowledged(steps in proptest::collection::vec(step(), 1..30), budget in 0usize..60_000) {
        let bytes = Rc::new(std::cell::RefCell::new(vec![0; BYTES]));
        let endless = Rc::new(Cell::new(usize::MAX));
        let (store, _) = Store::open(Mortal { bytes: bytes.clone(), left: endless }, 1);
        drop(store);
        let left = Rc::new(Cell::new(budget));
        let (mut store, _) = Store::open(Mortal { bytes: bytes.clone(), left: left.clone() }, 1);
        let mut acknowledged = contents(&store);
        let mut touched: Vec<String> = Vec::new();
        for step in &steps {
            let outcome = play(&mut store, step);
            if left.get() == 0 {
                touched = match step {
                    Step::Write(number, ..) | Step::Remove(number) | Step::Truncate(number, _) => vec![name(*number)],
                    Step::Rename(from, to) => vec![name(*from), name(*to)],
                };
                break;
            }
            let _ = outcome;
            acknowledged = contents(&store);
        }
        drop(store);
        let (store, repairs) = Store::open(Mortal { bytes, left: Rc::new(Cell::new(usize::MAX)) }, 1);
        prop_assert_eq!(repairs.damaged_pointers, 0);
        prop_assert_eq!(repairs.damaged_records, 0, "the other record of the pair counts");
        let found = contents(&store);
        for (name, data) in &acknowledged {
            if !touched.contains(name) {
                prop_assert_eq!(found.get(name), Some(data));
            }
        }
        if let [from, to] = &touched[..] {
            let survives = |name: &String| !acknowledged.contains_key(name) || found.get(from) == acknowledged.get(name) || found.get(to) == acknowledged.get(name);
            prop_assert!(survives(from), "a rename that was cut short leaves the file under one of its names");
        }
        let mut store = store;
        for (name, data) in &found {
            let id = store.child(ROOT, name).expect("it was listed");
            store.truncate(id, data.len() as u64 + 9000, 1).expect("it is a file");
            let more = store.read(id, data.len() as u64, 9000).expect("it is a file");
            prop_assert!(more.iter().all(|&byte| byte == 0), "what was cut off shows again");
        }
    }
}
