//! What a filesystem may use of ext4: the profiles, and sets made from them.

use nix2image::ext4::{Feature, Features};

/// The three profiles.
pub(crate) fn profiles() -> [(String, Features); 3] {
    [
        ("default".to_owned(), Features::default_profile()),
        ("modern".to_owned(), Features::modern()),
        ("legacy-uboot".to_owned(), Features::legacy_uboot()),
    ]
}

/// The profiles, and sets that differ from one of them: `+` and `-` say in what.
pub(crate) fn feature_sets() -> Vec<(String, Features)> {
    const FROM_DEFAULT: [&str; 14] = [
        "-has_journal",
        "-resize_inode",
        "-dir_index",
        "-64bit",
        "-flex_bg",
        "-metadata_csum",
        "-huge_file",
        "-dir_nlink",
        "+metadata_csum_seed",
        "+orphan_file",
        "-metadata_csum +uninit_bg",
        "-metadata_csum +orphan_file",
        "-dir_index -flex_bg -resize_inode",
        "-has_journal -resize_inode -dir_index -64bit -flex_bg -metadata_csum -huge_file -dir_nlink",
    ];
    const FROM_LEGACY_UBOOT: [&str; 4] = [
        "+uninit_bg",
        "+uninit_bg -flex_bg",
        "-flex_bg",
        "-flex_bg +metadata_csum",
    ];
    let mut sets = profiles().to_vec();
    for (base, changes) in [
        (&sets[0].clone(), &FROM_DEFAULT[..]),
        (&sets[2].clone(), &FROM_LEGACY_UBOOT[..]),
    ] {
        sets.extend(
            changes
                .iter()
                .map(|changes| (format!("{} {changes}", base.0), changed(&base.1, changes))),
        );
    }
    sets
}

/// `base` with some features more or less.
fn changed(base: &Features, changes: &str) -> Features {
    let mut names: Vec<String> = base.to_string().split(' ').map(str::to_owned).collect();
    for change in changes.split(' ') {
        match change.split_at(1) {
            ("+", name) => names.push(name.to_owned()),
            ("-", name) => names.retain(|other| other != name),
            _ => panic!("{change:?} has no sign"),
        }
    }
    features(names.iter().map(String::as_str))
}

/// The features of these names.
pub(crate) fn features<'a>(names: impl Iterator<Item = &'a str>) -> Features {
    let features: Vec<Feature> = names.map(|name| name.parse().unwrap()).collect();
    Features::new(features).unwrap()
}
