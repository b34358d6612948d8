//! Feature flags: what a filesystem uses of what ext4 offers.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A feature that we can write, named as `mke2fs -O` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// A journal, in inode 8.
    HasJournal,
    /// Extended attributes.
    ExtAttr,
    /// Blocks into which the group descriptors can grow, in inode 7.
    ResizeInode,
    /// Large directories are hash trees.
    DirIndex,
    /// Inodes that are open and have no name are listed in a file of their own.
    OrphanFile,
    /// Directory entries tell the type.
    Filetype,
    /// Files are mapped by extents.
    Extent,
    /// Block numbers, and so group descriptors, have room for 64 bits.
    Bit64,
    /// The metadata of several groups lies together.
    FlexBg,
    /// The checksums' seed is kept apart from the UUID, which can then be changed.
    MetadataCsumSeed,
    /// Copies of the superblock only in some groups.
    SparseSuper,
    /// Files of 2 GiB and more.
    LargeFile,
    /// Files of 2 TiB and more.
    HugeFile,
    /// Group descriptors have checksums of 16 bits, and tables need not be written.
    UninitBg,
    /// Directories of more than 65,000 subdirectories.
    DirNlink,
    /// Inodes have nanoseconds, a time of birth and times past 2038.
    ExtraIsize,
    /// All metadata has checksums.
    MetadataCsum,
}

/// A set of features that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features(BTreeSet<Feature>);

/// Features that we cannot or do not write, or that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeaturesError {
    /// A name that e2fsprogs does not know either.
    #[error("{name:?} is no feature of ext4; those that can be chosen are {}", names(&ALL))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A feature that we never write.
    #[error("the feature {name:?} is not offered: {reason}")]
    Refused {
        /// Its name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A feature that we always need.
    #[error("the feature {feature} is missing: {reason}")]
    Missing {
        /// The feature.
        feature: Feature,
        /// Why it is needed.
        reason: &'static str,
    },
    /// A feature that is nothing without another.
    #[error("the feature {feature} needs {needs}")]
    Needs {
        /// The feature.
        feature: Feature,
        /// The one that is missing.
        needs: Feature,
    },
    /// Features of which there can be only one.
    #[error(
        "the features {0} and {1} exclude each other: both say how group descriptors are checksummed"
    )]
    Exclusive(Feature, Feature),
}

/// The word of the superblock that holds a feature's bit: what a kernel may do that
/// does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Write all the same: `s_feature_compat`.
    Compat,
    /// Not mount: `s_feature_incompat`.
    Incompat,
    /// Only read: `s_feature_ro_compat`.
    RoCompat,
}

/// All features, in the order in which dumpe2fs lists them.
const ALL: [Feature; 17] = [
    Feature::HasJournal,
    Feature::ExtAttr,
    Feature::ResizeInode,
    Feature::DirIndex,
    Feature::OrphanFile,
    Feature::Filetype,
    Feature::Extent,
    Feature::Bit64,
    Feature::FlexBg,
    Feature::MetadataCsumSeed,
    Feature::SparseSuper,
    Feature::LargeFile,
    Feature::HugeFile,
    Feature::UninitBg,
    Feature::DirNlink,
    Feature::ExtraIsize,
    Feature::MetadataCsum,
];

/// What every filesystem of ours has, and why.
const REQUIRED: [(Feature, &str); 6] = [
    (
        Feature::ExtAttr,
        "extended attributes are stored whenever the content has some",
    ),
    (Feature::Filetype, "every directory entry tells its type"),
    (
        Feature::Extent,
        "files are mapped by extents, and by nothing else",
    ),
    (
        Feature::SparseSuper,
        "a copy of the superblock in each group would only take space",
    ),
    (Feature::LargeFile, "files may have 2 GiB and more"),
    (
        Feature::ExtraIsize,
        "times past 2038 and nanoseconds are stored",
    ),
];

