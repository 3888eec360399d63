//! Drawing up a model from requests that succeeded, for a person to review.
//!
//! A learner keeps facts, never requests: paths as a tree whose id-like segments are parameters, and per operation which
//! parameters and properties were there, of which types, how long, of which characters, and the values themselves where
//! there are only a few. [`Learner::export`] writes them as an OpenAPI 3.1 document with a count beside each fact;
//! [`Model::import`](crate::Model::import) reads it, and the model admits every request that was learned.
//!
//! What it is not: a policy. Whoever feeds it decides what succeeded; an attack that succeeded is learned too, which is
//! why the export is reviewed. Values of strings are kept only while a string has few of them, and are in the export.
//!
//! Bounds: [`LearnBounds`]. A request that could exceed them is not learned at all, and counted.

mod export;
mod paths;
mod shape;

use paths::{PathNode, RouteFacts};
use shape::Shape;

use crate::bounds::PARAMS_MAX;
use crate::check::params::{self, PAIRS_MAX};
use crate::check::{Request, media_type};
use crate::import::is_json;
use crate::json::scan;
use crate::router::{self, SEGMENTS_MAX};

/// Bytes of a name (parameter, property, media type) that is learned.
const NAME_BYTES_MAX: usize = 64;
/// Values in one body that is learned.
const BODY_VALUES_MAX: usize = 1_024;
/// Media types of one operation.
const MEDIA_TYPES_MAX: usize = 4;
/// The methods that are learned.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// How far a [`Learner`] grows.
///
/// # Defaults
/// - `facts_max` 8,192: path segments, parameters, properties and values altogether; about 3 MiB at worst.
/// - `siblings_max` 64: segments under one path before they are taken for a parameter.
/// - `properties_max` 64: properties of one object before it is taken for a map with arbitrary names.
/// - `values_max` 12: distinct values of one string before it is taken for free text.
/// - `samples_min` 16: requests before anything is called required or an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnBounds {
    /// Path segments, parameters, properties and values altogether.
    pub facts_max: usize,
    /// Segments under one path before they are taken for a parameter.
    pub siblings_max: usize,
    /// Properties of one object before it is taken for a map with arbitrary names.
    pub properties_max: usize,
    /// Distinct values of one string before it is taken for free text.
    pub values_max: usize,
    /// Requests before anything is called required or an enum.
    pub samples_min: u64,
}

impl Default for LearnBounds {
    fn default() -> Self {
        Self { facts_max: 8_192, siblings_max: 64, properties_max: 64, values_max: 12, samples_min: 16 }
    }
}

/// What became of one observed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// Its facts are in the model.
    Learned,
    /// The learner is full; nothing of it was kept.
    Full,
    /// Not a request a model could admit (a body that is no JSON, a name too long); nothing of it was kept.
    Unreadable,
}

/// A model in the making.
#[derive(Debug)]
pub struct Learner {
    bounds: LearnBounds,
    root: PathNode,
    n_facts: usize,
    n_learned: u64,
    n_refused: u64,
}

impl Default for Learner {
    fn default() -> Self {
        Self::new(LearnBounds::default())
    }
}

impl Learner {
    /// An empty learner.
    #[must_use]
    pub fn new(bounds: LearnBounds) -> Self {
        Self { bounds, root: PathNode::default(), n_facts: 0, n_learned: 0, n_refused: 0 }
    }

    /// Requests that were learned.
    #[must_use]
    pub const fn n_learned(&self) -> u64 {
        self.n_learned
    }

    /// Requests that were not, being unreadable or beyond the bounds.
    #[must_use]
    pub const fn n_refused(&self) -> u64 {
        self.n_refused
    }

    /// Facts kept, at most [`LearnBounds::facts_max`].
    #[must_use]
    pub const fn n_facts(&self) -> usize {
        self.n_facts
    }

