//! What rules did: how often each was named by decisions and alerts, how often rightly by what labels say, and about how
//! many customers who turned out to be honest.
//!
//! Part of the fold, so a restart finds the same numbers. A hit is a rule named by a decision or by an alert; an alert is
//! not raised again while it is quiet, so what a rule fired on may be more.
//!
//! Bounds: the last [`HITS_MAX`] hits, [`RULES_MAX`] names of rules, [`ACCOUNTS_MAX`] labels of accounts,
//! [`RECENT_MAX`] events between which and their alert an entry may come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{AlertEntity, Decision, Event, EventId, EventKind, Finding, FraudAlert, LabelTarget, UnixNanos};

/// Hits remembered; the oldest are forgotten first. 48 bytes each; few enough to be counted
/// while everybody who records waits.
pub(crate) const HITS_MAX: usize = 1 << 15;
/// Rules that are counted; further ones are not.
const RULES_MAX: usize = 4_096;
/// Accounts whose label is remembered; further ones are not.
const ACCOUNTS_MAX: usize = 1 << 18;
/// Newest events of which the id is known when an alert about them comes.
const RECENT_MAX: usize = 1 << 16;
/// How reasons of rules begin.
const PREFIX: &str = "fraud.rule.";
const DAY_NANOS: u64 = 86_400_000_000_000;

type Short = [u8; 16];

#[derive(Debug, Clone, Copy)]
struct Hit {
    /// Of the decision, or of the entry an alert is about.
    about: u64,
    at: UnixNanos,
    rule: u32,
    /// Zero for nobody.
    account: u64,
    is_shadow: bool,
}

/// What is known of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Hits since midnight, UTC.
    pub(crate) today: u64,
    /// Hits of the last seven days.
    pub(crate) week: u64,
    /// Of all remembered ones: known fraud.
    pub(crate) fraud: u64,
    /// Known good.
    pub(crate) good: u64,
    /// Different customers of hits that are known to be good.
    pub(crate) good_accounts: u64,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    names: BTreeMap<String, u32>,
    hits: VecDeque<Hit>,
    /// How many hits are about an entry.
    abouts: BTreeMap<u64, u32>,
    forgotten: u64,
    recent: VecDeque<(u64, Short)>,
    /// Entries that alerts are about, by the id of their event.
    alerted: BTreeMap<Short, u64>,
    /// What labels say about decisions and about entries with alerts.
    labels: BTreeMap<u64, bool>,
    accounts: BTreeMap<u64, bool>,
}

fn short(text: &str) -> Short {
    let mut short = [0; 16];
    short.iter_mut().zip(crypto::sha256(&[text.as_bytes()])).for_each(|(to, from)| *to = from);
    short
}

fn number(text: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = short(text);
    u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1)
}

