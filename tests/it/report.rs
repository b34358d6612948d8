//! Reports: their figures are those of the image, all of its bytes and no more.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix2image::store::nar::nar_hash;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::built::expression;
use crate::support::command::{run, run_to_failure};
use crate::support::direct::Direct;
use crate::support::documented::names_all_fields;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::image::{number, superblock};
use crate::support::mount::Mounted;
use crate::support::nix::{Nix, PathInfo};
use crate::support::sample::noise;
use crate::support::{stand_in, temporary};

const BLOCK: u64 = 4096;

/// A directory to be seen as `/nix/store`: `system` refers to `tool` and `library`, `tool` to
/// `library`, `library` to itself and `data`. Nobody refers to `other`.
pub(crate) struct Store(TempDir);

impl Store {
    pub(crate) fn new() -> Self {
        let store = Self(temporary::directory());
        for (name, files) in [
            (
                "data",
                &[("share/locale/de.mo", 300_000), ("share/<b>&amp;", 5000)][..],
            ),
            (
                "library",
                &[("lib/library.so", 2_000_000), ("lib/copy.so", 2_000_000)],
            ),
            ("other", &[("file", 10)]),
            ("system", &[("init", 700)]),
            ("tool", &[("bin/tool", 50_000), ("empty", 0)]),
        ] {
            for (file, length) in files {
                let at = store.path(name).join(file);
                fs::create_dir_all(at.parent().unwrap()).unwrap();
                fs::write(at, noise(*length, *length as u64)).unwrap();
            }
        }
        store
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(Self::base_name(name))
    }

    fn base_name(name: &str) -> String {
        format!("{}-{name}", "0".repeat(32))
    }

    fn store_path(name: &str) -> String {
        format!("/nix/store/{}", Self::base_name(name))
    }

    fn infos(&self) -> Vec<PathInfo> {
        let references = [
            ("data", &[][..]),
            ("library", &["library", "data"]),
            ("other", &[]),
            ("system", &["library", "tool"]),
            ("tool", &["library"]),
        ];
        let info = |(name, references): (&str, &[&str])| {
            let (hash, nar_size) = nar_hash(&self.path(name)).unwrap();
            PathInfo {
                path: Self::store_path(name),
                nar_hash: hash.to_hex(),
                nar_size,
                references: references
                    .iter()
                    .map(|name| Self::store_path(name))
                    .collect(),
            }
        };
        references.into_iter().map(info).collect()
    }

    /// What the builder makes of it, with a report.
    #[track_caller]
    pub(crate) fn reported(&self, mut image: Value, cores: usize) -> Direct {
        image["report"] = json!(true);
        let direct = Direct::new(image, &self.infos());
        let mut builder = direct.builder_with_store(self.0.path());
        run(builder.env("NIX_BUILD_CORES", cores.to_string()));
        direct
    }
}

#[track_caller]
fn report(directory: &Path) -> Value {
    let report = fs::read(directory.join("report.json")).unwrap();
    let report = serde_json::from_slice(&report).unwrap();
    names_all_fields("docs/report.md", &report);
    report
}

#[track_caller]
fn sum(values: &Value, of: &str) -> u64 {
    let values = values.as_array().unwrap();
    values.iter().map(|one| one[of].as_u64().unwrap()).sum()
}

/// Fails unless each byte of the image is in one part, each byte of a part in one of its costs,
/// and each byte of a file in one path.
#[track_caller]
fn adds_up(report: &Value) {
    assert_eq!(report["version"], 1);
    let mut end = 0;
    for part in report["parts"].as_array().unwrap() {
        assert_eq!(part["start"], end, "{part}");
        end += part["bytes"].as_u64().unwrap();
        let costs = part["costs"].as_object().unwrap().values();
        let costs: u64 = costs.map(|bytes| bytes.as_u64().unwrap()).sum();
        assert_eq!(part["bytes"], costs, "{part}");
    }
    assert_eq!(report["image"]["bytes"], end);
    let parts = report["parts"].as_array().unwrap().iter();
    let of_files: u64 = parts
        .filter(|part| part["holds"] == "ext4" || part["holds"] == "tar")
        .flat_map(|part| {
            [
                "content",
                "slack",
                "directories",
                "extentTrees",
                "xattrs",
                "headers",
            ]
            .map(|name| part["costs"][name].as_u64().unwrap_or(0))
        })
        .sum();
    let told = sum(&report["paths"], "bytes") + sum(&report["others"], "bytes");
    assert_eq!(told, of_files);
}

fn path_of<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut paths = report["paths"].as_array().unwrap().iter();
    paths
        .find(|path| path["path"] == Store::store_path(name))
        .unwrap()
}

