//! From an OpenAPI 3.0 or 3.1 document (JSON) to a [`Model`].
//!
//! Whatever the document states about requests is understood, listed in [`Model::unchecked`], or an error that names
//! its JSON pointer; nothing is dropped silently.
//!
//! Understood. Document: `paths`, `components` by local reference, the path of `servers`. Path items: operations,
//! `parameters`. Operations: `parameters`, `requestBody`, `operationId`. Parameters: `in` path and query, `required`,
//! `allowEmptyValue`, `schema`, styles `simple` and `form` with and without `explode`. Bodies: `required`, `content`
//! (JSON media types are checked). Schemas: see the `schemas` module.
//!
//! Not about requests, so ignored: `info`, `tags`, `responses`, `callbacks`, `security`, `webhooks`, examples, texts,
//! and `x-` members.
//!
//! Source: OpenAPI Specification 3.0.4 and 3.1.1. Bounds: see [`bounds`](crate::bounds).

mod error;
mod schemas;

use std::collections::BTreeMap;

pub use error::ImportError;
use schemas::Schemas;

use crate::bounds::{
    DOCUMENT_BYTES_MAX, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX, PARAMS_MAX, ROUTES_MAX, SCHEMA_DEPTH_MAX,
};
use crate::json::tree::{DocumentFault, Json};
use crate::model::{Body, List, Model, Param, Route};
use crate::pointer::Pointer;
use crate::router::{self, Refused, Router};

/// The operations a path item may have, as members and as methods.
const METHODS: [(&str, &str); 8] = [
    ("delete", "DELETE"),
    ("get", "GET"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
    ("patch", "PATCH"),
    ("post", "POST"),
    ("put", "PUT"),
    ("trace", "TRACE"),
];

/// The edition of a document; schemas differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edition {
    V3_0,
    V3_1,
}

impl Model {
    /// Compiles an OpenAPI 3.0 or 3.1 document in JSON.
    ///
    /// # Errors
    /// A document that is no such thing, exceeds a bound, or states something about requests that is not understood;
    /// the error names the place.
    pub fn import(document: &[u8]) -> Result<Self, ImportError> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(ImportError::bound(&Pointer::ROOT, "bytes of the document", DOCUMENT_BYTES_MAX));
        }
        let text = std::str::from_utf8(document)
            .map_err(|error| ImportError::Malformed { offset: error.valid_up_to() })?;
        let tree =
            Json::parse(text, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX).map_err(|fault| match fault {
                DocumentFault::Malformed { offset } => ImportError::Malformed { offset },
                DocumentFault::RepeatedName { name, offset } => ImportError::RepeatedName { name, offset },
                DocumentFault::TooDeep => {
                    ImportError::bound(&Pointer::ROOT, "nested values of the document", DOCUMENT_DEPTH_MAX)
                }
                DocumentFault::TooManyValues => {
                    ImportError::bound(&Pointer::ROOT, "values of the document", DOCUMENT_VALUES_MAX)
                }
            })?;
        Importer::new(&tree)?.run()
    }
}

struct Importer<'a> {
    root: &'a Json,
    schemas: Schemas<'a>,
    router: Router,
    routes: Vec<Route>,
    unchecked: Vec<String>,
    base: &'a str,
}

impl<'a> Importer<'a> {
    fn new(root: &'a Json) -> Result<Self, ImportError> {
        let edition = match root.member("openapi") {
            Some(Json::String(version)) if version.starts_with("3.0.") => Edition::V3_0,
            Some(Json::String(version)) if version.starts_with("3.1.") => Edition::V3_1,
            _ => {
                return Err(ImportError::unsupported(
                    &Pointer::ROOT.name("openapi"),
                    "an edition but 3.0 and 3.1",
                ));
            }
        };
        Ok(Self {
            root,
            schemas: Schemas::new(root, edition),
            router: Router::new(),
            routes: Vec::new(),
            unchecked: Vec::new(),
            base: "",
        })
    }

