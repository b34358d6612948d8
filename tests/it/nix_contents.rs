//! What stands in an image beside its closure, built by Nix and seen by the kernel.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::support::built::{
    Built, build, copied, digest, expression, make_ext4_fs, path, unpacked,
};
use crate::support::env;
use crate::support::mount::Mounted;
use crate::support::nix::{Nix, PathInfo};
use crate::support::temporary;
use crate::support::walk::{Entry, Kind, entry, walk};

/// An entry of an image with one name and no xattrs.
fn made(kind: Kind, mode: u32, owner: (u32, u32), mtime: i64) -> Entry {
    let links = 1;
    Entry {
        kind,
        mode,
        uid: owner.0,
        gid: owner.1,
        mtime,
        links,
        xattrs: BTreeMap::new(),
    }
}

fn file(text: &str) -> Kind {
    Kind::File(text.as_bytes().to_vec())
}

/// Everything in the mounted image but its closure and what every image has; directories
/// without their links, which count their directories.
#[track_caller]
fn beside_the_closure(root: &Path) -> BTreeMap<String, Entry> {
    walk(root)
        .into_iter()
        .map(|(path, entry)| (path.into_os_string().into_string(), entry))
        .filter_map(|(path, entry)| Some((path.ok()?, entry)))
        .filter(|(path, _)| {
            let first = path.split('/').next().unwrap_or_default();
            !["", "nix", "lost+found", "nix-path-registration"].contains(&first)
        })
        .map(|(path, mut entry)| {
            if entry.kind == Kind::Directory {
                entry.links = 1;
            }
            (path, entry)
        })
        .collect()
}

#[track_caller]
fn assert_entries<const N: usize>(root: &Path, expected: [(&str, Entry); N]) {
    let expected: BTreeMap<String, Entry> = expected
        .into_iter()
        .map(|(path, entry)| (path.to_owned(), entry))
        .collect();
    let found = beside_the_closure(root);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (path, expected) in expected {
        assert_eq!(found[&path], expected, "{path}");
    }
}

/// The image of `tests/nix/image.nix`, with more `arguments`.
#[track_caller]
fn populated(nix: Nix, arguments: &str) -> Built {
    let file = env::checkout().join("tests/nix/image.nix");
    let expression = format!(
        "(import {file} {{
          builder = {builder};
          system = builtins.currentSystem;
          busybox = toString {busybox};
          arguments = {{ {arguments} }};
        }}).image",
        file = path(&file),
        builder = path(&env::builder()),
        busybox = path(&env::small_closure().join("bin/busybox")),
    );
    build(nix, &expression)
}

const ROOT: (u32, u32) = (0, 0);

#[test]
fn the_commands_that_populate_an_image_keep_their_modes_and_links() {
    let [image, other] = Nix::ALL.map(|nix| populated(nix, ""));
    assert_eq!(digest(&image), digest(&other));

    let mounted = Mounted::read_only(&image);
    let root = mounted.root();
    let links = Nix::Machine.closure(&[&link_target(&root.join("current"))]);
    let [reference, package] = ["-reference", "-package"].map(|name| {
        let mut paths = links.iter().map(|info| info.path.clone());
        paths.find(|path| path.ends_with(name)).unwrap()
    });
    let mut program = made(
        Kind::File(fs::read(format!("{package}/bin/program")).unwrap()),
        0o640,
        (1, 2),
        0,
    );
    program.xattrs = BTreeMap::from([("user.comment".into(), b"from contents".to_vec())]);
    let directory = |mode| made(Kind::Directory, mode, ROOT, 1);
    assert_entries(
        root,
        [
            (".hidden", made(file("hidden\n"), 0o644, ROOT, 1)),
            (
                "current",
                made(Kind::Symlink(reference.into()), 0o777, ROOT, 1),
            ),
            ("etc", directory(0o755)),
            ("etc/key", made(file("secret\n"), 0o600, ROOT, 1)),
            ("etc/program", program),
            ("root", directory(0o700)),
            ("tmp", directory(0o1777)),
            ("two words", made(file("two words\n"), 0o644, ROOT, 1)),
        ],
    );
}

