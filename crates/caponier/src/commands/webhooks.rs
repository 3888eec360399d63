//! `caponier webhooks`: what the command line says, as a request.

use std::path::Path;

use serde_json::json;
use webhook::EventType;

use crate::{
    cli::webhooks::{Add, Change, WebhooksCommand},
    control::{Request, WebhookWork},
    exit::Failure,
    secret_file,
};

/// Shortest text of a key.
const KEY_CHARS_MIN: usize = 32;

/// Prints what endpoints can be told of.
pub(super) fn types(json: bool) {
    for one in EventType::ALL {
        let name = one.as_str();
        crate::output::line(&if json { json!({ "type": name }).to_string() } else { name.to_owned() });
    }
}

fn key(file: Option<&Path>) -> Result<Option<String>, Failure> {
    file.map(|path| secret_file::read_line(path, KEY_CHARS_MIN).map(|key| key.expose().clone())).transpose()
}

/// The request behind a command. Nobody is named where nothing is changed.
pub(super) fn request(command: WebhooksCommand) -> Result<Request, Failure> {
    let (by, work) = match command {
        WebhooksCommand::Add(Add { name, url, events, scheme, accounts, key_file, by }) => {
            let key = key(key_file.as_deref())?;
            (by, WebhookWork::Add { name, url, events, scheme, accounts, key })
        }
        WebhooksCommand::Change(Change { name, url, events, accounts, by }) => {
            (by, WebhookWork::Change { name, url, events, accounts, enabled: None, skip: false })
        }
        WebhooksCommand::DeadLetters { name } => (String::new(), WebhookWork::DeadLetters { name }),
        WebhooksCommand::Discard { name, message, by } => (by, WebhookWork::Discard { name, message }),
        WebhooksCommand::Enable { name, skip, by } => (by, state(name, true, skip)),
        WebhooksCommand::List | WebhooksCommand::Types => (String::new(), WebhookWork::List),
        WebhooksCommand::Pause { name, by } => (by, state(name, false, false)),
        WebhooksCommand::Remove { name, by } => (by, WebhookWork::Remove { name }),
        WebhooksCommand::Replay { name, message, by } => (by, WebhookWork::Replay { name, message }),
        WebhooksCommand::Rotate { name, overlap_hours, key_file, by } => {
            (by, WebhookWork::Rotate { name, key: key(key_file.as_deref())?, overlap_hours })
        }
        WebhooksCommand::Test { name } => (String::new(), WebhookWork::Test { name }),
    };
    Ok(Request::Webhooks { by, work })
}

const fn state(name: String, enabled: bool, skip: bool) -> WebhookWork {
    WebhookWork::Change { name, url: None, events: None, accounts: None, enabled: Some(enabled), skip }
}
