//! What the integration tests find ready, and how they are told.

use std::path::PathBuf;

use anyhow::Result;
use xshell::{Cmd, Shell, cmd};

use crate::step::step;
use crate::workspace::Workspace;
use crate::{closure, kernel, nix};

/// Where the small closure's expression stands in the target directory; what Nix
/// built of it is linked beside it.
const SMALL_CLOSURE: &str = "test-env/small";

/// A small closure, other releases of Nix, and a kernel for QEMU's machines.
pub(crate) struct TestEnv {
    small_closure: PathBuf,
    kernel: PathBuf,
    /// The same for aarch64.
    arm64: PathBuf,
    /// The Debian suites whose Nix the tests run beside the machine's own.
    other_suites: Vec<&'static str>,
    nix_in: PathBuf,
    /// Where `nix_in` keeps the roots of other Nix releases: they outlive the checkout.
    nix_roots: PathBuf,
    /// Directories that must be seen under the other Nix too.
    nix_in_paths: String,
}

impl TestEnv {
    /// Makes what is not there.
    pub(crate) fn prepare(workspace: &Workspace) -> Result<Self> {
        let temporary = std::env::temp_dir();
        let env = Self {
            small_closure: workspace.target.join(SMALL_CLOSURE),
            kernel: workspace.target.join("test-env/kernel"),
            arm64: workspace.target.join("test-env/arm64"),
            other_suites: other_suites(workspace)?,
            nix_in: workspace.root.join("tests/nix-versions/nix-in"),
            nix_in_paths: format!("{}:{}", workspace.target.display(), temporary.display()),
            nix_roots: workspace
                .shell
                .var_os("NIX_ROOTS")
                .unwrap_or_else(|| "/var/cache/nix-roots".into())
                .into(),
        };
        step("make the small closure", || {
            small_closure(workspace)?;
            Ok(())
        })?;
        step("unpack kernels for virtual machines", || {
            kernel::prepare(workspace, &env.kernel)?;
            kernel::prepare_arm64(workspace, &env.arm64)
        })?;
        step("make the roots of the other releases of Nix", || {
            let nix_in = &env.nix_in;
            for suite in &env.other_suites {
                let nix = cmd!(workspace.shell, "{nix_in} {suite} nix --version");
                env.tell(nix).run()?;
            }
            Ok(())
        })?;
        Ok(env)
    }

    /// Removes all garbage from the stores of the other releases.
    pub(crate) fn collect_garbage(&self, shell: &Shell) -> Result<()> {
        let nix_in = &self.nix_in;
        for suite in &self.other_suites {
            let collect = cmd!(shell, "{nix_in} {suite} nix-collect-garbage --quiet");
            self.tell(collect).ignore_stdout().run()?;
        }
        Ok(())
    }

    /// Gives `command` the variables that `tests/it/support/env.rs` reads.
    pub(crate) fn tell<'shell>(&self, command: Cmd<'shell>) -> Cmd<'shell> {
        command
            .env("NIX_IN_PATHS", &self.nix_in_paths)
            .env("NIX_ROOTS", &self.nix_roots)
            .env("NIX2IMAGE_SMALL_CLOSURE", &self.small_closure)
            .env("NIX2IMAGE_KERNEL", &self.kernel)
            .env("NIX2IMAGE_ARM64", &self.arm64)
            .env("NIX2IMAGE_NIX_IN", &self.nix_in)
            .env("NIX2IMAGE_NIX_IN_SUITES", self.other_suites.join(" "))
    }
}

/// Makes and builds the small closure: the store path that refers to all of it.
pub(crate) fn small_closure(workspace: &Workspace) -> Result<String> {
    let directory = workspace.target.join(SMALL_CLOSURE);
    workspace.shell.create_dir(&directory)?;
    closure::make(
        workspace,
        &workspace.root.join("tests/closures/small.txt"),
        &directory,
    )?;
    nix::build(
        &workspace.shell,
        &directory,
        "closure",
        &directory.with_extension("built"),
    )
}

/// The suites with another Nix than this machine's. Bookworm has 2.8, trixie 2.26, and
/// forky, which moves on, the newest.
fn other_suites(workspace: &Workspace) -> Result<Vec<&'static str>> {
    let machine = cmd!(workspace.shell, "nix --version").quiet().read()?;
    Ok(if machine.contains(" 2.26.") {
        vec!["forky"]
    } else {
        vec!["trixie", "forky"]
    })
}
