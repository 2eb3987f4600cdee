//! `json`: texts as values and values as texts.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{expects, text};
use super::json::{self, JsonBuilder, MAX_DEPTH, ReadError, Scalar, push_string};
use super::table::native_module;
use crate::error::NativeError;
use crate::heap::Heap;
use crate::native::{NativeContext, NativeResult};
use crate::system::Family;
use crate::value::{DictObj, Value, big, float_text, parse_integer, text_of};

native_module! {
    "json", Family::Core;
    plain {}
    own {
        "parse" (1, 1) |cx, args| parse(cx, args, "parse");
        "loads" (1, 1) |cx, args| parse(cx, args, "loads");
        "stringify" (1, 2) |cx, args| stringify(cx, args, "stringify");
        "dumps" (1, 2) |cx, args| stringify(cx, args, "dumps");
    }
    constants {}
}

fn parse(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let source = text(args, 0, name, "a string")?.as_str();
    cx.charge(1 + source.len() / 4)?;
    let mut builder = Builder {
        heap: cx.heap(),
        open: Vec::new(),
        done: Value::None,
    };
    match json::read(source, &mut builder) {
        Ok(()) => Ok(builder.done),
        Err(ReadError::Builder(error)) => Err(error),
        Err(ReadError::Syntax(error)) => {
            Err(NativeError::value_error(format!("invalid JSON: {error}")))
        }
    }
}

enum Open {
    Array(Vec<Value>),
    Object(DictObj, Value),
}

struct Builder<'a> {
    heap: &'a Heap,
    open: Vec<Open>,
    done: Value,
}

impl Builder<'_> {
    fn add(&mut self, value: Value) -> Result<(), NativeError> {
        match self.open.last_mut() {
            None => self.done = value,
            Some(Open::Array(items)) => {
                self.heap.charge(size_of::<Value>())?;
                self.heap.credit(size_of::<Value>());
                items.push(value);
            }
            Some(Open::Object(dict, key)) => {
                super::arguments::insert_text_key(dict, core::mem::take(key), value)?;
            }
        }
        Ok(())
    }
}

impl JsonBuilder for Builder<'_> {
    type Error = NativeError;

    fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), NativeError> {
        let value = match scalar {
            Scalar::Null => Value::None,
            Scalar::Bool(truth) => Value::bool(truth),
            Scalar::Integer(digits) => {
                parse_integer(self.heap, digits).unwrap_or(Ok(Value::Int(0)))?
            }
            Scalar::Float(number) => Value::float(number),
            Scalar::String(text) => self.heap.owned_string(text)?,
        };
        self.add(value)
    }

    fn begin_array(&mut self) -> Result<(), NativeError> {
        self.open.push(Open::Array(Vec::new()));
        Ok(())
    }

    fn begin_object(&mut self) -> Result<(), NativeError> {
        self.open
            .push(Open::Object(DictObj::new(self.heap)?, Value::None));
        Ok(())
    }

    fn key(&mut self, key: String) -> Result<(), NativeError> {
        let key = self.heap.owned_string(key)?;
        if let Some(Open::Object(_, waiting)) = self.open.last_mut() {
            *waiting = key;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), NativeError> {
        let value = match self.open.pop() {
            Some(Open::Array(items)) => self.heap.list(items)?,
            Some(Open::Object(dict, _)) => self.heap.dict_value(dict),
            None => Value::None,
        };
        self.add(value)
    }
}

fn stringify(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let indent = super::arguments::optional_integer(args, 1, name, "an integer indentation")?;
    let indent = indent.map(|indent| indent.clamp(0, 32) as usize);
    let mut writer = Writer {
        out: String::new(),
        indent,
        name,
        frames: Vec::new(),
        charged: 0,
    };
    let written = writer.write(cx, &args[0]);
    cx.heap().credit(writer.charged);
    written?;
    Ok(cx.heap().owned_string(writer.out)?)
}

/// A container that is being written: what is left of it.
enum Frame {
    Items(Value, usize),
    Members(Rc<DictObj>, usize, bool),
}

struct Writer<'a> {
    out: String,
    indent: Option<usize>,
    name: &'a str,
    frames: Vec<Frame>,
    charged: usize,
}

