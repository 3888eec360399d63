//! Following chains: what nodes, networks and crashes do to a follower, and that it ends right all the same.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests")]

mod anvil;
mod bitcoin;
mod faults;
mod support;
