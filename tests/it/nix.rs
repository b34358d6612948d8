//! Real builds by real releases of Nix, in their sandboxes: from a closure to an image,
//! and from the image back to a store.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::built::{build, copied, expression, make_ext4_fs};
use crate::support::command::{describe, output, run};
use crate::support::fsck::e2fsck_is_silent;
use crate::support::mount::Mounted;
use crate::support::nix::{Nix, PathInfo};
use crate::support::temporary;
use crate::support::walk::{Kind, entry, is_the_store_path};

const SMALL: &str = r#"storePaths = [ small ]; volumeLabel = "small";"#;
const HOSTILE: &str = r#"storePaths = [ hostile ]; volumeLabel = "hostile"; selfCheck = true;"#;

/// The closure of what `body` builds, in the store of `nix`.
fn closure(nix: Nix, body: &str) -> Vec<PathInfo> {
    let root = nix.build(&["--expr", &expression(body)]);
    nix.closure(&[&root])
}

#[test]
fn the_releases_of_nix_differ() {
    let versions = Nix::ALL.map(|nix| run(nix.command("nix").arg("--version")));
    assert_ne!(versions[0], versions[1]);
}

#[test]
fn the_closures_are_the_same_under_every_nix() {
    for body in ["small", "hostile"] {
        let [machine, other] = Nix::ALL.map(|nix| closure(nix, body));
        assert_eq!(machine, other);
    }
}

#[test]
fn an_image_holds_a_closure_of_debian_packages() {
    let image = build(Nix::Machine, &make_ext4_fs(SMALL));
    holds_closure(&image, Nix::Machine, &closure(Nix::Machine, "small"));
}

#[test]
fn an_image_holds_a_closure_of_hostile_names() {
    for nix in Nix::ALL {
        let image = build(nix, &make_ext4_fs(HOSTILE));
        holds_closure(&image, nix, &closure(nix, "hostile"));
    }
}

/// Each store path stands in the image as in the store of `nix`, and nothing else does.
#[track_caller]
fn holds_closure(image: &Path, nix: Nix, closure: &[PathInfo]) {
    let mounted = Mounted::read_only(image);
    let root = mounted.root();
    let paths: Vec<&str> = closure.iter().map(|info| info.path.as_str()).collect();
    assert_eq!(names(&root.join("nix/store")).len(), paths.len());
    for path in &paths {
        is_the_store_path(&in_image(root, path), &nix.seen_from_outside(path));
    }

    assert_eq!(names(root), ["lost+found", "nix", "nix-path-registration"]);
    assert_eq!(names(&root.join("nix")), ["store"]);
    for (path, mode, gid) in [
        ("", 0o755, 0),
        ("nix", 0o755, 0),
        ("nix/store", 0o1775, 30000),
    ] {
        let entry = entry(&root.join(path));
        assert_eq!(
            (entry.mode, entry.uid, entry.gid, entry.mtime),
            (mode, 0, gid, 1)
        );
    }

    let entry = entry(&root.join("nix-path-registration"));
    let Kind::File(registration) = entry.kind else {
        panic!("{entry:?}")
    };
    assert_eq!(
        (entry.mode, entry.uid, entry.gid, entry.mtime),
        (0o444, 0, 0, 1)
    );
    assert_eq!(
        PathInfo::parse(&String::from_utf8(registration).unwrap()),
        closure
    );
}

#[test]
fn an_image_becomes_a_store_of_every_nix() {
    for nix in Nix::ALL {
        for (body, arguments) in [("small", SMALL), ("hostile", HOSTILE)] {
            let image = build(nix, &make_ext4_fs(arguments));
            let top = nix.build(&["--expr", &expression(body)]);
            becomes_a_store(&image, nix, &top);
        }
    }
}

/// Mounted, with its database loaded from the registration, as on the machine that boots from
/// it, the image is a store in which Nix finds all of the closure and nothing wrong.
#[track_caller]
fn becomes_a_store(image: &Path, nix: Nix, top: &str) {
    let closure = nix.closure(&[top]);
    let directory = temporary::directory();
    use_as_store(image, nix, directory.path(), top, ":");

    let told = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(PathInfo::parse(&told("database")), closure);
    assert_eq!(told("requisites").lines().count(), closure.len());
    e2fsck_is_silent(image);
}

