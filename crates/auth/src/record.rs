//! How changes to API keys stand in the journal.
//!
//! A payload is deterministic CBOR (RFC 8949 section 4.2.1), an array that begins with the version and the kind.
//! Decoding is strict: the fields are checked as on creation, and only the one encoding is accepted. The journal
//! seals the payload, which matters since `created` holds the secret of a key of the OKX scheme. Versions 2 and 3 are
//! used for what the one before cannot say, so every change still has one encoding. The same text stands in
//! `docs/journal-apikey.cddl`:
//!
//! ```cddl
//! api-key-entry  = api-key-change / signed
//! signed         = [4, by: tstr .size (1..72), bstr .cbor api-key-change]       ; who did it, where they are known
//!
//! api-key-change = created / frozen / revoked / unfrozen / used / restricted / spent / seen
//!
//! created  = [version, 0, id, account, label, permissions, [0*20 ip-entry], environment, at, secret, passphrase]
//!          / [2, 0, id, account, label, permissions, [0*20 ip-entry], environment, at, scheme]
//!          / [3, 0, id, account, label, permissions, [0*20 ip-entry], environment, at, credential, restrictions]
//! frozen   = [version, 1, id, at]
//! revoked  = [version, 2, id, at]
//! unfrozen = [version, 3, id, at]
//! used     = [version, 4, id, at]        ; at most once a day per key
//! restricted = [version, 5, id, at, restrictions]     ; in place of those before
//! spent    = [version, 6, id, at, hour, upto]         ; may have traded for this much in this hour
//! seen     = [version, 7, id, at, origin, ja4 / null, suspect: bool]
//!
//! version     = 1
//! id          = tstr .size (1..64)       ; OK-ACCESS-KEY: letters, digits and - _ . : @
//! account     = tstr .size (1..64)
//! label       = tstr .size (0..64)       ; no control characters
//! permissions = 1..7                     ; read 1 + trade 2 + withdraw 4
//! ip-entry    = tstr                     ; canonical address or prefix, "192.0.2.1", "2001:db8::/32"
//! environment = &(demo: 0, live: 1)
//! at          = uint .size 8             ; nanoseconds since 1970-01-01T00:00:00Z
//! scheme      = [1, bstr .size 32]        ; v2: Ed25519 public key
//!             / [2, bstr .size 65]        ; v2: P-256 public key, uncompressed point
//! secret      = bstr .size (22..64)      ; the HMAC key as the client holds it
//! passphrase  = bstr .size 49            ; version 1, 16 bytes of salt, 32 bytes of Argon2id
//! credential  = [0, secret, passphrase] / scheme
//!
//! restrictions = [endpoints / null, instruments / null, notional / null, transfers / null, destinations / null,
//!                 hours / null]           ; null: not restricted
//! endpoints    = [1*32 tstr .size (3..112)]     ; "POST /api/v5/trade/order", "GET /api/v5/account/*"
//! instruments  = [1*64 tstr .size (3..48)]      ; "BTC-USDT", "BTC-*"
//! notional     = [quote: tstr, per-order: amount / null, per-day: amount / null]     ; one of the two at least
//! amount       = tstr                    ; canonical decimal, above zero
//! transfers    = 1..31                   ; funding to trading 1 + master to sub 2 + sub to master 4
//!                                        ; + sub to sub 8 + trading to funding 16
//! destinations = [1*32 tstr .size (1..64)]      ; entries of the address book
//! hours        = bstr .size 21           ; hour n after Monday 00:00 UTC: bit n mod 8 of byte n / 8
//! hour         = uint .size 8            ; hours since 1970-01-01T00:00:00Z
//! upto         = bstr .size 16           ; big-endian, in 10^-12 of the quote asset
//! origin       = uint .size 4            ; number of the autonomous system
//!              / bstr .size 3 / bstr .size 6    ; IPv4 /24, IPv6 /48
//! ja4          = tstr .size 36           ; TLS client fingerprint
//! ```

use std::convert::Infallible;

