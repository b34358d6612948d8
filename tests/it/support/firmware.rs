//! Disks started by firmware, as a machine without an operating system starts them.

use std::fs;

use super::qemu::{Drive, Machine};
use super::temporary;

/// What makes QEMU's aarch64 a board with U-Boot.
pub(crate) const U_BOOT: [&str; 6] = [
    "-M",
    "virt",
    "-cpu",
    "cortex-a57",
    "-bios",
    "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
];

/// What the machine says that starts `disk` by its BIOS.
#[track_caller]
pub(crate) fn boot_bios(disk: &Drive) -> String {
    Machine::start("x86_64", &[], disk).finish()
}

/// The same by UEFI, whose variables are a machine's own.
#[track_caller]
pub(crate) fn boot_uefi(disk: &Drive) -> String {
    let directory = temporary::directory();
    let variables = directory.path().join("variables");
    fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
    let code = "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd";
    let variables = format!("if=pflash,format=raw,file={}", variables.display());
    let arguments = ["-drive", code, "-drive", &variables];
    Machine::start("x86_64", &arguments, disk).finish()
}

/// The same of an SD card, by U-Boot, which finds `extlinux.conf` on it and the device tree
/// `virt/qemu.dtb` beside that.
#[track_caller]
pub(crate) fn boot_sd_card(disk: &Drive) -> String {
    let mut machine = Machine::start("aarch64", &U_BOOT, disk);
    machine.wait_for("Hit any key");
    // Boards have a place for device trees; this machine has its own in memory.
    machine.send(" ");
    machine.wait_for("\n=> ");
    machine.send("setenv fdt_addr_r 0x4f000000; boot\r");
    let said = machine.finish();
    for line in [
        "Found /boot/extlinux/extlinux.conf",
        "1:\tNixOS - Default",
        "-device-trees/virt/qemu.dtb",
        "Booting using the fdt blob at 0x4f000000",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    said
}

/// That a system came up from `partition`, told `told` by its boot loader, and found all well.
#[track_caller]
pub(crate) fn assert_booted(said: &str, told: &str, is_uefi: bool, partition: &str) {
    let firmware = if is_uefi { "by UEFI" } else { "by no UEFI" };
    for line in [
        told.to_owned(),
        format!("\n{firmware}"),
        format!("\nroot is {partition}"),
        "\nall done".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}\n{said}");
    }
    assert!(!said.contains("FAILED"), "{said}");
}
