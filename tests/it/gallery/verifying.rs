//! Images that `verify` cannot verify, and what it finds in others.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::images::{MIB, SMALL, build, change, debugfs, disk, ext4, mbr};
use super::{Stage, Subject};

pub(super) fn subjects() -> Vec<Subject> {
    vec![verifying(), records(), findings()]
}

fn verify(stage: &Stage) -> Command {
    stage.run("verify /mnt/image")
}

fn verifying() -> Subject {
    Subject::new("What `verify` compares", "")
        .case("A partition that is no ext4", |stage| {
            disk(stage, &mbr(), true);
            stage.run("verify /mnt/image --partition 1")
        })
        .case("A partition with nothing that is known", |stage| {
            let partitions = json!([{ "type": "linux", "size": MIB }]);
            let mut disk = mbr();
            disk["partitions"] = partitions;
            build(stage, json!({ "kind": "disk", "disk": disk }), &[]);
            stage.run("verify /mnt/image --partition 1")
        })
        .case("An image without a store", |stage| {
            build(
                stage,
                json!({ "registration": false, "ext4": SMALL.clone() }),
                &[],
            );
            debugfs(stage, "cd /nix\nrmdir store\n");
            verify(stage)
        })
        .case("A store by itself", |stage| {
            let hello = stage.put("hello", "");
            build(
                stage,
                json!({ "onlyStore": true, "ext4": SMALL.clone() }),
                &[&hello],
            );
            verify(stage)
        })
        .case("A store without database and registration", |stage| {
            let hello = stage.put("hello", "");
            build(
                stage,
                json!({ "registration": false, "ext4": SMALL.clone() }),
                &[&hello],
            );
            verify(stage)
        })
        .case("A store that is a symlink to itself", |stage| {
            build(
                stage,
                json!({ "registration": false, "ext4": SMALL.clone() }),
                &[],
            );
            debugfs(stage, "cd /nix\nrmdir store\nsymlink store store\n");
            verify(stage)
        })
        .case("A store that is a file", |stage| {
            build(
                stage,
                json!({ "registration": false, "ext4": SMALL.clone() }),
                &[],
            );
            debugfs(stage, "cd /nix\nrmdir store\nwrite /dev/null store\n");
            verify(stage)
        })
        .case(
            "A filesystem whose superblock has another checksum",
            |stage| {
                ext4(stage);
                change(stage, 1024 + 0x78, b"a label");
                verify(stage)
            },
        )
}

