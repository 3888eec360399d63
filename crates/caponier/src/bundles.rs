//! Bundles of the fraud engine in an installation: read from their folders, fed by the fold, made the ones to judge by
//! entries of the journal.
//!
//! A place holds one bundle: the *active* one may have an effect once it was promoted, the *challenger* never has. Which
//! bundle judges from where on stands in the journal ([`Kind::FraudBundle`]), so a replay knows which alerts are news.
//!
//! [`Kind::FraudBundle`]: journal::Kind::FraudBundle

pub(crate) mod tap;
pub(crate) mod versions;

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use auth::KeyChange;
use domain::{
    AccountId, AlertEntity, Decision, Event, EventKind, Finding, FraudAlert, Subject, UnixNanos,
    WithdrawalRequest,
};
use features::Limits;
use fraud::live::{
    Bundle, Live,
    record::{Entry, KeyUse},
};
use journal::{
    AppendError, Draft, Kind,
    record::{self, FraudBundle, Refusals},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use self::{
    tap::Tap,
    versions::{Digest, Pieces, Versions},
};
use crate::{
    config::{self, Config},
    core::Core,
    drift::Drifts,
    exit::{Exit, Failure},
    ground::RecordError,
    metrics::Pace,
};

/// Alerts that are journalled together.
const ALERTS_BATCH: usize = 64;
/// How long to wait after the journal refused alerts.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Where a bundle judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It may have an effect.
    Active,
    /// It judges the same traffic and never has an effect.
    Challenger,
}

impl Place {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Active, Self::Challenger];

    /// Its name in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Challenger => "challenger",
        }
    }
}

/// Where a history of the journal is written to.
pub(crate) type HistoryFile = fraud::history::Writer<BufWriter<File>>;

/// The bundles at work, how they drift, and whoever writes down what they see.
#[derive(Debug, Clone, Default)]
pub struct Lives {
    lives: Vec<(Place, Arc<Live>)>,
    drifts: Arc<Drifts>,
    history: Option<Arc<Mutex<HistoryFile>>>,
    /// Where the bundle of each place was read from.
    folders: Vec<(Place, PathBuf)>,
    beside: Beside,
}

/// What belongs to the bundles at work beside themselves.
#[derive(Debug, Clone, Default)]
struct Beside {
    /// Hashes and folders of the bundles that the configuration names, by place.
    configured: [Option<(Digest, PathBuf)>; Place::ALL.len()],
    /// Who watches.
    tap: Option<Tap>,
    /// Who takes the time; nobody while a past is replayed.
    pace: Option<Pace>,
}

impl Lives {
    /// Loads what the configuration names.
    ///
    /// # Errors
    /// [`Failure`] with the file at fault; nothing is changed then.
    pub fn load(config: &Config) -> Result<Self, Failure> {
        let config::Fraud { bundles, bundle, challenger, enforce, .. } = &config.fraud;
        let versions = Versions::of(&config.data.dir);
        let places = versions.places()?;
        let (mut lives, mut folders) = (Vec::new(), Vec::new());
        let mut beside = Beside::default();
        for (place, name) in [(Place::Active, bundle), (Place::Challenger, challenger)] {
            let configured = match (bundles, name) {
                (Some(dir), Some(name)) => {
                    let folder = dir.join(name);
                    let bundle = read(&folder)?;
                    folders.push((place, folder.clone()));
                    beside.configured[place as usize] = Some((bundle.hash(), folder));
                    Some(bundle)
                }
                _ => None,
            };
            let hash = configured.as_ref().map(Bundle::hash);
            let bundle = match places.version(place, hash) {
                Some(version) => Some(versions.load(&version)?.0),
                None => configured,
            };
            let Some(bundle) = bundle else { continue };
            let may_enforce = *enforce && place == Place::Active;
            lives.push((place, Arc::new(fresh(Arc::new(bundle), may_enforce)?)));
        }
        Ok(Self { lives, folders, beside, ..Self::default() })
    }

