//! Threads of this process. All run on one CPU: they are for waiting in several places, not for computing faster.

use crate::sys::{Arguments, operate};
#[cfg(target_os = "none")]
pub use spawn::{JoinHandle, spawn};

#[cfg(target_os = "none")]
#[allow(
    unsafe_code,
    reason = "a new thread finds what it was made for through a pointer"
)]
mod spawn;
#[cfg(target_os = "none")]
pub(crate) use spawn::adopt_first;

/// Ends the calling thread.
pub fn exit() -> ! {
    crate::endpoint::flush();
    // It does not return; should it, there is nothing left to do but say so.
    let _ = operate(abi::Operation::ThreadExit, Arguments::default());
    crate::panic::die(format_args!("the kernel refused to end the thread"))
}

/// Waits for a while, without a message.
///
/// For retries with growing pauses, never for what an event could tell.
///
/// # Errors
/// The quota's, for the notification that it waits on.
pub fn pause(deadline: crate::time::Deadline) -> Result<(), crate::error::SysError> {
    let quiet = crate::handle::Handle::<crate::object::Notification>::create()?;
    match quiet.wait(1, deadline) {
        Err(crate::error::SysError(abi::Outcome::DeadlinePassed)) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}
