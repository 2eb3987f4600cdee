//! The kernel's function names, for backtraces.

use crate::elf::ElfError;
use object::{Object, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;

/// Bytes of a record: address, offset of the name, length of the name.
const RECORD_LENGTH: usize = 16;

/// The table for [`abi::image::EntryKind::KernelSymbols`]: every function of the ELF file `bytes`, by address.
pub fn table(bytes: &[u8]) -> Result<Vec<u8>, ElfError> {
    let file = object::File::parse(bytes)?;
    let mut functions = BTreeMap::new();
    for symbol in file
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition())
    {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name()?));
        functions.entry(symbol.address()).or_insert(name);
    }
    encode(&functions).ok_or_else(|| ElfError::Malformed("its symbols are too many".into()))
}

fn encode(functions: &BTreeMap<u64, String>) -> Option<Vec<u8>> {
    let mut records = Vec::with_capacity(functions.len() * RECORD_LENGTH);
    let mut names = String::new();
    for (address, name) in functions {
        records.extend_from_slice(&address.to_le_bytes());
        records.extend_from_slice(&u32::try_from(names.len()).ok()?.to_le_bytes());
        records.extend_from_slice(&u32::try_from(name.len()).ok()?.to_le_bytes());
        names.push_str(name);
    }
    let mut table = (functions.len() as u64).to_le_bytes().to_vec();
    table.append(&mut records);
    table.extend_from_slice(names.as_bytes());
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_sorted_by_address_and_their_names_follow() {
        let functions = BTreeMap::from([(0x20, "second".to_string()), (0x10, "first".to_string())]);
        let table = encode(&functions).expect("two names fit");
        assert_eq!(table[..8], 2_u64.to_le_bytes());
        assert_eq!(table[8..16], 0x10_u64.to_le_bytes());
        assert_eq!(table[24..32], 0x20_u64.to_le_bytes());
        assert_eq!(&table[8 + 2 * RECORD_LENGTH..], b"firstsecond");
    }
}
