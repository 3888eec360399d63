//! Lists in force against lists recorded.
//!
//! The label files verify on their own, but cannot know that all of them were taken away, or swapped for an older
//! state that verifies as well. The journal knows: as long as a list it recorded last is not the one in force,
//! screening answers nothing and withdrawals are refused. The other way round, a state in force that is newer than
//! what was recorded is what a crash between the two steps of an import leaves: it is recorded on start.

use std::collections::BTreeMap;

use domain::UnixNanos;
use journal::record::ListImported;
use parking_lot::RwLock;
use watch::ListState;

/// Names of lists that are missing or differ, with what is wrong in words.
#[derive(Debug, Default)]
pub struct ListGaps(RwLock<BTreeMap<String, &'static str>>);

impl ListGaps {
    /// Compares what was recorded with what is in force.
    #[must_use]
    pub fn find(recorded: &BTreeMap<String, (UnixNanos, ListImported)>, in_force: &[ListState]) -> Self {
        let mut gaps = BTreeMap::new();
        for (name, (at, entry)) in recorded {
            match in_force.iter().find(|state| state.name.as_str() == name) {
                None => {
                    gaps.insert(name.clone(), "is missing");
                }
                Some(state) if state.source_sha256 != entry.sha256 && state.imported_at <= *at => {
                    gaps.insert(name.clone(), "is not the state that was recorded last");
                }
                Some(_) => {}
            }
        }
        Self(RwLock::new(gaps))
    }

    /// States in force that the journal does not know yet.
    #[must_use]
    pub fn unrecorded<'s>(
        recorded: &BTreeMap<String, (UnixNanos, ListImported)>,
        in_force: &'s [ListState],
    ) -> Vec<&'s ListState> {
        let new = |state: &&ListState| match recorded.get(state.name.as_str()) {
            None => true,
            Some((at, entry)) => state.source_sha256 != entry.sha256 && state.imported_at > *at,
        };
        in_force.iter().filter(new).collect()
    }

    /// A list was imported and recorded, or taken out of force: nothing is missing of it.
    pub fn close(&self, name: &str) {
        self.0.write().remove(name);
    }

    /// What is wrong, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let gaps = self.0.read();
        let (name, what) = gaps.first_key_value()?;
        Some(format!("list {name} {what}; import it again"))
    }
}

#[cfg(test)]
mod tests {
    use watch::ListName;

    use super::*;

    #[test]
    fn a_list_that_is_gone_or_older_is_named_until_imported_again() {
        let entry = |sha256| ListImported {
            name: "ofac".into(),
            format: "ofac".into(),
            sha256,
            entries: 1,
            source: "x".into(),
        };
        let state = ListState {
            name: ListName::parse("ofac").unwrap(),
            imported_at: UnixNanos(0),
            addresses: 1,
            texts: 0,
            source_sha256: [1; 32],
            segment_sha256: [0; 32],
        };
        let recorded = |sha256| BTreeMap::from([("ofac".to_owned(), (UnixNanos(5), entry(sha256)))]);
        assert_eq!(ListGaps::find(&recorded([1; 32]), std::slice::from_ref(&state)).problem(), None);
        assert!(ListGaps::find(&recorded([1; 32]), &[]).problem().unwrap().contains("ofac is missing"));
        let newer = ListState { imported_at: UnixNanos(6), ..state.clone() };
        assert_eq!(ListGaps::find(&recorded([2; 32]), std::slice::from_ref(&newer)).problem(), None);
        assert_eq!(ListGaps::unrecorded(&recorded([2; 32]), std::slice::from_ref(&newer)), [&newer]);
        assert_eq!(
            ListGaps::unrecorded(&recorded([2; 32]), std::slice::from_ref(&state)),
            [] as [&ListState; 0]
        );
        assert_eq!(ListGaps::unrecorded(&BTreeMap::new(), std::slice::from_ref(&state)), [&state]);
        let gaps = ListGaps::find(&recorded([2; 32]), &[state]);
        assert!(gaps.problem().unwrap().contains("not the state"));
        gaps.close("ofac");
        assert_eq!(gaps.problem(), None);
    }
}
