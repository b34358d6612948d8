use std::path::Path;

use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// The attributes of a derivation without graphs.
fn derivation(image: &Value) -> Value {
    json!({ "outputs": { "out": "/nix/store/x-image" }, "nix2image": image })
}

fn parse(derivation: &Value) -> Result<Spec, SpecError> {
    let text = derivation.to_string();
    Spec::new(
        Attrs::parse(text.as_bytes(), Path::new(".attrs.json")).unwrap(),
        NOW,
    )
}

fn spec(mut image: Value) -> Spec {
    image["version"] = json!(1);
    parse(&derivation(&image)).unwrap()
}

fn error(mut image: Value) -> String {
    image["version"] = json!(1);
    parse(&derivation(&image)).unwrap_err().to_string()
}

#[test]
fn what_is_not_given_has_its_default() {
    let spec = spec(json!({}));
    assert_eq!(spec.output.path, Path::new("/nix/store/x-image"));
    assert_eq!(spec.output.directory, None);
    assert!(spec.inputs.is_empty());
    assert!(!spec.verify);
    assert_eq!(spec.root, None);
    assert!(matches!(spec.kind, Kind::Ext4));
    assert!(spec.contents.is_empty());
    assert!(spec.registration);
    assert_eq!(spec.time, Timestamp::from_seconds(1));
    assert_eq!(spec.container, Container::Raw);
    assert!(!spec.self_check);
    assert_eq!(spec.ext4.label, ext4::Label::default());
    assert_eq!(
        spec.ext4.uuid.to_string(),
        "44444444-4444-4444-8888-888888888888"
    );
    assert_eq!(spec.ext4.hash_seed, ext4::HashSeed::of(spec.ext4.uuid));
    assert_eq!(spec.ext4.time, 1);
    assert_eq!(spec.ext4.free_bytes, 16 << 20);
    assert_eq!(spec.ext4.free_inodes, 1024);
}

#[test]
fn what_is_null_has_its_default() {
    let nulls = spec(json!({
        "graphs": null, "textGraphs": null, "exports": null, "binaryCaches": null,
        "verify": null, "deduplicate": null, "root": null, "onlyStore": null, "kind": null, "contents": null, "bootFiles": null, "registration": null, "time": null, "output": null,
        "imageName": null, "outputFiles": null, "disk": null, "container": null, "compression": null, "compressionLevel": null, "selfCheck": null, "report": null,
        "ext4": {
            "label": null, "uuid": null, "hashSeed": null, "profile": null, "size": null,
            "freeBytes": null, "freeInodes": null, "reservedPercent": null, "inodeRatio": null,
            "journalSize": null, "growTo": null, "sparse": null,
        },
    }));
    assert_eq!(format!("{nulls:?}"), format!("{:?}", spec(json!({}))));
}

#[test]
fn what_is_given_is_taken() {
    let spec = spec(json!({
        "contents": [{
            "source": "/nix/store/y-file", "target": "/etc/passwd", "unpack": true, "glob": true, "recursiveMode": true,
            "mode": "4755", "uid": 7, "gid": 8, "mtime": -5, "xattrs": { "user.a": "0x00ff" },
        }],
        "registration": false, "time": 1234, "output": "directory", "imageName": "disk.img",
        "compression": "zstd", "compressionLevel": 19, "selfCheck": true,
        "ext4": {
            "label": "NIXOS_SD", "uuid": "00000000-0000-0000-0000-000000000001",
            "hashSeed": "00000000-0000-0000-0000-000000000002", "freeBytes": 5, "freeInodes": 6,
        },
    }));
    let [item] = &spec.contents[..] else { panic!() };
    let target: Vec<_> = item
        .target
        .iter()
        .map(crate::tree::Name::as_bytes)
        .collect();
    assert_eq!(item.source, Path::new("/nix/store/y-file"));
    assert_eq!(target, [&b"etc"[..], b"passwd"]);
    assert!(item.unpack && item.glob && item.recursive_mode);
    assert_eq!(item.mode, Some(0o4755));
    assert_eq!((item.uid, item.gid), (Some(7), Some(8)));
    assert_eq!(item.mtime, Some(Timestamp::from_seconds(-5)));
    assert_eq!(*item.xattrs[&b"user.a"[..]], [0, 0xff]);
    assert!(!spec.registration);
    assert_eq!(spec.time, Timestamp::from_seconds(1234));
    assert_eq!(spec.ext4.time, 1234);
    assert_eq!(spec.output.directory.unwrap().image, "disk.img");
    assert_eq!(spec.container, Container::Zstd { level: 19 });
    assert!(spec.self_check);
    assert_eq!(&spec.ext4.label.as_bytes()[..9], b"NIXOS_SD\0");
    assert_eq!(spec.ext4.uuid.0[15], 1);
    assert_eq!(spec.ext4.hash_seed.0[15], 2);
    assert_eq!((spec.ext4.free_bytes, spec.ext4.free_inodes), (5, 6));
}

