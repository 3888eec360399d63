//! From method and path to a route: a trie over path segments, literal segments before parameters.
//!
//! Segments are compared as they stand; a percent-encoded spelling of a literal is another path. A look-up visits a
//! trie node at most once for each way of reading the path's prefix, so never more nodes than the trie has.

use std::collections::BTreeMap;

/// Segments of one path.
pub(crate) const SEGMENTS_MAX: usize = 32;

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<Box<str>, usize>,
    parameter: Option<usize>,
    /// Route by method.
    methods: BTreeMap<Box<str>, usize>,
}

/// Routes by path and method.
#[derive(Debug)]
pub(crate) struct Router {
    nodes: Vec<Node>,
}

/// The outcome of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    Route(usize),
    /// The path has routes, none of this method.
    OtherMethods,
    Nothing,
}

/// Where a template cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The same method and the same path, apart from the names of parameters.
    Taken,
    /// Braces that are not a whole segment, or a path not starting with `/`.
    Template,
    TooLong,
}

/// The segments of a path that starts with `/`.
pub(crate) fn segments(path: &str) -> Option<impl Iterator<Item = &str>> {
    path.strip_prefix('/').map(|rest| rest.split('/'))
}

/// The parameter's name if the segment is one.
pub(crate) fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

impl Router {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// Adds a route.
    pub(crate) fn add(&mut self, method: &str, template: &str, route: usize) -> Result<(), Refused> {
        let mut at = 0;
        for (i, segment) in segments(template).ok_or(Refused::Template)?.enumerate() {
            if i == SEGMENTS_MAX {
                return Err(Refused::TooLong);
            }
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match parameter(segment) {
                Some(name) if name.is_empty() || name.contains(['{', '}']) => return Err(Refused::Template),
                Some(_) => *node.parameter.get_or_insert(next),
                None if segment.contains(['{', '}', '?', '#']) => return Err(Refused::Template),
                None => *node.literals.entry(segment.into()).or_insert(next),
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        if self.nodes[at].methods.insert(method.into(), route).is_some() {
            return Err(Refused::Taken);
        }
        Ok(())
    }

    /// The route of a request.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found {
        let Some(rest) = path.strip_prefix('/') else { return Found::Nothing };
        let mut knows_path = false;
        match self.walk(0, Some(rest), method, SEGMENTS_MAX, &mut knows_path) {
            Some(route) => Found::Route(route),
            None if knows_path => Found::OtherMethods,
            None => Found::Nothing,
        }
    }

    /// Walks on from `node`; `rest` is what follows a slash, `None` at the end of the path.
    fn walk(
        &self,
        at: usize,
        rest: Option<&str>,
        method: &str,
        depth: usize,
        knows: &mut bool,
    ) -> Option<usize> {
        let node = &self.nodes[at];
        let Some(rest) = rest else {
            *knows |= !node.methods.is_empty();
            return node.methods.get(method).copied();
        };
        let depth = depth.checked_sub(1)?;
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        let literal = node.literals.get(segment);
        if let Some(found) = literal.and_then(|next| self.walk(*next, rest, method, depth, knows)) {
            return Some(found);
        }
        // A literal path of another method does not hide a parameter's route; an empty segment is no value.
        let next = node.parameter.filter(|_| !segment.is_empty())?;
        self.walk(next, rest, method, depth, knows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_come_before_parameters() {
        let mut router = Router::new();
        router.add("GET", "/a/{id}", 0).unwrap();
        router.add("GET", "/a/me", 1).unwrap();
        router.add("GET", "/a/{id}/b", 2).unwrap();
        router.add("POST", "/a/me", 3).unwrap();
        router.add("GET", "/", 4).unwrap();
        assert_eq!(router.find("GET", "/a/7"), Found::Route(0));
        assert_eq!(router.find("GET", "/a/me"), Found::Route(1));
        assert_eq!(router.find("GET", "/a/me/b"), Found::Route(2));
        assert_eq!(router.find("POST", "/a/me"), Found::Route(3));
        assert_eq!(router.find("GET", "/"), Found::Route(4));
        assert_eq!(router.find("POST", "/a/7"), Found::OtherMethods);
        for path in ["/a", "/a/", "/a//b", "a/7", "", "/a/7/", "/A/me", "/a/7/c"] {
            assert_eq!(router.find("GET", path), Found::Nothing, "{path}");
        }
        assert_eq!(router.find("GET", &"/x".repeat(10_000)), Found::Nothing);
    }

    #[test]
    fn templates_that_collide_or_mix_are_refused() {
        let mut router = Router::new();
        router.add("GET", "/a/{id}", 0).unwrap();
        assert_eq!(router.add("GET", "/a/{name}", 1), Err(Refused::Taken));
        for template in ["a", "/a/{}", "/a/{x}.json", "/a/b?c", "/{{x}}"] {
            assert_eq!(router.add("GET", template, 1), Err(Refused::Template), "{template}");
        }
        assert_eq!(router.add("GET", &"/x".repeat(33), 1), Err(Refused::TooLong));
    }
}
