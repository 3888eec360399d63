//! Pages of rules and models, and what is done there.

use super::*;
use crate::{
    ports::Rules,
    view::rules::{
        Backtested, Book, BuiltIn, Changes, Checked, Comparison, Compiled, DriftLine, DriftView, FoundModel,
        FoundRule, JobLine, ModelFile, ModelLine, ModelPage, RuleFault, RuleLine, RuleSetView, VersionFile,
        VersionLine,
    },
};

const AT: UnixNanos = UnixNanos::from_secs(1_700_000_000);
/// The version that is there.
pub(super) const VERSION: &str = "0abc";

pub(super) struct Rulebook;

fn version_line() -> VersionLine {
    VersionLine {
        sha256: VERSION.to_owned(),
        rules: EVIL.to_owned(),
        by: EVIL.to_owned(),
        at: AT,
        note: EVIL.to_owned(),
        state: "was in force",
        tested: EVIL.to_owned(),
    }
}

fn job(state: &'static str) -> JobLine {
    JobLine {
        id: 3,
        sha256: VERSION.to_owned(),
        by: EVIL.to_owned(),
        days: 30,
        state,
        percent: 40,
        says: EVIL.to_owned(),
    }
}

fn compiled() -> Compiled {
    let evil = || EVIL.to_owned();
    Compiled {
        sha256: evil(),
        rules: evil(),
        fixtures: vec![(evil(), evil(), true)],
        changes: Changes {
            added: vec![evil()],
            removed: vec![evil()],
            changed: vec![[evil(), evil(), evil(), evil()]],
            lists: vec![evil()],
            unrehearsed: vec![evil()],
        },
    }
}

fn worth() -> FoundModel {
    FoundModel {
        rows: 10,
        frauds: 3,
        figures: vec![("average precision", 0.5)],
        curve: vec![(0.9, 0.1, 1.0), (0.1, 1.0, 0.3)],
        reliability: vec![(5, 0.1, f64::NAN), (5, 0.8, 0.6)],
    }
}

fn backtested() -> Backtested {
    let evil = || EVIL.to_owned();
    Backtested {
        from: evil(),
        until: evil(),
        at: evil(),
        by: evil(),
        compared_with: evil(),
        events: 1_000,
        fraud: 10,
        good: 20,
        good_troubled: 2,
        is_at_least: true,
        rules: vec![FoundRule {
            rule: evil(),
            action: "hold".to_owned(),
            mode: "shadow".to_owned(),
            hits: 7,
            hits_before: None,
            fraud: 1,
            good: 1,
            precision: Some(0.5),
            recall: None,
            accounts: 4,
            good_accounts: 1,
            examples: vec![(evil(), "/console/decisions/d-1".to_owned())],
        }],
        model: Some(worth()),
    }
}

fn model_line() -> ModelLine {
    ModelLine {
        digest: "0def".to_owned(),
        name: EVIL.to_owned(),
        pack: EVIL.to_owned(),
        state: "champion",
        judges: EVIL.to_owned(),
        learned: (1_000, 10),
        backtest: EVIL.to_owned(),
        at: AT,
        by: EVIL.to_owned(),
    }
}

fn refusal<T: Send + 'static>() -> BoxFuture<'static, Result<T, NotDone>> {
    Box::pin(async { Err(NotDone(EVIL.to_owned())) })
}

fn done<T: Send + 'static>(value: T) -> BoxFuture<'static, Result<T, NotDone>> {
    Box::pin(async { Ok(value) })
}

