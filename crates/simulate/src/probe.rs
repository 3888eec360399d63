//! What tokens answer when asked, before and after: balances and allowances. A log is what a contract says of itself; an
//! answer is too, but it is the one everybody else will act on.

use chain::{evm::Account, u256::U256};
use revm::{
    Context, ExecuteEvm as _, MainBuilder as _, MainContext as _,
    context::TxEnv,
    context_interface::result::{EVMError, ExecutionResult},
    primitives::{Bytes, TxKind},
    state::EvmState,
};

use crate::{
    database::{Missing, PROBER, View, address},
    environment::Environment,
    run::SimulateError,
    state::StateSource,
};

/// Most questions asked after one transaction. Each token costs two for a balance, two for an allowance.
pub const PROBES_MAX: usize = 256;
/// Gas of one question. Tokens answer with a tenth of it.
const GAS: u64 = 300_000;
/// `balanceOf(address)`.
const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
/// `allowance(address,address)`.
const ALLOWANCE: [u8; 4] = [0xdd, 0x62, 0xed, 0x3e];

/// Asks tokens.
pub(crate) struct Prober<'s> {
    pub(crate) source: &'s dyn StateSource,
    pub(crate) environment: &'s Environment,
    pub(crate) after: &'s EvmState,
    pub(crate) left: usize,
}

impl Prober<'_> {
    /// What an account holds of a token, before and after.
    pub(crate) fn balance(&mut self, token: Account, of: Account) -> Result<Answers, SimulateError> {
        self.both(token, &BALANCE_OF, &[of])
    }

    /// What a spender may move of an owner's, before and after.
    pub(crate) fn allowance(
        &mut self,
        token: Account,
        owner: Account,
        spender: Account,
    ) -> Result<Answers, SimulateError> {
        self.both(token, &ALLOWANCE, &[owner, spender])
    }

    fn both(
        &mut self,
        token: Account,
        selector: &[u8; 4],
        about: &[Account],
    ) -> Result<Answers, SimulateError> {
        let Some(left) = self.left.checked_sub(2) else { return Ok(Answers::default()) };
        self.left = left;
        let mut data = selector.to_vec();
        for account in about {
            data.extend([0; 12]);
            data.extend(account.0);
        }
        Ok(Answers {
            before: self.ask(token, data.clone(), None)?,
            after: self.ask(token, data, Some(self.after))?,
        })
    }

    fn ask(
        &self,
        token: Account,
        data: Vec<u8>,
        after: Option<&EvmState>,
    ) -> Result<Option<U256>, SimulateError> {
        let view = View { source: self.source, after, nonce: None };
        let mut block = self.environment.block();
        // The question costs nothing and is asked by nobody.
        block.basefee = 0;
        block.gas_limit = block.gas_limit.max(GAS);
        let mut evm = Context::mainnet()
            .with_db(view)
            .with_block(block)
            .with_cfg(self.environment.config())
            .build_mainnet();
        let question = TxEnv {
            caller: PROBER,
            gas_limit: GAS,
            gas_price: 0,
            kind: TxKind::Call(address(&token)),
            data: Bytes::from(data),
            chain_id: None,
            ..TxEnv::default()
        };
        match evm.transact(question) {
            Ok(done) => Ok(match done.result {
                ExecutionResult::Success { output, .. } => {
                    output.data().first_chunk::<32>().map(|word| U256::from_be_bytes(*word))
                }
                _ => None,
            }),
            Err(EVMError::Database(Missing(need))) => Err(SimulateError::Missing(need)),
            Err(_) => Ok(None),
        }
    }
}

/// The answers to one question.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answers {
    pub(crate) before: Option<U256>,
    pub(crate) after: Option<U256>,
}
