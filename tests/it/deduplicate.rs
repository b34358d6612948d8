//! Images whose equal files are one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix2image::store::nar::nar_hash;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::built::{self, Built, digest, expression};
use crate::support::command::{describe, output, run, run_to_failure};
use crate::support::direct::Direct;
use crate::support::forms::Forms;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::image::Image;
use crate::support::mount::Mounted;
use crate::support::nix::{Nix, PathInfo};
use crate::support::sample::{empty, noise, roomy};
use crate::support::temporary;
use crate::support::walk::{self, Kind};

/// A directory to be seen as `/nix/store`.
struct Store(TempDir);

impl Store {
    /// A store without paths.
    fn empty() -> Self {
        Self(temporary::directory())
    }

    /// Files that are equal within a store path, across store paths, on the host and in all but
    /// the executable bit; and what stays although it is equal.
    fn new() -> Self {
        let store = Self::empty();
        let a = store.path("a");
        fs::create_dir_all(a.join("directory")).unwrap();
        for name in ["copy", "directory/one", "one"] {
            fs::write(a.join(name), noise(10_000, 1)).unwrap();
        }
        executable(&a.join("run"), &noise(10_000, 1));
        for name in ["empty", "empty-too"] {
            fs::write(a.join(name), "").unwrap();
            symlink("one", a.join(format!("link-{name}"))).unwrap();
        }
        fs::write(a.join("linked"), noise(7000, 2)).unwrap();
        fs::hard_link(a.join("linked"), a.join("linked-too")).unwrap();
        fs::write(a.join("zeros"), with_zeros(3)).unwrap();
        fs::write(a.join("other-zeros"), with_zeros(4)).unwrap();

        let b = store.path("b");
        fs::create_dir(&b).unwrap();
        fs::write(b.join("linked"), noise(7000, 2)).unwrap();
        fs::write(b.join("other"), noise(10_000, 3)).unwrap();
        executable(&b.join("run"), &noise(10_000, 1));
        fs::write(b.join("zeros"), with_zeros(3)).unwrap();

        fs::write(store.path("c"), noise(10_000, 1)).unwrap();
        symlink("one", store.path("d")).unwrap();
        store
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{}-{name}", "0".repeat(32)))
    }

    /// What Nix would know of the store paths.
    fn infos(&self) -> Vec<PathInfo> {
        let names = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
        names.sort();
        let info = |name: &std::ffi::OsString| {
            let (hash, nar_size) = nar_hash(&self.0.path().join(name)).unwrap();
            PathInfo {
                path: format!("/nix/store/{}", name.to_str().unwrap()),
                nar_hash: hash.to_hex(),
                nar_size,
                references: Vec::new(),
            }
        };
        names.iter().map(info).collect()
    }

    /// What the builder makes of all store paths.
    #[track_caller]
    fn built(&self, attributes: Value, cores: usize) -> Direct {
        let derivation = Direct::new(attributes, &self.infos());
        let mut builder = derivation.builder_with_store(self.0.path());
        run(builder.env("NIX_BUILD_CORES", cores.to_string()));
        derivation
    }

    /// The same, as an image that e2fsck has nothing to say of.
    #[track_caller]
    fn image(&self, attributes: Value) -> Built {
        built::copied(&self.built(attributes, 2).out())
    }
}

fn executable(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o555)).unwrap();
}

/// A large file that is mostly holes, if somebody looks for them.
fn with_zeros(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 2 << 20];
    bytes[1 << 20..][..5000].copy_from_slice(&noise(5000, seed));
    bytes
}

/// `attributes`, and that equal files shall be one.
fn deduplicated(mut attributes: Value) -> Value {
    attributes["deduplicate"] = json!(true);
    attributes
}

