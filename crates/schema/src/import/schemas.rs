//! From schema objects to nodes.
//!
//! Understood: `type` (also as a list), `nullable` (3.0), `enum` and `const` of scalars, `minLength`, `maxLength`,
//! `pattern` (see the `pattern` module), `format` (`date`, `date-time`, `decimal`, `ipv4`, `ipv6`, `uuid`, `int32`,
//! `int64`; `float`, `double`, `password` assert nothing), `minimum`, `maximum`, `exclusiveMinimum`,
//! `exclusiveMaximum` (each edition's form), `multipleOf`, `items`, `minItems`, `maxItems`, `properties`, `required`,
//! `additionalProperties`, `minProperties`, `maxProperties`, `allOf`, `anyOf`, `oneOf`, `not`, `$ref` within the document,
//! `readOnly` (refused in requests, never required there), boolean schemas (3.1), `uniqueItems: false`.
//!
//! Noted and ignored, because they assert nothing: `title`, `description`, `default`, `example`, `examples`,
//! `deprecated`, `writeOnly`, `externalDocs`, `xml`, `discriminator` (a hint beside `oneOf`), `$comment`,
//! `contentMediaType`, `contentEncoding`, `x-` members. `$schema` must name the dialect of the edition.
//!
//! Everything else is an error. Property names must be such as the scan of bodies lets through (printable ASCII).

use std::collections::BTreeMap;

use super::{Edition, ImportError, boolean, known_extension, members, string, target};
use crate::bounds::{ENUM_MAX, NODES_MAX, PROPERTIES_MAX, REQUIRED_MAX};
use crate::format::Format;
use crate::json::decimal::Divisor;
use crate::json::tree::Json;
use crate::model::{ArrayRules, Literal, Node, NodeId, NumberRules, ObjectRules, Others, StringRules, Types};
use crate::pattern::Pattern;
use crate::pointer::Pointer;

/// Schemas looked at to tell whether one parameter is a list.
const LOOKS_MAX: usize = 1_000;
const INT32: (&str, &str) = ("-2147483648", "2147483647");
const INT64: (&str, &str) = ("-9223372036854775808", "9223372036854775807");

/// Whether schemas of this dialect mean what this module takes them to mean.
pub(super) fn is_known_dialect(name: &str) -> bool {
    matches!(
        name.trim_end_matches('#'),
        "https://spec.openapis.org/oas/3.1/dialect/base" | "https://json-schema.org/draft/2020-12/schema"
    )
}

/// The schemas of one document as they are compiled.
pub(super) struct Schemas<'a> {
    root: &'a Json,
    edition: Edition,
    nodes: Vec<Node>,
    /// The node of each reference that was followed, also while it is being compiled.
    references: BTreeMap<&'a str, NodeId>,
}

impl<'a> Schemas<'a> {
    pub(super) const fn new(root: &'a Json, edition: Edition) -> Self {
        Self { root, edition, nodes: Vec::new(), references: BTreeMap::new() }
    }

