//! Consents of customers: what is accepted never lets an app withdraw, ends, and survives storage as it was said.
#![no_main]

use auth::{
    Permission,
    oauth::{AppChange, GRANT_LIFE_MAX, NewGrant},
    v2::PublicKey,
};
use domain::UnixNanos;
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

const EXAMPLES: [&[u8]; 3] = [
    br#"{"decision":"approve","account":"u-1001","scopes":"read trade","days":30,"environment":"live","ips":"192.0.2.0/24, 2001:db8::1","instruments":"BTC-USDT, ETH-*","quote":"USDT","per_order":"1000","per_day":"5000"}"#,
    br#"{"decision":"approve","account":"u","environment":"demo"}"#,
    br#"{"decision":"deny"}"#,
];

fuzz_target!(|data: &[u8]| {
    let Some(consent) = api::fuzz::consent(&edited(&EXAMPLES, data)) else { return };
    assert!(!consent.scopes.contains(Permission::Withdraw));
    assert!(!consent.life.is_zero() && consent.life <= GRANT_LIFE_MAX);
    let at = UnixNanos::from_secs(1_795_342_200);
    let key = crypto::SigningKey::from_seed([7; 32]).verifying_key().0;
    let new = NewGrant {
        grant: [7; 16],
        at,
        client_id: "app-1".to_owned(),
        account: consent.account,
        scopes: consent.scopes,
        ip_allow: consent.ip_allow,
        environment: consent.environment,
        key: PublicKey::ed25519(key).expect("a made key is one"),
        restrictions: consent.restrictions,
        expires_at: at.plus(consent.life),
    };
    let stored = AppChange::Granted(Box::new(new.clone())).encode();
    assert!(stored.len() <= journal::PAYLOAD_BYTES_MAX);
    match AppChange::decode(&stored) {
        Ok(AppChange::Granted(read)) => assert_eq!(*read, new),
        other => panic!("{other:?}"),
    }
});