#[test]
fn a_store_alone_has_nothing_beside_it() {
    let alone = spec(json!({ "onlyStore": true, "contents": [], "registration": false }));
    assert!(alone.only_store);
    let alone = spec(json!({ "onlyStore": true }));
    assert!(alone.only_store && !alone.registration);
    let item = json!({ "source": "/nix/store/x", "target": "/x" });
    let system = format!("/nix/store/{}-nixos", "a".repeat(32));
    for (attribute, value) in [
        ("root", json!({})),
        ("contents", json!([item])),
        ("bootFiles", json!([{ "extlinux": { "system": system } }])),
        ("registration", json!(true)),
    ] {
        let mut image = json!({ "onlyStore": true });
        image[attribute] = value;
        assert_eq!(
            error(image),
            format!(
                "nix2image.onlyStore: {attribute} puts something beside the store paths, expected onlyStore = false or no {attribute}"
            )
        );
    }
}

#[test]
fn boot_files_are_taken_for_each_loader() {
    let system = format!("/nix/store/{}-nixos", "a".repeat(32));
    let efi = "/nix/store/x/systemd-bootx64.efi";
    let spec = spec(json!({ "bootFiles": [
        { "systemdBoot": { "system": system, "timeout": null, "editor": false, "consoleMode": "max", "efi": efi, "loader": false } },
        { "target": "/", "grub": { "system": system, "search": { "label": "nixos" }, "kernels": "copied", "default": 2 } },
        { "extlinux": { "system": system, "timeout": 3, "dtbName": "a/b.dtb" } },
    ]}));
    let system = StorePath::parse(&system).unwrap();
    let boot = vec![crate::tree::Name::new("boot").unwrap()];
    let expected = [
        (
            vec![],
            BootLoader::SystemdBoot(SystemdBoot {
                system: system.clone(),
                timeout: None,
                editor: false,
                console_mode: "max",
                loader: false,
                entries: true,
                efi: Some(efi.into()),
            }),
        ),
        (
            vec![],
            BootLoader::Grub(Grub {
                system: system.clone(),
                timeout: Some(5),
                default: 2,
                extra_config: String::new(),
                extra_entries: String::new(),
                kernels: Kernels::Copied,
                search: Search::Label("nixos".into()),
            }),
        ),
        (
            boot,
            BootLoader::Extlinux(Extlinux {
                system,
                timeout: Some(3),
                device_tree: true,
                dtb_name: Some("a/b.dtb".into()),
            }),
        ),
    ];
    let expected = expected.into_iter().enumerate();
    let expected: Vec<_> = expected
        .map(|(index, (target, loader))| BootFiles {
            attribute: format!("nix2image.bootFiles[{index}]"),
            target,
            loader,
        })
        .collect();
    assert_eq!(spec.boot_files, expected);
}

#[test]
fn every_form_of_a_closure_is_taken() {
    let path = format!("/nix/store/{}-a", "a".repeat(32));
    let spec = spec(json!({
        "textGraphs": ["/nix/store/x-graph"], "exports": ["/x.closure"], "verify": true, "deduplicate": true,
        "binaryCaches": [{ "cache": "/cache", "paths": [path] }],
    }));
    assert!(spec.verify && spec.deduplicate);
    let [
        Form::TextGraph(graph),
        Form::Export(export),
        Form::Cache { cache, paths },
    ] = &spec.inputs[..]
    else {
        panic!("{:?}", spec.inputs)
    };
    assert_eq!(graph, Path::new("/nix/store/x-graph"));
    assert_eq!(export, Path::new("/x.closure"));
    assert_eq!(cache, Path::new("/cache"));
    assert_eq!(paths[0].to_string(), path);
}

