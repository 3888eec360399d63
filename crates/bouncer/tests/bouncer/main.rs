//! The two sides of the socket against each other, and against the kernel's packet filter in namespaces of its own.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

mod conversation;
mod namespace;
