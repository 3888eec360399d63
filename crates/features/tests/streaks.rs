//! What is read from streaks of known frauds, against a plain list of everything that happened.

#![allow(clippy::unwrap_used, reason = "a test outside `cfg(test)`")]

use std::sync::Arc;

use domain::UnixNanos;
use features::{Engine, Label, Limits, Pack, Record, Stepped, Value};
use proptest::prelude::*;

const PACK: &str = r#"
[pack]
name = "streaks"
version = 1
resolution = "1s"

[[field]]
name = "shop"
type = "entity"

[[field]]
name = "price"
type = "money"
scale = 2

[[feature]]
name = "legitimate"
kind = "since_legitimate"
key = "shop"
window = "40s"
in = "seconds"

[[feature]]
name = "least"
kind = "fraud_streak_min"
key = "shop"
value = "price"
window = "40s"

[[feature]]
name = "most"
kind = "fraud_streak_max"
key = "shop"
value = "price"
window = "40s"

[[feature]]
name = "newest"
kind = "fraud_streak_last"
key = "shop"
value = "price"
window = "40s"

[[feature]]
name = "half"
kind = "ratio"
numerator = "price"
denominator = "price"

[[feature]]
name = "least_half"
kind = "fraud_streak_min"
key = "shop"
value = "half"
window = "40s"
"#;

#[derive(Debug, Clone)]
struct Purchase {
    wait: u64,
    shop: u64,
    cents: Option<i64>,
    label: Option<(bool, u64)>,
}

fn purchases() -> impl Strategy<Value = Vec<Purchase>> {
    let label = proptest::option::weighted(0.8, (any::<bool>(), 0_u64..15));
    let one = (0_u64..4, 0_u64..2, proptest::option::weighted(0.9, 1_i64..500), label)
        .prop_map(|(wait, shop, cents, label)| Purchase { wait, shop, cents, label });
    proptest::collection::vec(one, 1..60)
}

/// The five features of purchase `now` from the list of all purchases up to it, with their times.
fn oracle(list: &[(u64, Purchase)]) -> [f64; 5] {
    let Some((now, current)) = list.last() else { return [f64::NAN; 5] };
    let known: Vec<(u64, Option<i64>, bool)> = list
        .iter()
        .rev()
        .filter(|(at, other)| other.shop == current.shop && at + 40 > *now)
        .filter_map(|(at, other)| {
            let (fraud, delay) = other.label?;
            (at + delay <= *now && at + delay > *at).then_some((*at, other.cents, fraud))
        })
        .collect();
    let legitimate = known.iter().find(|(.., fraud)| !fraud).map(|(at, ..)| now - at);
    let cents: Vec<f64> = known
        .iter()
        .take_while(|(.., fraud)| *fraud)
        .filter_map(|(_, cents, _)| Some((*cents)? as f64 / 100.0))
        .collect();
    let reduce = |f: fn(f64, f64) -> f64| cents.iter().copied().reduce(f).unwrap_or(f64::NAN);
    [
        legitimate.map_or(f64::NAN, |age| age as f64),
        reduce(f64::min),
        reduce(f64::max),
        cents.first().copied().unwrap_or(f64::NAN),
        if cents.is_empty() { f64::NAN } else { 1.0 },
    ]
}

proptest! {
    #[test]
    fn streaks_equal_a_plain_list(purchases in purchases()) {
        let pack = Arc::new(Pack::parse(PACK).unwrap());
        let names = ["legitimate", "least", "most", "newest", "least_half"];
        let columns = names.map(|name| pack.column_index(name).unwrap());
        let mut engine = Engine::new(Arc::clone(&pack), Limits::default());
        let mut row = vec![0.0; pack.columns().len()];
        let (mut now, mut list) = (1_000, Vec::new());
        for (place, mut purchase) in purchases.into_iter().enumerate() {
            now += purchase.wait;
            // A label takes at least a second: one that arrives with its event would be known beforehand.
            purchase.label = purchase.label.map(|(fraud, delay)| (fraud, delay + 1));
            let values = [Value::Entity(purchase.shop), purchase.cents.map_or(Value::Missing, Value::Money)];
            let (id, at) = (place as u64, UnixNanos::from_secs(now));
            let record = Record { position: id, at, id, values: &values };
            prop_assert_eq!(engine.step(&record, &mut row).unwrap(), Stepped::Taken);
            if let Some((is_fraud, delay)) = purchase.label {
                let arrival = UnixNanos::from_secs(now + delay);
                let _labelled = engine.label(&Label { id, is_fraud, arrival }).unwrap();
            }
            list.push((now, purchase));
            let got = columns.map(|column| row[column]);
            let want = oracle(&list);
            for (name, (got, want)) in names.iter().zip(got.iter().zip(want)) {
                prop_assert!(got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()), "{}: {} {}", name, got, want);
            }
        }
    }
}
