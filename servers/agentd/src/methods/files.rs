//! `fs.*` and `log.read`

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::{Params, wrong};
use agentd::rpc::{Code, RpcError};
use libipc::CallError;
use protocols::directory::{self, Create, Error, FileType, Metadata, OpenOptions};
use protocols::{file, log};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::declaration::{Access, Effect, Example, Method, Outcome, task};
use super::{CURSOR, Context, LIMIT, MAX_LIST, NEXT_CURSOR, Page};
use crate::budget::Reserved;
use crate::glob;
use crate::shape::{Member, Shape, U32, U64, member, optional};
use crate::system::{System, error};

/// Bytes that one read gives, at most.
const MAX_READ: u64 = 512 * 1024;

/// What a byte of a file takes: itself, in base 64, and in the text of the reply.
const BYTES_PER_BYTE: usize = 4;
/// How often a file that changes while it is read is read again.
const MAX_ATTEMPTS: usize = 8;

/// The parameter that all of `fs` have.
const PATH: Member = member("path", Shape::Text).doc("absolute");
/// How bytes are written in JSON.
const ENCODING: Shape = Shape::Word(&["utf8", "b64"]);
/// A moment of the wall clock.
const EPOCH_NS: Shape = Shape::Integer(i64::MIN, i64::MAX as u64);

macro_rules! metadata {
    ($($more:expr),*) => {
        Shape::Object(&[
            member("type", Shape::Word(&["file", "directory", "device"])),
            member("size", U64),
            member("mode", U32).doc("the nine bits of POSIX"),
            member("uid", U32),
            member("gid", U32),
            member("mtime_ns", EPOCH_NS),
            member("ctime_ns", EPOCH_NS),
            member("links", U32),
            member("version", U64).doc("grows with every change"),
            $($more),*
        ])
    };
}

/// One entry of a directory.
const ENTRY: Shape = metadata![member("name", Shape::Text)];
/// One record of the log.
const RECORD: Shape = Shape::Object(&[
    member("seq", U64),
    member("time_ns", U64).doc("since boot"),
    member("service", Shape::Text),
    member("pid", U32),
    member("level", Shape::Word(LEVELS)),
    member("message", Shape::Text),
    member("fields", Shape::Map(&Shape::Text)),
]);
/// Levels by name, what matters most first.
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];

