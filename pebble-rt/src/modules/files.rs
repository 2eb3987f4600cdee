//! Files and folders: the functions of language section 19 and `os`, with the exact texts of their errors.
//!
//! Paths are resolved here, against the working directory that the system reports; the system sees storage names only.
//!
//! | operation | arguments | answer |
//! |---|---|---|
//! | `cwd` | | text, absolute |
//! | `chdir` | name | nothing; NOENT, NOTDIR |
//! | `stat` | name | record `kind` (`file` `dir` `device`), `size`, `mtime_ms`, `mode`; NOENT |
//! | `read` | name | bytes; NOENT, ISDIR |
//! | `write` | name, bytes | nothing; creates the file and missing parents, replaces its content; ISDIR, PERM |
//! | `append` | name, bytes | as `write`, keeping the content |
//! | `create` | name, bytes | as `write`; EXIST |
//! | `modify` | name, bytes | as `write`; NOENT |
//! | `remove` | name | nothing; NOENT, ISDIR |
//! | `mkdir`, `rmdir` | name | nothing; EXIST; NOENT, NOTDIR, NOTEMPTY |
//! | `rename` | from, to | nothing; NOENT |
//! | `entries` | name | list of records `name`, `kind`, `size`, `mtime_ms`, sorted by name; NOENT, NOTDIR |
//! | `walk` | name | list of the storage names of all files below, sorted |
//! | `usage` | | list of two numbers: files, bytes |
//! | `sync` | | flag: whether something was written |

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::arguments::{count, one_or_zero, text};
use super::calendar::Calendar;
use super::path::{self, PathError};
use super::table::native_module;
use crate::error::{ErrorClass, NativeError};
use crate::native::{NativeContext, NativeFunction, NativeResult, Resume};
use crate::system::{Answer, Data, Family, Request, Started, SystemError};
use crate::value::Value;

/// Numbers of the errno table (system document section 4.4), and NOTEMPTY, which only the system itself uses.
pub mod errno {
    /// Not permitted.
    pub const PERM: i32 = 1;
    /// No such file, folder or process.
    pub const NOENT: i32 = 2;
    /// Input or output failed.
    pub const IO: i32 = 5;
    /// Would have to wait.
    pub const AGAIN: i32 = 11;
    /// Not enough memory.
    pub const NOMEM: i32 = 12;
    /// In use.
    pub const BUSY: i32 = 16;
    /// Exists already.
    pub const EXIST: i32 = 17;
    /// Not a folder.
    pub const NOTDIR: i32 = 20;
    /// A folder.
    pub const ISDIR: i32 = 21;
    /// An argument that makes no sense.
    pub const INVAL: i32 = 22;
    /// A pipe that nobody reads.
    pub const PIPE: i32 = 32;
    /// Not supported.
    pub const NOSYS: i32 = 38;
    /// A folder that has entries.
    pub const NOTEMPTY: i32 = 39;
}

/// The virtual nodes of `/dev` (5.7).
const DEVICES: [&str; 5] = [
    "dev/null",
    "dev/stderr",
    "dev/stdin",
    "dev/stdout",
    "dev/tty",
];

macro_rules! file_functions {
    ($($name:literal ($least:expr, $most:expr) $body:expr;)*) => {
        &[$(NativeFunction::new($name, $least, $most, $body).of(Family::Fs),)*]
    };
}

