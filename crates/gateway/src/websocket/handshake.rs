//! The opening handshake towards the client, RFC 6455 section 4.2. Towards the exchange the library does it.
//!
//! Extensions and subprotocols a client offers are not taken up, which declines them (sections 4.2.2 and 9.1). The
//! origin is not judged: there are no cookies here that another site's page could misuse.

use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::{Scope, answer::VERSION_LABEL};

/// Length of a key: 16 bytes in Base64.
const KEY_BYTES: usize = 24;

/// An upgrade that may go ahead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    accept_key: String,
}

impl Accepted {
    /// The head of the answer, after which frames follow.
    pub(crate) fn answer(&self) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            self.accept_key
        )
    }
}

/// Why a request is no opening handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unacceptable {
    /// `Connection` does not name `upgrade`, or `Upgrade` is not `websocket` alone.
    NotUpgrade,
    /// No key, several, or one that is not 16 bytes in Base64.
    Key,
    /// Not version 13.
    Version,
}

impl Unacceptable {
    /// Metric label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NotUpgrade => "ws_not_upgrade",
            Self::Key => "ws_handshake_key",
            Self::Version => VERSION_LABEL,
        }
    }

    /// The field to blame.
    pub(crate) const fn field(self) -> &'static str {
        match self {
            Self::NotUpgrade => "Upgrade",
            Self::Key => "Sec-WebSocket-Key",
            Self::Version => "Sec-WebSocket-Version",
        }
    }
}

/// Judges the header fields of a GET over HTTP/1.1 without a body. Names are compared without regard to case.
pub(crate) fn accept<'n, 'v>(
    fields: impl Iterator<Item = (&'n [u8], &'v [u8])>,
) -> Result<Accepted, Unacceptable> {
    let (mut connection, mut upgrade, mut keys, mut versions) = (false, Vec::new(), Vec::new(), Vec::new());
    for (name, value) in fields {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case(b"connection") {
            let mut tokens = value.split(|byte| *byte == b',');
            connection |= tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            upgrade.push(value);
        } else if name.eq_ignore_ascii_case(b"sec-websocket-key") {
            keys.push(value);
        } else if name.eq_ignore_ascii_case(b"sec-websocket-version") {
            versions.push(value);
        }
    }
    let websocket = matches!(upgrade.as_slice(), [only] if only.eq_ignore_ascii_case(b"websocket"));
    if !connection || !websocket {
        return Err(Unacceptable::NotUpgrade);
    }
    if versions != [b"13"] {
        return Err(Unacceptable::Version);
    }
    match keys.as_slice() {
        [key] if is_key(key) => Ok(Accepted { accept_key: derive_accept_key(key) }),
        _ => Err(Unacceptable::Key),
    }
}

/// The head of an opening handshake towards the exchange at `host`, to be completed with what it is told.
pub(crate) fn request(host: &str, scope: Scope) -> http::request::Builder {
    http::Request::get(format!("ws://{host}{}", scope.path()))
        .header("host", host)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
}

/// Whether these are 16 bytes in canonical Base64: 21 digits, one whose low four bits are zero, two paddings.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == KEY_BYTES
        && key[..21].iter().all(is_digit)
        && matches!(key[21], b'A' | b'Q' | b'g' | b'w')
        && key[22..] == *b"=="
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handshake of RFC 6455 section 1.3.
    const FIELDS: [(&str, &str); 6] = [
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn judge(fields: &[(&str, &str)]) -> Result<Accepted, Unacceptable> {
        accept(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    }

    fn with(name: &'static str, value: &'static str) -> Result<Accepted, Unacceptable> {
        let mut fields = FIELDS;
        for field in fields.iter_mut().filter(|field| field.0 == name) {
            field.1 = value;
        }
        judge(&fields)
    }

    #[test]
    fn the_key_of_the_standard_has_the_answer_of_the_standard() {
        let accepted = judge(&FIELDS).unwrap();
        assert_eq!(accepted.accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let answer = accepted.answer();
        assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\n"));
        assert!(!answer.to_lowercase().contains("protocol:") && !answer.contains("Extensions"));
    }

    #[test]
    fn what_is_not_a_handshake_is_refused() {
        assert!(with("Connection", "keep-alive, Upgrade").is_ok());
        assert!(with("Upgrade", "WebSocket").is_ok());
        for connection in ["keep-alive", "upgraded", ""] {
            assert_eq!(with("Connection", connection), Err(Unacceptable::NotUpgrade), "{connection}");
        }
        for upgrade in ["h2c", "websocket, h2c", ""] {
            assert_eq!(with("Upgrade", upgrade), Err(Unacceptable::NotUpgrade), "{upgrade}");
        }
        for version in ["8", "13, 8", "013", ""] {
            assert_eq!(with("Sec-WebSocket-Version", version), Err(Unacceptable::Version), "{version}");
        }
        for key in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25jZQ=!",
            "dGhlIHNhbXBsZQ==",
        ] {
            assert_eq!(with("Sec-WebSocket-Key", key), Err(Unacceptable::Key), "{key}");
        }
        let twice = [&FIELDS[..], &[FIELDS[3]]].concat();
        assert_eq!(judge(&twice), Err(Unacceptable::Key));
        let twice = [&FIELDS[..], &[FIELDS[1]]].concat();
        assert_eq!(judge(&twice), Err(Unacceptable::NotUpgrade));
        assert_eq!(judge(&[]), Err(Unacceptable::NotUpgrade));
    }
}
