//! The file `CURRENT`: which segments are active. Text, so that people and `sha256sum` can read it.
//!
//! ```text
//! caponier lists 1
//! generation 7
//! list ofac ofac.00000000000000000007.seg 43296 <SHA-256 of that file>
//! sha256 <SHA-256 of all lines above>
//! ```
//!
//! Lists stand in the order of names. The generation grows with every change and numbers new segments.

use crypto::sha256;

use super::{LISTS_MAX, SEGMENT_SUFFIX};
use crate::{ListName, import::hex};

const FIRST_LINE: &str = "caponier lists 1";
/// Longest manifest: generously above [`LISTS_MAX`] of the longest lines.
const BYTES_MAX: usize = 64 * 1024;

/// Why a manifest cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ManifestError {
    /// Its last line is not the digest of the others.
    #[error("its lines do not have the SHA-256 its last line says")]
    Digest,
    /// A line that is not as it would be written.
    #[error("line {line} is not as it would be written")]
    Line {
        /// From 1.
        line: usize,
    },
    /// There are segments but no manifest.
    #[error("it is missing although there are segments")]
    Missing,
}

/// One active segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) list: ListName,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

/// What `CURRENT` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    pub(crate) generation: u64,
    /// In the order of list names, each once.
    pub(crate) entries: Vec<Entry>,
}

impl Manifest {
    /// Sets the segment of a list; returns the one it replaces.
    pub(crate) fn put(&mut self, entry: Entry) -> Option<Entry> {
        match self.entries.binary_search_by(|other| other.list.cmp(&entry.list)) {
            Ok(idx) => self.entries.get_mut(idx).map(|old| std::mem::replace(old, entry)),
            Err(idx) => {
                self.entries.insert(idx, entry);
                None
            }
        }
    }

    pub(crate) fn take(&mut self, list: &ListName) -> Option<Entry> {
        let idx = self.entries.binary_search_by(|other| other.list.cmp(list)).ok()?;
        Some(self.entries.remove(idx))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\ngeneration {}\n", self.generation);
        for Entry { list, file, bytes, sha256 } in &self.entries {
            text.push_str(&format!("list {list} {file} {bytes} {}\n", hex(sha256)));
        }
        text.push_str(&format!("sha256 {}\n", hex(&sha256(&[text.as_bytes()]))));
        text.into_bytes()
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let text = std::str::from_utf8(bytes.get(..bytes.len().min(BYTES_MAX)).unwrap_or(&[]))
            .map_err(|_| ManifestError::Digest)?;
        let body_len = text.rfind("sha256 ").ok_or(ManifestError::Digest)?;
        let (body, last) = text.split_at(body_len);
        if bytes.len() > BYTES_MAX || last != format!("sha256 {}\n", hex(&sha256(&[body.as_bytes()]))) {
            return Err(ManifestError::Digest);
        }
        let mut manifest = Self::default();
        for (line, text) in (1..).zip(body.lines()) {
            manifest.parse_line(line, text).ok_or(ManifestError::Line { line })?;
        }
        // Only what we would write ourselves is accepted: one meaning, one text.
        if manifest.to_bytes() == bytes { Ok(manifest) } else { Err(ManifestError::Line { line: 1 }) }
    }

    fn parse_line(&mut self, line: usize, text: &str) -> Option<()> {
        match line {
            1 => (text == FIRST_LINE).then_some(()),
            2 => {
                self.generation = text.strip_prefix("generation ")?.parse().ok()?;
                Some(())
            }
            _ => {
                let mut words = text.strip_prefix("list ")?.split(' ');
                let list = ListName::parse(words.next()?).ok()?;
                let file = words.next()?.to_owned();
                let bytes = words.next()?.parse().ok()?;
                let digest = unhex(words.next()?)?;
                let in_order = self.entries.last().is_none_or(|last| last.list < list);
                // The name of the file follows from the list's, so it cannot lead out of the directory.
                let number =
                    file.strip_prefix(list.as_str())?.strip_prefix('.')?.strip_suffix(SEGMENT_SUFFIX)?;
                let is_ours = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
                if words.next().is_some() || !in_order || !is_ours || self.entries.len() == LISTS_MAX {
                    return None;
                }
                self.entries.push(Entry { list, file, bytes, sha256: digest });
                Some(())
            }
        }
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (idx, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * idx..2 * idx + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(list: &str, generation: u64) -> Entry {
        Entry {
            list: ListName::parse(list).unwrap(),
            file: format!("{list}.{generation:020}.seg"),
            bytes: 5,
            sha256: [generation.to_le_bytes()[0]; 32],
        }
    }

    #[test]
    fn round_trips_and_every_flipped_bit_is_found() {
        let mut manifest = Manifest { generation: 9, entries: Vec::new() };
        assert_eq!(manifest.put(entry("ofac", 8)), None);
        assert_eq!(manifest.put(entry("a-list", 9)), None);
        assert_eq!(manifest.put(entry("ofac", 7)), Some(entry("ofac", 8)));
        let bytes = manifest.to_bytes();
        assert_eq!(Manifest::parse(&bytes), Ok(manifest.clone()));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::parse(&damaged).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Manifest::parse(&bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_file_name_cannot_leave_the_directory() {
        for file in
            ["../x.seg", "ofac.seg", "ofac.0000000000000000000/.seg", "other.00000000000000000001.seg"]
        {
            let body = format!("{FIRST_LINE}\ngeneration 1\nlist ofac {file} 5 {}\n", hex(&[0; 32]));
            let text = format!("{body}sha256 {}\n", hex(&sha256(&[body.as_bytes()])));
            assert_eq!(Manifest::parse(text.as_bytes()), Err(ManifestError::Line { line: 3 }), "{file}");
        }
    }
}
