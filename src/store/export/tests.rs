use std::fs;
use std::process::Command;

use super::*;
use crate::store::nar::samples::{container, dumped, encoded, sample, strings};

const MTIME: Timestamp = Timestamp::from_seconds(7);

fn path(letter: char) -> String {
    format!("/nix/store/{}-{letter}", letter.to_string().repeat(32))
}

/// The bytes of an export, number by number and string by string.
#[derive(Clone, Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    fn string(mut self, string: impl AsRef<[u8]>) -> Self {
        self.0.extend(strings(&[string.as_ref()]));
        self
    }

    /// A store path, up to its references.
    fn begin(self, path: &str) -> Self {
        let mut stream = self.number(1);
        let nar = [
            "nix-archive-1",
            "(",
            "type",
            "regular",
            "contents",
            path,
            ")",
        ];
        stream.0.extend(strings(&nar.map(str::as_bytes)));
        stream.number(MAGIC).string(path)
    }

    /// A store path, whole.
    fn member(self, path: &str, references: &[&str]) -> Self {
        let mut stream = self.begin(path).number(references.len() as u64);
        for reference in references {
            stream = stream.string(reference);
        }
        stream.string("").number(0)
    }

    fn read(&self) -> Result<Vec<Member>, ExportError> {
        read_export(&container(&self.0), MTIME)
    }

    /// What is wrong with the stream, which says so at its byte `offset`.
    #[track_caller]
    fn fault_at(&self, offset: usize) -> ExportFault {
        match self.read().unwrap_err() {
            ExportError::Broken { source, .. } => {
                let text = source.to_string();
                assert!(text.starts_with(&format!("byte {offset}: ")), "{text}");
                source
            }
            other => panic!("{other:?}"),
        }
    }
}

fn tree(member: &Member) -> &crate::tree::Tree {
    match &member.content {
        Content::Stream(tree) => tree,
        Content::Live => panic!("{member:?}"),
    }
}

fn texts(paths: &[StorePath]) -> Vec<String> {
    paths.iter().map(ToString::to_string).collect()
}

fn open(path: &Path) -> Result<Arc<Container>, ExportError> {
    open_export(path, None, &AtomicBool::new(false))
}

#[test]
fn an_export_has_paths_references_and_contents() {
    let [a, b, c] = ['a', 'b', 'c'].map(path);
    let members = Stream::default()
        .member(&c, &[])
        .member(&a, &[&c, &b, &a, &c])
        .number(0)
        .read()
        .unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].path.to_string(), c);
    assert_eq!(texts(&members[1].references), [a.clone(), b, c]);
    assert_eq!(members[1].nar, None);
    assert_eq!(members[1].ca, None);
    let nar = ["nix-archive-1", "(", "type", "regular", "contents", &a, ")"];
    assert_eq!(encoded(tree(&members[1])), strings(&nar.map(str::as_bytes)));
}

#[test]
fn an_empty_export_has_nothing() {
    assert!(Stream::default().number(0).read().unwrap().is_empty());
}

#[test]
fn deriver_and_signature_are_dropped() {
    let derived = Stream::default()
        .begin(&path('a'))
        .number(0)
        .string(path('d') + ".drv");
    let long = "s".repeat(200_000);
    for signed in [derived.clone().number(0), derived.number(1).string(long)] {
        assert_eq!(signed.number(0).read().unwrap().len(), 1);
    }
}

#[test]
fn paths_that_are_not_in_the_store_are_refused() {
    for wrong in [
        "/gnu/store/x",
        "",
        "/nix/store/..",
        "/nix/store/\u{e9}",
        &format!("{}/bin", path('a')),
    ] {
        let start = Stream::default().begin("").0.len() - 8;
        let fault = Stream::default()
            .begin(wrong)
            .fault_at(start + wrong.len().next_multiple_of(8));
        assert!(matches!(fault, ExportFault::Path { .. }), "{fault:?}");
        let begun = Stream::default().begin(&path('a'));
        let start = begun.0.len() + 8;
        let fault = begun.clone().number(1).string(wrong).fault_at(start);
        assert!(matches!(fault, ExportFault::Path { .. }), "{fault:?}");
        if !wrong.is_empty() {
            let fault = begun.number(0).string(wrong).fault_at(start);
            assert!(matches!(fault, ExportFault::Path { .. }), "{fault:?}");
        }
    }
    let fault = Stream::default()
        .begin(&path('a'))
        .number(1)
        .string(b"/nix/store/\xff")
        .read()
        .unwrap_err();
    assert!(matches!(
        fault,
        ExportError::Broken {
            source: ExportFault::Path { .. },
            ..
        }
    ));
}

