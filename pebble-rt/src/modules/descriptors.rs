//! Descriptors as programs of the original system know them (system document section 4.3), and the standard streams.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{integer, text};
use super::files::{Names, errno, resolve, text_of_bytes, value_of};
use crate::error::NativeError;
use crate::native::{BlockReason, NativeContext, NativeFunction, NativeResult};
use crate::system::{Answer, Data, Family, Started};
use crate::value::Value;

macro_rules! descriptor_functions {
    ($($name:literal ($least:expr, $most:expr) $body:expr;)*) => {
        &[$(NativeFunction::new($name, $least, $most, $body).of(Family::Fs),)*]
    };
}

/// The plain functions that need the file system.
pub static PLAIN: &[NativeFunction] = descriptor_functions! {
    "fd_open" (2, 2) |cx, args| open(cx, args, "fd_open");
    "fd_read" (1, 1) |cx, args| read(cx, args, "fd_read");
    "fd_write" (2, 2) |cx, args| write(cx, args, "fd_write");
    "fd_close" (1, 1) |cx, args| close(cx, args, "fd_close");
    "fd_stat" (1, 1) |cx, args| stat(cx, args, "fd_stat");
    "fd_readdir" (1, 1) |cx, args| read_directory(cx, args, "fd_readdir");
    "sys_fd_open" (2, 2) |cx, args| open(cx, args, "sys_fd_open");
    "sys_fd_read" (1, 1) |cx, args| read(cx, args, "sys_fd_read");
    "sys_fd_write" (2, 2) |cx, args| write(cx, args, "sys_fd_write");
    "sys_fd_close" (1, 1) |cx, args| close(cx, args, "sys_fd_close");
    "sys_fd_stat" (1, 1) |cx, args| stat(cx, args, "sys_fd_stat");
    "sys_fd_readdir" (1, 1) |cx, args| read_directory(cx, args, "sys_fd_readdir");
    "open_device" (2, 2) |cx, args| open(cx, args, "open_device");
    "stdout_device_fd" (0, 0) |cx, args| open_known(cx, args, "/dev/stdout", "w");
    "stderr_device_fd" (0, 0) |cx, args| open_known(cx, args, "/dev/stderr", "w");
    "null_device_fd" (0, 0) |cx, args| open_known(cx, args, "/dev/null", "w");
    "tty_device_fd" (1, 1) open_terminal;
    "device_write" (2, 2) device_write;
};

/// The standard streams, which every program has.
pub static STREAMS: &[NativeFunction] = &[
    NativeFunction::new("stdout_write", 1, 1, |cx, args| {
        write_stream(cx, args, "stdout_write", Target::Output, "")
    }),
    NativeFunction::new("stdout_write_line", 1, 1, |cx, args| {
        write_stream(cx, args, "stdout_write_line", Target::Output, "\n")
    }),
    NativeFunction::new("stderr_write", 1, 1, |cx, args| {
        write_stream(cx, args, "stderr_write", Target::Error, "")
    }),
    NativeFunction::new("stderr_write_line", 1, 1, |cx, args| {
        write_stream(cx, args, "stderr_write_line", Target::Error, "\n")
    }),
    NativeFunction::new("stdin_read", 0, 0, read_all_input),
    NativeFunction::new("stdin_read_line", 0, 0, read_input_line),
    NativeFunction::new("capture_text", 0, 0, capture_text),
];

/// The nodes of `/dev`, and which modes each takes.
const DEVICES: [(&str, &str); 6] = [
    ("dev", "r"),
    ("dev/null", "rwa"),
    ("dev/stderr", "wa"),
    ("dev/stdin", "r"),
    ("dev/stdout", "wa"),
    ("dev/tty", "rwa"),
];

/// What the program has opened.
#[derive(Debug, Default)]
struct Table {
    open: Vec<(i64, Open)>,
    last: i64,
}

#[derive(Debug, Clone)]
struct Open {
    name: String,
    mode: String,
    is_device: bool,
}

impl Table {
    fn add(&mut self, open: Open) -> i64 {
        self.last = self.last.max(2) + 1;
        self.open.push((self.last, open));
        self.last
    }

