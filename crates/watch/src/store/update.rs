//! Small changes of a large list.
//!
//! A whole state is immutable; building it anew for one address would take as long as for all. Changes are kept beside
//! it instead, in two small segments: labels added, and addresses of which the whole state's labels no longer count.
//! Both are rebuilt with every change and durable before it is in force; a lookup asks them too. The next whole state
//! takes the place of all three.

use std::sync::Arc;

use chain::segment::{Builder, Key, Segment};
use crypto::sha256;
use domain::UnixNanos;

use super::{Part, Piece, Watch};
use crate::{
    Format, ImportError, ListName, SourceFile,
    import::{self, Imported},
};

/// Most addresses and texts added or removed since the last whole state, each.
pub const CHANGES_MAX: u64 = 1_000_000;

/// What [`Watch::update`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateReport {
    /// Addresses and texts the update added labels of.
    pub added: u64,
    /// Addresses and texts the update removed.
    pub removed: u64,
    /// Of those removed, how many were listed.
    pub removed_listed: u64,
    /// Added and removed since the last whole state, this update included.
    pub changes: u64,
    /// Distinct addresses and texts now listed.
    pub listed: u64,
    /// What the state now in force goes by: the SHA-256 over the digest of the state before, of `added` and of `removed`.
    pub source_sha256: [u8; 32],
    /// When.
    pub updated_at: UnixNanos,
}

impl Watch {
    /// Changes a list that is in force: first every address named in `removed` loses its labels there, then those of
    /// `added` are added. Both are written in `format`; in `removed` only the addresses count. When this returns, the
    /// change is durable and in force. Its cost grows with the changes made since the last import, not with the list.
    ///
    /// # Errors
    /// [`ImportError`]; the earlier state stays in force, unchanged. [`ImportError::NotInForce`] when there is no such
    /// list, [`ImportError::TooManyChanges`] when a whole import is due.
    pub fn update(
        &self,
        list: &ListName,
        format: &Format,
        added: &[SourceFile],
        removed: &[SourceFile],
        now: UnixNanos,
    ) -> Result<UpdateReport, ImportError> {
        let _writer = self.writer.lock();
        let before = self.active.load_full();
        let old = before.list(list).ok_or_else(|| ImportError::NotInForce { list: list.clone() })?;
        let parse =
            |files: &[SourceFile]| match import::build(list, format, files, crypto::random::array(), now) {
                Ok(Imported { segment, .. }) => {
                    Ok(Some(Segment::parse(segment).expect("a segment just built is one")))
                }
                Err(ImportError::NoEntries) if files.is_empty() => Ok(None),
                Err(error) => Err(error),
            };
        let (adding, removing) = (parse(added)?, parse(removed)?);
        if adding.is_none() && removing.is_none() {
            return Err(ImportError::NoEntries);
        }
        let is_removed = |key: Key<'_>| removing.as_ref().is_some_and(|removing| removing.contains(key));
        let source_sha256 =
            sha256(&[&old.state.source_sha256, &import::digest_of(added), &import::digest_of(removed)]);
        let builder = || Builder::new(list.as_str(), crypto::random::array(), now, source_sha256);

        let mut next_added = builder()?;
        for (listed, claims) in old.added.iter().flat_map(|piece| piece.segment.entries()) {
            if !is_removed(listed.key()) {
                push_all(&mut next_added, listed.key(), claims.filter_map(|claim| claim.label()))?;
            }
        }
        for (listed, claims) in adding.iter().flat_map(Segment::entries) {
            push_all(&mut next_added, listed.key(), claims.filter_map(|claim| claim.label()))?;
        }
        // The label of a removal is that of the source that asked for it; none of it is ever shown as a label.
        let mut next_removed = builder()?;
        for (listed, claims) in old.removed.iter().flat_map(|piece| piece.segment.entries()) {
            push_all(&mut next_removed, listed.key(), claims.filter_map(|claim| claim.label()))?;
        }
        let mut removed_listed = 0;
        for (listed, claims) in removing.iter().flat_map(Segment::entries) {
            removed_listed += u64::from(old.has(listed.key()));
            push_all(&mut next_removed, listed.key(), claims.filter_map(|claim| claim.label()))?;
        }

        let mut manifest = before.manifest.clone();
        manifest.generation += 1;
        let mut parts = vec![Arc::clone(&old.whole)];
        let mut changes = 0;
        for (part, builder) in [(Part::Added, next_added), (Part::Removed, next_removed)] {
            let piece = self.store(&mut manifest, list, part, builder.finish()?)?;
            let size = entries(&piece);
            if size > CHANGES_MAX {
                return Err(ImportError::TooManyChanges);
            }
            changes += size;
            parts.push(piece);
        }
        let state = self.switch(&before, manifest, list, parts)?;
        let size = |segment: Option<&Segment<Vec<u8>>>| {
            segment.map_or(0, |segment| (segment.address_count() + segment.text_count()) as u64)
        };
        Ok(UpdateReport {
            added: size(adding.as_ref()),
            removed: size(removing.as_ref()),
            removed_listed,
            changes,
            listed: state.addresses + state.texts,
            source_sha256,
            updated_at: now,
        })
    }
}

fn push_all<'a>(
    builder: &mut Builder,
    key: Key<'_>,
    labels: impl Iterator<Item = chain::label::Label<'a>>,
) -> Result<(), ImportError> {
    for label in labels {
        builder.push(key, &label)?;
    }
    Ok(())
}

fn entries(piece: &Piece) -> u64 {
    (piece.segment.address_count() + piece.segment.text_count()) as u64
}
