//! Installing into a mounted disk: what the system's own programs see, and what is left.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::command::{describe, output, run, run_to_failure, start};
use crate::support::fsck::e2fsck_is_silent;
use crate::support::mount::Mounted;
use crate::support::nix::Nix;
use crate::support::system::Systems;
use crate::support::temporary;

/// Bytes of the disk; most of them are never written.
const DISK_BYTES: u64 = 1 << 30;

/// A disk that is formatted and mounted.
struct Disk {
    // Unmounted before the image goes.
    mounted: Mounted,
    directory: TempDir,
}

impl Disk {
    #[track_caller]
    fn new() -> Self {
        let directory = temporary::directory();
        let image = directory.path().join("disk");
        File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(&image));
        let mounted = Mounted::writable("ext4", &image);
        Self { mounted, directory }
    }

    fn root(&self) -> &Path {
        self.mounted.root()
    }

    /// Adds an empty file, or one with `content`, to `/etc`.
    fn put(&self, name: &str, content: &str) {
        fs::create_dir_all(self.root().join("etc")).unwrap();
        fs::write(self.root().join("etc").join(name), content).unwrap();
    }

    /// `install --root` of this disk, at no terminal.
    fn install(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nix2image"));
        command.arg("install").arg("--root").arg(self.root());
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// The lines of what the system recorded that begin with `what`.
    #[track_caller]
    fn saw(&self, what: &str) -> Vec<String> {
        let saw = fs::read_to_string(self.root().join("saw")).unwrap();
        let below = |line: &str| Some(line.strip_prefix(what)?.trim().to_owned());
        saw.lines().filter_map(below).collect()
    }

    /// That nothing is mounted but the disk, and that nothing is left beside what is there.
    #[track_caller]
    fn assert_left_alone(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = self.root().to_str().unwrap();
        let here: Vec<_> = mounts.lines().filter(|line| line.contains(root)).collect();
        assert_eq!(here.len(), 1, "{here:#?}");
        for (name, entries) in [("dev", 0), ("proc", 0), ("sys", 0), ("run", 1)] {
            // A prepared root has `/run/current-system`.
            let directory = fs::read_dir(self.root().join(name)).unwrap();
            assert_eq!(directory.count(), entries, "/{name}");
        }
        for name in ["resolv.conf", "hosts"] {
            let link = fs::read_link(self.root().join("etc").join(name));
            let is_ours = link.is_ok_and(|link| link.starts_with("/run/nix2image"));
            assert!(!is_ours, "/etc/{name} is left");
        }
    }

    /// Unmounts it and asks e2fsck.
    #[track_caller]
    fn check(self) {
        let Self { mounted, directory } = self;
        drop(mounted);
        e2fsck_is_silent(&directory.path().join("disk"));
    }
}

/// The store path of one of the systems.
#[track_caller]
fn build(name: &str) -> String {
    let systems = Systems::new();
    let expression = systems.expression(&format!("systems.{name}"));
    Nix::Machine.build(&["--expr", &expression])
}

/// The first line of a file of the host, as far as a system records it.
fn first_line(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let start: String = text.chars().take(40).collect();
    start.lines().next().unwrap_or_default().trim().into()
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, messages: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.matches("nix2image: error: ").count(), 1, "{stderr}");
    for message in messages {
        assert!(stderr.contains(message), "{stderr}");
    }
}

#[test]
fn whoever_is_at_a_terminal_is_asked_for_roots_password() {
    let first = build("first");
    for (arguments, is_asked) in [("", true), ("--no-root-passwd", false)] {
        let disk = Disk::new();
        let install = format!(
            "{program} install --root {root} --system {first} --no-channel-copy {arguments}",
            program = env!("CARGO_BIN_EXE_nix2image"),
            root = disk.root().display(),
        );
        // It runs the command at a terminal of its own.
        let mut script = Command::new("script");
        run(script
            .args(["-qec", &install, "/dev/null"])
            .stdin(Stdio::null()));
        disk.assert_left_alone();
        // The stand-in asks by copying what its activation left.
        let asked = fs::read_to_string(disk.root().join("asked"));
        assert_eq!(asked.ok().as_deref(), is_asked.then_some("1\n"));
        disk.check();
    }
}

