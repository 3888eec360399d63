//! Source and destination of funds over a power-law graph: CPU time per query and memory.
//!
//! `exposure [MILLION_TRANSFERS] [N_QUERIES] [HOPS]`. Holders are 2^23, transfers are in the order of time; who pays and
//! who receives is drawn so that a few thousand hubs take part in half of all transfers. Half of the 2,000 largest hubs
//! are labelled as services, as are one holder in 200 at random and one in 2,000 as thieves. Starts are receivers (or
//! payers) of random transfers, so busy ones are asked about more often. Budget: p99 below 5 ms within 5 hops over
//! 40 million transfers, 3 GB.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::fs;

use anyhow::{Context as _, Result, ensure};
use benches::{mix, thread_cpu};
use chain::{
    exposure::{Query, Transfer, Transfers},
    label::Category,
};

const HOLDERS: u32 = 1 << 23;
/// Odd, so that multiplying by it scatters holders over all numbers.
const SCATTER: u32 = 0x9e37_79b1;
const HUBS: u32 = 2_000;

/// The rank of a holder, 0 being the busiest: uniform among all in one half, of a power law in the other.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank below 2^23")]
fn rank(random: u64) -> u32 {
    let uniform = (random >> 40) as f64 / f64::from(1 << 24);
    let rank = if random & 1 == 0 { uniform } else { uniform.powi(6) };
    (rank * f64::from(HOLDERS)) as u32 % HOLDERS
}

fn holder(rank: u32) -> u32 {
    rank.wrapping_mul(SCATTER) % HOLDERS
}

fn label(rank: u32) -> u8 {
    let random = mix(u64::from(rank) << 32);
    match () {
        () if rank < HUBS && random & 1 == 0 => Category::Exchange.tag(),
        () if random % 2_000 == 7 => Category::Theft.tag(),
        () if random % 200 == 8 => Category::Service.tag(),
        () => 0,
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: u64| match arguments.next() {
        Some(text) => text.parse().with_context(|| format!("not a number: {text}")),
        None => Ok(default),
    };
    let (n_transfers, n_queries, hops) =
        (argument(40)? * 1_000_000, argument(10_000)?, u8::try_from(argument(5)?)?);
    ensure!(n_transfers > 0 && n_queries > 0, "each at least 1");

    let mut labels = vec![0_u8; HOLDERS as usize];
    for rank in 0..HOLDERS {
        if let Some(place) = labels.get_mut(holder(rank) as usize) {
            *place = label(rank);
        }
    }
    let transfer = |number: u64| -> Result<Transfer> {
        let (from, to) = (mix(3 * number), mix(3 * number + 1));
        Ok(Transfer {
            from: holder(rank(from)),
            to: holder(rank(to)),
            // Some hundred transfers share a block.
            time: u32::try_from(number / 200)?,
            amount: 1.0 + (mix(3 * number + 2) % 1_000) as f64,
        })
    };
    let start = thread_cpu();
    let list = (0..n_transfers).map(transfer).collect::<Result<Vec<_>>>()?;
    let drawn = thread_cpu();
    let graph = Transfers::new(HOLDERS as usize, &list)?;
    println!(
        "{n_transfers} transfers drawn in {:.1} s, graph built in {:.1} s",
        (drawn - start).as_secs_f64(),
        (thread_cpu() - drawn).as_secs_f64()
    );
    for (name, is_source) in [("source", true), ("destination", false)] {
        let (mut times, mut work, mut most, mut unresolved, mut shares) = (Vec::new(), 0, 0, 0.0, 0.0);
        for number in 0..n_queries {
            let drawn = mix(number << 20) % n_transfers;
            let Some(of) = list.get(usize::try_from(drawn)?) else { continue };
            let query = match is_source {
                true => Query::source(of.to, of.time),
                false => Query::destination(of.from, of.time),
            };
            let started = thread_cpu();
            let exposure = graph.exposure(&Query { hops, ..query }, |holder| {
                labels.get(holder as usize).copied().and_then(Category::from_tag)
            });
            times.push(thread_cpu().saturating_sub(started));
            work += exposure.work;
            most = most.max(exposure.work);
            unresolved += exposure.unresolved;
            shares += exposure.shares.iter().map(chain::exposure::Share::total).sum::<f64>();
        }
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() - 1) * share / 1_000).copied().unwrap_or_default();
        println!(
            "{name}: p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms, most {:.3} ms CPU; transfers looked at {} on average, {most} at most; found {:.3}, unresolved {:.3} on average",
            at(500).as_secs_f64() * 1e3,
            at(990).as_secs_f64() * 1e3,
            at(999).as_secs_f64() * 1e3,
            at(1_000).as_secs_f64() * 1e3,
            work / times.len().max(1),
            shares / times.len().max(1) as f64,
            unresolved / times.len().max(1) as f64,
        );
    }
    let status = fs::read_to_string("/proc/self/status").context("memory")?;
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("no VmHWM"));
    Ok(())
}
