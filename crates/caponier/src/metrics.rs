//! What a monitoring system is told: counters and gauges of the whole installation, gathered when it asks.
//!
//! Names follow the Prometheus conventions (`caponier_` prefix, base units, `_total` for counters). Labels take
//! values from the code alone (reasons, verdicts), so their number is bounded; no customer, address or key is named.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{Clock, Verdict};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::ConstCounter,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use watch::follow::{Phase, Status, StatusCell};

mod fraud;
mod screening;
mod webhooks;

pub(crate) use self::fraud::Pace;
use crate::core::Core;

/// Counters of the parts that keep none of their own.
#[derive(Debug)]
pub struct Meters {
    decided: [AtomicU64; 4],
    undecided: AtomicU64,
    decision_seconds: Histogram,
    published: AtomicU64,
    shipped: AtomicU64,
    /// Fraud alerts journalled.
    pub(crate) alerts: AtomicU64,
    fraud: fraud::Times,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            decided: Default::default(),
            undecided: AtomicU64::new(0),
            // 0.1 ms to 1.6 s: from a decision in memory to one that waits for a slow disk.
            decision_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 15)),
            published: AtomicU64::new(0),
            shipped: AtomicU64::new(0),
            alerts: AtomicU64::new(0),
            fraud: fraud::Times::default(),
        }
    }
}

const VERDICTS: [Verdict; 4] = [Verdict::Allow, Verdict::Challenge, Verdict::Hold, Verdict::Deny];

impl Meters {
    /// A withdrawal was decided about; `None` means that there was no decision.
    pub fn decided(&self, verdict: Option<Verdict>, took: Duration) {
        let count = verdict
            .and_then(|verdict| VERDICTS.iter().position(|known| *known == verdict))
            .and_then(|index| self.decided.get(index))
            .unwrap_or(&self.undecided);
        count.fetch_add(1, Ordering::Relaxed);
        self.decision_seconds.observe(took.as_secs_f64());
    }

    /// Decisions since the start, in the order of [`Verdict::ALL`], and how often there was none.
    pub fn decisions(&self) -> ([u64; 4], u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (self.decided.each_ref().map(count), count(&self.undecided))
    }

    /// Takes the time of bundles by this clock.
    pub(crate) fn pace(&self, clock: Arc<dyn Clock>) -> Pace {
        Pace::new(clock, self.fraud.clone())
    }

    /// A checkpoint over so many entries was published.
    pub fn published(&self, entries: u64) {
        self.published.store(entries, Ordering::Relaxed);
    }

    /// The backup holds so many entries.
    pub fn shipped(&self, entries: u64) {
        self.shipped.store(entries, Ordering::Relaxed);
    }
}

/// Gathers everything on demand.
pub struct Exposition(Registry);

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

impl Exposition {
    /// Of an installation and its gateway.
    #[must_use]
    pub fn new(core: Arc<Core>, gateway: &gateway::Gateway) -> Self {
        let mut registry = Registry::default();
        registry.register(
            "caponier_decision_seconds",
            "Time from asking for a decision about a withdrawal to the durable answer",
            core.meters.decision_seconds.clone(),
        );
        core.meters.fraud.register(&mut registry);
        registry.register_collector(Box::new(Whole {
            core,
            gateway: gateway.metrics(),
            bans: gateway.bans(),
            control: gateway.control(),
        }));
        Self(registry)
    }
}

impl api::Metrics for Exposition {
    fn exposition(&self) -> String {
        let mut out = String::new();
        if text::encode(&mut out, &self.0).is_err() {
            unreachable!("writing to a string does not fail");
        }
        out
    }
}

#[derive(Debug)]
struct Whole {
    core: Arc<Core>,
    gateway: Arc<gateway::Metrics>,
    bans: gateway::Bans,
    control: gateway::Control,
}

/// The labels of one series.
type Labels<'a> = &'a [(&'static str, &'a str)];

struct Encoder<'a>(DescriptorEncoder<'a>);

