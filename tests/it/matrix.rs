//! The whole matrix: one image of each kind, whichever release of Nix builds it, on whichever
//! filesystem of the host.
//!
//! `cargo xtask matrix` runs all of it, and shows the digests. A usual run has every release and
//! every filesystem, but not each with each.

#![allow(
    clippy::print_stdout,
    reason = "the digests are what `cargo xtask matrix` is for"
)]

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::built::{digest, expression};
use crate::support::command::run;
use crate::support::env;
use crate::support::host_filesystem::HOST_FILESYSTEMS;
use crate::support::nix::Nix;

const PROFILES: [&str; 3] = ["default", "modern", "legacy-uboot"];

/// What a container is called, and the attributes that ask for it.
const CONTAINERS: [(&str, &str); 6] = [
    ("raw", ""),
    ("zst", r#"compression = "zstd";"#),
    ("qcow2", r#"container = "qcow2";"#),
    ("qcow2-compressed", r#"container = "qcow2-compressed";"#),
    ("vhd-fixed", r#"container = "vhd-fixed";"#),
    ("vhd-dynamic", r#"container = "vhd-dynamic";"#),
];

/// Names of store paths begin after so many bytes of a hash and a hyphen.
const HASH_LENGTH: usize = 33;

#[test]
fn every_nix_on_every_host_filesystem_makes_the_same_images() {
    // XFS has no longer ones.
    let hostile = ("hostile", "(hostileWith { longestTarget = 1023; })");
    let closures: &[_] = if env::is_full() {
        &[hostile, ("small", "small")]
    } else {
        &[hostile]
    };
    let nixes = Nix::all();
    let mut digests = Digests::default();
    let mut builds = 0;
    for (number, (called, filesystem)) in HOST_FILESYSTEMS.into_iter().enumerate() {
        for (nix_number, nix) in nixes.iter().enumerate() {
            if !env::is_full() && number % nixes.len() != nix_number {
                continue;
            }
            for closure in closures {
                filesystem(&mut |directory| {
                    for (image, digest) in build_all(*nix, directory, *closure) {
                        digests.add(&image, &digest, &format!("{nix:?} on {called}"));
                        builds += 1;
                    }
                });
            }
        }
    }
    for nix in &nixes {
        println!(
            "{nix:?}: {}",
            run(nix.command("nix").arg("--version")).trim()
        );
    }
    for (image, (digest, _)) in &digests.0 {
        println!("{image:34} {digest}");
    }
    let images = closures.len() * PROFILES.len() * CONTAINERS.len();
    println!("{builds} builds of {images} images, each with one digest");
    assert_eq!(digests.0.len(), images);
}

/// Each image's digest, and who made it first.
#[derive(Default)]
struct Digests(BTreeMap<String, (String, String)>);

impl Digests {
    #[track_caller]
    fn add(&mut self, image: &str, digest: &str, maker: &str) {
        let (first, by) = self
            .0
            .entry(image.to_owned())
            .or_insert_with(|| (digest.to_owned(), maker.to_owned()));
        assert_eq!(
            first, digest,
            "{image}: made by {by} on the left, by {maker} on the right"
        );
    }
}

/// The names and digests of all images of a closure, given by its name and its expression, which
/// `nix` builds in a store of its own in `directory`.
#[track_caller]
fn build_all(nix: Nix, directory: &Path, (name, closure): (&str, &str)) -> Vec<(String, String)> {
    let of_profile = |profile: &str| {
        CONTAINERS.map(|(container, attributes)| {
            format!(r#"(image "{container}" "{profile}" {{ {attributes} }})"#)
        })
    };
    let images = PROFILES.map(of_profile).concat().join(" ");
    let all = expression(&format!(
        r#"let
          plain = nix2image.makeExt4Fs {{ storePaths = [ {closure} ]; volumeLabel = "same"; }};
          image = container: profile: attributes: derivation (plain.drvAttrs // {{
            name = "{name}-${{profile}}-${{container}}";
            nix2image = plain.nix2image // attributes // {{
              ext4 = plain.nix2image.ext4 // {{ inherit profile; }};
            }};
          }});
        in [ {images} ]"#
    ));
    let store = directory.to_str().expect("the tests' own paths are text");
    let paths = nix.build(&["--store", store, "--expr", &all]);
    let image = |path: &str| {
        let (_, file) = path.split_once("/store/").unwrap();
        let stands_at = directory.join("nix/store").join(file);
        (file[HASH_LENGTH..].to_owned(), digest(&stands_at))
    };
    paths.lines().map(image).collect()
}
