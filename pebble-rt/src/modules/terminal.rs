//! The terminal (system document sections 2, 4.1 and 9).
//!
//! | operation | arguments | answer |
//! |---|---|---|
//! | `size` | | list of two numbers: rows, columns |
//! | `read_key` | milliseconds, or −1 to wait for good | the key's name, empty when the time is up; waits |
//! | `state` | | record `owner_pgid mode interactive foreground_raw rows cols` |
//! | `set_mode` | `raw` or `cooked` | nothing |
//! | `flush` | | nothing |

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{expects, integer, text};
use super::files::{field, value_of};
use super::table::native_module;
use crate::error::NativeError;
use crate::native::{BlockReason, NativeContext, NativeFunction, NativeResult};
use crate::system::{Answer, Data, Family, Request, Started};
use crate::value::Value;

native_module! {
    "term", Family::Term;
    plain {
        "write" as "term_write" (1, 1) |cx, args| write(cx, args, "term_write", "");
        "flush" as "term_flush" (0, 0) flush;
        "clear" as "term_clear" (0, 0) clear;
        "move" as "term_move" (2, 2) |cx, args| move_cursor(cx, args, "term_move");
        "hide_cursor" as "term_hide_cursor" (0, 0) hide_cursor;
        "show_cursor" as "term_show_cursor" (0, 0) show_cursor;
        "read_key" as "term_read_key" (0, 0) read_key;
        "read_key_timeout" as "term_read_key_timeout" (1, 1) read_key_timeout;
        "rows" as "term_rows" (0, 0) |cx, args| state_field(cx, args, rows_of);
        "cols" as "term_cols" (0, 0) |cx, args| state_field(cx, args, columns_of);
        "owner_pgid" as "term_owner_pgid" (0, 0) |cx, args| state_field(cx, args, owner_of);
        "mode" as "term_mode" (0, 0) |cx, args| state_field(cx, args, mode_of);
        "state" as "term_state" (0, 0) state;
    }
    own {
        "set_mode" (1, 1) set_mode;
    }
    constants {}
}

macro_rules! terminal_functions {
    ($($name:literal ($least:expr, $most:expr) $body:expr;)*) => {
        &[$(NativeFunction::new($name, $least, $most, $body).of(Family::Term),)*]
    };
}

/// The names of the runtime (section 2).
pub static PLAIN: &[NativeFunction] = terminal_functions! {
    "screen_rows" (0, 0) |cx, args| state_field(cx, args, rows_of);
    "screen_cols" (0, 0) |cx, args| state_field(cx, args, columns_of);
    "clear_screen" (0, 0) clear;
    "move_cursor" (2, 2) |cx, args| move_cursor(cx, args, "move_cursor");
    "hide_cursor" (0, 0) hide_cursor;
    "show_cursor" (0, 0) show_cursor;
    "flush_screen" (0, 0) flush;
    "draw_text" (1, 1) |cx, args| write(cx, args, "draw_text", "");
    "term_write_line" (1, 1) |cx, args| write(cx, args, "term_write_line", "\r\n");
    "read_key" (0, 0) read_key;
    "read_key_timeout" (1, 1) read_key_timeout;
    "tty_owner_pgid" (0, 0) |cx, args| state_field(cx, args, owner_of);
    "tty_mode" (0, 0) |cx, args| state_field(cx, args, mode_of);
    "tty_state" (0, 0) state;
};

fn write(cx: &mut NativeContext<'_>, args: &[Value], name: &str, end: &str) -> NativeResult {
    let content = text(args, 0, name, "a string")?.as_str();
    if end.is_empty() {
        cx.write_out(content)?;
    } else {
        let mut line = String::from(content);
        line.push_str(end);
        cx.write_out(&line)?;
    }
    Ok(Value::Int(0))
}

fn control(cx: &mut NativeContext<'_>, sequence: &str) -> NativeResult {
    cx.write_out(sequence)?;
    Ok(Value::Int(0))
}

fn clear(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    control(cx, "\x1b[2J\x1b[H")
}

fn hide_cursor(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    control(cx, "\x1b[?25l")
}

fn show_cursor(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    control(cx, "\x1b[?25h")
}

fn move_cursor(cx: &mut NativeContext<'_>, args: &[Value], name: &str) -> NativeResult {
    let row = integer(args, 0, name, "two integers")?;
    let column = integer(args, 1, name, "two integers")?;
    control(cx, &format!("\x1b[{row};{column}H"))
}

fn flush(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    cx.ask(args, Family::Term, "flush", Vec::new(), |_, _, answer| {
        answer?;
        Ok(Value::Int(0))
    })
}

fn state(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    cx.ask(args, Family::Term, "state", Vec::new(), |cx, _, answer| {
        value_of(cx, answer?)
    })
}

fn state_field(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    resume: crate::native::Resume,
) -> NativeResult {
    cx.ask(args, Family::Term, "state", Vec::new(), resume)
}

fn picked(cx: &mut NativeContext<'_>, answer: Answer, name: &str) -> NativeResult {
    let state = answer?;
    value_of(cx, field(&state, name).cloned().unwrap_or_default())
}

fn rows_of(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    picked(cx, answer, "rows")
}

fn columns_of(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    picked(cx, answer, "cols")
}

fn owner_of(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    picked(cx, answer, "owner_pgid")
}

fn mode_of(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    picked(cx, answer, "mode")
}

fn set_mode(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mode = text(args, 0, "set_mode", "\"raw\" or \"cooked\"")?.as_str();
    if mode != "raw" && mode != "cooked" {
        return Err(expects("set_mode", "\"raw\" or \"cooked\""));
    }
    let mode = Data::Text(String::from(mode));
    cx.ask(
        args,
        Family::Term,
        "set_mode",
        vec![mode],
        |cx, _, answer| value_of(cx, answer?),
    )
}

fn read_key(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    wait_for_key(cx, args, -1)
}

fn read_key_timeout(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let milliseconds = integer(args, 0, "term_read_key_timeout", "an integer timeout")?;
    if milliseconds < 0 {
        return Err(NativeError::value_error(
            "term_read_key_timeout() timeout cannot be negative",
        ));
    }
    wait_for_key(cx, args, milliseconds)
}

fn wait_for_key(cx: &mut NativeContext<'_>, args: &mut [Value], milliseconds: i64) -> NativeResult {
    let arguments = vec![Data::Number(milliseconds)];
    match cx.start(Request {
        family: Family::Term,
        operation: "read_key",
        arguments,
    }) {
        Started::Ready(answer) => key(cx, args, answer),
        Started::Pending(token) => Err(cx.block(token, BlockReason::Terminal, key)),
    }
}

fn key(cx: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    value_of(cx, answer?)
}
