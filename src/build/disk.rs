//! From a disk as it is wanted to its pieces: each partition's content, made for its place.

use std::path::{Path, PathBuf};

use super::BuildError;
use crate::disk::{self, Grub, Place, Raw};
use crate::image::{Content, Piece, Pieces};
use crate::source::{ReadError, Source};
use crate::spec::{DiskSpec, GrubFiles, PartitionContent, RawFile};
use crate::tree::Tree;
use crate::{ext4, root};

/// A disk, and where the filesystem with the closure begins on it, in bytes.
pub(super) struct Built {
    pub pieces: Pieces,
    pub root: Option<u64>,
}

/// The disk of `spec`, with `tree` in the filesystem that `options` describe.
pub(super) fn lay_out(
    mut spec: DiskSpec,
    tree: Tree,
    options: &ext4::Options,
) -> Result<Built, BuildError> {
    spec.disk.raw = raw(&spec)?;
    spec.disk.grub = spec.grub.as_ref().map(grub).transpose()?;
    let mut tree = Some(tree);
    let mut root = None;
    let pieces = disk::lay_out(&spec.disk, |index, place| {
        let at = format!("nix2image.disk.partitions[{index}].content");
        match &spec.contents[index] {
            PartitionContent::Nothing => Ok(None),
            PartitionContent::File(path) => file(&format!("{at}.file"), path).map(Some),
            PartitionContent::Root => {
                root = Some(place.start);
                let tree = tree.take().expect("one partition holds the closure");
                let options = fill(options, place);
                Ok(Some(ext4::lay_out(tree, &options)?))
            }
        }
    })?;
    Ok(Built { pieces, root })
}

/// Options for a filesystem that has the size of its partition, unless it has one already.
fn fill(options: &ext4::Options, place: Place) -> ext4::Options {
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

fn raw(spec: &DiskSpec) -> Result<Vec<Raw>, BuildError> {
    let find = |(index, raw): (usize, &RawFile)| {
        let name = format!("disk.raw[{index}]");
        Ok(Raw {
            source: root::file(&format!("nix2image.{name}.source"), &raw.source)?,
            offset: raw.offset,
            name,
        })
    };
    spec.raw.iter().enumerate().map(find).collect()
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
