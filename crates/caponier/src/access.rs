//! Changes of who may use the control API that take two persons: what gives somebody more than they had.
//!
//! Secrets are made by who asks and shown to them at once; what is asked for holds their SHA-256 alone, and they are good for
//! nothing before somebody else has agreed. What takes away is done by one person at once and is not here.

use std::{sync::Arc, time::Duration};

use auth::IpAllowList;
use domain::{Actor, ActorKind, Subject, UnixNanos};
use identity::{
    Capability, Change, INVITE_LIFE, LIFE_MAX, NewService, Role,
    requests::{ChangeRequest, is_same_person},
};
use journal::{Draft, Kind};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ground::Ground,
    requests::{Described, Effect, GuardedChange, NotPossible, Requests},
};

/// A person stores a passkey by an invitation, and has these roles then.
pub(crate) const INVITE: &str = "identity.invite";
/// A person's roles are replaced.
pub(crate) const ROLES: &str = "identity.roles";
/// A program gets a token.
pub(crate) const SERVICE: &str = "identity.service";

/// Whose roles become which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoles {
    pub(crate) user: String,
    /// By name, sorted.
    pub(crate) roles: Vec<String>,
}

/// Who is invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvite {
    pub(crate) user: String,
    /// By name, sorted.
    pub(crate) roles: Vec<String>,
    /// SHA-256 of the secret in the link, hexadecimal.
    pub(crate) invite_sha256: String,
}

/// Which program gets a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    pub(crate) service: String,
    /// By name, sorted.
    pub(crate) capabilities: Vec<String>,
    /// Networks it may call from; empty for anywhere.
    pub(crate) ips: Vec<String>,
    /// Days from the approval until it ends.
    pub(crate) days: u32,
    /// SHA-256 of the token, hexadecimal.
    pub(crate) token_sha256: String,
}

fn not(why: impl Into<String>) -> NotPossible {
    NotPossible(why.into())
}

/// The one encoding of a change: anything else is refused, so that a digest has one meaning.
fn parsed<T: DeserializeOwned + Serialize>(payload: &[u8]) -> Result<T, NotPossible> {
    let value: T = serde_json::from_slice(payload).map_err(|error| not(error.to_string()))?;
    if encoded(&value) == payload { Ok(value) } else { Err(not("it is not in its one encoding")) }
}

/// As it is asked for.
pub(crate) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    // These types have no map and no float: writing them to memory does not fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn roles_named(names: &[String]) -> Result<Vec<Role>, NotPossible> {
    let role = |name: &String| Role::named(name).ok_or_else(|| not(format!("{name:?} is no role")));
    let roles: Vec<Role> = names.iter().map(role).collect::<Result<_, _>>()?;
    if roles.is_sorted_by(|one, next| one < next) { Ok(roles) } else { Err(not("roles are not in order")) }
}

fn capabilities_named(names: &[String]) -> Result<Vec<Capability>, NotPossible> {
    let capability = |name: &String| {
        Capability::named(name)
            .filter(|one| one.is_of_programs())
            .ok_or_else(|| not(format!("{name:?} is no capability of programs")))
    };
    let all: Vec<Capability> = names.iter().map(capability).collect::<Result<_, _>>()?;
    match all.is_sorted_by(|one, next| one < next) {
        true if !all.is_empty() => Ok(all),
        true => Err(not("no capability is named")),
        false => Err(not("capabilities are not in order")),
    }
}

fn digest_of(text: &str) -> Result<[u8; 32], NotPossible> {
    let mut bytes = [0; 32];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) if hex::encode(bytes) == text => Ok(bytes),
        _ => Err(not("a digest is 64 lower-case hexadecimal digits")),
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn names(roles: Option<&Vec<Role>>) -> Vec<String> {
    roles.into_iter().flatten().map(|role| role.as_str().to_owned()).collect()
}

fn actor_of(request: &ChangeRequest) -> Actor {
    request.opened.by.clone()
}

fn recorded(change: &Change, outcome: String, now: UnixNanos) -> Effect {
    let draft = Draft { at: now, subject: Subject::System, kind: Kind::Identity, payload: change.encode() };
    Effect { drafts: vec![draft], outcome }
}

fn state(parts: &[&str]) -> [u8; 32] {
    crypto::sha256(&[encoded(&parts).as_slice()])
}

