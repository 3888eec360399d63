//! What sources do wrong, and how much it weighs.

use std::fmt;

/// One thing a source did wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// A signature that does not verify.
    BadSignature,
    /// A [`Violation`](crate::frames::Violation) of an HTTP/2 budget.
    H2Violation,
    /// A TLS handshake that failed or timed out.
    HandshakeFailure,
    /// A request that is no request, or an ambiguous one.
    Malformed,
    /// A request beyond a rate limit.
    RateLimited,
    /// A request for a path that is not served.
    RefusedRoute,
    /// A request that was seen before.
    Replay,
    /// A head, body or reader below the minimum rate.
    Slow,
    /// An API key that does not exist.
    UnknownKey,
}

impl Event {
    /// Every event, in alphabetical order.
    pub const ALL: [Self; 9] = [
        Self::BadSignature,
        Self::H2Violation,
        Self::HandshakeFailure,
        Self::Malformed,
        Self::RateLimited,
        Self::RefusedRoute,
        Self::Replay,
        Self::Slow,
        Self::UnknownKey,
    ];

    /// A stable name for metrics and reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::H2Violation => "h2_violation",
            Self::HandshakeFailure => "handshake_failure",
            Self::Malformed => "malformed",
            Self::RateLimited => "rate_limited",
            Self::RefusedRoute => "refused_route",
            Self::Replay => "replay",
            Self::Slow => "slow",
            Self::UnknownKey => "unknown_key",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// Points for each event.
///
/// # Defaults
/// 5 for a bad signature, unknown key, refused route and failed handshake; 10 for slowness and malformed requests;
/// 20 for a replay; 50 for an HTTP/2 violation, which ends a connection; 1 for a request beyond a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights([u16; Event::ALL.len()]);

impl Weights {
    /// Points for an event.
    #[must_use]
    pub const fn of(&self, event: Event) -> u16 {
        self.0[event.index()]
    }

    /// The same with other points for an event; 0 leaves it out of the score.
    #[must_use]
    pub const fn with(mut self, event: Event, points: u16) -> Self {
        self.0[event.index()] = points;
        self
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self([5, 50, 5, 10, 1, 5, 20, 10, 5])
    }
}

/// How often each event was seen while the score lasted; saturates at 65,535.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence([u16; Event::ALL.len()]);

impl Evidence {
    pub(super) const fn count(&mut self, event: Event) {
        let count = &mut self.0[event.index()];
        *count = count.saturating_add(1);
    }

    pub(super) const fn set(&mut self, event: Event, count: u16) {
        self.0[event.index()] = count;
    }

    /// How often an event was seen.
    #[must_use]
    pub const fn of(&self, event: Event) -> u16 {
        self.0[event.index()]
    }

    /// The events that were seen, with how often.
    pub fn seen(&self) -> impl Iterator<Item = (Event, u16)> {
        Event::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// The event that made up most of the score.
    pub(super) fn main(&self, weights: &Weights) -> Option<Event> {
        self.seen()
            .max_by_key(|(event, count)| u32::from(*count) * u32::from(weights.of(*event)))
            .map(|(event, _)| event)
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.seen().map(|(event, count)| (event.label(), count))).finish()
    }
}
