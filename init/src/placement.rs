//! On which CPU each service begins.
//!
//! A switch of address spaces is cheaper than a message between CPUs, so a service goes where the one it needs first is, as long as that CPU does not get more than its
//! share; else to the emptiest. The manifest's own word goes before all of this.

use alloc::vec;
use alloc::vec::Vec;

use init_manifest::Manifest;

/// The CPU of each service, for so many CPUs.
pub fn place(manifests: &[Manifest], cpus: u32) -> Vec<u8> {
    let cpus = cpus.clamp(1, 255) as usize;
    let share = manifests.len().div_ceil(cpus);
    let mut counts = vec![0usize; cpus];
    let mut places: Vec<Option<usize>> = manifests
        .iter()
        .map(|manifest| manifest.cpu.map(|cpu| usize::from(cpu) % cpus))
        .collect();
    for cpu in places.iter().flatten() {
        counts[*cpu] += 1;
    }
    for index in order(manifests) {
        if places[index].is_some() {
            continue;
        }
        let neighbour = provider(manifests, index).and_then(|provider| places[provider]);
        let cpu = neighbour
            .filter(|cpu| counts[*cpu] < share)
            .or_else(|| (0..cpus).min_by_key(|cpu| counts[*cpu]))
            .unwrap_or(0);
        places[index] = Some(cpu);
        counts[cpu] += 1;
    }
    places
        .into_iter()
        .map(|cpu| cpu.unwrap_or(0) as u8)
        .collect()
}

/// Lower layers first, so that a provider has its place before whoever needs it.
fn order(manifests: &[Manifest]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..manifests.len()).collect();
    order.sort_by_key(|index| (manifests[*index].layer, manifests[*index].needs.len()));
    order
}

fn provider(manifests: &[Manifest], index: usize) -> Option<usize> {
    let need = manifests[index].needs.first()?;
    manifests.iter().position(|other| need.is_met_by(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use init_manifest::text;
    use proptest::prelude::*;

    fn service(name: &str, layer: &str, need: Option<&str>, cpu: Option<u8>) -> Manifest {
        let mut source = format!(
            "name = \"{name}\"\nlayer = \"{layer}\"\npriority = 1\nprovides = [\"{name}\"]\n"
        );
        if let Some(cpu) = cpu {
            source += &format!("cpu = {cpu}\n");
        }
        source += "[quota]\nmemory_kib = 64\nhandles = 8\n";
        if let Some(need) = need {
            source += &format!("[[needs]]\nprotocol = \"{need}\"\nmode = \"call\"\n");
        }
        text::parse(&source).expect("the test writes valid manifests")
    }

    #[test]
    fn a_service_goes_to_the_one_it_needs() {
        let all = [
            service("nic", "driver", None, None),
            service("uart", "driver", None, None),
            service("net", "server", Some("nic"), None),
            service("tty", "server", Some("uart"), None),
        ];
        let places = place(&all, 2);
        assert_eq!((places[2], places[3]), (places[0], places[1]));
        assert_ne!(places[0], places[1]);
    }

    #[test]
    fn the_manifest_has_the_last_word_and_one_cpu_takes_all() {
        let all = [
            service("a", "server", None, Some(1)),
            service("b", "server", None, None),
        ];
        assert_eq!(place(&all, 2), [1, 0]);
        assert_eq!(place(&all, 1), [0, 0]);
    }

    proptest! {
        /// However they depend on each other, no CPU gets more than its share.
        #[test]
        fn no_cpu_gets_more_than_its_share(needs in proptest::collection::vec(proptest::option::of(0usize..12), 1..12), cpus in 1u32..8) {
            let all: Vec<Manifest> = needs.iter().enumerate().map(|(index, need)| {
                let need: Option<String> = need.map(|need| format!("s{need}"));
                service(&format!("s{index}"), "server", need.as_deref(), None)
            }).collect();
            let places = place(&all, cpus);
            for cpu in 0..cpus as u8 {
                let count = places.iter().filter(|place| **place == cpu).count();
                prop_assert!(count <= all.len().div_ceil(cpus as usize));
            }
        }
    }
}
