//! `image`: the boot image.

use crate::arguments::Arguments;
use crate::guest_image::BootFiles;
use anyhow::Result;

/// Runs the verb.
pub fn run(arguments: Arguments) -> Result<()> {
    arguments.finish()?;
    let files = BootFiles::make()?;
    println!("{}\n{}", files.kernel.display(), files.image.display());
    Ok(())
}
