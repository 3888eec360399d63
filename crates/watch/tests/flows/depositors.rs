//! Deposit addresses, and who shares them.

use proptest::prelude::*;
use tempfile::TempDir;
use watch::flows::{BlockFlows, DEPOSITORS_MAX, FORWARDED_WITHIN, Flows, Movement, Party, SharedDeposit};

use crate::support::{address, block, flows, import, payment, watch};

/// The exchange and one of its deposit addresses.
const EXCHANGE: u8 = 100;
const DEPOSIT: u8 = 50;

fn token(from: u8, to: u8, value: u128) -> Movement {
    let (from, to) = (Party::Address(address(from)), Party::Address(address(to)));
    Movement { asset: Some(address(200)), call: None, from, to, ..payment(0, 1, value) }
}

/// Blocks at these heights, in one branch.
fn built(dir: &TempDir, blocks: &[(u64, Vec<Movement>)]) -> Flows {
    let lists = watch(dir.path());
    import(&lists, "known", &[(EXCHANGE, "exchange"), (101, "exchange"), (102, "mixer"), (103, "theft")]);
    let flows = flows(dir.path(), &lists);
    for (height, movements) in blocks {
        flows.take(&BlockFlows { followed: false, ..block(*height, 1, movements.clone()) });
    }
    flows
}

fn of(blocks: &[(u64, Vec<Movement>)], number: u8) -> Vec<SharedDeposit> {
    built(&TempDir::new().unwrap(), blocks).shared_deposits(&address(number))
}

fn shared(others: &[u8]) -> Vec<SharedDeposit> {
    let others = others.iter().map(|other| address(*other)).collect();
    vec![SharedDeposit { deposit: address(DEPOSIT), exchange: address(EXCHANGE), others }]
}

#[test]
fn whoever_pays_to_the_same_deposit_address_is_told_with_it() {
    let blocks = [
        (10, vec![payment(1, DEPOSIT, 100), payment(2, DEPOSIT, 50)]),
        (20, vec![payment(DEPOSIT, EXCHANGE, 149)]),
        // What passing on tokens costs comes from the exchange, and from a third account the tokens.
        (30, vec![payment(EXCHANGE, DEPOSIT, 1), token(3, DEPOSIT, 70)]),
        (31, vec![token(DEPOSIT, EXCHANGE, 70)]),
        (40, vec![payment(4, 60, 9), payment(102, DEPOSIT, 30)]),
        (41, vec![payment(DEPOSIT, EXCHANGE, 30), payment(60, 101, 9)]),
    ];
    assert_eq!(of(&blocks, 1), shared(&[2, 3]));
    assert_eq!(of(&blocks, 3), shared(&[1, 2]));
    for number in [4, DEPOSIT, EXCHANGE, 60, 102, 99] {
        assert_eq!(of(&blocks, number), [], "{number}");
    }
}

#[test]
fn what_passes_nothing_on_or_pays_others_as_well_is_no_deposit_address() {
    let paid = (10, vec![payment(1, DEPOSIT, 100), payment(2, DEPOSIT, 100)]);
    let then = |height: u64, movements: Vec<Movement>| vec![paid.clone(), (height, movements)];
    let on = |value| payment(DEPOSIT, EXCHANGE, value);
    let window = u64::from(FORWARDED_WITHIN);
    assert_eq!(of(&then(10 + window, vec![on(180)]), 1), shared(&[2]));
    for (why, blocks) in [
        ("nothing is passed on", vec![paid.clone()]),
        ("too late", then(11 + window, vec![on(200)])),
        ("too little", then(11, vec![on(179)])),
        ("somebody else is paid", then(11, vec![on(190), payment(DEPOSIT, 9, 1)])),
        ("in another asset", then(11, vec![on(190), token(DEPOSIT, 9, 1)])),
        ("two exchanges", then(11, vec![on(90), payment(DEPOSIT, 101, 100)])),
        ("a mixer", then(11, vec![payment(DEPOSIT, 102, 200)])),
        ("a stranger", then(11, vec![payment(DEPOSIT, 9, 200)])),
        ("a thief", then(11, vec![payment(DEPOSIT, 103, 200)])),
    ] {
        assert_eq!(of(&blocks, 1), [], "{why}");
    }
    // The newest payment may still be on its way; one that was left lying says otherwise.
    let mut blocks = then(11, vec![on(200)]);
    blocks.push((12, vec![payment(3, DEPOSIT, 500)]));
    assert_eq!(of(&blocks, 1), shared(&[2, 3]));
    blocks.push((13 + window, vec![payment(4, 5, 1)]));
    assert_eq!(of(&blocks, 1), []);
}

#[test]
fn an_address_that_many_pay_ties_nobody() {
    let many = u8::try_from(DEPOSITORS_MAX).unwrap();
    let paid = |payers: u8| (1..=payers).map(|payer| payment(payer, DEPOSIT, 10)).collect::<Vec<_>>();
    let blocks =
        |payers: u8| [(1, paid(payers)), (2, vec![payment(DEPOSIT, EXCHANGE, u128::from(payers) * 10)])];
    assert_eq!(of(&blocks(many), 1)[0].others.len(), DEPOSITORS_MAX - 1);
    assert_eq!(of(&blocks(many + 1), 1), []);
}

#[test]
fn it_goes_with_the_block_and_with_the_label() {
    let dir = TempDir::new().unwrap();
    let lists = watch(dir.path());
    import(&lists, "known", &[(EXCHANGE, "exchange")]);
    let flows = flows(dir.path(), &lists);
    flows.take(&block(1, 1, vec![payment(1, DEPOSIT, 10), payment(2, DEPOSIT, 10)]));
    flows.take(&block(2, 1, vec![payment(DEPOSIT, EXCHANGE, 20)]));
    assert_eq!(flows.shared_deposits(&address(1)), shared(&[2]));
    flows.take_back(2);
    assert_eq!(flows.shared_deposits(&address(1)), []);
    flows.take(&block(2, 2, vec![payment(DEPOSIT, EXCHANGE, 20)]));
    assert_eq!(flows.shared_deposits(&address(1)), shared(&[2]));
    import(&lists, "known", &[(7, "exchange")]);
    drop(flows.relabel());
    assert_eq!(flows.shared_deposits(&address(1)), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Sharing goes both ways, and nobody is told to share with himself, a service or the deposit address.
    #[test]
    fn sharing_is_mutual(
        calls in proptest::collection::vec((1_u8..8, 1_u8..12, 1_u128..100, any::<bool>()), 1..40),
    ) {
        // 8 to 10 are places to pay to, 11 the exchange.
        let dir = TempDir::new().unwrap();
        let lists = watch(dir.path());
        import(&lists, "known", &[(11, "exchange"), (7, "bridge")]);
        let flows = flows(dir.path(), &lists);
        for (height, (from, to, value, forwards)) in (1..).zip(calls) {
            let mut movements = vec![payment(from, to, value)];
            if forwards && (8..11).contains(&to) {
                movements.push(payment(to, 11, value));
            }
            flows.take(&block(height, u8::try_from(height).unwrap(), movements));
        }
        for number in 1..12 {
            for found in flows.shared_deposits(&address(number)) {
                prop_assert_eq!(found.exchange, address(11));
                for other in &found.others {
                    prop_assert!(![address(number), found.deposit, address(7), address(11)].contains(other));
                    let theirs = flows.shared_deposits(other);
                    let same = theirs.iter().find(|theirs| theirs.deposit == found.deposit);
                    prop_assert!(same.is_some_and(|same| same.others.contains(&address(number))));
                }
            }
        }
    }
}
