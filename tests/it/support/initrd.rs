//! The first files of a Linux machine: a cpio archive of the kind `newc`.
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>

use std::fmt::Write as _;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// An archive that grows.
#[derive(Debug, Default)]
pub(crate) struct Initrd {
    bytes: Vec<u8>,
    entries: u32,
}

impl Initrd {
    /// Adds a directory, after that which it is in.
    pub(crate) fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file, which may be run, after the directory that it is in.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        self.entry(path, PROGRAM, content);
    }

    /// The archive, with its end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let length = |bytes: usize| u32::try_from(bytes).expect("small files and names");
        let [user, group, time, device, checksum] = [0; 5];
        let mut header = "070701".to_owned();
        for field in [
            self.entries,
            mode,
            user,
            group,
            1, // link
            time,
            length(content.len()),
            device,
            device,
            device,
            device,
            length(path.len() + 1),
            checksum,
        ] {
            write!(header, "{field:08X}").expect("a string takes all");
        }
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}
