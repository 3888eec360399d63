//! The calls about appeals, over the real fold.

use domain::Actor;
use fraud::cases::{Against, Appealed, Ask, CaseEntry, CaseError, Outcome};

use super::*;
use crate::{AppealAgainst, AppealFile, AppealFilter, Appeals, Cases as _, CasesError, NewAppeal};

impl Backstage {
    fn appeal_file(&self, id: u64) -> Result<AppealFile, CasesError> {
        let cases = self.cases.lock().unwrap();
        let appeal = cases.appeal(id).ok_or(CaseError::UnknownAppeal { appeal: id })?.clone();
        Ok(AppealFile { appeal, decision: None })
    }
}

impl Appeals for Backstage {
    fn bring(&self, by: Actor, new: NewAppeal) -> BoxFuture<'_, Result<AppealFile, CasesError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let against = match new.against {
            AppealAgainst::Ban(target) => Ok(Against::Ban(target)),
            AppealAgainst::Decision(id) => self.decision(&id).map(Against::Decision),
        };
        let position = 100 + u64::try_from(self.cases.lock().unwrap().appeals(None).count()).unwrap();
        let done = against.and_then(|against| {
            let appealed = Appealed { by, account: new.account, against, text: new.text };
            Ok(self.cases.lock().unwrap().apply(position, NOW, CaseEntry::Appealed(appealed))?)
        });
        Box::pin(std::future::ready(done.and_then(|()| self.appeal_file(position))))
    }

    fn appeal(&self, id: u64) -> Result<AppealFile, CasesError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        self.appeal_file(id)
    }

    fn appeals(&self, wanted: &AppealFilter, before: Option<u64>, max: usize) -> Vec<AppealFile> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let cases = self.cases.lock().unwrap();
        let fits = |appeal: &&fraud::cases::Appeal| {
            wanted.account.as_ref().is_none_or(|account| *account == appeal.account)
                && wanted.state.as_deref().is_none_or(|state| state == appeal.state())
        };
        let found = cases.appeals(before).filter(fits).take(max).cloned();
        found.map(|appeal| AppealFile { appeal, decision: None }).collect()
    }

    fn answer(
        &self,
        by: Actor,
        appeal: u64,
        outcome: Outcome,
        reason: String,
    ) -> BoxFuture<'_, Result<AppealFile, CasesError>> {
        Box::pin(async move {
            let case = self.appeal(appeal)?.appeal.case;
            let revision = self.case(case)?.case.revision;
            self.act(by, case, Some(revision), Ask::Answer { appeal, outcome, reason }).await?;
            self.appeal(appeal)
        })
    }
}

impl Running {
    async fn sends(&self, token: &str, path: &str, body: Value) -> Answer {
        self.exchange(&raw("POST", path, Some(token), "", &body.to_string())).await
    }
}

#[tokio::test]
async fn an_appeal_is_brought_by_one_and_answered_by_another() {
    let api = start().await;
    let appeal =
        json!({ "account": "u-1", "against": "decision", "id": "dec-7-aa", "text": "it <b>was</b> me" });
    let shop = secret_for(Permission::Appeal);
    let brought = api.sends(&shop, "/v1/appeals", appeal.clone()).await;
    assert_eq!((brought.status, &brought.body["state"]), (200, &json!("open")), "{brought:?}");
    assert_eq!((&brought.body["id"], &brought.body["case"]), (&json!("appeal-100"), &json!("case-100")));
    assert_eq!(brought.body["by"], "service:appeal");
    let twice = api.sends(&shop, "/v1/appeals", appeal).await;
    assert_eq!((twice.status, &twice.body["type"]), (409, &json!("urn:caponier:problem:appeal-conflict")));
    let case = api.get("/v1/cases/case-100").await;
    assert_eq!(case.body["appeals"][0]["text"], "it <b>was</b> me", "{case:?}");

    // Who brought it cannot answer; who may only look cannot either.
    let answer = json!({ "outcome": "overturned", "reason": "you were right" });
    assert_eq!(api.sends(&shop, "/v1/appeals/appeal-100/answer", answer.clone()).await.status, 403);
    let desk = secret_for(Permission::WorkCases);
    let done = api.sends(&desk, "/v1/appeals/appeal-100/answer", answer.clone()).await;
    assert_eq!((done.status, &done.body["state"]), (200, &json!("overturned")), "{done:?}");
    let again = api.sends(&desk, "/v1/appeals/appeal-100/answer", answer).await;
    assert_eq!(again.status, 409, "{again:?}");
    let shown = api.exchange(&raw("GET", "/v1/appeals/appeal-100", Some(&shop), "", "")).await;
    assert_eq!((shown.status, &shown.body["reason"]), (200, &json!("you were right")));
    let listed = api.get("/v1/appeals?state=overturned&account=u-1&limit=1").await;
    assert_eq!(listed.body["next"], "appeal-100", "{listed:?}");
    assert_eq!(api.get("/v1/appeals?after=appeal-100").await.body["appeals"], json!([]));
    for path in
        ["/v1/appeals?state=nice", "/v1/appeals?after=100", "/v1/appeals?account=%20", "/v1/appeals?limit=0"]
    {
        assert_eq!(api.get(path).await.status, 400, "{path}");
    }
    for path in ["/v1/appeals/100", "/v1/appeals/appeal-0100", "/v1/appeals/appeal-5"] {
        assert_eq!(api.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn strange_appeals_are_refused_by_field() {
    let api = start().await;
    let good = json!({ "account": "u-1", "against": "ban", "id": "192.0.2.7", "text": "let me in" });
    for (field, value) in [
        ("account", json!("no spaces here")),
        ("against", json!("weather")),
        ("id", json!("")),
        ("id", json!("x".repeat(161))),
        ("id", json!("a\nb")),
        ("text", json!("")),
        ("text", json!(" \n ")),
        ("text", json!("bell \u{7}")),
        ("text", json!("x".repeat(2_001))),
        ("more", json!(1)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let refused = api.sends(TOKEN, "/v1/appeals", body).await;
        assert_eq!((refused.status, refused.body["field"].as_str()), (400, Some(field)), "{refused:?}");
    }
    // What no ban can be called is no ban.
    let mut odd = good.clone();
    odd["id"] = json!("\u{e9}");
    assert_eq!(api.sends(TOKEN, "/v1/appeals", odd).await.status, 400);
    assert_eq!(api.sends(TOKEN, "/v1/appeals", good).await.status, 200);
}

#[tokio::test]
async fn any_decision_is_labelled_by_who_works_on_cases() {
    let api = start().await;
    let desk = secret_for(Permission::WorkCases);
    let honest = json!({ "label": "legitimate" });
    let done = api.sends(&desk, "/v1/decisions/dec-7-aa/label", honest.clone()).await;
    assert_eq!((done.status, &done.body["event"]), (200, &json!("label-7-false-work_cases")), "{done:?}");
    assert_eq!(done.body["decision"], "dec-7-aa");
    assert_eq!(api.sends(&desk, "/v1/decisions/dec-7/label", honest).await.status, 404);
    for body in [json!({}), json!({ "label": "nice" }), json!({ "label": "fraud", "more": 1 })] {
        assert_eq!(api.sends(&desk, "/v1/decisions/dec-7-aa/label", body).await.status, 400);
    }
}
