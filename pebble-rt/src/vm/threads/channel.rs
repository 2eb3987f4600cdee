//! Channels: values from thread to thread, in order.

use alloc::collections::VecDeque;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::Value;

use super::builtins::{deadline, park};
use super::{Park, ThreadId, ThreadTable, WaitFor};

/// The type name of channel handles.
pub(crate) const CHANNEL: &str = "channel";

/// What a channel handle holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelId(pub(crate) i64);

#[derive(Debug, Default)]
pub(super) struct Channel {
    values: VecDeque<Value>,
    capacity: usize,
    is_closed: bool,
    receivers: VecDeque<ThreadId>,
    senders: VecDeque<(ThreadId, Value)>,
}

impl Channel {
    pub(super) fn forget(&mut self, id: ThreadId) {
        self.receivers.retain(|waiter| *waiter != id);
        self.senders.retain(|(waiter, _)| *waiter != id);
    }
}

/// What receiving came to.
pub(crate) enum Received {
    Value(Value),
    Closed,
    Wait(Park),
}

/// Methods of channels.
pub(crate) static METHODS: &[NativeFunction] = &[
    NativeFunction::new("send", 2, 3, send),
    NativeFunction::new("receive", 1, 2, receive),
    NativeFunction::new("recv", 1, 2, receive),
    NativeFunction::new("try_receive", 1, 2, try_receive),
    NativeFunction::new("close", 1, 1, close),
];

/// The id behind a channel handle.
pub(crate) fn channel_id(value: &Value) -> Option<i64> {
    match value {
        Value::Foreign(foreign) => foreign.get::<ChannelId>().map(|id| id.0),
        _ => None,
    }
}

fn id_of(value: &Value) -> Result<i64, NativeError> {
    channel_id(value).ok_or_else(|| NativeError::type_error("this method needs a channel"))
}

fn closed() -> NativeError {
    NativeError::value_error("the channel is closed")
}

impl ThreadTable {
    pub(super) fn new_channel(&mut self, capacity: usize) -> ChannelId {
        let id = self.new_id();
        self.channels.insert(
            id,
            Channel {
                capacity,
                ..Channel::default()
            },
        );
        ChannelId(id)
    }

    /// Takes the next value of a channel.
    pub(crate) fn receive(&mut self, id: i64, deadline_ms: Option<u64>) -> Received {
        let current = self.current;
        let Some(channel) = self.channels.get_mut(&id) else {
            return Received::Closed;
        };
        if let Some(value) = channel.values.pop_front() {
            if let Some((sender, waiting)) = channel.senders.pop_front() {
                channel.values.push_back(waiting);
                self.wake(sender, Ok(Value::None));
            }
            return Received::Value(value);
        }
        if let Some((sender, value)) = channel.senders.pop_front() {
            self.wake(sender, Ok(Value::None));
            return Received::Value(value);
        }
        if channel.is_closed {
            return Received::Closed;
        }
        channel.receivers.push_back(current);
        Received::Wait(Park {
            wait: WaitFor::Receive(id),
            deadline_ms,
        })
    }

    fn send(
        &mut self,
        id: i64,
        value: Value,
        deadline_ms: Option<u64>,
    ) -> Result<Option<Park>, NativeError> {
        let current = self.current;
        let channel = self.channels.get_mut(&id).ok_or_else(closed)?;
        if channel.is_closed {
            return Err(closed());
        }
        if let Some(receiver) = channel.receivers.pop_front() {
            self.wake(receiver, Ok(value));
            return Ok(None);
        }
        if channel.capacity > 0 && channel.values.len() >= channel.capacity {
            channel.senders.push_back((current, value));
            return Ok(Some(Park {
                wait: WaitFor::Send(id),
                deadline_ms,
            }));
        }
        channel.values.push_back(value);
        Ok(None)
    }

    fn close(&mut self, id: i64) {
        let Some(channel) = self.channels.get_mut(&id) else {
            return;
        };
        channel.is_closed = true;
        let receivers = core::mem::take(&mut channel.receivers);
        let senders = core::mem::take(&mut channel.senders);
        for receiver in receivers {
            self.wake(receiver, Ok(Value::Undefined));
        }
        for (sender, _) in senders {
            self.wake(sender, Err(closed()));
        }
    }
}

fn send(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id_of(&args[0])?;
    let deadline = deadline(cx, args.get(2))?;
    let value = core::mem::take(&mut args[1]);
    cx.core.heap.charge(0)?;
    match cx.core.threads.send(id, value, deadline)? {
        None => Ok(Value::None),
        Some(wait) => Err(park(wait)),
    }
}

/// The next value; `None` when the channel is closed and empty.
fn receive(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id_of(&args[0])?;
    let deadline = deadline(cx, args.get(1))?;
    match cx.core.threads.receive(id, deadline) {
        Received::Value(value) => Ok(value),
        Received::Closed => Ok(Value::None),
        Received::Wait(wait) => Err(park(wait)),
    }
}

/// The next value if there is one, else the second argument (or an error).
fn try_receive(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id_of(&args[0])?;
    let current = cx.core.threads.current;
    match cx.core.threads.receive(id, None) {
        Received::Value(value) => Ok(value),
        Received::Closed => args.get(1).cloned().ok_or_else(closed),
        Received::Wait(wait) => {
            cx.core.threads.leave_queue(current, wait.wait);
            let empty = || NativeError::new(ErrorClass::Timeout, "the channel is empty");
            args.get(1).cloned().ok_or_else(empty)
        }
    }
}

fn close(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id_of(&args[0])?;
    cx.core.threads.close(id);
    Ok(Value::None)
}
