//! What the tests have that makes trees and tells what readers see.

#![allow(dead_code, reason = "the tests use more of it")]

#[path = "../tests/it/support/command.rs"]
pub(crate) mod command;
#[path = "../tests/it/support/facts.rs"]
pub(crate) mod facts;
#[path = "../tests/it/support/fsck.rs"]
pub(crate) mod fsck;
#[path = "../tests/it/support/profiles.rs"]
pub(crate) mod profiles;
#[path = "../tests/it/support/readers/in_process.rs"]
pub(crate) mod readers;
#[path = "../tests/it/support/recipe.rs"]
pub(crate) mod recipe;
#[path = "../tests/it/support/sample.rs"]
pub(crate) mod sample;