#[test]
fn a_system_installs_its_boot_loader_in_the_root() {
    let (first, channel) = (build("first"), build("channel"));
    let disk = Disk::new();
    // Whatever the user's shell has.
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_nix2image"));
    command.args(["install", "--root"]).arg(disk.root());
    command.args(["--system", &first, "--channel", &channel]);
    command.stdin(Stdio::null());
    command.env("LANG", "de_DE.UTF-8").env("LC_ALL", "C.UTF-8");
    command.env("NIX_REMOTE", "daemon").env("TERM", "vt100");
    run(&mut command);
    disk.assert_left_alone();
    assert!(!disk.root().join("asked").exists(), "there is no terminal");

    assert_eq!(disk.saw("argument "), ["boot"]);
    assert_eq!(disk.saw("system "), [first.as_str()]);
    assert_eq!(disk.saw("umask "), ["0022"]);
    let mut environment = disk.saw("environment ");
    let of_the_shell = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    environment.retain(|line| !of_the_shell.iter().any(|name| line.starts_with(name)));
    environment.retain(|line| !line.to_lowercase().contains("_proxy="));
    assert_eq!(
        environment,
        [
            "HOME=/root",
            "LANG=",
            "LC_ALL=",
            "LC_TIME=",
            "LOGNAME=root",
            "NIXOS_INSTALL_BOOTLOADER=1",
            "PATH=/nix/var/nix/profiles/system/sw/bin",
            "TERM=vt100",
            "USER=root",
        ]
    );
    let mounts = disk.saw("mount ");
    for start in [
        "/ ext4 ",
        "/proc proc ",
        "/dev ",
        "/sys sysfs ",
        "/run tmpfs ",
    ] {
        assert!(
            mounts.iter().any(|mount| mount.starts_with(start)),
            "{start}: {mounts:#?}"
        );
    }
    assert!(
        mounts
            .iter()
            .any(|mount| mount.starts_with("/run tmpfs ") && mount.contains("mode=755"))
    );
    let files = disk.saw("file ");
    for name in ["resolv.conf", "hosts"] {
        let line = first_line(&format!("/etc/{name}"));
        let expected = format!("/etc/{name} /run/nix2image/{name} {line}");
        assert!(files.contains(&expected), "{expected}: {files:#?}");
    }
    assert!(
        files
            .iter()
            .any(|file| file.starts_with("/etc/mtab /proc/mounts ")),
        "{files:#?}"
    );
    let current = "/run/current-system /nix/var/nix/profiles/system";
    assert!(
        files.iter().any(|file| file.starts_with(current)),
        "{files:#?}"
    );

    let profiles = disk.root().join("nix/var/nix/profiles");
    let link = |name: &str| fs::read_link(profiles.join(name)).unwrap();
    assert_eq!(link("system-1-link"), Path::new(&first));
    assert_eq!(link("per-user/root/channels-1-link"), Path::new(&channel));
    let store = fs::metadata(disk.root().join("nix/store")).unwrap();
    assert_eq!(
        (store.mode() & 0o7777, store.uid(), store.gid()),
        (0o1775, 0, 30000)
    );
    disk.check();
}

#[test]
fn a_second_system_is_the_second_generation_and_what_is_valid_is_kept() {
    let (first, second) = (build("first"), build("second"));
    let programs = build("nixPrograms");
    let disk = Disk::new();
    run(&mut disk.install(&["--system", &first, "--no-channel-copy"]));
    let inode = |path: &str| fs::metadata(disk.root().join(&path[1..])).unwrap().ino();
    let before = inode(&programs);

    // Files of the root's own are in the way, and come back.
    disk.put("hosts", "mine\n");
    let resolver = "../run/systemd/resolve/stub-resolv.conf";
    symlink(resolver, disk.root().join("etc/resolv.conf")).unwrap();
    run(&mut disk.install(&["--system", &second, "--no-channel-copy"]));
    disk.assert_left_alone();

    let files = disk.saw("file ");
    let hosts = format!("/etc/hosts  {}", first_line("/etc/hosts"));
    let resolv_conf = format!(
        "/etc/resolv.conf {resolver} {}",
        first_line("/etc/resolv.conf")
    );
    assert!(files.contains(&hosts), "{hosts}: {files:#?}");
    assert!(files.contains(&resolv_conf), "{resolv_conf}: {files:#?}");
    assert_eq!(fs::read(disk.root().join("etc/hosts")).unwrap(), b"mine\n");
    let link = fs::read_link(disk.root().join("etc/resolv.conf")).unwrap();
    assert_eq!(link, Path::new(resolver));

    assert_eq!(disk.saw("system "), [second.as_str()]);
    assert_eq!(inode(&programs), before);
    let profiles = disk.root().join("nix/var/nix/profiles");
    let link = |name: &str| fs::read_link(profiles.join(name)).unwrap();
    assert_eq!(link("system"), Path::new("system-2-link"));
    assert_eq!(link("system-1-link"), Path::new(&first));
    assert_eq!(link("system-2-link"), Path::new(&second));
    disk.check();
}

