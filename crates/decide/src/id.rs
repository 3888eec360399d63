//! Decision ids: a position in the journal that cannot be guessed.
//!
//! `dec-<position>-<tag>`: the position makes the lookup a single read without an index, the tag (64 bits of
//! HMAC-SHA256 over the position) keeps a client that was shown one id from walking to its neighbours.

use std::fmt;

use crypto::MacKey;

/// Why a text is not a decision id of this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decision id of this installation")]
pub struct MalformedDecisionId;

/// A decision's id as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DecisionId(String);

impl DecisionId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes and checks the ids of one installation.
#[derive(Debug, Clone)]
pub struct DecisionIds(MacKey);

impl DecisionIds {
    /// Under a key that stays the same over restarts and restores.
    #[must_use]
    pub const fn new(key: MacKey) -> Self {
        Self(key)
    }

    fn tag(&self, position: u64) -> String {
        let mac = self.0.sign(&[b"decision-id", &position.to_be_bytes()]);
        mac.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The id of the decision at a position.
    #[must_use]
    pub fn id(&self, position: u64) -> DecisionId {
        DecisionId(format!("dec-{position}-{}", self.tag(position)))
    }

    /// The position an id stands for.
    ///
    /// # Errors
    /// [`MalformedDecisionId`] for any text that [`DecisionIds::id`] did not make.
    pub fn position(&self, text: &str) -> Result<u64, MalformedDecisionId> {
        let (position, tag) =
            text.strip_prefix("dec-").and_then(|rest| rest.split_once('-')).ok_or(MalformedDecisionId)?;
        let number: u64 = position.parse().map_err(|_| MalformedDecisionId)?;
        let genuine =
            number.to_string() == position && crypto::ct_eq(self.tag(number).as_bytes(), tag.as_bytes());
        if genuine { Ok(number) } else { Err(MalformedDecisionId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_ids_are_accepted() {
        let ids = DecisionIds::new(MacKey::new(b"one"));
        let id = ids.id(42);
        assert_eq!(ids.position(id.as_str()), Ok(42));
        assert!(DecisionIds::new(MacKey::new(b"two")).position(id.as_str()).is_err());
        let moved = id.as_str().replacen("42", "43", 1);
        for text in ["", "dec-42", "dec-042-0000000000000000", "dec-42-", "42", moved.as_str()] {
            assert!(ids.position(text).is_err(), "{text}");
        }
    }
}
