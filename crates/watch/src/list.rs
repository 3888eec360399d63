//! Names and states of lists.

use std::fmt;

use domain::UnixNanos;

/// A text that cannot name a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} cannot name a list: 1 to {} of a-z, 0-9, - and _ are allowed", ListName::BYTES_MAX)]
pub struct BadListName {
    text: String,
}

/// The operator's name of a list, such as `ofac`: 1 to 48 lower-case letters, digits, `-` and `_`, since it becomes
/// part of a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListName(String);

impl ListName {
    /// Longest name, in bytes.
    pub const BYTES_MAX: usize = 48;

    /// Parses a name.
    ///
    /// # Errors
    /// [`BadListName`] when a character or the length is not allowed.
    pub fn parse(text: &str) -> Result<Self, BadListName> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(allowed) {
            return Err(BadListName { text: text.chars().take(64).collect() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One active list: what an auditor needs to know about what was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListState {
    /// Its name.
    pub name: ListName,
    /// When this state was imported.
    pub imported_at: UnixNanos,
    /// Distinct addresses with a verified checksum.
    pub addresses: u64,
    /// Distinct texts of networks without a codec here.
    pub texts: u64,
    /// SHA-256 of the source: of the file, or of the lines `sha256sum` prints for its files in the order of names.
    pub source_sha256: [u8; 32],
    /// SHA-256 of the segment file.
    pub segment_sha256: [u8; 32],
}
