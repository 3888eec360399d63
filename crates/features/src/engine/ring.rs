//! The samples of one entity in time order, in one allocation with the entity's cursors and sums in front.
//!
//! A sample is its time, a meta word if the stream needs one, and one cell per column. Rings start narrow: 32 bits
//! for the time since the ring's origin and for each cell. The first sample that does not fit widens the ring to 64
//! bits; nothing is ever rounded. Cells that hold hashes take 64 bits in both forms.
//!
//! The ring grows by an eighth when it is full and shrinks when it is less than half full; the caller bounds its
//! length.

/// A cell without a value. In a narrow ring it is stored as `i32::MIN`.
pub(crate) const MISSING: i64 = i64::MIN;

/// Where the parts of a sample lie, in words of 32 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    stride: usize,
    meta_at: usize,
    cells_at: Vec<usize>,
}

/// The shape of all rings of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// 64-bit words in front of the samples.
    head: usize,
    has_meta: bool,
    /// Per column: whether the cell takes 64 bits even in a narrow ring.
    hashes: Vec<bool>,
    narrow: Layout,
    wide: Layout,
}

impl Shape {
    pub(crate) fn new(head: usize, has_meta: bool, hashes: &[bool]) -> Self {
        let layout = |wide: bool| {
            let meta_at = if wide { 2 } else { 1 };
            let mut end = meta_at + usize::from(has_meta);
            let cells_at = hashes
                .iter()
                .map(|hash| {
                    let at = end;
                    end += if wide || *hash { 2 } else { 1 };
                    at
                })
                .collect();
            Layout { stride: end, meta_at, cells_at }
        };
        Self { head, has_meta, hashes: hashes.to_vec(), narrow: layout(false), wide: layout(true) }
    }
}

/// See the module's head. Times are ticks; indices count from the oldest sample.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    words: Vec<u32>,
    origin: u64,
    start: u32,
    len: u32,
    /// Samples that fit.
    places: u32,
    is_wide: bool,
}

fn low(x: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    let low = x as u32;
    low
}

