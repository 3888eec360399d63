//! Rules and bundles as people work on them: looked at, drafted, checked, tried on the past, watched in shadow, put in
//! force, taken back. The console and the control API are two ways to the same calls.
//!
//! A draft is a whole bundle: that at work with other rules or another model. Kept under its hash, it cannot be another
//! than the one that was tried.
//!
//! Bounds: one backtest runs, [`WAITING_MAX`] wait, [`JOBS_MAX`] are remembered; a backtest looks at most
//! [`DAYS_MAX`] days back.

mod backtest;
mod json;
mod models;
mod publish;
pub(crate) mod report;
pub(crate) mod tallies;
mod words;

pub(crate) use self::json::ApiRulebook;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use api::RulebookError;
use console::rules::{Book, Checked, Compiled, JobLine, RuleFault, VersionFile, VersionLine};
use domain::{Actor, UnixNanos};
use fraud::live::{Bundle, BundleError};
use parking_lot::Mutex;

use self::{
    backtest::Question,
    report::{REPORT_BYTES_MAX, Report},
};
use crate::{
    bundles::{
        Place,
        versions::{About, Digest, Pieces, REPORT, Versions},
    },
    core::Core,
    exit::{Exit, Failure},
    ground::Ground,
};

/// Backtests that wait for the one that runs.
pub(crate) const WAITING_MAX: usize = 2;
/// Backtests remembered; those that ended longest ago are forgotten first.
const JOBS_MAX: usize = 32;
/// How far back a backtest looks.
pub(crate) const DAYS_MAX: u64 = 3_650;
/// Bytes of a note or reason.
pub(crate) const NOTE_BYTES_MAX: usize = 1_000;
const DAY_NANOS: u64 = 86_400_000_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Cancelled,
    Done,
    Failed(String),
    Running,
    Waiting,
}

#[derive(Debug)]
struct Job {
    id: u64,
    question: Question,
    days: u64,
    state: State,
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
    cancelled: Arc<AtomicBool>,
}

impl Job {
    fn line(&self) -> JobLine {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let (state, says) = match &self.state {
            State::Cancelled => ("cancelled", String::new()),
            State::Done => ("done", String::new()),
            State::Failed(why) => ("failed", why.clone()),
            State::Running => ("running", String::new()),
            State::Waiting => ("waiting", String::new()),
        };
        JobLine {
            id: self.id,
            sha256: hex::encode(self.question.bundle.hash()),
            by: self.question.by.clone(),
            days: self.days,
            state,
            percent: if self.state == State::Done { 100 } else { done.saturating_mul(100) / total.max(1) },
            says,
        }
    }

    const fn is_over(&self) -> bool {
        !matches!(self.state, State::Running | State::Waiting)
    }
}

