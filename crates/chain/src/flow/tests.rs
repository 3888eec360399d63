use proptest::prelude::*;

use super::*;

const HOLDERS: u32 = 6;
/// A holder that absorbs, and one that absorbs and pays out what is tainted with source 9.
const EXCHANGE: u32 = 4;
const MIXER: u32 = 5;
const MIXED: Source = Source(9);
const SOURCES: [Source; 3] = [Source(1), Source(2), MIXED];

fn roles() -> [(u32, Role); 2] {
    [(EXCHANGE, Role { pays: None }), (MIXER, Role { pays: Some(MIXED) })]
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u32, u128, Option<Source>),
    Pay(Vec<(u32, u128)>, Vec<(u32, u128)>),
}

fn apply(ledger: &mut Ledger, step: &Step) -> Result<(), FlowError> {
    match step {
        Step::Enter(holder, amount, source) => ledger.enter(*holder, *amount, *source),
        Step::Pay(from, to) => ledger.pay(from, to),
    }
}

fn steps(amount_max: u128) -> impl Strategy<Value = Vec<Step>> {
    let source = prop_oneof![Just(None), Just(Some(Source(1))), Just(Some(Source(2)))];
    let party = move || proptest::collection::vec((0..HOLDERS, 0..amount_max), 1..4);
    let step = prop_oneof![
        (0..HOLDERS, 0..amount_max, source)
            .prop_map(|(holder, amount, source)| Step::Enter(holder, amount, source)),
        (party(), party()).prop_map(|(from, mut to)| {
            // Outputs may not exceed inputs; what is left is the fee.
            let mut left: u128 = from.iter().map(|(_, amount)| amount).sum();
            for (_, amount) in &mut to {
                *amount = (*amount).min(left);
                left -= *amount;
            }
            Step::Pay(from, to)
        }),
    ];
    proptest::collection::vec(step, 1..30)
}

/// Money as single coins, each with its taint: nothing to divide, nothing to round.
#[derive(Default)]
struct Coins {
    held: BTreeMap<u32, Vec<Option<Source>>>,
}

impl Coins {
    fn give(&mut self, holder: u32, coins: &[Option<Source>]) {
        if holder != EXCHANGE && holder != MIXER {
            self.held.entry(holder).or_default().extend(coins);
        }
    }

    fn apply(&mut self, policy: Policy, step: &Step) {
        let (from, to) = match step {
            Step::Enter(holder, amount, source) => {
                return self.give(*holder, &vec![*source; *amount as usize]);
            }
            Step::Pay(from, to) => (from, to),
        };
        let mut taken = Vec::new();
        for (holder, amount) in from {
            let outside = match *holder {
                MIXER => Some(MIXED),
                _ => None,
            };
            let held = self.held.entry(*holder).or_default();
            for _ in 0..*amount {
                let at = match policy {
                    Policy::Fifo => (!held.is_empty()).then_some(0),
                    Policy::Lifo => held.len().checked_sub(1),
                    _ => (0..held.len()).min_by_key(|at| (held[*at].is_none(), held[*at], *at)),
                };
                taken.push(at.map_or(outside, |at| held.remove(at)));
            }
        }
        let mut outputs: Vec<(usize, u32, u128)> =
            to.iter().enumerate().map(|(at, (holder, amount))| (at, *holder, *amount)).collect();
        let fee = taken.len() as u128 - to.iter().map(|(_, amount)| amount).sum::<u128>();
        outputs.push((to.len(), EXCHANGE, fee));
        if policy == Policy::Tiho {
            taken.sort_by_key(|coin| (coin.is_none(), *coin));
            outputs.sort_by_key(|(at, _, amount)| (std::cmp::Reverse(*amount), *at));
        }
        let mut given = Vec::new();
        for (at, holder, amount) in outputs {
            given.push((at, holder, taken.drain(..amount as usize).collect::<Vec<_>>()));
        }
        given.sort_by_key(|(at, ..)| *at);
        for (_, holder, coins) in given {
            self.give(holder, &coins);
        }
    }

    fn taint(&self, holder: u32) -> Vec<(Source, u128)> {
        let coins = self.held.get(&holder).map(Vec::as_slice).unwrap_or_default();
        let count = |source| coins.iter().filter(|coin| **coin == Some(source)).count() as u128;
        SOURCES.into_iter().map(|source| (source, count(source))).filter(|(_, count)| *count > 0).collect()
    }
}

fn whole(ledger: &Ledger) -> (BTreeMap<u32, Holding>, BTreeMap<Sum, u128>) {
    (ledger.holdings.clone(), ledger.sums.clone())
}

