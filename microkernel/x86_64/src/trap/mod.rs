//! Entering and leaving the kernel: system calls, interrupts, exceptions.

mod dispatch;
mod entry;
mod idt;
mod unmaskable;

pub use dispatch::leave;
pub use entry::system_call_entry;
pub use idt::{fill, load};
