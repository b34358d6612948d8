//! What an image is made of, and why: for `report.json` and `report.html`.
//!
//! ```text
//!  Tree, Closure ──▶ Survey ────┐
//!                   names, why  ├──▶ Report ──▶ report.json · report.html · nix-support
//!  layouts ───────▶ Accounts ───┘
//!                   bytes
//! ```
//!
//! - [`Survey`] looks at the tree before it is laid out: which files there are, which of them
//!   are equal, whose they are, and which references lead to each store path;
//! - [`Accounts`] take down what each file, and each structure that belongs to none, takes
//!   while volumes are laid out;
//! - [`Report`] is both together, as `docs/report.md` describes it. It is the same for the same
//!   image: it has no time and no host in it.

mod accounts;
mod chains;
mod hydra;
mod page;
mod shown;
mod survey;

use std::cmp::Reverse;
use std::ops::Range;

use serde::{Serialize, Serializer};

pub use accounts::{Accounts, At};
pub use hydra::products;
pub use survey::Survey;

use accounts::{Costs, NodeBytes, Volume};
use survey::{Count, Listed, OwnerBytes};

use crate::disk::Region;
use crate::store::ValidPath;

/// The version of `report.json`. It grows when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// Store paths' own largest files, and names of equal files, in `report.json`.
const FEW: usize = 10;
/// Largest files and sets of equal files in `report.json`.
const MANY: usize = 100;

/// What an image is made of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    version: u32,
    image: Image,
    totals: Totals,
    parts: Vec<Part>,
    roots: Vec<String>,
    paths: Vec<PathReport>,
    others: Vec<OtherReport>,
    largest_files: Vec<FileReport>,
    duplicates: Duplicates,
    /// All files that take bytes, the largest first: for the page.
    #[serde(skip)]
    files: Vec<PageFile>,
}

/// What is known of an image as a whole.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The name of its file.
    pub name: String,
    /// `ext4`, `tar` or `disk`.
    pub kind: &'static str,
    /// `raw`, `zstd`, or a container of the attributes.
    pub container: &'static str,
    /// Bytes of the image.
    pub bytes: u64,
    /// Bytes of the file; others, if there is a container.
    pub file_bytes: u64,
}

/// What is in an image, counted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Totals {
    store_paths: usize,
    /// Bytes of all NARs: what Nix calls the size of the closure.
    nar_bytes: u64,
    #[serde(flatten)]
    count: Count,
    /// Inodes in use, those of the filesystem itself too; none of what has no inodes.
    inodes: Option<u32>,
}

/// A part of the image: the whole of it, or a partition, a table, a gap.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    what: String,
    start: u64,
    bytes: u64,
    /// From 1.
    partition: Option<usize>,
    holds: Option<&'static str>,
    inodes: Option<Inodes>,
    costs: Costs,
    /// Of a FAT filesystem.
    largest_files: Vec<FileReport>,
}

/// The inodes of a filesystem.
#[derive(Clone, Copy, Debug, Serialize)]
struct Inodes {
    all: u32,
    free: u32,
}

/// A store path.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PathReport {
    path: String,
    #[serde(flatten)]
    bytes: NodeBytes,
    /// Bytes that are there for this path alone: its own, and those of what only it leads to.
    alone: u64,
    nar_bytes: u64,
    files: usize,
    references: usize,
    referrers: usize,
    /// The shortest chain of references from a root; ends with the path itself.
    why: Vec<String>,
    largest_files: Vec<FileReport>,
    /// The path before it in the chain, by its place here.
    #[serde(skip)]
    via: Option<usize>,
}

/// What stands outside of store paths.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherReport {
    path: String,
    #[serde(flatten)]
    bytes: NodeBytes,
    files: usize,
    largest_files: Vec<FileReport>,
}

/// A file.
#[derive(Clone, Debug, Serialize)]
struct FileReport {
    path: String,
    bytes: u64,
    content: u64,
}

