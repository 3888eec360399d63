//! What customers pay: the memory behind two warnings no list can give.
//!
//! *This address looks like one you use, and is not it* ([`chain::poisoning`]), and *another customer was led to pay this new
//! address today* ([`crate::crosscustomer`]). Both are judged from the installation's own journal: accepted withdrawals,
//! decisions, address books. No customer learns of another, and nothing leaves the house.
//!
//! A fold: [`Customers::apply`] and [`Customers::apply_decision`] take in entries in the order of the journal,
//! [`Customers::examine`] changes nothing. What is known of the chain comes through [`Sightings`].
//!
//! An address counts as the customer's own once it was *paid*. An entry of the address book alone does not make it so: copying the
//! wrong line into the book is how the attack works. But an entry can be imitated, from the time it was made.
//!
//! Bounds: [`ACCOUNTS_MAX`] accounts with [`DESTINATIONS_MAX`] paid and as many entered addresses each, the coldest is
//! forgotten; [`PAYEES_MAX`] addresses whose payers are remembered.

use std::collections::BTreeSet;

use chain::{
    address,
    poisoning::{Context, History, Judgement, Level, Resemblance, Shape, judge},
};
use domain::{
    AccountId, Address, Decision, Destination, Event, EventKind, Evidence, Finding, FindingSource, Network,
    ReasonCode, UnixNanos, Verdict, WithdrawalRequest,
};
use features::{Canonical, EntityTable, StateDigest};
use parking_lot::Mutex;

use crate::crosscustomer::{FreshPayees, Shared, Thresholds};

/// Accounts whose destinations are remembered.
pub const ACCOUNTS_MAX: usize = 1_000_000;
/// Destinations remembered per account, of those paid and of those entered; 150 bytes each.
pub const DESTINATIONS_MAX: usize = 256;
/// Addresses whose first payment and payers are remembered.
pub const PAYEES_MAX: usize = 1_000_000;

/// The warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Warning {
    /// The destination imitates one the customer uses, or is one with a typing error.
    AddressPoisoning,
    /// The ends of the destination agree with one the customer uses, as happens by chance.
    ResemblingAddress,
    /// Several customers pay an address nobody knew before today.
    SharedFreshAddress,
    /// The destination is tied to holders a list speaks against ([`crate::flows::Association`]).
    Association,
    /// Money of the destination came from, or went to, holders a list speaks against ([`crate::assess`]).
    Exposure,
    /// What is known of the destination's chain is old ([`crate::assess`]).
    StaleChain,
}

impl Warning {
    /// Every warning.
    pub const ALL: [Self; 6] = [
        Self::AddressPoisoning,
        Self::ResemblingAddress,
        Self::SharedFreshAddress,
        Self::Association,
        Self::Exposure,
        Self::StaleChain,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressPoisoning => "address_poisoning",
            Self::ResemblingAddress => "resembling_address",
            Self::SharedFreshAddress => "shared_fresh_address",
            Self::Association => "association",
            Self::Exposure => "exposure",
            Self::StaleChain => "stale_chain",
        }
    }

    /// The warning of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|warning| warning.as_str() == name)
    }
}

/// Which warnings have effect.
///
/// # Defaults
/// - `shadow`: all but [`Warning::AddressPoisoning`]: they also hit by chance, or depend on how well chains are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomersConfig {
    /// Warnings that are reported without effect.
    pub shadow: BTreeSet<Warning>,
    /// When several payers of one address are worth a word.
    pub shared: Thresholds,
}

impl Default for CustomersConfig {
    fn default() -> Self {
        Self {
            shadow: BTreeSet::from([
                Warning::ResemblingAddress,
                Warning::SharedFreshAddress,
                Warning::Association,
                Warning::Exposure,
                Warning::StaleChain,
            ]),
            shared: Thresholds::default(),
        }
    }
}

/// What is known of addresses from the chain. A port: whoever follows chains implements it.
pub trait Sightings: Send + Sync {
    /// When the two were first seen, and what bait the first has sent.
    fn context(&self, look_alike: &Address, known: &Address) -> Context;

    /// When the address was first seen on its chain, if it ever was.
    fn first_seen(&self, address: &Address) -> Option<UnixNanos>;
}

/// Nothing is known from any chain.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSightings;

impl Sightings for NoSightings {
    fn context(&self, _: &Address, _: &Address) -> Context {
        Context::default()
    }

    fn first_seen(&self, _: &Address) -> Option<UnixNanos> {
        None
    }
}

/// The memory of one installation. Calls take a short lock and never wait for anything else.
#[derive(Debug)]
pub struct Customers {
    config: CustomersConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    accounts: EntityTable<AccountId, Own>,
    payees: FreshPayees<Payee, AccountId>,
}

