//! The whole way, from what is wanted to the output.

mod report;
mod room;
mod summary;
mod volumes;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{io, mem};

use ring::digest;

use crate::boot::{self, BootError};
use crate::deduplicate::deduplicate;
use crate::disk::{DiskError, PartitionLabel};
use crate::fat::FatError;
use crate::image::{Contained, ContainerError, Identity, OutputError, PendingOutput, WriteError};
use crate::job::Job;
use crate::progress::{Progress, Summary, Verified};
use crate::records::Records;
use crate::root::{ContentsError, GlobError, NixosRoot, Profile, RootError};
use crate::self_check::SelfCheckError;
use crate::source::ReadError;
use crate::spec::{ContentItem, Output, OutputDirectory, RootSpec, Spec};
use crate::store::{
    Closure, DatabaseError, GatherError, NarWatch, ScanError, ValidPath, WatchError,
};
use crate::tar::TarError;
use crate::tree::Timestamp;
use crate::{ext4, root, self_check, sparse, store};
use report::PendingReport;
pub use room::NoRoom;
use volumes::{LaidOut, Volumes};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// What was given makes no closure.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// A store path could not be scanned.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// An item of the contents could not be used.
    #[error(transparent)]
    Contents(#[from] ContentsError),
    /// What a boot loader needs could not be made.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A store path is not what an input says of it, or could not be read.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The store's database could not be made.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Closure and contents do not fit together.
    #[error(transparent)]
    Root(#[from] RootError),
    /// A file could not be read before it is copied.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What shall stand in a FAT filesystem does not go together.
    #[error("{at}")]
    FatRoot {
        /// The attribute.
        at: String,
        /// The reason.
        source: RootError,
    },
    /// The filesystem cannot hold it.
    #[error(transparent)]
    Layout(#[from] ext4::LayoutError),
    /// A FAT filesystem cannot hold what it shall.
    #[error(transparent)]
    Fat(#[from] FatError),
    /// There can be no such disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A partition cannot hold what it shall.
    #[error("the content of {partition} cannot be laid out")]
    Partition {
        /// The partition.
        partition: PartitionLabel,
        /// Why not.
        #[source]
        source: Box<BuildError>,
    },
    /// A tar archive cannot hold it.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The container cannot hold it.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The image could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is no room for the image.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
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
            Self::Root(_)
            | Self::FatRoot { .. }
            | Self::Fat(_)
            | Self::Layout(_)
            | Self::Tar(_)
            | Self::Disk(_)
            | Self::Container(_) => true,
            Self::Partition { source, .. } => source.is_of_the_request(),
            Self::Gather(error) => error.is_of_the_request(),
            Self::Boot(error) => error.is_of_the_request(),
            Self::Output(error) => matches!(error, OutputError::NoFile { .. }),
            Self::Contents(error) => matches!(
                error,
                ContentsError::NotInStore { .. }
                    | ContentsError::Scan {
                        source: ScanError::LeadsOut { .. },
                        ..
                    }
                    | ContentsError::Missing { .. }
                    | ContentsError::NoMatch { .. }
                    | ContentsError::GlobOfArchives { .. }
                    | ContentsError::NoFile { .. }
                    | ContentsError::Glob {
                        source: GlobError::Pattern { .. },
                        ..
                    }
            ),
            _ => false,
        }
    }
}

/// Names that `deduplicate` gives a file: one is left for the name in `/nix/store/.links` that
/// Nix gives it when it optimises the store, and without which it fails.
const MOST_NAMES: u32 = ext4::MAX_LINKS - 1;

/// Makes the image that `spec` asks for. On an error, and if the job is stopped, nothing is at
/// the output's path.
pub fn build(spec: Spec, job: &Job, progress: Progress) -> Result<(), BuildError> {
    let begin = |phase| {
        job.check()?;
        progress.phase(phase);
        Ok::<_, WriteError>(())
    };
    let output = PendingOutput::begin(&spec.output.path)?;
    let mut report = PendingReport::begin(&spec)?;

    begin("gathering")?;
    let closure = store::gather(spec.inputs, spec.time, job.stop_flag())?;

    begin("scanning")?;
    let mut contents = root::place("nix2image.contents", &spec.contents, spec.time)?;
    let mut scanned = store::scan_closure(&closure, spec.time, job.stop_flag())?;
    job.check().map_err(WriteError::from)?;
    for files in &spec.boot_files {
        contents.push(boot::place(files, &scanned, spec.time)?);
    }
    let volumes = Volumes::find(spec.kind, &scanned)?;
    let mut watch = NarWatch::new(&closure, &mut scanned, spec.verify);
    let is_final = NarWatch::is_known_before(&closure);
    let mut records = Records::new(watch.draft(&closure), is_final);
    let nixos = match &spec.root {
        None => None,
        Some(root) => Some(nixos(root, &mut records, spec.time)?),
    };
    let registration = if spec.registration {
        Some(records.registration()?)
    } else {
        None
    };
    let mut tree = if spec.only_store {
        root::store_tree(scanned, spec.time)
    } else {
        root::tree(nixos.as_ref(), scanned, contents, registration, spec.time)?
    };
    if spec.deduplicate {
        begin("deduplicating")?;
        let paths = closure.paths().map(|path| &path.path);
        let store_paths = root::store_paths(&tree, paths, spec.only_store);
        let equal = deduplicate(&mut tree, &store_paths, MOST_NAMES, job.stop_flag())?;
        watch.read_by_itself(equal, job.stop_flag());
    }
    if spec.sparse && !matches!(volumes, Volumes::Tar) {
        sparse::find_data(&mut tree, job.stop_flag())?;
    }
    if let Some(report) = &mut report {
        begin("reporting")?;
        report.survey(&tree, &closure, job.stop_flag())?;
    }
    let files = tree.len();
    let accounts = report.as_mut().map(PendingReport::accounts);
    let LaidOut { pieces, filesystem } = volumes.lay_out(tree, &spec.ext4, accounts)?;
    let image_bytes = pieces.size();
    let composition = summary::composition(&pieces);
    let identity = identity(&closure, &spec.contents, &spec.ext4);
    let image = Contained::new(pieces, spec.container, identity)?;

    job.check().map_err(WriteError::from)?;
    progress.phase_of("writing", image.work());
    let mut valid = Vec::new();
    let finish = || {
        let found = watch.finish(&closure);
        job.check().map_err(WriteError::from)?;
        valid = found?;
        records.settle(&valid).map_err(BuildError::from)
    };
    image
        .write_watched(output.file(), &watch, finish, job)
        .map_err(|error| room::explain(error, output.parent(), &image))?;

    // The process ends soon, and its memory with it: to free a tree of many files node by
    // node would take longer.
    mem::forget((image, watch));

    if let (true, Some(filesystem)) = (spec.self_check, filesystem) {
        progress.phase_of("checking", valid.iter().map(|path| path.nar_size).sum());
        let place = self_check::Place {
            start: filesystem.start,
            store: if spec.only_store {
                "/"
            } else {
                store::STORE_DIRECTORY
            },
        };
        self_check::check(&valid, &output, spec.container, place, job)?;
    }

    job.check().map_err(WriteError::from)?;
    let summary = Summary {
        store_paths: valid.len(),
        files,
        image_bytes,
        output_bytes: output.file().metadata().map_err(BuildError::Size)?.len(),
        usage: filesystem.map(|filesystem| filesystem.usage),
        composition,
        verified: Verified {
            sources: spec.verify,
            image: spec.self_check && filesystem.is_some(),
        },
    };
    appear(output, report, &spec.output, &summary, &valid)?;
    progress.done(&summary);
    Ok(())
}

/// Lets the image appear where `wanted` says, and its report: both or none.
fn appear(
    output: PendingOutput,
    report: Option<PendingReport>,
    wanted: &Output,
    summary: &Summary,
    valid: &[ValidPath],
) -> Result<(), OutputError> {
    let report = report
        .map(|report| report.finish(summary.image_bytes, summary.output_bytes, valid))
        .transpose()?;
    match &wanted.directory {
        None => output.finish()?,
        Some(directory) => {
            let others = beside(directory, &wanted.path, summary.image_bytes, valid);
            output.finish_in_directory(&directory.image, &others)?;
        }
    }
    if let Some(report) = report {
        report.keep();
    }
    Ok(())
}

/// What stands beside an image of so many bytes: paths and contents.
fn beside<'a>(
    directory: &'a OutputDirectory,
    out: &Path,
    image_bytes: u64,
    valid: &[ValidPath],
) -> Vec<(&'a str, Vec<u8>)> {
    let out = out.to_str().expect("the attributes are UTF-8");
    let mut files = Vec::new();
    if directory.registration {
        files.push((store::REGISTRATION_NAME, store::registration(valid)));
    }
    files.extend(directory.files.iter().map(|file| {
        let content = file.content(out, &directory.image, image_bytes);
        (file.name.as_str(), content)
    }));
    files
}

