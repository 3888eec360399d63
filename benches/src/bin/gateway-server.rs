//! The real gateway with a registry of bench keys, for measuring it from outside.
//!
//! `gateway-server --listen ADDRESS --upstream ADDRESS [--keys N] [--used N] [--threads N]`. Plain HTTP on loopback,
//! real clock, every check on; only the rates are raised so that nothing is limited while all of the counting is
//! done. The slow passphrase check of the first `--used` keys is run before the gateway listens, since a real
//! gateway runs it once per key and start. Runs until it is ended by a signal.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use admission::Quota;
use anyhow::{Context as _, Result, bail, ensure};
use auth::{Authenticator, Endpoint, Registry, ReplayWindow, RequestHead, Verification, okx};
use benches::keys;
use domain::{Clock, UnixNanos, WithdrawalRequest};
use gateway::{
    Answer, BoxFuture, Config, DecisionUnavailable, Deps, Limits, Unobserved, Unrecorded, Withdrawals,
};

/// Keys in the registry unless told otherwise.
const N_KEYS: u32 = 100_000;
/// Keys that the load uses unless told otherwise.
const N_USED: u32 = 2_000;
/// Requests the replay window remembers, as for 20,000 orders per second over its 61 seconds.
const REPLAY_ENTRIES_MAX: usize = 1_220_000;

struct Args {
    listen: SocketAddr,
    upstream: String,
    n_keys: u32,
    n_used: u32,
    n_threads: usize,
}

impl Args {
    fn parse() -> Result<Self> {
        let (mut listen, mut upstream) = (None, None);
        let (mut n_keys, mut n_used, mut n_threads) = (N_KEYS, N_USED, 1);
        let mut args = std::env::args().skip(1);
        while let Some(flag) = args.next() {
            let value = args.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--listen" => listen = Some(value.parse().context("--listen")?),
                "--upstream" => upstream = Some(value),
                "--keys" => n_keys = value.parse().context("--keys")?,
                "--used" => n_used = value.parse().context("--used")?,
                "--threads" => n_threads = value.parse().context("--threads")?,
                _ => bail!("unknown argument {flag}"),
            }
        }
        ensure!(n_used <= n_keys, "more keys used than there are");
        Ok(Self {
            listen: listen.context("--listen is missing")?,
            upstream: upstream.context("--upstream is missing")?,
            n_keys,
            n_used,
            n_threads,
        })
    }
}

/// The time of the machine.
#[derive(Debug)]
struct MachineClock;

impl Clock for MachineClock {
    #[allow(clippy::disallowed_methods, reason = "the clock of this program; everything else is given it")]
    fn now(&self) -> UnixNanos {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        UnixNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// The load reads balances; no key may withdraw.
#[derive(Debug)]
struct NoWithdrawals;

impl Withdrawals for NoWithdrawals {
    fn decide(&self, _request: WithdrawalRequest) -> BoxFuture<'_, Result<Answer, DecisionUnavailable>> {
        Box::pin(async { Err(DecisionUnavailable { reason: "a bench decides nothing".to_owned() }) })
    }
}

fn main() -> Result<()> {
    let args = Args::parse()?;
    let clock = MachineClock;
    let n_keys_max = usize::try_from(args.n_keys).context("--keys")?;
    let registry = Registry::new(n_keys_max, random_seed());
    for change in keys::changes(args.n_keys, clock.now())? {
        registry.apply(change?).context("registry")?;
    }
    let replay = ReplayWindow::new(REPLAY_ENTRIES_MAX, random_seed());
    let authenticator = Arc::new(Authenticator::new(Arc::new(registry), replay, crypto::random::array()));
    check_passphrases(&authenticator, &clock, args.n_used)?;

    let mut config = Config::new(args.listen, args.upstream);
    config.limits = unlimited()?;
    config.upstream.connections_max = config.upstream.connections_max.max(256);
    let deps = Deps {
        authenticator,
        changes: Arc::new(Unrecorded),
        clock: Arc::new(clock),
        observer: Arc::new(Unobserved),
        withdrawals: Arc::new(NoWithdrawals),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.n_threads)
        .enable_all()
        .build()
        .context("runtime")?;
    runtime.block_on(async {
        let gateway = config.build(deps).context("gateway")?;
        gateway.run(std::future::pending()).await;
        Ok(())
    })
}

fn random_seed() -> u64 {
    u64::from_le_bytes(crypto::random::array())
}

/// Runs the slow check of each key that the load will use, on every core.
fn check_passphrases(authenticator: &Authenticator, clock: &dyn Clock, n_used: u32) -> Result<()> {
    let n_workers = u32::try_from(std::thread::available_parallelism().map_or(1, usize::from))?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_workers)
            .map(|worker| {
                scope.spawn(move || -> Result<()> {
                    for index in (0..n_used).filter(|index| index % n_workers == worker) {
                        check_passphrase(authenticator, clock.now(), index)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    })
}

fn check_passphrase(authenticator: &Authenticator, now: UnixNanos, index: u32) -> Result<()> {
    let id = keys::id(index);
    let timestamp = okx::timestamp_text(now);
    let sign = keys::sign(index, &timestamp);
    let head = RequestHead {
        method: b"GET",
        target: keys::TARGET.as_bytes(),
        api_key: Some(id.as_bytes()),
        sign: Some(sign.as_bytes()),
        timestamp: Some(timestamp.as_bytes()),
        passphrase: Some(keys::PASSPHRASE.as_bytes()),
        simulated: None,
    };
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    match authenticator.verify(&head, b"", ip, Endpoint::READ, now) {
        Ok(Verification::CheckPassphrase(check)) => {
            check.run().map_err(|refusal| anyhow::anyhow!("key {index}: {}", refusal.label()))
        }
        Ok(Verification::Verified(_)) => Ok(()),
        Err(refusal) => bail!("key {index}: {}", refusal.label()),
    }
}

/// Every limit is counted and none is reached.
fn unlimited() -> Result<Limits> {
    let quota = Quota::new(Quota::BURST_MAX, Duration::from_secs(1)).context("quota")?;
    let mut limits = Limits::default();
    limits.limits.iter_mut().for_each(|limit| limit.quota = quota);
    Ok(limits)
}
