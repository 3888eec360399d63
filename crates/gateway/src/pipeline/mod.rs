//! One request on its way through: cheap checks first, the exchange last.
//!
//! Order: source limit, method, path, head, route; then, for private routes, credentials, body, signature, what the key
//! is restricted to, limits of key and account, replay, the key's budget; then, for withdrawals, the decision; then the
//! exchange. The first check that fails is the answer. The request target and the body are verified and forwarded as the bytes they are.
//!
//! Each step takes what the one before it made, so none can be left out: [`Routed`] (it is for an endpoint that
//! exists), `auth::Verified` (its sender is proven), [`Charged`] (within limits, and not seen before), [`Passage`]
//! (written anew for the exchange). A new check is a module of its own, called here between the two it belongs.

pub(crate) mod authority;
mod body;
mod challenge;
mod credentials;
mod events;
mod expiry;
mod forward;
pub(crate) mod json;
pub(crate) mod limits;
mod oauth;
mod observe;
pub(crate) mod orders;
pub(crate) mod overload;
mod replay;
mod reputation;
mod session;
mod signed_answer;
pub(crate) mod withdrawal;

use std::{net::IpAddr, sync::Arc};

use admission::FrameLimits;
use arc_swap::{ArcSwap, ArcSwapOption};
use auth::{
    Authenticator, Endpoint, Proof, Refusal, RequestHead,
    authority::FirstSeenMode,
    v2::{AnswerSigner, SignatureVerifier},
};
use domain::{Clock, UnixNanos};
use http::Method;
use ipnet::IpNet;
use parking_lot::Mutex;
use schema::Learner;
use tokio::sync::{Semaphore, watch};

#[cfg(fuzzing)]
pub(crate) use self::expiry::Expiry;
pub(crate) use self::{
    body::{Body, Unreadable, due},
    challenge::{Challenger, Own},
    forward::{Answered, Passage, Relayed, push_field},
    limits::{Charged, Plan, Policy, PolicyError, Standing},
    overload::Turnstile,
    reputation::Guard,
};
pub use self::{
    challenge::{Challenge, ChallengeMode},
    observe::Mode,
    reputation::{AbuseMode, BanError, BanTarget, Bans},
};
use self::{
    credentials::Proven,
    limits::{Load, Who},
};
use crate::{
    answer::{Refused, Reply},
    config::{Apps, CoolDown, Timeouts},
    connection::{Ended, InFlight},
    http1::head::View,
    metrics::Metrics,
    model::{ApiModel, Judgement},
    peer::Peer,
    ports::{Changes, Observer, Withdrawals},
    route::{Class, Handling, Route},
    strict::{self, Violation},
    traffic::{self, ADMITTED, Passed, Recorder},
    upgrade::Upgrades,
    upstream::Upstream,
};

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Signs answers.
    pub(crate) answer_signer: Option<Arc<AnswerSigner>>,
    /// Third-party apps, where they are served.
    pub(crate) apps: Option<Apps>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) challenger: Challenger,
    pub(crate) changes: Arc<dyn Changes>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cool_down: CoolDown,
    pub(crate) first_seen: FirstSeenMode,
    pub(crate) frames: Arc<FrameLimits>,
    pub(crate) guard: Guard,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) mode: Mode,
    pub(crate) model: ArcSwapOption<ApiModel>,
    pub(crate) learner: Option<Mutex<Learner>>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) passphrase_checks: Arc<Semaphore>,
    /// Routes and limits; replaced as a whole.
    pub(crate) policy: ArcSwap<Policy>,
    /// Networks of the proxies in front.
    pub(crate) proxy_trusted: Vec<IpNet>,
    /// Takes in what passes.
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    /// Verifies HTTP message signatures.
    pub(crate) signatures: SignatureVerifier,
    /// Turns true when the gateway stops.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) timeouts: Timeouts,
    pub(crate) turnstile: Arc<Turnstile>,
    /// Takes over WebSocket connections.
    pub(crate) upgrades: Option<Arc<dyn Upgrades>>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) withdrawals: Arc<dyn Withdrawals>,
}

/// A request for an endpoint that exists, unambiguous in its head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Routed<'a> {
    pub(crate) view: View<'a>,
    pub(crate) route: &'a Route,
    pub(crate) plan: &'a Plan,
    /// Where both are from.
    policy: &'a Policy,
    /// What its key must be allowed, or `None` where no key is needed.
    endpoint: Option<Endpoint>,
    is_get: bool,
}

