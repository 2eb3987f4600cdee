//! The boot image: manifests, and programs ready to be mapped.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use abi::image::EntryKind;
use init_manifest::{Manifest, graph};
use libipc::{Handle, MemoryObject};
use loader::Image as Program;

/// The boot image.
pub struct BootImage {
    /// Its memory, for services with the grant.
    pub memory: Handle<MemoryObject>,
    image: image_builder::Image<'static>,
    programs: BTreeMap<String, Program>,
}

impl BootImage {
    /// Opens what the kernel gave.
    pub fn open() -> Result<Self, String> {
        let memory = Handle::<MemoryObject>::from_raw(abi::boot::BOOT_IMAGE);
        let bytes = memory
            .boot_bytes()
            .map_err(|error| format!("the boot image can't be mapped: {error}"))?;
        let image = image_builder::Image::parse(bytes).map_err(|error| error.to_string())?;
        Ok(Self {
            memory,
            image,
            programs: BTreeMap::new(),
        })
    }

    /// The manifests, sorted by name, and what was wrong with those that are not among them. The build checked them all together, but an image is input like any other.
    pub fn manifests(&self) -> (Vec<Manifest>, Vec<String>) {
        let mut problems = Vec::new();
        let mut manifests: Vec<Manifest> = Vec::new();
        for entry in self.image.of_kind(EntryKind::Manifest) {
            let contents = entry.checked().map_err(|error| error.to_string());
            match contents
                .and_then(|bytes| postcard::from_bytes(bytes).map_err(|error| error.to_string()))
            {
                Ok(manifest) => manifests.push(manifest),
                Err(error) => problems.push(format!("the manifest of {}: {error}", entry.name())),
            }
        }
        manifests.sort_by(|left, right| left.name.cmp(&right.name));
        manifests.dedup_by(|later, earlier| later.name == earlier.name);
        problems.extend(
            graph::check(&manifests)
                .iter()
                .map(|problem| problem.to_string()),
        );
        (manifests, problems)
    }

    /// A program, read and relocated the first time it is asked for. All processes of it share one address and what can be shared.
    pub fn program(&mut self, name: &str) -> Result<&Program, String> {
        if !self.programs.contains_key(name) {
            let program = self.load(name)?;
            self.programs.insert(name.to_string(), program);
        }
        self.programs
            .get(name)
            .ok_or_else(|| format!("the program {name} is lost"))
    }

    fn load(&self, name: &str) -> Result<Program, String> {
        let entry = self
            .image
            .find(EntryKind::Program, name)
            .ok_or_else(|| format!("the boot image has no program {name}"))?;
        let contents = entry.checked().map_err(|error| error.to_string())?;
        let file = self.memory.duplicate().map_err(|error| error.to_string())?;
        Program::load(contents, file, entry.offset())
            .map_err(|error| format!("the program {name}: {error}"))
    }
}