/// Another person of the same name but for capitals would be the same person for every rule that takes two.
pub(crate) fn free_name(ground: &Ground, user: &str) -> Result<(), NotPossible> {
    Actor::new(ActorKind::User, user).map_err(|error| not(error.to_string()))?;
    match ground.people().users().iter().find(|known| is_same_person(&known.name, user)) {
        Some(known) if known.name != user => {
            Err(not(format!("{:?} is known: names that differ in capitals alone are one person", known.name)))
        }
        _ => Ok(()),
    }
}

struct Roles(Arc<Ground>);

impl GuardedChange for Roles {
    fn kind(&self) -> &'static str {
        ROLES
    }

    fn needs(&self) -> Capability {
        Capability::ApproveAccess
    }

    fn describe(&self, payload: &[u8]) -> Result<Described, NotPossible> {
        let NewRoles { user, roles } = parsed(payload)?;
        roles_named(&roles)?;
        let known = self.0.people().roles(&user);
        let before = names(Some(&known.ok_or_else(|| not(format!("there is no {user:?}")))?));
        Ok(Described {
            summary: format!("roles of {user}: {} instead of {}", list(&roles), list(&before)),
            details: vec![
                ("person".to_owned(), user.clone()),
                ("roles".to_owned(), list(&roles)),
                ("instead of".to_owned(), list(&before)),
            ],
            concerns: Some(user),
        })
    }

    fn precondition(&self, payload: &[u8]) -> Result<[u8; 32], NotPossible> {
        let NewRoles { user, .. } = parsed(payload)?;
        let roles = self.0.people().roles(&user);
        let is_known = if roles.is_some() { "known" } else { "unknown" };
        Ok(state(&["roles", &user, is_known, &names(roles.as_ref()).join(",")]))
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        let Ok(NewRoles { user, roles }) = parsed(payload) else { return false };
        self.0.people().roles(&user).is_some_and(|known| names(Some(&known)) == roles)
    }

    fn execute<'a>(
        &'a self,
        request: &'a ChangeRequest,
        now: UnixNanos,
    ) -> api::BoxFuture<'a, Result<Effect, NotPossible>> {
        Box::pin(async move {
            let NewRoles { user, roles } = parsed(&request.opened.payload)?;
            let change = self
                .0
                .people()
                .set_roles(&user, roles_named(&roles)?, actor_of(request))
                .map_err(|error| not(error.to_string()))?;
            Ok(recorded(&change, format!("roles of {user}: {}", list(&roles)), now))
        })
    }
}

struct Invite(Arc<Ground>);

impl GuardedChange for Invite {
    fn kind(&self) -> &'static str {
        INVITE
    }

    fn needs(&self) -> Capability {
        Capability::ApproveAccess
    }

    fn describe(&self, payload: &[u8]) -> Result<Described, NotPossible> {
        let NewInvite { user, roles, invite_sha256 } = parsed(payload)?;
        roles_named(&roles)?;
        digest_of(&invite_sha256)?;
        free_name(&self.0, &user)?;
        let summary = match self.0.people().roles(&user) {
            None => format!("{user} may store a passkey, with the roles {}", list(&roles)),
            Some(before) => format!(
                "{user}, who is known, may store one more passkey, with the roles {} instead of {}",
                list(&roles),
                list(&names(Some(&before)))
            ),
        };
        let details = vec![
            ("person".to_owned(), user.clone()),
            ("roles".to_owned(), list(&roles)),
            ("SHA-256 of the link's secret".to_owned(), invite_sha256),
        ];
        Ok(Described { summary, details, concerns: Some(user) })
    }

    fn precondition(&self, payload: &[u8]) -> Result<[u8; 32], NotPossible> {
        let NewInvite { user, .. } = parsed(payload)?;
        let people = self.0.people();
        let roles = people.roles(&user);
        let is_known = if roles.is_some() { "known" } else { "unknown" };
        let invite = people.invite_of(&user).map(hex::encode).unwrap_or_default();
        Ok(state(&["invite", &user, is_known, &names(roles.as_ref()).join(","), &invite]))
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        let Ok(NewInvite { user, invite_sha256, .. }) = parsed(payload) else { return false };
        self.0.people().invite_of(&user).is_some_and(|digest| hex::encode(digest) == invite_sha256)
    }

    fn execute<'a>(
        &'a self,
        request: &'a ChangeRequest,
        now: UnixNanos,
    ) -> api::BoxFuture<'a, Result<Effect, NotPossible>> {
        Box::pin(async move {
            let NewInvite { user, roles, invite_sha256 } = parsed(&request.opened.payload)?;
            free_name(&self.0, &user)?;
            self.0.people().room_for_user(&user).map_err(|error| not(error.to_string()))?;
            let change = Change::Invited {
                roles: roles_named(&roles)?,
                invite: digest_of(&invite_sha256)?,
                expires_at: now.plus(INVITE_LIFE),
                by: actor_of(request),
                user: user.clone(),
            };
            Ok(recorded(&change, format!("{user} may store a passkey until {}", now.plus(INVITE_LIFE)), now))
        })
    }
}

