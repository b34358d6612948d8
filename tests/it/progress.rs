//! What is said while an image is built: to Nix, to a log, and to a person at a terminal.

use std::fs;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::built::{expression, make_ext4_fs};
use crate::support::command::{output, run};
use crate::support::direct::Direct;
use crate::support::env;
use crate::support::forms::Forms;
use crate::support::image::{number, superblock};
use crate::support::nix::Nix;
use crate::support::temporary;

/// `actFileTransfer` and `resProgress` of Nix.
const FILE_TRANSFER: u64 = 101;
const PROGRESS: u64 = 105;

/// A derivation of an image of some store paths that hash as they should.
fn derivation(attributes: Value) -> Direct {
    let top = Nix::Machine.build(&["--expr", &expression("small")]);
    Direct::new(attributes, &Nix::Machine.closure(&[&top]))
}

fn said(command: &mut Command) -> Vec<String> {
    let output = output(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr.lines().map(String::from).collect()
}

/// What Nix is told: the messages of its log protocol among `lines`.
fn messages(lines: &[String]) -> Vec<Value> {
    let messages = lines.iter().filter_map(|line| line.strip_prefix("@nix "));
    messages
        .map(|message| serde_json::from_str(message).unwrap())
        .collect()
}

#[test]
fn nix_is_told_all_bytes_of_a_phase_a_few_times_a_second() {
    let derivation = derivation(json!({ "selfCheck": true }));
    let begin = Instant::now();
    let lines = said(&mut derivation.builder_after(&[]));
    let elapsed = begin.elapsed();
    let messages = messages(&lines);
    let phases: Vec<&str> = messages
        .iter()
        .filter(|message| message["action"] == "setPhase")
        .map(|message| message["phase"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["gathering", "scanning", "writing", "checking"]);
    let of_activity = |id: u64| messages.iter().filter(move |message| message["id"] == id);
    for (id, phase) in [(1, "writing"), (2, "checking")] {
        let actions: Vec<&Value> = of_activity(id).map(|message| &message["action"]).collect();
        let (first, last) = (actions[0], actions[actions.len() - 1]);
        assert!(first == "start" && last == "stop", "{actions:?}");
        let begin = of_activity(id).next().unwrap();
        assert_eq!(begin["type"], FILE_TRANSFER);
        assert_eq!(begin["text"], phase);
        let results: Vec<&Value> = of_activity(id)
            .filter(|message| message["action"] == "result")
            .inspect(|message| assert_eq!(message["type"], PROGRESS))
            .map(|message| &message["fields"])
            .collect();
        let end = results.last().unwrap();
        assert!(end[0].as_u64().unwrap() > 1 << 20, "{end}");
        assert_eq!(end[0], end[1], "all is done in the end");
        let most = elapsed.as_millis() / 250 + 2;
        assert!(results.len() as u128 <= most, "{} results", results.len());
    }
}

#[test]
fn the_summary_says_sizes_what_is_free_what_the_bytes_are_and_what_was_verified() {
    for (attributes, verified) in [
        (json!({}), "nothing (verify = true and selfCheck = true do)"),
        (
            json!({ "verify": true, "selfCheck": true, "ext4": { "freeInodes": 1000 } }),
            "all store paths, while they were copied and in the image",
        ),
    ] {
        let derivation = derivation(attributes);
        let lines = said(&mut derivation.builder_after(&[]));
        let summary: Vec<&String> = lines.iter().filter(|line| !line.starts_with('@')).collect();
        let [sizes, free, bytes, checked] = summary[..] else {
            panic!("{lines:?}")
        };
        let size = fs::metadata(derivation.out()).unwrap().len();
        assert!(sizes.contains(&format!(" files, an image of {size} bytes, in ")));
        assert_eq!(*free, expected_free(&derivation));
        assert!(bytes.contains(" contents, ") && bytes.contains(" metadata"));
        assert_eq!(*checked, format!("nix2image: verified: {verified}"));
    }
}

/// What is free, as e2fsprogs sees it.
fn expected_free(derivation: &Direct) -> String {
    let fields = superblock(&derivation.out());
    let value = |name| number(&fields, name);
    format!(
        "nix2image: free: {} of {} blocks of 4 KiB, {} of {} inodes",
        value("Free blocks"),
        value("Block count"),
        value("Free inodes"),
        value("Inode count")
    )
}

#[test]
fn every_nix_shows_the_bytes_of_a_build() {
    let image = make_ext4_fs(r#"storePaths = [ small ]; volumeLabel = "progress";"#);
    for nix in Nix::all() {
        // What was built before is built once more: else nothing would be shown.
        let mut build = nix.command("nix-build");
        build.args(["--no-out-link", "--check", "--log-format", "internal-json"]);
        nix.build(&["--expr", &image]);
        let lines = said(build.args(["-v", "--expr", &image]));
        let messages = messages(&lines);
        let ids: Vec<&Value> = messages
            .iter()
            .filter(|message| message["action"] == "start" && message["type"] == FILE_TRANSFER)
            .map(|message| &message["id"])
            .collect();
        let shown = messages.iter().any(|message| {
            message["type"] == PROGRESS
                && ids.contains(&&message["id"])
                && message["fields"][0].as_u64() > Some(1 << 20)
        });
        assert!(shown, "{nix:?}: {lines:?}");
    }
}

#[test]
fn where_nix_does_not_listen_phases_are_lines() {
    let derivation = derivation(json!({}));
    let mut builder = derivation.builder_after(&[]);
    let lines = said(builder.env_remove("NIX_BUILD_TOP"));
    assert_eq!(
        lines[..3],
        ["gathering", "scanning", "writing"].map(|phase| format!("nix2image: {phase}"))
    );
    let shares = lines.iter().filter(|line| line.contains(" % of ")).count();
    assert!(shares <= 9, "{lines:?}");
    assert_eq!(lines.len(), 3 + shares + 4);
}

#[test]
fn told_to_be_quiet_it_says_nothing_but_errors() {
    let derivation = derivation(json!({}));
    let lines = said(derivation.builder_after(&[]).arg("--quiet"));
    assert!(lines.is_empty(), "{lines:?}");
    let again = output(derivation.builder_after(&[]).arg("--quiet"));
    let stderr = String::from_utf8(again.stderr).unwrap();
    assert!(stderr.starts_with("nix2image: error: "), "{stderr}");
}

#[test]
fn a_command_shows_a_bar_at_a_terminal_lines_if_asked_and_else_nothing() {
    let top = Nix::Machine.build(&["--expr", &expression("small")]);
    let forms = Forms::of(&top);
    let words = |target: &TempDir| -> Vec<String> {
        let [builder, target, closure] =
            [env::builder(), target.path().to_path_buf(), forms.export()]
                .map(|path| path.into_os_string().into_string().unwrap());
        let words = [builder, "prepare-root".into(), target, "--system".into()];
        let words = words.into_iter();
        words
            .chain([top.clone(), "--closure".into(), closure])
            .collect()
    };

    let target = temporary::directory();
    let shown = at_a_terminal(&words(&target).join(" "));
    assert!(
        shown.contains("copying") && shown.contains("left"),
        "{shown:?}"
    );

    let target = temporary::directory();
    let words_now = words(&target);
    let lines = said(Command::new(&words_now[0]).args(&words_now[1..]));
    assert!(lines.is_empty(), "{lines:?}");

    let target = temporary::directory();
    let words_now = words(&target);
    let mut verbose = Command::new(&words_now[0]);
    let lines = said(verbose.args(&words_now[1..]).arg("--verbose"));
    assert_eq!(lines[0], "nix2image: gathering");
    assert!(lines.contains(&"nix2image: copying".into()), "{lines:?}");
}

#[test]
fn verify_and_inspect_show_a_bar_at_a_terminal_lines_if_asked_and_else_nothing() {
    let derivation = derivation(json!({ "compression": "zstd", "compressionLevel": 1 }));
    run(&mut derivation.builder_after(&[]));
    let (builder, image) = (env::builder(), derivation.out());
    for (command, phases) in [
        ("verify", &["opening", "hashing"][..]),
        ("inspect", &["opening"]),
    ] {
        let shown = at_a_terminal(&format!(
            "{} {command} {}",
            builder.display(),
            image.display()
        ));
        for phase in phases {
            assert!(shown.contains(phase), "{shown:?}");
        }
        let mut quiet = Command::new(&builder);
        let lines = said(quiet.arg(command).arg(&image));
        assert!(lines.is_empty(), "{lines:?}");
        let mut verbose = Command::new(&builder);
        let mut lines = said(verbose.args(["--verbose", command]).arg(&image));
        lines.retain(|line| !line.contains(" % of "));
        let expected: Vec<_> = phases
            .iter()
            .map(|phase| format!("nix2image: {phase}"))
            .collect();
        assert_eq!(lines, expected);
    }
}

/// What a person sees of `command` at a terminal.
#[track_caller]
fn at_a_terminal(command: &str) -> String {
    let mut script = Command::new("script");
    run(script.args(["--quiet", "--return", "--command", command, "/dev/null"]))
}
