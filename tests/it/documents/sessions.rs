//! What a reader of a document types, typed from its first line to its last, and what is shown
//! compared with what is seen.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::markdown::{Block, Document};
use crate::support::command::{describe, output, run};
use crate::support::disk::Loop;
use crate::support::env;
use crate::support::nix::Nix;
use crate::support::offered::{NIXPKGS, Offered};
use crate::support::{built, stand_in};

/// A document whose commands are typed.
pub(super) struct Session {
    pub(super) document: &'static str,
    /// Whether what is seen here is compared with what is shown.
    seen: Seen,
    /// Makes what the document takes for granted.
    stage: fn(&Desk),
    /// What is to be so in the end.
    verify: fn(&Desk),
}

#[derive(PartialEq, Eq)]
enum Seen {
    /// As it is shown, where anything is.
    AsShown,
    /// Of something else than what is shown.
    OfSomethingElse,
}

/// All of them. What is of a NixOS that is not here is not compared.
pub(super) const SESSIONS: &[Session] = &[
    Session::of("docs/start.md"),
    Session::of("docs/sd-card.md"),
    Session {
        stage: |desk| desk.program("aws", AWS),
        verify: the_image_was_registered,
        ..Session::of("docs/ec2.md")
    },
    Session::of("docs/hydra.md"),
    Session {
        stage: |desk| desk.file("flake.nix", FLAKE_WITH_REPORT),
        ..Session::of("docs/report.md")
    },
    Session {
        seen: Seen::OfSomethingElse,
        stage: |desk| {
            let more = r#"{ partitionTableType = "efi"; format = "qcow2"; }"#;
            desk.build(
                &format!("({}) \"systemd-boot\" {more}", stand_in::disk("of", "")),
                "result",
            );
        },
        ..Session::of("docs/inspect.md")
    },
    Session {
        stage: |desk| {
            let image = |free: &str| {
                built::make_ext4_fs(&format!(
                    r#"storePaths = [ ]; volumeLabel = ""; registration = false; freeBytes = {free};"#
                ))
            };
            desk.build(&image("0"), "empty.img");
            desk.build(&image("1073741824"), "IMG");
        },
        ..Session::of("docs/image-format.md")
    },
    Session {
        stage: |desk| {
            let root = built::expression("nix2image.makeRootTar { system = small; }");
            desk.build(&root, "nixos-root.tar");
        },
        verify: |desk| assert!(desk.place("mnt").join("nix/store").is_dir()),
        ..Session::of("docs/make-root-tar.md")
    },
    Session {
        stage: |desk| symlink(env::checkout().join("src"), desk.work().join("src")).unwrap(),
        ..Session::of("docs/architecture.md")
    },
];

impl Session {
    /// One that needs nothing.
    const fn of(document: &'static str) -> Self {
        Self {
            document,
            seen: Seen::AsShown,
            stage: |_| {},
            verify: |_| {},
        }
    }
}

const FLAKE_WITH_REPORT: &str = r#"{
  outputs = { nixpkgs, nix2image, ... }: {
    packages.x86_64-linux.image = nix2image.lib.x86_64-linux.makeExt4Fs {
      storePaths = [ nixpkgs.legacyPackages.x86_64-linux.hello ];
      volumeLabel = "HELLO";
      report = true;
    };
  };
}
"#;

/// Amazon's command line, as far as an image is registered: it answers, and keeps what it is told.
const AWS: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$HOME/aws"
case "$1 $2" in
  "s3 cp") test -s "$3" ;;
  "ec2 import-snapshot") echo import-snap-1 ;;
  "ec2 wait") ;;
  "ec2 describe-import-snapshot-tasks") echo snap-1 ;;
  "ec2 register-image") echo ami-1 ;;
  *) exit 1 ;;
esac
"#;

fn the_image_was_registered(desk: &Desk) {
    let told = fs::read_to_string(desk.place("home").join("aws")).unwrap();
    for words in [
        "Format=VHD,UserBucket={S3Bucket=my-bucket,S3Key=nixos-26.05.test-x86_64-linux}",
        "ec2 wait snapshot-imported --import-task-ids import-snap-1",
        "--architecture x86_64 --boot-mode legacy-bios",
        "DeviceName=/dev/xvda,Ebs={SnapshotId=snap-1,VolumeType=gp3}",
    ] {
        assert!(told.contains(words), "{words:?} is not in\n{told}");
    }
}