    /// Bundles without state, for questions about the past alone.
    ///
    /// # Errors
    /// As [`Lives::fresh`].
    pub(crate) fn of(bundles: &[Arc<Bundle>]) -> Result<Self, Failure> {
        let live =
            |bundle: &Arc<Bundle>| Ok((Place::Challenger, Arc::new(fresh(Arc::clone(bundle), false)?)));
        let lives = bundles.iter().map(live).collect::<Result<_, Failure>>()?;
        Ok(Self { lives, ..Self::default() })
    }

    /// The same bundles without state, but another one in this place.
    ///
    /// # Errors
    /// As [`Lives::fresh`].
    pub(crate) fn replacing(&self, place: Place, bundle: Bundle) -> Result<Self, Failure> {
        let mut lives = self.fresh()?;
        if let (Some((_, live)), Some(before)) =
            (lives.lives.iter_mut().find(|(other, _)| *other == place), self.at(place))
        {
            let hash = bundle.hash();
            *live = Arc::new(fresh(Arc::new(bundle), before.may_enforce())?);
            // It is what the configured folder holds from now on.
            if let Some((configured, _)) = &mut lives.beside.configured[place as usize] {
                *configured = hash;
            }
        }
        Ok(lives)
    }

    /// Where the bundle of a place was read from.
    pub(crate) fn folder(&self, place: Place) -> Option<&Path> {
        self.folders.iter().find(|(other, _)| *other == place).map(|(_, dir)| dir.as_path())
    }

    /// One bundle, whose records are written down while the journal is replayed into it.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be built, which loading it ruled out.
    pub(crate) fn writing(bundle: Arc<Bundle>, history: Arc<Mutex<HistoryFile>>) -> Result<Self, Failure> {
        let lives = vec![(Place::Challenger, Arc::new(fresh(bundle, false)?))];
        Ok(Self { lives, history: Some(history), ..Self::default() })
    }

    /// The same bundles without state.
    ///
    /// # Errors
    /// [`Failure`] when one cannot be built, which loading it ruled out.
    pub fn fresh(&self) -> Result<Self, Failure> {
        let lives = self.lives.iter().map(|(place, live)| {
            let fresh = live.fresh().map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
            Ok((*place, Arc::new(fresh)))
        });
        lives.collect::<Result<_, Failure>>().map(|lives| Self {
            lives,
            folders: self.folders.clone(),
            beside: Beside { pace: None, ..self.beside.clone() },
            ..Self::default()
        })
    }

    /// Bundles without state, for a replay that somebody watches.
    ///
    /// # Errors
    /// [`Failure`] when one cannot be built, which loading it ruled out.
    pub(crate) fn watched(bundles: Vec<(Place, Arc<Bundle>)>, tap: Tap) -> Result<Self, Failure> {
        let lives = bundles.into_iter().map(|(place, bundle)| Ok((place, Arc::new(fresh(bundle, false)?))));
        let beside = Beside { tap: Some(tap), ..Beside::default() };
        let lives = lives.collect::<Result<_, Failure>>()?;
        Ok(Self { lives, beside, ..Self::default() })
    }

    /// The same without state, with another bundle in a place, or with none there.
    ///
    /// # Errors
    /// [`Failure`] when one cannot be built, which loading it ruled out.
    pub(crate) fn with(
        &self,
        place: Place,
        bundle: Option<Arc<Bundle>>,
        may_enforce: bool,
    ) -> Result<Self, Failure> {
        let mut lives = self.fresh()?;
        lives.lives.retain(|(other, _)| *other != place);
        if let Some(bundle) = bundle {
            lives.lives.push((place, Arc::new(fresh(bundle, may_enforce && place == Place::Active)?)));
        }
        lives.lives.sort_by_key(|(place, _)| *place as usize);
        Ok(lives)
    }

    /// Hash and folder of the bundle that the configuration names for a place, as it was when it was read.
    pub(crate) const fn configured(&self, place: Place) -> Option<&(Digest, PathBuf)> {
        self.beside.configured[place as usize].as_ref()
    }

