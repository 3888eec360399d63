//! One stream at work: a bounded table of entities, each with its ring, its cursors and what they keep.
//!
//! Every event moves the cursors of its entity to its own moment, forward or, for a late event, backward; a cursor
//! that passes a sample adds it to or takes it from the windows it bounds. All that is kept is integers, so the way
//! back leaves no trace. Amortised O(cursors) per event in time order, O(samples passed) for a late one; extremes are
//! rebuilt over their window when a cursor went backward.
//!
//! A full table makes room by the clock algorithm (Corbató 1968): the hand goes round, spares an entity seen since
//! the last round once, and evicts the first that was not. The order is that of the fold, so replays agree.

use hashbrown::HashTable;

use super::{
    Event, MISSING,
    extras::Extras,
    ring::{Ring, Shape},
};
use crate::{
    StateDigest,
    hash::spread,
    math,
    plan::{Edge, Pick, Read, Source, StreamPlan, Total, What, Window, passes},
};

/// No time: nothing was cut.
const NEVER: u64 = u64::MAX;
/// Bits of a sample's meta word: the label, then outliers, then the lower bits of its position.
const LABEL_MASK: u32 = 0b11;
const OUTLIER_SHIFT: u32 = 2;
const TAG_SHIFT: u32 = 8;

/// What is known about a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing = 0,
    Legitimate = 1,
    Fraud = 2,
}

impl Known {
    const fn of(meta: u32) -> Self {
        match meta & LABEL_MASK {
            1 => Self::Legitimate,
            2 => Self::Fraud,
            _ => Self::Nothing,
        }
    }
}

/// One entity.
#[derive(Debug, Clone)]
struct Slot {
    key: u64,
    /// Earliest sample ever.
    first: u64,
    /// Newest sample that left the ring.
    cut: u64,
    /// The moment the cursors stand at.
    as_of: u64,
    ring: Ring,
    extras: Option<Box<Extras>>,
    /// Seen since the hand of the clock last passed.
    is_warm: bool,
}

/// What a cursor does to one kept thing when it passes a sample forward.
#[derive(Debug, Clone, Copy)]
struct Action {
    what: What,
    /// The sample enters the window (its head passes); otherwise it leaves.
    enters: bool,
}

/// What a profile says about the current event.
#[derive(Debug, Clone, Copy)]
struct Deviation {
    /// ln(1 + value); `NaN` without a value.
    x: f64,
    mean: f64,
    z: f64,
    cell: i64,
}

/// Where the current event stands in its entity's ring.
#[derive(Clone, Copy)]
struct Moment<'a> {
    at: u64,
    /// The index that its sample has or would have.
    current: usize,
    /// The index it has.
    own: Option<usize>,
    deviations: &'a [Deviation],
    walked: &'a [Walked],
}

/// What a walk over a streak found.
#[derive(Debug, Clone, Default)]
struct Walked {
    /// Frauds of the streak.
    frauds: u64,
    /// Index of its oldest.
    oldest: Option<usize>,
    /// Index of the legitimate sample that ends it.
    legitimate: Option<usize>,
    /// Per column of the walk: newest, smallest, largest cell; `MISSING` without any.
    cells: Vec<[i64; 3]>,
}

