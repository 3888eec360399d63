//! Fresh addresses judged as blocks come: what stands decides, whatever came and went between.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use domain::{Address, UnixNanos};
use proptest::prelude::*;
use scoring::{
    gbdt::{self, Params},
    matrix::{FeatureNames, Matrix},
    model::{
        card::{ModelCard, Training},
        file::ModelFile,
    },
};
use tempfile::TempDir;
use watch::{
    Watch,
    discovery::{Detector, Direction, Peer, Step, THRESHOLD, TRANSACTIONS, Window, feature_names, features},
    flows::{BlockFlows, Changed, Flows, Standing, UNDO_BLOCKS},
    suspicions::{Held, News, Suspicions, Why, news},
};

use crate::support::{address, block, config, import, payment, watch};

/// One coin, in the smallest unit.
const COIN: u128 = 1_000_000_000_000_000_000;
const MODEL: [u8; 32] = [7; 32];

/// A model that suspects whoever first receives at least 50 coins, or anything from a known thief, of `transactions` at most.
fn detector(transactions: usize) -> Arc<Detector> {
    static TRAINED: [OnceLock<Arc<Detector>>; 5] = [const { OnceLock::new() }; 5];
    Arc::clone(TRAINED[transactions].get_or_init(|| trained(transactions)))
}

fn trained(transactions: usize) -> Arc<Detector> {
    let mut rows = Matrix::new(FeatureNames::new(feature_names()).unwrap());
    let mut labels = Vec::new();
    for coins in 1..=100_u32 {
        for marked in [false, true] {
            let mut window = Window::default();
            window.push(Step {
                at: UnixNanos::from_secs(1),
                direction: Direction::In,
                other: 1,
                coins: f64::from(coins),
                digits: 1,
                gas_used: 21_000,
                failed: false,
                input_bytes: 0,
                method: None,
                peer: Peer { marked, tainted: f64::from(u8::from(marked)), ..Peer::default() },
            });
            rows.push(&features(&window)).unwrap();
            labels.push(coins >= 50 || marked);
        }
    }
    let params = Params { trees: 20, min_hessian: 0.1, ..Params::default() };
    let model = gbdt::train(&rows, &labels, None, None, &params).unwrap();
    let card = ModelCard {
        name: "discovery".to_owned(),
        version: "test".to_owned(),
        created_by: "test".to_owned(),
        created_at: UnixNanos(0),
        training: Training { rows: 200, positives: 151, period: None, data_hash: [0; 32] },
        params: vec![
            (THRESHOLD.to_owned(), "0".to_owned()),
            (TRANSACTIONS.to_owned(), transactions.to_string()),
        ],
        metrics: Vec::new(),
        limits: "of a test".to_owned(),
    };
    Arc::new(Detector::new(ModelFile { model, calibration: None, card }).unwrap())
}

fn judging(dir: &Path, lists: &Arc<Watch>, transactions: usize) -> Flows {
    Flows::open_judging(config(dir), Arc::clone(lists), Some(detector(transactions))).unwrap()
}

/// Suspects without what depends on branches that were given up.
fn suspects(flows: &Flows) -> BTreeMap<Address, (u64, usize, Vec<String>)> {
    let found = flows.suspects().into_iter().map(|(address, suspect)| {
        let reasons = suspect.suspicion.reasons.iter().map(ToString::to_string).collect();
        (address, (suspect.height, suspect.transactions, reasons))
    });
    found.collect()
}

/// Brings a record up to what the chain says; what was recorded.
fn record(recorded: &Suspicions, flows: &Flows, changed: &Changed, entry: &mut u64) -> Vec<News> {
    let told = news(recorded, flows, &MODEL, changed);
    for news in &told {
        *entry += 1;
        match news {
            News::Raised(address, suspect) => recorded.apply_raised(
                *address,
                Held {
                    chain: "test".to_owned(),
                    model: MODEL,
                    probability: 1,
                    height: suspect.height,
                    block: suspect.block,
                    transaction: suspect.transaction,
                    transactions: suspect.transactions as u64,
                    reasons: Vec::new(),
                    at: UnixNanos(0),
                    entry: *entry,
                },
            ),
            News::Withdrawn(address, _) => recorded.apply_withdrawn(address, "test"),
        }
    }
    told
}

#[derive(Debug, Clone)]
enum Happens {
    Put(Vec<(u8, u8, u128)>),
    TakeBack(u64),
    Flush,
    Restart,
    /// Stops without making durable what came last.
    Crash,
}

