//! The routes, what each needs, and what each does.

use std::sync::Arc;

use auth::oauth::{ConsentError, grant_number};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use domain::{Actor, ApiKeyId};
use fraud::cases::CaseError;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    CasesError, Consents, DeadLetter, DecideError, GrantError, IntakeError, Permission, Ports, Recorded,
    auth::Tokens,
    cases, decisions, emergency,
    limits::{
        BODY_TIMEOUT, CASE_BODY_BYTES_MAX, CONSENT_BODY_BYTES_MAX, DEAD_LETTERS_PAGE_MAX, DEADLINE_GRACE,
        DECISION_BODY_BYTES_MAX, EVENT_BODY_BYTES_MAX, REQUESTS_MAX, STREAMS_MAX,
    },
    openapi, people,
    problem::{Kind, Problem},
    wire::{self, Answer, Batch, DecisionRequest, Fault, Judge, RefusedLine},
};

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Takes a customer's answer to an app.
    AnswerApp,
    /// Says what an app asks for.
    AskForApp,
    /// Lists alerts and cases, or works on a case.
    Case(CaseCall),
    /// Decides on a withdrawal.
    Decide,
    /// Stops something at once, or lets it go on.
    Emergency(EmergencyCall),
    /// Explains a decision.
    Explain,
    /// Says what does not work.
    Health,
    /// Lists decisions page by page.
    ListDecisions,
    /// Lists what a customer has granted.
    ListGrants,
    /// Counters for a monitoring system.
    Metrics,
    /// Shows refused lines.
    ReadDeadLetters,
    /// Records events.
    RecordEvents,
    /// Ends a grant.
    RevokeGrant,
    /// Screens addresses.
    Screen,
    /// Ends the caller's session.
    SessionEnd,
    /// Says who calls.
    SessionShow,
    /// Streams decisions as they are made.
    StreamDecisions,
}

/// What a route does that is open to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenAction {
    /// Begins to store a passkey.
    BeginEnrolment,
    /// Begins to sign in.
    BeginSignIn,
    /// Describes the API for programs.
    Document,
    /// The page an invitation leads to.
    EnrolPage,
    /// Stores a passkey.
    FinishEnrolment,
    /// Signs in.
    FinishSignIn,
    /// Describes the API for people.
    Page,
}

/// A call about cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseCall {
    /// Lists alerts.
    Alerts,
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

/// A call about emergencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmergencyCall {
    /// Agrees to lift a freeze.
    Approve,
    /// Is against lifting it.
    Decline,
    /// Ends the alarm.
    EndAlarm,
    /// Freezes a scope.
    Freeze,
    /// Proposes to lift a freeze.
    Propose,
    /// Raises the alarm.
    RaiseAlarm,
    /// Says what is stopped.
    Show,
}

/// A route and what it takes to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path, with parameters in braces.
    pub path: &'static str,
    /// Which permission the token needs. There is no route without one.
    pub permission: Permission,
    /// What it does.
    pub action: Action,
}

/// A route that asks for no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRoute {
    /// Method.
    pub method: Method,
    /// Path.
    pub path: &'static str,
    /// What it does.
    pub action: OpenAction,
}

/// Every route that is open to everybody: descriptions, which are the same in every installation, and the way in.
pub const OPEN_ROUTES: &[OpenRoute] = &[
    OpenRoute { method: Method::GET, path: "/v1/openapi.json", action: OpenAction::Document },
    OpenRoute { method: Method::GET, path: "/docs", action: OpenAction::Page },
    OpenRoute { method: Method::GET, path: "/enrol", action: OpenAction::EnrolPage },
    OpenRoute { method: Method::POST, path: "/v1/enrolment/begin", action: OpenAction::BeginEnrolment },
    OpenRoute { method: Method::POST, path: "/v1/enrolment/finish", action: OpenAction::FinishEnrolment },
    OpenRoute { method: Method::POST, path: "/v1/session/begin", action: OpenAction::BeginSignIn },
    OpenRoute { method: Method::POST, path: "/v1/session/finish", action: OpenAction::FinishSignIn },
];

