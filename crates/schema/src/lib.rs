//! A positive model of an HTTP API: what may be asked of it, and nothing else.
//!
//! - [`Model::import`] compiles an OpenAPI 3.0 or 3.1 document. What it states about requests is understood, listed in
//!   [`Model::unchecked`], or an error.
//! - [`Model::check`] judges a request and names each departure: a stable label, the place, the exchange's error code.
//! - [`Learner`] draws up such a document from requests that succeeded, within fixed bounds, for a person to review.
//!
//! It is no validator of JSON Schema at large, and it decides nothing: whether a route enforces, reports or ignores its
//! model is the caller's policy. No I/O, no clock, no state but what the caller holds.
//!
//! Sources: OpenAPI 3.0.4 and 3.1.1, JSON Schema 2020-12 (validation), RFC 8259 (JSON), RFC 6901 (JSON pointer).

pub mod bounds;
mod check;
mod format;
mod import;
mod json;
mod learn;
mod model;
mod pattern;
mod pointer;
mod router;
mod violation;

pub use check::{Conformance, Request};
pub use import::ImportError;
pub use learn::{LearnBounds, Learned, Learner};
pub use model::{Model, Route, RouteId};
pub use violation::{Deviation, OkxCode, Part, Violation};
