//! Who pays to the same deposit address at an exchange: accounts that may have one holder.
//!
//! An exchange gives each customer an address of his own and soon moves on what arrives there. Such an address is known by what it
//! does: all that leaves it goes to one holder listed as an exchange, each payment it got of an asset is followed by one within
//! [`FORWARDED_WITHIN`] blocks, and nearly all of it is passed on. Two accounts that pay to the same one feed the same
//! account at the exchange.
//!
//! What it is not: an identity. A customer may be paid by others straight to his deposit address. It is told as what it is,
//! with the deposit address and the exchange to look it up by, and nothing is decided by it alone; as a shared sink it is one
//! of the ties of [`super::Association`].
//!
//! Accounts of EVM chains only: on Bitcoin addresses that spend together tell more.
//!
//! Bounds: [`DEPOSITS_MAX`] counterparties are looked at, of at most [`super::BUSY`] transfers each way;
//! an address that more than [`DEPOSITORS_MAX`] pay belongs to somebody who is paid by others, and ties nobody.
//!
//! Source: Victor, "Address clustering heuristics for Ethereum", Financial Cryptography 2020 (the window of 3,200 blocks is
//! his; his bound on the difference, 0.01 ETH a payment, is a share here so that it holds for every asset).

use std::collections::BTreeSet;

use chain::{
    exposure::{Direction, Transfers},
    label::Category,
};
use domain::{Address, ChainFamily};

use super::{Flows, association::is_busy, holders::FIRST, state::State};

/// Accounts that pay to one deposit address and are told together, at most.
pub const DEPOSITORS_MAX: usize = 8;
/// Counterparties of an address that are looked at, the first it paid.
pub const DEPOSITS_MAX: usize = 64;
/// Blocks within which what arrives is passed on.
pub const FORWARDED_WITHIN: u32 = 3_200;
/// Share of what arrives that is passed on at least; the rest pays for it.
const FORWARDED_SHARE: f64 = 0.9;

/// An address that passes on what several accounts pay it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedDeposit {
    /// The address they pay.
    pub deposit: Address,
    /// The exchange it pays.
    pub exchange: Address,
    /// The others who pay it, in the order of addresses.
    pub others: Vec<Address>,
}

impl Flows {
    /// Deposit addresses that an address shares with others, in the order of deposit addresses.
    #[must_use]
    pub fn shared_deposits(&self, address: &Address) -> Vec<SharedDeposit> {
        if self.family() != ChainFamily::Evm {
            return Vec::new();
        }
        self.with_state(|state| {
            let holder = state.holders.find(address).filter(|holder| state.is_known(*holder));
            holder.map_or_else(Vec::new, |holder| shared_deposits(state, holder))
        })
    }
}

fn shared_deposits(state: &State, holder: u32) -> Vec<SharedDeposit> {
    if is_busy(state, holder) || is_service(state, holder) {
        return Vec::new();
    }
    let mut paid = BTreeSet::new();
    for flows in state.assets.values() {
        flows.transfers.for_each_of(holder, Direction::Destination, |found| {
            if paid.len() < DEPOSITS_MAX && (found.other as usize) >= FIRST {
                paid.insert(found.other);
            }
        });
    }
    let mut shared: Vec<SharedDeposit> = paid
        .into_iter()
        .filter_map(|deposit| {
            let (exchange, depositors) = deposit_of(state, deposit)?;
            let mut others: Vec<Address> = depositors
                .into_iter()
                .filter(|other| *other != holder)
                .filter_map(|other| state.holders.address(other))
                .collect();
            others.sort_unstable();
            let (deposit, exchange) = (state.holders.address(deposit)?, state.holders.address(exchange)?);
            (!others.is_empty()).then_some(SharedDeposit { deposit, exchange, others })
        })
        .collect();
    shared.sort_unstable_by_key(|shared| shared.deposit);
    shared
}

fn is_service(state: &State, holder: u32) -> bool {
    state.label(holder).is_some_and(Category::is_service)
}

/// The exchange behind a deposit address and who pays to it; `None` for whatever is no such address.
fn deposit_of(state: &State, deposit: u32) -> Option<(u32, BTreeSet<u32>)> {
    if state.label(deposit).is_some() || is_busy(state, deposit) {
        return None;
    }
    let mut payees = BTreeSet::new();
    for flows in state.assets.values() {
        flows.transfers.for_each_of(deposit, Direction::Destination, |found| {
            payees.insert(found.other);
        });
    }
    let exchange = payees.pop_first().filter(|_| payees.is_empty())?;
    if state.label(exchange) != Some(Category::Exchange) {
        return None;
    }
    let tip = state.tip().map_or(0, |(height, ..)| height);
    let mut depositors = BTreeSet::new();
    for flows in state.assets.values() {
        depositors.extend(passed_on(&flows.transfers, tip, deposit, exchange).into_iter().flatten());
    }
    depositors.retain(|payer| {
        (*payer as usize) >= FIRST
            && *payer != deposit
            && !is_service(state, *payer)
            && !is_busy(state, *payer)
    });
    (depositors.len() <= DEPOSITORS_MAX).then_some((exchange, depositors))
}

/// Who paid an asset that was passed on; `None` if it was not.
fn passed_on(transfers: &Transfers, tip: u64, deposit: u32, exchange: u32) -> Option<BTreeSet<u32>> {
    let (mut forwarded, mut departures) = (0.0, Vec::new());
    transfers.for_each_of(deposit, Direction::Destination, |found| {
        forwarded += found.amount;
        departures.push(found.time);
    });
    departures.sort_unstable();
    let (mut due, mut payers, mut is_left) = (0.0, BTreeSet::new(), departures.is_empty());
    transfers.for_each_of(deposit, Direction::Source, |found| {
        // The exchange itself sends the coins it costs to pass tokens on.
        if found.other == exchange {
            return;
        }
        payers.insert(found.other);
        match departures.get(departures.partition_point(|departure| *departure < found.time)) {
            Some(departure) if departure - found.time <= FORWARDED_WITHIN => due += found.amount,
            // It may still be passed on.
            None if u64::from(found.time) + u64::from(FORWARDED_WITHIN) >= tip => {}
            _ => is_left = true,
        }
    });
    (!is_left && forwarded >= FORWARDED_SHARE * due).then_some(payers)
}
