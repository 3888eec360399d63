//! Which limits a request draws on, and what a client hears when one is used up.
//!
//! A [`Policy`] is a route table with its limits, resolved once; it is replaced as a whole while the gateway serves. A
//! request keeps the policy it began with.

use std::sync::Arc;

use admission::{Charge, LimitId, Limited, ScopeKey, ScopeLimit, Scopes, ScopesError};
use auth::{FirstSight, Refusal, Verified};
use domain::UnixNanos;
use http::Method;
use serde_json::value::RawValue;

use super::{
    Routed, Shared,
    orders::{self, Instrument, Orders, Uncountable},
};
use crate::{
    answer::Refused,
    config::{By, Limits},
    connection::Source,
    peer::Peer,
    route::{Class, Cost, Criticality, Handling, Route, RouteTable},
};

/// Every request draws on it.
const SOURCE: &str = "source";
/// Every signed request draws on it.
const KEY: &str = "key";
/// What is used up there is answered with the code of the account's order rate.
const ORDER_RATE: &str = "orders";
/// Longest instrument whose letters are taken in either case; no instrument is that long.
const INSTRUMENT_BYTES_MAX: usize = 64;

/// Metric labels of the limits that the built-in routes name, and of all others.
pub(crate) const LABELS: [(&str, &str); 13] = [
    (SOURCE, "source_rate_limited"),
    (KEY, "key_rate_limited"),
    (ORDER_RATE, "order_rate_limited"),
    ("public", "public_rate_limited"),
    ("read", "read_rate_limited"),
    ("place", "place_rate_limited"),
    ("place_batch", "place_rate_limited"),
    ("amend", "amend_rate_limited"),
    ("amend_batch", "amend_rate_limited"),
    ("cancel", "cancel_rate_limited"),
    ("cancel_batch", "cancel_rate_limited"),
    ("write", "write_rate_limited"),
    ("withdraw", "withdraw_rate_limited"),
];
pub(crate) const OTHER_LABEL: &str = "named_rate_limited";

/// Why routes and limits do not fit each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A route names a limit on which every request draws anyway.
    #[error("route {path:?} draws on limit {name:?}, on which every request draws already")]
    DrawnAnyway {
        /// The route.
        path: String,
        /// The limit.
        name: String,
    },
    /// The table of limits cannot be.
    #[error("limits cannot be kept: {0}")]
    Limits(#[from] ScopesError),
    /// The limit of all requests is absent or counts by something else.
    #[error("limit {name:?} must be there and count by {by}", by = by.as_str())]
    Reserved {
        /// The limit.
        name: &'static str,
        /// What it must count by.
        by: By,
    },
    /// A route names a limit that there is none of.
    #[error("route {path:?} draws on limit {name:?}, which there is none of")]
    UnknownLimit {
        /// The route.
        path: String,
        /// The limit.
        name: String,
    },
    /// A public route draws on a limit of accounts or keys.
    #[error("route {path:?} is public, so it cannot draw on limit {name:?}, which counts by {by}", by = by.as_str())]
    Unproven {
        /// The route.
        path: String,
        /// The limit.
        name: String,
        /// What it counts by.
        by: By,
    },
}

impl PolicyError {
    /// The limit at fault, where there is one.
    #[must_use]
    pub fn limit(&self) -> Option<&str> {
        match self {
            Self::DrawnAnyway { name, .. }
            | Self::UnknownLimit { name, .. }
            | Self::Unproven { name, .. } => Some(name),
            Self::Reserved { name, .. } => Some(name),
            Self::Limits(_) => None,
        }
    }

    /// The route at fault, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::DrawnAnyway { path, .. }
            | Self::UnknownLimit { path, .. }
            | Self::Unproven { path, .. } => Some(path),
            Self::Limits(_) | Self::Reserved { .. } => None,
        }
    }
}

/// What the field lines about a limit say, but for the numbers.
#[derive(Debug)]
struct Announced {
    /// Value of `RateLimit-Policy`.
    policy: Box<str>,
    /// Value of `RateLimit` up to the number of what is left.
    left: Box<str>,
}

/// How much of its tightest limit a request has left, for the answer.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    announced: Arc<Announced>,
    remaining: u32,
    /// Until all of it is back, or until there is something again, in seconds; unknown where waiting does not help.
    reset: Option<u32>,
}

impl Standing {
    /// Value of `RateLimit-Policy`.
    pub(crate) fn policy(&self) -> &str {
        &self.announced.policy
    }

