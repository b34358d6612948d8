//! Disks that Nix builds in its sandbox, from the arguments of nixpkgs' functions: their tables,
//! what stands in their partitions, and what stands beside them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::mount::Mounted;
use crate::support::nix::Nix;
use crate::support::partitions::{extracted, table};
use crate::support::stand_in::disk;
use crate::support::temporary;

/// What is built of the attribute `name`: a directory.
#[track_caller]
fn built(name: &str) -> PathBuf {
    Nix::Machine.build(&["--expr", &disk(name, "")]).into()
}

/// The only disk image of this name in what is built.
#[track_caller]
fn image(name: &str) -> PathBuf {
    built(name).join("nixos.img")
}

/// The partitions, without the size of the last of the disk, which is the content's.
#[track_caller]
fn partitions(image: &Path) -> Vec<Value> {
    let mut table = table(image);
    let mut rows: Vec<Value> = table["partitions"].as_array_mut().unwrap().split_off(0);
    let last = rows
        .iter()
        .map(|row| row["start"].as_u64().unwrap())
        .max()
        .unwrap();
    for row in &mut rows {
        let is_last = row["start"].as_u64() == Some(last);
        let row = row.as_object_mut().unwrap();
        row.remove("node");
        if is_last {
            row.remove("size");
        }
    }
    rows
}

/// The paths of all files in the FAT filesystem of this number, which fsck.fat finds sound.
#[track_caller]
fn fat_files(image: &Path, number: usize) -> BTreeSet<String> {
    let partition = extracted(image, number);
    run(Command::new("fsck.fat").arg("-n").arg(&partition.file));
    let listing = run(Command::new("mdir")
        .args(["-b", "-/", "-a", "-i"])
        .arg(&partition.file)
        .arg("::"));
    listing
        .lines()
        .filter(|line| !line.ends_with('/'))
        .map(|line| line.trim_start_matches("::").to_owned())
        .collect()
}

