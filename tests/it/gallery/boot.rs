//! What boot loaders need, from a system that does not have it.

use std::process::Command;

use serde_json::{Value, json};

use super::contents::graph;
use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![items(), bootspecs(), files()]
}

/// A bootspec that can be followed, of the system of [`image`].
fn bootspec() -> Value {
    let system = Stage::path("nixos-system");
    let linux = Stage::path("linux");
    json!({
        "org.nixos.bootspec.v1": {
            "toplevel": system,
            "init": format!("{system}/init"),
            "kernel": format!("{linux}/bzImage"),
            "initrd": format!("{linux}/initrd"),
            "kernelParams": [],
            "label": "NixOS",
            "system": "x86_64-linux",
        },
    })
}

/// An image with GRUB's files, of a system whose `boot.json` is `bootspec`.
fn image(stage: &Stage, bootspec: &Value) -> Command {
    image_of_text(stage, bootspec.to_string(), &grub())
}

fn grub() -> Value {
    json!({ "grub": { "system": Stage::path("nixos-system"), "search": { "label": "nixos" } } })
}

fn extlinux() -> Value {
    json!({ "extlinux": { "system": Stage::path("nixos-system") } })
}

fn systemd_boot() -> Value {
    json!({ "systemdBoot": { "system": Stage::path("nixos-system") } })
}

fn image_of_text(stage: &Stage, text: impl AsRef<[u8]>, loader: &Value) -> Command {
    stage.put("nixos-system/boot.json", text);
    stage.put("nixos-system/init", "");
    for name in ["bzImage", "initrd"] {
        stage.put(&format!("linux/{name}"), name);
    }
    let mut closure = graph(&Stage::path("nixos-system"));
    let linux = graph(&Stage::path("linux"));
    closure.as_array_mut().unwrap().push(linux[0].clone());
    stage.image_of(&closure, json!({ "bootFiles": [loader] }))
}

/// The same with a field of the bootspec changed; null takes it away.
fn with(key: &'static str, value: Value) -> impl Fn(&Stage) -> Command {
    move |stage| {
        let mut document = bootspec();
        document["org.nixos.bootspec.v1"][key] = value.clone();
        let command = image(stage, &document);
        stage.show(&format!("boot.json: \"{key}\": {value}"));
        command
    }
}

fn items() -> Subject {
    let system = Stage::path("nixos-system");
    let of = |item: Value| json!({ "bootFiles": [item] });
    Subject::new("Boot files", "The attribute `bootFiles`.")
        .images([
            ("No boot loader", of(json!({ "target": "/boot" }))),
            (
                "Two boot loaders",
                of(json!({
                "extlinux": { "system": system },
                "grub": { "system": system, "search": { "label": "nixos" } } })),
            ),
            (
                "GRUB without what it searches for",
                of(json!({ "grub": { "system": system } })),
            ),
            (
                "GRUB searches for an empty label",
                of(json!({
                "grub": { "system": system, "search": { "label": "" } } })),
            ),
            (
                "A mode of the console that there is not",
                of(json!({
                "systemdBoot": { "system": system, "consoleMode": "80x25" } })),
            ),
            (
                "A system that is not in the closure",
                of(json!({
                "extlinux": { "system": system } })),
            ),
        ])
        .case("Neither loader nor entries of systemd-boot", |stage| {
            let mut loader = systemd_boot();
            loader["systemdBoot"]["loader"] = json!(false);
            loader["systemdBoot"]["entries"] = json!(false);
            image_of_text(stage, bootspec().to_string(), &loader)
        })
        .case("A program that is not systemd-boot's", |stage| {
            let mut loader = systemd_boot();
            loader["systemdBoot"]["efi"] = json!(stage.put("grubx64.efi", ""));
            image_of_text(stage, bootspec().to_string(), &loader)
        })
        .case("A program of systemd-boot that is not there", |stage| {
            let mut loader = systemd_boot();
            loader["systemdBoot"]["efi"] = json!(Stage::path("systemd/systemd-bootx64.efi"));
            image_of_text(stage, bootspec().to_string(), &loader)
        })
        .case("A device tree of a system without any", |stage| {
            let mut loader = extlinux();
            loader["extlinux"]["dtbName"] = json!("pi.dtb");
            image_of_text(stage, bootspec().to_string(), &loader)
        })
        .case("A device tree that is not there", |stage| {
            stage.put("nixos-system/dtbs/rock.dtb", "");
            let mut loader = extlinux();
            loader["extlinux"]["dtbName"] = json!("pi.dtb");
            image_of_text(stage, bootspec().to_string(), &loader)
        })
        .case("Device trees that are a file", |stage| {
            stage.put("nixos-system/dtbs", "");
            image_of_text(stage, bootspec().to_string(), &extlinux())
        })
        .case("Device trees that hold themselves", |stage| {
            stage.link(&Stage::path("nixos-system/dtbs/again"), "../dtbs");
            image_of_text(stage, bootspec().to_string(), &extlinux())
        })
        .case("A device tree whose name is not UTF-8", |stage| {
            use std::os::unix::ffi::OsStrExt as _;
            let dtbs = stage.directory(&Stage::path("nixos-system/dtbs"));
            let name = std::ffi::OsStr::from_bytes(b"r\xe4tsel.dtb");
            std::fs::write(stage.seen(&dtbs).join(name), "").unwrap();
            image_of_text(stage, bootspec().to_string(), &extlinux())
        })
}

