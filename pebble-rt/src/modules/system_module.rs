//! The target interface (system document section 4.2): the modules `fs proc term clock net service`.
//!
//! Most functions pass plain data to one operation of the system and hand its answer back. Operations beside those that
//! `files` lists:
//!
//! | family | operation | arguments | answer |
//! |---|---|---|---|
//! | fs | `open` | name, mode (`r` `w` `a` `r+`) | descriptor |
//! | fs | `fd_read` | descriptor, most bytes or −1 for all | bytes, empty at the end |
//! | fs | `fd_read_line` | descriptor | text without its line feed, nothing at the end |
//! | fs | `fd_write` | descriptor, bytes | number written; PIPE |
//! | fs | `fd_seek` | descriptor, offset, whence 0 1 2 | position |
//! | fs | `fd_close`, `fd_stat` | descriptor | nothing; record `size path mode kind` |
//! | fs | `pipe` | | list of two descriptors: to read, to write |
//! | proc | `spawn` | record, see `proc` | process id |
//! | proc | `wait` | process id | record; waits |
//! | proc | `poll` | process id | record, nothing while it lives |
//! | proc | `kill` | process id, signal | record; NOENT |
//! | proc | `catch_interrupts` | | nothing; from now on Ctrl-C is only an error in the program |
//! | proc | `records`, `self` | | list of records; record |
//! | clock | `now` | | milliseconds since 1970 |
//! | clock | `sleep` | milliseconds | nothing; waits |
//! | net | `resolve` `connect` `listen` `accept` `send` `recv` `close` | | |
//! | service | `register` `lookup` `start` `stop` `status` `list` | | |

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{expects, integer, optional_integer, text};
use super::files::{Names, data_of, file_error, not_plain, resolve, text_of_bytes, value_of};
use crate::error::NativeError;
use crate::native::{NativeContext, NativeResult};
use crate::system::{Answer, Data, Family};
use crate::value::Value;

/// Passes all arguments as plain data and gives back what is answered.
fn pass(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    family: Family,
    operation: &'static str,
) -> NativeResult {
    let given = args.iter().filter(|value| !value.is_undefined());
    let arguments: Option<Vec<Data>> = given.map(data_of).collect();
    cx.ask(
        args,
        family,
        operation,
        arguments.ok_or_else(|| not_plain(operation))?,
        give_back,
    )
}

/// The answer as a value.
pub(super) fn give_back(
    cx: &mut NativeContext<'_>,
    _: &mut [Value],
    answer: Answer,
) -> NativeResult {
    value_of(cx, answer?)
}

/// Passes argument 0 as a resolved path; errors name the file.
fn with_path(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    operation: &'static str,
) -> NativeResult {
    let resolved = resolve(cx, args, 0, name, Names::Paths)?;
    cx.ask(
        args,
        Family::Fs,
        operation,
        vec![Data::Text(resolved)],
        |cx, args, answer| {
            let answer = answer.map_err(|error| file_error(args, error))?;
            value_of(cx, answer)
        },
    )
}

/// `fs`.
pub mod fs {
    use super::super::table::native_module;
    use super::*;

    native_module! {
        "fs", Family::Fs;
        plain {}
        own {
            "open" (1, 2) open;
            "read" (1, 2) read;
            "read_bytes" (1, 2) read_bytes;
            "read_line" (1, 1) |cx, args| pass(cx, args, Family::Fs, "fd_read_line");
            "write" (2, 2) write;
            "seek" (2, 3) |cx, args| pass(cx, args, Family::Fs, "fd_seek");
            "close" (1, 1) |cx, args| pass(cx, args, Family::Fs, "fd_close");
            "stat" (1, 1) stat;
            "readdir" (1, 1) read_directory;
            "entries" (1, 1) |cx, args| with_path(cx, args, "entries", "entries");
            "mkdir" (1, 1) |cx, args| with_path(cx, args, "mkdir", "mkdir");
            "rmdir" (1, 1) |cx, args| with_path(cx, args, "rmdir", "rmdir");
            "unlink" (1, 1) |cx, args| with_path(cx, args, "unlink", "remove");
            "rename" (2, 2) rename;
            "append" (2, 2) append;
            "touch" (1, 1) |cx, args| with_path(cx, args, "touch", "touch");
            "mount" (2, 3) |cx, args| pass(cx, args, Family::Fs, "mount");
            "umount" (1, 1) |cx, args| pass(cx, args, Family::Fs, "umount");
            "sync" (0, 0) |cx, args| pass(cx, args, Family::Fs, "sync");
            "pipe" (0, 0) |cx, args| pass(cx, args, Family::Fs, "pipe");
        }
        constants {}
    }

