use proptest::prelude::*;

use super::*;
use crate::key::Permission;

/// Without the 20 ms of a real hash: 49 bytes of the stored form.
fn stored_hash(fill: u8) -> PassphraseHash {
    let mut bytes = [fill; PassphraseHash::STORED_BYTES];
    bytes[0] = 1;
    PassphraseHash::from_bytes(&bytes).unwrap()
}

fn key(account: &str, label: &str, bits: u8, ips: &[&str], live: bool, secret: Vec<u8>) -> ApiKey {
    let new = NewApiKey {
        id: crate::key::generate_id([7; 16]),
        account: AccountId::parse(account).unwrap(),
        label: label.into(),
        permissions: Permissions::from_bits(bits).unwrap(),
        ip_allow: IpAllowList::parse(ips).unwrap(),
        environment: if live { Environment::Live } else { Environment::Demo },
        secret: SecretBytes::new(secret),
    };
    ApiKey::restore(new, stored_hash(9), UnixNanos(1_700_000_000_000_000_000)).unwrap()
}

fn v2_key(public_key: PublicKey) -> ApiKey {
    let new = NewV2Key {
        id: crate::v2::generate_key_id(Environment::Live, [7; 16]),
        account: AccountId::parse("alice").unwrap(),
        label: "hsm".into(),
        permissions: Permissions::from_bits(6).unwrap(),
        ip_allow: IpAllowList::parse(&["10.0.0.0/8"]).unwrap(),
        environment: Environment::Live,
        public_key,
    };
    ApiKey::register(new, UnixNanos(1_700_000_000_000_000_000)).unwrap()
}

fn p256() -> PublicKey {
    PublicKey::p256(crypto::P256SigningKey::generate().verifying_key().as_bytes()).unwrap()
}

fn restrictions() -> Restrictions {
    let hours = authority::WeeklyHours::daily(&[0, 4], 9, 17).unwrap();
    Restrictions::default().with_instruments(&["BTC-*"]).unwrap().with_hours(hours)
}

fn seen(id: &ApiKeyId, origin: Origin, ja4: Option<Ja4>) -> KeyChange {
    let sighting = Sighting { pair: Pair { origin, ja4 }, at: UnixNanos(9), suspect: ja4.is_some() };
    KeyChange::Seen { id: id.clone(), sighting }
}

fn changes() -> Vec<KeyChange> {
    let id = ApiKeyId::parse("k-1").unwrap();
    let at = UnixNanos(1_700_000_000_000_000_001);
    let entries: Vec<String> =
        (0..20).map(|entry| format!("2001:db8:1111:2222:3333:4444:5555:{entry:x}")).collect();
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    vec![
        KeyChange::Created(Box::new(key("alice", "", 7, &["10.0.0.0/8", "::1"], true, vec![b'A'; 32]))),
        KeyChange::Created(Box::new(key(&"a".repeat(64), &"ü".repeat(32), 1, &entries, false, vec![0; 64]))),
        KeyChange::Created(Box::new(v2_key(PublicKey::ed25519([7; 32]).unwrap()))),
        KeyChange::Created(Box::new(v2_key(p256()))),
        KeyChange::Created(Box::new(v2_key(p256()).with_restrictions(restrictions()))),
        KeyChange::Created(Box::new(
            key("alice", "", 7, &["::1"], true, vec![b'A'; 32]).with_restrictions(restrictions()),
        )),
        KeyChange::Frozen { id: id.clone(), at },
        KeyChange::Restricted { id: id.clone(), at, restrictions: Box::default() },
        KeyChange::Restricted { id: id.clone(), at, restrictions: Box::new(restrictions()) },
        seen(&id, Origin::Asn(64_500), None),
        seen(&id, Origin::V4([192, 0, 2]), Ja4::parse("t13d1516h2_8daaf6152771_02713d6af862")),
        seen(&id, Origin::V6([0x20, 1, 0xd, 0xb8, 0, 0]), None),
        KeyChange::Spent {
            id: id.clone(),
            at,
            reservation: Reservation { hour: 472_222, upto: Notional::from_atoms(u128::MAX - 1) },
        },
        KeyChange::Revoked { id: id.clone(), at },
        KeyChange::Unfrozen { id: id.clone(), at },
        KeyChange::Used { id, at },
    ]
}

