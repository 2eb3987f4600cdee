//! The operations of the family `fs`.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use cap_std::fs::OpenOptions;
use pebble_rt::modules::errno;
use pebble_rt::system::{Data, Request, SystemError};

use super::HostSystem;
use super::operations::{Done, Outcome, bytes, integer, name_of, now, text};
use super::sandbox::Stat;
use super::streams::{Descriptor, OpenFile, pipe};

/// The system's number and text for an error of the host.
pub fn io_error(error: &std::io::Error) -> SystemError {
    use std::io::ErrorKind;
    let (number, text) = match error.kind() {
        ErrorKind::NotFound => (errno::NOENT, "no such file or directory"),
        ErrorKind::AlreadyExists => (errno::EXIST, "already exists"),
        ErrorKind::NotADirectory => (errno::NOTDIR, "not a directory"),
        ErrorKind::IsADirectory => (errno::ISDIR, "is a directory"),
        ErrorKind::DirectoryNotEmpty => (errno::NOTEMPTY, "directory is not empty"),
        ErrorKind::PermissionDenied => (errno::PERM, "not permitted"),
        ErrorKind::BrokenPipe => (errno::PIPE, "nobody reads this pipe"),
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => (errno::INVAL, "invalid argument"),
        ErrorKind::StorageFull => (errno::IO, "the disk is full"),
        _ => (errno::IO, "input or output failed"),
    };
    SystemError::new(number, text)
}

/// Handles a request of the family.
pub fn handle(system: &mut HostSystem, request: &Request) -> Outcome {
    let machine = system.machine.clone();
    let sandbox = machine.sandbox();
    match request.operation {
        "cwd" => now(Data::Text(system.working_directory.clone())),
        "chdir" => change_directory(system, request),
        "stat" => now(stat_record(&sandbox.stat(name_of(request, 0)?)?)),
        "read" => now(Data::Bytes(sandbox.read(name_of(request, 0)?)?)),
        "write" => write(
            system,
            request,
            OpenOptions::new().write(true).create(true).truncate(true),
        ),
        "append" => write(
            system,
            request,
            OpenOptions::new().append(true).create(true),
        ),
        "create" => write(
            system,
            request,
            OpenOptions::new().write(true).create_new(true),
        ),
        "modify" => write(
            system,
            request,
            OpenOptions::new().write(true).truncate(true),
        ),
        "touch" => sandbox
            .touch(name_of(request, 0)?)
            .map(|()| Done::Now(Data::None)),
        "remove" => sandbox
            .remove(name_of(request, 0)?)
            .map(|()| Done::Now(Data::None)),
        "mkdir" => sandbox
            .make_directory(name_of(request, 0)?)
            .map(|()| Done::Now(Data::None)),
        "rmdir" => sandbox
            .remove_directory(name_of(request, 0)?)
            .map(|()| Done::Now(Data::None)),
        "rename" => sandbox
            .rename(name_of(request, 0)?, name_of(request, 1)?)
            .map(|()| Done::Now(Data::None)),
        "entries" => entries(system, request),
        "walk" => {
            let files = sandbox.walk(name_of(request, 0)?)?;
            now(Data::List(
                files
                    .into_iter()
                    .map(|(name, _)| Data::Text(name))
                    .collect(),
            ))
        }
        "usage" => {
            let files = sandbox.walk("")?;
            let total: u64 = files.iter().map(|(_, size)| size).sum();
            now(Data::List(vec![number(files.len() as u64), number(total)]))
        }
        "sync" => now(Data::Flag(false)),
        "open" => open(system, request),
        "pipe" => make_pipe(system),
        "fd_read" => read(system, request),
        "fd_read_line" => read_line(system, request),
        "fd_write" => write_descriptor(system, request),
        "fd_seek" => seek(system, request),
        "fd_close" => close(system, request),
        "fd_stat" => descriptor_stat(system, request),
        _ => Err(SystemError::unknown(request)),
    }
}

