//! The calls about cases, over the real fold.

use domain::{Actor, Amount, Asset};
use fraud::cases::{AlertLine, Ask, AtRisk, CaseEntry, CaseError, Entity, Filter, Held, Source, Trigger};

use super::*;
use crate::{CaseFile, Cases, CasesError, Order};

impl Cases for Backstage {
    fn case(&self, id: u64) -> Result<CaseFile, CasesError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let cases = self.cases.lock().unwrap();
        let case = cases.case(id).ok_or(CaseError::NotFound { case: id })?.clone();
        let decisions = case.held.iter().map(|item| (item.decision, format!("dec-{}-aa", item.decision)));
        Ok(CaseFile { decisions: decisions.collect(), case, now: NOW })
    }

    fn cases(&self, filter: &Filter, order: Order, max: usize) -> Result<Vec<CaseFile>, CasesError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let ids: Vec<u64> = {
            let cases = self.cases.lock().unwrap();
            match order {
                Order::Newest(before) => {
                    cases.newest(filter, before, NOW).take(max).map(|case| case.id).collect()
                }
                Order::Urgent(after) => {
                    let after = after.and_then(|id| cases.case(id));
                    cases.urgent(filter, after, NOW).take(max).map(|case| case.id).collect()
                }
            }
        };
        ids.into_iter().map(|id| self.case(id)).collect()
    }

    fn alerts(&self, before: Option<u64>, max: usize) -> Vec<AlertLine> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        self.cases.lock().unwrap().alerts(before).take(max).cloned().collect()
    }

    fn alerts_from(&self, from: u64, _: usize) -> Result<(Vec<AlertLine>, u64), CasesError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let cases = self.cases.lock().unwrap();
        let mut alerts: Vec<AlertLine> =
            cases.alerts(None).filter(|alert| alert.line.position >= from).cloned().collect();
        alerts.reverse();
        Ok((alerts, cases.alerts(None).next().map_or(0, |alert| alert.line.position + 1)))
    }

    fn beyond(&self, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(pending())
    }

    fn decision(&self, id: &str) -> Result<u64, CasesError> {
        let number = id.strip_prefix("dec-").and_then(|rest| rest.strip_suffix("-aa"));
        number.and_then(|number| number.parse().ok()).ok_or(CasesError::UnknownDecision)
    }

    fn label<'a>(
        &'a self,
        actor: &'a Actor,
        decision: &'a str,
        is_fraud: bool,
    ) -> BoxFuture<'a, Result<String, CasesError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let position = self.decision(decision);
        Box::pin(std::future::ready(position.map(|at| format!("label-{at}-{is_fraud}-{}", actor.id()))))
    }

    fn act(
        &self,
        actor: Actor,
        case: u64,
        revision: Option<u64>,
        ask: Ask,
    ) -> BoxFuture<'_, Result<CaseFile, CasesError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let done = {
            let mut cases = self.cases.lock().unwrap();
            cases
                .prepare(case, revision.unwrap(), actor, ask, NOW)
                .and_then(|done| cases.apply(99, NOW, CaseEntry::Action(done)))
        };
        Box::pin(std::future::ready(done.map_err(CasesError::from).and_then(|()| self.case(case))))
    }
}

fn trigger(position: u64, account: &str, amount: &str) -> Trigger {
    Trigger {
        source: Source::Decision,
        position,
        at: NOW,
        entity: Entity::Account(AccountId::parse(account).unwrap()),
        code: "fraud.balance_drain".into(),
        verdict: Verdict::Hold,
        at_risk: AtRisk::Asset {
            asset: Asset::parse("USDT").unwrap(),
            amount: Amount::parse(amount).unwrap(),
        },
        probability_ppm: Some(250_000),
        alert: None,
        held: Some(Held {
            fingerprint: [u8::try_from(position).unwrap(); 16],
            reasons: vec![ReasonCode::new("fraud.balance_drain")],
        }),
        about: None,
    }
}