/// The methods that are declared here.
pub const METHODS: &[Method] = &[
    Method {
        name: "fs.stat",
        summary: "Describes a file",
        access: Access::Scope("fs.read"),
        effect: Effect::Reads,
        params: &[PATH, optional("follow", Shape::Boolean)],
        result: metadata![],
        errors: &[Code::NotFound, Code::Forbidden, Code::Io],
        example: Example {
            params: r#"{"path": "/motd"}"#,
            result: r#"{"type": "file", "size": 12, "mode": 420, "uid": 0, "gid": 0, "mtime_ns": 1767225600000000000, "ctime_ns": 1767225600000000000, "links": 1, "version": 2}"#,
        },
        since: "0.2",
        by: task!(stat),
    },
    Method {
        name: "fs.list",
        summary: "Lists a directory",
        access: Access::Scope("fs.read"),
        effect: Effect::Reads,
        params: &[
            PATH,
            LIMIT,
            CURSOR,
            optional("recursive", Shape::Boolean).doc("what is below, too, with names like a/b"),
            optional("glob", Shape::Text).doc("only names that fit: *, ?, [a-z]"),
        ],
        result: Shape::Object(&[member("entries", Shape::Array(&ENTRY)), NEXT_CURSOR]),
        errors: &[
            Code::NotFound,
            Code::Forbidden,
            Code::InvalidState,
            Code::Io,
        ],
        example: Example {
            params: r#"{"path": "/", "limit": 1}"#,
            result: r#"{"entries": [{"type": "file", "size": 12, "mode": 420, "uid": 0, "gid": 0, "mtime_ns": 1767225600000000000, "ctime_ns": 1767225600000000000, "links": 1, "version": 2, "name": "motd"}], "next_cursor": "motd"}"#,
        },
        since: "0.2",
        by: task!(list),
    },
    Method {
        name: "fs.read",
        summary: "Reads a file, 512 KiB at most",
        access: Access::Scope("fs.read"),
        effect: Effect::Reads,
        params: &[
            PATH,
            optional("offset", U64),
            optional("length", Shape::Integer(0, MAX_READ)),
            optional("encoding", ENCODING),
            optional("sha256", Shape::Boolean).doc("of what is given"),
        ],
        result: Shape::Object(&[
            member("data", Shape::Text),
            member("encoding", ENCODING).doc("b64 if the bytes are no UTF-8"),
            member("eof", Shape::Boolean),
            member("size", U64),
            member("version", U64),
            optional("sha256", Shape::Text),
        ]),
        errors: &[
            Code::NotFound,
            Code::Forbidden,
            Code::InvalidState,
            Code::Io,
        ],
        example: Example {
            params: r#"{"path": "/motd"}"#,
            result: r#"{"data": "hello\\n", "encoding": "utf8", "eof": true, "size": 6, "version": 2}"#,
        },
        since: "0.2",
        by: task!(read),
    },
    Method {
        name: "fs.write",
        summary: "Writes a file; without an offset it becomes all there is, at once",
        access: Access::Scope("fs.write"),
        effect: Effect::Acts,
        params: &[
            PATH,
            member("data", Shape::Text),
            optional("encoding", ENCODING),
            optional("offset", U64),
            optional("mode", Shape::Integer(0, 0o777)),
            optional("create", Shape::Boolean).doc("true: it need not exist"),
            optional("expect_version", U64).doc("0: it does not exist"),
            optional("atomic", Shape::Boolean)
                .doc("true without an offset: who reads has the old contents or the new"),
        ],
        result: Shape::Object(&[
            member("written", U64),
            member("size", U64),
            member("version", U64),
        ]),
        errors: &[
            Code::NotFound,
            Code::Forbidden,
            Code::Conflict,
            Code::InvalidState,
            Code::Io,
            Code::LimitReached,
        ],
        example: Example {
            params: r#"{"path": "/motd", "data": "hello\\n"}"#,
            result: r#"{"written": 6, "size": 6, "version": 3}"#,
        },
        since: "0.2",
        by: task!(write),
    },
    Method {
        name: "log.read",
        summary: "Records of the log",
        access: Access::Scope("log.read"),
        effect: Effect::Reads,
        params: &[
            optional("service", Shape::Text),
            optional("level", Shape::Word(LEVELS)).doc("this one and what matters more"),
            optional("since_seq", U64),
            optional("until", U64).doc("nanoseconds since boot"),
            optional("grep", Shape::Text).doc("text in the message"),
            optional("tail", Shape::Integer(0, MAX_LIST as u64)).doc("only the newest so many"),
            LIMIT,
        ],
        result: Shape::Object(&[
            member("records", Shape::Array(&RECORD)),
            member("next_seq", U64).doc("where to go on"),
            member("lost", U64).doc("wanted, but no longer kept"),
        ]),
        errors: &[],
        example: Example {
            params: r#"{"service": "netd", "tail": 1}"#,
            result: r#"{"records": [{"seq": 7, "time_ns": 900000000, "service": "netd", "pid": 9, "level": "info", "message": "link up", "fields": {}}], "next_seq": 8, "lost": 0}"#,
        },
        since: "0.2",
        by: task!(log),
    },
];

/// An error of a file system's.
pub fn of_files(error: Error) -> RpcError {
    let io = |text: &str, errno: &str| RpcError::new(Code::Io, text).with("errno", errno);
    match error {
        Error::NotFound => {
            RpcError::new(Code::NotFound, "no such file or directory").with("what", "path")
        }
        Error::AlreadyExists => RpcError::new(Code::AlreadyExists, "it exists already"),
        Error::NotADirectory => RpcError::new(Code::InvalidState, "not a directory"),
        Error::IsADirectory => RpcError::new(Code::InvalidState, "it is a directory"),
        Error::NotEmpty => RpcError::new(Code::InvalidState, "the directory is not empty"),
        Error::ReadOnly => RpcError::new(Code::Forbidden, "it can't be written"),
        Error::NotPermitted => RpcError::new(Code::Forbidden, "it is not allowed"),
        Error::InvalidName | Error::Escapes => {
            RpcError::new(Code::InvalidParams, "the path is not valid").with("path", "/path")
        }
        Error::TooLarge { limit } => {
            RpcError::new(Code::TooLarge, "too large").with("limit", limit)
        }
        Error::NoSpace => io("no space left", "ENOSPC"),
        Error::CrossDevice => io("from one file system to another", "EXDEV"),
        Error::Conflict { current } => {
            RpcError::new(Code::Conflict, "the version is another").with("current", current)
        }
        Error::LimitReached => RpcError::new(Code::LimitReached, "too many open files"),
        Error::Io => io("the device failed", "EIO"),
    }
}

