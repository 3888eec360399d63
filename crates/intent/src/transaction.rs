//! Transactions as a signer is handed them: unsigned, or signed already.
//!
//! Types 0 (legacy, with or without EIP-155), 1 (EIP-2930), 2 (EIP-1559), 3 (EIP-4844, with or without its blobs) and
//! 4 (EIP-7702). Every encoding has one spelling; anything behind its end, an unknown type or an unknown number of
//! fields is refused. A signature is recovered, never believed: a signed transaction says itself who sends it.
//!
//! Bounds: [`BYTES_MAX`] of text, [`AUTHORIZATIONS_MAX`] authorizations, [`ACCESS_LIST_MAX`] accounts and slots.

use chain::{
    evm::{Account, Authorization, Transaction},
    u256::U256,
};
use sha3::{Digest as _, Keccak256};

use crate::rlp::{self, Items, RlpError};

/// Longest transaction read, in bytes. Nodes relay 128 KiB; blobs travel beside, six of 128 KiB each.
pub const BYTES_MAX: usize = 1 << 20;
/// Most authorizations of a transaction of type 4. Each costs 25,000 gas, so a block holds about as many.
pub const AUTHORIZATIONS_MAX: usize = 2_048;
/// Most accounts and slots of an access list together. Each costs 1,900 gas or more.
pub const ACCESS_LIST_MAX: usize = 32_768;

/// Half of the order of secp256k1: a larger `s` is the same signature written the other way, which EIP-2 forbids.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Why bytes are no transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// A signature that is nobody's, or written in the form EIP-2 forbids.
    #[error("the signature is nobody's")]
    BadSignature,
    /// A number of fields that no transaction of the type has.
    #[error("a transaction of type {kind} does not have {count} fields")]
    FieldCount {
        /// EIP-2718 type.
        kind: u8,
        /// How many there are.
        count: usize,
    },
    /// Bytes that are no canonical encoding.
    #[error("field {field}: {source}")]
    Malformed {
        /// Which field.
        field: &'static str,
        /// What is wrong.
        source: RlpError,
    },
    /// Nothing.
    #[error("the transaction is empty")]
    Nothing,
    /// More than [`BYTES_MAX`], or lists longer than their bounds.
    #[error("the {what} exceeds {max}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its bound.
        max: usize,
    },
    /// A type that is not known.
    #[error("a transaction of type {0:#04x} is not known")]
    UnknownType(u8),
}

/// A transaction and what its encoding says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The transaction. Its sender is [`Envelope::signer`], or the zero account if it is not signed.
    pub transaction: Transaction,
    /// Who signed it, recovered from the signature; `None` if it is not signed.
    pub signer: Option<Account>,
    /// What a signature of it signs.
    pub signing_hash: [u8; 32],
    /// For which chain; `None` for every chain (legacy without EIP-155).
    pub chain_id: Option<U256>,
}

impl Envelope {
    /// Whether it carries a signature.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.signer.is_some()
    }
}

/// Reads a transaction, unsigned or signed.
///
/// # Errors
/// [`TransactionError`], the first fault found.
pub fn decode(bytes: &[u8]) -> Result<Envelope, TransactionError> {
    if bytes.len() > BYTES_MAX {
        return Err(TransactionError::TooLarge { what: "length in bytes", max: BYTES_MAX });
    }
    let first = *bytes.first().ok_or(TransactionError::Nothing)?;
    let (kind, body, at) = match first {
        0xc0..=0xff => (0, bytes, 0),
        1..=4 => (first, bytes.get(1..).unwrap_or(&[]), 1),
        other => return Err(TransactionError::UnknownType(other)),
    };
    let mut outer = Items::new(body, at);
    let mut fields = outer.list().map_err(|source| TransactionError::Malformed { field: "list", source })?;
    outer.end().map_err(|source| TransactionError::Malformed { field: "end", source })?;
    if kind == 3
        && let Ok(first) = Items::clone(&fields).item()
        && first.is_list()
    {
        // As it is sent to a node: the transaction, then (a version and) blobs, commitments and proofs.
        fields =
            first.list().map_err(|source| TransactionError::Malformed { field: "transaction", source })?;
    }
    Reader::new(kind, fields)?.read()
}

