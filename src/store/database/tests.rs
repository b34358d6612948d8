//! Judged by Nix and by `SQLite`'s own program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::{Connection, ErrorCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    DATABASE_NAME, Database, DatabaseFault, SCHEMA_VERSION, SCHEMA_VERSION_NAME, encode_database,
};
use crate::store::{NarDigest, NarHash, StorePath, ValidPath};

const TIME: i64 = 1_600_000_000;
const CA: &str = "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

fn path(letter: char) -> StorePath {
    StorePath::from_base_name(&format!("{}-{letter}", letter.to_string().repeat(32))).unwrap()
}

fn valid(letter: char, references: &str) -> ValidPath {
    ValidPath {
        path: path(letter),
        nar_hash: NarHash([letter as u8; 32]),
        nar_size: u64::from(letter) * 1000,
        references: references.chars().map(path).collect(),
        ca: (letter == 'c').then(|| CA.into()),
    }
}

/// A refers to itself, all others lead to `d`.
fn sample() -> Vec<ValidPath> {
    vec![
        valid('a', "abc"),
        valid('b', "d"),
        valid('c', "d"),
        valid('d', ""),
    ]
}

/// A root with the directory of its database.
fn root() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("nix/var/nix/db");
    fs::create_dir_all(&directory).unwrap();
    (root, directory)
}

/// A root whose database was made for an image.
fn encoded(paths: &[ValidPath]) -> (TempDir, PathBuf) {
    let (root, directory) = root();
    let bytes = encode_database(paths.iter(), TIME).unwrap();
    fs::write(directory.join(DATABASE_NAME), bytes).unwrap();
    fs::write(directory.join(SCHEMA_VERSION_NAME), SCHEMA_VERSION).unwrap();
    (root, directory)
}

