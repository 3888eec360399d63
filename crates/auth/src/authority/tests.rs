//! Restrictions, budget and sightings through the registry, as a gateway meets them.

use std::{net::IpAddr, sync::Arc};

use crypto::SecretBytes;
use domain::{AccountId, Amount, ApiKeyId, Asset};

use super::*;
use crate::{
    ApiKey, Authenticator, Change, Endpoint, Environment, IpAllowList, KeyChange, NewApiKey, Permission,
    Permissions, Refusal, Registry, ReplayWindow, RequestHead, Verification, Verified, okx,
};

const START: UnixNanos = UnixNanos::from_secs(1_800_000_000);
const SECRET: &[u8] = b"22582BD0CFF14C41EDBF1AB98506286D";
const PASSPHRASE: &[u8] = b"Correct-Horse-1";

fn id() -> ApiKeyId {
    ApiKeyId::parse("key-1").unwrap()
}

fn created(restrictions: Restrictions) -> Vec<u8> {
    let new = NewApiKey {
        id: id(),
        account: AccountId::parse("alice").unwrap(),
        label: String::new(),
        permissions: Permissions::new(&[Permission::Read, Permission::Trade]).unwrap(),
        ip_allow: IpAllowList::default(),
        environment: Environment::Live,
        secret: SecretBytes::new(SECRET.to_vec()),
    };
    let key = ApiKey::create(new, PASSPHRASE, [1; 16], START).unwrap().with_restrictions(restrictions);
    KeyChange::Created(Box::new(key)).encode().expose().to_vec()
}

/// A journal, and what is folded from it.
struct World {
    journal: Vec<Vec<u8>>,
    authenticator: Authenticator,
}

impl World {
    fn new(restrictions: Restrictions) -> Self {
        Self::folded(vec![created(restrictions)])
    }

    fn folded(journal: Vec<Vec<u8>>) -> Self {
        let registry = Registry::new(10, 1);
        for record in &journal {
            registry.apply(KeyChange::decode(record).unwrap()).unwrap();
        }
        let authenticator = Authenticator::new(Arc::new(registry), ReplayWindow::new(100, 1), [1; 32]);
        Self { journal, authenticator }
    }

    fn restarted(self) -> Self {
        Self::folded(self.journal)
    }

    fn append(&mut self, change: &KeyChange) {
        let record = change.encode().expose().to_vec();
        self.authenticator.registry().apply(KeyChange::decode(&record).unwrap()).unwrap();
        self.journal.push(record);
    }

    fn verified(&self, now: UnixNanos) -> Result<Verified, Refusal> {
        let timestamp = okx::timestamp_text(now);
        let sign = okx::sign(SECRET, &timestamp, "GET", "/api/v5/account/balance", b"");
        let head = RequestHead {
            method: b"GET",
            target: b"/api/v5/account/balance",
            api_key: Some(b"key-1"),
            sign: Some(sign.as_bytes()),
            timestamp: Some(timestamp.as_bytes()),
            passphrase: Some(PASSPHRASE),
            simulated: None,
        };
        let ip = IpAddr::from([192, 0, 2, 1]);
        loop {
            match self.authenticator.verify(&head, b"", ip, Endpoint::READ, now)? {
                Verification::Verified(verified) => return Ok(verified),
                Verification::CheckPassphrase(check) => check.run()?,
            }
        }
    }
}

fn bound(text: &str, quote: &str) -> Restrictions {
    let (quote, amount) = (Asset::parse(quote).unwrap(), Amount::parse(text).unwrap());
    Restrictions::default().with_notional(NotionalBounds::new(quote, None, Some(amount)).unwrap())
}

fn value(text: &str) -> Notional {
    Notional::of(Amount::parse(text).unwrap()).unwrap()
}

#[test]
fn restrictions_come_with_the_key_and_change_at_once() {
    let first = Restrictions::default().with_instruments(&["BTC-*"]).unwrap();
    let second = Restrictions::default().with_instruments(&["ETH-*"]).unwrap();
    let mut world = World::new(first.clone());
    let held = world.verified(START).unwrap();
    assert_eq!(held.restrictions().as_deref(), Some(&first));
    let restricted = |restrictions: &Restrictions| KeyChange::Restricted {
        id: id(),
        at: START.plus(COOL_DOWN),
        restrictions: Box::new(restrictions.clone()),
    };
    world.append(&restricted(&second));
    assert_eq!(held.restrictions().as_deref(), Some(&second), "also for a connection that is open");
    let world = world.restarted();
    let summary = world.authenticator.registry().summary(&id()).unwrap();
    assert_eq!(summary.restrictions.as_deref(), Some(&second));
    assert_eq!(summary.restricted_at, Some(START.plus(COOL_DOWN)));
    let mut world = world;
    world.append(&restricted(&Restrictions::default()));
    let free = world.verified(START).unwrap();
    assert!(free.restrictions().is_none());
}

