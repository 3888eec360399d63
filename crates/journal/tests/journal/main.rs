//! The journal through its public interface: what it does, what crashes and faults do to it, what damage is found.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod behaviour;
mod crash;
mod damage;
mod support;
