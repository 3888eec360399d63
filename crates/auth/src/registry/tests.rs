use crypto::{PassphraseHash, SecretBytes};

use super::*;
use crate::key::{NewApiKey, generate_id};

const CREATED: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn key(number: u8, permissions: &[Permission], ips: &[&str], environment: Environment) -> ApiKey {
    let mut stored = [0; PassphraseHash::STORED_BYTES];
    stored[0] = 1;
    let new = NewApiKey {
        id: generate_id([number; 16]),
        account: AccountId::parse(&format!("account-{}", number % 2)).unwrap(),
        label: String::new(),
        permissions: Permissions::new(permissions).unwrap(),
        ip_allow: IpAllowList::parse(ips).unwrap(),
        environment,
        secret: SecretBytes::new(vec![b'A'; 32]),
    };
    ApiKey::restore(new, PassphraseHash::from_bytes(&stored).unwrap(), CREATED).unwrap()
}

fn trading(number: u8) -> KeyChange {
    KeyChange::Created(Box::new(key(number, &[Permission::Trade], &[], Environment::Live)))
}

fn entry(registry: &Registry, number: u8) -> Arc<Entry> {
    match registry.find(generate_id([number; 16]).as_str().as_bytes()) {
        Found::Known(entry) => entry,
        Found::Revoked | Found::Unknown => panic!("key {number} is not there"),
    }
}

#[test]
fn a_fold_gives_the_state_of_the_last_change() {
    let registry = Registry::new(100, 1);
    for number in 1..=4 {
        registry.apply(trading(number)).unwrap();
    }
    let id = |number: u8| generate_id([number; 16]);
    registry.apply(KeyChange::Frozen { id: id(1), at: CREATED }).unwrap();
    registry.apply(KeyChange::Frozen { id: id(2), at: CREATED }).unwrap();
    registry.apply(KeyChange::Unfrozen { id: id(2), at: CREATED }).unwrap();
    registry.apply(KeyChange::Revoked { id: id(3), at: CREATED }).unwrap();
    registry.apply(KeyChange::Used { id: id(4), at: CREATED.plus(DAY) }).unwrap();
    let state = |number| registry.summary(&id(number)).map(|key| key.state);
    assert_eq!(
        [1, 2, 3, 4].map(state),
        [Some(KeyState::Frozen), Some(KeyState::Active), None, Some(KeyState::Active)]
    );
    assert_eq!(registry.summary(&id(4)).unwrap().last_used_at, Some(CREATED.plus(DAY)));
    assert_eq!(registry.summaries().len(), 3);
    let account = AccountId::parse("account-0").unwrap();
    assert_eq!(
        registry.summaries_of(&account).iter().map(|key| key.id.clone()).collect::<Vec<_>>(),
        [id(2), id(4)]
    );
    assert_eq!(registry.len(), 4);
}

#[test]
fn changes_that_do_not_fit_are_refused_and_change_nothing() {
    let registry = Registry::new(2, 1);
    let id = |number: u8| generate_id([number; 16]);
    registry.apply(trading(1)).unwrap();
    assert_eq!(registry.apply(trading(1)), Err(ApplyError::DuplicateKey { id: id(1) }));
    registry.apply(KeyChange::Revoked { id: id(1), at: CREATED }).unwrap();
    // An id is never issued twice, also after its key is gone.
    assert_eq!(registry.apply(trading(1)), Err(ApplyError::DuplicateKey { id: id(1) }));
    registry.apply(trading(2)).unwrap();
    assert_eq!(registry.apply(trading(3)), Err(ApplyError::Full { max: 2 }));
    for change in [
        KeyChange::Frozen { id: id(9), at: CREATED },
        KeyChange::Revoked { id: id(9), at: CREATED },
        KeyChange::Used { id: id(9), at: CREATED },
    ] {
        assert_eq!(registry.apply(change), Err(ApplyError::UnknownKey { id: id(9) }));
    }
}

#[test]
fn revocation_is_final_and_seen_by_requests_under_way() {
    let registry = Registry::new(10, 1);
    registry.apply(trading(1)).unwrap();
    let under_way = entry(&registry, 1);
    let id = generate_id([1; 16]);
    registry.apply(KeyChange::Revoked { id: id.clone(), at: CREATED }).unwrap();
    assert_eq!(under_way.state(), KeyState::Revoked);
    // The registry has let go of the secret: the request under way holds the only copy.
    assert_eq!(Arc::strong_count(&under_way), 1);
    for change in [KeyChange::Unfrozen { id: id.clone(), at: CREATED }, KeyChange::Frozen { id, at: CREATED }]
    {
        registry.apply(change).unwrap();
    }
    assert_eq!(under_way.state(), KeyState::Revoked);
    assert!(registry.summaries().is_empty());
}

#[test]
fn only_live_unbound_keys_that_move_something_expire() {
    use Permission::{Read, Trade, Withdraw};
    let registry = Registry::new(10, 1);
    for (number, permissions, ips, environment, expires) in [
        (1, [Trade].as_slice(), [].as_slice(), Environment::Live, true),
        (2, &[Withdraw], &[], Environment::Live, true),
        (3, &[Read], &[], Environment::Live, false),
        (4, &[Trade], &["10.0.0.1"], Environment::Live, false),
        (5, &[Trade], &[], Environment::Demo, false),
    ] {
        registry.apply(KeyChange::Created(Box::new(key(number, permissions, ips, environment)))).unwrap();
        let entry = entry(&registry, number);
        assert!(!entry.is_expired(CREATED.plus(IDLE_MAX)), "{number}");
        assert_eq!(entry.is_expired(CREATED.plus(IDLE_MAX + Duration::from_nanos(1))), expires, "{number}");
    }
}

#[test]
fn a_use_is_recorded_once_a_day_and_never_expires_early() {
    let registry = Registry::new(10, 1);
    registry.apply(trading(1)).unwrap();
    let entry = entry(&registry, 1);
    let first = CREATED.plus(DAY);
    assert!(entry.record_use(first));
    assert!(!entry.record_use(first));
    let unrecorded = first.plus(DAY);
    assert!(!entry.record_use(unrecorded));
    // The use a day after the recorded one counts in full.
    assert!(!entry.is_expired(unrecorded.plus(IDLE_MAX)));
    assert!(entry.is_expired(unrecorded.plus(IDLE_MAX + Duration::from_nanos(1))));
    assert!(entry.record_use(unrecorded.plus(Duration::from_nanos(1))));
    // The fold of what was journalled, in any order, keeps the latest.
    registry.apply(KeyChange::Used { id: generate_id([1; 16]), at: first }).unwrap();
    assert_eq!(entry.last_used_at(), Some(unrecorded.plus(Duration::from_nanos(1))));
}

#[test]
fn of_concurrent_uses_one_is_recorded() {
    let registry = Registry::new(10, 1);
    registry.apply(trading(1)).unwrap();
    let entry = entry(&registry, 1);
    let recorded = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                if entry.record_use(CREATED.plus(DAY)) {
                    recorded.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(recorded.into_inner(), 1);
}

#[test]
fn hostile_ids_find_nothing() {
    let registry = Registry::new(10, 1);
    registry.apply(trading(1)).unwrap();
    for id in [b"".as_slice(), b"\0", b"\xff\xfe", &[b'a'; 20_000]] {
        assert!(matches!(registry.find(id), Found::Unknown));
    }
}