/// A root whose database was made in its directory.
fn registered(paths: &[ValidPath]) -> (TempDir, PathBuf) {
    let (root, directory) = root();
    let mut database = Database::open_or_create(&directory).unwrap();
    database.register(paths, TIME).unwrap();
    (root, directory)
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn nix_store(root: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("nix-store");
    run(command.arg("--store").arg(root).args(arguments))
}

#[track_caller]
fn sqlite(directory: &Path, command: &str) -> String {
    run(Command::new("sqlite3")
        .arg(directory.join(DATABASE_NAME))
        .arg(command))
}

/// A root in which Nix itself made everything valid, with WAL.
fn of_nix(paths: &[ValidPath]) -> (TempDir, PathBuf) {
    let (from, _) = encoded(paths);
    let registration = from.path().join("registration");
    fs::write(&registration, nix_store(from.path(), &["--dump-db"])).unwrap();
    let (root, directory) = root();
    let mut command = Command::new("nix-store");
    run(command
        .arg("--store")
        .arg(root.path())
        .arg("--load-db")
        .stdin(fs::File::open(registration).unwrap()));
    (root, directory)
}

fn without_ca(mut paths: Vec<ValidPath>) -> Vec<ValidPath> {
    for valid in &mut paths {
        valid.ca = None;
    }
    paths
}

/// What Nix tells of the paths in `root`, which must have no files for it.
fn path_info(root: &Path) -> Value {
    let mut command = Command::new("nix");
    let command = command
        .args(["--extra-experimental-features", "nix-command"])
        .args(["path-info", "--json", "--all", "--store"])
        .arg(root);
    serde_json::from_str(&run(command)).unwrap()
}

#[test]
fn nix_reads_all_that_was_written() {
    for (root, directory) in [encoded(&sample()), registered(&sample())] {
        assert_eq!(sqlite(&directory, "pragma integrity_check"), "ok\n");
        assert_eq!(sqlite(&directory, "pragma foreign_key_check"), "");
        let infos = path_info(root.path());
        assert_eq!(infos.as_array().unwrap().len(), 4);
        for valid in sample() {
            let infos = infos.as_array().unwrap();
            let info = infos
                .iter()
                .find(|info| info["path"] == valid.path.to_string())
                .unwrap();
            let references: Vec<_> = valid.references.iter().map(ToString::to_string).collect();
            assert_eq!(
                info["narHash"].as_str().unwrap().parse(),
                Ok(valid.nar_hash)
            );
            assert_eq!(info["narSize"], valid.nar_size);
            assert_eq!(info["references"], json!(references));
            assert_eq!(info["ca"].as_str(), valid.ca.as_deref());
            assert_eq!(info["registrationTime"], TIME);
            assert_eq!(info.get("deriver"), None);
            assert_eq!(info.get("signatures"), None);
        }
        let dumped = nix_store(root.path(), &["--dump-db"]);
        assert!(
            dumped.contains(&format!("{}\n{}\n97000\n\n3\n", path('a'), "61".repeat(32))),
            "{dumped}"
        );
    }
}

#[test]
fn nix_goes_on_where_a_database_ends() {
    for (root, directory) in [encoded(&sample()), registered(&sample())] {
        let file = root.path().join("new");
        fs::write(&file, "content").unwrap();
        let added = nix_store(root.path(), &["--add", file.to_str().unwrap()]);
        assert_eq!(
            sqlite(&directory, "select id, path from ValidPaths where id > 4"),
            format!("5|{added}")
        );
        let all = Database::open_read_only(&directory).unwrap().valid_paths();
        assert_eq!(all.unwrap().len(), 5);
    }
}

#[test]
fn the_tables_are_those_of_nix_to_the_letter() {
    let (_of_nix, theirs) = of_nix(&[]);
    let tables = "select type, name, tbl_name, sql from sqlite_schema";
    for (_root, ours) in [encoded(&sample()), registered(&[])] {
        for question in [".schema", tables] {
            assert_eq!(sqlite(&ours, question), sqlite(&theirs, question));
        }
        let version = |directory: &Path| fs::read(directory.join(SCHEMA_VERSION_NAME)).unwrap();
        assert_eq!(version(&ours), version(&theirs));
    }
}

#[test]
fn what_is_not_known_is_null_and_numbers_go_in_order() {
    let (_root, directory) = encoded(&sample());
    let rows = "select id, substr(path, 45), registrationTime, deriver is null, narSize, ultimate is null, sigs is null, ca is null from ValidPaths";
    assert_eq!(
        sqlite(&directory, rows),
        "1|a|1600000000|1|97000|1|1|1\n2|b|1600000000|1|98000|1|1|1\n\
         3|c|1600000000|1|99000|1|1|0\n4|d|1600000000|1|100000|1|1|1\n"
    );
    assert_eq!(
        sqlite(&directory, "select * from Refs order by rowid"),
        "1|1\n1|2\n1|3\n2|4\n3|4\n"
    );
    assert_eq!(
        sqlite(&directory, "select * from sqlite_sequence"),
        "ValidPaths|4\n"
    );
}

#[test]
fn a_database_that_nix_made_is_read() {
    let expected = without_ca(sample());
    let (root, directory) = of_nix(&expected);
    let database = Database::open_read_only(&directory).unwrap();
    assert_eq!(
        database.closure(&[path('b')]).unwrap(),
        [expected[1].clone(), expected[3].clone()]
    );
    assert_eq!(database.closure(&[path('c'), path('a')]).unwrap(), expected);
    assert_eq!(database.closure(&[]).unwrap(), []);
    let digest = |valid: &ValidPath| NarDigest {
        hash: valid.nar_hash,
        size: valid.nar_size,
    };
    assert!(
        database.valid_paths().unwrap().into_iter().eq(expected
            .iter()
            .map(|valid| (valid.path.clone(), digest(valid))))
    );
    drop(root);
}

#[test]
fn what_was_registered_is_read() {
    let (_root, directory) = registered(&sample());
    let database = Database::open_or_create(&directory).unwrap();
    assert_eq!(database.closure(&[path('a')]).unwrap(), sample());
}

#[test]
fn a_root_that_is_not_valid_is_named() {
    let (_root, directory) = encoded(&sample());
    let database = Database::open_read_only(&directory).unwrap();
    let error = database.closure(&[path('a'), path('x')]).unwrap_err();
    assert_eq!(
        crate::error::Chain(&error).to_string(),
        format!(
            "cannot read the store database {}/db.sqlite: {} is not valid in it; build or copy it first",
            directory.display(),
            path('x')
        )
    );
}

#[test]
fn what_is_missing_is_added_to_a_database_of_nix_and_what_is_there_stays() {
    let (root, directory) = of_nix(&[valid('b', "d"), valid('d', "")]);
    let before = sqlite(&directory, "select * from ValidPaths");
    let mut database = Database::open_or_create(&directory).unwrap();
    database.register(&sample(), TIME).unwrap();
    database.register(&sample(), TIME + 1).unwrap();
    assert_eq!(database.closure(&[path('a')]).unwrap(), sample());
    drop(database);
    let after = sqlite(&directory, "select * from ValidPaths");
    assert!(after.starts_with(&before), "{before}{after}");
    assert_eq!(after.lines().count(), 4);
    assert_eq!(sqlite(&directory, "pragma journal_mode"), "wal\n");
    let requisites = ["--query", "--requisites", &path('a').to_string()];
    assert_eq!(nix_store(root.path(), &requisites).lines().count(), 4);
}

#[test]
fn a_path_with_another_hash_is_refused_and_nothing_is_registered() {
    let (_root, directory) = registered(&[valid('d', "")]);
    let mut paths = sample();
    paths[3].nar_hash = NarHash([0; 32]);
    let mut database = Database::open_or_create(&directory).unwrap();
    let error = database.register(&paths, TIME).unwrap_err();
    assert!(matches!(
        &error.fault,
        DatabaseFault::OtherHash { path: of, hashes }
            if (of, hashes[0].0, hashes[1].0) == (&path('d'), [b'd'; 32], [0; 32])
    ));
    assert_eq!(database.valid_paths().unwrap().len(), 1);
}

#[test]
fn a_reference_to_nothing_is_refused_and_nothing_is_registered() {
    let paths = [valid('a', "b"), valid('b', "d")];
    let is_named = |fault: &DatabaseFault| {
        matches!(
            fault,
            DatabaseFault::Reference { path: of, reference }
                if (of, reference) == (&path('b'), &path('d'))
        )
    };
    assert!(is_named(
        &encode_database(paths.iter(), TIME).unwrap_err().fault
    ));
    let (_root, directory) = registered(&[]);
    let mut database = Database::open_or_create(&directory).unwrap();
    assert!(is_named(
        &database.register(&paths, TIME).unwrap_err().fault
    ));
    assert_eq!(database.valid_paths().unwrap().len(), 0);
}

#[test]
fn another_version_of_the_tables_is_refused() {
    let (_root, directory) = encoded(&sample());
    for version in ["9", "11", "10\n", ""] {
        fs::write(directory.join(SCHEMA_VERSION_NAME), version).unwrap();
        for opened in [
            Database::open_or_create(&directory),
            Database::open_read_only(&directory),
        ] {
            let fault = opened.unwrap_err().fault;
            assert!(
                matches!(&fault, DatabaseFault::Version { found, .. } if found == version),
                "{fault}"
            );
        }
    }
}

#[test]
fn what_a_killed_process_left_is_made_whole() {
    let (_root, directory) = registered(&[]);
    let schema = sqlite(&directory, ".schema");
    fs::remove_file(directory.join(SCHEMA_VERSION_NAME)).unwrap();
    Database::open_or_create(&directory).unwrap();
    assert_eq!(sqlite(&directory, ".schema"), schema);
    fs::write(directory.join(DATABASE_NAME), "").unwrap();
    fs::remove_file(directory.join(SCHEMA_VERSION_NAME)).unwrap();
    Database::open_or_create(&directory).unwrap();
    assert_eq!(sqlite(&directory, ".schema"), schema);
    let names = fs::read_dir(&directory).unwrap().count();
    assert_eq!(names, 2, "{DATABASE_NAME} and {SCHEMA_VERSION_NAME}");
}

#[test]
fn a_missing_database_is_not_made_for_reading() {
    let (_root, directory) = root();
    assert!(Database::open_read_only(&directory).is_err());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

/// A connection that Nix could have, with rows in the WAL that are not in the file yet.
fn in_use(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join(DATABASE_NAME)).unwrap();
    connection
        .pragma_update(None, "journal_mode", "wal")
        .unwrap();
    let row = "insert into ValidPaths (path, hash, registrationTime) values (?1, ?2, 1)";
    let hash = format!("sha256:{}", "0".repeat(64));
    connection
        .execute(row, (path('x').to_string(), hash))
        .unwrap();
    connection
}

/// What `read` gives for a user who may write nothing here.
fn as_nobody<T: Send>(read: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            const NOBODY: u32 = 65534;
            // Of this thread alone; the kernel takes root's powers over files with it.
            nix::unistd::setfsuid(NOBODY.into());
            read()
        });
        thread.join().unwrap()
    })
}

