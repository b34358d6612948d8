//! The registration: a closure as text for `nix-store --load-db`.

use super::ValidPath;

/// The name of the file that holds it, in an image and beside one.
pub const REGISTRATION_NAME: &str = "nix-path-registration";

/// What `nix-store --load-db` reads to make `paths` valid
/// (`decodeValidPathInfo` in Nix's `store-api.cc`). It has no place for content
/// addresses, and the deriver is left empty.
#[must_use]
pub fn registration(paths: &[ValidPath]) -> Vec<u8> {
    let text: String = paths.iter().flat_map(lines).collect();
    text.into_bytes()
}

fn lines(valid: &ValidPath) -> impl Iterator<Item = String> {
    let deriver = String::new();
    [
        valid.path.to_string(),
        valid.nar_hash.to_hex(),
        valid.nar_size.to_string(),
        deriver,
        valid.references.len().to_string(),
    ]
    .into_iter()
    .chain(valid.references.iter().map(ToString::to_string))
    .map(|line| line + "\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use serde_json::json;

    use super::*;
    use crate::store::Graph;

    fn paths() -> Vec<ValidPath> {
        let paths = ["a", "b"].map(|letter| format!("/nix/store/{}-{letter}", letter.repeat(32)));
        let hash = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
        let graph = json!([
            { "path": paths[1], "narHash": hash, "narSize": 112, "references": [] },
            { "path": paths[0], "narHash": hash, "narSize": 1, "references": paths, "ca": "x" },
        ]);
        let mut paths = Graph::parse("g", &graph).unwrap().paths;
        paths.sort_by(|a, b| a.path.cmp(&b.path));
        paths
    }

    /// What `nix-store` prints, with a store of its own in the directory `root`.
    fn nix_store(root: &Path, operation: &str, input: &[u8]) -> Vec<u8> {
        let mut nix_store = Command::new("nix-store")
            .arg("--store")
            .arg(root)
            .arg(operation)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        nix_store.stdin.take().unwrap().write_all(input).unwrap();
        let output = nix_store.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn nix_store_loads_it_and_dumps_it_again() {
        let root = tempfile::tempdir().unwrap();
        let registration = registration(&paths());
        nix_store(root.path(), "--load-db", &registration);
        let dumped = nix_store(root.path(), "--dump-db", b"");
        assert_eq!(String::from_utf8(dumped), String::from_utf8(registration));
    }

    #[test]
    fn it_has_a_line_for_each_thing_that_nix_knows() {
        let expected = "\
/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
1

2
/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a
/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b
/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
112

0
";
        assert_eq!(String::from_utf8(registration(&paths())).unwrap(), expected);
    }
}
