use std::time::Duration;

use admission::Quota;

use super::*;
use crate::{
    config::Limit,
    route::{Criticality, Verb},
};

const NOW: UnixNanos = UnixNanos::from_secs(1_800_000_000);

fn source(last: u8) -> Source {
    Source::of([192, 0, 2, last].into())
}

fn refusal(routes: Vec<Route>, limits: &Limits) -> PolicyError {
    check_policy(&RouteTable::new(routes).unwrap(), limits).unwrap_err()
}

#[test]
fn the_default_limits_fit_the_default_routes() {
    assert_eq!(check_policy(&RouteTable::okx_v5(), &Limits::default()), Ok(()));
    for (name, _) in LABELS {
        assert!(Limits::default().limits.iter().any(|limit| limit.name == name), "{name}");
    }
    // Losing a cancel is worse than losing anything else, and nothing public outranks what is private.
    for route in RouteTable::okx_v5().routes() {
        let (path, criticality) = (&route.path, route.criticality);
        assert_eq!(path.contains("cancel"), criticality == Criticality::Cancel, "{path}");
        assert_eq!(route.class == Class::Public, criticality <= Criticality::PublicRead, "{path}");
    }
}

#[test]
fn routes_and_limits_that_do_not_fit_are_refused() {
    let limits = Limits::default();
    let line = |class, names: &[&str]| vec![Route::new(Verb::Get, "/a", class).drawing_on(names)];
    let unknown = refusal(line(Class::Read, &["read", "nope"]), &limits);
    assert_eq!(unknown, PolicyError::UnknownLimit { path: "/a".to_owned(), name: "nope".to_owned() });
    let unproven = refusal(line(Class::Public, &["read"]), &limits);
    assert!(matches!(unproven, PolicyError::Unproven { by: By::Account, .. }));
    for name in [SOURCE, KEY] {
        let anyway = refusal(line(Class::Read, &[name]), &limits);
        assert!(matches!(anyway, PolicyError::DrawnAnyway { .. }));
        let mut without = limits.clone();
        without.limits.retain(|limit| limit.name != name);
        assert!(matches!(refusal(Vec::new(), &without), PolicyError::Reserved { .. }));
        let mut other = limits.clone();
        let quota = other.limits[0].quota;
        other.set(name, By::Account, quota);
        assert!(matches!(refusal(Vec::new(), &other), PolicyError::Reserved { .. }));
    }
    let mut twice = limits.clone();
    twice.limits.push(Limit { ..limits.limits[3].clone() });
    assert!(matches!(refusal(Vec::new(), &twice), PolicyError::Limits(ScopesError::Duplicate { .. })));
}

#[test]
fn what_is_counted_by_is_what_is_limited() {
    let mut limits = Limits::default();
    let quota = Quota::new(2, Duration::from_secs(2)).unwrap();
    for by in By::ALL {
        limits.set(by.as_str(), by, quota);
    }
    limits.set("source", By::Source, Quota::new(1_000, Duration::from_secs(1)).unwrap());
    limits.set("key", By::Key, Quota::new(1_000, Duration::from_secs(1)).unwrap());
    limits.set("by_source", By::Source, quota);
    limits.set("by_key", By::Key, quota);
    let passes = |limit: &str, others: [(u8, &str, &str, &str); 2]| {
        let route = Route { cost: Cost::Orders, ..Route::new(Verb::Post, "/a", Class::Trade) };
        let routes = RouteTable::new(vec![route.drawing_on(&[limit])]).unwrap();
        let policy = Policy::new(routes, &limits, 7).unwrap();
        let (_, plan) = policy.find(&Method::POST, "/a").unwrap();
        let draw = |(last, account, key, instrument): (u8, &str, &str, &str), count| {
            let load = Load::of(vec![Instrument::new(instrument.to_owned()); count]);
            policy.draw(plan, &load, Who { source: source(last), proven: Some((account, key)) }, NOW)
        };
        draw((1, "alice", "k1", "BTC"), 2).unwrap();
        others.map(|other| draw(other, 1).is_ok())
    };
    assert_eq!(passes("by_source", [(1, "bob", "k2", "ETH"), (2, "alice", "k1", "BTC")]), [false, true]);
    assert_eq!(passes("by_key", [(2, "bob", "k1", "ETH"), (1, "alice", "k2", "BTC")]), [false, true]);
    assert_eq!(passes("account", [(2, "alice", "k2", "ETH"), (1, "bob", "k1", "BTC")]), [false, true]);
    assert_eq!(passes("instrument", [(2, "alice", "k2", "btc"), (1, "alice", "k1", "ETH")]), [false, true]);
    assert_eq!(passes("instrument", [(2, "alice", "k2", "BTC"), (1, "bob", "k1", "BTC")]), [false, true]);
}

#[test]
fn nothing_is_charged_where_something_is_refused() {
    let policy = Policy::new(RouteTable::okx_v5(), &Limits::default(), 7).unwrap();
    let (_, plan) = policy.find(&Method::POST, "/api/v5/trade/batch-orders").unwrap();
    let who = Who { source: source(1), proven: Some(("alice", "k")) };
    let load = |names: &[(&'static str, usize)]| {
        Load::of(names.iter().flat_map(|(name, count)| vec![Instrument::new(*name); *count]).collect())
    };
    for _ in 0..3 {
        policy.draw(plan, &load(&[("A", 100)]), who, NOW).unwrap();
    }
    for _ in 0..50 {
        let used_up = policy.draw(plan, &load(&[("B", 20), ("A", 1)]), who, NOW).unwrap_err();
        assert_eq!(used_up.label, "place_rate_limited");
    }
    // B was never charged, nor was the account: 700 of its 1,000 are left.
    for name in ["B", "B", "B", "C", "C", "C", "D"] {
        policy.draw(plan, &load(&[(name, 100)]), who, NOW).unwrap();
    }
    let used_up = policy.draw(plan, &load(&[("D", 2)]), who, NOW).unwrap_err();
    assert_eq!((used_up.label, used_up.refusal), ("order_rate_limited", Refusal::OrderRateLimited));
}
