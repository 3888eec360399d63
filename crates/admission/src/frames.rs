//! HTTP/2 frame budgets: what a client may make the server do on one connection before it is told to go away.
//!
//! [`FrameBudget`] reads along: the raw client bytes (preface, then frames: RFC 9113 sections 3.4 and 4.1) and, for
//! the resets and data of the server, the raw bytes of the other direction. It looks at the 9-byte frame headers and
//! at most at the first four payload bytes, skips the rest by length, and answers with a [`Violation`] at the first
//! frame beyond a budget. The caller then sends `GOAWAY(ENHANCE_YOUR_CALM)` and closes. Not here: HPACK, stream
//! states and flow control, which the HTTP/2 library checks; this counts what a library may find correct and is
//! abuse all the same (rapid reset, CVE-2023-44487; CONTINUATION flood, CVE-2024-27316; made-you-reset,
//! CVE-2025-8671; floods of SETTINGS, PING, PRIORITY, WINDOW_UPDATE and empty DATA).
//!
//! Budgets per window are exact [`Gcra`](crate::Gcra): a whole budget at once, and the same amount in every further window of one
//! second ([`FrameLimits::default`]). One second, because a flood empties any budget within milliseconds, while what
//! trickles in at the budget's own rate costs less than the same number of ordinary requests. Frames that honest
//! clients send in proportion to their work are paid for by that work first:
//!
//! - a WINDOW_UPDATE by the DATA frames sent to the client (two each, one for the stream and one for the connection)
//!   and the streams opened (four each), so that no download, slow or fast, ever touches the budget;
//! - PRIORITY and PRIORITY_UPDATE by the streams opened (two each);
//! - an empty DATA frame with END_STREAM, and a field section on a stream that is already open (trailers), by the
//!   streams opened (one each).
//!
//! Time: a constant amount per frame. Memory: fixed, about half a kilobyte. Nothing depends on how the bytes are cut.

mod cursor;
mod limits;
mod violation;

use std::sync::Arc;

use domain::UnixNanos;

use self::{
    cursor::{Cursor, Head, Step, kind},
    limits::Budget,
};
pub use self::{limits::FrameLimits, violation::Violation};
use crate::gcra::Quota;

/// What the client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;

/// Updates of a window that one DATA frame to the client pays for.
const UPDATES_PER_DATA: u32 = 2;
/// Updates of a window that one opened stream pays for.
const UPDATES_PER_STREAM: u32 = 4;
/// Most updates paid for in advance: twice the DATA frames of a 64 MiB window of 16 KiB frames.
const UPDATE_CREDIT_MAX: u32 = 8_192;
/// Most priority frames, empty last DATA frames and trailers paid for in advance; streams open at once are fewer.
const STREAM_CREDIT_MAX: u32 = 1_024;
/// Priority frames that one opened stream pays for.
const PRIORITIES_PER_STREAM: u32 = 2;

/// A field section that has begun and not ended.
#[derive(Debug, Clone, Copy)]
struct Block {
    stream: u32,
    bytes: u32,
    continuations: u32,
}

/// What the codes of the server's own RST_STREAM frames say (RFC 9113 section 7).
mod code {
    pub(super) const PROTOCOL_ERROR: u32 = 1;
    pub(super) const FLOW_CONTROL_ERROR: u32 = 3;
    pub(super) const STREAM_CLOSED: u32 = 5;
    pub(super) const FRAME_SIZE_ERROR: u32 = 6;
    pub(super) const REFUSED_STREAM: u32 = 7;
    pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
}

/// What happened on a connection so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameCounts {
    /// Frames from the client.
    pub frames: u64,
    /// Streams the client opened.
    pub streams: u64,
    /// Streams the client reset.
    pub resets: u64,
    /// Streams the server reset because of what the client sent.
    pub resets_provoked: u64,
}

/// The budgets of one HTTP/2 connection, from its first byte.
#[derive(Debug)]
pub struct FrameBudget {
    limits: Arc<FrameLimits>,
    preface: usize,
    received: Cursor,
    sent: Cursor,
    block: Option<Block>,
    stream_last: u32,
    counts: FrameCounts,
    violation: Option<Violation>,
    data_empty: Budget,
    data_small: Budget,
    field_sections_late: Budget,
    other: Budget,
    ping: Budget,
    priority: Budget,
    refused_streams: Budget,
    resets: Budget,
    resets_provoked: Budget,
    settings: Budget,
    window_updates: Budget,
}

