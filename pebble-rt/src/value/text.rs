//! The text form of values (section 4) and the quoted form of `repr`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::heap::{Heap, OutOfMemory};
use crate::symbol::Symbol;
use crate::value::{CalledOff, Class, ModuleKind, Truth, Value, big, write_float};

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// It would not fit the memory limit.
    OutOfMemory,
    /// Somebody wants the program to stop.
    CalledOff,
    /// An instance inside has a `__str__` or `__repr__`, which only the machine can call.
    NeedsMethod,
}

impl From<OutOfMemory> for TextError {
    fn from(_: OutOfMemory) -> TextError {
        TextError::OutOfMemory
    }
}

impl From<CalledOff> for TextError {
    fn from(_: CalledOff) -> TextError {
        TextError::CalledOff
    }
}

/// Whether strings inside are quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Plain,
    Quoted,
}

/// The text form: `print v`, `str(v)`.
pub fn text_of(heap: &Heap, value: &Value) -> Result<String, TextError> {
    let mut text = String::new();
    write_text(heap, &mut text, value)?;
    Ok(text)
}

/// The quoted form: `repr(v)`.
pub fn quoted_text(heap: &Heap, value: &Value) -> Result<String, TextError> {
    let mut text = String::new();
    write_quoted(heap, &mut text, value)?;
    Ok(text)
}

/// Appends the text form to `out`.
pub fn write_text(heap: &Heap, out: &mut String, value: &Value) -> Result<(), TextError> {
    Writer {
        heap,
        out,
        style: Style::Plain,
    }
    .write(value)
}

/// Appends the quoted form to `out`.
pub fn write_quoted(heap: &Heap, out: &mut String, value: &Value) -> Result<(), TextError> {
    Writer {
        heap,
        out,
        style: Style::Quoted,
    }
    .write(value)
}

/// What is still to be written, innermost last.
enum Pending {
    Text(&'static str),
    Value(Value),
    Name(String),
}

struct Writer<'a> {
    heap: &'a Heap,
    out: &'a mut String,
    style: Style,
}

