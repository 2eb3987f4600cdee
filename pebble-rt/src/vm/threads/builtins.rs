//! The functions of threads, mutexes, conditions and channels.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::Value;

use super::super::Core;
use super::super::thread::{FrameKind, Thread};
use super::{End, Park, ThreadId, WaitFor, is_passable, new_entry};

/// The functions, each also under the name that the kernel modules use.
pub(crate) static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("thread_spawn", 2, 2, spawn),
    NativeFunction::new("thread_spawn_host", 2, 2, spawn),
    NativeFunction::new("thread_spawn_source", 3, 3, spawn_source),
    NativeFunction::new("thread_spawn_source_host", 3, 3, spawn_source),
    NativeFunction::new("thread_join", 1, 2, join),
    NativeFunction::new("thread_join_host", 1, 2, join),
    NativeFunction::new("thread_status", 1, 1, status),
    NativeFunction::new("thread_status_host", 1, 1, status),
    NativeFunction::new("thread_self", 0, 0, |cx, _| {
        Ok(Value::Int(cx.core.threads.current))
    }),
    NativeFunction::new("thread_self_host", 0, 0, |cx, _| {
        Ok(Value::Int(cx.core.threads.current))
    }),
    NativeFunction::new("thread_yield", 0, 0, give_way),
    NativeFunction::new("thread_yield_host", 0, 0, give_way),
    NativeFunction::new("thread_list", 0, 0, list),
    NativeFunction::new("list_thread_records", 0, 0, list),
    NativeFunction::new("mutex_create", 0, 0, |cx, _| {
        Ok(Value::Int(cx.core.threads.new_mutex()))
    }),
    NativeFunction::new("mutex_create_host", 0, 0, |cx, _| {
        Ok(Value::Int(cx.core.threads.new_mutex()))
    }),
    NativeFunction::new("mutex_lock", 1, 2, lock),
    NativeFunction::new("mutex_lock_host", 1, 2, lock),
    NativeFunction::new("mutex_try_lock", 1, 1, try_lock),
    NativeFunction::new("mutex_try_lock_host", 1, 1, try_lock),
    NativeFunction::new("mutex_unlock", 1, 1, unlock),
    NativeFunction::new("mutex_unlock_host", 1, 1, unlock),
    NativeFunction::new("mutex_list", 0, 0, mutex_list),
    NativeFunction::new("list_mutex_records", 0, 0, mutex_list),
    NativeFunction::new("cond_create", 0, 0, |cx, _| {
        Ok(Value::Int(cx.core.threads.new_condition()))
    }),
    NativeFunction::new("cond_wait", 2, 3, cond_wait),
    NativeFunction::new("cond_signal", 1, 1, |cx, args| signal(cx, args, false)),
    NativeFunction::new("cond_broadcast", 1, 1, |cx, args| signal(cx, args, true)),
    NativeFunction::new("channel", 0, 1, channel),
];

/// The error that parks the running thread.
pub(super) fn park(park: Park) -> NativeError {
    NativeError::Park(park)
}

fn id(args: &[Value], function: &str) -> Result<i64, NativeError> {
    args[0]
        .as_index()
        .ok_or_else(|| NativeError::type_error(format!("{function}() expects an id")))
}

/// The moment at which a wait of some milliseconds ends.
pub(super) fn deadline(
    cx: &mut NativeContext<'_>,
    milliseconds: Option<&Value>,
) -> Result<Option<u64>, NativeError> {
    match milliseconds {
        None | Some(Value::Undefined | Value::None) => Ok(None),
        Some(Value::Int(wait @ 0..)) => Ok(Some(cx.monotonic_ms().saturating_add(*wait as u64))),
        Some(_) => Err(NativeError::type_error(
            "a time limit is a number of milliseconds, 0 or more",
        )),
    }
}

