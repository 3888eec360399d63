//! The live engine: the journal through a feature pack, a model and rules, with findings for decisions and alerts for
//! everything else.

pub mod record;

pub use domain::{AlertEntity, FraudAlert as Alert};
