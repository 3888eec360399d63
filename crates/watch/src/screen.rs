//! Screening: what the lists in force say about one address.

use std::cmp::Reverse;

use chain::{
    address::{self, AddressError},
    label::{Category, Confidence, Label},
    segment::Key,
};
use domain::{Address, ChainFamily, Network, UnixNanos, Verdict};

use crate::{ListName, ListState, Watch, store::Snapshot};

/// Addresses of a bulk screening worked on at once.
const BULK: usize = 256;

/// One label of the address, with the list it stands on. A copy: it stays true when the list changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedLabel {
    /// On which list.
    pub list: ListName,
    /// When the state of the list that says so was imported.
    pub list_imported_at: UnixNanos,
    /// What kind.
    pub category: Category,
    /// How surely.
    pub confidence: Confidence,
    /// Who or what the address is said to be.
    pub text: String,
    /// Where the claim was published.
    pub source: String,
    /// The ticker or network the source named; empty if none.
    pub asset: String,
    /// The licence of the source; empty if it states none.
    pub licence: String,
    /// When the source first made the claim, if it says.
    pub first_seen: Option<UnixNanos>,
    /// When the source last confirmed the claim, if it says.
    pub last_seen: Option<UnixNanos>,
    /// What this label alone asks for.
    pub verdict: Verdict,
}

impl ListedLabel {
    fn new(list: &ListState, label: &Label<'_>) -> Self {
        Self {
            list: list.name.clone(),
            list_imported_at: list.imported_at,
            category: label.category,
            confidence: label.confidence,
            text: label.text.to_owned(),
            source: label.source.to_owned(),
            asset: label.asset.to_owned(),
            licence: label.licence.to_owned(),
            first_seen: label.first_seen,
            last_seen: label.last_seen,
            verdict: label.verdict(),
        }
    }
}

/// What is known about one address, and in which lists was looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screening {
    /// The address, if the text is one.
    pub address: Option<Address>,
    /// Its canonical text.
    pub canonical: Option<String>,
    /// Why the text is no address of the network asked for, or of the family its form belongs to.
    pub invalid: Option<AddressError>,
    /// The address family, if the text is an address.
    pub family: Option<ChainFamily>,
    /// Everything said about it, gravest first. Contradictions stand side by side.
    pub labels: Vec<ListedLabel>,
    /// The strictest verdict of the labels; deny where the text is no address of the network asked for.
    pub verdict: Verdict,
    /// The lists consulted.
    pub lists: Vec<ListState>,
}

impl Screening {
    /// Every category the address is listed under, in the order of the labels, each once.
    #[must_use]
    pub fn categories(&self) -> Vec<Category> {
        let mut categories = Vec::new();
        for label in &self.labels {
            if !categories.contains(&label.category) {
                categories.push(label.category);
            }
        }
        categories
    }

    /// Whether some labels speak against the address and others name it as harmless: the strictest counts, and a person
    /// should know that sources disagree.
    #[must_use]
    pub fn is_contradictory(&self) -> bool {
        self.labels.iter().any(|label| label.category.is_malicious())
            && self.labels.iter().any(|label| !label.category.is_malicious())
    }
}

/// What the lists say about one address, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// The strictest verdict of the labels.
    pub verdict: Verdict,
    /// The gravest category among the labels with that verdict.
    pub category: Category,
    /// How many labels.
    pub labels: u32,
}

impl Listing {
    #[inline]
    fn of(snapshot: &Snapshot, address: &Address) -> Option<Self> {
        let mut listing = None;
        let mut add = |category, confidence| Self::add(&mut listing, category, confidence);
        snapshot.for_each_claim(Key::Address(address), &mut add);
        address::namesakes(address).for_each(|other| snapshot.for_each_claim(Key::Address(&other), &mut add));
        listing
    }

    /// Counts one more label.
    #[inline]
    fn add(listing: &mut Option<Self>, category: Category, confidence: Confidence) {
        let verdict = category.verdict_with(confidence);
        *listing = Some(match *listing {
            None => Self { verdict, category, labels: 1 },
            Some(so_far) => {
                let labels = so_far.labels.saturating_add(1);
                // Categories are declared gravest first.
                if (verdict, Reverse(category)) > (so_far.verdict, Reverse(so_far.category)) {
                    Self { verdict, category, labels }
                } else {
                    Self { labels, ..so_far }
                }
            }
        });
    }
}

impl Watch {
    /// Looks up `text`, as an address of `network` if one is given, else of the family its form belongs to.
    ///
    /// The text itself is looked up too: lists name addresses of networks without a codec here.
    #[must_use]
    pub fn screen(&self, text: &str, network: Option<Network>) -> Screening {
        screen(&self.snapshot(), text, network)
    }