/// What is the same for all slots of a stream.
#[derive(Debug)]
struct Rules {
    plan: StreamPlan,
    shape: Shape,
    /// Per edge.
    actions: Vec<Vec<Action>>,
    /// Column of each profile's value.
    profiled: Vec<usize>,
    /// Ticks after which no window reaches a sample.
    retention: u64,
    has_extras: bool,
    samples_max: usize,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Stream {
    rules: Rules,
    index: HashTable<u32>,
    slots: Vec<Slot>,
    hand: usize,
    entities_max: usize,
    evicted: u64,
    overflowed: u64,
    /// Read by events of entities without a slot.
    empty: Slot,
    /// Of the current event: the cells of its sample, and how it stands out.
    cells: Vec<i64>,
    deviations: Vec<Deviation>,
    /// Per walk of the plan.
    walked: Vec<Walked>,
}

impl Stream {
    pub(crate) fn new(
        plan: &StreamPlan,
        lateness: u64,
        is_hash: impl Fn(usize) -> bool,
        entities_max: usize,
        samples_max: usize,
    ) -> Self {
        let hashes: Vec<bool> = plan
            .columns
            .iter()
            .map(|source| matches!(source, Source::Field(field) if is_hash(*field)))
            .collect();
        let shape = Shape::new(plan.edges.len() + plan.words, plan.has_meta(), &hashes);
        let mut actions = vec![Vec::new(); plan.edges.len()];
        for kept in &plan.kept {
            actions[kept.window.head].push(Action { what: kept.what, enters: true });
            actions[kept.window.tail].push(Action { what: kept.what, enters: false });
        }
        let oldest = match plan.edges.last() {
            Some(Edge::Age(age)) => *age,
            _ => 0,
        };
        let rules = Rules {
            actions,
            profiled: plan
                .profiles
                .iter()
                .filter_map(|profile| plan.columns.iter().position(|source| *source == profile.source))
                .collect(),
            retention: oldest.saturating_add(lateness),
            has_extras: plan.extremes + plan.sets > 0 || plan.lists_frauds,
            samples_max: samples_max.max(1),
            plan: plan.clone(),
            shape,
        };
        Self {
            empty: rules.fresh(0, 0),
            index: HashTable::new(),
            slots: Vec::new(),
            hand: 0,
            entities_max: entities_max.clamp(1, (u32::MAX - 1) as usize),
            evicted: 0,
            overflowed: 0,
            cells: vec![MISSING; plan.columns.len()],
            deviations: Vec::with_capacity(plan.profiles.len()),
            walked: vec![Walked::default(); plan.walks.len()],
            rules,
        }
    }

    pub(crate) fn entities(&self) -> usize {
        self.slots.len()
    }

    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    pub(crate) fn bytes(&self) -> usize {
        let slots: usize = self
            .slots
            .iter()
            .map(|slot| slot.ring.bytes() + slot.extras.as_ref().map_or(0, |extras| extras.bytes()))
            .sum();
        slots + self.slots.capacity() * size_of::<Slot>() + self.index.allocation_size()
    }

    /// The slot of an entity.
    pub(crate) fn find(&self, key: u64) -> Option<usize> {
        self.index.find(spread(key), |slot| self.slots[*slot as usize].key == key).map(|slot| *slot as usize)
    }

    /// Reads one word of a slot's state, so that it is on its way to the processor.
    pub(crate) fn touch(&self, slot: usize) -> u32 {
        self.slots[slot].ring.touch()
    }

    /// The slot of an entity, made if it was not found.
    fn slot(&mut self, key: u64, found: Option<usize>, now: u64) -> usize {
        if let Some(slot) = found {
            self.slots[slot].is_warm = true;
            return slot;
        }
        let fresh = self.rules.fresh(key, now);
        let slot = if self.slots.len() < self.entities_max {
            self.slots.push(fresh);
            self.slots.len() - 1
        } else {
            let slot = self.coldest();
            let old = self.slots[slot].key;
            let held = self.index.find_entry(spread(old), |other| *other as usize == slot);
            if let Ok(held) = held {
                held.remove();
            }
            self.evicted += 1;
            self.slots[slot] = fresh;
            slot
        };
        let slots = &self.slots;
        let number = u32::try_from(slot).unwrap_or(u32::MAX);
        self.index.insert_unique(spread(key), number, |other| spread(slots[*other as usize].key));
        slot
    }

    /// Ends after at most two rounds: the first takes the warmth from all it passes.
    fn coldest(&mut self) -> usize {
        loop {
            let slot = self.hand;
            self.hand = if slot + 1 == self.slots.len() { 0 } else { slot + 1 };
            if !std::mem::take(&mut self.slots[slot].is_warm) {
                return slot;
            }
        }
    }

    /// Takes the event in and writes what its features read to `nodes`. `key` is `None` if the event has no such
    /// entity, `found` its slot if it has one. Returns whether the entity has a sample of this event.
    pub(crate) fn step(
        &mut self,
        event: &Event<'_>,
        key: Option<u64>,
        found: Option<usize>,
        nodes: &mut [f64],
    ) -> bool {
        let Some(key) = key else {
            self.rules.plan.reads.iter().for_each(|(node, _)| nodes[*node] = f64::NAN);
            return false;
        };
        self.deviations.clear();
        if !self.rules.sample(event, nodes, &mut self.cells) {
            let rules = &self.rules;
            // An entity without a slot is read as the empty one.
            let slot = match found {
                Some(slot) => &mut self.slots[slot],
                None => &mut self.empty,
            };
            slot.is_warm = true;
            let current = slot.ring.after(&rules.shape, event.at);
            rules.seek(slot, event.at, current);
            rules.walk_all(slot, &mut self.walked);
            let moment = Moment { at: event.at, current, own: None, deviations: &[], walked: &self.walked };
            rules.read_all(slot, &moment, nodes);
            return false;
        }
        let place = self.slot(key, found, event.at);
        let (rules, slot) = (&self.rules, &mut self.slots[place]);
        let flags = rules.deviate(slot, &self.cells, &mut self.deviations);
        let current = rules.insert(slot, event, flags, &self.cells);
        rules.seek(slot, event.at, current);
        rules.walk_all(slot, &mut self.walked);
        let (deviations, walked) = (self.deviations.as_slice(), self.walked.as_slice());
        let moment = Moment { at: event.at, current, own: Some(current), deviations, walked };
        rules.read_all(slot, &moment, nodes);
        slot.first = slot.first.min(event.at);
        rules.learn(slot, &self.deviations);
        self.overflowed += rules.cut(slot);
        true
    }