use crypto::{PassphraseHash, SecretBytes};
use domain::{AccountId, Actor, ApiKeyId, UnixNanos};
use minicbor::{Decoder, Encoder, data::Type, encode};

use crate::{
    authority::{self, Ja4, Notional, Origin, Pair, Reservation, Restrictions, Sighting},
    ip::IpAllowList,
    key::{ApiKey, Credential, Environment, NewApiKey, NewV2Key, Permissions},
    v2::{Algorithm, PublicKey},
};

/// Longest encoding, in bytes; what is longer is refused unread. Twenty entries of at most 49 bytes, and the other
/// fields within their bounds.
pub const RECORD_BYTES_MAX: usize = 2_048 + authority::record::ENCODED_BYTES_MAX;

pub(crate) type Encoded = Result<(), encode::Error<Infallible>>;

const VERSION: u8 = 1;
/// Of `created` with a scheme other than the OKX one.
const VERSION_SCHEME: u8 = 2;
/// Of `created` with restrictions.
const VERSION_RESTRICTED: u8 = 3;
/// Of an entry that says who made the change.
const VERSION_SIGNED: u8 = 4;
/// Room for a name, and for what surrounds it.
const SIGNATURE_BYTES_MAX: usize = 128;
const SCHEME_OKX: u8 = 0;
const SCHEME_ED25519: u8 = 1;
const SCHEME_P256: u8 = 2;
const CREATED: u8 = 0;
const FROZEN: u8 = 1;
const REVOKED: u8 = 2;
const UNFROZEN: u8 = 3;
const USED: u8 = 4;
const RESTRICTED: u8 = 5;
const SPENT: u8 = 6;
const SEEN: u8 = 7;

/// A change that a request brings about, by what it came with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// Of an app's grant.
    App(crate::oauth::AppChange),
    /// Of an API key.
    Key(KeyChange),
}

/// Something that happened to an API key.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// It was issued.
    Created(Box<ApiKey>),
    /// It is refused until unfrozen.
    Frozen {
        /// Which key.
        id: ApiKeyId,
        /// When.
        at: UnixNanos,
    },
    /// Other restrictions are in force.
    Restricted {
        /// Which key.
        id: ApiKeyId,
        /// When.
        at: UnixNanos,
        /// In place of those before; empty for none.
        restrictions: Box<Restrictions>,
    },
    /// It is refused for ever.
    Revoked {
        /// Which key.
        id: ApiKeyId,
        /// When.
        at: UnixNanos,
    },
    /// It was used from somewhere new.
    Seen {
        /// Which key.
        id: ApiKeyId,
        /// From where, when, and whether that is suspect.
        sighting: Sighting,
    },
    /// It may have traded for so much.
    Spent {
        /// Which key.
        id: ApiKeyId,
        /// When this was journalled.
        at: UnixNanos,
        /// How much, and in which hour.
        reservation: Reservation,
    },
    /// It is in force again.
    Unfrozen {
        /// Which key.
        id: ApiKeyId,
        /// When.
        at: UnixNanos,
    },
    /// A request was accepted with it.
    Used {
        /// Which key.
        id: ApiKeyId,
        /// When.
        at: UnixNanos,
    },
}

/// A change and who made it.
#[derive(Debug, Clone)]
pub struct KeyEntry {
    /// Who, where they are known: what a request or a timer brings about is nobody's decision.
    pub by: Option<Actor>,
    /// What.
    pub change: KeyChange,
}

