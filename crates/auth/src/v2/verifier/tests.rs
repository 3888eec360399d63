use std::cell::Cell;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use crypto::{P256SigningKey, SecretBytes, SigningKey, X25519Key};
use domain::AccountId;

use super::*;
use crate::{
    authenticator::Authenticator,
    ip::IpAllowList,
    key::{ApiKey, Environment, NewApiKey, NewV2Key, Permission, Permissions},
    record::KeyChange,
    replay::ReplayWindow,
    v2::{
        PublicKey,
        fields::content_digest_text,
        generate_key_id,
        session::{SESSION_LIFE, SESSIONS_PER_KEY_MAX, derive_mac_key},
    },
};

const NOW: UnixNanos = UnixNanos::from_secs(1_700_000_000);
const HOST: &str = "api.example.com";
const INSIDE: &str = "203.0.113.7";
const OUTSIDE: &str = "198.51.100.1";

/// What signs in these tests.
#[derive(Debug)]
enum Pen {
    Ed25519(SigningKey),
    P256(P256SigningKey),
    Mac(Secret),
}

type Secret = crypto::Secret<[u8; 32]>;

impl Pen {
    const fn alg(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ed25519",
            Self::P256(_) => "ecdsa-p256-sha256",
            Self::Mac(_) => "hmac-sha256",
        }
    }

    fn sign(&self, base: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(base).to_vec(),
            Self::P256(key) => key.sign(base).to_vec(),
            Self::Mac(key) => hmac_sha256(key.expose(), &[base]).to_vec(),
        }
    }
}

struct World {
    authenticator: Authenticator,
    verifier: SignatureVerifier,
    nonces: Cell<u8>,
}

fn pen(seed: u8) -> Pen {
    Pen::Ed25519(SigningKey::from_seed([seed; 32]))
}

fn id(number: u8, environment: Environment) -> ApiKeyId {
    generate_key_id(environment, [number; 16])
}

fn live(number: u8) -> ApiKeyId {
    id(number, Environment::Live)
}

fn register(
    registry: &Registry,
    id: ApiKeyId,
    public_key: PublicKey,
    permissions: &[Permission],
    ips: &[&str],
) {
    let environment = if id.as_str().contains("_demo_") { Environment::Demo } else { Environment::Live };
    let new = NewV2Key {
        id,
        account: AccountId::parse("alice").unwrap(),
        label: String::new(),
        permissions: Permissions::new(permissions).unwrap(),
        ip_allow: IpAllowList::parse(ips).unwrap(),
        environment,
        public_key,
    };
    let key = ApiKey::register(new, NOW.minus(Duration::from_secs(3_600))).unwrap();
    registry.apply(KeyChange::Created(Box::new(key))).unwrap();
}

fn ed25519(seed: u8) -> PublicKey {
    PublicKey::ed25519(SigningKey::from_seed([seed; 32]).verifying_key().0).unwrap()
}

/// Key 1 may do everything from one address, key 2 may trade from anywhere, key 3 is a demo key; `okx` is of the OKX
/// scheme.
fn world() -> World {
    let registry = Arc::new(Registry::new(100, 1));
    register(&registry, live(1), ed25519(1), &Permission::ALL, &[INSIDE]);
    register(&registry, live(2), ed25519(2), &[Permission::Trade], &[]);
    register(&registry, id(3, Environment::Demo), ed25519(3), &Permission::ALL, &[]);
    let okx = NewApiKey {
        id: ApiKeyId::parse("okx").unwrap(),
        account: AccountId::parse("alice").unwrap(),
        label: String::new(),
        permissions: Permissions::new(&Permission::ALL).unwrap(),
        ip_allow: IpAllowList::default(),
        environment: Environment::Live,
        secret: SecretBytes::new(vec![b'A'; 32]),
    };
    let okx = ApiKey::create(okx, b"Correct-Horse-1", [3; 16], NOW).unwrap();
    registry.apply(KeyChange::Created(Box::new(okx))).unwrap();
    let config = Config { sessions_max: 40, ..Config::new(vec![HOST.into(), "localhost:8080".into()], 5) };
    World {
        verifier: SignatureVerifier::new(Arc::clone(&registry), config).unwrap(),
        authenticator: Authenticator::new(registry, ReplayWindow::new(10_000, 2), [4; 32]),
        nonces: Cell::new(0),
    }
}

