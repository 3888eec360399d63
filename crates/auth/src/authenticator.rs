//! The decision whether a request is who it says it is.
//!
//! Checks run in the order of the documentation of [`Authenticator::verify`]; the first that fails is the answer.
//! Everything an outsider can reach without a valid signature is one map lookup, one timestamp and one HMAC.
//! Not here: rate limits (they stand between [`Authenticator::verify`] and [`Authenticator::admit_once`]), bodies,
//! repeated headers and every other matter of HTTP.

use std::{fmt, net::IpAddr, sync::Arc};

use crypto::{Secret, SecretBytes, ct_eq, hmac_sha256, sha256};
use domain::{AccountId, ApiKeyId, UnixNanos};

use crate::{
    authority::{
        Charge, FirstSeenMode, Ja4, LastUse, Notional, Novelty, Restrictions, Seen, Sighting,
        may_withdraw_from,
    },
    key::{Credential, Environment, KeyState, Permission, Permissions},
    oauth::{AppChange, GrantNumber, grant_number},
    okx,
    record::{Change, KeyChange},
    refusal::Refusal,
    registry::{Entry, Found, Registry},
    replay::{ReplayError, ReplayWindow},
};

/// What a request says about itself, as raw bytes of the wire. A header that is absent is `None`; one that is
/// repeated is the caller's to refuse.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method as sent.
    pub method: &'a [u8],
    /// The request target as sent, query included.
    pub target: &'a [u8],
    /// `OK-ACCESS-KEY`.
    pub api_key: Option<&'a [u8]>,
    /// `OK-ACCESS-SIGN`.
    pub sign: Option<&'a [u8]>,
    /// `OK-ACCESS-TIMESTAMP`.
    pub timestamp: Option<&'a [u8]>,
    /// `OK-ACCESS-PASSPHRASE`.
    pub passphrase: Option<&'a [u8]>,
    /// `x-simulated-trading`: absent or `0` is live, `1` is demo.
    pub simulated: Option<&'a [u8]>,
}

/// The argument of a WebSocket login.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// `apiKey`.
    pub api_key: &'a [u8],
    /// `sign`.
    pub sign: &'a [u8],
    /// `timestamp`: Unix seconds, the text or the decimal text of the number.
    pub timestamp: &'a [u8],
    /// `passphrase`.
    pub passphrase: &'a [u8],
    /// Which endpoint the client connected to.
    pub environment: Environment,
}

/// What an endpoint demands of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// The permission it needs; nothing where any key will do.
    pub permission: Option<Permission>,
    /// Whether the key must be bound to addresses.
    pub needs_ip_binding: bool,
    /// Whether a v2 key must sign the request itself, so that a session is not enough.
    pub needs_key_signature: bool,
}

impl Endpoint {
    /// Reads.
    pub const READ: Self =
        Self { permission: Some(Permission::Read), needs_ip_binding: false, needs_key_signature: false };
    /// Trades.
    pub const TRADE: Self = Self { permission: Some(Permission::Trade), ..Self::READ };
    /// Moves funds out or changes keys: only with a key bound to addresses, and never by a session.
    pub const WITHDRAW: Self =
        Self { permission: Some(Permission::Withdraw), needs_ip_binding: true, needs_key_signature: true };
    /// Opens a session: any v2 key, by its own signature.
    pub const SESSION: Self = Self { permission: None, needs_ip_binding: false, needs_key_signature: true };
}

/// How a request was proven to come from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Proof {
    /// By the access token of an app and a proof of possession.
    App,
    /// By the HMAC of the OKX scheme.
    Okx,
    /// By the signature of a v2 key.
    KeySignature,
    /// By the MAC of a session that a v2 key opened.
    Session,
}

/// Proof that a request was signed by a key that may do this. Made only by [`Authenticator`].
#[derive(Debug)]
pub struct Verified {
    entry: Arc<Entry>,
    use_to_record: Option<UnixNanos>,
    /// The timestamp the signature covers.
    timestamp: UnixNanos,
    /// Front of the MAC, or a hash of key and nonce.
    tag: [u8; 16],
    proof: Proof,
}

