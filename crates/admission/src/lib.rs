//! Rate limits: exact, bounded in memory, fair under floods of strange keys.
//!
//! An engine without I/O: the time is an argument. Not here: what is limited and at which cost, and the answer
//! that a limited client gets.

pub mod concurrency;
pub mod frames;
pub mod gcra;
mod hash;
pub mod limiter;
pub mod reputation;
pub mod scopes;

pub use self::{
    concurrency::{Class, Concurrency, ConcurrencyConfig, Outcome, Permit, Shed},
    frames::{FrameBudget, FrameLimits, Violation},
    gcra::{Admitted, Gcra, Limited, Quota, QuotaError},
    limiter::KeyedLimiter,
    reputation::{Ban, Reputation, ReputationConfig, Sighting},
    scopes::{Charge, Granted, LimitId, Refused, ScopeKey, ScopeLimit, Scopes, ScopesError},
};
