//! Third-party apps: the endpoints of the authorization server, and requests with an access token.
//!
//! The endpoints are answered here and never reach the exchange, in the words of RFC 6749 section 5.2 and not in those of
//! OKX: apps use the libraries of OAuth. They are open to anybody within the limits per source. No answer may be cached
//! but the metadata, and none may be read by a page of another origin: there are no CORS fields. What the server changes
//! is on record before it is answered.
//!
//! Not here: what the answers are ([`auth::oauth`]); where customers consent, which is a page of the exchange.

use std::sync::Arc;

use auth::{
    Endpoint, Refusal, Verified,
    oauth::{
        AUTHORIZE_PATH, AppChange, AppRequest, AuthorizeFailure, FORM_BYTES_MAX, METADATA_PATH, OauthError,
        REVOKE_PATH, TOKEN_PATH,
    },
};
use domain::UnixNanos;
use tokio::time::timeout;

use super::{Body, Own, Routed, Shared};
use crate::{answer::Refused, config::Apps, http1::head::View, peer::Peer};

const JSON: &str = "application/json";
const NO_STORE: &str = "no-store";

/// An error of the authorization server, for the counters.
#[derive(Debug, Clone, Copy)]
struct Failure(OauthError);

impl Failure {
    const fn label(self) -> &'static str {
        match self.0 {
            OauthError::ClientUnknown => "oauth_client_unknown",
            OauthError::GrantInvalid => "oauth_grant_invalid",
            OauthError::ProofInvalid(_) | OauthError::ProofMissing => "oauth_proof_invalid",
            OauthError::ProofRepeated => "oauth_proof_repeated",
            OauthError::TooBusy => "oauth_busy",
            _ => "oauth_request_invalid",
        }
    }
}

impl Own {
    fn json(status: u16, body: String) -> Self {
        Self { status, body: body.into(), content_type: JSON, cache: NO_STORE, extra: None }
    }

    fn redirect(to: String) -> Self {
        Self { extra: Some(("location", to)), ..Self::json(302, String::new()) }
    }
}

impl Shared {
    /// What is asked of the authorization server; `None` for any other path, or where there is none. A head that two
    /// servers could read differently is refused as anywhere else.
    pub(super) async fn oauth<B: Body>(
        &self,
        view: &View<'_>,
        body: &mut B,
        peer: &Peer,
        now: UnixNanos,
    ) -> Option<Own> {
        let apps = self.apps.as_ref().filter(|_| view.head.fault.is_none())?;
        let method = match view.path() {
            AUTHORIZE_PATH | METADATA_PATH => "GET",
            REVOKE_PATH | TOKEN_PATH => "POST",
            _ => return None,
        };
        if view.method() != method.as_bytes() {
            let failed = self.failed(peer, OauthError::Parameter { name: "method" });
            return Some(Own { status: 405, extra: Some(("allow", method.to_owned())), ..failed });
        }
        Some(match view.path() {
            METADATA_PATH => Own { cache: "max-age=3600", ..Own::json(200, apps.server.metadata()) },
            AUTHORIZE_PATH => self.authorize(apps, view, peer, now),
            path => match self.read_form(view, body).await {
                Err(error) => self.failed(peer, error),
                Ok(()) if path == TOKEN_PATH => self.token(apps, view, body.bytes(), peer, now).await,
                Ok(()) => self.revoke(apps, body.bytes(), peer, now).await,
            },
        })
    }

    fn authorize(&self, apps: &Apps, view: &View<'_>, peer: &Peer, now: UnixNanos) -> Own {
        let query = view.query().unwrap_or_default();
        match apps.server.authorize(query.as_bytes(), crypto::random::array(), now) {
            Ok(to) => Own::redirect(to),
            Err(AuthorizeFailure::Redirect(to)) => {
                self.note_abuse(peer, Failure(OauthError::Parameter { name: "query" }).label());
                Own::redirect(to)
            }
            // For people: where to send the browser is not known. No text in it comes from the request.
            Err(AuthorizeFailure::Page(error)) => {
                let body = format!("This request of an app for access cannot be answered: {error}.\n");
                Own {
                    body: body.into(),
                    content_type: "text/plain; charset=utf-8",
                    ..self.failed(peer, error)
                }
            }
        }
    }

    async fn token(&self, apps: &Apps, view: &View<'_>, form: &[u8], peer: &Peer, now: UnixNanos) -> Own {
        let outcome = apps.server.token(form, view.proof(), now);
        if record(apps, outcome.change, self.timeouts.decision).await.is_err() {
            return self.failed(peer, OauthError::TooBusy);
        }
        match outcome.answer {
            Ok(tokens) => Own::json(200, tokens),
            Err(error) => self.failed(peer, error),
        }
    }

    async fn revoke(&self, apps: &Apps, form: &[u8], peer: &Peer, now: UnixNanos) -> Own {
        let outcome = apps.server.revoke(form, now);
        if record(apps, outcome.change, self.timeouts.decision).await.is_err() {
            return self.failed(peer, OauthError::TooBusy);
        }
        match outcome.answer {
            Ok(()) => Own::json(200, String::new()),
            Err(error) => self.failed(peer, error),
        }
    }

    async fn read_form<B: Body>(&self, view: &View<'_>, body: &mut B) -> Result<(), OauthError> {
        // Parameters in the address would stand in logs; another type was refused with the head.
        if view.has_query() || view.field(b"content-type").is_none() {
            return Err(OauthError::FormMalformed);
        }
        body.read(FORM_BYTES_MAX, self.timeouts.body).await.map_err(|_| OauthError::FormMalformed)
    }

    fn failed(&self, peer: &Peer, error: OauthError) -> Own {
        self.note_abuse(peer, Failure(error).label());
        let busy = error.http_status() == 503;
        let extra = busy.then(|| ("retry-after", "1".to_owned()));
        Own { extra, ..Own::json(error.http_status(), error.body()) }
    }

    /// Proves the app that sends a request, and for whom.
    pub(super) fn claim_app(
        &self,
        routed: &Routed<'_>,
        authorization: &[u8],
        peer: &Peer,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verified, Refused> {
        let view = routed.view;
        let credentials = view.credentials();
        let others = [credentials.key, credentials.sign, credentials.timestamp, credentials.passphrase];
        if view.head.is_signed || others.iter().any(Option::is_some) {
            return Err(Refusal::AuthorizationInvalid.into());
        }
        let Some(apps) = &self.apps else { return Err(Refusal::TokenInvalid.into()) };
        let request = AppRequest {
            method: view.method(),
            path: view.path().as_bytes(),
            authorization,
            proof: view.proof(),
            simulated: credentials.simulated,
        };
        let verified = apps.server.verify(&request, peer.ip, endpoint, now)?;
        self.check_key(peer.ip, Some(verified.key_id().as_str()), routed.route.criticality, now)?;
        Ok(verified)
    }
}

/// Puts a change on record, also where the client goes away meanwhile: a stolen token must not be kept alive by hanging up.
async fn record(apps: &Apps, change: Option<AppChange>, patience: std::time::Duration) -> Result<(), ()> {
    let Some(change) = change else { return Ok(()) };
    let changes = Arc::clone(&apps.changes);
    let what = change.as_str();
    let recording = tokio::spawn(async move { changes.record(change).await });
    let reason = match timeout(patience, recording).await {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) => error.reason,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    tracing::error!(what, reason, "a change of a grant was not recorded");
    Err(())
}
