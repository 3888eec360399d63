//! Rows of named features, as training and batch scoring read them.
//!
//! Features are `f32`: thresholds are then exactly representable, so that the score in training is the score in
//! service bit for bit. A value that is not known is NaN; infinities do not exist. Not here: where the values come
//! from (`features`).
//!
//! # Bounds
//! [`FEATURES_MAX`] features, [`ROWS_MAX`] rows, names of at most [`NAME_BYTES_MAX`] bytes.

use std::{collections::BTreeSet, sync::Arc};

use thiserror::Error;

/// Features of one matrix or model. Serving keeps two copies of a row in one array that a byte can index.
pub const FEATURES_MAX: usize = 128;
/// Rows of one matrix.
pub const ROWS_MAX: usize = 1 << 26;
/// Bytes of a feature's name.
pub const NAME_BYTES_MAX: usize = 128;

/// Why names or rows were refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// A name occurs twice.
    #[error("feature {index}: the name {name:?} occurs twice")]
    DuplicateName {
        /// Which feature.
        index: usize,
        /// Its name.
        name: String,
    },
    /// An infinite value; an unknown one is NaN.
    #[error("row {row}, feature {name:?}: the value is infinite")]
    Infinite {
        /// Which row, counted from 0.
        row: usize,
        /// Which feature.
        name: String,
    },
    /// An empty name, a long one, or one with control characters.
    #[error("feature {index}: a name has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    MalformedName {
        /// Which feature.
        index: usize,
    },
    /// No feature, or too many.
    #[error("{count} features; 1 to {FEATURES_MAX} are possible")]
    NumberOfFeatures {
        /// How many there are.
        count: usize,
    },
    /// More rows than a matrix holds.
    #[error("more than {ROWS_MAX} rows")]
    TooManyRows,
    /// A row that is longer or shorter than the names.
    #[error("row {row}: {found} values for {expected} features")]
    WrongLength {
        /// Which row, counted from 0.
        row: usize,
        /// Features.
        expected: usize,
        /// Values.
        found: usize,
    },
}

/// The names of features, in the order of the columns. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureNames(Arc<[String]>);

impl FeatureNames {
    /// Checks and keeps the names.
    ///
    /// # Errors
    /// [`MatrixError`] when there is none or too many, or when one is malformed or occurs twice.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Result<Self, MatrixError> {
        let names: Vec<String> = names.into_iter().take(FEATURES_MAX + 1).map(Into::into).collect();
        if !(1..=FEATURES_MAX).contains(&names.len()) {
            return Err(MatrixError::NumberOfFeatures { count: names.len() });
        }
        let mut seen = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
                return Err(MatrixError::MalformedName { index });
            }
            if !seen.insert(name) {
                return Err(MatrixError::DuplicateName { index, name: name.clone() });
            }
        }
        drop(seen);
        Ok(Self(names.into()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: there is at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The name of the feature at `index`.
    ///
    /// # Panics
    /// If there is no such feature.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        &self.0[index]
    }

    /// Where a name stands.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|own| own == name)
    }
}

/// A value as models see it: the nearest `f32`, infinities as the largest finite value, NaN as NaN.
///
/// Training and serving both quantise here and nowhere else.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "rounding to the nearest is what is wanted")]
pub const fn quantise(value: f64) -> f32 {
    let near = value as f32;
    if near.is_nan() { f32::NAN } else { near.clamp(-f32::MAX, f32::MAX) }
}

/// Rows of features, stored row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    names: FeatureNames,
    cells: Vec<f32>,
}

impl Matrix {
    /// Without rows.
    #[must_use]
    pub const fn new(names: FeatureNames) -> Self {
        Self { names, cells: Vec::new() }
    }

    /// Appends a row. NaN means unknown.
    ///
    /// # Errors
    /// [`MatrixError`] when the length is wrong, a value is infinite or the matrix is full.
    pub fn push(&mut self, row: &[f32]) -> Result<(), MatrixError> {
        self.check_room(row.len())?;
        if let Some(index) = row.iter().position(|value| value.is_infinite()) {
            return Err(self.infinite(index));
        }
        self.cells.extend_from_slice(row);
        Ok(())
    }

    /// Appends a row of wider values, each through [`quantise`].
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_f64(&mut self, row: &[f64]) -> Result<(), MatrixError> {
        self.check_room(row.len())?;
        if let Some(index) = row.iter().position(|value| value.is_infinite()) {
            return Err(self.infinite(index));
        }
        self.cells.extend(row.iter().copied().map(quantise));
        Ok(())
    }

    fn check_room(&self, found: usize) -> Result<(), MatrixError> {
        let row = self.n_rows();
        if found != self.names.len() {
            return Err(MatrixError::WrongLength { row, expected: self.names.len(), found });
        }
        if row >= ROWS_MAX { Err(MatrixError::TooManyRows) } else { Ok(()) }
    }

    fn infinite(&self, index: usize) -> MatrixError {
        MatrixError::Infinite { row: self.n_rows(), name: self.names.name(index).to_owned() }
    }

    /// The names of the columns.
    #[must_use]
    pub const fn names(&self) -> &FeatureNames {
        &self.names
    }

    /// How many rows there are.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.cells.len() / self.names.len()
    }

    /// How many columns there are.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.names.len()
    }

    /// One row.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        let width = self.names.len();
        &self.cells[index * width..(index + 1) * width]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.cells.chunks_exact(self.names.len())
    }

    /// One column, row by row.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f32> {
        self.rows().map(move |row| row[feature])
    }

    /// A matrix of the rows at `indices`, in that order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut cells = Vec::with_capacity(indices.len() * self.names.len());
        indices.iter().for_each(|&index| cells.extend_from_slice(self.row(index)));
        Self { names: self.names.clone(), cells }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        let of = |names: &[&str]| FeatureNames::new(names.iter().copied());
        assert_eq!(of(&[]), Err(MatrixError::NumberOfFeatures { count: 0 }));
        assert_eq!(of(&["a", ""]), Err(MatrixError::MalformedName { index: 1 }));
        assert_eq!(of(&["a\n"]), Err(MatrixError::MalformedName { index: 0 }));
        assert_eq!(of(&["a", "b", "a"]), Err(MatrixError::DuplicateName { index: 2, name: "a".to_owned() }));
        let many = (0..=FEATURES_MAX).map(|index| index.to_string());
        assert_eq!(FeatureNames::new(many), Err(MatrixError::NumberOfFeatures { count: FEATURES_MAX + 1 }));
        assert_eq!(of(&["a", "b"]).unwrap().position("b"), Some(1));
    }

    #[test]
    fn rows_are_checked() {
        let mut rows = Matrix::new(FeatureNames::new(["a", "b"]).unwrap());
        rows.push(&[1.0, f32::NAN]).unwrap();
        assert_eq!(rows.push(&[1.0]), Err(MatrixError::WrongLength { row: 1, expected: 2, found: 1 }));
        assert_eq!(
            rows.push_f64(&[1.0, f64::INFINITY]),
            Err(MatrixError::Infinite { row: 1, name: "b".to_owned() })
        );
        rows.push_f64(&[0.1, 1e300]).unwrap();
        assert_eq!(rows.row(1), [0.1, f32::MAX]);
        assert_eq!(rows.n_rows(), 2);
        assert_eq!(rows.select(&[1, 1]).column(0).collect::<Vec<_>>(), [0.1, 0.1]);
    }
}
