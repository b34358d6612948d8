//! A root in a directory, as root and as anybody else: owners are looked at only where they
//! can be set.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::job::Job;
use crate::progress::Listener;
use crate::source::Source;
use crate::store::nar::Writer;
use crate::store::{Database, encode_database};
use crate::tree::{Kind, Metadata, NodeId, Tree};

const TIME: Timestamp = Timestamp::from_seconds(1);

fn store_path(letter: char) -> StorePath {
    StorePath::from_base_name(&format!("{}-{letter}", letter.to_string().repeat(32))).unwrap()
}

/// A string or a number of an export.
fn put_string(export: &mut Vec<u8>, string: &[u8]) {
    export.extend((string.len() as u64).to_le_bytes());
    export.extend(string);
    export.resize(export.len().next_multiple_of(8), 0);
}

/// The NAR of a directory with an executable `sh`, a text and a symlink.
fn nar(text: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.begin_directory().unwrap();
    writer.entry(b"dir").unwrap();
    writer.begin_directory().unwrap();
    writer.entry(b"text").unwrap();
    writer
        .file(false, text.len() as u64, text.as_bytes())
        .unwrap();
    writer.end_directory().unwrap();
    writer.entry(b"link").unwrap();
    writer.symlink(b"dir/text").unwrap();
    writer.entry(b"sh").unwrap();
    writer.file(true, 2, &b"#!"[..]).unwrap();
    writer.end_directory().unwrap();
    writer.finish()
}

/// An export of store paths, each with the letters of what it refers to.
fn export(paths: &[(char, &str)]) -> Vec<u8> {
    let mut export = Vec::new();
    for (letter, references) in paths {
        export.extend(1_u64.to_le_bytes());
        export.extend(nar(&letter.to_string().repeat(5000)));
        export.extend(0x4558_494e_u64.to_le_bytes());
        put_string(&mut export, store_path(*letter).to_string().as_bytes());
        export.extend((references.len() as u64).to_le_bytes());
        for reference in references.chars() {
            let path = store_path(reference).to_string();
            put_string(&mut export, path.as_bytes());
        }
        put_string(&mut export, b"");
        export.extend(0_u64.to_le_bytes());
    }
    export.extend(0_u64.to_le_bytes());
    export
}

/// A directory with a mount point, `root`, and an export.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new(paths: &[(char, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        let bench = Self { directory };
        bench.export(paths);
        bench
    }

    fn export(&self, paths: &[(char, &str)]) {
        fs::write(self.directory.path().join("x.closure"), export(paths)).unwrap();
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn request(&self) -> PrepareRoot {
        PrepareRoot {
            mount_point: self.root(),
            system: Some(store_path('a')),
            channel: Some(store_path('b')),
            shell: Some(store_path('b').to_path().join("sh")),
            closures: vec![Form::Export(self.directory.path().join("x.closure"))],
            time: TIME,
        }
    }

    fn prepare(&self) -> Result<(), PrepareRootError> {
        self.prepare_with(|_| ())
    }

    fn prepare_with(&self, change: impl FnOnce(&mut PrepareRoot)) -> Result<(), PrepareRootError> {
        let mut request = self.request();
        change(&mut request);
        prepare_root(request, &Job::default(), &silent())
    }

    /// The tree of an image of the same.
    fn image(&self) -> Tree {
        let request = self.request();
        let closure = store::gather(request.closures, TIME, Job::default().stop_flag()).unwrap();
        let mut scanned = store::scan_closure(&closure, TIME, &AtomicBool::new(false)).unwrap();
        let watch = NarWatch::new(&closure, &mut scanned, false);
        for (_, tree) in &scanned {
            show(tree, Tree::ROOT, &watch);
        }
        let valid = watch.finish(&closure).unwrap();
        let database = encode_database(valid.iter(), TIME.seconds).unwrap();
        let nixos = NixosRoot {
            system: request.system.map(root::Profile::first),
            channel: request.channel.map(root::Profile::first),
            shell: request.shell,
            database: Some(Source::bytes(database)),
        };
        root::tree(Some(&nixos), scanned, Vec::new(), None, TIME).unwrap()
    }

    fn valid_paths(&self) -> Vec<StorePath> {
        let database = Database::open_or_create(&self.path("nix/var/nix/db")).unwrap();
        database.valid_paths().unwrap().into_keys().collect()
    }
}

