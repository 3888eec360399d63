//! Web sockets shaped like OKX v5: market data, an account's changes, orders. One [`Session`] per connection says
//! what to answer and what to push; this module moves the frames.
//!
//! Who the client is was settled by the gateway before the connection was opened here, as for REST: a login on a
//! private connection is acknowledged and changes nothing. Bounds: [`MESSAGE_BYTES_MAX`] per message, a number of
//! subscriptions per connection, a feed of [`FEED_OPERATIONS_MAX`] operations that a slow reader may lag behind, and
//! [`WRITE_STALL_MAX`] for a client that takes nothing.

mod book;
mod channel;
mod feed;
mod session;

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

pub(crate) use self::{
    feed::Feed,
    session::{Session, connection_id},
};

/// Longest message read, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Operations on the books that a connection may lag behind.
const FEED_OPERATIONS_MAX: usize = 1_024;
/// A connection on which nothing moves, in either direction, is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Longest time one message may take to leave.
const WRITE_STALL_MAX: Duration = Duration::from_secs(10);
/// How often books and tickers are pushed at most.
const MARKET_DATA_PERIOD: Duration = Duration::from_millis(100);

/// Which of the three addresses a connection came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What needs few updates or much room.
    Business,
    /// An account's own.
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
}

/// Why a connection is closed by the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closing {
    code: u16,
    reason: &'static str,
}

impl Closing {
    const BUFFER_FULL: Self = Self { code: 4005, reason: "Buffer is full, cannot write data" };
    const GOING_AWAY: Self = Self { code: 1001, reason: "Going away" };
    const IDLE: Self = Self { code: 4004, reason: "No data received in 30s" };
    const NOT_TEXT: Self = Self { code: 4002, reason: "Invalid Request" };
    const SUBSCRIPTIONS: Self = Self {
        code: 4009,
        reason: "The number of subscribed channels for this connection exceeds the limit",
    };
}

/// Serves one connection to its end.
pub(crate) async fn serve(mut socket: WebSocket, session: Session) {
    if let Some(closing) = run(&mut socket, session).await {
        let frame = CloseFrame { code: closing.code, reason: Utf8Bytes::from_static(closing.reason) };
        // The client may be gone already; then there is nobody to tell.
        let _told = timeout(WRITE_STALL_MAX, socket.send(Message::Close(Some(frame)))).await.is_ok();
    }
}

/// The connection until it should be closed; nothing when the client closed it.
async fn run(socket: &mut WebSocket, mut session: Session) -> Option<Closing> {
    let Some(mut updates) = session.feed().subscribe() else { return Some(Closing::GOING_AWAY) };
    let mut ticks = interval(MARKET_DATA_PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut idle_since = Instant::now();
    loop {
        let mut outgoing = Vec::new();
        let mut closing = None;
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    idle_since = Instant::now();
                    closing = session.on_text(&text, &mut outgoing).err();
                }
                Some(Ok(Message::Binary(_))) => return Some(Closing::NOT_TEXT),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            },
            update = updates.recv() => match update {
                Ok(update) => session.on_updates(&update, &mut outgoing),
                Err(RecvError::Lagged(_)) => return Some(Closing::BUFFER_FULL),
                Err(RecvError::Closed) => return Some(Closing::GOING_AWAY),
            },
            _ = ticks.tick() => session.on_tick(&mut outgoing),
            () = sleep_until(idle_since + IDLE_MAX) => return Some(Closing::IDLE),
        }
        for text in outgoing {
            match timeout(WRITE_STALL_MAX, socket.send(Message::Text(text.into()))).await {
                Ok(Ok(())) => idle_since = Instant::now(),
                Ok(Err(_)) => return None,
                Err(_) => return Some(Closing::BUFFER_FULL),
            }
        }
        if closing.is_some() {
            return closing;
        }
    }
}
