//! What stands in the root of a NixOS beside its store: the policy of the old
//! `nixos-prepare-root`.
//!
//! | where | what |
//! |---|---|
//! | `/dev /proc /sys /etc /run /home /var` | directories, 0755 |
//! | `/tmp`, `/tmp/root`, `/root` | directories, 1777, 0755 and 0700 |
//! | `/var/run` | → `/run` |
//! | `/nix/var/nix` | Nix's state: directories, 0755 |
//! | `/nix/var/nix/gcroots/profiles` | → `/nix/var/nix/profiles`, so that the collector keeps what a profile leads to |
//! | `/nix/var/nix/profiles/system` | → `system-N-link` → the system |
//! | `/run/current-system` | → `/nix/var/nix/profiles/system`, with a system |
//! | `…/profiles/per-user/root/channels` | → `channels-N-link` → the channel |
//! | `/root/.nix-defexpr/channels` | → that profile, with a channel; its directory is 0700 |
//! | `/bin/sh` | → the shell |
//! | `/nix/var/nix/db/db.sqlite`, `schema` | the database, and the number of its schema |
//! | `/etc/NIXOS` | empty: `switch-to-configuration` asks for it |
//!
//! Directories below `profiles` and `gcroots` are 0755; the 1777 that `per-user` once had
//! let any user make roots of others, and Nix has closed that since.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::shell::{self, ShellError};
use crate::source::Source;
use crate::store::StorePath;
use crate::tree::{Metadata, Node, Timestamp, Tree};

/// What a NixOS has in its root; nothing but the layout by default.
#[derive(Clone, Debug, Default)]
pub struct NixosRoot {
    /// The system that boots, of the closure.
    pub system: Option<Profile>,
    /// The channel of root, of the closure.
    pub channel: Option<Profile>,
    /// The program that `/bin/sh` is: absolute path of an executable in a path of the
    /// closure.
    pub shell: Option<PathBuf>,
    /// The content of the store's database.
    pub database: Option<Source>,
}

/// What a profile leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The store path.
    pub target: StorePath,
    /// The number of the generation, from 1.
    pub generation: u64,
}

/// A NixOS that its closure does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NixosError {
    /// The system or channel is in no closure.
    #[error(
        "the {role} {path} (root.{role}, --{role}) is not in the closure; give a graph or another closure that holds it"
    )]
    NotInClosure {
        /// `"system"` or `"channel"`.
        role: &'static str,
        /// The path.
        path: StorePath,
    },
    /// The shell cannot be run.
    #[error(transparent)]
    Shell(#[from] ShellError),
}

/// The profile whose generations are systems, as all paths here from the root on.
pub const SYSTEM_PROFILE: &str = "nix/var/nix/profiles/system";
/// The profile whose generations are channels of root.
pub const CHANNEL_PROFILE: &str = "nix/var/nix/profiles/per-user/root/channels";
/// The file that makes a directory the root of a NixOS.
pub const NIXOS_MARK: &str = "etc/NIXOS";

/// The number of the database's schema, as Nix writes it.
const SCHEMA: &[u8] = b"10";

/// As a file that was just touched.
const FILE_MODE: u16 = 0o644;
const SYMLINK_MODE: u16 = 0o777;

/// Directories that every root has, parents first, and their modes.
const DIRECTORIES: [(&str, u16); 21] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("nix", 0o755),
    ("nix/var", 0o755),
    ("nix/var/nix", 0o755),
    ("nix/var/nix/db", 0o755),
    ("nix/var/nix/gcroots", 0o755),
    ("nix/var/nix/gcroots/per-user", 0o755),
    ("nix/var/nix/profiles", 0o755),
    ("nix/var/nix/profiles/per-user", 0o755),
    ("nix/var/nix/profiles/per-user/root", 0o755),
    ("nix/var/nix/temproots", 0o755),
    ("nix/var/nix/userpool", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("tmp/root", 0o755),
    ("var", 0o755),
];

impl NixosRoot {
    /// Everything in the root but the store, each thing at its path from the root on,
    /// directories before what stands in them.
    pub(super) fn entries(&self, mtime: Timestamp) -> Vec<(String, Node)> {
        let mut entries = Entries {
            mtime,
            entries: Vec::new(),
        };
        for (path, mode) in DIRECTORIES {
            entries.directory(path, mode);
        }
        entries.symlink("var/run", "/run");
        entries.symlink("nix/var/nix/gcroots/profiles", "/nix/var/nix/profiles");
        if let Some(system) = &self.system {
            entries.profile(SYSTEM_PROFILE, system);
            entries.symlink("run/current-system", format!("/{SYSTEM_PROFILE}"));
        }
        if let Some(channel) = &self.channel {
            entries.profile(CHANNEL_PROFILE, channel);
            entries.directory("root/.nix-defexpr", 0o700);
            let path = "root/.nix-defexpr/channels";
            entries.symlink(path, format!("/{CHANNEL_PROFILE}"));
        }
        if let Some(shell) = &self.shell {
            entries.directory("bin", 0o755);
            entries.symlink("bin/sh", shell.as_os_str().as_bytes());
        }
        if let Some(database) = &self.database {
            entries.file("nix/var/nix/db/db.sqlite", database.clone());
            entries.file("nix/var/nix/db/schema", Source::bytes(SCHEMA));
        }
        entries.file(NIXOS_MARK, Source::bytes(*b""));
        entries.entries
    }

