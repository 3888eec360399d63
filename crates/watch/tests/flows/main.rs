//! Flows of a chain: what is known after reorganisations, stops and damage is what a fresh reading of the same chain gives.

mod exposure;
mod log;
mod support;
