//! Disks that Nix builds in its sandbox with our functions, started by firmware: the system on
//! them finds its root, verifies its store, and says so. And the same disks of every Nix.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::bootable::{Bootable, in_store};
use crate::support::built::{digest, path};
use crate::support::env;
use crate::support::firmware::{assert_booted, boot_bios, boot_sd_card, boot_uefi};
use crate::support::nix::Nix;
use crate::support::qemu::Drive;
use crate::support::{stand_in, temporary};

/// The disk `file` in the attribute `attribute` of `tests/nix/disks.nix`, with a system that boots.
#[track_caller]
fn disk(attribute: &str, file: &str, format: &'static str) -> Drive {
    let system = Bootable::x86_64().system;
    let toplevel = format!("toplevel = builtins.storePath {system};");
    let built = Nix::Machine.build(&["--expr", &stand_in::disk(attribute, &toplevel)]);
    Drive::of_store(Path::new(&built).join(file), format)
}

#[test]
fn a_hybrid_disk_boots_by_bios_and_by_uefi() {
    let disk = disk("hybrid", "nixos.img", "raw");
    for is_uefi in [false, true] {
        let boot = if is_uefi { boot_uefi } else { boot_bios };
        let told = "BOOT_IMAGE=(hd0,gpt1)/kernels/";
        assert_booted(&boot(&disk), told, is_uefi, "/dev/vda3");
    }
}

#[test]
fn an_efi_disk_in_qcow2_boots_with_systemd_boot() {
    let attribute = r#"of "systemd-boot" { partitionTableType = "efi"; format = "qcow2"; }"#;
    let said = boot_uefi(&disk(attribute, "nixos.qcow2", "qcow2"));
    assert_booted(&said, r"initrd=\EFI\nixos\", true, "/dev/vda2");
}

#[test]
fn a_legacy_disk_in_vhd_boots_by_bios() {
    let attribute = r#"of "bios" { partitionTableType = "legacy"; format = "vpc"; }"#;
    let said = boot_bios(&disk(attribute, "nixos.vhd", "vpc"));
    let told = "BOOT_IMAGE=(hd0,msdos1)/nix/store/";
    assert_booted(&said, told, false, "/dev/vda1");
}

#[test]
fn an_image_for_ec2_boots_by_bios() {
    let said = boot_bios(&disk(r#"amazon "bios""#, "nixos-amazon.vhd", "vpc"));
    let told = "BOOT_IMAGE=(hd0,gpt2)/nix/store/";
    assert_booted(&said, told, false, "/dev/vda2");
}

#[test]
fn an_sd_image_boots_by_uboot() {
    let system = Bootable::aarch64();
    let arguments = format!(
        r#"system = builtins.storePath {toplevel};
           compressImage = false;
           populateRootCommands = "";
           contents = [ {{ source = builtins.storePath {sums}; target = "/sums"; }} ];
           bootFiles = [ {{
             extlinux = {{
               system = builtins.storePath {toplevel};
               timeout = 1;
               dtbName = "virt/qemu.dtb";
             }};
             target = "/boot";
           }} ];"#,
        toplevel = system.system,
        sums = in_store("sums", system.sums().as_bytes()),
    );
    let built = Nix::Machine.build(&["--expr", &stand_in::card("image", &arguments)]);
    let image = Path::new(&built).join("sd-image/card.img");
    let said = boot_sd_card(&Drive::of_store(image, "raw"));
    assert_booted(&said, "booted with init=", false, "/dev/vda2");
}

/// A system that names all that a boot loader wants, of the same few files in every Nix.
struct Small(tempfile::TempDir);

impl Small {
    #[track_caller]
    fn new() -> Self {
        let directory = temporary::directory();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("files")).unwrap();
        fs::write(at("files/Image"), "kernel").unwrap();
        fs::write(at("files/initrd"), "initrd").unwrap();
        let busybox = env::small_closure().join("bin/busybox");
        fs::copy(busybox, at("files/busybox")).unwrap();
        fs::create_dir(at("efi")).unwrap();
        fs::write(at("efi/systemd-bootx64.efi"), "a program").unwrap();
        Self(directory)
    }

    /// The disk `file` that `nix` builds with more `arguments`.
    #[track_caller]
    fn disk(&self, nix: Nix, arguments: &str, file: &str) -> PathBuf {
        let toplevel = format!(
            r#"systemdBoot = toString {efi};
               toplevel =
                 let
                   files = builtins.path {{ name = "files"; path = {files}; }};
                 in
                 import {bootable} {{
                   shell = "${{files}}/busybox";
                   kernel = files;
                   initrd = files;
                   busybox = files;
                   kernelParams = [ ];
                   verify = "true";
                 }};"#,
            efi = path(&self.0.path().join("efi")),
            files = path(&self.0.path().join("files")),
            bootable = path(&env::checkout().join("tests/closures/bootable.nix")),
        );
        let attribute = format!(
            r#"of "systemd-boot" {{
                 partitionTableType = "efi";
                 bootSize = "16M";
                 additionalSpace = "1M";
                 {arguments}
               }}"#
        );
        let built = nix.build(&["--expr", &stand_in::disk(&attribute, &toplevel)]);
        nix.seen_from_outside(&built).join(file)
    }
}

#[test]
fn every_nix_makes_the_same_disk_in_each_container() {
    let small = Small::new();
    for (arguments, file) in [
        (r#"format = "raw";"#, "nixos.img"),
        (r#"format = "raw"; compressImage = true;"#, "nixos.img.zst"),
        (r#"format = "qcow2";"#, "nixos.qcow2"),
        (r#"format = "qcow2-compressed";"#, "nixos.qcow2"),
        (r#"format = "vpc";"#, "nixos.vhd"),
    ] {
        let expected = digest(&small.disk(Nix::Machine, arguments, file));
        for nix in Nix::all() {
            let found = digest(&small.disk(nix, arguments, file));
            assert_eq!(found, expected, "{nix:?}: {arguments}");
        }
    }
}
