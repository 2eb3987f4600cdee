//! What servers say, as programs see it: a number and a text.

use alloc::format;
use alloc::string::ToString;

use libipc::CallError;
use pebble_rt::modules::errno;
use pebble_rt::system::SystemError;
use protocols::{directory, process, services, socket, stream, terminal};

/// An error of a file or directory.
pub fn of_directory(error: directory::Error) -> SystemError {
    use directory::Error;
    let (number, text) = match error {
        Error::NotFound => (errno::NOENT, "no such file or directory"),
        Error::AlreadyExists => (errno::EXIST, "already exists"),
        Error::NotADirectory => (errno::NOTDIR, "not a directory"),
        Error::IsADirectory => (errno::ISDIR, "is a directory"),
        Error::NotEmpty => (errno::NOTEMPTY, "directory is not empty"),
        Error::ReadOnly | Error::NotPermitted => (errno::PERM, "not permitted"),
        Error::InvalidName | Error::Escapes => (errno::INVAL, "invalid argument"),
        Error::TooLarge { limit } => {
            return SystemError::new(
                errno::INVAL,
                format!("larger than the {limit} bytes that are allowed"),
            );
        }
        Error::NoSpace => (errno::IO, "the disk is full"),
        Error::CrossDevice => (errno::INVAL, "not on the same file system"),
        Error::Conflict { .. } => (errno::BUSY, "it was changed meanwhile"),
        Error::LimitReached => (errno::AGAIN, "too many open files"),
        Error::Io => (errno::IO, "input or output failed"),
    };
    SystemError::new(number, text)
}

/// An error of a process.
pub fn of_process(error: process::Error) -> SystemError {
    use process::Error;
    match error {
        Error::NotFound => SystemError::new(errno::NOENT, "no such process"),
        Error::NotPermitted => SystemError::new(errno::PERM, "not permitted"),
        Error::NoProgram => SystemError::new(errno::NOENT, "no such program"),
        Error::TooLarge { limit } => SystemError::new(
            errno::INVAL,
            format!("larger than the {limit} bytes that are allowed"),
        ),
        Error::LimitReached(what) => SystemError::new(errno::AGAIN, format!("too many {what}")),
        Error::NotAChild => SystemError::new(errno::NOENT, "no such child"),
        Error::LoadFailed(why) => SystemError::new(errno::NOMEM, why),
    }
}

/// An error of a stream.
pub fn of_stream(error: stream::Error) -> SystemError {
    use stream::Error;
    match error {
        Error::BrokenPipe => SystemError::new(errno::PIPE, "nobody reads this pipe"),
        Error::WrongDirection => SystemError::new(errno::INVAL, "not open for this direction"),
        Error::Interrupted => SystemError::new(errno::AGAIN, "interrupted"),
        Error::Gap { .. } | Error::TooLong | Error::LimitReached => {
            SystemError::new(errno::IO, "input or output failed")
        }
    }
}

/// An error of a terminal.
pub fn of_terminal(error: terminal::Error) -> SystemError {
    use terminal::Error;
    match error {
        Error::Background => SystemError::new(errno::AGAIN, "not in the foreground"),
        Error::Interrupted => SystemError::new(errno::AGAIN, "interrupted"),
        Error::TooLong => SystemError::new(errno::INVAL, "too long"),
        Error::NotInteractive => SystemError::new(errno::IO, "requires an interactive terminal"),
        Error::NotPermitted => SystemError::new(errno::PERM, "not permitted"),
    }
}

/// An error of a socket.
pub fn of_socket(error: socket::Error) -> SystemError {
    use socket::Error;
    let text = match error {
        Error::Refused => "connection refused",
        Error::Reset => "connection reset",
        Error::TimedOut => "timed out",
        Error::Unreachable => "network is unreachable",
        Error::InUse => "address in use",
        Error::NameNotFound => "name not found",
        Error::LimitReached => "too many sockets",
        Error::NotPermitted => "not permitted",
        Error::InvalidState | Error::Gap { .. } | Error::TooLong => "not possible in this state",
    };
    SystemError::new(errno::IO, text)
}

/// An error of the supervisor.
pub fn of_services(error: services::Error) -> SystemError {
    use services::Error;
    match error {
        Error::UnknownService => SystemError::new(errno::NOENT, "no such service"),
        Error::UnknownProtocol => SystemError::new(errno::NOENT, "no such protocol"),
        Error::NotPermitted => SystemError::new(errno::PERM, "not permitted"),
        Error::InvalidState { state } => {
            SystemError::new(errno::BUSY, format!("the service is {state:?}"))
        }
        Error::StartFailed { reason } => SystemError::new(errno::IO, reason),
        Error::UnknownPoint => SystemError::new(errno::INVAL, "no such point"),
    }
}

/// The end of a call: the server's own error through `method`, or what became of the call.
pub fn of_call<E>(error: CallError<E>, method: impl FnOnce(E) -> SystemError) -> SystemError {
    match error {
        CallError::Method(error) => method(error),
        CallError::Failed(failure) => SystemError::new(errno::IO, failure.to_string()),
    }
}
