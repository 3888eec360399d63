//! Three times the work that the exchange can do: who is served, and how much is lost.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use admission::Quota;
use gateway::route::{Class, Criticality, Route, RouteTable, Verb};
use parking_lot::Mutex;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    websocket::Client,
    world::{TRADER, World, read_message, reply, request},
};

/// Requests that the exchange works on at a time, and how long each takes.
const WORKERS: usize = 4;
const WORK: Duration = Duration::from_millis(40);
/// Requests offered in a second: three times as many.
const OFFERED: u32 = 300;
/// How long, and how much of it the limit may take to find its place.
const SECONDS: u32 = 5;
const SETTLES: u32 = 2;

/// An exchange of limited means: what it cannot work on waits.
async fn slow_exchange(answered: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let workers = Arc::new(Semaphore::new(WORKERS));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (workers, answered) = (Arc::clone(&workers), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut buffer = Vec::new();
                while read_message(&mut stream, &mut buffer).await.is_some() {
                    let worker = workers.acquire().await.unwrap();
                    tokio::time::sleep(WORK).await;
                    drop(worker);
                    answered.fetch_add(1, Ordering::Relaxed);
                    let answer =
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 32\r\n\r\n\
                        {\"code\":\"0\",\"msg\":\"\",\"data\":[]}  ";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// What the exchange answers in a second when it always has something to do and never too much.
async fn peak_per_second(address: SocketAddr) -> f64 {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..WORKERS {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut buffer = Vec::new();
            let mut n = 0.0;
            while start.elapsed() < Duration::from_secs(1) {
                stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
                read_message(&mut stream, &mut buffer).await.unwrap();
                n += 1.0;
            }
            n
        });
    }
    clients.join_all().await.into_iter().sum::<f64>() / start.elapsed().as_secs_f64()
}

/// What became of requests of one kind, by code and status.
type Outcomes = BTreeMap<(&'static str, String, u16), u32>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_three_times_its_capacity_cancels_are_served_and_little_is_lost() {
    let answered = Arc::new(AtomicU64::new(0));
    let exchange = slow_exchange(Arc::clone(&answered)).await;
    let peak = peak_per_second(exchange).await;
    let plenty = Quota::new(1_000_000, Duration::from_secs(1)).unwrap();
    let world = World::configured(|config| {
        config.upstream.authority = exchange.to_string();
        config.upstream.response_timeout = Duration::from_secs(10);
        config.connections_per_source_max = 10_000;
        config.limits.limits.iter_mut().for_each(|limit| limit.quota = plenty);
    })
    .await;
    let key = world.key(&TRADER);
    let address = world.address;

    let outcomes: Arc<Mutex<Outcomes>> = Arc::default();
    let mut requests = JoinSet::new();
    let mut tick = interval(Duration::from_secs(1) / OFFERED);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (start, mut told) = (Instant::now(), Duration::ZERO);
    let mut settled = (0, Instant::now());
    for i in 0..OFFERED * SECONDS {
        tick.tick().await;
        let elapsed = start.elapsed();
        world.clock.advance(elapsed - told);
        told = elapsed;
        if i == OFFERED * SETTLES {
            settled = (answered.load(Ordering::Relaxed), Instant::now());
        }
        // One in ten is a cancel, three read, six are new orders.
        let body = format!("{{\"n\":\"{i}\"}}");
        let (kind, method, target, body) = match i % 10 {
            0 => ("cancel", "POST", "/api/v5/trade/cancel-order", body),
            1..=3 => ("read", "GET", "/api/v5/account/balance", String::new()),
            _ => ("place", "POST", "/api/v5/trade/order", body),
        };
        let text = request(method, target, &world.signed(&key, method, target, &body), &body);
        let outcomes = Arc::clone(&outcomes);
        requests.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let reply = reply(&mut stream).await.expect("an answer");
            if reply.status == 503 {
                assert_eq!(reply.headers["retry-after"], "1");
            }
            let code = reply.json()["code"].as_str().unwrap().to_owned();
            *outcomes.lock().entry((kind, code, reply.status)).or_default() += 1;
        });
    }
    let goodput = answered.load(Ordering::Relaxed) - settled.0;
    let goodput = f64::from(u32::try_from(goodput).unwrap()) / settled.1.elapsed().as_secs_f64();
    requests.join_all().await;

    let outcomes = outcomes.lock();
    let of = |kind: &'static str, code: &str, status| {
        outcomes.get(&(kind, code.to_owned(), status)).copied().unwrap_or_default()
    };
    eprintln!("peak {peak:.0}/s, goodput {goodput:.0}/s at {OFFERED}/s: {outcomes:?}");
    // 99.9 % of 150 are all of them.
    assert_eq!(of("cancel", "0", 200), OFFERED * SECONDS / 10);
    assert!(goodput >= 0.9 * peak, "{goodput} of {peak}");
    assert!(of("place", "50013", 429) > 0 && of("read", "50001", 503) > 0);
    // Reads go first: a smaller part of them is served than of new orders.
    assert!(of("read", "0", 200) * 2 < of("place", "0", 200));
    let known = ["cancel", "place", "read"].map(|kind| of(kind, "0", 200)).into_iter().sum::<u32>()
        + of("place", "50013", 429)
        + of("read", "50001", 503);
    assert_eq!(known, OFFERED * SECONDS, "{outcomes:?}");
    assert_eq!(world.refusals("shed"), u64::from(of("place", "50013", 429) + of("read", "50001", 503)));
}