/// The files that are not empty below `top` have one inode for each content and mode, and are
/// those of `host`.
#[track_caller]
fn has_each_file_once(top: &Path, host: &Path) {
    let found = walk::walk(top);
    let mut inodes = BTreeMap::new();
    let mut contents = BTreeMap::new();
    let mut files = 0;
    for (path, expected) in walk::walk(host) {
        // The top, of a store that is an image, has something beside the store.
        if path.as_os_str().is_empty() {
            continue;
        }
        let found = &found[&path];
        assert!(found.kind == expected.kind, "{}", path.display());
        let Kind::File(content) = expected.kind else {
            continue;
        };
        let mode = if expected.mode & 0o100 == 0 {
            0o444
        } else {
            0o555
        };
        assert_eq!((found.mode, found.mtime), (mode, 1), "{}", path.display());
        if content.is_empty() {
            assert_eq!(found.links, 1, "{}", path.display());
            continue;
        }
        let inode = fs::symlink_metadata(top.join(&path)).unwrap().ino();
        let key = (mode, content);
        assert_eq!(*inodes.entry(key.clone()).or_insert(inode), inode);
        assert_eq!(*contents.entry(inode).or_insert(key.clone()), key);
        files += 1;
    }
    assert!(inodes.len() < files, "nothing was equal");
}

#[test]
fn equal_files_are_one_inode_and_the_image_is_smaller() {
    let store = Store::new();
    for more in [
        json!({}),
        json!({ "verify": true, "selfCheck": true }),
        json!({ "root": {}, "verify": true, "selfCheck": true }),
        json!({ "selfCheck": true, "ext4": { "sparse": true } }),
        json!({ "verify": true, "selfCheck": true, "ext4": { "sparse": true } }),
        json!({ "onlyStore": true, "verify": true, "selfCheck": true }),
    ] {
        let only_store = more["onlyStore"] == true;
        let with = store.image(deduplicated(more.clone()));
        let without = store.image(more.clone());
        let size = |image: &Path| fs::metadata(image).unwrap().len();
        assert!(size(&with) < size(&without), "{more}");
        let mounted = Mounted::read_only(&with);
        let below = if only_store { "" } else { "nix/store" };
        has_each_file_once(&mounted.root().join(below), store.0.path());
    }
}

#[test]
fn nix_finds_an_image_with_equal_files_sound_and_has_nothing_left_to_link() {
    let store = Store::new();
    let image = store.built(deduplicated(json!({ "root": {} })), 2);
    for nix in Nix::all() {
        let image = built::copied(&image.out());
        let mounted = Mounted::writable_where_every_nix_sees_it(&image);
        let nix_store = |arguments: &[&str]| {
            let mut command = nix.command("nix-store");
            command.arg("--store").arg(mounted.root()).args(arguments);
            let output = output(&mut command);
            assert!(output.status.success(), "{}", describe(&command, &output));
            String::from_utf8(output.stderr).unwrap()
        };
        nix_store(&["--verify", "--check-contents"]);
        let told = nix_store(&["--optimise"]);
        // The second empty file, and two of three symlinks.
        assert!(told.contains("hard-linking 3 files"), "{nix:?}: {told}");
        nix_store(&["--verify", "--check-contents"]);
        drop(mounted);
        e2fsck_is_silent(&image);
    }
}

#[test]
fn equal_files_do_not_change_with_threads_or_links_of_the_host() {
    let store = Store::new();
    for more in [json!({}), json!({ "verify": true, "root": {} })] {
        let digest_at = |cores| digest(&store.built(deduplicated(more.clone()), cores).out());
        let expected = digest_at(1);
        assert_eq!(digest_at(2), expected);
        assert_eq!(digest_at(7), expected);
        let [a, b] = ["a", "b"].map(|name| store.path(name));
        for (kept, link) in [
            (a.join("one"), a.join("copy")),
            (b.join("run"), a.join("run")),
            (b.join("zeros"), a.join("zeros")),
        ] {
            fs::remove_file(&link).unwrap();
            fs::hard_link(kept, link).unwrap();
        }
        assert_eq!(digest_at(2), expected);
    }
}

