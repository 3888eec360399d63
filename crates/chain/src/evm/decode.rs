//! What moved in a block: native value, tokens, permissions to move them, and accounts that changed hands.
//!
//! Logs are decoded by their exact shape (number of topics, length of data, zero padding); what only resembles one is
//! counted in [`Facts::undecoded`], never guessed. ERC-20 and ERC-721 share the names of their events and differ in the
//! number of topics. A transaction that failed moves nothing and has no logs; its delegations stand.
//!
//! Bounds: [`TRANSFERS_MAX`] transfers and [`APPROVALS_MAX`] approvals of a block; a block that claims more is cut there
//! and says so ([`Facts::is_cut`]), so that whoever follows can raise an alarm instead of running out of memory.

use super::{Account, Delegation, Outcome, Pools, VerifiedBlock};
use crate::{headers::Header, u256::U256};

/// Most transfers of one block: a block of 100 million gas holds some 60,000 logs of 1,750 gas each, and batches of
/// ERC-1155 name several in one.
pub const TRANSFERS_MAX: usize = 262_144;
/// Most approvals of one block.
pub const APPROVALS_MAX: usize = 65_536;

/// `Transfer(address,address,uint256)` of ERC-20 and ERC-721.
const TRANSFER: [u8; 32] = topic("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `Approval(address,address,uint256)` of ERC-20 and ERC-721.
const APPROVAL: [u8; 32] = topic("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");
/// `ApprovalForAll(address,address,bool)` of ERC-721 and ERC-1155.
const APPROVAL_FOR_ALL: [u8; 32] = topic("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31");
/// `TransferSingle(address,address,address,uint256,uint256)` of ERC-1155.
const TRANSFER_SINGLE: [u8; 32] = topic("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62");
/// `TransferBatch(address,address,address,uint256[],uint256[])` of ERC-1155.
const TRANSFER_BATCH: [u8; 32] = topic("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb");
/// `Withdrawal(address,bytes32,address,uint256)` of mixing pools.
const WITHDRAWAL: [u8; 32] = topic("e9e508bad6d4c3227e881ca19068f099da81b5164dd6d62b2eaf1e8bc6c34931");

const fn topic(hex: &str) -> [u8; 32] {
    let digits = hex.as_bytes();
    let mut out = [0u8; 32];
    let mut at = 0;
    while at < 64 {
        let digit = digits[at];
        let value = if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
        out[at / 2] = (out[at / 2] << 4) | value;
        at += 1;
    }
    out
}

/// What moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransferAsset {
    /// The coin of the chain, in wei.
    Native,
    /// A token, by its contract: the only name of a token that cannot be imitated.
    Token(Account),
}

/// How it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransferKind {
    /// With the creation of a contract.
    Creation,
    /// ERC-1155, so many of one token.
    Erc1155 {
        /// Which token of the contract.
        token_id: U256,
    },
    /// ERC-20.
    Erc20,
    /// ERC-721; the value is 1.
    Erc721 {
        /// Which token of the contract.
        token_id: U256,
    },
    /// By a transaction itself.
    Native,
    /// The chain's coin out of a mixing pool, as the pool records it.
    Withdrawal,
}

/// A movement of value, as the chain records it. A token's contract may claim movements that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The transaction.
    pub transaction: [u8; 32],
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// Who sent the transaction; not always who pays.
    pub sender: Account,
    /// The log's place in the block; `None` where the transaction itself moves value.
    pub log_index: Option<u64>,
    /// The place within a batch; of what a pool pays out 0 for the recipient, 1 for the relayer; else 0.
    pub batch_index: u32,
    /// What.
    pub asset: TransferAsset,
    /// How.
    pub kind: TransferKind,
    /// From whom.
    pub from: Account,
    /// To whom.
    pub to: Account,
    /// How much, in the smallest unit.
    pub value: U256,
}

