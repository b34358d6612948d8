//! What stands in a directory afterwards. As root and as anybody else: owners are looked at
//! only where they can be set.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Mutex;

use super::*;
use crate::job::Job;
use crate::source::{Mark, Source, Watch};
use crate::tree::{DeviceNumber, Kind, Metadata, Name, Node, Timestamp, Tree};

const TIME: Timestamp = Timestamp {
    seconds: 1_000_000_007,
    nanoseconds: 5,
};

fn name(bytes: impl AsRef<[u8]>) -> Name {
    Name::new(bytes).unwrap()
}

fn metadata(mode: u16) -> Metadata {
    Metadata::of_root(mode, TIME)
}

fn file(mode: u16, content: &[u8]) -> Node {
    Node::file(metadata(mode), Source::bytes(content))
}

fn link(target: &str) -> Node {
    Node::symlink(metadata(0o777), target.as_bytes())
}

fn directory(mode: u16) -> Node {
    Node::directory(metadata(mode))
}

fn writing(job: &Job) -> Writing<'_> {
    Writing {
        ownership: Ownership::of_this_process(),
        job,
        watch: &(),
    }
}

/// A temporary directory, and it again as one of ours.
fn target() -> (tempfile::TempDir, Directory) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    (temporary, directory)
}

/// Checks type, mode, time and, if it can be set, owner.
fn assert_is(path: &Path, mode: u32, is_type: impl Fn(&fs::FileType) -> bool) {
    let stat = path.symlink_metadata().unwrap();
    assert!(is_type(&stat.file_type()), "{}", path.display());
    assert_eq!(stat.mode() & 0o7777, mode, "{}", path.display());
    let time = (stat.mtime(), stat.mtime_nsec());
    let expected = (TIME.seconds, i64::from(TIME.nanoseconds));
    assert_eq!(time, expected, "{}", path.display());
    if Ownership::of_this_process() == Ownership::Set {
        assert_eq!((stat.uid(), stat.gid()), (0, 0), "{}", path.display());
    }
}

#[test]
fn a_tree_is_written_with_its_metadata_whatever_it_holds() {
    let (temporary, target) = target();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut tree = Tree::new(directory(0o555));
    for (entry, node) in [
        (&b"empty"[..], file(0o444, b"")),
        (b"large", file(0o4755, &large)),
        (b"link", link("nothing/there")),
        (b"na\xffme", file(0o600, b"x")),
        (
            b"pipe",
            Node {
                metadata: metadata(0o640).into(),
                kind: Kind::Fifo,
            },
        ),
    ] {
        tree.insert(Tree::ROOT, name(entry), node).unwrap();
    }
    let inner = tree.insert(Tree::ROOT, name("sub"), directory(0o1777));
    tree.insert(inner.unwrap(), name("deep"), file(0o555, b"deep"))
        .unwrap();

    target
        .write_new(&name("top"), &tree, Tree::ROOT, &writing(&Job::default()))
        .unwrap();
    let top = temporary.path().join("top");
    assert_is(&top, 0o555, fs::FileType::is_dir);
    assert_is(&top.join("empty"), 0o444, fs::FileType::is_file);
    assert_is(&top.join("large"), 0o4755, fs::FileType::is_file);
    assert_is(&top.join("link"), 0o777, fs::FileType::is_symlink);
    assert_is(&top.join("pipe"), 0o640, FileTypeExt::is_fifo);
    assert_is(&top.join("sub"), 0o1777, fs::FileType::is_dir);
    assert_is(&top.join("sub/deep"), 0o555, fs::FileType::is_file);
    let odd = top.join(OsStr::from_bytes(b"na\xffme"));
    assert_is(&odd, 0o600, fs::FileType::is_file);
    assert_eq!(fs::read(top.join("large")).unwrap(), large);
    assert_eq!(
        fs::read_link(top.join("link")).unwrap(),
        Path::new("nothing/there")
    );
    target.remove(&name("top")).unwrap();
    assert_eq!(target.names().unwrap(), []);
}

