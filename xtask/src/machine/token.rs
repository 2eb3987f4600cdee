//! The token of a guest: who has it may drive the guest through agentd.
//!
//! The token is `pbl1.<id>.<secret>`, 4 random bytes and 32 random bytes in hexadecimal. It exists in one file that only
//! its owner can read; the guest gets the SHA-256 of its UTF-8 text, also in hexadecimal.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where the guest finds the hash.
pub const FW_CFG_NAME: &str = "opt/org.pebbleos/agentd-token";

/// A token, just made.
pub struct Token(String);

impl Token {
    /// A new one, from the host's random generator.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 36];
        getrandom::fill(&mut bytes).context("the host has no random bytes")?;
        let (id, secret) = bytes.split_at(4);
        Ok(Self(format!(
            "pbl1.{}.{}",
            hexadecimal(id),
            hexadecimal(secret)
        )))
    }

    /// What the guest gets.
    pub fn hash(&self) -> String {
        hexadecimal(&Sha256::digest(self.0.as_bytes()))
    }

    /// Writes it where only the owner can read it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = opened.with_context(|| path.display().to_string())?;
        file.write_all(self.0.as_bytes())
            .with_context(|| path.display().to_string())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_differ_and_have_the_documented_form() {
        let [one, other] = [
            Token::generate().expect("random"),
            Token::generate().expect("random"),
        ];
        assert_ne!(one.0, other.0);
        let parts: Vec<&str> = one.0.split('.').collect();
        assert_eq!(
            (parts.len(), parts[0], parts[1].len(), parts[2].len()),
            (3, "pbl1", 8, 64)
        );
    }

    #[test]
    fn the_hash_is_that_of_the_text() {
        let token = Token("abc".into());
        assert_eq!(
            token.hash(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
