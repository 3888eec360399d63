//! What an operator does with API keys: issue, register, restrict, freeze, revoke, look at.

use auth::{
    ApiKey, Environment, IpAllowList, KeyChange, KeySummary, NewApiKey, NewV2Key, Permission, Permissions,
    authority::may_withdraw_from,
    v2::{PublicKey, generate_key_id},
};
use domain::{Actor, ApiKeyId, UnixNanos};

use super::{
    Core,
    handle::{account_id, record_failure},
    restriction_words,
};
use crate::{
    control::{
        CreatedKey, KeyUse, KnownFrom, ListedKey, RegisteredKey, Request, Response, RestrictionWords,
        ShownKey,
    },
    exit::{Exit, Failure},
};

impl Core {
    pub(super) async fn keys_create(&self, request: Request) -> Result<Response, Failure> {
        let Request::KeysCreate {
            account,
            label,
            read,
            trade,
            withdraw,
            ips,
            demo_trading,
            passphrase,
            by,
            public_key,
            restrictions,
        } = request
        else {
            return Err(Failure::new(Exit::Internal, "not a request for a key"));
        };
        let bad = |error: auth::KeyError| Failure::new(Exit::Input, error.to_string());
        let wanted = [(read, Permission::Read), (trade, Permission::Trade), (withdraw, Permission::Withdraw)];
        let permissions: Vec<Permission> =
            wanted.into_iter().filter_map(|(wanted, permission)| wanted.then_some(permission)).collect();
        let permissions = Permissions::new(&permissions).map_err(bad)?;
        let environment = if demo_trading { Environment::Demo } else { Environment::Live };
        let account = account_id(&account)?;
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        let ip_allow = IpAllowList::parse(&ips).map_err(bad)?;
        let restrictions = restriction_words::read(&restrictions)?;
        let at = self.clock.now();
        let (key, response) = match public_key {
            Some(text) => {
                if passphrase.is_some() {
                    return Err(Failure::new(Exit::Input, "a key with a public key has no passphrase"));
                }
                let public_key = PublicKey::from_text(&text)
                    .map_err(|error| Failure::new(Exit::Input, format!("public key: {error}")))?;
                let id = generate_key_id(environment, crypto::random::array());
                let registered = RegisteredKey {
                    key: id.to_string(),
                    account: account.to_string(),
                    algorithm: public_key.algorithm().as_str().to_owned(),
                };
                let account = account.clone();
                let new = NewV2Key { id, account, label, permissions, ip_allow, environment, public_key };
                (ApiKey::register(new, at).map_err(bad)?, Response::KeyRegistered(registered))
            }
            None => {
                let secret = auth::key::generate_secret(crypto::random::array());
                let shown = String::from_utf8_lossy(secret.expose()).into_owned();
                let passphrase = passphrase.unwrap_or_else(made_passphrase);
                let id = auth::key::generate_id(crypto::random::array());
                let created = CreatedKey {
                    key: id.to_string(),
                    secret: shown,
                    passphrase: passphrase.clone(),
                    account: account.to_string(),
                };
                let account = account.clone();
                let new = NewApiKey { id, account, label, permissions, ip_allow, environment, secret };
                let key = ApiKey::create(new, passphrase.as_bytes(), crypto::random::array(), at);
                (key.map_err(bad)?, Response::KeyCreated(created))
            }
        };
        let created = KeyChange::Created(Box::new(key.with_restrictions(restrictions)));
        let by = by.unwrap_or_else(Actor::operator);
        let recorded = self.ground.record_key_change(account, &created, Some(by), at).await;
        recorded.map_err(|error| record_failure(&error))?;
        Ok(response)
    }

    pub(super) fn keys_list(&self, account: Option<&str>, all: bool) -> Result<Response, Failure> {
        let registry = self.ground.registry();
        let summaries = match account {
            Some(account) => registry.summaries_of(&account_id(account)?),
            None => registry.summaries(),
        };
        let mut listed: Vec<ListedKey> = summaries.into_iter().map(listed).collect();
        if all {
            listed.extend(registry.revoked().into_iter().map(revoked));
        }
        Ok(Response::Keys(listed))
    }

    pub(super) fn keys_show(&self, key: &str) -> Result<Response, Failure> {
        Ok(Response::KeyShown(Box::new(self.shown_key(self.known_key(key)?))))
    }

