//! What bundles of the fraud engine say of themselves.
//!
//! Times are those of entries that came in while the process served, not those it replayed.
//! Records and alerts are counted since the beginning of the journal, since a bundle replays it; a bundle that takes the place
//! of another begins anew, as a restarted process would. Labels: the place, outcomes of the code, and the ids of rules, of which
//! the first [`RULES_MAX`] are told.

use std::{collections::HashMap, fmt, sync::Arc};

use domain::{Clock, UnixNanos, Verdict};
use fraud::live::SCORE_RANGES;
use prometheus_client::{
    encoding::MetricEncoder,
    metrics::{
        MetricType,
        exemplar::Exemplar,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use super::{Encoder, Labels, VERDICTS, Whole};
use crate::bundles::Place;

/// Rules whose hits are told, by place.
const RULES_MAX: usize = 256;

/// How long things took since the process began to serve.
#[derive(Debug, Clone)]
pub(super) struct Times {
    steps: Family<[(&'static str, &'static str); 1], Histogram>,
    labels: Histogram,
}

impl Default for Times {
    fn default() -> Self {
        // 1 µs to 131 ms: from an entry that says nothing of behaviour to one that waits for the processor.
        let steps = || Histogram::new(exponential_buckets(0.000_001, 2.0, 18));
        // 0.5 ms to 4 s: from a fast disk to a batch of thousands before a slow one.
        let labels = Histogram::new(exponential_buckets(0.000_5, 2.0, 14));
        let steps = Family::new_with_constructor(steps as fn() -> Histogram);
        for place in Place::ALL {
            // There from the beginning, so that what is asked first is not the absence of it.
            drop(steps.get_or_create(&[("place", place.as_str())]));
        }
        Self { steps, labels }
    }
}

impl Times {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "caponier_fraud_step_seconds",
            "Time a bundle took over one entry of the journal: its features, scores and rules",
            self.steps.clone(),
        );
        registry.register(
            "caponier_fraud_label_seconds",
            "Time from the arrival of a label to features that count it",
            self.labels.clone(),
        );
    }
}

/// Takes the time of bundles at work. The clock may be set meanwhile: what would have ended before it began took no time.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    times: Times,
}

impl Pace {
    pub(super) const fn new(clock: Arc<dyn Clock>, times: Times) -> Self {
        Self { clock, times }
    }

    /// A step begins.
    pub(crate) fn begin(&self) -> UnixNanos {
        self.clock.now()
    }

    /// The bundle of this place has taken in an entry that it was given at `begun`.
    pub(crate) fn stepped(&self, place: Place, begun: UnixNanos) {
        let took = self.clock.now().since(begun);
        self.times.steps.get_or_create(&[("place", place.as_str())]).observe(took.as_secs_f64());
    }

    /// What is judged next counts a label that arrived at `arrived`.
    pub(crate) fn labelled(&self, arrived: UnixNanos) {
        self.times.labels.observe(self.clock.now().since(arrived).as_secs_f64());
    }
}

/// Exemplars that there are not.
type NoExemplars<'e> = Option<&'e HashMap<usize, Exemplar<Vec<(String, String)>, f64>>>;

fn histogram(metric: &mut MetricEncoder<'_>, sum: f64, counts: &[u64]) -> fmt::Result {
    let ends = SCORE_RANGES.into_iter().chain([f64::MAX]);
    let buckets: Vec<(f64, u64)> = ends.zip(counts.iter().copied()).collect();
    let none: NoExemplars<'_> = None;
    metric.encode_histogram(sum, counts.iter().sum(), &buckets, none)
}

impl Whole {
    /// Bundles at work, and how what they see moves.
    pub(super) fn fraud(&self, to: &mut Encoder<'_>) -> fmt::Result {
        let lives = self.core.ground.lives();
        to.counter("caponier_fraud_shifts", "Shifts of what bundles are fed and say", lives.drifts().told())?;
        let worst = Place::ALL.map(|place| ([("place", place.as_str())], lives.drifts().worst(place)));
        to.gauges(
            "caponier_fraud_psi_millionths",
            "Largest stability index of the last window, in millionths; 250000 is a shift",
            worst.iter().filter_map(|(labels, psi)| Some((labels.as_slice(), (*psi)?))),
        )?;

        let (mut records, mut alerts, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let (mut examined, mut rules, mut promoted) = (Vec::new(), Vec::new(), Vec::new());
        let places: Vec<_> = lives.iter().map(|(place, live)| (place.as_str(), live)).collect();
        for (place, live) in &places {
            let (counts, features, tally) = (live.counts(), live.feature_counts(), live.tally());
            for (outcome, count) in [
                ("duplicate", features.duplicates),
                ("late", features.late),
                ("refused", counts.refused),
                ("taken", features.taken),
            ] {
                records.push(([("place", *place), ("outcome", outcome)], count));
            }
            for (outcome, count) in
                [("lost", counts.lost), ("quiet", counts.quiet), ("raised", counts.alerts)]
            {
                alerts.push(([("place", *place), ("outcome", outcome)], count));
            }
            for (outcome, count) in [("applied", counts.labels), ("unmatched", counts.labels_unmatched)] {
                labels.push(([("place", *place), ("outcome", outcome)], count));
            }
            for (shadow, counts) in [("false", tally.examined_in_force), ("true", tally.examined_in_shadow)] {
                for (verdict, count) in VERDICTS.iter().map(|verdict: &Verdict| verdict.as_str()).zip(counts)
                {
                    examined.push(([("place", *place), ("verdict", verdict), ("shadow", shadow)], count));
                }
            }
            let set = live.bundle().rules().map(|set| set.rules()).unwrap_or_default();
            for (rule, fired) in set.iter().zip(&tally.rules).take(RULES_MAX) {
                rules.push(([("place", *place), ("rule", rule.id())], *fired));
            }
            promoted.push(([("place", *place)], u64::from(live.is_enforced())));
        }
        to.counters(
            "caponier_fraud_records",
            "Records the bundles took in, by what became of them",
            records.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        to.counters(
            "caponier_fraud_examined",
            "Withdrawals the bundles were asked about, by the strictest they asked for and whether it had no effect",
            examined.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        to.counters(
            "caponier_fraud_rule_hits",
            "Judged records on which a rule fired",
            rules.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        to.counters(
            "caponier_fraud_alerts",
            "Alerts raised, kept quiet because they were raised shortly before, and lost",
            alerts.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        to.counters(
            "caponier_fraud_labels",
            "Labels, by whether their record was remembered",
            labels.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        to.gauges(
            "caponier_fraud_bundle_enforced",
            "1 while what the bundle says has an effect",
            promoted.iter().map(|(labels, value)| (labels.as_slice(), *value)),
        )?;
        let mut scores = to.0.encode_descriptor(
            "caponier_fraud_score",
            "Probabilities the models gave",
            None,
            MetricType::Histogram,
        )?;
        for (place, live) in places.iter().filter(|(_, live)| live.bundle().model().is_some()) {
            let tally = live.tally();
            let labels: Labels<'_> = &[("place", *place)];
            histogram(&mut scores.encode_family(&labels)?, tally.scores_sum, &tally.scores)?;
        }
        Ok(())
    }
}
