//! The label segment: an immutable file that answers "what is said about this address" exactly.
//!
//! Built once from one list ([`Builder`]), then only read ([`Segment`]), from whatever holds its bytes; a newer
//! state of the list is a new segment. A lookup compares the whole payload, so there is no false answer in either
//! direction. The hash is keyed per segment, because whoever is to be listed chooses the address.
//!
//! # Bytes
//!
//! All integers are little endian. Sections follow each other in this order, each starting at a multiple of 64.
//!
//! | section | size | content |
//! |---|---|---|
//! | header | 128 | see below |
//! | short slots | 32 x slots | hash table of addresses with payloads up to 20 bytes |
//! | long slots | 64 x slots | hash table of longer payloads and opaque texts |
//! | records | 40 x n | distinct labels |
//! | references | 4 x n | record numbers, for entries with several labels |
//! | string offsets | 4 x (n + 1) | where each distinct string starts in the blob, and where the last ends |
//! | string blob | | UTF-8; string 0 is empty, string 1 the list's name |
//! | digests | 32 x chunks | SHA-256 of every [`CHUNK_BYTES`] of what stands before this section |
//! | root | 32 | SHA-256 of the digests section |
//!
//! Header: magic `CAPLBL01`; hash key (16); time of import in Unix nanoseconds (8); SHA-256 of the source (32); counts
//! of short slots, long slots, addresses, texts, records, references, strings, bytes of the blob (8 each).
//!
//! Slot: payload (20 or 40), tag (1), length (1), label count (2), first (4), upper half of the hash (4), zero up to 32
//! or 64. `first` is the number of the record if the count is 1, else of the first reference. The tag is
//! [`domain::AddressKind::tag`]; 0xff for an opaque text, whose payload is the number of its string (4); 0 if the slot
//! is empty. Probing is linear, from slot (lower half of the hash) x slots / 2^32. A slot is half a cache line, so that
//! a lookup in memory not yet cached waits once.
//!
//! Record: category (1), confidence (1), zero (2), string numbers of text, source, asset, licence (4 each), zero (4),
//! first and last seen in Unix nanoseconds (8 each, 0: unknown).
//!
//! # What is checked when
//!
//! [`Segment::parse`] checks the header and all lengths; [`Segment::verify`] every byte, and names the place of a fault.
//! Reading never panics, whatever the bytes: a damaged number leads to no label or a wrong one, which is why the
//! owner verifies a segment before it is used.
//!
//! Bounds: [`ENTRIES_MAX`] addresses, [`LABELS_PER_ADDRESS_MAX`] labels each, strings up to [`STRING_BYTES_MAX`].

mod build;
mod layout;
mod read;

use domain::Address;

pub use self::{
    build::{BuildError, Builder},
    read::{Labels, Segment, SegmentError},
};
use crate::siphash::siphash24;

/// What one digest of the digests section covers, in bytes.
pub const CHUNK_BYTES: usize = 1 << 16;
/// Most addresses and texts in one segment.
pub const ENTRIES_MAX: usize = 1 << 30;
/// Most labels of one address in one segment.
pub const LABELS_PER_ADDRESS_MAX: usize = u16::MAX as usize;
/// Longest string, in bytes.
pub const STRING_BYTES_MAX: usize = 4096;

const OPAQUE_TAG: u8 = 0xff;

/// What labels are filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// An address whose codec is known: every text of it is the same key.
    Address(&'a Address),
    /// A text on a network without a codec here, compared byte for byte.
    Text(&'a str),
}

impl Key<'_> {
    fn tag(&self) -> u8 {
        match self {
            Self::Address(address) => address.kind().tag(),
            Self::Text(_) => OPAQUE_TAG,
        }
    }

    /// Whether the key's entry lies among the short slots.
    fn is_short(&self) -> bool {
        matches!(self, Self::Address(address) if address.payload().len() <= layout::SHORT_PAYLOAD_BYTES)
    }

    fn hash(&self, hash_key: &[u8; 16]) -> u64 {
        // One buffer rather than two parts keeps the hash on its word-at-a-time path.
        match self {
            Self::Address(address) => {
                let mut message = [0u8; 1 + Address::PAYLOAD_BYTES_MAX];
                let payload = address.payload();
                message[0] = self.tag();
                if let Some(to) = message.get_mut(1..=payload.len()) {
                    to.copy_from_slice(payload);
                }
                siphash24(hash_key, &[message.get(..=payload.len()).unwrap_or(&message)])
            }
            Self::Text(text) => siphash24(hash_key, &[&[OPAQUE_TAG], text.as_bytes()]),
        }
    }
}

#[cfg(test)]
mod tests;
