//! The withdrawal address book as policy: funds go only where the customer has said before that they may go.
//!
//! A fold over the exchange's `address_added` events. Addresses are compared by what they decode to, so the same
//! holder written in another case is the same entry; a text that does not decode is compared as it is. An entry's id
//! ([`EntryId`]) follows from its address alone, so it is the same in every account's book and before the entry is
//! made. What is forgotten for lack of room counts as not in the book: this errs on the strict side.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use chain::address;
use domain::{
    AccountId, Destination, Event, EventKind, Evidence, Finding, FindingSource as Source, Network,
    ReasonCode, UnixNanos, Verdict, WithdrawalRequest,
};
use parking_lot::RwLock;

use crate::{BoxFuture, FindingSource, SourceUnavailable};

/// Reason of a withdrawal to an address that is not in the book.
pub const NOT_IN_BOOK: ReasonCode = ReasonCode::new("decide.address_not_in_book");

/// Reason of a withdrawal to an address that is.
pub const IN_BOOK: ReasonCode = ReasonCode::new("decide.address_in_book");

/// Accounts with entries; further ones have an empty book. 100 MiB when each has four entries.
pub(crate) const ACCOUNTS_MAX: usize = 1_000_000;

/// Entries of one account; further ones are not taken in.
pub(crate) const ENTRIES_MAX: usize = 500;

/// What the policy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressBookMode {
    /// Says nothing.
    Off,
    /// Says what it would do.
    #[default]
    Shadow,
    /// Denies what is not in the book.
    Enforce,
}

/// The stable name of an entry: half a SHA-256 of its canonical address, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId([u8; 16]);

impl EntryId {
    /// Of an address on a network's address family: family and payload where the text decodes, family and text where
    /// it does not.
    #[must_use]
    pub fn of(network: Network, address: &str) -> Self {
        let family = network.family();
        let digest = match address::decode(family, address) {
            Ok(address) => crypto::sha256(&[&[0, address.kind().tag()], address.payload()]),
            Err(_) => crypto::sha256(&[&[1], family.as_str().as_bytes(), &[0], address.as_bytes()]),
        };
        let mut short = [0; 16];
        for (to, from) in short.iter_mut().zip(digest) {
            *to = from;
        }
        Self(short)
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// All books.
#[derive(Debug, Default)]
pub struct AddressBook(RwLock<HashMap<AccountId, BTreeSet<EntryId>, foldhash::fast::RandomState>>);

impl AddressBook {
    /// Takes in an event; only additions matter.
    pub fn apply(&self, event: &Event) {
        let EventKind::AddressAdded { network, address } = &event.kind else { return };
        let mut books = self.0.write();
        if books.len() >= ACCOUNTS_MAX && !books.contains_key(&event.account) {
            return;
        }
        let book = books.entry(event.account.clone()).or_default();
        if book.len() < ENTRIES_MAX {
            book.insert(EntryId::of(*network, address));
        }
    }

    /// Whether the account's book has the address on that network's address family.
    #[must_use]
    pub fn contains(&self, account: &AccountId, network: Network, address: &str) -> bool {
        self.entry(account, network, address).is_some()
    }

    /// The entry of the account's book that an address is.
    #[must_use]
    pub fn entry(&self, account: &AccountId, network: Network, address: &str) -> Option<EntryId> {
        let entry = EntryId::of(network, address);
        self.0.read().get(account).is_some_and(|book| book.contains(&entry)).then_some(entry)
    }

    /// Digest of all entries in canonical order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let books = self.0.read();
        let mut accounts: Vec<_> = books.iter().collect();
        accounts.sort_by(|left, right| left.0.cmp(right.0));
        let mut hasher = crypto::Sha256::new();
        for (account, book) in accounts {
            hasher.update(&(account.as_str().len() as u64).to_be_bytes());
            hasher.update(account.as_str().as_bytes());
            hasher.update(&(book.len() as u64).to_be_bytes());
            book.iter().for_each(|entry| hasher.update(&entry.0));
        }
        hasher.finish()
    }
}

/// The policy over the books in force; `book` gives the current ones.
pub struct AddressBookPolicy<F> {
    /// What it does.
    pub mode: AddressBookMode,
    /// The books.
    pub book: F,
}

impl<F> std::fmt::Debug for AddressBookPolicy<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressBookPolicy").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl<F: Fn() -> Arc<AddressBook> + Send + Sync> FindingSource for AddressBookPolicy<F> {
    fn name(&self) -> &'static str {
        "address book"
    }

    fn examine<'a>(
        &'a self,
        request: &'a WithdrawalRequest,
        _now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        let findings = match &request.destination {
            Destination::OnChain { network, address, .. } if self.mode != AddressBookMode::Off => {
                let known = (self.book)().contains(&request.account, *network, address);
                vec![finding(known, self.mode == AddressBookMode::Shadow, *network, address)]
            }
            // An internal recipient is no chain address; an unknown network is refused by whoever screens it.
            _ => Vec::new(),
        };
        Box::pin(std::future::ready(Ok(findings)))
    }
}

