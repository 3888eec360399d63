//! Blocks of EVM chains: what a node says of one, whether it is true, and what moved in it.
//!
//! Three steps, each a type: a [`Block`] with its [`Receipt`]s is what a node claims; [`verify()`] recomputes what the
//! block's own hash commits to and makes a [`VerifiedBlock`]; [`decode()`] turns that into [`Facts`]. A node that leaves
//! out a log, swaps a receipt or changes an amount is found out by arithmetic, not by trust.
//!
//! What it is not: an EVM. Value that moves inside a contract's execution without a log (an "internal transfer") is
//! invisible here, payments out of mixing [`Pools`] excepted, and so is anything a log claims falsely: a token contract may
//! report transfers that change nothing.
//! **Whether an asset is what it calls itself is decided by its contract's address, never by its symbol.**
//!
//! The node is believed in two things that a block hash does not commit to in a form that is checked here: who sent a
//! transaction (its signature is not recovered), and which branch is right.
//!
//! Sources: yellow paper (RLP, tries, header), EIP-155, 658, 1559, 2718, 2930, 4399, 4788, 4844, 4895, 7685, 7702; ERC-20,
//! 721, 1155.

mod decode;
mod delegation;
mod pool;
mod rlp;
mod trie;
mod verify;

use sha3::{Digest, Keccak256};

pub use self::{
    decode::{
        APPROVALS_MAX, Approval, ApprovalScope, Call, Facts, TRANSFERS_MAX, Transfer, TransferAsset,
        TransferKind, decode,
    },
    delegation::{Delegation, delegate_of_code},
    pool::{POOLS_MAX, Pools},
    verify::{Lie, Proof, VerifiedBlock, seal, verify},
};
use crate::{
    headers::{BlockHash, BlockId, Header},
    u256::U256,
};

/// The 20 bytes of an account.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Account(pub [u8; 20]);

impl Account {
    /// The account nobody holds; tokens are minted from it and burnt to it.
    pub const ZERO: Self = Self([0; 20]);

    /// As an address that lists know.
    #[must_use]
    pub fn address(&self) -> domain::Address {
        domain::Address::new(domain::AddressKind::Evm, &self.0)
            .unwrap_or_else(|| unreachable!("20 bytes are an EVM address"))
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Bits of which logs a block or a receipt may hold (yellow paper, section 4.3.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Bloom(pub Box<[u8; 256]>);

impl Default for Bloom {
    fn default() -> Self {
        Self(Box::new([0; 256]))
    }
}

impl std::fmt::Debug for Bloom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits: u32 = self.0.iter().map(|byte| byte.count_ones()).sum();
        write!(f, "Bloom({bits} bits)")
    }
}

impl Bloom {
    /// Adds the emitter and the topics of a log.
    pub fn add(&mut self, log: &Log) {
        self.add_item(&log.emitter.0);
        log.topics.iter().for_each(|topic| self.add_item(topic));
    }

    fn add_item(&mut self, item: &[u8]) {
        let hash = Keccak256::digest(item);
        for pair in hash.chunks_exact(2).take(3) {
            if let [high, low] = pair {
                let bit = (usize::from(*high) << 8 | usize::from(*low)) & 0x7ff;
                if let Some(byte) = self.0.get_mut(255 - bit / 8) {
                    *byte |= 1 << (bit % 8);
                }
            }
        }
    }
}

/// Everything the hash of a block is made of. What a fork added is `None` before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the fields of the yellow paper's header, in its order and by its names")]
pub struct BlockHeader {
    pub parent_hash: BlockHash,
    pub ommers_hash: [u8; 32],
    pub beneficiary: Account,
    pub state_root: [u8; 32],
    pub transactions_root: [u8; 32],
    pub receipts_root: [u8; 32],
    pub logs_bloom: Bloom,
    pub difficulty: U256,
    pub number: u64,
    pub gas_limit: u64,
    pub gas_used: u64,
    pub timestamp: u64,
    pub extra_data: Vec<u8>,
    pub mix_hash: [u8; 32],
    pub nonce: [u8; 8],
    /// EIP-1559, London.
    pub base_fee_per_gas: Option<U256>,
    /// EIP-4895, Shanghai.
    pub withdrawals_root: Option<[u8; 32]>,
    /// EIP-4844, Cancun.
    pub blob_gas_used: Option<u64>,
    /// EIP-4844, Cancun.
    pub excess_blob_gas: Option<u64>,
    /// EIP-4788, Cancun.
    pub parent_beacon_block_root: Option<[u8; 32]>,
    /// EIP-7685, Prague.
    pub requests_hash: Option<[u8; 32]>,
}

impl BlockHeader {
    /// The hash of the block, recomputed.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        let mut items = Vec::with_capacity(640);
        rlp::bytes(&mut items, &self.parent_hash.0);
        rlp::bytes(&mut items, &self.ommers_hash);
        rlp::bytes(&mut items, &self.beneficiary.0);
        rlp::bytes(&mut items, &self.state_root);
        rlp::bytes(&mut items, &self.transactions_root);
        rlp::bytes(&mut items, &self.receipts_root);
        rlp::bytes(&mut items, &*self.logs_bloom.0);
        rlp::integer(&mut items, &self.difficulty.to_be_bytes());
        for number in [self.number, self.gas_limit, self.gas_used, self.timestamp] {
            rlp::number(&mut items, number);
        }
        rlp::bytes(&mut items, &self.extra_data);
        rlp::bytes(&mut items, &self.mix_hash);
        rlp::bytes(&mut items, &self.nonce);
        if let Some(fee) = self.base_fee_per_gas {
            rlp::integer(&mut items, &fee.to_be_bytes());
        }
        if let Some(root) = self.withdrawals_root {
            rlp::bytes(&mut items, &root);
        }
        for gas in [self.blob_gas_used, self.excess_blob_gas].into_iter().flatten() {
            rlp::number(&mut items, gas);
        }
        for root in [self.parent_beacon_block_root, self.requests_hash].into_iter().flatten() {
            rlp::bytes(&mut items, &root);
        }
        let mut out = Vec::with_capacity(items.len() + 4);
        rlp::list(&mut out, &items);
        BlockHash(Keccak256::digest(out).into())
    }
}