    /// As [`Stream::step`], on a copy of the entity's state: nothing changes.
    pub(crate) fn preview(
        &mut self,
        event: &Event<'_>,
        key: Option<u64>,
        found: Option<usize>,
        nodes: &mut [f64],
    ) {
        let Some(key) = key else {
            self.rules.plan.reads.iter().for_each(|(node, _)| nodes[*node] = f64::NAN);
            return;
        };
        self.deviations.clear();
        let rules = &self.rules;
        let has_sample = rules.sample(event, nodes, &mut self.cells);
        let mut slot = match found {
            Some(slot) => self.slots[slot].clone(),
            None if has_sample => rules.fresh(key, event.at),
            None => self.empty.clone(),
        };
        let (current, own) = if has_sample {
            let flags = rules.deviate(&slot, &self.cells, &mut self.deviations);
            let current = rules.insert(&mut slot, event, flags, &self.cells);
            (current, Some(current))
        } else {
            (slot.ring.after(&rules.shape, event.at), None)
        };
        rules.seek(&mut slot, event.at, current);
        rules.walk_all(&slot, &mut self.walked);
        let (deviations, walked) = (self.deviations.as_slice(), self.walked.as_slice());
        let moment = Moment { at: event.at, current, own, deviations, walked };
        rules.read_all(&slot, &moment, nodes);
    }

    /// A label reaches the sample of the event at `at` with `position`; does nothing if the sample is gone.
    pub(crate) fn label(&mut self, key: u64, at: u64, position: u64, known: Known) {
        let Some(place) = self.find(key) else { return };
        self.rules.label(&mut self.slots[place], at, position, known);
    }

    /// Feeds the state in the order of the slots, which is the order of the fold.
    pub(crate) fn feed(&self, digest: &mut StateDigest) {
        digest.number(self.slots.len() as u64);
        digest.number(self.hand as u64);
        digest.number(self.evicted);
        digest.number(self.overflowed);
        self.slots.iter().for_each(|slot| self.rules.feed(slot, digest));
    }
}

impl Rules {
    fn fresh(&self, key: u64, now: u64) -> Slot {
        let extras = || Box::new(Extras::new(self.plan.extremes, self.plan.sets));
        Slot {
            key,
            first: NEVER,
            cut: NEVER,
            as_of: now,
            ring: Ring::new(&self.shape, now),
            extras: self.has_extras.then(extras),
            is_warm: false,
        }
    }

    /// The cells of the event's sample; false if the event has none in this stream.
    fn sample(&self, event: &Event<'_>, nodes: &[f64], cells: &mut [i64]) -> bool {
        if !passes(&self.plan.filter, event.cells) {
            return false;
        }
        let mut mask = 0_i64;
        for (step, filter) in self.plan.steps.iter().enumerate() {
            mask |= i64::from(passes(filter, event.cells)) << step;
        }
        if !self.plan.steps.is_empty() && mask == 0 {
            return false;
        }
        for (cell, source) in cells.iter_mut().zip(&self.plan.columns) {
            *cell = match source {
                Source::Field(field) => event.cells[*field],
                Source::Node(node) => super::node_cell(nodes[*node]),
                Source::Steps => mask,
            };
        }
        true
    }

    fn word(&self, slot: &Slot, word: usize) -> u64 {
        slot.ring.head(self.plan.edges.len() + word)
    }

    fn set_word(&self, slot: &mut Slot, word: usize, value: u64) {
        slot.ring.set_head(self.plan.edges.len() + word, value);
    }

    fn wide(&self, slot: &Slot, word: usize) -> i128 {
        let (low, high) = (self.word(slot, word), self.word(slot, word + 1));
        (u128::from(low) | u128::from(high) << 64).cast_signed()
    }

