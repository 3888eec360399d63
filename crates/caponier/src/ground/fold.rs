//! The fold: one step per entry, in order.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt::Write as _,
    sync::Arc,
};

use auth::{
    KeyChange, KeyEntry, Registry,
    oauth::{AppApplyError, AppChange, Ledger},
};
use chain::label::Category;
use decide::{AddressBook, KeyedDecision};
use domain::{AlertEntity, Asset, EventId, EventKind};
use fraud::{
    Fraud,
    cases::{CaseEntry, Cases},
    lifecycle::{self, ModelEntry},
};
use identity::requests::{self, Requests};
use journal::{Journal, Kind, Reader, record};
use tlog::{Frontier, Hash};
use watch::{
    customers::Customers,
    rescreen::{self, Ledger as PastTransfers, SaidScan},
    suspicions::Suspicions,
};

use crate::{acts::KEYED_JUDGEMENTS_MAX, rulebook::tallies::Tallies, screenings::KEYED_SCREENINGS_MAX};

use crate::bundles::Lives;
use crate::cases::{of_chain_alert, of_decision, of_fraud_alert, take_screening_alert};
use crate::emergency::Emergencies;
use crate::metrics::Pace;
use crate::trails::{Sort, Trails};

use super::{
    API_KEYS_MAX, FoundBans, GRANTS_MAX, Installation,
    key_acts::KeyActs,
    rejudged::{By, Rejudged},
};

/// Event ids remembered for idempotency; the oldest are forgotten first. 32 bytes each, 64 MiB when full.
pub const EVENT_IDS_MAX: usize = 1_000_000;

/// Changes of who judges that are remembered.
pub(crate) const JUDGED_MAX: usize = 1_024;

/// Why the state cannot be brought up to the journal. Final until the next start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("state stops at entry {position}: {why}")]
pub struct FoldError {
    /// The entry that could not be taken in.
    pub position: u64,
    /// In words.
    pub why: String,
}

/// Who may act for accounts: by a key, or by a grant to an app.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) registry: Arc<Registry>,
    pub(super) ledger: Arc<Ledger>,
    /// Who uses the control API.
    pub(super) people: Arc<identity::Desk>,
    /// What nobody may do at present.
    pub(super) emergencies: Arc<Emergencies>,
}

impl Keys {
    /// For a fold that nothing is served from.
    pub(super) fn scratch() -> Self {
        Self {
            registry: Arc::new(Registry::new(API_KEYS_MAX, 0)),
            ledger: Arc::new(Ledger::new(GRANTS_MAX)),
            people: Arc::default(),
            emergencies: Arc::default(),
        }
    }
}

/// Derived state and how far it has come.
#[derive(Debug)]
pub struct Fold {
    reader: Reader,
    payload: Vec<u8>,
    frontier: Frontier,
    keys: Keys,
    fraud: Arc<Fraud>,
    book: Arc<AddressBook>,
    customers: Arc<Customers>,
    suspicions: Arc<Suspicions>,
    cases: Cases,
    models: lifecycle::Registry,
    tallies: Tallies,
    requests: Requests,
    webhooks: webhook::Ledger,
    lives: Lives,
    /// Which bundle judges each place, as the journal says.
    bundles: BTreeMap<String, record::FraudBundle>,
    /// The newest of those that judged, oldest first.
    judged: VecDeque<(domain::UnixNanos, record::FraudBundle)>,
    event_ids: EventIds,
    counts: BTreeMap<Kind, u64>,
    erased: u64,
    installation: Option<Installation>,
    lists: BTreeMap<String, (domain::UnixNanos, record::ListImported)>,
    last_drill: Option<(domain::UnixNanos, record::BackupDrill)>,
    /// Collected while replaying; `None` once the decider has taken them, since it remembers its own.
    keyed_decisions: Option<VecDeque<KeyedDecision>>,
    /// What was paid and received, for when a list changes.
    transfers: PastTransfers,
    /// What screenings answered, likewise.
    answers: rescreen::Answers,
    /// What was seen on chains, likewise.
    chain_alerts: rescreen::Alerts,
    /// The lists past transfers were last scored against.
    rescreened: Option<[u8; 32]>,
    /// The lists their exposure was last judged by.
    exposures_judged: Option<[u8; 32]>,
    /// How often what was said is said otherwise.
    rejudged: Rejudged,
    /// Collected while replaying; `None` once whoever screens has taken them, since it remembers its own.
    keyed_screenings: Option<VecDeque<record::Screened>>,
    /// Collected while replaying; `None` once the judge has taken them, since it remembers its own.
    keyed_judgements: Option<VecDeque<KeyedDecision>>,
    /// Collected while replaying; `None` once the gateway has taken them, since it remembers its own.
    bans: Option<FoundBans>,
    /// Who did what with each key.
    key_acts: KeyActs,
    failed: Option<FoldError>,
    /// When the newest entry was recorded.
    latest: domain::UnixNanos,
    /// Where things are; `None` in a fold that nobody looks into.
    trails: Option<Box<Trails>>,
}

