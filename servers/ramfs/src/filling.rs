//! The first start: the files of the boot image become files of the store.

use abi::image::EntryKind;
use alloc::{format, vec};
use image_builder::directory;
use libipc::{Handle, MemoryObject, Protection, StartError};
use protocols::directory::names;
use ramfs::record::ROOT;
use ramfs::{Error, Kind, NodeId, Region, Store};

/// Copies every file of the image. A file that is damaged is left out and reported; the system may do without it.
///
/// # Errors
/// If the image can't be read at all, or there is no room for it.
pub fn fill<R: Region>(
    store: &mut Store<R>,
    image: &Handle<MemoryObject>,
) -> Result<(), StartError> {
    let length = image.figures()?.length;
    let mapping = image.map(0, length as usize, Protection::Read)?;
    let listed = directory::read(length, |offset, into| mapping.read(offset as usize, into))
        .map_err(|error| StartError::Other(format!("the boot image is damaged: {error:?}")))?;
    for file in listed
        .into_iter()
        .filter(|listed| listed.kind == EntryKind::File)
    {
        let mut contents = vec![0; file.raw.length as usize];
        if !mapping.read(file.raw.offset as usize, &mut contents) || !file.is_contents(&contents) {
            libipc::error!("{} is damaged in the boot image", file.name);
            continue;
        }
        let seconds = file.raw.address as i64;
        add(
            store,
            &file.name,
            &contents,
            seconds.saturating_mul(1_000_000_000),
        )
        .map_err(|error| {
            StartError::Other(format!("{} does not fit the store: {error:?}", file.name))
        })?;
    }
    Ok(())
}

fn add<R: Region>(
    store: &mut Store<R>,
    path: &str,
    contents: &[u8],
    time: i64,
) -> Result<(), Error> {
    let names = names(path).map_err(|_| Error::InvalidName)?;
    let Some((name, folders)) = names.split_last() else {
        return Err(Error::InvalidName);
    };
    let mut directory: NodeId = ROOT;
    for folder in folders {
        directory = match store.child(directory, folder) {
            Ok(found) => found,
            Err(Error::NotFound) => {
                store.create(directory, folder, Kind::Directory, 0o755, time)?
            }
            Err(error) => return Err(error),
        };
    }
    let file = match store.child(directory, name) {
        Ok(found) => found,
        Err(_) => store.create(directory, name, Kind::File, 0o644, time)?,
    };
    store.truncate(file, 0, time)?;
    store.write(file, 0, contents, time).map(drop)
}