#[track_caller]
fn link_target(link: &Path) -> String {
    let target = fs::read_link(link).unwrap();
    target.into_os_string().into_string().unwrap()
}

#[test]
fn commands_may_populate_with_any_names_and_nothing_else() {
    let image = populated(
        Nix::Machine,
        r#"storePaths = [ ]; contents = [ ]; time = 86400; populateImageCommands = ''
          cd files
          mkdir -p -- 'a b/.c' $'-n\n' empty
          chmod 0750 'a b' && chmod 0700 empty
          touch -- "$(printf '\377')" '-rf' "quote\"'\\"
          ln -s '/no where' 'a b/.c/dangling'
          ln "quote\"'\\" hard
          chmod 0400 hard
        '';"#,
    );
    let mounted = Mounted::read_only(&image);
    let root = mounted.root();
    let directory = |mode| made(Kind::Directory, mode, ROOT, 86400);
    let mut hard = made(file(""), 0o400, ROOT, 86400);
    hard.links = 2;
    assert_entries(
        root,
        [
            ("-n\n", directory(0o755)),
            ("-rf", made(file(""), 0o644, ROOT, 86400)),
            ("a b", directory(0o750)),
            ("a b/.c", directory(0o755)),
            (
                "a b/.c/dangling",
                made(Kind::Symlink("/no where".into()), 0o777, ROOT, 86400),
            ),
            ("empty", directory(0o700)),
            ("hard", hard.clone()),
            ("quote\"'\\", hard),
        ],
    );
    let bytes = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
    assert_eq!(
        entry(&root.join::<&std::ffi::OsStr>(bytes)),
        made(file(""), 0o644, ROOT, 86400)
    );
}

