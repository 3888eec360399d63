//! What web sockets need of the rest of the gateway.

use std::{io, net::IpAddr};

use auth::{Login, Refusal, Verified};
use domain::{AccountId, UnixNanos};
use http::HeaderValue;
use serde_json::value::RawValue;

use super::Scope;
use crate::{pipeline::authority::Worth, ports::BoxFuture, upgrade::Duplex};

/// Why something is not done for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) refusal: Refusal,
    /// Metric label; the refusal's own unless several causes share it.
    pub(crate) label: &'static str,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { label: refusal.label(), refusal }
    }
}

/// What the exchange is told about a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Introduction<'a> {
    pub(crate) scope: Scope,
    /// Whose it is; nobody's before a login.
    pub(crate) identity: Option<&'a Verified>,
    /// The client's address.
    pub(crate) forwarded_for: &'a HeaderValue,
    /// The name the client knows the connection by.
    pub(crate) connection_id: &'a str,
}

/// The rest of the gateway.
pub(crate) trait Door: Send + Sync {
    /// The time.
    fn now(&self) -> UnixNanos;

    /// Verifies a login, the slow check of a passphrase included, and counts it as use of the key.
    fn log_in<'a>(&'a self, login: Login<'a>, ip: IpAddr) -> BoxFuture<'a, Result<Verified, Denied>>;

    /// Holds an operation on these orders, one object each, against what the key is restricted to, and charges it to the
    /// limits that the REST endpoint of the same operation draws on. What is to be taken from the day's budget of the key
    /// is left to [`Door::spend`].
    fn charge(
        &self,
        identity: &Verified,
        endpoint: &'static str,
        orders: &[&RawValue],
        now: UnixNanos,
    ) -> Result<Worth, Denied>;

    /// Takes what an operation is worth from the day's budget of the key: its last check, since it stays taken.
    fn spend<'a>(
        &'a self,
        identity: &'a Verified,
        worth: Worth,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<(), Denied>>;

    /// Opens a connection to the exchange.
    fn connect(&self) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>>;

    /// The head of the upgrade request to the exchange: where it is and what it is told.
    fn introduce(&self, introduction: Introduction<'_>) -> Result<http::Request<()>, Refusal>;

    /// The client sent something that was understood.
    fn active(&self);

    /// Something was not done for a client.
    fn refused(&self, ip: IpAddr, account: Option<&AccountId>, label: &'static str, at: UnixNanos);
}
