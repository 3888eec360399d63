//! Bytes of blocks and transactions.

use crypto::sha256;

use super::{BLOCK_BYTES_MAX, MONEY_MAX};
use crate::headers::{BlockHash, BlockId, Header};

/// Bytes of a header.
const HEADER_BYTES: usize = 80;

/// Why bytes are not the block they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Two neighbours in the Merkle tree are the same, by which a block can be imitated (CVE-2012-2459).
    #[error("two neighbouring transactions are the same, from transaction {index} on")]
    DuplicateTransactions {
        /// The first of them, or of the branch under which they are.
        index: usize,
    },
    /// The bytes end too early, are too many, or a number is not written in its shortest form.
    #[error("transaction {transaction}: byte {position}: {what}")]
    Form {
        /// In which transaction, from 0; those before it are sound.
        transaction: usize,
        /// Byte, within the transaction where one is given alone, else within the block.
        position: usize,
        /// What should be there.
        what: &'static str,
    },
    /// The hash is above the target that the header names.
    #[error("block {0} does not meet the target it names")]
    NoWork(BlockHash),
    /// The header has another hash than it was asked for by.
    #[error("asked for block {asked}, the header has the hash {got}")]
    OtherBlock {
        /// Asked for.
        asked: BlockHash,
        /// The header's.
        got: BlockHash,
    },
    /// More than [`BLOCK_BYTES_MAX`].
    #[error("the block has {0} bytes, more than any can have")]
    TooLong(usize),
    /// The transactions are not those the header commits to.
    #[error("the transactions do not have the Merkle root that the header of block {0} says")]
    MerkleRootMismatch(BlockHash),
}

impl BlockError {
    /// Stable name, for counting.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::DuplicateTransactions { .. } => "duplicate_transactions",
            Self::Form { .. } => "form",
            Self::NoWork(_) => "no_work",
            Self::OtherBlock { .. } => "other_block",
            Self::TooLong(_) => "too_long",
            Self::MerkleRootMismatch(_) => "merkle_root_mismatch",
        }
    }
}

/// The header of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Its hash.
    pub hash: BlockHash,
    /// The hash of the block before it.
    pub parent: BlockHash,
    /// What it commits to its transactions with, in the order of storage.
    merkle_root: [u8; 32],
    /// Seconds since 1970, as its miner says.
    pub time_s: u32,
    /// The target, in its short form.
    pub bits: u32,
}

impl BlockHeader {
    /// Of 80 bytes.
    #[must_use]
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let word = |at: usize| -> [u8; 32] {
            bytes.get(at..at + 32).and_then(|part| part.try_into().ok()).unwrap_or_default()
        };
        let number = |at: usize| -> u32 {
            bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
        };
        Self {
            hash: BlockHash(reversed(twice(bytes))),
            parent: BlockHash(reversed(word(4))),
            merkle_root: word(36),
            time_s: number(68),
            bits: number(72),
        }
    }

    /// The link to its parent, at a height that only the chain knows.
    #[must_use]
    pub fn link(&self, height: u64) -> Header {
        Header {
            id: BlockId { height, hash: self.hash },
            parent: self.parent,
            time_s: u64::from(self.time_s),
        }
    }

    /// Whether the hash is as small as the header says it has to be.
    #[must_use]
    pub fn has_work(&self) -> bool {
        let (exponent, mantissa) = ((self.bits >> 24) as usize, self.bits & 0x00ff_ffff);
        // A set sign bit is a negative target, which nothing meets.
        if mantissa == 0 || mantissa > 0x7f_ffff || !(3..=32).contains(&exponent) {
            return false;
        }
        let mut target = [0u8; 32];
        let [_, high, middle, low] = mantissa.to_be_bytes();
        for (place, byte) in (32 - exponent..).zip([high, middle, low]) {
            if let Some(slot) = target.get_mut(place) {
                *slot = byte;
            }
        }
        self.hash.0 <= target
    }
}

