//! The control API, version 1: where the exchange reports what happened and asks for decisions.
//!
//! A listener of its own, apart from the data path of the gateway. Every route needs a bearer token with the
//! permission that [`routes`] states; what is open to everybody stands in [`OPEN_ROUTES`]. Without TLS it listens on loopback only.
//!
//! | route | does |
//! |---|---|
//! | `POST /v1/events` | records a batch of events (NDJSON or an array), durable and idempotent |
//! | `GET /v1/events/dead-letters` | shows the lines that were refused |
//! | `POST /v1/decisions` | decides on a withdrawal, login, order, API call or admin act before it happens |
//! | `GET /v1/decisions` | lists decisions page by page |
//! | `GET /v1/decisions/stream` | streams decisions as they are made (NDJSON) |
//! | `GET /v1/decisions/{id}` | shows a decision |
//! | `GET /v1/decisions/{id}/explain` | explains it step by step, with its proof |
//! | `POST /v1/screen` | screens addresses, one or one a line |
//! | `GET /v1/alerts` | lists alerts, the newest first |
//! | `GET /v1/cases` | lists cases |
//! | `GET /v1/cases/{case}` | shows a case |
//! | `POST /v1/cases/{case}/assign`, `/notes`, `/propose`, `/approve`, `/decline`, `/resolve` | works on a case |
//! | `GET /v1/lists`, `/v1/keys`, `/v1/bans`, `/v1/backup`, `/v1/audit/...` | what the installation holds |
//! | `POST /v1/keys/{key}/freeze`, `/unfreeze`, `/revoke`, `/v1/bans`, `/v1/bans/lift`, `/v1/backup/drills` | changes it |
//! | `GET /v1/rules`, `/v1/rules/text`, `/v1/rules/versions/{version}` | rules at work, and versions of them |
//! | `POST /v1/rules/check`, `/v1/rules/versions` | checks rules, keeps them as a version |
//! | `POST /v1/rules/versions/{version}/backtest`, `/shadow`, `/shadow-end`, `/return` | brings a version into force, or back |
//! | `GET /v1/backtests`, `/v1/backtests/{backtest}`, `POST .../cancel` | backtests |
//! | `GET /v1/models`, `/v1/models/{model}`, `POST .../try` | models |
//! | `GET /v1/oauth/authorizations/{handle}` | says what an app asks a customer for |
//! | `POST /v1/oauth/authorizations/{handle}` | takes the customer's answer |
//! | `POST /v1/oauth/grants` | lists what a customer has granted |
//! | `POST /v1/oauth/grants/{grant}/revoke` | ends a grant |
//! | `GET /v1/health` | says whether the parts behind it work |
//! | `GET /metrics` | counters in the OpenMetrics text format |
//! | `GET /v1/openapi.json`, `GET /docs` | this API, described for programs and for people; open to everybody |
//!
//! Errors are RFC 9457 problems. Wire types live here and nowhere else; what is behind the routes is plugged in
//! through the [`Intake`], [`Decisions`], [`Screenings`], [`Appeals`], [`Cases`], [`Rulebook`], [`Consents`],
//! [`Webhooks`], [`Health`] and [`Metrics`] ports.
//!
//! # Bounds
//! Bodies, lines, connections, requests in flight and every time a peer can make us wait have named bounds in
//! [`limits`].

mod appeals;
mod apps;
mod auth;
mod cases;
mod changes;
mod config;
mod dead_letters;
mod decisions;
mod emergency;
mod events;
#[cfg(fuzzing)]
pub mod fuzz;
mod installation;
pub mod limits;
mod openapi;
mod operation;
mod people;
mod ports;
mod problem;
mod query;
mod route;
mod rulebook;
mod screen;
mod server;
mod trace;
mod webhooks;
mod wire;

pub use self::{
    appeals::{
        AGAINST_BYTES_MAX, AppealAgainst, AppealCall, AppealFile, AppealFilter, Appeals, NewAppeal,
        appeal_id, appeal_json, appeals_json,
    },
    apps::AppCall,
    auth::{Permission, Token},
    cases::{
        CaseCall, CaseFile, Cases, CasesError, DecisionReview, Order, alerts_json, case_id, case_json,
        cases_json, review_json,
    },
    changes::{ChangeCall, ChangeFile, ChangeRequests, ChangesError, change_id, change_json, changes_json},
    config::{BuildError, Config, Ports},
    dead_letters::{DeadLetter, DeadLetters},
    decisions::DecisionCall,
    emergency::{
        ALARM_MINUTES_MAX, Alarm, Emergencies, EmergencyCall, EmergencyError, EmergencyState, FrozenScope,
        REASON_BYTES_MAX, UnfreezeProposal, emergency_json, is_reason,
    },
    events::EventCall,
    installation::{
        BAN_MINUTES_MAX, ENTRIES_MAX, InstallationAsk, InstallationCall, InstallationError, Installations,
        KeyLimits,
    },
    openapi::document_text,
    operation::OperationCall,
    people::{IdentityLog, NotRecorded, People, SessionCall},
    ports::{
        BoxFuture, Consents, DecideError, Decided, DecisionFilter, DecisionPage, Decisions, ExplainError,
        Explained, FoundDecision, GrantError, Health, Intake, IntakeError, JudgedAct, ListedDecision,
        Metrics, PageError, Recorded,
    },
    route::{Action, OPEN_ROUTES, OpenAction, OpenRoute, Route, routes},
    rulebook::{RuleAsk, RuleCall, Rulebook, RulebookError},
    screen::{
        ScreenAnswer, ScreenError, ScreenLine, ScreenRequest, Screenings, screened_json, suspicion_json,
    },
    server::Api,
    trace::Proof,
    webhooks::{
        DeadLetterView, NewWebhook, OVERLAP_HOURS, WebhookCall, WebhookChange, WebhookError, WebhookLive,
        WebhookTest, WebhookView, Webhooks, dead_letter_json, webhook_json, webhook_test_json,
        webhook_with_key_json,
    },
    wire::{answer_json, assessment_json, explanation_json, lists_json},
};