/// Where a reader sits: a home, a directory to work in, disks, and programs.
pub(super) struct Desk {
    /// What the documents call a disk, and the one here.
    disks: Vec<(&'static str, Loop)>,
    directory: TempDir,
    offered: Offered,
}

/// Disks of the documents, the longer names first, and their bytes here.
const DISKS: [(&str, u64); 2] = [("/dev/sdX1", 1 << 30), ("/dev/sdX", 4 << 30)];

impl Desk {
    #[track_caller]
    pub(super) fn new() -> Self {
        let mut desk = Self {
            disks: Vec::new(),
            // On a disk, for what is written past the host's cache; outside of the checkout, which
            // Nix would take for the flake.
            directory: tempfile::tempdir_in("/var/tmp").unwrap(),
            offered: Offered::new(),
        };
        for place in ["bin", "home", "mnt", "work"] {
            fs::create_dir(desk.place(place)).unwrap();
        }
        for (name, bytes) in DISKS {
            let file = desk.place(&name.replace('/', "-"));
            File::create(&file).unwrap().set_len(bytes).unwrap();
            desk.disks.push((name, Loop::attach_writable(&file)));
        }
        // No registry but the reader's own; an empty name is an address to the Nix of the machine.
        let registry = r#"{ "flakes": [], "version": 2 }"#;
        fs::write(desk.place("registry.json"), registry).unwrap();
        symlink(env::builder(), desk.place("bin").join("nix2image")).unwrap();
        symlink(desk.offered.repository(), desk.work().join("nix2image")).unwrap();
        desk.program("xdg-open", "#!/bin/sh\ntest -s \"$1\"\n");
        for (name, flake) in [
            ("nixpkgs", desk.offered.nixpkgs()),
            ("nix2image", desk.offered.repository()),
        ] {
            let mut add = desk.command("nix");
            run(add.args(["registry", "add", name, &Offered::address(&flake)]));
        }
        desk
    }

    fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn work(&self) -> PathBuf {
        self.place("work")
    }

    #[track_caller]
    pub(super) fn file(&self, name: &str, text: &str) {
        fs::write(self.work().join(name), self.translated(text)).unwrap();
    }

