//! What reads an image before Linux does: the drivers of GRUB and of U-Boot
//! themselves, as Debian 12 has them.
//!
//! Both read all three profiles. `metadata_csum_seed` is refused by GRUBs of the 2.06
//! class, but not by Debian's 2.06, nor by Debian's U-Boot 2023.01.

use std::path::Path;
use std::process::Command;

use crc::{CRC_32_ISO_HDLC, Crc};
use nix2image::ext4::{Features, Options};
use nix2image::tree::{Node, NodeId, Tree};

use crate::support::command::run;
use crate::support::image::Image;
use crate::support::qemu::{Drive, Machine};
use crate::support::sample::{directory, empty, file, noise, put, roomy, symlink};
use crate::support::temporary;

#[test]
fn grub_reads_the_default_profile() {
    grub_reads(Features::default_profile());
}

#[test]
fn grub_reads_the_legacy_uboot_profile() {
    grub_reads(Features::legacy_uboot());
}

#[test]
fn grub_as_debian_has_it_reads_the_modern_profile() {
    grub_reads(Features::modern());
}

#[test]
fn uboot_reads_the_default_profile() {
    uboot_reads(Features::default_profile());
}

#[test]
fn uboot_reads_the_legacy_uboot_profile() {
    uboot_reads(Features::legacy_uboot());
}

#[test]
fn uboot_2023_reads_the_modern_profile() {
    uboot_reads(Features::modern());
}

/// A file to read, by its path without the first `/`.
struct Expected {
    path: String,
    content: Vec<u8>,
}

/// A tree with what a boot loader meets.
struct Sample {
    tree: Tree,
    files: Vec<Expected>,
    /// Names in `boot/crowd`, whose index has its own blocks.
    crowd: Vec<String>,
}

impl Sample {
    fn new() -> Self {
        let mut sample = Self {
            tree: empty(),
            files: Vec::new(),
            crowd: Vec::new(),
        };
        let boot = sample.put(Tree::ROOT, "boot", directory());
        let crowd = sample.put(boot, "crowd", directory());
        for number in 0..2000 {
            let name = format!("{number}-linux-and-a-name-of-some-length.efi");
            let content = format!("the file of number {number}\n");
            if number % 500 == 0 {
                sample.put_file(crowd, "boot/crowd", &name, content.into_bytes());
            } else {
                sample.put(crowd, &name, file(content));
            }
            sample.crowd.push(name);
        }
        let mut deep = (crowd, "boot/crowd".to_owned());
        for level in 0..20 {
            let name = format!("level {level}");
            let path = format!("{}/{name}", deep.1);
            if level == 0 {
                sample.crowd.push(name.clone());
            }
            deep = (sample.put(deep.0, &name, directory()), path);
        }
        sample.put_file(deep.0, &deep.1, "a name with spaces", noise(5000, 1));
        // An extent ends at 128 MiB, and at every group's own blocks.
        sample.put_file(boot, "boot", "several extents", noise(135_000_001, 2));
        sample.put_file(boot, "boot", "one-block", noise(4096, 3));
        sample.put_file(boot, "boot", "kernel", noise(100_000, 4));
        sample.put(boot, "link", symlink("kernel"));
        sample.put(boot, "slow-link", symlink("./".repeat(40) + "kernel"));
        for link in ["boot/link", "boot/slow-link"] {
            sample.files.push(Expected {
                path: link.to_owned(),
                content: noise(100_000, 4),
            });
        }
        sample
    }

    fn put(&mut self, parent: NodeId, name: &str, node: Node) -> NodeId {
        put(&mut self.tree, parent, name, node)
    }

    fn put_file(&mut self, parent: NodeId, directory: &str, name: &str, content: Vec<u8>) {
        self.put(parent, name, file(&content));
        let path = format!("{directory}/{name}");
        self.files.push(Expected { path, content });
    }

    /// Its image, and the rest.
    #[track_caller]
    fn image(self, features: Features) -> (Image, Vec<Expected>, Vec<String>) {
        let options = Options {
            features,
            ..roomy()
        };
        (Image::of(self.tree, &options), self.files, self.crowd)
    }
}

/// Fails unless GRUB's driver lists and reads the sample.
#[track_caller]
fn grub_reads(features: Features) {
    let (image, files, crowd) = Sample::new().image(features);
    let grub = |command: &[&str]| run(Command::new("grub-fstest").arg(image.path()).args(command));
    let listing = grub(&["ls", "(loop0)/boot/crowd"]);
    let mut expected: Vec<_> = crowd
        .iter()
        .flat_map(|name| name.split(' '))
        .map(|word| if word == "0" { "0/" } else { word }) // of "level 0", a directory
        .collect();
    let mut found: Vec<_> = listing.split_whitespace().collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);

    let host = temporary::directory();
    let local = host.path().join("content");
    for Expected { path, content } in files {
        let _ = std::fs::remove_file(&local);
        grub(&["cp", &format!("(loop0)/{path}"), local.to_str().unwrap()]);
        assert!(std::fs::read(&local).unwrap() == content, "{path}");
    }
}

/// Fails unless U-Boot's driver lists and reads the sample.
#[track_caller]
fn uboot_reads(features: Features) {
    let (image, files, crowd) = Sample::new().image(features);
    let mut uboot = UBoot::start(&image.path());
    let listing = uboot.run("ext4ls virtio 0 /boot/crowd");
    let mut found: Vec<_> = listing.lines().filter_map(name_in_listing).collect();
    let mut expected: Vec<_> = crowd.iter().map(String::as_str).collect();
    expected.extend([".", ".."]);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);

    for Expected { path, content } in files {
        let loaded = uboot.run(&format!("ext4load virtio 0 {LOAD_AT} \"/{path}\""));
        let expected = format!("{} bytes read", content.len());
        assert!(loaded.contains(&expected), "{path}: {loaded}");
        let sum = uboot.run(&format!("crc32 {LOAD_AT} ${{filesize}}"));
        let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&content);
        assert!(sum.contains(&format!("==> {crc:08x}")), "{path}: {sum}");
    }
    uboot.finish();
}

/// Where files are loaded: well above the start of memory, far below U-Boot.
const LOAD_AT: &str = "0x42000000";

/// Of a line as `<DIR>       4096 name`, or the same with spaces for a file.
fn name_in_listing(line: &str) -> Option<&str> {
    let line = line.trim_end_matches('\r');
    let rest = line.get(5..)?.trim_start();
    let (size, name) = rest.split_once(' ')?;
    size.parse::<u64>().ok().map(|_| name)
}

/// A machine that has nothing but U-Boot.
struct UBoot(Machine);

impl UBoot {
    /// After a new line: `==> ` ends in it too.
    const PROMPT: &str = "\n=> ";

    #[track_caller]
    fn start(disk: &Path) -> Self {
        const U_BOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
        let arguments = ["-M", "virt", "-cpu", "cortex-a57", "-bios", U_BOOT];
        let mut machine = Machine::start("aarch64", &arguments, &Drive::plain(disk));
        machine.wait_for("Hit any key");
        machine.send(" ");
        machine.wait_for(Self::PROMPT);
        Self(machine)
    }

    /// Runs `command`; gives what it said, with the command itself.
    #[track_caller]
    fn run(&mut self, command: &str) -> String {
        self.0.send(&format!("{command}\r"));
        self.0.wait_for(Self::PROMPT)
    }

    #[track_caller]
    fn finish(mut self) {
        self.0.send("reset\r");
        self.0.finish();
    }
}
