//! What a request does that the model does not know, with stable labels and the exchange's own error codes.

use std::fmt;

/// Where in a request a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// The body or its media type.
    Body,
    /// The path, or the method on it.
    Path,
    /// The query.
    Query,
}

/// One way in which a request departs from the model. Variants are stable; [`label`](Self::label) is for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Deviation {
    /// A member's name that two readers could spell differently.
    AmbiguousName,
    /// The value is none of the admitted ones.
    EnumMismatch,
    /// The string does not have the demanded format.
    FormatMismatch,
    /// The body is not JSON, or path or query are not percent-encoded UTF-8.
    Malformed,
    /// The path exists, the method on it does not.
    MethodNotAllowed,
    /// The operation demands a body.
    MissingBody,
    /// A demanded parameter or property is not there.
    MissingParameter,
    /// The string does not match the pattern.
    PatternMismatch,
    /// A property that only answers have.
    ReadOnlyProperty,
    /// One object names a member twice, in any case.
    RepeatedName,
    /// A parameter is there more than once.
    RepeatedParameter,
    /// The value matches a schema it must not, or more than one of alternatives that exclude each other.
    SchemaConflict,
    /// The value matches none of the alternatives.
    SchemaMismatch,
    /// Deciding would take more steps than a body of this length may cost.
    TooComplex,
    /// More nested values than are read.
    TooDeep,
    /// The number is above its maximum.
    TooLarge,
    /// The string has too many characters.
    TooLong,
    /// The array or object has too few elements or members.
    TooFew,
    /// The array or object has too many elements or members.
    TooMany,
    /// The string has too few characters.
    TooShort,
    /// The number is below its minimum.
    TooSmall,
    /// The operation takes no body.
    UnexpectedBody,
    /// A parameter the operation does not have.
    UnknownParameter,
    /// A property the object does not have.
    UnknownProperty,
    /// No operation has this path.
    UnknownRoute,
    /// A media type the operation does not take, or none.
    UnsupportedMediaType,
    /// The value is of another type.
    WrongType,
    /// The number is no multiple of the demanded step.
    WrongStep,
}

impl Deviation {
    /// Every deviation, in order of the variants.
    pub const ALL: [Self; 28] = [
        Self::AmbiguousName,
        Self::EnumMismatch,
        Self::FormatMismatch,
        Self::Malformed,
        Self::MethodNotAllowed,
        Self::MissingBody,
        Self::MissingParameter,
        Self::PatternMismatch,
        Self::ReadOnlyProperty,
        Self::RepeatedName,
        Self::RepeatedParameter,
        Self::SchemaConflict,
        Self::SchemaMismatch,
        Self::TooComplex,
        Self::TooDeep,
        Self::TooLarge,
        Self::TooLong,
        Self::TooFew,
        Self::TooMany,
        Self::TooShort,
        Self::TooSmall,
        Self::UnexpectedBody,
        Self::UnknownParameter,
        Self::UnknownProperty,
        Self::UnknownRoute,
        Self::UnsupportedMediaType,
        Self::WrongType,
        Self::WrongStep,
    ];

    /// A stable name for metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AmbiguousName => "ambiguous_name",
            Self::EnumMismatch => "enum_mismatch",
            Self::FormatMismatch => "format_mismatch",
            Self::Malformed => "malformed",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::MissingBody => "missing_body",
            Self::MissingParameter => "missing_parameter",
            Self::PatternMismatch => "pattern_mismatch",
            Self::ReadOnlyProperty => "read_only_property",
            Self::RepeatedName => "repeated_name",
            Self::RepeatedParameter => "repeated_parameter",
            Self::SchemaConflict => "schema_conflict",
            Self::SchemaMismatch => "schema_mismatch",
            Self::TooComplex => "too_complex",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::TooLong => "too_long",
            Self::TooFew => "too_few",
            Self::TooMany => "too_many",
            Self::TooShort => "too_short",
            Self::TooSmall => "too_small",
            Self::UnexpectedBody => "unexpected_body",
            Self::UnknownParameter => "unknown_parameter",
            Self::UnknownProperty => "unknown_property",
            Self::UnknownRoute => "unknown_route",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::WrongType => "wrong_type",
            Self::WrongStep => "wrong_step",
        }
    }
}

/// One departure of a request from the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub(crate) deviation: Deviation,
    pub(crate) part: Part,
    pub(crate) pointer: String,
    pub(crate) param: Option<String>,
}

impl Violation {
    /// What is wrong.
    #[must_use]
    pub const fn deviation(&self) -> Deviation {
        self.deviation
    }

    /// Where in the request.
    #[must_use]
    pub const fn part(&self) -> Part {
        self.part
    }

    /// Where in the body, as a JSON pointer; in path and query the parameter's name as a pointer. Empty for the whole.
    /// Names from the request are cut and their control characters escaped, but they are the client's words.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The innermost parameter or property concerned, for texts like "Parameter sz error"; at most 128 bytes of the
    /// client's words.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// The code an OKX v5 exchange answers in such a case.
    #[must_use]
    pub const fn okx_code(&self) -> OkxCode {
        match self.deviation {
            Deviation::MissingBody => OkxCode::EmptyBody,
            Deviation::MissingParameter => OkxCode::EmptyParameter,
            Deviation::UnknownRoute => OkxCode::InactiveEndpoint,
            Deviation::MethodNotAllowed => OkxCode::WrongMethod,
            Deviation::UnsupportedMediaType => OkxCode::WrongContentType,
            Deviation::Malformed
            | Deviation::TooDeep
            | Deviation::RepeatedName
            | Deviation::AmbiguousName
                if matches!(self.part, Part::Body) =>
            {
                OkxCode::JsonSyntax
            }
            _ => OkxCode::ParameterError,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Body => "body",
            Part::Path => "path",
            Part::Query => "query",
        };
        write!(f, "{part}{}: {}", self.pointer, self.deviation.label())
    }
}

/// The code of an OKX v5 error answer. [`code`](Self::code) is the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OkxCode {
    /// 50000: "Body for POST request cannot be empty."
    EmptyBody,
    /// 50014: "Parameter {param} can not be empty."
    EmptyParameter,
    /// 50005: "API endpoint is inactive or unavailable."
    InactiveEndpoint,
    /// 50002: "JSON syntax error".
    JsonSyntax,
    /// 51000: "Parameter {param} error".
    ParameterError,
    /// 50006: "Invalid Content-Type. Please use "application/JSON"."
    WrongContentType,
    /// 50115: "Invalid request method."
    WrongMethod,
}

impl OkxCode {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::EmptyBody => 50000,
            Self::EmptyParameter => 50014,
            Self::InactiveEndpoint => 50005,
            Self::JsonSyntax => 50002,
            Self::ParameterError => 51000,
            Self::WrongContentType => 50006,
            Self::WrongMethod => 50115,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_distinct() {
        let labels: BTreeSet<&str> = Deviation::ALL.iter().map(|deviation| deviation.label()).collect();
        assert_eq!(labels.len(), Deviation::ALL.len());
    }
}
