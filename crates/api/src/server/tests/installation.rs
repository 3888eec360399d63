//! The parts of the installation over real sockets.

use super::*;
use crate::{InstallationAsk, InstallationError, Installations};

pub(super) fn judgement(request: decide::JudgeRequest) -> Arc<domain::Judgement> {
    let decide::JudgeRequest { act, caller, idempotency_key, request_sha256, .. } = request;
    let verdict = Verdict::Challenge;
    let findings = Vec::new();
    Arc::new(domain::Judgement {
        act,
        verdict,
        findings,
        decided_at: NOW,
        caller,
        idempotency_key,
        request_sha256,
    })
}

impl Installations for Backstage {
    fn ask(
        &self,
        ask: InstallationAsk,
        _: &domain::Actor,
    ) -> BoxFuture<'_, Result<Value, InstallationError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match ask {
                InstallationAsk::Bans => {
                    Ok(["c", "a", "b"].iter().map(|target| json!({ "target": target })).collect())
                }
                InstallationAsk::Receipt(9) => Err(InstallationError::NotFound("no such entry".into())),
                InstallationAsk::Drill => Err(InstallationError::Unavailable("secret cause".into())),
                other => Ok(json!({ "asked": format!("{other:?}") })),
            }
        })
    }
}

#[tokio::test]
async fn the_installation_is_asked_what_the_call_says() {
    let api = start().await;
    let first = api.get("/v1/bans?limit=2").await.body;
    assert_eq!(first, json!({ "bans": [{ "target": "a" }, { "target": "b" }], "next": "b" }));
    let rest = api.get("/v1/bans?limit=2&after=b").await.body;
    assert_eq!(rest, json!({ "bans": [{ "target": "c" }], "next": null }));
    let asked = |path: &'static str| async { api.get(path).await.body["asked"].as_str().unwrap().to_owned() };
    assert!(asked("/v1/keys?account=alice").await.starts_with("Keys("));
    assert!(asked("/v1/audit/entries?from=3&kind=decision,ban&limit=5").await.contains("from: 3"));
    for (path, status) in [
        ("/v1/keys", 400),
        ("/v1/audit/entries?from=-1", 400),
        ("/v1/audit/entries?limit=1001", 400),
        ("/v1/lists?x=1", 400),
        ("/v1/audit/receipts/9", 404),
        ("/v1/audit/receipts/x", 404),
    ] {
        assert_eq!(api.get(path).await.status, status, "{path}");
    }
    let added = api.post("/v1/bans", r#"{"target":"192.0.2.7","minutes":5}"#).await;
    assert!(added.body["asked"].as_str().unwrap().contains("minutes: 5"));
    for body in [r#"{"target":"192.0.2.7","minutes":61}"#, r#"{"minutes":5}"#, r#"{"target":"x","more":1}"#] {
        assert_eq!(api.post("/v1/bans", body).await.status, 400, "{body}");
    }
    assert_eq!(api.post("/v1/bans/lift", r#"{"target":"x","minutes":5}"#).await.status, 400);
    let failed = api.post("/v1/backup/drills", "").await;
    assert!(failed.status == 503 && !failed.body.to_string().contains("secret"), "{}", failed.body);
}
