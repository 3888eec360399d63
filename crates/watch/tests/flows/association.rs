//! Labels derived from others: over which ties, how surely, and for how long.

use chain::{label::Category, propagation::EdgeKind};
use proptest::prelude::*;
use tempfile::TempDir;
use watch::flows::{Association, BUSY, BlockFlows, Call, Flows, Movement, Party};

use crate::support::{address, block, flows, import, payment, watch};

/// `from` creates the contract `to`.
fn creation(from: u8, to: u8) -> Movement {
    let call = Call { gas_used: 90_000, failed: false, creates: true, input_bytes: 500, method: None };
    Movement { call: Some(call), ..payment(from, to, 0) }
}

fn ties(found: &Association) -> Vec<(EdgeKind, bool)> {
    found.path.iter().map(|tie| (tie.kind, tie.acted)).collect()
}

fn built(dir: &TempDir, labels: &[(u8, &str)], movements: Vec<Movement>) -> Flows {
    let lists = watch(dir.path());
    import(&lists, "bad", labels);
    let flows = flows(dir.path(), &lists);
    flows.take(&block(1, 1, movements));
    flows
}

#[test]
fn creators_funders_and_shared_sinks_tie() {
    let dir = TempDir::new().unwrap();
    // 3 is a thief: it created 4, first paid 5, and pays the sink 6 as 7 does. 8 was paid by 9 first, and then by the thief.
    let flows = built(
        &dir,
        &[(3, "theft")],
        vec![
            creation(3, 4),
            payment(3, 5, 10),
            payment(3, 6, 1),
            payment(7, 6, 1),
            payment(9, 8, 1),
            payment(3, 8, 50),
        ],
    );
    let found = |number| flows.association(&address(number));
    let created = found(4).unwrap();
    assert_eq!(ties(&created), [(EdgeKind::Deployment, true)]);
    assert_eq!((created.category, created.path[0].address), (Category::Theft, address(3)));
    // Nobody harmless is known around: the share is whole, and one tie away.
    assert!((created.score - 1.0).abs() < 1e-12 && (created.confidence - 0.85).abs() < 1e-12);
    assert_eq!(ties(&found(5).unwrap()), [(EdgeKind::Funding, true)]);
    assert_eq!(ties(&found(7).unwrap()), [(EdgeKind::SharedSink, false)]);
    assert_eq!(found(8), None, "money alone ties nobody");
    assert_eq!(found(3), None, "what a list says needs no derivation");
    assert_eq!(found(99), None);
}

#[test]
fn confidence_decays_and_harmless_holders_speak_for_an_address() {
    let dir = TempDir::new().unwrap();
    let chain = vec![payment(3, 4, 100), payment(4, 5, 90), payment(5, 6, 80), payment(6, 7, 70)];
    let flows = built(&dir, &[(3, "phishing")], chain.clone());
    let confidence =
        |flows: &Flows, number| flows.association(&address(number)).map(|found| found.confidence);
    let (one, two, three) =
        (confidence(&flows, 4).unwrap(), confidence(&flows, 5).unwrap(), confidence(&flows, 6).unwrap());
    assert!(one > two && two > three && three > 0.6, "{one} {two} {three}");
    assert_eq!(confidence(&flows, 7), None, "too far");
    let path: Vec<_> = flows.association(&address(6)).unwrap().path.iter().map(|tie| tie.address).collect();
    assert_eq!(path, [address(5), address(4), address(3)]);

    let dir = TempDir::new().unwrap();
    let harmless = [chain, vec![payment(8, 4, 5), payment(4, 8, 5), payment(9, 4, 5)]].concat();
    let flows = built(&dir, &[(3, "phishing"), (8, "exchange"), (9, "miner")], harmless);
    let with = flows.association(&address(4)).unwrap();
    assert!(with.confidence < one && with.licit == 2, "{with:?}");
}

#[test]
fn services_tie_nobody_and_suspicion_is_no_seed() {
    let dir = TempDir::new().unwrap();
    let mut movements: Vec<Movement> = (0..=BUSY).map(|_| payment(3, 10, 1)).collect();
    movements.push(payment(3, 4, 10));
    movements.push(payment(11, 5, 10));
    let flows = built(&dir, &[(3, "mixer"), (11, "suspected")], movements);
    assert_eq!(flows.association(&address(4)), None, "whoever funds hundreds is no one's partner");
    assert_eq!(flows.association(&address(5)), None);
}