/// Shows all contents of a tree.
fn show(tree: &Tree, id: NodeId, watch: &dyn crate::source::Watch) {
    if let Kind::File(source) = &tree.node(id).kind {
        watch.see(source.mark.unwrap(), 0, &content(source));
    }
    for (_, id) in tree.entries(id) {
        show(tree, id, watch);
    }
}

fn content(source: &Source) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
    source.read_at(0, &mut bytes).unwrap();
    bytes
}

/// A node as a line: everything that is seen of it.
type Line = (PathBuf, String);

fn line(path: &Path, metadata: &Metadata, kind: &str, content: &[u8]) -> Line {
    let Metadata {
        mut mode,
        uid,
        gid,
        mtime,
        ..
    } = *metadata;
    if kind == "a symlink" {
        mode = 0o777;
    }
    let owner = match Ownership::of_this_process() {
        Ownership::Set => format!("{uid}:{gid}"),
        Ownership::Keep => String::new(),
    };
    let seconds = (mtime.seconds, mtime.nanoseconds);
    let text = format!("{kind} {mode:o} {owner} {seconds:?} {content:?}");
    (path.into(), text)
}

fn lines_of_tree(tree: &Tree) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut todo = vec![(PathBuf::new(), Tree::ROOT)];
    while let Some((path, id)) = todo.pop() {
        let node = tree.node(id);
        let content = match &node.kind {
            Kind::File(source) => content(source),
            Kind::Symlink(target) => target.to_vec(),
            _ => Vec::new(),
        };
        lines.push(line(&path, &node.metadata, node.kind.name(), &content));
        todo.extend(tree.entries(id).map(|(name, id)| {
            let name = std::ffi::OsStr::from_bytes(name.as_bytes());
            (path.join(name), id)
        }));
    }
    lines.sort();
    lines
}

fn lines_of_directory(top: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let full = top.join(&path);
        let stat = full.symlink_metadata().unwrap();
        let metadata = Metadata {
            mode: (stat.mode() & 0o7777).try_into().unwrap(),
            uid: stat.uid(),
            gid: stat.gid(),
            mtime: Timestamp {
                seconds: stat.mtime(),
                nanoseconds: stat.mtime_nsec().try_into().unwrap(),
            },
            xattrs: None,
        };
        let (kind, content) = if stat.is_dir() {
            for entry in fs::read_dir(&full).unwrap() {
                todo.push(path.join(entry.unwrap().file_name()));
            }
            ("a directory", Vec::new())
        } else if stat.is_symlink() {
            let target = fs::read_link(&full).unwrap();
            ("a symlink", target.as_os_str().as_bytes().to_vec())
        } else {
            ("a file", fs::read(&full).unwrap())
        };
        lines.push(line(&path, &metadata, kind, &content));
    }
    lines.sort();
    lines
}

#[track_caller]
fn assert_same(found: &[Line], expected: &[Line]) {
    for line in found {
        assert!(expected.contains(line), "{line:?} is too much");
    }
    for line in expected {
        assert!(found.contains(line), "{line:?} is missing");
    }
}

/// Two paths, of which the one refers to the other and to itself.
const PATHS: &[(char, &str)] = &[('a', "ab"), ('b', "")];

fn bytes_of_files(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let bytes = entries.map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_of_files(&entry.path()),
        metadata if metadata.is_file() => metadata.len(),
        _ => 0,
    });
    bytes.sum()
}

fn silent() -> Progress {
    Progress::new(Listener::Nobody, &Job::default())
}

#[test]
fn a_prepared_root_is_the_tree_of_an_image() {
    let bench = Bench::new(PATHS);
    bench.prepare().unwrap();
    let expected = lines_of_tree(&bench.image());
    assert!(expected.len() > 35);
    assert_same(&lines_of_directory(&bench.root()), &expected);
}

