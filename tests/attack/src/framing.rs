//! Requests that two servers could frame differently: each must be refused, and the exchange must never see more than
//! one request for one sent (RFC 9112, sections 2, 3, 6, 7 and 11).
//!
//! Every case is an otherwise valid, freshly signed order, so that a refusal is about its framing; a control case
//! proves that the plain order passes. What follows on the connection is a second, signed request that must not
//! surface under a case that swallows or splits it.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::client::{Answer, Answers};
use crate::house::House;
use crate::report::Row;
use crate::signing::{Key, get};
use crate::upstream::Upstream;

const ORDER: &str = "/api/v5/trade/order";
const BALANCE: &str = "/api/v5/account/balance";
const BODY: &str =
    r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"1","sz":"1"}"#;
/// Where the corpus comes from.
const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A gateway that has said nothing for so long is waiting for more.
const SILENCE: Duration = Duration::from_secs(1);

/// A case: its name, and its bytes given the key.
struct Case {
    name: &'static str,
    bytes: fn(&Key) -> Vec<u8>,
}

/// An order whose request line, extra header lines and body are given; the extra lines include the framing.
fn order(key: &Key, line: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let signed = key.lines("POST", ORDER, BODY);
    let mut bytes =
        format!("{line}\r\nHost: localhost\r\n{signed}Content-Type: application/json\r\n{extra}\r\n")
            .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The order with the usual request line.
fn framed(key: &Key, extra: &str, body: &str) -> Vec<u8> {
    order(key, &format!("POST {ORDER} HTTP/1.1"), extra, body.as_bytes())
}

/// The order with its right length, plus `extra` lines.
fn lengthy(key: &Key, extra: &str) -> Vec<u8> {
    framed(key, &format!("Content-Length: {}\r\n{extra}", BODY.len()), BODY)
}

/// The body in one chunk.
fn chunked(size: &str, end: &str) -> String {
    format!("{size}\r\n{BODY}\r\n0{end}")
}

/// The chunk size of the whole body.
fn size() -> String {
    format!("{:x}", BODY.len())
}

/// The order with another request target, signed for that target.
fn targeted(key: &Key, target: &str) -> Vec<u8> {
    let signed = key.lines("GET", target, "");
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{signed}\r\n").into_bytes()
}

/// The request behind or inside a case: what a smuggler hides. It asks for the connection to be closed.
fn hidden(key: &Key) -> String {
    get(key, BALANCE).replace("Host: localhost\r\n", "Host: localhost\r\nConnection: close\r\n")
}

/// A head with all line ends replaced.
fn with_line_ends(bytes: Vec<u8>, end: &str) -> Vec<u8> {
    String::from_utf8_lossy(&bytes).replace("\r\n", end).into_bytes()
}

macro_rules! cases {
    ($($name:literal => $bytes:expr),* $(,)?) => { &[$(Case { name: $name, bytes: $bytes }),*] };
}

/// Requests whose end two servers could see in different places; nothing on the connection may be believed after one.
const FRAMINGS: &[Case] = cases! {
    // Length and chunks together, or twice.
    "length and chunks" => |k| framed(k, &format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", BODY.len()), &chunked(&size(), "\r\n\r\n")),
    "chunks and length" => |k| framed(k, &format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", BODY.len()), &chunked(&size(), "\r\n\r\n")),
    "length hides a request behind chunks" => |k| framed(k, "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("0\r\n\r\n{}", hidden(k))),
    "two equal lengths" => |k| lengthy(k, &format!("Content-Length: {}\r\n", BODY.len())),
    "two different lengths" => |k| lengthy(k, "Content-Length: 4\r\n"),
    "two lengths in one line" => |k| framed(k, &format!("Content-Length: {0}, {0}\r\n", BODY.len()), BODY),
    "two encodings" => |k| framed(k, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &chunked(&size(), "\r\n\r\n")),
    "chunked twice" => |k| framed(k, "Transfer-Encoding: chunked, chunked\r\n", &chunked(&size(), "\r\n\r\n")),
    "identity and chunked" => |k| framed(k, "Transfer-Encoding: identity, chunked\r\n", &chunked(&size(), "\r\n\r\n")),
    "chunked, then gzip" => |k| framed(k, "Transfer-Encoding: chunked, gzip\r\n", &chunked(&size(), "\r\n\r\n")),
    "gzip alone" => |k| framed(k, "Transfer-Encoding: gzip\r\n", BODY),
    "unknown encoding" => |k| framed(k, "Transfer-Encoding: xchunked\r\n", &chunked(&size(), "\r\n\r\n")),
    "quoted encoding" => |k| framed(k, "Transfer-Encoding: \"chunked\"\r\n", &chunked(&size(), "\r\n\r\n")),
    "encoding with a vertical tab" => |k| framed(k, "Transfer-Encoding: \x0bchunked\r\n", &chunked(&size(), "\r\n\r\n")),
    "encoding name with a space" => |k| framed(k, &format!("Content-Length: {}\r\nTransfer-Encoding : chunked\r\n", BODY.len()), BODY),
    "encoding name with a tab" => |k| framed(k, &format!("Content-Length: {}\r\nTransfer-Encoding\t: chunked\r\n", BODY.len()), BODY),
    "encoding in a folded line" => |k| framed(k, &format!("Content-Length: {}\r\nTransfer-Encoding:\r\n chunked\r\n", BODY.len()), BODY),
    "chunked in HTTP/1.0" => |k| order(k, &format!("POST {ORDER} HTTP/1.0"), "Transfer-Encoding: chunked\r\n", chunked(&size(), "\r\n\r\n").as_bytes()),
    // Lengths that are no numbers, or not the ones they seem.
    "signed length" => |k| framed(k, &format!("Content-Length: +{}\r\n", BODY.len()), BODY),
    "negative length" => |k| framed(k, "Content-Length: -1\r\n", BODY),
    "hexadecimal length" => |k| framed(k, &format!("Content-Length: 0x{:x}\r\n", BODY.len()), BODY),
    "length with a space inside" => |k| framed(k, "Content-Length: 8 7\r\n", BODY),
    "length beyond all numbers" => |k| framed(k, "Content-Length: 18446744073709551617\r\n", BODY),
    "empty length" => |k| framed(k, "Content-Length:\r\n", BODY),
    "length with a fraction" => |k| framed(k, "Content-Length: 87.0\r\n", BODY),
    // Chunks that are read in two ways.
    "chunk size with a sign" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&format!("+{}", size()), "\r\n\r\n")),
    "chunk size in 0x form" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&format!("0x{}", size()), "\r\n\r\n")),
    "chunk size beyond all numbers" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&format!("1000000000000000000{}", size()), "\r\n\r\n")),
    "chunk size with a space before" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&format!(" {}", size()), "\r\n\r\n")),
    "chunk line ended by a line feed" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &format!("{}\n{BODY}\r\n0\r\n\r\n", size())),
    "chunk extension with a line feed" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&format!("{};a\nb", size()), "\r\n\r\n")),
    "chunk without its line end" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &format!("{}\r\n{BODY}0\r\n\r\n", size())),
    "chunk longer than its size" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &format!("5\r\n{BODY}\r\n0\r\n\r\n")),
    "trailer with a length" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&size(), "\r\nContent-Length: 5\r\n\r\n")),
    "trailer with a key" => |k| framed(k, "Transfer-Encoding: chunked\r\n", &chunked(&size(), "\r\nOK-ACCESS-KEY: x\r\n\r\n")),
    // Lines.
    "line feeds alone" => |k| with_line_ends(lengthy(k, ""), "\n"),
    "one line feed alone" => |k| framed(k, &format!("X-A: 1\nX-B: 2\r\nContent-Length: {}\r\n", BODY.len()), BODY),
    "carriage return inside a value" => |k| lengthy(k, "X-A: 1\rX-B: 2\r\n"),
    "zero byte inside a value" => |k| lengthy(k, "X-A: 1\x002\r\n"),
    "folded line" => |k| lengthy(k, "X-A: 1\r\n 2\r\n"),
    "line without a colon" => |k| lengthy(k, "X-A\r\n"),
    "empty name" => |k| lengthy(k, ": 1\r\n"),
    "name with a space" => |k| lengthy(k, "X A: 1\r\n"),
    "space before the first header" => |k| order(k, &format!("POST {ORDER} HTTP/1.1\r\n X-A: 1"), &format!("Content-Length: {}\r\n", BODY.len()), BODY.as_bytes()),
    // Request lines.
    "two spaces in the request line" => |k| order(k, &format!("POST  {ORDER} HTTP/1.1"), &format!("Content-Length: {}\r\n", BODY.len()), BODY.as_bytes()),
    "tab in the request line" => |k| order(k, &format!("POST\t{ORDER} HTTP/1.1"), &format!("Content-Length: {}\r\n", BODY.len()), BODY.as_bytes()),
    "version 1.2" => |k| order(k, &format!("POST {ORDER} HTTP/1.2"), &format!("Content-Length: {}\r\n", BODY.len()), BODY.as_bytes()),
    "no version" => |k| order(k, &format!("POST {ORDER}"), &format!("Content-Length: {}\r\n", BODY.len()), BODY.as_bytes()),
};