impl Verified {
    /// Which key.
    #[must_use]
    pub fn key_id(&self) -> &ApiKeyId {
        &self.entry.key.id
    }

    /// Whose account.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.entry.key.account
    }

    /// What the key may do.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.entry.key.permissions
    }

    /// Where the key is good.
    #[must_use]
    pub fn environment(&self) -> Environment {
        self.entry.key.environment
    }

    /// Whether the key is bound to addresses.
    #[must_use]
    pub fn is_ip_bound(&self) -> bool {
        !self.entry.key.ip_allow.is_empty()
    }

    /// The timestamp the signature covers.
    #[must_use]
    pub const fn timestamp(&self) -> UnixNanos {
        self.timestamp
    }

    /// How it was proven.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    pub(crate) const fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Whether the key is still in force: false as soon as it is frozen or revoked. For connections that live
    /// longer than one request.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.entry.state() == KeyState::Active
    }

    /// What the key may do at most, if restricted; see [`crate::authority`].
    #[must_use]
    pub fn restrictions(&self) -> Option<Arc<Restrictions>> {
        self.entry.standing.restrictions()
    }

    /// Takes `value` from the day's budget of the key, if it has one. A change that is returned is to be journalled
    /// and applied first; nothing is taken until then, so charge again. What is taken stays taken: to be called last.
    ///
    /// # Errors
    /// [`Refusal::NotionalSpent`].
    pub fn charge(&self, value: Notional, now: UnixNanos) -> Result<Option<Change>, Refusal> {
        match self.entry.standing.charge(value, now) {
            Charge::Admitted => Ok(None),
            Charge::Exceeded => Err(Refusal::NotionalSpent),
            Charge::ReserveFirst(reservation) => Ok(Some(self.change(
                |id| KeyChange::Spent { id, at: now, reservation },
                |grant| AppChange::Spent { grant, at: now, reservation },
            ))),
        }
    }

    /// The change that puts a sighting of [`Verified::observe`] on record.
    #[must_use]
    pub fn seen(&self, sighting: Sighting) -> Change {
        self.change(|id| KeyChange::Seen { id, sighting }, |grant| AppChange::Seen { grant, sighting })
    }

    fn change(
        &self,
        of_key: impl FnOnce(ApiKeyId) -> KeyChange,
        of_grant: impl FnOnce(GrantNumber) -> AppChange,
    ) -> Change {
        match grant_number(self.key_id()).filter(|_| self.proof == Proof::App) {
            Some(grant) => Change::App(of_grant(grant)),
            None => Change::Key(of_key(self.key_id().clone())),
        }
    }

    /// Whether the key is old enough to withdraw; see [`may_withdraw_from`].
    ///
    /// # Errors
    /// [`Refusal::KeyCoolDown`].
    pub fn check_cool_down(&self, now: UnixNanos) -> Result<(), Refusal> {
        let from = may_withdraw_from(self.entry.key.created_at, self.entry.restricted_at());
        if now < from { Err(Refusal::KeyCoolDown) } else { Ok(()) }
    }

    /// Notes where a request came from; `asn` is the number of its network's operator, where known. `permission` is that of the
    /// endpoint. What is new about it concerns keys that
    /// may trade or withdraw; a sighting it holds is to be journalled, see [`Verified::seen`].
    #[must_use]
    pub fn observe(
        &self,
        ip: IpAddr,
        asn: Option<u32>,
        ja4: Option<Ja4>,
        permission: Permission,
        mode: FirstSeenMode,
        now: UnixNanos,
    ) -> Novelty {
        let last = LastUse { at: now, ip: ip.to_canonical(), ja4, permission };
        let seen = self.entry.may_move().then_some(Seen { asn, mode });
        self.entry.standing.used(last, seen)
    }

    /// A change to be journalled: there on the first verified request of a key in a day, nothing otherwise. The
    /// registry knows it already. Losing it in a crash costs at most a day of the key's idle time.
    #[must_use]
    pub fn use_to_record(&self) -> Option<KeyChange> {
        self.use_to_record.map(|at| KeyChange::Used { id: self.key_id().clone(), at })
    }
}

