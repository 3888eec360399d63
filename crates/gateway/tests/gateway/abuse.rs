//! HTTP/2 abuse: nine ways to make a server work with little effort, each on one connection, in frames written by hand
//! (RFC 9113; field sections by RFC 7541, without Huffman coding).

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    transport::identity,
    world::{TRADER, World, code},
};

/// Frames until which a connection must have ended.
const FRAMES_MAX: usize = 2_000;
/// Time in which it must have, once they are sent.
const TIME_MAX: Duration = Duration::from_secs(1);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request for public data.
fn fields(method: u8) -> Vec<u8> {
    let mut block = vec![method, 0x87];
    for (name, value) in [(4, "/api/v5/test/none"), (1, "localhost")] {
        block.extend([name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

fn stream(i: usize) -> u32 {
    u32::try_from(i).unwrap() * 2 + 1
}

/// A way of abuse: the label it is counted under, what goes first, the frames of a step, and how many these are.
type Abuse = (&'static str, Vec<u8>, fn(usize) -> Vec<u8>, usize);

fn abuses() -> [Abuse; 9] {
    [
        (
            "h2_rapid_reset",
            Vec::new(),
            |i| {
                let request = frame(HEADERS, END_HEADERS | END_STREAM, stream(i), &fields(GET));
                [request, frame(RST_STREAM, 0, stream(i), &8_u32.to_be_bytes())].concat()
            },
            2,
        ),
        (
            "h2_continuation_flood",
            frame(HEADERS, END_STREAM, 1, &fields(GET)),
            |_| frame(CONTINUATION, 0, 1, b"\0\x03x-a\x0212"),
            1,
        ),
        ("h2_settings_flood", Vec::new(), |_| frame(SETTINGS, 0, 0, &[]), 1),
        ("h2_ping_flood", Vec::new(), |_| frame(PING, 0, 0, &[7; 8]), 1),
        ("h2_priority_flood", Vec::new(), |i| frame(PRIORITY, 0, stream(i), &[0, 0, 0, 0, 16]), 1),
        ("h2_empty_data_flood", frame(HEADERS, END_HEADERS, 1, &fields(POST)), |_| frame(DATA, 0, 1, &[]), 1),
        (
            "h2_window_update_zero",
            Vec::new(),
            |i| {
                let request = frame(HEADERS, END_HEADERS, stream(i), &fields(POST));
                [request, frame(WINDOW_UPDATE, 0, stream(i), &[0; 4])].concat()
            },
            2,
        ),
        ("h2_window_update_flood", Vec::new(), |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), 1),
        (
            // An entry of 3,000 bytes in the table of the connection, named a thousand times by each request.
            "h2_connection_error",
            Vec::new(),
            |i| {
                let mut block = fields(GET);
                if i == 0 {
                    block.extend(b"\x40\x03x-b\x7f\xb9\x16");
                    block.extend([b'b'; 3_000]);
                }
                block.extend([0xbe; 1_000]);
                frame(HEADERS, END_HEADERS | END_STREAM, stream(i), &block)
            },
            1,
        ),
    ]
}

/// The error code of the first `GOAWAY` with one; `None` at the end of the connection.
async fn goaway(mut stream: impl AsyncRead + Unpin) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        if head[3] == GOAWAY && payload[4..8] != [0; 4] {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
}

/// Sends what the gateway takes of an abuse, up to the bound; what it said when it ended the connection.
async fn commit(stream: impl AsyncRead + AsyncWrite + Send + 'static, abuse: &Abuse) -> Option<u32> {
    let (_, first, step, n) = abuse;
    let (reader, mut writer) = tokio::io::split(stream);
    let said = tokio::spawn(goaway(reader));
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    opening.extend(frame(SETTINGS, 0, 0, &[]));
    opening.extend(first);
    let mut taken = writer.write_all(&opening).await.is_ok();
    for i in 0..FRAMES_MAX / n {
        if !taken || said.is_finished() {
            break;
        }
        taken = writer.write_all(&step(i)).await.is_ok();
    }
    drop(writer.flush().await);
    timeout(TIME_MAX, said).await.expect("the connection ends in time").unwrap()
}

#[tokio::test]
async fn every_abuse_of_http2_ends_its_connection_and_no_other() {
    let identity = identity();
    let server = identity.server.clone();
    let worlds = [World::start().await, World::configured(|config| config.tls = Some(server)).await];
    for (world, over_tls) in worlds.iter().zip([false, true]) {
        for abuse in abuses() {
            let label = abuse.0;
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            let said = if over_tls {
                commit(identity.connect(world, provider, &[b"h2"]).await, &abuse).await
            } else {
                commit(TcpStream::connect(world.address).await.unwrap(), &abuse).await
            };
            assert!(matches!(said, None | Some(1 | 11)), "{label}: {said:?}");
            // The end is counted when the task of the connection has ended, just after the client saw it.
            let counted = async {
                while world.refusals(label) == 0 {
                    tokio::task::yield_now().await;
                }
            };
            let seen = || world.metrics.snapshot().refusals;
            timeout(TIME_MAX, counted).await.unwrap_or_else(|_| panic!("{label} not in {:?}", seen()));
        }
        assert!(world.bans.counts().spared > 0, "loopback has earned a ban and is never banned");
    }
    let key = worlds[0].key(&TRADER);
    assert_eq!(worlds[0].get(&key, "/api/v5/account/balance").await.code(), code("0", 200));
}

#[tokio::test]
async fn a_violation_bans_its_source() {
    let world = World::configured(|config| config.abuse.reputation.never_ban.clear()).await;
    let flood = &abuses()[3];
    for _ in 0..2 {
        assert_ne!(commit(TcpStream::connect(world.address).await.unwrap(), flood).await, Some(0));
    }
    let banned = async {
        while world.bans.current().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIME_MAX, banned).await.expect("two violations are a ban");
    assert!(world.raw(b"GET / HTTP/1.1\r\n\r\n").await.is_none());
}
