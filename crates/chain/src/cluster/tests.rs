use proptest::prelude::*;

use super::*;

const ADDRESSES: u32 = 24;

/// Labels every address by the smallest one reachable over shared transactions.
fn naive(transactions: &[Vec<u32>]) -> Vec<u32> {
    let mut names: Vec<u32> = (0..ADDRESSES).collect();
    for _ in 0..ADDRESSES {
        for inputs in transactions {
            let least = inputs.iter().map(|input| names[*input as usize]).min().unwrap_or(0);
            inputs.iter().for_each(|input| names[*input as usize] = least);
        }
    }
    names
}

fn names(clusters: &Clusters) -> Vec<u32> {
    (0..ADDRESSES).map(|number| clusters.cluster_of(number)).collect()
}

fn transactions() -> impl Strategy<Value = Vec<Vec<u32>>> {
    proptest::collection::vec(proptest::collection::vec(0..ADDRESSES, 0..5), 0..30)
}

proptest! {
    /// Same clusters as the naive search, whatever the order, alone or in batches.
    #[test]
    fn clusters_are_connected_components(transactions in transactions()) {
        let expected = naive(&transactions);
        let mut clusters = Clusters::new(ADDRESSES as usize).unwrap();
        transactions.iter().for_each(|inputs| clusters.join(inputs));
        prop_assert_eq!(names(&clusters), expected.clone());
        let mut backwards = Clusters::new(ADDRESSES as usize).unwrap();
        transactions.iter().rev().for_each(|inputs| backwards.join(inputs));
        prop_assert_eq!(names(&backwards), expected.clone());
        let mut batched = Clusters::new(ADDRESSES as usize).unwrap();
        let ends: Vec<usize> = transactions.iter().scan(0, |end, inputs| { *end += inputs.len(); Some(*end) }).collect();
        batched.join_all(&transactions.concat(), &ends);
        prop_assert_eq!(names(&batched), expected);
    }

    /// Undoing to a height leaves what a run that ended there had, and the chain can go on from it.
    #[test]
    fn undone_blocks_leave_nothing(blocks in proptest::collection::vec(transactions(), 1..6), keep in 0_usize..6, again in transactions(), settled in 0_usize..6) {
        let keep = keep.min(blocks.len());
        let mut clusters = Clusters::new(ADDRESSES as usize).unwrap();
        for (height, block) in (1..).zip(&blocks) {
            clusters.begin_block(height).unwrap();
            block.iter().for_each(|inputs| clusters.join(inputs));
        }
        clusters.settle(settled.min(keep) as u64);
        prop_assert_eq!(clusters.undo_to(keep as u64).unwrap(), blocks.len() - keep);
        let kept = blocks[..keep].concat();
        prop_assert_eq!(names(&clusters), naive(&kept));
        clusters.begin_block(keep as u64 + 1).unwrap();
        again.iter().for_each(|inputs| clusters.join(inputs));
        prop_assert_eq!(names(&clusters), naive(&[kept, again].concat()));
    }
}

#[test]
fn settled_blocks_stay_and_heights_rise() {
    let mut clusters = Clusters::new(4).unwrap();
    clusters.begin_block(10).unwrap();
    clusters.join(&[3, 1]);
    clusters.begin_block(11).unwrap();
    clusters.join(&[2, 0]);
    clusters.settle(10);
    assert_eq!(clusters.undo_to(9), Err(ClusterError::Settled { wanted: 9, settled: 10 }));
    assert_eq!(clusters.undo_to(10), Ok(1));
    assert_eq!((0..4).map(|number| clusters.cluster_of(number)).collect::<Vec<_>>(), [0, 1, 2, 1]);
    assert_eq!(clusters.begin_block(10), Err(ClusterError::OutOfOrder { got: 10, last: 10 }));
}

#[test]
fn open_blocks_are_bounded() {
    let mut clusters = Clusters::new(1).unwrap();
    for height in 0..BLOCKS_MAX as u64 {
        clusters.begin_block(height).unwrap();
    }
    let height = BLOCKS_MAX as u64;
    assert_eq!(clusters.begin_block(height), Err(ClusterError::TooManyBlocks { got: height }));
    clusters.settle(0);
    clusters.begin_block(height).unwrap();
}

#[test]
fn numbers_nobody_has_seen_join_nothing() {
    let mut clusters = Clusters::new(3).unwrap();
    clusters.join(&[7, 2, 9, 1]);
    assert_eq!([0, 1, 2, 7].map(|number| clusters.cluster_of(number)), [0, 1, 1, 7]);
    clusters.grow(8).unwrap();
    clusters.join(&[7, 2]);
    assert_eq!(clusters.cluster_of(7), 1);
}
