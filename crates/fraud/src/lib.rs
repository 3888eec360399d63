//! Behaviour: what is known of an account, its devices, networks and destinations, and what that says about a
//! withdrawal.
//!
//! [`Fraud`] is a fold over the journal. [`Fraud::apply`] and [`Fraud::apply_decision`] take each event and each
//! decision once, in journal order; the same two calls serve live traffic and replay, and
//! [`Fraud::digest`] compares the result. [`Fraud::examine`] answers from that state alone and changes nothing.
//!
//! It does not learn, and it keeps nothing on disk: after a restart the journal is replayed. Whether a finding stops
//! anything is decided by the decision path, which takes the strictest finding that is not in shadow.
//!
//! # Principles
//! - A shared device, a VPN or an unusual network alone never stops anybody: [`Rule::SharedDevice`] cannot be
//!   taken out of shadow, and the network counts only together with guessed passwords.
//! - What is not known is said, and never read as harmless: an unreported balance is not a small share, a device
//!   never reported is not an old one.
//! - A failed login teaches nothing: neither its device nor its network becomes known.
//! - Each finding names rule and version, the numbers seen, and what would have made it pass.
//!
//! # Bounds
//! Everything keyed by outside input has a named bound in [`Bounds`] or beside its type; what makes room is what
//! was seen least recently. Forgetting errs on the strict side: a forgotten device or destination is a new one.

pub mod cases;
pub mod evaluate;
pub mod feed;
pub mod history;
pub mod lifecycle;
pub mod live;
pub mod mapping;
pub mod preset;
pub mod record;
pub mod recording;
pub mod replay;
pub mod stream;

mod config;
mod engine;
mod entity;
mod facts;
mod profile;
mod rule;
mod rules;
mod state;
mod words;

pub use self::{
    config::{Bounds, Config, ConfigError, Thresholds},
    engine::{Fraud, Sizes},
    entity::{DestinationId, IpNetwork},
    rule::Rule,
};