#[test]
fn what_was_there_before_the_first_run_is_kept_and_described() {
    let bench = Bench::new(PATHS);
    fs::create_dir_all(bench.path("etc/nixos")).unwrap();
    fs::write(bench.path("etc/nixos/configuration.nix"), "{}").unwrap();
    fs::create_dir_all(bench.path("nix/store/.links")).unwrap();
    fs::set_permissions(bench.path("etc"), Permissions::from_mode(0o777)).unwrap();
    bench.prepare().unwrap();
    fs::remove_dir_all(bench.path("nix/store/.links")).unwrap();
    fs::remove_dir_all(bench.path("etc/nixos")).unwrap();
    let found = lines_of_directory(&bench.root());
    let expected = lines_of_tree(&bench.image());
    let modes = |lines: &[Line]| -> Vec<_> {
        let words = |line: &Line| line.1.split_once('(').unwrap().0.to_owned();
        lines.iter().map(words).collect()
    };
    assert_eq!(modes(&found), modes(&expected));
}

#[test]
fn a_second_run_writes_nothing_anew() {
    let bench = Bench::new(PATHS);
    bench.prepare().unwrap();
    let inodes = || -> Vec<u64> {
        lines_of_directory(&bench.root())
            .iter()
            .map(|(path, _)| bench.root().join(path).symlink_metadata().unwrap().ino())
            .collect()
    };
    let before = (inodes(), lines_of_directory(&bench.root()));
    bench.prepare().unwrap();
    assert_eq!((inodes(), lines_of_directory(&bench.root())), before);
}

#[test]
fn what_a_killed_run_left_is_made_whole() {
    let bench = Bench::new(PATHS);
    bench.prepare().unwrap();
    // As it is while the first run is at work: one path without a row, half of it written.
    let database = bench.path("nix/var/nix/db/db.sqlite");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute_batch("delete from Refs; delete from ValidPaths where path like '%-a'")
        .unwrap();
    drop(connection);
    let a = bench.path(&format!("nix/store/{}", store_path('a').base_name()));
    fs::set_permissions(&a, Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(a.join("sh")).unwrap();
    fs::create_dir(a.join("more")).unwrap();
    fs::set_permissions(a.join("more"), Permissions::from_mode(0o555)).unwrap();
    fs::remove_file(bench.path("etc/NIXOS")).unwrap();
    fs::remove_file(bench.path("nix/var/nix/profiles/system")).unwrap();
    for directory in ["", "etc", "nix/var/nix/profiles", "nix/var/nix/db"] {
        let left = bench.path(directory).join(".nix2image.new");
        fs::write(left, "half").unwrap();
    }
    fs::create_dir(bench.path("run/.nix2image.new")).unwrap();

    bench.prepare().unwrap();
    assert_same(
        &lines_of_directory(&bench.root()),
        &lines_of_tree(&bench.image()),
    );
}

#[test]
fn a_run_that_was_killed_at_its_mark_is_not_finished() {
    let bench = Bench::new(PATHS);
    bench.prepare().unwrap();
    fs::set_permissions(bench.path("etc/NIXOS"), Permissions::from_mode(0o0)).unwrap();
    fs::write(bench.path("etc/x"), "").unwrap();
    fs::remove_file(bench.path("etc/x")).unwrap();
    bench.prepare().unwrap();
    assert_same(
        &lines_of_directory(&bench.root()),
        &lines_of_tree(&bench.image()),
    );
}

#[test]
fn an_interrupted_run_has_no_mark_and_the_next_one_goes_on() {
    let bench = Bench::new(PATHS);
    let job = Job::default();
    let before = Job::default();
    before.stop();
    let error = prepare_root(bench.request(), &before, &silent()).unwrap_err();
    assert!(matches!(error, PrepareRootError::Interrupted(_)), "{error}");
    assert!(!bench.path("etc").exists());
    prepare_root(bench.request(), &job, &silent()).unwrap();
    let bytes = bytes_of_files(&bench.path("nix/store"));
    assert!(
        bytes > 0 && job.done() == bytes,
        "{} of {bytes}",
        job.done()
    );
    assert_same(
        &lines_of_directory(&bench.root()),
        &lines_of_tree(&bench.image()),
    );
}

#[test]
fn another_system_is_the_next_generation_and_the_database_gains_it() {
    let bench = Bench::new(PATHS);
    bench.prepare().unwrap();
    let home = bench.path("home");
    fs::set_permissions(&home, Permissions::from_mode(0o711)).unwrap();
    let state = bench.path("nix/var/nix/gcroots");
    fs::set_permissions(state, Permissions::from_mode(0o777)).unwrap();
    bench.export(&[('c', "b"), ('b', "")]);
    let other = |request: &mut PrepareRoot| request.system = Some(store_path('c'));
    bench.prepare_with(other).unwrap();
    bench.prepare_with(other).unwrap();

    let profiles = bench.path("nix/var/nix/profiles");
    let link = |name: &str| fs::read_link(profiles.join(name)).unwrap();
    assert_eq!(link("system"), Path::new("system-2-link"));
    assert_eq!(link("system-1-link"), store_path('a').to_path());
    assert_eq!(link("system-2-link"), store_path('c').to_path());
    assert_eq!(link("per-user/root/channels"), Path::new("channels-1-link"));
    assert_eq!(bench.valid_paths(), ['a', 'b', 'c'].map(store_path));
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode(&home), 0o711);
    assert_eq!(mode(&bench.path("nix/var/nix/gcroots")), 0o755);
    assert_eq!(mode(&bench.path("etc/NIXOS")), 0o644);

    bench.export(PATHS);
    bench.prepare().unwrap();
    assert_eq!(link("system"), Path::new("system-3-link"));
    assert!(
        bench
            .path("nix/store")
            .join(store_path('c').base_name())
            .exists()
    );
}

