//! A call of a protocol: encoded and decoded at both ends.

use core::convert::Infallible;
use core::hint::black_box;

use libipc::bytes::ShortBytes;
use libipc::prelude::*;
use libipc::{Endpoint, StartError, Wake};

use crate::Bench;
use crate::calls::patience;
use crate::measure::least;

/// The peer that serves the protocol.
pub const SERVER: &str = "postcard";
/// Bytes of a request's and of an answer's byte string.
const DATA_BYTES: usize = 40;

/// What is asked for.
#[message]
#[derive(Copy, Eq)]
pub enum Kind {
    /// One thing.
    Read,
    /// Or another.
    Write,
}

/// An answer of the same size as a request.
#[message]
pub struct Answer {
    /// As in the request.
    pub kind: Kind,
    /// As in the request.
    pub position: u64,
    /// As in the request.
    pub count: u32,
    /// Bytes.
    pub data: ShortBytes<DATA_BYTES>,
}

/// Nothing goes wrong.
#[message]
pub enum Error {
    /// The byte string is longer than an answer's.
    TooLong,
}

/// See the module.
#[protocol(name = "exchange", version = 1)]
pub trait Exchange {
    /// Answers with what was asked.
    fn exchange(
        &mut self,
        kind: Kind,
        position: u64,
        count: u32,
        data: &[u8],
    ) -> Result<Answer, Error>;
}

/// Measures it.
pub fn measure(bench: &mut Bench) -> Result<(), StartError> {
    let served = bench.peers.serve(SERVER)?;
    let client = exchange::Client::adopt(served.connection);
    let data = black_box([7; DATA_BYTES]);
    let deadline = patience();
    let cost = least(&[&bench.own, &served.peer.process], || {
        let answer = client.exchange(deadline, Kind::Write, black_box(1 << 40), 4096, &data);
        let _ = black_box(answer);
    });
    bench.report("call_postcard_64", cost);
    Ok(())
}

struct Server;

impl Exchange for Server {
    fn exchange(
        &mut self,
        _caller: Caller,
        kind: Kind,
        position: u64,
        count: u32,
        data: &[u8],
    ) -> Result<Answer, Error> {
        let data = ShortBytes::new(data).ok_or(Error::TooLong)?;
        Ok(Answer {
            kind,
            position,
            count,
            data,
        })
    }
}

/// Serves the protocol.
pub fn serve(mut endpoint: Endpoint) -> Result<Infallible, StartError> {
    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => exchange::dispatch(&mut Server, call),
            Wake::Failed(error) => return Err(error.into()),
            _ => {}
        }
    }
}
