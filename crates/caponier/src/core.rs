//! An installation without its listeners: data directory, keys, lists, log and backup, opened and checked.
//!
//! The same core serves the running process and the command line: whoever holds the data directory's lock runs
//! [`Core::handle`], for itself or for requests from the control socket.

mod apps;
mod cases;
mod change_requests;
mod emergency;
mod entries;
mod fraud_requests;
mod handle;
mod keys;
mod lists;
mod models;
mod people;
mod placing;
mod restriction_words;
mod shipping;
mod webhooks;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use audit::{PublishedLog, Publisher, VKEY_PATH};
use backup::Shipper;
use decide::{Decider, FindingSource};
use domain::{Clock, Subject};
use journal::{
    Draft, Journal, KekStore as _, Kind, OpenError,
    disk::{Disk, RealDisk},
    record::{Lifecycle, LifecycleEvent, ListImported},
};
use parking_lot::Mutex;
use tlog::{NoteSigner, NoteVerifier};
use watch::{
    ListState, Watch,
    assess::{Assessor, Policy},
};

pub(crate) use self::entries::PAGE_ENTRIES_MAX;
pub(crate) use self::models::path as model_path;
pub use self::shipping::GroundSource;
use crate::{
    access, acts,
    adapters::{FraudSource, WatchSource},
    bundles::Lives,
    cases::{Desk, GroundReleases},
    chains,
    config::Config,
    control::Reloaded,
    emergency::Brake,
    exit::{Exit, Failure},
    ground::{Ground, Installation},
    lists::ListGaps,
    metrics::Meters,
    requests::Requests,
    screenings::Screenings,
    suspicions::GroundSuspicions,
    webhooks::Webhooks,
};

/// Reads the configuration file again and puts in force what can be.
pub(crate) trait Reload: Send + Sync + std::fmt::Debug {
    /// All or nothing: after an error everything is as before.
    fn reload(&self) -> Result<Reloaded, Failure>;

    /// The configuration in force.
    fn config(&self) -> Config;

    /// What was learned of the trading API, as an OpenAPI document.
    fn learned(&self) -> Option<String>;
}

/// Told what long work is doing: a unit, how much is done, how much there is.
pub type Progress<'p> = &'p mut (dyn FnMut(&str, u64, u64) + Send);

/// Entries after which an installation without an installation entry is not a new one but a damaged one.
const FIRST_ENTRIES_MAX: u64 = 16;

/// Where the lists live within the data directory.
pub(crate) const LABELS_DIR: &str = "labels";

/// Where model files live within the data directory.
pub(crate) const MODELS_DIR: &str = "models";

/// Where the states of followed chains live within the data directory.
pub(crate) const FOLLOW_DIR: &str = "follow";

/// Where the flows of followed chains live within the data directory.
pub(crate) const FLOWS_DIR: &str = "flows";

/// An open installation.
#[derive(Debug)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ground: Arc<Ground>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) gaps: Arc<ListGaps>,
    pub(crate) assessor: Assessor,
    pub(crate) screenings: Arc<Screenings>,
    pub(crate) meters: Arc<Meters>,
    /// Lines of reporters that were no events.
    pub(crate) dead_letters: api::DeadLetters,
    pub(crate) installation: Installation,
    pub(crate) decider: Arc<Decider>,
    pub(crate) judge: Arc<decide::Judge>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) brake: Arc<Brake>,
    pub(crate) publisher: Mutex<Publisher<Journal>>,
    pub(crate) shipper: Option<Mutex<Shipper>>,
    /// One batch of events at a time.
    pub(crate) intake_turn: tokio::sync::Mutex<()>,
    /// One change of keys, lists or subjects at a time.
    changes: Arc<tokio::sync::Mutex<()>>,
    /// Who is told of what happens.
    pub(crate) webhooks: Arc<Webhooks>,
    /// Changes that take two persons.
    pub(crate) requests: Arc<Requests>,
    /// How the configuration is read again; set while serving.
    pub(crate) reload: std::sync::OnceLock<Box<dyn Reload>>,
    /// When the configuration file was read again last; never, for zero.
    pub(crate) reloaded_at: std::sync::atomic::AtomicU64,
    /// What the followers of chains say of themselves; set while they run.
    pub(crate) chains: std::sync::OnceLock<Vec<watch::follow::StatusCell>>,
    /// The way into the console; set while serving.
    pub(crate) entrance: std::sync::OnceLock<crate::console::Entrance>,
    /// The gateway's bans; set while serving.
    pub(crate) bans: Arc<std::sync::OnceLock<gateway::Bans>>,
    /// Whether the key-encryption key was made just now.
    pub kek_created: bool,
}

