//! The whole way, from what is wanted to the output.

use std::{io, mem};

use crate::image::{Interrupt, OutputError, PendingOutput, WriteError};
use crate::progress::{Progress, Summary};
use crate::root::{ContentsError, RootError};
use crate::self_check::SelfCheckError;
use crate::source::ReadError;
use crate::spec::{Compression, Spec};
use crate::store::{Closure, ClosureError, ScanError};
use crate::{ext4, image, root, self_check, sparse, store};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The graphs make no closure.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// A store path could not be scanned.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// An item of the contents could not be used.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// Closure and contents do not fit together.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A large file could not be read for its zeros.
    #[error(transparent)]
    Sparse(#[from] ReadError),
    /// The filesystem cannot hold it.
    #[error(transparent)]
    Layout(#[from] ext4::LayoutError),
    /// The image could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The image was written and is not right.
    #[error(transparent)]
    SelfCheck(#[from] SelfCheckError),
    /// The image could not become the output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The image's file does not tell its size.
    #[error("cannot tell the size of the image")]
    Size(#[source] io::Error),
}

impl BuildError {
    /// Whether another request is needed, for this one can never be built.
    #[must_use]
    pub fn is_of_the_request(&self) -> bool {
        match self {
            Self::Closure(_) | Self::Root(_) | Self::Layout(_) => true,
            Self::Contents(error) => matches!(
                error,
                ContentsError::NotInStore { .. } | ContentsError::Missing { .. }
            ),
            _ => false,
        }
    }
}

/// Makes the image that `spec` asks for. On an error, an interrupt too, nothing is at
/// the output's path.
pub fn build(spec: Spec, interrupt: &Interrupt, progress: Progress) -> Result<(), BuildError> {
    let begin = |phase| {
        interrupt.check()?;
        progress.phase(phase);
        Ok::<_, WriteError>(())
    };
    let output = PendingOutput::begin(&spec.output.path)?;
    let closure = Closure::from_graphs(spec.graphs)?;
    let registration = store::registration(&closure);

    begin("scanning")?;
    let contents = root::place(&spec.contents, spec.time)?;
    let scanned = store::scan_closure(&closure, spec.time)?;
    let in_image = spec.registration.then(|| registration.clone());
    let mut tree = root::tree(None, scanned, contents, in_image, spec.time)?;
    if spec.sparse {
        sparse::find_data(&mut tree)?;
    }
    let files = tree.len();
    let pieces = ext4::lay_out(tree, &spec.ext4)?;

    begin("writing")?;
    match spec.compression {
        Compression::None => image::write(&pieces, output.file(), interrupt)?,
        Compression::Zstd { level } => {
            image::write_zstd(&pieces, output.file(), level, interrupt)?;
        }
    }

    let image_bytes = pieces.size();
    // The process ends soon, and its memory with it: to free a tree of many files node by
    // node would take longer.
    mem::forget(pieces);

    if spec.self_check {
        begin("checking")?;
        self_check::check(&closure, &output, spec.compression, interrupt)?;
    }

    interrupt.check()?;
    let summary = Summary {
        store_paths: closure.paths().len(),
        files,
        image_bytes,
        output_bytes: output.file().metadata().map_err(BuildError::Size)?.len(),
    };
    match &spec.output.image_name {
        None => output.finish()?,
        Some(name) => {
            output.finish_in_directory(name, &[(store::REGISTRATION_NAME, &registration)])?;
        }
    }
    progress.done(&summary);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::spec::Output;
    use crate::store::{Graph, NarHash, StorePath, ValidPath};
    use crate::tree::Timestamp;

    /// An image of nothing, at `path`.
    fn spec(path: &Path) -> Spec {
        let uuid = ext4::Uuid([7; 16]);
        Spec {
            output: Output {
                path: path.into(),
                image_name: None,
            },
            graphs: Vec::new(),
            contents: Vec::new(),
            registration: true,
            time: Timestamp::from_seconds(1),
            ext4: ext4::Options {
                free_bytes: 0,
                free_inodes: 0,
                ..ext4::Options::new(uuid)
            },
            sparse: false,
            compression: Compression::None,
            self_check: true,
        }
    }

    fn is_empty(directory: &Path) -> bool {
        fs::read_dir(directory).unwrap().next().is_none()
    }

    fn store_path(name: &str) -> StorePath {
        let hash = "0".repeat(StorePath::HASH_LENGTH);
        StorePath::from_base_name(&format!("{hash}-{name}")).unwrap()
    }

    #[test]
    fn a_closure_that_is_none_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut spec = spec(&directory.path().join("out"));
        spec.graphs.push(Graph {
            name: "closure".into(),
            paths: vec![ValidPath {
                path: store_path("a"),
                nar_hash: NarHash([0; 32]),
                nar_size: 0,
                references: vec![store_path("b")],
                ca: None,
            }],
        });
        let error = build(spec, &Interrupt::default(), Progress::Silent).unwrap_err();
        assert!(matches!(error, BuildError::Closure(_)));
        assert!(is_empty(directory.path()));
    }

    #[test]
    fn an_interrupt_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        interrupt.0.store(true, Ordering::Relaxed);
        let spec = spec(&directory.path().join("out"));
        let error = build(spec, &interrupt, Progress::Silent).unwrap_err();
        assert!(matches!(error, BuildError::Write(WriteError::Interrupted)));
        assert!(is_empty(directory.path()));
    }
}
