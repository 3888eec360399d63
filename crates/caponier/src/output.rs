//! What the user reads: text for people, one JSON object for programs, progress on a terminal.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::{
    control::{BackupState, DrillResult, ImportedList, ListedBan, ListedKey, Response},
    exit::Failure,
};

/// Prints a line on standard output. A reader that went away (a closed pipe) is no concern of ours.
pub(crate) fn line(text: impl std::fmt::Display) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Prints a failure: text on standard error, or as JSON on standard output.
pub(crate) fn failure(failure: &Failure, json: bool) {
    if json {
        line(serde_json::json!({"ok": false, "exit": failure.exit.code(), "error": failure.message}));
    } else {
        drop(writeln!(std::io::stderr().lock(), "caponier: {}", failure.message));
    }
}

/// A progress bar on a terminal, nothing elsewhere.
#[derive(Debug)]
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(crate) fn new(json: bool) -> Self {
        if json || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len}") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    pub(crate) fn report(&mut self, what: &str, done: u64, total: u64) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
            bar.set_length(total.max(done));
            bar.set_position(done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// A response as one JSON object.
pub(crate) fn response_json(response: &Response) -> Value {
    let mut value = match response {
        Response::Screened(value) | Response::Explained(value) => value.clone(),
        Response::Receipt(text) => serde_json::json!({"receipt": text}),
        Response::Learned(text) | Response::BansExported(text) => {
            serde_json::from_str(text).unwrap_or(Value::Null)
        }
        Response::TagPack(text) => serde_json::json!({"tagpack": text}),
        Response::Keys(keys) => serde_json::json!({"keys": keys}),
        Response::Lists(lists) => serde_json::json!({"lists": lists}),
        Response::Bans(bans) => serde_json::json!({"bans": bans}),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|mut tagged| tagged.get_mut("value").map(Value::take))
            .unwrap_or(Value::Null),
    };
    // A document is printed as it is: something else would not be the document.
    if let (Value::Object(object), false) = (&mut value, matches!(response, Response::Learned(_))) {
        object.entry("ok").or_insert(Value::Bool(true));
    }
    value
}

/// A response for people.
pub(crate) fn response_text(response: &Response) -> String {
    match response {
        Response::KeyCreated(key) => format!(
            "API key      {}\nsecret       {}\npassphrase   {}\naccount      {}\n\nThe secret is shown only now.",
            key.key, key.secret, key.passphrase, key.account
        ),
        Response::Keys(keys) if keys.is_empty() => "no API keys".to_owned(),
        Response::Keys(keys) => keys.iter().map(key_text).collect::<Vec<_>>().join("\n"),
        Response::KeyChanged { key, state } => format!("API key {key} is {state}"),
        Response::KekRotated { from, to, rows } => {
            format!("key-encryption key version {from} replaced by {to}; {rows} data keys rewrapped")
        }
        Response::SubjectErased { account } => {
            format!("account {account} is erased: its payloads are unreadable, its entries still verify")
        }
        Response::ListImported(list) => format!("imported {}", list_text(list)),
        Response::Lists(lists) if lists.is_empty() => "no lists".to_owned(),
        Response::Lists(lists) => lists.iter().map(list_text).collect::<Vec<_>>().join("\n"),
        Response::ListUpdated(list) => format!(
            "{}: {} added, {} removed ({} were listed); {} listed, {} changes since the last whole import",
            list.name, list.added, list.removed, list.removed_listed, list.listed, list.changes
        ),
        Response::Screened(value) => screened_text(value),
        Response::Explained(value) => explained_text(value),
        Response::Receipt(text)
        | Response::Learned(text)
        | Response::BansExported(text)
        | Response::TagPack(text) => text.trim_end().to_owned(),
        Response::Backup(state) => backup_text(state),
        Response::Drilled(drill) => drill_text(drill),
        Response::Reloaded(reloaded) => {
            let listed = |keys: &[String]| if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
            let certificates = if reloaded.certificates { "; certificates read again" } else { "" };
            format!(
                "changed and in force: {}{certificates}; at the next start: {}",
                listed(&reloaded.in_force),
                listed(&reloaded.at_next_start)
            )
        }
        Response::Bans(bans) if bans.is_empty() => "nobody is banned".to_owned(),
        Response::Bans(bans) => bans.iter().map(ban_text).collect::<Vec<_>>().join("\n"),
        Response::Banned(ban) => ban_text(ban),
        Response::BanLifted { target, lifted: true } => format!("{target} is let in again"),
        Response::BanLifted { target, lifted: false } => format!("{target} was not banned"),
        Response::BansImported(imported) => {
            format!("{} banned, {} lifted, {} skipped", imported.banned, imported.lifted, imported.skipped)
        }
        Response::Entries { entries, .. } => {
            entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
        }
    }
}

