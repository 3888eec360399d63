//! What the console shows, and who may see it: its ports, filled from the installation.

mod address;
mod cases;
mod casework;
mod changes;
mod doors;
mod export;
mod graph;
mod moments;
mod operations;
mod own;
mod parts;
mod rules;
mod webhooks;

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use console::{
    Backup, Ban, BoxFuture, DecisionLine, Drill, Entry, EntryPage, Evidence, List, Live, NotLetIn, ROWS_MAX,
    Second, Sight, Unavailable, Viewer, Visitors,
};
use domain::{AccountId, Actor, UnixNanos};
use identity::{Change, CodeSignIn, Judged, Means, Role};
use journal::{Kind, record};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use self::{
    casework::Cabinet, changes::Waiting, doors::Doors, operations::Office, own::OwnPages, rules::RulePages,
};
use crate::{abuse, control::Response, core::Core, exit::Failure, rulebook::Rulebook};

/// Seconds of traffic shown.
const SECONDS: usize = 120;
/// Newest decisions on the live page.
const NEWEST: usize = 12;
/// Entries looked at for the newest decisions: some 10 ms of reading.
const SCAN_MAX: u64 = 20_000;
/// Entries of a kind are looked for in so many at once.
const STRIDE: u64 = 1_000;
/// Longest value of an entry that is shown, in characters.
const VALUE_CHARS_MAX: usize = 300;

/// The console of a process that serves.
pub(crate) struct Pages {
    console: console::Console,
    shown: Arc<Shown>,
    doors: Arc<Doors>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.console.fmt(f)
    }
}

impl Pages {
    /// Of an installation and its gateway.
    pub(crate) fn new(core: &Arc<Core>, gateway: &gateway::Gateway, rulebook: &Arc<Rulebook>) -> Self {
        let shown = Arc::new(Shown {
            core: Arc::clone(core),
            gateway: gateway.metrics(),
            started_at: core.clock.now(),
            seconds: Mutex::default(),
            newest: Mutex::default(),
        });
        let doors = Doors::new(Arc::clone(&core.clock));
        let turn = Arc::<tokio::sync::Mutex<()>>::default();
        let (for_guests, for_own) = (Arc::clone(core), Arc::clone(core));
        let visitors =
            Arc::new(Guests { core: for_guests, doors: Arc::clone(&doors), turn: Arc::clone(&turn) });
        let own = Arc::new(OwnPages { core: for_own, doors: Arc::clone(&doors), turn });
        let operations = Arc::new(Office { core: Arc::clone(core), started_at: shown.started_at });
        let casework = Arc::new(Cabinet { core: Arc::clone(core) });
        let changes = Arc::new(Waiting(Arc::clone(&core.requests)));
        let sight = Arc::<Shown>::clone(&shown);
        let webhooks = Arc::new(webhooks::Bells(Arc::clone(&core.webhooks)));
        let rules = Arc::new(RulePages(Arc::clone(rulebook)));
        let ports = console::Ports { sight, casework, changes, operations, own, rules, webhooks, visitors };
        let console = console::Console::new(ports);
        Self { console, shown, doors }
    }

    /// To serve them.
    pub(crate) fn router(&self) -> axum::Router {
        self.console.router()
    }

    /// From now on links are given out; `origin` is where the pages are: scheme, host and port.
    pub(crate) fn open(&self, origin: String) {
        let entrance = Entrance { doors: Arc::clone(&self.doors), origin };
        if self.shown.core.entrance.set(entrance).is_err() {
            unreachable!("an app is built once, around a core of its own");
        }
    }

    /// Counts traffic by second until the end, then ends the live pages.
    pub(crate) async fn count(self, end: impl Future<Output = ()>) {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                _ = tick.tick() => {
                    let now = self.shown.counters();
                    self.shown.seconds.lock().add(now);
                }
            }
        }
        self.console.close();
    }
}

/// The way in.
#[derive(Debug)]
pub(crate) struct Entrance {
    doors: Arc<Doors>,
    /// Scheme, host and port.
    origin: String,
}

impl Entrance {
    /// The address of the console.
    pub(crate) fn url(&self) -> String {
        format!("{}/console", self.origin)
    }

    /// A link that lets in once, and until when.
    pub(crate) fn link(
        &self,
        actor: Actor,
        roles: &[Role],
        account: Option<AccountId>,
    ) -> (String, UnixNanos) {
        let (secret, until) = self.doors.link(actor, roles, account);
        (format!("{}/enter?link={secret}", self.url()), until)
    }
}

