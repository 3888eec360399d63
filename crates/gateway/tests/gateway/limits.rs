//! Rate limits by source, account and budget.

use std::time::Duration;

use admission::Quota;
use gateway::By;

use crate::world::{KeySpec, TRADER, World, code};

const BALANCE: &str = "/api/v5/account/balance";
const ORDER: &str = "/api/v5/trade/order";

fn quota(burst: u32, millis: u64) -> Quota {
    Quota::new(burst, Duration::from_millis(millis)).unwrap()
}

#[tokio::test]
async fn a_source_is_limited_before_anything_else() {
    let world = World::configured(|config| config.limits.set("source", By::Source, quota(3, 3_000))).await;
    for _ in 0..3 {
        let reply = world.send("GET", "/api/v5/account/balance", &[], "").await;
        assert_eq!(reply.code(), code("50103", 401));
    }
    let reply = world.send("GET", "/not/even/../a/path", &[], "").await;
    assert_eq!(reply.code(), code("50011", 429));
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(reply.json()["msg"], "Too Many Requests");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send("GET", "/api/v5/account/balance", &[], "").await.code(), code("50103", 401));
    assert_eq!(world.refusals("source_rate_limited"), 1);
}

#[tokio::test]
async fn budgets_are_independent_and_shared_by_the_keys_of_an_account() {
    let world = World::configured(|config| {
        config.limits.set("place", By::Instrument, quota(2, 2_000));
        config.limits.set("cancel", By::Instrument, quota(1, 2_000));
        config.limits.set("read", By::Account, quota(2, 2_000));
    })
    .await;
    let (first, second) = (world.key(&TRADER), world.key(&TRADER));
    let other = world.key(&KeySpec { account: "bob", ..TRADER });
    assert_eq!(world.post(&first, ORDER, r#"{"n":1}"#).await.code(), code("0", 200));
    assert_eq!(world.post(&second, ORDER, r#"{"n":2}"#).await.code(), code("0", 200));
    assert_eq!(world.post(&first, ORDER, r#"{"n":3}"#).await.code(), code("50011", 429));
    // New orders are used up, and yet the customer can cancel and look.
    assert_eq!(world.post(&first, "/api/v5/trade/cancel-order", "{}").await.code(), code("0", 200));
    assert_eq!(world.get(&first, BALANCE).await.code(), code("0", 200));
    assert_eq!(world.post(&other, ORDER, r#"{"n":4}"#).await.code(), code("0", 200));
    // What a limit refused may be sent again as it is: it was not remembered as seen.
    let retried = world.signed(&first, "POST", ORDER, r#"{"n":5}"#);
    assert_eq!(world.send("POST", ORDER, &retried, r#"{"n":5}"#).await.code(), code("50011", 429));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.send("POST", ORDER, &retried, r#"{"n":5}"#).await.code(), code("0", 200));
    assert!(world.watcher.refused.lock().contains(&(Some("alice".to_owned()), "place_rate_limited")));
}

#[tokio::test]
async fn each_order_of_a_batch_counts_for_its_instrument() {
    let world = World::configured(|config| {
        config.limits.set("place", By::Instrument, quota(2, 2_000));
        config.limits.set("place_batch", By::Instrument, quota(10, 2_000));
        config.limits.set("orders", By::Account, quota(20, 2_000));
    })
    .await;
    let key = world.key(&TRADER);
    let batch = |instruments: &[(&str, usize)]| {
        let order = |name: &str| format!(r#"{{"instId":"{name}"}}"#);
        let orders = instruments.iter().flat_map(|(name, count)| vec![order(name); *count]);
        format!("[{}]", orders.collect::<Vec<_>>().join(","))
    };
    let target = "/api/v5/trade/batch-orders";
    assert_eq!(world.post(&key, target, &batch(&[("A", 9)])).await.code(), code("0", 200));
    // One instrument too many orders refuses the whole batch, and nothing of it is charged: B still takes ten.
    assert_eq!(world.post(&key, target, &batch(&[("B", 5), ("A", 2)])).await.code(), code("50011", 429));
    assert_eq!(world.post(&key, target, &batch(&[("B", 10)])).await.code(), code("0", 200));
    // A batch of one is a single order, whatever the endpoint and however the instrument is spelled.
    assert_eq!(world.post(&key, target, &batch(&[("a", 1)])).await.code(), code("0", 200));
    // The order rate of the account is used up: its own code, status 200.
    let reply = world.post(&key, "/api/v5/trade/amend-order", r#"{"instId":"C"}"#).await;
    assert_eq!(reply.code(), code("50061", 200));
    assert_eq!(reply.headers["ratelimit"], r#""orders";r=0;t=1"#);
    world.clock.advance(Duration::from_millis(100));
    assert_eq!(world.post(&key, ORDER, r#"{"instId":"A"}"#).await.code(), code("0", 200));
    world.clock.advance(Duration::from_millis(100));
    assert_eq!(world.post(&key, ORDER, r#"{"instId":"A"}"#).await.code(), code("50011", 429));
    assert_eq!(world.post(&key, ORDER, r#"{"instId":"D"}"#).await.code(), code("0", 200));
    assert_eq!(world.post(&key, target, "[{},").await.code(), code("50002", 400));
    assert_eq!(world.post(&key, ORDER, r#"{"instId":"E","INSTID":"F"}"#).await.code(), code("50002", 400));
    // More than a whole burst never passes, more orders than anybody sends are not counted.
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(world.post(&key, target, &batch(&[("A", 11)])).await.code(), code("50011", 429));
    assert_eq!(world.post(&key, target, &batch(&[("A", 101)])).await.code(), code("51000", 400));
}

#[tokio::test]
async fn answers_to_private_requests_say_what_is_left() {
    let world = World::configured(|config| config.limits.set("read", By::Account, quota(2, 3_000))).await;
    let key = world.key(&TRADER);
    let left = |reply: &crate::world::Reply| {
        (reply.headers["ratelimit-policy"].clone(), reply.headers["ratelimit"].clone())
    };
    let said = |left: &str| (r#""read";q=2;w=3"#.to_owned(), left.to_owned());
    assert_eq!(left(&world.get(&key, BALANCE).await), said(r#""read";r=1;t=2"#));
    assert_eq!(left(&world.get(&key, BALANCE).await), said(r#""read";r=0;t=3"#));
    let refused = world.get(&key, BALANCE).await;
    assert_eq!(refused.code(), code("50011", 429));
    assert_eq!(refused.headers["retry-after"], "2");
    assert_eq!(left(&refused), said(r#""read";r=0;t=2"#));
    // Nobody else is told anything.
    let public = world.send("GET", "/api/v5/public/time", &[], "").await;
    assert!(public.status == 200 && !public.headers.contains_key("ratelimit"));
    let quiet = World::configured(|config| config.limits.announced = false).await;
    let key = quiet.key(&TRADER);
    assert!(!quiet.get(&key, BALANCE).await.headers.contains_key("ratelimit"));
}

#[tokio::test]
async fn public_reads_have_a_limit_of_their_own() {
    let world = World::configured(|config| config.limits.set("public", By::Source, quota(2, 2_000))).await;
    for expected in [code("0", 200), code("0", 200), code("50011", 429)] {
        assert_eq!(world.send("GET", "/api/v5/public/time", &[], "").await.code(), expected);
    }
    let key = world.key(&TRADER);
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    assert_eq!(world.refusals("public_rate_limited"), 1);
}

#[tokio::test]
async fn limits_and_routes_change_while_it_serves() {
    let world = World::start().await;
    let (key, control) = (world.key(&TRADER), &world.control);
    for n in 0..50 {
        assert_eq!(world.post(&key, ORDER, &format!(r#"{{"n":{n}}}"#)).await.code(), code("0", 200));
    }
    // 50 of 60 are used: 10 of 60 are left, nothing of 20, and after the change back what was used stays used.
    let mut limits = gateway::Limits::default();
    limits.set("place", By::Instrument, quota(20, 2_000));
    let put = |limits: &gateway::Limits| {
        control.set_policy(control.prepare(gateway::route::RouteTable::okx_v5(), limits).unwrap());
    };
    put(&limits);
    assert_eq!(world.post(&key, ORDER, r#"{"n":50}"#).await.code(), code("50011", 429));
    world.clock.advance(Duration::from_millis(100));
    assert_eq!(world.post(&key, ORDER, r#"{"n":51}"#).await.code(), code("0", 200));
    // Another route: what was forwarded is now unavailable, and the limits it drew on are as they were.
    let open = gateway::route::RouteTable::okx_v5();
    let closed = open.routes().iter().cloned().map(|mut route| {
        if route.path == "/api/v5/trade/amend-order" {
            route.handling = gateway::route::Handling::Unavailable;
        }
        route
    });
    let closed = gateway::route::RouteTable::new(closed.collect()).unwrap();
    control.set_policy(control.prepare(closed, &limits).unwrap());
    assert_eq!(world.post(&key, "/api/v5/trade/amend-order", "{}").await.code(), code("50005", 410));
    assert_eq!(world.post(&key, ORDER, r#"{"n":52}"#).await.code(), code("50011", 429));
    // What does not fit changes nothing.
    limits.limits.retain(|limit| limit.name != "read");
    let error = control.prepare(gateway::route::RouteTable::okx_v5(), &limits).unwrap_err();
    assert_eq!(error.path(), Some("/api/v5/trade/order"));
    assert_eq!(world.get(&key, BALANCE).await.code(), code("0", 200));
    control.set_connection_caps(10_000, 1);
    let held = tokio::net::TcpStream::connect(world.address).await.unwrap();
    while world.refusals("connections_per_source_max") == 0 {
        // The one held may not be counted yet when the next one comes.
        let refused = world.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        drop(refused);
    }
    drop(held);
}

/// A limit as the documentation of its algorithm has it, in exact whole numbers: a bucket in units of 1/burst
/// nanosecond.
struct Bucket {
    burst: u128,
    per_nanos: u128,
    tokens: u128,
    at: u128,
}

impl Bucket {
    fn new(burst: u32, millis: u64) -> Self {
        let (burst, per_nanos) = (u128::from(burst), u128::from(millis) * 1_000_000);
        Self { burst, per_nanos, tokens: burst * per_nanos, at: 0 }
    }

    fn refill(&mut self, at: u128) {
        self.tokens = (self.tokens + (at - self.at) * self.burst).min(self.burst * self.per_nanos);
        self.at = at;
    }
}

/// What passes the real gateway in a minute of overload, against buckets filled and emptied beside it. Single orders and
/// batches over two instruments, amendments and cancellations; simulated time.
#[tokio::test]
async fn the_error_over_a_minute_is_nothing() {
    let world = World::configured(|config| {
        config.limits.set("source", By::Source, quota(1_000_000, 1_000));
        config.limits.set("place", By::Instrument, quota(6, 2_000));
        config.limits.set("place_batch", By::Instrument, quota(30, 2_000));
        config.limits.set("amend", By::Instrument, quota(5, 2_000));
        config.limits.set("cancel", By::Instrument, quota(7, 3_000));
        config.limits.set("orders", By::Account, quota(40, 2_000));
    })
    .await;
    let key = world.key(&TRADER);
    let mut buckets: std::collections::HashMap<(&str, &str), Bucket> = std::collections::HashMap::new();
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let (mut passed, mut expected, mut sent, mut at) = (0_u32, 0_u32, 0_u32, 0_u128);
    let mut state = 7_u32;
    while at < 60_000_000_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let pick = state >> 16;
        let instrument = if pick & 1 == 0 { "BTC-USDT" } else { "ETH-USDT" };
        let (target, name, rate, orders) = match (pick >> 1) % 4 {
            0 => ("/api/v5/trade/order", "place", true, 1),
            1 => ("/api/v5/trade/batch-orders", "place_batch", true, 2 + (pick >> 4) % 8),
            2 => ("/api/v5/trade/amend-order", "amend", true, 1),
            _ => ("/api/v5/trade/cancel-order", "cancel", false, 1),
        };
        let order = format!(r#"{{"instId":"{instrument}","clOrdId":"{sent}"}}"#);
        let body = match orders {
            1 => order,
            _ => format!("[{}]", vec![order; orders as usize].join(",")),
        };
        let headers = world.signed(&key, "POST", target, &body);
        let request = crate::world::request("POST", target, &headers, &body);
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        let reply = crate::world::reply(&mut stream).await.unwrap();
        let got = reply.json()["code"] == "0";
        let mut draws = vec![("key", "", 1), (name, instrument, orders)];
        if rate {
            draws.push(("orders", "", orders));
        }
        let needed = |name: &'static str, of, count: u32| {
            let (burst, millis) = match name {
                "key" => (600, 2_000),
                "place" => (6, 2_000),
                "place_batch" => (30, 2_000),
                "amend" => (5, 2_000),
                "cancel" => (7, 3_000),
                _ => (40, 2_000),
            };
            ((name, of), Bucket::new(burst, millis), u128::from(count))
        };
        let draws: Vec<_> = draws.into_iter().map(|(name, of, count)| needed(name, of, count)).collect();
        let mut fits = true;
        let mut places = Vec::new();
        for (place, fresh, count) in draws {
            let bucket = buckets.entry(place).or_insert(fresh);
            bucket.refill(at);
            fits &= bucket.tokens >= count * bucket.per_nanos;
            places.push((place, count));
        }
        if fits {
            for (place, count) in places {
                let bucket = buckets.get_mut(&place).unwrap();
                bucket.tokens -= count * bucket.per_nanos;
            }
        }
        assert_eq!(got, fits, "request {sent} at {at} ns to {target} of {instrument}");
        (passed, expected) = (passed + u32::from(got), expected + u32::from(fits));
        sent += 1;
        let step = u64::from(5 + pick % 40) * 1_000_000 + u64::from(pick);
        world.clock.advance(Duration::from_nanos(step));
        at += u128::from(step);
    }
    assert!(sent > 1_500 && passed > 500 && passed < sent, "{passed} of {sent}, expected {expected}");
}

#[derive(Debug, Default)]
struct Recording(parking_lot::Mutex<Vec<gateway::traffic::Passed>>);

impl gateway::traffic::Recorder for Recording {
    fn record(&self, passed: gateway::traffic::Passed) {
        self.0.lock().push(passed);
    }
}

/// One line for each request, with what became of it, and judged again under the same policy to the same end.
#[tokio::test]
async fn what_passes_is_recorded_and_judged_alike_again() {
    let recording = std::sync::Arc::new(Recording::default());
    let mut limits = gateway::Limits::default();
    limits.set("place", By::Instrument, quota(2, 2_000));
    let world = World::configured(|config| {
        config.limits = limits.clone();
        config.recorder = Some(std::sync::Arc::clone(&recording) as _);
    })
    .await;
    let key = world.key(&TRADER);
    world.send("GET", "/api/v5/public/time", &[], "").await;
    for n in 0..3 {
        world.post(&key, ORDER, &format!(r#"{{"instId":"A","n":{n}}}"#)).await;
    }
    world.post(&key, "/api/v5/trade/batch-orders", r#"[{"instId":"A"},{"instId":"B"}]"#).await;
    world.send("POST", ORDER, &[], "{}").await;
    world.get(&key, "/elsewhere?secret=1").await;
    let recorded = recording.0.lock().clone();
    let shown: Vec<_> = recorded
        .iter()
        .map(|passed| {
            let who = passed.proven.as_ref().map_or("-", |(account, _)| account);
            format!("{who} {} {} {}", passed.path, passed.instruments.join(","), passed.outcome)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "- /api/v5/public/time  admitted",
            "alice /api/v5/trade/order A admitted",
            "alice /api/v5/trade/order A admitted",
            "alice /api/v5/trade/order A place_rate_limited",
            "alice /api/v5/trade/batch-orders A,B admitted",
            "- /api/v5/trade/order  api_key_missing",
            "- /elsewhere  endpoint_unavailable",
        ]
    );
    let run = gateway::traffic::DryRun::new(gateway::route::RouteTable::okx_v5(), &limits).unwrap();
    for passed in &recorded {
        let replayed = gateway::traffic::Replayed {
            at: passed.at,
            source: passed.source,
            proven: passed.proven.as_ref().map(|(account, key)| (account.as_str(), key.as_str())),
            is_operation: passed.is_operation,
            is_post: passed.is_post,
            path: &passed.path,
            instruments: &passed.instruments,
            outcome: passed.outcome,
        };
        assert_eq!(run.judge(&replayed), passed.outcome, "{passed:?}");
    }
}
