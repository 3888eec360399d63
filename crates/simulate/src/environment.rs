//! In which block a transaction would be executed, and by which rules.

use chain::{evm::Account, u256::U256};
use revm::{
    context::{BlockEnv, CfgEnv},
    context_interface::block::BlobExcessGasAndPrice,
    primitives::{B256, U256 as Word, hardfork::SpecId},
};

use crate::database::address;

/// Rules of execution, by the name of Ethereum's hard forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the forks' own names")]
pub enum Fork {
    London,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
}

impl Fork {
    /// Every fork, oldest first.
    pub const ALL: [Self; 6] =
        [Self::London, Self::Paris, Self::Shanghai, Self::Cancun, Self::Prague, Self::Osaka];

    /// Its lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::London => "london",
            Self::Paris => "paris",
            Self::Shanghai => "shanghai",
            Self::Cancun => "cancun",
            Self::Prague => "prague",
            Self::Osaka => "osaka",
        }
    }

    pub(crate) const fn spec(self) -> SpecId {
        match self {
            Self::London => SpecId::LONDON,
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }
}

/// The block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Environment {
    /// The chain.
    pub chain_id: u64,
    /// Its rules.
    pub fork: Fork,
    /// The block's number.
    pub number: u64,
    /// The block's time in seconds since 1970.
    pub timestamp_s: u64,
    /// Most gas of the block.
    pub gas_limit: u64,
    /// Wei for each gas that is burnt.
    pub base_fee: u64,
    /// Who gets the rest of the fees.
    pub beneficiary: Account,
    /// The beacon chain's randomness; what contracts read as difficulty.
    pub randomness: [u8; 32],
    /// Blob gas above the target, which blobs' price follows.
    pub excess_blob_gas: u64,
}

impl Environment {
    pub(crate) fn config(&self) -> CfgEnv {
        let mut config = CfgEnv::default();
        config.set_spec_and_mainnet_gas_params(self.fork.spec());
        config.chain_id = self.chain_id;
        config
    }

    pub(crate) fn block(&self) -> BlockEnv {
        BlockEnv {
            number: Word::from(self.number),
            beneficiary: address(&self.beneficiary),
            timestamp: Word::from(self.timestamp_s),
            gas_limit: self.gas_limit,
            basefee: self.base_fee,
            prevrandao: Some(B256::from(self.randomness)),
            blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(
                self.excess_blob_gas,
                self.fork.spec(),
            )),
            ..BlockEnv::default()
        }
    }

    /// What one gas of a transaction costs: the base fee and what is left for the beneficiary, at most the maximum.
    pub(crate) fn gas_price(&self, tx: &chain::evm::Transaction) -> U256 {
        if tx.kind < 2 {
            return tx.gas_price;
        }
        let wanted = U256::from(self.base_fee).checked_add(tx.max_priority_fee_per_gas);
        wanted.map_or(tx.max_fee_per_gas, |wanted| wanted.min(tx.max_fee_per_gas))
    }
}
