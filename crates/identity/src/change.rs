//! What is recorded about persons and programs, and how it stands in the journal.
//!
//! Deterministic CBOR, decoded strictly: only the one encoding is accepted. Of tokens, invitations and phrases only SHA-256 is
//! kept, of passkeys the public key. The one secret is that of one-time codes, which both sides compute: it stands in the
//! sealed payload alone. The schema is `docs/journal-identity.cddl`.

use std::net::IpAddr;

use auth::IpAllowList;
use domain::{AccountId, Actor, UnixNanos};
use minicbor::{Decoder, Encoder};

use crate::{
    Capability, Role,
    totp::{SECRET_BYTES, TotpSecret},
    webauthn::{CREDENTIAL_ID_BYTES_MAX, PublicKey},
};

const VERSION: u8 = 1;

/// A program's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// Its name, as its actor's id.
    pub name: String,
    /// What it may do; at least one, in the order of the table.
    pub capabilities: Vec<Capability>,
    /// From where; empty for anywhere.
    pub ips: IpAllowList,
    /// SHA-256 of its token.
    pub token: [u8; 32],
    /// When the token ends.
    pub expires_at: UnixNanos,
}

/// The public half of a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// As its authenticator names it.
    pub id: Vec<u8>,
    /// Verifies what it signs.
    pub key: PublicKey,
    /// Signatures it had made; 0 for an authenticator that does not count.
    pub counter: u32,
}

/// Something that was done about persons and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A person stored a passkey, by an invitation, which is used up.
    Enrolled {
        /// Who.
        user: String,
        /// With what.
        passkey: Passkey,
    },
    /// A browser was let in by a link of the command line. Nobody proved who they are: whoever gave out the link said so.
    EnteredByLink {
        /// As whom.
        user: String,
        /// With which roles, in the order of names; empty for the developer of an account.
        roles: Vec<Role>,
        /// The account whose own pages it opens; `None` with roles.
        account: Option<AccountId>,
        /// From where.
        ip: IpAddr,
    },
    /// A person has no fallback any more.
    FallbackEnded {
        /// Whose.
        user: String,
        /// By whom.
        by: Actor,
    },
    /// A person's fallback is good for nothing until they set a new one: too many wrong codes came with the right phrase.
    FallbackLocked {
        /// Whose.
        user: String,
        /// From where the last one came.
        ip: IpAddr,
    },
    /// A person set a fallback, in place of one before: a phrase and one-time codes of an app.
    FallbackSet {
        /// Whose.
        user: String,
        /// Of the codes.
        secret: TotpSecret,
        /// SHA-256 of the phrase.
        phrase: [u8; 32],
        /// The step of the code that proved the app has it; it and those before are used.
        step: u64,
    },
    /// A person may store a passkey. A new person, or one more passkey of a known one, whose roles it sets.
    Invited {
        /// Who.
        user: String,
        /// Their roles, in the order of names.
        roles: Vec<Role>,
        /// SHA-256 of the invitation's secret.
        invite: [u8; 32],
        /// Until when.
        expires_at: UnixNanos,
        /// By whom.
        by: Actor,
    },
    /// A person's roles are these from now on.
    RolesSet {
        /// Whose.
        user: String,
        /// In the order of names; empty for none.
        roles: Vec<Role>,
        /// By whom.
        by: Actor,
    },
    /// A program got an account, in place of one of that name.
    ServiceCreated {
        /// Which.
        service: NewService,
        /// By whom.
        by: Actor,
    },
    /// A program's token works no more.
    ServiceRevoked {
        /// Whose.
        name: String,
        /// By whom.
        by: Actor,
    },
    /// A person signed in.
    SignedIn {
        /// Who.
        user: String,
        /// By which passkey.
        passkey: Vec<u8>,
        /// Its counter then.
        counter: u32,
        /// From where.
        ip: IpAddr,
    },
    /// A person signed in by their fallback.
    SignedInByCode {
        /// Who.
        user: String,
        /// The step of the code; it and those before are used.
        step: u64,
        /// From where.
        ip: IpAddr,
    },
    /// A person is known no more, with all passkeys and roles.
    UserRemoved {
        /// Who.
        user: String,
        /// By whom.
        by: Actor,
    },
}

/// Why bytes are no change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a change of an identity: {what}")]
pub struct RecordError {
    what: &'static str,
}

const fn bad(what: &'static str) -> RecordError {
    RecordError { what }
}

type Encoded = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

