//! State as the EVM asks for it.

use chain::{evm::Account, u256::U256};
use revm::{
    Database,
    database_interface::DBErrorMarker,
    primitives::{Address, B256, KECCAK_EMPTY, U256 as Word},
    state::{AccountInfo, Bytecode, EvmState},
};

use crate::state::{Need, StateSource};

/// Who asks contracts about balances and allowances; holds nothing, is nobody.
pub(crate) const PROBER: Address = Address::new([0x70; 20]);

pub(crate) const fn address(account: &Account) -> Address {
    Address::new(account.0)
}

pub(crate) const fn account(address: &Address) -> Account {
    Account(address.0.0)
}

pub(crate) fn word(value: U256) -> Word {
    Word::from_be_bytes(value.to_be_bytes())
}

pub(crate) fn integer(word: Word) -> U256 {
    U256::from_be_bytes(word.to_be_bytes())
}

/// What the source does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not known")]
pub(crate) struct Missing(pub(crate) Need);

impl DBErrorMarker for Missing {}

/// The source, and what a transaction made of it.
pub(crate) struct View<'s> {
    pub(crate) source: &'s dyn StateSource,
    /// What was changed; `None` before the transaction.
    pub(crate) after: Option<&'s EvmState>,
    /// The nonce an account is taken to have.
    pub(crate) nonce: Option<(Address, u64)>,
}

impl Database for View<'_> {
    type Error = Missing;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Missing> {
        if let Some(changed) = self.after.and_then(|after| after.get(&address)) {
            return Ok((!changed.is_selfdestructed()).then(|| changed.info.clone()));
        }
        if address == PROBER {
            return Ok(Some(AccountInfo::default()));
        }
        let asked = account(&address);
        let state = self.source.account(&asked).ok_or(Missing(Need::Account(asked)))?;
        let nonce = match self.nonce {
            Some((of, nonce)) if of == address => nonce,
            _ => state.nonce,
        };
        let code = state.code.0;
        let code_hash = if code.is_empty() { KECCAK_EMPTY } else { code.hash_slow() };
        Ok(Some(AccountInfo {
            balance: word(state.balance),
            nonce,
            code_hash,
            account_id: None,
            code: Some(code),
        }))
    }

    fn code_by_hash(&mut self, _hash: B256) -> Result<Bytecode, Missing> {
        // Never asked: accounts come with their code.
        Ok(Bytecode::default())
    }

    fn storage(&mut self, address: Address, slot: Word) -> Result<Word, Missing> {
        if let Some(changed) = self.after.and_then(|after| after.get(&address)) {
            if let Some(slot) = changed.storage.get(&slot) {
                return Ok(slot.present_value);
            }
            if changed.is_created() || changed.is_selfdestructed() {
                return Ok(Word::ZERO);
            }
        }
        let (asked, slot) = (account(&address), slot.to_be_bytes());
        let value = self.source.slot(&asked, &slot).ok_or(Missing(Need::Slot(asked, slot)))?;
        Ok(Word::from_be_bytes(value))
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Missing> {
        self.source.block_hash(number).map(B256::from).ok_or(Missing(Need::BlockHash(number)))
    }
}