/// What an approval covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApprovalScope {
    /// Everything of the owner at this contract, now and in future; `false` takes it back.
    All(bool),
    /// So much (ERC-20); zero takes it back.
    Amount(U256),
    /// One token (ERC-721).
    Token(U256),
}

impl ApprovalScope {
    /// From which allowance on an approval counts as unlimited: half of all there can be. Wallets that mean "unlimited"
    /// write the largest number of 256, 255 or 160 bits (Permit2), or some tokens' largest of 96.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        match self {
            Self::All(approved) => *approved,
            Self::Amount(amount) => amount.to_u128().is_none_or(|amount| amount >= (1 << 96) - 1),
            Self::Token(_) => false,
        }
    }
}

/// A permission to move an owner's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The transaction.
    pub transaction: [u8; 32],
    /// The transaction's place in the block.
    pub transaction_index: u64,
    /// The log's place in the block.
    pub log_index: u64,
    /// The token's contract.
    pub token: Account,
    /// Whose tokens.
    pub owner: Account,
    /// Who may move them.
    pub spender: Account,
    /// Which and how many.
    pub scope: ApprovalScope,
}

/// A transaction itself: who called whom, and how it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its hash.
    pub transaction: [u8; 32],
    /// Who sent it.
    pub from: Account,
    /// Whom it calls; `None` creates a contract.
    pub to: Option<Account>,
    /// The contract it was to create.
    pub created: Option<Account>,
    /// Wei it carries; moved only if it did not fail.
    pub value: U256,
    /// Gas its execution took.
    pub gas_used: u64,
    /// Whether it was reverted.
    pub failed: bool,
    /// Bytes of its input.
    pub input_bytes: usize,
    /// The first four bytes of its input, if there are as many.
    pub method: Option<u32>,
}

/// What happened in one block. All of it stands and falls with [`Facts::header`]: when the block leaves the chain, so does
/// everything derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The chain.
    pub chain_id: u64,
    /// The block.
    pub header: Header,
    /// Every transaction, in order.
    pub calls: Vec<Call>,
    /// In the order of transactions, native value before logs.
    pub transfers: Vec<Transfer>,
    /// In the order of logs.
    pub approvals: Vec<Approval>,
    /// In the order of transactions.
    pub delegations: Vec<Delegation>,
    /// Transactions of the block.
    pub transactions: u64,
    /// Logs of the block.
    pub logs: u64,
    /// Logs with the name of an event known here in a form that is not.
    pub undecoded: u64,
    /// Whether a bound cut something off.
    pub is_cut: bool,
}

