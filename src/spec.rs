//! What is wanted: the attributes, checked and typed.
//!
//! A [`Spec`] can be built; whoever holds one need not check it again.

mod boot;
mod disk;
mod output;

use std::path::PathBuf;

pub use boot::{BootFiles, BootLoader, Extlinux, Grub, Kernels, Search, SystemdBoot};
pub use disk::{DiskFault, DiskSpec, FatSpec, GrubFiles, PartitionContent, RawFile};
pub use output::{Output, OutputDirectory, OutputFault, OutputFile, ReportSpec};

use crate::attrs::{self, Attrs, CompressionName, ContainerName, KindName};
use crate::ext4;
use crate::image::{Container, VhdForm};
use crate::store::{Form, Graph, GraphError, StorePath};
use crate::tree::{Timestamp, Xattrs};

/// One image to be made.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute by itself"
)]
pub struct Spec {
    /// Where the result goes, and in which form.
    pub output: Output,
    /// The report of what is in the image, if it is wanted.
    pub report: Option<ReportSpec>,
    /// What the closure is the union of.
    pub inputs: Vec<Form>,
    /// Whether the paths of the host's store are hashed while they are copied, and compared.
    pub verify: bool,
    /// Whether equal files of store paths become hard links.
    pub deduplicate: bool,
    /// What stands in the root of a NixOS, if it is one.
    pub root: Option<RootSpec>,
    /// What stands in the image beside the closure, in the order given.
    pub contents: Vec<ContentItem>,
    /// What boot loaders need, in the order given.
    pub boot_files: Vec<BootFiles>,
    /// Whether `/nix-path-registration` stands in the image.
    pub registration: bool,
    /// Whether the closure stands at the top, and nothing else anywhere.
    pub only_store: bool,
    /// What holds the files.
    pub kind: Kind,
    /// The time of everything in the image that has none of its own.
    pub time: Timestamp,
    /// The filesystem.
    pub ext4: ext4::Options,
    /// Whether zeros in large files become holes.
    pub sparse: bool,
    /// What the image is wrapped in.
    pub container: Container,
    /// Whether to read the image again when it is done.
    pub self_check: bool,
}

/// What an image is.
#[derive(Debug)]
pub enum Kind {
    /// An ext4 filesystem.
    Ext4,
    /// A tar archive.
    Tar,
    /// A disk, one of whose partitions may be the ext4 filesystem.
    Disk(Box<DiskSpec>),
}

/// The root of a NixOS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootSpec {
    /// The system that the system profile leads to.
    pub system: Option<StorePath>,
    /// The channel that root's channels lead to.
    pub channel: Option<StorePath>,
    /// The program that `/bin/sh` is.
    pub shell: Option<PathBuf>,
    /// Whether the store has its database.
    pub database: bool,
}

/// A file, directory, symlink or unpacked tar file at a place of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentItem {
    /// A store path, or a path in one.
    pub source: PathBuf,
    /// Whether the source is a tar file, whose entries stand at the target.
    pub unpack: bool,
    /// Whether the source is a pattern; each path that it stands for then has its own name in
    /// the directory at the target.
    pub glob: bool,
    /// Absolute path in the image: names without `.`, `..` and empty ones; none for the root.
    pub target: Vec<crate::tree::Name>,
    /// Permission bits of the source's top.
    pub mode: Option<u16>,
    /// Whether they are those of every file and directory in it.
    pub recursive_mode: bool,
    /// Owner of the source and all in it.
    pub uid: Option<u32>,
    /// Group of the source and all in it.
    pub gid: Option<u32>,
    /// Time of the source and all in it.
    pub mtime: Option<Timestamp>,
    /// Extended attributes of the source's top.
    pub xattrs: Xattrs,
}

