//! How apps and the grants of customers to them stand in the journal.
//!
//! Deterministic CBOR, decoded strictly, as the changes of API keys are ([`crate::record`]). Nothing here is secret:
//! a grant holds the public key of the app, and tokens are never stored. The same text stands in
//! `docs/journal-oauth.cddl`, which takes the other names from `journal-apikey.cddl`:
//!
//! ```cddl
//! app-change = registered / disabled / granted / refreshed / grant-revoked / grant-spent / grant-seen
//!
//! registered    = [1, 0, client-id, at, name, [1*8 redirect-uri], scopes]
//! disabled      = [1, 1, client-id, at]
//! granted       = [1, 2, grant, at, client-id, account, scopes, [0*20 ip-entry], environment, scheme, restrictions,
//!                  expires-at: at]
//! refreshed     = [1, 3, grant, at, generation: uint .size 8]
//! grant-revoked = [1, 4, grant, at]
//! grant-spent   = [1, 5, grant, at, hour, upto]
//! grant-seen    = [1, 6, grant, at, origin, ja4 / null, suspect: bool]
//!
//! client-id    = tstr .size (4..64)      ; letters, digits, - and _
//! grant        = bstr .size 16           ; random
//! name         = tstr .size (1..64)      ; no control characters
//! redirect-uri = tstr .size (9..256)     ; https, or http with a loopback address
//! scopes       = 1..3                    ; read 1 + trade 2
//! ```

use std::sync::Arc;

use domain::{AccountId, UnixNanos};
use minicbor::{Decoder, Encoder};

use super::{app::App, token::GrantNumber};
use crate::{
    authority::{self, Reservation, Restrictions, Sighting},
    ip::IpAllowList,
    key::{Environment, Permission, Permissions},
    record::{self, Encoded, RECORD_BYTES_MAX, RecordError, field},
    v2::PublicKey,
};

const VERSION: u8 = 1;
const REGISTERED: u8 = 0;
const DISABLED: u8 = 1;
const GRANTED: u8 = 2;
const REFRESHED: u8 = 3;
const REVOKED: u8 = 4;
const SPENT: u8 = 5;
const SEEN: u8 = 6;

/// What a customer granted to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// Its number.
    pub grant: GrantNumber,
    /// When it was given.
    pub at: UnixNanos,
    /// To which app.
    pub client_id: String,
    /// By whom.
    pub account: AccountId,
    /// To do what; never to withdraw.
    pub scopes: Permissions,
    /// From where; empty for anywhere.
    pub ip_allow: IpAllowList,
    /// Where it is good.
    pub environment: Environment,
    /// The key the app proves itself with.
    pub key: PublicKey,
    /// What the app may do at most.
    pub restrictions: Restrictions,
    /// When it ends.
    pub expires_at: UnixNanos,
}

/// Something that happened to an app or to a grant.
#[derive(Debug, Clone)]
pub enum AppChange {
    /// An app is served no longer, for ever.
    Disabled {
        /// Which app.
        client_id: String,
        /// When.
        at: UnixNanos,
    },
    /// A customer let an app act for them.
    Granted(Box<NewGrant>),
    /// A refresh token was used.
    Refreshed {
        /// Which grant.
        grant: GrantNumber,
        /// When.
        at: UnixNanos,
        /// How often until then, this time included.
        generation: u64,
    },
    /// An app is served.
    Registered(Arc<App>),
    /// A grant ended before its time.
    Revoked {
        /// Which grant.
        grant: GrantNumber,
        /// When.
        at: UnixNanos,
    },
    /// A grant was used from somewhere new.
    Seen {
        /// Which grant.
        grant: GrantNumber,
        /// From where, when, and whether that is suspect.
        sighting: Sighting,
    },
    /// Under a grant so much may have been traded.
    Spent {
        /// Which grant.
        grant: GrantNumber,
        /// When this was journalled.
        at: UnixNanos,
        /// How much, and in which hour.
        reservation: Reservation,
    },
}

