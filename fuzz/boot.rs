//! What holds for any bytes that are given as `boot.json`, and for any files that GRUB would
//! start from.

use nix2image::boot;
use nix2image::disk::{Grub as DiskGrub, Place};
use nix2image::image::Pieces;
use nix2image::source::{Origin, Source};
use nix2image::spec::{BootFiles, BootLoader, Extlinux, Grub, Kernels, Search, SystemdBoot};
use nix2image::store::StorePath;
use nix2image::tree::{Kind, Metadata, Name, Node, Tree};

use super::{TIME, tells};

const SYSTEM: &str = "ssssssssssssssssssssssssssssssss-nixos-system-box-24.11";
/// Files of the closure, by their store paths, with their contents.
const FILES: [(&str, &str, &str); 8] = [
    (SYSTEM, "init", "init"),
    (SYSTEM, "nixos-version", "24.11"),
    ("1111111111111111111111111111111l-linux", "Image", "kernel"),
    (
        "1111111111111111111111111111111l-linux",
        "a.dtb",
        "device tree",
    ),
    (
        "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd",
        "initrd",
        "initrd",
    ),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-secrets",
        "none",
        "exit 0\n",
    ),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-secrets",
        "some",
        "exit 1\n",
    ),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-secrets",
        "configuration-name",
        "a\"b",
    ),
];
/// A symlink of the system to the directory of the device trees.
const DEVICE_TREES: &str = "/nix/store/1111111111111111111111111111111l-linux";

/// A `boot.json` is refused, or for every boot loader there are copies of files of the closure,
/// and a configuration in which it gave values alone: neither a line nor a command.
pub fn bootspec(bytes: &[u8]) {
    let closure = closure(bytes);
    let system = StorePath::from_base_name(SYSTEM).unwrap();
    for (loader, name, check) in loaders(&system) {
        let files = BootFiles {
            attribute: "bootFiles".into(),
            target: vec![Name::new("boot").unwrap()],
            loader,
        };
        match boot::place(&files, &closure, TIME) {
            Ok(placed) => check_files(&placed.tree, bytes, name, check),
            Err(error) => tells(&error),
        }
    }
}

type CheckLine = fn(&str);

