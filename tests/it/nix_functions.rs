//! The Nix functions and the flake, evaluated by real releases of Nix. What is tested stands
//! in `tests/nix`; see the README there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{run, run_to_failure};
use crate::support::env;
use crate::support::nix::Nix;
use crate::support::offered::copy_tracked_files;
use crate::support::temporary;

/// Trees of nixpkgs to evaluate against: the stand-in, and the real one where there is one.
fn trees() -> Vec<PathBuf> {
    let stand_in = env::checkout().join("tests/nix/nixpkgs");
    [stand_in].into_iter().chain(env::nixpkgs()).collect()
}

/// A command under `nix` that sees the trees of nixpkgs.
fn command(nix: Nix, program: &str) -> Command {
    let mut command = nix.command(program);
    if let Some(nixpkgs) = env::nixpkgs() {
        let paths = format!("{}:{}", env::nix_in_paths(), nixpkgs.display());
        command.env("NIX_IN_PATHS", paths);
    }
    command.args(["--option", "allow-import-from-derivation", "false"]);
    command
}

/// Evaluates a file of tests; gives its failures.
#[track_caller]
fn failures(nix: Nix, nixpkgs: &Path, file: &str, options: &[&str]) -> String {
    let mut command = command(nix, "nix-instantiate");
    command
        .args(["--eval", "--strict", "--json"])
        .args(options)
        .args(["--arg", "nixpkgs"])
        .arg(nixpkgs)
        .arg(env::checkout().join("tests/nix").join(file));
    run(&mut command).trim_end().to_owned()
}

#[test]
fn the_functions_do_what_they_say() {
    for nix in Nix::all() {
        for tree in trees() {
            assert_eq!(failures(nix, &tree, "default.nix", &[]), "[]", "{nix:?}");
        }
    }
}

#[test]
fn what_is_written_to_the_store_is_what_it_should_be() {
    for nix in Nix::all() {
        for tree in trees() {
            let options = ["--read-write-mode"];
            assert_eq!(failures(nix, &tree, "path.nix", &options), "[]", "{nix:?}");
        }
    }
}

#[test]
fn a_wrong_call_is_refused_by_name() {
    for file in fs::read_dir(env::checkout().join("tests/nix/refused")).unwrap() {
        let file = file.unwrap().path();
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        let expected = first.strip_prefix("# error: ").unwrap();
        for nix in Nix::all() {
            let mut command = nix.command("nix-instantiate");
            let stderr = without_colours(&run_to_failure(command.arg(&file)));
            assert!(stderr.contains(expected), "{nix:?}: {stderr}");
        }
    }
}

/// Nix colours what it quotes, in a pipe too.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or(part, |(_colour, rest)| rest)
    })
}

/// A `path:` flake of the checkout would copy the target directory too, and a `git+file:` one wants
/// a git that trusts it.
fn tracked_files() -> TempDir {
    let copy = temporary::directory();
    copy_tracked_files(copy.path());
    copy
}

/// `nix` with `words` before the options that put `tree` in nixpkgs' place.
fn flake_command(nix: Nix, words: &[&str], tree: &Path) -> Command {
    let mut command = command(nix, "nix");
    command
        .args(words)
        .args(["--no-write-lock-file", "--option", "flake-registry", ""])
        .args(["--override-input", "nixpkgs"])
        .arg(format!("path:{}", tree.display()));
    command
}

/// The trees as `path:` flakes: the stand-in from the copy.
fn flake_trees(copy: &Path) -> Vec<PathBuf> {
    let stand_in = copy.join("tests/nix/nixpkgs");
    [stand_in].into_iter().chain(env::nixpkgs()).collect()
}

#[test]
fn the_flake_shows_its_outputs() {
    let copy = tracked_files();
    let flake = format!("path:{}", copy.path().display());
    for nix in Nix::all() {
        // Newer ones leave the other system out.
        let system = nix.evaluate("builtins.currentSystem");
        let system = system.as_str().unwrap();
        for tree in flake_trees(copy.path()) {
            let mut show = flake_command(nix, &["flake", "show", "--json"], &tree);
            let shown: Value = serde_json::from_str(&run(show.arg(&flake))).unwrap();
            for (output, name) in [
                ("packages", "nix2image"),
                ("packages", "default"),
                ("checks", "image"),
                ("devShells", "default"),
            ] {
                let kind = &shown[output][system][name]["type"];
                assert_eq!(kind, "derivation", "{output}.{name}");
            }
            assert_eq!(shown["overlays"]["default"]["type"], "nixpkgs-overlay");
            for module in ["amazon-image", "disk-image", "sd-image", "tools"] {
                let kind = &shown["nixosModules"][module]["type"];
                assert_eq!(kind, "nixos-module", "{module}");
            }
            for template in ["default", "ec2", "sd-card"] {
                let kind = &shown["templates"][template]["type"];
                assert_eq!(kind, "template", "{template}");
            }
            for example in ["ec2", "qemu", "sd-card"] {
                let kind = &shown["nixosConfigurations"][example]["type"];
                assert_eq!(kind, "nixos-configuration", "{example}");
            }
        }
    }
}