/// What one might ask for and does not get, and why.
const REFUSED: [(&str, &str); 15] = [
    (
        "sparse_super2",
        "the kernel refuses to grow a mounted filesystem that has it",
    ),
    (
        "meta_bg",
        "U-Boot cannot read it, and the resize inode does its work",
    ),
    ("inline_data", "GRUB and U-Boot cannot read it"),
    (
        "bigalloc",
        "GRUB and U-Boot cannot read it, and small files would take whole clusters",
    ),
    (
        "ea_inode",
        "no attribute of an image is so large, and e2fsprogs treats it as an experiment",
    ),
    (
        "large_dir",
        "the index of two levels holds millions of names",
    ),
    ("casefold", "Nix tells names apart by their case"),
    ("encrypt", "its keys belong to a running system"),
    ("verity", "files are sealed on a running system"),
    ("quota", "usage is counted on a running system"),
    ("project", "projects are set up on a running system"),
    ("mmp", "an image is not mounted by two hosts"),
    ("journal_dev", "an image has its journal inside"),
    (
        "fast_commit",
        "older kernels and GRUB do not know it; `tune2fs` can turn it on",
    ),
    (
        "stable_inodes",
        "it forbids to shrink the filesystem, and only encryption needs it",
    ),
];

impl Feature {
    /// The word and the bit that say it.
    pub(super) fn bit(self) -> (Word, u32) {
        match self {
            Self::HasJournal => (Word::Compat, 0x4),
            Self::ExtAttr => (Word::Compat, 0x8),
            Self::ResizeInode => (Word::Compat, 0x10),
            Self::DirIndex => (Word::Compat, 0x20),
            Self::OrphanFile => (Word::Compat, 0x1000),
            Self::Filetype => (Word::Incompat, 0x2),
            Self::Extent => (Word::Incompat, 0x40),
            Self::Bit64 => (Word::Incompat, 0x80),
            Self::FlexBg => (Word::Incompat, 0x200),
            Self::MetadataCsumSeed => (Word::Incompat, 0x2000),
            Self::SparseSuper => (Word::RoCompat, 0x1),
            Self::LargeFile => (Word::RoCompat, 0x2),
            Self::HugeFile => (Word::RoCompat, 0x8),
            Self::UninitBg => (Word::RoCompat, 0x10),
            Self::DirNlink => (Word::RoCompat, 0x20),
            Self::ExtraIsize => (Word::RoCompat, 0x40),
            Self::MetadataCsum => (Word::RoCompat, 0x400),
        }
    }

    /// Its name, as `mke2fs -O` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HasJournal => "has_journal",
            Self::ExtAttr => "ext_attr",
            Self::ResizeInode => "resize_inode",
            Self::DirIndex => "dir_index",
            Self::OrphanFile => "orphan_file",
            Self::Filetype => "filetype",
            Self::Extent => "extent",
            Self::Bit64 => "64bit",
            Self::FlexBg => "flex_bg",
            Self::MetadataCsumSeed => "metadata_csum_seed",
            Self::SparseSuper => "sparse_super",
            Self::LargeFile => "large_file",
            Self::HugeFile => "huge_file",
            Self::UninitBg => "uninit_bg",
            Self::DirNlink => "dir_nlink",
            Self::ExtraIsize => "extra_isize",
            Self::MetadataCsum => "metadata_csum",
        }
    }
}

impl Features {
    /// mke2fs 1.47's less `metadata_csum_seed` and `orphan_file`: read by every GRUB,
    /// U-Boot and resize2fs in use.
    #[must_use]
    pub fn default_profile() -> Self {
        Self::all_but(&[
            Feature::MetadataCsumSeed,
            Feature::OrphanFile,
            Feature::UninitBg,
        ])
    }

    /// All of mke2fs 1.47's.
    #[must_use]
    pub fn modern() -> Self {
        Self::all_but(&[Feature::UninitBg])
    }

    /// The default's less `64bit` and `metadata_csum`, which old U-Boots cannot read or
    /// refuse to write.
    #[must_use]
    pub fn legacy_uboot() -> Self {
        Self::all_but(&[
            Feature::MetadataCsumSeed,
            Feature::OrphanFile,
            Feature::UninitBg,
            Feature::Bit64,
            Feature::MetadataCsum,
        ])
    }