    /// A program of the reader's.
    #[track_caller]
    fn program(&self, name: &str, script: &str) {
        let path = self.place("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    /// What Nix builds of an expression, as a link to it.
    #[track_caller]
    fn build(&self, expression: &str, link: &str) {
        let built = Nix::Machine.build(&["--expr", expression]);
        symlink(built, self.work().join(link)).unwrap();
    }

    /// A program as the reader runs it.
    pub(super) fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let nix = std::env::var("NIX_CONFIG").unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env("HOME", self.place("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", format!("{}:{path}", self.place("bin").display()))
            .env(
                "NIX_CONFIG",
                format!(
                    "{nix}\nflake-registry = {}\n",
                    self.place("registry.json").display()
                ),
            )
            .env(
                "NIX_PATH",
                format!("nixpkgs={}", self.offered.nixpkgs().display()),
            );
        command
    }

    /// Text of a document, with what there is here for what is elsewhere.
    fn translated(&self, text: &str) -> String {
        let places = [
            (
                "git+file:///home/you/nix2image",
                Offered::address(&self.offered.repository()),
            ),
            (NIXPKGS, Offered::address(&self.offered.nixpkgs())),
            ("/mnt", self.place("mnt").display().to_string()),
        ];
        let disks = self.disks.iter();
        let disks = disks.map(|(there, here)| (*there, here.path().display().to_string()));
        places
            .into_iter()
            .chain(disks)
            .fold(text.to_owned(), |text, (there, here)| {
                text.replace(there, &here)
            })
    }
}

/// A command, and what a document shows of its output.
struct Typed {
    line: usize,
    command: String,
    shown: Vec<String>,
}

impl Typed {
    /// All that is typed because of a block.
    fn of(block: &Block) -> Vec<Self> {
        let typed = |command: String| {
            vec![Self {
                line: block.line,
                command,
                shown: Vec::new(),
            }]
        };
        match (block.file_name(), block.language.as_str()) {
            (Some(name), _) => typed(format!(
                "cat >{name} <<'END OF BLOCK'\n{}END OF BLOCK",
                block.text
            )),
            (None, "bash") => typed(block.text.clone()),
            (None, "console") => Self::of_console(block),
            (None, _) => Vec::new(),
        }
    }

    /// Behind each prompt a command, which goes on behind `> ` and after a backslash; below it what
    /// is shown.
    fn of_console(block: &Block) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (index, text) in block.text.lines().enumerate() {
            let prompt = text.strip_prefix("$ ").or_else(|| text.strip_prefix("# "));
            if let Some(command) = prompt {
                all.push(Self {
                    line: block.line + 1 + index,
                    command: command.to_owned(),
                    shown: Vec::new(),
                });
                continue;
            }
            let last = all.last_mut();
            let last = last.unwrap_or_else(|| panic!("line {}: no prompt", block.line + 1 + index));
            let more = text.strip_prefix("> ");
            if more.is_some() || last.shown.is_empty() && last.command.ends_with('\\') {
                last.command.push('\n');
                last.command.push_str(more.unwrap_or(text));
            } else {
                last.shown.push(text.to_owned());
            }
        }
        all
    }
}

/// Whether text is as it is shown: `…` stands for anything, and by itself for any lines.
fn is_as_shown(shown: &[&str], seen: &[&str]) -> bool {
    match (shown, seen) {
        ([], []) => true,
        (["…", rest @ ..], _) => (0..=seen.len()).any(|from| is_as_shown(rest, &seen[from..])),
        ([first, rest @ ..], [line, lines @ ..]) => {
            let parts: Vec<&str> = first.split('…').collect();
            holds_in_order(&parts, line) && is_as_shown(rest, lines)
        }
        _ => false,
    }
}

/// Whether `line` is made of all parts, with anything between two of them.
fn holds_in_order(parts: &[&str], line: &str) -> bool {
    match parts {
        [whole] => *whole == line,
        [first, rest @ ..] => line.strip_prefix(first).is_some_and(|line| {
            let ends = line
                .char_indices()
                .map(|(index, _)| index)
                .chain([line.len()]);
            ends.into_iter()
                .any(|end| holds_in_order(rest, &line[end..]))
        }),
        [] => line.is_empty(),
    }
}

/// Ends what a command said.
const SEPARATOR: char = '\u{1e}';

/// Types what stands in the document of this name.
#[track_caller]
fn type_all_of(name: &str) {
    let session = SESSIONS
        .iter()
        .find(|session| session.document == name)
        .unwrap();
    let document = Document::read(name);
    let blocks = document
        .blocks
        .iter()
        .filter(|block| !block.is_not_done(&document));
    let typed: Vec<Typed> = blocks.flat_map(Typed::of).collect();
    assert!(!typed.is_empty(), "{name} has no commands");

    let desk = Desk::new();
    (session.stage)(&desk);
    let mut script = String::new();
    for typed in &typed {
        script.push_str(&desk.translated(&typed.command));
        script.push_str("\nprintf '\\036'\n");
    }
    let mut bash = desk.command("bash");
    let output = output(bash.args(["-euo", "pipefail", "-c", &script]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut seen: Vec<&str> = said.split(SEPARATOR).collect();
    seen.pop();
    if let Some(failed) = typed.get(seen.len()) {
        panic!(
            "{name}:{}: {}\n{}",
            failed.line,
            failed.command,
            describe(&bash, &output)
        );
    }
    for (typed, seen) in typed.iter().zip(seen) {
        let shown: Vec<&str> = typed.shown.iter().map(String::as_str).collect();
        let seen: Vec<&str> = seen.lines().collect();
        let is_compared = session.seen == Seen::AsShown && !shown.is_empty();
        assert!(
            !is_compared || is_as_shown(&shown, &seen),
            "{name}:{}: {}: it is\n{}",
            typed.line,
            typed.command,
            seen.join("\n")
        );
    }
    (session.verify)(&desk);
}

#[test]
fn the_commands_of_the_start_are_right() {
    type_all_of("docs/start.md");
}

#[test]
fn the_commands_for_cards_are_right() {
    type_all_of("docs/sd-card.md");
}

#[test]
fn the_commands_for_ec2_are_right() {
    type_all_of("docs/ec2.md");
}

#[test]
fn the_commands_for_hydra_are_right() {
    type_all_of("docs/hydra.md");
}

#[test]
fn the_commands_of_the_other_documents_are_right() {
    let own = ["start", "sd-card", "ec2", "hydra"].map(|name| format!("docs/{name}.md"));
    for session in SESSIONS {
        if !own.iter().any(|name| name == session.document) {
            type_all_of(session.document);
        }
    }
}

#[test]
fn what_is_seen_is_compared_with_what_is_shown() {
    let seen = ["label HELLO", "4096 blocks", "1 free"];
    for shown in [
        &["label …", "4… blocks", "1 free"][..],
        &["label HELLO", "…"],
        &["…", "1 free"],
    ] {
        assert!(is_as_shown(shown, &seen), "{shown:?}");
    }
    for shown in [
        &["label …"][..],
        &["…", "2 free"],
        &["label …O", "4096 block", "…"],
    ] {
        assert!(!is_as_shown(shown, &seen), "{shown:?}");
    }
}
