//! The gateway over real sockets: a raw TCP client or hyper on one side, a fake exchange that keeps every byte it
//! gets on the other, fake ports beside it, and a clock that moves only when told.

#![allow(clippy::unwrap_used, reason = "test code outside test functions; a panic names the line")]

mod abuse;
mod answers;
mod authentication;
mod authority;
mod bans;
mod challenge;
mod connections;
mod limits;
mod message_signatures;
mod overload;
mod proxy;
mod strictness;
mod transport;
mod websocket;
mod withdrawals;
mod world;