#[test]
fn the_fields_of_every_short_kind_are_kept() {
    for change in changes() {
        if !matches!(change, KeyChange::Created(_)) {
            let again = KeyChange::decode(change.encode().expose()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{change:?}"));
        }
    }
}

#[test]
fn who_made_a_change_is_kept_and_every_entry_has_one_encoding() {
    let by = Actor::new(domain::ActorKind::User, "anna").unwrap();
    for change in changes() {
        for by in [None, Some(by.clone())] {
            let bytes = KeyEntry { by: by.clone(), change: change.clone() }.encode().expose().to_vec();
            let again = KeyEntry::decode(&bytes).unwrap();
            assert_eq!((&again.by, format!("{:?}", again.change)), (&by, format!("{change:?}")));
            for cut in 0..bytes.len() {
                assert!(KeyEntry::decode(&bytes[..cut]).is_err(), "{cut}");
            }
            assert!(KeyEntry::decode(&[bytes, vec![0]].concat()).is_err());
        }
    }
    let used = KeyChange::Used { id: ApiKeyId::parse("k-1").unwrap(), at: UnixNanos(1) };
    let bytes = KeyEntry { by: Some(by), change: used }.encode().expose().to_vec();
    assert_eq!(bytes[..4], [0x83, 4, 0x69, b'u']);
    let mut nameless = bytes.clone();
    nameless[7] = b' ';
    assert!(KeyEntry::decode(&nameless).is_err());
}

#[test]
fn a_restricted_key_has_one_version() {
    let restricted = KeyChange::Created(Box::new(v2_key(p256()).with_restrictions(restrictions())));
    let bytes = restricted.encode().expose().to_vec();
    assert_eq!(bytes[..3], [0x8b, 3, 0]);
    // The same without restrictions belongs to version 2.
    let plain = KeyChange::Created(Box::new(v2_key(p256())));
    let mut bytes = plain.encode().expose().to_vec();
    bytes[..2].copy_from_slice(&[0x8b, 3]);
    bytes.extend([0x86, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6]);
    assert_eq!(KeyChange::decode(&bytes).unwrap_err(), RecordError::NotDeterministic);
}

/// The bytes of one record, so that a change of the format is seen.
#[test]
fn known_bytes() {
    let change = KeyChange::Used { id: ApiKeyId::parse("k-1").unwrap(), at: UnixNanos(256) };
    assert_eq!(*change.encode().expose(), [0x84, 1, 4, 0x63, b'k', b'-', b'1', 0x19, 1, 0]);
}

#[test]
fn every_kind_round_trips_with_all_its_fields() {
    for change in changes() {
        let bytes = change.encode();
        assert!(bytes.expose().len() <= RECORD_BYTES_MAX);
        let again = KeyChange::decode(bytes.expose()).unwrap();
        assert_eq!((again.as_str(), again.id(), again.at()), (change.as_str(), change.id(), change.at()));
        if let (KeyChange::Created(again), KeyChange::Created(key)) = (&again, &change) {
            assert_eq!(again.account, key.account);
            assert_eq!(again.label, key.label);
            assert_eq!(again.permissions, key.permissions);
            assert_eq!(again.ip_allow, key.ip_allow);
            assert_eq!(again.environment, key.environment);
            assert_eq!(again.restrictions(), key.restrictions());
            assert_eq!((again.scheme(), again.public_key()), (key.scheme(), key.public_key()));
            assert_eq!(again.secret().map(|s| s.expose()), key.secret().map(|s| s.expose()));
            let hash = |key: &ApiKey| match &key.credential {
                Credential::Okx { passphrase, .. } => Some(passphrase.clone()),
                Credential::V2(_) => None,
            };
            assert_eq!(hash(again), hash(key));
        }
    }
}

#[test]
fn other_encodings_of_the_same_content_are_refused() {
    let used = KeyChange::Used { id: ApiKeyId::parse("k-1").unwrap(), at: UnixNanos(1) }.encode();
    let used = used.expose();
    let refused = |bytes: Vec<u8>| KeyChange::decode(&bytes).unwrap_err();
    let trailing = [used.as_slice(), &[0]].concat();
    assert_eq!(refused(trailing), RecordError::NotDeterministic);
    let long_integer = vec![0x84, 1, 4, 0x63, b'k', b'-', b'1', 0x18, 1];
    assert_eq!(refused(long_integer), RecordError::NotDeterministic);
    let indefinite = vec![0x9f, 1, 4, 0x63, b'k', b'-', b'1', 1, 0xff];
    assert_eq!(refused(indefinite), RecordError::NotDeterministic);
    for version in [0, 2, 3] {
        let short = refused(vec![0x84, version, 4, 0x61, b'k', 1]);
        assert_eq!(short, RecordError::Unknown { what: "version", got: version });
    }
    assert_eq!(refused(vec![0x84, 1, 9, 0x61, b'k', 1]), RecordError::Unknown { what: "kind", got: 9 });
    assert_eq!(refused(vec![0x84, 1, 4, 0x61, b' ', 1]), RecordError::BadField { field: "id" });
    assert_eq!(refused(vec![0x85, 1, 4, 0x61, b'k', 1, 1]), RecordError::BadField { field: "record" });
    let too_long = vec![0; RECORD_BYTES_MAX + 1];
    assert!(matches!(refused(too_long), RecordError::TooLong { .. }));
}

#[test]
fn fields_are_checked_as_on_creation() {
    let good =
        KeyChange::Created(Box::new(key("alice", "bot", 7, &["10.0.0.1"], true, vec![b'A'; 32]))).encode();
    let good = good.expose();
    let at = |needle: &[u8]| good.windows(needle.len()).position(|window| window == needle).unwrap();
    let with = |position: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[position] = byte;
        KeyChange::decode(&bytes).unwrap_err()
    };
    let permissions = at(b"bot") + 3;
    assert_eq!(good[permissions], 7);
    assert_eq!(with(permissions, 0), RecordError::BadField { field: "permissions" });
    assert_eq!(with(permissions, 8), RecordError::BadField { field: "permissions" });
    assert_eq!(with(at(b"bot"), b'\n'), RecordError::BadField { field: "label or secret" });
    assert_eq!(with(at(b"10.0.0.1"), b'x'), RecordError::BadField { field: "ip-entry" });
    assert_eq!(with(at(b"10.0.0.1") + 8, 2), RecordError::BadField { field: "environment" });
    assert_eq!(with(good.len() - 49, 2), RecordError::BadField { field: "passphrase" });
}

