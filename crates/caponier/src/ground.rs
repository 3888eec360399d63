//! The ground of an installation: the journal and the fold over it.
//!
//! Whoever appends waits until the entry is durable and then lets the fold catch up ([`Ground::record`]), so that
//! whatever is asked next sees it. The same [`fold::Fold::step`] serves live traffic, the replay on start and the
//! rehearsal of a restore; nothing else changes derived state.

mod bans;
pub mod fold;
mod installation;
mod key_acts;
mod past;
mod recompute;
pub(crate) mod rejudged;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use auth::{
    KeyChange, KeyEntry, Registry,
    oauth::{AppChange, Ledger},
};
use decide::{AddressBook, DecisionLog, LogUnavailable};
use domain::{Actor, Decision, Subject, UnixNanos};
use fraud::Fraud;
use gateway::Connections;
use identity::{Change, Desk};
use journal::{AppendError, Draft, EraseError, Journal, Kind, Opened, record};
use parking_lot::Mutex;
use watch::{
    customers::{Customers, CustomersConfig},
    suspicions::Suspicions,
};

use self::fold::{Fold, FoldError, Keys};
pub use self::{bans::FoundBans, installation::Installation, recompute::Recomputed};
use crate::{
    bundles::Lives,
    emergency::Emergencies,
    exit::{Exit, Failure},
    metrics::Pace,
};

/// The journal and what follows from it.
pub struct Ground {
    journal: Journal,
    registry: Arc<Registry>,
    ledger: Arc<Ledger>,
    people: Arc<Desk>,
    emergencies: Arc<Emergencies>,
    fraud: ArcSwap<Fraud>,
    book: ArcSwap<AddressBook>,
    customers: ArcSwap<Customers>,
    suspicions: ArcSwap<Suspicions>,
    lives: ArcSwap<Lives>,
    alerts: tokio::sync::Notify,
    fraud_config: fraud::Config,
    customers_config: CustomersConfig,
    fold: Mutex<Fold>,
    /// The gateway's connections, set while serving.
    connections: OnceLock<Connections>,
}

impl std::fmt::Debug for Ground {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ground").field("journal", &self.journal).finish_non_exhaustive()
    }
}

/// Bundles that have taken in the journal, nearly to its end.
#[derive(Debug)]
pub struct PreparedLives(Fold);

/// Why nothing was recorded, or cannot be seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The journal refused or failed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The entry is durable but the state behind it cannot be brought up to it.
    #[error(transparent)]
    Fold(#[from] FoldError),
}