/// Every route that needs a permission.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/v1/events",
        permission: Permission::WriteEvents,
        action: Action::RecordEvents,
    },
    Route {
        method: Method::GET,
        path: "/v1/events/dead-letters",
        permission: Permission::WriteEvents,
        action: Action::ReadDeadLetters,
    },
    Route {
        method: Method::POST,
        path: "/v1/decisions",
        permission: Permission::Decide,
        action: Action::Decide,
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions",
        permission: Permission::ReadDecisions,
        action: Action::ListDecisions,
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions/stream",
        permission: Permission::ReadDecisions,
        action: Action::StreamDecisions,
    },
    Route {
        method: Method::GET,
        path: "/v1/decisions/{id}",
        permission: Permission::ReadDecisions,
        action: Action::Explain,
    },
    Route {
        method: Method::POST,
        path: "/v1/screen",
        permission: Permission::Screen,
        action: Action::Screen,
    },
    Route {
        method: Method::GET,
        path: "/v1/alerts",
        permission: Permission::ReadCases,
        action: Action::Case(CaseCall::Alerts),
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
    Route {
        method: Method::GET,
        path: "/v1/oauth/authorizations/{handle}",
        permission: Permission::ApproveOauth,
        action: Action::AskForApp,
    },
    Route {
        method: Method::POST,
        path: "/v1/oauth/authorizations/{handle}",
        permission: Permission::ApproveOauth,
        action: Action::AnswerApp,
    },
    Route {
        method: Method::POST,
        path: "/v1/oauth/grants",
        permission: Permission::ApproveOauth,
        action: Action::ListGrants,
    },
    Route {
        method: Method::POST,
        path: "/v1/oauth/grants/{grant}/revoke",
        permission: Permission::ApproveOauth,
        action: Action::RevokeGrant,
    },
    Route {
        method: Method::GET,
        path: "/v1/session",
        permission: Permission::OwnSession,
        action: Action::SessionShow,
    },
    Route {
        method: Method::POST,
        path: "/v1/session/end",
        permission: Permission::OwnSession,
        action: Action::SessionEnd,
    },
    Route {
        method: Method::GET,
        path: "/v1/emergency",
        permission: Permission::ReadHealth,
        action: Action::Emergency(EmergencyCall::Show),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/freeze",
        permission: Permission::FreezeOutflow,
        action: Action::Emergency(EmergencyCall::Freeze),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/unfreeze/propose",
        permission: Permission::UnfreezeOutflow,
        action: Action::Emergency(EmergencyCall::Propose),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/unfreeze/approve",
        permission: Permission::UnfreezeOutflow,
        action: Action::Emergency(EmergencyCall::Approve),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/unfreeze/decline",
        permission: Permission::UnfreezeOutflow,
        action: Action::Emergency(EmergencyCall::Decline),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/alarm",
        permission: Permission::RaiseAlarm,
        action: Action::Emergency(EmergencyCall::RaiseAlarm),
    },
    Route {
        method: Method::POST,
        path: "/v1/emergency/alarm/end",
        permission: Permission::RaiseAlarm,
        action: Action::Emergency(EmergencyCall::EndAlarm),
    },
    Route {
        method: Method::GET,
        path: "/v1/health",
        permission: Permission::ReadHealth,
        action: Action::Health,
    },
    Route {
        method: Method::GET,
        path: "/metrics",
        permission: Permission::ReadMetrics,
        action: Action::Metrics,
    },
];

/// Media type of the counters: OpenMetrics 1.0 section "Overall Structure".
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What requests are served from.
#[derive(Debug)]
pub(crate) struct App {
    tokens: Tokens,
    ports: Ports,
    in_flight: Semaphore,
    streams: Arc<Semaphore>,
    /// One change of an identity at a time, from judging to recording.
    people_turn: tokio::sync::Mutex<()>,
    stopping: watch::Sender<bool>,
}

impl App {
    pub(crate) fn new(tokens: Tokens, ports: Ports) -> Arc<Self> {
        Arc::new(Self {
            tokens,
            ports,
            in_flight: Semaphore::new(REQUESTS_MAX),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            people_turn: tokio::sync::Mutex::new(()),
            stopping: watch::Sender::new(false),
        })
    }

