//! The guard: weak evidence alone never blocks.

use rules::{Guard, Ordinary, RuleSet};

use crate::support::{one, rule, schema};

fn guard() -> Guard {
    Guard::new(["vpn", "device.accounts"])
        .ordinary("risk", Ordinary::Numbers(0.0, 0.5))
        .ordinary("amount", Ordinary::Numbers(0.0, 10_000.0))
        .ordinary("withdrawals_24h", Ordinary::Numbers(0.0, 5.0))
        .ordinary("new_device", Ordinary::Flag(false))
        .ordinary("country", Ordinary::Texts(vec!["DE".to_owned(), "FR".to_owned()]))
        .ordinary("since_password", Ordinary::Durations(86_400_000_000_000, i64::MAX))
        .ordinary("value", Ordinary::Numbers(0.0, 5000.0))
}

/// Whether a rule that holds on this condition is accepted.
fn is_accepted(when: &str) -> bool {
    let text = rule("r1", when, "action = 'hold'\nreason = 'x'");
    match RuleSet::load(&text, &schema(), &guard()) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.faults.len(), 1, "{error}");
            assert!(error.to_string().contains("weak evidence ("), "{error}");
            false
        }
    }
}

#[test]
fn a_strong_clause_is_needed() {
    for when in [
        "vpn && risk > 0.8",
        "vpn && new_device",
        "(vpn || device.accounts > 3) && risk > 0.8",
        "!(vpn && risk <= 0.8) && risk > 0.5",
        "risk > 0.8 ? vpn : false",
        "vpn && since_password < duration('1h')",
        "vpn && country in lists.far",
        "vpn && !(country in ['DE', 'FR'])",
        "vpn && value > 5000",
        "vpn && withdrawals_24h * 2 > 10",
        "vpn && amount + 1.0 > 10001.0",
        "vpn && amount / 2.0 > 5000.0",
        "vpn && withdrawals_24h - 5 > 0 && new_device == true",
        "vpn && -risk < -0.5",
        "vpn && !(new_device == false)",
        "vpn && withdrawals_24h % 10 > 5",
        "vpn && since_password.getHours() < 24",
        // Rules without weak evidence are free.
        "amount > 0.0",
        "kyc_country == 'XX'",
    ] {
        assert!(is_accepted(when), "{when}");
    }
}

#[test]
fn what_only_looks_strong_does_not_help() {
    for when in [
        "vpn",
        "!vpn",
        "device.accounts > 3",
        "vpn || risk > 0.8",
        "vpn && amount >= 0.0",
        "vpn && amount > 9999.0",
        "vpn && risk <= 0.8",
        "vpn && !(risk > 0.8)",
        "vpn && (risk > 0.8 || risk <= 0.8)",
        "vpn && !new_device",
        "vpn && has(risk)",
        "vpn && !has(risk)",
        "risk + (vpn ? 1.0 : 0.0) > 0.8",
        "device.accounts > 3 * withdrawals_24h",
        "risk > 0.8 || (vpn && withdrawals_24h >= 5)",
        "vpn && kyc_country == 'XX'",
        "vpn && age_days < 1",
        "vpn && country in ['DE', 'XX']",
        "vpn && country == kyc_country",
        "vpn && country.startsWith('X')",
        "vpn ? true : risk > 0.8",
        "new_device ? true : vpn",
        "(risk > 0.8) != vpn",
        "vpn && value <= 5000",
        // No ordinary customer meets both, but each clause is judged by itself: the guard refuses too much, never too little.
        "vpn && country != 'DE' && country != 'FR'",
        "vpn && 100.0 / risk > 1000.0",
        "vpn && since_password > duration('1h')",
    ] {
        assert!(!is_accepted(when), "{when}");
    }
}

#[test]
fn not_knowing_is_no_evidence_and_softer_actions_are_free() {
    let text = |more: &str| rule("r1", "vpn && risk > 0.8", more);
    let load = |text: &str| RuleSet::load(text, &schema(), &guard());
    let error = load(&text("action = 'deny'\nreason = 'x'\nwhen_missing = 'fire'")).unwrap_err().to_string();
    assert!(error.contains("when nothing is known"), "{error}");
    for action in ["allow", "challenge"] {
        load(&rule("r1", "vpn", &format!("action = '{action}'\nreason = 'x'\nwhen_missing = 'fire'")))
            .unwrap();
    }
    load(&rule("r1", "vpn", "action = 'score'\nweight = 1\nreason = 'x'")).unwrap();
    let error = load(&text("action = 'hold'\nreason = 'x'").replace("risk > 0.8", "age_days < 5"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 15") && error.contains("nothing is declared ordinary for age_days"),
        "{error}"
    );
}

#[test]
fn a_guard_that_does_not_fit_refuses_everything() {
    let text = "[pack]\nname = 'a'\nversion = '1'\n".to_owned()
        + &one("r", "risk > 0.5", "action = 'hold'\nreason = 'x'");
    for (guard, said) in [
        (Guard::new(["vqn"]), "the guard names `vqn`, which is no slot (did you mean `vpn`?)"),
        (Guard::default().ordinary("rsk", Ordinary::Flag(true)), "did you mean `risk`"),
        (Guard::default().ordinary("risk", Ordinary::Flag(true)), "none of its type double"),
        (Guard::default().ordinary("risk", Ordinary::Numbers(1.0, 0.0)), "none of its type double"),
        (Guard::default().ordinary("risk", Ordinary::Numbers(f64::NAN, 0.0)), "none of its type double"),
        (Guard::default().ordinary("country", Ordinary::Texts(Vec::new())), "none of its type string"),
    ] {
        let error = RuleSet::load(&text, &schema(), &guard).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
