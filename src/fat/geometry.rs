//! How large a filesystem is, of which type, and in which clusters.
//!
//! ```text
//! reserved sectors | table | table | root directory (FAT12, FAT16) | clusters
//! ```
//!
//! A reader takes the type from the number of clusters alone. The defaults are those of
//! mkfs.fat: from 512 MiB on FAT32, below it FAT12 or FAT16 in clusters of 2 KiB, or the
//! least that keeps a FAT16 below its most clusters. Source: Microsoft, FAT specification,
//! section 3; dosfstools, `mkfs.fat.c`.

use hadris_fat::sync::format::{
    FatFormatOptions, FatTypeSelection, FatVolumeFormatter, SectorSize as CrateSectorSize,
};

use super::names::{ENTRY_BYTES, Inventory};
use super::options::{ClusterSize, FatType, Options, SectorSize};

/// Why a tree does not become a filesystem of the size, type or clusters that were asked
/// for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Not a whole number of sectors.
    #[error("a FAT filesystem of {size} bytes is no whole number of sectors of {sector} bytes")]
    Sectors {
        /// Bytes that were asked for.
        size: u64,
        /// Bytes of a sector.
        sector: u64,
    },
    /// A cluster that is smaller than a sector.
    #[error(
        "clusters of {cluster} bytes are smaller than the disk's sectors of {sector}; a cluster has at least one"
    )]
    Cluster {
        /// Bytes of a cluster.
        cluster: u64,
        /// Bytes of a sector.
        sector: u64,
    },
    /// Content that does not fit into the size that was asked for.
    #[error(
        "{size} bytes are too few for the content of the FAT filesystem; it needs {needed}, so give its partition as many, or \"fit\" as its size"
    )]
    TooSmall {
        /// Bytes that were asked for.
        size: u64,
        /// The fewest that do.
        needed: u64,
    },
    /// A size that the type does not have.
    #[error(
        "a {fat_type} filesystem cannot have {size} bytes; with these sectors and clusters it has {min} to {max}; choose another size or type"
    )]
    Type {
        /// The type that was asked for, or that goes with the size.
        fat_type: FatType,
        /// Bytes that were asked for.
        size: u64,
        /// The fewest.
        min: u64,
        /// The most.
        max: u64,
    },
    /// More content than the type can hold.
    #[error(
        "the content takes more than a {fat_type} filesystem can hold, which has at most {max} clusters and {max_bytes} bytes; choose a wider type or larger clusters"
    )]
    TooMuch {
        /// The type that was asked for, or the widest.
        fat_type: FatType,
        /// The most clusters.
        max: u64,
        /// The most bytes.
        max_bytes: u64,
    },
    /// More entries than a root directory of a fixed size holds.
    #[error(
        "the root directory takes {found} entries, and a {fat_type} filesystem has {max} there; put files into a directory, or choose fat32"
    )]
    RootEntries {
        /// The type.
        fat_type: FatType,
        /// Entries of 32 bytes, of which a long name takes several.
        found: u64,
        /// The most.
        max: u64,
    },
}

/// What is decided of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) fat_type: FatType,
    pub(super) cluster: ClusterSize,
    pub(super) sector: SectorSize,
    /// Sectors of the whole filesystem.
    pub(super) sectors: u64,
}

/// Entries of a root directory that has a fixed place.
const FIXED_ROOT_ENTRIES: u64 = 512;
/// Copies of the table.
const TABLES: u64 = 2;
/// From this many bytes on mkfs.fat takes FAT32.
const FAT32_FROM_BYTES: u64 = 512 << 20;
/// Clusters of a FAT12 and a FAT16 have at least this many bytes by default.
const NARROW_CLUSTER_BYTES: u64 = 2048;
/// Up to how many bytes mkfs.fat has a FAT32 in clusters of how many.
const FAT32_CLUSTERS: [(u64, u64); 5] = [
    (260 << 20, 512),
    (8 << 30, 4096),
    (16 << 30, 8192),
    (32 << 30, 16384),
    (u64::MAX, 32768),
];