impl<'a> Routed<'a> {
    /// As the model of the API sees it.
    fn as_modelled<'b>(&self, body: &'b [u8]) -> schema::Request<'b>
    where
        'a: 'b,
    {
        schema::Request {
            method: if self.is_get { "GET" } else { "POST" },
            path: self.view.path(),
            query: self.view.query(),
            content_type: self.view.field(b"content-type"),
            body,
        }
    }

    /// What the signature covers, and the credential.
    fn signed(&self) -> RequestHead<'a> {
        let credentials = self.view.credentials();
        RequestHead {
            method: self.view.method(),
            target: self.view.target(),
            api_key: credentials.key,
            sign: credentials.sign,
            timestamp: credentials.timestamp,
            passphrase: credentials.passphrase,
            simulated: credentials.simulated,
        }
    }
}

/// How a request goes on.
#[derive(Debug)]
pub(crate) enum Admitted {
    /// To the exchange.
    Forward(Passage),
    /// Not at all: this is the answer.
    Reply(Reply),
    /// Nor in the words of the API: a page for a browser.
    Own(Own),
    /// As another protocol, after this head.
    Upgrade(String),
}

/// Why a request ends without being sent on.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Its connection was ended from outside; nobody is there to be answered.
    Ended,
    Refused(Refused),
}

impl From<Ended> for Stopped {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Violation> for Stopped {
    fn from(violation: Violation) -> Self {
        Self::Refused(violation.into())
    }
}

impl From<Violation> for Refused {
    fn from(violation: Violation) -> Self {
        Self::from(violation.refusal()).labelled(violation.label())
    }
}

impl Shared {
    /// Whether connections from `ip` begin by saying whom they are for.
    pub(crate) fn is_proxy(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.proxy_trusted.iter().any(|net| net.contains(&ip))
    }

    /// Charges a request to where it comes from, before anything else is looked at.
    pub(crate) fn charge_source(&self, peer: &Peer, now: UnixNanos) -> Result<(), Refused> {
        self.metrics.request();
        self.policy.load().source(peer.source, now).map_err(Refused::from)
    }

    /// Whether and how a request goes on to the exchange.
    pub(crate) async fn admit<B: Body>(
        &self,
        peer: &Peer,
        view: View<'_>,
        body: &mut B,
        in_flight: &mut InFlight,
        now: UnixNanos,
    ) -> Result<Admitted, Stopped> {
        let mut record = self.recorder.as_ref().map(|_| {
            Box::new(Passed {
                at: now,
                source: peer.ip,
                proven: None,
                is_operation: false,
                is_post: view.method() == b"POST",
                path: traffic::cut(view.path()),
                instruments: vec![String::new()],
                outcome: ADMITTED,
            })
        });
        let admitted = self.judge(peer, view, body, in_flight, now, record.as_deref_mut()).await;
        if let (Some(recorder), Some(mut record)) = (&self.recorder, record) {
            match &admitted {
                // It never became a request to the exchange, nor was it charged.
                Ok(Admitted::Own(_)) | Err(Stopped::Ended) => {}
                Ok(_) => recorder.record(*record),
                Err(Stopped::Refused(refused)) => {
                    record.outcome = refused.label;
                    recorder.record(*record);
                }
            }
        }
        match admitted {
            Err(Stopped::Refused(refused)) if self.mode == Mode::Observe => {
                self.pass_unproven(peer, view, body, refused, now).await
            }
            Err(Stopped::Refused(refused)) => Err(Stopped::Refused(refused.named(view.credentials().key))),
            admitted => admitted,
        }
    }

