//! The Python client, a general Python library for RFC 9421, this library and the gateway's verifier agree.
//!
//! Needs the Python environment of the tests (`cargo xtask setup`); skips, and says so, without it.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};

use auth::{
    ApiKey, Endpoint, Environment, IpAllowList, KeyChange, NewV2Key, Permission, Permissions, Proof, Refusal,
    Registry, Verified,
    v2::{
        AnswerSigner, Config, Head, PublicKey, SessionRandom, SignatureVerifier, SignedFields,
        generate_key_id,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use caponier_client::{
    KeyPair, Request, Signer, SigningKey, ed25519_from_pem, p256_from_pem, public_key_pem,
};
use crypto::{Secret, sha256};
use domain::{AccountId, ApiKeyId, UnixNanos};
use serde_json::{Value, json};

const ORIGIN: &str = "https://api.example.com";

/// Method, target, body, further fields.
type Sample = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const REQUESTS: [Sample; 4] = [
    ("GET", "/api/v5/account/balance", "", &[]),
    ("GET", "/api/v5/account/balance?ccy=BTC%2CETH&x=a+b", "", &[("expTime", "1700000000500")]),
    ("POST", "/api/v5/trade/order", r#"{"instId":"BTC-USDT","sz":"1"}"#, &[]),
    (
        "POST",
        "/api/v5/asset/withdrawal",
        r#"{"ccy":"BTC","note":"ü"}"#,
        &[("expTime", "1700000000500"), ("Idempotency-Key", "\"8e03978e\"")],
    ),
];

/// A running driver.
struct Python {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// Nothing where the Python environment of the tests is not there.
    #[allow(clippy::disallowed_methods, reason = "the environment is how the task runner names its tools")]
    fn start() -> Option<Self> {
        let named = std::env::var("CAPONIER_TEST_PYTHON").map(PathBuf::from).ok();
        // Tests lie in target/PROFILE/deps, the tools in target/test-tools.
        let tests = std::env::current_exe().unwrap();
        let python =
            named.unwrap_or_else(|| tests.ancestors().nth(3).unwrap().join("test-tools/venv/bin/python"));
        let needed = "import cryptography, http_message_signatures, httpx, requests";
        let found = Command::new(&python).args(["-c", needed]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            eprintln!(
                "skipped: no Python with the test clients at {}; run cargo xtask setup",
                python.display()
            );
            return None;
        }
        let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver.py");
        let mut process = Command::new(python)
            .arg("-B")
            .arg(driver)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Some(Self { process, input, output: BufReader::new(output) })
    }

    /// One order, one answer.
    fn ask(&mut self, order: &Value) -> Value {
        writeln!(self.input, "{order}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the driver failed on {order}"))
    }

    fn finish(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

struct World {
    registry: Arc<Registry>,
    verifier: SignatureVerifier,
}

impl World {
    fn new() -> Self {
        let registry = Arc::new(Registry::new(10, 1));
        let config = Config::new(vec!["api.example.com".into()], 2);
        Self { verifier: SignatureVerifier::new(Arc::clone(&registry), config).unwrap(), registry }
    }

    fn register(&self, number: u8, public_pem: &str) -> ApiKeyId {
        let id = generate_key_id(Environment::Live, [number; 16]);
        let new = NewV2Key {
            id: id.clone(),
            account: AccountId::parse("alice").unwrap(),
            label: String::new(),
            permissions: Permissions::new(&Permission::ALL).unwrap(),
            ip_allow: IpAllowList::parse(&["203.0.113.7"]).unwrap(),
            environment: Environment::Live,
            public_key: PublicKey::from_pem(public_pem).unwrap(),
        };
        let key = ApiKey::register(new, UnixNanos(1)).unwrap();
        self.registry.apply(KeyChange::Created(Box::new(key))).unwrap();
        id
    }

    fn send(
        &self,
        (method, target, body): (&str, &str, &str),
        fields: &Value,
        endpoint: Endpoint,
        now: UnixNanos,
    ) -> Result<Verified, Refusal> {
        let fields = fields.as_object().unwrap().iter();
        let fields = fields.map(|(name, value)| (name.as_bytes(), value.as_str().unwrap().as_bytes()));
        let signed = SignedFields::collect(fields).unwrap().unwrap();
        let head = Head {
            method: method.as_bytes(),
            authority: b"api.example.com",
            target: target.as_bytes(),
            https: true,
            ip: "203.0.113.7".parse().unwrap(),
            tls_exporter: None,
        };
        self.verifier.verify_head(&head, &signed, endpoint, now)?.with_body(body.as_bytes())
    }
}

fn seconds(answer: &Value) -> UnixNanos {
    UnixNanos::from_secs(answer["now"].as_u64().unwrap())
}

#[test]
fn what_python_signs_verifies() {
    let Some(mut python) = Python::start() else { return };
    let world = World::new();
    for (number, alg) in [(1, "ed25519"), (2, "ecdsa-p256-sha256")] {
        let made = python.ask(&json!({"do": "key", "alg": alg}));
        let id = world.register(number, made["public"].as_str().unwrap());
        for by in ["client", "general", "httpx", "requests"] {
            for (method, target, body, extra) in REQUESTS {
                let extra: Value =
                    extra.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                let order = json!({"do": "sign", "by": by, "alg": alg, "key_id": id.as_str(), "method": method,
                    "url": format!("{ORIGIN}{target}"), "body": body, "extra": extra});
                let answer = python.ask(&order);
                let verified = world.send(
                    (method, target, body),
                    &answer["fields"],
                    Endpoint::WITHDRAW,
                    seconds(&answer),
                );
                assert_eq!(
                    verified.map(|verified| verified.proof()),
                    Ok(Proof::KeySignature),
                    "{order} {answer}"
                );
                if body.is_empty() && extra.as_object().is_some_and(serde_json::Map::is_empty) {
                    // Once for each signer: failures are bounded per second.
                    let other = ("GET", "/other", body);
                    let other = world
                        .send(other, &answer["fields"], Endpoint::WITHDRAW, seconds(&answer))
                        .unwrap_err();
                    assert_eq!(other, Refusal::SignatureInvalid);
                }
            }
        }
    }
    python.finish();
}

#[test]
fn python_opens_a_session_and_uses_it() {
    let Some(mut python) = Python::start() else { return };
    let world = World::new();
    let made = python.ask(&json!({"do": "key", "alg": "ed25519"}));
    let id = world.register(1, made["public"].as_str().unwrap());
    let order = json!({"do": "session_request", "alg": "ed25519", "key_id": id.as_str(), "origin": ORIGIN});
    let asked = python.ask(&order);
    let (body, now) = (asked["body"].as_str().unwrap(), seconds(&made));
    let request = ("POST", "/caponier/v2/session", body);
    let verified = world.send(request, &asked["fields"], Endpoint::SESSION, now).unwrap();
    let random =
        SessionRandom { id: crypto::random::array(), private_key: Secret::new(crypto::random::array()) };
    let ip = "203.0.113.7".parse().unwrap();
    let grant = world.verifier.open_session(&verified, body.as_bytes(), ip, None, random, now).unwrap();
    let opened = python.ask(&json!({"do": "session_accept", "answer": grant.body()}));
    assert_eq!(opened["key_id"], grant.id);
    assert_eq!(opened["expires_at_millis"], grant.expires_at.as_millis());
    for (method, target, body, _) in REQUESTS {
        let order = json!({"do": "sign", "by": "client", "alg": "hmac-sha256", "key_id": grant.id, "method": method,
            "url": format!("{ORIGIN}{target}"), "body": body, "extra": {}});
        let answer = python.ask(&order);
        let verified =
            world.send((method, target, body), &answer["fields"], Endpoint::TRADE, seconds(&answer)).unwrap();
        assert_eq!((verified.proof(), verified.key_id()), (Proof::Session, &id));
    }
    python.finish();
}

#[test]
fn what_rust_signs_a_general_library_verifies() {
    let Some(mut python) = Python::start() else { return };
    for alg in ["ed25519", "ecdsa-p256-sha256"] {
        let made = python.ask(&json!({"do": "key", "alg": alg}));
        let pem = made["private"].as_str().unwrap();
        let public = match alg {
            "ed25519" => public_key_pem(&ed25519_from_pem(pem).unwrap()),
            _ => public_key_pem(&p256_from_pem(pem).unwrap()),
        };
        assert_eq!(public, made["public"]);
        let signer = match alg {
            "ed25519" => signer(ed25519_from_pem(pem).unwrap()),
            _ => signer(p256_from_pem(pem).unwrap()),
        };
        for (method, target, body, extra) in REQUESTS {
            let url = format!("{ORIGIN}{target}");
            let mut request = Request::new(method, &url, body.as_bytes()).unwrap();
            for (name, value) in extra {
                request = match *name {
                    "expTime" => request.exp_time(value),
                    _ => request.idempotency_key(value),
                };
            }
            let fields = signer.sign(&request, made["now"].as_u64().unwrap()).unwrap();
            let fields: Value = fields.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
            let order = json!({"do": "verify", "alg": alg, "key_id": "caponier_live_x", "public": public,
                "method": method, "url": url, "body": body, "fields": fields});
            let components = python.ask(&order)["components"].as_array().map_or(0, Vec::len);
            let expected = 4 + usize::from(!body.is_empty()) + extra.len();
            assert!(components >= expected, "{components} of {expected} in {order}");
        }
    }
    python.finish();
}

#[test]
fn both_python_readers_believe_a_signed_answer() {
    let Some(mut python) = Python::start() else { return };
    let now = seconds(&python.ask(&json!({"do": "key", "alg": "ed25519"})));
    let url = format!("{ORIGIN}/a");
    let request = Request::new("GET", &url, b"").unwrap();
    let sent = signer(SigningKey::generate()).sign(&request, now.as_secs()).unwrap();
    let server = AnswerSigner::new(SigningKey::generate(), ApiKeyId::parse("server-1").unwrap());
    let body = r#"{"code":"0"}"#;
    let answer = server.sign(200, &sha256(&[body.as_bytes()]), sent.signature().as_bytes(), now).unwrap();
    let order = json!({"do": "verify_answer", "status": 200, "url": url, "body": body, "key_id": "server-1",
        "server_key": STANDARD.encode(server.verifying_key().0),
        "request_fields": {"Signature": sent.signature()},
        "fields": {"Content-Digest": answer.content_digest, "Signature-Input": answer.signature_input,
            "Signature": answer.signature}});
    assert_eq!(python.ask(&order)["ok"], true);
    python.finish();
}

fn signer(key: impl KeyPair + 'static) -> Signer {
    Signer::new("caponier_live_x", key).unwrap()
}
