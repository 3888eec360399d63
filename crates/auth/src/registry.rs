//! The keys in force: a fold of [`KeyChange`]s, read by every request.
//!
//! Not the truth, which is the journal: dropping the registry and folding again gives the same one. Readers take a
//! shared lock on one of [`SHARDS`] shards for one map lookup; a change is seen by the next lookup and, through the
//! state inside the entry, by requests that already hold one.
//!
//! Bound: `keys_max`, counting revoked keys, of which only the id stays (so that no id is ever issued twice).

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{AccountId, ApiKeyId, UnixNanos};
use hashbrown::HashTable;
use parking_lot::RwLock;

use crate::{
    authority::{Known, LastUse, Notional, Restrictions, Standing},
    hash::Seeded,
    ip::IpAllowList,
    key::{ApiKey, Environment, KeyState, Permission, Permissions, Scheme},
    record::KeyChange,
};

/// Independent locks.
pub const SHARDS: usize = 16;

/// A key with trade or withdraw permission and no IP binding expires after this long without use.
pub const IDLE_MAX: Duration = Duration::from_secs(14 * 24 * 3_600);

/// A use is recorded at most this often per key, so a recorded use stands for any use within this time after it.
pub const USE_GRANULARITY: Duration = Duration::from_secs(24 * 3_600);

/// A change that does not fit the keys there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The id was issued before, maybe to a key revoked since.
    #[error("API key {id} exists already")]
    DuplicateKey {
        /// The id.
        id: ApiKeyId,
    },
    /// The registry is full.
    #[error("API key registry is full at {max} keys")]
    Full {
        /// The bound.
        max: usize,
    },
    /// The change names a key that was never created.
    #[error("API key {id} does not exist")]
    UnknownKey {
        /// The id.
        id: ApiKeyId,
    },
}

/// A key in force or frozen, shared by the requests that use it.
pub(crate) struct Entry {
    pub(crate) key: ApiKey,
    state: AtomicU8,
    /// Recorded last use in nanoseconds, zero for never.
    used_at: AtomicU64,
    /// MAC of the passphrase that passed the slow check, under the authenticator's key.
    pub(crate) accepted: OnceLock<[u8; 16]>,
    /// How often it was frozen: what was granted before a freeze ends with it.
    freezes: AtomicU32,
    /// Its restrictions in force, its budget, where it is used from.
    pub(crate) standing: Standing,
    /// When its restrictions were changed, in nanoseconds, zero for never.
    restricted_at: AtomicU64,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.key.id).finish()
    }
}

impl Entry {
    pub(crate) fn new(mut key: ApiKey) -> Self {
        let restrictions = key.restrictions.take().map(|restrictions| *restrictions).unwrap_or_default();
        Self {
            key,
            standing: Standing::new(restrictions),
            restricted_at: AtomicU64::new(0),
            state: AtomicU8::new(state_code(KeyState::Active)),
            used_at: AtomicU64::new(0),
            accepted: OnceLock::new(),
            freezes: AtomicU32::new(0),
        }
    }

    pub(crate) fn state(&self) -> KeyState {
        match self.state.load(Ordering::Acquire) {
            0 => KeyState::Active,
            1 => KeyState::Frozen,
            _ => KeyState::Revoked,
        }
    }

    /// How often the key was frozen so far.
    pub(crate) fn freezes(&self) -> u32 {
        self.freezes.load(Ordering::Acquire)
    }

    pub(crate) fn enter(&self, state: KeyState) {
        if state == KeyState::Frozen {
            self.freezes.fetch_add(1, Ordering::AcqRel);
        }
        self.state.store(state_code(state), Ordering::Release);
    }

    /// When its restrictions were last changed.
    pub(crate) fn restricted_at(&self) -> Option<UnixNanos> {
        match self.restricted_at.load(Ordering::Relaxed) {
            0 => None,
            at => Some(UnixNanos(at)),
        }
    }

    fn restrict(&self, restrictions: Restrictions, at: UnixNanos) {
        self.restricted_at.fetch_max(at.0, Ordering::Relaxed);
        self.standing.restrict(restrictions);
    }

    fn last_used_at(&self) -> Option<UnixNanos> {
        match self.used_at.load(Ordering::Relaxed) {
            0 => None,
            at => Some(UnixNanos(at)),
        }
    }

    /// Whether it may do more than read.
    pub(crate) fn may_move(&self) -> bool {
        self.key.permissions.contains(Permission::Trade)
            || self.key.permissions.contains(Permission::Withdraw)
    }

    /// Whether the key has gone unused for too long. Never early: a recorded use may stand for one up to
    /// [`USE_GRANULARITY`] later. The answer depends on the journal alone, so a restart does not change it.
    pub(crate) fn is_expired(&self, now: UnixNanos) -> bool {
        if self.key.environment == Environment::Demo || !self.may_move() || !self.key.ip_allow.is_empty() {
            return false;
        }
        let alive_until = match self.last_used_at() {
            Some(at) => at.plus(IDLE_MAX + USE_GRANULARITY),
            None => self.key.created_at.plus(IDLE_MAX),
        };
        now > alive_until
    }

