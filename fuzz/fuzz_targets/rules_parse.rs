//! Conditions and documents of rules: refused with words, or printed, parsed and evaluated alike in every form.
#![no_main]

use std::sync::{Arc, LazyLock};

use domain::UnixNanos;
use fuzz::{Choices, edited_text};
use libfuzzer_sys::fuzz_target;
use rules::{Guard, Hits, Ordinary, RuleSet, Schema, Slot, Type, Value, parse};

static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    let slots = [
        ("amount", Type::Double),
        ("new_device", Type::Bool),
        ("n", Type::Int),
        ("country", Type::String),
        ("home.country", Type::String),
        ("age", Type::Duration),
        ("at", Type::Timestamp),
        ("value", Type::Money),
        ("vpn", Type::Bool),
    ];
    Arc::new(Schema::new(slots.map(|(name, ty)| Slot::new(name, ty)).into()).expect("names are good"))
});

static GUARD: LazyLock<Guard> =
    LazyLock::new(|| Guard::new(["vpn"]).ordinary("amount", Ordinary::Numbers(0.0, 1e4)));

const CONDITIONS: [&str; 4] = [
    "amount > 1000.0 && new_device && n >= 3 && (country != home.country || amount * 2.0 > 0.8) && age < duration('30d')",
    "!(n in [1, 2.0, -3]) || country.startsWith(\"a\\u00e9\") ? has(value) : value > 10.5 // note",
    "at - age >= timestamp('2026-01-31T00:00:00Z') && (at.getHours() % 7 == -1 || size(country) / n > 0x1F)",
    "country in lists.far == (new_device != vpn) && double(value) <= -1e3 && int(amount) * 9223372036854775807 < 0",
];

const DOCUMENT: &str = r#"[pack]
name = "p"
version = "1"
[lists.far]
values = ["KP", 'IR']
[[rule]]
id = "a-1"
title = "t"
owner = "o"
action = "hold"
mode = "enforce"
when_missing = "quiet"
valid_from = 2026-01-01T00:00:00Z
when = '''
vpn && amount > 10000.0 || country in lists.far'''
reason = "{amount} {{x}} from {home.country}"
[[rule.fixture]]
name = "f"
given = { vpn = true, amount = 10001, home.country = "DE", age = "1h", value = "0.5" }
expect = true
"#;

/// Evaluates a set on one event, in every form there is.
fn evaluate(set: &RuleSet, choices: &mut Choices<'_>) {
    let mut slots = set.slots();
    for (index, slot) in set.schema().slots().iter().enumerate() {
        let number = choices.number();
        let text = format!("{:x}", number % 64);
        let value = match slot.ty {
            _ if choices.byte() % 4 == 0 => continue,
            Type::Bool => Value::Bool(number % 2 == 0),
            Type::Double => Value::Double(f64::from_bits(number)),
            Type::Duration => Value::Duration(number.cast_signed()),
            Type::Int => Value::Int(number.cast_signed()),
            Type::Money => Value::Money(domain::Amount::from_parts(number.into(), 2).expect("64 bits fit")),
            Type::String => Value::String(if number % 8 == 0 { "KP" } else { &text }),
            _ => Value::Timestamp(UnixNanos(number)),
        };
        let id = set.schema().slot(&slot.name).expect("a slot of the schema");
        assert_eq!(id.index(), index);
        let _fits = set_or_missing(&mut slots, id, value);
    }
    let mut hits = Hits::default();
    set.evaluate(&slots, UnixNanos(u64::MAX), &mut hits).expect("its own slots");
    assert_eq!(hits.as_slice().len(), set.evaluate_trees(&slots));
    for hit in &hits {
        let said = set.explain(*hit, &slots).expect("a hit of this set");
        assert!(
            said.is_undecided || set.rule(&said.rule).is_some_and(|rule| rule.truth(&slots) == Some(true))
        );
    }
}

fn set_or_missing(slots: &mut rules::Slots, id: rules::SlotId, value: Value<'_>) -> bool {
    let fits = slots.set(id, value).is_ok();
    assert!(fits || slots.value(id).is_none());
    fits
}

fuzz_target!(|data: &[u8]| {
    let (data, event) = data.split_at(data.len().saturating_sub(96).max(data.len() / 2));
    let mut choices = Choices::new(event);
    if choices.byte() % 2 == 0 {
        let Some(document) = edited_text(&[DOCUMENT], data) else { return };
        match RuleSet::load(&document, &SCHEMA, &GUARD) {
            Ok(set) => evaluate(&set, &mut choices),
            Err(error) => assert!(!error.faults.is_empty() && !error.to_string().is_empty()),
        }
        return;
    }
    let Some(condition) = edited_text(&CONDITIONS, data) else { return };
    let parsed = match parse(&condition) {
        Ok(parsed) => parsed,
        Err(error) => return assert_eq!(error.to_string().lines().count(), 3),
    };
    let text = parsed.to_string();
    // One spelling may be longer than another, never different.
    match parse(&text) {
        Ok(again) => assert_eq!((again.to_string(), again), (text.clone(), parsed)),
        Err(error) => assert!(error.to_string().contains("more than"), "{text}: {error}"),
    }
    if text.contains("'''") || text.chars().any(char::is_control) {
        return;
    }
    for missing in ["quiet", "fire"] {
        let document = DOCUMENT
            .replace("\nvpn && amount > 10000.0 || country in lists.far", &text)
            .replace("\"hold\"", "\"challenge\"")
            .replace("\"quiet\"", &format!("\"{missing}\""));
        let document = document.split("[[rule.fixture]]").next().unwrap_or_default();
        if let Ok(set) = RuleSet::load(document, &SCHEMA, &GUARD) {
            evaluate(&set, &mut choices);
        }
    }
});
