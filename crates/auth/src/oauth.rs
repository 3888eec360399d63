//! OAuth 2.1 for third-party apps: a customer lets an app act for them without giving it a key.
//!
//! An engine without I/O. Authorization code with PKCE (S256 only), access tokens bound to a key of the app by proofs of
//! possession (DPoP), refresh tokens good for one use. Apps are public clients the exchange registers. An app may read
//! and trade, within the [`Restrictions`](crate::authority::Restrictions) of the grant; **it never withdraws**.
//!
//! Sources: RFC 6749, OAuth 2.1 (draft-ietf-oauth-v2-1), RFC 7009, 7636, 7638, 8414, 9207, 9449. Not here: pushed
//! authorization requests (RFC 9126), nonces by the server (RFC 9449 section 8), token introspection.
//!
//! # How a gateway calls this
//!
//! 1. `GET /oauth2/authorize`: [`OauthServer::authorize`]; redirect (302) to what it gives, or show an error page.
//! 2. `POST /oauth2/token` (form, at most [`FORM_BYTES_MAX`] bytes, one `DPoP` header): [`OauthServer::token`]. Journal
//!    and apply [`Outcome::change`] first, then answer with the body, `Content-Type: application/json` and
//!    `Cache-Control: no-store`. The answer holds secrets: it is not logged.
//! 3. `POST /oauth2/revoke`: [`OauthServer::revoke`], likewise.
//! 4. `GET /.well-known/oauth-authorization-server`: [`OauthServer::metadata`].
//! 5. A request whose `Authorization` is one by [`OauthServer::is_app_authorization`], and which has no `OK-ACCESS-*`
//!    and no `Signature` header (50114): [`OauthServer::verify`] before the body is read; then as with any [`Verified`]:
//!    limits, restrictions, [`Authenticator::admit_once`]. `Authorization` and `DPoP` are not forwarded. A refusal with
//!    status 401 carries `WWW-Authenticate: DPoP error="invalid_token", algs="ES256 EdDSA Ed25519"`
//!    ([`WWW_AUTHENTICATE`]), or `invalid_dpop_proof` ([`WWW_AUTHENTICATE_PROOF`]) for [`Refusal::DpopInvalid`].
//!
//! All four endpoints are open to anybody: they need the limits per source of the gateway.
//!
//! # How the control API calls this
//!
//! The consent page of the exchange is opened with `?request=HANDLE`. It signs the customer in, asks
//! [`OauthServer::consent_view`] what to show, and answers with [`OauthServer::approve`] or [`OauthServer::deny`], which
//! give the address to send the browser to. The page must not be framed. [`Ledger::grants_of`] lists a customer's grants;
//! [`AppChange::Revoked`] ends one, [`AppChange::Disabled`] an app with all its grants, both once applied.
//! [`AppChange`]s about grants are sealed for the customer, those about apps for the installation.
//!
//! [`Verified`]: crate::Verified
//! [`Authenticator::admit_once`]: crate::Authenticator::admit_once
//! [`Refusal::DpopInvalid`]: crate::Refusal::DpopInvalid

mod app;
pub mod dpop;
mod error;
mod json;
mod ledger;
mod metadata;
mod pending;
mod record;
mod server;
mod text;
mod token;

pub use self::{
    app::{App, AppError, parse_scope, scope_text},
    error::OauthError,
    ledger::{
        APPS_MAX, AppApplyError, GRANTS_PER_ACCOUNT_MAX, GrantSummary, Ledger, grant_key_id, grant_number,
    },
    metadata::{AUTHORIZE_PATH, METADATA_PATH, REVOKE_PATH, TOKEN_PATH},
    pending::{
        ANSWERED_MAX, CODE_LIFE, CODES_MAX, HANDLE_BYTES_MAX, HANDLE_LIFE, STATE_BYTES_MAX, USED_CODE_MEMORY,
    },
    record::{AppChange, NewGrant},
    server::{
        AppRequest, AuthorizeFailure, Consent, ConsentError, ConsentView, GRANT_LIFE_MAX, OauthConfig,
        OauthConfigError, OauthServer, Outcome,
    },
    text::{BadForm, FORM_BYTES_MAX, FORM_PARAMETERS_MAX, Form},
    token::{ACCESS_LIFE, GrantNumber, TOKEN_BYTES_MAX},
};

/// The header of a refusal of an access token with status 401 (RFC 9449 section 7.1).
pub const WWW_AUTHENTICATE: &str = r#"DPoP error="invalid_token", algs="ES256 EdDSA Ed25519""#;

/// The same where the proof of possession is at fault.
pub const WWW_AUTHENTICATE_PROOF: &str = r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA Ed25519""#;