    /// Checks that system, channel and shell are in the closure whose trees are `store`.
    pub(super) fn check(&self, store: &[(StorePath, Tree)]) -> Result<(), NixosError> {
        for (role, profile) in [("system", &self.system), ("channel", &self.channel)] {
            let Some(Profile { target, .. }) = profile else {
                continue;
            };
            if !store.iter().any(|(path, _)| path == target) {
                return Err(NixosError::NotInClosure {
                    role,
                    path: target.clone(),
                });
            }
        }
        if let Some(shell) = &self.shell {
            shell::check(shell, store)?;
        }
        Ok(())
    }
}

impl Profile {
    /// The first generation of a profile.
    #[must_use]
    pub fn first(target: StorePath) -> Self {
        Self {
            target,
            generation: 1,
        }
    }
}

/// Entries that are being listed.
struct Entries {
    mtime: Timestamp,
    entries: Vec<(String, Node)>,
}

impl Entries {
    fn put(&mut self, path: impl Into<String>, mode: u16, node: impl FnOnce(Metadata) -> Node) {
        let metadata = Metadata::of_root(mode, self.mtime);
        self.entries.push((path.into(), node(metadata)));
    }

    fn directory(&mut self, path: &str, mode: u16) {
        self.put(path, mode, Node::directory);
    }

    fn file(&mut self, path: &str, content: Source) {
        self.put(path, FILE_MODE, |metadata| Node::file(metadata, content));
    }

    fn symlink(&mut self, path: impl Into<String>, target: impl AsRef<[u8]>) {
        self.put(path, SYMLINK_MODE, |metadata| {
            Node::symlink(metadata, target.as_ref())
        });
    }

