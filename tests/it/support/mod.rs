//! What the tests share.

pub(crate) mod bootable;
pub(crate) mod built;
pub(crate) mod command;
pub(crate) mod direct;
pub(crate) mod disk;
pub(crate) mod env;
pub(crate) mod facts;
pub(crate) mod fat;
pub(crate) mod firmware;
pub(crate) mod forms;
pub(crate) mod fsck;
pub(crate) mod image;
pub(crate) mod initrd;
pub(crate) mod mount;
pub(crate) mod nix;
pub(crate) mod partitions;
pub(crate) mod profiles;
pub(crate) mod qemu;
pub(crate) mod readers;
pub(crate) mod recipe;
pub(crate) mod sample;
pub(crate) mod stand_in;
pub(crate) mod system;
pub(crate) mod temporary;
pub(crate) mod walk;