    fn run(mut self) -> Result<Model, ImportError> {
        let at = Pointer::ROOT;
        for (name, value) in members(self.root, &at)? {
            match name.as_str() {
                "servers" => self.base = base_path(value, &at.name(name))?,
                "openapi" | "info" | "jsonSchemaDialect" | "paths" | "webhooks" | "components"
                | "security" | "tags" | "externalDocs" => {}
                _ => known_extension(name, &at)?,
            }
        }
        if let Some(dialect) = self.root.member("jsonSchemaDialect")
            && !matches!(dialect, Json::String(name) if schemas::is_known_dialect(name))
        {
            return Err(ImportError::unsupported(
                &at.name("jsonSchemaDialect"),
                "another dialect of JSON Schema",
            ));
        }
        let paths_at = at.name("paths");
        let paths = self.root.member("paths").ok_or_else(|| ImportError::missing(&paths_at))?;
        for (template, item) in members(paths, &paths_at)? {
            if !template.starts_with("x-") {
                self.path(template, item, &paths_at.name(template))?;
            }
        }
        let nodes = self.schemas.finish()?;
        Ok(Model { router: self.router, routes: self.routes, nodes, unchecked: self.unchecked })
    }

    fn path(&mut self, template: &'a str, item: &'a Json, at: &Pointer<'_>) -> Result<(), ImportError> {
        let mut shared = BTreeMap::new();
        if let Some(list) = item.member("parameters") {
            self.parameters(list, &at.name("parameters"), &mut shared)?;
        }
        for (name, value) in members(item, at)? {
            if let Some((_, method)) = METHODS.iter().find(|(member, _)| member == name) {
                self.operation(method, template, value, &shared, &at.name(name))?;
                continue;
            }
            match name.as_str() {
                "parameters" | "summary" | "description" => {}
                "$ref" | "servers" => return Err(ImportError::unknown(at, name)),
                _ => known_extension(name, at)?,
            }
        }
        Ok(())
    }

    fn operation(
        &mut self,
        method: &str,
        template: &str,
        operation: &'a Json,
        shared: &BTreeMap<(Place, String), Read>,
        at: &Pointer<'_>,
    ) -> Result<(), ImportError> {
        let mut params = shared.clone();
        let mut body = Body { is_declared: false, is_required: false, media: BTreeMap::new() };
        let mut operation_id = None;
        for (name, value) in members(operation, at)? {
            match name.as_str() {
                "operationId" => operation_id = Some(string(value, &at.name(name))?.into()),
                "parameters" => self.parameters(value, &at.name(name), &mut params)?,
                "requestBody" => body = self.body(value, &at.name(name))?,
                "tags" | "summary" | "description" | "externalDocs" | "responses" | "callbacks"
                | "deprecated" | "security" => {}
                "servers" => return Err(ImportError::unknown(at, name)),
                _ => known_extension(name, at)?,
            }
        }
        if params.len() > PARAMS_MAX {
            return Err(ImportError::bound(at, "parameters of an operation", PARAMS_MAX));
        }
        if self.routes.len() == ROUTES_MAX {
            return Err(ImportError::bound(at, "routes", ROUTES_MAX));
        }
        let template = format!("{}{template}", self.base);
        let mut path_params = Vec::new();
        for name in router::segments(&template).into_iter().flatten().filter_map(router::parameter) {
            let param = params.remove(&(Place::Path, name.to_owned()));
            path_params.push(
                param.ok_or_else(|| ImportError::unsupported(at, "a path parameter without a schema"))?,
            );
        }
        if params.keys().any(|(place, _)| *place == Place::Path) {
            return Err(ImportError::unsupported(at, "a path parameter that the path does not have"));
        }
        self.router.add(method, &template, self.routes.len()).map_err(|refused| match refused {
            Refused::Taken => ImportError::unsupported(at, "an operation whose path and method are taken"),
            Refused::Template => ImportError::unsupported(at, "a path whose braces are not whole segments"),
            Refused::TooLong => ImportError::bound(at, "segments of a path", router::SEGMENTS_MAX),
        })?;
        let built = |(name, read): (&str, Read)| Param {
            name: name.into(),
            is_required: read.is_required,
            may_be_empty: read.may_be_empty,
            list: read.list,
            node: read.node,
        };
        let names: Vec<String> = router::segments(&template)
            .into_iter()
            .flatten()
            .filter_map(router::parameter)
            .map(str::to_owned)
            .collect();
        self.routes.push(Route {
            method: method.into(),
            path_params: names.iter().map(String::as_str).zip(path_params).map(built).collect(),
            query_params: params.iter().map(|((_, name), read)| built((name, *read))).collect(),
            template: template.into(),
            operation_id,
            body,
        });
        Ok(())
    }

