//! The authorization server: what stands behind `/oauth2/*`, and the check of a request with an access token.

use std::{fmt, net::IpAddr, sync::Arc, sync::atomic::Ordering, time::Duration};

use crypto::{MacKey, Secret, ct_eq, sha256};
use domain::{AccountId, UnixNanos};
use parking_lot::Mutex;

use super::{
    app::{App, covers, parse_scope, scope_text},
    dpop::DpopProof,
    error::OauthError,
    ledger::{Grant, Ledger},
    metadata::{TOKEN_PATH, document},
    pending::{Attempt, CODE_LIFE, Consented, HANDLE_LIFE, Pending, Request, STATE_BYTES_MAX},
    record::{AppChange, NewGrant},
    text::{Form, array_from_base64url, base64url, with_query},
    token::{ACCESS_LIFE, AccessToken, GrantNumber, RefreshToken},
};
use crate::{
    authenticator::{Endpoint, Proof, Verified, check_rights, check_standing, environment},
    authority::Restrictions,
    ip::IpAllowList,
    key::{Environment, Permissions},
    refusal::Refusal,
    replay::ReplayWindow,
};

/// How long a grant lasts at most.
pub const GRANT_LIFE_MAX: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Length of a code verifier, in bytes (RFC 7636 section 4.1).
const VERIFIER_BYTES: std::ops::RangeInclusive<usize> = 43..=128;

/// A setting that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OauthConfigError {
    /// The consent page is no https address.
    #[error("consent page is not an https address without fragment")]
    ConsentPage,
    /// The issuer is no https origin.
    #[error("issuer is not an https origin without path")]
    Issuer,
}

/// Where the server is reached and where customers consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthConfig {
    issuer: String,
    consent_page: String,
}

impl OauthConfig {
    /// `issuer` is the origin of the API as clients know it, `https://api.example.com`; `consent_page` is the page of the
    /// exchange where a customer who is signed in consents.
    ///
    /// # Errors
    /// [`OauthConfigError`].
    pub fn new(issuer: &str, consent_page: &str) -> Result<Self, OauthConfigError> {
        let plain = |text: &str| {
            let byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]=&%".contains(&byte);
            text.starts_with("https://") && text.len() > 8 && text.len() <= 256 && text.bytes().all(byte)
        };
        if !plain(issuer) || issuer[8..].contains(['/', '?', '=', '&', '%']) || issuer.ends_with(':') {
            return Err(OauthConfigError::Issuer);
        }
        if !plain(consent_page) || !consent_page[8..].contains('/') {
            return Err(OauthConfigError::ConsentPage);
        }
        Ok(Self { issuer: issuer.to_owned(), consent_page: consent_page.to_owned() })
    }

    /// The origin clients know.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }
}

/// What an authorization request comes to that cannot be shown to the customer for consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthorizeFailure {
    /// Show an error page: where to send the browser is not known for sure.
    Page(OauthError),
    /// Send the browser back to the app with the error.
    Redirect(String),
}

/// What a customer is asked.
#[derive(Debug, Clone)]
pub struct ConsentView {
    /// Who asks.
    pub app: Arc<App>,
    /// For what.
    pub scopes: Permissions,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// Until when the customer may answer.
    pub expires_at: UnixNanos,
}

/// What a customer grants, as the exchange says after it has made sure who the customer is.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The customer.
    pub account: AccountId,
    /// All of what was asked for, or less.
    pub scopes: Permissions,
    /// What the app may do at most.
    pub restrictions: Restrictions,
    /// From where; empty for anywhere.
    pub ip_allow: IpAllowList,
    /// Where the grant is good.
    pub environment: Environment,
    /// For how long; at most [`GRANT_LIFE_MAX`].
    pub life: Duration,
}