impl Writer<'_> {
    fn write(mut self, value: &Value) -> Result<(), TextError> {
        let mut pending = Vec::new();
        self.write_one(value, &mut pending)?;
        while let Some(next) = pending.pop() {
            match next {
                Pending::Text(text) => self.push(text)?,
                Pending::Name(text) => self.push(&text)?,
                Pending::Value(value) => self.write_one(&value, &mut pending)?,
            }
        }
        Ok(())
    }

    /// Appends, checking first that the program may hold a text of that size.
    fn push(&mut self, text: &str) -> Result<(), TextError> {
        let needed = self.out.len() + text.len();
        if needed > self.out.capacity() {
            let wanted = needed.max(self.out.capacity() * 2);
            self.heap.charge(wanted)?;
            self.heap.credit(wanted);
            let more = wanted - self.out.len();
            self.out
                .try_reserve_exact(more)
                .map_err(|_| TextError::OutOfMemory)?;
        }
        self.out.push_str(text);
        Ok(())
    }

    fn push_formatted(&mut self, arguments: core::fmt::Arguments) -> Result<(), TextError> {
        let _ = self.out.write_fmt(arguments);
        Ok(())
    }

    fn write_one(&mut self, value: &Value, pending: &mut Vec<Pending>) -> Result<(), TextError> {
        match value {
            Value::Undefined => self.push("undefined"),
            Value::None => self.push("None"),
            Value::Bool(Truth::True) => self.push("True"),
            Value::Bool(Truth::False) => self.push("False"),
            Value::Int(number) => self.push_formatted(format_args!("{number}")),
            Value::Big(number) => {
                let digits = big::to_decimal(self.heap, number)?;
                self.push(&digits)
            }
            Value::Float(number) => {
                let _ = write_float(self.out, number.get());
                Ok(())
            }
            Value::Str(text) if self.style == Style::Plain => self.push(text.as_str()),
            Value::Str(text) => self.push(&quote(text.as_str())),
            Value::Bytes(bytes) => self.push(&quote_bytes(bytes.as_slice())),
            Value::List(list) => {
                self.push("[")?;
                pending.push(Pending::Text("]"));
                push_items(pending, list.iter());
                Ok(())
            }
            Value::Tuple(tuple) => {
                self.push("(")?;
                pending.push(Pending::Text(if tuple.len() == 1 { ",)" } else { ")" }));
                push_items(pending, tuple.iter());
                Ok(())
            }
            Value::Set(set) => {
                if set.is_empty() {
                    return self.push("set()");
                }
                self.push("{")?;
                pending.push(Pending::Text("}"));
                push_items(pending, set.iter());
                Ok(())
            }
            Value::Dict(dict) => {
                self.push("{")?;
                pending.push(Pending::Text("}"));
                let start = pending.len();
                for (key, value) in dict.iter().rev() {
                    if pending.len() > start {
                        pending.push(Pending::Text(", "));
                    }
                    pending.push(Pending::Value(value.clone()));
                    pending.push(Pending::Text(": "));
                    pending.push(Pending::Value(key.clone()));
                }
                Ok(())
            }
            Value::Instance(instance) => {
                if instance.has_method(Symbol::STR) || instance.has_method(Symbol::REPR) {
                    return Err(TextError::NeedsMethod);
                }
                if self.style == Style::Plain
                    && instance.with_class(Class::describes_errors)
                    && let Some(Value::Str(message)) = instance.field(Symbol::MESSAGE)
                {
                    if let Some(Value::Int(line @ 1..)) = instance.field(Symbol::LINE) {
                        self.push_formatted(format_args!("line {line}: "))?;
                    }
                    return self.push(message.as_str());
                }
                instance.with_class(|class| {
                    self.push_formatted(format_args!("<{} instance>", class.name()))
                })
            }
            _ => self.write_named(value, pending),
        }
    }

    fn write_named(&mut self, value: &Value, pending: &mut Vec<Pending>) -> Result<(), TextError> {
        match value {
            Value::Func(function) => {
                match function.owner_class().filter(|_| function.code.is_method()) {
                    Some(class) => self.push_formatted(format_args!(
                        "<function {}.{}>",
                        class.name(),
                        function.name()
                    )),
                    None => match &function.code.module_prefix {
                        Some(prefix) => self.push_formatted(format_args!(
                            "<function {prefix}.{}>",
                            function.name()
                        )),
                        None => self.push_formatted(format_args!("<function {}>", function.name())),
                    },
                }
            }
            Value::Native(function) => {
                self.push_formatted(format_args!("<builtin {}>", function.display))
            }
            Value::Bound(bound) => {
                let name = match &bound.function {
                    Value::Func(function) => String::from(function.name()),
                    _ => String::from("method"),
                };
                self.push("<bound method ")?;
                pending.push(Pending::Name(alloc::format!(".{name}>")));
                let owner = match &bound.receiver {
                    Value::Instance(instance) => String::from(instance.class().name()),
                    other => String::from(&*other.type_name()),
                };
                self.push(&owner)
            }
            Value::Class(class) => self.push_formatted(format_args!("<class {}>", class.name())),
            Value::Module(module) => match module.kind {
                ModuleKind::Native(native) => {
                    self.push_formatted(format_args!("<module {}>", native.name))
                }
                _ => self.push_formatted(format_args!("<module {}>", module.name)),
            },
            Value::Generator(generator) => {
                self.push_formatted(format_args!("<generator {}>", generator.name))
            }
            Value::Iter(_) => self.push("<iterator>"),
            Value::Ref(shared) => {
                self.push_formatted(format_args!("<ref {}>", shared.get().type_name()))
            }
            other => self.push_formatted(format_args!("<{}>", other.type_name())),
        }
    }
}

fn push_items<'a>(pending: &mut Vec<Pending>, items: impl DoubleEndedIterator<Item = &'a Value>) {
    let start = pending.len();
    for item in items.rev() {
        if pending.len() > start {
            pending.push(Pending::Text(", "));
        }
        pending.push(Pending::Value(item.clone()));
    }
}

/// A string as it would stand in a program.
fn quote(text: &str) -> String {
    let mark = if text.contains('"') && !text.contains('\'') {
        '\''
    } else {
        '"'
    };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\\' => quoted.push_str("\\\\"),
            c if c == mark => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if (c as u32) < 0x20 || c as u32 == 0x7F => {
                let _ = write!(quoted, "\\x{:02x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push(mark);
    quoted
}

fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("b'");
    for byte in bytes {
        match byte {
            b'\n' => quoted.push_str("\\n"),
            b'\t' => quoted.push_str("\\t"),
            b'\r' => quoted.push_str("\\r"),
            b'\\' => quoted.push_str("\\\\"),
            b'\'' => quoted.push_str("\\'"),
            0x20..=0x7E => quoted.push(char::from(*byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('\'');
    quoted
}
