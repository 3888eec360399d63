//! What one signed request costs the gateway, from its header fields to the proof, by kind of key.
//!
//! Measures and asserts nothing but success, so it runs only when asked:
//! `cargo test --release -p auth --test v2_speed -- --ignored --nocapture`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement prints and stops at surprises")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auth::{
    ApiKey, Endpoint, Environment, IpAllowList, KeyChange, NewV2Key, Permission, Permissions, Registry,
    v2::{
        Config, Head, PublicKey, SessionRandom, SignatureVerifier, SignedFields, fields::content_digest_text,
        generate_key_id, session::derive_mac_key,
    },
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use crypto::{P256SigningKey, Secret, SigningKey, X25519Key, hmac_sha256, sha256};
use domain::{AccountId, UnixNanos};

const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const BODY: &[u8] =
    br#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"30000","sz":"0.001"}"#;
/// Runs, and calls in each: short enough that some run is not interrupted on a busy machine.
const RUNS: u32 = 300;
const CALLS: u32 = 20;

fn head(target: &str) -> Head<'_> {
    Head {
        method: b"POST",
        authority: b"api.example.com",
        target: target.as_bytes(),
        https: true,
        ip: "203.0.113.7".parse().unwrap(),
        tls_exporter: None,
    }
}

/// The three header fields of a signed request.
fn fields(
    key_id: &str,
    alg: &str,
    target: &str,
    body: &[u8],
    sign: impl Fn(&[u8]) -> Vec<u8>,
) -> Vec<(String, String)> {
    let digest = content_digest_text(&sha256(&[body]));
    let params = format!(
        "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created=1700000000;expires=1700000005;\
         nonce=\"AAECAwQFBgcICQoLDA0ODw\";keyid=\"{key_id}\";alg=\"{alg}\";tag=\"caponier-v2\""
    );
    let base = format!(
        "\"@method\": POST\n\"@authority\": api.example.com\n\"@path\": {target}\n\"@query\": ?\n\
         \"content-digest\": {digest}\n\"@signature-params\": {params}"
    );
    let signature = STANDARD.encode(sign(base.as_bytes()));
    vec![
        ("content-digest".into(), digest),
        ("signature-input".into(), format!("caponier={params}")),
        ("signature".into(), format!("caponier=:{signature}:")),
    ]
}

/// Microseconds of one call: the best of the runs, and their median.
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn measure(name: &str, call: impl Fn()) {
    let mut runs: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            (0..CALLS).for_each(|_| call());
            start.elapsed() / CALLS
        })
        .collect();
    runs.sort();
    let micros = |run: Duration| run.as_secs_f64() * 1e6;
    println!("{name}: best {:.2} us, median {:.2} us", micros(runs[0]), micros(runs[runs.len() / 2]));
}

#[test]
#[ignore = "a measurement, for a release build"]
fn one_request() {
    let (ed25519, p256) = (SigningKey::generate(), P256SigningKey::generate());
    let registry = Arc::new(Registry::new(10, 1));
    let ids = [1, 2].map(|number| generate_key_id(Environment::Live, [number; 16]));
    let keys = [
        PublicKey::ed25519(ed25519.verifying_key().0).unwrap(),
        PublicKey::p256(p256.verifying_key().as_bytes()).unwrap(),
    ];
    for (id, public_key) in ids.iter().zip(keys) {
        let new = NewV2Key {
            id: id.clone(),
            account: AccountId::parse("alice").unwrap(),
            label: String::new(),
            permissions: Permissions::new(&Permission::ALL).unwrap(),
            ip_allow: IpAllowList::default(),
            environment: Environment::Live,
            public_key,
        };
        registry.apply(KeyChange::Created(Box::new(ApiKey::register(new, NOW).unwrap()))).unwrap();
    }
    let verifier = SignatureVerifier::new(registry, Config::new(vec!["api.example.com".into()], 1)).unwrap();
    let order = "/api/v5/trade/order";
    let verify = |fields: &[(String, String)], target: &str, body: &[u8], endpoint| {
        let wire = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let signed = SignedFields::collect(wire).unwrap().unwrap();
        verifier.verify_head(&head(target), &signed, endpoint, NOW).unwrap().with_body(body).unwrap()
    };

    let by_ed25519 = |target: &str, body: &[u8]| {
        fields(ids[0].as_str(), "ed25519", target, body, |base| ed25519.sign(base).to_vec())
    };
    let signed = by_ed25519(order, BODY);
    measure("ed25519", || drop(verify(&signed, order, BODY, Endpoint::TRADE)));
    let signed = fields(ids[1].as_str(), "ecdsa-p256-sha256", order, BODY, |base| p256.sign(base).to_vec());
    measure("ecdsa-p256-sha256", || drop(verify(&signed, order, BODY, Endpoint::TRADE)));

    let client = X25519Key::generate();
    let body = format!("{{\"publicKey\":\"{}\"}}", URL_SAFE_NO_PAD.encode(client.public()));
    let target = "/caponier/v2/session";
    let asked = by_ed25519(target, body.as_bytes());
    let open = || {
        let verified = verify(&asked, target, body.as_bytes(), Endpoint::SESSION);
        let random =
            SessionRandom { id: crypto::random::array(), private_key: Secret::new(crypto::random::array()) };
        let ip = "203.0.113.7".parse().unwrap();
        verifier.open_session(&verified, body.as_bytes(), ip, None, random, NOW).unwrap()
    };
    measure("open a session, ed25519", || drop(open()));
    let grant = open();
    let halves = (client.public(), &grant.server_public_key);
    let mac = derive_mac_key(&client, &grant.server_public_key, halves, ids[0].as_str(), &grant.id).unwrap();
    let signed =
        fields(&grant.id, "hmac-sha256", order, BODY, |base| hmac_sha256(mac.expose(), &[base]).to_vec());
    measure("hmac-sha256 in a session", || drop(verify(&signed, order, BODY, Endpoint::TRADE)));
    let wrong = fields("caponier_live_nobody", "ed25519", order, BODY, |base| ed25519.sign(base).to_vec());
    measure("refused, unknown key", || {
        let wire = wrong.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let signed = SignedFields::collect(wire).unwrap().unwrap();
        assert!(verifier.verify_head(&head(order), &signed, Endpoint::TRADE, NOW).is_err());
    });
}
