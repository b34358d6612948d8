use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::error::Chain;
use crate::source::Origin;
use crate::store::nar::samples::encoded;
use crate::store::nar::{self, HashingWriter, Writer};
use crate::store::{Content, NarHash, SpoolError};
use crate::tree::{Kind, Tree};

const MTIME: Timestamp = Timestamp::from_seconds(7);

/// A binary cache of ours, whose paths are files.
struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Self {
        let cache = Self(tempfile::tempdir().unwrap());
        fs::create_dir(cache.join("nar")).unwrap();
        fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n").unwrap();
        cache
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds the path of `letter`, a file with `content`.
    fn add(&self, letter: char, references: &str, compression: &str, content: &[u8]) {
        let nar = file_nar(content);
        let file = compressed(&nar, compression);
        let url = format!("nar/{letter}.nar");
        fs::write(self.join(&url), &file).unwrap();
        let references: Vec<_> = references.chars().map(base_name).collect();
        let narinfo = format!(
            "StorePath: {}\nURL: {url}\nCompression: {compression}\nFileHash: {}\nFileSize: {}\nNarHash: {}\nNarSize: {}\nReferences: {}\nCA: fixed:{letter}\n",
            path(letter),
            hash(&file),
            file.len(),
            hash(&nar),
            nar.len(),
            references.join(" ")
        );
        fs::write(self.narinfo(letter), narinfo).unwrap();
    }

    fn narinfo(&self, letter: char) -> PathBuf {
        self.join(&format!("{}.narinfo", letter.to_string().repeat(32)))
    }

    /// Gives the narinfo of `letter` another value of `key`, or none.
    fn change(&self, letter: char, key: &str, value: Option<&str>) {
        let narinfo = fs::read_to_string(self.narinfo(letter)).unwrap();
        let mut changed = String::new();
        for line in narinfo.lines() {
            match value {
                Some(value) if line.starts_with(&format!("{key}:")) => {
                    writeln!(changed, "{key}: {value}").unwrap();
                }
                None if line.starts_with(&format!("{key}:")) => {}
                _ => writeln!(changed, "{line}").unwrap(),
            }
        }
        fs::write(self.narinfo(letter), changed).unwrap();
    }

    fn read(&self, letters: &str) -> Result<Vec<Member>, CacheError> {
        let paths: Vec<_> = letters.chars().map(path).collect();
        read_cache(self.0.path(), &paths, MTIME, None, &AtomicBool::new(false))
    }

    /// What is said when `letters` are asked for.
    fn error(&self, letters: &str) -> String {
        let error = self.read(letters).unwrap_err();
        let directory = self.0.path().to_str().unwrap();
        Chain(&error).to_string().replace(directory, "CACHE")
    }
}

fn base_name(letter: char) -> String {
    format!("{}-{letter}", letter.to_string().repeat(32))
}

fn path(letter: char) -> StorePath {
    StorePath::from_base_name(&base_name(letter)).unwrap()
}

fn file_nar(content: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.file(false, content.len() as u64, content).unwrap();
    writer.finish()
}

fn hash(bytes: &[u8]) -> NarHash {
    let mut hashing = HashingWriter::default();
    hashing.write_all(bytes).unwrap();
    hashing.finish().0
}

fn compressed(bytes: &[u8], compression: &str) -> Vec<u8> {
    match compression {
        "zstd" => zstd::encode_all(bytes, 1).unwrap(),
        "xz" => {
            let mut xz = Command::new("xz")
                .args(["--stdout", "-0"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = xz.stdin.take().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || stdin.write_all(bytes).unwrap());
                xz.wait_with_output().unwrap().stdout
            })
        }
        _ => bytes.to_vec(),
    }
}

/// The bytes of a member that is a file.
fn content(member: &Member) -> Vec<u8> {
    let Content::Stream(tree) = &member.content else {
        panic!("{member:?}")
    };
    file(tree, Tree::ROOT)
}

