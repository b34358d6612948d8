//! What holds the files of an image: from a tree to pieces, in a filesystem, an archive or
//! a disk whose partitions have contents of their own.

use std::path::{Path, PathBuf};

use super::BuildError;
use crate::disk::{self, Disk, Grub, PartitionLabel, Place, Raw};
use crate::image::{Content, Piece, Pieces};
use crate::report::{Accounts, At};
use crate::source::{ReadError, Source};
use crate::spec::{DiskSpec, FatSpec, GrubFiles, Kind, PartitionContent, RawFile};
use crate::store::StorePath;
use crate::tree::Tree;
use crate::{boot, ext4, fat, root, tar};

/// What holds the files, with all that it needs besides the tree.
pub(super) enum Volumes {
    Ext4,
    Tar,
    Disk(Box<FoundDisk>),
}

/// An image, and the ext4 filesystem with the closure in it.
pub(super) struct LaidOut {
    pub pieces: Pieces,
    pub filesystem: Option<Filesystem>,
}

/// The ext4 filesystem with the closure.
#[derive(Clone, Copy)]
pub(super) struct Filesystem {
    /// Where it begins in the image, in bytes.
    pub start: u64,
    pub usage: ext4::Usage,
}

impl Filesystem {
    /// The pieces of the filesystem that stands in a partition and begins at a byte, and itself.
    fn lay_out(
        tree: Tree,
        options: &ext4::Options,
        (at, start): (At, u64),
        accounts: Option<&mut Accounts>,
    ) -> Result<(Pieces, Self), ext4::LayoutError> {
        let image = ext4::Image::new(tree, options)?;
        let usage = image.usage();
        if let Some(accounts) = accounts {
            let costs = image.costs(|node, costs| accounts.ext4_file(node, costs));
            accounts.ext4(at, &costs, usage);
        }
        Ok((image.into_pieces(), Self { start, usage }))
    }
}

impl Volumes {
    /// Finds all that an image of this kind names, boot files in the trees of the closure.
    pub(super) fn find(kind: Kind, closure: &[(StorePath, Tree)]) -> Result<Self, BuildError> {
        Ok(match kind {
            Kind::Ext4 => Self::Ext4,
            Kind::Tar => Self::Tar,
            Kind::Disk(spec) => Self::Disk(Box::new(FoundDisk::new(*spec, closure)?)),
        })
    }

    /// The image that holds `tree`; `options` are for an ext4 filesystem. What all takes is
    /// taken down in `accounts`, if there are such.
    pub(super) fn lay_out(
        self,
        tree: Tree,
        options: &ext4::Options,
        accounts: Option<&mut Accounts>,
    ) -> Result<LaidOut, BuildError> {
        let (pieces, filesystem) = match self {
            Self::Ext4 => {
                let at = (At(None), 0);
                let (pieces, filesystem) = Filesystem::lay_out(tree, options, at, accounts)?;
                (pieces, Some(filesystem))
            }
            Self::Tar => (tar(tree, accounts)?, None),
            Self::Disk(found) => return found.lay_out(tree, options, accounts),
        };
        Ok(LaidOut { pieces, filesystem })
    }
}

/// A disk whose contents are found, all but the filesystem with the closure.
pub(super) struct FoundDisk {
    disk: Disk,
    /// By partition.
    contents: Vec<FoundContent>,
}

enum FoundContent {
    Nothing,
    Root,
    Fat(Tree, fat::Options),
    File(Pieces),
}

impl FoundDisk {
    fn new(spec: DiskSpec, closure: &[(StorePath, Tree)]) -> Result<Self, BuildError> {
        let mut disk = spec.disk;
        disk.raw = raw(&spec.raw)?;
        disk.grub = spec.grub.as_ref().map(grub).transpose()?;
        let find = |(index, content)| {
            let at = format!("nix2image.disk.partitions[{index}].content");
            FoundContent::new(&at, content, closure)
        };
        let contents = spec.contents.into_iter().enumerate().map(find);
        Ok(Self {
            disk,
            contents: contents.collect::<Result<_, BuildError>>()?,
        })
    }

    /// The disk, with `tree` in the filesystem that `options` describe.
    fn lay_out(
        self,
        tree: Tree,
        options: &ext4::Options,
        mut accounts: Option<&mut Accounts>,
    ) -> Result<LaidOut, BuildError> {
        let mut tree = Some(tree);
        let mut filesystem = None;
        let mut contents = self.contents.into_iter();
        let (pieces, regions) = disk::lay_out_with_regions(&self.disk, |index, place| {
            let content = contents.next().expect("there is one for each partition");
            let accounts = accounts.as_deref_mut();
            let at = At(Some(index));
            let pieces = match content {
                FoundContent::Nothing => return Ok(None),
                FoundContent::File(pieces) => Ok(file_volume(pieces, at, accounts)),
                FoundContent::Fat(tree, options) => {
                    fat(&tree, &fat_options(&options, place), at, accounts)
                }
                FoundContent::Root => {
                    let tree = tree.take().expect("one partition holds the closure");
                    let options = ext4_options(options, place);
                    Filesystem::lay_out(tree, &options, (at, place.start), accounts)
                        .map(|(pieces, laid_out)| {
                            filesystem = Some(laid_out);
                            pieces
                        })
                        .map_err(BuildError::from)
                }
            };
            let named = |error| BuildError::Partition {
                partition: PartitionLabel::new(index, &self.disk.partitions[index]),
                source: Box::new(error),
            };
            pieces.map(Some).map_err(named)
        })?;
        if let Some(accounts) = accounts {
            accounts.disk(regions);
        }
        Ok(LaidOut { pieces, filesystem })
    }
}