/// The plain functions.
pub static PLAIN: &[NativeFunction] = file_functions! {
    "read_file" (1, 1) |cx, args| read(cx, args, "read_file", Names::Paths);
    "write_file" (2, 2) |cx, args| store(cx, args, "write_file", Names::Paths, "write", written_text);
    "create_file" (2, 2) |cx, args| store(cx, args, "create_file", Names::Paths, "create", written_zero);
    "modify_file" (2, 2) |cx, args| store(cx, args, "modify_file", Names::Paths, "modify", written_zero);
    "delete_file" (1, 1) |cx, args| simple(cx, args, "delete_file", Names::Paths, "remove", done_with_file);
    "file_exists" (1, 1) |cx, args| file_exists(cx, args, "file_exists", Names::Paths);
    "directory_exists" (1, 1) |cx, args| directory_exists(cx, args, "directory_exists", Names::Paths);
    "directory_empty" (1, 1) |cx, args| simple(cx, args, "directory_empty", Names::Paths, "entries", is_empty);
    "make_directory" (1, 1) |cx, args| simple(cx, args, "make_directory", Names::Paths, "mkdir", done_with_directory);
    "remove_directory" (1, 1) |cx, args| simple(cx, args, "remove_directory", Names::Paths, "rmdir", done_with_directory);
    "file_time" (1, 1) |cx, args| file_time(cx, args, "file_time", Names::Paths);
    "list_files" (0, 0) list_files;
    "cwd" (0, 0) current_directory;
    "chdir" (1, 1) change_directory;
    "raw_read_file" (1, 1) |cx, args| read(cx, args, "raw_read_file", Names::Storage);
    "raw_write_file" (2, 2) |cx, args| store(cx, args, "raw_write_file", Names::Storage, "write", written_text);
    "raw_create_file" (2, 2) |cx, args| store(cx, args, "raw_create_file", Names::Storage, "create", written_zero);
    "raw_modify_file" (2, 2) |cx, args| store(cx, args, "raw_modify_file", Names::Storage, "modify", written_zero);
    "raw_delete_file" (1, 1) |cx, args| simple(cx, args, "raw_delete_file", Names::Storage, "remove", done_with_file);
    "raw_file_exists" (1, 1) |cx, args| file_exists(cx, args, "raw_file_exists", Names::Storage);
    "raw_directory_exists" (1, 1) |cx, args| directory_exists(cx, args, "raw_directory_exists", Names::Storage);
    "raw_directory_empty" (1, 1) |cx, args| simple(cx, args, "raw_directory_empty", Names::Storage, "entries", is_empty);
    "raw_make_directory" (1, 1) |cx, args| simple(cx, args, "raw_make_directory", Names::Storage, "mkdir", done_with_directory);
    "raw_remove_directory" (1, 1) |cx, args| simple(cx, args, "raw_remove_directory", Names::Storage, "rmdir", done_with_directory);
    "raw_file_time" (1, 1) |cx, args| file_time(cx, args, "raw_file_time", Names::Storage);
    "raw_list_files" (0, 0) list_storage_names;
    "fs_read" (1, 1) |cx, args| read(cx, args, "fs_read", Names::Storage);
    "fs_write" (2, 2) |cx, args| store(cx, args, "fs_write", Names::Storage, "write", written_text);
    "fs_create" (2, 2) |cx, args| store(cx, args, "fs_create", Names::Storage, "create", written_zero);
    "fs_modify" (2, 2) |cx, args| store(cx, args, "fs_modify", Names::Storage, "modify", written_zero);
    "fs_delete" (1, 1) |cx, args| simple(cx, args, "fs_delete", Names::Storage, "remove", done_with_file);
    "fs_exists" (1, 1) |cx, args| file_exists(cx, args, "fs_exists", Names::Storage);
    "fs_directory_exists" (1, 1) |cx, args| directory_exists(cx, args, "fs_directory_exists", Names::Storage);
    "fs_directory_empty" (1, 1) |cx, args| simple(cx, args, "fs_directory_empty", Names::Storage, "entries", is_empty);
    "fs_make_directory" (1, 1) |cx, args| simple(cx, args, "fs_make_directory", Names::Storage, "mkdir", done_with_directory);
    "fs_remove_directory" (1, 1) |cx, args| simple(cx, args, "fs_remove_directory", Names::Storage, "rmdir", done_with_directory);
    "fs_time" (1, 1) |cx, args| file_time(cx, args, "fs_time", Names::Storage);
    "fs_list" (0, 0) list_storage_names;
    "filesystem_file_count" (0, 0) |cx, args| cx.ask(args, Family::Fs, "usage", Vec::new(), |_, _, answer| usage(answer, 0));
    "filesystem_total_bytes" (0, 0) |cx, args| cx.ask(args, Family::Fs, "usage", Vec::new(), |_, _, answer| usage(answer, 1));
    "filesystem_sync" (0, 0) |cx, args| cx.ask(args, Family::Fs, "sync", Vec::new(), synced);
    "sync_filesystem" (0, 0) |cx, args| cx.ask(args, Family::Fs, "sync", Vec::new(), synced);
    "storage_name" (1, 1) storage_name;
    "normalize_path" (1, 1) normalize_path;
    "display_path" (1, 1) display_path;
    "split_path" (1, 1) split_path;
    "join_path_parts" (1, 1) join_path_parts;
    "is_system_path" (1, 1) is_system_path;
    "user_path_error" (1, 1) user_path_error;
    "virtual_dev_nodes" (0, 0) virtual_dev_nodes;
    "is_virtual_dev_path" (1, 1) is_virtual_dev_path;
    "virtual_dev_is_directory" (1, 1) virtual_dev_is_directory;
};

