//! Allow-list entries: endpoints and instruments, each with one spelling.
//!
//! A pattern ends in `*` or has none: what a pattern allows can be read off it. Comparison is byte for byte on the
//! text of the wire, so a request that spells an endpoint differently is not allowed; the caller refuses paths that
//! are not canonical before.

use std::fmt;

/// A text that is not a pattern, or not an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a pattern")]
pub struct BadPattern;

/// Which method an endpoint pattern is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Verb {
    Any,
    Get,
    Post,
}

impl Verb {
    const ALL: [Self; 3] = [Self::Any, Self::Get, Self::Post];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "*",
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    fn is(self, method: &[u8]) -> bool {
        self == Self::Any || self.as_str().as_bytes() == method
    }
}

/// Endpoints a key may call: a method and a path, `GET /api/v5/account/*` or `POST /api/v5/trade/order`. The method
/// may be `*`; a path that ends in `/*` stands for everything below it, not for itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EndpointPattern {
    verb: Verb,
    /// Without the `*`.
    path: Box<str>,
    below: bool,
}

impl EndpointPattern {
    /// Longest pattern, in bytes.
    pub const BYTES_MAX: usize = 112;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadPattern`]: another method, a path that is not canonical or has a query, a `*` elsewhere.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (verb, path) = text.split_once(' ').ok_or(BadPattern)?;
        let verb = Verb::ALL.into_iter().find(|known| known.as_str() == verb).ok_or(BadPattern)?;
        let below = path.ends_with("/*");
        let path = if below { &path[..path.len() - 1] } else { path };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
        let fits = text.len() <= Self::BYTES_MAX && path.starts_with('/') && path.bytes().all(plain);
        let segments = || path.split('/');
        let dots = segments().any(|segment| matches!(segment, "." | ".."));
        if !fits || dots || path.contains("//") || (!below && path.ends_with('/')) {
            return Err(BadPattern);
        }
        Ok(Self { verb, path: path.into(), below })
    }

    /// Whether the request is one of these endpoints; `path` without its query.
    #[must_use]
    pub fn matches(&self, method: &[u8], path: &[u8]) -> bool {
        let own = self.path.as_bytes();
        let here = if self.below { path.len() > own.len() && path.starts_with(own) } else { path == own };
        here && self.verb.is(method)
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.verb.as_str(), self.path, if self.below { "*" } else { "" })
    }
}

impl fmt::Debug for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Longest instrument name, in bytes.
const INSTRUMENT_BYTES_MAX: usize = 48;

/// Upper-case letters, digits, `_` and `.`, in segments joined by `-`, none of them empty.
fn is_instrument(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.');
    text.len() <= INSTRUMENT_BYTES_MAX
        && text.split('-').all(|segment| !segment.is_empty() && segment.bytes().all(plain))
}

/// An instrument's name, such as `BTC-USDT` or `BTC-USDT-SWAP`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstrumentId(Box<str>);

impl InstrumentId {
    /// Reads a name of two segments or more.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        if is_instrument(text) && text.contains('-') { Ok(Self(text.into())) } else { Err(BadPattern) }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.0
    }

    /// Base and quote asset of a spot instrument, which is what a name of two segments is.
    #[must_use]
    pub fn spot(&self) -> Option<(&str, &str)> {
        self.0.split_once('-').filter(|(_, quote)| !quote.contains('-'))
    }
}

impl fmt::Display for InstrumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for InstrumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Instruments a key may trade: `BTC-USDT`, or a family such as `BTC-*` (all that is quoted for BTC) or
/// `BTC-USDT-*` (the derivatives of BTC-USDT, not the spot pair).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstrumentPattern {
    /// Without the `*`.
    text: Box<str>,
    family: bool,
}

impl InstrumentPattern {
    /// Longest pattern, in bytes.
    pub const BYTES_MAX: usize = INSTRUMENT_BYTES_MAX;

    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadPattern`]: not an instrument, a `*` that is not the last segment, a lone `*`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let Some(family) = text.strip_suffix("-*") else {
            return InstrumentId::parse(text).map(|id| Self { text: id.0, family: false });
        };
        if text.len() > Self::BYTES_MAX || !is_instrument(family) {
            return Err(BadPattern);
        }
        Ok(Self { text: text[..text.len() - 1].into(), family: true })
    }

    /// Whether the instrument is one of these.
    #[must_use]
    pub fn matches(&self, instrument: &InstrumentId) -> bool {
        if self.family { instrument.0.starts_with(&*self.text) } else { instrument.0 == self.text }
    }
}

