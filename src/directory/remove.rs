//! Removing what stands at a name.

use rustix::fs::{AtFlags, Mode};

use super::{Directory, DirectoryError};
use crate::tree::Name;

impl Directory {
    /// Removes what stands at `name` with all that is in it, or nothing.
    pub fn remove(&self, name: &Name) -> Result<(), DirectoryError> {
        let Some(top) = self.removable_directory(name)? else {
            return Ok(());
        };
        let mut open = vec![top];
        while let Some(inner) = open.last_mut() {
            if let Some(name) = inner.left.pop() {
                let deeper = inner.directory.removable_directory(&name)?;
                open.extend(deeper);
                continue;
            }
            let name = inner.name.clone();
            open.pop();
            let parent = open.last().map_or(self, |outer| &outer.directory);
            parent.unlink(&name, AtFlags::REMOVEDIR)?;
        }
        Ok(())
    }

    /// Opens the directory at `name`, to remove what is in it; anything else is removed.
    fn removable_directory(&self, name: &Name) -> Result<Option<Removed>, DirectoryError> {
        let Some(found) = self.look(name)? else {
            return Ok(None);
        };
        if !found.is_directory() {
            self.unlink(name, AtFlags::empty())?;
            return Ok(None);
        }
        let path = self.path_of(name);
        if found.stat.st_dev != self.identity()?.0 {
            return Err(DirectoryError::Mounted { path });
        }
        if found.mode() & 0o700 != 0o700 {
            // Nix makes directories that their owner may not write.
            rustix::fs::chmodat(&self.file, name.as_bytes(), Mode::RWXU, AtFlags::empty())
                .map_err(DirectoryError::system("set the mode of", path))?;
        }
        let Some(directory) = self.enter(name)? else {
            return Ok(None);
        };
        Ok(Some(Removed {
            left: directory.names()?,
            directory,
            name: name.clone(),
        }))
    }

    fn unlink(&self, name: &Name, flags: AtFlags) -> Result<(), DirectoryError> {
        rustix::fs::unlinkat(&self.file, name.as_bytes(), flags)
            .map_err(DirectoryError::system("remove", self.path_of(name)))
    }
}

/// A directory that is being removed.
struct Removed {
    directory: Directory,
    /// Its name in the directory that is around it.
    name: Name,
    /// Names that are still in it.
    left: Vec<Name>,
}