native_module! {
    "os", Family::Fs;
    plain {
        "list" as "os_list" (0, 0) list_files;
        "exists" as "os_exists" (1, 1) |cx, args| file_exists(cx, args, "os_exists", Names::Paths);
        "read" as "os_read" (1, 1) |cx, args| read(cx, args, "os_read", Names::Paths);
        "write" as "os_write" (2, 2) |cx, args| store(cx, args, "os_write", Names::Paths, "write", written_text);
        "delete" as "os_delete" (1, 1) |cx, args| simple(cx, args, "os_delete", Names::Paths, "remove", done_with_file);
        "time" as "os_time" (1, 1) |cx, args| file_time(cx, args, "os_time", Names::Paths);
    }
    own {}
    constants {}
}

/// How a function's names are to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// Paths, relative to the working directory.
    Paths,
    /// Storage names, relative to the root.
    Storage,
}

/// The working directory of the program, known once it was asked for.
#[derive(Debug, Default)]
struct WorkingDirectory(Option<String>);

/// The working directory. The system keeps it with the process, so it answers at once.
pub(super) fn working_directory(cx: &mut NativeContext<'_>) -> String {
    if let Some(known) = &cx.state::<WorkingDirectory>().0 {
        return known.clone();
    }
    let request = Request {
        family: Family::Fs,
        operation: "cwd",
        arguments: Vec::new(),
    };
    let folder = match cx.start(request) {
        Started::Ready(Ok(Data::Text(folder))) => folder,
        _ => String::from("/"),
    };
    cx.state::<WorkingDirectory>().0 = Some(folder.clone());
    folder
}

impl From<PathError> for NativeError {
    fn from(error: PathError) -> NativeError {
        NativeError::system(error.to_string())
    }
}

/// Reads argument `index` as a path and puts its storage name in its place, for the texts of errors.
pub(super) fn resolve(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    index: usize,
    name: &str,
    names: Names,
) -> Result<String, NativeError> {
    let given = text(args, index, name, "a string path")?.as_str();
    let resolved = match names {
        Names::Storage if given.is_empty() => String::new(),
        Names::Storage => path::storage_name(given, "/")?,
        Names::Paths => {
            let folder = working_directory(cx);
            path::storage_name(given, &folder)?
        }
    };
    args[index] = cx.heap().string(&resolved)?;
    Ok(resolved)
}

fn is_device(name: &str) -> bool {
    DEVICES.contains(&name)
}

fn shown(args: &[Value]) -> &str {
    args.first().and_then(Value::as_str).unwrap_or("")
}

/// The error a program sees for a file operation on argument 0.
pub(super) fn file_error(args: &[Value], error: SystemError) -> NativeError {
    let name = shown(args);
    let text = match error.errno {
        errno::NOENT | errno::NOTDIR => format!("file '{name}' does not exist"),
        errno::EXIST => format!("file '{name}' already exists"),
        errno::ISDIR => format!("'{name}' is a directory"),
        _ => return NativeError::from(error),
    };
    NativeError::system(text)
}

/// The error a program sees for a folder operation on argument 0.
pub(super) fn directory_error(args: &[Value], error: SystemError) -> NativeError {
    let name = shown(args);
    let text = match error.errno {
        errno::NOENT | errno::NOTDIR => format!("directory '{name}' does not exist"),
        errno::EXIST => format!("directory '{name}' already exists"),
        errno::NOTEMPTY => format!("directory '{name}' is not empty"),
        _ => return NativeError::from(error),
    };
    NativeError::system(text)
}