    /// All nodes, once none judges a value by way of itself.
    pub(super) fn finish(self) -> Result<Vec<Node>, ImportError> {
        // 0 unseen, 1 on the current way, 2 done. The walk keeps its own stack: chains may be long.
        let mut marks = vec![0u8; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut stack = vec![(start, false)];
            while let Some((at, is_done)) = stack.pop() {
                if is_done {
                    marks[at] = 2;
                    continue;
                }
                if marks[at] != 0 {
                    continue;
                }
                marks[at] = 1;
                stack.push((at, true));
                for next in self.nodes[at].beside() {
                    match marks[next.0] {
                        0 => stack.push((next.0, false)),
                        1 => {
                            let at = Pointer::ROOT.name("components");
                            return Err(ImportError::unsupported(
                                &at,
                                "a schema that refers to itself for one value",
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(self.nodes)
    }

    /// A schema that admits anything.
    pub(super) fn anything(&mut self, at: &Pointer<'_>) -> Result<NodeId, ImportError> {
        self.add(Node::anything(), at)
    }

    fn add(&mut self, node: Node, at: &Pointer<'_>) -> Result<NodeId, ImportError> {
        if self.nodes.len() == NODES_MAX {
            return Err(ImportError::bound(at, "schemas", NODES_MAX));
        }
        self.nodes.push(node);
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// For parameters: `Some(true)` if the schema is of arrays of scalars, `None` if of scalars, `Some(false)` if
    /// it could be an object, nest arrays, or takes more than a look at [`LOOKS_MAX`] schemas to tell.
    pub(super) fn holds_lists(&self, id: NodeId) -> Option<bool> {
        self.holds_lists_within(id, &mut { LOOKS_MAX })
    }

    fn holds_lists_within(&self, id: NodeId, looks_left: &mut usize) -> Option<bool> {
        *looks_left = match looks_left.checked_sub(1) {
            Some(left) => left,
            None => return Some(false),
        };
        let node = &self.nodes[id.0];
        if node.types == Types(Types::ARRAY) {
            let items = node.array.as_ref().and_then(|rules| rules.items);
            return Some(items.is_none_or(|items| self.holds_lists_within(items, looks_left).is_none()));
        }
        // A reference is a node with one node beside it, which speaks for it.
        let is_alone = node.all_of.len() == 1 && node.any_of.is_empty() && node.one_of.is_empty();
        for beside in node.all_of.iter().chain(&node.any_of).chain(&node.one_of) {
            if let Some(holds) = self.holds_lists_within(*beside, looks_left) {
                return Some(holds && is_alone);
            }
        }
        let is_stated = node.types != Types::ANY;
        (is_stated && (node.types.has(Types::OBJECT) || node.types.has(Types::ARRAY))).then_some(false)
    }

    /// Compiles a schema; `depth` counts down over schemas in schemas.
    pub(super) fn schema(
        &mut self,
        schema: &'a Json,
        at: &Pointer<'_>,
        depth: usize,
    ) -> Result<NodeId, ImportError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(ImportError::bound(at, "schemas inside schemas", crate::bounds::SCHEMA_DEPTH_MAX));
        };
        match schema {
            Json::Bool(value) if self.edition == Edition::V3_1 => {
                self.add(Node { is_never: !value, ..Node::anything() }, at)
            }
            Json::Object(list) => match schema.member("$ref") {
                Some(reference) if list.len() == 1 => {
                    self.reference(string(reference, &at.name("$ref"))?, at, depth)
                }
                _ => {
                    let node = self.node(list, at, depth)?;
                    self.add(node, at)
                }
            },
            _ => Err(ImportError::wrong(at, "a schema")),
        }
    }

    fn reference(
        &mut self,
        reference: &'a str,
        at: &Pointer<'_>,
        depth: usize,
    ) -> Result<NodeId, ImportError> {
        if let Some(node) = self.references.get(reference) {
            return Ok(*node);
        }
        let schema = target(self.root, reference).ok_or_else(|| ImportError::reference(at, reference))?;
        // Entered before it is compiled, so that a schema may contain itself.
        let id = self.anything(at)?;
        self.references.insert(reference, id);
        let here = Pointer::ROOT.name(reference);
        let inner = self.schema(schema, &here, depth)?;
        let is_read_only = self.nodes[inner.0].is_read_only;
        self.nodes[id.0] = Node { all_of: vec![inner], is_read_only, ..Node::anything() };
        Ok(id)
    }

    fn node(
        &mut self,
        list: &'a [(String, Json)],
        at: &Pointer<'_>,
        depth: usize,
    ) -> Result<Node, ImportError> {
        let mut node = Node::anything();
        let mut strings = StringRules::default();
        let mut numbers = NumberRules::default();
        let mut arrays = ArrayRules::default();
        let mut objects = Objects::default();
        let (mut is_nullable, mut excludes_min, mut excludes_max) = (false, false, false);
        let is_3_0 = self.edition == Edition::V3_0;
        for (keyword, value) in list {
            let here = at.name(keyword);
            match keyword.as_str() {
                "$ref" if is_3_0 => {
                    return Err(ImportError::unsupported(
                        &here,
                        "a reference with members beside it (edition 3.0)",
                    ));
                }
                "$ref" => {
                    let id = self.reference(string(value, &here)?, at, depth)?;
                    node.all_of.push(id);
                }
                "type" => node.types = self.types(value, &here)?,
                "nullable" if is_3_0 => is_nullable = boolean(value, &here)?,
                "enum" => node.values = Some(literals(value, &here)?),
                "const" if !is_3_0 => match literal(value) {
                    // `enum` beside `const`: both hold.
                    Some(value) => {
                        let inner = Node { values: Some(vec![value]), ..Node::anything() };
                        let id = self.add(inner, at)?;
                        node.all_of.push(id);
                    }
                    None => return Err(ImportError::unsupported(&here, "an array or object as a constant")),
                },
                "minLength" => strings.chars_min = Some(count(value, &here)?),
                "maxLength" => strings.chars_max = Some(count(value, &here)?),
                "pattern" => {
                    let pattern = Pattern::new(string(value, &here)?);
                    strings.pattern = Some(pattern.map_err(|what| ImportError::unsupported(&here, what))?);
                }
                "format" => match string(value, &here)? {
                    "int32" => numbers.integer_range = Some(INT32),
                    "int64" => numbers.integer_range = Some(INT64),
                    "float" | "double" | "password" => {}
                    name => match Format::named(name) {
                        Some(format) => strings.format = Some(format),
                        None => return Err(ImportError::unsupported(&here, "this format")),
                    },
                },
                "minimum" => numbers.min = Some(number(value, &here)?),
                "maximum" => numbers.max = Some(number(value, &here)?),
                "exclusiveMinimum" if is_3_0 => excludes_min = boolean(value, &here)?,
                "exclusiveMaximum" if is_3_0 => excludes_max = boolean(value, &here)?,
                "exclusiveMinimum" => numbers.above = Some(number(value, &here)?),
                "exclusiveMaximum" => numbers.below = Some(number(value, &here)?),
                "multipleOf" => {
                    let divisor = Divisor::new(&number(value, &here)?);
                    numbers.multiple_of = Some(divisor.ok_or_else(|| {
                        ImportError::unsupported(
                            &here,
                            "a divisor that is not positive or has over 18 digits",
                        )
                    })?);
                }
                "items" => arrays.items = Some(self.schema(value, &here, depth)?),
                "minItems" => arrays.items_min = Some(count(value, &here)?),
                "maxItems" => arrays.items_max = Some(count(value, &here)?),
                "uniqueItems" if !boolean(value, &here)? => {}
                "properties" => {
                    objects.is_stated = true;
                    for (name, property) in members(value, &here)? {
                        let here = here.name(name);
                        printable(name, &here)?;
                        let id = self.schema(property, &here, depth)?;
                        objects.properties.insert(name, id);
                    }
                    if objects.properties.len() > PROPERTIES_MAX {
                        return Err(ImportError::bound(&here, "properties", PROPERTIES_MAX));
                    }
                }
                "required" => {
                    objects.is_stated = true;
                    objects.required = names(value, &here)?;
                }
                "additionalProperties" => {
                    objects.is_stated = true;
                    objects.others = match value {
                        Json::Bool(true) => Others::Allowed,
                        Json::Bool(false) => Others::Refused,
                        schema => Others::Checked(self.schema(schema, &here, depth)?),
                    };
                }
                "minProperties" => {
                    objects.is_stated = true;
                    objects.members_min = Some(count(value, &here)?);
                }
                "maxProperties" => {
                    objects.is_stated = true;
                    objects.members_max = Some(count(value, &here)?);
                }
                "allOf" => node.all_of.extend(self.alternatives(value, &here, depth)?),
                "anyOf" => node.any_of = self.alternatives(value, &here, depth)?,
                "oneOf" => node.one_of = self.alternatives(value, &here, depth)?,
                "not" => node.not = Some(self.schema(value, &here, depth)?),
                "readOnly" => node.is_read_only = boolean(value, &here)?,
                "$schema" if !is_3_0 && is_known_dialect(string(value, &here)?) => {}
                "title" | "description" | "default" | "example" | "deprecated" | "writeOnly"
                | "externalDocs" | "xml" | "discriminator" => {}
                "examples" | "$comment" | "contentMediaType" | "contentEncoding" if !is_3_0 => {}
                _ => known_extension(keyword, at)?,
            }
        }
        // `nullable` widens a stated `type` and nothing else (3.0.3 and later).
        if is_nullable && node.types != Types::ANY {
            node.types.0 |= Types::NULL;
        }
        if excludes_min {
            numbers.above = numbers.min.take();
        }
        if excludes_max {
            numbers.below = numbers.max.take();
        }
        node.string = is_any(&strings).then(|| Box::new(strings));
        node.number = has_any(&numbers).then(|| Box::new(numbers));
        let has_array = arrays.items.is_some() || arrays.items_min.is_some() || arrays.items_max.is_some();
        node.array = has_array.then(|| Box::new(arrays));
        if objects.is_stated {
            node.object = Some(Box::new(self.object(objects, at)?));
        }
        Ok(node)
    }

    fn object(&self, stated: Objects<'a>, at: &Pointer<'_>) -> Result<ObjectRules, ImportError> {
        let is_read_only =
            |name: &str| stated.properties.get(name).is_some_and(|id: &NodeId| self.nodes[id.0].is_read_only);
        let required: Vec<Box<str>> =
            stated.required.iter().filter(|name| !is_read_only(name)).map(|name| (*name).into()).collect();
        if required.len() > REQUIRED_MAX {
            return Err(ImportError::bound(at, "required properties", REQUIRED_MAX));
        }
        let bit = |name: &str| required.iter().position(|other| &**other == name).map_or(0, |i| 1u128 << i);
        Ok(ObjectRules {
            required_bits: stated.properties.keys().map(|name| bit(name)).collect(),
            properties: stated.properties.iter().map(|(name, id)| ((*name).into(), *id)).collect(),
            required,
            others: stated.others,
            members_min: stated.members_min,
            members_max: stated.members_max,
        })
    }

    fn types(&self, value: &Json, at: &Pointer<'_>) -> Result<Types, ImportError> {
        let named = |value: &Json, at: &Pointer<'_>| {
            let name = string(value, at)?;
            let is_known = self.edition == Edition::V3_1 || name != "null";
            Types::named(name).filter(|_| is_known).ok_or_else(|| ImportError::unsupported(at, "this type"))
        };
        match value {
            Json::Array(list) if self.edition == Edition::V3_1 => {
                let mut types = 0;
                for (i, value) in list.iter().enumerate() {
                    types |= named(value, &at.index(i))?;
                }
                Ok(Types(types))
            }
            value => Ok(Types(named(value, at)?)),
        }
    }

    fn alternatives(
        &mut self,
        value: &'a Json,
        at: &Pointer<'_>,
        depth: usize,
    ) -> Result<Vec<NodeId>, ImportError> {
        let Json::Array(list) = value else { return Err(ImportError::wrong(at, "an array")) };
        if list.is_empty() {
            return Err(ImportError::wrong(at, "an array with a schema in it"));
        }
        list.iter().enumerate().map(|(i, schema)| self.schema(schema, &at.index(i), depth)).collect()
    }
}

/// Object rules as they are read.
struct Objects<'a> {
    is_stated: bool,
    properties: BTreeMap<&'a str, NodeId>,
    required: Vec<&'a str>,
    others: Others,
    members_min: Option<u64>,
    members_max: Option<u64>,
}

impl Default for Objects<'_> {
    fn default() -> Self {
        Self {
            is_stated: false,
            properties: BTreeMap::new(),
            required: Vec::new(),
            others: Others::Allowed,
            members_min: None,
            members_max: None,
        }
    }
}

const fn is_any(rules: &StringRules) -> bool {
    rules.chars_min.is_some()
        || rules.chars_max.is_some()
        || rules.pattern.is_some()
        || rules.format.is_some()
}

const fn has_any(rules: &NumberRules) -> bool {
    rules.min.is_some()
        || rules.above.is_some()
        || rules.max.is_some()
        || rules.below.is_some()
        || rules.integer_range.is_some()
        || rules.multiple_of.is_some()
}

/// A whole number that is not negative.
fn count(value: &Json, at: &Pointer<'_>) -> Result<u64, ImportError> {
    match value {
        Json::Number(text) => text.parse().map_err(|_| ImportError::wrong(at, "a whole number")),
        _ => Err(ImportError::wrong(at, "a whole number")),
    }
}

fn number(value: &Json, at: &Pointer<'_>) -> Result<Box<str>, ImportError> {
    match value {
        Json::Number(text) => Ok(text.as_str().into()),
        _ => Err(ImportError::wrong(at, "a number")),
    }
}

fn literal(value: &Json) -> Option<Literal> {
    Some(match value {
        Json::Null => Literal::Null,
        Json::Bool(value) => Literal::Bool(*value),
        Json::Number(text) => Literal::Number(text.as_str().into()),
        Json::String(text) => Literal::String(text.as_str().into()),
        Json::Array(_) | Json::Object(_) => return None,
    })
}

fn literals(value: &Json, at: &Pointer<'_>) -> Result<Vec<Literal>, ImportError> {
    let Json::Array(list) = value else { return Err(ImportError::wrong(at, "an array")) };
    if list.len() > ENUM_MAX {
        return Err(ImportError::bound(at, "values of an enum", ENUM_MAX));
    }
    let read = |(i, value)| {
        literal(value).ok_or_else(|| ImportError::unsupported(&at.index(i), "an array or object in an enum"))
    };
    list.iter().enumerate().map(read).collect()
}

fn names<'a>(value: &'a Json, at: &Pointer<'_>) -> Result<Vec<&'a str>, ImportError> {
    let Json::Array(list) = value else { return Err(ImportError::wrong(at, "an array")) };
    let mut names = Vec::new();
    for (i, name) in list.iter().enumerate() {
        let here = at.index(i);
        let name = string(name, &here)?;
        printable(name, &here)?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > REQUIRED_MAX {
            return Err(ImportError::bound(at, "required properties", REQUIRED_MAX));
        }
    }
    Ok(names)
}

/// Refuses a property name that no body may contain.
fn printable(name: &str, at: &Pointer<'_>) -> Result<(), ImportError> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if name.bytes().all(is_plain) {
        Ok(())
    } else {
        Err(ImportError::unsupported(at, "a property name with other than printable ASCII characters"))
    }
}