#[test]
fn a_node_with_several_names_is_one_file() {
    let (temporary, target) = target();
    let mut tree = Tree::new(directory(0o755));
    let sub = tree
        .insert(Tree::ROOT, name("a"), directory(0o755))
        .unwrap();
    let one = tree.insert(sub, name("one"), file(0o644, b"x")).unwrap();
    tree.link(Tree::ROOT, name("two"), one).unwrap();
    target
        .write_new(&name("top"), &tree, Tree::ROOT, &writing(&Job::default()))
        .unwrap();
    let inode = |path| temporary.path().join(path).metadata().unwrap().ino();
    assert_eq!(inode("top/a/one"), inode("top/two"));
    assert_is(
        &temporary.path().join("top/two"),
        0o644,
        fs::FileType::is_file,
    );
}

#[test]
fn extended_attributes_are_set() {
    let (temporary, target) = target();
    let mut node = file(0o644, b"x");
    let xattrs = [(b"user.comment"[..].into(), b"\0y"[..].into())];
    node.metadata.xattrs = Some(Box::new(xattrs.into()));
    let tree = Tree::new(node);
    target
        .write_new(&name("f"), &tree, Tree::ROOT, &writing(&Job::default()))
        .unwrap();
    let value = xattr::get(temporary.path().join("f"), "user.comment");
    assert_eq!(value.unwrap().as_deref(), Some(&b"\0y"[..]));
}

#[test]
fn devices_need_root() {
    let (temporary, target) = target();
    let number = DeviceNumber { major: 1, minor: 3 };
    let tree = Tree::new(Node {
        metadata: metadata(0o666).into(),
        kind: Kind::CharacterDevice(number),
    });
    let written = target.write_new(&name("null"), &tree, Tree::ROOT, &writing(&Job::default()));
    match Ownership::of_this_process() {
        Ownership::Set => {
            written.unwrap();
            let path = temporary.path().join("null");
            assert_is(&path, 0o666, FileTypeExt::is_char_device);
            assert_eq!(path.metadata().unwrap().rdev(), 0x103);
        }
        Ownership::Keep => {
            let error = written.unwrap_err();
            assert!(matches!(error, DirectoryError::Device { .. }), "{error}");
        }
    }
}

/// Keeps what it sees: the part, the bytes before and the number of bytes.
#[derive(Default)]
struct Seen(Mutex<Vec<(u32, u64, usize)>>);

impl Watch for Seen {
    fn see(&self, mark: Mark, start: u64, bytes: &[u8]) {
        self.0
            .lock()
            .unwrap()
            .push((mark.part(), start, bytes.len()));
    }
}

#[test]
fn marked_contents_are_seen_piece_by_piece_in_the_order_of_a_nar() {
    let (_temporary, target) = target();
    let mut tree = Tree::new(directory(0o755));
    let large = vec![7; (1 << 20) + 3];
    for (entry, content, part) in [
        ("b", &b"bb"[..], Some(2)),
        ("a", &*large, Some(1)),
        ("C", b"c", Some(0)),
        ("unmarked", b"u", None),
    ] {
        let mut source = Source::bytes(content);
        source.mark = part.map(|part| Mark::new(0, part));
        let node = Node::file(metadata(0o444), source);
        tree.insert(Tree::ROOT, name(entry), node).unwrap();
    }
    let seen = Seen::default();
    let job = Job::default();
    let writing = Writing {
        watch: &seen,
        ..writing(&job)
    };
    target
        .write_new(&name("top"), &tree, Tree::ROOT, &writing)
        .unwrap();
    assert_eq!(
        seen.0.into_inner().unwrap(),
        [(0, 0, 1), (1, 0, 1 << 20), (1, 1 << 20, 3), (2, 0, 2)]
    );
}

#[test]
fn the_work_ends_when_it_shall() {
    let (_temporary, target) = target();
    let job = Job::default();
    job.stop();
    let writing = writing(&job);
    let tree = Tree::new(file(0o444, b"x"));
    let error = target
        .write_new(&name("f"), &tree, Tree::ROOT, &writing)
        .unwrap_err();
    assert!(matches!(error, DirectoryError::Interrupted(_)), "{error}");
}

