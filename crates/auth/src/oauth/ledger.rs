//! The apps and grants in force: a fold of [`AppChange`]s, read by every request of an app.
//!
//! Not the truth, which is the journal. A grant that is revoked or has run out leaves nothing behind: its number is
//! random, so it never comes again. Disabling an app ends its grants at once.
//!
//! Bounds: [`APPS_MAX`] apps, `grants_max` grants in all, [`GRANTS_PER_ACCOUNT_MAX`] of one customer.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{AccountId, ApiKeyId, UnixNanos};
use parking_lot::RwLock;

use super::{
    app::App,
    dpop::thumbprint,
    record::{AppChange, NewGrant},
    token::GrantNumber,
};
use crate::{
    authority::{LastUse, Restrictions},
    key::{ApiKey, Credential, Environment, KeyState, Permissions},
    registry::Entry,
};

/// Most apps, disabled ones included.
pub const APPS_MAX: usize = 1_000;

/// Most grants of one customer at a time.
pub const GRANTS_PER_ACCOUNT_MAX: usize = 32;

/// Grants that ended before they began, as far as remembered; see [`Grants::end`].
const ENDED_EARLY_MAX: usize = 1_024;

/// What stands before the number in the key id of a grant.
const GRANT_PREFIX: &str = "grant-";

/// A change that does not fit what there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppApplyError {
    /// No room for another app.
    #[error("there are {max} apps already")]
    AppsFull {
        /// The bound.
        max: usize,
    },
    /// The client id was registered before.
    #[error("app {client_id} exists already")]
    DuplicateApp {
        /// The client id.
        client_id: String,
    },
    /// The number was given before.
    #[error("grant exists already")]
    DuplicateGrant,
    /// No room for another grant.
    #[error("there are {max} grants already")]
    GrantsFull {
        /// The bound.
        max: usize,
    },
    /// The change names an app that was never registered.
    #[error("app {client_id} does not exist")]
    UnknownApp {
        /// The client id.
        client_id: String,
    },
}

/// A grant in force.
pub(super) struct Grant {
    pub(super) number: GrantNumber,
    pub(super) app: Arc<App>,
    /// The grant as a key: who, what, from where, restrictions, whether in force. In no registry of keys.
    pub(super) entry: Arc<Entry>,
    pub(super) thumbprint: [u8; 32],
    pub(super) expires_at: UnixNanos,
    /// How often it was refreshed.
    pub(super) generation: AtomicU64,
}

impl Grant {
    /// Whether it and its app are good at `now`.
    pub(super) fn is_in_force(&self, now: UnixNanos) -> bool {
        self.entry.state() == KeyState::Active
            && now < self.expires_at
            && self.app.is_enabled()
            && !self.entry.is_expired(now)
    }
}

/// What may be shown of a grant.
#[derive(Debug, Clone)]
pub struct GrantSummary {
    /// Its number.
    pub grant: GrantNumber,
    /// Its name where keys are named.
    pub key_id: ApiKeyId,
    /// To which app.
    pub app: Arc<App>,
    /// By whom.
    pub account: AccountId,
    /// To do what.
    pub scopes: Permissions,
    /// Where it is good.
    pub environment: Environment,
    /// What the app may do at most.
    pub restrictions: Option<Arc<Restrictions>>,
    /// When it was given.
    pub granted_at: UnixNanos,
    /// When it ends.
    pub expires_at: UnixNanos,
    /// The last ways it was used since the start, latest first.
    pub last_uses: Vec<LastUse>,
}

#[derive(Default)]
struct Grants {
    by_number: BTreeMap<GrantNumber, Arc<Grant>>,
    by_account: BTreeMap<AccountId, Vec<GrantNumber>>,
    ended_early: VecDeque<GrantNumber>,
}

impl Grants {
    /// Ends a grant, or sees to it that it never begins: when a code comes twice at once, the end may be on record before
    /// the beginning. A code causes this once at most.
    fn end(&mut self, number: GrantNumber) {
        if self.by_number.contains_key(&number) {
            self.remove(&number);
            return;
        }
        if self.ended_early.len() >= ENDED_EARLY_MAX {
            self.ended_early.pop_front();
        }
        self.ended_early.push_back(number);
    }

