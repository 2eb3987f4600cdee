//! Turns and signals.

use core::hint::black_box;

use libipc::object::Notification;
use libipc::{Handle, StartError, raw, thread};

use crate::Bench;
use crate::calls::patience;
use crate::measure::least;
use crate::peers::Role;

/// The peer that gives its turn away again and again.
pub const YIELDER: &str = "yield";

/// Measures them.
pub fn measure(bench: &mut Bench) -> Result<(), StartError> {
    let yielder = bench.peers.start(Role::new(YIELDER))?;
    let cost = least(&[&bench.own, &yielder.process], || {
        black_box(raw::yield_now());
    });
    drop(yielder);
    // There and back.
    bench.report("yield", cost.each(2));
    notification(bench)
}

/// Gives its turn away.
pub fn give_turns_away() -> ! {
    loop {
        raw::yield_now();
    }
}

/// Two threads of one process wake each other.
fn notification(bench: &mut Bench) -> Result<(), StartError> {
    let (there, back) = (
        Handle::<Notification>::create()?,
        Handle::<Notification>::create()?,
    );
    let (their_there, their_back) = (there.duplicate()?, back.duplicate()?);
    let deadline = patience();
    let _thread = thread::spawn(move || {
        while their_there.wait(1, deadline) == Ok(1) {
            if their_back.signal(1).is_err() {
                return;
            }
        }
    })?;
    let cost = least(&[&bench.own], || {
        let _ = black_box(there.signal(1));
        let _ = black_box(back.wait(1, deadline));
    });
    there.signal(2)?;
    bench.report("notification", cost);
    Ok(())
}