fn simple(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    names: Names,
    operation: &'static str,
    resume: Resume,
) -> NativeResult {
    let resolved = resolve(cx, args, 0, name, names)?;
    cx.ask(
        args,
        Family::Fs,
        operation,
        vec![Data::Text(resolved)],
        resume,
    )
}

fn read(cx: &mut NativeContext<'_>, args: &mut [Value], name: &str, names: Names) -> NativeResult {
    simple(
        cx,
        args,
        name,
        names,
        "read",
        |cx, args, answer| match answer {
            Ok(Data::Bytes(bytes)) => text_of_bytes(cx, args, bytes),
            Ok(_) => Ok(cx.heap().string("")?),
            Err(error) => Err(file_error(args, error)),
        },
    )
}

/// Files are UTF-8; other bytes are shown as replacement characters.
pub(super) fn text_of_bytes(
    cx: &mut NativeContext<'_>,
    _: &[Value],
    bytes: Vec<u8>,
) -> NativeResult {
    cx.charge(1 + bytes.len() / 64)?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    Ok(cx.heap().owned_string(text)?)
}

fn store(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    names: Names,
    operation: &'static str,
    resume: Resume,
) -> NativeResult {
    let content = text(args, 1, name, "a string path and a string")?
        .as_str()
        .as_bytes()
        .to_vec();
    let resolved = resolve(cx, args, 0, name, names)?;
    cx.charge(1 + content.len() / 64)?;
    cx.ask(
        args,
        Family::Fs,
        operation,
        vec![Data::Text(resolved), Data::Bytes(content)],
        resume,
    )
}

fn written_text(_: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    answer.map_err(|error| file_error(args, error))?;
    Ok(args[1].clone())
}

fn written_zero(_: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    answer.map_err(|error| file_error(args, error))?;
    Ok(Value::Int(0))
}

fn done_with_file(_: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    answer.map_err(|error| file_error(args, error))?;
    Ok(Value::Int(0))
}

fn done_with_directory(
    _: &mut NativeContext<'_>,
    args: &mut [Value],
    answer: Answer,
) -> NativeResult {
    answer.map_err(|error| directory_error(args, error))?;
    Ok(Value::Int(0))
}

fn is_empty(_: &mut NativeContext<'_>, args: &mut [Value], answer: Answer) -> NativeResult {
    match answer.map_err(|error| directory_error(args, error))? {
        Data::List(entries) => Ok(one_or_zero(entries.is_empty())),
        _ => Ok(Value::Int(1)),
    }
}

/// A field of a record.
pub(super) fn field<'a>(data: &'a Data, name: &str) -> Option<&'a Data> {
    match data {
        Data::Record(fields) => fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value),
        _ => None,
    }
}

fn kind_of(data: &Data) -> &str {
    match field(data, "kind") {
        Some(Data::Text(kind)) => kind,
        _ => "",
    }
}

fn file_exists(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    names: Names,
) -> NativeResult {
    let resolved = resolve(cx, args, 0, name, names)?;
    if is_device(&resolved) {
        return Ok(Value::Int(1));
    }
    cx.ask(
        args,
        Family::Fs,
        "stat",
        vec![Data::Text(resolved)],
        |_, _, answer| {
            Ok(one_or_zero(answer.is_ok_and(|data| {
                matches!(kind_of(&data), "file" | "device")
            })))
        },
    )
}

fn directory_exists(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    names: Names,
) -> NativeResult {
    let resolved = resolve(cx, args, 0, name, names)?;
    if resolved == "dev" {
        return Ok(Value::Int(1));
    }
    cx.ask(
        args,
        Family::Fs,
        "stat",
        vec![Data::Text(resolved)],
        |_, _, answer| {
            Ok(one_or_zero(
                answer.is_ok_and(|data| kind_of(&data) == "dir"),
            ))
        },
    )
}