/// An image of the path `hello`, with a file of these bytes at `target`.
fn with_record(stage: &Stage, target: &str, bytes: &[u8]) -> Command {
    let hello = stage.put("hello", "");
    let record = stage.put("record", bytes);
    let contents = json!([{ "source": record, "target": target }]);
    let image = json!({ "registration": false, "contents": contents, "ext4": SMALL.clone() });
    build(stage, image, &[&hello]);
    verify(stage)
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn records() -> Subject {
    /// An image with this registration.
    fn registration(text: String) -> impl Fn(&Stage) -> Command {
        move |stage| {
            let command = with_record(stage, "/nix-path-registration", text.as_bytes());
            stage.show(&text);
            command
        }
    }
    /// An image with a database in which SQL has changed something.
    fn database(sql: &'static str) -> impl Fn(&Stage) -> Command {
        move |stage| {
            let path = stage.seen("/mnt/db.sqlite");
            let database = rusqlite::Connection::open(&path).unwrap();
            let tables = "create table ValidPaths (id integer primary key, path text, hash text, \
                          narSize integer, ca text); create table Refs (referrer integer, \
                          reference integer);";
            database.execute_batch(tables).unwrap();
            database.execute_batch(sql).unwrap();
            drop(database);
            let bytes = fs::read(path).unwrap();
            let command = with_record(stage, "/nix/var/nix/db/db.sqlite", &bytes);
            stage.show(sql);
            command
        }
    }
    let hello = Stage::path("hello");
    let zeros = "0".repeat(64);
    Subject::new(
        "The database and the registration of an image",
        "As `verify` finds them.",
    )
    .case("A registration with a hash that is none", {
        registration(format!("{hello}\nsha256:0\n"))
    })
    .case(
        "A registration that was cut short",
        registration(format!("{hello}\n{zeros}\n")),
    )
    .case("A registration with a path twice", {
        registration(format!("{hello}\n{zeros}\n1\n\n0\n").repeat(2))
    })
    .case("A registration that is no text", |stage| {
        with_record(stage, "/nix-path-registration", b"\xff\n")
    })
    .case("A database that is none", |stage| {
        with_record(stage, "/nix/var/nix/db/db.sqlite", &[b'x'; 1000])
    })
    .case("A database that is a directory", |stage| {
        let file = stage.put("file", "");
        let contents = json!([
                { "source": file, "target": "/nix/var/nix/db/db.sqlite/file" } ]);
        let hello = stage.put("hello", "");
        let image = json!({
                "registration": false, "contents": contents, "ext4": SMALL.clone() });
        build(stage, image, &[&hello]);
        verify(stage)
    })
    .case("A database of another version", |stage| {
        let hello = stage.put("hello", "");
        let schema = stage.put("schema", "11");
        let contents = json!([{ "source": schema, "target": "/nix/var/nix/db/schema" }]);
        let image = json!({ "contents": contents, "ext4": SMALL.clone() });
        build(stage, image, &[&hello]);
        debugfs(
            stage,
            &format!("cd /nix/var/nix/db\nwrite {} db.sqlite\n", "/dev/null"),
        );
        verify(stage)
    })
    .case("A database without a table", database("drop table Refs"))
    .case("A database that has no end", {
        // Each path is looked for among all, for there is no index.
        database(
            "with recursive n(x) as (select 1 union all select x + 1 from n where x < 20000) \
             insert into ValidPaths select x, '/nix/store/' || printf('%032d', x) || '-a', \
             'sha256:0000000000000000000000000000000000000000000000000000', 1, null from n",
        )
    })
    .case("A path that is in the database twice", {
        database(
            "insert into ValidPaths (path, hash, narSize) values \
             ('/nix/store/00000000000000000000000000000000-hello', \
              'sha256:0000000000000000000000000000000000000000000000000000', 1), \
             ('/nix/store/00000000000000000000000000000000-hello', \
              'sha256:0000000000000000000000000000000000000000000000000000', 1)",
        )
    })
    .case("A hash in the database that is none", {
        database(
            "insert into ValidPaths values (1, \
                      '/nix/store/00000000000000000000000000000000-hello', 'none', 1, null)",
        )
    })
    .case("A size in the database that is none", {
        database(
            "insert into ValidPaths values (1, \
                      '/nix/store/00000000000000000000000000000000-hello', \
                      'sha256:0000000000000000000000000000000000000000000000000000', -1, null)",
        )
    })
    .case("A database that is larger than its filesystem", |stage| {
        let hello = stage.put("hello", "");
        build(
            stage,
            json!({ "root": {}, "ext4": SMALL.clone() }),
            &[&hello],
        );
        let field = "set_inode_field /nix/var/nix/db/db.sqlite size 0x100000000\n";
        debugfs(stage, field);
        verify(stage)
    })
    .case("No directory for temporary files", |stage| {
        let hello = stage.put("hello", "");
        build(
            stage,
            json!({ "root": {}, "ext4": SMALL.clone() }),
            &[&hello],
        );
        let mut command = verify(stage);
        stage.show("TMPDIR=/does/not/exist nix2image verify /mnt/image");
        command.env("TMPDIR", "/does/not/exist");
        command
    })
}

/// An image of a path with files, which debugfs changes.
fn changed(requests: &'static str) -> impl Fn(&Stage) -> Command {
    move |stage| {
        let hello = stage.directory(&Stage::path("hello"));
        stage.write(&format!("{hello}/bin/hello"), "content");
        stage.write(&format!("{hello}/notes"), "notes\n".repeat(5000));
        stage.link(&format!("{hello}/link"), "notes");
        build(stage, json!({ "ext4": SMALL.clone() }), &[&hello]);
        let directory = format!("cd {hello}\n");
        debugfs(stage, &(directory + requests));
        verify(stage)
    }
}

fn findings() -> Subject {
    Subject::new(
        "Store paths that are not what they should be",
        "What `verify` prints on standard output, with exit code 1.",
    )
    .case("A path with another content", changed(""))
    .case(
        "A symlink without a target",
        changed("set_inode_field link size 0\n"),
    )
    .case("A special file", changed("mknod pipe p\n"))
    .case("A file that is larger than the filesystem", {
        changed("set_inode_field notes size 0x100000000\n")
    })
    .case(
        "A file whose inode is damaged",
        changed("set_inode_field notes checksum 1\n"),
    )
    .case("A file whose content is beyond the end", {
        changed("set_inode_field notes block[5] 0x7fffffff\n")
    })
}
