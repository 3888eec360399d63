//! Entry bundles: entries one after the other, each behind its length as a 16-bit big-endian number.

use crate::tile::ENTRY_BYTES_MAX;

/// The entry does not fit a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry is {got} bytes long, at most {ENTRY_BYTES_MAX} fit a bundle")]
pub struct EntryTooLong {
    /// Length of the entry, in bytes.
    pub got: usize,
}

/// A bundle that ends within an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bundle ends within the entry that starts at byte {offset}")]
pub struct BundleCutShort {
    /// Where the unfinished entry starts, in bytes.
    pub offset: usize,
}

/// Appends an entry to a bundle.
pub(crate) fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong { got: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle, in order. Ends after the last byte or the first error.
#[derive(Debug, Clone)]
pub struct BundleEntries<'a> {
    bundle: &'a [u8],
    offset: usize,
}

impl<'a> BundleEntries<'a> {
    /// Reads `bundle` from its start.
    #[must_use]
    pub const fn new(bundle: &'a [u8]) -> Self {
        Self { bundle, offset: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl<'a> Iterator for BundleEntries<'a> {
    type Item = Result<&'a [u8], BundleCutShort>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bundle.get(self.offset..).filter(|rest| !rest.is_empty())?;
        let entry = rest
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.get(..usize::from(u16::from_be_bytes(*length))));
        let item = entry.ok_or(BundleCutShort { offset: self.offset });
        self.offset = entry.map_or(self.bundle.len(), |entry| self.offset + 2 + entry.len());
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn longest_entry() {
        let mut bundle = Vec::new();
        push(&mut bundle, &[7; ENTRY_BYTES_MAX]).unwrap();
        push(&mut bundle, b"").unwrap();
        assert_eq!(push(&mut bundle, &[7; ENTRY_BYTES_MAX + 1]), Err(EntryTooLong { got: 65_536 }));
        let lengths: Vec<_> = BundleEntries::new(&bundle).map(|entry| entry.unwrap().len()).collect();
        assert_eq!(lengths, [ENTRY_BYTES_MAX, 0]);
    }

    proptest! {
        #[test]
        fn entries_round_trip_and_cuts_are_found(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..20)) {
            let mut bundle = Vec::new();
            let mut starts = Vec::new();
            for entry in &entries {
                starts.push(bundle.len());
                push(&mut bundle, entry).unwrap();
            }
            let read: Result<Vec<_>, _> = BundleEntries::new(&bundle).collect();
            prop_assert_eq!(read.unwrap(), entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for cut in 0..bundle.len() {
                let last = BundleEntries::new(&bundle[..cut]).last();
                match starts.iter().position(|start| *start == cut) {
                    Some(_) => prop_assert!(last.is_none_or(|entry| entry.is_ok())),
                    None => {
                        let start = *starts.iter().rfind(|start| **start < cut).unwrap();
                        prop_assert_eq!(last, Some(Err(BundleCutShort { offset: start })));
                    }
                }
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bundle in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(BundleEntries::new(&bundle).count() <= bundle.len());
        }
    }
}
