//! What the original runtime offered beside files and text: tables, the file system mode, the virtual store.
//!
//! A store is a dict from names to `[mtime, content]`; programs treat it as opaque.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{count, expects, insert_text_key, one_or_zero, record, string_list, text};
use super::store::{self, DIRECTORY_PREFIX, StoreEntry};
use crate::error::NativeError;
use crate::heap::{Heap, OutOfMemory};
use crate::native::{NativeContext, NativeFunction, NativeResult};
use crate::value::{DictObj, Value};

/// The functions.
pub static FUNCTIONS: &[NativeFunction] = &[
    NativeFunction::new("runtime_errno", 0, 0, |cx, _| numbers(cx.heap(), ERRNO)),
    NativeFunction::new("runtime_process_states", 0, 0, |cx, _| {
        states(cx.heap(), PROCESS_STATES)
    }),
    NativeFunction::new("runtime_thread_states", 0, 0, |cx, _| {
        states(cx.heap(), THREAD_STATES)
    }),
    NativeFunction::new("runtime_syscall_table", 0, 0, |cx, _| {
        names(cx.heap(), SYSCALLS)
    }),
    NativeFunction::new("runtime_banner", 0, 0, |cx, _| {
        Ok(cx.heap().string("Pebble OS 0.2.0")?)
    }),
    NativeFunction::new("active_fs_mode", 0, 0, |cx, _| {
        let mode = mode(cx);
        Ok(cx.heap().owned_string(mode)?)
    }),
    NativeFunction::new("is_hostfs_mode", 0, 0, |cx, _| {
        Ok(one_or_zero(mode(cx) == "hostfs"))
    }),
    NativeFunction::new("is_vfs_mode", 0, 0, |cx, _| {
        Ok(one_or_zero(mode(cx).starts_with("vfs-")))
    }),
    NativeFunction::new("vfs_boot_mode", 0, 0, |cx, _| {
        Ok(one_or_zero(mode(cx).starts_with("vfs-")))
    }),
    NativeFunction::new("mfs_import_mode", 0, 0, |cx, _| {
        Ok(one_or_zero(mode(cx) == "mfs-import"))
    }),
    // There is one real file system, so programs run under their own names (departure D5 of the system document).
    NativeFunction::new("fs_run_uses_shadow", 0, 1, |_, _| Ok(Value::Int(0))),
    NativeFunction::new("empty_vfs", 0, 0, |cx, _| {
        Ok(cx.heap().dict_value(DictObj::new(cx.heap())?))
    }),
    NativeFunction::new("parse_vfs", 1, 1, parse),
    NativeFunction::new("dump_vfs", 1, 1, dump),
    NativeFunction::new("vfs_visible_names", 1, 1, visible_names),
    NativeFunction::new("vfs_directory_exists", 2, 2, directory_exists),
    NativeFunction::new("vfs_directory_empty", 2, 2, directory_empty),
];

const ERRNO: &[(&str, i64)] = &[
    ("OK", 0),
    ("PERM", 1),
    ("NOENT", 2),
    ("IO", 5),
    ("AGAIN", 11),
    ("NOMEM", 12),
    ("BUSY", 16),
    ("EXIST", 17),
    ("NOTDIR", 20),
    ("ISDIR", 21),
    ("INVAL", 22),
    ("NOSYS", 38),
];

const PROCESS_STATES: &[&str] = &[
    "ready",
    "running",
    "foreground",
    "blocked-input",
    "blocked-tty",
    "blocked-mutex",
    "interrupted",
    "terminated",
    "done",
    "halted",
    "error",
];

const THREAD_STATES: &[&str] = &[
    "ready",
    "running",
    "blocked-input",
    "blocked-tty",
    "blocked-mutex",
    "halted",
    "error",
];

