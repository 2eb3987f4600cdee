//! Bytes moved between streams and files while the program goes on: what a child reads from a file or writes to one.
//!
//! Each pump belongs to a child; the child's end is told only when its pumps are done, so that whoever waits finds everything in the file.

use alloc::format;
use alloc::vec::Vec;

use pebble_rt::modules::errno;
use pebble_rt::system::SystemError;
use protocols::stream::MAX_CHUNK_BYTES;
use protocols::{file, stream};

use crate::descriptors::OpenFile;
use crate::guest::Guest;

/// The pumps that run, by the child they belong to.
#[derive(Default)]
pub struct Pumps {
    running: Vec<u64>,
    last: u64,
}

/// Names a pump.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PumpId(u64);

impl Pumps {
    fn begin(&mut self) -> PumpId {
        self.last += 1;
        self.running.push(self.last);
        PumpId(self.last)
    }

    fn end(&mut self, PumpId(id): PumpId) {
        self.running.retain(|running| *running != id);
    }

    /// Whether any of these still runs.
    pub fn any_runs(&self, pumps: &[PumpId]) -> bool {
        pumps.iter().any(|PumpId(id)| self.running.contains(id))
    }
}

/// Moves what a stream gives into a file, at the file's position.
///
/// # Errors
/// If the stream can't be asked.
pub fn into_file(
    guest: &mut Guest,
    from: stream::Client,
    to: OpenFile,
) -> Result<PumpId, SystemError> {
    let id = guest.pumps.begin();
    read_next(guest, id, from, to, 0)?;
    Ok(id)
}

fn read_next(
    guest: &mut Guest,
    id: PumpId,
    from: stream::Client,
    to: OpenFile,
    position: u64,
) -> Result<(), SystemError> {
    let pending = from
        .start_read(
            &guest.calls,
            Guest::late(),
            position,
            MAX_CHUNK_BYTES as u32,
        )
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    guest.when_done(pending, move |guest, result| {
        let Ok(chunk) = result else {
            finished(guest, id);
            return None;
        };
        let offset = to.0.position.get();
        let written =
            to.0.client
                .write(Guest::soon(), offset, &chunk.data)
                .is_ok();
        to.0.position.set(offset + chunk.data.len() as u64);
        let position = chunk.at + chunk.data.len() as u64;
        if chunk.end || !written || read_next(guest, id, from, to, position).is_err() {
            finished(guest, id);
        }
        None
    });
    Ok(())
}

/// Moves a file's contents from its position into a stream, whose reader may go at any time.
///
/// # Errors
/// If the stream can't be written to at all.
pub fn from_file(
    guest: &mut Guest,
    from: OpenFile,
    to: stream::Client,
) -> Result<PumpId, SystemError> {
    let id = guest.pumps.begin();
    write_next(guest, id, from, to, 0)?;
    Ok(id)
}

fn write_next(
    guest: &mut Guest,
    id: PumpId,
    from: OpenFile,
    to: stream::Client,
    position: u64,
) -> Result<(), SystemError> {
    let piece = read_piece(&from.0.client, from.0.position.get());
    if piece.is_empty() {
        finished(guest, id);
        return Ok(());
    }
    let pending = to
        .start_write(&guest.calls, Guest::late(), position, &piece)
        .map_err(|failure| SystemError::new(errno::IO, format!("{failure}")))?;
    guest.when_done(pending, move |guest, result| {
        let Ok(next) = result else {
            finished(guest, id);
            return None;
        };
        from.0
            .position
            .set(from.0.position.get() + next.saturating_sub(position));
        if write_next(guest, id, from, to, next).is_err() {
            finished(guest, id);
        }
        None
    });
    Ok(())
}

fn read_piece(file: &file::Client, offset: u64) -> Vec<u8> {
    file.read(Guest::soon(), offset, MAX_CHUNK_BYTES as u32)
        .unwrap_or_default()
}

fn finished(guest: &mut Guest, id: PumpId) {
    guest.pumps.end(id);
    crate::processes::pumps_advanced(guest);
}
