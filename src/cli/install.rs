//! What a user may say after `install`, or to `nixos-install`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use nix2image::install::{Channel, Install};
use nix2image::store::StorePath;

use super::{TIME, form};

#[derive(Args)]
pub(crate) struct InstallArguments {
    /// The directory where the target is mounted.
    #[arg(long, value_name = "DIR", default_value = "/mnt")]
    root: PathBuf,
    /// The system that is to boot.
    ///
    /// Without it, DIR/etc/nixos/configuration.nix is built with nix-build.
    #[arg(long, value_name = "PATH", value_parser = StorePath::parse)]
    system: Option<StorePath>,
    /// The channel that root's channels shall lead to.
    ///
    /// Without it, root's channel of this host.
    #[arg(long, value_name = "PATH", value_parser = StorePath::parse)]
    #[arg(conflicts_with = "no_channel_copy")]
    channel: Option<StorePath>,
    /// Have no channel.
    #[arg(long)]
    no_channel_copy: bool,
    /// Do not let the system install its boot loader.
    #[arg(long, alias = "no-bootloader")]
    no_boot_loader: bool,
    /// Do not ask for root's password.
    ///
    /// It is asked for only at a terminal.
    #[arg(long, alias = "no-root-password")]
    no_root_passwd: bool,
    /// The program that /bin/sh shall be, in a path of the closure.
    #[arg(long, value_name = "PATH")]
    shell: Option<PathBuf>,
    /// A closure; may be given more than once.
    ///
    /// What `nix-store --export` wrote if its name ends in `.closure`, else a text graph of
    /// exportReferencesGraph. Without it, this host's store is asked.
    #[arg(long = "closure", value_name = "FILE")]
    closures: Vec<PathBuf>,
    /// Install nothing, but run a command in a root that is installed.
    ///
    /// All that follows is the command; by default it is a shell.
    #[arg(long, value_name = "COMMAND", num_args = 0.., allow_hyphen_values = true)]
    #[arg(conflicts_with_all = [
        "system", "channel", "no_channel_copy", "no_boot_loader", "no_root_passwd", "shell",
        "closures",
    ])]
    chroot: Option<Vec<OsString>>,
}

/// What `install` is to do.
pub(crate) enum Installing {
    /// Install a system.
    System(Box<Install>),
    /// Run a command in a root.
    Command {
        root: PathBuf,
        command: Vec<OsString>,
    },
}

/// Where Nix has its state, if the environment says nothing else.
const STATE_DIRECTORY: &str = "/nix/var/nix";

impl InstallArguments {
    /// What is asked for, on a host whose Nix has its state in `state_directory`.
    pub(crate) fn request(self, state_directory: Option<PathBuf>) -> Installing {
        if let Some(mut command) = self.chroot {
            if command.first().is_some_and(|word| word == "--") {
                command.remove(0);
            }
            return Installing::Command {
                root: self.root,
                command,
            };
        }
        Installing::System(Box::new(Install {
            root: self.root,
            system: self.system,
            channel: match self.channel {
                Some(path) => Channel::Path(path),
                None if self.no_channel_copy => Channel::None,
                None => Channel::OfHost,
            },
            shell: self.shell,
            closures: self.closures.into_iter().map(form).collect(),
            boot_loader: !self.no_boot_loader,
            root_password: !self.no_root_passwd,
            state_directory: state_directory.unwrap_or_else(|| STATE_DIRECTORY.into()),
            time: TIME,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::super::{Arguments, Command};
    use super::*;

    const SYSTEM: &str = "/nix/store/11111111111111111111111111111111-system";

    fn installing(words: &[&str]) -> Installing {
        let Some(Command::Install(arguments)) =
            Arguments::read(words.iter().map(OsString::from)).command
        else {
            panic!("it is another command")
        };
        arguments.request(None)
    }

    fn system(words: &[&str]) -> Install {
        match installing(words) {
            Installing::System(install) => *install,
            Installing::Command { .. } => panic!("it is a command"),
        }
    }

    fn command(words: &[&str]) -> (PathBuf, Vec<OsString>) {
        match installing(words) {
            Installing::System(_) => panic!("it is a system"),
            Installing::Command { root, command } => (root, command),
        }
    }

    #[test]
    fn without_options_all_is_found_and_done() {
        for words in [&["nix2image", "install"][..], &["/x/nixos-install"]] {
            let install = system(words);
            assert_eq!(install.root, Path::new("/mnt"));
            assert_eq!(install.system, None);
            assert_eq!(install.channel, Channel::OfHost);
            assert!(install.closures.is_empty());
            assert!(install.boot_loader && install.root_password);
            assert_eq!(install.state_directory, Path::new("/nix/var/nix"));
        }
    }

    #[test]
    fn options_of_the_scripts_are_known() {
        let install = system(&[
            "nixos-install",
            "--root",
            "/target",
            "--system",
            SYSTEM,
            "--no-channel-copy",
            "--no-bootloader",
            "--no-root-password",
        ]);
        assert_eq!(install.root, Path::new("/target"));
        assert_eq!(install.system.unwrap().to_string(), SYSTEM);
        assert_eq!(install.channel, Channel::None);
        assert!(!install.boot_loader && !install.root_password);
    }

    #[test]
    fn what_follows_chroot_is_a_command() {
        for (words, expected) in [
            (&[][..], &[][..]),
            (&["ls", "-l", "--root"], &["ls", "-l", "--root"]),
            (&["ls", "-v", "--quiet"], &["ls", "-v", "--quiet"]),
            (&["--", "ls", "--", "-l"], &["ls", "--", "-l"]),
        ] {
            let words = [&["nixos-install", "--root", "/target", "--chroot"], words].concat();
            let (root, command) = command(&words);
            assert_eq!(root, Path::new("/target"));
            assert_eq!(command, expected, "{words:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for words in [
            &["--channel", SYSTEM, "--no-channel-copy"][..],
            &["--system", "/x"],
            &["--system", SYSTEM, "--chroot"],
        ] {
            let words = [&["nix2image", "install"], words].concat();
            assert!(Arguments::try_parse_from(&words).is_err(), "{words:?}");
        }
    }
}
