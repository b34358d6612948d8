//! The result as it is wanted.

use std::path::PathBuf;

use super::{Kind, SpecError, text};
use crate::attrs::{self, OutputForm};
use crate::store::{REGISTRATION_NAME, StorePath};

/// The result: an image by itself or in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The path that Nix expects, `$out`.
    pub path: PathBuf,
    /// What is in the directory `path`; if not given, `path` is the image itself.
    pub directory: Option<OutputDirectory>,
}

/// A report in an output of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSpec {
    /// The path that Nix expects, `$report`.
    pub path: PathBuf,
    /// Store paths that somebody named. The closure has the others because of references.
    pub asked: Vec<StorePath>,
}

/// A directory with an image in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputDirectory {
    /// Path of the image in the directory.
    pub image: String,
    /// Whether `nix-path-registration` stands in it.
    pub registration: bool,
    /// Other files.
    pub files: Vec<OutputFile>,
}

/// A small file beside an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Path in the directory.
    pub name: String,
    /// The text, in which names between `@` stand for what is known later.
    pub text: String,
}

impl OutputFile {
    /// The content of the file beside an image of so many bytes in the output `out`.
    #[must_use]
    pub fn content(&self, out: &str, image: &str, image_bytes: u64) -> Vec<u8> {
        self.text
            .replace("@image@", &format!("{out}/{image}"))
            .replace("@out@", out)
            .replace("@imageBytes@", &image_bytes.to_string())
            .into_bytes()
    }
}

/// What is wrong with the attributes of an output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputFault {
    /// Files without a directory.
    #[error("are not used, expected none or output = \"directory\"")]
    NoDirectory,
    /// Two files at one place, or one below another.
    #[error("{second:?} cannot stand beside {first:?}; give it another name")]
    Taken {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
}

/// The output that `image` asks for, of an image of this kind, whose name ends in `suffix`
/// if it is not given.
pub(super) fn output(
    path: PathBuf,
    image: &mut attrs::Image,
    kind: &Kind,
    suffix: &str,
) -> Result<Output, SpecError> {
    let files: Vec<_> = image
        .output_files
        .take()
        .unwrap_or_default()
        .into_iter()
        .map(|file| OutputFile {
            name: file.name.0.0,
            text: file.text,
        })
        .collect();
    let form = image.output.take();
    let directory = match text(form).unwrap_or(OutputForm::File) {
        OutputForm::File if files.is_empty() => None,
        OutputForm::File => return Err(error("outputFiles", OutputFault::NoDirectory)),
        OutputForm::Directory => Some(OutputDirectory {
            image: match text(image.image_name.take()) {
                Some(name) => name.0,
                None => format!("nixos{suffix}"),
            },
            registration: !matches!(kind, Kind::Disk(_)),
            files,
        }),
    };
    if let Some(directory) = &directory {
        check_names(directory)?;
    }
    Ok(Output { path, directory })
}

fn check_names(directory: &OutputDirectory) -> Result<(), SpecError> {
    let registration = directory.registration.then_some(REGISTRATION_NAME);
    let mut names = vec![("imageName", directory.image.as_str())];
    names.extend(registration.map(|name| ("imageName", name)));
    let files = directory.files.iter();
    names.extend(files.map(|file| ("outputFiles", file.name.as_str())));
    for (index, (at, second)) in names.iter().enumerate() {
        for (_, first) in &names[..index] {
            if is_within(first, second) || is_within(second, first) {
                let [first, second] = [*first, *second].map(str::to_owned);
                return Err(error(at, OutputFault::Taken { first, second }));
            }
        }
    }
    Ok(())
}

/// Whether the path `inner` is `outer` or below it.
fn is_within(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn error(attribute: &'static str, fault: OutputFault) -> SpecError {
    SpecError::Output { attribute, fault }
}
