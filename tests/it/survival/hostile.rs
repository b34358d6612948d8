//! Closures that try to get something of the host into an image.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::XattrFlags;
use serde_json::json;

use super::served::{ServedStore, named};
use super::{failure, fill, image};
use crate::support::command::output;
use crate::support::direct::{Direct, FakeStore};
use crate::support::host_filesystem::on_a_loop_device;
use crate::support::mount::Mounted;
use crate::support::sample::{CAPABILITY, acl};
use crate::support::walk::is_the_store_path;

const TARGETS: [&str; 8] = [
    "/",
    "/etc/shadow",
    "/proc/self/environ",
    "..",
    "../../../../../../etc/passwd",
    "/nix/store",
    ".",
    "itself",
];

#[test]
fn symlinks_are_kept_as_they_are() {
    let store = FakeStore::new();
    fill(&store.path(), 2);
    for target in TARGETS {
        let name = target.replace('/', "\\");
        symlink(target, store.path().join(format!("to {name}"))).unwrap();
    }
    symlink("itself", store.path().join("itself")).unwrap();
    for attributes in [json!({}), json!({ "ext4": { "sparse": true } })] {
        let derivation = Direct::new(attributes, &[FakeStore::info()]);
        let output = output(&mut derivation.builder_with_store(store.store()));
        image(&derivation, &output);
        let mounted = Mounted::read_only(&derivation.out());
        let store_path = FakeStore::store_path();
        is_the_store_path(&mounted.root().join(&store_path[1..]), &store.path());
    }
}

#[test]
fn what_a_symlink_leads_to_is_not_even_looked_at() {
    for attributes in [
        json!({}),
        json!({ "compression": "zstd", "deduplicate": true, "ext4": { "sparse": true } }),
        json!({ "verify": true, "selfCheck": true }),
        json!({ "kind": "tar" }),
    ] {
        let store = ServedStore::new();
        let derivation = Direct::new(attributes, &[store.info()]);
        let output = output(&mut derivation.builder_with_store(store.root()));
        image(&derivation, &output);
        assert!(!store.was_outside_seen());
    }
}

#[test]
fn contents_stay_in_the_store() {
    let store = FakeStore::new();
    symlink("/etc", store.path().join("etc")).unwrap();
    symlink("/etc/passwd", store.path().join("passwd")).unwrap();
    symlink(".", store.path().join("here")).unwrap();
    let path = FakeStore::store_path();
    let build = |source: &str, unpack: bool| {
        let item =
            json!({ "source": format!("{path}/{source}"), "target": "/x", "unpack": unpack });
        let derivation = Direct::new(json!({ "contents": [item] }), &[FakeStore::info()]);
        let output = output(&mut derivation.builder_with_store(store.store()));
        (derivation, output)
    };
    for (source, unpack, way, leads_to) in [
        ("etc/passwd", false, "etc", "/etc"),
        ("passwd", true, "passwd", "/etc/passwd"),
    ] {
        let (derivation, output) = build(source, unpack);
        assert_eq!(
            failure(&derivation, &output, 2),
            format!(
                "nix2image.contents[0].source cannot be taken: symlinks at {path}/{way} lead to {leads_to}, which is not below /nix/store; name a path that lies in the store"
            )
        );
    }
    let (derivation, output) = build("here/here/file", false);
    image(&derivation, &output);
}

/// Gives everything in a store path owners, modes, times, extended attributes and access lists
/// that no store path has.
fn dress_up(top: &Path) {
    for entry in fs::read_dir(top).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_symlink() {
            lchown(&path, Some(1000), Some(100)).unwrap();
            continue;
        }
        chown(&path, Some(1000), Some(100)).unwrap();
        // Neither who may run it nor who may read it changes.
        let (mode, lists) = if kind.is_dir() {
            dress_up(&path);
            (0o7755, &["access", "default"][..])
        } else {
            (0o7644, &["access"][..])
        };
        for (name, value) in [("user.a", &b"1"[..]), ("trusted.b", b"2")] {
            rustix::fs::setxattr(&path, name, value, XattrFlags::empty()).unwrap();
        }
        for list in lists {
            let name = format!("system.posix_acl_{list}");
            rustix::fs::setxattr(&path, name, &acl(1000), XattrFlags::empty()).unwrap();
        }
        if kind.is_file() {
            rustix::fs::setxattr(
                &path,
                "security.capability",
                &CAPABILITY,
                XattrFlags::empty(),
            )
            .unwrap();
        }
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn what_a_nar_does_not_hold_does_not_reach_the_image() {
    on_a_loop_device("ext4", "-q", &mut |host| {
        let top = host.join(Path::new(&FakeStore::store_path()).file_name().unwrap());
        fs::create_dir(&top).unwrap();
        fill(&top, 2);
        symlink("large0", top.join("link")).unwrap();
        let images = || {
            [
                json!({}),
                json!({ "deduplicate": true }),
                json!({ "kind": "tar" }),
            ]
            .map(|attributes| {
                let derivation = Direct::new(attributes, &[FakeStore::info()]);
                let output = output(&mut derivation.builder_with_store(host));
                image(&derivation, &output)
            })
        };
        let plain = images();
        dress_up(&top);
        assert!(images() == plain);
    });
}

#[test]
fn the_served_store_is_seen_as_the_store() {
    let store = ServedStore::new();
    let derivation = Direct::new(json!({}), &[store.info()]);
    let output = output(&mut derivation.builder_with_store(store.root()));
    image(&derivation, &output);
    let mounted = Mounted::read_only(&derivation.out());
    let path = named("sub/file");
    let found = fs::read(mounted.root().join(&path[1..])).unwrap();
    assert_eq!(found, b"content");
}
