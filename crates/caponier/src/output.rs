//! What the user reads: text for people, one JSON object for programs, progress on a terminal.

mod cases;
mod changes;
mod emergency;
mod webhooks;

use std::io::{IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::{
    control::{
        BackupState, ChainStatus, DrillResult, ImportedList, ListDiff, ListedApp, ListedBan, ListedGrant,
        ListedKey, ListedService, ListedUser, Rescreened, Response, ShownKey,
    },
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
        Response::Screened(value)
        | Response::Explained(value)
        | Response::Fraud(value)
        | Response::Suspects(value)
        | Response::Appeals(value)
        | Response::Appeal(value)
        | Response::Cases(value)
        | Response::Case(value)
        | Response::Emergency(value)
        | Response::Webhooks(value)
        | Response::Alerts(value) => value.clone(),
        Response::Receipt(text) => serde_json::json!({"receipt": text}),
        Response::Learned(text) | Response::BansExported(text) => {
            serde_json::from_str(text).unwrap_or(Value::Null)
        }
        Response::TagPack(text) => serde_json::json!({"tagpack": text}),
        Response::Keys(keys) => serde_json::json!({"keys": keys}),
        Response::Lists(lists) => serde_json::json!({"lists": lists}),
        Response::Apps(apps) => serde_json::json!({"apps": apps}),
        Response::People(people) => serde_json::json!({"users": people}),
        Response::Services(services) => serde_json::json!({"services": services}),
        Response::Grants(grants) => serde_json::json!({"grants": grants}),
        Response::Bans(bans) => serde_json::json!({"bans": bans}),
        Response::Chains(chains) => serde_json::json!({"chains": chains}),
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

/// Until when a secret is good, or what has to happen first.
fn until(expires_at: &Option<String>, change: &Option<String>) -> String {
    match (expires_at, change) {
        (_, Some(change)) => format!("good when somebody else has approved {change}"),
        (Some(at), None) => format!("until {at}"),
        (None, None) => "without an end".to_owned(),
    }
}

/// A response for people.
pub(crate) fn response_text(response: &Response) -> String {
    match response {
        Response::KeyCreated(key) => format!(
            "API key      {}\nsecret       {}\npassphrase   {}\naccount      {}\n\nThe secret is shown only now.",
            key.key, key.secret, key.passphrase, key.account
        ),
        Response::KeyRegistered(key) => {
            format!("API key      {}\nalgorithm    {}\naccount      {}", key.key, key.algorithm, key.account)
        }
        Response::KeyShown(key) => shown_key_text(key),
        Response::Keys(keys) if keys.is_empty() => "no API keys".to_owned(),
        Response::Keys(keys) => keys.iter().map(key_text).collect::<Vec<_>>().join("\n"),
        Response::KeyChanged { key, state } => format!("API key {key} is {state}"),
        Response::AppCreated(app) => format!("created {}", app_text(app)),
        Response::Apps(apps) if apps.is_empty() => "no apps".to_owned(),
        Response::Apps(apps) => apps.iter().map(app_text).collect::<Vec<_>>().join("\n"),
        Response::AppRevoked { client_id } => format!("app {client_id} is revoked, with all grants to it"),
        Response::Invited(invited) => {
            format!(
                "{} stores a passkey at {}, once, {}",
                invited.user,
                invited.link,
                until(&invited.expires_at, &invited.change)
            )
        }
        Response::People(people) if people.is_empty() => "no persons".to_owned(),
        Response::People(people) => people.iter().map(user_text).collect::<Vec<_>>().join("\n"),
        Response::FallbackEnded { user } => format!("{user} signs in by passkey alone"),
        Response::PersonRemoved { user } => format!("{user} is removed, with passkeys and sessions"),
        Response::RolesSet { user, roles } => format!("{user} has the roles {}", or_none(roles)),
        Response::ServiceCreated(service) => {
            let until = until(&service.expires_at, &service.change);
            format!("token of {}, {until}: {}", service.service, service.token)
        }
        Response::Services(services) if services.is_empty() => "no programs".to_owned(),
        Response::Services(services) => services.iter().map(service_text).collect::<Vec<_>>().join("\n"),
        Response::ServiceRevoked { name } => format!("the token of {name} is revoked"),
        Response::Grants(grants) if grants.is_empty() => "no grants".to_owned(),
        Response::Grants(grants) => grants.iter().map(grant_text).collect::<Vec<_>>().join("\n"),
        Response::GrantRevoked { grant } => format!("grant {grant} is revoked, with all its tokens"),
        Response::KekRotated { from, to, rows } => {
            format!("key-encryption key version {from} replaced by {to}; {rows} data keys rewrapped")
        }
        Response::SubjectErased { account } => {
            format!("account {account} is erased: its payloads are unreadable, its entries still verify")
        }
        Response::ListImported(list) => {
            format!("imported {}{}", list_text(list), rescreened_text(list.rescreened))
        }
        Response::Lists(lists) if lists.is_empty() => "no lists".to_owned(),
        Response::Lists(lists) => lists.iter().map(list_text).collect::<Vec<_>>().join("\n"),
        Response::ListUpdated(list) => format!(
            "{}: {} added, {} removed ({} were listed); {} listed, {} changes since the last whole import{}",
            list.name,
            list.added,
            list.removed,
            list.removed_listed,
            list.listed,
            list.changes,
            rescreened_text(list.rescreened)
        ),
        Response::ListRemoved(list) => match list.listed {
            Some(listed) => format!(
                "{} is out of force, with the {listed} addresses it named{}",
                list.name,
                rescreened_text(list.rescreened)
            ),
            None => format!("{} was missing and is no longer expected", list.name),
        },
        Response::ListDiff(diff) => diff_text(diff),
        Response::Changes(value) => changes::list_text(value),
        Response::Change(value) => changes::one_text(value),
        Response::Suspects(value) => suspects_text(value),
        Response::SuspectCleared { address } => {
            format!("{address} is cleared: no model suspects it any more")
        }
        Response::Appeals(value) => cases::appeals_text(value),
        Response::Appeal(value) => cases::appeal_text(value),
        Response::Cases(value) => cases::list_text(value),
        Response::Case(value) => cases::case_text(value),
        Response::Emergency(value) => emergency::text(value),
        Response::Webhooks(value) => webhooks::text(value),
        Response::Alerts(value) => cases::alerts_text(value),
        Response::Screened(value) => screened_text(value),
        Response::ScreenedAll(values) => values.iter().map(screened_text).collect::<Vec<_>>().join("\n"),
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
        Response::Chains(chains) if chains.is_empty() => "no chain is configured".to_owned(),
        Response::Chains(chains) => chains.iter().map(chain_text).collect::<Vec<_>>().join("\n"),
        Response::ConsoleLink { url, until } => format!("{url}\ngood for one sign-in until {until}"),
        Response::Bans(bans) if bans.is_empty() => "nobody is banned".to_owned(),
        Response::Bans(bans) => bans.iter().map(ban_text).collect::<Vec<_>>().join("\n"),
        Response::Banned(ban) => ban_text(ban),
        Response::BanLifted { target, lifted: true } => format!("{target} is let in again"),
        Response::BanLifted { target, lifted: false } => format!("{target} was not banned"),
        Response::BansImported(imported) => {
            format!("{} banned, {} lifted, {} skipped", imported.banned, imported.lifted, imported.skipped)
        }
        Response::Fraud(value) => fraud_text(value),
        Response::Entries { entries, .. } => {
            entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
        }
    }
}

fn suspects_text(value: &Value) -> String {
    let Some(suspects) = value.get("suspects").and_then(Value::as_array).filter(|all| !all.is_empty()) else {
        return "nobody is suspected".to_owned();
    };
    let lines = suspects.iter().map(|suspect| {
        let text = |name: &str| suspect[name].as_str().unwrap_or_default();
        let reasons = suspect["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
        format!(
            "{} {} block {} probability {} entry {}: {}",
            text("address"),
            text("chain"),
            suspect["height"],
            suspect["probability"],
            suspect["entry"],
            reasons.collect::<Vec<_>>().join("; ")
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A list a line each, anything else as it is.
fn fraud_text(value: &Value) -> String {
    match value.get("letters").and_then(Value::as_array) {
        Some(letters) if letters.is_empty() => "no line was refused".to_owned(),
        Some(letters) => letters.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"),
        None => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

fn chain_text(chain: &ChainStatus) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut text = format!(
        "{}  {}  height {} of {}  final {}  lag {}  reorgs {} (deepest {})  alerts {} ({} retracted, {} waiting)",
        chain.chain,
        chain.phase,
        number(chain.height),
        number(chain.head_height),
        number(chain.finalized),
        number(chain.lag_blocks),
        chain.reorgs,
        chain.reorg_depth_max,
        chain.alerts,
        chain.alerts_retracted,
        chain.alerts_waiting
    );
    if let Some(error) = &chain.last_error {
        text.push_str("\n  last error: ");
        text.push_str(error);
    }
    text
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn user_text(user: &ListedUser) -> String {
    let ListedUser { user, roles, passkeys, invited_until, signed_in_at, fallback } = user;
    let mut text = format!("{user}  roles {}  passkeys {passkeys}", or_none(roles));
    if let Some(until) = invited_until {
        text.push_str(&format!("  invited until {until}"));
    }
    if let Some(at) = signed_in_at {
        text.push_str(&format!("  signed in {at}"));
    }
    if fallback != "none" {
        text.push_str(&format!("  phrase and code {fallback}"));
    }
    text
}

fn service_text(service: &ListedService) -> String {
    let ListedService { service, capabilities, ips, expires_at, .. } = service;
    let ips = if ips.is_empty() { "anywhere".to_owned() } else { ips.join(", ") };
    format!("{service}  may {}  from {ips}  until {expires_at}", capabilities.join(", "))
}

fn app_text(app: &ListedApp) -> String {
    format!(
        "{}  {:?}  {}  {}  {}  registered {}",
        app.client_id,
        app.name,
        app.scopes.replace(' ', "+"),
        app.state,
        app.redirect_uris.join(","),
        app.registered_at
    )
}

fn grant_text(grant: &ListedGrant) -> String {
    let mut text = format!(
        "{}  {}  {}  {}  {}  until {}  last used {}",
        grant.grant,
        grant.client_id,
        grant.account,
        grant.scopes.replace(' ', "+"),
        grant.environment,
        grant.expires_at,
        grant.last_used_at.as_deref().unwrap_or("not since the start")
    );
    for (name, value) in &grant.restrictions {
        text.push_str(&format!("\n    {name}: {value}"));
    }
    text
}

fn ban_text(ban: &ListedBan) -> String {
    let shadow = if ban.in_force { "" } else { " (shadow)" };
    let by = ban.by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
    format!("{}  {}{by}  until {}{shadow}", ban.target, ban.reason, ban.until)
}

fn key_text(key: &ListedKey) -> String {
    let Some(created_at) = &key.created_at else { return format!("{}  {}", key.key, key.state) };
    let ips = if key.ips.is_empty() { "any address".to_owned() } else { key.ips.join(",") };
    format!(
        "{}  {}  {}  {}  {}  {}{}  created {created_at}  last used {}",
        key.key,
        key.account,
        key.permissions.join("+"),
        key.state,
        key.environment,
        ips,
        if key.restricted { "  restricted" } else { "" },
        key.last_used_at.as_deref().unwrap_or("never")
    )
}

fn shown_key_text(key: &ShownKey) -> String {
    let mut text = key_text(&key.listed);
    let mut part = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("\n  {name:<16}{value}"));
        }
    };
    let words = &key.restrictions;
    part("scheme", key.listed.scheme.clone());
    part("endpoints", words.endpoints.join(", "));
    part("instruments", words.instruments.join(", "));
    let asset = words.notional_asset.as_deref().unwrap_or_default();
    let amount = |amount: &Option<String>| amount.as_ref().map(|amount| format!("{amount} {asset}"));
    part("order at most", amount(&words.order_max).unwrap_or_default());
    let spent = key.day_spent.as_ref().map(|spent| format!(", {spent} used")).unwrap_or_default();
    part("day at most", amount(&words.day_max).map(|most| most + &spent).unwrap_or_default());
    part("transfers", words.transfers.join(", "));
    part("withdraws to", words.destinations.join(", "));
    part("hours (UTC)", words.hours.join("; "));
    part("restricted at", key.restricted_at.clone().unwrap_or_default());
    part("withdraws from", key.may_withdraw_from.clone().unwrap_or_default());
    for act in &key.acts {
        part(&act.what, format!("{} by {}", act.at, act.by.as_deref().unwrap_or("nobody who is named")));
    }
    let software = |ja4: &Option<String>| ja4.as_ref().map(|ja4| format!(" {ja4}")).unwrap_or_default();
    for last in &key.last_uses {
        part("used", format!("{} {} from {}{}", last.at, last.permission, last.ip, software(&last.ja4)));
    }
    for known in &key.known_from {
        let suspect = if known.suspect { ", suspect" } else { "" };
        let software = software(&known.ja4);
        part("known from", format!("{}{software}, last {}{suspect}", known.network, known.last_used_at));
    }
    text
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

fn rescreened_text(rescreened: Option<Rescreened>) -> String {
    match rescreened {
        Some(Rescreened { transfers, answers, chain_alerts, raised, retracted })
            if transfers + answers + chain_alerts > 0 =>
        {
            format!(
                "; {transfers} past transfers, {answers} answers and {chain_alerts} alerts of chains scored again: {raised} \
                 alerts raised, {retracted} retracted"
            )
        }
        _ => String::new(),
    }
}

fn diff_text(diff: &ListDiff) -> String {
    let ListDiff { name, added, removed, changed, stricter, milder, first } = diff;
    let mut text = format!(
        "{name}: {added} addresses added, {removed} removed, {changed} changed; {stricter} judged more strictly, {milder} less"
    );
    let words = |claimed: &Option<(String, String)>| match claimed {
        Some((category, verdict)) => format!("{category} ({verdict})"),
        None => "not listed".to_owned(),
    };
    for difference in first {
        let (before, after) = (words(&difference.before), words(&difference.after));
        text.push_str(&format!("\n  {}: {before} -> {after}", difference.address));
    }
    let told = u64::try_from(first.len()).unwrap_or(u64::MAX);
    if added + removed + changed > told {
        text.push_str(&format!("\n  and {} more", added + removed + changed - told));
    }
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
    for exposed in array(value, "exposed") {
        let share = |name| exposed.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        text.push_str(&format!(
            "\n  {:.1} % of what it {} on {} is of {} holders, over {} or more transfers, such as {}{}",
            (share("direct") + share("indirect")) * 100.0,
            text_of(exposed, "direction"),
            text_of(exposed, "chain"),
            text_of(exposed, "category"),
            exposed.get("hops").and_then(Value::as_u64).unwrap_or(0),
            text_of(exposed, "listed_address"),
            if exposed.get("shadow").and_then(Value::as_bool) == Some(true) {
                " (only reported)"
            } else {
                ""
            },
        ));
    }
    for seen in array(value, "seen") {
        text.push_str(&format!(
            "\n  first seen on {} at {}",
            text_of(seen, "chain"),
            text_of(seen, "first_seen")
        ));
        if let Some(cluster) = seen.get("cluster").filter(|cluster| !cluster.is_null()) {
            let members = cluster.get("members").and_then(Value::as_u64).unwrap_or(0);
            text.push_str(&format!("; one of {members} addresses that spent together"));
            if let Some(member) = cluster.get("listed_member").and_then(Value::as_str) {
                text.push_str(&format!(", of which {member} is listed as {}", text_of(cluster, "category")));
            }
        }
        for shared in array(seen, "shared_deposits") {
            let others: Vec<&str> = array(shared, "others").iter().filter_map(Value::as_str).collect();
            text.push_str(&format!(
                "\n  pays {}, a deposit address of the exchange {}, as {} does: that may be one person",
                text_of(shared, "deposit_address"),
                text_of(shared, "exchange"),
                others.join(", "),
            ));
        }
    }
    for knowledge in array(value, "knowledge") {
        let block = knowledge.get("block").and_then(Value::as_u64);
        let known = block.map_or_else(|| "no block yet".to_owned(), |block| format!("up to block {block}"));
        let stale = knowledge.get("is_stale").and_then(Value::as_bool) == Some(true);
        let (chain, stale) = (text_of(knowledge, "chain"), if stale { ", which is old" } else { "" });
        text.push_str(&format!("\n  chain {chain}: known {known}{stale}"));
    }
    if value.get("lists").is_none() {
        return text;
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
    if let Some(review) = value.get("review") {
        text.push_str(&format!("\n  {}", cases::review_text(review)));
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
