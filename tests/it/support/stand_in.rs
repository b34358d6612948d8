//! What our functions make on the stand-in nixpkgs of `tests/nix`, as Nix expressions.

use super::built::path;
use super::env;

/// The attribute `attribute` of `tests/nix/disks.nix`, with more `arguments`.
#[track_caller]
pub(crate) fn disk(attribute: &str, arguments: &str) -> String {
    expression("disks.nix", attribute, arguments)
}

/// The attribute `attribute` of `tests/nix/card.nix`, with more arguments for makeSdImage.
#[track_caller]
pub(crate) fn card(attribute: &str, arguments: &str) -> String {
    expression(
        "card.nix",
        attribute,
        &format!("arguments = {{ {arguments} }};"),
    )
}

#[track_caller]
fn expression(file: &str, attribute: &str, arguments: &str) -> String {
    format!(
        "(import {file} {{
          builder = {builder};
          system = builtins.currentSystem;
          busybox = toString {busybox};
          {arguments}
        }}).{attribute}",
        file = path(&env::checkout().join("tests/nix").join(file)),
        builder = path(&env::builder()),
        busybox = path(&env::small_closure().join("bin/busybox")),
    )
}
