//! Segments: files of frames, each beginning where the one before was sealed.
//!
//! Header of 64 bytes, integers big-endian:
//!
//! ```text
//!    0  8   magic "CAPJSEG1"
//!    8  4   format version, 1
//!   12  4   zero
//!   16  8   first sequence number = size of the Merkle tree before this segment
//!   24 32   root of that tree (RFC 6962)
//!   56  4   zero
//!   60  4   CRC-32C of bytes 0..60
//! ```
//!
//! A full segment ends with a `SEAL` frame that states its number of entries and the root of the tree up to its end.

use std::{io, sync::Arc};

use parking_lot::RwLock;
use tlog::Hash;

use crate::{
    disk::{Disk, DiskFile},
    frame::SEAL_BODY_BYTES,
    layout::{JOURNAL_DIR, segment_path},
};

/// Bytes of a segment header.
pub(crate) const SEGMENT_HEADER_BYTES: usize = 64;

/// Every so many entries the place of one is kept in memory: 8 bytes of index for 256 entries.
pub(crate) const INDEX_EVERY: u64 = 256;

const MAGIC: [u8; 8] = *b"CAPJSEG1";
const VERSION: u32 = 1;

/// What a segment header states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) first_seq: u64,
    pub(crate) root: Hash,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.first_seq.to_be_bytes());
        bytes[24..56].copy_from_slice(&self.root.0);
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// `None` for anything but the header of a segment of this version.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEGMENT_HEADER_BYTES] = bytes.try_into().ok()?;
        let first_seq = u64::from_be_bytes(bytes[16..24].try_into().ok()?);
        let root = Hash(bytes[24..56].try_into().ok()?);
        let header = Self { first_seq, root };
        // The encoding is unique, so comparing it checks magic, version, zeroes and checksum at once.
        (header.encode() == *bytes).then_some(header)
    }
}

/// What the footer of a full segment states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) entries: u64,
    pub(crate) root: Hash,
}

impl Seal {
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.entries.to_be_bytes());
        out.extend_from_slice(&self.root.0);
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEAL_BODY_BYTES] = bytes.try_into().ok()?;
        let entries = u64::from_be_bytes(bytes[..8].try_into().ok()?);
        Some(Self { entries, root: Hash(bytes[8..].try_into().ok()?) })
    }
}

/// A segment as readers see it: only what is durable.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first_seq: u64,
    pub(crate) path: String,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) state: RwLock<SegmentState>,
}

#[derive(Debug, Default)]
pub(crate) struct SegmentState {
    pub(crate) entries: u64,
    /// Durable bytes: up to the end of the last durable frame.
    pub(crate) len: u64,
    pub(crate) sealed: bool,
    /// Offset of the frame of entry `first_seq + i * INDEX_EVERY`.
    pub(crate) index: Vec<u64>,
}

impl Segment {
    /// Makes a new segment, durable in name and header.
    pub(crate) fn create(disk: &dyn Disk, header: &SegmentHeader) -> io::Result<Arc<Self>> {
        let path = segment_path(header.first_seq);
        let file = disk.create(&path)?;
        file.write_at(0, &header.encode())?;
        file.sync()?;
        disk.sync_dir(JOURNAL_DIR)?;
        let state = SegmentState { len: SEGMENT_HEADER_BYTES as u64, ..SegmentState::default() };
        Ok(Arc::new(Self { first_seq: header.first_seq, path, file, state: RwLock::new(state) }))
    }

    /// Where to start reading to meet entry `seq`: the nearest known frame at or before it.
    pub(crate) fn offset_near(&self, seq: u64) -> u64 {
        let state = self.state.read();
        let step = seq.saturating_sub(self.first_seq) / INDEX_EVERY;
        let known = usize::try_from(step).ok().and_then(|step| state.index.get(step)).or(state.index.last());
        known.copied().unwrap_or(SEGMENT_HEADER_BYTES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_spoils_the_header() {
        let header = SegmentHeader { first_seq: 77, root: Hash([0xab; 32]) };
        let mut bytes = header.encode();
        assert_eq!(SegmentHeader::parse(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::parse(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(SegmentHeader::parse(&bytes[..63]), None);
    }
}
