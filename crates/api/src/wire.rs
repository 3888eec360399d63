//! The wire forms of version 1 and their translation to domain types.

mod decision;
mod event;
mod fields;
mod json;

pub use self::decision::{answer_json, explanation_json};
pub(crate) use self::{
    decision::{DecisionRequest, decision_request},
    event::events,
    fields::Fault,
};
