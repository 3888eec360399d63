//! Flows of a chain: what is known after reorganisations, stops and damage is what a fresh reading of the same chain gives.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod association;
mod depositors;
mod exposure;
mod log;
mod support;
mod suspects;
