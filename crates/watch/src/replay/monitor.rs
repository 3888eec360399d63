//! What watches a stream: state per address, and the alerts that follow from it.

use chain::{
    label::Category,
    poisoning::{
        Bait, Context, History, Judgement, Resemblance, Shape,
        counterfeit::{Registry, Standing},
        judge,
    },
};
use domain::{Network, UnixNanos, Verdict};
use hashbrown::HashMap;

use super::suspects::Suspects;
use super::{Item, ListedParties, Parties, Party, TokenTransfer, Transaction};
use crate::crosscustomer::{FreshPayees, Shared, Thresholds};
use crate::discovery::{Detector, Suspicion};

/// Destinations remembered per sender.
pub const HISTORY_MAX: usize = 1024;
/// Below this a transfer of the chain's coin is dust: 10^-5 of a coin with 18 decimals.
const DUST: u128 = 10_000_000_000_000;
/// Below this share of one whole token a transfer of it is dust.
const TOKEN_DUST_DIVISOR: u128 = 100;
/// Most decimals a token may claim for its dust to be judged; 10^38 is the greatest power of ten below 2^128.
const DECIMALS_MAX: u64 = 38;
/// Addresses that sent bait, remembered.
const BAITERS_MAX: usize = 1 << 22;

/// What to watch for.
#[derive(Debug)]
pub struct Options {
    /// Labels of addresses.
    pub labels: ListedParties,
    /// Whose chain it is: decides which tokens are genuine.
    pub network: Network,
    /// When several payers of one address are worth an alert; `None`: never.
    pub cross_customer: Option<Thresholds>,
    /// What judges the first transactions of an address.
    pub detector: Option<Detector>,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Height of the block.
    pub block: u64,
    /// Place of the transaction in the block.
    pub index: u64,
    /// Time of the block.
    pub at: UnixNanos,
    /// Who paid.
    pub from: Party,
    /// Who was paid.
    pub to: Party,
    /// What it is about.
    pub kind: AlertKind,
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AlertKind {
    /// Several senders pay one fresh address.
    CrossCustomer(Shared),
    /// Funds come from or go to a listed address.
    Exposure {
        /// Whether the recipient is the listed one.
        outgoing: bool,
        /// What it is listed as.
        category: Category,
        /// What the label asks for.
        verdict: Verdict,
    },
    /// The recipient looks like an address the sender has used.
    Poisoning {
        /// The address it looks like.
        resembles: Resemblance<u32>,
        /// How serious it is, and why.
        judgement: Judgement,
        /// Worthless transfers the recipient has sent.
        bait: Bait,
    },
    /// The first transactions of one of the two look like those of malicious addresses.
    Suspected {
        /// Which of the two.
        party: Party,
        /// How surely, and why.
        suspicion: Suspicion,
    },
}

/// State per address of a stream.
#[derive(Debug)]
pub struct Monitor {
    labels: ListedParties,
    tokens: Registry,
    /// When each party was first seen, in seconds, plus one; zero for never.
    first_seen: Vec<u64>,
    histories: Vec<Option<Box<History<u32>>>>,
    shapes: Vec<Option<Shape>>,
    baiters: HashMap<u32, Bait, foldhash::fast::RandomState>,
    payees: Option<FreshPayees<u32, u32>>,
    suspects: Option<Suspects>,
    /// Comparisons of a payment with a remembered address of its sender, as if made one by one.
    pub(crate) pairs: u64,
    /// Payments of value.
    pub(crate) sends: u64,
    /// Payments to an address the sender had not used.
    pub(crate) first_uses: u64,
}

impl Monitor {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let payees =
            options.cross_customer.map(|thresholds| FreshPayees::new(thresholds, super::PARTIES_MAX));
        Self {
            labels: options.labels,
            tokens: Registry::of_network(options.network),
            first_seen: Vec::new(),
            histories: Vec::new(),
            shapes: Vec::new(),
            baiters: HashMap::default(),
            payees,
            suspects: options.detector.map(Suspects::new),
            pairs: 0,
            sends: 0,
            first_uses: 0,
        }
    }

    /// Takes in what comes next in the stream; calls `found` with every alert.
    pub fn take(&mut self, item: &Item, parties: &Parties, mut found: impl FnMut(Alert)) {
        if self.first_seen.len() < parties.len() {
            self.first_seen.resize(parties.len(), 0);
            self.histories.resize_with(parties.len(), || None);
            self.shapes.resize(parties.len(), None);
        }
        match item {
            Item::Transaction(transaction) => self.transaction(transaction, parties, &mut found),
            Item::Token(token) => self.token(token, parties, &mut found),
        }
    }

    fn transaction(&mut self, tx: &Transaction, parties: &Parties, found: &mut impl FnMut(Alert)) {
        if let (Some(from), Some(to)) = (tx.from, tx.to)
            && !tx.failed
            && from != to
        {
            let place = Place { block: tx.block, index: tx.index, at: tx.at, from, to };
            if tx.value >= DUST {
                self.payment(&place, parties, found);
            } else if tx.input_bytes == 0 {
                // A call without value is a call; a plain transfer of nothing has no other use than to be seen.
                self.bait(from, tx.at, |bait| {
                    let count = if tx.value == 0 { &mut bait.zero_value } else { &mut bait.dust };
                    *count = count.saturating_add(1);
                });
            }
        }
        if let Some(suspects) = &mut self.suspects {
            for party in [tx.from, tx.to].into_iter().flatten() {
                // A suspicion is what the model itself said at another time, not knowledge.
                let claim = self.labels.claim(party, parties);
                if claim.is_some_and(|(category, _)| category != Category::Suspected) {
                    suspects.mark(party);
                }
            }
            suspects.transaction(tx, parties, found);
        }
        for party in [tx.from, tx.to, tx.created].into_iter().flatten() {
            self.saw(party, tx.at);
        }
    }

