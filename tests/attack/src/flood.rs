//! Floods of requests: many valid keys, wrong signatures, keys nobody has. Closed loops over keep-alive connections,
//! from loopback addresses of their own, beside one honest client.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::client::{Answer, Answers, Door};
use crate::honest::{Fared, Honest};
use crate::house::House;
use crate::process;
use crate::report::Row;
use crate::signing::{Key, get, now_millis};

/// Connections of one flood.
const CONNECTIONS: usize = 64;
/// Keys of the signed flood.
const KEYS: usize = 32;
/// The honest client's 99th percentile under a flood.
const P99_MAX: Duration = Duration::from_millis(50);
/// Processor time of one refusal.
const REFUSAL_CPU_MAX: Duration = Duration::from_micros(10);
/// Growth of memory under random keys.
const GROWTH_BYTES_MAX: u64 = 20 << 20;
const BALANCE: &str = "/api/v5/account/balance";

/// What a flood found.
struct Flooded {
    statuses: BTreeMap<String, u64>,
    n: u64,
    n_broken: u64,
    cpu: Duration,
    growth_bytes: u64,
    elapsed: Duration,
    fared: Fared,
}

impl Flooded {
    fn text(&self) -> String {
        let statuses: Vec<String> =
            self.statuses.iter().map(|(status, n)| format!("{status} x {n}")).collect();
        format!(
            "{} requests in {:.1} s ({}), {} connections broken, {:.1} us CPU each; {}",
            self.n,
            self.elapsed.as_secs_f64(),
            statuses.join(", "),
            self.n_broken,
            self.cpu_each().as_secs_f64() * 1e6,
            self.fared.text()
        )
    }

    fn cpu_each(&self) -> Duration {
        self.cpu / u32::try_from(self.n.max(1)).unwrap_or(u32::MAX)
    }

    fn share(&self, is_counted: impl Fn(&str) -> bool) -> f64 {
        let n: u64 = self.statuses.iter().filter(|(status, _)| is_counted(status)).map(|(_, n)| n).sum();
        // Counts of a few seconds are far below 2^53.
        n as f64 / self.n.max(1) as f64
    }
}

/// Floods for `duration`; connection `i` sends what `request(i, n)` makes, from `from(i)`.
async fn flood(
    house: &House,
    honest: &Key,
    duration: Duration,
    from: impl Fn(usize) -> Ipv4Addr,
    request: impl Fn(usize, u64) -> String + Clone + Send + Sync + 'static,
) -> Result<Flooded> {
    let client = Honest::start(house.door.clone(), honest.clone());
    let (cpu, resident) = (process::cpu_time(house.pid())?, process::resident_bytes(house.pid())?);
    let start = Instant::now();
    let end = start + duration;
    let mut tasks = JoinSet::new();
    for i in 0..CONNECTIONS {
        let (door, from, request) = (house.door.clone(), from(i), request.clone());
        tasks.spawn(async move { one(&door, from, end, |n| request(i, n)).await });
    }
    let mut flooded = Flooded {
        statuses: BTreeMap::new(),
        n: 0,
        n_broken: 0,
        cpu: Duration::ZERO,
        growth_bytes: 0,
        elapsed: Duration::ZERO,
        fared: Fared::default(),
    };
    while let Some(found) = tasks.join_next().await {
        let (answers, n_broken) = found?;
        for (answer, n) in answers {
            flooded.n += n;
            *flooded.statuses.entry(answer).or_default() += n;
        }
        flooded.n_broken += n_broken;
    }
    flooded.elapsed = start.elapsed();
    flooded.cpu = process::cpu_time(house.pid())?.saturating_sub(cpu);
    flooded.growth_bytes = process::resident_bytes(house.pid())?.saturating_sub(resident);
    flooded.fared = client.fared().await;
    Ok(flooded)
}

