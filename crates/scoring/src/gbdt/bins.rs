//! Where features are cut, and rows as bin numbers.
//!
//! The bin of a value is the number of cuts below it, so `value <= cut[b]` exactly if `bin <= b`. A cut is an `f32`
//! that is at least the value before it and below the value after it. Unknown values have a bin of their own, the
//! last. Cells lie in blocks of four columns, bytes where 256 bins are enough: four sums go on at once, which hides
//! the time one takes to become visible to the next.

use crate::matrix::Matrix;

/// Columns of a block.
pub(super) const LANES: usize = 4;
/// Bins that a byte can tell apart.
pub(super) const NARROW: usize = 256;

/// The bins of one feature.
#[derive(Debug)]
pub(super) struct Column {
    /// Ascending.
    pub(super) cuts: Vec<f32>,
    /// Whether the bin after the last is in use, for unknown values.
    pub(super) has_missing: bool,
    /// The first slot in a histogram.
    pub(super) offset: usize,
    /// Which block and lane holds its cells; `None` if there is nothing to split.
    pub(super) place: Option<(usize, usize)>,
}

impl Column {
    /// Bins in use.
    pub(super) const fn n_bins(&self) -> usize {
        self.cuts.len() + 1 + self.has_missing as usize
    }

    /// The bin of unknown values.
    pub(super) const fn missing_bin(&self) -> usize {
        self.cuts.len() + 1
    }
}

/// Bin numbers of four columns, row by row.
#[derive(Debug)]
pub(super) enum Cells {
    Narrow(Vec<[u8; LANES]>),
    Wide(Vec<[u16; LANES]>),
}

/// Four columns and where their sums go.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) cells: Cells,
    /// The first slot of the block in a histogram.
    pub(super) offset: usize,
    /// Slots of each lane.
    pub(super) lanes: [usize; LANES],
}

impl Block {
    /// The bin of a row in a lane.
    pub(super) fn bin(&self, row: usize, lane: usize) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => usize::from(cells[row][lane]),
            Cells::Wide(cells) => usize::from(cells[row][lane]),
        }
    }
}

/// Training rows as bin numbers.
#[derive(Debug)]
pub(super) struct Binned {
    pub(super) columns: Vec<Column>,
    pub(super) blocks: Vec<Block>,
    pub(super) n_rows: usize,
    /// Slots of a histogram.
    pub(super) n_slots: usize,
}

impl Binned {
    pub(super) fn new(rows: &Matrix, bins: u16) -> Self {
        let mut columns: Vec<Column> = (0..rows.n_features())
            .map(|feature| {
                let mut values: Vec<f32> = rows.column(feature).filter(|value| !value.is_nan()).collect();
                let has_missing = values.len() < rows.n_rows();
                values.sort_unstable_by(f32::total_cmp);
                Column { cuts: cuts(&values, usize::from(bins)), has_missing, offset: 0, place: None }
            })
            .collect();
        let (narrow, wide): (Vec<usize>, Vec<usize>) = (0..columns.len())
            .filter(|&feature| columns[feature].n_bins() > 1)
            .partition(|&feature| columns[feature].n_bins() <= NARROW);
        let mut blocks = Vec::new();
        let mut n_slots = 0;
        let groups = narrow.chunks(LANES).map(|group| (group, true));
        for (group, is_narrow) in groups.chain(wide.chunks(LANES).map(|group| (group, false))) {
            // A lane without a column collects the sums of bin 0, and nobody reads them.
            let mut lanes = [if is_narrow { NARROW } else { 1 }; LANES];
            let offset = n_slots;
            for (lane, &feature) in group.iter().enumerate() {
                let column = &mut columns[feature];
                if !is_narrow {
                    lanes[lane] = column.n_bins();
                }
                column.offset = offset + lanes[..lane].iter().sum::<usize>();
                column.place = Some((blocks.len(), lane));
            }
            n_slots += lanes.iter().sum::<usize>();
            let cells = cells(rows, &columns, group, is_narrow);
            blocks.push(Block { cells, offset, lanes });
        }
        Self { columns, blocks, n_rows: rows.n_rows(), n_slots }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bins are at most BINS_MAX + 1, and NARROW where bytes are used"
)]
fn cells(rows: &Matrix, columns: &[Column], group: &[usize], is_narrow: bool) -> Cells {
    let mut wide = vec![[0u16; LANES]; rows.n_rows()];
    for (lane, &feature) in group.iter().enumerate() {
        let column = &columns[feature];
        for (cell, value) in wide.iter_mut().zip(rows.column(feature)) {
            let bin = if value.is_nan() {
                column.missing_bin()
            } else {
                column.cuts.partition_point(|cut| *cut < value)
            };
            cell[lane] = bin as u16;
        }
    }
    if is_narrow {
        Cells::Narrow(wide.into_iter().map(|cell| cell.map(|bin| bin as u8)).collect())
    } else {
        Cells::Wide(wide)
    }
}