/// Addresses of one account.
#[derive(Debug)]
struct Own {
    paid: History<Address>,
    entered: History<Address>,
}

/// An address as a key with a canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Payee(Address);

impl Canonical for Payee {
    fn feed(&self, digest: &mut StateDigest) {
        digest.number(u64::from(self.0.kind().tag()));
        digest.bytes(self.0.payload());
    }
}

impl Customers {
    /// A memory of nothing; replay the journal into it.
    #[must_use]
    pub fn new(config: CustomersConfig) -> Self {
        let payees = FreshPayees::new(config.shared, PAYEES_MAX);
        let state = State { accounts: EntityTable::new(ACCOUNTS_MAX), payees };
        Self { config, state: Mutex::new(state) }
    }

    /// Takes in an event of the journal, in journal order.
    pub fn apply(&self, event: &Event) {
        let at = event.occurred_at;
        match &event.kind {
            EventKind::AddressAdded { network, address } => {
                let Some(address) = decoded(*network, address) else { return };
                let mut state = self.state.lock();
                state.own(&event.account).entered.used(Shape::of(&address), address, at);
            }
            EventKind::WithdrawalAccepted { network, address, .. } => {
                let Some(address) = decoded(*network, address) else { return };
                self.state.lock().paid(&event.account, address, at);
            }
            _ => {}
        }
    }

    /// Takes in a decision of the journal. An allowed withdrawal counts as paid; any counts as an attempt to pay, since a
    /// payment that was stopped still shows who was led to pay whom.
    pub fn apply_decision(&self, decision: &Decision) {
        let Destination::OnChain { network, address, .. } = &decision.request.destination else { return };
        let Some(address) = decoded(*network, address) else { return };
        let mut state = self.state.lock();
        if decision.verdict == Verdict::Allow {
            state.paid(&decision.request.account, address, decision.decided_at);
        } else {
            state.payees.pays(&Payee(address), &decision.request.account, decision.decided_at);
        }
    }

    /// What speaks against a withdrawal at `now`. Empty if nothing does, or the destination is no address.
    #[must_use]
    pub fn examine(
        &self,
        request: &WithdrawalRequest,
        now: UnixNanos,
        sightings: &dyn Sightings,
    ) -> Vec<Finding> {
        let Destination::OnChain { network, address, .. } = &request.destination else { return Vec::new() };
        let Some(address) = decoded(*network, address) else { return Vec::new() };
        let (resemblance, shared) = {
            let state = self.state.lock();
            let own = state.accounts.peek(&request.account);
            (
                own.and_then(|own| own.resemblance(address)),
                state.payees.examine(&Payee(address), &request.account, now),
            )
        };
        let mut findings = Vec::new();
        if let Some(resembles) = resemblance {
            let mut context = sightings.context(&address, &resembles.known);
            let known_since =
                context.known_first_seen.map_or(resembles.first_used, |seen| seen.min(resembles.first_used));
            context.known_first_seen = Some(known_since);
            let thresholds = Shape::of(&address).thresholds();
            if let Some(judgement) = judge(resembles.likeness, &thresholds, &context, now) {
                findings.push(self.resembles(address, &resembles, &judgement, &context));
            }
        }
        // The chain may have known longer what is new to us.
        let fresh = |_: &Shared| {
            sightings.first_seen(&address).is_none_or(|seen| now.since(seen) < self.config.shared.fresh)
        };
        if let Some(shared) = shared.filter(fresh) {
            findings.push(self.shared(address, &shared));
        }
        findings
    }

