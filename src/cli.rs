//! What a user may say on the command line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use nix2image::install::ENTER_COMMAND;
use nix2image::prepare_root::PrepareRoot;
use nix2image::store::{Form, StorePath, StorePathError};
use nix2image::tree::Timestamp;

mod help;
mod inspect;
mod install;
mod manual;

pub(crate) use inspect::{InspectArguments, Look, VerifyArguments};
pub(crate) use install::{InstallArguments, Installing};
pub(crate) use manual::write as write_manual;

/// Nix closures in, bootable disk images out.
///
/// Without a command this is the builder of a Nix derivation: it reads what to make from
/// the structured attributes of the derivation, under `nix2image`, and writes the image to
/// `$out`. The Nix functions of this project (makeExt4Fs, makeDiskImage, makeSdImage and others)
/// make such derivations, so that `nix build` runs it, and nobody else need do so.
///
/// The commands look into images that are there, and lay roots into directories.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_long_help = help::PROGRAM)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) volume: Volume,
}

/// How much is said on standard error while it works. A builder tells Nix its phases and bytes,
/// or says them as lines where Nix does not run it. A command shows a bar at a terminal.
#[derive(Args, Clone, Copy)]
pub(crate) struct Volume {
    /// Say nothing but errors.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say each phase, and how far it is, as lines that stay.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lay the root of a NixOS into a directory, a mounted disk say.
    ///
    /// Directories, store paths, the store's database, profiles and /bin/sh: what an image
    /// has. On a root that is filled already, what is missing is added, and a profile gets
    /// a new generation if it changes. Killed and run again, it goes on.
    #[command(after_long_help = help::PREPARE_ROOT)]
    PrepareRoot(PrepareRootArguments),
    /// Install a NixOS that boots on a disk that is mounted in a directory.
    ///
    /// The root is prepared, and the system installs its boot loader. Only root can do that.
    #[command(after_long_help = help::INSTALL)]
    Install(InstallArguments),
    /// Look into an image: its container, partitions, filesystems and files.
    ///
    /// Images are raw, or in zstd, qcow2 or VHD; filesystems are ext4 and FAT. Nothing is
    /// mounted, and nobody need be root.
    #[command(after_long_help = help::INSPECT)]
    Inspect(InspectArguments),
    /// Compare the store paths in an image with its own database and registration.
    ///
    /// Each path is hashed, on all threads, and what is missing, extra or changed is listed.
    #[command(after_long_help = help::VERIFY)]
    Verify(VerifyArguments),
    /// Write manual pages and shell completions below PREFIX.
    ///
    /// They are what a package installs, made of the command line that this program has.
    #[command(after_long_help = help::MANUAL)]
    Manual {
        /// What has `share`.
        prefix: PathBuf,
    },
    /// Serve `install`, which starts this itself.
    #[command(name = ENTER_COMMAND, hide = true)]
    EnterRoot {
        /// What is to be done.
        order: String,
    },
}

#[derive(Args)]
pub(crate) struct PrepareRootArguments {
    /// The directory.
    #[arg(value_name = "MOUNTPOINT")]
    mount_point: PathBuf,
    /// What nixos-prepare-root takes: channel (may be empty), system, closures.
    #[arg(value_names = ["CHANNEL", "SYSTEM", "CLOSURE"], num_args = 2..)]
    #[arg(conflicts_with_all = ["system", "channel", "closures"])]
    positional: Vec<OsString>,
    /// The system that the system profile shall lead to.
    #[arg(long, value_name = "PATH", value_parser = StorePath::parse)]
    system: Option<StorePath>,
    /// The channel that root's channels shall lead to.
    #[arg(long, value_name = "PATH", value_parser = StorePath::parse)]
    channel: Option<StorePath>,
    /// The program that /bin/sh shall be, in a path of the closure.
    #[arg(long, value_name = "PATH")]
    shell: Option<PathBuf>,
    /// A closure; may be given more than once.
    ///
    /// What `nix-store --export` wrote if its name ends in `.closure`, else a text graph of
    /// exportReferencesGraph.
    #[arg(long = "closure", value_name = "FILE")]
    closures: Vec<PathBuf>,
    /// Have no channel, whatever else is said.
    #[arg(long)]
    no_channel_copy: bool,
}

/// An argument that is no store path.
#[derive(Debug, thiserror::Error)]
#[error("{argument} of prepare-root")]
pub(crate) struct ArgumentError {
    argument: &'static str,
    source: StorePathError,
}

/// By these names the program is one of its commands.
const NAMES: [(&str, &str); 2] = [
    ("nixos-prepare-root", "prepare-root"),
    ("nixos-install", "install"),
];

/// The time of everything that is made, as in an image without one.
const TIME: Timestamp = Timestamp::from_seconds(1);

