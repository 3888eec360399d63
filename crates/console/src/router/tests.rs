//! Requests to the pages, as a browser makes them.

mod operations;
mod own;
mod rules;
mod webhooks;

use axum::http::{Method, request};
use domain::{AccountId, Actor, ActorKind, UnixNanos, Verdict};
use http_body_util::BodyExt as _;
use identity::{Capability, CodeSignIn, Role};
use tower::ServiceExt as _;

use super::*;
use crate::{
    PAGES, ROWS_MAX,
    ports::{BoxFuture, Casework, Changes, NotDone, NotLetIn, Nothing, Sight, Visitors},
    view::*,
};

/// Markup in every text.
const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

fn line() -> DecisionLine {
    DecisionLine {
        id: "d-1".to_owned(),
        at: UnixNanos::from_secs(1_700_000_000),
        account: EVIL.to_owned(),
        amount: "1.5 BTC".to_owned(),
        destination: EVIL.to_owned(),
        network: Some("tron"),
        verdict: Verdict::Deny,
        reason: EVIL.to_owned(),
    }
}

fn case_line() -> CaseLine {
    CaseLine {
        id: 12,
        entity: EVIL.to_owned(),
        state: "assigned".to_owned(),
        priority: "high".to_owned(),
        expected_loss: Some("7 USDT".to_owned()),
        opened_at: UnixNanos::from_secs(1),
        deadline: UnixNanos::from_secs(2),
        is_overdue: true,
        assignee: Some(EVIL.to_owned()),
        triggers: 2,
        newest: EVIL.to_owned(),
        revision: 3,
    }
}

struct Shown;

impl Sight for Shown {
    fn live(&self) -> Live {
        Live {
            at: UnixNanos::from_secs(1_700_000_100),
            started_at: UnixNanos::from_secs(1_700_000_000),
            seconds: vec![Second { forwarded: 3, refused: 1 }; 60],
            requests: 1_234,
            forwarded: 1_000,
            refusals: vec![(EVIL.to_owned(), 234)],
            decided: [5, 1, 2, 3],
            undecided: 1,
            parts: vec![Part { name: EVIL.to_owned(), mode: Mode::Shadow, detail: EVIL.to_owned() }],
            faults: vec![EVIL.to_owned()],
            decisions: vec![line()],
            entries: 42,
            bans: 1,
        }
    }

    fn bans(&self) -> Vec<Ban> {
        vec![Ban {
            target: EVIL.to_owned(),
            reason: EVIL.to_owned(),
            evidence: vec![(EVIL.to_owned(), 3)],
            since: EVIL.to_owned(),
            until: EVIL.to_owned(),
            in_force: true,
        }]
    }

    fn lists(&self) -> Vec<List> {
        vec![List { name: EVIL.to_owned(), addresses: 7, imported_at: EVIL.to_owned() }]
    }

    fn backup(&self) -> BoxFuture<'_, Backup> {
        Box::pin(async {
            Backup {
                target: Some(EVIL.to_owned()),
                last_drill: Some(Drill {
                    ok: true,
                    entries: 1,
                    at: EVIL.to_owned(),
                    took_ms: 1,
                    detail: EVIL.to_owned(),
                }),
                ..Backup::default()
            }
        })
    }

    fn entries<'a>(
        &'a self,
        from: Option<u64>,
        kind: Option<&'a str>,
    ) -> BoxFuture<'a, Result<EntryPage, Unavailable>> {
        let kind = kind.unwrap_or_default().to_owned();
        Box::pin(async move {
            let from = from.unwrap_or(0);
            let fields = vec![(EVIL.to_owned(), EVIL.to_owned())];
            let entry = Entry { seq: from, at: EVIL.to_owned(), kind: EVIL.to_owned(), fields };
            Ok(EntryPage { entries: vec![entry], from, size: 9, kind, kinds: vec!["decision"] })
        })
    }
}

fn found() -> Found {
    let push = |logit| Push { name: EVIL.to_owned(), value: EVIL.to_owned(), logit };
    Found {
        source: "watch",
        code: EVIL.to_owned(),
        verdict: Verdict::Deny,
        shadow: true,
        message: EVIL.to_owned(),
        evidence: vec![(EVIL.to_owned(), EVIL.to_owned())],
        would_pass_if: Some(EVIL.to_owned()),
        score: Some(Score { ppm: 931_500, pushes: vec![push(2.0), push(-1.0)] }),
    }
}

fn moments() -> Vec<Moment> {
    let moment = |in_case, decision: Option<&str>| Moment {
        at: UnixNanos::from_secs(1),
        sort: "access",
        who: EVIL.to_owned(),
        what: EVIL.to_owned(),
        text: EVIL.to_owned(),
        more: vec![(EVIL.to_owned(), EVIL.to_owned())],
        tone: Tone::Warn,
        position: 4,
        decision: decision.map(str::to_owned),
        in_case,
    };
    vec![moment(true, Some(EVIL)), moment(false, None)]
}

