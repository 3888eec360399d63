//! Frames: what a segment consists of after its header. Layout in `docs/internals/journal.md`.
//!
//! A frame header of 32 bytes, integers big-endian, then the body:
//!
//! ```text
//!    0  4   tag: "ENTR" entry, "MARK" mark, "SEAL" footer of a full segment, "CLOS" clean shutdown
//!    4  4   length of the body
//!    8  8   sequence number: of this entry, else of the next one
//!   16  8   attested: all entries below this number were durable when the frame was written
//!   24  4   CRC-32C of the body
//!   28  4   CRC-32C of bytes 0..28
//! ```
//!
//! `attested` is what makes a torn tail and damage two different things: only entries at or above every attested
//! number found may have been lost in a crash without having been acknowledged.

use std::io;

use crate::{disk::DiskFile, entry::ENTRY_BYTES_MAX};

/// Bytes of a frame header.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;

/// Bytes of a seal's body: number of entries, Merkle root.
pub(crate) const SEAL_BODY_BYTES: usize = 8 + 32;

/// Bytes read from a file at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Entry,
    Mark,
    Seal,
    Close,
}

impl Tag {
    const ALL: [Self; 4] = [Self::Entry, Self::Mark, Self::Seal, Self::Close];

    const fn bytes(self) -> [u8; 4] {
        match self {
            Self::Entry => *b"ENTR",
            Self::Mark => *b"MARK",
            Self::Seal => *b"SEAL",
            Self::Close => *b"CLOS",
        }
    }

    fn body_fits(self, len: usize) -> bool {
        match self {
            Self::Entry => (1..=ENTRY_BYTES_MAX).contains(&len),
            Self::Mark | Self::Close => len == 0,
            Self::Seal => len == SEAL_BODY_BYTES,
        }
    }
}

/// A frame header that matches its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) tag: Tag,
    pub(crate) body_len: usize,
    pub(crate) seq: u64,
    pub(crate) attested: u64,
    body_crc: u32,
}

impl FrameHeader {
    fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.tag.bytes());
        // Bodies are at most 65 535 bytes long.
        bytes[4..8].copy_from_slice(&u32::try_from(self.body_len).unwrap_or(u32::MAX).to_be_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.attested.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.body_crc.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER_BYTES]) -> Result<Self, FrameFault> {
        if crc32c::crc32c(&bytes[..28]).to_be_bytes() != bytes[28..] {
            return Err(FrameFault::HeaderChecksum);
        }
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
        let tag =
            Tag::ALL.into_iter().find(|tag| tag.bytes() == bytes[..4]).ok_or(FrameFault::HeaderFormat)?;
        let body_len = usize::try_from(word(4)).map_err(|_| FrameFault::HeaderFormat)?;
        if !tag.body_fits(body_len) {
            return Err(FrameFault::HeaderFormat);
        }
        Ok(Self { tag, body_len, seq: long(8), attested: long(16), body_crc: word(24) })
    }
}

/// Appends a frame to `out`; `body` appends the body.
pub(crate) fn push_frame(
    out: &mut Vec<u8>,
    tag: Tag,
    seq: u64,
    attested: u64,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    body(out);
    let content = &out[start + FRAME_HEADER_BYTES..];
    let header =
        FrameHeader { tag, body_len: content.len(), seq, attested, body_crc: crc32c::crc32c(content) };
    debug_assert!(tag.body_fits(header.body_len), "bodies keep their bounds");
    out[start..start + FRAME_HEADER_BYTES].copy_from_slice(&header.encode());
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// The file ends within the header.
    HeaderShort,
    /// The header does not match its checksum.
    HeaderChecksum,
    /// The header matches its checksum but is not of a known form.
    HeaderFormat,
    /// The file ends within the body.
    BodyShort,
    /// The body does not match its checksum.
    BodyChecksum,
}

/// One step of a [`FrameCursor`].
#[derive(Debug)]
pub(crate) enum Step<'c> {
    /// A good frame at `offset`.
    Frame { offset: u64, header: FrameHeader, body: &'c [u8] },
    /// Not a good frame. With `header`, the cursor has moved past it; without, it stays.
    Bad { offset: u64, fault: FrameFault, header: Option<FrameHeader> },
    /// The end, reached exactly.
    End,
}

/// Reads frame after frame of a file, up to a fixed end. Holds one buffer of at least 1 MiB.
#[derive(Debug)]
pub(crate) struct FrameCursor {
    offset: u64,
    end: u64,
    buffer: Vec<u8>,
    /// File offset of the buffer's first byte.
    buffer_at: u64,
    filled: usize,
}

impl FrameCursor {
    pub(crate) fn new(offset: u64, end: u64) -> Self {
        Self { offset, end, buffer: Vec::new(), buffer_at: 0, filled: 0 }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Moves to another place, perhaps with another end; keeps what is buffered if the file is the same.
    pub(crate) fn extend(&mut self, end: u64) {
        self.end = end;
    }

    pub(crate) fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// At least `len` bytes from the present offset, fewer only where the file ends.
    fn fill(&mut self, file: &dyn DiskFile, len: usize) -> io::Result<(usize, usize)> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let wanted = len.min(left);
        let start = self.offset.checked_sub(self.buffer_at).and_then(|start| usize::try_from(start).ok());
        if let Some(start) = start
            && start + wanted <= self.filled
        {
            return Ok((start, start + wanted));
        }
        let chunk = CHUNK_BYTES.max(wanted).min(left);
        if self.buffer.len() < chunk {
            self.buffer.resize(chunk, 0);
        }
        self.filled = 0;
        self.filled = file.read_at(self.offset, &mut self.buffer[..chunk])?;
        self.buffer_at = self.offset;
        Ok((0, wanted.min(self.filled)))
    }

