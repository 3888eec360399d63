//! Entries: a clear envelope and a sealed payload, as deterministic CBOR. Their bytes are the leaves of the
//! transparency log.
//!
//! ```text
//! [ [version, seq, time ns, kind, pseudonym (16 bytes), DEK version], sealed payload ]
//!   └──────────── the envelope: associated data of the seal ───────┘
//! ```
//!
//! The seal binds the payload to its place: moved to another sequence number, time, kind or subject it does not open.

use domain::UnixNanos;
use keyring::{DekVersion, Pseudonym, SEAL_OVERHEAD_BYTES};

use crate::cbor::{Strict, Unexpected, Writer};

/// Longest entry, in bytes: the limit of a transparency log's entry bundles (c2sp.org/tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Bytes an envelope and the heads around it take at most: 2 array heads, version, 8-byte sequence number and time
/// with their heads, kind, pseudonym, DEK version, head of the sealed payload.
const ENVELOPE_BYTES_MAX: usize = 1 + 1 + 1 + 9 + 9 + 3 + 17 + 5 + 3;

/// Longest payload before sealing, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = ENTRY_BYTES_MAX - ENVELOPE_BYTES_MAX - SEAL_OVERHEAD_BYTES;

const VERSION: u64 = 1;

/// What a payload is. Numbers are stable: they are stored and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Something that happened to an account.
    Event,
    /// A decision about a withdrawal, with everything it rests on.
    Decision,
    /// Refused requests of one source in one second.
    Refusals,
    /// A change to an API key.
    ApiKey,
    /// A label list replaced its predecessor.
    ListImported,
    /// A subject's key was destroyed.
    SubjectErased,
    /// The key table was rewrapped under a new KEK.
    KekRotated,
    /// A restore was tried.
    BackupDrill,
    /// The process started, stopped or recovered.
    Lifecycle,
    /// What makes an installation this one; once, among its first entries. Opaque here.
    Installation,
    /// A source or a key at a source was banned, or let in again before time.
    Ban,
    /// A change to a third-party app, or to a customer's grant to one.
    Oauth,
    /// Something seen on a chain, or taken back.
    ChainAlert,
    /// Something in the journal that people should look at.
    FraudAlert,
    /// What people did with a case, or the numbers cases are weighed by. Opaque here.
    Case,
    /// A model was taken in, compared, put in force or taken out of it. Opaque here.
    Model,
    /// An address was screened, or what was screened before is judged otherwise since a list changed.
    Screening,
    /// Something was done about persons and programs that use the control API, or by them. Opaque here.
    Identity,
    /// The fraud engine judges by another bundle.
    FraudBundle,
    /// A change was proposed that takes two persons, or something became of one. Opaque here.
    ChangeRequest,
    /// People stopped something at once, or let it go on.
    Emergency,
    /// Something was done about endpoints that are told of entries, or they were. Opaque here.
    Webhook,
    /// A model suspects an address of a followed chain, or no longer does.
    Suspicion,
    /// A label list is no longer in force.
    ListRemoved,
    /// A decision about something else than a withdrawal.
    Judgement,
}

impl Kind {
    /// Every kind, by number.
    pub const ALL: [Self; 25] = [
        Self::Event,
        Self::Decision,
        Self::Refusals,
        Self::ApiKey,
        Self::ListImported,
        Self::SubjectErased,
        Self::KekRotated,
        Self::BackupDrill,
        Self::Lifecycle,
        Self::Installation,
        Self::Ban,
        Self::Oauth,
        Self::ChainAlert,
        Self::FraudAlert,
        Self::Case,
        Self::Model,
        Self::Screening,
        Self::Identity,
        Self::FraudBundle,
        Self::Emergency,
        Self::ChangeRequest,
        Self::Webhook,
        Self::Suspicion,
        Self::ListRemoved,
        Self::Judgement,
    ];

    /// The stored number.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Event => 1,
            Self::Decision => 2,
            Self::Refusals => 3,
            Self::ApiKey => 4,
            Self::ListImported => 5,
            Self::SubjectErased => 6,
            Self::KekRotated => 7,
            Self::BackupDrill => 8,
            Self::Lifecycle => 9,
            Self::Installation => 10,
            Self::Ban => 11,
            Self::Oauth => 12,
            Self::ChainAlert => 13,
            Self::FraudAlert => 14,
            Self::Case => 15,
            Self::Model => 16,
            Self::Screening => 17,
            Self::Identity => 18,
            Self::FraudBundle => 19,
            Self::Emergency => 20,
            Self::ChangeRequest => 21,
            Self::Webhook => 22,
            Self::Suspicion => 23,
            Self::ListRemoved => 24,
            Self::Judgement => 25,
        }
    }

    /// The kind of a stored number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Decision => "decision",
            Self::Refusals => "refusals",
            Self::ApiKey => "api_key",
            Self::ListImported => "list_imported",
            Self::SubjectErased => "subject_erased",
            Self::KekRotated => "kek_rotated",
            Self::BackupDrill => "backup_drill",
            Self::Lifecycle => "lifecycle",
            Self::Installation => "installation",
            Self::Ban => "ban",
            Self::Oauth => "oauth",
            Self::ChainAlert => "chain_alert",
            Self::FraudAlert => "fraud_alert",
            Self::Case => "case",
            Self::Model => "model",
            Self::Screening => "screening",
            Self::Identity => "identity",
            Self::FraudBundle => "fraud_bundle",
            Self::ChangeRequest => "change_request",
            Self::Emergency => "emergency",
            Self::Webhook => "webhook",
            Self::Suspicion => "suspicion",
            Self::ListRemoved => "list_removed",
            Self::Judgement => "judgement",
        }
    }
}