/// Attributes that are well formed and still cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A name under which there is no graph.
    #[error(
        "nix2image.graphs[{index}]: {name:?} is no graph; exportReferencesGraph provides {}",
        list(provided)
    )]
    NoGraph {
        /// Its place in the list, from 0.
        index: usize,
        /// The name.
        name: String,
        /// The names that would have been one.
        provided: Vec<String>,
    },
    /// A graph that is not in the form that Nix gives.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A time that is still to come.
    #[error(
        "nix2image.time: {time} is in the future, which e2fsck reports; expected at most {now}, the time now"
    )]
    Future {
        /// The time, in seconds from 1970.
        time: u32,
        /// The present.
        now: i64,
    },
    /// A tar archive that shall be read again as a filesystem.
    #[error(
        "nix2image.selfCheck: a tar archive cannot be checked, expected false with kind = \"tar\"; `verify` checks the closure that goes into it"
    )]
    SelfCheckOfTar,
    /// A tar archive in a container of disks.
    #[error(
        "nix2image.container: a tar archive is no disk, expected \"raw\" with kind = \"tar\"; for a smaller one use compression = \"zstd\""
    )]
    ContainerOfTar,
    /// A container that is compressed as a whole.
    #[error(
        "nix2image.compression: \"zstd\" with container = {container:?} makes a file that no machine starts from, expected \"none\"; or use container = \"raw\", which gives NAME.img.zst"
    )]
    CompressionOfContainer {
        /// Its name.
        container: &'static str,
    },
    /// A container that the self check does not read.
    #[error(
        "nix2image.selfCheck: only images with container = \"raw\" can be checked, expected false with {container:?}; `verify` checks the closure that goes into it"
    )]
    SelfCheckOfContainer {
        /// Its name.
        container: &'static str,
    },
    /// A report without a place.
    #[error(
        "nix2image.report: the derivation has no output for it, expected outputs = [ \"out\" \"report\" ], or report = false"
    )]
    NoReportOutput,
    /// More than a store in an image that is one.
    #[error(
        "nix2image.onlyStore: {attribute} puts something beside the store paths, expected onlyStore = false or no {attribute}"
    )]
    OnlyStore {
        /// The attribute that asks for it.
        attribute: &'static str,
    },
    /// A disk that cannot be.
    #[error("nix2image.{attribute}: {fault}")]
    Disk {
        /// Where, below `nix2image`.
        attribute: String,
        /// What is wrong with it.
        fault: DiskFault,
    },
    /// An output that cannot be.
    #[error("nix2image.{attribute}: {fault}")]
    Output {
        /// Which attribute says so.
        attribute: &'static str,
        /// What is wrong with it.
        fault: OutputFault,
    },
}

/// Bytes that are left free for what Nix makes beside a database when it opens it: a reserve
/// of 8 MiB for when the disk is full, and a write-ahead log of 4 MiB before it is emptied.
const DATABASE_ROOM: u64 = 16 << 20;

impl Spec {
    /// What `attrs` ask for, at the time `now`. Here every attribute has its default.
    pub fn new(attrs: Attrs, now: Timestamp) -> Result<Self, SpecError> {
        let graphs = graphs(&attrs)?;
        let report = report(&attrs)?;
        let mut image = attrs.image;
        let inputs = inputs(graphs, &mut image);
        let time = image.time.map_or(1, |time| time.0);
        if i64::from(time) > now.seconds {
            return Err(SpecError::Future {
                time,
                now: now.seconds,
            });
        }
        let container = container(&image)?;
        let kind_name = text(image.kind).unwrap_or(KindName::Ext4);
        let is_disk = kind_name == KindName::Disk;
        let (disk, ext4) = disk::take(is_disk, image.disk.take(), image.ext4.take())?;
        let kind = match (kind_name, disk) {
            (_, Some(disk)) => Kind::Disk(Box::new(disk)),
            (KindName::Tar, None) if image.self_check == Some(true) => {
                return Err(SpecError::SelfCheckOfTar);
            }
            (KindName::Tar, None) => Kind::Tar,
            (_, None) => Kind::Ext4,
        };
        let suffix = match container {
            Container::Raw => ".img",
            Container::Zstd { .. } => ".img.zst",
            Container::Qcow2 { .. } => ".qcow2",
            Container::Vhd { .. } => ".vhd",
        };
        let output = output::output(attrs.out, &mut image, &kind, suffix)?;
        let only_store = only_store(&image)?;
        let root = image.root.map(RootSpec::from);
        let mut options = ext4_options(&ext4, time);
        if root.as_ref().is_some_and(|root| root.database) {
            options.free_bytes = options.free_bytes.saturating_add(DATABASE_ROOM);
        }
        if let Kind::Disk(disk) = &kind {
            let has_content = !inputs.is_empty()
                || root.is_some()
                || image.self_check == Some(true)
                || image.contents.as_ref().is_some_and(|list| !list.is_empty())
                || image
                    .boot_files
                    .as_ref()
                    .is_some_and(|list| !list.is_empty());
            disk::check_root(disk, has_content)?;
        }
        Ok(Self {
            output,
            report,
            inputs,
            verify: image.verify.unwrap_or(false),
            deduplicate: image.deduplicate.unwrap_or(false),
            contents: image
                .contents
                .unwrap_or_default()
                .into_iter()
                .map(ContentItem::from)
                .collect(),
            boot_files: boot::all("nix2image.bootFiles", image.boot_files),
            registration: image.registration.unwrap_or(!only_store),
            only_store,
            time: Timestamp::from_seconds(time.into()),
            sparse: ext4.sparse.unwrap_or(false),
            kind,
            ext4: options,
            root,
            container,
            self_check: image.self_check.unwrap_or(false),
        })
    }

