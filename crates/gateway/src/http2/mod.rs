//! HTTP/2 for clients: hyper speaks the protocol, the pipeline sees an HTTP/1.1 head.
//!
//! A request's fields are written as the head that [`crate::http1::head`] judges, so nothing can pass here that
//! would not pass there. HTTP/2 is never spoken to the exchange.
//!
//! Bounds: [`STREAMS_MAX`] requests at a time, resets, header list, bytes of answers buffered per stream.

pub(crate) mod frames;
mod guard;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use admission::FrameBudget;
use auth::Refusal;
use bytes::{Bytes, BytesMut};
use domain::UnixNanos;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use hyper::{
    body::{Body as HyperBody, Frame, Incoming, SizeHint},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until, timeout_at},
};

use self::guard::{Active, Activity, Clocks, Guarded, Watch};
use crate::{
    answer::{DECISION, RATE_LIMIT, RATE_LIMIT_POLICY, Refused, Reply},
    buffer::Buffer,
    connection::InFlight,
    http1::{
        body::{Framing, Step},
        head::{self, HEAD_BYTES_MAX},
    },
    pace::Resets,
    peer::Peer,
    pipeline::{Admitted, Answered, Body, Own, Relayed, Shared, Stopped, Unreadable, due, push_field},
    upstream::{AnswerBody, BodyError},
};

/// Concurrent requests of a connection.
const STREAMS_MAX: u32 = 100;
/// Streams the peer may reset before they were accepted, and streams we had to reset, before the connection is closed.
const RESETS_MAX: usize = 100;
/// Bytes of answers buffered per stream.
const SEND_BYTES_MAX: usize = 64 << 10;
/// Silence after which a peer with requests in flight is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(20);
/// How long it may take to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection whose requests make no progress for one to two of these is closed: the peer keeps its windows shut.
const STUCK_CHECK: Duration = Duration::from_secs(60);

/// Serves a connection to its end, or through what is under way when the gateway stops.
pub(crate) async fn serve<S>(shared: Arc<Shared>, peer: Arc<Peer>, stream: S, opened: Instant)
where
    S: AsyncRead + AsyncWrite + Resets + Unpin + Send + 'static,
{
    peer.line.says_goodbye();
    let activity = Arc::new(Activity::default());
    let timeouts = shared.timeouts;
    let mut stopping = shared.stopping.clone();
    let stop = async move {
        // An error means the gateway is gone, which is also an end.
        drop(stopping.wait_for(|stop| *stop).await);
    };
    let clocks = Clocks { head: timeouts.head, idle: timeouts.idle, write_stall: timeouts.write_stall };
    let budget = FrameBudget::new(Arc::clone(&shared.frames));
    let watch = Watch::new(budget, Arc::clone(&shared.clock), Arc::clone(&activity));
    let stream = Guarded::new(stream, clocks, watch, opened);
    let progress = Arc::clone(&activity);
    let (ours, at) = (Arc::clone(&shared), Arc::clone(&peer));
    let service =
        service_fn(move |request| answer(Arc::clone(&ours), Arc::clone(&at), activity.begin(), request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stop = pin!(stop);
    let mut check = pin!(sleep_until(Instant::now() + STUCK_CHECK));
    let (mut stopped, mut last) = (false, None);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                if let Some(label) = progress.fault() {
                    shared.note_abuse(&peer, label);
                }
                return;
            }
            () = &mut stop, if !stopped => {
                stopped = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut check => {
                let now = progress.is_active().then(|| progress.progress());
                if now.is_some() && now == last {
                    return;
                }
                last = now;
                check.as_mut().reset(Instant::now() + STUCK_CHECK);
            }
        }
    }
}

async fn answer(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    active: Active,
    request: Request<Incoming>,
) -> Result<Response<Tracked>, BodyError> {
    let now = shared.clock.now();
    let gone = |_| BodyError::Broken(std::io::ErrorKind::ConnectionAborted.into());
    let mut in_flight = peer.line.begin(now).map_err(gone)?;
    let response = match pass(&shared, &peer, request, &mut in_flight, now).await {
        Ok(response) => response,
        Err(Stopped::Refused(refused)) => {
            shared.note_refusal(&peer, &refused, &in_flight, now);
            refusal(&refused)
        }
        Err(Stopped::Ended) => return Err(gone(crate::connection::Ended)),
    };
    Ok(response.map(|payload| Tracked { payload, active, _in_flight: in_flight }))
}

async fn pass(
    shared: &Arc<Shared>,
    peer: &Peer,
    request: Request<Incoming>,
    in_flight: &mut InFlight,
    now: UnixNanos,
) -> Result<Response<Payload>, Stopped> {
    let (parts, incoming) = request.into_parts();
    let mut text = Buffer::default();
    push_head(text.writer(), &parts);
    let mut body = Content { incoming, first: Bytes::new(), rest: BytesMut::new() };
    let admitted = match head::parse(text.unread()) {
        Ok(Some(head)) => shared.admit(peer, head.view(text.unread()), &mut body, in_flight, now).await?,
        // A whole head was written, so whatever leaves its end open is wrong with a field.
        Ok(None) => return Err(Stopped::Refused(crate::strict::Violation::HeaderField.into())),
        Err(violation) => {
            shared.charge_source(peer, now)?;
            return Err(Stopped::Refused(violation.into()));
        }
    };
    drop((text, body));
    match admitted {
        Admitted::Forward(passage) => {
            let answered = shared.forward(passage).await?;
            in_flight.served();
            Ok(match answered {
                Answered::Passed(passed) => passed_on(passed),
                Answered::Whole(reply) => whole(reply),
            })
        }
        Admitted::Reply(reply) => {
            in_flight.served();
            Ok(whole(reply))
        }
        Admitted::Own(own) => {
            in_flight.refused();
            Ok(said(own))
        }
        Admitted::Upgrade(_) => Err(Stopped::Refused(Refusal::EndpointUnavailable.into())),
    }
}

