//! What operators see and do in the console, over the installation.
//!
//! What an entry of its own kind does not say, who and why, is said by an entry of kind `lifecycle` before it is done, so
//! that nothing done here is without a name.

use std::{sync::Arc, time::Duration};

use api::{Emergencies as _, FrozenScope};
use auth::{KeyChange, KeySummary, Permission};
use console::{
    BanDeed, BoxFuture, Checked, Emergency, Guarded, Health, KeyDeed, KeyFile, KeyLine, NotDone, Operations,
    Proposed, ROWS_MAX, Setting, StopDeed, Stopped, Tone,
};
use decide::FreezeScope;
use domain::{AccountId, Actor, ApiKeyId, UnixNanos};
use journal::record::LifecycleEvent;

use crate::{
    abuse,
    commands::doctor,
    control::{Request, Response},
    core::Core,
    emergency::Brake,
};

/// A key nobody has used for so long is worth a look.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Longest ban by hand, in minutes: a year.
const BAN_MINUTES_MAX: u64 = 365 * 24 * 60;

/// Over an installation.
pub(super) struct Office {
    pub(super) core: Arc<Core>,
    pub(super) started_at: UnixNanos,
}

fn not_done(error: &dyn std::fmt::Display) -> NotDone {
    NotDone(error.to_string())
}

fn checked(reason: String) -> Result<String, NotDone> {
    if api::is_reason(&reason) {
        Ok(reason)
    } else {
        Err(NotDone("a reason is needed, of one line".to_owned()))
    }
}

fn scope(text: &str) -> Result<FreezeScope, NotDone> {
    text.parse().map_err(|error: decide::MalformedFreezeScope| not_done(&error))
}

async fn stop(brake: &Brake, actor: Actor, deed: StopDeed) -> Result<(), NotDone> {
    let done = match deed {
        StopDeed::Approve { scope: text, number } => brake.approve(actor, scope(&text)?, number).await,
        StopDeed::Decline { scope: text, number, reason } => {
            brake.decline(actor, scope(&text)?, number, checked(reason)?).await
        }
        StopDeed::EndAlarm { reason } => brake.end_alarm(actor, checked(reason)?).await,
        StopDeed::Freeze { scope: text, reason } => {
            brake.freeze(actor, scope(&text)?, checked(reason)?).await
        }
        StopDeed::Propose { scope: text, reason } => {
            brake.propose(actor, scope(&text)?, checked(reason)?).await
        }
        StopDeed::RaiseAlarm { minutes, reason } => {
            if !(1..=api::ALARM_MINUTES_MAX).contains(&minutes) {
                return Err(NotDone(format!("an alarm lasts 1 to {} minutes", api::ALARM_MINUTES_MAX)));
            }
            brake.raise_alarm(actor, minutes, checked(reason)?).await
        }
    };
    done.map(drop).map_err(|error| not_done(&error))
}

fn stopped(frozen: FrozenScope) -> Stopped {
    let FrozenScope { freeze, proposal } = frozen;
    Stopped {
        scope: freeze.scope.to_string(),
        is_account: matches!(freeze.scope, FreezeScope::Account(_)),
        at: freeze.at,
        by: freeze.by.to_string(),
        reason: freeze.reason,
        proposal: proposal.map(|open| Proposed {
            number: open.position,
            by: open.by.to_string(),
            reason: open.reason,
            until: open.until,
        }),
    }
}

/// A value without what opens something: of an address no more than scheme, host and port, since nodes take their passwords
/// before the host and their keys behind it.
fn without_secrets(value: &str) -> String {
    let (mut told, mut rest) = (String::with_capacity(value.len()), value);
    while let Some((before, after)) = rest.split_once("://") {
        told.push_str(before);
        told.push_str("://");
        let end = after.find(['"', '\'', ' ', ',', '\n']).unwrap_or(after.len());
        let (url, next) = after.split_at(end);
        let host_end = url.find(['/', '?', '#']).unwrap_or(url.len());
        let (authority, path) = url.split_at(host_end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                told.push_str("(not shown)@");
                told.push_str(host);
            }
            None => told.push_str(authority),
        }
        if path.trim_matches('/').is_empty() {
            told.push_str(path);
        } else {
            told.push_str("/(not shown)");
        }
        rest = next;
    }
    told.push_str(rest);
    told
}

