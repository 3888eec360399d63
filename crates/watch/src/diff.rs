//! What importing a list would change, before it is imported.

use std::collections::BTreeMap;

use chain::{
    address,
    label::Category,
    segment::{Listed, Segment},
};
use domain::{UnixNanos, Verdict};

use crate::{Format, ImportError, ListName, SourceFile, Watch, import};

/// What is said about one address by one state of a list: its gravest category, and what its labels ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The gravest category.
    pub category: Category,
    /// The strictest verdict.
    pub verdict: Verdict,
}

/// A difference between two states of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The address, or the exact text where it has no codec here.
    pub address: String,
    /// What the state in force says; `None`: it does not name the address.
    pub before: Option<Claimed>,
    /// What the other state says.
    pub after: Option<Claimed>,
}

impl Watch {
    /// What is different between the state of `list` in force and the one that importing `files` would put there, in the order of
    /// addresses. A list that does not exist yet is empty. Nothing is changed.
    ///
    /// # Errors
    /// [`ImportError`], as importing would.
    pub fn diff(
        &self,
        list: &ListName,
        format: &Format,
        files: &[SourceFile],
        now: UnixNanos,
    ) -> Result<Vec<Difference>, ImportError> {
        let next = import::build(list, format, files, crypto::random::array(), now)?;
        let mut claims: BTreeMap<String, (Option<Claimed>, Option<Claimed>)> = BTreeMap::new();
        let snapshot = self.snapshot();
        if let Some(active) = snapshot.list(list) {
            active.for_each_entry(|listed, label| {
                let (before, _) = claims.entry(name(listed)).or_default();
                add(before, label.category, label.verdict());
            });
        }
        let segment = Segment::parse(next.segment).expect("a segment just built is one");
        for (listed, labels) in segment.entries() {
            let (_, after) = claims.entry(name(&listed)).or_default();
            for claim in labels {
                add(after, claim.category(), claim.category().verdict_with(claim.confidence()));
            }
        }
        let differences = claims.into_iter().filter(|(_, (before, after))| before != after);
        Ok(differences.map(|(address, (before, after))| Difference { address, before, after }).collect())
    }
}

fn add(claimed: &mut Option<Claimed>, category: Category, verdict: Verdict) {
    let so_far = claimed.get_or_insert(Claimed { category, verdict });
    so_far.category = so_far.category.min(category);
    so_far.verdict = so_far.verdict.max(verdict);
}

fn name(listed: &Listed<'_>) -> String {
    match listed {
        Listed::Address(address) => address::encode(address),
        Listed::Text(text) => (*text).to_owned(),
    }
}
