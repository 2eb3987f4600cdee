//! Tasks: programs that a program runs step by step (`vm_*` and `scheduler_*` of the system document, sections 2 and 4.1).
//!
//! A task computes and prints; it has no files, processes or terminal of its own. A snapshot remembers how far a task
//! was, and restoring one runs a new task as far: machines are deterministic, so it arrives in the same state.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use super::arguments::{integer, one_or_zero, record, string_list, text};
use super::text::argument_list;
use crate::engine::{Limits, Step};
use crate::error::NativeError;
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::system::{
    Answer, Grants, ModuleText, Patience, Request, Started, Stream, System, SystemError, Token,
};
use crate::value::Value;
use crate::vm::{Pace, Vm};

/// Tasks at a time.
const MAX_TASKS: usize = 64;

/// The memory of one task.
const TASK_BYTES: usize = 32 << 20;

/// Steps of a task, or of one entry of a session, between two looks at the program's own patience.
const SESSION_STEPS: u64 = 100_000;

/// Turns of different length that a task remembers, for its snapshots.
const MAX_TURNS: usize = 1 << 16;

/// The most output that a task keeps.
const TASK_OUTPUT_BYTES: u64 = 4 << 20;

/// The functions.
pub static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("vm_create_task", 2, 2, |cx, args| {
        create(cx, args, "vm_create_task", None)
    }),
    NativeFunction::new("vm_step_task", 2, 2, |cx, args| {
        step(cx, args, "vm_step_task")
    }),
    NativeFunction::new("vm_task_status", 1, 1, status),
    NativeFunction::new("vm_take_task_output", 1, 1, |cx, args| {
        take_output(cx, args, "vm_take_task_output")
    }),
    NativeFunction::new("vm_snapshot_task", 1, 1, |cx, args| {
        snapshot(cx, args, "vm_snapshot_task")
    }),
    NativeFunction::new("vm_restore_task", 1, 1, |cx, args| {
        restore(cx, args, "vm_restore_task")
    }),
    NativeFunction::new("vm_drop_task", 1, 1, |cx, args| {
        drop_task(cx, args, "vm_drop_task")
    }),
    NativeFunction::new("scheduler_new", 0, 0, |cx, _| {
        *cx.state::<Scheduler>() = Scheduler::default();
        Ok(Value::Int(0))
    }),
    NativeFunction::new("scheduler_spawn_source", 3, 3, |cx, args| {
        create(cx, args, "scheduler_spawn_source", Some(0))
    }),
    NativeFunction::new("scheduler_has_task", 1, 1, |cx, args| {
        let id = integer(args, 0, "scheduler_has_task", "an integer id")?;
        Ok(one_or_zero(
            cx.state::<Scheduler>()
                .tasks
                .iter()
                .any(|task| task.id == id),
        ))
    }),
    NativeFunction::new("scheduler_task", 1, 1, task_record),
    NativeFunction::new("scheduler_step_task", 2, 2, |cx, args| {
        step(cx, args, "scheduler_step_task")
    }),
    NativeFunction::new("scheduler_step_ready", 1, 1, step_ready),
    NativeFunction::new("scheduler_snapshot_task", 1, 1, |cx, args| {
        snapshot(cx, args, "scheduler_snapshot_task")
    }),
    NativeFunction::new("scheduler_restore_snapshot", 2, 2, |cx, args| {
        restore(cx, args, "scheduler_restore_snapshot")
    }),
    NativeFunction::new("scheduler_take_output", 1, 1, |cx, args| {
        take_output(cx, args, "scheduler_take_output")
    }),
    NativeFunction::new("scheduler_drop_task", 1, 1, |cx, args| {
        drop_task(cx, args, "scheduler_drop_task")
    }),
    NativeFunction::new("pebble_repl_start", 0, 0, end_session),
    NativeFunction::new("pebble_repl_step", 1, 1, session_step),
    NativeFunction::new("pebble_repl_stop", 0, 0, end_session),
];

