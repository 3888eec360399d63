//! What an operator asks about fraud.

use std::{io::BufWriter, ops::Range, path::Path, sync::Arc};

use domain::{Event, EventContext, EventId, EventKind, LabelTarget};
use fraud::{
    evaluate::protocol::Day,
    history::{HistoryError, Writer},
};
use journal::record::FraudBundle;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Core, Progress, chain, handle::account_id};
use crate::{
    bundles::{self, Place},
    control::{FraudRequest, LabelWords, Response},
    exit::{Exit, Failure},
    ground::Recomputed,
};

/// Longest reason of a promotion, in bytes.
const REASON_BYTES_MAX: usize = 1_000;
/// Fewest digits that name a bundle.
const SHA256_PREFIX_MIN: usize = 8;

impl Core {
    pub(super) async fn fraud(
        &self,
        request: FraudRequest,
        progress: Progress<'_>,
    ) -> Result<Response, Failure> {
        match request {
            FraudRequest::DeadLetters { from } => {
                Ok(Response::Fraud(self.dead_letters.page(from, api::limits::DEAD_LETTERS_PAGE_MAX)))
            }
            FraudRequest::Label(words) => self.label(words).await,
            FraudRequest::Drift => {
                let lives = self.ground.lives();
                let now = lives.iter().map(|(place, live)| lives.drifts().told_of(place, live.bundle()));
                let recorded: Vec<Value> = self.ground.read(|fold| {
                    let shifts = fold.models().drifted().map(|(at, drifted)| {
                        let mut told = crate::drift::drifted_json(drifted);
                        told["at"] = json!(at.to_string());
                        told
                    });
                    shifts.collect()
                });
                Ok(Response::Fraud(json!({ "now": now.collect::<Vec<_>>(), "recorded": recorded })))
            }
            FraudRequest::History { bundle, from, until, kinds, out } => {
                let days = Day(from)..Day(until);
                tokio::task::block_in_place(|| {
                    self.history(Path::new(&bundle), days, kinds, Path::new(&out), progress)
                })
            }
            FraudRequest::Models(request) => self.models(request).await,
            FraudRequest::Bundles => Ok(Response::Fraud(self.bundles_told())),
            FraudRequest::Recompute => tokio::task::block_in_place(|| self.recompute(progress)),
            FraudRequest::Promote { sha256, reason } => self.promote(Some(&sha256), reason).await,
            FraudRequest::Demote { reason } => self.promote(None, reason).await,
        }
    }

    /// Which bundles judge, and what they did.
    fn bundles_told(&self) -> Value {
        let lives = self.ground.lives();
        let told = lives.iter().map(|(place, live)| {
            let (is_active, is_promoted) = live.activation();
            let counts = live.counts();
            json!({
                "place": place.as_str(),
                "bundle": bundles::told(live.bundle()),
                "judges_since_recorded": is_active,
                "promoted": is_promoted,
                "enforced": live.is_enforced(),
                "records": counts.records, "refused": counts.refused, "judged": counts.judged,
                "alerts": counts.alerts, "alerts_kept_quiet": counts.quiet, "alerts_lost": counts.lost,
                "labels": counts.labels, "labels_unmatched": counts.labels_unmatched,
                "entries": live.entries(),
                "state_sha256": hex::encode(live.digest()),
            })
        });
        json!({ "bundles": told.collect::<Vec<_>>() })
    }

    /// Writes the journal's past through a bundle's pack to a new file that only this user can read.
    fn history(
        &self,
        bundle: &Path,
        days: Range<Day>,
        kinds: Vec<String>,
        out: &Path,
        progress: Progress<'_>,
    ) -> Result<Response, Failure> {
        let bundle = Arc::new(bundles::read(bundle)?);
        if let Some(kind) = kinds.iter().find(|kind| !bundle.manifest().judge.contains(&kind.as_str())) {
            let judged = bundle.manifest().judge.join(", ");
            let message = format!("--kind: the bundle does not judge {kind:?}, but {judged}");
            return Err(Failure::new(Exit::Usage, message));
        }
        let failed =
            |error: HistoryError| Failure::new(Exit::Io, format!("{}: {}", out.display(), chain(&error)));
        let file = crate::secret_file::open_new(out).map_err(|error| Failure::io(out.display(), error))?;
        let writer = Writer::new(BufWriter::new(file), bundle.pack(), days, kinds).map_err(failed)?;
        let writer = Arc::new(Mutex::new(writer));
        let replayed = self.ground.replay(
            bundles::Lives::writing(Arc::clone(&bundle), Arc::clone(&writer))?,
            &mut |done, total| progress("entries replayed", done, total),
        )?;
        let writer = Arc::into_inner(writer)
            .ok_or_else(|| Failure::new(Exit::Internal, "the history is still being written"))?;
        let (rows, labels) = writer.into_inner().finish(replayed).map_err(failed)?;
        Ok(Response::Fraud(json!({
            "bundle": bundles::told(&bundle), "entries": replayed, "rows": rows, "labels": labels,
        })))
    }