/// What an input spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutPoint {
    /// Of which transaction.
    pub transaction: [u8; 32],
    /// Which of its outputs.
    pub index: u32,
}

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// What it spends; new coins spend nothing (all zeros).
    pub spends: OutPoint,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Satoshi.
    pub value: u64,
    /// What has to be shown to spend it.
    pub script: Vec<u8>,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its id, without witnesses.
    pub id: [u8; 32],
    /// What it takes.
    pub inputs: Vec<Input>,
    /// What it gives.
    pub outputs: Vec<Output>,
}

impl Transaction {
    /// Whether it makes new coins.
    #[must_use]
    pub fn is_coinbase(&self) -> bool {
        let nothing = OutPoint { transaction: [0; 32], index: u32::MAX };
        matches!(self.inputs.as_slice(), [Input { spends }] if *spends == nothing)
    }
}

/// A block whose parts belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    header: BlockHeader,
    transactions: Vec<Transaction>,
}

impl Block {
    /// From all its bytes.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn parse(asked: BlockHash, bytes: &[u8]) -> Result<Self, BlockError> {
        if bytes.len() > BLOCK_BYTES_MAX {
            return Err(BlockError::TooLong(bytes.len()));
        }
        let mut cursor = Cursor { bytes, position: 0, transaction: 0 };
        let header = BlockHeader::parse(cursor.array("a header")?);
        let n_transactions = cursor.count(60, "a number of transactions")?;
        let mut transactions = Vec::with_capacity(n_transactions);
        for index in 0..n_transactions {
            cursor.transaction = index;
            transactions.push(cursor.transaction()?);
        }
        cursor.end()?;
        Self::proven(asked, header, transactions)
    }

    /// From its header and its transactions, each as bytes.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn from_parts<'t>(
        asked: BlockHash,
        header: &[u8; HEADER_BYTES],
        transactions: impl Iterator<Item = &'t [u8]>,
    ) -> Result<Self, BlockError> {
        let mut parsed = Vec::new();
        let mut bytes_in_all = HEADER_BYTES;
        for (transaction, bytes) in transactions.enumerate() {
            bytes_in_all = bytes_in_all.saturating_add(bytes.len());
            if bytes_in_all > BLOCK_BYTES_MAX {
                return Err(BlockError::TooLong(bytes_in_all));
            }
            let mut cursor = Cursor { bytes, position: 0, transaction };
            parsed.push(cursor.transaction()?);
            cursor.end()?;
        }
        Self::proven(asked, BlockHeader::parse(header), parsed)
    }

    fn proven(
        asked: BlockHash,
        header: BlockHeader,
        transactions: Vec<Transaction>,
    ) -> Result<Self, BlockError> {
        if header.hash != asked {
            return Err(BlockError::OtherBlock { asked, got: header.hash });
        }
        if !header.has_work() {
            return Err(BlockError::NoWork(asked));
        }
        if merkle_root(&transactions)? != header.merkle_root {
            return Err(BlockError::MerkleRootMismatch(asked));
        }
        Ok(Self { header, transactions })
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// Its transactions, in order.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction] {
        &self.transactions
    }
}

/// The root over the transactions' ids: pairs are hashed, the last one without a neighbour with itself.
fn merkle_root(transactions: &[Transaction]) -> Result<[u8; 32], BlockError> {
    let mut level: Vec<[u8; 32]> = transactions.iter().map(|transaction| reversed(transaction.id)).collect();
    let mut width = 1;
    while level.len() > 1 {
        let mut above = Vec::with_capacity(level.len().div_ceil(2));
        for (place, pair) in level.chunks(2).enumerate() {
            above.push(match pair {
                [left, right] if left == right => {
                    return Err(BlockError::DuplicateTransactions { index: 2 * place * width });
                }
                [left, right] => twice_parts(left, right),
                [alone] => twice_parts(alone, alone),
                _ => [0; 32],
            });
        }
        level = above;
        width *= 2;
    }
    Ok(level.first().copied().unwrap_or_default())
}

fn twice(bytes: &[u8]) -> [u8; 32] {
    sha256(&[&sha256(&[bytes])])
}

fn twice_parts(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&sha256(&[left, right])])
}

fn reversed(mut hash: [u8; 32]) -> [u8; 32] {
    hash.reverse();
    hash
}

