//! What a person sees of a build: its phases, and sizes at the end.

use std::fmt;
use std::io::{self, Write};

use serde_json::json;

/// A reporter, to standard error.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Says phases in the form that Nix reads from a builder, and the rest as text.
    Nix,
    /// Says nothing.
    Silent,
}

/// What has been made.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Store paths in the image.
    pub store_paths: usize,
    /// Files of all types in the image.
    pub files: usize,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// Bytes of the output; fewer, if the image is compressed.
    pub output_bytes: u64,
}

impl Progress {
    /// A phase begins.
    pub fn phase(self, name: &str) {
        self.say(&phase_line(name));
    }

    /// The output is there.
    pub fn done(self, summary: &Summary) {
        self.say(&summary.to_string());
    }

    fn say(self, line: &str) {
        match self {
            // A build need not fail because nobody listens.
            Self::Nix => drop(writeln!(io::stderr(), "{line}")),
            Self::Silent => {}
        }
    }
}

/// A line that shows `name` as the build's phase in the progress bar of `nix build`.
fn phase_line(name: &str) -> String {
    format!("@nix {}", json!({ "action": "setPhase", "phase": name }))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nix2image: {} store paths, {} files, an image of {} bytes",
            self.store_paths, self.files, self.image_bytes
        )?;
        if self.output_bytes != self.image_bytes {
            write!(f, ", compressed to {}", self.output_bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_said_as_nix_reads_it() {
        assert_eq!(
            phase_line("scanning"),
            r#"@nix {"action":"setPhase","phase":"scanning"}"#
        );
    }

    #[test]
    fn the_summary_has_the_compressed_size_where_there_is_one() {
        let mut summary = Summary {
            store_paths: 2,
            files: 30,
            image_bytes: 4096,
            output_bytes: 4096,
        };
        let plain = "nix2image: 2 store paths, 30 files, an image of 4096 bytes";
        assert_eq!(summary.to_string(), plain);
        summary.output_bytes = 100;
        assert_eq!(summary.to_string(), format!("{plain}, compressed to 100"));
    }
}
