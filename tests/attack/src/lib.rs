//! Attacks on a gateway started for the purpose, on loopback only, each bounded in time and with a criterion that is
//! measured.
//!
//! Not a load generator: floods are as large as a single client process makes them, and stop after seconds. Nothing is
//! sent to any address but 127.0.0.0/8, and only to ports of processes started here.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the suite speaks on its terminal")]
#![allow(clippy::disallowed_methods, reason = "attacks are timed by the real clock")]

pub mod client;
pub mod flood;
pub mod framing;
pub mod honest;
pub mod house;
pub mod http2;
pub mod process;
pub mod replay;
pub mod report;
pub mod signing;
pub mod slow;
pub mod tools;
pub mod trial;
pub mod upstream;