struct Service(Arc<Ground>);

impl GuardedChange for Service {
    fn kind(&self) -> &'static str {
        SERVICE
    }

    fn needs(&self) -> Capability {
        Capability::ApproveAccess
    }

    fn describe(&self, payload: &[u8]) -> Result<Described, NotPossible> {
        let token: NewToken = parsed(payload)?;
        capabilities_named(&token.capabilities)?;
        digest_of(&token.token_sha256)?;
        Actor::new(ActorKind::Service, &token.service).map_err(|error| not(error.to_string()))?;
        let ips = IpAllowList::parse(&token.ips).map_err(|error| not(error.to_string()))?;
        if ips.entries().collect::<Vec<_>>() != token.ips {
            return Err(not("networks are not as they are listed"));
        }
        let life = Duration::from_secs(u64::from(token.days) * 86_400);
        if life.is_zero() || life > LIFE_MAX {
            return Err(not("the life of a token is 1 to 366 days"));
        }
        let from = if token.ips.is_empty() { "anywhere".to_owned() } else { token.ips.join(", ") };
        let again =
            if self.0.people().token_of(&token.service).is_some() { ", in place of its token" } else { "" };
        let NewToken { service, capabilities, days, token_sha256, .. } = token;
        Ok(Described {
            summary: format!(
                "the program {service} may {} from {from} for {days} days{again}",
                list(&capabilities)
            ),
            details: vec![
                ("program".to_owned(), service),
                ("may".to_owned(), list(&capabilities)),
                ("from".to_owned(), from),
                ("days".to_owned(), days.to_string()),
                ("SHA-256 of the token".to_owned(), token_sha256),
            ],
            concerns: None,
        })
    }

    fn precondition(&self, payload: &[u8]) -> Result<[u8; 32], NotPossible> {
        let NewToken { service, .. } = parsed(payload)?;
        let token = self.0.people().token_of(&service).map(hex::encode).unwrap_or_default();
        Ok(state(&["service", &service, &token]))
    }

    fn is_done(&self, payload: &[u8]) -> bool {
        let Ok(NewToken { service, token_sha256, .. }) = parsed(payload) else { return false };
        self.0.people().token_of(&service).is_some_and(|digest| hex::encode(digest) == token_sha256)
    }

    fn execute<'a>(
        &'a self,
        request: &'a ChangeRequest,
        now: UnixNanos,
    ) -> api::BoxFuture<'a, Result<Effect, NotPossible>> {
        Box::pin(async move {
            let token: NewToken = parsed(&request.opened.payload)?;
            self.0.people().room_for_service(&token.service).map_err(|error| not(error.to_string()))?;
            let expires_at = now.plus(Duration::from_secs(u64::from(token.days) * 86_400));
            let service = NewService {
                capabilities: capabilities_named(&token.capabilities)?,
                ips: IpAllowList::parse(&token.ips).map_err(|error| not(error.to_string()))?,
                token: digest_of(&token.token_sha256)?,
                expires_at,
                name: token.service.clone(),
            };
            let change = Change::ServiceCreated { service, by: actor_of(request) };
            Ok(recorded(&change, format!("the token of {} is good until {expires_at}", token.service), now))
        })
    }
}

/// From now on these take two persons.
pub(crate) fn register(requests: &Requests, ground: &Arc<Ground>) {
    requests.register(Arc::new(Invite(Arc::clone(ground))));
    requests.register(Arc::new(Roles(Arc::clone(ground))));
    requests.register(Arc::new(Service(Arc::clone(ground))));
}
