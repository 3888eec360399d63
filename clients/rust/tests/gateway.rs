//! What this library signs, the gateway's own verifier accepts; and the other way round for answers.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{sync::Arc, time::Duration};

use auth::{
    ApiKey, Authenticator, Endpoint, Environment, IpAllowList, KeyChange, NewV2Key, Permission, Permissions,
    Proof, Refusal, Registry, ReplayWindow, Verified,
    v2::{
        AnswerSigner, Config, Head, PublicKey, SessionRandom, SignatureVerifier, SignedFields,
        generate_key_id,
    },
};
use caponier_client::{
    ClientError, Fields, KeyPair, P256SigningKey, Request, Signer, SigningKey, public_key_pem, verify_answer,
};
use crypto::{Secret, sha256};
use domain::{AccountId, ApiKeyId, UnixNanos};
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;
const AT: UnixNanos = UnixNanos::from_secs(NOW);
const ORIGIN: &str = "https://api.example.com";

struct World {
    registry: Arc<Registry>,
    verifier: SignatureVerifier,
}

fn world() -> World {
    let registry = Arc::new(Registry::new(10, 1));
    let config = Config::new(vec!["api.example.com".into()], 2);
    World { verifier: SignatureVerifier::new(Arc::clone(&registry), config).unwrap(), registry }
}