    /// The bundle of a place.
    #[must_use]
    pub fn at(&self, place: Place) -> Option<&Arc<Live>> {
        self.lives.iter().find(|(other, _)| *other == place).map(|(_, live)| live)
    }

    /// Each with its place.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Arc<Live>)> {
        self.lives.iter().map(|(place, live)| (*place, live))
    }

    /// Whether these are the bundles of those places, byte for byte.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let hashes = |lives: &Self| -> Vec<_> {
            lives.iter().map(|(place, live)| (place.as_str(), live.bundle().hash())).collect()
        };
        hashes(self) == hashes(other)
    }

    /// What they say about a request.
    #[must_use]
    pub fn examine(&self, request: &WithdrawalRequest) -> Vec<Finding> {
        self.lives.iter().flat_map(|(_, live)| live.examine(request)).collect()
    }

    /// What they say about an event that has not happened yet.
    #[must_use]
    pub fn examine_event(&self, event: &Event) -> Vec<Finding> {
        self.iter().flat_map(|(_, live)| live.examine_event(event)).collect()
    }

    /// Takes the time of each step from here on.
    pub(crate) fn take_time(&mut self, pace: Option<Pace>) {
        self.beside.pace = pace;
    }

    /// Who takes the time.
    pub(crate) const fn pace(&self) -> Option<&Pace> {
        self.beside.pace.as_ref()
    }

    fn apply(&self, seq: u64, entry: &Entry<'_>) {
        let pace = self.beside.pace.as_ref();
        for (place, live) in self.iter() {
            let begun = pace.map(Pace::begin);
            live.apply_with(seq, entry, |judged| {
                if let Some(tap) = &self.beside.tap {
                    tap.show(place, live.bundle(), judged);
                }
                if let Some(history) = &self.history {
                    history.lock().record(judged);
                }
                if let Some(scores) = judged.scores {
                    self.drifts.record(place, live.bundle(), judged.row, scores.model);
                }
            });
            if let (Some(pace), Some(begun)) = (pace, begun) {
                pace.stepped(place, begun);
            }
            // What is judged in this place now, so that the past of a bundle is no news.
            self.drifts.settle(place, live.bundle(), live.activation().0);
        }
    }

    pub(crate) fn seed(&self, seed: [u8; 16]) {
        self.lives.iter().for_each(|(_, live)| live.seed(seed));
    }

    /// An event whose entry was made at `arrived`.
    pub(crate) fn event(&self, seq: u64, arrived: UnixNanos, event: &Event) {
        if let EventKind::Label { is_fraud, .. } = &event.kind {
            for (place, live) in self.iter() {
                self.drifts.label(place, live.bundle(), *is_fraud);
            }
        }
        self.apply(seq, &Entry::Event(event));
        if let (Some(pace), EventKind::Label { target, .. }) = (&self.beside.pace, &event.kind)
            && self.iter().any(|(_, live)| live.labelled(target).is_some())
        {
            pace.labelled(arrived);
        }
        if let (Some(history), EventKind::Label { target, is_fraud, .. }) = (&self.history, &event.kind) {
            for (_, live) in self.iter() {
                if let Some(id) = live.labelled(target) {
                    history.lock().label(seq, id, *is_fraud);
                }
            }
        }
    }

    pub(crate) fn decision(&self, seq: u64, decision: &Decision) {
        self.apply(seq, &Entry::Decision(decision));
    }

    pub(crate) fn refusals(&self, seq: u64, refusals: &Refusals) {
        let at = UnixNanos::from_secs(refusals.second);
        let Refusals { ip, reason, account, count, .. } = refusals;
        let account = account.as_ref();
        self.apply(seq, &Entry::Refused { ip: *ip, account, reason, count: *count, at });
    }

    /// A change of a key of this account.
    pub(crate) fn key_change(&self, seq: u64, account: &AccountId, change: &KeyChange) {
        let (at, what) = match change {
            KeyChange::Created(key) => {
                let may_withdraw = key.permissions().contains(auth::Permission::Withdraw);
                (key.created_at(), KeyUse::Created { may_withdraw, ip_bound: !key.ip_allow().is_empty() })
            }
            KeyChange::Seen { sighting, .. } => (sighting.at, KeyUse::Seen { suspect: sighting.suspect }),
            KeyChange::Used { at, .. } => (*at, KeyUse::Used),
            // What a key has spent is told by its orders.
            KeyChange::Spent { .. } => return,
            KeyChange::Frozen { at, .. }
            | KeyChange::Restricted { at, .. }
            | KeyChange::Revoked { at, .. }
            | KeyChange::Unfrozen { at, .. } => (*at, KeyUse::Changed),
        };
        self.apply(seq, &Entry::ApiKey { account, key: change.id(), change: what, at });
    }

    pub(crate) fn alert_recorded(&self, id: &str) {
        self.lives.iter().for_each(|(_, live)| live.alert_recorded(id));
    }

    /// From here on the bundle of a place is another one.
    pub(crate) fn bundle(&self, entry: &FraudBundle) {
        for (place, live) in self.iter().filter(|(place, _)| place.as_str() == entry.place) {
            let is_active = !entry.name.is_empty() && entry.sha256 == live.bundle().hash();
            live.activated(is_active, entry.enforced && place == Place::Active);
        }
    }

    /// A person was erased: what the past looks like without them is no news.
    pub(crate) fn erased(&self) {
        self.lives.iter().for_each(|(_, live)| live.forget_pending());
        self.drifts.forget_pending();
    }

    /// How far features, scores and labels have moved.
    #[must_use]
    pub fn drifts(&self) -> &Drifts {
        &self.drifts
    }

    /// Alerts that wait for their entry.
    fn pending(&self, most: usize) -> Vec<FraudAlert> {
        self.lives.iter().flat_map(|(_, live)| live.pending(most)).take(most).collect()
    }

    /// Whether some alert waits for its entry.
    #[must_use]
    pub(crate) fn has_pending(&self) -> bool {
        self.lives.iter().any(|(_, live)| live.has_pending())
    }

    /// Digests of their states, by place.
    pub(crate) fn digests(&self) -> impl Iterator<Item = (String, String)> {
        self.lives
            .iter()
            .map(|(place, live)| (format!("fraud_bundle.{}", place.as_str()), hex::encode(live.digest())))
    }
}