impl Fold {
    pub(super) fn new(
        journal: &Journal,
        keys: Keys,
        fraud: Arc<Fraud>,
        book: Arc<AddressBook>,
        customers: Arc<Customers>,
        lives: Lives,
    ) -> Self {
        Self {
            reader: journal.reader(0),
            payload: Vec::new(),
            frontier: Frontier::default(),
            keys,
            fraud,
            book,
            customers,
            suspicions: Arc::default(),
            cases: Cases::default(),
            models: lifecycle::Registry::default(),
            tallies: Tallies::default(),
            requests: Requests::default(),
            webhooks: webhook::Ledger::default(),
            lives,
            bundles: BTreeMap::new(),
            judged: VecDeque::new(),
            event_ids: EventIds::default(),
            counts: BTreeMap::new(),
            erased: 0,
            installation: None,
            lists: BTreeMap::new(),
            last_drill: None,
            keyed_decisions: Some(VecDeque::new()),
            transfers: PastTransfers::new(),
            answers: rescreen::Answers::default(),
            chain_alerts: rescreen::Alerts::default(),
            rescreened: None,
            rejudged: Rejudged::default(),
            exposures_judged: None,
            keyed_screenings: Some(VecDeque::new()),
            keyed_judgements: Some(VecDeque::new()),
            bans: Some(FoundBans::default()),
            key_acts: KeyActs::default(),
            failed: None,
            latest: domain::UnixNanos(0),
            trails: None,
        }
    }

    /// From here on remembers where things are, for people who look for them.
    pub(super) fn keep_trails(&mut self) {
        self.trails = Some(Box::default());
    }

    /// Where things are, in a fold that is looked into.
    #[must_use]
    pub(crate) fn trails(&self) -> Option<&Trails> {
        self.trails.as_deref()
    }

    pub(super) fn adopt(&mut self, keys: Keys) {
        keys.emergencies.replace_by(&self.keys.emergencies);
        self.keys = keys;
    }

    /// The bundles at work.
    pub(super) const fn lives(&self) -> &Lives {
        &self.lives
    }

    /// Puts bundles to work that have taken in the same entries.
    pub(super) fn adopt_lives(&mut self, mut lives: Lives) {
        lives.take_time(self.lives.pace().cloned());
        self.lives = lives;
    }

    /// From here on entries are news, and the time is taken that bundles need for them.
    pub(super) fn take_time(&mut self, pace: Option<Pace>) {
        self.lives.take_time(pace);
    }

    /// Which bundle judges each place, as the journal says.
    #[must_use]
    pub const fn bundles(&self) -> &BTreeMap<String, record::FraudBundle> {
        &self.bundles
    }

    /// Which bundles judged, in whatever place, oldest first: the last [`JUDGED_MAX`] changes.
    pub(crate) fn judged(
        &self,
    ) -> impl DoubleEndedIterator<Item = &(domain::UnixNanos, record::FraudBundle)> {
        self.judged.iter()
    }

