//! A manifest as text, the way people write it, for whoever asks what a service may do.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};

use crate::{Capsule, Grant, Hardware, Layer, Manifest, Mode, Need, PciMatch, Restart, Start};

/// The text. Reading it gives the same manifest.
pub fn render(manifest: &Manifest) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write_manifest(&mut text, manifest);
    text
}

fn write_manifest(out: &mut String, manifest: &Manifest) -> fmt::Result {
    writeln!(out, "name = {:?}", manifest.name)?;
    if !manifest.program.is_empty() {
        writeln!(out, "program = {:?}", manifest.program)?;
    }
    if !manifest.only_in.is_empty() {
        writeln!(out, "only_in = {:?}", manifest.only_in)?;
    }
    writeln!(out, "layer = {:?}", layer(manifest.layer))?;
    writeln!(out, "start = {:?}", start(manifest.start))?;
    writeln!(out, "restart = {:?}", restart(manifest.restart))?;
    writeln!(out, "priority = {}", manifest.priority)?;
    if let Some(cpu) = manifest.cpu {
        writeln!(out, "cpu = {cpu}")?;
    }
    writeln!(out, "provides = {:?}", manifest.provides)?;
    let grants: alloc::vec::Vec<&str> = manifest.grants.iter().copied().map(grant).collect();
    writeln!(out, "grants = {grants:?}")?;
    writeln!(out, "arguments = {:?}", manifest.arguments)?;
    for need in &manifest.needs {
        write_need(out, need)?;
    }
    let quota = &manifest.quota;
    writeln!(
        out,
        "\n[quota]\nmemory_kib = {}\nhandles = {}\nthreads = {}",
        quota.memory_kib, quota.handles, quota.threads
    )?;
    if manifest.capsule != Capsule::default() {
        let Capsule { memory_kib, slots } = manifest.capsule;
        writeln!(
            out,
            "\n[capsule]\nmemory_kib = {memory_kib}\nslots = {slots}"
        )?;
    }
    if manifest.hardware != Hardware::default() {
        write_hardware(out, &manifest.hardware)?;
    }
    Ok(())
}

fn write_need(out: &mut String, need: &Need) -> fmt::Result {
    writeln!(out, "\n[[needs]]\nprotocol = {:?}", need.protocol)?;
    if !need.service.is_empty() {
        writeln!(out, "service = {:?}", need.service)?;
    }
    writeln!(out, "mode = {:?}", mode(need.mode))?;
    if !need.name.is_empty() {
        writeln!(out, "as = {:?}", need.name)?;
    }
    if need.optional {
        writeln!(out, "optional = true")?;
    }
    Ok(())
}

fn write_hardware(out: &mut String, hardware: &Hardware) -> fmt::Result {
    writeln!(out, "\n[hardware]")?;
    let ports = list(
        hardware
            .ports
            .iter()
            .map(|range| format!("{{ first = {:#x}, count = {} }}", range.first, range.count)),
    );
    writeln!(out, "ports = [{ports}]")?;
    writeln!(out, "isa_lines = {:?}", hardware.isa_lines)?;
    let matches = list(hardware.pci.iter().map(pci));
    writeln!(out, "pci = [{matches}]")?;
    writeln!(out, "pci_configuration = {}", hardware.pci_configuration)
}

fn pci(wanted: &PciMatch) -> String {
    let vendor = wanted.vendor.map(|vendor| format!("vendor = {vendor:#x}"));
    let device = wanted.device.map(|device| format!("device = {device:#x}"));
    let class = wanted
        .class
        .map(|(class, subclass)| format!("class = [{class}, {subclass}]"));
    format!(
        "{{ {} }}",
        list([vendor, device, class].into_iter().flatten())
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<alloc::vec::Vec<_>>().join(", ")
}

const fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Init => "init",
        Layer::Driver => "driver",
        Layer::Server => "server",
        Layer::Program => "program",
    }
}

const fn start(start: Start) -> &'static str {
    match start {
        Start::Boot => "boot",
        Start::Lazy => "lazy",
        Start::Device => "device",
    }
}

const fn restart(restart: Restart) -> &'static str {
    match restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::Never => "never",
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Blocking => "blocking",
        Mode::Call => "call",
    }
}

const fn grant(grant: Grant) -> &'static str {
    match grant {
        Grant::BootImage => "boot-image",
        Grant::Spawn => "spawn",
        Grant::Broker => "broker",
        Grant::ServiceControl => "service-control",
        Grant::LogSources => "log-sources",
        Grant::Machine => "machine",
        Grant::Sessions => "sessions",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    const FULL: &str = r#"
        name = "thing"
        program = "thingd"
        only_in = "selftest"
        layer = "driver"
        start = "device"
        restart = "on-failure"
        priority = 40
        cpu = 1
        provides = ["nic", "other"]
        grants = ["machine", "boot-image", "spawn", "broker", "service-control", "log-sources", "sessions"]
        arguments = ["-v", "a \"quoted\" word"]

        [[needs]]
        protocol = "log"
        mode = "call"
        as = "journal"
        optional = true

        [[needs]]
        protocol = "serial"
        service = "uart"
        mode = "blocking"

        [quota]
        memory_kib = 512
        handles = 128
        threads = 3

        [capsule]
        memory_kib = 4
        slots = 8

        [hardware]
        ports = [{ first = 0x3f8, count = 8 }]
        isa_lines = [4, 3]
        pci = [{ vendor = 0x1af4, device = 0x1041 }, { class = [2, 0] }]
        pci_configuration = true
    "#;

    #[test]
    fn what_is_written_reads_the_same() {
        let manifest = text::parse(FULL).expect("valid");
        assert_eq!(text::parse(&render(&manifest)), Ok(manifest));
    }

    #[test]
    fn a_small_manifest_stays_small() {
        let source = "name = \"a\"\nlayer = \"server\"\npriority = 1\n[quota]\nmemory_kib = 64\nhandles = 8\n";
        let manifest = text::parse(source).expect("valid");
        let text = render(&manifest);
        assert!(
            !text.contains("hardware") && !text.contains("capsule"),
            "{text}"
        );
        assert_eq!(text::parse(&text), Ok(manifest));
    }
}