fn fresh(bundle: Arc<Bundle>, may_enforce: bool) -> Result<Live, Failure> {
    Live::new(bundle, Limits::default(), may_enforce)
        .map_err(|error| Failure::new(Exit::Input, error.to_string()))
}

/// Reads a bundle from its folder.
///
/// # Errors
/// [`Failure`] naming folder, file and what is wrong.
pub fn read(dir: &Path) -> Result<Bundle, Failure> {
    Pieces::read(dir).map(|(bundle, _)| bundle)
}

/// Writes the built-in exchange bundle to a folder that is not there yet, and reads it back.
///
/// # Errors
/// [`Failure`] naming the folder or file that cannot be made; a folder that is there is left as it is.
pub(crate) fn write_new(dir: &Path) -> Result<Bundle, Failure> {
    fs::create_dir(dir).map_err(|error| Failure::io(dir.display(), error))?;
    for (name, text) in fraud::preset::bundle("exchange").into_iter().flatten() {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|error| Failure::io(path.display(), error))?;
    }
    read(dir)
}

/// A bundle in words.
pub(crate) fn told(bundle: &Bundle) -> Value {
    let rules = bundle.rules().map(|set| {
        json!({
            "name": set.name(), "version": set.version(), "rules": set.rules().len(),
            "sha256": hex::encode(set.hash()),
        })
    });
    let model = bundle.model().map(|(file, sha256)| {
        json!({
            "name": file.card.name, "version": file.card.version, "trees": file.model.trees().len(),
            "sha256": hex::encode(sha256),
        })
    });
    let pack = bundle.pack();
    json!({
        "name": bundle.name(), "version": bundle.version(), "sha256": hex::encode(bundle.hash()),
        "pack": {
            "name": pack.name(), "version": pack.version(), "features": pack.columns().len(),
            "sha256": hex::encode(pack.hash()),
        },
        "model": model, "rules": rules, "judges": bundle.manifest().judge,
    })
}