/// Who comes by a link, and who by a passkey.
struct Guests {
    core: Arc<Core>,
    doors: Arc<Doors>,
    /// From judging a code to recording that it is used: a step is good once.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Guests {
    /// Records a sign-in; there is none without.
    async fn record(&self, change: &Change) -> Result<(), NotLetIn> {
        self.core.ground.record_identity(change, self.core.clock.now()).await.map(drop).map_err(|error| {
            tracing::error!(%error, "a sign-in cannot be recorded");
            NotLetIn::Unrecorded
        })
    }

    async fn by_link(&self, link: &str, ip: IpAddr) -> Result<String, NotLetIn> {
        let pass = self.doors.take(link)?;
        let change = Change::EnteredByLink {
            user: pass.actor.id().to_owned(),
            roles: pass.roles.clone(),
            account: pass.account.clone(),
            ip,
        };
        if let Err(error) = self.record(&change).await {
            self.doors.give_back(link, pass);
            return Err(error);
        }
        Ok(self.doors.open(pass, ip))
    }

    async fn by_code(&self, said: CodeSignIn<'_>, ip: IpAddr) -> Result<String, NotLetIn> {
        if !self.has_codes() {
            return Err(NotLetIn::Code);
        }
        let _turn = self.turn.lock().await;
        let (people, now) = (self.core.ground.people(), self.core.clock.now());
        match people.judge_code(said, ip, now) {
            Judged::Locked(change) => {
                tracing::warn!(%ip, "a way in by phrase and code is locked");
                self.record(&change).await?;
                Err(NotLetIn::Code)
            }
            Judged::Refused => {
                tracing::warn!(%ip, "a sign-in by phrase and code was refused");
                Err(NotLetIn::Code)
            }
            Judged::SignedIn(change) => {
                self.record(&change).await?;
                let means = Means::Code { approves: self.core.config.identity.totp_approvals };
                let session = people.open_session(change.about(), &crypto::random::array(), (means, ip), now);
                Ok(session.cookie.expose().clone())
            }
            Judged::TooMany => Err(NotLetIn::TooMany),
        }
    }
}

impl Visitors for Guests {
    fn enter<'a>(&'a self, link: &'a str, ip: IpAddr) -> BoxFuture<'a, Result<String, NotLetIn>> {
        Box::pin(self.by_link(link, ip))
    }

    fn enter_by_code<'a>(
        &'a self,
        said: CodeSignIn<'a>,
        ip: IpAddr,
    ) -> BoxFuture<'a, Result<String, NotLetIn>> {
        Box::pin(self.by_code(said, ip))
    }

    fn has_codes(&self) -> bool {
        self.core.config.identity.totp && self.has_passkeys()
    }

    fn viewer(&self, session: &str) -> Option<Viewer> {
        let by_passkey = || {
            let (person, _) = self.core.ground.people().session(session, self.core.clock.now())?;
            Some(Viewer { actor: person.actor, capabilities: person.capabilities, account: None })
        };
        self.doors.viewer(session).or_else(by_passkey)
    }

    fn has_passkeys(&self) -> bool {
        self.core.config.identity.origin.is_some()
    }

    fn leave<'a>(&'a self, session: &'a str) -> BoxFuture<'a, ()> {
        self.doors.leave(session);
        self.core.ground.people().end_session(session);
        Box::pin(std::future::ready(()))
    }
}

/// The installation as the console sees it.
struct Shown {
    core: Arc<Core>,
    gateway: Arc<gateway::Metrics>,
    started_at: UnixNanos,
    seconds: Mutex<Seconds>,
    newest: Mutex<Newest>,
}

/// Traffic by second.
#[derive(Default)]
struct Seconds {
    past: VecDeque<Second>,
    /// Counters at the end of the last second.
    last: Option<Second>,
}

/// The newest decisions, kept up as the journal grows.
#[derive(Default)]
struct Newest {
    lines: VecDeque<DecisionLine>,
    /// Entries looked at.
    seen: u64,
}

impl Shown {
    fn counters(&self) -> Second {
        let seen = self.gateway.snapshot();
        Second { forwarded: seen.forwarded, refused: seen.refusals.values().sum() }
    }