    fn resembles(
        &self,
        address: Address,
        resembles: &Resemblance<Address>,
        judgement: &Judgement,
        context: &Context,
    ) -> Finding {
        let (warning, code, verdict) = match judgement.level {
            Level::Notice => (Warning::ResemblingAddress, "watch.resembling_address", Verdict::Challenge),
            Level::Alarm => (Warning::AddressPoisoning, "watch.address_poisoning", Verdict::Hold),
            Level::Mistyped => (Warning::AddressPoisoning, "watch.mistyped_address", Verdict::Hold),
        };
        let known = address::encode(&resembles.known);
        let ends = format!(
            "{} leading and {} trailing characters",
            resembles.likeness.leading, resembles.likeness.trailing
        );
        let message = match judgement.level {
            Level::Mistyped => format!(
                "the destination is {known}, which the account uses, with a typing error: {ends} agree"
            ),
            Level::Alarm => format!("the destination imitates {known}, which the account uses: {ends} agree"),
            Level::Notice => {
                format!("the destination begins and ends like {known}, which the account uses: {ends} agree")
            }
        };
        let grounds: Vec<&str> = judgement.grounds.iter().map(|ground| ground.as_str()).collect();
        let mut evidence = vec![
            Evidence::new("address", address::encode(&address)),
            Evidence::new("resembles", known),
            Evidence::new("leading_characters_equal", resembles.likeness.leading.to_string()),
            Evidence::new("trailing_characters_equal", resembles.likeness.trailing.to_string()),
            Evidence::new("resembled_used_since", resembles.first_used.to_string()),
            Evidence::new("resembled_last_used", resembles.last_used.to_string()),
            Evidence::new("grounds", grounds.join(", ")),
        ];
        if let Some(seen) = context.look_alike_first_seen {
            evidence.push(Evidence::new("first_seen_on_chain", seen.to_string()));
        }
        let bait = &context.bait;
        if let Some(latest) = bait.latest {
            let (zero, dust, fake) = (bait.zero_value, bait.dust, bait.counterfeit);
            let told = format!(
                "{zero} of nothing, {dust} of dust, {fake} of counterfeit tokens, the latest at {latest}"
            );
            evidence.push(Evidence::new("worthless_transfers_sent", told));
        }
        self.finding(
            warning,
            code,
            verdict,
            message,
            evidence,
            "the account had paid the destination before, or none of its addresses looked like it",
        )
    }

    fn shared(&self, address: Address, shared: &Shared) -> Finding {
        let Shared { payers, first_seen, sure } = shared;
        let mut message =
            format!("{payers} customers pay the destination within a day, and nobody knew it before");
        if !sure {
            message.push_str("; payments are watched for less than a day, so this is not certain");
        }
        self.finding(
            Warning::SharedFreshAddress,
            "watch.shared_fresh_address",
            Verdict::Challenge,
            message,
            vec![
                Evidence::new("address", address::encode(&address)),
                Evidence::new("customers_paying_last_day", payers.to_string()),
                Evidence::new("first_seen", first_seen.to_string()),
            ],
            "the destination had been known for a day, or no other customer had paid it",
        )
    }

    fn finding(
        &self,
        warning: Warning,
        code: &'static str,
        verdict: Verdict,
        message: String,
        evidence: Vec<Evidence>,
        would_pass_if: &str,
    ) -> Finding {
        Finding {
            source: FindingSource::Watch,
            code: ReasonCode::new(code),
            verdict,
            shadow: self.config.shadow.contains(&warning),
            message,
            evidence,
            would_pass_if: Some(would_pass_if.to_owned()),
        }
    }

    /// SHA-256 of everything remembered: equal for equal folds. Takes time linear in the state.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let state = self.state.lock();
        let mut digest = StateDigest::new("caponier watch customers v1");
        digest.number(state.accounts.len() as u64);
        digest.number(state.accounts.evicted());
        for (account, own) in state.accounts.iter() {
            account.feed(&mut digest);
            for history in [&own.paid, &own.entered] {
                digest.number(history.len() as u64);
                for (address, first, last) in history.iter() {
                    Payee(address).feed(&mut digest);
                    digest.time(first);
                    digest.time(last);
                }
            }
        }
        state.payees.feed(&mut digest);
        digest.finish()
    }
}

impl State {
    fn own(&mut self, account: &AccountId) -> &mut Own {
        self.accounts.touch(account, || Own {
            paid: History::new(DESTINATIONS_MAX),
            entered: History::new(DESTINATIONS_MAX),
        })
    }

    fn paid(&mut self, account: &AccountId, address: Address, at: UnixNanos) {
        self.own(account).paid.used(Shape::of(&address), address, at);
        self.payees.pays(&Payee(address), account, at);
    }
}

impl Own {
    /// The address of this account that `address` resembles most; `None` if it was paid itself.
    fn resemblance(&self, address: Address) -> Option<Resemblance<Address>> {
        let shape = Shape::of(&address);
        if self.paid.contains(shape, address) {
            return None;
        }
        let entered = self.entered.first_used(shape, address);
        // What was entered later than the address itself cannot be what it imitates.
        let imitable =
            |other: &Resemblance<Address>| entered.is_none_or(|entered| other.first_used < entered);
        let paid = self.paid.resemblance(shape, address).filter(imitable);
        let book = self.entered.resemblance(shape, address).filter(imitable);
        [paid, book].into_iter().flatten().max_by_key(|found| (found.likeness.total(), found.last_used))
    }
}

/// The address of a text as the exchange reports it; a tag after a colon is another recipient at the same address.
fn decoded(network: Network, text: &str) -> Option<Address> {
    let (text, _) = network.split_tag(text.trim());
    address::decode(network.family(), text).ok()
}

#[cfg(test)]
mod tests;
