//! What people see of their own in the console: their sessions, the way in without a passkey, the account they develop for.

use std::{net::IpAddr, sync::Arc};

use api::{AppealAgainst, AppealFile, AppealFilter, Appeals as _, NewAppeal};
use console::{
    BoxFuture, DecisionFilter, NotDone, Operations as _, Own, ROWS_MAX, Retry, Unavailable, Viewer,
    own::{OwnAccount, OwnAppeal, OwnSessions, RefusedLine, SessionLine},
};
use domain::{AccountId, Decision, FindingSource, UnixNanos, Verdict};
use fraud::cases::Against;
use identity::{Capability, Change, Desk, FallbackOffer, FallbackState, Refused};
use journal::{
    Kind,
    record::{LifecycleEvent, Refusals},
};

use super::{
    SCAN_MAX, cases,
    casework::{self, Cabinet},
    doors::{self, Doors},
    operations::Office,
};
use crate::core::Core;

/// Refusals of one account that are shown.
const REFUSED_MAX: usize = 50;

/// Appeals of one account that are shown.
const APPEALS_MAX: usize = 50;

fn own_appeal(file: AppealFile) -> OwnAppeal {
    let AppealFile { appeal, decision } = file;
    OwnAppeal {
        id: format!("appeal-{}", appeal.id),
        state: appeal.state(),
        at: appeal.at,
        against: match (decision, appeal.against) {
            (Some(decision), _) => decision,
            (None, Against::Ban(target)) => format!("the ban of {target}"),
            (None, Against::Decision(_)) => "a decision".to_owned(),
        },
        reason: appeal.answer.map(|answer| answer.reason),
    }
}

/// Over an installation.
pub(super) struct OwnPages {
    pub(super) core: Arc<Core>,
    pub(super) doors: Arc<Doors>,
    /// As in [`super::Guests`].
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

fn not_done(error: &Refused) -> NotDone {
    NotDone(error.to_string())
}

/// Why a withdrawal was stopped, as a group. The rule and its numbers stay inside: who probes would learn how far they can go.
fn group(decision: &Decision) -> String {
    let words = match decision.leading().map(|finding| finding.source) {
        Some(FindingSource::Access) => "what this key or account may do",
        Some(FindingSource::Fraud) => "behaviour that is unusual for the account",
        Some(FindingSource::Watch) => "the destination",
        Some(FindingSource::Decide) | None => {
            "a policy of withdrawals, or a check that did not answer in time"
        }
    };
    words.to_owned()
}

impl OwnPages {
    fn now(&self) -> UnixNanos {
        self.core.clock.now()
    }

    fn people(&self) -> &Desk {
        self.core.ground.people()
    }

    /// Who a passkey, or the fallback beside it, proved; nobody for a session by a link.
    fn person(&self, cookies: &[&str]) -> Option<String> {
        let now = self.now();
        let proved = |cookie: &&str| self.people().session(cookie, now);
        cookies.iter().find_map(proved).map(|(principal, _)| principal.actor.id().to_owned())
    }

    fn offers_fallbacks(&self) -> bool {
        self.core.config.identity.totp && self.core.config.identity.origin.is_some()
    }

