//! Components that forget: union-find (Tarjan 1975, union by size, path halving) over two overlapping epochs.
//!
//! A union-find cannot take a link back, so links are put into two forests: the young one of this epoch and the old
//! one that began an epoch earlier. Questions go to the old one. When an epoch ends the old forest is dropped, the
//! young one becomes the old one, and a new one begins: a link that is not seen again is gone after one to two epochs.
//! A forest that is full ends its epoch early, which bounds memory.

use std::collections::HashMap;

/// One node as the forests know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Node {
    Account(u64),
    Thing(u64),
}

#[derive(Debug, Default)]
struct Forest {
    index: HashMap<Node, u32, foldhash::fast::RandomState>,
    parent: Vec<u32>,
    /// Of a root: nodes below it, itself included.
    size: Vec<u32>,
    /// Of a root: accounts below it.
    accounts: Vec<u32>,
}

impl Forest {
    fn place(&mut self, node: Node) -> u32 {
        let next = u32::try_from(self.parent.len()).unwrap_or(u32::MAX);
        let place = *self.index.entry(node).or_insert(next);
        if place == next {
            self.parent.push(next);
            self.size.push(1);
            self.accounts.push(u32::from(matches!(node, Node::Account(_))));
        }
        place
    }

    fn root(&mut self, mut place: u32) -> u32 {
        while self.parent[place as usize] != place {
            let above = self.parent[self.parent[place as usize] as usize];
            self.parent[place as usize] = above;
            place = above;
        }
        place
    }

    fn join(&mut self, left: Node, right: Node) {
        let (left, right) = (self.place(left), self.place(right));
        let (left, right) = (self.root(left), self.root(right));
        if left == right {
            return;
        }
        let (large, small) =
            if self.size[left as usize] >= self.size[right as usize] { (left, right) } else { (right, left) };
        self.parent[small as usize] = large;
        self.size[large as usize] += self.size[small as usize];
        self.accounts[large as usize] += self.accounts[small as usize];
    }

    /// Accounts in the component of a node.
    fn accounts(&self, node: Node) -> Option<u32> {
        let mut place = *self.index.get(&node)?;
        while self.parent[place as usize] != place {
            place = self.parent[place as usize];
        }
        Some(self.accounts[place as usize])
    }
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Components {
    old: Forest,
    young: Forest,
    /// Ordinal of the young forest's epoch, in time.
    epoch: u64,
    epoch_nanos: u64,
    nodes_max: usize,
    /// Epochs that ended because the forest was full.
    cut_short: u64,
}

impl Components {
    pub(crate) fn new(epoch_nanos: u64, nodes_max: usize) -> Self {
        Self {
            old: Forest::default(),
            young: Forest::default(),
            epoch: 0,
            epoch_nanos: epoch_nanos.max(1),
            nodes_max: nodes_max.max(4),
            cut_short: 0,
        }
    }

    pub(crate) fn join(&mut self, left: Node, right: Node, at_nanos: u64) {
        let epoch = at_nanos / self.epoch_nanos;
        // A late link joins the epoch that runs.
        if epoch > self.epoch {
            let is_next = epoch == self.epoch + 1;
            self.turn();
            if !is_next {
                self.turn();
            }
            self.epoch = epoch;
        } else if self.old.parent.len() + 2 > self.nodes_max {
            self.turn();
            self.cut_short += 1;
        }
        self.old.join(left, right);
        self.young.join(left, right);
    }

    fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
    }

    /// Accounts in the component of an account, itself included.
    pub(crate) fn size(&self, account: u64) -> u32 {
        self.old.accounts(Node::Account(account)).unwrap_or(1)
    }

    pub(crate) const fn cut_short(&self) -> u64 {
        self.cut_short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_lasts_one_to_two_epochs() {
        let mut components = Components::new(100, 1_000);
        components.join(Node::Account(1), Node::Thing(1), 10);
        components.join(Node::Account(2), Node::Thing(1), 20);
        assert_eq!((components.size(1), components.size(2), components.size(3)), (2, 2, 1));
        components.join(Node::Account(3), Node::Thing(9), 110);
        assert_eq!(components.size(1), 2);
        components.join(Node::Account(3), Node::Thing(9), 210);
        assert_eq!((components.size(1), components.size(3)), (1, 1));
        // Nobody came for long: both forests are stale.
        components.join(Node::Account(3), Node::Thing(1), 900);
        assert_eq!((components.size(3), components.size(2)), (1, 1));
    }

    #[test]
    fn a_full_forest_ends_its_epoch() {
        let mut components = Components::new(u64::MAX, 10);
        for account in 0..100 {
            components.join(Node::Account(account), Node::Thing(account), account);
        }
        assert!(components.old.parent.len() <= 10 && components.cut_short() > 10);
    }

    proptest::proptest! {
        #[test]
        fn equals_a_search(links in proptest::collection::vec((0_u64..12, 0_u64..8), 0..30)) {
            let mut components = Components::new(1_000, 1_000);
            for (account, thing) in &links {
                components.join(Node::Account(*account), Node::Thing(*thing), 1);
            }
            for start in 0..12 {
                let mut reached = vec![start];
                let mut next = 0;
                while next < reached.len() {
                    for (account, thing) in &links {
                        if *account == reached[next] {
                            for (other, same) in &links {
                                if same == thing && !reached.contains(other) {
                                    reached.push(*other);
                                }
                            }
                        }
                    }
                    next += 1;
                }
                proptest::prop_assert_eq!(components.size(start) as usize, reached.len());
            }
        }
    }
}
