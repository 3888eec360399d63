//! What the exchange is told at start.

use std::{fmt, net::SocketAddr, sync::Arc};

use domain::Clock;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// A bearer token: never shown, wiped when dropped, compared in constant time.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Takes the text in. An empty token matches nothing.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Whether `presented` is this token, in time that depends on the lengths only.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        !self.0.is_empty() && self.0.as_bytes().ct_eq(presented).into()
    }

    /// Lends the text, to be sent.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where events are reported and web withdrawals are asked about.
#[derive(Debug, Clone)]
pub struct EventsTarget {
    /// The decision listener: plain HTTP/1.1, so loopback or a private network only.
    pub addr: SocketAddr,
    /// Sent as `Authorization: Bearer`.
    pub token: Token,
}

/// What the exchange is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens for the gateway, plain HTTP; port 0 picks a free one.
    pub listen: SocketAddr,
    /// What the gateway must show in `x-caponier-upstream-token` for its identity headers to be believed.
    pub upstream_token: Token,
    /// Fixes deposit addresses and event ids.
    pub seed: u64,
    /// Who is told and asked. Without one nothing is reported and web withdrawals go ahead unasked, as at an
    /// exchange that has no such guard.
    pub events: Option<EventsTarget>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_match_only_themselves_and_are_not_shown() {
        let token = Token::new("s3cret".to_owned());
        assert!(token.matches(b"s3cret") && !token.matches(b"s3creT") && !token.matches(b"s3cret "));
        assert!(!Token::new(String::new()).matches(b""));
        assert_eq!(format!("{token:?}"), "<secret>");
    }
}