    fn open(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let mode = match args.get(1) {
            Some(Value::Str(mode)) => String::from(mode.as_str()),
            None | Some(Value::Undefined) => String::from("r"),
            Some(_) => return Err(expects("open", "a string path and a string mode")),
        };
        if !matches!(mode.as_str(), "r" | "w" | "a" | "r+") {
            return Err(NativeError::value_error(format!(
                "unsupported fd mode '{mode}'"
            )));
        }
        let resolved = resolve(cx, args, 0, "open", Names::Paths)?;
        cx.ask(
            args,
            Family::Fs,
            "open",
            vec![Data::Text(resolved), Data::Text(mode)],
            |cx, args, answer| {
                let answer = answer.map_err(|error| file_error(args, error))?;
                value_of(cx, answer)
            },
        )
    }

    fn read_arguments(args: &[Value], name: &str) -> Result<Vec<Data>, NativeError> {
        let descriptor = integer(args, 0, name, "a descriptor")?;
        let most = optional_integer(args, 1, name, "a descriptor and a count")?.unwrap_or(-1);
        Ok(vec![Data::Number(descriptor), Data::Number(most)])
    }

    fn read(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let arguments = read_arguments(args, "read")?;
        cx.ask(
            args,
            Family::Fs,
            "fd_read",
            arguments,
            |cx, args, answer| match answer? {
                Data::Bytes(bytes) => text_of_bytes(cx, args, bytes),
                other => value_of(cx, other),
            },
        )
    }

    fn read_bytes(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let arguments = read_arguments(args, "read_bytes")?;
        cx.ask(args, Family::Fs, "fd_read", arguments, give_back)
    }

    fn write(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let descriptor = integer(args, 0, "write", "a descriptor and a text")?;
        let bytes = match &args[1] {
            Value::Str(text) => text.as_str().as_bytes().to_vec(),
            Value::Bytes(bytes) => bytes.as_slice().to_vec(),
            _ => return Err(expects("write", "a descriptor and a text")),
        };
        cx.charge(1 + bytes.len() / 64)?;
        cx.ask(
            args,
            Family::Fs,
            "fd_write",
            vec![Data::Number(descriptor), Data::Bytes(bytes)],
            give_back,
        )
    }

    fn stat(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        match &args[0] {
            Value::Int(_) => pass(cx, args, Family::Fs, "fd_stat"),
            _ => with_path(cx, args, "stat", "stat"),
        }
    }

    fn read_directory(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let resolved = resolve(cx, args, 0, "readdir", Names::Paths)?;
        cx.ask(
            args,
            Family::Fs,
            "entries",
            vec![Data::Text(resolved)],
            |cx, args, answer| {
                let entries =
                    answer.map_err(|error| super::super::files::directory_error(args, error))?;
                let Data::List(entries) = entries else {
                    return value_of(cx, Data::List(Vec::new()));
                };
                let names = entries
                    .iter()
                    .filter_map(|entry| super::super::files::field(entry, "name").cloned());
                value_of(cx, Data::List(names.collect()))
            },
        )
    }

    fn rename(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let from = resolve(cx, args, 0, "rename", Names::Paths)?;
        let to = resolve(cx, args, 1, "rename", Names::Paths)?;
        cx.ask(
            args,
            Family::Fs,
            "rename",
            vec![Data::Text(from), Data::Text(to)],
            |cx, args, answer| {
                let answer = answer.map_err(|error| file_error(args, error))?;
                value_of(cx, answer)
            },
        )
    }

