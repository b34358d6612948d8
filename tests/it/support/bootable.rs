//! Systems that boot from disks of ours: `tests/closures/bootable.nix`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::built::path;
use super::command::run;
use super::direct::Direct;
use super::firmware::U_BOOT;
use super::initrd::Initrd;
use super::nix::{Nix, PathInfo};
use super::qemu::DISK_MODULES;
use super::system::{Systems, copy_programs, program};
use super::{env, temporary};

/// A system in the store.
pub(crate) struct Bootable {
    /// Its store path.
    pub(crate) system: String,
    paths: Vec<PathInfo>,
}

/// What makes a disk grow when it boots.
const GROWTH_PROGRAMS: [&str; 3] = ["partx", "resize2fs", "sfdisk"];

impl Bootable {
    /// For x86-64: its Nix verifies the store, and it can grow.
    #[track_caller]
    pub(crate) fn x86_64() -> Self {
        let parts = Parts::new(&env::kernel(), &program("busybox"));
        let programs = temporary::directory();
        copy_programs(programs.path(), &GROWTH_PROGRAMS);
        let more = format!(
            "verify = \"nix-store --verify --check-contents\";
             path = [
               systems.nixPrograms
               (import {programs_nix} {{
                 inherit (systems) shell;
                 files = {programs};
                 names = {names:?};
               }})
             ];
             kernelParams = [
               \"console=ttyS0\" \"root=LABEL=nixos\" \"panic=-1\" \"quiet\" \"no_timer_check\"
             ];",
            programs_nix = path(&env::checkout().join("tests/closures/programs.nix")),
            programs = path(programs.path()),
            names = GROWTH_PROGRAMS.join(" "),
        );
        parts.build(&more)
    }

    /// For aarch64: it verifies the store by a list of sums. Of its device trees, `virt/qemu.dtb`
    /// is that of the machine with U-Boot.
    #[track_caller]
    pub(crate) fn aarch64() -> Self {
        let busybox = env::arm64().join("busybox");
        let parts = Parts::new(&env::arm64(), &busybox);
        let dtbs = temporary::directory();
        fs::create_dir(dtbs.path().join("virt")).unwrap();
        let machine = format!(
            "dtb-randomness=off,dumpdtb={}/virt/qemu.dtb",
            dtbs.path().display()
        );
        let mut qemu = Command::new("qemu-system-aarch64");
        qemu.args(U_BOOT).args(["-M", &machine]);
        run(qemu.args(["-m", "512", "-display", "none"]));
        let more = format!(
            "verify = \"sha256sum -s -c /sums\";
             dtbs = builtins.path {{ name = \"device-trees\"; path = {dtbs}; }};
             kernelParams = [ \"console=ttyAMA0\" \"root=LABEL=NIXOS_SD\" \"panic=-1\" \"quiet\" ];",
            dtbs = path(dtbs.path()),
        );
        parts.build(&more)
    }

    /// The disk that `image` asks for, with the system in the root of a NixOS.
    #[track_caller]
    pub(crate) fn disk(&self, mut image: Value) -> Disk {
        image["kind"] = json!("disk");
        image["root"] = json!({ "system": self.system });
        let derivation = Direct::new(image, &self.paths);
        run(&mut derivation.builder_after(&[]));
        Disk(derivation)
    }

    /// A list of the SHA-256 of each file in the closure, as `sha256sum` checks it.
    #[track_caller]
    pub(crate) fn sums(&self) -> String {
        let mut sums = String::new();
        for info in &self.paths {
            let mut find = Command::new("find");
            let files = run(find.args([&info.path, "-type", "f"]));
            for file in files.lines() {
                let sum = super::built::digest(Path::new(file));
                writeln!(sums, "{sum}  {file}").expect("a string takes all");
            }
        }
        sums
    }
}

/// A disk that was made, gone with the value.
pub(crate) struct Disk(Direct);

impl Disk {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.out()
    }
}

/// `content` as a file of the store with that name.
#[track_caller]
pub(crate) fn in_store(name: &str, content: &[u8]) -> String {
    let directory = temporary::directory();
    let file = directory.path().join(name);
    fs::write(&file, content).unwrap();
    let mut add = Command::new("nix-store");
    run(add.arg("--add").arg(&file)).trim_end().to_owned()
}

/// What a system is made of.
struct Parts {
    kernel: TempDir,
    initrd: TempDir,
    busybox: TempDir,
}

impl Parts {
    /// With the kernel and modules in `kernel`.
    #[track_caller]
    fn new(kernel: &Path, busybox: &Path) -> Self {
        let parts = Self {
            kernel: temporary::directory(),
            initrd: temporary::directory(),
            busybox: temporary::directory(),
        };
        fs::copy(kernel.join("vmlinuz"), parts.kernel.path().join("Image")).unwrap();
        fs::copy(busybox, parts.busybox.path().join("busybox")).unwrap();
        fs::write(parts.initrd.path().join("initrd"), initrd(kernel, busybox)).unwrap();
        parts
    }

    /// The system that has `more` attributes.
    #[track_caller]
    fn build(&self, more: &str) -> Bootable {
        let named = |name: &str, directory: &TempDir| {
            let directory = path(directory.path());
            format!("builtins.path {{ name = {name:?}; path = {directory}; }}")
        };
        let systems = Systems::new();
        let expression = systems.expression(&format!(
            "import {bootable} {{
               inherit (systems) shell;
               kernel = {kernel};
               initrd = {initrd};
               busybox = {busybox};
               {more}
             }}",
            bootable = path(&env::checkout().join("tests/closures/bootable.nix")),
            kernel = named("linux", &self.kernel),
            initrd = named("initrd-linux", &self.initrd),
            busybox = named("busybox-static", &self.busybox),
        ));
        let system = Nix::Machine.build(&["--expr", &expression]);
        Bootable {
            paths: Nix::Machine.closure(&[&system]),
            system,
        }
    }
}

/// The first files of the machine: they find its disk.
fn initrd(kernel: &Path, busybox: &Path) -> Vec<u8> {
    let mut initrd = Initrd::default();
    for directory in ["bin", "dev", "modules", "proc", "root", "sys"] {
        initrd.directory(directory);
    }
    let init = env::checkout().join("tests/closures/bootable/initrd.sh");
    initrd.file("init", &fs::read(init).unwrap());
    initrd.file("bin/busybox", &fs::read(busybox).unwrap());
    initrd.file("modules/order", DISK_MODULES.join("\n").as_bytes());
    for module in DISK_MODULES {
        let module = format!("{module}.ko");
        let content = fs::read(kernel.join(&module)).unwrap();
        initrd.file(&format!("modules/{module}"), &content);
    }
    initrd.finish()
}
