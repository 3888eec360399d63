//! What is wrong with a directory of lists, and where.

use std::{fmt, fs, io, ops::Range, path::Path};

use chain::segment::{HEADER_BYTES, Segment, SegmentError};

use super::{
    CURRENT, SEGMENT_SUFFIX, TEMPORARY_SUFFIX, file_names,
    manifest::{Entry, Manifest, ManifestError},
    memory::SegmentBytes,
};

/// A file that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its name within the directory; empty for the directory itself.
    pub file: String,
    /// The bytes concerned, where they are known more closely than the whole file.
    pub bytes: Option<Range<u64>>,
    /// What is wrong, in words.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.file.is_empty() { "the directory" } else { &self.file })?;
        if let Some(Range { start, end }) = &self.bytes {
            write!(f, ", bytes {start} to {end}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// Verifies every byte of the lists in `dir`; empty if all is well. Changes nothing.
///
/// A directory that does not exist holds no lists. What an import left behind when it was interrupted is no fault: it
/// has no effect and the next [`Watch::open`](crate::Watch::open) removes it.
#[must_use]
pub fn verify_dir(dir: &Path) -> Vec<Fault> {
    let names = match file_names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![unreadable("", &error)],
    };
    let manifest = match fs::read(dir.join(CURRENT)) {
        Ok(bytes) => Manifest::parse(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if names.iter().any(|name| name.ends_with(SEGMENT_SUFFIX)) {
                Err(ManifestError::Missing)
            } else {
                Ok(Manifest::default())
            }
        }
        Err(error) => return vec![unreadable(CURRENT, &error)],
    };
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => return vec![of_manifest(&error)],
    };
    let mut faults = Vec::new();
    for entry in &manifest.entries {
        match SegmentBytes::open(&dir.join(&entry.file)) {
            Ok(bytes) => faults.extend(segment(entry, bytes).err()),
            Err(error) => faults.push(unreadable(&entry.file, &error)),
        }
    }
    for name in names {
        if name != CURRENT && !name.ends_with(SEGMENT_SUFFIX) && !name.ends_with(TEMPORARY_SUFFIX) {
            faults.push(Fault {
                file: name,
                bytes: None,
                problem: "this file does not belong here".to_owned(),
            });
        }
    }
    faults
}

fn unreadable(file: &str, error: &io::Error) -> Fault {
    Fault { file: file.to_owned(), bytes: None, problem: format!("cannot be read: {error}") }
}

pub(super) fn of_manifest(error: &ManifestError) -> Fault {
    Fault { file: CURRENT.to_owned(), bytes: None, problem: error.to_string() }
}

/// The segment `entry` names, with every byte verified.
pub(super) fn segment(entry: &Entry, bytes: SegmentBytes) -> Result<Segment<SegmentBytes>, Fault> {
    let fault = |bytes, problem: String| Fault { file: entry.file.clone(), bytes, problem };
    let segment = Segment::parse(bytes).map_err(|error| match error {
        SegmentError::Header | SegmentError::Magic => fault(Some(0..HEADER_BYTES as u64), error.to_string()),
        error => fault(None, error.to_string()),
    })?;
    if segment.file_sha256() == entry.sha256 {
        // The digest of the whole file covers everything; the finer ones are needed only to find the place.
        return if segment.bytes().len() as u64 == entry.bytes && segment.list() == entry.list.as_str() {
            Ok(segment)
        } else {
            Err(fault(None, format!("this is not the segment of {} that {CURRENT} names", entry.list)))
        };
    }
    Err(match segment.verify() {
        Err(SegmentError::Changed { range }) => fault(
            Some(range.start as u64..range.end as u64),
            "these bytes were changed after they were written".to_owned(),
        ),
        Err(error) => fault(None, error.to_string()),
        Ok(()) => fault(None, format!("this is an intact segment, but not the one {CURRENT} names")),
    })
}