    fn get(&mut self, descriptor: i64) -> Result<&mut Open, NativeError> {
        let found = self.open.iter_mut().find(|(known, _)| *known == descriptor);
        found
            .map(|(_, open)| open)
            .ok_or_else(|| NativeError::system(format!("fd {descriptor} is not open")))
    }
}

/// The most descriptors of one program.
const MAX_OPEN: usize = 1024;

fn open(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let what = "a string path and a string mode";
    let mode = String::from(text(args, 1, name, what)?.as_str());
    text(args, 0, name, what)?;
    let resolved = resolve(cx, args, 0, name, Names::Paths)?;
    if !matches!(mode.as_str(), "r" | "w" | "a") {
        return Err(NativeError::value_error(format!(
            "unsupported fd mode '{mode}'"
        )));
    }
    if cx.state::<Table>().open.len() >= MAX_OPEN {
        return Err(NativeError::system("too many open files"));
    }
    if let Some((_, modes)) = DEVICES.iter().find(|(device, _)| *device == resolved) {
        if !modes.contains(mode.as_str()) {
            return Err(NativeError::value_error(format!(
                "unsupported mode '{mode}' for device '/{resolved}'"
            )));
        }
        let open = Open {
            name: resolved,
            mode,
            is_device: true,
        };
        return Ok(Value::Int(cx.state::<Table>().add(open)));
    }
    args[1] = cx.heap().string(&mode)?;
    args[0] = cx.heap().string(&resolved)?;
    match mode.as_str() {
        "r" => cx.ask(args, Family::Fs, "stat", vec![Data::Text(resolved)], opened),
        "w" => {
            let arguments = vec![Data::Text(resolved), Data::Bytes(Vec::new())];
            cx.ask(args, Family::Fs, "write", arguments, opened)
        }
        _ => {
            let arguments = vec![Data::Text(resolved), Data::Bytes(Vec::new())];
            cx.ask(args, Family::Fs, "append", arguments, opened)
        }
    }
}

fn opened(cx: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    let name = String::from(args[0].as_str().unwrap_or(""));
    let mode = String::from(args[1].as_str().unwrap_or("r"));
    answer.map_err(|error| match error.errno {
        errno::NOENT | errno::NOTDIR => {
            NativeError::system(format!("[Errno 2] No such file or directory: '/{name}'"))
        }
        errno::ISDIR => NativeError::system(format!("'{name}' is a directory")),
        _ => NativeError::from(error),
    })?;
    let open = Open {
        name,
        mode,
        is_device: false,
    };
    Ok(Value::Int(cx.state::<Table>().add(open)))
}

fn open_known(cx: &mut NativeContext<'_>, _: &mut [Value], path: &str, mode: &str) -> NativeResult {
    let mut arguments = [cx.heap().string(path)?, cx.heap().string(mode)?];
    open(cx, &mut arguments, "open_device")
}

fn open_terminal(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mode = String::from(text(args, 0, "tty_device_fd", "a string mode")?.as_str());
    open_known(cx, args, "/dev/tty", &mode)
}

fn descriptor(args: &[Value], name: &str) -> Result<i64, NativeError> {
    integer(args, 0, name, "an integer descriptor")
}

/// One of the standard streams, or something that was opened.
fn look_up(cx: &mut NativeContext<'_>, number: i64) -> Result<Open, NativeError> {
    let standard = |name: &str, mode: &str| Open {
        name: String::from(name),
        mode: String::from(mode),
        is_device: true,
    };
    match number {
        0 => Ok(standard("dev/stdin", "r")),
        1 => Ok(standard("dev/stdout", "w")),
        2 => Ok(standard("dev/stderr", "w")),
        _ => cx.state::<Table>().get(number).cloned(),
    }
}