    /// Reads a list of parameters into `params`; a later one replaces an earlier one of the same place and name.
    fn parameters(
        &mut self,
        list: &'a Json,
        at: &Pointer<'_>,
        params: &mut BTreeMap<(Place, String), Read>,
    ) -> Result<(), ImportError> {
        let Json::Array(list) = list else { return Err(ImportError::wrong(at, "an array")) };
        for (i, param) in list.iter().enumerate() {
            let here = at.index(i);
            let (param, _) = resolve(self.root, param, &here)?;
            let place = param.member("in").ok_or_else(|| ImportError::missing(&here.name("in")))?;
            let place = match string(place, &here.name("in"))? {
                "path" => Place::Path,
                "query" => Place::Query,
                "header" | "cookie" => {
                    self.unchecked.push(here.to_string());
                    continue;
                }
                _ => return Err(ImportError::unsupported(&here.name("in"), "a place of parameters")),
            };
            let name = param.member("name").ok_or_else(|| ImportError::missing(&here.name("name")))?;
            let name = string(name, &here.name("name"))?.to_owned();
            let read = self.parameter(param, place, &here)?;
            params.insert((place, name), read);
        }
        Ok(())
    }

    fn parameter(&mut self, param: &'a Json, place: Place, at: &Pointer<'_>) -> Result<Read, ImportError> {
        let mut is_required = false;
        let mut may_be_empty = false;
        let mut schema = None;
        let default_style = if place == Place::Path { "simple" } else { "form" };
        let mut explode = place == Place::Query;
        for (name, value) in members(param, at)? {
            let here = at.name(name);
            match name.as_str() {
                "required" => is_required = boolean(value, &here)?,
                "allowEmptyValue" => may_be_empty = place == Place::Query && boolean(value, &here)?,
                "schema" => schema = Some(self.schemas.schema(value, &here, SCHEMA_DEPTH_MAX)?),
                "explode" => explode = boolean(value, &here)?,
                "style" if string(value, &here)? == default_style => {}
                "style" => return Err(ImportError::unsupported(&here, "this style of parameter")),
                "in" | "name" | "description" | "deprecated" | "example" | "examples" | "allowReserved" => {}
                _ => known_extension(name, at)?,
            }
        }
        if place == Place::Path && !is_required {
            return Err(ImportError::unsupported(at, "a path parameter that is not required"));
        }
        let node = schema.ok_or_else(|| ImportError::missing(&at.name("schema")))?;
        let list = match self.schemas.holds_lists(node) {
            None => List::No,
            Some(false) => {
                return Err(ImportError::unsupported(&at.name("schema"), "an object in a parameter"));
            }
            Some(true) if explode && place == Place::Query => List::Repeats,
            Some(true) => List::Commas,
        };
        Ok(Read { is_required, may_be_empty, list, node })
    }

    fn body(&mut self, body: &'a Json, at: &Pointer<'_>) -> Result<Body, ImportError> {
        let (body, _) = resolve(self.root, body, at)?;
        let mut is_required = false;
        let mut media = BTreeMap::new();
        for (name, value) in members(body, at)? {
            let here = at.name(name);
            match name.as_str() {
                "required" => is_required = boolean(value, &here)?,
                "content" => {
                    for (range, content) in members(value, &here)? {
                        let here = here.name(range);
                        let (essence, node) = self.media_type(range, content, &here)?;
                        if media.insert(essence, node).is_some() {
                            return Err(ImportError::unsupported(&here, "a media type that is there twice"));
                        }
                    }
                }
                "description" => {}
                _ => known_extension(name, at)?,
            }
        }
        if media.is_empty() {
            return Err(ImportError::missing(&at.name("content")));
        }
        Ok(Body { is_declared: true, is_required, media })
    }