impl Change {
    /// Its stable name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Enrolled { .. } => "enrolled",
            Self::EnteredByLink { .. } => "entered_by_link",
            Self::FallbackEnded { .. } => "fallback_ended",
            Self::FallbackLocked { .. } => "fallback_locked",
            Self::FallbackSet { .. } => "fallback_set",
            Self::Invited { .. } => "invited",
            Self::RolesSet { .. } => "roles_set",
            Self::ServiceCreated { .. } => "service_created",
            Self::ServiceRevoked { .. } => "service_revoked",
            Self::SignedIn { .. } => "signed_in",
            Self::SignedInByCode { .. } => "signed_in_by_code",
            Self::UserRemoved { .. } => "user_removed",
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn about(&self) -> &str {
        match self {
            Self::Enrolled { user, .. }
            | Self::EnteredByLink { user, .. }
            | Self::FallbackEnded { user, .. }
            | Self::FallbackLocked { user, .. }
            | Self::FallbackSet { user, .. }
            | Self::Invited { user, .. }
            | Self::RolesSet { user, .. }
            | Self::SignedIn { user, .. }
            | Self::SignedInByCode { user, .. }
            | Self::UserRemoved { user, .. } => user,
            Self::ServiceCreated { service, .. } => &service.name,
            Self::ServiceRevoked { name, .. } => name,
        }
    }

    /// Who did it, where that is not the person it is about.
    #[must_use]
    pub const fn by(&self) -> Option<&Actor> {
        match self {
            Self::Enrolled { .. }
            | Self::EnteredByLink { .. }
            | Self::FallbackLocked { .. }
            | Self::FallbackSet { .. }
            | Self::SignedIn { .. }
            | Self::SignedInByCode { .. } => None,
            Self::FallbackEnded { by, .. }
            | Self::Invited { by, .. }
            | Self::RolesSet { by, .. }
            | Self::ServiceCreated { by, .. }
            | Self::ServiceRevoked { by, .. }
            | Self::UserRemoved { by, .. } => Some(by),
        }
    }

