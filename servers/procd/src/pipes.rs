//! Pipes as a service: ends, waiting reads and writes.

use alloc::vec::Vec;

use libipc::capsule::{Part, Slots, Storage};
use libipc::prelude::*;
use libipc::{Badge, Cancelled, Minter};
use procd::pipe::{Bytes, MAX_CAPACITY, Pipe, WriteError};
use protocols::stream::{Chunk, Error, Kind, MAX_CHUNK_BYTES, Stream};
use serde::{Deserialize, Serialize};

use crate::STREAM;

/// Pipes there are, at most.
const PIPES: usize = 32;
/// Ends there are, at most.
const ENDS: usize = 128;
const PIPE_RECORD: usize = 64;
const END_RECORD: usize = 32;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct End {
    pipe: usize,
    writes: bool,
    position: u64,
    finished: bool,
}

struct Read {
    pipe: usize,
    from: u64,
    max: usize,
    reply: Reply<Chunk, Error>,
}

struct Write {
    end: usize,
    at: u64,
    data: Vec<u8>,
    reply: Reply<u64, Error>,
}

/// All pipes.
pub struct Pipes {
    pipes: Vec<Option<Pipe>>,
    ends: Vec<Option<End>>,
    saved_pipes: Slots<Part>,
    saved_ends: Slots<Part>,
    memory: Part,
    minter: Minter,
    reads: Vec<Read>,
    writes: Vec<Write>,
}

/// The part of the capsule with the bytes of one pipe.
struct Buffer<'m>(&'m mut Part, usize);

impl Bytes for Buffer<'_> {
    fn read(&self, at: usize, into: &mut [u8]) {
        assert!(
            Storage::read(self.0, self.1 + at, into),
            "a pipe stays inside its memory"
        );
    }
    fn write(&mut self, at: usize, from: &[u8]) {
        assert!(
            Storage::write(self.0, self.1 + at, from),
            "a pipe stays inside its memory"
        );
    }
}

impl Pipes {
    /// Opens what the last incarnation left. `None` if the memory is too small.
    pub fn open(part: Part, minter: Minter) -> Option<Self> {
        let (pipes, rest) = part.split(Slots::<Part>::storage_bytes(PIPES, PIPE_RECORD))?;
        let (ends, memory) = rest.split(Slots::<Part>::storage_bytes(ENDS, END_RECORD))?;
        if memory.length() < PIPES * MAX_CAPACITY as usize {
            return None;
        }
        let (saved_pipes, _) = Slots::open(pipes, 1, PIPES, PIPE_RECORD)?;
        let (saved_ends, _) = Slots::open(ends, 1, ENDS, END_RECORD)?;
        Some(Self {
            pipes: (0..PIPES)
                .map(|index| saved_pipes.load(index).ok().flatten())
                .collect(),
            ends: (0..ENDS)
                .map(|index| saved_ends.load(index).ok().flatten())
                .collect(),
            saved_pipes,
            saved_ends,
            memory,
            minter,
            reads: Vec::new(),
            writes: Vec::new(),
        })
    }

    /// Makes a pipe: the end to read, the end to write.
    pub fn make(
        &mut self,
        capacity: u32,
        capture: bool,
    ) -> Option<(Handle<Connection>, Handle<Connection>)> {
        let pipe = self.pipes.iter().position(Option::is_none)?;
        self.put_pipe(pipe, Some(Pipe::new(capacity, capture)));
        let reader = self.mint(pipe, false);
        let writer = self.mint(pipe, true);
        match (reader, writer) {
            (Some(reader), Some(writer)) => Some((reader, writer)),
            // Dropping an end that was made closes it, and the pipe goes with its ends.
            _ => {
                self.put_pipe(pipe, None);
                None
            }
        }
    }

    fn mint(&mut self, pipe: usize, writes: bool) -> Option<Handle<Connection>> {
        let index = self.ends.iter().position(Option::is_none)?;
        self.put_end(
            index,
            Some(End {
                pipe,
                writes,
                position: 0,
                finished: false,
            }),
        );
        match self.minter.mint(Badge::own(STREAM, index as u64)) {
            Ok(minted) => Some(minted.client),
            Err(error) => {
                libipc::warn!("no further end of a pipe: {error}");
                self.put_end(index, None);
                None
            }
        }
    }

    /// An end's last copy is gone.
    pub fn closed(&mut self, badge: Badge) {
        let index = badge.number() as usize;
        let Some(end) = self.end(badge) else { return };
        self.put_end(index, None);
        if let Some(mut pipe) = self.pipes[end.pipe] {
            if end.writes && !end.finished {
                pipe.writers = pipe.writers.saturating_sub(1);
            } else if !end.writes {
                pipe.has_reader = false;
            }
            let is_used = self
                .ends
                .iter()
                .flatten()
                .any(|other| other.pipe == end.pipe);
            self.put_pipe(end.pipe, is_used.then_some(pipe));
            self.advance(end.pipe);
        }
    }

    /// A caller is gone.
    pub fn cancelled(&mut self, cancelled: &Cancelled) {
        self.reads
            .retain(|read| !read.reply.is_cancelled_by(cancelled));
        self.writes
            .retain(|write| !write.reply.is_cancelled_by(cancelled));
    }

    fn end(&self, badge: Badge) -> Option<End> {
        self.ends
            .get(badge.number() as usize)
            .copied()
            .flatten()
            .filter(|_| badge.is_own())
    }

    /// Moves what waits on a pipe.
    fn advance(&mut self, pipe: usize) {
        loop {
            let moved = self.advance_writes(pipe) | self.advance_reads(pipe);
            if !moved {
                return;
            }
        }
    }

