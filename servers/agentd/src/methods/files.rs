//! `fs.*` and `log.read`

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use agentd::params::Params;
use agentd::rpc::{Code, RpcError};
use protocols::directory::{self, Create, Error, FileType, Metadata, OpenOptions};
use protocols::{file, log};
use serde_json::{Value, json};

use super::{Context, MAX_LIST, Page};
use crate::system::{Answer, System, error};

/// Bytes that one read gives, at most.
const MAX_READ: u64 = 512 * 1024;

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