#[test]
fn nix_finds_every_path_as_it_was_registered() {
    let bench = Bench::new(PATHS);
    bench.prepare().unwrap();
    let nix_store = |arguments: &[&str]| {
        let mut command = Command::new("nix-store");
        command.args(["--store", bench.root().to_str().unwrap()]);
        let output = command.args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        assert!(!errors.contains("error"), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    nix_store(&["--verify", "--check-contents"]);
    let a = store_path('a').to_string();
    let references = nix_store(&["-q", "--references", &a]);
    let mut references: Vec<_> = references.lines().collect();
    references.sort_unstable();
    assert_eq!(references, [&a, &store_path('b').to_string()]);
    nix_store(&["--gc"]);
    assert_eq!(bench.valid_paths(), ['a', 'b'].map(store_path));
}

#[test]
fn a_symlink_in_the_target_is_never_followed() {
    let bench = Bench::new(PATHS);
    let outside = bench.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bench.path("etc")).unwrap();
    let error = bench.prepare().unwrap_err();
    let path = bench.path("etc");
    assert_eq!(
        error.to_string(),
        format!(
            "{} is a symlink, and a directory belongs there; move it away",
            path.display()
        )
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(bench.path("nix/var/nix/db")).unwrap();
    symlink(outside.join("db"), bench.path("nix/var/nix/db/db.sqlite")).unwrap();
    let error = bench.prepare().unwrap_err();
    assert!(
        error.to_string().contains("db.sqlite is a symlink"),
        "{error}"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn the_mount_point_must_be_a_directory() {
    let bench = Bench::new(PATHS);
    for path in ["nothing", "x.closure"] {
        let error = bench
            .prepare_with(|request| request.mount_point = bench.directory.path().join(path))
            .unwrap_err();
        assert!(
            matches!(error, PrepareRootError::MountPoint { .. }),
            "{error}"
        );
        assert!(error.is_of_the_request());
    }
}

#[test]
fn what_is_not_in_the_closure_changes_nothing() {
    let bench = Bench::new(PATHS);
    for change in [
        (|request| request.system = Some(store_path('c'))) as fn(&mut PrepareRoot),
        |request| request.shell = Some(store_path('a').to_path().join("link")),
    ] {
        let error = bench.prepare_with(change).unwrap_err();
        assert!(matches!(error, PrepareRootError::Root(_)), "{error}");
        assert_eq!(fs::read_dir(bench.root()).unwrap().count(), 0);
    }
}

#[test]
fn a_root_needs_neither_system_nor_closure() {
    let bench = Bench::new(PATHS);
    bench
        .prepare_with(|request| {
            *request = PrepareRoot {
                mount_point: bench.root(),
                system: None,
                channel: None,
                shell: None,
                closures: Vec::new(),
                time: TIME,
            };
        })
        .unwrap();
    assert!(bench.path("etc/NIXOS").exists());
    assert!(!bench.path("bin").exists());
    assert_eq!(bench.valid_paths(), []);
}
