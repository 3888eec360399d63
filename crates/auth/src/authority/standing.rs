//! What is remembered about one key or grant: its restrictions in force, its budget, its uses.
//!
//! Costs some words until there is something to remember.

use std::sync::Arc;

use domain::UnixNanos;
use parking_lot::{Mutex, RwLock};

use super::{
    Charge, DayBudget, FirstSeenMode, Known, LastUse, LastUses, Notional, Novelty, Origin, Pair, Reservation,
    Restrictions, Sighting, Sightings,
};

/// The last use, which taught nothing. Most uses are like the one before: they are told by this alone, and the lists
/// learn of them when they are next looked at.
struct Usual {
    last: LastUse,
    seen: Option<Seen>,
}

/// What a use of a key that may move funds was seen with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Operator of the network, where known.
    pub(crate) asn: Option<u32>,
    pub(crate) mode: FirstSeenMode,
}

fn pair(last: &LastUse, asn: Option<u32>) -> Pair {
    Pair { origin: Origin::of(last.ip, asn), ja4: last.ja4 }
}

impl Usual {
    fn is_like(&self, last: &LastUse, seen: Option<Seen>) -> bool {
        let same = (self.last.ip, self.last.permission) == (last.ip, last.permission);
        same && self.last.ja4 == last.ja4 && self.seen == seen
    }
}

#[derive(Default)]
struct Memory {
    usual: Option<Usual>,
    budget: Option<Box<DayBudget>>,
    sightings: Sightings,
    uses: LastUses,
}

impl Memory {
    fn used(&mut self, last: LastUse, seen: Option<Seen>) -> Novelty {
        if let Some(usual) = self.usual.as_mut().filter(|usual| usual.is_like(&last, seen)) {
            usual.last.at = usual.last.at.max(last.at);
            return Novelty::None;
        }
        self.settle();
        self.uses.note(last);
        let novelty = seen.map_or(Novelty::None, |Seen { asn, mode }| {
            // Who is known by the network alone is known by its operator, too.
            let network = asn.map(|_| pair(&last, None));
            self.sightings.observe(pair(&last, asn), network, mode, last.at)
        });
        // What found no room in the lists stays new.
        let is_listed =
            |seen: Seen| seen.mode == FirstSeenMode::Off || self.sightings.has(pair(&last, seen.asn));
        if novelty == Novelty::None && seen.is_none_or(is_listed) {
            self.usual = Some(Usual { last, seen });
        }
        novelty
    }

    /// Brings the lists up to date.
    fn settle(&mut self) {
        let Some(Usual { last, seen }) = self.usual.take() else { return };
        self.uses.note(last);
        if let Some(seen) = seen.filter(|seen| seen.mode != FirstSeenMode::Off) {
            self.sightings.touch(pair(&last, seen.asn), last.at);
        }
    }

    fn budget(&mut self) -> &mut DayBudget {
        self.budget.get_or_insert_default()
    }
}

/// Shared by the requests of one key.
pub(crate) struct Standing {
    restrictions: RwLock<Option<Arc<Restrictions>>>,
    memory: Mutex<Option<Box<Memory>>>,
}

impl Standing {
    pub(crate) fn new(restrictions: Restrictions) -> Self {
        Self { restrictions: RwLock::new(shared(restrictions)), memory: Mutex::new(None) }
    }

    /// Nothing if nothing is restricted.
    pub(crate) fn restrictions(&self) -> Option<Arc<Restrictions>> {
        self.restrictions.read().clone()
    }

    /// A budget in another asset begins anew: values in the two cannot be added.
    pub(crate) fn restrict(&self, restrictions: Restrictions) {
        let quote = |all: &Restrictions| all.notional().map(|bounds| bounds.quote().clone());
        let before = self.restrictions().and_then(|all| quote(&all));
        if before.is_some() && before != quote(&restrictions) {
            self.memory(|memory| memory.budget = None);
        }
        *self.restrictions.write() = shared(restrictions);
    }

