//! On a host that can share blocks between files, an image shares those of large files.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;

use nix2image::image::{self, Content, Pieces, WriteError};
use nix2image::job::Job;
use nix2image::source::{Mark, Origin, ReadError, Watch};
use nix2image::tree::{Kind, Timestamp, Tree};
use nix2image::{ext4, store};
use rustix::fs::{SeekFrom, seek, statvfs};

use crate::support::host_filesystem::on_a_loop_device;
use crate::support::mount::Mounted;
use crate::support::sample::{noise, roomy};

const MIB: u64 = 1 << 20;

/// Bytes of a large file, which ends within a block.
const LARGE: u64 = 48 * MIB + 5;

/// Bytes of another, none of which need be read if it is shared.
const WHOLE: u64 = 48 * MIB;

/// Runs `work` on a new XFS, and on a new btrfs.
fn on_hosts_that_share(mut work: impl FnMut(&Path)) {
    for kind in ["xfs", "btrfs"] {
        on_a_loop_device(kind, "-q", &mut work);
    }
}

/// A store path with large files and small ones.
fn scan(directory: &Path) -> Tree {
    let source = directory.join("source");
    fs::create_dir_all(&source).unwrap();
    for (number, length) in [(1, LARGE), (2, WHOLE), (3, 300_000), (4, 5_000), (5, 0)] {
        let content = noise(usize::try_from(length).unwrap(), number);
        fs::write(source.join(number.to_string()), content).unwrap();
    }
    store::scan(&source, Timestamp::from_seconds(1)).unwrap()
}

fn lay_out(tree: Tree) -> Pieces {
    ext4::lay_out(tree, &roomy()).unwrap()
}

/// Bytes that are free in the filesystem at `path`, when all is on its way there.
fn free(path: &Path) -> u64 {
    rustix::fs::syncfs(File::open(path).unwrap()).unwrap();
    let filesystem = statvfs(path).unwrap();
    filesystem.f_bfree * filesystem.f_frsize
}

fn image_in(directory: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(directory.join("image"))
        .unwrap()
}

/// The same pieces as bytes, on a host that shares nothing.
fn copied(pieces: &Pieces) -> Vec<u8> {
    let tmpfs = Mounted::tmpfs();
    let file = image_in(tmpfs.root());
    image::write(pieces, &file, &Job::default()).unwrap();
    fs::read(tmpfs.root().join("image")).unwrap()
}

#[test]
fn a_shared_image_has_the_same_bytes_and_takes_next_to_no_space() {
    on_hosts_that_share(|host| {
        let pieces = lay_out(scan(host));
        let before = free(host);
        let file = image_in(host);
        image::write(&pieces, &file, &Job::default()).unwrap();
        let taken = before.saturating_sub(free(host));
        let unshared = pieces.covered() - LARGE - WHOLE;
        assert!(
            taken < unshared + 2 * MIB,
            "{taken} bytes were taken, where {unshared} cannot be shared"
        );
        assert!(fs::read(host.join("image")).unwrap() == copied(&pieces));
    });
}

/// What was shown of each part, by its place.
#[derive(Default)]
struct Seen(Mutex<Vec<(Mark, u64, u64)>>);

impl Watch for Seen {
    fn see(&self, mark: Mark, start: u64, bytes: &[u8]) {
        let sum = bytes.iter().map(|byte| u64::from(*byte)).sum();
        self.0.lock().unwrap().push((mark, start, sum));
    }
}

#[test]
fn what_is_shared_is_shown_to_a_watch_in_order() {
    on_hosts_that_share(|host| {
        let mut tree = scan(host);
        let mut part = 0;
        for node in tree.nodes_mut() {
            if let Kind::File(source) = &mut node.kind {
                source.mark = Some(Mark::new(0, part));
                part += 1;
            }
        }
        let pieces = lay_out(tree);
        let shared = Seen::default();
        let finish = || Ok::<_, WriteError>(());
        image::write_watched(&pieces, &image_in(host), &shared, finish, &Job::default()).unwrap();
        let shared = shared.0.into_inner().unwrap();
        assert!(shared.is_sorted(), "parts come in their order");
        let total: u64 = shared.iter().map(|(_, _, sum)| sum).sum();
        let expected: u64 = ["1", "2", "3", "4"]
            .iter()
            .flat_map(|name| fs::read(host.join("source").join(name)).unwrap())
            .map(u64::from)
            .sum();
        assert_eq!(total, expected);
    });
}

#[test]
fn a_hole_of_a_source_is_no_hole_of_the_image() {
    on_hosts_that_share(|host| {
        let source = host.join("source");
        fs::create_dir(&source).unwrap();
        let file = File::create_new(source.join("holes")).unwrap();
        file.set_len(LARGE).unwrap();
        file.write_all_at(&noise(usize::try_from(8 * MIB).unwrap(), 7), 16 * MIB)
            .unwrap();
        file.sync_all().unwrap();
        let tree = store::scan(&source, Timestamp::from_seconds(1)).unwrap();
        let pieces = lay_out(tree);
        let image = image_in(host);
        image::write(&pieces, &image, &Job::default()).unwrap();
        let is_file = |content: &Content| matches!(content, Content::Source { source, .. } if matches!(source.origin, Origin::HostFile(_)));
        let mut found = 0;
        for piece in pieces.as_slice() {
            if is_file(&piece.content) {
                let hole = seek(&image, SeekFrom::Hole(piece.offset)).unwrap();
                assert!(hole >= piece.offset + piece.length, "a hole at {hole}");
                found += piece.length;
            }
        }
        assert!(found >= LARGE);
        assert!(fs::read(host.join("image")).unwrap() == copied(&pieces));
    });
}

#[test]
fn a_file_that_grew_or_shrank_is_not_shared() {
    on_hosts_that_share(|host| {
        let pieces = lay_out(scan(host));
        let file = OpenOptions::new()
            .write(true)
            .open(host.join("source/2"))
            .unwrap();
        for found in [WHOLE + 1, WHOLE + MIB, WHOLE - 1, 0] {
            file.set_len(found).unwrap();
            let error = image::write(&pieces, &image_in(host), &Job::default()).unwrap_err();
            assert!(
                matches!(&error, WriteError::Source(ReadError::SizeChanged { path, expected: WHOLE, found: now }) if path.ends_with("2") && *now == found),
                "{error}"
            );
        }
    });
}
