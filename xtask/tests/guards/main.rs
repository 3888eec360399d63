//! Guards: rules of the house that a program can check, as tests over the manifests, the sources and the map.
//!
//! A failing guard names the file and the rule. Whoever has a good reason to break a rule changes the guard in
//! the same commit, so that the exception is seen.

#![allow(clippy::print_stderr, reason = "figures and skips are shown to whoever runs the tests")]

mod floors;
mod manifests;
mod map;
mod sources;
mod tree;
