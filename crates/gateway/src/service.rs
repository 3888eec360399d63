//! One request on its way through: cheap checks first, the exchange last.
//!
//! Order: source limit, method, path, head, route; then, for private routes, credentials, body, signature, account
//! limit, replay; then, for withdrawals, the decision; then the exchange. The first check that fails is the answer.
//! The request target and the body are verified and forwarded as the bytes they are.

use std::{convert::Infallible, net::IpAddr, num::NonZeroU32, sync::Arc};

use auth::{Authenticator, Endpoint, Refusal, RequestHead, Verification, Verified};
use bytes::Bytes;
use domain::{Clock, UnixNanos};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, Version, header, request::Parts};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    answer::{DECISION, Payload, Refused, Tracked},
    body,
    config::Timeouts,
    connection::{Activity, Source},
    json,
    limits::Limiters,
    metrics::Metrics,
    ports::{Observer, Withdrawals},
    route::{Class, Handling, Route, RouteTable},
    strict::{self, Scan, Violation},
    upstream::{SendError, Upstream},
    withdrawal,
};

/// Whose request it is, in the gateway's word to the exchange.
const ACCOUNT: HeaderName = HeaderName::from_static("x-caponier-account");
const API_KEY: HeaderName = HeaderName::from_static("x-caponier-key");
const UPSTREAM_TOKEN: HeaderName = HeaderName::from_static("x-caponier-upstream-token");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limiters: Limiters,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) passphrase_checks: Arc<Semaphore>,
    pub(crate) routes: RouteTable,
    pub(crate) timeouts: Timeouts,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) withdrawals: Arc<dyn Withdrawals>,
}

/// What the requests of one connection share.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) ip: IpAddr,
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) source: Source,
    pub(crate) activity: Arc<Activity>,
}

/// A request whose sender is proven, with what the exchange is told about it.
#[derive(Debug, Default)]
struct Passage {
    identity: Option<Verified>,
    decision: Option<String>,
}

