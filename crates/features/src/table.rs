//! A map with a fixed number of places that forgets its coldest entity.
//!
//! Coldness is the order of [`EntityTable::touch`], which only the fold calls: reading never changes what will
//! be forgotten, so live and replayed tables agree. Every operation is O(1) apart from the sorted listing.

use std::{collections::HashMap, hash::Hash};

/// No neighbour.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<K, V> {
    entity: K,
    value: V,
    /// Slot touched just before this one.
    colder: u32,
    /// Slot touched just after this one.
    warmer: u32,
}

/// How to take back one change.
#[derive(Debug)]
enum Undo<K, V> {
    /// The slot stood between these neighbours.
    Moved { slot: u32, colder: u32, warmer: u32 },
    /// The last slot is new.
    Pushed,
    /// The slot held this before, the coldest of all.
    Replaced { slot: u32, old: Slot<K, V> },
    /// The slot held this value.
    Value { slot: u32, old: V },
}

/// Changes since a trial began, and how a value is copied.
#[derive(Debug)]
struct Trial<K, V> {
    undo: Vec<Undo<K, V>>,
    copy: fn(&V) -> V,
}

/// A bounded map from entities to their state.
#[derive(Debug)]
pub struct EntityTable<K, V> {
    index: HashMap<K, u32, foldhash::fast::RandomState>,
    slots: Vec<Slot<K, V>>,
    coldest: u32,
    warmest: u32,
    entities_max: u32,
    evicted: u64,
    trial: Option<Trial<K, V>>,
}

impl<K: Clone + Eq + Hash + Ord, V> EntityTable<K, V> {
    /// An empty table with `entities_max` places; at least one, at most 2^32 - 2.
    #[must_use]
    pub fn new(entities_max: usize) -> Self {
        Self {
            index: HashMap::default(),
            slots: Vec::new(),
            coldest: NONE,
            warmest: NONE,
            entities_max: u32::try_from(entities_max).unwrap_or(NONE - 1).clamp(1, NONE - 1),
            evicted: 0,
            trial: None,
        }
    }

    /// Entities held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Entities forgotten so far to make room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The state of an entity.
    #[must_use]
    pub fn peek(&self, entity: &K) -> Option<&V> {
        let slot = *self.index.get(entity)?;
        self.slots.get(slot as usize).map(|slot| &slot.value)
    }

    /// The state of an entity, without making it warmer.
    pub fn peek_mut(&mut self, entity: &K) -> Option<&mut V> {
        let slot = *self.index.get(entity)?;
        self.keep_value(slot);
        self.slots.get_mut(slot as usize).map(|slot| &mut slot.value)
    }

    /// From now on every change can be taken back; a change costs a copy of the state it touches.
    pub fn begin_trial(&mut self)
    where
        V: Clone,
    {
        self.trial = Some(Trial { undo: Vec::new(), copy: V::clone });
    }

    /// Takes back every change since the trial began, which ends with it: what is held, forgotten and how warm it is,
    /// all is as before.
    pub fn roll_back(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        for undo in trial.undo.into_iter().rev() {
            match undo {
                Undo::Moved { slot, colder, warmer } => {
                    self.unlink(slot);
                    self.link(slot, colder, warmer);
                }
                Undo::Pushed => {
                    if let Some(last) =
                        self.slots.len().checked_sub(1).and_then(|last| u32::try_from(last).ok())
                    {
                        self.unlink(last);
                    }
                    if let Some(slot) = self.slots.pop() {
                        self.index.remove(&slot.entity);
                    }
                }
                Undo::Replaced { slot, old } => {
                    self.unlink(slot);
                    let warmer = old.warmer;
                    self.index.insert(old.entity.clone(), slot);
                    let new = std::mem::replace(&mut self.slots[slot as usize], old);
                    self.index.remove(&new.entity);
                    self.link(slot, NONE, warmer);
                    self.evicted -= 1;
                }
                Undo::Value { slot, old } => self.slots[slot as usize].value = old,
            }
        }
    }

    fn keep_value(&mut self, slot: u32) {
        if let Some(Trial { undo, copy }) = &mut self.trial
            && let Some(held) = self.slots.get(slot as usize)
        {
            undo.push(Undo::Value { slot, old: copy(&held.value) });
        }
    }

    /// The state of an entity, made the warmest; created by `fresh` if it is not held, in place of the coldest
    /// entity when the table is full.
    pub fn touch(&mut self, entity: &K, fresh: impl FnOnce() -> V) -> &mut V {
        self.touch_or_evict(entity, fresh).0
    }

    /// As [`EntityTable::touch`]; also hands over the state of the entity that made room, if one did.
    pub fn touch_or_evict(&mut self, entity: &K, fresh: impl FnOnce() -> V) -> (&mut V, Option<V>) {
        let (slot, forgotten) = match self.index.get(entity) {
            Some(slot) => {
                let slot = *slot;
                self.keep_value(slot);
                if let Some(trial) = &mut self.trial {
                    let Slot { colder, warmer, .. } = self.slots[slot as usize];
                    trial.undo.push(Undo::Moved { slot, colder, warmer });
                }
                self.unlink(slot);
                (slot, None)
            }
            None => self.place(entity, fresh()),
        };
        self.link_warmest(slot);
        (&mut self.slots[slot as usize].value, forgotten)
    }

