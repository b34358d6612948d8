use std::sync::atomic::AtomicBool;

use serde_json::Value;

use super::*;
use crate::deduplicate::equal_files;
use crate::ext4;
use crate::source::Source;
use crate::store::{Closure, Content, Input, Member, NarDigest, NarHash, StorePath};
use crate::tree::{Metadata, Name, Node, NodeId, Timestamp, Tree};

fn store_path(letter: char) -> StorePath {
    StorePath::from_base_name(&format!("{}-{letter}", letter.to_string().repeat(32))).unwrap()
}

/// Store paths of one file each, with these names and contents: `a` refers to `b`.
fn report(files: &[(&[u8], Vec<u8>)]) -> Report {
    let metadata = |mode| Metadata::of_root(mode, Timestamp::from_seconds(1));
    let letters = || ('a'..).take(files.len());
    let members = letters().map(|letter| Member {
        path: store_path(letter),
        nar: Some(NarDigest {
            hash: NarHash([0; 32]),
            size: 1000,
        }),
        references: if letter == 'a' && files.len() > 1 {
            vec![store_path('b')]
        } else {
            Vec::new()
        },
        ca: None,
        offset: None,
        content: Content::Live,
    });
    let closure = Closure::new([Input {
        name: "test".into(),
        members: members.collect(),
    }])
    .unwrap();
    let mut tree = Tree::new(Node::directory(metadata(0o755)));
    let put = |tree: &mut Tree, parent, name: &[u8], node| {
        tree.insert(parent, Name::new(name).unwrap(), node).unwrap()
    };
    let nix = put(
        &mut tree,
        Tree::ROOT,
        b"nix",
        Node::directory(metadata(0o755)),
    );
    let store = put(&mut tree, nix, b"store", Node::directory(metadata(0o755)));
    let tops: Vec<NodeId> = letters()
        .zip(files)
        .map(|(letter, (name, content))| {
            let base_name = store_path(letter);
            let directory = Node::directory(metadata(0o555));
            let top = put(
                &mut tree,
                store,
                base_name.base_name().as_bytes(),
                directory,
            );
            let file = Node::file(metadata(0o444), Source::bytes(content.clone()));
            put(&mut tree, top, name, file);
            top
        })
        .collect();
    let equal = equal_files(&tree, &tops, &AtomicBool::new(false)).unwrap();
    let survey = Survey::new(&tree, &closure, &tops, &[], equal);
    let mut accounts = Accounts::default();
    let options = ext4::Options::new(ext4::Uuid([7; 16]));
    let filesystem = ext4::Image::new(tree, &options).unwrap();
    let costs = filesystem.costs(|node, costs| accounts.ext4_file(node, costs));
    accounts.ext4(At(None), &costs, filesystem.usage());
    let pieces = filesystem.into_pieces();
    let image = Image {
        name: "test.img".into(),
        kind: "ext4",
        container: "raw",
        bytes: pieces.size(),
        file_bytes: pieces.size(),
    };
    let valid: Vec<_> = closure
        .paths()
        .map(|path| ValidPath::new(path, path.nar.as_ref().unwrap().0))
        .collect();
    Report::new(image, &survey, &accounts, &valid)
}

fn json(report: &Report) -> Value {
    serde_json::from_slice(&report.json()).unwrap()
}

fn sum(values: &Value, of: &str) -> u64 {
    let values = values.as_array().unwrap();
    values.iter().map(|one| one[of].as_u64().unwrap()).sum()
}

