//! Whether a request conforms to a model: route, parameters, media type, body.
//!
//! A conforming request costs one pass that scans its body and one that follows the schema; nothing is allocated unless
//! strings have escapes, parameters percent-encoding, or objects more than 32 members. Steps are bounded by
//! the length of the body, so schemas that fan out cannot be made to.

pub(crate) mod params;
mod schema;

use schema::Judge;

use crate::json::scan::{self, Refusal};
use crate::model::{Model, Route, RouteId};
use crate::pointer::Pointer;
use crate::router::Found;
use crate::violation::{Deviation, Part, Violation};

/// A request as it came, nothing decoded. Its size is bounded by whoever read it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path as sent, without query.
    pub path: &'a str,
    /// The query as sent, without its question mark; `None` or empty if there is none.
    pub query: Option<&'a str>,
    /// The value of the `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The body as sent; empty if there is none.
    pub body: &'a [u8],
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conformance {
    /// The request is one the model describes.
    Conforming(RouteId),
    /// It is not.
    Violations {
        /// The operation, if path and method have one.
        route: Option<RouteId>,
        /// What departs, at least one and at most [`VIOLATIONS_MAX`](crate::bounds::VIOLATIONS_MAX).
        violations: Vec<Violation>,
    },
}

impl Model {
    /// Checks a request.
    #[must_use]
    pub fn check(&self, request: &Request<'_>) -> Conformance {
        let refused = |deviation| {
            let violation = Violation { deviation, part: Part::Path, pointer: String::new(), param: None };
            Conformance::Violations { route: None, violations: vec![violation] }
        };
        let id = match self.router.find(request.method, request.path) {
            Found::Route(index) => RouteId(index),
            Found::OtherMethods => return refused(Deviation::MethodNotAllowed),
            Found::Nothing => return refused(Deviation::UnknownRoute),
        };
        let route = &self.routes[id.0];
        let mut judge = Judge::new(self, request.body.len() + request.query.map_or(0, str::len));
        // A full list of violations ends the check early; that is no other outcome.
        let _ = check_route(&mut judge, route, request);
        let violations = judge.into_violations();
        if violations.is_empty() {
            Conformance::Conforming(id)
        } else {
            Conformance::Violations { route: Some(id), violations }
        }
    }
}

fn check_route(judge: &mut Judge<'_>, route: &Route, request: &Request<'_>) -> Result<(), schema::Full> {
    judge.part = Part::Path;
    params::path(judge, route, request.path)?;
    judge.part = Part::Query;
    params::query(judge, route, request.query.unwrap_or_default())?;
    judge.part = Part::Body;
    body(judge, route, request)
}

fn body(judge: &mut Judge<'_>, route: &Route, request: &Request<'_>) -> Result<(), schema::Full> {
    let at = Pointer::ROOT;
    if request.body.is_empty() {
        if route.body.is_required {
            judge.violation(Deviation::MissingBody, &at)?;
        }
        return Ok(());
    }
    if !route.body.is_declared {
        return judge.violation(Deviation::UnexpectedBody, &at).map(|_| ());
    }
    let node = match media_type(request.content_type.unwrap_or_default()) {
        Some(essence) => route.body.media.iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)),
        None => None,
    };
    let Some((_, node)) = node else {
        return judge.violation(Deviation::UnsupportedMediaType, &at).map(|_| ());
    };
    let Some(node) = node else { return Ok(()) };
    match scan::scan(request.body) {
        Ok(text) => judge.document(*node, text),
        Err(refusal) => {
            let deviation = match refusal {
                Refusal::AmbiguousName => Deviation::AmbiguousName,
                Refusal::Malformed => Deviation::Malformed,
                Refusal::RepeatedName => Deviation::RepeatedName,
                Refusal::TooDeep => Deviation::TooDeep,
            };
            judge.violation(deviation, &at).map(|_| ())
        }
    }
}

/// The media type without parameters; `None` if a parameter names a character set other than UTF-8.
pub(crate) fn media_type(content_type: &str) -> Option<&str> {
    let mut parts = content_type.split(';');
    let essence = parts.next()?.trim();
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        if is_charset && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") {
            return None;
        }
    }
    Some(essence)
}

#[cfg(test)]
mod tests;
