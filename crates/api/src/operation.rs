//! Whether it works, and how much it does.

use axum::{http::Method, response::Response};
use serde_json::{Value, json};

use crate::{
    Permission,
    problem::Problem,
    route::{Action, App, Route, json_response, respond},
};

/// A call about the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationCall {
    /// Says what does not work.
    Health,
    /// Counters for a monitoring system.
    Metrics,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/health",
        permission: Permission::ReadHealth,
        action: Action::Operation(OperationCall::Health),
    },
    Route {
        method: Method::GET,
        path: "/metrics",
        permission: Permission::ReadMetrics,
        action: Action::Operation(OperationCall::Metrics),
    },
];

/// Media type of the counters: OpenMetrics 1.0 section "Overall Structure".
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn serve(app: &App, call: OperationCall) -> Response {
    match call {
        OperationCall::Health => json_response(health(app)),
        OperationCall::Metrics => respond(app.ports().metrics.exposition(), OPENMETRICS),
    }
}

fn health(app: &App) -> Result<Value, Problem> {
    let faults = app.ports().health.faults();
    if faults.is_empty() { Ok(json!({ "status": "ok" })) } else { Err(Problem::unhealthy(faults)) }
}