#[derive(Debug, Default)]
struct Jobs {
    list: VecDeque<Job>,
    last: u64,
    has_worker: bool,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Rulebook {
    core: Arc<Core>,
    versions: Versions,
    jobs: Arc<Mutex<Jobs>>,
}

impl Drop for Rulebook {
    /// Whatever runs ends soon: nobody can ask for it any more.
    fn drop(&mut self) {
        self.jobs.lock().list.iter().for_each(|job| job.cancelled.store(true, Ordering::Relaxed));
    }
}

/// Why something was refused, in the words of whoever found it.
fn refused(error: Failure) -> RulebookError {
    let why = error.to_string();
    match error.exit {
        Exit::Input | Exit::Usage => RulebookError::Invalid { why },
        Exit::No => RulebookError::Conflict { why },
        Exit::NotFound => RulebookError::NotFound { why },
        _ => {
            tracing::error!(%error, "rules: not done");
            RulebookError::Unavailable { why }
        }
    }
}

fn faults(error: BundleError) -> Checked {
    match error {
        BundleError::Rules { fault, .. } => {
            let told = fault.faults.into_iter().map(|fault| RuleFault {
                line: fault.place.line,
                column: fault.place.column,
                rule: fault.rule.unwrap_or_default(),
                message: fault.message,
                excerpt: fault.excerpt.unwrap_or_default(),
            });
            Checked::Faulty(told.collect(), fault.more)
        }
        other => {
            let fault = RuleFault {
                line: 0,
                column: 0,
                rule: String::new(),
                message: other.to_string(),
                excerpt: String::new(),
            };
            Checked::Faulty(vec![fault], 0)
        }
    }
}

/// A SHA-256 in hex.
pub(crate) fn digest(text: &str) -> Option<Digest> {
    hex::decode(text).ok()?.try_into().ok()
}

fn known(text: &str) -> Result<Digest, RulebookError> {
    let why = "a version is named by its SHA-256 in hex".to_owned();
    digest(text).ok_or(RulebookError::NotFound { why })
}

fn note(text: &str) -> Result<String, RulebookError> {
    let text = text.trim();
    if text.is_empty() || text.len() > NOTE_BYTES_MAX || text.chars().any(char::is_control) {
        let why = format!("a note is 1 to {NOTE_BYTES_MAX} bytes of printable text");
        return Err(RulebookError::Invalid { why });
    }
    Ok(text.to_owned())
}

impl Rulebook {
    /// Of an installation.
    pub(crate) fn new(core: &Arc<Core>) -> Arc<Self> {
        let versions = Versions::of(&core.config.data.dir);
        let rulebook = Arc::new(Self { core: Arc::clone(core), versions, jobs: Arc::default() });
        rulebook.register();
        rulebook
    }

    /// The bundle in force and its pieces, which are kept from now on.
    fn in_force(&self) -> Result<(Digest, Pieces), RulebookError> {
        self.core.at_work(Place::Active).map_err(refused)
    }

    /// The version in force.
    pub(crate) fn in_force_name(&self) -> Option<String> {
        let lives = self.core.ground.lives();
        lives.at(Place::Active).map(|live| hex::encode(live.bundle().hash()))
    }

