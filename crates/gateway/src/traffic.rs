//! Recorded traffic: one [`Passed`] for each request, to see beforehand what other routes and limits would have done.
//!
//! A [`Recorder`] takes what passes; a [`DryRun`] judges it again under another table, in the order and at the times of
//! the recording. Nothing here is a file, and nobody is made unrecognisable here: that is the recorder's work.
//!
//! A dry run knows what was recorded and no more. Which permission a key has, whether a signature was right and whether
//! a request was seen before stays as it was. Whoever the old limit of sources refused was not asked for a signature,
//! so a dry run judges him by source alone. A request that read no orders when it was recorded names no instrument.

use std::{fmt, net::IpAddr};

use auth::Refusal;
use domain::UnixNanos;
use http::Method;

use crate::{
    config::Limits,
    connection::Source,
    pipeline::{
        Policy, PolicyError,
        limits::{LABELS, Load, OTHER_LABEL, Who},
        orders::Instrument,
    },
    route::{Class, Handling, RouteTable},
};

/// The outcome of a request that was let through.
pub const ADMITTED: &str = "admitted";
/// Longest path that is recorded, in bytes; of a longer one the beginning is.
pub const PATH_BYTES_MAX: usize = 256;

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// When it came.
    pub at: UnixNanos,
    /// From where; stands for its source (IPv6: /64).
    pub source: IpAddr,
    /// Account and API key, once they were proven.
    pub proven: Option<(String, String)>,
    /// Whether it is an operation of a web socket; its method is then POST and its path that of the REST endpoint.
    pub is_operation: bool,
    /// Whether the method is POST; else it is GET or one that is refused.
    pub is_post: bool,
    /// Its path, without the query.
    pub path: String,
    /// For each order what it counts by, one empty text where none was read.
    pub instruments: Vec<String>,
    /// [`ADMITTED`], or the label of the refusal.
    pub outcome: &'static str,
}

/// Takes in what passes. Called on the request path: must return at once and never block.
pub trait Recorder: Send + Sync + fmt::Debug {
    /// One request has been judged.
    fn record(&self, passed: Passed);
}

/// Another policy, to judge recorded requests by.
#[derive(Debug)]
pub struct DryRun(Policy);

/// What a recorded request counts as, by text of any kind: pseudonyms do.
#[derive(Debug, Clone, Copy)]
pub struct Replayed<'a> {
    /// As [`Passed::at`].
    pub at: UnixNanos,
    /// As [`Passed::source`].
    pub source: IpAddr,
    /// As [`Passed::proven`].
    pub proven: Option<(&'a str, &'a str)>,
    /// As [`Passed::is_operation`].
    pub is_operation: bool,
    /// As [`Passed::is_post`].
    pub is_post: bool,
    /// As [`Passed::path`].
    pub path: &'a str,
    /// As [`Passed::instruments`].
    pub instruments: &'a [String],
    /// As [`Passed::outcome`].
    pub outcome: &'a str,
}

impl DryRun {
    /// All limits fresh.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn new(routes: RouteTable, limits: &Limits) -> Result<Self, PolicyError> {
        Policy::new(routes, limits, 0).map(Self)
    }

    /// The path of the line that answers for a request, if any.
    #[must_use]
    pub fn route(&self, replayed: &Replayed<'_>) -> Option<&str> {
        self.0.find(&method(replayed), replayed.path).map(|(route, _)| route.path.as_str())
    }

    /// What becomes of a request under this policy: [`ADMITTED`], or the label of its refusal. Requests must come in the
    /// order of their times.
    pub fn judge<'a>(&self, replayed: &Replayed<'a>) -> &'a str {
        self.refusal(replayed).unwrap_or(if is_by_policy(replayed.outcome) {
            ADMITTED
        } else {
            replayed.outcome
        })
    }

    fn refusal(&self, replayed: &Replayed<'_>) -> Option<&'static str> {
        let Replayed { at, proven, .. } = *replayed;
        let source = Source::of(replayed.source);
        if !replayed.is_operation
            && let Err(used_up) = self.0.source(source, at)
        {
            return Some(used_up.label);
        }
        let unavailable = Some(Refusal::EndpointUnavailable.label());
        let Some((route, plan)) = self.0.find(&method(replayed), replayed.path) else { return unavailable };
        match (route.class, route.handling) {
            (_, Handling::Unavailable) => return unavailable,
            (_, Handling::WebSocket) => return None,
            // Refused before anybody was proven to be somebody, and so never charged.
            (Class::Public, _) => {}
            _ if proven.is_none() => return None,
            _ => {}
        }
        let instruments = replayed.instruments.iter().map(|name| Instrument::new(name.as_str())).collect();
        self.0
            .draw(plan, &Load::of(instruments), Who { source, proven }, at)
            .err()
            .map(|used_up| used_up.label)
    }
}

fn method(replayed: &Replayed<'_>) -> Method {
    if replayed.is_post { Method::POST } else { Method::GET }
}

/// Whether a refusal came from routes or limits, so that another policy may let the request through.
#[must_use]
pub fn is_by_policy(outcome: &str) -> bool {
    outcome == OTHER_LABEL
        || outcome == Refusal::EndpointUnavailable.label()
        || LABELS.iter().any(|(_, label)| *label == outcome)
}

/// The beginning of a path, to be recorded.
pub(crate) fn cut(path: &str) -> String {
    let end = (0..=path.len().min(PATH_BYTES_MAX)).rev().find(|at| path.is_char_boundary(*at));
    path.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
