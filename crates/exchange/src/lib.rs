//! A simulated exchange: what stands behind the gateway in the demo and the tests.
//!
//! It keeps real books (double entry, exact, conserving), matches orders by price and time, moves withdrawals
//! through their states and speaks REST and web sockets shaped like OKX v5, closely enough for unmodified clients.
//! What the gateway cannot see (logins, deposits, fills) it reports to the decision listener, and withdrawals asked
//! for at its web site it asks about there first.
//!
//! It is not an exchange: books live in memory, chains are made up, there are no margins or derivatives, and one
//! wallet per account serves for funding and trading. It does not verify signatures: it believes the gateway, which
//! proves itself with a token.
//!
//! Beside the floors: depends on the words only. [`ledger`] is sans I/O; [`Exchange`] puts a listener, a clock and
//! a reporter around it.

pub mod address;
mod ask;
pub mod catalog;
mod client;
mod config;
mod desk;
pub mod ledger;
pub mod population;
pub mod random;
mod report;
mod rest;
pub mod scenarios;
mod server;
mod ws;

pub use self::{
    ask::{Answer, Reason},
    config::{Config, EventsTarget, Token},
    desk::{Desk, WebOutcome, WebWithdrawal},
    report::QUEUE_MAX,
    rest::BODY_BYTES_MAX,
    server::{Exchange, StartError},
};
