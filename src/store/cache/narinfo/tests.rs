use proptest::prelude::*;

use super::*;
use crate::error::Chain;

/// What Nix 2.8 wrote.
const NARINFO: &str = "\
StorePath: /nix/store/9vk12rjy12nlkvyphblbc53qq71rg6ik-src
URL: nar/0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63.nar.zst
Compression: zstd
FileHash: sha256:0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63
FileSize: 244
NarHash: sha256:1lrygni0znz3pbq8km6781ai90icpbhir6x8x2i45k7jlyirbwgg
NarSize: 300832
References: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b 9vk12rjy12nlkvyphblbc53qq71rg6ik-src
Deriver: dddddddddddddddddddddddddddddddd-src.drv
Sig: one:AA==
Sig: two:AA==
CA: fixed:r:sha256:1lrygni0znz3pbq8km6781ai90icpbhir6x8x2i45k7jlyirbwgg
";

fn hash(text: &str) -> NarHash {
    text.parse().unwrap()
}

/// The narinfo with the value of `key` in its place, or without the key.
fn with(key: &str, value: Option<&str>) -> String {
    let line = |line: &str| match value {
        Some(value) if line.starts_with(&format!("{key}: ")) => format!("{key}: {value}\n"),
        None if line.starts_with(&format!("{key}: ")) => String::new(),
        _ => line.into(),
    };
    NARINFO.split_inclusive('\n').map(line).collect()
}

fn fault(text: &str) -> NarinfoFault {
    parse_narinfo(text.as_bytes()).unwrap_err().source
}

#[test]
fn what_nix_writes_is_read_and_derivers_and_signatures_are_dropped() {
    let file_hash = "sha256:0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63";
    let nar_hash = "sha256:1lrygni0znz3pbq8km6781ai90icpbhir6x8x2i45k7jlyirbwgg";
    let path = |name: &str| StorePath::from_base_name(name).unwrap();
    let src = path("9vk12rjy12nlkvyphblbc53qq71rg6ik-src");
    assert_eq!(
        parse_narinfo(NARINFO.as_bytes()).unwrap(),
        Narinfo {
            path: src.clone(),
            url: "nar/0h86v9fx77iy5w8rqa0hjnha0knpqn3cvxgmg4rv2q0mv10hmw63.nar.zst".into(),
            compression: Compression::Zstd,
            file_hash: Some(hash(file_hash)),
            file_size: Some(244),
            nar: NarDigest {
                hash: hash(nar_hash),
                size: 300_832
            },
            references: vec![src, path("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b")],
            ca: Some(format!("fixed:r:{nar_hash}")),
        }
    );
}

#[test]
fn what_need_not_be_there_may_be_missing_or_empty() {
    for value in [None, Some("")] {
        for key in ["FileHash", "FileSize", "Deriver", "Sig", "CA"] {
            assert!(parse_narinfo(with(key, value).as_bytes()).is_ok(), "{key}");
        }
        for key in ["StorePath", "URL", "NarHash", "NarSize"] {
            assert_eq!(fault(&with(key, value)), NarinfoFault::Missing { key });
        }
    }
    let later = format!("{NARINFO}Of a later Nix: a: b\nSystem:\n");
    assert!(parse_narinfo(later.as_bytes()).is_ok());
}

#[test]
fn references_may_be_none_but_not_missing() {
    let none = with("References", Some(""));
    for text in [none.replace("References: ", "References:"), none] {
        assert_eq!(parse_narinfo(text.as_bytes()).unwrap().references, []);
    }
    let key = "References";
    assert_eq!(fault(&with(key, None)), NarinfoFault::Missing { key });
}

#[test]
fn a_hash_of_a_file_may_be_hex_or_of_an_algorithm_that_is_ignored() {
    let hex = format!("sha256:{}", "0f".repeat(32));
    let read = |value: &str| {
        let text = with("FileHash", Some(value));
        parse_narinfo(text.as_bytes()).unwrap().file_hash
    };
    assert_eq!(read(&hex), Some(NarHash([15; 32])));
    for other in ["sha512:x", "blake3-x", "md5:00"] {
        assert_eq!(read(other), None);
    }
    for text in ["sha256:x", "0f", "sha256-"] {
        let text = String::from(text);
        let fault = fault(&with("FileHash", Some(&text)));
        assert_eq!(fault, NarinfoFault::FileHash { text });
    }
}