    /// The cookie of the session in which a fallback can be set.
    fn fresh<'c>(&self, cookies: &[&'c str]) -> Result<&'c str, NotDone> {
        if !self.offers_fallbacks() {
            return Err(NotDone("identity.totp is off".to_owned()));
        }
        let now = self.now();
        let is_fresh = |cookie: &&&str| self.people().fresh_user(cookie, now).is_ok();
        cookies.iter().find(is_fresh).copied().ok_or_else(|| not_done(&Refused::NotFresh))
    }

    async fn record(&self, change: &Change) -> Result<(), NotDone> {
        self.core.ground.record_identity(change, self.now()).await.map(drop).map_err(|error| {
            tracing::error!(%error, "a change of an identity has no effect");
            NotDone("it cannot be recorded at the moment, and nothing is done without a record".to_owned())
        })
    }

    async fn end(&self, viewer: &Viewer, cookies: &[&str], id: &str) -> Result<(), NotDone> {
        let manages = viewer.may(Capability::ManageAccess);
        let own = self.person(cookies);
        let listed = self.lines(viewer, cookies).into_iter().find(|line| line.id == id);
        let line = listed.ok_or_else(|| NotDone("there is no such session, or it has ended".to_owned()))?;
        if manages && !line.is_this && own.as_deref() != Some(line.user.as_str()) {
            let detail = format!("{}: ends a session of {}", viewer.actor, line.user);
            let signed = self.core.record_lifecycle(LifecycleEvent::Reconfigured, &detail).await;
            signed.map_err(|failure| NotDone(failure.to_string()))?;
        }
        drop(self.people().end_session_by_id(id, Some(&line.user)));
        drop(self.doors.end_by_id(id, Some(&line.user)));
        Ok(())
    }

    /// The sessions a viewer may see, the newest first: who came by a link sees those by links under the same name alone.
    fn lines(&self, viewer: &Viewer, cookies: &[&str]) -> Vec<SessionLine> {
        let (manages, own) = (viewer.may(Capability::ManageAccess), self.person(cookies));
        let these: Vec<String> =
            cookies.iter().flat_map(|cookie| [Desk::session_id(cookie), doors::session_id(cookie)]).collect();
        let by_passkey = self.people().sessions(self.now()).into_iter();
        let by_passkey = by_passkey.filter(|open| manages || own.as_deref() == Some(open.user.as_str()));
        let mut lines: Vec<SessionLine> = by_passkey
            .map(|open| SessionLine {
                is_this: these.contains(&open.id),
                id: open.id,
                user: open.user,
                means: open.means.as_str().to_owned(),
                ip: open.ip.to_string(),
                begun_at: open.begun_at,
                used_at: open.used_at,
            })
            .collect();
        let by_link = self.doors.list().into_iter();
        let by_link = by_link.filter(|open| manages || open.user == viewer.actor.id());
        lines.extend(by_link.map(|open| SessionLine {
            is_this: these.contains(&open.id),
            id: open.id,
            user: open.user,
            means: if open.account.is_some() { "link for an account" } else { "link" }.to_owned(),
            ip: open.ip.to_string(),
            begun_at: open.begun_at,
            used_at: open.used_at,
        }));
        lines.sort_by(|a, b| b.begun_at.cmp(&a.begun_at).then_with(|| a.id.cmp(&b.id)));
        lines
    }

    /// Refusals of an account among the newest entries, the newest first, and how many entries were looked at.
    fn refused(&self, account: &AccountId) -> Result<(Vec<RefusedLine>, u64), Unavailable> {
        let unavailable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "refusals cannot be shown");
            Unavailable("Refusals cannot be read at the moment.".to_owned())
        };
        let journal = self.core.ground.journal();
        let size = journal.size();
        let from = size.saturating_sub(SCAN_MAX);
        let mut reader = journal.reader(from);
        let (mut lines, mut payload) = (Vec::new(), Vec::new());
        for _ in from..size {
            let Some(entry) = reader.next_ref() else { break };
            let entry = entry.map_err(|error| unavailable(&error))?;
            if entry.kind != Kind::Refusals
                || !journal.open_payload_into(&entry, &mut payload).map_err(|error| unavailable(&error))?
            {
                continue;
            }
            let refusals = Refusals::decode(&payload).map_err(|error| unavailable(&error))?;
            if refusals.account.as_ref() == Some(account) {
                let at = UnixNanos::from_secs(refusals.second);
                lines.push(RefusedLine { at, reason: refusals.reason, count: refusals.count });
            }
        }
        let surplus = lines.len().saturating_sub(REFUSED_MAX);
        lines.drain(..surplus);
        lines.reverse();
        Ok((lines, size - from))
    }
}

