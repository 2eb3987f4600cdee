//! A peer that misbehaves: for the test that every server passes.

use libipc::client::call_bytes_with_handles;
use libipc::object::Notification;
use libipc::{Connection, Deadline, Failure, Handle, Refusal};

/// What a misbehaving peer does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mischief {
    /// No bytes at all.
    Empty,
    /// A method that there is not.
    UnknownMethod,
    /// Every method with its arguments cut off.
    Truncated,
    /// Every method with random bytes.
    Rubbish,
    /// Every method with as many bytes as fit.
    Longest,
    /// Every method with handles that nobody asked for.
    UnwantedHandles,
}

impl Mischief {
    /// All of it.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::UnknownMethod,
        Self::Truncated,
        Self::Rubbish,
        Self::Longest,
        Self::UnwantedHandles,
    ];
}

/// A client that sends what no generated client would.
#[derive(Debug)]
pub struct HostilePeer {
    connection: Handle<Connection>,
    state: u64,
}

impl HostilePeer {
    /// A peer whose mischief repeats with the seed.
    pub fn new(connection: Handle<Connection>, seed: u64) -> Self {
        Self {
            connection,
            state: seed | 1,
        }
    }

    /// Does it, and gives what the server answered to each message: `Ok` is an answer of a method, with or without an error of its own. A server
    /// that is healthy never fails a call in another way than by refusing it.
    pub fn commit(&mut self, mischief: Mischief) -> Vec<Result<Vec<u8>, Failure>> {
        match mischief {
            Mischief::Empty => vec![self.send(&[], &[])],
            Mischief::UnknownMethod => vec![self.send(&[200, 1, 2, 3], &[])],
            Mischief::Truncated => (0..=255).map(|method| self.send(&[method], &[])).collect(),
            Mischief::Rubbish => (0..=255).map(|method| self.rubbish(method)).collect(),
            Mischief::Longest => (0..=255)
                .map(|method| self.send(&[&[method][..], &[0xff; 4095]].concat(), &[]))
                .collect(),
            Mischief::UnwantedHandles => (0..=255).map(|method| self.unwanted(method)).collect(),
        }
    }

    /// Whether an answer is one that a healthy server gives.
    pub fn is_healthy(answer: &Result<Vec<u8>, Failure>) -> bool {
        match answer {
            Ok(bytes) => !bytes.is_empty(),
            Err(failure) => matches!(
                failure,
                Failure::Refused(Refusal::Malformed | Refusal::UnknownMethod)
            ),
        }
    }

    fn rubbish(&mut self, method: u8) -> Result<Vec<u8>, Failure> {
        let length = (self.random() % 80) as usize;
        let mut bytes = vec![method];
        for _ in 0..length {
            bytes.push(self.random() as u8);
        }
        self.send(&bytes, &[])
    }

    fn unwanted(&mut self, method: u8) -> Result<Vec<u8>, Failure> {
        let handle = Handle::<Notification>::create().map_err(Failure::System)?;
        self.send(&[method, 0, 1, 2, 3], &[handle.raw(); 4])
    }

    fn send(&mut self, bytes: &[u8], handles: &[abi::Handle]) -> Result<Vec<u8>, Failure> {
        let answer = call_bytes_with_handles(
            &self.connection,
            bytes,
            handles,
            Deadline::after_ms(1000).into(),
        )?;
        for handle in &answer.handles {
            drop(Handle::<Notification>::from_raw(handle.handle()));
        }
        Ok(answer.bytes)
    }

    /// Xorshift (G. Marsaglia, 2003): enough for mischief.
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}