#[test]
#[should_panic(expected = "Nix finds something wrong")]
fn nix_finds_a_byte_that_is_wrong() {
    let directory = temporary::directory();
    let image = build(Nix::Machine, &make_ext4_fs(HOSTILE));
    let file = Nix::Machine.build(&["--expr", &expression("hostile.file")]);
    let change = r#"echo eile >"root$top""#;
    use_as_store(&image, Nix::Machine, directory.path(), &file, change);
}

/// Mounts `image`, does `change` in it, has `nix` load the registration and hash all of the
/// store, and unmounts it. In `directory` stand then the `database`, and the `requisites` of the
/// store path `top`.
///
/// All of it in one mount namespace: one that another test makes meanwhile, as each sandbox
/// does, would hold on to the mount, and the filesystem be in use when it is judged.
#[track_caller]
fn use_as_store(image: &Path, nix: Nix, directory: &Path, top: &str, change: &str) {
    let script = format!(
        r#"
        image=$0 top=$1; shift
        mkdir root
        mount -t ext4 -o loop "$image" root
        {change}
        "$@" --store "$PWD/root" --load-db <root/nix-path-registration
        "$@" --store "$PWD/root" --verify --check-contents
        "$@" --store "$PWD/root" --dump-db >database
        "$@" --store "$PWD/root" --query --requisites "$top" >requisites
        umount root"#
    );
    let nix_store = nix.command("nix-store");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-euc", &script])
        .arg(image)
        .arg(top)
        .arg(nix_store.get_program())
        .args(nix_store.get_args())
        .current_dir(directory);
    let output = output(&mut command);
    // It may say what it does.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.lines().all(|line| line.ends_with("...")),
        "Nix finds something wrong\n{}",
        describe(&command, &output)
    );
}

#[test]
fn the_self_check_passes_on_debian_packages() {
    let checked = format!("{SMALL} selfCheck = true;");
    build(Nix::Machine, &make_ext4_fs(&checked));
}

#[test]
fn an_image_keeps_its_closure_alive_only_where_nix_cannot_do_otherwise() {
    for nix in Nix::ALL {
        let discards = nix.evaluate(&expression(&format!(
            "(nix2image.makeExt4Fs {{ {HOSTILE} }}) ? unsafeDiscardReferences"
        )));
        let image = nix.build(&["--expr", &make_ext4_fs(HOSTILE)]);
        let references = nix.query(&["--references", &image]);
        assert_eq!(
            references.is_empty(),
            discards.as_bool().unwrap(),
            "{nix:?}"
        );
    }
    // Where it can be had it can also be declined.
    let kept = format!("{HOSTILE} unsafeDiscardReferences = false;");
    for nix in Nix::ALL {
        let image = nix.build(&["--expr", &make_ext4_fs(&kept)]);
        assert!(!nix.query(&["--references", &image]).is_empty());
    }
}

/// What is built on one platform may hold what another one runs.
#[test]
fn an_image_of_another_platforms_closure_is_built_on_this_one() {
    for nix in Nix::ALL {
        let this = nix.evaluate("builtins.currentSystem");
        let other = match this.as_str().unwrap() {
            "x86_64-linux" => "aarch64-linux",
            _ => "x86_64-linux",
        };
        let closure = format!("hostileOn {other:?}");
        let image = format!(
            r#"nix2image.makeExt4Fs {{ storePaths = [ ({closure}) ]; volumeLabel = "foreign"; }}"#
        );
        assert_eq!(
            nix.evaluate(&expression(&format!("({image}).system"))),
            this
        );

        // Its builder is our busybox still: this machine runs it, as it would an emulator.
        let build = |body: &str| {
            let platform = ["--option", "extra-platforms", other];
            let expression = expression(body);
            nix.build(&[&platform[..], &["--expr", &expression]].concat())
        };
        let closure = nix.closure(&[&build(&closure)]);
        let image = copied(&nix.seen_from_outside(&build(&image)));
        holds_closure(&image, nix, &closure);
    }
}

#[track_caller]
fn in_image(root: &Path, path: &str) -> PathBuf {
    root.join(path.strip_prefix('/').unwrap())
}

#[track_caller]
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}