impl KeyEntry {
    /// The payload for the journal. Secret, since it may hold a key's secret.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let change = self.change.encode();
        let Some(by) = &self.by else { return change };
        // Room for all of it, so that no reallocation leaves a copy of the secret behind.
        let mut encoder = Encoder::new(Vec::with_capacity(RECORD_BYTES_MAX + SIGNATURE_BYTES_MAX));
        encode_signed(&mut encoder, by, change.expose()).expect("writing to memory does not fail");
        SecretBytes::new(encoder.into_writer())
    }

    /// From a payload of the journal.
    ///
    /// # Errors
    /// [`RecordError`]; bytes that decode encode to themselves.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let decoder = &mut Decoder::new(bytes);
        let is_signed = matches!(decoder.array(), Ok(Some(3))) && matches!(decoder.u8(), Ok(VERSION_SIGNED));
        if !is_signed {
            return Ok(Self { by: None, change: KeyChange::decode(bytes)? });
        }
        let max = RECORD_BYTES_MAX + SIGNATURE_BYTES_MAX;
        if bytes.len() > max {
            return Err(RecordError::TooLong { got: bytes.len(), max });
        }
        let by = field("by", field("by", decoder.str())?.parse::<Actor>())?;
        let entry = Self { by: Some(by), change: KeyChange::decode(field("change", decoder.bytes())?)? };
        if entry.encode().expose() == bytes { Ok(entry) } else { Err(RecordError::NotDeterministic) }
    }
}

fn encode_signed(encoder: &mut Encoder<Vec<u8>>, by: &Actor, change: &[u8]) -> Encoded {
    encoder.array(3)?.u8(VERSION_SIGNED)?.str(&by.to_string())?.bytes(change)?;
    Ok(())
}

/// Bytes that are not a change to an API key, or to an app: stored by something else, or damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A field is missing, of the wrong type or outside its bounds.
    #[error("credential record has a bad {field}")]
    BadField {
        /// Name of the field in the schema.
        field: &'static str,
    },
    /// The content is acceptable, its encoding is not the deterministic one.
    #[error("credential record is not in deterministic encoding")]
    NotDeterministic,
    /// More bytes than any record has.
    #[error("credential record is {got} bytes long, at most {max} are allowed")]
    TooLong {
        /// Length found, in bytes.
        got: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// A version or kind this build does not know.
    #[error("credential record of unknown {what} {got}")]
    Unknown {
        /// `version` or `kind`.
        what: &'static str,
        /// The number found.
        got: u8,
    },
}

impl KeyChange {
    /// Which key.
    #[must_use]
    pub fn id(&self) -> &ApiKeyId {
        match self {
            Self::Created(key) => key.id(),
            Self::Frozen { id, .. }
            | Self::Restricted { id, .. }
            | Self::Revoked { id, .. }
            | Self::Seen { id, .. }
            | Self::Spent { id, .. }
            | Self::Unfrozen { id, .. }
            | Self::Used { id, .. } => id,
        }
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> UnixNanos {
        match self {
            Self::Created(key) => key.created_at(),
            Self::Seen { sighting, .. } => sighting.at,
            Self::Frozen { at, .. }
            | Self::Restricted { at, .. }
            | Self::Revoked { at, .. }
            | Self::Spent { at, .. }
            | Self::Unfrozen { at, .. }
            | Self::Used { at, .. } => *at,
        }
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Frozen { .. } => "frozen",
            Self::Restricted { .. } => "restricted",
            Self::Revoked { .. } => "revoked",
            Self::Seen { .. } => "seen",
            Self::Spent { .. } => "spent",
            Self::Unfrozen { .. } => "unfrozen",
            Self::Used { .. } => "used",
        }
    }

