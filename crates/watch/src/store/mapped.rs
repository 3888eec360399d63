//! The bytes of a segment: read into memory when small, mapped when large. The only `unsafe` of this crate.
#![allow(unsafe_code, reason = "mapping a file is unsafe; the proof stands beside the call")]

use std::{fmt, fs::File, io, path::Path};

use memmap2::Mmap;

/// Files below this are read: a mapping costs a page table entry and a system call, and gains nothing.
const MAP_BYTES_MIN: u64 = 1 << 20;

/// Bytes that do not change while they are held.
pub(crate) enum SegmentBytes {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl SegmentBytes {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        if len < MAP_BYTES_MIN {
            let mut bytes = Vec::new();
            // One byte more than expected, so that a file that grew is seen to differ.
            io::Read::read_to_end(&mut io::Read::take(file, MAP_BYTES_MIN + 1), &mut bytes)?;
            return Ok(Self::Owned(bytes));
        }
        // SAFETY: a mapping must not be changed or cut short while it is borrowed. Segment files are written under
        // another name, synced, and renamed into place before they are opened here; after that no code of this
        // program opens them for writing, they are only ever unlinked, which leaves mappings intact. They lie in a
        // directory only this user may enter (mode 0700) and are readable by this user only (0600); the lock of the
        // data directory keeps a second process of this program away. Whoever can break this already runs as this user.
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self::Mapped(map))
    }
}

impl AsRef<[u8]> for SegmentBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for SegmentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentBytes({})", self.as_ref().len())
    }
}
