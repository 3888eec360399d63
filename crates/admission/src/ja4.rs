//! JA4: what a TLS client looks like, from its ClientHello.
//!
//! Source: the public description of JA4 by FoxIO (JA4 alone, BSD 3-Clause; no other member of that family is here);
//! TLS 1.3 (RFC 8446 sections 4.1.2 and 5.1), extensions of RFC 6066, RFC 7301 and RFC 8446, GREASE (RFC 8701).
//!
//! Computed from the raw bytes a client sends first, because TLS libraries do not show the extensions in full: the
//! caller keeps what it reads until [`read`] has seen a whole ClientHello or refuses, and hands the same bytes on to
//! the TLS library. A fingerprint names a kind of client and never a person, and clients can imitate each other: it
//! is a hint for [`reputation`](crate::reputation) and never a reason by itself.
//!
//! Bounds: [`HELLO_BYTES_MAX`] bytes, at most [`RECORDS_MAX`] records; one pass, and two short sorts.

use std::fmt;

use crypto::sha256;

/// Longest ClientHello that is read, with its 4-byte header. With post-quantum key shares real ones have 2 KiB.
pub const HELLO_BYTES_MAX: usize = 16 << 10;
/// Most TLS records that one ClientHello may be spread over.
pub const RECORDS_MAX: usize = 64;
/// Most bytes that [`read`] asks for: the records of the longest ClientHello.
pub const BYTES_MAX: usize = HELLO_BYTES_MAX + RECORDS_MAX * RECORD_HEAD_BYTES;

const RECORD_HEAD_BYTES: usize = 5;
/// Longest record: 2^14 bytes of plain text.
const RECORD_BYTES_MAX: usize = 16 << 10;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// Extensions that are looked into.
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(super) const ALPN: u16 = 16;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
}

/// Why there is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloError {
    /// Not the beginning of a TLS connection.
    #[error("not a TLS handshake record with a ClientHello")]
    NotTls,
    /// A length that does not fit what it is in.
    #[error("ClientHello is malformed at {field}")]
    Malformed {
        /// Which field.
        field: &'static str,
    },
    /// More than the bounds.
    #[error("ClientHello is longer than {HELLO_BYTES_MAX} bytes or in more than {RECORDS_MAX} records")]
    TooLong,
}

/// A fingerprint, 36 characters such as `t13d1516h2_8daaf6152771_e5627efa2ab1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ja4([u8; 36]);

impl Ja4 {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads the first bytes of a TCP connection: `None` while the ClientHello is not complete. Bytes after it are not
/// looked at.
///
/// # Errors
/// [`HelloError`]; more bytes do not change it. The TLS library decides on the connection, not this.
pub fn read(bytes: &[u8]) -> Result<Option<Ja4>, HelloError> {
    let mut message = Vec::new();
    let mut rest = bytes;
    for _ in 0..RECORDS_MAX {
        // What is there of the head must already be right: one byte is enough to see that this is no TLS.
        if rest.first().is_some_and(|kind| *kind != HANDSHAKE) || rest.get(1).is_some_and(|major| *major != 3)
        {
            return Err(HelloError::NotTls);
        }
        let Some((head, after)) = rest.split_first_chunk::<RECORD_HEAD_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        if length == 0 || length > RECORD_BYTES_MAX {
            return Err(HelloError::Malformed { field: "record length" });
        }
        let (payload, next) = after.split_at(length.min(after.len()));
        message.extend_from_slice(payload);
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Err(HelloError::NotTls);
        }
        if let Some([_, high, middle, low]) = message.first_chunk() {
            let whole = 4 + u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            if whole > HELLO_BYTES_MAX {
                return Err(HelloError::TooLong);
            }
            if let Some(body) = message.get(4..whole) {
                return parse(body).map(|hello| Some(hello.fingerprint()));
            }
        }
        if payload.len() < length {
            return Ok(None);
        }
        rest = next;
    }
    Err(HelloError::TooLong)
}