fn links() -> Links {
    let line = LinkLine {
        kind: "device",
        name: EVIL.to_owned(),
        entity: EVIL.to_owned(),
        how: "used",
        times: 2,
        last: UnixNanos::from_secs(1),
        others: 412,
    };
    Links { lines: vec![line], more: 7 }
}

fn graph() -> Graph {
    let node = |column, href: Option<&str>| GraphNode {
        kind: "account",
        name: EVIL.to_owned(),
        href: href.map(str::to_owned),
        tone: Tone::Bad,
        column,
    };
    Graph {
        nodes: vec![node(0, Some("/console/graph?entity=account:x")), node(1, None)],
        edges: vec![GraphEdge { ends: (0, 1), how: EVIL.to_owned(), weight: 0.7 }],
        columns: vec!["it", "linked to it"],
        left_out: vec![EVIL.to_owned()],
    }
}

struct Desk;

impl Casework for Desk {
    fn decisions(&self, wanted: &DecisionFilter) -> Result<DecisionPage, Unavailable> {
        match wanted.before {
            Some(7) => Err(Unavailable(EVIL.to_owned())),
            Some(8) => Ok(DecisionPage { lines: Vec::new(), before: Some(3) }),
            _ => Ok(DecisionPage { lines: vec![line(); ROWS_MAX], before: Some(7) }),
        }
    }

    fn decision<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Explanation>, Unavailable>> {
        Box::pin(async move {
            Ok((id == "d-1").then(|| Explanation {
                line: line(),
                asked: vec![(EVIL.to_owned(), EVIL.to_owned())],
                found: vec![found()],
                position: Some(3),
            }))
        })
    }

