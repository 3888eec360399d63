//! The state a transaction runs on: accounts, storage and block hashes, from wherever the caller has them.
//!
//! Nothing is fetched here. A source that does not know something says so, the simulation ends with
//! [`crate::SimulateError::Missing`], the caller fetches it and starts again: executions are short, questions to a node
//! are not, and an engine that waits for a network would be none.

use std::collections::BTreeMap;

use chain::{evm::Account, u256::U256};
use revm::{primitives::Bytes, state::Bytecode};

/// Most accounts of a [`Snapshot`].
pub const ACCOUNTS_MAX: usize = 65_536;
/// Most storage slots of a [`Snapshot`].
pub const SLOTS_MAX: usize = 1 << 20;
/// Most bytes of code of a [`Snapshot`].
pub const CODE_BYTES_MAX: usize = 256 << 20;
/// Most block hashes of a [`Snapshot`]: no more are visible to a contract.
pub const BLOCK_HASHES_MAX: usize = 256;

/// Code, prepared for execution. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code(pub(crate) Bytecode);

impl Code {
    /// From its bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let bytes = Bytes::copy_from_slice(bytes);
        // Code that only begins like a delegation cannot be deployed, but a source may claim anything.
        Self(Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes)))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.original_byte_slice()
    }
}

/// What is known of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountState {
    /// Wei.
    pub balance: U256,
    /// Transactions it has sent, or contracts it has created.
    pub nonce: u64,
    /// Its code.
    pub code: Code,
}

/// Something a simulation has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Balance, nonce and code of an account.
    Account(Account),
    /// The hash of a block by its number.
    BlockHash(u64),
    /// A storage slot of an account.
    Slot(Account, [u8; 32]),
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account(account) => write!(f, "the account {account}"),
            Self::BlockHash(number) => write!(f, "the hash of block {number}"),
            Self::Slot(account, slot) => {
                write!(f, "slot 0x")?;
                slot.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, " of {account}")
            }
        }
    }
}

/// Where state comes from: the port. `None` is "not known here", never "nothing there"; an account that does not exist
/// is known and empty. All answers are of one block.
pub trait StateSource {
    /// Balance, nonce and code.
    fn account(&self, account: &Account) -> Option<AccountState>;
    /// A storage slot.
    fn slot(&self, account: &Account, slot: &[u8; 32]) -> Option<[u8; 32]>;
    /// The hash of one of the last 256 blocks.
    fn block_hash(&self, number: u64) -> Option<[u8; 32]>;
}

/// More state than a [`Snapshot`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {max} {what}")]
pub struct StateTooLarge {
    what: &'static str,
    max: usize,
}

/// State in memory.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    accounts: BTreeMap<Account, AccountState>,
    slots: BTreeMap<(Account, [u8; 32]), [u8; 32]>,
    block_hashes: BTreeMap<u64, [u8; 32]>,
    code_bytes: usize,
    is_complete: bool,
}

impl Snapshot {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing there: what is not put in is empty, rather than unknown.
    #[must_use]
    pub fn whole() -> Self {
        Self { is_complete: true, ..Self::default() }
    }

    /// Puts an account in.
    ///
    /// # Errors
    /// [`StateTooLarge`] when a bound is reached.
    pub fn put_account(&mut self, account: Account, state: AccountState) -> Result<(), StateTooLarge> {
        let code_bytes = self.code_bytes.saturating_add(state.code.bytes().len());
        if code_bytes > CODE_BYTES_MAX {
            return Err(StateTooLarge { what: "bytes of code", max: CODE_BYTES_MAX });
        }
        bound(self.accounts.len(), ACCOUNTS_MAX, "accounts")?;
        self.code_bytes = code_bytes;
        self.accounts.insert(account, state);
        Ok(())
    }

    /// Puts a storage slot in.
    ///
    /// # Errors
    /// [`StateTooLarge`] when the bound is reached.
    pub fn put_slot(
        &mut self,
        account: Account,
        slot: [u8; 32],
        value: [u8; 32],
    ) -> Result<(), StateTooLarge> {
        bound(self.slots.len(), SLOTS_MAX, "storage slots")?;
        self.slots.insert((account, slot), value);
        Ok(())
    }

    /// Puts a block hash in.
    ///
    /// # Errors
    /// [`StateTooLarge`] when the bound is reached.
    pub fn put_block_hash(&mut self, number: u64, hash: [u8; 32]) -> Result<(), StateTooLarge> {
        bound(self.block_hashes.len(), BLOCK_HASHES_MAX, "block hashes")?;
        self.block_hashes.insert(number, hash);
        Ok(())
    }
}

const fn bound(len: usize, max: usize, what: &'static str) -> Result<(), StateTooLarge> {
    if len < max { Ok(()) } else { Err(StateTooLarge { what, max }) }
}

impl StateSource for Snapshot {
    fn account(&self, account: &Account) -> Option<AccountState> {
        self.accounts.get(account).cloned().or_else(|| self.is_complete.then(AccountState::default))
    }

    fn slot(&self, account: &Account, slot: &[u8; 32]) -> Option<[u8; 32]> {
        self.slots.get(&(*account, *slot)).copied().or_else(|| self.is_complete.then_some([0; 32]))
    }

    fn block_hash(&self, number: u64) -> Option<[u8; 32]> {
        self.block_hashes.get(&number).copied().or_else(|| self.is_complete.then_some([0; 32]))
    }
}
