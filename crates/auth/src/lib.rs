//! API credentials: what a key may do, whether a request is signed by it, and in which words one is refused.
//!
//! An engine without I/O: time and random bytes are arguments. Speaks the OKX v5 scheme byte for byte ([`okx`],
//! [`Refusal`]). Not here: HTTP, rate limits, the journal that keeps the keys ([`record`] gives it its bytes).
//!
//! One request: [`Authenticator::verify`], or [`v2::SignatureVerifier::verify_head`] where it carries an HTTP message
//! signature, then the caller's rate limits, then [`Authenticator::admit_once`].

mod authenticator;
pub mod authority;
mod hash;
mod ip;
pub mod key;
pub mod oauth;
pub mod okx;
pub mod record;
mod refusal;
pub mod registry;
pub mod replay;
pub mod v2;

pub use self::{
    authenticator::{
        Authenticator, Endpoint, FirstSight, Login, PassphraseCheck, Proof, RequestHead, Verification,
        Verified,
    },
    ip::IpAllowList,
    key::{ApiKey, Environment, KeyError, KeyState, NewApiKey, NewV2Key, Permission, Permissions, Scheme},
    record::{Change, KeyChange, KeyEntry, RecordError},
    refusal::{PARAMETER_BYTES_MAX, Refusal},
    registry::{ApplyError, KeySummary, Registry},
    replay::{ReplayError, ReplayWindow},
};
