//! The end of a process that can't go on: its reason goes where the supervisor finds it, then the process faults, so that registers and stack can
//! still be read.

use core::fmt;

/// Ends the process for this reason.
#[cold]
pub fn die(reason: fmt::Arguments<'_>) -> ! {
    crate::log::last_words(reason);
    end(reason)
}

#[cfg(target_os = "none")]
fn end(_reason: fmt::Arguments<'_>) -> ! {
    crate::sys::fault()
}

#[cfg(not(target_os = "none"))]
fn end(reason: fmt::Arguments<'_>) -> ! {
    panic!("{reason}")
}

#[cfg(target_os = "none")]
#[panic_handler]
fn on_panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    die(format_args!("{panic}"))
}
