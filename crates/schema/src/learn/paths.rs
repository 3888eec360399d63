//! The tree of paths that were seen. Segments that look like ids are one parameter; so are the children of a segment
//! that has too many of them.

use std::collections::BTreeMap;

use super::LearnBounds;
use super::shape::{ParamFacts, Shape, Texts, merge_into};
use crate::check::params;
use crate::format;

/// Characters of a segment that is taken for a word; longer ones are ids.
const WORD_BYTES_MAX: usize = 48;
/// Hexadecimal digits that are no word any more.
const HEX_DIGITS_MIN: usize = 16;
/// Letters and digits mixed, this long, are no word any more.
const MIXED_BYTES_MIN: usize = 20;

/// A place in the tree of paths.
#[derive(Debug, Default)]
pub(super) struct PathNode {
    pub(super) literals: BTreeMap<Box<str>, Self>,
    pub(super) parameter: Option<Box<Parameter>>,
    pub(super) methods: BTreeMap<Box<str>, RouteFacts>,
}

/// The parameter below a place.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Whether every segment goes here, because there were too many literal ones.
    takes_all: bool,
    pub(super) texts: Texts,
    pub(super) node: PathNode,
}

/// What was seen of one operation.
#[derive(Debug, Default)]
pub(super) struct RouteFacts {
    pub(super) n: u64,
    pub(super) n_bodies: u64,
    pub(super) params: BTreeMap<Box<str>, ParamFacts>,
    /// By media type; a shape for JSON.
    pub(super) media: BTreeMap<Box<str>, Option<Shape>>,
}

impl RouteFacts {
    pub(super) fn merge(&mut self, other: Self, bounds: LearnBounds) {
        self.n += other.n;
        self.n_bodies += other.n_bodies;
        for (name, facts) in other.params {
            self.params.entry(name).or_default().merge(facts, bounds);
        }
        for (essence, shape) in other.media {
            match (
                self.media.entry(essence).or_insert_with(|| shape.as_ref().map(|_| Shape::default())),
                shape,
            ) {
                (Some(mine), Some(shape)) => mine.merge(shape, bounds),
                (mine, _) => *mine = None,
            }
        }
    }

    fn n_facts(&self) -> usize {
        let texts = |facts: &ParamFacts| facts.texts.as_ref().map_or(0, Texts::n_facts) + 1;
        let params: usize = self.params.values().map(texts).sum();
        let media: usize =
            self.media.values().map(|shape| shape.as_ref().map_or(0, Shape::n_facts) + 1).sum();
        params + media + 1
    }
}

/// Whether a segment is no word of the API but names a thing.
fn is_id(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    bytes.len() > WORD_BYTES_MAX
        || segment.contains(['{', '}', '?', '#'])
        || bytes.iter().all(u8::is_ascii_digit)
        || format::uuid(bytes)
        || (bytes.len() >= HEX_DIGITS_MIN && has_digit && bytes.iter().all(u8::is_ascii_hexdigit))
        || (bytes.len() >= MIXED_BYTES_MIN && has_digit)
}

impl PathNode {
    /// The place of a path, made if need be.
    pub(super) fn descend(&mut self, segments: &[&str], bounds: LearnBounds) -> &mut Self {
        let Some((segment, rest)) = segments.split_first() else { return self };
        let takes_all = self.parameter.as_ref().is_some_and(|parameter| parameter.takes_all);
        // An empty segment is never the value of a parameter.
        let is_literal = segment.is_empty() || (!takes_all && !is_id(segment));
        if is_literal && !segment.is_empty() && !self.literals.contains_key(*segment) {
            let n_words = self.literals.keys().filter(|name| !name.is_empty()).count();
            if n_words >= bounds.siblings_max {
                self.collapse(bounds);
                return self.descend(segments, bounds);
            }
        }
        if is_literal {
            return self.literals.entry((*segment).into()).or_default().descend(rest, bounds);
        }
        let texts = text_of(segment, bounds);
        let is_new = self.parameter.is_none();
        let parameter = self.parameter.get_or_insert_with(|| {
            Box::new(Parameter { takes_all: false, texts: texts.clone(), node: Self::default() })
        });
        if !is_new {
            parameter.texts.merge(texts, bounds);
        }
        parameter.node.descend(rest, bounds)
    }

    /// Makes one parameter of all literal segments below this place.
    fn collapse(&mut self, bounds: LearnBounds) {
        let (kept, words): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.literals).into_iter().partition(|(name, _)| name.is_empty());
        self.literals = kept;
        for (name, node) in words {
            let texts = text_of(&name, bounds);
            let one = Box::new(Parameter { takes_all: true, texts, node });
            merge_into(&mut self.parameter, one, |mine, other| mine.merge(*other, bounds));
        }
    }

    fn merge(&mut self, other: Self, bounds: LearnBounds) {
        for (method, facts) in other.methods {
            self.methods.entry(method).or_default().merge(facts, bounds);
        }
        if let Some(parameter) = other.parameter {
            merge_into(&mut self.parameter, parameter, |mine, other| mine.merge(*other, bounds));
        }
        for (name, node) in other.literals {
            self.literals.entry(name).or_default().merge(node, bounds);
        }
        let takes_all = self.parameter.as_ref().is_some_and(|parameter| parameter.takes_all);
        if takes_all || self.literals.len() > bounds.siblings_max.saturating_add(1) {
            self.collapse(bounds);
        }
    }

    /// Everything kept at and below this place.
    pub(super) fn n_facts(&self) -> usize {
        let methods: usize = self.methods.values().map(RouteFacts::n_facts).sum();
        let literals: usize = self.literals.values().map(|node| node.n_facts() + 1).sum();
        let parameter = self
            .parameter
            .as_ref()
            .map_or(0, |parameter| parameter.texts.n_facts() + parameter.node.n_facts() + 1);
        methods + literals + parameter
    }
}

impl Parameter {
    fn merge(&mut self, other: Self, bounds: LearnBounds) {
        self.takes_all |= other.takes_all;
        self.texts.merge(other.texts, bounds);
        self.node.merge(other.node, bounds);
    }
}

/// The facts of one segment as a value; segments that do not decode were refused before.
fn text_of(segment: &str, bounds: LearnBounds) -> Texts {
    Texts::one(params::decode(segment, false).as_deref().unwrap_or(segment), bounds)
}
