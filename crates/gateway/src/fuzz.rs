//! Doors for the fuzz targets to parsers that are private otherwise. Exists only when built for fuzzing.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use admission::Ja4;
use auth::{
    Refusal,
    authority::{OrderIntent, OrderKind},
};
use domain::{AccountId, ApiKeyId, UnixNanos, WithdrawalRequest};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::{
    hello::Hello,
    http1::{answer, body::Step, head},
    http2,
    pipeline::{self, orders, withdrawal},
    proxy_protocol, strict, websocket,
};

/// Length of the request head that `bytes` start with and of the body it announces; `None` while it is incomplete.
///
/// # Errors
/// The reason why it is refused.
pub fn head(bytes: &[u8]) -> Result<Option<(usize, u64)>, &'static str> {
    let head = head::parse(bytes).map_err(|violation| violation.label())?;
    Ok(head.map(|head| (head.head_bytes, head.body_bytes)))
}

/// A web socket message as the gateway reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The operation.
    pub op: &'static str,
    /// The request's id.
    pub id: Option<String>,
    /// The arguments, as they stand.
    pub args: Vec<String>,
    /// Key and time of a login.
    pub login: Option<(String, String)>,
    /// The same message as the gateway would write it for some of its arguments, here all of them.
    pub written: String,
}

/// Reads a web socket message.
///
/// # Errors
/// The code it is refused with.
pub fn websocket_message(text: &str) -> Result<Message, &'static str> {
    let request = websocket::Request::parse(text).map_err(|malformed| malformed.error.code)?;
    let login = match request.op.name() {
        "login" => Some(websocket::Credentials::read(&request.args).map_err(|error| error.code)?),
        _ => None,
    };
    Ok(Message {
        op: request.op.name(),
        written: websocket::with_args(request.op, request.id.as_deref(), &request.args),
        args: request.args.iter().map(|arg| arg.get().to_owned()).collect(),
        id: request.id,
        login: login.map(|login| (login.api_key, login.timestamp)),
    })
}

/// One answer as the client would get it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Fields that are passed on.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
    /// Whether the body has ended.
    pub ended: bool,
    /// Bytes that belong to the answer.
    pub taken: usize,
}

/// The answer that an upstream connection carries in pieces; `None` while its head is incomplete.
///
/// # Errors
/// What is wrong with it.
pub fn answer<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Answer>, String> {
    let mut stream = Vec::new();
    let mut read: Option<(Answer, crate::http1::body::Framing)> = None;
    for piece in pieces {
        stream.extend_from_slice(piece);
        if read.is_none() {
            let Some(head) = answer::parse(&stream).map_err(|error| error.to_string())? else { continue };
            let fields = head.fields(&stream).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            let taken = head.head_bytes;
            let begun = Answer { status: head.status, fields, body: Vec::new(), ended: false, taken };
            read = Some((begun, head.framing));
        }
        let Some((answer, framing)) = &mut read else { continue };
        while !answer.ended {
            let rest = stream.get(answer.taken..).unwrap_or_default();
            match framing.step(rest).map_err(|error| error.to_string())? {
                Step::Data(n) => {
                    answer.body.extend_from_slice(rest.get(..n).unwrap_or_default());
                    answer.taken += n;
                }
                Step::Skip(n) => answer.taken += n,
                Step::More => break,
                Step::End => answer.ended = true,
            }
        }
    }
    Ok(read.map(|(answer, _)| answer))
}

/// The address that a PROXY protocol header states, and the length of the header; `None` if it is none or incomplete.
#[must_use]
pub fn proxy_header(stream: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    let mut taken = 0;
    loop {
        match proxy_protocol::step(stream.get(..taken)?).ok()? {
            proxy_protocol::Step::Done(address) => return Some((address, taken)),
            proxy_protocol::Step::Read(n) => taken += n.max(1),
        }
    }
}

/// Whether every server finds the same resource under the path.
#[must_use]
pub fn is_canonical(path: &str) -> bool {
    strict::is_canonical(path)
}

/// What each order of a body counts by; `None` if it cannot be said.
#[must_use]
pub fn orders(body: &[u8]) -> Option<Vec<String>> {
    let orders = orders::read(body).ok()?;
    Some(orders.instruments.iter().map(|order| order.counted_by().to_owned()).collect())
}

/// Whether all orders of a body can only make positions smaller.
#[must_use]
pub fn reduce_only(body: &[u8]) -> bool {
    orders::read(body).is_ok_and(|orders| orders.reduce_only)
}

/// One order of a body as the bounds of a key see it.
///
/// # Errors
/// As the client would be told.
pub fn order_intent(kind: OrderKind, body: &[u8]) -> Result<OrderIntent, Refusal> {
    pipeline::authority::intent(kind, body)
}

/// Whether a request that arrives at `now` with this `expTime` may still take effect at `later`.
///
/// # Errors
/// As the client would be told.
pub fn exp_time(text: &str, now: UnixNanos, later: UnixNanos) -> Result<(), Refusal> {
    pipeline::Expiry::parse(text, now)?.check(later)
}

/// Whether a `GOAWAY` with an error is among frames that were sent in these pieces, and whether a frame may begin after
/// them.
#[must_use]
pub fn goaway<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (bool, bool) {
    let mut sent = http2::frames::Sent::default();
    let mut gave_up = false;
    for piece in pieces {
        gave_up |= sent.read(piece);
    }
    (gave_up, sent.goodbye().is_some())
}

/// What a client sends, in pieces, each of which is there at once; then its end.
#[derive(Debug)]
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = self.0.pop_front() else { return Poll::Ready(Ok(())) };
        let (now, later) = piece.split_at(piece.len().min(buf.remaining()));
        buf.put_slice(now);
        if !later.is_empty() {
            self.0.push_front(later);
        }
        Poll::Ready(Ok(()))
    }
}

/// The fingerprint of a client that sends these pieces, none of them empty, and all bytes that TLS then reads.
///
/// # Panics
/// If reading waits for anything or fails.
#[must_use]
pub fn hello(pieces: Vec<&[u8]>) -> (Option<Ja4>, Vec<u8>) {
    let reading = pin!(async {
        let mut stream = Pieces(pieces.into());
        let hello = Hello::read(&mut stream).await?;
        let ja4 = hello.ja4;
        let mut all = Vec::new();
        hello.replayed(stream).read_to_end(&mut all).await?;
        Ok::<_, io::Error>((ja4, all))
    });
    match reading.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(read)) => read,
        other => panic!("{other:?}"),
    }
}

/// The withdrawal a body asks for, from a fixed account, key, address and time.
///
/// # Errors
/// As the client would be told.
///
/// # Panics
/// Never: the fixed names are valid.
pub fn withdrawal(body: &[u8]) -> Result<WithdrawalRequest, Refusal> {
    let origin = withdrawal::Origin {
        account: &AccountId::parse("alice").expect("a valid account id"),
        api_key: &ApiKeyId::parse("key-1").expect("a valid key id"),
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ja4: None,
        at: UnixNanos(7),
    };
    withdrawal::parse(body, origin)
}
