//! The page for operators: every example on it is loaded and does what it says.

use rules::Value::{Bool, Double, Duration, Int, Money, String as Text, Timestamp};
use rules::{Guard, Mode, Ordinary, RuleSet, Schema, Slot, Type, bounds};

use crate::support::{load, one, schema};

const PAGE: &str = include_str!("../../../../docs/operating/rules.md");

/// The code blocks of a kind.
fn blocks(kind: &str) -> Vec<&'static str> {
    let opening = format!("```{kind}\n");
    PAGE.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

fn set(when: &str) -> String {
    "[pack]\nname = 'a'\nversion = '1'\n[lists.embargoed]\nvalues = ['KP']\n".to_owned()
        + &one("r", when, "action = 'hold'\nreason = 'x'")
}

#[test]
fn the_document_loads() {
    let documents = blocks("toml");
    assert_eq!(documents.len(), 1);
    let set = load(documents[0]).unwrap_or_else(|error| panic!("{error}"));
    let modes: Vec<_> =
        set.rules().iter().map(|rule| (rule.id(), rule.mode(), rule.fixtures().len())).collect();
    assert_eq!(
        modes,
        [
            ("drain-from-new-device", Mode::Shadow, 2),
            ("embargo", Mode::Enforce, 0),
            ("night", Mode::Shadow, 0)
        ]
    );
}

#[test]
fn each_condition_is_what_the_page_says() {
    for (kind, expected, n_lines) in [("cel", Some(true), 9), ("cel-missing", None, 5)] {
        let lines: Vec<&str> = blocks(kind).into_iter().flat_map(str::lines).collect();
        assert_eq!(lines.len(), n_lines);
        for when in lines {
            let set = load(&set(when)).unwrap_or_else(|error| panic!("{error}"));
            let slots = crate::support::filled(
                &set,
                &[
                    ("age_days", Double(3.0)),
                    ("amount", Double(1500.0)),
                    ("value", Money(domain::Amount::parse("1500").expect("an amount"))),
                    ("withdrawals_24h", Int(3)),
                    ("country", Text("DE")),
                    ("since_password", Duration(20 * 60_000_000_000)),
                    (
                        "at",
                        Timestamp(domain::UnixNanos::parse_rfc3339("2026-11-22T03:00:00Z").expect("a time")),
                    ),
                    ("new_device", Bool(false)),
                ],
            );
            assert_eq!(set.rules()[0].truth(&slots), expected, "{when}");
        }
    }
}

#[test]
fn the_guard_accepts_and_refuses_what_the_page_says() {
    let slots = schema().slots().iter().cloned().chain([Slot::new("shared_device", Type::Bool)]).collect();
    let schema = std::sync::Arc::new(Schema::new(slots).expect("names are good"));
    let guard = Guard::new(["vpn", "shared_device"])
        .ordinary("risk", Ordinary::Numbers(0.0, 0.5))
        .ordinary("amount", Ordinary::Numbers(0.0, 10_000.0));
    for (kind, is_accepted, n_lines) in [("cel-accepted", true, 2), ("cel-refused", false, 6)] {
        let lines: Vec<&str> = blocks(kind).into_iter().flat_map(str::lines).collect();
        assert_eq!(lines.len(), n_lines);
        for when in lines {
            assert_eq!(RuleSet::load(&set(when), &schema, &guard).is_ok(), is_accepted, "{when}");
        }
    }
}

#[test]
fn the_fault_and_the_bounds_are_told_as_they_are() {
    let text = crate::support::document("amont > 5").replace("\"r1\"", "\"drain\"");
    let told = load(&text).expect_err("a fault").to_string();
    let (_, told) = told.split_once('\n').expect("a line for each fault");
    assert!(PAGE.contains(told), "{told}");
    for bound in [bounds::NODES_MAX, bounds::DEPTH_MAX] {
        assert!(PAGE.contains(&format!(" {bound} ")), "{bound}");
    }
    assert_eq!((bounds::SOURCE_BYTES_MAX, bounds::COST_MAX), (4_096, 8_192));
}
