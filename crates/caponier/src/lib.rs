//! The product: configuration, wiring, command line, control socket and demo.
//!
//! [`config::Config`] says what an installation is; [`core::Core`] opens it; [`app::App`] puts listeners and
//! background work around the core; [`commands`] is the command line. Nothing here decides anything about money:
//! that is the pillars' work.

pub mod abuse;
mod access;
pub mod acme;
mod acts;
pub mod adapters;
mod api_model;
pub mod app;
mod apps;
pub mod bundles;
pub mod cases;
mod chains;
mod cli;
pub mod clock;
pub mod commands;
pub mod config;
mod console;
pub mod control;
pub mod core;
pub mod demo;
pub mod drift;
pub mod emergency;
pub mod exit;
pub mod ground;
mod installation;
pub mod intake;
mod intent;
pub mod lists;
mod live;
pub mod metrics;
mod output;
mod policy;
pub mod refusals;
mod requests;
mod rulebook;
mod screenings;
mod secret_file;
mod socket;
mod stop;
mod suspicions;
mod traffic;
mod trails;
mod verify;
mod webhooks;