impl Shared {
    /// Answers a request, always.
    pub(crate) async fn serve(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Tracked>, Infallible> {
        let in_flight = peer.activity.begin();
        self.metrics.request();
        let now = self.clock.now();
        let response = match self.pass(&peer, request, now).await {
            Ok(response) => response,
            Err(refused) => {
                self.metrics.refusal(refused.label);
                self.observer.refused(peer.ip, refused.account.as_ref(), refused.label, now);
                refused.into_response()
            }
        };
        Ok(response.map(|payload| Tracked::new(payload, in_flight)))
    }

    async fn pass(
        &self,
        peer: &Peer,
        request: Request<Incoming>,
        now: UnixNanos,
    ) -> Result<Response<Payload>, Refused> {
        self.limiters.source(peer.source, now)?;
        let (mut parts, mut incoming) = request.into_parts();
        if parts.method != Method::GET && parts.method != Method::POST {
            return Err(Refusal::MethodInvalid.into());
        }
        if !strict::is_canonical(parts.uri.path()) {
            return Err(Violation::PathNotCanonical.into());
        }
        let Scan { credentials, mut strip } = strict::scan(&parts)?;
        let route = match self.routes.find(&parts.method, parts.uri.path()) {
            Some(route) if route.handling != Handling::Unavailable => route,
            _ => return Err(Refusal::EndpointUnavailable.into()),
        };
        let endpoint = endpoint(route.class);
        // What the signature covers; an absolute target is signed and forwarded as its path.
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes();
        let head = RequestHead {
            method: parts.method.as_str().as_bytes(),
            target,
            api_key: credentials.key,
            sign: credentials.sign,
            timestamp: credentials.timestamp,
            passphrase: credentials.passphrase,
            simulated: credentials.simulated,
        };
        let body = self.read_body(&parts, &mut incoming, route, || match endpoint {
            // Whatever fails before the signature fails before a byte of the body is awaited.
            Some(endpoint) => match self.authenticator.verify(&head, b"", peer.ip, endpoint, now) {
                Err(refusal) if refusal != Refusal::SignatureInvalid => Err(refusal.into()),
                _ => Ok(()),
            },
            None => Ok(()),
        });
        let body = body.await?;
        let mut passage = Passage::default();
        if let Some(endpoint) = endpoint {
            let verified = self.verify(&head, &body, peer, endpoint, now).await?;
            let cost = cost(route, &body).map_err(|refused| refused.of(verified.account()))?;
            self.limiters.key(verified.key_id(), verified.account(), now)?;
            self.limiters.account(verified.account(), route.budget, cost, now)?;
            let repeatable = parts.method == Method::GET;
            self.authenticator
                .admit_once(&verified, repeatable, now)
                .map_err(|refusal| Refused::from(refusal).of(verified.account()))?;
            if verified.use_to_record().is_some() {
                self.observer.key_used(verified.key_id(), now);
            }
            if route.handling == Handling::Decide {
                passage.decision = Some(self.decide(&body, &verified, peer, now).await?);
            }
            passage.identity = Some(verified);
        } else {
            // Nobody checked them, so nobody behind may believe them.
            strip
                .extend(parts.headers.keys().filter(|name| name.as_str().starts_with("ok-access-")).cloned());
        }
        strict::remove(&mut parts.headers, &strip);
        self.forward(parts, body, peer, passage).await
    }

    async fn read_body(
        &self,
        parts: &Parts,
        incoming: &mut Incoming,
        route: &Route,
        before: impl FnOnce() -> Result<(), Refused>,
    ) -> Result<Bytes, Refused> {
        if parts.method == Method::GET {
            return if incoming.is_end_stream() {
                Ok(Bytes::new())
            } else {
                Err(Violation::BodyOnGet.into())
            };
        }
        if parts.uri.query().is_some() {
            return Err(Violation::QueryWithBody.into());
        }
        before()?;
        let body =
            body::read(incoming, route.body_bytes_max, self.timeouts.body).await.map_err(|unreadable| {
                let refusal = match unreadable {
                    body::Unreadable::Broken => Refusal::JsonInvalid,
                    body::Unreadable::TooLarge => Refusal::ParameterInvalid { parameter: "body".to_owned() },
                    body::Unreadable::TooSlow => Refusal::UpstreamTimeout,
                };
                Refused::from(refusal).labelled(unreadable.label())
            })?;
        match body.first() {
            None => Err(Refusal::BodyEmpty.into()),
            Some(b'{' | b'[') => Ok(body),
            Some(_) => Err(Violation::BodyNotJson.into()),
        }
    }

    async fn verify(
        &self,
        head: &RequestHead<'_>,
        body: &[u8],
        peer: &Peer,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verified, Refused> {
        let check = match self.authenticator.verify(head, body, peer.ip, endpoint, now)? {
            Verification::Verified(verified) => return Ok(verified),
            Verification::CheckPassphrase(check) => check,
        };
        let permit = timeout(self.timeouts.passphrase, Arc::clone(&self.passphrase_checks).acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(Refusal::SystemBusy)
            .map_err(|refusal| Refused::from(refusal).labelled("passphrase_checks_busy"))?;
        // Another request of the same key may have passed the check while this one waited.
        match self.authenticator.verify(head, body, peer.ip, endpoint, now)? {
            Verification::Verified(verified) => return Ok(verified),
            Verification::CheckPassphrase(_) => {}
        }
        let checked = tokio::task::spawn_blocking(move || {
            let checked = check.run();
            drop(permit);
            checked
        });
        checked.await.map_err(|_| Refusal::SystemError)??;
        match self.authenticator.verify(head, body, peer.ip, endpoint, now)? {
            Verification::Verified(verified) => Ok(verified),
            // Only if the key was replaced in between; the client may come again.
            Verification::CheckPassphrase(_) => Err(Refusal::SystemBusy.into()),
        }
    }

    /// Asks for the decision about a withdrawal; gives its id if the withdrawal may go ahead.
    async fn decide(
        &self,
        body: &[u8],
        verified: &Verified,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<String, Refused> {
        let account = verified.account();
        let origin = withdrawal::Origin { account, api_key: verified.key_id(), ip: peer.ip, at: now };
        let request =
            withdrawal::parse(body, origin).map_err(|refusal| Refused::from(refusal).of(account))?;
        let decided = timeout(self.timeouts.decision, self.withdrawals.decide(request)).await;
        let unavailable = |reason: &str| {
            tracing::error!(reason, "withdrawal refused: no decision");
            Refused::from(Refusal::ServiceUnavailable).labelled("decision_unavailable").of(account)
        };
        let answer = match decided {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unavailable(&error.reason)),
            Err(_) => return Err(unavailable("no answer in time")),
        };
        match withdrawal::refusal(&answer) {
            None => Ok(answer.id),
            Some(refusal) => Err(Refused { decision: Some(answer.id), ..Refused::from(refusal) }.of(account)),
        }
    }

    async fn forward(
        &self,
        mut parts: Parts,
        body: Bytes,
        peer: &Peer,
        passage: Passage,
    ) -> Result<Response<Payload>, Refused> {
        let is_get = parts.method == Method::GET;
        let account = passage.identity.as_ref().map(|identity| identity.account().clone());
        if let Some(target) = parts.uri.path_and_query().cloned()
            && parts.uri.authority().is_some()
        {
            parts.uri = Uri::from(target);
        }
        parts.version = Version::HTTP_11;
        let headers = &mut parts.headers;
        headers.insert(header::HOST, self.upstream.host.clone());
        headers.insert(FORWARDED_FOR, peer.forwarded_for.clone());
        if let Some(token) = &self.upstream.token {
            headers.insert(UPSTREAM_TOKEN, token.clone());
        }
        if let Some(identity) = &passage.identity {
            headers.insert(ACCOUNT, value(identity.account().as_str())?);
            headers.insert(API_KEY, value(identity.key_id().as_str())?);
        }
        let decision = passage.decision.as_deref().map(value).transpose()?;
        if let Some(decision) = &decision {
            headers.insert(DECISION, decision.clone());
        }
        let request = Request::from_parts(parts, Full::new(body));
        match self.upstream.send(request).await {
            Ok(response) => {
                self.metrics.forwarded();
                let mut response = response.map(Payload::Upstream);
                *response.version_mut() = Version::HTTP_11;
                strict::clean_answer(response.headers_mut());
                if let Some(decision) = decision {
                    response.headers_mut().insert(DECISION, decision);
                }
                Ok(response)
            }
            Err(error) => {
                let mut refused = unanswered(&error, is_get);
                tracing::debug!(error = &error as &dyn std::error::Error, "no answer from the upstream");
                refused.account = account;
                refused.decision = passage.decision;
                Err(refused)
            }
        }
    }
}

impl From<Violation> for Refused {
    fn from(violation: Violation) -> Self {
        Self::from(violation.refusal()).labelled(violation.label())
    }
}

/// What the key must be allowed, or `None` where no key is needed.
fn endpoint(class: Class) -> Option<Endpoint> {
    match class {
        Class::Public => None,
        Class::Read => Some(Endpoint::READ),
        Class::Trade => Some(Endpoint::TRADE),
        // Key management is never forwarded; should a table say otherwise, it takes the highest permission.
        Class::Withdraw | Class::KeyManagement => Some(Endpoint::WITHDRAW),
    }
}

/// What a request costs: 1, or as many as the orders it carries.
fn cost(route: &Route, body: &[u8]) -> Result<u32, Refused> {
    if !route.cost_is_array_length {
        return Ok(1);
    }
    let orders = json::element_count(body).map_err(|_| Refusal::JsonInvalid)?;
    let orders = u32::try_from(orders).ok().and_then(NonZeroU32::new).map_or(1, NonZeroU32::get);
    Ok(orders)
}

fn value(text: &str) -> Result<HeaderValue, Refused> {
    HeaderValue::from_str(text).map_err(|_| Refusal::SystemError.into())
}

/// What the client hears when the exchange gave no answer. Once a request that changes something may have arrived,
/// its outcome is unknown, and the text says so.
fn unanswered(error: &SendError, is_get: bool) -> Refused {
    match error {
        SendError::Busy => Refused::from(Refusal::SystemBusy).labelled("upstream_busy"),
        SendError::Connect(_) => Refused::from(Refusal::ServiceUnavailable).labelled("upstream_down"),
        SendError::Timeout => Refused::from(Refusal::UpstreamTimeout).labelled("upstream_timeout"),
        SendError::Lost(_) | SendError::Protocol { .. } if is_get => {
            Refused::from(Refusal::ServiceUnavailable).labelled("upstream_lost")
        }
        SendError::Lost(_) | SendError::Protocol { .. } => {
            Refused::from(Refusal::UpstreamTimeout).labelled("upstream_lost")
        }
    }
}
