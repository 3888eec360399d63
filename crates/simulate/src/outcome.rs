//! What a simulation found.

use std::fmt;

use chain::{evm::Account, u256::U256};
use intent::Reading;

/// How an execution ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is carried out.
    Done,
    /// It fails and uses all gas.
    Halted(String),
    /// No block may hold it.
    Refused(String),
    /// It fails, for a reason the contract gives.
    Reverted(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("it is carried out"),
            Self::Halted(reason) => write!(f, "it fails: {reason}"),
            Self::Refused(reason) => write!(f, "no block may hold it: {reason}"),
            Self::Reverted(reason) => write!(f, "it is reverted: {reason}"),
        }
    }
}

/// A balance of native value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeChange {
    /// Whose.
    pub account: Account,
    /// Wei before.
    pub before: U256,
    /// Wei after, the fee paid.
    pub after: U256,
}

/// A balance of a token, as its contract answers before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenChange {
    /// The token.
    pub token: Account,
    /// Whose.
    pub account: Account,
    /// Before; `None` if the contract does not say.
    pub before: Option<U256>,
    /// After; `None` if the contract does not say.
    pub after: Option<U256>,
    /// What its logs say came in.
    pub logged_in: U256,
    /// What its logs say went out.
    pub logged_out: U256,
}

impl TokenChange {
    /// Whether the balances moved as the logs say; `None` if the contract does not tell balances.
    #[must_use]
    pub fn is_as_logged(&self) -> Option<bool> {
        let (before, after) = (self.before?, self.after?);
        let (with, without) = (before.checked_add(self.logged_in), after.checked_add(self.logged_out));
        Some(with.is_some() && with == without)
    }
}

/// An allowance, as the token answers before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowanceChange {
    /// The token.
    pub token: Account,
    /// Whose tokens.
    pub owner: Account,
    /// Who may move them.
    pub spender: Account,
    /// Before; `None` if the contract does not say.
    pub before: Option<U256>,
    /// After; `None` if the contract does not say.
    pub after: Option<U256>,
}

/// A storage slot with a known meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotChange {
    /// Whose storage.
    pub account: Account,
    /// What it holds.
    pub name: &'static str,
    /// The slot.
    pub slot: [u8; 32],
    /// Before.
    pub before: [u8; 32],
    /// After.
    pub after: [u8; 32],
}

/// What a transaction would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// How it ends.
    pub end: End,
    /// Gas used.
    pub gas_used: u64,
    /// Wei for that gas, without blobs; `None` if it does not fit 256 bits.
    pub fee: Option<U256>,
    /// By how many transactions it is ahead of its sender.
    pub nonces_ahead: u64,
    /// Everything done, in the order of execution.
    pub done: Reading,
    /// Balances of native value that change, in the order of accounts.
    pub native: Vec<NativeChange>,
    /// Balances of tokens that logs speak of, in the order of tokens and accounts.
    pub tokens: Vec<TokenChange>,
    /// Allowances that logs speak of, likewise.
    pub allowances: Vec<AllowanceChange>,
    /// Storage slots with a known meaning that change.
    pub slots: Vec<SlotChange>,
    /// How many other storage slots change.
    pub other_slots: usize,
    /// Instructions executed.
    pub steps: u64,
    /// Whether more happened than is kept here.
    pub is_cut: bool,
}