impl AppChange {
    /// When.
    #[must_use]
    pub fn at(&self) -> UnixNanos {
        match self {
            Self::Disabled { at, .. }
            | Self::Refreshed { at, .. }
            | Self::Revoked { at, .. }
            | Self::Spent { at, .. } => *at,
            Self::Granted(new) => new.at,
            Self::Registered(app) => app.registered_at(),
            Self::Seen { sighting, .. } => sighting.at,
        }
    }

    /// Which grant it is about; nothing for a change of an app.
    #[must_use]
    pub fn grant(&self) -> Option<&GrantNumber> {
        match self {
            Self::Disabled { .. } | Self::Registered(_) => None,
            Self::Granted(new) => Some(&new.grant),
            Self::Refreshed { grant, .. }
            | Self::Revoked { grant, .. }
            | Self::Seen { grant, .. }
            | Self::Spent { grant, .. } => Some(grant),
        }
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Disabled { .. } => "app_disabled",
            Self::Granted(_) => "granted",
            Self::Refreshed { .. } => "refreshed",
            Self::Registered(_) => "app_registered",
            Self::Revoked { .. } => "grant_revoked",
            Self::Seen { .. } => "grant_seen",
            Self::Spent { .. } => "grant_spent",
        }
    }

    /// The payload for the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.encode_fields(&mut encoder).expect("writing to memory does not fail");
        encoder.into_writer()
    }

    fn encode_fields(&self, encoder: &mut Encoder<Vec<u8>>) -> Encoded {
        let mut start = |fields, kind| encoder.array(fields)?.u8(VERSION)?.u8(kind).map(drop);
        match self {
            Self::Registered(app) => {
                start(7, REGISTERED)?;
                encoder.str(app.client_id())?.u64(app.registered_at().0)?.str(app.name())?;
                encoder.array(u64::try_from(app.redirect_uris().len()).unwrap_or(u64::MAX))?;
                for uri in app.redirect_uris() {
                    encoder.str(uri)?;
                }
                encoder.u8(app.scopes().bits())?;
            }
            Self::Disabled { client_id, at } => {
                start(4, DISABLED)?;
                encoder.str(client_id)?.u64(at.0)?;
            }
            Self::Granted(new) => {
                start(12, GRANTED)?;
                encoder.bytes(&new.grant)?.u64(new.at.0)?.str(&new.client_id)?.str(new.account.as_str())?;
                encoder.u8(new.scopes.bits())?;
                record::encode_ip_allow(encoder, &new.ip_allow)?;
                encoder.u8(record::environment_code(new.environment))?;
                record::encode_scheme(encoder, &new.key)?;
                authority::record::encode(&new.restrictions, encoder)?;
                encoder.u64(new.expires_at.0)?;
            }
            Self::Refreshed { grant, at, generation } => {
                start(5, REFRESHED)?;
                encoder.bytes(grant)?.u64(at.0)?.u64(*generation)?;
            }
            Self::Revoked { grant, at } => {
                start(4, REVOKED)?;
                encoder.bytes(grant)?.u64(at.0)?;
            }
            Self::Spent { grant, at, reservation } => {
                start(6, SPENT)?;
                encoder.bytes(grant)?.u64(at.0)?;
                record::encode_reservation(encoder, *reservation)?;
            }
            Self::Seen { grant, sighting } => {
                start(7, SEEN)?;
                encoder.bytes(grant)?.u64(sighting.at.0)?;
                record::encode_sighting(encoder, *sighting)?;
            }
        }
        Ok(())
    }

    /// From a payload of the journal.
    ///
    /// # Errors
    /// [`RecordError`]; bytes that decode encode to themselves.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { got: bytes.len(), max: RECORD_BYTES_MAX });
        }
        let decoder = &mut Decoder::new(bytes);
        let fields = field("record", decoder.array())?.ok_or(RecordError::NotDeterministic)?;
        let version = field("version", decoder.u8())?;
        if version != VERSION {
            return Err(RecordError::Unknown { what: "version", got: version });
        }
        let kind = field("kind", decoder.u8())?;
        let expected = match kind {
            REGISTERED | SEEN => 7,
            DISABLED | REVOKED => 4,
            GRANTED => 12,
            REFRESHED => 5,
            SPENT => 6,
            got => return Err(RecordError::Unknown { what: "kind", got }),
        };
        if fields != expected {
            return Err(RecordError::BadField { field: "record" });
        }
        let change = Self::decode_fields(kind, decoder)?;
        if change.encode() == bytes { Ok(change) } else { Err(RecordError::NotDeterministic) }
    }

    fn decode_fields(kind: u8, decoder: &mut Decoder<'_>) -> Result<Self, RecordError> {
        if kind == REGISTERED {
            return decode_app(decoder).map(|app| Self::Registered(Arc::new(app)));
        }
        if kind == DISABLED {
            let client_id = field("client-id", decoder.str())?.to_owned();
            return Ok(Self::Disabled { client_id, at: record::decode_at(decoder)? });
        }
        let grant = field("grant", field("grant", decoder.bytes())?.try_into())?;
        let at = record::decode_at(decoder)?;
        Ok(match kind {
            GRANTED => Self::Granted(Box::new(decode_grant(grant, at, decoder)?)),
            REFRESHED => Self::Refreshed { grant, at, generation: field("generation", decoder.u64())? },
            SPENT => Self::Spent { grant, at, reservation: record::decode_reservation(decoder)? },
            SEEN => Self::Seen { grant, sighting: record::decode_sighting(at, decoder)? },
            _ => Self::Revoked { grant, at },
        })
    }
}

