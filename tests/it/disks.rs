//! Disks, as the attribute `disk` asks for them: partitioning tools find no fault, each
//! partition is what was asked for, and what cannot be is refused before a byte is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::command::{output, run};
use crate::support::direct::Direct;
use crate::support::disk::{Cut, Loop, Partition, Sources, bytes_at, table, tools_find_no_fault};
use crate::support::fat::{by_mtools, fsck_fat_is_silent, listed_by_mtools};
use crate::support::fsck::e2fsck_is_silent;
use crate::support::image::{number, superblock};
use crate::support::mount::Mounted;
use crate::support::sample::noise;

const MIB: u64 = 1 << 20;
const GUID: &str = "DEADBEEF-0000-4000-8000-000000000001";
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// A disk that the builder made, gone with this value.
struct Disk {
    direct: Direct,
    sector: u64,
}

impl Disk {
    /// The disk of the attributes `disk`, whose sources are in `sources`.
    #[track_caller]
    fn of(sources: &Sources, disk: &Value) -> Self {
        Self::with(sources, disk, json!({}), 2)
    }

    /// The same beside other attributes of the image, made by `threads` threads.
    #[track_caller]
    fn with(sources: &Sources, disk: &Value, mut image: Value, threads: u32) -> Self {
        image["kind"] = json!("disk");
        image["disk"] = disk.clone();
        let direct = derivation(image);
        run(direct
            .builder_with_store(sources.store())
            .env("NIX_BUILD_CORES", threads.to_string()));
        Self {
            direct,
            sector: disk["sectorSize"].as_u64().unwrap_or(512),
        }
    }

    fn path(&self) -> PathBuf {
        self.direct.out()
    }

    fn size(&self) -> u64 {
        self.path().metadata().unwrap().len()
    }

    /// What the table says, of which no tool complains.
    #[track_caller]
    fn table(&self) -> (Value, Vec<Partition>) {
        let device = Loop::attach(&self.path(), self.sector);
        let (fields, partitions) = table(device.path(), self.sector);
        let numbers: Vec<usize> = partitions
            .iter()
            .map(|partition| partition.number)
            .collect();
        tools_find_no_fault(device.path(), fields["label"] == "gpt", &numbers);
        (fields, partitions)
    }

    #[track_caller]
    fn partitions(&self) -> Vec<Partition> {
        self.table().1
    }

    #[track_caller]
    fn cut(&self, partition: &Partition) -> Cut {
        Cut::out_of(&self.path(), partition)
    }

