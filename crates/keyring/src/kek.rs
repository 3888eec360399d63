//! The KEK file: a short text an operator can look after, in which no flipped bit goes unnoticed.
//!
//! ```text
//! caponier-kek-file v1
//! kek 2 <64 lower-case hex digits: 32 bytes> <16 hex digits: checksum>
//! kek 1 <64 hex digits> <16 hex digits>
//! end 2
//! ```
//!
//! Every line ends with a line feed. Versions fall from line to line; the first is current. Two lines exist only
//! while a rotation runs. The checksum is the first 8 bytes of SHA-256 over the domain text, the version as text
//! and the key; `end` counts the lines above it, so a missing line is noticed too. The form is canonical: exactly
//! one text stands for one content.

use std::fmt::{self, Write as _};

use crypto::{AeadKey, MacKey, Secret, hkdf_sha512, sha256};

const HEAD: &str = "caponier-kek-file v1";
const CHECKSUM_DOMAIN: &[u8] = b"caponier kek file v1 checksum";

/// Most versions in a file: the current one and, during a rotation, the one before it.
const VERSIONS_MAX: usize = 2;

/// Longest text that can be a KEK file: head, two key lines, end line.
const TEXT_BYTES_MAX: usize = 1024;

/// Which KEK; counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KekVersion(pub u32);

impl fmt::Display for KekVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why a text is not a KEK file. Never shows key bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KekFileError {
    /// The key line's checksum is not that of its version and key.
    #[error("line {line} of the KEK file does not match its checksum")]
    Checksum {
        /// One-based line.
        line: usize,
    },
    /// The line is not of the documented form.
    #[error("line {line} of the KEK file is malformed: {expected} expected")]
    Malformed {
        /// One-based line.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A rotation was asked for while another one is unfinished.
    #[error("a rotation of the KEK is already under way")]
    RotationUnderWay,
    /// The version numbers are used up.
    #[error("no KEK version is left")]
    VersionsExhausted,
}

/// One key-encryption key.
#[derive(Debug, Clone)]
pub struct Kek {
    version: KekVersion,
    key: Secret<[u8; 32]>,
}

impl Kek {
    /// Its version.
    #[must_use]
    pub const fn version(&self) -> KekVersion {
        self.version
    }

    fn checksum(&self) -> [u8; 8] {
        let digest = sha256(&[CHECKSUM_DOMAIN, self.version.to_string().as_bytes(), b" ", self.key.expose()]);
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&digest[..8]);
        checksum
    }

    /// The key that wraps other keys.
    pub(crate) fn wrap_key(&self) -> AeadKey {
        let key = Secret::new(hkdf_sha512::<32>(self.key.expose(), b"", b"caponier kek v1 wrap"));
        AeadKey::new(key.expose())
    }

    /// The key that authenticates key table slots.
    pub(crate) fn slot_mac_key(&self) -> MacKey {
        let key = Secret::new(hkdf_sha512::<32>(self.key.expose(), b"", b"caponier kek v1 slot mac"));
        MacKey::new(key.expose())
    }

    /// A 32-byte key for one more `purpose` outside the key table, such as sealing the log signing key. Purposes
    /// give independent keys; the result changes with the KEK version.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Secret<[u8; 32]> {
        Secret::new(hkdf_sha512::<32>(self.key.expose(), b"caponier kek v1 purpose", purpose.as_bytes()))
    }
}

/// The content of a KEK file: one version, or two while a rotation runs.
#[derive(Debug, Clone)]
pub struct KekFile {
    /// Newest first; never empty.
    keks: Vec<Kek>,
}

impl KekFile {
    /// A first file with version 1; `random` must be fresh random bytes.
    #[must_use]
    pub fn generate(random: [u8; 32]) -> Self {
        Self { keks: vec![Kek { version: KekVersion(1), key: Secret::new(random) }] }
    }

    /// The version that wraps from now on.
    #[must_use]
    pub fn current(&self) -> &Kek {
        &self.keks[0]
    }

