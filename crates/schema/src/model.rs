//! The compiled model: routes by method and path, and the schema nodes they share. Immutable once built.

use std::collections::BTreeMap;

use crate::format::Format;
use crate::json::decimal::Divisor;
use crate::pattern::Pattern;
use crate::router::Router;

/// A positive model of an API: what may be asked, and nothing else.
///
/// Made by [`Model::import`](crate::Model::import). It holds no state and is read from any number of threads.
#[derive(Debug)]
pub struct Model {
    pub(crate) router: Router,
    pub(crate) routes: Vec<Route>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) unchecked: Vec<String>,
}

/// A route of a [`Model`]: its position in [`Model::routes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub(crate) usize);

impl RouteId {
    /// The position in [`Model::routes`], for tables beside the model (a policy per route, counters).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// One operation: a method on a path template.
#[derive(Debug)]
pub struct Route {
    pub(crate) method: Box<str>,
    pub(crate) template: Box<str>,
    pub(crate) operation_id: Option<Box<str>>,
    /// One for each parameter of the template, in order of the path.
    pub(crate) path_params: Vec<Param>,
    /// Sorted by name.
    pub(crate) query_params: Vec<Param>,
    pub(crate) body: Body,
}

impl Route {
    /// The method, upper case.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path with its parameters in braces, base path included.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The document's `operationId`, if it has one.
    #[must_use]
    pub fn operation_id(&self) -> Option<&str> {
        self.operation_id.as_deref()
    }
}

/// A parameter in path or query.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) name: Box<str>,
    pub(crate) is_required: bool,
    /// `allowEmptyValue`: an empty value passes whatever the schema says.
    pub(crate) may_be_empty: bool,
    pub(crate) list: List,
    pub(crate) node: NodeId,
}

/// How a parameter holds several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// One value.
    No,
    /// `a=1,2`: style `form` or `simple`, not exploded.
    Commas,
    /// `a=1&a=2`: style `form`, exploded.
    Repeats,
}

/// What a route says about bodies.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) is_declared: bool,
    pub(crate) is_required: bool,
    /// By media type in lower case, without parameters; a type without a node is admitted unread.
    pub(crate) media: BTreeMap<Box<str>, Option<NodeId>>,
}

/// A schema, by its place in the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) usize);

/// The types a value may have, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types(pub(crate) u8);

impl Types {
    pub(crate) const ARRAY: u8 = 1;
    pub(crate) const BOOLEAN: u8 = 2;
    /// Numbers without a fraction; implied by `NUMBER`.
    pub(crate) const INTEGER: u8 = 4;
    pub(crate) const NULL: u8 = 8;
    pub(crate) const NUMBER: u8 = 16;
    pub(crate) const OBJECT: u8 = 32;
    pub(crate) const STRING: u8 = 64;
    pub(crate) const ANY: Self = Self(127);

    pub(crate) const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// By its name in a document.
    pub(crate) fn named(name: &str) -> Option<u8> {
        Some(match name {
            "array" => Self::ARRAY,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "null" => Self::NULL,
            "number" => Self::NUMBER,
            "object" => Self::OBJECT,
            "string" => Self::STRING,
            _ => return None,
        })
    }
}

/// One schema. Rules about a type hold for values of that type only, as in JSON Schema.
#[derive(Debug)]
pub(crate) struct Node {
    /// The schema `false`: nothing conforms.
    pub(crate) is_never: bool,
    /// `readOnly`: part of answers, never of requests.
    pub(crate) is_read_only: bool,
    pub(crate) types: Types,
    pub(crate) values: Option<Vec<Literal>>,
    pub(crate) string: Option<Box<StringRules>>,
    pub(crate) number: Option<Box<NumberRules>>,
    pub(crate) array: Option<Box<ArrayRules>>,
    pub(crate) object: Option<Box<ObjectRules>>,
    pub(crate) all_of: Vec<NodeId>,
    pub(crate) any_of: Vec<NodeId>,
    pub(crate) one_of: Vec<NodeId>,
    pub(crate) not: Option<NodeId>,
}

impl Node {
    /// The schema `true`.
    pub(crate) const fn anything() -> Self {
        Self {
            is_never: false,
            is_read_only: false,
            types: Types::ANY,
            values: None,
            string: None,
            number: None,
            array: None,
            object: None,
            all_of: Vec::new(),
            any_of: Vec::new(),
            one_of: Vec::new(),
            not: None,
        }
    }

    /// Whether the node says anything beyond what the nodes beside it say.
    pub(crate) fn has_own_rules(&self) -> bool {
        self.types != Types::ANY
            || self.values.is_some()
            || self.string.is_some()
            || self.number.is_some()
            || self.array.is_some()
            || self.object.is_some()
    }

    /// The nodes that judge the same value as this one.
    pub(crate) fn beside(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.all_of.iter().chain(&self.any_of).chain(&self.one_of).copied().chain(self.not)
    }
}

/// A value of `enum` or `const`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Bool(bool),
    Null,
    /// The number's text; compared by value.
    Number(Box<str>),
    String(Box<str>),
}

/// Rules for strings; lengths in Unicode code points.
#[derive(Debug, Default)]
pub(crate) struct StringRules {
    pub(crate) chars_min: Option<u64>,
    pub(crate) chars_max: Option<u64>,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) format: Option<Format>,
}

/// Rules for numbers, as texts of JSON numbers.
#[derive(Debug, Default)]
pub(crate) struct NumberRules {
    pub(crate) min: Option<Box<str>>,
    pub(crate) above: Option<Box<str>>,
    pub(crate) max: Option<Box<str>>,
    pub(crate) below: Option<Box<str>>,
    /// The range of `int32` or `int64`, which holds for values without a fraction.
    pub(crate) integer_range: Option<(&'static str, &'static str)>,
    pub(crate) multiple_of: Option<Divisor>,
}

/// Rules for arrays.
#[derive(Debug, Default)]
pub(crate) struct ArrayRules {
    pub(crate) items: Option<NodeId>,
    pub(crate) items_min: Option<u64>,
    pub(crate) items_max: Option<u64>,
}

/// Rules for objects.
#[derive(Debug)]
pub(crate) struct ObjectRules {
    /// Sorted by name.
    pub(crate) properties: Vec<(Box<str>, NodeId)>,
    /// Names that must be there; at most [`REQUIRED_MAX`](crate::bounds::REQUIRED_MAX), the bit is the position.
    pub(crate) required: Vec<Box<str>>,
    /// For each property, the bit of its name in `required`, or zero.
    pub(crate) required_bits: Vec<u128>,
    pub(crate) others: Others,
    pub(crate) members_min: Option<u64>,
    pub(crate) members_max: Option<u64>,
}

/// Members an object schema does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Allowed,
    Checked(NodeId),
    Refused,
}

impl Model {
    /// All routes; a [`RouteId`] is a position here.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route of an id this model gave out. `None` for an id of another model that had more routes.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0)
    }

    /// JSON pointers of what the document states and [`Model::check`] cannot see: parameters in headers and cookies,
    /// and bodies of media types other than JSON, which are admitted unread.
    #[must_use]
    pub fn unchecked(&self) -> &[String] {
        &self.unchecked
    }
}