    /// The payload for the journal. Secret, since it may hold a key's secret.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        // Room for every record, so that no reallocation leaves a copy of the secret behind.
        let mut encoder = Encoder::new(Vec::with_capacity(RECORD_BYTES_MAX));
        self.encode_fields(&mut encoder).expect("writing to memory does not fail");
        SecretBytes::new(encoder.into_writer())
    }

    fn encode_fields(&self, encoder: &mut Encoder<Vec<u8>>) -> Encoded {
        match self {
            Self::Created(key) => encode_created(encoder, key),
            Self::Frozen { id, at } => encode_short(encoder, FROZEN, id, *at),
            Self::Restricted { id, at, restrictions } => {
                encode_start(encoder, 5, RESTRICTED, id, *at)?;
                authority::record::encode(restrictions, encoder)
            }
            Self::Revoked { id, at } => encode_short(encoder, REVOKED, id, *at),
            Self::Seen { id, sighting } => encode_seen(encoder, id, *sighting),
            Self::Spent { id, at, reservation } => {
                encode_start(encoder, 6, SPENT, id, *at)?;
                encode_reservation(encoder, *reservation)
            }
            Self::Unfrozen { id, at } => encode_short(encoder, UNFROZEN, id, *at),
            Self::Used { id, at } => encode_short(encoder, USED, id, *at),
        }
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
        if ![VERSION, VERSION_SCHEME, VERSION_RESTRICTED].contains(&version) {
            return Err(RecordError::Unknown { what: "version", got: version });
        }
        let kind = field("kind", decoder.u8())?;
        if version != VERSION && kind != CREATED {
            return Err(RecordError::Unknown { what: "version", got: version });
        }
        let expected_fields = match (kind, version) {
            (CREATED, VERSION | VERSION_RESTRICTED) => 11,
            (CREATED, _) => 10,
            (RESTRICTED, _) => 5,
            (SPENT, _) => 6,
            (SEEN, _) => 7,
            _ => 4,
        };
        if fields != expected_fields {
            return Err(RecordError::BadField { field: "record" });
        }
        let id = field("id", ApiKeyId::parse(field("id", decoder.str())?))?;
        let change = match kind {
            CREATED => Self::Created(Box::new(decode_created(version, id, decoder)?)),
            FROZEN => Self::Frozen { id, at: decode_at(decoder)? },
            RESTRICTED => {
                let (at, restrictions) = (decode_at(decoder)?, decode_restrictions(decoder)?);
                Self::Restricted { id, at, restrictions: Box::new(restrictions) }
            }
            REVOKED => Self::Revoked { id, at: decode_at(decoder)? },
            SEEN => {
                let at = decode_at(decoder)?;
                Self::Seen { id, sighting: decode_sighting(at, decoder)? }
            }
            SPENT => {
                let (at, reservation) = (decode_at(decoder)?, decode_reservation(decoder)?);
                Self::Spent { id, at, reservation }
            }
            UNFROZEN => Self::Unfrozen { id, at: decode_at(decoder)? },
            USED => Self::Used { id, at: decode_at(decoder)? },
            got => return Err(RecordError::Unknown { what: "kind", got }),
        };
        // Longer integers, texts in pieces, entries in another spelling and bytes after the end all differ here.
        if change.encode().expose() == bytes { Ok(change) } else { Err(RecordError::NotDeterministic) }
    }
}

fn encode_short(encoder: &mut Encoder<Vec<u8>>, kind: u8, id: &ApiKeyId, at: UnixNanos) -> Encoded {
    encode_start(encoder, 4, kind, id, at)
}

fn encode_start(
    encoder: &mut Encoder<Vec<u8>>,
    fields: u64,
    kind: u8,
    id: &ApiKeyId,
    at: UnixNanos,
) -> Encoded {
    encoder.array(fields)?.u8(VERSION)?.u8(kind)?.str(id.as_str())?.u64(at.0)?;
    Ok(())
}

fn encode_seen(encoder: &mut Encoder<Vec<u8>>, id: &ApiKeyId, sighting: Sighting) -> Encoded {
    encode_start(encoder, 7, SEEN, id, sighting.at)?;
    encode_sighting(encoder, sighting)
}

/// Without its time.
pub(crate) fn encode_sighting(encoder: &mut Encoder<Vec<u8>>, sighting: Sighting) -> Encoded {
    match sighting.pair.origin {
        Origin::Asn(asn) => encoder.u32(asn)?,
        Origin::V4(octets) => encoder.bytes(&octets)?,
        Origin::V6(octets) => encoder.bytes(&octets)?,
    };
    match &sighting.pair.ja4 {
        Some(ja4) => encoder.str(ja4.as_str())?,
        None => encoder.null()?,
    };
    encoder.bool(sighting.suspect)?;
    Ok(())
}