/// One connection after the other until the end; answers by status and code, and connections that broke.
async fn one(
    door: &Door,
    from: Ipv4Addr,
    end: Instant,
    request: impl Fn(u64) -> String,
) -> (BTreeMap<String, u64>, u64) {
    let mut found = BTreeMap::new();
    let (mut n, mut n_broken) = (0, 0);
    while Instant::now() < end {
        let Ok(mut stream) = door.connect(from, b"http/1.1").await else {
            n_broken += 1;
            // Refused at the door: what a closed loop does next is knock again, but not faster than this.
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        let mut answers = Answers::default();
        while Instant::now() < end {
            let text = request(n);
            n += 1;
            if stream.write_all(text.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                n_broken += 1;
                break;
            }
            match answers.next(&mut stream).await {
                Ok(Some(Answer { status, code })) => {
                    *found.entry(format!("{status}/{code}")).or_default() += 1
                }
                _ => {
                    n_broken += 1;
                    break;
                }
            }
        }
    }
    (found, n_broken)
}

fn is_served(status: &str) -> bool {
    status.starts_with("200/0")
}

/// Many valid keys from many addresses, as fast as they are answered.
///
/// # Errors
/// When the program refuses to make keys.
pub async fn signed(house: &House, duration: Duration) -> Result<Row> {
    let honest = house.key("honest-1")?;
    let keys: Vec<Key> = (0..KEYS).map(|i| house.key(&format!("crowd-{i}"))).collect::<Result<_>>()?;
    let from = |i: usize| Ipv4Addr::new(127, 0, 1, u8::try_from(i % 32 + 1).unwrap_or(1));
    let found = flood(house, &honest, duration, from, move |i, _| get(&keys[i % KEYS], BALANCE)).await?;
    let is_well = found.fared.is_well() && found.fared.p99 < P99_MAX;
    Ok(Row::new(
        "signed flood",
        "only 200 and 429; honest client >= 99 %, p99 < 50 ms",
        found.text(),
        is_well
            && found.n > 0
            && found.share(|status| is_served(status) || status.starts_with("429/")) >= 1.0,
    ))
}

/// Wrong signatures of a valid key.
///
/// # Errors
/// When the program refuses to make keys.
pub async fn bad_signatures(house: &House, duration: Duration) -> Result<Row> {
    let honest = house.key("honest-2")?;
    let mut thief = house.key("victim")?;
    thief.secret = "not the secret".to_owned();
    let found =
        flood(house, &honest, duration, |_| Ipv4Addr::new(127, 0, 2, 1), move |_, _| get(&thief, BALANCE))
            .await?;
    let is_well = found.fared.is_well() && found.fared.p99 < P99_MAX;
    let is_cheap = found.cpu_each() <= REFUSAL_CPU_MAX;
    Ok(Row::new(
        "bad-signature flood",
        "none served; at most 10 us CPU each; honest client >= 99 %, p99 < 50 ms",
        found.text(),
        is_well && is_cheap && found.share(is_served) == 0.0,
    ))
}

/// Keys nobody has, another for each request.
///
/// # Errors
/// When the program refuses to make keys.
pub async fn random_keys(house: &House, duration: Duration) -> Result<Row> {
    let honest = house.key("honest-3")?;
    let seed = now_millis();
    let request = move |i: usize, n: u64| {
        let key = format!("{:08x}-{i:04x}-{:04x}-0000-{:012x}", seed & 0xffff_ffff, n & 0xffff, n);
        get(&Key { key, secret: "s".to_owned(), passphrase: "Aa1-aaaaaaaa".to_owned() }, BALANCE)
    };
    let found = flood(
        house,
        &honest,
        duration,
        |i| Ipv4Addr::new(127, 0, 3, u8::try_from(i + 1).unwrap_or(1)),
        request,
    )
    .await?;
    let is_well = found.fared.is_well() && found.fared.p99 < P99_MAX;
    Ok(Row::new(
        "random-key flood",
        "none served; memory grows by less than 20 MiB; honest client >= 99 %, p99 < 50 ms",
        format!("{}, {} KiB more memory", found.text(), found.growth_bytes >> 10),
        is_well && found.growth_bytes < GROWTH_BYTES_MAX && found.share(is_served) == 0.0,
    ))
}
