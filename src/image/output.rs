//! The output: a file that appears at its path only when it is complete.
//!
//! Until then it is an unnamed file in the directory that will hold it, which the
//! kernel drops with its last descriptor, whatever becomes of the process. Where the
//! system has no such files it is a temporary file, removed when the value is dropped.
//! Nothing is synced to the disk: that is for Nix to decide.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

/// A file on its way to its path. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct PendingOutput {
    path: PathBuf,
    /// The directory of `path`.
    parent: PathBuf,
    state: State,
}

/// A directory of small files on its way to its path. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct PendingDirectory {
    path: PathBuf,
    /// The directory of `path`.
    parent: PathBuf,
}

/// A directory that is at its path. Dropped, it goes again: for one that is there only if
/// something else comes to be.
#[derive(Debug)]
#[must_use]
pub struct AppearedDirectory {
    /// Where it is; none if it stays.
    path: Option<PathBuf>,
}

#[derive(Debug)]
enum State {
    Unnamed(File),
    Named(NamedTempFile),
}

/// Why an output could not be made.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something is there.
    #[error("{} is there already; remove it or choose another output", path.display())]
    Exists {
        /// Where the output should go.
        path: PathBuf,
    },
    /// A path that names no file in a directory.
    #[error("the output {} names no file; give the path of one, in a directory that is there", path.display())]
    NoFile {
        /// Where the output should go.
        path: PathBuf,
    },
    /// The system does not let it.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

impl PendingOutput {
    /// Begins a file, new and empty, to be read and written, whose path will be `path`.
    pub fn begin(path: &Path) -> Result<Self, OutputError> {
        Self::begin_with(path, unnamed::create)
    }

    /// Begins a file in the way of `create_unnamed`, and if that has none in a portable way.
    fn begin_with(
        path: &Path,
        create_unnamed: impl FnOnce(&Path) -> Option<File>,
    ) -> Result<Self, OutputError> {
        let parent = parent(path)?;
        refuse_existing(path)?;
        let state = match create_unnamed(parent) {
            Some(file) => State::Unnamed(file),
            None => State::Named(
                NamedTempFile::new_in(parent)
                    .map_err(OutputError::io("create a temporary file in", parent))?,
            ),
        };
        let output = Self {
            path: path.into(),
            parent: parent.into(),
            state,
        };
        // Whatever the umask is.
        output
            .file()
            .set_permissions(Permissions::from_mode(FILE_MODE))
            .map_err(OutputError::io("set the mode of the file for", path))?;
        Ok(output)
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        match &self.state {
            State::Unnamed(file) => file,
            State::Named(file) => file.as_file(),
        }
    }

    /// The directory that will hold the output, where there is room for it.
    #[must_use]
    pub fn parent(&self) -> &Path {
        &self.parent
    }

    /// Lets the file appear at its path.
    pub fn finish(self) -> Result<(), OutputError> {
        self.state.name(&self.path)
    }

    /// Lets a directory appear at the path instead: the file is in it at `file_path`, and
    /// beside it stand `others`, paths and contents. The directories of all these are
    /// made.
    pub fn finish_in_directory(
        self,
        file_path: &str,
        others: &[(&str, Vec<u8>)],
    ) -> Result<(), OutputError> {
        let directory = new_directory(&self.parent)?;
        make_parents(directory.path(), file_path)?;
        self.state.name(&directory.path().join(file_path))?;
        fill(&directory, others)?;
        appear(directory, &self.path)
    }
}

impl PendingDirectory {
    /// Begins a directory whose path will be `path`.
    pub fn begin(path: &Path) -> Result<Self, OutputError> {
        let parent = parent(path)?;
        refuse_existing(path)?;
        Ok(Self {
            path: path.into(),
            parent: parent.into(),
        })
    }

    /// Lets the directory appear, with `files` in it, paths and contents. It is gone again
    /// unless what is returned is [kept](AppearedDirectory::keep).
    pub fn finish(self, files: &[(&str, Vec<u8>)]) -> Result<AppearedDirectory, OutputError> {
        let directory = new_directory(&self.parent)?;
        fill(&directory, files)?;
        appear(directory, &self.path)?;
        Ok(AppearedDirectory {
            path: Some(self.path),
        })
    }
}

