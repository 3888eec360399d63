//! Rules and models: what judges, what is tried on the past, what is put in force.
//!
//! A version is a whole bundle under its SHA-256: what was tried is what is put in force, or it is another version. Long
//! work (backtests) is a resource of its own, with a state and a way to end it.

use std::time::Duration;

use axum::{extract::Request, http::Method};
use domain::Actor;
use serde_json::Value;

use crate::{
    BoxFuture, Permission,
    limits::{RULES_BODY_BYTES_MAX, RULES_TEXT_BYTES_MAX},
    problem::{Kind, Problem},
    query::Query,
    route::{Action, App, Route, read_body, segment},
    wire::Fields,
};

/// When to ask again for a backtest that found no place.
const BUSY_RETRY: Duration = Duration::from_secs(10);
/// Longest note or reason, in bytes.
const NOTE_BYTES_MAX: usize = 1_000;
/// Longest name of a version or model that is looked at, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A call about rules or models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleCall {
    /// Begins a backtest.
    Backtest,
    /// Ends a backtest.
    BacktestCancel,
    /// Shows a backtest.
    BacktestShow,
    /// Lists backtests.
    Backtests,
    /// Says what is wrong with rules.
    Check,
    /// Keeps rules as a version.
    Keep,
    /// Shows a model.
    Model,
    /// Makes a version with a model.
    ModelTry,
    /// Lists models.
    Models,
    /// Proposes to put a version in force.
    Publish,
    /// Returns to an earlier version.
    Return,
    /// Lists rules at work and versions.
    Rules,
    /// Puts a version in shadow.
    Shadow,
    /// Takes a version out of shadow.
    ShadowEnd,
    /// Gives the text of rules.
    Text,
    /// Shows a version.
    Version,
}

/// The routes of the family.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/v1/rules",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::Rules),
    },
    Route {
        method: Method::GET,
        path: "/v1/rules/text",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::Text),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/check",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::Check),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/versions",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::Keep),
    },
    Route {
        method: Method::GET,
        path: "/v1/rules/versions/{version}",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::Version),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/versions/{version}/backtest",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::Backtest),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/versions/{version}/shadow",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::Shadow),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/versions/{version}/shadow-end",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::ShadowEnd),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/versions/{version}/publish",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::Publish),
    },
    Route {
        method: Method::POST,
        path: "/v1/rules/versions/{version}/return",
        permission: Permission::ApproveRules,
        action: Action::Rule(RuleCall::Return),
    },
    Route {
        method: Method::GET,
        path: "/v1/backtests",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::Backtests),
    },
    Route {
        method: Method::GET,
        path: "/v1/backtests/{backtest}",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::BacktestShow),
    },
    Route {
        method: Method::POST,
        path: "/v1/backtests/{backtest}/cancel",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::BacktestCancel),
    },
    Route {
        method: Method::GET,
        path: "/v1/models",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::Models),
    },
    Route {
        method: Method::GET,
        path: "/v1/models/{model}",
        permission: Permission::ReadRules,
        action: Action::Rule(RuleCall::Model),
    },
    Route {
        method: Method::POST,
        path: "/v1/models/{model}/try",
        permission: Permission::WriteRules,
        action: Action::Rule(RuleCall::ModelTry),
    },
];

/// What is asked. Names of versions and models are as the caller wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleAsk {
    /// Begins a backtest of a version over so many days.
    Backtest {
        /// Which version.
        version: String,
        /// How many days back.
        days: u64,
    },
    /// Ends a backtest.
    BacktestCancel(u64),
    /// Shows a backtest.
    BacktestShow(u64),
    /// Lists backtests.
    Backtests,
    /// Says what is wrong with a text.
    Check(String),
    /// Keeps a text.
    Keep {
        /// The rules.
        text: String,
        /// What they are for.
        note: String,
    },
    /// Shows a model.
    Model(String),
    /// Makes a version with a model.
    ModelTry(String),
    /// Lists models.
    Models,
    /// Proposes to put a version in force.
    Publish {
        /// Which.
        version: String,
        /// Why.
        reason: String,
    },
    /// Returns to an earlier version.
    Return {
        /// To which.
        version: String,
        /// Which is in force as far as the caller knows.
        from: String,
        /// Why.
        reason: String,
    },
    /// Lists rules at work and versions.
    Rules,
    /// Puts a version in shadow.
    Shadow(String),
    /// Takes a version out of shadow.
    ShadowEnd(String),
    /// Gives the text of a version, or of the one in force.
    Text(Option<String>),
    /// Shows a version.
    Version(String),
}

/// Why nothing was done, or is shown. The words are for the caller and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RulebookError {
    /// Too many backtests wait.
    #[error("too many backtests wait already")]
    Busy,
    /// What this rests on is not so any more, or not yet.
    #[error("{why}")]
    Conflict {
        /// In words.
        why: String,
    },
    /// What was sent cannot be used.
    #[error("{why}")]
    Invalid {
        /// In words.
        why: String,
    },
    /// There is nothing of that name.
    #[error("{why}")]
    NotFound {
        /// In words.
        why: String,
    },
    /// It cannot be read, written or recorded.
    #[error("it cannot be done at the moment: {why}")]
    Unavailable {
        /// In words for the operator; not shown to callers of the API.
        why: String,
    },
}

