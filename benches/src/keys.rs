//! API keys that the load and the gateway under load both know without speaking to each other.
//!
//! Everything follows from a key's index. The secrets are public by construction: for loopback benchmarks only.

use anyhow::{Context as _, Result};
use auth::{ApiKey, Environment, IpAllowList, KeyChange, NewApiKey, Permission, Permissions, okx};
use crypto::SecretBytes;
use domain::{AccountId, ApiKeyId, UnixNanos};

/// The passphrase of every key: one slow hash serves a whole registry.
pub const PASSPHRASE: &str = "Bench-pass-1";

/// What the load asks for: a private read with a query, so that the query is part of what is verified.
pub const TARGET: &str = "/api/v5/account/balance?ccy=BTC";

/// Salt of the one passphrase hash. Fixed, since nothing here is secret.
const SALT: [u8; 16] = *b"benchmark-salt-1";

/// The public half of key `index`: always 36 characters, like a real one.
#[must_use]
pub fn id(index: u32) -> String {
    format!("be9c0000-0000-4000-8000-0000{index:08x}")
}

/// The HMAC key of key `index`: always 32 characters, like a real one.
#[must_use]
pub fn secret(index: u32) -> String {
    format!("BE9C000000000000000000000{index:07X}")
}

/// The account of key `index`.
#[must_use]
pub fn account(index: u32) -> String {
    format!("bench-{index:08}")
}

/// Signs the private read [`TARGET`] with key `index`.
#[must_use]
pub fn sign(index: u32, timestamp: &str) -> String {
    okx::sign(secret(index).as_bytes(), timestamp, "GET", TARGET, b"")
}

/// The creation of the first `n_keys` keys, as the journal would hand them to a registry.
///
/// A passphrase hash takes some 20 ms on purpose, a hundred thousand of them half an hour. So the first key is
/// created in full, and the others are its record with other bytes for id, account and secret, read back through the
/// same strict decoder that reads the journal.
///
/// # Errors
/// When a field is no longer acceptable to `auth`, which would be a fault of this module.
pub fn changes(n_keys: u32, created_at: UnixNanos) -> Result<impl Iterator<Item = Result<KeyChange>>> {
    let first = NewApiKey {
        id: ApiKeyId::parse(&id(0)).context("key id")?,
        account: AccountId::parse(&account(0)).context("account id")?,
        label: String::new(),
        permissions: Permissions::new(&[Permission::Read, Permission::Trade]).context("permissions")?,
        ip_allow: IpAllowList::parse::<&str>(&[]).context("address list")?,
        environment: Environment::Live,
        secret: SecretBytes::new(secret(0).into_bytes()),
    };
    let first = ApiKey::create(first, PASSPHRASE.as_bytes(), SALT, created_at).context("first key")?;
    let record = KeyChange::Created(Box::new(first)).encode().expose().clone();
    Ok((0..n_keys).map(move |index| {
        let mut bytes = record.clone();
        for part in [id, account, secret] {
            replace(&mut bytes, part(0).as_bytes(), part(index).as_bytes())?;
        }
        KeyChange::decode(&bytes).with_context(|| format!("record of key {index}"))
    }))
}

/// Overwrites the one place where `old` stands with `new` of the same length.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) -> Result<()> {
    anyhow::ensure!(old.len() == new.len(), "parts of different lengths");
    let at =
        bytes.windows(old.len()).position(|window| window == old).context("part is not in the record")?;
    bytes[at..at + new.len()].copy_from_slice(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use auth::Registry;

    use super::*;

    #[test]
    fn every_key_is_its_own() {
        let registry = Registry::new(1_000, 1);
        for change in changes(1_000, UnixNanos::from_secs(1)).unwrap() {
            registry.apply(change.unwrap()).unwrap();
        }
        assert_eq!(registry.len(), 1_000);
        let last = registry.summary(&ApiKeyId::parse(&id(999)).unwrap()).unwrap();
        assert_eq!(last.account.as_str(), account(999));
        assert_ne!(secret(998), secret(999));
        assert_ne!(sign(998, "2020-12-08T09:08:57.715Z"), sign(999, "2020-12-08T09:08:57.715Z"));
    }
}