/// Lets all see and none but root write what is in `root`.
fn open_to_all(root: &TempDir) {
    run(Command::new("chmod")
        .args(["-R", "u=rwX,go=rX"])
        .arg(root.path()));
}

#[test]
fn a_database_in_use_is_read_by_root_and_by_others() {
    let (root, directory) = encoded(&sample());
    let mut connection = in_use(&directory);
    open_to_all(&root);
    let writing = connection.transaction().unwrap();
    writing.execute("delete from Refs", ()).unwrap();
    let read = || {
        let database = Database::open_read_only(&directory).unwrap();
        let closure = database.closure(&[path('a')]).unwrap();
        (database.valid_paths().unwrap().len(), closure)
    };
    assert_eq!(read(), (5, sample()));
    assert_eq!(as_nobody(read), (5, sample()));
}

#[test]
fn a_database_with_wal_that_nobody_uses_is_read_by_who_may_not_write_it() {
    let (root, directory) = encoded(&sample());
    drop(in_use(&directory));
    open_to_all(&root);
    let database = as_nobody(|| {
        fs::write(directory.join("x"), "").unwrap_err();
        let database = Database::open_read_only(&directory).unwrap();
        assert_eq!(database.valid_paths().unwrap().len(), 5);
        assert_eq!(database.closure(&[path('a')]).unwrap(), sample());
        database
    });
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    let other = Connection::open(directory.join(DATABASE_NAME)).unwrap();
    other.execute("delete from Refs", ()).unwrap();
    let error = database.closure(&[path('a')]).unwrap_err();
    assert!(matches!(error.fault, DatabaseFault::Changed), "{error:?}");
}

