//! Mixing pools of a chain's coin: contracts that take one fixed amount from many and pay it out to whoever proves to have
//! deposited once, without saying when.
//!
//! What a pool pays out moves within its execution, so no transfer tells of it; but it records each withdrawal:
//! `Withdrawal(address to, bytes32 nullifierHash, address indexed relayer, uint256 fee)`. Of a contract that is known to be a
//! pool, and of how much, that says what moved: the amount less the fee to the recipient, the fee to the relayer. Anybody can
//! record such events, so only pools that were named count.
//!
//! What it is not: a link between a deposit and a withdrawal. Money that went into a pool is followed no further, and what
//! comes out of it comes from the pool.
//!
//! Source: the contracts of Tornado Cash (`Tornado.sol`, `ETHTornado.sol`) and their copies on other chains.

use super::Account;
use crate::u256::U256;

/// Most pools of one chain.
pub const POOLS_MAX: usize = 1_024;

/// Which contracts are pools, and what each takes and pays out, in wei.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pools(Vec<(Account, U256)>);

impl Pools {
    /// These pools, each with its amount in wei; `None` if one is named twice, an amount is zero, or there are more than
    /// [`POOLS_MAX`].
    #[must_use]
    pub fn new(pools: impl IntoIterator<Item = (Account, U256)>) -> Option<Self> {
        let mut pools: Vec<_> = pools.into_iter().take(POOLS_MAX + 1).collect();
        pools.sort_unstable_by_key(|(pool, _)| *pool);
        let is_distinct = pools.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a != b));
        let is_sound =
            pools.len() <= POOLS_MAX && is_distinct && pools.iter().all(|(_, amount)| !amount.is_zero());
        is_sound.then_some(Self(pools))
    }

    /// No pools.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// What a contract takes and pays out, if it is a pool.
    #[must_use]
    pub fn amount(&self, contract: Account) -> Option<U256> {
        let at = self.0.binary_search_by_key(&contract, |(pool, _)| *pool).ok()?;
        self.0.get(at).map(|(_, amount)| *amount)
    }

    /// Whether none is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_found_by_their_contract_and_ambiguous_ones_refused() {
        let pool = |byte: u8| Account([byte; 20]);
        let pools = Pools::new([(pool(9), U256::from(10_u64)), (pool(3), U256::ONE)]).unwrap();
        assert_eq!(pools.amount(pool(3)), Some(U256::ONE));
        assert_eq!(pools.amount(pool(9)), Some(U256::from(10_u64)));
        assert_eq!(pools.amount(pool(4)), None);
        assert!(Pools::default().is_empty() && !pools.is_empty());
        assert_eq!(Pools::new([(pool(3), U256::ONE), (pool(3), U256::from(2_u64))]), None);
        assert_eq!(Pools::new([(pool(3), U256::ZERO)]), None);
        let many = (0..=POOLS_MAX).map(|number| {
            let mut account = [0; 20];
            account[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
            (Account(account), U256::ONE)
        });
        assert_eq!(Pools::new(many), None);
    }
}