/// The fields of a transaction, read in order; keeps the bytes of those that are signed.
struct Reader<'b> {
    kind: u8,
    items: Items<'b>,
    field: &'static str,
    count: usize,
}

impl<'b> Reader<'b> {
    fn new(kind: u8, items: Items<'b>) -> Result<Self, TransactionError> {
        let mut count = 0;
        let mut ahead = items;
        while !ahead.is_empty() {
            ahead.item().map_err(|source| TransactionError::Malformed { field: "list", source })?;
            count += 1;
            if count > 16 {
                break;
            }
        }
        Ok(Self { kind, items, field: "", count })
    }

    /// Reads one field, naming it for the error.
    fn take<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Items<'b>) -> Result<T, RlpError>,
    ) -> Result<T, TransactionError> {
        self.field = field;
        read(&mut self.items).map_err(|source| TransactionError::Malformed { field, source })
    }

    fn read(mut self) -> Result<Envelope, TransactionError> {
        let start = self.items;
        let mut tx = Transaction { kind: u64::from(self.kind), ..Transaction::default() };
        let unsigned = match self.kind {
            0 => 6,
            1 => 8,
            2 => 9,
            3 => 11,
            _ => 10,
        };
        // Only EIP-155 signs three further fields, of which two are empty.
        let is_signed = match self.count.checked_sub(unsigned) {
            Some(0) => false,
            Some(3) => true,
            _ => return Err(TransactionError::FieldCount { kind: self.kind, count: self.count }),
        };
        if self.kind > 0 {
            tx.chain_id = self.take("chain id", Items::integer)?;
        }
        tx.nonce = self.take("nonce", Items::number)?;
        if self.kind < 2 {
            tx.gas_price = self.take("gas price", Items::integer)?;
        } else {
            tx.max_priority_fee_per_gas = self.take("max priority fee per gas", Items::integer)?;
            tx.max_fee_per_gas = self.take("max fee per gas", Items::integer)?;
        }
        tx.gas = self.take("gas limit", Items::number)?;
        tx.to = if self.kind < 3 {
            self.take("to", Items::account_or_none)?
        } else {
            Some(self.take("to", Items::account)?)
        };
        tx.value = self.take("value", Items::integer)?;
        tx.input = self.take("data", Items::bytes)?.to_vec();
        if self.kind > 0 {
            let list = self.take("access list", Items::list)?;
            tx.access_list = access_list(list)?;
        }
        if self.kind == 3 {
            tx.max_fee_per_blob_gas = self.take("max fee per blob gas", Items::integer)?;
            let mut hashes = self.take("blob hashes", Items::list)?;
            while !hashes.is_empty() {
                if tx.blob_versioned_hashes.len() == ACCESS_LIST_MAX {
                    return Err(TransactionError::TooLarge { what: "number of blobs", max: ACCESS_LIST_MAX });
                }
                let hash = hashes
                    .array("hash of 32 bytes")
                    .map_err(|source| TransactionError::Malformed { field: "blob hashes", source })?;
                tx.blob_versioned_hashes.push(hash);
            }
        }
        if self.kind == 4 {
            let list = self.take("authorization list", Items::list)?;
            tx.authorizations = authorizations(list)?;
        }
        let mut signed = raw(start, unsigned);
        let mut chain_id = (self.kind > 0).then_some(tx.chain_id);
        let mut parity = None;
        if is_signed {
            tx.v = self.take("signature", Items::integer)?;
            tx.r = self.take("signature", Items::integer)?;
            tx.s = self.take("signature", Items::integer)?;
            if self.kind == 0 {
                let v = legacy_v(&tx)?;
                chain_id = v.chain_id;
                parity = v.parity;
                if parity.is_none() {
                    // It was the chain id, in the place of a signature.
                    tx.v = U256::ZERO;
                }
                if let Some(id) = chain_id {
                    tx.chain_id = id;
                    rlp::put_integer(&mut signed, id);
                    signed.extend([0x80, 0x80]);
                }
            } else {
                parity = Some(match tx.v.to_u64() {
                    Some(0) => false,
                    Some(1) => true,
                    _ => return Err(TransactionError::BadSignature),
                });
            }
        }
        let mut message = Vec::with_capacity(signed.len() + 8);
        if self.kind > 0 {
            message.push(self.kind);
        }
        rlp::put_list(&mut message, &signed);
        let signing_hash: [u8; 32] = Keccak256::digest(&message).into();
        let signer = parity.map(|parity| signer(&signing_hash, &tx, parity)).transpose()?;
        tx.from = signer.unwrap_or_default();
        if signer.is_some() {
            let mut whole = Vec::with_capacity(message.len() + 72);
            if self.kind > 0 {
                whole.push(self.kind);
            }
            rlp::put_list(&mut whole, &raw(start, unsigned + 3));
            tx.hash = Keccak256::digest(whole).into();
        }
        Ok(Envelope { transaction: tx, signer, signing_hash, chain_id })
    }
}

