//! `time`: moments as seconds since 1970, in UTC.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{expects, record, text};
use super::calendar::Calendar;
use super::table::native_module;
use crate::error::NativeError;
use crate::native::{NativeContext, NativeResult};
use crate::system::{Data, Family};
use crate::value::Value;

native_module! {
    "time", Family::Clock;
    plain {}
    own {
        "now" (0, 0) now;
        "time" (0, 0) now;
        "monotonic" (0, 0) |cx, _| Ok(Value::float(cx.monotonic_ms() as f64 / 1000.0));
        "sleep" (1, 1) sleep;
        "format" (1, 2) |cx, args| format(cx, args, "format");
        "strftime" (1, 2) strftime;
        "parts" (0, 1) parts;
        "gmtime" (0, 1) parts;
    }
    constants {}
}

/// The form used when none is given: the system's own.
const DEFAULT_FORM: &str = "%Y-%m-%d, %H:%M:%S";

fn seconds_of(answer: crate::system::Answer) -> Result<f64, NativeError> {
    match answer? {
        Data::Number(milliseconds) => Ok(milliseconds as f64 / 1000.0),
        _ => Ok(0.0),
    }
}

fn now(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    cx.ask(args, Family::Clock, "now", Vec::new(), |_, _, answer| {
        Ok(Value::float(seconds_of(answer)?))
    })
}

fn sleep(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let seconds = super::arguments::float(args, 0, "sleep")?;
    if !(0.0..1e12).contains(&seconds) {
        return Err(expects("sleep", "seconds that are not negative"));
    }
    cx.ask(
        args,
        Family::Clock,
        "sleep",
        vec![Data::Number((seconds * 1000.0) as i64)],
        |_, _, answer| {
            answer?;
            Ok(Value::None)
        },
    )
}

fn moment(args: &[Value], index: usize, name: &str) -> Result<Calendar, NativeError> {
    let seconds = libm::floor(super::arguments::float(args, index, name)?);
    Ok(Calendar::from_unix(seconds as i64))
}

/// `format(seconds, pattern)`.
fn format(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let calendar = moment(args, 0, name)?;
    let pattern = super::arguments::optional_text(args, 1, name, "seconds and a string pattern")?;
    let pattern = pattern.map_or(DEFAULT_FORM, crate::value::StrObj::as_str);
    written(cx, &calendar, pattern)
}

fn written(cx: &mut NativeContext<'_>, calendar: &Calendar, pattern: &str) -> NativeResult {
    // The longest directive, %c, makes twelve times as much text as it is long.
    cx.charge(1 + pattern.len())?;
    cx.heap().charge(pattern.len().saturating_mul(16))?;
    cx.heap().credit(pattern.len().saturating_mul(16));
    Ok(cx.heap().owned_string(calendar.format(pattern))?)
}

/// `strftime(pattern, seconds)`, and without seconds the present.
fn strftime(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    text(args, 0, "strftime", "a string pattern")?;
    if args.get(1).is_some_and(|value| !value.is_undefined()) {
        let calendar = moment(args, 1, "strftime")?;
        let pattern = String::from(text(args, 0, "strftime", "a string pattern")?.as_str());
        return written(cx, &calendar, &pattern);
    }
    cx.ask(
        args,
        Family::Clock,
        "now",
        Vec::new(),
        |cx, args, answer| {
            let calendar = Calendar::from_unix(seconds_of(answer)? as i64);
            let pattern = String::from(text(args, 0, "strftime", "a string pattern")?.as_str());
            written(cx, &calendar, &pattern)
        },
    )
}

fn parts(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    if args.first().is_some_and(|value| !value.is_undefined()) {
        let calendar = moment(args, 0, "parts")?;
        return split(cx, &calendar);
    }
    cx.ask(args, Family::Clock, "now", Vec::new(), |cx, _, answer| {
        let calendar = Calendar::from_unix(seconds_of(answer)? as i64);
        split(cx, &calendar)
    })
}

fn split(cx: &mut NativeContext<'_>, calendar: &Calendar) -> NativeResult {
    let number = |part: u16| Value::Int(i64::from(part));
    let fields = vec![
        ("year", Value::Int(calendar.year)),
        ("month", number(calendar.month.into())),
        ("day", number(calendar.day.into())),
        ("hour", number(calendar.hour.into())),
        ("minute", number(calendar.minute.into())),
        ("second", number(calendar.second.into())),
        ("weekday", number(calendar.weekday.into())),
        ("year_day", number(calendar.year_day)),
    ];
    Ok(record(cx.heap(), fields)?)
}
