//! Trials of minutes: load while the configuration is read again and again, three times the load the exchange can
//! take, and the time a gateway adds. Part of `attack --trials` alone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use crate::client::{Answers, Door, Stream};
use crate::honest::{HOME, Honest};
use crate::house::House;
use crate::report::Row;
use crate::signing::{Key, get, post_once};
use crate::upstream::Upstream;

const BALANCE: &str = "/api/v5/account/balance";
const ORDER: (&str, &str) = (
    "/api/v5/trade/order",
    r#"{"instId":"BTC-USDT","tdMode":"cash","side":"buy","ordType":"limit","px":"30000","sz":"0.01","clOrdId":"c{}"}"#,
);
const CANCEL: (&str, &str) = ("/api/v5/trade/cancel-order", r#"{"instId":"BTC-USDT","ordId":"{}"}"#);

/// Connections under load while the configuration is read again.
const CONNECTIONS: usize = 64;
/// Between two requests of such a connection.
const PACE: Duration = Duration::from_millis(20);
/// Between two readings.
const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// Requests the limited exchange works on at a time, and for how long: 1,000 a second.
const PLACES: usize = 8;
const SERVICE: Duration = Duration::from_millis(8);
const CAPACITY_PER_SECOND: u64 = 1_000;
/// Connections that place orders, far more than the exchange has places.
const CROWD: usize = 600;
const CANCELLERS: usize = 10;
/// Between two cancels of one of them.
const CANCEL_PACE: Duration = Duration::from_millis(100);
/// The limit on requests under way has found its place after this long.
const WARM_UP: Duration = Duration::from_secs(8);
const OVERLOAD: Duration = Duration::from_secs(30);

/// Answers, and how many of them were good.
#[derive(Debug, Default)]
struct Tally {
    n: AtomicU64,
    n_good: AtomicU64,
    n_broken: AtomicU64,
    /// Those that were not good, by status and code.
    others: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    fn read(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.n), read(&self.n_good), read(&self.n_broken))
    }

    fn others(&self) -> String {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.iter().map(|(answer, n)| format!(", {answer} x {n}")).collect()
    }
}

