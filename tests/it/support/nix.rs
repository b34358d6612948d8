//! The releases of Nix that the tests run, each with a store of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::command::run;
use super::env;

/// What Nix knows of a store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathInfo {
    pub(crate) path: String,
    /// The SHA-256 of its NAR, in hex.
    pub(crate) nar_hash: String,
    pub(crate) nar_size: u64,
    pub(crate) references: Vec<String>,
}

impl PathInfo {
    /// Reads a registration, such as `nix-store --dump-db` writes. The deriver is left out.
    #[track_caller]
    pub(crate) fn parse(registration: &str) -> Vec<Self> {
        let mut lines = registration.lines().map(str::to_owned);
        let mut infos = Vec::new();
        while let Some(path) = lines.next() {
            let mut next = || lines.next().expect("a registration ends after a path");
            let nar_hash = next();
            let nar_size = next().parse().unwrap();
            let _deriver = next();
            let references: usize = next().parse().unwrap();
            infos.push(Self {
                path,
                nar_hash,
                nar_size,
                references: (0..references).map(|_| next()).collect(),
            });
        }
        infos
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

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

    /// What an expression is worth, all of it, evaluated without a build.
    #[track_caller]
    pub(crate) fn evaluate(self, expression: &str) -> Value {
        let mut command = self.command("nix-instantiate");
        command.args([
            "--eval",
            "--strict",
            "--json",
            "--read-write-mode",
            "--expr",
        ]);
        serde_json::from_str(&run(command.arg(expression))).unwrap()
    }

    /// The output paths of what an expression would build, whether they are there or not.
    #[track_caller]
    pub(crate) fn outputs(self, expression: &str) -> Vec<String> {
        let mut instantiate = self.command("nix-instantiate");
        let derivation = run(instantiate.args(["--expr", expression]));
        self.query(&["--outputs", derivation.trim_end()])
    }

    /// The store paths, or other lines, that `nix-store --query` answers.
    #[track_caller]
    pub(crate) fn query(self, arguments: &[&str]) -> Vec<String> {
        let mut command = self.command("nix-store");
        lines(&run(command.arg("--query").args(arguments)))
    }

    /// What is known of `paths` and all that they refer to.
    #[track_caller]
    pub(crate) fn closure(self, paths: &[&str]) -> Vec<PathInfo> {
        let mut requisites = self.query(&[&["--requisites"], paths].concat());
        requisites.sort_unstable();
        let mut command = self.command("nix-store");
        PathInfo::parse(&run(command.arg("--dump-db").args(requisites)))
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