    async fn judge<B: Body>(
        &self,
        peer: &Peer,
        view: View<'_>,
        body: &mut B,
        in_flight: &mut InFlight,
        now: UnixNanos,
        record: Option<&mut Passed>,
    ) -> Result<Admitted, Stopped> {
        self.charge_source(peer, now)?;
        // The first fault there can be, since the path is read first.
        if let Some(violation @ Violation::PathNotCanonical) = view.head.fault {
            return Err(violation.into());
        }
        if view.path().starts_with("/_")
            && let Some(own) = self.own(&view, body, peer, now).await
        {
            return Ok(Admitted::Own(own));
        }
        if let Some(own) = self.oauth(&view, body, peer, now).await {
            return Ok(Admitted::Own(own));
        }
        let policy = self.policy.load_full();
        let routed = route(&policy, view)?;
        if routed.route.handling == Handling::WebSocket {
            let is_upgrade =
                B::CAN_UPGRADE && view.head.is_upgrade && !view.head.is_http10 && body.is_empty();
            let taker = self.upgrades.as_ref().filter(|_| is_upgrade && routed.is_get);
            let taker = taker.ok_or(Refused::from(Refusal::EndpointUnavailable))?;
            return Ok(Admitted::Upgrade(taker.accept(view.path(), &mut view.all_fields(), peer, now)?));
        }
        if let Some(page) = self.challenge(&routed, peer, now) {
            return Ok(Admitted::Own(page));
        }
        let class = routed.route.criticality;
        if routed.endpoint.is_some() {
            let api_key = view.credentials().key.and_then(|key| str::from_utf8(key).ok());
            self.check_key(peer.ip, api_key, class, now)?;
        }
        Self::check_shape(&routed, body)?;
        let Some(endpoint) = routed.endpoint else {
            self.read_body(&routed, body).await?;
            self.conforms(&routed, body.bytes())?;
            let load = routed.plan.load(body.bytes())?;
            if let Some(record) = record {
                record.instruments = load.names();
            }
            let who = Who { source: peer.source, proven: None };
            if routed.route.handling == Handling::AnswerKeys {
                policy.draw(routed.plan, &load, who, now).map_err(Refused::from)?;
                return Ok(Admitted::Reply(self.answer_keys()?));
            }
            let turn = self.let_through(class, now).await?;
            policy.draw(routed.plan, &load, who, now).map_err(Refused::from)?;
            let passage = Passage::new(self, peer, &routed, body.bytes(), None, None, turn);
            return Ok(Admitted::Forward(passage));
        };
        let claim = self.claim(&routed, body.is_here(), peer, endpoint, now)?;
        self.read_body(&routed, body).await?;
        let proven = self.verify(claim, body.bytes(), peer, endpoint, now).await?;
        in_flight.authenticated()?;
        peer.line.used_with(proven.verified.key_id());
        if !proven.verified.is_in_force() {
            // Taken out of force since it was looked at: whoever did has ended the connections known by then.
            let is_app = proven.verified.proof() == Proof::App;
            let refusal = if is_app { Refusal::GrantEnded } else { Refusal::ApiKeyFrozen };
            return Err(Refused::from(refusal).into());
        }
        let account = proven.verified.account().clone();
        let answer_for = proven.answer_for.clone();
        let pursued = async {
            self.conforms(&routed, body.bytes())?;
            let load = routed.plan.load(body.bytes())?;
            if let Some(record) = record {
                let verified = &proven.verified;
                record.instruments = load.names();
                record.proven = Some((verified.account().to_string(), verified.key_id().to_string()));
            }
            self.pursue(&routed, &load, body.bytes(), proven, peer, now).await
        };
        let pursued = pursued.await;
        Ok(pursued.map_err(|refused| self.sign_refusal(refused.of(&account), answer_for.as_deref(), now))?)
    }

