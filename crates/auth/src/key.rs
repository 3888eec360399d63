//! An API key: what was issued, to whom, for what.
//!
//! Not here: whether it is still in force, which is the registry's to say. Under the OKX scheme the secret must be
//! recoverable to check an HMAC, so it is held as a [`crypto::SecretBytes`] in memory and sealed by the journal at rest;
//! the passphrase is only ever held as a salted hash. Of a v2 key nothing secret is held at all.

use std::fmt;

use crypto::{PassphraseHash, SecretBytes};
use domain::{AccountId, ApiKeyId, UnixNanos};

use crate::{
    authority::Restrictions,
    ip::IpAllowList,
    v2::{PublicKey, parse_key_id},
};

/// Fields of a new key that cannot be accepted. Names the field, never its secret content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The id of a v2 key is not of its form, or made for the other environment.
    #[error("id is not of the form of a v2 key of this environment")]
    IdForm,
    /// An entry of the allow-list is neither an address nor a proper prefix.
    #[error("ip allow-list entry {position} is neither an address nor a prefix without host bits")]
    IpEntryInvalid {
        /// Zero-based position.
        position: usize,
    },
    /// The label has a control character.
    #[error("label has a control character")]
    LabelForbidden,
    /// The label is too long.
    #[error("label is {got} bytes long, at most {max} are allowed")]
    LabelTooLong {
        /// Length found, in bytes.
        got: usize,
        /// Length allowed, in bytes.
        max: usize,
    },
    /// The passphrase breaks a rule.
    #[error("passphrase {rule}")]
    PassphraseWeak {
        /// The rule it breaks.
        rule: PassphraseRule,
    },
    /// No permission at all.
    #[error("permissions are empty")]
    PermissionsEmpty,
    /// A bit that stands for no permission.
    #[error("permissions have an unknown bit: {bits:#010b}")]
    PermissionsUnknown {
        /// The bits found.
        bits: u8,
    },
    /// The secret is too short to resist guessing or longer than is stored.
    #[error("secret is {got} bytes long, {min} to {max} are allowed")]
    SecretLength {
        /// Length found, in bytes.
        got: usize,
        /// Shortest accepted.
        min: usize,
        /// Longest accepted.
        max: usize,
    },
    /// Too many entries in the allow-list.
    #[error("ip allow-list has {got} entries, at most {max} are allowed")]
    TooManyIpEntries {
        /// Entries found.
        got: usize,
        /// Entries allowed.
        max: usize,
    },
}

/// A rule of the passphrase policy: that of OKX sub-account keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassphraseRule {
    /// A byte outside printable ASCII, which an HTTP header cannot carry faithfully.
    Character,
    /// No digit.
    Digit,
    /// Not 8 to 32 characters.
    Length,
    /// No lower-case letter.
    Lower,
    /// No special character.
    Special,
    /// No upper-case letter.
    Upper,
}

impl fmt::Display for PassphraseRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => "has a character that is not printable ASCII",
            Self::Digit => "has no digit",
            Self::Length => "is not 8 to 32 characters long",
            Self::Lower => "has no lower-case letter",
            Self::Special => "has no special character",
            Self::Upper => "has no upper-case letter",
        })
    }
}

/// Checks a passphrase against the policy: 8 to 32 printable ASCII characters with a digit, an upper-case letter, a
/// lower-case letter and a special character. A space is special inside, but refused at either end, where HTTP
/// drops it.
///
/// # Errors
/// [`KeyError::PassphraseWeak`] with the first rule that is broken.
pub fn check_passphrase(passphrase: &[u8]) -> Result<(), KeyError> {
    let rule = |holds: bool, rule| if holds { Ok(()) } else { Err(KeyError::PassphraseWeak { rule }) };
    let has = |test: fn(&u8) -> bool| passphrase.iter().any(test);
    rule((8..=32).contains(&passphrase.len()), PassphraseRule::Length)?;
    let printable = passphrase.iter().all(|byte| (b' '..=b'~').contains(byte));
    rule(printable && passphrase.trim_ascii() == passphrase, PassphraseRule::Character)?;
    rule(has(u8::is_ascii_digit), PassphraseRule::Digit)?;
    rule(has(u8::is_ascii_uppercase), PassphraseRule::Upper)?;
    rule(has(u8::is_ascii_lowercase), PassphraseRule::Lower)?;
    rule(has(|byte| !byte.is_ascii_alphanumeric()), PassphraseRule::Special)
}

/// One thing a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// See balances, orders and history.
    Read,
    /// Place, amend and cancel orders; transfer between own accounts; change settings.
    Trade,
    /// Move funds out.
    Withdraw,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 3] = [Self::Read, Self::Trade, Self::Withdraw];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Withdraw => "withdraw",
        }
    }

    /// Parses the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Trade => 2,
            Self::Withdraw => 4,
        }
    }
}

/// A set of permissions, never empty. None includes another: a key that may trade may not read unless it says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(u8);

