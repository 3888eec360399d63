//! The rehearsal: restore into an empty place, rebuild everything, compare.

use std::{collections::BTreeMap, sync::Arc};

use journal::disk::Disk;

use crate::restore::{RestoreError, restore};

/// Everything about an installation's state that two of them can be compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDigest {
    /// Entries folded.
    pub entries: u64,
    /// RFC 6962 root over them.
    pub root: [u8; 32],
    /// Named counts and digests of derived state.
    pub parts: BTreeMap<String, String>,
}

/// The installation under rehearsal. Implemented by the product.
pub trait Installation {
    /// Opens a restored directory by the normal start, folds exactly `entries` entries and takes its state.
    ///
    /// # Errors
    /// In words.
    fn rebuild(&self, restored: Arc<dyn Disk>, entries: u64) -> Result<StateDigest, String>;
}

/// One thing that was not equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub name: String,
    /// In the live installation.
    pub live: String,
    /// In the restored one.
    pub restored: String,
}

/// Result of a drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drill {
    /// The live state it was compared with.
    pub live: StateDigest,
    /// What differed; empty means that the backup restores.
    pub differences: Vec<Difference>,
    /// How many things were compared.
    pub compared: usize,
}

/// Why no comparison was made. A drill that could not be made has failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrillError {
    /// The copy is older than the live state it is to be compared with.
    #[error("the backup holds {shipped} entries, the live state has {live}")]
    Behind {
        /// In the target.
        shipped: u64,
        /// Live.
        live: u64,
    },
    /// The restored directory did not start.
    #[error("restored directory does not start: {0}")]
    Rebuild(String),
    /// Restoring failed.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Rehearses a restore of `target` into `scratch`, which must be empty. Ship before calling: the copy must hold at
/// least what is live when the drill begins.
///
/// # Errors
/// [`DrillError`].
pub fn drill(
    installation: &dyn Installation,
    target: &dyn Disk,
    scratch: Arc<dyn Disk>,
    live: StateDigest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Drill, DrillError> {
    let manifest = restore(target, &*scratch, progress)?;
    if manifest.entries < live.entries {
        return Err(DrillError::Behind { shipped: manifest.entries, live: live.entries });
    }
    let restored = installation.rebuild(scratch, live.entries).map_err(DrillError::Rebuild)?;
    let mut differences = Vec::new();
    let mut compare = |name: &str, one: String, other: String| {
        if one != other {
            differences.push(Difference { name: name.to_owned(), live: one, restored: other });
        }
    };
    compare("entries", live.entries.to_string(), restored.entries.to_string());
    compare("root", hex::encode(live.root), hex::encode(restored.root));
    let names: std::collections::BTreeSet<&String> = live.parts.keys().chain(restored.parts.keys()).collect();
    let compared = names.len() + 2;
    for name in names {
        let part =
            |state: &StateDigest| state.parts.get(name).cloned().unwrap_or_else(|| "absent".to_owned());
        compare(name, part(&live), part(&restored));
    }
    Ok(Drill { live, differences, compared })
}
