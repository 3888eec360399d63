//! Endpoints that are told of what happens: the port, and the calls about them.
//!
//! A shared secret is in one answer only, that of the call that made it.

use std::{sync::Arc, time::Duration};

use axum::extract::Request;
use axum::http::Method;
use domain::{Actor, UnixNanos};
use serde_json::{Value, json};
use webhook::{
    DeadLetter, Endpoint, EndpointName, Events, MessageKey, OVERLAP_MAX, Scheme, Settings, SigningKey, State,
    Target,
};

use crate::{
    BoxFuture,
    auth::{Caller, Permission},
    limits::WEBHOOK_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    query::Query,
    route::{Action, App, Route, read_body, segment},
    wire::{Fault, Fields},
};
use identity::Capability;

/// How long two keys sign side by side when nothing else is said, in hours.
pub const OVERLAP_HOURS: u64 = 24;

/// A call about endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookCall {
    /// Adds one.
    Add,
    /// Changes one, stops it, or lets it go on.
    Change,
    /// Lists what was given up on.
    DeadLetters,
    /// Forgets what was given up on.
    Discard,
    /// Lists all.
    List,
    /// Removes one.
    Remove,
    /// Tries again what was given up on.
    Replay,
    /// Signs with another key.
    Rotate,
    /// Sends a message that says nothing.
    Test,
}

const fn route(method: Method, path: &'static str, permission: Permission, call: WebhookCall) -> Route {
    Route { method, path, permission, action: Action::Webhook(call) }
}

pub(crate) const ROUTES: &[Route] = &[
    route(Method::GET, "/v1/webhooks", Permission::ReadInstallation, WebhookCall::List),
    route(Method::POST, "/v1/webhooks", Permission::ManageWebhooks, WebhookCall::Add),
    route(Method::POST, "/v1/webhooks/{name}/change", Permission::ManageWebhooks, WebhookCall::Change),
    route(Method::POST, "/v1/webhooks/{name}/rotate", Permission::ManageWebhooks, WebhookCall::Rotate),
    route(Method::POST, "/v1/webhooks/{name}/remove", Permission::ManageWebhooks, WebhookCall::Remove),
    route(Method::POST, "/v1/webhooks/{name}/test", Permission::ManageWebhooks, WebhookCall::Test),
    route(
        Method::GET,
        "/v1/webhooks/{name}/dead-letters",
        Permission::ReadInstallation,
        WebhookCall::DeadLetters,
    ),
    route(
        Method::POST,
        "/v1/webhooks/{name}/dead-letters/replay",
        Permission::ManageWebhooks,
        WebhookCall::Replay,
    ),
    route(
        Method::POST,
        "/v1/webhooks/{name}/dead-letters/discard",
        Permission::ManageWebhooks,
        WebhookCall::Discard,
    ),
];

/// An endpoint and how it goes with it.
#[derive(Debug, Clone)]
pub struct WebhookView {
    /// As the journal leaves it.
    pub endpoint: Endpoint,
    /// How it goes since the start.
    pub live: WebhookLive,
}

/// How it goes with an endpoint, since the start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookLive {
    /// Messages that were taken.
    pub delivered: u64,
    /// Tries that failed, by what they came to.
    pub failed: Vec<(&'static str, u64)>,
    /// Messages that wait.
    pub waiting: u64,
    /// Entries of the journal that were not looked at yet.
    pub behind: u64,
    /// Whether the last tries all failed.
    pub is_failing: bool,
    /// The last try, and what it came to.
    pub last: Option<(UnixNanos, String)>,
}

/// An endpoint to be.
#[derive(Debug)]
pub struct NewWebhook {
    /// Its name.
    pub name: EndpointName,
    /// Where to, of what.
    pub settings: Settings,
    /// How messages are signed.
    pub scheme: Scheme,
    /// By which key; a new one when none is given.
    pub key: Option<SigningKey>,
}

/// What is to be otherwise; the rest stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WebhookChange {
    /// Where to.
    pub target: Option<Target>,
    /// Of what.
    pub events: Option<Events>,
    /// Whether messages name accounts.
    pub accounts: Option<bool>,
    /// Whether messages go out.
    pub enabled: Option<bool>,
    /// Whether what waits is not wanted any more.
    pub skip: bool,
}

