//! Differences between versions, and backtests.

use rules::Value::{Bool, Double};
use rules::{Backtest, BacktestBounds, Case, Count, Hits, Label, RuleSet, diff};

use crate::support::{NOW, filled, loaded, one, rule};

const HOLD: &str = "action = 'hold'\nreason = 'x'";

#[test]
fn a_diff_names_what_changed_and_what_was_never_watched() {
    let text =
        |when: &str, mode: &str, rest: &str| rule("a", when, &format!("{HOLD}\nmode = '{mode}'")) + rest;
    let old = loaded(&text("amount > 5.0", "shadow", &one("gone", "vpn", HOLD)));
    let check = |new: &str, expected: &str| assert_eq!(diff(Some(&old), &loaded(new)).to_string(), expected);
    check(&text("amount  >  5.0", "shadow", &one("gone", "vpn // a note", HOLD)), "no changes");
    check(
        &text("amount > 5.0", "enforce", &one("new", "vpn", HOLD)),
        "+ new\n- gone\n~ a\n    mode was shadow\n    mode is  enforce",
    );
    check(
        &text("amount > 6.0", "enforce", &one("gone", "vpn", &format!("{HOLD}\nmode = 'enforce'"))),
        "~ a\n    mode was shadow\n    mode is  enforce\n    when was amount > 5.0\n    when is  amount > 6.0\n\
         ~ gone\n    mode was shadow\n    mode is  enforce\n! a is enforced without having been watched",
    );
    // A list may be kept up to date without a new rehearsal of the rules that use it.
    let far = |list: &str| {
        loaded(
            &rule("a", "country in lists.far", &format!("{HOLD}\nmode = 'enforce'"))
                .replace("\"KP\", \"IR\"", list),
        )
    };
    let found = diff(Some(&far("'KP', 'IR'")), &far("'IR', 'SY'"));
    assert_eq!(found.to_string(), "~ lists.far: 1 added, 1 removed\n    + \"SY\"\n    - \"KP\"");
    assert_eq!(found.lists[0].used_by, ["a"]);
    let first = diff(None, &far("'IR'"));
    assert_eq!(
        (first.added.as_slice(), first.unrehearsed.as_slice()),
        (["a".to_owned()].as_slice(), ["a".to_owned()].as_slice())
    );
}

/// Plays `n` events past a set; every tenth is fraud, every seventh of unknown kind.
fn played(set: &RuleSet, n: u64, bounds: BacktestBounds, seed: u64) -> Backtest {
    let mut backtest = Backtest::new(set, bounds, seed);
    let mut hits = Hits::default();
    for event in 0..n {
        let amount = (event % 100) as f64;
        let slots = filled(set, &[("amount", Double(amount)), ("vpn", Bool(event.is_multiple_of(2)))]);
        set.evaluate(&slots, NOW, &mut hits).expect("its own slots");
        let label = match event {
            event if event.is_multiple_of(10) => Label::Fraud,
            event if event.is_multiple_of(7) => Label::Unknown,
            _ => Label::Good,
        };
        backtest.record(&hits, &Case { id: &format!("e{event}"), entity: event % 50, label });
    }
    backtest
}

#[test]
fn a_backtest_counts() {
    let score = "action = 'score'\nweight = 1\nreason = 'x'";
    let rest = one("even", "vpn", score) + &one("never", "amount > 1000", HOLD);
    let set = loaded(&rule("big", "amount >= 90.0", HOLD).replace("[[rule]]", &format!("{rest}[[rule]]")));
    let report = played(&set, 1000, BacktestBounds::default(), 1).report();
    // The same, counted by hand.
    let events = 0..1000_u64;
    let big: Vec<u64> = events.clone().filter(|event| event % 100 >= 90).collect();
    let good = |event: &&u64| !event.is_multiple_of(10) && !event.is_multiple_of(7);
    let entities: std::collections::BTreeSet<u64> = big.iter().filter(good).map(|event| event % 50).collect();
    assert_eq!((report.n_events, report.n_fraud), (1000, 100));
    let [first, even, never] = report.rules.as_slice() else { panic!("{report:?}") };
    assert_eq!((first.rule.as_str(), first.n_hits, first.n_fraud), ("big", 100, 10));
    assert_eq!(first.n_good, u64::try_from(big.iter().filter(good).count()).unwrap());
    assert_eq!(first.precision, Some(10.0 / (10.0 + first.n_good as f64)));
    assert_eq!(first.recall, Some(0.1));
    assert_eq!(
        (first.good_entities, report.good_entities_troubled),
        (Count::Exactly(entities.len()), Count::Exactly(entities.len()))
    );
    assert_eq!(first.first, (90..100).map(|event| format!("e{event}")).collect::<Vec<_>>());
    assert_eq!((first.overlaps[0].rule.as_str(), first.overlaps[0].n_hits), ("even", 50));
    assert_eq!((even.n_hits, even.overlaps[0].n_hits), (500, 50));
    assert_eq!((never.n_hits, never.precision, never.recall), (0, None, Some(0.0)));
}

#[test]
fn a_backtest_stays_within_its_bounds_and_repeats() {
    let set = loaded(&rule("all", "has(amount)", HOLD));
    let bounds = BacktestBounds { entities_max: 7, samples_max: 3 };
    let report = played(&set, 500, bounds, 3).report();
    assert_eq!(report, played(&set, 500, bounds, 3).report());
    assert_ne!(report.rules[0].sample, played(&set, 500, bounds, 4).report().rules[0].sample);
    assert_eq!((report.rules[0].good_entities, report.rules[0].sample.len()), (Count::AtLeast(7), 3));
}

#[test]
fn the_sample_is_fair() {
    let set = loaded(&rule("all", "has(amount)", HOLD));
    let bounds = BacktestBounds { entities_max: 1, samples_max: 5 };
    let mut counts = [0_u32; 50];
    for seed in 0..400 {
        for id in &played(&set, 50, bounds, seed).report().rules[0].sample {
            counts[id[1..].parse::<usize>().unwrap()] += 1;
        }
    }
    // 2,000 draws over 50 events: 40 each, standard deviation 6. Five deviations either way.
    assert!(counts.iter().all(|count| (10..=70).contains(count)), "{counts:?}");
}
