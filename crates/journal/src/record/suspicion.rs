//! Payloads of [`Kind::Suspicion`](crate::Kind::Suspicion): what a model thinks of an address of a followed chain, and when it, or
//! somebody, takes that back.

use super::{
    RecordError,
    house::{begin, encoded},
};
use crate::cbor::{Read, Strict};

/// Payload of [`Kind::Suspicion`](crate::Kind::Suspicion).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// Addresses of a chain are judged by another model from here on.
    Model(SuspicionModel),
    /// An address is suspected.
    Raised(SuspicionRaised),
    /// It is suspected no longer.
    Withdrawn(SuspicionWithdrawn),
}

/// By which model the addresses of a chain are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspicionModel {
    /// The operator's name of the chain.
    pub chain: String,
    /// SHA-256 of the model's file; none: no model judges from here on.
    pub model: Option<[u8; 32]>,
    /// The name on its card.
    pub name: String,
    /// The version on its card.
    pub version: String,
}

/// An address is suspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspicionRaised {
    /// The operator's name of the chain.
    pub chain: String,
    /// The address.
    pub address: String,
    /// SHA-256 of the model's file.
    pub model: [u8; 32],
    /// How sure the model is, in millionths.
    pub probability: u32,
    /// Height of the block with the transaction after which it was suspected.
    pub height: u64,
    /// Hash of that block; zeros where a recording does not tell.
    pub block: [u8; 32],
    /// That transaction; zeros where a recording does not tell.
    pub transaction: [u8; 32],
    /// How many transactions of it the model had seen.
    pub transactions: u64,
    /// What raised the score, as sentences, the most first.
    pub reasons: Vec<String>,
}

/// An address is suspected no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspicionWithdrawn {
    /// The operator's name of the chain.
    pub chain: String,
    /// The address.
    pub address: String,
    /// Why: `analyst`, `model` or `reorganisation`.
    pub why: String,
    /// Which person, if it was one.
    pub by: Option<String>,
    /// That person's words; empty otherwise.
    pub reason: String,
}

impl Suspicion {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(1, |cbor| match self {
            Self::Model(model) => {
                cbor.array(5).text("model").text(&model.chain);
                cbor.optional(model.model.as_ref(), |cbor, digest| cbor.bytes(digest));
                cbor.text(&model.name).text(&model.version);
            }
            Self::Raised(raised) => {
                cbor.array(10).text("raised").text(&raised.chain).text(&raised.address).bytes(&raised.model);
                cbor.uint(raised.probability).uint(raised.height).bytes(&raised.block);
                cbor.bytes(&raised.transaction).uint(raised.transactions).array(raised.reasons.len());
                for reason in &raised.reasons {
                    cbor.text(reason);
                }
            }
            Self::Withdrawn(withdrawn) => {
                cbor.array(6).text("withdrawn").text(&withdrawn.chain).text(&withdrawn.address);
                cbor.text(&withdrawn.why);
                cbor.optional(withdrawn.by.as_ref(), |cbor, by| cbor.text(by)).text(&withdrawn.reason);
            }
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 1, "a suspicion")?;
        let fields = cbor.list("what became of a suspicion")?;
        let what = cbor.text("what became of a suspicion")?;
        let record = match (what, fields) {
            ("model", 5) => Self::Model(SuspicionModel {
                chain: cbor.text("a chain")?.to_owned(),
                model: cbor.optional(|cbor| cbor.array_of_bytes("a hash of 32 bytes"))?,
                name: cbor.text("a name")?.to_owned(),
                version: cbor.text("a version")?.to_owned(),
            }),
            ("raised", 10) => Self::Raised(raised(&mut cbor)?),
            ("withdrawn", 6) => Self::Withdrawn(SuspicionWithdrawn {
                chain: cbor.text("a chain")?.to_owned(),
                address: cbor.text("an address")?.to_owned(),
                why: cbor.text("a cause")?.to_owned(),
                by: cbor.optional(|cbor| cbor.text("a person"))?.map(str::to_owned),
                reason: cbor.text("a reason")?.to_owned(),
            }),
            _ => return Err(cbor.unexpected("what became of a suspicion").into()),
        };
        cbor.end()?;
        Ok(record)
    }
}

fn raised(cbor: &mut Strict<'_>) -> Read<SuspicionRaised> {
    Ok(SuspicionRaised {
        chain: cbor.text("a chain")?.to_owned(),
        address: cbor.text("an address")?.to_owned(),
        model: cbor.array_of_bytes("a hash of 32 bytes")?,
        probability: cbor.u32("millionths")?,
        height: cbor.u64("a height")?,
        block: cbor.array_of_bytes("a hash of 32 bytes")?,
        transaction: cbor.array_of_bytes("a hash of 32 bytes")?,
        transactions: cbor.u64("a number of transactions")?,
        reasons: (0..cbor.list("reasons")?)
            .map(|_| Ok(cbor.text("a reason")?.to_owned()))
            .collect::<Read<_>>()?,
    })
}