    /// `path -> NAME-N-link -> target`, as `nix-env --set` makes them.
    fn profile(&mut self, path: &str, profile: &Profile) {
        let link = format!("{path}-{}-link", profile.generation);
        let (_, link_name) = link.rsplit_once('/').expect("profiles are in a directory");
        self.symlink(path, link_name);
        self.symlink(link.as_str(), profile.target.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{RootError, tree};
    use crate::tree::{Kind, Name, NodeId};

    const MTIME: Timestamp = Timestamp::from_seconds(7);

    fn store_path(letter: &str) -> StorePath {
        StorePath::from_base_name(&format!("{}-{letter}", letter.repeat(32))).unwrap()
    }

    /// Store paths `a` and `b`, of which `b` is an executable file.
    fn store() -> Vec<(StorePath, Tree)> {
        let directory = Node::directory(Metadata::of_root(0o555, MTIME));
        let program = Node::file(Metadata::of_root(0o555, MTIME), Source::bytes(*b"#!"));
        vec![
            (store_path("a"), Tree::new(directory)),
            (store_path("b"), Tree::new(program)),
        ]
    }

    fn root_of(nixos: &NixosRoot) -> Result<Tree, RootError> {
        tree(Some(nixos), store(), vec![], None, MTIME)
    }

    /// Every node outside the store as `path mode owner target-or-length`.
    fn lines(nixos: &NixosRoot) -> Vec<String> {
        let tree = root_of(nixos).unwrap();
        let mut lines = Vec::new();
        let mut todo: Vec<(String, NodeId)> = vec![(String::new(), Tree::ROOT)];
        while let Some((path, id)) = todo.pop() {
            let node = tree.node(id);
            let metadata = &node.metadata;
            assert_eq!((metadata.uid, metadata.mtime), (0, MTIME), "{path}");
            let content = match &node.kind {
                Kind::Directory(_) => "/".into(),
                Kind::Symlink(target) => format!(" -> {}", String::from_utf8_lossy(target)),
                Kind::File(source) => format!(" {} bytes", source.length),
                other => panic!("{} at {path}", other.name()),
            };
            lines.push(format!("{:o} {path}{content}", metadata.mode));
            if path != "/nix/store" {
                let entry = |(name, id): (&Name, _)| {
                    (
                        format!("{path}/{}", String::from_utf8_lossy(name.as_bytes())),
                        id,
                    )
                };
                todo.extend(tree.entries(id).map(entry));
            }
        }
        lines.sort_by(|a, b| {
            a.split_once(' ')
                .unwrap()
                .1
                .cmp(b.split_once(' ').unwrap().1)
        });
        lines
    }

    /// What a NixOS has beside one that has nothing of its own.
    fn added(nixos: &NixosRoot) -> Vec<String> {
        let bare = lines(&NixosRoot::default());
        let mut lines = lines(nixos);
        for line in &bare {
            assert!(lines.contains(line), "{line}");
        }
        lines.retain(|line| !bare.contains(line));
        lines
    }

    #[test]
    fn every_nixos_has_its_directories_and_the_mark() {
        assert_eq!(
            lines(&NixosRoot::default()),
            [
                "755 /",
                "755 /dev/",
                "755 /etc/",
                "644 /etc/NIXOS 0 bytes",
                "755 /home/",
                "755 /nix/",
                "1775 /nix/store/",
                "755 /nix/var/",
                "755 /nix/var/nix/",
                "755 /nix/var/nix/db/",
                "755 /nix/var/nix/gcroots/",
                "755 /nix/var/nix/gcroots/per-user/",
                "777 /nix/var/nix/gcroots/profiles -> /nix/var/nix/profiles",
                "755 /nix/var/nix/profiles/",
                "755 /nix/var/nix/profiles/per-user/",
                "755 /nix/var/nix/profiles/per-user/root/",
                "755 /nix/var/nix/temproots/",
                "755 /nix/var/nix/userpool/",
                "755 /proc/",
                "700 /root/",
                "755 /run/",
                "755 /sys/",
                "1777 /tmp/",
                "755 /tmp/root/",
                "755 /var/",
                "777 /var/run -> /run",
            ]
        );
    }

    #[test]
    fn a_system_is_the_first_generation_of_its_profile_and_the_current_system() {
        let nixos = NixosRoot {
            system: Some(Profile::first(store_path("a"))),
            ..NixosRoot::default()
        };
        let target = store_path("a");
        assert_eq!(
            added(&nixos),
            [
                "777 /nix/var/nix/profiles/system -> system-1-link".to_owned(),
                format!("777 /nix/var/nix/profiles/system-1-link -> {target}"),
                "777 /run/current-system -> /nix/var/nix/profiles/system".to_owned(),
            ]
        );
    }

    #[test]
    fn a_channel_is_a_generation_of_roots_and_stands_in_a_private_directory() {
        let nixos = NixosRoot {
            channel: Some(Profile {
                target: store_path("a"),
                generation: 12,
            }),
            ..NixosRoot::default()
        };
        let (profile, target) = (
            "/nix/var/nix/profiles/per-user/root/channels",
            store_path("a"),
        );
        assert_eq!(
            added(&nixos),
            [
                format!("777 {profile} -> channels-12-link"),
                format!("777 {profile}-12-link -> {target}"),
                "700 /root/.nix-defexpr/".to_owned(),
                format!("777 /root/.nix-defexpr/channels -> {profile}"),
            ]
        );
    }

    #[test]
    fn a_shell_is_bin_sh() {
        let nixos = NixosRoot {
            shell: Some(store_path("b").to_path()),
            ..NixosRoot::default()
        };
        let link = format!("777 /bin/sh -> {}", store_path("b"));
        assert_eq!(added(&nixos), ["755 /bin/".to_owned(), link]);
    }

    #[test]
    fn a_database_stands_with_the_number_of_its_schema() {
        let nixos = NixosRoot {
            database: Some(Source::bytes(*b"rows")),
            ..NixosRoot::default()
        };
        assert_eq!(
            added(&nixos),
            [
                "644 /nix/var/nix/db/db.sqlite 4 bytes",
                "644 /nix/var/nix/db/schema 2 bytes",
            ]
        );
        let tree = root_of(&nixos).unwrap();
        let path = ["nix", "var", "nix", "db", "schema"];
        let schema = path.iter().fold(Tree::ROOT, |parent, name| {
            tree.lookup(parent, &Name::new(name).unwrap()).unwrap()
        });
        let Kind::File(schema) = &tree.node(schema).kind else {
            panic!("the schema is a file")
        };
        let mut bytes = [0; 2];
        schema.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, *b"10");
    }

    #[test]
    fn system_and_channel_must_be_in_the_closure() {
        let missing = || Some(Profile::first(store_path("c")));
        for (role, nixos) in [
            (
                "system",
                NixosRoot {
                    system: missing(),
                    ..NixosRoot::default()
                },
            ),
            (
                "channel",
                NixosRoot {
                    channel: missing(),
                    ..NixosRoot::default()
                },
            ),
        ] {
            assert_eq!(
                root_of(&nixos).unwrap_err().to_string(),
                format!(
                    "the {role} {} (root.{role}, --{role}) is not in the closure; give a graph or another closure that holds it",
                    store_path("c")
                )
            );
        }
    }

    #[test]
    fn the_shell_must_be_in_the_closure() {
        let nixos = NixosRoot {
            shell: Some(store_path("a").to_path()),
            ..NixosRoot::default()
        };
        let error = root_of(&nixos).unwrap_err();
        let RootError::Nixos(NixosError::Shell(error)) = error else {
            panic!("{error}")
        };
        assert!(matches!(error, ShellError::NotAFile { .. }), "{error}");
    }
}
