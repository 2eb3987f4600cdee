//! QEMU's firmware configuration device, by ports (QEMU specification `fw_cfg`).
//!
//! Writing a selector starts an item; each read gives its next byte. A machine without the device reads as all ones and is recognised by the missing signature.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use driver_lib::{Port, Ports};

/// Two ports wide; the second one alone is the data.
const SELECTOR: Port = Port(0);
const DATA: Port = Port(1);
const SIGNATURE: u16 = 0x0000;
const DIRECTORY: u16 = 0x0019;
const NAME_BYTES: usize = 56;
/// Files of the directory that are looked at, at most.
const MAX_FILES: u32 = 512;

/// A file of the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u32,
    selector: u16,
}

/// The files; empty if there is no device.
pub fn files(ports: &mut impl Ports) -> Vec<File> {
    ports.write_u16(SELECTOR, SIGNATURE);
    if bytes(ports, 4) != b"QEMU" {
        return Vec::new();
    }
    ports.write_u16(SELECTOR, DIRECTORY);
    let count = big_endian_32(&bytes(ports, 4)).min(MAX_FILES);
    (0..count)
        .map(|_| entry(&bytes(ports, 8 + NAME_BYTES)))
        .collect()
}

/// Up to `length` bytes of a file from `offset`.
pub fn read(ports: &mut impl Ports, file: &File, offset: u32, length: u32) -> Vec<u8> {
    let offset = offset.min(file.size);
    let length = length.min(file.size - offset);
    ports.write_u16(SELECTOR, file.selector);
    for _ in 0..offset {
        ports.read(DATA);
    }
    bytes(ports, length as usize)
}

fn entry(raw: &[u8]) -> File {
    let name = &raw[8..];
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    File {
        name: String::from_utf8_lossy(&name[..end]).into_owned(),
        size: big_endian_32(&raw[..4]),
        selector: u16::from_be_bytes([raw[4], raw[5]]),
    }
}

fn bytes(ports: &mut impl Ports, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    bytes.fill_with(|| ports.read(DATA));
    bytes
}

fn big_endian_32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .take(4)
        .fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Device {
        items: Vec<(u16, Vec<u8>)>,
        selected: u16,
        at: usize,
    }

    impl Ports for Device {
        fn read(&mut self, _port: Port) -> u8 {
            let item = self
                .items
                .iter()
                .find(|(selector, _)| *selector == self.selected);
            let byte = item.and_then(|(_, bytes)| bytes.get(self.at).copied());
            self.at += 1;
            byte.unwrap_or(0)
        }
        fn write(&mut self, _port: Port, _value: u8) {}
        fn write_u16(&mut self, port: Port, item: u16) {
            assert_eq!(port, SELECTOR);
            (self.selected, self.at) = (item, 0);
        }
    }

    fn device() -> Device {
        let mut directory = 1u32.to_be_bytes().to_vec();
        directory.extend(5u32.to_be_bytes());
        directory.extend(0x20u16.to_be_bytes());
        directory.extend([0; 2]);
        let mut name = b"opt/org.pebbleos/x".to_vec();
        name.resize(NAME_BYTES, 0);
        directory.extend(name);
        Device {
            items: vec![
                (SIGNATURE, b"QEMU".to_vec()),
                (DIRECTORY, directory),
                (0x20, b"hello".to_vec()),
            ],
            ..Device::default()
        }
    }

    #[test]
    fn a_file_is_found_and_read_from_any_place() {
        let mut device = device();
        let found = files(&mut device);
        assert_eq!(
            (found.len(), found[0].name.as_str(), found[0].size),
            (1, "opt/org.pebbleos/x", 5)
        );
        assert_eq!(read(&mut device, &found[0], 0, 100), b"hello");
        assert_eq!(read(&mut device, &found[0], 3, 100), b"lo");
        assert_eq!(read(&mut device, &found[0], 99, 100), b"");
    }

    #[test]
    fn a_machine_without_the_device_has_no_files() {
        assert_eq!(files(&mut Device::default()), []);
    }
}