/// Equal files.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Duplicates {
    sets: usize,
    files: usize,
    /// Bytes that are there more than once.
    bytes: u64,
    largest: Vec<Equal>,
}

/// Files that are equal to one another.
#[derive(Debug, Serialize)]
struct Equal {
    /// Bytes of each.
    bytes: u64,
    files: usize,
    /// Bytes of all but one.
    saves: u64,
    paths: Vec<String>,
}

/// A file for the page.
#[derive(Debug)]
struct PageFile {
    /// Of `paths`, then of `others`.
    owner: usize,
    name: String,
    bytes: u64,
}

impl Report {
    /// The report of `image`, of whose store paths Nix's database knows `valid`.
    ///
    /// # Panics
    ///
    /// If these are of different images.
    #[must_use]
    pub fn new(image: Image, survey: &Survey, accounts: &Accounts, valid: &[ValidPath]) -> Self {
        let found = Found::new(survey, accounts, valid);
        let (paths, others) = found.order.split_at(valid.len());
        let roots = survey.chains.roots().iter();
        Self {
            version: VERSION,
            totals: Totals {
                store_paths: valid.len(),
                nar_bytes: valid.iter().map(|path| path.nar_size).sum(),
                count: survey.count,
                inodes: accounts.volumes.iter().find_map(|volume| {
                    let inodes = volume.inodes?;
                    Some(inodes.all - inodes.free)
                }),
            },
            parts: parts(image.bytes, accounts),
            roots: roots.map(|root| found.name(*root)).collect(),
            paths: paths.iter().map(|owner| found.path(*owner)).collect(),
            others: others.iter().map(|owner| found.other(*owner)).collect(),
            largest_files: found.reported(&found.files[..found.files.len().min(MANY)]),
            duplicates: duplicates(survey, accounts),
            files: survey.page_files(&found.files, &found.places),
            image,
        }
    }

    /// `report.json`.
    ///
    /// # Panics
    ///
    /// Never: all of it can be JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("numbers and strings are JSON");
        json.push(b'\n');
        json
    }

    /// `report.html`.
    #[must_use]
    pub fn html(&self) -> Vec<u8> {
        page::html(self)
    }

    /// `nix-support/hydra-metrics`.
    #[must_use]
    pub fn metrics(&self) -> Vec<u8> {
        hydra::metrics(self)
    }
}

/// What a survey found, with what it takes.
struct Found<'a> {
    survey: &'a Survey,
    valid: &'a [ValidPath],
    /// Store paths, then the others.
    owners: Vec<OwnerBytes>,
    /// The owners as the report has them: store paths by size, then the others.
    order: Vec<usize>,
    /// By owner, the place in that order.
    places: Vec<usize>,
    /// By store path.
    alone: Vec<u64>,
    /// The largest first.
    files: Vec<Listed>,
    /// By owner.
    largest: Vec<Vec<Listed>>,
}

impl<'a> Found<'a> {
    fn new(survey: &'a Survey, accounts: &Accounts, valid: &'a [ValidPath]) -> Self {
        assert_eq!(survey.store_paths(), valid.len(), "they are of one closure");
        let owners = survey.owners(accounts);
        let bytes: Vec<u64> = owners.iter().map(|owner| owner.bytes.bytes).collect();
        let by_bytes = |range: Range<usize>| {
            let mut order: Vec<usize> = range.collect();
            order.sort_by_key(|owner| Reverse(bytes[*owner]));
            order
        };
        let order = [
            by_bytes(0..valid.len()),
            by_bytes(valid.len()..owners.len()),
        ]
        .concat();
        let mut places = vec![0; order.len()];
        for (place, owner) in order.iter().enumerate() {
            places[*owner] = place;
        }
        let files = survey.files(accounts);
        Self {
            survey,
            valid,
            alone: survey.chains.alone(&bytes[..valid.len()]),
            largest: Listed::few_of_each(&files, owners.len(), FEW),
            owners,
            order,
            places,
            files,
        }
    }

    fn name(&self, owner: usize) -> String {
        self.owners[owner].path.clone()
    }

