//! Talking with QEMU itself (QMP: one JSON object a line, a greeting first, events in between).

use crate::deadline::Deadline;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The longest that QEMU may take to answer; it does so between two instructions of the guest.
const ANSWER_SECONDS: u64 = 20;

/// A connection to QEMU. It serves one at a time, so don't keep it longer than needed.
pub struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects, waiting for the socket to appear until `deadline`.
    pub fn connect(path: &Path, deadline: Deadline) -> Result<Self> {
        let stream = deadline.poll(|| UnixStream::connect(path).ok());
        let stream =
            stream.with_context(|| format!("QEMU does not listen on {}", path.display()))?;
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        let deadline = Deadline::after_seconds(ANSWER_SECONDS);
        let greeting = monitor.read(deadline)?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU greets with {greeting}");
        }
        monitor.execute("qmp_capabilities", json!({}))?;
        Ok(monitor)
    }

    /// Carries out one command and returns its result.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let deadline = Deadline::after_seconds(ANSWER_SECONDS);
        let line = json!({ "execute": command, "arguments": arguments }).to_string() + "\n";
        self.stream.get_mut().write_all(line.as_bytes())?;
        loop {
            let mut answer = self.read(deadline).with_context(|| command.to_string())?;
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = answer.get("error") {
                bail!(
                    "QEMU refuses {command}: {}",
                    error["desc"].as_str().unwrap_or("without a reason")
                );
            }
        }
    }

    /// Carries out a command of QEMU's console for people and returns what it prints.
    pub fn console(&mut self, line: &str) -> Result<String> {
        let result = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(result.as_str().unwrap_or_default().into())
    }

    fn read(&mut self, deadline: Deadline) -> Result<Value> {
        self.stream
            .get_ref()
            .set_read_timeout(Some(deadline.remaining().context("QEMU does not answer")?))?;
        let mut line = String::new();
        if self
            .stream
            .read_line(&mut line)
            .context("QEMU does not answer")?
            == 0
        {
            bail!("QEMU closed its monitor");
        }
        serde_json::from_str(&line).with_context(|| format!("QEMU says {line:?}"))
    }
}

/// The host's port that leads to `guest_port`, from what QEMU prints for `info usernet`.
pub fn forwarded_port(usernet: &str, guest_port: u16) -> Option<u16> {
    usernet.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [protocol, _, _, host_port, _, port, ..] = words.as_slice() else {
            return None;
        };
        let is_it = *protocol == "TCP[HOST_FORWARD]" && port.parse() == Ok(guest_port);
        if is_it { host_port.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarded_port_is_found_among_connections() {
        let usernet = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n  \
            TCP[ESTABLISHED]   20       127.0.0.1 40111       10.0.2.15  7000     0     0\r\n  \
            TCP[HOST_FORWARD]  13       127.0.0.1 35491       10.0.2.15  7000     0     0\r\n";
        assert_eq!(forwarded_port(usernet, 7000), Some(35491));
        assert_eq!(forwarded_port(usernet, 22), None);
        assert_eq!(forwarded_port("", 7000), None);
    }
}
