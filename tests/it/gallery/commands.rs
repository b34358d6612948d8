//! Commands: what is said to them, where they work, and the host that they find.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{Stage, Subject};
use crate::support::command::run;
use crate::support::env;

pub(super) fn subjects() -> Vec<Subject> {
    vec![
        command_line(),
        prepare_root(),
        databases(),
        install(),
        entering(),
    ]
}

/// The system that is prepared.
const SYSTEM: &str = "/nix/store/00000000000000000000000000000000-nixos-system";

fn command_line() -> Subject {
    Subject::new(
        "The command line",
        "What the parser says stands on more than one line.",
    )
    .commands([
        ("An option that there is not", "--verbos"),
        ("A command that there is not", "inspekt image"),
        ("No image", "inspect"),
        ("Two options that exclude each other", "--quiet --verbose"),
        (
            "A system that is no store path",
            "install --system /run/current-system",
        ),
        (
            "The same, in the form of `nixos-prepare-root`",
            "prepare-root /mnt/root  /x graph",
        ),
    ])
    .case("A number of threads that is none", |stage| {
        stage.directory("/mnt/root");
        let mut command = stage.run("prepare-root /mnt/root");
        stage.show("NIX_BUILD_CORES=two nix2image prepare-root /mnt/root");
        command.env("NIX_BUILD_CORES", "two");
        command
    })
    .case("A manual below what is no directory", |stage| {
        stage.write("/mnt/prefix", "");
        stage.run("manual /mnt/prefix")
    })
    .case("A working directory that is gone", |stage| {
        stage.first("mkdir gone; cd gone; rmdir ../gone");
        let command = stage.program(&[]);
        stage.show("nix2image, where somebody has removed the working directory");
        command
    })
}

/// `prepare-root` with a system, whose closure is in a text graph.
fn prepare(stage: &Stage) -> Command {
    stage.put("nixos-system/init", "");
    stage.directory("/mnt/root");
    stage.write("/mnt/graph", format!("{SYSTEM}\n\n0\n"));
    stage.run(&format!(
        "prepare-root /mnt/root --system {SYSTEM} --closure graph"
    ))
}

/// The same, done.
fn prepared(stage: &Stage) {
    run(&mut prepare(stage));
}

fn prepare_root() -> Subject {
    Subject::new("`prepare-root`", "`install` says the same.")
        .commands([("A directory that is not there", "prepare-root /mnt/root")])
        .case("A file in place of the directory", |stage| {
            stage.write("/mnt/root", "");
            stage.run("prepare-root /mnt/root")
        })
        .case("Another process is at work in it", |stage| {
            stage.first("exec 9</mnt/root; flock 9");
            prepare(stage)
        })
        .case("Something else stands where a directory belongs", |stage| {
            stage.write("/mnt/root/etc", "");
            prepare(stage)
        })
        .case(
            "A store path is not whole, and something is mounted in it",
            |stage| {
                let below = format!("/mnt/root{SYSTEM}/mounted");
                stage.directory(&below);
                stage.first(&format!("mount -t tmpfs tmpfs {below}"));
                prepare(stage)
            },
        )
        .case("A directory that may not be written", |stage| {
            stage.first("mkdir -p root; mount -t tmpfs -o ro tmpfs root");
            prepare(stage)
        })
        .case("The target is full", |stage| {
            stage.first("mkdir -p root; mount -t tmpfs -o size=256k tmpfs root");
            let command = prepare(stage);
            stage.put("nixos-system/large", vec![1; 1 << 20]);
            command
        })
        .case("The target has the store of the host", |stage| {
            stage.directory("/mnt/root/nix/store");
            stage.first("mount --bind /nix/store root/nix/store");
            prepare(stage)
        })
        .case("A system that is not in the closure", |stage| {
            stage.directory("/mnt/root");
            stage.run(&format!("prepare-root /mnt/root --system {SYSTEM}"))
        })
        .case("A text graph that is not there", |stage| {
            stage.directory("/mnt/root");
            stage.run("prepare-root /mnt/root --closure graph")
        })
}

fn databases() -> Subject {
    const DATABASE: &str = "/mnt/root/nix/var/nix/db/db.sqlite";
    Subject::new(
        "The database of a target",
        "`prepare-root` on a root that is there already.",
    )
    .case("It is of an older Nix", |stage| {
        stage.write("/mnt/root/nix/var/nix/db/schema", "9");
        prepare(stage)
    })
    .case("It is none", |stage| {
        stage.write("/mnt/root/nix/var/nix/db/schema", "10");
        stage.write(DATABASE, [b'x'; 1000]);
        prepare(stage)
    })
    .case("It is gone, but for its version", |stage| {
        stage.write("/mnt/root/nix/var/nix/db/schema", "10");
        prepare(stage)
    })
    .case("Its version cannot be written", |stage| {
        stage.directory("/mnt/root/nix/var/nix/db/schema.new/x");
        prepare(stage)
    })
    .case("It is a directory", |stage| {
        stage.directory(DATABASE);
        prepare(stage)
    })
    .case("A store path in it is none", |stage| {
        prepared(stage);
        let database = rusqlite::Connection::open(stage.seen(DATABASE)).unwrap();
        let update = "update ValidPaths set path = '/nix/store/x'";
        database.execute_batch(update).unwrap();
        prepare(stage)
    })
    .case("A hash in it is none", |stage| {
        prepared(stage);
        let database = rusqlite::Connection::open(stage.seen(DATABASE)).unwrap();
        database
            .execute_batch("update ValidPaths set hash = 'md5:0'")
            .unwrap();
        prepare(stage)
    })
}

