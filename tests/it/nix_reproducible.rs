//! The same arguments give the same bytes, whatever the host, its Nix and its store are like.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::support::built::{build, digest, expression, make_ext4_fs, path, unpacked};
use crate::support::command::run;
use crate::support::direct::Direct;
use crate::support::env;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::nix::Nix;
use crate::support::temporary;

const HOSTILE: &str = r#"storePaths = [ hostile ]; volumeLabel = "same";"#;
const SMALL: &str = r#"storePaths = [ small ]; volumeLabel = "same";"#;

/// The digest of the image that the machine's Nix builds of `arguments`.
#[track_caller]
fn digest_of(arguments: &str) -> String {
    digest(&build(Nix::Machine, &make_ext4_fs(arguments)))
}

#[test]
fn every_release_of_nix_gives_the_same_image() {
    for arguments in [SMALL, HOSTILE] {
        let [machine, other] = Nix::ALL.map(|nix| digest(&build(nix, &make_ext4_fs(arguments))));
        assert_eq!(machine, other);
    }
}

#[test]
fn every_number_of_cores_gives_the_same_image() {
    for arguments in [SMALL, HOSTILE] {
        let expression = make_ext4_fs(arguments);
        build(Nix::Machine, &expression);
        for cores in ["1", "2", "7"] {
            // Builds it again, and fails where the bytes differ.
            Nix::Machine.build(&["--check", "--cores", cores, "--expr", &expression]);
        }
    }
}

#[test]
fn every_number_of_cores_gives_the_same_compressed_image() {
    let compressed = format!("{SMALL} compressImage = true; compressionLevel = 1;");
    let expression = make_ext4_fs(&compressed);
    let image = Nix::Machine.build(&["--expr", &expression]);
    assert!(image.ends_with("-ext4-fs.img.zst"));
    for cores in ["1", "2", "7"] {
        Nix::Machine.build(&["--check", "--cores", cores, "--expr", &expression]);
    }
    assert_eq!(digest(&unpacked(Path::new(&image))), digest_of(SMALL));
}

#[test]
fn the_order_of_store_paths_makes_no_difference() {
    let [sorted, shuffled] = [
        "builtins.attrValues packages",
        // Backwards, the middle once more.
        "let all = builtins.attrValues packages; count = builtins.length all; in
         builtins.genList (n: builtins.elemAt all (count - 1 - n)) count
         ++ [ (builtins.elemAt all (count / 2)) ]",
    ]
    .map(|paths| digest_of(&format!(r#"storePaths = {paths}; volumeLabel = "same";"#)));
    assert_eq!(sorted, shuffled);
}

/// The derivation of docs/attributes.md, and the same closure in several graphs, which overlap.
#[test]
fn the_division_into_graphs_makes_no_difference() {
    let page = fs::read_to_string(env::checkout().join("docs/attributes.md")).unwrap();
    let (_before, block) = page.split_once("```nix\n").unwrap();
    let (example, _after) = block.split_once("```").unwrap();

    let directory = temporary::directory();
    fs::create_dir(directory.path().join("bin")).unwrap();
    fs::copy(env::builder(), directory.path().join("bin/nix2image")).unwrap();
    let one_graph = format!(
        r#"let
          nix2image = builtins.path {{ name = "nix2image-package"; path = {package}; }};
          toplevel = small;
          derivation = attrs: builtins.derivation (attrs // {{ system = builtins.currentSystem; }}
            // (if builtins.compareVersions builtins.nixVersion "2.18" < 0
                then {{ unsafeDiscardReferences = {{ }}; }} else {{ }}));
        in {example}"#,
        package = path(directory.path()),
    );
    let several_graphs = format!(
        r#"let one = {one_graph}; in builtins.derivation (one.drvAttrs // {{
          exportReferencesGraph = {{
            empty = [ ];
            all = [ small ];
            some = [ packages.bash packages.coreutils ];
          }};
          nix2image = one.drvAttrs.nix2image // {{ graphs = [ "some" "empty" "all" ]; }};
        }})"#
    );
    let function = r#"storePaths = [ small ]; volumeLabel = "nixos";"#;
    let expected = digest_of(function);
    for body in [one_graph, several_graphs] {
        let image = build(Nix::Machine, &expression(&body));
        assert_eq!(digest(&image), expected);
    }
}

#[test]
fn a_hard_linked_store_gives_the_same_image() {
    let directory = temporary::directory();
    let store = directory.path().to_str().unwrap();
    let in_store = |optimise: &str, expression: &str| {
        let options = [
            "--option",
            "auto-optimise-store",
            optimise,
            "--store",
            store,
        ];
        let path = Nix::Machine.build(&[&options[..], &["--expr", expression]].concat());
        directory.path().join(path.strip_prefix('/').unwrap())
    };
    let closure = in_store("true", &expression("hostile"));
    let links = |file: &str| fs::metadata(closure.join(file)).unwrap().nlink();
    assert!(links("same/1") > 3, "the store is not optimised");
    assert!(links("entries/entry number 1") > 400);
    let image = in_store("false", &make_ext4_fs(HOSTILE));
    e2fsck_is_silent(&image);
    assert_eq!(digest(&image), digest_of(HOSTILE));
}

/// The user's surroundings, which Nix would hide: the builder is started by ourselves.
#[test]
fn the_surroundings_of_the_process_make_no_difference() {
    let expected = digest_of(HOSTILE);
    let request = format!("(nix2image.makeExt4Fs {{ {HOSTILE} }}).nix2image");
    let request = Nix::Machine.evaluate(&expression(&request));
    let root = Nix::Machine.build(&["--expr", &expression("hostile")]);
    let mut closure = Nix::Machine.closure(&[&root]);
    let temporary = temporary::directory();
    let far = temporary.path().join("a directory\nwith a hostile name");
    fs::create_dir(&far).unwrap();

    for (umask, directory, cores, variables) in [
        (
            "0000",
            Path::new("/"),
            "1",
            [("TZ", "UTC"), ("LC_ALL", "C")],
        ),
        (
            "0777",
            far.as_path(),
            "2",
            [("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8")],
        ),
        (
            "0027",
            Path::new("/nix/store"),
            "7",
            [("TZ", "America/St_Johns"), ("SOURCE_DATE_EPOCH", "86400")],
        ),
    ] {
        closure.rotate_left(1);
        for info in &mut closure {
            info.references.reverse();
        }
        let direct = Direct::new(request.clone(), &closure);
        let script = format!(r#"umask {umask}; exec "$@""#);
        let mut builder = direct.builder_after(&["sh", "-euc", &script, "sh"]);
        builder
            .envs(variables.map(|(name, value)| (OsStr::new(name), OsStr::new(value))))
            .env("NIX_BUILD_CORES", cores)
            .current_dir(directory);
        run(&mut builder);
        assert_eq!(digest(&direct.out()), expected, "{builder:?}");
    }
}
