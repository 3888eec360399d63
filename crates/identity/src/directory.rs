//! Persons and programs: a fold over [`Change`]s.
//!
//! Applying is total: a change that no longer fits (two people inviting at once) has no effect, the same one on every
//! replay. Whether a change should be made is judged before it is recorded, by [`crate::Desk`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
    time::Duration,
};

use crypto::ct_eq;
use domain::{Actor, ActorKind, UnixNanos};

use crate::{Capability, Change, NewService, Passkey, Role, totp::TotpSecret};

/// Persons at most.
pub const USERS_MAX: usize = 1_000;
/// Programs at most.
pub const SERVICES_MAX: usize = 1_000;
/// Passkeys of one person at most.
pub const PASSKEYS_MAX: usize = 8;
/// Longest life of a program's token.
pub const LIFE_MAX: Duration = Duration::from_secs(366 * 86_400);
/// How long an invitation can be used.
pub const INVITE_LIFE: Duration = Duration::from_secs(86_400);

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The invitation was used, has ended, or never was.
    #[error("invitation is not good (any more)")]
    Invitation,
    /// There is none.
    #[error("there is no {0:?}")]
    Unknown(String),
    /// The life of a token.
    #[error("life of a token is 1 second to 366 days")]
    Life,
    /// The name of a person or program.
    #[error("a name has 1 to 64 visible ASCII characters")]
    Name,
    /// There is no room.
    #[error("there are as many {0} as there may be")]
    Full(&'static str),
    /// It would allow nothing.
    #[error("no capability is named")]
    Nothing,
    /// Another one has it.
    #[error("passkey is known already")]
    PasskeyKnown,
    /// A fallback is set in a session that a passkey opened just now.
    #[error("sign in with your passkey again first: it takes a sign-in of the last 10 minutes")]
    NotFresh,
    /// The code of an app.
    #[error("the code is not one of this app at this time")]
    Code,
    /// Nothing was begun, or it has run out.
    #[error("it was not begun, or has run out: begin again")]
    NotBegun,
}

/// An invitation that was made: its secret is shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// What to record.
    pub change: Change,
    /// Until when.
    pub expires_at: UnixNanos,
}

/// Who calls, as recorded with what they do, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// A user or a service.
    pub actor: Actor,
    /// In the order of the table.
    pub capabilities: Vec<Capability>,
}

/// A person, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    /// Name.
    pub name: String,
    /// In the order of names.
    pub roles: Vec<Role>,
    /// How many.
    pub passkeys: usize,
    /// Until when an invitation is open.
    pub invited_until: Option<UnixNanos>,
    /// The last time.
    pub signed_in_at: Option<UnixNanos>,
    /// What becomes of them when their passkey is not at hand.
    pub fallback: FallbackState,
}

/// Whether a person can sign in by a phrase and a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FallbackState {
    /// Too many wrong codes came with the right phrase: until they set a new one.
    Locked,
    /// They set none.
    None,
    /// They can.
    Set,
}

impl FallbackState {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::None => "none",
            Self::Set => "set",
        }
    }
}

/// A program, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSummary {
    /// Name.
    pub name: String,
    /// In the order of the table.
    pub capabilities: Vec<Capability>,
    /// From where; empty for anywhere.
    pub ips: Vec<String>,
    /// When its token was made.
    pub created_at: UnixNanos,
    /// When its token ends.
    pub expires_at: UnixNanos,
}

#[derive(Debug, Clone, Default)]
struct User {
    roles: BTreeSet<Role>,
    passkeys: Vec<Passkey>,
    invite: Option<([u8; 32], UnixNanos)>,
    signed_in_at: Option<UnixNanos>,
    fallback: Option<Fallback>,
}

/// A phrase and the codes of an app.
#[derive(Debug, Clone)]
pub(crate) struct Fallback {
    pub(crate) secret: TotpSecret,
    /// SHA-256.
    pub(crate) phrase: [u8; 32],
    /// The last that was used.
    pub(crate) step: u64,
    pub(crate) is_locked: bool,
}

