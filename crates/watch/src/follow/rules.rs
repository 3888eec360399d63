//! Which movements are worth telling, given what the lists say and whose addresses are watched.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;
use chain::{
    evm::{self, ApprovalScope, TransferAsset},
    label::Category,
    u256::U256,
};
use domain::{Address, Verdict};

use super::{
    alert::{AlertKind, Direction},
    source::Facts,
};
use crate::{Listing, Watch};

/// Most addresses watched: 52 bytes each, about 2 GB with the table's slack.
pub const WATCHED_MAX: usize = 20_000_000;

/// What the lists say about an address: the port to the label store.
pub trait Screen: Send + Sync {
    /// `None` when the address is on no list.
    fn listing(&self, address: &Address) -> Option<Listing>;
}

impl Screen for Watch {
    fn listing(&self, address: &Address) -> Option<Listing> {
        Self::listing(self, address)
    }
}

/// The exchange's own addresses and its customers' deposit addresses. Replaced as a whole while being read.
#[derive(Default)]
pub struct Watched(ArcSwap<foldhash::HashSet<Address>>);

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({})", self.len())
    }
}

/// More than [`WATCHED_MAX`] addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {WATCHED_MAX} addresses to watch")]
pub struct TooManyWatched;

impl Watched {
    /// Watches these and no others.
    ///
    /// # Errors
    /// [`TooManyWatched`]; those before stay watched.
    pub fn replace(&self, addresses: impl IntoIterator<Item = Address>) -> Result<(), TooManyWatched> {
        let mut set = foldhash::HashSet::default();
        for address in addresses {
            set.insert(address);
            if set.len() > WATCHED_MAX {
                return Err(TooManyWatched);
            }
        }
        self.0.store(Arc::new(set));
        Ok(())
    }

    /// Whether it is watched.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.0.load().contains(address)
    }

    /// How many are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.load().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What to tell.
#[derive(Clone)]
pub struct Rules {
    /// What the lists say.
    pub screen: Arc<dyn Screen>,
    /// Whose addresses are watched.
    pub watched: Arc<Watched>,
    /// Contracts of tokens that are what they say, sorted. A transfer of another token is told as of an unknown asset.
    pub tokens: Vec<Address>,
    /// Whether transfers of listed addresses that touch no watched one are told.
    pub tell_listed: bool,
    /// Whether transfers of watched addresses are told where no list says anything.
    pub tell_watched: bool,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("watched", &self.watched)
            .field("tokens", &self.tokens.len())
            .field("tell_listed", &self.tell_listed)
            .field("tell_watched", &self.tell_watched)
            .finish_non_exhaustive()
    }
}

/// One finding, before it has a block and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of the alert of the same names")]
pub struct Finding {
    pub transaction: [u8; 32],
    pub position: u64,
    pub kind: AlertKind,
    pub subject: Option<Address>,
    pub counterparty: Option<Address>,
    pub direction: Direction,
    pub asset: Option<Address>,
    pub asset_known: bool,
    pub value: U256,
    pub category: Option<Category>,
    pub verdict: Verdict,
}

/// A movement between two addresses, whatever the chain.
#[derive(Debug, Clone, Copy)]
pub struct Movement {
    /// The transaction.
    pub transaction: [u8; 32],
    /// Where in the block.
    pub position: u64,
    /// From whom; `None` where it comes from nobody.
    pub from: Option<Address>,
    /// To whom.
    pub to: Option<Address>,
    /// The token; `None` for native value.
    pub asset: Option<Address>,
    /// How much.
    pub value: U256,
}

impl Rules {
    /// What the lists hold against an address; nothing where they only name it.
    fn against(&self, address: Option<Address>) -> Option<Listing> {
        self.screen.listing(&address?).filter(|listing| listing.verdict > Verdict::Allow)
    }

    fn is_watched(&self, address: Option<Address>) -> bool {
        address.is_some_and(|address| self.watched.contains(&address))
    }

    /// Whether the asset is the one it is taken for.
    fn is_known(&self, asset: Option<Address>) -> bool {
        asset.is_none_or(|contract| self.tokens.binary_search(&contract).is_ok())
    }

    /// Calls `found` with what a movement is worth telling for; at most once for each side.
    pub fn movement(&self, movement: &Movement, found: &mut dyn FnMut(Finding)) {
        let (from, to) = (movement.from, movement.to);
        let (from_watched, to_watched) = (self.is_watched(from), self.is_watched(to));
        let (from_listed, to_listed) = (self.against(from), self.against(to));
        if !(from_watched || to_watched || from_listed.is_some() || to_listed.is_some()) {
            return;
        }
        let finding = |kind, direction, listing: Option<Listing>| {
            let (subject, counterparty) = match direction {
                Direction::In => (to, from),
                Direction::Out => (from, to),
            };
            Finding {
                transaction: movement.transaction,
                position: movement.position,
                kind,
                subject,
                counterparty,
                direction,
                asset: movement.asset,
                asset_known: self.is_known(movement.asset),
                value: movement.value,
                category: listing.map(|listing| listing.category),
                verdict: listing.map_or(Verdict::Allow, |listing| listing.verdict),
            }
        };
        let sides = [
            (Direction::In, to_watched, to_listed, from_listed),
            (Direction::Out, from_watched, from_listed, to_listed),
        ];
        for (direction, is_watched, own, others) in sides {
            match (is_watched, own, others) {
                (true, _, Some(listing)) => {
                    found(finding(AlertKind::ListedCounterparty, direction, Some(listing)));
                }
                (true, own, None) if self.tell_watched || own.is_some() => {
                    found(finding(AlertKind::WatchedTransfer, direction, own));
                }
                (false, Some(listing), _) if self.tell_listed && !(from_watched || to_watched) => {
                    found(finding(AlertKind::ListedTransfer, direction, Some(listing)));
                }
                _ => {}
            }
        }
    }
}

