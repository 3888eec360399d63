//! How much of each kind of frame is too much.

use domain::UnixNanos;

use super::{per_second, violation::Violation};
use crate::gcra::{Gcra, Quota};

/// The budgets of a connection.
///
/// # Defaults
/// - `continuations_max`: 16 in a field section
/// - `data_empty`: 100 in a second, beside one per stream that ends it
/// - `data_small`, `data_small_bytes`: 1,000 in a second of less than 64 bytes that do not end their stream
/// - `field_section_bytes_max`: 16 KiB, before decompression
/// - `field_sections_late`: 100 in a second on streams already open, beside one per stream
/// - `frame_bytes_max`: 16 KiB, the least that RFC 9113 allows and what servers announce
/// - `other`: 100 frames in a second of types this does not know, GOAWAY included
/// - `ping`: 100 in a second
/// - `priority`: 100 in a second, beside two per stream
/// - `refused_streams`: 1,000 in a second beyond the streams the server allows
/// - `resets`: 100 in a second, by the client and provoked by it each
/// - `resets_free`: 500, after which resets of more than half of the streams are a habit
/// - `resets_lifetime`: 10,000
/// - `settings`: 50 in a second, acknowledgements included
/// - `settings_bytes_max`: 240, forty settings; ten are registered
/// - `window_updates`: 1,000 in a second, beside two per DATA frame sent to the client and four per stream
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// CONTINUATION frames in one field section.
    pub continuations_max: u32,
    /// DATA frames without data.
    pub data_empty: Quota,
    /// DATA frames with hardly any data.
    pub data_small: Quota,
    /// What hardly any is: less than this many bytes.
    pub data_small_bytes: u32,
    /// Bytes of one field section as sent, before decompression.
    pub field_section_bytes_max: u32,
    /// Field sections on streams that were opened before: trailers, and headers on closed streams.
    pub field_sections_late: Quota,
    /// Payload bytes of one frame.
    pub frame_bytes_max: u32,
    /// Frames of unknown types, and GOAWAY.
    pub other: Quota,
    /// PING frames, answers included.
    pub ping: Quota,
    /// PRIORITY and PRIORITY_UPDATE frames.
    pub priority: Quota,
    /// Streams beyond those that the server allows at once (seen as its `REFUSED_STREAM`).
    pub refused_streams: Quota,
    /// RST_STREAM frames: by the client, and by the server for the client's faults.
    pub resets: Quota,
    /// Resets after which the share of streams that were reset is looked at.
    pub resets_free: u32,
    /// RST_STREAM frames on one connection, by the client, and by the server for the client's faults.
    pub resets_lifetime: u32,
    /// SETTINGS frames.
    pub settings: Quota,
    /// Payload bytes of one SETTINGS frame.
    pub settings_bytes_max: u32,
    /// WINDOW_UPDATE frames that nothing sent has paid for.
    pub window_updates: Quota,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            continuations_max: 16,
            data_empty: per_second(100),
            data_small: per_second(1_000),
            data_small_bytes: 64,
            field_section_bytes_max: 16 << 10,
            field_sections_late: per_second(100),
            frame_bytes_max: 16 << 10,
            other: per_second(100),
            ping: per_second(100),
            priority: per_second(100),
            refused_streams: per_second(1_000),
            resets: per_second(100),
            resets_free: 500,
            resets_lifetime: 10_000,
            settings: per_second(50),
            settings_bytes_max: 240,
            window_updates: per_second(1_000),
        }
    }
}

/// What is left of one budget: frames paid for in advance, then a rate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Budget {
    credit: u32,
    state: Gcra,
}

impl Budget {
    /// Pays for `frames` to come, up to `credit_max` unspent.
    pub(super) fn pay(&mut self, frames: u32, credit_max: u32) {
        self.credit = self.credit.saturating_add(frames).min(credit_max);
    }

    /// Takes one frame from what was paid for, if anything was.
    pub(super) const fn spend(&mut self) -> bool {
        let paid = self.credit > 0;
        self.credit = self.credit.saturating_sub(1);
        paid
    }

    /// Takes one frame from what was paid for, or else from the rate.
    pub(super) fn charge(
        &mut self,
        quota: Quota,
        now: UnixNanos,
        beyond: Violation,
    ) -> Result<(), Violation> {
        if self.spend() { Ok(()) } else { self.charge_unpaid(quota, now, beyond) }
    }

    /// Takes one frame from the rate.
    pub(super) fn charge_unpaid(
        &mut self,
        quota: Quota,
        now: UnixNanos,
        beyond: Violation,
    ) -> Result<(), Violation> {
        self.state.check(quota, 1, now).map(drop).map_err(|_| beyond)
    }
}
