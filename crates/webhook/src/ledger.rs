//! Endpoints, and how far each was told: the fold over what was recorded about them.
//!
//! Entries that break a rule change nothing and are counted, the same on every replay.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crypto::Sha256;
use domain::UnixNanos;

use crate::{DisabledWhy, Endpoint, EndpointName, Entry, EventType, MessageKey, State};

/// Endpoints an installation has at most.
pub const ENDPOINTS_MAX: usize = 16;
/// Messages given up on that are kept for an endpoint; one more takes it out of service.
pub const DEAD_LETTERS_MAX: usize = 1_000;
/// Longest time two keys sign side by side.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A message that was given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// When.
    pub at: UnixNanos,
    /// After how many tries.
    pub tries: u32,
    /// What the last try came to.
    pub why: String,
}

/// See the module's head.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    endpoints: BTreeMap<EndpointName, Endpoint>,
    rejected: u64,
}

impl Ledger {
    /// Every endpoint, in the order of names.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = &Endpoint> {
        self.endpoints.values()
    }

    /// The endpoint of a name.
    #[must_use]
    pub fn endpoint(&self, name: &EndpointName) -> Option<&Endpoint> {
        self.endpoints.get(name)
    }

    /// Entries that broke a rule.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Takes in an entry of the journal. Says whether it changed something.
    pub fn apply(&mut self, position: u64, at: UnixNanos, entry: Entry) -> bool {
        let applied = self.step(position, at, entry).is_some();
        self.rejected += u64::from(!applied);
        applied
    }

    fn step(&mut self, position: u64, at: UnixNanos, entry: Entry) -> Option<()> {
        match entry {
            Entry::Acknowledged(positions) => {
                // Of one that was removed meanwhile, nothing is left to say.
                for (name, acknowledged) in positions {
                    if let Some(endpoint) = self.endpoints.get_mut(&name)
                        && acknowledged <= position
                    {
                        endpoint.acknowledged = endpoint.acknowledged.max(acknowledged);
                    }
                }
            }
            Entry::Added { name, settings, key, by } => {
                if self.endpoints.len() >= ENDPOINTS_MAX || self.endpoints.contains_key(&name) {
                    return None;
                }
                let endpoint = Endpoint {
                    name: name.clone(),
                    id: position,
                    revision: position,
                    settings,
                    state: State::Enabled,
                    state_at: at,
                    key: Arc::new(key),
                    previous: None,
                    added_at: at,
                    added_by: by,
                    acknowledged: position + 1,
                    dead: BTreeMap::new(),
                };
                self.endpoints.insert(name, endpoint);
            }
            Entry::Changed { name, settings, enabled, skip, by: _ } => {
                let endpoint = self.endpoints.get_mut(&name)?;
                let state = if enabled { State::Enabled } else { State::Paused };
                if endpoint.state != state {
                    (endpoint.state, endpoint.state_at) = (state, at);
                }
                (endpoint.settings, endpoint.revision) = (settings, position);
                if skip {
                    endpoint.acknowledged = position + 1;
                }
            }
            Entry::DeadLettered { name, message, tries, why } => {
                let endpoint = self.endpoints.get_mut(&name)?;
                if endpoint.dead.len() >= DEAD_LETTERS_MAX && !endpoint.dead.contains_key(&message) {
                    return None;
                }
                endpoint.dead.insert(message, DeadLetter { at, tries, why });
            }
            Entry::Disabled { name, why } => {
                let endpoint = self.endpoints.get_mut(&name)?;
                if endpoint.state != State::Enabled {
                    return None;
                }
                (endpoint.state, endpoint.state_at) = (State::Disabled(why), at);
                endpoint.revision = position;
            }
            Entry::Removed { name, by: _ } => {
                self.endpoints.remove(&name)?;
            }
            Entry::Rotated { name, key, until, by: _ } => {
                let endpoint = self.endpoints.get_mut(&name)?;
                let before = std::mem::replace(&mut endpoint.key, Arc::new(key));
                endpoint.previous = (until > at).then(|| (before, until.min(at.plus(OVERLAP_MAX))));
                endpoint.revision = position;
            }
            Entry::Settled { name, message, how: _, by: _ } => {
                self.endpoints.get_mut(&name)?.dead.remove(&message)?;
            }
        }
        Some(())
    }

    /// What two states are compared by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(bytes);
        };
        part(&self.rejected.to_be_bytes());
        for endpoint in self.endpoints.values() {
            let Endpoint { name, id, revision, settings, state, state_at, .. } = endpoint;
            part(name.as_str().as_bytes());
            for number in [*id, *revision, state_at.0, endpoint.acknowledged, endpoint.added_at.0] {
                part(&number.to_be_bytes());
            }
            part(settings.target.as_str().as_bytes());
            part(settings.events.to_string().as_bytes());
            part(&[u8::from(settings.accounts)]);
            part(state.as_str().as_bytes());
            if let State::Disabled(why) = state {
                part(why.as_str().as_bytes());
            }
            part(endpoint.added_by.to_string().as_bytes());
            part(endpoint.key.scheme().as_str().as_bytes());
            part(endpoint.key.bytes());
            if let Some((previous, until)) = &endpoint.previous {
                part(previous.bytes());
                part(&until.0.to_be_bytes());
            }
            for (MessageKey { position, event_type }, letter) in &endpoint.dead {
                part(&position.to_be_bytes());
                part(event_type.as_str().as_bytes());
                part(&letter.at.0.to_be_bytes());
                part(&letter.tries.to_be_bytes());
                part(letter.why.as_bytes());
            }
        }
        hasher.finish()
    }
}

