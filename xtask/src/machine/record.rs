//! What others need to find a running guest again: the line that `cargo xtask qemu --detach` prints, kept in a file.

use crate::workspace::run_folder;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A running guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Its name.
    pub name: String,
    /// QEMU's process.
    pub pid: u32,
    /// The socket of its serial console.
    pub serial: PathBuf,
    /// The socket on which QEMU takes commands (QMP).
    pub monitor: PathBuf,
    /// Ports of this host by the service that they lead to.
    pub ports: BTreeMap<String, u16>,
    /// The file with the token for agentd.
    pub token_file: PathBuf,
}

impl Record {
    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        let ports: Map<String, Value> = self
            .ports
            .iter()
            .map(|(name, port)| (name.clone(), json!(port)))
            .collect();
        let path = |path: &Path| path.to_string_lossy().into_owned();
        json!({
            "name": self.name, "pid": self.pid, "serial": path(&self.serial), "monitor": path(&self.monitor),
            "ports": ports, "token_file": path(&self.token_file),
        })
        .to_string()
    }

    /// From such a line.
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let string = |name: &str| {
            value[name]
                .as_str()
                .map(String::from)
                .with_context(|| format!("no member {name:?}"))
        };
        let mut ports = BTreeMap::new();
        for (name, port) in value["ports"].as_object().context("no member \"ports\"")? {
            let number = port.as_u64().and_then(|port| u16::try_from(port).ok());
            ports.insert(
                name.clone(),
                number.with_context(|| format!("the port of {name:?} is {port}"))?,
            );
        }
        Ok(Self {
            name: string("name")?,
            pid: value["pid"]
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok())
                .context("no member \"pid\"")?,
            serial: string("serial")?.into(),
            monitor: string("monitor")?.into(),
            ports,
            token_file: string("token_file")?.into(),
        })
    }

    /// The guest called `name`, or the only one there is.
    pub fn find(name: Option<&str>) -> Result<Self> {
        let running = Self::running();
        let names = || {
            running
                .iter()
                .map(|record| record.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        match (name, running.as_slice()) {
            (_, []) => bail!("no guest is running; start one with: cargo xtask qemu --detach"),
            (None, [record]) => Ok(record.clone()),
            (None, _) => bail!("several guests are running, say which: {}", names()),
            (Some(name), _) => match running.iter().find(|record| record.name == name) {
                Some(record) => Ok(record.clone()),
                None => bail!("no guest called {name:?} is running; there is: {}", names()),
            },
        }
    }

    /// All guests that run, by name.
    pub fn running() -> Vec<Self> {
        let Ok(folder) = fs::read_dir(run_folder()) else {
            return Vec::new();
        };
        let texts = folder
            .flatten()
            .filter_map(|entry| fs::read_to_string(Self::path(&entry.path())).ok());
        let mut records: Vec<Self> = texts
            .filter_map(|text| Self::from_json(&text).ok())
            .filter(Self::is_running)
            .collect();
        records.sort_by(|left, right| left.name.cmp(&right.name));
        records
    }

    /// Whether its process is there and still ours: the number may have gone to somebody else.
    pub fn is_running(&self) -> bool {
        let command = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let monitor = self.monitor.as_os_str().as_encoded_bytes();
        command
            .windows(monitor.len().max(1))
            .any(|window| window == monitor)
    }

    /// Keeps it in the guest's folder.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = Self::path(folder);
        fs::write(&path, self.to_json() + "\n").with_context(|| path.display().to_string())
    }

    /// The file in a guest's folder.
    fn path(folder: &Path) -> PathBuf {
        folder.join("machine.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_the_way_through_its_line() {
        let record = Record {
            name: "pebble".into(),
            pid: 7,
            serial: "/run/serial".into(),
            monitor: "/run/monitor".into(),
            ports: BTreeMap::from([("agentd".into(), 40123)]),
            token_file: "/run/token".into(),
        };
        let line = record.to_json();
        assert!(!line.contains('\n'));
        assert_eq!(Record::from_json(&line).expect("it is our own"), record);
    }

    #[test]
    fn a_process_that_is_not_qemu_is_not_a_guest() {
        let record = Record {
            name: "pebble".into(),
            pid: std::process::id(),
            serial: "/run/serial".into(),
            monitor: "/run/monitor/that/nobody/has".into(),
            ports: BTreeMap::new(),
            token_file: "/run/token".into(),
        };
        assert!(!record.is_running());
    }
}