    /// Takes in a recorded use.
    pub(crate) fn touch(&self, at: UnixNanos) {
        self.used_at.fetch_max(at.0, Ordering::Relaxed);
    }

    /// Notes a use. True for exactly one caller per [`USE_GRANULARITY`], who must have it journalled.
    pub(crate) fn record_use(&self, now: UnixNanos) -> bool {
        let recorded = self.used_at.load(Ordering::Relaxed);
        let due = recorded == 0 || now > UnixNanos(recorded).plus(USE_GRANULARITY);
        due && self.used_at.compare_exchange(recorded, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

const fn state_code(state: KeyState) -> u8 {
    match state {
        KeyState::Active => 0,
        KeyState::Frozen => 1,
        KeyState::Revoked => 2,
    }
}

/// What the registry finds under an id.
pub(crate) enum Found {
    Known(Arc<Entry>),
    Revoked,
    Unknown,
}

/// A key, or the id of one that was.
enum Slot {
    Known(Arc<Entry>),
    Revoked(ApiKeyId),
}

impl Slot {
    fn id(&self) -> &[u8] {
        match self {
            Self::Known(entry) => entry.key.id.as_str().as_bytes(),
            Self::Revoked(id) => id.as_str().as_bytes(),
        }
    }
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The public half.
    pub id: ApiKeyId,
    /// Who may act with it.
    pub account: AccountId,
    /// The customer's name for it.
    pub label: String,
    /// What it may do.
    pub permissions: Permissions,
    /// From where; empty for anywhere.
    pub ip_allow: IpAllowList,
    /// Where it is good.
    pub environment: Environment,
    /// When it was issued.
    pub created_at: UnixNanos,
    /// The last recorded use, up to a day older than the last use.
    pub last_used_at: Option<UnixNanos>,
    /// The restrictions in force, if any.
    pub restrictions: Option<Arc<Restrictions>>,
    /// When they were last changed.
    pub restricted_at: Option<UnixNanos>,
    /// How requests are signed with it.
    pub scheme: Scheme,
    /// Whether it is in force.
    pub state: KeyState,
}

impl KeySummary {
    fn of(entry: &Entry) -> Self {
        Self {
            id: entry.key.id.clone(),
            account: entry.key.account.clone(),
            label: entry.key.label.to_string(),
            permissions: entry.key.permissions,
            ip_allow: entry.key.ip_allow.clone(),
            environment: entry.key.environment,
            created_at: entry.key.created_at,
            last_used_at: entry.last_used_at(),
            restrictions: entry.standing.restrictions(),
            restricted_at: entry.restricted_at(),
            scheme: entry.key.scheme(),
            state: entry.state(),
        }
    }
}

/// All keys by id.
pub struct Registry {
    shards: [RwLock<HashTable<Slot>>; SHARDS],
    hash: Seeded,
    keys: AtomicUsize,
    keys_max: usize,
}

impl Registry {
    /// Empty. `seed` is random and secret: it keeps outsiders from choosing ids that collide.
    #[must_use]
    pub fn new(keys_max: usize, seed: u64) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::new(HashTable::new())),
            hash: Seeded::new(seed),
            keys: AtomicUsize::new(0),
            keys_max,
        }
    }

    /// Applies one change. Changes to a revoked key change nothing: revocation is final, and a freeze that was
    /// journalled while the key was being revoked must not stop a fold.
    ///
    /// # Errors
    /// [`ApplyError`] when the change does not fit; the registry is unchanged.
    pub fn apply(&self, change: KeyChange) -> Result<(), ApplyError> {
        match change {
            KeyChange::Created(key) => self.create(*key),
            KeyChange::Frozen { id, .. } => self.change(&id, |entry| entry.enter(KeyState::Frozen)),
            KeyChange::Restricted { id, at, restrictions } => {
                self.change(&id, |entry| entry.restrict(*restrictions, at))
            }
            KeyChange::Revoked { id, .. } => self.revoke(&id),
            KeyChange::Seen { id, sighting } => self.change(&id, |entry| entry.standing.see(sighting)),
            KeyChange::Spent { id, reservation, .. } => {
                self.change(&id, |entry| entry.standing.reserve(reservation))
            }
            KeyChange::Unfrozen { id, .. } => self.change(&id, |entry| {
                entry.standing.acquit();
                entry.enter(KeyState::Active);
            }),
            KeyChange::Used { id, at } => self.change(&id, |entry| entry.touch(at)),
        }
    }

    /// What may be shown of one key; nothing for an unknown id. A revoked key shows nothing either: its record is
    /// in the journal.
    #[must_use]
    pub fn summary(&self, id: &ApiKeyId) -> Option<KeySummary> {
        match self.find(id.as_str().as_bytes()) {
            Found::Known(entry) => Some(KeySummary::of(&entry)),
            Found::Revoked | Found::Unknown => None,
        }
    }

