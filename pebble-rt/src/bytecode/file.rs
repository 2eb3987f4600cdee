//! Bytecode files.

use alloc::string::String;
use alloc::vec::Vec;

use super::Unit;

/// Reads a bytecode file.
pub fn read(_bytes: &[u8]) -> Result<Unit, String> {
    Err(String::from("bytecode files are not read by this build"))
}

/// Writes a bytecode file.
pub fn write(_unit: &Unit) -> Vec<u8> {
    Vec::new()
}