impl Office {
    /// Records who does what and why, before it is done.
    async fn sign(&self, actor: &Actor, what: &str, reason: String) -> Result<(), NotDone> {
        let reason = checked(reason)?;
        let detail = format!("{actor}: {what}: {reason}");
        let recorded = self.core.record_lifecycle(LifecycleEvent::Reconfigured, &detail).await;
        recorded.map_err(|failure| not_done(&failure))
    }

    /// What is worth a look about a key.
    fn remarks(&self, key: &KeySummary, now: UnixNanos) -> Vec<String> {
        let mut remarks = Vec::new();
        if key.permissions.contains(Permission::Withdraw) && key.ip_allow.entries().next().is_none() {
            remarks.push("withdraws from any address".to_owned());
        }
        let since = key.last_used_at.unwrap_or(key.created_at);
        if now.since(since) > UNUSED_AFTER {
            remarks.push(
                if key.last_used_at.is_some() { "unused for 90 days" } else { "never used" }.to_owned(),
            );
        }
        if self.core.ground.registry().known_pairs(&key.id).iter().any(|known| known.suspect) {
            remarks.push("used from somewhere new".to_owned());
        }
        remarks
    }

    fn line(&self, key: &KeySummary, now: UnixNanos) -> KeyLine {
        KeyLine {
            id: key.id.to_string(),
            account: key.account.to_string(),
            label: key.label.clone(),
            permissions: key.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
            ips: key.ip_allow.entries().map(|entry| entry.to_string()).collect(),
            state: key.state.as_str().to_owned(),
            created_at: Some(key.created_at.to_string()),
            last_used_at: key.last_used_at.map(|at| at.to_string()),
            remarks: self.remarks(key, now),
        }
    }

    async fn do_with_key(
        &self,
        actor: Actor,
        id: &str,
        deed: KeyDeed,
        reason: String,
    ) -> Result<(), NotDone> {
        let unknown = || NotDone("there is no such key, or it was revoked".to_owned());
        let id = ApiKeyId::parse(id).map_err(|_| unknown())?;
        let key = self.core.ground.registry().summary(&id).ok_or_else(unknown)?;
        let at = self.core.clock.now();
        let (word, change) = match deed {
            KeyDeed::Freeze => ("suspends", KeyChange::Frozen { id, at }),
            KeyDeed::Revoke => ("revokes", KeyChange::Revoked { id, at }),
            KeyDeed::Unfreeze => ("lets work again", KeyChange::Unfrozen { id, at }),
        };
        // Of the key no more than its ends: the entry is nobody's, and is not erased with its account.
        let ends: String = key.id.as_str().chars().take(4).collect();
        self.sign(&actor, &format!("{word} API key {ends}..."), reason).await?;
        let recorded = self.core.ground.record_key_change(key.account, &change, Some(actor), at).await;
        recorded.map(drop).map_err(|error| not_done(&error))
    }