    /// Decisions among the entries from `from` to before `until`, oldest first. Those about erased persons are left out.
    fn decisions_between(&self, from: u64, until: u64) -> Result<Vec<DecisionLine>, Unavailable> {
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "decisions cannot be shown");
            Unavailable("Decisions cannot be read at the moment.".to_owned())
        };
        let journal = self.core.ground.journal();
        let mut reader = journal.reader(from);
        let (mut lines, mut payload) = (Vec::new(), Vec::new());
        for position in from..until {
            let Some(entry) = reader.next_ref() else { break };
            let entry = entry.map_err(|error| unavailable(&error))?;
            if entry.kind == Kind::Decision
                && journal.open_payload_into(&entry, &mut payload).map_err(|error| unavailable(&error))?
            {
                let decision = record::decode_decision(&payload).map_err(|error| unavailable(&error))?;
                lines.push(casework::line(&self.core, position, &decision));
            }
        }
        Ok(lines)
    }

    /// Looks at what was recorded since the last call.
    fn newest(&self) -> Vec<DecisionLine> {
        let mut newest = self.newest.lock();
        let size = self.core.ground.journal().size();
        let from = newest.seen.max(size.saturating_sub(SCAN_MAX));
        if let Ok(lines) = self.decisions_between(from, size) {
            newest.seen = size;
            newest.lines.extend(lines);
        }
        let surplus = newest.lines.len().saturating_sub(NEWEST);
        newest.lines.drain(..surplus);
        newest.lines.iter().rev().cloned().collect()
    }
}

impl Seconds {
    fn add(&mut self, now: Second) {
        if let Some(last) = self.last.replace(now) {
            self.past.push_back(Second {
                forwarded: now.forwarded.saturating_sub(last.forwarded),
                refused: now.refused.saturating_sub(last.refused),
            });
        }
        let surplus = self.past.len().saturating_sub(SECONDS);
        self.past.drain(..surplus);
    }

    fn shown(&self) -> Vec<Second> {
        let missing = SECONDS.saturating_sub(self.past.len());
        std::iter::repeat_n(Second::default(), missing).chain(self.past.iter().copied()).collect()
    }
}

/// A value of an entry in words; long ones are cut, since a page is not where they are read.
fn in_words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(in_words).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{}: {}", name.replace('_', " "), in_words(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// What an entry says beside its envelope, name and value.
fn entry_fields(told: Value) -> Vec<Evidence> {
    entry(&told).map(|entry| entry.fields).unwrap_or_default()
}

fn entry(told: &Value) -> Option<Entry> {
    let told = told.as_object()?;
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields = told
        .iter()
        .filter(|(name, value)| {
            !matches!(name.as_str(), "seq" | "at" | "kind" | "subject") && !value.is_null()
        })
        .map(|(name, value)| (name.clone(), in_words(value)))
        .collect();
    Some(Entry { seq: told.get("seq")?.as_u64()?, at: text("at"), kind: text("kind"), fields })
}

impl Sight for Shown {
    fn live(&self) -> Live {
        let seen = self.gateway.snapshot();
        let mut refusals: Vec<(String, u64)> =
            seen.refusals.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect();
        refusals.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let (decided, undecided) = self.core.meters.decisions();
        let (parts, faults) = parts::of(&self.core);
        Live {
            at: self.core.clock.now(),
            started_at: self.started_at,
            seconds: self.seconds.lock().shown(),
            requests: seen.requests,
            forwarded: seen.forwarded,
            refusals,
            decided,
            undecided,
            parts,
            faults,
            decisions: tokio::task::block_in_place(|| self.newest()),
            entries: self.core.ground.journal().size(),
            bans: self.core.bans.get().map_or(0, |bans| abuse::list(bans).len()),
        }
    }

    fn bans(&self) -> Vec<Ban> {
        let Some(bans) = self.core.bans.get() else { return Vec::new() };
        let mut listed = abuse::list(bans);
        listed.sort_by(|a, b| b.since.cmp(&a.since));
        listed
            .into_iter()
            .take(ROWS_MAX)
            .map(|ban| Ban {
                target: ban.target,
                reason: ban.reason,
                evidence: BTreeMap::into_iter(ban.evidence).collect(),
                since: ban.since,
                until: ban.until,
                in_force: ban.in_force,
            })
            .collect()
    }

    fn lists(&self) -> Vec<List> {
        let listed = self.core.lists().into_iter();
        listed
            .map(|list| List { name: list.name, addresses: list.addresses, imported_at: list.imported_at })
            .collect()
    }