    /// Computes decisions again from the journal.
    fn recompute(&self, progress: Progress<'_>) -> Result<Response, Failure> {
        let models = self.model_bytes();
        let recomputed =
            self.ground.recompute(models, &mut |done, total| progress("entries", done, total))?;
        let Recomputed { compared, different, by_others, left_out, erased, told } = recomputed;
        if different > 0 {
            let message = format!("{different} of {compared} come out otherwise: {}", told.join("; "));
            return Err(Failure::new(Exit::No, message));
        }
        Ok(Response::Fraud(json!({
            "compared": compared, "different": different, "by_other_bundles": by_others,
            "left_out": left_out, "erased_entries": erased,
        })))
    }

    /// Says that the active bundle is to have an effect from here on, or not any more.
    async fn promote(&self, sha256: Option<&str>, reason: String) -> Result<Response, Failure> {
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX || reason.contains(char::is_control) {
            let message = format!("the reason is 1 to {REASON_BYTES_MAX} bytes of printable text");
            return Err(Failure::new(Exit::Usage, message));
        }
        let lives = self.ground.lives();
        let none = || Failure::new(Exit::NotFound, "no bundle is active: set fraud.bundle");
        let live = lives.at(Place::Active).ok_or_else(none)?;
        let (bundle, is_recorded) = (live.bundle(), live.activation().0);
        if let Some(wanted) = sha256 {
            let found = hex::encode(bundle.hash());
            if wanted.len() < SHA256_PREFIX_MIN || !found.starts_with(&wanted.to_ascii_lowercase()) {
                let message = format!(
                    "the active bundle is {} {} with SHA-256 {found}; give at least {SHA256_PREFIX_MIN} of its digits",
                    bundle.name(),
                    bundle.version()
                );
                return Err(Failure::new(Exit::Input, message));
            }
            if !is_recorded {
                let message = "the bundle has not begun to judge: serve with it in shadow first";
                return Err(Failure::new(Exit::Input, message));
            }
        }
        let entry = FraudBundle {
            place: Place::Active.as_str().to_owned(),
            name: bundle.name().to_owned(),
            version: bundle.version().to_owned(),
            sha256: bundle.hash(),
            enforced: sha256.is_some(),
            reason,
        };
        self.record_bundle(entry).await?;
        Ok(Response::Fraud(self.bundles_told()))
    }

    /// Records that something turned out to be fraud, or not.
    async fn label(&self, words: LabelWords) -> Result<Response, Failure> {
        let input = |error: &dyn std::fmt::Display| Failure::new(Exit::Input, error.to_string());
        let LabelWords { account, event, decision, is_fraud, source } = words;
        let account = account_id(&account)?;
        if source.is_empty()
            || source.len() > api::limits::NAME_BYTES_MAX
            || source.contains(char::is_control)
        {
            let reason =
                format!("the source is 1 to {} bytes of printable text", api::limits::NAME_BYTES_MAX);
            return Err(Failure::new(Exit::Input, reason));
        }
        let target = match (event, decision) {
            (Some(event), None) => LabelTarget::Event(EventId::parse(&event).map_err(|error| input(&error))?),
            (None, Some(id)) => {
                let position = self.decision_position(&id);
                let unknown = || Failure::new(Exit::NotFound, format!("there is no decision {id:?} here"));
                LabelTarget::Decision(position.ok_or_else(unknown)?)
            }
            (None, None) => LabelTarget::Account,
            (Some(_), Some(_)) => {
                return Err(Failure::new(Exit::Usage, "a label is about an event or a decision, not both"));
            }
        };
        let id = format!("label-{}", hex::encode(crypto::random::array::<16>()));
        let event = Event {
            id: EventId::parse(&id).map_err(|error| input(&error))?,
            account,
            occurred_at: self.clock.now(),
            device: None,
            ip: None,
            context: EventContext::default(),
            kind: EventKind::Label { target, is_fraud, source },
        };
        let recorded = self
            .record_events(vec![event])
            .await
            .map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        if recorded.erased > 0 {
            return Err(Failure::new(
                Exit::Input,
                "data of the account was erased: nothing more is recorded",
            ));
        }
        Ok(Response::Fraud(json!({ "event": id })))
    }
}