#[test]
fn a_root_has_a_database_unless_it_is_told_not_to_and_room_for_it() {
    let bare = spec(json!({})).ext4.free_bytes;
    let with = spec(json!({ "root": {} }));
    let root = RootSpec {
        database: true,
        ..RootSpec::default()
    };
    assert_eq!(with.root, Some(root));
    assert_eq!(with.ext4.free_bytes, bare + DATABASE_ROOM);
    let without = spec(json!({ "root": { "database": false } }));
    assert_eq!(without.ext4.free_bytes, bare);
    let system = format!("/nix/store/{}-system", "a".repeat(32));
    let shell = format!("{system}/bin/sh");
    let full = spec(json!({ "root": { "system": system, "channel": null, "shell": shell } }));
    let root = full.root.unwrap();
    assert_eq!(root.system.unwrap().to_string(), system);
    assert_eq!(root.channel, None);
    assert_eq!(root.shell.unwrap(), Path::new(&shell));
}

#[test]
fn a_tar_archive_is_not_checked_as_a_filesystem() {
    assert!(matches!(spec(json!({ "kind": "tar" })).kind, Kind::Tar));
    assert_eq!(
        error(json!({ "kind": "tar", "selfCheck": true })),
        "nix2image.selfCheck: a tar archive cannot be checked, expected false with kind = \"tar\"; \
         `verify` checks the closure that goes into it"
    );
}

#[test]
fn an_image_is_in_the_container_that_is_asked_for() {
    for (name, expected) in [
        ("raw", Container::Raw),
        ("qcow2", Container::Qcow2 { compressed: false }),
        ("qcow2-compressed", Container::Qcow2 { compressed: true }),
        (
            "vhd-fixed",
            Container::Vhd {
                form: VhdForm::Fixed,
            },
        ),
        (
            "vhd-dynamic",
            Container::Vhd {
                form: VhdForm::Dynamic,
            },
        ),
    ] {
        let found = spec(json!({ "container": name, "compression": "none" })).container;
        assert_eq!(found, expected);
    }
}

#[test]
fn what_a_container_excludes_is_refused() {
    assert_eq!(
        error(json!({ "container": "qcow2", "compression": "zstd" })),
        "nix2image.compression: \"zstd\" with container = \"qcow2\" makes a file that no machine \
         starts from, expected \"none\"; or use container = \"raw\", which gives NAME.img.zst"
    );
    assert_eq!(
        error(json!({ "container": "vhd-fixed", "selfCheck": true })),
        "nix2image.selfCheck: only images with container = \"raw\" can be checked, expected false \
         with \"vhd-fixed\"; `verify` checks the closure that goes into it"
    );
    assert_eq!(
        error(json!({ "container": "qcow2-compressed", "kind": "tar" })),
        "nix2image.container: a tar archive is no disk, expected \"raw\" with kind = \"tar\"; \
         for a smaller one use compression = \"zstd\""
    );
    assert_eq!(
        spec(json!({ "container": "raw", "compression": "zstd", "selfCheck": true })).container,
        Container::Zstd { level: 3 }
    );
}

#[test]
fn an_image_in_a_directory_is_named_after_its_container_unless_it_has_a_name() {
    let name = |image| spec(image).output.directory.unwrap().image;
    assert_eq!(name(json!({ "output": "directory" })), "nixos.img");
    assert_eq!(
        name(json!({ "output": "directory", "compression": "zstd" })),
        "nixos.img.zst"
    );
    for (container, expected) in [
        ("raw", "nixos.img"),
        ("qcow2", "nixos.qcow2"),
        ("qcow2-compressed", "nixos.qcow2"),
        ("vhd-fixed", "nixos.vhd"),
        ("vhd-dynamic", "nixos.vhd"),
    ] {
        let image = json!({ "output": "directory", "container": container });
        assert_eq!(name(image), expected);
    }
    assert_eq!(
        name(json!({ "output": "directory", "compression": "zstd", "imageName": "a.img" })),
        "a.img"
    );
}

#[test]
fn an_image_cannot_have_the_name_of_the_registration() {
    assert_eq!(
        error(json!({ "output": "directory", "imageName": "nix-path-registration" })),
        "nix2image.imageName: \"nix-path-registration\" cannot stand beside \
         \"nix-path-registration\"; give it another name"
    );
}

#[test]
fn a_time_in_the_future_is_refused() {
    assert_eq!(
        error(json!({ "time": 1_700_000_001 })),
        "nix2image.time: 1700000001 is in the future, which e2fsck reports; expected at most \
         1700000000, the time now"
    );
    assert_eq!(spec(json!({ "time": 1_700_000_000 })).time, NOW);
}

