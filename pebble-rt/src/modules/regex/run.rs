//! The simulation: all ways through the program at once, in the order of preference, one character after the other.

use alloc::vec;
use alloc::vec::Vec;

use super::compile::{Program, Step};
use super::parse::{Kind, Look};
use super::{Anchor, Spans};

/// A slot that was never set.
const UNSET: usize = usize::MAX;

/// Work units between two reports to the account.
const REPORT_EVERY: usize = 4096;

pub(super) fn find<E>(
    program: &Program,
    text: &str,
    start: usize,
    anchor: Anchor,
    charge: &mut dyn FnMut(usize) -> Result<(), E>,
) -> Result<Option<Spans>, E> {
    let mut search = Search {
        program,
        text,
        current: Threads::new(program),
        next: Threads::new(program),
        matched: None,
        pending: Vec::new(),
        work: 0,
    };
    search.run(start, anchor, charge)?;
    Ok(search.matched.map(|slots| {
        slots
            .chunks(2)
            .map(|pair| (pair[0] != UNSET && pair[1] != UNSET).then_some((pair[0], pair[1])))
            .collect()
    }))
}

/// The ways that are alive before a character, each with its slots, in the order of preference.
struct Threads {
    order: Vec<usize>,
    /// Position in `order` plus one, for each instruction; stale entries are recognised by comparing back.
    position: Vec<usize>,
    slots: Vec<usize>,
    stride: usize,
}

impl Threads {
    fn new(program: &Program) -> Self {
        Self {
            order: Vec::with_capacity(program.code.len()),
            position: vec![0; program.code.len()],
            slots: Vec::new(),
            stride: program.slots,
        }
    }

    fn clear(&mut self) {
        self.order.clear();
        self.slots.clear();
    }

    fn contains(&self, at: usize) -> bool {
        self.order.get(self.position[at]) == Some(&at)
    }

    fn add(&mut self, at: usize, slots: &[usize]) {
        self.position[at] = self.order.len();
        self.order.push(at);
        self.slots.extend_from_slice(slots);
    }

    fn slots_of(&self, index: usize) -> &[usize] {
        &self.slots[index * self.stride..(index + 1) * self.stride]
    }
}

enum Pending {
    Visit(usize),
    Restore(usize, usize),
}

struct Search<'a> {
    program: &'a Program,
    text: &'a str,
    current: Threads,
    next: Threads,
    matched: Option<Vec<usize>>,
    pending: Vec<Pending>,
    work: usize,
}

impl Search<'_> {
    fn run<E>(
        &mut self,
        start: usize,
        anchor: Anchor,
        charge: &mut dyn FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = start;
        let mut slots = vec![UNSET; self.program.slots];
        loop {
            if self.current.order.is_empty() {
                if self.matched.is_some() || (anchor != Anchor::Free && at > start) {
                    break;
                }
                if let (Anchor::Free, Some(first)) = (anchor, self.program.first) {
                    let Some(skipped) = self.text[at..].find(first) else {
                        break;
                    };
                    self.work += skipped / 16;
                    at += skipped;
                }
            }
            if self.matched.is_none() && (anchor == Anchor::Free || at == start) {
                slots.fill(UNSET);
                self.follow(Place::Current, 0, at, &mut slots);
            }
            let c = self.text[at..].chars().next();
            let end = at + c.map_or(0, char::len_utf8);
            self.step(at, c, end, anchor, &mut slots);
            if self.work >= REPORT_EVERY {
                charge(core::mem::take(&mut self.work))?;
            }
            if c.is_none() {
                break;
            }
            core::mem::swap(&mut self.current, &mut self.next);
            self.next.clear();
            at = end;
        }
        charge(self.work)
    }

    /// Moves every way over `c`; a way that matches ends all ways of lower preference.
    fn step(
        &mut self,
        at: usize,
        c: Option<char>,
        end: usize,
        anchor: Anchor,
        slots: &mut [usize],
    ) {
        for index in 0..self.current.order.len() {
            let instruction = self.current.order[index];
            self.work += 1;
            let consumes = match (&self.program.code[instruction], c) {
                (Step::Match, _) => {
                    if anchor == Anchor::Whole && at != self.text.len() {
                        continue;
                    }
                    self.matched = Some(self.current.slots_of(index).to_vec());
                    return;
                }
                (_, None) => false,
                (Step::Char(wanted), Some(c)) => self.same_character(*wanted, c),
                (Step::Any, Some(c)) => self.program.dot_all || c != '\n',
                (Step::Class(class), Some(c)) => {
                    let class = &self.program.classes[*class];
                    if self.program.ignore_case {
                        class.contains_in_any_case(c)
                    } else {
                        class.contains(c)
                    }
                }
                _ => false,
            };
            if consumes {
                slots.copy_from_slice(self.current.slots_of(index));
                self.follow(Place::Next, instruction + 1, end, slots);
            }
        }
    }

    fn same_character(&self, wanted: char, c: char) -> bool {
        wanted == c || (self.program.ignore_case && wanted.to_lowercase().eq(c.to_lowercase()))
    }

    /// Adds the instructions that wait for a character and can be reached from `from` without one.
    fn follow(&mut self, place: Place, from: usize, at: usize, slots: &mut [usize]) {
        self.pending.push(Pending::Visit(from));
        while let Some(pending) = self.pending.pop() {
            let instruction = match pending {
                Pending::Restore(slot, value) => {
                    slots[slot] = value;
                    continue;
                }
                Pending::Visit(instruction) => instruction,
            };
            let threads = match place {
                Place::Current => &mut self.current,
                Place::Next => &mut self.next,
            };
            if threads.contains(instruction) {
                continue;
            }
            self.work += 1;
            threads.add(instruction, slots);
            match &self.program.code[instruction] {
                Step::Jump(target) => self.pending.push(Pending::Visit(*target)),
                Step::Split(preferred, other) => {
                    self.pending.push(Pending::Visit(*other));
                    self.pending.push(Pending::Visit(*preferred));
                }
                Step::Save(slot) => {
                    self.pending.push(Pending::Restore(*slot, slots[*slot]));
                    slots[*slot] = at;
                    self.pending.push(Pending::Visit(instruction + 1));
                }
                Step::Look(look) if holds(*look, self.text, at) => {
                    self.pending.push(Pending::Visit(instruction + 1))
                }
                _ => {}
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Place {
    Current,
    Next,
}

fn holds(look: Look, text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at..].chars().next();
    let is_word = |c: Option<char>| c.is_some_and(|c| Kind::Word.contains(c));
    match look {
        Look::TextStart => at == 0,
        Look::TextEnd => after.is_none(),
        Look::LastLineEnd => after.is_none() || &text[at..] == "\n",
        Look::LineStart => before.is_none_or(|c| c == '\n'),
        Look::LineEnd => after.is_none_or(|c| c == '\n'),
        Look::WordBoundary => is_word(before) != is_word(after),
        Look::NotWordBoundary => is_word(before) == is_word(after),
    }
}
