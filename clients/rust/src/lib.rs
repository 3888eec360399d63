//! Signs API requests with a v2 key: HTTP message signatures (RFC 9421) in the profile of the gateway.
//!
//! Brings no HTTP and no clock: give it the request as it will be sent and the time, and add the header fields it
//! returns. Those fields are for one request; sign again to send again.
//!
//! ```
//! use caponier_client::{Request, Signer, SigningKey};
//!
//! let key = SigningKey::generate();           // register its public half: `public_key_pem`
//! let signer = Signer::new("caponier_live_...", key)?;
//! let request = Request::new("POST", "https://api.example.com/api/v5/trade/order", br#"{"sz":"1"}"#)?;
//! for (name, value) in signer.sign(&request, 1_700_000_000)?.iter() {
//!     println!("{name}: {value}");
//! }
//! # Ok::<(), caponier_client::ClientError>(())
//! ```
//!
//! A key signature costs the gateway a hundred times what a MAC does. Who sends many requests opens a session with
//! [`Signer::request_session`] every quarter of an hour and signs with the [`Session`]; withdrawals and changes of keys
//! are signed by the key all the same.
//!
//! Not here: what the requests say. No secret is printed or put into an error.

mod answer;
mod key;
mod request;
mod session;
mod signer;

pub use crypto::{P256SigningKey, SigningKey, VerifyingKey};

pub use self::{
    answer::verify_answer,
    key::{KeyPair, ed25519_from_pem, p256_from_pem, public_key_pem},
    request::Request,
    session::{PendingSession, Session},
    signer::{Fields, LIFETIME_SECS, LIFETIME_SECS_MAX, Signer},
};

/// What keeps a request from being signed or an answer from being believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The answer is not signed by the server's key for this request.
    #[error("answer: {what}")]
    AnswerUntrusted {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A field value that cannot be signed: empty, with blanks at an end, or not printable ASCII.
    #[error("{field} cannot be signed as it stands")]
    FieldInvalid {
        /// Name of the field.
        field: &'static str,
    },
    /// The key id has a character no id has, or is empty or longer than 64 bytes.
    #[error("key id is not 1 to 64 letters, digits and - _ . : @")]
    KeyIdInvalid,
    /// The text is no unencrypted PKCS #8 private key of the wanted kind in PEM.
    #[error("not an unencrypted private key of this kind in PEM")]
    KeyInvalid,
    /// The lifetime is not 1 to 30 seconds.
    #[error("lifetime is {got} s, 1 to {LIFETIME_SECS_MAX} are allowed")]
    LifetimeInvalid {
        /// Seconds given.
        got: u64,
    },
    /// The answer to the request for a session is not one.
    #[error("the answer opens no session: {what}")]
    SessionAnswer {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The key pair, such as a hardware module, did not sign.
    #[error("the key pair did not sign")]
    SigningFailed,
    /// The URL is not an http or https URL as it stands on the wire.
    #[error("not an http or https URL as it stands on the wire")]
    UrlInvalid,
}
