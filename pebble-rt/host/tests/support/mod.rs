//! What the tests that run whole programs share: a folder of their own, the built command, and a limit on time.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// A program that is not done by then is stuck.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// A folder that exists as long as the value, under the target directory.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty folder. `label` is for people who look at what a crashed test left behind.
    pub fn new(label: &str) -> std::io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "{}-{number}-{}",
            std::process::id(),
            label.replace('/', "-")
        );
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that cannot be removed is only litter, and there is nobody to tell.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Runs `pebble` with `arguments` and `input`, and kills it when it takes too long.
pub fn pebble(arguments: &[String], input: &[u8]) -> Result<Output, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pebble"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start pebble: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read all of its input closes the pipe early, which is its right.
        let _ = stdin.write_all(input);
    }
    let process = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(TIME_LIMIT) {
        Ok(output) => output.map_err(|error| format!("cannot read what pebble wrote: {error}")),
        Err(_) => {
            let _ = Command::new("kill")
                .arg("-9")
                .arg(process.to_string())
                .status();
            Err(format!("still running after {} s", TIME_LIMIT.as_secs()))
        }
    }
}

/// Shows where two texts part, as a line-by-line comparison. Empty when they are equal.
#[allow(dead_code, reason = "each test file uses its part of this")]
pub fn difference(what: &str, expected: &str, actual: &str) -> String {
    if expected == actual {
        return String::new();
    }
    let mut text = format!("{what} differs:\n");
    for change in similar::TextDiff::from_lines(expected, actual).iter_all_changes() {
        let mark = match change.tag() {
            similar::ChangeTag::Delete => "- ",
            similar::ChangeTag::Insert => "+ ",
            similar::ChangeTag::Equal => "  ",
        };
        text.push_str(mark);
        text.push_str(change.value());
        if change.missing_newline() {
            text.push_str(" (no line end)\n");
        }
    }
    text
}
