//! A bundle at work: a fold over the journal with the state of its features, asked for findings and raising alerts.
//!
//! [`Live::apply`] takes each entry once, in journal order, and is the one step of serving, recovery, restore drills and
//! training exports. [`Live::examine`] gives the findings on a request that is not in the journal yet and changes nothing:
//! its features are those the request will have when it comes to stand there, computed as of what was applied by then
//! (the evidence `as_of`).
//!
//! # Alerts
//! An entry of a judged kind on which rules or scores fire raises an alert, unless the same finding about the same entity
//! was raised less than `quiet_secs` before. Requests raise none: their decisions hold the findings. Alerts wait in
//! [`Live::pending`] until their own entry is in the journal, which [`Live::alert_recorded`] tells; after a crash the replay
//! finds those again whose entry is missing. A bundle raises alerts from the entry on that made it the one to judge
//! ([`Live::activated`]): what it would have said of the past is not news.
//!
//! # Bounds
//! [`Limits`] of the feature engine; [`PENDING_MAX`] alerts that wait; [`QUIET_MAX`] findings remembered for quiet.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crypto::Sha256;
use domain::{
    AlertEntity, Amount, Event, EventKind, Finding, FraudAlert, LabelTarget, Ppm, UnixNanos, Verdict,
    WithdrawalRequest,
};
use features::{Counts, EntityHash, EntityTable, Label, Limits, StateDigest, Stepped, Usage};
use parking_lot::Mutex;
use scoring::anomaly::HalfSpaceTrees;

use super::{
    bundle::{Bundle, BundleError},
    judge::{Bench, Scores, features_sha256},
    record::{Cell, Entry, Field, RECORDS_MAX, Record, RecordId, Recorder, kind, labelled},
};

/// Alerts that wait for their entry; the oldest is lost and counted.
pub const PENDING_MAX: usize = 10_000;
/// Findings remembered so that they are not raised again at once.
pub const QUIET_MAX: usize = 100_000;

/// A record as it was judged, for exports of training data and for replays.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Position of its entry in the journal.
    pub entry: u64,
    /// The record.
    pub record: &'a Record<'a>,
    /// What the feature engine made of it.
    pub stepped: Stepped,
    /// Its features, in the order of the pack.
    pub row: &'a [f64],
    /// Its scores, if its kind is judged.
    pub scores: Option<Scores>,
    /// The rules that fire on it, if its kind is judged and the bundle has rules.
    pub hits: Option<&'a rules::Hits>,
    /// What labels name it by, as the feature engine knows it.
    pub id: u64,
    /// Whose account, hashed under the secret of the installation.
    pub subject: Option<u64>,
}

/// What the engine did, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveCounts {
    /// Records taken in.
    pub records: u64,
    /// Records the feature engine refused: a value out of its range.
    pub refused: u64,
    /// Records judged.
    pub judged: u64,
    /// Alerts raised.
    pub alerts: u64,
    /// Alerts not raised because the same one was raised shortly before.
    pub quiet: u64,
    /// Alerts lost because too many waited.
    pub lost: u64,
    /// Labels that reached their record.
    pub labels: u64,
    /// Labels whose record is not remembered.
    pub labels_unmatched: u64,
}

/// Upper ends of the ranges scores are counted in.
pub const SCORE_RANGES: [f64; 10] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99];

/// How judged records came out, for metrics. Not part of the state: two folds may tell it apart by what was asked of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// Requests examined, by the strictest thing asked for: allow, challenge, hold, deny; without effect.
    pub examined_in_shadow: [u64; 4],
    /// The same, with effect.
    pub examined_in_force: [u64; 4],
    /// Judged records by score: at most each of [`SCORE_RANGES`] and above the one before; then the rest.
    pub scores: [u64; SCORE_RANGES.len() + 1],
    /// Sum of all scores.
    pub scores_sum: f64,
    /// Judged records on which each rule fired, in the order of the set.
    pub rules: Vec<u64>,
}