    /// Sets at work, versions and backtests.
    pub(crate) fn book(&self) -> Book {
        let now = self.core.clock.now();
        let (told, since) = self.core.ground.read(|fold| (fold.tallies().told(now), fold.tallies().since()));
        let lives = self.core.ground.lives();
        let sets = lives.iter().filter_map(|(place, live)| words::set(place, live, &told)).collect();
        let mut versions: Vec<VersionLine> = self
            .versions
            .list()
            .into_iter()
            .map(|(digest, about)| self.line(&digest, about.as_ref()))
            .collect();
        versions.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.sha256.cmp(&b.sha256)));
        Book {
            sets,
            built_in: words::built_in(self.core.ground.fraud_config()),
            versions,
            jobs: self.jobs(),
            since,
        }
    }

    fn line(&self, digest: &Digest, about: Option<&About>) -> VersionLine {
        let rules = self.versions.load(digest).map(|(bundle, _)| words::rules_name(&bundle));
        VersionLine {
            sha256: hex::encode(digest),
            rules: rules.unwrap_or_else(|error| error.to_string()),
            by: about.map_or_else(String::new, |about| about.by.clone()),
            at: about.map_or(UnixNanos(0), About::kept_at),
            note: about.map_or_else(String::new, |about| about.note.clone()),
            state: self.state(digest),
            tested: self.report(digest).map_or_else(String::new, |report| report.at),
        }
    }

    fn state(&self, digest: &Digest) -> &'static str {
        let lives = self.core.ground.lives();
        let is_at = |place: Place| lives.at(place).is_some_and(|live| live.bundle().hash() == *digest);
        if is_at(Place::Active) {
            "in force"
        } else if is_at(Place::Challenger) {
            "in shadow"
        } else if self.was_in_force(digest).is_some() {
            "was in force"
        } else {
            "draft"
        }
    }

    /// Whether it judged in the first place once, and whether it had an effect when it did last.
    fn was_in_force(&self, digest: &Digest) -> Option<bool> {
        self.core.ground.read(|fold| {
            let mut judged = fold.judged().rev();
            judged
                .find(|(_, entry)| {
                    entry.place == Place::Active.as_str() && !entry.name.is_empty() && entry.sha256 == *digest
                })
                .map(|(_, entry)| entry.enforced)
        })
    }

    /// The last backtest of a version.
    pub(crate) fn report(&self, digest: &Digest) -> Option<Report> {
        let bytes = self.versions.read_beside(digest, REPORT, REPORT_BYTES_MAX)?;
        let report: Report = serde_json::from_slice(&bytes).ok()?;
        // A report of something else says nothing about this version.
        (report.sha256 == hex::encode(digest)).then_some(report)
    }

    /// The text of the rules of a version, or of those in force.
    ///
    /// # Errors
    /// [`RulebookError`] when there is none.
    pub(crate) fn text(&self, version: Option<&str>) -> Result<(String, String), RulebookError> {
        let (digest, pieces) = match version {
            Some(text) => {
                let digest = known(text)?;
                (digest, self.pieces(&digest)?)
            }
            None => self.core.seen_at_work(Place::Active).map_err(refused)?,
        };
        let bundle = pieces.bundle().map_err(|error| RulebookError::Invalid { why: error.to_string() })?;
        let text = bundle.manifest().rules.as_deref().and_then(|name| pieces.text(name));
        let why = "the bundle has no rules: name a file of rules in its bundle.toml".to_owned();
        Ok((hex::encode(digest), text.ok_or(RulebookError::NotFound { why })?.to_owned()))
    }

    /// Where a version works.
    fn place(&self, digest: &Digest) -> Option<Place> {
        let lives = self.core.ground.lives();
        let is_at = |place: &Place| lives.at(*place).is_some_and(|live| live.bundle().hash() == *digest);
        Place::ALL.into_iter().find(is_at)
    }

    fn pieces(&self, digest: &Digest) -> Result<Pieces, RulebookError> {
        if let Some(place) = self.place(digest) {
            return self.core.seen_at_work(place).map(|(_, pieces)| pieces).map_err(refused);
        }
        self.versions.load(digest).map(|(_, pieces)| pieces).map_err(refused)
    }

    /// The bundle in force with other rules.
    fn draft(&self, text: &str) -> Result<(Digest, Pieces, Result<Bundle, BundleError>), RulebookError> {
        let (base, pieces) = self.core.seen_at_work(Place::Active).map_err(refused)?;
        let bundle =
            pieces.bundle().map_err(|error| RulebookError::Unavailable { why: error.to_string() })?;
        let why = "the bundle in force has no rules: name a file of rules in its bundle.toml".to_owned();
        let name = bundle.manifest().rules.clone().ok_or(RulebookError::NotFound { why })?;
        // As browsers send what was typed: lines end in CR LF.
        let text = text.replace("\r\n", "\n");
        let pieces = pieces.with(&name, text.into_bytes());
        let bundle = pieces.bundle();
        Ok((base, pieces, bundle))
    }

    /// Says what is wrong with rules, or what they change.
    ///
    /// # Errors
    /// [`RulebookError`] when there is nothing in force to change.
    pub(crate) fn check(&self, text: &str) -> Result<Checked, RulebookError> {
        let (_, _, bundle) = self.draft(text)?;
        Ok(match bundle {
            Ok(bundle) => Checked::Good(Box::new(self.compiled(&bundle))),
            Err(error) => faults(error),
        })
    }

    fn compiled(&self, bundle: &Bundle) -> Compiled {
        let lives = self.core.ground.lives();
        let base = lives.at(Place::Active).map(|live| Arc::clone(live.bundle()));
        words::compiled(bundle, base.as_deref())
    }

    /// Keeps rules as a version. Its SHA-256 names it from then on.
    ///
    /// # Errors
    /// [`RulebookError::Invalid`] when they do not compile, change nothing, or have the version of those in force.
    pub(crate) fn keep(&self, actor: &Actor, text: &str, words: &str) -> Result<String, RulebookError> {
        let note = note(words)?;
        let (base, pieces, bundle) = self.draft(text)?;
        let bundle = bundle.map_err(|error| RulebookError::Invalid { why: error.to_string() })?;
        if bundle.hash() == base {
            let why = "these are the rules in force: nothing would change".to_owned();
            return Err(RulebookError::Invalid { why });
        }
        let lives = self.core.ground.lives();
        let present = lives.at(Place::Active).and_then(|live| live.bundle().rules());
        if let (Some(old), Some(new)) = (present, bundle.rules())
            && (old.name(), old.version()) == (new.name(), new.version())
        {
            let why = format!(
                "raise [pack] version: {} {} is in force and says something else",
                old.name(),
                old.version()
            );
            return Err(RulebookError::Invalid { why });
        }
        // What it is a draft of is kept beside it.
        self.in_force()?;
        self.keep_pieces(actor, &pieces, note, base)
    }

    /// Keeps the bundle in force with another model as a version.
    ///
    /// # Errors
    /// [`RulebookError::Invalid`] when the model does not fit the pack, or the bundle has no model.
    pub(crate) fn keep_with_model(
        &self,
        actor: &Actor,
        model: Vec<u8>,
        name: &str,
    ) -> Result<String, RulebookError> {
        let (base, pieces) = self.in_force()?;
        let bundle =
            pieces.bundle().map_err(|error| RulebookError::Unavailable { why: error.to_string() })?;
        let why =
            "the bundle in force has no model: name one and its thresholds in its bundle.toml".to_owned();
        let file = bundle.manifest().model.clone().ok_or(RulebookError::Invalid { why })?;
        let pieces = pieces.with(&file, model);
        let bundle = pieces.bundle().map_err(|error| RulebookError::Invalid { why: error.to_string() })?;
        if bundle.hash() == base {
            let why = "this model is in force: nothing would change".to_owned();
            return Err(RulebookError::Invalid { why });
        }
        self.keep_pieces(actor, &pieces, format!("model {name} in the bundle in force"), base)
    }

    fn keep_pieces(
        &self,
        actor: &Actor,
        pieces: &Pieces,
        note: String,
        base: Digest,
    ) -> Result<String, RulebookError> {
        let about =
            About { by: actor.to_string(), at: self.core.clock.now().0, note, base: Some(hex::encode(base)) };
        let digest = self.versions.keep(pieces, &about, &self.core.spared()).map_err(refused)?;
        Ok(hex::encode(digest))
    }

    /// A version with all that is known of it.
    ///
    /// # Errors
    /// [`RulebookError::NotFound`] when there is none.
    pub(crate) fn version(&self, text: &str) -> Result<VersionFile, RulebookError> {
        let digest = known(text)?;
        let pieces = self.pieces(&digest)?;
        let bundle = pieces.bundle().map_err(|error| RulebookError::Invalid { why: error.to_string() })?;
        let lives = self.core.ground.lives();
        let shadow = lives.at(Place::Challenger).filter(|live| live.bundle().hash() == digest);
        let text = bundle.manifest().rules.as_deref().and_then(|name| pieces.text(name));
        let line = self.line(&digest, self.versions.about(&digest).as_ref());
        Ok(VersionFile {
            text: text.unwrap_or_default().to_owned(),
            compiled: self.compiled(&bundle),
            found: self.report(&digest).map(|report| words::backtested(&report)),
            job: self.jobs().into_iter().find(|job| job.sha256 == line.sha256),
            judged_in_shadow: shadow.map(|live| live.counts().judged),
            may_return: line.state == "was in force",
            line,
        })
    }

    /// Backtests, the newest first.
    pub(crate) fn jobs(&self) -> Vec<JobLine> {
        self.jobs.lock().list.iter().rev().map(Job::line).collect()
    }

    /// A backtest.
    pub(crate) fn job(&self, id: u64) -> Option<JobLine> {
        self.jobs.lock().list.iter().find(|job| job.id == id).map(Job::line)
    }

    /// Plays the last `days` of the past through a version, in the background.
    ///
    /// # Errors
    /// [`RulebookError::Busy`] when too many wait already.
    pub(crate) fn start(&self, actor: &Actor, version: &str, days: u64) -> Result<u64, RulebookError> {
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(RulebookError::Invalid { why: format!("days are 1 to {DAYS_MAX}") });
        }
        let digest = known(version)?;
        // What comes of it is noted beside the version, which is therefore kept.
        let pieces = match self.place(&digest) {
            Some(place) => self.core.at_work(place).map(|(_, pieces)| pieces).map_err(refused)?,
            None => self.pieces(&digest)?,
        };
        let bundle = pieces.bundle();
        let bundle = Arc::new(bundle.map_err(|error| RulebookError::Invalid { why: error.to_string() })?);
        let now = self.core.clock.now();
        let lives = self.core.ground.lives();
        let base = lives.at(Place::Active).map(|live| Arc::clone(live.bundle()));
        let question = Question {
            base: base.filter(|base| base.hash() != digest),
            bundle,
            from: UnixNanos(now.0.saturating_sub(days.saturating_mul(DAY_NANOS))),
            until: now,
            end: self.core.ground.journal().size(),
            by: actor.to_string(),
        };
        let mut jobs = self.jobs.lock();
        let waiting = jobs.list.iter().filter(|job| job.state == State::Waiting).count();
        let is_running = jobs.list.iter().any(|job| job.state == State::Running);
        if waiting >= WAITING_MAX + usize::from(!is_running) {
            return Err(RulebookError::Busy);
        }
        while jobs.list.len() >= JOBS_MAX {
            let Some(oldest) = jobs.list.iter().position(Job::is_over) else {
                return Err(RulebookError::Busy);
            };
            jobs.list.remove(oldest);
        }
        jobs.last += 1;
        let id = jobs.last;
        jobs.list.push_back(Job {
            id,
            question,
            days,
            state: State::Waiting,
            done: Arc::default(),
            total: Arc::default(),
            cancelled: Arc::default(),
        });
        if !jobs.has_worker {
            let worker = Worker {
                ground: Arc::clone(&self.core.ground),
                ids: self.core.installation.decision_ids(),
                clock: Arc::clone(&self.core.clock),
                versions: self.versions.clone(),
                jobs: Arc::clone(&self.jobs),
            };
            // A thread of its own and not one of the runtime's: the process need not wait for it when it stops.
            let started =
                std::thread::Builder::new().name("backtest".to_owned()).spawn(move || worker.work());
            if let Err(error) = started {
                jobs.list.pop_back();
                return Err(RulebookError::Unavailable { why: error.to_string() });
            }
            jobs.has_worker = true;
        }
        Ok(id)
    }

    /// Ends a backtest before its end.
    ///
    /// # Errors
    /// [`RulebookError`] when there is none of this number, or it is over.
    pub(crate) fn cancel(&self, id: u64) -> Result<(), RulebookError> {
        let mut jobs = self.jobs.lock();
        let job = jobs.list.iter_mut().find(|job| job.id == id);
        let job = job.ok_or(RulebookError::NotFound { why: "no backtest has this number".to_owned() })?;
        match job.state {
            State::Running => {}
            State::Waiting => job.state = State::Cancelled,
            _ => return Err(RulebookError::Conflict { why: "the backtest is over".to_owned() }),
        }
        job.cancelled.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lets a version judge live traffic without effect, beside the bundle in force. It needs a backtest first.
    ///
    /// # Errors
    /// [`RulebookError::Conflict`] when it was not tried on the past, or is at work.
    pub(crate) async fn shadow(&self, actor: &Actor, version: &str) -> Result<(), RulebookError> {
        let digest = known(version)?;
        let conflict = |why: &str| Err(RulebookError::Conflict { why: why.to_owned() });
        if matches!(self.state(&digest), "in force" | "in shadow") {
            return conflict("this version is at work already");
        }
        if !self.versions.has(&digest) {
            let why = "no version of a bundle has this SHA-256".to_owned();
            return Err(RulebookError::NotFound { why });
        }
        if self.report(&digest).is_none() {
            return conflict("try it on the past first: it has no backtest");
        }
        self.in_force()?;
        let present = self.core.ground.lives().at(Place::Challenger).map(|live| live.bundle().hash());
        let reason = format!("in shadow, by {actor}");
        let placed = self.core.place_bundle(Place::Challenger, Some(digest), present, false, &reason).await;
        placed.map_err(refused)
    }

    /// Takes a version out of shadow; what the configuration names stands there again.
    ///
    /// # Errors
    /// [`RulebookError::Conflict`] when it is not there.
    pub(crate) async fn end_shadow(&self, actor: &Actor, version: &str) -> Result<(), RulebookError> {
        let digest = known(version)?;
        let reason = format!("out of shadow, by {actor}");
        let lives = self.core.ground.lives();
        if lives.configured(Place::Challenger).is_some_and(|(configured, _)| *configured == digest) {
            let why = "the configuration names it as fraud.challenger: change that and reload".to_owned();
            return Err(RulebookError::Conflict { why });
        }
        let placed = self.core.place_bundle(Place::Challenger, None, Some(digest), false, &reason).await;
        placed.map_err(refused)
    }

    /// Puts a version in force again that was before. It has an effect if it had one then.
    ///
    /// # Errors
    /// [`RulebookError::Conflict`] when it never was in force, or is, or the bundle in force is not `from` any more.
    pub(crate) async fn return_to(
        &self,
        actor: &Actor,
        version: &str,
        from: &str,
        reason: &str,
    ) -> Result<(), RulebookError> {
        let (digest, from) = (known(version)?, known(from)?);
        let reason = format!("returned to by {actor}: {}", note(reason)?);
        let Some(had_effect) = self.was_in_force(&digest) else {
            let why = "this version never was in force: there is nothing to return to".to_owned();
            return Err(RulebookError::Conflict { why });
        };
        if digest == from {
            return Err(RulebookError::Conflict { why: "this version is in force".to_owned() });
        }
        let placed =
            self.core.place_bundle(Place::Active, Some(digest), Some(from), had_effect, &reason).await;
        placed.map_err(refused)
    }
}