impl Tallies {
    /// An event stands at a position.
    pub(crate) fn event(&mut self, position: u64, event: &Event) {
        if let EventKind::Label { target, is_fraud, .. } = &event.kind {
            self.label(event, target, *is_fraud);
            return;
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((position, Self::id(&event.id)));
    }

    fn id(id: &EventId) -> Short {
        short(id.as_str())
    }

    fn label(&mut self, event: &Event, target: &LabelTarget, is_fraud: bool) {
        let about = match target {
            LabelTarget::Decision(position) => *position,
            LabelTarget::Event(id) => match self.alerted.get(&Self::id(id)) {
                Some(position) => *position,
                None => return,
            },
            _ => {
                let account = number(event.account.as_str());
                if self.accounts.contains_key(&account) || self.accounts.len() < ACCOUNTS_MAX {
                    self.accounts.insert(account, is_fraud);
                }
                return;
            }
        };
        // Only what may be a hit: labels of decisions that no rule named are of no use here.
        if self.abouts.contains_key(&about) {
            self.labels.insert(about, is_fraud);
        }
    }

    /// A decision stands at a position.
    pub(crate) fn decision(&mut self, position: u64, at: UnixNanos, decision: &Decision) {
        self.take(position, at, Some(decision.request.account.as_str()), &decision.findings);
    }

    /// An alert was recorded.
    pub(crate) fn alert(&mut self, at: UnixNanos, alert: &FraudAlert) {
        let account = match &alert.entity {
            AlertEntity::Account(account) => Some(account.as_str()),
            AlertEntity::Network(_) => None,
        };
        self.take(alert.entry, at, account, &alert.findings);
        let found = self.recent.binary_search_by_key(&alert.entry, |(position, _)| *position);
        if let Some((position, id)) = found.ok().and_then(|place| self.recent.get(place)) {
            self.alerted.insert(*id, *position);
        }
    }

    fn take(&mut self, about: u64, at: UnixNanos, account: Option<&str>, findings: &[Finding]) {
        for finding in findings {
            let Some(rule) = finding.code.as_str().strip_prefix(PREFIX) else { continue };
            let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            let rule = match self.names.get(rule) {
                Some(rule) => *rule,
                None if self.names.len() < RULES_MAX => *self.names.entry(rule.to_owned()).or_insert(next),
                None => continue,
            };
            if self.hits.len() == HITS_MAX {
                self.forget();
            }
            let account = account.map_or(0, number);
            *self.abouts.entry(about).or_default() += 1;
            self.hits.push_back(Hit { about, at, rule, account, is_shadow: finding.shadow });
        }
    }

    /// Makes room for an eighth more, and drops what is known of nothing any more.
    fn forget(&mut self) {
        let n = HITS_MAX / 8;
        self.forgotten += n as u64;
        for hit in self.hits.drain(..n) {
            if let Some(left) = self.abouts.get_mut(&hit.about) {
                *left -= 1;
                if *left == 0 {
                    self.abouts.remove(&hit.about);
                }
            }
        }
        let abouts = &self.abouts;
        self.alerted.retain(|_, position| abouts.contains_key(position));
        self.labels.retain(|position, _| abouts.contains_key(position));
    }

    /// The time from which on every hit is remembered; `None` if none was forgotten.
    pub(crate) fn since(&self) -> Option<UnixNanos> {
        self.hits.front().filter(|_| self.forgotten > 0).map(|hit| hit.at)
    }

    /// What each rule did, by its id: in shadow, or with effect.
    pub(crate) fn told(&self, now: UnixNanos) -> BTreeMap<(String, bool), Tally> {
        let today = now.0 - now.0 % DAY_NANOS;
        let week = now.0.saturating_sub(7 * DAY_NANOS);
        let mut tallies: BTreeMap<(u32, bool), (Tally, BTreeSet<u64>)> = BTreeMap::new();
        for hit in &self.hits {
            let (tally, good) = tallies.entry((hit.rule, hit.is_shadow)).or_default();
            tally.today += u64::from(hit.at.0 >= today);
            tally.week += u64::from(hit.at.0 > week);
            match self.labels.get(&hit.about).or_else(|| self.accounts.get(&hit.account)) {
                Some(true) => tally.fraud += 1,
                Some(false) => {
                    tally.good += 1;
                    good.insert(hit.account);
                }
                None => {}
            }
        }
        let names: BTreeMap<u32, &String> = self.names.iter().map(|(name, rule)| (*rule, name)).collect();
        let told = tallies.into_iter().filter_map(|((rule, is_shadow), (mut tally, good))| {
            tally.good_accounts = good.len() as u64;
            Some((((*names.get(&rule)?).clone(), is_shadow), tally))
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::{AccountId, EventContext, FindingSource, ReasonCode, Verdict};

    use super::*;

    const NOW: UnixNanos = UnixNanos(20_000 * DAY_NANOS + DAY_NANOS / 2);

    fn finding(rule: &str, shadow: bool) -> Finding {
        Finding {
            source: FindingSource::Fraud,
            code: ReasonCode::stored(&format!("{PREFIX}{rule}")),
            verdict: Verdict::Hold,
            shadow,
            message: String::new(),
            evidence: Vec::new(),
            would_pass_if: None,
        }
    }

    fn event(id: &str, account: &str, kind: EventKind) -> Event {
        Event {
            id: EventId::parse(id).unwrap(),
            account: AccountId::parse(account).unwrap(),
            occurred_at: NOW,
            device: None,
            ip: None,
            context: EventContext::default(),
            kind,
        }
    }

    fn label(account: &str, target: LabelTarget, is_fraud: bool) -> Event {
        event("label", account, EventKind::Label { target, is_fraud, source: "t".to_owned() })
    }

    fn alert(entry: u64, account: &str, findings: Vec<Finding>) -> FraudAlert {
        FraudAlert {
            id: "fa".to_owned(),
            entity: AlertEntity::Account(AccountId::parse(account).unwrap()),
            at: NOW,
            entry,
            kind: "login".to_owned(),
            score: None,
            value: None,
            expected_loss: None,
            findings,
            bundle: [0; 32],
        }
    }

    fn ago(days: u64) -> UnixNanos {
        UnixNanos(NOW.0 - days * DAY_NANOS)
    }

    #[test]
    fn hits_are_counted_by_day_and_labels_say_which_were_right() {
        let mut tallies = Tallies::default();
        tallies.event(1, &event("login-1", "anna", EventKind::Login { success: true, second_factor: true }));
        tallies.alert(ago(0), &alert(1, "anna", vec![finding("night", true), finding("drain", false)]));
        tallies.take(5, ago(3), Some("ben"), &[finding("drain", false)]);
        tallies.take(6, ago(9), Some("carl"), &[finding("drain", false), finding("drain", true)]);
        let of = |tallies: &Tallies, rule: &str, shadow| {
            tallies.told(NOW).get(&(rule.to_owned(), shadow)).copied().unwrap_or_default()
        };
        assert_eq!(of(&tallies, "drain", false), Tally { today: 1, week: 2, ..Tally::default() });
        assert_eq!(of(&tallies, "drain", true), Tally { today: 0, week: 0, ..Tally::default() });
        assert_eq!(of(&tallies, "night", true).today, 1);

        let login = EventId::parse("login-1").unwrap();
        tallies.event(7, &label("anna", LabelTarget::Event(login), false));
        tallies.event(8, &label("ben", LabelTarget::Decision(5), true));
        tallies.event(9, &label("carl", LabelTarget::Account, false));
        // Of nothing that hit.
        tallies.event(10, &label("ben", LabelTarget::Decision(77), true));
        let drain = of(&tallies, "drain", false);
        assert_eq!((drain.fraud, drain.good, drain.good_accounts), (1, 2, 2));
        // The later word counts.
        tallies.event(11, &label("ben", LabelTarget::Decision(5), false));
        assert_eq!(of(&tallies, "drain", false).fraud, 0);
        assert_eq!((tallies.labels.len(), tallies.since()), (2, None));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_said_to_be() {
        let mut tallies = Tallies::default();
        for n in 0..(HITS_MAX as u64 + 10) {
            tallies.take(n, UnixNanos(n), Some("a"), &[finding("r", false)]);
        }
        assert!(tallies.hits.len() <= HITS_MAX && tallies.since().is_some());
        for n in 0..RULES_MAX + 10 {
            tallies.take(1, NOW, None, &[finding(&format!("r{n}"), false)]);
        }
        assert_eq!(tallies.names.len(), RULES_MAX);
        for n in 0..RECENT_MAX as u64 + 10 {
            let login = EventKind::Login { success: true, second_factor: true };
            tallies.event(n, &event(&format!("e{n}"), "a", login));
        }
        assert_eq!(tallies.recent.len(), RECENT_MAX);
    }
}
