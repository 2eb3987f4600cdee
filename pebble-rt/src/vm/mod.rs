//! The virtual machine.

mod core;
mod states;

pub use self::core::Core;
pub use self::states::States;