/// Cutting a record anywhere and changing any one byte never panics; what is accepted is itself.
#[test]
fn damaged_records() {
    for change in changes() {
        let bytes = change.encode();
        let bytes = bytes.expose();
        for cut in 0..bytes.len() {
            assert!(KeyChange::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        for position in 0..bytes.len() {
            for flip in [1, 0x20, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] ^= flip;
                if let Ok(change) = KeyChange::decode(&damaged) {
                    assert_eq!(*change.encode().expose(), damaged);
                }
            }
        }
    }
}

/// The schema in the documentation and the one in the code are one text.
#[test]
fn the_documented_schema_is_this_one() {
    let code: Vec<&str> = include_str!("../record.rs")
        .lines()
        .skip_while(|line| *line != "//! ```cddl")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!").trim_start_matches(' '))
        .collect();
    let documented: Vec<&str> = include_str!("../../../../docs/journal-apikey.cddl")
        .lines()
        .skip_while(|line| !line.starts_with("api-key-entry"))
        .map(|line| line.trim_start_matches(' '))
        .collect();
    assert!(!code.is_empty());
    assert_eq!(code, documented);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(change) = KeyChange::decode(&bytes) {
            prop_assert!(change.encode().expose() == &bytes);
        }
    }

    /// Bytes that begin like a record reach the inner fields.
    #[test]
    fn arbitrary_fields_never_panic(kind in 0_u8..6, bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let head = [if kind == 0 { 0x8b } else { 0x84 }, 1, kind, 0x61, b'k'];
        let bytes = [head.as_slice(), &bytes].concat();
        if let Ok(change) = KeyChange::decode(&bytes) {
            prop_assert!(change.encode().expose() == &bytes);
        }
    }

    #[test]
    fn created_round_trips(
        account in "[a-zA-Z0-9@._:-]{1,64}",
        label in "[^\\p{Cc}]{0,16}",
        bits in 1_u8..8,
        ips in proptest::collection::vec(any::<std::net::IpAddr>(), 0..20),
        live in any::<bool>(),
        secret in proptest::collection::vec(any::<u8>(), 22..=64),
    ) {
        let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
        let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
        let key = key(&account, &label, bits, &ips, live, secret);
        let may_withdraw = key.permissions().contains(Permission::Withdraw);
        let bytes = KeyChange::Created(Box::new(key)).encode();
        let again = KeyChange::decode(bytes.expose()).unwrap();
        prop_assert!(again.encode().expose() == bytes.expose());
        let KeyChange::Created(again) = again else { panic!("another kind") };
        prop_assert_eq!((again.account().as_str(), again.label()), (account.as_str(), label.as_str()));
        prop_assert_eq!(again.permissions().contains(Permission::Withdraw), may_withdraw);
        prop_assert_eq!(again.ip_allow().entries().len(), ips.len());
    }
}
