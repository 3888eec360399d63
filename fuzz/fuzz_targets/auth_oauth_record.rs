//! Journalled changes of apps and grants: what decodes encodes to the same bytes, and no grant may withdraw.
#![no_main]

use std::sync::{Arc, LazyLock};

use auth::{
    Environment, IpAllowList, Permission,
    authority::{Notional, NotionalBounds, Origin, Pair, Reservation, Restrictions, Sighting, WeeklyHours},
    oauth::{App, AppChange, NewGrant, parse_scope},
    v2::PublicKey,
};
use crypto::SigningKey;
use domain::{AccountId, Amount, Asset, UnixNanos};
use fuzz::edited;
use libfuzzer_sys::fuzz_target;

static EXAMPLES: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let (at, grant) = (UnixNanos(1_700_000_000_000_000_001), [7; 16]);
    let scopes = parse_scope("read trade").expect("valid scopes");
    let app = App::new("app-1", "Bot", &["https://app.example/cb"], scopes, at).expect("a valid app");
    let bound = Amount::parse("1000.5").ok();
    let bounds = NotionalBounds::new(Asset::parse("USDT").expect("an asset"), bound, bound).expect("bounds");
    let restrictions = Restrictions::default()
        .with_endpoints(&["GET /api/v5/*"])
        .and_then(|all| all.with_instruments(&["BTC-*"]))
        .and_then(|all| all.with_destinations(&["cold-1"]))
        .expect("valid restrictions")
        .with_notional(bounds)
        .with_hours(WeeklyHours::daily(&[0], 8, 18).expect("hours"));
    let new = NewGrant {
        grant,
        at,
        client_id: "app-1".to_owned(),
        account: AccountId::parse("alice").expect("a valid id"),
        scopes,
        ip_allow: IpAllowList::parse(&["10.0.0.0/8"]).expect("valid entries"),
        environment: Environment::Live,
        key: PublicKey::ed25519(SigningKey::from_seed([3; 32]).verifying_key().0).expect("a key"),
        restrictions,
        expires_at: UnixNanos(u64::MAX),
    };
    let pair = Pair { origin: Origin::V4([192, 0, 2]), ja4: None };
    let reservation = Reservation { hour: 9, upto: Notional::from_atoms(5) };
    [
        AppChange::Registered(Arc::new(app)),
        AppChange::Granted(Box::new(new)),
        AppChange::Seen { grant, sighting: Sighting { pair, at, suspect: true } },
        AppChange::Spent { grant, at, reservation },
    ]
    .map(|change| change.encode())
});

fuzz_target!(|data: &[u8]| {
    let examples: Vec<&[u8]> = EXAMPLES.iter().map(Vec::as_slice).collect();
    let bytes = edited(&examples, data);
    let Ok(change) = AppChange::decode(&bytes) else { return };
    assert_eq!(change.encode(), bytes);
    match &change {
        AppChange::Granted(new) => assert!(!new.scopes.contains(Permission::Withdraw)),
        AppChange::Registered(app) => assert!(!app.scopes().contains(Permission::Withdraw)),
        _ => {}
    }
});
