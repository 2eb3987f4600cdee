//! `random` (language section 18.4): one deterministic generator for each program.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::ToPrimitive;

use super::arguments::{expects, list};
use super::generator::Generator;
use super::table::native_module;
use crate::error::NativeError;
use crate::native::{NativeContext, NativeResult};
use crate::system::Family;
use crate::value::Value;

native_module! {
    "random", Family::Core;
    plain {
        "seed" as "random_seed" (1, 1) seed;
        "next" as "random_next" (0, 0) next;
        "range" as "random_range" (2, 2) range;
    }
    own {
        "float" (0, 0) |cx, _| Ok(Value::float(cx.state::<Generator>().next_float()));
        "shuffle" (1, 1) shuffle;
        "choice" (1, 1) choice;
    }
    constants {}
}

fn seed(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let modulus = BigInt::from(65536);
    let reduced = match &args[0] {
        Value::Int(seed) => seed.rem_euclid(65536) as u16,
        Value::Bool(seed) => u16::from(*seed),
        Value::Big(seed) => seed.mod_floor(&modulus).to_u16().unwrap_or(0),
        _ => return Err(expects("random_seed", "an integer")),
    };
    cx.state::<Generator>().seed(reduced);
    Ok(args[0].clone())
}

fn next(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    Ok(Value::Int(i64::from(cx.state::<Generator>().next_state())))
}

fn range(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let (Some(low), Some(high)) = (args[0].as_index(), args[1].as_index()) else {
        return Err(expects("random_range", "two integers"));
    };
    let drawn = cx.state::<Generator>().next_in_range(low, high);
    drawn
        .map(Value::Int)
        .ok_or_else(|| NativeError::value_error("random.range() requires high > low"))
}

/// A new list in random order.
fn shuffle(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = list(args, 0, "shuffle", "a list")?;
    cx.charge(1 + items.len())?;
    let mut shuffled = cx.heap().values(items.len())?;
    shuffled.extend(items.iter().cloned());
    for end in (1..shuffled.len()).rev() {
        let other = cx.state::<Generator>().next_index(end + 1);
        shuffled.swap(end, other);
    }
    Ok(cx.heap().list(shuffled)?)
}

fn choice(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let items = list(args, 0, "choice", "a list that is not empty")?;
    if items.is_empty() {
        return Err(expects("choice", "a list that is not empty"));
    }
    let index = cx.state::<Generator>().next_index(items.len());
    Ok(items[index].clone())
}