fn file(tree: &Tree, id: crate::tree::NodeId) -> Vec<u8> {
    let Kind::File(source) = &tree.node(id).kind else {
        panic!("{tree:?}")
    };
    assert!(matches!(source.origin, Origin::Range { .. }));
    let mut bytes = vec![0; usize::try_from(source.length).unwrap()];
    source.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_closure_is_read_in_order_with_all_that_its_narinfos_say() {
    let cache = Cache::new();
    cache.add('c', "", "none", b"of c");
    cache.add('b', "ca", "xz", b"of b");
    cache.add('a', "ba", "zstd", b"of a"); // a cycle, and itself
    cache.add('d', "", "none", b"not asked for");
    let members = cache.read("bab").unwrap();
    let letters = ['a', 'b', 'c'];
    assert_eq!(members.len(), letters.len());
    for (member, letter) in members.iter().zip(letters) {
        let bytes = format!("of {letter}");
        let nar = file_nar(bytes.as_bytes());
        assert_eq!(member.path, path(letter));
        assert_eq!(content(member), bytes.as_bytes());
        assert_eq!(member.ca, Some(format!("fixed:{letter}")));
        let digest = member.nar.unwrap();
        assert_eq!((digest.hash, digest.size), (hash(&nar), nar.len() as u64));
    }
    assert_eq!(members[0].references, [path('a'), path('b')]);
    assert_eq!(members[1].references, [path('a'), path('c')]);
    assert_eq!(members[2].references, []);
}

#[test]
fn large_contents_are_unpacked_each_to_its_own_place() {
    let cache = Cache::new();
    let bytes = |letter: char| format!("{letter} and more, ").repeat(100_000).into_bytes();
    for (letter, compression) in [('a', "zstd"), ('b', "xz"), ('c', "zstd"), ('d', "xz")] {
        cache.add(letter, "", compression, &bytes(letter));
    }
    let members = cache.read("abcd").unwrap();
    for (member, letter) in members.iter().zip("abcd".chars()) {
        assert!(content(member) == bytes(letter), "{letter}");
    }
}

#[test]
fn streams_in_a_row_are_one_file() {
    for compression in ["zstd", "xz"] {
        let cache = Cache::new();
        cache.add('a', "", compression, b"in two streams");
        let nar = file_nar(b"in two streams");
        let streams = [&nar[..50], &nar[50..]].map(|part| compressed(part, compression));
        let file = streams.concat();
        fs::write(cache.join("nar/a.nar"), &file).unwrap();
        cache.change('a', "FileHash", Some(&hash(&file).to_string()));
        cache.change('a', "FileSize", None);
        let members = cache.read("a").unwrap();
        assert_eq!(content(&members[0]), b"in two streams", "{compression}");
    }
}

#[test]
fn a_file_needs_neither_hash_nor_size() {
    let cache = Cache::new();
    for (letter, compression) in [('a', "zstd"), ('b', "xz"), ('c', "none")] {
        cache.add(letter, "", compression, b"x");
        cache.change(letter, "FileHash", None);
        cache.change(letter, "FileSize", None);
    }
    assert_eq!(cache.read("abc").unwrap().len(), 3);
}

#[test]
fn a_cache_of_another_store_is_refused_and_one_that_does_not_say_is_not() {
    let cache = Cache::new();
    cache.add('a', "", "none", b"x");
    let info = cache.join("nix-cache-info");
    fs::write(&info, "WantMassQuery: 1\n").unwrap();
    assert!(cache.read("a").is_ok());
    fs::write(&info, "Priority: 1\nStoreDir: /gnu/store\n").unwrap();
    assert_eq!(
        cache.error("a"),
        "CACHE/nix-cache-info says that the cache is of the store /gnu/store, and not of /nix/store; its paths cannot stand elsewhere"
    );
    fs::remove_file(info).unwrap();
    assert!(cache.read("a").is_ok());
    assert_eq!(cache.read("").unwrap().len(), 0);
    drop(fs::remove_dir_all(cache.0.path()));
    assert!(cache.error("").starts_with("cannot read CACHE: "));
}

#[test]
fn a_path_that_is_missing_is_named_with_the_first_that_refers_to_it() {
    let cache = Cache::new();
    for letter in ['b', 'c'] {
        cache.add(letter, "xz", "none", b"x");
    }
    cache.add('a', "cb", "none", b"x");
    assert_eq!(
        cache.error("a"),
        format!(
            "there is no CACHE/{}.narinfo, for {}, to which {} refers; copy all of the closure, as `nix copy --to file://CACHE` does",
            "x".repeat(32),
            path('x'),
            path('b')
        )
    );
    assert_eq!(
        cache.error("ad"),
        format!(
            "there is no CACHE/{}.narinfo, for {}; copy all of the closure, as `nix copy --to file://CACHE` does",
            "d".repeat(32),
            path('d')
        )
    );
}

#[test]
fn a_narinfo_must_be_of_the_path_that_is_looked_for() {
    let cache = Cache::new();
    cache.add('a', "", "none", b"x");
    let other = format!("/nix/store/{}-other", "a".repeat(32));
    cache.change('a', "StorePath", Some(&other));
    assert_eq!(
        cache.error("a"),
        format!(
            "CACHE/{}.narinfo is of {other}, and not of {}; give the full path as the cache has it",
            "a".repeat(32),
            path('a')
        )
    );
    cache.change('a', "StorePath", Some("/gnu/store"));
    assert!(cache.error("a").contains("is wrong at byte 11 (line 1)"));
}

#[test]
fn a_file_that_is_not_what_its_narinfo_says_is_refused() {
    for compression in ["none", "zstd", "xz"] {
        let cache = Cache::new();
        cache.add('a', "", compression, b"x");
        let length = fs::metadata(cache.join("nar/a.nar")).unwrap().len();
        cache.change('a', "FileSize", Some("7"));
        assert_eq!(
            cache.error("a"),
            format!(
                "CACHE/nar/a.nar has {length} bytes, and the FileSize of {} is 7; copy the path into the cache anew",
                path('a')
            )
        );
        cache.add('a', "", compression, b"x");
        cache.change('a', "FileHash", Some(&hash(b"other").to_string()));
        let error = cache.read("a").unwrap_err();
        assert!(
            matches!(&error, CacheError::Hash { expected, .. } if *expected == hash(b"other")),
            "{error}"
        );
        cache.add('a', "", compression, b"x");
        fs::remove_file(cache.join("nar/a.nar")).unwrap();
        let error = cache.read("a").unwrap_err();
        assert!(
            matches!(&error, CacheError::NarFile { file, .. } if file.ends_with("nar/a.nar")),
            "{error}"
        );
    }
}

#[test]
fn a_nar_of_another_size_than_its_narinfo_says_is_refused() {
    let size = file_nar(b"x").len();
    for compression in ["zstd", "xz"] {
        let cache = Cache::new();
        cache.add('a', "", compression, b"x");
        for (claimed, found) in [
            (0, "more than 0".into()),
            (size - 1, format!("more than {}", size - 1)),
            (size + 1, size.to_string()),
            (1 << 60, size.to_string()),
        ] {
            cache.change('a', "NarSize", Some(&claimed.to_string()));
            assert_eq!(
                cache.error("a"),
                format!(
                    "cannot unpack CACHE/nar/a.nar, which is the NAR of {}: it unpacks to {found} bytes, and its NarSize is {claimed}; copy the path into the cache anew",
                    path('a')
                )
            );
        }
    }
    let cache = Cache::new();
    cache.add('a', "", "none", b"x");
    cache.change('a', "NarSize", Some("8"));
    let error = cache.read("a").unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Size {
                key: "NarSize",
                expected: 8,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn sizes_that_no_file_can_have_are_refused() {
    let cache = Cache::new();
    for letter in ['a', 'b', 'c'] {
        cache.add(letter, "", "zstd", b"x");
        cache.change(letter, "NarSize", Some(&(u64::MAX / 4).to_string()));
    }
    let error = cache.read("abc").unwrap_err();
    assert!(matches!(error, CacheError::TooLarge { .. }), "{error}");
}

#[test]
fn what_follows_a_nar_and_what_is_none_is_refused() {
    for compression in ["none", "zstd", "xz"] {
        let cache = Cache::new();
        let replace = |nar: &[u8]| {
            cache.add('a', "", compression, b"x");
            let file = compressed(nar, compression);
            fs::write(cache.join("nar/a.nar"), &file).unwrap();
            cache.change('a', "FileHash", None);
            cache.change('a', "FileSize", None);
            cache.change('a', "NarSize", Some(&nar.len().to_string()));
            cache.read("a").unwrap_err()
        };
        let mut nar = file_nar(b"x");
        let size = nar.len() as u64;
        nar.extend([0; 8]);
        let error = replace(&nar);
        assert!(
            matches!(error, CacheError::NarEnd { expected, found, .. } if (expected, found) == (size + 8, size)),
            "{error}"
        );
        let error = replace(b"no NAR at all");
        assert!(matches!(error, CacheError::Nar { .. }), "{error}");
        let error = replace(b"");
        assert!(matches!(error, CacheError::Nar { .. }), "{error}");
    }
}

#[test]
fn a_compressed_file_that_is_cut_off_anywhere_is_refused() {
    let content: Vec<_> = (0..3000_u32).flat_map(u32::to_le_bytes).collect();
    for compression in ["zstd", "xz"] {
        let cache = Cache::new();
        cache.add('a', "", compression, &content);
        cache.change('a', "FileHash", None);
        cache.change('a', "FileSize", None);
        let whole = fs::read(cache.join("nar/a.nar")).unwrap();
        for end in (0..whole.len()).step_by(if whole.len() > 2000 { 37 } else { 1 }) {
            fs::write(cache.join("nar/a.nar"), &whole[..end]).unwrap();
            let error = cache.read("a").unwrap_err();
            assert!(
                matches!(error, CacheError::Unpack { .. }),
                "{compression} cut at {end}: {error}"
            );
        }
    }
}

#[test]
fn the_first_of_several_errors_is_reported_at_any_speed() {
    let cache = Cache::new();
    for letter in "abcdfghijk".chars() {
        cache.add(letter, "", "zstd", &vec![0; 1000 + letter as usize * 1000]);
    }
    for letter in ['c', 'd', 'k'] {
        cache.change(letter, "FileHash", Some(&hash(b"").to_string()));
    }
    for _ in 0..20 {
        let error = cache.read("kjihgfdcba").unwrap_err();
        assert!(matches!(&error, CacheError::Hash { path: of, .. } if *of == path('c')));
    }
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let cache = Cache::new();
    cache.add('a', "", "none", b"x");
    fs::remove_file(cache.join("nar/a.nar")).unwrap();
    fs::create_dir(cache.join("nar/a.nar")).unwrap();
    assert_eq!(
        cache.error("a"),
        format!(
            "cannot read CACHE/nar/a.nar, the NAR of {}; copy the path into the cache anew: it is no regular file",
            path('a')
        )
    );
    fs::remove_dir(cache.join("nar/a.nar")).unwrap();
    let mkfifo = |path: &Path| {
        fs::remove_file(path).ok();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    mkfifo(&cache.join("nar/a.nar"));
    assert!(cache.error("a").ends_with("it is no regular file"));
    mkfifo(&cache.narinfo('a'));
    assert!(cache.error("a").ends_with("it is no regular file"));
    mkfifo(&cache.join("nix-cache-info"));
    assert!(cache.error("a").ends_with("it is no regular file"));
}

#[test]
fn a_file_of_the_cache_may_be_a_link() {
    let cache = Cache::new();
    cache.add('a', "", "none", b"x");
    fs::rename(cache.join("nar/a.nar"), cache.join("elsewhere")).unwrap();
    symlink("../elsewhere", cache.join("nar/a.nar")).unwrap();
    assert_eq!(content(&cache.read("a").unwrap()[0]), b"x");
}

#[test]
fn a_dictionary_that_is_too_large_is_refused_before_it_is_made() {
    // `xz --lzma2=dict=1GiB` of nothing but a NAR's beginning.
    let cache = Cache::new();
    cache.add('a', "", "xz", b"x");
    let nar = file_nar(b"x");
    fs::write(cache.join("plain"), &nar).unwrap();
    let output = Command::new("xz")
        .args(["--stdout", "--lzma2=dict=1GiB,mode=fast,mf=hc4"])
        .arg(cache.join("plain"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::write(cache.join("nar/a.nar"), &output.stdout).unwrap();
    cache.change('a', "FileHash", None);
    cache.change('a', "FileSize", None);
    let error = cache.read("a").unwrap_err();
    let CacheError::Unpack {
        source: SpoolError::Unpack(reason),
        ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(reason.kind(), ErrorKind::OutOfMemory);
}

#[test]
fn an_interrupt_stops_it() {
    let cache = Cache::new();
    cache.add('a', "", "zstd", b"x");
    let interrupt = AtomicBool::new(false);
    let read = || read_cache(cache.0.path(), &[path('a')], MTIME, None, &interrupt);
    assert!(read().is_ok());
    interrupt.store(true, Ordering::Relaxed);
    assert!(matches!(read(), Err(CacheError::Interrupted)));
}

/// The base name of the path `number`.
fn numbered(number: usize) -> String {
    let alphabet = crate::store::hash::ALPHABET;
    let digit = |place: usize| char::from(alphabet[number >> (5 * place) & 31]);
    let hash: String = (0..32).map(|place| digit(place % 4)).collect();
    format!("{hash}-{number}")
}

/// Adds paths that each refer to the next, and the first to all; gives the first. They
/// are compressed in turn by each of `compressions`.
fn add_many(cache: &Cache, count: usize, compressions: &[&str]) -> StorePath {
    let nar = file_nar(b"x");
    for compression in compressions {
        let file = cache.join(&format!("nar/x.{compression}"));
        fs::write(file, compressed(&nar, compression)).unwrap();
    }
    for number in 0..count {
        let name = numbered(number);
        let compression = compressions[number % compressions.len()];
        let references = match number {
            0 => (0..count).map(numbered).collect::<Vec<_>>().join(" "),
            _ => numbered((number + 1) % count),
        };
        let narinfo = format!(
            "StorePath: /nix/store/{name}\nURL: nar/x.{compression}\nCompression: {compression}\nNarHash: {}\nNarSize: {}\nReferences: {references}\n",
            hash(&nar),
            nar.len()
        );
        fs::write(cache.join(&format!("{}.narinfo", &name[..32])), narinfo).unwrap();
    }
    StorePath::from_base_name(&numbered(0)).unwrap()
}

#[test]
fn twenty_thousand_paths_take_few_open_files() {
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let cache = Cache::new();
    let top = add_many(&cache, 20_000, &["none", "zstd"]);
    let before = open();
    let interrupt = AtomicBool::new(false);
    let members = read_cache(cache.0.path(), &[top], MTIME, None, &interrupt).unwrap();
    assert_eq!(members.len(), 20_000);
    // Other tests run beside this one.
    assert!(open() < before + 200, "{} files are open", open());
    assert_eq!(content(&members[19_999]), b"x");
}

#[test]
fn a_chain_of_references_costs_no_stack() {
    let cache = Cache::new();
    add_many(&cache, 2000, &["none"]);
    let second = StorePath::from_base_name(&numbered(1)).unwrap();
    let members = read_cache(
        cache.0.path(),
        &[second],
        MTIME,
        None,
        &AtomicBool::new(false),
    );
    assert_eq!(members.unwrap().len(), 2000);
}

/// A store of Nix' own in a directory, with two paths, one of which refers to the other.
fn nix_store(root: &Path) -> [StorePath; 2] {
    let add = |path: &Path| {
        let output = Command::new("nix-store")
            .arg("--store")
            .arg(root)
            .arg("--add")
            .arg(path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let path = String::from_utf8(output.stdout).unwrap();
        StorePath::parse(path.trim_end()).unwrap()
    };
    let source = root.join("source");
    fs::create_dir_all(source.join("b/empty")).unwrap();
    fs::write(source.join("a"), "content of a").unwrap();
    fs::write(source.join("b/zeros"), vec![0; 300_000]).unwrap();
    symlink("../a", source.join("b/link")).unwrap();
    let leaf = add(&source);
    // A registration may say what an addition cannot: that a path refers to another.
    let top = add(&{
        let file = root.join("top");
        fs::write(&file, leaf.to_string()).unwrap();
        file
    });
    let host_path = root.join(top.to_string().trim_start_matches('/'));
    let (nar_hash, nar_size) = nar::nar_hash(&host_path).unwrap();
    let renamed = StorePath::from_base_name(&format!("{}-refers", "r".repeat(32))).unwrap();
    let new_path = root.join(renamed.to_string().trim_start_matches('/'));
    let copy = Command::new("cp")
        .arg("-a")
        .arg(&host_path)
        .arg(&new_path)
        .status();
    assert!(copy.unwrap().success());
    let registration = format!(
        "{renamed}\n{}\n{nar_size}\n\n1\n{leaf}\n",
        nar_hash.to_hex()
    );
    let mut load = Command::new("nix-store")
        .arg("--store")
        .arg(root)
        .arg("--load-db")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = load.stdin.take().unwrap();
    stdin.write_all(registration.as_bytes()).unwrap();
    drop(stdin);
    assert!(load.wait().unwrap().success());
    [renamed, leaf]
}

#[test]
fn what_nix_copies_into_a_cache_is_read() {
    let temporary = tempfile::tempdir().unwrap();
    let root = temporary.path().join("root");
    fs::create_dir(&root).unwrap();
    let [top, leaf] = nix_store(&root);
    for compression in ["none", "zstd", "xz"] {
        let cache = temporary.path().join(compression);
        let output = Command::new("nix")
            .args(["--extra-experimental-features", "nix-command", "copy"])
            .args(["--no-check-sigs", "--store"])
            .arg(&root)
            .arg("--to")
            .arg(format!(
                "file://{}?compression={compression}",
                cache.display()
            ))
            .arg(top.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let members = read_cache(
            &cache,
            std::slice::from_ref(&top),
            MTIME,
            Some(temporary.path()),
            &AtomicBool::new(false),
        )
        .unwrap();
        let by_path: BTreeMap<_, _> = members.iter().map(|m| (&m.path, m)).collect();
        assert_eq!(by_path.len(), 2, "{compression}");
        assert_eq!(by_path[&top].references, std::slice::from_ref(&leaf));
        assert_eq!(content(by_path[&top]), leaf.to_string().into_bytes());
        let ca = by_path[&leaf].ca.as_deref().unwrap();
        assert!(ca.starts_with("fixed:r:sha256:"), "{ca}");
        for member in members {
            let host_path = root.join(member.path.to_string().trim_start_matches('/'));
            let nar = member.nar.unwrap();
            assert_eq!(nar::nar_hash(&host_path).unwrap(), (nar.hash, nar.size));
            let Content::Stream(tree) = member.content else {
                panic!("{}", member.path)
            };
            let encoded = encoded(&tree);
            assert_eq!((hash(&encoded), encoded.len() as u64), (nar.hash, nar.size));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_compressed_file_with_any_byte_changed_is_read_or_refused(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let content: Vec<_> = (0..300_u32).flat_map(u32::to_le_bytes).collect();
        for compression in ["zstd", "xz"] {
            let cache = Cache::new();
            cache.add('a', "", compression, &content);
            cache.change('a', "FileHash", None);
            let file = cache.join("nar/a.nar");
            let mut bytes = fs::read(&file).unwrap();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            fs::write(&file, bytes).unwrap();
            drop(cache.read("a"));
        }
    }
}
