//! The log and what follows from it.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;
use watch::flows::{Bait, BlockFlows, Flows, LogError, UNDO_BLOCKS, verify_logs};

use crate::support::{address, block, config, flows, import, known, payment, watch};

/// What happens to a chain.
#[derive(Debug, Clone)]
enum Step {
    Put(Vec<(u8, u8, u128)>, Vec<u8>),
    TakeBack(u64),
    Flush,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let payments = proptest::collection::vec((0_u8..12, 0_u8..12, 1_u128..1_000), 0..6);
    let group = proptest::collection::vec(0_u8..12, 0..4);
    let step = prop_oneof![
        8 => (payments, group).prop_map(|(payments, group)| Step::Put(payments, group)),
        2 => (1_u64..5).prop_map(Step::TakeBack),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..40)
}

fn made(height: u64, branch: u8, payments: &[(u8, u8, u128)], group: &[u8]) -> BlockFlows {
    let movements = payments.iter().map(|(from, to, value)| payment(*from, *to, *value)).collect();
    let mut group: Vec<_> = group.iter().map(|member| address(*member)).collect();
    group.dedup();
    let baits = group.first().map(|first| (*first, Bait::ZeroValue)).into_iter().collect();
    BlockFlows { joined: vec![group], baits, ..block(height, branch, movements) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever blocks come and go, with stops between, the outcome is that of the blocks that stand.
    #[test]
    fn what_stands_decides(steps in steps()) {
        let dir = TempDir::new().unwrap();
        let lists = watch(dir.path());
        import(&lists, "bad", &[(3, "scam"), (7, "exchange")]);
        let mut tested = flows(dir.path(), &lists);
        let mut standing: Vec<BlockFlows> = Vec::new();
        let (mut durable, mut branch) = (0, 0);
        for step in steps {
            match step {
                Step::Put(payments, group) => {
                    branch = u8::wrapping_add(branch, 1);
                    let height = 100 + standing.len() as u64;
                    standing.push(made(height, branch, &payments, &group));
                    tested.take(standing.last().unwrap());
                }
                Step::TakeBack(depth) => {
                    let from = (100 + standing.len() as u64).saturating_sub(depth).max(100);
                    standing.truncate(usize::try_from(from - 100).unwrap());
                    durable = durable.min(standing.len());
                    tested.take_back(from);
                }
                Step::Flush => {
                    tested.flush().unwrap();
                    durable = standing.len();
                }
                Step::Restart => {
                    // As a follower does: what was not durable when it stopped is told once more.
                    tested.flush().unwrap();
                    let before = tested.digest();
                    drop(tested);
                    tested = flows(dir.path(), &lists);
                    prop_assert_eq!(tested.digest(), before);
                    for block in standing.iter().skip(durable.saturating_sub(3)) {
                        tested.take(block);
                    }
                    prop_assert_eq!(tested.digest(), before);
                    durable = standing.len();
                }
            }
        }
        let fresh_dir = TempDir::new().unwrap();
        let fresh = flows(fresh_dir.path(), &lists);
        standing.iter().for_each(|block| fresh.take(block));
        prop_assert_eq!(known(&tested), known(&fresh));
        prop_assert_eq!(tested.tip(), fresh.tip());
        prop_assert_eq!(tested.status().coverage, fresh.status().coverage);
    }
}

/// Three frames: a file, and where each ends.
fn three_frames(dir: &TempDir) -> (std::path::PathBuf, Vec<u64>, Vec<[u8; 32]>) {
    let lists = watch(dir.path());
    let flows = flows(dir.path(), &lists);
    let path = dir.path().join("flows/test.flows");
    let (mut ends, mut digests) = (vec![fs::metadata(&path).unwrap().len()], vec![flows.digest()]);
    for height in 1..4_u8 {
        flows.take(&block(u64::from(height), height, vec![payment(height, height + 1, 5), payment(9, 1, 7)]));
        flows.flush().unwrap();
        ends.push(fs::metadata(&path).unwrap().len());
        digests.push(flows.digest());
    }
    (path, ends, digests)
}

#[test]
fn a_torn_end_is_cut_off_and_damage_elsewhere_is_named() {
    let dir = TempDir::new().unwrap();
    let (path, ends, digests) = three_frames(&dir);
    let whole = fs::read(&path).unwrap();
    let lists = watch(dir.path());
    let last_frame = usize::try_from(ends[2]).unwrap();
    for len in last_frame..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(flows(dir.path(), &lists).digest(), digests[2], "{len} bytes");
        assert_eq!(fs::metadata(&path).unwrap().len(), ends[2]);
        // Space made for a frame that never came.
        let mut zeros = whole[..last_frame].to_vec();
        zeros.resize(len, 0);
        fs::write(&path, &zeros).unwrap();
        assert_eq!(flows(dir.path(), &lists).digest(), digests[2], "{len} bytes of zeros");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        let opened = Flows::open(config(dir.path()), std::sync::Arc::clone(&lists));
        match opened {
            Err(LogError::Damaged { .. }) => {
                assert_eq!(verify_logs(&dir.path().join("flows")).unwrap().len(), 1, "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
            // The last frame may be one that was never acknowledged.
            Ok(opened) => assert!(at >= last_frame && opened.digest() == digests[2], "byte {at}"),
        }
    }
}

#[test]
fn a_branch_deeper_than_can_be_taken_back_is_read_again() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let tested = flows(dir.path(), &lists);
    let blocks: Vec<BlockFlows> = (0..3 * UNDO_BLOCKS as u64)
        .map(|height| {
            let number = u8::try_from(height % 11).unwrap();
            block(height, 1, vec![payment(number, number + 1, u128::from(height) + 1)])
        })
        .collect();
    blocks.iter().for_each(|block| tested.take(block));
    tested.flush().unwrap();
    // Merged graphs cannot be undone either.
    drop(tested);
    let tested = flows(dir.path(), &lists);
    tested.take_back(17);
    tested.take(&block(17, 2, vec![payment(1, 12, 99)]));
    tested.flush().unwrap();

    let fresh_dir = TempDir::new().unwrap();
    let fresh = flows(fresh_dir.path(), &lists);
    blocks.iter().take(17).for_each(|block| fresh.take(block));
    fresh.take(&block(17, 2, vec![payment(1, 12, 99)]));
    assert_eq!(known(&tested), known(&fresh));
    assert_eq!(tested.tip(), fresh.tip());
    // Back to before the first.
    tested.take_back(0);
    tested.flush().unwrap();
    assert_eq!(tested.tip(), None);
    assert!(known(&tested).iter().all(Option::is_none));
}

#[test]
fn the_oldest_blocks_are_forgotten_when_there_are_too_many() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let small = watch::flows::Config { transfers_max: 1_000, ..config(dir.path()) };
    let tested = Flows::open(small.clone(), std::sync::Arc::clone(&lists)).unwrap();
    for height in 0..600_u64 {
        let number = u8::try_from(height % 11).unwrap();
        tested.take(&block(height, 1, vec![payment(number, number + 1, 5); 4]));
        tested.flush().unwrap();
        assert!(tested.status().transfers <= 1_000);
    }
    let status = tested.status();
    assert!(status.transfers > 500 && status.coverage.len() == 1 && status.coverage[0].last == 599);
    assert!(status.coverage[0].first > 300);
    let before = (tested.digest(), known(&tested));
    drop(tested);
    let again = Flows::open(small, lists).unwrap();
    assert_eq!((again.digest(), known(&again)), before);
}

#[test]
fn another_chains_log_is_refused() {
    let dir = TempDir::new().unwrap();
    let (path, ..) = three_frames(&dir);
    fs::rename(&path, path.with_file_name("tess.flows")).unwrap();
    let other = watch::flows::Config { chain: "tess".to_owned(), ..config(dir.path()) };
    let error = Flows::open(other, watch(dir.path())).unwrap_err();
    assert!(error.to_string().ends_with("it does not begin as the log of this chain"), "{error}");
}