fn happens() -> impl Strategy<Value = Vec<Happens>> {
    let payments = proptest::collection::vec((0_u8..12, 0_u8..12, 1_u128..80), 0..6);
    let happens = prop_oneof![
        8 => payments.prop_map(Happens::Put),
        2 => (1_u64..6).prop_map(Happens::TakeBack),
        2 => Just(Happens::Flush),
        1 => Just(Happens::Restart),
        1 => Just(Happens::Crash),
    ];
    proptest::collection::vec(happens, 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Reorganisations, stops and crashes leave the suspects of the blocks that stand, in memory and on record.
    #[test]
    fn suspects_are_those_of_the_blocks_that_stand(steps in happens(), transactions in 1_usize..5) {
        let dir = TempDir::new().unwrap();
        let lists = watch(dir.path());
        import(&lists, "bad", &[(3, "theft"), (7, "exchange"), (9, "suspected")]);
        let mut tested = judging(dir.path(), &lists, transactions);
        let (recorded, mut entry) = (Suspicions::default(), 0);
        let (mut standing, mut durable, mut branch) = (Vec::<BlockFlows>::new(), 0, 0_u8);
        for step in steps {
            match step {
                Happens::Put(payments) => {
                    branch = branch.wrapping_add(1);
                    let movements =
                        payments.iter().map(|(from, to, coins)| payment(*from, *to, coins * COIN)).collect();
                    standing.push(block(standing.len() as u64 + 1, branch, movements));
                    tested.take(standing.last().unwrap());
                }
                Happens::TakeBack(depth) => {
                    let left = standing.len().saturating_sub(usize::try_from(depth).unwrap());
                    standing.truncate(left);
                    durable = durable.min(left);
                    tested.take_back(left as u64 + 1);
                }
                Happens::Flush => {
                    tested.flush().unwrap();
                    durable = standing.len();
                    record(&recorded, &tested, &tested.take_changed_suspects(), &mut entry);
                    let on: Vec<Address> = suspects(&tested).into_keys().collect();
                    prop_assert_eq!(recorded.on("test"), on);
                }
                Happens::Restart | Happens::Crash => {
                    if matches!(step, Happens::Restart) {
                        tested.flush().unwrap();
                        durable = standing.len();
                    }
                    let before = suspects(&tested);
                    drop(tested);
                    tested = judging(dir.path(), &lists, transactions);
                    // What is not durable is told again, and a branch that was not is taken back again.
                    tested.take_back(durable as u64 + 1);
                    standing.iter().skip(durable).for_each(|block| tested.take(block));
                    prop_assert_eq!(suspects(&tested), before);
                }
            }
        }
        tested.flush().unwrap();
        record(&recorded, &tested, &Changed::All, &mut entry);
        let fresh_dir = TempDir::new().unwrap();
        let fresh = judging(fresh_dir.path(), &lists, transactions);
        standing.iter().for_each(|block| fresh.take(block));
        prop_assert_eq!(suspects(&tested), suspects(&fresh));
        prop_assert_eq!(recorded.on("test"), suspects(&fresh).into_keys().collect::<Vec<_>>());
        prop_assert!(record(&recorded, &tested, &Changed::All, &mut entry).is_empty());
    }
}

#[test]
fn a_payment_from_a_known_thief_makes_a_suspect_and_knowledge_counts_from_when_it_came() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = judging(dir.path(), &lists, 2);
    flows.take(&block(0, 1, vec![payment(1, 2, 5 * COIN)]));
    // Nobody knows the thief yet.
    flows.take(&block(1, 1, vec![payment(3, 4, 5 * COIN)]));
    assert!(flows.suspects().is_empty());
    import(&lists, "bad", &[(3, "theft")]);
    assert_eq!(flows.relabel().len(), 1);
    flows.take(&block(2, 1, vec![payment(3, 5, 5 * COIN)]));
    flows.flush().unwrap();
    let before = suspects(&flows);
    assert_eq!(before.keys().collect::<Vec<_>>(), [&address(5)]);
    let (height, transactions, reasons) = &before[&address(5)];
    assert_eq!((*height, *transactions), (2, 1));
    assert!(reasons.iter().any(|reason| reason.contains("known to be malicious")), "{reasons:?}");
    drop(flows);
    // What was known when is ground: a start does not judge the past by what is known now.
    let flows = judging(dir.path(), &lists, 2);
    assert_eq!(suspects(&flows), before);
    drop(flows);
    // A list that changed while nothing ran counts from then on.
    import(&lists, "bad", &[(1, "theft")]);
    let flows = judging(dir.path(), &lists, 2);
    flows.take(&block(3, 1, vec![payment(3, 6, 5 * COIN), payment(1, 8, 5 * COIN)]));
    assert_eq!(suspects(&flows).keys().collect::<Vec<_>>(), [&address(5), &address(8)]);
}