#[test]
fn a_graph_that_no_attribute_provides_is_refused_with_those_that_are() {
    let image = json!({ "version": 1, "graphs": ["closure", "outputs"] });
    let mut derivation = derivation(&image);
    assert_eq!(
        parse(&derivation).unwrap_err().to_string(),
        "nix2image.graphs[0]: \"closure\" is no graph; exportReferencesGraph provides none"
    );
    derivation["exportReferencesGraph"] = json!({ "system": [], "extra": [] });
    assert_eq!(
        parse(&derivation).unwrap_err().to_string(),
        "nix2image.graphs[0]: \"closure\" is no graph; exportReferencesGraph provides \
         \"extra\", \"system\""
    );
}

/// What is wrong with a disk like this, with `changes` in it.
fn disk_error(changes: &Value) -> String {
    let mut disk = json!({ "table": "gpt", "guid": "97fd5997-d90b-4aa3-8d16-c1723aea73c1" });
    for (name, value) in changes.as_object().unwrap() {
        disk[name] = value.clone();
    }
    error(json!({ "kind": "disk", "disk": disk }))
}

#[test]
fn a_disk_has_what_its_table_wants_and_no_more() {
    let id = "0x2178694e";
    for (changes, expected) in [
        (
            json!({ "guid": null }),
            "disk.guid: missing; a table = \"gpt\" needs one",
        ),
        (
            json!({ "id": id }),
            "disk.id: is not used; expected none with table = \"gpt\"",
        ),
        (
            json!({ "table": "mbr", "guid": null }),
            "disk.id: missing; a table = \"mbr\" needs one",
        ),
        (
            json!({ "table": "mbr", "id": id }),
            "disk.guid: is not used; expected none with table = \"mbr\"",
        ),
        (
            json!({ "table": "mbr", "id": id, "guid": null, "sectorSize": 4096 }),
            "disk.sectorSize: 4096 is only for table = \"gpt\", expected 512",
        ),
        (
            json!({ "table": "none", "id": id, "guid": null }),
            "disk.id: is not used; expected none with table = \"none\"",
        ),
    ] {
        assert_eq!(disk_error(&changes), format!("nix2image.{expected}"));
    }
}

#[test]
fn a_partition_has_one_content_and_the_closure_one_partition() {
    let partitions = |contents: &[Value]| {
        let partition = |content: &Value| json!({ "content": content });
        json!({ "partitions": contents.iter().map(partition).collect::<Vec<_>>() })
    };
    assert_eq!(
        disk_error(&partitions(&[json!({})])),
        "nix2image.disk.partitions[0].content: has 0 of ext4, fat and file, expected one"
    );
    let two = json!({ "ext4": {}, "file": "/nix/store/x" });
    assert_eq!(
        disk_error(&partitions(&[Value::Null, two])),
        "nix2image.disk.partitions[1].content: has 2 of ext4, fat and file, expected one"
    );
    let root = json!({ "ext4": {} });
    assert_eq!(
        disk_error(&partitions(&[root.clone(), root])),
        "nix2image.disk.partitions[1].content.ext4: the closure stands in one partition, and \
         another one before has content.ext4"
    );
    let none = json!({ "table": "none" });
    for (name, value) in [
        ("root", json!({})),
        (
            "contents",
            json!([{ "source": "/nix/store/x", "target": "/x" }]),
        ),
        ("selfCheck", json!(true)),
        ("exports", json!(["/nix/store/x"])),
        (
            "bootFiles",
            json!([{ "extlinux": { "system": "/nix/store/ffffffffffffffffffffffffffffffff-x" } }]),
        ),
    ] {
        let mut image = json!({ "kind": "disk", "disk": none });
        image[name] = value;
        assert_eq!(
            error(image),
            "nix2image.disk.partitions: none has content.ext4, which the closure, root, contents, \
             bootFiles and selfCheck are for",
            "{name}"
        );
    }
    spec(json!({ "kind": "disk", "disk": none }));
}

#[test]
fn a_disk_is_described_where_one_is_wanted() {
    let disk = json!({ "table": "none" });
    assert_eq!(
        error(json!({ "kind": "disk" })),
        "nix2image.disk: missing; with kind = \"disk\" it says what partitions there are"
    );
    assert_eq!(
        error(json!({ "disk": disk })),
        "nix2image.disk: is not used; expected none, or kind = \"disk\""
    );
    assert_eq!(
        error(json!({ "kind": "disk", "disk": disk, "ext4": {} })),
        "nix2image.ext4: is not used with kind = \"disk\"; the filesystem stands in \
         disk.partitions[…].content.ext4"
    );
}