/// Proof that a request is seen for the first time, or may be repeated. Made only by [`Authenticator::admit_once`].
#[derive(Debug)]
pub struct FirstSight(());

/// What came of checking a request that was not refused.
#[derive(Debug)]
pub enum Verification {
    /// The passphrase of this key has not passed the slow check since the start: run it where blocking is allowed,
    /// then verify again.
    CheckPassphrase(PassphraseCheck),
    /// All checks passed.
    Verified(Verified),
}

/// The slow check of a passphrase, some 20 ms of one core and 19 MiB. Exists only for requests with a valid
/// signature, so only holders of a secret can cause it; how many run at a time is the caller's to bound.
pub struct PassphraseCheck {
    entry: Arc<Entry>,
    passphrase: SecretBytes,
    mac: [u8; 16],
}

impl PassphraseCheck {
    /// Which key, for limits per key.
    #[must_use]
    pub fn key_id(&self) -> &ApiKeyId {
        &self.entry.key.id
    }

    /// Runs the check. After `Ok` the same request verifies without it.
    ///
    /// # Errors
    /// [`Refusal::PassphraseIncorrect`].
    pub fn run(self) -> Result<(), Refusal> {
        match &self.entry.key.credential {
            Credential::Okx { passphrase, .. } if passphrase.verify(self.passphrase.expose()) => {}
            Credential::Okx { .. } | Credential::V2(_) => return Err(Refusal::PassphraseIncorrect),
        }
        // Another check of the same key may have been faster; both accepted the same passphrase.
        self.entry.accepted.get_or_init(|| self.mac);
        Ok(())
    }
}

impl fmt::Debug for PassphraseCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PassphraseCheck").field(self.key_id()).finish()
    }
}

/// Verifies requests against the keys in force.
#[derive(Debug)]
pub struct Authenticator {
    registry: Arc<Registry>,
    replay: ReplayWindow,
    passphrase_mac_key: Secret<[u8; 32]>,
}

impl Authenticator {
    /// `passphrase_mac_key` is fresh random bytes on every start: what it marks as accepted is never stored.
    #[must_use]
    pub fn new(registry: Arc<Registry>, replay: ReplayWindow, passphrase_mac_key: [u8; 32]) -> Self {
        Self { registry, replay, passphrase_mac_key: Secret::new(passphrase_mac_key) }
    }

    /// The keys.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The memory of accepted requests.
    #[must_use]
    pub const fn replay(&self) -> &ReplayWindow {
        &self.replay
    }

    /// Checks a REST request, in this order:
    ///
    /// 1. headers present and not empty: key, passphrase, signature, timestamp (50103, 50104, 50106, 50107);
    /// 2. key known (50111), not revoked (50119: of a revoked key only the id is left, so nothing more can be checked);
    /// 3. timestamp in the 24-byte form (50112) and within 30 seconds (50102);
    /// 4. a key of this scheme (50114), signature (50113), then passphrase (50105);
    /// 5. client address (50110), environment (50101);
    /// 6. key frozen (50100), revoked meanwhile or expired (50119);
    /// 7. endpoint needs an address binding (50035), permission (50120).
    ///
    /// A success counts as use of the key.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn verify(
        &self,
        head: &RequestHead<'_>,
        body: &[u8],
        ip: IpAddr,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verification, Refusal> {
        let id = present(head.api_key, Refusal::ApiKeyMissing)?;
        let passphrase = present(head.passphrase, Refusal::PassphraseMissing)?;
        let sign = present(head.sign, Refusal::SignatureMissing)?;
        let timestamp = present(head.timestamp, Refusal::TimestampMissing)?;
        let entry = self.find(id)?;
        let at = in_time(okx::parse_timestamp(timestamp), now)?;
        let parts = okx::prehash(timestamp, head.method, head.target, body);
        let mac = check_signature(&entry, &parts, sign)?;
        match self.passphrase(&entry, passphrase) {
            Passphrase::Accepted => {}
            Passphrase::Rejected => return Err(Refusal::PassphraseIncorrect),
            Passphrase::Unproven(check) => return Ok(Verification::CheckPassphrase(check)),
        }
        check_standing(&entry, ip, environment(head.simulated), now)?;
        check_rights(&entry, endpoint)?;
        Ok(Verification::Verified(Verified::new(entry, at, front(&mac), Proof::Okx, now)))
    }

