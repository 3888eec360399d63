//! Continuous re-screening: what was paid and received is scored again whenever a list changes.
//!
//! An address that is listed today may have received a withdrawal last month. A [`Ledger`] remembers the transfers of the
//! installation's own journal: withdrawals that were allowed or reported, deposits with a sender. After every change of a list
//! [`Scan::news`] holds all their addresses against the lists in force and says what is different from what was said
//! before: a transfer an alert has to be raised about, one whose alert is retracted because the label was withdrawn.
//!
//! A fold: [`Ledger::apply_event`], [`Ledger::apply_decision`] and [`Ledger::apply_alert`] take in entries in the order of the
//! journal, alerts included, so after a stop anywhere the next [`Scan::news`] finds exactly what is missing. A transfer is
//! named by the position of its entry.
//!
//! What is said of a transfer's exposure over others ([`Ledger::apply_exposure`], [`Scan::exposure_news`]) is remembered beside it. Which
//! addresses that may have changed for is the caller's to say: those around the holders whose label changed
//! ([`crate::flows::Flows::around`]).
//!
//! Beside transfers, answers of screenings and alerts of followed chains are judged again ([`Answers`], [`Alerts`]).
//!
//! Bounds: [`TRANSFERS_MAX`] transfers of 32 bytes, the oldest are forgotten, and their addresses of some 60.

use std::collections::{BTreeMap, VecDeque};

use chain::{address, label::Category};
use domain::{AccountId, Address, Decision, Destination, Event, EventKind, Network, Verdict};
use foldhash::HashMap;

use crate::Watch;

mod said;

pub use said::{
    ALERTS_MAX, ANSWERS_MAX, Alerts, Answered, Answers, SaidScan, SeenAlert, goes_by_lists_alone,
};

/// Transfers remembered.
pub const TRANSFERS_MAX: usize = 2_000_000;

/// What was spoken of: which way the funds of a transfer went, or what else was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A screening was answered.
    Answer,
    /// Something was seen on a chain.
    ChainAlert,
    /// To a customer.
    Deposit,
    /// From a customer.
    Withdrawal,
}

impl Way {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::ChainAlert => "chain_alert",
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
        }
    }
}

/// A transfer, an answer or an alert that is to be spoken of, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// Position of its entry in the journal; of an answer, the newest about the address.
    pub entry: u64,
    /// What it is.
    pub way: Way,
    /// Which address it is about.
    pub address: Address,
    /// What was said of it before.
    pub before: Option<Category>,
    /// What is to be said of it now: the gravest category and what it asks for; `None` retracts.
    pub now: Option<(Category, Verdict)>,
}

/// A transfer whose exposure is to be spoken of, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExposureNews<'e, E> {
    /// Position of the transfer's entry in the journal.
    pub entry: u64,
    /// Which way the funds went.
    pub way: Way,
    /// To or from which address.
    pub address: Address,
    /// What it is exposed to now, and whatever was said of that; `None` retracts.
    pub now: Option<(Category, &'e E)>,
}

/// What a re-screening looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// Transfers.
    pub transfers: usize,
    /// Different addresses.
    pub addresses: usize,
}

#[derive(Debug, Clone, Copy)]
struct Past {
    entry: u64,
    /// Half a digest of the account: enough to tell a report from a decision about the same withdrawal.
    account: u64,
    address: u32,
    way: Way,
    /// From a decision of which no report came yet.
    is_unreported: bool,
    /// Tag of the category last alerted; zero for none.
    alerted: u8,
    /// Likewise, of the exposure over others.
    exposed: u8,
}

/// Transfers of one installation.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Oldest first, so by ascending entry.
    transfers: VecDeque<Past>,
    addresses: Vec<Address>,
    by_address: HashMap<Address, u32>,
    /// The newest transfer of each address.
    newest: Vec<u64>,
}