impl Core {
    /// Writes into the journal which bundles judge from here on, where they are others than before.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be recorded; nothing judges anew then.
    pub async fn activate_bundles(&self, reason: &str) -> Result<(), Failure> {
        for place in Place::ALL {
            let lives = self.ground.lives();
            let loaded = lives.at(place).map(|live| live.bundle());
            let recorded = self.ground.read(|fold| fold.bundles().get(place.as_str()).cloned());
            let is_same = match (&loaded, &recorded) {
                (Some(bundle), Some(entry)) => !entry.name.is_empty() && entry.sha256 == bundle.hash(),
                (None, Some(entry)) => entry.name.is_empty(),
                (None, None) => true,
                (Some(_), None) => false,
            };
            if is_same {
                continue;
            }
            if recorded.as_ref().is_some_and(|entry| entry.enforced) {
                tracing::warn!(
                    "the bundle that had an effect is replaced, and the new one begins in shadow: promote it when it was watched"
                );
            }
            let entry = FraudBundle {
                place: place.as_str().to_owned(),
                name: loaded.map(|bundle| bundle.name().to_owned()).unwrap_or_default(),
                version: loaded.map(|bundle| bundle.version().to_owned()).unwrap_or_default(),
                sha256: loaded.map(|bundle| bundle.hash()).unwrap_or_default(),
                enforced: false,
                reason: reason.to_owned(),
            };
            self.record_bundle(entry).await?;
        }
        Ok(())
    }

    /// Writes which bundle judges a place from here on.
    pub(crate) async fn record_bundle(&self, entry: FraudBundle) -> Result<(), Failure> {
        tracing::info!(
            place = entry.place,
            name = entry.name,
            version = entry.version,
            enforced = entry.enforced,
            "the fraud engine judges by this bundle from here on"
        );
        let draft = Draft {
            at: self.clock.now(),
            subject: Subject::System,
            kind: Kind::FraudBundle,
            payload: entry.encode(),
        };
        let recorded = self.ground.record(vec![draft]).await;
        recorded.map(drop).map_err(|error| Failure::new(Exit::Io, error.to_string()))
    }
}

/// Journals the alerts that wait, whenever there are some. Runs until it is aborted; what it did not get to is found
/// again at the next start.
pub async fn record_alerts(core: Arc<Core>) {
    loop {
        let pending = core.ground.lives().pending(ALERTS_BATCH);
        if pending.is_empty() {
            core.ground.alerts_wait().await;
            continue;
        }
        // One by one: an alert about somebody erased meanwhile must not keep the others back.
        for alert in pending {
            let subject = match &alert.entity {
                AlertEntity::Account(account) => Subject::Account(account.clone()),
                AlertEntity::Network(_) => Subject::System,
            };
            let draft = Draft {
                at: core.clock.now(),
                subject,
                kind: Kind::FraudAlert,
                payload: record::encode_fraud_alert(&alert),
            };
            match core.ground.record(vec![draft]).await {
                Ok(_) => {
                    core.meters.alerts.fetch_add(1, Ordering::Relaxed);
                }
                Err(RecordError::Append(AppendError::SubjectErased { .. })) => {
                    core.ground.lives().alert_recorded(&alert.id);
                }
                Err(error) => {
                    tracing::warn!(%error, "a fraud alert was not recorded; it is tried again");
                    tokio::time::sleep(RETRY_AFTER).await;
                    break;
                }
            }
        }
    }
}
