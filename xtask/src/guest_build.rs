//! Building what runs in the guest: the kernel and the programs, for the specifications in `targets/`.
//!
//! `core` and `alloc` are built from source for both, which the pinned stable compiler does when it is told that it may
//! (`RUSTC_BOOTSTRAP`). Programs are found by their mark, the required feature `guest`; nothing needs registering.

use crate::command::run;
use crate::doctor::{self, Need};
use crate::workspace::{Package, cargo, commit, guest_target, packages, root};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The package of the kernel, and the name of its binary.
const KERNEL: &str = "kernel";

/// What to do with the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Compile and link.
    Build,
    /// Only look for mistakes.
    Check,
    /// Look for mistakes and for bad style.
    Lint,
}

impl Action {
    fn verb(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Check => "check",
            Self::Lint => "clippy",
        }
    }
}

/// A machine that code is built for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Kernel,
    User,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Kernel => "x86_64-pebble-kernel",
            Self::User => "x86_64-pebble-user",
        }
    }

    fn linker_script(self) -> &'static str {
        match self {
            Self::Kernel => "kernel.ld",
            Self::User => "user.ld",
        }
    }

    fn profile(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::User => "guest",
        }
    }

    fn output(self, binary: &str) -> PathBuf {
        guest_target()
            .join(self.name())
            .join(self.profile())
            .join(binary)
    }
}

/// A program of the guest that has been built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Its name in the boot image.
    pub name: String,
    /// The ELF file.
    pub path: PathBuf,
}

/// What has been built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The programs by name.
    pub programs: Vec<Program>,
}

impl Built {
    /// The program `name`.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }
}

/// Builds the kernel and all programs.
pub fn build_all(action: Action) -> Result<Built> {
    doctor::ensure(&[Need::RustSource, Need::Linker])?;
    let packages = packages()?;
    build_kernel(&packages, action)?;
    let programs = build_programs(&packages, action)?;
    Ok(Built {
        kernel: Target::Kernel.output(KERNEL),
        programs,
    })
}

/// Builds only what is named: packages or programs.
pub fn build_named(action: Action, names: &[String]) -> Result<()> {
    doctor::ensure(&[Need::RustSource, Need::Linker])?;
    let packages = packages()?;
    for name in names.iter().filter(|name| *name != KERNEL) {
        let is_it =
            |package: &Package| package.name == *name || package.guest_programs.contains(name);
        if !packages
            .iter()
            .any(|package| is_it(package) && !package.guest_programs.is_empty())
        {
            bail!("no program of the guest is called {name:?}");
        }
    }
    if names.iter().any(|name| name == KERNEL) {
        build_kernel(&packages, action)?;
    }
    let chosen = |package: &Package| {
        names
            .iter()
            .any(|name| package.name == *name || package.guest_programs.contains(name))
    };
    let chosen: Vec<Package> = packages.into_iter().filter(chosen).collect();
    build_programs(&chosen, action)?;
    Ok(())
}

fn build_kernel(packages: &[Package], action: Action) -> Result<()> {
    let Some(kernel) = packages.iter().find(|package| package.name == KERNEL) else {
        bail!("the workspace has no package {KERNEL:?}");
    };
    let mut command = cargo_for(Target::Kernel, action)?;
    command.args(["--package", KERNEL, "--bin", KERNEL]);
    if kernel.has_guest_feature {
        command.args(["--features", "guest"]);
    }
    finish(command, action)
}

fn build_programs(packages: &[Package], action: Action) -> Result<Vec<Program>> {
    let packages: Vec<&Package> = packages
        .iter()
        .filter(|package| package.name != KERNEL && !package.guest_programs.is_empty())
        .collect();
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = cargo_for(Target::User, action)?;
    let mut programs = Vec::new();
    for package in packages {
        command.args([
            "--package",
            &package.name,
            "--features",
            &format!("{}/guest", package.name),
        ]);
        for name in &package.guest_programs {
            command.args(["--bin", name]);
            programs.push(Program {
                name: name.clone(),
                path: Target::User.output(name),
            });
        }
    }
    programs.sort_by(|left, right| left.name.cmp(&right.name));
    finish(command, action)?;
    Ok(programs)
}

/// The cargo command for `target`, without packages.
fn cargo_for(target: Target, action: Action) -> Result<Command> {
    let Some(linker) = doctor::linker() else {
        bail!("there is no linker for {}", target.name())
    };
    let targets = root().join("targets");
    let flags = [
        format!("-Clinker={linker}"),
        format!(
            "-Clink-arg=-T{}",
            targets.join(target.linker_script()).display()
        ),
        "-Clink-arg=-zmax-page-size=4096".into(),
        "-Clink-arg=--build-id=none".into(),
        "--cfg=getrandom_backend=\"custom\"".into(),
    ];
    let mut command = cargo();
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", guest_target())
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("PEBBLEOS_COMMIT", commit())
        .arg(action.verb())
        .args(["--profile", target.profile(), "--target"])
        .arg(targets.join(format!("{}.json", target.name())))
        .args([
            "-Zbuild-std=core,alloc,compiler_builtins",
            "-Zbuild-std-features=compiler-builtins-mem",
            "-Zjson-target-spec",
        ]);
    Ok(command)
}

fn finish(mut command: Command, action: Action) -> Result<()> {
    if action == Action::Lint {
        command.args(["--keep-going", "--", "--deny", "warnings"]);
    }
    run(&mut command)
}