    /// Checks a WebSocket login, in the order of [`Authenticator::verify`] without the rights of an endpoint:
    /// those are checked for each operation. The refusal's [`Refusal::login_error`] is the answer.
    ///
    /// # Errors
    /// The first [`Refusal`].
    pub fn verify_login(
        &self,
        login: &Login<'_>,
        ip: IpAddr,
        now: UnixNanos,
    ) -> Result<Verification, Refusal> {
        let id = present(Some(login.api_key), Refusal::ApiKeyMissing)?;
        let passphrase = present(Some(login.passphrase), Refusal::PassphraseMissing)?;
        let sign = present(Some(login.sign), Refusal::SignatureMissing)?;
        let timestamp = present(Some(login.timestamp), Refusal::TimestampMissing)?;
        let entry = self.find(id)?;
        let at = in_time(okx::parse_login_timestamp(timestamp), now)?;
        let mac = check_signature(&entry, &okx::login_prehash(timestamp), sign)?;
        match self.passphrase(&entry, passphrase) {
            Passphrase::Accepted => {}
            Passphrase::Rejected => return Err(Refusal::PassphraseIncorrect),
            Passphrase::Unproven(check) => return Ok(Verification::CheckPassphrase(check)),
        }
        check_standing(&entry, ip, Some(login.environment), now)?;
        Ok(Verification::Verified(Verified::new(entry, at, front(&mac), Proof::Okx, now)))
    }

    /// Lets a verified request through once. The last check, after the rate limits: a request refused by a limit
    /// may be sent again as it is. Of any number of concurrent repetitions exactly one passes.
    ///
    /// `repeatable` is for requests that change nothing, that is GET; under the OKX scheme, which has no nonce, they are
    /// not remembered. A v2 request has a nonce, so it passes once whatever its method.
    ///
    /// # Errors
    /// [`Refusal::Repeated`]; [`Refusal::SystemBusy`] when the window is full, since what cannot be remembered must
    /// not pass; [`Refusal::TimestampExpired`] when the clock stepped back behind what is remembered.
    pub fn admit_once(
        &self,
        verified: &Verified,
        repeatable: bool,
        now: UnixNanos,
    ) -> Result<FirstSight, Refusal> {
        if repeatable && verified.proof == Proof::Okx {
            return Ok(FirstSight(()));
        }
        match self.replay.admit(verified.tag, verified.timestamp, now) {
            Ok(()) => Ok(FirstSight(())),
            Err(ReplayError::Forgotten) => Err(Refusal::TimestampExpired),
            Err(ReplayError::Full) => Err(Refusal::SystemBusy),
            Err(ReplayError::Repeated) => Err(Refusal::Repeated),
        }
    }

    fn find(&self, id: &[u8]) -> Result<Arc<Entry>, Refusal> {
        match self.registry.find(id) {
            Found::Known(entry) => Ok(entry),
            Found::Revoked => Err(Refusal::ApiKeyRevoked),
            Found::Unknown => Err(Refusal::ApiKeyUnknown),
        }
    }

