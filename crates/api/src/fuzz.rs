//! Doors for the fuzz targets to parsers that are private otherwise. Exists only when built for fuzzing.

use domain::{Event, UnixNanos, WithdrawalRequest};

use auth::oauth::{Consent, parse_scope};

use crate::{CaseCall, CasesError, cases, wire};

/// The events of the body of `POST /v1/events` as far as its lines are any; `None` if the batch is refused.
#[must_use]
pub fn events(body: &[u8], now: UnixNanos) -> Option<Vec<Event>> {
    let batch = wire::events(body, wire::Judge { now, intake: &wire::NoIntake::default() }).ok()?;
    Some(batch.events)
}

/// What a customer agrees to in the body of `POST /v1/oauth/authorizations/{handle}`; `None` if it is refused or says no.
#[must_use]
pub fn consent(body: &[u8]) -> Option<Consent> {
    match wire::answer(body).ok()? {
        wire::Answer::Approve(approval) => Some(approval.of(parse_scope("read")?)),
        wire::Answer::Deny => None,
    }
}

/// Withdrawal and idempotency key of the body of `POST /v1/decisions`; `None` if it is refused, or about another act.
#[must_use]
pub fn decision_request(body: &[u8], now: UnixNanos) -> Option<(WithdrawalRequest, Option<String>)> {
    let judge = wire::Judge { now, intake: &wire::NoIntake::default() };
    let request = wire::decision_request(body, wire::Sent::default(), judge).ok()?;
    match request.asked {
        wire::Asked::Withdrawal(withdrawal) => Some((withdrawal, request.idempotency_key)),
        wire::Asked::Act(_) => None,
    }
}

/// The addresses and networks of the body of `POST /v1/screen`, as one object or as one a line; `None` if it is refused.
#[must_use]
pub fn screen(body: &[u8], is_bulk: bool) -> Option<Vec<crate::ScreenLine>> {
    let request = if is_bulk {
        wire::screen_lines(body, "caller").ok()?.0
    } else {
        wire::screen_request(body, "caller").ok()?
    };
    Some(request.lines)
}

/// What the body of a call about a case asks for, by the last part of its path; `None` if it is refused.
#[must_use]
pub fn case_ask(call: &str, body: &[u8]) -> Option<(u64, fraud::cases::Ask)> {
    let call = match call {
        "approve" => CaseCall::Approve,
        "assign" => CaseCall::Assign,
        "decline" => CaseCall::Decline,
        "notes" => CaseCall::Note,
        "propose" => CaseCall::Propose,
        "resolve" => CaseCall::Resolve,
        _ => return None,
    };
    cases::ask(call, body, |id| id.parse().map_err(|_| CasesError::UnknownDecision)).ok()
}
