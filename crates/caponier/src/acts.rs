//! Acts that are no withdrawals: who says what about them, and where what was decided is kept.
//!
//! | act | looked at |
//! |---|---|
//! | address screen | what screening says of the address: lists, followed chains, suspicions |
//! | login, order | the fraud bundles at work, if they judge events of that kind; bans of the network address |
//! | API call | bans of the address and of the key from there; the key: its account, state, addresses, restrictions, hours |
//! | admin act | whether the actor is known and has the capability; bans of the address |
//!
//! No act changes what the fraud engine knows: what really happened is reported as an event, under the same id.

use std::sync::{Arc, OnceLock};

use auth::KeyState;
use decide::{ActSource, BoxFuture, JudgementLog, LogUnavailable, SourceUnavailable};
use domain::{
    Act, ActorKind, AddressScreen, AdminAct, ApiCall, Evidence, Finding, FindingSource, Judgement,
    ReasonCode, Subject, UnixNanos, Verdict,
};
use identity::Capability;
use journal::{Draft, Kind, Opened, record};

use watch::{assess::Assessor, rescreen::Answered};

use crate::{ground::Ground, lists::ListGaps};

/// Judgements whose keys are remembered over a restart; as many as the judge remembers.
pub(crate) const KEYED_JUDGEMENTS_MAX: usize = decide::MAX_KEYS;

fn against(code: &'static str, verdict: Verdict, message: String, would_pass_if: &str) -> Finding {
    Finding {
        source: FindingSource::Access,
        code: ReasonCode::new(code),
        verdict,
        shadow: false,
        message,
        evidence: Vec::new(),
        would_pass_if: Some(would_pass_if.to_owned()),
    }
}

/// What is known of an address.
#[derive(Debug)]
pub(crate) struct Destinations {
    /// Who screens, and what the chains have seen.
    pub(crate) assessor: Assessor,
    /// Lists that should be in force and are not.
    pub(crate) gaps: Arc<ListGaps>,
}

impl ActSource for Destinations {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn examine<'a>(
        &'a self,
        act: &'a Act,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        Box::pin(async move {
            let Act::AddressScreen(AddressScreen { address, network, .. }) = act else {
                return Ok(Vec::new());
            };
            if let Some(problem) = self.gaps.problem() {
                return Err(SourceUnavailable(problem));
            }
            let look = || self.assessor.examine_address(address, *network, now);
            // Following money over busy holders takes milliseconds of work.
            let is_quick = self.assessor.followed().is_empty();
            Ok(if is_quick { look() } else { tokio::task::block_in_place(look) })
        })
    }
}

/// What was answered about the address of an act, to be judged again when a list changes; none of another act, and of a text
/// that is no address.
pub(crate) fn answered(judgement: &Judgement) -> Option<Answered> {
    let Act::AddressScreen(AddressScreen { address, network, .. }) = &judgement.act else { return None };
    let (text, _) = network.split_tag(address.trim());
    let address = ::chain::address::decode(network.family(), text).ok()?;
    Some(Answered::by_findings(address, &judgement.findings))
}

/// What behaviour says.
#[derive(Debug)]
pub(crate) struct Behaviour(pub(crate) Arc<Ground>);

impl ActSource for Behaviour {
    fn name(&self) -> &'static str {
        "fraud"
    }

    fn examine<'a>(
        &'a self,
        act: &'a Act,
        _: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        Box::pin(async move {
            let (Act::Login(event) | Act::Order(event)) = act else { return Ok(Vec::new()) };
            // A gap between journal and state means that events may be missing from what is compared with.
            self.0.catch_up().map_err(|error| SourceUnavailable(error.to_string()))?;
            Ok(self.0.lives().examine_event(event))
        })
    }
}

/// What is known of who may do what, from where.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) ground: Arc<Ground>,
    /// Empty while no gateway serves here: nobody is banned then.
    pub(crate) bans: Arc<OnceLock<gateway::Bans>>,
}

impl ActSource for Access {
    fn name(&self) -> &'static str {
        "access"
    }

    fn examine<'a>(
        &'a self,
        act: &'a Act,
        now: UnixNanos,
    ) -> BoxFuture<'a, Result<Vec<Finding>, SourceUnavailable>> {
        Box::pin(async move {
            self.ground.catch_up().map_err(|error| SourceUnavailable(error.to_string()))?;
            let mut findings: Vec<Finding> = self.banned(act, now).into_iter().collect();
            match act {
                Act::AdminAct(act) => findings.extend(self.admin(act, now)),
                Act::ApiCall(call) => findings.extend(self.call(call, now)),
                Act::AddressScreen(_) | Act::Login(_) | Act::Order(_) => {}
            }
            Ok(findings)
        })
    }
}

