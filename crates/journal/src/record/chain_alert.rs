//! Payloads of [`Kind::ChainAlert`](crate::Kind::ChainAlert): what was seen on a chain, and how sure it is.

use domain::Verdict;

use super::{
    RecordError,
    house::{begin, encoded},
};

/// Payload of [`Kind::ChainAlert`](crate::Kind::ChainAlert). The same id stands in one entry for each state the alert came
/// to; after a crash an entry may stand there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainAlert {
    /// Names the alert for ever.
    pub id: String,
    /// `provisional`, `final` or `retracted`.
    pub state: String,
    /// The operator's name of the chain.
    pub chain: String,
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block: [u8; 32],
    /// Hash of the transaction; zeros: of none.
    pub transaction: [u8; 32],
    /// What was found, as a stable label.
    pub kind: String,
    /// `in` or `out`, as the subject sees it.
    pub direction: String,
    /// The address it is about.
    pub subject: Option<String>,
    /// The address on the other side.
    pub counterparty: Option<String>,
    /// The token's contract; none for the coin of the chain.
    pub asset: Option<String>,
    /// Whether the operator named the contract as genuine.
    pub asset_known: bool,
    /// How much in the smallest unit, decimal.
    pub value: String,
    /// The category the lists have it under.
    pub category: Option<String>,
    /// What the lists or the rule ask for.
    pub verdict: Verdict,
}

impl ChainAlert {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(15, |cbor| {
            cbor.text(&self.id).text(&self.state).text(&self.chain).uint(self.height);
            cbor.bytes(&self.block).bytes(&self.transaction).text(&self.kind).text(&self.direction);
            for address in [&self.subject, &self.counterparty, &self.asset] {
                cbor.optional(address.as_ref(), |cbor, address| cbor.text(address));
            }
            cbor.bool(self.asset_known).text(&self.value);
            cbor.optional(self.category.as_ref(), |cbor, category| cbor.text(category));
            cbor.text(self.verdict.as_str());
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 15, "a chain alert")?;
        let record = Self {
            id: cbor.text("an id")?.to_owned(),
            state: cbor.text("a state")?.to_owned(),
            chain: cbor.text("a chain")?.to_owned(),
            height: cbor.u64("a height")?,
            block: cbor.array_of_bytes("a hash of 32 bytes")?,
            transaction: cbor.array_of_bytes("a hash of 32 bytes")?,
            kind: cbor.text("a kind")?.to_owned(),
            direction: cbor.text("a direction")?.to_owned(),
            subject: cbor.optional(|cbor| cbor.text("an address"))?.map(str::to_owned),
            counterparty: cbor.optional(|cbor| cbor.text("an address"))?.map(str::to_owned),
            asset: cbor.optional(|cbor| cbor.text("a contract"))?.map(str::to_owned),
            asset_known: cbor.bool("whether the asset is known")?,
            value: cbor.text("a value")?.to_owned(),
            category: cbor.optional(|cbor| cbor.text("a category"))?.map(str::to_owned),
            verdict: cbor.parsed("a verdict", |text| text.parse().ok())?,
        };
        cbor.end()?;
        Ok(record)
    }
}
