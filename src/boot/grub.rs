//! `grub.cfg`, for BIOS and UEFI, with copies of kernels if they are wanted, as nixpkgs'
//! `install-grub.pl` leaves them: names, titles and the order of the menu are its own. Only
//! commands are used that every core image has which can start a Linux from a menu.

use super::boot_tree::BootTree;
use super::bootspec::{Bootspec, System};
use super::date;
use super::fault::BootFault;
use super::store_files::StoreFiles;
use crate::spec::{Grub, Kernels, Search};
use crate::tree::Name;

/// What `install-grub.pl` makes it.
const GRUB_MODE: u16 = 0o700;
const KERNELS: &str = "kernels";

/// Puts all that `options` ask for into `tree`, which stands at `target` of its filesystem.
pub(super) fn put(
    tree: &mut BootTree,
    store: &StoreFiles<'_>,
    bootspec: &Bootspec,
    options: &Grub,
    target: &[Name],
) -> Result<(), BootFault> {
    let search = search(&options.search);
    let mut text = format!(
        "# Made by nix2image; nixos-rebuild writes it anew.\n\
         {search}\n\
         set default={default}\n\
         set timeout={timeout}\n\
         set timeout_style=menu\n\n\
         {extra}\n\n",
        default = options.default,
        timeout = options.timeout.map_or(-1, i64::from),
        extra = options.extra_config,
    );
    let mut menu = Menu {
        tree,
        store,
        bootspec,
        search,
        kernels: options.kernels,
        target,
    };
    let day = date::day(menu.tree.time);
    text.push_str(&menu.generation("NixOS", "", "--class nixos --unrestricted ")?);
    if !options.extra_entries.is_empty() {
        text.push_str(&options.extra_entries);
        text.push_str("\n\n");
    }
    let suffix = format!(" ({day} - {})", bootspec.system.version(store)?);
    let name = "NixOS - Configuration 1";
    let generation = menu.generation(name, &suffix, "--class nixos ")?;
    let generation = if bootspec.specialisations.is_empty() {
        generation
    } else {
        submenu(&format!("> {name}{suffix}"), &generation)
    };
    text.push_str(&submenu("NixOS - All configurations", &generation));
    tree.directory("grub", GRUB_MODE);
    tree.text("grub/grub.cfg", text);
    Ok(())
}

struct Menu<'a> {
    tree: &'a mut BootTree,
    store: &'a StoreFiles<'a>,
    bootspec: &'a Bootspec,
    /// The command that finds the kernels' filesystem.
    search: String,
    kernels: Kernels,
    target: &'a [Name],
}

impl Menu<'_> {
    /// The entries of a generation: the system, then its specialisations.
    fn generation(&mut self, name: &str, suffix: &str, options: &str) -> Result<String, BootFault> {
        let bootspec = self.bootspec;
        let default = match bootspec.specialisations.len() {
            0 => "",
            _ => " - Default",
        };
        let title = format!("{name}{default}{suffix}");
        let mut text = self.entry(&title, options, &bootspec.system)?;
        for (specialisation, system) in &bootspec.specialisations {
            let called = self.name_of(specialisation, system)?;
            text.push_str(&self.entry(&format!("{name} - {called}"), "", system)?);
        }
        Ok(text)
    }

    /// What the configuration is called by itself, or else in general.
    fn name_of(&self, specialisation: &str, system: &System) -> Result<String, BootFault> {
        let what = "the name of a configuration";
        let path = format!("{}/configuration-name", system.toplevel);
        Ok(match self.store.line(what, &path)? {
            Some(name) => name,
            None => format!(
                "({specialisation} - {} - {})",
                date::day(self.tree.time),
                system.version(self.store)?
            ),
        })
    }

    fn entry(&mut self, title: &str, options: &str, system: &System) -> Result<String, BootFault> {
        let kernel = self.kernel("the kernel", &system.kernel)?;
        let initrd = self.kernel("the initrd", &system.initrd)?;
        let mut words = vec![word(&format!("init={}", system.init))];
        for argument in arguments(&system.parameters.join(" ")) {
            words.push(word(&self.unquoted(argument)?));
        }
        let title = quoted(title);
        let search = &self.search;
        let words = words.join(" ");
        Ok(format!(
            "menuentry {title} {options}{{\n  {search}\n  linux {kernel} {words}\n  initrd {initrd}\n}}\n\n"
        ))
    }

    /// Where GRUB reads the file at `path`.
    fn kernel(&mut self, what: &'static str, path: &str) -> Result<String, BootFault> {
        let file = self.store.find(what, path)?;
        let source = file.source(what)?;
        let path = match self.kernels {
            Kernels::Store => file.path,
            Kernels::Copied => {
                let name: Vec<_> = file.parts().collect();
                let name = name.join("-");
                self.tree.file(KERNELS, &name, source, &file.path)?;
                let mut path = String::new();
                for directory in self.target {
                    path.push('/');
                    path.push_str(&String::from_utf8_lossy(directory.as_bytes()));
                }
                format!("{path}/{KERNELS}/{name}")
            }
        };
        Ok(format!("($drive1){}", word(&path)))
    }

    /// An argument of the kernel without the quotes that the kernel would take off: GRUB puts
    /// its own around what has a space, and a backslash before what it finds special.
    fn unquoted(&self, argument: &str) -> Result<String, BootFault> {
        let bare = unquote(argument).filter(|bare| {
            let escapes = bare.split('\\').skip(1);
            let mut escapes = escapes.map(str::as_bytes);
            !bare.contains(['"', '\''])
                && escapes.all(|after| {
                    matches!(after, [b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
                })
        });
        bare.ok_or_else(|| BootFault::Text {
            path: self.bootspec.path.clone(),
            what: "a parameter of the kernel",
            text: argument.into(),
            reason: "GRUB gives no quotes to a kernel but around a parameter or its value, and no backslash but in \"\\xHH\"",
        })
    }
}

fn submenu(title: &str, entries: &str) -> String {
    format!(
        "submenu {} --class submenu {{\n{entries}}}\n\n",
        quoted(title)
    )
}

fn search(search: &Search) -> String {
    match search {
        Search::Label(label) => format!("search --set=drive1 --label {}", word(label)),
        Search::Uuid(uuid) => format!("search --set=drive1 --fs-uuid {}", word(uuid)),
    }
}

/// The arguments in a command line, as the kernel tells them apart (`next_arg` in
/// `lib/cmdline.c`): by spaces that are not in double quotes.
fn arguments(line: &str) -> impl Iterator<Item = &str> {
    let mut in_quotes = false;
    let is_end = move |character| {
        in_quotes ^= character == '"';
        character == ' ' && !in_quotes
    };
    line.split(is_end).filter(|argument| !argument.is_empty())
}

/// An argument without the quotes around it or its value.
fn unquote(argument: &str) -> Option<String> {
    if let Some(rest) = argument.strip_prefix('"') {
        return rest.strip_suffix('"').map(str::to_owned);
    }
    match argument.split_once("=\"") {
        None => Some(argument.to_owned()),
        Some((name, value)) => Some(format!("{name}={}", value.strip_suffix('"')?)),
    }
}

/// Text as one word of GRUB's language, in which it stands for itself.
fn word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+.,/:@%=".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Text in double quotes, as nixpkgs writes titles.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '$' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