/// What a task is made from.
#[derive(Debug, Clone)]
struct Origin {
    name: String,
    source: String,
    arguments: Vec<String>,
    /// The steps it was given, and how many times in a row.
    turns: Vec<(u64, u64)>,
}

impl Origin {
    /// Remembers one more turn.
    fn remember(&mut self, steps: u64) -> Result<(), NativeError> {
        let is_full = self.turns.len() >= MAX_TURNS;
        match self.turns.last_mut() {
            Some((same, times)) if *same == steps => *times += 1,
            _ if is_full => {
                return Err(NativeError::system(
                    "the task was given too many turns of different length",
                ));
            }
            _ => self.turns.push((steps, 1)),
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Task {
    id: i64,
    origin: Origin,
    vm: Vm,
    state: State,
    output: Rc<RefCell<String>>,
    snapshots: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ready,
    Halted,
    Error(String),
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Halted => "halted",
            Self::Error(_) => "error",
        }
    }
}

/// The tasks and snapshots of a program.
#[derive(Debug, Default)]
struct Scheduler {
    tasks: Vec<Task>,
    snapshots: Vec<(i64, Origin)>,
    last_id: i64,
    last_stepped: i64,
}

impl Scheduler {
    fn task(&mut self, id: i64) -> Result<&mut Task, NativeError> {
        let found = self.tasks.iter_mut().find(|task| task.id == id);
        found.ok_or_else(|| NativeError::system(format!("scheduler task not found: {id}")))
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Task {
    /// A task that has not run yet.
    fn new(id: i64, origin: Origin) -> Task {
        let output = Rc::new(RefCell::new(String::new()));
        let limits = Limits {
            memory_bytes: TASK_BYTES,
            output_bytes: TASK_OUTPUT_BYTES,
            ..Limits::default()
        };
        let system = TaskSystem {
            output: Rc::clone(&output),
        };
        let mut vm = Vm::new(
            limits,
            origin.arguments.clone(),
            Box::new(system),
            &[&super::LIBRARY],
        );
        let state = match vm.load_source_at(Pace::Statements, &origin.name, &origin.source) {
            Ok(()) => State::Ready,
            Err(error) => State::Error(error.to_string()),
        };
        Task {
            id,
            origin,
            vm,
            state,
            output,
            snapshots: Vec::new(),
        }
    }

    /// Runs for so many steps and says how many they were: none when the task has ended. A step is a statement, a
    /// round of a loop or a call.
    fn run(&mut self, steps: u64) -> u64 {
        if self.state != State::Ready || steps == 0 {
            return 0;
        }
        let before = self.vm.steps_made();
        match self.vm.run(steps) {
            Step::Yielded => {}
            Step::Finished(_) => self.state = State::Halted,
            Step::Failed(error) => self.state = State::Error(error.to_string()),
            Step::Blocked(_) => self.vm.wait(Patience::Poll),
        }
        (self.vm.steps_made() - before).min(steps)
    }
}

/// The world of a task: nothing but its own output.
#[derive(Debug)]
struct TaskSystem {
    output: Rc<RefCell<String>>,
}

impl System for TaskSystem {
    fn grants(&self) -> Grants {
        Grants::NONE
    }

    fn write(&mut self, _: Stream, text: &str) -> Result<(), SystemError> {
        self.output.borrow_mut().push_str(text);
        Ok(())
    }

    fn start_input(&mut self, _: &str) -> Started {
        Started::Ready(Ok(crate::system::Data::None))
    }

    fn start(&mut self, request: Request) -> Started {
        Started::Ready(Err(SystemError::unknown(&request)))
    }

    fn cancel(&mut self, _: Token) {}

    fn wait(&mut self, _: Patience) -> Vec<(Token, Answer)> {
        Vec::new()
    }

    fn monotonic_ms(&mut self) -> u64 {
        0
    }

    fn load_module(&mut self, _: &[&str]) -> Result<Option<ModuleText>, SystemError> {
        Ok(None)
    }
}

/// `(source, argv)`, or `(name, source, argv)` when the place of the name is given.
fn create(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    named: Option<usize>,
) -> NativeResult {
    let what = "a string source and a list of strings";
    let first = named.map_or(0, |place| place + 1);
    let source = String::from(text(args, first, name, what)?.as_str());
    let arguments = argument_list(args, first + 1, name)?;
    let title = match named {
        Some(place) => String::from(text(args, place, name, what)?.as_str()),
        None => String::from("task"),
    };
    cx.charge(1 + source.len())?;
    let origin = Origin {
        name: title,
        source,
        arguments,
        turns: Vec::new(),
    };
    add(cx, origin)
}

/// A new task that is as far as `origin` says.
fn add(cx: &mut NativeContext<'_>, origin: Origin) -> NativeResult {
    let scheduler = cx.state::<Scheduler>();
    if scheduler.tasks.len() >= MAX_TASKS {
        return Err(NativeError::system("too many tasks"));
    }
    let id = scheduler.next_id();
    let turns = origin.turns.clone();
    let mut task = Task::new(id, origin);
    for (steps, times) in turns {
        for _ in 0..times {
            let done = task.run(steps);
            cx.charge(usize::try_from(done).unwrap_or(usize::MAX))?;
        }
    }
    task.output.borrow_mut().clear();
    cx.state::<Scheduler>().tasks.push(task);
    Ok(Value::Int(id))
}

fn id_of(args: &[Value], name: &str) -> Result<i64, NativeError> {
    integer(args, 0, name, "an integer id")
}

fn steps_of(args: &[Value], index: usize, name: &str) -> Result<u64, NativeError> {
    Ok(
        u64::try_from(integer(args, index, name, "a number of steps")?)
            .unwrap_or(0)
            .min(1 << 32),
    )
}

fn step(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let (id, steps) = (id_of(args, name)?, steps_of(args, 1, name)?);
    run_task(cx, id, steps)
}

fn run_task(cx: &mut NativeContext<'_>, id: i64, steps: u64) -> NativeResult {
    cx.state::<Scheduler>().task(id)?;
    let mut done = 0;
    while done < steps {
        let task = cx.state::<Scheduler>().task(id)?;
        if task.state != State::Ready {
            break;
        }
        let turn = (steps - done).min(SESSION_STEPS);
        task.origin.remember(turn)?;
        let made = task.run(turn);
        done += made.max(1);
        cx.charge(usize::try_from(made).unwrap_or(usize::MAX))?;
    }
    Ok(Value::Int(i64::try_from(done).unwrap_or(i64::MAX)))
}

/// One turn for the next task that is ready, in the order of their numbers.
fn step_ready(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let steps = steps_of(args, 0, "scheduler_step_ready")?;
    let scheduler = cx.state::<Scheduler>();
    let ready: Vec<i64> = scheduler
        .tasks
        .iter()
        .filter(|task| task.state == State::Ready)
        .map(|task| task.id)
        .collect();
    let last = scheduler.last_stepped;
    let Some(next) = ready
        .iter()
        .copied()
        .find(|id| *id > last)
        .or(ready.first().copied())
    else {
        return Ok(Value::Int(0));
    };
    scheduler.last_stepped = next;
    run_task(cx, next, steps)
}

fn status(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id_of(args, "vm_task_status")?;
    let state = cx.state::<Scheduler>().task(id)?.state.name();
    Ok(cx.heap().string(state)?)
}

fn output_lines(cx: &mut NativeContext<'_>, output: &str) -> NativeResult {
    cx.charge(1 + output.len() / 16)?;
    let lines: Vec<&str> = output.lines().collect();
    Ok(string_list(cx.heap(), lines.into_iter())?)
}

fn task_record(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let id = id_of(args, "scheduler_task")?;
    let task = cx.state::<Scheduler>().task(id)?;
    let (origin, state, snapshots) = (
        task.origin.clone(),
        task.state.name(),
        task.snapshots.clone(),
    );
    let output = task.output.borrow().clone();
    let heap = cx.heap().clone();
    let outputs = output_lines(cx, &output)?;
    let mut ids = heap.values(snapshots.len())?;
    ids.extend(snapshots.into_iter().map(Value::Int));
    let fields = alloc::vec![
        ("id", Value::Int(id)),
        ("name", heap.string(&origin.name)?),
        (
            "argv",
            string_list(&heap, origin.arguments.iter().map(String::as_str))?
        ),
        ("status", heap.string(state)?),
        ("outputs", outputs),
        ("snapshots", heap.list(ids)?),
    ];
    Ok(record(&heap, fields)?)
}

fn take_output(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let id = id_of(args, name)?;
    let output = core::mem::take(&mut *cx.state::<Scheduler>().task(id)?.output.borrow_mut());
    output_lines(cx, &output)
}

fn snapshot(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let id = id_of(args, name)?;
    let scheduler = cx.state::<Scheduler>();
    let origin = scheduler.task(id)?.origin.clone();
    if scheduler.snapshots.len() >= MAX_TASKS {
        return Err(NativeError::system("too many snapshots"));
    }
    let snapshot = scheduler.next_id();
    scheduler.snapshots.push((snapshot, origin));
    scheduler.task(id)?.snapshots.push(snapshot);
    Ok(Value::Int(snapshot))
}

fn restore(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let id = id_of(args, name)?;
    let scheduler = cx.state::<Scheduler>();
    let found = scheduler.snapshots.iter().find(|(known, _)| *known == id);
    let (_, mut origin) = found
        .cloned()
        .ok_or_else(|| NativeError::system(format!("scheduler snapshot not found: {id}")))?;
    if args.len() > 1 {
        origin.name =
            String::from(text(args, 1, name, "an integer id and a string name")?.as_str());
    }
    add(cx, origin)
}

fn drop_task(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str) -> NativeResult {
    let id = id_of(args, name)?;
    let scheduler = cx.state::<Scheduler>();
    scheduler.task(id)?;
    scheduler.tasks.retain(|task| task.id != id);
    Ok(Value::Int(0))
}

/// A prompt of the language inside a program: what one entry defines, the next ones see.
#[derive(Debug, Default)]
struct Session(Option<(Vm, Rc<RefCell<String>>)>);

fn end_session(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    cx.state::<Session>().0 = None;
    Ok(Value::Int(0))
}

/// Runs one entry and gives what it printed as lines; an error is the last of them.
fn session_step(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let entry = String::from(text(args, 0, "pebble_repl_step", "a string")?.as_str());
    let (mut vm, output) = match cx.state::<Session>().0.take() {
        Some(session) => session,
        None => {
            let output = Rc::new(RefCell::new(String::new()));
            let limits = Limits {
                memory_bytes: TASK_BYTES,
                ..Limits::default()
            };
            let system = TaskSystem {
                output: Rc::clone(&output),
            };
            (
                Vm::new(limits, Vec::new(), Box::new(system), &[&super::LIBRARY]),
                output,
            )
        }
    };
    let ended = run_entry(cx, &mut vm, &entry);
    let mut printed = core::mem::take(&mut *output.borrow_mut());
    if let Some(error) = ended? {
        printed.push_str(&error);
    }
    cx.state::<Session>().0 = Some((vm, output));
    output_lines(cx, &printed)
}

/// The message of an error in the entry, or the error that ends the program around it.
fn run_entry(
    cx: &mut NativeContext<'_>,
    vm: &mut Vm,
    entry: &str,
) -> Result<Option<String>, NativeError> {
    if let Err(error) = vm.load_source("repl", entry) {
        return Ok(Some(error.to_string()));
    }
    loop {
        cx.charge(SESSION_STEPS as usize)?;
        match vm.run(SESSION_STEPS) {
            Step::Finished(_) => return Ok(None),
            Step::Failed(error) => return Ok(Some(error.to_string())),
            Step::Yielded => {}
            Step::Blocked(_) => vm.wait(Patience::Poll),
        }
    }
}