fn number(value: u64) -> Data {
    Data::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn stat_fields(stat: &Stat) -> Vec<(String, Data)> {
    vec![
        ("kind".into(), Data::Text(stat.kind.into())),
        ("size".into(), number(stat.size)),
        ("mtime_ms".into(), Data::Number(stat.mtime_ms)),
        ("mode".into(), Data::Number(i64::from(stat.mode))),
    ]
}

fn stat_record(stat: &Stat) -> Data {
    Data::Record(stat_fields(stat))
}

fn change_directory(system: &mut HostSystem, request: &Request) -> Outcome {
    let name = name_of(request, 0)?;
    if system.machine.sandbox().stat(name)?.kind != "dir" {
        return Err(SystemError::new(errno::NOTDIR, "not a directory"));
    }
    system.working_directory = format!("/{name}");
    system
        .machine
        .set_working_directory(system.pid, &system.working_directory);
    now(Data::None)
}

fn write(system: &mut HostSystem, request: &Request, options: &mut OpenOptions) -> Outcome {
    system
        .machine
        .sandbox()
        .write(name_of(request, 0)?, bytes(request, 1)?, options)?;
    now(Data::None)
}

fn entries(system: &mut HostSystem, request: &Request) -> Outcome {
    let entries = system.machine.sandbox().entries(name_of(request, 0)?)?;
    let records = entries.into_iter().map(|(name, stat)| {
        let mut fields = vec![("name".into(), Data::Text(name))];
        fields.extend(stat_fields(&stat));
        Data::Record(fields)
    });
    now(Data::List(records.collect()))
}

fn open(system: &mut HostSystem, request: &Request) -> Outcome {
    let name = name_of(request, 0)?;
    let mode = text(request, 1)?;
    if let Some(device) = device(system, name) {
        return now(Data::Number(system.add_descriptor(device)));
    }
    let sandbox = system.machine.sandbox();
    let mut options = OpenOptions::new();
    let content = match mode {
        "r" if pebble_rt::modules::path::is_system(name) => {
            OpenFile::Memory(std::io::Cursor::new(sandbox.read(name)?))
        }
        "r" if sandbox.stat(name)?.kind == "dir" => {
            return Err(SystemError::new(errno::ISDIR, "is a directory"));
        }
        "r" => OpenFile::File(sandbox.open_to_read(name)?),
        "w" => OpenFile::File(
            sandbox.open_to_write(name, options.write(true).create(true).truncate(true))?,
        ),
        "a" => OpenFile::File(sandbox.open_to_write(name, options.append(true).create(true))?),
        _ => OpenFile::File(sandbox.open_to_write(name, options.read(true).write(true))?),
    };
    let descriptor = Descriptor::File {
        file: Arc::new(Mutex::new(content)),
        name: name.to_string(),
        mode: mode.to_string(),
    };
    now(Data::Number(system.add_descriptor(descriptor)))
}

fn device(system: &HostSystem, name: &str) -> Option<Descriptor> {
    Some(match name {
        "dev/null" => Descriptor::Null,
        "dev/stdin" | "dev/tty" => Descriptor::Input(system.streams.input.clone()),
        "dev/stdout" => Descriptor::Output(system.streams.output.clone()),
        "dev/stderr" => Descriptor::Output(system.streams.error.clone()),
        _ => return None,
    })
}

fn make_pipe(system: &mut HostSystem) -> Outcome {
    let (reader, writer) = pipe();
    let read = system.add_descriptor(Descriptor::Input(reader));
    let write = system.add_descriptor(Descriptor::Output(writer));
    now(Data::List(vec![Data::Number(read), Data::Number(write)]))
}

fn read(system: &mut HostSystem, request: &Request) -> Outcome {
    let most = integer(request, 1).unwrap_or(-1);
    match system.descriptor(integer(request, 0)?)? {
        Descriptor::Null => now(Data::Bytes(Vec::new())),
        Descriptor::Input(input) => {
            let limit = usize::try_from(most).ok();
            if let Some(ready) = input.try_read(limit) {
                return now(Data::Bytes(ready));
            }
            Ok(Done::Later(
                system.on_thread(move || Ok(Data::Bytes(input.read(limit)))),
            ))
        }
        Descriptor::File { file, .. } => {
            let mut file = lock(&file);
            let mut content = Vec::new();
            let limit = u64::try_from(most).unwrap_or(u64::MAX);
            Read::take(&mut *file, limit)
                .read_to_end(&mut content)
                .map_err(|error| io_error(&error))?;
            now(Data::Bytes(content))
        }
        Descriptor::Output(_) => Err(not_for("reading", request)),
    }
}

fn read_line(system: &mut HostSystem, request: &Request) -> Outcome {
    match system.descriptor(integer(request, 0)?)? {
        Descriptor::Null => now(Data::None),
        Descriptor::Input(input) => {
            if let Some(ready) = input.try_line() {
                return now(line(ready));
            }
            Ok(Done::Later(
                system.on_thread(move || Ok(line(input.line()))),
            ))
        }
        Descriptor::File { file, .. } => {
            let mut file = lock(&file);
            let mut collected = Vec::new();
            let mut byte = [0];
            while file.read(&mut byte).map_err(|error| io_error(&error))? == 1 {
                if byte[0] == b'\n' {
                    return now(line(Some(collected)));
                }
                collected.push(byte[0]);
            }
            now(line((!collected.is_empty()).then_some(collected)))
        }
        Descriptor::Output(_) => Err(not_for("reading", request)),
    }
}

fn line(bytes: Option<Vec<u8>>) -> Data {
    bytes.map_or(Data::None, |bytes| {
        Data::Text(String::from_utf8_lossy(&bytes).into_owned())
    })
}

fn write_descriptor(system: &mut HostSystem, request: &Request) -> Outcome {
    let content = bytes(request, 1)?;
    let written = Data::Number(i64::try_from(content.len()).unwrap_or(i64::MAX));
    match system.descriptor(integer(request, 0)?)? {
        Descriptor::Null => {}
        Descriptor::Output(output) => {
            if output.would_wait(content.len()) {
                let content = content.to_vec();
                return Ok(Done::Later(
                    system.on_thread(move || output.write(&content).map(|()| written)),
                ));
            }
            output.write(content)?;
        }
        Descriptor::File { file, .. } => lock(&file)
            .write_all(content)
            .map_err(|error| io_error(&error))?,
        Descriptor::Input(_) => return Err(not_for("writing", request)),
    }
    now(written)
}

fn not_for(what: &str, request: &Request) -> SystemError {
    let descriptor = integer(request, 0).unwrap_or(-1);
    SystemError::new(
        errno::INVAL,
        format!("fd {descriptor} is not open for {what}"),
    )
}

fn seek(system: &mut HostSystem, request: &Request) -> Outcome {
    let offset = integer(request, 1)?;
    let place = match integer(request, 2).unwrap_or(0) {
        0 => SeekFrom::Start(
            u64::try_from(offset)
                .map_err(|_| io_error(&std::io::ErrorKind::InvalidInput.into()))?,
        ),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        _ => return Err(SystemError::new(errno::INVAL, "whence is 0, 1 or 2")),
    };
    match system.descriptor(integer(request, 0)?)? {
        Descriptor::File { file, .. } => now(number(
            lock(&file).seek(place).map_err(|error| io_error(&error))?,
        )),
        _ => Err(SystemError::new(errno::INVAL, "only files have a position")),
    }
}

fn close(system: &mut HostSystem, request: &Request) -> Outcome {
    let descriptor = integer(request, 0)?;
    let closed = system.descriptors.remove(&descriptor);
    closed
        .map(|_| Done::Now(Data::None))
        .ok_or_else(|| not_open(descriptor))
}

fn not_open(descriptor: i64) -> SystemError {
    SystemError::new(errno::INVAL, format!("fd {descriptor} is not open"))
}

fn descriptor_stat(system: &mut HostSystem, request: &Request) -> Outcome {
    let (size, path, mode, kind) = match system.descriptor(integer(request, 0)?)? {
        Descriptor::Null => (0, "/dev/null".to_string(), "r+".to_string(), "device"),
        Descriptor::Input(input) => (0, String::new(), "r".to_string(), input.kind()),
        Descriptor::Output(output) => (0, String::new(), "w".to_string(), output.kind()),
        Descriptor::File { name, mode, .. } => (
            system
                .machine
                .sandbox()
                .stat(&name)
                .map_or(0, |stat| stat.size),
            format!("/{name}"),
            mode,
            "file",
        ),
    };
    now(Data::Record(vec![
        ("size".into(), number(size)),
        ("path".into(), Data::Text(path)),
        ("mode".into(), Data::Text(mode)),
        ("kind".into(), Data::Text(kind.into())),
    ]))
}

/// The content of a lock, even if a thread died while it held it: every operation leaves files whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl HostSystem {
    fn add_descriptor(&mut self, descriptor: Descriptor) -> i64 {
        self.last_descriptor += 1;
        self.descriptors.insert(self.last_descriptor, descriptor);
        self.last_descriptor
    }

    /// What a number stands for, the standard streams included.
    pub(super) fn descriptor(&self, number: i64) -> Result<Descriptor, SystemError> {
        match number {
            0 => Ok(Descriptor::Input(self.streams.input.clone())),
            1 => Ok(Descriptor::Output(self.streams.output.clone())),
            2 => Ok(Descriptor::Output(self.streams.error.clone())),
            _ => self
                .descriptors
                .get(&number)
                .cloned()
                .ok_or_else(|| not_open(number)),
        }
    }
}