    /// Puts a new entity into a free slot or that of the coldest; the slot is left unlinked.
    fn place(&mut self, entity: &K, value: V) -> (u32, Option<V>) {
        let fresh = Slot { entity: entity.clone(), value, colder: NONE, warmer: NONE };
        let (slot, forgotten) = match u32::try_from(self.slots.len()) {
            Ok(free) if free < self.entities_max => {
                self.slots.push(fresh);
                if let Some(trial) = &mut self.trial {
                    trial.undo.push(Undo::Pushed);
                }
                (free, None)
            }
            _ => {
                let coldest = self.coldest;
                if let Some(Trial { undo, copy }) = &mut self.trial {
                    let Slot { entity, value, colder, warmer } = &self.slots[coldest as usize];
                    let old =
                        Slot { entity: entity.clone(), value: copy(value), colder: *colder, warmer: *warmer };
                    undo.push(Undo::Replaced { slot: coldest, old });
                }
                self.unlink(coldest);
                let forgotten = std::mem::replace(&mut self.slots[coldest as usize], fresh);
                self.index.remove(&forgotten.entity);
                self.evicted += 1;
                (coldest, Some(forgotten.value))
            }
        };
        self.index.insert(entity.clone(), slot);
        (slot, forgotten)
    }

    fn unlink(&mut self, slot: u32) {
        let Slot { colder, warmer, .. } = self.slots[slot as usize];
        match self.slots.get_mut(colder as usize) {
            Some(neighbour) => neighbour.warmer = warmer,
            None => self.coldest = warmer,
        }
        match self.slots.get_mut(warmer as usize) {
            Some(neighbour) => neighbour.colder = colder,
            None => self.warmest = colder,
        }
    }

    fn link_warmest(&mut self, slot: u32) {
        self.link(slot, self.warmest, NONE);
    }

    /// Puts an unlinked slot between two that are neighbours.
    fn link(&mut self, slot: u32, colder: u32, warmer: u32) {
        match self.slots.get_mut(colder as usize) {
            Some(neighbour) => neighbour.warmer = slot,
            None => self.coldest = slot,
        }
        match self.slots.get_mut(warmer as usize) {
            Some(neighbour) => neighbour.colder = slot,
            None => self.warmest = slot,
        }
        let linked = &mut self.slots[slot as usize];
        linked.colder = colder;
        linked.warmer = warmer;
    }

    /// Everything held, coldest first: the order of the fold, the same for the same fold.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut next = self.coldest;
        std::iter::from_fn(move || {
            let slot = self.slots.get(next as usize)?;
            next = slot.warmer;
            Some((&slot.entity, &slot.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(table: &EntityTable<u32, u32>) -> Vec<u32> {
        table.iter().map(|(entity, _)| *entity).collect()
    }

    #[test]
    fn the_coldest_makes_room() {
        let mut table = EntityTable::new(3);
        for entity in [1, 2, 3, 1, 4] {
            *table.touch(&entity, || 0) += entity;
        }
        assert_eq!(order(&table), [3, 1, 4]);
        assert_eq!((table.len(), table.evicted()), (3, 1));
        assert_eq!(table.peek(&2), None);
        assert_eq!(table.peek(&1), Some(&2));
        // Looking does not warm: 3 is still the next to go.
        assert!(table.peek_mut(&3).is_some());
        table.touch(&5, || 0);
        assert_eq!(order(&table), [1, 4, 5]);
    }

    proptest::proptest! {
        #[test]
        fn equals_a_list_of_recent_entities(
            places in 1_usize..6, touches in proptest::collection::vec(0_u32..9, 0..200),
        ) {
            let mut table = EntityTable::new(places);
            let mut recent: Vec<u32> = Vec::new();
            for entity in touches {
                table.touch(&entity, || 0);
                recent.retain(|other| *other != entity);
                recent.push(entity);
                if recent.len() > places {
                    recent.remove(0);
                }
                proptest::prop_assert_eq!(order(&table), recent.clone());
            }
        }

        /// A trial that is rolled back leaves no trace, whatever was touched, made or forgotten in it.
        #[test]
        fn a_trial_leaves_no_trace(
            places in 1_usize..6,
            touches in proptest::collection::vec(0_u32..9, 0..30),
            tried in proptest::collection::vec((0_u32..9, proptest::bool::ANY), 0..30),
            after in proptest::collection::vec(0_u32..9, 0..30),
        ) {
            let all = |table: &EntityTable<u32, u32>| {
                let held: Vec<(u32, u32)> = table.iter().map(|(entity, value)| (*entity, *value)).collect();
                (held, table.evicted(), table.len())
            };
            let mut table = EntityTable::new(places);
            touches.iter().for_each(|entity| *table.touch(entity, || 0) += entity);
            let before = all(&table);
            table.begin_trial();
            for (entity, is_touch) in tried {
                if is_touch {
                    *table.touch(&entity, || 7) += 1;
                } else if let Some(value) = table.peek_mut(&entity) {
                    *value += 100;
                }
            }
            table.roll_back();
            proptest::prop_assert_eq!(all(&table), before);
            let mut plain = EntityTable::new(places);
            touches.iter().chain(&after).for_each(|entity| *plain.touch(entity, || 0) += entity);
            after.iter().for_each(|entity| *table.touch(entity, || 0) += entity);
            proptest::prop_assert_eq!(all(&table), all(&plain));
        }
    }
}
