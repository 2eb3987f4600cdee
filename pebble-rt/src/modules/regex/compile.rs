//! Trees as programs for the simulation.

use alloc::vec::Vec;

use super::parse::{Class, Look, Node, Parsed, RegexError};

/// The most instructions that a pattern may become; counted repetitions multiply.
const MAX_INSTRUCTIONS: usize = 20_000;

/// A step of the simulation. Targets are indices into the code.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Char(char),
    Any,
    /// Index into the classes.
    Class(usize),
    Look(Look),
    /// Two ways, the first preferred.
    Split(usize, usize),
    Jump(usize),
    /// Remembers the place in a slot.
    Save(usize),
    Match,
}

/// A pattern ready to run.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) code: Vec<Step>,
    pub(super) classes: Vec<Class>,
    pub(super) slots: usize,
    pub(super) ignore_case: bool,
    pub(super) dot_all: bool,
    /// The character every match begins with, if that is known.
    pub(super) first: Option<char>,
}

pub(super) fn compile(parsed: &Parsed) -> Result<Program, RegexError> {
    let mut compiler = Compiler {
        code: Vec::new(),
        classes: Vec::new(),
    };
    compiler.push(Step::Save(0))?;
    compiler.node(&parsed.node)?;
    compiler.push(Step::Save(1))?;
    compiler.push(Step::Match)?;
    let first = if parsed.flags.ignore_case {
        None
    } else {
        first_character(&parsed.node)
    };
    Ok(Program {
        code: compiler.code,
        classes: compiler.classes,
        slots: 2 * (parsed.groups + 1),
        ignore_case: parsed.flags.ignore_case,
        dot_all: parsed.flags.dot_all,
        first,
    })
}

fn first_character(node: &Node) -> Option<char> {
    match node {
        Node::Char(c) => Some(*c),
        Node::Concat(parts) => parts.first().and_then(first_character),
        Node::Group(inner, _) => first_character(inner),
        Node::Repeat { node, least, .. } if *least > 0 => first_character(node),
        _ => None,
    }
}

struct Compiler {
    code: Vec<Step>,
    classes: Vec<Class>,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Result<usize, RegexError> {
        if self.code.len() >= MAX_INSTRUCTIONS {
            return Err(RegexError::too_large());
        }
        self.code.push(step);
        Ok(self.code.len() - 1)
    }

    fn here(&self) -> usize {
        self.code.len()
    }

    /// Recursion is bounded by the parser's limit on nesting.
    fn node(&mut self, node: &Node) -> Result<(), RegexError> {
        match node {
            Node::Empty => {}
            Node::Char(c) => {
                self.push(Step::Char(*c))?;
            }
            Node::Any => {
                self.push(Step::Any)?;
            }
            Node::Class(class) => {
                self.classes.push(class.clone());
                self.push(Step::Class(self.classes.len() - 1))?;
            }
            Node::Look(look) => {
                self.push(Step::Look(*look))?;
            }
            Node::Concat(parts) => {
                for part in parts {
                    self.node(part)?;
                }
            }
            Node::Alternate(branches) => self.alternatives(branches)?,
            Node::Group(inner, None) => self.node(inner)?,
            Node::Group(inner, Some(number)) => {
                self.push(Step::Save(2 * number))?;
                self.node(inner)?;
                self.push(Step::Save(2 * number + 1))?;
            }
            Node::Repeat {
                node,
                least,
                most,
                greedy,
            } => self.repetition(node, *least, *most, *greedy)?,
        }
        Ok(())
    }

    fn alternatives(&mut self, branches: &[Node]) -> Result<(), RegexError> {
        let mut exits = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            if index + 1 == branches.len() {
                self.node(branch)?;
                break;
            }
            let split = self.push(Step::Split(0, 0))?;
            self.node(branch)?;
            exits.push(self.push(Step::Jump(0))?);
            self.code[split] = Step::Split(split + 1, self.here());
        }
        let end = self.here();
        for exit in exits {
            self.code[exit] = Step::Jump(end);
        }
        Ok(())
    }

    fn repetition(
        &mut self,
        node: &Node,
        least: u32,
        most: Option<u32>,
        greedy: bool,
    ) -> Result<(), RegexError> {
        for _ in 0..least {
            self.node(node)?;
        }
        let Some(most) = most else {
            return self.endless(node, greedy);
        };
        let mut exits = Vec::new();
        for _ in least..most {
            exits.push(self.push(Step::Split(0, 0))?);
            self.node(node)?;
        }
        let end = self.here();
        for exit in exits {
            self.code[exit] = ordered(exit + 1, end, greedy);
        }
        Ok(())
    }

    fn endless(&mut self, node: &Node, greedy: bool) -> Result<(), RegexError> {
        let split = self.push(Step::Split(0, 0))?;
        self.node(node)?;
        self.push(Step::Jump(split))?;
        self.code[split] = ordered(split + 1, self.here(), greedy);
        Ok(())
    }
}

fn ordered(into: usize, past: usize, greedy: bool) -> Step {
    if greedy {
        Step::Split(into, past)
    } else {
        Step::Split(past, into)
    }
}
