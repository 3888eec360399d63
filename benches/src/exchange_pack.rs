//! The exchange bundle on stories it has not seen: which frauds it finds, whom it troubles.
//!
//! A story goes through the live engine as the journal would: every event, every request first examined and then decided
//! (always allowed: nothing reacts, a fraud goes on), every label as the event it is, when it arrives. Counted is what
//! moves money: withdrawal requests, transfers, bonuses, orders.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Result, anyhow};
use domain::{
    AccountId, Decision, Event, EventContext, EventId, EventKind, Finding, LabelTarget, UnixNanos, Verdict,
};
use exchange::scenarios::{Story, Typology, What};
use features::Limits;
use fraud::live::{
    Bundle, Live,
    record::{Entry, Field},
};

/// Code of the findings of rules, before the rule's id.
const RULE_CODE: &str = "fraud.rule.";
/// Hours for which a device, an address, a credential or a key counts as new.
const NEW_HOURS: f64 = 80.0;

/// What was said about one movement of money.
#[derive(Debug)]
pub struct Judged<'a> {
    /// Index into the story.
    pub item: usize,
    /// When.
    pub at: UnixNanos,
    /// Kind of the record.
    pub kind: &'a str,
    /// Whose account.
    pub account: &'a AccountId,
    /// How much, in the reference currency.
    pub value: f64,
    /// The features.
    pub row: &'a [f64],
    /// What asked for more than to go on.
    pub findings: &'a [Finding],
}

/// Loads the built-in exchange bundle; `rules` replaces its rules.
///
/// # Errors
/// When it does not load.
pub fn bundle(rules: Option<&str>) -> Result<Arc<Bundle>> {
    let files = fraud::preset::bundle("exchange").ok_or_else(|| anyhow!("no exchange bundle"))?;
    let bundle = Bundle::load(&mut |name: &str, _| {
        let found = files.iter().find(|(file, _)| *file == name).map(|(_, text)| *text);
        let text = found.ok_or_else(|| format!("no file {name}"))?;
        let text = rules.filter(|_| name == "rules.toml").unwrap_or(text);
        Ok(text.as_bytes().to_vec())
    })?;
    Ok(Arc::new(bundle))
}

