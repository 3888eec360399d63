//! The windows against figures that somebody else published.
//!
//! *Reproducible Machine Learning for Credit Card Fraud Detection - Practical Handbook* (Le Borgne, Siblini, Lebichot,
//! Bontempi; 2022) defines 15 features over 1,466,282 simulated card transactions. Twelve of them are windows: number
//! and mean amount per customer over 1, 7 and 30 days, and number and share of frauds per terminal over the same
//! widths, ending 7 days ago. The sums below are those of the published features, under the tie rule of this crate
//! (event time, then sequence); the book's own unstable sort differs in 12 rows.
//!
//! The data are not part of the project. Without them the test says that it was skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test outside `cfg(test)`, which says when it is skipped"
)]

use std::{path::Path, process::Command, time::Duration};

use domain::{Amount, UnixNanos};
use features::{Bounds, Moment, Sample, Windows};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/handbook/handbook_tx.csv.zst");
const DAY: Duration = Duration::from_secs(86_400);
/// 2018-04-01, so that no window reaches back before 1970.
const START_SECS: u64 = 1_522_540_800;
const WIDTHS_DAYS: [u32; 3] = [1, 7, 30];
const DELAY_DAYS: u32 = 7;

fn transactions() -> Option<String> {
    if !Path::new(DATA).exists() {
        eprintln!("skipped: {DATA} is not there");
        return None;
    }
    match Command::new("zstd").args(["-dcq", DATA]).output() {
        Ok(output) if output.status.success() => Some(String::from_utf8(output.stdout).unwrap()),
        _ => {
            eprintln!("skipped: zstd cannot unpack {DATA}");
            None
        }
    }
}

#[derive(Default)]
struct Sums {
    customer_count: [usize; 3],
    customer_mean: [f64; 3],
    terminal_count: [usize; 3],
    terminal_risk: [f64; 3],
}

#[test]
#[ignore = "nightly: 1.4 million rows; `packs.rs` holds the engine to the same figures in every run"]
fn the_published_features_come_out() {
    let Some(text) = transactions() else { return };
    let bounds = Bounds { entities_max: 20_000, samples_max: 4_096, lateness: Duration::ZERO };
    let mut customers: Windows<u64, ()> = Windows::new(&WIDTHS_DAYS.map(|days| days * DAY), bounds);
    let edges = [0, WIDTHS_DAYS[0], WIDTHS_DAYS[1], WIDTHS_DAYS[2]].map(|days| (days + DELAY_DAYS) * DAY);
    // The amount of a terminal's sample is 1 for a fraud and 0 otherwise.
    let mut terminals: Windows<u64, ()> = Windows::new(&edges, bounds);

    let mut sums = Sums::default();
    for line in text.lines().skip(1) {
        let mut columns = line.split(',').map(|column| column.parse::<u64>().unwrap());
        let mut next = || columns.next().unwrap();
        let (seq, t, customer, terminal, cents, fraud) = (next(), next(), next(), next(), next(), next());
        let moment = Moment { at: UnixNanos::from_secs(START_SECS + t), seq };
        let sample = |amount| Sample { moment, amount: Amount::from_parts(amount, 2).unwrap(), item: () };
        let _recorded = customers.record(&customer, sample(i128::from(cents)));
        let _recorded = terminals.record(&terminal, sample(i128::from(fraud) * 100));

        let delayed = terminals.aggregate(&terminal, 0, moment);
        for window in 0..WIDTHS_DAYS.len() {
            let own = customers.aggregate(&customer, window, moment);
            assert!(own.exact);
            sums.customer_count[window] += own.count;
            sums.customer_mean[window] += own.sum.unwrap().to_f64_lossy() / own.count as f64;
            let wide = terminals.aggregate(&terminal, window + 1, moment);
            assert!(wide.exact);
            let count = wide.count - delayed.count;
            sums.terminal_count[window] += count;
            if count > 0 {
                let frauds = wide.sum.unwrap().checked_sub(delayed.sum.unwrap()).unwrap();
                sums.terminal_risk[window] += frauds.to_f64_lossy() / count as f64;
            }
        }
    }
    assert_eq!(sums.customer_count, [5_216_395, 27_228_624, 103_398_003]);
    assert_eq!(sums.terminal_count, [1_395_763, 9_569_407, 37_686_917]);
    let published = [
        78_644_342.779_261,
        78_618_323.691_848,
        78_582_256.654_943,
        7_268.953_571,
        11_279.235_096,
        10_632.591_275,
    ];
    for (got, published) in sums.customer_mean.into_iter().chain(sums.terminal_risk).zip(published) {
        // The published sums have six decimals.
        assert!((got - published).abs() < 1e-6 * (1.0 + published * 1e-6), "{got} is not {published}");
    }
}