fn spawn(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let wrong =
        || NativeError::type_error("thread_spawn_host() expects function value and args list");
    let is_function = matches!(
        &args[0],
        Value::Func(_) | Value::Bound(_) | Value::Native(_)
    );
    let Value::List(list) = &args[1] else {
        return Err(wrong());
    };
    if !is_function {
        return Err(wrong());
    }
    if !list.iter().all(is_passable) {
        return Err(NativeError::type_error(
            "value is not serializable for thread spawn",
        ));
    }
    let name = match &args[0] {
        Value::Func(function) => String::from(function.name()),
        Value::Native(function) => String::from(function.name),
        _ => String::from("method"),
    };
    let arguments = list.iter().cloned().collect();
    let function = args[0].clone();
    Ok(Value::Int(cx.core.spawn(
        &name,
        Vec::new(),
        |core, thread| {
            core.push_call(
                thread,
                function,
                arguments,
                Value::None,
                crate::bytecode::NOWHERE,
                FrameKind::Root,
            )
        },
    )?))
}

fn spawn_source(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let wrong = || {
        NativeError::type_error(
            "thread_spawn_source_host() expects a name, a source text and a list of arguments",
        )
    };
    let (Some(name), Some(source), Value::List(list)) =
        (args[0].as_str(), args[1].as_str(), &args[2])
    else {
        return Err(wrong());
    };
    let argv: Option<Vec<String>> = list
        .iter()
        .map(|argument| argument.as_str().map(String::from))
        .collect();
    let argv = argv.ok_or_else(wrong)?;
    let (name, source) = (String::from(name), String::from(source));
    let core = &mut *cx.core;
    core.charge_steps(source.len() / 16)?;
    let module = core.add_module(&name, &name);
    core.set_module_global(module, "ARGV", args[2].clone())?;
    core.set_module_global(module, "ARGC", Value::Int(argv.len() as i64))?;
    Ok(Value::Int(core.spawn(&name, argv, |core, thread| {
        core.push_source(thread, module, &source)
    })?))
}

impl Core {
    /// A new thread whose first call `begin` makes. A failure to begin is the thread's, not the caller's.
    fn spawn(
        &mut self,
        name: &str,
        argv: Vec<String>,
        begin: impl FnOnce(&mut Core, &mut Thread) -> Result<(), NativeError>,
    ) -> Result<ThreadId, NativeError> {
        if self.threads.living() >= self.limits.threads {
            return Err(NativeError::new(ErrorClass::Limit, "too many threads"));
        }
        let mut thread = Thread::new();
        let started = begin(self, &mut thread);
        let id = self.threads.new_id();
        let mut entry = new_entry(None, name, argv);
        entry.output = super::OutputTarget::Collected(String::new());
        match started {
            Ok(()) => {
                entry.thread = Some(thread);
                self.threads.ready.push_back(id);
            }
            Err(_) => {
                thread.finish(&self.heap);
                entry.end = Some(End::Failed);
            }
        }
        self.threads.entries.insert(id, entry);
        Ok(id)
    }

    /// What programs see of a thread.
    pub(super) fn thread_record(&mut self, id: ThreadId) -> NativeResult {
        let table = &self.threads;
        let entry = table.entry(id)?;
        let argv: Vec<String> = entry.argv.clone();
        let name = entry.name.clone();
        let printed = match (&entry.output, id == table.current) {
            (super::OutputTarget::Collected(text), false) => text.clone(),
            _ => entry.printed.clone(),
        };
        let exit_status = i64::from(entry.end == Some(End::Failed));
        let (state, blocked_on) = (table.state(id), table.blocked_on(id));
        let cwd = self
            .main_global("CWD")
            .unwrap_or_else(|| Value::Str(self.empty_string.clone()));
        let argv = self.text_list(argv)?;
        let outputs = self.text_list(printed.lines().map(String::from).collect())?;
        let fields = [
            ("tid", Value::Int(id)),
            ("pid", Value::Int(1)),
            ("tgid", Value::Int(0)),
            ("state", self.heap.string(state)?),
            ("name", self.heap.owned_string(name)?),
            ("argv", argv),
            ("cwd", cwd),
            ("exit_status", Value::Int(exit_status)),
            ("blocked_on", self.heap.owned_string(blocked_on)?),
            ("attached", Value::Int(i64::from(id == 0))),
            ("outputs", outputs),
        ];
        Ok(self.heap.record(fields)?)
    }