proptest! {
    /// Tainted in is held, absorbed or paid as fees, to the last unit, also near the limit of 128 bits.
    #[test]
    fn taint_is_conserved(steps in steps(u128::MAX / 1_000), small in steps(20)) {
        for policy in [Policy::Fifo, Policy::Haircut, Policy::Lifo, Policy::Tiho] {
            for steps in [&steps, &small] {
                let mut ledger = Ledger::new(policy, roles());
                for step in steps {
                    apply(&mut ledger, step).unwrap();
                    for source in SOURCES {
                        let totals = ledger.totals(source);
                        prop_assert_eq!(totals.entered, totals.held + totals.absorbed + totals.fees, "{}", policy.as_str());
                    }
                    for holder in 0..HOLDERS {
                        let taint: u128 = ledger.taint(holder).iter().map(|(_, amount)| amount).sum();
                        prop_assert!(taint <= ledger.held(holder));
                    }
                }
            }
        }
    }

    /// The ordered policies do with amounts what they would do with single coins.
    #[test]
    fn lots_equal_single_coins(steps in steps(20)) {
        for policy in [Policy::Fifo, Policy::Lifo, Policy::Tiho] {
            let (mut ledger, mut coins) = (Ledger::new(policy, roles()), Coins::default());
            for step in &steps {
                apply(&mut ledger, step).unwrap();
                coins.apply(policy, step);
                for holder in 0..HOLDERS {
                    prop_assert_eq!(ledger.taint(holder), coins.taint(holder), "{} {:?}", policy.as_str(), step);
                }
            }
        }
    }

    /// Haircut stays within a unit per movement of exact fractions.
    #[test]
    fn haircut_is_close_to_fractions(steps in steps(1 << 40)) {
        let mut ledger = Ledger::new(Policy::Haircut, roles());
        // Of each holder: all it has, and how much of it is tainted with source 1.
        let mut exact = [(0.0_f64, 0.0_f64); HOLDERS as usize];
        let mut slack = 1.0;
        for step in &steps {
            apply(&mut ledger, step).unwrap();
            slack += 8.0;
            match step {
                Step::Enter(holder, amount, source) => {
                    let held = &mut exact[*holder as usize];
                    held.0 += *amount as f64;
                    held.1 += if *source == Some(Source(1)) { *amount as f64 } else { 0.0 };
                }
                Step::Pay(from, to) => {
                    let (mut all, mut tainted) = (0.0, 0.0);
                    for (holder, amount) in from {
                        let held = &mut exact[*holder as usize];
                        let known = (*amount as f64).min(held.0);
                        let taint = if held.0 > 0.0 { held.1 * known / held.0 } else { 0.0 };
                        *held = (held.0 - known, held.1 - taint);
                        all += *amount as f64;
                        tainted += taint;
                    }
                    for (holder, amount) in to.iter().filter(|_| all > 0.0) {
                        let held = &mut exact[*holder as usize];
                        *held = (held.0 + *amount as f64, held.1 + tainted * *amount as f64 / all);
                    }
                }
            }
            exact[EXCHANGE as usize] = (0.0, 0.0);
            exact[MIXER as usize] = (0.0, 0.0);
            for holder in 0..HOLDERS {
                let got = ledger.taint(holder).iter().find(|(source, _)| *source == Source(1)).map_or(0, |(_, amount)| *amount);
                prop_assert!((got as f64 - exact[holder as usize].1).abs() <= slack);
            }
        }
    }

    /// Whoever is tainted by another policy is tainted by poison, with at least as much.
    #[test]
    fn poison_covers_every_other_policy(steps in steps(1_000)) {
        let mut poison = Ledger::new(Policy::Poison, roles());
        let mut others = [Policy::Fifo, Policy::Haircut, Policy::Lifo, Policy::Tiho].map(|policy| Ledger::new(policy, roles()));
        let sum = |ledger: &Ledger, holder| ledger.taint(holder).iter().map(|(_, amount)| amount).sum::<u128>();
        for step in &steps {
            apply(&mut poison, step).unwrap();
            for other in &mut others {
                apply(other, step).unwrap();
                prop_assert_eq!((0..HOLDERS).map(|holder| other.held(holder)).collect::<Vec<_>>(), (0..HOLDERS).map(|holder| poison.held(holder)).collect::<Vec<_>>());
                for holder in 0..HOLDERS {
                    prop_assert!(sum(&poison, holder) > 0 || sum(other, holder) == 0);
                }
            }
        }
    }

    /// After undoing blocks the ledger is as if they had never been.
    #[test]
    fn undone_blocks_leave_nothing(blocks in proptest::collection::vec(steps(1_000), 1..5), keep in 0_usize..5) {
        let keep = keep.min(blocks.len());
        for policy in Policy::ALL {
            let (mut ledger, mut expected) = (Ledger::new(policy, roles()), Ledger::new(policy, roles()));
            for (height, block) in (1_u64..).zip(&blocks) {
                ledger.begin_block(height).unwrap();
                for step in block {
                    apply(&mut ledger, step).unwrap();
                    if height <= keep as u64 {
                        apply(&mut expected, step).unwrap();
                    }
                }
            }
            prop_assert_eq!(ledger.undo_to(keep as u64).unwrap(), blocks.len() - keep);
            prop_assert_eq!(whole(&ledger), whole(&expected));
        }
    }
}

