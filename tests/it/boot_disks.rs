//! Disks that boot: made whole from attributes, started by firmware in a machine of QEMU's.
//! The system on them finds its root, verifies its store, and says so.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bootable::{Bootable, in_store};
use crate::support::command::run;
use crate::support::firmware::{assert_booted, boot_bios, boot_sd_card, boot_uefi};
use crate::support::fsck::e2fsck_is_silent;
use crate::support::qemu::Drive;
use crate::support::temporary;

const MIB: u64 = 1 << 20;
const DISK_GUID: &str = "97fd5997-d90b-4aa3-8d16-c1723aea73c1";

#[test]
fn a_gpt_disk_in_qcow2_boots_by_bios_and_grows_to_64_gib() {
    const DISK_BYTES: u64 = 64 << 30;
    let system = Bootable::x86_64();
    let mut image = gpt(&[bios_boot(), root("nixos")]);
    image["bootFiles"] = json!([grub(&system)]);
    image["disk"]["grub"] = grub_code();
    image["contents"] = json!([{ "source": in_store("grow", b""), "target": "/grow" }]);
    image["container"] = json!("qcow2");
    let disk = system.disk(image);
    let path = disk.path();
    run(Command::new("qemu-img").args(["check", "-q"]).arg(&path));
    let size = DISK_BYTES.to_string();
    run(Command::new("qemu-img")
        .args(["resize", "-q"])
        .arg(&path)
        .arg(size));

    let said = boot_bios(&Drive {
        format: "qcow2",
        ..Drive::plain(&path)
    });
    assert_booted(
        &said,
        "BOOT_IMAGE=(hd0,gpt2)/nix/store/",
        false,
        "/dev/vda2",
    );
    // The last sectors are the backup table's.
    let last = "The filesystem on /dev/vda2 is now 16776699 (4k) blocks long.";
    assert!(said.contains(last), "{said}");

    let plain = temporary::directory();
    let plain = plain.path().join("disk");
    let mut convert = Command::new("qemu-img");
    run(convert
        .args(["convert", "-O", "raw"])
        .arg(&path)
        .arg(&plain));
    assert_eq!(fs::metadata(&plain).unwrap().len(), DISK_BYTES);
    assert_sound(&plain, 2 * MIB);
    assert_gpt_sound(&plain);
}

#[test]
fn an_mbr_disk_boots_by_bios_from_the_gap() {
    let system = Bootable::x86_64();
    let disk = system.disk(json!({
        "bootFiles": [grub(&system)],
        "disk": {
            "table": "mbr", "id": "0x2178694e", "partitions": [root("nixos")], "grub": grub_code(),
        },
    }));
    assert_sound(&disk.path(), MIB);
    let said = boot_bios(&Drive::plain(&disk.path()));
    assert_booted(
        &said,
        "BOOT_IMAGE=(hd0,msdos1)/nix/store/",
        false,
        "/dev/vda1",
    );
    assert_sound(&disk.path(), MIB);
}

