//! Signing by the key itself.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use crypto::{random, sha256};

use crate::{ClientError, key::KeyPair, request::Request};

/// How long a signature is good, in seconds, unless told otherwise. Long enough for a clock that is a little behind.
pub const LIFETIME_SECS: u64 = 10;
/// The longest the gateway accepts.
pub const LIFETIME_SECS_MAX: u64 = 30;

/// The header fields to add to a request, and nothing else to change in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(pub(crate) Vec<(&'static str, String)>);

impl Fields {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The value of the `Signature` field, to which a signed answer is bound.
    #[must_use]
    pub fn signature(&self) -> &str {
        self.0.last().map_or("", |(_, value)| value)
    }
}

/// Signs with a key pair.
pub struct Signer {
    pub(crate) key_id: String,
    key: Box<dyn KeyPair>,
    lifetime_secs: u64,
}

impl Signer {
    /// `key_id` as the exchange gave it for the registered public key.
    ///
    /// # Errors
    /// [`ClientError::KeyIdInvalid`].
    pub fn new(key_id: &str, key: impl KeyPair + 'static) -> Result<Self, ClientError> {
        let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
        if key_id.is_empty() || key_id.len() > 64 || !key_id.bytes().all(byte) {
            return Err(ClientError::KeyIdInvalid);
        }
        Ok(Self { key_id: key_id.to_owned(), key: Box::new(key), lifetime_secs: LIFETIME_SECS })
    }

    /// With signatures that are good for this long instead of [`LIFETIME_SECS`].
    ///
    /// # Errors
    /// [`ClientError::LifetimeInvalid`].
    pub fn lifetime_secs(mut self, secs: u64) -> Result<Self, ClientError> {
        if secs == 0 || secs > LIFETIME_SECS_MAX {
            return Err(ClientError::LifetimeInvalid { got: secs });
        }
        self.lifetime_secs = secs;
        Ok(self)
    }

    /// Signs one request; `now` in seconds since 1970.
    ///
    /// # Errors
    /// [`ClientError::FieldInvalid`], [`ClientError::SigningFailed`].
    pub fn sign(&self, request: &Request<'_>, now: u64) -> Result<Fields, ClientError> {
        let signing = Signing {
            key_id: &self.key_id,
            algorithm: self.key.algorithm(),
            created: now,
            expires: now + self.lifetime_secs,
            nonce: random::array(),
        };
        signing.fields(request, |base| self.key.sign(base).map(|signature| signature.to_vec()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The parameters of one signature.
pub(crate) struct Signing<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) algorithm: &'static str,
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) nonce: [u8; 16],
}

impl Signing<'_> {
    /// The fields for a request, with what `sign` makes of the signature base (RFC 9421 section 2.5).
    pub(crate) fn fields(
        &self,
        request: &Request<'_>,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, ClientError>,
    ) -> Result<Fields, ClientError> {
        let mut base = format!(
            "\"@method\": {}\n\"@authority\": {}\n\"@path\": {}\n\"@query\": {}\n",
            request.method, request.authority, request.path, request.query
        );
        let mut covered = String::from(r#""@method" "@authority" "@path" "@query""#);
        let mut fields = Vec::with_capacity(5);
        if !request.body.is_empty() {
            fields.push(("Content-Digest", content_digest(request.body)));
        }
        for (name, value) in [("expTime", request.exp_time), ("Idempotency-Key", request.idempotency_key)] {
            if let Some(value) = value {
                let printable = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                if value.is_empty() || !printable || value.trim_ascii() != value {
                    return Err(ClientError::FieldInvalid { field: name });
                }
                fields.push((name, value.to_owned()));
            }
        }
        for (name, value) in &fields {
            let name = name.to_ascii_lowercase();
            base += &format!("\"{name}\": {value}\n");
            covered += &format!(" \"{name}\"");
        }
        let params = format!(
            "({covered});created={};expires={};nonce=\"{}\";keyid=\"{}\";alg=\"{}\";tag=\"caponier-v2\"",
            self.created,
            self.expires,
            URL_SAFE_NO_PAD.encode(self.nonce),
            self.key_id,
            self.algorithm,
        );
        base += &format!("\"@signature-params\": {params}");
        let signature = sign(base.as_bytes())?;
        fields.push(("Signature-Input", format!("caponier={params}")));
        fields.push(("Signature", format!("caponier=:{}:", STANDARD.encode(signature))));
        Ok(Fields(fields))
    }
}

/// The value of `Content-Digest` (RFC 9530).
pub(crate) fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256(&[body])))
}
