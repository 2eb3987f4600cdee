//! Manifests as people write them.

use alloc::string::{String, ToString};

use crate::Manifest;

/// Reads one TOML file. The error says where and what.
pub fn parse(source: &str) -> Result<Manifest, String> {
    toml::from_str(source).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, Start};

    const FULL: &str = r#"
        name = "virtio-net"
        layer = "driver"
        start = "device"
        priority = 40
        provides = ["nic"]
        grants = ["machine"]

        [[needs]]
        protocol = "log"
        mode = "call"
        as = "journal"

        [quota]
        memory_kib = 512
        handles = 128

        [capsule]
        memory_kib = 4
        slots = 8

        [hardware]
        pci = [{ vendor = 0x1af4, device = 0x1041 }, { class = [2, 0] }]
    "#;

    #[test]
    fn a_manifest_reads_as_it_is_written() {
        let manifest = parse(FULL).expect("valid");
        assert_eq!(
            (manifest.program(), manifest.start, manifest.quota.threads),
            ("virtio-net", Start::Device, 1)
        );
        assert_eq!(
            (manifest.needs[0].name(), manifest.needs[0].mode),
            ("journal", Mode::Call)
        );
        assert!(manifest.hardware.pci[0].matches(0x1af4, 0x1041, (9, 9)));
        assert!(manifest.hardware.pci[1].matches(1, 2, (2, 0)));
        assert!(!manifest.hardware.pci[0].matches(0x1af4, 0x1042, (2, 0)));
    }

    #[test]
    fn a_misspelt_field_is_an_error_that_names_it() {
        let error =
            parse(&FULL.replace("memory_kib = 512", "memory_kb = 512")).expect_err("misspelt");
        assert!(error.contains("memory_kb"), "{error}");
    }

    #[test]
    fn a_service_of_one_mode_is_not_there_in_others() {
        let always = parse(FULL).expect("valid");
        assert!(always.is_in("normal") && always.is_in("bench"));
        let text = FULL.replacen("layer", "only_in = \"bench\"\nlayer", 1);
        let sometimes = parse(&text).expect("valid");
        assert!(sometimes.is_in("bench") && !sometimes.is_in("normal"));
    }

    #[test]
    fn postcard_keeps_everything() {
        let manifest = parse(FULL).expect("valid");
        let bytes = postcard::to_allocvec(&manifest).expect("serializable");
        assert_eq!(postcard::from_bytes::<Manifest>(&bytes), Ok(manifest));
    }
}