impl Arguments {
    /// Reads the command line; ends the process after help (0) or an error (2).
    pub(crate) fn read(command_line: impl IntoIterator<Item = OsString>) -> Self {
        let mut words: Vec<_> = command_line.into_iter().collect();
        let called = words.first().and_then(|name| Path::new(name).file_name());
        if let Some((_, command)) = NAMES
            .iter()
            .find(|(name, _)| called == Some(OsStr::new(name)))
        {
            words.insert(1, command.into());
        }
        let arguments = Self::parse_from(words);
        match &arguments.command {
            Some(Command::Inspect(inspect)) if inspect.contradicts_itself() => Self::command()
                .error(
                    ErrorKind::ArgumentConflict,
                    "--json is for what inspect itself and ls say; cat writes the file's bytes",
                )
                .exit(),
            _ => arguments,
        }
    }
}

impl PrepareRootArguments {
    pub(crate) fn request(self) -> Result<PrepareRoot, ArgumentError> {
        let (channel, system, closures) = match self.positional.as_slice() {
            [channel, system, closures @ ..] => (
                store_path("CHANNEL", channel)?,
                store_path("SYSTEM", system)?,
                closures.iter().map(PathBuf::from).collect(),
            ),
            _ => (self.channel, self.system, self.closures),
        };
        Ok(PrepareRoot {
            mount_point: self.mount_point,
            system,
            channel: channel.filter(|_| !self.no_channel_copy),
            shell: self.shell,
            closures: closures.into_iter().map(form).collect(),
            time: TIME,
        })
    }
}

/// The store path that `text` is; nothing if it is empty.
fn store_path(argument: &'static str, text: &OsStr) -> Result<Option<StorePath>, ArgumentError> {
    if text.is_empty() {
        return Ok(None);
    }
    match StorePath::parse(&text.to_string_lossy()) {
        Ok(path) => Ok(Some(path)),
        Err(source) => Err(ArgumentError { argument, source }),
    }
}

fn form(path: PathBuf) -> Form {
    if path.extension() == Some(OsStr::new("closure")) {
        return Form::Export(path);
    }
    Form::TextGraph(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "/nix/store/11111111111111111111111111111111-system";
    const CHANNEL: &str = "/nix/store/22222222222222222222222222222222-channel";

    fn request(words: &[&str]) -> PrepareRoot {
        let words = words.iter().map(OsString::from);
        let Some(Command::PrepareRoot(arguments)) = Arguments::read(words).command else {
            panic!("it is another command")
        };
        arguments.request().unwrap()
    }

    fn text(path: Option<StorePath>) -> Option<String> {
        path.map(|path| path.to_string())
    }

    #[test]
    fn the_positional_form_is_that_of_nixos_prepare_root() {
        for call in [
            &["nix2image", "prepare-root"][..],
            &["/x/nixos-prepare-root"],
        ] {
            let words = [call, &["/mnt", CHANNEL, SYSTEM, "nix", "x.closure"]].concat();
            let request = request(&words);
            assert_eq!(request.mount_point, Path::new("/mnt"));
            assert_eq!(text(request.channel).as_deref(), Some(CHANNEL));
            assert_eq!(text(request.system).as_deref(), Some(SYSTEM));
            assert!(matches!(
                &request.closures[..],
                [Form::TextGraph(graph), Form::Export(export)]
                    if graph == Path::new("nix") && export == Path::new("x.closure")
            ));
        }
    }

    #[test]
    fn an_empty_channel_is_none() {
        let words = ["nixos-prepare-root", "/mnt", "", SYSTEM, "nix"];
        assert_eq!(request(&words).channel, None);
    }

    #[test]
    fn options_say_the_same() {
        let words = [
            "nix2image",
            "prepare-root",
            "/mnt",
            "--system",
            SYSTEM,
            "--channel",
            CHANNEL,
            "--closure",
            "a.closure",
            "--closure",
            "b",
            "--shell",
            "/nix/store/x/bin/sh",
        ];
        let first = request(&words);
        assert_eq!(text(first.channel).as_deref(), Some(CHANNEL));
        assert_eq!(text(first.system).as_deref(), Some(SYSTEM));
        assert_eq!(first.closures.len(), 2);
        assert_eq!(
            first.shell.as_deref(),
            Some(Path::new("/nix/store/x/bin/sh"))
        );
        let without = [&words[..], &["--no-channel-copy"]].concat();
        assert_eq!(request(&without).channel, None);
        assert_eq!(request(&["nixos-prepare-root", "/mnt"]).system, None);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for words in [
            &["nix2image", "prepare-root"][..],
            &["nix2image", "prepare-root", "/mnt", CHANNEL],
            &["nix2image", "prepare-root", "/mnt", "--system", "/x"],
            &[
                "nix2image",
                "prepare-root",
                "/mnt",
                "",
                SYSTEM,
                "--system",
                SYSTEM,
            ],
        ] {
            assert!(Arguments::try_parse_from(words).is_err(), "{words:?}");
        }
        let words = ["nix2image", "prepare-root", "/mnt", "", "/x"].map(OsString::from);
        let Some(Command::PrepareRoot(arguments)) = Arguments::read(words).command else {
            panic!("it is another command")
        };
        let error = arguments.request().unwrap_err();
        assert_eq!(error.to_string(), "SYSTEM of prepare-root");
    }
}