/// Sends what `request` makes every `pace` until `end`, the next only after the answer to the one before.
async fn paced(
    door: Door,
    from: Ipv4Addr,
    (start, pace, end): (Instant, Duration, Instant),
    request: impl Fn() -> String,
    tally: Arc<Tally>,
) {
    let mut ticks = interval_at(start, pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open: Option<(Stream, Answers)> = None;
    while ticks.tick().await < end {
        let (stream, answers) = match &mut open {
            Some(open) => open,
            None => match door.connect(from, b"http/1.1").await {
                Ok(stream) => open.insert((stream, Answers::default())),
                Err(_) => {
                    tally.n_broken.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            },
        };
        let sent = stream.write_all(request().as_bytes()).await.and(stream.flush().await);
        let answer = match sent {
            Ok(()) => answers.next(stream).await.ok().flatten(),
            Err(_) => None,
        };
        tally.n.fetch_add(1, Ordering::Relaxed);
        match answer {
            Some(answer) if answer.status == 200 && answer.code == "0" => {
                tally.n_good.fetch_add(1, Ordering::Relaxed);
            }
            Some(answer) => {
                let mut others = tally.others.lock().unwrap_or_else(PoisonError::into_inner);
                *others.entry(format!("{}/{}", answer.status, answer.code)).or_default() += 1;
            }
            None => {
                tally.n_broken.fetch_add(1, Ordering::Relaxed);
                open = None;
            }
        }
    }
}

fn crowd_address(i: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 4, u8::try_from(i % 120 + 1).unwrap_or(1))
}

/// Load for `duration` on a house whose configuration is read again every ten seconds.
///
/// # Errors
/// When the program refuses to make keys or to reload.
pub async fn reloads(house: &House, duration: Duration) -> Result<Row> {
    let keys: Vec<Key> = (0..8).map(|i| house.key(&format!("steady-{i}"))).collect::<Result<_>>()?;
    let honest = Honest::start(house.door.clone(), house.key("honest")?);
    let tally = Arc::new(Tally::default());
    let start = Instant::now();
    let end = start + duration;
    let mut tasks = JoinSet::new();
    for i in 0..CONNECTIONS {
        let key = keys[i % keys.len()].clone();
        let request = move || get(&key, BALANCE);
        let when = (start + PACE * u32::try_from(i).unwrap_or(0) / 64, PACE, end);
        tasks.spawn(paced(house.door.clone(), crowd_address(i), when, request, Arc::clone(&tally)));
    }
    let mut n_reloads = 0;
    let mut ticks = interval_at(start + RELOAD_EVERY, RELOAD_EVERY);
    while ticks.tick().await < end {
        n_reloads += 1;
        tokio::task::block_in_place(|| house.reload(100_000 + n_reloads))?;
    }
    while tasks.join_next().await.is_some() {}
    let fared = honest.fared().await;
    let (n, n_good, n_broken) = tally.read();
    Ok(Row::new(
        "load while the configuration is reloaded every 10 s",
        "not one request fails",
        format!(
            "{n_reloads} reloads in {} s; {n_good} of {n} served, {n_broken} connections broken{}; {}",
            duration.as_secs(),
            tally.others(),
            fared.text()
        ),
        n > 0 && n_good == n && n_broken == 0 && fared.n_well == fared.n && n_reloads > 0,
    ))
}

/// Three times what the exchange can take, beside clients that cancel.
///
/// # Errors
/// When the program does not start or refuses to make keys.
pub async fn overload(program: &std::path::Path) -> Result<Vec<Row>> {
    let upstream = Upstream::limited(PLACES, SERVICE).await?;
    let house = House::plain(program, upstream.addr, true)?;
    let keys: Vec<Key> = (0..16).map(|i| house.key(&format!("crowd-{i}"))).collect::<Result<_>>()?;
    let peak = phase(&house, &keys, CAPACITY_PER_SECOND, WARM_UP, OVERLOAD / 2).await?;
    let over = phase(&house, &keys, 3 * CAPACITY_PER_SECOND, WARM_UP, OVERLOAD).await?;
    let share = over.goodput / peak.goodput.max(1.0);
    let cancelled = over.cancels_good as f64 / over.cancels.max(1) as f64;
    let text = format!(
        "offered {:.0}/s of {CAPACITY_PER_SECOND}; {:.0} served a second ({:.0} at peak: {:.1} %); cancels {} of {}{}; orders otherwise{}",
        over.offered,
        over.goodput,
        peak.goodput,
        share * 100.0,
        over.cancels_good,
        over.cancels,
        over.others[0],
        over.others[1]
    );
    Ok(vec![
        Row::new("3x overload: goodput", ">= 90 % of the peak", text.clone(), share >= 0.9),
        Row::new("3x overload: cancels", ">= 99.9 % served", text, cancelled >= 0.999 && over.cancels > 0),
    ])
}

/// What a phase of constant load came to, after its warm-up.
struct Phase {
    /// Requests a second, answered or not.
    offered: f64,
    /// Served a second, cancels included.
    goodput: f64,
    cancels: u64,
    cancels_good: u64,
    /// The other answers to cancels, and to orders.
    others: [String; 2],
}

async fn phase(
    house: &House,
    keys: &[Key],
    per_second: u64,
    warm_up: Duration,
    duration: Duration,
) -> Result<Phase> {
    let (orders, cancels) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let start = Instant::now();
    let end = start + warm_up + duration;
    let crowd = u32::try_from(CROWD).unwrap_or(u32::MAX);
    let pace = Duration::from_secs(1) * crowd / u32::try_from(per_second).context("rate")?;
    let mut tasks = JoinSet::new();
    for i in 0..CROWD {
        let key = keys[i % keys.len()].clone();
        let request = move || post_once(&key, ORDER.0, ORDER.1);
        let when = (start + pace * u32::try_from(i).unwrap_or(0) / crowd, pace, end);
        tasks.spawn(paced(house.door.clone(), crowd_address(i), when, request, Arc::clone(&orders)));
    }
    for i in 0..CANCELLERS {
        let key = keys[i % keys.len()].clone();
        let request = move || post_once(&key, CANCEL.0, CANCEL.1);
        let when = (start + Duration::from_millis(7) * u32::try_from(i).unwrap_or(0), CANCEL_PACE, end);
        tasks.spawn(paced(house.door.clone(), HOME, when, request, Arc::clone(&cancels)));
    }
    tokio::time::sleep_until(start + warm_up).await;
    let (orders_before, cancels_before) = (orders.read(), cancels.read());
    tokio::time::sleep_until(end).await;
    let (orders_after, cancels_after) = (orders.read(), cancels.read());
    while tasks.join_next().await.is_some() {}
    let seconds = duration.as_secs_f64();
    let good = orders_after.1 - orders_before.1 + cancels_after.1 - cancels_before.1;
    let n = orders_after.0 - orders_before.0 + cancels_after.0 - cancels_before.0;
    // From the first cancel on: the warm-up is no excuse for one that was shed.
    let (n_cancels, n_cancelled, _) = cancels.read();
    Ok(Phase {
        offered: n as f64 / seconds,
        goodput: good as f64 / seconds,
        cancels: n_cancels,
        cancels_good: n_cancelled,
        others: [cancels.others(), orders.others()],
    })
}

/// Requests of the latency trial, each way.
const SAMPLES: usize = 3_000;

/// The time to an answer through the gateway and straight from the exchange, requests taking turns.
///
/// # Errors
/// When a request fails.
pub async fn added_latency(house: &House, upstream: &Upstream) -> Result<Row> {
    let key = house.key("latency")?;
    let mut ways = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    let doors = [Door::plain(upstream.addr), house.door.clone()];
    let mut open = Vec::new();
    for door in &doors {
        open.push((door.connect(HOME, b"http/1.1").await?, Answers::default()));
    }
    let mut ticks = interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..SAMPLES {
        for ((stream, answers), times) in open.iter_mut().zip(&mut ways) {
            ticks.tick().await;
            let request = get(&key, BALANCE);
            let sent_at = Instant::now();
            stream.write_all(request.as_bytes()).await?;
            let answer = answers.next(stream).await?.context("no answer")?;
            times.push(sent_at.elapsed());
            anyhow::ensure!(answer.status == 200, "status {}", answer.status);
        }
    }
    let at = |times: &[Duration], per_cent: usize| {
        times.get(times.len() * per_cent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    ways.iter_mut().for_each(|times| times.sort_unstable());
    let [direct, through] = &ways;
    Ok(Row::new(
        "added latency",
        "reported: the machine decides",
        format!(
            "p50 {:.0} us direct, {:.0} us through the gateway (+{:.0}); p99 {:.0} and {:.0} us (+{:.0})",
            at(direct, 50),
            at(through, 50),
            at(through, 50) - at(direct, 50),
            at(direct, 99),
            at(through, 99),
            at(through, 99) - at(direct, 99)
        ),
        true,
    ))
}
