//! The manifests in `init/services` as they are.

use std::fs;
use std::path::Path;

use init_manifest::{Grant, Manifest, graph, text};

fn manifests() -> Vec<Manifest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
    let mut manifests: Vec<Manifest> = fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").path())
        .map(|path| {
            let source = fs::read_to_string(&path).expect("it can be read");
            text::parse(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
        .collect();
    manifests.sort_by(|left, right| left.name.cmp(&right.name));
    manifests
}

#[test]
fn they_do_not_contradict_each_other() {
    assert_eq!(graph::check(&manifests()), []);
}

#[test]
fn authority_beyond_connections_is_where_it_is_meant_to_be() {
    let all = manifests();
    let holders = |grant| -> Vec<&str> { graph::holders(&all, grant).collect() };
    assert_eq!(holders(Grant::Broker), ["agentd", "selftest"]);
    assert_eq!(
        holders(Grant::ServiceControl),
        ["agentd", "bench", "procd", "selftest"]
    );
    assert_eq!(holders(Grant::Spawn), ["bench", "procd", "selftest"]);
    assert_eq!(holders(Grant::LogSources), ["procd"]);
    let has_configuration = |manifest: &&Manifest| manifest.hardware.pci_configuration;
    let names: Vec<&str> = all
        .iter()
        .filter(has_configuration)
        .map(|manifest| manifest.name.as_str())
        .collect();
    assert_eq!(names, ["pci"]);
}
