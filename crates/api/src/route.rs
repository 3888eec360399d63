//! The routes, what each needs, and what each does.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    AppCall, AppealCall, CaseCall, ChangeCall, DecisionCall, EmergencyCall, EventCall, InstallationCall,
    OperationCall, Permission, Ports, RuleCall, SessionCall, WebhookCall, appeals, apps,
    auth::Tokens,
    cases, changes, decisions, emergency, events, installation,
    limits::{BODY_TIMEOUT, REQUESTS_MAX, STREAMS_MAX},
    openapi, operation, people,
    problem::{Kind, Problem},
    rulebook, screen, webhooks,
};

/// What a route does, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Third-party apps.
    App(AppCall),
    /// Appeals.
    Appeal(AppealCall),
    /// Alerts and cases.
    Case(CaseCall),
    /// Changes that take two persons.
    Change(ChangeCall),
    /// Decisions.
    Decision(DecisionCall),
    /// What is stopped at once, or let go on.
    Emergency(EmergencyCall),
    /// Events.
    Event(EventCall),
    /// Parts of the installation.
    Installation(InstallationCall),
    /// The installation as a whole.
    Operation(OperationCall),
    /// Rules and models.
    Rule(RuleCall),
    /// Screens addresses.
    Screen,
    /// The caller's session.
    Session(SessionCall),
    /// Lists whom models suspect.
    Suspicions,
    /// Endpoints that are told of what happens.
    Webhook(WebhookCall),
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

/// Every family's routes.
const FAMILIES: &[&[Route]] = &[
    events::ROUTES,
    decisions::ROUTES,
    screen::ROUTES,
    screen::SUSPICION_ROUTES,
    cases::ROUTES,
    appeals::ROUTES,
    rulebook::ROUTES,
    changes::ROUTES,
    apps::ROUTES,
    people::ROUTES,
    emergency::ROUTES,
    installation::ROUTES,
    operation::ROUTES,
    webhooks::ROUTES,
];

/// Every route that needs a permission: the one authorisation table, each line beside what serves it.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    FAMILIES.iter().copied().flatten()
}

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

    /// The router of [`routes`]. Whatever is not a route asks for a token first as well, so that nothing is
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
        for route in routes() {
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
            Action::App(call) => json_response(apps::serve(self, call, request).await),
            Action::Appeal(call) => json_response(appeals::serve(self, call, &caller, request).await),
            Action::Case(CaseCall::AlertStream) => cases::stream(self, request.uri()),
            Action::Case(call) => {
                json_response(cases::serve(self, call, caller.actor().clone(), request).await)
            }
            Action::Rule(call) => {
                json_response(rulebook::serve(self, call, caller.actor().clone(), request).await)
            }
            Action::Change(call) => json_response(changes::serve(self, call, &caller, request).await),
            Action::Decision(call) => decisions::serve(self, call, &caller, request).await,
            Action::Emergency(call) => json_response(emergency::serve(self, call, &caller, request).await),
            Action::Event(call) => {
                json_response(events::serve(self, call, &caller.actor().to_string(), request).await)
            }
            Action::Installation(call) => {
                json_response(installation::serve(self, call, &caller, request).await)
            }
            Action::Operation(call) => operation::serve(self, call),
            Action::Screen => self.screen(&caller.actor().to_string(), request).await,
            Action::Suspicions => json_response(self.suspicions(request.uri())),
            Action::Session(call) => people::serve(self, call, &caller, request.headers()),
            Action::Webhook(call) => json_response(webhooks::serve(self, call, &caller, request).await),
        };
        tracing::debug!(
            caller = %caller.actor(),
            route = route.path,
            status = response.status().as_u16(),
            "control API request"
        );
        response
    }
}

/// One part of a path, counted from the slash at its beginning.
pub(crate) fn segment(uri: &Uri, index: usize) -> &str {
    uri.path().split('/').nth(index).unwrap_or_default()
}

pub(crate) fn json_response(result: Result<Value, Problem>) -> Response {
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