fn path(context: &Context, params: &mut Params) -> Result<String, RpcError> {
    reachable(context, &params.string("path")?)
}

/// A path without `..`, if the token reaches it.
pub fn reachable(context: &Context, path: &str) -> Result<String, RpcError> {
    let names = directory::names(path).map_err(of_files)?;
    let path = format!("/{}", names.join("/"));
    match &context.subject {
        Some(token) if token.allows_path(&path) => Ok(path),
        _ => {
            Err(RpcError::new(Code::Forbidden, "this path is out of reach")
                .with("required", "paths"))
        }
    }
}

/// All of a file that has at most `limit` bytes.
pub async fn whole(
    system: &System,
    context: &Context,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, RpcError> {
    let part = Part {
        path,
        offset: 0,
        length: limit,
    };
    let (bytes, metadata, _) = part.read(system, context).await?;
    if metadata.size > limit {
        return Err(RpcError::new(Code::TooLarge, "the file is too large")
            .with("limit", limit)
            .with("size", metadata.size));
    }
    Ok(bytes)
}

fn describe(metadata: &Metadata) -> Value {
    json!({
        "type": match metadata.file_type {
            FileType::File => "file",
            FileType::Directory => "directory",
            FileType::Device => "device",
        },
        "size": metadata.size,
        "mode": metadata.mode,
        "uid": metadata.uid,
        "gid": metadata.gid,
        "mtime_ns": metadata.modified_ns,
        "ctime_ns": metadata.changed_ns,
        "links": metadata.links,
        "version": metadata.version,
    })
}

async fn metadata_of(system: &System, context: &Context, path: &str) -> Result<Metadata, RpcError> {
    let started = system
        .directory
        .start_stat(&system.calls, context.deadline(), path);
    system.ask("vfs", started, of_files).await
}

async fn stat(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let path = path(&context, &mut params)?;
    // No filesystem has links yet, so there is none to follow or not.
    params.flag_unless_denied("follow")?;
    params.finish()?;
    Ok(describe(&metadata_of(&system, &context, &path).await?))
}

async fn list(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let root = path(&context, &mut params)?;
    let Page { limit, cursor } = super::page(&mut params)?;
    let is_recursive = params.flag("recursive")?;
    let pattern = params.optional_string("glob")?;
    params.finish()?;
    let mut walk = Walk {
        root,
        is_recursive,
        ahead: Walk::resume(&cursor, is_recursive),
    };
    let (mut entries, mut last) = (Vec::new(), String::new());
    while entries.len() < limit {
        let Some(found) = walk.next(&system, &context).await? else {
            return Ok(json!({ "entries": entries, "next_cursor": null }));
        };
        for (name, metadata) in found {
            let own = name.rsplit('/').next().unwrap_or_default();
            if pattern
                .as_ref()
                .is_none_or(|pattern| glob::fits(pattern, own))
            {
                let mut value = describe(&metadata);
                value["name"] = name.as_str().into();
                entries.push(value);
            }
            last = name;
            if entries.len() == limit {
                break;
            }
        }
    }
    Ok(json!({ "entries": entries, "next_cursor": last }))
}

/// A walk through a directory and, if it is wanted, all below it: a directory comes before what is in it.
struct Walk {
    root: String,
    is_recursive: bool,
    /// Directories that are not done, innermost last, relative to the root, and the name in each that was the last.
    ahead: Vec<(String, String)>,
}

impl Walk {
    /// Where to go on after the entry of this name.
    fn resume(cursor: &str, is_recursive: bool) -> Vec<(String, String)> {
        let mut ahead = Vec::new();
        let mut folder = String::new();
        for name in cursor.split('/').filter(|name| !name.is_empty()) {
            ahead.push((folder.clone(), String::from(name)));
            folder = joined(&folder, name);
        }
        // What is in the entry itself comes next, if it is a directory.
        if is_recursive || cursor.is_empty() {
            ahead.push((folder, String::new()));
        }
        ahead
    }

    /// The next entries with their names relative to the root; `None` at the end.
    async fn next(
        &mut self,
        system: &System,
        context: &Context,
    ) -> Result<Option<Vec<(String, Metadata)>>, RpcError> {
        while let Some((folder, after)) = self.ahead.pop() {
            let path = joined(&self.root, &folder);
            let started =
                system
                    .directory
                    .start_list(&system.calls, context.deadline(), &path, &after);
            let answer = system.call(started).await;
            let listing = match answer {
                Ok(listing) => listing,
                // It was a file when we stopped there, or is gone.
                Err(CallError::Method(Error::NotADirectory | Error::NotFound))
                    if !folder.is_empty() =>
                {
                    continue;
                }
                Err(failed) => return Err(error("vfs", of_files)(failed)),
            };
            let mut found = Vec::new();
            let mut is_complete = listing.next.is_none();
            let mut last = after;
            let mut below = None;
            for entry in listing.entries {
                last.clone_from(&entry.name);
                let name = joined(&folder, &entry.name);
                let is_folder = entry.metadata.file_type == FileType::Directory;
                found.push((name.clone(), entry.metadata));
                if self.is_recursive && is_folder {
                    below = Some(name);
                    is_complete = false;
                    break;
                }
            }
            if !is_complete && !found.is_empty() {
                self.ahead.push((folder, last));
            }
            self.ahead.extend(below.map(|below| (below, String::new())));
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", name) => String::from(name),
        (folder, "") => String::from(folder),
        (folder, name) => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}

async fn read(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let path = path(&context, &mut params)?;
    let offset = params
        .optional_integer("offset", 0..=i64::MAX as u64)?
        .unwrap_or(0);
    let length = params
        .optional_integer("length", 0..=MAX_READ)?
        .unwrap_or(MAX_READ);
    let encoding = params.encoding()?;
    let wants_digest = params.flag("sha256")?;
    params.finish()?;
    let part = Part {
        path: &path,
        offset,
        length,
    };
    let (data, metadata, reserved) = part.read(&system, &context).await?;
    let end = offset.saturating_add(data.len() as u64);
    let (text, encoding) = encoding.encode(&data);
    let mut result = json!({
        "data": text,
        "encoding": encoding.name(),
        "eof": end >= metadata.size,
        "size": metadata.size,
        "version": metadata.version,
    });
    if wants_digest {
        result["sha256"] = hex(&Sha256::digest(&data)).into();
    }
    drop(reserved);
    Ok(result)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A part of a file.
struct Part<'p> {
    path: &'p str,
    offset: u64,
    length: u64,
}

impl Part<'_> {
    /// Reads it as it is at one moment: when the file changes meanwhile, from the start.
    async fn read(
        &self,
        system: &System,
        context: &Context,
    ) -> Result<(Vec<u8>, Metadata, Option<Reserved>), RpcError> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(found) = self.try_read(system, context).await? {
                return Ok(found);
            }
        }
        Err(
            RpcError::new(Code::Busy, "the file changes while it is read")
                .with("retry_after_ms", 100),
        )
    }

    async fn try_read(
        &self,
        system: &System,
        context: &Context,
    ) -> Result<Option<(Vec<u8>, Metadata, Option<Reserved>)>, RpcError> {
        let (mut data, mut first, mut reserved) = (Vec::new(), None::<Metadata>, None);
        loop {
            let have = data.len() as u64;
            let wanted = (self.length - have).min(file::MAX_CHUNK_BYTES as u64) as u32;
            let started = system.directory.start_read(
                &system.calls,
                context.deadline(),
                self.path,
                self.offset.saturating_add(have),
                wanted,
            );
            let (bytes, metadata) = system.ask("vfs", started, of_files).await?;
            match &first {
                None => {
                    let size = metadata.size.saturating_sub(self.offset).min(self.length);
                    reserved = Some(system.reserve(size as usize * BYTES_PER_BYTE)?);
                    first = Some(metadata.clone());
                }
                Some(first) if first.version != metadata.version => return Ok(None),
                Some(_) => {}
            }
            data.extend_from_slice(&bytes);
            data.truncate(self.length as usize);
            let have = data.len() as u64;
            let is_all = bytes.is_empty()
                || have >= self.length
                || self.offset.saturating_add(have) >= metadata.size;
            if is_all {
                return Ok(Some((data, metadata, reserved)));
            }
        }
    }
}