#[test]
fn contents_have_the_metadata_that_they_ask_for() {
    let arguments = r#"
      storePaths = [ ];
      volumeLabel = "contents";
      time = 7;
      contents = [
        { source = hostile.file; target = "/plain"; }
        { source = hostile.program; target = "/bin/setuid"; mode = "4755"; uid = 4294967294; gid = 65536; }
        { source = hostile.file; target = "/old and new/old"; mtime = -2147483648; }
        { source = hostile.file; target = "/old and new/new"; mtime = 15032385535; }
        { source = hostile.link; target = "/link"; uid = 1; mtime = 2; }
        { source = "${hostile}/empty"; target = "/var/empty"; mode = "1777"; gid = 30000; mtime = 3; }
        { source = "${hostile}/empty/file"; target = "/var/empty/beside"; mode = "0000"; }
        {
          source = hostile.file;
          target = "/xattrs";
          xattrs = {
            "user.text" = "two words";
            "user.quoted" = "\"a\\000b\"";
            "user.hex" = "0x00ff";
            "user.base64" = "0sAAEC";
            "trusted.long" = "ORIGINAL";
            "security.capability" = "0x0100000200040000000000000000000000000000";
          };
        }
      ];"#;
    let long = "x".repeat(3000);
    let arguments = arguments.replace("ORIGINAL", &long);
    let image = build(Nix::Machine, &make_ext4_fs(&arguments));
    let link = expression("hostile.link");
    let link = link_target(Path::new(&Nix::Machine.build(&["--expr", &link])));

    let plain = || file("file\n");
    let mut with_xattrs = made(plain(), 0o444, ROOT, 7);
    with_xattrs.xattrs = [
        ("user.text", b"two words".to_vec()),
        ("user.quoted", b"a\0b".to_vec()),
        ("user.hex", vec![0, 0xff]),
        ("user.base64", vec![0, 1, 2]),
        ("trusted.long", long.into_bytes()),
        (
            "security.capability",
            [&[1, 0, 0, 2, 0, 4][..], &[0; 14]].concat(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let of_empty = |kind, mode| made(kind, mode, (0, 30000), 3);
    let implied = || made(Kind::Directory, 0o755, ROOT, 7);
    let mounted = Mounted::read_only(&image);
    assert_entries(
        mounted.root(),
        [
            ("bin", implied()),
            (
                "bin/setuid",
                made(file("#!/bin/sh\n"), 0o4755, (4_294_967_294, 65536), 7),
            ),
            ("link", made(Kind::Symlink(link.into()), 0o777, (1, 0), 2)),
            ("old and new", implied()),
            (
                "old and new/new",
                made(plain(), 0o444, ROOT, 15_032_385_535),
            ),
            (
                "old and new/old",
                made(plain(), 0o444, ROOT, -2_147_483_648),
            ),
            ("plain", made(plain(), 0o444, ROOT, 7)),
            ("var", implied()),
            ("var/empty", of_empty(Kind::Directory, 0o1777)),
            ("var/empty/beside", made(file(""), 0, ROOT, 7)),
            ("var/empty/directory", of_empty(Kind::Directory, 0o555)),
            ("var/empty/file", of_empty(file(""), 0o444)),
            ("xattrs", with_xattrs),
        ],
    );
}

/// A tar file with what a store path cannot hold, written to `path`.
#[track_caller]
fn write_tar(path: &Path) {
    let mut tar = Builder::new(File::create(path).unwrap());
    let header = |kind, mode, owner: (u64, u64), mtime| {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_mtime(mtime);
        header.set_size(0);
        header
    };

    let mut directory = header(EntryType::Directory, 0o1770, (5, 6), 10);
    tar.append_data(&mut directory, "srv/", &b""[..]).unwrap();

    let pax = [
        ("mtime", &b"-86400"[..]),
        ("SCHILY.xattr.user.comment", &b"a\0b\n"[..]),
    ];
    tar.append_pax_extensions(pax).unwrap();
    let mut setuid = header(EntryType::Regular, 0o4711, (1000, 100), 11);
    setuid.set_size(4);
    tar.append_data(&mut setuid, "srv/setuid", &b"data"[..])
        .unwrap();
    let mut hard = header(EntryType::Link, 0o4711, (1000, 100), 11);
    tar.append_link(&mut hard, "srv/hard link", "srv/setuid")
        .unwrap();

    let mut symlink = header(EntryType::Symlink, 0o777, (7, 8), 12);
    tar.append_link(&mut symlink, "srv/symlink", "a".repeat(99))
        .unwrap();
    let mut fifo = header(EntryType::Fifo, 0o620, (0, 5), 13);
    tar.append_data(&mut fifo, "srv/fifo", &b""[..]).unwrap();
    let mut device = header(EntryType::Char, 0o666, (0, 0), 14);
    device.set_device_major(1).unwrap();
    device.set_device_minor(3).unwrap();
    tar.append_data(&mut device, "dev/null", &b""[..]).unwrap();
    tar.finish().unwrap();
}

#[test]
fn a_tar_file_keeps_what_a_store_path_cannot_hold() {
    const FIFO: u32 = 0o010_000;
    const CHARACTER: u32 = 0o020_000;
    let directory = temporary::directory();
    let tar = directory.path().join("files.tar");
    write_tar(&tar);
    let image = build(
        Nix::Machine,
        &make_ext4_fs(&format!(
            r#"storePaths = [ hostile ]; volumeLabel = "tar"; selfCheck = true; contents = [
              {{ source = {tar}; target = "/"; unpack = true; }}
              {{ source = {tar}; target = "/below/here"; unpack = true; uid = 9; gid = 9; mtime = 99; }}
            ];"#,
            tar = path(&tar)
        )),
    );

    let mounted = Mounted::read_only(&image);
    let mut found = beside_the_closure(mounted.root());
    let mut setuid = made(file("data"), 0o4711, (1000, 100), -86400);
    setuid.links = 2;
    setuid.xattrs = BTreeMap::from([("user.comment".into(), b"a\0b\n".to_vec())]);
    let null = rustix::fs::makedev(1, 3);
    let implied = || made(Kind::Directory, 0o755, ROOT, 1);
    let expected = [
        ("dev", implied()),
        (
            "dev/null",
            made(Kind::Special(CHARACTER, null), 0o666, ROOT, 14),
        ),
        ("srv", made(Kind::Directory, 0o1770, (5, 6), 10)),
        ("srv/fifo", made(Kind::Special(FIFO, 0), 0o620, (0, 5), 13)),
        ("srv/hard link", setuid.clone()),
        ("srv/setuid", setuid),
        (
            "srv/symlink",
            made(Kind::Symlink("a".repeat(99).into()), 0o777, (7, 8), 12),
        ),
    ];
    for (path, entry) in expected {
        assert_eq!(found.remove(path), Some(entry.clone()), "{path}");
        let moved = Entry {
            uid: 9,
            gid: 9,
            mtime: 99,
            ..entry
        };
        let path = format!("below/here/{path}");
        assert_eq!(found.remove(&path), Some(moved), "{path}");
    }
    assert_eq!(found.remove("below"), Some(implied()));
    let unpacked_at = found.remove("below/here").unwrap();
    assert_eq!(
        (unpacked_at.kind, unpacked_at.mode),
        (Kind::Directory, 0o755)
    );
    assert_eq!(found, BTreeMap::new());
}

#[test]
fn an_output_that_is_a_directory_holds_the_image_and_the_registration() {
    let in_directory = |arguments: &str| {
        let arguments = format!(
            r#"storePaths = [ hostile ]; volumeLabel = "x"; output = "directory"; {arguments}"#
        );
        let path = Nix::Machine.build(&["--expr", &make_ext4_fs(&arguments)]);
        let mut names: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        (PathBuf::from(path), names)
    };
    let plain = build(
        Nix::Machine,
        &make_ext4_fs(r#"storePaths = [ hostile ]; volumeLabel = "x";"#),
    );
    let root = Nix::Machine.build(&["--expr", &expression("hostile")]);
    let closure = Nix::Machine.closure(&[&root]);

    let (directory, names) = in_directory("");
    assert_eq!(names, ["ext4-fs.img", "nix-path-registration"]);
    assert_eq!(digest(&directory.join("ext4-fs.img")), digest(&plain));

    let (directory, names) = in_directory(r#"compressImage = true; imageName = "A disk.zst";"#);
    assert_eq!(names, ["A disk.zst", "nix-path-registration"]);
    let image = unpacked(&directory.join("A disk.zst"));
    assert_eq!(digest(&image), digest(&plain));

    // Beside the image it stands even if it does not stand in it.
    let (directory, names) = in_directory(r#"registration = false; imageName = "root.img";"#);
    assert_eq!(names, ["nix-path-registration", "root.img"]);
    let registration = fs::read_to_string(directory.join("nix-path-registration")).unwrap();
    assert_eq!(PathInfo::parse(&registration), closure);
    let image = copied(&directory.join("root.img"));
    let mounted = Mounted::read_only(&image);
    assert!(!mounted.root().join("nix-path-registration").exists());
    assert!(
        mounted
            .root()
            .join(root.strip_prefix('/').unwrap())
            .is_dir()
    );
}

#[test]
fn an_image_of_no_store_paths_has_an_empty_store() {
    for nix in Nix::ALL {
        let arguments = r#"storePaths = [ ]; volumeLabel = ""; freeBytes = 0; freeInodes = 0;"#;
        let image = build(nix, &make_ext4_fs(arguments));
        let mounted = Mounted::read_only(&image);
        let store = mounted.root().join("nix/store");
        assert_eq!(fs::read_dir(store).unwrap().count(), 0);
        let registration = mounted.root().join("nix-path-registration");
        assert_eq!(entry(&registration).kind, file(""));
        assert_eq!(beside_the_closure(mounted.root()), BTreeMap::new());
    }
}
