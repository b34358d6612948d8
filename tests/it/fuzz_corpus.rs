//! What the fuzz targets keep is read again, with the same properties; `fuzz/README.md`.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[path = "../../fuzz/properties.rs"]
#[allow(
    unreachable_pub,
    reason = "it is the library of the fuzz targets as well"
)]
mod properties;
#[path = "../../fuzz/trees.rs"]
mod trees;

/// Reads all of a target's corpus.
#[track_caller]
fn replay(target: &str, property: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files: Vec<_> = fs::read_dir(corpus.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there is no corpus of {target}");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let outcome = catch_unwind(|| property(&bytes));
        assert!(outcome.is_ok(), "{}", file.display());
    }
}

#[test]
fn the_corpus_of_attributes_holds_what_it_must() {
    replay("attributes", properties::attributes);
}

#[test]
fn the_corpus_of_text_graphs_holds_what_it_must() {
    replay("text_graph", properties::text_graph);
}

#[test]
fn the_corpus_of_nars_holds_what_it_must() {
    replay("nar", properties::nar);
}

#[test]
fn the_corpus_of_exports_holds_what_it_must() {
    replay("export", properties::export);
}

#[test]
fn the_corpus_of_narinfos_holds_what_it_must() {
    replay("narinfo", properties::narinfo);
}

#[test]
fn the_corpus_of_archives_holds_what_it_must() {
    replay("archive", properties::archive::archive);
}

#[test]
fn the_corpus_of_bootspecs_holds_what_it_must() {
    replay("bootspec", properties::boot::bootspec);
}

#[test]
fn the_corpus_of_databases_holds_what_it_must() {
    replay("database", properties::records::database);
}

#[test]
fn the_corpus_of_grub_holds_what_it_must() {
    replay("grub", properties::boot::grub);
}

#[test]
fn the_corpus_of_images_holds_what_it_must() {
    replay("image", properties::images::image);
}

#[test]
fn the_corpus_of_patched_images_holds_what_it_must() {
    replay("patched", properties::images::patched);
}

#[test]
fn the_corpus_of_registrations_holds_what_it_must() {
    replay("registration", properties::records::registered);
}

#[test]
fn the_corpus_of_trees_holds_what_it_must() {
    replay("tree", |bytes| trees::tree(bytes, true));
}
