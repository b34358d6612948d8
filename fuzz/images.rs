//! What holds for any bytes that are given as an image: they are refused, or can be looked into
//! and verified, in bounded time and memory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::OnceLock;

use nix2image::attrs::Attrs;
use nix2image::disk::{self, Disk};
use nix2image::ext4::{self, Features};
use nix2image::fat::{self, FatType, VolumeId};
use nix2image::image::{self, Contained, Container, Content, Identity, Piece, Pieces, VhdForm};
use nix2image::inspect::{EntryKind, Image, Listing, PartFiles, json};
use nix2image::job::Job;
use nix2image::progress::{Listener, Progress};
use nix2image::source::Source;
use nix2image::spec::{self, Spec};
use nix2image::store::nar::{HashingWriter, Writer};
use nix2image::store::{
    DATABASE_NAME, REGISTRATION_NAME, SCHEMA_VERSION, SCHEMA_VERSION_NAME, StorePath, ValidPath,
    encode_database, registration,
};
use nix2image::tree::{Metadata, Name, Node, NodeId, Tree};
use nix2image::verify::verify;
use tempfile::NamedTempFile;

use super::{TIME, tells};

/// A file is refused as an image, or all that is shown of it is text in lines, its directories
/// can be listed and its files read, each as long as the list says; and it can be verified.
pub fn image(bytes: &[u8]) {
    if !unpacks_to_little(bytes) {
        return;
    }
    let file = NamedTempFile::new().unwrap();
    write_sparse(file.path(), bytes);
    let job = Job::default();
    match Image::open(file.path(), &job) {
        Ok(image) => look_into(&image, &job),
        Err(error) => return tells(&error),
    }
    let progress = Progress::new(Listener::Nobody, &job);
    match verify(file.path(), None, &job, &progress) {
        Ok(verification) => {
            let text = verification.to_string();
            assert_eq!(text.lines().count(), verification.findings.len() + 1);
            is_text(&text);
            assert_eq!(
                verification.to_json()["findings"].as_array().unwrap().len(),
                verification.findings.len()
            );
        }
        Err(error) => tells(&error),
    }
}

/// An image that was right, and in which bytes were changed: the first byte says which, and
/// each change is where it is and what it is. Checksums of tables are made right again.
pub fn patched(bytes: &[u8]) {
    if let Some(image) = apply(bytes) {
        self::image(&image);
    }
}

/// The image that `bytes` describe, for who wants to look at it or keep it.
pub fn apply(bytes: &[u8]) -> Option<Vec<u8>> {
    let (which, mut changes) = bytes.split_first()?;
    let bases = bases();
    let base = &bases[usize::from(*which) % bases.len()];
    let mut image = base.bytes.clone();
    while let [low, high, how, rest @ ..] = changes {
        // Of the lines that hold something; the upper half of the numbers is any line.
        let number = usize::from(u16::from_le_bytes([*low, *high]));
        let line = match number.checked_sub(1 << 15) {
            None => base.lines[number % base.lines.len()],
            Some(number) => number * 37 % (image.len() / LINE),
        };
        let at = line * LINE + usize::from(how % 16);
        let length = usize::from(how >> 4)
            .max(1)
            .min(rest.len())
            .min(image.len() - at);
        image[at..at + length].copy_from_slice(&rest[..length]);
        changes = &rest[length..];
    }
    mend(&mut image);
    Some(image)
}

/// Bytes of what is counted when a change says where it is.
const LINE: usize = 16;
/// Bytes that a compressed image may unpack to here.
const UNPACKED_BYTES: u64 = 16 << 20;
/// The logarithm of the bytes of its window.
const WINDOW_LOG: u32 = 23;
/// Directories that are listed, and files of each that are read.
const DIRECTORIES: usize = 12;
const FILES: usize = 3;
/// Bytes that are read of each file.
const FILE_BYTES: usize = 1 << 18;

/// Who has a bomb unpacked gets a bomb: it is unpacked to a file, not to memory.
fn unpacks_to_little(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        return true;
    }
    let Ok(mut decoder) = zstd::Decoder::new(bytes) else {
        return true;
    };
    // The library takes a window of 128 MiB, and allocates that.
    decoder.window_log_max(WINDOW_LOG).unwrap();
    let unpacked = io::copy(&mut decoder.take(UNPACKED_BYTES), &mut io::sink());
    unpacked.is_ok_and(|bytes| bytes < UNPACKED_BYTES)
}