#[test]
fn a_disk_boots_by_uefi_with_systemd_boot_from_its_esp() {
    const PROGRAM: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
    let system = Bootable::x86_64();
    let efi = in_store("systemd-bootx64.efi", &fs::read(PROGRAM).unwrap());
    let loader = json!({ "systemdBoot": { "system": system.system, "timeout": 0, "efi": efi } });
    let fat = json!({ "label": "ESP", "freeBytes": MIB, "bootFiles": [loader] });
    let disk = system.disk(gpt(&[esp(&fat), root("nixos")]));
    assert_gpt_sound(&disk.path());
    let said = boot_uefi(&Drive::plain(&disk.path()));
    assert_booted(&said, r"initrd=\EFI\nixos\", true, "/dev/vda2");
}

#[test]
fn a_disk_with_both_boots_by_bios_and_by_uefi() {
    let system = Bootable::x86_64();
    let program = grub_image("x86_64-efi", "grubx64.efi", &[]);
    let item = json!({ "source": program, "target": "/EFI/BOOT/BOOTX64.EFI" });
    let fat = json!({ "label": "ESP", "contents": [item] });
    let mut image = gpt(&[bios_boot(), esp(&fat), root("nixos")]);
    image["bootFiles"] = json!([grub(&system)]);
    image["disk"]["grub"] = grub_code();
    let disk = system.disk(image);
    assert_gpt_sound(&disk.path());
    let drive = Drive::plain(&disk.path());
    for is_uefi in [false, true] {
        let boot = if is_uefi { boot_uefi } else { boot_bios };
        assert_booted(
            &boot(&drive),
            "BOOT_IMAGE=(hd0,gpt3)/nix/store/",
            is_uefi,
            "/dev/vda3",
        );
    }
}

#[test]
fn an_sd_card_boots_by_uboot_from_extlinux() {
    let system = Bootable::aarch64();
    let sums = in_store("sums", system.sums().as_bytes());
    let fat = json!({ "label": "FIRMWARE", "volumeId": "0x2178694e" });
    let mut linux = root("NIXOS_SD");
    linux["bootable"] = json!(true);
    let disk = system.disk(json!({
        "contents": [{ "source": sums, "target": "/sums" }],
        "bootFiles": [{
            "extlinux": { "system": system.system, "timeout": 0, "dtbName": "virt/qemu.dtb" },
        }],
        "disk": {
            "table": "mbr", "id": "0x2178694e", "align": 8 * MIB,
            "partitions": [
                { "name": "FIRMWARE", "type": "0x0b", "size": 30 * MIB, "content": { "fat": fat } },
                linux,
            ],
        },
    }));
    assert_sound(&disk.path(), 40 * MIB);

    let said = boot_sd_card(&Drive::plain(&disk.path()));
    assert_booted(&said, "booted with init=", false, "/dev/vda2");
    assert_sound(&disk.path(), 40 * MIB);
}

#[test]
fn grub_takes_the_configuration_as_a_script() {
    let system = Bootable::x86_64();
    let mut loader = grub(&system);
    loader["grub"]["extraConfig"] = json!("serial --unit=0\nif true; then set x='a b'; fi");
    let disk = system.disk(json!({
        "bootFiles": [loader],
        "disk": { "table": "none", "partitions": [root("nixos")] },
    }));
    let mut debugfs = Command::new("debugfs");
    let text = run(debugfs
        .args(["-R", "cat /boot/grub/grub.cfg"])
        .arg(disk.path()));
    assert!(text.contains("menuentry \"NixOS\""), "{text}");
    let directory = temporary::directory();
    let file = directory.path().join("grub.cfg");
    fs::write(&file, text).unwrap();
    run(Command::new("grub-script-check").arg(&file));
}

/// A disk of `partitions`.
fn gpt(partitions: &[Value]) -> Value {
    json!({ "disk": { "table": "gpt", "guid": DISK_GUID, "partitions": partitions } })
}

fn bios_boot() -> Value {
    json!({ "name": "bios", "type": "bios-boot", "size": MIB })
}

fn esp(fat: &Value) -> Value {
    json!({ "name": "ESP", "type": "esp", "content": { "fat": fat } })
}

fn root(label: &str) -> Value {
    json!({ "name": "root", "type": "linux", "content": { "ext4": { "label": label } } })
}

fn grub(system: &Bootable) -> Value {
    json!({ "grub": { "system": system.system, "timeout": 0, "search": { "label": "nixos" } } })
}

/// GRUB's code for a BIOS.
fn grub_code() -> Value {
    let boot = fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap();
    json!({
        "boot": in_store("boot.img", &boot),
        "core": grub_image("i386-pc", "core.img", &["biosdisk"]),
    })
}

/// A GRUB that finds its configuration on the root, with `modules` beside what all need.
#[track_caller]
fn grub_image(platform: &str, name: &str, modules: &[&str]) -> String {
    const MODULES: [&str; 10] = [
        "configfile",
        "echo",
        "ext2",
        "fat",
        "linux",
        "normal",
        "part_gpt",
        "part_msdos",
        "search",
        "search_label",
    ];
    let directory = temporary::directory();
    let early = directory.path().join("early.cfg");
    let image = directory.path().join(name);
    let text = "search --no-floppy --set=root --label nixos\nset prefix=($root)/boot/grub\n";
    fs::write(&early, text).unwrap();
    let mut grub_mkimage = Command::new("grub-mkimage");
    grub_mkimage
        .args(["-O", platform, "-p", "/boot/grub", "-c"])
        .arg(&early)
        .arg("-o")
        .arg(&image)
        .args(modules)
        .args(MODULES);
    run(&mut grub_mkimage);
    in_store(name, &fs::read(&image).unwrap())
}

/// That the table and the ext4 filesystem at byte `start` have no faults.
#[track_caller]
fn assert_sound(disk: &Path, start: u64) {
    run(Command::new("sfdisk").arg("--verify").arg(disk));
    let filesystem = format!("{}?offset={start}", disk.display());
    e2fsck_is_silent(Path::new(&filesystem));
}

/// The same of a GPT, with its backup.
#[track_caller]
fn assert_gpt_sound(disk: &Path) {
    let said = run(Command::new("sgdisk").arg("--verify").arg(disk));
    assert!(said.contains("No problems found."), "{said}");
}
