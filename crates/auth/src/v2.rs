//! The v2 key: the client makes the key pair, the server knows the public half only, requests carry an HTTP message
//! signature (RFC 9421) over everything that matters.
//!
//! Not here: HTTP itself, rate limits, how changes of keys are kept ([`crate::record`]).

mod key_id;
mod public_key;

pub use self::{
    key_id::{KEY_ID_BYTES, generate_key_id, parse_key_id},
    public_key::{Algorithm, PublicKey, PublicKeyError},
};
