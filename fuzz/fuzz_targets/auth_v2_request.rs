//! A signed request with any of its parts edited: it verifies only if what was signed is what arrives.
#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use auth::{
    ApiKey, Endpoint, Environment, IpAllowList, KeyChange, NewV2Key, Permission, Permissions, Registry,
    v2::{
        Config, Head, PublicKey, SignatureVerifier, SignedFields, fields::content_digest_text,
        generate_key_id,
    },
};
use crypto::{SigningKey, sha256};
use domain::{AccountId, UnixNanos};
use fuzz::{Choices, edited};
use libfuzzer_sys::fuzz_target;

const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const BODY: &[u8] = br#"{"instId":"BTC-USDT","sz":"1"}"#;
const N_PARTS: usize = 7;

struct World {
    verifier: SignatureVerifier,
    /// Method, authority, target, body, `Content-Digest`, `Signature-Input`, `Signature`.
    parts: [Vec<u8>; N_PARTS],
}

static RUNS: AtomicU32 = AtomicU32::new(0);

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let key = SigningKey::from_seed([1; 32]);
    let id = generate_key_id(Environment::Live, [2; 16]);
    let new = NewV2Key {
        id: id.clone(),
        account: AccountId::parse("alice").expect("a valid id"),
        label: String::new(),
        permissions: Permissions::new(&Permission::ALL).expect("valid permissions"),
        ip_allow: IpAllowList::default(),
        environment: Environment::Live,
        public_key: PublicKey::ed25519(key.verifying_key().0).expect("a good key"),
    };
    let registry = Arc::new(Registry::new(1, 1));
    let created = ApiKey::register(new, NOW).expect("a valid key");
    registry.apply(KeyChange::Created(Box::new(created))).expect("room for one");
    let verifier =
        SignatureVerifier::new(registry, Config::new(vec!["api.example".into()], 1)).expect("a name");
    let digest = content_digest_text(&sha256(&[BODY]));
    let params = format!(
        "(\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\");created=1700000000;expires=1700000030;\
         nonce=\"AAECAwQFBgcICQoLDA0ODw\";keyid=\"{id}\";alg=\"ed25519\";tag=\"caponier-v2\""
    );
    let base = format!(
        "\"@method\": POST\n\"@authority\": api.example\n\"@path\": /api/v5/trade/order\n\"@query\": ?a=b\n\
         \"content-digest\": {digest}\n\"@signature-params\": {params}"
    );
    let signature = key.sign(base.as_bytes());
    let parts = [
        b"POST".to_vec(),
        b"api.example".to_vec(),
        b"/api/v5/trade/order?a=b".to_vec(),
        BODY.to_vec(),
        digest.into_bytes(),
        format!("caponier={params}").into_bytes(),
        format!("caponier=:{}:", base64(&signature)).into_bytes(),
    ];
    World { verifier, parts }
});

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let value =
            group.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(value >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let mut parts = WORLD.parts.clone();
    let which = choices.below(N_PARTS + 1);
    if let Some(part) = parts.get_mut(which) {
        *part = edited(&[part.as_slice()], choices.rest());
    }
    let [method, authority, target, body, digest, input, signature] = &parts;
    let fields =
        [(&b"Content-Digest"[..], digest.as_slice()), (b"Signature-Input", input), (b"Signature", signature)];
    let Ok(Some(fields)) = SignedFields::collect(fields) else { panic!("both fields are there once") };
    // Every run comes from elsewhere, so that the failures of one do not use up the budget of the next.
    let ip = Ipv4Addr::from_bits(RUNS.fetch_add(1, Ordering::Relaxed));
    let head = Head { method, authority, target, https: true, ip: IpAddr::V4(ip), tls_exporter: None };
    let answer = WORLD.verifier.verify_head(&head, &fields, Endpoint::TRADE, NOW);
    if answer.and_then(|head| head.with_body(body)).is_ok() {
        for (at, (part, signed)) in parts.iter().zip(&WORLD.parts).enumerate() {
            let same = match at {
                1 => part.strip_suffix(b":443").unwrap_or(part).eq_ignore_ascii_case(signed),
                _ => part == signed,
            };
            assert!(same, "part {at}: {}", part.escape_ascii());
        }
    } else {
        assert_ne!(parts, WORLD.parts, "the request as it was signed");
    }
});
