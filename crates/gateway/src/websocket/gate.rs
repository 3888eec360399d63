//! Web sockets as part of this gateway: takes over the connections that ask for one, and gives them what every request
//! has: keys, limits, the way to the exchange, and somebody who sees refusals.

use std::{
    io,
    net::IpAddr,
    sync::{Arc, Weak},
};

use auth::{Environment, Login, Permission, Refusal, Verified};
use domain::{AccountId, UnixNanos};
use http::HeaderValue;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use super::{
    Config, Scope, handshake,
    lobby::Lobby,
    ports::{Denied, Door, Introduction},
    relay::{Guest, Orders, serve},
};
use crate::{
    answer::Refused,
    connection::{InFlight, Source},
    peer::Peer,
    pipeline::{Shared, authority::Worth, limits::Load},
    ports::BoxFuture,
    traffic::{ADMITTED, Passed},
    upgrade::{Duplex, Upgrades},
};

/// Takes over connections that ask for a web socket.
#[derive(Debug)]
pub(crate) struct WebSockets {
    /// What all requests share, this included.
    shared: Weak<Shared>,
    lobby: Lobby<Source>,
}

impl WebSockets {
    /// `sources_max` sources are remembered; `seed` is random and secret.
    pub(crate) fn new(shared: Weak<Shared>, config: Config, sources_max: usize, seed: u64) -> Self {
        Self { shared, lobby: Lobby::new(config, sources_max, seed) }
    }
}

impl WebSockets {
    /// Puts other bounds in force; see [`Lobby::set_config`].
    pub(crate) fn set_config(&self, config: Config) {
        self.lobby.set_config(config);
    }
}

impl Upgrades for WebSockets {
    fn accept<'a>(
        &self,
        path: &str,
        fields: &mut dyn Iterator<Item = (&'a [u8], &'a [u8])>,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<String, Refused> {
        if Scope::at(path).is_none() {
            return Err(Refusal::EndpointUnavailable.into());
        }
        self.lobby.enter(peer.source, now).map_err(|retry_after| {
            Refused { retry_after, ..Refused::from(Refusal::RateLimited) }.labelled("ws_connects_limited")
        })?;
        let accepted = handshake::accept(fields).map_err(|unacceptable| {
            let parameter = unacceptable.field().to_owned();
            Refused::from(Refusal::ParameterInvalid { parameter }).labelled(unacceptable.label())
        })?;
        Ok(accepted.answer())
    }

    fn serve(
        &self,
        path: String,
        stream: Box<dyn Duplex>,
        leftover: Vec<u8>,
        peer: Arc<Peer>,
        in_flight: InFlight,
    ) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (Some(shared), Some(scope)) = (self.shared.upgrade(), Scope::at(&path)) else { return };
            let Ok(forwarded_for) = HeaderValue::from_str(&peer.ip.to_string()) else { return };
            let guest = Guest {
                ip: peer.ip,
                forwarded_for,
                environment: Environment::Live,
                scope,
                connection_id: hex(crypto::random::array()),
                leftover,
            };
            // Whoever ends the connection ends the task that this is part of.
            let orders = Orders { draining: shared.stopping.clone(), kill: std::future::pending() };
            let gate = Gate { shared, peer, in_flight: Mutex::new(in_flight), named: Mutex::default() };
            let ended = serve(&gate, &self.lobby, guest, stream, orders).await;
            tracing::debug!(connection = gate.peer.line.id(), ?ended, "web socket ended");
        })
    }
}

/// The rest of the gateway, for one connection.
struct Gate {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    in_flight: Mutex<InFlight>,
    /// The key that the last login named, whether it exists or not.
    named: Mutex<Option<Box<str>>>,
}

impl Gate {
    fn charge_recorded(
        &self,
        identity: &Verified,
        endpoint: &str,
        orders: &[&RawValue],
        now: UnixNanos,
        record: Option<&mut Passed>,
    ) -> Result<Worth, Refused> {
        let shared = &self.shared;
        let policy = shared.policy.load_full();
        let (route, plan) = policy.operation(endpoint).ok_or(Refused::from(Refusal::EndpointUnavailable))?;
        shared.check_key(self.peer.ip, Some(identity.key_id().as_str()), route.criticality, now)?;
        let worth = Shared::authorise_operation(identity, endpoint, orders, now)?;
        let load = Load::of_message(orders)?;
        if let Some(record) = record {
            record.instruments = load.names();
        }
        // Messages are not answered one by one here, so they say nothing about the exchange's latency; they wait for
        // nobody either, but are turned away when requests are.
        let turn = shared.turnstile.pass(load.criticality(route.criticality));
        drop(turn.map_err(|shed| shared.turn_away(shed, now))?);
        policy.draw_operation(plan, &load, identity, &self.peer, now)?;
        Ok(worth)
    }
}