#[test]
fn policies_differ_as_they_should() {
    // 100 tainted, then 100 clean, then 150 to one and 50 to another.
    let dealt = |policy| {
        let mut ledger = Ledger::new(policy, []);
        ledger.enter(0, 100, Some(Source(1))).unwrap();
        ledger.enter(0, 100, None).unwrap();
        ledger.pay(&[(0, 200)], &[(1, 50), (2, 150)]).unwrap();
        [1, 2].map(|holder| ledger.taint(holder).first().map_or(0, |(_, amount)| *amount))
    };
    assert_eq!(dealt(Policy::Fifo), [50, 50]);
    assert_eq!(dealt(Policy::Lifo), [0, 100]);
    assert_eq!(dealt(Policy::Tiho), [0, 100]);
    assert_eq!(dealt(Policy::Haircut), [25, 75]);
    assert_eq!(dealt(Policy::Poison), [50, 150]);
}

#[test]
fn following_stops_at_services() {
    let mut ledger = Ledger::new(Policy::Fifo, roles());
    ledger.enter(0, 10, Some(Source(1))).unwrap();
    ledger.pay(&[(0, 10)], &[(EXCHANGE, 9)]).unwrap();
    ledger.pay(&[(EXCHANGE, 50)], &[(1, 50)]).unwrap();
    ledger.pay(&[(MIXER, 7)], &[(1, 7)]).unwrap();
    assert_eq!(ledger.taint(1), [(MIXED, 7)]);
    assert_eq!(ledger.absorbed(EXCHANGE, Source(1)), 9);
    assert_eq!(ledger.totals(Source(1)), Totals { entered: 10, held: 0, absorbed: 9, fees: 1 });
}

#[test]
fn what_cannot_be_is_refused_whole() {
    let mut ledger = Ledger::new(Policy::Haircut, []);
    ledger.enter(0, u128::MAX, Some(Source(1))).unwrap();
    ledger.enter(1, 5, None).unwrap();
    let before = whole(&ledger);
    assert_eq!(ledger.pay(&[(1, 5)], &[(2, 6)]), Err(FlowError::Created));
    assert_eq!(ledger.pay(&[(1, 1), (2, u128::MAX)], &[]), Err(FlowError::Overflow));
    assert_eq!(ledger.pay(&[(1, 5)], &[(2, 1), (0, 4)]), Err(FlowError::Overflow));
    assert_eq!(ledger.enter(2, 1, Some(Source(1))), Err(FlowError::Overflow));
    let many = vec![(3, 0); PARTIES_MAX + 1];
    assert_eq!(ledger.pay(&[], &many), Err(FlowError::TooManyParties { got: PARTIES_MAX + 1 }));
    assert_eq!(whole(&ledger), before);
    // Alternating kinds cannot be merged in a queue.
    let mut queue = Ledger::new(Policy::Fifo, []);
    let kinds = [None, Some(Source(1))];
    for at in 0..LOTS_MAX {
        queue.enter(0, 1, kinds[at % 2]).unwrap();
    }
    assert_eq!(queue.enter(0, 1, kinds[LOTS_MAX % 2]), Err(FlowError::TooManyLots { holder: 0 }));
}

#[test]
fn settled_blocks_stay() {
    let mut ledger = Ledger::new(Policy::Fifo, []);
    ledger.begin_block(1).unwrap();
    ledger.enter(0, 1, None).unwrap();
    ledger.begin_block(2).unwrap();
    ledger.settle(1);
    assert_eq!(ledger.undo_to(0), Err(FlowError::Settled { wanted: 0, settled: 1 }));
    assert_eq!(ledger.undo_to(1), Ok(1));
    assert_eq!(ledger.begin_block(1), Err(FlowError::OutOfOrder { got: 1, last: 1 }));
    assert_eq!(ledger.held(0), 1);
}