    /// From where, where that is recorded.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::EnteredByLink { ip, .. }
            | Self::FallbackLocked { ip, .. }
            | Self::SignedIn { ip, .. }
            | Self::SignedInByCode { ip, .. } => Some(*ip),
            _ => None,
        }
    }

    /// The one encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        // Writing to memory does not fail.
        drop(self.write(&mut encoder));
        encoder.into_writer()
    }

    fn write(&self, e: &mut Encoder<Vec<u8>>) -> Encoded {
        let head = |e: &mut Encoder<Vec<u8>>, fields: u64, number: u8, about: &str| -> Encoded {
            e.array(fields)?.u8(VERSION)?.u8(number)?.str(about)?;
            Ok(())
        };
        match self {
            Self::Enrolled { user, passkey } => {
                head(e, 7, 0, user)?;
                let (algorithm, key) = passkey.key.parts();
                e.bytes(&passkey.id)?.u8(algorithm)?.bytes(key)?.u32(passkey.counter)?;
            }
            Self::Invited { user, roles, invite, expires_at, by } => {
                head(e, 7, 1, user)?;
                write_roles(e, roles)?;
                e.bytes(invite)?.u64(expires_at.0)?.str(&by.to_string())?;
            }
            Self::RolesSet { user, roles, by } => {
                head(e, 5, 2, user)?;
                write_roles(e, roles)?;
                e.str(&by.to_string())?;
            }
            Self::ServiceCreated { service, by } => {
                head(e, 8, 3, &service.name)?;
                e.array(service.capabilities.len() as u64)?;
                for capability in &service.capabilities {
                    e.str(capability.as_str())?;
                }
                e.array(service.ips.entries().len() as u64)?;
                for entry in service.ips.entries() {
                    e.str(&entry)?;
                }
                e.bytes(&service.token)?.u64(service.expires_at.0)?.str(&by.to_string())?;
            }
            Self::ServiceRevoked { name, by } => {
                head(e, 4, 4, name)?;
                e.str(&by.to_string())?;
            }
            Self::SignedIn { user, passkey, counter, ip } => {
                head(e, 6, 5, user)?;
                e.bytes(passkey)?.u32(*counter)?;
                write_ip(e, *ip)?;
            }
            Self::UserRemoved { user, by } => {
                head(e, 4, 6, user)?;
                e.str(&by.to_string())?;
            }
            Self::EnteredByLink { user, roles, account, ip } => {
                head(e, 6, 7, user)?;
                write_roles(e, roles)?;
                match account {
                    Some(account) => e.str(account.as_str())?,
                    None => e.null()?,
                };
                write_ip(e, *ip)?;
            }
            Self::FallbackSet { user, secret, phrase, step } => {
                head(e, 6, 8, user)?;
                e.bytes(secret.expose())?.bytes(phrase)?.u64(*step)?;
            }
            Self::FallbackLocked { user, ip } => {
                head(e, 4, 9, user)?;
                write_ip(e, *ip)?;
            }
            Self::FallbackEnded { user, by } => {
                head(e, 4, 10, user)?;
                e.str(&by.to_string())?;
            }
            Self::SignedInByCode { user, step, ip } => {
                head(e, 5, 11, user)?;
                e.u64(*step)?;
                write_ip(e, *ip)?;
            }
        }
        Ok(())
    }

    /// Reads it back.
    ///
    /// # Errors
    /// [`RecordError`] for anything [`Change::encode`] does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut d = Decoder::new(bytes);
        let fields = field("fields", d.array())?.ok_or(bad("fields"))?;
        if field("version", d.u8())? != VERSION {
            return Err(bad("version"));
        }
        let number = field("number", d.u8())?;
        let about = name(field("name", d.str())?)?;
        let change = match (number, fields) {
            (0, 7) => {
                let id = field("passkey", d.bytes())?.to_vec();
                let (algorithm, key) = (field("algorithm", d.u8())?, field("key", d.bytes())?);
                let key = PublicKey::from_parts(algorithm, key).ok_or(bad("key"))?;
                let counter = field("counter", d.u32())?;
                if id.is_empty() || id.len() > CREDENTIAL_ID_BYTES_MAX {
                    return Err(bad("passkey"));
                }
                Self::Enrolled { user: about, passkey: Passkey { id, key, counter } }
            }
            (1, 7) => Self::Invited {
                user: about,
                roles: read_roles(&mut d)?,
                invite: digest(&mut d)?,
                expires_at: UnixNanos(field("expires_at", d.u64())?),
                by: actor(&mut d)?,
            },
            (2, 5) => Self::RolesSet { user: about, roles: read_roles(&mut d)?, by: actor(&mut d)? },
            (3, 8) => {
                let mut capabilities = Vec::new();
                for _ in 0..list(&mut d, "capabilities", Capability::ALL.len())? {
                    let name = field("capability", d.str())?;
                    capabilities.push(Capability::named(name).ok_or(bad("capability"))?);
                }
                let mut entries = Vec::new();
                for _ in 0..list(&mut d, "ips", IpAllowList::ENTRIES_MAX)? {
                    entries.push(field("ip", d.str())?);
                }
                let ips = field("ips", IpAllowList::parse(&entries))?;
                let (token, expires_at) = (digest(&mut d)?, UnixNanos(field("expires_at", d.u64())?));
                let service = NewService { name: about, capabilities, ips, token, expires_at };
                Self::ServiceCreated { service, by: actor(&mut d)? }
            }
            (4, 4) => Self::ServiceRevoked { name: about, by: actor(&mut d)? },
            (5, 6) => {
                let passkey = field("passkey", d.bytes())?.to_vec();
                let counter = field("counter", d.u32())?;
                Self::SignedIn { user: about, passkey, counter, ip: read_ip(&mut d)? }
            }
            (6, 4) => Self::UserRemoved { user: about, by: actor(&mut d)? },
            (7, 6) => {
                let roles = read_roles(&mut d)?;
                let account = if field("account", d.datatype())? == minicbor::data::Type::Null {
                    field("account", d.null())?;
                    None
                } else {
                    Some(field("account", AccountId::parse(field("account", d.str())?))?)
                };
                Self::EnteredByLink { user: about, roles, account, ip: read_ip(&mut d)? }
            }
            (8, 6) => {
                let secret: [u8; SECRET_BYTES] = field("secret", field("secret", d.bytes())?.try_into())?;
                let (phrase, step) = (digest(&mut d)?, field("step", d.u64())?);
                Self::FallbackSet { user: about, secret: TotpSecret::new(secret), phrase, step }
            }
            (9, 4) => Self::FallbackLocked { user: about, ip: read_ip(&mut d)? },
            (10, 4) => Self::FallbackEnded { user: about, by: actor(&mut d)? },
            (11, 5) => {
                Self::SignedInByCode { user: about, step: field("step", d.u64())?, ip: read_ip(&mut d)? }
            }
            _ => return Err(bad("number")),
        };
        // The one encoding: lengths, order and integers have no second form.
        if change.encode() == bytes { Ok(change) } else { Err(bad("encoding")) }
    }
}