/// Bytes with lengths before them.
struct Reader<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Reader<'a> {
    const fn new(rest: &'a [u8], field: &'static str) -> Self {
        Self { rest, field }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], HelloError> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(HelloError::Malformed { field: self.field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, HelloError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Result<u16, HelloError> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn short(&mut self, field: &'static str) -> Result<Self, HelloError> {
        let length = usize::from(self.byte()?);
        self.take(length).map(|bytes| Self::new(bytes, field))
    }

    fn long(&mut self, field: &'static str) -> Result<Self, HelloError> {
        let length = usize::from(self.u16()?);
        self.take(length).map(|bytes| Self::new(bytes, field))
    }

    /// All that is left, as 16-bit numbers without GREASE.
    fn numbers(mut self) -> Result<Vec<u16>, HelloError> {
        let mut numbers = Vec::with_capacity(self.rest.len() / 2);
        while !self.rest.is_empty() {
            let number = self.u16()?;
            if !is_grease(number) {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }
}

/// Values that clients make up so that servers learn to ignore what they do not know (RFC 8701).
const fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0xf == 0xa
}

/// What the fingerprint is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Hello {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    signature_algorithms: Vec<u16>,
    alpn: Option<(u8, u8)>,
}

/// Reads the body of a ClientHello.
fn parse(body: &[u8]) -> Result<Hello, HelloError> {
    let mut reader = Reader::new(body, "ClientHello");
    let mut hello = Hello { version: reader.u16()?, ..Hello::default() };
    reader.take(32)?; // random
    reader.short("session id")?;
    hello.ciphers = reader.long("cipher suites")?.numbers()?;
    reader.short("compression methods")?;
    if reader.rest.is_empty() {
        return Ok(hello); // before extensions were invented
    }
    let mut extensions = reader.long("extensions")?;
    if !reader.rest.is_empty() {
        return Err(HelloError::Malformed { field: "end" });
    }
    while !extensions.rest.is_empty() {
        let kind = extensions.u16()?;
        let mut content = extensions.long("extension")?;
        if is_grease(kind) {
            continue;
        }
        hello.extensions.push(kind);
        match kind {
            extension::SIGNATURE_ALGORITHMS => {
                hello.signature_algorithms = content.long("signature algorithms")?.numbers()?;
            }
            extension::ALPN => {
                let first = content.long("application protocols")?.short("application protocol")?.rest;
                hello.alpn = first.first().copied().zip(first.last().copied());
            }
            extension::SUPPORTED_VERSIONS => {
                let versions = content.short("supported versions")?.numbers()?;
                // The greatest says what the client can do; without any the old field counts.
                hello.version = versions.into_iter().max().unwrap_or(hello.version);
            }
            _ => {}
        }
    }
    Ok(hello)
}

impl Hello {
    fn fingerprint(mut self) -> Ja4 {
        let version = match self.version {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            _ => "00",
        };
        let server_name = if self.extensions.contains(&extension::SERVER_NAME) { 'd' } else { 'i' };
        let [n_ciphers, n_extensions] = [&self.ciphers, &self.extensions].map(|list| list.len().min(99));
        let (alpn_first, alpn_last) = self.alpn.map_or(('0', '0'), alpn_ends);

        self.ciphers.sort_unstable();
        let ciphers = hash(&hex_list(&self.ciphers));
        self.extensions.retain(|kind| !matches!(*kind, extension::SERVER_NAME | extension::ALPN));
        self.extensions.sort_unstable();
        let mut listed = hex_list(&self.extensions);
        if !self.signature_algorithms.is_empty() && !listed.is_empty() {
            listed.push('_');
            listed.push_str(&hex_list(&self.signature_algorithms));
        }
        let text = format!(
            "t{version}{server_name}{n_ciphers:02}{n_extensions:02}{alpn_first}{alpn_last}_{ciphers}_{}",
            hash(&listed)
        );
        let mut ja4 = [b'0'; 36];
        ja4.copy_from_slice(text.as_bytes()); // 10, 12 and 12 characters and two separators, all ASCII
        Ja4(ja4)
    }
}

/// The first and last character of the first protocol; of its hexadecimal form if one of them is neither a letter
/// nor a digit.
fn alpn_ends((first, last): (u8, u8)) -> (char, char) {
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        (char::from(first), char::from(last))
    } else {
        (hex_digit(first >> 4), hex_digit(last & 0xf))
    }
}

fn hex_digit(nibble: u8) -> char {
    char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 })
}

fn hex_list(numbers: &[u16]) -> String {
    let mut text = String::with_capacity(numbers.len() * 5);
    for number in numbers {
        if !text.is_empty() {
            text.push(',');
        }
        for byte in number.to_be_bytes() {
            text.extend([hex_digit(byte >> 4), hex_digit(byte & 0xf)]);
        }
    }
    text
}

/// The first 12 hexadecimal characters of SHA-256, or zeroes for an empty list.
fn hash(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    let digest = sha256(&[text.as_bytes()]);
    digest[..6].iter().flat_map(|byte| [hex_digit(byte >> 4), hex_digit(byte & 0xf)]).collect()
}

#[cfg(test)]
mod tests;