    fn set_wide(&self, slot: &mut Slot, word: usize, value: i128) {
        let value = value.cast_unsigned();
        #[allow(clippy::cast_possible_truncation, reason = "the two halves")]
        let (low, high) = (value as u64, (value >> 64) as u64);
        self.set_word(slot, word, low);
        self.set_word(slot, word + 1, high);
    }

    /// How the event stands out from the profiles of its entity; the outlier flags of its sample.
    fn deviate(&self, slot: &Slot, cells: &[i64], deviations: &mut Vec<Deviation>) -> u32 {
        for (profile, column) in self.plan.profiles.iter().zip(&self.profiled) {
            let cell = cells[*column];
            let value = if cell == MISSING { f64::NAN } else { cell as f64 / profile.per_unit };
            let x = math::ln(1.0 + value);
            let word = self.plan.edges.len() + profile.word;
            let entries = slot.ring.head(word);
            let count = entries as f64;
            let sum = f64::from_bits(slot.ring.head(word + 1));
            let squares = f64::from_bits(slot.ring.head(word + 2));
            let mean = if entries == 0 { x } else { sum / count };
            let sd = if entries <= profile.sd_after {
                1.0
            } else {
                (squares / count - mean * mean).max(0.0).sqrt().max(profile.sd_floor)
            };
            deviations.push(Deviation { x, mean, z: (x - mean) / sd, cell });
        }
        let mut flags = 0;
        for outlier in &self.plan.outliers {
            let stands_out = deviations[outlier.profile].z > outlier.above;
            flags |= u32::from(stands_out) << (OUTLIER_SHIFT + outlier.bit);
        }
        flags
    }

    /// Lets the profiles learn from the event, unless it stands out too far.
    fn learn(&self, slot: &mut Slot, deviations: &[Deviation]) {
        for (profile, deviation) in self.plan.profiles.iter().zip(deviations) {
            let Deviation { x, z, cell, .. } = *deviation;
            if x.is_nan() {
                continue;
            }
            let entries = self.word(slot, profile.word);
            if z < profile.learn_below || entries < profile.learn_first {
                let sum = f64::from_bits(self.word(slot, profile.word + 1));
                let squares = f64::from_bits(self.word(slot, profile.word + 2));
                let max = self.word(slot, profile.word + 3).cast_signed();
                let max = if entries == 0 { cell } else { max.max(cell) };
                self.set_word(slot, profile.word, entries + 1);
                self.set_word(slot, profile.word + 1, (sum + x).to_bits());
                self.set_word(slot, profile.word + 2, (squares + x * x).to_bits());
                self.set_word(slot, profile.word + 3, max.cast_unsigned());
            }
        }
    }

    /// Puts the event's sample in its place; cursors that had passed that place pass the sample too. Returns its index.
    fn insert(&self, slot: &mut Slot, event: &Event<'_>, flags: u32, cells: &[i64]) -> usize {
        let index = slot.ring.after(&self.shape, event.at);
        if index < slot.ring.len()
            && let Some(extras) = &mut slot.extras
        {
            extras.is_stale = true;
        }
        slot.ring.insert(&self.shape, index, event.at, tag(event.position) | flags, cells);
        for (number, edge) in self.plan.edges.iter().enumerate() {
            let cursor = slot.ring.head(number);
            let has_passed = match edge {
                Edge::Now => event.at <= slot.as_of,
                Edge::Current => (index as u64) < cursor,
                Edge::Age(age) => event.at.saturating_add(*age) <= slot.as_of,
            };
            if has_passed {
                self.pass(slot, number, index, true);
                slot.ring.set_head(number, cursor + 1);
            }
        }
        index
    }

