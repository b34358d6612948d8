//! Trees, each as an image, read by others: what they see must be the tree. A module of the
//! fuzz target, and of `tests/it/fuzz_corpus.rs`; what it uses of the tests is in `crate::support`.

use std::fs::File;

use nix2image::ext4::{self, Features, Options};
use nix2image::image;
use nix2image::job::Job;
use tempfile::NamedTempFile;

use crate::support::facts::{assert_same, expected};
use crate::support::fsck::e2fsck_is_silent;
use crate::support::profiles::feature_sets;
use crate::support::readers::{
    ext4_view, give_times_that_ext4_view_reads, mkext4, mkext4_reads, visible_to_ext4_view,
    visible_to_mkext4,
};
use crate::support::recipe::{Bytes, Recipe};
use crate::support::sample::{roomy, tight};

/// A tree as `bytes` describe it is an image of which e2fsck has nothing to say, if
/// `is_checked`, and in which ext4-view and mkext4 see that tree.
pub(crate) fn tree(bytes: &[u8], is_checked: bool) {
    let mut bytes = Bytes(bytes);
    let features = features(bytes.byte());
    let choices = bytes.byte();
    let options = Options {
        features,
        ..if choices & 1 == 0 { tight() } else { roomy() }
    };
    let mut tree = Recipe::of_bytes(&mut bytes).tree();
    let is_for_ext4_view = choices & 2 == 0;
    if is_for_ext4_view {
        give_times_that_ext4_view_reads(&mut tree);
    }
    let expected = expected(&tree);
    let pieces = ext4::lay_out(tree, &options).unwrap();
    let file = NamedTempFile::new().unwrap();
    let to = File::options().write(true).open(file.path()).unwrap();
    image::write(&pieces, &to, &Job::default()).unwrap();
    if is_checked {
        e2fsck_is_silent(file.path());
    }
    if is_for_ext4_view {
        let expected = visible_to_ext4_view(expected.clone());
        assert_same(&ext4_view(file.path()), &expected, "ext4-view");
    }
    if mkext4_reads(&options.features) {
        assert_same(&mkext4(file.path()), &visible_to_mkext4(expected), "mkext4");
    }
}

/// Half of the numbers are the default profile.
fn features(number: u8) -> Features {
    if number < 128 {
        return Features::default_profile();
    }
    let mut sets = feature_sets();
    let index = usize::from(number) % sets.len();
    sets.swap_remove(index).1
}
