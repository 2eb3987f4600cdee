//! An open file.

use super::place;
use lsp_types::{TextDocumentContentChangeEvent, Uri};
use pebble_rt::syntax::parse;
use pebble_rt::tools::symbols::{Symbol, symbols};

/// A file as the editor has it, with the definitions of its last version that could be read.
pub struct Document {
    uri: Uri,
    text: String,
    version: i32,
    symbols: Vec<Symbol>,
}

impl Document {
    /// A file that was opened.
    pub fn new(uri: Uri, text: String, version: i32) -> Self {
        let mut document = Self {
            uri,
            text,
            version,
            symbols: Vec::new(),
        };
        document.read();
        document
    }

    /// Applies the editor's changes in order.
    pub fn change(&mut self, changes: Vec<TextDocumentContentChangeEvent>, version: i32) {
        for change in changes {
            match change.range {
                Some(range) => {
                    let start = place::offset_of(&self.text, range.start);
                    let end = place::offset_of(&self.text, range.end).max(start);
                    self.text.replace_range(start..end, &change.text);
                }
                None => self.text = change.text,
            }
        }
        self.version = version;
        self.read();
    }

    /// While a line is being typed the file does not parse; what was known before still helps.
    fn read(&mut self) {
        if let Ok(module) = parse(&self.text) {
            self.symbols = symbols(&module, u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        }
    }

    /// Its address.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The editor's number for the text.
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Its definitions.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }
}
