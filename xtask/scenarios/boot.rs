//! From power-on to the prompt, and what is said when that is impossible.

use crate::Scenario;
use crate::support::{BOOT_SECONDS, Call, Guest, expect_equal, number, step};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use xtask::deadline::Deadline;
use xtask::guest_image::BootFiles;
use xtask::machine::launch::stop;
use xtask::machine::{Nic, Options};
use xtask::workspace::target;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "boot: without a network card the prompt comes all the same",
        run: without_network,
    },
    Scenario {
        name: "boot: too little memory is said, with how much is needed",
        run: too_little_memory,
    },
    Scenario {
        name: "boot: a missing boot image is said",
        run: missing_image,
    },
    Scenario {
        name: "boot: a damaged boot image is said",
        run: damaged_image,
    },
    Scenario {
        name: "boot: a damaged file in the boot image costs only that file",
        run: damaged_file,
    },
    Scenario {
        name: "boot: one processor reaches the prompt and agentd answers",
        run: || reaches_prompt(1),
    },
    Scenario {
        name: "boot: two processors reach the prompt and agentd answers",
        run: || reaches_prompt(2),
    },
    Scenario {
        name: "boot: four processors reach the prompt and agentd answers",
        run: || reaches_prompt(4),
    },
    Scenario {
        name: "boot: at most 32 MiB of memory are in use at the prompt",
        run: memory_in_use,
    },
    Scenario {
        name: "boot: two guests run side by side with ports and tokens of their own",
        run: side_by_side,
    },
];

fn reaches_prompt(cpus: u32) -> Result<()> {
    let mut guest = Guest::boot_with(
        &format!("boot-{cpus}"),
        Options {
            cpus,
            ..Options::default()
        },
    )?;
    guest.expect_alive()?;
    let info = guest.agent()?.ask("system.info", json!({}))?;
    expect_equal(
        "processors",
        info["cpus"].as_array().map(Vec::len),
        Some(cpus as usize),
    )
}

fn without_network() -> Result<()> {
    let mut guest = Guest::boot_with(
        "no-nic",
        Options {
            nic: Nic::None,
            ..Options::default()
        },
    )?;
    guest.expect_alive()
}

fn memory_in_use() -> Result<()> {
    const LIMIT: u64 = 32 << 20;
    let guest = Guest::boot("memory")?;
    let info = guest.agent()?.ask("system.info", json!({}))?;
    let used = number(&info, "/mem/total")?
        .checked_sub(number(&info, "/mem/free")?)
        .context("more is free than there is")?;
    println!("memory in use at the prompt: {} KiB", used / 1024);
    if used > LIMIT {
        bail!("{used} bytes are in use")
    } else {
        Ok(())
    }
}

fn too_little_memory() -> Result<()> {
    let files = BootFiles::built();
    let image_mib = fs::metadata(&files.image)?.len().div_ceil(1 << 20);
    // The firmware loads the image whole, so the machine must hold it, but little more.
    let memory_mib = u32::try_from(image_mib)? + 6;
    let mut guest = Guest::start(
        "little-memory",
        Options {
            memory_mib,
            nic: Nic::None,
            ..Options::default()
        },
    )?;
    guest
        .serial
        .expect("MiB are needed", Deadline::after_seconds(BOOT_SECONDS))
        .map(drop)
}

fn missing_image() -> Result<()> {
    let empty = scratch("empty.img");
    fs::write(&empty, b"")?;
    let files = BootFiles {
        image: empty,
        ..BootFiles::built()
    };
    let mut guest = Guest::start_with("no-image", Options::default(), &files)?;
    guest
        .serial
        .expect(
            "there is no boot image",
            Deadline::after_seconds(BOOT_SECONDS),
        )
        .map(drop)
}

fn damaged_image() -> Result<()> {
    let files = damaged("damaged.img", |image| image[80] ^= 0x10)?;
    let mut guest = Guest::start_with("damaged-image", Options::default(), &files)?;
    guest
        .serial
        .expect(
            "the boot image's directory is damaged",
            Deadline::after_seconds(BOOT_SECONDS),
        )
        .map(drop)
}

fn damaged_file() -> Result<()> {
    const FILE: &str = "system/bin/echo.peb";
    let files = damaged("damaged-file.img", |image| {
        let parsed = image_builder::Image::parse(image).ok();
        let place = parsed
            .and_then(|parsed| parsed.find(abi::image::EntryKind::File, FILE))
            .map(|entry| entry.offset() as usize);
        if let Some(place) = place {
            image[place] ^= 1;
        }
    })?;
    let mut guest = Guest::start_with("damaged-file", Options::default(), &files)?;
    guest
        .serial
        .expect_prompt(Deadline::after_seconds(BOOT_SECONDS))?;
    let listing = guest.shell("ls /system/bin")?;
    crate::support::expect_contains("ls", &listing, "cat.peb")?;
    let log = guest.shell("log")?;
    crate::support::expect_contains("log", &log, "echo.peb")
}

fn side_by_side() -> Result<()> {
    let options = || Options {
        cpus: 1,
        ..Options::default()
    };
    let one = Guest::boot_with("side-1", options())?;
    let mut other = Guest::boot_with("side-2", options())?;
    let ports = [one.machine.agentd_port()?, other.machine.agentd_port()?];
    if ports[0] == ports[1] {
        bail!("both guests have port {}", ports[0]);
    }
    let foreign = fs::read_to_string(one.token_file())?;
    other
        .stranger()?
        .must_refuse(-31001, "auth.login", json!({ "token": foreign }))?;
    let boot_ids = [&one, &other].map(|guest| -> Result<_> {
        Ok(guest.agent()?.ask("system.describe", json!({}))?["boot_id"].clone())
    });
    let [first, second] = boot_ids;
    if first? == second? {
        bail!("both guests have the same boot_id");
    }
    stop(one.machine.record())?;
    other.serial.send_line("")?;
    other.serial.expect_prompt(step())?;
    other.expect_alive()
}

/// A copy of the boot image with something changed in it.
fn damaged(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<BootFiles> {
    let built = BootFiles::built();
    let mut bytes = fs::read(&built.image).with_context(|| built.image.display().to_string())?;
    change(&mut bytes);
    let image = scratch(name);
    fs::write(&image, bytes)?;
    Ok(BootFiles { image, ..built })
}

fn scratch(name: &str) -> PathBuf {
    target().join(format!("scenario-{name}"))
}
