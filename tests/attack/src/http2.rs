//! HTTP/2 abuse: nine ways to make a server work with little effort, on one connection each. Frames are written by
//! hand (RFC 9113); header blocks use the static table and literals without Huffman coding (RFC 7541).

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout};

use crate::client::Stream;
use crate::honest::Honest;
use crate::house::House;
use crate::process;
use crate::report::Row;

const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);
/// Frames an attacker sends unless stopped.
const FRAMES: usize = 20_000;
/// Frames before the gateway must have stopped it.
const FRAMES_MAX: usize = 2_000;
/// Time before the gateway must have stopped it.
const TIME_MAX: Duration = Duration::from_secs(1);
/// Processor time one attack may cost.
const CPU_MAX: Duration = Duration::from_millis(50);
/// Frames between two looks at what the gateway says.
const BATCH: usize = 50;
/// Longest wait for the gateway to take a batch.
const STALL_MAX: Duration = Duration::from_secs(3);

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
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame's bytes.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `GET` or `POST /api/v5/public/time` for localhost.
fn block(is_post: bool) -> Vec<u8> {
    // Indexed :method and :scheme https; literal :path and :authority with names from the static table.
    let mut block = vec![if is_post { 0x83 } else { 0x82 }, 0x87];
    for (name, value) in [(4u8, "/api/v5/public/time"), (1, "localhost")] {
        block.extend([name, u8::try_from(value.len()).unwrap_or(0)]);
        block.extend(value.as_bytes());
    }
    block
}

/// The `i`th stream a client opens.
fn stream(i: usize) -> u32 {
    u32::try_from(i * 2 + 1).unwrap_or(u32::MAX >> 1)
}

/// A way of abuse: its name, what is sent first, and the frames of step `i`.
struct Abuse {
    name: &'static str,
    first: fn() -> Vec<u8>,
    step: fn(usize) -> Vec<u8>,
    /// Frames in a step.
    frames: usize,
}

/// The nine.
const ABUSES: [Abuse; 9] = [
    Abuse {
        name: "rapid reset",
        first: Vec::new,
        step: |i| {
            let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream(i), &block(false));
            bytes.extend(frame(RST_STREAM, 0, stream(i), &8u32.to_be_bytes()));
            bytes
        },
        frames: 2,
    },
    Abuse {
        name: "continuation",
        first: || frame(HEADERS, END_STREAM, 1, &block(false)),
        step: |_| frame(CONTINUATION, 0, 1, b"\x00\x03x-a\x0212"),
        frames: 1,
    },
    Abuse { name: "settings", first: Vec::new, step: |_| frame(SETTINGS, 0, 0, &[]), frames: 1 },
    Abuse { name: "ping", first: Vec::new, step: |_| frame(PING, 0, 0, &[0; 8]), frames: 1 },
    Abuse {
        name: "priority",
        first: Vec::new,
        step: |i| frame(PRIORITY, 0, stream(i), &[0, 0, 0, 0, 16]),
        frames: 1,
    },
    Abuse {
        name: "empty data",
        first: || frame(HEADERS, END_HEADERS, 1, &block(true)),
        step: |_| frame(DATA, 0, 1, &[]),
        frames: 1,
    },
    Abuse {
        name: "made you reset",
        first: Vec::new,
        step: |i| {
            let mut bytes = frame(HEADERS, END_HEADERS, stream(i), &block(true));
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(i), &0u32.to_be_bytes()));
            bytes
        },
        frames: 2,
    },
    Abuse {
        name: "window update",
        first: Vec::new,
        step: |_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
        frames: 1,
    },
    Abuse {
        name: "header bomb",
        first: Vec::new,
        step: |i| {
            // One entry of 3,000 bytes into the dynamic table, then a thousand references to it in each block.
            let mut block = block(false);
            if i == 0 {
                block.extend(b"\x40\x03x-b\x7f");
                block.extend([0xb9, 0x16]); // 127 + 2,873 in seven-bit groups
                block.extend(std::iter::repeat_n(b'b', 3_000));
            }
            block.extend(std::iter::repeat_n(0xbe, 1_000));
            frame(HEADERS, END_HEADERS | END_STREAM, stream(i), &block)
        },
        frames: 1,
    },
];

/// How the gateway ended an abuse.
#[derive(Debug)]
struct Ended {
    n_frames: usize,
    elapsed: Duration,
    /// The error code of GOAWAY; `None` for a connection that was closed without.
    goaway: Option<u32>,
    is_ended: bool,
}

