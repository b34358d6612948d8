//! Why an image cannot be looked into.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::container::ContainerFault;
use super::files::FilesFault;
use super::filesystem::FilesystemFault;
use super::table::TableFault;

/// Why an image cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the image {}", path.display())]
pub struct InspectError {
    /// The file, or the directory in which it should be.
    pub path: PathBuf,
    /// What is wrong.
    #[source]
    pub fault: InspectFault,
}

/// What may be wrong with an image, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum InspectFault {
    /// The system refuses.
    #[error("cannot {action} it")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// It is no file.
    #[error("it is neither a file, nor a disk, nor a directory with an image in it")]
    NoFile,
    /// A directory without an image.
    #[error("it is a directory without an image; name the file, or the output of a build")]
    NoImage,
    /// A directory with more than one image.
    #[error(
        "it is a directory with more than one image; name one of {}",
        list(names)
    )]
    Images {
        /// Their paths in the directory.
        names: Vec<String>,
    },
    /// A directory with very many files.
    #[error("it is a directory with more than {limit} files; name the image")]
    Crowd {
        /// Files that are looked at.
        limit: usize,
    },
    /// The container is damaged, or not for us.
    #[error(transparent)]
    Container(#[from] ContainerFault),
    /// The table is damaged.
    #[error(transparent)]
    Table(#[from] TableFault),
    /// A filesystem is damaged.
    #[error("{place}")]
    Filesystem {
        /// Where it is.
        place: Place,
        /// What is wrong.
        source: FilesystemFault,
    },
    /// It is an archive.
    #[error("it is a tar archive, not a disk: `tar -tvf` lists it, and unpacks zstd too")]
    Tar,
    /// It is nothing that is known.
    #[error(
        "it has neither a partition table nor a filesystem that is known here; is it an image, and all of it?"
    )]
    Unknown,
    /// A partition of a disk that has none.
    #[error("it has no partition {number}, for it has no partitions: leave out --partition")]
    NoPartitions {
        /// The number that was asked for.
        number: u32,
    },
    /// A partition that is not there.
    #[error("it has no partition {number}; there are {}", list(there))]
    NoPartition {
        /// The number that was asked for.
        number: u32,
        /// Those that are there, with what they hold.
        there: Vec<String>,
    },
    /// Nobody said which filesystem is meant.
    #[error("it has {} filesystems, and none of them holds /nix/store; choose one with --partition: {}", there.len(), list(there))]
    Choose {
        /// The partitions that hold one, with what it is.
        there: Vec<String>,
    },
    /// No filesystem at all that can be read.
    #[error(
        "it has no filesystem that is read here, which ext4 and FAT are; there are {}",
        list(there)
    )]
    NoFilesystem {
        /// Its partitions, with what they hold.
        there: Vec<String>,
    },
    /// A filesystem that is not read here.
    #[error("{place} holds {}, and only ext4 and FAT are read here; choose another partition", name.unwrap_or("nothing that is known"))]
    NotRead {
        /// Where.
        place: Place,
        /// What it is, if that is known.
        name: Option<&'static str>,
    },
    /// Something in the filesystem cannot be shown.
    #[error("{place}")]
    Files {
        /// Where the filesystem is.
        place: Place,
        /// What is wrong.
        source: FilesFault,
    },
}

/// A place of an image, as messages call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All of the disk.
    Disk,
    /// The partition with this number.
    Partition(u32),
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.join(", ")
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("the disk"),
            Self::Partition(number) => write!(f, "partition {number}"),
        }
    }
}

impl InspectFault {
    /// Whether somebody asked to stop while a filesystem was opened.
    pub(super) fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::Filesystem {
                source: FilesystemFault::Stopped(_),
                ..
            }
        )
    }
}

impl InspectError {
    /// Whether something else has to be asked for.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        !matches!(
            &self.fault,
            InspectFault::Io { .. }
                | InspectFault::Container(
                    ContainerFault::Read { .. }
                        | ContainerFault::Temporary(_)
                        | ContainerFault::Stopped(_)
                )
                | InspectFault::Table(TableFault::Read(_))
                | InspectFault::Filesystem {
                    source: FilesystemFault::Read(_) | FilesystemFault::Stopped(_),
                    ..
                }
                | InspectFault::Files {
                    source: FilesFault::Write(_)
                        | FilesFault::Content { .. }
                        | FilesFault::Read { .. },
                    ..
                }
        )
    }

    /// Whether nobody reads what is written any more.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        match &self.fault {
            InspectFault::Files {
                source: FilesFault::Write(error),
                ..
            } => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }
}
