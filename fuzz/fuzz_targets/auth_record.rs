//! Journalled changes of API keys: what decodes encodes to the same bytes.
#![no_main]

use std::sync::LazyLock;

use auth::{
    ApiKey, Environment, IpAllowList, KeyChange, KeyEntry, NewApiKey, NewV2Key, Permissions,
    v2::{PublicKey, generate_key_id},
};
use crypto::SecretBytes;
use domain::{AccountId, ApiKeyId, UnixNanos};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

/// Records of a new key of either scheme, and a short one.
static EXAMPLES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let id = ApiKeyId::parse("key-1").expect("a valid id");
    let new = NewApiKey {
        id: id.clone(),
        account: AccountId::parse("alice").expect("a valid id"),
        label: "bot".to_owned(),
        permissions: Permissions::from_bits(7).expect("valid permissions"),
        ip_allow: IpAllowList::parse(&["10.0.0.0/8", "2001:db8::1"]).expect("valid entries"),
        environment: Environment::Live,
        secret: SecretBytes::new(b"22582BD0CFF14C41EDBF1AB98506286D".to_vec()),
    };
    let key = ApiKey::create(new, b"Correct-Horse-1", [9; 16], UnixNanos(5)).expect("a valid key");
    let created = KeyChange::Created(Box::new(key)).encode().expose().to_vec();
    let frozen = KeyChange::Frozen { id, at: UnixNanos(7) }.encode().expose().to_vec();
    let v2 = NewV2Key {
        id: generate_key_id(Environment::Demo, [3; 16]),
        account: AccountId::parse("alice").expect("a valid id"),
        label: String::new(),
        permissions: Permissions::from_bits(1).expect("valid permissions"),
        ip_allow: IpAllowList::default(),
        environment: Environment::Demo,
        public_key: PublicKey::ed25519([7; 32]).expect("a good key"),
    };
    let v2 = ApiKey::register(v2, UnixNanos(5)).expect("a valid key");
    let v2 = KeyChange::Created(Box::new(v2)).encode().expose().to_vec();
    [created, frozen, v2]
});

fuzz_target!(|data: &[u8]| {
    let bytes = edited(&[&EXAMPLES[0], &EXAMPLES[1], &EXAMPLES[2]], data);
    if let Ok(entry) = KeyEntry::decode(&bytes) {
        assert_eq!(entry.encode().expose(), &*bytes);
    }
    if let Ok(change) = KeyChange::decode(&bytes) {
        assert_eq!(change.encode().expose(), &*bytes);
    }
});
