//! Which generation of a profile leads to a store path, in a root that may be filled.

use std::collections::BTreeMap;

use super::Profile;
use crate::store::StorePath;

/// The generations that a profile has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generations {
    /// The one that the profile leads to.
    current: Option<u64>,
    /// Each with the target of its symlink.
    targets: BTreeMap<u64, Vec<u8>>,
}

impl Generations {
    /// The generations of the profile at `path` (from the root on, as
    /// [`SYSTEM_PROFILE`](super::SYSTEM_PROFILE)), of all `symlinks` in its directory: their
    /// names and targets.
    #[must_use]
    pub fn of(path: &str, symlinks: &BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let current = symlinks.get(name.as_bytes()).and_then(|target| {
            let directory = format!("/{directory}/");
            let target = target.strip_prefix(directory.as_bytes());
            number(name, target.unwrap_or(&symlinks[name.as_bytes()]))
        });
        let targets = symlinks
            .iter()
            .filter_map(|(link, target)| Some((number(name, link)?, target.clone())))
            .collect();
        Self { current, targets }
    }

    /// The generation that leads to `target`: the current one or the newest if it does, else
    /// a new one. Nix counts in this way too (`createGeneration` in its `profiles.cc`), but
    /// does not look at the current one.
    #[must_use]
    pub fn profile(&self, target: StorePath) -> Profile {
        let text = target.to_string();
        let leads_there = |number: &u64| {
            let link = self.targets.get(number);
            link.is_some_and(|link| link == text.as_bytes())
        };
        let newest = self.targets.last_key_value().map(|(number, _)| *number);
        let generation = self
            .current
            .filter(leads_there)
            .or(newest.filter(leads_there))
            .unwrap_or(newest.unwrap_or(0) + 1);
        Profile { target, generation }
    }
}

/// The number of a generation whose symlink has the name `link`.
fn number(profile: &str, link: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(link)
        .ok()?
        .strip_prefix(profile)?
        .strip_prefix('-')?
        .strip_suffix("-link")?;
    // One more must still be a number, written as we would.
    let number: u64 = digits.parse().ok()?;
    (number < u64::MAX && number.to_string() == digits).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::SYSTEM_PROFILE;

    fn store_path(letter: &str) -> StorePath {
        StorePath::from_base_name(&format!("{}-{letter}", letter.repeat(32))).unwrap()
    }

    /// The generation that leads to the store path `target` after `symlinks`, whose targets
    /// are letters for store paths or names.
    fn generation(target: &str, symlinks: &[(&str, &str)]) -> u64 {
        let target_of = |text: &str| match text {
            "a" | "b" | "c" => store_path(text).to_string().into_bytes(),
            name => name.as_bytes().to_vec(),
        };
        let symlinks = symlinks
            .iter()
            .map(|(name, target)| (name.as_bytes().to_vec(), target_of(target)))
            .collect();
        let profile = Generations::of(SYSTEM_PROFILE, &symlinks).profile(store_path(target));
        assert_eq!(profile.target, store_path(target));
        profile.generation
    }

    #[test]
    fn the_first_is_number_1() {
        assert_eq!(generation("a", &[]), 1);
        assert_eq!(generation("a", &[("other-7-link", "a")]), 1);
    }

    #[test]
    fn what_a_profile_leads_to_already_stays() {
        let links = [("system-1-link", "a"), ("system-2-link", "b")];
        for current in ["system-1-link", "/nix/var/nix/profiles/system-1-link"] {
            let links = [links[0], links[1], ("system", current)];
            assert_eq!(generation("a", &links), 1, "{current}");
        }
        let newest = [links[0], links[1], ("system", "system-2-link")];
        assert_eq!(generation("b", &newest), 2);
    }

    #[test]
    fn the_newest_is_used_again_and_no_other() {
        let links = [
            ("system", "system-2-link"),
            ("system-1-link", "a"),
            ("system-2-link", "b"),
            ("system-10-link", "c"),
        ];
        assert_eq!(generation("c", &links), 10);
        assert_eq!(generation("b", &links), 2);
        assert_eq!(generation("a", &links), 11);
    }

    #[test]
    fn what_is_no_generation_counts_for_nothing() {
        for name in [
            "system--link",
            "system-1",
            "system-01-link",
            "system-+1-link",
            "system-x-link",
            "systems-1-link",
            "system-18446744073709551615-link",
        ] {
            assert_eq!(generation("b", &[(name, "a")]), 1, "{name}");
        }
        assert_eq!(generation("b", &[("system", "b")]), 1);
    }
}
