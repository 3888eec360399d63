//! Executions: on state in memory, and beside a real node that executes the same.

mod anvil;
mod asm;
mod contracts;
mod local;
mod node;
