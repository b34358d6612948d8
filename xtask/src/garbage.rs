//! What Nix built for a command and nothing keeps: each run would leave gigabytes of images.

use std::collections::BTreeSet;

use anyhow::Result;
use xshell::{Shell, cmd};

use crate::step::step;
use crate::test_env::TestEnv;
use crate::workspace::Workspace;

/// Does `work`, and removes what became garbage in it, whatever came of it.
///
/// In the machine's store that is what was no garbage before: the rest is its owner's, and that of
/// runs that were ended before they came here. Nix cannot tell what somebody else built meanwhile,
/// and kept no link to: that goes too, so one run at a time. The stores of other releases of Nix are
/// ours, and all garbage in them.
pub(crate) fn removed_after(
    workspace: &Workspace,
    env: &TestEnv,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let shell = &workspace.shell;
    let before = garbage(shell)?;
    let outcome = work();
    let removed = step("remove what Nix built for it", || {
        let after = garbage(shell)?;
        let new: Vec<_> = after.difference(&before).collect();
        if !new.is_empty() {
            cmd!(shell, "nix-store --quiet --delete {new...}")
                .quiet()
                .run()?;
        }
        env.collect_garbage(shell)
    });
    // What somebody else has begun to use stays, and says nothing of the work.
    if let Err(error) = removed {
        eprintln!("    the rest stays: {error:#}");
    }
    outcome
}

/// The paths of the machine's store that nothing keeps.
fn garbage(shell: &Shell) -> Result<BTreeSet<String>> {
    let listed = cmd!(shell, "nix-store --quiet --gc --print-dead").read()?;
    Ok(listed.lines().map(str::to_owned).collect())
}
