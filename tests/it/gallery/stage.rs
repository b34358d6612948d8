//! Where a case of the gallery plays: a directory that the program sees at fixed places.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::shown::nix;
use crate::support::command::{describe, output};
use crate::support::temporary;

/// The host of one case. The program sees it as `/mnt`, and what is in `store` as `/nix/store`,
/// so that messages are the same wherever the directory is.
pub(super) struct Stage {
    directory: TempDir,
    /// Shell commands in the program's mount namespace, before it.
    prelude: RefCell<String>,
    /// What the program is started by.
    before: RefCell<Vec<String>>,
    /// What the user wrote, for the document.
    shown: RefCell<String>,
}

/// What the program said, and how it ended.
pub(super) struct Said {
    /// What the user wrote.
    pub(super) shown: String,
    /// The message without `nix2image: error: `.
    pub(super) message: String,
    pub(super) exit_code: i32,
}

impl Stage {
    /// The output of the derivation.
    pub(super) const OUT: &str = "/nix/store/ffffffffffffffffffffffffffffffff-image";

    /// What stands there before it, in a case that needs that.
    pub(super) const MINE: &[u8] = b"mine";

    #[track_caller]
    pub(super) fn new() -> Self {
        let directory = temporary::directory();
        for name in ["store", "build"] {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            directory,
            prelude: RefCell::default(),
            before: RefCell::default(),
            shown: RefCell::default(),
        }
    }

    /// The store path of this name.
    pub(super) fn path(name: &str) -> String {
        format!("/nix/store/00000000000000000000000000000000-{name}")
    }

    /// Where we see what the program sees at `path`.
    pub(super) fn seen(&self, path: &str) -> PathBuf {
        let below = match path.strip_prefix("/nix/store/") {
            Some(below) => format!("store/{below}"),
            None => path.trim_start_matches("/mnt/").to_owned(),
        };
        self.directory.path().join(below)
    }

    /// Puts a file into the store path of the name that `path` begins with, or as it; gives its
    /// path.
    #[track_caller]
    pub(super) fn put(&self, path: &str, content: impl AsRef<[u8]>) -> String {
        self.write(&Self::path(path), content)
    }

    /// Puts a file where the program sees it at `path`, with its directories.
    #[track_caller]
    pub(super) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> String {
        let at = self.seen(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, content).unwrap();
        path.to_owned()
    }

    /// A directory at `path`.
    #[track_caller]
    pub(super) fn directory(&self, path: &str) -> String {
        fs::create_dir_all(self.seen(path)).unwrap();
        path.to_owned()
    }

    /// A symlink at `path`.
    #[track_caller]
    pub(super) fn link(&self, path: &str, target: &str) -> String {
        let at = self.seen(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, at).unwrap();
        path.to_owned()
    }

    /// Lets the shell run `command` before the program, which sees what that mounts.
    pub(super) fn first(&self, command: &str) -> &Self {
        let mut prelude = self.prelude.borrow_mut();
        prelude.push_str(command);
        prelude.push_str("; ");
        drop(prelude);
        self
    }

    /// Starts the program by the command `before`.
    pub(super) fn under(&self, before: &[&str]) -> &Self {
        self.before
            .borrow_mut()
            .extend(before.iter().map(|word| (*word).to_owned()));
        self
    }

