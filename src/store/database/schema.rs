//! The tables, as Nix makes them, and the version that they have.

use rusqlite::Connection;

/// The name of the database's file.
pub const DATABASE_NAME: &str = "db.sqlite";
/// The name of the file that tells the version of the tables.
pub const SCHEMA_VERSION_NAME: &str = "schema";
/// The whole content of that file, since Nix 2.0.
pub const SCHEMA_VERSION: &str = "10";

/// Nix's `schema.sql`, up to the tables that get rows here. `SQLite` keeps the text of each statement, layout and comments too,
/// and `.schema` shows it: it stays as Nix has it.
const TABLES: &str = r#"
create table if not exists ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer, -- null implies "false"
    sigs             text, -- space-separated
    ca               text -- if not null, an assertion that the path is content-addressed; see ValidPathInfo
);

create table if not exists Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
"#;

/// What follows.
const INDEXES: &str = r#"
create index if not exists IndexReferrer on Refs(referrer);
create index if not exists IndexReference on Refs(reference);

create trigger if not exists DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;

create table if not exists DerivationOutputs (
    drv  integer not null,
    id   text not null, -- symbolic output id, usually "out"
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);

create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
"#;

/// Makes the tables that are missing: all, or none if a killed process had made them.
pub(super) fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)
}

/// Makes the rest of what is missing, when the tables are there: indexes of many rows are
/// made in a fraction of the time that it takes to keep them.
pub(super) fn create_indexes(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(INDEXES)
}