fn field<T, E>(what: &'static str, decoded: Result<T, E>) -> Result<T, RecordError> {
    decoded.map_err(|_| bad(what))
}

fn name(text: &str) -> Result<String, RecordError> {
    field("name", Actor::new(domain::ActorKind::User, text)).map(|actor| actor.id().to_owned())
}

fn list(d: &mut Decoder<'_>, what: &'static str, most: usize) -> Result<u64, RecordError> {
    field(what, d.array())?.filter(|got| *got <= most as u64).ok_or(bad(what))
}

fn write_ip(e: &mut Encoder<Vec<u8>>, ip: IpAddr) -> Encoded {
    match ip {
        IpAddr::V4(v4) => e.bytes(&v4.octets())?,
        IpAddr::V6(v6) => e.bytes(&v6.octets())?,
    };
    Ok(())
}

fn read_ip(d: &mut Decoder<'_>) -> Result<IpAddr, RecordError> {
    let bytes = field("ip", d.bytes())?;
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    field("ip", v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)))
}

fn write_roles(e: &mut Encoder<Vec<u8>>, roles: &[Role]) -> Encoded {
    e.array(roles.len() as u64)?;
    for role in roles {
        e.str(role.as_str())?;
    }
    Ok(())
}

fn read_roles(d: &mut Decoder<'_>) -> Result<Vec<Role>, RecordError> {
    let mut roles = Vec::new();
    for _ in 0..list(d, "roles", Role::ALL.len())? {
        roles.push(Role::named(field("role", d.str())?).ok_or(bad("role"))?);
    }
    Ok(roles)
}

fn digest(d: &mut Decoder<'_>) -> Result<[u8; 32], RecordError> {
    field("digest", field("digest", d.bytes())?.try_into())
}

fn actor(d: &mut Decoder<'_>) -> Result<Actor, RecordError> {
    field("actor", field("actor", d.str())?.parse())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes() -> Vec<Change> {
        let by = Actor::operator();
        let key = PublicKey::Ed25519([7; 32]);
        vec![
            Change::Enrolled { user: "anna".into(), passkey: Passkey { id: vec![1; 16], key, counter: 3 } },
            Change::Invited {
                user: "anna".into(),
                roles: vec![Role::Admin, Role::Approver],
                invite: [9; 32],
                expires_at: UnixNanos(5),
                by: by.clone(),
            },
            Change::RolesSet { user: "anna".into(), roles: vec![], by: by.clone() },
            Change::ServiceCreated {
                service: NewService {
                    name: "desk".into(),
                    capabilities: vec![Capability::Decide, Capability::WriteEvents],
                    ips: IpAllowList::parse(&["192.0.2.0/24", "2001:db8::1"]).unwrap(),
                    token: [1; 32],
                    expires_at: UnixNanos(u64::MAX),
                },
                by: by.clone(),
            },
            Change::ServiceRevoked { name: "desk".into(), by: by.clone() },
            Change::SignedIn {
                user: "anna".into(),
                passkey: vec![1],
                counter: u32::MAX,
                ip: "2001:db8::1".parse().unwrap(),
            },
            Change::UserRemoved { user: "anna".into(), by: by.clone() },
            Change::EnteredByLink {
                user: "anna".into(),
                roles: vec![Role::Sre],
                account: None,
                ip: "192.0.2.1".parse().unwrap(),
            },
            Change::EnteredByLink {
                user: "dev".into(),
                roles: vec![],
                account: Some(AccountId::parse("customer-1").unwrap()),
                ip: "192.0.2.1".parse().unwrap(),
            },
            Change::FallbackSet {
                user: "anna".into(),
                secret: TotpSecret::new([5; 20]),
                phrase: [6; 32],
                step: 60_000_000,
            },
            Change::FallbackLocked { user: "anna".into(), ip: "192.0.2.1".parse().unwrap() },
            Change::FallbackEnded { user: "anna".into(), by },
            Change::SignedInByCode { user: "anna".into(), step: 1, ip: "2001:db8::1".parse().unwrap() },
        ]
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else() {
        for change in changes() {
            let bytes = change.encode();
            assert_eq!(Change::decode(&bytes), Ok(change));
            for cut in 0..bytes.len() {
                assert!(Change::decode(&bytes[..cut]).is_err());
            }
            let longer = [bytes.as_slice(), &[0]].concat();
            assert_eq!(Change::decode(&longer), Err(bad("encoding")));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error_or_the_one_encoding(
            which in 0_usize..13,
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = changes()[which].encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(change) = Change::decode(&bytes) {
                prop_assert_eq!(change.encode(), bytes);
            }
        }
    }
}