/// An executable of the host in `/mnt/bin`, which alone is in `PATH`.
fn only_program(stage: &Stage, name: &str, script: &str) {
    let path = stage.write(
        &format!("/mnt/bin/{name}"),
        format!("#!/bin/sh\n{script}\n"),
    );
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(stage.seen(&path), executable).unwrap();
    stage.first("export PATH=/mnt/bin");
}

fn install() -> Subject {
    /// `install` of the configuration that is in the root.
    fn configured(stage: &Stage) -> Command {
        stage.write("/mnt/root/etc/nixos/configuration.nix", "{ }");
        stage.run("install --root /mnt/root --no-channel-copy")
    }
    /// `install` on a host with this link to a channel.
    fn channel(stage: &Stage, target: &str) -> Command {
        stage.link("/mnt/state/profiles/per-user/root/channels", target);
        stage.directory("/mnt/root");
        let mut command = stage.run(&format!("install --root /mnt/root --system {SYSTEM}"));
        command.env("NIX_STATE_DIR", "/mnt/state");
        command
    }
    Subject::new("`install`", "")
        .case("By somebody who is not root", |stage| {
            stage.under(&["unshare", "--user"]);
            stage.run("install --root /mnt/root")
        })
        .commands([
            ("A directory that is not there", "install --root /mnt/root"),
            (
                "There is no configuration",
                "install --root /mnt --no-channel-copy",
            ),
            ("Nothing is installed there", "install --root /mnt --chroot"),
        ])
        .case("There is no Nix", |stage| {
            stage.first("export PATH=/mnt/bin");
            configured(stage)
        })
        .case("The configuration cannot be built", |stage| {
            only_program(stage, "nix-build", "exit 1");
            configured(stage)
        })
        .case("The configuration is no system", |stage| {
            only_program(
                stage,
                "nix-build",
                "echo /nix/store/one; echo /nix/store/two",
            );
            configured(stage)
        })
        .case("The channel of root leads to itself", |stage| {
            channel(stage, "channels")
        })
        .case("The channel of root is not in the store", |stage| {
            stage.directory("/mnt/nixpkgs");
            channel(stage, "/mnt/nixpkgs")
        })
        .case("The system is not in the store of the host", |stage| {
            // Its database is that of a root that has something else.
            prepared(stage);
            stage.directory("/mnt/target");
            let other = Stage::path("nixos-other");
            let mut command = stage.run(&format!(
                "install --root /mnt/target --system {other} --no-channel-copy"
            ));
            command.env("NIX_STATE_DIR", "/mnt/root/nix/var/nix");
            command
        })
        .case("The host has no database", |stage| {
            stage.directory("/mnt/root");
            let mut command = stage.run(&format!(
                "install --root /mnt/root --system {SYSTEM} --no-channel-copy"
            ));
            command.env("NIX_STATE_DIR", "/mnt/state");
            command
        })
}

fn entering() -> Subject {
    /// `install` of a system with this at `switch-to-configuration`.
    fn with_switch(stage: &Stage, switch: &[u8]) -> Command {
        let path = stage.put("nixos-system/bin/switch-to-configuration", switch);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(stage.seen(&path), executable).unwrap();
        stage.directory("/mnt/root");
        stage.write("/mnt/graph", format!("{SYSTEM}\n\n0\n"));
        stage.run(&format!(
            "install --root /mnt/root --system {SYSTEM} --closure graph --no-channel-copy"
        ))
    }
    Subject::new("Programs in a root", "What `install` runs there.")
        .case("The system has no `switch-to-configuration`", |stage| {
            stage.put("nixos-system/init", "");
            stage.directory("/mnt/root");
            stage.write("/mnt/graph", format!("{SYSTEM}\n\n0\n"));
            stage.run(&format!(
                "install --root /mnt/root --system {SYSTEM} --closure graph --no-channel-copy"
            ))
        })
        .case("The boot loader cannot be installed", |stage| {
            // A program without libraries, which takes no such argument.
            with_switch(stage, &fs::read(env::builder()).unwrap())
        })
        .case("A program that is not there", |stage| {
            prepared(stage);
            stage.run("install --root /mnt/root --chroot /bin/hello")
        })
}
