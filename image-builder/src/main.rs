//! `image-builder`: makes a boot image from files, or lists and checks one.
#![forbid(unsafe_code)]

use image_builder::{Image, ImageBuilder, flat, program, symbols, tree};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: image-builder build OUTPUT ITEM...   make a boot image
       image-builder list IMAGE             list a boot image and check its contents

items: init=ELF            the first program (required)
       kernel=ELF          the kernel, for its function names
       program:NAME=ELF    a program
       manifest:NAME=FILE  a service manifest in postcard
       tree:PREFIX=FOLDER  the files of a folder, named PREFIX/...";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["build", output, items @ ..] => build(Path::new(output), items),
        ["list", image] => list(Path::new(image)),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn build(output: &Path, items: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut builder = ImageBuilder::new();
    for item in items {
        let (what, path) = item
            .split_once('=')
            .ok_or_else(|| format!("{item:?} has no '='\n{USAGE}"))?;
        let path = Path::new(path);
        let read = || fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        match what.split_once(':') {
            None if what == "init" => builder.init(flat::link(&read()?, flat::INIT_BASE)?)?,
            None if what == "kernel" => builder.kernel_symbols(symbols::table(&read()?)?)?,
            Some(("program", name)) => builder.program(name, program::strip(&read()?)?)?,
            Some(("manifest", name)) => builder.manifest(name, read()?)?,
            Some(("tree", prefix)) => {
                for file in tree::collect(path, prefix)? {
                    builder.file(&file.path, file.contents, 0)?;
                }
            }
            _ => return Err(format!("unknown item {item:?}\n{USAGE}").into()),
        }
    }
    fs::write(output, builder.build()?)?;
    Ok(())
}

fn list(path: &Path) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let image = Image::parse(&bytes)?;
    for entry in image.entries() {
        println!(
            "{:>10}  {:<14}  {}",
            entry.length(),
            format!("{:?}", entry.kind()),
            entry.name()
        );
    }
    println!("{:>10}  bytes in all", bytes.len());
    image.check_contents()?;
    Ok(())
}