    #[track_caller]
    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

/// A derivation of `image`, with a closure, of nothing, if the disk has a root for it.
#[track_caller]
fn derivation(image: Value) -> Direct {
    if image["disk"].to_string().contains("\"ext4\":{") {
        Direct::new(image, &[])
    } else {
        Direct::without_graphs(&image)
    }
}

/// Why there is no disk: the one line of the builder, which left nothing.
#[track_caller]
fn refusal(sources: &Sources, disk: &Value) -> String {
    let direct = derivation(json!({ "kind": "disk", "disk": disk }));
    let output = output(&mut direct.builder_with_store(sources.store()));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(direct.left_nothing());
    let lines: Vec<&str> = stderr
        .lines()
        .filter(|line| !line.starts_with("@nix "))
        .collect();
    match lines[..] {
        [line] => line.strip_prefix("nix2image: error: ").unwrap().to_owned(),
        _ => panic!("{stderr}"),
    }
}

/// Fails unless the refusal of `disk` has all of `words` in it.
#[track_caller]
fn assert_refused(sources: &Sources, disk: &Value, words: &[&str]) {
    let found = refusal(sources, disk);
    let missing: Vec<_> = words.iter().filter(|word| !found.contains(*word)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in: {found}");
}

/// A GPT of `partitions`.
fn gpt(partitions: &Value) -> Value {
    json!({ "table": "gpt", "guid": GUID, "partitions": partitions })
}

/// An MBR of `partitions`.
fn mbr(partitions: &Value) -> Value {
    json!({ "table": "mbr", "id": "0x2178694e", "partitions": partitions })
}

/// `disk` with the attribute `name` in addition.
fn with(mut disk: Value, name: &str, value: Value) -> Value {
    disk[name] = value;
    disk
}

/// An ESP with some files in it.
fn esp(sources: &Sources) -> Value {
    let loader = sources.put("systemd-boot.efi", noise(120_000, 1));
    let conf = sources.put("loader.conf", "timeout 5\n");
    json!({
        "name": "ESP",
        "type": "esp",
        "content": { "fat": {
            "label": "ESP",
            "volumeId": "0x2178694e",
            "type": "fat32",
            "contents": [
                { "source": loader, "target": "/EFI/BOOT/BOOTX64.EFI" },
                { "source": loader, "target": "/EFI/systemd/systemd-bootx64.efi" },
                { "source": conf, "target": "/loader/loader.conf" },
            ],
        } },
    })
}

/// The paths in that ESP, as mdir lists them.
const ESP_PATHS: [&str; 8] = [
    "/EFI/",
    "/EFI/BOOT/",
    "/EFI/BOOT/BOOTX64.EFI",
    "/EFI/systemd/",
    "/EFI/systemd/systemd-bootx64.efi",
    "/loader/",
    "/loader/loader.conf",
    "",
];

/// A root of few files.
fn root() -> Value {
    json!({ "name": "root", "type": "linux", "content": { "ext4": { "label": "nixos", "freeBytes": 0 } } })
}

/// Checks the ESP of [`esp()`] in `partition`.
#[track_caller]
fn assert_esp(disk: &Disk, partition: &Partition) {
    let cut = disk.cut(partition);
    fsck_fat_is_silent(&cut.path());
    let mut expected: Vec<&str> = ESP_PATHS
        .into_iter()
        .filter(|path| !path.is_empty())
        .collect();
    expected.sort_unstable();
    assert_eq!(listed_by_mtools(&cut.path()), expected);
    let files = by_mtools(&cut.path());
    assert_eq!(files["/EFI/BOOT/BOOTX64.EFI"], Some(noise(120_000, 1)));
    assert_eq!(files["/loader/loader.conf"], Some(b"timeout 5\n".to_vec()));
    let bytes = bytes_at(&disk.path(), partition.start, 512);
    let hidden = u32::from_le_bytes(bytes[28..32].try_into().unwrap());
    assert_eq!(
        u64::from(hidden) * disk.sector,
        partition.start,
        "hidden sectors"
    );
    let sector = u16::from_le_bytes(bytes[11..13].try_into().unwrap());
    assert_eq!(u64::from(sector), disk.sector);
}

/// Checks the root of [`root()`] in `partition`.
#[track_caller]
fn assert_root(disk: &Disk, partition: &Partition) {
    let cut = disk.cut(partition);
    e2fsck_is_silent(&cut.path());
    assert_eq!(superblock(&cut.path())["Filesystem volume name"], "nixos");
    let mounted = Mounted::read_only(&cut.path());
    assert!(mounted.root().join("nix-path-registration").is_file());
}

#[test]
fn a_gpt_with_an_esp_and_a_root_is_whole_and_as_small_as_it_can_be() {
    let sources = Sources::new();
    for sector in [512, 4096] {
        let disk = with(
            gpt(&json!([esp(&sources), root()])),
            "sectorSize",
            json!(sector),
        );
        let disk = Disk::of(&sources, &disk);
        let (fields, partitions) = disk.table();
        assert_eq!(fields["label"], "gpt");
        assert_eq!(fields["id"], GUID);
        assert_eq!(fields["sectorsize"], sector);
        let [esp, root] = &partitions[..] else {
            panic!("{partitions:?}")
        };
        assert_eq!((esp.field("type"), esp.field("name")), (ESP, "ESP"));
        assert_eq!((root.field("type"), root.field("name")), (LINUX, "root"));
        assert_eq!(esp.start, MIB);
        assert_eq!(root.start, esp.end().next_multiple_of(MIB));
        // A backup table, and no more than to the next MiB.
        let backup = 16384 + sector;
        assert_eq!(disk.size(), (root.end() + backup).next_multiple_of(MIB));
        assert_esp(&disk, esp);
        assert_root(&disk, root);
        // The protective MBR spans the disk.
        let mbr = bytes_at(&disk.path(), 0, 512);
        assert_eq!(mbr[446 + 4], 0xee);
        assert_eq!(&mbr[510..], [0x55, 0xaa]);
        let covered = u32::from_le_bytes(mbr[446 + 12..446 + 16].try_into().unwrap());
        assert_eq!(u64::from(covered), disk.size() / sector - 1);
    }
}

#[test]
fn an_mbr_has_the_id_types_and_flag_that_were_asked_for() {
    let sources = Sources::new();
    let firmware = json!({
        "type": "0x0b",
        "start": 8 * MIB,
        "size": 30 * MIB,
        "content": { "fat": { "label": "FIRMWARE", "volumeId": "2178-694E" } },
    });
    let mut root = root();
    root["bootable"] = json!(true);
    root["name"] = Value::Null;
    let disk = Disk::of(&sources, &mbr(&json!([firmware, root])));
    let (fields, partitions) = disk.table();
    assert_eq!(fields["label"], "dos");
    assert_eq!(fields["id"], "0x2178694e");
    let [firmware, root] = &partitions[..] else {
        panic!("{partitions:?}")
    };
    assert_eq!((firmware.start, firmware.size), (8 * MIB, 30 * MIB));
    assert_eq!((firmware.field("type"), root.field("type")), ("b", "83"));
    assert_eq!(firmware.fields.get("bootable"), None);
    assert_eq!(root.fields["bootable"], true);
    assert_eq!(root.start, 38 * MIB);
    assert_eq!(disk.size(), root.end().next_multiple_of(MIB));
    let cut = disk.cut(firmware);
    fsck_fat_is_silent(&cut.path());
    let tags = run(Command::new("blkid")
        .args(["-p", "-o", "export"])
        .arg(cut.path()));
    assert!(
        tags.contains("UUID=2178-694E\n") && tags.contains("LABEL=FIRMWARE\n"),
        "{tags}"
    );
    assert_root(&disk, root);
}

#[test]
fn a_disk_without_a_table_is_its_one_filesystem() {
    let sources = Sources::new();
    let ext4 = json!({ "content": { "ext4": { "label": "nixos", "freeBytes": 0 } } });
    let disk = Disk::of(&sources, &json!({ "table": "none", "partitions": [ext4] }));
    e2fsck_is_silent(&disk.path());
    let plain = Direct::new(json!({ "ext4": { "label": "nixos", "freeBytes": 0 } }), &[]);
    run(&mut plain.builder_with_store(sources.store()));
    let (found, plain) = (disk.bytes(), fs::read(plain.out()).unwrap());
    assert!(found == plain, "the same filesystem, and nothing else");
}

#[test]
fn filesystems_fill_partitions_of_an_exact_size_and_of_the_rest() {
    let sources = Sources::new();
    let mut esp = esp(&sources);
    esp["size"] = json!(100 * MIB);
    let mut root = root();
    root["size"] = json!("rest");
    let disk = with(gpt(&json!([esp, root])), "size", json!(300 * MIB));
    let disk = Disk::of(&sources, &disk);
    assert_eq!(disk.size(), 300 * MIB);
    let partitions = disk.partitions();
    let [esp, root] = &partitions[..] else {
        panic!("{partitions:?}")
    };
    assert_eq!(esp.size, 100 * MIB);
    assert_eq!(root.start, 101 * MIB);
    // Up to the backup table, in whole sectors at least and whole MiB at most.
    let last = 300 * MIB - 33 * 512;
    assert!(root.end() <= last && root.end() + MIB > last, "{root:?}");
    let fat = bytes_at(&disk.path(), esp.start, 512);
    let sectors = u32::from_le_bytes(fat[32..36].try_into().unwrap());
    assert_eq!(u64::from(sectors) * 512, esp.size);
    let ext4 = superblock(&disk.cut(root).path());
    assert_eq!(number(&ext4, "Block count"), root.size / 4096);
    assert_esp(&disk, esp);
    assert_root(&disk, root);
}

#[test]
fn a_file_and_raw_bytes_lie_where_they_were_asked_for() {
    let sources = Sources::new();
    let image = noise(3_000_000, 2);
    let spl = noise(50_000, 3);
    let image_path = sources.put("other.img", &image);
    let spl_path = sources.put("spl.bin", &spl);
    let partition = json!({ "type": "linux", "start": 4 * MIB, "content": { "file": image_path } });
    let raw = json!([{ "source": spl_path, "offset": 8192 }, { "source": spl_path, "offset": 2 * MIB + 512 }]);
    let disk = with(
        mbr(&json!([partition, { "type": "0x82", "size": 2 * MIB }])),
        "raw",
        raw,
    );
    let disk = Disk::of(&sources, &disk);
    let partitions = disk.partitions();
    let [file, empty] = &partitions[..] else {
        panic!("{partitions:?}")
    };
    assert_eq!(file.start, 4 * MIB);
    assert!(file.size >= image.len() as u64, "{file:?}");
    assert!(bytes_at(&disk.path(), file.start, image.len() as u64) == image);
    for offset in [8192, 2 * MIB + 512] {
        assert!(
            bytes_at(&disk.path(), offset, spl.len() as u64) == spl,
            "{offset}"
        );
    }
    assert_eq!(empty.size, 2 * MIB);
    assert!(
        bytes_at(&disk.path(), empty.start, empty.size)
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn a_partition_has_its_place_in_the_list_as_its_number() {
    let sources = Sources::new();
    let at = |name: &str, start: u64| json!({ "name": name, "type": "linux", "start": start, "size": MIB });
    let partitions = json!([at("last", 9 * MIB), at("first", MIB), at("middle", 4 * MIB)]);
    let disk = Disk::of(&sources, &gpt(&partitions));
    let found: Vec<_> = disk
        .partitions()
        .iter()
        .map(|partition| {
            (
                partition.number,
                partition.field("name").to_owned(),
                partition.start,
            )
        })
        .collect();
    let expected = [(1, "last", 9), (2, "first", 1), (3, "middle", 4)];
    assert_eq!(
        found,
        expected.map(|(number, name, mib)| (number, name.to_owned(), mib * MIB))
    );
}

#[test]
fn guids_are_those_given_or_follow_from_the_disk_and_the_number() {
    let sources = Sources::new();
    let own = "12345678-1234-4234-8234-123456789ABC";
    let plain = json!({ "type": "linux", "size": MIB });
    let guids = |disk: &Value| -> Vec<String> {
        let partitions = Disk::of(&sources, disk).partitions();
        partitions
            .iter()
            .map(|partition| partition.field("uuid").to_owned())
            .collect()
    };
    let three = guids(&gpt(&json!([
        plain,
        with(plain.clone(), "guid", json!(own.to_lowercase())),
        plain
    ])));
    assert_eq!(three[1], own);
    assert_eq!(three.iter().collect::<BTreeSet<_>>().len(), 3, "{three:?}");
    let two = guids(&gpt(&json!([plain, plain])));
    assert_eq!(two[0], three[0], "what comes later does not count");
    assert_ne!(two[1], own);
    let other = with(
        gpt(&json!([plain])),
        "guid",
        json!("DEADBEEF-0000-4000-8000-000000000002"),
    );
    assert_ne!(guids(&other)[0], two[0]);
}

#[test]
fn types_and_attributes_are_those_of_their_names() {
    let sources = Sources::new();
    let of = |kind: &str, attributes: Value| json!({ "type": kind, "size": MIB, "attributes": attributes });
    let own = "D3BFE2DE-3DAF-11DF-BA40-E3A556D89593";
    let kinds = [
        ("esp", ESP),
        ("bios-boot", "21686148-6449-6E6F-744E-656564454649"),
        ("linux", LINUX),
        ("linux-root-x86-64", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
        ("linux-root-arm64", "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"),
        ("xbootldr", "BC13C2FF-59E6-4262-A352-B275FD6F7172"),
        (own, own),
    ];
    let partitions: Vec<Value> = kinds.iter().map(|(kind, _)| of(kind, json!([]))).collect();
    let disk = Disk::of(&sources, &gpt(&json!(partitions)));
    for (partition, (kind, guid)) in disk.partitions().iter().zip(kinds) {
        assert_eq!(partition.field("type"), guid, "{kind}");
        assert_eq!(partition.field("attrs"), "");
    }
    let attributes = json!([
        "required-partition",
        "no-block-io",
        "legacy-bios-bootable",
        59
    ]);
    let disk = Disk::of(&sources, &gpt(&json!([of("linux", attributes)])));
    assert_eq!(
        disk.partitions()[0].field("attrs"),
        "RequiredPartition NoBlockIOProtocol LegacyBIOSBootable GUID:59"
    );
    let disk = Disk::of(
        &sources,
        &gpt(&json!([with(
            of("linux", json!([])),
            "bootable",
            json!(true)
        )])),
    );
    assert_eq!(disk.partitions()[0].field("attrs"), "LegacyBIOSBootable");
}

#[test]
fn a_partition_starts_where_its_own_alignment_or_the_disks_says() {
    let sources = Sources::new();
    let plain = json!({ "type": "linux", "size": MIB + 512 });
    let disk = with(
        gpt(&json!([
            plain,
            with(plain.clone(), "align", json!(4 * MIB)),
            plain
        ])),
        "align",
        json!(2 * MIB),
    );
    let disk = Disk::of(&sources, &disk);
    let starts: Vec<u64> = disk
        .partitions()
        .iter()
        .map(|partition| partition.start / MIB)
        .collect();
    assert_eq!(starts, [2, 4, 6]);
    assert_eq!(disk.size(), 8 * MIB);
}

#[test]
fn any_number_of_threads_makes_the_same_disk() {
    let sources = Sources::new();
    let root = json!({ "name": "root", "type": "linux", "content": { "ext4": {} } });
    let disk = gpt(&json!([esp(&sources), root]));
    let contents = json!({ "contents": [
        { "source": sources.put("large", noise(20_000_000, 4)), "target": "/large" },
    ] });
    let made =
        [1, 2, 7].map(|threads| Disk::with(&sources, &disk, contents.clone(), threads).bytes());
    assert!(made[0] == made[1] && made[0] == made[2]);
}

#[test]
fn partitions_that_overlap_are_refused_by_number_and_place() {
    let sources = Sources::new();
    let at = |name: &str, start: u64, size: u64| json!({ "name": name, "type": "linux", "start": start, "size": size });
    let disk = gpt(&json!([at("one", MIB, 4 * MIB), at("two", 3 * MIB, MIB)]));
    assert_refused(&sources, &disk, &["one", "two", "3145728", "5242880"]);
}

#[test]
fn a_partition_over_the_table_or_beyond_the_disk_is_refused() {
    let sources = Sources::new();
    let at = |start: u64, size: u64| json!({ "name": "here", "type": "linux", "start": start, "size": size });
    assert_refused(&sources, &gpt(&json!([at(512, MIB)])), &["here", "512"]);
    assert_refused(&sources, &mbr(&json!([at(0, MIB)])), &["here", "0"]);
    let beyond = with(gpt(&json!([at(MIB, 20 * MIB)])), "size", json!(10 * MIB));
    assert_refused(&sources, &beyond, &["here", "22020096"]);
    // Over the backup table.
    let backup = with(gpt(&json!([at(MIB, 9 * MIB)])), "size", json!(10 * MIB));
    assert_refused(&sources, &backup, &["here"]);
    let odd = gpt(&json!([at(MIB + 100, MIB)]));
    assert_refused(&sources, &odd, &["here", "1048676", "512"]);
}

#[test]
fn raw_bytes_over_a_table_a_partition_or_each_other_are_refused() {
    let sources = Sources::new();
    let source = sources.put("spl.bin", noise(100_000, 1));
    let raw = |table: fn(&Value) -> Value, offsets: &[u64]| {
        let raw: Vec<Value> = offsets
            .iter()
            .map(|offset| json!({ "source": source, "offset": offset }))
            .collect();
        let partition = json!({ "name": "here", "type": "linux", "size": MIB });
        with(table(&json!([partition])), "raw", json!(raw))
    };
    assert_refused(&sources, &raw(gpt, &[8192]), &["raw[0]", "8192"]);
    assert_refused(&sources, &raw(mbr, &[0]), &["raw[0]"]);
    assert_refused(
        &sources,
        &raw(mbr, &[MIB - 4096]),
        &["raw[0]", "here", "1144480"],
    );
    assert_refused(
        &sources,
        &raw(mbr, &[8192, 65536]),
        &["raw[0]", "raw[1]", "65536"],
    );
}

#[test]
fn a_partition_too_small_for_its_content_is_refused_with_what_it_needs() {
    let sources = Sources::new();
    let large = sources.put("large.img", noise(5_000_000, 1));
    let mut esp = esp(&sources);
    esp["size"] = json!(20 * MIB);
    assert_refused(&sources, &gpt(&json!([esp])), &["ESP", "20971520"]);
    let mut root = root();
    root["size"] = json!(MIB);
    assert_refused(&sources, &gpt(&json!([root])), &["root", "1048576"]);
    let file =
        json!({ "name": "file", "type": "linux", "size": MIB, "content": { "file": large } });
    assert_refused(
        &sources,
        &gpt(&json!([file])),
        &["file", "1048576", "5000000"],
    );
    let fat = json!({ "name": "tiny", "type": "esp", "size": 2 * MIB, "content": { "fat": {
        "volumeId": "0x2178694e",
        "contents": [{ "source": large, "target": "/large.img" }],
    } } });
    assert_refused(&sources, &gpt(&json!([fat])), &["tiny", "2097152"]);
}

#[test]
fn what_a_table_cannot_hold_is_refused() {
    let sources = Sources::new();
    let plain = json!({ "name": "here", "type": "linux", "size": MIB });
    let five = mbr(&json!([plain, plain, plain, plain, plain]));
    assert_refused(&sources, &five, &["5", "4"]);
    let long = gpt(&json!([with(plain.clone(), "name", json!("n".repeat(37)))]));
    assert_refused(&sources, &long, &["36"]);
    let beyond = json!({ "name": "here", "type": "linux", "start": 3_u64 << 40, "size": MIB });
    assert_refused(&sources, &mbr(&json!([beyond])), &["here"]);
    let sectors = with(mbr(&json!([plain])), "sectorSize", json!(4096));
    assert_refused(&sources, &sectors, &["4096"]);
}

#[test]
fn attributes_that_do_not_go_together_are_refused() {
    let sources = Sources::new();
    let plain = json!({ "name": "here", "type": "linux", "size": MIB });
    let without = |mut disk: Value, name: &str| {
        disk.as_object_mut().unwrap().remove(name);
        disk
    };
    assert_refused(&sources, &without(gpt(&json!([plain])), "guid"), &["guid"]);
    assert_refused(&sources, &without(mbr(&json!([plain])), "id"), &["id"]);
    assert_refused(
        &sources,
        &gpt(&json!([without(plain.clone(), "type")])),
        &["type"],
    );
    for kind in ["0x83", "ext4", "gpt"] {
        let partition = with(plain.clone(), "type", json!(kind));
        assert_refused(&sources, &gpt(&json!([partition])), &["type"]);
    }
    let rest = with(plain.clone(), "size", json!("rest"));
    assert_refused(&sources, &gpt(&json!([rest.clone()])), &["rest"]);
    let two = with(gpt(&json!([rest, rest])), "size", json!(10 * MIB));
    assert_refused(&sources, &two, &["partition 1", "rest", "partition 2"]);
    assert_refused(&sources, &gpt(&json!([root(), root()])), &["ext4"]);
    assert_refused(
        &sources,
        &with(gpt(&json!([plain])), "sectorSize", json!(1024)),
        &["1024"],
    );
    let fit = without(plain, "size");
    assert_refused(&sources, &gpt(&json!([fit])), &["here"]);
}

#[test]
fn what_fat_cannot_hold_is_refused_with_partition_and_path() {
    let sources = Sources::new();
    let source = sources.put("file", "x");
    let fat = json!({ "name": "ESP", "type": "esp", "content": { "fat": {
        "volumeId": "0x2178694e",
        "contents": [{ "source": source, "target": "/a:b" }],
    } } });
    assert_refused(&sources, &gpt(&json!([fat])), &["ESP", "/a:b", "':'"]);
}

#[test]
fn free_space_of_a_disk_is_a_hole() {
    use std::os::unix::fs::MetadataExt;
    let sources = Sources::new();
    let mut root = root();
    root["size"] = json!("rest");
    let disk = with(
        gpt(&json!([esp(&sources), root])),
        "size",
        json!(20_000 * MIB),
    );
    let disk = Disk::of(&sources, &disk);
    assert_eq!(disk.size(), 20_000 * MIB);
    let used = disk.path().metadata().unwrap().blocks() * 512;
    assert!(used < 500 * MIB, "{used}");
}