    fn passphrase(&self, entry: &Arc<Entry>, passphrase: &[u8]) -> Passphrase {
        // A prefix MAC: sound because the key has one length, and half of the hash is cut off and never shown.
        let mac = front(&sha256(&[self.passphrase_mac_key.expose(), passphrase]));
        match entry.accepted.get() {
            Some(accepted) if ct_eq(accepted, &mac) => Passphrase::Accepted,
            Some(_) => Passphrase::Rejected,
            None => Passphrase::Unproven(PassphraseCheck {
                entry: Arc::clone(entry),
                passphrase: SecretBytes::new(passphrase.to_vec()),
                mac,
            }),
        }
    }
}

enum Passphrase {
    Accepted,
    Rejected,
    Unproven(PassphraseCheck),
}

impl Verified {
    /// `tag` is what tells a repetition: of one accepted request and its repetitions the same, of others another.
    pub(crate) fn new(
        entry: Arc<Entry>,
        timestamp: UnixNanos,
        tag: [u8; 16],
        proof: Proof,
        now: UnixNanos,
    ) -> Self {
        // An app's use of its grant is on record with each refresh.
        let use_to_record = (proof != Proof::App && entry.record_use(now)).then_some(now);
        Self { entry, use_to_record, timestamp, tag, proof }
    }
}

fn present(value: Option<&[u8]>, refusal: Refusal) -> Result<&[u8], Refusal> {
    value.filter(|value| !value.is_empty()).ok_or(refusal)
}

fn in_time(at: Option<UnixNanos>, now: UnixNanos) -> Result<UnixNanos, Refusal> {
    let at = at.ok_or(Refusal::TimestampInvalid)?;
    if okx::within_skew(at, now) { Ok(at) } else { Err(Refusal::TimestampExpired) }
}

/// Compares the texts, so that only the one spelling of the MAC passes. A v2 key has no secret to sign with.
fn check_signature(entry: &Entry, parts: &[&[u8]], sign: &[u8]) -> Result<[u8; 32], Refusal> {
    let Credential::Okx { secret, .. } = &entry.key.credential else {
        return Err(Refusal::AuthorizationInvalid);
    };
    let mac = hmac_sha256(secret.expose(), parts);
    if ct_eq(&okx::signature_text(&mac), sign) { Ok(mac) } else { Err(Refusal::SignatureInvalid) }
}

/// Where the request is meant; nothing for a value that means neither.
pub(crate) fn environment(simulated: Option<&[u8]>) -> Option<Environment> {
    match simulated {
        None | Some(b"0") => Some(Environment::Live),
        Some(b"1") => Some(Environment::Demo),
        Some(_) => None,
    }
}

pub(crate) fn check_standing(
    entry: &Entry,
    ip: IpAddr,
    environment: Option<Environment>,
    now: UnixNanos,
) -> Result<(), Refusal> {
    if !entry.key.ip_allow.is_empty() && !entry.key.ip_allow.contains(ip) {
        return Err(Refusal::IpNotBound { ip });
    }
    if environment != Some(entry.key.environment) {
        return Err(Refusal::EnvironmentMismatch);
    }
    match entry.state() {
        KeyState::Active if entry.is_expired(now) => Err(Refusal::ApiKeyExpired),
        KeyState::Active => Ok(()),
        KeyState::Frozen => Err(Refusal::ApiKeyFrozen),
        KeyState::Revoked => Err(Refusal::ApiKeyRevoked),
    }
}

pub(crate) fn check_rights(entry: &Entry, endpoint: Endpoint) -> Result<(), Refusal> {
    if endpoint.needs_ip_binding && entry.key.ip_allow.is_empty() {
        return Err(Refusal::IpBindingRequired);
    }
    match endpoint.permission {
        Some(permission) if !entry.key.permissions.contains(permission) => Err(Refusal::PermissionMissing),
        _ => Ok(()),
    }
}

/// The first half of a MAC, 128 bits.
pub(crate) fn front(mac: &[u8; 32]) -> [u8; 16] {
    let mut front = [0; 16];
    front.copy_from_slice(&mac[..16]);
    front
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method.escape_ascii().to_string())
            .field("target", &self.target.escape_ascii().to_string())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("environment", &self.environment).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