impl Ledger {
    /// Of nothing; replay the journal into it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many transfers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.transfers.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transfers.is_empty()
    }

    /// Takes in an event of the journal.
    pub fn apply_event(&mut self, entry: u64, event: &Event) {
        match &event.kind {
            EventKind::Deposit { network, from: Some(from), .. } => {
                self.add(entry, &event.account, *network, from, Way::Deposit, false);
            }
            EventKind::WithdrawalAccepted { network, address, .. } => {
                self.add(entry, &event.account, *network, address, Way::Withdrawal, false);
            }
            _ => {}
        }
    }

    /// Takes in a decision of the journal; only an allowed withdrawal over a network is a transfer.
    pub fn apply_decision(&mut self, entry: u64, decision: &Decision) {
        if decision.verdict != Verdict::Allow {
            return;
        }
        if let Destination::OnChain { network, address, .. } = &decision.request.destination {
            self.add(entry, &decision.request.account, *network, address, Way::Withdrawal, true);
        }
    }

    /// Takes in what was said of a transfer; `None` if that was taken back. A transfer that is forgotten changes nothing.
    /// Yields what was said of it before.
    pub fn apply_alert(&mut self, entry: u64, category: Option<Category>) -> Option<Category> {
        let at = self.transfers.binary_search_by_key(&entry, |past| past.entry).ok()?;
        let past = self.transfers.get_mut(at)?;
        let before = std::mem::replace(&mut past.alerted, category.map_or(0, Category::tag));
        Category::from_tag(before)
    }

    /// Takes in what was said of a transfer's exposure; `None` if that was taken back.
    pub fn apply_exposure(&mut self, entry: u64, category: Option<Category>) {
        if let Ok(at) = self.transfers.binary_search_by_key(&entry, |past| past.entry)
            && let Some(past) = self.transfers.get_mut(at)
        {
            past.exposed = category.map_or(0, Category::tag);
        }
    }

    fn add(
        &mut self,
        entry: u64,
        account: &AccountId,
        network: Network,
        text: &str,
        way: Way,
        is_decided: bool,
    ) {
        let (text, _) = network.split_tag(text.trim());
        let Ok(address) = address::decode(network.family(), text) else { return };
        if self.transfers.back().is_some_and(|last| last.entry >= entry) {
            return;
        }
        let account = crypto::sha256(&[account.as_str().as_bytes()]);
        let account = account.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        let known = self.by_address.get(&address).copied();
        // The exchange reports what was decided here: that is one withdrawal, not two.
        if way == Way::Withdrawal
            && !is_decided
            && let Some(newest) = known.and_then(|at| self.newest.get(at as usize)).copied()
            && let Ok(at) = self.transfers.binary_search_by_key(&newest, |past| past.entry)
            && let Some(past) = self.transfers.get_mut(at)
            && past.is_unreported
            && past.account == account
        {
            past.is_unreported = false;
            return;
        }
        let at = match known {
            Some(at) => at,
            None => {
                let Ok(at) = u32::try_from(self.addresses.len()) else { return };
                self.addresses.push(address);
                self.newest.push(entry);
                self.by_address.insert(address, at);
                at
            }
        };
        if let Some(newest) = self.newest.get_mut(at as usize) {
            *newest = entry;
        }
        self.transfers.push_back(Past {
            entry,
            account,
            address: at,
            way,
            is_unreported: is_decided,
            alerted: 0,
            exposed: 0,
        });
        if self.transfers.len() > TRANSFERS_MAX {
            self.forget_oldest();
        }
    }

    /// Forgets a quarter, and the addresses only those named.
    fn forget_oldest(&mut self) {
        self.transfers.drain(..TRANSFERS_MAX / 4);
        let before = std::mem::take(&mut self.addresses);
        self.by_address.clear();
        self.newest.clear();
        for past in &mut self.transfers {
            let Some(address) = before.get(past.address as usize).copied() else { continue };
            let next = u32::try_from(self.addresses.len()).unwrap_or(u32::MAX);
            let at = *self.by_address.entry(address).or_insert_with(|| {
                self.addresses.push(address);
                self.newest.push(0);
                next
            });
            if let Some(newest) = self.newest.get_mut(at as usize) {
                *newest = past.entry;
            }
            past.address = at;
        }
    }

    /// A copy of transfers from the entry `from` on, to be held against lists while the ledger goes on.
    #[must_use]
    pub fn scan(&self, from: u64) -> Scan {
        let first = self.transfers.partition_point(|past| past.entry < from);
        let count = self.transfers.len() - first;
        let mut scan = Scan { transfers: Vec::with_capacity(count), addresses: Vec::new() };
        // Of few transfers only their own addresses are copied.
        if count.saturating_mul(4) < self.transfers.len() {
            let mut places: HashMap<u32, u32> = HashMap::default();
            for past in self.transfers.range(first..) {
                let Some(address) = self.addresses.get(past.address as usize) else { continue };
                let next = u32::try_from(scan.addresses.len()).unwrap_or(u32::MAX);
                let place = *places.entry(past.address).or_insert_with(|| {
                    scan.addresses.push(*address);
                    next
                });
                scan.transfers.push(Past { address: place, ..*past });
            }
        } else {
            scan.addresses.clone_from(&self.addresses);
            scan.transfers.extend(self.transfers.range(first..));
        }
        scan
    }

    /// SHA-256 of everything remembered: equal for equal folds.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = crypto::Sha256::new();
        hash.update(b"caponier watch rescreen v1");
        for past in &self.transfers {
            hash.update(&past.entry.to_le_bytes());
            hash.update(&[u8::from(past.way == Way::Deposit), u8::from(past.is_unreported), past.alerted]);
            hash.update(&[past.exposed]);
            if let Some(address) = self.addresses.get(past.address as usize) {
                hash.update(&[address.kind().tag()]);
                hash.update(address.payload());
            }
        }
        hash.finish()
    }
}