impl Rules for Rulebook {
    fn book(&self) -> BoxFuture<'_, Book> {
        let line = RuleLine {
            id: EVIL.to_owned(),
            title: EVIL.to_owned(),
            owner: EVIL.to_owned(),
            action: EVIL.to_owned(),
            mode: "enforce".to_owned(),
            when: EVIL.to_owned(),
            reason: EVIL.to_owned(),
            fixtures: 1,
            today: 3,
            week: 12,
            fraud: 1,
            good: 3,
            good_accounts: 2,
        };
        let set = |place, has_effect| RuleSetView {
            place,
            bundle: EVIL.to_owned(),
            rules: EVIL.to_owned(),
            sha256: VERSION.to_owned(),
            has_effect,
            lines: vec![line.clone()],
        };
        let book = Book {
            sets: vec![set("active", true), set("challenger", false)],
            built_in: vec![BuiltIn {
                name: "balance_drain",
                says: "Nearly all of an asset goes.",
                action: "hold",
                mode: Mode::Shadow,
            }],
            versions: vec![version_line()],
            jobs: vec![job("running")],
            since: Some(AT),
        };
        Box::pin(async { book })
    }

    fn text(&self, version: Option<String>) -> BoxFuture<'_, Result<(String, String), NotDone>> {
        match version.as_deref() {
            None | Some(VERSION) => done((EVIL.to_owned(), format!("</textarea>{EVIL}\n\n"))),
            Some(_) => refusal(),
        }
    }

    fn in_force(&self) -> Option<String> {
        Some(EVIL.to_owned())
    }

    fn check(&self, text: String) -> BoxFuture<'_, Result<Checked, NotDone>> {
        let evil = || EVIL.to_owned();
        let fault = RuleFault { line: 3, column: 7, rule: evil(), message: evil(), excerpt: evil() };
        match text.as_str() {
            "good" => done(Checked::Good(Box::new(compiled()))),
            "nothing" => refusal(),
            _ => done(Checked::Faulty(vec![fault], 2)),
        }
    }

    fn keep(&self, actor: Actor, _text: String, note: String) -> BoxFuture<'_, Result<String, NotDone>> {
        if note == actor.id() { done(VERSION.to_owned()) } else { refusal() }
    }

    fn version(&self, version: String) -> BoxFuture<'_, Result<VersionFile, NotDone>> {
        if version != VERSION {
            return refusal();
        }
        done(VersionFile {
            line: version_line(),
            text: EVIL.to_owned(),
            compiled: compiled(),
            found: Some(backtested()),
            job: Some(job("running")),
            judged_in_shadow: Some(5),
            may_return: true,
        })
    }

    fn backtest(&self, _actor: Actor, _version: String, days: u64) -> BoxFuture<'_, Result<(), NotDone>> {
        if days == 30 { done(()) } else { refusal() }
    }

    fn cancel(&self, job: u64) -> BoxFuture<'_, Result<(), NotDone>> {
        if job == 3 { done(()) } else { refusal() }
    }

    fn shadow(&self, _actor: Actor, _version: String) -> BoxFuture<'_, Result<(), NotDone>> {
        done(())
    }

    fn end_shadow(&self, _actor: Actor, _version: String) -> BoxFuture<'_, Result<(), NotDone>> {
        refusal()
    }

    fn publish(
        &self,
        _actor: Actor,
        _version: String,
        reason: String,
    ) -> BoxFuture<'_, Result<String, NotDone>> {
        if reason == "why" { done(EVIL.to_owned()) } else { refusal() }
    }

    fn return_to(
        &self,
        _actor: Actor,
        _version: String,
        from: String,
        reason: String,
    ) -> BoxFuture<'_, Result<(), NotDone>> {
        if from == EVIL && reason == "why" { done(()) } else { refusal() }
    }

    fn models(&self) -> BoxFuture<'_, ModelPage> {
        let line = DriftLine { subject: EVIL.to_owned(), psi: 0.3, ks: None };
        let drift = |has_reference, lines| DriftView { place: "active", judged: 9, has_reference, lines };
        let page = ModelPage {
            models: vec![model_line()],
            drift: vec![drift(true, vec![line; 20]), drift(false, Vec::new()), drift(true, Vec::new())],
            shifts: vec![(AT, EVIL.to_owned(), EVIL.to_owned())],
        };
        Box::pin(async { page })
    }

    fn model(&self, model: String) -> BoxFuture<'_, Result<ModelFile, NotDone>> {
        if model != "0def" {
            return refusal();
        }
        let evil = || EVIL.to_owned();
        let comparison = Comparison {
            at: AT,
            champion: evil(),
            challenger: evil(),
            differences: vec![("average precision", 5, 1, 9), ("value found", -5, -9, -1)],
            rows: (10, 2),
        };
        done(ModelFile {
            line: model_line(),
            is_readable: true,
            card: vec![(evil(), evil())],
            limits: evil(),
            importance: vec![(evil(), 0.7)],
            calibration: vec![(0.0, 0.1), (1.0, 0.9)],
            comparisons: vec![comparison],
            found: Some((VERSION.to_owned(), worth())),
        })
    }

    fn try_model(&self, _actor: Actor, model: String) -> BoxFuture<'_, Result<String, NotDone>> {
        if model == "0def" { done(VERSION.to_owned()) } else { refusal() }
    }
}

