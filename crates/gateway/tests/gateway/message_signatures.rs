//! HTTP message signatures: requests of v2 keys, their sessions, signed answers.

use std::{sync::Arc, time::Duration};

use auth::{KeyChange, Permission, authority::Restrictions, v2::AnswerSigner};
use caponier_client::{Fields, Request, Session, Signer, verify_answer};
use crypto::SigningKey;
use domain::{ApiKeyId, Clock as _};
use serde_json::json;

use crate::world::{HOST, KeySpec, NOW, Reply, TRADER, WITHDRAWER, World, code};

const ORDER: &str = "/api/v5/trade/order";
const BODY: &str = r#"{"instId":"BTC-USDT","side":"buy","ordType":"limit","sz":"1","px":"2"}"#;
const WITHDRAWAL: &str =
    r#"{"ccy":"USDT","amt":"10","dest":"4","toAddr":"TXabc","chain":"USDT-TRC20","fee":"1"}"#;

pub(crate) fn free() -> Restrictions {
    Restrictions::default()
}

pub(crate) fn url(target: &str) -> String {
    format!("http://{HOST}{target}")
}

pub(crate) fn now(world: &World) -> u64 {
    world.clock.now().as_secs()
}

/// The header fields of a request.
pub(crate) fn fields(signed: &Fields) -> Vec<(String, String)> {
    let mut fields: Vec<_> = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    fields.push(("Content-Type".to_owned(), "application/json".to_owned()));
    fields
}

pub(crate) async fn send(world: &World, signer: &Signer, method: &str, target: &str, body: &str) -> Reply {
    let url = url(target);
    let signed = signer.sign(&Request::new(method, &url, body.as_bytes()).unwrap(), now(world)).unwrap();
    world.send(method, target, &fields(&signed), body).await
}

pub(crate) async fn send_in(
    world: &World,
    session: &Session,
    method: &str,
    target: &str,
    body: &str,
) -> Reply {
    let url = url(target);
    let signed = session.sign(&Request::new(method, &url, body.as_bytes()).unwrap(), now(world)).unwrap();
    world.send(method, target, &fields(&signed), body).await
}

pub(crate) async fn open(world: &World, signer: &Signer) -> Session {
    let pending = signer.request_session(&format!("http://{HOST}"), now(world)).unwrap();
    let reply = world.send("POST", "/caponier/v2/session", &fields(pending.fields()), pending.body()).await;
    assert_eq!(reply.code(), code("0", 200));
    pending.accept(&reply.body).unwrap()
}

fn id_of(world: &World) -> ApiKeyId {
    world.registry.summaries().pop().unwrap().id
}

#[tokio::test]
async fn signed_requests_reach_the_exchange_once() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free());
    assert_eq!(
        send(&world, &signer, "GET", "/api/v5/account/balance?ccy=BTC%2CETH", "").await.code(),
        code("0", 200)
    );
    let got = world.exchange.last();
    assert_eq!(got.line, "GET /api/v5/account/balance?ccy=BTC%2CETH HTTP/1.1");
    assert_eq!(got.header("x-caponier-account"), Some("alice"));
    assert!(got.header("signature").is_some() && got.header("signature-input").is_some());
    assert_eq!(world.watcher.used.lock().len(), 1);

    let url = url(ORDER);
    let request = Request::new("POST", &url, BODY.as_bytes()).unwrap().idempotency_key("a-1");
    let signed = signer.sign(&request, now(&world)).unwrap();
    assert_eq!(world.send("POST", ORDER, &fields(&signed), BODY).await.code(), code("0", 200));
    let got = world.exchange.last();
    assert_eq!((got.body.as_slice(), got.header("idempotency-key")), (BODY.as_bytes(), Some("a-1")));
    // A nonce passes once, whatever the method.
    assert_eq!(world.send("POST", ORDER, &fields(&signed), BODY).await.code(), code("50042", 200));
    let read =
        signer.sign(&Request::new("GET", &self::url("/api/v5/account/balance"), b"").unwrap(), now(&world));
    let read = fields(&read.unwrap());
    assert_eq!(world.send("GET", "/api/v5/account/balance", &read, "").await.code(), code("0", 200));
    assert_eq!(world.send("GET", "/api/v5/account/balance", &read, "").await.code(), code("50042", 200));
}

