//! Who did what with each API key that is not revoked: created, froze, unfroze, restricted it.
//!
//! A fold over entries about keys. What a request or a timer brings about (a use, what was spent) is nobody's decision and
//! is not here; of a revoked key the journal alone tells.
//!
//! Bound: [`ACTS_MAX`] acts of each key, the newest; as many keys as the registry holds.

use std::collections::{BTreeMap, VecDeque};

use auth::KeyChange;
use domain::{Actor, ApiKeyId, UnixNanos};

use crate::control::KeyAct;

/// Acts remembered of one key.
const ACTS_MAX: usize = 16;

/// One act: when, what, who.
type Act = (UnixNanos, &'static str, Option<Actor>);

/// The newest acts of each key.
#[derive(Debug, Default)]
pub(super) struct KeyActs(BTreeMap<ApiKeyId, VecDeque<Act>>);

impl KeyActs {
    /// Takes in one change.
    pub(super) fn apply(&mut self, change: &KeyChange, by: Option<Actor>) {
        match change {
            KeyChange::Revoked { id, .. } => {
                self.0.remove(id);
            }
            KeyChange::Created(_)
            | KeyChange::Frozen { .. }
            | KeyChange::Restricted { .. }
            | KeyChange::Unfrozen { .. } => {
                let acts = self.0.entry(change.id().clone()).or_default();
                if acts.len() >= ACTS_MAX {
                    acts.pop_front();
                }
                acts.push_back((change.at(), change.as_str(), by));
            }
            KeyChange::Seen { .. } | KeyChange::Spent { .. } | KeyChange::Used { .. } => {}
        }
    }

    /// Of one key, newest first.
    pub(super) fn of(&self, id: &ApiKeyId) -> Vec<KeyAct> {
        let told = |(at, what, by): &Act| KeyAct {
            at: at.to_string(),
            what: (*what).to_owned(),
            by: by.as_ref().map(ToString::to_string),
        };
        self.0.get(id).into_iter().flat_map(|acts| acts.iter().rev().map(told)).collect()
    }

    /// SHA-256 of everything remembered: equal for equal folds.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = crypto::Sha256::new();
        hash.update(b"caponier key acts v1");
        for (id, acts) in &self.0 {
            for (at, what, by) in acts {
                let by = by.as_ref().map_or_else(String::new, ToString::to_string);
                hash.update(format!("{id} {} {what} {by}\n", at.0).as_bytes());
            }
        }
        hash.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_acts_of_a_living_key_are_told() {
        let id = ApiKeyId::parse("k-1").unwrap();
        let mut acts = KeyActs::default();
        let before = acts.digest();
        for second in 0..20 {
            let (id, at) = (id.clone(), UnixNanos::from_secs(second));
            let change =
                if second % 2 == 0 { KeyChange::Frozen { id, at } } else { KeyChange::Unfrozen { id, at } };
            acts.apply(&change, (second != 19).then(Actor::operator));
        }
        acts.apply(&KeyChange::Used { id: id.clone(), at: UnixNanos(1) }, None);
        let told = acts.of(&id);
        assert_eq!((told.len(), told[0].what.as_str(), &told[0].by), (ACTS_MAX, "unfrozen", &None));
        assert_eq!((told[1].what.as_str(), told[1].by.as_deref()), ("frozen", Some("operator:local")));
        acts.apply(&KeyChange::Revoked { id: id.clone(), at: UnixNanos(2) }, None);
        assert_eq!((acts.of(&id), acts.digest()), (Vec::new(), before));
    }
}
