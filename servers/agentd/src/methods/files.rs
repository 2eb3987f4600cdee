//! `fs.*` and `log.read`

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use protocols::directory::{self, Create, Error, FileType, Metadata, OpenOptions};
use protocols::{file, log};
use serde_json::{Value, json};

use super::declaration::{Access, By, Effect, Example, Method};
use super::{CURSOR, Context, LIMIT, MAX_LIST, NEXT_CURSOR, Page};
use crate::shape::{Member, Shape, U32, U64, member, optional};
use crate::system::{Answer, System, error};

/// Bytes that one read gives, at most.
const MAX_READ: u64 = 512 * 1024;

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
        params: &[PATH],
        result: metadata![],
        errors: &[Code::NotFound, Code::Forbidden, Code::Io],
        example: Example {
            params: r#"{"path": "/motd"}"#,
            result: r#"{"type": "file", "size": 12, "mode": 420, "uid": 0, "gid": 0, "mtime_ns": 1767225600000000000, "ctime_ns": 1767225600000000000, "links": 1, "version": 2}"#,
        },
        since: "0.2",
        by: By::Function(stat),
    },
    Method {
        name: "fs.list",
        summary: "Lists a directory",
        access: Access::Scope("fs.read"),
        effect: Effect::Reads,
        params: &[PATH, LIMIT, CURSOR],
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
        by: By::Function(list),
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
        ],
        result: Shape::Object(&[
            member("data", Shape::Text),
            member("encoding", ENCODING).doc("b64 if the bytes are no UTF-8"),
            member("eof", Shape::Boolean),
            member("size", U64),
            member("version", U64),
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
        by: By::Function(read),
    },
    Method {
        name: "fs.write",
        summary: "Writes a file; without an offset it becomes all there is",
        access: Access::Scope("fs.write"),
        effect: Effect::Acts,
        params: &[
            PATH,
            member("data", Shape::Text),
            optional("encoding", ENCODING),
            optional("offset", U64),
            optional("expect_version", U64),
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
        by: By::Function(write),
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
        by: By::Function(log),
    },
];

fn of_files(error: Error) -> RpcError {
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

/// A path that the token reaches, without `..`.
fn path(context: &Context, params: &mut Params) -> Result<String, RpcError> {
    let text = params.string("path")?;
    let names = directory::names(&text).map_err(of_files)?;
    let path = format!("/{}", names.join("/"));
    match &context.subject {
        Some(token) if token.allows_path(&path) => Ok(path),
        _ => {
            Err(RpcError::new(Code::Forbidden, "this path is out of reach")
                .with("required", "paths"))
        }
    }
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

/// `fs.stat`
pub fn stat(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let path = path(context, params)?;
    params.finish()?;
    let metadata = system
        .directory
        .stat(System::soon(), &path)
        .map_err(error("vfs", of_files))?;
    Ok(Answer::Now(Ok(describe(&metadata))))
}

/// `fs.list`
pub fn list(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let path = path(context, params)?;
    let Page {
        limit,
        cursor: mut after,
    } = super::page(params)?;
    params.finish()?;
    let (mut entries, mut more) = (Vec::new(), true);
    while more && entries.len() < limit {
        let listing = system
            .directory
            .list(System::soon(), &path, &after)
            .map_err(error("vfs", of_files))?;
        more = listing.next.is_some() && !listing.entries.is_empty();
        for entry in listing.entries {
            if entries.len() == limit {
                more = true;
                break;
            }
            let mut value = describe(&entry.metadata);
            value["name"] = entry.name.as_str().into();
            entries.push(value);
            after = entry.name;
        }
    }
    let next = more.then_some(after);
    Ok(Answer::Now(Ok(
        json!({ "entries": entries, "next_cursor": next }),
    )))
}

/// `fs.read`
pub fn read(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let path = path(context, params)?;
    let offset = params
        .optional_integer("offset", 0..=i64::MAX as u64)?
        .unwrap_or(0);
    let length = params
        .optional_integer("length", 0..=MAX_READ)?
        .unwrap_or(MAX_READ);
    let encoding = params.encoding()?;
    params.finish()?;
    let mut data = Vec::new();
    loop {
        let at = offset + data.len() as u64;
        let wanted = (length - data.len() as u64).min(file::MAX_CHUNK_BYTES as u64) as u32;
        let (bytes, metadata) = system
            .directory
            .read(System::soon(), &path, at, wanted)
            .map_err(error("vfs", of_files))?;
        let is_last = bytes.is_empty();
        data.extend_from_slice(&bytes);
        data.truncate(length as usize);
        let end = offset + data.len() as u64;
        if is_last || end >= metadata.size || data.len() as u64 >= length {
            let (text, encoding) = encoding.encode(&data);
            return Ok(Answer::Now(Ok(json!({
                "data": text,
                "encoding": encoding.name(),
                "eof": end >= metadata.size,
                "size": metadata.size,
                "version": metadata.version,
            }))));
        }
    }
}

/// `fs.write`
pub fn write(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
    let path = path(context, params)?;
    let encoding = params.encoding()?;
    let data = params.bytes("data", encoding)?;
    let offset = params.optional_integer("offset", 0..=i64::MAX as u64)?;
    let expected = params.optional_integer("expect_version", 0..=u64::MAX)?;
    params.finish()?;
    if let Some(expected) = expected {
        let current = system
            .directory
            .stat(System::soon(), &path)
            .map_err(error("vfs", of_files))?
            .version;
        if current != expected {
            return Err(of_files(Error::Conflict { current }));
        }
    }
    let options = OpenOptions {
        read: true,
        write: true,
        create: Create::IfMissing,
        truncate: offset.is_none(),
    };
    let (opened, _) = system
        .directory
        .open(System::soon(), &path, options)
        .map_err(error("vfs", of_files))?;
    let opened = file::Client::adopt(opened);
    let mut at = offset.unwrap_or(0);
    for chunk in data.chunks(file::MAX_CHUNK_BYTES) {
        opened
            .write(System::soon(), at, chunk)
            .map_err(error("vfs", of_files))?;
        at += chunk.len() as u64;
    }
    let metadata = opened
        .stat(System::soon())
        .map_err(error("vfs", of_files))?;
    Ok(Answer::Now(Ok(json!({
        "written": data.len(),
        "size": metadata.size,
        "version": metadata.version,
    }))))
}

/// `log.read`
pub fn log(
    system: &mut System,
    context: &Context,
    params: &mut Params,
) -> Result<Answer, RpcError> {
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
        let page = system
            .log
            .read(System::soon(), filter.clone())
            .map_err(error("logd", of_log))?;
        lost = lost.saturating_add(page.lost);
        let mut next_seq = page.next_seq;
        let is_last = !page.more || page.records.is_empty();
        for record in page.records {
            if records.len() == limit {
                next_seq = record.seq;
                break;
            }
            let is_allowed = context
                .subject
                .as_ref()
                .is_some_and(|token| token.allows_service(&record.service));
            if is_allowed {
                records.push(json!({
                    "seq": record.seq,
                    "time_ns": record.time_ns,
                    "service": record.service,
                    "pid": record.pid,
                    "level": format!("{:?}", record.level).to_lowercase(),
                    "message": record.message,
                    "fields": record.fields.into_iter().map(|(name, value)| (name, value.into())).collect::<serde_json::Map<String, Value>>(),
                }));
            }
        }
        if is_last || records.len() >= limit {
            return Ok(Answer::Now(Ok(
                json!({ "records": records, "next_seq": next_seq, "lost": lost }),
            )));
        }
        filter.since_seq = Some(next_seq);
        filter.tail = None;
    }
}
