//! How what was found is shown to a person. JSON is in `json.rs`.

use std::fmt;

use super::container::Container;
use super::ext4::Ext4Facts;
use super::fat::FatFacts;
use super::files::{Entry, EntryKind};
use super::filesystem::Filesystem;
use super::table::{GptCopies, Partition, Table, TableKind};
use super::{Image, Part};

/// Bytes as text of one line: what is UTF-8 and no control character as it is, all else, and
/// the backslash, with a backslash before it.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str(r"\\")?,
                    '\n' => f.write_str(r"\n")?,
                    '\t' => f.write_str(r"\t")?,
                    character if character.is_control() => {
                        let mut bytes = [0; 4];
                        escape(character.encode_utf8(&mut bytes).as_bytes(), f)?;
                    }
                    character => write!(f, "{character}")?,
                }
            }
            escape(chunk.invalid(), f)?;
        }
        Ok(())
    }
}

fn escape(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, r"\x{byte:02x}"))
}

/// A number of bytes, as `1.5 GiB (1610612736 bytes)`.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let exact = self.0;
        // Tenths, rounded down.
        let mut tenths = u128::from(exact) * 10;
        let mut unit = None;
        for name in UNITS {
            if tenths < 10240 {
                break;
            }
            tenths /= 1024;
            unit = Some(name);
        }
        match unit {
            None => write!(f, "{exact} bytes"),
            Some(unit) => write!(f, "{}.{} {unit} ({exact} bytes)", tenths / 10, tenths % 10),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Escaped(self.path().as_os_str().as_encoded_bytes());
        writeln!(f, "file       {path}")?;
        let allocated = Bytes(self.allocated_bytes());
        writeln!(
            f,
            "           {}, of which the host keeps {allocated}",
            Bytes(self.bytes())
        )?;
        writeln!(f, "container  {}", self.container())?;
        writeln!(f, "disk       {}", Bytes(self.disk_bytes()))?;
        if let Some(table) = self.table() {
            writeln!(f, "table      {table}")?;
        }
        self.parts().iter().try_for_each(|part| write!(f, "{part}"))
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Zstd => f.write_str("zstd"),
            Self::Qcow2 {
                version,
                cluster_bytes,
                compressed,
            } => {
                let with = if *compressed { ", compressed" } else { "" };
                write!(
                    f,
                    "qcow2, version {version}{with}, clusters of {}",
                    Bytes(*cluster_bytes)
                )
            }
            Self::VhdFixed { identity } => write!(f, "VHD, fixed, {}", uuid(identity)),
            Self::VhdDynamic {
                block_bytes,
                identity,
            } => {
                let identity = uuid(identity);
                write!(
                    f,
                    "VHD, dynamic, blocks of {}, {identity}",
                    Bytes(*block_bytes)
                )
            }
        }
    }
}

/// 16 bytes as a UUID.
pub(super) fn uuid(bytes: &[u8; 16]) -> String {
    ext4_view::Uuid::new(*bytes).to_string()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            TableKind::Mbr => "MBR",
            TableKind::Gpt { .. } => "GPT",
        };
        write!(
            f,
            "{name} {}, sectors of {} bytes",
            self.identity, self.sector_bytes
        )?;
        match self.kind {
            TableKind::Mbr
            | TableKind::Gpt {
                copies: GptCopies::Both,
            } => Ok(()),
            TableKind::Gpt {
                copies: GptCopies::FirstAlone,
            } => f.write_str("; the copy at its end is damaged"),
            TableKind::Gpt {
                copies: GptCopies::LastAlone,
            } => f.write_str("; its first copy is damaged, and this is the one at its end"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(partition) = &self.partition {
            writeln!(f, "\npartition  {partition}")?;
        } else {
            writeln!(f)?;
        }
        match &self.filesystem {
            None => writeln!(f, "           no filesystem that is known here"),
            Some(Filesystem::Other(name)) => writeln!(f, "           {name}, not read here"),
            Some(Filesystem::Ext4(facts)) => write!(f, "{facts}"),
            Some(Filesystem::Fat(facts)) => write!(f, "{facts}"),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        if !self.name.is_empty() {
            write!(f, " {:?}", self.name)?;
        }
        let kind = self.kind_name.unwrap_or("type");
        writeln!(f, ", {kind} {}", self.kind)?;
        let bootable = if self.bootable { ", bootable" } else { "" };
        writeln!(f, "           identity {}{bootable}", self.identity)?;
        write!(
            f,
            "           {} from byte {} on",
            Bytes(self.size),
            self.start
        )
    }
}

impl fmt::Display for Ext4Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, label) = (self.kind(), Escaped(&self.label));
        writeln!(f, "{kind:<10} label \"{label}\", UUID {}", self.uuid)?;
        let free = Bytes(self.free_bytes());
        let (blocks, size) = (self.blocks, self.block_bytes);
        writeln!(
            f,
            "           {blocks} blocks of {size} bytes, {} free, {free}",
            self.free_blocks
        )?;
        writeln!(
            f,
            "           {} inodes, {} free",
            self.inodes, self.free_inodes
        )?;
        match self.journal_bytes {
            None => writeln!(f, "           no journal")?,
            Some(bytes) => writeln!(f, "           journal of {}", Bytes(bytes))?,
        }
        writeln!(f, "           features {}", self.features.join(" "))
    }
}

