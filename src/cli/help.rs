//! What `--help` shows behind the options: examples, and where there is more. `-h` is without.
//!
//! A line with two spaces before it is a command, which has to be one that is taken, and goes on
//! behind a backslash; the lines below it say what it does. clap breaks lines of more than 100
//! characters.

/// Of the program by itself.
pub(super) const PROGRAM: &str = "\
Examples:
  nix2image inspect ./result
      Say what is in the image that was just built.
  nix2image verify ./result
      Hash every store path in it, and compare with its own database.
  NIX_ATTRS_JSON_FILE=attributes.json nix2image
      Build without Nix: what to make stands in the file.

As a builder, in an expression of Nix:
  derivation {
    name = \"hello.img\";
    system = \"x86_64-linux\";
    builder = \"${nix2image}/bin/nix2image\";
    __structuredAttrs = true;
    exportReferencesGraph.closure = [ hello ];
    nix2image = {
      version = 1;
      graphs = [ \"closure\" ];
      ext4.label = \"HELLO\";
    };
  }

The manual: docs/start.md begins with nothing, docs/attributes.md has all attributes. As
manual pages: man nix2image.";

/// Of `prepare-root`.
pub(super) const PREPARE_ROOT: &str = "\
Examples:
  nix2image prepare-root /mnt --closure host.closure \\
      --system /nix/store/bnzf5yqgx8ykgnjnzxqyd7yr5fqmjm8d-nixos-system-host
      Lay a system and its closure, which `nix-store --export` wrote to host.closure.
  nix2image prepare-root ./root --closure graph --no-channel-copy
      In a derivation with exportReferencesGraph = [ \"graph\" package ].
  nixos-prepare-root /mnt \"\" /nix/store/bnzf5yqgx8ykgnjnzxqyd7yr5fqmjm8d-nixos-system graph
      The same program by its old name, with the old arguments.

The manual: docs/install.md.";

/// Of `install`.
pub(super) const INSTALL: &str = "\
Examples:
  nix2image install --root /mnt
      Build /mnt/etc/nixos/configuration.nix, lay the system into /mnt, install its boot loader.
  nix2image install --root /mnt --no-root-passwd \\
      --system /nix/store/bnzf5yqgx8ykgnjnzxqyd7yr5fqmjm8d-nixos-system-host
      Install a system that is built already, as of a flake.
  nix2image install --root /mnt --chroot passwd alice
      Run a command in the root that is installed.

The manual: docs/install.md.";

/// Of `inspect`.
pub(super) const INSPECT: &str = "\
Examples:
  nix2image inspect ./result
      Container, partitions and filesystems of the image in the output of a build.
  nix2image inspect /dev/sdX --json
      The same of a card, for a program.
  nix2image inspect disk.qcow2 ls /nix/var/nix/profiles
  nix2image inspect disk.qcow2 cat --partition 1 /loader/loader.conf

The manual: docs/inspect.md.";

/// Of `inspect ls`.
pub(super) const LS: &str = "\
Examples:
  nix2image inspect disk.qcow2 ls /nix/store
  nix2image inspect card.img.zst ls --partition 1 --json
      The firmware partition of a card, for a program.";

/// Of `inspect cat`.
pub(super) const CAT: &str = "\
Examples:
  nix2image inspect disk.qcow2 cat /etc/nixos/configuration.nix";

/// Of `verify`.
pub(super) const VERIFY: &str = "\
Examples:
  nix2image verify ./result
      The image in the output of a build.
  nix2image verify /dev/sdX --partition 2
      What a card holds after it was written, and after years.

Exit codes: 0 if all is right, 1 if not, 2 if there is nothing to compare with.

The manual: docs/inspect.md.";

/// Of `manual`.
pub(super) const MANUAL: &str = "\
Examples:
  nix2image manual /usr/local
      /usr/local/share has manual pages, and completions for bash, fish and zsh.";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{Command, CommandFactory, Parser};

    use super::super::{Arguments, NAMES};

    /// What a terminal shows without a break.
    const COLUMNS: usize = 100;

    /// The program and its commands, those of commands too, but for what nobody is to call.
    fn all() -> Vec<Command> {
        let mut program = Arguments::command();
        program.build();
        let mut all = vec![program];
        let mut next = 0;
        while let Some(command) = all.get(next) {
            let more: Vec<_> = command
                .get_subcommands()
                .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
                .cloned()
                .collect();
            all.extend(more);
            next += 1;
        }
        all
    }

    fn long(command: &mut Command) -> String {
        command.render_long_help().to_string()
    }

    /// The commands among the examples of a help, as a shell splits them.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let (_, examples) = help.split_once("Examples:\n").unwrap_or_default();
        let examples = examples.replace("\\\n      ", "");
        let indented = examples.lines().take_while(|line| line.starts_with(' '));
        let commands = indented.filter_map(|line| line.strip_prefix("  "));
        commands
            .filter(|line| !line.starts_with(' '))
            .map(|line| {
                line.split(' ')
                    .skip_while(|word| word.contains('='))
                    .map(|word| word.trim_matches('"').to_owned())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn every_command_shows_examples_of_itself_that_are_taken() {
        for mut command in all() {
            let help = long(&mut command);
            // "nix2image inspect ls"
            let name = command.get_bin_name().unwrap_or("nix2image").to_owned();
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{help}");
            let mut shows_itself = false;
            for mut words in examples {
                if let Some((_, alias)) = NAMES.iter().find(|(called, _)| *called == words[0]) {
                    words.splice(0..1, ["nix2image".to_owned(), (*alias).to_owned()]);
                }
                let is_itself = name
                    .split(' ')
                    .all(|part| words.iter().any(|word| word == part));
                shows_itself |= is_itself;
                let taken = Arguments::try_parse_from(&words);
                assert!(taken.is_ok(), "{name}: {words:?}: {:?}", taken.err());
            }
            assert!(shows_itself, "{help}");
        }
    }

    #[test]
    fn every_command_says_what_it_is_and_each_argument_what_it_means() {
        for command in all() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {argument}");
            }
        }
    }

    #[test]
    fn the_short_help_is_short() {
        for mut command in all() {
            let help = command.render_help().to_string();
            assert!(!help.contains("Examples:"), "{help}");
            assert!(help.lines().count() < 30, "{help}");
            for line in help.lines() {
                assert!(line.chars().count() <= COLUMNS, "{line}");
            }
            assert!(help.len() < long(&mut command).len(), "{help}");
        }
    }

    #[test]
    fn the_documents_that_help_names_are_there() {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for mut command in all() {
            let help = long(&mut command);
            let words = help.split(|character: char| character.is_whitespace() || character == ',');
            for word in words.filter(|word| word.starts_with("docs/")) {
                let document = word.trim_end_matches(['.', ':', ';']);
                assert!(checkout.join(document).is_file(), "{document}");
                count += 1;
            }
        }
        assert!(count > 0, "no help names a document");
    }
}