impl World {
    fn signer(&self, number: u8, key: impl KeyPair + 'static) -> Signer {
        let id = generate_key_id(Environment::Live, [number; 16]);
        let new = NewV2Key {
            id: id.clone(),
            account: AccountId::parse("alice").unwrap(),
            label: String::new(),
            permissions: Permissions::new(&Permission::ALL).unwrap(),
            ip_allow: IpAllowList::parse(&["203.0.113.0/24"]).unwrap(),
            environment: Environment::Live,
            public_key: PublicKey::from_pem(&public_key_pem(&key)).unwrap(),
        };
        let key_record = ApiKey::register(new, AT).unwrap();
        self.registry.apply(KeyChange::Created(Box::new(key_record))).unwrap();
        Signer::new(id.as_str(), key).unwrap()
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        fields: &Fields,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verified, Refusal> {
        let wire = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let signed = SignedFields::collect(wire).unwrap().unwrap();
        let head = Head {
            method: method.as_bytes(),
            authority: b"api.example.com",
            target: target.as_bytes(),
            https: true,
            ip: "203.0.113.7".parse().unwrap(),
            tls_exporter: None,
        };
        self.verifier.verify_head(&head, &signed, endpoint, now)?.with_body(body)
    }
}

#[test]
fn requests_of_both_kinds_of_key_verify() {
    let world = world();
    for signer in [world.signer(1, SigningKey::generate()), world.signer(2, P256SigningKey::generate())] {
        let body = br#"{"instId":"BTC-USDT","sz":"1"}"#;
        let url = format!("{ORIGIN}/api/v5/asset/withdrawal?x=%2C");
        let request = Request::new("POST", &url, body).unwrap();
        let request = request.exp_time("1700000000500").idempotency_key("\"8e03978e\"");
        let fields = signer.sign(&request, NOW).unwrap();
        let target = "/api/v5/asset/withdrawal?x=%2C";
        let send = |now: UnixNanos| world.send("POST", target, body, &fields, Endpoint::WITHDRAW, now);
        assert_eq!(send(AT).unwrap().proof(), Proof::KeySignature);
        assert_eq!(send(AT.plus(Duration::from_secs(10))).unwrap_err(), Refusal::TimestampExpired);
        let longer = signer.lifetime_secs(30).unwrap();
        let fields = longer.sign(&request, NOW).unwrap();
        let late = AT.plus(Duration::from_secs(29));
        assert!(world.send("POST", target, body, &fields, Endpoint::WITHDRAW, late).is_ok());
    }
}

#[test]
fn a_session_is_opened_and_used() {
    let world = world();
    let signer = world.signer(1, SigningKey::generate());
    let pending = signer.request_session(ORIGIN, NOW).unwrap();
    assert_eq!(pending.url(), "https://api.example.com/caponier/v2/session");
    let body = pending.body().as_bytes().to_vec();
    let verified =
        world.send("POST", "/caponier/v2/session", &body, pending.fields(), Endpoint::SESSION, AT).unwrap();
    let random =
        SessionRandom { id: crypto::random::array(), private_key: Secret::new(crypto::random::array()) };
    let ip = "203.0.113.7".parse().unwrap();
    let grant = world.verifier.open_session(&verified, &body, ip, None, random, AT).unwrap();
    let session = pending.accept(grant.body().as_bytes()).unwrap();
    assert_eq!(
        (session.id(), session.expires_at_millis()),
        (grant.id.as_str(), grant.expires_at.as_millis())
    );
    let url = format!("{ORIGIN}/api/v5/account/balance");
    let request = Request::new("GET", &url, b"").unwrap();
    let fields = session.sign(&request, NOW).unwrap();
    let verified = world.send("GET", "/api/v5/account/balance", b"", &fields, Endpoint::READ, AT).unwrap();
    assert_eq!(verified.proof(), Proof::Session);
    let authenticator = Authenticator::new(Arc::clone(&world.registry), ReplayWindow::new(100, 1), [1; 32]);
    assert!(authenticator.admit_once(&verified, true, AT).is_ok());
    assert_eq!(authenticator.admit_once(&verified, true, AT).unwrap_err(), Refusal::Repeated);
    let withdrawal = world.send("GET", "/api/v5/account/balance", b"", &fields, Endpoint::WITHDRAW, AT);
    assert_eq!(withdrawal.unwrap_err(), Refusal::KeySignatureRequired);
    for bad in
        ["", "{}", r#"{"code":"50111","msg":"","data":[]}"#, r#"{"code":"0","data":[{"sessionId":"x"}]}"#]
    {
        let pending = signer.request_session(ORIGIN, NOW).unwrap();
        assert!(matches!(pending.accept(bad.as_bytes()), Err(ClientError::SessionAnswer { .. })), "{bad}");
    }
}

#[test]
fn answers_are_believed_only_as_they_were_signed() {
    let world = world();
    let signer = world.signer(1, SigningKey::generate());
    let url = format!("{ORIGIN}/a");
    let request = Request::new("GET", &url, b"").unwrap();
    let (sent, other) = (signer.sign(&request, NOW).unwrap(), signer.sign(&request, NOW).unwrap());
    let server = AnswerSigner::new(SigningKey::generate(), ApiKeyId::parse("server-1").unwrap());
    let body = br#"{"code":"0"}"#;
    let answer = server.sign(200, &sha256(&[body]), sent.signature().as_bytes(), AT).unwrap();
    let fields = [
        ("Content-Digest", answer.content_digest.as_str()),
        ("Signature-Input", answer.signature_input.as_str()),
        ("Signature", answer.signature.as_str()),
    ];
    let key = server.verifying_key();
    let believe =
        |status, body: &[u8], signature| verify_answer(&key, status, fields, body, signature).is_ok();
    assert!(believe(200, body, sent.signature()));
    assert!(!believe(500, body, sent.signature()));
    assert!(!believe(200, b"{}", sent.signature()));
    assert!(!believe(200, body, other.signature()));
    let stranger = SigningKey::generate().verifying_key();
    assert!(verify_answer(&stranger, 200, fields, body, sent.signature()).is_err());
    for missing in 0..3 {
        let some = fields.iter().enumerate().filter(|(at, _)| *at != missing).map(|(_, field)| *field);
        assert!(verify_answer(&key, 200, some, body, sent.signature()).is_err());
    }
    let twice = fields.into_iter().chain([fields[2]]);
    assert!(verify_answer(&key, 200, twice, body, sent.signature()).is_err());
}

#[test]
fn what_cannot_be_signed_is_refused_by_name() {
    assert!(matches!(Signer::new("a b", SigningKey::generate()), Err(ClientError::KeyIdInvalid)));
    let signer = Signer::new("k", SigningKey::generate()).unwrap();
    let request = Request::new("GET", "https://a/", b"").unwrap().idempotency_key("a\nb");
    assert_eq!(signer.sign(&request, NOW), Err(ClientError::FieldInvalid { field: "Idempotency-Key" }));
    assert!(matches!(signer.lifetime_secs(31), Err(ClientError::LifetimeInvalid { got: 31 })));
}

proptest! {
    /// Any target a URL can have and any body verify.
    #[test]
    fn any_request_verifies(
        path in "/[a-zA-Z0-9/._~%-]{0,40}",
        query in proptest::option::of("[!-\"$-~]{1,40}"),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let world = world();
        let signer = world.signer(1, SigningKey::from_seed([1; 32]));
        let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let url = format!("{ORIGIN}{target}");
        let fields = signer.sign(&Request::new("POST", &url, &body).unwrap(), NOW).unwrap();
        prop_assert!(world.send("POST", &target, &body, &fields, Endpoint::TRADE, AT).is_ok());
    }
}