#[test]
fn figures_are_those_of_the_filesystem() {
    let store = Store::new();
    for more in [
        json!({}),
        json!({ "root": {}, "verify": true, "selfCheck": true, "deduplicate": true }),
        json!({ "ext4": { "profile": "modern", "sparse": true, "size": (200 << 20) + 512 } }),
        json!({ "ext4": { "profile": "legacy-uboot", "freeBytes": 0, "journalSize": 4 << 20 } }),
        json!({ "onlyStore": true }),
    ] {
        let direct = store.reported(more.clone(), 2);
        let report = report(&direct.report());
        adds_up(&report);
        e2fsck_is_silent(&direct.out());
        assert_eq!(
            report["image"]["bytes"],
            fs::metadata(direct.out()).unwrap().len()
        );
        let fields = superblock(&direct.out());
        let number = |name| number(&fields, name);
        let part = &report["parts"][0];
        let costs = &part["costs"];
        assert_eq!(
            costs["free"].as_u64().unwrap_or(0),
            number("Free blocks") * BLOCK,
            "{more}"
        );
        assert_eq!(part["inodes"]["all"], number("Inode count"));
        assert_eq!(part["inodes"]["free"], number("Free inodes"));
        let groups = number("Block count").div_ceil(32768);
        let tables = number("Inode blocks per group") * groups * BLOCK;
        assert_eq!(costs["inodeTables"], tables);
        assert_eq!(costs["blockBitmaps"], groups * BLOCK);
        let journal = debugfs(&direct.out(), "stat <8>");
        let sectors = journal.split_once("Blockcount: ").unwrap().1;
        let sectors: u64 = sectors.lines().next().unwrap().trim().parse().unwrap();
        assert_eq!(costs["journal"], sectors * 512);
        let in_use = number("Inode count") - number("Free inodes");
        assert_eq!(report["totals"]["inodes"], in_use);
        assert_eq!(
            report["totals"]["narBytes"],
            sum(&report["paths"], "narBytes")
        );
    }
}

#[track_caller]
fn debugfs(image: &Path, request: &str) -> String {
    run(Command::new("debugfs").args(["-R", request]).arg(image))
}

#[test]
fn each_path_has_the_blocks_that_the_kernel_counts() {
    let store = Store::new();
    let direct = store.reported(json!({ "root": {} }), 2);
    let report = report(&direct.report());
    let mounted = Mounted::read_only(&direct.out());
    let of_all = report["paths"].as_array().unwrap().iter();
    for one in of_all.chain(report["others"].as_array().unwrap()) {
        let path = one["path"].as_str().unwrap();
        let top = mounted.root().join(path.strip_prefix('/').unwrap());
        // These have owners below them.
        let alone = ["/", "/nix", "/nix/store"].contains(&path);
        let (bytes, names) = usage(&top, !alone);
        assert_eq!(one["bytes"], bytes, "{path}");
        assert_eq!(one["files"], names, "{path}");
    }
}

/// Bytes in blocks at `top` and, if wanted, below, and how many names there are.
fn usage(top: &Path, is_deep: bool) -> (u64, usize) {
    let metadata = fs::symlink_metadata(top).unwrap();
    let (mut bytes, mut names) = (metadata.blocks() * 512, 1);
    if metadata.is_dir() && is_deep {
        for entry in fs::read_dir(top).unwrap() {
            let (more, files) = usage(&entry.unwrap().path(), true);
            bytes += more;
            names += files;
        }
    }
    (bytes, names)
}

#[test]
fn a_chain_of_references_leads_to_each_path() {
    let store = Store::new();
    let report = report(&store.reported(json!({}), 2).report());
    let names = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|name| Value::from(Store::store_path(name)))
            .collect()
    };
    assert_eq!(report["roots"], names(&["other", "system"]));
    for (path, why) in [
        ("data", &["system", "library", "data"][..]),
        ("library", &["system", "library"]),
        ("other", &["other"]),
        ("system", &["system"]),
        ("tool", &["system", "tool"]),
    ] {
        assert_eq!(path_of(&report, path)["why"], names(why));
    }
    let bytes = |name| path_of(&report, name)["bytes"].as_u64().unwrap();
    let alone = |name| path_of(&report, name)["alone"].as_u64().unwrap();
    assert_eq!(alone("library"), bytes("library") + bytes("data"));
    assert_eq!(alone("tool"), bytes("tool"));
    let all = ["data", "library", "system", "tool"].map(bytes);
    assert_eq!(alone("system"), all.iter().sum::<u64>());
    assert_eq!(path_of(&report, "library")["referrers"], 2);
    assert_eq!(path_of(&report, "library")["references"], 1);
}