/// The names of the native interface, by family (section 4.1).
const SYSCALLS: &[(&str, &str)] = &[
    ("fs.open", "fd_open"),
    ("fs.read", "fd_read"),
    ("fs.write", "fd_write"),
    ("fs.close", "fd_close"),
    ("fs.stat", "fd_stat"),
    ("fs.readdir", "fd_readdir"),
    ("fs.list", "raw_list_files"),
    ("fs.exists", "raw_file_exists"),
    ("fs.create", "raw_create_file"),
    ("fs.modify", "raw_modify_file"),
    ("fs.delete", "raw_delete_file"),
    ("fs.time", "raw_file_time"),
    ("fs.read_file", "raw_read_file"),
    ("fs.write_file", "raw_write_file"),
    ("fs.directory_exists", "raw_directory_exists"),
    ("fs.mkdir", "raw_make_directory"),
    ("fs.rmdir", "raw_remove_directory"),
    ("fs.directory_empty", "raw_directory_empty"),
    ("fs.unlink", "raw_delete_file"),
    ("fs.sync", "filesystem_sync"),
    ("fs.cwd", "cwd"),
    ("fs.chdir", "chdir"),
    ("fs.file_count", "filesystem_file_count"),
    ("fs.total_bytes", "filesystem_total_bytes"),
    ("proc.run", "run_program"),
    ("proc.exec", "exec_program"),
    ("proc.spawn", "start_background_job"),
    ("proc.jobs", "list_background_jobs"),
    ("proc.ps", "list_processes"),
    ("proc.records", "list_process_records"),
    ("proc.children", "list_child_processes"),
    ("proc.foreground_group", "current_foreground_pgid"),
    ("proc.foreground", "foreground_job"),
    ("proc.background", "background_job"),
    ("proc.wait", "wait_process"),
    ("proc.wait_child", "wait_child_process"),
    ("proc.reap", "reap_process"),
    ("proc.kill", "kill_process"),
    ("proc.signals", "list_signal_events"),
    ("proc.drain_signals", "drain_signal_events"),
    ("thread.spawn", "thread_spawn_host"),
    ("thread.spawn_source", "thread_spawn_source_host"),
    ("thread.join", "thread_join_host"),
    ("thread.status", "thread_status_host"),
    ("thread.self", "thread_self_host"),
    ("thread.yield", "thread_yield_host"),
    ("thread.list", "list_thread_records"),
    ("sync.mutex_create", "mutex_create_host"),
    ("sync.mutex_lock", "mutex_lock_host"),
    ("sync.mutex_try_lock", "mutex_try_lock_host"),
    ("sync.mutex_unlock", "mutex_unlock_host"),
    ("sync.mutex_list", "list_mutex_records"),
    ("term.write", "term_write"),
    ("term.flush", "term_flush"),
    ("term.clear", "term_clear"),
    ("term.move", "term_move"),
    ("term.hide_cursor", "term_hide_cursor"),
    ("term.show_cursor", "term_show_cursor"),
    ("term.read_key", "term_read_key"),
    ("term.read_key_timeout", "term_read_key_timeout"),
    ("term.rows", "term_rows"),
    ("term.cols", "term_cols"),
    ("term.owner_pgid", "term_owner_pgid"),
    ("term.mode", "term_mode"),
    ("term.state", "term_state"),
    ("clock.now", "current_time"),
    ("clock.sleep", "sleep"),
    ("memory.info", "memory_size"),
    ("net.lookup", "net_lookup_host"),
    ("net.tcp_probe", "net_tcp_probe"),
    ("net.http_get", "net_http_get"),
    ("net.ai_chat", "ai_chat_complete"),
];

fn numbers(heap: &Heap, table: &[(&str, i64)]) -> NativeResult {
    Ok(record(
        heap,
        table
            .iter()
            .map(|(name, number)| (*name, Value::Int(*number)))
            .collect(),
    )?)
}

fn names(heap: &Heap, table: &[(&str, &str)]) -> NativeResult {
    let fields: Result<Vec<_>, OutOfMemory> = table
        .iter()
        .map(|(name, text)| Ok((*name, heap.string(text)?)))
        .collect();
    Ok(record(heap, fields?)?)
}