impl Door for Gate {
    fn now(&self) -> UnixNanos {
        self.shared.clock.now()
    }

    fn log_in<'a>(&'a self, login: Login<'a>, ip: IpAddr) -> BoxFuture<'a, Result<Verified, Denied>> {
        Box::pin(async move {
            let shared = &*self.shared;
            *self.named.lock() = str::from_utf8(login.api_key).ok().map(Box::from);
            // A key that is banned here may log in, since it may cancel; its other operations are refused.
            let attempt = || shared.authenticator.verify_login(&login, ip, shared.clock.now());
            let verified = shared.prove(attempt).await?;
            let now = shared.clock.now();
            // What else it is restricted to is held against each operation.
            if let Some(restrictions) = verified.restrictions() {
                restrictions.check_hours(now)?;
            }
            shared.speak_for(&self.peer, now);
            let permissions = verified.permissions();
            let permission =
                if permissions.contains(Permission::Trade) { Permission::Trade } else { Permission::Read };
            shared.observe_use(&verified, permission, &self.peer, now).await?;
            if verified.use_to_record().is_some() {
                shared.observer.key_used(verified.key_id(), shared.clock.now());
            }
            // From now on it does not give way to newcomers. Where it was ended already, its task is as well.
            self.in_flight.lock().authenticated().map_err(|_| Denied::from(Refusal::SystemBusy))?;
            Ok(verified)
        })
    }

    fn charge(
        &self,
        identity: &Verified,
        endpoint: &'static str,
        orders: &[&RawValue],
        now: UnixNanos,
    ) -> Result<Worth, Denied> {
        let shared = &self.shared;
        let Some(recorder) = &shared.recorder else {
            return Ok(self.charge_recorded(identity, endpoint, orders, now, None)?);
        };
        let mut record = Passed {
            at: now,
            source: self.peer.ip,
            proven: Some((identity.account().to_string(), identity.key_id().to_string())),
            is_operation: true,
            is_post: true,
            path: endpoint.to_owned(),
            instruments: vec![String::new()],
            outcome: ADMITTED,
        };
        let charged = self.charge_recorded(identity, endpoint, orders, now, Some(&mut record));
        if let Err(refused) = &charged {
            record.outcome = refused.label;
        }
        recorder.record(record);
        Ok(charged?)
    }

    fn spend<'a>(
        &'a self,
        identity: &'a Verified,
        worth: Worth,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<(), Denied>> {
        Box::pin(async move { Ok(self.shared.spend(identity, worth, now).await?) })
    }

    fn connect(&self) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>> {
        Box::pin(self.shared.upstream.open())
    }

    fn introduce(&self, introduction: Introduction<'_>) -> Result<http::Request<()>, Refusal> {
        let Introduction { scope, identity, forwarded_for, connection_id } = introduction;
        let upstream = &self.shared.upstream;
        let mut request = handshake::request(upstream.authority(), scope)
            .header("x-forwarded-for", forwarded_for)
            .header("x-caponier-connection", connection_id);
        if let Some(token) = upstream.token() {
            let mut token = HeaderValue::from_str(token).map_err(|_| Refusal::SystemError)?;
            token.set_sensitive(true);
            request = request.header("x-caponier-upstream-token", token);
        }
        if let Some(identity) = identity {
            request = request
                .header("x-caponier-account", identity.account().as_str())
                .header("x-caponier-key", identity.key_id().as_str());
        }
        request.body(()).map_err(|_| Refusal::SystemError)
    }

    fn active(&self) {
        // For whoever chooses which connection gives way to a newcomer: this one is in use.
        drop(self.peer.line.begin(self.shared.clock.now()));
    }

    fn refused(&self, ip: IpAddr, account: Option<&AccountId>, label: &'static str, at: UnixNanos) {
        self.in_flight.lock().refused();
        self.shared.metrics.refusal(label);
        self.shared.observer.refused(ip, account, label, at);
        self.shared.hold_against(&self.peer, self.named.lock().as_deref(), label, at);
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        Self { refusal: refused.refusal, label: refused.label }
    }
}

/// 8 lower-case hexadecimal digits.
fn hex(bytes: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(bytes))
}