#[test]
fn a_compression_that_is_missing_or_unknown_is_told_with_those_that_are_known() {
    for (value, told) in [
        (None, "not given, and so bzip2 for Nix"),
        (Some(""), "not given, and so bzip2 for Nix"),
        (Some("bzip2"), "bzip2"),
        (Some("br"), "br"),
        (Some("gzip"), "gzip"),
    ] {
        let fault = fault(&with("Compression", value));
        let compression = told.into();
        assert_eq!(fault, NarinfoFault::Compression { compression });
        assert!(fault.to_string().contains("none, zstd and xz can be read"));
    }
    for (value, compression) in [("none", Compression::None), ("xz", Compression::Xz)] {
        let text = with("Compression", Some(value));
        let narinfo = parse_narinfo(text.as_bytes()).unwrap();
        assert_eq!(narinfo.compression, compression);
    }
}

#[test]
fn a_url_that_may_leave_the_cache_is_refused() {
    for url in [
        "/etc/passwd",
        "../x.nar",
        "nar/../../x.nar",
        "nar/..",
        "./x.nar",
        "nar//x.nar",
        "nar/",
        "https://example.org/x.nar",
        "file:x.nar",
        "nar/x.nar?y",
        "nar/x.nar#y",
        "nar\\x.nar",
        "nar/\0",
    ] {
        let url = String::from(url);
        assert_eq!(fault(&with("URL", Some(&url))), NarinfoFault::Url { url });
    }
    for url in ["x.nar", "nar/..x", "a/b/c d"] {
        let text = with("URL", Some(url));
        assert_eq!(parse_narinfo(text.as_bytes()).unwrap().url, url);
    }
}

#[test]
fn what_is_wrong_is_named_with_its_byte_and_line() {
    let wrong = with("References", Some("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b  x"));
    let error = parse_narinfo(wrong.as_bytes()).unwrap_err();
    assert_eq!(error.offset, wrong.find("  x\n").unwrap() + 2);
    assert_eq!(
        Chain(&error).to_string(),
        format!(
            "it is wrong at byte {} (line 8): References names no store path: \"x\" has no 32 characters of hash and a dash before its name; a hash is written in 0-9 and a-z without e, o, t, u",
            error.offset
        )
    );
    for key in ["FileSize", "NarSize"] {
        for value in ["-1", "+1", "1 ", "x", "18446744073709551616"] {
            let text = value.into();
            let wrong = with(key, Some(value));
            let error = parse_narinfo(wrong.as_bytes()).unwrap_err();
            assert_eq!(error.source, NarinfoFault::Number { key, text });
            assert!(wrong[error.offset..].starts_with(value), "{key} {value}");
        }
    }
    let twice = format!("{NARINFO}CA: x\n");
    assert_eq!(fault(&twice), NarinfoFault::Twice { key: "CA" });
    let line = "no key".into();
    let no_key = format!("{NARINFO}no key\n");
    assert_eq!(fault(&no_key), NarinfoFault::Line { line });
    let elsewhere = with("StorePath", Some("/tmp/x"));
    assert!(matches!(fault(&elsewhere), NarinfoFault::Path { .. }));
    assert!(matches!(
        fault(&with("NarHash", Some("sha512:x"))),
        NarinfoFault::NarHash(_)
    ));
    let error = parse_narinfo(b"Sig: x\nSig: \xff\n").unwrap_err();
    assert_eq!((error.offset, error.line), (12, 2));
    assert_eq!(error.source, NarinfoFault::NotText);
}

#[test]
fn a_narinfo_that_is_cut_off_is_an_error_or_lacks_only_what_need_not_be_there() {
    let whole = parse_narinfo(NARINFO.as_bytes()).unwrap();
    let needed = NARINFO.find("Deriver").unwrap();
    for end in 0..NARINFO.len() {
        match parse_narinfo(&NARINFO.as_bytes()[..end]) {
            Ok(cut) => {
                assert!(
                    end >= needed && NARINFO[..end].ends_with('\n'),
                    "cut at {end}"
                );
                assert_eq!(
                    (cut.nar, cut.references),
                    (whole.nar, whole.references.clone())
                );
            }
            Err(error) => assert!(error.offset <= end, "cut at {end}"),
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_narinfo_or_an_error_within_them(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Err(error) = parse_narinfo(&bytes) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    #[test]
    fn a_changed_narinfo_is_a_narinfo_or_an_error_within_it(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = NARINFO.as_bytes().to_vec();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Err(error) = parse_narinfo(&bytes) {
            prop_assert!(error.offset <= bytes.len());
        }
    }
}
