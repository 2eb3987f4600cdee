//! Patterns as trees.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::Flags;

/// The deepest nesting of groups.
const MAX_NESTING: usize = 100;

/// The largest number in a counted repetition.
const MAX_REPEAT: u32 = 10_000;

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexError {
    /// What is wrong, in words.
    pub message: String,
    /// Character position in the pattern, from 0.
    pub position: usize,
}

impl core::fmt::Display for RegexError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} at position {}", self.message, self.position)
    }
}

/// A part of a pattern.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Empty,
    Char(char),
    Any,
    Class(Class),
    Look(Look),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Group(Box<Node>, Option<usize>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        greedy: bool,
    },
}

/// A condition on a place between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    TextStart,
    TextEnd,
    /// At the end, or before a final line feed.
    LastLineEnd,
    LineStart,
    LineEnd,
    WordBoundary,
    NotWordBoundary,
}

/// A set of characters.
#[derive(Debug, Clone, Default)]
pub(super) struct Class {
    pub(super) negated: bool,
    pub(super) ranges: Vec<(char, char)>,
    pub(super) kinds: Vec<(Kind, bool)>,
}

/// A named set of characters, and in a [`Class`] whether it is meant or its complement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Digit,
    Word,
    Blank,
}

impl Kind {
    pub(super) fn contains(self, c: char) -> bool {
        match self {
            Self::Digit => c.is_ascii_digit(),
            Self::Word => c == '_' || c.is_alphanumeric(),
            Self::Blank => c.is_whitespace(),
        }
    }
}

impl Class {
    pub(super) fn contains(&self, c: char) -> bool {
        let inside = self
            .ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&c))
            || self
                .kinds
                .iter()
                .any(|(kind, positive)| kind.contains(c) == *positive);
        inside != self.negated
    }

    /// Membership in either case: the complement holds only when neither case is listed.
    pub(super) fn contains_in_any_case(&self, c: char) -> bool {
        let listed = |c: char| self.contains(c) != self.negated;
        let folded = listed(c) || c.to_lowercase().any(listed) || c.to_uppercase().any(listed);
        folded != self.negated
    }
}

/// A pattern that has been read.
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) flags: Flags,
    pub(super) groups: usize,
    pub(super) names: Vec<(String, usize)>,
}