    /// What the attributes call what holds the files.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        let name = match &self.kind {
            Kind::Ext4 => KindName::Ext4,
            Kind::Tar => KindName::Tar,
            Kind::Disk(_) => KindName::Disk,
        };
        name.text()
    }

    /// What the attributes call what the image is wrapped in.
    #[must_use]
    pub fn container_name(&self) -> &'static str {
        let name = match self.container {
            Container::Raw => ContainerName::Raw,
            Container::Zstd { .. } => return CompressionName::Zstd.text(),
            Container::Qcow2 { compressed: false } => ContainerName::Qcow2,
            Container::Qcow2 { compressed: true } => ContainerName::CompressedQcow2,
            Container::Vhd {
                form: VhdForm::Fixed,
            } => ContainerName::FixedVhd,
            Container::Vhd {
                form: VhdForm::Dynamic,
            } => ContainerName::DynamicVhd,
        };
        name.text()
    }
}

fn graphs(attrs: &Attrs) -> Result<Vec<Graph>, SpecError> {
    attrs
        .image
        .graphs
        .iter()
        .flatten()
        .enumerate()
        .map(|(index, name)| {
            let value = attrs.graph(name).ok_or_else(|| SpecError::NoGraph {
                index,
                name: name.clone(),
                provided: attrs.graph_names(),
            })?;
            Ok(Graph::parse(name, value)?)
        })
        .collect()
}

/// The report, and the store paths that are in the image because somebody named them.
fn report(attrs: &Attrs) -> Result<Option<ReportSpec>, SpecError> {
    let image = &attrs.image;
    if image.report != Some(true) {
        return Ok(None);
    }
    let path = attrs.report.clone().ok_or(SpecError::NoReportOutput)?;
    let graphs = image.graphs.iter().flatten();
    let of_graphs = graphs.flat_map(|name| attrs.graph_roots(name));
    let caches = image.binary_caches.iter().flatten();
    let of_caches = caches.flat_map(|cache| cache.paths.iter().cloned());
    let root = image.root.as_ref();
    let of_root = root
        .into_iter()
        .flat_map(|root| [&root.system, &root.channel]);
    Ok(Some(ReportSpec {
        path,
        asked: of_graphs
            .chain(of_caches)
            .chain(of_root.flatten().cloned())
            .collect(),
    }))
}

/// Whether the image is a store alone.
fn only_store(image: &attrs::Image) -> Result<bool, SpecError> {
    fn is_filled<T>(items: Option<&Vec<T>>) -> bool {
        items.is_some_and(|items| !items.is_empty())
    }
    if image.only_store != Some(true) {
        return Ok(false);
    }
    let others = [
        ("root", image.root.is_some()),
        ("contents", is_filled(image.contents.as_ref())),
        ("bootFiles", is_filled(image.boot_files.as_ref())),
        ("registration", image.registration == Some(true)),
    ];
    match others.into_iter().find(|(_, is_given)| *is_given) {
        Some((attribute, _)) => Err(SpecError::OnlyStore { attribute }),
        None => Ok(true),
    }
}

/// All forms in which the closure is given.
fn inputs(graphs: Vec<Graph>, image: &mut attrs::Image) -> Vec<Form> {
    let files = |files: Option<Vec<attrs::Text<attrs::SourcePath>>>| {
        files.unwrap_or_default().into_iter().map(|file| file.0.0)
    };
    let caches = image.binary_caches.take().unwrap_or_default();
    let caches = caches.into_iter().map(|cache| Form::Cache {
        cache: cache.cache.0.0,
        paths: cache.paths,
    });
    graphs
        .into_iter()
        .map(Form::Graph)
        .chain(files(image.text_graphs.take()).map(Form::TextGraph))
        .chain(files(image.exports.take()).map(Form::Export))
        .chain(caches)
        .collect()
}

