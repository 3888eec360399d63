//! Errors on the wire: RFC 9457 problem details.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::wire::Fault;

/// A kind of problem; its name is the last part of the `type` URN and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    AlreadyAnswered,
    BodyTooLarge,
    BodyTooSlow,
    AppealConflict,
    Busy,
    CsrfMissing,
    CaseConflict,
    ChangeConflict,
    DeadlineExceeded,
    EncodingUnsupported,
    FourEyes,
    Frozen,
    IdempotencyConflict,
    InvalidEvent,
    InvalidRequest,
    InvitationRefused,
    MethodNotAllowed,
    NotFound,
    PasskeyRefused,
    PermissionMissing,
    RulesConflict,
    StaleCursor,
    TooManyGrants,
    Unauthenticated,
    Unavailable,
    Unhealthy,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 26] = [
        Self::AlreadyAnswered,
        Self::AppealConflict,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
        Self::Busy,
        Self::CsrfMissing,
        Self::CaseConflict,
        Self::ChangeConflict,
        Self::DeadlineExceeded,
        Self::EncodingUnsupported,
        Self::FourEyes,
        Self::Frozen,
        Self::IdempotencyConflict,
        Self::InvalidEvent,
        Self::InvalidRequest,
        Self::InvitationRefused,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::PasskeyRefused,
        Self::PermissionMissing,
        Self::RulesConflict,
        Self::StaleCursor,
        Self::TooManyGrants,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::Unhealthy,
    ];

    const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::AlreadyAnswered => {
                (StatusCode::CONFLICT, "already-answered", "the customer's answer was given before")
            }
            Self::AppealConflict => {
                (StatusCode::CONFLICT, "appeal-conflict", "the appeal is not possible as things stand")
            }
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "the body is too large"),
            Self::BodyTooSlow => {
                (StatusCode::REQUEST_TIMEOUT, "body-too-slow", "the body did not arrive in time")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "too much is in progress"),
            Self::CaseConflict => {
                (StatusCode::CONFLICT, "case-conflict", "the case is not in the state this rests on")
            }
            Self::ChangeConflict => {
                (StatusCode::CONFLICT, "change-conflict", "the change is not possible as things stand")
            }
            Self::CsrfMissing => (
                StatusCode::FORBIDDEN,
                "csrf-missing",
                "the request does not come from a page of the session",
            ),
            Self::DeadlineExceeded => {
                (StatusCode::GATEWAY_TIMEOUT, "deadline-exceeded", "no decision was made in time")
            }
            Self::EncodingUnsupported => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "encoding-unsupported",
                "the body has a content encoding",
            ),
            Self::FourEyes => (StatusCode::FORBIDDEN, "four-eyes", "somebody else must do this"),
            Self::Frozen => (
                StatusCode::SERVICE_UNAVAILABLE,
                "frozen",
                "withdrawals are suspended; this one must not go ahead",
            ),
            Self::IdempotencyConflict => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-conflict",
                "the idempotency key was used for a different request",
            ),
            Self::InvalidEvent => (StatusCode::BAD_REQUEST, "invalid-event", "an event is not valid"),
            Self::InvalidRequest => (StatusCode::BAD_REQUEST, "invalid-request", "the request is not valid"),
            Self::InvitationRefused => {
                (StatusCode::FORBIDDEN, "invitation-refused", "the invitation is not good")
            }
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "the route has another method")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "there is nothing of that name"),
            Self::PasskeyRefused => (StatusCode::FORBIDDEN, "passkey-refused", "the passkey is not believed"),
            Self::PermissionMissing => {
                (StatusCode::FORBIDDEN, "permission-missing", "the token does not allow this")
            }
            Self::RulesConflict => {
                (StatusCode::CONFLICT, "rules-conflict", "the rules are not in the state this rests on")
            }
            Self::StaleCursor => {
                (StatusCode::GONE, "stale-cursor", "the cursor leads to where nothing is any more")
            }
            Self::TooManyGrants => {
                (StatusCode::CONFLICT, "too-many-grants", "the customer has granted to too many apps")
            }
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "a valid bearer token is required")
            }
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "a part behind the API does not work")
            }
            Self::Unhealthy => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy", "not all parts work"),
        }
    }
}

impl Kind {
    pub(crate) const fn status(self) -> StatusCode {
        self.parts().0
    }

    pub(crate) const fn name(self) -> &'static str {
        self.parts().1
    }

    pub(crate) const fn title(self) -> &'static str {
        self.parts().2
    }

    /// The `type` of the problem.
    pub(crate) fn urn(self) -> String {
        format!("urn:caponier:problem:{}", self.name())
    }
}

/// A problem and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    line: Option<usize>,
    field: Option<Box<str>>,
    faults: Vec<String>,
    decision_id: Option<Box<str>>,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    faults: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<&'a str>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            line: None,
            field: None,
            faults: Vec::new(),
            decision_id: None,
            retry_after: None,
        }
    }

    /// About one field of the body.
    pub(crate) fn of_field(kind: Kind, fault: Fault) -> Self {
        let Fault { field, reason } = fault;
        let detail = if field.is_empty() { reason } else { format!("{field}: {reason}") };
        Self { field: (!field.is_empty()).then(|| field.into()), ..Self::new(kind, detail) }
    }

    /// About one line of the body, counted from 1.
    pub(crate) fn on_line(self, line: usize) -> Self {
        Self { detail: format!("line {line}: {}", self.detail), line: Some(line), ..self }
    }

    /// That stems from a decision, by its id.
    pub(crate) fn of_decision(self, id: impl Into<Box<str>>) -> Self {
        Self { decision_id: Some(id.into()), ..self }
    }

    /// With what else is wrong.
    pub(crate) fn with_faults(self, faults: Vec<String>) -> Self {
        Self { faults, ..self }
    }

    pub(crate) fn busy(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Kind::Busy, "nothing was done; send it again later")
        }
    }

    /// With other words.
    pub(crate) fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    pub(crate) fn unhealthy(faults: Vec<String>) -> Self {
        Self { faults, ..Self::new(Kind::Unhealthy, "") }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let wire = Wire {
            r#type: self.kind.urn(),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            line: self.line,
            field: self.field.as_deref(),
            faults: &self.faults,
            decision_id: self.decision_id.as_deref(),
        };
        let body = serde_json::to_vec(&wire).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The operators' reference lists every problem with its status.
    #[test]
    fn every_problem_is_documented() {
        let reference = include_str!("../../../docs/operating/control-api.md");
        for kind in Kind::ALL {
            let (status, name, _) = kind.parts();
            let row = format!("| `urn:caponier:problem:{name}` | {} |", status.as_u16());
            assert!(reference.contains(&row), "{row}");
        }
    }
}