/// The cuts of sorted values: every midpoint if there are at most `bins` distinct values, else so that a value with
/// a bin's share of the rows has its own bin and the others share the remaining bins evenly.
pub(super) fn cuts(sorted: &[f32], bins: usize) -> Vec<f32> {
    let mut distinct: Vec<(f32, usize)> = Vec::new();
    for &value in sorted {
        match distinct.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => distinct.push((value, 1)),
        }
    }
    let between = |index: usize| midpoint(distinct[index].0, distinct[index + 1].0);
    if distinct.len() <= bins {
        return (1..distinct.len()).map(|index| between(index - 1)).collect();
    }
    let share = sorted.len().div_ceil(bins);
    let (n_heavy, rest_rows) = distinct.iter().fold((0, 0), |(n_heavy, rest_rows), &(_, count)| {
        if count >= share { (n_heavy + 1, rest_rows) } else { (n_heavy, rest_rows + count) }
    });
    // Heavy values number at most `bins`; a bin between two of them may hold few rows, so the bound is kept below.
    let rest_share = rest_rows.div_ceil(bins.saturating_sub(n_heavy).max(1)).max(1);
    let mut cuts = Vec::with_capacity(bins);
    let mut filled = 0;
    for index in 0..distinct.len() - 1 {
        let is_heavy = |at: usize| distinct[at].1 >= share;
        filled += distinct[index].1;
        if is_heavy(index) || is_heavy(index + 1) || filled >= rest_share {
            cuts.push(between(index));
            filled = 0;
        }
    }
    // Gaps between heavy values can cost a few bins more than there are: then every n-th cut goes.
    while cuts.len() >= bins {
        let excess = cuts.len() + 1 - bins;
        let step = (cuts.len() / excess).max(2);
        let mut index = 0;
        cuts.retain(|_| {
            index += 1;
            index % step != 0
        });
    }
    cuts
}

/// An `f32` that is at least `low` and below `high`, near the middle. `low` is below `high`, both are finite.
fn midpoint(low: f32, high: f32) -> f32 {
    let middle = low / 2.0 + high / 2.0;
    if middle >= low && middle < high { middle } else { low }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matrix::FeatureNames;

    #[test]
    fn few_values_are_cut_exactly() {
        assert_eq!(cuts(&[0.0, 0.0, 1.0, 3.0], 4), [0.5, 2.0]);
        assert_eq!(cuts(&[-0.0, 0.0], 4), [0.0f32; 0]);
        assert_eq!(cuts(&[], 4), [0.0f32; 0]);
        let next = 1.0f32.next_up();
        assert_eq!(cuts(&[1.0, next], 4), [1.0]);
        assert_eq!(cuts(&[-f32::MAX, f32::MAX], 4), [0.0]);
    }

    #[test]
    fn a_crowd_does_not_swallow_the_few() {
        let mut values = vec![0.0f32; 9_500];
        values.extend((1..=500u16).map(f32::from));
        assert!(cuts(&values, 300).len() > 240, "{}", cuts(&values, 300).len());
    }

    proptest! {
        #[test]
        fn bins_and_thresholds_divide_rows_alike(
            values in prop::collection::vec(prop_oneof![
                Just(f32::NAN), Just(0.0f32), Just(-0.0f32), Just(f32::MAX), Just(f32::MIN_POSITIVE),
                -10.0f32..10.0, prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
                (-3i8..3).prop_map(f32::from),
            ], 1..300),
            bins in 2u16..40,
        ) {
            let mut rows = Matrix::new(FeatureNames::new(["x"]).unwrap());
            values.iter().for_each(|value| rows.push(&[*value]).unwrap());
            let binned = Binned::new(&rows, bins);
            let column = &binned.columns[0];
            prop_assert!(column.cuts.len() < usize::from(bins));
            prop_assert!(column.cuts.is_sorted_by(|a, b| a < b));
            if let Some((block, lane)) = column.place {
                for (row, value) in values.iter().enumerate() {
                    let bin = binned.blocks[block].bin(row, lane);
                    if value.is_nan() {
                        prop_assert_eq!(bin, column.missing_bin());
                    } else {
                        for (index, cut) in column.cuts.iter().enumerate() {
                            prop_assert_eq!(*value <= *cut, bin <= index);
                        }
                    }
                }
                // No bin is empty.
                for index in 0..=column.cuts.len() {
                    prop_assert!((0..values.len()).any(|row| binned.blocks[block].bin(row, lane) == index));
                }
            }
        }
    }
}