#[test]
fn volumes_have_serial_numbers_of_their_own() {
    let fat = json!({ "content": { "fat": {} } });
    let disk = json!({ "table": "mbr", "id": "0x1", "partitions": [fat, fat] });
    let Kind::Disk(disk) = spec(json!({ "kind": "disk", "disk": disk })).kind else {
        panic!("it is a disk");
    };
    let [PartitionContent::Fat(first), PartitionContent::Fat(second)] = &disk.contents[..] else {
        panic!("{:?}", disk.contents);
    };
    assert_ne!(first.options.volume_id, second.options.volume_id);
}

#[test]
fn files_beside_an_image_have_places_of_their_own() {
    let files = |names: &[&str]| {
        let file = |name: &&str| json!({ "name": name, "text": "" });
        let files: Vec<_> = names.iter().map(file).collect();
        json!({ "output": "directory", "imageName": "a/b.img", "outputFiles": files })
    };
    let mut without = files(&["c"]);
    without["output"] = json!("file");
    assert_eq!(
        error(without),
        "nix2image.outputFiles: are not used, expected none or output = \"directory\""
    );
    for (names, first, second) in [
        (&["a/b.img"][..], "a/b.img", "a/b.img"),
        (&["a/c", "a"], "a/b.img", "a"),
        (&["a/b.img/c"], "a/b.img", "a/b.img/c"),
        (&["c", "c/d"], "c", "c/d"),
        (
            &["nix-path-registration"],
            "nix-path-registration",
            "nix-path-registration",
        ),
    ] {
        assert_eq!(
            error(files(names)),
            format!(
                "nix2image.outputFiles: {second:?} cannot stand beside {first:?}; give it another name"
            )
        );
    }
    spec(files(&["a/b.img.sha256", "a/bb", "c"]));
}

#[test]
fn the_text_beside_an_image_tells_what_is_known_later() {
    let file = OutputFile {
        name: "info".into(),
        text: "file x @image@ @out@ @imageBytes@ @other@".into(),
    };
    assert_eq!(
        file.content("/nix/store/x", "a/b.img", 1 << 20),
        b"file x /nix/store/x/a/b.img /nix/store/x 1048576 @other@"
    );
}

/// `docs/attributes.md`, which speaks of every attribute.
mod document {
    use serde::de::DeserializeOwned;

    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/attributes.md");

    /// The fields of `T`, as it lists them when it is given one that it does not know.
    fn attribute_names<T: DeserializeOwned + std::fmt::Debug>() -> Vec<String> {
        let error = serde_json::from_value::<T>(json!({ "no such attribute": 0 })).unwrap_err();
        let message = error.to_string();
        let (_, names) = message.split_once("expected ").unwrap();
        // Each between backquotes.
        let names = names.split('`').skip(1).step_by(2);
        names.map(str::to_owned).collect()
    }

    /// The section under `heading`, up to the next of any level.
    fn section(heading: &str) -> &str {
        let (_, after) = DOCUMENT.split_once(&format!("# {heading}\n")).unwrap();
        after.split("\n#").next().unwrap()
    }