/// Who must get out of a position still can when new orders are turned away, over REST and over web sockets; what only
/// says so cannot.
#[tokio::test]
async fn orders_that_only_reduce_go_with_changed_ones() {
    let world = World::configured(|config| {
        config.abuse.concurrency.limit_initial = 10;
        config.abuse.concurrency.limit_max = 10;
        config.abuse.concurrency.limit_min = 10;
        config.upstream.response_timeout = Duration::from_secs(10);
        let waits = Route::new(Verb::Post, "/api/v5/test/wait", Class::Trade);
        let mut routes = config.routes.routes().to_vec();
        routes.push(Route { criticality: Criticality::Place, ..waits });
        config.routes = RouteTable::new(routes).unwrap();
    })
    .await;
    let key = world.key(&TRADER);
    let mut client = Client::open(&world, "/ws/v5/private").await.unwrap();
    client.log_in(&world, &key).await;
    // Nine under way: as many as there may be before new orders are turned away, one less than for changed ones.
    let (world, key) = (Arc::new(world), Arc::new(key));
    let arrived = Arc::clone(&world.exchange.waiting);
    let mut waiting = JoinSet::new();
    for i in 0..9 {
        let (world, key) = (Arc::clone(&world), Arc::clone(&key));
        waiting
            .spawn(async move { world.post(&key, "/api/v5/test/wait", &format!("{{\"n\":\"{i}\"}}")).await });
        // Nothing else is under way here, so each place is taken by the request that arrives.
        arrived.notified().await;
    }

    let place = |n: u32, fields: &str| format!("{{\"n\":\"{n}\",\"instId\":\"BTC-USDT-SWAP\"{fields}}}");
    let reduces = ",\"reduceOnly\":true";
    let mut answers = Vec::new();
    for (path, body) in [
        ("/api/v5/trade/order", place(1, "")),
        ("/api/v5/trade/order", place(2, reduces)),
        ("/api/v5/trade/order", place(3, ",\"posSide\":\"long\",\"side\":\"buy\",\"reduceOnly\":true")),
        ("/api/v5/trade/batch-orders", format!("[{},{}]", place(4, reduces), place(5, reduces))),
        ("/api/v5/trade/batch-orders", format!("[{},{}]", place(6, reduces), place(7, ""))),
    ] {
        answers.push(world.post(&key, path, &body).await.code().0);
    }
    assert_eq!(answers, ["50013", "0", "50013", "0", "50013"]);

    let order = |reduce: bool| {
        let order = serde_json::json!({ "instId": "BTC-USDT-SWAP", "side": "sell", "reduceOnly": reduce });
        serde_json::json!({ "id": "1", "op": "order", "args": [order] })
    };
    assert_eq!(client.ask(&order(false)).await["code"], "50013");
    // It is sent on, to an exchange that speaks no web sockets.
    assert_ne!(client.ask(&order(true)).await["code"], "50013");
    for _ in 0..9 {
        world.exchange.release.notify_one();
        waiting.join_next().await.unwrap().unwrap();
    }
}

/// More at once than may be under way is no overload, if the exchange answers quickly.
#[tokio::test]
async fn a_burst_waits_its_turn() {
    let world = World::configured(|config| {
        config.abuse.concurrency.limit_initial = 8;
        config.abuse.concurrency.limit_max = 8;
        config.upstream.response_timeout = Duration::from_secs(10);
        config.connections_per_source_max = 1_000;
    })
    .await;
    let key = world.key(&TRADER);
    let (world, key) = (Arc::new(world), Arc::new(key));
    let mut requests = JoinSet::new();
    for i in 0..100 {
        let (world, key) = (Arc::clone(&world), Arc::clone(&key));
        requests.spawn(async move {
            match i % 2 {
                0 => world.get(&key, "/api/v5/account/balance").await.code(),
                _ => world.post(&key, "/api/v5/trade/order", &format!("{{\"n\":\"{i}\"}}")).await.code(),
            }
        });
    }
    for said in requests.join_all().await {
        assert_eq!(said, ("0".to_owned(), 200));
    }
    assert_eq!(world.refusals("shed"), 0);
}
