//! Rules, changes and backtests as they are shown.

use std::collections::BTreeMap;

use console::{
    Mode,
    rules::{Backtested, BuiltIn, Changes, Compiled, FoundModel, FoundRule, RuleLine, RuleSetView},
};
use fraud::live::{Bundle, Live};

use super::{
    report::{ModelFound, Report},
    tallies::Tally,
};
use crate::bundles::Place;

/// Name and version of the rules of a bundle.
pub(super) fn rules_name(bundle: &Bundle) -> String {
    bundle.rules().map_or_else(|| "no rules".to_owned(), |set| format!("{} {}", set.name(), set.version()))
}

/// The rules the product brings, as they are set.
pub(super) fn built_in(config: &fraud::Config) -> Vec<BuiltIn> {
    let rules = fraud::Rule::ALL.into_iter();
    rules
        .map(|rule| BuiltIn {
            name: rule.as_str(),
            says: rule.describe(),
            action: rule.verdict().as_str(),
            mode: if config.off.contains(&rule) {
                Mode::Off
            } else if rule.observes_only() || config.shadow.contains(&rule) {
                Mode::Shadow
            } else {
                Mode::Enforcing
            },
        })
        .collect()
}

/// A set at work with what its rules did; `None` for a bundle without rules.
pub(super) fn set(place: Place, live: &Live, told: &BTreeMap<(String, bool), Tally>) -> Option<RuleSetView> {
    let bundle = live.bundle();
    let set = bundle.rules()?;
    let has_effect = live.is_enforced();
    let lines = set.rules().iter().map(|rule| {
        let is_shadow = !has_effect || rule.mode() == rules::Mode::Shadow;
        let tally = told.get(&(rule.id().to_owned(), is_shadow)).copied().unwrap_or_default();
        RuleLine {
            id: rule.id().to_owned(),
            title: rule.title().to_owned(),
            owner: rule.owner().to_owned(),
            action: rule.action().as_str().to_owned(),
            mode: rule.mode().as_str().to_owned(),
            when: rule.when(),
            reason: rule.reason().to_owned(),
            fixtures: rule.fixtures().len(),
            today: tally.today,
            week: tally.week,
            fraud: tally.fraud,
            good: tally.good,
            good_accounts: tally.good_accounts,
        }
    });
    Some(RuleSetView {
        place: place.as_str(),
        bundle: format!("{} {}", bundle.name(), bundle.version()),
        rules: rules_name(bundle),
        sha256: hex::encode(bundle.hash()),
        has_effect,
        lines: lines.collect(),
    })
}

/// A bundle that loads, beside the one in force.
pub(super) fn compiled(bundle: &Bundle, base: Option<&Bundle>) -> Compiled {
    let rules = bundle.rules().map_or(&[][..], |set| set.rules());
    let fixtures = rules.iter().flat_map(|rule| {
        let fixture = |fixture: &rules::Fixture| (rule.id().to_owned(), fixture.name.clone(), fixture.expect);
        rule.fixtures().iter().map(fixture)
    });
    let mut changes = Changes::default();
    if let Some(new) = bundle.rules() {
        let diff = rules::diff(base.and_then(Bundle::rules), new);
        changes.changed = diff
            .changed
            .into_iter()
            .flat_map(|change| {
                let rule = change.rule;
                let field = move |field: rules::FieldChange| {
                    [rule.clone(), field.field.to_owned(), field.before, field.after]
                };
                change.fields.into_iter().map(field)
            })
            .collect();
        let list = |list: rules::ListChange| {
            let rules::ListChange { list, added, n_added, removed, n_removed, used_by } = list;
            let values = |values: &[String], n: usize| match n {
                0 => "none".to_owned(),
                n if n > values.len() => format!("{} and {} more", values.join(", "), n - values.len()),
                _ => values.join(", "),
            };
            let (came, went) = (values(&added, n_added), values(&removed, n_removed));
            format!("{list}: came {came}; went {went}; used by {}", used_by.join(", "))
        };
        changes.lists = diff.lists.into_iter().map(list).collect();
        (changes.added, changes.removed) = (diff.added, diff.removed);
        changes.unrehearsed = diff.unrehearsed;
    }
    if let (Some(base), Some(new)) = (base, bundle.model()) {
        let of = |model: Option<(&scoring::model::file::ModelFile, [u8; 32])>| {
            model.map_or_else(
                || "none".to_owned(),
                |(file, sha256)| format!("{} {} {}", file.card.name, file.card.version, hex::encode(sha256)),
            )
        };
        let (before, after) = (of(base.model()), of(Some(new)));
        if before != after {
            changes.changed.push(["(model)".to_owned(), "file".to_owned(), before, after]);
        }
    }
    Compiled {
        sha256: hex::encode(bundle.hash()),
        rules: rules_name(bundle),
        fixtures: fixtures.collect(),
        changes,
    }
}

/// Where an example is looked at.
fn place_of(example: &str) -> String {
    match example.strip_prefix("entry-") {
        Some(position) => format!("/console/audit?from={position}"),
        None => format!("/console/decisions/{example}"),
    }
}

/// A report as it is shown.
pub(super) fn backtested(report: &Report) -> Backtested {
    let rules = report.rules.iter().map(|found| FoundRule {
        rule: found.rule.clone(),
        action: found.action.clone(),
        mode: found.mode.clone(),
        hits: found.hits,
        hits_before: found.hits_before,
        fraud: found.fraud,
        good: found.good,
        precision: found.precision,
        recall: found.recall,
        accounts: found.accounts,
        good_accounts: found.good_accounts,
        examples: found.examples.iter().map(|example| (example.clone(), place_of(example))).collect(),
    });
    Backtested {
        from: report.from.clone(),
        until: report.until.clone(),
        at: report.at.clone(),
        by: report.by.clone(),
        compared_with: report.compared_with.clone().unwrap_or_default(),
        events: report.events,
        fraud: report.fraud,
        good: report.good,
        good_troubled: report.good_troubled,
        is_at_least: report.is_at_least,
        rules: rules.collect(),
        model: report.model.as_ref().map(model),
    }
}

fn model(found: &ModelFound) -> FoundModel {
    FoundModel {
        rows: found.rows,
        frauds: found.frauds,
        figures: vec![
            ("average precision", found.average_precision),
            ("area under ROC", found.auc_roc),
            ("Brier score", found.brier),
            ("calibration error", found.calibration_error),
        ],
        curve: found.curve.clone(),
        reliability: found.reliability.clone(),
    }
}
