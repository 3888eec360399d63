//! Lists from import to finding, on small sources written out here and on real ones where they are at hand.

mod lifecycle;
mod real;
mod screening;
mod sources;
mod support;
