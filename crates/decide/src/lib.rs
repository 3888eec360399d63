//! The one place where findings become a decision.
//!
//! [`Decider::decide`] asks every [`FindingSource`] within one deadline, combines what they say
//! ([`combine()`]: the strictest finding that is not in shadow wins, and a source that does not answer fails
//! closed), makes the decision durable through the [`DecisionLog`] and only then answers. Decisions about one
//! account are made one after the other, each seeing the one before it, so that parallel requests cannot slip
//! under a velocity limit together.
//!
//! A withdrawal that was held and that people released meanwhile passes once, if nothing speaks against it that they did
//! not see ([`Releases`]). A denial is never released. What is frozen is denied ([`Freezes`]).
//!
//! [`Judge`] decides likewise about acts that are no withdrawals. Whatever is asked in shadow is decided and recorded
//! without an effect ([`would_be`]).
//!
//! It does not know who the sources are, how the log stores anything, or what the caller does with the answer.

mod address_book;
mod combine;
mod decider;
mod freeze;
mod id;
mod idempotency;
mod judge;
mod ports;
mod release;
mod shadow;

pub use self::{
    address_book::{AddressBook, AddressBookMode, AddressBookPolicy, EntryId, IN_BOOK, NOT_IN_BOOK},
    combine::{SOURCE_UNAVAILABLE, combine},
    decider::{Config, DecideError, Decided, Decider, Standstill},
    freeze::{FREEZES_MAX, FROZEN, Freeze, FreezeScope, Freezes, MalformedFreezeScope},
    id::{DecisionId, DecisionIds, MalformedDecisionId},
    idempotency::{KeyedDecision, MAX_KEYS, fingerprint},
    judge::{ActSource, Judge, JudgeRequest, Judged, JudgementLog, Silence},
    ports::{BoxFuture, DecisionLog, FindingSource, LogUnavailable, Release, Releases, SourceUnavailable},
    release::{RELEASE_EXCEEDED, RELEASED, release_used},
    shadow::{SHADOW_REQUEST, would_be},
};
