//! What a signed request says about itself, as raw bytes of the wire.
//!
//! Not here: HTTP. The caller gives the header fields as they stand, each as name and value; what matters here is
//! picked out in one pass.

use std::{fmt, net::IpAddr};

use super::fault::Fault;

/// The parts of a request that are not header fields. All bytes are as received: nothing decoded, folded or trimmed.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a [u8],
    /// `Host`, or `:authority` in HTTP/2.
    pub authority: &'a [u8],
    /// The target in origin form: path, and query behind a question mark.
    pub target: &'a [u8],
    /// Whether the client speaks https, also where somebody in front of the gateway ends it. Decides which port may
    /// be left out of the authority.
    pub https: bool,
    /// The client's address.
    pub ip: IpAddr,
    /// Keying material exported from the client's TLS connection (RFC 5705, RFC 9266), where sessions are bound to it.
    pub tls_exporter: Option<&'a [u8; 32]>,
}

/// The header fields that a signed request is judged by.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SignedFields<'a> {
    pub(super) signature_input: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) content_digest: Option<&'a [u8]>,
    pub(super) exptime: Option<&'a [u8]>,
    pub(super) idempotency_key: Option<&'a [u8]>,
    pub(super) simulated: Option<&'a [u8]>,
}

impl<'a> SignedFields<'a> {
    /// Picks the fields out of all header fields, names in any case. Nothing when the request carries no HTTP message
    /// signature: then it is one of the OKX scheme, or unsigned.
    ///
    /// # Errors
    /// [`Fault`] when a signature is there but is not alone, or a field that must be unique is repeated.
    pub fn collect(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Option<Self>, Fault> {
        let (mut input, mut signature, mut found) = (None, None, Self::default());
        let (mut is_okx, mut is_repeated) = (false, false);
        for (name, value) in fields {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            let slot = match name.len() {
                7 if is("exptime") => &mut found.exptime,
                9 if is("signature") => &mut signature,
                14 if is("content-digest") => &mut found.content_digest,
                15 if is("signature-input") => &mut input,
                15 if is("idempotency-key") => &mut found.idempotency_key,
                19 if is("x-simulated-trading") => &mut found.simulated,
                _ => {
                    let front = name.get(..10).unwrap_or_default();
                    is_okx |= front.eq_ignore_ascii_case(b"ok-access-");
                    continue;
                }
            };
            is_repeated |= slot.replace(value).is_some();
        }
        let (signature_input, signature) = match (input, signature) {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Err(Fault::InputMissing),
            (Some(_), None) => return Err(Fault::SignatureMissing),
            (Some(input), Some(signature)) => (input, signature),
        };
        if is_okx {
            return Err(Fault::TwoSchemes);
        }
        if is_repeated {
            return Err(Fault::FieldRepeated);
        }
        Ok(Some(Self { signature_input, signature, ..found }))
    }

    /// `Signature-Input` as sent.
    #[must_use]
    pub const fn signature_input(&self) -> &'a [u8] {
        self.signature_input
    }

    /// `Signature` as sent, to which a signed answer is bound.
    #[must_use]
    pub const fn signature(&self) -> &'a [u8] {
        self.signature
    }
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method.escape_ascii().to_string())
            .field("target", &self.target.escape_ascii().to_string())
            .field("ip", &self.ip)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SignedFields<'_> {
    /// Without the signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedFields")
            .field("signature_input", &self.signature_input.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}
