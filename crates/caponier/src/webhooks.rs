//! Webhooks: programs elsewhere are told of what the journal records.
//!
//! The journal is the queue. Each endpoint has a worker of its own with a place in the journal; up to where everything was
//! delivered, or given up on by name, is recorded every now and then ([`ACKNOWLEDGE_EVERY`]) and on the way out. Whatever
//! happens in between, what lies behind that place is told again: at least once, under the same id. No decision waits for
//! any of this.
//!
//! What is where: `message` what an entry is told as, `sender` one try, `worker` the life of an endpoint; the rules and the
//! times are the crate [`webhook`].

mod message;
mod sender;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use api::{
    BoxFuture, DeadLetterView, NewWebhook, WebhookChange, WebhookError, WebhookLive, WebhookTest, WebhookView,
};
use crypto::MacKey;
use decide::DecisionIds;
use domain::{Actor, Clock, Subject, UnixNanos};
use journal::{AppendError, Draft, Kind};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use webhook::{
    ENDPOINTS_MAX, Endpoint, EndpointName, Entry, Guard, Host, MessageKey, Schedule, SettledHow, SigningKey,
    State, Target,
};

use self::{
    message::Teller,
    sender::{Letter, Outcome, Sender},
};
use crate::{
    config,
    ground::{Ground, Installation, RecordError},
};

/// How often it is recorded how far endpoints were told.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(10);
/// Entries that were looked at and held nothing to tell, after which that is recorded too.
const LOOKED_AT_MAX: u64 = 65_536;
/// How long a caller is asked to wait when the journal's queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How it goes with an endpoint, since the start.
#[derive(Debug, Default)]
struct Status {
    delivered: u64,
    failed: BTreeMap<&'static str, u64>,
    waiting: usize,
    is_failing: bool,
    /// Everything before is settled.
    acknowledged: u64,
    /// Whether something was settled since that was recorded last.
    has_moved: bool,
    last: Option<(UnixNanos, String)>,
}

impl Status {
    fn tried(&mut self, at: UnixNanos, outcome: &Outcome) {
        let says = match outcome {
            Outcome::Delivered { status } => {
                self.delivered += 1;
                format!("answered {status}")
            }
            Outcome::Failed(refused) => {
                *self.failed.entry(refused.class).or_default() += 1;
                refused.why.clone()
            }
            Outcome::Gone => {
                *self.failed.entry("gone").or_default() += 1;
                "answered 410: it wants nothing any more".to_owned()
            }
        };
        self.last = Some((at, says));
    }
}