    /// [`Charge::Admitted`] without a bound.
    pub(crate) fn charge(&self, value: Notional, now: UnixNanos) -> Charge {
        let bound = self.restrictions().and_then(|all| all.notional()?.day_bound());
        bound
            .map_or(Charge::Admitted, |bound| self.memory(|memory| memory.budget().charge(value, bound, now)))
    }

    pub(crate) fn reserve(&self, reservation: Reservation) {
        self.memory(|memory| memory.budget().apply(reservation));
    }

    /// Notes a use, and says what is new about the pair it was `seen` with.
    pub(crate) fn used(&self, last: LastUse, seen: Option<Seen>) -> Novelty {
        self.memory(|memory| memory.used(last, seen))
    }

    pub(crate) fn see(&self, sighting: Sighting) {
        self.memory(|memory| {
            memory.settle();
            memory.sightings.apply(sighting);
        });
    }

    pub(crate) fn acquit(&self) {
        self.lists(|memory| memory.sightings.acquit());
    }

    pub(crate) fn last_uses(&self) -> Vec<LastUse> {
        self.lists(|memory| memory.uses.latest_first()).unwrap_or_default()
    }

    /// Charged in the last day.
    pub(crate) fn spent_at(&self, now: UnixNanos) -> Notional {
        let memory = self.memory.lock();
        let budget = memory.as_ref().and_then(|memory| memory.budget.as_ref());
        budget.map_or(Notional::ZERO, |budget| budget.spent_at(now))
    }

    pub(crate) fn known(&self) -> Vec<Known> {
        self.lists(|memory| memory.sightings.known()).unwrap_or_default()
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(self.memory.lock().get_or_insert_default())
    }

    /// With the lists up to date; nothing where nothing is remembered.
    fn lists<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        let mut memory = self.memory.lock();
        let memory = memory.as_deref_mut()?;
        memory.settle();
        Some(act(memory))
    }
}

fn shared(restrictions: Restrictions) -> Option<Arc<Restrictions>> {
    (!restrictions.is_empty()).then(|| Arc::new(restrictions))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::key::Permission;

    proptest! {
        /// Whatever order uses come in, the lists end as if each had been entered at once.
        #[test]
        fn usual_uses_are_entered_too(uses in prop::collection::vec((0..3_u8, 0..2_u8, 0..3_u8, 0..40_u64), 1..60)) {
            let standing = Standing::new(Restrictions::default());
            let (mut uses_at_once, mut sightings) = (LastUses::default(), Sightings::default());
            let mut now = UnixNanos::from_secs(1_800_000_000);
            for (network, kind, mode, hours) in uses {
                now = now.plus(std::time::Duration::from_secs(hours * 3_600));
                let ip = IpAddr::V4(Ipv4Addr::new(203, 0, network, 1));
                let permission = if kind == 0 { Permission::Read } else { Permission::Trade };
                let last = LastUse { at: now, ip, ja4: None, permission };
                let mode = [FirstSeenMode::Off, FirstSeenMode::Shadow, FirstSeenMode::Enforce][usize::from(mode)];
                let pair = Pair { origin: Origin::of(ip, None), ja4: None };
                uses_at_once.note(last);
                let novelty = sightings.observe(pair, None, mode, now);
                prop_assert_eq!(standing.used(last, Some(Seen { asn: None, mode })), novelty);
            }
            let sorted = |mut uses: Vec<LastUse>| {
                uses.sort_by_key(|one| (one.at, one.ip, one.permission as u8));
                uses
            };
            prop_assert_eq!(sorted(standing.last_uses()), sorted(uses_at_once.latest_first()));
            let sorted = |mut known: Vec<Known>| {
                known.sort_by_key(|one| (one.used_at, one.pair.origin));
                known
            };
            prop_assert_eq!(sorted(standing.known()), sorted(sightings.known()));
        }
    }
}
