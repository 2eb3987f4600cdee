//! Handles that came in answers, by the names under which a session knows them.
//!
//! A name is a number in the session's own table: it means nothing to another session, is never given twice, and can't be guessed into something that the session does
//! not hold. What a session holds is closed when it ends.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use libipc::object::kind_named;
use libipc::untyped::AnyHandle;

use crate::catalogue::{Interface, Way};
use crate::dynamic::Handles;

/// Handles that one session holds, at most.
pub const MAX_HANDLES: usize = 64;

/// The tables of all sessions.
#[derive(Debug, Default)]
pub struct Tables(BTreeMap<u64, Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    /// Shared with the calls under way that carry it.
    handle: Rc<AnyHandle>,
    object: String,
    /// What is at the other end, once somebody asked: for Connections.
    interface: Option<Rc<Interface>>,
}

impl Tables {
    /// How many more handles a session may hold.
    pub fn room(&self, session: u64) -> usize {
        let held = self.0.get(&session).map_or(0, |table| table.held.len());
        MAX_HANDLES.saturating_sub(held)
    }

    /// A Connection of a session, and what is at its other end if that is known. `None`: it has none of that name.
    pub fn connection(&self, session: u64, name: &str) -> Option<(Way, Option<Rc<Interface>>)> {
        let held = self.0.get(&session)?.held.get(&number(name)?)?;
        let way = Way::held(held.handle.clone())?;
        Some((way, held.interface.clone()))
    }

    /// Notes what is at the other end of a Connection.
    pub fn describe(&mut self, session: u64, name: &str, interface: &Rc<Interface>) {
        let table = self.0.get_mut(&session).zip(number(name));
        if let Some(held) = table.and_then(|(table, number)| table.held.get_mut(&number)) {
            held.interface = Some(interface.clone());
        }
    }

    /// Closes a handle of a session. `false`: it has none of that name.
    pub fn close(&mut self, session: u64, name: &str) -> bool {
        let table = self.0.get_mut(&session);
        let number = number(name);
        table
            .zip(number)
            .is_some_and(|(table, number)| table.held.remove(&number).is_some())
    }

    /// Closes all that a session holds.
    pub fn forget(&mut self, session: u64) {
        self.0.remove(&session);
    }

    /// The handles of a request of this session.
    pub fn request(&self, session: u64) -> Request<'_> {
        Request {
            table: self.0.get(&session),
            taken: Vec::new(),
        }
    }

    /// The handles of an answer to this session. They get their names now, and are held once it is [`kept`](Self::keep).
    pub fn answer(&self, session: u64, handles: Vec<AnyHandle>) -> Answer {
        Answer {
            last: self.0.get(&session).map_or(0, |table| table.last),
            came: handles.into_iter().map(Some).collect(),
            named: Vec::new(),
        }
    }

    /// Puts the handles of an answer that were named into the session's table.
    pub fn keep(&mut self, session: u64, answer: Answer) {
        if answer.named.is_empty() {
            return;
        }
        let table = self.0.entry(session).or_default();
        for (number, held) in answer.named {
            table.last = table.last.max(number);
            table.held.insert(number, held);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let number = name.strip_prefix('h')?.parse().ok()?;
    // One name for each: no sign, no zeroes in front.
    (format!("h{number}") == name).then_some(number)
}

/// The handles that a request carries.
#[derive(Debug)]
pub struct Request<'a> {
    table: Option<&'a Table>,
    taken: Vec<Rc<AnyHandle>>,
}

impl Request<'_> {
    /// They, in the order of their places.
    pub fn into_handles(self) -> Vec<Rc<AnyHandle>> {
        self.taken
    }
}

impl Handles for Request<'_> {
    fn place(&mut self, name: &str, object: &str) -> Option<u8> {
        let held = self.table?.held.get(&number(name)?)?;
        if held.object != object {
            return None;
        }
        let place = u8::try_from(self.taken.len()).ok()?;
        self.taken.push(held.handle.clone());
        Some(place)
    }

    fn name(&mut self, _: u8, _: &str) -> Option<String> {
        None
    }
}

/// The handles that an answer carries.
#[derive(Debug)]
pub struct Answer {
    last: u64,
    came: Vec<Option<AnyHandle>>,
    named: Vec<(u64, Held)>,
}

impl Handles for Answer {
    fn place(&mut self, _: &str, _: &str) -> Option<u8> {
        None
    }

    fn name(&mut self, place: u8, object: &str) -> Option<String> {
        let kind = kind_named(object)?;
        let came = self.came.get_mut(usize::from(place))?;
        let handle = came.take_if(|handle| handle.is(kind))?;
        self.last += 1;
        let held = Held {
            handle: Rc::new(handle),
            object: object.to_string(),
            interface: None,
        };
        self.named.push((self.last, held));
        Some(format!("h{}", self.last))
    }
}
