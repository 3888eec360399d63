//! Carrying out an operator's requests about webhooks.

use std::{str::FromStr, time::Duration};

use api::{NewWebhook, WebhookChange, WebhookError, Webhooks as _};
use domain::{Actor, ActorKind};
use serde_json::json;
use webhook::{EndpointName, OVERLAP_MAX, Scheme, Settings, SigningKey};

use super::Core;
use crate::{
    control::{Response, WebhookWork},
    exit::{Exit, Failure},
};

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message)
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(what: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error: T::Err| usage(format!("{what}: {error}")))
}

fn optional<T: FromStr<Err: std::fmt::Display>>(
    what: &str,
    text: Option<&String>,
) -> Result<Option<T>, Failure> {
    text.map(|text| parsed(what, text)).transpose()
}

fn key(text: Option<&String>) -> Result<Option<SigningKey>, Failure> {
    text.map(|text| SigningKey::parse(text).map_err(|error| usage(format!("--key-file: {error}"))))
        .transpose()
}

fn failure(error: &WebhookError) -> Failure {
    let exit = match error {
        WebhookError::Busy { .. } => Exit::Busy,
        WebhookError::Invalid { .. } => Exit::Usage,
        WebhookError::NotFound { .. } | WebhookError::NoSuchMessage { .. } => Exit::NotFound,
        WebhookError::Unavailable { .. } => Exit::Io,
        // Refused by the rules: no.
        _ => Exit::No,
    };
    Failure::new(exit, error.to_string())
}

impl Core {
    pub(super) async fn webhooks(&self, by: &str, work: WebhookWork) -> Result<Response, Failure> {
        let port = &*self.webhooks;
        let actor = || Actor::new(ActorKind::Operator, by).map_err(|error| usage(format!("--as: {error}")));
        let name = |text: &str| parsed::<EndpointName>("name", text);
        let done = match work {
            WebhookWork::Add { name: text, url, events, scheme, accounts, key: given } => {
                let given = key(given.as_ref())?;
                let scheme = match &given {
                    Some(key) => key.scheme(),
                    None => Scheme::named(&scheme)
                        .ok_or_else(|| usage(format!("--scheme: {scheme:?} is neither ed25519 nor hmac")))?,
                };
                let settings =
                    Settings { target: parsed("url", &url)?, events: parsed("--events", &events)?, accounts };
                let new = NewWebhook { name: name(&text)?, settings, scheme, key: given };
                let added = port.add(actor()?, new).await;
                added.map(|(view, verifier)| api::webhook_with_key_json(&view, &verifier))
            }
            WebhookWork::Change { name: text, url, events, accounts, enabled, skip } => {
                let change = WebhookChange {
                    target: optional("--url", url.as_ref())?,
                    events: optional("--events", events.as_ref())?,
                    accounts,
                    enabled,
                    skip,
                };
                let changed = port.change(actor()?, name(&text)?, change).await;
                changed.map(|view| json!({ "endpoint": api::webhook_json(&view) }))
            }
            WebhookWork::DeadLetters { name: text } => port.dead_letters(&name(&text)?).map(|letters| {
                json!({ "dead_letters": letters.iter().map(api::dead_letter_json).collect::<Vec<_>>() })
            }),
            WebhookWork::Discard { name: text, message } => {
                port.discard(actor()?, name(&text)?, message).await.map(|count| json!({ "discarded": count }))
            }
            WebhookWork::List => {
                let endpoints = port.list();
                Ok(json!({ "endpoints": endpoints.iter().map(api::webhook_json).collect::<Vec<_>>() }))
            }
            WebhookWork::Remove { name: text } => {
                port.remove(actor()?, name(&text)?).await.map(|()| json!({ "removed": text }))
            }
            WebhookWork::Replay { name: text, message } => {
                if self.reload.get().is_none() && self.entrance.get().is_none() {
                    return Err(Failure::new(Exit::NotFound, "no process serves here, so nothing goes out"));
                }
                port.replay(actor()?, &name(&text)?, message.as_deref())
                    .map(|count| json!({ "replaying": count }))
            }
            WebhookWork::Rotate { name: text, key: given, overlap_hours } => {
                let overlap = Duration::from_secs(overlap_hours.saturating_mul(3_600));
                if overlap > OVERLAP_MAX {
                    return Err(usage(format!("--overlap-hours: at most {}", OVERLAP_MAX.as_secs() / 3_600)));
                }
                let rotated = port.rotate(actor()?, name(&text)?, key(given.as_ref())?, overlap).await;
                rotated.map(|(view, verifier)| api::webhook_with_key_json(&view, &verifier))
            }
            WebhookWork::Test { name: text } => {
                port.test(name(&text)?).await.map(|test| json!({ "test": api::webhook_test_json(&test) }))
            }
        };
        done.map(Response::Webhooks).map_err(|error| failure(&error))
    }
}
