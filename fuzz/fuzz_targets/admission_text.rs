//! Texts from outside: what solves a challenge or clears a source, and tables of network operators.
#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use admission::{
    pow::{Puzzle, PuzzleConfig},
    reputation::{AsnTable, Source},
};
use crypto::Secret;
use domain::UnixNanos;
use fuzz::edited_text;
use libfuzzer_sys::fuzz_target;

const NOW: UnixNanos = UnixNanos::from_secs(1_000);
const TABLE: &str = "# prefixes\n10.0.0.0/8 AS1\n10.1.0.0\t16\t2_3\n0.0.0.0/0,4\n2001:db8::/32 5\n";

static PUZZLE: LazyLock<Puzzle> =
    LazyLock::new(|| Puzzle::new(PuzzleConfig::default(), &Secret::new([7; 32])));
static HOME: LazyLock<Source> = LazyLock::new(|| Source::of(IpAddr::from([192, 0, 2, 1])));
static CHALLENGE: LazyLock<String> = LazyLock::new(|| PUZZLE.challenge(*HOME, 32, [1; 16], NOW));
static CLEARANCE: LazyLock<String> = LazyLock::new(|| PUZZLE.clearance(*HOME, NOW));

fuzz_target!(|data: &[u8]| {
    let Some(text) = edited_text(&[&CHALLENGE, &CLEARANCE, TABLE], data) else { return };
    // 2^32 hashes stand before a challenge, the MAC before everything else.
    assert!(PUZZLE.redeem(&text, "12345", *HOME, NOW).is_err());
    assert_eq!(PUZZLE.check_clearance(&text, *HOME, NOW).is_ok(), text == *CLEARANCE);

    if let Ok(table) = AsnTable::parse(&text) {
        let n_lines = text.lines().count();
        assert!(table.memory_bytes() <= 2 * n_lines * 16);
        if n_lines == 0 {
            assert_eq!(table.find(IpAddr::from([10, 0, 0, 1])), None);
        }
    }
});
