//! The whole API over real sockets, with ports that remember what reached them.

mod appeals;
mod cases;
mod changes;
mod screening;
mod webhooks;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth::oauth::{
    App, Consent, ConsentError, ConsentView, GrantNumber, GrantSummary, grant_key_id, parse_scope, scope_text,
};
use axum::http::Method;
use crypto::Secret;
use domain::{
    AccountId, Address, Asset, Decision, Event, Evidence, Finding, FindingSource, ManualClock, ReasonCode,
    UnixNanos, Verdict, WithdrawalRequest,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{Mutex, Notify, oneshot},
    task::JoinHandle,
};
use watch::suspicions::Held;

use crate::{
    Action, BoxFuture, BuildError, Config, Consents, DeadLetters, DecideError, Decided, DecisionPage,
    Decisions, ExplainError, Explained, GrantError, Health, Intake, IntakeError, JudgedAct, ListedDecision,
    Metrics, OPEN_ROUTES, PageError, People, Permission, Ports, Proof, Recorded, ScreenAnswer, ScreenError,
    ScreenRequest, Screenings, SessionCall, Token, limits, routes,
};

mod installation;
mod people;
mod rules;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const POWERLESS: &str = "fedcba9876543210fedcba9876543210";
const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);
const EVENT: &str = r#"{"id":"e-1","account":"alice","occurred_at":"2026-11-22T10:00:00Z","type":"login","success":true,"second_factor":true}"#;
const DECISION: &str = r#"{"type":"withdrawal","idempotency_key":"k-1","deadline_ms":200,"withdrawal":{"account":"alice","asset":"USDT","amount":"10","network":"tron","address":"TX","ip":"192.0.2.1"}}"#;

/// What stands behind the API in these tests.
#[derive(Default)]
struct Backstage {
    events: Mutex<Vec<Event>>,
    intake_fails: Mutex<Option<IntakeError>>,
    asked: Mutex<Vec<(WithdrawalRequest, Option<String>, Duration)>>,
    decide_fails: Mutex<Option<DecideError>>,
    /// When set, a decision never comes.
    stuck: std::sync::atomic::AtomicBool,
    entered: Notify,
    release: Notify,
    /// When set, a decision waits for `release`.
    waits: std::sync::atomic::AtomicBool,
    faults: std::sync::Mutex<Vec<String>>,
    dead_letters: DeadLetters,
    desk: Arc<identity::Desk>,
    reached: AtomicUsize,
    cases: std::sync::Mutex<fraud::cases::Cases>,
    requests: std::sync::Mutex<identity::requests::Requests>,
    decided: AtomicUsize,
    judged: Mutex<Option<JudgedAct>>,
    news: Notify,
}

impl Screenings for Backstage {
    fn suspicions(&self, from: u64, max: usize) -> Vec<(Address, Held)> {
        let held = Held {
            chain: "ethereum".to_owned(),
            model: [1; 32],
            probability: 900_000,
            height: 7,
            block: [2; 32],
            transaction: [3; 32],
            transactions: 2,
            reasons: vec!["new".to_owned()],
            at: UnixNanos::from_secs(1_795_341_600),
            entry: from,
        };
        let suspected = Address::new(domain::AddressKind::Evm, &[7; 20]);
        (from..from + 3)
            .take(max)
            .filter_map(|entry| Some((suspected?, Held { entry, ..held.clone() })))
            .collect()
    }

    fn screen(&self, request: ScreenRequest) -> BoxFuture<'_, Result<ScreenAnswer, ScreenError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if request.idempotency_key.as_deref() == Some("taken") {
                return Err(ScreenError::IdempotencyConflict);
            }
            let lines = request.lines.iter().map(|line| {
                let verdict = if line.address == "bad" { Verdict::Deny } else { Verdict::Allow };
                (json!({ "address": line.address, "verdict": verdict.as_str() }), verdict)
            });
            Ok(ScreenAnswer {
                id: "scr-1".into(),
                lines: lines.collect(),
                lists: json!([{ "name": "ofac" }]),
            })
        })
    }
}

impl Intake for Backstage {
    fn record(&self, events: Vec<Event>) -> BoxFuture<'_, Result<Recorded, IntakeError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if let Some(error) = self.intake_fails.lock().await.clone() {
                return Err(error);
            }
            let mut known = self.events.lock().await;
            let mut recorded = Recorded { accepted: 0, duplicates: 0, erased: 0 };
            for event in events {
                if known.iter().any(|other| other.id == event.id) {
                    recorded.duplicates += 1;
                } else {
                    recorded.accepted += 1;
                    known.push(event);
                }
            }
            Ok(recorded)
        })
    }

    fn knows_asset(&self, _: &Asset) -> bool {
        true
    }

    fn decision_position(&self, _: &str) -> Option<u64> {
        None
    }

    fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }
}