fn loaders(system: &StorePath) -> [(BootLoader, &'static str, CheckLine); 5] {
    let system = || system.clone();
    let grub = |kernels| {
        BootLoader::Grub(Grub {
            system: system(),
            timeout: Some(5),
            default: 0,
            extra_config: String::new(),
            extra_entries: String::new(),
            kernels,
            search: Search::Label("nixos".into()),
        })
    };
    let extlinux = |dtb_name: Option<&str>| {
        BootLoader::Extlinux(Extlinux {
            system: system(),
            timeout: None,
            device_tree: true,
            dtb_name: dtb_name.map(Into::into),
        })
    };
    let systemd_boot = BootLoader::SystemdBoot(SystemdBoot {
        system: system(),
        timeout: Some(5),
        editor: true,
        console_mode: "keep",
        loader: true,
        entries: true,
        efi: None,
    });
    [
        (systemd_boot, ".conf", is_entry_line),
        (grub(Kernels::Store), "grub.cfg", is_grub_line),
        (grub(Kernels::Copied), "grub.cfg", is_grub_line),
        (extlinux(None), "extlinux.conf", is_extlinux_line),
        (extlinux(Some("a.dtb")), "extlinux.conf", is_extlinux_line),
    ]
}

fn closure(bootspec: &[u8]) -> Vec<(StorePath, Tree)> {
    let metadata = || Metadata::of_root(0o444, TIME);
    let mut paths: Vec<(StorePath, Tree)> = Vec::new();
    let file = |content: &[u8]| Node::file(metadata(), Source::bytes(content));
    for (path, name, content) in FILES {
        let path = StorePath::from_base_name(path).unwrap();
        if paths.last().is_none_or(|(last, _)| *last != path) {
            let mut tree = Tree::new(Node::directory(metadata()));
            if path.base_name() == SYSTEM {
                let name = |name: &str| Name::new(name).unwrap();
                let link = Node::symlink(metadata(), DEVICE_TREES.as_bytes());
                tree.insert(Tree::ROOT, name("dtbs"), link).unwrap();
                let inserted = tree.insert(Tree::ROOT, name("boot.json"), file(bootspec));
                inserted.unwrap();
            }
            paths.push((path, tree));
        }
        let (_, tree) = paths.last_mut().unwrap();
        let name = Name::new(name).unwrap();
        tree.insert(Tree::ROOT, name, file(content.as_bytes()))
            .unwrap();
    }
    paths.sort_by(|a, b| a.0.cmp(&b.0));
    paths
}

/// Checks each file: a configuration, line by line, or a copy.
fn check_files(tree: &Tree, bootspec: &[u8], configuration: &str, check: CheckLine) {
    let mut todo = vec![(Tree::ROOT, String::new())];
    while let Some((id, name)) = todo.pop() {
        for (name, id) in tree.entries(id) {
            let name = str::from_utf8(name.as_bytes()).unwrap();
            assert!(!name.contains(char::is_control));
            todo.push((id, name.to_owned()));
        }
        let Kind::File(source) = &tree.node(id).kind else {
            continue;
        };
        let Origin::Bytes(bytes) = &source.origin else {
            panic!("no file of the closure has content elsewhere");
        };
        let text = str::from_utf8(bytes).unwrap();
        let is_copy = FILES.iter().any(|(_, _, content)| *content == text) || **bytes == *bootspec;
        if name == "loader.conf" || name == "entries.srel" || is_copy {
            continue;
        }
        assert!(name.ends_with(configuration), "{name} holds {text:?}");
        for line in text.strip_suffix('\n').unwrap().split('\n') {
            assert!(!line.contains(char::is_control), "{line:?}");
            check(line);
        }
    }
}

fn begins_with(line: &str, words: &[&str]) {
    let word = line.trim_start().split(' ').next().unwrap();
    assert!(words.contains(&word), "{line:?}");
}

fn is_entry_line(line: &str) {
    let keys = [
        "title",
        "sort-key",
        "version",
        "linux",
        "initrd",
        "options",
        "devicetree",
    ];
    begins_with(line, &keys);
}

fn is_extlinux_line(line: &str) {
    let keys = [
        "", "#", "DEFAULT", "MENU", "TIMEOUT", "LABEL", "LINUX", "INITRD", "APPEND", "FDT",
        "FDTDIR",
    ];
    begins_with(line, &keys);
}

/// A line is a command whose words GRUB takes as they are; a brace opens a menu, or closes it.
fn is_grub_line(line: &str) {
    let commands = [
        "",
        "#",
        "search",
        "set",
        "menuentry",
        "submenu",
        "linux",
        "initrd",
        "}",
    ];
    begins_with(line, &commands);
    if line.starts_with('#') || line.trim_start() == "}" {
        return;
    }
    let menu = line.trim_start().starts_with("menuentry ") || line.starts_with("submenu ");
    let line = if menu {
        line.strip_suffix('{').unwrap()
    } else {
        line
    };
    let line = line.replace("($drive1)", "");
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(opened), character) if opened == character => quote = None,
            // In double quotes it takes what follows for itself, and outside too.
            (None | Some('"'), '\\') => assert!(characters.next().is_some(), "{line:?}"),
            (Some('"'), '$') => panic!("a variable in {line:?}"),
            (None, '$' | ';' | '&' | '|' | '{' | '}' | '<' | '>' | '#') => {
                panic!("{character:?} means something in {line:?}")
            }
            _ => {}
        }
    }
    assert_eq!(quote, None, "{line:?}");
}

/// Files of GRUB for a BIOS are refused, or stand on a disk, with the sectors that tell of
/// each other: the first 512 bytes are `boot.img`, the rest the core.
pub fn grub(bytes: &[u8]) {
    let (boot, core) = bytes.split_at(bytes.len().min(512));
    let grub = match DiskGrub::new(boot, core.to_vec()) {
        Ok(grub) => grub,
        Err(error) => return tells(&error),
    };
    for (table, kind) in [("mbr", "linux"), ("gpt", "bios-boot")] {
        let mut disk = super::images::disk_of(table, kind);
        disk.grub = Some(grub.clone());
        let volume = |_, place: Place| {
            let size = place.size.unwrap_or(Source::GRAIN);
            Ok::<_, nix2image::disk::DiskError>(Some(Pieces::new(size, Vec::new())))
        };
        let pieces = match nix2image::disk::lay_out(&disk, volume) {
            Ok(pieces) => pieces,
            Err(error) => {
                tells(&error);
                continue;
            }
        };
        let written = super::images::bytes_of(&pieces);
        // Up to the BIOS parameter block, and from the numbers on that are told to it.
        assert!(written[..3] == boot[..3] && written[510..512] == boot[510..]);
        // All of the core but its first sector stands somewhere as it is.
        let rest = &core[512..];
        assert!(
            written
                .chunks(512)
                .any(|sector| sector.starts_with(&rest[..rest.len().min(512)]))
        );
    }
}
