//! End to end: the real program in a process of its own, real clients, real files, real signals.
//!
//! One module per theme. Nothing here looks inside: every statement is made from answers, exit codes, output and
//! files, as an operator, a customer or an auditor sees them. Tests wait for lines, answers or counts, never for time
//! to pass; what a machine cannot offer (a client, Go, root) is skipped and says so.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test says what it skips, and fails where it stands"
)]

mod acme;
mod acts;
mod api_keys;
mod api_model;
mod appeals;
mod apps;
mod bans;
mod browser;
mod cases;
mod chains;
mod clients;
mod config;
mod connect;
mod console;
mod console_moments;
mod control;
mod crash;
mod decisions;
mod demo;
mod described;
mod disk_full;
mod emergency;
mod erasure;
mod fraud;
mod intent;
mod interop;
mod journal_models;
mod limits;
mod models;
mod monitoring;
mod operations;
mod own_model;
mod people;
mod restore;
mod rulebook;
mod screening;
mod support;
mod tamper;
mod tls;
mod visitor;
mod web_socket;
mod webhooks;