    fn label<'a>(
        &'a self,
        actor: &'a Actor,
        decision: &'a str,
        is_fraud: bool,
    ) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(async move {
            match decision {
                "d-1" => Ok(()),
                _ => Err(NotDone(format!("{decision} {is_fraud} by {actor}, {EVIL}"))),
            }
        })
    }

    fn cases(&self, wanted: &CaseFilter) -> CasePage {
        let lines = if wanted.text.as_deref() == Some("none") { Vec::new() } else { vec![case_line()] };
        CasePage { lines, after: Some(12), open: 1, overdue: 1, now: UnixNanos::from_secs(9) }
    }

    fn case(&self, id: u64) -> Result<Option<CaseFile>, Unavailable> {
        let held = |state: &str| HeldLine {
            decision: "d-1".to_owned(),
            at: UnixNanos::from_secs(1),
            reasons: vec![EVIL.to_owned()],
            state: state.to_owned(),
            detail: EVIL.to_owned(),
            asked: Some(line()),
        };
        Ok((id == 12).then(|| CaseFile {
            line: case_line(),
            revision: 3,
            now: UnixNanos::from_secs(9),
            account: Some(EVIL.to_owned()),
            address: Some(EVIL.to_owned()),
            held: vec![held("held"), held("proposed")],
            appeals: vec![
                AppealLine {
                    id: 7,
                    at: UnixNanos::from_secs(8),
                    by: EVIL.to_owned(),
                    decision: Some("d-1".to_owned()),
                    ban: None,
                    text: EVIL.to_owned(),
                    state: "open".to_owned(),
                    answer: None,
                },
                AppealLine {
                    id: 6,
                    at: UnixNanos::from_secs(8),
                    by: "service:shop".to_owned(),
                    decision: None,
                    ban: Some(EVIL.to_owned()),
                    text: EVIL.to_owned(),
                    state: "upheld".to_owned(),
                    answer: Some((EVIL.to_owned(), EVIL.to_owned())),
                },
            ],
            moments: moments(),
            moments_in_all: 9,
            found: vec![found()],
            links: links(),
            resolution: None,
        }))
    }

    fn act(&self, actor: Actor, case: u64, revision: u64, deed: Deed) -> BoxFuture<'_, Result<(), NotDone>> {
        Box::pin(async move {
            match (case, revision) {
                (12, 3) if deed == (Deed::Note { text: actor.id().to_owned() }) => Ok(()),
                (12, 3) if deed == (Deed::Assign { to: Some(actor.id().to_owned()) }) => Ok(()),
                (12, 3) if matches!(&deed, Deed::Propose { decision, .. } if decision == "d-1") => Ok(()),
                _ => Err(NotDone(format!("{deed:?} by {actor}, {EVIL}"))),
            }
        })
    }

    fn account(&self, account: &str, wanted: &TrailFilter) -> Result<AccountFile, Nothing> {
        if account == "nobody" {
            return Err(Nothing::Unknown(EVIL.to_owned()));
        }
        Ok(AccountFile {
            account: EVIL.to_owned(),
            is_erased: account == "erased",
            moments: if wanted.sorts.is_empty() { moments() } else { Vec::new() },
            moments_in_all: 9,
            next: Some(5),
            links: links(),
            cases: vec![case_line()],
        })
    }

    fn address(
        &self,
        network: Option<&str>,
        address: &str,
        sees_customers: bool,
    ) -> Result<AddressFile, Nothing> {
        let label = LabelLine {
            text: EVIL.to_owned(),
            category: EVIL.to_owned(),
            verdict: Verdict::Deny,
            confidence: EVIL.to_owned(),
            list: EVIL.to_owned(),
            imported_at: UnixNanos::from_secs(1),
            source: EVIL.to_owned(),
            licence: String::new(),
            said: (Some(UnixNanos::from_secs(1)), None),
        };
        let exposure = |category: Option<&str>| ExposureLine {
            of: EVIL.to_owned(),
            way: "received from",
            category: category.map(str::to_owned),
            direct: 0.25,
            indirect: 0.5,
            hops: 2,
            tone: Tone::Bad,
        };
        Ok(AddressFile {
            network: network.map(str::to_owned),
            asked: address.to_owned(),
            canonical: None,
            invalid: Some(EVIL.to_owned()),
            verdict: Verdict::Deny,
            reasons: vec![EVIL.to_owned()],
            suspicions: vec![SuspicionLine {
                chain: EVIL.to_owned(),
                probability: 0.93,
                at: UnixNanos::from_secs(1),
                height: 7,
                transaction: Some(EVIL.to_owned()),
                transactions: 2,
                reasons: vec![EVIL.to_owned()],
                model: EVIL.to_owned(),
                entry: 9,
            }],
            derived: vec![DerivedLine {
                chain: EVIL.to_owned(),
                category: EVIL.to_owned(),
                confidence: 0.6,
                path: vec![(EVIL.to_owned(), EVIL.to_owned())],
                around: (2, 1),
            }],
            labels: vec![label],
            is_contradictory: true,
            seen: vec![(EVIL.to_owned(), UnixNanos::from_secs(1), UnixNanos::from_secs(0))],
            activity: vec![ActivityLine {
                of: EVIL.to_owned(),
                received: 1,
                received_amount: 2.0,
                paid: 3,
                paid_amount: 4.0,
                counterparties: 5,
            }],
            exposures: vec![exposure(Some(EVIL)), exposure(None)],
            flow: Some(graph()),
            chains: vec![(EVIL.to_owned(), EVIL.to_owned())],
            lists: vec![(EVIL.to_owned(), UnixNanos::from_secs(1), 7)],
            customers: sees_customers.then(links),
            moments: sees_customers.then(moments),
        })
    }

    fn graph(&self, entity: &str) -> Result<Neighbourhood, Nothing> {
        match entity {
            "account:nobody" => Err(Nothing::Unknown("nobody".to_owned())),
            _ => Ok(Neighbourhood { kind: "account", name: EVIL.to_owned(), href: None, graph: graph() }),
        }
    }

    fn find(&self, text: &str) -> Option<String> {
        (text == "customer-1").then(|| "/console/accounts/customer-1".to_owned())
    }

    fn rows(&self, table: Export, wanted: &ExportFilter) -> Result<Rows, Unavailable> {
        let row: Vec<String> = table.columns().iter().map(|column| format!("={column}")).collect();
        let filter = |before| {
            let decisions = DecisionFilter { before: Some(before), ..wanted.decisions.clone() };
            Some(Box::new(ExportFilter { decisions, ..ExportFilter::default() }))
        };
        match (table, wanted.decisions.before) {
            (Export::Decisions, None) => Ok(Rows { rows: vec![row; 2], next: filter(5) }),
            (Export::Decisions, Some(5)) => Ok(Rows { rows: vec![row; 2], next: filter(4) }),
            (Export::Decisions, Some(1)) => Ok(Rows { rows: vec![row; 100_000], next: filter(1) }),
            (Export::Decisions, Some(_)) => Err(Unavailable("the disk is gone".to_owned())),
            _ => Ok(Rows { rows: vec![row], next: None }),
        }
    }
}

/// One change that waits for everybody but analysts, who asked for it.
struct Asked;

impl Changes for Asked {
    fn waiting(&self, viewer: &Viewer) -> usize {
        usize::from(viewer.actor.id() != "fraud_analyst")
    }

    fn list(&self, viewer: &Viewer, all: bool) -> Vec<ChangeLine> {
        let mut lines: Vec<ChangeLine> = self.one(viewer, 42).into_iter().map(|file| file.line).collect();
        if all {
            let ended = ChangeLine { id: 7, state: "executed", waits_for_viewer: false, ..lines[0].clone() };
            lines.push(ended);
        }
        lines
    }

