//! The attributes of one item of a list `bootFiles`.

use std::str::FromStr;

use serde::Deserialize;

use super::value::attribute_set;
use super::value::choice;
use super::{FromText, Integer, Line, NotAllowed, SourcePath, Target, Text};
use crate::store::StorePath;

/// What one boot loader needs, and where.
#[derive(Debug, Deserialize)]
#[serde(try_from = "OneOf")]
pub struct BootFiles {
    /// The directory that all of it stands in.
    pub target: Option<Text<Target>>,
    /// The loader.
    pub loader: BootLoader,
}

/// A boot loader, with what it is told.
#[derive(Debug)]
#[expect(missing_docs, reason = "docs/attributes.md has them, for the user")]
pub enum BootLoader {
    SystemdBoot(SystemdBoot),
    Grub(Grub),
    Extlinux(Extlinux),
}

attribute_set! {
    /// The attributes under `systemdBoot`.
    pub struct SystemdBoot {
        pub system: StorePath,
        #[serde(default = "default_timeout")]
        pub timeout: Option<Timeout>,
        pub editor: Option<bool>,
        pub console_mode: Option<Text<ConsoleMode>>,
        pub loader: Option<bool>,
        pub entries: Option<bool>,
        pub efi: Option<Text<SourcePath>>,
    }
}

attribute_set! {
    /// The attributes under `grub`.
    pub struct Grub {
        pub system: StorePath,
        #[serde(default = "default_timeout")]
        pub timeout: Option<Timeout>,
        pub default: Option<Integer<u32, 0, { u32::MAX as i64 }>>,
        pub extra_config: Option<String>,
        pub extra_entries: Option<String>,
        pub kernels: Option<Text<KernelPlace>>,
        pub search: Search,
    }
}

/// How a filesystem is found: by one of these.
#[derive(Debug, Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an attribute set of either `label` or `uuid`"
)]
#[expect(missing_docs, reason = "docs/attributes.md has them, for the user")]
pub enum Search {
    Label(Text<Line>),
    Uuid(Text<Line>),
}

attribute_set! {
    /// The attributes under `extlinux`.
    pub struct Extlinux {
        pub system: StorePath,
        #[serde(default = "default_timeout")]
        pub timeout: Option<Timeout>,
        pub device_tree: Option<bool>,
        pub dtb_name: Option<Text<Line>>,
    }
}

/// Seconds that a menu waits. Ten times as much is still a 32-bit number, for extlinux.
pub type Timeout = Integer<u32, 0, 200_000_000>;

/// Here null has a meaning, as in `boot.loader.timeout`: a menu that waits for ever.
#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn default_timeout() -> Option<Timeout> {
    Some(Integer(5))
}

choice! {
    /// Where GRUB reads kernels.
    KernelPlace { Store = "store", Copied = "copied" }
}

/// A mode of the console, as `loader.conf` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleMode(pub &'static str);

impl FromText for ConsoleMode {
    const ALLOWED: &str = "\"0\", \"1\", \"2\", \"5\", \"auto\", \"max\" or \"keep\"";
}

impl FromStr for ConsoleMode {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        ["0", "1", "2", "5", "auto", "max", "keep"]
            .into_iter()
            .find(|mode| *mode == text)
            .map(Self)
            .ok_or_else(|| NotAllowed::instead_of::<Self>(text))
    }
}

/// The attributes as they stand there, each loader perhaps.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    rename_all = "camelCase",
    expecting = "an attribute set"
)]
struct OneOf {
    target: Option<Text<Target>>,
    systemd_boot: Option<SystemdBoot>,
    grub: Option<Grub>,
    extlinux: Option<Extlinux>,
}

/// Not one boot loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("names {found} boot loaders, expected exactly one of `systemdBoot`, `grub` and `extlinux`")]
struct NotOneLoader {
    found: usize,
}

impl TryFrom<OneOf> for BootFiles {
    type Error = NotOneLoader;

    fn try_from(given: OneOf) -> Result<Self, NotOneLoader> {
        let mut loaders: Vec<_> = [
            given.systemd_boot.map(BootLoader::SystemdBoot),
            given.grub.map(BootLoader::Grub),
            given.extlinux.map(BootLoader::Extlinux),
        ]
        .into_iter()
        .flatten()
        .collect();
        match (loaders.pop(), loaders.len()) {
            (Some(loader), 0) => Ok(Self {
                target: given.target,
                loader,
            }),
            (last, others) => Err(NotOneLoader {
                found: others + usize::from(last.is_some()),
            }),
        }
    }
}