fn encode_created(encoder: &mut Encoder<Vec<u8>>, key: &ApiKey) -> Encoded {
    let restricted = key.restrictions.is_some();
    match &key.credential {
        _ if restricted => encoder.array(11)?.u8(VERSION_RESTRICTED)?,
        Credential::Okx { .. } => encoder.array(11)?.u8(VERSION)?,
        Credential::V2(_) => encoder.array(10)?.u8(VERSION_SCHEME)?,
    };
    encoder.u8(CREATED)?.str(key.id.as_str())?.str(key.account.as_str())?;
    encoder.str(&key.label)?.u8(key.permissions.bits())?;
    encode_ip_allow(encoder, &key.ip_allow)?;
    encoder.u8(environment_code(key.environment))?.u64(key.created_at.0)?;
    match &key.credential {
        Credential::Okx { secret, passphrase } => {
            if restricted {
                encoder.array(3)?.u8(SCHEME_OKX)?;
            }
            encoder.bytes(secret.expose())?.bytes(passphrase.as_bytes())?;
        }
        Credential::V2(public_key) => encode_scheme(encoder, public_key)?,
    }
    match &key.restrictions {
        Some(restrictions) => authority::record::encode(restrictions, encoder),
        None => Ok(()),
    }
}

pub(crate) fn encode_ip_allow(encoder: &mut Encoder<Vec<u8>>, ip_allow: &IpAllowList) -> Encoded {
    let entries = ip_allow.entries();
    encoder.array(u64::try_from(entries.len()).unwrap_or(u64::MAX))?;
    for entry in entries {
        encoder.str(&entry)?;
    }
    Ok(())
}

pub(crate) fn encode_scheme(encoder: &mut Encoder<Vec<u8>>, public_key: &PublicKey) -> Encoded {
    let scheme = match public_key {
        PublicKey::Ed25519(_) => SCHEME_ED25519,
        PublicKey::P256(_) => SCHEME_P256,
    };
    encoder.array(2)?.u8(scheme)?.bytes(public_key.as_bytes())?;
    Ok(())
}

pub(crate) const fn environment_code(environment: Environment) -> u8 {
    match environment {
        Environment::Demo => 0,
        Environment::Live => 1,
    }
}

pub(crate) fn encode_reservation(encoder: &mut Encoder<Vec<u8>>, reservation: Reservation) -> Encoded {
    encoder.u64(reservation.hour)?.bytes(&reservation.upto.atoms().to_be_bytes())?;
    Ok(())
}

/// The fields after the id.
fn decode_created(version: u8, id: ApiKeyId, decoder: &mut Decoder<'_>) -> Result<ApiKey, RecordError> {
    let account = field("account", AccountId::parse(field("account", decoder.str())?))?;
    let label = field("label", decoder.str())?.to_owned();
    let permissions = field("permissions", Permissions::from_bits(field("permissions", decoder.u8())?))?;
    let ip_allow = decode_ip_allow(decoder)?;
    let environment = decode_environment(decoder)?;
    let created_at = decode_at(decoder)?;
    // In version 1 the credential is no array of its own, but two more fields.
    let credential_fields = match version {
        VERSION => None,
        _ => field("credential", decoder.array())?,
    };
    let key = if version == VERSION || (version == VERSION_RESTRICTED && credential_fields == Some(3)) {
        if version == VERSION_RESTRICTED && field("credential", decoder.u8())? != SCHEME_OKX {
            return Err(RecordError::BadField { field: "credential" });
        }
        let secret = SecretBytes::new(field("secret", decoder.bytes())?.to_vec());
        let passphrase = field("passphrase", decoder.bytes())?;
        let passphrase = field("passphrase", PassphraseHash::from_bytes(passphrase))?;
        let new = NewApiKey { id, account, label, permissions, ip_allow, environment, secret };
        field("label or secret", ApiKey::restore(new, passphrase, created_at))?
    } else {
        let public_key = decode_scheme(credential_fields, decoder)?;
        let new = NewV2Key { id, account, label, permissions, ip_allow, environment, public_key };
        field("id or label", ApiKey::register(new, created_at))?
    };
    if version != VERSION_RESTRICTED {
        return Ok(key);
    }
    Ok(key.with_restrictions(decode_restrictions(decoder)?))
}

