//! What was said of addresses elsewhere than about a transfer: answers of screenings, and alerts of followed chains.
//!
//! An answer "nothing speaks against it" and an alert about a movement with a stranger are worth as much as the lists were at that
//! moment. Both are remembered, and after every change of a list held against the lists in force, as past transfers are
//! ([`super::Ledger`]): what would be said otherwise now is news.
//!
//! Folds over the journal: [`Answers`] by address, since who asks twice is told once; [`Alerts`] one by one, until the block of one leaves
//! the chain.
//!
//! Which listing an alert goes by is the rule it was made by ([`crate::follow::rules`]): that of the other side, else of the subject;
//! approvals and delegations go by whom they are given to, movements between strangers by the listed one. Alerts that lists
//! have no part in are not remembered.
//!
//! Bounds: [`ANSWERS_MAX`] addresses and [`ALERTS_MAX`] alerts of some 150 bytes each; the oldest are forgotten first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use chain::label::Category;
use domain::{Address, Finding, Verdict};
use foldhash::HashMap;

use super::{ExposureNews, News, Way};
use crate::{
    Listing, Watch,
    assess::{DIRECT_EXPOSURE, INDIRECT_EXPOSURE},
    findings::{category_of, named_category},
    follow::AlertKind,
};

/// Addresses whose answers are remembered.
pub const ANSWERS_MAX: usize = 1 << 18;
/// Alerts of chains that are remembered.
pub const ALERTS_MAX: usize = 1 << 18;

/// What was answered about one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Which.
    pub address: Address,
    /// The gravest category that spoke against it.
    pub told: Option<Category>,
    /// The gravest category it was exposed to.
    pub exposed: Option<Category>,
}

impl Answered {
    /// What findings said of an address, with effect or in shadow.
    #[must_use]
    pub fn by_findings(address: Address, findings: &[Finding]) -> Self {
        let told = findings.iter().filter_map(|finding| Some((finding.verdict, category_of(finding)?)));
        // Strictest first, then in the order of categories: as labels are told.
        let told = told.min_by_key(|(verdict, category)| (Reverse(*verdict), *category));
        let exposed = |finding: &Finding| [DIRECT_EXPOSURE, INDIRECT_EXPOSURE].contains(&finding.code);
        let exposed = findings.iter().find(|finding| exposed(finding)).and_then(named_category);
        Self { address, told: told.map(|(_, category)| category), exposed }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    address: Address,
    /// Tag of the category last told; zero for none.
    told: u8,
    /// Likewise, of the exposure over others.
    exposed: u8,
}

/// The newest answer about each address.
#[derive(Debug, Default)]
pub struct Answers {
    /// By entry of the journal and place within it.
    by_entry: BTreeMap<(u64, u32), Answer>,
    places: HashMap<Address, (u64, u32)>,
}

impl Answers {
    /// How many addresses are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_entry.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_entry.is_empty()
    }