fn decision(request: WithdrawalRequest) -> Arc<Decision> {
    let finding = Finding {
        source: FindingSource::Fraud,
        code: ReasonCode::new("fraud.balance_drain"),
        verdict: Verdict::Hold,
        shadow: false,
        message: "all would leave".into(),
        evidence: vec![Evidence::new("share_of_balance", "100 %")],
        would_pass_if: None,
    };
    Arc::new(Decision {
        request,
        verdict: Verdict::Hold,
        findings: vec![finding],
        decided_at: NOW,
        idempotency_key: None,
    })
}

impl Decisions for Backstage {
    fn decide(
        &self,
        request: WithdrawalRequest,
        idempotency_key: Option<String>,
        deadline: Duration,
        _is_shadow: bool,
    ) -> BoxFuture<'_, Result<Decided, DecideError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.entered.notify_one();
            if self.stuck.load(Ordering::SeqCst) {
                return pending().await;
            }
            if self.waits.load(Ordering::SeqCst) {
                self.release.notified().await;
            }
            if let Some(error) = self.decide_fails.lock().await.clone() {
                return Err(error);
            }
            self.asked.lock().await.push((request.clone(), idempotency_key, deadline));
            self.decided.fetch_add(1, Ordering::SeqCst);
            self.news.notify_one();
            Ok(Decided { id: "dec-7-aa".into(), decision: decision(request) })
        })
    }

    fn judge(&self, request: decide::JudgeRequest) -> BoxFuture<'_, Result<JudgedAct, DecideError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let judged =
            JudgedAct { id: "dec-9-bb".into(), judgement: installation::judgement(request), position: 9 };
        Box::pin(async move {
            *self.judged.lock().await = Some(judged.clone());
            Ok(judged)
        })
    }

    fn judgement<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<JudgedAct>, ExplainError>> {
        Box::pin(async move { Ok(self.judged.lock().await.clone().filter(|judged| judged.id == id)) })
    }

    fn proof(&self, position: u64) -> BoxFuture<'_, Proof> {
        Box::pin(std::future::ready(Proof { position, receipt: None }))
    }

    fn explain<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Explained>, ExplainError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let request = self.asked.lock().await.first().map(|(request, ..)| request.clone());
            match (id, request) {
                ("dec-7-aa", Some(request)) => Ok(Some(Explained {
                    id: id.into(),
                    decision: decision(request),
                    position: Some(7),
                    review: None,
                })),
                ("broken", _) => Err(ExplainError { why: "secret cause".into() }),
                _ => Ok(None),
            }
        })
    }

    fn page<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
        _: &'a crate::DecisionFilter,
    ) -> BoxFuture<'a, Result<DecisionPage, PageError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let asked = self.asked.lock().await;
            let from: usize = match after {
                None => 0,
                Some("broken") => return Err(PageError::Unavailable { why: "secret cause".into() }),
                Some(cursor) => cursor.parse().map_err(|_| PageError::CursorUnknown)?,
            };
            if from > asked.len() {
                return Err(PageError::CursorStale);
            }
            let until = asked.len().min(from + limit);
            let decisions = asked[from..until]
                .iter()
                .zip(from..)
                .map(|((request, ..), at)| ListedDecision {
                    found: crate::FoundDecision::Withdrawal(Explained {
                        id: format!("dec-{at}"),
                        decision: decision(request.clone()),
                        position: None,
                        review: None,
                    }),
                    next: (at + 1).to_string(),
                })
                .collect();
            Ok(DecisionPage { decisions, next: until.to_string(), more: until < asked.len() })
        })
    }

    fn end(&self) -> String {
        self.decided.load(Ordering::SeqCst).to_string()
    }

    fn beyond<'a>(&'a self, cursor: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            while self.decided.load(Ordering::SeqCst) <= cursor.parse().unwrap() {
                self.news.notified().await;
            }
        })
    }
}