impl Shape {
    /// The filesystem for `inventory`: as large as `options` say or as small as they allow.
    pub(super) fn of(inventory: &Inventory, options: &Options) -> Result<Self, SizeError> {
        let wish = Wish { inventory, options };
        let sector = wish.sector_bytes();
        if let Some(cluster) = options.cluster_size.map(ClusterSize::bytes)
            && cluster < sector
        {
            return Err(SizeError::Cluster { cluster, sector });
        }
        match options.size {
            Some(size) if !size.is_multiple_of(sector) => Err(SizeError::Sectors { size, sector }),
            Some(size) => wish.fill(size),
            None => wish.fit(),
        }
    }

    /// Bytes of the whole filesystem.
    pub(super) fn bytes(&self) -> u64 {
        self.sectors * self.sector.bytes()
    }

    /// Clusters of the root directory of `inventory`.
    pub(super) fn root_clusters(&self, inventory: &Inventory) -> u64 {
        root_clusters(self.fat_type, self.cluster, inventory)
    }

    /// What the crate is to make.
    pub(super) fn format_options(&self) -> FatFormatOptions {
        let per_cluster = self.cluster.bytes() / self.sector.bytes();
        FatFormatOptions::new(self.bytes())
            .sector_size(match self.sector {
                SectorSize::Bytes512 => CrateSectorSize::S512,
                SectorSize::Bytes4096 => CrateSectorSize::S4096,
            })
            .sectors_per_cluster(u8::try_from(per_cluster).expect("at most 64"))
            .fat_type(match self.fat_type {
                FatType::Fat12 => FatTypeSelection::Fat12,
                FatType::Fat16 => FatTypeSelection::Fat16,
                FatType::Fat32 => FatTypeSelection::Fat32,
            })
    }

    /// Its clusters, if there can be such a filesystem.
    fn clusters(&self) -> Option<u64> {
        let clusters = self.bytes() / self.cluster.bytes();
        // Beyond, the crate would count in too few bits.
        if clusters > FatType::Fat32.max_clusters()
            || self.bytes() > max_bytes(self.fat_type, self.sector)
        {
            return None;
        }
        let params = FatVolumeFormatter::calculate_params(&self.format_options()).ok()?;
        let clusters = u64::from(params.cluster_count);
        let possible = self.fat_type.min_clusters()..=self.fat_type.max_clusters();
        possible.contains(&clusters).then_some(clusters)
    }
}

/// Clusters of a root directory, if it has no place of its own.
fn root_clusters(fat_type: FatType, cluster: ClusterSize, inventory: &Inventory) -> u64 {
    match fat_type {
        FatType::Fat12 | FatType::Fat16 => 0,
        FatType::Fat32 => inventory.root_clusters(cluster.bytes()),
    }
}

/// What is asked for.
struct Wish<'a> {
    inventory: &'a Inventory,
    options: &'a Options,
}