    fn advance_writes(&mut self, pipe: usize) -> bool {
        let place = self
            .writes
            .iter()
            .position(|write| self.ends[write.end].is_some_and(|end| end.pipe == pipe));
        let Some(place) = place else { return false };
        let write = self.writes.remove(place);
        match self.try_write(write) {
            None => true,
            Some(write) => {
                self.writes.insert(place, write);
                false
            }
        }
    }

    fn advance_reads(&mut self, pipe: usize) -> bool {
        let Some(place) = self.reads.iter().position(|read| read.pipe == pipe) else {
            return false;
        };
        let read = self.reads.remove(place);
        match self.try_read(read) {
            None => true,
            Some(read) => {
                self.reads.insert(place, read);
                false
            }
        }
    }

    /// Gives the request back if it has to wait.
    fn try_write(&mut self, write: Write) -> Option<Write> {
        let (Some(end), index) = (self.ends[write.end], write.end) else {
            write.reply.err(Error::BrokenPipe);
            return None;
        };
        let Some(mut pipe) = self.pipes[end.pipe] else {
            write.reply.err(Error::BrokenPipe);
            return None;
        };
        let mut buffer = Buffer(&mut self.memory, end.pipe * MAX_CAPACITY as usize);
        match pipe.write(&mut buffer, end.position, write.at, &write.data) {
            Ok(None) => return Some(write),
            Ok(Some(position)) => {
                self.put_pipe(end.pipe, Some(pipe));
                self.put_end(index, Some(End { position, ..end }));
                write.reply.ok(position);
            }
            Err(WriteError::BrokenPipe) => write.reply.err(Error::BrokenPipe),
            Err(WriteError::Gap(expected)) => write.reply.err(Error::Gap { expected }),
        }
        None
    }

    fn try_read(&mut self, read: Read) -> Option<Read> {
        let Some(mut pipe) = self.pipes[read.pipe] else {
            read.reply.ok(Chunk {
                at: read.from,
                data: Vec::new(),
                end: true,
            });
            return None;
        };
        let buffer = Buffer(&mut self.memory, read.pipe * MAX_CAPACITY as usize);
        let found = pipe.read(&buffer, read.from, read.max);
        self.put_pipe(read.pipe, Some(pipe));
        match found {
            None => Some(read),
            Some((at, data)) => {
                read.reply.ok(Chunk {
                    at,
                    end: data.is_empty(),
                    data,
                });
                None
            }
        }
    }

    fn put_pipe(&mut self, index: usize, pipe: Option<Pipe>) {
        self.pipes[index] = pipe;
        let result = match pipe {
            Some(pipe) => self.saved_pipes.store(index, &pipe),
            None => self.saved_pipes.clear(index),
        };
        if let Err(error) = result {
            libipc::error!("the record of a pipe can't be stored: {error}");
        }
    }

    fn put_end(&mut self, index: usize, end: Option<End>) {
        self.ends[index] = end;
        let result = match end {
            Some(end) => self.saved_ends.store(index, &end),
            None => self.saved_ends.clear(index),
        };
        if let Err(error) = result {
            libipc::error!("the record of an end can't be stored: {error}");
        }
    }
}

impl Stream for Pipes {
    fn write(&mut self, caller: Caller, at: u64, data: Vec<u8>, reply: Reply<u64, Error>) {
        match self.end(caller.badge) {
            Some(End { writes: true, .. }) if data.len() > MAX_CHUNK_BYTES => {
                reply.err(Error::TooLong)
            }
            Some(end) if end.writes => {
                if let Some(write) = self.try_write(Write {
                    end: caller.badge.number() as usize,
                    at,
                    data,
                    reply,
                }) {
                    self.writes.push(write);
                }
                self.advance(end.pipe);
            }
            _ => reply.err(Error::WrongDirection),
        }
    }

    fn read(&mut self, caller: Caller, from: u64, max: u32, reply: Reply<Chunk, Error>) {
        match self.end(caller.badge) {
            Some(end) if !end.writes => {
                let max = (max as usize).clamp(1, MAX_CHUNK_BYTES);
                if let Some(read) = self.try_read(Read {
                    pipe: end.pipe,
                    from,
                    max,
                    reply,
                }) {
                    self.reads.push(read);
                }
                self.advance(end.pipe);
            }
            _ => reply.err(Error::WrongDirection),
        }
    }

    fn another(&mut self, caller: Caller) -> Result<Handle<Connection>, Error> {
        let end = self
            .end(caller.badge)
            .filter(|end| end.writes)
            .ok_or(Error::WrongDirection)?;
        let mut pipe = self.pipes[end.pipe].ok_or(Error::BrokenPipe)?;
        let made = self.mint(end.pipe, true).ok_or(Error::LimitReached)?;
        pipe.writers += 1;
        self.put_pipe(end.pipe, Some(pipe));
        Ok(made)
    }

    fn kind(&mut self, caller: Caller) -> Result<Kind, Error> {
        self.end(caller.badge)
            .map(|_| Kind::Pipe)
            .ok_or(Error::WrongDirection)
    }

    fn finish(&mut self, caller: Caller) -> Result<(), Error> {
        let end = self
            .end(caller.badge)
            .filter(|end| end.writes)
            .ok_or(Error::WrongDirection)?;
        if !end.finished {
            self.put_end(
                caller.badge.number() as usize,
                Some(End {
                    finished: true,
                    ..end
                }),
            );
            if let Some(mut pipe) = self.pipes[end.pipe] {
                pipe.writers = pipe.writers.saturating_sub(1);
                self.put_pipe(end.pipe, Some(pipe));
                self.advance(end.pipe);
            }
        }
        Ok(())
    }
}