/// Requests with one framing whose meaning two servers could take differently; what follows may be served.
const MEANINGS: &[Case] = cases! {
    // Hosts and paths.
    "second host" => |k| lengthy(k, "Host: other\r\n"),
    "another host in the target" => |k| order(k, &format!("POST http://other{ORDER} HTTP/1.1"), &format!("Content-Length: {}\r\n", BODY.len()), BODY.as_bytes()),
    "fragment" => |k| targeted(k, "/api/v5/account/balance#x"),
    "dot segments" => |k| targeted(k, "/api/v5/public/../account/balance"),
    "encoded dot segments" => |k| targeted(k, "/api/v5/public/%2e%2e/account/balance"),
    "encoded slash" => |k| targeted(k, "/api/v5%2faccount/balance"),
    "double slash" => |k| targeted(k, "/api/v5//account/balance"),
    // Who is asking.
    "second key" => |k| lengthy(k, "OK-ACCESS-KEY: other\r\n"),
    "second signature" => |k| lengthy(k, "ok-access-sign: other\r\n"),
    "key dropped by the connection" => |k| lengthy(k, "Connection: OK-ACCESS-KEY\r\n"),
    "upgrade to HTTP/2" => |k| lengthy(k, "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
    "another expectation" => |k| lengthy(k, "Expect: 200-ok\r\n"),
};

/// How many cases there are.
pub const N_CASES: usize = FRAMINGS.len() + MEANINGS.len();

/// Sends bytes on a connection of their own and reads answers until the gateway closes or has nothing more to say.
async fn exchange(house: &House, bytes: &[u8]) -> Result<Vec<Answer>> {
    let mut stream = house.door.connect(HOME, b"http/1.1").await?;
    // A gateway that has refused may close while the rest is still on its way.
    drop(stream.write_all(bytes).await);
    let mut answers = Answers::default();
    let mut all = Vec::new();
    while let Ok(Ok(Some(answer))) = timeout(SILENCE, answers.next(&mut stream)).await {
        all.push(answer);
    }
    Ok(all)
}

/// Runs the corpus.
///
/// # Errors
/// When the control case fails, because then the corpus says nothing.
pub async fn run(house: &House, upstream: &Upstream) -> Result<Vec<Row>> {
    let key = house.key("framing")?;
    let control = exchange(house, &lengthy(&key, "Connection: close\r\n")).await?;
    let seen = upstream.take();
    ensure!(
        control.len() == 1 && control[0].status == 200 && seen.n_requests == 1,
        "the plain order did not pass: {control:?}, {} at the exchange",
        seen.n_requests
    );
    let mut passed = Vec::new();
    let mut split = Vec::new();
    for (case, may_follow) in
        FRAMINGS.iter().map(|case| (case, false)).chain(MEANINGS.iter().map(|case| (case, true)))
    {
        let mut bytes = (case.bytes)(&key);
        bytes.extend_from_slice(hidden(&key).as_bytes());
        let answers = exchange(house, &bytes).await?;
        let seen = upstream.take();
        // The first answer is about the case; no answer at all is a refusal by closing. The signature is right, so a
        // 401 would be no refusal of the framing, unless it says that a header is there twice (50114).
        let is_refused = answers
            .first()
            .is_none_or(|answer| answer.status >= 400 && (answer.status != 401 || answer.code == "50114"));
        let n_orders = seen.heads.iter().filter(|head| head.starts_with("POST")).count();
        if !is_refused || n_orders > 0 {
            passed.push(format!("{} ({answers:?}, {n_orders} orders upstream)", case.name));
        }
        if seen.n_requests > usize::from(may_follow) {
            split.push(format!("{} ({} upstream)", case.name, seen.n_requests));
        }
    }
    let spoofed = lengthy(&key, "x-caponier-account: other\r\nX-Caponier-Account: other\r\n");
    exchange(house, &[spoofed, hidden(&key).into_bytes()].concat()).await?;
    let seen = upstream.take();
    let n_spoofed =
        seen.heads.iter().filter(|head| head.to_ascii_lowercase().contains("account: other")).count();
    let listed =
        |list: &[String]| if list.is_empty() { String::new() } else { format!(": {}", list.join("; ")) };
    Ok(vec![
        Row::new(
            "ambiguous requests",
            &format!("all {N_CASES} cases refused, none reaches the exchange"),
            format!("{} refused{}", N_CASES - passed.len(), listed(&passed)),
            passed.is_empty(),
        ),
        Row::new(
            "request smuggling",
            "the exchange sees nothing that follows an ambiguous end, and never two requests for one",
            format!("{} cases where it does{}", split.len(), listed(&split)),
            split.is_empty(),
        ),
        Row::new(
            "account from outside",
            "an account the client names never reaches the exchange",
            format!("{n_spoofed} of {} requests", seen.n_requests),
            n_spoofed == 0,
        ),
    ])
}
