//! What watches chains, measured on recorded data where it is at hand.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "tests may stop at the first surprise, and say what they skip"
)]

mod discovery;
mod poisoning;
mod support;