impl AppearedDirectory {
    /// Lets it stay.
    pub fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for AppearedDirectory {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The failure that led here is the one to be told of.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// The directory in which `path` names a file.
fn parent(path: &Path) -> Result<&Path, OutputError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(_)) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        (Some(parent), Some(_)) => Ok(parent),
        _ => Err(OutputError::NoFile { path: path.into() }),
    }
}

fn new_directory(parent: &Path) -> Result<TempDir, OutputError> {
    TempDir::new_in(parent).map_err(OutputError::io("create a temporary directory in", parent))
}

/// Writes `files`, paths and contents, and makes their directories.
fn fill(directory: &TempDir, files: &[(&str, Vec<u8>)]) -> Result<(), OutputError> {
    for (name, content) in files {
        make_parents(directory.path(), name)?;
        let path = directory.path().join(name);
        write_new(&path, content).map_err(OutputError::io("write", &path))?;
    }
    Ok(())
}

/// Lets a finished directory appear at `path`.
fn appear(directory: TempDir, path: &Path) -> Result<(), OutputError> {
    fs::set_permissions(directory.path(), Permissions::from_mode(DIRECTORY_MODE))
        .map_err(OutputError::io("set the mode of", directory.path()))?;
    // A directory may be renamed to an empty one.
    refuse_existing(path)?;
    fs::rename(directory.path(), path)
        .map_err(OutputError::io("rename the finished directory to", path))?;
    // It is no temporary directory any more.
    let _ = directory.keep();
    Ok(())
}

impl State {
    fn name(self, path: &Path) -> Result<(), OutputError> {
        match self {
            Self::Unnamed(file) => unnamed::link(&file, path),
            Self::Named(file) => file
                .persist_noclobber(path)
                .map(drop)
                .map_err(|error| error.error),
        }
        .map_err(OutputError::io("link the finished file to", path))
    }
}

impl OutputError {
    /// What becomes of the system's reason when `action` fails on `path`.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

fn refuse_existing(path: &Path) -> Result<(), OutputError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(OutputError::Exists { path: path.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(OutputError::io("look for", path)(source)),
    }
}

/// Makes the directories that `path` leads through, below `top`, which is there.
fn make_parents(top: &Path, path: &str) -> Result<(), OutputError> {
    let Some(parents) = Path::new(path).parent() else {
        return Ok(());
    };
    let mut directory = top.to_owned();
    for name in parents {
        directory.push(name);
        match fs::create_dir(&directory) {
            // Whatever the umask is.
            Ok(()) => fs::set_permissions(&directory, Permissions::from_mode(DIRECTORY_MODE)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
        .map_err(OutputError::io("make the directory", &directory))?;
    }
    Ok(())
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(content)
}

/// Files that have no name yet.
#[cfg(target_os = "linux")]
mod unnamed {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};

    use rustix::fs::{AtFlags, CWD, Mode, OFlags};

    /// A file in `directory` that [`link`] can name. None if the kernel, the filesystem
    /// or a missing `/proc` does not let it, for whatever reason.
    pub(super) fn create(directory: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR).ok()?);
        descriptor_path(&file).symlink_metadata().ok()?;
        Some(file)
    }

    /// Gives `file` the name `path`, which must be free.
    pub(super) fn link(file: &File, path: &Path) -> io::Result<()> {
        let from = descriptor_path(file);
        Ok(rustix::fs::linkat(
            CWD,
            &from,
            CWD,
            path,
            AtFlags::SYMLINK_FOLLOW,
        )?)
    }

    /// The link that stands for an open file: open(2) names a file in this way.
    fn descriptor_path(file: &File) -> PathBuf {
        format!("/proc/self/fd/{}", file.as_raw_fd()).into()
    }
}

/// Files that have no name yet are Linux's own.
#[cfg(not(target_os = "linux"))]
mod unnamed {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn create(_directory: &Path) -> Option<File> {
        None
    }

