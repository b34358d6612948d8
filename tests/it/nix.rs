//! Real builds by real releases of Nix, in their sandboxes.

use crate::support::command::run;
use crate::support::env;
use crate::support::nix::Nix;

/// The small closure's store paths, each with its NAR hash, under `nix`.
fn small_closure(nix: Nix) -> Vec<(String, String)> {
    let expression = env::small_closure();
    let root = nix.build(&[&expression.to_string_lossy(), "-A", "closure"]);
    let paths = run(nix
        .command("nix-store")
        .args(["--query", "--requisites", &root]));
    let mut paths: Vec<&str> = paths.lines().collect();
    paths.sort_unstable();
    let hashes = run(nix
        .command("nix-store")
        .args(["--query", "--hash"])
        .args(&paths));
    paths
        .into_iter()
        .map(str::to_owned)
        .zip(hashes.lines().map(str::to_owned))
        .collect()
}

#[test]
fn the_releases_of_nix_differ() {
    let versions = Nix::ALL.map(|nix| run(nix.command("nix").arg("--version")));
    assert_ne!(versions[0], versions[1]);
}

#[test]
fn the_small_closure_is_the_same_under_every_nix() {
    let [machine, other] = Nix::ALL.map(small_closure);
    assert_eq!(machine, other);
}