#[tokio::test]
async fn whatever_is_changed_is_noticed() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free());
    let sign = |target: &str, body: &str| {
        let url = url(target);
        let request = Request::new("POST", &url, body.as_bytes()).unwrap().exp_time("1895341600000");
        fields(&signer.sign(&request.idempotency_key("k"), now(&world)).unwrap())
    };
    let count = world.exchange.count();
    let other_body = BODY.replace("\"1\"", "\"9\"");
    let reply = world.send("POST", ORDER, &sign(ORDER, BODY), &other_body).await;
    assert_eq!((reply.code(), world.refusals("content_digest_mismatch")), (code("50113", 401), 1));
    let reply = world.send("POST", "/api/v5/trade/amend-order", &sign(ORDER, BODY), BODY).await;
    assert_eq!(reply.code(), code("50113", 401));
    let with = |name: &str, value: &str| {
        let mut fields = sign(ORDER, BODY);
        let field = fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap();
        field.1 = value.to_owned();
        fields
    };
    for (name, value) in [("exptime", "1895341600001"), ("idempotency-key", "l")] {
        let reply = world.send("POST", ORDER, &with(name, value), BODY).await;
        assert_eq!(reply.code(), code("50113", 401), "{name}");
    }
    // The method, the query, the host.
    let get = |target: &str| {
        fields(&signer.sign(&Request::new("GET", &url(target), b"").unwrap(), now(&world)).unwrap())
    };
    let reply = world
        .send("GET", "/api/v5/account/balance?ccy=ETH", &get("/api/v5/account/balance?ccy=BTC"), "")
        .await;
    assert_eq!(reply.code(), code("50113", 401));
    let elsewhere = format!("http://other.example{ORDER}");
    let signed =
        signer.sign(&Request::new("POST", &elsewhere, BODY.as_bytes()).unwrap(), now(&world)).unwrap();
    assert_eq!(world.send("POST", ORDER, &fields(&signed), BODY).await.code(), code("50113", 401));
    let foreign = crate::world::request("POST", ORDER, &fields(&signed), BODY).replace(HOST, "other.example");
    assert_eq!(world.raw(foreign.as_bytes()).await.unwrap().code(), code("50114", 401));
    assert_eq!(world.exchange.count(), count);
}

#[tokio::test]
async fn one_scheme_at_a_time() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free());
    let key = world.key(&TRADER);
    let target = "/api/v5/account/balance";
    let signed = signer.sign(&Request::new("GET", &url(target), b"").unwrap(), now(&world)).unwrap();
    let mut both = fields(&signed);
    both.extend(
        world.signed(&key, "GET", target, "").into_iter().filter(|(name, _)| name.starts_with("OK-")),
    );
    assert_eq!(world.send("GET", target, &both, "").await.code(), code("50114", 401));
    let mut half = world.signed(&key, "GET", target, "");
    half.push(("Signature".to_owned(), "caponier=:AAAA:".to_owned()));
    assert_eq!(world.send("GET", target, &half, "").await.code(), code("50114", 401));
    assert_eq!(world.refusals("signature_malformed"), 2);
    // On a public route nobody has checked it, so it goes no further.
    let public = "/api/v5/public/time";
    let signed = signer.sign(&Request::new("GET", &url(public), b"").unwrap(), now(&world)).unwrap();
    assert_eq!(world.send("GET", public, &fields(&signed), "").await.code(), code("0", 200));
    assert_eq!(world.exchange.last().header("signature"), None);
    assert_eq!(world.exchange.last().header("signature-input"), None);
}

#[tokio::test]
async fn deadlines_are_obeyed() {
    let world = World::configured(|config| config.timeouts.decision = Duration::from_secs(60)).await;
    let signer = world.signer(&TRADER, free());
    let url = url(ORDER);
    let send = async |exp_time: &str| {
        let request = Request::new("POST", &url, BODY.as_bytes()).unwrap().exp_time(exp_time);
        let signed = signer.sign(&request, now(&world)).unwrap();
        world.send("POST", ORDER, &fields(&signed), BODY).await.code()
    };
    let at = NOW.as_millis();
    assert_eq!(send(&(at + 1).to_string()).await, code("0", 200));
    assert_eq!(send(&at.to_string()).await, code("50036", 200));
    assert_eq!(send("soon").await, code("51000", 400));
}