impl fmt::Display for InstrumentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.family { "*" } else { "" })
    }
}

impl fmt::Debug for InstrumentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The name of an entry in the account's withdrawal address book: 1 to 64 letters, digits and `- _ . :`. Names
/// stand for addresses so that a key never says where funds go, only which known place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DestinationId(Box<str>);

impl DestinationId {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Reads a name.
    ///
    /// # Errors
    /// [`BadPattern`].
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(plain);
        if fits { Ok(Self(text.into())) } else { Err(BadPattern) }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DestinationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_match_what_they_say_and_nothing_beside() {
        let matches = |pattern: &str, method: &str, path: &str| {
            EndpointPattern::parse(pattern).unwrap().matches(method.as_bytes(), path.as_bytes())
        };
        assert!(matches("POST /api/v5/trade/order", "POST", "/api/v5/trade/order"));
        assert!(matches("* /api/v5/trade/*", "GET", "/api/v5/trade/order"));
        for (pattern, method, path) in [
            ("POST /api/v5/trade/order", "GET", "/api/v5/trade/order"),
            ("POST /api/v5/trade/order", "post", "/api/v5/trade/order"),
            ("POST /api/v5/trade/order", "POST", "/api/v5/trade/order-algo"),
            ("POST /api/v5/trade/order", "POST", "/api/v5/trade/Order"),
            ("POST /api/v5/trade/order", "POST", "/api/v5/trade/order/"),
            ("GET /api/v5/trade/*", "GET", "/api/v5/trade/"),
            ("GET /api/v5/trade/*", "GET", "/api/v5/trade"),
            ("GET /api/v5/trade/*", "GET", "/api/v5/tradex"),
        ] {
            assert!(!matches(pattern, method, path), "{pattern} {method} {path}");
        }
        for bad in [
            "",
            "/a",
            "PUT /a",
            "GET a",
            "GET /a?b",
            "GET /a//b",
            "GET /a/../b",
            "GET /a/./*",
            "GET /*/b",
            "GET /a*",
            "GET /a/",
            "GET  /a",
            "GET /a ",
            "GET /%61",
            "* *",
            "GET /a/**",
        ] {
            assert_eq!(EndpointPattern::parse(bad), Err(BadPattern), "{bad}");
        }
        for good in ["GET /*", "* /api/v5/trade/*", "POST /a"] {
            assert_eq!(EndpointPattern::parse(good).unwrap().to_string(), good);
        }
        assert!(EndpointPattern::parse(&format!("GET /{}", "a".repeat(107))).is_ok());
        assert!(EndpointPattern::parse(&format!("GET /{}", "a".repeat(108))).is_err());
    }

    #[test]
    fn instruments_and_families() {
        let matches = |pattern: &str, name: &str| {
            InstrumentPattern::parse(pattern).unwrap().matches(&InstrumentId::parse(name).unwrap())
        };
        assert!(matches("BTC-USDT", "BTC-USDT"));
        assert!(matches("BTC-*", "BTC-USDT"));
        assert!(matches("BTC-*", "BTC-USD-SWAP"));
        assert!(matches("BTC-USDT-*", "BTC-USDT-SWAP"));
        assert!(!matches("BTC-USDT", "BTC-USDT-SWAP"));
        assert!(!matches("BTC-*", "BTCX-USDT"));
        assert!(!matches("BTC-USDT-*", "BTC-USDT"));
        for bad in [
            "",
            "*",
            "-*",
            "BTC",
            "BTC*",
            "BTC-US*",
            "BTC--*",
            "btc-usdt",
            "BTC-*-SWAP",
            "BTC-USDT ",
            "*-USDT",
        ] {
            assert_eq!(InstrumentPattern::parse(bad), Err(BadPattern), "{bad}");
        }
        assert_eq!(InstrumentId::parse("BTC-USDT").unwrap().spot(), Some(("BTC", "USDT")));
        assert_eq!(InstrumentId::parse("BTC-USDT-SWAP").unwrap().spot(), None);
        assert!(InstrumentId::parse("BTC").is_err());
    }
}