#[test]
fn equal_files_are_told_until_they_are_one() {
    let store = Store::new();
    let with = |more| {
        let direct = store.reported(more, 2);
        (
            report(&direct.report()),
            fs::metadata(direct.out()).unwrap().len(),
        )
    };
    let (before, larger) = with(json!({ "ext4": { "freeInodes": 0 } }));
    assert_eq!(before["duplicates"]["sets"], 1);
    let paths: Vec<_> = ["lib/copy.so", "lib/library.so"]
        .map(|file| format!("{}/{file}", Store::store_path("library")))
        .into();
    assert_eq!(before["duplicates"]["largest"][0]["paths"], json!(paths));
    let saves = before["duplicates"]["bytes"].as_u64().unwrap();
    assert_eq!(saves, 2_000_000_u64.next_multiple_of(BLOCK));
    let (after, smaller) = with(json!({ "deduplicate": true, "ext4": { "freeInodes": 0 } }));
    assert_eq!(after["duplicates"]["sets"], 0);
    assert_eq!(after["totals"]["moreNames"], 1);
    assert_eq!(larger - smaller, saves);
    adds_up(&after);
}

#[test]
fn a_report_is_the_same_at_any_number_of_threads() {
    let store = Store::new();
    for more in [json!({}), json!({ "compression": "zstd", "verify": true })] {
        let files = [1, 2, 7].map(|cores| {
            let direct = store.reported(more.clone(), cores);
            ["report.json", "report.html", "nix-support/hydra-metrics"]
                .map(|name| fs::read(direct.report().join(name)).unwrap())
        });
        assert!(files[0] == files[1] && files[1] == files[2]);
    }
}

#[test]
fn the_image_is_the_same_with_a_report_and_without() {
    let store = Store::new();
    let with = store.reported(json!({}), 2);
    let without = Direct::new(json!({}), &store.infos());
    run(&mut without.builder_with_store(store.0.path()));
    run(Command::new("cmp").arg(with.out()).arg(without.out()));
}

/// A disk with a FAT, a volume made elsewhere, the root, a partition without a volume, a file outside
/// of them, and gaps.
pub(crate) fn disk() -> Value {
    let in_store = |name: &str| format!("{}/{name}", Store::store_path("tool"));
    let fat = json!({
        "type": "esp", "size": 40 << 20, "content": { "fat": {
            "label": "ESP", "volumeId": "0x1c06f03b",
            "contents": [{ "source": in_store("bin/tool"), "target": "/EFI/tool.efi" }],
        } },
    });
    let disk = json!({
        "table": "gpt", "guid": "deadbeef-0000-4000-8000-000000000001",
        "partitions": [
            fat,
            { "type": "linux", "start": 64 << 20, "content": { "file": in_store("bin/tool") } },
            { "type": "linux", "content": { "ext4": {} } },
            { "type": "linux", "size": 1 << 20 },
        ],
        "raw": [{ "source": in_store("bin/tool"), "offset": 50 << 20 }],
    });
    json!({ "kind": "disk", "disk": disk })
}

#[test]
fn the_parts_of_a_disk_add_up() {
    let store = Store::new();
    let direct = store.reported(disk(), 2);
    let report = report(&direct.report());
    adds_up(&report);
    let parts = report["parts"].as_array().unwrap();
    let found: Vec<_> = parts.iter().map(|part| part["holds"].as_str()).collect();
    let fat = parts.iter().find(|part| part["holds"] == "fat").unwrap();
    assert_eq!(fat["partition"], 1, "{found:?}");
    assert_eq!(fat["costs"]["content"], 50_000);
    assert_eq!(fat["largestFiles"][0]["path"], "/EFI/tool.efi");
    let image = temporary::directory();
    let copy = image.path().join("fat");
    let bytes = fs::read(direct.out()).unwrap();
    let at = |name: &str| usize::try_from(fat[name].as_u64().unwrap()).unwrap();
    fs::write(&copy, &bytes[at("start")..at("start") + at("bytes")]).unwrap();
    let free = crate::support::fat::free_by_mtools(&copy);
    let told = fat["costs"]["free"].as_u64().unwrap();
    // What is left behind the last cluster is less than one.
    assert!((free..free + 65_536).contains(&told), "{free} {told}");
    let what: Vec<_> = parts
        .iter()
        .map(|part| part["what"].as_str().unwrap())
        .collect();
    for name in [
        "the partition table",
        "a gap",
        "disk.raw[0]",
        "the backup of the table",
    ] {
        assert!(what.contains(&name), "{name} of {what:?}");
    }
}