impl Permissions {
    /// Of the listed permissions; repetition changes nothing.
    ///
    /// # Errors
    /// [`KeyError::PermissionsEmpty`].
    pub fn new(permissions: &[Permission]) -> Result<Self, KeyError> {
        Self::from_bits(permissions.iter().fold(0, |bits, permission| bits | permission.bit()))
    }

    /// From storage: read 1, trade 2, withdraw 4.
    ///
    /// # Errors
    /// [`KeyError::PermissionsEmpty`], [`KeyError::PermissionsUnknown`].
    pub const fn from_bits(bits: u8) -> Result<Self, KeyError> {
        match bits {
            0 => Err(KeyError::PermissionsEmpty),
            1..=7 => Ok(Self(bits)),
            _ => Err(KeyError::PermissionsUnknown { bits }),
        }
    }

    /// For storage.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether the set has `permission`.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// The permissions in the order read, trade, withdraw.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Where a key is good: the two never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Environment {
    /// Demo trading, chosen by `x-simulated-trading: 1`.
    Demo,
    /// The real thing.
    Live,
}

impl Environment {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Live => "live",
        }
    }
}

/// Whether a key is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// In force.
    Active,
    /// Refused until unfrozen.
    Frozen,
    /// Refused for ever; its secret is gone from memory.
    Revoked,
}

impl KeyState {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Revoked => "revoked",
        }
    }
}

/// What is asked for when a key is created.
#[derive(Debug)]
pub struct NewApiKey {
    /// The public half, unique for ever; see [`generate_id`].
    pub id: ApiKeyId,
    /// Who may act with it.
    pub account: AccountId,
    /// The customer's name for it; may be empty.
    pub label: String,
    /// What it may do.
    pub permissions: Permissions,
    /// From where; empty for anywhere.
    pub ip_allow: IpAllowList,
    /// Where it is good.
    pub environment: Environment,
    /// The HMAC key, as the ASCII text the client is given; see [`generate_secret`].
    pub secret: SecretBytes,
}

/// What is asked for when a v2 key is registered. The private key stays with the client.
#[derive(Debug)]
pub struct NewV2Key {
    /// The public name, unique for ever; see [`generate_key_id`](crate::v2::generate_key_id).
    pub id: ApiKeyId,
    /// Who may act with it.
    pub account: AccountId,
    /// The customer's name for it; may be empty.
    pub label: String,
    /// What it may do.
    pub permissions: Permissions,
    /// From where; empty for anywhere.
    pub ip_allow: IpAllowList,
    /// Where it is good.
    pub environment: Environment,
    /// What its signatures are verified with.
    pub public_key: PublicKey,
}

/// How requests are signed with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// The OKX v5 scheme: a shared secret and a passphrase.
    Okx,
    /// HTTP message signatures by a key pair the client made.
    V2,
}

impl Scheme {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Okx => "okx",
            Self::V2 => "v2",
        }
    }
}

/// What is known of a key to check its signatures.
#[derive(Clone)]
pub(crate) enum Credential {
    Okx { secret: SecretBytes, passphrase: PassphraseHash },
    V2(Box<PublicKey>),
}

/// An issued key.
#[derive(Clone)]
pub struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) account: AccountId,
    pub(crate) label: Box<str>,
    pub(crate) permissions: Permissions,
    pub(crate) ip_allow: IpAllowList,
    pub(crate) environment: Environment,
    pub(crate) created_at: UnixNanos,
    pub(crate) credential: Credential,
    /// Those it was issued with; the registry knows those in force.
    pub(crate) restrictions: Option<Box<Restrictions>>,
}

impl ApiKey {
    /// Longest label, in bytes.
    pub const LABEL_BYTES_MAX: usize = 64;
    /// Shortest secret, in bytes: 128 bits written in Base64.
    pub const SECRET_BYTES_MIN: usize = 22;
    /// Longest secret, in bytes: one block of the hash.
    pub const SECRET_BYTES_MAX: usize = 64;

    /// Checks the fields and hashes the passphrase under `salt`, which must be fresh random bytes.
    ///
    /// Takes some 20 ms of one core and 19 MiB: not for an async thread.
    ///
    /// # Errors
    /// [`KeyError`] naming the field.
    pub fn create(
        new: NewApiKey,
        passphrase: &[u8],
        salt: [u8; 16],
        created_at: UnixNanos,
    ) -> Result<Self, KeyError> {
        check_passphrase(passphrase)?;
        check_label(&new.label)?;
        check_secret(new.secret.expose())?;
        Ok(Self::assemble(new, PassphraseHash::new(passphrase, salt), created_at))
    }

    /// Checks the fields of a v2 key. Fast, unlike [`ApiKey::create`]: there is no passphrase.
    ///
    /// # Errors
    /// [`KeyError`] naming the field.
    pub fn register(new: NewV2Key, created_at: UnixNanos) -> Result<Self, KeyError> {
        check_label(&new.label)?;
        if parse_key_id(new.id.as_str()) != Some(new.environment) {
            return Err(KeyError::IdForm);
        }
        Ok(Self {
            id: new.id,
            account: new.account,
            label: new.label.into_boxed_str(),
            permissions: new.permissions,
            ip_allow: new.ip_allow,
            environment: new.environment,
            created_at,
            credential: Credential::V2(Box::new(new.public_key)),
            restrictions: None,
        })
    }

