//! Drift of what the bundles at work are fed and say: a monitor beside each, fed by the fold.
//!
//! A monitor follows from the journal alone, like the bundle it watches: after a restart the replay brings it to where it
//! was. A shift that shows while its bundle is the one to judge becomes an entry; until that entry is in the journal it
//! waits, so that none is lost in a crash and none is told twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::{Actor, Subject as Sealed};
use fraud::{
    lifecycle::{
        Digest, Drifted, ModelEntry,
        drift::{Measure, Monitor, Settings, Shift, Subject},
    },
    live::Bundle,
};
use journal::{Draft, Kind};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{bundles::Place, core::Core};

/// Shifts that wait for their entry; further ones are only counted by the monitor.
const PENDING_MAX: usize = 256;
/// How often shifts are looked for and recorded. They need thousands of records to show.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Watched {
    bundle: Digest,
    monitor: Monitor,
    fresh: Vec<Shift>,
    pending: Vec<Drifted>,
}

/// A monitor for each bundle at work.
#[derive(Debug, Default)]
pub struct Drifts(Mutex<BTreeMap<&'static str, Watched>>);

impl Drifts {
    fn with(&self, place: Place, bundle: &Bundle, work: impl FnOnce(&mut Watched)) {
        let mut all = self.0.lock();
        let is_there = all.get(place.as_str()).is_some_and(|watched| watched.bundle == bundle.hash());
        if !is_there {
            let Ok(monitor) = Monitor::new(bundle.pack().columns().len(), Settings::default()) else {
                return;
            };
            let bundle = bundle.hash();
            let watched = Watched { bundle, monitor, fresh: Vec::new(), pending: Vec::new() };
            all.insert(place.as_str(), watched);
        }
        if let Some(watched) = all.get_mut(place.as_str()) {
            work(watched);
        }
    }

    /// A record was judged.
    pub(crate) fn record(&self, place: Place, bundle: &Bundle, row: &[f64], probability: Option<f64>) {
        self.with(place, bundle, |watched| watched.monitor.record(row, probability, &mut watched.fresh));
    }

    /// A label arrived.
    pub(crate) fn label(&self, place: Place, bundle: &Bundle, is_fraud: bool) {
        self.with(place, bundle, |watched| watched.monitor.label(is_fraud, &mut watched.fresh));
    }

    /// After each entry: what has shown waits to be recorded, if the bundle is the one to judge.
    pub(crate) fn settle(&self, place: Place, bundle: &Bundle, is_active: bool) {
        let mut all = self.0.lock();
        let Some(watched) = all.get_mut(place.as_str()) else { return };
        if watched.fresh.is_empty() {
            return;
        }
        let names: Vec<&str> = bundle.pack().columns().iter().map(|column| column.name.as_str()).collect();
        for shift in watched.fresh.drain(..) {
            if is_active && watched.pending.len() < PENDING_MAX {
                watched.pending.push(Drifted {
                    bundle: watched.bundle,
                    subject: name(&shift.subject, &names).to_owned(),
                    measure: shift.measure,
                    records: shift.records,
                    actor: Actor::system(),
                });
            }
        }
    }

    /// The entry of a shift is in the journal.
    pub(crate) fn recorded(&self, drifted: &Drifted) {
        for watched in self.0.lock().values_mut() {
            watched.pending.retain(|pending| pending != drifted);
        }
    }

    /// Forgets shifts that wait: after the erasure of a person the past looks different, and that is no news.
    pub(crate) fn forget_pending(&self) {
        self.0.lock().values_mut().for_each(|watched| watched.pending.clear());
    }

    /// Shifts that wait for their entry.
    fn pending(&self) -> Vec<Drifted> {
        self.0.lock().values().flat_map(|watched| watched.pending.clone()).collect()
    }

    /// Shifts seen since the beginning of the journal, in all places.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.0.lock().values().map(|watched| watched.monitor.told()).sum()
    }

    /// The largest stability index of the last whole window of a place, in millionths.
    #[must_use]
    pub fn worst(&self, place: Place) -> Option<u64> {
        let all = self.0.lock();
        let psi = all.get(place.as_str())?.monitor.latest().iter().map(|distance| distance.psi);
        let worst = psi.max_by(f64::total_cmp)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to small numbers"
        )]
        let millionths = (worst.clamp(0.0, 1e6) * 1e6) as u64;
        Some(millionths)
    }

    /// How far each subject is from its reference now, by place.
    pub(crate) fn told_of(&self, place: Place, bundle: &Bundle) -> Value {
        let all = self.0.lock();
        let Some(watched) = all.get(place.as_str()) else { return Value::Null };
        let names: Vec<&str> = bundle.pack().columns().iter().map(|column| column.name.as_str()).collect();
        let (score, labels) = watched.monitor.means();
        let distances = watched.monitor.latest().iter().map(|distance| {
            json!({ "subject": name(&distance.subject, &names), "psi": distance.psi, "ks": distance.ks })
        });
        json!({
            "place": place.as_str(), "bundle_sha256": hex::encode(watched.bundle),
            "judged": watched.monitor.records(), "has_reference": watched.monitor.has_reference(),
            "shifts": watched.monitor.told(), "mean_score": score, "share_of_fraud_among_labels": labels,
            "last_window": distances.collect::<Vec<_>>(),
        })
    }
}

fn name<'n>(subject: &Subject, names: &[&'n str]) -> &'n str {
    match subject {
        Subject::Labels => "labels",
        Subject::Feature(_) | Subject::Score => subject.name(names),
    }
}

/// A recorded shift as JSON.
pub(crate) fn drifted_json(drifted: &Drifted) -> Value {
    let share = |millionths: i64| millionths as f64 / 1e6;
    let mut value = json!({
        "bundle_sha256": hex::encode(drifted.bundle), "subject": drifted.subject, "records": drifted.records,
    });
    let (measure, figures) = match drifted.measure {
        Measure::Adwin { before, after } => ("adwin", [("before", before), ("after", after)]),
        Measure::Psi { psi, ks } => ("psi", [("psi", psi), ("ks", ks)]),
    };
    value["measure"] = json!(measure);
    for (name, figure) in figures {
        value[name] = json!(share(figure));
    }
    value
}

/// Journals shifts. Runs until it is aborted; what it did not get to is found again at the next start.
pub async fn record_shifts(core: Arc<Core>) {
    let mut turns = tokio::time::interval(EVERY);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let lives = core.ground.lives();
        for drifted in lives.drifts().pending() {
            tracing::warn!(
                subject = drifted.subject,
                measure = ?drifted.measure,
                "what the fraud engine is fed or says has shifted: judge the model again"
            );
            let payload = ModelEntry::Drifted(drifted).encode();
            let draft = Draft { at: core.clock.now(), subject: Sealed::System, kind: Kind::Model, payload };
            if let Err(error) = core.ground.record(vec![draft]).await {
                tracing::warn!(%error, "a shift was not recorded; it is tried again");
                break;
            }
        }
    }
}
