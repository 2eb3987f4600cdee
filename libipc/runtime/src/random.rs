//! Random numbers: seeded once at process start, then ChaCha with eight rounds and a key that is replaced as it is used, so that what was given out
//! can't be computed from what is left in memory.

use crate::sync::Lock;
use core::sync::atomic::{AtomicU64, Ordering};

mod chacha;

use chacha::Generator;

static GENERATOR: Lock<Generator> = Lock::new(Generator::unseeded());
static NEXT_REQUEST: AtomicU64 = AtomicU64::new(0);

#[cfg(target_os = "none")]
/// Seeds the generator. Called at process start.
pub(crate) fn seed(seed: [u64; 4]) {
    let mut key = [0; 32];
    for (chunk, word) in key.chunks_exact_mut(8).zip(seed) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    GENERATOR.lock().mix(&key);
    NEXT_REQUEST.store(next_u64(), Ordering::Relaxed);
}

/// Adds what somebody else knows to be random (or not: it can't make it worse).
pub fn stir(bytes: &[u8; 32]) {
    GENERATOR.lock().mix(bytes);
}

/// Fills `bytes`. Fit for keys, if the seed was.
pub fn fill(bytes: &mut [u8]) {
    GENERATOR.lock().fill(bytes);
}

/// A random number.
pub fn next_u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number for a request of a journaled method. It starts at random, so that the next incarnation of a client does not use it again.
pub(crate) fn request_number() -> u64 {
    NEXT_REQUEST.fetch_add(1, Ordering::Relaxed)
}
