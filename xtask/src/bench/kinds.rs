//! The rows of the table: what each is, and who is measured on it.

use super::containers::CONTAINERS;
use super::forms::FORMS;
use super::made::{FileSize, Shape};
use super::peers::{ALONE, COLD, COPYING, PEERS, Peer};
use super::rows::MIB;
use super::smaller::{DEDUPLICATED, SETTINGS};
use super::stores::Filesystem;
use super::{Rows, Size};

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One directory.
    Crowd,
    LargeFiles,
    Closure,
    /// The closure again, to a tmpfs of huge pages.
    HugePages,
    /// The closure again, in each form in which one can be given.
    Forms,
    /// The closure again, with equal files as hard links.
    Deduplicated,
    /// The closure again, in each container.
    Containers,
    /// The closure again, with settings that make an image smaller.
    Settings,
    /// One directory, of very many.
    LargeCrowd,
    ManyFiles,
    /// The large files, and the image beside them.
    LargeFilesOn(Filesystem),
    /// The closure, and the image beside it.
    ClosureOn(Filesystem),
    /// The closure on a disk of which nothing is in memory.
    Cold,
    /// Some files of some size, for a series over bytes alone.
    ManyBytes,
}

/// In the order of the table: the cheap ones first.
const KINDS: [Kind; 16] = [
    Kind::Crowd,
    Kind::Closure,
    Kind::HugePages,
    Kind::Deduplicated,
    Kind::Settings,
    Kind::LargeFiles,
    Kind::Forms,
    Kind::Containers,
    Kind::ClosureOn(Filesystem::Xfs),
    Kind::ClosureOn(Filesystem::Btrfs),
    Kind::LargeFilesOn(Filesystem::Xfs),
    Kind::LargeFilesOn(Filesystem::Btrfs),
    Kind::Cold,
    Kind::LargeCrowd,
    Kind::ManyFiles,
    Kind::ManyBytes,
];

impl Rows {
    /// Those that are measured, in order; `with_series`, if there are plots to be made.
    pub(super) fn kinds(self, with_series: bool) -> impl Iterator<Item = Kind> {
        KINDS.into_iter().filter(move |kind| match self {
            // Of huge pages it is the host that is measured where that gives memory by the page.
            Self::All => *kind != Kind::HugePages && (with_series || *kind != Kind::ManyBytes),
            Self::Closure => *kind == Kind::Closure,
            Self::Forms => *kind == Kind::Forms,
            Self::Containers => *kind == Kind::Containers,
            Self::Settings => *kind == Kind::Settings,
            Self::HugePages => matches!(kind, Kind::Closure | Kind::HugePages),
            Self::Many => matches!(kind, Kind::Crowd | Kind::LargeCrowd | Kind::ManyFiles),
        })
    }
}