#[test]
fn a_deep_branch_and_forgotten_blocks_leave_a_record_that_is_true() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = judging(dir.path(), &lists, 2);
    let (recorded, mut entry) = (Suspicions::default(), 0);
    let filler = |height: u64, branch| block(height, branch, vec![payment(10, 11, 1)]);
    flows.take(&block(0, 1, vec![payment(1, 2, 60 * COIN)]));
    (1..=5).for_each(|height| flows.take(&filler(height, 1)));
    flows.take(&block(6, 1, vec![payment(1, 4, 70 * COIN)]));
    (7..10 + UNDO_BLOCKS as u64).for_each(|height| flows.take(&filler(height, 1)));
    flows.flush().unwrap();
    assert_eq!(record(&recorded, &flows, &flows.take_changed_suspects(), &mut entry).len(), 2);
    flows.take_back(3);
    (3..9).for_each(|height| flows.take(&filler(height, 2)));
    flows.flush().unwrap();
    let changed = flows.take_changed_suspects();
    assert_eq!(changed, Changed::All);
    assert_eq!(
        record(&recorded, &flows, &changed, &mut entry),
        [News::Withdrawn(address(4), Why::Reorganisation)]
    );
    assert_eq!(recorded.on("test"), [address(2)]);
    drop(flows);

    // A model that thinks otherwise, or none.
    let strict = Flows::open(config(dir.path()), Arc::clone(&lists)).unwrap();
    assert_eq!(strict.standing(&address(2), 0, &[1; 32]), Standing::Unsuspected);
    assert_eq!(news(&recorded, &strict, &MODEL, &Changed::All), [News::Withdrawn(address(2), Why::Model)]);
    drop(strict);

    // Its beginning is forgotten: what was said of it stays.
    let small = watch::flows::Config { transfers_max: 400, ..config(dir.path()) };
    let flows = Flows::open_judging(small, lists, Some(detector(2))).unwrap();
    for height in 9..300 {
        flows.take(&block(height, 2, vec![payment(10, 11, 1); 2]));
        flows.flush().unwrap();
    }
    assert!(flows.status().coverage[0].first > 0 && flows.suspects().is_empty());
    assert_eq!(flows.standing(&address(2), 0, &[1; 32]), Standing::Untold);
    assert_eq!(news(&recorded, &flows, &MODEL, &Changed::All), []);
}

#[test]
fn who_may_be_old_is_not_judged() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = judging(dir.path(), &lists, 2);
    flows.take(&block(1_000, 1, vec![payment(1, 2, 60 * COIN)]));
    let month = 31 * 24 * 3_600;
    let late = |height: u64, movements| {
        let block = block(height, 1, movements);
        BlockFlows { time_s: block.time_s + month, ..block }
    };
    flows.take(&late(1_001, vec![payment(1, 4, 60 * COIN), payment(5, 6, 1)]));
    // Who pays first was there before.
    flows.take(&late(1_002, vec![payment(5, 1, 60 * COIN), payment(1, 5, 60 * COIN)]));
    assert_eq!(suspects(&flows).keys().collect::<Vec<_>>(), [&address(4)]);
    // Behind a gap the wait begins again.
    flows.take(&late(1_010, vec![payment(1, 7, 60 * COIN)]));
    assert_eq!(flows.suspects().len(), 1);
}

#[test]
fn a_cleared_address_is_not_raised_again() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    let flows = judging(dir.path(), &lists, 2);
    flows.take(&block(0, 1, vec![payment(1, 2, 60 * COIN)]));
    flows.flush().unwrap();
    let (recorded, mut entry) = (Suspicions::default(), 0);
    record(&recorded, &flows, &Changed::All, &mut entry);
    assert_eq!(recorded.of(&address(2)).len(), 1);
    let cleared = watch::suspicions::Cleared {
        by: "operator:ann".to_owned(),
        reason: "our own wallet".to_owned(),
        at: UnixNanos(1),
    };
    recorded.apply_cleared(address(2), cleared.clone());
    assert!(recorded.of(&address(2)).is_empty() && recorded.is_empty());
    assert_eq!(recorded.cleared(&address(2)), Some(cleared));
    assert!(record(&recorded, &flows, &Changed::All, &mut entry).is_empty());
}