    /// Exactly `features`, if they go together.
    pub fn new(features: impl IntoIterator<Item = Feature>) -> Result<Self, FeaturesError> {
        let features = Self(features.into_iter().collect());
        for (feature, reason) in REQUIRED {
            if !features.has(feature) {
                return Err(FeaturesError::Missing { feature, reason });
            }
        }
        for (feature, needs) in [
            (Feature::OrphanFile, Feature::HasJournal),
            (Feature::MetadataCsumSeed, Feature::MetadataCsum),
        ] {
            if features.has(feature) && !features.has(needs) {
                return Err(FeaturesError::Needs { feature, needs });
            }
        }
        if features.has(Feature::UninitBg) && features.has(Feature::MetadataCsum) {
            return Err(FeaturesError::Exclusive(
                Feature::UninitBg,
                Feature::MetadataCsum,
            ));
        }
        Ok(features)
    }

    /// Whether `feature` is one of them.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    /// The same without `feature`, which nothing else needs.
    pub(super) fn without(mut self, feature: Feature) -> Self {
        self.0.remove(&feature);
        self
    }

    /// The bits of one word of the superblock.
    pub(super) fn bits(&self, word: Word) -> u32 {
        self.0
            .iter()
            .map(|feature| feature.bit())
            .filter(|(of, _)| *of == word)
            .fold(0, |bits, (_, bit)| bits | bit)
    }

    fn all_but(features: &[Feature]) -> Self {
        Self(
            ALL.into_iter()
                .filter(|feature| !features.contains(feature))
                .collect(),
        )
    }
}

impl FromStr for Feature {
    type Err = FeaturesError;

    fn from_str(name: &str) -> Result<Self, FeaturesError> {
        if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(FeaturesError::Refused {
                name: name.into(),
                reason,
            });
        }
        ALL.into_iter()
            .find(|feature| feature.name() == name)
            .ok_or_else(|| FeaturesError::Unknown { name: name.into() })
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features: Vec<_> = ALL
            .into_iter()
            .filter(|feature| self.has(*feature))
            .collect();
        f.write_str(&names(&features))
    }
}

fn names(features: &[Feature]) -> String {
    features
        .iter()
        .map(|feature| feature.name())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_are_sets_that_go_together() {
        for profile in [
            Features::default_profile(),
            Features::modern(),
            Features::legacy_uboot(),
        ] {
            assert_eq!(Features::new(profile.0.iter().copied()), Ok(profile));
        }
    }

    #[test]
    fn every_feature_has_its_own_name_and_bit() {
        for feature in ALL {
            assert_eq!(feature.name().parse(), Ok(feature));
        }
        let bits: u32 = [Word::Compat, Word::Incompat, Word::RoCompat]
            .map(|word| Features::all_but(&[]).bits(word).count_ones())
            .iter()
            .sum();
        assert_eq!(bits as usize, ALL.len());
    }

    #[test]
    fn sets_that_make_no_sense_are_refused_with_a_reason() {
        let without = |feature| Features::new(Features::modern().without(feature).0);
        assert!(matches!(
            without(Feature::Extent),
            Err(FeaturesError::Missing {
                feature: Feature::Extent,
                ..
            })
        ));
        assert!(matches!(
            without(Feature::HasJournal),
            Err(FeaturesError::Needs {
                needs: Feature::HasJournal,
                ..
            })
        ));
        assert!(matches!(
            without(Feature::MetadataCsum),
            Err(FeaturesError::Needs {
                needs: Feature::MetadataCsum,
                ..
            })
        ));
        assert!(matches!(
            Features::new(ALL),
            Err(FeaturesError::Exclusive(..))
        ));
        assert!(matches!(
            "meta_bg".parse::<Feature>(),
            Err(FeaturesError::Refused { .. })
        ));
        assert!(matches!(
            "journal".parse::<Feature>(),
            Err(FeaturesError::Unknown { .. })
        ));
    }
}
