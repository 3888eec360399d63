//! Who wants to be told of what.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use domain::{Actor, UnixNanos};

use crate::{DeadLetter, Events, MessageKey, SigningKey, Target};

/// Longest name of an endpoint, in bytes.
pub const NAME_BYTES_MAX: usize = 48;

/// Name of an endpoint: 1 to 48 of `a` to `z`, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName(Arc<str>);

/// A text is no name of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of an endpoint is 1 to {NAME_BYTES_MAX} of a-z, 0-9, - and _")]
pub struct EndpointNameError;

impl EndpointName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EndpointName {
    type Err = EndpointNameError;

    fn from_str(text: &str) -> Result<Self, EndpointNameError> {
        let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_fine) {
            Ok(Self(text.into()))
        } else {
            Err(EndpointNameError)
        }
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What can be changed about an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where messages go.
    pub target: Target,
    /// Of what it is told.
    pub events: Events,
    /// Whether messages name accounts.
    pub accounts: bool,
}

/// Why an endpoint was taken out of service without anybody asking for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DisabledWhy {
    /// As many messages were given up on as are kept.
    DeadLettersFull,
    /// It answered 410: it wants nothing any more.
    Gone,
    /// It took nothing over all tries of a message.
    Unreachable,
}

impl DisabledWhy {
    /// Every reason, in the order of names.
    pub const ALL: [Self; 3] = [Self::DeadLettersFull, Self::Gone, Self::Unreachable];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadLettersFull => "dead_letters_full",
            Self::Gone => "gone",
            Self::Unreachable => "unreachable",
        }
    }

    /// The reason of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == name)
    }
}

/// Whether messages go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Taken out of service by what it answered, or did not.
    Disabled(DisabledWhy),
    /// They go out.
    Enabled,
    /// Somebody stopped it.
    Paused,
}

impl State {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled(_) => "disabled",
            Self::Enabled => "enabled",
            Self::Paused => "paused",
        }
    }
}

/// An endpoint as the journal leaves it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// Where it was added: another one of the same name has another.
    pub id: u64,
    /// Where it was last changed, in whatever way but by what was delivered.
    pub revision: u64,
    /// Where to, of what, and how much is said.
    pub settings: Settings,
    /// Whether messages go out.
    pub state: State,
    /// When the state began.
    pub state_at: UnixNanos,
    /// What messages are signed with.
    pub key: Arc<SigningKey>,
    /// What they are signed with as well, and until when.
    pub previous: Option<(Arc<SigningKey>, UnixNanos)>,
    /// When it was added.
    pub added_at: UnixNanos,
    /// By whom.
    pub added_by: Actor,
    /// Everything before this position is settled.
    pub acknowledged: u64,
    /// What was given up on.
    pub dead: BTreeMap<MessageKey, DeadLetter>,
}

impl Endpoint {
    /// The header `webhook-signature` of a message sent at `now`.
    #[must_use]
    pub fn signatures(&self, id: &str, now: UnixNanos, body: &[u8]) -> String {
        let timestamp = now.as_secs();
        let mut header = self.key.sign(id, timestamp, body);
        if let Some((previous, until)) = &self.previous
            && now < *until
        {
            header.push(' ');
            header.push_str(&previous.sign(id, timestamp, body));
        }
        header
    }
}