    async fn do_with_ban(&self, actor: Actor, deed: BanDeed, reason: String) -> Result<(), NotDone> {
        let bans = self.core.bans.get().ok_or_else(|| NotDone("no gateway serves".to_owned()))?;
        match deed {
            BanDeed::Ban { target, minutes } => {
                if !(1..=BAN_MINUTES_MAX).contains(&minutes) {
                    return Err(NotDone(format!("a ban lasts 1 to {BAN_MINUTES_MAX} minutes")));
                }
                abuse::is_target(&target).map_err(|failure| not_done(&failure))?;
                self.sign(&actor, &format!("bans a source for {minutes} min"), reason).await?;
                abuse::add(bans, (&target, None), minutes, actor)
                    .map(drop)
                    .map_err(|failure| not_done(&failure))
            }
            BanDeed::Lift { target } => {
                let (net, key) = abuse::as_listed(&target);
                abuse::is_target(net).map_err(|failure| not_done(&failure))?;
                self.sign(&actor, "lets a source in again", "by hand".to_owned()).await?;
                match abuse::lift(bans, (net, key), &actor) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(NotDone("that ban has ended already".to_owned())),
                    Err(failure) => Err(not_done(&failure)),
                }
            }
        }
    }

    async fn look(&self) -> Health {
        let core = &self.core;
        let now = core.clock.now();
        let config = core.reload.get().map_or_else(|| core.config.clone(), |reload| reload.config());
        let mut found: Vec<Checked> = doctor::examine(&config)
            .await
            .into_iter()
            .map(|(what, grade, words)| {
                let tone = match grade {
                    "ok" => Tone::Good,
                    "look" => Tone::Warn,
                    _ => Tone::Bad,
                };
                Checked { what: what.to_owned(), tone, words }
            })
            .collect();
        found.sort_by_key(|checked| match checked.tone {
            Tone::Bad => 0,
            Tone::Warn => 1,
            _ => 2,
        });
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let mut facts = vec![
            pair("version", env!("CARGO_PKG_VERSION").to_owned()),
            pair("serving since", self.started_at.to_string()),
            pair("clock", now.to_string()),
            pair("journal entries", core.ground.journal().size().to_string()),
            pair("API keys", core.ground.registry().len().to_string()),
        ];
        for list in core.lists() {
            facts.push(pair(&format!("list {}", list.name), format!("imported {}", list.imported_at)));
        }
        if let Ok(Response::Chains(chains)) = core.handle(Request::ChainsStatus, &mut |_, _, _| ()).await {
            for chain in chains {
                facts.push(pair(&format!("chain {}", chain.chain), chain.phase.replace('_', " ")));
            }
        }
        let mut hasher = crypto::Sha256::new();
        for (key, value) in config.values.iter() {
            hasher.update(format!("{key} = {value}\n").as_bytes());
        }
        let settings = config.values.iter().map(|(key, value)| Setting {
            key: key.to_owned(),
            value: without_secrets(value),
            line: config.values.line(key),
        });
        let reloaded_at = match core.reloaded_at.load(std::sync::atomic::Ordering::Relaxed) {
            0 => None,
            at => Some(UnixNanos(at)),
        };
        Health {
            checked: found,
            facts,
            settings: settings.collect(),
            file: config.values.file().to_owned(),
            read_at: reloaded_at.unwrap_or(self.started_at),
            is_reloaded: reloaded_at.is_some(),
            digest: hex::encode(hasher.finish()),
        }
    }
}

impl Operations for Office {
    fn stopped(&self) -> Emergency {
        let state = self.core.brake.state();
        Emergency {
            frozen: state.freezes.into_iter().map(stopped).collect(),
            alarm: state.alarm.map(|alarm| Guarded {
                by: alarm.by.to_string(),
                reason: alarm.reason,
                until: alarm.until,
            }),
            only_looks: self.core.config.gateway.mode == gateway::Mode::Observe,
        }
    }