    fn backup(&self) -> BoxFuture<'_, Backup> {
        Box::pin(async move {
            let state = tokio::task::block_in_place(|| self.core.backup_state());
            Backup {
                target: state.target,
                entries: state.entries,
                entries_shipped: state.entries_shipped,
                shipped_at: state.shipped_at,
                last_drill: state.last_drill.map(|drill| Drill {
                    ok: drill.ok,
                    entries: drill.entries,
                    at: drill.at,
                    took_ms: drill.took_ms,
                    detail: drill.detail,
                }),
            }
        })
    }

    fn entries<'a>(
        &'a self,
        from: Option<u64>,
        kind: Option<&'a str>,
    ) -> BoxFuture<'a, Result<EntryPage, Unavailable>> {
        Box::pin(async move {
            let size = self.core.ground.journal().size();
            let kind = kind.and_then(|name| Kind::ALL.into_iter().find(|kind| kind.as_str() == name));
            let from = from.map(|from| from.min(size));
            let read = tokio::task::block_in_place(|| entries_of(&self.core, from, size, kind));
            match read {
                Ok((entries, from)) => Ok(EntryPage {
                    entries: entries.iter().filter_map(entry).collect(),
                    from,
                    size,
                    kind: kind.map(Kind::as_str).unwrap_or_default().to_owned(),
                    kinds: Kind::ALL.map(Kind::as_str).to_vec(),
                }),
                Err(failure) => {
                    tracing::error!(%failure, "entries cannot be shown");
                    Err(Unavailable("The journal cannot be read at the moment.".to_owned()))
                }
            }
        })
    }
}

/// Entries of a kind from a place on, or the newest, and where the page begins; at most a page of them.
fn entries_of(
    core: &Core,
    from: Option<u64>,
    size: u64,
    kind: Option<Kind>,
) -> Result<(Vec<Value>, u64), Failure> {
    let rows = u64::try_from(ROWS_MAX).unwrap_or(u64::MAX);
    let Some(kind) = kind else {
        let from = from.unwrap_or_else(|| size.saturating_sub(rows));
        return read_entries(core, from, &[], rows).map(|entries| (entries, from));
    };
    let kinds = [kind.as_str().to_owned()];
    let mut found = Vec::new();
    let Some(from) = from else {
        let (mut at, floor) = (size, size.saturating_sub(SCAN_MAX));
        while at > floor && found.len() < ROWS_MAX {
            let earlier = at.saturating_sub(STRIDE).max(floor);
            let mut more = read_entries(core, earlier, &kinds, at - earlier)?;
            more.append(&mut found);
            (found, at) = (more, earlier);
        }
        let surplus = found.len().saturating_sub(ROWS_MAX);
        found.drain(..surplus);
        let first = found.first().and_then(|entry| entry.get("seq")).and_then(Value::as_u64);
        return Ok((found, if surplus > 0 { first.unwrap_or(at) } else { at }));
    };
    let (mut at, end) = (from, size.min(from.saturating_add(SCAN_MAX)));
    while at < end && found.len() < ROWS_MAX {
        let stride = STRIDE.min(end - at);
        found.extend(read_entries(core, at, &kinds, stride)?);
        at += stride;
    }
    found.truncate(ROWS_MAX);
    Ok((found, from))
}

fn read_entries(core: &Core, from: u64, kinds: &[String], entries_max: u64) -> Result<Vec<Value>, Failure> {
    match core.entries(from, kinds, entries_max, false)? {
        Response::Entries { entries, .. } => Ok(entries),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_are_differences_and_the_oldest_fall_out() {
        let mut seconds = Seconds::default();
        for n in 0..=300 {
            seconds.add(Second { forwarded: n * n, refused: n });
        }
        let shown = seconds.shown();
        assert_eq!(shown.len(), SECONDS);
        assert_eq!(shown.last(), Some(&Second { forwarded: 599, refused: 1 }));
        // Counters that begin anew are no negative traffic.
        seconds.add(Second::default());
        assert_eq!(seconds.shown().last(), Some(&Second::default()));
    }

    #[test]
    fn entries_are_told_in_words_and_long_values_cut() {
        let told = json!({
            "seq": 7, "at": "2026-01-02T03:04:05Z", "kind": "decision", "subject": "ab",
            "reasons": [{ "code": "watch.sanctioned", "shadow": false, "none": null }], "nothing": null,
            "long": "\u{e4}".repeat(1_000),
        });
        let entry = entry(&told).unwrap();
        assert_eq!((entry.seq, entry.kind.as_str()), (7, "decision"));
        let value = |name: &str| entry.fields.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!(value("reasons"), "code: watch.sanctioned, shadow: false");
        assert_eq!(value("long").chars().count(), VALUE_CHARS_MAX + 3);
        assert_eq!(entry.fields.len(), 2);
    }
}
