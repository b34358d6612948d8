use serde_json::json;

use super::*;
use crate::error::Chain;

/// The attributes of a derivation, of which `image` are ours.
fn derivation(image: &Value) -> Value {
    json!({ "outputs": { "out": "/nix/store/x-image" }, "nix2image": image })
}

fn parse(derivation: &Value) -> Result<Attrs, AttrsError> {
    Attrs::parse(
        derivation.to_string().as_bytes(),
        Path::new("/b/.attrs.json"),
    )
}

fn error_of(derivation: &Value) -> String {
    Chain(&parse(derivation).unwrap_err()).to_string()
}

/// What is said when ours are `image`, of version 1.
fn error(mut image: Value) -> String {
    image["version"] = json!(1);
    error_of(&derivation(&image))
}

#[test]
fn an_unknown_attribute_is_named_with_those_that_are_known() {
    let message = error(json!({ "lable": "x" }));
    assert!(
        message.starts_with(
            "nix2image.lable: unknown field `lable`, expected one of `version`, `graphs`, "
        ),
        "{message}"
    );
    let message = error(json!({ "ext4": { "lable": "x" } }));
    assert!(
        message.starts_with(
            "nix2image.ext4.lable: unknown field `lable`, expected one of `label`, `uuid`, "
        ),
        "{message}"
    );
    let message = error(json!({ "contents": [{ "sauce": "x" }] }));
    assert!(
        message.starts_with("nix2image.contents[0].sauce: unknown field `sauce`, expected one of"),
        "{message}"
    );
}

#[test]
fn a_wrong_type_or_value_is_named_with_what_is_allowed() {
    for (image, message) in [
        (
            json!({ "graphs": "closure" }),
            r#"nix2image.graphs: invalid type: string "closure", expected a list"#,
        ),
        (
            json!({ "contents": {} }),
            "nix2image.contents: invalid type: attribute set, expected a list",
        ),
        (
            json!({ "ext4": { "label": [] } }),
            "nix2image.ext4.label: invalid type: list, \
             expected a string of at most 16 bytes, without NUL",
        ),
        (
            json!({ "graphs": ["a", 1] }),
            "nix2image.graphs[1]: invalid type: integer `1`, expected a string",
        ),
        (
            json!({ "registration": "yes" }),
            r#"nix2image.registration: invalid type: string "yes", expected a boolean"#,
        ),
        (
            json!({ "time": -1 }),
            "nix2image.time: invalid value: integer `-1`, \
             expected an integer from 0 to 4294967295",
        ),
        (
            json!({ "time": 1.5 }),
            "nix2image.time: invalid type: floating point `1.5`, \
             expected an integer from 0 to 4294967295",
        ),
        (
            json!({ "output": "tape" }),
            r#"nix2image.output: "tape" is not allowed, expected "file" or "directory""#,
        ),
        (
            json!({ "compression": 3 }),
            r#"nix2image.compression: invalid type: integer `3`, expected "none" or "zstd""#,
        ),
        (
            json!({ "container": "vdi" }),
            r#"nix2image.container: "vdi" is not allowed, expected "raw" or "qcow2" or "qcow2-compressed" or "vhd-fixed" or "vhd-dynamic""#,
        ),
        (
            json!({ "compressionLevel": 20 }),
            "nix2image.compressionLevel: invalid value: integer `20`, \
             expected an integer from 1 to 19",
        ),
        (
            json!({ "imageName": "a//b" }),
            "nix2image.imageName: \"a//b\" is not allowed, expected the path of a file in the output, \
             without \".\", \"..\", empty names and a leading slash",
        ),
        (
            json!({ "ext4": { "label": "seventeen bytes.." } }),
            "nix2image.ext4.label: the label \"seventeen bytes..\" has 17 bytes; \
             an ext4 label has at most 16 and no NUL",
        ),
        (
            json!({ "ext4": { "uuid": "44444444" } }),
            "nix2image.ext4.uuid: \"44444444\" is no UUID; one has 32 hex digits in groups of \
             8-4-4-4-12, as 44444444-4444-4444-8888-888888888888",
        ),
        (
            json!({ "ext4": { "hashSeed": "x" } }),
            "nix2image.ext4.hashSeed: \"x\" is no UUID; one has 32 hex digits in groups of \
             8-4-4-4-12, as 44444444-4444-4444-8888-888888888888",
        ),
        (
            json!({ "ext4": { "freeBytes": -1 } }),
            "nix2image.ext4.freeBytes: invalid value: integer `-1`, \
             expected an integer from 0 to 1152921504606846976",
        ),
    ] {
        assert_eq!(error(image), message);
    }
}

