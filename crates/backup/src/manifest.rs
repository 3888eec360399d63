//! The manifest: the one file that says which bytes of the target belong together.

use std::fmt::Write as _;

/// Name of the manifest in the target.
pub const MANIFEST: &str = "MANIFEST";

/// Longest manifest read, in bytes: room for some hundred thousand segments.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 32 << 20;

const HEAD: &str = "caponier-backup v1";

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The last line is not the digest of the lines before it.
    #[error("{MANIFEST}: checksum does not match, the file was altered or cut short")]
    Checksum,
    /// A line does not have its form.
    #[error("{MANIFEST} line {line}: {what}")]
    Line {
        /// One-based.
        line: usize,
        /// What was expected.
        what: &'static str,
    },
}

/// A journal segment: bytes `0..len` belong to this shipment, later ones to none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentLine {
    /// Path in the data directory and in the target, `journal/<first seq>.seg`.
    pub path: String,
    /// Bytes shipped.
    pub len: u64,
}

/// Another file, stored by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// Path in the data directory.
    pub path: String,
    /// Its length.
    pub len: u64,
    /// SHA-256 of its content; the name in the target is `files/` and this in hexadecimal.
    pub sha256: [u8; 32],
}

/// One consistent state of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Whose backup this is; a target takes only one installation.
    pub installation: String,
    /// When it was shipped, RFC 3339.
    pub shipped_at: String,
    /// Journal entries it holds.
    pub entries: u64,
    /// RFC 6962 root over them.
    pub root: [u8; 32],
    /// Journal segments in order.
    pub segments: Vec<SegmentLine>,
    /// Everything else.
    pub files: Vec<FileLine>,
}

impl Manifest {
    /// As text: one fact a line, paths last on their line, the digest of all lines at the end.
    #[must_use]
    pub fn format(&self) -> String {
        let mut text = format!(
            "{HEAD}\ninstallation {}\nshipped_at {}\nentries {}\nroot {}\n",
            self.installation,
            self.shipped_at,
            self.entries,
            hex::encode(self.root)
        );
        for segment in &self.segments {
            let _ = writeln!(text, "segment {} {}", segment.len, segment.path);
        }
        for file in &self.files {
            let _ = writeln!(text, "file {} {} {}", file.len, hex::encode(file.sha256), file.path);
        }
        let digest = hex::encode(crypto::sha256(&[text.as_bytes()]));
        let _ = writeln!(text, "sha256 {digest}");
        text
    }

    /// Parses and checks. Only what [`Manifest::format`] writes is accepted: no second spelling of a number, no other
    /// order or line end.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let body = text.strip_suffix('\n').ok_or(ManifestError::Checksum)?;
        let (before, digest) = body.rsplit_once('\n').ok_or(ManifestError::Checksum)?;
        let covered = text.get(..=before.len()).ok_or(ManifestError::Checksum)?;
        if digest != format!("sha256 {}", hex::encode(crypto::sha256(&[covered.as_bytes()]))) {
            return Err(ManifestError::Checksum);
        }
        let mut lines = before.lines().enumerate().map(|(idx, line)| (idx + 1, line));
        let mut next = |what: &'static str, prefix: &str| -> Result<(usize, String), ManifestError> {
            let (line, text) = lines.next().ok_or(ManifestError::Line { line: 0, what })?;
            let rest = text.strip_prefix(prefix).ok_or(ManifestError::Line { line, what })?;
            Ok((line, rest.to_owned()))
        };
        let (line, rest) = next("the format's name and version", HEAD)?;
        if !rest.is_empty() {
            return Err(ManifestError::Line { line, what: "a version this program reads" });
        }
        let (_, installation) = next("an installation line", "installation ")?;
        let (_, shipped_at) = next("a time line", "shipped_at ")?;
        let (line, entries) = next("an entries line", "entries ")?;
        let entries =
            entries.parse().map_err(|_| ManifestError::Line { line, what: "a number of entries" })?;
        let (line, root) = next("a root line", "root ")?;
        let root = hash(&root).ok_or(ManifestError::Line { line, what: "64 hexadecimal digits" })?;
        let mut manifest =
            Self { installation, shipped_at, entries, root, segments: Vec::new(), files: Vec::new() };
        for (line, text) in lines {
            let bad = |what| ManifestError::Line { line, what };
            if let Some(rest) = text.strip_prefix("segment ") {
                let (len, path) = rest.split_once(' ').ok_or(bad("a length and a path"))?;
                let len = len.parse().map_err(|_| bad("a length"))?;
                if !is_segment(path) {
                    return Err(bad("the path of a segment"));
                }
                manifest.segments.push(SegmentLine { path: path.to_owned(), len });
            } else if let Some(rest) = text.strip_prefix("file ") {
                let mut parts = rest.splitn(3, ' ');
                let len = parts.next().and_then(|len| len.parse().ok()).ok_or(bad("a length"))?;
                let sha256 = parts.next().and_then(hash).ok_or(bad("64 hexadecimal digits"))?;
                let path = parts.next().filter(|path| is_plain(path)).ok_or(bad("a plain relative path"))?;
                manifest.files.push(FileLine { path: path.to_owned(), len, sha256 });
            } else {
                return Err(bad("a segment or file line"));
            }
        }
        let canonical = manifest.format();
        if canonical == text {
            return Ok(manifest);
        }
        let same = canonical.split('\n').zip(text.split('\n')).take_while(|(ours, theirs)| ours == theirs);
        Err(ManifestError::Line {
            line: same.count() + 1,
            what: "numbers, order and line ends as they are written",
        })
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    // One spelling only, so that every bit of the text matters.
    (hex::encode(hash) == text).then_some(hash)
}

