//! What came of a build, in a few lines.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::DecimalBytes;

use crate::ext4::Usage;

/// What has been made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Store paths in the image.
    pub store_paths: usize,
    /// Files of all types in the image.
    pub files: usize,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// Bytes of the output; fewer, if the image is compressed.
    pub output_bytes: u64,
    /// What the ext4 filesystem with the closure has, if there is one.
    pub usage: Option<Usage>,
    /// What the bytes of the image are.
    pub composition: Composition,
    /// What was compared with the hashes that Nix knows.
    pub verified: Verified,
}

/// What the bytes of an image are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Composition {
    /// Contents of files.
    pub contents: u64,
    /// Behind contents, to the ends of their blocks.
    pub slack: u64,
    /// Of filesystems and tables.
    pub metadata: u64,
    /// Written for what is used later: a journal, say.
    pub zeros: u64,
    /// Not written: free, and zero.
    pub holes: u64,
}

/// What was compared with the hashes that Nix knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The store paths, while they were copied.
    pub sources: bool,
    /// The store paths, as they stand in the image.
    pub image: bool,
}

impl Summary {
    /// Lines for a person, of work that took `time`.
    pub(super) fn in_lines(&self, time: Duration) -> String {
        let mut lines = String::new();
        let mut say = |line: String| {
            // A string takes all that is written to it.
            let _ = writeln!(lines, "nix2image: {line}");
        };
        let compressed = match self.output_bytes {
            bytes if bytes == self.image_bytes => String::new(),
            bytes => format!(", {bytes} in its container"),
        };
        say(format!(
            "{} store paths, {} files, an image of {} bytes{compressed}, in {:.1} s",
            self.store_paths,
            self.files,
            self.image_bytes,
            time.as_secs_f64()
        ));
        if let Some(usage) = &self.usage {
            say(format!(
                "free: {} of {} blocks of 4 KiB, {} of {} inodes",
                usage.free_blocks, usage.blocks, usage.free_inodes, usage.inodes
            ));
        }
        say(format!("bytes: {}", self.composition.in_words()));
        say(format!("verified: {}", self.verified.in_words()));
        lines
    }
}

impl Composition {
    fn in_words(&self) -> String {
        let parts = [
            ("contents", self.contents),
            ("slack behind them", self.slack),
            ("metadata", self.metadata),
            ("zeros for later", self.zeros),
            ("holes", self.holes),
        ];
        let parts = parts.into_iter().filter(|(_, bytes)| *bytes > 0);
        let parts: Vec<_> = parts
            .map(|(name, bytes)| format!("{} {name}", DecimalBytes(bytes)))
            .collect();
        parts.join(", ")
    }
}

impl Verified {
    fn in_words(self) -> &'static str {
        match (self.sources, self.image) {
            (true, true) => "all store paths, while they were copied and in the image",
            (true, false) => "all store paths, while they were copied",
            (false, true) => "all store paths, in the image",
            (false, false) => "nothing (verify = true and selfCheck = true do)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            store_paths: 2,
            files: 30,
            image_bytes: 10_240,
            output_bytes: 10_240,
            usage: Some(Usage {
                blocks: 2,
                free_blocks: 1,
                inodes: 16,
                free_inodes: 3,
            }),
            composition: Composition {
                contents: 5000,
                slack: 3192,
                metadata: 2048,
                ..Composition::default()
            },
            verified: Verified::default(),
        }
    }

    #[test]
    fn a_summary_says_sizes_what_is_free_what_the_bytes_are_and_what_was_verified() {
        assert_eq!(
            summary().in_lines(Duration::from_millis(1250)),
            "nix2image: 2 store paths, 30 files, an image of 10240 bytes, in 1.2 s\n\
             nix2image: free: 1 of 2 blocks of 4 KiB, 3 of 16 inodes\n\
             nix2image: bytes: 5.00 kB contents, 3.19 kB slack behind them, 2.05 kB metadata\n\
             nix2image: verified: nothing (verify = true and selfCheck = true do)\n"
        );
    }

    #[test]
    fn what_there_is_not_is_not_said() {
        let summary = Summary {
            output_bytes: 100,
            usage: None,
            verified: Verified {
                sources: true,
                image: true,
            },
            ..summary()
        };
        let lines = summary.in_lines(Duration::from_secs(61));
        assert_eq!(lines.lines().count(), 3);
        assert!(lines.contains("10240 bytes, 100 in its container, in 61.0 s\n"));
        assert!(lines.ends_with("while they were copied and in the image\n"));
    }
}