#[test]
fn a_path_is_there_once() {
    let once = Stream::default().member(&path('a'), &[]);
    let offset = once.clone().begin("").0.len() - 8 + path('a').len().next_multiple_of(8);
    let fault = once.member(&path('a'), &[]).number(0).fault_at(offset);
    assert!(matches!(fault, ExportFault::Twice { .. }), "{fault:?}");
}

#[test]
fn numbers_that_the_format_does_not_have_are_refused() {
    let fault = Stream::default().number(2).fault_at(0);
    assert_eq!(
        fault.to_string(),
        "byte 0: the number 0x2 stands where an export has 1 before a store path or 0 at its end"
    );
    let mut unmarked = Stream::default().begin(&path('a'));
    let marker = unmarked.0.len() - 8 - path('a').len().next_multiple_of(8) - 8;
    unmarked.0[marker] ^= 1;
    assert!(matches!(
        unmarked.fault_at(marker),
        ExportFault::Number {
            found: 0x4558_494f,
            ..
        }
    ));
    let unsigned = Stream::default().begin(&path('a')).number(0).string("");
    let offset = unsigned.0.len();
    let fault = unsigned.number(2).fault_at(offset);
    assert!(matches!(fault, ExportFault::Number { found: 2, .. }));
}

#[test]
fn nothing_follows_the_end() {
    let whole = Stream::default().member(&path('a'), &[]).number(0);
    let offset = whole.0.len();
    let mut trailing = whole;
    trailing.0.push(0);
    let fault = trailing.fault_at(offset);
    assert!(matches!(fault, ExportFault::Trailing { left: 1, .. }));
}

#[test]
fn an_export_that_is_cut_anywhere_is_refused() {
    let [a, b] = ['a', 'b'].map(path);
    let whole = Stream::default()
        .member(&a, &[&b])
        .member(&b, &[])
        .number(0);
    for end in 0..whole.0.len() {
        let cut = Stream(whole.0[..end].to_vec()).read().unwrap_err();
        let ExportError::Broken { source, .. } = cut else {
            panic!("{cut:?}")
        };
        assert!(
            source.to_string().contains("the stream ends after"),
            "{end}: {source}"
        );
    }
}

#[test]
fn a_count_of_references_costs_nothing() {
    let claimed = Stream::default().begin(&path('a')).number(u64::MAX);
    let offset = claimed.0.len();
    let fault = claimed.fault_at(offset);
    assert!(matches!(
        fault,
        ExportFault::Stream(StreamError::Ends { .. })
    ));
}

#[test]
fn a_fault_in_a_nar_counts_from_the_start_of_the_stream() {
    let mut stream = Stream::default().member(&path('a'), &[]).number(1);
    let offset = stream.0.len();
    stream.0.extend(strings(&[b"nix-archive-2"]));
    let fault = stream.fault_at(offset);
    assert!(matches!(
        fault,
        ExportFault::Nar(NarReadError::Magic { .. })
    ));
}

#[test]
fn a_compressed_export_is_known_by_its_bytes_and_unpacked() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("no-suffix");
    let whole = Stream::default().member(&path('a'), &[]).number(0).0;
    // Frames follow one another, as `cat` makes them.
    let (first, second) = whole.split_at(100);
    let frames = [first, second].map(|part| zstd::encode_all(part, 3).unwrap());
    fs::write(&file, frames.concat()).unwrap();
    let container = open(&file).unwrap();
    assert!(container.is_spooled());
    let members = read_export(&container, MTIME).unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);

    let spools = tempfile::tempdir().unwrap();
    open_export(&file, Some(spools.path()), &AtomicBool::new(false)).unwrap();
    assert_eq!(fs::read_dir(spools.path()).unwrap().count(), 0);
    let missing = spools.path().join("missing");
    let error = open_export(&file, Some(&missing), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, ExportError::Spool { .. }), "{error:?}");

    fs::write(&file, &whole).unwrap();
    let plain = open(&file).unwrap();
    assert!(!plain.is_spooled());
    let also = read_export(&plain, MTIME).unwrap();
    assert_eq!(encoded(tree(&also[0])), encoded(tree(&members[0])));
}

