use proptest::prelude::*;

use super::*;
use crate::label::Category;

const HOLDERS: u32 = 10;

fn label(holder: u32) -> Option<Category> {
    match holder {
        0 => Some(Category::Theft),
        1 => Some(Category::Exchange),
        2 => Some(Category::Mixer),
        _ => None,
    }
}

fn transfer(from: u32, to: u32, time: u32, amount: f64) -> Transfer {
    Transfer { from, to, time, amount }
}

fn share(exposure: &Exposure, category: Category) -> Option<&Share> {
    exposure.shares.iter().find(|share| share.category == category)
}

#[test]
fn money_is_traced_to_its_source_with_a_path() {
    // The thief pays 3, who pays 4; the exchange pays 4 directly, three times as much.
    let transfers = [transfer(0, 3, 1, 10.0), transfer(1, 4, 2, 75.0), transfer(3, 4, 3, 25.0)];
    let graph = Transfers::new(10, &transfers).unwrap();
    let exposure = graph.exposure(&Query::source(4, 9), label);
    assert_eq!(exposure.amount, 100.0);
    let exchange = share(&exposure, Category::Exchange).unwrap();
    assert_eq!((exchange.direct, exchange.indirect, exchange.hops), (0.75, 0.0, 1));
    let theft = share(&exposure, Category::Theft).unwrap();
    assert_eq!((theft.direct, theft.indirect, theft.hops), (0.0, 0.25, 2));
    assert!((theft.weight - 0.2).abs() < 1e-12);
    assert_eq!(
        theft.path,
        [Step { transfer: 2, holder: 3, time: 3 }, Step { transfer: 0, holder: 0, time: 1 }]
    );
    let exposure = graph.exposure(&Query::destination(0, 0), label);
    assert_eq!(exposure.unknown, 1.0, "what 4 received rests with it");
}

#[test]
fn money_does_not_flow_back_in_time() {
    // 3 was paid by the thief only after it had paid 4.
    let transfers = [transfer(5, 3, 1, 1.0), transfer(3, 4, 2, 1.0), transfer(0, 3, 3, 1.0)];
    let graph = Transfers::new(10, &transfers).unwrap();
    let exposure = graph.exposure(&Query::source(4, 9), label);
    assert_eq!((exposure.shares.len(), exposure.unknown), (0, 1.0));
    // Nor does a query see what came after its time.
    assert_eq!(graph.exposure(&Query::source(3, 2), label).unknown, 1.0);
    assert_eq!(share(&graph.exposure(&Query::source(3, 3), label), Category::Theft).unwrap().direct, 0.5);
}

#[test]
fn a_share_not_worth_the_work_is_said_to_be_unresolved() {
    let mut transfers: Vec<Transfer> = (0..1_000).map(|_| transfer(0, 3, 1, 1.0)).collect();
    transfers.extend([transfer(3, 4, 2, 1.0), transfer(5, 4, 2, 99.0)]);
    let graph = Transfers::new(10, &transfers).unwrap();
    let query = Query { epsilon: 1e-4, ..Query::source(4, 9) };
    let exposure = graph.exposure(&query, label);
    assert!((exposure.unresolved - 0.01).abs() < 1e-12 && exposure.shares.is_empty());
    assert!(exposure.work < 10);
    assert!(share(&graph.exposure(&Query { epsilon: 1e-6, ..query }, label), Category::Theft).is_some());
}

