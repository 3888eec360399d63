//! Executes a transaction and reads what it did.

use std::collections::{BTreeMap, BTreeSet};

use chain::{
    evm::{Account, Transaction},
    u256::U256,
};
use intent::{
    Act, Context, Effect, Reading,
    effect::{Quantity, is_multi_send},
};
use revm::{
    InspectEvm as _, MainBuilder as _, MainContext as _,
    context::TxEnv,
    context_interface::{
        either::Either,
        result::{EVMError, ExecutionResult},
        transaction::{
            AccessList, AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization,
        },
    },
    primitives::{B256, Bytes, TxKind},
    state::EvmState,
};

use crate::{
    database::{Missing, View, address, integer, word},
    environment::Environment,
    logs,
    outcome::{AllowanceChange, End, NativeChange, Simulation, TokenChange},
    probe::{PROBES_MAX, Prober},
    slots::{self, OwnCode},
    state::{Need, StateSource},
    trace::{Event, Trace},
};

/// Most gas of a transaction that is executed.
pub const GAS_MAX: u64 = 60_000_000;
/// Longest reason of a revert that is kept, in characters.
const REASON_CHARS_MAX: usize = 300;

/// Why there is no simulation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// Something that has to be fetched first. Fetch it and start again.
    #[error("{0} is not known")]
    Missing(Need),
    /// The caller did not want to wait any longer.
    #[error("the time for the simulation is over")]
    Stopped,
    /// More than [`GAS_MAX`].
    #[error("the transaction may use {0} gas, at most {GAS_MAX} are executed")]
    TooMuchGas(u64),
}