async fn send(path: &str, role: &str, body: &str, is_own: bool) -> (StatusCode, HeaderMap, String) {
    let site = if is_own { "same-origin" } else { "cross-site" };
    let request = asked(&Method::POST, path, Some(role))
        .header("sec-fetch-site", site)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    answer(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_draft_is_checked_beside_its_faults_and_kept_when_it_compiles() {
    let edit = "/console/rules/edit";
    let (status, _, page) = get_as(edit, Some("fraud_analyst")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("&lt;/textarea&gt;") && !page.contains(EVIL));
    for role in ["viewer", "approver", "auditor"] {
        assert_eq!(get_as(edit, Some(role)).await.0, StatusCode::FORBIDDEN, "{role}");
        assert_eq!(send(edit, role, "deed=check&text=good", true).await.0, StatusCode::FORBIDDEN, "{role}");
    }
    assert_eq!(send(edit, "fraud_analyst", "deed=check&text=good", false).await.0, StatusCode::FORBIDDEN);
    let (status, _, page) = send(edit, "fraud_analyst", "deed=check&text=bad%0Aline", true).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("line 3, column 7") && page.contains("3 faults") && page.contains("bad\nline"));
    assert!(!page.contains(EVIL));
    let (status, _, page) = send(edit, "fraud_analyst", "deed=check&text=good", true).await;
    assert!(status == StatusCode::OK && page.contains("It compiles") && page.contains("never watched"));
    for (body, status) in [
        ("deed=keep&text=bad&note=fraud_analyst", StatusCode::CONFLICT),
        ("deed=keep&text=good&note=other", StatusCode::CONFLICT),
        ("deed=check&text=nothing", StatusCode::CONFLICT),
        ("deed=publish&text=good", StatusCode::BAD_REQUEST),
        ("deed=keep", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(send(edit, "fraud_analyst", body, true).await.0, status, "{body}");
    }
    let (status, headers, _) =
        send(edit, "fraud_analyst", "deed=keep&text=good&note=fraud_analyst", true).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], format!("/console/rules/versions/{VERSION}"));
    let long = format!("deed=check&text={}", "x".repeat(crate::RULES_TEXT_BYTES_MAX + 1));
    assert_eq!(send(edit, "fraud_analyst", &long, true).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let longer = format!("deed=check&text={}", "x".repeat(4 * crate::RULES_TEXT_BYTES_MAX));
    let (status, _, page) = send(edit, "fraud_analyst", &longer, true).await;
    assert!(status == StatusCode::PAYLOAD_TOO_LARGE && page.contains("brought as a folder"), "{status}");
}

#[tokio::test]
async fn what_is_done_with_a_version_takes_the_role_and_the_form() {
    let path = format!("/console/rules/versions/{VERSION}");
    let (_, headers, page) = get_as(&path, Some("compliance_officer")).await;
    assert_eq!(headers["refresh"], "3", "a backtest runs");
    assert!(page.contains("Return to this version") && page.contains("Cancel the backtest"));
    let (_, _, page) = get_as(&path, Some("viewer")).await;
    assert!(!page.contains("<form class=\"row\""), "a viewer does nothing");
    let (_, _, page) = get_as(&path, Some("fraud_analyst")).await;
    assert!(page.contains("Backtest") && !page.contains("Return to this version"));
    let from: String = format!(
        "deed=return&text=why&from={}",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22'%3E%3Cimg+src%3Dx+onerror%3Dalert(2)%3E"
    );
    for (role, body, status) in [
        ("fraud_analyst", "deed=backtest&days=30", StatusCode::SEE_OTHER),
        ("fraud_analyst", "deed=backtest&days=31", StatusCode::CONFLICT),
        ("fraud_analyst", "deed=backtest", StatusCode::BAD_REQUEST),
        ("fraud_analyst", "deed=backtest&days=x", StatusCode::BAD_REQUEST),
        ("fraud_analyst", "deed=cancel&job=3", StatusCode::SEE_OTHER),
        ("fraud_analyst", "deed=cancel&job=4", StatusCode::CONFLICT),
        ("fraud_analyst", "deed=shadow", StatusCode::SEE_OTHER),
        ("fraud_analyst", "deed=end_shadow", StatusCode::CONFLICT),
        ("fraud_analyst", "deed=publish&text=why", StatusCode::OK),
        ("fraud_analyst", "deed=publish&text=other", StatusCode::CONFLICT),
        ("approver", "deed=publish&text=why", StatusCode::FORBIDDEN),
        ("fraud_analyst", from.as_str(), StatusCode::FORBIDDEN),
        ("approver", from.as_str(), StatusCode::SEE_OTHER),
        ("approver", "deed=return&text=why&from=other", StatusCode::CONFLICT),
        ("approver", "deed=shadow", StatusCode::FORBIDDEN),
        ("viewer", "deed=shadow", StatusCode::FORBIDDEN),
        ("fraud_analyst", "deed=whatever", StatusCode::BAD_REQUEST),
    ] {
        let (got, _, page) = send(&path, role, body, true).await;
        assert_eq!(got, status, "{role}: {body}");
        assert!(!page.contains(EVIL), "{body}");
    }
    assert_eq!(send(&path, "fraud_analyst", "deed=shadow", false).await.0, StatusCode::FORBIDDEN);
    assert_eq!(get_as("/console/rules/versions/other", Some("viewer")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get_as("/console/rules/source?of=other", Some("viewer")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get_as("/console/models/other", Some("viewer")).await.0, StatusCode::NOT_FOUND);
    let model = "/console/models/0def";
    assert_eq!(send(model, "viewer", "deed=try", true).await.0, StatusCode::FORBIDDEN);
    assert_eq!(send(model, "fraud_analyst", "deed=try", true).await.0, StatusCode::SEE_OTHER);
    assert_eq!(send(model, "fraud_analyst", "deed=x", true).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send(model, "fraud_analyst", "deed=try", false).await.0, StatusCode::FORBIDDEN);
}
