//! From facts to an OpenAPI 3.1 document that [`Model::import`](crate::Model::import) reads.
//!
//! Stated beyond what was seen, so that the next honest request conforms as well: lengths and counts go up to the next
//! power of two, digits and letters stand for all digits and letters. Stated only after enough requests: what is
//! required, and which values there are.

use super::LearnBounds;
use super::paths::{PathNode, RouteFacts};
use super::shape::{ParamFacts, Shape, Texts};
use crate::json::tree::Json;

/// Members that say how often something was seen.
const SEEN: &str = "x-caponier-seen";
const VALUES_SEEN: &str = "x-caponier-values";
/// Distinct punctuation characters that a pattern names; with more, any printable one is admitted.
const PUNCTUATION_MAX: usize = 8;

/// The whole document.
pub(super) fn document(root: &PathNode, bounds: LearnBounds, n_learned: u64) -> Json {
    let mut paths = Vec::new();
    collect(root, &mut String::new(), &mut Vec::new(), bounds, &mut paths);
    Json::object([
        ("openapi", Json::text("3.1.0")),
        (
            "info",
            Json::object([
                ("title", Json::text("learned from traffic")),
                ("version", Json::text("0")),
                (SEEN, Json::count(n_learned)),
            ]),
        ),
        ("paths", Json::Object(paths)),
    ])
}

/// Adds the path items at and below `node`; `params` are the parameters of the path so far.
fn collect(
    node: &PathNode,
    path: &mut String,
    params: &mut Vec<Json>,
    bounds: LearnBounds,
    paths: &mut Vec<(String, Json)>,
) {
    if !node.methods.is_empty() {
        let mut item = Json::Object(Vec::new());
        if !params.is_empty() {
            item.push("parameters", Json::Array(params.clone()));
        }
        for (method, facts) in &node.methods {
            item.push(method.to_ascii_lowercase(), operation(facts, bounds));
        }
        paths.push((path.clone(), item));
    }
    let len = path.len();
    for (segment, below) in &node.literals {
        path.push('/');
        path.push_str(segment);
        collect(below, path, params, bounds, paths);
        path.truncate(len);
    }
    if let Some(parameter) = &node.parameter {
        let name = if params.is_empty() { "id".to_owned() } else { format!("id{}", params.len() + 1) };
        path.push_str("/{");
        path.push_str(&name);
        path.push('}');
        let schema = texts(&parameter.texts, bounds);
        params.push(Json::object([
            ("name", Json::text(name)),
            ("in", Json::text("path")),
            ("required", Json::Bool(true)),
            ("schema", schema),
        ]));
        collect(&parameter.node, path, params, bounds, paths);
        params.pop();
        path.truncate(len);
    }
}

fn operation(facts: &RouteFacts, bounds: LearnBounds) -> Json {
    let is_sure = facts.n >= bounds.samples_min;
    let mut operation = Json::object([(SEEN, Json::count(facts.n))]);
    if !facts.params.is_empty() {
        let described = |name: &str, param: &ParamFacts| {
            Json::object([
                ("name", Json::text(name)),
                ("in", Json::text("query")),
                ("required", Json::Bool(is_sure && param.n == facts.n)),
                ("schema", param_schema(param, bounds)),
                (SEEN, Json::count(param.n)),
            ])
        };
        operation.push(
            "parameters",
            Json::Array(facts.params.iter().map(|(name, param)| described(name, param)).collect()),
        );
    }
    if !facts.media.is_empty() {
        let described = |essence: &str, shape: &Option<Shape>| {
            let content = match shape {
                Some(shape) => Json::object([("schema", schema(shape, bounds))]),
                None => Json::Object(Vec::new()),
            };
            (essence.to_owned(), content)
        };
        operation.push(
            "requestBody",
            Json::object([
                ("required", Json::Bool(is_sure && facts.n_bodies == facts.n)),
                (
                    "content",
                    Json::Object(
                        facts.media.iter().map(|(essence, shape)| described(essence, shape)).collect(),
                    ),
                ),
                (SEEN, Json::count(facts.n_bodies)),
            ]),
        );
    }
    operation.push(
        "responses",
        Json::object([("default", Json::object([("description", Json::text("not learned"))]))]),
    );
    operation
}

fn param_schema(param: &ParamFacts, bounds: LearnBounds) -> Json {
    let Some(facts) = &param.texts else { return Json::object([("type", Json::text("string"))]) };
    let text = texts(facts, bounds);
    if param.repeats_max < 2 {
        return text;
    }
    Json::object([
        ("type", Json::text("array")),
        ("items", text),
        ("maxItems", Json::count(widened(param.repeats_max))),
    ])
}

/// The schema of texts that are strings and nothing else.
fn texts(facts: &Texts, bounds: LearnBounds) -> Json {
    let mut schema = Json::object([("type", Json::text("string"))]);
    push_text_rules(&mut schema, facts, bounds, false);
    schema
}

