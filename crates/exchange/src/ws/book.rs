//! What a client knows of a book, and what it must be told to know how it is now.

use std::collections::BTreeMap;

use domain::{Amount, UnixNanos};
use serde_json::{Value, json};

use crate::{
    ledger::{Ledger, Refusal, Side},
    rest::public::{level_row, millis},
};

/// Price, quantity, number of orders.
type Level = (Amount, Amount, usize);

/// A book as a client has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BookView {
    version: u64,
    asks: Vec<Level>,
    bids: Vec<Level>,
}

impl BookView {
    /// The book as it is, `depth` levels a side.
    pub(super) fn of(ledger: &Ledger, instrument: &str, depth: usize) -> Result<Self, Refusal> {
        Ok(Self {
            version: ledger.book_version(instrument)?,
            asks: ledger.levels(instrument, Side::Sell, depth)?,
            bids: ledger.levels(instrument, Side::Buy, depth)?,
        })
    }

    /// Everything, for a client that knows nothing.
    pub(super) fn snapshot(&self, instrument: &str, now: UnixNanos) -> Value {
        row(&self.asks, &self.bids, -1, self.version, instrument, now)
    }

    /// What changed since `before`; a level that is gone has quantity zero.
    pub(super) fn changes_since(&self, before: &Self, instrument: &str, now: UnixNanos) -> Value {
        let previous = i64::try_from(before.version).unwrap_or(i64::MAX);
        let (asks, bids) = (changes(&before.asks, &self.asks), changes(&before.bids, &self.bids));
        row(&asks, &bids, previous, self.version, instrument, now)
    }

    /// Whether a client would see a difference.
    pub(super) fn shows_the_same(&self, other: &Self) -> bool {
        self.asks == other.asks && self.bids == other.bids
    }
}

/// Levels that differ, those that are gone with quantity zero, in the order of their price.
fn changes(before: &[Level], after: &[Level]) -> Vec<Level> {
    let mut levels: BTreeMap<Amount, Level> =
        before.iter().map(|(price, ..)| (*price, (*price, Amount::ZERO, 0))).collect();
    levels.extend(after.iter().map(|level| (level.0, *level)));
    levels.into_values().filter(|level| !before.contains(level)).collect()
}

fn row(asks: &[Level], bids: &[Level], previous: i64, version: u64, id: &str, now: UnixNanos) -> Value {
    json!({
        "instId": id,
        "asks": asks.iter().map(level_row).collect::<Vec<Value>>(),
        "bids": bids.iter().map(level_row).collect::<Vec<Value>>(),
        "ts": millis(now),
        "prevSeqId": previous,
        "seqId": version,
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn levels(from: &BTreeMap<i128, (i128, usize)>) -> Vec<Level> {
        let amount = |units| Amount::from_parts(units, 0).unwrap();
        from.iter().map(|(price, (size, orders))| (amount(*price), amount(*size), *orders)).collect()
    }

    proptest! {
        /// A client that applies the changes as the documentation tells it to has the new book.
        #[test]
        fn changes_lead_from_one_book_to_the_next(
            before in btree_map(1_i128..30, (1_i128..5, 1_usize..3), 0..20),
            after in btree_map(1_i128..30, (1_i128..5, 1_usize..3), 0..20),
        ) {
            let (before, after) = (levels(&before), levels(&after));
            let mut client: BTreeMap<Amount, Level> = before.iter().map(|level| (level.0, *level)).collect();
            for level in changes(&before, &after) {
                if level.1.is_zero() {
                    prop_assert!(client.remove(&level.0).is_some(), "a level that was not there is gone");
                } else {
                    client.insert(level.0, level);
                }
            }
            prop_assert_eq!(client.into_values().collect::<Vec<_>>(), after);
        }
    }
}
