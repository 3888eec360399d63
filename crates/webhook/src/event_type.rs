//! What can be told of. Names are hierarchical, as Standard Webhooks recommends: family, dot, what happened.

use std::{collections::BTreeSet, fmt, str::FromStr};

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Something that can be told of. The order is that of the names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
        }

        impl EventType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

event_types! {
    /// The gateway is no longer on its guard.
    AlarmEnded = "alarm.ended",
    /// The gateway is on its guard.
    AlarmRaised = "alarm.raised",
    /// Something about an address of the house or a customer was seen on a chain.
    AlertChain = "alert.chain",
    /// An alert about a chain is taken back: its block left the chain.
    AlertChainRetracted = "alert.chain_retracted",
    /// The fraud engine raised an alert.
    AlertFraud = "alert.fraud",
    /// A past transfer is judged otherwise since lists changed.
    AlertScreening = "alert.screening",
    /// Somebody answered an appeal.
    AppealAnswered = "appeal.answered",
    /// A customer says that a decision or a ban was wrong.
    AppealOpened = "appeal.opened",
    /// A restore drill failed.
    BackupDrillFailed = "backup.drill_failed",
    /// Somebody agreed to a release.
    CaseApproved = "case.approved",
    /// A case has another assignee, or none.
    CaseAssigned = "case.assigned",
    /// Somebody refused a release.
    CaseDeclined = "case.declined",
    /// A case was opened.
    CaseOpened = "case.opened",
    /// Somebody proposed a release.
    CaseProposed = "case.proposed",
    /// A case was closed.
    CaseResolved = "case.resolved",
    /// Somebody agreed to a change that takes two persons.
    ChangeApproved = "change_request.approved",
    /// Somebody refused a change.
    ChangeDeclined = "change_request.declined",
    /// A change was done.
    ChangeExecuted = "change_request.executed",
    /// A change that was agreed to could not be done.
    ChangeFailed = "change_request.failed",
    /// Somebody asks for a change that takes two persons.
    ChangeOpened = "change_request.opened",
    /// Somebody took a request back.
    ChangeWithdrawn = "change_request.withdrawn",
    /// A withdrawal was allowed.
    DecisionAllowed = "decision.allowed",
    /// A withdrawal needs another proof of who asks.
    DecisionChallenged = "decision.challenged",
    /// A withdrawal was denied.
    DecisionDenied = "decision.denied",
    /// A withdrawal waits for people.
    DecisionHeld = "decision.held",
    /// Nothing leaves within a scope.
    FreezeFrozen = "freeze.frozen",
    /// Somebody was against lifting a freeze.
    FreezeUnfreezeDeclined = "freeze.unfreeze_declined",
    /// Somebody would lift a freeze.
    FreezeUnfreezeProposed = "freeze.unfreeze_proposed",
    /// What was frozen may leave again.
    FreezeUnfrozen = "freeze.unfrozen",
    /// A login, order or call was not simply allowed.
    JudgementRaised = "judgement.raised",
    /// A label list was taken in.
    ListImported = "list.imported",
    /// A label list is no longer in force.
    ListRemoved = "list.removed",
    /// What a model sees has drifted from what it learned.
    ModelDrifted = "model.drifted",
    /// A model suspects an address of a followed chain.
    SuspicionRaised = "suspicion.raised",
    /// A suspicion is taken back.
    SuspicionWithdrawn = "suspicion.withdrawn",
}

impl EventType {
    /// The type of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_str() == name)
    }

    /// The part before the dot.
    #[must_use]
    pub fn family(self) -> &'static str {
        self.as_str().split('.').next().unwrap_or_default()
    }

    /// Every family once, in order.
    pub fn families() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|one| one.family()).collect::<BTreeSet<_>>().into_iter()
    }
}

/// Why a text is no choice of types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// Nothing was chosen.
    #[error("no event type is chosen")]
    None,
    /// No such type or family.
    #[error("{name:?} is neither an event type nor a family of them")]
    Unknown {
        /// What was asked for, cut to 64 characters.
        name: String,
    },
}

/// A choice of types, by types and families. A family includes what is added to it later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Events {
    names: BTreeSet<&'static str>,
}

impl Events {
    /// From names of types and families.
    ///
    /// # Errors
    /// [`EventsError`].
    pub fn parse<'t>(names: impl IntoIterator<Item = &'t str>) -> Result<Self, EventsError> {
        let mut chosen = BTreeSet::new();
        for name in names {
            let known = EventType::named(name)
                .map(EventType::as_str)
                .or_else(|| EventType::families().find(|family| *family == name));
            chosen
                .insert(known.ok_or_else(|| EventsError::Unknown { name: name.chars().take(64).collect() })?);
        }
        if chosen.is_empty() { Err(EventsError::None) } else { Ok(Self { names: chosen }) }
    }

    /// Whether a type was chosen, by itself or with its family.
    #[must_use]
    pub fn contains(&self, one: EventType) -> bool {
        self.names.contains(one.as_str()) || self.names.contains(one.family())
    }

    /// The names that were chosen, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> + '_ {
        self.names.iter().copied()
    }
}

impl FromStr for Events {
    type Err = EventsError;

    /// Names divided by commas or blanks.
    fn from_str(text: &str) -> Result<Self, EventsError> {
        Self::parse(text.split([',', ' ', '\n', '\r', '\t']).filter(|name| !name.is_empty()))
    }
}

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.names().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_to_one_and_of_two_parts() {
        let names: BTreeSet<_> = EventType::ALL.iter().map(|one| one.as_str()).collect();
        assert_eq!(names.len(), EventType::ALL.len());
        for one in EventType::ALL {
            assert_eq!(EventType::named(one.as_str()), Some(*one));
            assert_eq!(one.as_str().split('.').count(), 2);
            assert!(EventType::named(one.family()).is_none());
        }
    }

    #[test]
    fn a_family_stands_for_its_types() {
        let events: Events = "decision, alert.fraud".parse().unwrap();
        assert!(events.contains(EventType::DecisionHeld) && events.contains(EventType::AlertFraud));
        assert!(!events.contains(EventType::AlertChain) && !events.contains(EventType::CaseOpened));
        assert_eq!(events.to_string(), "alert.fraud, decision");
        assert_eq!(events.to_string().parse(), Ok(events));
        assert_eq!("".parse::<Events>(), Err(EventsError::None));
        assert_eq!(
            "decision.x".parse::<Events>(),
            Err(EventsError::Unknown { name: "decision.x".to_owned() })
        );
    }
}
