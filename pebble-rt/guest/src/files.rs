//! The operations of the family `fs`.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, SystemError, Token};
use protocols::directory::{Create, FileType, Metadata, OpenOptions};
use protocols::file;
use protocols::file::MAX_CHUNK_BYTES;

use crate::descriptors::{Descriptor, Input, OpenFile, OpenFileState};
use crate::errors::{of_call, of_directory, of_process, of_stream};
use crate::guest::Guest;
use crate::operations::{Done, Outcome, bytes, integer, now, number, path_of, record, text};

/// Bytes of a file that is read at once, at most.
const MAX_WHOLE_BYTES: u64 = 16 << 20;
/// Bytes that a pipe holds.
const PIPE_BYTES: u32 = 64 * 1024;

/// Handles a request of the family.
pub fn handle(guest: &mut Guest, request: &Request) -> Outcome {
    match request.operation {
        "cwd" => now(Data::Text(guest.cwd.clone())),
        "chdir" => change_directory(guest, request),
        "stat" => now(Data::Record(fields(&stat(guest, &path_of(request, 0)?)?))),
        "read" => now(Data::Bytes(read_whole(guest, &path_of(request, 0)?)?)),
        "write" => write_whole(guest, request, Create::WithParents, true),
        "append" => append(guest, request),
        "create" => write_whole(guest, request, Create::New, false),
        "modify" => write_whole(guest, request, Create::Never, true),
        "touch" => touch(guest, request),
        "remove" => remove(guest, request, FileType::File),
        "rmdir" => remove(guest, request, FileType::Directory),
        "mkdir" => {
            let path = path_of(request, 0)?;
            guest
                .directory()?
                .make_directory(Guest::soon(), path, false)
                .map_err(|error| of_call(error, of_directory))?;
            now(Data::None)
        }
        "rename" => {
            let (from, to) = (path_of(request, 0)?, path_of(request, 1)?);
            guest
                .directory()?
                .rename(Guest::soon(), from, to)
                .map_err(|error| of_call(error, of_directory))?;
            now(Data::None)
        }
        "entries" => entries(guest, request),
        "walk" => {
            let files = walk(guest, &path_of(request, 0)?)?;
            now(Data::List(
                files
                    .into_iter()
                    .map(|(name, _)| Data::Text(name))
                    .collect(),
            ))
        }
        "usage" => {
            let files = walk(guest, "/")?;
            let total = files.iter().map(|(_, size)| size).sum();
            now(Data::List(vec![number(files.len() as u64), number(total)]))
        }
        "sync" => {
            guest
                .directory()?
                .sync(Guest::soon())
                .map_err(|error| of_call(error, of_directory))?;
            now(Data::Flag(false))
        }
        "open" => open(guest, request),
        "pipe" => make_pipe(guest),
        "fd_read" => read(guest, request),
        "fd_read_line" => read_line(guest, request),
        "fd_write" => write(guest, request),
        "fd_seek" => seek(guest, request),
        "fd_close" => {
            guest.descriptors.close(integer(request, 0)?)?;
            now(Data::None)
        }
        "fd_stat" => descriptor_stat(guest, request),
        _ => Err(SystemError::unknown(request)),
    }
}

fn stat(guest: &Guest, path: &str) -> Result<Metadata, SystemError> {
    guest
        .directory()?
        .stat(Guest::soon(), path)
        .map_err(|error| of_call(error, of_directory))
}

fn fields(metadata: &Metadata) -> Vec<(String, Data)> {
    let kind = match metadata.file_type {
        FileType::File => "file",
        FileType::Directory => "dir",
        FileType::Device => "device",
    };
    let Data::Record(fields) = record([
        ("kind", Data::Text(kind.into())),
        ("size", number(metadata.size)),
        ("mtime_ms", Data::Number(metadata.modified_ns / 1_000_000)),
        ("mode", Data::Number(i64::from(metadata.mode))),
    ]) else {
        return Vec::new();
    };
    fields
}