impl Core {
    /// Opens a data directory, or makes one. Reads and checks every entry.
    ///
    /// # Errors
    /// [`Failure`]; nothing was changed by one that speaks of damage.
    pub async fn open(
        config: Config,
        clock: Arc<dyn Clock>,
        progress: Progress<'_>,
    ) -> Result<Self, Failure> {
        let dir = &config.data.dir;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|error| Failure::io(parent.display(), error))?;
        }
        let disk: Arc<dyn Disk> =
            Arc::new(RealDisk::new(dir).map_err(|error| Failure::io(dir.display(), error))?);
        let (kek, kek_created) = open_kek(&config.data.kek_file, dir)?;
        let attested = attested(&disk)?;
        let journal_config = journal::Config { segment_bytes_max: config.data.segment_size, attested };
        let (journal, recovery) =
            Journal::open(journal_config, Arc::clone(&disk), Arc::new(kek), Arc::clone(&clock))
                .map_err(|error| open_failure(dir, &error))?;
        if let Some(discarded) = &recovery.discarded {
            tracing::warn!(
                file = discarded.tail.file,
                offset = discarded.tail.offset,
                bytes = discarded.tail.bytes,
                "cut off a tail that was never acknowledged; its digest is in the journal"
            );
        }

        let fraud_config = fraud_config(&config);
        let lives = Lives::load(&config)?;
        let ground = Ground::open(
            journal.clone(),
            fraud_config,
            customers_config(&config),
            lives,
            &mut |done, total| {
                progress("entries replayed", done, total);
            },
        )?;
        let ground = Arc::new(ground);
        let meters = Arc::<Meters>::default();
        ground.take_time(meters.pace(Arc::clone(&clock)));
        let installation = installation(&ground, &*clock).await?;

        let labels = watch::Config { dir: dir.join(LABELS_DIR) };
        let watch = Watch::open(labels).map_err(|error| Failure::new(Exit::Io, chain(&error)))?;
        let watch = Arc::new(watch);

        record_lists(&ground, &watch, &*clock).await?;
        let gaps = Arc::new(ground.read(|fold| ListGaps::find(fold.lists(), &watch.lists())));
        if let Some(problem) = gaps.problem() {
            tracing::error!(problem, "withdrawals are refused until then");
        }

        let followed = chains::flows(&config, &watch)?;
        let assessor = Assessor::new(Arc::clone(&watch), followed, exposure_policy(&config))
            .with_suspicions(Arc::new(GroundSuspicions(Arc::clone(&ground))));
        let screenings = Arc::new(Screenings::new(ground.take_keyed_screenings()));

        let sources: Vec<Arc<dyn FindingSource>> = vec![
            Arc::new(WatchSource {
                assessor: assessor.clone(),
                gaps: Arc::clone(&gaps),
                ground: Arc::clone(&ground),
            }),
            Arc::new(FraudSource(Arc::clone(&ground))),
            Arc::new(decide::AddressBookPolicy {
                mode: config.decide.address_book,
                book: {
                    let ground = Arc::clone(&ground);
                    move || ground.address_book()
                },
            }),
        ];
        let decider = decide::Config { deadline: config.decide.deadline }.build(
            sources,
            Arc::clone(&ground) as Arc<dyn decide::DecisionLog>,
            installation.decision_ids(),
            Arc::clone(&clock),
        );
        let decider = decider.with_freezes(Arc::clone(ground.emergencies().freezes()));
        let decider = decider.with_releases(Arc::new(GroundReleases(Arc::clone(&ground))));
        let decider = Arc::new(decider);
        let brake = Brake::new(Arc::clone(&ground), Arc::clone(&decider), Arc::clone(&clock));
        let bans = Arc::default();
        let ids = installation.decision_ids();
        let desk = Desk::new(Arc::clone(&ground), ids, Arc::clone(&clock), Arc::clone(&bans));
        let judge = decide::Judge::new(
            (config.decide.deadline, config.decide.silence),
            vec![
                Arc::new(acts::Destinations { assessor: assessor.clone(), gaps: Arc::clone(&gaps) }),
                Arc::new(acts::Behaviour(Arc::clone(&ground))),
                Arc::new(acts::Access { ground: Arc::clone(&ground), bans: Arc::clone(&bans) }),
            ],
            Arc::clone(&ground) as Arc<dyn decide::JudgementLog>,
            installation.decision_ids(),
            Arc::clone(&clock),
        );
        for keyed in ground.take_keyed_judgements() {
            judge.replay(keyed);
        }
        for keyed in ground.take_keyed_decisions() {
            decider.replay(keyed);
        }

        let changes = Arc::new(tokio::sync::Mutex::new(()));
        let requests = Requests::new(Arc::clone(&ground), Arc::clone(&clock), Arc::clone(&changes));
        access::register(&requests, &ground);
        let webhooks = Webhooks::new(&ground, &clock, &installation, &config.webhooks);

        let signer = || {
            NoteSigner::new(&config.log.origin, installation.log_key())
                .map_err(|error| Failure::new(Exit::Usage, format!("log.origin: {error}")))
        };
        let now = clock.now();
        let opened = match Publisher::open(journal.clone(), Arc::clone(&disk), signer()?, now) {
            // Tiles follow from the journal, which was just proven to be whole: write them again.
            Err(error @ (audit::PublishError::Damaged(_) | audit::PublishError::DamagedTiles { .. })) => {
                tracing::warn!(%error, "writing the log's tiles again from the journal");
                Publisher::rebuild(journal.clone(), Arc::clone(&disk), signer()?, now)
            }
            opened => opened,
        };
        let (publisher, _) = opened.map_err(|error| Failure::new(Exit::Io, chain(&error)))?;

        let shipper = match &config.backup.target {
            Some(target) => Some(Mutex::new(shipping::open(&disk, &ground, &watch, &installation, target)?)),
            None => None,
        };
        Ok(Self {
            config,
            clock,
            ground,
            watch,
            gaps,
            assessor,
            screenings,
            meters,
            dead_letters: api::DeadLetters::default(),
            installation,
            brake: Arc::new(brake),
            decider,
            judge: Arc::new(judge),
            desk: Arc::new(desk),
            publisher: Mutex::new(publisher),
            shipper,
            intake_turn: tokio::sync::Mutex::new(()),
            changes,
            requests: Arc::new(requests),
            webhooks,
            reload: std::sync::OnceLock::new(),
            reloaded_at: std::sync::atomic::AtomicU64::new(0),
            chains: std::sync::OnceLock::new(),

            bans,
            entrance: std::sync::OnceLock::new(),
            kek_created,
        })
    }

    /// Journals a start or stop.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be recorded.
    pub async fn record_lifecycle(&self, what: LifecycleEvent, detail: &str) -> Result<(), Failure> {
        let lifecycle =
            Lifecycle { what, version: env!("CARGO_PKG_VERSION").to_owned(), detail: detail.to_owned() };
        let draft = Draft {
            at: self.clock.now(),
            subject: Subject::System,
            kind: Kind::Lifecycle,
            payload: lifecycle.encode(),
        };
        self.ground
            .record(vec![draft])
            .await
            .map(drop)
            .map_err(|error| Failure::new(Exit::Io, error.to_string()))
    }

    /// Publishes and ships what is left and closes the journal. Blocks.
    ///
    /// # Errors
    /// [`Failure`] of the first step that failed; the later ones are tried all the same.
    pub fn close(&self) -> Result<(), Failure> {
        let now = self.clock.now();
        let published =
            self.publisher.lock().publish_once(now).map_err(|error| Failure::new(Exit::Io, chain(&error)));
        let closed = self.ground.journal().close().map_err(|error| Failure::new(Exit::Io, error.to_string()));
        let shipped = match &self.shipper {
            Some(shipper) => {
                shipper.lock().ship(now).map(drop).map_err(|error| Failure::new(Exit::Io, error.to_string()))
            }
            None => Ok(()),
        };
        published.map(drop).and(closed).and(shipped)
    }

    /// The verifier key of the transparency log.
    #[must_use]
    pub fn vkey(&self) -> String {
        self.publisher.lock().log().verifier().to_string()
    }
}

