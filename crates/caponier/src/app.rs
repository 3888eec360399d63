//! The running installation: the core with listeners and background work around it.
//!
//! [`App::build`] opens everything and binds every address; nothing is served yet. [`App::spawn`] starts serving;
//! [`Running::drain`] stops in the order that loses nothing: listeners first, then what they fed, the journal last.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use api::Api;
use auth::{
    Authenticator, ReplayWindow,
    v2::{AUTHORITIES_MAX, AnswerSigner},
};
use domain::Clock;
use gateway::{
    Gateway,
    route::Route,
    tls::{Certificates, Oldest},
};
use journal::record::LifecycleEvent;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    abuse::{self, News},
    acme::Acme,
    adapters::{
        ApiDecisions, ChangeToRecord, Decisions, GatewayChanges, GatewayObserver, GatewayWithdrawals,
        Identities, record_changes, record_uses,
    },
    api_model,
    apps::{self, ApiConsents, GatewayAppChanges},
    bundles::record_alerts,
    chains::Chains,
    cli::Place,
    config::Config,
    console::Pages,
    core::{Core, Progress, chain, control_socket},
    drift::record_shifts,
    exit::{Exit, Failure},
    installation::ApiInstallation,
    intake::ApiIntake,
    live::{Live, Slot},
    metrics::Exposition,
    policy,
    refusals::RefusalCounts,
    rulebook::{ApiRulebook, Rulebook},
    screenings::ApiScreenings,
    secret_file,
    socket::ControlSocket,
    traffic::TrafficFile,
    webhooks,
};

/// Shortest bearer token of the event listener.
const TOKEN_CHARS_MIN: usize = 32;

/// Shortest upstream token.
const UPSTREAM_TOKEN_CHARS_MIN: usize = 16;

/// Requests remembered against replay: 61 seconds at 40,000 per second. Under HTTP message signatures reads are
/// remembered as well.
const REPLAY_ENTRIES_MAX: usize = 2_440_000;

/// Daily first uses of keys waiting to be journalled.
const USES_WAITING_MAX: usize = 4096;

/// Changes of keys waiting to be journalled that no request waits for.
const CHANGES_WAITING_MAX: usize = 4096;

/// How often new transfers are scored against the lists.
const RESCREEN_EVERY: Duration = Duration::from_secs(1);

/// How often changes are looked for that are approved and not done.
const CHANGES_EVERY: Duration = Duration::from_secs(2);

/// How often the gateway is told whether the alarm is raised.
const ALARM_EVERY: Duration = Duration::from_secs(1);
/// How often counted refusals become entries.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// Everything bound, nothing served yet.
#[derive(Debug)]
pub struct App {
    core: Arc<Core>,
    gateway: Gateway,
    api: Option<Api>,
    control: ControlSocket,
    refusals: Arc<RefusalCounts>,
    uses: mpsc::Receiver<(domain::ApiKeyId, domain::UnixNanos)>,
    changes: mpsc::Receiver<ChangeToRecord>,
    /// News of bans, and who drops packets.
    bans: (mpsc::Receiver<News>, Option<bouncer::Client>),
    acme: Option<Acme>,
    /// Certificates from files, of the gateway and of the control API.
    slots: (Option<Slot>, Option<Slot>),
    /// The route table at the start.
    routes: Vec<Route>,
    chains: Chains,
    pages: Option<Pages>,
}

/// Whether the parts behind the event listener work.
struct Health(Arc<Core>);

impl api::Health for Health {
    fn faults(&self) -> Vec<String> {
        match self.0.ground.journal().health() {
            journal::Health::Running => Vec::new(),
            journal::Health::Closed => vec!["the journal is closed".to_owned()],
            journal::Health::Failed { .. } => vec!["the journal has failed; restart to recover".to_owned()],
        }
    }
}

