//! Addresses as numbers, and edges between them.
//!
//! Graph work needs dense numbers, not addresses of 20 to 42 bytes: [`Interner`] gives each address the next free `u32`
//! and remembers it, so the first address seen is 0 and numbering depends on the order of the input alone. [`Csr`] is an
//! immutable graph over such numbers: the neighbours of a node stand side by side in one array (compressed sparse rows).
//!
//! What it is not: a store. Both are derived from the chain and rebuilt from it.
//!
//! Bounds: [`NODES_MAX`] nodes, [`EDGES_MAX`] edges; a node takes 4 bytes and an edge 4 in each direction that is built,
//! an interned address about 100.

use std::collections::HashMap;

use domain::Address;

/// Most nodes: the highest number is kept free to mean none.
pub const NODES_MAX: usize = u32::MAX as usize - 1;
/// Most edges of one graph.
pub const EDGES_MAX: usize = u32::MAX as usize - 1;

/// Why a graph was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An edge names a node that does not exist.
    #[error("edge {edge} names node {node}, there are {nodes}")]
    NoSuchNode {
        /// Position of the edge, from 0.
        edge: usize,
        /// The node it names.
        node: u32,
        /// Nodes there are.
        nodes: usize,
    },
    /// More than [`EDGES_MAX`].
    #[error("{got} edges, at most {EDGES_MAX}")]
    TooManyEdges {
        /// Edges given.
        got: usize,
    },
    /// More than [`NODES_MAX`].
    #[error("{got} nodes, at most {NODES_MAX}")]
    TooManyNodes {
        /// Nodes wanted.
        got: usize,
    },
}

/// Addresses numbered in the order they were first seen.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    numbers: HashMap<Address, u32>,
    addresses: Vec<Address>,
}

impl Interner {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of an address, given to it now if it has none.
    ///
    /// # Errors
    /// [`GraphError::TooManyNodes`] when all numbers are taken.
    pub fn intern(&mut self, address: Address) -> Result<u32, GraphError> {
        if let Some(number) = self.numbers.get(&address) {
            return Ok(*number);
        }
        let number = u32::try_from(self.addresses.len())
            .ok()
            .filter(|number| (*number as usize) < NODES_MAX)
            .ok_or(GraphError::TooManyNodes { got: self.addresses.len() + 1 })?;
        self.numbers.insert(address, number);
        self.addresses.push(address);
        Ok(number)
    }

    /// The number of an address seen before.
    #[must_use]
    pub fn number(&self, address: &Address) -> Option<u32> {
        self.numbers.get(address).copied()
    }

    /// The address of a number.
    #[must_use]
    pub fn address(&self, number: u32) -> Option<&Address> {
        self.addresses.get(number as usize)
    }

    /// How many addresses have a number.
    #[must_use]
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }
}

/// An immutable directed graph: for each node its neighbours and, beside each, the number of the edge.
///
/// Neighbours keep the order in which their edges were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    /// Where the neighbours of each node begin, and where the last end.
    starts: Vec<u32>,
    neighbours: Vec<u32>,
}

impl Csr {
    /// The graph of `edges` over `nodes` nodes, pairs from and to. With `reversed`, each edge is taken the other way.
    ///
    /// # Errors
    /// [`GraphError`] when there are too many of either, or an edge names a node that does not exist.
    pub fn new(nodes: usize, edges: &[(u32, u32)], reversed: bool) -> Result<Self, GraphError> {
        check_size(nodes, edges.len())?;
        let ends = |edge: &(u32, u32)| if reversed { (edge.1, edge.0) } else { *edge };
        let mut starts = vec![0_u32; nodes + 1];
        for (position, edge) in edges.iter().enumerate() {
            let (from, to) = ends(edge);
            let node = from.max(to);
            if node as usize >= nodes {
                return Err(GraphError::NoSuchNode { edge: position, node, nodes });
            }
            if let Some(count) = starts.get_mut(from as usize + 1) {
                *count += 1;
            }
        }
        accumulate(&mut starts);
        let mut neighbours = vec![0; edges.len()];
        for edge in edges {
            let (from, to) = ends(edge);
            // Each start moves to the end of its row, which is the start of the next.
            if let Some(next) = starts.get_mut(from as usize) {
                if let Some(place) = neighbours.get_mut(*next as usize) {
                    *place = to;
                }
                *next += 1;
            }
        }
        starts.rotate_right(1);
        if let Some(first) = starts.first_mut() {
            *first = 0;
        }
        Ok(Self { starts, neighbours })
    }

    /// How many nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// How many edges.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.neighbours.len()
    }

    /// The neighbours of a node; none if there is no such node.
    #[must_use]
    #[inline]
    pub fn neighbours(&self, node: u32) -> &[u32] {
        let at = node as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => {
                self.neighbours.get(*start as usize..*end as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }
}

pub(crate) fn check_size(nodes: usize, edges: usize) -> Result<(), GraphError> {
    if nodes > NODES_MAX {
        return Err(GraphError::TooManyNodes { got: nodes });
    }
    if edges > EDGES_MAX {
        return Err(GraphError::TooManyEdges { got: edges });
    }
    Ok(())
}

/// Counts to running totals.
pub(crate) fn accumulate(counts: &mut [u32]) {
    let mut total = 0;
    for count in counts {
        total += *count;
        *count = total;
    }
}

#[cfg(test)]
mod tests {
    use domain::AddressKind;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_numbered_in_order() {
        let address = |byte| Address::new(AddressKind::Evm, &[byte; 20]).unwrap();
        let mut interner = Interner::new();
        assert_eq!(interner.intern(address(7)), Ok(0));
        assert_eq!(interner.intern(address(3)), Ok(1));
        assert_eq!(interner.intern(address(7)), Ok(0));
        assert_eq!((interner.len(), interner.number(&address(4))), (2, None));
        assert_eq!(interner.address(1), Some(&address(3)));
    }

    #[test]
    fn a_node_out_of_range_is_named() {
        let error = Csr::new(2, &[(0, 1), (1, 2)], false).unwrap_err();
        assert_eq!(error.to_string(), "edge 1 names node 2, there are 2");
    }

    proptest! {
        #[test]
        fn neighbours_are_the_edges(edges in proptest::collection::vec((0_u32..9, 0_u32..9), 0..60), reversed: bool) {
            let graph = Csr::new(9, &edges, reversed).unwrap();
            for node in 0..9 {
                let expected: Vec<u32> = edges.iter()
                    .map(|(from, to)| if reversed { (*to, *from) } else { (*from, *to) })
                    .filter(|(from, _)| *from == node).map(|(_, to)| to).collect();
                prop_assert_eq!(graph.neighbours(node), expected.as_slice());
            }
            prop_assert_eq!((graph.nodes(), graph.edges()), (9, edges.len()));
            prop_assert!(graph.neighbours(9).is_empty());
        }
    }
}