/// All of a file.
///
/// # Errors
/// The filesystem's; if the file is too long to be read at once.
pub fn read_whole(guest: &Guest, path: &str) -> Result<Vec<u8>, SystemError> {
    let directory = guest.directory()?;
    let piece = MAX_CHUNK_BYTES as u32;
    let (mut contents, metadata) = directory
        .read(Guest::soon(), path, 0, piece)
        .map_err(|error| of_call(error, of_directory))?;
    if metadata.size > MAX_WHOLE_BYTES {
        return Err(SystemError::new(
            errno::NOMEM,
            format!("the file is longer than {MAX_WHOLE_BYTES} bytes"),
        ));
    }
    if (contents.len() as u64) < metadata.size {
        let options = OpenOptions {
            read: true,
            write: false,
            create: Create::Never,
            truncate: false,
        };
        let (connection, _) = directory
            .open(Guest::soon(), path, options)
            .map_err(|error| of_call(error, of_directory))?;
        let file = file::Client::adopt(connection);
        loop {
            let more = file
                .read(Guest::soon(), contents.len() as u64, piece)
                .map_err(|error| of_call(error, of_directory))?;
            if more.is_empty() {
                break;
            }
            contents.extend(more);
        }
    }
    Ok(contents)
}

fn open_file(
    guest: &Guest,
    path: &str,
    options: OpenOptions,
) -> Result<(file::Client, Metadata), SystemError> {
    let (connection, metadata) = guest
        .directory()?
        .open(Guest::soon(), path, options)
        .map_err(|error| of_call(error, of_directory))?;
    Ok((file::Client::adopt(connection), metadata))
}

fn write_all(file: &file::Client, mut offset: u64, contents: &[u8]) -> Result<(), SystemError> {
    for piece in contents.chunks(MAX_CHUNK_BYTES) {
        file.write(Guest::soon(), offset, piece)
            .map_err(|error| of_call(error, of_directory))?;
        offset += piece.len() as u64;
    }
    Ok(())
}

fn write_whole(guest: &mut Guest, request: &Request, create: Create, truncate: bool) -> Outcome {
    let (path, contents) = (path_of(request, 0)?, bytes(request, 1)?);
    let (file, _) = open_file(
        guest,
        &path,
        OpenOptions {
            read: false,
            write: true,
            create,
            truncate,
        },
    )?;
    write_all(&file, 0, contents)?;
    now(Data::None)
}

fn append(guest: &mut Guest, request: &Request) -> Outcome {
    let (path, contents) = (path_of(request, 0)?, bytes(request, 1)?);
    let options = OpenOptions {
        read: false,
        write: true,
        create: Create::WithParents,
        truncate: false,
    };
    let (file, metadata) = open_file(guest, &path, options)?;
    write_all(&file, metadata.size, contents)?;
    now(Data::None)
}

fn touch(guest: &mut Guest, request: &Request) -> Outcome {
    let path = path_of(request, 0)?;
    let options = OpenOptions {
        read: false,
        write: true,
        create: Create::IfMissing,
        truncate: false,
    };
    open_file(guest, &path, options)?;
    let time = crate::clock::wall_clock_ns(guest);
    guest
        .directory()?
        .set_attributes(Guest::soon(), path, None, None, Some(time))
        .map_err(|error| of_call(error, of_directory))?;
    now(Data::None)
}

fn remove(guest: &mut Guest, request: &Request, kind: FileType) -> Outcome {
    let path = path_of(request, 0)?;
    match (stat(guest, &path)?.file_type, kind) {
        (FileType::Directory, FileType::File) => {
            return Err(SystemError::new(errno::ISDIR, "is a directory"));
        }
        (FileType::File, FileType::Directory) => {
            return Err(SystemError::new(errno::NOTDIR, "not a directory"));
        }
        _ => {}
    }
    guest
        .directory()?
        .remove(Guest::soon(), path, false)
        .map_err(|error| of_call(error, of_directory))?;
    now(Data::None)
}

fn change_directory(guest: &mut Guest, request: &Request) -> Outcome {
    let path = path_of(request, 0)?;
    if stat(guest, &path)?.file_type != FileType::Directory {
        return Err(SystemError::new(errno::NOTDIR, "not a directory"));
    }
    guest.cwd.clone_from(&path);
    guest
        .services
        .process
        .set_cwd(Guest::soon(), path)
        .map_err(|error| of_call(error, of_process))?;
    now(Data::None)
}

fn list(guest: &Guest, path: &str) -> Result<Vec<(String, Metadata)>, SystemError> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let listing = guest
            .directory()?
            .list(Guest::soon(), path, &after)
            .map_err(|error| of_call(error, of_directory))?;
        found.extend(
            listing
                .entries
                .into_iter()
                .map(|entry| (entry.name, entry.metadata)),
        );
        match listing.next {
            Some(next) => after = next,
            None => return Ok(found),
        }
    }
}

fn entries(guest: &mut Guest, request: &Request) -> Outcome {
    let entries = list(guest, &path_of(request, 0)?)?;
    let records = entries.into_iter().map(|(name, metadata)| {
        let mut all = vec![("name".into(), Data::Text(name))];
        all.extend(fields(&metadata));
        Data::Record(all)
    });
    now(Data::List(records.collect()))
}

