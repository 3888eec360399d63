//! The published log together with what stands around it: the real journal, and software of others.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

mod third_party;
mod with_journal;
