//! A small ELF writer: constants, text and data, each on its page, and as much wrong as a test asks for.

/// `R_X86_64_RELATIVE`.
pub const R_X86_64_RELATIVE: u32 = 8;
/// `R_X86_64_64`.
pub const R_X86_64_64: u32 = 1;

const SEGMENT_LENGTH: u64 = 0x100;
const PROGRAM_HEADERS: u64 = 5;
const TABLE: u64 = 0x200;
const SECTIONS: u64 = 0x3000 + SEGMENT_LENGTH;

/// A program to be written.
#[derive(Clone, Default)]
pub struct ElfFile {
    relocations: Vec<(u64, u32, u64)>,
    writable_text: bool,
    protected_data: bool,
    unaligned_data: bool,
}

impl ElfFile {
    /// Where its text lies in memory.
    pub const TEXT: u64 = 0x1000;
    /// Where its data lies in memory.
    pub const DATA: u64 = 0x3000;

    pub fn new() -> Self {
        Self::default()
    }

    pub fn relocation(mut self, kind: u32, address: u64, addend: u64) -> Self {
        self.relocations.push((address, kind, addend));
        self
    }

    pub fn writable_text(self) -> Self {
        Self {
            writable_text: true,
            ..self
        }
    }

    pub fn protected_data(self) -> Self {
        Self {
            protected_data: true,
            ..self
        }
    }

    pub fn unaligned_data(self) -> Self {
        Self {
            unaligned_data: true,
            ..self
        }
    }

    pub fn build(&self) -> Vec<u8> {
        let text_flags = if self.writable_text { 7 } else { 5 };
        let shift = if self.unaligned_data { 8 } else { 0 };
        let protect = if self.protected_data { 0x6474_e552 } else { 0 };
        let mut file = self.header();
        program_header(&mut file, 1, 4, 0, 0, 0x1000);
        program_header(
            &mut file,
            1,
            text_flags,
            Self::TEXT,
            Self::TEXT,
            SEGMENT_LENGTH,
        );
        program_header(
            &mut file,
            1,
            6,
            Self::DATA + shift,
            Self::DATA + shift,
            SEGMENT_LENGTH * 4,
        );
        program_header(&mut file, 2, 6, Self::DATA, Self::DATA, 0);
        program_header(
            &mut file,
            protect,
            4,
            Self::DATA,
            Self::DATA,
            SEGMENT_LENGTH,
        );
        file.resize(TABLE as usize, 0);
        for (address, kind, addend) in &self.relocations {
            for word in [*address, u64::from(*kind), *addend] {
                file.extend_from_slice(&word.to_le_bytes());
            }
        }
        file.resize(SECTIONS as usize, 0x90);
        file.extend_from_slice(&[0; 64]);
        self.section_header(&mut file);
        file
    }

    fn header(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        for half in [3_u16, 62] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        file.extend_from_slice(&1_u32.to_le_bytes());
        for word in [Self::TEXT, 64, SECTIONS] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&0_u32.to_le_bytes());
        for half in [64, 56, PROGRAM_HEADERS as u16, 64, 2, 0] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        file
    }

    /// One section: the table of relocations.
    fn section_header(&self, file: &mut Vec<u8>) {
        file.extend_from_slice(&0_u32.to_le_bytes());
        file.extend_from_slice(&4_u32.to_le_bytes());
        for word in [
            2,
            TABLE,
            TABLE,
            self.relocations.len() as u64 * 24,
            0,
            8,
            24,
        ] {
            file.extend_from_slice(&word.to_le_bytes());
        }
    }
}

fn program_header(
    file: &mut Vec<u8>,
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    memory_length: u64,
) {
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&flags.to_le_bytes());
    let file_length = memory_length.min(SEGMENT_LENGTH.max(if address == 0 { 0x1000 } else { 0 }));
    for word in [offset, address, address, file_length, memory_length, 0x1000] {
        file.extend_from_slice(&word.to_le_bytes());
    }
}