    /// Value of `RateLimit`.
    pub(crate) fn left(&self) -> String {
        let mut out = Vec::new();
        self.push_left(&mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the value of `RateLimit`.
    pub(crate) fn push_left(&self, out: &mut Vec<u8>) {
        use crate::http1::text::push_number;
        out.extend_from_slice(self.announced.left.as_bytes());
        push_number(out, u64::from(self.remaining));
        if let Some(reset) = self.reset {
            out.extend_from_slice(b";t=");
            push_number(out, u64::from(reset));
        }
    }
}

/// One limit of a route.
#[derive(Debug, Clone)]
struct Draw {
    limit: LimitId,
    by: By,
    /// Counts requests, whatever they carry.
    is_flat: bool,
    label: &'static str,
    refusal: Refusal,
    announced: Option<Arc<Announced>>,
}

/// What requests of one route draw on.
#[derive(Debug)]
pub(crate) struct Plan {
    single: Vec<Draw>,
    batch: Vec<Draw>,
    /// Whether its body must be read for it.
    reads_orders: bool,
    costs_orders: bool,
}

/// What a request carries, as far as limits go.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    /// One for each order; none for a single one that says nothing.
    pub(crate) instruments: Vec<Instrument<'a>>,
    /// Whether its orders can only make positions smaller.
    reduce_only: bool,
}

impl<'a> Load<'a> {
    pub(crate) fn of(instruments: Vec<Instrument<'a>>) -> Self {
        Self { instruments, reduce_only: false }
    }

    /// What a message of a web socket carries: orders, one object each.
    pub(crate) fn of_message(orders: &[&'a RawValue]) -> Result<Self, Refused> {
        Ok(orders::read_each(orders)?.into())
    }

    /// How much the request matters when not everything can be served, where its line says `line`: new orders that can
    /// only make a position smaller go with changed ones.
    pub(crate) fn criticality(&self, line: Criticality) -> Criticality {
        if line == Criticality::Place && self.reduce_only { Criticality::Amend } else { line }
    }

    /// What each order counts by.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.instruments.iter().map(|instrument| instrument.counted_by().to_owned());
        if self.instruments.is_empty() { vec![String::new()] } else { names.collect() }
    }

    const fn one() -> Self {
        Self { instruments: Vec::new(), reduce_only: false }
    }

    fn orders(&self) -> u32 {
        u32::try_from(self.instruments.len()).unwrap_or(u32::MAX).max(1)
    }
}

impl<'a> From<Orders<'a>> for Load<'a> {
    fn from(orders: Orders<'a>) -> Self {
        Self { instruments: orders.instruments, reduce_only: orders.reduce_only }
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) source: Source,
    /// Account and key, once they are proven.
    pub(crate) proven: Option<(&'a str, &'a str)>,
}

/// A limit that is used up.
#[derive(Debug)]
pub(crate) struct UsedUp {
    pub(crate) label: &'static str,
    refusal: Refusal,
    limited: Limited,
    standing: Option<Standing>,
}

impl From<UsedUp> for Refused {
    fn from(used_up: UsedUp) -> Self {
        let UsedUp { label, refusal, limited, standing } = used_up;
        Self { retry_after: limited.retry_after(), standing: standing.map(Box::new), ..Self::from(refusal) }
            .labelled(label)
    }
}

/// Whole seconds, rounded up.
fn seconds(duration: std::time::Duration) -> u32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// Routes with their limits.
#[derive(Debug)]
pub(crate) struct Policy {
    routes: RouteTable,
    /// As the lines of `routes`.
    plans: Vec<Plan>,
    scopes: Scopes,
    source: Draw,
}

impl Policy {
    /// All limits fresh. `seed` is random and secret.
    pub(crate) fn new(routes: RouteTable, limits: &Limits, seed: u64) -> Result<Self, PolicyError> {
        let scopes = Scopes::new(scope_limits(limits), seed)?;
        Self::over(routes, limits, scopes)
    }

    /// Another policy that goes on where this one is: limits keep what keys owe, see [`Scopes::reshaped`].
    pub(crate) fn reshaped(
        &self,
        routes: RouteTable,
        limits: &Limits,
        now: UnixNanos,
    ) -> Result<Self, PolicyError> {
        let scopes = self.scopes.reshaped(scope_limits(limits), now)?;
        Self::over(routes, limits, scopes)
    }