/// The names in `files` below which something stands that begins with the store's hash, with the
/// hash left out: `/EFI/nixos/HASH-linux-bzImage.efi` as `/EFI/nixos/linux-bzImage.efi`.
fn without_hashes(files: &BTreeSet<String>) -> BTreeSet<String> {
    files
        .iter()
        .map(|file| {
            let (directory, name) = file.rsplit_once('/').unwrap_or(("", file));
            let name = match name.split_once('-') {
                Some((hash, rest)) if hash.len() == 32 => rest,
                _ => name,
            };
            format!("{directory}/{name}")
        })
        .collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const XBOOTLDR: &str = "BC13C2FF-59E6-4262-A352-B275FD6F7172";
const BIOS_BOOT: &str = "21686148-6449-6E6F-744E-656564454649";
const FIRST: &str = "1C06F03B-704E-4657-B9CD-681A087A2FDC";
const SECOND: &str = "970C694F-AFD0-4B99-B750-CDB7A329AB6F";
const ROOT: &str = "F222513B-DED1-49FA-B591-20CE86A2FE7F";
const DISK: &str = "97FD5997-D90B-4AA3-8D16-C1723AEA73C0";

/// Sectors of a MiB.
const MIB: u64 = 2048;

#[test]
fn each_table_has_the_partitions_of_nixpkgs() {
    let esp = |end: u64| {
        json!({
            "start": 8 * MIB, "size": (end - 8) * MIB, "type": ESP, "uuid": FIRST, "name": "ESP"
        })
    };
    let root = |start: u64, name| json!({ "start": start * MIB, "type": LINUX, "uuid": ROOT, "name": name });
    for (name, expected) in [
        ("legacy", vec![json!({ "start": MIB, "type": "83" })]),
        (
            "legacy-boot",
            vec![
                json!({ "start": MIB, "size": 127 * MIB, "type": "c", "bootable": true }),
                json!({ "start": 128 * MIB, "type": "83" }),
            ],
        ),
        (
            "legacy-gpt",
            vec![
                json!({ "start": MIB, "size": MIB, "type": BIOS_BOOT, "uuid": FIRST, "name": "no-fs" }),
                root(2, "primary"),
            ],
        ),
        ("efi", vec![esp(128), root(128, "primary")]),
        (
            "efixbootldr",
            vec![
                esp(100),
                json!({
                    "start": 100 * MIB, "size": 28 * MIB, "type": XBOOTLDR, "uuid": SECOND, "name": "BOOT"
                }),
                root(128, "ROOT"),
            ],
        ),
        (
            "hybrid",
            vec![
                esp(128),
                json!({
                    "start": 34, "size": MIB - 34, "type": BIOS_BOOT, "uuid": SECOND, "name": "no-fs"
                }),
                root(128, "primary"),
            ],
        ),
    ] {
        let image = image(name);
        assert_eq!(partitions(&image), expected, "{name}");
        let id = table(&image)["id"].take();
        let is_mbr = matches!(name, "legacy" | "legacy-boot");
        assert_eq!(id, if is_mbr { "0xf222513b" } else { DISK }, "{name}");
        assert_eq!(fs::metadata(&image).unwrap().len() % (1 << 20), 0, "{name}");
    }
}

#[test]
fn the_root_owns_its_store_and_holds_contents() {
    let system = Nix::Machine.build(&["--expr", &disk("toplevel", "")]);
    for (name, number) in [("legacy-gpt", 2), ("hybrid", 3)] {
        let root = extracted(&image(name), number);
        e2fsck_is_silent(&root.file);
        let mounted = Mounted::read_only(&root.file);
        let root = mounted.root();
        let profile = root.join("nix/var/nix/profiles/system-1-link");
        assert_eq!(profile.read_link().unwrap(), Path::new(&system));
        assert!(root.join("nix/var/nix/db/db.sqlite").is_file());
        assert!(!root.join("nix-path-registration").exists());

        for inner in ["srv", "srv/bin", "srv/bin/program"] {
            let metadata = fs::metadata(root.join(inner)).unwrap();
            let found = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
            assert_eq!(found, (0o750, 1000, 100), "{inner}");
        }
        assert!(root.join("programs/program").is_file());
    }
}

#[test]
fn a_disk_without_a_table_is_the_filesystem() {
    let image = image("none");
    e2fsck_is_silent(&image);
    let mounted = Mounted::read_only(&image);
    let boot = mounted.root().join("boot");
    let conf = fs::read_to_string(boot.join("extlinux/extlinux.conf")).unwrap();
    assert!(conf.contains("LINUX ../nixos/"), "{conf}");
}

#[test]
fn systemd_boot_stands_on_the_esp_or_on_two_partitions() {
    let loader = [
        "/EFI/BOOT/BOOTX64.EFI",
        "/EFI/systemd/systemd-bootx64.efi",
        "/loader/loader.conf",
    ];
    let entries = [
        "/EFI/nixos/linux-bzImage.efi",
        "/EFI/nixos/initrd-initrd.efi",
        "/loader/entries/nixos-generation-1.conf",
    ];
    let esp = without_hashes(&fat_files(&image("efi"), 1));
    let both = names(&[loader, entries].concat());
    assert!(both.is_subset(&esp), "{esp:?}");

    let image = image("efixbootldr");
    let esp = without_hashes(&fat_files(&image, 1));
    assert!(names(&loader).is_subset(&esp), "{esp:?}");
    assert!(names(&entries).is_disjoint(&esp), "{esp:?}");
    let boot = without_hashes(&fat_files(&image, 2));
    assert!(names(&entries).is_subset(&boot), "{boot:?}");
    assert!(names(&loader).is_disjoint(&boot), "{boot:?}");
}

/// Whether GRUB's code is in the first sector, and the table behind it whole.
#[track_caller]
fn starts_with_grub(image: &Path) -> bool {
    let mut sector = [0; 512];
    let file = fs::File::open(image).unwrap();
    file.read_exact_at(&mut sector, 0).unwrap();
    sector[..440].windows(4).any(|bytes| bytes == b"GRUB") && sector[510..] == [0x55, 0xaa]
}

#[test]
fn grub_reads_its_menu_in_the_root_or_on_the_boot_partition() {
    for name in ["legacy", "legacy-gpt"] {
        let image = image(name);
        assert!(starts_with_grub(&image), "{name}");
        let number = if name == "legacy" { 1 } else { 2 };
        let root = extracted(&image, number);
        let mounted = Mounted::read_only(&root.file);
        let menu = fs::read_to_string(mounted.root().join("boot/grub/grub.cfg")).unwrap();
        assert!(menu.contains("/nix/store/"), "{menu}");
    }
    for (name, removable) in [("legacy-boot", false), ("hybrid", true)] {
        let image = image(name);
        assert!(starts_with_grub(&image), "{name}");
        let files = without_hashes(&fat_files(&image, 1));
        let expected = names(&[
            "/grub/grub.cfg",
            "/kernels/linux-bzImage",
            "/kernels/initrd-initrd",
        ]);
        assert!(expected.is_subset(&files), "{name}: {files:?}");
        let found = files.contains("/EFI/BOOT/BOOTX64.EFI");
        assert_eq!(found, removable, "{name}");
    }
    assert!(!starts_with_grub(&image("efi")));
}

#[test]
fn every_format_holds_the_same_disk() {
    let raw = image("raw");
    assert_eq!(fs::metadata(&raw).unwrap().len(), 256 << 20);
    for (name, file, format) in [
        ("qcow2", "nixos.qcow2", "qcow2"),
        ("vpc", "nixos.vhd", "vpc"),
    ] {
        let image = built(name).join(file);
        run(Command::new("qemu-img")
            .args(["compare", "-f", "raw", "-F", format])
            .args([&raw, &image]));
    }
}

#[test]
fn what_hydra_wants_stands_beside_the_image() {
    for (name, format, file) in [
        ("raw", "raw", "nixos.img"),
        ("qcow2", "qcow2", "nixos.qcow2"),
    ] {
        let directory = built(name);
        let products = directory.join("nix-support/hydra-build-products");
        assert_eq!(
            fs::read_to_string(products).unwrap(),
            format!("file {format}-image {}/{file}\n", directory.display())
        );
    }
}

#[test]
fn with_only_the_store_the_root_is_its_content() {
    let image = image("store");
    e2fsck_is_silent(&image);
    let system = Nix::Machine.build(&["--expr", &disk("toplevel", "")]);
    let system = Path::new(&system).file_name().unwrap().to_owned();
    let mounted = Mounted::read_only(&image);
    assert!(mounted.root().join(system).join("boot.json").is_file());
    assert!(!mounted.root().join("nix").exists());
}

#[test]
fn the_channel_of_root_is_nixpkgs() {
    let root = extracted(&image("channel"), 1);
    let mounted = Mounted::read_only(&root.file);
    let profiles = mounted.root().join("nix/var/nix/profiles/per-user/root");
    let channel = profiles.join("channels-1-link").read_link().unwrap();
    let channel = mounted.root().join(channel.strip_prefix("/").unwrap());
    let suffix = fs::read_to_string(channel.join("nixos/.version-suffix")).unwrap();
    assert_eq!(suffix, ".test");
    assert_eq!(
        channel.join("nixos/nixpkgs").read_link().unwrap(),
        Path::new(".")
    );
}

#[test]
fn post_vm_edits_a_copy_of_the_image() {
    let directory = built("after");
    let mut start = [0; 7];
    let file = fs::File::open(directory.join("renamed.img")).unwrap();
    file.read_exact_at(&mut start, 0).unwrap();
    assert_eq!(&start, b"changed");
    assert!(!directory.join("nixos.img").exists());
    let products = fs::read_to_string(directory.join("nix-support/hydra-build-products")).unwrap();
    assert_eq!(
        products,
        format!("file raw-image {}/nixos.img\n", directory.display())
    );
}

#[test]
fn an_image_for_ec2_says_what_it_is() {
    for (boot, mode) in [
        ("bios", "legacy-bios"),
        ("uefi", "uefi"),
        ("hybrid", "uefi-preferred"),
    ] {
        let directory = built(&format!("amazon \"{boot}\""));
        let file = directory.join("nixos-amazon.vhd");
        assert!(file.is_file());
        let support = directory.join("nix-support");
        let products = fs::read_to_string(support.join("hydra-build-products")).unwrap();
        assert_eq!(products, format!("file vpc {}\n", file.display()));
        let info = fs::read_to_string(support.join("image-info.json")).unwrap();
        let info: Value = serde_json::from_str(&info).unwrap();
        let bytes = (512u64 << 20).to_string();
        assert_eq!(
            info,
            json!({
                "label": "26.05.test",
                "boot_mode": mode,
                "system": "x86_64-linux",
                "logical_bytes": bytes,
                "file": file,
                "disks": { "root": { "logical_bytes": bytes, "file": file } },
                "format": "VHD",
            })
        );

        let scratch = temporary::directory();
        let raw = scratch.path().join("raw");
        run(Command::new("qemu-img")
            .args(["convert", "-O", "raw"])
            .args([&file, &raw]));
        let types: Vec<Value> = partitions(&raw)
            .iter_mut()
            .map(|row| row["type"].take())
            .collect();
        let expected: &[&str] = match boot {
            "bios" => &[BIOS_BOOT, LINUX],
            "uefi" => &[ESP, LINUX],
            _ => &[ESP, BIOS_BOOT, LINUX],
        };
        assert_eq!(types, expected);
    }
}
