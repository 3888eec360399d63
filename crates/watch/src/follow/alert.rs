//! What is worth telling somebody, and how sure it is that it happened.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use chain::{headers::BlockId, label::Category, u256::U256};
use crypto::Sha256;
use domain::{Address, Verdict};

/// Names an alert for ever: the same finding in the same block has the same id, in another block another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertId(pub [u8; 16]);

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("alr-")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What was found. Declared gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AlertKind {
    /// A watched account signed that other code may run in its name (EIP-7702).
    Delegation,
    /// A watched account lets somebody move its tokens.
    Approval,
    /// Value went between a watched address and one that a list speaks against.
    ListedCounterparty,
    /// A token's contract claims that a watched address sent nothing to somebody, in a transaction it did not send:
    /// bait for a copied address.
    SpoofedTransfer,
    /// An address that a list speaks against took part in a transfer between others.
    ListedTransfer,
    /// A watched address took part in a transfer.
    WatchedTransfer,
    /// The block holds more than is looked at.
    Overflow,
}

impl AlertKind {
    /// Every kind, gravest first.
    pub const ALL: [Self; 7] = [
        Self::Delegation,
        Self::Approval,
        Self::ListedCounterparty,
        Self::SpoofedTransfer,
        Self::ListedTransfer,
        Self::WatchedTransfer,
        Self::Overflow,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delegation => "delegation",
            Self::Approval => "approval",
            Self::ListedCounterparty => "listed_counterparty",
            Self::SpoofedTransfer => "spoofed_transfer",
            Self::ListedTransfer => "listed_transfer",
            Self::WatchedTransfer => "watched_transfer",
            Self::Overflow => "overflow",
        }
    }

    /// The number it is stored by.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Delegation => 1,
            Self::Approval => 2,
            Self::ListedCounterparty => 3,
            Self::SpoofedTransfer => 4,
            Self::ListedTransfer => 5,
            Self::WatchedTransfer => 6,
            Self::Overflow => 7,
        }
    }

    /// Inverse of [`AlertKind::code`].
    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Which way value goes, as the subject sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the subject.
    In,
    /// From the subject.
    Out,
}

impl Direction {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its name.
    pub id: AlertId,
    /// The operator's name of the chain.
    pub chain: Arc<str>,
    /// Where it happened.
    pub block: BlockId,
    /// When the block says it was made: seconds since 1970.
    pub block_time_s: u64,
    /// In which transaction, in the order of bytes in which the chain's own tools print it; zeros: in none.
    pub transaction: [u8; 32],
    /// Where in the block: see the source. Findings of one block never share kind, subject and position.
    pub position: u64,
    /// What.
    pub kind: AlertKind,
    /// Whom it is about.
    pub subject: Option<Address>,
    /// The other side.
    pub counterparty: Option<Address>,
    /// Which way.
    pub direction: Direction,
    /// `native`, or the contract of the token.
    pub asset: Option<Address>,
    /// Whether the operator named the token's contract as genuine; true for native value.
    pub asset_known: bool,
    /// How much, in the smallest unit; [`U256::MAX`] for an approval of everything.
    pub value: U256,
    /// What the lists say, if they say something.
    pub category: Option<Category>,
    /// What the lists ask for.
    pub verdict: Verdict,
}

impl Alert {
    /// The id that follows from the rest.
    pub(super) fn identify(mut self) -> Self {
        let mut hash = Sha256::new();
        let address = |address: Option<Address>| match address {
            Some(address) => [&[1, address.kind().tag()][..], address.payload()].concat(),
            None => vec![0],
        };
        let name = self.chain.as_bytes();
        hash.update(b"caponier chain alert 1\n");
        hash.update(&u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(name);
        hash.update(&self.block.height.to_be_bytes());
        hash.update(&self.block.hash.0);
        hash.update(&self.transaction);
        hash.update(&self.position.to_be_bytes());
        hash.update(&[self.kind.code(), u8::from(self.direction == Direction::In)]);
        hash.update(&address(self.subject));
        hash.update(&address(self.counterparty));
        let digest = hash.finish();
        if let Some((first, _)) = digest.split_first_chunk::<16>() {
            self.id = AlertId(*first);
        }
        self
    }
}

/// How sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertState {
    /// It stands in the newest blocks, which may still change.
    Provisional,
    /// The block is as deep as the operator demands.
    Final,
    /// The block is no longer part of the chain: it did not happen, or happened elsewhere under another id.
    Retracted,
}

impl AlertState {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Final => "final",
            Self::Retracted => "retracted",
        }
    }

    /// The number it is stored by.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Provisional => 1,
            Self::Final => 2,
            Self::Retracted => 3,
        }
    }

    /// Inverse of [`AlertState::code`].
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Provisional, Self::Final, Self::Retracted].into_iter().find(|state| state.code() == code)
    }
}

/// An alert that is new, or in a new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertNews {
    /// What.
    pub alert: Alert,
    /// How sure.
    pub state: AlertState,
}

/// News that could not be taken over; they are kept and offered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("alerts were not taken over: {0}")]
pub struct SinkError(pub String);

/// Who is told. What it has accepted it must not lose: it is told at least once and, after it has accepted, only again if
/// the process stopped before that could be noted. The same id and state twice is therefore no news.
pub trait AlertSink: Send + Sync {
    /// Takes over news in their order, all or none.
    ///
    /// # Errors
    /// [`SinkError`]: they will be offered again.
    fn deliver<'s>(
        &'s self,
        news: &'s [AlertNews],
    ) -> Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 's>>;
}