impl Ground {
    /// Folds the journal from its beginning. `progress` is told entries done and in all.
    ///
    /// # Errors
    /// [`Failure`] when an entry cannot be read or does not fit.
    pub fn open(
        journal: Journal,
        fraud_config: fraud::Config,
        customers_config: CustomersConfig,
        lives: Lives,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, Failure> {
        let registry = Arc::new(Registry::new(API_KEYS_MAX, u64::from_be_bytes(crypto::random::array())));
        let fraud = Arc::new(
            Fraud::new(fraud_config.clone())
                .map_err(|error| Failure::new(Exit::Usage, format!("fraud: {error}")))?,
        );
        let book = Arc::new(AddressBook::default());
        let customers = Arc::new(Customers::new(customers_config.clone()));
        let ledger = Arc::new(Ledger::new(GRANTS_MAX));
        let people = Arc::new(Desk::default());
        let emergencies = Arc::<Emergencies>::default();
        let keys = Keys {
            registry: Arc::clone(&registry),
            ledger: Arc::clone(&ledger),
            people: Arc::clone(&people),
            emergencies: Arc::clone(&emergencies),
        };
        let mut fold = Fold::new(
            &journal,
            keys,
            Arc::clone(&fraud),
            Arc::clone(&book),
            Arc::clone(&customers),
            lives.clone(),
        );
        fold.keep_trails();
        let total = journal.size();
        while fold.applied() < total {
            fold.catch_up(&journal, total.min(fold.applied() + REPLAY_STRIDE))
                .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
            progress(fold.applied(), total);
        }
        Ok(Self {
            journal,
            registry,
            ledger,
            people,
            emergencies,
            fraud: ArcSwap::new(fraud),
            book: ArcSwap::new(book),
            customers: ArcSwap::new(customers),
            suspicions: ArcSwap::new(Arc::clone(fold.suspicions())),
            lives: ArcSwap::new(Arc::new(lives)),
            alerts: tokio::sync::Notify::new(),
            fraud_config,
            customers_config,
            fold: Mutex::new(fold),
            connections: OnceLock::new(),
        })
    }

    /// How the built-in rules against fraud are set.
    pub(crate) const fn fraud_config(&self) -> &fraud::Config {
        &self.fraud_config
    }

    /// The journal itself.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The API keys in force.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Third-party apps and the grants to them.
    #[must_use]
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Persons and programs that use the control API.
    #[must_use]
    pub const fn people(&self) -> &Arc<Desk> {
        &self.people
    }

    /// What is stopped at present.
    #[must_use]
    pub const fn emergencies(&self) -> &Arc<Emergencies> {
        &self.emergencies
    }

    /// Records what was done about persons or programs; it has effect when this returns.
    ///
    /// # Errors
    /// As [`Ground::record`].
    pub async fn record_identity(&self, change: &Change, at: UnixNanos) -> Result<u64, RecordError> {
        let payload = change.encode();
        // What names a customer is sealed with their key, and goes when they are erased.
        let subject = match change {
            Change::EnteredByLink { account: Some(account), .. } => Subject::Account(account.clone()),
            _ => Subject::System,
        };
        self.record(vec![Draft { at, subject, kind: Kind::Identity, payload }]).await
    }

    /// What is known of behaviour.
    #[must_use]
    pub fn fraud(&self) -> Arc<Fraud> {
        self.fraud.load_full()
    }

    /// The withdrawal address books.
    #[must_use]
    pub fn address_book(&self) -> Arc<AddressBook> {
        self.book.load_full()
    }

    /// Whom models suspect.
    #[must_use]
    pub fn suspicions(&self) -> Arc<Suspicions> {
        self.suspicions.load_full()
    }

    /// What customers pay.
    #[must_use]
    pub fn customers(&self) -> Arc<Customers> {
        self.customers.load_full()
    }

    /// The fraud engine's bundles at work.
    #[must_use]
    pub fn lives(&self) -> Arc<Lives> {
        self.lives.load_full()
    }

    /// Returns when an alert may wait for its entry.
    pub async fn alerts_wait(&self) {
        self.alerts.notified().await;
    }

    /// Replays the journal into other bundles while the present ones go on judging.
    ///
    /// # Errors
    /// [`Failure`] when an entry cannot be read or does not fit.
    pub fn prepare_lives(&self, lives: Lives) -> Result<PreparedLives, Failure> {
        let io = |error: FoldError| Failure::new(Exit::Io, error.to_string());
        let fraud = Fraud::new(self.fraud_config.clone())
            .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        let customers = Arc::new(Customers::new(self.customers_config.clone()));
        let mut scratch =
            Fold::new(&self.journal, Keys::scratch(), Arc::new(fraud), Arc::default(), customers, lives);
        let mut behind = u64::MAX;
        while behind > REPLAY_STRIDE {
            let before = scratch.applied();
            scratch.catch_up(&self.journal, self.journal.size()).map_err(io)?;
            behind = scratch.applied() - before;
        }
        Ok(PreparedLives(scratch))
    }

    /// Replays the journal as it is now into bundles that nothing else is asked of; yields the entries replayed.
    ///
    /// # Errors
    /// [`Failure`] when an entry cannot be read or does not fit.
    pub(crate) fn replay(&self, lives: Lives, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, Failure> {
        let fraud = Fraud::new(self.fraud_config.clone())
            .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        let customers = Arc::new(Customers::new(self.customers_config.clone()));
        let mut scratch =
            Fold::new(&self.journal, Keys::scratch(), Arc::new(fraud), Arc::default(), customers, lives);
        let total = self.journal.size();
        while scratch.applied() < total {
            scratch
                .catch_up(&self.journal, total.min(scratch.applied() + REPLAY_STRIDE))
                .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
            progress(scratch.applied(), total);
        }
        Ok(total)
    }

    /// Puts bundles to work in place of the present ones, all at once. Only what was recorded since they were prepared
    /// is taken in while everybody waits.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be read; the present bundles stay then.
    pub fn adopt_lives(&self, prepared: PreparedLives) -> Result<(), Failure> {
        let io = |error: FoldError| Failure::new(Exit::Io, error.to_string());
        let PreparedLives(mut scratch) = prepared;
        let mut fold = self.fold.lock();
        fold.catch_up(&self.journal, u64::MAX).map_err(io)?;
        scratch.catch_up(&self.journal, fold.applied()).map_err(io)?;
        let lives = scratch.lives().clone();
        // What waited is found again by the new ones if it is theirs; theirs alone is news.
        fold.adopt_lives(lives.clone());
        self.lives.store(Arc::new(lives));
        Ok(())
    }

    /// From here on takes the time that bundles need for what is recorded.
    pub(crate) fn take_time(&self, pace: Pace) {
        self.fold.lock().take_time(Some(pace));
    }

    /// Looks into the fold. Short: everybody who records waits for it.
    pub fn read<T>(&self, look: impl FnOnce(&Fold) -> T) -> T {
        look(&self.fold.lock())
    }

    /// Appends, waits until it is durable, and lets the fold see it. Returns the first position.
    ///
    /// # Errors
    /// [`RecordError`]; after [`RecordError::Fold`] the entries are durable, but nothing may be decided.
    pub async fn record(&self, drafts: Vec<Draft>) -> Result<u64, RecordError> {
        let appended = self.journal.append(drafts).await?;
        self.catch_up()?;
        Ok(appended.first)
    }

    /// Brings the fold up to everything that is durable.
    ///
    /// # Errors
    /// [`FoldError`]; it stays, since state behind a gap must not be used.
    pub fn catch_up(&self) -> Result<(), FoldError> {
        let mut fold = self.fold.lock();
        let caught_up = fold.catch_up(&self.journal, u64::MAX);
        if fold.lives().has_pending() {
            self.alerts.notify_one();
        }
        caught_up
    }

    /// From now on a key that is taken out of force or restricted loses its connections at once.
    pub fn serves(&self, connections: Connections) {
        // Set twice only by a second gateway over one ground, which nobody builds.
        drop(self.connections.set(connections));
    }

    /// Records a change of an API key under its account's data key, and who made it, if somebody did. One that takes away ends the key's connections.
    ///
    /// # Errors
    /// As [`Ground::record`].
    pub async fn record_key_change(
        &self,
        account: domain::AccountId,
        change: &KeyChange,
        by: Option<Actor>,
        at: UnixNanos,
    ) -> Result<u64, RecordError> {
        let entry = KeyEntry { by, change: change.clone() };
        let payload = entry.encode().expose().clone();
        let draft = Draft { at, subject: Subject::Account(account), kind: Kind::ApiKey, payload };
        let position = self.record(vec![draft]).await?;
        if let (
            Some(connections),
            KeyChange::Frozen { .. } | KeyChange::Restricted { .. } | KeyChange::Revoked { .. },
        ) = (self.connections.get(), change)
        {
            connections.close_key(change.id());
        }
        Ok(position)
    }

    /// Records a change of an app for the installation, one of a grant under the data key of who granted it.
    ///
    /// # Errors
    /// As [`Ground::record`].
    pub async fn record_app_change(&self, change: &AppChange) -> Result<u64, RecordError> {
        let account = match change {
            AppChange::Granted(new) => Some(new.account.clone()),
            // The end of a grant may come before its beginning: then it is nobody's yet.
            change => change.grant().and_then(|grant| self.ledger.account_of(grant)),
        };
        let subject = account.map_or(Subject::System, Subject::Account);
        let payload = change.encode();
        self.record(vec![Draft { at: change.at(), subject, kind: Kind::Oauth, payload }]).await
    }

    /// Destroys the account's data key and rebuilds all derived state without what it sealed, so that the live
    /// state stays equal to what a restart or restore would give.
    ///
    /// # Errors
    /// [`Failure`]. The key may be gone already then; a restart completes the rest.
    pub fn erase(&self, subject: &Subject) -> Result<(), Failure> {
        let mut fold = self.fold.lock();
        self.journal.erase(subject).map_err(|error| {
            let exit = match &error {
                EraseError::Unknown => Exit::NotFound,
                _ => Exit::Io,
            };
            Failure::new(exit, format!("{subject}: {error}"))
        })?;
        let fraud = Arc::new(
            Fraud::new(self.fraud_config.clone())
                .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?,
        );
        // Keys and grants stay: those of this account were revoked before, which a replay cannot say, since it
        // cannot read them.
        let book = Arc::new(AddressBook::default());
        let customers = Arc::new(Customers::new(self.customers_config.clone()));
        let mut rebuilt = Fold::new(
            &self.journal,
            Keys::scratch(),
            Arc::clone(&fraud),
            Arc::clone(&book),
            Arc::clone(&customers),
            fold.lives().fresh()?,
        );
        rebuilt.keep_trails();
        let pace = fold.lives().pace().cloned();
        rebuilt
            .catch_up(&self.journal, u64::MAX)
            .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        rebuilt.adopt(Keys {
            registry: Arc::clone(&self.registry),
            ledger: Arc::clone(&self.ledger),
            people: Arc::clone(&self.people),
            emergencies: Arc::clone(&self.emergencies),
        });
        // The decider knows its keys already; those of the erased person lead to an entry that no longer opens.
        drop(rebuilt.take_keyed_decisions());
        drop(rebuilt.take_keyed_screenings());
        drop(rebuilt.take_keyed_judgements());
        drop(rebuilt.take_bans());
        rebuilt.take_time(pace);
        self.lives.store(Arc::new(rebuilt.lives().clone()));
        self.suspicions.store(Arc::clone(rebuilt.suspicions()));
        *fold = rebuilt;
        self.fraud.store(fraud);
        self.book.store(book);
        self.customers.store(customers);
        Ok(())
    }

    /// The state as a digest, for comparison with a restored one.
    #[must_use]
    pub fn digest(&self) -> backup::StateDigest {
        let fold = self.fold.lock();
        let parts: BTreeMap<String, String> = fold.digest_parts();
        backup::StateDigest { entries: fold.applied(), root: fold.root().0, parts }
    }

    /// The state of another journal after exactly `entries` entries.
    ///
    /// # Errors
    /// [`Failure`] when an entry cannot be read or does not fit, or there are fewer.
    pub fn digest_at(
        journal: &Journal,
        fraud_config: fraud::Config,
        lives: Lives,
        entries: u64,
    ) -> Result<backup::StateDigest, Failure> {
        let fraud = Arc::new(
            Fraud::new(fraud_config).map_err(|error| Failure::new(Exit::Internal, error.to_string()))?,
        );
        // Which warnings have effect changes nothing that is remembered.
        let customers = Arc::new(Customers::new(CustomersConfig::default()));
        let mut fold = Fold::new(journal, Keys::scratch(), fraud, Arc::default(), customers, lives);
        fold.catch_up(journal, entries).map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        if fold.applied() != entries {
            let message = format!("only {} of {entries} entries are there", fold.applied());
            return Err(Failure::new(Exit::Io, message));
        }
        Ok(backup::StateDigest { entries, root: fold.root().0, parts: fold.digest_parts() })
    }

    /// Decisions with an idempotency key found on opening; taken once.
    #[must_use]
    pub fn take_keyed_decisions(&self) -> std::collections::VecDeque<decide::KeyedDecision> {
        self.fold.lock().take_keyed_decisions()
    }

    /// Screenings with an idempotency key found on opening; taken once.
    #[must_use]
    pub fn take_keyed_screenings(&self) -> std::collections::VecDeque<record::Screened> {
        self.fold.lock().take_keyed_screenings()
    }

    /// Judgements with an idempotency key found on opening; taken once.
    #[must_use]
    pub fn take_keyed_judgements(&self) -> std::collections::VecDeque<decide::KeyedDecision> {
        self.fold.lock().take_keyed_judgements()
    }

    /// Bans found on opening; taken once.
    #[must_use]
    pub fn take_bans(&self) -> FoundBans {
        self.fold.lock().take_bans()
    }

    /// Reads a decision back.
    ///
    /// # Errors
    /// As [`DecisionLog::read`].
    pub fn decision(&self, position: u64) -> Result<Option<Arc<Decision>>, LogUnavailable> {
        let unavailable = |error: &dyn std::fmt::Display| LogUnavailable(error.to_string());
        let Some(entry) = self.journal.entry(position).map_err(|error| unavailable(&error))? else {
            return Ok(None);
        };
        if entry.kind != Kind::Decision {
            return Ok(None);
        }
        match self.journal.open_payload(&entry).map_err(|error| unavailable(&error))? {
            Opened::Erased => Ok(None),
            Opened::Payload(payload) => record::decode_decision(&payload)
                .map(|decision| Some(Arc::new(decision)))
                .map_err(|error| unavailable(&error)),
        }
    }
}

/// API keys an installation holds at most; at most 400 bytes each in memory.
pub const API_KEYS_MAX: usize = 1_000_000;

/// Grants to apps an installation holds at most; some 1 KiB each in memory.
pub const GRANTS_MAX: usize = 200_000;

/// Entries folded between two reports of progress.
const REPLAY_STRIDE: u64 = 16_384;

impl DecisionLog for Ground {
    fn append(&self, decision: Arc<Decision>) -> decide::BoxFuture<'_, Result<u64, LogUnavailable>> {
        Box::pin(async move {
            let draft = Draft {
                at: decision.decided_at,
                subject: Subject::Account(decision.request.account.clone()),
                kind: Kind::Decision,
                payload: record::encode_decision(&decision),
            };
            self.record(vec![draft]).await.map_err(|error| LogUnavailable(error.to_string()))
        })
    }

    fn read(&self, position: u64) -> decide::BoxFuture<'_, Result<Option<Arc<Decision>>, LogUnavailable>> {
        Box::pin(std::future::ready(self.decision(position)))
    }
}