    fn stop(&self, actor: Actor, deed: StopDeed) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(stop(&self.core.brake, actor, deed))
    }

    fn keys(&self, account: Option<&str>) -> (Vec<KeyLine>, usize) {
        let registry = self.core.ground.registry();
        let now = self.core.clock.now();
        let summaries = match account {
            Some(account) => {
                AccountId::parse(account).map(|id| registry.summaries_of(&id)).unwrap_or_default()
            }
            None => registry.summaries(),
        };
        let more = summaries.len().saturating_sub(ROWS_MAX);
        // Newest first: of many keys those are looked at that nobody has looked at before.
        let mut summaries = summaries;
        summaries.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.id.cmp(&b.id)));
        (summaries.iter().take(ROWS_MAX).map(|key| self.line(key, now)).collect(), more)
    }

    fn key(&self, id: &str) -> Option<KeyFile> {
        let id = ApiKeyId::parse(id).ok()?;
        let summary = self.core.ground.registry().summary(&id)?;
        let shown = self.core.shown_key(summary.clone());
        let client = |ja4: Option<String>| ja4.unwrap_or_else(|| "no TLS here".to_owned());
        let mut facts = vec![
            ("scheme".to_owned(), shown.listed.scheme),
            ("environment".to_owned(), shown.listed.environment),
            ("may".to_owned(), shown.listed.permissions.join(", ")),
            (
                "bound to".to_owned(),
                if shown.listed.ips.is_empty() {
                    "any address".to_owned()
                } else {
                    shown.listed.ips.join(" ")
                },
            ),
        ];
        let optional = [
            ("created", shown.listed.created_at),
            ("last used", shown.listed.last_used_at),
            ("may withdraw from", shown.may_withdraw_from),
            ("restricted since", shown.restricted_at),
            ("asked for in 24 hours", shown.day_spent),
        ];
        facts.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let limits = serde_json::to_value(&shown.restrictions).unwrap_or_default();
        let restrictions = limits
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
            .map(|(name, value)| (name.clone(), super::in_words(value)))
            .collect();
        Some(KeyFile {
            line: self.line(&summary, self.core.clock.now()),
            facts,
            restrictions,
            uses: shown
                .last_uses
                .into_iter()
                .take(ROWS_MAX)
                .map(|last| [last.at, last.ip, client(last.ja4), last.permission])
                .collect(),
            known_from: shown
                .known_from
                .into_iter()
                .take(ROWS_MAX)
                .map(|known| ([known.network, client(known.ja4), known.last_used_at], known.suspect))
                .collect(),
        })
    }

    fn change_key<'a>(
        &'a self,
        actor: Actor,
        id: &'a str,
        deed: KeyDeed,
        reason: String,
    ) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(self.do_with_key(actor, id, deed, reason))
    }

    fn ban(&self, actor: Actor, deed: BanDeed, reason: String) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(self.do_with_ban(actor, deed, reason))
    }

    fn drill(&self, actor: Actor) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move {
            if self.core.shipper.is_none() {
                return Err(NotDone("no backup is configured".to_owned()));
            }
            self.sign(&actor, "rehearses a restore", "by hand".to_owned()).await?;
            // Like every change one at a time; somebody who leaves the page does not stop it half way.
            let core = Arc::clone(&self.core);
            let work =
                tokio::spawn(async move { core.handle(Request::BackupDrill, &mut |_, _, _| ()).await });
            match work.await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(failure)) => Err(not_done(&failure)),
                Err(error) => Err(not_done(&error)),
            }
        })
    }

    fn proof(&self, seq: u64) -> BoxFuture<'_, Result<(String, String), NotDone>> {
        Box::pin(async move {
            match self.core.handle(Request::AuditReceipt { seq }, &mut |_, _, _| ()).await {
                Ok(Response::Receipt(text)) => Ok((text, self.core.vkey())),
                Ok(_) => Err(NotDone("nothing was answered".to_owned())),
                Err(failure) => Err(not_done(&failure)),
            }
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(self.look())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_scheme_and_host_are_shown() {
        for (value, told) in [
            ("\"plain\"", "\"plain\""),
            ("\"http://127.0.0.1:8545\"", "\"http://127.0.0.1:8545\""),
            ("\"https://a.example/\"", "\"https://a.example/\""),
            ("\"http://u:CANARY@a.example:1/\"", "\"http://(not shown)@a.example:1/\""),
            ("\"https://a.example/v3/CANARY\"", "\"https://a.example/(not shown)\""),
            (
                "{ url = \"https://a.example?key=CANARY\", chain_id = 1 }",
                "{ url = \"https://a.example/(not shown)\", chain_id = 1 }",
            ),
            (
                "[\"http://x@CANARY@a\", \"ws://b/CANARY\"]",
                "[\"http://(not shown)@a\", \"ws://b/(not shown)\"]",
            ),
            ("://", "://"),
        ] {
            assert_eq!(without_secrets(value), told);
        }
    }
}
