//! Paging: the kernel's half of the address space, and the direct map through which the kernel reaches memory.

pub mod direct;
pub mod kernel_map;
pub mod layout;
pub mod stacks;
pub mod table;
