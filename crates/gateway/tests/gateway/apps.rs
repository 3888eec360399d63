//! Third-party apps: the endpoints of the authorization server, and requests with an access token.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use auth::{
    Environment, IpAllowList, ReplayWindow,
    authority::Restrictions,
    oauth::{App, AppChange, Consent, Ledger, OauthConfig, OauthServer, parse_scope},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{Secret, SigningKey, sha256};
use domain::{AccountId, Clock as _};
use gateway::{AppChanges, Apps, BoxFuture, NotRecorded};
use serde_json::{Value, json};

use crate::world::{NOW, OK, Reply, TRADER, World, code};

const ISSUER: &str = "https://api.example.com";
const REDIRECT: &str = "https://app.example/cb";
const BALANCE: &str = "/api/v5/account/balance";
const ORDER: &str = "/api/v5/trade/order";
const VERIFIER: &str = "a-verifier-of-forty-three-characters-at-least";

/// What apps change, in force at once.
#[derive(Debug)]
struct Records {
    ledger: Arc<Ledger>,
    fails: AtomicBool,
}

impl AppChanges for Records {
    fn record(&self, change: AppChange) -> BoxFuture<'_, Result<(), NotRecorded>> {
        let result = if self.fails.load(Ordering::Relaxed) {
            Err(NotRecorded { reason: "the disk is full".to_owned() })
        } else {
            self.ledger.apply(change).map_err(|error| NotRecorded { reason: error.to_string() })
        };
        Box::pin(std::future::ready(result))
    }
}

