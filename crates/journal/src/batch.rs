//! A batch between the queue and the disk: what is planned in order, sealed on up to two threads, hashed while the
//! disk syncs.
//!
//! Planning gives every draft its place, time, key and nonce, so that the bytes of one frame depend on no other frame
//! and leaf hashes on nothing but the frames: who seals which half, and when, does not change a byte.

use std::sync::Arc;

use crypto::NONCE_BYTES;
use keyring::{Dek, SEAL_OVERHEAD_BYTES};
use tlog::{Frontier, Hash, leaf_hash};

use crate::{
    entry::{Envelope, encode_entry},
    frame::{FRAME_HEADER_BYTES, Tag, push_frame},
};

/// A draft that got its place.
pub(crate) struct Planned {
    pub(crate) envelope: Envelope,
    pub(crate) dek: Arc<Dek>,
    pub(crate) nonce: [u8; NONCE_BYTES],
    pub(crate) payload: Vec<u8>,
}

/// Adjacent frames of one batch.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    /// Where each frame ends in `bytes`.
    ends: Vec<usize>,
}

impl Frames {
    /// Replaces the content by the frames of `plan`; `attested` entries are durable already.
    pub(crate) fn seal(&mut self, plan: &[Planned], attested: u64) {
        self.bytes.clear();
        self.ends.clear();
        for Planned { envelope, dek, nonce, payload } in plan {
            push_frame(&mut self.bytes, Tag::Entry, envelope.seq, attested, |out| {
                let sealed_len = payload.len() + SEAL_OVERHEAD_BYTES;
                encode_entry(envelope, sealed_len, out, |aad, out| dek.seal(nonce, aad, payload, out));
            });
            self.ends.push(self.bytes.len());
        }
    }

    /// Where each frame begins in `bytes`.
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> {
        std::iter::once(0).chain(self.ends.iter().copied()).take(self.ends.len())
    }

    /// Appends the entries to a tree.
    fn grow(&self, frontier: &mut Frontier) {
        for (start, end) in self.starts().zip(&self.ends) {
            frontier.append(leaf_hash(&self.bytes[start + FRAME_HEADER_BYTES..*end]));
        }
    }
}

/// The tree after a batch, and its root.
pub(crate) fn grown(mut frontier: Frontier, parts: &[Arc<Frames>]) -> (Frontier, Hash) {
    parts.iter().for_each(|part| part.grow(&mut frontier));
    let root = frontier.root();
    (frontier, root)
}

#[cfg(test)]
mod tests {
    use crypto::Secret;
    use domain::UnixNanos;
    use keyring::{DekVersion, Pseudonym};
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{EntryRef, Kind};

    fn plan(payloads: Vec<Vec<u8>>) -> Vec<Planned> {
        let dek = Arc::new(Dek::new(DekVersion::FIRST, &Secret::new([7; 32])));
        let planned = |(seq, payload): (u64, Vec<u8>)| Planned {
            envelope: Envelope {
                seq,
                at: UnixNanos(seq),
                kind: Kind::Event,
                pseudonym: Pseudonym([1; 16]),
                dek_version: dek.version(),
            },
            dek: Arc::clone(&dek),
            nonce: [3; NONCE_BYTES],
            payload,
        };
        (0..).zip(payloads).map(planned).collect()
    }

    proptest! {
        #[test]
        fn where_a_batch_is_cut_changes_no_byte_and_no_root(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..30),
            cut: prop::sample::Index,
        ) {
            let plan = plan(payloads);
            let sealed = |plan: &[Planned]| {
                // What an earlier batch left must not show.
                let mut frames = Frames { bytes: vec![9; 99], ends: vec![99] };
                frames.seal(plan, 0);
                Arc::new(frames)
            };
            let whole = sealed(&plan);
            let (left, right) = plan.split_at(cut.index(plan.len()));
            let parts = [sealed(left), sealed(right)];
            prop_assert_eq!([&parts[0].bytes[..], &parts[1].bytes[..]].concat(), &whole.bytes[..]);
            let mut frontier = Frontier::new();
            for ((start, end), planned) in whole.starts().zip(&whole.ends).zip(&plan) {
                let entry = EntryRef::parse(&whole.bytes[start + FRAME_HEADER_BYTES..*end]).unwrap();
                prop_assert_eq!(entry.seq, planned.envelope.seq);
                let mut payload = Vec::new();
                planned.dek.open(entry.aad, entry.sealed, &mut payload).unwrap();
                prop_assert_eq!(&payload, &planned.payload);
                frontier.append(leaf_hash(entry.bytes));
            }
            let expected = (frontier.clone(), frontier.root());
            prop_assert_eq!(&grown(Frontier::new(), &[whole]), &expected);
            prop_assert_eq!(&grown(Frontier::new(), &parts), &expected);
        }
    }
}
