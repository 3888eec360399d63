//! Why a document was not imported. The document is at fault in every case.

use thiserror::Error;

use crate::pointer::Pointer;

/// Why an OpenAPI document was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A bound is exceeded.
    #[error("{pointer}: more than {max} {what}")]
    Bound {
        /// Where.
        pointer: String,
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The document is no JSON.
    #[error("byte {offset}: not JSON")]
    Malformed {
        /// The byte that cannot stand there.
        offset: usize,
    },
    /// A member that must be there is not.
    #[error("{pointer}: missing")]
    Missing {
        /// Where it should be.
        pointer: String,
    },
    /// A reference that does not lead to a value of this document.
    #[error("{pointer}: reference {reference} leads nowhere in this document")]
    Reference {
        /// Where the reference stands.
        pointer: String,
        /// The reference.
        reference: String,
    },
    /// An object names a member twice.
    #[error("byte {offset}: member {name} is there twice")]
    RepeatedName {
        /// The member.
        name: String,
        /// Where it ends.
        offset: usize,
    },
    /// A keyword that is not understood, so that what it asserts would go unchecked.
    #[error("{pointer}: keyword {keyword} is not understood")]
    UnknownKeyword {
        /// Where the object stands that has the keyword.
        pointer: String,
        /// The keyword.
        keyword: String,
    },
    /// A known keyword with a meaning that is not understood.
    #[error("{pointer}: {what} is not understood")]
    Unsupported {
        /// Where.
        pointer: String,
        /// What stands there.
        what: &'static str,
    },
    /// A value of another kind than the specification demands.
    #[error("{pointer}: not {expected}")]
    WrongKind {
        /// Where.
        pointer: String,
        /// What the specification demands.
        expected: &'static str,
    },
}

impl ImportError {
    pub(super) fn bound(at: &Pointer<'_>, what: &'static str, max: usize) -> Self {
        Self::Bound { pointer: at.to_string(), what, max }
    }

    pub(super) fn missing(at: &Pointer<'_>) -> Self {
        Self::Missing { pointer: at.to_string() }
    }

    pub(super) fn reference(at: &Pointer<'_>, reference: &str) -> Self {
        Self::Reference { pointer: at.to_string(), reference: reference.to_owned() }
    }

    pub(super) fn unknown(at: &Pointer<'_>, keyword: &str) -> Self {
        Self::UnknownKeyword { pointer: at.to_string(), keyword: keyword.to_owned() }
    }

    pub(super) fn unsupported(at: &Pointer<'_>, what: &'static str) -> Self {
        Self::Unsupported { pointer: at.to_string(), what }
    }

    pub(super) fn wrong(at: &Pointer<'_>, expected: &'static str) -> Self {
        Self::WrongKind { pointer: at.to_string(), expected }
    }
}