/// A signed request as it stands on the wire.
#[derive(Clone)]
struct Wire {
    method: &'static str,
    authority: String,
    target: String,
    body: Vec<u8>,
    fields: Vec<(String, String)>,
    https: bool,
    ip: &'static str,
    endpoint: Endpoint,
    tls_exporter: Option<[u8; 32]>,
    now: UnixNanos,
}

impl Wire {
    fn field(&mut self, name: &str) -> &mut String {
        &mut self.fields.iter_mut().find(|(found, _)| found == name).unwrap().1
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(found, _)| found != name);
        self
    }

    fn edited(mut self, name: &str, from: &str, to: &str) -> Self {
        let field = self.field(name);
        assert!(field.contains(from), "{field}");
        *field = field.replace(from, to);
        self
    }

    fn send(&self, world: &World) -> Result<Verified, Refusal> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let fields = SignedFields::collect(fields).map_err(malformed)?.expect("the request is signed");
        let head = Head {
            method: self.method.as_bytes(),
            authority: self.authority.as_bytes(),
            target: self.target.as_bytes(),
            https: self.https,
            ip: self.ip.parse().unwrap(),
            tls_exporter: self.tls_exporter.as_ref(),
        };
        world.verifier.verify_head(&head, &fields, self.endpoint, self.now)?.with_body(&self.body)
    }

    fn refusal(&self, world: &World) -> Refusal {
        self.send(world).unwrap_err()
    }

    fn fault(&self, world: &World) -> Fault {
        match self.refusal(world) {
            Refusal::SignatureMalformed { fault } => fault,
            other => panic!("{other:?}"),
        }
    }
}