impl Ring {
    pub(crate) fn new(shape: &Shape, origin: u64) -> Self {
        Self { words: vec![0; shape.head * 2], origin, start: 0, len: 0, places: 0, is_wide: false }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// The first word there is.
    #[inline]
    pub(crate) fn touch(&self) -> u32 {
        self.words.first().copied().unwrap_or_default()
    }

    /// Bytes allocated outside the structure itself.
    pub(crate) const fn bytes(&self) -> usize {
        self.words.capacity() * 4
    }

    /// Word `index` of the head.
    #[inline]
    pub(crate) fn head(&self, index: usize) -> u64 {
        u64::from(self.words[index * 2]) | u64::from(self.words[index * 2 + 1]) << 32
    }

    #[inline]
    pub(crate) fn set_head(&mut self, index: usize, value: u64) {
        self.words[index * 2] = low(value);
        self.words[index * 2 + 1] = low(value >> 32);
    }

    const fn layout<'a>(&self, shape: &'a Shape) -> &'a Layout {
        if self.is_wide { &shape.wide } else { &shape.narrow }
    }

    /// First word of sample `index`.
    #[inline]
    fn base(&self, shape: &Shape, index: usize) -> usize {
        let mut place = self.start as usize + index;
        if place >= self.places as usize {
            place -= self.places as usize;
        }
        shape.head * 2 + place * self.layout(shape).stride
    }

    fn long(&self, at: usize) -> u64 {
        u64::from(self.words[at]) | u64::from(self.words[at + 1]) << 32
    }

    fn set_long(&mut self, at: usize, value: u64) {
        self.words[at] = low(value);
        self.words[at + 1] = low(value >> 32);
    }

    #[inline]
    pub(crate) fn time(&self, shape: &Shape, index: usize) -> u64 {
        let at = self.base(shape, index);
        if self.is_wide { self.long(at) } else { self.origin + u64::from(self.words[at]) }
    }

    #[inline]
    pub(crate) fn meta(&self, shape: &Shape, index: usize) -> u32 {
        if !shape.has_meta {
            return 0;
        }
        self.words[self.base(shape, index) + self.layout(shape).meta_at]
    }

    pub(crate) fn set_meta(&mut self, shape: &Shape, index: usize, meta: u32) {
        let at = self.base(shape, index) + self.layout(shape).meta_at;
        self.words[at] = meta;
    }

    #[inline]
    pub(crate) fn cell(&self, shape: &Shape, index: usize, column: usize) -> i64 {
        let at = self.base(shape, index) + self.layout(shape).cells_at[column];
        if self.is_wide || shape.hashes[column] {
            self.long(at).cast_signed()
        } else {
            match self.words[at].cast_signed() {
                i32::MIN => MISSING,
                cell => i64::from(cell),
            }
        }
    }

    /// Index of the first sample later than `time`.
    pub(crate) fn after(&self, shape: &Shape, time: u64) -> usize {
        // Almost every sample belongs at the end, and those that do not belong near it.
        let mut index = self.len();
        let mut steps = 0;
        while index > 0 && self.time(shape, index - 1) > time {
            index -= 1;
            steps += 1;
            if steps == 8 {
                return self.search(shape, time, index);
            }
        }
        index
    }

    /// Index of the first sample later than `time` among the first `high`.
    fn search(&self, shape: &Shape, time: u64, mut high: usize) -> usize {
        let mut low = 0;
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.time(shape, middle) > time {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    fn fits_narrow(&self, shape: &Shape, time: u64, cells: &[i64]) -> bool {
        time.checked_sub(self.origin).is_some_and(|ticks| u32::try_from(ticks).is_ok())
            && cells.iter().zip(&shape.hashes).all(|(cell, hash)| {
                *hash || *cell == MISSING || (i32::try_from(*cell).is_ok_and(|cell| cell != i32::MIN))
            })
    }

    /// Inserts a sample before index `index`.
    pub(crate) fn insert(&mut self, shape: &Shape, index: usize, time: u64, meta: u32, cells: &[i64]) {
        if !self.is_wide && !self.fits_narrow(shape, time, cells) {
            self.make_room_in_time(shape, time, cells);
        }
        if self.len == self.places {
            self.resize(shape, self.places + self.places / 8 + 2, self.is_wide);
        }
        self.len += 1;
        // The new place is at the end; what comes later moves one place up.
        for to in (index + 1..self.len()).rev() {
            let (source, target) = (self.base(shape, to - 1), self.base(shape, to));
            let stride = self.layout(shape).stride;
            self.words.copy_within(source..source + stride, target);
        }
        self.write(shape, index, time, meta, cells);
    }

    fn write(&mut self, shape: &Shape, index: usize, time: u64, meta: u32, cells: &[i64]) {
        let base = self.base(shape, index);
        let layout = self.layout(shape);
        if self.is_wide {
            self.set_long(base, time);
        } else {
            self.words[base] = low(time - self.origin);
        }
        if shape.has_meta {
            self.words[base + layout.meta_at] = meta;
        }
        for (column, cell) in cells.iter().enumerate() {
            let at = base + layout.cells_at[column];
            if self.is_wide || shape.hashes[column] {
                self.set_long(at, cell.cast_unsigned());
            } else {
                self.words[at] = i32::try_from(*cell).unwrap_or(i32::MIN).cast_unsigned();
            }
        }
    }

    /// A narrow ring that cannot take a sample gets a later origin if that is enough, and is widened if not.
    fn make_room_in_time(&mut self, shape: &Shape, time: u64, cells: &[i64]) {
        let oldest = if self.len == 0 { time } else { self.time(shape, 0).min(time) };
        let newest = if self.len == 0 { time } else { self.time(shape, self.len() - 1).max(time) };
        let probe = Self { words: Vec::new(), origin: oldest, start: 0, len: 0, places: 0, is_wide: false };
        if probe.fits_narrow(shape, newest, cells) {
            for index in 0..self.len() {
                let time = self.time(shape, index);
                let at = self.base(shape, index);
                self.words[at] = low(time - oldest);
            }
            self.origin = oldest;
        } else {
            self.resize(shape, self.places.max(2), true);
        }
    }

    /// Moves everything into a new allocation.
    fn resize(&mut self, shape: &Shape, places: u32, wide: bool) {
        let layout = if wide { &shape.wide } else { &shape.narrow };
        let mut words = vec![0; shape.head * 2 + places as usize * layout.stride];
        words[..shape.head * 2].copy_from_slice(&self.words[..shape.head * 2]);
        let mut next = Self { words, origin: self.origin, start: 0, len: self.len, places, is_wide: wide };
        let mut cells = vec![0; shape.hashes.len()];
        for index in 0..self.len() {
            for (column, cell) in cells.iter_mut().enumerate() {
                *cell = self.cell(shape, index, column);
            }
            next.write(shape, index, self.time(shape, index), self.meta(shape, index), &cells);
        }
        *self = next;
    }

    /// Drops the oldest sample, if there is one.
    pub(crate) fn pop(&mut self, shape: &Shape) {
        if self.len == 0 {
            return;
        }
        self.len -= 1;
        self.start += 1;
        if self.start == self.places {
            self.start = 0;
        }
        if self.places > 8 && self.len < self.places / 2 {
            self.resize(shape, self.len + self.len / 8 + 2, self.is_wide);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn equals_a_sorted_list(
            ops in proptest::collection::vec((0_u64..40, -3_i64..3, 0_u32..9, proptest::bool::ANY), 1..200),
            big in 0_usize..300,
        ) {
            let shape = Shape::new(3, true, &[false, true]);
            let origin = u64::from(u32::MAX) - 20;
            let mut ring = Ring::new(&shape, origin);
            (0..3).for_each(|word| ring.set_head(word, u64::MAX - word as u64));
            let mut list: Vec<(u64, u32, [i64; 2])> = Vec::new();
            for (step, (time, cell, meta, pop)) in ops.into_iter().enumerate() {
                // Once in a while a time or a value that needs 64 bits.
                let far = step == big;
                let time = origin - 10 + time + if far { 1 << 40 } else { 0 };
                let cells = [if cell == -3 { MISSING } else if far { cell << 40 } else { cell }, !cell << 33];
                let index = ring.after(&shape, time);
                proptest::prop_assert_eq!(index, list.partition_point(|(other, ..)| *other <= time));
                ring.insert(&shape, index, time, meta, &cells);
                list.insert(index, (time, meta, cells));
                if pop {
                    ring.pop(&shape);
                    list.remove(0);
                    if !list.is_empty() {
                        ring.pop(&shape);
                        list.remove(0);
                    }
                }
                proptest::prop_assert_eq!(ring.len(), list.len());
                for (index, (time, meta, cells)) in list.iter().enumerate() {
                    proptest::prop_assert_eq!(ring.time(&shape, index), *time);
                    proptest::prop_assert_eq!(ring.meta(&shape, index), *meta);
                    let got = [ring.cell(&shape, index, 0), ring.cell(&shape, index, 1)];
                    proptest::prop_assert_eq!(got, *cells);
                }
                (0..3).for_each(|word| assert_eq!(ring.head(word), u64::MAX - word as u64));
            }
        }
    }
}