impl App {
    /// Opens the installation and binds its addresses. Must run inside a multi-threaded tokio runtime.
    ///
    /// # Errors
    /// [`Failure`]; nothing is served then.
    pub async fn build(
        config: Config,
        clock: Arc<dyn Clock>,
        progress: Progress<'_>,
    ) -> Result<Self, Failure> {
        // Secrets and certificates first: a fault in them must not leave a new data directory behind.
        let gateway_slot = config.gateway.tls.as_ref().map(Slot::open).transpose()?;
        let certificates = match (&gateway_slot, &config.gateway.acme) {
            (Some(slot), _) => Some(Arc::clone(slot.certificates())),
            (None, Some(_)) => Some(Arc::new(Certificates::from_authority())),
            (None, None) => None,
        };
        let upstream_token = match &config.gateway.upstream_token_file {
            Some(path) => Some(secret_file::read_line(path, UPSTREAM_TOKEN_CHARS_MIN)?),
            None => None,
        };
        let policy = policy::load(&config)?;
        let api_slot = config.api.tls.as_ref().map(Slot::open).transpose()?;
        let api_tls =
            api_slot.as_ref().map(|slot| server_tls(slot.certificates(), Oldest::default())).transpose()?;
        let mut tokens = Vec::new();
        for (name, path) in &config.api.tokens {
            let mut token = api::Token::new(name, secret_file::read_line(path, TOKEN_CHARS_MIN)?);
            if let Some((_, permissions)) = config.api.permissions.iter().find(|(of, _)| of == name) {
                token.permissions.clone_from(permissions);
            }
            tokens.push(token);
        }

        let core = Arc::new(Core::open(config, clock, progress).await?);
        let config = &core.config;
        // Only who serves: a command beside it may run without the configuration file.
        crate::cases::record_policy(&core.ground, &config.cases, core.clock.now())
            .await
            .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        let control = ControlSocket::bind(control_socket(&config.data.dir))
            .map_err(|error| Failure::io("control socket", error))?;

        let (used, uses) = mpsc::channel(USES_WAITING_MAX);
        let (later, changes) = mpsc::channel(CHANGES_WAITING_MAX);
        let refusals = Arc::new(RefusalCounts::default());
        let replay = ReplayWindow::new(REPLAY_ENTRIES_MAX, u64::from_be_bytes(crypto::random::array()));
        let authenticator =
            Authenticator::new(Arc::clone(core.ground.registry()), replay, crypto::random::array());
        let mut gateway = gateway::Config::new(config.gateway.listen, &config.gateway.upstream);
        gateway.tls =
            certificates.as_ref().map(|slot| server_tls(slot, config.gateway.tls_min)).transpose()?;
        gateway.mode = config.gateway.mode;
        gateway.upstream.token = upstream_token;
        gateway.upstream.response_timeout = config.gateway.upstream_timeout;
        gateway.connections_max = usize::try_from(config.gateway.connections_max).unwrap_or(usize::MAX);
        gateway.connections_per_source_max =
            usize::try_from(config.gateway.connections_per_ip).unwrap_or(usize::MAX);
        let routes = policy.routes.routes().to_vec();
        (gateway.routes, gateway.limits) = (policy.routes, policy.limits);
        gateway.websocket = policy.web_sockets;
        gateway.proxy_trusted.clone_from(&config.gateway.proxy_trusted);
        gateway.abuse = abuse::settings(config);
        let operators = abuse::asn_table(config.bans.asn_file.as_deref())?;
        let helper = match &config.bans.helper_socket {
            Some(path) => Some(
                bouncer::Client::start(path.clone(), bouncer::client::BATCH_EVERY, Arc::clone(&core.clock))
                    .map_err(|error| Failure::io("thread for bans", error))?,
            ),
            None => None,
        };
        let (banned, bans) = mpsc::channel(abuse::NEWS_MAX);
        gateway.model = api_model::load(&config.api_model)?;
        gateway.learn = config.api_model.learn;
        let apps = config.oauth.as_ref().map(|oauth| apps::server(oauth, &core));
        gateway.apps = apps.clone().map(|server| gateway::Apps {
            server,
            changes: Arc::new(GatewayAppChanges(Arc::clone(&core.ground))),
        });
        gateway.authorities.clone_from(&config.gateway.authorities);
        if let (true, Some(acme)) = (gateway.authorities.is_empty(), &config.gateway.acme) {
            gateway.authorities.extend(acme.domains.iter().take(AUTHORITIES_MAX).cloned());
        }
        gateway.answer_signer = Some(Arc::new(AnswerSigner::by_thumbprint(core.installation.answer_key())));
        gateway.first_seen = config.keys.first_seen;
        gateway.cool_down = config.keys.withdrawal_cool_down;
        if let Some(path) = &config.telemetry.traffic_file {
            let file = TrafficFile::begin(path, config.telemetry.traffic_size)
                .map_err(|error| Failure::io(format!("telemetry.traffic_file {}", path.display()), error))?;
            gateway.recorder = Some(Arc::new(file));
        }
        let gateway = gateway
            .build(gateway::Deps {
                authenticator: Arc::new(authenticator),
                changes: Arc::new(GatewayChanges { ground: Arc::clone(&core.ground), later }),
                clock: Arc::clone(&core.clock),
                observer: Arc::new(GatewayObserver { refusals: Arc::clone(&refusals), used, bans: banned }),
                withdrawals: Arc::new(GatewayWithdrawals {
                    decisions: Decisions::of(&core),
                    ground: Arc::clone(&core.ground),
                }),
            })
            .map_err(|error| Failure::new(Exit::Usage, format!("gateway: {}", chain(&error))))?;
        core.ground.serves(gateway.connections());
        core.brake.serves(gateway.control());

        if let Some(operators) = operators {
            gateway.bans().set_asn_table(operators);
        }
        abuse::restore(core.ground.take_bans(), &gateway.bans(), helper.as_ref(), core.clock.now());
        if core.bans.set(gateway.bans()).is_err() {
            unreachable!("an app is built once, around a core of its own");
        }
        let people = core.ground.people();
        let nobody = tokens.is_empty() && config.identity.origin.is_none() && people.services().is_empty();
        let rulebook = Rulebook::new(&core);
        let pages = (config.api.console && !nobody).then(|| Pages::new(&core, &gateway, &rulebook));
        let api = if nobody {
            tracing::warn!(
                "no api.tokens are configured: the exchange cannot report events, so behaviour is unknown"
            );
            None
        } else {
            let ports = api::Ports {
                intake: Arc::new(ApiIntake(Arc::clone(&core))),
                decisions: Arc::new(ApiDecisions {
                    decisions: Decisions::of(&core),
                    ground: Arc::clone(&core.ground),
                    core: Arc::clone(&core),
                }),
                appeals: Arc::clone(&core.desk) as _,
                cases: Arc::clone(&core.desk) as _,
                changes: Arc::clone(&core.requests) as _,
                emergencies: Arc::clone(&core.brake) as _,
                screenings: Arc::new(ApiScreenings::of(&core)),
                installation: Arc::new(ApiInstallation(Arc::clone(&core))),
                rules: Arc::new(ApiRulebook(rulebook)),
                webhooks: Arc::clone(&core.webhooks) as _,
                health: Arc::new(Health(Arc::clone(&core))),
                consents: apps.map(|server| {
                    let (ground, clock) = (Arc::clone(&core.ground), Arc::clone(&core.clock));
                    Arc::new(ApiConsents { server, ground, clock }) as _
                }),
                metrics: Arc::new(Exposition::new(Arc::clone(&core), &gateway)),
                people: api::People {
                    desk: Arc::clone(people),
                    log: Arc::new(Identities(Arc::clone(&core.ground))),
                    origin: config.identity.origin.clone(),
                },
                clock: Arc::clone(&core.clock),
            };
            let pages = pages.as_ref().map(Pages::router);
            let api = api::Config { listen: config.api.listen, tls: api_tls, tokens, pages }
                .build(ports)
                .await
                .map_err(|error| Failure::new(Exit::Usage, format!("api: {}", chain(&error))))?;
            Some(api)
        };
        if let (Some(pages), Some(api)) = (&pages, &api) {
            let scheme = if core.config.api.tls.is_some() { "https" } else { "http" };
            pages.open(format!("{scheme}://{}", api.local_addr()));
        }
        let acme = match (&core.config.gateway.acme, certificates) {
            (Some(acme), Some(certificates)) => {
                let clock = Arc::clone(&core.clock);
                let dir = &core.config.data.dir;
                Some(Acme::open(acme.clone(), dir, &core.installation, certificates, clock)?)
            }
            _ => None,
        };
        let slots = (gateway_slot, api_slot);
        let chains = Chains::open(&core)?;
        Ok(Self {
            core,
            gateway,
            api,
            control,
            refusals,
            uses,
            changes,
            bans: (bans, helper),
            acme,
            slots,
            routes,
            chains,
            pages,
        })
    }

