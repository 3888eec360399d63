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

/// Segments below this lie on the heap: they fit one huge page.
const HUGE_BYTES_MIN: u64 = 2 << 20;
/// Longest segment read; a longer file was not written here.
const BYTES_MAX: u64 = 1 << 40;

/// Bytes that do not change while they are held.
pub(crate) enum SegmentBytes {
    Heap(Vec<u8>),
    Huge(MmapMut),
}

impl SegmentBytes {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        if len > BYTES_MAX {
            return Err(io::Error::other("the file is larger than any segment"));
        }
        if len < HUGE_BYTES_MIN {
            let mut bytes = Vec::new();
            // One byte more than expected, so that a file that grows meanwhile is seen to differ.
            file.take(len + 1).read_to_end(&mut bytes)?;
            return Ok(Self::Heap(bytes));
        }
        let len =
            usize::try_from(len).map_err(|_| io::Error::other("the file does not fit the address space"))?;
        let mut map = MmapMut::map_anon(len)?;
        // Only a hint: without huge pages everything works, slower.
        map.advise(Advice::HugePage).ok();
        file.read_exact(&mut map)?;
        Ok(Self::Huge(map))
    }
}

impl AsRef<[u8]> for SegmentBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Huge(map) => map,
        }
    }
}

impl fmt::Debug for SegmentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentBytes({})", self.as_ref().len())
    }
}