/// What is to be written, and how.
struct Writing {
    path: String,
    data: Vec<u8>,
    offset: Option<u64>,
    mode: Option<u16>,
    creates: bool,
    is_atomic: bool,
    expected: Option<u64>,
}

impl Writing {
    fn take(context: &Context, params: &mut Params) -> Result<Self, RpcError> {
        let path = path(context, params)?;
        let encoding = params.encoding()?;
        let data = params.bytes("data", encoding)?;
        let offset = params.optional_integer("offset", 0..=i64::MAX as u64)?;
        let mode = params.optional_integer("mode", 0..=0o777)?;
        let creates = params.flag_unless_denied("create")?;
        let is_atomic = match offset {
            None => params.flag_unless_denied("atomic")?,
            Some(_) => params.flag("atomic")?,
        };
        let expected = params.optional_integer("expect_version", 0..=u64::MAX)?;
        params.finish()?;
        if is_atomic && offset.is_some() {
            return Err(wrong("atomic", "false, with an offset", None));
        }
        Ok(Self {
            path,
            data,
            offset,
            mode: mode.map(|mode| mode as u16),
            creates,
            is_atomic,
            expected,
        })
    }

    /// Checks what is there against what is expected; a file that does not exist has version 0.
    fn check(&self, found: Option<&Metadata>) -> Result<(), RpcError> {
        let current = found.map_or(0, |metadata| metadata.version);
        if self.expected.is_some_and(|expected| expected != current) {
            return Err(of_files(Error::Conflict { current }));
        }
        match found {
            None if !self.creates => Err(of_files(Error::NotFound)),
            Some(metadata) if metadata.file_type == FileType::Directory => {
                Err(of_files(Error::IsADirectory))
            }
            _ => Ok(()),
        }
    }

