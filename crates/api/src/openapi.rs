//! The API described: an OpenAPI 3.1 document, generated from the route table and the bounds the code applies.
//!
//! Every route must be described: the description is an exhaustive match over what routes do
//! ([`crate::route`]). Patterns and lengths are the constants the parsers check. Examples of answers are made by the code that makes answers;
//! examples of requests are parsed in tests by the code that parses requests. The committed `docs/openapi/control-v1.json`
//! must equal what is generated here (a test compares them), so a change of the API shows as a change of that file.
//!
//! The types on the wire are read field by field and not by a derive, since the reader refuses fields given twice and
//! names each fault; so the description is written beside them and held to them by tests.

mod appeals;
mod cases;
mod changes;
mod emergency;
mod events;
mod installation;
mod operations;
mod page;
mod rules;
mod samples;
pub(crate) mod schemas;
mod screening;
mod webhooks;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use self::operations::{open_operation, operation};
pub(crate) use self::page::page;
use crate::{
    OPEN_ROUTES,
    limits::{DEADLINE_MAX, IDEMPOTENCY_KEY_BYTES_MAX},
    problem::Kind,
    routes,
};

/// Version of the description: that of the API, not of the program.
const VERSION: &str = "1.0.0";

/// What is sent or answered.
#[derive(Debug)]
struct Content {
    media: &'static str,
    /// Another media type it may have, as text.
    or_text: Option<&'static str>,
    schema: Value,
    /// By name.
    examples: Vec<(&'static str, Value)>,
    description: &'static str,
}

impl Content {
    const fn json(description: &'static str, schema: Value, examples: Vec<(&'static str, Value)>) -> Self {
        Self { media: "application/json", or_text: None, schema, examples, description }
    }

    fn value(&self) -> Map<String, Value> {
        let examples: Map<String, Value> = self
            .examples
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })))
            .collect();
        let mut media = json!({ "schema": self.schema });
        if let (Some(object), false) = (media.as_object_mut(), examples.is_empty()) {
            object.insert("examples".to_owned(), Value::Object(examples));
        }
        let text = self.or_text.map(|media| (media.to_owned(), json!({ "schema": { "type": "string" } })));
        [(self.media.to_owned(), media)].into_iter().chain(text).collect()
    }
}

/// A route described.
#[derive(Debug)]
struct Operation {
    /// `operationId`: what generated clients call it; never changes.
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: &'static str,
    /// Name, schema, description.
    query: Vec<(&'static str, Value, &'static str)>,
    /// The ways to send it; empty for none.
    body: Vec<Content>,
    answer: Content,
    /// What it answers beside what every route of its kind may.
    problems: &'static [Kind],
}

/// What is in the path, by the name in braces.
fn path_parameter(name: &str) -> Value {
    let (schema, description, example) = match name {
        "appeal" => (schemas::text(64), "Id of an appeal, as answered.", "appeal-12"),
        "case" => (schemas::text(64), "Id of a case, as listed.", "case-7"),
        "backtest" => (
            json!({ "type": "integer", "minimum": 0 }),
            "Number of a backtest, as answered when it began.",
            "7",
        ),
        "model" => (schemas::text(64), "Digest of a model in hex.", rules::SHA256),
        "version" => (schemas::text(64), "SHA-256 of a version in hex.", rules::SHA256),
        "change" => (schemas::text(64), "Id of a change request, as listed.", "chg-42"),
        "grant" => (schemas::text(64), "Id of a grant, as listed.", "grant-07070707070707070707070707070707"),
        "key" => (schemas::text(64), "Id of an API key.", "0e2b7c1d-key"),
        "position" => (json!({ "type": "integer", "minimum": 0 }), "Position in the journal.", "0"),
        "handle" => (schemas::text(128), "As in the address the customer's browser was sent to.", "fresh"),
        _ => (schemas::text(64), "Id of a decision.", "dec-7-00112233445566aa"),
    };
    json!({
        "name": name, "in": "path", "required": true, "schema": schema, "description": description, "example": example,
    })
}

fn parameters(path: &str, operation: &Operation) -> Vec<Value> {
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path.map(path_parameter).collect();
    parameters.extend(operation.query.iter().map(|(name, schema, description)| {
        json!({ "name": name, "in": "query", "required": false, "schema": schema, "description": description })
    }));
    if operation.id == "decide" {
        let deadline = u64::try_from(DEADLINE_MAX.as_millis()).unwrap_or(u64::MAX);
        let header = |name: &str, schema: Value, description: &str| json!({ "name": name, "in": "header", "required": false, "schema": schema, "description": description });
        parameters.push(header(
            "Idempotency-Key",
            schemas::text(IDEMPOTENCY_KEY_BYTES_MAX),
            "As idempotency_key in the body.",
        ));
        parameters.push(header(
            "X-Deadline-Ms",
            json!({ "type": "integer", "minimum": 1, "maximum": deadline }),
            "As deadline_ms in the body.",
        ));
    }
    parameters
}