/// What others say to a worker, and it to them.
#[derive(Debug, Default)]
struct Line {
    /// Where the endpoint was added.
    id: u64,
    status: Mutex<Status>,
    /// Dead letters to try again, and who asked.
    replays: Mutex<BTreeMap<MessageKey, Actor>>,
    wake: Notify,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Webhooks {
    ground: Arc<Ground>,
    clock: Arc<dyn Clock>,
    decision_ids: DecisionIds,
    message_ids: MacKey,
    sender: Sender,
    guard: Guard,
    schedule: Schedule,
    /// One change of an endpoint at a time.
    turn: tokio::sync::Mutex<()>,
    lines: Mutex<BTreeMap<EndpointName, Arc<Line>>>,
    /// Something about endpoints was recorded.
    changed: Notify,
}

fn failed(error: RecordError) -> WebhookError {
    match error {
        RecordError::Append(AppendError::Overloaded) => WebhookError::Busy { retry_after: RETRY_AFTER },
        error => WebhookError::Unavailable { why: error.to_string() },
    }
}

fn unknown(name: &EndpointName) -> WebhookError {
    WebhookError::NotFound { name: name.to_string() }
}

impl Webhooks {
    /// Over a ground; nothing goes out before [`deliver`].
    pub(crate) fn new(
        ground: &Arc<Ground>,
        clock: &Arc<dyn Clock>,
        installation: &Installation,
        config: &config::Webhooks,
    ) -> Arc<Self> {
        let guard = Guard::new(config.private_networks.clone());
        Arc::new(Self {
            ground: Arc::clone(ground),
            clock: Arc::clone(clock),
            decision_ids: installation.decision_ids(),
            message_ids: installation.message_ids(),
            sender: Sender::new(guard.clone(), config.time_limit, &config.ca_file),
            guard,
            schedule: Schedule { first: config.first_retry, tries: config.tries },
            turn: tokio::sync::Mutex::new(()),
            lines: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// The id of a message: the same for every try, another in every installation.
    fn message_id(&self, key: MessageKey) -> String {
        let mac = self.message_ids.sign(&[&key.position.to_be_bytes(), key.event_type.as_str().as_bytes()]);
        format!("msg_{}", hex::encode(mac.get(..16).unwrap_or(&mac)))
    }

    fn teller(&self) -> Teller<'_> {
        Teller { ground: &self.ground, ids: &self.decision_ids }
    }

    fn endpoint(&self, name: &EndpointName) -> Option<Endpoint> {
        self.ground.read(|fold| fold.webhooks().endpoint(name).cloned())
    }

    fn known(&self, name: &EndpointName) -> Result<Endpoint, WebhookError> {
        self.endpoint(name).ok_or_else(|| unknown(name))
    }

    async fn record(&self, entries: Vec<Entry>) -> Result<(), RecordError> {
        let at = self.clock.now();
        let draft = |entry: Entry| Draft {
            at,
            subject: Subject::System,
            kind: Kind::Webhook,
            payload: entry.encode(),
        };
        let recorded = self.ground.record(entries.into_iter().map(draft).collect()).await;
        self.changed.notify_one();
        recorded.map(drop)
    }

    /// The line of an endpoint, made when there is none; one of another endpoint of that name is let go.
    fn line(&self, endpoint: &Endpoint) -> Arc<Line> {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(&endpoint.name).filter(|line| line.id == endpoint.id) {
            return Arc::clone(line);
        }
        let line = Arc::new(Line { id: endpoint.id, ..Line::default() });
        line.status.lock().acknowledged = endpoint.acknowledged;
        lines.insert(endpoint.name.clone(), Arc::clone(&line));
        line
    }

    fn view(&self, endpoint: Endpoint) -> WebhookView {
        let size = self.ground.journal().size();
        let line = self.line(&endpoint);
        let status = line.status.lock();
        let done = status.acknowledged.max(endpoint.acknowledged);
        let live = WebhookLive {
            delivered: status.delivered,
            failed: status.failed.iter().map(|(class, count)| (*class, *count)).collect(),
            waiting: u64::try_from(status.waiting).unwrap_or(u64::MAX),
            behind: size.saturating_sub(done),
            is_failing: status.is_failing,
            last: status.last.clone(),
        };
        drop(status);
        WebhookView { endpoint, live }
    }

    /// Every endpoint, in the order of names.
    pub(crate) fn views(&self) -> Vec<WebhookView> {
        let all: Vec<Endpoint> = self.ground.read(|fold| fold.webhooks().endpoints().cloned().collect());
        all.into_iter().map(|endpoint| self.view(endpoint)).collect()
    }

    /// A URL that can never be sent to is refused at once; where a name leads to is seen when it is sent to.
    fn check(&self, target: &Target) -> Result<(), WebhookError> {
        match target.host() {
            Host::Address(address) if !self.guard.permits(*address, target.is_tls()) => {
                let why = if target.is_tls() {
                    format!("url: {address} is not public and not in webhooks.private_networks")
                } else {
                    format!(
                        "url: http without TLS goes to webhooks.private_networks only, and {address} is not there"
                    )
                };
                Err(WebhookError::Invalid { why })
            }
            _ => Ok(()),
        }
    }

    async fn added(&self, by: Actor, new: NewWebhook) -> Result<(WebhookView, String), WebhookError> {
        let NewWebhook { name, settings, scheme, key } = new;
        self.check(&settings.target)?;
        let _turn = self.turn.lock().await;
        let (known, all) = self
            .ground
            .read(|fold| (fold.webhooks().endpoint(&name).is_some(), fold.webhooks().endpoints().len()));
        if known {
            return Err(WebhookError::Exists { name: name.to_string() });
        }
        if all >= ENDPOINTS_MAX {
            return Err(WebhookError::Full);
        }
        let key = key.unwrap_or_else(|| SigningKey::new(scheme, crypto::random::array()));
        let verifier = key.verifier().expose().clone();
        self.record(vec![Entry::Added { name: name.clone(), settings, key, by }]).await.map_err(failed)?;
        Ok((self.view(self.known(&name)?), verifier))
    }

    async fn changed(
        &self,
        by: Actor,
        name: EndpointName,
        change: WebhookChange,
    ) -> Result<WebhookView, WebhookError> {
        if let Some(target) = &change.target {
            self.check(target)?;
        }
        let _turn = self.turn.lock().await;
        let endpoint = self.known(&name)?;
        let mut settings = endpoint.settings;
        settings.target = change.target.unwrap_or(settings.target);
        settings.events = change.events.unwrap_or(settings.events);
        settings.accounts = change.accounts.unwrap_or(settings.accounts);
        let enabled = change.enabled.unwrap_or(endpoint.state == State::Enabled);
        let entry = Entry::Changed { name: name.clone(), settings, enabled, skip: change.skip, by };
        self.record(vec![entry]).await.map_err(failed)?;
        Ok(self.view(self.known(&name)?))
    }

    async fn rotated(
        &self,
        by: Actor,
        name: EndpointName,
        key: Option<SigningKey>,
        overlap: Duration,
    ) -> Result<(WebhookView, String), WebhookError> {
        let _turn = self.turn.lock().await;
        let endpoint = self.known(&name)?;
        let key = key.unwrap_or_else(|| SigningKey::new(endpoint.key.scheme(), crypto::random::array()));
        if key.scheme() != endpoint.key.scheme() {
            let why = format!("key: {name} has keys of the scheme {}", endpoint.key.scheme().as_str());
            return Err(WebhookError::Invalid { why });
        }
        let verifier = key.verifier().expose().clone();
        let until = self.clock.now().plus(overlap);
        self.record(vec![Entry::Rotated { name: name.clone(), key, until, by }]).await.map_err(failed)?;
        Ok((self.view(self.known(&name)?), verifier))
    }

    async fn removed(&self, by: Actor, name: EndpointName) -> Result<(), WebhookError> {
        let _turn = self.turn.lock().await;
        self.known(&name)?;
        self.record(vec![Entry::Removed { name: name.clone(), by }]).await.map_err(failed)?;
        self.lines.lock().remove(&name);
        Ok(())
    }

    async fn tested(&self, name: EndpointName) -> Result<WebhookTest, WebhookError> {
        let endpoint = self.known(&name)?;
        let begun = self.clock.now();
        let id = format!("msg_test_{}", hex::encode(crypto::random::array::<12>()));
        let body = message::test_body(begun);
        let signatures = endpoint.signatures(&id, begun, &body);
        let letter = Letter { id, at: begun, signatures, body: body.into() };
        let outcome = self.sender.send(&endpoint.settings.target, &letter).await;
        let now = self.clock.now();
        let line = self.line(&endpoint);
        let mut status = line.status.lock();
        status.tried(now, &outcome);
        let says = status.last.as_ref().map_or_else(String::new, |(_, says)| says.clone());
        drop(status);
        let delivered = matches!(outcome, Outcome::Delivered { .. });
        Ok(WebhookTest { delivered, says, took: now.since(begun) })
    }

    fn letters(&self, name: &EndpointName) -> Result<Vec<DeadLetterView>, WebhookError> {
        let endpoint = self.known(name)?;
        let view = |(message, letter)| DeadLetterView { id: self.message_id(message), message, letter };
        Ok(endpoint.dead.into_iter().map(view).collect())
    }

    /// One dead letter by its id, or all.
    fn chosen(&self, name: &EndpointName, message: Option<&str>) -> Result<Vec<MessageKey>, WebhookError> {
        let letters = self.letters(name)?;
        let Some(wanted) = message else {
            return Ok(letters.into_iter().map(|letter| letter.message).collect());
        };
        let found = letters.into_iter().find(|letter| letter.id == wanted).map(|letter| vec![letter.message]);
        found.ok_or_else(|| WebhookError::NoSuchMessage {
            name: name.to_string(),
            message: wanted.chars().take(64).collect(),
        })
    }

    fn replayed(&self, by: Actor, name: &EndpointName, message: Option<&str>) -> Result<u64, WebhookError> {
        let endpoint = self.known(name)?;
        if endpoint.state != State::Enabled {
            let why = format!("{name} is {}: enable it first", endpoint.state.as_str());
            return Err(WebhookError::Invalid { why });
        }
        let chosen = self.chosen(name, message)?;
        let count = u64::try_from(chosen.len()).unwrap_or(u64::MAX);
        let line = self.line(&endpoint);
        line.replays.lock().extend(chosen.into_iter().map(|key| (key, by.clone())));
        line.wake.notify_one();
        Ok(count)
    }

    async fn discarded(
        &self,
        by: Actor,
        name: EndpointName,
        message: Option<String>,
    ) -> Result<u64, WebhookError> {
        let _turn = self.turn.lock().await;
        let chosen = self.chosen(&name, message.as_deref())?;
        let count = u64::try_from(chosen.len()).unwrap_or(u64::MAX);
        let settled = |message| Entry::Settled {
            name: name.clone(),
            message,
            how: SettledHow::Discarded,
            by: by.clone(),
        };
        if !chosen.is_empty() {
            self.record(chosen.into_iter().map(settled).collect()).await.map_err(failed)?;
        }
        Ok(count)
    }

    /// Records how far endpoints were told, where that has changed by something that was told.
    async fn acknowledge(&self) {
        let all: Vec<Endpoint> = self.ground.read(|fold| fold.webhooks().endpoints().cloned().collect());
        let mut positions = Vec::new();
        for endpoint in all {
            let line = self.line(&endpoint);
            let mut status = line.status.lock();
            let ahead = status.acknowledged.saturating_sub(endpoint.acknowledged);
            if ahead > 0 && (status.has_moved || ahead >= LOOKED_AT_MAX) {
                positions.push((endpoint.name, status.acknowledged));
                status.has_moved = false;
            }
        }
        if positions.is_empty() {
            return;
        }
        let names: BTreeSet<EndpointName> = positions.iter().map(|(name, _)| name.clone()).collect();
        if let Err(error) = self.record(vec![Entry::Acknowledged(positions)]).await {
            tracing::warn!(%error, "not recorded how far webhooks went: after a restart some are told again");
            for (name, line) in &*self.lines.lock() {
                line.status.lock().has_moved |= names.contains(name);
            }
        }
    }

    /// Ends workers whose endpoint has changed, and begins those that are missing.
    async fn arrange(self: &Arc<Self>, workers: &mut BTreeMap<EndpointName, (u64, JoinHandle<()>)>) {
        let wanted = |endpoint: &&Endpoint| endpoint.state == State::Enabled;
        let revisions: BTreeMap<EndpointName, u64> = self.ground.read(|fold| {
            let enabled = fold.webhooks().endpoints().filter(wanted);
            enabled.map(|endpoint| (endpoint.name.clone(), endpoint.revision)).collect()
        });
        let over: Vec<EndpointName> = workers
            .iter()
            .filter(|(name, (revision, worker))| {
                worker.is_finished() || revisions.get(*name) != Some(revision)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in &over {
            if let Some((_, worker)) = workers.remove(name) {
                worker.abort();
                if let Err(error) = worker.await
                    && !error.is_cancelled()
                {
                    tracing::error!(%error, endpoint = name.as_str(), "a webhook's worker ended badly");
                }
            }
        }
        if !over.is_empty() {
            self.acknowledge().await;
        }
        let missing: Vec<Endpoint> = self.ground.read(|fold| {
            let enabled = fold.webhooks().endpoints().filter(wanted);
            enabled.filter(|endpoint| !workers.contains_key(&endpoint.name)).cloned().collect()
        });
        for endpoint in missing {
            let (name, revision) = (endpoint.name.clone(), endpoint.revision);
            let line = self.line(&endpoint);
            let worker = tokio::spawn(worker::run(Arc::clone(self), endpoint, line));
            workers.insert(name, (revision, worker));
        }
    }
}

/// Tells endpoints until `stopping`; then what was settled is recorded.
pub(crate) async fn deliver(webhooks: Arc<Webhooks>, stopping: impl Future<Output = ()>) {
    let mut workers = BTreeMap::new();
    let mut tick = interval(ACKNOWLEDGE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(stopping);
    loop {
        webhooks.arrange(&mut workers).await;
        tokio::select! {
            biased;
            () = &mut stopping => break,
            () = webhooks.changed.notified() => {}
            _ = tick.tick() => webhooks.acknowledge().await,
        }
    }
    for (_, (_, worker)) in workers {
        worker.abort();
        // It was told to end.
        drop(worker.await);
    }
    webhooks.acknowledge().await;
}

impl api::Webhooks for Webhooks {
    fn list(&self) -> Vec<WebhookView> {
        self.views()
    }

    fn add(&self, by: Actor, new: NewWebhook) -> BoxFuture<'_, Result<(WebhookView, String), WebhookError>> {
        Box::pin(self.added(by, new))
    }

    fn change(
        &self,
        by: Actor,
        name: EndpointName,
        change: WebhookChange,
    ) -> BoxFuture<'_, Result<WebhookView, WebhookError>> {
        Box::pin(self.changed(by, name, change))
    }

    fn rotate(
        &self,
        by: Actor,
        name: EndpointName,
        key: Option<SigningKey>,
        overlap: Duration,
    ) -> BoxFuture<'_, Result<(WebhookView, String), WebhookError>> {
        Box::pin(self.rotated(by, name, key, overlap))
    }

    fn remove(&self, by: Actor, name: EndpointName) -> BoxFuture<'_, Result<(), WebhookError>> {
        Box::pin(self.removed(by, name))
    }

    fn test(&self, name: EndpointName) -> BoxFuture<'_, Result<WebhookTest, WebhookError>> {
        Box::pin(self.tested(name))
    }

    fn dead_letters(&self, name: &EndpointName) -> Result<Vec<DeadLetterView>, WebhookError> {
        self.letters(name)
    }

    fn replay(&self, by: Actor, name: &EndpointName, message: Option<&str>) -> Result<u64, WebhookError> {
        self.replayed(by, name, message)
    }

    fn discard(
        &self,
        by: Actor,
        name: EndpointName,
        message: Option<String>,
    ) -> BoxFuture<'_, Result<u64, WebhookError>> {
        Box::pin(self.discarded(by, name, message))
    }
}
