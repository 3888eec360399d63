//! The calls about changes that take two persons, over the real rules.

use domain::{Actor, UnixNanos};
use identity::{
    Capability, Principal,
    requests::{Entry, LIFE_DEFAULT, Opened, RequestError, State},
};

use super::*;
use crate::{ChangeFile, ChangeRequests, ChangesError};

impl Backstage {
    fn file(&self, id: u64) -> Result<ChangeFile, ChangesError> {
        let requests = self.requests.lock().unwrap();
        let request = requests.request(id).ok_or(RequestError::NotFound { request: id })?.clone();
        Ok(ChangeFile { request, details: vec![("user".into(), "ben".into())], now: NOW })
    }

    fn said(&self, id: u64, entry: Entry) -> BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let done = self.requests.lock().unwrap().apply(99, NOW, entry).map_err(ChangesError::from);
        Box::pin(std::future::ready(done.and_then(|()| self.file(id))))
    }
}

impl ChangeRequests for Backstage {
    fn list(&self, state: Option<State>, before: Option<u64>, max: usize) -> Vec<ChangeFile> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        let requests = self.requests.lock().unwrap();
        requests
            .newest(before)
            .filter(|request| state.is_none_or(|state| request.state(NOW) == state))
            .take(max)
            .map(|request| ChangeFile { request: request.clone(), details: Vec::new(), now: NOW })
            .collect()
    }

    fn show(&self, _who: &Principal, id: u64) -> Result<ChangeFile, ChangesError> {
        self.reached.fetch_add(1, Ordering::SeqCst);
        self.file(id)
    }

    fn approve(
        &self,
        who: Principal,
        id: u64,
        digest: [u8; 32],
    ) -> BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        self.said(id, Entry::Approved { request: id, digest, by: who.actor })
    }

    fn decline(
        &self,
        who: Principal,
        id: u64,
        reason: String,
    ) -> BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        self.said(id, Entry::Declined { request: id, reason, by: who.actor })
    }

    fn withdraw(&self, who: Principal, id: u64) -> BoxFuture<'_, Result<ChangeFile, ChangesError>> {
        self.said(id, Entry::Withdrawn { request: id, by: who.actor })
    }
}

fn ask(backstage: &Backstage, id: u64) -> String {
    let opened = Opened {
        kind: "identity.roles".into(),
        payload: vec![1],
        summary: "ben: approver".into(),
        precondition: [7; 32],
        needs: Capability::ApproveAccess,
        concerns: None,
        reason: "ben joins".into(),
        by: Actor::operator(),
        expires_at: UnixNanos(NOW.plus(LIFE_DEFAULT).0),
    };
    let mut requests = backstage.requests.lock().unwrap();
    requests.apply(id, NOW, Entry::Opened(opened)).unwrap();
    requests.request(id).unwrap().digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn requests_are_listed_page_by_page() {
    let api = start().await;
    for id in 1..=3 {
        ask(&api.backstage, id);
    }
    let get = |path: &'static str| raw("GET", path, Some(TOKEN), "", "");
    let first = api.exchange(&get("/v1/changes?limit=2&state=open")).await;
    assert_eq!(first.status, 200);
    let ids: Vec<_> = first.body["changes"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!((ids, &first.body["next"]), (vec![json!("chg-3"), json!("chg-2")], &json!("chg-2")));
    let rest = api.exchange(&get("/v1/changes?after=chg-2")).await;
    assert_eq!((&rest.body["changes"][0]["id"], &rest.body["next"]), (&json!("chg-1"), &Value::Null));
    for bad in ["/v1/changes?state=new", "/v1/changes?after=7", "/v1/changes?limit=0", "/v1/changes?x=1"] {
        assert_problem(&api.exchange(&get(bad)).await, 400, "invalid-request");
    }
    assert_problem(&api.exchange(&get("/v1/changes/chg-9")).await, 404, "not-found");
    assert_problem(&api.exchange(&get("/v1/changes/9")).await, 404, "not-found");
    let shown = api.exchange(&get("/v1/changes/chg-1")).await;
    assert_eq!((&shown.body["payload"], &shown.body["state"]), (&json!("AQ=="), &json!("open")));
}

/// A token is no person: whatever it says, nothing is approved.
#[tokio::test]
async fn a_program_neither_approves_nor_declines() {
    let api = start().await;
    let digest = ask(&api.backstage, 7);
    let approved = api.post("/v1/changes/chg-7/approve", &json!({ "digest": digest }).to_string()).await;
    assert_problem(&approved, 403, "four-eyes");
    let declined = api.post("/v1/changes/chg-7/decline", r#"{"reason":"no"}"#).await;
    assert_problem(&declined, 403, "four-eyes");
    assert_problem(&api.post("/v1/changes/chg-7/withdraw", "{}").await, 403, "four-eyes");
    for body in ["{}", r#"{"digest":"A0"}"#, &format!(r#"{{"digest":"{}"}}"#, "0".repeat(63))] {
        assert_problem(&api.post("/v1/changes/chg-7/approve", body).await, 400, "invalid-request");
    }
    let shown = api.exchange(&raw("GET", "/v1/changes/chg-7", Some(TOKEN), "", "")).await;
    assert_eq!(shown.body["state"], json!("open"));
}
