//! New blocks as Bitcoin nodes announce them: ZeroMQ publications (`zmqpubhashblock`), by a subscriber of our own.
//!
//! Spoken is ZMTP 3.0 (rfc.zeromq.org/spec/23) with the NULL mechanism, as much of it as a subscriber needs: greeting,
//! READY, one subscription, messages. Publications make following faster and nothing else: which block is new, the node is
//! asked. What publishers drop when a queue is full, and what is lost with a connection, is found by asking all the same.
//!
//! Bounds: frames of [`FRAME_BYTES_MAX`], messages of [`FRAMES_MAX`] frames; a connection on which nothing was said for
//! [`QUIET_MAX`] is made anew (a publisher on a quiet chain says nothing for an hour, so that alone is no error).

use std::{io, sync::Arc, time::Duration};

use chain::headers::Header;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::watch,
};

use super::{
    rpc::{Dial, Endpoint, Stream},
    run::{Backoff, Timer},
    status::StatusCell,
};

/// Longest frame: a hash has 32 bytes, commands of the handshake some hundred.
const FRAME_BYTES_MAX: u64 = 64 << 10;
/// Most frames of one message: topic, body, number.
const FRAMES_MAX: usize = 8;
/// Longest silence.
const QUIET_MAX: Duration = Duration::from_secs(2 * 3600);
/// Longest time to connect and shake hands.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// What is subscribed to.
const TOPIC: &[u8] = b"hashblock";

const MORE: u8 = 0x01;
const LONG: u8 = 0x02;
const COMMAND: u8 = 0x04;

/// Wakes a follower at every announced block until `stop` becomes true.
pub async fn announce(
    endpoint: &Endpoint,
    dial: &Arc<dyn Dial>,
    timer: &dyn Timer,
    status: &StatusCell,
    heads: &watch::Sender<Option<Header>>,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(BACKOFF_MAX);
    loop {
        let ended = tokio::select! {
            ended = subscription(endpoint, dial, status, heads, &mut backoff) => ended,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        status.write(|status| *status.errors.entry("subscription_lost").or_default() += 1);
        let reason = ended.err().map_or_else(|| "ended".to_owned(), |error| error.to_string());
        tracing::debug!(node = %endpoint, reason, "subscription to blocks ended");
        tokio::select! {
            () = timer.sleep(backoff.wait()) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn subscription(
    endpoint: &Endpoint,
    dial: &Arc<dyn Dial>,
    status: &StatusCell,
    heads: &watch::Sender<Option<Header>>,
    backoff: &mut Backoff,
) -> io::Result<()> {
    let connected = async {
        let mut stream = dial.dial(endpoint).await?;
        handshake(&mut stream).await?;
        Ok::<_, io::Error>(stream)
    };
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let mut stream = tokio::time::timeout(HANDSHAKE_MAX, connected).await.map_err(late)??;
    backoff.reset();
    status.write(|status| status.subscriptions += 1);
    // What was published while there was no subscription, nobody will repeat.
    heads.send_replace(None);
    loop {
        let frames = tokio::time::timeout(QUIET_MAX, message(&mut stream)).await.map_err(late)??;
        if frames.first().is_some_and(|topic| topic == TOPIC) {
            heads.send_replace(None);
        }
    }
}

/// Greets, says what we are and subscribes.
async fn handshake(stream: &mut Box<dyn Stream>) -> io::Result<()> {
    let mut greeting = [0u8; 64];
    // Signature, version 3.0, mechanism NULL; the rest is zero: not as a server.
    for (at, byte) in [(0, 0xff), (9, 0x7f), (10, 3), (12, b'N'), (13, b'U'), (14, b'L'), (15, b'L')] {
        if let Some(slot) = greeting.get_mut(at) {
            *slot = byte;
        }
    }
    stream.write_all(&greeting).await?;
    let mut theirs = [0u8; 64];
    stream.read_exact(&mut theirs).await?;
    if theirs.first() != Some(&0xff) {
        return Err(bad("not a ZMTP greeting"));
    }
    if theirs.get(9) != Some(&0x7f) || theirs.get(10).is_none_or(|major| *major < 3) {
        return Err(bad("the publisher does not speak ZMTP 3"));
    }
    if theirs.get(12..17) != Some(b"NULL\0") {
        return Err(bad("the publisher wants a mechanism other than NULL"));
    }
    let mut ready = vec![5];
    ready.extend_from_slice(b"READY");
    for (name, value) in [("Socket-Type", "SUB"), ("Identity", "")] {
        ready.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        ready.extend_from_slice(name.as_bytes());
        ready.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        ready.extend_from_slice(value.as_bytes());
    }
    send(stream, COMMAND, &ready).await?;
    let (flags, theirs) = frame(stream).await?;
    if flags & COMMAND == 0 || !theirs.starts_with(b"\x05READY") {
        return Err(bad("the publisher is not ready"));
    }
    let mut subscribe = vec![1];
    subscribe.extend_from_slice(TOPIC);
    send(stream, 0, &subscribe).await
}

async fn send(stream: &mut Box<dyn Stream>, flags: u8, body: &[u8]) -> io::Result<()> {
    let len = u8::try_from(body.len()).map_err(|_| bad("a frame of ours is short"))?;
    stream.write_all(&[&[flags, len], body].concat()).await?;
    stream.flush().await
}

/// The next message's frames; commands in between (pings) are answered or skipped.
async fn message(stream: &mut Box<dyn Stream>) -> io::Result<Vec<Vec<u8>>> {
    let mut frames = Vec::new();
    loop {
        let (flags, body) = frame(stream).await?;
        if flags & COMMAND != 0 {
            // ZMTP 3.1: PING with a time to live of two bytes and a context that PONG repeats.
            if let Some(context) = body.strip_prefix(b"\x04PING").and_then(|rest| rest.get(2..)) {
                let pong = [b"\x04PONG", context.get(..16.min(context.len())).unwrap_or_default()].concat();
                send(stream, COMMAND, &pong).await?;
            }
            continue;
        }
        frames.push(body);
        if flags & MORE == 0 {
            return Ok(frames);
        }
        if frames.len() >= FRAMES_MAX {
            return Err(bad("a message of too many frames"));
        }
    }
}

async fn frame(stream: &mut Box<dyn Stream>) -> io::Result<(u8, Vec<u8>)> {
    let flags = stream.read_u8().await?;
    if flags & !(MORE | LONG | COMMAND) != 0 {
        return Err(bad("a frame with unknown flags"));
    }
    let len = if flags & LONG == 0 { u64::from(stream.read_u8().await?) } else { stream.read_u64().await? };
    if len > FRAME_BYTES_MAX {
        return Err(bad("a frame that is too long"));
    }
    let mut body = vec![0; usize::try_from(len).unwrap_or_default()];
    stream.read_exact(&mut body).await?;
    Ok((flags, body))
}

fn bad(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