/// Reads bytes one after the other.
struct Cursor<'b> {
    bytes: &'b [u8],
    position: usize,
    transaction: usize,
}

impl<'b> Cursor<'b> {
    const fn fault(&self, what: &'static str) -> BlockError {
        BlockError::Form { transaction: self.transaction, position: self.position, what }
    }

    fn take(&mut self, n: usize, what: &'static str) -> Result<&'b [u8], BlockError> {
        let end = self.position.checked_add(n).ok_or_else(|| self.fault(what))?;
        let taken = self.bytes.get(self.position..end).ok_or_else(|| self.fault(what))?;
        self.position = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<&'b [u8; N], BlockError> {
        let fault = self.fault(what);
        self.take(N, what)?.try_into().map_err(|_| fault)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, BlockError> {
        Ok(u32::from_le_bytes(*self.array(what)?))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, BlockError> {
        Ok(u64::from_le_bytes(*self.array(what)?))
    }

    /// A number of variable length in its shortest form.
    fn number(&mut self, what: &'static str) -> Result<u64, BlockError> {
        let fault = self.fault("a number in its shortest form");
        let [first] = *self.array(what)?;
        let (value, least) = match first {
            0xfd => (u64::from(u16::from_le_bytes(*self.array(what)?)), 0xfd),
            0xfe => (u64::from(self.u32(what)?), 0x1_0000),
            0xff => (self.u64(what)?, 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        if value >= least { Ok(value) } else { Err(fault) }
    }

    /// How many items of at least `bytes_min` bytes follow; never more than there is room for.
    fn count(&mut self, bytes_min: usize, what: &'static str) -> Result<usize, BlockError> {
        let fault = self.fault(what);
        let n = usize::try_from(self.number(what)?).map_err(|_| fault.clone())?;
        let left = self.bytes.len() - self.position;
        if n <= left / bytes_min { Ok(n) } else { Err(fault) }
    }

    fn end(&self) -> Result<(), BlockError> {
        if self.position == self.bytes.len() { Ok(()) } else { Err(self.fault("nothing more")) }
    }

    fn transaction(&mut self) -> Result<Transaction, BlockError> {
        let version = self.array::<4>("a version")?;
        let mut body = self.position;
        // No inputs would be no transaction: the zero marks one with witnesses, and a one follows (BIP 144).
        let has_witness = self.bytes.get(self.position..).is_some_and(|rest| rest.starts_with(&[0, 1]));
        if has_witness {
            self.take(2, "a marker")?;
            body = self.position;
        }
        let n_inputs = self.count(41, "a number of inputs")?;
        if n_inputs == 0 {
            return Err(self.fault("an input"));
        }
        let mut inputs = Vec::with_capacity(n_inputs);
        for _ in 0..n_inputs {
            let spends = OutPoint {
                transaction: reversed(*self.array("a transaction's id")?),
                index: self.u32("the number of an output")?,
            };
            let script = self.count(1, "the length of a script")?;
            self.take(script, "a script")?;
            self.take(4, "a sequence number")?;
            inputs.push(Input { spends });
        }
        let n_outputs = self.count(9, "a number of outputs")?;
        let mut outputs = Vec::with_capacity(n_outputs);
        for _ in 0..n_outputs {
            let fault = self.fault("an amount that can exist");
            let value = self.u64("an amount")?;
            if value > MONEY_MAX {
                return Err(fault);
            }
            let script = self.count(1, "the length of a script")?;
            outputs.push(Output { value, script: self.take(script, "a script")?.to_vec() });
        }
        let body = self.bytes.get(body..self.position).unwrap_or_default();
        if has_witness {
            for _ in 0..n_inputs {
                let items = self.count(1, "a number of witness items")?;
                for _ in 0..items {
                    let len = self.count(1, "the length of a witness item")?;
                    self.take(len, "a witness item")?;
                }
            }
        }
        let lock_time = self.array::<4>("a lock time")?;
        let id = reversed(sha256(&[&sha256(&[version, body, lock_time])]));
        Ok(Transaction { id, inputs, outputs })
    }
}