    fn remove(&mut self, number: &GrantNumber) {
        let Some(grant) = self.by_number.remove(number) else { return };
        grant.entry.enter(KeyState::Revoked);
        let account = grant.entry.key.account();
        if let Some(numbers) = self.by_account.get_mut(account) {
            numbers.retain(|known| known != number);
            if numbers.is_empty() {
                self.by_account.remove(account);
            }
        }
    }

    fn remove_where(&mut self, is_dead: impl Fn(&Grant) -> bool) {
        let dead = self.by_number.values().filter(|grant| is_dead(grant)).map(|grant| grant.number);
        dead.collect::<Vec<_>>().iter().for_each(|number| self.remove(number));
    }
}

/// All apps and grants.
pub struct Ledger {
    apps: RwLock<BTreeMap<String, Arc<App>>>,
    grants: RwLock<Grants>,
    grants_max: usize,
}

impl Ledger {
    /// Empty.
    #[must_use]
    pub fn new(grants_max: usize) -> Self {
        Self { apps: RwLock::default(), grants: RwLock::default(), grants_max }
    }

    /// Applies one change. Changes to a grant that has ended change nothing.
    ///
    /// # Errors
    /// [`AppApplyError`] when the change does not fit; nothing is changed.
    pub fn apply(&self, change: AppChange) -> Result<(), AppApplyError> {
        match change {
            AppChange::Registered(app) => return self.register(app),
            AppChange::Disabled { client_id, .. } => match self.app(&client_id) {
                Some(app) => {
                    app.disable();
                    self.grants.write().remove_where(|grant| !grant.app.is_enabled());
                }
                None => return Err(AppApplyError::UnknownApp { client_id }),
            },
            AppChange::Granted(new) => return self.grant(*new),
            AppChange::Refreshed { grant, at, generation } => self.change(&grant, |grant| {
                grant.generation.fetch_max(generation, Ordering::AcqRel);
                grant.entry.touch(at);
            }),
            AppChange::Revoked { grant, .. } => self.grants.write().end(grant),
            AppChange::Seen { grant, sighting } => {
                self.change(&grant, |grant| grant.entry.standing.see(sighting));
            }
            AppChange::Spent { grant, reservation, .. } => {
                self.change(&grant, |grant| grant.entry.standing.reserve(reservation));
            }
        }
        Ok(())
    }

    /// One app, disabled or not.
    #[must_use]
    pub fn app(&self, client_id: &str) -> Option<Arc<App>> {
        self.apps.read().get(client_id).cloned()
    }

    /// All apps, by client id.
    #[must_use]
    pub fn apps(&self) -> Vec<Arc<App>> {
        self.apps.read().values().cloned().collect()
    }

    /// The grants of one customer that are in force, by number.
    #[must_use]
    pub fn grants_of(&self, account: &AccountId, now: UnixNanos) -> Vec<GrantSummary> {
        let grants = self.grants.read();
        let numbers = grants.by_account.get(account).into_iter().flatten();
        numbers
            .filter_map(|number| grants.by_number.get(number))
            .filter(|grant| grant.is_in_force(now))
            .map(|grant| summary(grant))
            .collect()
    }

    /// All grants that are in force, by number. Walks all of them: for administration, not for requests.
    #[must_use]
    pub fn grants(&self, now: UnixNanos) -> Vec<GrantSummary> {
        let grants = self.grants.read();
        grants.by_number.values().filter(|grant| grant.is_in_force(now)).map(|grant| summary(grant)).collect()
    }

    /// Whose grant it is, whether in force or run out; nothing for one that has ended or never began.
    #[must_use]
    pub fn account_of(&self, number: &GrantNumber) -> Option<AccountId> {
        self.find(number).map(|grant| grant.entry.key.account().clone())
    }

    /// One grant, if it is in force.
    #[must_use]
    pub fn grant_summary(&self, number: &GrantNumber, now: UnixNanos) -> Option<GrantSummary> {
        self.find(number).filter(|grant| grant.is_in_force(now)).map(|grant| summary(&grant))
    }