/// Why the exchange's answer to a consent is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// The handle was answered before.
    #[error("authorization request was answered already")]
    Answered,
    /// A bounded table is full.
    #[error("too many consents at present")]
    Busy,
    /// The handle is none of ours, has run out, or its app was disabled.
    #[error("authorization request is unknown or has expired")]
    HandleUnknown,
    /// Zero, or longer than allowed.
    #[error("life of the grant is zero or longer than 90 days")]
    Life,
    /// More than was asked for.
    #[error("scopes are more than the app asked for")]
    ScopesExceedRequest,
    /// The customer has too many grants.
    #[error("customer has too many grants")]
    TooManyGrants,
}

/// What is to be answered, and what must be on record before.
#[derive(Debug)]
#[must_use = "a change must be journalled and applied before the answer is sent"]
pub struct Outcome<T> {
    /// To be journalled and applied first. If that fails, answer [`OauthError::TooBusy`] instead.
    pub change: Option<AppChange>,
    /// The answer: the JSON body of a success, or an error.
    pub answer: Result<T, OauthError>,
}

impl<T> Outcome<T> {
    const fn refused(error: OauthError) -> Self {
        Self { change: None, answer: Err(error) }
    }
}

/// What a request of an app says about itself, as raw bytes of the wire.
#[derive(Clone, Copy)]
pub struct AppRequest<'a> {
    /// The method as sent.
    pub method: &'a [u8],
    /// The path as sent, without query.
    pub path: &'a [u8],
    /// `Authorization`.
    pub authorization: &'a [u8],
    /// `DPoP`; one that is repeated is the caller's to refuse.
    pub proof: Option<&'a [u8]>,
    /// `x-simulated-trading`.
    pub simulated: Option<&'a [u8]>,
}

