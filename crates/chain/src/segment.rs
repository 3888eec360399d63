//! The label segment: an immutable file that answers "what is said about this address" exactly.
//!
//! Built once from one list ([`Builder`]), then only read ([`Segment`]), from whatever holds its bytes; a newer
//! state of the list is a new segment. A lookup compares the whole payload, so there is no false answer in either
//! direction. The hash is keyed per segment, because whoever is to be listed chooses the address.
//!
//! # Bytes
//!
//! Version 3. All integers are little endian. Sections follow each other in this order, each starting at a multiple of
//! 64.
//!
//! | section | size | content |
//! |---|---|---|
//! | header | 192 | see below |
//! | filter | 32 x blocks | split-block Bloom filter over all keys |
//! | short buckets | 64 x buckets | hash table of addresses with payloads of 20 bytes |
//! | long buckets | 128 x buckets | hash table of other payloads and of opaque texts |
//! | records | 40 x n | distinct labels |
//! | references | 4 x n | sets of several records: how many, then their numbers |
//! | string offsets | 4 x (n + 1) | where each distinct string starts in the blob, and where the last ends |
//! | string blob | | UTF-8; string 0 is empty, string 1 the list's name |
//! | digests | 32 x chunks | SHA-256 of every [`CHUNK_BYTES`] of what stands before this section |
//! | root | 32 | SHA-256 of the digests section |
//!
//! Header: magic `CAPLBL03`; hash key (16); time of import in Unix nanoseconds (8); SHA-256 of the source (32); counts
//! of filter blocks, short partitions, buckets in each, long partitions, buckets in each, addresses, texts, records,
//! numbers in references, strings, bytes of the blob (8 each).
//!
//! Short bucket: two slots of 32: payload (20), tag (1), zero (3), label number (4), zero (4). Long bucket: three slots
//! of 40, zero (8); long slot: payload (32), tag (1), length (1), zero (2), label number (4). The tag is
//! [`domain::AddressKind::tag`]; 0xff for an opaque text; 0 if the slot is empty. A text, and the hexadecimal text of a
//! payload above 32 bytes, stands among the strings, with its number (4) in place of the payload; the length is that of
//! the payload, 0xff for a text. The label number is that of a record; from the number of records on, less that, the
//! place in the references where a set begins.
//!
//! The hash is SipHash-1-3 of the payload, or of its text where that stands among the strings, followed by the tag. The
//! filter and both tables (see the modules for where a key lies) take it apart differently. A short bucket is one cache
//! line, and a lookup reads two of the table, neither of which depends on the other. Many at once ask the filter first.
//!
//! # What is checked when
//!
//! [`Segment::parse`] checks the header and all lengths; [`Segment::verify`] every byte, and names the place of a fault.
//! Reading never panics, whatever the bytes: a damaged number leads to no label or a wrong one, which is why the
//! owner verifies a segment before it is used.
//!
//! Bounds: [`ENTRIES_MAX`] addresses, [`LABELS_PER_ADDRESS_MAX`] labels each, strings up to [`STRING_BYTES_MAX`].

mod build;
mod filter;
mod layout;
mod read;
mod table;

use std::borrow::Cow;

use domain::Address;

pub use self::{
    build::{BuildError, Builder},
    read::{Claim, Claims, Listed, Segment, SegmentError},
};
use crate::siphash::{siphash13, siphash13_of_21};

/// What one digest of the digests section covers, in bytes.
pub const CHUNK_BYTES: usize = 1 << 16;
/// Most addresses and texts in one segment.
pub const ENTRIES_MAX: usize = 1 << 30;
/// Most labels of one address in one segment.
pub const LABELS_PER_ADDRESS_MAX: usize = u16::MAX as usize;
/// Longest string, in bytes.
pub const STRING_BYTES_MAX: usize = 4096;
/// Where the header of a segment ends, in bytes from its start.
pub const HEADER_BYTES: usize = layout::HEADER_BYTES;

