//! The root of a Merkle-Patricia trie over a list (yellow paper, appendix D): what a header commits to its transactions
//! and receipts with. Computed in one recursion over the sorted keys; no trie is kept.
//!
//! The depth is bounded by the key, the list's index as RLP: at most [`KEY_NIBBLES_MAX`].

use sha3::{Digest, Keccak256};

use super::rlp;

/// Half-bytes of the longest key: nine bytes of RLP for a 64-bit index.
const KEY_NIBBLES_MAX: usize = 18;

/// One entry: its key in half-bytes, and its value.
struct Leaf<'v> {
    key: Vec<u8>,
    value: &'v [u8],
}

/// The root over the values, keyed by their places in the list.
pub(super) fn ordered_root(values: &[Vec<u8>]) -> [u8; 32] {
    let mut leaves: Vec<Leaf<'_>> = (0u64..)
        .zip(values)
        .map(|(index, value)| {
            let mut key = Vec::with_capacity(KEY_NIBBLES_MAX / 2);
            rlp::number(&mut key, index);
            Leaf { key: key.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).collect(), value }
        })
        .collect();
    leaves.sort_by(|a, b| a.key.cmp(&b.key));
    Keccak256::digest(node(&leaves, 0)).into()
}

/// The RLP of the node over leaves that agree in their first `depth` half-bytes.
fn node(leaves: &[Leaf<'_>], depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match leaves {
        [] => rlp::bytes(&mut out, &[]),
        [leaf] => {
            let mut items = path(leaf.key.get(depth..).unwrap_or(&[]), true);
            rlp::bytes(&mut items, leaf.value);
            rlp::list(&mut out, &items);
        }
        [first, .., last] => {
            // Sorted, so what the outermost share all share.
            let rest = first.key.iter().skip(depth).zip(last.key.iter().skip(depth));
            let shared = rest.take_while(|(a, b)| a == b).count();
            if shared > 0 {
                let below = depth + shared;
                let mut items = path(first.key.get(depth..below).unwrap_or(&[]), false);
                reference(&mut items, &node(leaves, below));
                rlp::list(&mut out, &items);
            } else {
                let mut items = Vec::new();
                let mut rest = leaves;
                for nibble in 0..16u8 {
                    let n_here = rest.iter().take_while(|leaf| leaf.key.get(depth) == Some(&nibble)).count();
                    let (here, after) = rest.split_at(n_here);
                    rest = after;
                    if here.is_empty() {
                        rlp::bytes(&mut items, &[]);
                    } else {
                        reference(&mut items, &node(here, depth + 1));
                    }
                }
                // No key is the beginning of another, so a branch holds no value.
                rlp::bytes(&mut items, &[]);
                rlp::list(&mut out, &items);
            }
        }
    }
    out
}

/// A node below 32 bytes stands in its parent, a longer one is named by its hash.
fn reference(items: &mut Vec<u8>, node: &[u8]) {
    if node.len() < 32 {
        items.extend_from_slice(node);
    } else {
        rlp::bytes(items, &Keccak256::digest(node));
    }
}

/// A piece of a key with the flag that tells a leaf from an extension ("hex prefix", yellow paper, appendix C).
fn path(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 0x20 } else { 0x00 };
    let (head, pairs) = match nibbles {
        [first, rest @ ..] if nibbles.len() % 2 == 1 => (flag | 0x10 | first, rest),
        _ => (flag, nibbles),
    };
    let mut packed = vec![head];
    packed.extend(pairs.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, nibble| (byte << 4) | nibble)));
    let mut out = Vec::new();
    rlp::bytes(&mut out, &packed);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root() {
        let hex: String = ordered_root(&[]).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    }

    #[test]
    fn every_value_and_its_place_count() {
        let values: Vec<Vec<u8>> = (0..300u32).map(|n| vec![u8::try_from(n % 251).unwrap(); 40]).collect();
        let root = ordered_root(&values);
        for at in [0, 1, 127, 128, 255, 256, 299] {
            let mut other = values.clone();
            other[at][7] ^= 1;
            assert_ne!(ordered_root(&other), root, "{at}");
        }
        let mut swapped = values.clone();
        swapped.swap(3, 4);
        assert_ne!(ordered_root(&swapped), root);
        assert_ne!(ordered_root(&values[..299]), root);
    }
}