impl FoundContent {
    /// The content that stands in the attribute `at`.
    fn new(
        at: &str,
        content: PartitionContent,
        closure: &[(StorePath, Tree)],
    ) -> Result<Self, BuildError> {
        Ok(match content {
            PartitionContent::Nothing => Self::Nothing,
            PartitionContent::Root => Self::Root,
            PartitionContent::Fat(spec) => {
                let tree = fat_tree(&format!("{at}.fat"), &spec, closure)?;
                Self::Fat(tree, spec.options)
            }
            PartitionContent::File(path) => Self::File(file(&format!("{at}.file"), &path)?),
        })
    }
}

/// A tar archive of `tree`.
fn tar(tree: Tree, accounts: Option<&mut Accounts>) -> Result<Pieces, BuildError> {
    let Some(accounts) = accounts else {
        return Ok(tar::lay_out(tree)?);
    };
    let each = |node, costs| accounts.tar_entry(node, costs);
    let (pieces, costs) = tar::lay_out_with_costs(tree, each)?;
    accounts.tar(At(None), &costs);
    Ok(pieces)
}

/// A FAT filesystem with `tree` in it.
fn fat(
    tree: &Tree,
    options: &fat::Options,
    at: At,
    accounts: Option<&mut Accounts>,
) -> Result<Pieces, BuildError> {
    let (pieces, costs) = fat::lay_out_with_costs(tree, options)?;
    if let Some(accounts) = accounts {
        accounts.fat(at, &costs, tree);
    }
    Ok(pieces)
}

/// A volume made elsewhere.
fn file_volume(pieces: Pieces, at: At, accounts: Option<&mut Accounts>) -> Pieces {
    if let Some(accounts) = accounts {
        accounts.file(at, pieces.size());
    }
    pieces
}

/// What stands in the FAT filesystem of the attribute `at`.
fn fat_tree(at: &str, spec: &FatSpec, closure: &[(StorePath, Tree)]) -> Result<Tree, BuildError> {
    let time = spec.options.time;
    let mut contents = root::place(&format!("{at}.contents"), &spec.contents, time)?;
    for files in &spec.boot_files {
        contents.push(boot::place(files, closure, time)?);
    }
    root::contents_tree(contents, time).map_err(|source| BuildError::FatRoot {
        at: at.to_owned(),
        source,
    })
}

/// Options for a filesystem that fills its partition, if that has a size of its own, and
/// knows where it is.
fn fat_options(options: &fat::Options, place: Place) -> fat::Options {
    let sector_size = place.sector_size.bytes();
    fat::Options {
        size: place.size,
        sector_size: match sector_size {
            4096 => fat::SectorSize::Bytes4096,
            _ => fat::SectorSize::Bytes512,
        },
        // Beyond 32 bits nobody is told.
        hidden_sectors: u32::try_from(place.start / sector_size).unwrap_or(0),
        ..options.clone()
    }
}

/// Options for a filesystem that fills its partition, unless it has a size of its own.
fn ext4_options(options: &ext4::Options, place: Place) -> ext4::Options {
    ext4::Options {
        size: options.size.or(place.size),
        ..options.clone()
    }
}

/// A volume made elsewhere.
fn file(attribute: &str, path: &Path) -> Result<Pieces, BuildError> {
    let source = root::file(attribute, path)?;
    let length = source.length;
    let content = Content::Source { source, skip: 0 };
    let piece = Piece {
        offset: 0,
        length,
        content,
    };
    Ok(Pieces::new(length, vec![piece]))
}

fn raw(files: &[RawFile]) -> Result<Vec<Raw>, BuildError> {
    let find = |(index, raw): (usize, &RawFile)| {
        let name = format!("disk.raw[{index}]");
        Ok(Raw {
            source: root::file(&format!("nix2image.{name}.source"), &raw.source)?,
            offset: raw.offset,
            name,
        })
    };
    files.iter().enumerate().map(find).collect()
}

/// The code for a BIOS, which is small.
fn grub(files: &GrubFiles) -> Result<Grub, BuildError> {
    let read = |name: &str, path: &PathBuf| {
        let source = root::file(&format!("nix2image.disk.grub.{name}"), path)?;
        read_start(&source).map_err(BuildError::from)
    };
    let boot = read("boot", &files.boot)?;
    let core = read("core", &files.core)?;
    Ok(Grub::new(&boot, core).map_err(disk::DiskError::from)?)
}

/// More than the largest core image that can be told where it stands.
const MAX_CODE_BYTES: u64 = 64 << 20;

/// The bytes of `source`, or so many of them that they are refused for their number.
fn read_start(source: &Source) -> Result<Vec<u8>, ReadError> {
    let length = usize::try_from(source.length.min(MAX_CODE_BYTES)).expect("it is small");
    let mut bytes = vec![0; length];
    source.read_at(0, &mut bytes)?;
    Ok(bytes)
}