    fn one(&self, viewer: &Viewer, id: u64) -> Option<ChangeFile> {
        let waits = self.waiting(viewer) > 0;
        (id == 42).then(|| ChangeFile {
            line: ChangeLine {
                id,
                kind: EVIL.to_owned(),
                summary: EVIL.to_owned(),
                state: "open",
                by: EVIL.to_owned(),
                opened_at: UnixNanos::from_secs(1),
                expires_at: UnixNanos::from_secs(2),
                waits_for_viewer: waits,
            },
            reason: EVIL.to_owned(),
            needs: Capability::ApproveAccess,
            details: vec![(EVIL.to_owned(), EVIL.to_owned())],
            digest: "aa".repeat(32),
            payload_sha256: "bb".repeat(32),
            approved: Some((EVIL.to_owned(), UnixNanos::from_secs(1))),
            ended: Some((UnixNanos::from_secs(2), Some(EVIL.to_owned()), EVIL.to_owned())),
            not_yours: (!waits).then(|| EVIL.to_owned()),
            may_withdraw: !waits,
        })
    }

    fn say<'a>(&'a self, viewer: &'a Viewer, id: u64, say: Say) -> BoxFuture<'a, Result<(), NotDone>> {
        Box::pin(async move {
            match (id, say) {
                (42, Say::Approve { digest }) if digest == "aa".repeat(32) => Ok(()),
                (42, Say::Withdraw) if self.waiting(viewer) == 0 => Ok(()),
                (_, say) => Err(NotDone(format!("{say:?}, {EVIL}"))),
            }
        })
    }
}

/// A session is the name of a role.
struct Roles;

impl Visitors for Roles {
    fn enter<'a>(&'a self, link: &'a str, _: IpAddr) -> BoxFuture<'a, Result<String, NotLetIn>> {
        Box::pin(async move { if link == "good" { Ok("viewer".to_owned()) } else { Err(NotLetIn::Link) } })
    }

    fn enter_by_code<'a>(
        &'a self,
        said: CodeSignIn<'a>,
        _: IpAddr,
    ) -> BoxFuture<'a, Result<String, NotLetIn>> {
        Box::pin(async move {
            match (said.user, said.phrase, said.code) {
                ("viewer", "ABCDE", "123456") => Ok("viewer".to_owned()),
                ("viewer", "ABCDE", "000000") => Err(NotLetIn::Unrecorded),
                ("viewer", ..) => Err(NotLetIn::Code),
                _ => Err(NotLetIn::TooMany),
            }
        })
    }

    fn has_codes(&self) -> bool {
        true
    }

    fn viewer(&self, session: &str) -> Option<Viewer> {
        let actor = Actor::new(ActorKind::User, session).ok()?;
        if let Some(account) = session.strip_prefix("of:") {
            let account = Some(AccountId::parse(account).unwrap());
            return Some(Viewer { actor, capabilities: vec![Capability::OwnAccount], account });
        }
        let role = Role::named(session)?;
        Some(Viewer { actor, capabilities: role.capabilities().collect(), account: None })
    }

    fn has_passkeys(&self) -> bool {
        true
    }

    fn leave<'a>(&'a self, _session: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

fn console() -> Console {
    Console::new(Ports {
        sight: Arc::new(Shown),
        casework: Arc::new(Desk),
        operations: Arc::new(operations::Office),
        changes: Arc::new(Asked),
        own: Arc::new(own::Mine),
        rules: Arc::new(rules::Rulebook),
        webhooks: Arc::new(webhooks::Bells),
        visitors: Arc::new(Roles),
    })
}

fn asked(method: &Method, path: &str, session: Option<&str>) -> request::Builder {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "console.test");
    match session {
        Some(session) => request.header(header::COOKIE, format!("a=b; {COOKIE}={session}")),
        None => request,
    }
}

