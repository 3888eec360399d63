//! Bounds of documents and models, in one place.

/// Bytes of a document that is imported.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Nested values in a document.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Values in a document.
pub const DOCUMENT_VALUES_MAX: usize = 400_000;
/// Routes of a model.
pub const ROUTES_MAX: usize = 4_096;
/// Schemas of a model.
pub const NODES_MAX: usize = 65_536;
/// Schemas inside schemas, references included, while a document is imported.
pub const SCHEMA_DEPTH_MAX: usize = 100;
/// Properties of one object schema.
pub const PROPERTIES_MAX: usize = 1_024;
/// Required properties of one object schema.
pub const REQUIRED_MAX: usize = 128;
/// Parameters of one operation.
pub const PARAMS_MAX: usize = 64;
/// Values of one `enum`.
pub const ENUM_MAX: usize = 4_096;
/// Violations that one check names; a request with more is as refused as one with these.
pub const VIOLATIONS_MAX: usize = 8;
