//! Executions: on state in memory, and beside a real node that executes the same.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests are tests")]

mod anvil;
mod asm;
mod contracts;
mod local;
mod node;
