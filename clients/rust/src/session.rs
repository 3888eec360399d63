//! Sessions: sign once with the key, then with a MAC.
//!
//! Both sides derive the MAC key from an agreement of ephemeral keys (X25519, RFC 7748; HKDF-SHA-256, RFC 5869); it never
//! travels. A session ends after a quarter of an hour, with a freeze of its key, with another address of the client,
//! and when the gateway restarts: on `50111` or `50100` open another.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{Secret, X25519Key, hkdf_sha256, hmac_sha256, random};

use crate::{
    ClientError,
    request::Request,
    signer::{Fields, LIFETIME_SECS, Signer, Signing},
};

/// Where sessions are opened.
const PATH: &str = "/caponier/v2/session";

/// A session that was asked for: send [`PendingSession::body`] with [`PendingSession::fields`] as a `POST` to
/// [`PendingSession::url`], content type `application/json`, and give the answer to [`PendingSession::accept`].
pub struct PendingSession {
    key_id: String,
    own: X25519Key,
    url: String,
    body: String,
    fields: Fields,
}

impl Signer {
    /// Asks for a session. `origin` is scheme and authority, such as `https://api.example.com`; `now` in seconds since
    /// 1970.
    ///
    /// # Errors
    /// [`ClientError::UrlInvalid`], [`ClientError::SigningFailed`].
    pub fn request_session(&self, origin: &str, now: u64) -> Result<PendingSession, ClientError> {
        let own = X25519Key::generate();
        let url = format!("{origin}{PATH}");
        let body = format!("{{\"publicKey\":\"{}\"}}", URL_SAFE_NO_PAD.encode(own.public()));
        let fields = self.sign(&Request::new("POST", &url, body.as_bytes())?, now)?;
        Ok(PendingSession { key_id: self.key_id.clone(), own, url, body, fields })
    }
}

impl PendingSession {
    /// Where to send it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The body to send.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The header fields to add.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Derives the session from the body of the answer.
    ///
    /// # Errors
    /// [`ClientError::SessionAnswer`]: look at the answer's own code and message.
    pub fn accept(self, answer: &[u8]) -> Result<Session, ClientError> {
        let bad = |what| ClientError::SessionAnswer { what };
        let answer: serde_json::Value = serde_json::from_slice(answer).map_err(|_| bad("it is not JSON"))?;
        if answer["code"] != "0" {
            return Err(bad("it is a refusal"));
        }
        let grant = &answer["data"][0];
        let text = |member: &str| grant[member].as_str().unwrap_or_default();
        let id = text("sessionId");
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if id.is_empty() || id.len() > 64 || !id.bytes().all(byte) {
            return Err(bad("the session id is missing"));
        }
        let server = URL_SAFE_NO_PAD.decode(text("serverPublicKey")).ok();
        let server: [u8; 32] =
            server.and_then(|key| key.try_into().ok()).ok_or_else(|| bad("the server's key is missing"))?;
        let expires_at_millis = text("expiresAt").parse().map_err(|_| bad("the expiry is missing"))?;
        let shared = self.own.agree(&server).map_err(|_| bad("the server's key is unusable"))?;
        let salt = [self.own.public().as_slice(), &server].concat();
        let info = [b"caponier-v2 session\0", self.key_id.as_bytes(), b"\0", id.as_bytes()].concat();
        let mac_key = Secret::new(hkdf_sha256::<32>(shared.expose(), &salt, &info));
        Ok(Session { id: id.to_owned(), mac_key, expires_at_millis })
    }
}

impl fmt::Debug for PendingSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSession").field("url", &self.url).finish_non_exhaustive()
    }
}

/// An open session.
pub struct Session {
    id: String,
    mac_key: Secret<[u8; 32]>,
    expires_at_millis: u64,
}

impl Session {
    /// Its public name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it runs out, in milliseconds since 1970.
    #[must_use]
    pub const fn expires_at_millis(&self) -> u64 {
        self.expires_at_millis
    }

    /// Signs one request; `now` in seconds since 1970. Withdrawals and changes of keys need [`Signer::sign`].
    ///
    /// # Errors
    /// [`ClientError::FieldInvalid`].
    pub fn sign(&self, request: &Request<'_>, now: u64) -> Result<Fields, ClientError> {
        let signing = Signing {
            key_id: &self.id,
            algorithm: "hmac-sha256",
            created: now,
            expires: now + LIFETIME_SECS,
            nonce: random::array(),
        };
        signing.fields(request, |base| Ok(hmac_sha256(self.mac_key.expose(), &[base]).to_vec()))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("expires_at_millis", &self.expires_at_millis)
            .finish_non_exhaustive()
    }
}
