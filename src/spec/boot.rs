//! What boot loaders need.

use std::path::PathBuf;

use super::text;
use crate::attrs::boot as attrs;
use crate::attrs::boot::KernelPlace;
use crate::store::StorePath;
use crate::tree::Name;

/// What one boot loader needs to start a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFiles {
    /// The attribute that asks for it, as `nix2image.bootFiles[0]`, for messages.
    pub attribute: String,
    /// Names from the top of the filesystem to the directory that all of it stands in.
    pub target: Vec<Name>,
    /// The loader.
    pub loader: BootLoader,
}

/// A boot loader, with what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootLoader {
    /// systemd-boot.
    SystemdBoot(SystemdBoot),
    /// GRUB, of BIOS or UEFI: its configuration.
    Grub(Grub),
    /// What U-Boot and others read: `extlinux.conf`.
    Extlinux(Extlinux),
}

/// What systemd-boot is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemdBoot {
    /// The system to start.
    pub system: StorePath,
    /// Seconds that the menu waits; for ever if there are none.
    pub timeout: Option<u32>,
    /// Whether the kernel's parameters can be changed in the menu.
    pub editor: bool,
    /// What `loader.conf` says of the console.
    pub console_mode: &'static str,
    /// Whether the loader and its configuration stand here: on the ESP.
    pub loader: bool,
    /// Whether the entries and the kernels stand here: on the ESP or the XBOOTLDR.
    pub entries: bool,
    /// The loader's program, a file `systemd-boot….efi` in the host's store.
    pub efi: Option<PathBuf>,
}

/// What GRUB is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grub {
    /// The system to start.
    pub system: StorePath,
    /// Seconds that the menu waits; for ever if there are none.
    pub timeout: Option<u32>,
    /// The number of the entry to start, from 0.
    pub default: u32,
    /// Commands before the menu, as they are.
    pub extra_config: String,
    /// Entries after those of the system, as they are.
    pub extra_entries: String,
    /// Where the kernels are.
    pub kernels: Kernels,
    /// How the filesystem that has the kernels is found.
    pub search: Search,
}

/// Where a boot loader finds kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// In the store.
    Store,
    /// In copies beside the configuration.
    Copied,
}

/// What a filesystem is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// Its label.
    Label(String),
    /// Its UUID, or what stands for one.
    Uuid(String),
}

/// What `extlinux.conf` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extlinux {
    /// The system to start.
    pub system: StorePath,
    /// Seconds that the menu waits; for ever if there are none.
    pub timeout: Option<u32>,
    /// Whether the system's device trees are used.
    pub device_tree: bool,
    /// The device tree to use, by its path among them; else the loader chooses.
    pub dtb_name: Option<String>,
}

/// All that the attribute `at` asks for.
pub(crate) fn all(at: &str, items: Option<Vec<attrs::BootFiles>>) -> Vec<BootFiles> {
    let items = items.into_iter().flatten().enumerate();
    items
        .map(|(index, item)| BootFiles::new(format!("{at}[{index}]"), item))
        .collect()
}

impl BootFiles {
    fn new(attribute: String, attrs: attrs::BootFiles) -> Self {
        let (loader, default_target) = match attrs.loader {
            attrs::BootLoader::SystemdBoot(attrs) => (BootLoader::SystemdBoot(attrs.into()), None),
            attrs::BootLoader::Grub(attrs) => (BootLoader::Grub(attrs.into()), Some("boot")),
            attrs::BootLoader::Extlinux(attrs) => {
                (BootLoader::Extlinux(attrs.into()), Some("boot"))
            }
        };
        let default_target = || {
            let names = default_target.into_iter().map(Name::new);
            names.map(|name| name.expect("it is a name")).collect()
        };
        Self {
            attribute,
            target: text(attrs.target).map_or_else(default_target, |target| target.0),
            loader,
        }
    }
}

impl From<attrs::SystemdBoot> for SystemdBoot {
    fn from(attrs: attrs::SystemdBoot) -> Self {
        Self {
            system: attrs.system,
            timeout: attrs.timeout.map(|seconds| seconds.0),
            editor: attrs.editor.unwrap_or(true),
            console_mode: text(attrs.console_mode).map_or("keep", |mode| mode.0),
            loader: attrs.loader.unwrap_or(true),
            entries: attrs.entries.unwrap_or(true),
            efi: text(attrs.efi).map(|path| path.0),
        }
    }
}

impl From<attrs::Grub> for Grub {
    fn from(attrs: attrs::Grub) -> Self {
        Self {
            system: attrs.system,
            timeout: attrs.timeout.map(|seconds| seconds.0),
            default: attrs.default.map_or(0, |number| number.0),
            extra_config: attrs.extra_config.unwrap_or_default(),
            extra_entries: attrs.extra_entries.unwrap_or_default(),
            kernels: match text(attrs.kernels).unwrap_or(KernelPlace::Store) {
                KernelPlace::Store => Kernels::Store,
                KernelPlace::Copied => Kernels::Copied,
            },
            search: match attrs.search {
                attrs::Search::Label(label) => Search::Label(label.0.0),
                attrs::Search::Uuid(uuid) => Search::Uuid(uuid.0.0),
            },
        }
    }
}

impl From<attrs::Extlinux> for Extlinux {
    fn from(attrs: attrs::Extlinux) -> Self {
        Self {
            system: attrs.system,
            timeout: attrs.timeout.map(|seconds| seconds.0),
            device_tree: attrs.device_tree.unwrap_or(true),
            dtb_name: text(attrs.dtb_name).map(|name| name.0),
        }
    }
}