/// The bytes of the first items.
fn raw(mut items: Items<'_>, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..count {
        // They were read before.
        if let Ok(item) = items.item() {
            out.extend_from_slice(item.whole);
        }
    }
    out
}

/// What the first signature field of a legacy transaction says.
struct LegacyV {
    chain_id: Option<U256>,
    /// `None`: not signed, the field is the chain id and the two others are empty (EIP-155).
    parity: Option<bool>,
}

fn legacy_v(tx: &Transaction) -> Result<LegacyV, TransactionError> {
    if tx.r.is_zero() && tx.s.is_zero() {
        if tx.v.is_zero() {
            return Err(TransactionError::BadSignature);
        }
        return Ok(LegacyV { chain_id: Some(tx.v), parity: None });
    }
    match tx.v.to_u64() {
        Some(v @ (27 | 28)) => Ok(LegacyV { chain_id: None, parity: Some(v == 28) }),
        Some(v @ 35..) => {
            Ok(LegacyV { chain_id: Some(U256::from((v - 35) / 2)), parity: Some((v - 35) % 2 == 1) })
        }
        _ => Err(TransactionError::BadSignature),
    }
}

fn signer(hash: &[u8; 32], tx: &Transaction, parity: bool) -> Result<Account, TransactionError> {
    if tx.s > U256::from_be_bytes(HALF_ORDER) {
        return Err(TransactionError::BadSignature);
    }
    let key = crypto::secp256k1_recover(hash, &tx.r.to_be_bytes(), &tx.s.to_be_bytes(), parity)
        .ok_or(TransactionError::BadSignature)?;
    let digest: [u8; 32] = Keccak256::digest(key).into();
    let (_, account) = digest.split_last_chunk::<20>().ok_or(TransactionError::BadSignature)?;
    Ok(Account(*account))
}

/// Accounts, each with slots.
type AccessList = Vec<(Account, Vec<[u8; 32]>)>;

fn access_list(mut list: Items<'_>) -> Result<AccessList, TransactionError> {
    let fault = |source| TransactionError::Malformed { field: "access list", source };
    let full = TransactionError::TooLarge { what: "access list", max: ACCESS_LIST_MAX };
    let mut out = Vec::new();
    let mut total = 0usize;
    while !list.is_empty() {
        let mut entry = list.list().map_err(fault)?;
        let account = entry.account().map_err(fault)?;
        let mut slots = entry.list().map_err(fault)?;
        entry.end().map_err(fault)?;
        let mut keys = Vec::new();
        total += 1;
        while !slots.is_empty() {
            total += 1;
            if total > ACCESS_LIST_MAX {
                return Err(full);
            }
            keys.push(slots.array("slot of 32 bytes").map_err(fault)?);
        }
        if total > ACCESS_LIST_MAX {
            return Err(full);
        }
        out.push((account, keys));
    }
    Ok(out)
}

fn authorizations(mut list: Items<'_>) -> Result<Vec<Authorization>, TransactionError> {
    let fault = |source| TransactionError::Malformed { field: "authorization list", source };
    let mut out = Vec::new();
    while !list.is_empty() {
        if out.len() == AUTHORIZATIONS_MAX {
            return Err(TransactionError::TooLarge { what: "authorization list", max: AUTHORIZATIONS_MAX });
        }
        let mut entry = list.list().map_err(fault)?;
        out.push(Authorization {
            chain_id: entry.integer().map_err(fault)?,
            delegate: entry.account().map_err(fault)?,
            nonce: entry.number().map_err(fault)?,
            y_parity: entry.number().map_err(fault)?,
            r: entry.integer().map_err(fault)?,
            s: entry.integer().map_err(fault)?,
        });
        entry.end().map_err(fault)?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