impl Access {
    fn banned(&self, act: &Act, now: UnixNanos) -> Option<Finding> {
        let ip = act.ip()?;
        let key = match act {
            Act::ApiCall(call) => Some(call.key.as_str()),
            _ => None,
        };
        let until = self.bans.get()?.banned_until(ip, key, now)?;
        let message = format!("Requests from this network address are banned until {until}.");
        let mut finding =
            against("access.banned", Verdict::Deny, message, "the ban had ended or been lifted");
        finding.evidence.push(Evidence::new("banned_until", until.to_string()));
        Some(finding)
    }

    /// The first thing that speaks against the key, as the gateway checks it.
    fn call(&self, call: &ApiCall, now: UnixNanos) -> Option<Finding> {
        let deny = |code, message: &str, otherwise| {
            Some(against(code, Verdict::Deny, message.to_owned(), otherwise))
        };
        let registry = self.ground.registry();
        // A key of somebody else is answered as one that is not there: nobody learns whose it is.
        let Some(key) = registry.summary(&call.key).filter(|key| key.account == call.account) else {
            return deny(
                "access.key_unknown",
                "The account has no such API key.",
                "the key were the account's",
            );
        };
        if key.state != KeyState::Active {
            return deny("access.key_not_active", "The API key is frozen or revoked.", "the key were active");
        }
        if !key.ip_allow.is_empty() && !key.ip_allow.contains(call.ip) {
            let message = "The API key may not be used from this network address.";
            return deny(
                "access.key_address",
                message,
                "the request came from an address the key is bound to",
            );
        }
        let restrictions = key.restrictions?;
        let refused = restrictions.check_request(call.method.as_bytes(), call.path.as_bytes(), now).err()?;
        let message = format!("The API key is restricted: {}.", refused.message().trim_end_matches('.'));
        deny("access.key_restricted", &message, "the key's restrictions allowed it")
    }

    fn admin(&self, act: &AdminAct, now: UnixNanos) -> Option<Finding> {
        let deny = |code, message: String, otherwise| Some(against(code, Verdict::Deny, message, otherwise));
        let Some(capability) = Capability::named(&act.capability) else {
            let message = format!("No capability has the name {:?}.", act.capability);
            return deny("access.capability_unknown", message, "the capability were one of the table");
        };
        let people = self.ground.people();
        let held = match act.actor.kind() {
            ActorKind::User => {
                people.users().into_iter().find(|user| user.name == act.actor.id() && user.passkeys > 0).map(
                    |user| user.roles.iter().any(|role| role.capabilities().any(|one| one == capability)),
                )
            }
            ActorKind::Service => people
                .services()
                .into_iter()
                .find(|service| service.name == act.actor.id() && service.expires_at > now)
                .map(|service| service.capabilities.contains(&capability)),
            // Both are this machine itself, and never ask.
            ActorKind::Operator | ActorKind::System => None,
        };
        match held {
            None => {
                let message = format!("{} is nobody who is known here.", act.actor);
                deny("access.actor_unknown", message, "the actor were enrolled")
            }
            Some(false) => {
                let message = format!("{} does not have {}.", act.actor, act.capability);
                deny("access.capability_missing", message, "the actor had a role with the capability")
            }
            Some(true) => None,
        }
    }
}

impl JudgementLog for Ground {
    fn append(&self, judgement: Arc<Judgement>) -> BoxFuture<'_, Result<u64, LogUnavailable>> {
        Box::pin(async move {
            let account = judgement.act.account().cloned();
            let draft = Draft {
                at: judgement.decided_at,
                subject: account.map_or(Subject::System, Subject::Account),
                kind: Kind::Judgement,
                payload: record::encode_judgement(&judgement),
            };
            self.record(vec![draft]).await.map_err(|error| LogUnavailable(error.to_string()))
        })
    }

    fn read(&self, position: u64) -> BoxFuture<'_, Result<Option<Arc<Judgement>>, LogUnavailable>> {
        Box::pin(std::future::ready(self.judgement(position)))
    }
}

impl Ground {
    /// Reads a judgement back.
    ///
    /// # Errors
    /// As [`JudgementLog::read`].
    pub fn judgement(&self, position: u64) -> Result<Option<Arc<Judgement>>, LogUnavailable> {
        let unavailable = |error: &dyn std::fmt::Display| LogUnavailable(error.to_string());
        let entry = self.journal().entry(position).map_err(|error| unavailable(&error))?;
        let Some(entry) = entry.filter(|entry| entry.kind == Kind::Judgement) else { return Ok(None) };
        match self.journal().open_payload(&entry).map_err(|error| unavailable(&error))? {
            Opened::Erased => Ok(None),
            Opened::Payload(payload) => record::decode_judgement(&payload)
                .map(|judgement| Some(Arc::new(judgement)))
                .map_err(|error| unavailable(&error)),
        }
    }
}