async fn with_cases() -> Running {
    let api = start().await;
    let mut cases = api.backstage.cases.lock().unwrap();
    cases.trigger(&trigger(7, "alice", "1000"));
    cases.trigger(&trigger(8, "bob", "900000"));
    cases.trigger(&Trigger {
        source: Source::FraudAlert,
        alert: Some("a-1".into()),
        held: None,
        about: Some(3),
        ..trigger(9, "carol", "1")
    });
    drop(cases);
    api
}

impl Running {
    async fn as_token(&self, permission: Permission, path: &str, body: Value) -> Answer {
        let body = body.to_string();
        self.exchange(&raw("POST", path, Some(&secret_for(permission)), "", &body)).await
    }
}

#[tokio::test]
async fn alerts_are_streamed_and_go_on_where_the_stream_ended() {
    let api = with_cases().await;
    let open = |after: &'static str| {
        let (address, path) = (api.address, format!("/v1/alerts/stream{after}"));
        async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(raw("GET", &path, Some(TOKEN), "", "").as_bytes()).await.unwrap();
            stream
        }
    };
    let mut text = String::new();
    read_until(&mut open("?after=0").await, &mut text, r#""next":"10""#).await;
    assert!(text.contains("application/x-ndjson") && text.contains("account:carol"), "{text}");
    assert_eq!(text.matches(r#""alert":"#).count(), 1, "{text}");
    assert_problem(&api.get("/v1/alerts/stream?after=11").await, 410, "stale-cursor");
    for bad in ["?after=x", "?after=-1", "?more=1"] {
        assert_eq!(api.get(&format!("/v1/alerts/stream{bad}")).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn cases_are_listed_page_by_page_and_filtered() {
    let api = with_cases().await;
    let ids = |answer: &Answer| -> Vec<String> {
        let cases = answer.body["cases"].as_array().unwrap();
        cases.iter().map(|case| case["id"].as_str().unwrap().to_owned()).collect()
    };
    let first = api.get("/v1/cases?limit=2").await;
    assert_eq!(
        (ids(&first), &first.body["next"]),
        (vec!["case-9".into(), "case-8".into()], &json!("case-8"))
    );
    let second = api.get("/v1/cases?limit=2&after=case-8").await;
    assert_eq!((ids(&second), &second.body["next"]), (vec!["case-7".into()], &Value::Null));
    let urgent = api.get("/v1/cases?order=urgent").await;
    assert_eq!(ids(&urgent), ["case-8", "case-7", "case-9"]);
    assert_eq!(urgent.body["cases"][0]["priority"], "critical");
    assert_eq!(urgent.body["cases"][0]["expected_loss"], "225000");
    assert_eq!(ids(&api.get("/v1/cases?account=alice&state=open").await), ["case-7"]);
    assert_eq!(ids(&api.get("/v1/cases?priority=critical").await), ["case-8"]);
    assert!(ids(&api.get("/v1/cases?state=resolved").await).is_empty());
    let alerts = api.get("/v1/alerts").await;
    assert_eq!(alerts.body["alerts"][0]["case"], "case-9");
    assert_eq!(alerts.body["alerts"][0]["probability"], "0.25");
    assert_eq!(alerts.body["alerts"].as_array().unwrap().len(), 1, "a held withdrawal is no alert");
    for query in [
        "/v1/cases?limit=0",
        "/v1/cases?limit=201",
        "/v1/cases?limit=1&limit=2",
        "/v1/cases?state=nice",
        "/v1/cases?after=7",
        "/v1/cases?order=oldest",
        "/v1/cases?account=a&entity=b",
        "/v1/alerts?after=x",
        "/v1/alerts?before=1",
    ] {
        assert_problem(&api.get(query).await, 400, "invalid-request");
    }
    for path in ["/v1/cases/case-1", "/v1/cases/7", "/v1/cases/case-07", "/v1/cases/case-"] {
        assert_problem(&api.get(path).await, 404, "not-found");
    }
}

#[tokio::test]
async fn a_release_takes_two_tokens_and_the_second_who_decides_is_told() {
    let api = with_cases().await;
    let propose = json!({ "revision": 0, "decision": "dec-7-aa", "reason": "called back" });
    let done = api.as_token(Permission::WorkCases, "/v1/cases/case-7/propose", propose.clone()).await;
    assert_eq!((done.status, &done.body["state"]), (200, &json!("proposed")), "{done:?}");
    assert_eq!(done.body["held"][0]["review"]["proposed_by"], "service:work_cases");
    let late = api.as_token(Permission::WorkCases, "/v1/cases/case-7/propose", propose).await;
    assert_problem(&late, 409, "case-conflict");
    assert!(late.body["detail"].as_str().unwrap().contains("revision 1"), "{late:?}");
    let approve = json!({ "revision": 1, "decision": "dec-7-aa" });
    let own = api.as_token(Permission::WorkCases, "/v1/cases/case-7/approve", approve.clone()).await;
    assert_problem(&own, 403, "permission-missing");
    let done = api.as_token(Permission::ApproveReleases, "/v1/cases/case-7/approve", approve).await;
    assert_eq!(done.body["held"][0]["review"]["state"], "released", "{done:?}");
    assert_eq!(done.body["held"][0]["review"]["approved_by"], "service:approve_releases");
    // A token that may do both is one party all the same.
    let propose = json!({ "revision": 0, "decision": "dec-8-aa", "reason": "x" }).to_string();
    assert_eq!(api.post("/v1/cases/case-8/propose", &propose).await.status, 200);
    let approve = json!({ "revision": 1, "decision": "dec-8-aa" }).to_string();
    assert_problem(&api.post("/v1/cases/case-8/approve", &approve).await, 403, "four-eyes");
    let decline = json!({ "revision": 1, "decision": "dec-8-aa", "reason": "no" }).to_string();
    assert_eq!(api.post("/v1/cases/case-8/decline", &decline).await.body["state"], "open");
    let assign = json!({ "revision": 2, "to": "ann" }).to_string();
    assert_eq!(api.post("/v1/cases/case-8/assign", &assign).await.body["assignee"], "ann");
    let note = json!({ "revision": 3, "text": "she said\nso" }).to_string();
    assert_eq!(api.post("/v1/cases/case-8/notes", &note).await.body["revision"], 4);
    let resolve = json!({ "revision": 4, "disposition": "fraud", "reason": "stolen" }).to_string();
    let done = api.post("/v1/cases/case-8/resolve", &resolve).await;
    assert_eq!(done.body["resolution"]["disposition"], "fraud");
    assert_eq!(done.body["held"][0]["review"]["state"], "refused");
    assert_problem(&api.post("/v1/cases/case-8/resolve", &resolve).await, 409, "case-conflict");
}

#[tokio::test]
async fn malformed_changes_name_the_field() {
    let api = with_cases().await;
    for (path, body, field) in [
        ("notes", json!({ "text": "x" }), "revision"),
        ("notes", json!({ "revision": -1, "text": "x" }), "revision"),
        ("notes", json!({ "revision": 0, "text": "  " }), "text"),
        ("notes", json!({ "revision": 0, "text": "x", "by": "me" }), "by"),
        ("assign", json!({ "revision": 0, "to": "" }), "to"),
        ("propose", json!({ "revision": 0, "decision": "7", "reason": "x" }), "decision"),
        ("resolve", json!({ "revision": 0, "disposition": "good", "reason": "x" }), "disposition"),
    ] {
        let refused = api.post(&format!("/v1/cases/case-7/{path}"), &body.to_string()).await;
        assert_problem(&refused, 400, "invalid-request");
        assert_eq!(refused.body["field"], json!(field), "{refused:?}");
    }
    let unknown = json!({ "revision": 0, "decision": "dec-8-aa", "reason": "x" }).to_string();
    assert_problem(&api.post("/v1/cases/case-7/propose", &unknown).await, 404, "not-found");
    let spaced = json!({ "revision": 0, "to": "two words" }).to_string();
    assert_problem(&api.post("/v1/cases/case-7/assign", &spaced).await, 400, "invalid-request");
    assert_eq!(api.backstage.cases.lock().unwrap().case(7).unwrap().revision, 0);
}