#[test]
fn a_new_key_and_a_changed_one_wait_a_day_to_withdraw() {
    let mut world = World::new(Restrictions::default());
    let verified = world.verified(START).unwrap();
    let last = COOL_DOWN - Duration::from_nanos(1);
    assert_eq!(verified.check_cool_down(START.plus(last)), Err(Refusal::KeyCoolDown));
    assert_eq!(verified.check_cool_down(START.plus(COOL_DOWN)), Ok(()));
    let changed = START.plus(COOL_DOWN * 3);
    world.append(&KeyChange::Restricted { id: id(), at: changed, restrictions: Box::default() });
    assert_eq!(verified.check_cool_down(changed.plus(last)), Err(Refusal::KeyCoolDown));
    let world = world.restarted();
    let verified = world.verified(START).unwrap();
    assert_eq!(verified.check_cool_down(changed.plus(last)), Err(Refusal::KeyCoolDown));
    assert_eq!(verified.check_cool_down(changed.plus(COOL_DOWN)), Ok(()));
}

/// Charges as a gateway does: a reservation is journalled and applied first.
fn charge(world: &mut World, text: &str) -> Result<usize, Refusal> {
    let verified = world.verified(START).unwrap();
    let mut records = 0;
    while let Some(change) = verified.charge(value(text), START)? {
        let Change::Key(change) = change else { panic!("not of a key") };
        world.append(&change);
        records += 1;
        assert!(records < 2, "one reservation is enough");
    }
    Ok(records)
}

#[test]
fn a_budget_holds_across_a_restart() {
    let mut world = World::new(bound("6400", "USDT"));
    assert_eq!(charge(&mut world, "1000"), Ok(1));
    assert_eq!(charge(&mut world, "100"), Ok(0), "a share was reserved with it");
    assert_eq!(charge(&mut world, "5301"), Err(Refusal::NotionalSpent));
    let mut world = world.restarted();
    assert_eq!(charge(&mut world, "5301"), Err(Refusal::NotionalSpent));
    assert_eq!(charge(&mut world, "5300"), Ok(1));
    assert_eq!(charge(&mut world, "0.000001"), Err(Refusal::NotionalSpent));

    // A higher bound in the same asset goes on from what is spent; another asset begins anew.
    let restrict = |world: &mut World, restrictions: Restrictions| {
        let restrictions = Box::new(restrictions);
        world.append(&KeyChange::Restricted { id: id(), at: START, restrictions });
    };
    restrict(&mut world, bound("6500", "USDT"));
    assert_eq!(charge(&mut world, "101"), Err(Refusal::NotionalSpent));
    assert_eq!(charge(&mut world, "100"), Ok(1));
    restrict(&mut world, bound("1", "BTC"));
    assert_eq!(charge(&mut world, "1"), Ok(1));
    restrict(&mut world, Restrictions::default());
    assert_eq!(charge(&mut world, "1000000"), Ok(0));
}

#[test]
fn a_use_from_elsewhere_is_seen_and_stays_seen() {
    let mut world = World::new(Restrictions::default());
    let observe = |world: &World, last: u8, now: UnixNanos| {
        let ip = IpAddr::from([203, 0, last, 7]);
        let verified = world.verified(START).unwrap();
        (verified.observe(ip, None, None, Permission::Read, FirstSeenMode::Enforce, now), verified)
    };
    let later = START.plus(LEARNING * 2);
    let journal = |world: &mut World, sighting, verified: &Verified| {
        let Change::Key(change) = verified.seen(sighting) else { panic!("not of a key") };
        world.append(&change);
    };
    let (Novelty::Learnt(home), verified) = observe(&world, 1, START) else { panic!("the first is learnt") };
    journal(&mut world, home, &verified);
    let (Novelty::Suspect { record: Some(thief), .. }, verified) = observe(&world, 2, later) else {
        panic!("elsewhere is suspect")
    };
    journal(&mut world, thief, &verified);
    assert_eq!(world.authenticator.registry().last_uses(&id()).len(), 2);

    let mut world = world.restarted();
    assert_eq!(observe(&world, 1, later).0, Novelty::None);
    assert!(matches!(observe(&world, 2, later).0, Novelty::Suspect { record: None, .. }));
    world.append(&KeyChange::Frozen { id: id(), at: later });
    assert_eq!(world.verified(START).unwrap_err(), Refusal::ApiKeyFrozen);
    world.append(&KeyChange::Unfrozen { id: id(), at: later });
    assert_eq!(observe(&world, 2, later).0, Novelty::None);
    let world = world.restarted();
    assert_eq!(observe(&world, 2, later).0, Novelty::None);
}
