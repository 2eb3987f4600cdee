//! The operations of the family `clock`.

use libipc::Instant;
use pebble_rt::system::{Data, Request, SystemError};

use crate::guest::Guest;
use crate::operations::{Done, Outcome, integer, now};

/// Handles a request of the family.
pub fn handle(guest: &mut Guest, request: &Request) -> Outcome {
    match request.operation {
        "now" => now(Data::Number(wall_clock_ns(guest) / 1_000_000)),
        "sleep" => {
            let milliseconds = u64::try_from(integer(request, 0)?).unwrap_or(0);
            Ok(Done::Later(guest.after(milliseconds)))
        }
        _ => Err(SystemError::unknown(request)),
    }
}

/// Nanoseconds since 1970: the board is asked once, then the time since is added.
pub fn wall_clock_ns(guest: &mut Guest) -> i64 {
    let uptime = Instant::now().as_ns() as i64;
    if let Some(epoch) = guest.epoch_ns {
        return epoch.saturating_add(uptime);
    }
    let answer = guest
        .services
        .platform
        .as_ref()
        .and_then(|platform| platform.wall_clock(Guest::soon()).ok());
    // Without a board time starts in 1970, and the question is asked again next time.
    let Some((seconds, at_ns)) = answer else {
        return uptime;
    };
    let epoch = seconds
        .saturating_mul(1_000_000_000)
        .saturating_sub(at_ns as i64);
    guest.epoch_ns = Some(epoch);
    epoch.saturating_add(uptime)
}