/// Position of a native transfer: below all positions of logs.
const fn native_position(transaction_index: u64) -> u64 {
    transaction_index
}

/// Position of what a log says: the log, then the place within its batch.
const fn log_position(log_index: u64, batch_index: u32) -> u64 {
    (1 << 63) | (log_index << 32) | batch_index as u64
}

impl Facts for evm::Facts {
    fn examine(&self, rules: &Rules, found: &mut dyn FnMut(Finding)) {
        for transfer in &self.transfers {
            let (from, to) = (transfer.from.address(), transfer.to.address());
            let asset = match transfer.asset {
                TransferAsset::Native => None,
                TransferAsset::Token(contract) => Some(contract.address()),
            };
            let position = match transfer.log_index {
                None => native_position(transfer.transaction_index),
                Some(log) => log_position(log, transfer.batch_index),
            };
            let nobody = |account: evm::Account| account == evm::Account::ZERO;
            let movement = Movement {
                transaction: transfer.transaction,
                position,
                from: (!nobody(transfer.from)).then_some(from),
                to: (!nobody(transfer.to)).then_some(to),
                asset,
                value: transfer.value,
            };
            let is_spoofed = asset.is_some() && transfer.value.is_zero() && transfer.sender != transfer.from;
            if is_spoofed && rules.is_watched(movement.from) {
                found(Finding {
                    transaction: transfer.transaction,
                    position,
                    kind: AlertKind::SpoofedTransfer,
                    subject: movement.from,
                    counterparty: movement.to,
                    direction: Direction::Out,
                    asset,
                    asset_known: rules.is_known(asset),
                    value: U256::ZERO,
                    category: None,
                    verdict: Verdict::Challenge,
                });
                continue;
            }
            rules.movement(&movement, found);
        }
        for approval in &self.approvals {
            let (owner, spender) = (approval.owner.address(), approval.spender.address());
            if !rules.watched.contains(&owner) {
                continue;
            }
            let listing = rules.against(Some(spender));
            let asset = Some(approval.token.address());
            let (value, gives) = match approval.scope {
                ApprovalScope::Amount(amount) => (amount, !amount.is_zero()),
                ApprovalScope::All(approved) => (U256::MAX, approved),
                _ => (U256::ONE, approval.spender != evm::Account::ZERO),
            };
            if gives {
                // An allowance without end outlives the reason it was given for.
                let unlimited =
                    if approval.scope.is_unlimited() { Verdict::Challenge } else { Verdict::Allow };
                found(Finding {
                    transaction: approval.transaction,
                    position: log_position(approval.log_index, 0),
                    kind: AlertKind::Approval,
                    subject: Some(owner),
                    counterparty: Some(spender),
                    direction: Direction::Out,
                    asset,
                    asset_known: rules.is_known(asset),
                    value,
                    category: listing.map(|listing| listing.category),
                    verdict: listing.map_or(unlimited, |listing| listing.verdict.max(unlimited)),
                });
            }
        }
        for delegation in &self.delegations {
            let authority = delegation.authority.address();
            if delegation.delegate == evm::Account::ZERO || !rules.watched.contains(&authority) {
                continue;
            }
            let delegate = delegation.delegate.address();
            let listing = rules.against(Some(delegate));
            found(Finding {
                transaction: delegation.transaction,
                // Among native transfers, in a range of their own: a transaction carries fewer than 2^20 authorizations.
                position: (1 << 62) | (delegation.transaction_index << 20) | delegation.index,
                kind: AlertKind::Delegation,
                subject: Some(authority),
                counterparty: Some(delegate),
                direction: Direction::Out,
                asset: None,
                asset_known: true,
                value: U256::ZERO,
                category: listing.map(|listing| listing.category),
                // Nearly every delegation seen in the wild sweeps the account: whoever holds it decides what is known.
                verdict: listing.map_or(Verdict::Hold, |listing| listing.verdict.max(Verdict::Hold)),
            });
        }
        if self.is_cut {
            found(Finding {
                transaction: [0; 32],
                position: u64::MAX,
                kind: AlertKind::Overflow,
                subject: None,
                counterparty: None,
                direction: Direction::In,
                asset: None,
                asset_known: true,
                value: U256::from(self.logs),
                category: None,
                verdict: Verdict::Hold,
            });
        }
    }
}
