//! The calls about cases: what each is, what it needs, what it answers.

use axum::{extract::Request, http::Method};
use domain::Actor;
use fraud::cases::CaseError;
use serde_json::Value;

use super::{CasesError, alert_query, alerts_json, ask, case_id, case_json, case_query, cases_json};
use crate::{
    Permission,
    limits::CASE_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    route::{Action, App, Route, read_body, segment},
};

/// A call about cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseCall {
    /// Lists alerts.
    Alerts,
    /// Streams alerts as they come.
    AlertStream,
    /// Approves a proposal.
    Approve,
    /// Says who works on it.
    Assign,
    /// Takes a proposal back, or refuses it.
    Decline,
    /// Lists cases.
    List,
    /// Adds a note.
    Note,
    /// Proposes to release a held withdrawal.
    Propose,
    /// Says what it turned out to be.
    Resolve,
    /// Shows a case.
    Show,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/alerts",
        permission: Permission::ReadCases,
        action: Action::Case(CaseCall::Alerts),
    },
    Route {
        method: Method::GET,
        path: "/v1/alerts/stream",
        permission: Permission::ReadCases,
        action: Action::Case(CaseCall::AlertStream),
    },
    Route {
        method: Method::GET,
        path: "/v1/cases",
        permission: Permission::ReadCases,
        action: Action::Case(CaseCall::List),
    },
    Route {
        method: Method::GET,
        path: "/v1/cases/{case}",
        permission: Permission::ReadCases,
        action: Action::Case(CaseCall::Show),
    },
    Route {
        method: Method::POST,
        path: "/v1/cases/{case}/assign",
        permission: Permission::WorkCases,
        action: Action::Case(CaseCall::Assign),
    },
    Route {
        method: Method::POST,
        path: "/v1/cases/{case}/notes",
        permission: Permission::WorkCases,
        action: Action::Case(CaseCall::Note),
    },
    Route {
        method: Method::POST,
        path: "/v1/cases/{case}/propose",
        permission: Permission::WorkCases,
        action: Action::Case(CaseCall::Propose),
    },
    Route {
        method: Method::POST,
        path: "/v1/cases/{case}/approve",
        permission: Permission::ApproveReleases,
        action: Action::Case(CaseCall::Approve),
    },
    Route {
        method: Method::POST,
        path: "/v1/cases/{case}/decline",
        permission: Permission::WorkCases,
        action: Action::Case(CaseCall::Decline),
    },
    Route {
        method: Method::POST,
        path: "/v1/cases/{case}/resolve",
        permission: Permission::WorkCases,
        action: Action::Case(CaseCall::Resolve),
    },
];

pub(crate) async fn serve(
    app: &App,
    call: CaseCall,
    actor: Actor,
    request: Request,
) -> Result<Value, Problem> {
    let port = &*app.ports().cases;
    let uri = request.uri().clone();
    let id = || {
        let unknown = || Problem::new(Kind::NotFound, "no case has this id");
        case_id(segment(&uri, 3)).ok_or_else(unknown)
    };
    match call {
        CaseCall::Alerts => {
            let query = alert_query(&uri)?;
            let alerts = port.alerts(query.what, query.max);
            Ok(alerts_json(&alerts, alerts.len() == query.max))
        }
        CaseCall::List => {
            let query = case_query(&uri)?;
            let (filter, order) = query.what;
            let files = port.cases(&filter, order, query.max).map_err(|error| case_problem(&error))?;
            Ok(cases_json(&files, files.len() == query.max))
        }
        CaseCall::Show => {
            let file = port.case(id()?).map_err(|error| case_problem(&error))?;
            Ok(case_json(&file))
        }
        _ => {
            let id = id()?;
            let body = read_body(request, CASE_BODY_BYTES_MAX).await?;
            let (revision, ask) = ask(call, &body, |text| port.decision(text))
                .map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
            let done = port.act(actor, id, Some(revision), ask).await;
            done.map(|file| case_json(&file)).map_err(|error| case_problem(&error))
        }
    }
}

pub(crate) fn case_problem(error: &CasesError) -> Problem {
    let kind = match error {
        CasesError::Busy { retry_after } => return Problem::busy(*retry_after),
        CasesError::Unavailable { .. } => {
            tracing::error!(%error, "a case was not changed");
            let detail = "look at the case again: it may have been changed or not";
            return Problem::new(Kind::Unavailable, detail);
        }
        CasesError::UnknownBan
        | CasesError::UnknownDecision
        | CasesError::Case(
            CaseError::NotFound { .. } | CaseError::UnknownAppeal { .. } | CaseError::UnknownDecision { .. },
        ) => Kind::NotFound,
        CasesError::Case(
            CaseError::NotAPerson { .. } | CaseError::OwnAppeal { .. } | CaseError::OwnProposal { .. },
        ) => Kind::FourEyes,
        CasesError::NotAppealable { .. }
        | CasesError::Case(
            CaseError::Answered { .. } | CaseError::AppealOpen { .. } | CaseError::TooManyAppeals,
        ) => Kind::AppealConflict,
        CasesError::Case(CaseError::Malformed) => Kind::InvalidRequest,
        CasesError::Case(_) => Kind::CaseConflict,
    };
    Problem::new(kind, error.to_string())
}