    /// All that is known of a key.
    pub(crate) fn shown_key(&self, summary: KeySummary) -> ShownKey {
        let registry = self.ground.registry();
        let now = self.clock.now();
        let restrictions = summary.restrictions.clone();
        let day_bound = restrictions.as_ref().and_then(|all| all.notional()?.per_day());
        let may_withdraw = summary.permissions.contains(Permission::Withdraw);
        let last_uses = registry.last_uses(&summary.id).into_iter().map(|last| KeyUse {
            at: last.at.to_string(),
            ip: last.ip.to_string(),
            ja4: last.ja4.map(|ja4| ja4.as_str().to_owned()),
            permission: last.permission.as_str().to_owned(),
        });
        let known_from = registry.known_pairs(&summary.id).into_iter().map(|known| KnownFrom {
            network: known.pair.origin.to_string(),
            ja4: known.pair.ja4.map(|ja4| ja4.as_str().to_owned()),
            last_used_at: known.used_at.to_string(),
            suspect: known.suspect,
        });
        ShownKey {
            restrictions: restrictions.as_deref().map(restriction_words::write).unwrap_or_default(),
            restricted_at: summary.restricted_at.map(|at| at.to_string()),
            may_withdraw_from: may_withdraw
                .then(|| may_withdraw_from(summary.created_at, summary.restricted_at).to_string()),
            day_spent: day_bound.map(|_| registry.spent(&summary.id, now).to_string()),
            last_uses: last_uses.collect(),
            known_from: known_from.collect(),
            acts: self.ground.read(|fold| fold.key_acts(&summary.id)),
            listed: listed(summary),
        }
    }

    pub(super) async fn keys_restrict(
        &self,
        key: &str,
        restrictions: &RestrictionWords,
        by: Option<Actor>,
    ) -> Result<Response, Failure> {
        let by = Some(by.unwrap_or_else(Actor::operator));
        let summary = self.known_key(key)?;
        let restrictions = Box::new(restriction_words::read(restrictions)?);
        let (id, at) = (summary.id.clone(), self.clock.now());
        self.ground
            .record_key_change(summary.account, &KeyChange::Restricted { id, at, restrictions }, by, at)
            .await
            .map_err(|error| record_failure(&error))?;
        self.keys_show(key)
    }

    pub(super) async fn key_change(
        &self,
        (key, by): (&str, Option<Actor>),
        state: &str,
        change: impl FnOnce(ApiKeyId, UnixNanos) -> KeyChange,
    ) -> Result<Response, Failure> {
        let summary = self.known_key(key)?;
        let id = summary.id;
        if summary.state.as_str() == state {
            return Ok(Response::KeyChanged { key: id.to_string(), state: state.to_owned() });
        }
        let at = self.clock.now();
        let by = Some(by.unwrap_or_else(Actor::operator));
        self.ground
            .record_key_change(summary.account, &change(id.clone(), at), by, at)
            .await
            .map_err(|error| record_failure(&error))?;
        Ok(Response::KeyChanged { key: id.to_string(), state: state.to_owned() })
    }

    fn known_key(&self, key: &str) -> Result<KeySummary, Failure> {
        let unknown =
            || Failure::new(Exit::NotFound, format!("there is no API key {key:?} that is not revoked"));
        let id = ApiKeyId::parse(key).map_err(|_| unknown())?;
        self.ground.registry().summary(&id).ok_or_else(unknown)
    }
}

fn listed(key: KeySummary) -> ListedKey {
    ListedKey {
        key: key.id.to_string(),
        account: key.account.to_string(),
        label: key.label,
        permissions: key.permissions.iter().map(|permission| permission.as_str().to_owned()).collect(),
        ips: key.ip_allow.entries().map(|entry| entry.to_string()).collect(),
        environment: key.environment.as_str().to_owned(),
        scheme: key.scheme.as_str().to_owned(),
        restricted: key.restrictions.is_some(),
        state: key.state.as_str().to_owned(),
        created_at: Some(key.created_at.to_string()),
        last_used_at: key.last_used_at.map(|at| at.to_string()),
    }
}

fn revoked(id: ApiKeyId) -> ListedKey {
    ListedKey {
        key: id.to_string(),
        account: String::new(),
        label: String::new(),
        permissions: Vec::new(),
        ips: Vec::new(),
        environment: String::new(),
        scheme: String::new(),
        restricted: false,
        state: auth::KeyState::Revoked.as_str().to_owned(),
        created_at: None,
        last_used_at: None,
    }
}

/// A passphrase within the policy: 24 characters, at least one of each required class.
fn made_passphrase() -> String {
    let random: [u8; 10] = crypto::random::array();
    format!("Aa1-{}", hex::encode(random))
}