impl Tally {
    fn examined(&mut self, findings: &[Finding]) {
        // In shadow when nothing asks for more in force.
        let strictest = |shadow: bool| {
            findings.iter().filter(|finding| finding.shadow == shadow).map(|finding| finding.verdict).max()
        };
        let (asked, wished) = (strictest(false), strictest(true));
        let (counts, verdict) = match (asked, wished) {
            (Some(asked), wished) if wished.is_none_or(|wished| asked >= wished) => {
                (&mut self.examined_in_force, asked)
            }
            (_, wished) => (&mut self.examined_in_shadow, wished.unwrap_or(Verdict::Allow)),
        };
        let place = [Verdict::Allow, Verdict::Challenge, Verdict::Hold, Verdict::Deny]
            .iter()
            .position(|known| *known == verdict);
        if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }

    fn judged(&mut self, scores: Scores, fired: impl Iterator<Item = usize>) {
        if let Some(score) = scores.model {
            let range = SCORE_RANGES.iter().position(|end| score <= *end).unwrap_or(SCORE_RANGES.len());
            self.scores[range] += 1;
            self.scores_sum += score;
        }
        for rule in fired {
            if let Some(count) = self.rules.get_mut(rule) {
                *count += 1;
            }
        }
    }
}

#[derive(Debug)]
struct State {
    seed: EntityHash,
    recorder: Recorder,
    features: features::Engine,
    anomaly: Option<HalfSpaceTrees>,
    bench: Bench,
    values: Vec<features::Value>,
    /// Entries of the journal applied, those without a record included: one more than the position of the last one.
    entries: u64,
    counts: LiveCounts,
    tally: Tally,
    /// Over position, features and scores of every judged record.
    digest: Sha256,
    /// When each finding about an entity was last raised.
    quiet: EntityTable<u64, UnixNanos>,
    /// Whether this bundle is the one to judge, from an entry on.
    is_active: bool,
    is_promoted: bool,
    pending: Vec<FraudAlert>,
}

/// See the module's head. Calls take a short lock and never wait for anything else.
#[derive(Debug)]
pub struct Live {
    bundle: Arc<Bundle>,
    limits: Limits,
    may_enforce: AtomicBool,
    state: Mutex<State>,
}

impl Live {
    /// An engine that has seen nothing; replay the journal into it. `may_enforce`: whether a promoted bundle has an
    /// effect.
    ///
    /// # Errors
    /// [`BundleError`] when its anomaly trees cannot be built, which loading it ruled out.
    pub fn new(bundle: Arc<Bundle>, limits: Limits, may_enforce: bool) -> Result<Self, BundleError> {
        let state = State {
            seed: EntityHash::new([0; 16]),
            recorder: Recorder::default(),
            features: features::Engine::new(Arc::clone(bundle.pack()), limits),
            anomaly: bundle.anomaly_trees()?,
            bench: Bench::new(&bundle),
            values: Vec::new(),
            entries: 0,
            counts: LiveCounts::default(),
            tally: Tally {
                rules: vec![0; bundle.rules().map_or(0, |set| set.rules().len())],
                ..Tally::default()
            },
            digest: Sha256::new(),
            quiet: EntityTable::new(QUIET_MAX),
            is_active: false,
            is_promoted: false,
            pending: Vec::new(),
        };
        Ok(Self { bundle, limits, may_enforce: AtomicBool::new(may_enforce), state: Mutex::new(state) })
    }

    /// The same bundle without state, to be folded anew.
    ///
    /// # Errors
    /// As [`Live::new`].
    pub fn fresh(&self) -> Result<Self, BundleError> {
        Self::new(Arc::clone(&self.bundle), self.limits, self.may_enforce.load(Ordering::Relaxed))
    }

    /// The bundle.
    #[must_use]
    pub const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Hashes entities under this secret of the installation from here on: before the first record.
    pub fn seed(&self, seed: [u8; 16]) {
        self.state.lock().seed = EntityHash::new(seed);
    }

    /// Whether a promoted bundle has an effect from now on.
    pub fn set_may_enforce(&self, may_enforce: bool) {
        self.may_enforce.store(may_enforce, Ordering::Relaxed);
    }

    /// Whether a promoted bundle has an effect.
    #[must_use]
    pub fn may_enforce(&self) -> bool {
        self.may_enforce.load(Ordering::Relaxed)
    }