/// Derives what happened, payments out of these mixing pools included.
#[must_use]
pub fn decode(verified: &VerifiedBlock, chain_id: u64, pools: &Pools) -> Facts {
    let block = verified.block();
    let mut facts = Facts {
        chain_id,
        header: block.link(),
        calls: Vec::with_capacity(block.transactions.len()),
        transfers: Vec::new(),
        approvals: Vec::new(),
        delegations: Vec::new(),
        transactions: 0,
        logs: 0,
        undecoded: 0,
        is_cut: false,
    };
    let mut gas_before = 0;
    for ((index, transaction), receipt) in (0u64..).zip(&block.transactions).zip(verified.receipts()) {
        facts.transactions += 1;
        // Before Byzantium a failure left no trace in the receipt: then what was meant counts as moved.
        let was_carried_out = !matches!(receipt.outcome, Outcome::Status(false));
        facts.calls.push(Call {
            transaction: transaction.hash,
            from: transaction.from,
            to: transaction.to,
            created: transaction.created(),
            value: transaction.value,
            gas_used: receipt.cumulative_gas_used.saturating_sub(gas_before),
            failed: !was_carried_out,
            input_bytes: transaction.input.len(),
            method: transaction.input.first_chunk().map(|first| u32::from_be_bytes(*first)),
        });
        gas_before = receipt.cumulative_gas_used;
        if was_carried_out && !transaction.value.is_zero() {
            let (to, kind) = match (transaction.to, transaction.created()) {
                (Some(to), _) => (to, TransferKind::Native),
                (None, created) => (created.unwrap_or_default(), TransferKind::Creation),
            };
            facts.transfer(Transfer {
                transaction: transaction.hash,
                transaction_index: index,
                sender: transaction.from,
                log_index: None,
                batch_index: 0,
                asset: TransferAsset::Native,
                kind,
                from: transaction.from,
                to,
                value: transaction.value,
            });
        }
        for (place, authorization) in (0u64..).zip(&transaction.authorizations) {
            if let Some(authority) = authorization.authority(chain_id) {
                facts.delegations.push(Delegation {
                    transaction: transaction.hash,
                    transaction_index: index,
                    index: place,
                    authority,
                    delegate: authorization.delegate,
                    is_for_every_chain: authorization.chain_id.is_zero(),
                    nonce: authorization.nonce,
                });
            }
        }
        for log in &receipt.logs {
            facts.logs += 1;
            let at = At {
                transaction: transaction.hash,
                transaction_index: index,
                sender: transaction.from,
                log_index: log.index,
                token: log.emitter,
            };
            let decoded = match pools.amount(log.emitter) {
                Some(amount) if log.topics.first() == Some(&WITHDRAWAL) => {
                    facts.withdrawal(&at, amount, &log.topics, &log.data)
                }
                _ => facts.log(&at, &log.topics, &log.data),
            };
            if decoded.is_none() {
                facts.undecoded += 1;
            }
        }
    }
    facts
}

/// Where a log stands.
struct At {
    transaction: [u8; 32],
    transaction_index: u64,
    sender: Account,
    log_index: u64,
    token: Account,
}

impl At {
    const fn transfer(&self, kind: TransferKind, from: Account, to: Account, value: U256) -> Transfer {
        Transfer {
            transaction: self.transaction,
            transaction_index: self.transaction_index,
            sender: self.sender,
            log_index: Some(self.log_index),
            batch_index: 0,
            asset: TransferAsset::Token(self.token),
            kind,
            from,
            to,
            value,
        }
    }

    const fn approval(&self, owner: Account, spender: Account, scope: ApprovalScope) -> Approval {
        Approval {
            transaction: self.transaction,
            transaction_index: self.transaction_index,
            log_index: self.log_index,
            token: self.token,
            owner,
            spender,
            scope,
        }
    }
}

impl Facts {
    fn transfer(&mut self, transfer: Transfer) {
        if self.transfers.len() < TRANSFERS_MAX {
            self.transfers.push(transfer);
        } else {
            self.is_cut = true;
        }
    }

    fn approval(&mut self, approval: Approval) {
        if self.approvals.len() < APPROVALS_MAX {
            self.approvals.push(approval);
        } else {
            self.is_cut = true;
        }
    }

    /// Takes in what a pool of this amount records of a withdrawal; `None` in another form than that of the event, or with a
    /// fee above the amount.
    fn withdrawal(&mut self, at: &At, amount: U256, topics: &[[u8; 32]], data: &[u8]) -> Option<()> {
        let [_, relayer] = topics else { return None };
        let (words, []) = data.as_chunks::<32>() else { return None };
        let [recipient, _nullifier, fee] = words else { return None };
        let (recipient, relayer, fee) = (account(recipient)?, account(relayer)?, U256::from_be_bytes(*fee));
        let paid = [(recipient, amount.checked_sub(fee)?), (relayer, fee)];
        for ((to, value), batch_index) in
            paid.into_iter().zip(0u32..).filter(|((_, value), _)| !value.is_zero())
        {
            let transfer = at.transfer(TransferKind::Withdrawal, at.token, to, value);
            self.transfer(Transfer { asset: TransferAsset::Native, batch_index, ..transfer });
        }
        Some(())
    }

