//! Headers of every answer.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// What lets the scripts of one answer run: 144 random bits, fresh for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nonce(String);

impl Nonce {
    pub(crate) fn fresh() -> Self {
        Self(STANDARD_NO_PAD.encode(crypto::random::array::<18>()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Headers of what is the same for everybody and never changes under its name.
pub(crate) const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Puts the headers of a page on an answer.
pub(crate) fn secure(headers: &mut HeaderMap, nonce: &Nonce) {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{0}'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'; trusted-types htmx; \
         require-trusted-types-for 'script'",
        nonce.as_str()
    );
    // The alphabet of base64 and the words above are all visible ASCII.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
