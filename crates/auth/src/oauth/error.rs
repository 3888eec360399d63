//! What an app is told when it does not get what it asked for, in the words of RFC 6749 and RFC 9449.
//!
//! Answers of the token and revocation endpoints only; requests with an access token are refused with a
//! [`Refusal`](crate::Refusal), as all requests to the trading API.

use crate::oauth::dpop::DpopError;

/// Why a request of an app fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OauthError {
    /// The customer, or the exchange for them, said no.
    #[error("access was denied")]
    AccessDenied,
    /// No such app, or one that was disabled.
    #[error("unknown client")]
    ClientUnknown,
    /// The body is not a form, or a parameter stands twice.
    #[error("malformed form")]
    FormMalformed,
    /// The code or refresh token is not good (any more), or not for this client, address, verifier or key.
    #[error("the grant is not valid")]
    GrantInvalid,
    /// A token type that is none of ours.
    #[error("unsupported grant type")]
    GrantTypeUnsupported,
    /// A parameter is absent or not of its form.
    #[error("missing or invalid {name}")]
    Parameter {
        /// Its name.
        name: &'static str,
    },
    /// The proof of possession is absent or not one for this request.
    #[error("proof of possession: {0}")]
    ProofInvalid(DpopError),
    /// There is no proof of possession.
    #[error("proof of possession is missing")]
    ProofMissing,
    /// The proof of possession was seen before.
    #[error("proof of possession was used before")]
    ProofRepeated,
    /// The redirect address is not one the app registered.
    #[error("redirect address is not registered")]
    RedirectUnknown,
    /// A response type other than `code`.
    #[error("unsupported response type")]
    ResponseTypeUnsupported,
    /// A scope that does not exist, or that the app may not have.
    #[error("scope is not allowed")]
    ScopeInvalid,
    /// A bounded table is full.
    #[error("too many requests at present")]
    TooBusy,
}

impl OauthError {
    /// The registered error code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::ClientUnknown => "invalid_client",
            Self::FormMalformed | Self::Parameter { .. } | Self::RedirectUnknown => "invalid_request",
            Self::GrantInvalid => "invalid_grant",
            Self::GrantTypeUnsupported => "unsupported_grant_type",
            Self::ProofInvalid(_) | Self::ProofMissing | Self::ProofRepeated => "invalid_dpop_proof",
            Self::ResponseTypeUnsupported => "unsupported_response_type",
            Self::ScopeInvalid => "invalid_scope",
            Self::TooBusy => "temporarily_unavailable",
        }
    }

    /// The HTTP status of an answer that is no redirect.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::ClientUnknown => 401,
            Self::TooBusy => 503,
            _ => 400,
        }
    }

    /// The JSON body. No text in it comes from the request.
    #[must_use]
    pub fn body(self) -> String {
        format!(r#"{{"error":"{}","error_description":"{self}"}}"#, self.code())
    }
}