impl fmt::Debug for AppRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppRequest")
            .field("method", &self.method.escape_ascii().to_string())
            .field("path", &self.path.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

/// The authorization server.
pub struct OauthServer {
    config: OauthConfig,
    ledger: Arc<Ledger>,
    mac: MacKey,
    pending: Mutex<Pending>,
    /// Proofs seen at the token endpoint.
    replay: ReplayWindow,
}

impl OauthServer {
    /// `token_key` makes and checks tokens: it must be the same after a restart, or all refresh tokens are void.
    /// `replay` remembers the proofs of the token endpoint.
    #[must_use]
    pub fn new(
        config: OauthConfig,
        ledger: Arc<Ledger>,
        token_key: &Secret<[u8; 32]>,
        replay: ReplayWindow,
    ) -> Self {
        let mac = MacKey::new(token_key.expose());
        Self { config, ledger, mac, pending: Mutex::default(), replay }
    }

    /// The apps and grants.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The metadata document (RFC 8414), JSON.
    #[must_use]
    pub fn metadata(&self) -> String {
        document(&self.config.issuer)
    }

    /// `GET /oauth2/authorize`: where to send the browser for consent. `query` is the raw query, `nonce` random.
    ///
    /// Demanded: `response_type=code`, `client_id`, `redirect_uri` as registered, `scope`, `state`, and
    /// `code_challenge` with `code_challenge_method=S256`; `dpop_jkt` is obeyed where it is there. Other parameters
    /// are ignored (RFC 6749 section 3.1).
    ///
    /// # Errors
    /// [`AuthorizeFailure`]. Nothing is sent to an address that is not registered.
    pub fn authorize(
        &self,
        query: &[u8],
        nonce: [u8; 16],
        now: UnixNanos,
    ) -> Result<String, AuthorizeFailure> {
        let page = AuthorizeFailure::Page;
        let form = Form::parse(query).map_err(|_| page(OauthError::FormMalformed))?;
        let app = form.value("client_id").and_then(|id| self.ledger.app(id)).filter(|app| app.is_enabled());
        let app = app.ok_or(page(OauthError::ClientUnknown))?;
        let redirect_uri = form.value("redirect_uri").filter(|uri| app.has_redirect(uri));
        let redirect_uri = redirect_uri.ok_or(page(OauthError::RedirectUnknown))?;
        let state = form.value("state").filter(|state| state.len() <= STATE_BYTES_MAX);
        let request = self.request(&app, &form, redirect_uri, state, nonce, now).map_err(|error| {
            AuthorizeFailure::Redirect(self.failed(redirect_uri, state.unwrap_or_default(), error))
        })?;
        Ok(with_query(&self.config.consent_page, &[("request", &request.handle(&self.mac))]))
    }

    fn request(
        &self,
        app: &App,
        form: &Form<'_>,
        redirect_uri: &str,
        state: Option<&str>,
        nonce: [u8; 16],
        now: UnixNanos,
    ) -> Result<Request, OauthError> {
        let missing = |name| OauthError::Parameter { name };
        let state = state.ok_or(missing("state"))?;
        match form.value("response_type") {
            Some("code") => {}
            Some(_) => return Err(OauthError::ResponseTypeUnsupported),
            None => return Err(missing("response_type")),
        }
        if form.value("code_challenge_method") != Some("S256") {
            return Err(missing("code_challenge_method"));
        }
        let challenge = form.value("code_challenge").and_then(array_from_base64url);
        let scopes = form.value("scope").ok_or(missing("scope"))?;
        let scopes = parse_scope(scopes).filter(|scopes| covers(app.scopes(), *scopes));
        let thumbprint = match form.value("dpop_jkt") {
            None => None,
            Some(text) => Some(array_from_base64url(text).ok_or(missing("dpop_jkt"))?),
        };
        Ok(Request {
            client_id: app.client_id().to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            scopes: scopes.ok_or(OauthError::ScopeInvalid)?,
            state: state.to_owned(),
            challenge: challenge.ok_or(missing("code_challenge"))?,
            thumbprint,
            expires_at: now.plus(HANDLE_LIFE),
            nonce,
        })
    }

    fn failed(&self, redirect_uri: &str, state: &str, error: OauthError) -> String {
        let mut parameters = vec![("error", error.code())];
        if !state.is_empty() {
            parameters.push(("state", state));
        }
        parameters.push(("iss", &self.config.issuer));
        with_query(redirect_uri, &parameters)
    }

    /// What the consent page shows for a handle; nothing for one that cannot be answered (any more).
    #[must_use]
    pub fn consent_view(&self, handle: &str, now: UnixNanos) -> Option<ConsentView> {
        self.asked(handle, now).ok()
    }

    /// As [`OauthServer::consent_view`], with the reason.
    ///
    /// # Errors
    /// [`ConsentError::Answered`], [`ConsentError::HandleUnknown`].
    pub fn asked(&self, handle: &str, now: UnixNanos) -> Result<ConsentView, ConsentError> {
        let (request, app) = self.open(handle, now)?;
        if self.pending.lock().is_answered(&request) {
            return Err(ConsentError::Answered);
        }
        Ok(ConsentView {
            app,
            scopes: request.scopes,
            redirect_uri: request.redirect_uri,
            expires_at: request.expires_at,
        })
    }

    /// The customer consents: where to send the browser, with a code. `random` is two numbers, of code and grant.
    ///
    /// # Errors
    /// [`ConsentError`]; the handle can still be answered, but for [`ConsentError::Answered`].
    pub fn approve(
        &self,
        handle: &str,
        consent: Consent,
        random: ([u8; 32], GrantNumber),
        now: UnixNanos,
    ) -> Result<String, ConsentError> {
        let (request, app) = self.open(handle, now)?;
        if !covers(request.scopes, consent.scopes) || !covers(app.scopes(), consent.scopes) {
            return Err(ConsentError::ScopesExceedRequest);
        }
        if consent.life.is_zero() || consent.life > GRANT_LIFE_MAX {
            return Err(ConsentError::Life);
        }
        if !self.ledger.has_room(&consent.account, now) {
            return Err(ConsentError::TooManyGrants);
        }
        let (code, number) = (base64url(&random.0), random.1);
        let redirect = with_query(
            &request.redirect_uri,
            &[("code", &code), ("state", &request.state), ("iss", &self.config.issuer)],
        );
        let mut pending = self.pending.lock();
        if !pending.has_room(now) {
            return Err(ConsentError::Busy);
        }
        if !pending.answer(&request, now) {
            return Err(ConsentError::Answered);
        }
        let consented = Consented { request, consent, number, expires_at: now.plus(CODE_LIFE) };
        pending.give_code(&code, consented, now);
        Ok(redirect)
    }

    /// The customer declines: where to send the browser.
    ///
    /// # Errors
    /// [`ConsentError`].
    pub fn deny(&self, handle: &str, now: UnixNanos) -> Result<String, ConsentError> {
        let (request, _) = self.open(handle, now)?;
        let mut pending = self.pending.lock();
        if !pending.has_room(now) {
            return Err(ConsentError::Busy);
        }
        if !pending.answer(&request, now) {
            return Err(ConsentError::Answered);
        }
        Ok(self.failed(&request.redirect_uri, &request.state, OauthError::AccessDenied))
    }

    fn open(&self, handle: &str, now: UnixNanos) -> Result<(Request, Arc<App>), ConsentError> {
        let request = Request::parse(handle, &self.mac).filter(|request| now < request.expires_at);
        let request = request.ok_or(ConsentError::HandleUnknown)?;
        let app = self.ledger.app(&request.client_id).filter(|app| app.is_enabled());
        // An app registered anew after a restore from backup may have other addresses.
        let app = app.filter(|app| app.has_redirect(&request.redirect_uri));
        app.map(|app| (request, app)).ok_or(ConsentError::HandleUnknown)
    }

    /// `POST /oauth2/token`: a code or a refresh token for an access token and a refresh token. `body` is the raw form,
    /// `proof` the `DPoP` header.
    ///
    /// Order: form, type, client, proof, its first sight, then the code or token.
    pub fn token(&self, body: &[u8], proof: Option<&[u8]>, now: UnixNanos) -> Outcome<String> {
        let parsed = Form::parse(body).map_err(|_| OauthError::FormMalformed).and_then(|form| {
            let checked = self.check_token_request(&form, proof, now)?;
            Ok((form, checked))
        });
        let (form, (app, proof)) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return Outcome::refused(error),
        };
        if form.value("grant_type") == Some("refresh_token") {
            self.refresh(&form, &app, &proof, now)
        } else {
            self.redeem(&form, &app, &proof, now)
        }
    }

    fn check_token_request(
        &self,
        form: &Form<'_>,
        proof: Option<&[u8]>,
        now: UnixNanos,
    ) -> Result<(Arc<App>, DpopProof), OauthError> {
        match form.value("grant_type") {
            Some("authorization_code" | "refresh_token") => {}
            Some(_) => return Err(OauthError::GrantTypeUnsupported),
            None => return Err(OauthError::Parameter { name: "grant_type" }),
        }
        let client_id = form.value("client_id").ok_or(OauthError::Parameter { name: "client_id" })?;
        let app = self.ledger.app(client_id).filter(|app| app.is_enabled());
        let app = app.ok_or(OauthError::ClientUnknown)?;
        let proof =
            DpopProof::parse(proof.ok_or(OauthError::ProofMissing)?).map_err(OauthError::ProofInvalid)?;
        let target = [&*self.config.issuer, TOKEN_PATH];
        proof.check(b"POST", &target, None, now).map_err(OauthError::ProofInvalid)?;
        match self.replay.admit(proof.tag(), proof.issued_at(), now) {
            Ok(()) => Ok((app, proof)),
            Err(crate::replay::ReplayError::Full) => Err(OauthError::TooBusy),
            Err(_) => Err(OauthError::ProofRepeated),
        }
    }

    fn redeem(&self, form: &Form<'_>, app: &App, proof: &DpopProof, now: UnixNanos) -> Outcome<String> {
        let Some(code) = form.value("code") else {
            return Outcome::refused(OauthError::Parameter { name: "code" });
        };
        let consented = match self.pending.lock().attempt(code, now) {
            Attempt::Fresh(consented) => consented,
            Attempt::Repeated(grant) => return stolen(grant, now),
            Attempt::Unknown => return Outcome::refused(OauthError::GrantInvalid),
        };
        let request = &consented.request;
        let verifier = form.value("code_verifier").unwrap_or_default();
        let good = request.client_id == app.client_id()
            && form.value("redirect_uri") == Some(&request.redirect_uri)
            && is_challenge_of(&request.challenge, verifier)
            && request.thumbprint.is_none_or(|thumbprint| ct_eq(&thumbprint, proof.thumbprint()));
        if !good {
            return Outcome::refused(OauthError::GrantInvalid);
        }
        if !self.ledger.has_room(&consented.consent.account, now) {
            return Outcome::refused(OauthError::TooBusy);
        }
        let number = consented.number;
        let Consent { account, scopes, restrictions, ip_allow, environment, life } = consented.consent;
        let expires_at = now.plus(life);
        let new = NewGrant {
            grant: number,
            at: now,
            client_id: app.client_id().to_owned(),
            account,
            scopes,
            ip_allow,
            environment,
            key: *proof.key(),
            restrictions,
            expires_at,
        };
        let answer = self.tokens(number, 0, scopes, proof.thumbprint(), expires_at, now);
        Outcome { change: Some(AppChange::Granted(Box::new(new))), answer: Ok(answer) }
    }

    fn refresh(&self, form: &Form<'_>, app: &App, proof: &DpopProof, now: UnixNanos) -> Outcome<String> {
        let refused = || Outcome::refused(OauthError::GrantInvalid);
        let Some(text) = form.value("refresh_token") else {
            return Outcome::refused(OauthError::Parameter { name: "refresh_token" });
        };
        let Some(token) = RefreshToken::parse(text.as_bytes(), &self.mac) else { return refused() };
        let Some(grant) = self.ledger.find(&token.grant) else { return refused() };
        // A token without the key of the app is worth nothing, so somebody who found an old one cannot end the grant.
        let holder = grant.app.client_id() == app.client_id() && ct_eq(&grant.thumbprint, proof.thumbprint());
        if !holder || !grant.is_in_force(now) {
            return refused();
        }
        let granted = grant.entry.key.permissions();
        let scopes = match form.value("scope") {
            None => granted,
            Some(text) => match parse_scope(text).filter(|scopes| covers(granted, *scopes)) {
                Some(scopes) => scopes,
                None => return Outcome::refused(OauthError::ScopeInvalid),
            },
        };
        let generation = token.generation.saturating_add(1);
        let claimed = grant.generation.compare_exchange(
            token.generation,
            generation,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        match claimed {
            Ok(_) => {}
            Err(current) if token.generation < current => return stolen(grant.number, now),
            // From a future that was lost with the journal's end.
            Err(_) => return refused(),
        }
        let answer = self.tokens(grant.number, generation, scopes, &grant.thumbprint, grant.expires_at, now);
        Outcome {
            change: Some(AppChange::Refreshed { grant: grant.number, at: now, generation }),
            answer: Ok(answer),
        }
    }

    fn tokens(
        &self,
        grant: GrantNumber,
        generation: u64,
        scopes: Permissions,
        thumbprint: &[u8; 32],
        ends_at: UnixNanos,
        now: UnixNanos,
    ) -> String {
        let expires_at = now.plus(ACCESS_LIFE).min(ends_at);
        let access = AccessToken { grant, expires_at, scopes, thumbprint: *thumbprint };
        let refresh = RefreshToken { grant, generation };
        format!(
            r#"{{"access_token":"{}","token_type":"DPoP","expires_in":{},"refresh_token":"{}","scope":"{}"}}"#,
            access.text(&self.mac),
            expires_at.since(now).as_secs(),
            refresh.text(&self.mac),
            scope_text(scopes),
        )
    }

    /// `POST /oauth2/revoke` (RFC 7009): ends the grant of an access or refresh token, with all its tokens. A token that
    /// is none of ours, or of another app, is answered alike: with an empty body and status 200.
    pub fn revoke(&self, body: &[u8], now: UnixNanos) -> Outcome<()> {
        let Ok(form) = Form::parse(body) else { return Outcome::refused(OauthError::FormMalformed) };
        let app = form.value("client_id").and_then(|id| self.ledger.app(id));
        let Some(app) = app else { return Outcome::refused(OauthError::ClientUnknown) };
        let Some(text) = form.value("token") else {
            return Outcome::refused(OauthError::Parameter { name: "token" });
        };
        let access = || AccessToken::parse(text.as_bytes(), &self.mac).map(|token| token.grant);
        let number = RefreshToken::parse(text.as_bytes(), &self.mac).map(|token| token.grant).or_else(access);
        let grant = number.and_then(|number| self.ledger.find(&number));
        let grant = grant.filter(|grant| grant.app.client_id() == app.client_id());
        Outcome {
            change: grant.map(|grant| AppChange::Revoked { grant: grant.number, at: now }),
            answer: Ok(()),
        }
    }

    /// Whether an `Authorization` header is meant for [`OauthServer::verify`].
    #[must_use]
    pub fn is_app_authorization(authorization: &[u8]) -> bool {
        authorization.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"DPoP "))
    }

    /// Checks a request with an access token, in this order: token ours and in time (50114), grant in force (50119),
    /// proof for this request by the key of the token (50114), client address (50110), environment (50101), scopes
    /// (50120). Only the holder of a token of ours can cause the work of a signature check.
    ///
    /// An endpoint that needs the signature of a key, as withdrawals and sessions do, is refused (50120): a proof covers
    /// neither query nor body. That the proof is seen once is checked by
    /// [`Authenticator::admit_once`](crate::Authenticator::admit_once), as for every request.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn verify(
        &self,
        request: &AppRequest<'_>,
        ip: IpAddr,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verified, Refusal> {
        if !Self::is_app_authorization(request.authorization) {
            return Err(Refusal::TokenInvalid);
        }
        let text = &request.authorization[5..];
        let token = AccessToken::parse(text, &self.mac).ok_or(Refusal::TokenInvalid)?;
        if now >= token.expires_at {
            return Err(Refusal::TokenExpired);
        }
        let grant = self.ledger.find(&token.grant).filter(|grant| grant.is_in_force(now));
        let grant: Arc<Grant> = grant.ok_or(Refusal::GrantEnded)?;
        let proof = self.check_proof(request, text, now)?;
        if !ct_eq(proof.thumbprint(), &token.thumbprint) || !ct_eq(proof.thumbprint(), &grant.thumbprint) {
            return Err(Refusal::DpopInvalid);
        }
        let entry = &grant.entry;
        check_standing(entry, ip, environment(request.simulated), now)?;
        match endpoint.permission {
            Some(permission) if !endpoint.needs_key_signature && token.scopes.contains(permission) => {}
            _ => return Err(Refusal::PermissionMissing),
        }
        check_rights(entry, endpoint)?;
        Ok(Verified::new(Arc::clone(entry), proof.issued_at(), proof.tag(), Proof::App, now))
    }

    fn check_proof(
        &self,
        request: &AppRequest<'_>,
        token: &[u8],
        now: UnixNanos,
    ) -> Result<DpopProof, Refusal> {
        let proof = DpopProof::parse(request.proof.ok_or(Refusal::DpopInvalid)?);
        let proof = proof.map_err(|_| Refusal::DpopInvalid)?;
        let path = std::str::from_utf8(request.path).map_err(|_| Refusal::DpopInvalid)?;
        let checked = proof.check(request.method, &[&self.config.issuer, path], Some(token), now);
        checked.map(|()| proof).map_err(|_| Refusal::DpopInvalid)
    }
}

impl fmt::Debug for OauthServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthServer")
            .field("config", &self.config)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

/// Something good for one use came twice: one of the two holders is a thief. The grant may not even be on record yet.
const fn stolen(grant: GrantNumber, now: UnixNanos) -> Outcome<String> {
    Outcome { change: Some(AppChange::Revoked { grant, at: now }), answer: Err(OauthError::GrantInvalid) }
}

/// Whether the verifier is one, and hashes to the challenge (RFC 7636 section 4.6).
fn is_challenge_of(challenge: &[u8; 32], verifier: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    VERIFIER_BYTES.contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && ct_eq(&sha256(&[verifier.as_bytes()]), challenge)
}

#[cfg(test)]
mod tests;
