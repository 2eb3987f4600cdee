//! Whether a service that leaves its heartbeat unanswered is hung, or only waits.
//!
//! It is hung if it uses up CPU time meanwhile (it loops), or waits in something that is neither `receive` nor a call. One that waits for another service is left alone: of a
//! chain of waiters the last one is found by its own heartbeat. One that gets no CPU can't be blamed either.

use abi::records::ThreadState;

/// So much CPU time without an answer means a loop.
pub const LOOP_CPU_NS: u64 = 100_000_000;
/// The same while it starts: it has things to set up.
pub const START_CPU_NS: u64 = 5_000_000_000;
/// A loop has to be seen for this long by the clock on the wall as well: a machine that was itself halted proves nothing.
pub const LOOP_WALL_NS: u64 = 500_000_000;
/// So long in a wait that no message ends means that it is stuck.
pub const STUCK_NS: u64 = 2_000_000_000;
/// How often an unanswered heartbeat is looked at.
pub const LOOK_NS: u64 = 250_000_000;

/// What is known of a service when it is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// When.
    pub at: u64,
    /// CPU time that it had used.
    pub cpu_ns: u64,
    /// Whether it has answered before.
    pub is_up: bool,
}

/// What is seen of it while the answer is outstanding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// When.
    pub at: u64,
    /// CPU time used by now.
    pub cpu_ns: u64,
    /// What its first thread is doing.
    pub state: ThreadState,
    /// Since when.
    pub since: u64,
}

/// The verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Diagnosis {
    /// It may answer yet.
    Patience,
    /// It loops.
    Loops,
    /// It waits for what nobody will bring.
    Stuck,
}

/// Judges a service by what it does instead of answering.
pub fn judge(asked: Asked, seen: Seen) -> Diagnosis {
    let limit = if asked.is_up {
        LOOP_CPU_NS
    } else {
        START_CPU_NS
    };
    let elapsed = seen.at.saturating_sub(asked.at);
    if elapsed >= LOOP_WALL_NS && seen.cpu_ns.saturating_sub(asked.cpu_ns) >= limit {
        return Diagnosis::Loops;
    }
    let has_waited = seen.at.saturating_sub(seen.since.max(asked.at));
    match seen.state {
        ThreadState::Waiting if has_waited >= STUCK_NS => Diagnosis::Stuck,
        _ => Diagnosis::Patience,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked {
        at: 1_000,
        cpu_ns: 50,
        is_up: true,
    };

    fn seen(after: u64, cpu_ns: u64, state: ThreadState) -> Seen {
        Seen {
            at: ASKED.at + after,
            cpu_ns: ASKED.cpu_ns + cpu_ns,
            state,
            since: 0,
        }
    }

    #[test]
    fn a_loop_shows_in_cpu_time() {
        let loops = seen(LOOP_WALL_NS, LOOP_CPU_NS, ThreadState::Ready);
        assert_eq!(judge(ASKED, loops), Diagnosis::Loops);
        let starved = seen(u64::MAX / 2, LOOP_CPU_NS - 1, ThreadState::Ready);
        assert_eq!(judge(ASKED, starved), Diagnosis::Patience);
        let hurried = seen(LOOP_WALL_NS - 1, LOOP_CPU_NS, ThreadState::Ready);
        assert_eq!(judge(ASKED, hurried), Diagnosis::Patience);
    }

    #[test]
    fn a_service_that_starts_gets_more_time() {
        let starting = Asked {
            is_up: false,
            ..ASKED
        };
        let busy = seen(LOOP_WALL_NS, LOOP_CPU_NS, ThreadState::Ready);
        assert_eq!(judge(starting, busy), Diagnosis::Patience);
        let lost = seen(START_CPU_NS, START_CPU_NS, ThreadState::Ready);
        assert_eq!(judge(starting, lost), Diagnosis::Loops);
    }

    #[test]
    fn who_waits_for_another_service_is_not_to_blame() {
        let calling = seen(u64::MAX / 2, 0, ThreadState::Calling);
        assert_eq!(judge(ASKED, calling), Diagnosis::Patience);
        let waiting = seen(STUCK_NS, 0, ThreadState::Waiting);
        assert_eq!(judge(ASKED, waiting), Diagnosis::Stuck);
    }
}