/// Executes a transaction of `tx.from` as the next in the block of `environment`.
///
/// `go_on` is asked every thousand instructions; when it says no, the simulation ends. Gas bounds the work as well, so
/// that a caller without a clock may always say yes.
///
/// # Errors
/// [`SimulateError`]. A transaction that fails or that no block may hold is no error but a simulation that says so.
pub fn simulate(
    source: &dyn StateSource,
    environment: &Environment,
    tx: &Transaction,
    context: &Context,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Simulation, SimulateError> {
    if tx.gas > GAS_MAX {
        return Err(SimulateError::TooMuchGas(tx.gas));
    }
    let sender = source.account(&tx.from).ok_or(SimulateError::Missing(Need::Account(tx.from)))?;
    let Some(nonces_ahead) = tx.nonce.checked_sub(sender.nonce) else {
        let reason = format!("its nonce is {}, its sender is at {}", tx.nonce, sender.nonce);
        return Ok(refused(reason));
    };
    let Some(env) = transaction(tx, environment.chain_id) else {
        return Ok(refused("a fee is above 2^128 wei".to_owned()));
    };
    let view = View { source, after: None, nonce: Some((address(&tx.from), tx.nonce)) };
    let mut evm = revm::Context::mainnet()
        .with_db(view)
        .with_block(environment.block())
        .with_cfg(environment.config())
        .build_mainnet_with_inspector(Trace::new(go_on));
    let executed = evm.inspect_tx(env);
    let trace = evm.inspector;
    if trace.is_stopped {
        return Err(SimulateError::Stopped);
    }
    let executed = match executed {
        Ok(executed) => executed,
        Err(EVMError::Database(Missing(need))) => return Err(SimulateError::Missing(need)),
        Err(EVMError::Transaction(reason)) => return Ok(refused(reason.to_string())),
        Err(other) => return Ok(refused(other.to_string())),
    };
    let end = match &executed.result {
        ExecutionResult::Success { .. } => End::Done,
        ExecutionResult::Revert { output, .. } => End::Reverted(revert_reason(output)),
        ExecutionResult::Halt { reason, .. } => End::Halted(reason.to_string()),
    };
    let gas_used = executed.result.tx_gas_used();
    Evaluation { source, environment, state: &executed.state, context, trace }.finish(
        tx,
        end,
        gas_used,
        nonces_ahead,
    )
}

/// Nothing happens.
fn refused(reason: String) -> Simulation {
    Simulation {
        end: End::Refused(reason),
        gas_used: 0,
        fee: Some(U256::ZERO),
        nonces_ahead: 0,
        done: Reading::default(),
        native: Vec::new(),
        tokens: Vec::new(),
        allowances: Vec::new(),
        slots: Vec::new(),
        other_slots: 0,
        steps: 0,
        is_cut: false,
    }
}

/// In the EVM's words; `None` for prices that no chain has.
fn transaction(tx: &Transaction, chain_id: u64) -> Option<TxEnv> {
    let has_price_range = tx.kind >= 2;
    let price = if has_price_range { tx.max_fee_per_gas } else { tx.gas_price };
    let authorization = |authorization: &chain::evm::Authorization| {
        let authority = authorization
            .authority(chain_id)
            .map_or(RecoveredAuthority::Invalid, |authority| RecoveredAuthority::Valid(address(&authority)));
        let inner = Authorization {
            chain_id: word(authorization.chain_id),
            address: address(&authorization.delegate),
            nonce: authorization.nonce,
        };
        Either::Right(RecoveredAuthorization::new_unchecked(inner, authority))
    };
    Some(TxEnv {
        tx_type: u8::try_from(tx.kind).ok()?,
        caller: address(&tx.from),
        gas_limit: tx.gas,
        gas_price: price.to_u128()?,
        kind: tx.to.as_ref().map_or(TxKind::Create, |to| TxKind::Call(address(to))),
        value: word(tx.value),
        data: Bytes::copy_from_slice(&tx.input),
        nonce: tx.nonce,
        // Legacy transactions without a chain are good everywhere.
        chain_id: if tx.kind == 0 && tx.chain_id.is_zero() {
            None
        } else {
            tx.chain_id.to_u64().or(Some(u64::MAX))
        },
        access_list: AccessList(
            tx.access_list
                .iter()
                .map(|(account, slots)| AccessListItem {
                    address: address(account),
                    storage_keys: slots.iter().copied().map(B256::from).collect(),
                })
                .collect(),
        ),
        gas_priority_fee: if has_price_range { Some(tx.max_priority_fee_per_gas.to_u128()?) } else { None },
        blob_hashes: tx.blob_versioned_hashes.iter().copied().map(B256::from).collect(),
        max_fee_per_blob_gas: tx.max_fee_per_blob_gas.to_u128()?,
        authorization_list: tx.authorizations.iter().map(authorization).collect(),
    })
}

/// The reason in a revert: `Error(string)`, `Panic(uint256)`, or the selector of an error of the contract's own.
fn revert_reason(output: &[u8]) -> String {
    const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
    const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];
    let Some((selector, data)) = output.split_first_chunk::<4>() else {
        return "without a reason".to_owned();
    };
    let word = |at: usize| data.get(at..at.checked_add(32)?)?.try_into().ok().map(U256::from_be_bytes);
    match *selector {
        ERROR => {
            let text = word(32)
                .and_then(U256::to_u128)
                .and_then(|len| data.get(64..64usize.checked_add(usize::try_from(len).ok()?)?));
            let text = text.map(String::from_utf8_lossy).unwrap_or_default();
            text.chars().take(REASON_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
        }
        PANIC => word(0).map_or_else(|| "panic".to_owned(), |code| format!("panic {code}")),
        [a, b, c, d] => format!("error 0x{a:02x}{b:02x}{c:02x}{d:02x} of the contract"),
    }
}

/// What is made of an execution.
struct Evaluation<'s, 'g> {
    source: &'s dyn StateSource,
    environment: &'s Environment,
    state: &'s EvmState,
    context: &'s Context,
    trace: Trace<'g>,
}

impl Evaluation<'_, '_> {
    fn finish(
        self,
        tx: &Transaction,
        end: End,
        gas_used: u64,
        nonces_ahead: u64,
    ) -> Result<Simulation, SimulateError> {
        let mut own = OwnCode::default();
        let foreign: BTreeSet<_> =
            slots::foreign_code(self.source, self.state, &self.trace.events, &mut own).into_iter().collect();
        let control = slots::control(self.source, self.state, &own, &self.trace.mapped);
        let mut acts = self.acts(&foreign);
        for act in control.acts {
            if !acts.contains(&act) {
                acts.push(act);
            }
        }
        let is_cut = self.trace.is_cut;
        if is_cut {
            acts.push(Act::Unread { what: "more happens than is kept" });
        }
        let (tokens, allowances) = self.ask(&acts)?;
        let effect = |act: Act| {
            let severity = act.severity(self.context);
            Effect { path: Vec::new(), act, severity }
        };
        Ok(Simulation {
            end,
            gas_used,
            fee: word(self.environment.gas_price(tx))
                .checked_mul(revm::primitives::U256::from(gas_used))
                .map(integer),
            nonces_ahead,
            done: Reading { effects: acts.into_iter().map(effect).collect() },
            native: self.native(),
            tokens,
            allowances,
            slots: control.slots,
            other_slots: control.other_slots,
            steps: self.trace.steps,
            is_cut,
        })
    }

    /// Events in the words of intents.
    fn acts(&self, foreign: &BTreeSet<(Account, Account)>) -> Vec<Act> {
        let mut acts = Vec::new();
        let mut told = BTreeSet::new();
        for event in &self.trace.events {
            match event {
                Event::Creation { by, contract } => {
                    let code = self.state.get(&address(contract)).and_then(|made| made.info.code.as_ref());
                    acts.push(Act::Creation {
                        by: Some(*by),
                        account: Some(*contract),
                        code_len: code.map_or(0, |code| code.original_byte_slice().len()),
                    });
                }
                Event::DelegateCall { by, code } => {
                    if foreign.contains(&(*by, *code)) && told.insert((*by, *code)) && !is_multi_send(code) {
                        acts.push(Act::DelegateCall { by: Some(*by), code: *code });
                    }
                }
                Event::Destruction { contract, heir } => {
                    acts.push(Act::Destruction { contract: *contract, heir: *heir });
                }
                Event::Log { emitter, topics, data } => acts.extend(logs::acts(*emitter, topics, data)),
                Event::Value { from, to, amount } => {
                    acts.push(Act::NativeTransfer { from: Some(*from), to: *to, amount: *amount });
                }
            }
        }
        acts
    }

    fn native(&self) -> Vec<NativeChange> {
        let mut changes: Vec<NativeChange> = self
            .state
            .iter()
            .filter_map(|(of, changed)| {
                let account = crate::database::account(of);
                let before = self.source.account(&account)?.balance;
                let after =
                    if changed.is_selfdestructed() { U256::ZERO } else { integer(changed.info.balance) };
                (before != after).then_some(NativeChange { account, before, after })
            })
            .collect();
        changes.sort_by_key(|change| change.account);
        changes
    }

    /// Asks the tokens that logs speak of.
    fn ask(&self, acts: &[Act]) -> Result<(Vec<TokenChange>, Vec<AllowanceChange>), SimulateError> {
        let mut prober = Prober {
            source: self.source,
            environment: self.environment,
            after: self.state,
            left: PROBES_MAX,
        };
        let mut moved: BTreeMap<(Account, Account), (U256, U256)> = BTreeMap::new();
        let mut allowed = BTreeSet::new();
        for act in acts {
            match act {
                Act::TokenTransfer { token, from: Some(from), to, quantity: Quantity::Amount(amount) } => {
                    let out = &mut moved.entry((*token, *from)).or_default().1;
                    *out = out.checked_add(*amount).unwrap_or(U256::MAX);
                    let into = &mut moved.entry((*token, *to)).or_default().0;
                    *into = into.checked_add(*amount).unwrap_or(U256::MAX);
                }
                Act::Allowance { token, owner: Some(owner), spender, until_s: None, .. } => {
                    allowed.insert((*token, *owner, *spender));
                }
                _ => {}
            }
        }
        let mut tokens = Vec::new();
        for ((token, account), (logged_in, logged_out)) in moved {
            // Nobody's balance: tokens come from it and go to it.
            if account == Account::ZERO {
                continue;
            }
            let answers = prober.balance(token, account)?;
            let (before, after) = (answers.before, answers.after);
            tokens.push(TokenChange { token, account, before, after, logged_in, logged_out });
        }
        let mut allowances = Vec::new();
        for (token, owner, spender) in allowed {
            let answers = prober.allowance(token, owner, spender)?;
            let (before, after) = (answers.before, answers.after);
            allowances.push(AllowanceChange { token, owner, spender, before, after });
        }
        Ok((tokens, allowances))
    }
}