fn decode_app(decoder: &mut Decoder<'_>) -> Result<App, RecordError> {
    let client_id = field("client-id", decoder.str())?;
    let at = record::decode_at(decoder)?;
    let name = field("name", decoder.str())?;
    let count = field("redirect-uri", decoder.array())?.and_then(|count| usize::try_from(count).ok());
    let count = count.filter(|count| *count <= App::REDIRECT_URIS_MAX);
    let count = count.ok_or(RecordError::BadField { field: "redirect-uri" })?;
    let uris = (0..count).map(|_| decoder.str()).collect::<Result<Vec<_>, _>>();
    let uris = field("redirect-uri", uris)?;
    let scopes = decode_scopes(decoder)?;
    field("app", App::new(client_id, name, &uris, scopes, at))
}

fn decode_grant(
    grant: GrantNumber,
    at: UnixNanos,
    decoder: &mut Decoder<'_>,
) -> Result<NewGrant, RecordError> {
    let client_id = field("client-id", decoder.str())?;
    if client_id.len() > App::CLIENT_ID_BYTES_MAX {
        return Err(RecordError::BadField { field: "client-id" });
    }
    let account = field("account", AccountId::parse(field("account", decoder.str())?))?;
    let scopes = decode_scopes(decoder)?;
    let ip_allow = record::decode_ip_allow(decoder)?;
    let environment = record::decode_environment(decoder)?;
    let key_fields = field("scheme", decoder.array())?;
    let key = record::decode_scheme(key_fields, decoder)?;
    let restrictions = record::decode_restrictions(decoder)?;
    let expires_at = record::decode_at(decoder)?;
    let client_id = client_id.to_owned();
    Ok(NewGrant {
        grant,
        at,
        client_id,
        account,
        scopes,
        ip_allow,
        environment,
        key,
        restrictions,
        expires_at,
    })
}