/// What an endpoint is disabled for is one of these words; kept here so that the rule stands beside the state.
impl Endpoint {
    /// Whether one more message that is given up on still finds a place.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.dead.len() < DEAD_LETTERS_MAX
    }

    /// Why it is out of service, if it took itself out.
    #[must_use]
    pub const fn disabled_why(&self) -> Option<DisabledWhy> {
        match self.state {
            State::Disabled(why) => Some(why),
            State::Enabled | State::Paused => None,
        }
    }

    /// Whether it is told of something recorded at a position.
    #[must_use]
    pub fn wants(&self, position: u64, event_type: EventType) -> bool {
        position >= self.acknowledged
            && self.settings.events.contains(event_type)
            && !self.dead.contains_key(&MessageKey { position, event_type })
    }
}

#[cfg(test)]
mod tests {
    use domain::Actor;

    use super::*;
    use crate::{
        Scheme, SettledHow, SigningKey,
        entry::tests::{added, name},
    };

    const AT: UnixNanos = UnixNanos::from_secs(1_800_000_000);

    #[test]
    fn an_endpoint_lives_from_its_entry_to_its_removal() {
        let mut ledger = Ledger::default();
        assert!(ledger.apply(5, AT, added("siem")));
        assert!(!ledger.apply(6, AT, added("siem")), "the name is taken");
        let endpoint = ledger.endpoint(&name("siem")).unwrap();
        assert_eq!((endpoint.id, endpoint.acknowledged, endpoint.state), (5, 6, State::Enabled));
        assert!(endpoint.wants(6, EventType::DecisionHeld) && !endpoint.wants(5, EventType::DecisionHeld));
        assert!(!endpoint.wants(6, EventType::AlertChain));

        let positions = vec![(name("siem"), 9), (name("gone"), 3)];
        assert!(ledger.apply(10, AT, Entry::Acknowledged(positions)));
        assert!(ledger.apply(11, AT, Entry::Acknowledged(vec![(name("siem"), 7)])), "never backwards");
        assert!(ledger.apply(12, AT, Entry::Acknowledged(vec![(name("siem"), 99)])), "never ahead");
        assert_eq!(ledger.endpoint(&name("siem")).unwrap().acknowledged, 9);

        assert!(ledger.apply(13, AT, Entry::Disabled { name: name("siem"), why: DisabledWhy::Gone }));
        assert!(!ledger.apply(14, AT, Entry::Disabled { name: name("siem"), why: DisabledWhy::Gone }));
        assert!(ledger.apply(15, AT, Entry::Removed { name: name("siem"), by: Actor::operator() }));
        assert!(!ledger.apply(16, AT, Entry::Removed { name: name("siem"), by: Actor::operator() }));
        assert_eq!((ledger.endpoints().len(), ledger.rejected()), (0, 3));
    }

    #[test]
    fn two_keys_sign_until_the_overlap_ends() {
        let mut ledger = Ledger::default();
        ledger.apply(0, AT, added("siem"));
        let until = AT.plus(Duration::from_secs(60));
        let key = SigningKey::new(Scheme::Ed25519, [9; 32]);
        ledger.apply(1, AT, Entry::Rotated { name: name("siem"), key, until, by: Actor::operator() });
        let endpoint = ledger.endpoint(&name("siem")).unwrap();
        let both = endpoint.signatures("msg_1", AT, b"{}");
        assert!(both.starts_with("v1a,") && both.contains(" v1,"), "{both}");
        assert!(!endpoint.signatures("msg_1", until, b"{}").contains(' '));
        let key = SigningKey::new(Scheme::Hmac, [1; 32]);
        ledger.apply(2, AT, Entry::Rotated { name: name("siem"), key, until: AT, by: Actor::operator() });
        let endpoint = ledger.endpoint(&name("siem")).unwrap();
        assert!(endpoint.previous.is_none(), "without an overlap the old key is forgotten at once");
    }

    #[test]
    fn dead_letters_are_bounded_and_end_by_name() {
        let mut ledger = Ledger::default();
        ledger.apply(0, AT, added("siem"));
        let message = |position| MessageKey { position, event_type: EventType::DecisionHeld };
        let dead = |position| Entry::DeadLettered {
            name: name("siem"),
            message: message(position),
            tries: 1,
            why: "answered 500".to_owned(),
        };
        for position in 0..DEAD_LETTERS_MAX as u64 {
            assert!(ledger.apply(1, AT, dead(position)));
        }
        assert!(!ledger.endpoint(&name("siem")).unwrap().has_place());
        assert!(!ledger.apply(1, AT, dead(5_000)) && ledger.apply(1, AT, dead(1)));
        let settled = |position| Entry::Settled {
            name: name("siem"),
            message: message(position),
            how: SettledHow::Delivered,
            by: Actor::operator(),
        };
        let before = ledger.digest();
        assert!(ledger.apply(2, AT, settled(3)) && !ledger.apply(2, AT, settled(3)));
        assert!(ledger.endpoint(&name("siem")).unwrap().has_place());
        assert_ne!(ledger.digest(), before);
    }

    #[test]
    fn there_are_only_so_many_endpoints() {
        let mut ledger = Ledger::default();
        for at in 0..ENDPOINTS_MAX {
            assert!(ledger.apply(0, AT, added(&format!("e{at}"))));
        }
        assert!(!ledger.apply(0, AT, added("more")));
    }
}
