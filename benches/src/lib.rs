//! What the benchmarks share. Each benchmark is a binary of this package; figures count as ratios of one run.

pub mod keys;