/// The whole file, however often it is read; a line from a terminal or the standard input.
fn read(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let number = descriptor(args, name)?;
    let open = look_up(cx, number)?;
    if open.is_device {
        return match open.name.as_str() {
            "dev/stdin" | "dev/tty" => input_line(cx, args, |cx, _, answer| match answer? {
                Data::Text(line) => Ok(cx.heap().owned_string(line)?),
                _ => Ok(cx.heap().string("")?),
            }),
            "dev" => Err(NativeError::system("'dev' is a directory")),
            _ => Ok(cx.heap().string("")?),
        };
    }
    if open.mode != "r" {
        return Err(NativeError::system(format!(
            "fd {number} is not open for reading"
        )));
    }
    args[0] = cx.heap().string(&open.name)?;
    cx.ask(
        args,
        Family::Fs,
        "read",
        vec![Data::Text(open.name)],
        |cx, args, answer| match answer {
            Ok(Data::Bytes(bytes)) => text_of_bytes(cx, args, bytes),
            Ok(_) => Ok(cx.heap().string("")?),
            Err(error) => Err(super::files::file_error(args, error)),
        },
    )
}

fn write(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let what = "an integer descriptor and a string";
    let number = descriptor(args, name)?;
    let content = String::from(text(args, 1, name, what)?.as_str());
    let open = look_up(cx, number)?;
    if open.mode == "r" {
        return Err(NativeError::system(format!(
            "fd {number} is not open for writing"
        )));
    }
    let length = super::arguments::count(content.chars().count());
    if open.is_device {
        match open.name.as_str() {
            "dev/stdout" | "dev/tty" => cx.write_out(&content)?,
            "dev/stderr" => cx.write_error(&content)?,
            _ => {}
        }
        return Ok(length);
    }
    cx.charge(1 + content.len() / 64)?;
    cx.ask(
        args,
        Family::Fs,
        "append",
        vec![Data::Text(open.name), Data::Bytes(content.into_bytes())],
        |_, args, answer| {
            answer?;
            Ok(super::arguments::count(
                args[1].as_str().map_or(0, |text| text.chars().count()),
            ))
        },
    )
}

fn close(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let number = descriptor(args, name)?;
    let table = cx.state::<Table>();
    table.get(number)?;
    table.open.retain(|(known, _)| *known != number);
    Ok(Value::Int(0))
}

fn stat(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let number = descriptor(args, name)?;
    let open = look_up(cx, number)?;
    if open.is_device {
        return described(cx, &open, 0, "device");
    }
    cx.ask(
        args,
        Family::Fs,
        "stat",
        vec![Data::Text(open.name)],
        |cx, args, answer| {
            let size = match answer
                .ok()
                .as_ref()
                .and_then(|data| super::files::field(data, "size"))
            {
                Some(Data::Number(size)) => *size,
                _ => 0,
            };
            let number = descriptor(args, "fd_stat")?;
            let open = look_up(cx, number)?;
            described(cx, &open, size, "file")
        },
    )
}

fn described(cx: &mut NativeContext<'_>, open: &Open, size: i64, kind: &str) -> NativeResult {
    let path = cx.heap().owned_string(format!("/{}", open.name))?;
    let mode = cx.heap().string(&open.mode)?;
    let kind = cx.heap().string(kind)?;
    let fields = vec![
        ("size", Value::Int(size)),
        ("path", path),
        ("mode", mode),
        ("kind", kind),
    ];
    Ok(super::arguments::record(cx.heap(), fields)?)
}

fn read_directory(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let number = descriptor(args, name)?;
    let open = look_up(cx, number)?;
    if open.name == "dev" {
        let names = ["null", "stderr", "stdin", "stdout", "tty"];
        return Ok(super::arguments::string_list(cx.heap(), names.into_iter())?);
    }
    if open.is_device {
        return Err(NativeError::system(format!(
            "fd {number} is not a directory"
        )));
    }
    cx.ask(
        args,
        Family::Fs,
        "entries",
        vec![Data::Text(open.name)],
        |cx, args, answer| {
            let number = descriptor(args, "fd_readdir")?;
            let Ok(Data::List(entries)) = answer else {
                return Err(NativeError::system(format!(
                    "fd {number} is not a directory"
                )));
            };
            let names = entries
                .iter()
                .filter_map(|entry| super::files::field(entry, "name").cloned());
            value_of(cx, Data::List(names.collect()))
        },
    )
}

