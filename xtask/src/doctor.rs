//! What the host must have, and how to get it.
//!
//! A verb calls [`ensure`] for what it uses, so that a fresh clone with nothing but a Rust toolchain works: as root on
//! Debian what is missing is installed, anywhere else the error is the command to type.

use crate::command::{output_of, run, succeeds};
use crate::workspace::root;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that a verb needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// The machine that guests run on.
    Qemu,
    /// The source of `core` and `alloc`, which are built for our targets.
    RustSource,
    /// The linker for our targets.
    Linker,
    /// The compiler's own critic.
    Clippy,
    /// The formatter.
    Formatter,
    /// Python with virtual environments, for the tests that use a public client library.
    Python,
    /// Netcat, to talk with agentd by hand.
    Netcat,
}

impl Need {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 7] = [
        Self::RustSource,
        Self::Linker,
        Self::Qemu,
        Self::Clippy,
        Self::Formatter,
        Self::Python,
        Self::Netcat,
    ];

    /// What it is, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Qemu => "QEMU for x86-64 (qemu-system-x86_64)",
            Self::RustSource => "the source of Rust's core libraries (rust-src)",
            Self::Linker => "LLVM's linker (rust-lld or ld.lld)",
            Self::Clippy => "clippy",
            Self::Formatter => "rustfmt",
            Self::Python => "Python 3 with venv and pip",
            Self::Netcat => "netcat (nc)",
        }
    }

    /// Whether the host has it.
    pub fn is_met(self) -> bool {
        match self {
            Self::Qemu => succeeds(Command::new("qemu-system-x86_64").arg("--version")),
            Self::RustSource => sysroot()
                .is_some_and(|sysroot| sysroot.join("lib/rustlib/src/rust/library/core").is_dir()),
            Self::Linker => linker().is_some(),
            Self::Clippy => succeeds(
                Command::new("cargo")
                    .current_dir(root())
                    .args(["clippy", "--version"]),
            ),
            Self::Formatter => succeeds(
                Command::new("cargo")
                    .current_dir(root())
                    .args(["fmt", "--version"]),
            ),
            Self::Python => {
                succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]))
            }
            Self::Netcat => succeeds(Command::new("nc").arg("-h")),
        }
    }

    /// The component of rustup that brings it.
    fn component(self) -> Option<&'static str> {
        match self {
            Self::RustSource => Some("rust-src"),
            Self::Clippy => Some("clippy"),
            Self::Formatter => Some("rustfmt"),
            Self::Qemu | Self::Linker | Self::Python | Self::Netcat => None,
        }
    }

    /// The Debian packages that bring it.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Qemu => &["qemu-system-x86"],
            Self::RustSource => &["rust-web-src"],
            Self::Linker => &["lld"],
            Self::Clippy => &["rust-clippy-web"],
            Self::Formatter => &["rustfmt-web"],
            Self::Python => &["python3", "python3-venv", "python3-pip"],
            Self::Netcat => &["netcat-openbsd"],
        }
    }

    /// The command that brings it.
    fn remedy(self) -> Remedy {
        match self.component() {
            Some(component) if has_rustup() => Remedy::Rustup(component),
            _ => Remedy::Apt(self.packages()),
        }
    }
}

enum Remedy {
    Rustup(&'static str),
    Apt(&'static [&'static str]),
}

impl Remedy {
    fn command(&self) -> String {
        match self {
            Self::Rustup(component) => format!("rustup component add {component}"),
            Self::Apt(packages) => format!(
                "sudo apt-get install --no-install-recommends -y {}",
                packages.join(" ")
            ),
        }
    }

    /// Whether we may do it ourselves: rustup belongs to the user, packages to root.
    fn is_ours(&self) -> bool {
        match self {
            Self::Rustup(_) => true,
            Self::Apt(_) => {
                rustix::process::geteuid().is_root() && Path::new("/etc/debian_version").exists()
            }
        }
    }

    fn apply(&self) -> Result<()> {
        match self {
            Self::Rustup(component) => run(Command::new("rustup").current_dir(root()).args([
                "component",
                "add",
                component,
            ])),
            Self::Apt(packages) => apt_install(packages),
        }
    }
}

/// Installs packages; a list of packages that is too old or absent is fetched first.
fn apt_install(packages: &[&str]) -> Result<()> {
    let install = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--no-install-recommends", "-y"])
            .args(packages);
        run(&mut command)
    };
    install().or_else(|_| {
        run(Command::new("apt-get").arg("update"))?;
        install()
    })
}

/// Makes sure that the host has all of `needs`, by installing what is missing where that is ours to do.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let mut missing = Vec::new();
    for need in needs.iter().filter(|need| !need.is_met()) {
        let remedy = need.remedy();
        if remedy.is_ours() {
            eprintln!("missing: {}", need.title());
            remedy.apply()?;
        }
        if !need.is_met() {
            missing.push(format!("missing: {}\n  {}", need.title(), remedy.command()));
        }
    }
    if !missing.is_empty() {
        bail!("{}", missing.join("\n"));
    }
    Ok(())
}

/// The linker for our targets: the toolchain's own (the name alone, the compiler finds it), or LLVM's from the path.
pub fn linker() -> Option<&'static str> {
    if sysroot().is_some_and(|sysroot| has_rust_lld(&sysroot)) {
        return Some("rust-lld");
    }
    succeeds(Command::new("ld.lld").arg("--version")).then_some("ld.lld")
}

fn has_rust_lld(sysroot: &Path) -> bool {
    let Ok(targets) = sysroot.join("lib/rustlib").read_dir() else {
        return false;
    };
    targets
        .flatten()
        .any(|target| target.path().join("bin/rust-lld").exists())
}

fn sysroot() -> Option<PathBuf> {
    let text = output_of(
        Command::new("rustc")
            .current_dir(root())
            .args(["--print", "sysroot"]),
    )
    .ok()?;
    Some(PathBuf::from(text.trim()))
}

fn has_rustup() -> bool {
    succeeds(Command::new("rustup").arg("--version"))
}

/// Whether the processor and the kernel let QEMU use hardware virtualisation.
pub fn has_kvm() -> bool {
    let Ok(cpus) = std::fs::read_to_string("/proc/cpuinfo") else {
        return false;
    };
    let has_feature = cpus
        .split_whitespace()
        .any(|word| word == "vmx" || word == "svm");
    has_feature
        && std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
            .is_ok()
}
