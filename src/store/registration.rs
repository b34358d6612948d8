//! The registration: a closure as text for `nix-store --load-db`.

use super::Closure;

/// What `nix-store --load-db` reads to make the paths of `closure` valid.
#[must_use]
pub fn registration(_closure: &Closure) -> Vec<u8> {
    todo!()
}