    pub(super) fn link(_file: &File, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Begin = fn(&Path) -> PendingOutput;

    /// Both ways, each with a directory of its own.
    fn ways() -> [(TempDir, Begin); 2] {
        [
            |path: &Path| {
                let output = PendingOutput::begin(path).unwrap();
                assert!(
                    matches!(output.state, State::Unnamed(_)),
                    "the tests need a filesystem with O_TMPFILE at $TMPDIR"
                );
                output
            },
            |path: &Path| PendingOutput::begin_with(path, |_| None).unwrap(),
        ]
        .map(|begin: Begin| (TempDir::new().unwrap(), begin))
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_appears_when_it_is_finished() {
        for (directory, begin) in ways() {
            let path = directory.path().join("out");
            let output = begin(&path);
            output.file().write_all(b"image").unwrap();
            assert!(!path.exists());
            output.finish().unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"image");
            assert_eq!(mode(&path), 0o644);
            assert_eq!(names(directory.path()), ["out"]);
        }
    }

    #[test]
    fn a_directory_appears_when_it_is_finished() {
        for (directory, begin) in ways() {
            let path = directory.path().join("out");
            let output = begin(&path);
            output.file().write_all(b"image").unwrap();
            output
                .finish_in_directory(
                    "images/nixos.img",
                    &[("beside", b"text".into()), ("images/size", b"5".into())],
                )
                .unwrap();
            assert_eq!(names(directory.path()), ["out"]);
            assert_eq!(names(&path), ["beside", "images"]);
            assert_eq!(names(&path.join("images")), ["nixos.img", "size"]);
            assert_eq!(mode(&path.join("images")), 0o755);
            assert_eq!(fs::read(path.join("images/nixos.img")).unwrap(), b"image");
            assert_eq!(fs::read(path.join("beside")).unwrap(), b"text");
            assert_eq!(mode(&path), 0o755);
            assert_eq!(mode(&path.join("images/nixos.img")), 0o644);
            assert_eq!(mode(&path.join("beside")), 0o644);
        }
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        for (directory, begin) in ways() {
            let output = begin(&directory.path().join("out"));
            output.file().write_all(b"image").unwrap();
            drop(output);
            assert!(names(directory.path()).is_empty());
        }
    }

    #[test]
    fn a_directory_that_cannot_be_finished_leaves_nothing() {
        for (directory, begin) in ways() {
            let output = begin(&directory.path().join("out"));
            let same_name = output.finish_in_directory("image", &[("image", Vec::new())]);
            assert!(same_name.is_err());
            assert!(names(directory.path()).is_empty());
        }
    }

    #[test]
    fn what_is_there_already_is_refused_before_the_work() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("out");
        std::os::unix::fs::symlink("/nowhere", &path).unwrap();
        let error = PendingOutput::begin(&path).unwrap_err();
        assert!(matches!(error, OutputError::Exists { .. }));
    }

    #[test]
    fn what_appears_in_the_meantime_is_kept() {
        for (directory, begin) in ways() {
            let path = directory.path().join("out");
            for finish in [PendingOutput::finish, |output: PendingOutput| {
                output.finish_in_directory("image", &[])
            }] {
                let output = begin(&path);
                fs::create_dir(&path).unwrap();
                assert!(finish(output).is_err());
                assert!(names(&path).is_empty());
                assert_eq!(names(directory.path()), ["out"]);
                fs::remove_dir(&path).unwrap();
            }
        }
    }

    #[test]
    fn a_second_directory_stays_only_if_it_is_kept() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("report");
        for keep in [false, true] {
            let pending = PendingDirectory::begin(&path).unwrap();
            assert!(names(directory.path()).is_empty());
            let files = [("a", b"text".to_vec()), ("b/c", b"more".to_vec())];
            let appeared = pending.finish(&files).unwrap();
            assert_eq!(names(directory.path()), ["report"]);
            assert_eq!(names(&path), ["a", "b"]);
            assert_eq!(fs::read(path.join("b/c")).unwrap(), b"more");
            assert_eq!(mode(&path), 0o755);
            if keep {
                appeared.keep();
            } else {
                drop(appeared);
            }
            assert_eq!(path.exists(), keep);
        }
        let error = PendingDirectory::begin(&path).unwrap_err();
        assert!(matches!(error, OutputError::Exists { .. }));
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = PendingOutput::begin(Path::new("/does/not/exist/out")).unwrap_err();
        assert!(error.to_string().contains("/does/not/exist"), "{error}");
    }
}