/// Writes the head of a request as HTTP/1.1 has it. An authority beside a `Host` stays in the target, where it is
/// compared; without one it is the `Host`.
fn push_head(out: &mut Vec<u8>, parts: &Parts) {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let names_host = parts.headers.contains_key(header::HOST);
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.push(b' ');
    if let (true, Some(authority)) = (names_host, authority) {
        out.extend_from_slice(b"https://");
        out.extend_from_slice(authority.as_bytes());
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if let (false, Some(authority)) = (names_host, authority) {
        push_field(out, b"host", authority.as_bytes());
    }
    for (name, value) in &parts.headers {
        push_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

fn said(own: Own) -> Response<Payload> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(own.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in own.fields() {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response.map(|()| Payload::Whole(Some(Bytes::from(own.body.into_owned()))))
}

fn refusal(refused: &Refused) -> Response<Payload> {
    let mut response = Response::new(Payload::Whole(Some(Bytes::from(refused.body()))));
    *response.status_mut() =
        StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in refused.fields() {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn whole(reply: Reply) -> Response<Payload> {
    let mut response = Response::new(Payload::Whole(Some(Bytes::from(reply.body))));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in reply.fields {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&name), HeaderValue::from_bytes(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn passed_on(answered: Relayed) -> Response<Payload> {
    let Relayed { answer, decision, standing } = answered;
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(answer.head.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    for (name, value) in answer.fields() {
        // Both were judged when they were read.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    if let Framing::Length(length) = answer.head.framing {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(decision) = decision.and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(HeaderName::from_static(DECISION), decision);
    }
    if let Some(standing) = standing {
        let (policy, left) =
            (HeaderValue::from_str(standing.policy()), HeaderValue::try_from(standing.left()));
        for (name, value) in [(RATE_LIMIT_POLICY, policy.ok()), (RATE_LIMIT, left.ok())] {
            if let Some(value) = value {
                headers.append(HeaderName::from_static(name), value);
            }
        }
    }
    let is_over = answer.head.framing == Framing::Empty;
    let mut body = answer.into_body();
    if is_over {
        // Nobody may ask for the end of a body that is none: the connection is given back here.
        drop(body.step());
    }
    response.map(|()| Payload::Upstream(body, is_over))
}

/// The body of an answer.
#[derive(Debug)]
enum Payload {
    Whole(Option<Bytes>),
    /// With whether it is over.
    Upstream(AnswerBody, bool),
}

/// A body that keeps its request counted as under way until it is handed over or given up.
#[derive(Debug)]
struct Tracked {
    payload: Payload,
    active: Active,
    _in_flight: InFlight,
}

impl HyperBody for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.active.advance();
        let (body, is_over) = match &mut self.payload {
            Payload::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Payload::Upstream(body, is_over) => (body, is_over),
        };
        while !*is_over {
            match body.step() {
                Ok(Step::Data(n)) => {
                    let data = Bytes::copy_from_slice(body.unread().get(..n).unwrap_or_default());
                    body.consume(n);
                    // With a known length nobody may ask for the end.
                    *is_over = matches!(body.step(), Ok(Step::End));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Step::End) => *is_over = true,
                Ok(Step::More | Step::Skip(_)) => {
                    if let Err(error) = std::task::ready!(body.poll_fill(cx)) {
                        *is_over = true;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Err(error) => {
                    *is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        match &self.payload {
            Payload::Whole(bytes) => bytes.is_none(),
            Payload::Upstream(_, is_over) => *is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.payload {
            Payload::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Payload::Upstream(_, true) => SizeHint::with_exact(0),
            Payload::Upstream(body, false) => {
                body.bytes_left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
        }
    }
}

/// The body of a request.
struct Content {
    incoming: Incoming,
    first: Bytes,
    rest: BytesMut,
}

impl Body for Content {
    const CAN_UPGRADE: bool = false;

    fn is_empty(&self) -> bool {
        self.incoming.is_end_stream() && self.bytes().is_empty()
    }

    fn is_here(&self) -> bool {
        self.incoming.is_end_stream()
    }

    async fn read(&mut self, bytes_max: usize, total: Duration) -> Result<(), Unreadable> {
        // A declared length beyond the bound is refused before a byte is read.
        if self.incoming.size_hint().lower() > bytes_max as u64 {
            return Err(Unreadable::TooLarge);
        }
        let Self { incoming, first, rest } = self;
        let mut start = None;
        let mut received = 0;
        while !incoming.is_end_stream() {
            // A frame that is already there needs no timer.
            let ready = poll_fn(|cx| Poll::Ready(Pin::new(&mut *incoming).poll_frame(cx))).await;
            let frame = match ready {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    let start = *start.get_or_insert_with(Instant::now);
                    let next = poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx));
                    timeout_at(start + due(received, total), next).await.map_err(|_| Unreadable::TooSlow)?
                }
            };
            let Some(frame) = frame else { break };
            let Ok(data) = frame.map_err(|_| Unreadable::Broken)?.into_data() else { continue };
            received += data.len();
            if received > bytes_max {
                return Err(Unreadable::TooLarge);
            }
            // Nearly every body is one frame, which is then not copied.
            if first.is_empty() {
                *first = data;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(first);
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }
}