    async fn fill(
        &self,
        system: &System,
        context: &Context,
        file: &file::Client,
    ) -> Result<(), RpcError> {
        let mut at = self.offset.unwrap_or(0);
        for chunk in self.data.chunks(file::MAX_CHUNK_BYTES) {
            let started = file.start_write(&system.calls, context.deadline(), at, chunk);
            system.ask("vfs", started, of_files).await?;
            at = at.saturating_add(chunk.len() as u64);
        }
        Ok(())
    }

    async fn open(
        &self,
        system: &System,
        context: &Context,
        path: &str,
        options: OpenOptions,
    ) -> Result<file::Client, RpcError> {
        let started = system
            .directory
            .start_open(&system.calls, context.deadline(), path, options);
        let (opened, _) = system.ask("vfs", started, of_files).await?;
        Ok(file::Client::adopt(opened))
    }

    async fn in_place(&self, system: &System, context: &Context) -> Result<Metadata, RpcError> {
        let options = OpenOptions {
            read: true,
            write: true,
            create: if self.creates {
                Create::IfMissing
            } else {
                Create::Never
            },
            truncate: self.offset.is_none(),
        };
        let file = self.open(system, context, &self.path, options).await?;
        self.fill(system, context, &file).await?;
        if self.mode.is_some() {
            return set_mode(system, context, &self.path, self.mode, None).await;
        }
        let started = file.start_stat(&system.calls, context.deadline());
        system.ask("vfs", started, of_files).await
    }

    /// Writes another file and gives it the name at once: who reads has the old contents or the new.
    async fn replace(
        &self,
        system: &System,
        context: &Context,
        old: Option<&Metadata>,
    ) -> Result<Metadata, RpcError> {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut temporary = Temporary {
            system,
            path: format!("{folder}/.agentd-{:016x}", libipc::random::next_u64()),
            is_there: true,
        };
        let options = OpenOptions {
            read: true,
            write: true,
            create: Create::New,
            truncate: false,
        };
        let file = self.open(system, context, &temporary.path, options).await?;
        self.fill(system, context, &file).await?;
        let mode = self.mode.or(old.map(|old| old.mode));
        let owner = old.map(|old| (old.uid, old.gid));
        if mode.is_some() {
            set_mode(system, context, &temporary.path, mode, owner).await?;
        }
        let started = system.directory.start_rename(
            &system.calls,
            context.deadline(),
            &temporary.path,
            &self.path,
        );
        let metadata = system.ask("vfs", started, of_files).await?;
        temporary.is_there = false;
        Ok(metadata)
    }
}

