//! A small NixOS, as trees, and what each boot loader gets of it.

use serde_json::{Value, json};

use super::*;
use crate::error::Chain;
use crate::source::{Mark, Source};
use crate::spec::{Extlinux, Grub, Kernels, Search, SystemdBoot};
use crate::tree::{Kind, Metadata, Name, Node, NodeId};

/// 2000-01-01 00:00:00.
const TIME: Timestamp = Timestamp::from_seconds(946_684_800);

const SYSTEM: &str = "/nix/store/ssssssssssssssssssssssssssssssss-nixos-system-box-24.11";
const DARK: &str = "/nix/store/dddddddddddddddddddddddddddddddd-nixos-system-box-dark";
const LINUX: &str = "/nix/store/1111111111111111111111111111111l-linux-6.6";
const INITRD: &str = "/nix/store/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6";
const SECRETS: &str = "/nix/store/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-append-initrd-secrets";

/// A closure that grows: a tree for each store path.
#[derive(Default)]
struct Store(std::collections::BTreeMap<String, Tree>);

impl Store {
    /// A system with a kernel, an initrd and device trees; paths lead through symlinks.
    fn of_a_system() -> Self {
        let mut store = Self::default();
        store.file(&format!("{LINUX}/Image"), "kernel");
        store.file(&format!("{LINUX}/dtbs/broadcom/pi.dtb"), "pi");
        store.file(&format!("{LINUX}/dtbs/rock.dtb"), "rock");
        store.symlink(&format!("{LINUX}/dtbs/alias.dtb"), "broadcom/../rock.dtb");
        store.file(&format!("{INITRD}/initrd"), "initrd");
        store.file(
            &format!("{SECRETS}/bin/append-initrd-secrets"),
            "#!/bin/sh\nif help; then\n  exit 0\nfi\n\nexit 0\n\ncp -a \"$1\"\n",
        );
        store.symlink(&format!("{SYSTEM}/dtbs"), &format!("{LINUX}/dtbs"));
        store.symlink(&format!("{SYSTEM}/kernel"), &format!("{LINUX}/Image"));
        store.file(&format!("{SYSTEM}/nixos-version"), "24.11.7");
        store.file(&format!("{SYSTEM}/init"), "");
        store.bootspec(&document());
        store
    }

    /// The same with a specialisation.
    fn of_a_system_with_a_specialisation() -> Self {
        let mut store = Self::of_a_system();
        store.file(&format!("{DARK}/init"), "");
        store.file(&format!("{DARK}/nixos-version"), "24.11.7");
        let mut document = document();
        let mut dark = bootspec(DARK);
        dark["org.nixos.bootspec.v1"]["kernelParams"] = json!(["dark"]);
        document["org.nixos.specialisation.v1"] = json!({ "dark": dark });
        store.bootspec(&document);
        store
    }

    fn bootspec(&mut self, document: &Value) {
        self.file(&format!("{SYSTEM}/boot.json"), &document.to_string());
    }

    fn file(&mut self, path: &str, content: &str) {
        let mut source = Source::bytes(content.as_bytes());
        source.mark = Some(Mark::new(0, 0));
        self.put(path, Node::file(metadata(0o444), source));
    }

    fn symlink(&mut self, path: &str, target: &str) {
        self.put(path, Node::symlink(metadata(0o777), target.as_bytes()));
    }

    /// Puts a node, over another if there is one.
    fn put(&mut self, path: &str, node: Node) {
        let mut names = path.strip_prefix("/nix/store/").unwrap().split('/');
        let top = names.next().unwrap();
        let tree = self.0.entry(top.into());
        let tree = tree.or_insert_with(|| Tree::new(Node::directory(metadata(0o555))));
        let names: Vec<_> = names.map(|name| Name::new(name).unwrap()).collect();
        let (last, parents) = names.split_last().unwrap();
        let parent = parents.iter().fold(Tree::ROOT, |parent, name| {
            tree.lookup(parent, name).unwrap_or_else(|| {
                let directory = Node::directory(metadata(0o555));
                tree.insert(parent, name.clone(), directory).unwrap()
            })
        });
        match tree.lookup(parent, last) {
            Some(there) => *tree.node_mut(there) = node,
            None => drop(tree.insert(parent, last.clone(), node).unwrap()),
        }
    }

