//! The wire forms of version 1 and their translation to domain types.

mod act;
mod consent;
mod decision;
mod event;
mod fields;
mod json;
mod screening;

pub(crate) use self::{
    act::{METHODS, judged_json, judgement_json},
    consent::{Answer, account_of, answer, grants_json, view_json},
    decision::{Asked, DecisionRequest, Sent, decision_request, reason},
    event::{Batch, Judge, RefusedLine, events},
    fields::{Fault, Fields},
    screening::{is_found, screen_lines, screen_request, summary_json},
};
pub use self::{
    decision::{answer_json, explanation_json},
    screening::{assessment_json, lists_json},
};

/// An intake that records nothing, knows the assets `BTC` and `USDT` and the decision `dec-7-aa`.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Default)]
pub(crate) struct NoIntake(crate::DeadLetters);

#[cfg(any(test, fuzzing))]
impl crate::Intake for NoIntake {
    fn record(
        &self,
        _: Vec<domain::Event>,
    ) -> crate::BoxFuture<'_, Result<crate::Recorded, crate::IntakeError>> {
        Box::pin(std::future::ready(Ok(crate::Recorded { accepted: 0, duplicates: 0, erased: 0 })))
    }

    fn knows_asset(&self, asset: &domain::Asset) -> bool {
        matches!(asset.as_str(), "BTC" | "USDT")
    }

    fn decision_position(&self, id: &str) -> Option<u64> {
        (id == "dec-7-aa").then_some(7)
    }

    fn dead_letters(&self) -> &crate::DeadLetters {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::UnixNanos;

    use super::*;

    const REFERENCE: &str = include_str!("../../../docs/operating/control-api.md");

    fn block(language: &str) -> &'static str {
        let (_, rest) = REFERENCE.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0
    }

    /// As shown: the answer for a customer.
    #[test]
    fn the_documented_consent_is_accepted() {
        let (_, rest) = REFERENCE.split_once("```json consent\n").unwrap();
        let body = rest.split_once("```").unwrap().0;
        assert!(matches!(answer(body.as_bytes()), Ok(Answer::Approve(_))));
    }

    /// What the operators' reference shows is what is accepted.
    #[test]
    fn the_documented_examples_are_accepted() {
        let now = UnixNanos::parse_rfc3339("2026-11-22T10:10:00Z").unwrap();
        let batch = events(block("ndjson").as_bytes(), Judge { now, intake: &NoIntake::default() }).unwrap();
        let faults: Vec<String> = batch.refused.iter().map(RefusedLine::sentence).collect();
        assert!(faults.is_empty(), "{faults:?}");
        let types: BTreeSet<_> = batch.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!((batch.events.len(), types.len()), (21, 19));
        let request = decision_request(
            block("json").as_bytes(),
            Sent::default(),
            Judge { now, intake: &NoIntake::default() },
        );
        let Asked::Withdrawal(withdrawal) = request.unwrap().asked else { panic!("no withdrawal") };
        assert_eq!(withdrawal.amount.to_string(), "1000");
        for route in crate::routes() {
            let row = format!("| `{} {}` | `{}` |", route.method, route.path, route.permission.as_str());
            assert!(REFERENCE.contains(&row), "{row}");
        }
    }
}