    /// Learns from a request that succeeded.
    pub fn observe(&mut self, request: &Request<'_>) -> Learned {
        let outcome = self.learn(request);
        match outcome {
            Learned::Learned => self.n_learned += 1,
            Learned::Full | Learned::Unreadable => self.n_refused += 1,
        }
        outcome
    }

    /// The model so far as an OpenAPI 3.1 document, with counts in `x-caponier-seen`.
    #[must_use]
    pub fn export(&self) -> String {
        export::document(&self.root, self.bounds, self.n_learned).to_text()
    }

    fn learn(&mut self, request: &Request<'_>) -> Learned {
        let Some(sample) = Sample::read(request, self.bounds) else { return Learned::Unreadable };
        // Everything a request holds could be new. Counting it all keeps one request whole or out.
        if self.n_facts + sample.n_facts > self.bounds.facts_max {
            return Learned::Full;
        }
        let node = self.root.descend(&sample.segments, self.bounds);
        let route = node.methods.entry(request.method.into()).or_default();
        let is_known = |name: &str| route.params.contains_key(name);
        let n_new = sample.params.keys().filter(|name| !is_known(name)).count();
        let is_new_media =
            sample.media.as_ref().is_some_and(|(essence, _)| !route.media.contains_key(essence));
        let is_full =
            route.params.len() + n_new > PARAMS_MAX || (is_new_media && route.media.len() == MEDIA_TYPES_MAX);
        if !is_full {
            route.merge(sample.into_facts(), self.bounds);
        }
        self.n_facts = self.root.n_facts();
        if is_full { Learned::Full } else { Learned::Learned }
    }
}

/// One request, read.
struct Sample<'a> {
    segments: Vec<&'a str>,
    params: std::collections::BTreeMap<Box<str>, shape::ParamFacts>,
    media: Option<(Box<str>, Option<Shape>)>,
    n_facts: usize,
}

impl<'a> Sample<'a> {
    fn read(request: &Request<'a>, bounds: LearnBounds) -> Option<Self> {
        if !METHODS.contains(&request.method) {
            return None;
        }
        let segments: Vec<&str> = router::segments(request.path)?.take(SEGMENTS_MAX + 1).collect();
        if segments.len() > SEGMENTS_MAX
            || segments.iter().any(|segment| params::decode(segment, false).is_none())
        {
            return None;
        }
        let mut found = std::collections::BTreeMap::<Box<str>, shape::ParamFacts>::new();
        for (n_pairs, (name, value)) in params::pairs(request.query.unwrap_or_default()).enumerate() {
            let (name, value) = (params::decode(name, true)?, params::decode(value, true)?);
            if n_pairs == PAIRS_MAX || name.len() > NAME_BYTES_MAX {
                return None;
            }
            found.entry((*name).into()).or_default().add(&value, bounds);
        }
        if found.len() > PARAMS_MAX {
            return None;
        }
        let mut n_values = 0;
        let media = if request.body.is_empty() {
            None
        } else {
            let essence = media_type(request.content_type?)?.to_ascii_lowercase();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-/".contains(&byte);
            if !essence.contains('/') || !essence.bytes().all(is_plain) || essence.len() > NAME_BYTES_MAX {
                return None;
            }
            let shape = if is_json(&essence) {
                let text = scan::scan(request.body).ok()?;
                let shape = Shape::of(text, bounds)?;
                n_values = shape.n_facts();
                Some(shape)
            } else {
                None
            };
            Some((essence.into_boxed_str(), shape))
        };
        // Each parameter and each segment may bring a value of its own.
        let n_facts = 2 * segments.len() + 2 * found.len() + n_values + 2;
        Some(Self { segments, params: found, media, n_facts })
    }

    fn into_facts(self) -> RouteFacts {
        let has_body = self.media.is_some();
        let mut facts =
            RouteFacts { n: 1, n_bodies: u64::from(has_body), params: self.params, ..RouteFacts::default() };
        if let Some((essence, shape)) = self.media {
            facts.media.insert(essence, shape);
        }
        facts
    }
}

#[cfg(test)]
mod tests;