/// Adds the rules for strings; `with_null` is whether the value may also be null, which an enum must then name.
fn push_text_rules(schema: &mut Json, facts: &Texts, bounds: LearnBounds, with_null: bool) {
    schema.push(SEEN, Json::count(facts.n));
    if facts.n_empty == facts.n {
        schema.push("maxLength", Json::count(0));
        return;
    }
    if facts.n_empty > 0 {
        let mut rules = Json::Object(Vec::new());
        push_rules_of_content(&mut rules, facts, bounds, with_null);
        schema.push("anyOf", Json::Array(vec![Json::object([("const", Json::text(""))]), rules]));
    } else {
        push_rules_of_content(schema, facts, bounds, with_null);
    }
}

fn push_rules_of_content(schema: &mut Json, facts: &Texts, bounds: LearnBounds, with_null: bool) {
    let is_sure = facts.n - facts.n_empty >= bounds.samples_min;
    // Amounts and prices take few values in little traffic; they are no enum.
    let is_enum = |value: &str| !(facts.is_decimal && value.contains(['.', '-', 'e', 'E']));
    if let Some(values) =
        facts.values.as_ref().filter(|values| is_sure && values.keys().all(|value| is_enum(value)))
    {
        let mut admitted: Vec<Json> = values.keys().map(|value| Json::text(&**value)).collect();
        if with_null {
            admitted.push(Json::Null);
        }
        schema.push("enum", Json::Array(admitted));
        let counts = values.iter().map(|(value, n)| (value.to_string(), Json::count(*n)));
        schema.push(VALUES_SEEN, Json::Object(counts.collect()));
        return;
    }
    schema.push("minLength", Json::count(1));
    schema.push("maxLength", Json::count(widened(facts.chars_max)));
    if facts.is_decimal {
        schema.push("format", Json::text("decimal"));
    } else if !facts.has_others {
        schema.push("pattern", Json::text(pattern(facts.ascii)));
    }
}

/// A pattern of the characters seen; letters and digits stand for all of their kind.
fn pattern(ascii: u128) -> String {
    let has = |range: std::ops::RangeInclusive<u8>| range.into_iter().any(|byte| ascii & (1 << byte) != 0);
    let punctuation: Vec<u8> =
        (b' '..=b'~').filter(|byte| ascii & (1 << byte) != 0 && !byte.is_ascii_alphanumeric()).collect();
    if punctuation.len() > PUNCTUATION_MAX {
        return "^[ -~]*$".to_owned();
    }
    let mut class = String::from("^[");
    for (range, text) in [(b'A'..=b'Z', "A-Z"), (b'a'..=b'z', "a-z"), (b'0'..=b'9', "0-9")] {
        if has(range) {
            class.push_str(text);
        }
    }
    for byte in punctuation {
        if b"-[\\]^".contains(&byte) {
            class.push('\\');
        }
        class.push(char::from(byte));
    }
    class.push_str("]*$");
    class
}

fn schema(shape: &Shape, bounds: LearnBounds) -> Json {
    let mut schema = Json::Object(Vec::new());
    if shape.is_any || shape.n == 0 {
        return schema;
    }
    let kinds = [
        ("array", shape.array.is_some()),
        ("boolean", shape.n_bool > 0),
        ("integer", shape.n_integer > 0 && shape.n_fraction == 0),
        ("null", shape.n_null > 0),
        ("number", shape.n_fraction > 0),
        ("object", shape.object.is_some()),
        ("string", shape.texts.is_some()),
    ];
    let types: Vec<Json> =
        kinds.iter().filter(|(_, is_seen)| *is_seen).map(|(name, _)| Json::text(*name)).collect();
    // An enum speaks about every type, so it is stated only where strings stand alone or beside null.
    let is_text_only = shape.texts.as_ref().is_some_and(|texts| texts.n + shape.n_null == shape.n);
    match <[Json; 1]>::try_from(types) {
        Ok([only]) => schema.push("type", only),
        Err(types) => schema.push("type", Json::Array(types)),
    }
    if (shape.n_integer > 0 || shape.n_fraction > 0) && !shape.has_negative {
        schema.push("minimum", Json::count(0));
    }
    match &shape.texts {
        Some(texts) if is_text_only => push_text_rules(&mut schema, texts, bounds, shape.n_null > 0),
        Some(texts) => {
            schema.push(SEEN, Json::count(shape.n));
            schema.push("maxLength", Json::count(widened(texts.chars_max)));
        }
        None => schema.push(SEEN, Json::count(shape.n)),
    }
    if let Some(array) = &shape.array {
        schema.push("items", self::schema(&array.items, bounds));
        schema.push("maxItems", Json::count(widened(array.items_max)));
    }
    if let Some(object) = &shape.object {
        let required: Vec<Json> = object
            .properties
            .iter()
            .filter(|(_, property)| object.n >= bounds.samples_min && property.n == object.n)
            .map(|(name, _)| Json::text(&**name))
            .collect();
        let properties =
            object.properties.iter().map(|(name, shape)| (name.to_string(), self::schema(shape, bounds)));
        schema.push("properties", Json::Object(properties.collect()));
        if !required.is_empty() {
            schema.push("required", Json::Array(required));
        }
        schema.push("additionalProperties", Json::Bool(object.is_open));
    }
    schema
}

/// The next power of two, so that the next honest value fits as well.
fn widened(n: u64) -> u64 {
    n.checked_next_power_of_two().unwrap_or(u64::MAX)
}