/// A gateway that serves one app, and the app.
struct Stage {
    world: World,
    server: Arc<OauthServer>,
    records: Arc<Records>,
    made: AtomicU64,
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Stage {
    async fn start() -> Self {
        let ledger = Arc::new(Ledger::new(100));
        let scopes = parse_scope("read trade").unwrap();
        let app = App::new("app-1", "Bot", &[REDIRECT], scopes, NOW).unwrap();
        ledger.apply(AppChange::Registered(Arc::new(app))).unwrap();
        let config = OauthConfig::new(ISSUER, "https://www.example.com/consent").unwrap();
        let server = Arc::new(OauthServer::new(
            config,
            Arc::clone(&ledger),
            &Secret::new([7; 32]),
            ReplayWindow::new(1_000, 7),
        ));
        let records = Arc::new(Records { ledger, fails: AtomicBool::new(false) });
        let apps = Apps { server: Arc::clone(&server), changes: Arc::clone(&records) as _ };
        let world = World::configured(|config| config.apps = Some(apps)).await;
        Self { world, server, records, made: AtomicU64::new(0) }
    }

    fn proof(&self, method: &str, path: &str, token: Option<&str>) -> String {
        let key = SigningKey::from_seed([9; 32]);
        let x = base64url(&key.verifying_key().0);
        let header =
            format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
        let (jti, iat) = (self.made.fetch_add(1, Ordering::Relaxed), self.world.clock.now().as_secs());
        let mut claims = format!(r#"{{"jti":"{jti}","htm":"{method}","htu":"{ISSUER}{path}","iat":{iat}"#);
        if let Some(token) = token {
            write!(claims, r#","ath":"{}""#, base64url(&sha256(&[token.as_bytes()]))).unwrap();
        }
        claims.push('}');
        let input = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        format!("{input}.{}", base64url(&key.sign(input.as_bytes())))
    }

    fn authorize_target() -> String {
        let challenge = base64url(&sha256(&[VERIFIER.as_bytes()]));
        format!(
            "/oauth2/authorize?response_type=code&client_id=app-1&redirect_uri=https%3A%2F%2Fapp.example%2Fcb\
             &scope=read+trade&state=s1&code_challenge={challenge}&code_challenge_method=S256"
        )
    }

    /// A code for alice, by way of the consent page.
    async fn code(&self) -> String {
        let sent = self.world.send("GET", &Self::authorize_target(), &[], "").await;
        assert_eq!((sent.status, &*sent.headers["cache-control"]), (302, "no-store"));
        let handle =
            sent.headers["location"].strip_prefix("https://www.example.com/consent?request=").unwrap();
        let consent = Consent {
            account: AccountId::parse("alice").unwrap(),
            scopes: parse_scope("read trade").unwrap(),
            restrictions: Restrictions::default(),
            ip_allow: IpAllowList::default(),
            environment: Environment::Live,
            life: Duration::from_secs(86_400),
        };
        let number = u8::try_from(self.made.fetch_add(1, Ordering::Relaxed)).unwrap();
        let to = self.server.approve(handle, consent, ([number; 32], [number; 16]), NOW).unwrap();
        let (_, rest) = to.split_once("code=").unwrap();
        rest.split('&').next().unwrap().to_owned()
    }

    async fn form(&self, path: &str, form: &str) -> Reply {
        let proof = self.proof("POST", path, None);
        let headers = fields(&[("Content-Type", "application/x-www-form-urlencoded"), ("DPoP", &proof)]);
        self.world.send("POST", path, &headers, form).await
    }

    async fn redeem(&self, code: &str) -> Reply {
        let form = format!(
            "grant_type=authorization_code&client_id=app-1&code={code}&code_verifier={VERIFIER}\
             &redirect_uri=https%3A%2F%2Fapp.example%2Fcb"
        );
        self.form("/oauth2/token", &form).await
    }

    async fn tokens(&self) -> (String, String) {
        let code = self.code().await;
        let reply = self.redeem(&code).await;
        assert_eq!((reply.status, &*reply.headers["cache-control"]), (200, "no-store"), "{reply:?}");
        let text = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        (text("access_token"), text("refresh_token"))
    }

    async fn call(&self, token: &str, method: &str, target: &str, body: &str) -> Reply {
        let proof = self.proof(method, target.split('?').next().unwrap(), Some(token));
        let authorization = format!("DPoP {token}");
        let mut headers = fields(&[("Authorization", &authorization), ("DPoP", &proof)]);
        if !body.is_empty() {
            headers.extend(fields(&[("Content-Type", "application/json")]));
        }
        self.world.send(method, target, &headers, body).await
    }
}

fn error(reply: &Reply) -> (u16, Value) {
    assert_eq!(reply.headers["content-type"], "application/json", "{reply:?}");
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
    (reply.status, reply.json()["error"].clone())
}

#[tokio::test]
async fn an_app_acts_for_its_customer_and_the_exchange_sees_no_token() {
    let stage = Stage::start().await;
    let (token, _) = stage.tokens().await;
    assert_eq!(stage.world.exchange.count(), 0, "the exchange hears nothing of it");
    let reply = stage.call(&token, "GET", "/api/v5/account/balance?ccy=BTC", "").await;
    assert_eq!((reply.code(), &*reply.body), (code("0", 200), OK.as_bytes()));
    let got = stage.world.exchange.last();
    assert_eq!(got.header("x-caponier-account"), Some("alice"));
    assert!(got.header("x-caponier-key").unwrap().starts_with("grant-"));
    assert_eq!((got.header("authorization"), got.header("dpop")), (None, None));
    assert_eq!(stage.call(&token, "POST", ORDER, r#"{"instId":"BTC-USDT"}"#).await.code(), code("0", 200));

    // Public data asks nobody; what was sent along goes no further.
    let public = stage.call("nonsense", "GET", "/api/v5/public/time", "").await;
    assert_eq!(public.code(), code("0", 200));
    let got = stage.world.exchange.last();
    assert_eq!((got.header("authorization"), got.header("dpop")), (None, None));

    // An authorization that is not ours to judge is passed on, as before.
    let other = fields(&[("Authorization", "Basic dTpw")]);
    stage.world.send("GET", "/api/v5/public/time", &other, "").await;
    assert_eq!(stage.world.exchange.last().header("authorization"), Some("Basic dTpw"));

    let withdrawal = stage.call(&token, "POST", "/api/v5/asset/withdrawal", r#"{"ccy":"USDT"}"#).await;
    assert_eq!(withdrawal.code(), code("50120", 200));
}

#[tokio::test]
async fn one_credential_at_a_time_each_once() {
    let stage = Stage::start().await;
    let (token, _) = stage.tokens().await;
    let authorization = format!("DPoP {token}");
    let send = |more: Vec<(String, String)>| {
        let proof = stage.proof("GET", BALANCE, Some(&token));
        let mut headers = fields(&[("Authorization", &authorization), ("DPoP", &proof)]);
        headers.extend(more);
        async { stage.world.send("GET", BALANCE, &{ headers }, "").await.code() }
    };
    assert_eq!(send(vec![]).await, code("0", 200));
    let key = stage.world.key(&TRADER);
    assert_eq!(send(stage.world.signed(&key, "GET", BALANCE, "")).await, code("50114", 401));
    let signature = fields(&[("Signature-Input", "sig=()"), ("Signature", "sig=:AA==:")]);
    assert_eq!(send(signature).await, code("50114", 401));
    assert_eq!(send(fields(&[("DPoP", "x")])).await, code("50114", 401));
    assert_eq!(send(fields(&[("Authorization", &authorization)])).await, code("50114", 401));

    let proof = stage.proof("GET", BALANCE, Some(&token));
    let headers = fields(&[("Authorization", &authorization), ("DPoP", &proof)]);
    assert_eq!(stage.world.send("GET", BALANCE, &headers, "").await.code(), code("0", 200));
    assert_ne!(stage.world.send("GET", BALANCE, &headers, "").await.code(), code("0", 200));
    let nothing = stage.world.send("GET", BALANCE, &fields(&[("Authorization", &authorization)]), "").await;
    assert_eq!(nothing.code(), code("50114", 401));
    assert!(nothing.headers["www-authenticate"].starts_with("DPoP error=\"invalid_dpop_proof\""));
    let forged = stage.call("cap_at_AAAA", "GET", BALANCE, "").await;
    assert!(forged.headers["www-authenticate"].starts_with("DPoP error=\"invalid_token\""));
    assert_eq!(stage.world.refusals("token_invalid"), 1);
}

/// What cannot be recorded is not answered with a token, and a stolen token that cannot be ended is no good either.
#[tokio::test]
async fn nothing_is_given_out_that_is_not_on_record() {
    let stage = Stage::start().await;
    let (token, refresh) = stage.tokens().await;
    stage.records.fails.store(true, Ordering::Relaxed);
    let code_of_another = stage.code().await;
    let refused = stage.redeem(&code_of_another).await;
    assert_eq!(error(&refused), (503, json!("temporarily_unavailable")));
    assert_eq!(refused.headers["retry-after"], "1");
    let form = format!("grant_type=refresh_token&client_id=app-1&refresh_token={refresh}");
    assert_eq!(error(&stage.form("/oauth2/token", &form).await).0, 503);
    let form = format!("client_id=app-1&token={refresh}");
    assert_eq!(error(&stage.form("/oauth2/revoke", &form).await).0, 503);
    assert_eq!(stage.call(&token, "GET", BALANCE, "").await.code(), code("0", 200));
    assert_eq!(stage.records.ledger.len(), 1);

    stage.records.fails.store(false, Ordering::Relaxed);
    let revoked = stage.form("/oauth2/revoke", &form).await;
    assert_eq!((revoked.status, revoked.body.len()), (200, 0));
    let ended = stage.call(&token, "GET", BALANCE, "").await;
    assert_eq!(ended.code(), code("50119", 401));
    assert!(ended.headers["www-authenticate"].starts_with("DPoP error=\"invalid_token\""));
}

#[tokio::test]
async fn mistakes_are_told_in_the_words_of_oauth() {
    let stage = Stage::start().await;
    let form_type = fields(&[("Content-Type", "application/x-www-form-urlencoded")]);
    for (method, path, allow) in [
        ("GET", "/oauth2/token", "POST"),
        ("GET", "/oauth2/revoke", "POST"),
        ("POST", "/oauth2/authorize", "GET"),
        ("PUT", "/oauth2/token", "POST"),
    ] {
        let reply = stage.world.send(method, path, &[], "").await;
        assert_eq!(error(&reply), (405, json!("invalid_request")), "{method} {path}");
        assert_eq!(reply.headers["allow"], allow);
    }
    let token = "/oauth2/token";
    let post = |target: &'static str, headers: Vec<(String, String)>, body: String| {
        let world = &stage.world;
        async move { error(&world.send("POST", target, &headers, &body).await) }
    };
    let invalid = |name: &str| (400, json!(name));
    assert_eq!(post(token, vec![], "a=b".into()).await, invalid("invalid_request"));
    assert_eq!(post(token, form_type.clone(), "a=b&a=b".into()).await, invalid("invalid_request"));
    assert_eq!(post(token, form_type.clone(), "a".repeat(9_000)).await, invalid("invalid_request"));
    assert_eq!(post("/oauth2/token?a=b", form_type.clone(), "a=b".into()).await, invalid("invalid_request"));
    let password = "grant_type=password&client_id=app-1".to_owned();
    assert_eq!(post(token, form_type.clone(), password).await, invalid("unsupported_grant_type"));
    let code = "grant_type=authorization_code&client_id=app-1&code=x".to_owned();
    assert_eq!(post(token, form_type.clone(), code.clone()).await, invalid("invalid_dpop_proof"));
    let unknown = code.replace("app-1", "app-2");
    assert_eq!(post(token, form_type.clone(), unknown).await, (401, json!("invalid_client")));
    assert_eq!(stage.world.refusals("oauth_client_unknown"), 1);
    assert_eq!(stage.world.refusals("oauth_proof_invalid"), 1);
    // Another type is refused with the head, as it is for all endpoints.
    let json_type = fields(&[("Content-Type", "application/json")]);
    let reply = stage.world.send("POST", token, &json_type, "{}").await;
    assert_eq!(reply.json()["code"], "50006");

    let page = stage.world.send("GET", "/oauth2/authorize?client_id=<script>", &[], "").await;
    assert_ne!(page.status, 200);
    assert!(!String::from_utf8_lossy(&page.body).contains("<script>"));
    let page = stage.world.send("GET", "/oauth2/authorize?client_id=nobody", &[], "").await;
    assert_eq!((page.status, &*page.headers["content-type"]), (401, "text/plain; charset=utf-8"));
    let greedy = Stage::authorize_target().replace("read+trade", "withdraw");
    let back = stage.world.send("GET", &greedy, &[], "").await;
    assert!(back.headers["location"].starts_with("https://app.example/cb?error=invalid_scope&state=s1"));
    assert_eq!(stage.world.exchange.count(), 0);
}

#[tokio::test]
async fn the_registered_path_is_the_only_one_with_a_full_stop() {
    let stage = Stage::start().await;
    let path = "/.well-known/oauth-authorization-server";
    let document = stage.world.send("GET", path, &[], "").await;
    assert_eq!((document.status, &document.json()["issuer"]), (200, &json!(ISSUER)));
    for other in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/x", "/a.b"] {
        assert_eq!(stage.world.send("GET", other, &[], "").await.json()["code"], "51000", "{other}");
    }

    let without = World::start().await;
    assert_ne!(without.send("GET", path, &[], "").await.status, 200);
    assert_ne!(without.send("GET", &Stage::authorize_target(), &[], "").await.status, 302);
    let (token, _) = stage.tokens().await;
    let headers = fields(&[
        ("Authorization", &format!("DPoP {token}")),
        ("DPoP", &stage.proof("GET", BALANCE, Some(&token))),
    ]);
    assert_eq!(without.send("GET", BALANCE, &headers, "").await.code(), code("50114", 401));
}
