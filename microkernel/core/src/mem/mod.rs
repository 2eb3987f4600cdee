//! Memory: frames and who has them, memory objects, mappings, page tables.

pub mod allocator;
pub mod create;
pub mod fill;
pub mod frame;
pub mod index;
pub mod mappings;
pub mod shrink;
pub mod stock;
pub mod tables;
pub mod unmap;
