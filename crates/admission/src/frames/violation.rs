//! Why a connection is told to go away.

/// One abuse of HTTP/2. The label is stable: it names the metric and the reason in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A field section in more pieces than any honest one.
    #[error("too many CONTINUATION frames in one field section")]
    ContinuationFlood,
    /// A CONTINUATION frame that continues nothing.
    #[error("CONTINUATION frame without a field section before it")]
    ContinuationWithoutStart,
    /// DATA frames that carry nothing.
    #[error("too many empty DATA frames")]
    EmptyDataFlood,
    /// Another frame before a field section ended.
    #[error("frame inside a field section that has not ended")]
    FieldSectionInterrupted,
    /// A field section above the bound, before decompression.
    #[error("field section is too long")]
    FieldSectionTooLong,
    /// A frame longer than announced.
    #[error("frame is longer than the announced maximum")]
    FrameTooLong,
    /// Field sections on streams that were opened before.
    #[error("too many field sections on streams already open or closed")]
    LateFieldSectionFlood,
    /// Frames that make the server reset streams.
    #[error("too many streams that the server had to reset")]
    MadeYouReset,
    /// PING frames.
    #[error("too many PING frames")]
    PingFlood,
    /// The connection does not begin as HTTP/2 does.
    #[error("connection preface is wrong")]
    PrefaceWrong,
    /// PRIORITY or PRIORITY_UPDATE frames.
    #[error("too many PRIORITY frames")]
    PriorityFlood,
    /// A frame that only servers send.
    #[error("PUSH_PROMISE frame from a client")]
    PushFromClient,
    /// Streams opened and reset, over and over.
    #[error("too many streams that the client reset")]
    RapidReset,
    /// More resets than a connection may see in its life.
    #[error("too many streams that the client reset on one connection")]
    ResetLifetime,
    /// SETTINGS frames.
    #[error("too many SETTINGS frames")]
    SettingsFlood,
    /// A SETTINGS frame with more settings than exist.
    #[error("SETTINGS frame is too long")]
    SettingsTooLong,
    /// DATA frames that carry hardly anything.
    #[error("too many DATA frames with hardly any data")]
    SmallDataFlood,
    /// Streams beyond those that the server allows at once.
    #[error("too many streams beyond the number allowed at once")]
    StreamFlood,
    /// Frames of unknown types.
    #[error("too many frames of unknown types")]
    UnknownFrameFlood,
    /// WINDOW_UPDATE frames that nothing sent explains.
    #[error("too many WINDOW_UPDATE frames")]
    WindowUpdateFlood,
    /// A WINDOW_UPDATE frame of zero, which provokes a reset.
    #[error("WINDOW_UPDATE frame of zero")]
    WindowUpdateZero,
}

impl Violation {
    /// Every violation, in alphabetical order.
    pub const ALL: [Self; 21] = [
        Self::ContinuationFlood,
        Self::ContinuationWithoutStart,
        Self::EmptyDataFlood,
        Self::FieldSectionInterrupted,
        Self::FieldSectionTooLong,
        Self::FrameTooLong,
        Self::LateFieldSectionFlood,
        Self::MadeYouReset,
        Self::PingFlood,
        Self::PrefaceWrong,
        Self::PriorityFlood,
        Self::PushFromClient,
        Self::RapidReset,
        Self::ResetLifetime,
        Self::SettingsFlood,
        Self::SettingsTooLong,
        Self::SmallDataFlood,
        Self::StreamFlood,
        Self::UnknownFrameFlood,
        Self::WindowUpdateFlood,
        Self::WindowUpdateZero,
    ];

    /// A stable name for metrics and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ContinuationFlood => "h2_continuation_flood",
            Self::ContinuationWithoutStart => "h2_continuation_without_start",
            Self::EmptyDataFlood => "h2_empty_data_flood",
            Self::FieldSectionInterrupted => "h2_field_section_interrupted",
            Self::FieldSectionTooLong => "h2_field_section_too_long",
            Self::FrameTooLong => "h2_frame_too_long",
            Self::LateFieldSectionFlood => "h2_late_field_section_flood",
            Self::MadeYouReset => "h2_made_you_reset",
            Self::PingFlood => "h2_ping_flood",
            Self::PrefaceWrong => "h2_preface_wrong",
            Self::PriorityFlood => "h2_priority_flood",
            Self::PushFromClient => "h2_push_from_client",
            Self::RapidReset => "h2_rapid_reset",
            Self::ResetLifetime => "h2_reset_lifetime",
            Self::SettingsFlood => "h2_settings_flood",
            Self::SettingsTooLong => "h2_settings_too_long",
            Self::SmallDataFlood => "h2_small_data_flood",
            Self::StreamFlood => "h2_stream_flood",
            Self::UnknownFrameFlood => "h2_unknown_frame_flood",
            Self::WindowUpdateFlood => "h2_window_update_flood",
            Self::WindowUpdateZero => "h2_window_update_zero",
        }
    }
}