impl Wish<'_> {
    fn sector_bytes(&self) -> u64 {
        self.options.sector_size.bytes()
    }

    /// The smallest filesystem.
    fn fit(&self) -> Result<Shape, SizeError> {
        let types = self
            .options
            .fat_type
            .map_or(FatType::ALL.to_vec(), |one| vec![one]);
        for &fat_type in &types {
            if self.check_root(fat_type).is_err() && types.len() > 1 {
                continue;
            }
            self.check_root(fat_type)?;
            // By default a FAT16 comes before a FAT12 in larger clusters.
            let tries = if types.len() > 1 && fat_type == FatType::Fat12 {
                1
            } else {
                usize::MAX
            };
            for cluster in self.clusters(fat_type).into_iter().take(tries) {
                let least = self.least(fat_type, cluster, 0);
                if let Some(shape) = least.filter(|shape| self.is_usual(shape)) {
                    return Ok(shape);
                }
            }
        }
        Err(self.too_much(self.options.fat_type.unwrap_or(FatType::Fat32)))
    }

    /// A filesystem of `size` bytes.
    fn fill(&self, size: u64) -> Result<Shape, SizeError> {
        let shape = |fat_type, cluster| Shape {
            fat_type,
            cluster,
            sector: self.options.sector_size,
            sectors: size / self.sector_bytes(),
        };
        let fat_type = self.options.fat_type.unwrap_or_else(|| self.type_of(size));
        let possible: Vec<Shape> = self
            .clusters(fat_type)
            .into_iter()
            .map(|cluster| shape(fat_type, cluster))
            .filter(|shape| shape.clusters().is_some())
            .collect();
        let Some(usual) = possible
            .iter()
            .position(|shape| self.is_usual(shape))
            .or(possible.len().checked_sub(1))
        else {
            return Err(self.no_such_size(fat_type, size));
        };
        self.check_root(fat_type)?;
        // Smaller clusters waste less.
        let down = possible[..=usual].iter().rev();
        if let Some(shape) = down.copied().find(|shape| self.holds(shape)) {
            return Ok(shape);
        }
        let needed = possible[..=usual]
            .iter()
            .filter_map(|shape| self.least(fat_type, shape.cluster, shape.sectors + 1))
            .map(|shape| shape.bytes())
            .min();
        Err(match needed {
            Some(needed) => SizeError::TooSmall { size, needed },
            None => self.too_much(fat_type),
        })
    }

    /// The type that mkfs.fat takes for `size` bytes.
    fn type_of(&self, size: u64) -> FatType {
        let can_be = |fat_type, cluster| {
            let shape = Shape {
                fat_type,
                cluster,
                sector: self.options.sector_size,
                sectors: size / self.sector_bytes(),
            };
            shape.clusters().is_some()
        };
        let clusters = self.clusters(FatType::Fat12);
        let first = clusters.first().copied();
        if size >= FAT32_FROM_BYTES {
            FatType::Fat32
        } else if first.is_some_and(|cluster| can_be(FatType::Fat12, cluster)) {
            FatType::Fat12
        } else if clusters
            .iter()
            .any(|cluster| can_be(FatType::Fat16, *cluster))
        {
            FatType::Fat16
        } else {
            // In larger clusters.
            FatType::Fat12
        }
    }

    /// Sizes of clusters to try, the smallest first.
    fn clusters(&self, fat_type: FatType) -> Vec<ClusterSize> {
        if let Some(one) = self.options.cluster_size {
            return vec![one];
        }
        let least = match fat_type {
            FatType::Fat12 | FatType::Fat16 => NARROW_CLUSTER_BYTES,
            FatType::Fat32 => 0,
        };
        ClusterSize::ALL
            .into_iter()
            .filter(|cluster| cluster.bytes() >= least.max(self.sector_bytes()))
            .collect()
    }

    /// Whether mkfs.fat would take clusters as large as these for the size: for a FAT32 it
    /// goes by the size, else it takes the smallest that can be.
    fn is_usual(&self, shape: &Shape) -> bool {
        if shape.fat_type != FatType::Fat32 || self.options.cluster_size.is_some() {
            return true;
        }
        let usual = FAT32_CLUSTERS
            .iter()
            .find(|(up_to, _)| shape.bytes() <= *up_to);
        usual.is_some_and(|(_, cluster)| shape.cluster.bytes() >= *cluster)
    }

    /// Clusters that the content and what shall be free take.
    fn needed(&self, fat_type: FatType, cluster: ClusterSize) -> u64 {
        let root = root_clusters(fat_type, cluster, self.inventory);
        let free = self.options.free_bytes.div_ceil(cluster.bytes());
        self.inventory.clusters(cluster.bytes()) + root + free
    }

    fn holds(&self, shape: &Shape) -> bool {
        let needed = self.needed(shape.fat_type, shape.cluster);
        shape.clusters().is_some_and(|clusters| clusters >= needed)
    }

    /// The smallest filesystem of a type and clusters that holds all, and that has at least
    /// `sectors`.
    fn least(&self, fat_type: FatType, cluster: ClusterSize, sectors: u64) -> Option<Shape> {
        let clusters = self.needed(fat_type, cluster);
        least(
            fat_type,
            cluster,
            self.options.sector_size,
            clusters,
            sectors,
        )
    }

    fn too_much(&self, fat_type: FatType) -> SizeError {
        SizeError::TooMuch {
            fat_type,
            max: fat_type.max_clusters(),
            max_bytes: max_bytes(fat_type, self.options.sector_size),
        }
    }

    fn check_root(&self, fat_type: FatType) -> Result<(), SizeError> {
        let found = self.inventory.root_slots();
        if fat_type == FatType::Fat32 || found <= FIXED_ROOT_ENTRIES {
            return Ok(());
        }
        Err(SizeError::RootEntries {
            fat_type,
            found,
            max: FIXED_ROOT_ENTRIES,
        })
    }

    fn no_such_size(&self, fat_type: FatType, size: u64) -> SizeError {
        let sector = self.options.sector_size;
        let clusters = self.clusters(fat_type);
        let min = clusters
            .iter()
            .filter_map(|cluster| least(fat_type, *cluster, sector, 0, 0))
            .map(|shape| shape.bytes())
            .min();
        let max = clusters
            .last()
            .map(|cluster| most_bytes(fat_type, *cluster, sector));
        SizeError::Type {
            fat_type,
            size,
            min: min.unwrap_or(0),
            max: max.unwrap_or(0),
        }
    }
}

