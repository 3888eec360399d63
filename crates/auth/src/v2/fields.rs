//! The three structured fields of a signed request: `Signature-Input`, `Signature` and `Content-Digest`.
//!
//! Not a parser of structured fields (RFC 9651) at large: of all that RFC 9421 and RFC 9530 allow, exactly the canonical
//! serialization of the profile's shape is accepted, so that no two readers can disagree about what was signed
//! and the text of the field is the text of the signature base. Every loop ends with the input; bounds:
//! [`INPUT_BYTES_MAX`], [`SIGNATURE_BYTES_MAX`], [`DIGEST_BYTES`].

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use domain::UnixNanos;

use super::{fault::Fault, public_key::Algorithm};

/// The one signature label (RFC 9421 section 4.1).
pub const LABEL: &str = "caponier";
/// The one value of `tag`.
pub const TAG: &str = "caponier-v2";
/// Longest accepted `Signature-Input`, in bytes.
pub const INPUT_BYTES_MAX: usize = 512;
/// Longest accepted `Signature`, in bytes: 64 bytes in Base64 between colons, behind the label.
pub const SIGNATURE_BYTES_MAX: usize = LABEL.len() + 2 + 88 + 1;
/// Length of `Content-Digest`: 32 bytes in Base64 behind `sha-256=`, between colons.
pub const DIGEST_BYTES: usize = 8 + 1 + 44 + 1;
/// Longest life of a signature, from `created` to `expires`, in seconds.
pub const LIFETIME_SECS_MAX: u64 = 30;

/// Longest `keyid`, in bytes.
const KEY_ID_BYTES_MAX: usize = 64;
/// Length of a nonce: 16 bytes in Base64 for URLs, without padding.
const NONCE_TEXT_BYTES: usize = 22;
/// The components that every request signs, in their order.
const ALWAYS: &[u8] = br#"("@method" "@authority" "@path" "@query""#;

/// What `Signature-Input` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureInput<'a> {
    /// The inner list with its parameters as sent: the value of `@signature-params`.
    pub params: &'a [u8],
    /// Whether `content-digest` is covered.
    pub content_digest: bool,
    /// Whether `exptime` is covered.
    pub exptime: bool,
    /// Whether `idempotency-key` is covered.
    pub idempotency_key: bool,
    /// When the signature was made, to the second.
    pub created: UnixNanos,
    /// From when on it is refused, to the second.
    pub expires: UnixNanos,
    /// Never used twice under one key within the life of a signature.
    pub nonce: [u8; 16],
    /// A key or a session.
    pub key_id: &'a str,
    /// How it was signed.
    pub algorithm: Algorithm,
}