/// Reads the key-encryption key, or makes one for a new data directory.
fn open_kek(path: &Path, data_dir: &Path) -> Result<(journal::DiskKek, bool), Failure> {
    let named = |error: io::Error| Failure::io(format!("key-encryption key {}", path.display()), error);
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(named)?;
    }
    let kek = journal::DiskKek::at(path).map_err(named)?;
    match kek.load() {
        Ok(_) => Ok((kek, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if data_dir.join(journal::KEY_TABLE).exists() {
                return Err(Failure::new(
                    Exit::NotFound,
                    format!(
                        "key-encryption key {} is missing, but {} holds data sealed under it; a new one could not \
                         open it",
                        path.display(),
                        data_dir.display()
                    ),
                ));
            }
            kek.create().map_err(named)?;
            Ok((kek, true))
        }
        Err(error) => Err(named(error)),
    }
}

/// What the published checkpoint says was durable. The verifier key beside it is checked against the sealed
/// signing key once the journal is open.
fn attested(disk: &Arc<dyn Disk>) -> Result<Option<journal::Attested>, Failure> {
    let path = format!("{}/{VKEY_PATH}", audit::LOG_DIR);
    let text = match journal::disk::read(&**disk, &path, 4096) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io(path, error)),
    };
    let verifier = std::str::from_utf8(&text)
        .ok()
        .and_then(|text| NoteVerifier::parse(text.trim_end_matches('\n')).ok())
        .ok_or_else(|| Failure::new(Exit::Io, format!("{path} is damaged: not a verifier key")))?;
    PublishedLog::new(Arc::clone(disk), verifier)
        .attested()
        .map_err(|error| Failure::new(Exit::Io, format!("log/checkpoint is damaged: {}", chain(&error))))
}

