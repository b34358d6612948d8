//! The store in an image is its own: Nix finds it valid, keeps what is rooted, goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::built::{Built, build};
use crate::support::command::{output, run};
use crate::support::env;
use crate::support::fsck::e2fsck_is_silent;
use crate::support::initrd::Initrd;
use crate::support::mount::Mounted;
use crate::support::nix::Nix;
use crate::support::qemu::{self, Machine};
use crate::support::system::{Systems, program};

const PROFILE: &str = "nix/var/nix/profiles/system";

/// Store paths of the systems.
struct Paths {
    first: String,
    second: String,
    garbage: String,
    shell: String,
}

impl Paths {
    fn new(systems: &Systems) -> Self {
        let path = |what: &str| {
            let path = Nix::Machine.build(&["--expr", &systems.expression(what)]);
            path.lines().next().unwrap().to_owned()
        };
        Self {
            first: path("systems.first"),
            second: path("systems.second"),
            garbage: path("systems.garbage"),
            shell: Nix::Machine
                .evaluate(&systems.expression("systems.shell"))
                .as_str()
                .unwrap()
                .to_owned(),
        }
    }
}

/// An image of the root of `systems.first`, with more store paths than that.
fn image(systems: &Systems) -> Built {
    build(
        Nix::Machine,
        &systems.expression(
            r#"nix2image.makeExt4Fs {
                storePaths = [ systems.first systems.second systems.garbage systems.channel ];
                volumeLabel = "nixos";
                root = {
                    system = systems.first;
                    channel = systems.channel;
                    shell = systems.shell;
                };
            }"#,
        ),
    )
}

/// A Nix that works on the store below a directory.
struct Store<'a> {
    nix: Nix,
    root: &'a Path,
}

impl Store<'_> {
    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.nix.command(program);
        command.arg("--store").arg(self.root).args(arguments);
        run(&mut command)
    }

    /// What `nix-env` says of the system profile.
    #[track_caller]
    fn profile(&self, arguments: &[&str]) -> String {
        let profile = self.root.join(PROFILE);
        let profile = ["--profile", profile.to_str().unwrap()];
        self.run("nix-env", &[&profile, arguments].concat())
    }

    fn is_valid(&self, path: &str) -> bool {
        let mut command = self.nix.command("nix-store");
        command.arg("--store").arg(self.root);
        output(command.args(["--check-validity", path]))
            .status
            .success()
    }
}

/// The content address of `path`, as `nix path-info --json` tells it: in a list or a map.
fn content_address(told: &Value, path: &str) -> Option<String> {
    let info = match told {
        Value::Array(infos) => infos.iter().find(|info| info["path"] == path)?,
        _ => &told[path],
    };
    info["ca"].as_str().map(str::to_owned)
}

#[test]
fn nix_owns_the_store_of_an_image() {
    let systems = Systems::new();
    let paths = Paths::new(&systems);
    let requisites = Nix::Machine.closure(&[&paths.first, &paths.second]);
    let image = image(&systems);
    let mut releases = vec![Nix::Machine, Nix::Trixie];
    if env::is_full() {
        releases.push(Nix::Forky);
    }
    for nix in releases {
        let mounted = Mounted::writable_where_every_nix_sees_it(&image);
        let store = Store {
            nix,
            root: mounted.root(),
        };

        store.run("nix-store", &["--verify", "--check-contents"]);
        for info in &requisites {
            let mut references: Vec<_> = store
                .run("nix-store", &["--query", "--references", &info.path])
                .lines()
                .map(str::to_owned)
                .collect();
            references.sort_unstable();
            assert_eq!(references, info.references, "{nix:?} {}", info.path);
            let hash = store.run("nix-store", &["--query", "--hash", &info.path]);
            let known = run(Command::new("nix-store").args(["--query", "--hash", &info.path]));
            assert_eq!(hash, known, "{nix:?}");
        }
        let query = ["--query", "--requisites", &paths.first];
        let mut found: Vec<_> = store
            .run("nix-store", &query)
            .lines()
            .map(str::to_owned)
            .collect();
        found.sort_unstable();
        let mut expected = Nix::Machine.query(&query[1..]);
        expected.sort_unstable();
        assert_eq!(found, expected, "{nix:?}");

        let told = store.run("nix", &["path-info", "--json", "--all"]);
        let told: Value = serde_json::from_str(&told).unwrap();
        let greeting = requisites
            .iter()
            .find(|info| info.path.ends_with("-greeting"))
            .unwrap();
        let address = content_address(&told, &greeting.path).unwrap_or_default();
        assert!(address.starts_with("text:sha256:"), "{nix:?} {told}");
        assert_eq!(content_address(&told, &paths.first), None);

        a_system_is_set_and_rolled_back(&store, &paths);
        a_collection_keeps_what_is_rooted(&store, &paths);
        a_build_works(&store, &paths);
        store.run("nix-store", &["--verify", "--check-contents"]);
        drop(mounted);
        e2fsck_is_silent(&image);
    }
}