impl FrameBudget {
    /// For a new connection. The limits are shared by all of them.
    #[must_use]
    pub fn new(limits: Arc<FrameLimits>) -> Self {
        Self {
            limits,
            preface: 0,
            received: Cursor::default(),
            sent: Cursor::default(),
            block: None,
            stream_last: 0,
            counts: FrameCounts::default(),
            violation: None,
            data_empty: Budget::default(),
            data_small: Budget::default(),
            field_sections_late: Budget::default(),
            other: Budget::default(),
            ping: Budget::default(),
            priority: Budget::default(),
            refused_streams: Budget::default(),
            resets: Budget::default(),
            resets_provoked: Budget::default(),
            settings: Budget::default(),
            window_updates: Budget::default(),
        }
    }

    /// What happened so far.
    #[must_use]
    pub const fn counts(&self) -> FrameCounts {
        self.counts
    }

    /// Whether a whole frame is due: the last one is not complete, or a field section is open. For the deadline on
    /// slow heads.
    #[must_use]
    pub const fn is_within_head(&self) -> bool {
        self.preface < PREFACE.len() || self.block.is_some() || self.received.is_within_head()
    }

    /// Reads the next bytes from the client, however they are cut.
    ///
    /// # Errors
    /// [`Violation`], the same for ever after: the connection is to be closed.
    pub fn received(&mut self, mut bytes: &[u8], now: UnixNanos) -> Result<(), Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        while self.preface < PREFACE.len() {
            let Some((byte, rest)) = bytes.split_first() else { return Ok(()) };
            if *byte != PREFACE[self.preface] {
                return self.refuse(Violation::PrefaceWrong);
            }
            self.preface += 1;
            bytes = rest;
        }
        while let Some(step) = self.received.next(&mut bytes) {
            let judged = match step {
                Step::Head(head) => self.head(head, now),
                Step::Start(head, start) => self.start(head, start, now),
            };
            if let Err(violation) = judged {
                return self.refuse(violation);
            }
        }
        Ok(())
    }

    /// Reads the next bytes to the client, however they are cut: data sent pays for window updates, and resets that
    /// the client provoked are counted. A connection whose sent bytes are never shown is judged without both.
    ///
    /// # Errors
    /// [`Violation`], the same for ever after: the connection is to be closed.
    pub fn sent(&mut self, mut bytes: &[u8], now: UnixNanos) -> Result<(), Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        while let Some(step) = self.sent.next(&mut bytes) {
            match step {
                Step::Head(head) if head.kind == kind::DATA => {
                    self.window_updates.pay(UPDATES_PER_DATA, UPDATE_CREDIT_MAX);
                }
                Step::Start(head, start) if head.kind == kind::RST_STREAM => {
                    if let Err(violation) = self.reset_by_server(u32::from_be_bytes(start), now) {
                        return self.refuse(violation);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn refuse(&mut self, violation: Violation) -> Result<(), Violation> {
        self.violation = Some(violation);
        Err(violation)
    }

    /// Judges a frame from the client by its header.
    fn head(&mut self, head: Head, now: UnixNanos) -> Result<(), Violation> {
        self.counts.frames += 1;
        let limits = &*self.limits;
        if head.length > limits.frame_bytes_max {
            return Err(Violation::FrameTooLong);
        }
        if let Some(block) = &mut self.block {
            if head.kind != kind::CONTINUATION || head.stream != block.stream {
                return Err(Violation::FieldSectionInterrupted);
            }
            block.bytes = block.bytes.saturating_add(head.length);
            block.continuations += 1;
            if block.bytes > limits.field_section_bytes_max {
                return Err(Violation::FieldSectionTooLong);
            }
            if block.continuations > limits.continuations_max {
                return Err(Violation::ContinuationFlood);
            }
            if head.flags & END_HEADERS != 0 {
                self.block = None;
            }
            return Ok(());
        }
        match head.kind {
            kind::DATA => self.data(head, now),
            kind::HEADERS => self.headers(head, now),
            kind::PRIORITY | kind::PRIORITY_UPDATE => {
                self.priority.charge(limits.priority, now, Violation::PriorityFlood)
            }
            kind::RST_STREAM => self.reset_by_client(now),
            kind::SETTINGS => {
                if head.flags & ACK == 0 && head.length > limits.settings_bytes_max {
                    return Err(Violation::SettingsTooLong);
                }
                self.settings.charge(limits.settings, now, Violation::SettingsFlood)
            }
            kind::PUSH_PROMISE => Err(Violation::PushFromClient),
            kind::PING => self.ping.charge(limits.ping, now, Violation::PingFlood),
            kind::WINDOW_UPDATE => {
                self.window_updates.charge(limits.window_updates, now, Violation::WindowUpdateFlood)
            }
            kind::CONTINUATION => Err(Violation::ContinuationWithoutStart),
            _ => self.other.charge(limits.other, now, Violation::UnknownFrameFlood),
        }
    }

    /// Judges a frame from the client by the first bytes of its payload, after [`Self::head`].
    fn start(&mut self, head: Head, start: [u8; 4], now: UnixNanos) -> Result<(), Violation> {
        match head.kind {
            // Padding alone is no data: judged here, because its length is the first byte of the payload.
            kind::DATA if head.flags & PADDED != 0 => {
                self.data_of(head, head.length.saturating_sub(1 + u32::from(start[0])), now)
            }
            kind::WINDOW_UPDATE if u32::from_be_bytes(start) & 0x7fff_ffff == 0 => {
                Err(Violation::WindowUpdateZero)
            }
            _ => Ok(()),
        }
    }

    fn data(&mut self, head: Head, now: UnixNanos) -> Result<(), Violation> {
        if head.flags & PADDED != 0 && head.length > 0 {
            return Ok(()); // judged when the length of the padding is there
        }
        self.data_of(head, head.length, now)
    }

    fn data_of(&mut self, head: Head, payload_bytes: u32, now: UnixNanos) -> Result<(), Violation> {
        let ends = head.flags & END_STREAM != 0;
        if payload_bytes == 0 {
            let paid = ends && self.data_empty.spend();
            return if paid {
                Ok(())
            } else {
                self.data_empty.charge_unpaid(self.limits.data_empty, now, Violation::EmptyDataFlood)
            };
        }
        if payload_bytes < self.limits.data_small_bytes && !ends {
            return self.data_small.charge(self.limits.data_small, now, Violation::SmallDataFlood);
        }
        Ok(())
    }

    fn headers(&mut self, head: Head, now: UnixNanos) -> Result<(), Violation> {
        let limits = &*self.limits;
        if head.length > limits.field_section_bytes_max {
            return Err(Violation::FieldSectionTooLong);
        }
        if head.flags & END_HEADERS == 0 {
            self.block = Some(Block { stream: head.stream, bytes: head.length, continuations: 0 });
        }
        if head.stream <= self.stream_last {
            return self.field_sections_late.charge(
                limits.field_sections_late,
                now,
                Violation::LateFieldSectionFlood,
            );
        }
        self.stream_last = head.stream;
        self.counts.streams += 1;
        self.data_empty.pay(1, STREAM_CREDIT_MAX);
        self.field_sections_late.pay(1, STREAM_CREDIT_MAX);
        self.priority.pay(PRIORITIES_PER_STREAM, STREAM_CREDIT_MAX);
        self.window_updates.pay(UPDATES_PER_STREAM, UPDATE_CREDIT_MAX);
        Ok(())
    }

    fn reset_by_client(&mut self, now: UnixNanos) -> Result<(), Violation> {
        let limits = &*self.limits;
        let counts = &mut self.counts;
        counts.resets += 1;
        if counts.resets > u64::from(limits.resets_lifetime) {
            return Err(Violation::ResetLifetime);
        }
        let is_habit =
            counts.resets > u64::from(limits.resets_free) && counts.resets.saturating_mul(2) > counts.streams;
        if is_habit {
            return Err(Violation::RapidReset);
        }
        self.resets.charge(limits.resets, now, Violation::RapidReset)
    }

    fn reset_by_server(&mut self, code: u32, now: UnixNanos) -> Result<(), Violation> {
        let limits = &*self.limits;
        match code {
            code::REFUSED_STREAM => {
                self.refused_streams.charge(limits.refused_streams, now, Violation::StreamFlood)
            }
            code::PROTOCOL_ERROR
            | code::FLOW_CONTROL_ERROR
            | code::STREAM_CLOSED
            | code::FRAME_SIZE_ERROR
            | code::ENHANCE_YOUR_CALM => {
                self.counts.resets_provoked += 1;
                if self.counts.resets_provoked > u64::from(limits.resets_lifetime) {
                    return Err(Violation::MadeYouReset);
                }
                self.resets_provoked.charge(limits.resets, now, Violation::MadeYouReset)
            }
            // An answer before the whole body (NO_ERROR), our own fault (INTERNAL_ERROR), our own wish (CANCEL).
            _ => Ok(()),
        }
    }
}

/// A budget of `burst` per second.
const fn per_second(burst: u32) -> Quota {
    match Quota::new(burst, std::time::Duration::from_secs(1)) {
        Ok(quota) => quota,
        Err(_) => panic!("the burst is at least 1 and at most 10^9"),
    }
}

#[cfg(test)]
mod tests;
