//! Payloads the platform writes about itself.

use std::net::IpAddr;

use domain::AccountId;
use keyring::Pseudonym;

use super::RecordError;
use crate::{
    cbor::{Strict, Writer},
    entry::Kind,
};

const VERSION: u64 = 1;

/// Begins reading a payload of `fields` fields after its version.
pub(super) fn begin<'b>(
    payload: &'b [u8],
    fields: usize,
    what: &'static str,
) -> Result<Strict<'b>, RecordError> {
    let mut cbor = Strict::new(payload);
    cbor.array(fields + 1, what)?;
    if cbor.u64("a version")? == VERSION { Ok(cbor) } else { Err(cbor.unexpected("version 1").into()) }
}

pub(super) fn encoded(fields: usize, write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    let mut cbor = Writer::new(&mut out);
    cbor.array(fields + 1).uint(VERSION);
    write(&mut cbor);
    out
}

/// Payload of [`Kind::Refusals`]: what was refused to one source in one second, so that a flood is one entry and not
/// one per packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// From where.
    pub ip: IpAddr,
    /// Why, as the stable label of the refusing check.
    pub reason: String,
    /// Whose account, if it was known by then.
    pub account: Option<AccountId>,
    /// The second, since 1970.
    pub second: u64,
    /// How many.
    pub count: u64,
}

impl Refusals {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(5, |cbor| {
            cbor.ip(self.ip)
                .text(&self.reason)
                .optional(self.account.as_ref(), |cbor, account| cbor.text(account.as_str()))
                .uint(self.second)
                .uint(self.count);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 5, "refusals")?;
        let refusals = Self {
            ip: cbor.ip("an IP address")?,
            reason: cbor.text("a reason")?.to_owned(),
            account: cbor
                .optional(|cbor| cbor.parsed("an account id", |text| AccountId::parse(text).ok()))?,
            second: cbor.u64("a second")?,
            count: cbor.u64("a count")?,
        };
        cbor.end()?;
        Ok(refusals)
    }
}

/// Payload of [`Kind::ListImported`]: a label list now has this content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListImported {
    /// Name of the list; an import replaces what an earlier one under this name brought.
    pub name: String,
    /// Format it was read in.
    pub format: String,
    /// SHA-256 of what was imported.
    pub sha256: [u8; 32],
    /// Entries it brought.
    pub entries: u64,
    /// Where it came from, in words.
    pub source: String,
}

impl ListImported {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(5, |cbor| {
            cbor.text(&self.name)
                .text(&self.format)
                .bytes(&self.sha256)
                .uint(self.entries)
                .text(&self.source);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 5, "a list import")?;
        let imported = Self {
            name: cbor.text("a list name")?.to_owned(),
            format: cbor.text("a list format")?.to_owned(),
            sha256: cbor.array_of_bytes("a SHA-256 digest")?,
            entries: cbor.u64("a number of entries")?,
            source: cbor.text("a source")?.to_owned(),
        };
        cbor.end()?;
        Ok(imported)
    }
}

/// Payload of [`Kind::ListRemoved`]: a label list is no longer in force, and nothing it named counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRemoved {
    /// Name of the list.
    pub name: String,
    /// Why, in the operator's words.
    pub reason: String,
}

impl ListRemoved {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(2, |cbor| {
            cbor.text(&self.name).text(&self.reason);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 2, "the end of a list")?;
        let removed =
            Self { name: cbor.text("a list name")?.to_owned(), reason: cbor.text("a reason")?.to_owned() };
        cbor.end()?;
        Ok(removed)
    }
}

/// Payload of [`Kind::SubjectErased`]: the key of this pseudonym was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectErased {
    /// Whose; the only name the subject still has.
    pub pseudonym: Pseudonym,
}

impl SubjectErased {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(1, |cbor| {
            cbor.bytes(&self.pseudonym.0);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 1, "an erasure")?;
        let pseudonym = Pseudonym(cbor.array_of_bytes("a pseudonym of 16 bytes")?);
        cbor.end()?;
        Ok(Self { pseudonym })
    }
}

