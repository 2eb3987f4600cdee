//! ChaCha (D. J. Bernstein, 2008) as a generator: eight rounds, the first half of each block becomes the next key.

/// The state of the generator.
#[derive(Debug)]
pub(super) struct Generator {
    key: [u32; 8],
    counter: u64,
    rest: [u8; 32],
    left: usize,
}

const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
const ROUNDS: usize = 8;

impl Generator {
    pub(super) const fn unseeded() -> Self {
        Self {
            key: [0; 8],
            counter: 0,
            rest: [0; 32],
            left: 0,
        }
    }

    /// Adds a seed to the key.
    pub(super) fn mix(&mut self, seed: &[u8; 32]) {
        for (word, chunk) in self.key.iter_mut().zip(seed.as_chunks::<4>().0) {
            *word ^= u32::from_le_bytes(*chunk);
        }
        self.left = 0;
        self.refill();
        self.left = 0;
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left == 0 {
                self.refill();
            }
            let at = self.rest.len() - self.left;
            *byte = core::mem::take(&mut self.rest[at]);
            self.left -= 1;
        }
    }

    fn refill(&mut self) {
        let block = block(&self.key, self.counter);
        self.counter = self.counter.wrapping_add(1);
        self.key.copy_from_slice(&block[..8]);
        for (chunk, word) in self.rest.chunks_exact_mut(4).zip(&block[8..]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        self.left = self.rest.len();
    }
}

fn block(key: &[u32; 8], counter: u64) -> [u32; 16] {
    let mut input = [0; 16];
    input[..4].copy_from_slice(&CONSTANTS);
    input[4..12].copy_from_slice(key);
    input[12] = counter as u32;
    input[13] = (counter >> 32) as u32;
    let mut state = input;
    for _ in 0..ROUNDS / 2 {
        for column in 0..4 {
            quarter(&mut state, column, 4 + column, 8 + column, 12 + column);
        }
        for column in 0..4 {
            quarter(
                &mut state,
                column,
                4 + (column + 1) % 4,
                8 + (column + 2) % 4,
                12 + (column + 3) % 4,
            );
        }
    }
    for (word, start) in state.iter_mut().zip(input) {
        *word = word.wrapping_add(start);
    }
    state
}

fn quarter(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[x] = state[x].wrapping_add(state[y]);
        state[z] = (state[z] ^ state[x]).rotate_left(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_block_of_the_zero_key_is_the_published_one() {
        // ChaCha8, all-zero key and nonce, block 0: 3e00ef2f895f40d6…
        let bytes: std::vec::Vec<u8> = block(&[0; 8], 0)
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(
            &bytes[..8],
            &[0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]
        );
    }

    #[test]
    fn what_was_given_out_is_not_left_behind() {
        let mut generator = Generator::unseeded();
        generator.mix(&[7; 32]);
        let mut given = [0; 16];
        generator.fill(&mut given);
        assert!(
            !generator
                .rest
                .windows(4)
                .any(|window| window == &given[..4])
        );
        let mut again = [0; 16];
        generator.fill(&mut again);
        assert_ne!(given, again);
    }
}
