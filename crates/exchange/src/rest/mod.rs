//! The REST surface, shaped like OKX v5: one table of routes, one path for every request. Wire names live here
//! and nowhere else.
//!
//! The exchange stands behind the gateway: who asks is in `x-caponier-account` and `x-caponier-key`, believed only
//! beside the right `x-caponier-upstream-token`. Signatures are the gateway's business. Bounds: one request body
//! is at most [`BODY_BYTES_MAX`]; the number of connections is bounded by the gateway in front.

pub(crate) mod account;
pub(crate) mod codes;
pub(crate) mod fields;
pub(crate) mod funding;
pub(crate) mod orders;
pub(crate) mod public;
mod sub_accounts;

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{FromRequestParts as _, Query, State, WebSocketUpgrade},
    response::Response,
};
use domain::{AccountId, UnixNanos};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header, request::Parts};
use serde_json::{Map, Value, json};

use self::{codes::Fault, fields::Fields};
use crate::{
    config::Token,
    desk::Shared,
    ws::{self, Scope},
};

/// Largest request body read, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Header with the account the gateway vouches for.
const ACCOUNT_HEADER: &str = "x-caponier-account";
/// Header with the name of a web socket, as its client knows it.
const CONNECTION_HEADER: &str = "x-caponier-connection";
/// Header with the API key the request was signed with; shown in the account configuration.
const KEY_HEADER: &str = "x-caponier-key";
/// Header that proves that the request comes from the gateway.
const TOKEN_HEADER: &str = "x-caponier-upstream-token";

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// The account the gateway vouches for.
    Private,
    /// Anybody.
    Public,
}

/// A request, understood as far as all routes need it.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    /// Whose request; for public routes nobody's.
    pub(crate) account: Option<AccountId>,
    /// The API key, if the gateway named it.
    pub(crate) api_key: String,
    pub(crate) query: Fields,
    /// Parsed body; null for GET.
    pub(crate) body: Value,
    pub(crate) now: UnixNanos,
}

impl Call<'_> {
    fn account(&self) -> Result<&AccountId, Fault> {
        self.account.as_ref().ok_or_else(Fault::unauthorized)
    }
}

/// A successful answer.
pub(crate) struct Reply {
    pub(crate) code: &'static str,
    pub(crate) message: &'static str,
    pub(crate) rows: Vec<Value>,
}

impl Reply {
    fn rows(rows: Vec<Value>) -> Self {
        Self { code: "0", message: "", rows }
    }

    fn row(row: Value) -> Self {
        Self::rows(vec![row])
    }
}

pub(crate) type Handler = fn(&Call<'_>) -> Result<Reply, Fault>;

/// Every route. Kept sorted by path within a group.
const ROUTES: &[(Method, &str, Access, Handler)] = &[
    (Method::GET, "/api/v5/account/balance", Access::Private, account::balance),
    (Method::GET, "/api/v5/account/config", Access::Private, account::config),
    (Method::GET, "/api/v5/account/instruments", Access::Private, public::instruments),
    (Method::GET, "/api/v5/account/trade-fee", Access::Private, account::trade_fee),
    (Method::GET, "/api/v5/asset/balances", Access::Private, account::funding_balances),
    (Method::POST, "/api/v5/asset/cancel-withdrawal", Access::Private, funding::cancel_withdrawal),
    (Method::GET, "/api/v5/asset/currencies", Access::Private, funding::currencies),
    (Method::GET, "/api/v5/asset/deposit-address", Access::Private, funding::deposit_address),
    (Method::GET, "/api/v5/asset/deposit-history", Access::Private, funding::deposit_history),
    (Method::POST, "/api/v5/asset/transfer", Access::Private, sub_accounts::transfer),
    (Method::POST, "/api/v5/asset/withdrawal", Access::Private, funding::withdraw),
    (Method::GET, "/api/v5/asset/withdrawal-history", Access::Private, funding::withdrawal_history),
    (Method::GET, "/api/v5/market/books", Access::Public, public::books),
    (Method::GET, "/api/v5/market/ticker", Access::Public, public::ticker),
    (Method::GET, "/api/v5/market/tickers", Access::Public, public::tickers),
    (Method::GET, "/api/v5/market/trades", Access::Public, public::trades),
    (Method::GET, "/api/v5/public/instruments", Access::Public, public::instruments),
    (Method::GET, "/api/v5/public/time", Access::Public, public::time),
    (Method::POST, "/api/v5/trade/amend-batch-orders", Access::Private, orders::amend_batch),
    (Method::POST, "/api/v5/trade/amend-order", Access::Private, orders::amend),
    (Method::POST, "/api/v5/trade/batch-orders", Access::Private, orders::place_batch),
    (Method::POST, "/api/v5/trade/cancel-batch-orders", Access::Private, orders::cancel_batch),
    (Method::POST, "/api/v5/trade/cancel-order", Access::Private, orders::cancel),
    (Method::GET, "/api/v5/trade/fills", Access::Private, orders::fills),
    (Method::GET, "/api/v5/trade/fills-history", Access::Private, orders::fills),
    (Method::GET, "/api/v5/trade/order", Access::Private, orders::detail),
    (Method::POST, "/api/v5/trade/order", Access::Private, orders::place),
    (Method::GET, "/api/v5/trade/orders-history", Access::Private, orders::history),
    (Method::GET, "/api/v5/trade/orders-history-archive", Access::Private, orders::history),
    (Method::GET, "/api/v5/trade/orders-pending", Access::Private, orders::pending),
    (Method::GET, "/api/v5/users/subaccount/list", Access::Private, sub_accounts::list),
];

/// What the server serves.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstream_token: Token,
}