/// An identity that hangs on what is asked for, and not on how or where: on the names of all
/// store paths, which name their content, and on the filesystem's UUID.
fn identity(closure: &Closure, contents: &[ContentItem], ext4: &ext4::Options) -> Identity {
    let mut digest = digest::Context::new(&digest::SHA256);
    let paths = closure.paths().map(|path| path.path.to_path());
    for path in paths.chain(contents.iter().map(|item| item.source.clone())) {
        digest.update(path.as_os_str().as_bytes());
        digest.update(&[0]);
    }
    digest.update(&ext4.uuid.0);
    let digest = digest.finish();
    let mut identity = Identity([0; 16]);
    identity.0.copy_from_slice(&digest.as_ref()[..16]);
    identity
}

/// What `root` asks for, in a new root: every profile has its first generation.
fn nixos(
    root: &RootSpec,
    records: &mut Records,
    time: Timestamp,
) -> Result<NixosRoot, DatabaseError> {
    Ok(NixosRoot {
        system: root.system.clone().map(Profile::first),
        channel: root.channel.clone().map(Profile::first),
        shell: root.shell.clone(),
        database: if root.database {
            Some(records.database(time)?)
        } else {
            None
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image::Container;
    use crate::progress::Listener;
    use crate::store::{Form, Graph, NarHash, StorePath};
    use crate::tree::Timestamp;

    fn silent() -> Progress {
        Progress::new(Listener::Nobody, &Job::default())
    }

    /// An image of nothing, at `path`.
    fn spec(path: &Path) -> Spec {
        let uuid = ext4::Uuid([7; 16]);
        Spec {
            output: Output {
                path: path.into(),
                directory: None,
            },
            report: None,
            inputs: Vec::new(),
            verify: false,
            deduplicate: false,
            kind: crate::spec::Kind::Ext4,
            root: None,
            contents: Vec::new(),
            boot_files: Vec::new(),
            registration: true,
            only_store: false,
            time: Timestamp::from_seconds(1),
            ext4: ext4::Options {
                free_bytes: 0,
                free_inodes: 0,
                ..ext4::Options::new(uuid)
            },
            sparse: false,
            container: Container::Raw,
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
        spec.inputs.push(Form::Graph(Graph {
            name: "closure".into(),
            paths: vec![ValidPath {
                path: store_path("a"),
                nar_hash: NarHash([0; 32]),
                nar_size: 0,
                references: vec![store_path("b")],
                ca: None,
            }],
        }));
        let error = build(spec, &Job::default(), silent()).unwrap_err();
        assert!(matches!(error, BuildError::Gather(_)));
        assert!(is_empty(directory.path()));
    }

    #[test]
    fn an_interrupt_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let job = Job::default();
        job.stop();
        let spec = spec(&directory.path().join("out"));
        let error = build(spec, &job, silent()).unwrap_err();
        assert!(matches!(
            error,
            BuildError::Write(WriteError::Interrupted(_))
        ));
        assert!(is_empty(directory.path()));
    }
}