#[test]
fn the_flake_has_jobs_for_what_each_system_builds() {
    let copy = tracked_files();
    let jobs = format!("path:{}#hydraJobs", copy.path().display());
    for nix in Nix::all() {
        for tree in flake_trees(copy.path()) {
            let mut eval = flake_command(nix, &["eval", "--json"], &tree);
            let jobs: Value = serde_json::from_str(&run(eval.arg(&jobs))).unwrap();
            let both = ["aarch64-linux", "x86_64-linux"].as_slice();
            for (job, systems) in [
                ("ec2", &both[1..]),
                ("evaluation", both),
                ("hydra-job", both),
                ("image", both),
                ("package", both),
                ("sd-card", &both[..1]),
            ] {
                for system in systems {
                    assert!(jobs[job][system].is_string(), "{job}.{system}");
                }
            }
        }
    }
}

#[test]
fn the_flake_is_checked() {
    let copy = tracked_files();
    let flake = format!("path:{}", copy.path().display());
    for nix in Nix::all() {
        for tree in flake_trees(copy.path()) {
            run(flake_command(nix, &["flake", "check", "--no-build"], &tree).arg(&flake));
        }
    }
}

/// The derivation of the image that the flake in `directory` offers, with the copy in
/// nix2image's place.
#[track_caller]
fn image_of_flake(nix: Nix, directory: &Path, attribute: &str, copy: &Path, tree: &Path) -> String {
    let mut eval = flake_command(nix, &["eval", "--raw"], tree);
    eval.args(["--override-input", "nix2image"])
        .arg(format!("path:{}", copy.display()))
        .args(["--override-input", "nix2image/nixpkgs"])
        .arg(format!("path:{}", tree.display()))
        .arg(format!("path:{}#{attribute}", directory.display()));
    run(&mut eval)
}

#[test]
fn the_templates_and_the_flakes_of_the_documents_give_images() {
    let copy = tracked_files();
    let copy = copy.path();
    let templates = copy.join("nix/templates");
    let [ext4, card, ec2] = ["ext4", "sd-card", "ec2"].map(|name| templates.join(name));
    let readme = flake_in(&copy.join("README.md"));
    let page = flake_in(&copy.join("docs/make-ext4-fs.md"));
    for nix in Nix::all() {
        for tree in flake_trees(copy) {
            for (directory, attribute, name) in [
                (ext4.as_path(), "default", "-ext4-fs.img.drv"),
                (&card, "default", ".img.zst.drv"),
                (&ec2, "default", "-nixos-image"),
                (readme.path(), "default", "-ext4-fs.img.drv"),
                (page.path(), "image", "-ext4-fs.img.drv"),
            ] {
                let attribute = format!("packages.x86_64-linux.{attribute}.drvPath");
                let image = image_of_flake(nix, directory, &attribute, copy, &tree);
                assert!(image.contains(name), "{image}");
            }
        }
    }
}

/// A flake of the one block in a document that is one. The address is left to who pastes it:
/// `…`.
#[track_caller]
fn flake_in(document: &Path) -> TempDir {
    let text = fs::read_to_string(document).unwrap();
    let flakes: Vec<&str> = text
        .split("```nix\n")
        .skip(1)
        .filter_map(|block| block.split_once("```").map(|(block, _rest)| block))
        .filter(|block| block.starts_with("{\n  inputs."))
        .collect();
    let [flake] = flakes[..] else {
        panic!("{} has {} flakes", document.display(), flakes.len())
    };
    let directory = temporary::directory();
    let flake = flake.replace("\"…\"", "\"path:/does/not/exist\"");
    fs::write(directory.path().join("flake.nix"), flake).unwrap();
    directory
}