#[test]
fn a_busy_start_is_looked_at_in_part() {
    let excess = 10;
    let count = u32::try_from(START_TRANSFERS_MAX).unwrap() + excess;
    // The thief pays first, the exchange last; the last ones are not merged yet.
    let all: Vec<Transfer> =
        (0..count).map(|time| transfer(u32::from(time >= count / 2), 3, time, 1.0)).collect();
    for merged in [count, count - 5, 5, 0] {
        let (old, new) = all.split_at(merged as usize);
        let mut graph = Transfers::new(10, old).unwrap();
        graph.append(10, new).unwrap();
        let exposure = graph.exposure(&Query::source(3, count), label);
        let parts = |share: f64| (share * f64::from(count)).round();
        assert_eq!(exposure.work, START_TRANSFERS_MAX);
        assert_eq!(parts(exposure.unresolved), f64::from(excess));
        let of = |category| parts(share(&exposure, category).unwrap().direct);
        assert_eq!(of(Category::Exchange), f64::from(count - count / 2));
        assert_eq!(of(Category::Theft), f64::from(count / 2 - excess));
    }
    let paid: Vec<Transfer> = all.iter().map(|one| transfer(3, one.from, one.time, 1.0)).collect();
    for merged in [count, count - 5, 5, 0] {
        let (old, new) = paid.split_at(merged as usize);
        let mut graph = Transfers::new(10, old).unwrap();
        graph.append(10, new).unwrap();
        let exposure = graph.exposure(&Query::destination(3, 0), label);
        let parts = |share: f64| (share * f64::from(count)).round();
        assert_eq!((exposure.work, parts(exposure.unresolved)), (START_TRANSFERS_MAX, f64::from(excess)));
        let of = |category| parts(share(&exposure, category).unwrap().direct);
        assert_eq!(of(Category::Exchange), f64::from(count - count / 2 - excess));
    }
}

#[test]
fn bad_transfers_are_refused() {
    let error = |transfers: &[Transfer]| Transfers::new(2, transfers).unwrap_err().to_string();
    assert_eq!(error(&[transfer(0, 1, 0, f64::NAN)]), "transfer 0 has the amount NaN");
    assert_eq!(error(&[transfer(0, 1, 0, -1.0)]), "transfer 0 has the amount -1");
    assert_eq!(
        error(&[transfer(0, 1, 5, 1.0), transfer(0, 1, 4, 1.0)]),
        "transfer 1 has time 4, after one of time 5"
    );
    assert_eq!(error(&[transfer(0, 2, 0, 1.0)]), "the transfers do not fit a graph");
    let mut graph = Transfers::new(2, &[transfer(0, 1, 5, 1.0)]).unwrap();
    assert!(matches!(graph.append(2, &[transfer(0, 1, 4, 1.0)]), Err(TransfersError::OutOfOrder { .. })));
    assert_eq!(graph.undo_to(4), Err(TransfersError::Merged { wanted: 4, merged: 5 }));
}

/// Every way money may have come, one by one.
#[derive(Default)]
struct Reference {
    direct: std::collections::BTreeMap<Category, f64>,
    indirect: std::collections::BTreeMap<Category, f64>,
    unknown: f64,
    beyond: f64,
}

impl Reference {
    fn follow(&mut self, transfers: &[Transfer], query: &Query, node: u32, time: u32, hop: u8, share: f64) {
        if hop == query.hops {
            self.beyond += share;
            return;
        }
        let is_source = query.direction == Direction::Source;
        let eligible = transfers.iter().filter(|other| {
            if is_source {
                other.to == node && other.time <= time
            } else {
                other.from == node && other.time >= time
            }
        });
        let total: f64 = eligible.clone().map(|other| other.amount).sum();
        if total == 0.0 {
            self.unknown += share;
            return;
        }
        for other in eligible.filter(|other| other.amount > 0.0) {
            let (next, part) = (if is_source { other.from } else { other.to }, share * other.amount / total);
            match label(next) {
                Some(category) if hop == 0 => *self.direct.entry(category).or_default() += part,
                Some(category) => *self.indirect.entry(category).or_default() += part,
                None => self.follow(transfers, query, next, other.time, hop + 1, part),
            }
        }
    }
}

