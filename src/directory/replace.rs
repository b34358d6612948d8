//! Putting a file or symlink in the place of another.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::{FileType, Mode, OFlags};

use super::handle::temporary_name;
use super::write::PIECE_BYTES;
use super::{Directory, DirectoryError, Found, Writing};
use crate::source::Source;
use crate::tree::{Kind, Name, Node, Tree};

impl Directory {
    /// Puts `node`, which is no directory, at `name`, in the place of what stands there,
    /// which is none either. At every moment either is there as a whole.
    pub fn replace(
        &self,
        name: &Name,
        node: &Node,
        writing: &Writing<'_>,
    ) -> Result<(), DirectoryError> {
        if let Some(found) = self.look(name)?.filter(Found::is_directory) {
            return Err(DirectoryError::InTheWay {
                path: self.path_of(name),
                found: found.kind(),
                wanted: node.kind.name(),
            });
        }
        let temporary = temporary_name();
        self.sweep()?;
        self.write_new(&temporary, &Tree::new(node.clone()), Tree::ROOT, writing)?;
        self.rename(&temporary, name)
    }

    /// Whether a symlink with the target of `node`, or a file with its content, stands at
    /// `name`, whatever its metadata. Of what is neither, nothing is the same.
    pub fn has_same(&self, name: &Name, node: &Node) -> Result<bool, DirectoryError> {
        match &node.kind {
            Kind::Symlink(target) => Ok(self.read_link(name)?.as_deref() == Some(target)),
            Kind::File(source) => self.has_content(name, source),
            _ => Ok(false),
        }
    }

    fn has_content(&self, name: &Name, source: &Source) -> Result<bool, DirectoryError> {
        let Some(found) = self.look(name)? else {
            return Ok(false);
        };
        let is_file = found.file_type() == FileType::RegularFile;
        if !is_file || u64::try_from(found.stat.st_size).ok() != Some(source.length) {
            return Ok(false);
        }
        let path = self.path_of(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = rustix::fs::openat(&self.file, name.as_bytes(), flags, Mode::empty())
            .map_err(DirectoryError::system("read", &path))?
            .into();
        let mut here = vec![0; PIECE_BYTES];
        let mut there = here.clone();
        let mut start = 0;
        while start < source.length {
            let length = source.length - start;
            let length = usize::try_from(length).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
            let (here, there) = (&mut here[..length], &mut there[..length]);
            source.read_at(start, there)?;
            file.read_exact_at(here, start)
                .map_err(|source| DirectoryError::System {
                    action: "read",
                    path: path.clone(),
                    source,
                })?;
            if here != there {
                return Ok(false);
            }
            start += length as u64;
        }
        Ok(true)
    }
}
