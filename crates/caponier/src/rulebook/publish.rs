//! Putting a version in force takes two persons: one proposes what was tried and watched, another agrees to exactly that.
//!
//! What the request is over is the version's SHA-256, so what comes into force is what was tried. It holds as long as the same
//! bundle is in force that it was proposed against. Where the process ends between putting the version to work and the entry
//! that says so, the next start finds the version in its place and the request still to do; doing it again changes nothing but
//! the journal.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use api::{ChangesError, RulebookError};
use domain::{Actor, Subject, UnixNanos};
use identity::{Capability, requests::ChangeRequest};
use journal::{Draft, Kind, record::FraudBundle};
use serde::{Deserialize, Serialize};

use super::{Rulebook, digest, known, note, words};
use crate::{
    bundles::{Place, versions::Digest},
    requests::{Described, Effect, GuardedChange, NotPossible},
};

/// The kind of these requests.
const KIND: &str = "rules.publish";
/// How long a proposal waits.
const LIFE: Duration = Duration::from_secs(3 * 86_400);

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    /// Hex of the version.
    version: String,
    /// Hex of the bundle in force.
    from: String,
    /// When the backtest it rests on was done; RFC 3339.
    tested: String,
    /// Whether it is to have an effect, as the one in force has.
    has_effect: bool,
}

impl Payload {
    fn parse(bytes: &[u8]) -> Result<(Self, Digest, Digest), NotPossible> {
        let not = |why: String| NotPossible(why);
        let payload: Self = serde_json::from_slice(bytes)
            .map_err(|error| not(format!("no publication of rules: {error}")))?;
        let named = |text: &str| digest(text).ok_or_else(|| not(format!("{text:?} is no SHA-256")));
        let (version, from) = (named(&payload.version)?, named(&payload.from)?);
        Ok((payload, version, from))
    }
}

/// The change itself, for the requests of the installation.
struct Publish(Weak<Rulebook>);

impl Publish {
    fn rulebook(&self) -> Result<Arc<Rulebook>, NotPossible> {
        self.0.upgrade().ok_or_else(|| NotPossible("nothing is served here".to_owned()))
    }
}

impl Rulebook {
    /// From now on versions can be put in force by two persons.
    pub(super) fn register(self: &Arc<Self>) {
        self.core.requests.register(Arc::new(Publish(Arc::downgrade(self))));
    }

    /// Which bundle judges in the first place as the journal says, and whether it has an effect.
    fn recorded(&self) -> Option<(Digest, bool)> {
        self.core.ground.read(|fold| {
            let entry = fold.bundles().get(Place::Active.as_str())?;
            (!entry.name.is_empty()).then_some((entry.sha256, entry.enforced))
        })
    }

    /// Asks for a version to be put in force: it was tried on the past, and is watched in shadow now. The id of the request.
    ///
    /// # Errors
    /// [`RulebookError::Conflict`] when it is not in shadow, or somebody asked already.
    pub(crate) async fn publish(
        &self,
        actor: &Actor,
        version: &str,
        reason: &str,
    ) -> Result<String, RulebookError> {
        let (sha256, reason) = (known(version)?, note(reason)?);
        let conflict = |why: &str| RulebookError::Conflict { why: why.to_owned() };
        if self.state(&sha256) != "in shadow" {
            return Err(conflict("only what is watched in shadow can be proposed"));
        }
        let report =
            self.report(&sha256).ok_or_else(|| conflict("try it on the past first: it has no backtest"))?;
        let (from, has_effect) = self.recorded().ok_or_else(|| conflict("nothing is in force"))?;
        let payload =
            Payload { version: hex::encode(sha256), from: hex::encode(from), tested: report.at, has_effect };
        let payload = serde_json::to_vec(&payload)
            .map_err(|error| RulebookError::Unavailable { why: error.to_string() })?;
        let opened = self.core.requests.open(actor.clone(), KIND, payload, (&reason, LIFE)).await;
        opened.map(|file| format!("chg-{}", file.request.id)).map_err(|error| match error {
            ChangesError::Busy { .. } => RulebookError::Busy,
            ChangesError::Unavailable { why } => RulebookError::Unavailable { why },
            error => RulebookError::Conflict { why: error.to_string() },
        })
    }
}

impl GuardedChange for Publish {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn needs(&self) -> Capability {
        Capability::ApproveRules
    }

