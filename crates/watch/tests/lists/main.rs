//! Lists from import to finding, on small sources written out here and on real ones where they are at hand.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests")]

mod actors;
mod lifecycle;
mod real;
mod screening;
mod sources;
mod support;
mod tables;
mod treasury;
mod updates;