/// The smallest filesystem of at least `clusters` and `sectors`, if there is one.
fn least(
    fat_type: FatType,
    cluster: ClusterSize,
    sector: SectorSize,
    clusters: u64,
    sectors: u64,
) -> Option<Shape> {
    let wanted = clusters.max(fat_type.min_clusters());
    // With fewer sectors there cannot be so many clusters; but the crate may take more for
    // the tables than they need, and where a table grows there are fewer than just before.
    let exact = with_clusters(fat_type, cluster, sector, wanted);
    let from = exact
        .max(min_bytes(fat_type).div_ceil(sector.bytes()))
        .max(sectors);
    let slack = exact / 16 + 256;
    (from..=from + slack)
        .map(|sectors| Shape {
            fat_type,
            cluster,
            sector,
            sectors,
        })
        .find(|shape| shape.clusters().is_some_and(|found| found >= wanted))
}

/// Sectors of a filesystem of exactly `clusters`.
fn with_clusters(
    fat_type: FatType,
    cluster: ClusterSize,
    sector: SectorSize,
    clusters: u64,
) -> u64 {
    let (bits, reserved, root_entries) = match fat_type {
        FatType::Fat12 => (12, 1, FIXED_ROOT_ENTRIES),
        FatType::Fat16 => (16, 1, FIXED_ROOT_ENTRIES),
        FatType::Fat32 => (32, 32, 0),
    };
    let sector = sector.bytes();
    // Entries 0 and 1 are no clusters.
    let table = ((clusters + 2) * bits).div_ceil(8).div_ceil(sector);
    let root = (root_entries * ENTRY_BYTES).div_ceil(sector);
    reserved + TABLES * table + root + clusters * (cluster.bytes() / sector)
}

/// The fewest bytes that the crate makes a filesystem of.
fn min_bytes(fat_type: FatType) -> u64 {
    match fat_type {
        FatType::Fat12 => 512 << 10,
        FatType::Fat16 => 4 << 20,
        FatType::Fat32 => 32 << 20,
    }
}

/// The most bytes that the crate makes a filesystem of, and that 32 bits count in sectors.
fn max_bytes(fat_type: FatType, sector: SectorSize) -> u64 {
    let most = match fat_type {
        FatType::Fat12 => 32 << 20,
        FatType::Fat16 => 2 << 30,
        FatType::Fat32 => 2 << 40,
    };
    most.min(u64::from(u32::MAX) * sector.bytes())
}

/// The most bytes with clusters of one size.
fn most_bytes(fat_type: FatType, cluster: ClusterSize, sector: SectorSize) -> u64 {
    // Less than one more cluster may be left over.
    let clusters = with_clusters(fat_type, cluster, sector, fat_type.max_clusters());
    let sectors = clusters + cluster.bytes() / sector.bytes() - 1;
    (sectors * sector.bytes()).min(max_bytes(fat_type, sector))
}