/// `{"BLOCKED_INPUT": "blocked-input", …}`.
fn states(heap: &Heap, table: &[&str]) -> NativeResult {
    let mut dict = DictObj::new(heap)?;
    for state in table {
        let name = state.to_ascii_uppercase().replace('-', "_");
        insert_text_key(&mut dict, heap.owned_string(name)?, heap.string(state)?)?;
    }
    Ok(heap.dict_value(dict))
}

/// What the program was told about its files; `hostfs` when nothing.
fn mode(cx: &mut NativeContext<'_>) -> String {
    match cx.global("FS_MODE") {
        Some(Value::Str(mode)) => mode.as_str().to_string(),
        _ => "hostfs".to_string(),
    }
}

fn parse(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let source = text(args, 0, "parse_vfs", "a string")?.as_str();
    cx.charge(1 + source.len() / 4)?;
    let entries =
        store::parse_store(source).map_err(|error| NativeError::value_error(error.to_string()))?;
    let mut dict = DictObj::new(cx.heap())?;
    for entry in entries {
        let mut pair = cx.heap().values(2)?;
        pair.push(cx.heap().owned_string(entry.modified)?);
        pair.push(cx.heap().owned_string(entry.content)?);
        let pair = cx.heap().list(pair)?;
        insert_text_key(&mut dict, cx.heap().owned_string(entry.name)?, pair)?;
    }
    Ok(cx.heap().dict_value(dict))
}

/// The entries of a store value.
fn entries(args: &[Value], name: &str) -> Result<Vec<StoreEntry>, NativeError> {
    let wanted = || expects(name, "a store");
    let Some(Value::Dict(dict)) = args.first() else {
        return Err(wanted());
    };
    let entry = |(key, value): (&Value, &Value)| {
        let Value::List(pair) = value else {
            return Err(wanted());
        };
        let field = |index: usize| {
            pair.get(index)
                .and_then(Value::as_str)
                .map(String::from)
                .ok_or_else(wanted)
        };
        Ok(StoreEntry {
            name: key.as_str().map(String::from).ok_or_else(wanted)?,
            modified: field(0)?,
            content: field(1)?,
        })
    };
    dict.iter().map(entry).collect()
}

fn dump(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let entries = entries(args, "dump_vfs")?;
    let bytes: usize = entries
        .iter()
        .map(|entry| 2 * (entry.name.len() + entry.modified.len() + entry.content.len()))
        .sum();
    cx.charge(1 + bytes / 8)?;
    cx.heap().charge(bytes)?;
    cx.heap().credit(bytes);
    Ok(cx.heap().owned_string(store::dump_store(&entries))?)
}

fn visible_names(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let mut names: Vec<String> = entries(args, "vfs_visible_names")?
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    names.retain(|name| !name.starts_with(DIRECTORY_PREFIX));
    names.sort_unstable();
    cx.charge(names.len())?;
    Ok(string_list(cx.heap(), names.iter().map(String::as_str))?)
}

fn directory_exists(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let entries = entries(args, "vfs_directory_exists")?;
    cx.charge(entries.len())?;
    let name = text(args, 1, "vfs_directory_exists", "a store and a string")?.as_str();
    Ok(one_or_zero(store::directory_exists(&entries, name)))
}

fn directory_empty(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let entries = entries(args, "vfs_directory_empty")?;
    cx.charge(entries.len())?;
    let below = format!(
        "{}/",
        text(args, 1, "vfs_directory_empty", "a store and a string")?.as_str()
    );
    let is_below = |entry: &StoreEntry| {
        entry
            .name
            .strip_prefix(DIRECTORY_PREFIX)
            .unwrap_or(&entry.name)
            .starts_with(&below)
    };
    let found = count(entries.iter().filter(|entry| is_below(entry)).count());
    Ok(one_or_zero(found.as_int() == Some(0)))
}