/// Transfers at one moment.
#[derive(Debug)]
pub struct Scan {
    transfers: Vec<Past>,
    addresses: Vec<Address>,
}

impl Scan {
    /// What was looked at.
    #[must_use]
    pub const fn looked(&self) -> Looked {
        Looked { transfers: self.transfers.len(), addresses: self.addresses.len() }
    }

    /// The entry of the newest transfer.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        self.transfers.last().map(|past| past.entry)
    }

    /// The addresses, each once.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What is to be said of the exposure of the transfers of these addresses, given what each is exposed to now.
    #[must_use]
    pub fn exposure_news<'e, E>(
        &self,
        judged: &'e BTreeMap<Address, Option<(Category, E)>>,
    ) -> Vec<ExposureNews<'e, E>> {
        let news = self.transfers.iter().filter_map(|past| {
            let address = self.addresses.get(past.address as usize).copied()?;
            let now = judged.get(&address)?.as_ref();
            let before = Category::from_tag(past.exposed);
            (before != now.map(|(category, _)| *category)).then_some(ExposureNews {
                entry: past.entry,
                way: past.way,
                address,
                now: now.map(|(category, more)| (*category, more)),
            })
        });
        news.collect()
    }

    /// What is to be said of the transfers, given the lists in force. What is said is taken in from the journal.
    #[must_use]
    pub fn news(&self, watch: &Watch) -> Vec<News> {
        let mut listed: Vec<Option<(Category, Verdict)>> = vec![None; self.addresses.len()];
        watch.for_each_listed(&self.addresses, |at, listing| {
            if let Some(place) = listed.get_mut(at).filter(|_| listing.verdict > Verdict::Allow) {
                *place = Some((listing.category, listing.verdict));
            }
        });
        let news = self.transfers.iter().filter_map(|past| {
            let now = listed.get(past.address as usize).copied().flatten();
            let before = Category::from_tag(past.alerted);
            if before == now.map(|(category, _)| category) {
                return None;
            }
            let address = self.addresses.get(past.address as usize).copied()?;
            Some(News { entry: past.entry, way: past.way, address, before, now })
        });
        news.collect()
    }
}

#[cfg(test)]
mod tests;
