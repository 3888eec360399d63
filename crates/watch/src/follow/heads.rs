//! New heads as a node announces them over a WebSocket (`eth_subscribe`, `newHeads`).
//!
//! Announcements only make following faster: they say *when* to look, and at which head. A connection that is lost loses
//! announcements silently, so every new subscription makes the follower ask for the head itself, and it does so at every
//! tick of its poll anyway.
//!
//! Bounds: messages of [`MESSAGE_BYTES_MAX`]; a connection that is silent for [`QUIET_MAX`] is pinged, and given up when it
//! stays silent for as long again.

use std::{sync::Arc, time::Duration};

use chain::headers::Header;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

use super::{
    evm::wire_header,
    rpc::{Dial, Endpoint},
    run::{Backoff, Timer},
    status::StatusCell,
};

/// Longest message: a header takes some 2 KiB.
const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Silence after which the other side is asked whether it is there.
const QUIET_MAX: Duration = Duration::from_secs(20);
/// Longest time to connect and subscribe.
const SUBSCRIBE_MAX: Duration = Duration::from_secs(10);
/// Longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Notice<'a> {
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<NoticeParams<'a>>,
}

#[derive(Deserialize)]
struct NoticeParams<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Subscribed<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

/// Announces heads to a follower until `stop` becomes true. `None` means: look for yourself.
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
        status.write(|status| {
            *status.errors.entry("subscription_lost").or_default() += 1;
        });
        tracing::debug!(node = %endpoint, reason = ended, "subscription to heads ended");
        tokio::select! {
            () = timer.sleep(backoff.wait()) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One connection, to its end; why it ended.
async fn subscription(
    endpoint: &Endpoint,
    dial: &Arc<dyn Dial>,
    status: &StatusCell,
    heads: &watch::Sender<Option<Header>>,
    backoff: &mut Backoff,
) -> String {
    let connected = async {
        let stream = dial.dial(endpoint).await.map_err(|error| error.to_string())?;
        let scheme = if endpoint.tls { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}", endpoint.authority(), endpoint.path());
        let mut request = url.into_client_request().map_err(|error| error.to_string())?;
        if let Some(authorization) = endpoint.authorization() {
            let value = HeaderValue::from_str(authorization).map_err(|error| error.to_string())?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let (mut socket, _) = client_async_with_config(request, stream, Some(config))
            .await
            .map_err(|error| error.to_string())?;
        let question = r#"{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}"#;
        socket.send(Message::text(question)).await.map_err(|error| error.to_string())?;
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let reply: Subscribed<'_> =
                        serde_json::from_str(text.as_str()).map_err(|error| error.to_string())?;
                    if reply.result.is_none() {
                        return Err("the node does not announce heads".to_owned());
                    }
                    return Ok(socket);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string()),
                None => return Err("closed".to_owned()),
            }
        }
    };
    let mut socket = match tokio::time::timeout(SUBSCRIBE_MAX, connected).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(reason)) => return reason,
        Err(_) => return "no subscription in time".to_owned(),
    };
    backoff.reset();
    status.write(|status| status.subscriptions += 1);
    // What was announced while there was no subscription, nobody will repeat.
    heads.send_replace(None);
    let mut pinged = false;
    loop {
        let message = match tokio::time::timeout(QUIET_MAX, socket.next()).await {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return error.to_string(),
            Ok(None) => return "closed".to_owned(),
            Err(_) if pinged => return "silent".to_owned(),
            Err(_) => {
                pinged = true;
                if let Err(error) = socket.send(Message::Ping(Default::default())).await {
                    return error.to_string();
                }
                continue;
            }
        };
        pinged = false;
        let Message::Text(text) = message else { continue };
        let head = match serde_json::from_str::<Notice<'_>>(text.as_str()) {
            Ok(Notice { method: Some("eth_subscription"), params: Some(params) }) => {
                wire_header(params.result.get())
            }
            Ok(_) => continue,
            Err(error) => Err(error.to_string()),
        };
        match head {
            Ok(head) => heads.send_replace(Some(head)),
            // Somebody who writes such heads may still be asked for them.
            Err(reason) => return format!("an announcement that is none: {reason}"),
        };
    }
}