/// Why bytes are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// Not the deterministic encoding of an entry.
    #[error("entry is malformed: {what} expected at byte {position}")]
    Malformed {
        /// What should stand there.
        what: &'static str,
        /// Byte within the entry.
        position: usize,
    },
    /// More than [`ENTRY_BYTES_MAX`] bytes.
    #[error("entry is {bytes} bytes long, at most 65535 are allowed")]
    TooLong {
        /// Length found.
        bytes: usize,
    },
    /// Of a kind this build does not know.
    #[error("entry is of unknown kind {code}")]
    UnknownKind {
        /// The number found.
        code: u16,
    },
    /// Of an envelope version this build does not know.
    #[error("entry has unknown envelope version {version}")]
    UnknownVersion {
        /// The number found.
        version: u64,
    },
}

impl From<Unexpected> for EntryFault {
    fn from(Unexpected { what, position }: Unexpected) -> Self {
        Self::Malformed { what, position }
    }
}

/// The clear part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) seq: u64,
    pub(crate) at: UnixNanos,
    pub(crate) kind: Kind,
    pub(crate) pseudonym: Pseudonym,
    pub(crate) dek_version: DekVersion,
}

impl Envelope {
    /// Appends array head and envelope to `out`; the envelope's own bytes are those after the first.
    fn encode(&self, out: &mut Vec<u8>) {
        Writer::new(out)
            .array(2)
            .array(6)
            .uint(VERSION)
            .uint(self.seq)
            .uint(self.at.0)
            .uint(self.kind.code())
            .bytes(&self.pseudonym.0)
            .uint(self.dek_version.0);
    }
}

/// Appends an entry to `out`. `seal` is given the envelope's bytes and appends the sealed payload, which must be
/// `sealed_len` bytes long.
pub(crate) fn encode_entry(
    envelope: &Envelope,
    sealed_len: usize,
    out: &mut Vec<u8>,
    seal: impl FnOnce(&[u8], &mut Vec<u8>),
) {
    let start = out.len();
    envelope.encode(out);
    let mut aad = [0; ENVELOPE_BYTES_MAX];
    let aad_len = out.len() - start - 1;
    aad[..aad_len].copy_from_slice(&out[start + 1..]);
    push_byte_string_head(out, sealed_len);
    let head_end = out.len();
    seal(&aad[..aad_len], out);
    debug_assert_eq!(out.len() - head_end, sealed_len, "the seal has the length announced");
}

/// Head of a byte string of at most 65 535 bytes, shortest form.
fn push_byte_string_head(out: &mut Vec<u8>, len: usize) {
    let [.., high, low] = len.to_be_bytes();
    match len {
        0..=23 => out.push(0x40 | low),
        24..=0xff => out.extend_from_slice(&[0x58, low]),
        _ => out.extend_from_slice(&[0x59, high, low]),
    }
}

/// An entry within bytes that live elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct EntryRef<'b> {
    /// Place in the journal, from 0.
    pub seq: u64,
    /// When it was recorded; never earlier than the entry before.
    pub at: UnixNanos,
    /// What the payload is.
    pub kind: Kind,
    /// Whose key seals the payload.
    pub pseudonym: Pseudonym,
    /// Which of the subject's keys.
    pub dek_version: DekVersion,
    /// The whole entry as stored: the leaf of the transparency log.
    pub bytes: &'b [u8],
    pub(crate) aad: &'b [u8],
    pub(crate) sealed: &'b [u8],
}

