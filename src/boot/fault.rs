//! What can be wrong with a system, or with what is asked of it.

use std::path::PathBuf;

use crate::source::ReadError;
use crate::store::{STORE_DIRECTORY, ScanError, StorePath};
use crate::tree::NameError;

/// Why there is nothing for a boot loader.
#[derive(Debug, thiserror::Error)]
pub enum BootFault {
    /// A system that does not describe itself.
    #[error(
        "{system} has no boot.json; build the system with `boot.bootspec.enable = true`, or give a store path that is a NixOS system"
    )]
    NoBootspec {
        /// The system.
        system: StorePath,
    },
    /// A description that cannot be parsed.
    #[error("{path} is no bootspec")]
    Json {
        /// The file.
        path: String,
        /// Where it ceases to be one.
        source: serde_json::Error,
    },
    /// A description with a value that nobody can use.
    #[error("{path} is no bootspec at its key {key}; build the system with another nixpkgs")]
    Value {
        /// The file.
        path: String,
        /// The keys that lead to the value.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A description in another version than ours.
    #[error(
        "{path} holds {}, expected \"org.nixos.bootspec.v1\" (RFC 125); build the system with a nixpkgs from 23.05 on, or look for a newer nix2image",
        list(found)
    )]
    Version {
        /// The file.
        path: String,
        /// The keys that it has.
        found: Vec<String>,
    },
    /// A description that lacks what every boot loader needs.
    #[error("{path} names no {field} for {of}; {needed}")]
    Lacks {
        /// The file.
        path: String,
        /// The system or specialisation.
        of: String,
        /// The key.
        field: &'static str,
        /// What to do.
        needed: &'static str,
    },
    /// Text that would not be what it is in a configuration.
    #[error(
        "{path} gives {text:?} as {what}, and the configuration of a boot loader cannot hold it: {reason}"
    )]
    Text {
        /// The file.
        path: String,
        /// What it is.
        what: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something that the system names and the closure does not hold.
    #[error("cannot find {what}, {path}")]
    Find {
        /// What it is.
        what: &'static str,
        /// Its path.
        path: String,
        /// The reason.
        source: FindError,
    },
    /// A path that leads to another type of file.
    #[error("{what}, {path}, is {found}, expected {expected}")]
    Kind {
        /// What it should be.
        what: &'static str,
        /// Its path.
        path: String,
        /// What it is, as `"a directory"`.
        found: &'static str,
        /// What it should be, as `"a file"`.
        expected: &'static str,
    },
    /// A file of the closure that cannot be read.
    #[error("cannot read {what}, {path}")]
    Read {
        /// What it is.
        what: &'static str,
        /// Its path.
        path: String,
        /// The reason.
        source: ReadError,
    },
    /// A text file that is too long to be one.
    #[error("{what}, {path}, has {bytes} bytes, more than {limit}")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Its path.
        path: String,
        /// Its bytes.
        bytes: u64,
        /// The bytes that it may have.
        limit: u64,
    },
    /// A text file that is no text.
    #[error("{what}, {path}, is not in UTF-8")]
    Utf8 {
        /// What it is.
        what: &'static str,
        /// Its path.
        path: String,
    },
    /// Secrets that are to be added to an initrd when it is installed.
    #[error(
        "the system adds secrets to its initrd when its boot loader is installed ({script}), and they must not stand in the store; set `boot.initrd.secrets = {{ }}`, and add them with the first nixos-rebuild"
    )]
    InitrdSecrets {
        /// The program that would add them.
        script: String,
    },
    /// A name that no filesystem of ours holds.
    #[error("a boot loader's copy of {path} cannot be named")]
    Name {
        /// What would be copied.
        path: String,
        /// What is wrong with the name.
        source: NameError,
    },
    /// Two files for one name.
    #[error(
        "the boot loader's copies of {first} and of {second} would have one name, {name:?}; rename one of the two in the store path that has it"
    )]
    Meeting {
        /// The name, from the target on.
        name: String,
        /// What was copied.
        first: String,
        /// What would be.
        second: String,
    },
    /// A device tree by name, of a system that has none.
    #[error("dtbName is {name:?}, and {system} has no device trees (`dtbs`)")]
    NoDeviceTrees {
        /// The name.
        name: String,
        /// The system.
        system: String,
    },
    /// A program of systemd-boot whose name does not tell its machine.
    #[error(
        "efi is {}, expected a file of the store named \"systemd-bootx64.efi\", or the like for {}", path.display(), machines.join(", ")
    )]
    LoaderName {
        /// The program.
        path: PathBuf,
        /// The machines that UEFI has a name for.
        machines: &'static [&'static str],
    },
    /// A program of systemd-boot that cannot be taken.
    #[error("efi cannot be taken")]
    LoaderScan {
        /// The reason.
        source: ScanError,
    },
    /// Neither of two parts.
    #[error("neither `loader` nor `entries` is true, so there would be nothing; set one of them")]
    Nothing,
}

/// Why a path leads to nothing in a closure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// There is nothing.
    #[error("{path} is not there")]
    Missing {
        /// The first part of the path that is not.
        path: String,
    },
    /// It is in a store path that was not given.
    #[error("{path} is not in the closure; give the closure of the whole system")]
    NotInClosure {
        /// The store path.
        path: String,
    },
    /// It leads out of the store.
    #[error("it leads to {path:?}, which is not in {STORE_DIRECTORY}")]
    NotInStore {
        /// Where it leads.
        path: String,
    },
    /// Symlinks that lead round, or on for too long.
    #[error("it leads through more than {limit} symlinks")]
    Symlinks {
        /// The symlinks that may be followed.
        limit: usize,
    },
    /// Directories that lead round, or on for too long.
    #[error("it has more than {limit} directories, one in the other")]
    Depth {
        /// The directories that may be entered.
        limit: usize,
    },
    /// A name that no text can hold.
    #[error("{path:?} is not in UTF-8")]
    Utf8 {
        /// The path, for reading.
        path: String,
    },
}

fn list(keys: &[String]) -> String {
    match keys {
        [] => "no key".into(),
        keys => {
            let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
            format!("the keys {}", keys.join(", "))
        }
    }
}
