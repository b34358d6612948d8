//! Manual pages and shell completions, made of what the command line is.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::Arguments;

/// The name of the program, and what its completions are for.
const NAME: &str = "nix2image";

/// Where completions stand below a prefix, as the shells look for them.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "share/bash-completion/completions/nix2image"),
    (
        Shell::Fish,
        "share/fish/vendor_completions.d/nix2image.fish",
    ),
    (Shell::Zsh, "share/zsh/site-functions/_nix2image"),
];

/// Where manual pages stand below a prefix.
const PAGES: &str = "share/man/man1";

/// Writes all of them below `prefix`.
pub(crate) fn write(prefix: &Path) -> io::Result<()> {
    let pages = prefix.join(PAGES);
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(Arguments::command(), pages)?;
    for (shell, path) in COMPLETIONS {
        let path = prefix.join(path);
        fs::create_dir_all(path.parent().unwrap_or(prefix))?;
        let mut file = File::create(path)?;
        clap_complete::generate(shell, &mut Arguments::command(), NAME, &mut file);
    }
    Ok(())
}