    /// Whether an answer about an address is remembered.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.places.contains_key(address)
    }

    /// Takes in what an entry answered about its addresses.
    pub fn apply_answers(&mut self, entry: u64, answers: impl IntoIterator<Item = Answered>) {
        for (at, Answered { address, told, exposed }) in (0..).zip(answers) {
            let tag = |category: Option<Category>| category.map_or(0, Category::tag);
            if let Some(before) = self.places.insert(address, (entry, at)) {
                self.by_entry.remove(&before);
            }
            self.by_entry.insert((entry, at), Answer { address, told: tag(told), exposed: tag(exposed) });
            if self.by_entry.len() > ANSWERS_MAX
                && let Some((_, oldest)) = self.by_entry.pop_first()
            {
                self.places.remove(&oldest.address);
            }
        }
    }

    /// Takes in what is said of an address now; `None` if that was taken back. Yields what was said before.
    pub fn apply_alert(&mut self, address: &Address, category: Option<Category>) -> Option<Category> {
        let answer = self.places.get(address).and_then(|place| self.by_entry.get_mut(place))?;
        let before = std::mem::replace(&mut answer.told, category.map_or(0, Category::tag));
        Category::from_tag(before)
    }

    /// Takes in what an address is exposed to now; `None` if that was taken back.
    pub fn apply_exposure(&mut self, address: &Address, category: Option<Category>) {
        if let Some(answer) = self.places.get(address).and_then(|place| self.by_entry.get_mut(place)) {
            answer.exposed = category.map_or(0, Category::tag);
        }
    }

    /// The addresses that were answered about from an entry on.
    pub fn addresses_from(&self, from: u64) -> impl Iterator<Item = Address> {
        self.from(from).map(|(_, answer)| answer.address)
    }

    fn from(&self, from: u64) -> impl Iterator<Item = (u64, &Answer)> {
        let range = (Bound::Included((from, 0)), Bound::Unbounded);
        self.by_entry.range(range).map(|((entry, _), answer)| (*entry, answer))
    }

    /// What is to be said of the exposure of these addresses, given what each is exposed to now.
    #[must_use]
    pub fn exposure_news<'e, E>(
        &self,
        judged: &'e BTreeMap<Address, Option<(Category, E)>>,
    ) -> Vec<ExposureNews<'e, E>> {
        let news = judged.iter().filter_map(|(address, now)| {
            let place = self.places.get(address)?;
            let before = Category::from_tag(self.by_entry.get(place)?.exposed);
            let now = now.as_ref().map(|(category, more)| (*category, more));
            let is_news = before != now.map(|(category, _)| category);
            is_news.then_some(ExposureNews { entry: place.0, way: Way::Answer, address: *address, now })
        });
        news.collect()
    }

    /// SHA-256 of everything remembered: equal for equal folds.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = crypto::Sha256::new();
        hash.update(b"caponier watch answers v1");
        for ((entry, at), answer) in &self.by_entry {
            hash.update(&entry.to_le_bytes());
            hash.update(&at.to_le_bytes());
            hash.update(&[answer.told, answer.exposed, answer.address.kind().tag()]);
            hash.update(answer.address.payload());
        }
        hash.finish()
    }
}

/// An alert of a followed chain, as far as lists have a part in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAlert<'a> {
    /// Its name.
    pub id: &'a str,
    /// What happened.
    pub kind: &'a str,
    /// Whom it is about.
    pub subject: Option<Address>,
    /// The other side.
    pub counterparty: Option<Address>,
    /// What the lists said.
    pub category: Option<Category>,
}

#[derive(Debug, Clone, Copy)]
struct PastAlert {
    entry: u64,
    /// Digest of its name.
    name: [u8; 16],
    /// Whose listing counts: the first that has one. None are left when the alert was taken back.
    asked: [Option<Address>; 2],
    told: u8,
}

/// Alerts of followed chains that stand.
#[derive(Debug, Default)]
pub struct Alerts {
    /// Oldest first.
    alerts: VecDeque<PastAlert>,
    entries: HashMap<[u8; 16], u64>,
}

/// Whether an alert of this kind says nothing but what a list says.
#[must_use]
pub fn goes_by_lists_alone(kind: &str) -> bool {
    [AlertKind::ListedCounterparty, AlertKind::ListedTransfer, AlertKind::WatchedTransfer]
        .iter()
        .any(|known| known.as_str() == kind)
}

fn asked(alert: &SeenAlert<'_>) -> [Option<Address>; 2] {
    let kind = AlertKind::ALL.into_iter().find(|kind| kind.as_str() == alert.kind);
    match kind {
        Some(AlertKind::ListedCounterparty | AlertKind::WatchedTransfer) => {
            [alert.counterparty, alert.subject]
        }
        Some(AlertKind::ListedTransfer) => [alert.subject, None],
        Some(AlertKind::Approval | AlertKind::Delegation) => [alert.counterparty, None],
        Some(AlertKind::Overflow | AlertKind::SpoofedTransfer) | None => [None, None],
    }
}

fn name_of(id: &str) -> [u8; 16] {
    let digest = crypto::sha256(&[id.as_bytes()]);
    digest.first_chunk().copied().unwrap_or_default()
}

impl Alerts {
    /// How many entries are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// Takes in an alert that is new; in a later state it is the same one.
    pub fn apply_seen(&mut self, entry: u64, alert: &SeenAlert<'_>) {
        let asked = asked(alert);
        if asked == [None, None] || self.alerts.back().is_some_and(|last| last.entry >= entry) {
            return;
        }
        let name = name_of(alert.id);
        if self.entries.contains_key(&name) {
            return;
        }
        let told = alert.category.filter(|category| category.is_malicious()).map_or(0, Category::tag);
        self.entries.insert(name, entry);
        self.alerts.push_back(PastAlert { entry, name, asked, told });
        if self.alerts.len() > ALERTS_MAX
            && let Some(oldest) = self.alerts.pop_front()
            && self.entries.get(&oldest.name) == Some(&oldest.entry)
        {
            self.entries.remove(&oldest.name);
        }
    }

