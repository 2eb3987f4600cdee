//! Putting the boot image together from what was built.

use crate::guest_build::{Action, Built, build_all};
use crate::workspace::{commit_time, guest_target, root};
use anyhow::{Context, Result, anyhow, bail};
use image_builder::{ImageBuilder, flat, program, symbols, tree};
use init_manifest::{Manifest, graph, text};
use std::fs;
use std::path::{Path, PathBuf};

/// The first program: it is linked flat, because the kernel loads it.
const INIT: &str = "init";

/// What QEMU boots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BootFiles {
    /// The kernel.
    pub kernel: PathBuf,
    /// The boot image.
    pub image: PathBuf,
}

impl BootFiles {
    /// Where they are once they have been built.
    pub fn built() -> Self {
        let kernel = guest_target().join("x86_64-pebble-kernel/kernel/kernel");
        Self {
            kernel,
            image: guest_target().join("boot.img"),
        }
    }

    /// Builds everything and puts the boot image together.
    pub fn make() -> Result<Self> {
        let built = build_all(Action::Build)?;
        let files = Self {
            kernel: built.kernel.clone(),
            image: guest_target().join("boot.img"),
        };
        write_whole(&files.image, &compose(&built)?)?;
        Ok(files)
    }
}

/// The boot image's bytes.
fn compose(built: &Built) -> Result<Vec<u8>> {
    let mut image = ImageBuilder::new();
    let Some(init) = built.program(INIT) else {
        bail!("no package builds the program {INIT:?}")
    };
    image.init(flat::link(&read(&init.path)?, flat::INIT_BASE).context(INIT)?)?;
    for built in built.programs.iter().filter(|program| program.name != INIT) {
        let stripped = program::strip(&read(&built.path)?).with_context(|| built.name.clone())?;
        image.program(&built.name, stripped)?;
    }
    add_manifests(&mut image, built)?;
    add_system_tree(&mut image)?;
    image.kernel_symbols(symbols::table(&read(&built.kernel)?).context("kernel")?)?;
    Ok(image.build()?)
}

/// The manifests of the services whose programs there are.
fn add_manifests(image: &mut ImageBuilder, built: &Built) -> Result<()> {
    let manifests = manifests()?;
    let problems: Vec<String> = graph::check(&manifests)
        .iter()
        .map(|problem| problem.to_string())
        .collect();
    if !problems.is_empty() {
        bail!(
            "the manifests in init/services contradict each other:\n{}",
            problems.join("\n")
        );
    }
    for manifest in &manifests {
        if built.program(manifest.program()).is_none() {
            eprintln!(
                "left out: service {} (nothing builds the program {})",
                manifest.name,
                manifest.program()
            );
            continue;
        }
        image.manifest(&manifest.name, postcard::to_allocvec(manifest)?)?;
    }
    Ok(())
}

/// All manifests, sorted by the names of their files.
pub fn manifests() -> Result<Vec<Manifest>> {
    let folder = root().join("init/services");
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "toml")
    });
    paths.sort();
    let parse = |path: &PathBuf| {
        let source = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        text::parse(&source).map_err(|error| anyhow!("{}: {error}", path.display()))
    };
    paths.iter().map(parse).collect()
}

/// The part of the system that is written in Pebble, as `/system` of the guest.
fn add_system_tree(image: &mut ImageBuilder) -> Result<()> {
    let folder = root().join("pebble-rt/system");
    if !folder.is_dir() {
        return Ok(());
    }
    let modified = commit_time();
    for file in tree::collect(&folder, "system").with_context(|| folder.display().to_string())? {
        image.file(&file.path, file.contents, modified)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

/// Writes a file so that whoever opens it sees the old one or the new one, never half of either.
fn write_whole(path: &Path, contents: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, contents).with_context(|| temporary.display().to_string())?;
    fs::rename(&temporary, path).with_context(|| path.display().to_string())
}
