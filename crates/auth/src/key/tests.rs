use super::*;

fn new() -> NewApiKey {
    NewApiKey {
        id: generate_id([0xab; 16]),
        account: AccountId::parse("alice").unwrap(),
        label: "bot".into(),
        permissions: Permissions::new(&[Permission::Read, Permission::Trade]).unwrap(),
        ip_allow: IpAllowList::default(),
        environment: Environment::Live,
        secret: generate_secret([0xcd; 16]),
    }
}

fn create(new: NewApiKey) -> Result<ApiKey, KeyError> {
    ApiKey::create(new, b"Correct-Horse-1", [1; 16], UnixNanos::from_secs(9))
}

#[test]
fn generated_texts_have_the_form_of_the_exchange() {
    assert_eq!(generate_id([0xab; 16]).as_str(), "abababab-abab-abab-abab-abababababab");
    assert_eq!(generate_secret([0xcd; 16]).expose(), b"CDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCD");
}

#[test]
fn a_key_keeps_what_it_was_given_and_shows_no_secret() {
    let key = create(new()).unwrap();
    assert_eq!((key.label(), key.environment(), key.created_at().as_secs()), ("bot", Environment::Live, 9));
    let Credential::Okx { passphrase, .. } = &key.credential else { panic!("not of the OKX scheme") };
    assert!(passphrase.verify(b"Correct-Horse-1"));
    let shown = format!("{key:?}");
    assert!(shown.contains("alice"), "{shown}");
    let hash = format!("{passphrase:?}");
    let hash = hash.trim_start_matches("PassphraseHash([").trim_end_matches("])");
    assert!(
        hash.len() > 49 && !shown.contains(hash) && !shown.contains("CDCD") && !shown.contains("Horse"),
        "{shown}"
    );
}

#[test]
fn each_rule_of_the_passphrase_is_named() {
    use PassphraseRule::*;
    for (passphrase, broken) in [
        ("Aa1!aaa", Some(Length)),
        ("Aa1!aaaa", None),
        ("Aa1!aaaaAa1!aaaaAa1!aaaaAa1!aaaa", None),
        ("Aa1!aaaaAa1!aaaaAa1!aaaaAa1!aaaaX", Some(Length)),
        ("Aab!aaaa", Some(Digit)),
        ("aa1!aaaa", Some(Upper)),
        ("AA1!AAAA", Some(Lower)),
        ("Aa1aaaaa", Some(Special)),
        ("Aa1 aaaa", None),
        ("Aa1!aaa ", Some(Character)),
        ("Aa1!aaa\u{7f}", Some(Character)),
        ("Aa1!aaaü", Some(Character)),
        ("", Some(Length)),
    ] {
        let expected = broken.map_or(Ok(()), |rule| Err(KeyError::PassphraseWeak { rule }));
        assert_eq!(check_passphrase(passphrase.as_bytes()), expected, "{passphrase:?}");
    }
    let weak = ApiKey::create(new(), b"weak", [1; 16], UnixNanos(0)).unwrap_err();
    assert_eq!(weak.to_string(), "passphrase is not 8 to 32 characters long");
}

#[test]
fn bad_fields_are_named() {
    let label = NewApiKey { label: "x".repeat(65), ..new() };
    assert_eq!(create(label).unwrap_err(), KeyError::LabelTooLong { got: 65, max: 64 });
    let label = NewApiKey { label: "a\nb".into(), ..new() };
    assert_eq!(create(label).unwrap_err(), KeyError::LabelForbidden);
    for length in [0, 21, 65] {
        let secret = NewApiKey { secret: SecretBytes::new(vec![b'k'; length]), ..new() };
        assert_eq!(create(secret).unwrap_err(), KeyError::SecretLength { got: length, min: 22, max: 64 });
    }
    assert_eq!(Permissions::new(&[]), Err(KeyError::PermissionsEmpty));
    assert_eq!(Permissions::from_bits(8), Err(KeyError::PermissionsUnknown { bits: 8 }));
}

#[test]
fn permissions_are_a_set_and_none_includes_another() {
    let permissions = Permissions::new(&[Permission::Trade, Permission::Trade]).unwrap();
    assert!(permissions.contains(Permission::Trade));
    assert!(!permissions.contains(Permission::Read) && !permissions.contains(Permission::Withdraw));
    assert_eq!(permissions.iter().collect::<Vec<_>>(), [Permission::Trade]);
    for permission in Permission::ALL {
        assert_eq!(Permission::parse(permission.as_str()), Some(permission));
    }
    assert_eq!(Permission::parse("Trade"), None);
}

#[test]
fn a_v2_key_holds_no_secret_and_its_id_says_where_it_is_good() {
    let v2 = |id: ApiKeyId, environment| NewV2Key {
        id,
        account: AccountId::parse("alice").unwrap(),
        label: "bot".into(),
        permissions: Permissions::new(&[Permission::Trade]).unwrap(),
        ip_allow: IpAllowList::default(),
        environment,
        public_key: PublicKey::ed25519([7; 32]).unwrap(),
    };
    let live = || crate::v2::generate_key_id(Environment::Live, [1; 16]);
    let key = ApiKey::register(v2(live(), Environment::Live), UnixNanos(1)).unwrap();
    assert_eq!((key.scheme(), key.secret().is_none()), (Scheme::V2, true));
    assert_eq!(key.public_key(), PublicKey::ed25519([7; 32]).ok().as_ref());
    let refused = |new| ApiKey::register(new, UnixNanos(1)).unwrap_err();
    assert_eq!(refused(v2(live(), Environment::Demo)), KeyError::IdForm);
    assert_eq!(refused(v2(generate_id([1; 16]), Environment::Live)), KeyError::IdForm);
    let control = NewV2Key { label: "a\nb".into(), ..v2(live(), Environment::Live) };
    assert_eq!(refused(control), KeyError::LabelForbidden);
}
