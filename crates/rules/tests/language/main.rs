//! The language against a naive interpreter of its syntax trees, and its texts against themselves.

mod celpy;
mod expressions;
mod naive;
mod properties;