/// Problems by status, each with all its kinds as examples.
fn problems(kinds: impl IntoIterator<Item = Kind>) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        let kinds = by_status.entry(kind.status().as_u16()).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    by_status
        .into_iter()
        .map(|(status, kinds)| {
            let titles: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
            let examples: Map<String, Value> = kinds
                .iter()
                .map(|kind| {
                    let value = json!({ "type": kind.urn(), "title": kind.title(), "status": status });
                    (kind.name().to_owned(), json!({ "value": value }))
                })
                .collect();
            let mut response = json!({
                "description": titles.join("; or "),
                "content": { "application/problem+json": {
                    "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples,
                } },
            });
            if status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
                && let Some(object) = response.as_object_mut()
            {
                let header = json!({
                    "description": "Seconds to wait, with a problem of type busy.",
                    "schema": { "type": "integer", "minimum": 1 },
                });
                object.insert("headers".to_owned(), json!({ "Retry-After": header }));
            }
            (status.to_string(), response)
        })
        .collect()
}

/// `permission` is `None` for what asks for no token.
fn described(
    method: &str,
    path: &str,
    operation: &Operation,
    permission: Option<crate::Permission>,
) -> Value {
    let mut kinds = operation.problems.to_vec();
    kinds.push(Kind::Busy);
    if permission.is_some() {
        kinds.extend([Kind::Unauthenticated, Kind::PermissionMissing]);
        if method != "get" {
            kinds.push(Kind::CsrfMissing);
        }
    }
    if !operation.body.is_empty() {
        kinds.extend([
            Kind::InvalidRequest,
            Kind::BodyTooSlow,
            Kind::BodyTooLarge,
            Kind::EncodingUnsupported,
        ]);
    }
    if !operation.query.is_empty() {
        kinds.push(Kind::InvalidRequest);
    }
    let mut responses = problems(kinds);
    responses.insert(
        "200".to_owned(),
        json!({ "description": operation.answer.description, "content": operation.answer.value() }),
    );
    let mut value = json!({
        "operationId": operation.id, "tags": [operation.tag], "summary": operation.summary,
        "description": operation.description, "responses": responses,
    });
    let Some(object) = value.as_object_mut() else { return value };
    let parameters = parameters(path, operation);
    if !parameters.is_empty() {
        object.insert("parameters".to_owned(), json!(parameters));
    }
    if let Some(first) = operation.body.first() {
        let mut content = Map::new();
        for way in &operation.body {
            content.extend(way.value());
        }
        let body = json!({ "required": true, "description": first.description, "content": content });
        object.insert("requestBody".to_owned(), body);
    }
    match permission {
        None => drop(object.insert("security".to_owned(), json!([]))),
        Some(permission) => {
            let roles: Vec<&str> = permission.row().roles.iter().map(|role| role.as_str()).collect();
            object.insert("x-permission".to_owned(), json!(permission.as_str()));
            object.insert("x-roles".to_owned(), json!(roles));
        }
    }
    value
}

/// The document.
pub(crate) fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes() {
        let method = route.method.as_str().to_lowercase();
        let described = described(&method, route.path, &operation(route.action), Some(route.permission));
        paths.entry(route.path).or_default().insert(method, described);
    }
    for route in OPEN_ROUTES {
        let method = route.method.as_str().to_lowercase();
        let described = described(&method, route.path, &open_operation(route.action), None);
        paths.entry(route.path).or_default().insert(method, described);
    }
    let mut components = schemas::components();
    components.extend(rules::components().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    components.extend(screening::components().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Caponier control API",
            "version": VERSION,
            "summary": "Where an exchange reports what happened and asks for decisions.",
            "description": "Errors are RFC 9457 problems with stable types. Amounts are decimal strings, times are RFC 3339. \
                            Unknown fields and fields given twice are refused; null means absent. A field may be added to \
                            an answer at any time: readers ignore what they do not know.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "This installation" }],
        "security": [{ "bearer": [] }, { "session": [] }],
        "tags": operations::TAGS.iter().map(|(name, description)| json!({ "name": name, "description": description }))
            .collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "A program's token. x-permission says what it must allow.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": crate::people::COOKIE,
                    "description": "A person's session. x-roles says which roles have the permission. Requests that are not GET also \
                                    send x-caponier-csrf.",
                },
            },
        },
    })
}

/// The document as text, ASCII only, as it is served and committed. Made once.
#[must_use]
pub fn document_text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let text = serde_json::to_string_pretty(&document()).unwrap_or_default();
        // Some readers of JSON refuse control characters that JSON allows.
        let mut ascii = String::with_capacity(text.len() + 1);
        for char in text.chars() {
            if matches!(char, '\u{7f}'..='\u{ffff}') {
                ascii.push_str(&format!("\\u{:04x}", u32::from(char)));
            } else {
                ascii.push(char);
            }
        }
        ascii + "\n"
    });
    &TEXT
}

#[cfg(test)]
mod tests;
