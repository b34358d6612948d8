//! A root in a directory: the tree of our image, however often the work was killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::support::built;
use crate::support::command::{run, start};
use crate::support::direct::Direct;
use crate::support::env;
use crate::support::forms::Forms;
use crate::support::mount::Mounted;
use crate::support::nix::Nix;
use crate::support::temporary;
use crate::support::walk::{Entry, Kind, walk};

/// The path whose closure is prepared.
fn top() -> String {
    let small = built::expression("small");
    Nix::Machine.build(&["--expr", &small])
}

/// An export of the closure of `top`, which everybody may read, and its directory.
fn export(top: &str) -> (TempDir, PathBuf) {
    let directory = temporary::directory();
    let path = directory.path().join("x.closure");
    let paths = run(Command::new("nix-store").args(["--query", "--requisites", top]));
    let mut export = Command::new("nix-store");
    export.arg("--export").args(paths.lines());
    export.stdout(File::create(&path).unwrap());
    assert!(start(&mut export).wait().unwrap().success());
    (directory, path)
}

fn prepare_root(mount_point: &Path, system: &str, closure: &Path) -> Command {
    let mut command = Command::new(env::builder());
    command.arg("prepare-root").arg(mount_point);
    command.args(["", system]).arg(closure);
    command
}

/// Everything in a root, but what depends on its filesystem: links of directories.
fn entries(top: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = walk(top);
    for entry in entries.values_mut() {
        if entry.kind == Kind::Directory {
            entry.links = 0;
        }
    }
    entries
}

#[track_caller]
fn assert_same(found: &BTreeMap<PathBuf, Entry>, expected: &BTreeMap<PathBuf, Entry>) {
    for (path, entry) in expected {
        let found = found.get(path);
        assert!(found == Some(entry), "{}: {found:?}", path.display());
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn a_prepared_root_is_the_tree_of_our_image() {
    let top = top();
    let forms = Forms::of(&top);
    let root = json!({ "system": top, "database": true });
    let attributes = json!({ "registration": false, "root": root });
    let derivation = Direct::new(attributes, forms.paths());
    run(&mut derivation.builder_after(&[]));
    let mounted = Mounted::read_only(&derivation.out());
    let mut expected = entries(mounted.root());
    expected.retain(|path, _| !path.starts_with("lost+found"));
    for closure in [
        forms.text_graph(),
        forms.export(),
        forms.compressed_export(),
    ] {
        let target = temporary::directory();
        run(&mut prepare_root(target.path(), &top, &closure));
        assert_same(&entries(target.path()), &expected);
    }
}

#[test]
fn killed_at_any_moment_and_run_again_it_is_what_one_run_makes() {
    let top = top();
    let (_directory, closure) = export(&top);
    let whole = temporary::directory();
    let begin = Instant::now();
    run(&mut prepare_root(whole.path(), &top, &closure));
    let duration = begin.elapsed();
    let expected = entries(whole.path());
    let kills: u32 = if env::is_full() { 200 } else { 20 };
    for kill in 0..kills {
        let target = temporary::directory();
        kill_after(target.path(), &top, &closure, duration * kill / kills);
        // Some are killed again, while they go on.
        if kill % 3 == 0 {
            kill_after(target.path(), &top, &closure, duration * kill / kills / 2);
        }
        run(&mut prepare_root(target.path(), &top, &closure));
        assert_same(&entries(target.path()), &expected);
    }
    let store = whole.path().to_str().unwrap();
    run(Command::new("nix-store").args(["--store", store, "--verify", "--check-contents"]));
}

fn kill_after(target: &Path, top: &str, closure: &Path, delay: Duration) {
    let mut child = start(&mut prepare_root(target, top, closure));
    thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What a derivation makes, in which `nix` prepares a root of the small closure, by the graph
/// that Nix gives a builder without structured attributes.
#[track_caller]
fn prepared_in_a_build(nix: Nix) -> PathBuf {
    let expression = built::expression(&format!(
        r#"
        let shell = "${{builtins.path {{ name = "busybox-static"; path = {busybox}; }}}}/busybox"; in
        derivation {{
            name = "prepared";
            system = builtins.currentSystem;
            builder = shell;
            exportReferencesGraph = [ "graph" small ];
            inherit shell small;
            nix2image = "${{builtins.path {{ name = "nix2image"; path = {builder}; }}}}";
            args = [ "sh" "-euc" ''
                $shell mkdir root $out
                $nix2image prepare-root root "" $small graph
                cd root
                $shell find . -exec $shell stat -c '%n %a %Y' {{}} + | $shell sort > $out/entries
                $shell cp nix/var/nix/db/db.sqlite $out/
            '' ];
        }}"#,
        busybox = built::path(&env::small_closure().join("bin")),
        builder = built::path(&env::builder()),
    ));
    nix.seen_from_outside(&nix.build(&["--expr", &expression]))
}

#[test]
fn it_works_in_a_build_of_every_nix() {
    let top = top();
    let target = temporary::directory();
    let (_directory, closure) = export(&top);
    run(&mut prepare_root(target.path(), &top, &closure));
    let mut expected: Vec<_> = entries(target.path())
        .into_iter()
        .map(|(path, entry)| {
            let path = Path::new(".").join(path);
            let path = path.to_str().unwrap().trim_end_matches('/').to_owned();
            format!("{path} {:o} {}", entry.mode, entry.mtime)
        })
        .collect();
    expected.sort();
    let database = fs::read(target.path().join("nix/var/nix/db/db.sqlite")).unwrap();
    for nix in Nix::all() {
        let prepared = prepared_in_a_build(nix);
        let found = fs::read_to_string(prepared.join("entries")).unwrap();
        let mut found: Vec<_> = found.lines().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{nix:?}");
        assert!(
            fs::read(prepared.join("db.sqlite")).unwrap() == database,
            "{nix:?}"
        );
    }
}

#[test]
fn it_needs_no_root_powers() {
    let top = top();
    let (directory, closure) = export(&top);
    let target = directory.path().join("root");
    fs::create_dir(&target).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(directory.path(), everybody).unwrap();
    std::os::unix::fs::chown(&target, Some(65534), Some(65534)).unwrap();
    let prepare = prepare_root(&target, &top, &closure);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(prepare.get_program()).args(prepare.get_args());
    run(&mut command);
    run(&mut command);
    for (path, entry) in entries(&target) {
        assert_eq!((entry.uid, entry.gid), (65534, 65534), "{}", path.display());
    }
    let store = target.to_str().unwrap();
    run(Command::new("nix-store").args(["--store", store, "--verify", "--check-contents"]));
}
