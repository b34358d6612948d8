//! Containers, judged by QEMU: what is in them is the raw image, to the byte.

use std::path::Path;
use std::process::Command;

use nix2image::ext4::{self, Options};
use nix2image::image::{Container, Content, Piece, Pieces, VhdForm};
use nix2image::source::Source;
use nix2image::tree::Tree;
use serde_json::{Value, json};

use crate::support::built::{self, digest};
use crate::support::command::{output, run};
use crate::support::contained::Written;
use crate::support::direct::Direct;
use crate::support::forms::Forms;
use crate::support::nix::Nix;
use crate::support::sample::{empty, everything, file, noise, put, tight};

const QCOW2: Container = Container::Qcow2 { compressed: false };
const COMPRESSED_QCOW2: Container = Container::Qcow2 { compressed: true };
const FIXED_VHD: Container = Container::Vhd {
    form: VhdForm::Fixed,
};
const DYNAMIC_VHD: Container = Container::Vhd {
    form: VhdForm::Dynamic,
};

/// Each container, as an attribute names it, and as QEMU names its format.
const CONTAINERS: [(Container, &str, &str); 4] = [
    (QCOW2, "qcow2", "qcow2"),
    (COMPRESSED_QCOW2, "qcow2-compressed", "qcow2"),
    (FIXED_VHD, "vhd-fixed", "vpc"),
    (DYNAMIC_VHD, "vhd-dynamic", "vpc"),
];

/// A tree with content that can be compressed and content that cannot, side by side.
fn sample() -> Tree {
    let mut tree = everything();
    put(&mut tree, Tree::ROOT, "noise", file(noise(20_000_000, 3)));
    let lines: Vec<String> = (0..400_000).map(|line| format!("line {line}")).collect();
    put(&mut tree, Tree::ROOT, "text", file(lines.join("\n")));
    put(&mut tree, Tree::ROOT, "zeros", file(vec![0; 9_000_000]));
    let mixed = [noise(500_000, 4), vec![7; 500_000]].concat().repeat(4);
    put(&mut tree, Tree::ROOT, "mixed", file(mixed));
    tree
}

/// Noise that begins and ends anywhere.
fn scattered() -> Pieces {
    let size = (9 << 20) + 512;
    let starts = [
        0,
        5,
        65_530,
        200_000,
        (2 << 20) - 3,
        (6 << 20) - 1,
        size - 513,
    ];
    let lengths = [1, 3, 10, 150_000, 4, (2 << 20) + 2, 513];
    let pieces = starts.into_iter().zip(lengths).map(|(offset, length)| {
        let source = Source::bytes(noise(usize::try_from(length).unwrap(), 1));
        Piece {
            offset,
            length,
            content: Content::Source { source, skip: 0 },
        }
    });
    Pieces::new(size, pieces.collect())
}

/// With room that is a hole: several L2 tables of qcow2, and blocks that are not there.
fn spacious() -> Options {
    Options {
        size: Some((5 << 30) + 512),
        ..tight()
    }
}

#[track_caller]
fn pieces(tree: Tree, options: &Options) -> Pieces {
    ext4::lay_out(tree, options).unwrap()
}

/// What is in `image`, of QEMU's `format`, is what is in `raw`.
#[track_caller]
fn qemu_finds_the_disk(raw: &Path, image: &Path, format: &str) {
    let compared = run(Command::new("qemu-img")
        .args(["compare", "-f", "raw", "-F", format])
        .args([raw, image]));
    // It would say so if the sizes differed.
    assert_eq!(compared, "Images are identical.\n");
}

#[track_caller]
fn qemu_sees_no_fault(image: &Path, format: &str) {
    let check = output(
        Command::new("qemu-img")
            .args(["check", "-f", format])
            .arg(image),
    );
    if format == "vpc" {
        // "This image format does not support checks".
        assert_eq!(check.status.code(), Some(63));
        return;
    }
    assert!(
        check.status.success() && check.stderr.is_empty(),
        "{check:?}"
    );
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(
        said.starts_with("No errors were found on the image.\n"),
        "{said}"
    );
}