    /// Lets the configuration be read again from where it came while serving.
    pub(crate) fn reload_from(&mut self, place: Place) {
        let (gateway, api) = (self.slots.0.take(), self.slots.1.take());
        let gate = (self.gateway.control(), self.gateway.bans());
        let routes = std::mem::take(&mut self.routes);
        let ground = Arc::clone(&self.core.ground);
        let live = Live::new(place, self.core.config.clone(), routes, gate, ground, gateway, api);
        if self.core.reload.set(Box::new(live)).is_err() {
            unreachable!("an app is built once, around a core of its own");
        }
    }

    /// Where the trading API listens.
    #[must_use]
    pub const fn gateway_addr(&self) -> SocketAddr {
        self.gateway.local_addr()
    }

    /// Where the exchange reports and asks; `None` without tokens.
    #[must_use]
    pub fn api_addr(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(Api::local_addr)
    }

    /// The installation behind the listeners.
    #[must_use]
    pub const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Starts serving.
    ///
    /// # Errors
    /// [`Failure`] when the start cannot be journalled.
    pub async fn spawn(self) -> Result<Running, Failure> {
        let Self {
            core,
            gateway,
            api,
            control,
            refusals,
            uses,
            changes,
            bans,
            acme,
            slots: _,
            routes: _,
            chains,
            pages,
        } = self;
        core.record_lifecycle(LifecycleEvent::Started, "serving").await?;
        core.activate_bundles("named in the configuration at the start").await?;
        if core.shipper.is_none() {
            tracing::warn!("no backup.target is configured: a lost disk loses everything");
        }
        let (stop, stopping) = watch::channel(false);
        let gateway_addr = gateway.local_addr();
        let api_addr = api.as_ref().map(Api::local_addr);
        let mut listeners = vec![tokio::spawn(gateway.run(until(stopping.clone())))];
        if let Some(api) = api {
            listeners.push(tokio::spawn(api.run(until(stopping.clone()))));
        }
        // They journal, so like listeners they end before the journal does.
        listeners.extend(chains.spawn(&stopping));
        listeners.push(tokio::spawn(webhooks::deliver(Arc::clone(&core.webhooks), until(stopping.clone()))));
        let (end, ended) = oneshot::channel();
        let bans = (end, tokio::spawn(abuse::record(Arc::clone(&core.ground), bans.1, bans.0, ended)));
        let mut background = vec![
            tokio::spawn(control.serve(Arc::clone(&core))),
            tokio::spawn(record_uses(Arc::clone(&core.ground), uses)),
            tokio::spawn(record_changes(Arc::clone(&core.ground), changes)),
            tokio::spawn(flush_refusals(Arc::clone(&core), Arc::clone(&refusals))),
            tokio::spawn(keep_alarm(Arc::clone(&core))),
            tokio::spawn(publish(Arc::clone(&core))),
            tokio::spawn(rescreen(Arc::clone(&core))),
            tokio::spawn(record_alerts(Arc::clone(&core))),
            tokio::spawn(record_shifts(Arc::clone(&core))),
            tokio::spawn(finish_changes(Arc::clone(&core))),
        ];
        if let Some(pages) = pages {
            background.push(tokio::spawn(pages.count(until(stopping.clone()))));
        }
        if let Some(acme) = acme {
            background.push(tokio::spawn(acme.keep()));
        }
        if core.shipper.is_some() {
            background.push(tokio::spawn(ship(Arc::clone(&core))));
            background.push(tokio::spawn(rehearse(Arc::clone(&core))));
        }
        Ok(Running { core, gateway_addr, api_addr, stop, listeners, background, refusals, bans })
    }
}