#[test]
fn what_was_unpacked_is_said_in_the_message() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("x");
    let broken = Stream::default().number(7).0;
    for (bytes, middle) in [
        (broken.clone(), " "),
        (zstd::encode_all(&broken[..], 3).unwrap(), ", unpacked, "),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = read_export(&open(&file).unwrap(), MTIME).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{}{middle}is not what nix-store --export writes; write it anew",
                file.display()
            )
        );
    }
}

#[test]
fn a_compressed_export_is_whole_and_nothing_else() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("x");
    let whole = zstd::encode_all(&Stream::default().number(0).0[..], 3).unwrap();
    open_bytes(&file, &whole).unwrap();
    for wrong in [
        &whole[..whole.len() - 1],
        &[&whole[..], b"garbage"].concat(),
        &[&whole[..], b"x"].concat(),
    ] {
        let error = open_bytes(&file, wrong).unwrap_err();
        assert!(matches!(error, ExportError::Unpack { .. }), "{error:?}");
    }
}

fn open_bytes(file: &Path, bytes: &[u8]) -> Result<Arc<Container>, ExportError> {
    fs::write(file, bytes).unwrap();
    open(file)
}

#[test]
fn unpacking_stops_when_asked() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("x");
    fs::write(&file, zstd::encode_all(&[0; 100][..], 3).unwrap()).unwrap();
    let error = open_export(&file, None, &AtomicBool::new(true)).unwrap_err();
    assert!(matches!(error, ExportError::Interrupted), "{error:?}");
}

#[test]
fn what_cannot_be_written_ends_the_unpacking() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("x");
    let long = vec![0; (BUFFERS + 3) * UNPACK_BYTES + 1];
    fs::write(&file, zstd::encode_all(&long[..], 3).unwrap()).unwrap();
    let from = File::open(&file).unwrap();
    let mut read_only = File::open(&file).unwrap();
    let error = unpack(&file, &from, &mut read_only, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, ExportError::Spool { .. }), "{error:?}");

    let container = open(&file).unwrap();
    let length = container.with_file(File::metadata).unwrap().len();
    assert_eq!(length, long.len() as u64);
}

#[test]
fn what_is_no_file_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let error = open(temporary.path()).unwrap_err();
    assert!(matches!(error, ExportError::NoFile { .. }), "{error:?}");
    let error = open(&temporary.path().join("missing")).unwrap_err();
    assert!(matches!(error, ExportError::Open { .. }), "{error:?}");
}

/// A store of its own for Nix, and what a command of Nix prints there.
fn nix(root: &Path, command: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(command)
        .arg("--store")
        .arg(root)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn nix_lines(root: &Path, command: &str, arguments: &[&str]) -> Vec<String> {
    let output = String::from_utf8(nix(root, command, arguments)).unwrap();
    output.lines().map(Into::into).collect()
}

#[test]
fn what_nix_exports_is_read_as_nix_knows_it() {
    let sample = sample();
    let store = tempfile::tempdir().unwrap();
    let root = store.path();
    let expression = format!(
        r#"let make = name: extra: derivation ({{ inherit name; system = "x"; builder = "x"; }} // extra);
        in make "top" {{ source = {}; inner = make "inner" {{}}; }}"#,
        format_args!(
            "builtins.path {{ path = {:?}; name = \"source\"; }}",
            sample.path()
        )
    );
    let top = nix_lines(root, "nix-instantiate", &["--expr", &expression]);
    let closure = nix_lines(root, "nix-store", &["--query", "--requisites", &top[0]]);
    assert_eq!(closure.len(), 3);
    let mut export = vec!["--export"];
    export.extend(closure.iter().map(String::as_str));
    let file = root.join("export");
    fs::write(&file, nix(root, "nix-store", &export)).unwrap();

    let members = read_export(&open(&file).unwrap(), MTIME).unwrap();
    let paths: Vec<_> = members
        .iter()
        .map(|member| member.path.to_string())
        .collect();
    assert_eq!(paths, closure);
    for member in &members {
        let path = member.path.to_string();
        let mut references = nix_lines(root, "nix-store", &["--query", "--references", &path]);
        references.sort();
        assert_eq!(texts(&member.references), references);
        let real = root.join(path.trim_start_matches('/'));
        assert_eq!(encoded(tree(member)), dumped(&real));
    }
}
