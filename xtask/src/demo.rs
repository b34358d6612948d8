//! `cargo xtask demo`: an image of a small closure, made by a real nix-build.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use xshell::cmd;

use crate::prerequisites::{self, FOR_BUILD, FOR_DEMO};
use crate::step::{seconds, step};
use crate::workspace::Workspace;
use crate::{builder, nix, test_env};

const BYTES_PER_MIB: f64 = 1_048_576.0;

/// An image that has been built and checked.
struct Demo {
    /// The file in the Nix store.
    image: String,
    /// The root of the closure in it.
    closure: String,
    /// How long Nix took to build it.
    elapsed: Duration,
}

/// Builds the image twice, checks it, and says what it is and what to try next.
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let shell = &workspace.shell;
    prerequisites::ensure(workspace, &[FOR_BUILD, FOR_DEMO])?;
    let builder = builder::build(workspace)?;
    let closure = step("make a small closure", || {
        test_env::small_closure(workspace)
    })?;
    let out_link = workspace.target.join("demo.img");
    let nix_build = |options: &[&str]| {
        cmd!(
            shell,
            "nix-build xtask/demo.nix --argstr builder {builder} --argstr closure {closure}"
        )
        .args(options)
        .arg("--out-link")
        .arg(&out_link)
    };
    let image = step("build an image from it", || {
        nix_build(&[]).ignore_stdout().run()?;
        nix::linked(&out_link)
    })?;
    let begin = Instant::now();
    step("build it again and compare", || {
        Ok(nix_build(&["--check"]).ignore_stdout().run()?)
    })?;
    let elapsed = begin.elapsed();
    step("check it with e2fsck", || {
        Ok(cmd!(shell, "e2fsck -fn {image}").run()?)
    })?;

    report(
        workspace,
        &Demo {
            image,
            closure,
            elapsed,
        },
        &out_link,
    )
}

fn report(workspace: &Workspace, demo: &Demo, out_link: &Path) -> Result<()> {
    let shell = &workspace.shell;
    let Demo {
        image,
        closure,
        elapsed,
    } = demo;
    let metadata = Path::new(image)
        .metadata()
        .with_context(|| format!("reading {image}"))?;
    let bytes = metadata.size();
    ensure!(bytes > 0, "the image {image} is empty");
    let allocated = metadata.blocks() * 512;
    let store_paths = cmd!(shell, "nix-store --query --requisites {closure}")
        .quiet()
        .read()?;
    let store_paths: Vec<&str> = store_paths.lines().collect();
    let sizes = cmd!(shell, "nix-store --query --size {store_paths...}")
        .quiet()
        .read()?;
    let sizes: Vec<u64> = sizes.lines().map(str::parse).collect::<Result<_, _>>()?;
    let root = cmd!(shell, "debugfs -R {DEBUGFS_LIST_ROOT} {image}")
        .quiet()
        .ignore_stderr()
        .read()?;

    let out_link = out_link.display();
    println!(
        "
An ext4 image, built by nix-build in its sandbox: no root, no VM, no loop device.

  image      {image}
  link       {out_link}
  size       {:.1} MiB ({bytes} bytes), of which {:.1} MiB are allocated
  label      demo
  content    {} store paths, {:.1} MiB
  root       {}
  time       {}, the whole nix-build; built twice, with the same bytes
  e2fsck     found nothing

Try next:

  debugfs -R 'ls -l /nix/store' {out_link}
  mount -o loop,ro,noload {out_link} /mnt && ls -l /mnt/nix/store; umount /mnt
  cat xtask/demo.nix     # the expression; README.md has a flake to paste
",
        to_mib(bytes),
        to_mib(allocated),
        sizes.len(),
        to_mib(sizes.iter().sum()),
        names(&root).join("  "),
        seconds(*elapsed),
    );
    Ok(())
}

/// Lines such as `/12/040755/0/0/name/size/`.
const DEBUGFS_LIST_ROOT: &str = "ls -p /";

/// The names in what debugfs lists, without `.` and `..`.
fn names(listing: &str) -> Vec<&str> {
    listing
        .lines()
        .filter_map(|line| line.split('/').nth(5))
        .filter(|name| !matches!(*name, "" | "." | ".."))
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown with one digit after the point"
)]
fn to_mib(bytes: u64) -> f64 {
    bytes as f64 / BYTES_PER_MIB
}