/// A serving installation.
#[derive(Debug)]
pub struct Running {
    core: Arc<Core>,
    gateway_addr: SocketAddr,
    api_addr: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    refusals: Arc<RefusalCounts>,
    /// Ends, and is, what journals bans.
    bans: (oneshot::Sender<()>, JoinHandle<()>),
}

impl Running {
    /// Where the trading API listens.
    #[must_use]
    pub const fn gateway_addr(&self) -> SocketAddr {
        self.gateway_addr
    }

    /// Where the exchange reports and asks; `None` without tokens.
    #[must_use]
    pub const fn api_addr(&self) -> Option<SocketAddr> {
        self.api_addr
    }

    /// The installation behind the listeners.
    #[must_use]
    pub const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Counts of refused requests become entries now rather than within a second.
    ///
    /// # Errors
    /// [`Failure`] when they cannot be recorded.
    pub async fn flush_refusals(&self) -> Result<(), Failure> {
        record_refusals(&self.core, &self.refusals).await
    }

    /// Stops: listeners drain, counts are journalled, the last checkpoint and shipment are made, the journal closes.
    ///
    /// # Errors
    /// [`Failure`] of the first step that failed; what was acknowledged is durable all the same.
    pub async fn drain(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        for listener in self.listeners {
            if let Err(error) = listener.await {
                tracing::error!(%error, "a listener ended badly");
            }
        }
        let (end, bans) = self.bans;
        drop(end);
        if let Err(error) = bans.await {
            tracing::error!(%error, "bans were not recorded to the end");
        }
        for task in &self.background {
            task.abort();
        }
        for task in self.background {
            drop(task.await);
        }
        let refused = record_refusals(&self.core, &self.refusals).await;
        let stopped = self.core.record_lifecycle(LifecycleEvent::Stopped, "drained").await;
        let core = self.core;
        let closed = tokio::task::spawn_blocking(move || core.close())
            .await
            .unwrap_or_else(|error| Err(Failure::new(Exit::Internal, error.to_string())));
        refused.and(stopped).and(closed)
    }
}