#[test]
fn an_attribute_of_an_item_is_named_with_its_index() {
    for (attribute, value, message) in [
        (
            "mode",
            json!(600),
            "mode: invalid type: integer `600`, \
             expected a string of octal digits up to \"7777\", such as \"0644\"",
        ),
        (
            "mode",
            json!("0888"),
            "mode: \"0888\" is not allowed, \
             expected a string of octal digits up to \"7777\", such as \"0644\"",
        ),
        (
            "uid",
            json!(1_u64 << 32),
            "uid: invalid value: integer `4294967296`, \
             expected an integer from 0 to 4294967294",
        ),
        (
            "mtime",
            json!(-2_147_483_649_i64),
            "mtime: invalid value: integer `-2147483649`, \
             expected an integer from -2147483648 to 15032385535",
        ),
        (
            "source",
            json!("etc"),
            "source: \"etc\" is not allowed, expected an absolute path",
        ),
        (
            "target",
            json!("/etc/../x"),
            "target: \"/etc/../x\" is not allowed, expected an absolute path without \".\", \
             \"..\" and empty names: \"..\" stands for a directory itself or its parent, \
             and is no file name",
        ),
        (
            "xattrs",
            json!({ "user.a": "0x0" }),
            "xattrs.user.a: \"0x0\" is not allowed, expected a value as getfattr writes it: \
             text, text in double quotes with backslash escapes, hex after 0x, \
             or base64 after 0s",
        ),
    ] {
        let good = json!({ "source": "/nix/store/a", "target": "/a" });
        let mut bad = good.clone();
        bad[attribute] = value;
        assert_eq!(
            error(json!({ "contents": [good.clone(), good, bad] })),
            format!("nix2image.contents[2].{message}")
        );
    }
}

#[test]
fn the_name_of_an_xattr_has_a_namespace() {
    let item = json!({ "source": "/a", "target": "/a", "xattrs": { "comment": "x" } });
    let message = error(json!({ "contents": [item] }));
    assert!(
        message.starts_with("nix2image.contents[0].xattrs")
            && message.contains("\"comment\" is not allowed, expected a full name"),
        "{message}"
    );
}

#[test]
fn an_item_without_a_target_is_named() {
    assert_eq!(
        error(json!({ "contents": [{ "source": "/nix/store/a" }] })),
        "nix2image.contents[0]: missing field `target`"
    );
}

#[test]
fn the_times_that_ext4_holds_are_taken() {
    for mtime in [-2_147_483_648_i64, 15_032_385_535] {
        let item = json!({ "source": "/a", "target": "/a", "mtime": mtime });
        let image = json!({ "version": 1, "contents": [item] });
        assert!(parse(&derivation(&image)).is_ok());
    }
}

#[test]
fn the_version_is_looked_at_first() {
    let ours = env!("CARGO_PKG_VERSION");
    for (version, what, remedy) in [
        (
            json!(2),
            "newer",
            "take the binary that belongs to the Nix functions, or the functions of this binary",
        ),
        (json!(u64::MAX), "newer", "take the binary"),
        (json!(0), "older than all that were", "write version = 1"),
        (json!(-1), "older than all that were", "write version = 1"),
        (json!("1"), "no version", "write version = 1, as a number"),
        (json!(1.5), "no version", "write version = 1, as a number"),
    ] {
        let message = error_of(&derivation(
            &json!({ "version": version, "fromTheFuture": true }),
        ));
        let expected = format!(
            "nix2image.version: {version} is {what}, and this nix2image {ours} knows version 1; {remedy}"
        );
        assert!(message.starts_with(&expected), "{message}");
    }
    for image in [json!({ "lable": "x" }), json!({ "version": null })] {
        assert_eq!(
            error_of(&derivation(&image)),
            "nix2image.version: missing; write version = 1, that of the attributes which this nix2image knows"
        );
    }
}

