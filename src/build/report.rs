//! The report of a build, in its own output: begun before the image and there only beside it.

use std::sync::atomic::AtomicBool;

use super::BuildError;
use crate::deduplicate::equal_files;
use crate::image::{AppearedDirectory, OutputError, PendingDirectory};
use crate::report::{Accounts, Image, Report, Survey, products};
use crate::root;
use crate::spec::{Output, ReportSpec, Spec};
use crate::store::{Closure, StorePath, ValidPath};
use crate::tree::Tree;

/// A report that is being made.
pub(super) struct PendingReport {
    directory: PendingDirectory,
    spec: ReportSpec,
    image: Image,
    /// The image, if nothing beside it tells Hydra of it.
    product: Option<String>,
    /// Whether the image is the store alone.
    only_store: bool,
    /// Whether equal files of store paths are one already.
    is_deduplicated: bool,
    survey: Option<Survey>,
    accounts: Accounts,
}

/// What Hydra reads of an output.
const PRODUCTS: &str = "nix-support/hydra-build-products";
const METRICS: &str = "nix-support/hydra-metrics";

impl PendingReport {
    /// Begins the report that `spec` asks for, if it does.
    pub(super) fn begin(spec: &Spec) -> Result<Option<Self>, OutputError> {
        let Some(report) = &spec.report else {
            return Ok(None);
        };
        Ok(Some(Self {
            directory: PendingDirectory::begin(&report.path)?,
            spec: report.clone(),
            image: Image {
                name: name(&spec.output),
                kind: spec.kind_name(),
                container: spec.container_name(),
                bytes: 0,
                file_bytes: 0,
            },
            product: product(&spec.output),
            only_store: spec.only_store,
            is_deduplicated: spec.deduplicate,
            survey: None,
            accounts: Accounts::default(),
        }))
    }

    /// Looks at the tree, which is whole. Once `stop` is set, no file is read for that.
    pub(super) fn survey(
        &mut self,
        tree: &Tree,
        closure: &Closure,
        stop: &AtomicBool,
    ) -> Result<(), BuildError> {
        let paths = closure.paths().map(|path| &path.path);
        let tops = root::store_paths(tree, paths, self.only_store);
        // What was deduplicated is not hashed again: it is equal to nothing, but for files with
        // more names than one can have.
        let equal = if self.is_deduplicated {
            Vec::new()
        } else {
            equal_files(tree, &tops, stop)?
        };
        self.survey = Some(Survey::new(tree, closure, &tops, &self.spec.asked, equal));
        Ok(())
    }

    /// Where it is taken down what everything takes.
    pub(super) fn accounts(&mut self) -> &mut Accounts {
        &mut self.accounts
    }

    /// Lets the report appear, of an image of so many bytes in a file of so many; it goes
    /// again unless it is kept.
    pub(super) fn finish(
        self,
        bytes: u64,
        file_bytes: u64,
        valid: &[ValidPath],
    ) -> Result<AppearedDirectory, OutputError> {
        let image = Image {
            bytes,
            file_bytes,
            ..self.image
        };
        let survey = self.survey.expect("the tree was looked at before");
        let report = Report::new(image, &survey, &self.accounts, valid);
        let path = self.spec.path.to_str().expect("the attributes are UTF-8");
        self.directory.finish(&[
            ("report.json", report.json()),
            ("report.html", report.html()),
            (PRODUCTS, products(path, self.product.as_deref())),
            (METRICS, report.metrics()),
        ])
    }
}

/// The name of an image's file, without the hash of its store path.
fn name(output: &Output) -> String {
    let path = match &output.directory {
        Some(directory) => directory.image.clone(),
        None => output.path.display().to_string(),
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    match StorePath::from_base_name(name) {
        Ok(_) => name[StorePath::HASH_LENGTH + 1..].into(),
        Err(_) => name.into(),
    }
}

fn product(output: &Output) -> Option<String> {
    let path = output.path.to_str().expect("the attributes are UTF-8");
    match &output.directory {
        None => Some(path.into()),
        Some(directory) if directory.files.iter().any(|file| file.name == PRODUCTS) => None,
        Some(directory) => Some(format!("{path}/{}", directory.image)),
    }
}