/// `journal/<20 digits>.seg`
pub(crate) fn is_segment(path: &str) -> bool {
    path.strip_prefix("journal/")
        .and_then(|name| name.strip_suffix(".seg"))
        .is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A relative path of one or two plain names: a manifest must not be able to write outside the directory.
pub(crate) fn is_plain(path: &str) -> bool {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    path.len() <= 255 && path.split('/').count() <= 2 && path.split('/').all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn example() -> Manifest {
        Manifest {
            installation: "abc".into(),
            shipped_at: "2026-11-22T10:00:00.000Z".into(),
            entries: 7,
            root: [3; 32],
            segments: vec![SegmentLine { path: "journal/00000000000000000000.seg".into(), len: 99 }],
            files: vec![FileLine { path: "keys/table".into(), len: 128, sha256: [4; 32] }],
        }
    }

    #[test]
    fn round_trip_and_every_flipped_bit_is_found() {
        let text = example().format();
        assert_eq!(Manifest::parse(&text), Ok(example()));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = String::from_utf8(bytes).map_or(true, |text| Manifest::parse(&text).is_err());
            assert!(found, "bit {bit}");
        }
    }

    #[test]
    fn a_manifest_has_one_text() {
        let text = example().format();
        let (body, _) = text.split_once("sha256 ").unwrap();
        let second = "segment 99 journal/00000000000000000000.seg\n";
        for (from, to) in [
            ("file 128", "file 0128"),
            ("file 128", "file +128"),
            ("entries 7\n", "entries 7\r\n"),
            ("entries 7", "entries 07"),
            ("table\n", &format!("table\n{second}")),
        ] {
            let body = body.replace(from, to);
            let digest = hex::encode(crypto::sha256(&[body.as_bytes()]));
            let parsed = Manifest::parse(&format!("{body}sha256 {digest}\n"));
            assert!(matches!(parsed, Err(ManifestError::Line { line: 4.., .. })), "{to:?}: {parsed:?}");
        }
    }

    #[test]
    fn no_path_leaves_the_directory() {
        for path in ["../x", "/x", "a/../b", "a//b", ".kek", "a/b/c", "", "a/.b", "a b"] {
            assert!(!is_plain(path), "{path}");
        }
        assert!(is_plain("keys/table") && is_plain("labels/ab.seg"));
        assert!(!is_segment("journal/1.seg") && !is_segment("journal/../0000000000000000.seg"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "\\PC*") {
            prop_assert!(Manifest::parse(&text).is_err());
        }
    }
}