impl Writer<'_> {
    fn write(&mut self, cx: &mut NativeContext<'_>, value: &Value) -> Result<(), NativeError> {
        self.one(cx, value)?;
        loop {
            cx.charge(1)?;
            self.account(cx)?;
            let next = match self.frames.last_mut() {
                None => return Ok(()),
                Some(Frame::Items(list, at)) => {
                    let item = items_of(list).get(*at).cloned();
                    *at += 1;
                    item.map(|item| (None, item, *at > 1))
                }
                Some(Frame::Members(dict, cursor, any)) => {
                    dict.entry_after(*cursor).map(|(next, key, value)| {
                        *cursor = next;
                        (
                            Some(key.clone()),
                            value.clone(),
                            core::mem::replace(any, true),
                        )
                    })
                }
            };
            match next {
                Some((key, item, follows)) => {
                    if follows {
                        self.out.push(',');
                    }
                    self.new_line();
                    if let Some(key) = key {
                        self.key(cx, &key)?;
                    }
                    self.one(cx, &item)?;
                }
                None => self.close(),
            }
        }
    }

    /// Keeps the account in step with the text that grows here.
    fn account(&mut self, cx: &NativeContext<'_>) -> Result<(), NativeError> {
        let capacity = self.out.capacity();
        if capacity > self.charged {
            cx.heap().charge(capacity - self.charged)?;
            self.charged = capacity;
        }
        Ok(())
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        let (bracket, is_empty) = match frame {
            Frame::Items(list, _) => (']', items_of(&list).is_empty()),
            Frame::Members(dict, ..) => ('}', dict.is_empty()),
        };
        if !is_empty {
            self.new_line();
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out
                .extend(core::iter::repeat_n(' ', indent * self.frames.len()));
        }
    }

    fn key(&mut self, cx: &NativeContext<'_>, key: &Value) -> Result<(), NativeError> {
        match key {
            Value::Str(text) => push_string(&mut self.out, text.as_str()),
            Value::None => self.out.push_str("\"null\""),
            Value::Bool(truth) => {
                self.out
                    .push_str(if truth.get() { "\"true\"" } else { "\"false\"" })
            }
            Value::Int(_) | Value::Big(_) | Value::Float(_) => {
                let text = text_of(cx.heap(), key)
                    .map_err(|_| expects(self.name, "keys that have a text"))?;
                push_string(&mut self.out, &text);
            }
            _ => return Err(expects(self.name, "dict keys that are strings or numbers")),
        }
        self.out
            .push_str(if self.indent.is_some() { ": " } else { ":" });
        Ok(())
    }

    fn one(&mut self, cx: &mut NativeContext<'_>, value: &Value) -> Result<(), NativeError> {
        match value {
            Value::None => self.out.push_str("null"),
            Value::Bool(truth) => self
                .out
                .push_str(if truth.get() { "true" } else { "false" }),
            Value::Int(number) => self.out.push_str(&format!("{number}")),
            Value::Big(number) => {
                cx.charge(number.bits() as usize / 64)?;
                self.out.push_str(&big::to_decimal(cx.heap(), number)?);
            }
            Value::Float(number) if number.get().is_finite() => {
                self.out.push_str(&float_text(number.get()))
            }
            Value::Float(_) => {
                return Err(NativeError::value_error("JSON has no form for nan and inf"));
            }
            Value::Str(text) => {
                cx.charge(text.as_str().len() / 16)?;
                push_string(&mut self.out, text.as_str());
            }
            Value::List(_) | Value::Tuple(_) => self.open('[', Frame::Items(value.clone(), 0))?,
            Value::Dict(dict) => self.open('{', Frame::Members(dict.clone(), 0, false))?,
            Value::Ref(shared) => return self.one(cx, &shared.get()),
            other => {
                return Err(NativeError::type_error(format!(
                    "JSON has no form for a value of type {}",
                    other.type_name()
                )));
            }
        }
        Ok(())
    }

    fn open(&mut self, bracket: char, frame: Frame) -> Result<(), NativeError> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(NativeError::value_error("too deeply nested for JSON"));
        }
        self.out.push(bracket);
        self.frames.push(frame);
        Ok(())
    }
}

fn items_of(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => list.as_slice(),
        Value::Tuple(tuple) => tuple.as_slice(),
        _ => &[],
    }
}
