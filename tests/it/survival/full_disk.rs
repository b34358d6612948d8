//! A filesystem that is full, at some byte of the image.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use serde_json::{Value, json};

use super::{failure, image, known, some_store, ways};
use crate::support::command::output;
use crate::support::direct::{Direct, FakeStore};
use crate::support::env;
use crate::support::host_filesystem::on_a_loop_device;
use crate::support::mount::Mounted;

/// Bytes of a page, the block of a tmpfs.
const PAGE: u64 = 4096;

const NO_SPACE: &str = ": No space left on device (os error 28)";

/// Bytes that the image of `attributes` takes where there is room.
#[track_caller]
fn taken(store: &FakeStore, attributes: &Value) -> u64 {
    let tmpfs = Mounted::tmpfs();
    let derivation =
        Direct::new(attributes.clone(), &[FakeStore::info()]).with_output_in(tmpfs.root());
    let output = output(&mut derivation.builder_with_store(store.store()));
    image(&derivation, &output);
    derivation.out().metadata().unwrap().blocks() * 512
}

/// The message of a build of `attributes` whose output has no room in `directory`.
#[track_caller]
fn message(store: &FakeStore, attributes: &Value, directory: &Path) -> String {
    let derivation =
        Direct::new(attributes.clone(), &[FakeStore::info()]).with_output_in(directory);
    let output = output(&mut derivation.builder_with_store(store.store()));
    failure(&derivation, &output, 1)
}

/// That `message` names the filesystem at `directory`; gives the bytes that it says the image
/// takes.
#[track_caller]
fn bytes_wanted(message: &str, directory: &Path) -> u64 {
    let begin = format!(
        "the filesystem of {} has no room for the image, which takes ",
        directory.display()
    );
    let rest = message.strip_prefix(&begin).expect(message);
    assert!(rest.ends_with(NO_SPACE), "{message}");
    let number = rest.trim_start_matches("at most ");
    let (number, _) = number.split_once(" bytes there").expect(message);
    number.parse().expect(message)
}

#[test]
fn a_full_disk_is_named_wherever_it_is_full_and_what_was_written_is_gone() {
    let store = some_store();
    let points = if env::is_full() { 100 } else { 10 };
    for (called, attributes) in ways() {
        let taken = taken(&store, &attributes);
        for point in 0..points {
            let room = (taken * point / points / PAGE * PAGE).max(PAGE);
            let tmpfs = Mounted::tmpfs_of(room);
            let message = message(&store, &attributes, tmpfs.root());
            let wanted = bytes_wanted(&message, tmpfs.root());
            if called == "raw" {
                assert_eq!(wanted, taken, "{message}");
            } else {
                assert!(wanted > room, "{room} bytes were there: {message}");
            }
            let left = statvfs(tmpfs.root()).unwrap();
            assert_eq!(left.f_bfree, left.f_blocks, "in {room} bytes");
        }
        // There it was full, and not too small for something else.
        let tmpfs = Mounted::tmpfs_of(taken);
        let derivation = Direct::new(attributes, &[FakeStore::info()]).with_output_in(tmpfs.root());
        let output = output(&mut derivation.builder_with_store(store.store()));
        image(&derivation, &output);
    }
}

#[test]
fn a_disk_that_has_room_for_the_image_alone_has_no_room_for_what_stands_beside_it() {
    let store = some_store();
    let tmpfs = Mounted::tmpfs_of(taken(&store, &json!({})));
    let message = message(&store, &json!({ "output": "directory" }), tmpfs.root());
    assert!(
        message.starts_with(&format!("cannot write {}", tmpfs.root().display()))
            && message.contains("nix-path-registration")
            && message.ends_with(NO_SPACE),
        "{message}"
    );
}

#[test]
fn a_disk_that_has_room_for_the_image_alone_has_no_room_for_its_report() {
    let store = some_store();
    let tmpfs = Mounted::tmpfs_of(taken(&store, &json!({})) + 4 * PAGE);
    let message = message(&store, &json!({ "report": true }), tmpfs.root());
    assert!(
        message.starts_with(&format!("cannot write {}", tmpfs.root().display()))
            && message.contains("/report")
            && message.ends_with(NO_SPACE),
        "{message}"
    );
}

#[test]
fn a_disk_that_has_room_for_the_compressed_image_alone_cannot_check_it() {
    let store = some_store();
    let attributes = json!({ "compression": "zstd", "selfCheck": true });
    let tmpfs = Mounted::tmpfs_of(taken(&store, &json!({ "compression": "zstd" })) + PAGE);
    let derivation = Direct::new(attributes, &[known(&store)]).with_output_in(tmpfs.root());
    let output = output(&mut derivation.builder_with_store(store.store()));
    let message = failure(&derivation, &output, 1);
    assert!(
        message.starts_with("cannot unpack the written image beside it for `selfCheck`")
            && message.ends_with(NO_SPACE),
        "{message}"
    );
}

#[test]
fn a_full_disk_is_named_on_filesystems_that_allocate_late() {
    let store = some_store();
    // Without blocks that only root may take, for these builders are root's.
    for (kind, option) in [("ext4", "-qm0"), ("xfs", "-q")] {
        on_a_loop_device(kind, option, &mut |host| {
            let output_directory = host.join("output");
            std::fs::create_dir(&output_directory).unwrap();
            fill_but(host, 2 << 20);
            for (_, attributes) in ways() {
                let message = message(&store, &attributes, &output_directory);
                assert!(bytes_wanted(&message, &output_directory) > 2 << 20);
            }
        });
    }
}

/// Lets a filesystem have no more than some `bytes` of room.
fn fill_but(host: &Path, bytes: u64) {
    let file = File::create_new(host.join("filler")).unwrap();
    let mut filled = 0;
    let mut step = 1 << 28;
    while step >= 1 << 16 {
        let stat = statvfs(host).unwrap();
        let more = (stat.f_bavail * stat.f_frsize)
            .saturating_sub(bytes)
            .min(step);
        if more < step {
            step /= 2;
        } else if fallocate(&file, FallocateFlags::empty(), filled, more).is_ok() {
            filled += more;
        } else {
            step /= 2;
        }
    }
}