    /// The builder of an image with these attributes.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "attributes read best where they are given"
    )]
    pub(super) fn image(&self, image: Value) -> Command {
        self.shown.replace(nix(&image));
        self.builder(json!({ "nix2image": image }))
    }

    /// The same with a closure: a graph, as Nix writes it.
    #[track_caller]
    pub(super) fn image_of(&self, graph: &Value, mut image: Value) -> Command {
        self.shown.replace(nix(&image));
        image["graphs"] = json!(["closure"]);
        self.builder(json!({
            "exportReferencesGraph": { "closure": [] },
            "closure": graph,
            "nix2image": image,
        }))
    }

    /// The builder of a derivation with these attributes.
    #[track_caller]
    pub(super) fn derivation(&self, attributes: Value) -> Command {
        self.shown.replace(nix(&attributes));
        self.builder(attributes)
    }

    fn builder(&self, mut attributes: Value) -> Command {
        if let Some(image) = attributes
            .get_mut("nix2image")
            .and_then(Value::as_object_mut)
        {
            image.entry("version").or_insert(json!(1));
        }
        if let Some(attributes) = attributes.as_object_mut() {
            let mut outputs = json!({ "out": Self::OUT });
            if attributes
                .get("nix2image")
                .is_some_and(|image| image["report"] == "here")
            {
                outputs["report"] = json!(format!("{}-report", Self::OUT));
                attributes["nix2image"]["report"] = json!(true);
            }
            attributes.entry("outputs").or_insert(outputs);
        }
        self.builder_of_text(attributes.to_string().as_bytes())
    }

    /// The builder with this text for its attributes.
    #[track_caller]
    pub(super) fn builder_of_text(&self, text: &[u8]) -> Command {
        self.write("/mnt/build/.attrs.json", text);
        let mut command = self.program(&[]);
        command
            .env("NIX_ATTRS_JSON_FILE", "/mnt/build/.attrs.json")
            .env("NIX_BUILD_TOP", "/mnt/build")
            .env("NIX_BUILD_CORES", "2");
        command
    }

    /// The program with the arguments `line`, between spaces.
    #[track_caller]
    pub(super) fn run(&self, line: &str) -> Command {
        self.shown.replace(format!("nix2image {line}"));
        self.program(&line.split(' ').collect::<Vec<_>>())
    }

    /// Says what the user wrote, where that is not the attributes or arguments.
    pub(super) fn show(&self, shown: &str) -> &Self {
        self.shown.replace(shown.into());
        self
    }

    /// The program with these arguments, and nothing in its environment but `PATH`.
    pub(super) fn program(&self, arguments: &[&str]) -> Command {
        let script = format!(
            "mount --bind \"$0/store\" /nix/store; mount --bind \"$0\" /mnt; \
             cd /mnt; {} exec \"$@\"",
            self.prelude.borrow()
        );
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-euc"])
            .arg(script)
            .arg(self.directory.path())
            .args(self.before.borrow().iter())
            .arg(env!("CARGO_BIN_EXE_nix2image"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs `command` to its failure.
    #[track_caller]
    pub(super) fn say(&self, mut command: Command) -> Said {
        const ERROR: &str = "nix2image: error: ";
        let output = output(&mut command);
        let told = || describe(&command, &output);
        let stderr = String::from_utf8(output.stderr.clone()).unwrap();
        let errors: Vec<_> = stderr
            .lines()
            .filter_map(|line| line.strip_prefix(ERROR))
            .collect();
        let message = match errors[..] {
            [message] => {
                assert!(stderr.ends_with(&format!("{message}\n")), "{}", told());
                message.to_owned()
            }
            // The findings of `verify`; or of the command line, in the words of clap.
            [] if stderr.is_empty() => String::from_utf8_lossy(&output.stdout).into_owned(),
            [] => stderr.trim_end().to_owned(),
            _ => panic!("{}", told()),
        };
        let Some(exit_code @ (1 | 2)) = output.status.code() else {
            panic!("{}", told())
        };
        let out = fs::read(self.seen(Self::OUT));
        assert!(
            out.is_err() || out.is_ok_and(|there| there == Self::MINE),
            "it left an output: {}",
            told()
        );
        Said {
            shown: self.shown.borrow().clone(),
            message: without_chance(&message),
            exit_code,
        }
    }
}

/// What stands between two texts of a message and is another in each run, and the word for it:
/// the time, a temporary name, and where a compressed image was when the disk was full.
const CHANCES: [(&str, &str, &str); 6] = [
    ("expected at most ", ", the time now", "NOW"),
    ("/nix/store/.tmp", "\"", "XXXXXX"),
    ("/does/not/exist/.tmp", "\"", "XXXXXX"),
    ("/tmp/.tmp", "/", "XXXXXX"),
    ("mostly fewer, and was refused at its byte ", ";", "N"),
    ("cannot write the image at byte ", ":", "N"),
];

/// `message` without what is another in each run.
fn without_chance(message: &str) -> String {
    let without = |message: &str, (before, behind, word): (&str, &str, &str)| {
        let (start, rest) = message.split_once(before)?;
        let (_, end) = rest.split_once(behind)?;
        Some(format!("{start}{before}{word}{behind}{end}"))
    };
    CHANCES
        .into_iter()
        .fold(message.to_owned(), |message, chance| {
            without(&message, chance).unwrap_or(message)
        })
}
