//! Sets of rules as their users see them: documents in, hits and words out.

mod documents;
mod explanations;
mod guards;
mod handbook;
mod reviews;
mod semantics;
mod support;
