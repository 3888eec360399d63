//! What is remembered about one key or grant: its restrictions in force, its budget, its uses.
//!
//! Costs some words until there is something to remember.

use std::sync::Arc;

use domain::UnixNanos;
use parking_lot::{Mutex, RwLock};

use super::{
    Charge, DayBudget, FirstSeenMode, Known, LastUse, LastUses, Notional, Novelty, Pair, Reservation,
    Restrictions, Sighting, Sightings,
};

#[derive(Default)]
struct Memory {
    budget: Option<Box<DayBudget>>,
    sightings: Sightings,
    uses: LastUses,
}

impl Memory {
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

    pub(crate) fn observe(
        &self,
        pair: Pair,
        network: Option<Pair>,
        mode: FirstSeenMode,
        now: UnixNanos,
    ) -> Novelty {
        self.memory(|memory| memory.sightings.observe(pair, network, mode, now))
    }

    pub(crate) fn see(&self, sighting: Sighting) {
        self.memory(|memory| memory.sightings.apply(sighting));
    }

    pub(crate) fn acquit(&self) {
        if let Some(memory) = &mut *self.memory.lock() {
            memory.sightings.acquit();
        }
    }

    pub(crate) fn note(&self, last: LastUse) {
        self.memory(|memory| memory.uses.note(last));
    }

    pub(crate) fn last_uses(&self) -> Vec<LastUse> {
        self.memory.lock().as_ref().map_or_else(Vec::new, |memory| memory.uses.latest_first())
    }

    /// Charged in the last day.
    pub(crate) fn spent_at(&self, now: UnixNanos) -> Notional {
        let memory = self.memory.lock();
        let budget = memory.as_ref().and_then(|memory| memory.budget.as_ref());
        budget.map_or(Notional::ZERO, |budget| budget.spent_at(now))
    }

    pub(crate) fn known(&self) -> Vec<Known> {
        self.memory.lock().as_ref().map_or_else(Vec::new, |memory| memory.sightings.known())
    }

    fn memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(self.memory.lock().get_or_insert_default())
    }
}

fn shared(restrictions: Restrictions) -> Option<Arc<Restrictions>> {
    (!restrictions.is_empty()).then(|| Arc::new(restrictions))
}