    /// Moves the cursors to the moment of the event whose sample has, or would have, index `current`.
    fn seek(&self, slot: &mut Slot, at: u64, current: usize) {
        let edges = self.plan.edges.len();
        if at >= slot.as_of {
            let len = slot.ring.len();
            // Young edges first: a sample enters a window before it leaves it.
            for number in 0..edges {
                let start = cursor(slot, number);
                let mut index = start;
                match self.plan.edges[number] {
                    Edge::Now => {
                        while index < len && slot.ring.time(&self.shape, index) <= at {
                            self.pass(slot, number, index, true);
                            index += 1;
                        }
                    }
                    Edge::Current => {
                        while index < current {
                            self.pass(slot, number, index, true);
                            index += 1;
                        }
                    }
                    Edge::Age(age) => {
                        while index < len && slot.ring.time(&self.shape, index).saturating_add(age) <= at {
                            self.pass(slot, number, index, true);
                            index += 1;
                        }
                    }
                }
                if index != start {
                    slot.ring.set_head(number, index as u64);
                }
            }
        } else {
            if let Some(extras) = &mut slot.extras {
                extras.is_stale = true;
            }
            // Old edges first, for the same reason.
            for number in (0..edges).rev() {
                let mut index = cursor(slot, number);
                let stays = |slot: &Slot, index: usize| match self.plan.edges[number] {
                    Edge::Now => slot.ring.time(&self.shape, index) <= at,
                    Edge::Current => index < current,
                    Edge::Age(age) => slot.ring.time(&self.shape, index).saturating_add(age) <= at,
                };
                while index > 0 && !stays(slot, index - 1) {
                    index -= 1;
                    self.pass(slot, number, index, false);
                }
                slot.ring.set_head(number, index as u64);
            }
        }
        slot.as_of = at;
        self.refresh(slot);
    }

    /// Rebuilds the extremes if they are stale.
    fn refresh(&self, slot: &mut Slot) {
        let Some(mut extras) = slot.extras.take() else { return };
        if std::mem::take(&mut extras.is_stale) {
            for kept in &self.plan.kept {
                let What::Extreme { column, largest, slot: extreme } = kept.what else { continue };
                extras.extremes[extreme].clear();
                for index in cursor(slot, kept.window.tail)..cursor(slot, kept.window.head) {
                    let cell = slot.ring.cell(&self.shape, index, column);
                    extras.extremes[extreme].enter(extras.popped + index as u64, cell, largest);
                }
            }
        }
        slot.extras = Some(extras);
    }

    /// Cursor `edge` passes sample `index`, forward in time or backward.
    #[inline]
    fn pass(&self, slot: &mut Slot, edge: usize, index: usize, forward: bool) {
        for action in &self.actions[edge] {
            self.apply(slot, action.what, index, action.enters == forward);
        }
    }

    /// A sample enters or leaves what is kept.
    fn apply(&self, slot: &mut Slot, what: What, index: usize, enters: bool) {
        let count = |slot: &mut Slot, word: usize| {
            let count = self.word(slot, word);
            self.set_word(slot, word, if enters { count.wrapping_add(1) } else { count.wrapping_sub(1) });
        };
        let add = |slot: &mut Slot, word: usize, value: i128| {
            let sum = self.wide(slot, word);
            self.set_wide(slot, word, if enters { sum + value } else { sum - value });
        };
        match what {
            What::Sum { column, word } => {
                let cell = slot.ring.cell(&self.shape, index, column);
                if cell != MISSING {
                    count(slot, word);
                    add(slot, word + 1, i128::from(cell));
                }
            }
            What::Squares { column, word } => {
                let cell = slot.ring.cell(&self.shape, index, column);
                if cell != MISSING {
                    add(slot, word, i128::from(cell) * i128::from(cell));
                }
            }
            What::Frauds { word } => {
                if Known::of(slot.ring.meta(&self.shape, index)) == Known::Fraud {
                    count(slot, word);
                }
            }
            What::Known { word } => {
                if Known::of(slot.ring.meta(&self.shape, index)) != Known::Nothing {
                    count(slot, word);
                }
            }
            What::Flagged { bit, word } => {
                if slot.ring.meta(&self.shape, index) >> (OUTLIER_SHIFT + bit) & 1 == 1 {
                    count(slot, word);
                }
            }
            What::Extreme { column, largest, slot: extreme } => {
                let cell = slot.ring.cell(&self.shape, index, column);
                if let Some(extras) = slot.extras.as_mut().filter(|extras| !extras.is_stale) {
                    let number = extras.popped + index as u64;
                    if enters {
                        extras.extremes[extreme].enter(number, cell, largest);
                    } else {
                        extras.extremes[extreme].leave(number);
                    }
                }
            }
            What::Distinct { column, slot: set } => {
                let cell = slot.ring.cell(&self.shape, index, column);
                if let Some(extras) = &mut slot.extras {
                    if enters {
                        extras.sets[set].enter(cell);
                    } else {
                        extras.sets[set].leave(cell);
                    }
                }
            }
        }
    }