fn bootspecs() -> Subject {
    Subject::new(
        "The bootspec of a system",
        "The file `boot.json` in it, RFC 125.",
    )
    .case("There is none", |stage| {
        let command = image(stage, &bootspec());
        let path = stage.seen(&Stage::path("nixos-system/boot.json"));
        std::fs::remove_file(path).unwrap();
        command
    })
    .case("It is no JSON", |stage| image_of_text(stage, "{", &grub()))
    .case("It is not text", |stage| {
        image_of_text(stage, b"\xff", &grub())
    })
    .case("It is too long", |stage| {
        image_of_text(stage, vec![b' '; (16 << 20) + 1], &grub())
    })
    .case("It is a directory", |stage| {
        let command = image(stage, &bootspec());
        let path = stage.seen(&Stage::path("nixos-system/boot.json"));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(path).unwrap();
        command
    })
    .case("The builder may not read it", |stage| {
        let path = Stage::path("nixos-system/boot.json");
        stage.first(&format!("mount --bind /sys/bus/cpu/uevent {path}"));
        let command = image(stage, &bootspec());
        stage.show("boot.json is a file that nobody may read");
        command
    })
    .case("It is of another version", |stage| {
        image(stage, &json!({ "v2": {} }))
    })
    .case("It names no initrd", with("initrd", Value::Null))
    .case("It has no label", with("label", Value::Null))
    .case("It lacks the kernel", with("kernel", Value::Null))
    .case(
        "A label of two lines",
        with("label", json!("NixOS\nand more")),
    )
    .case(
        "A parameter with quotes inside",
        with("kernelParams", json!(["a='b'\"c"])),
    )
    .case("A specialisation whose name is a path", |stage| {
        let mut document = bootspec();
        let dark = json!({ "themes/dark": bootspec() });
        document["org.nixos.specialisation.v1"] = dark;
        image(stage, &document)
    })
    .case("It adds secrets to its initrd", |stage| {
        let script = stage.put("linux/append-secrets", "#!/bin/sh\ncp key \"$1\"\n");
        with("initrdSecrets", json!(script))(stage)
    })
}

fn files() -> Subject {
    let linux = Stage::path("linux");
    Subject::new("Files that a bootspec names", "")
        .case(
            "A kernel that is not there",
            with("kernel", json!(format!("{linux}/Image"))),
        )
        .case("A kernel that is a directory", with("kernel", json!(linux)))
        .case("A kernel outside the closure", {
            with("kernel", json!(Stage::path("other-linux/bzImage")))
        })
        .case(
            "A kernel outside the store",
            with("kernel", json!("/boot/vmlinuz")),
        )
        .case("A kernel that is a symlink to itself", |stage| {
            stage.link(&Stage::path("linux/loop"), "loop");
            with("kernel", json!(Stage::path("linux/loop")))(stage)
        })
        .case(
            "Kernel and initrd whose copies would have one name",
            |stage| {
                let inner = stage.put("linux/inner/initrd", "");
                let mut document = bootspec();
                document["org.nixos.bootspec.v1"]["kernel"] = json!(inner);
                image_of_text(stage, document.to_string(), &systemd_boot())
            },
        )
        .case("A kernel whose copy cannot be named", |stage| {
            let name = format!("linux/{}", "x".repeat(250));
            let kernel = stage.put(&name, "");
            let mut document = bootspec();
            document["org.nixos.bootspec.v1"]["kernel"] = json!(kernel);
            image_of_text(stage, document.to_string(), &systemd_boot())
        })
        .case("A kernel whose name is not UTF-8", |stage| {
            use std::os::unix::ffi::OsStrExt as _;
            let linux = stage.directory(&Stage::path("linux"));
            let name = std::ffi::OsStr::from_bytes(b"k\xe4rnel");
            let at = stage.seen(&linux);
            std::fs::write(at.join(name), "").unwrap();
            std::os::unix::fs::symlink(name, at.join("link")).unwrap();
            with("kernel", json!(format!("{linux}/link")))(stage)
        })
        .case("A version of NixOS with a control character", |stage| {
            stage.put("nixos-system/nixos-version", "24.11\u{1b}");
            image(stage, &bootspec())
        })
}