    /// The keys of one account that are not revoked, by id. Walks all keys: for administration, not for requests.
    #[must_use]
    pub fn summaries_of(&self, account: &AccountId) -> Vec<KeySummary> {
        self.collect(|entry| entry.key.account == *account)
    }

    /// All keys that are not revoked, by id. Walks all keys: for administration, not for requests.
    #[must_use]
    pub fn summaries(&self) -> Vec<KeySummary> {
        self.collect(|_| true)
    }

    /// The last ways a key was used since the start, latest first; see [`LastUse`].
    #[must_use]
    pub fn last_uses(&self, id: &ApiKeyId) -> Vec<LastUse> {
        match self.find(id.as_str().as_bytes()) {
            Found::Known(entry) => entry.standing.last_uses(),
            Found::Revoked | Found::Unknown => Vec::new(),
        }
    }

    /// What was charged to the day's budget of a key in the last 24 to 25 hours; zero for one without a budget.
    #[must_use]
    pub fn spent(&self, id: &ApiKeyId, now: UnixNanos) -> Notional {
        match self.find(id.as_str().as_bytes()) {
            Found::Known(entry) => entry.standing.spent_at(now),
            Found::Revoked | Found::Unknown => Notional::ZERO,
        }
    }

    /// From where and with what software a key is known to be used, the last first; see [`Known`].
    #[must_use]
    pub fn known_pairs(&self, id: &ApiKeyId) -> Vec<Known> {
        match self.find(id.as_str().as_bytes()) {
            Found::Known(entry) => entry.standing.known(),
            Found::Revoked | Found::Unknown => Vec::new(),
        }
    }

    /// The ids of revoked keys, sorted. Walks all keys: for administration, not for requests.
    #[must_use]
    pub fn revoked(&self) -> Vec<ApiKeyId> {
        let mut revoked = Vec::new();
        for shard in &self.shards {
            revoked.extend(shard.read().iter().filter_map(|slot| match slot {
                Slot::Revoked(id) => Some(id.clone()),
                Slot::Known(_) => None,
            }));
        }
        revoked.sort();
        revoked
    }

    /// Keys ever created.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Whether no key was ever created.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn find(&self, id: &[u8]) -> Found {
        let hash = self.hash.of(id);
        match self.shard(hash).read().find(hash, |slot| slot.id() == id) {
            Some(Slot::Known(entry)) => Found::Known(Arc::clone(entry)),
            Some(Slot::Revoked(_)) => Found::Revoked,
            None => Found::Unknown,
        }
    }

    fn collect(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<KeySummary> {
        let mut found = Vec::new();
        for shard in &self.shards {
            for slot in shard.read().iter() {
                match slot {
                    Slot::Known(entry) if wanted(entry) => found.push(KeySummary::of(entry)),
                    Slot::Known(_) | Slot::Revoked(_) => {}
                }
            }
        }
        found.sort_by(|left, right| left.id.cmp(&right.id));
        found
    }

    fn create(&self, key: ApiKey) -> Result<(), ApplyError> {
        let hash = self.hash.of(key.id.as_str().as_bytes());
        let mut shard = self.shard(hash).write();
        if shard.find(hash, |slot| slot.id() == key.id.as_str().as_bytes()).is_some() {
            return Err(ApplyError::DuplicateKey { id: key.id });
        }
        self.keys
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |keys| {
                (keys < self.keys_max).then_some(keys + 1)
            })
            .map_err(|_| ApplyError::Full { max: self.keys_max })?;
        shard.insert_unique(hash, Slot::Known(Arc::new(Entry::new(key))), |slot| self.hash.of(slot.id()));
        Ok(())
    }

    /// Under the shard's write lock, so that a freeze and a revocation at the same time cannot cross.
    fn change(&self, id: &ApiKeyId, change: impl FnOnce(&Entry)) -> Result<(), ApplyError> {
        let hash = self.hash.of(id.as_str().as_bytes());
        let shard = self.shard(hash).write();
        match shard.find(hash, |slot| slot.id() == id.as_str().as_bytes()) {
            Some(Slot::Known(entry)) => {
                change(entry);
                Ok(())
            }
            Some(Slot::Revoked(_)) => Ok(()),
            None => Err(ApplyError::UnknownKey { id: id.clone() }),
        }
    }

    /// Leaves the id only. Requests that hold the entry see its state; the last of them wipes the secret.
    fn revoke(&self, id: &ApiKeyId) -> Result<(), ApplyError> {
        let hash = self.hash.of(id.as_str().as_bytes());
        let mut shard = self.shard(hash).write();
        let Some(slot) = shard.find_mut(hash, |slot| slot.id() == id.as_str().as_bytes()) else {
            return Err(ApplyError::UnknownKey { id: id.clone() });
        };
        if let Slot::Known(entry) = slot {
            entry.enter(KeyState::Revoked);
            *slot = Slot::Revoked(id.clone());
        }
        Ok(())
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Slot>> {
        &self.shards[Seeded::shard::<SHARDS>(hash)]
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("keys", &self.len()).field("keys_max", &self.keys_max).finish()
    }
}

#[cfg(test)]
mod tests;