    /// From the next entry on this bundle is the one to judge, or is not any more. `is_promoted`: somebody said that its
    /// findings are to have an effect.
    pub fn activated(&self, is_active: bool, is_promoted: bool) {
        let mut state = self.state.lock();
        state.is_active = is_active;
        state.is_promoted = is_active && is_promoted;
    }

    /// Whether it is the one to judge, and whether it was promoted.
    #[must_use]
    pub fn activation(&self) -> (bool, bool) {
        let state = self.state.lock();
        (state.is_active, state.is_promoted)
    }

    /// Whether its findings have an effect.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.may_enforce.load(Ordering::Relaxed) && self.state.lock().is_promoted
    }

    /// Takes in the entry at position `seq`. Call once per entry, in journal order.
    pub fn apply(&self, seq: u64, entry: &Entry<'_>) {
        self.apply_with(seq, entry, |_| ());
    }

    /// As [`Live::apply`]; `each` is shown every record with its features, as they were before anything later.
    pub fn apply_with(&self, seq: u64, entry: &Entry<'_>, mut each: impl FnMut(&Judged<'_>)) {
        let may_enforce = self.may_enforce.load(Ordering::Relaxed);
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let mut recorder = std::mem::take(&mut state.recorder);
        recorder.records(seq, entry, |record| {
            state.step(&self.bundle, may_enforce, seq, record, &mut each);
        });
        state.recorder = recorder;
        state.entries = seq.saturating_add(1);
        // After its own record: what a label says was not known before it.
        if let Entry::Event(event) = entry
            && let EventKind::Label { target, is_fraud, .. } = &event.kind
            && let Some(id) = labelled(target)
        {
            state.label(id, *is_fraud);
        }
    }

    /// What a label names, as [`Judged::id`] has it; `None` for an account as a whole.
    #[must_use]
    pub fn labelled(&self, target: &LabelTarget) -> Option<u64> {
        let seed = self.state.lock().seed;
        labelled(target).map(|id| id.with_bytes(|bytes| seed.of(bytes)))
    }

    /// What behaviour says about a request. Depends on the applied entries, the request and the bundle only, and changes
    /// nothing. Never empty: what speaks for the request, and what judged, is told as well.
    #[must_use]
    pub fn examine(&self, request: &WithdrawalRequest) -> Vec<Finding> {
        self.found(|recorder, position| recorder.request(position, request))
    }

    /// [`Live::examine`] of an event that has not happened yet. Empty where the bundle does not judge events of its kind.
    #[must_use]
    pub fn examine_event(&self, event: &Event) -> Vec<Finding> {
        if !self.bundle.manifest.judge.iter().any(|kind| *kind == event.kind.as_str()) {
            return Vec::new();
        }
        self.found(|recorder, position| recorder.event(position, event))
    }

    fn found<'a>(&self, record: impl FnOnce(&Recorder, u64) -> Record<'a>) -> Vec<Finding> {
        let is_in_shadow = !self.is_enforced();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let record = record(&state.recorder, state.entries.saturating_mul(RECORDS_MAX));
        let scores = state.preview(&self.bundle, &record);
        let mut findings = self.bundle.findings(&state.bench, scores, is_in_shadow, false);
        let provenance = self.bundle.provenance(&state.bench, state.entries);
        state.tally.examined(&findings);
        match findings.first_mut() {
            Some(first) => first.evidence.extend(provenance),
            None => findings.push(Finding {
                source: domain::FindingSource::Fraud,
                code: domain::ReasonCode::new("fraud.bundle_quiet"),
                verdict: Verdict::Allow,
                shadow: is_in_shadow,
                message: format!("nothing in bundle {} {} fired", self.bundle.name(), self.bundle.version()),
                evidence: provenance,
                would_pass_if: None,
            }),
        }
        findings
    }

    /// Scores and digest of the features of a request as of now, for comparison with what was journalled.
    #[must_use]
    pub fn scores_of(&self, request: &WithdrawalRequest) -> (Scores, [u8; 32]) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let record = state.recorder.request(state.entries.saturating_mul(RECORDS_MAX), request);
        let scores = state.preview(&self.bundle, &record);
        (scores, features_sha256(&state.bench.row))
    }

    /// Alerts whose entry is not in the journal yet, the oldest first, at most `most`.
    #[must_use]
    pub fn pending(&self, most: usize) -> Vec<FraudAlert> {
        self.state.lock().pending.iter().take(most).cloned().collect()
    }

    /// Whether some alert waits for its entry.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.state.lock().pending.is_empty()
    }

    /// The entry of an alert is in the journal.
    pub fn alert_recorded(&self, id: &str) {
        self.state.lock().pending.retain(|alert| alert.id != id);
    }

    /// Forgets the alerts that wait. After the erasure of a person the past looks different without them, and what it
    /// looks like now is no news.
    pub fn forget_pending(&self) {
        self.state.lock().pending.clear();
    }

    /// SHA-256 of the whole state, and of all features and scores so far. Takes time linear in the state.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let state = self.state.lock();
        let mut digest = StateDigest::new("caponier live fraud engine 1");
        digest.bytes(&self.bundle.hash());
        digest.bytes(&state.features.digest());
        state.recorder.feed(&mut digest);
        let LiveCounts { records, refused, judged, alerts, quiet, lost, labels, labels_unmatched } =
            state.counts;
        for number in [records, refused, judged, alerts, quiet, lost, labels, labels_unmatched] {
            digest.number(number);
        }
        digest.number(state.entries);
        digest.number(u64::from(state.is_active) | u64::from(state.is_promoted) << 1);
        digest.bytes(&state.digest.clone().finish());
        digest.number(state.quiet.len() as u64);
        for (finding, at) in state.quiet.iter() {
            digest.number(*finding);
            digest.time(*at);
        }
        digest.finish()
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> LiveCounts {
        self.state.lock().counts
    }

    /// How what it judged came out: records since the beginning of the journal, requests since it was put to work.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.state.lock().tally.clone()
    }

    /// What its feature engine did.
    #[must_use]
    pub fn feature_counts(&self) -> Counts {
        self.state.lock().features.counts()
    }

    /// What its feature engine did, and holds. Takes time linear in the entities.
    #[must_use]
    pub fn usage(&self) -> (Counts, Usage) {
        let state = self.state.lock();
        (state.features.counts(), state.features.usage())
    }

    /// Entries of the journal applied.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.state.lock().entries
    }
}

