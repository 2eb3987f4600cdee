//! What the families' handlers share: taking arguments apart, and answers now or later.

use alloc::format;
use alloc::string::String;

use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, SystemError, Token};

/// How a request was handled.
pub enum Done {
    /// Here is the answer.
    Now(Data),
    /// It comes later, under this token.
    Later(Token),
}

/// What a handler returns.
pub type Outcome = Result<Done, SystemError>;

/// An answer at once.
pub fn now(data: Data) -> Outcome {
    Ok(Done::Now(data))
}

fn wrong(request: &Request, index: usize, what: &str) -> SystemError {
    SystemError::new(
        errno::INVAL,
        format!(
            "{}() expects {what} as argument {}",
            request.operation,
            index + 1
        ),
    )
}

/// A text argument.
pub fn text(request: &Request, index: usize) -> Result<&str, SystemError> {
    match request.arguments.get(index) {
        Some(Data::Text(text)) => Ok(text),
        _ => Err(wrong(request, index, "a string")),
    }
}

/// A storage name as an absolute path.
pub fn path_of(request: &Request, index: usize) -> Result<String, SystemError> {
    let name = text(request, index)?;
    if name.contains(['\0', '\\']) {
        return Err(SystemError::new(errno::INVAL, "invalid file name"));
    }
    Ok(format!("/{name}"))
}

/// An integer argument.
pub fn integer(request: &Request, index: usize) -> Result<i64, SystemError> {
    match request.arguments.get(index) {
        Some(Data::Number(number)) => Ok(*number),
        _ => Err(wrong(request, index, "an integer")),
    }
}

/// A bytes argument; a text counts as its UTF-8.
pub fn bytes(request: &Request, index: usize) -> Result<&[u8], SystemError> {
    match request.arguments.get(index) {
        Some(Data::Bytes(bytes)) => Ok(bytes),
        Some(Data::Text(text)) => Ok(text.as_bytes()),
        _ => Err(wrong(request, index, "bytes")),
    }
}

/// A named value of the options in argument `index`.
pub fn option<'r>(request: &'r Request, index: usize, name: &str) -> Option<&'r Data> {
    match request.arguments.get(index) {
        Some(Data::Record(fields)) => fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value),
        _ => None,
    }
}

/// A number as data.
pub fn number(value: u64) -> Data {
    Data::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A record as data.
pub fn record<const N: usize>(fields: [(&str, Data); N]) -> Data {
    Data::Record(
        fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
    )
}
