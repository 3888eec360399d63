//! With whom an address dealt directly: the counterparties that moved most, for people who look at it.
//!
//! Bounds: [`LOOKED_AT_MAX`] transfers of each asset and direction, the oldest first; beyond it what is told is a part, and says so.

use std::collections::BTreeMap;

use chain::{exposure::Direction, label::Category};
use domain::Address;

use super::{Flows, frame::COIN, state::State};

/// Most transfers of one asset and direction that are looked at.
pub const LOOKED_AT_MAX: usize = 50_000;

/// What went between an address and one counterparty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dealing {
    /// The token's contract; `None` for the coin.
    pub asset: Option<Address>,
    /// Whether it came from the counterparty ([`Direction::Source`]) or went there.
    pub direction: Direction,
    /// The counterparty; `None` for what one transaction gathered, or came from nobody.
    pub other: Option<Address>,
    /// What the lists have the counterparty under.
    pub category: Option<Category>,
    /// How much, in the smallest unit.
    pub amount: f64,
    /// In how many transfers.
    pub transfers: u32,
    /// Height of the newest.
    pub height: u32,
}

/// Counterparties of an address.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dealings {
    /// For each asset and direction those that moved most, most first.
    pub dealings: Vec<Dealing>,
    /// Counterparties that are not told, over all assets and directions.
    pub more: u64,
    /// Whether there were more transfers than are looked at.
    pub is_partial: bool,
}

impl Flows {
    /// The counterparties of an address: for each asset and direction the `most` that moved most. Empty for an address that was
    /// never seen.
    #[must_use]
    pub fn dealings(&self, address: &Address, most: usize) -> Dealings {
        self.with_state(|state| dealings(state, address, most))
    }
}

fn dealings(state: &State, address: &Address, most: usize) -> Dealings {
    let mut told = Dealings::default();
    let Some(holder) = state.holders.find(address).filter(|holder| state.is_known(*holder)) else {
        return told;
    };
    for (asset, flows) in &state.assets {
        let asset = if *asset == COIN { None } else { state.holders.address(*asset) };
        for direction in [Direction::Source, Direction::Destination] {
            let mut by_other: BTreeMap<Option<Address>, (f64, u32, u32, u32)> = BTreeMap::new();
            let mut looked = 0;
            flows.transfers.for_each_of(holder, direction, |found| {
                looked += 1;
                if looked > LOOKED_AT_MAX {
                    told.is_partial = true;
                    return;
                }
                let other = state.holders.address(found.other);
                let seen = by_other.entry(other).or_insert((0.0, 0, 0, found.other));
                seen.0 += found.amount;
                seen.1 = seen.1.saturating_add(1);
                seen.2 = seen.2.max(found.time);
            });
            let mut all: Vec<Dealing> = by_other
                .into_iter()
                .map(|(other, (amount, transfers, height, number))| Dealing {
                    asset,
                    direction,
                    other,
                    category: other.and_then(|_| state.label(number)),
                    amount,
                    transfers,
                    height,
                })
                .collect();
            // Those a list speaks of come first: they are what one looks for. Equal ones stay in the order of addresses.
            all.sort_by(|a, b| {
                let grave =
                    |dealing: &Dealing| dealing.category.is_some_and(|category| category.is_malicious());
                grave(b).cmp(&grave(a)).then(b.amount.total_cmp(&a.amount))
            });
            told.more += u64::try_from(all.len().saturating_sub(most)).unwrap_or(u64::MAX);
            told.dealings.extend(all.into_iter().take(most));
        }
    }
    told
}
