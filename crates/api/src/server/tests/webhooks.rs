//! An installation without endpoints, for the other tests of the server.

use std::time::Duration;

use domain::Actor;
use webhook::{EndpointName, SigningKey};

use crate::{
    BoxFuture, DeadLetterView, NewWebhook, WebhookChange, WebhookError, WebhookTest, WebhookView, Webhooks,
};

pub(super) struct None;

fn unknown<T>(name: &EndpointName) -> Result<T, WebhookError> {
    Err(WebhookError::NotFound { name: name.to_string() })
}

impl Webhooks for None {
    fn list(&self) -> Vec<WebhookView> {
        Vec::new()
    }

    fn add(
        &self,
        _by: Actor,
        _new: NewWebhook,
    ) -> BoxFuture<'_, Result<(WebhookView, String), WebhookError>> {
        Box::pin(async { Err(WebhookError::Full) })
    }

    fn change(
        &self,
        _by: Actor,
        name: EndpointName,
        _change: WebhookChange,
    ) -> BoxFuture<'_, Result<WebhookView, WebhookError>> {
        Box::pin(async move { unknown(&name) })
    }

    fn rotate(
        &self,
        _by: Actor,
        name: EndpointName,
        _key: Option<SigningKey>,
        _overlap: Duration,
    ) -> BoxFuture<'_, Result<(WebhookView, String), WebhookError>> {
        Box::pin(async move { unknown(&name) })
    }

    fn remove(&self, _by: Actor, name: EndpointName) -> BoxFuture<'_, Result<(), WebhookError>> {
        Box::pin(async move { unknown(&name) })
    }

    fn test(&self, name: EndpointName) -> BoxFuture<'_, Result<WebhookTest, WebhookError>> {
        Box::pin(async move { unknown(&name) })
    }

    fn dead_letters(&self, name: &EndpointName) -> Result<Vec<DeadLetterView>, WebhookError> {
        unknown(name)
    }

    fn replay(&self, _by: Actor, name: &EndpointName, _message: Option<&str>) -> Result<u64, WebhookError> {
        unknown(name)
    }

    fn discard(
        &self,
        _by: Actor,
        name: EndpointName,
        _message: Option<String>,
    ) -> BoxFuture<'_, Result<u64, WebhookError>> {
        Box::pin(async move { unknown(&name) })
    }
}