    /// The next frame. After [`Step::Bad`] without a header the same step repeats until [`FrameCursor::seek`].
    pub(crate) fn step(&mut self, file: &dyn DiskFile) -> io::Result<Step<'_>> {
        let offset = self.offset;
        if offset >= self.end {
            return Ok(Step::End);
        }
        let (start, end) = self.fill(file, FRAME_HEADER_BYTES)?;
        let Some(bytes) = self.buffer[start..end].first_chunk() else {
            return Ok(Step::Bad { offset, fault: FrameFault::HeaderShort, header: None });
        };
        let header = match FrameHeader::parse(bytes) {
            Ok(header) => header,
            Err(fault) => return Ok(Step::Bad { offset, fault, header: None }),
        };
        let frame_len = FRAME_HEADER_BYTES + header.body_len;
        let (start, end) = self.fill(file, frame_len)?;
        if end - start < frame_len {
            return Ok(Step::Bad { offset, fault: FrameFault::BodyShort, header: None });
        }
        self.offset += frame_len as u64;
        let body = &self.buffer[start + FRAME_HEADER_BYTES..end];
        if crc32c::crc32c(body) == header.body_crc {
            Ok(Step::Frame { offset, header, body })
        } else {
            Ok(Step::Bad { offset, fault: FrameFault::BodyChecksum, header: Some(header) })
        }
    }

    /// Looks from the present offset on, byte by byte, for a header that matches its checksum and that `accept`
    /// accepts; the cursor then stands on it.
    pub(crate) fn find(
        &mut self,
        file: &dyn DiskFile,
        accept: impl Fn(&FrameHeader) -> bool,
    ) -> io::Result<Option<FrameHeader>> {
        while self.offset + FRAME_HEADER_BYTES as u64 <= self.end {
            let (start, _) = self.fill(file, FRAME_HEADER_BYTES)?;
            let window = &self.buffer[start..self.filled];
            let hit = window.windows(FRAME_HEADER_BYTES).enumerate().find_map(|(skip, bytes)| {
                let bytes: &[u8; FRAME_HEADER_BYTES] = bytes.try_into().ok()?;
                Tag::ALL.iter().find(|tag| tag.bytes() == bytes[..4])?;
                let header = FrameHeader::parse(bytes).ok().filter(&accept)?;
                Some((skip, header))
            });
            match hit {
                Some((skip, header)) => {
                    self.offset += skip as u64;
                    return Ok((self.offset + FRAME_HEADER_BYTES as u64 <= self.end).then_some(header));
                }
                None if window.len() < FRAME_HEADER_BYTES => break,
                None => self.offset += (window.len() - FRAME_HEADER_BYTES + 1) as u64,
            }
        }
        self.offset = self.end;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk as _, SimDisk};

    fn frames() -> Vec<u8> {
        let mut out = Vec::new();
        push_frame(&mut out, Tag::Entry, 5, 5, |out| out.extend_from_slice(b"body"));
        push_frame(&mut out, Tag::Mark, 6, 6, |_| {});
        out
    }

    #[test]
    fn frames_read_back_and_a_bad_body_is_stepped_over() {
        let disk = SimDisk::new(1);
        disk.plant("f", &frames());
        let file = disk.open("f").unwrap();
        let mut cursor = FrameCursor::new(0, file.len().unwrap());
        assert!(matches!(
            cursor.step(&*file).unwrap(),
            Step::Frame { offset: 0, header: FrameHeader { tag: Tag::Entry, seq: 5, .. }, body: b"body" }
        ));
        assert!(matches!(cursor.step(&*file).unwrap(), Step::Frame { offset: 36, .. }));
        assert!(matches!(cursor.step(&*file).unwrap(), Step::End));

        disk.flip("f", 33 * 8);
        let file = disk.open("f").unwrap();
        let mut cursor = FrameCursor::new(0, 68);
        let bad = cursor.step(&*file).unwrap();
        assert!(matches!(bad, Step::Bad { fault: FrameFault::BodyChecksum, header: Some(_), .. }));
        assert!(matches!(cursor.step(&*file).unwrap(), Step::Frame { offset: 36, .. }));
    }

    #[test]
    fn every_flipped_bit_spoils_its_frame() {
        let good = frames();
        for bit in 0..good.len() * 8 {
            let disk = SimDisk::new(1);
            disk.plant("f", &good);
            disk.flip("f", bit);
            let file = disk.open("f").unwrap();
            let mut cursor = FrameCursor::new(0, good.len() as u64);
            let first_is_bad = matches!(cursor.step(&*file).unwrap(), Step::Bad { offset: 0, .. });
            assert_eq!(first_is_bad, bit < 36 * 8, "bit {bit}");
            if !first_is_bad {
                assert!(matches!(cursor.step(&*file).unwrap(), Step::Bad { offset: 36, .. }), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_header_is_found_behind_damage() {
        let disk = SimDisk::new(1);
        let mut bytes = vec![0; 700];
        bytes.extend_from_slice(&frames());
        disk.plant("f", &bytes);
        let file = disk.open("f").unwrap();
        let mut cursor = FrameCursor::new(0, bytes.len() as u64);
        let found = cursor.find(&*file, |header| header.attested > 5).unwrap().unwrap();
        assert_eq!((found.seq, cursor.offset()), (6, 736));
        let mut cursor = FrameCursor::new(0, bytes.len() as u64);
        assert!(cursor.find(&*file, |header| header.attested > 6).unwrap().is_none());
    }
}