    fn describe(&self, payload: &[u8]) -> Result<Described, NotPossible> {
        let (payload, version, from) = Payload::parse(payload)?;
        let book = self.rulebook()?;
        let (bundle, _) = book.versions.load(&version).map_err(|error| NotPossible(error.to_string()))?;
        let mut details = vec![
            ("version".to_owned(), payload.version.clone()),
            ("instead of".to_owned(), payload.from.clone()),
            ("backtest".to_owned(), payload.tested.clone()),
            (
                "effect".to_owned(),
                if payload.has_effect { "as now: it has one" } else { "none: watched" }.to_owned(),
            ),
        ];
        if let Some(report) = book.report(&version) {
            let told = format!(
                "{} records from {} to {}, of them {} known fraud; {} honest customers troubled",
                report.events, report.from, report.until, report.fraud, report.good_troubled
            );
            details.push(("on the past".to_owned(), told));
        }
        let lives = book.core.ground.lives();
        let base = lives.at(Place::Active).map(|live| Arc::clone(live.bundle()));
        let changes = words::compiled(&bundle, base.filter(|base| base.hash() == from).as_deref()).changes;
        for (name, rules) in [
            ("rules added", &changes.added),
            ("rules removed", &changes.removed),
            ("never watched as they are", &changes.unrehearsed),
        ] {
            if !rules.is_empty() {
                details.push((name.to_owned(), rules.join(", ")));
            }
        }
        let summary = format!(
            "rules {} in force, in bundle {} {} ({})",
            words::rules_name(&bundle),
            bundle.name(),
            bundle.version(),
            payload.version.get(..12).unwrap_or_default()
        );
        Ok(Described { summary, details, concerns: None })
    }

    fn precondition(&self, payload: &[u8]) -> Result<[u8; 32], NotPossible> {
        let (payload, version, from) = Payload::parse(payload)?;
        let mut state = self.rulebook()?.recorded().unwrap_or_default();
        // A version that a start found in its place after a crash, and journalled in shadow, is not done yet.
        if state == (version, false) {
            state = (from, payload.has_effect);
        }
        Ok(crypto::sha256(&[b"caponier rules publish 1", &state.0, &[u8::from(state.1)]]))
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        let Ok((payload, version, _)) = Payload::parse(payload) else { return false };
        let recorded = self.rulebook().ok().and_then(|book| book.recorded());
        recorded == Some((version, payload.has_effect))
    }

    fn execute<'a>(
        &'a self,
        request: &'a ChangeRequest,
        now: UnixNanos,
    ) -> api::BoxFuture<'a, Result<Effect, NotPossible>> {
        Box::pin(async move {
            let (payload, version, from) = Payload::parse(&request.opened.payload)?;
            let book = self.rulebook()?;
            let core = &book.core;
            let present = core.ground.lives().at(Place::Active).map(|live| live.bundle().hash());
            let failed = |error: crate::exit::Failure| NotPossible(error.to_string());
            let reason = match &request.approved {
                Some((by, _)) => format!("chg-{}, by {} and {by}", request.id, request.opened.by),
                None => format!("chg-{}, by {}", request.id, request.opened.by),
            };
            tokio::task::block_in_place(|| {
                if present != Some(version) {
                    core.place_locked(Place::Active, Some(version), Some(from))?;
                }
                let shadow = core.ground.lives().at(Place::Challenger).map(|live| live.bundle().hash());
                if shadow == Some(version) {
                    core.place_locked(Place::Challenger, None, shadow)?;
                }
                Ok(())
            })
            .map_err(failed)?;
            let lives = core.ground.lives();
            let mut drafts = Vec::new();
            for place in Place::ALL {
                let bundle = lives.at(place).map(|live| live.bundle());
                let recorded = core.ground.read(|fold| fold.bundles().get(place.as_str()).cloned());
                let hash = bundle.map(|bundle| bundle.hash()).unwrap_or_default();
                let is_same = recorded.map_or(bundle.is_none(), |entry| entry.sha256 == hash);
                if place == Place::Challenger && is_same {
                    continue;
                }
                let entry = FraudBundle {
                    place: place.as_str().to_owned(),
                    name: bundle.map(|bundle| bundle.name().to_owned()).unwrap_or_default(),
                    version: bundle.map(|bundle| bundle.version().to_owned()).unwrap_or_default(),
                    sha256: hash,
                    enforced: place == Place::Active && payload.has_effect,
                    reason: reason.clone(),
                };
                drafts.push(Draft {
                    at: now,
                    subject: Subject::System,
                    kind: Kind::FraudBundle,
                    payload: entry.encode(),
                });
            }
            Ok(Effect { drafts, outcome: format!("version {} is in force", payload.version) })
        })
    }
}
