//! `extlinux.conf`, as U-Boot reads it, with copies of kernel, initrd and device trees, as
//! nixpkgs' `extlinux-conf-builder.sh` leaves them.

use std::fmt::Write as _;

use super::boot_tree::BootTree;
use super::bootspec::{Bootspec, System};
use super::date;
use super::fault::BootFault;
use super::store_files::{StoreFile, StoreFiles};
use crate::spec::Extlinux;

const KERNELS: &str = "nixos";

/// Puts all that `options` ask for into `tree`, which stands in `/boot`.
pub(super) fn put(
    tree: &mut BootTree,
    store: &StoreFiles<'_>,
    bootspec: &Bootspec,
    options: &Extlinux,
) -> Result<(), BootFault> {
    let mut text = format!(
        "# Made by nix2image; nixos-rebuild writes it anew.\n\
         DEFAULT nixos-default\n\
         {title}TIMEOUT {timeout}\n",
        title = title(options.timeout),
        timeout = timeout(options.timeout),
    );
    let mut menu = Menu {
        tree,
        store,
        options,
    };
    let generation = menu.entry("1-default", &bootspec.system)?;
    let default = menu.entry("default", &bootspec.system)?;
    text.push_str(&default);
    text.push_str(&generation);
    // nixpkgs has them in this order.
    for (name, system) in bootspec.specialisations.iter().rev() {
        text.push_str(&menu.entry(&format!("1-{name}"), system)?);
    }
    tree.text("extlinux/extlinux.conf", text);
    Ok(())
}

/// The title of the menu, which has U-Boot show it and wait for a choice: for ever if it is to
/// wait no time. nixpkgs has it there then too, and U-Boot does wait.
fn title(timeout: Option<u32>) -> &'static str {
    match timeout {
        Some(0) => "",
        _ => "MENU TITLE ------------------------------------------------------------\n",
    }
}

/// In tenths of a second, as nixpkgs writes it: 0 is for ever.
fn timeout(seconds: Option<u32>) -> String {
    match seconds {
        None => "0".into(),
        Some(0) => "-10".into(),
        Some(seconds) => (u64::from(seconds) * 10).to_string(),
    }
}

struct Menu<'a> {
    tree: &'a mut BootTree,
    store: &'a StoreFiles<'a>,
    options: &'a Extlinux,
}

impl Menu<'_> {
    fn entry(&mut self, tag: &str, system: &System) -> Result<String, BootFault> {
        let title = match tag {
            "default" => "NixOS - Default".into(),
            tag => {
                let time = date::minute(self.tree.time);
                let version = system.version(self.store)?;
                format!("NixOS - Configuration {tag} ({time} - {version})")
            }
        };
        let kernel = self.copy("the kernel", &system.kernel)?;
        let initrd = self.copy("the initrd", &system.initrd)?;
        let mut entry = format!(
            "\nLABEL nixos-{tag}\n  \
             MENU LABEL {title}\n  \
             LINUX {kernel}\n  \
             INITRD {initrd}\n  \
             APPEND init={init} {parameters}\n",
            init = system.init,
            parameters = system.parameters.join(" "),
        );
        if let Some(line) = self.device_tree(system)? {
            let written = writeln!(entry, "  {line}");
            written.expect("a string takes all text");
        }
        Ok(entry)
    }

    /// The line that names a device tree, or a directory of them.
    fn device_tree(&mut self, system: &System) -> Result<Option<String>, BootFault> {
        let what = "the device trees";
        if !self.options.device_tree {
            return Ok(None);
        }
        let path = format!("{}/dtbs", system.toplevel);
        let Some(directory) = self.store.find_if_any(what, &path)? else {
            return match &self.options.dtb_name {
                None => Ok(None),
                Some(name) => Err(BootFault::NoDeviceTrees {
                    name: name.clone(),
                    system: system.toplevel.clone(),
                }),
            };
        };
        drop(directory.names(what)?); // it is a directory
        let copy = self.put(what, &directory)?;
        Ok(Some(match &self.options.dtb_name {
            None => format!("FDTDIR {copy}"),
            Some(name) => {
                let path = format!("{}/{name}", directory.path);
                self.store.find("dtbName", &path)?.source("dtbName")?;
                format!("FDT {copy}/{name}")
            }
        }))
    }

    fn copy(&mut self, what: &'static str, path: &str) -> Result<String, BootFault> {
        let file = self.store.find(what, path)?;
        file.source(what)?;
        self.put(what, &file)
    }

    /// Copies a file or directory, and gives the path of the copy as the configuration
    /// names it: from its own directory on.
    fn put(&mut self, what: &'static str, file: &StoreFile<'_>) -> Result<String, BootFault> {
        let name: Vec<_> = file.parts().collect();
        let name = name.join("-");
        self.tree.copy(self.store, what, KERNELS, &name, file)?;
        Ok(format!("../{KERNELS}/{name}"))
    }
}