#[test]
fn a_boot_loader_that_fails_is_told_and_nothing_stays_mounted() {
    let first = build("first");
    let disk = Disk::new();
    disk.put("fail", "");
    let mut install = disk.install(&["--system", &first, "--no-channel-copy"]);
    let messages = [
        "bin/switch-to-configuration boot ended with exit status 3",
        "--chroot",
    ];
    assert_fails(&output(&mut install), 1, &messages);
    disk.assert_left_alone();
    assert!(disk.root().join("nix/var/nix/profiles/system").is_symlink());
    disk.check();
}

#[test]
fn without_a_boot_loader_nothing_of_the_system_is_run() {
    let first = build("first");
    let disk = Disk::new();
    run(&mut disk.install(&["--system", &first, "--no-channel-copy", "--no-boot-loader"]));
    disk.assert_left_alone();
    assert!(!disk.root().join("saw").exists());
    assert!(disk.root().join("etc/NIXOS").exists());
}

/// An installer whose system's program sleeps, for `seconds` that nobody else sleeps.
#[track_caller]
fn asleep(disk: &Disk, seconds: &str) -> Child {
    let first = build("first");
    disk.put("sleep", seconds);
    let mut install = disk.install(&["--system", &first, "--no-channel-copy"]);
    let child = start(install.stderr(Stdio::piped()));
    until("the program sleeps", || is_running(seconds));
    assert!(most_mounts(disk.root()) > 4);
    child
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(120), "not {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a program runs that has `word` as an argument.
fn is_running(word: &str) -> bool {
    fs::read_dir("/proc").unwrap().any(|entry| {
        let line = entry.and_then(|entry| fs::read(entry.path().join("cmdline")));
        line.is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|found| found == word.as_bytes())
        })
    })
}

#[test]
fn a_killed_installer_leaves_no_process_and_no_mount() {
    let disk = Disk::new();
    let seconds = "8640017";
    let mut child = asleep(&disk, seconds);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the program is gone", || !is_running(seconds));
    until("its mounts are gone", || most_mounts(disk.root()) == 1);
    disk.assert_left_alone();
    disk.check();
}

/// As many mounts in `root` as any process sees that sees most.
fn most_mounts(root: &Path) -> usize {
    let root = root.to_str().unwrap();
    let mounts = |process: std::io::Result<fs::DirEntry>| {
        let mounts = fs::read_to_string(process.ok()?.path().join("mountinfo")).ok()?;
        Some(mounts.lines().filter(|line| line.contains(root)).count())
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(mounts)
        .max()
        .unwrap()
}

#[test]
fn an_installer_that_is_told_to_stop_says_so() {
    for (signal, seconds) in [("INT", "8640018"), ("TERM", "8640019")] {
        let disk = Disk::new();
        let child = asleep(&disk, seconds);
        let pid = child.id().to_string();
        run(Command::new("kill").args(["-s", signal, &pid]));
        let output = child.wait_with_output().unwrap();
        assert_fails(&output, 1, &["nix2image: error: interrupted\n"]);
        assert!(!is_running(seconds));
        disk.assert_left_alone();
    }
}

#[test]
fn a_command_runs_in_an_installed_root() {
    let first = build("first");
    let disk = Disk::new();
    let not_yet = output(&mut disk.install(&["--chroot", "true"]));
    assert_fails(&not_yet, 2, &["install a system there first"]);

    run(&mut disk.install(&["--system", &first, "--no-channel-copy", "--no-boot-loader"]));
    let script = "busybox cat /run/current-system/generation /proc/$$/comm; busybox pwd; exit 7";
    let mut chroot = disk.install(&["--chroot", "sh", "-c", script]);
    let ended = output(&mut chroot);
    assert_eq!(
        ended.status.code(),
        Some(7),
        "{}",
        describe(&chroot, &ended)
    );
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "first\nsh\n/\n");
    let killed = output(&mut disk.install(&["--chroot", "sh", "-c", "kill -9 $$"]));
    assert_eq!(killed.status.code(), Some(128 + 9));
    let missing = output(&mut disk.install(&["--chroot", "no-such-program"]));
    assert_fails(&missing, 1, &["cannot run no-such-program: "]);
    disk.assert_left_alone();

    // The Nix in the root answers for its own store.
    let query = ["--chroot", "nix-store", "-q", "--references", &first];
    let mut found: Vec<_> = run(&mut disk.install(&query))
        .lines()
        .map(str::to_owned)
        .collect();
    let mut expected = Nix::Machine.query(&["--references", &first]);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    disk.assert_left_alone();
}