    fn path(&self, owner: usize) -> PathReport {
        let chains = &self.survey.chains;
        let chain = chains.of(owner);
        PathReport {
            path: self.name(owner),
            bytes: self.owners[owner].bytes,
            alone: self.alone[owner],
            nar_bytes: self.valid[owner].nar_size,
            files: self.owners[owner].files,
            references: chains.references(owner).len(),
            referrers: chains.referrers(owner),
            why: chain.iter().map(|one| self.name(*one)).collect(),
            largest_files: self.reported(&self.largest[owner]),
            via: chain.len().checked_sub(2).map(|at| self.places[chain[at]]),
        }
    }

    fn other(&self, owner: usize) -> OtherReport {
        OtherReport {
            path: self.name(owner),
            bytes: self.owners[owner].bytes,
            files: self.owners[owner].files,
            largest_files: self.reported(&self.largest[owner]),
        }
    }

    fn reported(&self, files: &[Listed]) -> Vec<FileReport> {
        files.iter().map(|file| self.survey.file(file)).collect()
    }
}

fn duplicates(survey: &Survey, accounts: &Accounts) -> Duplicates {
    let mut sets: Vec<_> = survey
        .equal
        .iter()
        .map(|set| {
            let bytes = accounts.node(set[0]).bytes;
            (bytes * (set.len() as u64 - 1), bytes, set)
        })
        .collect();
    // Those of as many bytes in the order of their first files.
    sets.sort_by_key(|(saves, _, set)| (Reverse(*saves), survey.place(set[0])));
    Duplicates {
        sets: sets.len(),
        files: sets.iter().map(|(_, _, set)| set.len() - 1).sum(),
        bytes: sets.iter().map(|(saves, _, _)| saves).sum(),
        largest: sets
            .iter()
            .take(MANY)
            .map(|(saves, bytes, set)| Equal {
                bytes: *bytes,
                files: set.len(),
                saves: *saves,
                paths: set[..set.len().min(FEW)]
                    .iter()
                    .map(|node| survey.path(survey.place(*node)))
                    .collect(),
            })
            .collect(),
    }
}

/// The parts of an image of `bytes`, in order: each byte belongs to one.
fn parts(bytes: u64, accounts: &Accounts) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut end = 0;
    let gap = |start: u64, bytes: u64| Part {
        what: "a gap".into(),
        start,
        bytes,
        partition: None,
        holds: None,
        inodes: None,
        costs: Costs::of([("unused", bytes)]),
        largest_files: Vec::new(),
    };
    let whole = accounts
        .regions
        .is_none()
        .then(|| Region::new("the image", 0..bytes));
    for region in accounts.regions.iter().flatten().chain(&whole) {
        if region.bytes.start > end {
            parts.push(gap(end, region.bytes.start - end));
        }
        end = region.bytes.end;
        let of_region = |volume: &&Volume| volume.partition == region.partition;
        let is_volume = region.partition.is_some() || accounts.regions.is_none();
        let volume = accounts.volumes.iter().find(of_region);
        parts.push(part(region, volume.filter(|_| is_volume)));
    }
    if bytes > end {
        parts.push(gap(end, bytes - end));
    }
    parts
}

fn part(region: &Region, volume: Option<&Volume>) -> Part {
    let bytes = region.bytes.end - region.bytes.start;
    let mut costs = match volume {
        Some(volume) => volume.costs.clone(),
        None if region.partition.is_some() => Costs::default(),
        None => Costs::of([("disk", bytes)]),
    };
    costs.add("unused", bytes - costs.total());
    let files = volume.map_or(&[][..], |volume| &volume.largest_files[..]);
    Part {
        what: region.what.clone(),
        start: region.bytes.start,
        bytes,
        partition: region.partition.map(|index| index + 1),
        holds: volume.map(|volume| volume.holds),
        inodes: volume.and_then(|volume| volume.inodes),
        costs,
        largest_files: files.to_vec(),
    }
}

impl Serialize for Costs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests;