/// A Nix that builds opens, writes and closes its database all the time, and the last who
/// closes it deletes the files of the log.
#[test]
fn a_database_that_others_open_write_and_close_is_read() {
    let (_root, directory) = encoded(&sample());
    drop(in_use(&directory));
    let roots = [path('c')];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let connection = Connection::open(directory.join(DATABASE_NAME)).unwrap();
                connection.busy_timeout(Duration::from_secs(60)).unwrap();
                connection
                    .execute("update ValidPaths set registrationTime = 2", ())
                    .unwrap();
            }
        });
        let read = || Database::open_read_only(&directory)?.closure(&roots);
        let read: Vec<_> = (0..500).map(|_| read()).collect();
        done.store(true, Ordering::Relaxed);
        for read in read {
            assert!(!read.unwrap().is_empty());
        }
    });
}

#[test]
fn what_is_opened_for_reading_cannot_be_written() {
    let (_root, directory) = encoded(&sample());
    let mut database = Database::open_read_only(&directory).unwrap();
    assert!(database.register(&[valid('x', "")], TIME).is_err());
}

#[test]
fn a_name_that_a_uri_would_mistake_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a?b#c%41 é");
    fs::create_dir(&directory).unwrap();
    drop(Database::open_or_create(&directory).unwrap());
    drop(in_use(&directory));
    open_to_all(&root);
    as_nobody(|| {
        let database = Database::open_read_only(&directory).unwrap();
        assert_eq!(database.valid_paths().unwrap().len(), 1);
    });
}