#[test]
fn what_is_no_store_path_keeps_its_own_file() {
    let store = Store::new();
    let source = "/nix/store/00000000000000000000000000000000-a/one";
    let contents: Vec<_> = ["/etc/one", "/nix/store/one", "/one"]
        .map(|target| json!({ "source": source, "target": target, "mode": "0444" }))
        .into();
    let image = store.image(deduplicated(
        json!({ "contents": contents, "verify": true }),
    ));
    let mounted = Mounted::read_only(&image);
    for path in ["etc/one", "nix/store/one", "one"] {
        let found = walk::entry(&mounted.root().join(path));
        assert_eq!(found.links, 1, "{path}");
        assert!(found.kind == Kind::File(noise(10_000, 1)), "{path}");
    }
}

#[test]
fn verify_sees_a_damage_in_a_file_that_is_linked_away() {
    let store = Store::new();
    let sound = store.infos();
    // Both are damaged, and equal still; of `a` somebody knows.
    for name in ["a", "b"] {
        fs::write(store.path(name).join("linked"), noise(7000, 9)).unwrap();
    }
    let mut told = store.infos();
    told[1] = sound[1].clone();
    for more in [json!({}), json!({ "compression": "zstd" })] {
        let unaware = Direct::new(deduplicated(more.clone()), &told);
        run(&mut unaware.builder_with_store(store.0.path()));
        let mut more = deduplicated(more);
        more["verify"] = json!(true);
        let derivation = Direct::new(more.clone(), &told);
        let error = run_to_failure(&mut derivation.builder_with_store(store.0.path()));
        assert!(error.contains("-b in the store of this host"), "{error}");
        assert!(derivation.left_nothing());

        // Of `a` nobody knows: the first in path order is told.
        let derivation = Direct::new(more, &sound);
        let error = run_to_failure(&mut derivation.builder_with_store(store.0.path()));
        assert!(error.contains("-a in the store of this host"), "{error}");
        assert!(derivation.left_nothing());
    }
}

#[test]
fn every_form_of_a_closure_gives_the_same_image_of_equal_files() {
    let top = Nix::Machine.build(&["--expr", &two_store_paths()]);
    let forms = Forms::of(&top);
    assert_eq!(forms.paths().len(), 2);
    let graph = Direct::new(deduplicated(json!({ "selfCheck": true })), forms.paths());
    run(&mut graph.builder_after(&[]));
    let image = built::copied(&graph.out());
    let expected = digest(&image);
    for (name, mut form) in forms.attributes() {
        form["selfCheck"] = json!(true);
        let derivation = Direct::without_graphs(&deduplicated(form));
        run(&mut derivation.builder_after(&[]));
        assert_eq!(digest(&derivation.out()), expected, "{name}");
    }
    let mounted = Mounted::read_only(&image);
    let inodes: BTreeSet<_> = forms
        .paths()
        .iter()
        .flat_map(|info| {
            let directory = mounted.root().join(info.path.strip_prefix('/').unwrap());
            let metadata = |name| fs::metadata(directory.join(name)).unwrap();
            [metadata("one"), metadata("two")].map(|file| file.ino())
        })
        .collect();
    assert_eq!(inodes.len(), 1);
}

/// A store path that refers to another, with equal files in both.
fn two_store_paths() -> String {
    let busybox = built::path(&crate::support::env::small_closure().join("bin"));
    expression(&format!(
        r#"let
          busybox = "${{builtins.path {{ name = "busybox"; path = {busybox}; }}}}/busybox";
          made = name: other: derivation {{
            inherit name busybox other;
            system = builtins.currentSystem;
            builder = busybox;
            args = [ "sh" "-euc" ''
              $busybox mkdir $out
              $busybox seq 1 5000 >$out/one
              $busybox cp $out/one $out/two
              echo $other >$out/other
            '' ];
          }};
        in
        made "second" (made "first" "none")"#
    ))
}