    fn text_list(&mut self, texts: Vec<String>) -> NativeResult {
        let mut list = self.heap.values(texts.len())?;
        for text in texts {
            list.push(self.heap.owned_string(text)?);
        }
        Ok(self.heap.list(list)?)
    }
}

fn join(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id(args, "thread_join")?;
    let deadline_ms = deadline(cx, args.get(1))?;
    let table = &cx.core.threads;
    if table.entry(id)?.end.is_some() {
        return cx.core.thread_record(id);
    }
    if id == table.current {
        return Err(NativeError::new(
            ErrorClass::Deadlock,
            "a thread cannot wait for its own end",
        ));
    }
    Err(park(Park {
        wait: WaitFor::End(id),
        deadline_ms,
    }))
}

fn status(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id(args, "thread_status")?;
    cx.core.threads.entry(id)?;
    let state = cx.core.threads.state(id);
    Ok(cx.heap().string(state)?)
}

fn give_way(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    cx.core.fuel = cx.core.fuel.min(0);
    Ok(Value::Int(0))
}

fn list(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    let ids: Vec<ThreadId> = cx.core.threads.entries.keys().copied().collect();
    let mut records = cx.heap().values(ids.len())?;
    for id in ids {
        records.push(cx.core.thread_record(id)?);
    }
    Ok(cx.heap().list(records)?)
}

fn lock(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id(args, "mutex_lock")?;
    let deadline = deadline(cx, args.get(1))?;
    match cx.core.threads.lock(id, deadline)? {
        None => Ok(Value::Int(0)),
        Some(wait) => Err(park(wait)),
    }
}

fn try_lock(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id(args, "mutex_try_lock")?;
    Ok(Value::Int(i64::from(cx.core.threads.try_lock(id)?)))
}

fn unlock(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id(args, "mutex_unlock")?;
    cx.core.threads.unlock(id)?;
    Ok(Value::Int(0))
}

fn mutex_list(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    let rows: Vec<(i64, Option<ThreadId>)> = cx
        .core
        .threads
        .mutex_rows()
        .map(|(id, owner, _)| (id, owner))
        .collect();
    let mut records = cx.heap().values(rows.len())?;
    for (id, owner) in rows {
        let waiters = cx.core.threads.mutex_waiters(id);
        let waiters = cx
            .heap()
            .list(waiters.into_iter().map(Value::Int).collect())?;
        let fields = [
            ("id", Value::Int(id)),
            ("owner_tid", owner.map_or(Value::None, Value::Int)),
            ("waiters", waiters),
        ];
        records.push(cx.heap().record(fields)?);
    }
    Ok(cx.heap().list(records)?)
}

fn cond_wait(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id(args, "cond_wait")?;
    let mutex = args[1]
        .as_index()
        .ok_or_else(|| NativeError::type_error("cond_wait() expects two ids"))?;
    let deadline = deadline(cx, args.get(2))?;
    Err(park(cx.core.threads.wait(id, mutex, deadline)?))
}

fn signal(cx: &mut NativeContext<'_>, args: &[Value], all: bool) -> NativeResult {
    let id = id(args, "cond_signal")?;
    Ok(Value::Int(cx.core.threads.signal(id, all)?))
}

fn channel(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let capacity = match args.first() {
        None | Some(Value::Undefined) => 0,
        Some(Value::Int(capacity @ 1..)) => *capacity as usize,
        Some(_) => {
            return Err(NativeError::type_error(
                "channel() expects a capacity of 1 or more",
            ));
        }
    };
    let id = cx.core.threads.new_channel(capacity);
    Ok(cx.heap().foreign(super::CHANNEL, id))
}