/// Paths with names and references of any kind, in order.
fn closures() -> impl Strategy<Value = Vec<ValidPath>> {
    let path = (any::<[u8; 20]>(), 1..200_usize, any::<u32>(), any::<bool>());
    let references = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    prop::collection::vec((path, references), 0..80).prop_map(|paths| {
        let store_path = |hash: [u8; 20], length: usize| {
            let hash = NarHash(std::array::from_fn(|at| hash[at % 20])).to_base32();
            let base_name = format!("{}-{}", &hash[20..], "n".repeat(length));
            StorePath::from_base_name(&base_name).unwrap()
        };
        let names: Vec<_> = paths
            .iter()
            .map(|((hash, length, ..), _)| store_path(*hash, *length))
            .collect();
        let valid = paths.iter().map(|((hash, length, size, has_ca), to)| {
            let path = store_path(*hash, *length);
            let mut references: Vec<_> = to.iter().map(|to| to.get(&names).clone()).collect();
            references.sort();
            references.dedup();
            (
                path.clone(),
                ValidPath {
                    path,
                    nar_hash: NarHash([0; 32]),
                    nar_size: (*size).into(),
                    references,
                    ca: has_ca.then(|| CA.into()),
                },
            )
        });
        let valid: std::collections::BTreeMap<_, _> = valid.collect();
        valid.into_values().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_the_places_of_hashes_depend_on_hashes(
        mut paths in closures(), seeds: [u8; 2],
    ) {
        let [first, second] = seeds.map(|seed| {
            for (number, valid) in (0..).zip(&mut paths) {
                let byte = |at| u8::try_from((number * 7 + at * usize::from(seed)) % 256).unwrap();
                valid.nar_hash = NarHash(std::array::from_fn(byte));
            }
            let bytes = encode_database(paths.iter(), TIME).unwrap();
            prop_assert_eq!(&bytes, &encode_database(paths.iter(), TIME).unwrap());
            Ok((bytes, paths.iter().map(|valid| valid.nar_hash.to_hex()).collect::<Vec<_>>()))
        });
        let ((mut first, from), (second, to)) = (first?, second?);
        prop_assert_eq!(first.len(), second.len());
        // Hashes replaced where the path says which it is, the two are one.
        for ((valid, from), to) in paths.iter().zip(from).zip(to) {
            let row = format!("{}sha256:{from}", valid.path);
            let at = first.windows(row.len()).position(|bytes| bytes == row.as_bytes()).unwrap();
            first[at + row.len() - 64..][..64].copy_from_slice(to.as_bytes());
        }
        prop_assert!(first == second);
    }

    #[test]
    fn a_closure_is_read_as_it_was_written(paths in closures()) {
        let (_root, directory) = encoded(&paths);
        let roots: Vec<_> = paths.iter().map(|valid| valid.path.clone()).collect();
        let database = Database::open_read_only(&directory).unwrap();
        prop_assert_eq!(database.closure(&roots).unwrap(), paths);
    }
}

/// A database with the table `Refs`, and what `statements` make.
fn made_by(statements: &str) -> (TempDir, PathBuf) {
    let (root, directory) = root();
    let connection = Connection::open(directory.join(DATABASE_NAME)).unwrap();
    let refs = "create table Refs (referrer integer, reference integer);";
    connection.execute_batch(refs).unwrap();
    connection.execute_batch(statements).unwrap();
    (root, directory)
}

#[test]
fn a_database_that_makes_its_rows_when_it_is_read_is_refused() {
    let endless = "create view ValidPaths as with recursive n(x) as (select 1 union all select x + 1 from n) \
                   select x as id, '/nix/store/' || printf('%032d', x) || '-a' as path, 'x' as hash, 1 as narSize, null as ca from n";
    let large = "create table ValidPaths (id integer primary key, hash text, narSize integer, ca text, \
                 path text generated always as (printf('%.*c', 100000000, 'x')))";
    for statement in [endless, large, "create table Other (id integer)"] {
        let (_root, directory) = made_by(statement);
        let error = Database::open_read_only(&directory).unwrap_err();
        let table = "ValidPaths";
        assert!(
            matches!(error.fault, DatabaseFault::Table { table: found } if found == table),
            "{statement}: {error:?}"
        );
    }
}

#[test]
fn a_value_of_more_bytes_than_any_of_nix_is_refused_before_there_is_room_for_it() {
    let columns = "id integer primary key, path text, hash text, narSize integer, ca text";
    let read = |database: &Database| database.valid_paths().map(|_| ());
    for (bytes, is_refused) in [(1000, false), (1 << 21, true)] {
        let (_root, directory) = made_by(&format!(
            "create table ValidPaths ({columns}); insert into ValidPaths (path) values (printf('%.*c', {bytes}, 'x'))"
        ));
        let error = Database::open_read_only(&directory)
            .and_then(|database| read(&database))
            .unwrap_err();
        let is_too_large = matches!(&error.fault, DatabaseFault::Sqlite(error)
            if error.sqlite_error_code() == Some(ErrorCode::TooBig));
        assert_eq!(is_too_large, is_refused, "{bytes} bytes: {error:?}");
    }
}

/// As many rows for `SQLite` to look at as nobody waits for: each path is looked for among all,
/// since the tables have no index.
#[test]
fn a_database_that_takes_more_steps_than_it_has_bytes_for_is_an_error() {
    let name = "'/nix/store/' || printf('%032d', x) || '-a'";
    let (_root, directory) = made_by(&format!(
        "create table ValidPaths (id integer, path text, hash text, narSize integer, ca text); \
         with recursive n(x) as (select 1 union all select x + 1 from n where x < 20000) \
         insert into ValidPaths select x, {name}, 'sha256:{}', 1, null from n",
        "0".repeat(64)
    ));
    let database = Database::open_read_only(&directory).unwrap();
    let roots: Vec<_> = database.valid_paths().unwrap().into_keys().collect();
    let error = database.closure(&roots).unwrap_err();
    assert!(matches!(error.fault, DatabaseFault::Endless), "{error:?}");
}

/// Who wants to read all pages of a tree in which one stands for many would never end.
#[test]
fn a_path_that_is_there_twice_is_an_error() {
    let row = format!("('{}', 'sha256:{}', 1)", path('a'), "0".repeat(64));
    let (_root, directory) = made_by(&format!(
        "create table ValidPaths (id integer primary key, path text, hash text, narSize integer, ca text); \
         insert into ValidPaths (path, hash, narSize) values {row}, {row}; \
         insert into Refs values (1, 2), (1, 2)"
    ));
    let database = Database::open_read_only(&directory).unwrap();
    for error in [
        database.valid_paths().unwrap_err(),
        database.closure(&[path('a')]).unwrap_err(),
    ] {
        assert!(
            matches!(&error.fault, DatabaseFault::Twice { path: found } if *found == path('a')),
            "{error:?}"
        );
    }
}