/// What the image is wrapped in: its container, or its compression.
fn container(image: &attrs::Image) -> Result<Container, SpecError> {
    let name = image.container.map_or(ContainerName::Raw, |text| text.0);
    let compression = image
        .compression
        .map_or(CompressionName::None, |text| text.0);
    let container = match (name, compression) {
        (ContainerName::Raw, CompressionName::None) => return Ok(Container::Raw),
        (ContainerName::Raw, CompressionName::Zstd) => {
            let level = image.compression_level.map_or(3, |level| level.0);
            return Ok(Container::Zstd { level });
        }
        (ContainerName::Qcow2, _) => Container::Qcow2 { compressed: false },
        (ContainerName::CompressedQcow2, _) => Container::Qcow2 { compressed: true },
        (ContainerName::FixedVhd, _) => Container::Vhd {
            form: VhdForm::Fixed,
        },
        (ContainerName::DynamicVhd, _) => Container::Vhd {
            form: VhdForm::Dynamic,
        },
    };
    let container_name = name.text();
    if compression == CompressionName::Zstd {
        return Err(SpecError::CompressionOfContainer {
            container: container_name,
        });
    }
    if image.kind.is_some_and(|kind| kind.0 == KindName::Tar) {
        return Err(SpecError::ContainerOfTar);
    }
    if image.self_check == Some(true) {
        return Err(SpecError::SelfCheckOfContainer {
            container: container_name,
        });
    }
    Ok(container)
}

fn ext4_options(attrs: &attrs::Ext4, time: u32) -> ext4::Options {
    let uuid = text(attrs.uuid).unwrap_or(DEFAULT_UUID);
    let defaults = ext4::Options::new(uuid);
    ext4::Options {
        label: text(attrs.label).unwrap_or_default(),
        hash_seed: text(attrs.hash_seed).map_or(defaults.hash_seed, |seed| ext4::HashSeed(seed.0)),
        time,
        features: attrs
            .profile
            .as_ref()
            .map_or(defaults.features, |profile| profile.0.clone()),
        size: attrs.size.map(|size| size.0),
        free_bytes: attrs
            .free_bytes
            .map_or(defaults.free_bytes, |bytes| bytes.0),
        free_inodes: attrs
            .free_inodes
            .map_or(defaults.free_inodes, |inodes| inodes.0),
        reserved_percent: attrs
            .reserved_percent
            .map_or(defaults.reserved_percent, |percent| percent.0),
        inode_ratio: attrs
            .inode_ratio
            .map_or(defaults.inode_ratio, |ratio| ratio.0),
        journal_size: attrs.journal_size.map(|size| size.0),
        grow_to: attrs.grow_to.map_or(defaults.grow_to, |size| size.0),
        uuid,
    }
}

/// The default of nixpkgs' `make-ext4-fs.nix`.
const DEFAULT_UUID: ext4::Uuid = ext4::Uuid([
    0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88,
]);

impl From<attrs::Root> for RootSpec {
    fn from(attrs: attrs::Root) -> Self {
        Self {
            system: attrs.system,
            channel: attrs.channel,
            shell: text(attrs.shell).map(|path| path.0),
            database: attrs.database.unwrap_or(true),
        }
    }
}

impl From<attrs::Content> for ContentItem {
    fn from(attrs: attrs::Content) -> Self {
        Self {
            source: attrs.source.0.0,
            unpack: attrs.unpack.unwrap_or(false),
            glob: attrs.glob.unwrap_or(false),
            recursive_mode: attrs.recursive_mode.unwrap_or(false),
            target: attrs.target.0.0,
            mode: text(attrs.mode).map(|mode| mode.0),
            uid: attrs.uid.map(|uid| uid.0),
            gid: attrs.gid.map(|gid| gid.0),
            mtime: attrs
                .mtime
                .map(|seconds| Timestamp::from_seconds(seconds.0)),
            xattrs: attrs
                .xattrs
                .unwrap_or_default()
                .into_iter()
                .map(|(name, value)| (name.0.0.into_bytes().into(), value.0.0))
                .collect(),
        }
    }
}

/// What stands in an attribute that is written as a string.
fn text<T>(attr: Option<attrs::Text<T>>) -> Option<T> {
    attr.map(|text| text.0)
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        names => names
            .iter()
            .map(|name| format!("{name:?}"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[cfg(test)]
mod tests;
