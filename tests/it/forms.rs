//! A closure in any form is the same image, and what is wrong in one is told.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::built::{self, digest};
use crate::support::command::{run, run_to_failure};
use crate::support::direct::{Direct, FakeStore};
use crate::support::forms::Forms;
use crate::support::mount::Mounted;
use crate::support::nix::{Nix, PathInfo};
use crate::support::walk;

/// The closure that the tests take in all forms: it has no content address.
fn forms() -> Forms {
    let library = built::expression("packages.libacl1");
    Forms::of(&Nix::Machine.build(&["--expr", &library]))
}

#[track_caller]
fn image(derivation: &Direct) -> built::Built {
    run(&mut derivation.builder_after(&[]));
    built::copied(&derivation.out())
}

/// An image as a NixOS root, of all of a form.
fn in_root(mut form: Value) -> Value {
    form["root"] = json!({});
    form
}

#[test]
fn every_form_of_a_closure_gives_the_same_image() {
    let forms = forms();
    let graph = image(&Direct::new(in_root(json!({})), forms.paths()));
    let expected = digest(&graph);
    for (name, form) in forms.attributes() {
        let image = image(&Direct::without_graphs(&in_root(form)));
        assert_eq!(digest(&image), expected, "{name}");
    }
    let verified = json!({ "verify": true, "selfCheck": true });
    let verified = image(&Direct::new(in_root(verified), forms.paths()));
    assert_eq!(digest(&verified), expected, "verified");
}

#[test]
fn every_form_of_a_closure_gives_the_same_compressed_image() {
    let forms = forms();
    let mut digests = Vec::new();
    let graph = Direct::new(in_root(json!({ "compression": "zstd" })), forms.paths());
    for derivation in forms
        .attributes()
        .into_iter()
        .map(|(_, mut form)| {
            form["compression"] = json!("zstd");
            form["selfCheck"] = json!(true);
            Direct::without_graphs(&in_root(form))
        })
        .chain([graph])
    {
        run(&mut derivation.builder_after(&[]));
        digests.push(digest(&derivation.out()));
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[test]
fn a_store_alone_has_the_store_paths_at_its_top() {
    let forms = forms();
    let wish = json!({ "onlyStore": true, "selfCheck": true });
    let image = image(&Direct::new(wish, forms.paths()));
    let mounted = Mounted::read_only(&image);
    for info in forms.paths() {
        let name = Path::new(&info.path).file_name().unwrap();
        walk::is_the_store_path(&mounted.root().join(name), Path::new(&info.path));
    }
    let beside: Vec<_> = fs::read_dir(mounted.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| !Path::new("/nix/store").join(name).exists())
        .collect();
    assert_eq!(beside, ["lost+found"]);
}

#[test]
fn what_is_taken_from_an_export_is_what_the_store_has() {
    let forms = forms();
    let derivation = Direct::without_graphs(&json!({ "exports": [forms.compressed_export()] }));
    let image = image(&derivation);
    let mounted = Mounted::read_only(&image);
    for info in forms.paths() {
        let below = info.path.strip_prefix('/').unwrap();
        walk::is_the_store_path(&mounted.root().join(below), Path::new(&info.path));
    }
}

/// Changes one byte near the end of the file's last content.
fn damage(file: &Path) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap();
    let at = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn a_damaged_export_does_not_agree_with_a_graph() {
    let forms = forms();
    damage(&forms.export());
    let derivation = Direct::new(json!({ "exports": [forms.export()] }), forms.paths());
    let error = run_to_failure(&mut derivation.builder_after(&[]));
    let export = forms.export();
    assert!(error.contains("NAR hash"), "{error}");
    assert!(error.contains(&export.display().to_string()), "{error}");
    assert!(derivation.left_nothing());
}

#[test]
fn a_damaged_nar_in_a_cache_is_named_with_both_hashes() {
    let forms = forms();
    let cache = forms.cache("none");
    let largest = fs::read_dir(cache.join("nar"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    damage(&largest);
    let derivation = Direct::without_graphs(&forms.cache_attributes(&cache));
    let error = run_to_failure(&mut derivation.builder_after(&[]));
    assert!(error.matches("sha256:").count() == 2, "{error}");
    assert!(error.contains(&cache.display().to_string()), "{error}");
    assert!(derivation.left_nothing());
}

#[test]
fn a_store_path_that_is_not_what_nix_says_is_found_by_verify_alone() {
    let forms = forms();
    let mut paths = forms.paths().to_vec();
    let wrong = paths.len() / 2;
    paths[wrong].nar_hash = "0".repeat(64);
    let unaware = Direct::new(json!({}), &paths);
    run(&mut unaware.builder_after(&[]));
    for compression in ["none", "zstd"] {
        let derivation = Direct::new(
            json!({ "verify": true, "compression": compression }),
            &paths,
        );
        let error = run_to_failure(&mut derivation.builder_after(&[]));
        assert!(error.contains(&paths[wrong].path), "{error}");
        assert!(error.contains("sha256:000000"), "{error}");
        assert!(derivation.left_nothing());
    }
}

#[test]
fn what_becomes_a_hole_is_verified_as_zeros() {
    let store = FakeStore::new();
    let mut bytes = vec![0; 3 << 20];
    bytes[2 << 20] = 1;
    fs::write(store.path().join("zeros"), bytes).unwrap();
    let (nar_hash, nar_size) = nix2image::store::nar::nar_hash(&store.path()).unwrap();
    let info = PathInfo {
        nar_hash: nar_hash.to_hex(),
        nar_size,
        ..FakeStore::info()
    };
    for compression in ["none", "zstd"] {
        let attributes = json!({
            "verify": true, "selfCheck": true, "compression": compression,
            "ext4": { "sparse": true },
        });
        let right = Direct::new(attributes.clone(), std::slice::from_ref(&info));
        run(&mut right.builder_with_store(store.store()));
        let wrong = Direct::new(attributes, &[FakeStore::info()]);
        let error = run_to_failure(&mut wrong.builder_with_store(store.store()));
        assert!(error.contains(&nar_hash.to_string()), "{error}");
        assert!(wrong.left_nothing());
    }
}
