//! Following chains: what moves on chain becomes known here, and danger is said before money leaves.
//!
//! A [`Follower`] asks one node for blocks, verifies them, keeps the newest as a chain of parents and derives alerts. It
//! survives what nodes and networks do: connections that end, heads that are never announced, answers that contradict
//! each other, branches that are given up. Whatever it derived from a block is kept under the block's hash and taken back
//! when the block leaves the chain; nothing rests on a node saying so (`removed` logs are ignored).
//!
//! Reading order: [`source`] (the port to a node), [`alert`] and [`rules`] (what is worth telling), [`state`] (what is
//! kept, and how it is stored), [`follower`] (one pass from where we are to the node's head), [`run()`] (passes for ever).
//! [`evm`] and [`bitcoin`] are the sources, [`rpc`], [`heads`] and [`zmq`] how they reach nodes.
//!
//! # What holds when the process stops anywhere
//!
//! The state (newest headers, alerts not yet taken over, alerts that may still be taken back) is replaced as a whole
//! before an alert is delivered. So an alert is delivered at least once, always with the same id, and an alert that
//! was delivered is known after the restart and will be taken back if its block is.

pub mod alert;
pub mod bitcoin;
pub mod evm;
pub mod follower;
pub mod heads;
pub mod rpc;
pub mod rules;
pub mod run;
pub mod source;
pub mod state;
pub mod status;
pub mod store;
pub mod zmq;

pub use self::{
    alert::{Alert, AlertId, AlertKind, AlertNews, AlertSink, AlertState, Direction, SinkError},
    follower::{FollowError, Follower, Parts, Settings},
    rules::{Rules, Screen, Watched},
    run::{Timer, TokioTimer, run},
    source::{BlockSink, ChainEvent, Source, SourceError},
    status::{Phase, Status, StatusCell},
    store::{FileStore, MemoryStore, StateStore, StoreError},
};
