//! Sums of gradients and hessians for each bin of each feature, over the rows of one node.
//!
//! Rows are added in ascending order, so a sum does not depend on anything but the rows. The histogram of the larger
//! of two children is its parent's less that of the smaller.

use super::bins::{Binned, Block, Cells, LANES, NARROW};

/// The sum of gradients and the sum of hessians.
pub(super) type Sums = [f64; 2];

/// One slot for each bin, by the offsets of [`Binned`].
pub(super) type Histogram = Vec<Sums>;

/// Sets `histogram` to the sums over all rows.
pub(super) fn sum_all(binned: &Binned, gradients: &[Sums], histogram: &mut Histogram) {
    histogram.clear();
    histogram.resize(binned.n_slots, [0.0; 2]);
    for block in &binned.blocks {
        match &block.cells {
            Cells::Narrow(cells) => add_narrow(block, cells.iter().zip(gradients), histogram),
            Cells::Wide(cells) => add_wide(block, cells.iter().zip(gradients), histogram),
        }
    }
}

/// Sets `histogram` to the sums over `rows`. `gathered` is scratch space.
pub(super) fn sum_rows(
    binned: &Binned,
    gradients: &[Sums],
    rows: &[u32],
    gathered: &mut Vec<Sums>,
    histogram: &mut Histogram,
) {
    histogram.clear();
    histogram.resize(binned.n_slots, [0.0; 2]);
    gathered.clear();
    gathered.extend(rows.iter().map(|&row| gradients[row as usize]));
    for block in &binned.blocks {
        match &block.cells {
            Cells::Narrow(cells) => {
                let cells = rows.iter().map(|&row| &cells[row as usize]);
                add_narrow(block, cells.zip(&*gathered), histogram);
            }
            Cells::Wide(cells) => {
                let cells = rows.iter().map(|&row| &cells[row as usize]);
                add_wide(block, cells.zip(&*gathered), histogram);
            }
        }
    }
}

/// Takes `part` away from `whole`.
pub(super) fn subtract(whole: &mut Histogram, part: &Histogram) {
    for (whole, part) in whole.iter_mut().zip(part) {
        whole[0] -= part[0];
        whole[1] -= part[1];
    }
}

fn add_narrow<'a>(
    block: &Block,
    rows: impl Iterator<Item = (&'a [u8; LANES], &'a Sums)>,
    histogram: &mut Histogram,
) {
    let slots = &mut histogram[block.offset..block.offset + LANES * NARROW];
    let (lanes, _) = slots.as_chunks_mut::<NARROW>();
    let [a, b, c, d] = lanes else { unreachable!("a block has {LANES} lanes") };
    for (cells, sums) in rows {
        add(&mut a[usize::from(cells[0])], sums);
        add(&mut b[usize::from(cells[1])], sums);
        add(&mut c[usize::from(cells[2])], sums);
        add(&mut d[usize::from(cells[3])], sums);
    }
}

fn add_wide<'a>(
    block: &Block,
    rows: impl Iterator<Item = (&'a [u16; LANES], &'a Sums)>,
    histogram: &mut Histogram,
) {
    let (a, rest) = histogram[block.offset..].split_at_mut(block.lanes[0]);
    let (b, rest) = rest.split_at_mut(block.lanes[1]);
    let (c, rest) = rest.split_at_mut(block.lanes[2]);
    let d = &mut rest[..block.lanes[3]];
    for (cells, sums) in rows {
        add(&mut a[usize::from(cells[0])], sums);
        add(&mut b[usize::from(cells[1])], sums);
        add(&mut c[usize::from(cells[2])], sums);
        add(&mut d[usize::from(cells[3])], sums);
    }
}

#[inline]
const fn add(slot: &mut Sums, sums: &Sums) {
    slot[0] += sums[0];
    slot[1] += sums[1];
}
