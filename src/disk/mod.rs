//! A disk: volumes at their places, and what finds them there.
//!
//! ```text
//!  Disk ──▶ places ──▶ each volume's Pieces, shifted ──┐
//!           arithmetic                                 ├──▶ Pieces
//!                 └──▶ table: mbr, gpt    boot code ───┘
//! ```
//!
//! Knows neither filesystems nor Nix: whoever calls [`lay_out`] makes the volumes, one
//! after another, when it is known where each begins.

mod error;
mod gpt;
mod grub;
mod layout;
mod mbr;
mod options;

pub use error::{DiskError, PartitionLabel};
pub use grub::{Grub, GrubError};
pub use layout::{Place, Region, lay_out, lay_out_with_regions};
pub use options::{
    Attributes, AttributesError, Disk, Guid, GuidError, MbrId, MbrIdError, Partition,
    PartitionName, PartitionNameError, PartitionType, PartitionTypeError, Raw, SectorSize,
    SectorSizeError, Size, Table, volume_id,
};