    /// Drops samples that no window reaches any more, and the oldest ones beyond the bound; returns how many of these.
    fn cut(&self, slot: &mut Slot) -> u64 {
        let mut overflowed = 0;
        let Some(last) = slot.ring.len().checked_sub(1) else { return 0 };
        let newest = slot.ring.time(&self.shape, last);
        while slot.ring.len() > 0 {
            let time = slot.ring.time(&self.shape, 0);
            let is_out_of_reach = time.saturating_add(self.retention) <= newest;
            if !is_out_of_reach {
                if slot.ring.len() <= self.samples_max {
                    break;
                }
                overflowed += 1;
            }
            for number in 0..self.plan.edges.len() {
                match cursor(slot, number) {
                    0 => self.pass(slot, number, 0, true),
                    index => slot.ring.set_head(number, index as u64 - 1),
                }
            }
            let was_fraud = Known::of(slot.ring.meta(&self.shape, 0)) == Known::Fraud;
            slot.ring.pop(&self.shape);
            slot.cut = time;
            if let Some(extras) = &mut slot.extras {
                extras.popped += 1;
                if was_fraud && !extras.frauds.is_empty() {
                    extras.frauds.remove(0);
                }
            }
        }
        overflowed
    }

    fn label(&self, slot: &mut Slot, at: u64, position: u64, known: Known) {
        let mut index = slot.ring.after(&self.shape, at);
        let wanted = tag(position);
        let meta = loop {
            if index == 0 || slot.ring.time(&self.shape, index - 1) != at {
                return;
            }
            index -= 1;
            let meta = slot.ring.meta(&self.shape, index);
            if meta >> TAG_SHIFT == wanted >> TAG_SHIFT {
                break meta;
            }
        };
        let before = Known::of(meta);
        if before == known {
            return;
        }
        self.relabel(slot, index, false);
        slot.ring.set_meta(&self.shape, index, (meta & !LABEL_MASK) | known as u32);
        self.relabel(slot, index, true);
        if self.plan.lists_frauds
            && let Some(extras) = &mut slot.extras
        {
            let place = extras.frauds.partition_point(|fraud| *fraud < at);
            match (before, known) {
                (_, Known::Fraud) => extras.frauds.insert(place, at),
                (Known::Fraud, _) => {
                    extras.frauds.remove(place);
                }
                _ => {}
            }
        }
    }

    /// Takes a sample's label out of the windows that hold it, or puts it in.
    fn relabel(&self, slot: &mut Slot, index: usize, enters: bool) {
        for kept in &self.plan.kept {
            let holds = (cursor(slot, kept.window.tail)..cursor(slot, kept.window.head)).contains(&index);
            if holds && matches!(kept.what, What::Frauds { .. } | What::Known { .. }) {
                self.apply(slot, kept.what, index, enters);
            }
        }
    }

    fn read_all(&self, slot: &Slot, moment: &Moment<'_>, nodes: &mut [f64]) {
        for (node, read) in &self.plan.reads {
            nodes[*node] = self.read(slot, read, moment);
        }
    }

