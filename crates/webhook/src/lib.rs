//! Notifications to programs elsewhere, after Standard Webhooks 1.0.0 (standardwebhooks.com): what is signed and how, who
//! wants what, and when something is tried again.
//!
//! - [`SigningKey`]: secrets (`whsec_`, `whsk_`, `whpk_`) and signatures (`v1`, `v1a`).
//! - [`Target`]: where to, and [`is_public`]: which addresses a target may lead to.
//! - [`EventType`]: what can be told of.
//! - [`Entry`]: what was done about endpoints, as the journal keeps it, and [`Ledger`]: the fold over that.
//! - [`Outbox`]: which message is due when, and how far everything is settled.
//!
//! An engine without socket, clock or randomness: time and random numbers are arguments. Who reads the journal, connects
//! and sends is the product's matter.
//!
//! # Bounds
//! [`ENDPOINTS_MAX`], [`DEAD_LETTERS_MAX`], [`WINDOW_MAX`], [`UNDER_WAY_MAX`], [`Target::BYTES_MAX`].

mod endpoint;
mod entry;
mod event_type;
mod guard;
mod key;
mod ledger;
mod outbox;
mod schedule;
mod target;

pub use self::{
    endpoint::{DisabledWhy, Endpoint, EndpointName, EndpointNameError, NAME_BYTES_MAX, Settings, State},
    entry::{Entry, EntryError, SettledHow, TEXT_BYTES_MAX},
    event_type::{EventType, Events, EventsError},
    guard::{Guard, is_public},
    key::{KeyError, SIGNATURE_HEADERS, Scheme, SigningKey, verify_hmac},
    ledger::{DEAD_LETTERS_MAX, DeadLetter, ENDPOINTS_MAX, Ledger, OVERLAP_MAX},
    outbox::{After, MessageKey, Outbox, UNDER_WAY_MAX, WINDOW_MAX},
    schedule::Schedule,
    target::{Host, Target, TargetError},
};
