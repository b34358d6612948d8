//! What cannot be an image: the message names it, and nothing is at `$out`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::support::built::{build, expression, make_ext4_fs};
use crate::support::command::{describe, output, run, run_to_failure};
use crate::support::direct::{Direct, FakeStore};
use crate::support::nix::Nix;

/// Builds under `nix` to a failure; gives what the user saw.
#[track_caller]
fn refused_by(nix: Nix, expression: &str) -> String {
    let mut command = nix.command("nix-build");
    let stderr = run_to_failure(command.args(["--no-out-link", "--expr", expression]));
    for path in nix.outputs(expression) {
        assert!(!nix.seen_from_outside(&path).exists(), "{path} is there");
    }
    stderr
}

/// That `builder` fails with `code` and one line, `message`, and leaves nothing.
#[track_caller]
fn refuses(direct: &Direct, mut builder: Command, code: i32, message: &str) {
    let output = output(&mut builder);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("@nix "))
        .collect();
    assert_eq!(lines, [format!("nix2image: error: {message}")]);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}",
        describe(&builder, &output)
    );
    assert!(direct.left_nothing());
}

#[test]
fn a_directory_that_may_not_be_entered_is_named_with_the_remedy() {
    let locked = r#"derivation {
      name = "locked";
      system = builtins.currentSystem;
      inherit (hostile) builder;
      args = [ "sh" "-euc" "$builder mkdir -p $out/inner/closed; : >$out/inner/closed/file;
        $builder chmod 644 $out/inner/closed" ];
    }"#;
    for nix in Nix::all() {
        let path = nix.build(&["--expr", &expression(locked)]);
        let image = make_ext4_fs(&format!(
            r#"storePaths = [ ({locked}) ]; volumeLabel = "label";"#
        ));
        let closed = nix.seen_from_outside(&path).join("inner/closed");
        if fs::metadata(closed).unwrap().permissions().mode() & 0o100 != 0 {
            // The newest Nix opens such a directory when it takes it into the store.
            assert_eq!(nix, Nix::Forky);
            build(nix, &image);
            continue;
        }
        let expected = format!("the builder may not read {path}/inner/closed");
        let message = refused_by(nix, &image);
        assert!(message.contains(&expected), "{message}");
        assert!(message.contains("chmod -R u+X $out"), "{message}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let twice = r#"{ source = hostile.file; target = "/etc/a"; }
                   { source = hostile.program; target = "/etc/a"; }"#;
    let inside = r#"{ source = hostile.file; target = "${hostile}/empty/b"; }"#;
    let above = r#"{ source = hostile.file; target = "/etc/../b"; }"#;
    let no_mode = r#"{ source = hostile.file; target = "/b"; mode = "0888"; }"#;
    let not_tar = r#"{ source = hostile.file; target = "/b"; unpack = true; }"#;
    for (contents, expected) in [
        (twice, "two things would stand at /etc/a: "),
        (inside, "would stand at or in /nix/store/"),
        (above, "nix2image.contents[0].target"),
        (no_mode, "nix2image.contents[0].mode"),
        (not_tar, "nix2image.contents[0].source cannot be unpacked: "),
    ] {
        let image = make_ext4_fs(&format!(
            r#"storePaths = [ hostile ]; volumeLabel = "label"; contents = [ {contents} ];"#
        ));
        for nix in Nix::all() {
            let message = refused_by(nix, &image);
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[test]
fn a_wrong_argument_is_named_by_the_builder() {
    for (arguments, expected) in [
        (
            r#"volumeLabel = "a label too long..";"#,
            "nix2image.ext4.label: ",
        ),
        (
            r#"volumeLabel = ""; uuid = "none";"#,
            "nix2image.ext4.uuid: ",
        ),
        (
            r#"volumeLabel = ""; time = 4294967295;"#,
            "nix2image.time: ",
        ),
        (
            r#"volumeLabel = ""; output = "disk";"#,
            "nix2image.output: ",
        ),
        (
            r#"volumeLabel = ""; compressImage = true; compressionLevel = 20;"#,
            "nix2image.compressionLevel: ",
        ),
    ] {
        let image = make_ext4_fs(&format!("storePaths = [ ]; {arguments}"));
        let message = refused_by(Nix::Machine, &image);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_closure_that_lacks_a_path_is_refused_with_both_names() {
    let root = Nix::Machine.build(&["--expr", &expression("hostile")]);
    let mut closure = Nix::Machine.closure(&[&root]);
    let missing = closure
        .iter()
        .position(|info| info.path.ends_with("-file"))
        .unwrap();
    let missing = closure.remove(missing).path;
    let referrer = closure
        .iter()
        .filter(|info| info.references.contains(&missing))
        .map(|info| info.path.as_str())
        .min()
        .unwrap();
    let direct = Direct::new(json!({}), &closure);
    let builder = direct.builder_after(&[]);
    refuses(
        &direct,
        builder,
        2,
        &format!(
            "{referrer} refers to {missing}, says the graph \"closure\"; no graph, export or \
             binary cache that was given has it, so give one that leads to it"
        ),
    );
}

#[test]
fn what_a_nar_cannot_hold_is_named_with_its_type() {
    let make = |path: &Path, kind| match kind {
        "a socket" => drop(UnixListener::bind(path).unwrap()),
        "a FIFO" => drop(run(Command::new("mkfifo").arg(path))),
        _ => drop(run(Command::new("mknod").arg(path).args(["c", "1", "3"]))),
    };
    for kind in ["a FIFO", "a character device", "a socket"] {
        let fake = FakeStore::new();
        fs::create_dir(fake.path().join("inner")).unwrap();
        make(&fake.path().join("inner/special"), kind);
        let complaint = format!(
            "{}/inner/special is {kind}, which a NAR cannot hold; \
             remove it in the derivation that makes it",
            FakeStore::store_path()
        );

        let in_closure = Direct::new(json!({}), &[FakeStore::info()]);
        let builder = in_closure.builder_with_store(fake.store());
        refuses(&in_closure, builder, 1, &complaint);

        let item = json!({ "source": FakeStore::store_path(), "target": "/a" });
        let in_contents = Direct::new(json!({ "contents": [item] }), &[]);
        let builder = in_contents.builder_with_store(fake.store());
        let complaint = format!("nix2image.contents[0].source cannot be taken: {complaint}");
        refuses(&in_contents, builder, 1, &complaint);
    }
}

/// Without its x bit, without its r bit, without either.
#[test]
fn a_directory_that_the_builder_may_not_list_or_enter_is_named() {
    for (mode, named) in [(0o444, "inner/file"), (0o111, "inner"), (0o000, "inner")] {
        let fake = FakeStore::new();
        let inner = fake.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("file"), "secret").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();

        let direct = Direct::new(json!({}), &[FakeStore::info()]);
        let builder = direct.unprivileged_builder_with_store(fake.store());
        let message = format!(
            "the builder may not read {}/{named} or enter its directory; Nix keeps a directory \
             without its x bit as 0444, so set that bit in the derivation that makes it, \
             as `chmod -R u+X $out` does",
            FakeStore::store_path()
        );
        refuses(&direct, builder, 1, &message);
    }
}

#[test]
fn a_file_that_the_builder_may_not_read_is_named() {
    let fake = FakeStore::new();
    let secret = fs::Permissions::from_mode(0o000);
    fs::set_permissions(fake.path().join("file"), secret).unwrap();
    let direct = Direct::new(json!({}), &[FakeStore::info()]);
    let builder = direct.unprivileged_builder_with_store(fake.store());
    let message = format!(
        "cannot read {}/file: Permission denied (os error 13)",
        FakeStore::store_path()
    );
    refuses(&direct, builder, 1, &message);
}

#[test]
fn the_self_check_names_a_store_path_that_is_not_what_nix_knows() {
    let fake = FakeStore::new();
    let direct = Direct::new(json!({ "selfCheck": true }), &[FakeStore::info()]);
    let mut builder = direct.builder_with_store(fake.store());
    let output = output(&mut builder);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&FakeStore::store_path()), "{message}");
    assert!(direct.left_nothing());
}