    fn over(routes: RouteTable, limits: &Limits, scopes: Scopes) -> Result<Self, PolicyError> {
        let draw = |name: &str| -> Option<Draw> {
            let limit = limits.limits.iter().find(|limit| limit.name == name)?;
            let announced = limits.announced.then(|| {
                Arc::new(Announced {
                    policy: admission::scopes::header::policy([(name, limit.quota)]).into(),
                    left: format!("\"{name}\";r=").into(),
                })
            });
            Some(Draw {
                limit: scopes.limit(name)?,
                by: limit.by,
                is_flat: matches!(name, SOURCE | KEY),
                label: LABELS.iter().find(|(of, _)| *of == name).map_or(OTHER_LABEL, |(_, label)| *label),
                refusal: if name == ORDER_RATE { Refusal::OrderRateLimited } else { Refusal::RateLimited },
                announced,
            })
        };
        let reserved = |name: &'static str, by| {
            draw(name).filter(|draw| draw.by == by).ok_or(PolicyError::Reserved { name, by })
        };
        let (source, key) = (reserved(SOURCE, By::Source)?, reserved(KEY, By::Key)?);
        let draws = |route: &Route, names: &[String]| -> Result<Vec<Draw>, PolicyError> {
            let is_public = route.class == Class::Public;
            let mut draws: Vec<Draw> = if is_public { Vec::new() } else { vec![key.clone()] };
            for name in names {
                let (path, name) = (route.path.clone(), name.clone());
                if matches!(name.as_str(), SOURCE | KEY) {
                    return Err(PolicyError::DrawnAnyway { path, name });
                }
                let Some(draw) = draw(&name) else { return Err(PolicyError::UnknownLimit { path, name }) };
                if is_public && draw.by != By::Source {
                    return Err(PolicyError::Unproven { path, name, by: draw.by });
                }
                draws.push(draw);
            }
            Ok(draws)
        };
        let plan = |route: &Route| -> Result<Plan, PolicyError> {
            let single = draws(route, &route.limits)?;
            let batch_limits =
                if route.batch_limits.is_empty() { &route.limits } else { &route.batch_limits };
            let batch = draws(route, batch_limits)?;
            let costs_orders = route.cost == Cost::Orders;
            let by_instrument = single.iter().chain(&batch).any(|draw| draw.by == By::Instrument);
            Ok(Plan { single, batch, reads_orders: costs_orders || by_instrument, costs_orders })
        };
        let plans = routes.lines().iter().map(plan).collect::<Result<_, _>>()?;
        Ok(Self { routes, plans, scopes, source })
    }

    /// The line that answers for a request, and what it draws on.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Option<(&Route, &Plan)> {
        let place = self.routes.place(method, path)?;
        Some((self.routes.lines().get(place)?, self.plans.get(place)?))
    }

    /// Charges one request to where it comes from.
    pub(crate) fn source(&self, source: Source, now: UnixNanos) -> Result<(), UsedUp> {
        let charge = Charge { limit: self.source.limit, scope_key: self.scopes.key_of(&source), cost: 1 };
        match self.scopes.charge(&[charge], now) {
            Ok(_) => Ok(()),
            // Before anybody is proven to be somebody, nobody is told how much is left.
            Err(refused) => Err(UsedUp {
                label: self.source.label,
                refusal: Refusal::RateLimited,
                limited: refused.limited,
                standing: None,
            }),
        }
    }

    /// Charges one request to all limits of its route, or to none.
    pub(crate) fn draw(
        &self,
        plan: &Plan,
        load: &Load<'_>,
        who: Who<'_>,
        now: UnixNanos,
    ) -> Result<Option<Standing>, UsedUp> {
        let orders = load.orders();
        let draws = if orders > 1 { &plan.batch } else { &plan.single };
        let (account, key) = who.proven.unwrap_or_default();
        let mut instruments: Vec<(ScopeKey, u32)> = Vec::new();
        let mut charges = Vec::with_capacity(draws.len() + load.instruments.len());
        for draw in draws {
            let cost = if draw.is_flat || !plan.costs_orders { 1 } else { orders };
            let limit = draw.limit;
            let scope_key = match draw.by {
                By::Account => self.scopes.key_of(account),
                By::Key => self.scopes.key_of(key),
                By::Source => self.scopes.key_of(&who.source),
                By::Instrument => {
                    if instruments.is_empty() {
                        instruments = self.by_instrument(account, &load.instruments);
                    }
                    charges.extend(instruments.iter().map(|(scope_key, orders)| {
                        let cost = if plan.costs_orders { *orders } else { 1 };
                        Charge { limit, scope_key: *scope_key, cost }
                    }));
                    continue;
                }
            };
            charges.push(Charge { limit, scope_key, cost });
        }
        let of = |limit| draws.iter().find(|draw| draw.limit == limit);
        let standing = |limit, remaining, reset| {
            let announced = of(limit)?.announced.clone()?;
            Some(Standing { announced, remaining, reset })
        };
        match self.scopes.charge(&charges, now) {
            Ok(granted) => Ok(granted.tightest.and_then(|(limit, admitted)| {
                standing(limit, admitted.remaining, Some(seconds(admitted.reset_after)))
            })),
            Err(refused) => {
                let wait = refused.limited.retry_after().map(|wait| seconds(wait).max(1));
                let draw = of(refused.limit);
                Err(UsedUp {
                    label: draw.map_or(OTHER_LABEL, |draw| draw.label),
                    refusal: draw.map_or(Refusal::RateLimited, |draw| draw.refusal.clone()),
                    limited: refused.limited,
                    standing: standing(refused.limit, 0, wait),
                })
            }
        }
    }

    /// The line of the REST endpoint of an operation of web sockets, and what it draws on; none where it may not be
    /// asked for.
    pub(crate) fn operation(&self, endpoint: &str) -> Option<(&Route, &Plan)> {
        self.find(&Method::POST, endpoint).filter(|(route, _)| route.handling == Handling::Forward)
    }

    /// Charges an operation of a web socket, as [`Policy::draw`] does.
    pub(crate) fn draw_operation(
        &self,
        plan: &Plan,
        load: &Load<'_>,
        verified: &Verified,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<(), Refused> {
        let proven = Some((verified.account().as_str(), verified.key_id().as_str()));
        let who = Who { source: peer.source, proven };
        self.draw(plan, load, who, now).map(drop).map_err(Refused::from)
    }

    /// How many orders for each instrument of an account.
    fn by_instrument(&self, account: &str, instruments: &[Instrument<'_>]) -> Vec<(ScopeKey, u32)> {
        let instruments = if instruments.is_empty() { &[Instrument::NONE] } else { instruments };
        let mut counts: Vec<(ScopeKey, u32)> = Vec::with_capacity(1);
        for instrument in instruments {
            let name = instrument.counted_by().as_bytes();
            let mut folded = [0; INSTRUMENT_BYTES_MAX];
            // Exchanges differ in whether they take lower case; it is one instrument all the same.
            let name = match folded.get_mut(..name.len()) {
                Some(folded) => {
                    folded.copy_from_slice(name);
                    folded.make_ascii_uppercase();
                    &*folded
                }
                None => name,
            };
            let scope_key = self.scopes.key_of(&(account, name));
            match counts.iter_mut().find(|(of, _)| *of == scope_key) {
                Some((_, count)) => *count += 1,
                None => counts.push((scope_key, 1)),
            }
        }
        counts
    }
}

fn scope_limits(limits: &Limits) -> Vec<ScopeLimit> {
    let scope = |limit: &crate::config::Limit| ScopeLimit {
        name: limit.name.clone(),
        quota: limit.quota,
        entries_max: limits.entries_max,
    };
    limits.limits.iter().map(scope).collect()
}

/// Whether routes and limits fit each other.
///
/// # Errors
/// [`PolicyError`] naming the route or the limit.
pub fn check_policy(routes: &RouteTable, limits: &Limits) -> Result<(), PolicyError> {
    Policy::new(routes.clone(), limits, 0).map(drop)
}

impl Plan {
    /// What a body carries, as far as this plan asks.
    pub(crate) fn load<'b>(&self, body: &'b [u8]) -> Result<Load<'b>, Refused> {
        // A GET has no body to name anything in.
        if !self.reads_orders || body.is_empty() {
            return Ok(Load::one());
        }
        Ok(orders::read(body)?.into())
    }
}

