//! The system tree, embedded: what programs see under `/system`.

include!(concat!(env!("OUT_DIR"), "/system_tree.rs"));

/// The content of a file, by its storage name (`system/bin/ls.peb`).
pub fn content(name: &str) -> Option<&'static [u8]> {
    let below = name.strip_prefix("system/")?;
    let place = FILES
        .binary_search_by(|(known, _)| (*known).cmp(below))
        .ok()?;
    Some(FILES[place].1)
}

/// Whether the storage name is `system` or a folder below it.
pub fn is_folder(name: &str) -> bool {
    if name == "system" {
        return true;
    }
    let Some(below) = name.strip_prefix("system/") else {
        return false;
    };
    let start = FILES.partition_point(|(known, _)| *known <= below);
    FILES[start..]
        .iter()
        .take_while(|(known, _)| known.starts_with(below))
        .any(|(known, _)| known.as_bytes().get(below.len()) == Some(&b'/'))
}

/// The direct entries of a folder: name, and the size if it is a file.
pub fn entries(folder: &str) -> Vec<(&'static str, Option<usize>)> {
    let prefix = match folder.strip_prefix("system/") {
        Some(below) => format!("{below}/"),
        None => String::new(),
    };
    let mut found: Vec<(&'static str, Option<usize>)> = Vec::new();
    for (name, content) in FILES {
        let Some(rest) = name.strip_prefix(prefix.as_str()) else {
            continue;
        };
        match rest.split_once('/') {
            None => found.push((rest, Some(content.len()))),
            Some((first, _)) if found.last().is_none_or(|(last, _)| *last != first) => {
                found.push((first, None))
            }
            Some(_) => {}
        }
    }
    found.sort_unstable();
    found.dedup_by(|a, b| a.0 == b.0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_told_apart() {
        assert!(content("system/lib/base.peb").is_some_and(|text| !text.is_empty()));
        assert!(is_folder("system") && is_folder("system/lib") && is_folder("system/lib/shell"));
        assert!(
            !is_folder("system/lib/base.peb")
                && !is_folder("system/li")
                && content("system/lib").is_none()
        );
    }

    #[test]
    fn a_folder_lists_its_own_entries_only() {
        let top = entries("system");
        assert!(top.contains(&("lib", None)) && top.iter().all(|(name, _)| !name.contains('/')));
        assert!(
            entries("system/lib")
                .iter()
                .any(|(name, size)| *name == "base.peb" && size.is_some())
        );
    }
}
