//! An honest client beside an attack: a signed read at a steady pace, and how it fared.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::client::{Answers, Door, Stream};
use crate::signing::{Key, get};

/// Its address; attackers use others.
pub const HOME: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Between its requests.
const PACE: Duration = Duration::from_millis(20);
/// Requests it makes however short the attack is.
const REQUESTS_MIN: usize = 25;
/// What it reads.
const BALANCE: &str = "/api/v5/account/balance";

/// A client that runs until it is asked how it fared.
#[derive(Debug)]
pub struct Honest {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Fared>,
}

/// How an honest client fared.
#[derive(Debug, Clone, Default)]
pub struct Fared {
    /// Requests made.
    pub n: usize,
    /// Requests answered with success.
    pub n_well: usize,
    /// The 99th percentile of the time to an answer, failures included.
    pub p99: Duration,
}

impl Fared {
    /// Whether at least 99 % succeeded.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        self.n > 0 && self.n_well * 100 >= self.n * 99
    }

    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        format!("honest client {} of {}, p99 {:.1} ms", self.n_well, self.n, self.p99.as_secs_f64() * 1e3)
    }
}

impl Honest {
    /// Starts one.
    #[must_use]
    pub fn start(door: Door, key: Key) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(run(door, key, Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Ends it.
    pub async fn fared(self) -> Fared {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_default()
    }
}

async fn run(door: Door, key: Key, stop: Arc<AtomicBool>) -> Fared {
    let mut times = Vec::new();
    let mut n_well = 0;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection: Option<(Stream, Answers)> = None;
    while !stop.load(Ordering::Relaxed) || times.len() < REQUESTS_MIN {
        pace.tick().await;
        let start = Instant::now();
        let is_well = ask(&door, &key, &mut connection).await;
        if !is_well {
            connection = None;
        }
        times.push(start.elapsed());
        n_well += usize::from(is_well);
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Fared { n: times.len(), n_well, p99 }
}

async fn ask(door: &Door, key: &Key, connection: &mut Option<(Stream, Answers)>) -> bool {
    let (stream, answers) = match connection {
        Some(open) => open,
        None => match door.connect(HOME, b"http/1.1").await {
            Ok(stream) => connection.insert((stream, Answers::default())),
            Err(_) => return false,
        },
    };
    let request = get(key, BALANCE);
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.flush().await.is_ok()
        && matches!(answers.next(stream).await, Ok(Some(answer)) if answer.status == 200 && answer.code == "0")
}
