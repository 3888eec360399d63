//! The packs beside the crate, and the engine against figures that somebody else published.
//!
//! The data are not part of the project. Without them the tests say that they were skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test outside `cfg(test)`, which says when it is skipped"
)]

use std::{path::Path, process::Command, sync::Arc};

use domain::UnixNanos;
use features::{Engine, Label, Labelled, Limits, Pack, Record, Stepped, Value};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/handbook/handbook_tx.csv.zst");
const DAY_SECS: u64 = 86_400;
/// 2018-04-01.
const START_SECS: u64 = 1_522_540_800;
const CARD_HANDBOOK: &str = include_str!("../packs/card-handbook.toml");

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

/// The sums and sample rows of the 15 published features, in the order of the book; see `handbook.rs` for the tie rule.
/// Labels arrive a week after their event.
#[test]
fn the_card_pack_yields_the_published_features() {
    let Some(text) = transactions() else { return };
    let pack = Arc::new(Pack::parse(CARD_HANDBOOK).unwrap());
    let book = [
        ("tx_amount", 78_644_332.83),
        ("tx_during_weekend", 412_103.0),
        ("tx_during_night", 254_914.0),
        ("customer_nb_tx_1d", 5_216_395.0),
        ("customer_avg_amount_1d", 78_644_342.779_261),
        ("customer_nb_tx_7d", 27_228_624.0),
        ("customer_avg_amount_7d", 78_618_323.691_848),
        ("customer_nb_tx_30d", 103_398_003.0),
        ("customer_avg_amount_30d", 78_582_256.654_943),
        ("terminal_nb_tx_1d", 1_395_763.0),
        ("terminal_risk_1d", 7_268.953_571),
        ("terminal_nb_tx_7d", 9_569_407.0),
        ("terminal_risk_7d", 11_279.235_096),
        ("terminal_nb_tx_30d", 37_686_917.0),
        ("terminal_risk_30d", 10_632.591_275),
    ];
    let order: Vec<usize> = book.iter().map(|(name, _)| pack.column_index(name).unwrap()).collect();
    assert_eq!(order.len(), pack.columns().len());
    let samples: [(u64, [f64; 15]); 3] = [
        (
            1_236_698,
            [42.32, 0., 1., 4., 68.4225, 34., 67.468_529_412, 120., 64.61175, 2., 0., 9., 0., 31., 0.],
        ),
        (
            1_300_000,
            [132.83, 0., 0., 4., 129.685, 27., 93.181_111_111, 121., 90.996_776_86, 1., 0., 5., 0., 24., 0.],
        ),
        (1_466_281, [83.67, 0., 0., 1., 83.67, 5., 43.454, 34., 62.542_941_176, 1., 0., 10., 0., 34., 0.]),
    ];

    let mut engine = Engine::new(Arc::clone(&pack), Limits::default());
    let mut row = vec![0.0; pack.columns().len()];
    let mut sums = [0.0; 15];
    for line in text.lines().skip(1) {
        let mut columns = line.split(',').map(|column| column.parse::<u64>().unwrap());
        let mut next = || columns.next().unwrap();
        let (id, t, customer, terminal, cents, fraud) = (next(), next(), next(), next(), next(), next());
        let at = START_SECS + t;
        let values = [Value::Entity(customer), Value::Entity(terminal), Value::Money(cents.cast_signed())];
        let record = Record { position: id + 1, at: UnixNanos::from_secs(at), id, values: &values };
        assert_eq!(engine.step(&record, &mut row), Ok(Stepped::Taken));
        let arrival = UnixNanos::from_secs(at + 7 * DAY_SECS);
        assert_eq!(engine.label(&Label { id, is_fraud: fraud == 1, arrival }), Ok(Labelled::Waiting));
        for (sum, column) in sums.iter_mut().zip(&order) {
            *sum += row[*column];
        }
        if let Some((_, sample)) = samples.iter().find(|(sampled, _)| *sampled == id) {
            for ((name, _), (column, want)) in book.iter().zip(order.iter().zip(sample)) {
                assert!((row[*column] - want).abs() < 1e-8, "{id} {name}: {} is not {want}", row[*column]);
            }
        }
    }
    for ((name, published), sum) in book.iter().zip(sums) {
        // The published sums have up to six decimals.
        assert!(
            (sum - published).abs() < 1e-6 * (1.0 + published * 1e-6),
            "{name}: {sum} is not {published}"
        );
    }
    assert_eq!(engine.counts().overflowed + engine.counts().evicted + engine.counts().late, 0);
    let usage = engine.usage();
    eprintln!(
        "{} bytes per entity, {} per event",
        usage.entity_bytes / usage.entities,
        usage.event_bytes / usage.events
    );
}
