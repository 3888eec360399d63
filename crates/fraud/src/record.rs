//! Strict reading of the payloads this crate writes to the journal.
//!
//! Deterministic CBOR (RFC 8949 section 4.2.1). What decodes must encode to the same bytes, so each payload has one
//! spelling; lengths are bounded before anything is kept.

use domain::{Amount, UnixNanos};
use minicbor::{Decoder, Encoder, data::Type, encode};

/// Longest payload read, in bytes.
pub const RECORD_BYTES_MAX: usize = 32 * 1024;

/// Result of encoding into memory, which does not fail.
pub(crate) type Encoded = Result<(), encode::Error<std::convert::Infallible>>;

/// Why bytes are not a payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A field is missing, of another type, or out of its bounds.
    #[error("field {field} is malformed at byte {position}")]
    BadField {
        /// Which one.
        field: &'static str,
        /// Where, counted from the start of the payload.
        position: usize,
    },
    /// The same content has a shorter spelling, or something follows it.
    #[error("payload is not in the deterministic encoding")]
    NotDeterministic,
    /// More than [`RECORD_BYTES_MAX`].
    #[error("payload is {got} bytes long, at most {RECORD_BYTES_MAX} are allowed")]
    TooLong {
        /// Length found.
        got: usize,
    },
    /// A version this build does not know.
    #[error("payload has version {got}, which is unknown")]
    Version {
        /// Version found.
        got: u8,
    },
}

/// Reads field by field and names the one at fault.
pub(crate) struct Fields<'b>(Decoder<'b>);

impl<'b> Fields<'b> {
    /// Begins a payload that is an array starting with `version` and a name; yields the number of fields behind them.
    pub(crate) fn begin(bytes: &'b [u8], version: u8) -> Result<(Self, String, u64), RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { got: bytes.len() });
        }
        let mut fields = Self(Decoder::new(bytes));
        let count = fields.list("payload")?;
        let got = fields.take("version", Decoder::u8)?;
        if got != version {
            return Err(RecordError::Version { got });
        }
        let name = fields.text("what", 32)?;
        let behind = count.checked_sub(2).ok_or_else(|| fields.bad("payload", 0))?;
        Ok((fields, name, behind))
    }

    pub(crate) const fn bad(&self, field: &'static str, position: usize) -> RecordError {
        RecordError::BadField { field, position }
    }

    fn take<T>(
        &mut self,
        field: &'static str,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, RecordError> {
        let position = self.0.position();
        read(&mut self.0).map_err(|_| RecordError::BadField { field, position })
    }

    /// The head of a list of definite length.
    pub(crate) fn list(&mut self, field: &'static str) -> Result<u64, RecordError> {
        let position = self.0.position();
        self.take(field, Decoder::array)?.ok_or(RecordError::BadField { field, position })
    }

    pub(crate) fn number(&mut self, field: &'static str) -> Result<u64, RecordError> {
        self.take(field, Decoder::u64)
    }

    pub(crate) fn signed(&mut self, field: &'static str) -> Result<i64, RecordError> {
        self.take(field, Decoder::i64)
    }

    pub(crate) fn digest(&mut self, field: &'static str) -> Result<[u8; 32], RecordError> {
        let position = self.0.position();
        let bytes = self.take(field, Decoder::bytes)?;
        bytes.try_into().map_err(|_| RecordError::BadField { field, position })
    }

    pub(crate) fn time(&mut self, field: &'static str) -> Result<UnixNanos, RecordError> {
        self.number(field).map(UnixNanos)
    }

    pub(crate) fn text(&mut self, field: &'static str, bytes_max: usize) -> Result<String, RecordError> {
        let position = self.0.position();
        let text = self.take(field, Decoder::str)?;
        if text.len() > bytes_max {
            return Err(RecordError::BadField { field, position });
        }
        Ok(text.to_owned())
    }

    /// A text that `parse` accepts.
    pub(crate) fn parsed<T>(
        &mut self,
        field: &'static str,
        bytes_max: usize,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, RecordError> {
        let position = self.0.position();
        let text = self.text(field, bytes_max)?;
        parse(&text).ok_or(RecordError::BadField { field, position })
    }

    /// Decimal notation without superfluous digits.
    pub(crate) fn amount(&mut self, field: &'static str) -> Result<Amount, RecordError> {
        self.parsed(field, 48, |text| {
            Amount::parse_non_negative(text).ok().filter(|amount| amount.to_string() == text)
        })
    }

    /// Null, or what `read` reads.
    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        if matches!(self.0.datatype(), Ok(Type::Null)) {
            return self.take("null", Decoder::null).map(|()| None);
        }
        read(self).map(Some)
    }
}

/// Encodes into memory.
pub(crate) fn encoded(write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Encoded) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::with_capacity(128));
    write(&mut encoder).expect("writing to memory does not fail");
    encoder.into_writer()
}

/// Null, or what `write` writes.
pub(crate) fn optional<T>(
    encoder: &mut Encoder<Vec<u8>>,
    value: Option<T>,
    write: impl FnOnce(&mut Encoder<Vec<u8>>, T) -> Encoded,
) -> Encoded {
    match value {
        Some(value) => write(encoder, value),
        None => encoder.null().map(drop),
    }
}
