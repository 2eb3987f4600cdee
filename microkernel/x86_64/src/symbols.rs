//! The kernel's function names, from the table that the boot image carries (`abi::image::EntryKind::KernelSymbols`).

/// Bytes of an entry: address, offset of the name, length of the name.
const SYMBOL_LENGTH: usize = 16;

/// The function that holds `address`, and how far in.
pub fn lookup(table: &[u8], address: u64) -> Option<(&str, u64)> {
    let (count, rest) = table.split_first_chunk::<8>()?;
    let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
    let (records, names) = rest.split_at_checked(count.checked_mul(SYMBOL_LENGTH)?)?;
    let (records, _) = records.as_chunks::<SYMBOL_LENGTH>();
    let start_of =
        |record: &[u8; SYMBOL_LENGTH]| u64::from_le_bytes(*record.first_chunk().expect("a record has 16 bytes"));
    let record = records.get(records.partition_point(|record| start_of(record) <= address).checked_sub(1)?)?;
    let number = |at: usize| Some(u32::from_le_bytes(*record.get(at..)?.first_chunk()?) as usize);
    let (offset, length) = (number(8)?, number(12)?);
    let name = names.get(offset..offset.checked_add(length)?)?;
    Some((core::str::from_utf8(name).ok()?, address - start_of(record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(functions: &[(u64, &str)]) -> Vec<u8> {
        let mut names = String::new();
        let mut table = (functions.len() as u64).to_le_bytes().to_vec();
        for (address, name) in functions {
            table.extend(address.to_le_bytes());
            table.extend((names.len() as u32).to_le_bytes());
            table.extend((name.len() as u32).to_le_bytes());
            names.push_str(name);
        }
        table.extend(names.as_bytes());
        table
    }

    #[test]
    fn an_address_belongs_to_the_function_that_starts_before_it() {
        let table = table(&[(0x100, "first"), (0x200, "second")]);
        assert_eq!(lookup(&table, 0xff), None);
        assert_eq!(lookup(&table, 0x100), Some(("first", 0)));
        assert_eq!(lookup(&table, 0x1ff), Some(("first", 0xff)));
        assert_eq!(lookup(&table, 0x2000), Some(("second", 0x1e00)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_none(bytes: Vec<u8>, address: u64) {
            let _ = lookup(&bytes, address);
        }

        #[test]
        fn a_count_beyond_the_bytes_finds_nothing(count in 100_u64.., address: u64) {
            let mut table = table(&[(0x100, "first")]);
            table[..8].copy_from_slice(&count.to_le_bytes());
            prop_assert_eq!(lookup(&table, address), None);
        }
    }
}