/// `device_write(path, text)`: opens, writes and closes.
fn device_write(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let content = text(args, 1, "device_write", "a string path and a string")?.as_str();
    let content = String::from(content);
    let resolved = resolve(cx, args, 0, "device_write", Names::Paths)?;
    match resolved.as_str() {
        "dev/stdout" | "dev/tty" => cx.write_out(&content)?,
        "dev/stderr" => cx.write_error(&content)?,
        "dev/null" => {}
        _ => {
            return Err(NativeError::value_error(format!(
                "unsupported mode 'w' for device '/{resolved}'"
            )));
        }
    }
    Ok(super::arguments::count(content.chars().count()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Output,
    Error,
}

fn write_stream(
    cx: &mut NativeContext<'_>,
    args: &[Value],
    name: &str,
    target: Target,
    end: &str,
) -> NativeResult {
    let content = text(args, 0, name, "a string")?;
    let length = super::arguments::count(content.char_count() + end.len());
    let mut line = String::from(content.as_str());
    line.push_str(end);
    match target {
        Target::Output => cx.write_out(&line)?,
        Target::Error => cx.write_error(&line)?,
    }
    Ok(length)
}

fn input_line(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    resume: crate::native::Resume,
) -> NativeResult {
    match cx.start_input("") {
        Started::Ready(answer) => resume(cx, args, answer),
        Started::Pending(token) => Err(cx.block(token, BlockReason::Input, resume)),
    }
}

/// A line without its end; `None` when there is no more.
fn read_input_line(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    input_line(cx, args, |cx, _, answer| value_of(cx, answer?))
}

/// What `stdin_read` and `capture_text` have collected while they wait for more.
#[derive(Debug, Default)]
struct Collected(String);

/// Everything up to the end of the input; blank lines are content.
fn read_all_input(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    collect_input(cx, args, "", |cx, args, answer| {
        collected(cx, args, answer, all_input_line)
    })
}

fn all_input_line(cx: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    collected(cx, args, answer, all_input_line)
}

fn collect_input(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    prompt: &str,
    resume: crate::native::Resume,
) -> NativeResult {
    match cx.start_input(prompt) {
        Started::Ready(answer) => resume(cx, args, answer),
        Started::Pending(token) => Err(cx.block(token, BlockReason::Input, resume)),
    }
}

/// Adds one line and the lines that are there already, until the end or until there is nothing to read yet.
fn collected(
    cx: &mut NativeContext<'_>,
    _: &mut [Value],
    answer: Answer,
    resume: crate::native::Resume,
) -> NativeResult {
    let mut answer = answer;
    loop {
        let line = match answer? {
            Data::Text(line) => line,
            _ => {
                let text = core::mem::take(&mut cx.state::<Collected>().0);
                cx.heap().credit(text.capacity());
                return Ok(cx.heap().owned_string(text)?);
            }
        };
        keep_line(cx, &line)?;
        match cx.start_input("") {
            Started::Ready(next) => answer = next,
            Started::Pending(token) => return Err(cx.block(token, BlockReason::Input, resume)),
        }
    }
}

fn keep_line(cx: &mut NativeContext<'_>, line: &str) -> Result<(), NativeError> {
    cx.charge(1 + line.len() / 16)?;
    let kept = &mut cx.state::<Collected>().0;
    let before = kept.capacity();
    kept.push_str(line);
    kept.push('\n');
    let grown = kept.capacity() - before;
    if let Err(error) = cx.heap().charge(grown) {
        cx.heap().credit(before);
        cx.state::<Collected>().0 = String::new();
        return Err(error.into());
    }
    Ok(())
}

/// Lines after the prompt `... ` until one that is a lone dot; joined by line feeds.
fn capture_text(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    collect_input(cx, args, "... ", captured_line)
}

fn captured_line(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    let mut answer = answer;
    loop {
        match answer? {
            Data::Text(line) if line != "." => keep_line(cx, &line)?,
            _ => {
                let mut text = core::mem::take(&mut cx.state::<Collected>().0);
                cx.heap().credit(text.capacity());
                text.pop();
                return Ok(cx.heap().owned_string(text)?);
            }
        }
        match cx.start_input("... ") {
            Started::Ready(next) => answer = next,
            Started::Pending(token) => {
                return Err(cx.block(token, BlockReason::Input, captured_line));
            }
        }
    }
}