async fn until(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(stopping.wait_for(|stop| *stop).await);
}

async fn record_refusals(core: &Core, refusals: &RefusalCounts) -> Result<(), Failure> {
    let drafts = refusals.take(core.clock.now(), |subject| core.ground.journal().is_erased(subject));
    if drafts.is_empty() {
        return Ok(());
    }
    core.ground.record(drafts).await.map(drop).map_err(|error| Failure::new(Exit::Io, error.to_string()))
}

/// Does what two persons agreed to and a crash, or a full queue of the journal, left undone.
async fn finish_changes(core: Arc<Core>) {
    let mut tick = interval(CHANGES_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        core.requests.resume().await;
    }
}

async fn flush_refusals(core: Arc<Core>, refusals: Arc<RefusalCounts>) {
    let mut tick = interval(REFUSALS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(failure) = record_refusals(&core, &refusals).await {
            tracing::error!(%failure, "counts of refused requests were not recorded");
        }
    }
}

/// An alarm ends by itself, and a configuration that is read again does not end it.
async fn keep_alarm(core: Arc<Core>) {
    let mut tick = interval(ALARM_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        core.brake.tell_gateway();
    }
}

/// Scores transfers as they come, all of them at the start: a list may have changed before the last stop.
async fn rescreen(core: Arc<Core>) {
    let mut tick = interval(RESCREEN_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut all = true;
    loop {
        tick.tick().await;
        match core.rescreen(all).await {
            Ok(_) => all = false,
            Err(failure) => tracing::error!(%failure, "past transfers were not scored"),
        }
    }
}

async fn publish(core: Arc<Core>) {
    let mut tick = interval(core.config.log.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let at = Arc::clone(&core);
        let published = tokio::task::spawn_blocking(move || {
            let published = at.publisher.lock().publish_once(at.clock.now())?;
            if let Some(published) = published {
                at.meters.published(published.size);
            }
            Ok::<_, audit::PublishError>(())
        })
        .await;
        match published {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_transient() => {
                tracing::error!(error = chain(&error), "log not published")
            }
            Ok(Err(error)) => {
                // No checkpoint is signed over a journal that does not continue the log.
                tracing::error!(error = chain(&error), "publishing has ended: somebody has to look");
                return;
            }
            Err(error) => tracing::error!(%error, "log not published"),
        }
    }
}

async fn ship(core: Arc<Core>) {
    let mut tick = interval(core.config.backup.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let at = Arc::clone(&core);
        let shipped = tokio::task::spawn_blocking(move || match &at.shipper {
            Some(shipper) => {
                let shipped = shipper.lock().ship(at.clock.now()).map_err(|error| error.to_string())?;
                if let Some(shipped) = shipped {
                    at.meters.shipped(shipped.entries);
                }
                Ok::<_, String>(())
            }
            None => Ok(()),
        })
        .await;
        match shipped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error, "backup is behind"),
            Err(error) => tracing::error!(%error, "backup is behind"),
        }
    }
}

async fn rehearse(core: Arc<Core>) {
    let mut tick = interval(core.config.backup.drill_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is immediate; a drill right at the start would only repeat the start itself.
    tick.tick().await;
    loop {
        tick.tick().await;
        match core.drill(&mut |_, _, _| ()).await {
            Ok(drill) if drill.ok => {
                tracing::info!(entries = drill.entries, took_ms = drill.took_ms, "restore drill")
            }
            Ok(drill) => tracing::error!(detail = drill.detail, "restore drill failed"),
            Err(failure) => tracing::error!(%failure, "restore drill failed"),
        }
    }
}

fn server_tls(
    certificates: &Arc<Certificates>,
    oldest: Oldest,
) -> Result<Arc<rustls::ServerConfig>, Failure> {
    gateway::tls::server_config_with(Arc::clone(certificates), oldest)
        .map_err(|error| Failure::new(Exit::Internal, chain(&error)))
}
