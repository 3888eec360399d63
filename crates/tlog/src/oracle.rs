//! The definitions of RFC 6962 section 2.1 written down naively, to test the real code against.

use crate::hash::{Hash, empty_root, leaf_hash, node_hash};

/// `count` leaf hashes, a few of them alike.
pub(crate) fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&entry(i as u64))).collect()
}

/// The bytes of the entry behind leaf `index`; lengths vary and include zero.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    let length = usize::try_from(index * 7 % 23).unwrap();
    index.to_be_bytes().iter().copied().cycle().take(length).collect()
}

/// MTH(D[n]).
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            node_hash(&root(&leaves[..split]), &root(&leaves[split..]))
        }
    }
}

/// PATH(m, D[n]).
pub(crate) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let split = leaves.len().next_power_of_two() / 2;
    if m < split {
        let mut out = path(m, &leaves[..split]);
        out.push(root(&leaves[split..]));
        out
    } else {
        let mut out = path(m - split, &leaves[split..]);
        out.push(root(&leaves[..split]));
        out
    }
}

/// PROOF(m, D[n]).
pub(crate) fn proof(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if m == 0 { Vec::new() } else { subproof(m, leaves, true) }
}

fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    let n = leaves.len();
    if m == n {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let split = n.next_power_of_two() / 2;
    if m <= split {
        let mut out = subproof(m, &leaves[..split], whole);
        out.push(root(&leaves[split..]));
        out
    } else {
        let mut out = subproof(m - split, &leaves[split..], false);
        out.push(root(&leaves[..split]));
        out
    }
}