    fn append(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let content = text(args, 1, "append", "a string path and a string")?
            .as_str()
            .as_bytes()
            .to_vec();
        let resolved = resolve(cx, args, 0, "append", Names::Paths)?;
        cx.ask(
            args,
            Family::Fs,
            "append",
            vec![Data::Text(resolved), Data::Bytes(content)],
            |cx, args, answer| {
                let answer = answer.map_err(|error| file_error(args, error))?;
                value_of(cx, answer)
            },
        )
    }
}

/// `proc`.
pub mod proc {
    use super::super::table::native_module;
    use super::*;

    native_module! {
        "proc", Family::Proc;
        plain {}
        own {
            "spawn" (1, 3) spawn;
            "wait" (1, 1) |cx, args| pass(cx, args, Family::Proc, "wait");
            "poll" (1, 1) |cx, args| pass(cx, args, Family::Proc, "poll");
            "kill" (1, 2) kill;
            "signal" (2, 2) |cx, args| pass(cx, args, Family::Proc, "kill");
            "ps" (0, 0) |cx, args| pass(cx, args, Family::Proc, "records");
            "getpid" (0, 0) own_id;
            "self" (0, 0) |cx, args| pass(cx, args, Family::Proc, "self");
            "setpgid" (2, 2) |cx, args| pass(cx, args, Family::Proc, "setpgid");
            "foreground" (1, 1) |cx, args| pass(cx, args, Family::Proc, "set_foreground");
            "catch_interrupts" (0, 0) |cx, args| pass(cx, args, Family::Proc, "catch_interrupts");
        }
        constants {}
    }

    /// `spawn(program, argv, options)`: options are `stdin stdout stderr` (descriptors of the caller's), `env`, `cwd`,
    /// `background`.
    fn spawn(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let program = resolve(cx, args, 0, "spawn", Names::Paths)?;
        let arguments = match args.get(1) {
            None | Some(Value::Undefined | Value::None) => Data::List(Vec::new()),
            Some(value @ (Value::List(_) | Value::Tuple(_))) => {
                data_of(value).ok_or_else(|| not_plain("spawn"))?
            }
            Some(_) => return Err(expects("spawn", "a program and a list of arguments")),
        };
        let options = match args.get(2) {
            None | Some(Value::Undefined | Value::None) => Data::Record(Vec::new()),
            Some(value @ Value::Dict(_)) => data_of(value).ok_or_else(|| not_plain("spawn"))?,
            Some(_) => return Err(expects("spawn", "a dict of options")),
        };
        cx.ask(
            args,
            Family::Proc,
            "spawn",
            vec![Data::Text(program), arguments, options],
            |cx, args, answer| {
                let answer = answer.map_err(|error| file_error(args, error))?;
                value_of(cx, answer)
            },
        )
    }

    fn kill(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let process = integer(args, 0, "kill", "a process id")?;
        let signal = optional_integer(args, 1, "kill", "a process id and a signal")?.unwrap_or(15);
        cx.ask(
            args,
            Family::Proc,
            "kill",
            vec![Data::Number(process), Data::Number(signal)],
            give_back,
        )
    }

    fn own_id(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        cx.ask(args, Family::Proc, "self", Vec::new(), |cx, _, answer| {
            let answer = answer?;
            match super::super::files::field(&answer, "pid") {
                Some(id) => value_of(cx, id.clone()),
                None => Ok(Value::Int(0)),
            }
        })
    }
}

/// `clock`.
pub mod clock {
    use super::super::table::native_module;
    use super::*;

    native_module! {
        "clock", Family::Clock;
        plain {
            "text" as "current_time" (0, 0) current_time;
            "sleep" as "sleep" (1, 1) sleep;
        }
        own {
            "now" (0, 0) now;
            "monotonic" (0, 0) |cx, _| Ok(Value::float(cx.monotonic_ms() as f64 / 1000.0));
        }
        constants {}
    }

    fn current_time(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        cx.ask(
            args,
            Family::Clock,
            "now",
            Vec::new(),
            |cx, _, answer| match answer? {
                Data::Number(milliseconds) => super::super::files::time_text(cx, milliseconds),
                _ => super::super::files::time_text(cx, 0),
            },
        )
    }