impl From<Uncountable> for Refused {
    fn from(uncountable: Uncountable) -> Self {
        match uncountable {
            Uncountable::Ambiguous => Refusal::JsonInvalid.into(),
            Uncountable::TooMany => {
                let refusal = Refusal::ParameterInvalid { parameter: "body".to_owned() };
                Self::from(refusal).labelled("too_many_orders")
            }
        }
    }
}

/// A request within its limits, and seen for the first time if it changes something.
#[derive(Debug)]
pub(crate) struct Charged {
    verified: Verified,
    standing: Option<Standing>,
    _first: FirstSight,
}

impl Charged {
    /// Whose request it is.
    pub(crate) const fn verified(&self) -> &Verified {
        &self.verified
    }

    /// What it has left.
    pub(crate) const fn standing(&self) -> Option<&Standing> {
        self.standing.as_ref()
    }

    /// Whose request it is, and what it has left.
    pub(crate) fn into_parts(self) -> (Verified, Option<Standing>) {
        (self.verified, self.standing)
    }
}

impl Shared {
    /// Charges a request to its key, its account and its instruments, then lets it through once.
    pub(super) fn charge(
        &self,
        policy: &Policy,
        routed: &Routed<'_>,
        load: &Load<'_>,
        verified: Verified,
        peer: &Peer,
        now: UnixNanos,
    ) -> Result<Charged, Refused> {
        let standing = {
            let proven = Some((verified.account().as_str(), verified.key_id().as_str()));
            let who = Who { source: peer.source, proven };
            let drawn = policy.draw(routed.plan, load, who, now);
            drawn.map_err(|used_up| Refused::from(used_up).of(verified.account()))?
        };
        match self.admit_once(&verified, routed.is_get, now) {
            Ok(first) => Ok(Charged { verified, standing, _first: first }),
            Err(refused) => Err(Refused { standing: standing.map(Box::new), ..refused }),
        }
    }
}

#[cfg(test)]
mod tests;