impl Consents for Backstage {
    fn view(&self, handle: &str) -> Result<ConsentView, GrantError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        match handle {
            "fresh" => Ok(ConsentView {
                app: app(),
                scopes: parse_scope("read trade").unwrap(),
                redirect_uri: "https://app.example/cb".to_owned(),
                expires_at: NOW,
            }),
            "answered" => Err(ConsentError::Answered.into()),
            _ => Err(ConsentError::HandleUnknown.into()),
        }
    }

    fn approve(&self, handle: &str, consent: Consent) -> Result<String, GrantError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        if consent.account.as_str() == "erased" {
            return Err(GrantError::AccountErased);
        }
        Ok(format!("https://app.example/cb?code={handle}-{}-{}", consent.account, scope_text(consent.scopes)))
    }

    fn deny(&self, handle: &str) -> Result<String, GrantError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        self.view(handle).map(|_| "https://app.example/cb?error=access_denied".to_owned())
    }

    fn grants(&self, account: &AccountId) -> Vec<GrantSummary> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        vec![GrantSummary {
            grant: [7; 16],
            key_id: grant_key_id(&[7; 16]),
            app: app(),
            account: account.clone(),
            scopes: parse_scope("read").unwrap(),
            environment: auth::Environment::Live,
            restrictions: None,
            granted_at: NOW,
            expires_at: NOW,
            last_uses: Vec::new(),
        }]
    }

    fn revoke(&self, account: AccountId, grant: GrantNumber) -> BoxFuture<'_, Result<(), GrantError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let known = account.as_str() == "u-1" && grant == [7; 16];
        Box::pin(std::future::ready(if known { Ok(()) } else { Err(GrantError::GrantUnknown) }))
    }
}

fn app() -> Arc<App> {
    let scopes = parse_scope("read trade").unwrap();
    Arc::new(App::new("bot-1", "Bot", &["https://app.example/cb"], scopes, NOW).unwrap())
}

impl crate::IdentityLog for Backstage {
    fn record(
        &self,
        change: identity::Change,
        at: UnixNanos,
    ) -> BoxFuture<'_, Result<(), crate::NotRecorded>> {
        self.desk.apply(change, at);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn people(backstage: &Arc<Backstage>) -> People {
    let origin = identity::Origin::parse("https://caponier.example").unwrap();
    People { desk: Arc::clone(&backstage.desk), log: Arc::clone(backstage) as _, origin: Some(origin) }
}

impl Metrics for Backstage {
    fn exposition(&self) -> String {
        "# EOF\n".to_owned()
    }
}

impl Health for Backstage {
    fn faults(&self) -> Vec<String> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        self.faults.lock().unwrap().clone()
    }
}

struct Running {
    address: std::net::SocketAddr,
    backstage: Arc<Backstage>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

/// The secret of the token that has this permission alone.
fn secret_for(permission: Permission) -> String {
    permission.as_str().repeat(8)
}

fn tokens() -> Vec<Token> {
    let token = |name: &str, secret: &str, permissions: &[Permission]| Token {
        name: name.into(),
        secret: Secret::new(secret.to_owned()),
        permissions: permissions.to_vec(),
    };
    let mut tokens = vec![token("all", TOKEN, &Permission::ALL), token("none", POWERLESS, &[])];
    tokens.extend(Permission::ALL.map(|only| token(only.as_str(), &secret_for(only), &[only])));
    tokens
}

/// Says yes to everything, and remembers nothing.
impl crate::Emergencies for Backstage {
    fn state(&self) -> crate::EmergencyState {
        crate::EmergencyState::default()
    }

    fn freeze(&self, _: domain::Actor, _: decide::FreezeScope, _: String) -> Stopped<'_> {
        Box::pin(std::future::ready(Ok(self.state())))
    }

    fn propose(&self, _: domain::Actor, _: decide::FreezeScope, _: String) -> Stopped<'_> {
        Box::pin(std::future::ready(Ok(self.state())))
    }

    fn approve(&self, actor: domain::Actor, _: decide::FreezeScope, _: u64) -> Stopped<'_> {
        let actor = actor.to_string();
        Box::pin(std::future::ready(Err(crate::EmergencyError::OwnProposal { actor })))
    }

    fn decline(&self, _: domain::Actor, scope: decide::FreezeScope, _: u64, _: String) -> Stopped<'_> {
        let scope = scope.to_string();
        Box::pin(std::future::ready(Err(crate::EmergencyError::NoProposal { scope })))
    }

    fn raise_alarm(&self, _: domain::Actor, _: u64, _: String) -> Stopped<'_> {
        Box::pin(std::future::ready(Ok(self.state())))
    }

    fn end_alarm(&self, _: domain::Actor, _: String) -> Stopped<'_> {
        Box::pin(std::future::ready(Err(crate::EmergencyError::NoAlarm)))
    }
}

type Stopped<'a> = BoxFuture<'a, Result<crate::EmergencyState, crate::EmergencyError>>;