    /// The version being replaced, while a rotation runs.
    #[must_use]
    pub fn previous(&self) -> Option<&Kek> {
        self.keks.get(1)
    }

    /// Every version, newest first.
    #[must_use]
    pub fn keks(&self) -> &[Kek] {
        &self.keks
    }

    /// A file that holds a new current version besides the present one; `random` must be fresh random bytes.
    ///
    /// # Errors
    /// [`KekFileError::RotationUnderWay`], [`KekFileError::VersionsExhausted`].
    pub fn begin_rotation(&self, random: [u8; 32]) -> Result<Self, KekFileError> {
        if self.previous().is_some() {
            return Err(KekFileError::RotationUnderWay);
        }
        let version =
            self.current().version.0.checked_add(1).map(KekVersion).ok_or(KekFileError::VersionsExhausted)?;
        Ok(Self { keks: vec![Kek { version, key: Secret::new(random) }, self.current().clone()] })
    }

    /// The file without the version being replaced.
    #[must_use]
    pub fn finish_rotation(&self) -> Self {
        Self { keks: vec![self.current().clone()] }
    }

    /// The text of the file.
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        // Reserved up front: growing would leave copies of the keys behind.
        let mut text = String::with_capacity(TEXT_BYTES_MAX);
        text.push_str(HEAD);
        text.push('\n');
        for kek in &self.keks {
            text.push_str("kek ");
            push_display(&mut text, kek.version);
            text.push(' ');
            push_hex(&mut text, kek.key.expose());
            text.push(' ');
            push_hex(&mut text, &kek.checksum());
            text.push('\n');
        }
        text.push_str("end ");
        push_display(&mut text, self.keks.len());
        text.push('\n');
        Secret::new(text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`KekFileError`] naming the line.
    pub fn parse(text: &str) -> Result<Self, KekFileError> {
        let malformed = |line, expected| KekFileError::Malformed { line, expected };
        if text.len() > TEXT_BYTES_MAX {
            return Err(malformed(1, "a text of at most 1024 bytes"));
        }
        let mut lines = text.split_inclusive('\n').enumerate().map(|(idx, line)| (idx + 1, line));
        match lines.next() {
            Some((_, line)) if line.strip_suffix('\n') == Some(HEAD) => {}
            _ => return Err(malformed(1, "\"caponier-kek-file v1\"")),
        }
        let mut keks: Vec<Kek> = Vec::with_capacity(VERSIONS_MAX);
        loop {
            let next_line = keks.len() + 2;
            let (number, line) = lines.next().ok_or_else(|| malformed(next_line, "an end line"))?;
            let line = line.strip_suffix('\n').ok_or_else(|| malformed(number, "a line feed at the end"))?;
            if let Some(count) = line.strip_prefix("end ") {
                if keks.is_empty() {
                    return Err(malformed(number, "a key line"));
                }
                if count != keks.len().to_string() {
                    return Err(malformed(number, "\"end\" and the number of key lines"));
                }
                return match lines.next() {
                    None => Ok(Self { keks }),
                    Some((number, _)) => Err(malformed(number, "the end of the file")),
                };
            }
            if keks.len() == VERSIONS_MAX {
                return Err(malformed(number, "an end line after at most two keys"));
            }
            let kek = parse_kek(number, line)?;
            if keks.last().is_some_and(|newer| newer.version <= kek.version) {
                return Err(malformed(number, "an older version than on the line above"));
            }
            keks.push(kek);
        }
    }
}

