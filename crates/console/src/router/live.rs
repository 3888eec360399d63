//! The page that keeps up by itself.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, Sse},
    },
    routing::get,
};
use futures_util::stream;
use identity::Capability;
use tokio::time::interval;

use super::{Console, see_other, sessions};
use crate::{
    headers::{Nonce, secure},
    pages::{self, live},
};

/// Between two states of a live page.
const TICK: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console", get(live_page)).route("/console/live", get(live_stream))
}

async fn live_page(State(console): State<Console>, headers: HeaderMap) -> Response {
    // Where everybody arrives who signs in; those who develop for one account have one page.
    if console.viewer(&headers).is_some_and(|viewer| viewer.account.is_some()) {
        return see_other(pages::OWN.path);
    }
    match console.admit(&pages::LIVE, &headers) {
        Err(response) => *response,
        Ok(mut visit) => {
            let seen = console.0.ports.sight.live();
            // Within the part that keeps up.
            let stopped = std::mem::take(&mut visit.banner);
            visit.answer(pages::LIVE.name, &live::page(&seen, &stopped, &visit.nonce, &visit.viewer))
        }
    }
}

/// One state after the other, until the session ends, the product stops, or the viewer goes.
async fn live_stream(State(console): State<Console>, headers: HeaderMap) -> Response {
    if let Err(response) = console.admit(&pages::LIVE, &headers) {
        return *response;
    }
    let Ok(place) = Arc::clone(&console.0.streams).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], "too many live pages")
            .into_response();
    };
    let session: Vec<String> = sessions(&headers).map(str::to_owned).collect();
    let states = stream::unfold(
        (console, session, interval(TICK), Some(place)),
        async |(console, session, mut ticks, place)| {
            // Given back with the last state.
            let place = place?;
            ticks.tick().await;
            if console.0.streams.is_closed() {
                return None;
            }
            let viewer = session.iter().find_map(|session| console.0.ports.visitors.viewer(session));
            let (markup, place) = match viewer.filter(|viewer| viewer.may(pages::LIVE.capability)) {
                Some(viewer) => {
                    let seen = console.0.ports.sight.live();
                    let stopped = pages::emergency::banner(&console.0.ports.operations.stopped(), &viewer);
                    (live::numbers(&seen, &stopped, viewer.may(Capability::ReadDecisions)), Some(place))
                }
                None => (live::ended(), None),
            };
            // A line break within data would end the line of the event.
            let event = Event::default().data(markup.into_string().replace(['\r', '\n'], " "));
            Some((Ok::<_, Infallible>(event), (console, session, ticks, place)))
        },
    );
    let mut response = Sse::new(states).into_response();
    secure(response.headers_mut(), &Nonce::fresh());
    response
}
