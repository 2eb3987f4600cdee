//! Where things are, and which packages there are.

use crate::command::output_of;
use anyhow::{Context, Result};
use serde_json::Value;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folder. Cargo tells it when it runs us; the place at build time is right in all other cases.
pub fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    match package.parent() {
        Some(parent) if parent.join("targets").is_dir() => parent.to_path_buf(),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
    }
}

/// Where everything built goes.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where what runs in the guest is built: the kernel, the programs and the boot image.
pub fn guest_target() -> PathBuf {
    target().join("guest")
}

/// Where running guests keep their sockets, logs and tokens, a folder each.
pub fn run_folder() -> PathBuf {
    root().join("target/run")
}

/// The cargo that runs us, or the one in the path.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A package of the workspace, as far as the tools care.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// The programs that run in the guest: binaries with the required feature `guest`.
    pub guest_programs: Vec<String>,
    /// Whether it has a feature `guest`.
    pub has_guest_feature: bool,
}

/// All packages of the workspace, in the order of their names.
pub fn packages() -> Result<Vec<Package>> {
    let text = output_of(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let mut packages: Vec<Package> = members(&metadata, "packages")
        .iter()
        .filter_map(package)
        .collect();
    packages.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(packages)
}

fn package(value: &Value) -> Option<Package> {
    let manifest = Path::new(value["manifest_path"].as_str()?);
    let programs = members(value, "targets")
        .iter()
        .filter(|target| is_guest_program(target));
    Some(Package {
        name: value["name"].as_str()?.into(),
        folder: manifest.parent()?.to_path_buf(),
        guest_programs: programs
            .filter_map(|target| Some(target["name"].as_str()?.to_string()))
            .collect(),
        has_guest_feature: value["features"].get("guest").is_some(),
    })
}

fn is_guest_program(target: &Value) -> bool {
    let has =
        |member: &str, wanted: &str| members(target, member).iter().any(|value| value == wanted);
    has("kind", "bin") && has("required-features", "guest")
}

fn members<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The commit that is checked out; `unknown` without git.
pub fn commit() -> String {
    let git =
        |arguments: &[&str]| output_of(Command::new("git").current_dir(root()).args(arguments));
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Ok(commit) => commit.trim().to_string(),
        Err(_) => "unknown".into(),
    }
}

/// When the commit that is checked out was made, in seconds since 1970; 0 without git.
pub fn commit_time() -> u64 {
    let time =
        output_of(
            Command::new("git")
                .current_dir(root())
                .args(["log", "-1", "--format=%ct"]),
        );
    time.ok()
        .and_then(|time| time.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_package_is_found() {
        let packages = packages().expect("cargo answers");
        let ours = packages
            .iter()
            .find(|package| package.name == "xtask")
            .expect("we are a member");
        assert!(ours.guest_programs.is_empty());
        assert!(ours.folder.ends_with("xtask"));
    }

    #[test]
    fn a_binary_that_requires_the_guest_feature_is_a_program_of_the_guest() {
        let value = serde_json::json!({
            "name": "logd", "manifest_path": "/work/servers/logd/Cargo.toml", "features": {"guest": []},
            "targets": [
                {"name": "logd", "kind": ["bin"], "required-features": ["guest"]},
                {"name": "logd", "kind": ["lib"]},
                {"name": "tool", "kind": ["bin"]},
            ],
        });
        let package = package(&value).expect("it is whole");
        assert_eq!(package.guest_programs, ["logd"]);
        assert!(package.has_guest_feature);
    }
}