fn finding(known: bool, shadow: bool, network: Network, address: &str) -> Finding {
    Finding {
        source: Source::Decide,
        code: if known { IN_BOOK } else { NOT_IN_BOOK },
        verdict: if known { Verdict::Allow } else { Verdict::Deny },
        shadow,
        message: if known {
            "The destination is in the account's withdrawal address book.".to_owned()
        } else {
            "The destination is not in the account's withdrawal address book.".to_owned()
        },
        evidence: vec![Evidence::new("network", network.as_str()), Evidence::new("address", address)],
        would_pass_if: (!known).then(|| "the address is added to the address book first".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use domain::EventId;

    use super::*;

    fn added(account: &str, network: Network, address: &str) -> Event {
        Event {
            id: EventId::parse("e").unwrap(),
            account: AccountId::parse(account).unwrap(),
            occurred_at: UnixNanos(0),
            device: None,
            ip: None,
            context: domain::EventContext::default(),
            kind: EventKind::AddressAdded { network, address: address.to_owned() },
        }
    }

    #[test]
    fn the_same_holder_in_another_spelling_is_the_same_entry() {
        let book = AddressBook::default();
        let alice = AccountId::parse("alice").unwrap();
        let checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        book.apply(&added("alice", Network::Ethereum, checksummed));
        assert!(book.contains(&alice, Network::Ethereum, &checksummed.to_lowercase()));
        // One address space: what may be paid on one EVM network may be paid on all.
        assert!(book.contains(&alice, Network::Polygon, checksummed));
        assert!(!book.contains(&alice, Network::Tron, checksummed));
        assert!(!book.contains(&AccountId::parse("bob").unwrap(), Network::Ethereum, checksummed));
        assert!(!book.contains(&alice, Network::Ethereum, "0x0000000000000000000000000000000000000001"));
    }

    #[test]
    fn an_entry_has_one_name() {
        let book = AddressBook::default();
        let alice = AccountId::parse("alice").unwrap();
        let checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let id = EntryId::of(Network::Ethereum, checksummed);
        assert_eq!(book.entry(&alice, Network::Ethereum, checksummed), None);
        book.apply(&added("alice", Network::Ethereum, checksummed));
        assert_eq!(book.entry(&alice, Network::Ethereum, &checksummed.to_lowercase()), Some(id));
        let text = id.to_string();
        assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    }

    #[test]
    fn the_book_is_bounded_and_its_digest_ignores_order() {
        let (one, two) = (AddressBook::default(), AddressBook::default());
        for n in 0..2 * ENTRIES_MAX {
            one.apply(&added("alice", Network::Tron, &format!("T{n}")));
        }
        assert_eq!(one.0.read().values().next().unwrap().len(), ENTRIES_MAX);
        let (three, four) = (AddressBook::default(), AddressBook::default());
        for address in ["a", "b"] {
            three.apply(&added("alice", Network::Tron, address));
        }
        for address in ["b", "a", "b"] {
            four.apply(&added("alice", Network::Tron, address));
        }
        assert_eq!(three.digest(), four.digest());
        assert_ne!(three.digest(), two.digest());
    }
}