    /// The suspected addresses so far, as a table to import as a list: address, network, category, label, source, confidence.
    #[must_use]
    pub fn suspected_csv(&self, parties: &Parties) -> String {
        self.suspects.as_ref().map_or_else(String::new, |suspects| suspects.csv(parties))
    }

    fn token(&mut self, token: &TokenTransfer, parties: &Parties, found: &mut impl FnMut(Alert)) {
        if let (Some(from), Some(to)) = (token.from, token.to)
            && from != to
        {
            let standing = token
                .token
                .and_then(|contract| parties.address(contract))
                .map_or(Standing::Unknown, |contract| self.tokens.standing(&contract, &token.symbol));
            let dust = token
                .decimals
                .filter(|decimals| *decimals <= DECIMALS_MAX)
                .and_then(|decimals| 10_u128.checked_pow(u32::try_from(decimals).ok()?))
                .is_some_and(|whole| token.value < whole / TOKEN_DUST_DIVISOR);
            if token.value == 0 {
                // Anybody may move nothing out of anybody's account, so either side may be the bait.
                for party in [from, to] {
                    self.bait(party, token.at, |bait| bait.zero_value = bait.zero_value.saturating_add(1));
                }
            } else if standing == Standing::Counterfeit {
                for party in [from, to] {
                    self.bait(party, token.at, |bait| bait.counterfeit = bait.counterfeit.saturating_add(1));
                }
            } else if dust {
                self.bait(from, token.at, |bait| bait.dust = bait.dust.saturating_add(1));
            } else {
                let place = Place { block: token.block, index: token.index, at: token.at, from, to };
                self.payment(&place, parties, found);
            }
        }
        if let Some(suspects) = &mut self.suspects {
            suspects.token(token);
        }
        for party in [token.from, token.to, token.token].into_iter().flatten() {
            self.saw(party, token.at);
        }
    }

    fn payment(&mut self, place: &Place, parties: &Parties, found: &mut impl FnMut(Alert)) {
        self.sends += 1;
        if let Some((category, verdict)) = self.labels.claim(place.to, parties) {
            found(place.alert(AlertKind::Exposure { outgoing: true, category, verdict }));
        }
        if let Some((category, verdict)) = self.labels.claim(place.from, parties) {
            found(place.alert(AlertKind::Exposure { outgoing: false, category, verdict }));
        }
        if let Some(kind) = self.poisoning(place, parties) {
            found(place.alert(kind));
        }
        if let Some(payees) = &mut self.payees {
            let seen = self.first_seen.get(place.to.index()).copied().unwrap_or(0);
            if let Some(seen) = seen.checked_sub(1) {
                payees.seen(&place.to.0, UnixNanos::from_secs(seen));
            }
            if let Some(shared) = payees.examine(&place.to.0, &place.from.0, place.at) {
                found(place.alert(AlertKind::CrossCustomer(shared)));
            }
            payees.pays(&place.to.0, &place.from.0, place.at);
        }
    }

    fn poisoning(&mut self, place: &Place, parties: &Parties) -> Option<AlertKind> {
        let shape = match self.shapes.get_mut(place.to.index())? {
            Some(shape) => *shape,
            empty => *empty.insert(Shape::of(&parties.address(place.to)?)),
        };
        let history = self
            .histories
            .get_mut(place.from.index())?
            .get_or_insert_with(|| Box::new(History::new(HISTORY_MAX)));
        let known = history.len() as u64;
        if !history.used(shape, place.to.0, place.at) {
            return None;
        }
        let resemblance = history.resemblance(shape, place.to.0);
        self.first_uses += 1;
        self.pairs += known;
        let resembles = resemblance?;
        let bait = self.baiters.get(&place.to.0).copied().unwrap_or_default();
        let context = Context {
            look_alike_first_seen: self.seen_first(place.to.0),
            known_first_seen: self.seen_first(resembles.known),
            bait,
        };
        let judgement = judge(resembles.likeness, &shape.thresholds(), &context, place.at)?;
        Some(AlertKind::Poisoning { resembles, judgement, bait })
    }

    fn seen_first(&self, party: u32) -> Option<UnixNanos> {
        self.first_seen.get(party as usize)?.checked_sub(1).map(UnixNanos::from_secs)
    }

    fn saw(&mut self, party: Party, at: UnixNanos) {
        if let Some(seen @ 0) = self.first_seen.get_mut(party.index()) {
            *seen = at.as_secs() + 1;
        }
    }

    fn bait(&mut self, party: Party, at: UnixNanos, count: impl FnOnce(&mut Bait)) {
        if self.baiters.len() >= BAITERS_MAX && !self.baiters.contains_key(&party.0) {
            return;
        }
        let bait = self.baiters.entry(party.0).or_default();
        count(bait);
        bait.latest = Some(at);
    }
}

/// One payment.
struct Place {
    block: u64,
    index: u64,
    at: UnixNanos,
    from: Party,
    to: Party,
}

impl Place {
    const fn alert(&self, kind: AlertKind) -> Alert {
        Alert { block: self.block, index: self.index, at: self.at, from: self.from, to: self.to, kind }
    }
}
