//! The pages of cases, and what is done there.

use axum::{
    Router,
    extract::{
        Form, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use domain::Actor;
use identity::Capability;
use maud::html;
use serde::Deserialize;

use super::{Console, Visit};
use crate::{
    ROWS_MAX,
    headers::{Nonce, secure},
    pages::{self, cases},
    ports::Casework,
    view::{CaseFilter, Deed},
};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/cases", get(case_list))
        .route("/console/cases/bulk", post(bulk))
        .route("/console/cases/{id}", get(case).post(act))
}

/// Longest text that a filter takes, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 160;
/// Most cases that one form does something with.
const BULK_MAX: usize = ROWS_MAX;

/// What the address of a list says.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Which {
    all: String,
    state: String,
    priority: String,
    about: String,
    source: String,
    assignee: String,
    q: String,
    after: String,
}

/// A field that was filled in, within what fields take.
pub(super) fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.chars().take(TEXT_CHARS_MAX).collect())
}

impl Which {
    /// `None` for an address that no page leads to.
    pub(super) fn filter(self) -> Option<CaseFilter> {
        let one_of = |text: &str, known: &[&str]| match filled(text) {
            None => Some(None),
            Some(text) => known.contains(&text.as_str()).then_some(Some(text)),
        };
        Some(CaseFilter {
            all: !self.all.is_empty(),
            state: one_of(&self.state, &cases::STATES)?,
            priority: one_of(&self.priority, &cases::PRIORITIES)?,
            about: one_of(&self.about, &cases::ABOUT)?,
            source: one_of(&self.source, &cases::SOURCES)?,
            assignee: filled(&self.assignee),
            text: filled(&self.q),
            after: match filled(&self.after) {
                None => None,
                Some(after) => Some(after.parse().ok()?),
            },
        })
    }
}

async fn case_list(
    State(console): State<Console>,
    query: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let visit = match console.admit(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    match query.ok().and_then(|Query(which)| which.filter()) {
        Some(wanted) => {
            let page = console.0.ports.casework.cases(&wanted);
            visit.answer(pages::CASES.name, &cases::list(&page, &wanted, &visit.viewer))
        }
        None => visit.missing("The address names no list of cases."),
    }
}

async fn case(State(console): State<Console>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let visit = match console.admit(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    shown(&visit, &console, &id, StatusCode::OK, None)
}

/// A case as it is now, with what came of the last form.
fn shown(visit: &Visit, console: &Console, id: &str, status: StatusCode, says: Option<&str>) -> Response {
    let found = id.parse().map_or(Ok(None), |id| console.0.ports.casework.case(id));
    match found {
        Ok(Some(file)) => visit.answer_with(status, "Case", &cases::one(&file, &visit.viewer, says)),
        Ok(None) => visit.missing("There is no such case, or it was forgotten."),
        Err(error) => visit.unavailable(&error),
    }
}

/// What a form of a case says.
#[derive(Deserialize)]
struct Act {
    revision: u64,
    deed: String,
    decision: Option<String>,
    appeal: Option<u64>,
    outcome: Option<String>,
    disposition: Option<String>,
    text: Option<String>,
}

impl Act {
    /// What is to be done to which revision, and what it takes; `None` for a form no page has.
    fn deed(self) -> Option<(u64, Deed, Capability)> {
        let text = self.text.unwrap_or_default().trim().to_owned();
        let (deed, needs) = match (self.deed.as_str(), self.decision) {
            ("approve", Some(decision)) => (Deed::Approve { decision }, Capability::ApproveReleases),
            ("decline", Some(decision)) => (Deed::Decline { decision, reason: text }, Capability::WorkCases),
            ("propose", Some(decision)) => (Deed::Propose { decision, reason: text }, Capability::WorkCases),
            ("answer", None) => {
                let deed = Deed::Answer { appeal: self.appeal?, outcome: self.outcome?, reason: text };
                (deed, Capability::WorkCases)
            }
            ("assign", None) => {
                (Deed::Assign { to: Some(text).filter(|to| !to.is_empty()) }, Capability::WorkCases)
            }
            ("note", None) => (Deed::Note { text }, Capability::WorkCases),
            ("resolve", None) => {
                (Deed::Resolve { disposition: self.disposition?, reason: text }, Capability::WorkCases)
            }
            _ => return None,
        };
        Some((self.revision, deed, needs))
    }
}

async fn act(
    State(console): State<Console>,
    Path(id): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let asked = form.ok().and_then(|Form(act)| act.deed());
    let (Ok(number), Some((revision, deed, needs))) = (id.parse::<u64>(), asked) else {
        return shown(&visit, &console, &id, StatusCode::BAD_REQUEST, Some("The form is none of this page."));
    };
    if !visit.viewer.may(needs) {
        let says = format!("This needs {}, which none of your roles has.", needs.as_str());
        return shown(&visit, &console, &id, StatusCode::FORBIDDEN, Some(&says));
    }
    match console.0.ports.casework.act(visit.viewer.actor.clone(), number, revision, deed).await {
        Ok(()) => {
            let mut response = Redirect::to(&format!("/console/cases/{number}")).into_response();
            secure(response.headers_mut(), &Nonce::fresh());
            response
        }
        Err(error) => {
            shown(&visit, &console, &id, StatusCode::CONFLICT, Some(&format!("Not done: {error}.")))
        }
    }
}

/// What is done with several cases at once.
#[derive(Default)]
struct Bulk {
    deed: String,
    text: String,
    disposition: String,
    back: String,
    /// Cases, each at the revision that the list showed.
    cases: Vec<(u64, u64)>,
}

impl Bulk {
    /// `None` for a form no page has.
    fn of(fields: Vec<(String, String)>) -> Option<Self> {
        let mut bulk = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "deed" => bulk.deed = value,
                "text" => value.trim().clone_into(&mut bulk.text),
                "disposition" => bulk.disposition = value,
                "back" => bulk.back = value,
                "case" if bulk.cases.len() < BULK_MAX => {
                    let (case, revision) = value.split_once('.')?;
                    bulk.cases.push((case.parse().ok()?, revision.parse().ok()?));
                }
                _ => return None,
            }
        }
        // A way back leads to a list, and nowhere else.
        if !bulk.back.starts_with("/console/cases") || bulk.back.contains('\\') {
            "/console/cases".clone_into(&mut bulk.back);
        }
        Some(bulk)
    }

    /// What is to be done with each case, or what the form lacks. Agreeing to a release is not among it: who agrees looks at what
    /// they agree to.
    fn deed(&self, me: &str) -> Result<Deed, &'static str> {
        if self.cases.is_empty() {
            return Err("Choose at least one case.");
        }
        if self.deed != "assign" && self.text.is_empty() {
            return Err("Say why: the reason is written into every case.");
        }
        let text = || self.text.clone();
        Ok(match self.deed.as_str() {
            "assign" => Deed::Assign { to: Some(me.to_owned()) },
            "note" => Deed::Note { text: text() },
            "propose" => Deed::Propose { decision: String::new(), reason: text() },
            "resolve" if self.disposition.is_empty() => return Err("Choose what it was."),
            "resolve" => Deed::Resolve { disposition: self.disposition.clone(), reason: text() },
            _ => return Err("The form is none of this page."),
        })
    }
}