fn ban_text(ban: &ListedBan) -> String {
    let shadow = if ban.in_force { "" } else { " (shadow)" };
    format!("{}  {}  until {}{shadow}", ban.target, ban.reason, ban.until)
}

fn key_text(key: &ListedKey) -> String {
    let ips = if key.ips.is_empty() { "any address".to_owned() } else { key.ips.join(",") };
    format!(
        "{}  {}  {}  {}  {}  {}  created {}  last used {}",
        key.key,
        key.account,
        key.permissions.join("+"),
        key.state,
        key.environment,
        ips,
        key.created_at,
        key.last_used_at.as_deref().unwrap_or("never")
    )
}

fn list_text(list: &ImportedList) -> String {
    let mut text = format!("{}: {} labels on {} addresses", list.name, list.labels, list.addresses);
    if list.kept_as_text > 0 {
        text.push_str(&format!(", {} kept as exact text", list.kept_as_text));
    }
    if list.skipped > 0 {
        text.push_str(&format!(", {} transaction tags skipped", list.skipped));
    }
    text.push_str(&format!(", state of {}", list.imported_at));
    text
}

fn text_of<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn array<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn screened_text(value: &Value) -> String {
    let mut text = format!("{}: {}", text_of(value, "address"), text_of(value, "verdict"));
    for label in array(value, "labels") {
        text.push_str(&format!(
            "\n  {} by list {} of {} ({}): {}",
            text_of(label, "category"),
            text_of(label, "list"),
            text_of(label, "imported_at"),
            text_of(label, "source"),
            text_of(label, "label"),
        ));
    }
    let names: Vec<&str> = array(value, "lists").iter().map(|list| text_of(list, "name")).collect();
    if names.is_empty() {
        text.push_str("\n  no lists are loaded: this says nothing about the address");
    } else {
        text.push_str(&format!("\n  lists asked: {}", names.join(", ")));
    }
    text
}

fn explained_text(value: &Value) -> String {
    let mut text = format!("{}: {}", text_of(value, "id"), text_of(value, "verdict"));
    for reason in array(value, "reasons") {
        let shadow =
            if reason.get("shadow").and_then(Value::as_bool) == Some(true) { " (shadow)" } else { "" };
        text.push_str(&format!(
            "\n  {} {}{shadow}: {}",
            text_of(reason, "verdict"),
            text_of(reason, "code"),
            text_of(reason, "message")
        ));
        if let Some(Value::Object(evidence)) = reason.get("evidence") {
            for (name, value) in evidence {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.push_str(&format!("\n      {name} = {value}"));
            }
        }
        if let Some(would) = reason.get("would_pass_if").and_then(Value::as_str) {
            text.push_str(&format!("\n      would pass if {would}"));
        }
    }
    text
}

fn backup_text(state: &BackupState) -> String {
    let Some(target) = &state.target else { return "no backup is configured".to_owned() };
    let mut text = format!(
        "target        {target}\nentries       {} in the journal, {} in the copy\nshipped at    {}",
        state.entries,
        state.entries_shipped,
        state.shipped_at.as_deref().unwrap_or("never")
    );
    match &state.last_drill {
        Some(drill) => text.push_str(&format!("\nlast drill    {}", drill_text(drill))),
        None => text.push_str("\nlast drill    never"),
    }
    text
}

fn drill_text(drill: &DrillResult) -> String {
    format!(
        "{} at {}: {} entries restored in {} ms, {}",
        if drill.ok { "passed" } else { "FAILED" },
        drill.at,
        drill.entries,
        drill.took_ms,
        drill.detail
    )
}