fn streams() -> impl Strategy<Value = Vec<Transfer>> {
    let one = (0..HOLDERS, 0..HOLDERS, 0_u32..3, 0_u32..100);
    proptest::collection::vec(one, 1..25).prop_map(|stream| {
        let mut time = 0;
        stream
            .into_iter()
            .map(|(from, to, later, amount)| {
                time += later;
                transfer(from, to, time, f64::from(amount))
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn shares_equal_a_search_of_all_ways(transfers in streams(), start in 3..HOLDERS, time in 0_u32..40) {
        let graph = Transfers::new(HOLDERS as usize, &transfers).unwrap();
        for query in [Query::source(start, time), Query::destination(start, time)] {
            let query = Query { hops: 4, epsilon: 0.0, ..query };
            let exposure = graph.exposure(&query, label);
            let mut expected = Reference::default();
            expected.follow(&transfers, &query, start, time, 0, 1.0);
            for category in [Category::Theft, Category::Exchange, Category::Mixer] {
                let got = share(&exposure, category).map_or((0.0, 0.0), |share| (share.direct, share.indirect));
                prop_assert!((got.0 - expected.direct.get(&category).unwrap_or(&0.0)).abs() < 1e-9);
                prop_assert!((got.1 - expected.indirect.get(&category).unwrap_or(&0.0)).abs() < 1e-9);
            }
            prop_assert!((exposure.unknown - expected.unknown).abs() < 1e-9);
            prop_assert!((exposure.beyond - expected.beyond).abs() < 1e-9);
            prop_assert_eq!(exposure.unresolved, 0.0);
        }
    }

    /// Nothing is lost, however coarse the search; what it finds it finds no more of than there is; paths are transfers.
    #[test]
    fn shares_sum_to_one(transfers in streams(), start in 3..HOLDERS, epsilon in 0.0..0.3_f64) {
        let graph = Transfers::new(HOLDERS as usize, &transfers).unwrap();
        let exact = graph.exposure(&Query { epsilon: 0.0, ..Query::source(start, 99) }, label);
        let exposure = graph.exposure(&Query { epsilon, ..Query::source(start, 99) }, label);
        let found: f64 = exposure.shares.iter().map(Share::total).sum();
        prop_assert!((found + exposure.unknown + exposure.beyond + exposure.unresolved - 1.0).abs() < 1e-9);
        for one in &exposure.shares {
            prop_assert!(one.total() <= share(&exact, one.category).map_or(0.0, Share::total) + 1e-9);
            let mut at = start;
            for step in &one.path {
                let taken = transfers[step.transfer as usize];
                prop_assert_eq!((taken.to, taken.from), (at, step.holder));
                at = step.holder;
            }
            prop_assert_eq!(label(at), Some(one.category));
            prop_assert!(one.path.windows(2).all(|pair| transfers[pair[0].transfer as usize].time >= transfers[pair[1].transfer as usize].time));
        }
    }

    /// Appended, undone and merged transfers answer like those given at once.
    #[test]
    fn growth_changes_nothing(transfers in streams(), cut in 0_usize..25, undo in 0_u32..40, merge in 0_u32..40, start in 3..HOLDERS) {
        let all = Transfers::new(HOLDERS as usize, &transfers).unwrap();
        let cut = cut.min(transfers.len());
        let mut grown = Transfers::new(HOLDERS as usize, &transfers[..cut]).unwrap();
        grown.append(HOLDERS as usize, &transfers[cut..]).unwrap();
        let answer = |graph: &Transfers| {
            [Query::source(start, 20), Query::destination(start, 3)].map(|query| graph.exposure(&query, label))
        };
        // Sums of amounts are taken in another order, so the last bits may differ.
        let same = |a: [Exposure; 2], b: [Exposure; 2]| a.iter().zip(&b).all(|(a, b)| {
            (a.unknown - b.unknown).abs() < 1e-9 && (a.beyond - b.beyond).abs() < 1e-9 && a.shares.len() == b.shares.len()
                && a.shares.iter().zip(&b.shares).all(|(a, b)| (a.weight - b.weight).abs() < 1e-9)
        });
        prop_assert!(same(answer(&grown), answer(&all)));
        if grown.undo_to(undo).is_ok() {
            let kept: Vec<Transfer> = transfers.iter().copied().filter(|transfer| transfer.time <= undo).collect();
            prop_assert!(same(answer(&grown), answer(&Transfers::new(HOLDERS as usize, &kept).unwrap())));
            grown.merge(merge);
            grown.append(HOLDERS as usize, &transfers[kept.len()..]).unwrap();
        }
        grown.merge(merge);
        prop_assert!(same(answer(&grown), answer(&all)));
        prop_assert_eq!(grown.len(), transfers.len());
    }
}