    /// What rules did.
    pub(crate) const fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Entries taken in.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.reader.position()
    }

    /// RFC 6962 root over the entries taken in, computed here and not taken from the journal.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Whether an event of this id was taken in.
    #[must_use]
    pub fn knows_event(&self, id: &EventId) -> bool {
        self.event_ids.contains(id)
    }

    /// What the first entries say about the installation.
    #[must_use]
    pub const fn installation(&self) -> Option<&Installation> {
        self.installation.as_ref()
    }

    /// Whom models suspect.
    #[must_use]
    pub const fn suspicions(&self) -> &Arc<Suspicions> {
        &self.suspicions
    }

    /// What people look at.
    #[must_use]
    pub const fn cases(&self) -> &Cases {
        &self.cases
    }

    /// Models, and which of them are in force.
    #[must_use]
    pub const fn models(&self) -> &lifecycle::Registry {
        &self.models
    }

    /// Changes that take two persons.
    #[must_use]
    pub const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Who is told of what, and how far.
    #[must_use]
    pub const fn webhooks(&self) -> &webhook::Ledger {
        &self.webhooks
    }

    /// The newest import of each list, and when it was recorded.
    #[must_use]
    pub const fn lists(&self) -> &BTreeMap<String, (domain::UnixNanos, record::ListImported)> {
        &self.lists
    }

    /// The newest drill.
    #[must_use]
    pub const fn last_drill(&self) -> Option<&(domain::UnixNanos, record::BackupDrill)> {
        self.last_drill.as_ref()
    }

    /// Entries that cannot be read any more because their person was erased.
    pub(super) const fn erased(&self) -> u64 {
        self.erased
    }

    /// Entries per kind.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<Kind, u64> {
        &self.counts
    }

    /// What the decider needs of decisions that carry an idempotency key, oldest first, at most as many as it
    /// remembers. Taken once, by the decider at start; nothing is collected afterwards.
    pub fn take_keyed_decisions(&mut self) -> VecDeque<KeyedDecision> {
        self.keyed_decisions.take().unwrap_or_default()
    }

    /// Screenings with an idempotency key, oldest first, at most as many as are remembered. Taken once, by whoever screens;
    /// nothing is collected afterwards.
    pub fn take_keyed_screenings(&mut self) -> VecDeque<record::Screened> {
        self.keyed_screenings.take().unwrap_or_default()
    }

    /// What the judge needs of judgements with an idempotency key, oldest first. Taken once, by the judge at start.
    pub fn take_keyed_judgements(&mut self) -> VecDeque<KeyedDecision> {
        self.keyed_judgements.take().unwrap_or_default()
    }

    /// What was paid and received.
    #[must_use]
    pub const fn transfers(&self) -> &PastTransfers {
        &self.transfers
    }

    /// What screenings answered.
    #[must_use]
    pub const fn answers(&self) -> &rescreen::Answers {
        &self.answers
    }

    /// Answers of screenings and alerts of chains from an entry on, to be held against lists.
    #[must_use]
    pub fn said(&self, from: u64) -> SaidScan {
        SaidScan::of(&self.answers, &self.chain_alerts, from)
    }

    /// How often what was said before was said otherwise because a list changed.
    pub(crate) const fn rejudged(&self) -> &Rejudged {
        &self.rejudged
    }

    /// The lists that past transfers were last scored against.
    #[must_use]
    pub const fn rescreened(&self) -> Option<[u8; 32]> {
        self.rescreened
    }

    /// The lists that the exposure of past transfers was last judged by.
    #[must_use]
    pub const fn exposures_judged(&self) -> Option<[u8; 32]> {
        self.exposures_judged
    }

    /// Bans that may still matter. Taken once, by the gateway at start; nothing is collected afterwards.
    pub fn take_bans(&mut self) -> FoundBans {
        self.bans.take().unwrap_or_default()
    }

    /// Takes in durable entries below `end`.
    pub(super) fn catch_up(&mut self, journal: &Journal, end: u64) -> Result<(), FoldError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while self.reader.position() < end {
            let position = self.reader.position();
            let step = match self.reader.next_ref() {
                None => return Ok(()),
                Some(Err(error)) => Err(error.to_string()),
                Some(Ok(entry)) => {
                    self.frontier.append(tlog::leaf_hash(entry.bytes));
                    journal
                        .open_payload_into(&entry, &mut self.payload)
                        .map(|readable| (entry.kind, entry.at, readable))
                        .map_err(|error| error.to_string())
                }
            };
            let stepped =
                step.and_then(|(kind, at, readable)| self.step(journal, position, kind, at, readable));
            if let Err(why) = stepped {
                let error = FoldError { position, why };
                self.failed = Some(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes in one entry, whose payload is in `self.payload` unless its subject was erased.
    fn step(
        &mut self,
        journal: &Journal,
        position: u64,
        kind: Kind,
        at: domain::UnixNanos,
        readable: bool,
    ) -> Result<(), String> {
        *self.counts.entry(kind).or_default() += 1;
        self.latest = at;
        if !readable {
            self.erased += 1;
            return Ok(());
        }
        let payload = self.payload.as_slice();
        let malformed = |error: &dyn std::fmt::Display| error.to_string();
        match kind {
            Kind::Event => {
                let event = record::decode_event(payload).map_err(|error| malformed(&error))?;
                self.fraud.apply(position, &event);
                self.book.apply(&event);
                self.customers.apply(&event);
                self.transfers.apply_event(position, &event);
                self.lives.event(position, at, &event);
                self.tallies.event(position, &event);
                if let Some(trails) = &mut self.trails {
                    trails.event(position, &event);
                }
                self.event_ids.insert(&event.id);
                if let EventKind::OrderFilled { instrument, price, .. } = &event.kind
                    && let Some((base, quote)) = pair(instrument)
                {
                    self.cases.fill(&base, &quote, *price);
                }
            }
            Kind::Decision => {
                let decision = record::decode_decision(payload).map_err(|error| malformed(&error))?;
                self.fraud.apply_decision(position, &decision);
                self.customers.apply_decision(&decision);
                self.transfers.apply_decision(position, &decision);
                self.lives.decision(position, &decision);
                self.tallies.decision(position, at, &decision);
                if let Some(trails) = &mut self.trails {
                    trails.decision(position, &decision);
                }
                if let Some(held) = decide::release_used(&decision) {
                    self.cases.used(held, position);
                }
                if let Some(trigger) = of_decision(position, at, &decision) {
                    self.cases.trigger(&trigger);
                }
                if let (Some(kept), Some(keyed)) =
                    (&mut self.keyed_decisions, KeyedDecision::of(position, &decision))
                {
                    if kept.len() >= decide::MAX_KEYS {
                        kept.pop_front();
                    }
                    kept.push_back(keyed);
                }
            }
            Kind::Judgement => {
                let judgement = record::decode_judgement(payload).map_err(|error| malformed(&error))?;
                self.answers.apply_answers(position, crate::acts::answered(&judgement));
                if let (Some(kept), Some(keyed)) =
                    (&mut self.keyed_judgements, KeyedDecision::of_judgement(position, &judgement))
                {
                    if kept.len() >= KEYED_JUDGEMENTS_MAX {
                        kept.pop_front();
                    }
                    kept.push_back(keyed);
                }
            }
            Kind::ApiKey => {
                let KeyEntry { by, change } = KeyEntry::decode(payload).map_err(|error| malformed(&error))?;
                let account = match &change {
                    KeyChange::Created(key) => Some(key.account().clone()),
                    // Before it is taken in: of a revoked key only the id is kept.
                    other => self.keys.registry.summary(other.id()).map(|summary| summary.account),
                };
                if let Some(account) = account {
                    self.lives.key_change(position, &account, &change);
                    // What a key has spent is said once an hour by every key that trades, and told by its orders.
                    if let Some(trails) =
                        self.trails.as_mut().filter(|_| !matches!(change, KeyChange::Spent { .. }))
                    {
                        trails.account(position, &account, Sort::Key);
                    }
                }
                self.key_acts.apply(&change, by);
                self.keys.registry.apply(change).map_err(|error| malformed(&error))?;
            }
            Kind::Oauth => {
                let change = AppChange::decode(payload).map_err(|error| malformed(&error))?;
                let account = match &change {
                    AppChange::Granted(new) => Some(new.account.clone()),
                    change => change.grant().and_then(|grant| self.keys.ledger.account_of(grant)),
                };
                if let (Some(trails), Some(account)) = (&mut self.trails, account) {
                    trails.account(position, &account, Sort::Key);
                }
                match self.keys.ledger.apply(change) {
                    // Two customers at once may take the last place; for one of them the token is of no use.
                    Ok(()) | Err(AppApplyError::GrantsFull { .. }) => {}
                    Err(error) => return Err(malformed(&error)),
                }
            }
            Kind::Identity => {
                let change = identity::Change::decode(payload).map_err(|error| malformed(&error))?;
                self.keys.people.apply(change, at);
            }
            Kind::Emergency => {
                let entry = record::Emergency::decode(payload).map_err(|error| malformed(&error))?;
                self.keys.emergencies.apply(position, entry, at)?;
            }
            Kind::ListImported => {
                let list = record::ListImported::decode(payload).map_err(|error| malformed(&error))?;
                self.lists.insert(list.name.clone(), (at, list));
            }
            Kind::ListRemoved => {
                let removed = record::ListRemoved::decode(payload).map_err(|error| malformed(&error))?;
                self.lists.remove(&removed.name);
            }
            Kind::BackupDrill => {
                let drill = record::BackupDrill::decode(payload).map_err(|error| malformed(&error))?;
                self.last_drill = Some((at, drill));
            }
            Kind::Ban => {
                if let Some(bans) = &mut self.bans {
                    bans.apply(record::Ban::decode(payload).map_err(|error| malformed(&error))?, at);
                }
            }
            Kind::Screening => {
                let screening = record::Screening::decode(payload).map_err(|error| malformed(&error))?;
                self.screening(journal, position, at, screening)?;
            }
            Kind::Suspicion => {
                let suspicion = record::Suspicion::decode(payload).map_err(|error| malformed(&error))?;
                let (address, chains) = crate::suspicions::about(&self.suspicions, &suspicion)?;
                if let (Some(trails), Some(address)) = (&mut self.trails, address) {
                    trails.suspicion(position, address);
                }
                crate::cases::take_suspicion(&mut self.cases, (position, at), &suspicion, &chains);
                crate::suspicions::apply(&self.suspicions, position, at, suspicion)?;
            }
            Kind::FraudAlert => {
                let alert = record::decode_fraud_alert(payload).map_err(|error| malformed(&error))?;
                self.lives.alert_recorded(&alert.id);
                self.tallies.alert(at, &alert);
                if let (Some(trails), AlertEntity::Account(account)) = (&mut self.trails, &alert.entity) {
                    trails.account(position, account, Sort::Alert);
                }
                self.cases.trigger(&of_fraud_alert(position, at, alert));
            }
            Kind::FraudBundle => {
                let bundle = record::FraudBundle::decode(payload).map_err(|error| malformed(&error))?;
                self.lives.bundle(&bundle);
                self.bundles.insert(bundle.place.clone(), bundle.clone());
                if self.judged.len() == JUDGED_MAX {
                    self.judged.pop_front();
                }
                self.judged.push_back((at, bundle));
            }
            Kind::Refusals => {
                let refusals = record::Refusals::decode(payload).map_err(|error| malformed(&error))?;
                self.lives.refusals(position, &refusals);
            }
            Kind::SubjectErased => self.lives.erased(),
            Kind::ChainAlert => {
                let alert = record::ChainAlert::decode(payload).map_err(|error| malformed(&error))?;
                if let Some(trails) = &mut self.trails {
                    trails.chain_alert(position, &alert);
                }
                if alert.state == "retracted" {
                    let said = self.chain_alerts.apply_retracted(&alert.id);
                    self.cases.retract(&alert.id, at);
                    // What a list said of it later has no ground any more either.
                    if let Some((entry, Some(category))) = said {
                        self.cases.withdraw(&crate::cases::said_of(entry, category.as_str()), at);
                    }
                } else {
                    self.chain_alerts.apply_seen(position, &crate::screenings::seen_alert(&alert)?);
                }
                if alert.state != "retracted"
                    && let Some(trigger) = of_chain_alert(position, at, alert)
                {
                    self.cases.trigger(&trigger);
                }
            }
            Kind::Case => {
                let entry = CaseEntry::decode(payload).map_err(|error| malformed(&error))?;
                match (&mut self.trails, &entry) {
                    (Some(trails), CaseEntry::Action(done)) => {
                        if let Some(case) = self.cases.case(done.case) {
                            trails.case(position, &case.entity);
                        }
                    }
                    (Some(trails), CaseEntry::Appealed(appealed)) => {
                        trails.account(position, &appealed.account, Sort::Case);
                    }
                    _ => {}
                }
                // One that breaks a rule changes nothing and is counted: whoever wrote it was told.
                drop(self.cases.apply(position, at, entry));
            }
            Kind::ChangeRequest => {
                let entry = requests::Entry::decode(payload).map_err(|error| malformed(&error))?;
                // One that breaks a rule changes nothing and is counted: whoever wrote it was told.
                drop(self.requests.apply(position, at, entry));
            }
            Kind::Webhook => {
                let entry = webhook::Entry::decode(payload).map_err(|error| malformed(&error))?;
                // One that breaks a rule changes nothing and is counted.
                self.webhooks.apply(position, at, entry);
            }
            Kind::Model => {
                let entry = ModelEntry::decode(payload).map_err(|error| malformed(&error))?;
                if let ModelEntry::Drifted(drifted) = &entry {
                    self.lives.drifts().recorded(drifted);
                }
                // One that breaks a gate changes nothing and is counted: whoever wrote it was told.
                drop(self.models.apply(at, entry));
            }
            Kind::Installation => {
                let installation = Installation::decode(payload).map_err(|error| malformed(&error))?;
                if self.installation.is_some() {
                    return Err("a second installation entry".to_owned());
                }
                self.lives.seed(installation.entity_seed());
                self.installation = Some(installation);
            }
            // Nothing is derived from these but their number.
            _ => {}
        }
        Ok(())
    }

    fn screening(
        &mut self,
        journal: &Journal,
        position: u64,
        at: domain::UnixNanos,
        screening: record::Screening,
    ) -> Result<(), String> {
        match screening {
            record::Screening::Screened(screened) => {
                if let Some(trails) = &mut self.trails {
                    trails.screened(position, &screened);
                }
                self.answers.apply_answers(position, crate::screenings::answers_of(&screened)?);
                if let Some(kept) = &mut self.keyed_screenings
                    && screened.idempotency_key.is_some()
                {
                    if kept.len() >= KEYED_SCREENINGS_MAX {
                        kept.pop_front();
                    }
                    kept.push_back(screened);
                }
            }
            record::Screening::Rescreened(done) => {
                self.rejudged.round();
                self.rescreened = Some(done.lists);
            }
            record::Screening::Alert(alert) => {
                let category = category(alert.category.as_deref())?;
                let before = match alert.way.as_str() {
                    "answer" => {
                        let address = crate::screenings::address_of(&alert.address)?;
                        self.answers.apply_alert(&address, category)
                    }
                    "chain_alert" => self.chain_alerts.apply_alert(alert.entry, category),
                    _ => self.transfers.apply_alert(alert.entry, category),
                };
                self.rejudged.said(By::List, &alert.way, category.is_some());
                let before = before.map(Category::as_str);
                take_screening_alert(&mut self.cases, journal, (position, at), &alert, before);
            }
            record::Screening::Exposure(alert) => {
                let category = category(alert.category.as_deref())?;
                self.rejudged.said(By::Exposure, &alert.way, category.is_some());
                if alert.way == "answer" {
                    let address = crate::screenings::address_of(&alert.address)?;
                    self.answers.apply_exposure(&address, category);
                } else {
                    self.transfers.apply_exposure(alert.entry, category);
                }
            }
            record::Screening::Exposures(judged) => self.exposures_judged = Some(judged.lists),
        }
        Ok(())
    }

    /// Who did what with a key that is not revoked, newest first.
    pub(crate) fn key_acts(&self, id: &domain::ApiKeyId) -> Vec<crate::control::KeyAct> {
        self.key_acts.of(id)
    }

    /// What two states are compared by. The time a key was last used is left out: it moves ahead of the journal
    /// within a day. So is what a key has spent: it moves ahead of what is reserved.
    pub(super) fn digest_parts(&self) -> BTreeMap<String, String> {
        let mut parts = BTreeMap::new();
        for (kind, count) in &self.counts {
            parts.insert(format!("entries.{}", kind.as_str()), count.to_string());
        }
        parts.insert("entries.erased".to_owned(), self.erased.to_string());
        let mut keys = String::new();
        for key in self.keys.registry.summaries() {
            let _ = writeln!(
                keys,
                "{} {} {:?} {} {:?} {:?} {:?} {} {:?} {:?}",
                key.id,
                key.account,
                key.label,
                key.permissions.bits(),
                key.ip_allow,
                key.environment,
                key.state,
                key.created_at.0,
                key.restrictions,
                key.restricted_at
            );
        }
        parts.insert("api_keys".to_owned(), hex::encode(crypto::sha256(&[keys.as_bytes()])));
        parts.insert("key_acts".to_owned(), hex::encode(self.key_acts.digest()));
        parts.insert("emergencies".to_owned(), hex::encode(self.keys.emergencies.digest()));
        parts.insert("people".to_owned(), hex::encode(self.keys.people.digest()));
        parts.insert("apps".to_owned(), hex::encode(crypto::sha256(&[self.apps_text().as_bytes()])));
        parts.insert("fraud".to_owned(), hex::encode(self.fraud.digest()));
        parts.extend(self.lives.digests());
        parts.insert("address_book".to_owned(), hex::encode(self.book.digest()));
        parts.insert("customers".to_owned(), hex::encode(self.customers.digest()));
        parts.insert("suspicions".to_owned(), hex::encode(self.suspicions.digest()));
        parts.insert("transfers".to_owned(), hex::encode(self.transfers.digest()));
        parts.insert("answers".to_owned(), hex::encode(self.answers.digest()));
        parts.insert("chain_alerts".to_owned(), hex::encode(self.chain_alerts.digest()));
        parts.insert("cases".to_owned(), hex::encode(self.cases.digest()));
        parts.insert("webhooks".to_owned(), hex::encode(self.webhooks.digest()));
        parts.insert("requests".to_owned(), hex::encode(self.requests.digest()));
        parts.insert("models".to_owned(), hex::encode(self.models.digest()));
        parts.insert("event_ids".to_owned(), self.event_ids.digest());
        for (name, (_, list)) in &self.lists {
            parts.insert(format!("list.{name}"), format!("{} {}", list.entries, hex::encode(list.sha256)));
        }
        parts
    }
}

/// The category of a name, if there is one.
pub(crate) fn category(name: Option<&str>) -> Result<Option<Category>, String> {
    let Some(name) = name else { return Ok(None) };
    let found = Category::ALL.iter().copied().find(|category| category.as_str() == name);
    found.map(Some).ok_or_else(|| format!("{name:?} is no category"))
}

/// `BTC-USDT` as its two assets; contracts that expire or options have more parts and are no price of an asset.
fn pair(instrument: &str) -> Option<(Asset, Asset)> {
    let (base, quote) = instrument.split_once('-')?;
    if quote.contains('-') {
        return None;
    }
    Some((Asset::parse(base).ok()?, Asset::parse(quote).ok()?))
}

impl Fold {
    /// Apps, and the grants that had not run out when the newest entry was recorded. How often a grant was refreshed is
    /// left out: it moves ahead of the journal.
    fn apps_text(&self) -> String {
        let mut text = String::new();
        for app in self.keys.ledger.apps() {
            let _ = writeln!(
                text,
                "{} {:?} {:?} {} {} {}",
                app.client_id(),
                app.name(),
                app.redirect_uris(),
                app.scopes().bits(),
                app.registered_at().0,
                app.is_enabled()
            );
        }
        for grant in self.keys.ledger.grants(self.latest) {
            let _ = writeln!(
                text,
                "{} {} {} {} {:?} {:?} {} {}",
                grant.key_id,
                grant.app.client_id(),
                grant.account,
                grant.scopes.bits(),
                grant.environment,
                grant.restrictions,
                grant.granted_at.0,
                grant.expires_at.0
            );
        }
        text
    }
}

/// Ids of events taken in, as digests: bounded, and no client text is kept.
#[derive(Debug, Default)]
struct EventIds {
    known: HashSet<[u8; 16], foldhash::fast::RandomState>,
    oldest_first: VecDeque<[u8; 16]>,
}

impl EventIds {
    fn short(id: &EventId) -> [u8; 16] {
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(crypto::sha256(&[id.as_str().as_bytes()])) {
            *to = from;
        }
        short
    }

    fn contains(&self, id: &EventId) -> bool {
        self.known.contains(&Self::short(id))
    }

    fn insert(&mut self, id: &EventId) {
        let short = Self::short(id);
        if !self.known.insert(short) {
            return;
        }
        if self.oldest_first.len() >= EVENT_IDS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.oldest_first.push_back(short);
    }

    fn digest(&self) -> String {
        let mut hasher = crypto::Sha256::new();
        self.oldest_first.iter().for_each(|id| hasher.update(id));
        hex::encode(hasher.finish())
    }
}
