//! Properties of all expressions.

use std::sync::atomic::{AtomicU32, Ordering};

use domain::UnixNanos;
use proptest::prelude::*;
use rules::{Expr, ExpressionFault, Guard, Hits, Ordinary, RuleSet, parse};

use crate::expressions::{Event, Held, boolean, event, fill, guarded, schema};
use crate::naive;

/// A set of the condition twice: quiet and firing when it is missing.
pub(crate) fn document(when: &str) -> String {
    let rule = |id: &str, missing: &str| {
        format!(
            "[[rule]]\nid = '{id}'\ntitle = 't'\nowner = 'o'\naction = 'hold'\nreason = 'r'\nwhen_missing = '{missing}'\n\
             when = {}\n",
            toml::Value::String(when.to_owned())
        )
    };
    format!("[pack]\nname = 'p'\nversion = '1'\n{}{}", rule("a", "quiet"), rule("b", "fire"))
}

fn load(when: &Expr) -> Option<RuleSet> {
    let text = when.to_string();
    match RuleSet::load(&document(&text), &schema(), &Guard::default()) {
        Ok(set) => Some(set),
        Err(error) => {
            // Constants may have no value or decide the whole; everything else the generator writes is well typed.
            let allowed = ["is always missing", "reads no slot", "more than", "out of the range of money"];
            let said = error.to_string();
            assert!(allowed.iter().any(|allowed| said.contains(allowed)), "{text}: {said}");
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn evaluation_equals_the_naive_interpreter(when in boolean(4), events in prop::collection::vec(event(), 6)) {
        static LOADED: AtomicU32 = AtomicU32::new(0);
        static TRIED: AtomicU32 = AtomicU32::new(0);
        let tried = TRIED.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(set) = load(&when) {
            let loaded = LOADED.fetch_add(1, Ordering::Relaxed) + 1;
            prop_assert!(tried < 100 || loaded * 2 > tried, "only {} of {} conditions load", loaded, tried);
            let mut slots = set.slots();
            let mut hits = Hits::default();
            for event in &events {
                fill(&mut slots, event);
                let expected = naive::truth(&when, event);
                prop_assert_eq!(set.rules()[0].truth(&slots), expected, "{} on {:?}", when, event);
                // The compiled program knows "true" and "true or missing".
                set.evaluate(&slots, UnixNanos(0), &mut hits).expect("its own slots");
                let fired: Vec<usize> = hits.into_iter().map(|hit| hit.rule_idx).collect();
                let wanted: Vec<usize> = match expected {
                    Some(true) => vec![0, 1],
                    Some(false) => vec![],
                    None => vec![1],
                };
                prop_assert_eq!(fired, wanted, "{} on {:?}", when, event);
                for hit in &hits {
                    set.explain(*hit, &slots).expect("a hit of this set");
                }
            }
        }
    }

    #[test]
    fn printing_and_parsing_are_inverse(when in boolean(5)) {
        let text = when.to_string();
        match parse(&text) {
            Ok(parsed) => {
                prop_assert_eq!(&parsed, &when, "{}", text);
                prop_assert_eq!(parsed.to_string(), text);
            }
            Err(error) => prop_assert!(matches!(error.fault, ExpressionFault::TooLarge { .. }), "{}: {}", text, error),
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused_with_words(text in "\\PC{0,60}|[-+*/%!<>=&|?:.,()\\[\\]a1 \"'\\\\\n]{0,60}") {
        match parse(&text) {
            Ok(parsed) => prop_assert_eq!(parse(&parsed.to_string()), Ok(parsed)),
            Err(error) => prop_assert!(error.to_string().lines().count() == 3),
        }
    }

    #[test]
    fn damaged_conditions_are_refused_or_still_evaluate(
        when in boolean(3), at in any::<prop::sample::Index>(), put in "[-()!?:.a0\"\\[\\]]{0,2}", event in event(),
    ) {
        let mut text = when.to_string();
        let mut start = at.index(text.len() + 1);
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let end = text[start..].char_indices().nth(1).map_or(text.len(), |(next, _)| start + next);
        text.replace_range(start..end, &put);
        match RuleSet::load(&document(&text), &schema(), &Guard::default()) {
            Ok(set) => {
                let mut slots = set.slots();
                fill(&mut slots, &event);
                let mut hits = Hits::default();
                set.evaluate(&slots, UnixNanos(0), &mut hits).expect("its own slots");
                // The naive interpreter reads only the literals that the generator writes.
                if ["duration", "timestamp", "m1", "m2"].iter().any(|part| text.contains(part)) {
                    return Ok(());
                }
                let parsed = parse(&text).expect("it was loaded");
                prop_assert_eq!(hits.as_slice().len() == 2, naive::truth(&parsed, &event) == Some(true), "{}", text);
            }
            Err(error) => prop_assert!(!error.faults.is_empty()),
        }
    }

    #[test]
    fn documents_of_any_text_do_not_panic(text in "[\\[\\]a-z=.'\"{}0-9\n ]{0,80}") {
        drop(RuleSet::load(&text, &schema(), &Guard::default()));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever the guard accepts fires on nothing ordinary, whatever the weak slots hold.
    #[test]
    fn what_the_guard_accepts_never_fires_on_weak_evidence(
        when in prop_oneof![1 => boolean(3), 4 => guarded()], low in -4_i64..2, width in 0_i64..4, flag: bool, events in prop::collection::vec(event(), 8),
    ) {
        let (low, high) = (low as f64, (low + width) as f64);
        let guard = Guard::new(["b2", "i2", "d2", "s2", "m2", "t2"])
            .ordinary("b1", Ordinary::Flag(flag))
            .ordinary("i1", Ordinary::Numbers(low, high))
            .ordinary("i.three", Ordinary::Numbers(low, high))
            .ordinary("d1", Ordinary::Numbers(low, high))
            .ordinary("m1", Ordinary::Numbers(low, high))
            .ordinary("s1", Ordinary::Texts(vec!["a".to_owned(), "nowhere".to_owned()]))
            .ordinary("t1", Ordinary::Durations(0, 3_600_000_000_000));
        let text = document(&when.to_string()).replace("'fire'", "'quiet'");
        if let Ok(set) = RuleSet::load(&text, &schema(), &guard) {
            let reads_weak = set.rules()[0].reads().iter().any(|name| name.ends_with('2'));
            let mut slots = set.slots();
            let mut hits = Hits::default();
            for event in events.iter().filter(|_| reads_weak) {
                fill(&mut slots, &ordinary(event, low, high, flag));
                set.evaluate(&slots, UnixNanos(0), &mut hits).expect("its own slots");
                prop_assert!(hits.is_empty(), "{} fires on {:?}", when, ordinary(event, low, high, flag));
            }
        }
    }
}

/// The event with its strong slots moved into what is ordinary.
#[allow(clippy::cast_possible_truncation, reason = "both ends are small integers")]
fn ordinary(event: &Event, low: f64, high: f64, flag: bool) -> Event {
    let mut event = event.clone();
    let clamp = |value: f64| value.clamp(low, high);
    for (index, held) in event.iter_mut().enumerate() {
        // The slots whose name does not end in 2, and the timestamp, of which everything is ordinary.
        if ![0, 2, 4, 5, 7, 9, 12].contains(&index) {
            continue;
        }
        *held = held.take().map(|held| match held {
            Held::Bool(_) => Held::Bool(flag),
            Held::Double(value) => Held::Double(clamp(value)),
            Held::Int(value) => Held::Int(value.clamp(low as i64, high as i64)),
            Held::Text(text) => {
                Held::Text(if text.len() % 2 == 0 { "a".to_owned() } else { "nowhere".to_owned() })
            }
            Held::Duration(nanos) => Held::Duration(nanos.clamp(0, 3_600_000_000_000)),
            Held::Money(value) => Held::Money(
                domain::Amount::parse(&clamp(value.to_f64_lossy()).to_string()).expect("it is small"),
            ),
            held @ Held::Timestamp(_) => held,
        });
    }
    event
}

/// Conditions over integers only, whose counterfactuals can be read back.
fn plain(depth: u32) -> BoxedStrategy<String> {
    let leaf = ("i1|i2", "<|<=|>|>=|==|!=", -9_i64..10)
        .prop_map(|(name, cmp, value)| format!("{name} {cmp} {value}"));
    let Some(less) = depth.checked_sub(1) else { return leaf.boxed() };
    prop_oneof![
        2 => leaf,
        1 => plain(less).prop_map(|part| format!("!({part})")),
        2 => (plain(less), plain(less)).prop_map(|(a, b)| format!("({a}) && ({b})")),
        2 => (plain(less), plain(less)).prop_map(|(a, b)| format!("({a}) || ({b})")),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// "i1 were <= 3" means that the rule is quiet for every such i1.
    #[test]
    fn what_would_have_passed_passes(when in plain(3), i1 in -12_i64..13, i2 in -12_i64..13, beyond in 0_i64..30) {
        let set = RuleSet::load(&document(&when), &schema(), &Guard::default());
        let Ok(set) = set else { return Ok(()) };
        let mut slots = set.slots();
        let mut event: Event = vec![None; 14];
        (event[2], event[3]) = (Some(Held::Int(i1)), Some(Held::Int(i2)));
        fill(&mut slots, &event);
        let mut hits = Hits::default();
        set.evaluate(&slots, UnixNanos(0), &mut hits).expect("its own slots");
        let Some(hit) = hits.as_slice().first() else { return Ok(()) };
        let said = set.explain(*hit, &slots).expect("a hit of this set").would_pass_if;
        if let Some(said) = said {
            let mut tried = vec![[i1, i2]];
            for change in said.split(" and ") {
                let words: Vec<&str> = change.split(' ').collect();
                let (name, last) = (words[0], words[words.len() - 1].parse::<i64>().expect("a number"));
                let values = match words[2..words.len() - 1] {
                    [] => vec![last],
                    ["<="] => vec![last, last - beyond],
                    [">="] => vec![last, last + beyond],
                    ["not"] => vec![last - 1 - beyond, last - 1, last + 1, last + 1 + beyond],
                    ref other => panic!("{other:?} in {said}"),
                };
                let place = usize::from(name != "i1");
                let with = |pair: &[i64; 2], value: i64| {
                    let mut pair = *pair;
                    pair[place] = value;
                    pair
                };
                tried = tried.iter().flat_map(|pair| values.iter().map(|value| with(pair, *value))).collect();
            }
            for [i1, i2] in tried {
                (event[2], event[3]) = (Some(Held::Int(i1)), Some(Held::Int(i2)));
                fill(&mut slots, &event);
                prop_assert_ne!(set.rules()[0].truth(&slots), Some(true), "{}: {}", when, said);
            }
        } else {
            // No answer is owed only where there is none: constants end at 9, so what is beyond is as 12 is.
            let mut pairs = (-12..13).flat_map(|i1| (-12..13).map(move |i2| (i1, i2)));
            prop_assert!(pairs.all(|(i1, i2)| {
                (event[2], event[3]) = (Some(Held::Int(i1)), Some(Held::Int(i2)));
                fill(&mut slots, &event);
                set.rules()[0].truth(&slots) == Some(true)
            }), "{} has no counterfactual", when);
        }
    }
}
