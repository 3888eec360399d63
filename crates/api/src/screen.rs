//! `POST /v1/screen`: one address as a JSON object, or many as one object a line (NDJSON).

use std::fmt::Write as _;

use axum::{
    extract::Request,
    http::{Method, Uri, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use chain::address;
use domain::{Address, Network, Verdict};
use serde_json::{Value, json};
use watch::suspicions::Held;

use crate::{
    BoxFuture, Permission,
    limits::SCREEN_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    query::{Query, fault},
    route::{Action, App, Route, read_body, respond},
    wire,
};

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[Route {
    method: Method::POST,
    path: "/v1/screen",
    permission: Permission::Screen,
    action: Action::Screen,
}];

/// The routes about what models suspect.
pub(crate) const SUSPICION_ROUTES: &[Route] = &[Route {
    method: Method::GET,
    path: "/v1/suspicions",
    permission: Permission::ReadCases,
    action: Action::Suspicions,
}];

/// Suspicions of a page at most, and when the caller names no number.
pub(crate) const SUSPICIONS_MAX: usize = 200;
pub(crate) const SUSPICIONS_DEFAULT: usize = 50;

/// Media type of one JSON object a line.
const NDJSON: &str = "application/x-ndjson";

/// One address to screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenLine {
    /// As text.
    pub address: String,
    /// As an address of this network; of whichever its form belongs to, if none is given.
    pub network: Option<Network>,
    /// The caller's own name for it, given back.
    pub reference: Option<String>,
}

/// Addresses to screen for a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenRequest {
    /// Who asks.
    pub caller: String,
    /// One, or those lines of a bulk that could be read.
    pub lines: Vec<ScreenLine>,
    /// Whether it came as one object a line.
    pub is_bulk: bool,
    /// The same key with the same request gets the same answer; only of a single one.
    pub idempotency_key: Option<String>,
    /// SHA-256 of the body.
    pub digest: [u8; 32],
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenAnswer {
    /// Names the screening in the journal.
    pub id: String,
    /// For each line [`crate::assessment_json`] and its verdict.
    pub lines: Vec<(Value, Verdict)>,
    /// The lists consulted ([`crate::lists_json`]).
    pub lists: Value,
}

/// Why nothing was screened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScreenError {
    /// The key was used for another request.
    #[error("idempotency key was used for another request")]
    IdempotencyConflict,
    /// It cannot be answered, or not recorded.
    #[error("addresses cannot be screened: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// Who screens addresses.
pub trait Screenings: Send + Sync {
    /// Screens all, against the lists in force at one moment. What has to be recorded is durable on return.
    fn screen(&self, request: ScreenRequest) -> BoxFuture<'_, Result<ScreenAnswer, ScreenError>>;

    /// Whom models suspect, by the entry that says so, from one on.
    fn suspicions(&self, from: u64, max: usize) -> Vec<(Address, Held)>;
}

/// A suspicion in force: who, and why.
#[must_use]
pub fn suspicion_json(suspected: &Address, held: &Held) -> Value {
    json!({
        "address": address::encode(suspected), "chain": held.chain, "entry": held.entry,
        "at": held.at.to_string(), "probability": f64::from(held.probability) / 1e6,
        "height": held.height, "transactions": held.transactions, "reasons": held.reasons,
        "transaction": hex(&held.transaction), "model": hex(&held.model),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A page of suspicions, and where the next begins: `{"suspicions":[...],"next":"123"}`.
pub(crate) fn suspicions_json(found: &[(Address, Held)], is_full: bool) -> Value {
    let next = found.last().filter(|_| is_full).map(|(_, held)| held.entry.saturating_add(1).to_string());
    let page: Vec<Value> = found.iter().map(|(address, held)| suspicion_json(address, held)).collect();
    json!({ "suspicions": page, "next": next })
}

/// The answer to a single request as it is sent.
#[must_use]
pub fn screened_json(answer: &ScreenAnswer) -> Value {
    let mut whole = answer.lines.first().map_or_else(|| json!({}), |(line, _)| line.clone());
    if let Some(fields) = whole.as_object_mut() {
        fields.insert("id".to_owned(), json!(answer.id));
        fields.insert("lists".to_owned(), answer.lists.clone());
    }
    whole
}

impl App {
    pub(crate) fn suspicions(&self, uri: &Uri) -> Result<Value, Problem> {
        let mut query = Query::parse(uri)?;
        let from = query.take("after").map(|text| {
            text.parse::<u64>().map_err(|_| fault("after", "is not where a page of suspicions ended"))
        });
        let from = from.transpose()?.unwrap_or(0);
        let max = query.count("limit", 1..=SUSPICIONS_MAX)?.unwrap_or(SUSPICIONS_DEFAULT);
        query.finish()?;
        let found = self.ports().screenings.suspicions(from, max);
        Ok(suspicions_json(&found, found.len() == max))
    }

    pub(crate) async fn screen(&self, caller: &str, request: Request) -> Response {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_bulk = content_type.is_some_and(|value| {
            value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(NDJSON))
        });
        let answered = match read_body(request, SCREEN_BODY_BYTES_MAX).await {
            Ok(body) if is_bulk => self.screen_many(caller, &body).await,
            Ok(body) => self.screen_one(caller, &body).await,
            Err(problem) => Err(problem),
        };
        match answered {
            Ok(body) => respond(body, if is_bulk { NDJSON } else { "application/json" }),
            Err(problem) => problem.into_response(),
        }
    }

    async fn screen_one(&self, caller: &str, body: &[u8]) -> Result<String, Problem> {
        let request = wire::screen_request(body, caller)
            .map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
        Ok(screened_json(&self.screened(request).await?).to_string())
    }

    async fn screen_many(&self, caller: &str, body: &[u8]) -> Result<String, Problem> {
        let (request, places, bad) = wire::screen_lines(body, caller)?;
        let answer = if request.lines.is_empty() {
            ScreenAnswer { id: String::new(), lines: Vec::new(), lists: json!([]) }
        } else {
            self.screened(request).await?
        };
        let found = answer.lines.iter().filter(|(_, verdict)| wire::is_found(*verdict)).count();
        let summary = wire::summary_json(&answer.id, answer.lines.len(), bad.len(), found, &answer.lists);
        let mut lines: Vec<(usize, String)> = Vec::with_capacity(places.len() + bad.len());
        for (place, (mut line, _)) in places.into_iter().zip(answer.lines) {
            if let Some(fields) = line.as_object_mut() {
                fields.insert("line".to_owned(), json!(place));
            }
            lines.push((place, line.to_string()));
        }
        lines.extend(bad.into_iter().map(|bad| {
            let (field, reason) = (bad.fault.field, bad.fault.reason);
            (
                bad.line,
                json!({ "line": bad.line, "refused": { "field": field, "reason": reason } }).to_string(),
            )
        }));
        lines.sort_unstable_by_key(|(place, _)| *place);
        let mut out =
            String::with_capacity(lines.iter().map(|(_, line)| line.len() + 1).sum::<usize>() + 1_024);
        for (_, line) in lines {
            out.push_str(&line);
            out.push('\n');
        }
        out.push_str(&summary.to_string());
        out.push('\n');
        Ok(out)
    }

    async fn screened(&self, request: ScreenRequest) -> Result<ScreenAnswer, Problem> {
        self.ports().screenings.screen(request).await.map_err(|error| match error {
            ScreenError::IdempotencyConflict => {
                Problem::new(Kind::IdempotencyConflict, "use a new key for a new request")
            }
            ScreenError::Unavailable { .. } => {
                tracing::error!(%error, "addresses were not screened");
                Problem::new(Kind::Unavailable, "nothing is known about the addresses; they must not be paid")
            }
        })
    }
}