/// Everybody there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    users: BTreeMap<String, User>,
    services: BTreeMap<String, (NewService, UnixNanos)>,
}

impl Directory {
    pub(crate) fn apply(&mut self, change: Change, at: UnixNanos) {
        match change {
            Change::Enrolled { user, passkey } => {
                if self.by_passkey(&passkey.id).is_none()
                    && let Some(user) = self.users.get_mut(&user)
                    && user.passkeys.len() < PASSKEYS_MAX
                {
                    user.invite = None;
                    user.passkeys.push(passkey);
                }
            }
            // Who came by a link is no person of the directory.
            Change::EnteredByLink { .. } => {}
            Change::FallbackEnded { user, .. } => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.fallback = None;
                }
            }
            Change::FallbackLocked { user, .. } => {
                if let Some(fallback) = self.users.get_mut(&user).and_then(|user| user.fallback.as_mut()) {
                    fallback.is_locked = true;
                }
            }
            Change::FallbackSet { user, secret, phrase, step } => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.fallback = Some(Fallback { secret, phrase, step, is_locked: false });
                }
            }
            Change::Invited { user, roles, invite, expires_at, .. } => {
                if self.users.contains_key(&user) || self.users.len() < USERS_MAX {
                    let user = self.users.entry(user).or_default();
                    user.roles = roles.into_iter().collect();
                    user.invite = Some((invite, expires_at));
                }
            }
            Change::RolesSet { user, roles, .. } => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.roles = roles.into_iter().collect();
                }
            }
            Change::ServiceCreated { service, .. } => {
                if self.services.contains_key(&service.name) || self.services.len() < SERVICES_MAX {
                    self.services.insert(service.name.clone(), (service, at));
                }
            }
            Change::ServiceRevoked { name, .. } => drop(self.services.remove(&name)),
            Change::SignedIn { user, passkey, counter, .. } => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.signed_in_at = Some(at);
                    if let Some(known) = user.passkeys.iter_mut().find(|known| known.id == passkey) {
                        known.counter = counter;
                    }
                }
            }
            Change::SignedInByCode { user, step, .. } => {
                if let Some(user) = self.users.get_mut(&user) {
                    user.signed_in_at = Some(at);
                    if let Some(fallback) = &mut user.fallback {
                        fallback.step = fallback.step.max(step);
                    }
                }
            }
            Change::UserRemoved { user, .. } => drop(self.users.remove(&user)),
        }
    }

    /// Whose passkey it is.
    pub(crate) fn by_passkey(&self, id: &[u8]) -> Option<(&str, &Passkey)> {
        self.users.iter().find_map(|(name, user)| {
            user.passkeys.iter().find(|passkey| passkey.id == id).map(|passkey| (name.as_str(), passkey))
        })
    }

    /// Who holds an invitation. Every one is compared, in constant time.
    pub(crate) fn by_invite(&self, digest: &[u8; 32], now: UnixNanos) -> Option<&str> {
        self.users.iter().fold(None, |found, (name, user)| match &user.invite {
            Some((invite, until)) if ct_eq(invite, digest) && now < *until => Some(name.as_str()),
            _ => found,
        })
    }

    /// Whether the person is known.
    pub(crate) fn knows(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    /// What a person set to sign in without a passkey.
    pub(crate) fn fallback(&self, user: &str) -> Option<&Fallback> {
        self.users.get(user)?.fallback.as_ref()
    }

    /// A person's roles; `None` for one who is not known.
    pub(crate) fn roles(&self, user: &str) -> Option<Vec<Role>> {
        self.users.get(user).map(|user| user.roles.iter().copied().collect())
    }

    /// The digest of the invitation a person holds.
    pub(crate) fn invite_of(&self, user: &str) -> Option<[u8; 32]> {
        self.users.get(user)?.invite.map(|(digest, _)| digest)
    }

    /// The digest of a program's token.
    pub(crate) fn token_of(&self, service: &str) -> Option<[u8; 32]> {
        self.services.get(service).map(|(service, _)| service.token)
    }

    /// Whether somebody else than these has a passkey and this capability.
    pub(crate) fn somebody_else_may(&self, capability: Capability, except: &[&str]) -> bool {
        self.users.iter().any(|(name, user)| {
            !user.passkeys.is_empty()
                && !except.iter().any(|other| crate::requests::is_same_person(name, other))
                && user.roles.iter().any(|role| capability.row().roles.contains(role))
        })
    }

    /// Whether anybody can sign in.
    pub(crate) fn anybody_enrolled(&self) -> bool {
        self.users.values().any(|user| !user.passkeys.is_empty())
    }

    pub(crate) fn passkey_ids(&self, user: &str) -> Vec<Vec<u8>> {
        self.users
            .get(user)
            .map(|user| user.passkeys.iter().map(|passkey| passkey.id.clone()).collect())
            .unwrap_or_default()
    }

    pub(crate) fn room_for_user(&self, user: &str) -> Result<(), Refused> {
        match self.users.get(user) {
            Some(known) if known.passkeys.len() >= PASSKEYS_MAX => Err(Refused::Full("passkeys")),
            None if self.users.len() >= USERS_MAX => Err(Refused::Full("users")),
            _ => Ok(()),
        }
    }

    pub(crate) fn room_for_service(&self, name: &str) -> Result<(), Refused> {
        let fits = self.services.contains_key(name) || self.services.len() < SERVICES_MAX;
        if fits { Ok(()) } else { Err(Refused::Full("services")) }
    }

    pub(crate) fn knows_service(&self, name: &str) -> bool {
        self.services.contains_key(name)
    }

    /// A person who may sign in, with what their roles allow now.
    pub(crate) fn person(&self, name: &str) -> Option<Principal> {
        let user = self.users.get(name).filter(|user| !user.passkeys.is_empty())?;
        let allowed: BTreeSet<Capability> = user.roles.iter().flat_map(|role| role.capabilities()).collect();
        let actor = Actor::new(ActorKind::User, name).ok()?;
        Some(Principal { actor, capabilities: allowed.into_iter().collect() })
    }

    /// The program of a token. Every token is compared, in constant time.
    pub(crate) fn program(&self, token: &[u8; 32], ip: IpAddr, now: UnixNanos) -> Option<Principal> {
        let found = self.services.values().fold(None, |found, (service, _)| {
            if ct_eq(&service.token, token) { Some(service) } else { found }
        });
        let service = found?;
        if now >= service.expires_at || !(service.ips.is_empty() || service.ips.contains(ip)) {
            return None;
        }
        let actor = Actor::new(ActorKind::Service, &service.name).ok()?;
        Some(Principal { actor, capabilities: service.capabilities.clone() })
    }

    pub(crate) fn users(&self) -> Vec<UserSummary> {
        let summary = |(name, user): (&String, &User)| UserSummary {
            name: name.clone(),
            roles: user.roles.iter().copied().collect(),
            passkeys: user.passkeys.len(),
            invited_until: user.invite.map(|(_, until)| until),
            signed_in_at: user.signed_in_at,
            fallback: match &user.fallback {
                None => FallbackState::None,
                Some(fallback) if fallback.is_locked => FallbackState::Locked,
                Some(_) => FallbackState::Set,
            },
        };
        self.users.iter().map(summary).collect()
    }

    pub(crate) fn services(&self) -> Vec<ServiceSummary> {
        let summary = |(service, at): &(NewService, UnixNanos)| ServiceSummary {
            name: service.name.clone(),
            capabilities: service.capabilities.clone(),
            ips: service.ips.entries().collect(),
            created_at: *at,
            expires_at: service.expires_at,
        };
        self.services.values().map(summary).collect()
    }

    /// What two states are compared by.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut text = String::new();
        for (name, user) in &self.users {
            let _ = writeln!(text, "{name:?} {user:?}");
        }
        for (name, (service, at)) in &self.services {
            let _ = writeln!(text, "{name:?} {service:?} {}", at.0);
        }
        crypto::sha256(&[text.as_bytes()])
    }
}