    /// Takes in one log; `None` when it has the name of a known event and another form.
    fn log(&mut self, at: &At, topics: &[[u8; 32]], data: &[u8]) -> Option<()> {
        let [name, rest @ ..] = topics else { return Some(()) };
        match (name, rest) {
            (&TRANSFER, [from, to]) => {
                let value = one_word(data)?;
                self.transfer(at.transfer(TransferKind::Erc20, account(from)?, account(to)?, value));
            }
            (&TRANSFER, [from, to, token_id]) if data.is_empty() => {
                let kind = TransferKind::Erc721 { token_id: U256::from_be_bytes(*token_id) };
                self.transfer(at.transfer(kind, account(from)?, account(to)?, U256::ONE));
            }
            (&APPROVAL, [owner, spender]) => {
                let scope = ApprovalScope::Amount(one_word(data)?);
                self.approval(at.approval(account(owner)?, account(spender)?, scope));
            }
            (&APPROVAL, [owner, spender, token_id]) if data.is_empty() => {
                let scope = ApprovalScope::Token(U256::from_be_bytes(*token_id));
                self.approval(at.approval(account(owner)?, account(spender)?, scope));
            }
            (&APPROVAL_FOR_ALL, [owner, operator]) => {
                let approved = match one_word(data)?.to_u64() {
                    Some(0) => false,
                    Some(1) => true,
                    _ => return None,
                };
                let scope = ApprovalScope::All(approved);
                self.approval(at.approval(account(owner)?, account(operator)?, scope));
            }
            (&TRANSFER_SINGLE, [_operator, from, to]) => {
                let (words, []) = data.as_chunks::<32>() else { return None };
                let [token_id, value] = words else { return None };
                let kind = TransferKind::Erc1155 { token_id: U256::from_be_bytes(*token_id) };
                let value = U256::from_be_bytes(*value);
                self.transfer(at.transfer(kind, account(from)?, account(to)?, value));
            }
            (&TRANSFER_BATCH, [_operator, from, to]) => {
                let (from, to) = (account(from)?, account(to)?);
                let (ids, values) = two_lists(data)?;
                for ((place, token_id), value) in (0u32..).zip(ids).zip(values) {
                    let kind = TransferKind::Erc1155 { token_id: U256::from_be_bytes(*token_id) };
                    let transfer = at.transfer(kind, from, to, U256::from_be_bytes(*value));
                    self.transfer(Transfer { batch_index: place, ..transfer });
                }
            }
            (&TRANSFER | &APPROVAL | &APPROVAL_FOR_ALL | &TRANSFER_SINGLE | &TRANSFER_BATCH, _) => {
                return None;
            }
            _ => {}
        }
        Some(())
    }
}

/// An account in a word: twelve zeros and twenty bytes.
fn account(word: &[u8; 32]) -> Option<Account> {
    let (padding, account) = word.split_last_chunk::<20>()?;
    padding.iter().all(|byte| *byte == 0).then_some(Account(*account))
}

fn one_word(data: &[u8]) -> Option<U256> {
    Some(U256::from_be_bytes(data.try_into().ok()?))
}

/// Words of the ABI.
type Words<'d> = &'d [[u8; 32]];

/// Two lists of words of the same length, one behind the other, as the ABI lays them out: two offsets, then for each list
/// its length and its words. Other layouts are legal and nobody's.
fn two_lists(data: &[u8]) -> Option<(Words<'_>, Words<'_>)> {
    let (words, []) = data.as_chunks::<32>() else { return None };
    let small = |at: usize| usize::try_from(U256::from_be_bytes(*words.get(at)?).to_u64()?).ok();
    let list = |offset: usize| -> Option<&[[u8; 32]]> {
        if !offset.is_multiple_of(32) {
            return None;
        }
        let at = offset / 32;
        let first = at.checked_add(1)?;
        words.get(first..first.checked_add(small(at)?)?)
    };
    let (ids, values) = (list(small(0)?)?, list(small(1)?)?);
    (ids.len() == values.len()).then_some((ids, values))
}

#[cfg(test)]
mod tests;
