//! Where the structured attributes are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::AttrsError;

/// What the process knows of its surroundings: the places to look in.
#[derive(Clone, Debug)]
pub struct Places {
    /// `$NIX_ATTRS_JSON_FILE`: the file itself, set since Nix 2.4. In the sandbox of
    /// Nix 2.8 it names a file that does not exist there.
    pub attrs_json_file: Option<PathBuf>,
    /// `$NIX_BUILD_TOP`, the directory of the build.
    pub build_top: Option<PathBuf>,
    /// The working directory; the only place before Nix 2.4.
    pub working_directory: PathBuf,
}

const FILE_NAME: &str = ".attrs.json";

/// The path and text of the first place that exists.
pub(super) fn read(places: &Places) -> Result<(PathBuf, Vec<u8>), AttrsError> {
    let in_directory = |directory: &PathBuf| directory.join(FILE_NAME);
    let candidates = [
        ("NIX_ATTRS_JSON_FILE", places.attrs_json_file.clone()),
        ("NIX_BUILD_TOP", places.build_top.as_ref().map(in_directory)),
        (
            "the working directory",
            Some(in_directory(&places.working_directory)),
        ),
    ];
    let mut tried = Vec::new();
    for (place, candidate) in candidates {
        let Some(path) = candidate else {
            tried.push(format!("{place} is not set"));
            continue;
        };
        match read_if_exists(&path)? {
            Some(text) => return Ok((path, text)),
            None => tried.push(format!("{} ({place}) does not exist", path.display())),
        }
    }
    Err(AttrsError::NotFound {
        tried: tried.join(", "),
    })
}

fn read_if_exists(path: &Path) -> Result<Option<Vec<u8>>, AttrsError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(AttrsError::Read {
            path: path.into(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with_attrs(text: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE_NAME), text).unwrap();
        directory
    }

    #[test]
    fn the_variable_comes_before_the_build_directory_and_that_before_the_working_directory() {
        let [variable, build, working] = ["variable", "build", "working"].map(directory_with_attrs);
        let mut places = Places {
            attrs_json_file: Some(variable.path().join(FILE_NAME)),
            build_top: Some(build.path().into()),
            working_directory: working.path().into(),
        };
        let text = |places: &Places| read(places).unwrap().1;
        assert_eq!(text(&places), b"variable");
        places.attrs_json_file = None;
        assert_eq!(text(&places), b"build");
        places.build_top = None;
        assert_eq!(text(&places), b"working");
    }

    #[test]
    fn a_place_that_does_not_exist_is_skipped() {
        let build = directory_with_attrs("build");
        let places = Places {
            attrs_json_file: Some("/does/not/exist/.attrs.json".into()),
            build_top: Some(build.path().into()),
            working_directory: "/".into(),
        };
        assert_eq!(read(&places).unwrap().1, b"build");
    }

    #[test]
    fn without_attributes_the_error_says_what_was_tried_and_what_is_needed() {
        let places = Places {
            attrs_json_file: Some("/does/not/exist/.attrs.json".into()),
            build_top: None,
            working_directory: "/nowhere".into(),
        };
        assert_eq!(
            read(&places).unwrap_err().to_string(),
            "found no structured attributes: \
             /does/not/exist/.attrs.json (NIX_ATTRS_JSON_FILE) does not exist, \
             NIX_BUILD_TOP is not set, \
             /nowhere/.attrs.json (the working directory) does not exist; \
             the derivation needs `__structuredAttrs = true`"
        );
    }

    #[test]
    fn a_place_that_cannot_be_read_is_not_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places {
            attrs_json_file: Some(directory.path().into()),
            build_top: None,
            working_directory: "/nowhere".into(),
        };
        assert!(matches!(read(&places), Err(AttrsError::Read { .. })));
    }
}
