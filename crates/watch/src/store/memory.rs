//! The bytes of a segment, in memory.
//!
//! A segment is read, not mapped from its file: what was verified is then what is served, whatever happens to the file,
//! and the memory can be asked to come in huge pages, without which a random lookup costs mostly address translation.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use memmap2::{Advice, MmapMut};

/// One huge page. Segments below this lie on the heap.
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Longest segment read; a longer file was not written here.
const BYTES_MAX: u64 = 1 << 40;

/// Bytes that do not change while they are held.
pub(crate) enum SegmentBytes {
    Heap(Vec<u8>),
    /// Whole huge pages from `start` on: what lies before or after those would be mapped in small ones, and every
    /// lookup there would wait for address translation too.
    Huge {
        map: MmapMut,
        start: usize,
        len: usize,
    },
}

impl SegmentBytes {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        if len > BYTES_MAX {
            return Err(io::Error::other("the file is larger than any segment"));
        }
        if len < HUGE_PAGE_BYTES as u64 {
            let mut bytes = Vec::new();
            // One byte more than expected, so that a file that grows meanwhile is seen to differ.
            file.take(len + 1).read_to_end(&mut bytes)?;
            return Ok(Self::Heap(bytes));
        }
        let len =
            usize::try_from(len).map_err(|_| io::Error::other("the file does not fit the address space"))?;
        let pages = len.next_multiple_of(HUGE_PAGE_BYTES);
        let mut map = MmapMut::map_anon(pages + HUGE_PAGE_BYTES)?;
        let start = map.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // Only a hint: without huge pages everything works, slower.
        map.advise_range(Advice::HugePage, start, pages).ok();
        let bytes = map.get_mut(start..start + len).ok_or_else(|| io::Error::other("no room was mapped"))?;
        file.read_exact(bytes)?;
        Ok(Self::Huge { map, start, len })
    }
}

impl AsRef<[u8]> for SegmentBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Huge { map, start, len } => map.get(*start..*start + *len).unwrap_or(&[]),
        }
    }
}

impl fmt::Debug for SegmentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentBytes({})", self.as_ref().len())
    }
}