/// Payload of [`Kind::KekRotated`]: the key table is now wrapped under another KEK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KekRotated {
    /// Version before.
    pub from: u32,
    /// Version now.
    pub to: u32,
    /// Slots rewrapped; fewer than all when a crash had interrupted the rotation.
    pub rows: u64,
}

impl KekRotated {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(3, |cbor| {
            cbor.uint(self.from).uint(self.to).uint(self.rows);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 3, "a rotation")?;
        let rotated = Self {
            from: cbor.u32("a KEK version")?,
            to: cbor.u32("a KEK version")?,
            rows: cbor.u64("a number of rows")?,
        };
        cbor.end()?;
        Ok(rotated)
    }
}

/// Payload of [`Kind::BackupDrill`]: a backup was restored into an empty place and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupDrill {
    /// Whether everything agreed.
    pub ok: bool,
    /// Entries restored.
    pub size: u64,
    /// Merkle root over them.
    pub root: [u8; 32],
    /// Entries by kind, each kind at most once, in ascending order of its number.
    pub entries: Vec<(Kind, u64)>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What differed or was noteworthy, in words.
    pub detail: String,
}

impl BackupDrill {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(6, |cbor| {
            cbor.bool(self.ok).uint(self.size).bytes(&self.root).array(self.entries.len());
            for (kind, count) in &self.entries {
                cbor.array(2).uint(kind.code()).uint(*count);
            }
            cbor.uint(self.took_ms).text(&self.detail);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 6, "a drill")?;
        let ok = cbor.bool("whether it succeeded")?;
        let size = cbor.u64("a number of entries")?;
        let root = cbor.array_of_bytes("a Merkle root")?;
        let count = cbor.list("numbers of entries by kind")?;
        let mut entries: Vec<(Kind, u64)> = Vec::new();
        for _ in 0..count {
            cbor.array(2, "a kind and a number")?;
            let ascending = cbor.unexpected("a greater kind than before");
            let kind = Kind::from_code(cbor.u16("a kind")?).ok_or_else(|| cbor.unexpected("a known kind"))?;
            if entries.last().is_some_and(|(last, _)| *last >= kind) {
                return Err(ascending.into());
            }
            entries.push((kind, cbor.u64("a number of entries")?));
        }
        let drill = Self {
            ok,
            size,
            root,
            entries,
            took_ms: cbor.u64("a duration")?,
            detail: cbor.text("a detail")?.to_owned(),
        };
        cbor.end()?;
        Ok(drill)
    }
}

/// What happened to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// It began to serve.
    Started,
    /// It ended in good order.
    Stopped,
    /// It found and cut off what a crash had left.
    Recovered,
    /// It put changed settings in force; the detail names them.
    Reconfigured,
}

impl LifecycleEvent {
    /// Every event.
    pub const ALL: [Self; 4] = [Self::Started, Self::Stopped, Self::Recovered, Self::Reconfigured];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Recovered => "recovered",
            Self::Reconfigured => "reconfigured",
        }
    }
}

/// Payload of [`Kind::Lifecycle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// What happened.
    pub what: LifecycleEvent,
    /// Version of the program.
    pub version: String,
    /// More, in words.
    pub detail: String,
}

impl Lifecycle {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encoded(3, |cbor| {
            cbor.text(self.what.as_str()).text(&self.version).text(&self.detail);
        })
    }

    /// The record of a payload.
    ///
    /// # Errors
    /// [`RecordError`] naming what was expected where.
    pub fn decode(payload: &[u8]) -> Result<Self, RecordError> {
        let mut cbor = begin(payload, 3, "a lifecycle record")?;
        let what = cbor.parsed("what happened", |text| {
            LifecycleEvent::ALL.into_iter().find(|event| event.as_str() == text)
        })?;
        let record = Self {
            what,
            version: cbor.text("a version")?.to_owned(),
            detail: cbor.text("a detail")?.to_owned(),
        };
        cbor.end()?;
        Ok(record)
    }
}