    fn json_blocks() -> Vec<Value> {
        DOCUMENT
            .split("```json\n")
            .skip(1)
            .map(|block| serde_json::from_str(block.split("```").next().unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn it_has_a_row_for_every_attribute() {
        for (heading, names) in [
            ("Of the image", attribute_names::<attrs::Image>()),
            ("`binaryCaches`", attribute_names::<attrs::BinaryCache>()),
            ("`root`", attribute_names::<attrs::Root>()),
            ("`contents`", attribute_names::<attrs::Content>()),
            ("`outputFiles`", attribute_names::<attrs::OutputFile>()),
            ("`disk`", attribute_names::<attrs::Disk>()),
            ("`partitions`", attribute_names::<attrs::Partition>()),
            ("`fat`", attribute_names::<attrs::Fat>()),
            ("`ext4`", attribute_names::<attrs::Ext4>()),
        ] {
            let documented: Vec<_> = section(heading)
                .lines()
                .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
                .collect();
            assert_eq!(documented, names, "{heading}");
        }
    }

    fn check(attrs: &Value, names: Vec<String>) {
        for name in names {
            assert!(attrs.get(&name).is_some(), "{name}");
        }
    }

    #[test]
    fn its_examples_have_every_attribute_and_are_taken() {
        let [mut example, mut disk, _] = <[Value; 3]>::try_from(json_blocks()).unwrap();
        let image = &example["nix2image"];
        let mut names = attribute_names::<attrs::Image>();
        names.retain(|name| name != "disk");
        check(image, names);
        check(
            &image["binaryCaches"][0],
            attribute_names::<attrs::BinaryCache>(),
        );
        check(&image["root"], attribute_names::<attrs::Root>());
        check(&image["contents"][0], attribute_names::<attrs::Content>());
        check(
            &image["outputFiles"][0],
            attribute_names::<attrs::OutputFile>(),
        );
        check(&image["ext4"], attribute_names::<attrs::Ext4>());

        let described = &disk["nix2image"]["disk"];
        let mut names = attribute_names::<attrs::Disk>();
        names.retain(|name| name != "id"); // of the other kind of table
        check(described, names);
        check(
            &described["partitions"][1],
            attribute_names::<attrs::Partition>(),
        );
        check(
            &described["partitions"][0]["content"]["fat"],
            attribute_names::<attrs::Fat>(),
        );
        check(&described["raw"][0], attribute_names::<attrs::Raw>());
        check(&described["grub"], attribute_names::<attrs::Grub>());

        for example in [&mut example, &mut disk] {
            // Parsing a graph is another module's.
            example["nix2image"]["graphs"] = json!([]);
            parse(example).unwrap();
        }
    }

    #[test]
    fn its_defaults_are_the_defaults() {
        let [_, _, written_out] = <[Value; 3]>::try_from(json_blocks()).unwrap();
        let mut left_out = written_out.clone();
        left_out["nix2image"] = json!({ "version": 1 });
        assert_eq!(
            format!("{:?}", parse(&written_out).unwrap()),
            format!("{:?}", parse(&left_out).unwrap())
        );
    }
}

#[test]
fn a_report_has_an_output_of_its_own_and_knows_what_was_asked_for() {
    let path = |letter: char| format!("/nix/store/{}-a", letter.to_string().repeat(32));
    let mut derivation = derivation(&json!({
        "version": 1, "graphs": ["closure"], "report": true,
        "binaryCaches": [{ "cache": "/cache", "paths": [path('c')] }],
        "root": { "system": path('d') },
    }));
    let in_one = format!("{}/bin/b", path('b'));
    derivation["exportReferencesGraph"] = json!({ "closure": [path('a'), in_one, "nothing"] });
    derivation["closure"] = json!([]);
    let error = parse(&derivation).unwrap_err().to_string();
    assert!(error.starts_with("nix2image.report: "), "{error}");
    assert!(error.contains(r#"outputs = [ "out" "report" ]"#), "{error}");

    derivation["outputs"]["report"] = json!("/nix/store/x-report");
    let report = parse(&derivation).unwrap().report.unwrap();
    assert_eq!(report.path, Path::new("/nix/store/x-report"));
    let asked: Vec<_> = report.asked.iter().map(ToString::to_string).collect();
    assert_eq!(asked, ['a', 'b', 'c', 'd'].map(path));

    derivation["nix2image"]["report"] = json!(false);
    assert_eq!(parse(&derivation).unwrap().report, None);
}

/// Requests as the Nix functions of old wrote them. Their files are never edited: an attribute that
/// goes, or means something else, wants another `version`.
mod version_1 {
    use super::*;

    fn read(text: &str) -> Spec {
        let attrs = Attrs::parse(text.as_bytes(), Path::new(".attrs.json")).unwrap();
        Spec::new(attrs, NOW).unwrap()
    }

    #[test]
    fn every_attribute_is_taken() {
        let spec = read(include_str!("version-1/every.json"));
        assert!(spec.verify && spec.deduplicate);
    }

    #[test]
    fn defaults_are_what_they_were() {
        let defaults = read(include_str!("version-1/defaults.json"));
        let out = defaults.output.path.clone();
        let nothing = json!({ "outputs": { "out": out }, "nix2image": { "version": 1 } });
        let nothing = parse(&nothing).unwrap();
        assert_eq!(format!("{nothing:?}"), format!("{defaults:?}"));
    }
}