    /// Whether and how a request goes on whose sender is proven.
    async fn pursue(
        &self,
        routed: &Routed<'_>,
        load: &Load<'_>,
        body: &[u8],
        proven: Proven,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<Admitted, Refused> {
        let Proven { verified, answer_for, expiry } = proven;
        let worth = self.authorise(routed, body, &verified, peer, now)?;
        if routed.route.handling == Handling::OpenSession {
            let charged = self.charge(routed.policy, routed, load, verified, peer, now)?;
            self.observe(routed, charged.verified(), peer, now).await?;
            let reply = self.open_session(&charged, body, peer, now)?;
            return Ok(Admitted::Reply(self.sign_reply(reply, answer_for.as_deref(), now)));
        }
        let turn = self.let_through(load.criticality(routed.route.criticality), now).await?;
        let charged = self.charge(routed.policy, routed, load, verified, peer, now)?;
        self.speak_for(peer, now);
        self.observe(routed, charged.verified(), peer, now).await?;
        self.spend(charged.verified(), worth, now).await?;
        let decision = match routed.route.handling {
            Handling::Decide => match self.decide(body, &charged, peer, now).await {
                Ok(decision) => Some(decision),
                Err(refused) => {
                    return Err(Refused { standing: charged.standing().cloned().map(Box::new), ..refused });
                }
            },
            _ => None,
        };
        if let Some(expiry) = expiry {
            expiry.check(self.clock.now())?;
        }
        let passage = Passage::new(self, peer, routed, body, Some(charged), decision, turn);
        Ok(Admitted::Forward(passage.answered_for(answer_for)))
    }

    /// Whether the model of the API has a word against a request.
    fn conforms(&self, routed: &Routed<'_>, body: &[u8]) -> Result<(), Refused> {
        let model = self.model.load();
        let Some(model) = model.as_deref() else { return Ok(()) };
        match model.judge(&routed.as_modelled(body)) {
            Judgement::Pass => Ok(()),
            Judgement::Refuse(refused) => Err(refused),
            Judgement::Report(label) => {
                self.metrics.departure(label);
                Ok(())
            }
        }
    }

    /// Whether the request has a body where it should, and only there.
    fn check_shape<B: Body>(routed: &Routed<'_>, body: &B) -> Result<(), Violation> {
        match routed.is_get {
            true if !body.is_empty() => Err(Violation::BodyOnGet),
            false if routed.view.has_query() => Err(Violation::QueryWithBody),
            _ => Ok(()),
        }
    }

    async fn read_body<B: Body>(&self, routed: &Routed<'_>, body: &mut B) -> Result<(), Refused> {
        if routed.is_get {
            return Ok(());
        }
        body.read(routed.route.body_bytes_max, self.timeouts.body).await.map_err(|unreadable| {
            let refusal = match unreadable {
                Unreadable::Broken => Refusal::JsonInvalid,
                Unreadable::TooLarge => Refusal::ParameterInvalid { parameter: "body".to_owned() },
                Unreadable::TooSlow => Refusal::UpstreamTimeout,
            };
            Refused::from(refusal).labelled(unreadable.label())
        })?;
        match body.bytes().first() {
            None => Err(Refusal::BodyEmpty.into()),
            Some(b'{' | b'[') => Ok(()),
            Some(_) => Err(Violation::BodyNotJson.into()),
        }
    }

    /// Counts a client that was let go for its slowness and tells the observer.
    pub(crate) fn note_slow(&self, peer: &Peer, label: &'static str) {
        self.note_abuse(peer, label);
    }

    /// Counts what a connection did wrong beside its requests, tells the observer, and holds it against the source.
    pub(crate) fn note_abuse(&self, peer: &Peer, label: &'static str) {
        let now = self.clock.now();
        self.metrics.refusal(label);
        self.observer.refused(peer.ip, None, label, now);
        self.hold_against(peer, None, label, now);
    }

    /// Counts a refusal and tells the observer.
    pub(crate) fn note_refusal(&self, peer: &Peer, refused: &Refused, in_flight: &InFlight, now: UnixNanos) {
        in_flight.refused();
        self.metrics.refusal(refused.label);
        self.observer.refused(peer.ip, refused.account.as_ref(), refused.label, now);
        self.hold_against(peer, refused.api_key(), refused.label, now);
    }
}

/// The line of the table a request is for.
fn route<'a>(policy: &'a Policy, view: View<'a>) -> Result<Routed<'a>, Refused> {
    let (method, is_get) = match view.method() {
        b"GET" => (Method::GET, true),
        b"POST" => (Method::POST, false),
        _ => return Err(Refusal::MethodInvalid.into()),
    };
    if !strict::is_canonical(view.path()) {
        return Err(Violation::PathNotCanonical.into());
    }
    if let Some(violation) = view.head.fault {
        return Err(violation.into());
    }
    let (route, plan) = match policy.find(&method, view.path()) {
        Some(found) if found.0.handling != Handling::Unavailable => found,
        _ => return Err(Refusal::EndpointUnavailable.into()),
    };
    Ok(Routed { view, route, plan, policy, endpoint: endpoint(route.class), is_get })
}

/// What the key must be allowed, or `None` where no key is needed.
fn endpoint(class: Class) -> Option<Endpoint> {
    match class {
        Class::Public => None,
        Class::Read => Some(Endpoint::READ),
        Class::Session => Some(Endpoint::SESSION),
        Class::Trade => Some(Endpoint::TRADE),
        // Key management is never forwarded; should a table say otherwise, it takes the highest permission.
        Class::Withdraw | Class::KeyManagement => Some(Endpoint::WITHDRAW),
    }
}