impl<'a> SignatureInput<'a> {
    /// Parses the field's value.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn parse(value: &'a [u8]) -> Result<Self, Fault> {
        if value.len() > INPUT_BYTES_MAX {
            return Err(Fault::InputShape);
        }
        let params = value.strip_prefix(LABEL.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        let params = params.ok_or(Fault::InputShape)?;
        let mut rest = params.strip_prefix(ALWAYS).ok_or(Fault::InputShape)?;
        let mut covers = |component: &[u8]| match rest.strip_prefix(component) {
            Some(after) => {
                rest = after;
                true
            }
            None => false,
        };
        let content_digest = covers(br#" "content-digest""#);
        let exptime = covers(br#" "exptime""#);
        let idempotency_key = covers(br#" "idempotency-key""#);
        let rest = rest.strip_prefix(b")").ok_or(Fault::InputShape)?;
        let parameters = Parameters::parse(rest)?;
        let (created, expires) = (parameters.created, parameters.expires);
        if expires <= created || expires - created > LIFETIME_SECS_MAX {
            return Err(Fault::Lifetime);
        }
        Ok(Self {
            params,
            content_digest,
            exptime,
            idempotency_key,
            created: UnixNanos::from_secs(created),
            expires: UnixNanos::from_secs(expires),
            nonce: parameters.nonce,
            key_id: parameters.key_id,
            algorithm: parameters.algorithm,
        })
    }
}

struct Parameters<'a> {
    created: u64,
    expires: u64,
    nonce: [u8; 16],
    key_id: &'a str,
    algorithm: Algorithm,
}

impl<'a> Parameters<'a> {
    /// All six, each once, in any order: libraries differ in the order, and the text as it stands is what is signed.
    fn parse(mut rest: &'a [u8]) -> Result<Self, Fault> {
        let (mut created, mut expires, mut nonce) = (None, None, None);
        let (mut key_id, mut algorithm, mut tag) = (None, None, None);
        while !rest.is_empty() {
            let parameter = rest.strip_prefix(b";").ok_or(Fault::InputParameters)?;
            // No accepted value has a semicolon, so the next one ends this parameter.
            let end = parameter.iter().position(|byte| *byte == b';').unwrap_or(parameter.len());
            let (parameter, after) = parameter.split_at(end);
            rest = after;
            let equals = parameter.iter().position(|byte| *byte == b'=').ok_or(Fault::InputParameters)?;
            let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
            match name {
                b"created" => once(&mut created, integer(value)?)?,
                b"expires" => once(&mut expires, integer(value)?)?,
                b"nonce" => once(&mut nonce, parse_nonce(string(value)?)?)?,
                b"keyid" => once(&mut key_id, parse_key_id(string(value)?)?)?,
                b"alg" => once(&mut algorithm, parse_algorithm(string(value)?)?)?,
                b"tag" if string(value)? == TAG.as_bytes() => once(&mut tag, ())?,
                _ => return Err(Fault::InputParameters),
            }
        }
        match (created, expires, nonce, key_id, algorithm, tag) {
            (Some(created), Some(expires), Some(nonce), Some(key_id), Some(algorithm), Some(())) => {
                Ok(Self { created, expires, nonce, key_id, algorithm })
            }
            _ => Err(Fault::InputParameters),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Fault> {
    if slot.replace(value).is_some() { Err(Fault::InputParameters) } else { Ok(()) }
}

/// A positive integer in its one spelling, at most the last second that can be told in nanoseconds.
fn integer(text: &[u8]) -> Result<u64, Fault> {
    let digits = (1..=11).contains(&text.len()) && text[0] != b'0' && text.iter().all(u8::is_ascii_digit);
    if !digits {
        return Err(Fault::InputParameters);
    }
    let value = text.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    if value <= u64::MAX / 1_000_000_000 { Ok(value) } else { Err(Fault::InputParameters) }
}

/// The content of a string. No accepted content needs an escape, so a backslash or a quotation mark inside ends in
/// a refusal where the content is looked at.
fn string(text: &[u8]) -> Result<&[u8], Fault> {
    text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).ok_or(Fault::InputParameters)
}

fn parse_nonce(text: &[u8]) -> Result<[u8; 16], Fault> {
    if text.len() != NONCE_TEXT_BYTES {
        return Err(Fault::Nonce);
    }
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    decoded.and_then(|bytes| bytes.try_into().ok()).ok_or(Fault::Nonce)
}

fn parse_key_id(text: &[u8]) -> Result<&str, Fault> {
    let byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(byte);
    if text.is_empty() || text.len() > KEY_ID_BYTES_MAX || !text.iter().all(byte) {
        return Err(Fault::InputParameters);
    }
    std::str::from_utf8(text).map_err(|_| Fault::InputParameters)
}

fn parse_algorithm(text: &[u8]) -> Result<Algorithm, Fault> {
    let found = Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str().as_bytes() == text);
    found.ok_or(Fault::InputParameters)
}

/// Parses `Signature`, which must be as long as `algorithm` makes it. Returns the bytes and how many there are.
///
/// # Errors
/// [`Fault::SignatureShape`].
pub fn parse_signature(value: &[u8], algorithm: Algorithm) -> Result<Vec<u8>, Fault> {
    if value.len() > SIGNATURE_BYTES_MAX {
        return Err(Fault::SignatureShape);
    }
    let text = value.strip_prefix(LABEL.as_bytes()).and_then(|rest| rest.strip_prefix(b"=:"));
    let text = text.and_then(|rest| rest.strip_suffix(b":")).ok_or(Fault::SignatureShape)?;
    let bytes = STANDARD.decode(text).map_err(|_| Fault::SignatureShape)?;
    if bytes.len() == algorithm.signature_bytes() { Ok(bytes) } else { Err(Fault::SignatureShape) }
}

/// Parses `Content-Digest` (RFC 9530): exactly one SHA-256.
///
/// # Errors
/// [`Fault::ContentDigestShape`].
pub fn parse_content_digest(value: &[u8]) -> Result<[u8; 32], Fault> {
    if value.len() != DIGEST_BYTES {
        return Err(Fault::ContentDigestShape);
    }
    let text = value.strip_prefix(b"sha-256=:").and_then(|rest| rest.strip_suffix(b":"));
    let decoded = text.and_then(|text| STANDARD.decode(text).ok());
    decoded.and_then(|bytes| bytes.try_into().ok()).ok_or(Fault::ContentDigestShape)
}

/// The value of `Content-Digest` for a body with this SHA-256.
#[must_use]
pub fn content_digest_text(sha256: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256))
}

#[cfg(test)]
mod tests;
