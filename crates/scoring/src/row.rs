//! A row as splits read it.
//!
//! It is copied twice into one array: unknown values as plus infinity in the first half and as minus infinity in the
//! second. Which half a split reads says where its unknown values go, at no cost per split.

use crate::matrix::FEATURES_MAX;

/// A row and its copy; a byte indexes it.
const SLOTS: usize = 2 * FEATURES_MAX;
const _: () = assert!(SLOTS == 256);

/// A row and its copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row([f32; SLOTS]);

impl Row {
    /// A row of at most [`FEATURES_MAX`] values. NaN is unknown, infinities count as the largest finite values.
    pub(crate) fn new(row: &[f32]) -> Self {
        let mut prepared = Self([0.0; SLOTS]);
        prepared.set(row);
        prepared
    }

    /// Puts another row in its place.
    pub(crate) fn set(&mut self, row: &[f32]) {
        let (right, left) = self.0.split_at_mut(FEATURES_MAX);
        for ((value, right), left) in row.iter().zip(right).zip(left) {
            let known = value.clamp(-f32::MAX, f32::MAX); // keeps NaN
            *right = if known.is_nan() { f32::INFINITY } else { known };
            *left = if known.is_nan() { f32::NEG_INFINITY } else { known };
        }
    }

    /// The row, its copy, and both negated: a split turned about reads `slot` of the second half.
    pub(crate) fn and_negated(&self) -> [f32; 2 * SLOTS] {
        std::array::from_fn(|index| if index < SLOTS { self.0[index] } else { -self.0[index - SLOTS] })
    }

    /// Whether the row goes left at a split that reads `slot`.
    #[inline]
    pub(crate) fn goes_left(&self, slot: u8, threshold: f32) -> bool {
        self.0[usize::from(slot)] <= threshold
    }
}

/// Where a split reads its value.
#[expect(
    clippy::cast_possible_truncation,
    reason = "features number at most FEATURES_MAX, half of a byte's range"
)]
pub(crate) const fn slot(feature: u8, missing_left: bool) -> u8 {
    if missing_left { feature + FEATURES_MAX as u8 } else { feature }
}
