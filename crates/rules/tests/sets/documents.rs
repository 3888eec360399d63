//! Documents: what is refused, with which words, and what identifies a set.

use std::sync::Arc;

use domain::UnixNanos;
use rules::Value::{Double, Int};
use rules::{ForeignSlots, Guard, Hits, Mode, RuleSet, Schema, Slot, Type, bounds};

use crate::support::{NOW, document, filled, fired, load, loaded, one, rule};

/// Each fault of a condition, and how it is told.
const FAULTS: [(&str, &str); 47] = [
    ("amont > 5", "unknown name `amont` (did you mean `amount`?)"),
    ("amount > 5 &&", "expected a value, found the end"),
    ("amount > 5 and vpn", "(`and` is written `&&`)"),
    ("amount = 5", "equality is `==`"),
    ("amount > '5'", "double > string is not defined"),
    ("amount", "a condition is wanted here, this is double"),
    ("vpn > true", "only `==` and `!=` are"),
    ("country < 'DE'", "only `==` and `!=` are"),
    ("1 < withdrawals_24h < 5", "comparisons do not chain"),
    ("since_password < 24", "a duration is written `duration(\"24h\")`"),
    ("since_password < duration('24')", "\"24\" is not a duration"),
    ("at > timestamp('yesterday')", "\"yesterday\" is not an RFC 3339 time"),
    ("at > 5", "a timestamp is written"),
    ("at + at > at", "timestamp + timestamp is not defined"),
    ("withdrawals_24h / 0 > 1", "is always missing"),
    ("amount > 1.0 / 0.0", "is always missing"),
    ("amount > 9223372036854775807 + 1", "is always missing"),
    ("1 == 1", "reads no slot"),
    ("vpn || true", "reads no slot"),
    ("vpn && 'a' in []", "reads no slot"),
    ("country + 'x' == 'yx'", "strings are compared, not joined"),
    ("vpn + 1 > 1", "`flag ? 1 : 0` makes a number of a condition"),
    ("-vpn", "not is `!`"),
    ("!amount", "a condition is wanted here"),
    ("has(amount > 5)", "`has` takes one name"),
    ("has(amont)", "did you mean `amount`?"),
    ("hass(amount)", "unknown function `hass` (did you mean `has`?)"),
    ("country.startWith('a')", "unknown function `startWith` (did you mean `startsWith`?)"),
    ("country.matches('a')", "regular expressions are not part of this language"),
    ("startsWith(country)", "a value in front of its dot"),
    ("country in lists.fa", "unknown list `fa` (did you mean `far`?)"),
    ("country in far", "a list is wanted behind `in`"),
    ("amount in lists.far", "double in a list of strings is not defined"),
    ("country in ['a', 1]", "a list holds values of one kind"),
    ("country in [kyc_country]", "lists hold constants only"),
    ("lists.far == 1", "a list stands only behind `in`"),
    ("[1] == [1]", "a list stands only behind `in`"),
    ("vpn in [true]", "lists hold constants only"),
    ("value in [1]", "there are no lists of money"),
    ("value > amount", "write `double(amount)` to compare"),
    ("value / 2 > 1", "`double(amount)` makes a ratio possible"),
    ("(vpn ? 1 : 'a') == 1", "both branches have one type"),
    ("amount % 2.0 > 1.0", "remainders are of integers"),
    ("at.getMinutes() > 1", "a duration in front"),
    ("amount.x() > 1", "unknown function `x`"),
    ("null == amount", "`null` is a reserved word"),
    ("(amount).x > 1", "only names have fields here"),
];

#[test]
fn every_fault_of_a_condition_has_its_words_and_place() {
    for (when, said) in FAULTS {
        let error = load(&document(when)).expect_err(when);
        assert_eq!(error.faults.len(), 1, "{when}: {error}");
        let fault = &error.faults[0];
        assert!(fault.message.contains(said), "{when}: {}", fault.message);
        assert_eq!((fault.rule.as_deref(), fault.place.line), (Some("r1"), 15), "{when}");
        assert!((11..=11 + when.len()).contains(&fault.place.column), "{when}: {:?}", fault.place);
    }
}

#[test]
fn a_fault_is_shown_with_a_caret_under_it() {
    let error = load(&document("vpn &&\n  amont > 5")).unwrap_err();
    let text = error.to_string();
    let expected = "line 16, column 3: rule `r1`: unknown name `amont` (did you mean `amount`?)\n  |   amont > 5'''\n  |   ^^^^^";
    assert!(text.ends_with(expected), "{text}");
    // A string with escapes has no plain place, so the condition is shown instead.
    let escaped = document("vpn").replace("'''vpn'''", "\"country == \\\"a\\\" && amont > 5\"");
    let text = load(&escaped).unwrap_err().to_string();
    assert!(
        text.contains("line 15, column 8") && text.contains("  | country == \"a\" && amont > 5"),
        "{text}"
    );
}

