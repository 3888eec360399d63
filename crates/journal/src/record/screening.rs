//! Payloads of [`Kind::Screening`](crate::Kind::Screening): who asked about which addresses and what was said, and what is said
//! otherwise since a list changed.

use domain::Verdict;

use super::{
    RecordError,
    house::{begin, encoded},
};
use crate::cbor::{Read, Strict, Writer};

/// Payload of [`Kind::Screening`](crate::Kind::Screening).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screening {
    /// Addresses were screened for somebody.
    Screened(Screened),
    /// Past transfers were scored again.
    Rescreened(Rescreened),
    /// Something is said about a past transfer, or taken back.
    Alert(TransferAlert),
    /// Money of the address of a past transfer came from, or went to, listed holders, or no longer does.
    Exposure(TransferExposure),
    /// The exposure of all past transfers was judged again.
    Exposures(ExposuresJudged),
}

/// Addresses were screened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// Names the screening.
    pub id: String,
    /// Who asked.
    pub caller: String,
    /// The caller's key, under which the same request gets the same answer.
    pub idempotency_key: Option<String>,
    /// SHA-256 of the request as it came.
    pub request: [u8; 32],
    /// How many addresses.
    pub addresses: u64,
    /// Those of this part of the request that something speaks against, and every single one that was asked about alone.
    pub found: Vec<ScreenedAddress>,
    /// Names the lists that were in force, and their states.
    pub lists: [u8; 32],
    /// The answer of a screening with a key, as it was given.
    pub answer: Option<String>,
}

/// What was said about one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenedAddress {
    /// The address as asked.
    pub address: String,
    /// The network as asked.
    pub network: Option<String>,
    /// What was asked for.
    pub verdict: Verdict,
    /// Categories it is listed under.
    pub categories: Vec<String>,
    /// Categories it is exposed to.
    pub exposed: Vec<String>,
}

/// Past transfers were scored again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescreened {
    /// Names the lists in force, and their states.
    pub lists: [u8; 32],
    /// Transfers looked at.
    pub transfers: u64,
    /// Their different addresses.
    pub addresses: u64,
    /// Alerts raised.
    pub raised: u64,
    /// Alerts taken back.
    pub retracted: u64,
    /// Addresses whose screening was answered before.
    pub answers: u64,
    /// Alerts of followed chains looked at.
    pub chain_alerts: u64,
}

/// An alert about a past transfer, an answer or an alert of a chain, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferAlert {
    /// Position of the entry spoken of; of an answer, the newest about the address.
    pub entry: u64,
    /// `deposit` or `withdrawal`, of a transfer; `answer`, of a screening; `chain_alert`, of what was seen on a chain.
    pub way: String,
    /// Which address it is about.
    pub address: String,
    /// The category that speaks against it; none retracts what was said before.
    pub category: Option<String>,
    /// What it asks for.
    pub verdict: Verdict,
    /// Names the lists by which this was found, and their states.
    pub lists: [u8; 32],
}

/// Exposure of a past transfer, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferExposure {
    /// Position of the entry spoken of; of an answer, the newest about the address.
    pub entry: u64,
    /// `deposit` or `withdrawal`, of a transfer; `answer`, of a screening; `chain_alert`, of what was seen on a chain.
    pub way: String,
    /// Which address it is about.
    pub address: String,
    /// The category the address is exposed to; none takes back what was said before.
    pub category: Option<String>,
    /// What it asks for.
    pub verdict: Verdict,
    /// The operator's name of the chain; empty where nothing is said any more.
    pub chain: String,
    /// Share of what the address received or paid, in millionths.
    pub share: u32,
    /// Fewest transfers to a listed holder.
    pub hops: u64,
    /// The listed holder at the end of the way that carries most.
    pub listed: Option<String>,
    /// Names the lists by which this was found, and their states.
    pub lists: [u8; 32],
}

/// The exposure of past transfers was judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposuresJudged {
    /// Names the lists in force, and their states.
    pub lists: [u8; 32],
    /// Addresses judged.
    pub addresses: u64,
    /// Alerts raised.
    pub raised: u64,
    /// Alerts taken back.
    pub retracted: u64,
}