    fn place(&self, loader: BootLoader, target: &str) -> Result<Placed, BootError> {
        let paths = self.0.iter();
        let closure: Vec<_> = paths
            .map(|(path, tree)| (StorePath::from_base_name(path).unwrap(), tree.clone()))
            .collect();
        let names = target.split('/').filter(|name| !name.is_empty());
        let files = BootFiles {
            attribute: "nix2image.bootFiles[0]".into(),
            target: names.map(|name| Name::new(name).unwrap()).collect(),
            loader,
        };
        place(&files, &closure, TIME)
    }

    /// The message of what goes wrong.
    fn error(&self, loader: BootLoader) -> String {
        let error = self.place(loader, "/boot").unwrap_err();
        Chain(&error).to_string()
    }
}

fn metadata(mode: u16) -> Metadata {
    Metadata::of_root(mode, Timestamp::from_seconds(1))
}

/// The part of a document that each system has.
fn bootspec(toplevel: &str) -> Value {
    json!({
        "org.nixos.bootspec.v1": {
            "toplevel": toplevel,
            "init": format!("{toplevel}/init"),
            "kernel": format!("{LINUX}/Image"),
            "kernelParams": ["console=ttyS0", "loglevel=4"],
            "initrd": format!("{INITRD}/initrd"),
            "initrdSecrets": format!("{SECRETS}/bin/append-initrd-secrets"),
            "label": "NixOS Vicuna 24.11.7 (Linux 6.6)",
            "system": "aarch64-linux",
            "someone's": "own"
        },
        "org.nixos.specialisation.v1": {},
        "com.example.theirs": 1
    })
}

fn document() -> Value {
    bootspec(SYSTEM)
}

fn system() -> StorePath {
    StorePath::parse(SYSTEM).unwrap()
}

fn systemd_boot() -> SystemdBoot {
    SystemdBoot {
        system: system(),
        timeout: Some(5),
        editor: true,
        console_mode: "keep",
        loader: true,
        entries: true,
        efi: None,
    }
}

fn grub() -> Grub {
    Grub {
        system: system(),
        timeout: Some(5),
        default: 0,
        extra_config: String::new(),
        extra_entries: String::new(),
        kernels: Kernels::Store,
        search: Search::Label("nixos".into()),
    }
}

fn extlinux() -> Extlinux {
    Extlinux {
        system: system(),
        timeout: Some(5),
        device_tree: true,
        dtb_name: None,
    }
}

/// All that stands in a tree: a file's text after its path.
fn listing(tree: &Tree) -> Vec<String> {
    fn list(tree: &Tree, id: NodeId, path: &str, lines: &mut Vec<String>) {
        for (name, id) in tree.entries(id) {
            let path = format!("{path}{}", String::from_utf8_lossy(name.as_bytes()));
            let node = tree.node(id);
            assert_eq!(node.metadata.mtime, TIME, "{path}");
            if node.is_directory() {
                list(tree, id, &format!("{path}/"), lines);
            } else {
                assert_eq!(node.metadata.mode, 0o644, "{path}");
                lines.push(path);
            }
        }
    }
    let mut lines = Vec::new();
    list(tree, Tree::ROOT, "", &mut lines);
    lines
}