    /// From storage: the fields are checked again, the passphrase is already a hash.
    pub(crate) fn restore(
        new: NewApiKey,
        passphrase: PassphraseHash,
        created_at: UnixNanos,
    ) -> Result<Self, KeyError> {
        check_label(&new.label)?;
        check_secret(new.secret.expose())?;
        Ok(Self::assemble(new, passphrase, created_at))
    }

    fn assemble(new: NewApiKey, passphrase: PassphraseHash, created_at: UnixNanos) -> Self {
        Self {
            id: new.id,
            account: new.account,
            label: new.label.into_boxed_str(),
            permissions: new.permissions,
            ip_allow: new.ip_allow,
            environment: new.environment,
            created_at,
            credential: Credential::Okx { secret: new.secret, passphrase },
            restrictions: None,
        }
    }

    /// The same key, issued with these restrictions.
    #[must_use]
    pub fn with_restrictions(self, restrictions: Restrictions) -> Self {
        let restrictions = (!restrictions.is_empty()).then(|| Box::new(restrictions));
        Self { restrictions, ..self }
    }

    /// The restrictions it was issued with, if any.
    #[must_use]
    pub fn restrictions(&self) -> Option<&Restrictions> {
        self.restrictions.as_deref()
    }

    /// The public half.
    #[must_use]
    pub const fn id(&self) -> &ApiKeyId {
        &self.id
    }

    /// Who may act with it.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// The customer's name for it.
    #[must_use]
    pub const fn label(&self) -> &str {
        &self.label
    }

    /// What it may do.
    #[must_use]
    pub const fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// From where; empty for anywhere.
    #[must_use]
    pub const fn ip_allow(&self) -> &IpAllowList {
        &self.ip_allow
    }

    /// Where it is good.
    #[must_use]
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// When it was issued.
    #[must_use]
    pub const fn created_at(&self) -> UnixNanos {
        self.created_at
    }

    /// How requests are signed with it.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        match self.credential {
            Credential::Okx { .. } => Scheme::Okx,
            Credential::V2(_) => Scheme::V2,
        }
    }

    /// The HMAC key of the OKX scheme; to be shown to the customer once, on creation. Nothing for a v2 key.
    #[must_use]
    pub const fn secret(&self) -> Option<&SecretBytes> {
        match &self.credential {
            Credential::Okx { secret, .. } => Some(secret),
            Credential::V2(_) => None,
        }
    }

    /// What signatures of a v2 key are verified with. Nothing under the OKX scheme.
    #[must_use]
    pub fn public_key(&self) -> Option<&PublicKey> {
        match &self.credential {
            Credential::Okx { .. } => None,
            Credential::V2(key) => Some(key),
        }
    }
}

impl fmt::Debug for ApiKey {
    /// Without the secret and without the passphrase hash, which would allow guessing at leisure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .field("label", &self.label)
            .field("permissions", &self.permissions)
            .field("ip_allow", &self.ip_allow)
            .field("environment", &self.environment)
            .field("scheme", &self.scheme())
            .field("restrictions", &self.restrictions)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

fn check_label(label: &str) -> Result<(), KeyError> {
    if label.len() > ApiKey::LABEL_BYTES_MAX {
        return Err(KeyError::LabelTooLong { got: label.len(), max: ApiKey::LABEL_BYTES_MAX });
    }
    if label.chars().any(char::is_control) { Err(KeyError::LabelForbidden) } else { Ok(()) }
}

fn check_secret(secret: &[u8]) -> Result<(), KeyError> {
    let (min, max) = (ApiKey::SECRET_BYTES_MIN, ApiKey::SECRET_BYTES_MAX);
    if (min..=max).contains(&secret.len()) {
        Ok(())
    } else {
        Err(KeyError::SecretLength { got: secret.len(), min, max })
    }
}

/// A key id from 16 random bytes, in the form OKX uses: 8-4-4-4-12 lower-case hexadecimal digits.
#[must_use]
pub fn generate_id(random: [u8; 16]) -> ApiKeyId {
    let digits = hexadecimal(&random, b"0123456789abcdef");
    let text = String::from_utf8_lossy(&digits);
    let text = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-");
    ApiKeyId::parse(&text).expect("hexadecimal digits and hyphens are an id")
}

/// A secret from 16 random bytes, in the form OKX uses: 32 upper-case hexadecimal digits. The HMAC key is this
/// text, not the bytes it spells.
#[must_use]
pub fn generate_secret(random: [u8; 16]) -> SecretBytes {
    SecretBytes::new(hexadecimal(&random, b"0123456789ABCDEF"))
}

fn hexadecimal(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

#[cfg(test)]
mod tests;
