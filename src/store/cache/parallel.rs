//! Work on all threads whose outcome does not hang on them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

/// Does `work` for each index of `order`, which has every index below its length once, and
/// begins it in that order. Gives what it made by index; of several errors, that of the
/// smallest index.
pub(super) fn for_each_index<T: Send, E: Send>(
    order: Vec<usize>,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let failed = AtomicUsize::new(usize::MAX);
    let done: BTreeMap<usize, Result<T, E>> = order
        .into_iter()
        .par_bridge() // in turn, where a parallel iterator would cut the row into parts
        .filter(|index| *index < failed.load(Ordering::Relaxed))
        .map(|index| {
            let result = work(index);
            if result.is_err() {
                failed.fetch_min(index, Ordering::Relaxed);
            }
            (index, result)
        })
        .collect();
    done.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_comes_by_index_whatever_the_order() {
        let order = (0..1000).rev().collect();
        let made = for_each_index(order, |index| Ok::<_, ()>(index * 2)).unwrap();
        assert!(
            made.iter()
                .enumerate()
                .all(|(index, made)| index * 2 == *made)
        );
        assert_eq!(made.len(), 1000);
    }

    #[test]
    fn the_error_of_the_smallest_index_is_reported() {
        for order in [(0..1000).collect::<Vec<_>>(), (0..1000).rev().collect()] {
            let fails = |index| {
                if index % 100 == 37 {
                    Err(index)
                } else {
                    Ok(())
                }
            };
            assert_eq!(for_each_index(order, fails), Err(37));
        }
    }
}