/// The whole surface as one service.
pub(crate) fn router(site: Site) -> Router {
    Router::new().fallback(serve).with_state(site)
}

async fn serve(State(site): State<Site>, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Some(scope) = Scope::at(parts.uri.path()) {
        return match open_socket(&site, scope, &mut parts).await {
            Ok(response) => response,
            Err(fault) => respond(Err(fault)),
        };
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return respond(Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "51000", "Parameter body error")));
    };
    respond(answer(&site, &parts.method, &parts.uri, &parts.headers, &body))
}

fn answer(site: &Site, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Reply, Fault> {
    let mut at_path = ROUTES.iter().filter(|(_, path, ..)| *path == uri.path()).peekable();
    if at_path.peek().is_none() {
        return Err(Fault::new(StatusCode::GONE, "50005", "API endpoint is inactive or unavailable."));
    }
    let (_, _, access, handler) = at_path
        .find(|(allowed, ..)| allowed == method)
        .ok_or_else(|| Fault::new(StatusCode::METHOD_NOT_ALLOWED, "50115", "Invalid request method."))?;
    let account = match access {
        Access::Private => Some(vouched_account(site, headers)?),
        Access::Public => None,
    };
    let query = Query::<std::collections::BTreeMap<String, String>>::try_from_uri(uri)
        .map_err(|_| Fault::parameter("query"))?;
    let query: Map<String, Value> = query.0.into_iter().map(|(name, text)| (name, text.into())).collect();
    let body = if method == Method::POST { parse_body(body)? } else { Value::Null };
    let api_key = api_key(headers);
    let now = site.shared.clock.now();
    handler(&Call { shared: &site.shared, account, api_key, query: Fields(query), body, now })
}

/// Turns a connection into a web socket. Private ones are for the account the gateway vouches for; at the others an
/// identity is optional, but a false one is refused.
async fn open_socket(site: &Site, scope: Scope, parts: &mut Parts) -> Result<Response, Fault> {
    let account = if scope == Scope::Private || parts.headers.contains_key(ACCOUNT_HEADER) {
        Some(vouched_account(site, &parts.headers)?)
    } else {
        None
    };
    let connection_id = match once(&parts.headers, CONNECTION_HEADER) {
        // The client knows the connection by the name the gateway gave it.
        Some(id) if comes_from_gateway(site, &parts.headers) => ws::connection_id(id.as_bytes()),
        _ => None,
    };
    let api_key = api_key(&parts.headers);
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|_| Fault::new(StatusCode::BAD_REQUEST, "50012", "Invalid request"))?;
    let upgrade = upgrade.max_message_size(ws::MESSAGE_BYTES_MAX).max_frame_size(ws::MESSAGE_BYTES_MAX);
    let session = ws::Session::new(Arc::clone(&site.shared), scope, account, api_key, connection_id);
    Ok(upgrade.on_upgrade(move |socket| ws::serve(socket, session)))
}

fn api_key(headers: &HeaderMap) -> String {
    headers.get(KEY_HEADER).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned()
}

