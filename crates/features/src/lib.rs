//! Exact event-time windows over entities: how often, how much, how many different, how long ago.
//!
//! Sans-IO and deterministic: the state is a fold over recorded samples and nothing else. There is no clock, no
//! randomness that shows in a result, and no iteration in hash order. The same samples in the same order give the
//! same answers and the same [`StateDigest`], live or replayed.
//!
//! What lives here: [`Pack`] and [`Engine`], features by configuration over any event; [`Graph`], who
//! shares what and how money moves; [`EntityTable`], a bounded map that forgets its coldest entity; [`Windows`], one table of
//! rings with window cursors; [`ExactSum`], money added and taken away without loss. What does not: which
//! entities, windows and thresholds matter. That is the business of `fraud`.
//!
//! # Semantics
//! - A window of width *w* at time *t* holds the samples in **(t - w, t]**.
//! - Samples are ordered by (event time, journal sequence). A question is asked as of such a [`Moment`]: a sample
//!   at the same time with a later sequence is not part of the answer.
//! - A sample up to `lateness` older than the newest one of its entity is inserted where it belongs and counts from
//!   then on. An older one is counted aside ([`Windows::late`]) and is in no window.
//! - Each answer says whether it is exact. It is not when a bound made the ring forget samples that the window
//!   would have held; the count is then a lower bound.
//!
//! # Bounds
//! Entities per table, samples per entity and items per distinct count are bounded by constants or configuration.

mod digest;
mod engine;
mod graph;
mod hash;
mod math;
mod pack;
mod plan;
mod sum;
mod table;
mod windows;

pub use self::{
    digest::{Canonical, StateDigest},
    engine::{Counts, Engine, Label, LabelError, Labelled, Limits, Record, StepError, Stepped, Usage, Value},
    graph::{Cycle, GRAPH_FACTS, Graph, GraphError, GraphFacts, GraphLimits, Transfer},
    hash::{EntityHash, category},
    pack::{Column, FEATURES_MAX, FIELDS_MAX, Field, FieldType, PACK_BYTES_MAX, Pack, PackError, PackFault},
    sum::ExactSum,
    table::EntityTable,
    windows::{Aggregate, Bounds, DISTINCT_MAX, Distinct, Moment, Recorded, Sample, Windows},
};