impl World {
    /// Signs a request by the rules as they are written down, sharing no code with the verifier.
    fn sign(
        &self,
        pen: &Pen,
        key_id: &str,
        method: &'static str,
        target: &str,
        body: &[u8],
        extra: &[(&str, &str)],
    ) -> Wire {
        self.nonces.set(self.nonces.get() + 1);
        let nonce = URL_SAFE_NO_PAD.encode([self.nonces.get(); 16]);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (target, "?".to_owned()),
        };
        let mut fields: Vec<(String, String)> = Vec::new();
        if !body.is_empty() {
            fields.push(("content-digest".into(), content_digest_text(&sha256(&[body]))));
        }
        fields.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut base = format!(
            "\"@method\": {method}\n\"@authority\": {HOST}\n\"@path\": {path}\n\"@query\": {query}\n"
        );
        let mut covered = r#""@method" "@authority" "@path" "@query""#.to_owned();
        for (name, value) in &fields {
            base += &format!("\"{name}\": {value}\n");
            covered += &format!(" \"{name}\"");
        }
        let created = NOW.as_secs();
        let params = format!(
            "({covered});created={created};expires={};nonce=\"{nonce}\";keyid=\"{key_id}\";alg=\"{}\";tag=\"caponier-v2\"",
            created + 30,
            pen.alg()
        );
        base += &format!("\"@signature-params\": {params}");
        let signature = STANDARD.encode(pen.sign(base.as_bytes()));
        fields.push(("signature-input".into(), format!("caponier={params}")));
        fields.push(("signature".into(), format!("caponier=:{signature}:")));
        Wire {
            method,
            authority: HOST.into(),
            target: target.into(),
            body: body.into(),
            fields,
            https: true,
            ip: INSIDE,
            endpoint: Endpoint::TRADE,
            tls_exporter: None,
            now: NOW,
        }
    }

    fn order(&self) -> Wire {
        self.sign(&pen(1), live(1).as_str(), "POST", "/api/v5/trade/order", br#"{"sz":"1"}"#, &[])
    }

    fn open_session(
        &self,
        number: u8,
        exporter: Option<[u8; 32]>,
        at: UnixNanos,
    ) -> Result<(String, Pen), Refusal> {
        let client = X25519Key::generate();
        let body = format!("{{\"publicKey\": \"{}\"}}", URL_SAFE_NO_PAD.encode(client.public()));
        let target = "/caponier/v2/session";
        let wire = self.sign(&pen(number), live(number).as_str(), "POST", target, body.as_bytes(), &[]);
        let wire = Wire { endpoint: Endpoint::SESSION, ..wire };
        let verified = wire.send(self)?;
        let random =
            SessionRandom { id: crypto::random::array(), private_key: Secret::new(crypto::random::array()) };
        let ip = wire.ip.parse().unwrap();
        let grant = self.verifier.open_session(&verified, &wire.body, ip, exporter.as_ref(), random, at)?;
        let keys = (client.public(), &grant.server_public_key);
        let mac = derive_mac_key(&client, &grant.server_public_key, keys, live(number).as_str(), &grant.id);
        Ok((grant.id, Pen::Mac(mac.unwrap())))
    }

    fn by_session(&self, (id, pen): &(String, Pen)) -> Wire {
        self.sign(pen, id, "POST", "/api/v5/trade/order", br#"{"sz":"1"}"#, &[])
    }
}

#[test]
fn a_signed_request_is_verified_and_says_whose_it_is() {
    let world = world();
    let verified = world.order().send(&world).unwrap();
    assert_eq!((verified.key_id(), verified.account().as_str()), (&live(1), "alice"));
    assert_eq!((verified.proof(), verified.timestamp()), (Proof::KeySignature, NOW));
    assert!(verified.use_to_record().is_some());
    // Without a body, with a query as it was sent, and with both optional fields.
    for target in ["/api/v5/account/balance", "/api/v5/account/balance?ccy=BTC%2CETH&x=a?b"] {
        let extra = [("exptime", "1700000000500"), ("idempotency-key", "\"8e03978e\"")];
        let get = world.sign(&pen(1), live(1).as_str(), "GET", target, b"", &extra);
        let get = Wire { endpoint: Endpoint::READ, ..get };
        assert!(get.send(&world).is_ok());
        assert_eq!(get.clone().edited("exptime", "500", "501").refusal(&world), Refusal::SignatureInvalid);
    }
}

#[test]
fn a_p256_key_signs_as_well() {
    let world = world();
    let key = P256SigningKey::generate();
    let public = PublicKey::p256(key.verifying_key().as_bytes()).unwrap();
    register(world.authenticator.registry(), live(9), public, &Permission::ALL, &[INSIDE]);
    let order = world.sign(&Pen::P256(key), live(9).as_str(), "POST", "/a", b"{}", &[]);
    assert!(order.send(&world).is_ok());
    assert_eq!(Wire { target: "/b".into(), ..order }.refusal(&world), Refusal::SignatureInvalid);
    let other = world.sign(&pen(1), live(9).as_str(), "POST", "/a", b"{}", &[]);
    assert_eq!(other.fault(&world), Fault::AlgorithmMismatch);
}

/// Whatever is signed cannot be changed.
#[test]
fn every_signed_part_is_bound() {
    let world = world();
    let good = world.order();
    let refused = |wire: Wire| wire.refusal(&world);
    assert_eq!(refused(Wire { method: "PUT", ..good.clone() }), Refusal::SignatureInvalid);
    assert_eq!(
        refused(Wire { target: "/api/v5/trade/orders".into(), ..good.clone() }),
        Refusal::SignatureInvalid
    );
    assert_eq!(
        refused(Wire { target: good.target.clone() + "?a=b", ..good.clone() }),
        Refusal::SignatureInvalid
    );
    assert_eq!(
        refused(Wire { authority: "localhost:8080".into(), ..good.clone() }),
        Refusal::SignatureInvalid
    );
    assert_eq!(
        refused(Wire { body: br#"{"sz":"2"}"#.into(), ..good.clone() }),
        Refusal::ContentDigestMismatch
    );
    assert_eq!(refused(Wire { body: Vec::new(), ..good.clone() }), Refusal::ContentDigestMismatch);
    let other_digest = content_digest_text(&sha256(&[br#"{"sz":"2"}"#]));
    let mut swapped = Wire { body: br#"{"sz":"2"}"#.into(), ..good.clone() };
    *swapped.field("content-digest") = other_digest;
    assert_eq!(refused(swapped), Refusal::SignatureInvalid);
    for (from, to) in [
        ("created=1700000000", "created=1700000001"),
        ("expires=1700000030", "expires=1700000029"),
        ("nonce=\"A", "nonce=\"B"),
    ] {
        assert_eq!(
            refused(good.clone().edited("signature-input", from, to)),
            Refusal::SignatureInvalid,
            "{to}"
        );
    }
    let other_key = good.clone().edited("signature-input", live(1).as_str(), live(2).as_str());
    assert_eq!(refused(other_key), Refusal::SignatureInvalid);
    // The same name in other letters, and with the port of the scheme, is the same authority.
    assert!(Wire { authority: "API.example.com:443".into(), ..good.clone() }.send(&world).is_ok());
    assert!(good.send(&world).is_ok());
}

#[test]
fn each_fault_has_its_request() {
    let world = world();
    let good = || world.order();
    for (wire, fault) in [
        (good().edited("signature-input", "ed25519", "ecdsa-p256-sha256"), Fault::AlgorithmMismatch),
        (Wire { authority: "evil.example".into(), ..good() }, Fault::AuthorityForeign),
        (Wire { authority: "api.example.com:8443".into(), ..good() }, Fault::AuthorityForeign),
        (good().edited("content-digest", "sha-256", "sha-512"), Fault::ContentDigestShape),
        (good().without("content-digest"), Fault::CoveredFieldMissing),
        (good().with("Signature", "caponier=:AA==:"), Fault::FieldRepeated),
        (good().with("Content-Digest", "sha-256=:AA==:"), Fault::FieldRepeated),
        (good().without("signature-input"), Fault::InputMissing),
        (good().edited("signature-input", "\"@path\" ", ""), Fault::InputShape),
        (good().edited("signature-input", ";tag=\"caponier-v2\"", ""), Fault::InputParameters),
        (good().edited("signature-input", "expires=1700000030", "expires=1700000031"), Fault::Lifetime),
        (good().edited("signature-input", "nonce=\"", "nonce=\"A"), Fault::Nonce),
        (good().edited("signature-input", live(1).as_str(), "okx"), Fault::SchemeMismatch),
        (good().without("signature"), Fault::SignatureMissing),
        (good().edited("signature", "caponier=:", "caponier=:AAAA"), Fault::SignatureShape),
        (Wire { target: "/api/v5/trade/order?".into(), ..good() }, Fault::Target),
        (good().with("OK-ACCESS-KEY", "okx"), Fault::TwoSchemes),
        (good().with("expTime", "1"), Fault::Uncovered),
        (good().with("Idempotency-Key", "\"x\""), Fault::Uncovered),
    ] {
        assert_eq!(wire.fault(&world), fault);
    }
    let unsigned_body = world.sign(&pen(1), live(1).as_str(), "POST", "/a", b"", &[]);
    let unsigned_body = Wire { body: b"{}".into(), ..unsigned_body };
    assert_eq!(unsigned_body.fault(&world), Fault::ContentDigestMissing);
    let split = world.sign(&pen(1), live(1).as_str(), "GET", "/a", b"", &[("exptime", "1")]);
    assert_eq!(split.edited("exptime", "1", "1\n\"x\": 2").fault(&world), Fault::ComponentValue);
    // A key of this scheme is no key of the OKX scheme.
    let id = live(1);
    let head = crate::RequestHead {
        method: b"GET",
        target: b"/a",
        api_key: Some(id.as_str().as_bytes()),
        sign: Some(b"x"),
        timestamp: Some(b"2023-11-14T22:13:20.000Z"),
        passphrase: Some(b"x"),
        simulated: None,
    };
    let answer = world.authenticator.verify(&head, b"", INSIDE.parse().unwrap(), Endpoint::READ, NOW);
    assert_eq!(answer.unwrap_err(), Refusal::AuthorizationInvalid);
    let none = [(&b"ok-access-key"[..], &b"x"[..]), (b"expTime", b"1")];
    assert_eq!(SignedFields::collect(none), Ok(None));
}

#[test]
fn the_window_is_exact_and_the_standing_of_the_key_counts() {
    let world = world();
    let at = |millis: i64| Wire {
        now: UnixNanos::from_millis(NOW.as_millis().checked_add_signed(millis).unwrap()),
        ..world.order()
    };
    for (millis, accepted) in [(-5_001, false), (-5_000, true), (0, true), (29_999, true), (30_000, false)] {
        let answer = at(millis).send(&world).map(|_| ());
        assert_eq!(answer, if accepted { Ok(()) } else { Err(Refusal::TimestampExpired) }, "{millis}");
    }
    let refused = |wire: Wire| wire.refusal(&world);
    let ip = OUTSIDE.parse().unwrap();
    assert_eq!(refused(Wire { ip: OUTSIDE, ..world.order() }), Refusal::IpNotBound { ip });
    assert_eq!(refused(world.order().with("x-simulated-trading", "1")), Refusal::EnvironmentMismatch);
    assert!(world.order().with("x-simulated-trading", "0").send(&world).is_ok());
    let demo = id(3, Environment::Demo);
    let demo = world.sign(&pen(3), demo.as_str(), "POST", "/a", b"{}", &[]);
    assert_eq!(refused(demo.clone()), Refusal::EnvironmentMismatch);
    assert!(demo.with("x-simulated-trading", "1").send(&world).is_ok());
    let by = |number: u8| world.sign(&pen(number), live(number).as_str(), "POST", "/a", b"{}", &[]);
    assert!(Wire { endpoint: Endpoint::WITHDRAW, ..by(1) }.send(&world).is_ok());
    assert_eq!(refused(Wire { endpoint: Endpoint::WITHDRAW, ..by(2) }), Refusal::IpBindingRequired);
    assert_eq!(refused(Wire { endpoint: Endpoint::READ, ..by(2) }), Refusal::PermissionMissing);
    assert_eq!(refused(by(8)), Refusal::ApiKeyUnknown);
    let registry = world.authenticator.registry();
    registry.apply(KeyChange::Frozen { id: live(1), at: NOW }).unwrap();
    assert_eq!(refused(by(1)), Refusal::ApiKeyFrozen);
    registry.apply(KeyChange::Revoked { id: live(1), at: NOW }).unwrap();
    assert_eq!(refused(by(1)), Refusal::ApiKeyRevoked);
}

#[test]
fn a_nonce_passes_once_whatever_the_method_says() {
    let world = world();
    let get = world.sign(&pen(1), live(1).as_str(), "GET", "/a", b"", &[]);
    let get = Wire { endpoint: Endpoint::READ, ..get };
    let admit =
        |wire: &Wire| world.authenticator.admit_once(&wire.send(&world).unwrap(), true, wire.now).map(|_| ());
    assert_eq!(admit(&get), Ok(()));
    assert_eq!(admit(&get), Err(Refusal::Repeated));
    let late = Wire { now: NOW.plus(Duration::from_millis(29_999)), ..get.clone() };
    assert_eq!(admit(&late), Err(Refusal::Repeated));
    // Another signature over the same nonce is the same nonce; under another key it is not.
    world.nonces.set(world.nonces.get() - 1);
    assert_eq!(admit(&world.order()), Err(Refusal::Repeated));
    world.nonces.set(world.nonces.get() - 1);
    assert_eq!(admit(&world.sign(&pen(2), live(2).as_str(), "POST", "/a", b"{}", &[])), Ok(()));
}

#[test]
fn failures_of_a_source_are_bounded_and_those_of_others_are_not_counted() {
    let world = world();
    let bad = Wire { target: "/elsewhere".into(), ..world.order() };
    for _ in 0..FAILURES_PER_SECOND {
        assert_eq!(bad.refusal(&world), Refusal::SignatureInvalid);
    }
    assert_eq!(bad.refusal(&world), Refusal::RateLimited);
    assert_eq!(world.order().refusal(&world), Refusal::RateLimited);
    let elsewhere = world.sign(&pen(2), live(2).as_str(), "POST", "/a", b"{}", &[]);
    assert!(Wire { ip: OUTSIDE, ..elsewhere }.send(&world).is_ok());
    let later = NOW.plus(Duration::from_secs(1));
    assert!(Wire { now: later, ..world.order() }.send(&world).is_ok());
}

#[test]
fn a_session_trades_and_does_not_withdraw() {
    let world = world();
    let session = world.open_session(1, None, NOW).unwrap();
    let verified = world.by_session(&session).send(&world).unwrap();
    assert_eq!((verified.proof(), verified.key_id()), (Proof::Session, &live(1)));
    let refused = |wire: Wire| wire.refusal(&world);
    let withdrawal = Wire { endpoint: Endpoint::WITHDRAW, ..world.by_session(&session) };
    assert_eq!(refused(withdrawal), Refusal::KeySignatureRequired);
    let another = Wire { endpoint: Endpoint::SESSION, ..world.by_session(&session) };
    assert_eq!(refused(another), Refusal::KeySignatureRequired);
    let opening = SessionRandom { id: [1; 16], private_key: Secret::new([1; 32]) };
    let body = format!("{{\"publicKey\":\"{}\"}}", URL_SAFE_NO_PAD.encode(X25519Key::generate().public()));
    let by_session =
        world.verifier.open_session(&verified, body.as_bytes(), INSIDE.parse().unwrap(), None, opening, NOW);
    assert_eq!(by_session.unwrap_err(), Refusal::KeySignatureRequired);
    assert_eq!(
        refused(Wire { target: "/x".into(), ..world.by_session(&session) }),
        Refusal::SignatureInvalid
    );
    assert_eq!(refused(Wire { ip: OUTSIDE, ..world.by_session(&session) }), Refusal::SessionUnknown);
    let wrong = (session.0.clone(), Pen::Mac(Secret::new([9; 32])));
    assert_eq!(refused(world.by_session(&wrong)), Refusal::SignatureInvalid);
    let by_key = world.sign(&pen(1), &session.0, "POST", "/a", b"{}", &[]);
    assert_eq!(by_key.fault(&world), Fault::AlgorithmMismatch);
    let strange = world.sign(&session.1, "caponier_session_nobody", "POST", "/a", b"{}", &[]);
    assert_eq!(refused(strange), Refusal::SessionUnknown);
    let mac_by_key = world.sign(&session.1, live(1).as_str(), "POST", "/a", b"{}", &[]);
    assert_eq!(mac_by_key.fault(&world), Fault::AlgorithmMismatch);
}

#[test]
fn a_session_ends_in_time_and_with_its_key() {
    let world = world();
    let registry = Arc::clone(world.authenticator.registry());
    let refused = |wire: Wire| wire.refusal(&world);
    let session = world.open_session(1, None, NOW.minus(SESSION_LIFE).plus(Duration::from_secs(10)));
    let session = session.unwrap();
    let at = |secs: u64| Wire { now: NOW.plus(Duration::from_secs(secs)), ..world.by_session(&session) };
    assert!(at(9).send(&world).is_ok());
    assert_eq!(refused(at(10)), Refusal::SessionUnknown);
    assert_eq!(
        (world.verifier.sessions_len(), world.verifier.sweep(NOW.plus(Duration::from_secs(10)))),
        (1, 1)
    );
    assert_eq!(world.verifier.sessions_len(), 0);

    let session = world.open_session(1, None, NOW).unwrap();
    registry.apply(KeyChange::Frozen { id: live(1), at: NOW }).unwrap();
    assert_eq!(refused(world.by_session(&session)), Refusal::ApiKeyFrozen);
    registry.apply(KeyChange::Unfrozen { id: live(1), at: NOW }).unwrap();
    assert_eq!(refused(world.by_session(&session)), Refusal::SessionUnknown);
    assert!(world.order().send(&world).is_ok());
    let session = world.open_session(1, None, NOW).unwrap();
    registry.apply(KeyChange::Revoked { id: live(1), at: NOW }).unwrap();
    assert_eq!(refused(world.by_session(&session)), Refusal::ApiKeyRevoked);
}

#[test]
fn a_session_can_be_bound_to_one_connection() {
    let world = world();
    let session = world.open_session(1, Some([7; 32]), NOW).unwrap();
    let over =
        |exporter| Wire { tls_exporter: exporter, ..world.by_session(&session) }.send(&world).map(|_| ());
    assert_eq!(over(Some([7; 32])), Ok(()));
    assert_eq!(over(Some([8; 32])), Err(Refusal::SessionUnknown));
    assert_eq!(over(None), Err(Refusal::SessionUnknown));
}

#[test]
fn sessions_are_bounded_per_key_and_in_all() {
    let world = world();
    let first = world.open_session(1, None, NOW).unwrap();
    let others: Vec<_> =
        (1..SESSIONS_PER_KEY_MAX).map(|_| world.open_session(1, None, NOW).unwrap()).collect();
    assert!(world.by_session(&first).send(&world).is_ok());
    world.open_session(1, None, NOW).unwrap();
    assert_eq!(world.by_session(&first).refusal(&world), Refusal::SessionUnknown);
    assert!(world.by_session(&others[0]).send(&world).is_ok());
    assert_eq!(world.verifier.sessions_len(), SESSIONS_PER_KEY_MAX);
    for number in 10..13 {
        register(world.authenticator.registry(), live(number), ed25519(number), &Permission::ALL, &[]);
        for _ in 0..8 {
            let full = world.verifier.sessions_len() == 40;
            assert_eq!(world.open_session(number, None, NOW).err(), full.then_some(Refusal::SystemBusy));
        }
    }
    // Whoever has his share is still served: his oldest gives way.
    assert!(world.open_session(1, None, NOW).is_ok());
    assert_eq!(world.verifier.sweep(NOW.plus(SESSION_LIFE)), 40);
}

#[test]
fn bodies_of_session_requests_are_read_strictly() {
    use crate::v2::session::parse_session_body;
    let key = URL_SAFE_NO_PAD.encode([5; 32]);
    for good in [format!("{{\"publicKey\":\"{key}\"}}"), format!(" {{ \"publicKey\" :\n\"{key}\"\t}} ")] {
        assert_eq!(parse_session_body(good.as_bytes()), Ok([5; 32]));
    }
    for bad in [
        String::new(),
        "{}".into(),
        format!("{{\"publicKey\":\"{key}\"}}x"),
        format!("{{\"publicKey\":\"{key}\",\"x\":1}}"),
        format!("{{\"PublicKey\":\"{key}\"}}"),
        format!("{{\"publicKey\":\"{key}\"}}{}", " ".repeat(256)),
        format!("{{\"publicKey\":\"{key}"),
    ] {
        assert_eq!(parse_session_body(bad.as_bytes()), Err(Refusal::JsonInvalid), "{bad}");
    }
    for bad in
        [String::new(), key[1..].into(), format!("{key}="), key.replace('U', "+"), key.replace("QU", "Q\\u")]
    {
        let body = format!("{{\"publicKey\":\"{bad}\"}}");
        let parameter = || Refusal::ParameterInvalid { parameter: "publicKey".into() };
        assert_eq!(parse_session_body(body.as_bytes()), Err(parameter()), "{bad}");
    }
    let world = world();
    let wire = world.sign(&pen(1), live(1).as_str(), "POST", "/caponier/v2/session", b"{}", &[]);
    let verified = Wire { endpoint: Endpoint::SESSION, ..wire }.send(&world).unwrap();
    let weak = format!("{{\"publicKey\":\"{}\"}}", URL_SAFE_NO_PAD.encode([0; 32]));
    let random = SessionRandom { id: [1; 16], private_key: Secret::new([1; 32]) };
    let answer =
        world.verifier.open_session(&verified, weak.as_bytes(), INSIDE.parse().unwrap(), None, random, NOW);
    assert_eq!(answer.unwrap_err(), Refusal::ParameterInvalid { parameter: "publicKey".into() });
}

#[test]
fn a_grant_is_json_and_holds_no_secret() {
    let grant = SessionGrant {
        id: "caponier_session_x".into(),
        server_public_key: [5; 32],
        expires_at: UnixNanos::from_millis(1_700_000_000_123),
    };
    let value: serde_json::Value = serde_json::from_str(&grant.body()).unwrap();
    let expected = serde_json::json!({"code": "0", "msg": "", "data": [{
        "sessionId": "caponier_session_x",
        "serverPublicKey": URL_SAFE_NO_PAD.encode([5; 32]),
        "expiresAt": "1700000000123",
    }]});
    assert_eq!(value, expected);
}

#[test]
fn a_gateway_without_a_name_of_its_own_is_refused() {
    let build = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        SignatureVerifier::new(Arc::new(Registry::new(1, 1)), Config::new(names, 1)).map(|_| ())
    };
    assert_eq!(build(&["api.example.com", "127.0.0.1:8443"]), Ok(()));
    for bad in [&[][..], &["API.example.com"], &["api.example.com:443"], &["a b"], &["a"; 17]] {
        assert_eq!(build(bad), Err(ConfigError::Authorities), "{bad:?}");
    }
}