fn file_time(
    cx: &mut NativeContext<'_>,
    args: &mut [Value],
    name: &str,
    names: Names,
) -> NativeResult {
    let resolved = resolve(cx, args, 0, name, names)?;
    if resolved == "dev" || is_device(&resolved) {
        return cx.ask(
            args,
            Family::Clock,
            "now",
            Vec::new(),
            |cx, _, answer| match answer {
                Ok(Data::Number(milliseconds)) => time_text(cx, milliseconds),
                _ => time_text(cx, 0),
            },
        );
    }
    cx.ask(
        args,
        Family::Fs,
        "stat",
        vec![Data::Text(resolved)],
        |cx, args, answer| {
            let data = answer.map_err(|error| file_error(args, error))?;
            match field(&data, "mtime_ms") {
                Some(Data::Number(milliseconds)) => time_text(cx, *milliseconds),
                _ => time_text(cx, 0),
            }
        },
    )
}

/// A moment in the system's own form.
pub(super) fn time_text(cx: &mut NativeContext<'_>, milliseconds: i64) -> NativeResult {
    Ok(cx
        .heap()
        .owned_string(Calendar::from_unix(milliseconds.div_euclid(1000)).to_text())?)
}

fn list_files(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let folder = working_directory(cx);
    let name = path::storage_name(&folder, "/")?;
    cx.ask(
        args,
        Family::Fs,
        "walk",
        vec![Data::Text(name)],
        |cx, _, answer| {
            let folder = working_directory(cx);
            let prefix = if folder == "/" {
                String::new()
            } else {
                format!("{}/", &folder[1..])
            };
            listed(cx, answer?, &prefix)
        },
    )
}

fn list_storage_names(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    cx.ask(
        args,
        Family::Fs,
        "walk",
        vec![Data::Text(String::new())],
        |cx, _, answer| listed(cx, answer?, ""),
    )
}

/// The names below `prefix`, without it, sorted; the virtual nodes of `/dev` are added where they belong.
fn listed(cx: &mut NativeContext<'_>, answer: Data, prefix: &str) -> NativeResult {
    let mut names: Vec<String> = match answer {
        Data::List(names) => names.into_iter().filter_map(into_text).collect(),
        _ => Vec::new(),
    };
    names.extend(core::iter::once("dev").chain(DEVICES).map(String::from));
    let mut below: Vec<&str> = names
        .iter()
        .filter_map(|name| name.strip_prefix(prefix))
        .collect();
    cx.charge(1 + below.len())?;
    below.sort_unstable();
    below.dedup();
    Ok(super::arguments::string_list(cx.heap(), below.into_iter())?)
}

fn into_text(data: Data) -> Option<String> {
    match data {
        Data::Text(text) => Some(text),
        _ => None,
    }
}

fn usage(answer: Answer, index: usize) -> NativeResult {
    match answer? {
        Data::List(numbers) => match numbers.get(index) {
            Some(Data::Number(number)) => Ok(Value::Int(*number)),
            _ => Ok(Value::Int(0)),
        },
        _ => Ok(Value::Int(0)),
    }
}

fn synced(_: &mut NativeContext<'_>, _: &mut [Value], answer: Answer) -> NativeResult {
    Ok(one_or_zero(answer? == Data::Flag(true)))
}

fn current_directory(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    let folder = working_directory(cx);
    Ok(cx.heap().owned_string(folder)?)
}

fn change_directory(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let resolved = resolve(cx, args, 0, "chdir", Names::Paths)?;
    cx.ask(
        args,
        Family::Fs,
        "chdir",
        vec![Data::Text(resolved)],
        |cx, args, answer| {
            answer.map_err(|error| directory_error(args, error))?;
            let folder = path::display_path(shown(args));
            cx.state::<WorkingDirectory>().0 = Some(folder.clone());
            Ok(cx.heap().owned_string(format!("__cwd__:{folder}"))?)
        },
    )
}

fn storage_name(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    resolve(cx, args, 0, "storage_name", Names::Paths)?;
    Ok(args[0].clone())
}

fn normalize_path(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let resolved = resolve(cx, args, 0, "normalize_path", Names::Paths)?;
    Ok(cx.heap().owned_string(path::display_path(&resolved))?)
}

fn display_path(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = text(args, 0, "display_path", "a string")?.as_str();
    Ok(cx.heap().owned_string(path::display_path(name))?)
}

