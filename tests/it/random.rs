//! Random trees: image, e2fsck, read back, compare.

use nix2image::ext4::{Features, Options};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::support::env;
use crate::support::facts::{assert_same, expected};
use crate::support::image::Image;
use crate::support::profiles::feature_sets;
use crate::support::readers::{
    ext4_view, give_times_that_ext4_view_reads, kernel, mkext4, mkext4_reads, visible_to_ext4_view,
    visible_to_mkext4,
};
use crate::support::recipe::recipes;
use crate::support::sample::{roomy, tight};

#[test]
fn a_random_tree_is_read_back_as_it_was() {
    // The short run has the same trees each time; the long one looks for new ones.
    let config = |cases| Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let mut runner = if env::is_full() {
        TestRunner::new(config(500))
    } else {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config(32), rng)
    };
    // Half of them in the default profile.
    let sets: Vec<_> = feature_sets().into_iter().map(|(_, set)| set).collect();
    let features = prop_oneof![
        Just(Features::default_profile()),
        prop::sample::select(sets)
    ];
    let cases = (recipes(), features, any::<[bool; 2]>());
    let result = runner.run(&cases, |(recipe, features, choices)| {
        let [is_tight, is_for_ext4_view] = choices;
        let options = Options {
            features,
            ..if is_tight { tight() } else { roomy() }
        };
        let mut tree = recipe.tree();
        if is_for_ext4_view {
            give_times_that_ext4_view_reads(&mut tree);
        }
        let expected = expected(&tree);
        let image = Image::of(tree, &options);
        let path = image.path();
        assert_same(&kernel(&path), &expected, "the kernel");
        if is_for_ext4_view {
            let expected = visible_to_ext4_view(expected.clone());
            assert_same(&ext4_view(&path), &expected, "ext4-view");
        }
        if mkext4_reads(&options.features) {
            assert_same(&mkext4(&path), &visible_to_mkext4(expected), "mkext4");
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
