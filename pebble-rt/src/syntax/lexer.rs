//! From a piece of a logical line to tokens.
//!
//! Never fails: what is no token becomes [`TokenKind::Unexpected`] or [`TokenKind::Unterminated`], which the parser reports
//! before anything else about the expression.

use super::strings;
use alloc::vec::Vec;

/// A token and its place in the line's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name, or a word that the grammar gives a meaning where it stands.
    Name(Word),
    Integer,
    Float,
    String,
    Symbol(Symbol),
    /// A character that begins no token.
    Unexpected,
    /// A string without its closing quote.
    Unterminated,
    /// The end of the expression.
    End,
}

/// The words of the expression grammar. All but the first six are ordinary names wherever the grammar has no use for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    True,
    False,
    None,
    And,
    Or,
    Not,
    In,
    Is,
    If,
    Else,
    For,
    Lambda,
    Yield,
    As,
    Plain,
}

impl Word {
    fn of(text: &str) -> Self {
        match text {
            "True" => Self::True,
            "False" => Self::False,
            "None" => Self::None,
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "in" => Self::In,
            "is" => Self::Is,
            "if" => Self::If,
            "else" => Self::Else,
            "for" => Self::For,
            "lambda" => Self::Lambda,
            "yield" => Self::Yield,
            "as" => Self::As,
            _ => Self::Plain,
        }
    }

    /// True for a word that can never be a name.
    pub(crate) fn is_reserved(self) -> bool {
        matches!(
            self,
            Self::True | Self::False | Self::None | Self::And | Self::Or | Self::Not
        )
    }
}

/// True when `text` cannot be used as a name anywhere.
pub(crate) fn is_reserved(text: &str) -> bool {
    Word::of(text).is_reserved()
}

/// Operators and delimiters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    Plus,
    Minus,
    Star,
    Slash,
    DoubleStar,
    DoubleSlash,
    Percent,
    Ampersand,
    Bar,
    Caret,
    Tilde,
    ShiftLeft,
    ShiftRight,
    Less,
    Greater,
    Equal,
    NotEqual,
    LessEqual,
    GreaterEqual,
    LeftParen,
    RightParen,
    LeftSquare,
    RightSquare,
    LeftBrace,
    RightBrace,
    Dot,
    Comma,
    Colon,
    Assign,
    /// `+=` and its like: the operator with a `=` behind it.
    AugmentedAssign,
}

/// The tokens of `text[start..end]`, with one [`TokenKind::End`] behind them.
pub(crate) fn tokens(text: &str, start: usize, end: usize) -> Vec<Token> {
    let mut tokens = Vec::with_capacity((end - start) / 3 + 2);
    let mut at = start;
    loop {
        let token = next_token(&text[..end], at);
        tokens.push(token);
        at = token.end;
        if token.kind == TokenKind::End {
            return tokens;
        }
    }
}

/// The first token of `text` at or after `at`.
pub(crate) fn next_token(text: &str, at: usize) -> Token {
    let rest = &text[at..];
    let start = at + rest.len() - rest.trim_start_matches([' ', '\n', '\r']).len();
    let rest = &text[start..];
    let Some(first) = rest.chars().next() else {
        return Token {
            kind: TokenKind::End,
            start,
            end: start,
        };
    };
    let (kind, end) = match first {
        '"' | '\'' => string(text, start),
        '0'..='9' => number(text, start),
        _ if is_name_start(first) => name_or_string(text, start),
        _ => symbol(text, start, first),
    };
    Token { kind, start, end }
}

/// True for a character that a name may begin with.
pub(crate) fn is_name_start(character: char) -> bool {
    character.is_ascii_alphabetic()
        || character == '_'
        || (!character.is_ascii() && character.is_alphabetic())
}

/// True for a character that a name may go on with.
pub(crate) fn is_name_part(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character == '_'
        || (!character.is_ascii() && character.is_alphanumeric())
}

/// True when all of `text` is one name that is not reserved.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(is_name_start) && text.chars().all(is_name_part) && !is_reserved(text)
}

fn name_or_string(text: &str, start: usize) -> (TokenKind, usize) {
    let end = text[start..]
        .find(|character| !is_name_part(character))
        .map_or(text.len(), |length| start + length);
    let word = &text[start..end];
    let opens_string = text[end..].starts_with(['"', '\'']) && strings::Prefix::of(word).is_some();
    if opens_string {
        string(text, start)
    } else {
        (TokenKind::Name(Word::of(word)), end)
    }
}

fn string(text: &str, start: usize) -> (TokenKind, usize) {
    match strings::scan(text, start) {
        Some(literal) if literal.is_terminated => (TokenKind::String, literal.end),
        _ => (TokenKind::Unterminated, text.len()),
    }
}

fn symbol(text: &str, start: usize, first: char) -> (TokenKind, usize) {
    match symbol_at(&text.as_bytes()[start..]) {
        Some((symbol, length)) => (TokenKind::Symbol(symbol), start + length),
        None => (TokenKind::Unexpected, start + first.len_utf8()),
    }
}