#[test]
fn all_bytes_are_told_once() {
    let report = json(&report(&[
        (b"file", vec![1; 5000]),
        (b"other", vec![2; 9000]),
    ]));
    assert_eq!(report["version"], 1);
    assert_eq!(sum(&report["parts"], "bytes"), report["image"]["bytes"]);
    let costs = &report["parts"][0]["costs"];
    let all: u64 = costs
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(all, report["image"]["bytes"]);
    let of_files: u64 = ["content", "slack", "directories", "extentTrees", "xattrs"]
        .iter()
        .filter_map(|name| costs[name].as_u64())
        .sum();
    assert_eq!(
        sum(&report["paths"], "bytes") + sum(&report["others"], "bytes"),
        of_files
    );
    let others: Vec<_> = report["others"].as_array().unwrap().iter().collect();
    let mut names: Vec<_> = others
        .iter()
        .map(|one| one["path"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["/", "/lost+found", "/nix", "/nix/store"]);
}

#[test]
fn paths_come_by_size_with_what_leads_to_them() {
    let report = json(&report(&[
        (b"file", vec![1; 5000]),
        (b"other", vec![2; 9000]),
    ]));
    let paths = report["paths"].as_array().unwrap();
    let [a, b] = ['a', 'b'].map(|letter| store_path(letter).to_string());
    assert_eq!(
        (&paths[0]["path"], &paths[1]["path"]),
        (&b.clone().into(), &a.clone().into())
    );
    assert_eq!(report["roots"], serde_json::json!([a]));
    assert_eq!(paths[0]["why"], serde_json::json!([a, b]));
    assert_eq!(paths[1]["alone"], 4096 + 8192 + 4096 + 12288);
    assert_eq!(paths[0]["largestFiles"][0]["path"], format!("{b}/other"));
    assert_eq!(report["largestFiles"][0]["content"], 9000);
    assert_eq!(report["totals"]["narBytes"], 2000);
}

#[test]
fn equal_files_are_told_with_what_one_of_them_would_save() {
    let content = vec![1; 5000];
    let report = json(&report(&[(b"file", content.clone()), (b"other", content)]));
    let duplicates = &report["duplicates"];
    assert_eq!(
        (
            &duplicates["sets"],
            &duplicates["files"],
            &duplicates["bytes"]
        ),
        (&1.into(), &1.into(), &8192.into())
    );
    let [a, b] = ['a', 'b'].map(|letter| store_path(letter).to_string());
    let expected = serde_json::json!([format!("{a}/file"), format!("{b}/other")]);
    assert_eq!(duplicates["largest"][0]["paths"], expected);
}

#[test]
fn no_name_ends_the_script_of_the_page() {
    let name = b"<b></script\x3e\xff".map(|byte| if byte == b'/' { b'\\' } else { byte });
    let report = report(&[(&name, vec![1; 10]), (b"<!--<script>", vec![1; 10])]);
    let html = String::from_utf8(report.html()).unwrap();
    let (_, after) = html.split_once("id=\"figures\">").unwrap();
    let (figures, _) = after.split_once("</script>").unwrap();
    assert!(!figures.contains('<'));
    let figures: Value = serde_json::from_str(figures).unwrap();
    let names: Vec<_> = figures["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file[1])
        .collect();
    assert!(names.contains(&&Value::from("<!--<script>")), "{names:?}");
    assert!(
        names.contains(&&Value::from(r"<b><\\script>\xff")),
        "{names:?}"
    );
}

#[test]
fn hydra_is_told_of_the_report_and_of_the_image_if_nobody_else_does() {
    let report = report(&[(b"file", vec![1; 10])]);
    let metrics = String::from_utf8(report.metrics()).unwrap();
    // The reserved ones, lost+found, and four.
    let inodes = 10 + 1 + 4;
    let expected = format!(
        "imageSize {} bytes\nclosureSize 1000 bytes\nstorePaths 1\ninodes {inodes}\n",
        report.image.bytes
    );
    assert_eq!(metrics, expected);
    let of_report = "report summary /r/report.html\nfile json /r/report.json\n";
    assert_eq!(products("/r", None), of_report.as_bytes());
    let with_image = format!("{of_report}file image /out\n");
    assert_eq!(products("/r", Some("/out")), with_image.as_bytes());
}
