//! What a new version of a set changes: the page a reviewer reads before it takes effect.

use std::{collections::BTreeSet, fmt};

use crate::{
    rule::{Mode, Rule},
    set::{ListIdentity, RuleSet},
};

/// Values of a list that are named; more are counted.
const VALUES_SHOWN_MAX: usize = 20;

/// The differences between two sets. Everything is sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Rules that only the new set has.
    pub added: Vec<String>,
    /// Rules that only the old set has.
    pub removed: Vec<String>,
    /// Rules that both have, not alike.
    pub changed: Vec<RuleChange>,
    /// Lists that are not alike, including those that only one set has.
    pub lists: Vec<ListChange>,
    /// Rules that the new set enforces though the old set did not have them with this condition, action, weight and
    /// treatment of what is missing, in either mode. A rule is to be watched in shadow first.
    pub unrehearsed: Vec<String>,
}

/// A rule that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// Its id.
    pub rule: String,
    /// What changed of it; never empty.
    pub fields: Vec<FieldChange>,
}

/// A field of a rule, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// The key in the document; `types` for the types of what the condition reads.
    pub field: &'static str,
    /// As it was.
    pub before: String,
    /// As it is.
    pub after: String,
}

/// A list that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange {
    /// Its name.
    pub list: String,
    /// The first values that came, as they are written in conditions.
    pub added: Vec<String>,
    /// How many came.
    pub n_added: usize,
    /// The first values that went.
    pub removed: Vec<String>,
    /// How many went.
    pub n_removed: usize,
    /// Rules of the new set whose condition names it.
    pub used_by: Vec<String>,
}

/// Compares two sets. Without an old one, everything is new.
#[must_use]
pub fn diff(old: Option<&RuleSet>, new: &RuleSet) -> Diff {
    let mut diff = Diff::default();
    let ids = |set: &RuleSet| set.rules().iter().map(|rule| rule.id().to_owned()).collect::<BTreeSet<_>>();
    let (before, after) = (old.map(ids).unwrap_or_default(), ids(new));
    diff.added = after.difference(&before).cloned().collect();
    diff.removed = before.difference(&after).cloned().collect();
    for rule in new.rules() {
        let was = old.and_then(|old| old.rule(rule.id()).map(|was| (old, was)));
        let fields = was.map_or_else(Vec::new, |(old, was)| fields(old, was, new, rule));
        let rehearsed = was.is_some() && !fields.iter().any(|change| DECISIVE.contains(&change.field));
        if rule.mode() == Mode::Enforce && !rehearsed {
            diff.unrehearsed.push(rule.id().to_owned());
        }
        if !fields.is_empty() {
            diff.changed.push(RuleChange { rule: rule.id().to_owned(), fields });
        }
    }
    let nothing = std::collections::BTreeMap::new();
    let (before, after) = (old.map_or(&nothing, RuleSet::lists), new.lists());
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    diff.lists =
        names.into_iter().filter_map(|name| list(name, before.get(name), after.get(name), new)).collect();
    diff
}

/// The fields that say when a rule fires and what follows.
const DECISIVE: [&str; 5] = ["action", "types", "weight", "when", "when_missing"];

fn fields(old: &RuleSet, was: &Rule, new: &RuleSet, is: &Rule) -> Vec<FieldChange> {
    let types = |set: &RuleSet, rule: &Rule| {
        let shown = rule.slot_ids().map(|id| {
            let slot = set.schema().describe(id);
            format!("{} {}", slot.name, slot.ty)
        });
        shown.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    // Of other slots, other types are part of the condition's own change.
    let types =
        |set: &RuleSet, rule: &Rule| if was.reads() == is.reads() { types(set, rule) } else { String::new() };
    let time = |rule: &Rule| rule.valid_from().map_or_else(|| "always".to_owned(), |at| at.to_string());
    let pairs = [
        ("action", was.action().to_string(), is.action().to_string()),
        ("mode", was.mode().as_str().to_owned(), is.mode().as_str().to_owned()),
        ("owner", was.owner().to_owned(), is.owner().to_owned()),
        ("reason", was.reason().to_owned(), is.reason().to_owned()),
        ("title", was.title().to_owned(), is.title().to_owned()),
        ("types", types(old, was), types(new, is)),
        ("valid_from", time(was), time(is)),
        ("weight", was.weight().to_string(), is.weight().to_string()),
        ("when", was.when(), is.when()),
        ("when_missing", was.when_missing().as_str().to_owned(), is.when_missing().as_str().to_owned()),
    ];
    let changed = pairs.into_iter().filter(|(_, before, after)| before != after);
    changed.map(|(field, before, after)| FieldChange { field, before, after }).collect()
}

fn list(
    name: &str,
    was: Option<&ListIdentity>,
    is: Option<&ListIdentity>,
    new: &RuleSet,
) -> Option<ListChange> {
    let values = |list: Option<&ListIdentity>| {
        list.map_or_else(BTreeSet::new, |list| list.values.iter().cloned().collect::<BTreeSet<_>>())
    };
    if was.map(|list| list.hash) == is.map(|list| list.hash) {
        return None;
    }
    let (before, after) = (values(was), values(is));
    let first = |values: &mut dyn Iterator<Item = &String>| values.take(VALUES_SHOWN_MAX).cloned().collect();
    let (came, went) = (after.difference(&before), before.difference(&after));
    Some(ListChange {
        list: name.to_owned(),
        n_added: came.clone().count(),
        n_removed: went.clone().count(),
        added: first(&mut came.into_iter()),
        removed: first(&mut went.into_iter()),
        used_by: new
            .rules()
            .iter()
            .filter(|rule| rule.lists.iter().any(|used| used == name))
            .map(|rule| rule.id().to_owned())
            .collect(),
    })
}

impl Diff {
    /// Whether nothing changed that has an effect or is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no changes");
        }
        let mut lines = Vec::new();
        lines.extend(self.added.iter().map(|rule| format!("+ {rule}")));
        lines.extend(self.removed.iter().map(|rule| format!("- {rule}")));
        for change in &self.changed {
            lines.push(format!("~ {}", change.rule));
            for FieldChange { field, before, after } in &change.fields {
                lines.push(format!("    {field} was {before}"));
                lines.push(format!("    {field} is  {after}"));
            }
        }
        for change in &self.lists {
            lines.push(format!(
                "~ lists.{}: {} added, {} removed",
                change.list, change.n_added, change.n_removed
            ));
            lines.extend(change.added.iter().map(|value| format!("    + {value}")));
            lines.extend(change.removed.iter().map(|value| format!("    - {value}")));
        }
        lines.extend(
            self.unrehearsed.iter().map(|rule| format!("! {rule} is enforced without having been watched")),
        );
        f.write_str(&lines.join("\n"))
    }
}