/// The symbol that `bytes` begin with and its length; longer ones before their beginnings.
fn symbol_at(bytes: &[u8]) -> Option<(Symbol, usize)> {
    Some(match bytes {
        [b'*', b'*', b'=', ..]
        | [b'/', b'/', b'=', ..]
        | [b'<', b'<', b'=', ..]
        | [b'>', b'>', b'=', ..] => (Symbol::AugmentedAssign, 3),
        [b'*', b'*', ..] => (Symbol::DoubleStar, 2),
        [b'/', b'/', ..] => (Symbol::DoubleSlash, 2),
        [b'<', b'<', ..] => (Symbol::ShiftLeft, 2),
        [b'>', b'>', ..] => (Symbol::ShiftRight, 2),
        [b'=', b'=', ..] => (Symbol::Equal, 2),
        [b'!', b'=', ..] => (Symbol::NotEqual, 2),
        [b'<', b'=', ..] => (Symbol::LessEqual, 2),
        [b'>', b'=', ..] => (Symbol::GreaterEqual, 2),
        [
            b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'|' | b'^',
            b'=',
            ..,
        ] => (Symbol::AugmentedAssign, 2),
        [byte, ..] => (single_symbol(*byte)?, 1),
        [] => return None,
    })
}

fn single_symbol(byte: u8) -> Option<Symbol> {
    Some(match byte {
        b'+' => Symbol::Plus,
        b'-' => Symbol::Minus,
        b'*' => Symbol::Star,
        b'/' => Symbol::Slash,
        b'%' => Symbol::Percent,
        b'&' => Symbol::Ampersand,
        b'|' => Symbol::Bar,
        b'^' => Symbol::Caret,
        b'~' => Symbol::Tilde,
        b'<' => Symbol::Less,
        b'>' => Symbol::Greater,
        b'(' => Symbol::LeftParen,
        b')' => Symbol::RightParen,
        b'[' => Symbol::LeftSquare,
        b']' => Symbol::RightSquare,
        b'{' => Symbol::LeftBrace,
        b'}' => Symbol::RightBrace,
        b'.' => Symbol::Dot,
        b',' => Symbol::Comma,
        b':' => Symbol::Colon,
        b'=' => Symbol::Assign,
        _ => return None,
    })
}

fn number(text: &str, start: usize) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    if let Some(end) = prefixed_number(bytes, start) {
        return (TokenKind::Integer, end);
    }
    let mut end = digits(bytes, start, 10);
    let mut kind = TokenKind::Integer;
    if bytes.get(end) == Some(&b'.') {
        kind = TokenKind::Float;
        end += 1;
        if bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end = digits(bytes, end, 10);
        }
    }
    if let Some(exponent_end) = exponent(bytes, end) {
        return (TokenKind::Float, exponent_end);
    }
    (kind, end)
}

/// The end of `0x1f`, `0o17` or `0b11` at `start`.
fn prefixed_number(bytes: &[u8], start: usize) -> Option<usize> {
    let radix = radix_of_prefix(bytes.get(start..start + 2)?)?;
    // A `_` may stand between prefix and digits too.
    let first = start + 2 + usize::from(bytes.get(start + 2) == Some(&b'_'));
    let end = digits(bytes, first, radix);
    (end > first).then_some(end)
}

/// The base that `0x`, `0o` or `0b` stands for.
pub(crate) fn radix_of_prefix(prefix: &[u8]) -> Option<u32> {
    match prefix {
        [b'0', b'x' | b'X'] => Some(16),
        [b'0', b'o' | b'O'] => Some(8),
        [b'0', b'b' | b'B'] => Some(2),
        _ => None,
    }
}

/// The end of a run of digits with single `_` between them.
fn digits(bytes: &[u8], start: usize, radix: u32) -> usize {
    let is_digit = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|byte| char::from(*byte).is_digit(radix))
    };
    let mut end = start;
    while is_digit(end)
        || (end > start
            && bytes.get(end) == Some(&b'_')
            && bytes[end - 1] != b'_'
            && is_digit(end + 1))
    {
        end += 1;
    }
    end
}

/// The end of `e5`, `E-7` at `start`.
fn exponent(bytes: &[u8], start: usize) -> Option<usize> {
    bytes
        .get(start)
        .filter(|byte| matches!(byte, b'e' | b'E'))?;
    let sign = usize::from(matches!(bytes.get(start + 1), Some(b'+' | b'-')));
    let first = start + 1 + sign;
    let end = digits(bytes, first, 10);
    (end > first).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn spellings(text: &str) -> String {
        let tokens = tokens(text, 0, text.len());
        let words: Vec<_> = tokens
            .iter()
            .map(|token| &text[token.start..token.end])
            .collect();
        words.join("|")
    }

    #[test]
    fn numbers_end_where_their_digits_do() {
        assert_eq!(
            spellings("007 1. 1.5.3 1_000 1__0"),
            "007|1.|1.5|.|3|1_000|1|__0|"
        );
        assert_eq!(
            spellings("0x1f 0x_f 0b12 0xzz 1e5 1e 2.e-3 .5"),
            "0x1f|0x_f|0b1|2|0|xzz|1e5|1|e|2.e-3|.|5|"
        );
    }

    #[test]
    fn longer_symbols_come_first() {
        assert_eq!(spellings("a**=b//c<=d!=e"), "a|**=|b|//|c|<=|d|!=|e|");
        assert_eq!(spellings("x=-1"), "x|=|-|1|");
    }

    #[test]
    fn prefixes_belong_to_their_strings() {
        assert_eq!(spellings(r#"f"{a}" rb'x' u"y""#), r#"f"{a}"|rb'x'|u|"y"|"#);
    }

    #[test]
    fn a_character_that_is_no_token_stands_alone() {
        let tokens = tokens("a ! $", 0, 5);
        assert_eq!(tokens[1].kind, TokenKind::Unexpected);
        assert_eq!(tokens[2].kind, TokenKind::Unexpected);
        assert_eq!(super::tokens("'abc", 0, 4)[0].kind, TokenKind::Unterminated);
    }
}