fn decode_scopes(decoder: &mut Decoder<'_>) -> Result<Permissions, RecordError> {
    let scopes = field("scopes", Permissions::from_bits(field("scopes", decoder.u8())?))?;
    if scopes.contains(Permission::Withdraw) {
        return Err(RecordError::BadField { field: "scopes" });
    }
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authority::{Ja4, Notional, Origin, Pair};

    fn changes() -> Vec<AppChange> {
        let (grant, at) = ([7; 16], UnixNanos(1_700_000_000_000_000_001));
        let uris: Vec<String> = (0..8).map(|n| format!("https://a{n}.example/{}", "p".repeat(235))).collect();
        let app = App::new(&"a".repeat(64), &"ü".repeat(32), &uris, Permissions::from_bits(3).unwrap(), at);
        let restrictions = Restrictions::default().with_instruments(&["BTC-*"]).unwrap();
        let pair =
            Pair { origin: Origin::V4([192, 0, 2]), ja4: Ja4::parse("t13d1516h2_8daaf6152771_02713d6af862") };
        vec![
            AppChange::Registered(Arc::new(app.unwrap())),
            AppChange::Disabled { client_id: "app-1".into(), at },
            AppChange::Granted(Box::new(NewGrant {
                grant,
                at,
                client_id: "app-1".into(),
                account: AccountId::parse("alice").unwrap(),
                scopes: Permissions::from_bits(1).unwrap(),
                ip_allow: IpAllowList::parse(&["10.0.0.0/8"]).unwrap(),
                environment: Environment::Demo,
                key: PublicKey::ed25519(crypto::SigningKey::from_seed([3; 32]).verifying_key().0).unwrap(),
                restrictions,
                expires_at: UnixNanos(u64::MAX),
            })),
            AppChange::Refreshed { grant, at, generation: 77 },
            AppChange::Revoked { grant, at },
            AppChange::Seen { grant, sighting: Sighting { pair, at, suspect: true } },
            AppChange::Spent {
                grant,
                at,
                reservation: Reservation { hour: 9, upto: Notional::from_atoms(5) },
            },
        ]
    }

    #[test]
    fn every_kind_round_trips_with_all_its_fields() {
        for change in changes() {
            let bytes = change.encode();
            assert!(bytes.len() <= RECORD_BYTES_MAX);
            let again = AppChange::decode(&bytes).unwrap();
            assert_eq!(format!("{again:?}"), format!("{change:?}"));
            assert_eq!((again.at(), again.as_str()), (change.at(), change.as_str()));
            for cut in 0..bytes.len() {
                assert!(AppChange::decode(&bytes[..cut]).is_err());
            }
            let trailing = [&bytes[..], &[0]].concat();
            assert_eq!(AppChange::decode(&trailing).unwrap_err(), RecordError::NotDeterministic);
        }
    }

    #[test]
    fn known_bytes() {
        let change = AppChange::Revoked { grant: [0xab; 16], at: UnixNanos(256) };
        assert_eq!(change.encode(), [&[0x84, 1, 4, 0x50][..], &[0xab; 16], &[0x19, 1, 0]].concat());
        let other = |at: usize, byte| {
            let mut bytes = change.encode();
            bytes[at] = byte;
            AppChange::decode(&bytes).unwrap_err()
        };
        assert_eq!(other(1, 2), RecordError::Unknown { what: "version", got: 2 });
        assert_eq!(other(2, 9), RecordError::Unknown { what: "kind", got: 9 });
        assert_eq!(other(0, 0x85), RecordError::BadField { field: "record" });
        assert_eq!(other(3, 0x4f), RecordError::BadField { field: "grant" });
    }

    /// A record in which a grant could withdraw is no record.
    #[test]
    fn no_record_lets_an_app_withdraw() {
        let AppChange::Granted(mut new) = changes().remove(2) else { panic!() };
        new.scopes = Permissions::from_bits(5).unwrap();
        let bytes = AppChange::Granted(new).encode();
        assert_eq!(AppChange::decode(&bytes).unwrap_err(), RecordError::BadField { field: "scopes" });
    }

    proptest! {
        #[test]
        fn changed_bytes_are_refused_or_another_record(
            which in 0..7_usize, position in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = changes()[which].encode();
            let position = position.index(bytes.len());
            bytes[position] = byte;
            if let Ok(change) = AppChange::decode(&bytes) {
                prop_assert_eq!(change.encode(), bytes);
            }
        }
    }
}