#[tokio::test]
async fn sessions_trade_and_never_withdraw() {
    let world = World::start().await;
    let signer = world.signer(&WITHDRAWER, free());
    let session = open(&world, &signer).await;
    assert_eq!(world.exchange.count(), 0);
    assert_eq!(send_in(&world, &session, "POST", ORDER, BODY).await.code(), code("0", 200));
    assert_eq!(send_in(&world, &session, "GET", "/api/v5/account/balance", "").await.code(), code("0", 200));
    for target in ["/api/v5/asset/withdrawal", "/api/v5/asset/cancel-withdrawal"] {
        let reply = send_in(&world, &session, "POST", target, WITHDRAWAL).await;
        assert_eq!(reply.code(), code("50114", 401), "{target}");
    }
    assert_eq!(world.refusals("key_signature_required"), 2);
    let reply = send(&world, &signer, "POST", "/api/v5/asset/withdrawal", WITHDRAWAL).await;
    assert_eq!(reply.code(), code("0", 200));

    // A freeze ends it for good.
    let (id, at) = (id_of(&world), world.clock.now());
    world.change(KeyChange::Frozen { id: id.clone(), at });
    assert_eq!(send_in(&world, &session, "POST", ORDER, BODY).await.code(), code("50100", 400));
    world.change(KeyChange::Unfrozen { id, at });
    assert_eq!(send_in(&world, &session, "POST", ORDER, BODY).await.code(), code("50111", 401));
    // And time ends it.
    let session = open(&world, &signer).await;
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(send_in(&world, &session, "POST", ORDER, BODY).await.code(), code("50111", 401));
    // Nobody opens one with a secret, or with a session.
    let session = open(&world, &signer).await;
    let body = r#"{"publicKey":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let reply = send_in(&world, &session, "POST", "/caponier/v2/session", body).await;
    assert_eq!(reply.code(), code("50114", 401));
    let key = world.key(&TRADER);
    assert_eq!(world.post(&key, "/caponier/v2/session", body).await.code(), code("50114", 401));
}

#[tokio::test]
async fn failed_signatures_have_a_budget() {
    let world = World::start().await;
    let signer = world.signer(&TRADER, free());
    let mut codes = Vec::new();
    for _ in 0..25 {
        let signed =
            signer.sign(&Request::new("GET", &url("/api/v5/account/balance"), b"").unwrap(), now(&world));
        let reply = world.send("GET", "/api/v5/account/config", &fields(&signed.unwrap()), "").await;
        codes.push(reply.code().0);
    }
    assert_eq!(codes.iter().filter(|code| *code == "50113").count(), 20);
    assert_eq!(codes.iter().filter(|code| *code == "50011").count(), 5);
}

#[tokio::test]
async fn answers_are_signed_for_those_who_ask() {
    let signer = Arc::new(AnswerSigner::by_thumbprint(SigningKey::from_seed([5; 32])));
    let own = Arc::clone(&signer);
    let world = World::configured(|config| config.answer_signer = Some(own)).await;
    let key = world.signer(&KeySpec { permissions: &[Permission::Read], ..TRADER }, free());
    let keys = world.send("GET", "/caponier/v2/keys", &[], "").await;
    assert_eq!(keys.json()["keys"][0]["crv"], json!("Ed25519"));
    let ask = async |target: &str, method: &str, body: &str, asks: bool| {
        let signed =
            key.sign(&Request::new(method, &url(target), body.as_bytes()).unwrap(), now(&world)).unwrap();
        let mut fields = fields(&signed);
        if asks {
            let wanted = r#"caponier=("@status" "content-digest" "signature";req);tag="caponier-v2-answer""#;
            fields.push(("Accept-Signature".to_owned(), wanted.to_owned()));
        }
        let reply = world.send(method, target, &fields, body).await;
        let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let verified =
            verify_answer(&signer.verifying_key(), reply.status, headers, &reply.body, signed.signature());
        (reply, verified.is_ok())
    };
    for target in ["/api/v5/account/balance", "/api/v5/test/chunked"] {
        let (reply, is_signed) = ask(target, "GET", "", true).await;
        assert!(is_signed, "{target}: {reply:?}");
        assert_eq!(reply.json()["code"], "0");
    }
    assert_eq!(world.exchange.last().header("accept-signature"), None);
    assert!(!ask("/api/v5/account/balance", "GET", "", false).await.1);
    // Too long to be held: passed on as it comes.
    let (reply, is_signed) = ask("/api/v5/test/large", "GET", "", true).await;
    assert_eq!((reply.body.len(), is_signed), (4 << 20, false));
    // A refusal of a proven sender; one of a stranger is not.
    let (reply, is_signed) = ask("/api/v5/test/silent", "GET", "", true).await;
    assert_eq!((reply.code(), is_signed), (code("50004", 400), true));
    let (reply, is_signed) = ask(ORDER, "POST", BODY, true).await;
    assert_eq!((reply.code(), is_signed), (code("50120", 200), false));
    let session = key.request_session(&format!("http://{HOST}"), now(&world)).unwrap();
    let (reply, is_signed) = ask("/caponier/v2/session", "POST", session.body(), true).await;
    assert_eq!((reply.code(), is_signed), (code("0", 200), true));
}
