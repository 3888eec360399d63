//! The v2 key: the client makes the key pair, the server knows the public half only, and requests carry an HTTP message
//! signature (RFC 9421) over everything that matters. A leaked key store is no leak of keys.
//!
//! # The profile
//!
//! ```text
//! Signature-Input: caponier=("@method" "@authority" "@path" "@query" ["content-digest"] ["exptime"] ["idempotency-key"])
//!     ;created=<s>;expires=<s>;nonce="<22>";keyid="<id>";alg="<algorithm>";tag="caponier-v2"
//! Signature: caponier=:<base64>:
//! Content-Digest: sha-256=:<base64>:
//! ```
//!
//! on one line, without blanks but those shown between components. The components stand in this order, the optional
//! ones exactly where the request has the field; a request with a body has a `Content-Digest` (RFC 9530). The
//! parameters stand once each, in any order. `expires` is 1 to 30 seconds after `created`; `nonce` is 16 random bytes in
//! Base64 for URLs; `alg` is `ed25519`, `ecdsa-p256-sha256`, or `hmac-sha256` for a session. Anything else is refused,
//! more signatures included. Every request passes once within its life, a GET too.
//!
//! # How a gateway calls this
//!
//! 1. [`SignedFields::collect`] over all header fields. `Err`: refuse with [`Refusal::SignatureMalformed`].
//!    `Ok(None)`: the request is one of the OKX scheme.
//! 2. [`SignatureVerifier::verify_head`] before the body is read, then the limits of [`VerifiedHead::key_id`].
//! 3. The body, then [`VerifiedHead::with_body`]: the same [`Verified`] as under the OKX scheme.
//! 4. The limits of the account, [`Authenticator::admit_once`], and so on as before.
//!
//! `POST /caponier/v2/session` is [`Endpoint::SESSION`]; after step 4 it is answered with the body of what
//! [`SignatureVerifier::open_session`] gives, and never forwarded. Withdrawals and changes of keys are
//! [`Endpoint::WITHDRAW`], which no session satisfies. `expTime` and `Idempotency-Key` are signed here and obeyed by
//! the gateway. Answers to verified requests may be signed: [`AnswerSigner`].
//!
//! Not here: HTTP itself, rate limits, how changes of keys are kept ([`crate::record`]).
//!
//! [`Refusal::SignatureMalformed`]: crate::Refusal::SignatureMalformed
//! [`Verified`]: crate::Verified
//! [`Authenticator::admit_once`]: crate::Authenticator::admit_once
//! [`Endpoint::SESSION`]: crate::Endpoint::SESSION
//! [`Endpoint::WITHDRAW`]: crate::Endpoint::WITHDRAW

mod answer;
mod base;
mod fault;
pub mod fields;
mod head;
mod key_id;
mod public_key;
pub mod session;
mod source;
mod verifier;

pub use self::{
    answer::{ANSWER_TAG, AnswerFields, AnswerSigner},
    fault::Fault,
    fields::SignatureInput,
    head::{Head, SignedFields},
    key_id::{KEY_ID_BYTES, generate_key_id, parse_key_id},
    public_key::{Algorithm, PublicKey, PublicKeyError},
    session::{SessionGrant, SessionRandom},
    verifier::{
        AHEAD_MAX, AUTHORITIES_MAX, Config, ConfigError, FAILURES_PER_SECOND, SignatureVerifier, VerifiedHead,
    },
};