/// Does one thing with several cases, one after the other, and tells what came of each.
async fn bulk(
    State(console): State<Console>,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let visit = match console.admit_form(&pages::CASES, &headers) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let refused = |status, says: &str| {
        let text = html! { h1 { "Nothing was done" } p.card.notice.bad role="alert" { (says) } p { a href="/console/cases" { "Back to the list" } } };
        visit.answer_with(status, "Nothing was done", &text)
    };
    if !visit.viewer.may(Capability::WorkCases) {
        return refused(StatusCode::FORBIDDEN, "This needs work_cases, which none of your roles has.");
    }
    let Some(bulk) = form.ok().and_then(|Form(fields)| Bulk::of(fields)) else {
        return refused(StatusCode::BAD_REQUEST, "The form is none of this page.");
    };
    let deed = match bulk.deed(visit.viewer.actor.id()) {
        Ok(deed) => deed,
        Err(says) => return refused(StatusCode::BAD_REQUEST, says),
    };
    let casework = &console.0.ports.casework;
    let mut done = Vec::with_capacity(bulk.cases.len());
    for (case, revision) in &bulk.cases {
        let actor = visit.viewer.actor.clone();
        let result = match &deed {
            Deed::Propose { reason, .. } => propose(&**casework, &actor, *case, *revision, reason).await,
            deed => casework
                .act(actor, *case, *revision, deed.clone())
                .await
                .map(|()| "written into the case".to_owned())
                .map_err(|error| error.to_string()),
        };
        done.push((*case, result));
    }
    visit.answer("Done", &cases::outcome(&bulk.deed, &done, &bulk.back))
}

/// Proposes the release of every withdrawal of a case that waits for a proposal.
async fn propose(
    casework: &dyn Casework,
    actor: &Actor,
    case: u64,
    revision: u64,
    reason: &str,
) -> Result<String, String> {
    let file = casework.case(case).map_err(|error| error.to_string())?;
    let file = file.ok_or("there is no such case")?;
    let waiting = file.held.iter().filter(|held| matches!(held.state.as_str(), "held" | "expired"));
    let (mut revision, mut proposed) = (revision, 0_usize);
    for held in waiting {
        let deed = Deed::Propose { decision: held.decision.clone(), reason: reason.to_owned() };
        match casework.act(actor.clone(), case, revision, deed).await {
            // Each change is a revision more; if somebody else was in between, the next one is refused.
            Ok(()) => (revision, proposed) = (revision + 1, proposed + 1),
            Err(error) if proposed == 0 => return Err(error.to_string()),
            Err(error) => return Err(format!("{proposed} proposed, then: {error}")),
        }
    }
    match proposed {
        0 => Err("no withdrawal waits for a proposal".to_owned()),
        1 => Ok("one release proposed; a second person decides".to_owned()),
        n => Ok(format!("{n} releases proposed; a second person decides")),
    }
}