/// Files below a directory, by their path from it, sorted, with their sizes.
fn walk(guest: &Guest, root: &str) -> Result<Vec<(String, u64)>, SystemError> {
    let (mut found, mut left) = (Vec::new(), vec![String::new()]);
    while let Some(below) = left.pop() {
        for (name, metadata) in list(guest, &format!("{root}/{below}"))? {
            let path = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            match metadata.file_type {
                FileType::Directory => left.push(path),
                _ => found.push((path, metadata.size)),
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn open(guest: &mut Guest, request: &Request) -> Outcome {
    let (path, mode) = (path_of(request, 0)?, text(request, 1)?);
    let device = match path.as_str() {
        "/dev/null" => Some(Descriptor::Null),
        "/dev/stdin" | "/dev/tty" if mode == "r" => {
            Some(Descriptor::Input(guest.descriptors.input.clone()))
        }
        "/dev/stdout" | "/dev/tty" => Some(Descriptor::Output(guest.descriptors.output.clone())),
        "/dev/stderr" => Some(Descriptor::Output(guest.descriptors.error.clone())),
        _ => None,
    };
    if let Some(device) = device {
        return now(Data::Number(guest.descriptors.add(device)));
    }
    let options = match mode {
        "r" => OpenOptions {
            read: true,
            write: false,
            create: Create::Never,
            truncate: false,
        },
        "w" => OpenOptions {
            read: false,
            write: true,
            create: Create::WithParents,
            truncate: true,
        },
        "a" => OpenOptions {
            read: false,
            write: true,
            create: Create::WithParents,
            truncate: false,
        },
        _ => OpenOptions {
            read: true,
            write: true,
            create: Create::Never,
            truncate: false,
        },
    };
    let (client, metadata) = open_file(guest, &path, options)?;
    let position = if mode == "a" { metadata.size } else { 0 };
    let state = OpenFileState {
        client,
        position: Cell::new(position),
        path,
        mode: mode.to_string(),
    };
    now(Data::Number(
        guest
            .descriptors
            .add(Descriptor::File(OpenFile(Rc::new(state)))),
    ))
}

fn make_pipe(guest: &mut Guest) -> Outcome {
    let (reader, writer) = guest
        .services
        .process
        .pipe(Guest::soon(), PIPE_BYTES, false)
        .map_err(|error| of_call(error, of_process))?;
    let read = guest.descriptors.add(Descriptor::Input(Input::stream(
        protocols::stream::Client::adopt(reader),
    )));
    let write = guest
        .descriptors
        .add(Descriptor::Output(crate::descriptors::Output::new(
            protocols::stream::Client::adopt(writer),
        )));
    now(Data::List(vec![Data::Number(read), Data::Number(write)]))
}

fn read_file(file: &OpenFile, most: usize) -> Result<Vec<u8>, SystemError> {
    let mut contents = Vec::new();
    while contents.len() < most {
        let wanted = (most - contents.len()).min(MAX_CHUNK_BYTES) as u32;
        let piece = file
            .0
            .client
            .read(Guest::soon(), file.0.position.get(), wanted)
            .map_err(|error| of_call(error, of_directory))?;
        if piece.is_empty() {
            break;
        }
        file.0
            .position
            .set(file.0.position.get() + piece.len() as u64);
        contents.extend(piece);
    }
    Ok(contents)
}

fn read(guest: &mut Guest, request: &Request) -> Outcome {
    let most = usize::try_from(integer(request, 1).unwrap_or(-1)).ok();
    match guest.descriptors.get(integer(request, 0)?)? {
        Descriptor::Null => now(Data::Bytes(Vec::new())),
        Descriptor::File(file) => now(Data::Bytes(read_file(
            &file,
            most.unwrap_or(MAX_WHOLE_BYTES as usize),
        )?)),
        Descriptor::Output(_) => Err(not_for("reading", request)),
        Descriptor::Input(input) => {
            let token = guest.token();
            fetch(guest, token, input, Wanted::Bytes(most))?;
            Ok(Done::Later(token))
        }
    }
}

fn read_line(guest: &mut Guest, request: &Request) -> Outcome {
    let descriptor = integer(request, 0)?;
    if descriptor == 0 && guest.reads_terminal() {
        return crate::terminal::read_line(guest, "");
    }
    match guest.descriptors.get(descriptor)? {
        Descriptor::Null => now(Data::None),
        Descriptor::Output(_) => Err(not_for("reading", request)),
        Descriptor::Input(input) => {
            let token = guest.token();
            fetch(guest, token, input, Wanted::Line)?;
            Ok(Done::Later(token))
        }
        Descriptor::File(file) => {
            let start = file.0.position.get();
            let mut line = Vec::new();
            loop {
                let piece = read_file(&file, 512)?;
                let end = piece.iter().position(|byte| *byte == b'\n');
                line.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
                if end.is_some() {
                    file.0.position.set(start + line.len() as u64 + 1);
                    return now(line_data(Some(line)));
                }
                if piece.is_empty() {
                    return now(line_data((!line.is_empty()).then_some(line)));
                }
            }
        }
    }
}

/// What somebody wants of an input.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// Bytes: so many at most, or all of them.
    Bytes(Option<usize>),
    /// A line.
    Line,
}

fn line_data(line: Option<Vec<u8>>) -> Data {
    line.map_or(Data::None, |line| {
        Data::Text(String::from_utf8_lossy(&line).into_owned())
    })
}

/// Answers `token` as soon as the input has what is wanted.
///
/// # Errors
/// If the stream can't be asked.
pub fn fetch(
    guest: &mut Guest,
    token: Token,
    input: Input,
    wanted: Wanted,
) -> Result<(), SystemError> {
    let ready = match wanted {
        Wanted::Line => input.take_line().map(line_data),
        Wanted::Bytes(Some(most)) => input.take(most).map(Data::Bytes),
        Wanted::Bytes(None) => input.take_all().map(Data::Bytes),
    };
    if let Some(data) = ready {
        guest.answer(token, Ok(data));
        return Ok(());
    }
    let pending = input.ask(guest)?;
    guest.when_done(pending, move |guest, result| {
        let next = match result {
            Ok(chunk) => {
                input.feed(chunk);
                fetch(guest, token, input, wanted)
            }
            Err(error) => Err(of_call(error, of_stream)),
        };
        next.err().map(|error| (token, Err(error)))
    });
    Ok(())
}

fn write(guest: &mut Guest, request: &Request) -> Outcome {
    let contents = bytes(request, 1)?;
    match guest.descriptors.get(integer(request, 0)?)? {
        Descriptor::Null => {}
        Descriptor::Output(output) => output.write(contents)?,
        Descriptor::File(file) => {
            write_all(&file.0.client, file.0.position.get(), contents)?;
            file.0
                .position
                .set(file.0.position.get() + contents.len() as u64);
        }
        Descriptor::Input(_) => return Err(not_for("writing", request)),
    }
    now(number(contents.len() as u64))
}

fn not_for(what: &str, request: &Request) -> SystemError {
    let descriptor = integer(request, 0).unwrap_or(-1);
    SystemError::new(
        errno::INVAL,
        format!("fd {descriptor} is not open for {what}"),
    )
}

fn seek(guest: &mut Guest, request: &Request) -> Outcome {
    let offset = integer(request, 1)?;
    let Descriptor::File(file) = guest.descriptors.get(integer(request, 0)?)? else {
        return Err(SystemError::new(errno::INVAL, "only files have a position"));
    };
    let from = match integer(request, 2).unwrap_or(0) {
        0 => 0,
        1 => file.0.position.get(),
        2 => {
            file.0
                .client
                .stat(Guest::soon())
                .map_err(|error| of_call(error, of_directory))?
                .size
        }
        _ => return Err(SystemError::new(errno::INVAL, "whence is 0, 1 or 2")),
    };
    let position = from
        .checked_add_signed(offset)
        .ok_or_else(|| SystemError::new(errno::INVAL, "invalid argument"))?;
    file.0.position.set(position);
    now(number(position))
}

fn descriptor_stat(guest: &mut Guest, request: &Request) -> Outcome {
    let (size, path, mode, kind) = match guest.descriptors.get(integer(request, 0)?)? {
        Descriptor::Null => (0, "/dev/null".to_string(), "r+".to_string(), "device"),
        Descriptor::Input(_) => (0, String::new(), "r".to_string(), "pipe"),
        Descriptor::Output(_) => (0, String::new(), "w".to_string(), "pipe"),
        Descriptor::File(file) => {
            let size = file
                .0
                .client
                .stat(Guest::soon())
                .map_or(0, |metadata| metadata.size);
            (size, file.0.path.clone(), file.0.mode.clone(), "file")
        }
    };
    now(record([
        ("size", number(size)),
        ("path", Data::Text(path)),
        ("mode", Data::Text(mode)),
        ("kind", Data::Text(kind.into())),
    ]))
}