    pub(crate) const fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) const fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(crate) const fn people_turn(&self) -> &tokio::sync::Mutex<()> {
        &self.people_turn
    }

    /// Places for streams.
    pub(crate) fn streams(&self) -> Arc<Semaphore> {
        Arc::clone(&self.streams)
    }

    /// Ends what has no end of its own.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(crate) async fn stopped(&self) {
        // An error means that the sender is gone, which is a stop as well.
        drop(self.stopping.subscribe().wait_for(|stopped| *stopped).await);
    }

    /// The router of [`ROUTES`]. Whatever is not a route asks for a token first as well, so that nothing is
    /// learned without one.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let serve = |route: Option<&'static Route>, otherwise: Kind| {
            let app = Arc::clone(self);
            move |request: Request| {
                let app = Arc::clone(&app);
                async move { app.serve(route, otherwise, request).await }
            }
        };
        let mut router = Router::new();
        for route in ROUTES {
            let filter = if route.method == Method::GET { MethodFilter::GET } else { MethodFilter::POST };
            router = router.route(route.path, on(filter, serve(Some(route), Kind::NotFound)));
        }
        for route in OPEN_ROUTES {
            let filter = if route.method == Method::GET { MethodFilter::GET } else { MethodFilter::POST };
            let app = Arc::clone(self);
            let open = move |request: Request| {
                let app = Arc::clone(&app);
                async move { app.serve_open(route, request).await }
            };
            router = router.route(route.path, on(filter, open));
        }
        router
            .fallback(serve(None, Kind::NotFound))
            .method_not_allowed_fallback(serve(None, Kind::MethodNotAllowed))
    }

    async fn serve_open(&self, route: &OpenRoute, request: Request) -> Response {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Problem::busy(std::time::Duration::from_secs(1)).into_response();
        };
        match route.action {
            OpenAction::BeginEnrolment => json_response(people::begin_enrolment(self, request).await),
            OpenAction::BeginSignIn => json_response(people::begin_sign_in(self)),
            OpenAction::EnrolPage => people::page(),
            OpenAction::FinishEnrolment => json_response(people::finish_enrolment(self, request).await),
            OpenAction::FinishSignIn => people::finish_sign_in(self, request).await,
            OpenAction::Document => respond(openapi::document_text().to_owned(), "application/json"),
            OpenAction::Page => {
                let (page, policy) = openapi::page();
                let mut response = respond(page.to_owned(), "text/html; charset=utf-8");
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
                headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
                response
            }
        }
    }

    /// Authenticates, authorises, then acts. `otherwise` is the problem when there is no route.
    async fn serve(
        self: &Arc<Self>,
        route: Option<&'static Route>,
        otherwise: Kind,
        request: Request,
    ) -> Response {
        let caller = match people::caller(self, &request) {
            Ok(caller) => caller,
            Err(problem) => return problem.into_response(),
        };
        let Some(route) = route else {
            return Problem::new(otherwise, "").into_response();
        };
        if !caller.may(route.permission) {
            let detail = format!("{} is needed", route.permission.as_str());
            return Problem::new(Kind::PermissionMissing, detail).into_response();
        }
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Problem::busy(std::time::Duration::from_secs(1)).into_response();
        };
        let response = match route.action {
            Action::AnswerApp => json_response(self.answer_app(request).await),
            Action::AskForApp => json_response(self.ask_for_app(request.uri())),
            Action::Case(call) => json_response(self.case(call, caller.actor().clone(), request).await),
            Action::Decide => json_response(self.decide(request).await),
            Action::Emergency(call) => json_response(emergency::serve(self, call, &caller, request).await),
            Action::Explain => json_response(self.explain(request.uri()).await),
            Action::Health => json_response(self.health()),
            Action::ListDecisions => json_response(decisions::list(self, request.uri()).await),
            Action::ListGrants => json_response(self.list_grants(request).await),
            Action::Metrics => respond(self.ports.metrics.exposition(), OPENMETRICS),
            Action::ReadDeadLetters => json_response(self.read_dead_letters(request.uri())),
            Action::RecordEvents => {
                json_response(self.record_events(&caller.actor().to_string(), request).await)
            }
            Action::RevokeGrant => json_response(self.revoke_grant(request).await),
            Action::Screen => self.screen(&caller.actor().to_string(), request).await,
            Action::SessionEnd => people::end(self, &caller, request.headers()),
            Action::SessionShow => json_response(Ok(people::show(self, &caller, request.headers()))),
            Action::StreamDecisions => decisions::stream(self, request.uri()).await,
        };
        tracing::debug!(
            caller = %caller.actor(),
            route = route.path,
            status = response.status().as_u16(),
            "control API request"
        );
        response
    }

    async fn record_events(&self, caller: &str, request: Request) -> Result<Value, Problem> {
        let body = read_body(request, EVENT_BODY_BYTES_MAX).await?;
        let intake = &*self.ports.intake;
        let now = self.ports.clock.now();
        let Batch { events, refused } = wire::events(&body, Judge { now, intake })?;
        let recorded = if events.is_empty() {
            Recorded { accepted: 0, duplicates: 0, erased: 0 }
        } else {
            intake.record(events).await.map_err(|error| match error {
                IntakeError::Busy { retry_after } => Problem::busy(retry_after),
                IntakeError::Unavailable { .. } => {
                    tracing::error!(%error, "events were refused");
                    Problem::new(
                        Kind::Unavailable,
                        "the events may not be recorded; sending them again is safe",
                    )
                }
            })?
        };
        // After the others are durable: a batch that is sent again leaves its letters once.
        for line in &refused {
            let fault = (line.fault.field.as_str(), line.fault.reason.as_str());
            intake.dead_letters().push(DeadLetter::new(now, caller, line.line, fault, line.text));
        }
        let Recorded { accepted, duplicates, erased } = recorded;
        if accepted + duplicates + erased == 0
            && let Some(first) = refused.first()
        {
            let others = refused.iter().skip(1).map(RefusedLine::sentence).collect();
            return Err(Problem::of_field(Kind::InvalidEvent, first.fault.clone())
                .on_line(first.line)
                .with_faults(others));
        }
        let mut answer = json!({ "accepted": accepted, "duplicates": duplicates, "erased": erased });
        if !refused.is_empty() {
            let lines: Vec<Value> = refused
                .iter()
                .map(|line| {
                    json!({ "line": line.line, "field": line.fault.field, "reason": line.fault.reason })
                })
                .collect();
            answer["refused"] = json!(lines);
        }
        Ok(answer)
    }

    fn read_dead_letters(&self, uri: &Uri) -> Result<Value, Problem> {
        let mut from = 0;
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let fault = |field: &str, reason: &str| {
                let field = field.chars().take(64).collect();
                Problem::of_field(Kind::InvalidRequest, Fault { field, reason: reason.to_owned() })
            };
            match pair.split_once('=') {
                Some(("from", number)) => {
                    from = number.parse().map_err(|_| fault("from", "expected a whole number"))?;
                }
                _ => return Err(fault(pair.split('=').next().unwrap_or_default(), "is not a parameter")),
            }
        }
        Ok(self.ports.intake.dead_letters().page(from, DEAD_LETTERS_PAGE_MAX))
    }

    async fn decide(&self, request: Request) -> Result<Value, Problem> {
        let body = read_body(request, DECISION_BODY_BYTES_MAX).await?;
        let DecisionRequest { withdrawal, idempotency_key, deadline } =
            wire::decision_request(&body, self.ports.clock.now())
                .map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
        let deciding = self.ports.decisions.decide(withdrawal, idempotency_key, deadline);
        match timeout(deadline + DEADLINE_GRACE, deciding).await {
            Ok(Ok(decided)) => Ok(wire::answer_json(&decided)),
            Ok(Err(DecideError::Busy { retry_after })) => Err(Problem::busy(retry_after)),
            Ok(Err(error @ DecideError::Frozen { .. })) => Err(Problem::new(Kind::Frozen, error.to_string())),
            Ok(Err(DecideError::IdempotencyConflict)) => {
                Err(Problem::new(Kind::IdempotencyConflict, "use a new key for a new request"))
            }
            Ok(Err(error @ DecideError::Unavailable { .. })) => {
                tracing::error!(%error, "a withdrawal was not decided");
                Err(Problem::new(Kind::Unavailable, "there is no decision; the withdrawal must not go ahead"))
            }
            Err(_elapsed) => {
                tracing::error!(?deadline, "a withdrawal was not decided in time");
                Err(Problem::new(Kind::DeadlineExceeded, "the withdrawal must not go ahead"))
            }
        }
    }

    async fn explain(&self, uri: &Uri) -> Result<Value, Problem> {
        let id = uri.path().rsplit('/').next().unwrap_or_default();
        match self.ports.decisions.explain(id).await {
            Ok(Some(explained)) => Ok(wire::explanation_json(&explained)),
            Ok(None) => Err(Problem::new(Kind::NotFound, "no decision has this id")),
            Err(error) => {
                tracing::error!(%error, "a decision was not explained");
                Err(Problem::new(Kind::Unavailable, "decisions cannot be read at the moment"))
            }
        }
    }

    async fn case(&self, call: CaseCall, actor: Actor, request: Request) -> Result<Value, Problem> {
        let port = &*self.ports.cases;
        let uri = request.uri().clone();
        let id = || {
            let unknown = || Problem::new(Kind::NotFound, "no case has this id");
            cases::case_id(segment(&uri, 3)).ok_or_else(unknown)
        };
        match call {
            CaseCall::Alerts => {
                let query = cases::alert_query(&uri)?;
                let alerts = port.alerts(query.what, query.max);
                Ok(cases::alerts_json(&alerts, alerts.len() == query.max))
            }
            CaseCall::List => {
                let query = cases::case_query(&uri)?;
                let (filter, order) = query.what;
                let files = port.cases(&filter, order, query.max).map_err(|error| case_problem(&error))?;
                Ok(cases::cases_json(&files, files.len() == query.max))
            }
            CaseCall::Show => {
                let file = port.case(id()?).map_err(|error| case_problem(&error))?;
                Ok(cases::case_json(&file))
            }
            _ => {
                let id = id()?;
                let body = read_body(request, CASE_BODY_BYTES_MAX).await?;
                let (revision, ask) = cases::ask(call, &body, |text| port.decision(text))
                    .map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
                let done = port.act(actor, id, Some(revision), ask).await;
                done.map(|file| cases::case_json(&file)).map_err(|error| case_problem(&error))
            }
        }
    }

    fn consents(&self) -> Result<&dyn Consents, Problem> {
        let none = || Problem::new(Kind::NotFound, "no apps are served: oauth.issuer is not configured");
        self.ports.consents.as_deref().ok_or_else(none)
    }

    fn ask_for_app(&self, uri: &Uri) -> Result<Value, Problem> {
        let view = self.consents()?.view(segment(uri, 4)).map_err(|error| grant_problem(&error))?;
        Ok(wire::view_json(&view))
    }

    async fn answer_app(&self, request: Request) -> Result<Value, Problem> {
        let consents = self.consents()?;
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

    async fn list_grants(&self, request: Request) -> Result<Value, Problem> {
        let consents = self.consents()?;
        let body = read_body(request, CONSENT_BODY_BYTES_MAX).await?;
        let account =
            wire::account_of(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
        Ok(wire::grants_json(&consents.grants(&account)))
    }

    async fn revoke_grant(&self, request: Request) -> Result<Value, Problem> {
        let consents = self.consents()?;
        let number = ApiKeyId::parse(segment(request.uri(), 4)).ok().and_then(|id| grant_number(&id));
        let body = read_body(request, CONSENT_BODY_BYTES_MAX).await?;
        let account =
            wire::account_of(&body).map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault))?;
        let number = number.ok_or_else(|| grant_problem(&GrantError::GrantUnknown))?;
        consents.revoke(account, number).await.map_err(|error| grant_problem(&error))?;
        Ok(json!({ "revoked": true }))
    }

    fn health(&self) -> Result<Value, Problem> {
        let faults = self.ports.health.faults();
        if faults.is_empty() { Ok(json!({ "status": "ok" })) } else { Err(Problem::unhealthy(faults)) }
    }
}

