//! Payloads of [`Kind::FraudAlert`](crate::Kind::FraudAlert) and [`Kind::FraudBundle`](crate::Kind::FraudBundle).

use domain::{AccountId, AlertEntity, FraudAlert, Ppm, UnixNanos};

use super::{
    RecordError,
    decision::{read_finding, write_finding},
    house::{begin, encoded},
};
use crate::cbor::{Read, Strict, Writer};

/// The payload of an alert.
#[must_use]
pub fn encode_fraud_alert(alert: &FraudAlert) -> Vec<u8> {
    encoded(10, |cbor| {
        cbor.text(&alert.id);
        match &alert.entity {
            AlertEntity::Account(account) => cbor.array(2).text("account").text(account.as_str()),
            AlertEntity::Network(network) => cbor.array(2).text("network").text(network),
        }
        .uint(alert.at.0)
        .uint(alert.entry)
        .text(&alert.kind)
        .optional(alert.score, |cbor, score| cbor.uint(score.get()))
        .optional(alert.value, Writer::amount)
        .optional(alert.expected_loss, Writer::amount)
        .array(alert.findings.len());
        alert.findings.iter().for_each(|finding| write_finding(cbor, finding));
        cbor.bytes(&alert.bundle);
    })
}

/// The alert of a payload.
///
/// # Errors
/// [`RecordError`] naming what was expected where.
pub fn decode_fraud_alert(payload: &[u8]) -> Result<FraudAlert, RecordError> {
    let mut cbor = begin(payload, 10, "a fraud alert")?;
    let id = cbor.text("an id")?.to_owned();
    let entity = entity(&mut cbor)?;
    let at = UnixNanos(cbor.u64("a time")?);
    let entry = cbor.u64("a position")?;
    let kind = cbor.text("a kind")?.to_owned();
    let score = cbor.optional(|cbor| {
        let ppm = cbor.u32("millionths")?;
        let score = Ppm::new(ppm);
        if score.get() == ppm { Ok(score) } else { Err(cbor.unexpected("at most a million millionths")) }
    })?;
    let value = cbor.optional(|cbor| cbor.amount("a value"))?;
    let expected_loss = cbor.optional(|cbor| cbor.amount("an expected loss"))?;
    let empty = cbor.unexpected("at least one finding");
    let count = cbor.list("findings")?;
    let mut findings = Vec::new();
    for _ in 0..count {
        findings.push(read_finding(&mut cbor)?);
    }
    if findings.is_empty() {
        return Err(empty.into());
    }
    let bundle = cbor.array_of_bytes("a hash of 32 bytes")?;
    cbor.end()?;
    Ok(FraudAlert { id, entity, at, entry, kind, score, value, expected_loss, findings, bundle })
}

fn entity(cbor: &mut Strict<'_>) -> Read<AlertEntity> {
    cbor.array(2, "whom it is about")?;
    let unknown = cbor.unexpected("account or network");
    Ok(match cbor.text("account or network")? {
        "account" => AlertEntity::Account(cbor.parsed("an account id", |text| AccountId::parse(text).ok())?),
        "network" => AlertEntity::Network(cbor.text("a network")?.to_owned()),
        _ => return Err(unknown),
    })
}

/// Payload of [`Kind::FraudBundle`](crate::Kind::FraudBundle): from here on the fraud engine judges by this bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FraudBundle {
    /// Which of the engine's places it takes: `active` or `challenger`.
    pub place: String,
    /// Its name; empty if the place is empty from here on.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of all of it.
    pub sha256: [u8; 32],
    /// Whether its findings have an effect; otherwise it is only watched.
    pub enforced: bool,
    /// Who had it changed, and why, in words.
    pub reason: String,
}

impl FraudBundle {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(6, |cbor| {
            cbor.text(&self.place)
                .text(&self.name)
                .text(&self.version)
                .bytes(&self.sha256)
                .bool(self.enforced)
                .text(&self.reason);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 6, "a fraud bundle")?;
        let record = Self {
            place: cbor.text("a place")?.to_owned(),
            name: cbor.text("a name")?.to_owned(),
            version: cbor.text("a version")?.to_owned(),
            sha256: cbor.array_of_bytes("a hash of 32 bytes")?,
            enforced: cbor.bool("whether it is enforced")?,
            reason: cbor.text("a reason")?.to_owned(),
        };
        cbor.end()?;
        Ok(record)
    }
}