/// The installation entry, made when the journal is new.
async fn installation(ground: &Ground, clock: &dyn Clock) -> Result<Installation, Failure> {
    if let Some(installation) = ground.read(|fold| fold.installation().cloned()) {
        return Ok(installation);
    }
    if ground.journal().size() > FIRST_ENTRIES_MAX {
        return Err(Failure::new(Exit::Io, "the journal has no installation entry"));
    }
    let installation = Installation::new(crypto::random::array());
    let draft = Draft {
        at: clock.now(),
        subject: Subject::System,
        kind: Kind::Installation,
        payload: installation.encode(),
    };
    ground.record(vec![draft]).await.map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
    Ok(installation)
}

/// Records lists that came into force just before a crash.
async fn record_lists(ground: &Ground, watch: &Watch, clock: &dyn Clock) -> Result<(), Failure> {
    let states = watch.lists();
    let unrecorded: Vec<ListState> =
        ground.read(|fold| ListGaps::unrecorded(fold.lists(), &states).into_iter().cloned().collect());
    for state in unrecorded {
        let entry = ListImported {
            name: state.name.to_string(),
            format: "unknown".to_owned(),
            sha256: state.source_sha256,
            entries: state.addresses + state.texts,
            source: "in force on start, not yet recorded".to_owned(),
        };
        let draft = Draft {
            at: clock.now(),
            subject: Subject::System,
            kind: Kind::ListImported,
            payload: entry.encode(),
        };
        ground.record(vec![draft]).await.map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
    }
    Ok(())
}

fn fraud_config(config: &Config) -> fraud::Config {
    let mut fraud = fraud::Config::default();
    fraud.shadow.extend(config.fraud.shadow.iter().filter_map(|name| fraud::Rule::named(name)));
    fraud.off.extend(config.fraud.off.iter().filter_map(|name| fraud::Rule::named(name)));
    fraud
}

fn customers_config(config: &Config) -> watch::customers::CustomersConfig {
    let shadow =
        config.watch.shadow.iter().filter_map(|name| watch::customers::Warning::named(name)).collect();
    watch::customers::CustomersConfig { shadow, ..watch::customers::CustomersConfig::default() }
}

/// What exposure and stale knowledge ask for.
fn exposure_policy(config: &Config) -> Policy {
    let settings = &config.watch;
    let policy = Policy {
        hops: u8::try_from(settings.exposure_hops).unwrap_or(u8::MAX),
        share: f64::from(settings.exposure_share_bps) / 10_000.0,
        suspected: settings.suspected,
        ..Policy::default()
    };
    policy.with_shadow(|warning| settings.shadow.iter().any(|name| name == warning.as_str()))
}

fn open_failure(dir: &Path, error: &OpenError) -> Failure {
    let exit = match error {
        OpenError::Locked => Exit::Busy,
        _ => Exit::Io,
    };
    Failure::new(exit, format!("{}: {}", dir.display(), chain(error)))
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The path of the control socket of a data directory.
#[must_use]
pub fn control_socket(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}
