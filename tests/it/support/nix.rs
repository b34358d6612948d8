//! The releases of Nix that the tests run, each with a store of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::run;
use super::env;

/// A release of Nix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nix {
    /// The machine's own: Debian bookworm's is 2.8.
    Machine,
    /// That of another Debian suite, through `nix-in`: trixie's is 2.26.
    Other,
}

impl Nix {
    /// All that we test with.
    pub(crate) const ALL: [Self; 2] = [Self::Machine, Self::Other];

    /// A command that will run under this Nix. It sees the checkout, the target
    /// directory, and temporary directories at their own paths.
    #[track_caller]
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Machine => Command::new(program),
            Self::Other => {
                let mut command = Command::new(env::nix_in());
                command.arg(env::nix_in_suite()).arg(program);
                command
            }
        }
    }

    /// Runs `nix-build` in its sandbox with `arguments`; gives the store path.
    #[track_caller]
    pub(crate) fn build(self, arguments: &[&str]) -> String {
        let mut command = self.command("nix-build");
        run(command.arg("--no-out-link").args(arguments))
            .trim_end()
            .to_owned()
    }

    /// Where a store path of this Nix stands for us, who are outside.
    #[track_caller]
    pub(crate) fn seen_from_outside(self, store_path: &str) -> PathBuf {
        match self {
            Self::Machine => store_path.into(),
            Self::Other => {
                let root = env::nix_roots().join(env::nix_in_suite());
                root.join(
                    Path::new(store_path)
                        .strip_prefix("/")
                        .unwrap_or(Path::new(store_path)),
                )
            }
        }
    }
}
