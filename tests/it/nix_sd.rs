//! SD cards that Nix builds, as the tools of partitions and filesystems see them.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::built::digest;
use crate::support::command::run;
use crate::support::env;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::mount::Mounted;
use crate::support::nix::Nix;
use crate::support::partitions::{extracted, table};
use crate::support::stand_in;
use crate::support::temporary;

const MEBIBYTE: u64 = 1 << 20;

/// What `nix` built: the result's path, as Nix calls it and as we do.
struct Card {
    store_path: String,
    directory: PathBuf,
}

impl Card {
    #[track_caller]
    fn build(nix: Nix, arguments: &str) -> Self {
        let store_path = nix.build(&["--expr", &stand_in::card("image", arguments)]);
        let directory = nix.seen_from_outside(&store_path);
        Self {
            store_path,
            directory,
        }
    }

    fn image(&self, name: &str) -> PathBuf {
        self.directory.join("sd-image").join(name)
    }

    /// A file of `nix-support`.
    #[track_caller]
    fn support(&self, name: &str) -> String {
        fs::read_to_string(self.directory.join("nix-support").join(name)).unwrap()
    }
}

/// A card without compression.
#[track_caller]
fn plain(nix: Nix, arguments: &str) -> PathBuf {
    Card::build(nix, &format!("compressImage = false; {arguments}")).image("card.img")
}

#[test]
fn a_card_has_nixpkgs_table_and_the_result_its_shape() {
    let result = Card::build(Nix::Machine, "compressImage = false;");
    let card = result.image("card.img");
    let bytes = fs::metadata(&card).unwrap().len();
    assert_eq!(bytes % MEBIBYTE, 0, "{bytes}");

    let table = table(&card);
    assert_eq!(table["label"], "dos");
    assert_eq!(table["id"], "0x2178694e");
    let partitions: Vec<Value> = table["partitions"].as_array().unwrap().clone();
    let [firmware, root] = &partitions[..] else {
        panic!("{partitions:?}");
    };
    let of_mebibytes = |mebibytes: u64| json!(mebibytes * MEBIBYTE / 512);
    assert_eq!(firmware["start"], of_mebibytes(8));
    assert_eq!(firmware["size"], of_mebibytes(30));
    assert_eq!(firmware["type"], "b");
    assert_ne!(firmware["bootable"], true);
    assert_eq!(root["start"], of_mebibytes(38));
    assert_eq!(root["type"], "83");
    assert_eq!(root["bootable"], true);
    let end = root["start"].as_u64().unwrap() + root["size"].as_u64().unwrap();
    assert!(bytes - end * 512 < MEBIBYTE, "the root is last");

    let product = format!("file sd-image {}/sd-image/card.img\n", result.store_path);
    assert_eq!(result.support("hydra-build-products"), product);
    let system = Nix::Machine.evaluate("builtins.currentSystem");
    assert_eq!(result.support("system").trim_end(), system);
}

#[test]
fn the_boot_loader_stands_before_the_partitions() {
    let card = plain(Nix::Machine, "");
    let program = fs::read(env::checkout().join("tests/nix/package/bin/program")).unwrap();
    let mut file = File::open(card).unwrap();
    file.seek(SeekFrom::Start(8192)).unwrap();
    let mut found = vec![0; program.len()];
    file.read_exact(&mut found).unwrap();
    assert_eq!(found, program);
}

/// What `program` of mtools, with `arguments`, says of a FAT filesystem.
#[track_caller]
fn mtools(program: &str, fat: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.env("MTOOLSRC", "/dev/null").env("TZ", "UTC");
    run(command.arg("-i").arg(fat).args(arguments))
}

#[test]
fn the_firmware_partition_is_sound_and_holds_its_files() {
    let firmware = extracted(&plain(Nix::Machine, ""), 1);
    let fat = &firmware.file;
    run(Command::new("fsck.fat").arg("-n").arg(fat));

    let listed = mtools("mdir", fat, &["-b", "-/", "::"]);
    let mut names: Vec<&str> = listed.lines().collect();
    names.sort_unstable();
    let expected = [
        "::/a long name.bin",
        "::/config.txt",
        "::/overlays/",
        "::/overlays/link.txt",
    ];
    assert_eq!(names, expected);
    for name in ["::config.txt", "::overlays/link.txt"] {
        assert_eq!(mtools("mtype", fat, &[name]), "arm_64bit=1\n", "{name}");
    }
    let long = mtools("mdir", fat, &["::"]);
    assert!(long.contains("Volume in drive : is FIRMWARE"), "{long}");
    assert!(long.contains("Volume Serial Number is 2178-694E"), "{long}");
    let line = long.lines().find(|line| line.contains("config")).unwrap();
    assert!(line.contains("2000-01-01"), "{line}");
}

#[test]
fn the_root_partition_is_sound_and_owns_its_store() {
    let root = extracted(&plain(Nix::Machine, ""), 2);
    e2fsck_is_silent(&root.file);
    let mounted = Mounted::read_only(&root.file);
    let at = |name: &str| mounted.root().join(name);
    assert_eq!(
        fs::read_to_string(at("boot/extlinux/extlinux.conf")).unwrap(),
        "DEFAULT nixos\n"
    );
    assert!(at("etc/program").is_file());
    assert!(at("nix/var/nix/db/db.sqlite").is_file());
    assert_eq!(fs::read(at("nix-path-registration")).unwrap(), b"");
}