    fn media_type(
        &mut self,
        range: &str,
        content: &'a Json,
        at: &Pointer<'_>,
    ) -> Result<(Box<str>, Option<crate::model::NodeId>), ImportError> {
        let essence = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence.contains('*') || !essence.contains('/') {
            return Err(ImportError::unsupported(at, "a range of media types"));
        }
        let mut schema = None;
        for (name, value) in members(content, at)? {
            match name.as_str() {
                "schema" => schema = Some((value, at.name(name))),
                "example" | "examples" => {}
                // Encoding concerns form bodies, which are admitted unread and listed.
                "encoding" => {}
                _ => known_extension(name, at)?,
            }
        }
        let node = match schema {
            Some((schema, at)) if is_json(&essence) => {
                Some(self.schemas.schema(schema, &at, SCHEMA_DEPTH_MAX)?)
            }
            None if is_json(&essence) => Some(self.schemas.anything(at)?),
            _ => {
                self.unchecked.push(at.to_string());
                None
            }
        };
        Ok((essence.into(), node))
    }
}

/// What was read of one parameter.
#[derive(Debug, Clone, Copy)]
struct Read {
    is_required: bool,
    may_be_empty: bool,
    list: List,
    node: crate::model::NodeId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Path,
    Query,
}

/// Whether bodies of this media type are JSON: `application/json` and the `+json` suffix (RFC 6839).
pub(crate) fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

/// The path all servers share, without a slash at its end.
fn base_path<'a>(servers: &'a Json, at: &Pointer<'_>) -> Result<&'a str, ImportError> {
    let Json::Array(servers) = servers else { return Err(ImportError::wrong(at, "an array")) };
    let mut base = None;
    for (i, server) in servers.iter().enumerate() {
        let here = at.index(i);
        let at = here.name("url");
        let url = string(server.member("url").ok_or_else(|| ImportError::missing(&at))?, &at)?;
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
            None => url,
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.contains(['{', '}', '?', '#']) || !(path.is_empty() || path.starts_with('/')) {
            return Err(ImportError::unsupported(&at, "a server path with variables or without a slash"));
        }
        if *base.get_or_insert(path) != path {
            return Err(ImportError::unsupported(&at, "servers with different paths"));
        }
    }
    Ok(base.unwrap_or_default())
}

/// What a local reference points to, following references; the value itself if it is none.
fn resolve<'a>(
    root: &'a Json,
    value: &'a Json,
    at: &Pointer<'_>,
) -> Result<(&'a Json, Option<&'a str>), ImportError> {
    let mut value = value;
    let mut last = None;
    for _ in 0..SCHEMA_DEPTH_MAX {
        let Some(reference) = value.member("$ref") else { return Ok((value, last)) };
        let reference = string(reference, &at.name("$ref"))?;
        value = target(root, reference).ok_or_else(|| ImportError::reference(at, reference))?;
        last = Some(reference);
    }
    Err(ImportError::unsupported(at, "references that lead in a circle"))
}

/// The value a reference of the form `#/...` points to.
fn target<'a>(root: &'a Json, reference: &str) -> Option<&'a Json> {
    let mut value = root;
    for step in reference.strip_prefix("#/")?.split('/') {
        // Percent-encoding in fragments is legal and unused; such a reference is not found.
        let step = step.replace("~1", "/").replace("~0", "~");
        value = match value {
            Json::Object(_) => value.member(&step)?,
            Json::Array(values) => values.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

fn members<'a>(value: &'a Json, at: &Pointer<'_>) -> Result<&'a [(String, Json)], ImportError> {
    match value {
        Json::Object(members) => Ok(members),
        _ => Err(ImportError::wrong(at, "an object")),
    }
}

fn string<'a>(value: &'a Json, at: &Pointer<'_>) -> Result<&'a str, ImportError> {
    match value {
        Json::String(text) => Ok(text),
        _ => Err(ImportError::wrong(at, "a string")),
    }
}

fn boolean(value: &Json, at: &Pointer<'_>) -> Result<bool, ImportError> {
    match value {
        Json::Bool(value) => Ok(*value),
        _ => Err(ImportError::wrong(at, "true or false")),
    }
}

/// Admits `x-` members, which the specification leaves to others.
fn known_extension(name: &str, at: &Pointer<'_>) -> Result<(), ImportError> {
    if name.starts_with("x-") { Ok(()) } else { Err(ImportError::unknown(at, name)) }
}

#[cfg(test)]
mod tests;