impl Kind {
    /// Who is measured on it.
    pub(super) fn peers(self) -> &'static [Peer] {
        match self {
            Self::Forms => FORMS,
            Self::Containers => CONTAINERS,
            Self::Deduplicated => DEDUPLICATED,
            Self::Settings => SETTINGS,
            Self::Closure | Self::HugePages | Self::Crowd | Self::LargeFiles => PEERS,
            Self::LargeCrowd | Self::ManyFiles | Self::ManyBytes => ALONE,
            Self::LargeFilesOn(_) | Self::ClosureOn(_) => COPYING,
            Self::Cold => COLD,
        }
    }

    /// How often each peer runs, unless it is slow.
    pub(super) fn rounds(self, size: Size) -> usize {
        match (self, size) {
            (Self::Settings, _) => 1,
            (_, Size::Quick) => 2,
            (
                Self::LargeCrowd
                | Self::ManyFiles
                | Self::ManyBytes
                | Self::LargeFilesOn(_)
                | Self::Cold,
                Size::Full,
            ) => 3,
            (Self::Closure | Self::Forms, Size::Full) => 9,
            (_, Size::Full) => 5,
        }
    }

    pub(super) fn name(self, size: Size) -> String {
        let closure = match size {
            Size::Quick => "the small closure",
            Size::Full => "the closure of `tests/closures/system.txt`",
        };
        match (self, self.shape(size)) {
            (Self::HugePages, _) => "the same closure, to a tmpfs of huge pages".into(),
            (Self::Forms, _) => "the same closure, in other forms".into(),
            (Self::Deduplicated, _) => "the same closure, deduplicated".into(),
            (Self::Containers, _) => "the same closure, in containers".into(),
            (Self::Settings, _) => "the same closure, with smaller settings".into(),
            (Self::ClosureOn(on), _) => {
                format!(
                    "the closure on {0}, and the image on the same {0}",
                    on.name()
                )
            }
            (Self::Cold, _) => "the closure on an ext4 of its own, not in memory".into(),
            (Self::Crowd | Self::LargeCrowd, Some(shape)) => {
                format!("one directory of {} files", shape.files)
            }
            (Self::LargeFiles, Some(shape)) => shape.large_files(),
            (Self::LargeFilesOn(on), Some(shape)) => format!(
                "{}, on {}, and the image on the same",
                shape.large_files(),
                on.name()
            ),
            (Self::ManyFiles, Some(shape)) => format!(
                "{} files of 0 to 8 KiB in {} store paths",
                shape.store_paths * shape.files,
                shape.store_paths
            ),
            (Self::ManyBytes, Some(shape)) => {
                format!("{} store paths of one file", shape.store_paths)
            }
            _ => closure.into(),
        }
    }

    /// The filesystem that the store paths stand on, if not on that of the store.
    pub(super) fn filesystem(self) -> Option<Filesystem> {
        match self {
            Self::LargeFilesOn(filesystem) | Self::ClosureOn(filesystem) => Some(filesystem),
            // To remove a million files from the disk can take half an hour; a file that
            // they are in goes at once.
            Self::Cold | Self::Crowd | Self::LargeCrowd | Self::ManyFiles => Some(Filesystem::Ext4),
            _ => None,
        }
    }

    /// Whether images are written to the filesystem that the store paths stand on.
    pub(super) fn writes_beside(self) -> bool {
        matches!(self, Self::LargeFilesOn(_) | Self::ClosureOn(_))
    }

    /// What is made for it, if it is not of the closure.
    pub(super) fn shape(self, size: Size) -> Option<Shape> {
        let is_quick = size == Size::Quick;
        let shape = |store_paths, files, size| {
            Some(Shape {
                store_paths,
                files,
                size,
            })
        };
        let crowd = |files| shape(1, files, FileSize::Exactly(100));
        match self {
            Self::Crowd => crowd(if is_quick { 1_000 } else { 10_000 }),
            Self::LargeCrowd => crowd(if is_quick { 30_000 } else { 1_000_000 }),
            Self::LargeFiles | Self::LargeFilesOn(_) if is_quick => {
                shape(1, 2, FileSize::Exactly(64 * MIB))
            }
            Self::LargeFiles | Self::LargeFilesOn(_) => shape(1, 10, FileSize::Exactly(512 * MIB)),
            Self::ManyFiles => shape(
                if is_quick { 300 } else { 10_000 },
                100,
                FileSize::UpTo(8192),
            ),
            Self::ManyBytes if is_quick => shape(8, 1, FileSize::Exactly(8 * MIB)),
            Self::ManyBytes => shape(64, 1, FileSize::Exactly(64 * MIB)),
            _ => None,
        }
    }

    /// For a plot, the numbers of store paths to measure beside the whole row: its first ones.
    pub(super) fn series(self, size: Size) -> &'static [usize] {
        match (self, size) {
            (Self::ManyFiles, Size::Quick) => &[10, 100],
            (Self::ManyFiles, Size::Full) => &[10, 100, 1_000, 3_000],
            (Self::ManyBytes, Size::Quick) => &[2, 4],
            (Self::ManyBytes, Size::Full) => &[4, 8, 16, 32],
            _ => &[],
        }
    }
}

impl Shape {
    fn large_files(self) -> String {
        format!(
            "{} files of {} MiB",
            self.files * self.store_paths,
            self.size.most() / MIB
        )
    }
}