impl Own for OwnPages {
    fn sessions(&self, viewer: &Viewer, cookies: &[&str]) -> OwnSessions {
        let mut sessions = self.lines(viewer, cookies);
        let more = sessions.len().saturating_sub(ROWS_MAX);
        sessions.truncate(ROWS_MAX);
        let person = self.person(cookies).filter(|_| self.offers_fallbacks());
        let state = |user: String| {
            let known = self.people().users().into_iter().find(|known| known.name == user);
            known.map_or(FallbackState::None, |known| known.fallback)
        };
        OwnSessions { sessions, more, fallback: person.map(state), is_fresh: self.fresh(cookies).is_ok() }
    }

    fn end_session<'a>(
        &'a self,
        viewer: &'a Viewer,
        cookies: &'a [&'a str],
        id: &'a str,
    ) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(self.end(viewer, cookies, id))
    }

    fn begin_fallback(&self, cookies: &[&str]) -> Result<FallbackOffer, NotDone> {
        let cookie = self.fresh(cookies)?;
        let Some(origin) = &self.core.config.identity.origin else {
            return Err(NotDone("identity.origin is not configured".to_owned()));
        };
        let begun = self.people().begin_fallback(cookie, origin, &crypto::random::array(), self.now());
        begun.map_err(|error| not_done(&error))
    }

    fn confirm_fallback<'a>(
        &'a self,
        cookies: &'a [&'a str],
        code: &'a str,
        ip: IpAddr,
    ) -> BoxFuture<'a, Result<(), Retry>> {
        Box::pin(async move {
            let cookie = self.fresh(cookies).map_err(|error| (error, None))?;
            let _turn = self.turn.lock().await;
            let change = self.people().confirm_fallback(cookie, code, self.now()).map_err(|error| {
                tracing::warn!(%ip, %error, "a way in by phrase and code is not set");
                let origin = self.core.config.identity.origin.as_ref();
                let again =
                    origin.and_then(|origin| self.people().fallback_begun(cookie, origin, self.now()));
                (not_done(&error), again)
            })?;
            self.record(&change).await.map_err(|error| (error, None))
        })
    }

    fn end_fallback<'a>(&'a self, cookies: &'a [&'a str]) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(async move {
            let nobody = || NotDone("who came by a link has none".to_owned());
            let user = self.person(cookies).ok_or_else(nobody)?;
            let by = domain::Actor::new(domain::ActorKind::User, &user).map_err(|_| nobody())?;
            let change = self.people().end_fallback(&user, by).map_err(|error| not_done(&error))?;
            self.record(&change).await
        })
    }

    fn appeal(&self, viewer: Viewer, decision: String, text: String) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move {
            let account = viewer.account.ok_or_else(|| NotDone("you develop for no account".to_owned()))?;
            let new = NewAppeal { account, against: AppealAgainst::Decision(decision), text };
            let brought = self.core.desk.bring(viewer.actor, new).await;
            brought.map(drop).map_err(|error| cases::not_done(&error))
        })
    }

    fn account(&self, account: &AccountId) -> Result<OwnAccount, Unavailable> {
        let office = Office { core: Arc::clone(&self.core), started_at: self.now() };
        let (lines, keys_more) = office.keys(Some(account.as_str()));
        let keys = lines.iter().filter_map(|line| office.key(&line.id)).collect();
        tokio::task::block_in_place(|| {
            let wanted = DecisionFilter { account: Some(account.to_string()), ..DecisionFilter::default() };
            let (found, _) = Cabinet { core: Arc::clone(&self.core) }.wanted(&wanted, ROWS_MAX)?;
            let stopped = found.iter().filter(|(_, decision)| decision.verdict != Verdict::Allow);
            let stopped = stopped.map(|(position, decision)| {
                let mut line = casework::line(&self.core, *position, decision);
                line.reason = group(decision);
                line
            });
            let (refused, looked_at) = self.refused(account)?;
            let wanted = AppealFilter { account: Some(account.clone()), state: None };
            let appeals = self.core.desk.appeals(&wanted, None, APPEALS_MAX).into_iter();
            Ok(OwnAccount {
                keys,
                keys_more,
                stopped: stopped.collect(),
                refused,
                looked_at,
                appeals: appeals.map(own_appeal).collect(),
                appeal: self.core.config.api.appeal.clone(),
            })
        })
    }
}
