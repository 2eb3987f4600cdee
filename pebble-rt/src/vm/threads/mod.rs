//! Green threads, and what they use to wait for each other (section 21, 24 tier 3).
//!
//! All threads of a program share its globals; each has a stack of its own. One runs at a time, for a bounded number of
//! steps. A thread that waits for another is *parked*: whoever ends the wait also says what the waiting call gives, so
//! a woken thread has nothing to try again and nobody can overtake it.

mod builtins;
mod channel;
mod mutex;
mod scheduler;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{ErrorClass, NativeError};
use crate::native::BlockReason;
use crate::value::Value;

use super::core::OutputTarget;
use super::thread::Thread;

pub(crate) use builtins::FUNCTIONS;
pub(crate) use channel::{CHANNEL, METHODS as CHANNEL_METHODS, Received, channel_id};
pub(crate) use scheduler::Scheduler;

/// Names a thread; the main program is 0.
pub(crate) type ThreadId = i64;

/// What a parked thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// The end of a thread.
    End(ThreadId),
    /// A mutex.
    Mutex(i64),
    /// A condition; the mutex is taken again afterwards.
    Condition(i64),
    /// A value in a channel.
    Receive(i64),
    /// Room in a channel.
    Send(i64),
}

/// A builtin's wish to park its thread.
#[derive(Clone, Copy, Debug)]
pub struct Park {
    pub(crate) wait: WaitFor,
    /// When to give up, on the monotonic clock.
    pub(crate) deadline_ms: Option<u64>,
}

/// What ends a wait: the result of the waiting call.
type WakeResult = Result<Value, NativeError>;

/// What is known of a thread.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its stack; absent while it runs and after its end.
    thread: Option<Thread>,
    name: String,
    argv: Vec<String>,
    end: Option<End>,
    parked: Option<Park>,
    wake: Option<WakeResult>,
    printed: String,
    /// Output, muted imports and pins, while another thread runs.
    output: OutputTarget,
    muted: Vec<OutputTarget>,
    pins: Vec<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Halted,
    Failed,
}

#[derive(Debug, Default)]
struct Mutex {
    owner: Option<ThreadId>,
    /// Who waits, longest first, and what their call gives when they get it.
    waiters: VecDeque<(ThreadId, WakeResult)>,
}

#[derive(Debug, Default)]
struct Condition {
    waiters: VecDeque<(ThreadId, i64)>,
}

/// All threads of a program and what they wait on.
#[derive(Debug, Default)]
pub(crate) struct ThreadTable {
    /// The thread that runs.
    pub(crate) current: ThreadId,
    entries: BTreeMap<ThreadId, Entry>,
    ready: VecDeque<ThreadId>,
    next_id: i64,
    mutexes: BTreeMap<i64, Mutex>,
    conditions: BTreeMap<i64, Condition>,
    channels: BTreeMap<i64, channel::Channel>,
}

impl ThreadTable {
    /// The thread that ran last, when it is not running now.
    pub(crate) fn current_thread(&self) -> Option<&Thread> {
        self.entries.get(&self.current)?.thread.as_ref()
    }

    fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    fn entry(&self, id: ThreadId) -> Result<&Entry, NativeError> {
        self.entries
            .get(&id)
            .ok_or_else(|| NativeError::value_error(format!("thread {id} does not exist")))
    }

    /// Ends the wait of a thread.
    fn wake(&mut self, id: ThreadId, result: WakeResult) {
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.parked.take().is_some()
        {
            entry.wake = Some(result);
            self.ready.push_back(id);
        }
    }

    /// Threads that have not ended.
    fn living(&self) -> usize {
        self.entries
            .values()
            .filter(|entry| entry.end.is_none())
            .count()
    }

