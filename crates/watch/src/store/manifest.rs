//! The file `CURRENT`: which segments are active. Text, so that people and `sha256sum` can read it.
//!
//! ```text
//! caponier lists 1
//! generation 7
//! list ofac ofac.00000000000000000006.seg 43296 <SHA-256 of that file>
//! added ofac ofac.added.00000000000000000007.seg 1320 <SHA-256 of that file>
//! removed ofac ofac.removed.00000000000000000007.seg 1320 <SHA-256 of that file>
//! sha256 <SHA-256 of all lines above>
//! ```
//!
//! Lists stand in the order of names; what was added to a list since its whole state was imported, and what was removed
//! from it, follow it. The generation grows with every change and numbers new segments.

use crypto::sha256;

use super::{LISTS_MAX, SEGMENT_SUFFIX};
use crate::{ListName, import::hex};

const FIRST_LINE: &str = "caponier lists 1";
/// Longest manifest: generously above [`LISTS_MAX`] of the longest lines, three for each list.
const BYTES_MAX: usize = 128 * 1024;

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

/// Which part of a list a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// A whole state.
    Whole,
    /// Labels added since.
    Added,
    /// Addresses of which the whole state's labels no longer count.
    Removed,
}

impl Part {
    const fn word(self) -> &'static str {
        match self {
            Self::Whole => "list",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }

    /// The name of the file of such a segment. Names of lists contain no dot.
    pub(crate) fn file(self, list: &ListName, generation: u64) -> String {
        match self {
            Self::Whole => format!("{list}.{generation:020}{SEGMENT_SUFFIX}"),
            part => format!("{list}.{}.{generation:020}{SEGMENT_SUFFIX}", part.word()),
        }
    }
}

/// One active segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) list: ListName,
    pub(crate) part: Part,
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

/// What `CURRENT` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Manifest {
    pub(crate) generation: u64,
    /// In the order of list names, then parts, each once.
    pub(crate) entries: Vec<Entry>,
}

impl Manifest {
    /// Sets a segment of a list; a whole state takes the place of all parts. Returns what was replaced.
    pub(crate) fn put(&mut self, entry: Entry) -> Vec<Entry> {
        let replaced = match entry.part {
            Part::Whole => self.take(&entry.list),
            part => self.extract(|other| (&other.list, other.part) == (&entry.list, part)),
        };
        let at = self.entries.partition_point(|other| (&other.list, other.part) < (&entry.list, entry.part));
        self.entries.insert(at, entry);
        replaced
    }

    /// Removes all parts of a list.
    pub(crate) fn take(&mut self, list: &ListName) -> Vec<Entry> {
        self.extract(|entry| entry.list == *list)
    }

    fn extract(&mut self, mut wanted: impl FnMut(&Entry) -> bool) -> Vec<Entry> {
        self.entries.extract_if(.., |entry| wanted(entry)).collect()
    }

    /// How many lists there are.
    pub(crate) fn lists(&self) -> usize {
        self.entries.iter().filter(|entry| entry.part == Part::Whole).count()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{FIRST_LINE}\ngeneration {}\n", self.generation);
        for Entry { list, part, file, bytes, sha256 } in &self.entries {
            text.push_str(&format!("{} {list} {file} {bytes} {}\n", part.word(), hex(sha256)));
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
                let mut words = text.split(' ');
                let word = words.next()?;
                let part =
                    [Part::Whole, Part::Added, Part::Removed].into_iter().find(|part| part.word() == word)?;
                let list = ListName::parse(words.next()?).ok()?;
                let file = words.next()?.to_owned();
                let bytes = words.next()?.parse().ok()?;
                let digest = unhex(words.next()?)?;
                let last = self.entries.last();
                let in_order = last.is_none_or(|last| (&last.list, last.part) < (&list, part));
                let has_whole = part == Part::Whole || last.is_some_and(|last| last.list == list);
                // The name of the file follows from the list's, so it cannot lead out of the directory.
                let number: u64 = file.strip_suffix(SEGMENT_SUFFIX)?.rsplit('.').next()?.parse().ok()?;
                let is_ours = part.file(&list, number) == file;
                let room = part != Part::Whole || self.lists() < LISTS_MAX;
                if words.next().is_some() || !in_order || !has_whole || !is_ours || !room {
                    return None;
                }
                self.entries.push(Entry { list, part, file, bytes, sha256: digest });
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

    fn part(list: &str, part: Part, generation: u64) -> Entry {
        let list = ListName::parse(list).unwrap();
        Entry {
            file: part.file(&list, generation),
            list,
            part,
            bytes: 5,
            sha256: [generation.to_le_bytes()[0]; 32],
        }
    }

    fn entry(list: &str, generation: u64) -> Entry {
        part(list, Part::Whole, generation)
    }

    #[test]
    fn a_whole_state_takes_the_place_of_all_parts() {
        let mut manifest = Manifest { generation: 9, entries: Vec::new() };
        manifest.put(entry("b", 1));
        assert_eq!(manifest.put(part("b", Part::Removed, 2)), []);
        assert_eq!(manifest.put(part("b", Part::Added, 2)), []);
        manifest.put(entry("a", 3));
        manifest.put(entry("c", 3));
        assert_eq!(Manifest::parse(&manifest.to_bytes()), Ok(manifest.clone()));
        assert_eq!(manifest.put(part("b", Part::Added, 4)), [part("b", Part::Added, 2)]);
        assert_eq!(
            manifest.put(entry("b", 5)),
            [entry("b", 1), part("b", Part::Added, 4), part("b", Part::Removed, 2)]
        );
        assert_eq!(manifest.lists(), 3);
        // A part without its list is no manifest.
        let orphan = Manifest { generation: 1, entries: vec![part("b", Part::Added, 2)] };
        assert_eq!(Manifest::parse(&orphan.to_bytes()), Err(ManifestError::Line { line: 3 }));
    }

    #[test]
    fn round_trips_and_every_flipped_bit_is_found() {
        let mut manifest = Manifest { generation: 9, entries: Vec::new() };
        assert_eq!(manifest.put(entry("ofac", 8)), []);
        assert_eq!(manifest.put(entry("a-list", 9)), []);
        assert_eq!(manifest.put(entry("ofac", 7)), [entry("ofac", 8)]);
        manifest.put(part("ofac", Part::Added, 9));
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
