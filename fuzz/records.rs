//! What holds for any bytes that are given as what a store says of itself: a registration, a
//! database.

use std::collections::BTreeMap;
use std::fs;

use nix2image::store::{
    DATABASE_NAME, Database, DatabaseError, NarDigest, StorePath, ValidPath, encode_database,
    parse_registration, registration,
};

use super::{is_a_set, tells};

/// A registration is refused with a line of it, or is the same when it is printed.
pub fn registered(bytes: &[u8]) {
    let paths = match parse_registration(bytes) {
        Ok(paths) => paths,
        Err(error) => {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            assert!((1..=lines + 1).contains(&error.line));
            return tells(&error);
        }
    };
    let valid: Vec<_> = paths.values().cloned().collect();
    assert!(paths.iter().all(|(path, valid)| *path == valid.path));
    assert_eq!(parse_registration(&registration(&valid)), Ok(paths));
}

/// A database is refused, or says of each of its paths what the paths are that it refers to,
/// all of which are in it; and one that is made of it says the same.
pub fn database(bytes: &[u8]) {
    let Some((paths, closure)) = read(bytes) else {
        return;
    };
    for valid in &closure {
        let nar = NarDigest {
            hash: valid.nar_hash,
            size: valid.nar_size,
        };
        assert_eq!(paths.get(&valid.path), Some(&nar));
        assert!(is_a_set(&valid.references));
    }
    assert!(closure.is_sorted_by(|a, b| a.path < b.path));
    let again = encode_database(closure.iter(), 1).unwrap();
    let (_, again) = read(&again).unwrap();
    assert_eq!(again, closure);
}

type Said = (BTreeMap<StorePath, NarDigest>, Vec<ValidPath>);

/// What it says; nothing if it is refused.
fn read(bytes: &[u8]) -> Option<Said> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(DATABASE_NAME), bytes).unwrap();
    let read = || -> Result<Said, DatabaseError> {
        let database = Database::open_read_only(directory.path())?;
        let paths = database.valid_paths()?;
        let roots: Vec<_> = paths.keys().cloned().collect();
        let closure = database.closure(&roots)?;
        Ok((paths, closure))
    };
    match read() {
        Ok(said) => Some(said),
        Err(error) => {
            tells(&error);
            None
        }
    }
}