fn parse_kek(number: usize, line: &str) -> Result<Kek, KekFileError> {
    let malformed = |expected| KekFileError::Malformed { line: number, expected };
    let rest = line.strip_prefix("kek ").ok_or_else(|| malformed("\"kek\" or \"end\""))?;
    let mut fields = rest.split(' ');
    let (Some(version), Some(key), Some(checksum), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed("version, key and checksum"));
    };
    let canonical = !version.starts_with('0') && version.bytes().all(|byte| byte.is_ascii_digit());
    let version = version
        .parse()
        .ok()
        .filter(|_| canonical)
        .map(KekVersion)
        .ok_or_else(|| malformed("a version from 1"))?;
    let key = parse_hex::<32>(key).map(Secret::new).ok_or_else(|| malformed("a key of 64 hex digits"))?;
    let checksum = parse_hex::<8>(checksum).ok_or_else(|| malformed("a checksum of 16 hex digits"))?;
    let kek = Kek { version, key };
    if crypto::ct_eq(&kek.checksum(), &checksum) {
        Ok(kek)
    } else {
        Err(KekFileError::Checksum { line: number })
    }
}

fn push_display(text: &mut String, value: impl fmt::Display) {
    // Writing into a string cannot fail.
    _ = write!(text, "{value}");
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.push(char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
        }
    }
}

/// Lower-case hex only, so that no two texts mean the same bytes.
fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_parses_is_the_one_text_of_its_content(version in 1_u32.., key: [u8; 32], noise: String) {
            prop_assert!(KekFile::parse(&noise).is_err());
            let mut file = KekFile::generate(key);
            file.keks[0].version = KekVersion(version);
            let text = file.to_text();
            let again = KekFile::parse(text.expose()).unwrap().to_text();
            prop_assert_eq!(again.expose(), text.expose());
            let noisy = format!("{}\n{noise}", HEAD);
            prop_assert!(KekFile::parse(&noisy).is_err());
        }
    }

    #[test]
    fn text_round_trips_through_a_rotation() {
        let one = KekFile::generate([7; 32]);
        let two = one.begin_rotation([9; 32]).unwrap();
        assert_eq!(two.begin_rotation([1; 32]).unwrap_err(), KekFileError::RotationUnderWay);
        for file in [&one, &two, &two.finish_rotation()] {
            let text = file.to_text();
            let back = KekFile::parse(text.expose()).unwrap();
            assert_eq!(back.to_text().expose(), text.expose());
        }
        assert_eq!(two.current().version(), KekVersion(2));
        assert_eq!(two.previous().map(Kek::version), Some(KekVersion(1)));
        assert!(two.finish_rotation().previous().is_none());
        assert_eq!(format!("{:?}", one.current()), "Kek { version: KekVersion(1), key: <secret> }");
    }

    #[test]
    fn every_flipped_bit_is_an_error_naming_its_line() {
        let file = KekFile::generate([0xa5; 32]).begin_rotation([0x3c; 32]).unwrap();
        let text = file.to_text();
        let bytes = text.expose().as_bytes();
        let mut line = 1;
        for (at, byte) in bytes.iter().enumerate() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                // A flip that leaves no UTF-8 is refused before parsing.
                let Ok(flipped) = String::from_utf8(flipped) else { continue };
                let named = match KekFile::parse(&flipped).unwrap_err() {
                    KekFileError::Checksum { line } | KekFileError::Malformed { line, .. } => line,
                    other => panic!("{other}"),
                };
                assert_eq!(named, line, "bit {bit} of byte {at}");
            }
            if *byte == b'\n' {
                line += 1;
            }
        }
    }

    #[test]
    fn a_missing_line_or_byte_is_an_error() {
        let text = KekFile::generate([1; 32]).begin_rotation([2; 32]).unwrap().to_text();
        for cut in 0..text.expose().len() {
            assert!(KekFile::parse(&text.expose()[..cut]).is_err(), "cut to {cut}");
        }
        let lines: Vec<&str> = text.expose().split_inclusive('\n').collect();
        for missing in 0..lines.len() {
            let rest: String =
                lines.iter().enumerate().filter(|(idx, _)| *idx != missing).map(|(_, line)| *line).collect();
            assert!(KekFile::parse(&rest).is_err(), "without line {}", missing + 1);
        }
        assert!(KekFile::parse(&format!("{}x", text.expose())).is_err());
    }
}