async fn set_mode(
    system: &System,
    context: &Context,
    path: &str,
    mode: Option<u16>,
    owner: Option<(u32, u32)>,
) -> Result<Metadata, RpcError> {
    let started = system.directory.start_set_attributes(
        &system.calls,
        context.deadline(),
        path,
        mode,
        owner,
        None::<i64>,
    );
    system.ask("vfs", started, of_files).await
}

/// A file that goes with its writer, unless it got its name.
struct Temporary<'s> {
    system: &'s System,
    path: String,
    is_there: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if self.is_there {
            let (system, path) = (self.system.clone(), core::mem::take(&mut self.path));
            self.system.detach(async move {
                let started =
                    system
                        .directory
                        .start_remove(&system.calls, System::soon(), &path, false);
                // It may not have come into being.
                let _ = system.ask("vfs", started, of_files).await;
            });
        }
    }
}

async fn write(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let writing = Writing::take(&context, &mut params)?;
    let _one_at_a_time = system.locks.lock(&writing.path).await;
    let found = match metadata_of(&system, &context, &writing.path).await {
        Ok(metadata) => Some(metadata),
        Err(error) if error.code == Code::NotFound => None,
        Err(error) => return Err(error),
    };
    writing.check(found.as_ref())?;
    let is_device = found
        .as_ref()
        .is_some_and(|found| found.file_type == FileType::Device);
    let metadata = if writing.is_atomic && !is_device {
        writing.replace(&system, &context, found.as_ref()).await?
    } else {
        writing.in_place(&system, &context).await?
    };
    Ok(json!({
        "written": writing.data.len(),
        "size": metadata.size,
        "version": metadata.version,
    }))
}

async fn log(system: System, context: Rc<Context>, mut params: Params) -> Outcome {
    let levels = [
        ("error", log::Level::Error),
        ("warn", log::Level::Warn),
        ("info", log::Level::Info),
        ("debug", log::Level::Debug),
        ("trace", log::Level::Trace),
    ];
    let mut filter = log::Filter {
        service: params.optional_string("service")?,
        level: params.optional_word("level", &levels)?,
        since_seq: params.optional_integer("since_seq", 0..=u64::MAX)?,
        until_ns: params.optional_integer("until", 0..=u64::MAX)?,
        grep: params.optional_string("grep")?,
        tail: params
            .optional_integer("tail", 0..=MAX_LIST as u64)?
            .and_then(|tail| u32::try_from(tail).ok()),
    };
    let limit = params
        .optional_integer("limit", 1..=MAX_LIST as u64)?
        .unwrap_or(200) as usize;
    params.finish()?;
    let of_log = |error: log::Error| RpcError::new(Code::Internal, format!("logd: {error:?}"));
    let (mut records, mut lost) = (Vec::new(), 0_u64);
    loop {
        let started = system
            .log
            .start_read(&system.calls, context.deadline(), filter.clone());
        let page = system.ask("logd", started, of_log).await?;
        lost = lost.saturating_add(page.lost);
        let mut next_seq = page.next_seq;
        let is_last = !page.more || page.records.is_empty();
        for record in page.records {
            if records.len() == limit {
                next_seq = record.seq;
                break;
            }
            let subject = context.subject.as_ref();
            if subject.is_some_and(|token| token.allows_service(&record.service)) {
                records.push(describe_record(record));
            }
        }
        if is_last || records.len() >= limit {
            return Ok(json!({ "records": records, "next_seq": next_seq, "lost": lost }));
        }
        filter.since_seq = Some(next_seq);
        filter.tail = None;
    }
}

fn describe_record(record: log::Record) -> Value {
    let fields: Map<String, Value> = record
        .fields
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    json!({
        "seq": record.seq,
        "time_ns": record.time_ns,
        "service": record.service,
        "pid": record.pid,
        "level": format!("{:?}", record.level).to_lowercase(),
        "message": record.message,
        "fields": fields,
    })
}
