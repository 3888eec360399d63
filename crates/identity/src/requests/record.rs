//! How requests stand in the journal: deterministic CBOR, decoded strictly. The schema is `docs/journal-identity.cddl`.

use domain::{Actor, UnixNanos};
use minicbor::{Decoder, Encoder};

use super::{KIND_BYTES_MAX, Opened, PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX};
use crate::Capability;

const VERSION: u8 = 1;

/// Something that happened to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Somebody agreed.
    Approved {
        /// To which.
        request: u64,
        /// To what: the digest they saw.
        digest: [u8; 32],
        /// Who.
        by: Actor,
    },
    /// Somebody refused.
    Declined {
        /// Which.
        request: u64,
        /// Why.
        reason: String,
        /// Who.
        by: Actor,
    },
    /// What was agreed to is done.
    Executed {
        /// Which.
        request: u64,
        /// What came of it.
        outcome: String,
    },
    /// What was agreed to could not be done.
    Failed {
        /// Which.
        request: u64,
        /// Why.
        why: String,
    },
    /// Somebody asks.
    Opened(Opened),
    /// Who asked takes it back.
    Withdrawn {
        /// Which.
        request: u64,
        /// Who.
        by: Actor,
    },
}

/// Why bytes are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an entry of a change request: {what}")]
pub struct EntryError {
    what: &'static str,
}

const fn bad(what: &'static str) -> EntryError {
    EntryError { what }
}

fn field<T, E>(what: &'static str, decoded: Result<T, E>) -> Result<T, EntryError> {
    decoded.map_err(|_| bad(what))
}

fn text(d: &mut Decoder<'_>, what: &'static str, bytes_max: usize) -> Result<String, EntryError> {
    let text = field(what, d.str())?;
    if text.len() > bytes_max { Err(bad(what)) } else { Ok(text.to_owned()) }
}

fn digest(d: &mut Decoder<'_>, what: &'static str) -> Result<[u8; 32], EntryError> {
    field(what, field(what, d.bytes())?.try_into())
}

fn actor(d: &mut Decoder<'_>) -> Result<Actor, EntryError> {
    field("actor", field("actor", d.str())?.parse())
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

impl Entry {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Approved { .. } => "approved",
            Self::Declined { .. } => "declined",
            Self::Executed { .. } => "executed",
            Self::Failed { .. } => "failed",
            Self::Opened(_) => "opened",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Which request, unless it is the beginning of one.
    #[must_use]
    pub const fn request(&self) -> Option<u64> {
        match self {
            Self::Approved { request, .. }
            | Self::Declined { request, .. }
            | Self::Executed { request, .. }
            | Self::Failed { request, .. }
            | Self::Withdrawn { request, .. } => Some(*request),
            Self::Opened(_) => None,
        }
    }

    /// Who did it, where somebody did.
    #[must_use]
    pub const fn by(&self) -> Option<&Actor> {
        match self {
            Self::Approved { by, .. } | Self::Declined { by, .. } | Self::Withdrawn { by, .. } => Some(by),
            Self::Opened(opened) => Some(&opened.by),
            Self::Executed { .. } | Self::Failed { .. } => None,
        }
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        // Writing to memory does not fail.
        drop(self.write(&mut encoder));
        encoder.into_writer()
    }

    fn write(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        let head = |e: &mut Encoder<Vec<u8>>, fields: u64, number: u8| -> Encoded {
            e.array(fields)?.u8(VERSION)?.u8(number)?;
            Ok(())
        };
        match self {
            Self::Opened(opened) => {
                head(e, 11, 0)?;
                e.str(&opened.kind)?
                    .bytes(&opened.payload)?
                    .str(&opened.summary)?
                    .bytes(&opened.precondition)?;
                e.str(opened.needs.as_str())?;
                match &opened.concerns {
                    Some(person) => e.str(person)?,
                    None => e.null()?,
                };
                e.str(&opened.reason)?.str(&opened.by.to_string())?.u64(opened.expires_at.0)?;
            }
            Self::Approved { request, digest, by } => {
                head(e, 5, 1)?;
                e.u64(*request)?.bytes(digest)?.str(&by.to_string())?;
            }
            Self::Declined { request, reason, by } => {
                head(e, 5, 2)?;
                e.u64(*request)?.str(reason)?.str(&by.to_string())?;
            }
            Self::Withdrawn { request, by } => {
                head(e, 4, 3)?;
                e.u64(*request)?.str(&by.to_string())?;
            }
            Self::Executed { request, outcome: text } => {
                head(e, 4, 4)?;
                e.u64(*request)?.str(text)?;
            }
            Self::Failed { request, why: text } => {
                head(e, 4, 5)?;
                e.u64(*request)?.str(text)?;
            }
        }
        Ok(())
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`EntryError`] for anything [`Entry::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let mut d = Decoder::new(bytes);
        let fields = field("fields", d.array())?.ok_or(bad("fields"))?;
        if field("version", d.u8())? != VERSION {
            return Err(bad("version"));
        }
        let entry = match (field("number", d.u8())?, fields) {
            (0, 11) => Self::Opened(opened(&mut d)?),
            (1, 5) => Self::Approved {
                request: field("request", d.u64())?,
                digest: digest(&mut d, "digest")?,
                by: actor(&mut d)?,
            },
            (2, 5) => Self::Declined {
                request: field("request", d.u64())?,
                reason: text(&mut d, "reason", TEXT_BYTES_MAX)?,
                by: actor(&mut d)?,
            },
            (3, 4) => Self::Withdrawn { request: field("request", d.u64())?, by: actor(&mut d)? },
            (4, 4) => Self::Executed {
                request: field("request", d.u64())?,
                outcome: text(&mut d, "outcome", TEXT_BYTES_MAX)?,
            },
            (5, 4) => Self::Failed {
                request: field("request", d.u64())?,
                why: text(&mut d, "why", TEXT_BYTES_MAX)?,
            },
            _ => return Err(bad("number")),
        };
        // The one encoding: lengths, order and integers have no second form.
        if entry.encode() == bytes { Ok(entry) } else { Err(bad("encoding")) }
    }
}

fn opened(d: &mut Decoder<'_>) -> Result<Opened, EntryError> {
    let kind = text(d, "kind", KIND_BYTES_MAX)?;
    let payload = field("payload", d.bytes())?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(bad("payload"));
    }
    let payload = payload.to_vec();
    let summary = text(d, "summary", TEXT_BYTES_MAX)?;
    let precondition = digest(d, "precondition")?;
    let needs = Capability::named(field("needs", d.str())?).ok_or(bad("needs"))?;
    let concerns = match field("concerns", d.datatype())? {
        minicbor::data::Type::Null => {
            field("concerns", d.null())?;
            None
        }
        _ => Some(text(d, "concerns", Actor::ID_BYTES_MAX)?),
    };
    let reason = text(d, "reason", TEXT_BYTES_MAX)?;
    let by = actor(d)?;
    let expires_at = UnixNanos(field("expires_at", d.u64())?);
    Ok(Opened { kind, payload, summary, precondition, needs, concerns, reason, by, expires_at })
}