impl State {
    fn step(
        &mut self,
        bundle: &Bundle,
        may_enforce: bool,
        seq: u64,
        record: &Record<'_>,
        each: &mut impl FnMut(&Judged<'_>),
    ) {
        self.counts.records += 1;
        bundle.pack_binding.values(record, &self.seed, &mut self.values);
        let id = record.id.with_bytes(|bytes| self.seed.of(bytes));
        let engine_record =
            features::Record { position: record.position, at: record.at, id, values: &self.values };
        let Ok(stepped) = self.features.step(&engine_record, &mut self.bench.row) else {
            // Values are bounded before they get here; whatever is refused all the same changes nothing.
            self.counts.refused += 1;
            return;
        };
        let is_judged = stepped == Stepped::Taken && bundle.manifest.judge.contains(&record.kind);
        let scores = is_judged.then(|| {
            let scores = bundle.score(&mut self.bench, record, self.anomaly.as_ref());
            self.counts.judged += 1;
            self.tally.judged(scores, bundle.fired_places(&self.bench));
            self.digest.update(&record.position.to_be_bytes());
            self.digest.update(&features_sha256(&self.bench.row));
            for score in [scores.model, scores.anomaly] {
                self.digest.update(&score.map_or(u64::MAX, f64::to_bits).to_be_bytes());
            }
            if let Some(anomaly) = &mut self.anomaly {
                Bundle::learn(&self.bench, anomaly);
            }
            let has_decision =
                record.kind == kind::WITHDRAWAL_REQUESTED || record.kind == kind::WITHDRAWAL_DECIDED;
            if self.is_active && !has_decision && bundle.is_alarming(&self.bench, scores) {
                let is_in_shadow = !(may_enforce && self.is_promoted);
                self.raise(bundle, seq, record, scores, is_in_shadow);
            }
            scores
        });
        let hits = scores.and(self.bench.hits());
        let subject = record.account.map(|account| self.seed.of(account.as_str().as_bytes()));
        each(&Judged { entry: seq, record, stepped, row: &self.bench.row, scores, hits, id, subject });
    }

    fn label(&mut self, id: RecordId<'_>, is_fraud: bool) {
        let id = id.with_bytes(|bytes| self.seed.of(bytes));
        // Whatever time the label names: it arrives with its entry, so it has effect from here on and not before.
        let label = Label { id, is_fraud, arrival: UnixNanos(0) };
        match self.features.label(&label) {
            Ok(features::Labelled::Applied) => self.counts.labels += 1,
            Ok(_) | Err(_) => self.counts.labels_unmatched += 1,
        }
    }

    fn preview(&mut self, bundle: &Bundle, record: &Record<'_>) -> Scores {
        bundle.pack_binding.values(record, &self.seed, &mut self.values);
        let id = record.id.with_bytes(|bytes| self.seed.of(bytes));
        let engine_record =
            features::Record { position: record.position, at: record.at, id, values: &self.values };
        if self.features.preview(&engine_record, &mut self.bench.row).is_err() {
            // Values are bounded before they get here; without features everything is unknown.
            self.bench.row.fill(f64::NAN);
        }
        bundle.score(&mut self.bench, record, self.anomaly.as_ref())
    }

    fn raise(&mut self, bundle: &Bundle, seq: u64, record: &Record<'_>, scores: Scores, is_in_shadow: bool) {
        let entity = match (record.account, record.cell(Field::IpNetwork)) {
            (Some(account), _) => AlertEntity::Account(account.clone()),
            (None, Cell::IpNetwork(network)) => AlertEntity::Network(network.to_string()),
            // Nobody to look at.
            (None, _) => return,
        };
        let mut findings = bundle.findings(&self.bench, scores, is_in_shadow, true);
        findings.retain(|finding| finding.verdict > Verdict::Allow);
        findings.sort_by(|a, b| {
            b.verdict.cmp(&a.verdict).then(a.shadow.cmp(&b.shadow)).then(a.code.cmp(&b.code))
        });
        let quiet_nanos = bundle.manifest.quiet_secs.saturating_mul(1_000_000_000);
        let entity_text = entity.to_string();
        let (seed, quiet) = (self.seed, &mut self.quiet);
        let before = findings.len();
        findings.retain(|finding| {
            let key = seed.of(format!("{entity_text}\n{}", finding.code).as_bytes());
            let last = quiet.peek(&key);
            let is_news = last.is_none_or(|last| record.at.0 >= last.0.saturating_add(quiet_nanos));
            if is_news {
                *quiet.touch(&key, || record.at) = record.at;
            }
            is_news
        });
        let Some(first) = findings.first_mut() else {
            self.counts.quiet += u64::from(before > 0);
            return;
        };
        first.evidence.extend(bundle.provenance(&self.bench, seq));
        let score = scores.model.and_then(Ppm::of);
        let value = match record.cell(Field::Value) {
            Cell::Money(value) => Some(value),
            _ => None,
        };
        let expected_loss = score.zip(value).and_then(|(score, value)| score.share_of(value)).map(to_cents);
        let id = crypto::sha256(&[
            b"caponier fraud alert 1",
            &bundle.hash(),
            &record.position.to_be_bytes(),
            first.code.as_str().as_bytes(),
        ]);
        self.pending.push(FraudAlert {
            id: format!("fa-{}", crate::evaluate::model::hex(&id[..16])),
            entity,
            at: record.at,
            entry: seq,
            kind: record.kind.to_owned(),
            score,
            value,
            expected_loss,
            findings,
            bundle: bundle.hash(),
        });
        self.counts.alerts += 1;
        if self.pending.len() > PENDING_MAX {
            self.pending.remove(0);
            self.counts.lost += 1;
        }
    }
}

fn to_cents(amount: Amount) -> Amount {
    amount.truncate(2)
}