/// A message that was given up on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterView {
    /// As in `webhook-id`.
    pub id: String,
    /// Which entry, told as what.
    pub message: MessageKey,
    /// When and why.
    pub letter: DeadLetter,
}

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTest {
    /// Whether it was taken.
    pub delivered: bool,
    /// What was answered, or why nothing was.
    pub says: String,
    /// How long it took.
    pub took: Duration,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// More arrives than can be recorded; nothing was done.
    #[error("the journal is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The name is taken.
    #[error("there is an endpoint {name} already")]
    Exists {
        /// Which.
        name: String,
    },
    /// As many as can be.
    #[error("there are {} endpoints, more are not possible", webhook::ENDPOINTS_MAX)]
    Full,
    /// What was asked for makes no sense.
    #[error("{why}")]
    Invalid {
        /// In words.
        why: String,
    },
    /// No such endpoint.
    #[error("there is no endpoint {name}")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// No such message among those given up on.
    #[error("{message} is not among the dead letters of {name}")]
    NoSuchMessage {
        /// Of which endpoint.
        name: String,
        /// What was asked for.
        message: String,
    },
    /// It cannot be made durable, or nobody knows whether it was.
    #[error("nothing can be recorded: {why}")]
    Unavailable {
        /// In words for the operator; not shown to the caller.
        why: String,
    },
}

/// What can be done about endpoints. Calls that change something return when that is durable and in force.
pub trait Webhooks: Send + Sync {
    /// Every endpoint, in the order of names.
    fn list(&self) -> Vec<WebhookView>;

    /// Adds one. Answers what whoever receives needs to check signatures: `whsec_`, a secret, or `whpk_`.
    fn add(&self, by: Actor, new: NewWebhook) -> BoxFuture<'_, Result<(WebhookView, String), WebhookError>>;

    /// Changes one.
    fn change(
        &self,
        by: Actor,
        name: EndpointName,
        change: WebhookChange,
    ) -> BoxFuture<'_, Result<WebhookView, WebhookError>>;

    /// Signs with another key, and with the one before for as long as `overlap`. Answers as [`Webhooks::add`].
    fn rotate(
        &self,
        by: Actor,
        name: EndpointName,
        key: Option<SigningKey>,
        overlap: Duration,
    ) -> BoxFuture<'_, Result<(WebhookView, String), WebhookError>>;

    /// Removes one.
    fn remove(&self, by: Actor, name: EndpointName) -> BoxFuture<'_, Result<(), WebhookError>>;

    /// Sends a message that says nothing, at once, and waits for what it comes to.
    fn test(&self, name: EndpointName) -> BoxFuture<'_, Result<WebhookTest, WebhookError>>;

    /// What was given up on, oldest first.
    ///
    /// # Errors
    /// [`WebhookError::NotFound`].
    fn dead_letters(&self, name: &EndpointName) -> Result<Vec<DeadLetterView>, WebhookError>;

    /// Tries dead letters once more each, one or all; answers how many. What is taken is none any more.
    ///
    /// # Errors
    /// [`WebhookError`].
    fn replay(&self, by: Actor, name: &EndpointName, message: Option<&str>) -> Result<u64, WebhookError>;

    /// Forgets dead letters, one or all; answers how many.
    fn discard(
        &self,
        by: Actor,
        name: EndpointName,
        message: Option<String>,
    ) -> BoxFuture<'_, Result<u64, WebhookError>>;
}

/// An endpoint as JSON.
#[must_use]
pub fn webhook_json(view: &WebhookView) -> Value {
    let WebhookView { endpoint, live } = view;
    let mut json = json!({
        "name": endpoint.name.as_str(),
        "url": endpoint.settings.target.as_str(),
        "events": endpoint.settings.events.names().collect::<Vec<_>>(),
        "accounts": endpoint.settings.accounts,
        "scheme": endpoint.key.scheme().as_str(),
        "state": endpoint.state.as_str(),
        "state_at": endpoint.state_at.to_string(),
        "added_at": endpoint.added_at.to_string(),
        "added_by": endpoint.added_by.to_string(),
        "acknowledged": endpoint.acknowledged,
        "dead_letters": endpoint.dead.len(),
        "delivered": live.delivered,
        "failed": live.failed.iter().map(|(class, count)| ((*class).to_owned(), json!(count))).collect::<serde_json::Map<_, _>>(),
        "waiting": live.waiting,
        "behind_entries": live.behind,
        "is_failing": live.is_failing,
    });
    let mut put = |name: &str, value: Value| {
        if let Some(object) = json.as_object_mut() {
            object.insert(name.to_owned(), value);
        }
    };
    if let Some(public) = endpoint.key.public() {
        put("public_key", json!(public));
    }
    if let Some((_, until)) = &endpoint.previous {
        put("previous_key_until", json!(until.to_string()));
    }
    if let State::Disabled(why) = endpoint.state {
        put("disabled_why", json!(why.as_str()));
    }
    if let Some((at, says)) = &live.last {
        put("last_try", json!({ "at": at.to_string(), "says": says }));
    }
    json
}

