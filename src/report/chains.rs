//! Why a store path is there: what refers to it, from the roots on.

use std::collections::VecDeque;

/// The references of a closure, and the shortest chain of them to each path. Paths are numbers
/// from 0.
#[derive(Debug)]
pub(super) struct Chains {
    /// By path; nobody refers to itself.
    references: Vec<Vec<usize>>,
    /// By path.
    referrers: Vec<Vec<usize>>,
    roots: Vec<usize>,
    /// By path: the one before it in its chain; none of a root.
    via: Vec<Option<usize>>,
}

impl Chains {
    /// The chains in a closure with these `references`. Roots are those that were `asked` for,
    /// those that nobody refers to, and of a circle that neither leads to the first.
    pub(super) fn new(mut references: Vec<Vec<usize>>, asked: &[usize]) -> Self {
        let mut referrers = vec![Vec::new(); references.len()];
        for (path, to) in references.iter_mut().enumerate() {
            to.retain(|other| *other != path);
            for other in to.iter() {
                referrers[*other].push(path);
            }
        }
        let is_root = |path: &usize| referrers[*path].is_empty() || asked.contains(path);
        let roots = (0..references.len()).filter(is_root).collect();
        let mut chains = Self {
            via: vec![None; references.len()],
            references,
            referrers,
            roots,
        };
        chains.find();
        chains
    }

    /// The paths of the chain to `path`, a root first, itself last.
    pub(super) fn of(&self, path: usize) -> Vec<usize> {
        let mut chain = vec![path];
        while let Some(before) = self.via[chain[chain.len() - 1]] {
            chain.push(before);
        }
        chain.reverse();
        chain
    }

    /// The roots, in order.
    pub(super) fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// What `path` refers to, but for itself.
    pub(super) fn references(&self, path: usize) -> &[usize] {
        &self.references[path]
    }

    /// How many others refer to `path`.
    pub(super) fn referrers(&self, path: usize) -> usize {
        self.referrers[path].len()
    }

    /// By path: the sum of `bytes` over it and all that only it leads to, which would go with it.
    pub(super) fn alone(&self, bytes: &[u64]) -> Vec<u64> {
        let order = self.order();
        let dominators = self.dominators(&order);
        let mut alone = bytes.to_vec();
        for path in order.iter().rev() {
            if let Some(by) = dominators[*path] {
                alone[by] += alone[*path];
            }
        }
        alone
    }

    /// Goes from the roots on, breadth first.
    fn find(&mut self) {
        let mut is_found = vec![false; self.references.len()];
        let mut todo: VecDeque<usize> = self.roots.iter().copied().collect();
        for root in &self.roots {
            is_found[*root] = true;
        }
        loop {
            while let Some(path) = todo.pop_front() {
                for other in &self.references[path] {
                    if !is_found[*other] {
                        is_found[*other] = true;
                        self.via[*other] = Some(path);
                        todo.push_back(*other);
                    }
                }
            }
            let Some(left) = is_found.iter().position(|is_found| !is_found) else {
                break;
            };
            is_found[left] = true;
            self.roots.push(left);
            todo.push_back(left);
        }
        self.roots.sort_unstable();
    }

    /// All paths, each before what it refers to, as far as there are no circles.
    fn order(&self) -> Vec<usize> {
        let mut is_known = vec![false; self.references.len()];
        let mut done = Vec::with_capacity(self.references.len());
        for root in self.roots.iter().rev() {
            if std::mem::replace(&mut is_known[*root], true) {
                continue;
            }
            let mut open = vec![(*root, 0)];
            while let Some((path, next)) = open.last_mut() {
                let Some(other) = self.references[*path].get(*next) else {
                    done.push(*path);
                    open.pop();
                    continue;
                };
                *next += 1;
                if !std::mem::replace(&mut is_known[*other], true) {
                    open.push((*other, 0));
                }
            }
        }
        done.reverse();
        done
    }

    /// By path: the last one that every chain to it goes through; none if there is no such.
    ///
    /// Source: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm".
    fn dominators(&self, order: &[usize]) -> Vec<Option<usize>> {
        // Ranks in `order`; the last is what leads to all roots.
        let top = order.len();
        let mut rank = vec![0; order.len()];
        for (at, path) in order.iter().enumerate() {
            rank[*path] = at + 1;
        }
        let mut by: Vec<Option<usize>> = vec![None; top + 1];
        by[0] = Some(0);
        for root in &self.roots {
            by[rank[*root]] = Some(0);
        }
        let meet = |by: &[Option<usize>], mut a: usize, mut b: usize| {
            while a != b {
                let later = if a > b { &mut a } else { &mut b };
                *later = by[*later].expect("a rank that has been reached has one");
            }
            a
        };
        let mut changed = true;
        while changed {
            changed = false;
            for path in order {
                if by[rank[*path]] == Some(0) {
                    continue;
                }
                let mut found = None;
                for referrer in &self.referrers[*path] {
                    let referrer = rank[*referrer];
                    if by[referrer].is_some() {
                        found = Some(found.map_or(referrer, |found| meet(&by, found, referrer)));
                    }
                }
                if by[rank[*path]] != found {
                    by[rank[*path]] = found;
                    changed = true;
                }
            }
        }
        let of = |path: usize| match by[rank[path]] {
            None | Some(0) => None,
            Some(rank) => Some(order[rank - 1]),
        };
        (0..order.len()).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 → 1, 2; 1 → 3; 2 → 3; 3 → 4; 5 → 5, 4.
    fn references() -> Vec<Vec<usize>> {
        vec![vec![1, 2], vec![3], vec![3], vec![4], vec![], vec![5, 4]]
    }

    #[test]
    fn the_shortest_chain_is_found() {
        let chains = Chains::new(references(), &[]);
        assert_eq!(chains.roots(), [0, 5]);
        assert_eq!(chains.of(0), [0]);
        assert_eq!(chains.of(3), [0, 1, 3]);
        assert_eq!(chains.of(4), [5, 4]);
        assert_eq!(chains.references(5), [4]);
        assert_eq!(chains.referrers(4), 2);
    }

    #[test]
    fn what_was_asked_for_is_a_root_though_others_refer_to_it() {
        let chains = Chains::new(references(), &[3]);
        assert_eq!(chains.roots(), [0, 3, 5]);
        assert_eq!(chains.of(3), [3]);
    }

    #[test]
    fn what_only_one_path_leads_to_goes_with_it() {
        let bytes = [1, 10, 100, 1000, 10_000, 100_000];
        let chains = Chains::new(references(), &[]);
        // Of two ways to 3 none is alone, and 4 has two roots.
        assert_eq!(chains.alone(&bytes), [1111, 10, 100, 1000, 10_000, 100_000]);
        let one_root = Chains::new(vec![vec![1, 2], vec![3], vec![3], vec![4], vec![]], &[]);
        assert_eq!(
            one_root.alone(&bytes[..5]),
            [11_111, 10, 100, 11_000, 10_000]
        );
    }

    #[test]
    fn circles_end() {
        let chains = Chains::new(vec![vec![1], vec![2], vec![1], vec![4], vec![3]], &[]);
        assert_eq!(chains.roots(), [0, 3]);
        assert_eq!(chains.of(2), [0, 1, 2]);
        assert_eq!(chains.of(4), [3, 4]);
        assert_eq!(chains.alone(&[1; 5]), [3, 2, 1, 2, 1]);
    }
}