async fn answer(request: Request) -> (StatusCode, HeaderMap, String) {
    let response = console().router().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

async fn get_as(path: &str, session: Option<&str>) -> (StatusCode, HeaderMap, String) {
    answer(asked(&Method::GET, path, session).body(Body::empty()).unwrap()).await
}

/// Pages below those of the navigation, with the one they belong to.
fn all_pages() -> Vec<(String, &'static Page)> {
    let below = [
        ("/console/decisions/d-1", &pages::DECISIONS),
        ("/console/decisions?before=9", &pages::DECISIONS),
        ("/console/audit?from=3", &pages::AUDIT),
        ("/console/audit?from=&kind=%3Cscript%3E", &pages::AUDIT),
        ("/console/cases/12", &pages::CASES),
        ("/console/cases?all=1", &pages::CASES),
        ("/console/keys/k-1", &pages::KEYS),
        ("/console/keys?account=x", &pages::KEYS),
        ("/console/rules/source", &pages::RULES),
        ("/console/rules/source?of=0abc", &pages::RULES),
        ("/console/rules/versions/0abc", &pages::RULES),
        ("/console/models/0def", &pages::MODELS),
        ("/console/webhooks/siem", &pages::WEBHOOKS),
        (
            "/console/cases?q=%3Cscript%3E&state=open&priority=high&about=account&assignee=me&after=3",
            &pages::CASES,
        ),
        ("/console/cases?q=none", &pages::CASES),
        ("/console/changes?all=1", &pages::CHANGES),
        ("/console/changes/42", &pages::CHANGES),
        ("/console/decisions?before=8&verdict=hold&account=x&q=%22%3E%3Cimg", &pages::DECISIONS),
        ("/console/accounts/customer-1", &pages::GRAPH),
        ("/console/accounts/customer-1?only=trade,money&from=3", &pages::GRAPH),
        ("/console/accounts/erased", &pages::GRAPH),
        ("/console/graph?entity=account:customer-1", &pages::GRAPH),
        ("/console/addresses/tron/T1", &pages::ADDRESSES),
        ("/console/addresses/any/%3Cscript%3Ealert(1)", &pages::ADDRESSES),
    ];
    let listed = PAGES.iter().map(|page| (page.path.to_owned(), page));
    listed.chain(below.into_iter().map(|(path, page)| (path.to_owned(), page))).collect()
}

#[tokio::test]
async fn each_page_is_shown_to_those_whose_role_has_its_capability_and_to_nobody_else() {
    for (path, page) in all_pages() {
        for role in Role::ALL {
            let (status, _, body) = get_as(&path, Some(role.as_str())).await;
            let may = role.capabilities().any(|capability| capability == page.capability);
            let expected = if may { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(status, expected, "{path} as {}", role.as_str());
            // The navigation offers what may be seen, and nothing else.
            for listed in PAGES {
                let offered = body.contains(&format!("href=\"{}\"", listed.path))
                    || (listed.path == "/console" && body.contains("<nav"));
                let may = role.capabilities().any(|capability| capability == listed.capability);
                assert_eq!(offered, may, "{} on {path} as {}", listed.path, role.as_str());
            }
        }
        for stranger in [None, Some("nobody"), Some("")] {
            let (status, _, body) = get_as(&path, stranger).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(!body.contains("1.5 BTC") && !body.contains("<nav"), "{path} tells a stranger something");
        }
    }
    let (status, ..) = get_as("/console/live", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn decisions_on_the_live_page_are_for_those_who_may_read_decisions() {
    let (_, _, sre) = get_as("/console", Some("sre")).await;
    let (_, _, viewer) = get_as("/console", Some("viewer")).await;
    assert!(!sre.contains("1.5 BTC") && viewer.contains("1.5 BTC"));
}

#[tokio::test]
async fn markup_in_any_text_stays_text_and_nothing_is_inline() {
    for (path, _) in all_pages() {
        for role in ["viewer", "security_engineer", "compliance_officer"] {
            let (_, headers, body) = get_as(&path, Some(role)).await;
            assert!(!body.contains("<img src=x") && !body.contains("<script>"), "{path}");
            for inline in [" style=", " onclick=", " onerror=alert", " hx-on", "javascript:"] {
                let in_text = body.replace("onerror=alert(2)&gt;", "");
                assert!(!in_text.contains(inline), "{path} has {inline}");
            }
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
            assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
            assert_eq!(
                body.matches("<script ").count(),
                body.matches(&format!("nonce=\"{nonce}\"></script>")).count()
            );
            assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        }
    }
}

#[tokio::test]
async fn each_answer_has_a_nonce_of_its_own() {
    let nonce = async || get_as("/console", Some("viewer")).await.1[header::CONTENT_SECURITY_POLICY].clone();
    assert_ne!(nonce().await, nonce().await);
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_shown_say_so() {
    for (path, status, words) in [
        ("/console/decisions/none", StatusCode::NOT_FOUND, "No decision has this id."),
        ("/console/decisions?before=x", StatusCode::NOT_FOUND, "no page of decisions"),
        ("/console/decisions?before=7", StatusCode::SERVICE_UNAVAILABLE, "&lt;script&gt;"),
        ("/console/decisions?verdict=maybe", StatusCode::NOT_FOUND, "no page of decisions"),
        ("/console/cases?state=lost", StatusCode::NOT_FOUND, "no list of cases"),
        ("/console/cases?after=x", StatusCode::NOT_FOUND, "no list of cases"),
        ("/console/accounts/nobody", StatusCode::NOT_FOUND, "&lt;script&gt;"),
        ("/console/accounts/x?only=lies", StatusCode::NOT_FOUND, "no page of a customer"),
        ("/console/graph?entity=account:nobody", StatusCode::NOT_FOUND, "nobody"),
        ("/console/find?q=somebody", StatusCode::NOT_FOUND, "Nothing found"),
        ("/console/export/people.csv", StatusCode::NOT_FOUND, "no such table"),
        ("/console/audit?from=-1", StatusCode::NOT_FOUND, "from is a number"),
        ("/console/none", StatusCode::NOT_FOUND, "no page under this address"),
    ] {
        let (got, _, body) = get_as(path, Some("viewer")).await;
        assert!(got == status && body.contains(words), "{path}: {got}");
    }
    assert_eq!(get_as("/console/assets/console.css", None).await.0, StatusCode::NOT_FOUND);
    let (status, headers, body) = get_as(assets::style(), None).await;
    assert!(status == StatusCode::OK && body.contains("color-scheme"));
    assert_eq!(headers[header::CACHE_CONTROL], IMMUTABLE);
}

#[tokio::test]
async fn a_link_lets_in_once_it_is_posted_from_the_page_itself() {
    // Following the link only shows the button.
    let (status, headers, body) = get_as("/console/enter?link=good", None).await;
    assert!(
        status == StatusCode::OK
            && body.contains("value=\"good\"")
            && !headers.contains_key(header::SET_COOKIE)
    );

    let send = async |link: &str, name: &str, value: &str| {
        let request = asked(&Method::POST, "/console/enter", None)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(name, value)
            .body(Body::from(format!("link={link}")))
            .unwrap();
        let (status, headers, _) = answer(request).await;
        (status, headers.get(header::SET_COOKIE).map(|cookie| cookie.to_str().unwrap().to_owned()))
    };
    let (status, cookie) = send("good", "sec-fetch-site", "same-origin").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(
        cookie.as_deref(),
        Some("__Host-caponier-link=viewer; Path=/; Secure; HttpOnly; SameSite=Strict")
    );
    assert_eq!(send("good", "origin", "https://console.test").await.0, StatusCode::SEE_OTHER);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.test"),
        ("origin", "null"),
        ("x-other", ""),
    ] {
        assert_eq!(send("good", name, value).await, (StatusCode::FORBIDDEN, None), "{name}: {value}");
    }
    assert_eq!(send("bad", "sec-fetch-site", "same-origin").await, (StatusCode::FORBIDDEN, None));
    let long = "x".repeat(SECRET_BYTES_MAX + 1);
    assert_eq!(send(&long, "sec-fetch-site", "same-origin").await, (StatusCode::FORBIDDEN, None));
}

#[tokio::test]
async fn leaving_takes_the_cookie_away_and_only_from_the_page_itself() {
    let leave = async |site: &str| {
        let request = asked(&Method::POST, "/console/leave", Some("viewer"))
            .header("sec-fetch-site", site)
            .body(Body::empty())
            .unwrap();
        answer(request).await
    };
    let (status, headers, _) = leave("same-origin").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(leave("cross-site").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_live_page_streams_whole_states_and_ends_when_the_product_stops() {
    let console = console();
    let request = asked(&Method::GET, "/console/live", Some("viewer")).body(Body::empty()).unwrap();
    let response = console.router().oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let first = std::str::from_utf8(&first).unwrap();
    assert!(first.starts_with("data:") && first.ends_with("\n\n") && first.matches('\n').count() == 2);
    assert!(!first.contains("hx-"));
    console.close();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
    }
    let request = asked(&Method::GET, "/console/live", Some("viewer")).body(Body::empty()).unwrap();
    let refused = console.router().oneshot(request).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// htmx 4 is young; what is used of it could be written anew in an afternoon.
#[test]
fn templates_use_a_small_part_of_htmx() {
    let sources = [
        include_str!("../layout.rs"),
        include_str!("../pages.rs"),
        include_str!("../pages/accounts.rs"),
        include_str!("../pages/address.rs"),
        include_str!("../pages/audit.rs"),
        include_str!("../pages/backups.rs"),
        include_str!("../pages/bans.rs"),
        include_str!("../pages/cases.rs"),
        include_str!("../pages/decisions.rs"),
        include_str!("../pages/graph.rs"),
        include_str!("../pages/lists.rs"),
        include_str!("../pages/live.rs"),
        include_str!("../pages/moments.rs"),
        include_str!("../svg/bars.rs"),
        include_str!("../svg/layers.rs"),
    ];
    for word in
        sources.iter().flat_map(|source| source.split_whitespace()).filter(|word| word.starts_with("hx-"))
    {
        let name = word.split('=').next().unwrap();
        assert!(["hx-sse:connect", "hx-swap", "hx-nonce"].contains(&name), "{name}");
    }
}

#[tokio::test]
async fn a_form_of_a_case_does_what_the_role_may_and_says_why_not() {
    let send = async |role: &str, site: &str, form: &str| {
        let request = asked(&Method::POST, "/console/cases/12", Some(role))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .body(Body::from(form.to_owned()))
            .unwrap();
        let (status, headers, body) = answer(request).await;
        (status, headers.get(header::LOCATION).cloned(), body)
    };
    let note = "revision=3&deed=note&text=fraud_analyst";
    let (status, location, _) = send("fraud_analyst", "same-origin", note).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(location.unwrap().to_str().unwrap(), "/console/cases/12");
    assert_eq!(send("fraud_analyst", "cross-site", note).await.0, StatusCode::FORBIDDEN);
    // Who only looks does not write, whatever they send; who works does not approve.
    assert_eq!(send("viewer", "same-origin", note).await.0, StatusCode::FORBIDDEN);
    let approve = "revision=3&deed=approve&decision=d-1";
    assert_eq!(send("fraud_analyst", "same-origin", approve).await.0, StatusCode::FORBIDDEN);
    let (status, _, body) = send("approver", "same-origin", approve).await;
    assert!(status == StatusCode::CONFLICT && body.contains("by user:approver"), "{status}");
    assert!(!body.contains("<script>"));
    // Somebody was faster: told so, with the case as it is by now.
    let late = "revision=2&deed=note&text=fraud_analyst";
    let (status, _, body) = send("fraud_analyst", "same-origin", late).await;
    assert!(status == StatusCode::CONFLICT && body.contains("Not done") && body.contains("value=\"3\""));
    for form in
        ["", "deed=note&text=x", "revision=3&deed=drop", "revision=x&deed=note", "revision=3&deed=resolve"]
    {
        assert_eq!(send("fraud_analyst", "same-origin", form).await.0, StatusCode::BAD_REQUEST, "{form}");
    }
}

#[tokio::test]
async fn forms_are_offered_to_those_who_may_use_them() {
    for (role, offered) in [
        ("viewer", [false, false, false]),
        ("fraud_analyst", [true, false, true]),
        ("approver", [false, true, false]),
        ("compliance_officer", [true, true, true]),
    ] {
        let (_, _, body) = get_as("/console/cases/12", Some(role)).await;
        let deeds = ["propose", "approve", "resolve"];
        assert_eq!(deeds.map(|deed| body.contains(&format!("value=\"{deed}\""))), offered, "{role}");
    }
}

#[tokio::test]
async fn a_change_is_approved_by_the_digest_that_was_shown_from_a_page_of_the_console() {
    let send = async |role: &str, site: &str, form: &str| {
        let request = asked(&Method::POST, "/console/changes/42", Some(role))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", site)
            .body(Body::from(form.to_owned()))
            .unwrap();
        let (status, _, body) = answer(request).await;
        (status, body)
    };
    let approve = format!("say=approve&digest={}", "aa".repeat(32));
    assert_eq!(send("approver", "same-origin", &approve).await.0, StatusCode::SEE_OTHER);
    assert_eq!(send("approver", "cross-site", &approve).await.0, StatusCode::FORBIDDEN);
    assert_eq!(send("viewer", "same-origin", &approve).await.0, StatusCode::FORBIDDEN);
    let (status, body) = send("approver", "same-origin", "say=approve&digest=bb").await;
    assert!(status == StatusCode::CONFLICT && body.contains("Not done") && !body.contains("<script>"));
    assert_eq!(send("fraud_analyst", "same-origin", "say=withdraw").await.0, StatusCode::SEE_OTHER);
    for form in ["say=approve", "say=decline", "say=x", "digest=aa", "say=approve&digest=aa&reason=b"] {
        assert_eq!(send("approver", "same-origin", form).await.0, StatusCode::BAD_REQUEST, "{form}");
    }
    // Forms are there for whom they are meant, and what waits is counted on every page.
    for (role, offered, waiting) in
        [("approver", [true, true, false], true), ("fraud_analyst", [false, false, true], false)]
    {
        let (_, _, body) = get_as("/console/changes/42", Some(role)).await;
        let says = ["approve", "decline", "withdraw"];
        assert_eq!(says.map(|say| body.contains(&format!("value=\"{say}\""))), offered, "{role}");
        let (_, _, body) = get_as("/console", Some(role)).await;
        assert_eq!(body.contains("1 waiting"), waiting, "{role}");
    }
    assert!(!get_as("/console", Some("viewer")).await.2.contains("waiting"));
}

#[tokio::test]
async fn what_somebody_types_leads_to_its_page_for_those_who_may_look_for_it() {
    let (status, headers, _) = get_as("/console/find?q=%20customer-1%20", Some("viewer")).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], "/console/accounts/customer-1");
    // That somebody is a customer is nothing for an auditor.
    assert_eq!(get_as("/console/find?q=customer-1", Some("auditor")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(get_as("/console/find?q=customer-1", None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn customers_of_an_address_are_shown_to_those_who_may_see_customers() {
    let path = "/console/addresses/tron/T1";
    let (_, _, body) = get_as(path, Some("aml_analyst")).await;
    assert!(body.contains("Our customers") && body.contains("History"));
    for role in Role::ALL {
        let (status, _, body) = get_as(path, Some(role.as_str())).await;
        let may = role.capabilities().any(|capability| capability == Capability::ReadCases);
        assert!(status != StatusCode::OK || body.contains("Our customers") == may, "{}", role.as_str());
    }
}

async fn bulk(role: &str, site: &str, form: &str) -> (StatusCode, String) {
    let request = asked(&Method::POST, "/console/cases/bulk", Some(role))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("sec-fetch-site", site)
        .body(Body::from(form.to_owned()))
        .unwrap();
    let (status, _, body) = answer(request).await;
    (status, body)
}

#[tokio::test]
async fn several_cases_at_once_each_tell_what_came_of_them() {
    // One is as it was, one has changed since, one was never there.
    let form = "case=12.3&case=12.2&case=99.0&deed=note&text=fraud_analyst&back=%2Fconsole%2Fcases%3Fq%3Dx";
    let (status, body) = bulk("fraud_analyst", "same-origin", form).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("1 done, 2 not") && body.contains("href=\"/console/cases?q=x\""), "{body}");
    assert!(!body.contains("<script>"));
    let (_, body) = bulk("fraud_analyst", "same-origin", "case=12.3&deed=assign").await;
    assert!(body.contains("1 done."), "{body}");
    // Proposals are made for what waits; agreeing is left to whoever looks at each.
    let (_, body) = bulk("fraud_analyst", "same-origin", "case=12.3&deed=propose&text=x").await;
    assert!(body.contains("one release proposed"), "{body}");
    let (status, _) = bulk("compliance_officer", "same-origin", "case=12.3&deed=approve&text=x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_bulk_form_without_a_reason_a_right_or_an_origin_does_nothing() {
    let note = "case=12.3&deed=note&text=fraud_analyst";
    assert_eq!(bulk("fraud_analyst", "cross-site", note).await.0, StatusCode::FORBIDDEN);
    for role in ["viewer", "approver", "admin"] {
        assert_eq!(bulk(role, "same-origin", note).await.0, StatusCode::FORBIDDEN, "{role}");
    }
    for (form, says) in [
        ("case=12.3&deed=note&text=%20", "Say why"),
        ("deed=note&text=x", "Choose at least one"),
        ("case=12.3&deed=resolve&text=x", "Choose what it was"),
        ("case=12&deed=note&text=x", "none of this page"),
        ("case=12.3&deed=note&text=x&more=1", "none of this page"),
        ("case=12.3&deed=drop&text=x", "none of this page"),
    ] {
        let (status, body) = bulk("fraud_analyst", "same-origin", form).await;
        assert!(status == StatusCode::BAD_REQUEST && body.contains(says), "{form}: {status}");
    }
    // A way back leads nowhere but to a list.
    let away = "case=12.3&deed=assign&back=https%3A%2F%2Fevil.test";
    let (_, body) = bulk("fraud_analyst", "same-origin", away).await;
    assert!(!body.contains("evil.test"));
}

#[tokio::test]
async fn tables_are_taken_away_by_those_who_see_their_page_without_formulas_and_to_the_end() {
    for role in Role::ALL {
        for (file, page) in
            [("cases.csv", &pages::CASES), ("alerts.ndjson", &pages::CASES), ("bans.csv", &pages::BANS)]
        {
            let (status, ..) = get_as(&format!("/console/export/{file}"), Some(role.as_str())).await;
            let may = role.capabilities().any(|capability| capability == page.capability);
            assert_eq!(status == StatusCode::OK, may, "{file} as {}", role.as_str());
        }
    }
    let (_, headers, body) = get_as("/console/export/bans.csv", Some("sre")).await;
    assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment; filename=\"caponier-bans.csv\"");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let lines: Vec<&str> = body.split("\r\n").collect();
    assert_eq!(lines[0], "target,reason,since,until,in_force,evidence");
    assert!(lines[1].starts_with("\"'=target\",\"'=reason\""), "{body}");
    // Two parts, and then the disk is gone: what was sent says that it is not all.
    let (status, _, body) = get_as("/console/export/decisions.ndjson?verdict=hold", Some("viewer")).await;
    let lines: Vec<serde_json::Value> =
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((status, lines.len()), (StatusCode::OK, 5));
    assert_eq!(lines[0]["verdict"], "=verdict");
    assert_eq!(lines[4]["incomplete"], "the disk is gone");
    // A table without an end has one.
    let (_, _, body) = get_as("/console/export/decisions.csv?before=1", Some("viewer")).await;
    let lines: Vec<&str> = body.trim_end().split("\r\n").collect();
    assert_eq!(lines.len(), 1 + 200_000 + 1);
    assert!(lines.last().unwrap().contains("cut off after 200000 rows"));
    assert_eq!(
        get_as("/console/export/decisions.csv?before=x", Some("viewer")).await.0,
        StatusCode::NOT_FOUND
    );
}
