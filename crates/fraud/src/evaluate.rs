//! Evaluation.

pub mod protocol;