    /// One feature, once the cursors stand.
    fn read(&self, slot: &Slot, read: &Read, moment: &Moment<'_>) -> f64 {
        let Moment { at, current, own, deviations, walked } = *moment;
        let size = |window: &Window| cursor(slot, window.head).saturating_sub(cursor(slot, window.tail));
        let word = |word: usize| self.word(slot, word);
        let deviation = |profile: usize| deviations.get(profile);
        let since = |time: u64, per: f64| at.saturating_sub(time) as f64 / per;
        let cell =
            |index: usize, column: usize, per_unit: f64| match slot.ring.cell(&self.shape, index, column) {
                MISSING => f64::NAN,
                cell => cell as f64 / per_unit,
            };
        match read {
            Read::Age { per } => match (slot.first, own) {
                (NEVER, None) => f64::NAN,
                (first, None) if first > at => f64::NAN,
                (first, _) => since(first.min(at), *per),
            },
            Read::FirstSeen => {
                let is_known = slot.first <= at && slot.first != NEVER;
                f64::from(u8::from(!is_known))
            }
            Read::SincePrevious { per } => match current.checked_sub(1) {
                Some(index) => since(slot.ring.time(&self.shape, index), *per),
                None if slot.cut <= at => since(slot.cut, *per),
                None => f64::NAN,
            },
            Read::Count(window) => size(window) as f64,
            Read::Rate { window, per_event } => size(window) as f64 * per_event,
            Read::Sum { word: first, per_unit } => self.wide(slot, first + 1) as f64 / per_unit,
            Read::Mean { word: first, per_unit } => match word(*first) {
                0 => f64::NAN,
                count => self.wide(slot, first + 1) as f64 / (count as f64 * per_unit),
            },
            Read::Stddev { sum, squares, per_unit } => {
                deviation_of(word(*sum), self.wide(slot, sum + 1), self.wide(slot, *squares)) / per_unit
            }
            Read::Extreme { slot: extreme, per_unit } => {
                let cell = slot.extras.as_ref().and_then(|extras| extras.extremes[*extreme].cell());
                cell.map_or(f64::NAN, |cell| cell as f64 / per_unit)
            }
            Read::Distinct { slot: set } => {
                slot.extras.as_ref().map_or(0.0, |extras| extras.sets[*set].len() as f64)
            }
            Read::First { window, column, per_unit } => match size(window) {
                0 => f64::NAN,
                _ => cell(cursor(slot, window.tail), *column, *per_unit),
            },
            Read::Last { window, column, per_unit } => match size(window) {
                0 => f64::NAN,
                _ => cell(cursor(slot, window.head) - 1, *column, *per_unit),
            },
            Read::Frauds { word: own } | Read::Known { word: own } | Read::Outliers { word: own } => {
                word(*own) as f64
            }
            Read::OutlierShare { word: flagged, window } => match size(window) {
                0 => f64::NAN,
                count => word(*flagged) as f64 / count as f64,
            },
            Read::Risk { bands, prior: [a, b] } => {
                let (mut frauds, mut total) = (*a, a + b);
                for band in bands {
                    let events = match &band.total {
                        Total::Events(window) => size(window) as f64,
                        Total::Known(known) => word(*known) as f64,
                    };
                    frauds += band.weight * word(band.frauds) as f64;
                    total += band.weight * events;
                }
                if total > 0.0 { frauds / total } else { f64::NAN }
            }
            Read::SinceLegitimate { walk, per } => {
                let last = walked.get(*walk).and_then(|walked| walked.legitimate);
                last.map_or(f64::NAN, |index| since(slot.ring.time(&self.shape, index), *per))
            }
            Read::Streak { walk } => walked.get(*walk).map_or(0.0, |walked| walked.frauds as f64),
            Read::StreakAge { walk, per } => {
                let first = walked.get(*walk).and_then(|walked| walked.oldest);
                first.map_or(f64::NAN, |index| since(slot.ring.time(&self.shape, index), *per))
            }
            Read::StreakValue { walk, slot: column, per_unit, pick } => {
                let cells = walked.get(*walk).and_then(|walked| walked.cells.get(*column));
                let cell = cells.map_or(MISSING, |[newest, smallest, largest]| match pick {
                    Pick::Largest => *largest,
                    Pick::Newest => *newest,
                    Pick::Smallest => *smallest,
                });
                if cell == MISSING { f64::NAN } else { cell as f64 / per_unit }
            }
            Read::SinceFraud { window, per } => {
                let Some(extras) = slot.extras.as_ref().filter(|_| size(window) > 0) else { return f64::NAN };
                let oldest = slot.ring.time(&self.shape, cursor(slot, window.tail));
                let newest = slot.ring.time(&self.shape, cursor(slot, window.head) - 1);
                let place = extras.frauds.partition_point(|fraud| *fraud <= newest);
                let last = place.checked_sub(1).map(|place| extras.frauds[place]);
                last.filter(|last| *last >= oldest).map_or(f64::NAN, |last| since(last, *per))
            }
            Read::Sequence { window, column, steps } => {
                let mask = own.map_or(0, |index| slot.ring.cell(&self.shape, index, *column));
                let is_last = mask >> (steps - 1) & 1 == 1;
                let led_up = is_last && self.progress(slot, *window, *column, steps - 1) == steps - 1;
                f64::from(u8::from(led_up))
            }
            Read::SequenceProgress { window, column, steps } => {
                let before = self.progress(slot, *window, *column, *steps);
                let mask = own.map_or(0, |index| slot.ring.cell(&self.shape, index, *column));
                let goes_on = before < *steps && mask >> before & 1 == 1;
                f64::from(before + u32::from(goes_on))
            }
            Read::ZScore { profile } => deviation(*profile).map_or(f64::NAN, |deviation| deviation.z),
            Read::OverMean { profile, floor } => deviation(*profile).map_or(f64::NAN, |deviation| {
                let value = deviation.cell as f64 / self.plan.profiles[*profile].per_unit;
                if deviation.x.is_nan() {
                    f64::NAN
                } else {
                    value / (math::exp(deviation.mean) - 1.0).max(*floor)
                }
            }),
            Read::ProfileMax { profile } => self.profile_max(slot, *profile),
            Read::OverMax { profile } => deviation(*profile).map_or(f64::NAN, |deviation| {
                let max = self.profile_max(slot, *profile);
                let value = deviation.cell as f64 / self.plan.profiles[*profile].per_unit;
                if deviation.cell == MISSING || max <= 0.0 { f64::NAN } else { value / max }
            }),
        }
    }