/// Runs backtests one after the other until none waits.
struct Worker {
    ground: Arc<Ground>,
    ids: decide::DecisionIds,
    clock: Arc<dyn domain::Clock>,
    versions: Versions,
    jobs: Arc<Mutex<Jobs>>,
}

impl Worker {
    fn work(self) {
        loop {
            let next = {
                let mut jobs = self.jobs.lock();
                let Some(job) = jobs.list.iter_mut().find(|job| job.state == State::Waiting) else {
                    jobs.has_worker = false;
                    return;
                };
                job.state = State::Running;
                let counters = [&job.done, &job.total].map(Arc::clone);
                (job.id, job.question.clone(), counters, Arc::clone(&job.cancelled))
            };
            let (id, question, [done, total], cancelled) = next;
            let now = || self.clock.now();
            let found = backtest::run(&self.ground, self.ids.clone(), &question, &now, &mut |n, all| {
                done.store(n, Ordering::Relaxed);
                total.store(all, Ordering::Relaxed);
                !cancelled.load(Ordering::Relaxed)
            });
            let kept = found.and_then(|report| {
                let Some(report) = report else { return Ok(State::Cancelled) };
                let bytes = serde_json::to_vec(&report)
                    .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
                self.versions.write_beside(&question.bundle.hash(), REPORT, &bytes)?;
                Ok(State::Done)
            });
            let state = kept.unwrap_or_else(|error| {
                tracing::error!(%error, "a backtest failed");
                State::Failed(error.to_string())
            });
            let mut jobs = self.jobs.lock();
            if let Some(job) = jobs.list.iter_mut().find(|job| job.id == id) {
                job.state = state;
            }
        }
    }
}