    /// [`Watch::screen`] of each, all against the lists in force at one moment; the answers are in the order of the texts.
    /// How many are asked at once is the caller's to bound: each answer takes some hundred bytes, and more with its labels.
    #[must_use]
    pub fn screen_all(&self, texts: &[(&str, Option<Network>)]) -> Vec<Screening> {
        let snapshot = self.snapshot();
        texts.iter().map(|(text, network)| screen(&snapshot, text, *network)).collect()
    }

    /// What the lists say about an address in short; `None` if it is on none. Neither waits nor allocates nor reads a
    /// text.
    #[must_use]
    #[inline]
    pub fn listing(&self, address: &Address) -> Option<Listing> {
        Listing::of(&self.snapshot(), address)
    }

    /// Calls `found` with the position and the [`Listing`] of every address that is on a list; the same as
    /// [`Watch::listing`] of each, several times faster where most are clean.
    ///
    /// All are held against the lists in force at one moment.
    pub fn for_each_listed(&self, addresses: &[Address], mut found: impl FnMut(usize, Listing)) {
        let snapshot = self.snapshot();
        // Beside each address whoever is written like it; `owners` says whose they are.
        let (mut asked, mut owners) = (Vec::with_capacity(2 * BULK), Vec::with_capacity(2 * BULK));
        for (chunk, first) in addresses.chunks(BULK).zip((0..).step_by(BULK)) {
            asked.clear();
            owners.clear();
            for (owner, address) in chunk.iter().enumerate() {
                asked.push(*address);
                owners.push(owner);
                for namesake in address::namesakes(address) {
                    asked.push(namesake);
                    owners.push(owner);
                }
            }
            let mut is_listed = [false; BULK];
            snapshot.for_each_listed(&asked, |at| {
                if let Some(listed) = owners.get(at).and_then(|owner| is_listed.get_mut(*owner)) {
                    *listed = true;
                }
            });
            for ((idx, address), _) in (first..).zip(chunk).zip(is_listed).filter(|(_, listed)| *listed) {
                // A list that no longer counts the address may still have said that it has it.
                if let Some(listing) = Listing::of(&snapshot, address) {
                    found(idx, listing);
                }
            }
        }
    }

    /// Calls `found` with every label of an address, list by list. Neither waits nor allocates, so it serves where
    /// whole blocks are screened.
    pub fn for_each_label(&self, address: &Address, mut found: impl FnMut(&ListState, Label<'_>)) {
        let snapshot = self.snapshot();
        snapshot.for_each_label(Key::Address(address), &mut found);
        address::namesakes(address)
            .for_each(|other| snapshot.for_each_label(Key::Address(&other), &mut found));
    }
}

fn screen(snapshot: &Snapshot, text: &str, network: Option<Network>) -> Screening {
    let decoded = match (network, address::detect(text)) {
        (Some(network), _) => Some(address::decode(network.family(), text)),
        (None, Some(family)) => Some(address::decode(family, text)),
        (None, None) => None,
    };
    let (address, invalid) = match decoded {
        Some(Ok(address)) => (Some(address), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let canonical = address.as_ref().map(address::encode);
    let labels = labels(snapshot, address.as_ref(), text, canonical.as_deref());
    let listed = labels.iter().map(|label| label.verdict).max().unwrap_or(Verdict::Allow);
    let verdict = if network.is_some() && invalid.is_some() { Verdict::Deny } else { listed };
    Screening {
        address,
        family: address.as_ref().map(Address::family),
        canonical,
        invalid,
        labels,
        verdict,
        lists: snapshot.lists.iter().map(|list| list.state.clone()).collect(),
    }
}

fn labels(
    snapshot: &Snapshot,
    address: Option<&Address>,
    text: &str,
    canonical: Option<&str>,
) -> Vec<ListedLabel> {
    let mut labels = Vec::new();
    let namesakes: Vec<Address> = address.into_iter().flat_map(address::namesakes).collect();
    let mut look_up =
        |key| snapshot.for_each_label(key, |list, label| labels.push(ListedLabel::new(list, &label)));
    if let Some(address) = address {
        look_up(Key::Address(address));
    }
    namesakes.iter().for_each(|other| look_up(Key::Address(other)));
    // Longer texts are on no list.
    if text.len() <= address::TEXT_BYTES_MAX {
        look_up(Key::Text(text));
    }
    if let Some(canonical) = canonical.filter(|canonical| *canonical != text) {
        look_up(Key::Text(canonical));
    }
    labels.sort_by(|a, b| (b.verdict, a.category, &a.list).cmp(&(a.verdict, b.category, &b.list)));
    labels
}