pub(super) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, RegexError> {
    let mut parser = Parser {
        chars: pattern.chars().collect(),
        at: 0,
        flags,
        groups: 0,
        names: Vec::new(),
        nesting: 0,
    };
    parser.leading_flags()?;
    let node = parser.alternatives()?;
    match parser.peek() {
        Some(_) => Err(parser.error("unbalanced ')'")),
        None => Ok(Parsed {
            node,
            flags: parser.flags,
            groups: parser.groups,
            names: parser.names,
        }),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    groups: usize,
    names: Vec<(String, usize)>,
    nesting: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn accept(&mut self, text: &str) -> bool {
        let matches = text
            .chars()
            .enumerate()
            .all(|(offset, c)| self.chars.get(self.at + offset) == Some(&c));
        if matches {
            self.at += text.chars().count();
        }
        matches
    }

    fn error(&self, message: &str) -> RegexError {
        error_at(message, self.at)
    }

    fn leading_flags(&mut self) -> Result<(), RegexError> {
        while self.chars.get(..2) == Some(&['(', '?'])
            && matches!(self.chars.get(2), Some('i' | 'm' | 's' | 'x'))
            && self.at == 0
        {
            let Some(close) = self.chars.iter().position(|c| *c == ')') else {
                return Ok(());
            };
            for letter in &self.chars[2..close] {
                match letter {
                    'i' => self.flags.ignore_case = true,
                    'm' => self.flags.multi_line = true,
                    's' => self.flags.dot_all = true,
                    _ => return Err(error_at("unknown flag", 2)),
                }
            }
            self.at = close + 1;
        }
        Ok(())
    }

    fn alternatives(&mut self) -> Result<Node, RegexError> {
        let mut branches = vec![self.sequence()?];
        while self.accept("|") {
            branches.push(self.sequence()?);
        }
        Ok(if branches.len() == 1 {
            branches.remove(0)
        } else {
            Node::Alternate(branches)
        })
    }

    fn sequence(&mut self) -> Result<Node, RegexError> {
        let mut parts = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let atom = self.atom()?;
            parts.push(self.repetition(atom)?);
        }
        Ok(match parts.len() {
            0 => Node::Empty,
            1 => parts.remove(0),
            _ => Node::Concat(parts),
        })
    }

    fn repetition(&mut self, atom: Node) -> Result<Node, RegexError> {
        let start = self.at;
        let Some((least, most)) = self.repeat_counts()? else {
            return Ok(atom);
        };
        if most.is_some_and(|most| most < least) {
            return Err(error_at("invalid repetition", start));
        }
        let greedy = !self.accept("?");
        let after = self.at;
        if self.repeat_counts()?.is_some() {
            return Err(error_at("multiple repeat", after));
        }
        Ok(Node::Repeat {
            node: Box::new(atom),
            least,
            most,
            greedy,
        })
    }

    fn repeat_counts(&mut self) -> Result<Option<(u32, Option<u32>)>, RegexError> {
        let counts = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.braced_counts(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(counts))
    }

    /// `{m}`, `{m,}`, `{,n}` or `{m,n}`; any other brace is an ordinary character.
    fn braced_counts(&mut self) -> Result<Option<(u32, Option<u32>)>, RegexError> {
        let start = self.at;
        self.at += 1;
        let least = self.number();
        let comma = self.accept(",");
        let most = if comma { self.number() } else { least };
        if !self.accept("}") || (least.is_none() && most.is_none()) {
            self.at = start;
            return Ok(None);
        }
        if least.unwrap_or(0) > MAX_REPEAT || most.unwrap_or(0) > MAX_REPEAT {
            return Err(error_at("repetition is too large", start));
        }
        Ok(Some((least.unwrap_or(0), most)))
    }

    fn number(&mut self) -> Option<u32> {
        let mut value = None;
        while let Some(digit) = self
            .peek()
            .filter(char::is_ascii_digit)
            .and_then(|c| c.to_digit(10))
        {
            self.at += 1;
            value = Some(
                value
                    .unwrap_or(0u32)
                    .saturating_mul(10)
                    .saturating_add(digit),
            );
        }
        value
    }

    fn atom(&mut self) -> Result<Node, RegexError> {
        let start = self.at;
        let Some(c) = self.take() else {
            return Ok(Node::Empty);
        };
        match c {
            '(' => self.group(start),
            '[' => self.class(start).map(Node::Class),
            '.' => Ok(Node::Any),
            '^' => Ok(Node::Look(if self.flags.multi_line {
                Look::LineStart
            } else {
                Look::TextStart
            })),
            '$' => Ok(Node::Look(if self.flags.multi_line {
                Look::LineEnd
            } else {
                Look::LastLineEnd
            })),
            '*' | '+' | '?' => Err(error_at("nothing to repeat", start)),
            '{' => {
                self.at = start;
                if self.braced_counts()?.is_some() {
                    return Err(error_at("nothing to repeat", start));
                }
                self.at = start + 1;
                Ok(Node::Char('{'))
            }
            '\\' => self.escape(start),
            other => Ok(Node::Char(other)),
        }
    }

    fn group(&mut self, start: usize) -> Result<Node, RegexError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(error_at("too deeply nested", start));
        }
        let number = if !self.accept("?") {
            Some(self.new_group())
        } else if self.accept(":") {
            None
        } else if ["=", "!", "<=", "<!"].iter().any(|mark| self.accept(mark)) {
            return Err(error_at("look-around is not supported", start));
        } else if self.accept("P<") || self.accept("<") {
            Some(self.named_group(start)?)
        } else {
            return Err(error_at("unknown group", start));
        };
        let inner = self.alternatives()?;
        if !self.accept(")") {
            return Err(error_at("missing ')'", start));
        }
        self.nesting -= 1;
        Ok(Node::Group(Box::new(inner), number))
    }

    fn new_group(&mut self) -> usize {
        self.groups += 1;
        self.groups
    }

    fn named_group(&mut self, start: usize) -> Result<usize, RegexError> {
        let mut name = String::new();
        while let Some(c) = self.take().filter(|c| *c != '>') {
            name.push(c);
        }
        let valid = name.starts_with(|c: char| c == '_' || c.is_alphabetic())
            && name.chars().all(|c| c == '_' || c.is_alphanumeric());
        if !valid {
            return Err(error_at("invalid group name", start));
        }
        if self.names.iter().any(|(known, _)| *known == name) {
            return Err(error_at(
                &format!("group name '{name}' is used twice"),
                start,
            ));
        }
        let number = self.new_group();
        self.names.push((name, number));
        Ok(number)
    }

    fn escape(&mut self, start: usize) -> Result<Node, RegexError> {
        let Some(c) = self.take() else {
            return Err(error_at("pattern ends with a backslash", start));
        };
        if let Some((kind, positive)) = kind_of(c) {
            return Ok(Node::Class(Class {
                kinds: vec![(kind, positive)],
                ..Class::default()
            }));
        }
        Ok(match c {
            'b' => Node::Look(Look::WordBoundary),
            'B' => Node::Look(Look::NotWordBoundary),
            'A' => Node::Look(Look::TextStart),
            'Z' | 'z' => Node::Look(Look::TextEnd),
            '1'..='9' => return Err(error_at("back references are not supported", start)),
            other => Node::Char(self.escaped_character(other, start)?),
        })
    }

    fn escaped_character(&mut self, c: char, start: usize) -> Result<char, RegexError> {
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            '0' => '\0',
            'x' => self.hexadecimal(2, start)?,
            'u' => self.hexadecimal(4, start)?,
            'U' => self.hexadecimal(8, start)?,
            c if c.is_ascii_alphanumeric() => {
                return Err(error_at(&format!("unknown escape '\\{c}'"), start));
            }
            other => other,
        })
    }

    fn hexadecimal(&mut self, digits: usize, start: usize) -> Result<char, RegexError> {
        let mut code: u32 = 0;
        for _ in 0..digits {
            let digit = self
                .take()
                .and_then(|c| c.to_digit(16))
                .ok_or_else(|| error_at("invalid escape", start))?;
            code = code << 4 | digit;
        }
        char::from_u32(code).ok_or_else(|| error_at("invalid escape", start))
    }

    fn class(&mut self, start: usize) -> Result<Class, RegexError> {
        let mut class = Class {
            negated: self.accept("^"),
            ..Class::default()
        };
        let mut first = true;
        loop {
            let place = self.at;
            let Some(c) = self.take() else {
                return Err(error_at("unterminated character class", start));
            };
            if c == ']' && !first {
                return Ok(class);
            }
            first = false;
            let Some(low) = self.class_member(c, &mut class, place)? else {
                continue;
            };
            let is_range = self.peek() == Some('-')
                && !matches!(self.chars.get(self.at + 1), None | Some(']'));
            if !is_range {
                class.ranges.push((low, low));
                continue;
            }
            self.at += 1;
            let upper = self
                .take()
                .ok_or_else(|| error_at("unterminated character class", start))?;
            let high = self.class_member(upper, &mut class, place)?;
            match high {
                Some(high) if low <= high => class.ranges.push((low, high)),
                _ => return Err(error_at("invalid character range", place)),
            }
        }
    }

    /// One character of a class, or `None` when it was a named set that has been added.
    fn class_member(
        &mut self,
        c: char,
        class: &mut Class,
        place: usize,
    ) -> Result<Option<char>, RegexError> {
        if c != '\\' {
            return Ok(Some(c));
        }
        let Some(escaped) = self.take() else {
            return Err(error_at("pattern ends with a backslash", place));
        };
        if let Some(kind) = kind_of(escaped) {
            class.kinds.push(kind);
            return Ok(None);
        }
        if escaped == 'b' {
            return Ok(Some('\u{8}'));
        }
        self.escaped_character(escaped, place).map(Some)
    }
}

fn kind_of(c: char) -> Option<(Kind, bool)> {
    Some(match c {
        'd' => (Kind::Digit, true),
        'D' => (Kind::Digit, false),
        'w' => (Kind::Word, true),
        'W' => (Kind::Word, false),
        's' => (Kind::Blank, true),
        'S' => (Kind::Blank, false),
        _ => return None,
    })
}

fn error_at(message: &str, position: usize) -> RegexError {
    RegexError {
        message: message.to_string(),
        position,
    }
}

impl RegexError {
    pub(super) fn too_large() -> Self {
        error_at("pattern is too large", 0)
    }
}
