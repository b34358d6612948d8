//! What a filesystem takes, and for what: each byte of it belongs to one figure.

use hadris_fat::Error;
use hadris_fat::sync::format::FatVolumeFormatter;

use super::geometry::Shape;
use super::names::Inventory;

/// Bytes of a filesystem by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Content of files.
    pub content: u64,
    /// What is left of the last clusters of files.
    pub slack: u64,
    /// Directories, but for a root that has a fixed place.
    pub directories: u64,
    /// What stands before the clusters: boot sectors, both tables, and a root directory that
    /// has a fixed place.
    pub tables: u64,
    /// Clusters that nobody has, and what is left behind the last.
    pub free: u64,
    /// Bytes of a cluster.
    pub cluster: u64,
}

impl Costs {
    /// The costs of a filesystem of `shape` with `inventory` in it.
    pub(super) fn of(inventory: &Inventory, shape: &Shape) -> Result<Self, Error> {
        let params = FatVolumeFormatter::calculate_params(&shape.format_options())?;
        let cluster = shape.cluster.bytes();
        let (mut content, mut slack) = (0, 0);
        for length in inventory.lengths() {
            content += length;
            slack += length.next_multiple_of(cluster) - length;
        }
        let clusters = inventory.clusters(cluster) + shape.root_clusters(inventory);
        let directories = clusters * cluster - content - slack;
        let tables = u64::from(params.data_start_sector) * shape.sector.bytes();
        Ok(Self {
            content,
            slack,
            directories,
            tables,
            free: shape.bytes() - tables - clusters * cluster,
            cluster,
        })
    }

    /// All bytes: those of the image.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.content + self.slack + self.directories + self.tables + self.free
    }
}