#[test]
fn whoever_paid_into_a_pool_is_tied_to_nobody_who_was_paid() {
    let dir = TempDir::new().unwrap();
    // A pool with little traffic: a thief and somebody else pay in, two are paid; one of them paid somebody on.
    let paid = vec![
        payment(11, 10, 100),
        payment(12, 10, 100),
        payment(10, 4, 99),
        payment(10, 5, 99),
        payment(4, 6, 50),
    ];
    for pool in ["mixer", "exchange", "bridge"] {
        let flows = built(&dir, &[(11, "theft"), (10, pool)], paid.clone());
        for number in [4, 5, 6, 12] {
            assert_eq!(flows.association(&address(number)), None, "{pool}: {number}");
        }
    }
}

#[test]
fn what_is_derived_goes_with_the_label_and_with_the_block() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    import(&lists, "bad", &[(3, "scam")]);
    let flows = flows(dir.path(), &lists);
    flows.take(&block(1, 1, vec![creation(3, 4)]));
    flows.take(&block(2, 1, vec![creation(3, 5)]));
    assert!(flows.association(&address(5)).is_some());
    flows.take_back(2);
    flows.take(&block(2, 2, vec![payment(8, 5, 1)]));
    assert_eq!(flows.association(&address(5)), None);
    assert!(flows.association(&address(4)).is_some());
    import(&lists, "bad", &[(9, "scam")]);
    drop(flows.relabel());
    assert_eq!(flows.association(&address(4)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Blocks that came and went leave no tie; a restart finds the same ones.
    #[test]
    fn ties_are_those_of_the_blocks_that_stand(
        branches in proptest::collection::vec(
            (1_u64..4, proptest::collection::vec((0_u8..10, 0_u8..10, any::<bool>()), 1..5)), 1..12,
        ),
    ) {
        let dir = TempDir::new().unwrap();
        let lists = watch(dir.path());
        import(&lists, "bad", &[(3, "theft"), (7, "exchange")]);
        let tested = flows(dir.path(), &lists);
        let mut standing: Vec<BlockFlows> = Vec::new();
        for (number, (depth, calls)) in (1_u8..).zip(branches) {
            let left = standing.len().saturating_sub(usize::try_from(depth).unwrap() - 1);
            standing.truncate(left);
            tested.take_back(left as u64 + 10);
            for at in 0..2_u64 {
                let movements = calls.iter().map(|(from, to, creates)| match creates {
                    true => creation(*from, *to),
                    false => payment(*from, *to, 5),
                });
                let next = block(standing.len() as u64 + 10, number.wrapping_mul(2) + u8::try_from(at).unwrap(), movements.collect());
                tested.take(&next);
                standing.push(next);
            }
        }
        tested.flush().unwrap();
        let all = |flows: &Flows| -> Vec<Option<Association>> {
            (0..10).map(|number| flows.association(&address(number))).collect()
        };
        let before = all(&tested);
        drop(tested);
        prop_assert_eq!(all(&flows(dir.path(), &lists)), before.clone());
        let fresh_dir = TempDir::new().unwrap();
        let fresh = flows(fresh_dir.path(), &lists);
        standing.iter().for_each(|block| fresh.take(block));
        let near = |found: &Option<Association>| found.as_ref().map(|found| {
            (found.category, ties(found).len(), (found.confidence * 1e9).round().to_bits())
        });
        let (one, two): (Vec<_>, Vec<_>) = (before.iter().map(near).collect(), all(&fresh).iter().map(near).collect());
        prop_assert_eq!(one, two);
    }
}

/// Blocks of a follower name parties; nobody is no holder to tie to.
#[test]
fn nobody_ties_nobody() {
    let dir = TempDir::new().unwrap();
    let mint = |to| Movement { from: Party::Nobody, call: None, ..payment(0, to, 5) };
    let flows = built(&dir, &[(3, "theft")], vec![mint(3), mint(4), payment(3, 9, 1)]);
    assert_eq!(flows.association(&address(4)), None);
}
