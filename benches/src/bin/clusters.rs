//! Multi-input clustering: transactions per second of CPU time.
//!
//! `clusters [MILLION_IDS] [MILLION_TRANSACTIONS]`. Transactions have three inputs, drawn evenly from all addresses, so that
//! nearly every one misses the caches of the processor and all end in one cluster: harder than a chain, where owners
//! reuse what they used of late. Told for one block per 2,000 transactions with its journal (following), and without
//! (loading). Budget: 3.63 million transactions/s at 20 million addresses.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use anyhow::{Context as _, Result, ensure};
use benches::{mix, thread_cpu};
use chain::cluster::Clusters;

const INPUTS: usize = 3;
const PER_BLOCK: usize = 2_000;
/// Blocks that can be undone.
const WINDOW: u64 = 256;

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
        let start = thread_cpu();
        for (height, block) in (1..).zip(inputs.chunks(PER_BLOCK * INPUTS)) {
            if is_followed {
                clusters.begin_block(height)?;
                clusters.settle(height.saturating_sub(WINDOW));
            }
            clusters.join_all(block, ends.get(..block.len() / INPUTS).unwrap_or_default());
        }
        let took = (thread_cpu() - start).as_secs_f64();
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
