//! systemd-boot: its configuration, its entries, and kernels and initrds where UEFI reads
//! them, as nixpkgs' `systemd-boot-builder.py` and `bootctl install` leave them.
//!
//! There is no random seed: it would be the same in every image.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path};

use super::boot_tree::BootTree;
use super::bootspec::{Bootspec, System};
use super::date;
use super::fault::BootFault;
use super::store_files::{StoreFile, StoreFiles};
use crate::spec::SystemdBoot;
use crate::store::{STORE_DIRECTORY, scan};
use crate::tree::{Kind, Tree};

/// The machines whose programs UEFI tells apart by name.
const MACHINES: &[&str] = &["x64", "aa64", "ia32", "arm", "riscv64", "loongarch64"];

const KERNELS: &str = "EFI/nixos";
const DEFAULT_ENTRY: &str = "nixos-generation-1.conf";

/// Puts all that `options` ask for into `tree`, whose top is that of the partition.
pub(super) fn put(
    tree: &mut BootTree,
    store: &StoreFiles<'_>,
    bootspec: &Bootspec,
    options: &SystemdBoot,
) -> Result<(), BootFault> {
    if !options.loader && !options.entries {
        return Err(BootFault::Nothing);
    }
    if options.loader {
        tree.text("loader/loader.conf", configuration(options));
        if let Some(efi) = &options.efi {
            put_program(tree, efi)?;
        }
    }
    if options.entries {
        tree.text("loader/entries.srel", "type1\n".into());
        put_entry(tree, store, DEFAULT_ENTRY, "NixOS", &bootspec.system)?;
        for (name, system) in &bootspec.specialisations {
            let file = format!("nixos-generation-1-specialisation-{name}.conf");
            put_entry(tree, store, &file, &format!("NixOS ({name})"), system)?;
        }
    }
    Ok(())
}

fn configuration(options: &SystemdBoot) -> String {
    let timeout = match options.timeout {
        Some(seconds) => seconds.to_string(),
        None => "menu-force".into(),
    };
    let editor = if options.editor { "" } else { "editor 0\n" };
    let console_mode = options.console_mode;
    format!("timeout {timeout}\ndefault {DEFAULT_ENTRY}\n{editor}console-mode {console_mode}\n")
}

fn put_program(tree: &mut BootTree, efi: &Path) -> Result<(), BootFault> {
    let name_fault = || BootFault::LoaderName {
        path: efi.into(),
        machines: MACHINES,
    };
    let name = efi.file_name().and_then(OsStr::to_str);
    let machine = name
        .and_then(machine)
        .filter(|machine| MACHINES.contains(machine) && is_in_store(efi))
        .ok_or_else(name_fault)?;
    let scanned = scan(efi, tree.time).map_err(|source| BootFault::LoaderScan { source })?;
    let Kind::File(source) = &scanned.node(Tree::ROOT).kind else {
        return Err(name_fault());
    };
    let from = efi.to_string_lossy();
    let installed = format!("systemd-boot{machine}.efi");
    tree.file("EFI/systemd", &installed, source, &from)?;
    let fallback = format!("BOOT{}.EFI", machine.to_uppercase());
    tree.file("EFI/BOOT", &fallback, source, &from)
}

/// The machine that a program is for, by its name, which may be that of a store path.
fn machine(name: &str) -> Option<&str> {
    let (before, machine) = name.strip_suffix(".efi")?.rsplit_once("systemd-boot")?;
    Some(machine).filter(|_| before.is_empty() || before.ends_with('-'))
}

fn is_in_store(path: &Path) -> bool {
    path.strip_prefix(STORE_DIRECTORY).is_ok_and(|below| {
        below
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
    })
}

fn put_entry(
    tree: &mut BootTree,
    store: &StoreFiles<'_>,
    file: &str,
    title: &str,
    system: &System,
) -> Result<(), BootFault> {
    let kernel = put_copy(tree, store, "the kernel", &system.kernel)?;
    let initrd = put_copy(tree, store, "the initrd", &system.initrd)?;
    let day = date::day(tree.time);
    let mut entry = format!(
        "title {title}\n\
         sort-key {sort_key}\n\
         version Generation 1 {label}, built on {day}\n\
         linux {kernel}\n\
         initrd {initrd}\n\
         options init={init} {parameters}\n",
        sort_key = system.sort_key,
        label = system.label,
        init = system.init,
        parameters = system.parameters.join(" "),
    );
    if let Some(devicetree) = &system.devicetree {
        let devicetree = put_copy(tree, store, "the device tree", devicetree)?;
        let written = writeln!(entry, "devicetree {devicetree}");
        written.expect("a string takes all text");
    }
    tree.text(&format!("loader/entries/{file}"), entry);
    Ok(())
}

/// Copies a file, and gives the path of the copy from the partition's top on.
fn put_copy(
    tree: &mut BootTree,
    store: &StoreFiles<'_>,
    what: &'static str,
    path: &str,
) -> Result<String, BootFault> {
    let file = store.find(what, path)?;
    let name = name_of_copy(&file);
    tree.file(KERNELS, &name, file.source(what)?, &file.path)?;
    Ok(format!("/{KERNELS}/{name}"))
}

/// The name of the store path and the last one of the path, with `.efi` after it.
fn name_of_copy(file: &StoreFile<'_>) -> String {
    let mut parts = file.parts();
    let store_path = parts.next().unwrap_or_default();
    match parts.last() {
        Some(last) => format!("{store_path}-{last}.efi"),
        None => format!("{store_path}.efi"),
    }
}