    /// Takes a parked thread out of the queue that it waits in.
    fn leave_queue(&mut self, id: ThreadId, wait: WaitFor) {
        match wait {
            WaitFor::End(_) => {}
            WaitFor::Mutex(mutex) => {
                if let Some(mutex) = self.mutexes.get_mut(&mutex) {
                    mutex.waiters.retain(|(waiter, _)| *waiter != id);
                }
            }
            WaitFor::Condition(condition) => {
                if let Some(condition) = self.conditions.get_mut(&condition) {
                    condition.waiters.retain(|(waiter, _)| *waiter != id);
                }
            }
            WaitFor::Receive(channel) | WaitFor::Send(channel) => {
                if let Some(channel) = self.channels.get_mut(&channel) {
                    channel.forget(id);
                }
            }
        }
    }

    /// Ends a wait because its time is up.
    fn give_up(&mut self, id: ThreadId) {
        let Some(park) = self.entries.get(&id).and_then(|entry| entry.parked) else {
            return;
        };
        let mutex = match park.wait {
            WaitFor::Condition(condition) => {
                self.conditions.get(&condition).and_then(|condition| {
                    condition
                        .waiters
                        .iter()
                        .find(|(waiter, _)| *waiter == id)
                        .map(|(_, mutex)| *mutex)
                })
            }
            _ => None,
        };
        self.leave_queue(id, park.wait);
        let timeout = NativeError::new(ErrorClass::Timeout, "the time is up");
        match mutex {
            Some(mutex) => self.hand_over(mutex, id, Err(timeout)),
            None => self.wake(id, Err(timeout)),
        }
    }

    /// The state of a thread as programs see it (21).
    fn state(&self, id: ThreadId) -> &'static str {
        let Some(entry) = self.entries.get(&id) else {
            return "halted";
        };
        match (entry.end, entry.parked, id == self.current) {
            (Some(End::Halted), ..) => "halted",
            (Some(End::Failed), ..) => "error",
            (
                None,
                Some(Park {
                    wait: WaitFor::Mutex(_),
                    ..
                }),
                _,
            ) => "blocked-mutex",
            (None, Some(_), _) => "ready",
            (None, None, true) => "running",
            (None, None, false) if entry.wake.is_some() => "ready",
            (None, None, false) => match entry
                .thread
                .as_ref()
                .and_then(|thread| thread.waiting.as_ref())
            {
                Some(waiting) if waiting.reason == BlockReason::Input => "blocked-input",
                Some(waiting) if waiting.reason == BlockReason::Terminal => "blocked-tty",
                Some(_) => "running",
                None => "ready",
            },
        }
    }

    fn blocked_on(&self, id: ThreadId) -> String {
        let Some(entry) = self.entries.get(&id).filter(|entry| entry.end.is_none()) else {
            return String::new();
        };
        if let Some(Park {
            wait: WaitFor::Mutex(mutex),
            ..
        }) = entry.parked
        {
            return format!("mutex:{mutex}");
        }
        match self.state(id) {
            "blocked-input" => String::from("stdin"),
            "blocked-tty" => String::from("tty"),
            _ => String::new(),
        }
    }
}

/// Whether a value may be passed to another thread: no object of the program's that only its maker should touch.
fn is_passable(value: &Value) -> bool {
    let mut pending: Vec<Value> = Vec::from([value.clone()]);
    while let Some(value) = pending.pop() {
        match &value {
            Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Big(_)
            | Value::Str(_)
            | Value::Bytes(_)
            | Value::Ref(_)
            | Value::Foreign(_) => {}
            Value::List(list) => pending.extend(list.iter().cloned()),
            Value::Tuple(tuple) => pending.extend(tuple.iter().cloned()),
            Value::Set(set) => pending.extend(set.iter().cloned()),
            Value::Dict(dict) => {
                pending.extend(dict.keys().cloned());
                pending.extend(dict.values().cloned());
            }
            _ => return false,
        }
    }
    true
}

fn new_entry(thread: Option<Thread>, name: &str, argv: Vec<String>) -> Entry {
    Entry {
        thread,
        name: String::from(name),
        argv,
        end: None,
        parked: None,
        wake: None,
        printed: String::new(),
        output: OutputTarget::System,
        muted: Vec::new(),
        pins: Vec::new(),
    }
}