#[track_caller]
fn a_system_is_set_and_rolled_back(store: &Store<'_>, paths: &Paths) {
    let generations = || {
        store
            .profile(&["--list-generations"])
            .trim()
            .lines()
            .count()
    };
    let current = || fs::read_link(store.root.join(PROFILE)).unwrap();
    // What the release before this one did to the image is there.
    let before = generations();
    assert_eq!(current(), Path::new("system-1-link"));
    store.profile(&["--set", &paths.second]);
    assert_eq!(generations(), before.max(2));
    assert_ne!(current(), Path::new("system-1-link"));
    store.profile(&["--rollback"]);
    assert_eq!(current(), Path::new("system-1-link"));
}

#[track_caller]
fn a_collection_keeps_what_is_rooted(store: &Store<'_>, paths: &Paths) {
    store.run("nix-collect-garbage", &[]);
    for kept in [&paths.first, &paths.second] {
        assert!(store.is_valid(kept), "{:?} dropped {kept}", store.nix);
    }
    assert!(!store.is_valid(&paths.garbage));
    let below: PathBuf = Path::new(&paths.garbage).components().skip(1).collect();
    assert!(!store.root.join(below).exists());
}

#[track_caller]
fn a_build_works(store: &Store<'_>, paths: &Paths) {
    let expression = format!(
        r#"derivation {{
            name = "built-in-the-image";
            system = builtins.currentSystem;
            builder = "${{builtins.storePath {busybox}}}/busybox";
            args = [ "sh" "-c" "echo built > $out" ];
        }}"#,
        busybox = Path::new(&paths.shell).parent().unwrap().display(),
    );
    let built = store.run("nix-build", &["--no-out-link", "--expr", &expression]);
    let below: PathBuf = Path::new(built.trim_end()).components().skip(1).collect();
    assert_eq!(
        fs::read_to_string(store.root.join(below)).unwrap(),
        "built\n"
    );
}

#[test]
fn a_booted_image_runs_its_own_nix() {
    let systems = Systems::new();
    let paths = Paths::new(&systems);
    let image = image(&systems);
    let initrd = image.with_file_name("initrd");
    fs::write(&initrd, self::initrd()).unwrap();
    let console = Machine::boot_linux(&initrd, &image);
    for line in [
        "the shell is there",
        "(current)",
        &format!("/nix/var/nix/profiles/system-1-link -> {}", paths.first),
        "store paths deleted",
        "\nall done",
    ] {
        assert!(console.contains(line), "{line:?}:\n{console}");
    }
    assert!(!console.contains("error"), "{console}");
    assert!(!console.contains("FAILED"), "{console}");
    e2fsck_is_silent(&image);
}

/// The machine's own files: what finds the disk and starts the system on it.
fn initrd() -> Vec<u8> {
    let mut initrd = Initrd::default();
    for directory in ["bin", "dev", "disk", "modules", "proc"] {
        initrd.directory(directory);
    }
    initrd.file("init", include_bytes!("owned_store/init.sh"));
    initrd.file("bin/busybox", &fs::read(program("busybox")).unwrap());
    for module in qemu::DISK_MODULES {
        let module = format!("{module}.ko");
        let content = fs::read(env::kernel().join(&module)).unwrap();
        initrd.file(&format!("modules/{module}"), &content);
    }
    initrd.finish()
}