#[test]
fn what_has_to_be_there_is_named() {
    let image = json!({ "version": 1 });
    for (derivation, message) in [
        (
            json!({ "outputs": { "out": "/o" } }),
            "nix2image: missing; what image to make is an attribute set, { version = 1; … }",
        ),
        (
            json!({ "nix2image": image }),
            "outputs: missing; Nix gives a map of output names to paths",
        ),
        (
            json!({ "outputs": { "img": "/o" }, "nix2image": image }),
            "outputs.out: missing; the image goes to the output `out` of the derivation",
        ),
        (
            json!({ "outputs": { "out": 5 }, "nix2image": image }),
            "outputs.out: invalid type: integer `5`, expected an absolute path",
        ),
        (
            json!({ "outputs": { "out": "/o" }, "nix2image": "ext4" }),
            "nix2image: invalid type: string \"ext4\", expected an attribute set",
        ),
    ] {
        assert_eq!(error_of(&derivation), message);
    }
}

#[test]
fn text_that_is_no_json_object_is_refused_with_its_place() {
    let error = Attrs::parse(b"[1, 2", Path::new("/b/.attrs.json")).unwrap_err();
    let message = Chain(&error).to_string();
    assert!(
        message.starts_with("the structured attributes in /b/.attrs.json are no JSON object: "),
        "{message}"
    );
}

#[test]
fn only_a_list_is_a_graph() {
    let mut derivation = derivation(&json!({ "version": 1 }));
    derivation["closure"] = json!([]);
    let attrs = parse(&derivation).unwrap();
    assert!(attrs.graph("closure").is_some());
    assert!(attrs.graph("outputs").is_none());
    assert!(attrs.graph("other").is_none());
}

#[test]
fn boot_files_are_of_one_loader() {
    let system = format!("/nix/store/{}-nixos", "a".repeat(32));
    let grub = json!({ "system": system, "search": { "label": "nixos" } });
    let extlinux = json!({ "system": system });
    let expected = "expected exactly one of `systemdBoot`, `grub` and `extlinux`";
    for (item, message) in [
        (
            json!({ "target": "/boot" }),
            format!("nix2image.bootFiles[0]: names 0 boot loaders, {expected}"),
        ),
        (
            json!({ "grub": grub, "extlinux": extlinux }),
            format!("nix2image.bootFiles[0]: names 2 boot loaders, {expected}"),
        ),
        (
            json!({ "lilo": {} }),
            "nix2image.bootFiles[0].lilo: unknown field `lilo`, expected one of `target`".into(),
        ),
        (
            json!({ "extlinux": {} }),
            "nix2image.bootFiles[0].extlinux: missing field `system`".into(),
        ),
        (
            json!({ "grub": { "system": system, "search": {} } }),
            "nix2image.bootFiles[0].grub.search: ".into(),
        ),
        (
            json!({ "grub": { "system": system, "search": { "label": "a\nb" } } }),
            "nix2image.bootFiles[0].grub.search.label: \"a\\nb\" is not allowed, expected a line of text".into(),
        ),
        (
            json!({ "systemdBoot": { "system": system, "consoleMode": "3" } }),
            "nix2image.bootFiles[0].systemdBoot.consoleMode: \"3\" is not allowed, expected \"0\"".into(),
        ),
    ] {
        let error = error(json!({ "bootFiles": [item] }));
        assert!(error.starts_with(&message), "{message} in {error}");
    }
}