/// A stand-in for nixpkgs: its system is what the configuration says.
fn nixpkgs() -> TempDir {
    let directory = temporary::directory();
    fs::create_dir(directory.path().join("nixos")).unwrap();
    let text = "{ configuration ? <nixos-config> }: { system = import configuration; }";
    fs::write(directory.path().join("nixos/default.nix"), text).unwrap();
    directory
}

#[test]
fn without_a_system_the_configuration_of_the_root_is_built() {
    let nixpkgs = nixpkgs();
    let systems = Systems::new();
    let disk = Disk::new();
    let install = || {
        let mut install = disk.install(&["--no-channel-copy"]);
        let path = format!("nixpkgs={}", nixpkgs.path().display());
        install.env("NIX_PATH", path);
        install
    };
    let configuration = "etc/nixos/configuration.nix";
    assert_fails(&output(&mut install()), 2, &[configuration, "--system"]);

    disk.put("x", "");
    fs::create_dir(disk.root().join("etc/nixos")).unwrap();
    let file: PathBuf = disk.root().join(configuration);
    fs::write(&file, "throw \"no good\"").unwrap();
    assert_fails(
        &output(&mut install()),
        1,
        &["nix-build of", configuration, "no good"],
    );

    fs::write(&file, systems.expression("systems.first")).unwrap();
    run(&mut install());
    assert_eq!(disk.saw("system "), [build("first")]);
    disk.assert_left_alone();
}

#[test]
fn a_system_that_is_not_in_the_closure_is_named() {
    let (first, garbage) = (build("first"), build("garbage"));
    let disk = Disk::new();
    let export = disk.directory.path().join("x.closure");
    let mut nix_store = Command::new("nix-store");
    nix_store.args(["--export", &garbage]);
    nix_store.stdout(File::create(&export).unwrap());
    assert!(start(&mut nix_store).wait().unwrap().success());
    let closure = ["--closure", export.to_str().unwrap(), "--system", &first];
    assert_fails(&output(&mut disk.install(&closure)), 2, &[&first]);

    let unknown = "/nix/store/11111111111111111111111111111111-unknown";
    let mut install = disk.install(&["--system", unknown, "--no-channel-copy"]);
    assert_fails(&output(&mut install), 2, &[unknown, "is not valid"]);
}

#[test]
fn the_channel_of_the_host_is_copied() {
    let (first, channel) = (build("first"), build("channel"));
    let state = temporary::directory();
    let profiles = state.path().join("profiles/per-user/root");
    fs::create_dir_all(&profiles).unwrap();
    symlink(&channel, profiles.join("channels-4-link")).unwrap();
    symlink("channels-4-link", profiles.join("channels")).unwrap();
    symlink("/nix/var/nix/db", state.path().join("db")).unwrap();
    let disk = Disk::new();
    let mut install = disk.install(&["--system", &first, "--no-boot-loader"]);
    run(install.env("NIX_STATE_DIR", state.path()));
    let link = "nix/var/nix/profiles/per-user/root/channels-1-link";
    let link = fs::read_link(disk.root().join(link)).unwrap();
    assert_eq!(link, Path::new(&channel));
    assert!(disk.root().join(&channel[1..]).join("default.nix").exists());
}

#[test]
fn only_root_installs_and_only_into_directories() {
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nix2image"));
        command.arg0("nixos-install");
        command
    };
    let copy = temporary::directory();
    let readable = copy.path().join("nixos-install");
    fs::copy(env!("CARGO_BIN_EXE_nix2image"), &readable).unwrap();
    run(Command::new("chmod").arg("755").arg(copy.path()));
    let mut somebody = Command::new(&readable);
    let message = run_to_failure(somebody.args(["--root", "/tmp"]).uid(65534));
    assert!(message.contains("only root can install"), "{message}");

    let missing = output(program().args(["--root", "/does/not/exist"]));
    assert_fails(&missing, 2, &["/does/not/exist", "mount the target there"]);
    let file = output(program().args(["--root", "/etc/hosts"]));
    assert_fails(&file, 2, &["/etc/hosts must be a directory"]);
}