fn look_into(image: &Image, job: &Job) {
    is_text(&image.to_string());
    assert!(json::image(image).is_object());
    for part in image.parts() {
        let number = part.partition.as_ref().map(|partition| partition.number);
        if let Some(partition) = &part.partition {
            assert!(partition.start + partition.size <= image.disk_bytes());
        }
        let files = match image.files(number, job) {
            Ok(files) => files,
            Err(error) => {
                tells(&error);
                continue;
            }
        };
        let mut directories = vec![b"/".to_vec()];
        for index in 0..DIRECTORIES {
            let Some(directory) = directories.get(index).cloned() else {
                break;
            };
            directories.extend(list(&files, &directory));
        }
    }
}

/// Lists a directory, reads files of it, and gives the directories in it.
fn list(files: &PartFiles<'_>, directory: &[u8]) -> Vec<Vec<u8>> {
    let entries = match files.list(directory) {
        Ok(entries) => entries,
        Err(error) => {
            tells(&error);
            return Vec::new();
        }
    };
    let text = Listing(&entries).to_string();
    is_text(&text);
    assert_eq!(text.lines().count(), entries.len());
    assert!(json::listing(&entries)["entries"].is_array());
    assert!(entries.is_sorted_by(|a, b| a.name <= b.name));
    let mut directories = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        assert!(!entry.name.contains(&b'/') && !matches!(&entry.name[..], b"." | b".."));
        let path = [directory, &entry.name].join(&b'/');
        if entry.kind == EntryKind::Directory {
            directories.push(path);
        } else if index < FILES {
            let mut read = Limited(Vec::new());
            match files.copy(&path, &mut read) {
                // What a symlink leads to has a length of its own, and names of FAT are
                // compared without regard to case.
                Ok(()) if entry.kind == EntryKind::File && entry.unix.is_some() => {
                    assert_eq!(read.0.len() as u64, entry.size);
                }
                Ok(()) => {}
                Err(error) => tells(&error),
            }
        }
    }
    directories
}

/// Takes so many bytes, and then none.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > FILE_BYTES {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_text(text: &str) {
    let is_end = |character| character == '\n';
    assert!(
        !text.contains(|character: char| character.is_control() && !is_end(character)),
        "{text:?}"
    );
}

/// Writes a file with holes where it is zero.
fn write_sparse(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (chunk, offset) in bytes.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
        // As a whole: each comparison is counted when this is fuzzed.
        if *chunk != [0; CHUNK][..chunk.len()] {
            file.write_all_at(chunk, offset).unwrap();
        }
    }
}

/// An image that is right.
struct Base {
    bytes: Vec<u8>,
    /// The lines that are not all zeros, by their numbers.
    lines: Vec<usize>,
}

impl Base {
    fn new(mut bytes: Vec<u8>) -> Self {
        mend(&mut bytes);
        let lines = bytes.chunks_exact(LINE).enumerate();
        let is_said = |line: &[u8]| line.iter().any(|byte| *byte != 0);
        let lines = lines.filter_map(|(number, line)| is_said(line).then_some(number));
        Self {
            lines: lines.collect(),
            bytes,
        }
    }
}

/// Filesystems by mke2fs and its like with what ours do not have: maps of blocks, blocks of
/// 1 KiB, a log that is to be played.
const FOREIGN: [&[u8]; 2] = [
    include_bytes!("bases/ext2.zst"),
    include_bytes!("bases/ext4-1k.zst"),
];

/// One of each kind. They are made by our writer, once; what a corpus says of them holds until
/// that writes something else.
fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let default = Features::default_profile();
        let ext4 = || ext4_bytes(&default);
        let mut images = vec![
            ext4(),
            ext4_bytes(&Features::legacy_uboot()),
            ext4_bytes(&Features::modern()),
            disk_bytes("gpt"),
            disk_bytes("mbr"),
            fat_bytes(FatType::Fat12),
            fat_bytes(FatType::Fat16),
        ];
        let contained = |bytes: Vec<u8>, container| bytes_in(pieces_of(&bytes), container);
        images.push(contained(ext4(), Container::Qcow2 { compressed: false }));
        images.push(contained(ext4(), Container::Qcow2 { compressed: true }));
        for form in [VhdForm::Fixed, VhdForm::Dynamic] {
            images.push(contained(ext4(), Container::Vhd { form }));
        }
        // It has 33 MiB, which are holes in there.
        let fat32 = fat_pieces(FatType::Fat32);
        images.push(bytes_in(fat32, Container::Qcow2 { compressed: false }));
        images.extend(FOREIGN.map(|packed| zstd::decode_all(packed).unwrap()));
        // Nothing can be changed in what has checksums all over.
        images.extend(FOREIGN.map(|packed| without_checksums(zstd::decode_all(packed).unwrap())));
        images.into_iter().map(Base::new).collect()
    })
}