/// An endpoint with what checks its signatures, for the one who made the key.
#[must_use]
pub fn webhook_with_key_json(view: &WebhookView, verifier: &str) -> Value {
    json!({ "endpoint": webhook_json(view), "key": verifier })
}

/// A dead letter as JSON.
#[must_use]
pub fn dead_letter_json(view: &DeadLetterView) -> Value {
    json!({
        "id": view.id,
        "entry": view.message.position,
        "type": view.message.event_type.as_str(),
        "at": view.letter.at.to_string(),
        "tries": view.letter.tries,
        "why": view.letter.why,
    })
}

/// What a try came to, as JSON.
#[must_use]
pub fn webhook_test_json(test: &WebhookTest) -> Value {
    let took = u64::try_from(test.took.as_millis()).unwrap_or(u64::MAX);
    json!({ "delivered": test.delivered, "says": test.says, "took_ms": took })
}

/// What a body asks for.
#[derive(Debug)]
pub(crate) enum Ask {
    Add(NewWebhook),
    Change(WebhookChange),
    Message(Option<String>),
    Nothing,
    Rotate { key: Option<SigningKey>, overlap: Duration },
}

/// `msg_` and 32 lower-case hexadecimal digits.
fn message_id(text: &str) -> Result<String, &'static str> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let digits = text.strip_prefix("msg_").filter(|digits| digits.len() == 32 && digits.bytes().all(is_hex));
    digits.map(|_| text.to_owned()).ok_or("is no id of a message")
}

pub(crate) fn ask(call: WebhookCall, body: &[u8]) -> Result<Ask, Fault> {
    if matches!(call, WebhookCall::Remove | WebhookCall::Test) && body.is_empty() {
        return Ok(Ask::Nothing);
    }
    let mut fields = Fields::parse(body)?;
    let ask = match call {
        WebhookCall::Add => {
            let name = fields.parsed("name", str::parse)?;
            let target = fields.parsed("url", str::parse)?;
            let events = fields.parsed("events", str::parse)?;
            let accounts = fields.optional_bool("accounts")?.unwrap_or(false);
            let key = fields.optional_parsed("key", SigningKey::parse)?;
            let scheme = match fields.optional_text("scheme")? {
                Some(text) => Scheme::named(&text)
                    .ok_or_else(|| fields.fault("scheme", "is neither ed25519 nor hmac"))?,
                None => key.as_ref().map_or(Scheme::Hmac, SigningKey::scheme),
            };
            if key.as_ref().is_some_and(|key| key.scheme() != scheme) {
                return Err(fields.fault("key", "is one of another scheme"));
            }
            Ask::Add(NewWebhook { name, settings: Settings { target, events, accounts }, scheme, key })
        }
        WebhookCall::Change => Ask::Change(WebhookChange {
            target: fields.optional_parsed("url", str::parse)?,
            events: fields.optional_parsed("events", str::parse)?,
            accounts: fields.optional_bool("accounts")?,
            enabled: fields.optional_bool("enabled")?,
            skip: fields.optional_bool("skip")?.unwrap_or(false),
        }),
        WebhookCall::Discard | WebhookCall::Replay => {
            Ask::Message(fields.optional_parsed("message", message_id)?)
        }
        WebhookCall::Rotate => {
            let hours = fields.optional_integer("overlap_hours")?.unwrap_or(OVERLAP_HOURS);
            let overlap = Duration::from_secs(hours.saturating_mul(3_600));
            if overlap > OVERLAP_MAX {
                let most = OVERLAP_MAX.as_secs() / 3_600;
                return Err(fields.fault("overlap_hours", format!("must be 0 to {most}")));
            }
            Ask::Rotate { key: fields.optional_parsed("key", SigningKey::parse)?, overlap }
        }
        WebhookCall::Remove | WebhookCall::Test => Ask::Nothing,
        WebhookCall::DeadLetters | WebhookCall::List => {
            return Err(fields.fault("", "this call has no body"));
        }
    };
    fields.finish("this call")?;
    Ok(ask)
}