#[test]
fn all_faults_are_told_at_once_and_in_order() {
    let text = "[pack]\nname = \"T\"\nversion = \"1\"\nvesion = 2\n[lists.a]\nvalues = [1, 'x', [2]]\n"
        .to_owned()
        + &one("a", "amont > 1", "action = 'denny'\nreason = 'x {cuntry} y'\nmode = 'on'")
        + &one("b", "vpn", "action = 'score'\nreason = 'x }'\nweight = 'a'\nvalid_from = 5")
        + &one("b", "vpn", "action = 'hold'\nreason = 'x'\nweight = 1\nfixture = 3")
        + &one(
            "c",
            "vpn",
            "action = 'hold'\nreason = ' '\n[[rule.fixture]]\nname = 'f'\ngiven = { vpn = 1, amont = 2 }",
        );
    let error = load(&text).unwrap_err();
    let said: Vec<String> = error.faults.iter().map(|fault| fault.message.clone()).collect();
    for wanted in [
        "`name` is lower-case",
        "unknown key `vesion` (did you mean `version`?)",
        "list `a` holds strings or numbers",
        "a single value is wanted here",
        "`action` is one of allow, challenge, deny, hold, score",
        "`mode` is one of enforce, shadow",
        "`weight` is a number",
        "`valid_from` is a time",
        "`weight` belongs to",
        "fixtures stand in",
        "`reason` has 1 to",
        "`expect` is missing",
    ] {
        assert!(said.iter().any(|message| message.contains(wanted)), "{wanted}: {error}");
    }
    assert!(error.faults.is_sorted_by_key(|fault| fault.place));
    assert!(load("").unwrap_err().to_string().contains("`[pack]` is missing"));
    assert!(load("[pack").unwrap_err().to_string().contains("line 1"));
    let many = (0..200).map(|n| one(&format!("r{n}"), "amont > 1", "action = 'hold'\nreason = 'x'"));
    let many = "[pack]\nname = 'a'\nversion = '1'\n".to_owned() + &many.collect::<String>();
    let error = load(&many).unwrap_err();
    assert_eq!((error.faults.len(), error.more), (bounds::FAULTS_MAX, 200 - bounds::FAULTS_MAX));
}

#[test]
fn ids_are_unique() {
    let text = document("vpn") + &one("r1", "!vpn", "action = 'hold'\nreason = 'x'");
    assert!(load(&text).unwrap_err().to_string().contains("this id is already taken"));
}

#[test]
fn a_fixture_that_fails_refuses_the_set_and_says_what_each_clause_was() {
    let with = |expect: bool| {
        rule(
            "r1",
            "amount > 1000.0 && since_password < duration('1h') && device.accounts > 2",
            &format!(
                "action = 'challenge'\nreason = 'x'\n[[rule.fixture]]\nname = 'thief'\nexpect = {expect}\n\
                 given = {{ amount = 2000, since_password = '59m', device.accounts = 3 }}"
            ),
        )
    };
    assert_eq!(loaded(&with(true)).rules()[0].fixtures().len(), 1);
    let error = load(&with(false)).unwrap_err().to_string();
    assert!(
        error.contains(
            "fixture `thief`: expected that it stays quiet, and it does not: `amount > 1000.0` is true"
        ),
        "{error}"
    );
    let bad = with(true).replace("amount = 2000", "amont = 2000").replace("'59m'", "59");
    let error = load(&bad).unwrap_err().to_string();
    assert!(
        error.contains("unknown name `amont`") && error.contains("slot `since_password` is duration"),
        "{error}"
    );
}