/// Runs a story through the bundle; `judged` is told of each movement of money.
///
/// # Errors
/// When the engine cannot be made.
pub fn run(bundle: &Arc<Bundle>, story: &Story, judged: impl FnMut(&Judged<'_>)) -> Result<()> {
    run_from(bundle, story, UnixNanos(0), judged)
}

/// As [`run`], of an exchange that begins to report at `begin`, in the middle of its life: of what was before it tells the
/// devices and address books it knows, and nothing else.
///
/// # Errors
/// When the engine cannot be made.
pub fn run_from(
    bundle: &Arc<Bundle>,
    story: &Story,
    begin: UnixNanos,
    mut judged: impl FnMut(&Judged<'_>),
) -> Result<()> {
    let limits = Limits { events_max: 1 << 21, ..Limits::default() };
    let live = Live::new(Arc::clone(bundle), limits, true)?;
    live.activated(true, true);
    let mut labels = story.labels.iter().peekable();
    // Positions of the items in the journal, which holds labels as well.
    let mut positions = Vec::with_capacity(story.items.len());
    let mut seq = 0;
    for (place, item) in story.items.iter().enumerate() {
        while let Some(label) = labels.next_if(|label| label.arrival <= item.at()) {
            let labelled = story.items.get(label.item).filter(|labelled| labelled.at() >= begin);
            let Some(labelled) = labelled else { continue };
            let target = match &labelled.what {
                What::Event(event) => LabelTarget::Event(event.id.clone()),
                What::Withdrawal(_) => LabelTarget::Decision(positions.get(label.item).copied().unwrap_or(0)),
            };
            let event = Event {
                id: EventId::parse(&format!("label-{seq}"))?,
                account: labelled.account().clone(),
                occurred_at: label.arrival,
                device: None,
                ip: None,
                context: EventContext::default(),
                kind: EventKind::Label { target, is_fraud: label.is_fraud, source: label.source.to_owned() },
            };
            live.apply(seq, &Entry::Event(&event));
            seq += 1;
        }
        positions.push(seq);
        if item.at() < begin && !is_known_before(&item.what) {
            continue;
        }
        let mut findings = Vec::new();
        let mut seen: Option<(Vec<f64>, f64)> = None;
        let keep = |judged: &fraud::live::Judged<'_>| {
            // The first record of an entry is the event or the request.
            if seen.is_none() {
                let value = match judged.record.cell(Field::Value) {
                    fraud::live::record::Cell::Money(value) => value.to_f64_lossy(),
                    _ => 0.0,
                };
                seen = Some((judged.row.to_vec(), value));
            }
        };
        let kind = match &item.what {
            What::Event(event) => {
                live.apply_with(seq, &Entry::Event(event), keep);
                for alert in live.pending(usize::MAX) {
                    live.alert_recorded(&alert.id);
                    findings.extend(alert.findings);
                }
                event.kind.as_str()
            }
            What::Withdrawal(request) => {
                findings = live.examine(request);
                let decision = Decision {
                    request: request.clone(),
                    verdict: Verdict::Allow,
                    findings: Vec::new(),
                    decided_at: request.requested_at,
                    idempotency_key: None,
                };
                live.apply_with(seq, &Entry::Decision(&decision), keep);
                "withdrawal_requested"
            }
        };
        seq += 1;
        if !matches!(kind, "bonus_granted" | "order_placed" | "transfer" | "withdrawal_requested") {
            continue;
        }
        findings.retain(|finding| finding.verdict > Verdict::Allow && !finding.shadow);
        let (row, value) = seen.unwrap_or_default();
        let (at, account) = (item.at(), item.account());
        judged(&Judged { item: place, at, kind, account, value, row: &row, findings: &findings });
    }
    Ok(())
}

/// Whether an exchange can tell it of the time before it reported everything.
fn is_known_before(what: &What) -> bool {
    let known = |event: &Event| matches!(event.kind, EventKind::AddressAdded { .. } | EventKind::DeviceAdded);
    matches!(what, What::Event(event) if known(event))
}

/// What became of one kind of fraud.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    /// Frauds that moved money.
    pub cases: usize,
    /// Those with a movement of money that was stopped or questioned.
    pub found: usize,
    /// What they moved, in the reference currency.
    pub value: f64,
    /// What they moved from the first such movement on.
    pub saved: f64,
}

/// What was measured on one story or several.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Per kind of fraud.
    pub found: [Found; Typology::ALL.len()],
    /// Honest withdrawals, transfers and bonuses.
    pub honest: usize,
    /// Those that were stopped or questioned, orders included.
    pub troubled: usize,
    /// Those that were stopped.
    pub blocked: usize,
    /// Honest customers.
    pub customers: usize,
    /// Those troubled at least once, over the story.
    pub customers_troubled: usize,
    /// Those blocked at least once.
    pub customers_blocked: usize,
    /// Per rule: honest and fraudulent movements on which it fired.
    pub rules: Vec<(String, usize, usize)>,
    /// Withdrawals of honest customers behind a VPN or on shared devices with nothing but that against them: device,
    /// address, credentials and keys are known for long. And those of them that were blocked.
    pub weak: (usize, usize),
}

impl Figures {
    /// Adds what a story shows. Its first days, in which habits are learned, do not count for anybody.
    ///
    /// # Errors
    /// As [`run`].
    pub fn add(&mut self, bundle: &Arc<Bundle>, story: &Story, quiet_until: UnixNanos) -> Result<()> {
        self.add_from(bundle, story, UnixNanos(0), quiet_until)
    }