impl Encoder<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(count).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)
    }

    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in series {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in series {
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl Whole {
    /// What the followers of chains say; the names of chains are the operator's.
    fn chains(&self, to: &mut Encoder<'_>) -> fmt::Result {
        let Some(cells) = self.core.chains.get().filter(|cells| !cells.is_empty()) else { return Ok(()) };
        let all: Vec<_> = cells.iter().map(StatusCell::read).collect();
        let labels: Vec<_> = all.iter().map(|status| [("chain", status.chain.as_str())]).collect();
        let each = |value: fn(&Status) -> Option<u64>| {
            let values: Vec<_> = all.iter().map(value).collect();
            labels
                .iter()
                .zip(values)
                .filter_map(|(labels, value)| Some((labels.as_slice(), value?)))
                .collect::<Vec<(Labels<'_>, u64)>>()
                .into_iter()
        };
        let works =
            |status: &Status| Some(u64::from(matches!(status.phase, Phase::Following | Phase::CatchingUp)));
        to.gauges("caponier_chain_up", "1 while the chain is followed", each(works))?;
        to.gauges("caponier_chain_height", "Newest block taken in", each(|s| s.tip.map(|tip| tip.height)))?;
        to.gauges(
            "caponier_chain_finalized",
            "Newest final block",
            each(|s| s.finalized.map(|id| id.height)),
        )?;
        to.gauges("caponier_chain_lag_blocks", "Blocks the node is ahead of us", each(Status::lag_blocks))?;
        let now = self.core.clock.now();
        let ages: Vec<_> =
            all.iter().map(|status| status.head_at.map(|at| now.since(at).as_secs())).collect();
        let ages = labels.iter().zip(ages).filter_map(|(labels, age)| Some((labels.as_slice(), age?)));
        to.gauges("caponier_chain_head_age_seconds", "Since the node's newest block became known", ages)?;
        let took = |status: &Status| status.head_to_done_ns.map(|nanos| nanos / 1_000);
        to.gauges(
            "caponier_chain_head_to_done_microseconds",
            "From the newest head to its alerts",
            each(took),
        )?;
        to.gauges(
            "caponier_chain_alerts_waiting",
            "Alerts not journalled yet",
            each(|s| Some(s.news_waiting)),
        )?;
        to.counters("caponier_chain_blocks", "Blocks taken in", each(|s| Some(s.totals.blocks)))?;
        to.counters("caponier_chain_reorgs", "Reorganisations followed", each(|s| Some(s.totals.reorgs)))?;
        to.counters("caponier_chain_alerts", "Alerts told", each(|s| Some(s.totals.alerts)))?;
        to.counters(
            "caponier_chain_alerts_retracted",
            "Alerts taken back",
            each(|s| Some(s.totals.retractions)),
        )?;
        let errors: Vec<_> = all
            .iter()
            .flat_map(|status| {
                let chain = status.chain.as_str();
                status
                    .errors
                    .iter()
                    .map(move |(error, count)| ([("chain", chain), ("error", *error)], *count))
            })
            .collect();
        to.counters(
            "caponier_chain_errors",
            "Attempts to follow that failed, by chain and error",
            errors.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )
    }
}

impl Collector for Whole {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut to = Encoder(encoder);
        let seen = self.gateway.snapshot();
        to.counter("caponier_gateway_connections", "Connections accepted within the caps", seen.connections)?;
        to.counter("caponier_gateway_requests", "Requests received", seen.requests)?;
        to.counter("caponier_gateway_forwarded", "Requests the exchange answered", seen.forwarded)?;
        to.counter(
            "caponier_gateway_upstream_connections",
            "Connections opened to the exchange",
            seen.upstream_connections,
        )?;
        let refusals: Vec<_> =
            seen.refusals.iter().map(|(reason, count)| ([("reason", *reason)], *count)).collect();
        to.counters(
            "caponier_gateway_refusals",
            "Requests and connections refused, by reason",
            refusals.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        let shadows: Vec<_> =
            seen.shadows.iter().map(|(reason, count)| ([("reason", *reason)], *count)).collect();
        to.counters(
            "caponier_gateway_shadows",
            "Requests that passed although something that only looks speaks against them, by reason",
            shadows.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;

        let now = self.core.clock.now();
        let cases = self.core.ground.read(|fold| fold.cases().sizes(now));
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        to.gauge("caponier_cases_open", "Cases that are not resolved", count(cases.open))?;
        to.gauge("caponier_cases_overdue", "Open cases nobody looked at in time", count(cases.overdue))?;
        to.gauge(
            "caponier_cases_releases",
            "Releases of held withdrawals nobody used",
            count(cases.releases),
        )?;
        let age = cases.oldest.map_or(0, |opened| now.since(opened).as_secs());
        to.gauge("caponier_cases_oldest_seconds", "Since the oldest open case was opened", age)?;
        to.counter("caponier_cases_forgotten", "Cases that made room", cases.forgotten)?;
        to.counter("caponier_cases_ignored", "Entries that broke a rule of cases", cases.ignored)?;
        let (models, champions, ignored) = self.core.ground.read(|fold| {
            let models = fold.models();
            let champions = models
                .models()
                .filter(|(digest, known)| models.champion(&known.registered.pack) == Some(*digest));
            (models.models().count(), champions.count(), models.ignored())
        });
        to.gauge("caponier_models", "Models that are kept", count(models))?;
        to.gauge("caponier_models_champions", "Feature packs with a model in force", count(champions))?;
        to.counter("caponier_models_ignored", "Entries that broke a gate of models", ignored)?;
        self.fraud(&mut to)?;

        let departures: Vec<_> =
            seen.departures.iter().map(|(label, count)| ([("departure", *label)], *count)).collect();
        to.counters(
            "caponier_gateway_model_departures",
            "Requests that departed from the model of the API and passed, by what departed",
            departures.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;

        let bans = self.bans.counts();
        to.counter("caponier_gateway_bans", "Bans decided, those of the shadow mode included", bans.bans)?;
        to.counter("caponier_gateway_bans_spared", "Bans not made: of somebody never banned", bans.spared)?;
        to.counter("caponier_gateway_bans_suppressed", "Bans not made: too many", bans.suppressed)?;
        let current = u64::try_from(self.bans.current().len()).unwrap_or(u64::MAX);
        to.gauge("caponier_gateway_banned", "Bans that have not ended", current)?;
        let load = self.control.load();
        to.gauge("caponier_gateway_in_flight", "Requests with the exchange", u64::from(load.in_flight))?;
        to.gauge("caponier_gateway_in_flight_limit", "How many there may be now", u64::from(load.limit))?;
        let shed = load.shed.map(|(class, count)| ([("class", class.label())], count));
        to.counters(
            "caponier_gateway_shed",
            "Requests turned away because the exchange has too much to do, by class",
            shed.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;

        let meters = &self.core.meters;
        let mut decisions: Vec<_> = VERDICTS
            .iter()
            .zip(&meters.decided)
            .map(|(verdict, count)| ([("verdict", verdict.as_str())], count.load(Ordering::Relaxed)))
            .collect();
        decisions.push(([("verdict", "none")], meters.undecided.load(Ordering::Relaxed)));
        to.counters(
            "caponier_decisions",
            "Withdrawals decided about, by verdict; none: refused without a decision",
            decisions.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;

        let journal = self.core.ground.journal();
        let works = matches!(journal.health(), journal::Health::Running);
        to.gauge("caponier_journal_up", "1 while the journal takes entries", u64::from(works))?;
        to.gauge("caponier_journal_entries", "Entries in the journal", journal.size())?;
        to.gauge(
            "caponier_log_entries",
            "Entries under the last signed checkpoint",
            meters.published.load(Ordering::Relaxed),
        )?;
        if self.core.shipper.is_some() {
            to.gauge(
                "caponier_backup_entries",
                "Entries in the backup",
                meters.shipped.load(Ordering::Relaxed),
            )?;
        }
        let keys = u64::try_from(self.core.ground.registry().len()).unwrap_or(u64::MAX);
        to.gauge("caponier_api_keys", "API keys known, revoked ones included", keys)?;
        self.chains(&mut to)?;
        self.screening(&mut to)?;
        self.webhooks(&mut to)?;
        let complete = self.core.gaps.problem().is_none();
        to.gauge("caponier_lists_up", "1 while every recorded label list is in force", u64::from(complete))?;
        if let Some(bytes) = resident_bytes() {
            to.gauge("process_resident_memory_bytes", "Resident memory", bytes)?;
        }
        Ok(())
    }
}

/// Resident memory of this process (proc(5), `statm`, second field in pages).
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}
