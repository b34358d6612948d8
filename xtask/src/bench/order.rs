//! In which order those who are measured take turns.

/// Who comes at which place of `round`, of `count` peers. What one leaves behind, of the page
/// cache and of the machine's memory, the next one finds: so nobody always follows the same.
/// In `count` rounds each peer comes right after each other one once; of an odd number, in
/// twice as many rounds twice. (Williams: *Experimental designs balanced for the estimation
/// of residual effects of treatments*, 1949.)
pub(super) fn order(count: usize, round: usize) -> Vec<usize> {
    // First, second, last, third, last but one, …, and in the next round all one further.
    let peer = |place: usize| {
        let first = match place % 2 {
            0 => count - place / 2,
            _ => place.div_ceil(2),
        };
        (first + round) % count
    };
    let mut order: Vec<_> = (0..count).map(peer).collect();
    if count % 2 == 1 && round % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_round_has_each_peer_once() {
        for count in 0..13 {
            for round in 0..30 {
                let mut peers = order(count, round);
                peers.sort_unstable();
                assert!(peers.into_iter().eq(0..count), "{count} in round {round}");
            }
        }
    }

    #[test]
    fn each_peer_follows_each_other_equally_often() {
        for count in 2..13 {
            let (rounds, times) = match count % 2 {
                0 => (count, 1),
                _ => (2 * count, 2),
            };
            let mut pairs = BTreeMap::new();
            for round in 0..rounds {
                for pair in order(count, round).windows(2) {
                    *pairs.entry((pair[0], pair[1])).or_insert(0) += 1;
                }
            }
            assert_eq!(pairs.len(), count * (count - 1), "of {count}");
            assert!(pairs.values().all(|found| *found == times), "{pairs:?}");
        }
    }
}
