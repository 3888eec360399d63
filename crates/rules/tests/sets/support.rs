//! A schema and documents that the tests share.

use std::sync::Arc;

use domain::UnixNanos;
use rules::{Guard, Hits, LoadError, RuleSet, Schema, Slot, Slots, Type, Value};

/// A moment after every `valid_from` of the tests.
pub(crate) const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

/// Slots of every type, named as an exchange would.
pub(crate) fn schema() -> Arc<Schema> {
    let slots = vec![
        Slot::new("amount", Type::Double).unit("USD").doc("Amount of the withdrawal."),
        Slot::new("new_device", Type::Bool),
        Slot::new("withdrawals_24h", Type::Int),
        Slot::new("country", Type::String),
        Slot::new("kyc_country", Type::String),
        Slot::new("risk", Type::Double),
        Slot::new("age_days", Type::Double).unit("days"),
        Slot::new("vpn", Type::Bool),
        Slot::new("device.accounts", Type::Int),
        Slot::new("since_password", Type::Duration),
        Slot::new("at", Type::Timestamp),
        Slot::new("value", Type::Money).unit("USDT"),
    ];
    Arc::new(Schema::new(slots).expect("names are good"))
}

/// A document of one rule with this condition.
pub(crate) fn document(when: &str) -> String {
    rule("r1", when, "action = \"challenge\"\nreason = \"why\"")
}

/// A document of one rule with more lines in it.
pub(crate) fn rule(id: &str, when: &str, more: &str) -> String {
    format!(
        "[pack]\nname = \"test\"\nversion = \"1\"\n\n[lists.far]\nvalues = [\"KP\", \"IR\"]\n\n\
         [lists.round]\nvalues = [100, 500.0, 1000]\n\n{}",
        one(id, when, more)
    )
}

/// One `[[rule]]`.
pub(crate) fn one(id: &str, when: &str, more: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\ntitle = \"t\"\nowner = \"fraud\"\nwhen = '''{when}'''\n{more}\n")
}

pub(crate) fn load(document: &str) -> Result<RuleSet, LoadError> {
    RuleSet::load(document, &schema(), &Guard::default())
}

/// Loads, or fails with the faults.
pub(crate) fn loaded(document: &str) -> RuleSet {
    load(document).unwrap_or_else(|error| panic!("{error}\n{document}"))
}

pub(crate) fn filled(set: &RuleSet, values: &[(&str, Value<'_>)]) -> Slots {
    let mut slots = set.slots();
    for (name, value) in values {
        let id = set.schema().slot(name).unwrap_or_else(|| panic!("no slot {name}"));
        slots.set(id, *value).unwrap_or_else(|error| panic!("{error}"));
    }
    slots
}

/// Ids of the rules that fire.
pub(crate) fn fired(set: &RuleSet, slots: &Slots) -> Vec<String> {
    let mut hits = Hits::default();
    set.evaluate(slots, NOW, &mut hits).expect("the slots are this set's");
    hits.into_iter().map(|hit| set.rules()[hit.rule_idx].id().to_owned()).collect()
}

/// Whether one condition holds, by program and by tree, which must agree.
pub(crate) fn truth(when: &str, values: &[(&str, Value<'_>)]) -> Option<bool> {
    let set = loaded(&document(when));
    let slots = filled(&set, values);
    let truth = set.rules()[0].truth(&slots);
    assert_eq!(truth == Some(true), !fired(&set, &slots).is_empty(), "{when}");
    truth
}

/// The counterfactual of the first hit.
pub(crate) fn would_pass_if(when: &str, values: &[(&str, Value<'_>)]) -> Option<String> {
    let set = loaded(&document(when));
    let slots = filled(&set, values);
    let mut hits = Hits::default();
    set.evaluate(&slots, NOW, &mut hits).expect("the slots are this set's");
    let hit = *hits.as_slice().first().unwrap_or_else(|| panic!("{when} does not fire"));
    set.explain(hit, &slots).expect("the hit is this set's").would_pass_if
}
