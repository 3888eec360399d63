//! What is recorded about persons and programs, and how it stands in the journal.
//!
//! Deterministic CBOR, decoded strictly: only the one encoding is accepted. No secret is in it: of tokens and invitations
//! only SHA-256 is kept, of passkeys the public key. The schema is `docs/journal-identity.cddl`.

use auth::IpAllowList;
use domain::{Actor, UnixNanos};
use minicbor::{Decoder, Encoder};

use crate::{
    Capability, Role,
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
        ip: std::net::IpAddr,
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
            Self::Invited { .. } => "invited",
            Self::RolesSet { .. } => "roles_set",
            Self::ServiceCreated { .. } => "service_created",
            Self::ServiceRevoked { .. } => "service_revoked",
            Self::SignedIn { .. } => "signed_in",
            Self::UserRemoved { .. } => "user_removed",
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn about(&self) -> &str {
        match self {
            Self::Enrolled { user, .. }
            | Self::Invited { user, .. }
            | Self::RolesSet { user, .. }
            | Self::SignedIn { user, .. }
            | Self::UserRemoved { user, .. } => user,
            Self::ServiceCreated { service, .. } => &service.name,
            Self::ServiceRevoked { name, .. } => name,
        }
    }

    /// Who did it, where that is not the person it is about.
    #[must_use]
    pub const fn by(&self) -> Option<&Actor> {
        match self {
            Self::Enrolled { .. } | Self::SignedIn { .. } => None,
            Self::Invited { by, .. }
            | Self::RolesSet { by, .. }
            | Self::ServiceCreated { by, .. }
            | Self::ServiceRevoked { by, .. }
            | Self::UserRemoved { by, .. } => Some(by),
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
                match ip {
                    std::net::IpAddr::V4(v4) => e.bytes(&v4.octets())?,
                    std::net::IpAddr::V6(v6) => e.bytes(&v6.octets())?,
                };
            }
            Self::UserRemoved { user, by } => {
                head(e, 4, 6, user)?;
                e.str(&by.to_string())?;
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
                let ip = field("ip", d.bytes())?;
                let v4 = <[u8; 4]>::try_from(ip).map(std::net::IpAddr::from);
                let ip = v4.or_else(|_| <[u8; 16]>::try_from(ip).map(std::net::IpAddr::from));
                Self::SignedIn { user: about, passkey, counter, ip: field("ip", ip)? }
            }
            (6, 4) => Self::UserRemoved { user: about, by: actor(&mut d)? },
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
            Change::UserRemoved { user: "anna".into(), by },
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
            which in 0_usize..7,
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
