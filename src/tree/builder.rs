//! A tree whose directories are listed one after another, as a scan finds them.

use super::{Kind, Name, Node, NodeId, Tree};

/// A tree that takes memory for its nodes once, when all are known: one that grows would be in
/// memory twice at times, and leave pieces of memory that fit nothing else.
#[derive(Debug)]
pub struct TreeBuilder {
    root: Node,
    /// Directories and what is in them.
    listings: Vec<(NodeId, Vec<(Name, Node)>)>,
    /// Nodes of the tree.
    nodes: usize,
}

impl TreeBuilder {
    /// A tree of one node.
    #[must_use]
    pub fn new(root: Node) -> Self {
        Self {
            root,
            listings: Vec::new(),
            nodes: 1,
        }
    }

    /// Puts all of `entries`, in byte order of their names, into the directory `parent`, which
    /// is empty. Gives the place of the first of them; the others stand behind it.
    pub fn fill(&mut self, parent: NodeId, entries: Vec<(Name, Node)>) -> NodeId {
        let first = NodeId::at(self.nodes);
        self.nodes += entries.len();
        self.listings.push((parent, entries));
        first
    }

    /// The tree.
    ///
    /// # Panics
    ///
    /// If something was put into what is no empty directory, or a name is there twice.
    #[must_use]
    pub fn build(self) -> Tree {
        let mut nodes = Vec::with_capacity(self.nodes);
        nodes.push(self.root);
        for (parent, entries) in self.listings {
            let count = entries.len();
            let mut names = Vec::with_capacity(count);
            for (name, node) in entries {
                names.push((name, NodeId::at(nodes.len())));
                nodes.push(node);
            }
            match &mut nodes[parent.index()].kind {
                // From a sequence in order, a map is built with its nodes full.
                Kind::Directory(entries) if entries.is_empty() => {
                    *entries = names.into_iter().collect();
                    assert_eq!(entries.len(), count, "a directory has a name once");
                }
                _ => panic!("only an empty directory can be filled"),
            }
        }
        Tree { nodes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Metadata, Timestamp};

    fn directory() -> Node {
        Node::directory(Metadata::of_root(0o755, Timestamp::from_seconds(1)))
    }

    fn entries<const N: usize>(names: [&str; N]) -> Vec<(Name, Node)> {
        let entry = |name: &str| (Name::new(name).unwrap(), directory());
        names.map(entry).into()
    }

    #[test]
    fn directories_that_are_filled_in_any_order_hold_what_was_put_into_them() {
        let mut builder = TreeBuilder::new(directory());
        let first = builder.fill(Tree::ROOT, entries(["a", "b", "c"]));
        let below_c = builder.fill(first.after(2), entries(["d"]));
        builder.fill(first, entries(["e", "f"]));
        let tree = builder.build();
        assert_eq!(tree.len(), 7);
        let names = |id| -> Vec<_> {
            let name = |(name, _): (&Name, _)| String::from_utf8_lossy(name.as_bytes()).into();
            tree.entries(id).map(name).collect::<Vec<String>>()
        };
        assert_eq!(names(Tree::ROOT), ["a", "b", "c"]);
        assert_eq!(names(first), ["e", "f"]);
        assert_eq!(names(first.after(1)), [""; 0]);
        assert_eq!(names(first.after(2)), ["d"]);
        assert_eq!(names(below_c), [""; 0]);
    }

    #[test]
    #[should_panic(expected = "a directory has a name once")]
    fn a_name_that_is_there_twice_is_a_fault() {
        let mut builder = TreeBuilder::new(directory());
        builder.fill(Tree::ROOT, entries(["a", "a"]));
        drop(builder.build());
    }

    #[test]
    #[should_panic(expected = "only an empty directory can be filled")]
    fn a_directory_that_is_filled_twice_is_a_fault() {
        let mut builder = TreeBuilder::new(directory());
        builder.fill(Tree::ROOT, entries(["a"]));
        builder.fill(Tree::ROOT, entries(["b"]));
        drop(builder.build());
    }
}