/// Where people work on rules and models.
pub trait Rulebook: Send + Sync {
    /// Does what is asked and answers as described in the document of the API.
    ///
    /// # Errors
    /// [`RulebookError`]; nothing was changed then.
    fn ask(&self, actor: Actor, ask: RuleAsk) -> BoxFuture<'_, Result<Value, RulebookError>>;
}

fn problem(error: &RulebookError) -> Problem {
    match error {
        RulebookError::Busy => Problem::busy(BUSY_RETRY),
        RulebookError::Conflict { .. } => Problem::new(Kind::RulesConflict, error.to_string()),
        RulebookError::Invalid { .. } => Problem::new(Kind::InvalidRequest, error.to_string()),
        RulebookError::NotFound { .. } => Problem::new(Kind::NotFound, error.to_string()),
        RulebookError::Unavailable { .. } => {
            tracing::error!(%error, "a call about rules was not done");
            Problem::new(Kind::Unavailable, "what judges is as before; the log says more")
        }
    }
}

/// Reads the request of a call strictly.
async fn asked(call: RuleCall, request: Request) -> Result<RuleAsk, Problem> {
    let uri = request.uri().clone();
    let name = |index: usize| segment(&uri, index).chars().take(NAME_BYTES_MAX + 1).collect::<String>();
    let number = || {
        let none = || Problem::new(Kind::NotFound, "no backtest has this number");
        segment(&uri, 3).parse::<u64>().map_err(|_| none())
    };
    let ask = match call {
        RuleCall::Text => {
            let mut query = Query::parse(&uri)?;
            let version = query.take("version");
            query.finish()?;
            return Ok(RuleAsk::Text(version));
        }
        RuleCall::Backtest | RuleCall::Check | RuleCall::Keep | RuleCall::Publish | RuleCall::Return => {
            let body = read_body(request, RULES_BODY_BYTES_MAX).await?;
            let read = || {
                let mut fields = Fields::parse(&body)?;
                let ask = match call {
                    RuleCall::Backtest => {
                        let missing = |fields: &Fields| fields.fault("days", "is missing");
                        let days = fields.optional_integer("days")?.ok_or_else(|| missing(&fields))?;
                        RuleAsk::Backtest { version: name(4), days }
                    }
                    RuleCall::Publish => RuleAsk::Publish {
                        version: name(4),
                        reason: words(&mut fields, "reason", NOTE_BYTES_MAX)?,
                    },
                    RuleCall::Return => RuleAsk::Return {
                        version: name(4),
                        from: words(&mut fields, "from", NAME_BYTES_MAX)?,
                        reason: words(&mut fields, "reason", NOTE_BYTES_MAX)?,
                    },
                    _ => {
                        let text = fields.text("text")?;
                        if text.len() > RULES_TEXT_BYTES_MAX {
                            let why = format!("is longer than {RULES_TEXT_BYTES_MAX} bytes");
                            return Err(fields.fault("text", why));
                        }
                        match call {
                            RuleCall::Keep => {
                                RuleAsk::Keep { text, note: words(&mut fields, "note", NOTE_BYTES_MAX)? }
                            }
                            _ => RuleAsk::Check(text),
                        }
                    }
                };
                fields.finish("this call")?;
                Ok(ask)
            };
            return read().map_err(|fault| Problem::of_field(Kind::InvalidRequest, fault));
        }
        RuleCall::BacktestCancel => RuleAsk::BacktestCancel(number()?),
        RuleCall::BacktestShow => RuleAsk::BacktestShow(number()?),
        RuleCall::Backtests => RuleAsk::Backtests,
        RuleCall::Model => RuleAsk::Model(name(3)),
        RuleCall::ModelTry => RuleAsk::ModelTry(name(3)),
        RuleCall::Models => RuleAsk::Models,
        RuleCall::Rules => RuleAsk::Rules,
        RuleCall::Shadow => RuleAsk::Shadow(name(4)),
        RuleCall::ShadowEnd => RuleAsk::ShadowEnd(name(4)),
        RuleCall::Version => RuleAsk::Version(name(4)),
    };
    Query::parse(&uri)?.finish()?;
    Ok(ask)
}

fn words(fields: &mut Fields, name: &str, bytes_max: usize) -> Result<String, crate::wire::Fault> {
    let text = fields.text(name)?;
    if text.trim().is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err(fields.fault(name, format!("must be 1 to {bytes_max} bytes of printable text")));
    }
    Ok(text)
}

/// Answers a call.
pub(crate) async fn serve(
    app: &App,
    call: RuleCall,
    actor: Actor,
    request: Request,
) -> Result<Value, Problem> {
    let ask = asked(call, request).await?;
    app.ports().rules.ask(actor, ask).await.map_err(|error| problem(&error))
}
