//! Multi-input clustering: transactions per second of CPU time.
//!
//! `clusters [MILLION_IDS] [MILLION_TRANSACTIONS]`. Transactions have three inputs, drawn evenly from all addresses, so that
//! nearly every one misses the caches of the processor and all end in one cluster: harder than a chain, where owners
//! reuse what they used of late. Told for one block per 2,000 transactions with its journal (following), and without
//! (loading). Budget: 3.63 million transactions/s at 20 million addresses.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chain::cluster::Clusters;
use rustix::time::{ClockId, clock_gettime};

const INPUTS: usize = 3;
const PER_BLOCK: usize = 2_000;
/// Blocks that can be undone.
const WINDOW: u64 = 256;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let secs = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Splitmix64: a sequence without state to carry.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: u64| match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("not a number: {text}")),
        None => Ok(default),
    };
    let (n_ids, n_transactions) = (argument(20)? * 1_000_000, argument(10)? * 1_000_000);
    ensure!(n_ids > 0 && n_transactions > 0, "each at least 1");

    let inputs = (0..n_transactions * INPUTS as u64)
        .map(|number| Ok(u32::try_from(mix(number) % n_ids)?))
        .collect::<Result<Vec<u32>>>()?;
    let ends: Vec<usize> = (1..=PER_BLOCK).map(|transaction| transaction * INPUTS).collect();
    for is_followed in [false, true] {
        let mut clusters = Clusters::new(usize::try_from(n_ids)?)?;
        let start = cpu();
        for (height, block) in (1..).zip(inputs.chunks(PER_BLOCK * INPUTS)) {
            if is_followed {
                clusters.begin_block(height)?;
                clusters.settle(height.saturating_sub(WINDOW));
            }
            clusters.join_all(block, ends.get(..block.len() / INPUTS).unwrap_or_default());
        }
        let took = (cpu() - start).as_secs_f64();
        let roots = (0..u32::try_from(n_ids)?).filter(|id| clusters.cluster_of(*id) == *id).count();
        println!(
            "{}: {:.2} million transactions/s, {:.0} ns per union; {roots} clusters",
            if is_followed { "following" } else { "loading" },
            n_transactions as f64 / took / 1e6,
            took * 1e9 / (n_transactions * (INPUTS as u64 - 1)) as f64,
        );
    }
    Ok(())
}
