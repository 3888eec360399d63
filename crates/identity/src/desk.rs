//! Where persons and programs are known: what the API asks, and what says which change to record.
//!
//! Nothing is in force before it is recorded: the methods that judge return a [`Change`], the caller makes it durable, and
//! [`Desk::apply`] lets it have effect. Callers judge and record one at a time.

use std::{net::IpAddr, time::Duration};

use auth::IpAllowList;
use crypto::{ct_eq, sha256};
use domain::{Actor, ActorKind, UnixNanos};
use parking_lot::{Mutex, RwLock};

pub use self::fallback::{
    ADDRESSES_MAX, CodeSignIn, FALLBACK_FRESH, FallbackOffer, Judged, TRIES_MAX, TRIES_WINDOW,
    WRONG_CODES_MAX,
};

use crate::{
    Capability, Change, INVITE_LIFE, Invite, LIFE_MAX, NewService, Principal, Refused, Role, ServiceSummary,
    Session, UserSummary,
    directory::Directory,
    session::{Ceremonies, Means, OpenSession, Sessions, csrf, id_of_cookie},
    webauthn::{Expected, WebauthnError},
};

/// Where the pages of an installation are, as browsers say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    text: String,
    host: String,
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an https origin with a host name such as \"https://caponier.example:8444\", or http://localhost"
)]
pub struct OriginError;

impl Origin {
    /// `https://` with a host name, or `http://localhost`, both with or without a port. Passkeys are not possible for
    /// addresses in numbers.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (host, is_local) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Err(OriginError),
        };
        let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let is_name = host.len() <= 253
            && host.split('.').all(is_label)
            && host.bytes().any(|byte| byte.is_ascii_lowercase())
            && !(is_local && host != "localhost");
        if is_name && port.is_none_or(is_port) {
            Ok(Self { text: text.to_owned(), host: host.to_owned() })
        } else {
            Err(OriginError)
        }
    }

    /// As browsers say it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The relying party's id.
    #[must_use]
    pub fn rp_id(&self) -> &str {
        &self.host
    }

    const fn expected<'e>(&'e self, challenge: &'e [u8; 32]) -> Expected<'e> {
        Expected { challenge, origin: self.text.as_str(), rp_id: self.host.as_str() }
    }
}

/// A browser's answer when a passkey was made.
#[derive(Debug, Clone, Copy)]
pub struct Enrolment<'e> {
    /// As it was given out.
    pub challenge: &'e [u8; 32],
    /// `clientDataJSON`.
    pub client_data: &'e [u8],
    /// `attestationObject`.
    pub attestation: &'e [u8],
}

/// A browser's answer when a passkey was used.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'s> {
    /// As it was given out.
    pub challenge: &'s [u8; 32],
    /// `rawId`.
    pub passkey: &'s [u8],
    /// `clientDataJSON`.
    pub client_data: &'s [u8],
    /// `authenticatorData`.
    pub authenticator_data: &'s [u8],
    /// `signature`.
    pub signature: &'s [u8],
}

/// The desk.
#[derive(Debug, Default)]
pub struct Desk {
    directory: RwLock<Directory>,
    sessions: Mutex<Sessions>,
    ceremonies: Mutex<Ceremonies>,
    fallbacks: Mutex<fallback::UnderWay>,
}

fn checked(kind: ActorKind, name: &str) -> Result<(), Refused> {
    Actor::new(kind, name).map(drop).map_err(|_| Refused::Name)
}

fn in_order(mut roles: Vec<Role>) -> Vec<Role> {
    roles.sort_unstable();
    roles.dedup();
    roles
}

impl Desk {
    /// Lets a recorded change have effect. What takes away ends sessions at once.
    pub fn apply(&self, change: Change, at: UnixNanos) {
        if let Change::UserRemoved { user, .. } = &change {
            self.sessions.lock().end_all_of(user);
        }
        self.directory.write().apply(change, at);
    }