/// What a Nix database says of store paths. Newer ones make tables beside it, for other things.
#[track_caller]
fn database(root: &Path) -> String {
    let database = root.join("nix/var/nix/db/db.sqlite");
    let rows = "SELECT * FROM ValidPaths ORDER BY id; SELECT * FROM Refs ORDER BY 1, 2;";
    run(Command::new("sqlite3").arg(database).arg(rows))
}

/// What nixpkgs' first boot runs once the root has grown: it loads the registration, and sets the
/// profile.
#[track_caller]
fn first_boot(nix: Nix, root: &Path, system: &str) {
    let mut load = nix.command("sh");
    load.args([
        "-euc",
        r#"nix-store --store "$0" --load-db <"$0/nix-path-registration""#,
    ]);
    run(load.arg(root));
    let mut set = nix.command("nix-env");
    set.arg("--store").arg(root).arg("--profile");
    set.arg(root.join("nix/var/nix/profiles/system"));
    run(set.args(["--set", system]));
}

/// The links of the system profile: names and targets.
#[track_caller]
fn generations(root: &Path) -> Vec<(String, PathBuf)> {
    let profiles = fs::read_dir(root.join("nix/var/nix/profiles")).unwrap();
    let mut links: Vec<_> = profiles
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_symlink())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, path.read_link().unwrap())
        })
        .collect();
    links.sort();
    links
}

#[test]
fn nixpkgs_first_boot_finds_nothing_to_load() {
    let system = Nix::Machine.evaluate(&format!("\"${{{}}}\"", stand_in::card("toplevel", "")));
    for nix in Nix::all() {
        let root = extracted(&plain(Nix::Machine, ""), 2);
        let mounted = Mounted::writable_where_every_nix_sees_it(&root.file);
        let before = (database(mounted.root()), generations(mounted.root()));
        first_boot(nix, mounted.root(), system.as_str().unwrap());
        let after = (database(mounted.root()), generations(mounted.root()));
        assert_eq!(after, before, "{nix:?}");
    }
}

/// Why the registration is empty.
#[test]
fn a_full_registration_would_take_content_addresses_away() {
    let system = Nix::Machine.evaluate(&format!("\"${{{}}}\"", stand_in::card("toplevel", "")));
    let root = extracted(&plain(Nix::Machine, "registration = true;"), 2);
    let mounted = Mounted::writable_where_every_nix_sees_it(&root.file);
    assert!(database(mounted.root()).contains("text:sha256:"));
    first_boot(Nix::Machine, mounted.root(), system.as_str().unwrap());
    assert!(!database(mounted.root()).contains("text:sha256:"));
}

/// The SHA-256 of what zstd makes of a compressed image.
#[track_caller]
fn unpacked_digest(compressed: &Path) -> String {
    let directory = temporary::directory();
    let image = directory.path().join("card.img");
    let from = File::open(compressed).unwrap();
    zstd::stream::copy_decode(from, File::create(&image).unwrap()).unwrap();
    digest(&image)
}

#[test]
fn every_nix_makes_the_same_card_and_a_compressed_one_is_the_same() {
    let expected = digest(&plain(Nix::Machine, ""));
    for nix in Nix::all() {
        assert_eq!(digest(&plain(nix, "")), expected, "{nix:?}");
        let compressed = Card::build(nix, "").image("card.img.zst");
        assert_eq!(unpacked_digest(&compressed), expected, "{nix:?}");
    }
}

#[test]
fn hooks_edit_the_root_and_the_disk_in_a_result_of_the_same_shape() {
    let hooks = r#"
        preBuildCommands = "printf before | dd of=$root_fs bs=1 seek=64 conv=notrunc";
        postBuildCommands = "printf after | dd of=$img bs=1 seek=16384 conv=notrunc; touch $out/more";
    "#;
    let bytes_at = |card: &Path, offset: u64, length: usize| {
        let mut file = File::open(card).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        let mut found = vec![0; length];
        file.read_exact(&mut found).unwrap();
        found
    };
    for nix in Nix::all() {
        let result = Card::build(nix, &format!("compressImage = false; {hooks}"));
        let card = result.image("card.img");
        assert_eq!(bytes_at(&card, 38 * MEBIBYTE + 64, 6), b"before", "{nix:?}");
        assert_eq!(bytes_at(&card, 16384, 5), b"after", "{nix:?}");
        assert!(result.directory.join("more").is_file());
        let product = format!("file sd-image {}/sd-image/card.img\n", result.store_path);
        assert_eq!(result.support("hydra-build-products"), product);
    }
    // The machine's zstd is the one of the stand-in.
    let compressed = Card::build(Nix::Machine, hooks);
    let expected = digest(&plain(Nix::Machine, hooks));
    assert_eq!(unpacked_digest(&compressed.image("card.img.zst")), expected);
}

#[test]
fn a_hook_that_does_nothing_changes_nothing() {
    let expected = digest(&plain(Nix::Machine, ""));
    for hook in ["preBuildCommands", "postBuildCommands"] {
        let card = plain(Nix::Machine, &format!("{hook} = \":\";"));
        assert_eq!(digest(&card), expected, "{hook}");
    }
}
