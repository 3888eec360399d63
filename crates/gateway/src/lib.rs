//! The door in front of the exchange's trading API.
//!
//! Takes connections within their budgets, speaks HTTP/1.1, HTTP/2 and WebSocket, refuses what two servers could read
//! differently, verifies OKX v5 signatures over the bytes as sent, charges limits, lets every signed action through
//! once, has withdrawals decided, and only then asks the exchange. Every answer of its own is JSON in the words of
//! OKX v5.
//!
//! Not here: who decides (the [`Withdrawals`] port), what becomes of refusals (the [`Observer`] port), which keys
//! exist (the `auth` engine), how limits count (the `admission` engine). Nothing is stored.
//!
//! Bounds: connections in all and by source, head, body, header count, streams, time at every step, upstream
//! connections, remembered sources and accounts; each is a field of [`Config`] or a named constant.

mod answer;
mod buffer;
mod config;
mod connection;
mod deadline;
#[cfg(fuzzing)]
pub mod fuzz;
mod hello;
mod http1;
mod http2;
mod listener;
mod metrics;
mod model;
mod pace;
mod peer;
mod pipeline;
mod ports;
mod proxy_protocol;
pub mod route;
mod strict;
pub mod tls;
pub mod traffic;
mod upgrade;
pub mod upstream;
pub mod websocket;

pub use admission::reputation::{Ban, Target};

pub use self::{
    config::{Abuse, Apps, BuildError, By, Config, CoolDown, Deps, Limit, Limits, Timeouts},
    connection::Connections,
    listener::{Control, Gateway, Load, Prepared},
    metrics::{Metrics, MetricsSnapshot},
    model::{ApiModel, ModelMode, UnknownOperation},
    pipeline::{
        AbuseMode, BanError, BanTarget, Bans, Challenge, ChallengeMode, Mode,
        limits::{PolicyError, check_policy},
    },
    ports::{
        Answer, AppChanges, BoxFuture, Changes, DecisionUnavailable, NotRecorded, Observer, Unobserved,
        Unrecorded, Withdrawals,
    },
};