    fn profile_max(&self, slot: &Slot, profile: usize) -> f64 {
        let profile = &self.plan.profiles[profile];
        match self.word(slot, profile.word) {
            0 => f64::NAN,
            _ => self.word(slot, profile.word + 3).cast_signed() as f64 / profile.per_unit,
        }
    }

    /// The samples of a window whose label is known, the newest first. Costs O(samples looked at).
    fn known<'a>(
        &'a self,
        slot: &'a Slot,
        window: Window,
        known: usize,
    ) -> impl Iterator<Item = (usize, Known)> + 'a {
        let left = usize::try_from(self.word(slot, known)).unwrap_or(usize::MAX);
        (cursor(slot, window.tail)..cursor(slot, window.head))
            .rev()
            .map(|index| (index, Known::of(slot.ring.meta(&self.shape, index))))
            .filter(|(_, known)| *known != Known::Nothing)
            .take(left)
    }

    /// Looks once at each run of known frauds that no known legitimate sample follows in its window, and at the sample
    /// that ends it. Costs O(run + samples without a label after its first).
    fn walk_all(&self, slot: &Slot, walked: &mut [Walked]) {
        for (plan, walked) in self.plan.walks.iter().zip(walked) {
            (walked.frauds, walked.oldest, walked.legitimate) = (0, None, None);
            walked.cells.clear();
            walked.cells.resize(plan.columns.len(), [MISSING; 3]);
            for (index, known) in self.known(slot, plan.window, plan.known) {
                if known != Known::Fraud {
                    walked.legitimate = Some(index);
                    break;
                }
                walked.frauds += 1;
                walked.oldest = Some(index);
                for (cells, column) in walked.cells.iter_mut().zip(&plan.columns) {
                    let cell = slot.ring.cell(&self.shape, index, *column);
                    let [newest, smallest, largest] = *cells;
                    if cell != MISSING {
                        *cells = match newest {
                            MISSING => [cell; 3],
                            _ => [newest, smallest.min(cell), largest.max(cell)],
                        };
                    }
                }
            }
        }
    }

    /// How many steps, of the first `steps`, the samples of the window take in order.
    fn progress(&self, slot: &Slot, window: Window, column: usize, steps: u32) -> u32 {
        let mut taken = 0;
        for index in cursor(slot, window.tail)..cursor(slot, window.head) {
            if taken == steps {
                break;
            }
            taken += u32::from(slot.ring.cell(&self.shape, index, column) >> taken & 1 == 1);
        }
        taken
    }

    fn feed(&self, slot: &Slot, digest: &mut StateDigest) {
        for number in [slot.key, slot.first, slot.cut, slot.as_of, u64::from(slot.is_warm)] {
            digest.number(number);
        }
        for word in 0..self.plan.edges.len() + self.plan.words {
            digest.number(slot.ring.head(word));
        }
        digest.number(slot.ring.len() as u64);
        for index in 0..slot.ring.len() {
            digest.number(slot.ring.time(&self.shape, index));
            digest.number(u64::from(slot.ring.meta(&self.shape, index)));
            for column in 0..self.plan.columns.len() {
                digest.number(slot.ring.cell(&self.shape, index, column).cast_unsigned());
            }
        }
    }
}

fn cursor(slot: &Slot, edge: usize) -> usize {
    usize::try_from(slot.ring.head(edge)).unwrap_or(usize::MAX)
}

/// The part of a meta word that tells samples of one time apart.
fn tag(position: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
    let low = position as u32;
    low << TAG_SHIFT
}

/// Population standard deviation from count, sum and sum of squares: exact integers as far as 127 bits hold them.
pub(crate) fn deviation_of(count: u64, sum: i128, squares: i128) -> f64 {
    if count == 0 {
        return f64::NAN;
    }
    let n = i128::from(count);
    let exact = n.checked_mul(squares).zip(sum.checked_mul(sum)).and_then(|(a, b)| a.checked_sub(b));
    let variance = match exact {
        Some(spread) => spread as f64 / (count as f64 * count as f64),
        None => {
            let mean = sum as f64 / count as f64;
            (squares as f64 / count as f64 - mean * mean).max(0.0)
        }
    };
    variance.sqrt()
}
