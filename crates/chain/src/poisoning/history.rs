//! What one customer has used, searchable by either end.

use domain::UnixNanos;

use super::{Likeness, Shape};

/// Addresses one customer has used; at most so many, the one used longest ago makes room.
///
/// `T` is the caller's handle of an address: its bytes, or a number that stands for them.
#[derive(Debug, Clone)]
pub struct History<T> {
    entries: Vec<Entry<T>>,
    /// Sorted by kind and first digits.
    by_head: Vec<Side>,
    /// Sorted by kind and last digits.
    by_tail: Vec<Side>,
    places: usize,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    handle: T,
    shape: Shape,
    first_used: UnixNanos,
    last_used: UnixNanos,
}

/// One end of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Side {
    kind: u8,
    digits: u64,
    entry: u32,
}

/// The known address another one resembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resemblance<T> {
    /// The known address.
    pub known: T,
    /// How much is equal.
    pub likeness: Likeness,
    /// When the customer first used the known address.
    pub first_used: UnixNanos,
    /// When the customer last used it.
    pub last_used: UnixNanos,
}

impl<T: Copy + Eq> History<T> {
    /// An empty one that will hold at most `places` addresses (at least one, at most `u32::MAX`).
    #[must_use]
    pub const fn new(places: usize) -> Self {
        let places = if places == 0 { 1 } else { places };
        Self { entries: Vec::new(), by_head: Vec::new(), by_tail: Vec::new(), places }
    }

    /// Addresses held.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was used yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the address itself is known.
    #[must_use]
    #[inline]
    pub fn contains(&self, shape: Shape, handle: T) -> bool {
        self.position(shape, handle).is_some()
    }

    /// Notes that the address was used at `at`. Returns whether it was new.
    pub fn used(&mut self, shape: Shape, handle: T, at: UnixNanos) -> bool {
        if let Some(entry) = self.position(shape, handle).and_then(|at| self.entries.get_mut(at)) {
            entry.first_used = entry.first_used.min(at);
            entry.last_used = entry.last_used.max(at);
            return false;
        }
        let entry = Entry { handle, shape, first_used: at, last_used: at };
        let place = if self.entries.len() < self.places {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let oldest =
                (0..self.entries.len()).min_by_key(|at| self.entries.get(*at).map(|entry| entry.last_used));
            let place = oldest.unwrap_or(0);
            if let Some(old) = self.entries.get_mut(place) {
                let shape = old.shape;
                *old = entry;
                remove(&mut self.by_head, Side::new(shape, shape.head, place));
                remove(&mut self.by_tail, Side::new(shape, shape.tail, place));
            }
            place
        };
        insert(&mut self.by_head, Side::new(shape, shape.head, place));
        insert(&mut self.by_tail, Side::new(shape, shape.tail, place));
        true
    }

    /// The other known address that `shape` resembles most; `None` if it resembles none, or nobody can hold its key. Whether the
    /// address itself is known is for the caller to ask ([`History::contains`]). Among equals the one used last.
    #[must_use]
    pub fn resemblance(&self, shape: Shape, handle: T) -> Option<Resemblance<T>> {
        if shape.is_reserved() {
            return None;
        }
        let thresholds = shape.thresholds();
        let mask = !(u64::MAX.checked_shr(shape.digit_bits() * thresholds.one_end()).unwrap_or(0));
        let mut best: Option<(u32, &Entry<T>)> = None;
        for (sides, digits) in [(&self.by_head, shape.head), (&self.by_tail, shape.tail)] {
            let from = (shape.kind, digits & mask);
            let start = sides.partition_point(|side| (side.kind, side.digits) < from);
            let alike = sides
                .get(start..)
                .unwrap_or_default()
                .iter()
                .take_while(|side| (side.kind, side.digits & mask) == from);
            for entry in alike.filter_map(|side| self.entries.get(usize::try_from(side.entry).ok()?)) {
                if entry.handle == handle {
                    continue;
                }
                let likeness = shape.likeness(&entry.shape);
                let rank = (likeness.total(), entry.last_used);
                if thresholds.alike(likeness)
                    && best.is_none_or(|(total, best)| rank > (total, best.last_used))
                {
                    best = Some((likeness.total(), entry));
                }
            }
        }
        best.map(|(_, entry)| Resemblance {
            known: entry.handle,
            likeness: shape.likeness(&entry.shape),
            first_used: entry.first_used,
            last_used: entry.last_used,
        })
    }