async fn start_with(tls: Option<Arc<rustls::ServerConfig>>) -> Running {
    let backstage = Arc::new(Backstage::default());
    let ports = Ports {
        intake: Arc::clone(&backstage) as _,
        decisions: Arc::clone(&backstage) as _,
        screenings: Arc::clone(&backstage) as _,
        installation: Arc::clone(&backstage) as _,
        appeals: Arc::clone(&backstage) as _,
        cases: Arc::clone(&backstage) as _,
        rules: Arc::clone(&backstage) as _,
        changes: Arc::clone(&backstage) as _,
        emergencies: Arc::clone(&backstage) as _,
        webhooks: Arc::new(webhooks::None),
        health: Arc::clone(&backstage) as _,
        metrics: Arc::clone(&backstage) as _,
        consents: Some(Arc::clone(&backstage) as _),
        people: people(&backstage),
        clock: Arc::new(ManualClock::new(NOW)),
    };
    let config = Config { listen: "127.0.0.1:0".parse().unwrap(), tls, tokens: tokens(), pages: None };
    let api = config.build(ports).await.unwrap();
    let address = api.local_addr();
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(api.run(async {
        // A dropped sender stops the server as well.
        stopped.await.unwrap_or_default();
    }));
    Running { address, backstage, stop, served }
}

async fn start() -> Running {
    start_with(None).await
}

/// A response as it came over the socket.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

