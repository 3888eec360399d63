//! Where in a stream of HTTP/2 frames the next byte lies.
//!
//! Source: RFC 9113 section 4.1. No bound on the length is applied here: 24 bits are the most a frame can state.

/// Frame types (RFC 9113 section 6; PRIORITY_UPDATE: RFC 9218 section 7.1).
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
    pub(crate) const PRIORITY_UPDATE: u8 = 0x10;
}

const HEAD_BYTES: usize = 9;
/// Payload bytes that are looked at.
const START_BYTES: usize = 4;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Of the payload, in bytes.
    pub(super) length: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// Without the reserved bit.
    pub(super) stream: u32,
}

impl Head {
    const fn parse(bytes: [u8; HEAD_BYTES]) -> Self {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = bytes;
        Self {
            length: u32::from_be_bytes([0, l1, l2, l3]),
            kind,
            flags,
            stream: u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff,
        }
    }
}

/// What the reader has come upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The whole header of a frame.
    Head(Head),
    /// The first bytes of its payload, as many of the four as it has, zeroes behind them. Not for empty payloads.
    Start(Head, [u8; START_BYTES]),
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Head,
    Start(Head),
    /// This many payload bytes are still to be skipped.
    Rest(usize),
}

/// Reads frames out of a byte stream that comes in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    place: Place,
    kept: [u8; HEAD_BYTES],
    n_kept: usize,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { place: Place::Head, kept: [0; HEAD_BYTES], n_kept: 0 }
    }
}

impl Cursor {
    /// Whether part of a frame header is there.
    pub(super) const fn is_within_head(&self) -> bool {
        matches!(self.place, Place::Head) && self.n_kept > 0
    }

    /// Moves on to the next step; `None` when the bytes are used up.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Step> {
        loop {
            match self.place {
                Place::Head => {
                    self.keep(bytes, HEAD_BYTES)?;
                    let head = Head::parse(self.kept);
                    self.place = if head.length == 0 { Place::Head } else { Place::Start(head) };
                    return Some(Step::Head(head));
                }
                Place::Start(head) => {
                    let length = head.length as usize;
                    let wanted = length.min(START_BYTES);
                    self.keep(bytes, wanted)?;
                    let mut start = [0; START_BYTES];
                    start[..wanted].copy_from_slice(&self.kept[..wanted]);
                    self.place = if length > wanted { Place::Rest(length - wanted) } else { Place::Head };
                    return Some(Step::Start(head, start));
                }
                Place::Rest(left) => {
                    let skipped = left.min(bytes.len());
                    *bytes = &bytes[skipped..];
                    if skipped < left {
                        self.place = Place::Rest(left - skipped);
                        return None;
                    }
                    self.place = Place::Head;
                }
            }
        }
    }

    /// Collects until `wanted` bytes are there.
    fn keep(&mut self, bytes: &mut &[u8], wanted: usize) -> Option<()> {
        let taken = (wanted - self.n_kept).min(bytes.len());
        let (head, rest) = bytes.split_at(taken);
        self.kept[self.n_kept..self.n_kept + taken].copy_from_slice(head);
        *bytes = rest;
        self.n_kept += taken;
        if self.n_kept < wanted {
            return None;
        }
        self.n_kept = 0;
        Some(())
    }
}