/// The choices of who wants a small filesystem.
pub(super) fn options() -> ext4::Options {
    ext4::Options {
        free_bytes: 0,
        free_inodes: 0,
        ..ext4::Options::new(ext4::Uuid(*b"nix2image fuzzes"))
    }
}

/// A NixOS root in an ext4 filesystem without a journal, which has many zeros.
fn ext4_bytes(features: &Features) -> Vec<u8> {
    let names = features.to_string();
    let left_out = ["has_journal", "orphan_file", "resize_inode"];
    let names = names.split(' ').filter(|name| !left_out.contains(name));
    let options = ext4::Options {
        features: Features::new(names.map(|name| name.parse().unwrap())).unwrap(),
        ..options()
    };
    without_checksums(bytes_of(&ext4::lay_out(root(), &options).unwrap()))
}

/// The filesystem with checksums that nobody looks at.
fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    const RO_COMPAT: usize = 1024 + 0x64;
    const METADATA_CSUM: u8 = 0x4;
    bytes[RO_COMPAT + 1] &= !METADATA_CSUM;
    bytes
}

fn fat_pieces(fat_type: FatType) -> Pieces {
    let options = fat::Options {
        fat_type: Some(fat_type),
        ..fat::Options::new(VolumeId(1))
    };
    let mut tree = Tree::new(directory());
    let efi = put(&mut tree, Tree::ROOT, "EFI", directory());
    let boot = put(&mut tree, efi, "BOOT", directory());
    put(&mut tree, boot, "BOOTX64.EFI", file(&[7; 3000]));
    put(
        &mut tree,
        boot,
        "a name that is long.conf",
        file(b"title x\n"),
    );
    fat::lay_out(&tree, &options).unwrap()
}

fn fat_bytes(fat_type: FatType) -> Vec<u8> {
    bytes_of(&fat_pieces(fat_type))
}

/// A disk with a FAT filesystem and an ext4 one.
fn disk_bytes(table: &str) -> Vec<u8> {
    let mut volumes = vec![
        pieces_of(&ext4_bytes(&Features::default_profile())),
        fat_pieces(FatType::Fat12),
    ];
    let disk = disk_of(table, "linux");
    let volume = |_, _| Ok::<_, disk::DiskError>(volumes.pop());
    bytes_of(&disk::lay_out(&disk, volume).unwrap())
}

/// A disk with two partitions, the first of this type, as attributes ask for it.
pub(super) fn disk_of(table: &str, kind: &str) -> Disk {
    let identity = match table {
        "gpt" => r#""guid":"97fd5997-d90b-4aa3-8d16-c1723aea73c1""#,
        _ => r#""id":"0x12345678""#,
    };
    let attrs = format!(
        r#"{{"outputs":{{"out":"/nix/store/ffffffffffffffffffffffffffffffff-a"}},"nix2image":{{"version":1,"kind":"disk","disk":{{"table":"{table}",{identity},"align":65536,"partitions":[{{"type":"{kind}","name":"one"}},{{"type":"linux","name":"two"}}]}}}}}}"#
    );
    let attrs = Attrs::parse(attrs.as_bytes(), Path::new("/build/.attrs.json")).unwrap();
    match Spec::new(attrs, TIME).unwrap().kind {
        spec::Kind::Disk(disk) => disk.disk,
        _ => panic!("a disk was asked for"),
    }
}

/// A root with a store of two paths, and what it says of them twice.
fn root() -> Tree {
    let mut tree = Tree::new(directory());
    let nix = put(&mut tree, Tree::ROOT, "nix", directory());
    let store = put(&mut tree, nix, "store", directory());
    let [one, two] = [
        "11111111111111111111111111111111-one",
        "22222222222222222222222222222222-two",
    ];
    put(&mut tree, store, one, file(b"content of one"));
    let below = put(&mut tree, store, two, directory());
    // Enough names for an index.
    for number in 0..150 {
        let name = format!("{number}{}", "-name".repeat(8));
        put(&mut tree, below, &name, file(b""));
    }
    put(
        &mut tree,
        below,
        "bin",
        Node::symlink(metadata(0o777), &b"1-name/../x"[..]),
    );
    put(&mut tree, below, "large", file(&[5; 5000]));
    let paths = [valid(one, b"content of one"), valid(two, b"")];
    let var = put(&mut tree, nix, "var", directory());
    let nix = put(&mut tree, var, "nix", directory());
    let database = put(&mut tree, nix, "db", directory());
    let bytes = encode_database(paths.iter(), 1).unwrap();
    put(&mut tree, database, DATABASE_NAME, file(&bytes));
    put(
        &mut tree,
        database,
        SCHEMA_VERSION_NAME,
        file(SCHEMA_VERSION.as_bytes()),
    );
    put(
        &mut tree,
        Tree::ROOT,
        REGISTRATION_NAME,
        file(&registration(&paths)),
    );
    tree
}