#[test]
fn a_tar_archive_has_hard_links_of_equal_files() {
    let store = Store::new();
    let tar = |attributes: Value| {
        let mut attributes = deduplicated(attributes);
        attributes["kind"] = json!("tar");
        store.built(attributes, 2)
    };
    let archive = tar(json!({ "verify": true }));
    let sizes = [&archive, &store.built(json!({ "kind": "tar" }), 2)]
        .map(|archive| fs::metadata(archive.out()).unwrap().len());
    assert!(sizes[0] < sizes[1]);
    assert_eq!(digest(&tar(json!({})).out()), digest(&archive.out()));
    let disk = Image::unchecked(empty(), &roomy());
    let mounted = Mounted::writable("ext4", &disk.path());
    run(Command::new("tar")
        .args(["--extract", "--same-owner", "--preserve-permissions"])
        .args(["--delay-directory-restore", "--warning=no-timestamp"])
        .arg("--file")
        .arg(archive.out())
        .arg("--directory")
        .arg(mounted.root()));
    has_each_file_once(&mounted.root().join("nix/store"), store.0.path());
}

#[test]
fn a_disk_has_equal_files_once() {
    let store = Store::new();
    let disk = json!({
        "kind": "disk", "verify": true, "selfCheck": true,
        "disk": { "table": "mbr", "id": "0x2178694e", "partitions": [{ "type": "linux", "content": { "ext4": {} } }] },
    });
    let sizes = [deduplicated(disk.clone()), disk].map(|disk| {
        let image = store.built(disk, 2);
        fs::metadata(image.out()).unwrap().len()
    });
    assert!(sizes[0] < sizes[1]);
}

/// Nix gives each file one more name, and needs room for it.
#[test]
fn a_file_never_has_more_names_than_nix_can_add_one_to() {
    const NAMES: usize = 64_999;
    let store = Store::empty();
    let a = store.path("a");
    fs::create_dir(&a).unwrap();
    for file in 0..=NAMES {
        fs::write(a.join(format!("{file:05}")), "equal").unwrap();
    }
    let image = store.image(deduplicated(json!({ "root": {} })));
    let mounted = Mounted::writable("ext4", &image);
    let inside = mounted
        .root()
        .join("nix/store")
        .join(a.file_name().unwrap());
    let links = |file: usize| {
        let file = fs::metadata(inside.join(format!("{file:05}"))).unwrap();
        file.nlink()
    };
    assert_eq!((links(0), links(NAMES - 1)), (64_999, 64_999));
    assert_eq!(links(NAMES), 1);
    let mut optimise = Nix::Machine.command("nix-store");
    optimise.arg("--store").arg(mounted.root());
    run(optimise.arg("--optimise"));
    assert_eq!(links(0), 65_000);
}

/// Files of a store path, by name: whether each is executable, and one of few contents.
type Recipe = BTreeMap<String, (bool, usize)>;

fn make(store: &Store, recipes: &[Recipe]) {
    for (number, recipe) in recipes.iter().enumerate() {
        let top = store.path(&number.to_string());
        fs::create_dir_all(top.join("d")).unwrap();
        for (name, (is_executable, length)) in recipe {
            let content = noise(*length, 5);
            if *is_executable {
                executable(&top.join(name), &content);
            } else {
                fs::write(top.join(name), content).unwrap();
            }
        }
    }
}

/// The self check reads the NAR hash of each store path back from the image, and compares.
#[test]
fn random_store_paths_have_the_same_hash_whether_equal_files_are_one_or_not() {
    let config = Config {
        cases: 16,
        failure_persistence: None,
        max_shrink_iters: 50,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let length = prop::sample::select(vec![0_usize, 1, 100, 4096, 5000, 300_000]);
    let files = btree_map("(d/)?[a-e.-]{1,2}x", (any::<bool>(), length), 0..8);
    let cases = (vec(files, 1..5), any::<[bool; 3]>());
    let result = TestRunner::new_with_rng(config, rng).run(&cases, |(recipes, choices)| {
        let [verify, only_store, sparse] = choices;
        let store = Store::empty();
        make(&store, &recipes);
        for deduplicate in [false, true] {
            store.image(json!({
                "deduplicate": deduplicate, "verify": verify, "onlyStore": only_store,
                "selfCheck": true, "ext4": { "sparse": sparse },
            }));
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
