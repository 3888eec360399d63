//! WebSocket in front of the exchange's: `/ws/v5/public`, `/ws/v5/private`, `/ws/v5/business` as OKX v5 documents
//! them, over RFC 6455.
//!
//! The client speaks to the gateway, the gateway to the exchange, and neither's frames reach the other: messages
//! are put together, judged, and sent on in frames of our own. Pings are answered and logins are verified here; the
//! exchange gets a connection of the account only once its owner has logged in, and learns whose it is from the
//! same headers as a REST request. Orders draw on the same limits as REST. Operations outside the table in
//! [`message`] go nowhere, so nothing can be withdrawn here. Compression and subprotocols are not offered.
//!
//! A login is not remembered as used: clients open several connections within one second, and the scheme gives these
//! logins one signature. Messages behind a login are not signed one by one; they are as safe as the connection.
//!
//! Not here: who may log in (the `auth` engine), how limits count (the `admission` engine), the connection before the
//! upgrade; all reached by the `Door` port.
//!
//! Bounds: a message has a length, whatever frames it comes in; a connection has a control operation budget per hour, a
//! message rate, a ping rate, a number of malformed messages, of failed logins, and a total length of subscriptions;
//! what a slow client has not read is at most [`CLIENT_BUFFER_BYTES_MAX`] and one message; an account has a number of
//! connections, a source a rate of new ones. These, and all of time, are bounded by [`Config`].

mod answer;
mod gate;
mod handshake;
mod lobby;
mod message;
mod meter;
mod ports;
mod relay;
mod session;
mod wire;

use std::time::Duration;

use admission::Quota;

#[cfg(fuzzing)]
pub(crate) use self::message::{Credentials, Request, with_args};
pub(crate) use self::{answer::VERSION_LABEL, gate::WebSockets, relay::GOODBYE_MAX};

/// Longest message of the exchange, in bytes.
pub(crate) const UPSTREAM_MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// What waits for a client before nothing more is read for it, in bytes; one message more can come on top.
pub(crate) const CLIENT_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Which of the three addresses a client came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What needs few updates or much room.
    Business,
    /// An account's own: nothing without a login.
    Private,
    /// Market data.
    Public,
}

impl Scope {
    /// The scope of a path, if it is one of a web socket.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/ws/v5/business" => Some(Self::Business),
            "/ws/v5/private" => Some(Self::Private),
            "/ws/v5/public" => Some(Self::Public),
            _ => None,
        }
    }

    /// The path at the exchange.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Business => "/ws/v5/business",
            Self::Private => "/ws/v5/private",
            Self::Public => "/ws/v5/public",
        }
    }
}

/// Bounds of web sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// New connections per source address (IPv6: /64); beyond it the upgrade is refused with 429. Default 3 per
    /// second.
    pub connects: Quota,
    /// Connections logged in to one account. Default 100.
    pub per_account_max: usize,
    /// Subscribe, unsubscribe and login messages of one connection in any hour. Default 480.
    pub control_per_hour: usize,
    /// Longest message of a client, in bytes, whatever frames it comes in. Default 64 KiB.
    pub message_bytes_max: usize,
    /// Total length of the arguments of all subscriptions of one connection, in bytes. Default 64 KiB.
    pub subscription_bytes_max: usize,
    /// Messages of one connection; beyond it they are read later. Default 1,000 per second.
    pub messages: Quota,
    /// Pings of one connection, as text or as frames; beyond it the connection is closed. Default 100 per 10 s.
    pub pings: Quota,
    /// A connection on which nothing comes or goes is closed after this. Default 30 s.
    pub idle: Duration,
    /// A connection that has neither a login nor a subscription for so long is closed. Default 30 s.
    pub establish: Duration,
    /// Connecting to the exchange, handshake included. Default 5 s.
    pub connect: Duration,
    /// Without either side taking what waits for it, or at least 240 bytes per second of it. Default 10 s.
    pub write_stall: Duration,
    /// How often a logged-in connection checks that its key is still in force. Default 500 ms.
    pub in_force_period: Duration,
    /// Silence after which the exchange is asked whether it is there. Default 20 s.
    pub upstream_ping: Duration,
    /// Between the notice of an upgrade and the end of the connection. Default 60 s.
    pub notice: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let per = |burst, secs| {
            Quota::new(burst, Duration::from_secs(secs)).expect("constant quotas are within the bounds")
        };
        Self {
            connects: per(3, 1),
            per_account_max: 100,
            control_per_hour: 480,
            message_bytes_max: 64 << 10,
            subscription_bytes_max: 64 << 10,
            messages: per(1_000, 1),
            pings: per(100, 10),
            idle: Duration::from_secs(30),
            establish: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            write_stall: Duration::from_secs(10),
            in_force_period: Duration::from_millis(500),
            upstream_ping: Duration::from_secs(20),
            notice: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests;
