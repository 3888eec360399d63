//! Webhooks, as the console shows them.

use std::{str::FromStr, sync::Arc, time::Duration};

use api::{NewWebhook, WebhookChange, WebhookError, WebhookView, Webhooks as _};
use console::{
    BoxFuture, DeadLine, NotDone, ROWS_MAX, Viewer, WebhookDeed, WebhookDone, WebhookFile, WebhookLine,
    WebhookWords,
};
use identity::Capability;
use webhook::{DisabledWhy, EndpointName, EventType, OVERLAP_MAX, Scheme, Settings};

use crate::webhooks::Webhooks;

/// Who is told of what.
pub(super) struct Bells(pub(super) Arc<Webhooks>);

fn line(view: &WebhookView) -> WebhookLine {
    let WebhookView { endpoint, live } = view;
    let why = |why: DisabledWhy| match why {
        DisabledWhy::DeadLettersFull => "Too much was given up on.",
        DisabledWhy::Gone => "It answered 410: it wants nothing any more.",
        _ => "It took nothing over all tries of a message.",
    };
    WebhookLine {
        name: endpoint.name.to_string(),
        url: endpoint.settings.target.to_string(),
        events: endpoint.settings.events.names().map(str::to_owned).collect(),
        accounts: endpoint.settings.accounts,
        scheme: endpoint.key.scheme().as_str(),
        state: endpoint.state.as_str(),
        disabled_why: endpoint.disabled_why().map(why),
        state_at: endpoint.state_at,
        delivered: live.delivered,
        failed: live.failed.clone(),
        waiting: live.waiting,
        behind: live.behind,
        dead: endpoint.dead.len(),
        is_failing: live.is_failing,
        last: live.last.clone(),
        public_key: endpoint.key.public(),
        previous_until: endpoint.previous.as_ref().map(|(_, until)| *until),
        added_by: endpoint.added_by.to_string(),
        added_at: endpoint.added_at,
    }
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, NotDone> {
    text.parse().map_err(|error: T::Err| NotDone(error.to_string()))
}

fn not_done(error: &WebhookError) -> NotDone {
    if matches!(error, WebhookError::Busy { .. } | WebhookError::Unavailable { .. }) {
        tracing::error!(%error, "an endpoint is not what it should be");
        return NotDone("it cannot be recorded at the moment; look at it again".to_owned());
    }
    NotDone(error.to_string())
}

impl Bells {
    fn view(&self, name: &str) -> Option<WebhookView> {
        self.0.views().into_iter().find(|view| view.endpoint.name.as_str() == name)
    }

    async fn act(
        &self,
        viewer: &Viewer,
        name: &str,
        deed: WebhookDeed,
        words: WebhookWords,
    ) -> Result<WebhookDone, NotDone> {
        let (port, by) = (&*self.0, viewer.actor.clone());
        let named: EndpointName = parsed(name)?;
        // Messages that name accounts go to whoever receives them, so only who may see accounts can ask for that.
        let may_know = viewer.may(Capability::ReadCases);
        if words.accounts && !may_know {
            return Err(NotDone(
                "having accounts named needs read_cases, which none of your roles has".to_owned(),
            ));
        }
        let done = match deed {
            WebhookDeed::Add { scheme } => {
                let scheme =
                    Scheme::named(&scheme).ok_or_else(|| NotDone("there is no such scheme".to_owned()))?;
                let settings = Settings {
                    target: parsed(&words.url)?,
                    events: parsed(&words.events)?,
                    accounts: words.accounts,
                };
                let new = NewWebhook { name: named, settings, scheme, key: None };
                port.add(by, new).await.map(|(_, verifier)| WebhookDone::Key(verifier))
            }
            WebhookDeed::Change => {
                let known = self.view(name);
                let names_accounts = known.is_some_and(|view| view.endpoint.settings.accounts);
                if names_accounts && !may_know {
                    let why =
                        "it is told of accounts: changing it needs read_cases, which none of your roles has";
                    return Err(NotDone(why.to_owned()));
                }
                let change = WebhookChange {
                    target: Some(parsed(&words.url)?),
                    events: Some(parsed(&words.events)?),
                    accounts: Some(words.accounts),
                    ..WebhookChange::default()
                };
                port.change(by, named, change).await.map(|_| WebhookDone::Done)
            }
            WebhookDeed::Discard(message) => {
                port.discard(by, named, message).await.map(|_| WebhookDone::Done)
            }
            WebhookDeed::Enable { skip } => {
                let change = WebhookChange { enabled: Some(true), skip, ..WebhookChange::default() };
                port.change(by, named, change).await.map(|_| WebhookDone::Done)
            }
            WebhookDeed::Pause => {
                let change = WebhookChange { enabled: Some(false), ..WebhookChange::default() };
                port.change(by, named, change).await.map(|_| WebhookDone::Done)
            }
            WebhookDeed::Remove => port.remove(by, named).await.map(|()| WebhookDone::Done),
            WebhookDeed::Replay(message) => {
                port.replay(by, &named, message.as_deref()).map(|_| WebhookDone::Done)
            }
            WebhookDeed::Rotate { overlap_hours } => {
                let overlap = Duration::from_secs(overlap_hours.saturating_mul(3_600));
                if overlap > OVERLAP_MAX {
                    let most = OVERLAP_MAX.as_secs() / 3_600;
                    return Err(NotDone(format!("two keys sign side by side for at most {most} hours")));
                }
                let rotated = port.rotate(by, named, None, overlap).await;
                rotated.map(|(_, verifier)| WebhookDone::Key(verifier))
            }
            WebhookDeed::Test => {
                let tested = port.test(named).await;
                tested.map(|test| WebhookDone::Tried { taken: test.delivered, says: test.says })
            }
        };
        done.map_err(|error| not_done(&error))
    }
}

impl console::Webhooks for Bells {
    fn list(&self) -> Vec<WebhookLine> {
        self.0.views().iter().map(line).collect()
    }

    fn one(&self, name: &str) -> Option<WebhookFile> {
        let view = self.view(name)?;
        let letters = self.0.dead_letters(&view.endpoint.name).unwrap_or_default();
        let dead = letters.into_iter().take(ROWS_MAX).map(|letter| DeadLine {
            id: letter.id,
            kind: letter.message.event_type.as_str(),
            entry: letter.message.position,
            at: letter.letter.at,
            tries: letter.letter.tries,
            why: letter.letter.why,
        });
        Some(WebhookFile { line: line(&view), dead: dead.collect() })
    }

    fn types(&self) -> Vec<(&'static str, Vec<&'static str>)> {
        let of = |family| {
            let types = EventType::ALL.iter().filter(|one| one.family() == family);
            (family, types.map(|one| one.as_str()).collect())
        };
        EventType::families().map(of).collect()
    }

    fn act<'a>(
        &'a self,
        viewer: &'a Viewer,
        name: &'a str,
        deed: WebhookDeed,
        words: WebhookWords,
    ) -> BoxFuture<'a, Result<WebhookDone, NotDone>> {
        Box::pin(self.act(viewer, name, deed, words))
    }
}