/// The account the gateway vouches for. Each header counts only if it is there exactly once.
fn vouched_account(site: &Site, headers: &HeaderMap) -> Result<AccountId, Fault> {
    if !comes_from_gateway(site, headers) {
        return Err(Fault::unauthorized());
    }
    let account = once(headers, ACCOUNT_HEADER).and_then(|account| account.to_str().ok());
    let account =
        account.and_then(|account| AccountId::parse(account).ok()).ok_or_else(Fault::unauthorized)?;
    if site.shared.ledger.lock().has_account(&account) { Ok(account) } else { Err(Fault::unauthorized()) }
}

fn comes_from_gateway(site: &Site, headers: &HeaderMap) -> bool {
    once(headers, TOKEN_HEADER).is_some_and(|token| site.upstream_token.matches(token.as_bytes()))
}

/// A header that is there exactly once.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn parse_body(body: &[u8]) -> Result<Value, Fault> {
    if body.is_empty() {
        return Err(Fault::new(StatusCode::BAD_REQUEST, "50000", "Body for POST request cannot be empty."));
    }
    serde_json::from_slice(body)
        .map_err(|_| Fault::new(StatusCode::BAD_REQUEST, "50002", "JSON syntax error"))
}

/// Every answer is JSON with code, message and rows: clients parse all of them.
fn respond(outcome: Result<Reply, Fault>) -> Response {
    let (status, body) = match outcome {
        Ok(Reply { code, message, rows }) => {
            (StatusCode::OK, json!({ "code": code, "msg": message, "data": rows }))
        }
        Err(Fault { status, code, message }) => (status, json!({ "code": code, "msg": message, "data": [] })),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use domain::ManualClock;

    use super::*;
    use crate::{catalog::Catalog, ledger::Ledger};

    fn site() -> Site {
        let mut ledger = Ledger::new(Catalog::standard());
        ledger.open_account(&AccountId::parse("alice").unwrap(), UnixNanos(1)).unwrap();
        let clock = Arc::new(ManualClock::new(UnixNanos::from_secs(1_800_000_000)));
        let shared = Shared::new(clock, ledger, None, 1);
        Site { shared: Arc::new(shared), upstream_token: Token::new("right".to_owned()) }
    }

    fn status(
        site: &Site,
        method: &Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> (StatusCode, String) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        match answer(site, method, &path.parse().unwrap(), &map, b"{}") {
            Ok(reply) => (StatusCode::OK, reply.code.to_owned()),
            Err(fault) => (fault.status, fault.code.to_owned()),
        }
    }

    #[test]
    fn every_private_route_demands_the_gateway() {
        let site = site();
        let refused = (StatusCode::UNAUTHORIZED, "50114".to_owned());
        let wrong: [&[(&'static str, &str)]; 6] = [
            &[],
            &[(ACCOUNT_HEADER, "alice")],
            &[(ACCOUNT_HEADER, "alice"), (TOKEN_HEADER, "wrong")],
            &[(ACCOUNT_HEADER, "nobody"), (TOKEN_HEADER, "right")],
            &[(ACCOUNT_HEADER, "alice"), (ACCOUNT_HEADER, "alice"), (TOKEN_HEADER, "right")],
            &[(ACCOUNT_HEADER, "alice"), (TOKEN_HEADER, "right"), (TOKEN_HEADER, "right")],
        ];
        let mut private = 0;
        for (method, path, access, _) in ROUTES {
            for headers in wrong {
                let got = status(&site, method, path, headers);
                match access {
                    Access::Private => assert_eq!(got, refused, "{path} {headers:?}"),
                    Access::Public => assert_ne!(got, refused, "{path}"),
                }
            }
            if *access == Access::Private {
                private += 1;
                let right = [(ACCOUNT_HEADER, "alice"), (TOKEN_HEADER, "right")];
                assert_ne!(status(&site, method, path, &right), refused, "{path}");
            }
        }
        assert!(private >= 20);
    }

    #[test]
    fn unknown_paths_and_wrong_methods_are_told_apart() {
        let site = site();
        assert_eq!(status(&site, &Method::GET, "/api/v5/nothing", &[]).1, "50005");
        assert_eq!(status(&site, &Method::POST, "/api/v5/public/time", &[]).1, "50115");
        assert_eq!(status(&site, &Method::GET, "/api/v5/public/time?a=%ZZ&b", &[]).1, "0");
    }
}