    /// Grants remembered; some may have run out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.grants.read().by_number.len()
    }

    /// Whether there is no grant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn find(&self, number: &GrantNumber) -> Option<Arc<Grant>> {
        self.grants.read().by_number.get(number).cloned()
    }

    /// Whether one more grant of this customer fits.
    pub(super) fn has_room(&self, account: &AccountId, now: UnixNanos) -> bool {
        let mut grants = self.grants.write();
        let held = |grants: &Grants| grants.by_account.get(account).map_or(0, Vec::len);
        if grants.by_number.len() >= self.grants_max || held(&grants) >= GRANTS_PER_ACCOUNT_MAX {
            grants.remove_where(|grant| !grant.is_in_force(now));
        }
        grants.by_number.len() < self.grants_max && held(&grants) < GRANTS_PER_ACCOUNT_MAX
    }

    fn register(&self, app: Arc<App>) -> Result<(), AppApplyError> {
        let mut apps = self.apps.write();
        if apps.contains_key(app.client_id()) {
            return Err(AppApplyError::DuplicateApp { client_id: app.client_id().to_owned() });
        }
        if apps.len() >= APPS_MAX {
            return Err(AppApplyError::AppsFull { max: APPS_MAX });
        }
        apps.insert(app.client_id().to_owned(), app);
        Ok(())
    }

    fn grant(&self, new: NewGrant) -> Result<(), AppApplyError> {
        let Some(app) = self.app(&new.client_id) else {
            return Err(AppApplyError::UnknownApp { client_id: new.client_id });
        };
        let mut grants = self.grants.write();
        if grants.by_number.contains_key(&new.grant) {
            return Err(AppApplyError::DuplicateGrant);
        }
        if grants.ended_early.contains(&new.grant) {
            return Ok(());
        }
        if grants.by_number.len() >= self.grants_max {
            grants.remove_where(|grant| !grant.is_in_force(new.at));
        }
        if grants.by_number.len() >= self.grants_max {
            return Err(AppApplyError::GrantsFull { max: self.grants_max });
        }
        let (number, expires_at, account) = (new.grant, new.expires_at, new.account.clone());
        let thumbprint = thumbprint(&new.key);
        let entry = Arc::new(Entry::new(as_key(new, &app)));
        let generation = AtomicU64::new(0);
        let grant = Grant { number, app, entry, thumbprint, expires_at, generation };
        grants.by_number.insert(number, Arc::new(grant));
        grants.by_account.entry(account).or_default().push(number);
        Ok(())
    }

    fn change(&self, number: &GrantNumber, change: impl FnOnce(&Grant)) {
        if let Some(grant) = self.find(number) {
            change(&grant);
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("grants", &self.len()).field("grants_max", &self.grants_max).finish()
    }
}

fn summary(grant: &Grant) -> GrantSummary {
    let key = &grant.entry.key;
    GrantSummary {
        grant: grant.number,
        key_id: key.id().clone(),
        app: Arc::clone(&grant.app),
        account: key.account().clone(),
        scopes: key.permissions(),
        environment: key.environment(),
        restrictions: grant.entry.standing.restrictions(),
        granted_at: key.created_at(),
        expires_at: grant.expires_at,
        last_uses: grant.entry.standing.last_uses(),
    }
}

fn as_key(new: NewGrant, app: &App) -> ApiKey {
    let key = ApiKey {
        id: grant_key_id(&new.grant),
        account: new.account,
        label: app.name().into(),
        permissions: new.scopes,
        ip_allow: new.ip_allow,
        environment: new.environment,
        created_at: new.at,
        credential: Credential::V2(Box::new(new.key)),
        restrictions: None,
    };
    key.with_restrictions(new.restrictions)
}

/// The name of a grant where keys are named: in limits, decisions and logs.
#[must_use]
pub fn grant_key_id(number: &GrantNumber) -> ApiKeyId {
    let digits: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
    ApiKeyId::parse(&format!("{GRANT_PREFIX}{digits}")).expect("hexadecimal digits and a hyphen are an id")
}

/// The grant that [`grant_key_id`] named.
#[must_use]
pub fn grant_number(id: &ApiKeyId) -> Option<GrantNumber> {
    let digits = id.as_str().strip_prefix(GRANT_PREFIX)?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 32 || !digits.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}
