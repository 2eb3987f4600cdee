//! The table of mounts: which filesystem a path leads to.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// A place in the tree where a filesystem begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount<F> {
    names: Vec<String>,
    /// The filesystem.
    pub filesystem: F,
    /// Whether it may be changed through this mount.
    pub writable: bool,
    /// The service behind it.
    pub service: String,
}

impl<F> Mount<F> {
    /// Where it is.
    pub fn path(&self) -> String {
        join(self.names.iter().map(String::as_str))
    }
}

/// Where a path leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolved {
    /// Which mount.
    pub mount: usize,
    /// The path in its filesystem.
    pub path: String,
}

/// All mounts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mounts<F>(Vec<Mount<F>>);

/// Something is mounted there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlreadyMounted;

impl<F> Default for Mounts<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F> Mounts<F> {
    /// Mounts a filesystem at the place that these names lead to.
    pub fn add(
        &mut self,
        names: &[&str],
        service: &str,
        filesystem: F,
        writable: bool,
    ) -> Result<(), AlreadyMounted> {
        if self.0.iter().any(|mount| mount.names == names) {
            return Err(AlreadyMounted);
        }
        let names = names.iter().map(|name| name.to_string()).collect();
        self.0.push(Mount {
            names,
            filesystem,
            writable,
            service: service.to_string(),
        });
        // The longest first, so that the first that fits is the right one.
        self.0
            .sort_by_key(|mount| core::cmp::Reverse(mount.names.len()));
        Ok(())
    }

    /// Finds the filesystem for a path, given as the names of the view's root and those that the caller gave.
    pub fn resolve<'n>(&self, names: impl Iterator<Item = &'n str> + Clone) -> Option<Resolved> {
        self.0.iter().enumerate().find_map(|(index, mount)| {
            let mut rest = names.clone();
            let fits = mount
                .names
                .iter()
                .all(|name| rest.next() == Some(name.as_str()));
            fits.then(|| Resolved {
                mount: index,
                path: join(rest),
            })
        })
    }

    /// A mount by its number in [`Resolved`].
    pub fn get(&self, index: usize) -> Option<&Mount<F>> {
        self.0.get(index)
    }

    /// Every mount below a place.
    pub fn below<'m>(&'m self, root: &'m [String]) -> impl Iterator<Item = &'m Mount<F>> {
        self.0
            .iter()
            .filter(move |mount| mount.names.starts_with(root) || root.starts_with(&mount.names))
    }
}

/// An absolute path of names.
pub fn join<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut path = String::new();
    for name in names {
        path.push('/');
        path.push_str(name);
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mounts() -> Mounts<char> {
        let mut mounts = Mounts::default();
        for (names, letter) in [
            (&[][..], 'r'),
            (&["system"][..], 's'),
            (&["system", "bin"][..], 'b'),
        ] {
            assert_eq!(mounts.add(names, "ramfs", letter, letter == 'r'), Ok(()));
        }
        mounts
    }

    fn resolved(names: &[&str]) -> (char, String) {
        let mounts = mounts();
        let found = mounts
            .resolve(names.iter().copied())
            .expect("the root is mounted");
        (
            mounts.get(found.mount).expect("it was found").filesystem,
            found.path,
        )
    }

    #[test]
    fn the_longest_mount_that_fits_is_taken() {
        assert_eq!(resolved(&[]), ('r', "/".into()));
        assert_eq!(resolved(&["systems", "a"]), ('r', "/systems/a".into()));
        assert_eq!(resolved(&["system"]), ('s', "/".into()));
        assert_eq!(
            resolved(&["system", "bin", "ls.peb"]),
            ('b', "/ls.peb".into())
        );
    }

    #[test]
    fn one_place_has_one_mount() {
        assert_eq!(
            mounts().add(&["system"], "x", 'x', true),
            Err(AlreadyMounted)
        );
        assert_eq!(Mounts::<char>::default().resolve(["a"].into_iter()), None);
    }

    proptest! {
        #[test]
        fn every_name_is_in_the_mount_or_in_the_path(names in proptest::collection::vec("(system|bin|a)", 0..6)) {
            let mounts = mounts();
            let found = mounts.resolve(names.iter().map(String::as_str)).expect("the root is mounted");
            let mount = mounts.get(found.mount).expect("it was found").path();
            let whole = alloc::format!("{}{}", mount.trim_end_matches('/'), found.path);
            let expected = join(names.iter().map(String::as_str));
            prop_assert_eq!(whole.trim_end_matches('/'), expected.trim_end_matches('/'));
        }
    }
}