#[test]
fn the_parts_of_an_archive_add_up() {
    let store = Store::new();
    for more in [json!({}), json!({ "deduplicate": true, "root": {} })] {
        let mut image = more;
        image["kind"] = json!("tar");
        let direct = store.reported(image, 2);
        let report = report(&direct.report());
        adds_up(&report);
        let size = fs::metadata(direct.out()).unwrap().len();
        assert_eq!(report["image"]["bytes"], size);
    }
}

#[test]
fn a_build_that_fails_leaves_neither_output() {
    let store = Store::new();
    let mut infos = store.infos();
    infos[1].nar_hash = "0".repeat(64);
    let direct = Direct::new(json!({ "verify": true, "report": true }), &infos);
    run_to_failure(&mut direct.builder_with_store(store.0.path()));
    assert!(direct.left_nothing());

    let direct = Direct::new(json!({ "report": true }), &store.infos());
    fs::create_dir(direct.report()).unwrap();
    let error = run_to_failure(&mut direct.builder_with_store(store.0.path()));
    assert!(error.contains("is there already"), "{error}");
    assert!(!direct.out().exists());
}

/// What Hydra takes for a product: its type, subtype and path.
fn products(report: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(report.join("nix-support/hydra-build-products")).unwrap();
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    text.lines().map(words).collect()
}

/// What Hydra takes for metrics: the values by name, and their units.
fn metrics(report: &Path) -> BTreeMap<String, (f64, String)> {
    let text = fs::read_to_string(report.join("nix-support/hydra-metrics")).unwrap();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let unit = words.get(2).copied().unwrap_or_default();
            let is_known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(words.len() < 4 && words[0].chars().all(is_known), "{line}");
            (
                words[0].to_owned(),
                (words[1].parse().unwrap(), unit.to_owned()),
            )
        })
        .collect()
}

#[test]
fn nix_builds_a_report_that_hydra_shows() {
    let image = r#"nix2image.makeExt4Fs {
      storePaths = [ small ];
      volumeLabel = "small";
      report = true;
    }"#;
    let body = format!("({image}).report");
    for nix in Nix::all() {
        let store_path = nix.build(&["--expr", &expression(&body)]);
        let directory = nix.seen_from_outside(&store_path);
        let report = report(&directory);
        adds_up(&report);
        let top = nix.build(&["--expr", &expression("small")]);
        let closure = nix.closure(&[&top]);
        assert_eq!(report["roots"], json!([top]), "{nix:?}");
        assert_eq!(report["totals"]["storePaths"], closure.len());
        let nar_bytes: u64 = closure.iter().map(|info| info.nar_size).sum();
        assert_eq!(report["totals"]["narBytes"], nar_bytes);

        let products = products(&directory);
        assert_eq!(
            products[0],
            ["report", "summary", &format!("{store_path}/report.html")]
        );
        let outputs = nix.outputs(&expression(image));
        assert_eq!(products[2][..2], ["file", "image"]);
        assert!(outputs.contains(&products[2][2]), "{products:?}");
        let metrics = metrics(&directory);
        let metric = |name: &str| metrics[name].clone();
        #[expect(clippy::cast_precision_loss, reason = "Hydra loses it too")]
        let bytes = |of: u64| (of as f64, "bytes".to_owned());
        assert_eq!(metric("closureSize"), bytes(nar_bytes));
        assert_eq!(
            metric("imageSize"),
            bytes(report["image"]["bytes"].as_u64().unwrap())
        );
        assert!(metric("inodes").0 > 11.0);
        #[expect(clippy::cast_precision_loss, reason = "it is small")]
        let paths = closure.len() as f64;
        assert_eq!(metric("storePaths"), (paths, String::new()));

        // It names store paths, and keeps none alive where Nix can be told so.
        let can = nix.evaluate("builtins.compareVersions builtins.nixVersion \"2.18\" >= 0");
        if can == true {
            let references = nix.query(&["--references", &store_path]);
            assert!(references.is_empty(), "{nix:?}: {references:?}");
        }
    }
}

#[test]
fn a_card_keeps_its_own_products_beside_the_report() {
    let nix = Nix::Machine;
    let card = stand_in::card("image", "compressImage = false; report = true;");
    let store_path = nix.build(&["--expr", &format!("({card}).report")]);
    let report_directory = nix.seen_from_outside(&store_path);
    adds_up(&report(&report_directory));
    assert_eq!(products(&report_directory).len(), 2);
    let image = nix.build(&["--expr", &card]);
    let own = fs::read_to_string(Path::new(&image).join("nix-support/hydra-build-products"));
    assert_eq!(
        own.unwrap(),
        format!("file sd-image {image}/sd-image/card.img\n")
    );
}