impl<'b> EntryRef<'b> {
    /// Reads the bytes of an entry; its payload stays sealed.
    ///
    /// # Errors
    /// [`EntryFault`]; only the deterministic encoding is accepted.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, EntryFault> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryFault::TooLong { bytes: bytes.len() });
        }
        let mut cbor = Strict::new(bytes);
        cbor.array(2, "an array of envelope and payload")?;
        let aad_start = cbor.position();
        cbor.array(6, "an envelope")?;
        let version = cbor.u64("an envelope version")?;
        if version != VERSION {
            return Err(EntryFault::UnknownVersion { version });
        }
        let seq = cbor.u64("a sequence number")?;
        let at = UnixNanos(cbor.u64("a time")?);
        let code = cbor.u16("a kind")?;
        let kind = Kind::from_code(code).ok_or(EntryFault::UnknownKind { code })?;
        let pseudonym = Pseudonym(cbor.array_of_bytes("a pseudonym of 16 bytes")?);
        let dek_version = DekVersion(cbor.u32("a DEK version")?);
        let aad = &bytes[aad_start..cbor.position()];
        let sealed = cbor.bytes("a sealed payload")?;
        cbor.end()?;
        Ok(Self { seq, at, kind, pseudonym, dek_version, bytes, aad, sealed })
    }

    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_entry(&self) -> Entry {
        Entry {
            seq: self.seq,
            at: self.at,
            kind: self.kind,
            pseudonym: self.pseudonym,
            dek_version: self.dek_version,
            bytes: self.bytes.to_vec(),
            aad_len: self.aad.len(),
            sealed_len: self.sealed.len(),
        }
    }
}

/// An entry that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Place in the journal, from 0.
    pub seq: u64,
    /// When it was recorded; never earlier than the entry before.
    pub at: UnixNanos,
    /// What the payload is.
    pub kind: Kind,
    /// Whose key seals the payload.
    pub pseudonym: Pseudonym,
    /// Which of the subject's keys.
    pub dek_version: DekVersion,
    bytes: Vec<u8>,
    aad_len: usize,
    sealed_len: usize,
}

impl Entry {
    /// Reads the bytes of an entry; its payload stays sealed.
    ///
    /// # Errors
    /// As [`EntryRef::parse`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EntryFault> {
        EntryRef::parse(bytes).map(|entry| entry.to_entry())
    }

    /// The whole entry as stored: the leaf of the transparency log.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entry as [`Entry::bytes`], without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// This entry, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> EntryRef<'_> {
        EntryRef {
            seq: self.seq,
            at: self.at,
            kind: self.kind,
            pseudonym: self.pseudonym,
            dek_version: self.dek_version,
            bytes: &self.bytes,
            aad: &self.bytes[1..=self.aad_len],
            sealed: &self.bytes[self.bytes.len() - self.sealed_len..],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(envelope: &Envelope, sealed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_entry(envelope, sealed.len(), &mut out, |_, out| out.extend_from_slice(sealed));
        out
    }

    #[test]
    fn the_longest_payload_makes_an_entry_within_the_limit() {
        let envelope = Envelope {
            seq: u64::MAX,
            at: UnixNanos(u64::MAX),
            kind: Kind::Lifecycle,
            pseudonym: Pseudonym([0xff; 16]),
            dek_version: DekVersion(u32::MAX),
        };
        let bytes = sample(&envelope, &vec![7; PAYLOAD_BYTES_MAX + SEAL_OVERHEAD_BYTES]);
        assert!(bytes.len() <= ENTRY_BYTES_MAX && bytes.len() >= ENTRY_BYTES_MAX - 2, "{}", bytes.len());
        EntryRef::parse(&bytes).unwrap();
        assert!(matches!(Entry::parse(&[0; ENTRY_BYTES_MAX + 1]), Err(EntryFault::TooLong { .. })));
    }

    #[test]
    fn kinds_have_distinct_stable_numbers() {
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.code()));
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(kind));
            assert_eq!(Kind::ALL.iter().filter(|other| other.code() == kind.code()).count(), 1);
        }
        assert_eq!(Kind::from_code(0), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_parses_and_nothing_else_does(
            seq: u64, at: u64, kind in 1_u16..=13, pseudonym: [u8; 16], dek: u32, sealed: Vec<u8>, cut: prop::sample::Index,
        ) {
            let envelope = Envelope {
                seq,
                at: UnixNanos(at),
                kind: Kind::from_code(kind).unwrap(),
                pseudonym: Pseudonym(pseudonym),
                dek_version: DekVersion(dek),
            };
            let bytes = sample(&envelope, &sealed);
            let entry = Entry::parse(&bytes).unwrap();
            let parsed = entry.as_ref();
            prop_assert_eq!(parsed.sealed, &sealed[..]);
            prop_assert_eq!((parsed.seq, parsed.at, parsed.kind), (seq, UnixNanos(at), envelope.kind));
            prop_assert_eq!(parsed.aad, EntryRef::parse(&bytes).unwrap().aad);
            prop_assert!(Entry::parse(&bytes[..cut.index(bytes.len())]).is_err());
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert!(Entry::parse(&longer).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(entry) = Entry::parse(&bytes) {
                prop_assert_eq!(entry.bytes(), &bytes[..]);
            }
        }
    }
}
