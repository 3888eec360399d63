//! Where messages go: an `http` or `https` URL of the plainest form (RFC 3986), read once, so that what is checked is what
//! is connected to.
//!
//! Not here: user names, fragments, names outside ASCII, escaped hosts. They are refused.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

/// Longest host name, in bytes.
const HOST_BYTES_MAX: usize = 253;

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address.
    Address(IpAddr),
    /// A name to be resolved, in lower case.
    Name(String),
}

/// A URL messages are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    text: String,
    host: Host,
    port: u16,
    is_tls: bool,
    /// Where the path begins in `text`.
    path_at: usize,
}

/// Why a text is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Something that is no visible ASCII, or a quote, backslash, caret, brace, bar, angle bracket.
    #[error("url holds a character at byte {position} that must be percent-encoded")]
    Character {
        /// Which byte.
        position: usize,
    },
    /// A part behind `#`, which is never sent.
    #[error("url has a fragment, which is never sent")]
    Fragment,
    /// The host.
    #[error("url has no host that is a name in lower-case ASCII or an IP address")]
    Host,
    /// More than [`Target::BYTES_MAX`].
    #[error("url is longer than {} bytes", Target::BYTES_MAX)]
    Long,
    /// The port.
    #[error("url has a port that is none of 1 to 65535")]
    Port,
    /// Neither `http://` nor `https://`.
    #[error("url begins with neither https:// nor http://")]
    Scheme,
    /// A user name or password.
    #[error("url holds credentials: signatures authenticate, not passwords")]
    User,
}

impl Target {
    /// Longest URL, in bytes.
    pub const BYTES_MAX: usize = 1_024;

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whom to ask for.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Path and query, beginning with a slash.
    #[must_use]
    pub fn path(&self) -> String {
        match self.text.get(self.path_at..).unwrap_or_default() {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        }
    }

    /// Host and port as the `host` header names them.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.len() > Self::BYTES_MAX {
            return Err(TargetError::Long);
        }
        let odd = |byte: u8| !byte.is_ascii_graphic() || br#""\^`{}|<>"#.contains(&byte);
        if let Some(position) = text.bytes().position(odd) {
            return Err(TargetError::Character { position });
        }
        if text.contains('#') {
            return Err(TargetError::Fragment);
        }
        let (is_tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(TargetError::Scheme),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let path_at = text.len() - (rest.len() - authority.len());
        if authority.contains('@') {
            return Err(TargetError::User);
        }
        let (host, port) = if let Some(inside) = authority.strip_prefix('[') {
            let (address, port) = inside.split_once(']').ok_or(TargetError::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| TargetError::Host)?;
            let port =
                if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(TargetError::Port)?) };
            (Host::Address(address.into()), port)
        } else {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            (host_of(host).ok_or(TargetError::Host)?, port)
        };
        let port = match port {
            None if is_tls => 443,
            None => 80,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port > 0).ok_or(TargetError::Port)?
            }
            Some(_) => return Err(TargetError::Port),
        };
        Ok(Self { text: text.to_owned(), host, port, is_tls, path_at })
    }
}

/// A name or an IPv4 address in its one form. `2130706433` and `0x7f.1`, which some resolvers take for addresses, are
/// names here: what they resolve to is checked like everything else.
fn host_of(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= HOST_BYTES_MAX && text.split('.').all(is_label)).then(|| Host::Name(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_urls_are_read() {
        for (text, authority, path, port, is_tls) in [
            ("https://hooks.example.com", "hooks.example.com", "/", 443, true),
            ("https://hooks.example.com:8443/a/b?c=d", "hooks.example.com:8443", "/a/b?c=d", 8443, true),
            ("https://example.com?x=1", "example.com", "/?x=1", 443, true),
            ("http://127.0.0.1:9/", "127.0.0.1:9", "/", 9, false),
            ("http://[::1]:80/x", "[::1]", "/x", 80, false),
            ("https://[2001:db8::1]/", "[2001:db8::1]", "/", 443, true),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
            assert_eq!(
                (target.authority().as_str(), target.path().as_str(), target.port(), target.is_tls()),
                (authority, path, port, is_tls)
            );
        }
    }

    #[test]
    fn anything_two_readers_may_differ_about_is_refused() {
        for (text, error) in [
            ("ftp://example.com", TargetError::Scheme),
            ("HTTPS://example.com", TargetError::Scheme),
            ("https://", TargetError::Host),
            ("https://user:pass@example.com/", TargetError::User),
            ("https://example.com\\@evil.example/", TargetError::Character { position: 19 }),
            ("https://example.com/#x", TargetError::Fragment),
            ("https://EXAMPLE.com/", TargetError::Host),
            ("https://ex%61mple.com/", TargetError::Host),
            ("https://a..b/", TargetError::Host),
            ("https://[::1", TargetError::Host),
            ("https://[::1]x/", TargetError::Port),
            ("https://[fe80::1%25eth0]/", TargetError::Host),
            ("https://example.com:/", TargetError::Port),
            ("https://example.com:0/", TargetError::Port),
            ("https://example.com:65536/", TargetError::Port),
            ("https://example.com:+443/", TargetError::Port),
            ("https://example.com/a b", TargetError::Character { position: 21 }),
            ("https://example.com/\r\nx: y", TargetError::Character { position: 20 }),
        ] {
            assert_eq!(text.parse::<Target>().err(), Some(error), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(Target::BYTES_MAX));
        assert_eq!(long.parse::<Target>().err(), Some(TargetError::Long));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(https?://)?[ -~]{0,40}") {
            if let Ok(target) = text.parse::<Target>() {
                prop_assert!(target.path().starts_with('/'));
                let again = format!("{}://{}{}", if target.is_tls() { "https" } else { "http" }, target.authority(), target.path());
                let again: Target = again.parse().expect("its own parts make a URL");
                prop_assert_eq!((again.host(), again.port(), again.path()), (target.host(), target.port(), target.path()));
            }
        }
    }
}