    /// As [`Figures::add`], of an exchange that begins to report at `begin` ([`run_from`]).
    ///
    /// # Errors
    /// As [`run`].
    pub fn add_from(
        &mut self,
        bundle: &Arc<Bundle>,
        story: &Story,
        begin: UnixNanos,
        quiet_until: UnixNanos,
    ) -> Result<()> {
        if self.rules.is_empty() {
            let rules = bundle.rules().map(|set| set.rules()).unwrap_or_default();
            self.rules = rules.iter().map(|rule| (rule.id().to_owned(), 0, 0)).collect();
        }
        let mut of_case = vec![Found::default(); story.cases.len()];
        let (mut troubled, mut blocked) = (BTreeSet::new(), BTreeSet::new());
        let weak: BTreeSet<&AccountId> = story
            .honest
            .iter()
            .filter(|(_, traits)| traits.uses_vpn || traits.shares_device)
            .map(|(account, _)| account)
            .collect();
        // Who structures is no honest customer on other days either.
        let structuring: BTreeSet<&AccountId> = story
            .cases
            .iter()
            .filter(|case| case.typology == Typology::Structuring)
            .flat_map(|case| &case.accounts)
            .collect();
        let known_for_long = [
            "destination_age_hours",
            "device_age_hours",
            "since_credential_hours",
            "since_withdrawing_key_hours",
        ]
        .map(|name| bundle.pack().column_index(name));
        run_from(bundle, story, begin, |judged| {
            if judged.at < quiet_until {
                return;
            }
            let case = story.items.get(judged.item).and_then(|item| item.case);
            if case.is_none() && structuring.contains(judged.account) {
                return;
            }
            let fires = !judged.findings.is_empty();
            let blocks = judged.findings.iter().any(|finding| finding.verdict >= Verdict::Hold);
            for finding in judged.findings {
                let rule = finding.code.as_str().strip_prefix(RULE_CODE).unwrap_or_default();
                if let Some(counts) = self.rules.iter_mut().find(|(id, ..)| id == rule) {
                    if case.is_some() { counts.2 += 1 } else { counts.1 += 1 }
                }
            }
            if let Some(found) = case.and_then(|case| of_case.get_mut(case)) {
                found.cases = 1;
                found.found |= usize::from(fires);
                found.value += judged.value;
                found.saved += if found.found > 0 { judged.value } else { 0.0 };
                return;
            }
            // An order is asked about only if something is wrong with it.
            self.honest += usize::from(judged.kind != "order_placed");
            self.troubled += usize::from(fires);
            self.blocked += usize::from(blocks);
            if fires {
                troubled.insert(judged.account.clone());
            }
            if blocks {
                blocked.insert(judged.account.clone());
            }
            let is_old = |column: &Option<usize>| {
                let age = column.and_then(|column| judged.row.get(column)).copied().unwrap_or(f64::NAN);
                age.is_nan() || age >= NEW_HOURS
            };
            let is_withdrawal = judged.kind == "withdrawal_requested";
            if is_withdrawal && weak.contains(judged.account) && known_for_long.iter().all(is_old) {
                self.weak.0 += 1;
                self.weak.1 += usize::from(blocks);
            }
        })?;
        self.customers += story.honest.len();
        self.customers_troubled += troubled.len();
        self.customers_blocked += blocked.len();
        for (case, found) in story.cases.iter().zip(of_case) {
            let place = Typology::ALL.iter().position(|typology| *typology == case.typology);
            if let Some(sum) = place.and_then(|place| self.found.get_mut(place)) {
                sum.cases += found.cases;
                sum.found += found.found;
                sum.value += found.value;
                sum.saved += found.saved;
            }
        }
        Ok(())
    }

    /// Share of honest movements that were stopped or questioned.
    #[must_use]
    pub fn false_positive_rate(&self) -> f64 {
        self.troubled as f64 / self.honest.max(1) as f64
    }
}