#[test]
fn the_hash_counts_what_matters_and_nothing_else() {
    let two = |a: &str, b: &str| rule("a", a, "action = 'challenge'\nreason = 'x'") + b;
    let second = one("b", "country in lists.far", "action = 'hold'\nreason = 'y'");
    let base = loaded(&two("amount > 5.0", &second));
    let same =
        two("  amount>5.0 // more than five\n", &second).replace("[\"KP\", \"IR\"]", "['IR', 'KP', \"IR\"]");
    let same = loaded(&(same + "[[rule.fixture]]\nname = 'f'\nexpect = false\ngiven = {}\n"));
    assert_eq!(base.hash(), same.hash());
    let text = two("amount > 5.0", &second);
    for (from, to) in [
        ("> 5.0", "> 5.5"),
        ("\"KP\", ", ""),
        ("action = 'hold'", "action = 'deny'"),
        ("reason = 'y'", "reason = 'z'"),
        ("reason = 'y'", "reason = 'y'\nmode = 'enforce'"),
        ("reason = 'y'", "reason = 'y'\nwhen_missing = 'fire'"),
        ("reason = 'y'", "reason = 'y'\nvalid_from = 2026-01-01T00:00:00Z"),
        ("version = \"1\"", "version = \"2\""),
        ("owner = \"fraud\"", "owner = \"other\""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        assert_ne!(loaded(&changed).hash(), base.hash(), "{to}");
    }
    // The same text over another type means something else.
    let slots = base.schema().slots().iter().cloned();
    let other: Vec<Slot> = slots
        .map(|slot| if slot.name == "amount" { Slot { ty: Type::Money, ..slot } } else { slot })
        .collect();
    let other = RuleSet::load(&text, &Arc::new(Schema::new(other).unwrap()), &Guard::default()).unwrap();
    assert_ne!(other.hash(), base.hash());
    assert!(!other.rules()[0].decides_as(&base.rules()[0]) && other.rules()[1].decides_as(&base.rules()[1]));
}

#[test]
fn new_rules_start_in_shadow_and_wait_for_their_time() {
    let set = loaded(&rule(
        "r1",
        "amount > 5",
        "action = 'hold'\nreason = 'x'\nvalid_from = 2027-06-01T00:00:00+02:00",
    ));
    assert_eq!(set.rules()[0].mode(), Mode::Shadow);
    let slots = filled(&set, &[("amount", Double(6.0))]);
    let start = UnixNanos::parse_rfc3339("2027-05-31T22:00:00Z").unwrap();
    let mut hits = Hits::default();
    for (now, n_hits) in [(UnixNanos(start.0 - 1), 0), (start, 1)] {
        set.evaluate(&slots, now, &mut hits).unwrap();
        assert_eq!(hits.as_slice().len(), n_hits);
    }
}

#[test]
fn slots_of_another_set_are_refused() {
    let (a, b) = (loaded(&document("country == 'DE'")), loaded(&document("country == 'FR'")));
    let mut hits = Hits::default();
    assert_eq!(a.evaluate(&b.slots(), NOW, &mut hits), Err(ForeignSlots));
}

#[test]
fn scores_add_up_by_mode() {
    let weights = one("a", "amount > 1", "action = 'score'\nweight = 1.5\nreason = 'x'\nmode = 'enforce'")
        + &one("b", "amount > 2", "action = 'score'\nweight = -1\nreason = 'x'\nmode = 'enforce'")
        + &one("c", "amount > 3", "action = 'score'\nweight = 7\nreason = 'x'");
    let set = loaded(&("[pack]\nname = 'a'\nversion = '1'\n".to_owned() + &weights));
    let slots = filled(&set, &[("amount", Double(9.0)), ("withdrawals_24h", Int(1))]);
    assert_eq!(fired(&set, &slots), ["a", "b", "c"]);
    let mut hits = Hits::default();
    set.evaluate(&slots, NOW, &mut hits).unwrap();
    assert_eq!((set.score(&hits, Mode::Enforce), set.score(&hits, Mode::Shadow)), (0.5, 7.0));
}

#[test]
fn a_document_full_of_faults_is_refused_in_bounded_time() {
    let given: String = (0..1_000).map(|n| format!("nothing_like_it_{n} = {n}, ")).collect();
    let fixture = |n: usize| {
        format!("[[rule.fixture]]\nname = 'f{n}'\nexpect = true\ngiven = {{ {given} vpn = true }}\n")
    };
    let fixtures: String = (0..20).map(fixture).collect();
    let text = document("vpn") + &fixtures + "unknown_key = 1\n[x]\n";
    let error = load(&text).unwrap_err();
    assert_eq!((error.faults.len(), error.faults.len() + error.more), (bounds::FAULTS_MAX, 20_002));
}

#[test]
fn bounds_hold() {
    for (when, said) in [
        (format!("amount > {}1.0{}", "(".repeat(500), ")".repeat(500)), "levels of nesting"),
        (format!("{}vpn", "!".repeat(500)), "levels of nesting"),
        (format!("amount > {}1.0", "1.0 + ".repeat(60)), "levels of nesting"),
        (format!("{}vpn", "vpn && ".repeat(512)), "nodes"),
        (format!("withdrawals_24h in [{}1]", "1,".repeat(300)), "values in one list"),
        (format!("vpn // {}", "x".repeat(5000)), "`when` has 1 to"),
        (format!("{} > 1", "a".repeat(65)), "bytes in a name"),
        (format!("a.{}.b > 1", "a".repeat(63)), "bytes in a name"),
        (format!("country == '{}'", "a".repeat(1025)), "bytes in a string"),
        (format!("{}vpn", "country.contains('a') && ".repeat(140)), "steps, at most"),
    ] {
        let error = load(&document(&when)).unwrap_err().to_string();
        assert!(error.contains(said), "{when}: {error}");
    }
    loaded(&document(&format!("{}vpn", "vpn && ".repeat(400))));
    let rule = one("r", "vpn", "action = 'hold'\nreason = 'x'");
    let many = "[pack]\nname = 'a'\nversion = '1'\n".to_owned() + &rule.repeat(bounds::RULES_MAX + 1);
    assert!(load(&many).unwrap_err().to_string().contains("more than 2000 rules"));
}