fn split_path(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let parts: Vec<&str> = text(args, 0, "split_path", "a string")?
        .as_str()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    Ok(super::arguments::string_list(cx.heap(), parts.into_iter())?)
}

fn join_path_parts(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let parts = super::arguments::strings(args, 0, "join_path_parts", "a list of strings")?;
    Ok(cx.heap().owned_string(parts.join("/"))?)
}

fn is_system_path(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(one_or_zero(path::is_system(
        text(args, 0, "is_system_path", "a string")?.as_str(),
    )))
}

fn user_path_error(cx: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let message =
        match path::storage_name(text(args, 0, "user_path_error", "a string")?.as_str(), "/") {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
    Ok(cx.heap().owned_string(message)?)
}

fn virtual_dev_nodes(cx: &mut NativeContext<'_>, _: &mut [Value]) -> NativeResult {
    let nodes: Vec<&str> = core::iter::once("dev").chain(DEVICES).collect();
    Ok(super::arguments::string_list(cx.heap(), nodes.into_iter())?)
}

fn is_virtual_dev_path(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    let name = text(args, 0, "is_virtual_dev_path", "a string")?.as_str();
    Ok(one_or_zero(name == "dev" || is_device(name)))
}

fn virtual_dev_is_directory(_: &mut NativeContext<'_>, args: &mut [Value]) -> NativeResult {
    Ok(one_or_zero(
        text(args, 0, "virtual_dev_is_directory", "a string")?.as_str() == "dev",
    ))
}

/// Plain data of the system's as a value.
pub(super) fn value_of(cx: &mut NativeContext<'_>, data: Data) -> NativeResult {
    cx.charge(1)?;
    Ok(match data {
        Data::None => Value::None,
        Data::Flag(flag) => Value::bool(flag),
        Data::Number(number) => Value::Int(number),
        Data::Float(number) => Value::float(number),
        Data::Text(text) => cx.heap().owned_string(text)?,
        Data::Bytes(bytes) => cx.heap().bytes(bytes)?,
        Data::List(items) => {
            let mut values = cx.heap().values(items.len())?;
            for item in items {
                let value = value_of(cx, item)?;
                values.push(value);
            }
            cx.heap().list(values)?
        }
        Data::Record(fields) => {
            let mut dict = crate::value::DictObj::new(cx.heap())?;
            for (name, item) in fields {
                let value = value_of(cx, item)?;
                let key = cx.heap().owned_string(name)?;
                super::arguments::insert_text_key(&mut dict, key, value)?;
            }
            cx.heap().dict_value(dict)
        }
    })
}

/// How deep plain data may nest.
const DATA_DEPTH: usize = 32;

/// A value as plain data, if it is.
pub(super) fn data_of(value: &Value) -> Option<Data> {
    data_to_depth(value, DATA_DEPTH)
}

fn data_to_depth(value: &Value, depth: usize) -> Option<Data> {
    let depth = depth.checked_sub(1)?;
    let inner = |value: &Value| data_to_depth(value, depth);
    Some(match value {
        Value::None | Value::Undefined => Data::None,
        Value::Bool(flag) => Data::Flag(flag.get()),
        Value::Int(number) => Data::Number(*number),
        Value::Float(number) => Data::Float(number.get()),
        Value::Str(text) => Data::Text(text.as_str().to_string()),
        Value::Bytes(bytes) => Data::Bytes(bytes.as_slice().to_vec()),
        Value::List(items) => Data::List(items.iter().map(inner).collect::<Option<_>>()?),
        Value::Tuple(items) => Data::List(items.iter().map(inner).collect::<Option<_>>()?),
        Value::Dict(dict) => Data::Record(
            dict.iter()
                .map(|(key, value)| Some((key.as_str()?.to_string(), inner(value)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// The error for an argument that has no plain form.
pub(super) fn not_plain(name: &str) -> NativeError {
    NativeError::new(ErrorClass::Type, format!("{name}() expects plain values"))
}

/// A number from an answer.
pub(super) fn number_of(answer: Answer) -> NativeResult {
    match answer? {
        Data::Number(number) => Ok(Value::Int(number)),
        Data::List(items) => Ok(count(items.len())),
        _ => Ok(Value::Int(0)),
    }
}