    /// What two states are compared by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.directory.read().digest()
    }

    /// Persons in the order of names.
    #[must_use]
    pub fn users(&self) -> Vec<UserSummary> {
        self.directory.read().users()
    }

    /// Programs in the order of names.
    #[must_use]
    pub fn services(&self) -> Vec<ServiceSummary> {
        self.directory.read().services()
    }

    /// Whether anybody has a passkey.
    #[must_use]
    pub fn anybody_enrolled(&self) -> bool {
        self.directory.read().anybody_enrolled()
    }

    /// A person's roles, in the order of names; `None` for one who is not known.
    #[must_use]
    pub fn roles(&self, user: &str) -> Option<Vec<Role>> {
        self.directory.read().roles(user)
    }

    /// SHA-256 of the secret of the invitation a person holds.
    #[must_use]
    pub fn invite_of(&self, user: &str) -> Option<[u8; 32]> {
        self.directory.read().invite_of(user)
    }

    /// SHA-256 of a program's token.
    #[must_use]
    pub fn token_of(&self, service: &str) -> Option<[u8; 32]> {
        self.directory.read().token_of(service)
    }

    /// Whether somebody else than these has a passkey and this capability.
    #[must_use]
    pub fn somebody_else_may(&self, capability: Capability, except: &[&str]) -> bool {
        self.directory.read().somebody_else_may(capability, except)
    }

    /// Whether there is room for a person, or one more passkey of theirs.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn room_for_user(&self, user: &str) -> Result<(), Refused> {
        self.directory.read().room_for_user(user)
    }

    /// Whether there is room for a program.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn room_for_service(&self, name: &str) -> Result<(), Refused> {
        self.directory.read().room_for_service(name)
    }

    // Programs.

    /// An account for a program, in place of one of that name. `token` is what it will present.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn create_service(
        &self,
        name: &str,
        mut capabilities: Vec<Capability>,
        ips: IpAllowList,
        (token, life): (&[u8], Duration),
        (by, now): (Actor, UnixNanos),
    ) -> Result<Change, Refused> {
        checked(ActorKind::Service, name)?;
        if life.is_zero() || life > LIFE_MAX {
            return Err(Refused::Life);
        }
        capabilities.sort_unstable();
        capabilities.dedup();
        if capabilities.is_empty() {
            return Err(Refused::Nothing);
        }
        self.directory.read().room_for_service(name)?;
        let (token, expires_at) = (sha256(&[token]), now.plus(life));
        let service = NewService { name: name.to_owned(), capabilities, ips, token, expires_at };
        Ok(Change::ServiceCreated { service, by })
    }

    /// The end of a program's token.
    ///
    /// # Errors
    /// [`Refused::Unknown`].
    pub fn revoke_service(&self, name: &str, by: Actor) -> Result<Change, Refused> {
        if !self.directory.read().knows_service(name) {
            return Err(Refused::Unknown(name.to_owned()));
        }
        Ok(Change::ServiceRevoked { name: name.to_owned(), by })
    }

    /// The program that presents a token from an address; `None` for one that is unknown, has ended, or is bound
    /// elsewhere.
    #[must_use]
    pub fn program(&self, token: &[u8], ip: IpAddr, now: UnixNanos) -> Option<Principal> {
        self.directory.read().program(&sha256(&[token]), ip, now)
    }

    // Persons.

    /// An invitation to store a passkey, which `secret` opens. A known person keeps the passkeys they have.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn invite(
        &self,
        user: &str,
        roles: Vec<Role>,
        secret: &[u8],
        (by, now): (Actor, UnixNanos),
    ) -> Result<Invite, Refused> {
        checked(ActorKind::User, user)?;
        self.directory.read().room_for_user(user)?;
        let expires_at = now.plus(INVITE_LIFE);
        let (roles, invite) = (in_order(roles), sha256(&[secret]));
        let change = Change::Invited { user: user.to_owned(), roles, invite, expires_at, by };
        Ok(Invite { change, expires_at })
    }

    /// Other roles for a person.
    ///
    /// # Errors
    /// [`Refused::Unknown`].
    pub fn set_roles(&self, user: &str, roles: Vec<Role>, by: Actor) -> Result<Change, Refused> {
        if !self.directory.read().knows(user) {
            return Err(Refused::Unknown(user.to_owned()));
        }
        Ok(Change::RolesSet { user: user.to_owned(), roles: in_order(roles), by })
    }

    /// The end of a person's account.
    ///
    /// # Errors
    /// [`Refused::Unknown`].
    pub fn remove_user(&self, user: &str, by: Actor) -> Result<Change, Refused> {
        if !self.directory.read().knows(user) {
            return Err(Refused::Unknown(user.to_owned()));
        }
        Ok(Change::UserRemoved { user: user.to_owned(), by })
    }

    /// Begins to store a passkey: who holds the invitation, and the passkeys they have already.
    ///
    /// # Errors
    /// [`Refused::Invitation`].
    pub fn begin_enrolment(
        &self,
        secret: &[u8],
        challenge: [u8; 32],
        now: UnixNanos,
    ) -> Result<(String, Vec<Vec<u8>>), Refused> {
        let directory = self.directory.read();
        let user = directory.by_invite(&sha256(&[secret]), now).ok_or(Refused::Invitation)?;
        self.ceremonies.lock().begin(challenge, Some(user.to_owned()), now);
        Ok((user.to_owned(), directory.passkey_ids(user)))
    }

    /// Judges a new passkey: what to record.
    ///
    /// # Errors
    /// [`Refused`] in the outer, [`WebauthnError`] in the inner result.
    pub fn finish_enrolment(
        &self,
        secret: &[u8],
        enrolment: Enrolment<'_>,
        origin: &Origin,
        now: UnixNanos,
    ) -> Result<Result<Change, WebauthnError>, Refused> {
        let begun = self.ceremonies.lock().take(enrolment.challenge, now);
        let directory = self.directory.read();
        let user = directory.by_invite(&sha256(&[secret]), now).ok_or(Refused::Invitation)?;
        if begun != Some(Some(user.to_owned())) {
            return Ok(Err(WebauthnError::Challenge));
        }
        let expected = origin.expected(enrolment.challenge);
        let passkey = match expected.registration(enrolment.client_data, enrolment.attestation) {
            Ok(passkey) => passkey,
            Err(error) => return Ok(Err(error)),
        };
        if directory.by_passkey(&passkey.id).is_some() {
            return Err(Refused::PasskeyKnown);
        }
        Ok(Ok(Change::Enrolled { user: user.to_owned(), passkey }))
    }

    /// Begins a sign-in.
    pub fn begin_sign_in(&self, challenge: [u8; 32], now: UnixNanos) {
        self.ceremonies.lock().begin(challenge, None, now);
    }

    /// Judges a sign-in: what to record before [`Desk::open_session`].
    ///
    /// # Errors
    /// [`WebauthnError`]; an unknown passkey is a signature that does not verify.
    pub fn finish_sign_in(
        &self,
        sign_in: SignIn<'_>,
        origin: &Origin,
        ip: IpAddr,
        now: UnixNanos,
    ) -> Result<Change, WebauthnError> {
        if self.ceremonies.lock().take(sign_in.challenge, now) != Some(None) {
            return Err(WebauthnError::Challenge);
        }
        let directory = self.directory.read();
        let (user, passkey) = directory.by_passkey(sign_in.passkey).ok_or(WebauthnError::Signature)?;
        let expected = origin.expected(sign_in.challenge);
        let counter = expected.assertion(
            passkey,
            sign_in.client_data,
            sign_in.authenticator_data,
            sign_in.signature,
        )?;
        Ok(Change::SignedIn { user: user.to_owned(), passkey: sign_in.passkey.to_vec(), counter, ip })
    }

    /// Opens a session for who has signed in.
    #[must_use]
    pub fn open_session(
        &self,
        user: &str,
        secret: &[u8; 32],
        by: (Means, IpAddr),
        now: UnixNanos,
    ) -> Session {
        self.sessions.lock().begin(user, secret, by, now)
    }

    /// Who a cookie stands for, with what they may do by now, and when the session ends at the latest.
    #[must_use]
    pub fn session(&self, cookie: &str, now: UnixNanos) -> Option<(Principal, UnixNanos)> {
        let (user, means, ends_at) = self.sessions.lock().user(cookie, now)?;
        let mut principal = self.directory.read().person(&user)?;
        if means == (Means::Code { approves: false }) {
            principal.capabilities.retain(|capability| !capability.is_approval());
        }
        Some((principal, ends_at))
    }

    /// Sessions that are open, the newest first.
    #[must_use]
    pub fn sessions(&self, now: UnixNanos) -> Vec<OpenSession> {
        self.sessions.lock().list(now)
    }

    /// What the session of a cookie is listed by.
    #[must_use]
    pub fn session_id(cookie: &str) -> String {
        id_of_cookie(cookie)
    }

    /// Ends the session of an id, if it is this person's, or anybody's; whose it was.
    #[must_use]
    pub fn end_session_by_id(&self, id: &str, of: Option<&str>) -> Option<String> {
        self.sessions.lock().end_by_id(id, of)
    }

    /// Whether a request says what only a page of the session can say.
    #[must_use]
    pub fn is_csrf(cookie: &str, said: &str) -> bool {
        ct_eq(csrf(cookie).as_bytes(), said.as_bytes())
    }

    /// What pages of the session say.
    #[must_use]
    pub fn csrf(cookie: &str) -> String {
        csrf(cookie)
    }

    /// Ends a session.
    pub fn end_session(&self, cookie: &str) {
        self.sessions.lock().end(cookie);
    }

    /// Ends every session of a person.
    pub fn end_sessions_of(&self, user: &str) {
        self.sessions.lock().end_all_of(user);
    }
}

mod fallback;
#[cfg(test)]
mod tests;