/// Messages that name accounts go to whoever receives them, so only who may see accounts can ask for that.
fn check_accounts(caller: &Caller, accounts: Option<bool>) -> Result<(), Problem> {
    if accounts == Some(true) && !caller.may(Capability::ReadCases) {
        let detail = format!("{} is needed to have accounts named", Capability::ReadCases.as_str());
        return Err(Problem::new(Kind::PermissionMissing, detail));
    }
    Ok(())
}

/// Serves a call.
pub(crate) async fn serve(
    app: &App,
    call: WebhookCall,
    caller: &Caller,
    request: Request,
) -> Result<Value, Problem> {
    let port = Arc::clone(&app.ports().webhooks);
    Query::parse(request.uri())?.finish()?;
    let text = segment(request.uri(), 3).to_owned();
    let named = || {
        text.parse::<EndpointName>()
            .map_err(|_| problem(&WebhookError::NotFound { name: text.chars().take(64).collect() }))
    };
    match call {
        WebhookCall::List => {
            let endpoints: Vec<Value> = port.list().iter().map(webhook_json).collect();
            return Ok(json!({ "endpoints": endpoints }));
        }
        WebhookCall::DeadLetters => {
            let letters = port.dead_letters(&named()?).map_err(|error| problem(&error))?;
            return Ok(json!({ "dead_letters": letters.iter().map(dead_letter_json).collect::<Vec<_>>() }));
        }
        _ => {}
    }
    let body = read_body(request, WEBHOOK_BODY_BYTES_MAX).await?;
    let asked = ask(call, &body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let by = caller.actor().clone();
    let done = match (call, asked) {
        (WebhookCall::Add, Ask::Add(new)) => {
            check_accounts(caller, Some(new.settings.accounts))?;
            port.add(by, new).await.map(|(view, verifier)| webhook_with_key_json(&view, &verifier))
        }
        (WebhookCall::Change, Ask::Change(change)) => {
            let name = named()?;
            check_accounts(caller, change.accounts)?;
            // Sending what an endpoint is told to another place is as much as asking for it.
            let names_accounts =
                port.list().iter().any(|view| view.endpoint.name == name && view.endpoint.settings.accounts);
            if change.target.is_some() && change.accounts != Some(false) && names_accounts {
                check_accounts(caller, Some(true))?;
            }
            port.change(by, name, change).await.map(|view| webhook_json(&view))
        }
        (WebhookCall::Rotate, Ask::Rotate { key, overlap }) => port
            .rotate(by, named()?, key, overlap)
            .await
            .map(|(view, verifier)| webhook_with_key_json(&view, &verifier)),
        (WebhookCall::Remove, _) => port.remove(by, named()?).await.map(|()| json!({ "removed": text })),
        (WebhookCall::Test, _) => port.test(named()?).await.map(|test| webhook_test_json(&test)),
        (WebhookCall::Replay, Ask::Message(message)) => {
            port.replay(by, &named()?, message.as_deref()).map(|count| json!({ "replaying": count }))
        }
        (WebhookCall::Discard, Ask::Message(message)) => {
            port.discard(by, named()?, message).await.map(|count| json!({ "discarded": count }))
        }
        _ => unreachable!("each call asks for what its body says"),
    };
    done.map_err(|error| problem(&error))
}

fn problem(error: &WebhookError) -> Problem {
    let kind = match error {
        WebhookError::Busy { retry_after } => return Problem::busy(*retry_after),
        WebhookError::Unavailable { .. } => {
            tracing::error!(%error, "a call about webhooks was not carried out");
            let detail = "look at the list: it may be in force or not";
            return Problem::new(Kind::Unavailable, detail);
        }
        WebhookError::NotFound { .. } | WebhookError::NoSuchMessage { .. } => Kind::NotFound,
        WebhookError::Exists { .. } | WebhookError::Full | WebhookError::Invalid { .. } => {
            Kind::InvalidRequest
        }
    };
    Problem::new(kind, error.to_string())
}