/// A path that is a file with this content, or should be.
fn valid(path: &str, content: &[u8]) -> ValidPath {
    let mut nar = Writer::new(HashingWriter::default()).unwrap();
    nar.file(false, content.len() as u64, content).unwrap();
    let (nar_hash, nar_size) = nar.finish().finish();
    ValidPath {
        path: StorePath::from_base_name(path).unwrap(),
        nar_hash,
        nar_size,
        references: Vec::new(),
        ca: None,
    }
}

fn metadata(mode: u16) -> Metadata {
    Metadata::of_root(mode, TIME)
}

fn directory() -> Node {
    Node::directory(metadata(0o555))
}

fn file(content: &[u8]) -> Node {
    Node::file(metadata(0o444), Source::bytes(content))
}

fn put(tree: &mut Tree, parent: NodeId, name: &str, node: Node) -> NodeId {
    tree.insert(parent, Name::new(name).unwrap(), node).unwrap()
}

fn pieces_of(bytes: &[u8]) -> Pieces {
    let size = bytes.len() as u64;
    let covered = |(number, chunk): (usize, &[u8])| {
        let offset = (number * CHUNK) as u64;
        chunk.iter().any(|byte| *byte != 0).then(|| Piece {
            offset,
            length: chunk.len() as u64,
            content: Content::Source {
                source: Source::bytes(chunk),
                skip: 0,
            },
        })
    };
    Pieces::new(
        size,
        bytes
            .chunks(CHUNK)
            .enumerate()
            .filter_map(covered)
            .collect(),
    )
}

/// Bytes that are a hole, or are not.
const CHUNK: usize = 4096;

/// An image in memory.
pub(super) fn bytes_of(pieces: &Pieces) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    image::write(pieces, &file, &Job::default()).unwrap();
    read_all(&mut file)
}

fn bytes_in(pieces: Pieces, container: Container) -> Vec<u8> {
    let image = Contained::new(pieces, container, Identity([1; 16])).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let done: Result<(), image::WriteError> =
        image.write_watched(&file, &(), || Ok(()), &Job::default());
    done.unwrap();
    read_all(&mut file)
}

fn read_all(file: &mut File) -> Vec<u8> {
    use std::io::Seek;
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Makes the checksums right of a GPT and of a VHD, where there seems to be one.
fn mend(image: &mut [u8]) {
    let sectors = image.len() / 512;
    for sector in [1, sectors.saturating_sub(1)] {
        mend_gpt(image, sector);
    }
    if image.len() < 2048 {
        return;
    }
    let is_dynamic = image.starts_with(b"conectix");
    let last = image.len() - 512;
    if image[last..].starts_with(b"conectix") {
        mend_vhd(&mut image[last..], 64);
        if is_dynamic {
            mend_vhd(&mut image[..512], 64);
            mend_vhd(&mut image[512..1536], 36);
        }
    }
}

fn mend_gpt(image: &mut [u8], sector: usize) -> Option<()> {
    let header = sector * 512;
    if !image.get(header..header + 92)?.starts_with(b"EFI PART") {
        return None;
    }
    let number = |at: usize| {
        let bytes = image[header + at..][..4].try_into();
        u32::from_le_bytes(bytes.unwrap()) as usize
    };
    let [start, count, size, length] = [72, 80, 84, 12].map(number);
    let entries = start.checked_mul(512)?
        ..start
            .checked_mul(512)?
            .checked_add(count.checked_mul(size)?)?;
    if let Some(entries) = image.get(entries) {
        let sum = crc32(entries);
        image[header + 88..][..4].copy_from_slice(&sum.to_le_bytes());
    }
    image[header + 16..][..4].fill(0);
    let covered = image.get(header..header.checked_add(length)?)?;
    let sum = crc32(covered);
    image[header + 16..][..4].copy_from_slice(&sum.to_le_bytes());
    Some(())
}

fn crc32(bytes: &[u8]) -> u32 {
    crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(bytes)
}

/// The sum of all bytes but its own, inverted.
fn mend_vhd(structure: &mut [u8], at: usize) {
    structure[at..at + 4].fill(0);
    let sum: u32 = structure.iter().map(|byte| u32::from(*byte)).sum();
    structure[at..at + 4].copy_from_slice(&(!sum).to_be_bytes());
}