    /// The block of an alert left the chain: nothing is said of it any more. Yields its entry and what was said.
    pub fn apply_retracted(&mut self, id: &str) -> Option<(u64, Option<Category>)> {
        let entry = self.entries.remove(&name_of(id))?;
        let past = self.find(entry)?;
        past.asked = [None, None];
        Some((entry, Category::from_tag(std::mem::take(&mut past.told))))
    }

    /// Takes in what is said of the alert of an entry now; `None` if that was taken back. Yields what was said before.
    pub fn apply_alert(&mut self, entry: u64, category: Option<Category>) -> Option<Category> {
        let past = self.find(entry).filter(|past| past.asked != [None, None])?;
        let before = std::mem::replace(&mut past.told, category.map_or(0, Category::tag));
        Category::from_tag(before)
    }

    fn find(&mut self, entry: u64) -> Option<&mut PastAlert> {
        let at = self.alerts.binary_search_by_key(&entry, |past| past.entry).ok()?;
        self.alerts.get_mut(at)
    }

    /// SHA-256 of everything remembered: equal for equal folds.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = crypto::Sha256::new();
        hash.update(b"caponier watch alerts v1");
        for past in &self.alerts {
            hash.update(&past.entry.to_le_bytes());
            hash.update(&past.name);
            hash.update(&[past.told]);
            for address in past.asked {
                hash.update(&[address.map_or(0, |address| address.kind().tag())]);
                hash.update(address.as_ref().map_or(&[][..], Address::payload));
            }
        }
        hash.finish()
    }
}

/// Answers and alerts at one moment, from an entry on.
#[derive(Debug)]
pub struct SaidScan {
    answers: Vec<(u64, Answer)>,
    alerts: Vec<PastAlert>,
}

impl SaidScan {
    /// A copy, to be held against lists while the folds go on.
    #[must_use]
    pub fn of(answers: &Answers, alerts: &Alerts, from: u64) -> Self {
        let first = alerts.alerts.partition_point(|past| past.entry < from);
        Self {
            answers: answers.from(from).map(|(entry, answer)| (entry, *answer)).collect(),
            alerts: alerts.alerts.range(first..).copied().collect(),
        }
    }

    /// Answers and alerts.
    #[must_use]
    pub const fn looked(&self) -> (usize, usize) {
        (self.answers.len(), self.alerts.len())
    }

    /// What is to be said otherwise, given the lists in force, in the order of answers and then of alerts. What is said is taken in from the
    /// journal.
    #[must_use]
    pub fn news(&self, watch: &Watch) -> Vec<News> {
        let mut addresses: Vec<Address> = self.answers.iter().map(|(_, answer)| answer.address).collect();
        addresses.extend(self.alerts.iter().flat_map(|past| past.asked.into_iter().flatten()));
        addresses.sort_unstable();
        addresses.dedup();
        let mut listed: HashMap<Address, Listing> = HashMap::default();
        watch.for_each_listed(&addresses, |at, listing| {
            if let Some(address) = addresses.get(at).filter(|_| listing.verdict > Verdict::Allow) {
                listed.insert(*address, listing);
            }
        });
        let answers = self.answers.iter().filter_map(|(entry, answer)| {
            let now = listed.get(&answer.address);
            news(*entry, Way::Answer, answer.address, answer.told, now)
        });
        let alerts = self.alerts.iter().filter_map(|past| {
            let found = past.asked.into_iter().flatten().find(|address| listed.contains_key(address));
            let address = found.or_else(|| past.asked.into_iter().flatten().next())?;
            news(past.entry, Way::ChainAlert, address, past.told, listed.get(&address))
        });
        answers.chain(alerts).collect()
    }
}

fn news(entry: u64, way: Way, address: Address, told: u8, now: Option<&Listing>) -> Option<News> {
    let before = Category::from_tag(told);
    let now = now.map(|listing| (listing.category, listing.verdict));
    (before != now.map(|(category, _)| category)).then_some(News { entry, way, address, before, now })
}

#[cfg(test)]
mod tests;
