//! Lines on the serial console.

use libipc::{Connection, Deadline, Handle, StartError};
use protocols::{stream, terminal};

const PATIENCE_MS: u64 = 20_000;

/// The console.
pub struct Console {
    stream: stream::Client,
    position: u64,
}

impl Console {
    /// Opens the terminal.
    ///
    /// # Errors
    /// If it does not open.
    pub fn open(connection: Handle<Connection>) -> Result<Self, StartError> {
        let terminal = terminal::Client::adopt(connection);
        let opened = terminal
            .open(Deadline::after_ms(PATIENCE_MS), 0)
            .map_err(|error| {
                StartError::Other(alloc::format!("the terminal does not open: {error}"))
            })?;
        Ok(Self {
            stream: stream::Client::adopt(opened.output),
            position: 0,
        })
    }

    /// Writes a line. What can't be written is lost, and the runner outside notices that a line is missing.
    pub fn line(&mut self, text: &str) {
        let bytes = [text.as_bytes(), b"\n"].concat();
        for piece in bytes.chunks(stream::MAX_CHUNK_BYTES) {
            match self
                .stream
                .write(Deadline::after_ms(PATIENCE_MS), self.position, piece)
            {
                Ok(position) => self.position = position,
                Err(_) => return,
            }
        }
    }
}