#[track_caller]
fn qemu_info(image: &Path, format: &str) -> Value {
    let info = run(Command::new("qemu-img")
        .args(["info", "--output=json", "-f", format])
        .arg(image));
    serde_json::from_str(&info).unwrap()
}

#[test]
fn qemu_finds_the_raw_image_in_every_container() {
    for options in [tight(), spacious()] {
        let raw = Written::new(pieces(sample(), &options), Container::Raw, 2);
        for (container, _, format) in CONTAINERS {
            let image = Written::new(pieces(sample(), &options), container, 2);
            qemu_sees_no_fault(&image.path(), format);
            qemu_finds_the_disk(&raw.path(), &image.path(), format);
            let info = qemu_info(&image.path(), format);
            assert_eq!(info["virtual-size"], raw.bytes(), "{info:#}");
            assert_eq!(info["dirty-flag"], false, "{info:#}");
        }
    }
}

#[test]
fn qcow2_is_of_version_3_and_of_64_kib() {
    for container in [QCOW2, COMPRESSED_QCOW2] {
        let image = Written::new(pieces(empty(), &tight()), container, 2);
        let info = qemu_info(&image.path(), "qcow2");
        assert_eq!(info["cluster-size"], 65536);
        let data = &info["format-specific"]["data"];
        assert_eq!(data["compat"], "1.1");
        assert_eq!(data["compression-type"], "zlib");
        assert_eq!(data["refcount-bits"], 16);
        assert_eq!(data["corrupt"], false);
    }
}

#[test]
fn a_disk_without_content_is_one_too() {
    let nothing = |size| Pieces::new(size, Vec::new());
    for size in [512, 3 << 20, 100 << 30] {
        let raw = Written::new(nothing(size), Container::Raw, 1);
        for (container, _, format) in CONTAINERS {
            let image = Written::new(nothing(size), container, 2);
            qemu_sees_no_fault(&image.path(), format);
            qemu_finds_the_disk(&raw.path(), &image.path(), format);
            assert!(image.allocated_bytes() < 1 << 20);
        }
    }
}

#[test]
fn pieces_at_any_byte_are_where_they_belong() {
    let raw = Written::new(scattered(), Container::Raw, 1);
    for (container, _, format) in CONTAINERS {
        let image = Written::new(scattered(), container, 2);
        qemu_sees_no_fault(&image.path(), format);
        qemu_finds_the_disk(&raw.path(), &image.path(), format);
    }
}

#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    for (container, _, _) in CONTAINERS {
        let [one, two, seven] = [1, 2, 7]
            .map(|threads| Written::new(pieces(sample(), &spacious()), container, threads));
        for other in [two, seven] {
            // Quicker than digests of so large files.
            run(Command::new("cmp").args([one.path(), other.path()]));
        }
    }
}

#[test]
fn what_is_a_hole_takes_no_room() {
    let covered = pieces(sample(), &spacious()).covered();
    let bytes = |container| {
        let image = Written::new(pieces(sample(), &spacious()), container, 2);
        (image.bytes(), image.allocated_bytes())
    };
    // Metadata stands at many places, each of which takes a cluster or a block.
    let (file, allocated) = bytes(QCOW2);
    assert!(file < covered + (16 << 20), "{file}");
    assert!(allocated < covered + (4 << 20), "{allocated}");
    let (file, allocated) = bytes(DYNAMIC_VHD);
    assert!(file < covered + (256 << 20), "{file}");
    assert!(allocated < covered + (4 << 20), "{allocated}");
    let (file, allocated) = bytes(FIXED_VHD);
    assert_eq!(file, (5 << 30) + 512 + 512);
    assert!(allocated < covered + (1 << 20), "{allocated}");
}