/// Sends the abuse until the gateway says GOAWAY, closes, or all frames were taken.
async fn abuse(house: &House, abuse: &Abuse) -> Result<Ended> {
    let stream = house.door.connect(HOME, b"h2").await?;
    let (reader, mut writer) = tokio::io::split(stream);
    let start = Instant::now();
    let mut first = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    first.extend(frame(SETTINGS, 0, 0, &[]));
    first.extend((abuse.first)());
    let said = tokio::spawn(listen(reader));
    let mut n_frames = 0;
    let mut is_taken = writer.write_all(&first).await.is_ok();
    let mut i = 0;
    while is_taken && n_frames < FRAMES && !said.is_finished() {
        let mut batch = Vec::new();
        for _ in 0..BATCH / abuse.frames {
            batch.extend((abuse.step)(i));
            i += 1;
            n_frames += abuse.frames;
        }
        is_taken = push(&mut writer, &batch).await;
        // Lets the listener run, so that frames are counted when the gateway ends it and not much later.
        tokio::task::yield_now().await;
    }
    // What was sent is on its way; a gateway that minds says so now.
    let outcome = timeout(TIME_MAX + STALL_MAX, said).await;
    let elapsed = start.elapsed();
    let goaway = outcome.as_ref().ok().and_then(|said| said.as_ref().ok().copied()).flatten();
    Ok(Ended { n_frames, elapsed, goaway, is_ended: outcome.is_ok() })
}

async fn push(writer: &mut WriteHalf<Stream>, bytes: &[u8]) -> bool {
    let push = async { writer.write_all(bytes).await.is_ok() && writer.flush().await.is_ok() };
    timeout(STALL_MAX, push).await.unwrap_or(false)
}

/// Reads frames until GOAWAY with an error, whose code it returns, or the end of the connection.
async fn listen(mut reader: ReadHalf<Stream>) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        reader.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).await.ok()?;
        if head[3] == GOAWAY && length >= 8 {
            let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
            // A graceful one (0) is followed by the end of the connection or by nothing at all.
            if code != 0 {
                return Some(code);
            }
        }
        // Nothing is acknowledged: an attacker does not care.
        let _is_ack = head[3] == SETTINGS && head[4] & ACK != 0;
    }
}

/// How much of the criterion counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How the connection ends and how others fare; not processor time, which a build without optimisation inflates.
    Behaviour,
    /// Everything.
    Everything,
}

/// The nine by name.
pub fn names() -> impl Iterator<Item = &'static str> {
    ABUSES.iter().map(|abuse| abuse.name)
}

/// Runs those of the nine whose name is wanted.
///
/// # Errors
/// When the gateway cannot be reached.
pub async fn run(house: &House, measure: Measure, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>> {
    let key = house.key("http2")?;
    let transport = if house.door.is_tls() { "TLS" } else { "plain" };
    let mut rows = Vec::new();
    for way in ABUSES.iter().filter(|abuse| is_wanted(abuse.name)) {
        let honest = Honest::start(house.door.clone(), key.clone());
        let idle = process::cpu_time(house.pid())?;
        let ended = abuse(house, way).await;
        let cpu = process::cpu_time(house.pid())?.saturating_sub(idle);
        let fared = honest.fared().await;
        let name = format!("HTTP/2 {} ({transport})", way.name);
        let criterion = "ended before 2,000 frames or within 1 s, under 50 ms CPU, others unaffected";
        let row = match ended {
            // A door that closes before or during the preface speaks no HTTP/2 here.
            Ok(ended) => {
                let is_soon = ended.n_frames <= FRAMES_MAX || ended.elapsed <= TIME_MAX;
                let how = match (ended.is_ended, ended.goaway) {
                    (false, _) => "not ended".to_owned(),
                    (true, Some(code)) => format!("GOAWAY({code})"),
                    (true, None) => "closed".to_owned(),
                };
                Row::new(
                    &name,
                    criterion,
                    format!(
                        "{how} after {} frames sent and {:.0} ms, {} ms CPU with the honest client's; {}",
                        ended.n_frames,
                        ended.elapsed.as_secs_f64() * 1e3,
                        cpu.as_millis(),
                        fared.text()
                    ),
                    ended.is_ended
                        && is_soon
                        && (measure == Measure::Behaviour || cpu <= CPU_MAX)
                        && fared.is_well(),
                )
            }
            Err(error) => Row::broken(&name, criterion, &error),
        };
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_framed() {
        assert_eq!(frame(PING, ACK, 0, &[7; 8])[..9], [0, 0, 8, 6, 1, 0, 0, 0, 0]);
        assert_eq!(frame(HEADERS, 0, 3, &[])[5..], [0, 0, 0, 3]);
    }
}
