//! Overload and abuse: who is let in, how often, how many at once, and who is sent away for a while.
//!
//! | module | question |
//! |---|---|
//! | [`gcra`], [`limiter`] | does one more conform to this rate? exact, bounded in keys |
//! | [`scopes`] | does a request conform to all the rates it draws on, all or nothing? |
//! | [`concurrency`] | may one more be under way upstream, given how much it matters? |
//! | [`frames`] | does this HTTP/2 connection still do work, or only make it? |
//! | [`reputation`] | has this source, network or key done enough wrong to be banned for a while? |
//! | [`pow`] | has this browser paid for being let at an endpoint without credentials? |
//! | [`ja4`] | what kind of TLS client is this? |
//!
//! Engines without I/O: time and randomness are arguments. Everything keyed by what comes from outside is bounded by
//! a named constant or a field of a configuration. Not here: what is limited and at which cost, and the answer that
//! a refused client gets.

pub mod concurrency;
pub mod frames;
pub mod gcra;
mod hash;
pub mod ja4;
pub mod limiter;
pub mod pow;
pub mod reputation;
pub mod scopes;

pub use self::{
    concurrency::{Class, Concurrency, ConcurrencyConfig, Outcome, Permit, Shed},
    frames::{FrameBudget, FrameLimits, Violation},
    gcra::{Admitted, Gcra, Limited, Quota, QuotaError},
    ja4::Ja4,
    limiter::KeyedLimiter,
    pow::{PowError, Puzzle, PuzzleConfig},
    reputation::{Ban, Reputation, ReputationConfig, Sighting},
    scopes::{Charge, Granted, LimitId, Refused, ScopeKey, ScopeLimit, Scopes, ScopesError},
};
