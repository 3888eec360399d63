//! The positive model of the API and what is done about requests that depart from it.
//!
//! Checked once a request's sender is proven (public requests: once its route is known), before anything is charged: a
//! stranger cannot probe the model. Each operation enforces, reports or ignores it. Learning takes requests that the
//! exchange answered with success, for a person to review; it enforces nothing.

use std::collections::BTreeMap;

use auth::Refusal;
use schema::{Conformance, Learner, Model, OkxCode, Request, Violation};

use crate::answer::Refused;

/// What becomes of a request that departs from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelMode {
    /// It is refused.
    Enforce,
    /// It is not looked at.
    Off,
    /// It is counted and passes.
    Report,
}

/// A model with its policy.
#[derive(Debug)]
pub struct ApiModel {
    model: Model,
    /// Of requests that no operation describes, and of operations without an entry.
    default: ModelMode,
    /// By the operation's position in the model.
    modes: BTreeMap<usize, ModelMode>,
}

/// A policy names an operation that the model does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the model has no operation {operation:?}; write METHOD and path template, such as \"GET /api/v5/public/time\""
)]
pub struct UnknownOperation {
    /// As written.
    pub operation: String,
}

impl ApiModel {
    /// A model with a mode for all, and others for some operations, each written as method, space and path template.
    ///
    /// # Errors
    /// [`UnknownOperation`].
    pub fn new<'o>(
        model: Model,
        default: ModelMode,
        modes: impl IntoIterator<Item = (&'o str, ModelMode)>,
    ) -> Result<Self, UnknownOperation> {
        let mut found = BTreeMap::new();
        for (operation, mode) in modes {
            let at = model
                .routes()
                .iter()
                .position(|route| operation.split_once(' ') == Some((route.method(), route.template())));
            let at = at.ok_or_else(|| UnknownOperation { operation: operation.to_owned() })?;
            found.insert(at, mode);
        }
        Ok(Self { model, default, modes: found })
    }

    /// What is to be done about a request: nothing, or count it under a label, or refuse it.
    pub(crate) fn judge(&self, request: &Request<'_>) -> Judgement {
        if self.default == ModelMode::Off && self.modes.is_empty() {
            return Judgement::Pass;
        }
        let Conformance::Violations { route, violations } = self.model.check(request) else {
            return Judgement::Pass;
        };
        let mode = route.and_then(|id| self.modes.get(&id.index())).unwrap_or(&self.default);
        let Some(first) = violations.into_iter().next() else { return Judgement::Pass };
        match mode {
            ModelMode::Enforce => Judgement::Refuse(refused(&first)),
            ModelMode::Off => Judgement::Pass,
            ModelMode::Report => Judgement::Report(first.deviation().label()),
        }
    }
}

/// What is to be done about a request.
#[derive(Debug)]
pub(crate) enum Judgement {
    Pass,
    Refuse(Refused),
    Report(&'static str),
}

fn refused(violation: &Violation) -> Refused {
    let parameter = || violation.param().unwrap_or("body").to_owned();
    let refusal = match violation.okx_code() {
        OkxCode::EmptyBody => Refusal::BodyEmpty,
        OkxCode::EmptyParameter => Refusal::ParameterEmpty { parameter: parameter() },
        OkxCode::InactiveEndpoint => Refusal::EndpointUnavailable,
        OkxCode::JsonSyntax => Refusal::JsonInvalid,
        OkxCode::WrongContentType => Refusal::ContentTypeInvalid,
        OkxCode::WrongMethod => Refusal::MethodInvalid,
        _ => Refusal::ParameterInvalid { parameter: parameter() },
    };
    Refused::from(refusal).labelled(violation.deviation().label())
}

/// A request as the learner takes it, kept until the exchange has answered.
#[derive(Debug)]
pub(crate) struct Observed {
    method: String,
    path: String,
    query: Option<String>,
    content_type: Option<String>,
    body: Vec<u8>,
}

impl Observed {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self {
            method: request.method.to_owned(),
            path: request.path.to_owned(),
            query: request.query.map(str::to_owned),
            content_type: request.content_type.map(str::to_owned),
            body: request.body.to_vec(),
        }
    }

    pub(crate) fn teach(&self, learner: &mut Learner) {
        learner.observe(&Request {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            content_type: self.content_type.as_deref(),
            body: &self.body,
        });
    }
}