const OPAQUE_TAG: u8 = 0xff;
const OPAQUE_LEN: u8 = 0xff;
/// Bytes of a payload kept among the short slots.
const SHORT_PAYLOAD: usize = 20;
/// Payload, tag, zero.
const SHORT_FIELD: usize = 24;
/// Field, label number, zero.
const SHORT_SLOT: usize = 32;
const SHORT_BUCKET: usize = 64;
/// Most bytes of a payload kept within a long slot.
const LONG_PAYLOAD: usize = 32;
/// Payload, tag, length, zero.
const LONG_FIELD: usize = 36;
/// Field, label number.
const LONG_SLOT: usize = 40;
const LONG_BUCKET: usize = 128;

/// What labels are filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// An address whose codec is known: every text of it is the same key.
    Address(&'a Address),
    /// A text on a network without a codec here, compared byte for byte.
    Text(&'a str),
}

/// How a key is stored and compared.
enum Field<'a> {
    /// A payload of 20 bytes.
    Short(ShortField),
    /// Another payload that fits its slot.
    Long([u8; LONG_FIELD]),
    /// What stands among the strings, and the length to store beside it.
    Spelled(Cow<'a, str>, u8),
}

impl<'a> Key<'a> {
    fn tag(self) -> u8 {
        match self {
            Self::Address(address) => address.kind().tag(),
            Self::Text(_) => OPAQUE_TAG,
        }
    }

    #[inline]
    fn field(self) -> Field<'a> {
        let address = match self {
            Self::Address(address) => address,
            Self::Text(text) => return Field::Spelled(Cow::Borrowed(text), OPAQUE_LEN),
        };
        let payload = address.payload();
        match <&[u8; SHORT_PAYLOAD]>::try_from(payload) {
            Ok(payload) => Field::Short(ShortField::new(payload, self.tag())),
            Err(_) => long_field(payload, self.tag()),
        }
    }
}

/// A payload of 20 bytes and its tag, as the words a slot holds. Words and not bytes, so that they stay in registers:
/// what is written in bytes and read back in words at once makes the processor wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ShortField([u64; 3]);

impl ShortField {
    #[inline]
    fn new(payload: &[u8; SHORT_PAYLOAD], tag: u8) -> Self {
        let half = |at: usize| {
            payload
                .get(at..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |half| u64::from(u32::from_le_bytes(*half)))
        };
        Self([half(0) | half(4) << 32, half(8) | half(12) << 32, half(16) | u64::from(tag) << 32])
    }

    fn to_bytes(self) -> [u8; SHORT_FIELD] {
        let mut bytes = [0; SHORT_FIELD];
        for (to, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; SHORT_FIELD]) -> Self {
        let mut words = [0; 3];
        for (to, word) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *to = u64::from_le_bytes(*word);
        }
        Self(words)
    }

    #[inline]
    fn hash(self, hash_key: &[u8; 16]) -> u64 {
        siphash13_of_21(hash_key, self.0)
    }
}

fn long_field(payload: &[u8], tag: u8) -> Field<'static> {
    // Payloads have at most 40 bytes.
    let len = u8::try_from(payload.len()).unwrap_or(OPAQUE_LEN);
    let mut field = [0; LONG_FIELD];
    match field.get_mut(..payload.len()) {
        Some(head) if payload.len() <= LONG_PAYLOAD => head.copy_from_slice(payload),
        _ => {
            let hex = payload.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            return Field::Spelled(Cow::Owned(hex), len);
        }
    }
    if let Some([to_tag, to_len, ..]) = field.get_mut(LONG_PAYLOAD..) {
        (*to_tag, *to_len) = (tag, len);
    }
    Field::Long(field)
}

/// Of a payload, or of the text that stands for the key among the strings.
fn hash_long(hash_key: &[u8; 16], bytes: &[u8], tag: u8) -> u64 {
    siphash13(hash_key, &[bytes, &[tag]])
}

#[cfg(test)]
mod tests;
