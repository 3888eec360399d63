//! Third-party apps: the exchange's own consent page asks here, and tells what the customer said.

use auth::oauth::{ConsentError, grant_number};
use axum::{
    extract::Request,
    http::{Method, Uri},
};
use domain::ApiKeyId;
use serde_json::{Value, json};

use crate::{
    Consents, GrantError, Permission,
    limits::CONSENT_BODY_BYTES_MAX,
    problem::{Kind, Problem},
    route::{Action, App, Route, read_body, segment},
    wire::{self, Answer, Fault},
};

/// A call about third-party apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppCall {
    /// Takes a customer's answer to an app.
    Answer,
    /// Says what an app asks for.
    Ask,
    /// Lists what a customer has granted.
    ListGrants,
    /// Ends a grant.
    RevokeGrant,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/oauth/authorizations/{handle}",
        permission: Permission::ApproveOauth,
        action: Action::App(AppCall::Ask),
    },
    Route {
        method: Method::POST,
        path: "/v1/oauth/authorizations/{handle}",
        permission: Permission::ApproveOauth,
        action: Action::App(AppCall::Answer),
    },
    Route {
        method: Method::POST,
        path: "/v1/oauth/grants",
        permission: Permission::ApproveOauth,
        action: Action::App(AppCall::ListGrants),
    },
    Route {
        method: Method::POST,
        path: "/v1/oauth/grants/{grant}/revoke",
        permission: Permission::ApproveOauth,
        action: Action::App(AppCall::RevokeGrant),
    },
];

pub(crate) async fn serve(app: &App, call: AppCall, request: Request) -> Result<Value, Problem> {
    match call {
        AppCall::Answer => answer_app(app, request).await,
        AppCall::Ask => ask_for_app(app, request.uri()),
        AppCall::ListGrants => list_grants(app, request).await,
        AppCall::RevokeGrant => revoke_grant(app, request).await,
    }
}

fn consents(app: &App) -> Result<&dyn Consents, Problem> {
    let none = || Problem::new(Kind::NotFound, "no apps are served: oauth.issuer is not configured");
    app.ports().consents.as_deref().ok_or_else(none)
}

fn ask_for_app(app: &App, uri: &Uri) -> Result<Value, Problem> {
    let view = consents(app)?.view(segment(uri, 4)).map_err(|error| grant_problem(&error))?;
    Ok(wire::view_json(&view))
}

async fn answer_app(app: &App, request: Request) -> Result<Value, Problem> {
    let consents = consents(app)?;
    let uri = request.uri().clone();
    let handle = segment(&uri, 4);
    let body = read_body(request, CONSENT_BODY_BYTES_MAX).await?;
    let answer = wire::answer(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let redirect = match answer {
        Answer::Deny => consents.deny(handle),
        Answer::Approve(approval) => {
            let view = consents.view(handle);
            view.and_then(|view| consents.approve(handle, approval.of(view.scopes)))
        }
    };
    redirect.map(|redirect| json!({ "redirect": redirect })).map_err(|error| grant_problem(&error))
}

async fn list_grants(app: &App, request: Request) -> Result<Value, Problem> {
    let consents = consents(app)?;
    let body = read_body(request, CONSENT_BODY_BYTES_MAX).await?;
    let account = wire::account_of(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    Ok(wire::grants_json(&consents.grants(&account)))
}

async fn revoke_grant(app: &App, request: Request) -> Result<Value, Problem> {
    let consents = consents(app)?;
    let number = ApiKeyId::parse(segment(request.uri(), 4)).ok().and_then(|id| grant_number(&id));
    let body = read_body(request, CONSENT_BODY_BYTES_MAX).await?;
    let account = wire::account_of(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
    let number = number.ok_or_else(|| grant_problem(&GrantError::GrantUnknown))?;
    consents.revoke(account, number).await.map_err(|error| grant_problem(&error))?;
    Ok(json!({ "revoked": true }))
}

fn grant_problem(error: &GrantError) -> Problem {
    let invalid = |field: &str| {
        let fault = Fault { field: field.to_owned(), reason: error.to_string() };
        Problem::of_field(Kind::InvalidRequest, fault)
    };
    match error {
        GrantError::AccountErased => invalid("account"),
        GrantError::Consent(ConsentError::Answered) => Problem::new(Kind::AlreadyAnswered, ""),
        GrantError::Consent(ConsentError::Busy) => Problem::busy(std::time::Duration::from_secs(1)),
        GrantError::Consent(ConsentError::Life) => invalid("days"),
        GrantError::Consent(ConsentError::ScopesExceedRequest) => invalid("scopes"),
        GrantError::Consent(ConsentError::TooManyGrants) => {
            Problem::new(Kind::TooManyGrants, "the customer may end some first")
        }
        GrantError::Consent(_) | GrantError::GrantUnknown => Problem::new(Kind::NotFound, error.to_string()),
        GrantError::Unavailable { .. } => {
            tracing::error!(%error, "a grant was not ended");
            Problem::new(Kind::Unavailable, "the grant may be in force still; sending it again is safe")
        }
    }
}
