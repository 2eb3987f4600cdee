//! `new`: a skeleton of a driver, a server or a protocol, in the style of the others.

use crate::arguments::{Argument, Arguments, unexpected};
use crate::machine::options::checked_name;
use crate::workspace::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// The arguments, for the help.
pub const USAGE: &str = "\
driver|server|protocol NAME [--protocol PROTOCOL]
  NAME                  as thingd, lower case
  --protocol PROTOCOL   what a driver or server serves (a new one of its name)";

const PROTOCOL: &str = include_str!("../templates/protocol.rs.txt");
const CARGO: &str = include_str!("../templates/Cargo.toml.txt");
const LIB: &str = include_str!("../templates/lib.rs.txt");
const MAIN: &str = include_str!("../templates/main.rs.txt");
const MANIFEST: &str = include_str!("../templates/manifest.toml.txt");
const PAGE: &str = include_str!("../templates/page.md.txt");

/// What to make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Driver,
    Server,
    Protocol,
}

impl Kind {
    fn parse(word: &str) -> Result<Self> {
        match word {
            "driver" => Ok(Self::Driver),
            "server" => Ok(Self::Server),
            "protocol" => Ok(Self::Protocol),
            _ => bail!("there is no skeleton of a {word:?}: choose driver, server or protocol"),
        }
    }

    fn folder(self) -> &'static str {
        if self == Self::Driver {
            "drivers"
        } else {
            "servers"
        }
    }

    fn layer(self) -> &'static str {
        if self == Self::Driver {
            "driver"
        } else {
            "server"
        }
    }
}

/// Runs the verb.
pub fn run(mut arguments: Arguments) -> Result<()> {
    let (mut kind, mut name, mut protocol) = (None, None, None);
    while let Some(argument) = arguments.take_next()? {
        match argument {
            Argument::Option(option) if option == "protocol" => protocol = Some(arguments.value()?),
            Argument::Word(word) if kind.is_none() => kind = Some(Kind::parse(&word)?),
            Argument::Word(word) if name.is_none() => name = Some(checked(word)?),
            other => return Err(unexpected(&other)),
        }
    }
    let kind = kind.context("what? As: cargo xtask new server thingd")?;
    let name = name.context("how is it called? As: cargo xtask new server thingd")?;
    let root = root();
    if kind == Kind::Protocol {
        return make_protocol(&root, &name);
    }
    let skeleton = Skeleton {
        kind,
        protocol: protocol.clone().unwrap_or_else(|| name.replace('-', "_")),
        name,
    };
    if protocol.is_none() {
        make_protocol(&root, &skeleton.protocol)?;
    }
    skeleton.make(&root)
}

/// A driver or a server to be made.
struct Skeleton {
    kind: Kind,
    name: String,
    protocol: String,
}

impl Skeleton {
    fn make(&self, root: &Path) -> Result<()> {
        let folder = format!("{}/{}", self.kind.folder(), self.name);
        create(root, &format!("{folder}/Cargo.toml"), &self.fill(CARGO))?;
        create(root, &format!("{folder}/src/lib.rs"), &self.fill(LIB))?;
        create(root, &format!("{folder}/src/main.rs"), &self.fill(MAIN))?;
        create(
            root,
            &format!("init/services/{}.toml", self.name),
            &self.fill(MANIFEST),
        )?;
        create(
            root,
            &format!("docs/{}/{}.md", self.kind.folder(), self.name),
            &self.fill(PAGE),
        )?;
        add_line(
            &root.join("Cargo.toml"),
            "members = [\n",
            &format!("    \"{folder}\",\n"),
        )?;
        println!("next: cargo test -p {0}, cargo xtask build {0}", self.name);
        Ok(())
    }

    fn fill(&self, template: &str) -> String {
        fill(template, &self.name)
            .replace("@FOLDER@", self.kind.folder())
            .replace("@LAYER@", self.kind.layer())
            .replace("@PROTOCOL@", &self.protocol)
            .replace("@TRAIT@", &type_name(&self.protocol))
    }
}

fn make_protocol(root: &Path, name: &str) -> Result<()> {
    let name = name.replace('-', "_");
    create(
        root,
        &format!("libipc/protocols/src/{name}.rs"),
        &fill(PROTOCOL, &name),
    )?;
    add_line(
        &root.join("libipc/protocols/src/lib.rs"),
        "\npub mod ",
        &format!("\npub mod {name};"),
    )
}

fn fill(template: &str, name: &str) -> String {
    let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    template
        .replace("@NAME@", name)
        .replace("@CRATE@", &name.replace('-', "_"))
        .replace("@TITLE@", &title)
        .replace("@TYPE@", &type_name(name))
}

/// `virtio-net` is `VirtioNet`.
fn type_name(name: &str) -> String {
    let words = name.split(['-', '_']).filter(|word| !word.is_empty());
    words
        .map(|word| format!("{}{}", word[..1].to_uppercase(), &word[1..]))
        .collect()
}

fn checked(name: String) -> Result<String> {
    let name = checked_name(name)?;
    let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts_well || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        bail!("the name {name:?}: lower-case letters, digits and -, beginning with a letter");
    }
    Ok(name)
}

/// Writes a file that is not there yet.
fn create(root: &Path, path: &str, text: &str) -> Result<()> {
    let place = root.join(path);
    if place.exists() {
        bail!("{path} exists already");
    }
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::write(&place, text).with_context(|| path.to_string())?;
    println!("made {path}");
    Ok(())
}

/// Adds a line: behind `anchor` if that ends a line, else before it.
fn add_line(path: &Path, anchor: &str, line: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let place = text
        .find(anchor)
        .with_context(|| format!("{} has no {anchor:?}", path.display()))?;
    let place = if anchor.ends_with('\n') {
        place + anchor.len()
    } else {
        place
    };
    fs::write(path, format!("{}{line}{}", &text[..place], &text[place..]))?;
    println!("changed {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_follow_the_style() {
        assert_eq!(type_name("virtio-net"), "VirtioNet");
        assert_eq!(type_name("thingd"), "Thingd");
    }

    #[test]
    fn nothing_in_a_skeleton_is_left_unfilled() {
        for (kind, protocol) in [(Kind::Server, "thing"), (Kind::Driver, "nic")] {
            let skeleton = Skeleton {
                kind,
                name: "some-thing".into(),
                protocol: protocol.into(),
            };
            for template in [CARGO, LIB, MAIN, MANIFEST, PAGE] {
                let filled = skeleton.fill(template);
                assert!(!filled.contains('@'), "{filled}");
            }
        }
        assert!(!fill(PROTOCOL, "thing").contains('@'));
    }

    #[test]
    fn a_manifest_from_the_skeleton_is_valid() {
        let skeleton = Skeleton {
            kind: Kind::Server,
            name: "thingd".into(),
            protocol: "thing".into(),
        };
        let manifest = init_manifest::text::parse(&skeleton.fill(MANIFEST)).expect("it parses");
        assert_eq!(
            (manifest.name.as_str(), manifest.provides.as_slice()),
            ("thingd", &["thing".to_string()][..])
        );
    }
}