impl fmt::Display for FatFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = Escaped(self.label.as_bytes());
        writeln!(
            f,
            "{:<10} label \"{label}\", serial number {}",
            self.kind(),
            self.serial
        )?;
        let free = Bytes(self.free_bytes());
        let (clusters, size) = (self.clusters, self.cluster_bytes);
        writeln!(
            f,
            "           {clusters} clusters of {size} bytes, {} free, {free}",
            self.free_clusters
        )
    }
}

/// Files as `ls` shows them, each in its line: type, mode, owner, size, name, target.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a>(pub &'a [Entry]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |shown: &dyn Fn(&Entry) -> String| {
            let widths = self.0.iter().map(|entry| shown(entry).len());
            widths.max().unwrap_or_default()
        };
        let owners = width(&owner);
        let sizes = width(&|entry| entry.size.to_string());
        for entry in self.0 {
            let mode = entry
                .unix
                .map_or("-".to_owned(), |unix| format!("{:04o}", unix.mode));
            let (letter, owner, size) = (entry.kind.letter(), owner(entry), entry.size);
            let name = Escaped(&entry.name);
            write!(f, "{letter} {mode} {owner:<owners$} {size:>sizes$} {name}")?;
            match &entry.target {
                None => writeln!(f)?,
                Some(target) => writeln!(f, " -> {}", Escaped(target))?,
            }
        }
        Ok(())
    }
}

fn owner(entry: &Entry) -> String {
    let owner = entry.unix.map(|unix| format!("{}:{}", unix.uid, unix.gid));
    owner.unwrap_or("-".to_owned())
}

impl EntryKind {
    /// The letter of `ls -l`.
    fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Directory => 'd',
            Self::Symlink => 'l',
            Self::CharacterDevice => 'c',
            Self::BlockDevice => 'b',
            Self::Fifo => 'p',
            Self::Socket => 's',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line_and_tell_all_their_bytes() {
        let shown = |bytes: &[u8]| Escaped(bytes).to_string();
        assert_eq!(shown("a é".as_bytes()), "a é");
        assert_eq!(shown(b"a\n\t\\\x1b\x7f"), r"a\n\t\\\x1b\x7f");
        assert_eq!(shown(b"\xff\xfeb\xc3"), r"\xff\xfeb\xc3");
        assert_eq!(shown("\u{85}".as_bytes()), r"\xc2\x85");
    }

    #[test]
    fn bytes_are_told_in_units_and_exactly() {
        assert_eq!(Bytes(0).to_string(), "0 bytes");
        assert_eq!(Bytes(1023).to_string(), "1023 bytes");
        assert_eq!(Bytes(1024).to_string(), "1.0 KiB (1024 bytes)");
        assert_eq!(Bytes(3 << 29).to_string(), "1.5 GiB (1610612736 bytes)");
        assert!(Bytes(u64::MAX).to_string().starts_with("15.9 EiB"));
    }
}