impl Screening {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(1, |cbor| match self {
            Self::Screened(screened) => screened.write(cbor),
            Self::Rescreened(rescreened) => {
                cbor.array(8).text("rescreened").bytes(&rescreened.lists).uint(rescreened.transfers);
                cbor.uint(rescreened.addresses).uint(rescreened.raised).uint(rescreened.retracted);
                cbor.uint(rescreened.answers).uint(rescreened.chain_alerts);
            }
            Self::Alert(alert) => {
                cbor.array(7).text("alert").uint(alert.entry).text(&alert.way).text(&alert.address);
                cbor.optional(alert.category.as_ref(), |cbor, category| cbor.text(category));
                cbor.text(alert.verdict.as_str()).bytes(&alert.lists);
            }
            Self::Exposure(alert) => {
                cbor.array(11).text("exposure").uint(alert.entry).text(&alert.way).text(&alert.address);
                cbor.optional(alert.category.as_ref(), |cbor, category| cbor.text(category));
                cbor.text(alert.verdict.as_str()).text(&alert.chain).uint(alert.share).uint(alert.hops);
                cbor.optional(alert.listed.as_ref(), |cbor, listed| cbor.text(listed)).bytes(&alert.lists);
            }
            Self::Exposures(judged) => {
                cbor.array(5).text("exposures").bytes(&judged.lists).uint(judged.addresses);
                cbor.uint(judged.raised).uint(judged.retracted);
            }
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 1, "a screening")?;
        let fields = cbor.list("what was screened")?;
        let what = cbor.text("what was screened")?;
        let record = match (what, fields) {
            ("screened", 9) => Self::Screened(Screened::read(&mut cbor)?),
            // Shorter in entries of before answers and alerts were judged again.
            ("rescreened", 6 | 8) => Self::Rescreened(Rescreened {
                lists: cbor.array_of_bytes("a hash of 32 bytes")?,
                transfers: cbor.u64("a number of transfers")?,
                addresses: cbor.u64("a number of addresses")?,
                raised: cbor.u64("a number of alerts")?,
                retracted: cbor.u64("a number of alerts")?,
                answers: if fields == 8 { cbor.u64("a number of answers")? } else { 0 },
                chain_alerts: if fields == 8 { cbor.u64("a number of alerts")? } else { 0 },
            }),
            ("alert", 7) => Self::Alert(TransferAlert {
                entry: cbor.u64("a position")?,
                way: cbor.text("a way")?.to_owned(),
                address: cbor.text("an address")?.to_owned(),
                category: cbor.optional(|cbor| cbor.text("a category"))?.map(str::to_owned),
                verdict: cbor.parsed("a verdict", |text| text.parse().ok())?,
                lists: cbor.array_of_bytes("a hash of 32 bytes")?,
            }),
            ("exposure", 11) => Self::Exposure(TransferExposure {
                entry: cbor.u64("a position")?,
                way: cbor.text("a way")?.to_owned(),
                address: cbor.text("an address")?.to_owned(),
                category: cbor.optional(|cbor| cbor.text("a category"))?.map(str::to_owned),
                verdict: cbor.parsed("a verdict", |text| text.parse().ok())?,
                chain: cbor.text("a chain")?.to_owned(),
                share: cbor.u32("millionths")?,
                hops: cbor.u64("a number of transfers")?,
                listed: cbor.optional(|cbor| cbor.text("an address"))?.map(str::to_owned),
                lists: cbor.array_of_bytes("a hash of 32 bytes")?,
            }),
            ("exposures", 5) => Self::Exposures(ExposuresJudged {
                lists: cbor.array_of_bytes("a hash of 32 bytes")?,
                addresses: cbor.u64("a number of addresses")?,
                raised: cbor.u64("a number of alerts")?,
                retracted: cbor.u64("a number of alerts")?,
            }),
            _ => return Err(cbor.unexpected("what was screened").into()),
        };
        cbor.end()?;
        Ok(record)
    }
}

impl Screened {
    fn write(&self, cbor: &mut Writer<'_>) {
        cbor.array(9).text("screened").text(&self.id).text(&self.caller);
        cbor.optional(self.idempotency_key.as_ref(), |cbor, key| cbor.text(key));
        cbor.bytes(&self.request).uint(self.addresses).array(self.found.len());
        for found in &self.found {
            cbor.array(5).text(&found.address);
            cbor.optional(found.network.as_ref(), |cbor, network| cbor.text(network));
            cbor.text(found.verdict.as_str());
            for categories in [&found.categories, &found.exposed] {
                cbor.array(categories.len());
                for category in categories {
                    cbor.text(category);
                }
            }
        }
        cbor.bytes(&self.lists);
        cbor.optional(self.answer.as_ref(), |cbor, answer| cbor.text(answer));
    }

    fn read(cbor: &mut Strict<'_>) -> Read<Self> {
        Ok(Self {
            id: cbor.text("an id")?.to_owned(),
            caller: cbor.text("a caller")?.to_owned(),
            idempotency_key: cbor.optional(|cbor| cbor.text("a key"))?.map(str::to_owned),
            request: cbor.array_of_bytes("a hash of 32 bytes")?,
            addresses: cbor.u64("a number of addresses")?,
            found: (0..cbor.list("addresses")?).map(|_| ScreenedAddress::read(cbor)).collect::<Read<_>>()?,
            lists: cbor.array_of_bytes("a hash of 32 bytes")?,
            answer: cbor.optional(|cbor| cbor.text("an answer"))?.map(str::to_owned),
        })
    }
}

impl ScreenedAddress {
    fn read(cbor: &mut Strict<'_>) -> Read<Self> {
        cbor.array(5, "a screened address")?;
        let address = cbor.text("an address")?.to_owned();
        let network = cbor.optional(|cbor| cbor.text("a network"))?.map(str::to_owned);
        let verdict = cbor.parsed("a verdict", |text| text.parse().ok())?;
        let mut categories = || -> Read<Vec<String>> {
            (0..cbor.list("categories")?).map(|_| Ok(cbor.text("a category")?.to_owned())).collect()
        };
        Ok(Self { address, network, verdict, categories: categories()?, exposed: categories()? })
    }
}