/// One part of a path, counted from the slash at its beginning.
fn segment(uri: &Uri, index: usize) -> &str {
    uri.path().split('/').nth(index).unwrap_or_default()
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

fn case_problem(error: &CasesError) -> Problem {
    let kind = match error {
        CasesError::Busy { retry_after } => return Problem::busy(*retry_after),
        CasesError::Unavailable { .. } => {
            tracing::error!(%error, "a case was not changed");
            let detail = "look at the case again: it may have been changed or not";
            return Problem::new(Kind::Unavailable, detail);
        }
        CasesError::UnknownDecision
        | CasesError::Case(CaseError::NotFound { .. } | CaseError::UnknownDecision { .. }) => Kind::NotFound,
        CasesError::Case(CaseError::OwnProposal { .. } | CaseError::NotAPerson { .. }) => Kind::FourEyes,
        CasesError::Case(CaseError::Malformed) => Kind::InvalidRequest,
        CasesError::Case(_) => Kind::CaseConflict,
    };
    Problem::new(kind, error.to_string())
}

fn json_response(result: Result<Value, Problem>) -> Response {
    result.map_or_else(IntoResponse::into_response, |body| respond(body.to_string(), "application/json"))
}

pub(crate) fn respond(body: String, content_type: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) async fn read_body(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Kind::EncodingUnsupported, "send the body as it is, without compression"));
    }
    let collected = timeout(BODY_TIMEOUT, Limited::new(request.into_body(), bytes_max).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Problem::new(Kind::BodyTooLarge, format!("at most {bytes_max} bytes are accepted")))
        }
        Ok(Err(_broken)) => Err(Problem::new(Kind::InvalidRequest, "the body could not be read")),
        Err(_elapsed) => Err(Problem::new(Kind::BodyTooSlow, format!("it has {} s", BODY_TIMEOUT.as_secs()))),
    }
}