fn text(tree: &Tree, path: &str) -> String {
    let id = path.split('/').fold(Tree::ROOT, |id, name| {
        let name = Name::new(name).unwrap();
        let found = tree.lookup(id, &name);
        found.unwrap_or_else(|| panic!("no {path} in {:#?}", listing(tree)))
    });
    let Kind::File(source) = &tree.node(id).kind else {
        panic!("{path} is no file");
    };
    assert_eq!(source.mark, None, "a copy is not watched");
    let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
    source.read_at(0, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn systemd_boot_gets_what_its_builder_writes() {
    let mut store = Store::of_a_system_with_a_specialisation();
    let mut document: Value = document();
    document["org.nixos.systemd-boot"] = json!({
        "sortKey": "box", "devicetree": format!("{LINUX}/dtbs/alias.dtb")
    });
    document["org.nixos.specialisation.v1"] = json!({ "dark": bootspec(DARK) });
    store.bootspec(&document);
    let placed = store
        .place(BootLoader::SystemdBoot(systemd_boot()), "/")
        .unwrap();
    assert_eq!(placed.target, []);
    let tree = &placed.tree;
    assert_eq!(
        listing(tree),
        [
            "EFI/nixos/1111111111111111111111111111111l-linux-6.6-Image.efi",
            "EFI/nixos/1111111111111111111111111111111l-linux-6.6-rock.dtb.efi",
            "EFI/nixos/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6-initrd.efi",
            "loader/entries/nixos-generation-1-specialisation-dark.conf",
            "loader/entries/nixos-generation-1.conf",
            "loader/entries.srel",
            "loader/loader.conf",
        ]
    );
    assert_eq!(
        text(tree, "loader/loader.conf"),
        "timeout 5\ndefault nixos-generation-1.conf\nconsole-mode keep\n"
    );
    assert_eq!(text(tree, "loader/entries.srel"), "type1\n");
    assert_eq!(
        text(tree, "loader/entries/nixos-generation-1.conf"),
        "\
title NixOS
sort-key box
version Generation 1 NixOS Vicuna 24.11.7 (Linux 6.6), built on 2000-01-01
linux /EFI/nixos/1111111111111111111111111111111l-linux-6.6-Image.efi
initrd /EFI/nixos/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6-initrd.efi
options init=/nix/store/ssssssssssssssssssssssssssssssss-nixos-system-box-24.11/init console=ttyS0 loglevel=4
devicetree /EFI/nixos/1111111111111111111111111111111l-linux-6.6-rock.dtb.efi
"
    );
    let dark = text(
        tree,
        "loader/entries/nixos-generation-1-specialisation-dark.conf",
    );
    assert!(
        dark.starts_with("title NixOS (dark)\nsort-key nixos\n"),
        "{dark}"
    );
    let kernel = "EFI/nixos/1111111111111111111111111111111l-linux-6.6-Image.efi";
    assert_eq!(text(tree, kernel), "kernel");
}

#[test]
fn systemd_boot_waits_and_is_closed_as_it_is_told() {
    let options = SystemdBoot {
        timeout: None,
        editor: false,
        console_mode: "max",
        ..systemd_boot()
    };
    let store = Store::of_a_system();
    let placed = store.place(BootLoader::SystemdBoot(options), "/").unwrap();
    assert_eq!(
        text(&placed.tree, "loader/loader.conf"),
        "timeout menu-force\ndefault nixos-generation-1.conf\neditor 0\nconsole-mode max\n"
    );
}

#[test]
fn loader_and_entries_of_systemd_boot_may_be_apart() {
    let store = Store::of_a_system();
    let files = |loader, entries| {
        let options = SystemdBoot {
            loader,
            entries,
            ..systemd_boot()
        };
        let placed = store.place(BootLoader::SystemdBoot(options), "/")?;
        Ok::<_, BootError>(listing(&placed.tree))
    };
    assert_eq!(files(true, false).unwrap(), ["loader/loader.conf"]);
    let entries = files(false, true).unwrap();
    assert_eq!(entries.len(), 4);
    assert!(!entries.contains(&"loader/loader.conf".into()));
    assert!(matches!(
        files(false, false).unwrap_err().source,
        BootFault::Nothing
    ));
}

#[test]
fn a_program_of_systemd_boot_is_one_by_its_name_and_place() {
    for path in [
        "/nix/store/eeee/systemd-bootvax.efi",
        "/nix/store/eeee/grubx64.efi",
        "/nix/store/eeee/mysystemd-bootx64.efi",
        "/tmp/systemd-bootx64.efi",
        "/nix/store/../tmp/systemd-bootx64.efi",
    ] {
        let options = SystemdBoot {
            efi: Some(path.into()),
            ..systemd_boot()
        };
        let error = Store::of_a_system().error(BootLoader::SystemdBoot(options));
        assert!(
            error.contains(&format!(
                "efi is {path}, expected a file of the store named"
            )),
            "{error}"
        );
    }
}

#[test]
fn grub_reads_kernels_from_the_store() {
    let options = Grub {
        extra_config: "serial --unit=0\nterminal_output serial".into(),
        extra_entries: "menuentry \"Memtest\" {\n}".into(),
        ..grub()
    };
    let store = Store::of_a_system_with_a_specialisation();
    let placed = store.place(BootLoader::Grub(options), "/boot").unwrap();
    assert_eq!(listing(&placed.tree), ["grub/grub.cfg"]);
    let grub = placed.tree.lookup(Tree::ROOT, &Name::new("grub").unwrap());
    assert_eq!(placed.tree.node(grub.unwrap()).metadata.mode, 0o700);
    assert_eq!(
        text(&placed.tree, "grub/grub.cfg"),
        r#"# Made by nix2image; nixos-rebuild writes it anew.
search --set=drive1 --label nixos
set default=0
set timeout=5
set timeout_style=menu

serial --unit=0
terminal_output serial

menuentry "NixOS - Default" --class nixos --unrestricted {
  search --set=drive1 --label nixos
  linux ($drive1)/nix/store/1111111111111111111111111111111l-linux-6.6/Image init=/nix/store/ssssssssssssssssssssssssssssssss-nixos-system-box-24.11/init console=ttyS0 loglevel=4
  initrd ($drive1)/nix/store/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6/initrd
}

menuentry "NixOS - (dark - 2000-01-01 - 24.11.7)" {
  search --set=drive1 --label nixos
  linux ($drive1)/nix/store/1111111111111111111111111111111l-linux-6.6/Image init=/nix/store/dddddddddddddddddddddddddddddddd-nixos-system-box-dark/init dark
  initrd ($drive1)/nix/store/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6/initrd
}

menuentry "Memtest" {
}

submenu "NixOS - All configurations" --class submenu {
submenu "> NixOS - Configuration 1 (2000-01-01 - 24.11.7)" --class submenu {
menuentry "NixOS - Configuration 1 - Default (2000-01-01 - 24.11.7)" --class nixos {
  search --set=drive1 --label nixos
  linux ($drive1)/nix/store/1111111111111111111111111111111l-linux-6.6/Image init=/nix/store/ssssssssssssssssssssssssssssssss-nixos-system-box-24.11/init console=ttyS0 loglevel=4
  initrd ($drive1)/nix/store/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6/initrd
}

menuentry "NixOS - Configuration 1 - (dark - 2000-01-01 - 24.11.7)" {
  search --set=drive1 --label nixos
  linux ($drive1)/nix/store/1111111111111111111111111111111l-linux-6.6/Image init=/nix/store/dddddddddddddddddddddddddddddddd-nixos-system-box-dark/init dark
  initrd ($drive1)/nix/store/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6/initrd
}

}

}

"#
    );
}

#[test]
fn grub_reads_copies_from_where_they_stand() {
    let options = Grub {
        kernels: Kernels::Copied,
        timeout: None,
        default: 1,
        search: Search::Uuid("2178-694E".into()),
        ..grub()
    };
    for (target, prefix) in [("/", ""), ("/boot", "/boot")] {
        let store = Store::of_a_system();
        let loader = BootLoader::Grub(options.clone());
        let placed = store.place(loader, target).unwrap();
        let kernel = "kernels/1111111111111111111111111111111l-linux-6.6-Image";
        assert_eq!(text(&placed.tree, kernel), "kernel");
        assert_eq!(listing(&placed.tree).len(), 3);
        let text = text(&placed.tree, "grub/grub.cfg");
        for line in [
            "search --set=drive1 --fs-uuid 2178-694E\nset default=1\nset timeout=-1\n",
            "menuentry \"NixOS\" --class nixos --unrestricted {\n",
            "menuentry \"NixOS - Configuration 1 (2000-01-01 - 24.11.7)\" --class nixos {\n",
            &format!("linux ($drive1){prefix}/{kernel} init="),
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}

#[test]
fn grub_gives_parameters_and_titles_as_they_are() {
    let mut store = Store::of_a_system();
    let mut document = document();
    document["org.nixos.bootspec.v1"]["kernelParams"] = json!([
        "dyndbg=\"file a.c +p\"",
        "\"whole one\"",
        "a;b",
        "$x",
        "two words",
        "u=a\\x2db",
        "e=\"\""
    ]);
    store.bootspec(&document);
    store.file(&format!("{SYSTEM}/nixos-version"), "1 \"$x\" \\ '\n");
    let placed = store.place(BootLoader::Grub(grub()), "/boot").unwrap();
    let text = text(&placed.tree, "grub/grub.cfg");
    let line = "/init 'dyndbg=file a.c +p' 'whole one' 'a;b' '$x' two words 'u=a\\x2db' e=\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains(r#"(2000-01-01 - 1 \"\$x\" \\ ')""#), "{text}");
}

#[test]
fn parameters_that_grub_would_change_are_refused() {
    for parameter in ["a'b", "a\\b", "a\"b", "a=\"b\"c", "a\\x2", "\"b"] {
        let mut store = Store::of_a_system();
        let mut document = document();
        document["org.nixos.bootspec.v1"]["kernelParams"] = json!([parameter]);
        store.bootspec(&document);
        let error = store.error(BootLoader::Grub(grub()));
        assert!(
            error.contains("as a parameter of the kernel, and"),
            "{error}"
        );
        // The others hand the line on as it is.
        store
            .place(BootLoader::Extlinux(extlinux()), "/boot")
            .unwrap();
    }
}

#[test]
fn extlinux_gets_what_its_builder_writes() {
    let store = Store::of_a_system_with_a_specialisation();
    let placed = store
        .place(BootLoader::Extlinux(extlinux()), "/boot")
        .unwrap();
    assert_eq!(placed.target, [Name::new("boot").unwrap()]);
    assert_eq!(
        listing(&placed.tree),
        [
            "extlinux/extlinux.conf",
            "nixos/1111111111111111111111111111111l-linux-6.6-Image",
            "nixos/1111111111111111111111111111111l-linux-6.6-dtbs/alias.dtb",
            "nixos/1111111111111111111111111111111l-linux-6.6-dtbs/broadcom/pi.dtb",
            "nixos/1111111111111111111111111111111l-linux-6.6-dtbs/rock.dtb",
            "nixos/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6-initrd",
        ]
    );
    let alias = "nixos/1111111111111111111111111111111l-linux-6.6-dtbs/alias.dtb";
    assert_eq!(text(&placed.tree, alias), "rock");
    assert_eq!(
        text(&placed.tree, "extlinux/extlinux.conf"),
        "\
# Made by nix2image; nixos-rebuild writes it anew.
DEFAULT nixos-default
MENU TITLE ------------------------------------------------------------
TIMEOUT 50

LABEL nixos-default
  MENU LABEL NixOS - Default
  LINUX ../nixos/1111111111111111111111111111111l-linux-6.6-Image
  INITRD ../nixos/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6-initrd
  APPEND init=/nix/store/ssssssssssssssssssssssssssssssss-nixos-system-box-24.11/init console=ttyS0 loglevel=4
  FDTDIR ../nixos/1111111111111111111111111111111l-linux-6.6-dtbs

LABEL nixos-1-default
  MENU LABEL NixOS - Configuration 1-default (2000-01-01 00:00 - 24.11.7)
  LINUX ../nixos/1111111111111111111111111111111l-linux-6.6-Image
  INITRD ../nixos/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6-initrd
  APPEND init=/nix/store/ssssssssssssssssssssssssssssssss-nixos-system-box-24.11/init console=ttyS0 loglevel=4
  FDTDIR ../nixos/1111111111111111111111111111111l-linux-6.6-dtbs

LABEL nixos-1-dark
  MENU LABEL NixOS - Configuration 1-dark (2000-01-01 00:00 - 24.11.7)
  LINUX ../nixos/1111111111111111111111111111111l-linux-6.6-Image
  INITRD ../nixos/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii-initrd-linux-6.6-initrd
  APPEND init=/nix/store/dddddddddddddddddddddddddddddddd-nixos-system-box-dark/init dark
"
    );
}

#[test]
fn extlinux_names_one_device_tree_if_it_is_told() {
    let text_of = |store: &Store, options: Extlinux| {
        let placed = store.place(BootLoader::Extlinux(options), "/boot")?;
        Ok::<_, BootError>(text(&placed.tree, "extlinux/extlinux.conf"))
    };
    let named = |name: &str| Extlinux {
        dtb_name: Some(name.into()),
        ..extlinux()
    };
    let mut store = Store::of_a_system();
    let conf = text_of(&store, named("broadcom/pi.dtb")).unwrap();
    let line = "  FDT ../nixos/1111111111111111111111111111111l-linux-6.6-dtbs/broadcom/pi.dtb\n";
    assert!(conf.contains(line), "{conf}");
    let error = store.error(BootLoader::Extlinux(named("other.dtb")));
    assert!(error.contains("/dtbs/other.dtb is not there"), "{error}");

    let without = Extlinux {
        device_tree: false,
        ..extlinux()
    };
    assert!(!text_of(&store, without).unwrap().contains("FDT"));
    let tops = store.0.get_mut(&SYSTEM["/nix/store/".len()..]).unwrap();
    let Kind::Directory(entries) = &mut tops.node_mut(Tree::ROOT).kind else {
        panic!("a system is a directory");
    };
    entries.remove(&Name::new("dtbs").unwrap());
    assert!(!text_of(&store, extlinux()).unwrap().contains("FDT"));
    let error = store.error(BootLoader::Extlinux(named("other.dtb")));
    assert!(error.contains("has no device trees"), "{error}");
}

#[test]
fn extlinux_counts_in_tenths_of_a_second() {
    for (timeout, written) in [
        (None, "0"),
        (Some(0), "-10"),
        (Some(200_000_000), "2000000000"),
    ] {
        let options = Extlinux {
            timeout,
            ..extlinux()
        };
        let store = Store::of_a_system();
        let placed = store.place(BootLoader::Extlinux(options), "/boot").unwrap();
        let text = text(&placed.tree, "extlinux/extlinux.conf");
        assert!(text.contains(&format!("TIMEOUT {written}\n")), "{text}");
        // With it U-Boot waits for a choice.
        assert_eq!(text.contains("MENU TITLE"), timeout != Some(0), "{text}");
    }
}

#[test]
fn directories_leave_alone_those_that_are_there() {
    let store = Store::of_a_system();
    let placed = store
        .place(BootLoader::Extlinux(extlinux()), "/boot")
        .unwrap();
    let node = |id: &NodeId| placed.tree.node(*id);
    assert_eq!(placed.implied.len(), 5); // the top, extlinux, nixos, …-dtbs, broadcom
    assert!(placed.implied.iter().all(|id| node(id).is_directory()));
}

type Change<'a> = &'a dyn Fn(&mut Value);

/// Each changes a good document, and has its own message.
#[test]
fn a_bootspec_that_does_not_do_says_why() {
    let v1 = "org.nixos.bootspec.v1";
    let changed = |change: Change<'_>| {
        let mut store = Store::of_a_system();
        let mut document = document();
        change(&mut document);
        store.bootspec(&document);
        store.error(BootLoader::Extlinux(extlinux()))
    };
    let cases: [(Change<'_>, &str); 10] = [
        (
            &|d| *d = json!({ "v1": {} }),
            "boot.json holds the keys \"v1\", expected \"org.nixos.bootspec.v1\"",
        ),
        (
            &|d| *d = json!([]),
            "boot.json is no bootspec: invalid type: sequence",
        ),
        (
            &|d| d[v1]["init"] = Value::Null,
            "boot.json is no bootspec at its key org.nixos.bootspec.v1.init; build the system with another nixpkgs: invalid type: null",
        ),
        (
            &|d| d[v1]["label"] = Value::Null,
            "boot.json names no label for the system; RFC 125",
        ),
        (
            &|d| d[v1]["initrd"] = Value::Null,
            "names no initrd for the system; build the system with `boot.initrd.enable = true`",
        ),
        (
            &|d| d[v1]["label"] = json!("a\nLABEL b"),
            "gives \"a\\nLABEL b\" as label, and",
        ),
        (
            &|d| d[v1]["kernelParams"][0] = json!("a\nb"),
            "gives \"a\\nb\" as a parameter of the kernel, and",
        ),
        (
            &|d| d[v1]["kernel"] = json!("/boot/Image"),
            "cannot find the kernel, /boot/Image: it leads to \"/boot/Image\", which is not in /nix/store",
        ),
        (
            &|d| d[v1]["kernel"] = json!("/nix/store/nowhere/Image"),
            "/nix/store/nowhere is not in the closure; give the closure of the whole system",
        ),
        (
            &|d| d["org.nixos.specialisation.v1"] = json!({ "a/b": bootspec(SYSTEM) }),
            "as the name of a specialisation, and",
        ),
    ];
    for (change, message) in cases {
        let error = changed(change);
        assert!(error.starts_with("nix2image.bootFiles[0]: "), "{error}");
        assert!(error.contains(message), "{message} in {error}");
    }
}

#[test]
fn a_store_path_without_a_bootspec_says_what_to_enable() {
    let mut store = Store::default();
    let error = store.error(BootLoader::Grub(grub()));
    assert!(
        error.contains(&format!("{SYSTEM} is not in the closure")),
        "{error}"
    );
    store.file(&format!("{SYSTEM}/init"), "");
    let error = store.error(BootLoader::Grub(grub()));
    assert!(
        error.contains("has no boot.json; build the system with `boot.bootspec.enable = true`"),
        "{error}"
    );
}

#[test]
fn secrets_of_an_initrd_are_refused() {
    let mut store = Store::of_a_system();
    store.file(
        &format!("{SECRETS}/bin/append-initrd-secrets"),
        "#!/bin/sh\nif help; then\n  exit 0\nfi\n\ncp -a \"$1\"\n",
    );
    let error = store.error(BootLoader::Grub(grub()));
    assert!(error.contains("set `boot.initrd.secrets = { }`"), "{error}");
    store.0.remove(&SECRETS["/nix/store/".len()..]);
    let error = store.error(BootLoader::Grub(grub()));
    assert!(error.contains("set `boot.initrd.secrets = { }`"), "{error}");
}

#[test]
fn symlinks_are_followed_within_the_closure() {
    let kernel = format!("{LINUX}/Image");
    let chain = |links: &[(&str, &str)]| {
        let mut store = Store::of_a_system();
        for (path, target) in links {
            store.symlink(path, target);
        }
        store.place(BootLoader::Extlinux(extlinux()), "/boot")
    };
    let base_name = LINUX.rsplit('/').next().unwrap();
    let up = format!("../{base_name}/./zImage");
    let real = format!("{LINUX}/zImage");
    let mut store = Store::of_a_system();
    store.file(&real, "other");
    store.symlink(&kernel, &up);
    let placed = store.place(BootLoader::Extlinux(extlinux()), "/boot");
    let copy = format!("nixos/{base_name}-zImage");
    assert_eq!(text(&placed.unwrap().tree, &copy), "other");

    for (links, message) in [
        (&[(&*kernel, "Image")][..], "more than 40 symlinks"),
        (
            &[(&*kernel, "/etc/passwd")],
            "leads to \"/etc/passwd\", which is not in",
        ),
        (&[(&*kernel, "../../x")], "which is not in /nix/store"),
        (&[(&*kernel, "gone")], "/gone is not there"),
        (&[(&*kernel, ".")], "expected a file"),
        (
            &[(&*format!("{LINUX}/dtbs/again"), ".")],
            "more than 16 directories, one in the other",
        ),
    ] {
        let error = Chain(&chain(links).unwrap_err()).to_string();
        assert!(error.contains(message), "{message} in {error}");
    }
}

#[test]
fn two_files_do_not_share_the_name_of_a_copy() {
    let mut store = Store::of_a_system();
    let mut document = document();
    document["org.nixos.bootspec.v1"]["kernel"] = json!(format!("{LINUX}/a/Image"));
    document["org.nixos.bootspec.v1"]["initrd"] = json!(format!("{LINUX}/b/Image"));
    store.file(&format!("{LINUX}/a/Image"), "a");
    store.file(&format!("{LINUX}/b/Image"), "b");
    store.bootspec(&document);
    let error = store.error(BootLoader::SystemdBoot(systemd_boot()));
    assert!(error.contains("would have one name"), "{error}");
    store.place(BootLoader::Grub(grub()), "/boot").unwrap();
}
