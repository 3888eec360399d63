//! Who acts: named in every record of something that was done on purpose.
//!
//! An actor is a name, not a proof. Whoever makes one has authenticated its bearer; whoever stores one stores what
//! was true then. Authorisation is decided where the request arrives, never from an actor read back.

use std::{fmt, str::FromStr};

use crate::ids::{IdError, check};

/// What kind of party acts. The order of the variants is that of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActorKind {
    /// Whoever may use the command line on the machine itself.
    Operator,
    /// A program that authenticates by a token.
    Service,
    /// Caponier itself: a timer, a rule, a restart.
    System,
    /// A person who has signed in.
    User,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Operator, Self::Service, Self::System, Self::User];

    /// Stable lower-case name for storage and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Service => "service",
            Self::System => "system",
            Self::User => "user",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether a human being is behind it, as four-eyes rules demand.
    #[must_use]
    pub const fn is_person(self) -> bool {
        matches!(self, Self::User)
    }
}

/// Who acted. Equal actors are the same party: two sessions of one user are one actor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Actor {
    kind: ActorKind,
    id: std::sync::Arc<str>,
}

/// Why a text names no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// The part behind the colon.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The part before the colon, or there is none.
    #[error("actor does not begin with operator:, service:, system: or user:")]
    Kind,
}

impl Actor {
    /// Longest id, in bytes.
    pub const ID_BYTES_MAX: usize = 64;

    /// An actor of a kind. The id is 1 to 64 visible ASCII characters: a user's name, a token's name.
    ///
    /// # Errors
    /// [`IdError`].
    pub fn new(kind: ActorKind, id: &str) -> Result<Self, IdError> {
        check("actor id", id, Self::ID_BYTES_MAX, |byte| byte.is_ascii_graphic())?;
        Ok(Self { kind, id: id.into() })
    }

    /// Whoever may use the command line on the machine itself.
    #[must_use]
    pub fn operator() -> Self {
        Self { kind: ActorKind::Operator, id: "local".into() }
    }

    /// Caponier itself.
    #[must_use]
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: "caponier".into() }
    }

    /// What kind of party.
    #[must_use]
    pub const fn kind(&self) -> ActorKind {
        self.kind
    }

    /// Its name among its kind.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// `user:alice`, which [`Actor::from_str`] reads back.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.id)
    }
}

impl FromStr for Actor {
    type Err = ActorError;

    fn from_str(text: &str) -> Result<Self, ActorError> {
        let (kind, id) = text.split_once(':').ok_or(ActorError::Kind)?;
        let kind = ActorKind::named(kind).ok_or(ActorError::Kind)?;
        Ok(Self::new(kind, id)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["operator:local", "service:desk#2", "system:caponier", "user:a:b@c"] {
            assert_eq!(text.parse::<Actor>().unwrap().to_string(), text);
        }
        assert_eq!(Actor::operator().to_string(), "operator:local");
        assert_eq!(Actor::system(), "system:caponier".parse().unwrap());
        assert!(ActorKind::User.is_person() && !ActorKind::Service.is_person());
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for text in ["", "alice", "User:alice", "root:alice"] {
            assert_eq!(text.parse::<Actor>(), Err(ActorError::Kind), "{text}");
        }
        for text in ["user:", "user:a b", "user:\u{e4}", &format!("user:{}", "a".repeat(65))] {
            assert!(matches!(text.parse::<Actor>(), Err(ActorError::Id(_))), "{text}");
        }
    }
}
