//! Simulation: a transaction executed before it is signed, and what it did compared with what it says.
//!
//! An engine: state, block and transaction in, outcome out. It fetches nothing (a source that does not know something
//! ends the run, the caller fetches and runs again), knows no clock (gas bounds the work, the caller may stop it) and
//! gives the same outcome for the same input. Its EVM is `revm`, which nothing else here sees.
//!
//! What it is not: a promise. The chain moves on between simulation and inclusion, and code can find out that it is
//! being simulated (by the block's beneficiary, its randomness, its time); what it shows is what would happen in the very
//! block it was given.
//!
//! Reading order: [`state`] (the port), [`environment`] (the block), [`run`] (execution), [`outcome`], [`mod@compare`].

pub mod compare;
mod database;
pub mod environment;
mod logs;
pub mod outcome;
mod probe;
pub mod run;
mod slots;
pub mod state;
mod trace;

pub use self::{
    compare::{Difference, compare},
    environment::{Environment, Fork},
    outcome::{AllowanceChange, End, NativeChange, Simulation, SlotChange, TokenChange},
    probe::PROBES_MAX,
    run::{GAS_MAX, SimulateError, simulate},
    state::{AccountState, Code, Need, Snapshot, StateSource, StateTooLarge},
    trace::EVENTS_MAX,
};