    /// When the address was first used, if it is known.
    #[must_use]
    pub fn first_used(&self, shape: Shape, handle: T) -> Option<UnixNanos> {
        self.position(shape, handle).and_then(|at| self.entries.get(at)).map(|entry| entry.first_used)
    }

    /// Every address with the times of its first and last use, in the order of places.
    pub fn iter(&self) -> impl Iterator<Item = (T, UnixNanos, UnixNanos)> {
        self.entries.iter().map(|entry| (entry.handle, entry.first_used, entry.last_used))
    }

    #[inline]
    fn position(&self, shape: Shape, handle: T) -> Option<usize> {
        let from = (shape.kind, shape.head);
        let start = self.by_head.partition_point(|side| (side.kind, side.digits) < from);
        self.by_head
            .get(start..)?
            .iter()
            .take_while(|side| (side.kind, side.digits) == from)
            .filter_map(|side| usize::try_from(side.entry).ok())
            .find(|at| self.entries.get(*at).is_some_and(|entry| entry.handle == handle))
    }
}

impl Side {
    fn new(shape: Shape, digits: u64, entry: usize) -> Self {
        Self { kind: shape.kind, digits, entry: u32::try_from(entry).unwrap_or(u32::MAX) }
    }
}

fn insert(sides: &mut Vec<Side>, side: Side) {
    if let Err(place) = sides.binary_search(&side) {
        sides.insert(place, side);
    }
}

fn remove(sides: &mut Vec<Side>, side: Side) {
    if let Ok(place) = sides.binary_search(&side) {
        sides.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use domain::{Address, AddressKind};
    use proptest::prelude::*;

    use super::*;

    fn address(bytes: [u8; 20]) -> Address {
        Address::new(AddressKind::Evm, &bytes).unwrap()
    }

    #[test]
    fn the_oldest_makes_room_at_both_ends() {
        let mut history = History::new(2);
        let shapes: Vec<Shape> = (0_u8..3).map(|n| Shape::of(&address([n * 17; 20]))).collect();
        for (n, shape) in (0_u64..).zip(&shapes) {
            assert!(history.used(*shape, n, UnixNanos(n)));
        }
        assert!(!history.used(shapes[2], 2, UnixNanos(9)));
        assert!(
            !history.contains(shapes[0], 0)
                && history.contains(shapes[1], 1)
                && history.contains(shapes[2], 2)
        );
        let mut near_first = [0; 20];
        near_first[10] = 1;
        assert_eq!(history.resemblance(Shape::of(&address(near_first)), 7), None);
        let mut near_last = [34; 20];
        near_last[10] = 1;
        let found = history.resemblance(Shape::of(&address(near_last)), 7).unwrap();
        assert_eq!((found.known, found.likeness.total(), found.last_used), (2, 32, UnixNanos(9)));
    }

    proptest! {
        /// Two searches find what comparing with every entry finds.
        #[test]
        fn finds_what_a_full_comparison_finds(
            known in proptest::collection::vec(proptest::array::uniform20(0_u8..3), 0..40),
            asked in proptest::array::uniform20(0_u8..3),
        ) {
            // Digits of 0 to 2 only at the ends, so that resemblance is common.
            let spread = |bytes: [u8; 20]| bytes.map(|byte| byte * 16 + byte);
            let mut history = History::new(64);
            for (at, bytes) in (0_u64..).zip(&known) {
                let address = address(spread(*bytes));
                history.used(Shape::of(&address), address, UnixNanos(at));
            }
            let asked = address(spread(asked));
            let shape = Shape::of(&asked);
            let best = history
                .iter()
                .map(|(known, _, last)| (shape.likeness(&Shape::of(&known)), last, known))
                .filter(|(likeness, _, known)| *known != asked && shape.thresholds().alike(*likeness))
                .max_by_key(|(likeness, last, _)| (likeness.total(), *last));
            let expected = best.map(|(_, _, known)| known);
            prop_assert_eq!(history.resemblance(shape, asked).map(|found| found.known), expected);
        }
    }
}