#[test]
fn compressed_clusters_take_no_more_than_those_that_qemu_makes() {
    let options = spacious();
    let raw = Written::new(pieces(sample(), &options), Container::Raw, 2);
    let ours = Written::new(pieces(sample(), &options), COMPRESSED_QCOW2, 2);
    let theirs = raw.path().with_file_name("theirs");
    run(Command::new("qemu-img")
        .args(["convert", "-c", "-f", "raw", "-O", "qcow2"])
        .args([raw.path(), theirs.clone()]));
    let theirs = theirs.metadata().unwrap().len();
    // Zeros that are content are content, which QEMU leaves out.
    let allowed = theirs + theirs / 20;
    assert!(ours.bytes() < allowed, "{} and {theirs}", ours.bytes());
}

/// What each container was when its bytes last changed. A commit that changes one says why.
const PINNED: [(&str, &str); 4] = [
    (
        "qcow2",
        "a35dbbe9ad489535bd7782ad35e6944edb934a50325265238de9c36ef4bfe13c",
    ),
    (
        "qcow2-compressed",
        "221d6e745b66ee2411c079d91eb906d3d2a5d4469f4db8d11cea85c53f28c324",
    ),
    (
        "vhd-fixed",
        "a5471b99f2ffef3c158b2729f1396cde47ddad92be6b6db448a7144cd211f281",
    ),
    (
        "vhd-dynamic",
        "c9a6d810d6b55112cf15e89134437f4e1b7ae5d342d57c95b0d67b36128a3d00",
    ),
];

#[test]
fn containers_have_the_bytes_that_they_had() {
    let found = CONTAINERS.map(|(container, name, _)| {
        let image = Written::new(scattered(), container, 2);
        (name, digest(&image.path()))
    });
    let pinned = PINNED.map(|(name, digest)| (name, digest.to_owned()));
    assert_eq!(found, pinned, "if that is meant, pin what is on the left");
}

/// An image as the builder makes it of the closure of a Debian library, with a database that
/// comes late if the hashes do.
#[test]
fn every_form_of_a_closure_gives_the_same_image_in_a_container() {
    let forms = Forms::of(&Nix::Machine.build(&["--expr", &built::expression("packages.libacl1")]));
    let build = |derivation: &Direct| {
        run(&mut derivation.builder_after(&[]));
        derivation.out()
    };
    let graph = |image: Value| Direct::new(image, forms.paths());
    let raw = graph(json!({ "root": {} }));
    let raw_path = build(&raw);
    for (_, name, format) in CONTAINERS {
        let usual = graph(json!({ "root": {}, "container": name }));
        let usual_path = build(&usual);
        qemu_sees_no_fault(&usual_path, format);
        qemu_finds_the_disk(&raw_path, &usual_path, format);
        let expected = digest(&usual_path);
        let verified = graph(json!({ "root": {}, "container": name, "verify": true }));
        assert_eq!(digest(&build(&verified)), expected, "{name}, verified");
        let text_graph = Direct::without_graphs(&json!({
            "textGraphs": [forms.text_graph()], "root": {}, "container": name,
        }));
        assert_eq!(digest(&build(&text_graph)), expected, "{name}, text graph");
    }
}

#[test]
fn a_container_that_cannot_hold_the_image_is_a_wrong_request_and_leaves_nothing() {
    let refused = |container: &str, size: u64, expected: &str| {
        let image = json!({ "container": container, "ext4": { "size": size } });
        let derivation = Direct::without_graphs(&image);
        let output = output(&mut derivation.builder_after(&[]));
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.lines().last(), Some(expected));
        assert!(derivation.left_nothing());
    };
    refused(
        "qcow2",
        1_000_000_001,
        "nix2image: error: a qcow2 image holds whole sectors of 512 bytes, and this one has \
         1000000001 bytes, 1 too many; choose a size that is a multiple of 512, or container = \
         \"raw\"",
    );
    refused(
        "vhd-dynamic",
        2_190_433_325_056,
        "nix2image: error: a VHD image holds at most 2190433320960 bytes, and this one has \
         2190433325056; choose a smaller size, or container = \"raw\"",
    );
}
