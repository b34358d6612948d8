//! Manual pages and shell completions: what the package installs is what its readers take.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::{output, run};
use crate::support::env;
use crate::support::temporary;

fn prefix() -> TempDir {
    let prefix = temporary::directory();
    run(Command::new(env::builder())
        .arg("manual")
        .arg(prefix.path()));
    prefix
}

/// The commands that `--help` shows behind `words`, less `help` itself.
fn commands_of(words: &[&str]) -> BTreeSet<String> {
    let help = run(Command::new(env::builder()).args(words).arg("--help"));
    let commands = help.split_once("\nCommands:\n").unwrap_or_default().1;
    let (commands, _) = commands.split_once("\n\n").unwrap_or_default();
    let names = commands
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(String::from)
        .collect()
}

/// Those of the program.
fn commands() -> BTreeSet<String> {
    commands_of(&[])
}

#[test]
fn there_is_a_page_for_each_command_and_man_has_nothing_to_say_of_it() {
    let prefix = prefix();
    let directory = prefix.path().join("share/man/man1");
    let pages: BTreeSet<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut expected = BTreeSet::from(["nix2image.1".into()]);
    for command in commands() {
        for below in commands_of(&[&command]) {
            expected.insert(format!("nix2image-{command}-{below}.1"));
        }
        expected.insert(format!("nix2image-{command}.1"));
    }
    assert_eq!(pages, expected);
    for page in pages {
        let mut man = Command::new("man");
        man.args(["--warnings=all", "--local-file"]);
        let output = output(man.arg(directory.join(&page)).env("MANPAGER", "cat"));
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {output:?}"
        );
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("SYNOPSIS") && text.contains("nix2image"),
            "{page}: {text}"
        );
    }
}

#[test]
fn bash_completes_every_command() {
    let prefix = prefix();
    let path = prefix
        .path()
        .join("share/bash-completion/completions/nix2image");
    let script = r#"source "$1"; COMP_WORDS=(nix2image ""); COMP_CWORD=1
        _nix2image nix2image "" nix2image; printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    let words = run(bash.args(["-euc", script, "bash"]).arg(path));
    let words: BTreeSet<String> = words.lines().map(String::from).collect();
    let missing: Vec<_> = commands().difference(&words).cloned().collect();
    assert!(missing.is_empty(), "{missing:?} of {words:?}");
}

#[test]
fn fish_and_zsh_take_their_completions() {
    let prefix = prefix();
    for (shell, option, path) in [
        (
            "fish",
            "--no-execute",
            "share/fish/vendor_completions.d/nix2image.fish",
        ),
        ("zsh", "-n", "share/zsh/site-functions/_nix2image"),
    ] {
        let mut check = Command::new(shell);
        let output = output(check.arg(option).arg(prefix.path().join(path)));
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{shell}: {output:?}"
        );
    }
}