#[test]
fn a_symlink_leads_nowhere() {
    let (temporary, target) = target();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "x").unwrap();
    symlink(outside.path(), temporary.path().join("etc")).unwrap();
    let ensured = target.ensure(&name("etc"), &metadata(0o755), Ownership::Keep);
    assert_eq!(
        ensured.unwrap_err().to_string(),
        format!(
            "{}/etc is a symlink, and a directory belongs there; move it away",
            temporary.path().display()
        )
    );
    target
        .set_metadata_of(&name("etc"), &metadata(0o700), Ownership::Keep)
        .unwrap();
    target.remove(&name("etc")).unwrap();
    assert_eq!(target.names().unwrap(), []);
    let stat = outside.path().metadata().unwrap();
    assert_ne!(stat.mtime(), TIME.seconds);
    assert!(outside.path().join("file").exists());
}

#[test]
fn a_directory_that_is_there_is_kept_and_another_appears_complete() {
    let (temporary, target) = target();
    let kept = temporary.path().join("kept");
    fs::create_dir(&kept).unwrap();
    fs::set_permissions(&kept, Permissions::from_mode(0o711)).unwrap();
    fs::write(kept.join("file"), "x").unwrap();
    let ownership = Ownership::of_this_process();
    for entry in ["kept", "new"] {
        target
            .ensure(&name(entry), &metadata(0o1775), ownership)
            .unwrap();
    }
    assert_eq!(kept.metadata().unwrap().mode() & 0o7777, 0o711);
    assert!(kept.join("file").exists());
    assert_is(&temporary.path().join("new"), 0o1775, fs::FileType::is_dir);
    assert_eq!(target.names().unwrap(), [name("kept"), name("new")]);
}

#[test]
fn what_differs_is_replaced_and_what_was_left_half_done_goes() {
    let (temporary, target) = target();
    let half = temporary.path().join(handle::TEMPORARY_NAME);
    fs::create_dir_all(half.join("x")).unwrap();
    symlink("old", temporary.path().join("link")).unwrap();
    fs::write(temporary.path().join("file"), "content").unwrap();
    for (entry, node) in [("link", link("new")), ("file", file(0o444, b"CONTENT"))] {
        assert!(!target.has_same(&name(entry), &node).unwrap());
        target
            .replace(&name(entry), &node, &writing(&Job::default()))
            .unwrap();
        assert!(target.has_same(&name(entry), &node).unwrap());
    }
    assert_is(
        &temporary.path().join("link"),
        0o777,
        fs::FileType::is_symlink,
    );
    assert_is(&temporary.path().join("file"), 0o444, fs::FileType::is_file);
    assert!(!target.has_same(&name("link"), &file(0o444, b"")).unwrap());
    assert!(!target.has_same(&name("file"), &link("new")).unwrap());
    assert!(!target.has_same(&name("none"), &link("new")).unwrap());
    assert_eq!(target.names().unwrap(), [name("file"), name("link")]);
}

#[test]
fn a_directory_is_never_replaced() {
    let (temporary, target) = target();
    fs::create_dir(temporary.path().join("run")).unwrap();
    let error = target.replace(&name("run"), &link("/run"), &writing(&Job::default()));
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "{}/run is a directory, and a symlink belongs there; move it away",
            temporary.path().display()
        )
    );
}

#[test]
fn directories_that_nobody_may_write_are_removed() {
    let (temporary, target) = target();
    let deep = temporary.path().join("top/a/b");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "x").unwrap();
    for (path, mode) in [("top/a/b", 0o555), ("top/a", 0), ("top", 0o555)] {
        let path = temporary.path().join(path);
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    target.remove(&name("top")).unwrap();
    target.remove(&name("top")).unwrap();
    assert_eq!(target.names().unwrap(), []);
}

#[test]
fn one_process_at_a_time_has_the_lock() {
    let (temporary, target) = target();
    target.lock().unwrap();
    let other = Directory::open(temporary.path()).unwrap();
    let error = other.lock().unwrap_err();
    assert!(matches!(error, DirectoryError::Locked { .. }), "{error}");
    drop(target);
    other.lock().unwrap();
}