pub(crate) fn decode_restrictions(decoder: &mut Decoder<'_>) -> Result<Restrictions, RecordError> {
    authority::record::decode(decoder).map_err(|field| RecordError::BadField { field })
}

pub(crate) fn decode_reservation(decoder: &mut Decoder<'_>) -> Result<Reservation, RecordError> {
    let hour = field("hour", decoder.u64())?;
    let upto: [u8; 16] = field("upto", field("upto", decoder.bytes())?.try_into())?;
    Ok(Reservation { hour, upto: Notional::from_atoms(u128::from_be_bytes(upto)) })
}

pub(crate) fn decode_sighting(at: UnixNanos, decoder: &mut Decoder<'_>) -> Result<Sighting, RecordError> {
    let bad = |field| RecordError::BadField { field };
    let origin = if field("origin", decoder.datatype())? == Type::Bytes {
        let octets = field("origin", decoder.bytes())?;
        let v4 = octets.try_into().map(Origin::V4);
        v4.or_else(|_| octets.try_into().map(Origin::V6)).map_err(|_| bad("origin"))?
    } else {
        Origin::Asn(field("origin", decoder.u32())?)
    };
    let ja4 = if field("ja4", decoder.datatype())? == Type::Null {
        field("ja4", decoder.null())?;
        None
    } else {
        Some(Ja4::parse(field("ja4", decoder.str())?).ok_or_else(|| bad("ja4"))?)
    };
    let suspect = field("suspect", decoder.bool())?;
    Ok(Sighting { pair: Pair { origin, ja4 }, at, suspect })
}

/// `fields`: of the array that has begun.
pub(crate) fn decode_scheme(
    fields: Option<u64>,
    decoder: &mut Decoder<'_>,
) -> Result<PublicKey, RecordError> {
    let bad = RecordError::BadField { field: "scheme" };
    if fields != Some(2) {
        return Err(bad);
    }
    let scheme = field("scheme", decoder.u8())?;
    let key = field("scheme", PublicKey::from_bytes(field("scheme", decoder.bytes())?))?;
    match (scheme, key.algorithm()) {
        (SCHEME_ED25519, Algorithm::Ed25519) | (SCHEME_P256, Algorithm::EcdsaP256Sha256) => Ok(key),
        _ => Err(bad),
    }
}

pub(crate) fn decode_ip_allow(decoder: &mut Decoder<'_>) -> Result<IpAllowList, RecordError> {
    let bad = || RecordError::BadField { field: "ip-entry" };
    let entries = field("ip-entry", decoder.array())?.and_then(|entries| usize::try_from(entries).ok());
    let entries = entries.filter(|entries| *entries <= IpAllowList::ENTRIES_MAX).ok_or_else(bad)?;
    let texts = (0..entries).map(|_| decoder.str()).collect::<Result<Vec<_>, _>>();
    field("ip-entry", IpAllowList::parse(&field("ip-entry", texts)?))
}

pub(crate) fn decode_environment(decoder: &mut Decoder<'_>) -> Result<Environment, RecordError> {
    match field("environment", decoder.u8())? {
        0 => Ok(Environment::Demo),
        1 => Ok(Environment::Live),
        _ => Err(RecordError::BadField { field: "environment" }),
    }
}

pub(crate) fn decode_at(decoder: &mut Decoder<'_>) -> Result<UnixNanos, RecordError> {
    field("at", decoder.u64()).map(UnixNanos)
}

/// Names the field in which decoding failed; the cause adds nothing a reader could act on.
pub(crate) fn field<T, E>(field: &'static str, decoded: Result<T, E>) -> Result<T, RecordError> {
    decoded.map_err(|_| RecordError::BadField { field })
}

#[cfg(test)]
mod tests;