/// A signed permission to run an account with another account's code (EIP-7702).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The chain it is for; zero for every chain.
    pub chain_id: U256,
    /// Whose code; the zero account ends a delegation.
    pub delegate: Account,
    /// The nonce the signer must have.
    pub nonce: u64,
    /// Parity of the signature's point.
    pub y_parity: u64,
    /// First half of the signature.
    pub r: U256,
    /// Second half.
    pub s: U256,
}

/// A transaction of type 0 to 4. Fields that its type does not have are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    /// EIP-2718 type.
    pub kind: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Who signed it, as the node says.
    pub from: Account,
    /// Whom it calls; `None` creates a contract.
    pub to: Option<Account>,
    /// Wei.
    pub value: U256,
    /// The sender's transaction count before it.
    pub nonce: u64,
    /// Most gas it may use.
    pub gas: u64,
    /// Types 0 and 1: wei for each gas.
    pub gas_price: U256,
    /// Types 2 to 4.
    pub max_fee_per_gas: U256,
    /// Types 2 to 4.
    pub max_priority_fee_per_gas: U256,
    /// Type 3.
    pub max_fee_per_blob_gas: U256,
    /// Type 3.
    pub blob_versioned_hashes: Vec<[u8; 32]>,
    /// Types 1 to 4.
    pub chain_id: U256,
    /// What it calls with.
    pub input: Vec<u8>,
    /// Types 1 to 4: accounts and slots.
    pub access_list: Vec<(Account, Vec<[u8; 32]>)>,
    /// Type 4.
    pub authorizations: Vec<Authorization>,
    /// Type 0: `v`; else the parity of the signature's point.
    pub v: U256,
    /// First half of the signature.
    pub r: U256,
    /// Second half.
    pub s: U256,
}

impl Transaction {
    /// The account of the contract it creates: the last 20 bytes of the hash of sender and nonce.
    #[must_use]
    pub fn created(&self) -> Option<Account> {
        if self.to.is_some() {
            return None;
        }
        let mut items = Vec::with_capacity(32);
        rlp::bytes(&mut items, &self.from.0);
        rlp::number(&mut items, self.nonce);
        let mut out = Vec::with_capacity(33);
        rlp::list(&mut out, &items);
        let hash: [u8; 32] = Keccak256::digest(out).into();
        let (_, account) = hash.split_last_chunk::<20>()?;
        Some(Account(*account))
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Since Byzantium (EIP-658): whether it was carried out. One that was not moves nothing, but may delegate.
    Status(bool),
    /// Before Byzantium receipts say the state after it, not whether it was carried out.
    StateRoot([u8; 32]),
}

/// What a contract recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub emitter: Account,
    /// At most four.
    pub topics: Vec<[u8; 32]>,
    /// The rest.
    pub data: Vec<u8>,
    /// Its place among all logs of the block.
    pub index: u64,
}

/// What came of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Of which transaction.
    pub transaction: [u8; 32],
    /// The transaction's place in the block.
    pub index: u64,
    /// The block, as the receipt says.
    pub block: BlockHash,
    /// EIP-2718 type.
    pub kind: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Gas used by it and all before it in the block.
    pub cumulative_gas_used: u64,
    /// Bits of its logs.
    pub logs_bloom: Bloom,
    /// What was recorded.
    pub logs: Vec<Log>,
}

/// A block as a node tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The hash the node gives it.
    pub hash: BlockHash,
    /// Its header.
    pub header: BlockHeader,
    /// Its transactions, in order.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// The link to its parent.
    #[must_use]
    pub const fn link(&self) -> Header {
        Header {
            id: BlockId { height: self.header.number, hash: self.hash },
            parent: self.header.parent_hash,
            time_s: self.header.timestamp,
        }
    }
}
