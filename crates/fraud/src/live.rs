//! The live engine: the journal through a feature pack, a model and rules, with findings for decisions and alerts on
//! everything else.
//!
//! - [`record`]: what an entry of the journal is to packs and rules.
//! - [`Bundle`]: pack, model and rules that fit together, loaded whole or refused whole.
//! - [`Live`]: a bundle at work. One step serves live traffic, recovery, restore drills and exports of training data.
//!
//! A bundle begins in shadow: its findings are told and have no effect until somebody promotes it. Weak evidence alone
//! never holds or denies, neither by a rule (the guard of the rule language proves it when the bundle loads) nor by a
//! score (the head of `live/judge.rs` says how).

mod binding;
mod bundle;
mod engine;
mod judge;
pub mod manifest;
pub mod record;

#[cfg(test)]
mod tests;

pub use domain::{AlertEntity, FraudAlert as Alert};

pub use self::{
    binding::{ANOMALY_SLOT, BindError, SCORE_SLOT, TIME_SLOT},
    bundle::{Bundle, BundleError, MANIFEST, ReadFile},
    engine::{Judged, Live, LiveCounts, PENDING_MAX, QUIET_MAX, SCORE_RANGES, Tally},
    judge::{REASONS_MAX, RULES_TOLD_MAX, Scores},
};