    fn now(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        cx.ask(
            args,
            Family::Clock,
            "now",
            Vec::new(),
            |_, _, answer| match answer? {
                Data::Number(milliseconds) => Ok(Value::float(milliseconds as f64 / 1000.0)),
                _ => Ok(Value::float(0.0)),
            },
        )
    }

    fn sleep(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let milliseconds = match &args[0] {
            Value::Float(milliseconds) => milliseconds.get() as i64,
            _ => integer(args, 0, "sleep", "milliseconds")?,
        };
        if milliseconds < 0 {
            return Err(expects("sleep", "milliseconds that are not negative"));
        }
        cx.ask(
            args,
            Family::Clock,
            "sleep",
            vec![Data::Number(milliseconds)],
            |_, _, answer| {
                answer?;
                Ok(Value::Int(0))
            },
        )
    }
}

/// `net`.
pub mod net {
    use super::super::table::native_module;
    use super::*;

    native_module! {
        "net", Family::Net;
        plain {
            "lookup" as "net_lookup_host" (1, 1) lookup;
            "tcp_probe" as "net_tcp_probe" (3, 3) probe;
            "http_get" as "net_http_get" (2, 2) http_get;
            "ai_chat" as "ai_chat_complete" (7, 7) |cx, args| pass(cx, args, Family::Net, "ai_chat");
        }
        own {
            "resolve" (1, 1) |cx, args| pass(cx, args, Family::Net, "resolve");
            "socket" (0, 1) |cx, args| pass(cx, args, Family::Net, "socket");
            "connect" (2, 3) |cx, args| pass(cx, args, Family::Net, "connect");
            "listen" (1, 2) |cx, args| pass(cx, args, Family::Net, "listen");
            "accept" (1, 1) |cx, args| pass(cx, args, Family::Net, "accept");
            "send" (2, 2) send;
            "recv" (1, 2) |cx, args| pass(cx, args, Family::Net, "recv");
            "close" (1, 1) |cx, args| pass(cx, args, Family::Net, "close");
        }
        constants {}
    }

    fn lookup(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        text(args, 0, "net_lookup_host", "a string host")?;
        pass(cx, args, Family::Net, "lookup")
    }

    fn probe(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let what = "a string host, a port and milliseconds";
        text(args, 0, "net_tcp_probe", what)?;
        integer(args, 1, "net_tcp_probe", what)?;
        integer(args, 2, "net_tcp_probe", what)?;
        pass(cx, args, Family::Net, "tcp_probe")
    }

    fn http_get(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        text(args, 0, "net_http_get", "a string URL and milliseconds")?;
        integer(args, 1, "net_http_get", "a string URL and milliseconds")?;
        pass(cx, args, Family::Net, "http_get")
    }

    fn send(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
        let socket = integer(args, 0, "send", "a socket and a text")?;
        let bytes = match &args[1] {
            Value::Str(text) => text.as_str().as_bytes().to_vec(),
            Value::Bytes(bytes) => bytes.as_slice().to_vec(),
            _ => return Err(expects("send", "a socket and a text")),
        };
        cx.ask(
            args,
            Family::Net,
            "send",
            vec![Data::Number(socket), Data::Bytes(bytes)],
            give_back,
        )
    }
}

/// `service`.
pub mod service {
    use super::super::table::native_module;
    use super::*;

    native_module! {
        "service", Family::Service;
        plain {}
        own {
            "register" (1, 2) |cx, args| pass(cx, args, Family::Service, "register");
            "lookup" (1, 1) |cx, args| pass(cx, args, Family::Service, "lookup");
            "start" (1, 1) |cx, args| pass(cx, args, Family::Service, "start");
            "stop" (1, 1) |cx, args| pass(cx, args, Family::Service, "stop");
            "restart" (1, 1) |cx, args| pass(cx, args, Family::Service, "restart");
            "status" (0, 1) |cx, args| pass(cx, args, Family::Service, "status");
            "log" (0, 1) |cx, args| pass(cx, args, Family::Service, "log");
            "call" (2, 3) |cx, args| pass(cx, args, Family::Service, "call");
        }
        constants {}
    }
}
