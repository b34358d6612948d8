//! What a user may say after `inspect` and `verify`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::help;

#[derive(Args)]
pub(crate) struct InspectArguments {
    /// The image, or the output of a build with one image in it.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    /// Say it in JSON, which docs/inspect.md describes.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) look: Option<Look>,
}

#[derive(Subcommand)]
pub(crate) enum Look {
    /// List a directory, or a file: type, mode, owner, size, name, target.
    #[command(after_long_help = help::LS)]
    Ls {
        #[command(flatten)]
        at: At,
        /// Say it in JSON, which docs/inspect.md describes.
        #[arg(long)]
        json: bool,
        /// The directory or file. Without a slash behind it, a symlink is shown itself.
        #[arg(value_name = "PATH", default_value = "/")]
        path: OsString,
    },
    /// Write the content of a file to standard output.
    #[command(after_long_help = help::CAT)]
    Cat {
        #[command(flatten)]
        at: At,
        /// The file. Symlinks are followed.
        #[arg(value_name = "PATH")]
        path: OsString,
    },
}

/// Where to look.
#[derive(Args)]
pub(crate) struct At {
    /// The partition to look into.
    ///
    /// Without it, the one that holds /nix/store, or the only one with a filesystem.
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
}

#[derive(Args)]
pub(crate) struct VerifyArguments {
    /// The image, or the output of a build with one image in it.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) at: At,
    /// Say it in JSON, which docs/inspect.md describes.
    #[arg(long)]
    pub(crate) json: bool,
}

impl InspectArguments {
    /// Whether JSON is asked for, and the bytes of a file too.
    pub(crate) fn contradicts_itself(&self) -> bool {
        self.json && matches!(self.look, Some(Look::Cat { .. }))
    }
}