fn raw(method: &str, path: &str, token: Option<&str>, extra: &str, body: &str) -> String {
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{authorization}{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(bytes: &[u8]) -> Answer {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole response: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

impl Running {
    async fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _sent = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        answer(&bytes)
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.exchange(&raw("POST", path, Some(TOKEN), "", body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.exchange(&raw("GET", path, Some(TOKEN), "", "")).await
    }
}

/// A path a route is for. A stream that is let begin would not end.
fn concrete(path: &str, id: &str) -> String {
    if path.ends_with("/stream") {
        return format!("{path}?after=unknown");
    }
    path.replace("{id}", id).replace("{handle}", id).replace("{grant}", id).replace("{case}", id)
}

fn assert_problem(answer: &Answer, status: u16, name: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.body["type"], json!(format!("urn:caponier:problem:{name}")));
    assert_eq!(answer.body["status"], json!(status));
    assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
}

#[tokio::test]
async fn every_route_refuses_the_unauthenticated_and_the_unauthorised() {
    let api = start().await;
    for route in routes() {
        let path = concrete(route.path, "dec-7-aa");
        let body =
            if route.action == Action::Decision(crate::DecisionCall::Decide) { DECISION } else { EVENT };
        for authorization in [
            String::new(),
            "Authorization: Bearer \r\n".into(),
            "Authorization: Bearer 0123456789abcdef0123456789abcdee\r\n".into(),
            format!("Authorization: Basic {TOKEN}\r\n"),
            format!("X-Token: {TOKEN}\r\n"),
            format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
        ] {
            let refused = api.exchange(&raw(route.method.as_str(), &path, None, &authorization, body)).await;
            assert_problem(&refused, 401, "unauthenticated");
            assert!(refused.head.contains("www-authenticate: bearer"));
        }
        let refused = api.exchange(&raw(route.method.as_str(), &path, Some(POWERLESS), "", body)).await;
        assert_problem(&refused, 403, "permission-missing");
        assert_eq!(refused.body["detail"], json!(format!("{} is needed", route.permission.as_str())));
    }
    assert_eq!(api.backstage.reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_token_does_only_what_it_allows() {
    let api = start().await;
    for permission in Permission::ALL {
        for route in routes() {
            let path = concrete(route.path, "unknown");
            let body =
                if route.action == Action::Decision(crate::DecisionCall::Decide) { DECISION } else { EVENT };
            let request = raw(route.method.as_str(), &path, Some(&secret_for(permission)), "", body);
            let allowed = api.exchange(&request).await.status != 403;
            assert_eq!(allowed, route.permission == permission, "{} {}", permission.as_str(), route.path);
        }
    }
}

#[tokio::test]
async fn what_is_no_route_tells_nothing_without_a_token() {
    let api = start().await;
    for (method, path, status, name) in [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/decisions/", 404, "not-found"),
        ("GET", "/v1/decisions/a/b", 404, "not-found"),
        ("GET", "/v1/events", 405, "method-not-allowed"),
        ("DELETE", "/v1/decisions/dec-7-aa", 405, "method-not-allowed"),
    ] {
        assert_problem(&api.exchange(&raw(method, path, None, "", "")).await, 401, "unauthenticated");
        assert_problem(&api.exchange(&raw(method, path, Some(TOKEN), "", "")).await, status, name);
    }
}

#[tokio::test]
async fn counters_are_text_for_a_monitoring_system() {
    let api = start().await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    let request = raw("GET", "/metrics", Some(&secret_for(Permission::ReadMetrics)), "", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(text.contains("content-type: application/openmetrics-text; version=1.0.0"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn events_are_recorded_once() {
    let api = start().await;
    let second = EVENT.replace("e-1", "e-2");
    let batch = format!("{EVENT}\n{second}\n{EVENT}\n");
    let recorded = api.post("/v1/events", &batch).await;
    assert_eq!(
        (recorded.status, recorded.body),
        (200, json!({ "accepted": 2, "duplicates": 1, "erased": 0 }))
    );
    let recorded = api.post("/v1/events", EVENT).await;
    assert_eq!(
        (recorded.status, recorded.body),
        (200, json!({ "accepted": 0, "duplicates": 1, "erased": 0 }))
    );
    assert_eq!(api.backstage.events.lock().await.len(), 2);
}

#[tokio::test]
async fn a_bad_line_is_named_and_kept_aside_and_the_rest_is_recorded() {
    let api = start().await;
    let bad = EVENT.replace("second_factor", "secondfactor");
    let recorded = api.post("/v1/events", &format!("{EVENT}\n{bad}\n")).await;
    let refused = json!([{ "line": 2, "field": "second_factor", "reason": "is missing" }]);
    assert_eq!(
        (recorded.status, recorded.body),
        (200, json!({ "accepted": 1, "duplicates": 0, "erased": 0, "refused": refused }))
    );
    assert_eq!(api.backstage.events.lock().await.len(), 1);

    let letters = api.exchange(&raw("GET", "/v1/events/dead-letters?from=0", Some(TOKEN), "", "")).await;
    assert_eq!(letters.status, 200);
    let letter = &letters.body["letters"][0];
    assert_eq!((&letter["line"], &letter["field"]), (&json!(2), &json!("second_factor")));
    assert_eq!((&letter["text"], &letter["caller"]), (&json!(bad), &json!("service:all")));
    assert_eq!((&letters.body["next"], &letters.body["forgotten"]), (&json!(1), &json!(0)));
    let rest = api.exchange(&raw("GET", "/v1/events/dead-letters?from=1", Some(TOKEN), "", "")).await;
    assert_eq!(rest.body["letters"], json!([]));
    let wrong = api.exchange(&raw("GET", "/v1/events/dead-letters?after=1", Some(TOKEN), "", "")).await;
    assert_problem(&wrong, 400, "invalid-request");
}

#[tokio::test]
async fn a_batch_without_a_good_line_is_refused_by_its_first_fault() {
    let api = start().await;
    let bad = EVENT.replace("second_factor", "secondfactor");
    let refused = api.post("/v1/events", &format!("\n{bad}\n{{}}\n")).await;
    assert_problem(&refused, 400, "invalid-event");
    assert_eq!((&refused.body["line"], &refused.body["field"]), (&json!(2), &json!("second_factor")));
    assert_eq!(refused.body["detail"], json!("line 2: second_factor: is missing"));
    assert_eq!(refused.body["faults"], json!(["line 3: id: is missing"]));
    assert_eq!(api.backstage.reached.load(Ordering::SeqCst), 0);
    assert_eq!(api.backstage.dead_letters.count(), 2);
}

#[tokio::test]
async fn a_batch_to_be_sent_again_leaves_no_dead_letters_yet() {
    let api = start().await;
    *api.backstage.intake_fails.lock().await =
        Some(IntakeError::Busy { retry_after: Duration::from_secs(7) });
    let refused = api.post("/v1/events", &format!("{EVENT}\n{{}}\n")).await;
    assert_problem(&refused, 503, "busy");
    assert_eq!(api.backstage.dead_letters.count(), 0);
}

#[tokio::test]
async fn bodies_are_bounded_and_plain() {
    let api = start().await;
    let fits = format!("{EVENT}{}", " ".repeat(limits::EVENT_BODY_BYTES_MAX - EVENT.len()));
    assert_eq!(api.post("/v1/events", &fits).await.status, 200);
    assert_problem(&api.post("/v1/events", &format!("{fits} ")).await, 413, "body-too-large");
    let large = format!("{DECISION}{}", " ".repeat(limits::DECISION_BODY_BYTES_MAX));
    assert_problem(&api.post("/v1/decisions", &large).await, 413, "body-too-large");
    let packed = raw("POST", "/v1/events", Some(TOKEN), "Content-Encoding: gzip\r\n", EVENT);
    assert_problem(&api.exchange(&packed).await, 415, "encoding-unsupported");
}

#[tokio::test]
async fn a_failing_intake_is_never_a_success() {
    let api = start().await;
    *api.backstage.intake_fails.lock().await =
        Some(IntakeError::Busy { retry_after: Duration::from_secs(7) });
    let refused = api.post("/v1/events", EVENT).await;
    assert_problem(&refused, 503, "busy");
    assert!(refused.head.contains("retry-after: 7"));
    *api.backstage.intake_fails.lock().await = Some(IntakeError::Unavailable { why: "secret cause".into() });
    let refused = api.post("/v1/events", EVENT).await;
    assert_problem(&refused, 503, "unavailable");
    assert!(!refused.body.to_string().contains("secret cause"));
}

#[tokio::test]
async fn a_decision_is_asked_for_answered_and_explained() {
    let api = start().await;
    let decided = api.post("/v1/decisions", DECISION).await;
    assert_eq!(decided.status, 200);
    assert_eq!((&decided.body["id"], &decided.body["verdict"]), (&json!("dec-7-aa"), &json!("hold")));
    assert_eq!(decided.body["reasons"][0]["evidence"]["share_of_balance"], json!("100 %"));
    let (request, key, deadline) = api.backstage.asked.lock().await[0].clone();
    assert_eq!((request.account.as_str(), request.requested_at), ("alice", NOW));
    assert_eq!((key.as_deref(), deadline), (Some("k-1"), Duration::from_millis(200)));

    let explained = api.get("/v1/decisions/dec-7-aa").await;
    assert_eq!(explained.status, 200);
    assert_eq!(explained.body["withdrawal"]["address"], json!("TX"));
    assert_eq!(explained.body["position"], json!(7));
    assert_problem(&api.get("/v1/decisions/dec-8-bb").await, 404, "not-found");
    let broken = api.get("/v1/decisions/broken").await;
    assert_problem(&broken, 503, "unavailable");
    assert!(!broken.body.to_string().contains("secret cause"));
}

#[tokio::test]
async fn without_a_decision_the_answer_is_never_allow() {
    let api = start().await;
    for (error, status, name) in [
        (DecideError::Busy { retry_after: Duration::ZERO }, 503, "busy"),
        (DecideError::IdempotencyConflict { earlier: "dec-7".into() }, 422, "idempotency-conflict"),
        (DecideError::Frozen { earlier: "dec-7".into(), scope: "all".into() }, 503, "frozen"),
        (DecideError::Unavailable { why: "secret cause".into() }, 503, "unavailable"),
    ] {
        *api.backstage.decide_fails.lock().await = Some(error);
        let refused = api.post("/v1/decisions", DECISION).await;
        assert_problem(&refused, status, name);
        let is_of_one = matches!(name, "idempotency-conflict" | "frozen");
        assert_eq!(refused.body.get("decision_id"), is_of_one.then(|| json!("dec-7")).as_ref());
        assert_eq!(refused.body.get("verdict"), None);
        assert!(!refused.body.to_string().contains("secret cause"));
    }
    let refused = api.post("/v1/decisions", &DECISION.replace(r#""10""#, "10")).await;
    assert_problem(&refused, 400, "invalid-request");
    assert_eq!(refused.body["field"], json!("withdrawal.amount"));
}

#[tokio::test]
async fn a_decision_path_that_hangs_is_cut_at_the_deadline() {
    let api = start().await;
    api.backstage.stuck.store(true, Ordering::SeqCst);
    let refused = api.post("/v1/decisions", &DECISION.replace("200", "1")).await;
    assert_problem(&refused, 504, "deadline-exceeded");
}

#[tokio::test]
async fn a_customer_answers_an_app_and_ends_a_grant() {
    let api = start().await;
    let fresh = "/v1/oauth/authorizations/fresh";
    let asked = api.get(fresh).await;
    assert_eq!((asked.status, &asked.body["scopes"]), (200, &json!("read trade")), "{asked:?}");
    let approved = api.post(fresh, r#"{"decision":"approve","account":"u-1","scopes":"read"}"#).await;
    assert_eq!(approved.body, json!({ "redirect": "https://app.example/cb?code=fresh-u-1-read" }));
    assert!(approved.head.contains("cache-control: no-store"), "{}", approved.head);
    let all = api.post(fresh, r#"{"decision":"approve","account":"u-1"}"#).await;
    assert_eq!(all.body, json!({ "redirect": "https://app.example/cb?code=fresh-u-1-read trade" }));
    let denied = api.post(fresh, r#"{"decision":"deny"}"#).await;
    assert_eq!(denied.body, json!({ "redirect": "https://app.example/cb?error=access_denied" }));
    let erased = api.post(fresh, r#"{"decision":"approve","account":"erased"}"#).await;
    assert_problem(&erased, 400, "invalid-request");
    assert_eq!(erased.body["field"], json!("account"));
    for (handle, status, name) in [("answered", 409, "already-answered"), ("other", 404, "not-found")] {
        let path = format!("/v1/oauth/authorizations/{handle}");
        assert_problem(&api.get(&path).await, status, name);
        assert_problem(&api.post(&path, r#"{"decision":"deny"}"#).await, status, name);
        let approve = r#"{"decision":"approve","account":"u-1"}"#;
        assert_problem(&api.post(&path, approve).await, status, name);
    }

    let listed = api.post("/v1/oauth/grants", r#"{"account":"u-1"}"#).await;
    assert_eq!(listed.body["grants"][0]["client_id"], json!("bot-1"), "{listed:?}");
    let grant = listed.body["grants"][0]["grant"].as_str().unwrap();
    let end = |grant: &str| format!("/v1/oauth/grants/{grant}/revoke");
    assert_eq!(api.post(&end(grant), r#"{"account":"u-1"}"#).await.body, json!({ "revoked": true }));
    assert_problem(&api.post(&end(grant), r#"{"account":"u-2"}"#).await, 404, "not-found");
    assert_problem(&api.post(&end("grant-0"), r#"{"account":"u-1"}"#).await, 404, "not-found");
    assert_problem(&api.post(&end(grant), "{}").await, 400, "invalid-request");
}

#[tokio::test]
async fn decisions_are_listed_page_by_page() {
    let api = start().await;
    let empty = api.get("/v1/decisions").await;
    assert_eq!(empty.body, json!({ "decisions": [], "next": "0", "more": false }));
    for number in 0..3 {
        api.post("/v1/decisions", &DECISION.replace("k-1", &format!("k-{number}"))).await;
    }
    let first = api.get("/v1/decisions?limit=2").await.body;
    assert_eq!((&first["decisions"][1]["id"], &first["more"]), (&json!("dec-1"), &json!(true)));
    let rest = api.get(&format!("/v1/decisions?after={}", first["next"].as_str().unwrap())).await.body;
    assert_eq!((&rest["decisions"][0]["id"], &rest["more"]), (&json!("dec-2"), &json!(false)));
    let stale = api.get("/v1/decisions?after=17").await;
    assert_problem(&stale, 410, "stale-cursor");
    for (query, field) in
        [("after=x", "after"), ("limit=0", "limit"), ("limit=201", "limit"), ("before=1", "before")]
    {
        let refused = api.get(&format!("/v1/decisions?{query}")).await;
        assert_problem(&refused, 400, "invalid-request");
        assert_eq!(refused.body["field"], json!(field), "{refused:?}");
    }
    let broken = api.get("/v1/decisions?after=broken").await;
    assert_problem(&broken, 503, "unavailable");
    assert!(!broken.body.to_string().contains("secret"));
    assert_problem(&api.get("/v1/decisions/stream?after=17").await, 410, "stale-cursor");
}

/// Reads until the text holds `wanted`.
async fn read_until(stream: &mut TcpStream, text: &mut String, wanted: &str) {
    let mut bytes = [0; 4096];
    while !text.contains(wanted) {
        let got = stream.read(&mut bytes).await.unwrap();
        assert!(got > 0, "ended before {wanted:?}: {text}");
        text.push_str(std::str::from_utf8(&bytes[..got]).unwrap());
    }
}

#[tokio::test]
async fn decisions_are_streamed_as_they_are_made_until_the_stop() {
    let api = start().await;
    api.post("/v1/decisions", DECISION).await;
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream
        .write_all(raw("GET", "/v1/decisions/stream?after=0", Some(TOKEN), "", "").as_bytes())
        .await
        .unwrap();
    let mut text = String::new();
    read_until(&mut stream, &mut text, r#""next":"1""#).await;
    assert!(text.contains("content-type: application/x-ndjson"), "{text}");
    api.post("/v1/decisions", &DECISION.replace("k-1", "k-2")).await;
    read_until(&mut stream, &mut text, r#""next":"2""#).await;
    // Streams take none of the places of requests, and have places of their own.
    let mut others = Vec::new();
    for _ in 1..limits::STREAMS_MAX {
        let mut other = TcpStream::connect(api.address).await.unwrap();
        other
            .write_all(raw("GET", "/v1/decisions/stream?after=0", Some(TOKEN), "", "").as_bytes())
            .await
            .unwrap();
        read_until(&mut other, &mut String::new(), r#""next":"1""#).await;
        others.push(other);
    }
    assert_problem(&api.get("/v1/decisions/stream").await, 503, "busy");
    assert_eq!(api.get("/v1/health").await.status, 200);
    drop(others);
    api.stop.send(()).unwrap();
    // The end of the chunked body, then of the connection.
    read_until(&mut stream, &mut text, "0\r\n\r\n").await;
    api.served.await.unwrap();
}

#[tokio::test]
async fn the_description_is_open_to_everybody() {
    let api = start().await;
    for route in OPEN_ROUTES.iter().filter(|route| route.method == Method::GET) {
        let answer = api.exchange(&raw(route.method.as_str(), route.path, None, "", "")).await;
        assert_eq!(answer.status, 200, "{}", route.path);
    }
    let described = api.exchange(&raw("GET", "/v1/openapi.json", None, "", "")).await;
    assert_eq!(described.body, crate::openapi::document());
    let page = api.exchange(&raw("GET", "/docs", None, "", "")).await;
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert_eq!(api.backstage.reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn health_names_what_does_not_work() {
    let api = start().await;
    let well = api.get("/v1/health").await;
    assert_eq!((well.status, well.body), (200, json!({ "status": "ok" })));
    api.backstage.faults.lock().unwrap().push("the journal's disk is full".into());
    let ill = api.get("/v1/health").await;
    assert_problem(&ill, 503, "unhealthy");
    assert_eq!(ill.body["faults"], json!(["the journal's disk is full"]));
}

#[tokio::test]
async fn requests_beyond_the_bound_are_told_to_come_back() {
    let api = Arc::new(start().await);
    api.backstage.waits.store(true, Ordering::SeqCst);
    let waiting: Vec<_> = (0..limits::REQUESTS_MAX)
        .map(|_| {
            let api = Arc::clone(&api);
            let body = DECISION.replace("200", "10000");
            tokio::spawn(async move { api.post("/v1/decisions", &body).await.status })
        })
        .collect();
    while api.backstage.reached.load(Ordering::SeqCst) < limits::REQUESTS_MAX {
        api.backstage.entered.notified().await;
    }
    assert_problem(&api.get("/v1/health").await, 503, "busy");
    api.backstage.release.notify_waiters();
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(api.get("/v1/health").await.status, 200);
}

#[tokio::test]
async fn shutdown_lets_a_request_in_progress_finish() {
    let api = start().await;
    api.backstage.waits.store(true, Ordering::SeqCst);
    let mut busy = TcpStream::connect(api.address).await.unwrap();
    busy.write_all(raw("POST", "/v1/decisions", Some(TOKEN), "", DECISION).as_bytes()).await.unwrap();
    // An idle connection must not delay the end.
    let mut idle = TcpStream::connect(api.address).await.unwrap();
    idle.write_all(raw("GET", "/v1/health", Some(TOKEN), "", "").replace("close", "keep-alive").as_bytes())
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    api.backstage.entered.notified().await;
    api.stop.send(()).unwrap();
    api.backstage.release.notify_one();
    let mut bytes = Vec::new();
    busy.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(answer(&bytes).status, 200);
    api.served.await.unwrap();
    assert!(TcpStream::connect(api.address).await.is_err());
}

#[tokio::test]
async fn tokens_cross_a_network_only_encrypted() {
    let ports = |backstage: Arc<Backstage>| Ports {
        intake: Arc::clone(&backstage) as _,
        decisions: Arc::clone(&backstage) as _,
        screenings: Arc::clone(&backstage) as _,
        installation: Arc::clone(&backstage) as _,
        appeals: Arc::clone(&backstage) as _,
        cases: Arc::clone(&backstage) as _,
        rules: Arc::clone(&backstage) as _,
        changes: Arc::clone(&backstage) as _,
        emergencies: Arc::clone(&backstage) as _,
        webhooks: Arc::new(webhooks::None),
        health: Arc::clone(&backstage) as _,
        metrics: backstage as _,
        consents: None,
        people: People { desk: Arc::default(), log: Arc::new(Backstage::default()), origin: None },
        clock: Arc::new(ManualClock::new(NOW)),
    };
    let config =
        |listen: &str| Config { listen: listen.parse().unwrap(), tls: None, tokens: tokens(), pages: None };
    let refused = config("0.0.0.0:0").build(ports(Arc::default())).await;
    assert!(matches!(refused, Err(BuildError::PlaintextBeyondLoopback { .. })));
    let holder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    assert!(matches!(config(&taken).build(ports(Arc::default())).await, Err(BuildError::Bind { .. })));
}

#[tokio::test]
async fn the_same_is_served_over_tls() {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let api = start_with(Some(Arc::new(server))).await;
    let stream = TcpStream::connect(api.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    stream.write_all(raw("POST", "/v1/events", Some(TOKEN), "", EVENT).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(answer(&bytes).body, json!({ "accepted": 1, "duplicates": 0, "erased": 0 }));

    // Plain text on a TLS port gets no answer.
    let mut plain = TcpStream::connect(api.address).await.unwrap();
    plain.write_all(raw("GET", "/v1/health", Some(TOKEN), "", "").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _reset_or_alert = plain.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP/"));
}
